-- kpi.attainment_as_known() of one period does the work of that period, and of
-- the same period a year before for each growth link on the way: with figures
-- that are those of all of history.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT no_plan();
-- tiny data many times: planning each time would cost most of the run
ALTER FUNCTION kpi.recompute_figures(timestamptz, bigint[], date, date) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION kpi.recompute_links(date[], kpi.recompute_kpi[]) SET plan_cache_mode = force_generic_plan;

INSERT INTO kpi.unit (path, share) VALUES ('g', 1), ('g.a', 1), ('g.b', 0.5), ('g.a.x', 1), ('g.a.y', 1), ('g.b.z', 1);
INSERT INTO kpi.measure (code, rollup, time_rollup, rolls_up, multiplier, result_weight, grain) VALUES
    ('sales', 'sum', 'pool', true, 1, 0.5, 'month'), ('staff', 'sum', 'last', true, 1, 1, 'month'),
    ('growth', 'none', 'pool', false, 100, 1, 'month'), ('rate', 'ratio', 'pool', false, 1, 1, 'month'), ('faster', 'none', 'pool', false, 1, 1, 'month'),
    ('visits', 'sum', 'pool', true, 1, 1, 'day'), ('visits_growth', 'none', 'pool', false, 1, 1, 'day');
SELECT kpi.deploy(m, 'g') FROM unnest('{sales,staff,visits}'::text[]) m \g /dev/null
SELECT kpi.deploy(m, 'g', '{1,2}') FROM unnest('{growth,rate,faster,visits_growth}'::text[]) m \g /dev/null
-- faster is the growth of growth per head, which is two years back in all; the score of sales rests on it
SELECT kpi.link_kpi(u, 'sales', u, 'growth', 'growth', 1, NULL, '2023-01-01'), kpi.link_kpi('g.a.x', 'sales', u, 'growth', 'growth', 1, '2023-01-01'),
       kpi.link_kpi(u, 'growth', u, 'rate', 'numerator'), kpi.link_kpi(u, 'staff', u, 'rate', 'denominator'),
       kpi.link_kpi(u, 'rate', u, 'faster', 'growth'), kpi.link_kpi(u, 'visits', u, 'visits_growth', 'growth')
  FROM unnest('{g,g.a,g.b}'::text[]) u \g /dev/null
SELECT kpi.link_kpi('g.a', 'faster', 'g', 'sales', 'score'), kpi.move_unit('g.a.y', 'g.b', '2023-05-01') \g /dev/null

-- ---- how far back
CREATE FUNCTION pg_temp.years(unit text, measure text) RETURNS integer LANGUAGE sql AS
$$ SELECT kpi.recompute_years_back(ARRAY[kpi.kpi_id(unit, measure)], kpi.recompute_needed(ARRAY[kpi.kpi_id(unit, measure)])) $$;
SELECT results_eq($$SELECT m, pg_temp.years(u, m) FROM (VALUES ('g.b', 'sales'), ('g', 'staff'), ('g', 'growth'), ('g.b', 'rate'), ('g', 'faster'), ('g', 'visits_growth'), ('g', 'sales')) q (u, m)$$,
                  $$VALUES ('sales', 0), ('staff', 0), ('growth', 1), ('rate', 1), ('faster', 2), ('visits_growth', 1), ('sales', 2)$$,
                  'a year for each growth link on the way down, those behind a score too');
INSERT INTO kpi.fact_entry (unit, measure, period, value)
SELECT u, m, p::text, 3 FROM unnest('{g.a.x,g.b.z}'::text[]) u, unnest('{sales,staff}'::text[]) m, kpi.generate_series('2020-01', '2024-12') p;
CREATE FUNCTION pg_temp.worked_on(unit text, measure text, first_day date, last_day date) RETURNS SETOF text LANGUAGE sql AS
$$ SELECT DISTINCT f.period FROM kpi.recompute_figures(NULL, ARRAY[kpi.kpi_id(unit, measure)], first_day, last_day) f $$;
SELECT set_eq($$SELECT pg_temp.worked_on('g', 'growth', '2024-02-01', '2024-02-29')$$, $$VALUES ('2024-02'), ('2023-02')$$, 'a month of growth works on two months');
SELECT set_eq($$SELECT pg_temp.worked_on('g', 'faster', '2024-02-01', '2024-02-29')$$, $$VALUES ('2024-02'), ('2023-02'), ('2022-02')$$, 'growth of growth on three');
SELECT set_eq($$SELECT pg_temp.worked_on('g', 'growth', '2024-10-01', '2024-12-31')$$,
              $$SELECT y || p FROM unnest('{2023,2024}'::text[]) y, unnest('{-10,-11,-12,-Q4}'::text[]) p$$, 'a quarter on two quarters and their months');

-- 29 February has no year before, the 28th has one: 5 after 4, and February 12 after 7, like for like 5 after 4
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('g', 'visits', '2023-02-28', 4), ('g', 'visits', '2023-02-27', 3), ('g', 'visits', '2024-02-28', 5), ('g', 'visits', '2024-02-29', 7);
SELECT results_eq($$SELECT p, f.actual FROM unnest('{2024-02-28,2024-02-29,2024-02}'::text[]) p
                      LEFT JOIN LATERAL kpi.attainment_as_known(now(), 'g', 'visits_growth', p) f ON true$$,
                  $$VALUES ('2024-02-28', 0.25), ('2024-02-29', NULL), ('2024-02', 0.25)$$, 'the end of February');

