-- kpi.restated(day): every number with the parents, shares and links of one
-- day, beside kpi.attainment, which has those of each period.  Expected values
-- are worked out by hand in the comments.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT no_plan();

INSERT INTO kpi.unit (path, valid_from, valid_to) VALUES
    ('acme', NULL, NULL), ('acme.a', NULL, NULL), ('acme.b', NULL, NULL),
    ('acme.a.t', NULL, '2026-05-01'),       -- the team that moves
    ('acme.a.n', '2026-03-01', NULL);       -- a team that comes later
INSERT INTO kpi.measure (code, rolls_up) VALUES ('revenue', true), ('spend', false), ('total', false);
SELECT kpi.deploy('revenue', 'acme'), kpi.deploy('spend', 'acme.a', '{2}'), kpi.deploy('total', 'acme', '{1}');

INSERT INTO kpi.fact_entry (unit, measure, period, value)
SELECT unit, 'revenue', '2026-0' || month, value
  FROM (VALUES (1, 10), (2, 20), (3, 30), (4, 40)) AS t (month, team),
       LATERAL (VALUES ('acme.a.t', team), ('acme.a', 1), ('acme.b', 2)) AS f (unit, value);
INSERT INTO kpi.fact_entry (unit, measure, period, value)
SELECT 'acme.a', 'spend', '2026-0' || month, 100 FROM generate_series(1, 4) AS month;
SELECT kpi.link_kpi('acme.a', 'spend', 'acme', 'total', 'value', 2, '2026-02-01', '2026-04-01');
INSERT INTO kpi.target_entry (unit, measure, period, value) VALUES ('acme.b', 'revenue', '2026-02', 44);

SELECT kpi.move_unit('acme.a.t', 'acme.b', '2026-03-01');
SELECT kpi.set_share('acme.b', 0.5, '2026-04-01');

