-- Benchmarks, and values suggested for targets from them and from history.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT no_plan();

INSERT INTO kpi.unit (path) VALUES ('acme'), ('acme.a'), ('acme.b'), ('acme.c'), ('acme.d'), ('acme.e'), ('other');
INSERT INTO kpi.measure (code, grain) VALUES ('revenue', 'month'), ('sprint', 'week'), ('day', 'day');
SELECT kpi.deploy(m, u) FROM unnest('{revenue,sprint,day}'::text[]) m, unnest('{acme,other}'::text[]) u \g /dev/null
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES
    ('acme.a', 'revenue', '2025-08', 120),
    ('acme.a', 'revenue', '2026-05', 100), ('acme.a', 'revenue', '2026-06', 110), ('acme.a', 'revenue', '2026-07', 125),
    ('acme.b', 'revenue', '2025-08', 10), ('acme.c', 'revenue', '2025-08', 20), ('acme.d', 'revenue', '2025-08', 40), ('acme.e', 'revenue', '2025-08', 50),
    ('other', 'revenue', '2025-08', 1000);

CREATE FUNCTION pg_temp.suggested(unit text, period text, args text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    r record;
BEGIN
    EXECUTE format('SELECT * FROM kpi.suggest_target(%L, ''revenue'', %L, %s)', unit, period, args) INTO r;
    RETURN concat(coalesce(r.value::text, 'null'), ': ', r.basis);
END $$;
SELECT is(pg_temp.suggested(u, p, a), expected) FROM (VALUES
    ('acme.a', '2026-08', $$'previous'$$, '120: actual of 2025-08 (120)'),
    ('acme.a', '2026-08', $$'previous', uplift => 0.05$$, '126: actual of 2025-08 (120) x 1.05'),
    ('acme.a', '2026-08', $$'previous', uplift => -0.1$$, '108: actual of 2025-08 (120) x 0.9'),
    ('acme.a', '2026-08', $$'previous', of_period => '2026-06'$$, '110: actual of 2026-06 (110)'),
    ('acme.a', '2026-07', $$'previous'$$, 'null: no actual of 2025-07'),
    -- the year 2025 has 120 at acme.a and 10 + 20 + 40 + 50 at the others
    ('acme', '2026', $$'previous'$$, '240: actual of 2025 (240)'),
    -- (100 + 110 + 125) / 3
    ('acme.a', '2026-08', $$'average'$$, '111.666666666667: mean of the actuals of 2026-05 to 2026-07 (100, 110, 125)'),
    ('acme.a', '2026-08', $$'average', n => 2, uplift => 1$$, '235: mean of the actuals of 2026-06 to 2026-07 (110, 125) x 2'),
    ('acme.a', '2026-08', $$'average', n => 4$$, 'null: no actual of 2026-04'),
    ('acme.a', '2026-09', $$'average', n => 2$$, 'null: no actual of 2026-08'),
    -- slope (125 - 100) / 2 = 12.5, mean 111.666.. at x = 2, so at x = 4: 111.666.. + 25
    ('acme.a', '2026-08', $$'trend'$$, '136.666666666667: least squares through the actuals of 2026-05 to 2026-07 (100, 110, 125)'),
    ('acme.a', '2026-08', $$'trend', n => 2$$, '140: least squares through the actuals of 2026-06 to 2026-07 (110, 125)'),
    ('acme.a', '2026-08', $$'trend', n => 5$$, 'null: no actual of 2026-03, 2026-04'),
    -- siblings 10, 20, 40, 50: place 0.75 * 3 = 2.25, so 40 + 0.25 * 10; the median 30; a tenth 10 + 0.3 * 10
    ('acme.a', '2026-08', $$'peer_percentile'$$, '42.5: percentile 0.75 of the actuals of 4 sibling units in 2025-08 (10 to 50)'),
    ('acme.a', '2026-08', $$'peer_percentile', percentile => 0.5$$, '30: percentile 0.5 of the actuals of 4 sibling units in 2025-08 (10 to 50)'),
    ('acme.a', '2026-08', $$'peer_percentile', percentile => 0.1$$, '13: percentile 0.1 of the actuals of 4 sibling units in 2025-08 (10 to 50)'),
    ('acme.a', '2026-08', $$'peer_percentile', percentile => 1$$, '50: percentile 1 of the actuals of 4 sibling units in 2025-08 (10 to 50)'),
    ('acme.b', '2026-08', $$'peer_percentile', percentile => 0, of_period => '2026-06'$$, '110: percentile 0 of the actuals of 1 sibling units in 2026-06 (110 to 110)'),
    ('acme.a', '2026-08', $$'peer_percentile', of_period => '2026-06'$$, 'null: no sibling unit has an actual of 2026-06'),
    ('acme', '2026-08', $$'peer_percentile'$$, 'null: no sibling unit has an actual of 2025-08'),
    ('acme.a', '2026-08', $$'benchmark'$$, 'null: no benchmark of measure "revenue" until 2026-08')) AS t (u, p, a, expected);

-- ---- benchmarks
INSERT INTO kpi.benchmark (measure_id, source, period, value, percentile)
SELECT m.measure_id, b.* FROM kpi.measure m, (VALUES
    ('APQC', '2024'::kpi_period, 200, NULL), ('APQC', '2025', 210, 0.5), ('APQC', '2025', 260, 0.75), ('APQC', '2025', 300, 0.9),
    ('Rival', '2025', 250, NULL), ('Rival', '2027', 999, NULL), ('Rule', NULL, 111.50, NULL)) AS b (source, period, value, percentile)
 WHERE m.code = 'revenue';
SELECT is(pg_temp.suggested('acme.a', '2026-08', a), expected) FROM (VALUES
    ($$'benchmark'$$, '250: benchmark of Rival for 2025 (250)'),
    ($$'benchmark', source => 'APQC'$$, '260: benchmark of APQC for 2025, percentile 0.75 (260)'),
    ($$'benchmark', source => 'APQC', percentile => 0.5, uplift => 0.1$$, '231: benchmark of APQC for 2025, percentile 0.5 (210) x 1.1'),
    ($$'benchmark', of_period => '2024'$$, '200: benchmark of APQC for 2024 (200)'),
    ($$'benchmark', source => 'Rule'$$, '111.5: benchmark of Rule (111.5)'),
    ($$'benchmark', source => 'Rule', percentile => 0.5$$, 'null: no benchmark of measure "revenue" from "Rule" at percentile 0.5 until 2026-08'),
    ($$'benchmark', of_period => '2023'$$, 'null: no benchmark of measure "revenue" for 2023')) AS t (a, expected);
SELECT throws_ok($$INSERT INTO kpi.benchmark (measure_id, source, value, percentile) SELECT measure_id, 'x', 1, 75 FROM kpi.measure LIMIT 1$$, '23514', 'percentile "75" of a benchmark is out of range');
SELECT throws_ok($$INSERT INTO kpi.benchmark (measure_id, source, value) SELECT measure_id, 'x', 'NaN' FROM kpi.measure LIMIT 1$$, '22003', 'value "NaN" of a benchmark is out of range');
SELECT throws_ok($$INSERT INTO kpi.benchmark (measure_id, source, value) SELECT measure_id, 'Rule', 1 FROM kpi.benchmark$$, '23505', NULL, 'one value per measure, source, period and percentile');

-- ---- where the year starts is said where a period does not fit: it is what one does not see
CREATE FUNCTION pg_temp.detail(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
BEGIN
    EXECUTE query;
    RETURN 'no error';
EXCEPTION WHEN invalid_parameter_value THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN detail;
END $$;
INSERT INTO kpi.measure (code, fiscal_start) VALUES ('april', 4);
SELECT kpi.deploy('april', 'acme') IS NOT NULL AS deployed \gset
SELECT is(pg_temp.detail(format('SELECT * FROM kpi.%s', f)), format('The measure''s grain is month, with the year starting in month %s.', month), f)
  FROM (VALUES ($$suggest_target('acme.a', 'april', '2026')$$, 4), ($$cascade_target('acme', 'april', '2026', 12)$$, 4), ($$rollup_targets('acme', 'april', '2026')$$, 4),
               ($$suggest_target('acme.a', 'revenue', 'FY2026/04')$$, 1)) AS t (f, month);

-- ---- other grains, typed form, errors
SELECT is((SELECT s FROM kpi.suggest_target('acme.a', 'sprint', '2026-W34') s)::text, '(,"2026-W34 has no same period last year")', 'weeks have no year before');
SELECT is((SELECT s FROM kpi.suggest_target('acme.a', 'day', '2028-02-29') s)::text, '(,"2028-02-29 has no same period last year")', 'nor has a leap day');
SELECT is((SELECT value FROM kpi.suggest_target('acme.a'::kpi_path, 'revenue', '2026-08'::kpi_period, uplift => 0.05)), 126.0, 'the typed form does the same');
SELECT throws_ok($$SELECT kpi.suggest_target('acme.a', 'revenue', '2026-08', 'guess')$$, '22023', 'method "guess" of suggesting a target is not known');
SELECT throws_ok($$SELECT kpi.suggest_target('acme.a', 'revenue', '2026-08-01')$$, '22023', 'target period "2026-08-01" for unit "acme.a" does not fit measure "revenue"');
SELECT throws_ok($$SELECT kpi.suggest_target('acme.a', 'revenue', '2026-08', 'trend', n => 1)$$, '22023', 'n "1" is out of range');
SELECT throws_ok($$SELECT kpi.suggest_target('acme.a', 'revenue', '2026-08', 'peer_percentile', percentile => 75)$$, '22023', 'percentile "75" is out of range');
SELECT throws_ok($$SELECT kpi.suggest_target('acme.a', 'speed', '2026-08')$$, '42704', 'KPI of unit "acme.a" and measure "speed" does not exist');

SELECT * FROM finish();
ROLLBACK;
