-- Rules of level, measure, kpi, link, fact and target: what is refused, with
-- which SQLSTATE, and what is not.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT no_plan();

-- ---- level
SELECT is(array_agg(kpi.level_name(n) ORDER BY n), '{corporate,business_unit,department,team,level_5}', 'levels have names without rows')
  FROM generate_series(1, 5) n;
INSERT INTO kpi.level VALUES (2, 'division', 'Division'), (5, 'squad', NULL);
SELECT is(array_agg(kpi.level_name(n) ORDER BY n), '{corporate,division,department,team,squad,level_6}', 'rows rename and add levels')
  FROM generate_series(1, 6) n;
SELECT is(kpi.level_name(NULL), NULL, 'no level, no name');
SELECT throws_ok($$INSERT INTO kpi.level VALUES (0, 'x')$$, '23514', 'level "0" is not positive');
SELECT throws_ok($$INSERT INTO kpi.level VALUES (7, 'squad')$$, '23505', NULL, 'level codes are unique');

-- ---- measure
SELECT throws_ok(format('INSERT INTO kpi.measure (code, %I) VALUES (''x'', %L)', c, v), e, m)
  FROM (VALUES
    ('direction', 'up', '23514', 'direction "up" is not known'),
    ('rollup', 'median', '23514', 'rollup "median" is not known'),
    ('time_rollup', 'first', '23514', 'time_rollup "first" is not known'),
    ('scoring', 'points', '23514', 'scoring "points" is not known'),
    ('driver_rollup', 'sum', '23514', 'driver_rollup "sum" is not known'),
    ('missing_child', 'ignore', '23514', 'missing_child "ignore" is not known'),
    ('multiplier', 'NaN', '22003', 'multiplier "NaN" is out of range'),
    ('score_cap', 'Infinity', '22003', 'score_cap "Infinity" is out of range'),
    ('exceeded_from', '0.000000000000000000001', '22003', 'exceeded_from "0.000000000000000000001" is out of range'),
    ('result_weight', '1.1', '23514', 'result_weight "1.1" is out of range'),
    ('fiscal_start', '13', '23514', 'fiscal_start "13" is not a month'),
    ('score_floor', '2', '23514', 'score_floor "2" is above score_cap "1"'),
    ('at_risk_from', '2', '23514', 'at_risk_from "2" is above on_track_from "1"')) AS r (c, v, e, m);
SELECT lives_ok($$INSERT INTO kpi.measure (code, score_floor, score_cap, exceeded_from, multiplier)
                  VALUES ('open', NULL, NULL, 1.2, 999999999999999999999999999999.00000000000000000001000)$$,
                'open bounds and the largest number are accepted');

INSERT INTO kpi.unit (path) VALUES ('acme'), ('acme.sales'), ('acme.ops');
INSERT INTO kpi.measure (code, grain, fiscal_start, scoring) VALUES
    ('revenue', 'month', 4, 'ratio'), ('tickets', 'day', 1, 'range'), ('sprint', 'week', 1, 'curve'), ('staff', 'quarter', 4, 'ratio'),
    ('spare', 'month', 1, 'ratio');
SELECT is(kpi.deploy(code, 'acme'), 3::bigint, code || ' is deployed at three units') FROM kpi.measure WHERE code <> 'open';

-- ---- kpi
SELECT throws_ok($$UPDATE kpi.kpi SET weight = -1$$, '22003', 'weight "-1" is out of range');
SELECT throws_ok($$UPDATE kpi.kpi SET weight = 'NaN'$$, '22003', 'weight "NaN" is out of range');
SELECT throws_ok($$UPDATE kpi.kpi SET valid_from = '2026-01-01', valid_to = '2026-01-01'$$, '23514', 'valid_to "2026-01-01" does not come after valid_from');
SELECT throws_ok($$INSERT INTO kpi.kpi (unit_id, measure_id) SELECT unit_id, measure_id FROM kpi.kpi LIMIT 1$$, '23505', NULL, 'one KPI per unit and measure');