-- ---- as without a bound, whatever the history
CREATE TABLE pg_temp.whole AS SELECT * FROM kpi.recompute_figures(NULL, NULL, NULL, NULL) LIMIT 0;
CREATE TABLE pg_temp.outcome (trial integer, kpi_id bigint, period text, bounded jsonb, unbounded jsonb);
CREATE FUNCTION pg_temp.try(trial integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM setseed(trial / 1000.0);
    DELETE FROM kpi.fact;
    DELETE FROM kpi.target;
    INSERT INTO kpi.fact (kpi_id, period, value)
    SELECT k.kpi_id, p, (random() * 40)::integer - 5
      FROM kpi.kpi k JOIN kpi.measure m USING (measure_id) JOIN kpi.unit u USING (unit_id), kpi.generate_series('2020-01', '2024-12') p
     WHERE m.code IN ('sales', 'staff') -- for each KPI and period anew
       AND random() + 0 * kpi.days(p) * k.kpi_id < CASE kpi.depth(u.path) WHEN 3 THEN 0.7 ELSE 0.1 END;
    -- around the day that not all years have
    INSERT INTO kpi.fact (kpi_id, period, value)
    SELECT k.kpi_id, kpi.period(d::date, 'day'), (random() * 40)::integer
      FROM kpi.kpi k JOIN kpi.measure m USING (measure_id), unnest('{2022,2023,2024}'::integer[]) y,
           generate_series(make_date(y, 2, 26), make_date(y, 3, 2), '1 day') d
     WHERE m.code = 'visits' AND random() + 0 * k.kpi_id * extract(day FROM d) < 0.6;
    INSERT INTO kpi.target (kpi_id, period, value)
    SELECT k.kpi_id, p, (random() * 40)::integer
      FROM kpi.kpi k, unnest('{2024,2024-02,2024-Q1,2023,2023-05,2022-H1}'::kpi_period[]) p
     WHERE random() + 0 * kpi.days(p) * k.kpi_id < 0.5;
    DELETE FROM whole;
    INSERT INTO whole SELECT * FROM kpi.recompute_figures(NULL, NULL, NULL, NULL);
    INSERT INTO outcome
    SELECT trial, q.kpi_id, q.period, b.row_text, w.row_text
      FROM (SELECT k.kpi_id, p.period
              FROM kpi.kpi k JOIN kpi.measure m USING (measure_id) JOIN kpi.unit u USING (unit_id)
             CROSS JOIN LATERAL unnest(CASE m.grain WHEN 'day' THEN '{2024-02-28,2024-02-29,2023-02-28,2024-02,2023-02,2024-03,2024-W09,2023-Q1,2024-H1,2024}'
                                                    ELSE '{2024-02,2023-02,2022-11,2021-05,2024-Q1,2023-Q4,2024-H1,2023-H2,2024,2023}' END::text[]) AS p (period)
             WHERE (kpi.depth(u.path) < 3 AND m.code NOT IN ('staff', 'visits')) AND random() < 0.13) q
      LEFT JOIN LATERAL (SELECT to_jsonb(f) AS row_text
                           FROM kpi.recompute_figures(NULL, ARRAY[q.kpi_id], kpi.first_day(q.period::kpi_period), kpi.last_day(q.period::kpi_period)) f
                          WHERE f.kpi_id = q.kpi_id AND f.period = q.period) b ON true
      LEFT JOIN LATERAL (SELECT to_jsonb(f) AS row_text FROM whole f WHERE f.kpi_id = q.kpi_id AND f.period = q.period) w ON true;
END $$;
SELECT pg_temp.try(n) FROM generate_series(1, 2) n \g /dev/null
-- measures that rest on each other's growth in a circle: no bound
SELECT kpi.link_kpi('g.a.x', 'staff', 'g.a', 'rate', 'numerator') \g /dev/null
DELETE FROM kpi.link l USING kpi.kpi k JOIN kpi.measure m USING (measure_id) JOIN kpi.unit u USING (unit_id)
 WHERE l.parent_kpi_id = k.kpi_id AND m.code = 'growth' AND u.path = 'g' AND l.contributes = 'growth';
SELECT kpi.link_kpi('g.a', 'rate', 'g', 'growth', 'growth') \g /dev/null
SELECT is(pg_temp.years('g', 'faster'), NULL, 'growth of growth of growth by measures that go in a circle: all of history');
SELECT pg_temp.try(3) \g /dev/null
SELECT is_empty($$SELECT * FROM outcome WHERE bounded IS DISTINCT FROM unbounded$$, 'random histories: a period by itself is what it is among all');
SELECT cmp_ok((SELECT count(*) FROM outcome o JOIN kpi.kpi k USING (kpi_id) JOIN kpi.measure m USING (measure_id)
                WHERE m.code IN ('growth', 'faster', 'visits_growth') AND o.unbounded ->> 'actual' IS NOT NULL), '>', 5::bigint, 'growth among them');
SELECT * FROM finish();
ROLLBACK;
