-- The year to date of stocks in kpi.trend: what the year would show had nothing
-- been recorded after the period, and nothing been reorganised.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT no_plan();

INSERT INTO kpi.unit (path, code, share) VALUES ('acme', 'ACME', 1), ('acme.a', 'A', 1), ('acme.b', 'B', 0.5), ('acme.a.x', 'X', 1), ('acme.a.y', 'Y', 1), ('acme.b.z', 'Z', 1), ('other', 'O', 1);
INSERT INTO kpi.measure (code, rollup, time_rollup, missing_child, fiscal_start, grain) VALUES
    ('heads', 'sum', 'last', 'exclude', 1, 'month'), ('loans', 'sum', 'last', 'exclude', 1, 'month'), ('extra', 'sum', 'last', 'exclude', 1, 'month'), ('full_heads', 'sum', 'last', 'require', 1, 'month'),
    ('peak', 'max', 'last', 'exclude', 1, 'month'), ('mood', 'weighted_mean', 'last', 'exclude', 1, 'month'), ('fiscal_heads', 'sum', 'last', 'exclude', 4, 'month'),
    ('beds', 'sum', 'last', 'exclude', 1, 'day'), ('sales', 'sum', 'pool', 'exclude', 1, 'month'), ('rent', 'sum', 'mean', 'exclude', 1, 'month'),
    ('sales_per_head', 'ratio', 'pool', 'exclude', 1, 'month'), ('rent_per_head', 'ratio', 'last', 'require', 1, 'month'), ('seats', 'ratio', 'last', 'exclude', 1, 'month');
SELECT kpi.deploy(m, u) FROM unnest('{heads,loans,full_heads,peak,mood,fiscal_heads,beds,sales,rent}'::text[]) m, unnest('{acme,other}'::text[]) u \g /dev/null
SELECT kpi.deploy(m, 'acme', '{1,2}') FROM unnest('{sales_per_head,seats,extra}'::text[]) m \g /dev/null
SELECT kpi.deploy('rent_per_head', 'acme', '{1}') \g /dev/null
-- computed at each unit; seats at A and B only, from where they flow up
SELECT kpi.link_kpi(u, 'sales', u, 'sales_per_head', 'numerator'), kpi.link_kpi(u, 'heads', u, 'sales_per_head', 'denominator') FROM unnest('{acme,acme.a,acme.b}'::text[]) u \g /dev/null
SELECT kpi.link_kpi('acme', 'rent', 'acme', 'rent_per_head', 'numerator'), kpi.link_kpi('acme', 'full_heads', 'acme', 'rent_per_head', 'denominator'),
       kpi.link_kpi('A', 'heads', 'A', 'seats', 'numerator', -2), kpi.link_kpi('A', 'sales', 'A', 'seats', 'denominator'),
       kpi.link_kpi('O', 'heads', 'ACME', 'heads', 'value', 0.25, NULL, '2026-07-01'), kpi.link_kpi('O', 'heads', 'ACME', 'heads', 'value', -1, '2026-07-01'),
       kpi.link_kpi('X', 'loans', 'A', 'extra', 'value', 3), kpi.link_kpi('Z', 'peak', 'B', 'peak', 'value', 1, '2026-04-01', '2026-09-01') \g /dev/null

-- ---- by hand
CREATE FUNCTION pg_temp.to_date(unit text, measure text, period text) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s, to date %s', coalesce(t.actual::text, 'null'), coalesce(t.year_to_date::text, 'null'))
      FROM kpi.trend t WHERE t.unit_id = kpi.unit_id($1) AND t.measure = $2 AND t.period = $3::kpi_period