-- ---- target: periods.  Month, year from April: months, and quarters, halves and years of that fiscal start
SELECT lives_ok(format('SELECT kpi.set_target(%L, %L, %L, 1)', 'acme', m, p), format('%s takes a target of %s', m, p))
  FROM (VALUES ('revenue', '2026-08'), ('revenue', 'FY2027-Q1/04'), ('revenue', 'FY2027-H1/04'), ('revenue', 'FY2027/04'),
               ('tickets', '2026-08-14'), ('tickets', '2026-W34'), ('tickets', '2026-08'), ('tickets', '2026-Q3'), ('tickets', '2026'),
               ('sprint', '2026-W34'), ('staff', 'FY2027-Q1/04'), ('staff', 'FY2027-H2/04'), ('staff', 'FY2027/04')) AS t (m, p);
SELECT throws_ok(format('SELECT kpi.set_target(%L, %L, %L, 1)', 'acme', m, p), '22023',
                 format('target period "%s" for unit "acme" does not fit measure "%s"', p, m))
  FROM (VALUES ('revenue', '2026-08-14'), ('revenue', '2026-W34'), ('revenue', '2026-Q3'), ('revenue', '2026'), ('revenue', 'FY2027/07'),
               ('tickets', 'FY2027/04'), ('sprint', '2026-08-14'), ('sprint', '2026-08'), ('sprint', '2026'), ('staff', '2026-08'), ('staff', '2026-Q3')) AS t (m, p);
SELECT throws_ok($$UPDATE kpi.target SET period = '2026-W33' WHERE period = '2026-08'$$, '22023', NULL, 'an update is held to the same rule');

-- ---- target: numbers
SELECT throws_ok($$SELECT kpi.set_target('acme', 'revenue', '2026-08', NULL)$$, '23502', 'target for unit "acme" and measure "revenue" in 2026-08 has no value');
SELECT lives_ok($$SELECT kpi.set_target('acme', 'tickets', '2026-08', NULL, NULL, 5, 5)$$, 'a range needs no value, and may be a point');
SELECT throws_ok($$SELECT kpi.set_target('acme', 'tickets', '2026-08', NULL, NULL, 5, 4)$$, '23514', 'low "5" of a target is above high "4"');
SELECT throws_ok($$SELECT kpi.set_target('acme', 'revenue', '2026-08', 'NaN')$$, '22003', 'value "NaN" of a target is out of range');
SELECT throws_ok($$SELECT kpi.set_target('acme', 'revenue', '2026-08', 1, 1e30)$$, '22003', NULL, 'a baseline of 31 digits is out of range');
SELECT throws_ok($$SELECT kpi.set_target('acme', 'revenue', '2026-08', 1, NULL, '-Infinity')$$, '22003', 'low "-Infinity" of a target is out of range');
SELECT lives_ok($$SELECT kpi.set_target('acme', 'sprint', '2026-W34', NULL, points => '{{10,1},{0,0}}')$$, 'points come in any order');
SELECT throws_ok($$SELECT kpi.set_target('acme', 'sprint', '2026-W34', NULL, points => '{{1,0},{1.0,1}}')$$, '23514', 'two points of a target have the value "1"');
SELECT throws_ok(format('SELECT kpi.set_target(%L, %L, %L, NULL, points => %L)', 'acme', 'sprint', '2026-W34', p), '23514',
                 format('points "%s" of a target are no list of points', p))
  FROM unnest('{"{1,2}","{{1},{2}}","{{1,2,3}}","{{1,NULL}}","{}"}'::text[]) p;
SELECT throws_ok($$SELECT kpi.set_target('acme', 'sprint', '2026-W34', NULL, points => '{{1,NaN}}')$$, '22003', 'points "NaN" of a target is out of range');
SELECT throws_ok($$INSERT INTO kpi.target (kpi_id, period, value) SELECT kpi_id, period, 1 FROM kpi.target LIMIT 1$$, '23505', NULL, 'one target per KPI and period');