-- Jan | Feb | Mar | Apr | year of a unit's measure, '-' where there is no row
CREATE FUNCTION pg_temp.line(as_of date, unit text, measure text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(coalesce(r.actual::text, '-'), ' | ' ORDER BY p)
      FROM unnest('{2026-01,2026-02,2026-03,2026-04,2026}'::text[]) WITH ORDINALITY AS x (period, p)
      LEFT JOIN (SELECT * FROM kpi.attainment WHERE line.as_of IS NULL
                 UNION ALL SELECT * FROM kpi.restated(line.as_of)) r
        ON r.period = x.period::kpi_period AND r.unit_now = line.unit::kpi_path AND r.measure = line.measure
$$;

-- ---- as was: the team counts in a until February, in b from March on; half of b from April on
SELECT is(pg_temp.line(NULL, 'acme.a', 'revenue'), '11 | 21 | 1 | 1 | 34', 'as was: a has the team until February');
SELECT is(pg_temp.line(NULL, 'acme.b', 'revenue'), '2 | 2 | 32 | 42 | 78', 'as was: b has it from March on');
-- 11+2 | 21+2 | 1+32 | 1+0.5*42 = 22 | 13+23+33+22 = 91
SELECT is(pg_temp.line(NULL, 'acme', 'revenue'), '13 | 23 | 33 | 22 | 91', 'as was: b counts half from April on');
SELECT is(pg_temp.line(NULL, 'acme', 'total'), '- | 200 | 200 | - | 400', 'as was: the link counts while it is in force');

-- ---- as is on 1 May: the team in b, and half of b, always
SELECT is(pg_temp.line('2026-05-01', 'acme.a', 'revenue'), '1 | 1 | 1 | 1 | 4', 'as is: a never had the team');
-- 2+10 | 2+20 | 2+30 | 2+40 | 12+22+32+42 = 108
SELECT is(pg_temp.line('2026-05-01', 'acme.b', 'revenue'), '12 | 22 | 32 | 42 | 108', 'as is: b always had it');
-- 1+0.5*12 = 7 | 1+0.5*22 = 12 | 1+0.5*32 = 17 | 1+0.5*42 = 22 | 58
SELECT is(pg_temp.line('2026-05-01', 'acme', 'revenue'), '7 | 12 | 17 | 22 | 58', 'as is: half of b always');
SELECT is(pg_temp.line('2026-05-01', 'acme', 'total'), '- | - | - | - | -', 'no link is in force on that day, so none ever');

-- ---- as it was in January: the team in a, all of b
SELECT is(pg_temp.line('2026-01-31', 'acme.a', 'revenue'), '11 | 21 | 31 | 41 | 104', 'in January''s structure a keeps the team');
-- 11+2 | 21+2 | 31+2 | 41+2 | 112
SELECT is(pg_temp.line('2026-01-31', 'acme', 'revenue'), '13 | 23 | 33 | 43 | 112', 'and b counts in full');
SELECT is(pg_temp.line('2026-03-15', 'acme', 'total'), '200 | 200 | 200 | 200 | 800', 'a link in force on that day counts in every period');
SELECT is(pg_temp.line('2026-03-01', 'acme', 'revenue'), '13 | 23 | 33 | 43 | 112', 'the day of the move: in b, with a share of 1');
SELECT is(pg_temp.line('2026-03-01', 'acme.b', 'revenue'), '12 | 22 | 32 | 42 | 108', 'the first day of a row of history has it');
SELECT is(pg_temp.line('2026-02-28', 'acme.b', 'revenue'), '2 | 2 | 2 | 2 | 8', 'the day before does not');

-- ---- targets and what follows from them: 22 of 44 on 1 May, 2 of 44 in January
SELECT is((SELECT array_agg(r.attainment ORDER BY d)
             FROM unnest('{2026-01-31, 2026-05-01}'::date[]) d, kpi.restated(d) r
            WHERE r.unit_now = 'acme.b' AND r.measure = 'revenue' AND r.period = '2026-02'),
          ARRAY[0.045454545455, 0.5], 'attainments follow the restated actuals');

-- ---- paths are those of the day
SELECT is((SELECT string_agg(DISTINCT r.unit::text || ' ' || r.unit_now::text, ',') FROM kpi.restated('2026-01-31') r
            WHERE r.unit_id = kpi.unit_id('acme.b.t')), 'acme.a.t acme.b.t', 'unit is the path on that day');
SELECT is((SELECT string_agg(DISTINCT r.unit::text, ',') FROM kpi.restated('infinity') r
            WHERE r.unit_id = kpi.unit_id('acme.b.t')), 'acme.b.t', 'the end of time is a day like any other');

-- ---- alive by the period: the team ends with April, wherever it is looked at from
SELECT is(pg_temp.line('2026-12-31', 'acme.b', 'revenue'), '12 | 22 | 32 | 42 | 108', 'a unit that has ended keeps its latest earlier parent');
SELECT is(pg_temp.line('2026-12-31', 'acme.b.t', 'revenue'), '10 | 20 | 30 | 40 | -', 'and has no year, as its last day is past its end');

-- ---- a team that comes in March: its February does not count, on whatever day
SELECT kpi.move_unit('acme.a.n', 'acme.b', '2026-06-01');
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES
    ('acme.b.n', 'revenue', '2026-02', 7000), ('acme.b.n', 'revenue', '2026-03', 3000);
SELECT is(pg_temp.line('2025-01-01', 'acme.a', 'revenue'), '11 | 21 | 3031 | 41 | 3104', 'before it existed: its first parent');
SELECT is(pg_temp.line('2026-06-01', 'acme.b', 'revenue'), '12 | 22 | 3032 | 42 | 3108', 'after the move: its new parent, in March too');
-- history from -infinity on lost, as only disabled triggers allow: what is left begins in June
SET LOCAL session_replication_role = replica;
DELETE FROM kpi.unit_history WHERE unit_id = kpi.unit_id('acme.b.n') AND effective_from = '-infinity';
SET LOCAL session_replication_role = origin;
SELECT is(pg_temp.line('2025-01-01', 'acme.b', 'revenue'), '2 | 2 | 3002 | 2 | 3008', 'no history so early: the earliest later parent');

SELECT is_empty('SELECT * FROM kpi.restated(NULL)', 'no day, no rows');

-- ---- restating is the same as rewriting history: every row, every column
INSERT INTO kpi.measure (code, rollup, time_rollup, multiplier, scoring) VALUES
    ('stock', 'sum', 'last', 1, 'ratio'), ('margin', 'ratio', 'pool', 100, 'ratio'), ('price', 'min', 'mean', 1, 'step');
INSERT INTO kpi.measure (code, rollup, rolls_up, multiplier, result_weight) VALUES
    ('per_head', 'ratio', false, 1, 0.4), ('growth', 'none', false, 100, 1);
SELECT kpi.deploy(m, 'acme') FROM unnest('{stock,margin,price}'::text[]) m;
SELECT kpi.deploy(m, 'acme', '{1,2}') FROM unnest('{per_head,growth}'::text[]) m;
INSERT INTO kpi.fact_entry (unit, measure, period, value, weight)
SELECT unit, measure, to_char(date '2025-01-01' + make_interval(months => i), 'YYYY-MM'), (i * 7 + length(unit) * 3) % 11, 1 + i % 3
  FROM unnest('{acme.a,acme.b,acme.b.t,acme.b.n}'::text[]) unit, unnest('{revenue,stock,margin,price}'::text[]) measure, generate_series(0, 15) i;
SELECT kpi.set_target(unit, measure, '2026', 17)
  FROM unnest('{acme,acme.a,acme.b}'::text[]) unit, unnest('{revenue,stock,margin,price,per_head,growth}'::text[]) measure;
SELECT kpi.link_kpi(u, 'revenue', u, 'per_head', 'numerator', 1, '2025-06-01'), kpi.link_kpi(u, 'stock', u, 'per_head', 'denominator'),
       kpi.link_kpi(u, 'revenue', u, 'growth', 'growth', 1, '2026-01-01'), kpi.link_kpi(u, 'margin', u, 'per_head', 'score', 2, NULL, '2026-03-01')
  FROM unnest('{acme,acme.a,acme.b}'::text[]) u;
SELECT kpi.link_kpi('acme.a', 'per_head', 'acme', 'per_head', 'score', 3, '2026-03-01');
INSERT INTO kpi.unit_history SELECT unit_id, '-infinity', kpi.unit_id('acme.a'), 0.25 FROM kpi.unit WHERE path = 'acme.b.n';
SELECT kpi.set_share('acme.a', 0.75, '2026-02-01');

CREATE TEMP TABLE day AS SELECT unnest('{2025-03-01, 2026-02-15, 2026-03-20, 2026-07-01}'::date[]) AS day;
CREATE TEMP TABLE restated AS SELECT d.day, r.* FROM day d, kpi.restated(d.day) r;
SELECT cmp_ok(count(*), '>', 1000::bigint, 'there are many rows to compare') FROM restated;
SELECT cmp_ok((SELECT count(*) FROM (SELECT to_jsonb(r) - 'day' FROM restated r WHERE r.day = d.day EXCEPT SELECT to_jsonb(a) FROM kpi.attainment a) x),
              '>', 10::bigint, 'restating to ' || d.day || ' changes many') FROM day d;

CREATE FUNCTION pg_temp.rewritten(day date) RETURNS SETOF kpi.attainment LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM kpi.link l WHERE NOT (coalesce(l.valid_from, '-infinity') <= rewritten.day AND rewritten.day < coalesce(l.valid_to, 'infinity'));
    UPDATE kpi.link SET valid_from = NULL, valid_to = NULL;
    UPDATE kpi.unit_history h SET parent_unit_id = n.parent_unit_id, share = n.share
      FROM kpi.unit_history n
     WHERE n.unit_id = h.unit_id
       AND n.effective_from = (SELECT max(x.effective_from) FROM kpi.unit_history x WHERE x.unit_id = h.unit_id AND x.effective_from <= rewritten.day);
    RETURN QUERY SELECT * FROM kpi.attainment;
END
$$;
CREATE TEMP TABLE rewritten AS SELECT NULL::date AS day, to_jsonb(a) AS row FROM kpi.attainment a WHERE false;
DO $$
DECLARE
    d date;
    found jsonb[];
BEGIN
    FOR d IN SELECT day FROM day LOOP
        BEGIN
            SELECT array_agg(to_jsonb(r)) INTO found FROM pg_temp.rewritten(d) r;
            RAISE EXCEPTION USING ERRCODE = 'KP000';
        EXCEPTION WHEN SQLSTATE 'KP000' THEN
            INSERT INTO rewritten SELECT d, unnest(found);
        END;
    END LOOP;
END
$$;
-- the newest path is that day's path once history says so
SELECT is_empty(format($$ SELECT to_jsonb(r) - 'day' - 'unit_now' FROM restated r WHERE day = %1$L
                          EXCEPT ALL SELECT row - 'unit_now' FROM rewritten WHERE day = %1$L $$, day),
                'nothing more than with history rewritten to ' || day) FROM day;
SELECT is_empty(format($$ SELECT row - 'unit_now' FROM rewritten WHERE day = %1$L
                          EXCEPT ALL SELECT to_jsonb(r) - 'day' - 'unit_now' FROM restated r WHERE day = %1$L $$, day),
                'nothing less than with history rewritten to ' || day) FROM day;

SELECT * FROM finish();
ROLLBACK;