$$;
SAVEPOINT by_hand;
INSERT INTO kpi.fact_entry (unit, measure, period, value, weight) VALUES
    ('X', 'heads', '2025-12', 90, 1), ('X', 'heads', '2026-01', 10, 1), ('X', 'heads', '2026-03', 11, 1),
    ('Y', 'heads', '2026-01', 5, 1), ('Y', 'heads', '2026-02', 6, 1), ('Z', 'heads', '2026-02', 8, 1), ('Z', 'heads', '2026-03', 4, 1),
    ('X', 'sales', '2026-01', 32, 1), ('X', 'sales', '2026-03', 44, 1),
    ('X', 'full_heads', '2026-01', 3, 1), ('Y', 'full_heads', '2026-02', 4, 1), ('Z', 'full_heads', '2026-02', 2, 1),
    ('A', 'mood', '2026-01', 2, 4), ('X', 'mood', '2026-02', 8, 1), ('Y', 'mood', '2026-02', 6, 3),
    ('X', 'beds', '2025-12-30', 7, 1), ('X', 'beds', '2026-01-01', 5, 1), ('Y', 'beds', '2025-12-31', 9, 1), ('Y', 'beds', '2026-01-07', 2, 1);
-- of what X has the 11 of March, of Y the 6 of February, and half of the 4 of Z
SELECT is((SELECT f.actual FROM kpi.forecast('acme', 'heads', '2026', m) f), 19::numeric, 'a forecast begins with the last known stocks: ' || m) FROM unnest('{run_rate,linear}'::text[]) m;
SELECT is((SELECT f.actual FROM kpi.forecast('acme', 'heads', '2026') f), (SELECT c.actual FROM kpi.attainment c WHERE c.unit = 'acme' AND c.measure = 'heads' AND c.period = '2026'), 'as the year shows it');
SELECT is((SELECT f.expected FROM kpi.forecast('acme', 'heads', '2026') f), 19::numeric, 'and they stay');
-- 6 of Y, and the 10 that X said last; half of what B has goes up: 16 + 8/2
SELECT is(pg_temp.to_date('A', 'heads', '2026-02'), '6, to date 16', 'what a child said last in the year is carried');
SELECT is(pg_temp.to_date('ACME', 'heads', '2026-02'), '10, to date 20', 'and further up, with the shares');
-- 11 + 6, and 4/2
SELECT is(pg_temp.to_date('ACME', 'heads', '2026-03'), '13, to date 19', 'each child its own last');
-- the quarter carries within itself: 17 + 2
SELECT is(pg_temp.to_date('ACME', 'heads', '2026-Q1'), '19, to date 19', 'a quarter too');
SELECT is(pg_temp.to_date('X', 'heads', '2026-01'), '10, to date 10', 'a leaf');
-- (32 + 44)/19; in March alone 44/13
SELECT is(pg_temp.to_date('ACME', 'sales_per_head', '2026-03'), '3.384615384615, to date 4', 'sales of the year so far over the heads of now');
-- the year before is not carried into January: 10 + 5
SELECT is(pg_temp.to_date('A', 'heads', '2026-01'), '15, to date 15', 'the year begins anew');
-- X lacks in February, of the year it does not: 3 + 4, and 2/2
SELECT is(pg_temp.to_date('A', 'full_heads', '2026-02'), 'null, to date 7', 'require: nobody lacks in the year');
SELECT is(pg_temp.to_date('ACME', 'full_heads', '2026-02'), 'null, to date 8', 'and above');
SELECT is(pg_temp.to_date('A', 'full_heads', '2026-01'), 'null, to date null', 'one who has said nothing yet does');
-- (8*1 + 6*3)/4 of the children; with 2*4 that A said in January (26 + 8)/8
SELECT is(pg_temp.to_date('A', 'mood', '2026-02'), '6.5, to date 4.25', 'own facts are carried, all children having reported');
-- the first week of 2026 begins on 29 December, and the year with its first day: 5 against 7 + 9, carried into the next week: 5 + 2
SELECT is(pg_temp.to_date('A', 'beds', '2026-W01'), '14, to date 5', 'a week that begins in the year before');
SELECT is(pg_temp.to_date('A', 'beds', '2026-W02'), '2, to date 7', 'and the one after it');
-- Y reports to B since March: 11, and (6 + 4)/2; February stays
SELECT kpi.move_unit('acme.a.y', 'acme.b', '2026-03-01') \g /dev/null
SELECT is(pg_temp.to_date('B', 'heads', '2026-03'), '4, to date 10', 'what is carried moves with the unit');
SELECT is(pg_temp.to_date('ACME', 'heads', '2026-03'), '13, to date 16', 'to other shares');
SELECT is(pg_temp.to_date('ACME', 'heads', '2026-02'), '10, to date 20', 'from the day of the move on');
-- (32 + 44)/16; in March alone 44/13
SELECT is(pg_temp.to_date('ACME', 'sales_per_head', '2026-03'), '3.384615384615, to date 4.75', 'in ratios too');
-- Y is closed at the end of February: 11, and 4/2
UPDATE kpi.unit SET valid_to = '2026-03-01' WHERE code = 'Y';
SELECT is(pg_temp.to_date('ACME', 'heads', '2026-03'), '13, to date 13', 'what is closed is not carried');
SELECT is(pg_temp.to_date('ACME', 'heads', '2026-02'), '10, to date 20', 'it was before');
-- who may not see the units beneath sees the same
CREATE ROLE stock_reader;
GRANT USAGE ON SCHEMA kpi TO stock_reader;
GRANT SELECT ON kpi.trend TO stock_reader;
ALTER TABLE kpi.unit ENABLE ROW LEVEL SECURITY;
CREATE POLICY top ON kpi.unit TO stock_reader USING (path = 'acme');
SET LOCAL ROLE stock_reader;
SELECT is((SELECT year_to_date FROM kpi.trend WHERE measure = 'heads' AND period = '2026-02' AND unit = 'acme'), 20::numeric, 'units that row security hides count');
SELECT throws_ok($$SELECT kpi.stock_to_date(gen_random_uuid(), 1, '2026-02')$$, '42501', 'permission denied for function stock_to_date', 'only views may ask');
SELECT throws_ok($$SELECT kpi.stock_is_carried(gen_random_uuid(), 1, '2026-02')$$, '42501', 'permission denied for function stock_is_carried', 'only views may ask that');
RESET ROLE;
ROLLBACK TO by_hand;