-- ---- changing a measure under facts and targets
SELECT lives_ok($$SELECT kpi.record_fact('acme', 'revenue', '2026-08', 10), kpi.record_fact('acme', 'staff', 'FY2027-Q1/04', 10)$$);
SELECT throws_ok($$UPDATE kpi.measure SET grain = 'day' WHERE code = 'revenue'$$, '55006', NULL, 'a grain with facts stays');
SELECT throws_ok($$UPDATE kpi.measure SET fiscal_start = 1 WHERE code = 'revenue'$$, '55006', NULL, 'a fiscal start with targets of quarters stays');
SELECT lives_ok($$DELETE FROM kpi.target WHERE period <> '2026-08' AND kpi_id IN (SELECT kpi_id FROM kpi.kpi JOIN kpi.measure USING (measure_id) WHERE code = 'revenue')$$);
SELECT lives_ok($$UPDATE kpi.measure SET fiscal_start = 1 WHERE code = 'revenue'$$, 'months do not mind the fiscal start');
SELECT throws_ok($$UPDATE kpi.measure SET fiscal_start = 1 WHERE code = 'staff'$$, '55006', NULL, 'quarters do');
SELECT lives_ok($$UPDATE kpi.measure SET grain = 'day', fiscal_start = 7 WHERE code = 'spare'$$, 'a measure without facts and targets may change');
SELECT throws_ok($$UPDATE kpi.measure SET scoring = 'ratio' WHERE code = 'tickets'$$, '55006', NULL, 'scoring cannot come to need a value that targets lack');
SELECT lives_ok($$UPDATE kpi.measure SET scoring = 'curve' WHERE code = 'tickets'$$, 'curve needs none either');
SELECT lives_ok($$UPDATE kpi.measure SET rollup = 'mean', direction = 'lower', score_cap = 2 WHERE code = 'revenue'$$, 'other rules may change at any time');

-- ---- facts keep their KPI
SELECT throws_ok($$DELETE FROM kpi.kpi WHERE kpi_id = kpi.kpi_id('acme', 'revenue')$$, '23503', 'KPI of unit "acme" and measure "revenue" still has facts');
SELECT throws_ok($$TRUNCATE kpi.kpi$$, '0A000', NULL, 'KPIs cannot be truncated from under their facts');
SELECT throws_ok($$UPDATE kpi.kpi SET measure_id = (SELECT measure_id FROM kpi.measure WHERE code = 'open') WHERE kpi_id = kpi.kpi_id('acme', 'revenue')$$,
                 '55006', NULL, 'a KPI with facts stays with its measure');
SELECT throws_ok($$DELETE FROM kpi.measure WHERE code = 'revenue'$$, '23503', NULL, 'a measure with KPIs stays');
SELECT throws_ok($$INSERT INTO kpi.fact (kpi_id, period, value) VALUES (-1, '2026-08', 1)$$, '23503', NULL, 'a fact needs its KPI');
SELECT throws_ok($$INSERT INTO kpi.fact (kpi_id, period, value) VALUES (kpi.kpi_id('acme', 'revenue'), '2026-Q3', 1)$$, NULL, NULL, 'a fact needs the grain of its measure');
SELECT throws_ok($$INSERT INTO kpi.fact (kpi_id, period, value) VALUES (kpi.kpi_id('acme', 'revenue'), '2026-08', 'NaN')$$, '22003', NULL, 'a fact is a number');
SELECT is((SELECT count(*) FROM pg_trigger t WHERE tgrelid = 'kpi.fact'::regclass AND tgenabled = 'D'), 2::bigint,
          'the key of fact looks at KPIs only when those are deleted');
SELECT lives_ok($$DELETE FROM kpi.kpi WHERE kpi_id = kpi.kpi_id('acme.ops', 'revenue')$$, 'a KPI without facts goes');
SELECT lives_ok($$SELECT kpi.link_kpi('acme.sales', 'revenue', 'acme', 'revenue', 'score'), kpi.set_target('acme.sales', 'revenue', '2026-08', 1)$$);
SELECT lives_ok($$DELETE FROM kpi.kpi WHERE kpi_id = kpi.kpi_id('acme.sales', 'revenue')$$);
SELECT is((SELECT count(*) FROM kpi.link), 0::bigint, 'its links go with it');

