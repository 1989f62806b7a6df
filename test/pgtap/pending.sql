-- What views show while changes are pending, where a cell rests on another period.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SET LOCAL kpi_cascade.fold_mode = manual;
SELECT no_plan();

INSERT INTO kpi.unit (path) VALUES ('acme'), ('acme.a');
INSERT INTO kpi.measure (code, rollup, rolls_up, multiplier) VALUES ('revenue', 'sum', true, 1), ('growth', 'none', false, 100);
SELECT kpi.deploy('revenue', 'acme'), kpi.deploy('growth', 'acme', '{1}'), kpi.link_kpi('acme', 'revenue', 'acme', 'growth', 'growth') \g /dev/null
CREATE FUNCTION pg_temp.growth() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(a.period || ' ' || a.actual, ', ' ORDER BY a.period) FROM kpi.attainment a
     WHERE a.measure = 'growth' AND a.period IN ('2026-01', '2026-Q1', '2026')
$$;

-- January 49 after 40: 100 * 9 / 40 = 22.5, and no other month has a year before
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES
    ('acme.a', 'revenue', '2025-01', 40), ('acme.a', 'revenue', '2026-01', 49), ('acme.a', 'revenue', '2026-02', 7);
SELECT is(pg_temp.growth(), '2026-01 22.5, 2026-Q1 22.5, 2026 22.5', 'growth, nothing folded yet');
SELECT kpi.fold() \g /dev/null

-- 100 * (49 - 50) / 50 = -2
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme.a', 'revenue', '2025-01', 10);
SELECT is(pg_temp.growth(), '2026-01 -2, 2026-Q1 -2, 2026 -2', 'a pending change of the year before changes the growth');
SELECT is_empty('SELECT * FROM kpi.verify()', 'as does recomputation');
SELECT kpi.fold() \g /dev/null
SELECT is(pg_temp.growth(), '2026-01 -2, 2026-Q1 -2, 2026 -2', 'as does a fold');

-- 49 + 7 after 50 + 14 in the quarter: 100 * (56 - 64) / 64 = -12.5
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme.a', 'revenue', '2025-02', 14);
SELECT is(pg_temp.growth(), '2026-01 -2, 2026-Q1 -12.5, 2026 -12.5', 'a pending month of the year before that had no actual makes a pair');
SELECT is_empty('SELECT * FROM kpi.verify()', 'as does recomputation');

SELECT * FROM finish();
ROLLBACK;