-- ---- random organisations, against a copy that ends with the period
CREATE TABLE pg_temp.outcome (trial integer, day date, kpi_id bigint, period text, measure text, actual numeric, to_date numeric, year_of_copy numeric);
CREATE FUNCTION pg_temp.compare(trial integer, day date) RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
    shown jsonb;
    years jsonb;
BEGIN
    shown := (SELECT jsonb_agg(to_jsonb(t)) FROM (SELECT t.kpi_id, t.period::text AS period, t.measure, t.actual, t.year_to_date AS to_date
                                                    FROM kpi.trend t WHERE t.period_end = day) t);
    BEGIN
        DELETE FROM kpi.fact f WHERE kpi.last_day(f.period) > day;
        DELETE FROM kpi.unit_history h WHERE h.effective_from > day;
        DELETE FROM kpi.link l WHERE l.valid_from > day;
        UPDATE kpi.link l SET valid_to = NULL WHERE l.valid_to > day;
        UPDATE kpi.unit u SET valid_to = NULL WHERE u.valid_to > day;
        UPDATE kpi.kpi k SET valid_to = NULL WHERE k.valid_to > day;
        UPDATE kpi.unit u SET valid_from = '2030-01-01' WHERE u.valid_from > day;
        UPDATE kpi.kpi k SET valid_from = '2030-01-01' WHERE k.valid_from > day;
        years := (SELECT jsonb_agg(to_jsonb(y)) FROM (SELECT a.kpi_id, a.actual FROM kpi.attainment a JOIN kpi.measure m USING (measure_id)
                                                       WHERE a.period = kpi.period(day, 'year', m.fiscal_start)) y);
        RAISE EXCEPTION 'back' USING ERRCODE = 'PC999';
    EXCEPTION WHEN SQLSTATE 'PC999' THEN
        NULL;
    END;
    INSERT INTO outcome
    SELECT trial, day, t.kpi_id, t.period, t.measure, t.actual, t.to_date, y.actual
      FROM jsonb_to_recordset(shown) t (kpi_id bigint, period text, measure text, actual numeric, to_date numeric)
      LEFT JOIN jsonb_to_recordset(years) y (kpi_id bigint, actual numeric) ON y.kpi_id = t.kpi_id;