-- ---- link
SELECT throws_ok(format('SELECT kpi.link_kpi(%L, %L, %L, %L, %L, %s, %L, %L)', 'acme.sales', 'tickets', 'acme', 'tickets', c, w, f, t), e, m)
  FROM (VALUES
    ('bogus', 1::numeric, NULL::date, NULL::date, '23514', 'contributes "bogus" is not known'),
    ('score', 1e30, NULL, NULL, '22003', 'weight "1000000000000000000000000000000" is out of range'),
    ('score', 1, '2026-01-01', '2026-01-01', '23514', 'valid_to "2026-01-01" does not come after valid_from')) AS r (c, w, f, t, e, m);
SELECT throws_ok($$SELECT kpi.link_kpi('acme', 'tickets', 'acme', 'tickets', 'score')$$, '23514', NULL, 'no KPI is linked to itself');
SELECT lives_ok($$SELECT kpi.link_kpi('acme.sales', 'tickets', 'acme', 'tickets', 'score', 1, NULL, '2026-01-01')$$);
SELECT lives_ok($$SELECT kpi.link_kpi('acme.sales', 'tickets', 'acme', 'tickets', 'score', 2, '2026-01-01')$$, 'validities may touch');
SELECT throws_ok($$SELECT kpi.link_kpi('acme.sales', 'tickets', 'acme', 'tickets', 'score', 1, '2025-06-01', '2025-07-01')$$, '23P01', NULL, 'and not overlap');
SELECT lives_ok($$SELECT kpi.link_kpi('acme.sales', 'tickets', 'acme', 'tickets', 'aligned'), kpi.link_kpi('acme.ops', 'tickets', 'acme', 'tickets', 'score')$$,
                'another kind or another child is another link');
SELECT lives_ok($$INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes) SELECT child_kpi_id, parent_kpi_id, contributes FROM kpi.link ON CONFLICT DO NOTHING$$);
SELECT is((SELECT count(*) FROM kpi.link), 4::bigint, 'ON CONFLICT DO NOTHING leaves out what overlaps');

-- ---- ON CONFLICT and MERGE by natural keys
SELECT lives_ok($$INSERT INTO kpi.unit (path, name) VALUES ('acme.sales', 'Sales'), ('acme.hr', 'HR') ON CONFLICT (path) DO UPDATE SET name = EXCLUDED.name$$);
SELECT lives_ok($$MERGE INTO kpi.measure m USING (VALUES ('revenue', 'Revenue'), ('new', 'New')) AS s (code, name) ON m.code = s.code
                  WHEN MATCHED THEN UPDATE SET name = s.name WHEN NOT MATCHED THEN INSERT (code, name) VALUES (s.code, s.name)$$);
SELECT lives_ok($$INSERT INTO kpi.fact (kpi_id, period, value, reference) SELECT kpi.kpi_id('acme', 'revenue'), '2026-08', v, 'r1' FROM (VALUES (1)) AS t (v)
                  ON CONFLICT (reference) DO UPDATE SET value = EXCLUDED.value$$);
SELECT lives_ok($$INSERT INTO kpi.fact (kpi_id, period, value, reference) SELECT kpi.kpi_id('acme', 'revenue'), '2026-08', v, 'r1' FROM (VALUES (2)) AS t (v)
                  ON CONFLICT (reference) DO UPDATE SET value = EXCLUDED.value$$);
SELECT results_eq($$SELECT value FROM kpi.fact WHERE reference = 'r1'$$, ARRAY[2::numeric], 'a load by reference can be repeated');
SELECT lives_ok($$MERGE INTO kpi.unit u USING (VALUES ('acme.hr'::kpi_path, 'People'), ('acme.hr.eu', 'EU')) AS s (path, name) ON u.path = s.path
                  WHEN MATCHED THEN UPDATE SET name = s.name WHEN NOT MATCHED THEN INSERT (path, name) VALUES (s.path, s.name)$$);
SELECT results_eq($$SELECT u.name, h.parent_unit_id IS NOT NULL FROM kpi.unit u JOIN kpi.unit_history h USING (unit_id) WHERE u.path <@ 'acme.hr' ORDER BY u.path$$,
                  $$VALUES ('People', true), ('EU', true)$$, 'MERGE into units keeps history');

SELECT * FROM finish();
ROLLBACK;