END $body$;
CREATE FUNCTION pg_temp.try(trial integer, days date[]) RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
    day date;
    reports constant double precision := 0.15 + (trial % 4) * 0.2;
BEGIN
    PERFORM setseed(trial / 1000.0);
    DELETE FROM kpi.fact;
    UPDATE kpi.kpi SET valid_from = NULL, valid_to = NULL;
    UPDATE kpi.unit SET valid_from = NULL, valid_to = NULL;
    DELETE FROM kpi.unit_history WHERE effective_from > '-infinity';
    INSERT INTO kpi.fact (kpi_id, period, value, weight)
    SELECT k.kpi_id, p, (random() * 40)::integer - 5, 1 + (random() * 3)::integer
      FROM kpi.kpi k JOIN kpi.measure m USING (measure_id) JOIN kpi.unit u USING (unit_id), kpi.generate_series('2025-11', '2026-12') p
     WHERE m.grain = 'month' AND m.code NOT LIKE '%per_head'
       -- for each KPI and period anew
       AND random() + 0 * kpi.days(p) * k.kpi_id < CASE WHEN u.code IN ('X', 'Y', 'Z', 'O') THEN reports ELSE 0.1 END;
    INSERT INTO kpi.fact (kpi_id, period, value)
    SELECT k.kpi_id, p, (random() * 40)::integer
      FROM kpi.kpi k JOIN kpi.measure m USING (measure_id), kpi.generate_series('2025-12-28', '2026-01-12') p
     WHERE m.grain = 'day' AND random() + 0 * kpi.days(p) * k.kpi_id < reports / 2;
    -- reorganised, opened and closed
    PERFORM kpi.move_unit('acme.a.y', 'acme.b', make_date(2026, 2 + (random() * 9)::integer, 1));
    IF random() < 0.5 THEN
        PERFORM kpi.move_unit('acme.b.z', 'acme', make_date(2026, 2 + (random() * 9)::integer, 15));
    END IF;
    PERFORM kpi.set_share('A', round(random()::numeric, 2), make_date(2026, 1 + (random() * 9)::integer, 1));
    UPDATE kpi.kpi SET valid_from = CASE WHEN random() < 0.5 THEN make_date(2026, 1 + (random() * 6)::integer, 1) END,
                       valid_to = CASE WHEN random() < 0.5 THEN make_date(2026, 8 + (random() * 4)::integer, 1) END
     WHERE random() < 0.15;
    UPDATE kpi.unit SET valid_to = make_date(2026, 3 + (random() * 8)::integer, 10) WHERE code = 'X' AND random() < 0.3;
    FOREACH day IN ARRAY days LOOP
        PERFORM pg_temp.compare(trial, day);
    END LOOP;
END $body$;
SELECT pg_temp.try(n, CASE n % 2 WHEN 0 THEN '{2026-01-31,2026-01-04,2026-03-31,2026-07-31}' ELSE '{2026-01-06,2026-01-11,2026-05-31,2026-06-30,2026-11-30}' END::date[])
  FROM generate_series(1, 8) n \g /dev/null
SELECT is_empty($$SELECT * FROM outcome WHERE to_date IS DISTINCT FROM year_of_copy$$, 'random organisations: the year to date is the year of one that ends with the period');
SELECT set_has($$SELECT DISTINCT measure FROM outcome WHERE to_date IS DISTINCT FROM actual AND to_date IS NOT NULL$$,
               $$VALUES ('heads'), ('full_heads'), ('peak'), ('mood'), ('fiscal_heads'), ('beds'), ('sales_per_head'), ('rent_per_head'), ('seats')$$,
               'which for measures of all kinds is not the actual of the period');
SELECT * FROM finish();
ROLLBACK;
