-- A single figure with changes pending beneath it: where facts were only added
-- and everything beneath is known, it comes from what was added alone; in all
-- other cases from the cells it rests on.  Each figure below is asked for by its
-- key, so alone, and must be what the facts come to, by hand.
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SELECT plan(36);
SELECT kpi.version() IS NOT NULL AS loaded;
SET LOCAL kpi_cascade.fold_mode = manual;
SET LOCAL kpi_cascade.max_pending = 0;

-- a has b (half of it flows up) and c; b has d and e
INSERT INTO kpi.unit (unit_id, path, name, share) OVERRIDING SYSTEM VALUE
VALUES (9001, 'dm_a', 'A', 1), (9002, 'dm_a.b', 'B', 0.5), (9003, 'dm_a.c', 'C', 1), (9004, 'dm_a.b.d', 'D', 1), (9005, 'dm_a.b.e', 'E', 1);
INSERT INTO kpi.measure (measure_id, code, name, rollup, time_rollup, missing_child)
VALUES (9001, 'dm_sum', 'sum', 'sum', 'pool', 'exclude'), (9002, 'dm_min', 'min', 'min', 'pool', 'exclude'), (9003, 'dm_max', 'max', 'max', 'pool', 'exclude'),
       (9004, 'dm_ratio', 'ratio', 'ratio', 'pool', 'exclude'), (9005, 'dm_require', 'require', 'sum', 'pool', 'require'), (9006, 'dm_last', 'last', 'sum', 'last', 'exclude');
SELECT count(kpi.deploy(code, 'dm_a')) FROM kpi.measure WHERE code LIKE 'dm\_%';
-- January to December 2025 and all teams: the value is the month, the weight 2
INSERT INTO kpi.fact (kpi_id, period, value, weight)
SELECT k.kpi_id, kpi.period(make_date(2025, month, 1), 'month'), month, 2
  FROM kpi.kpi k JOIN kpi.measure m USING (measure_id), generate_series(1, 12) month
 WHERE m.code LIKE 'dm\_%' AND k.unit_id IN (9003, 9004, 9005);
INSERT INTO kpi.target (kpi_id, period, value)
SELECT k.kpi_id, '2025-03', 10 FROM kpi.kpi k JOIN kpi.measure m USING (measure_id) WHERE m.code LIKE 'dm\_%' AND k.unit_id = 9001;
SELECT kpi.fold() > 0 AS folded;

CREATE FUNCTION pg_temp.actual(measure text, period kpi_period, unit bigint DEFAULT 9001) RETURNS numeric LANGUAGE sql AS
    'SELECT a.actual FROM kpi.attainment a WHERE a.kpi_id = (SELECT k.kpi_id FROM kpi.kpi k JOIN kpi.measure m USING (measure_id) WHERE m.code = $1 AND k.unit_id = $3) AND a.period = $2';
CREATE FUNCTION pg_temp.add(measure text, unit bigint, period kpi_period, value numeric, weight numeric DEFAULT 1) RETURNS void LANGUAGE sql AS
    'INSERT INTO kpi.fact (kpi_id, period, value, weight) SELECT k.kpi_id, $3, $4, $5 FROM kpi.kpi k JOIN kpi.measure m USING (measure_id) WHERE m.code = $1 AND k.unit_id = $2';

-- March before: c 3, b = d 3 + e 3, of which half: 3 + 3 = 6
SELECT is(pg_temp.actual('dm_sum', '2025-03'), 6::numeric, 'nothing pending');
SELECT is(kpi.is_any_dirty(), false, 'so that views look for nothing');
SELECT lives_ok($$SELECT pg_temp.add('dm_sum', 9004, '2025-03', 5), pg_temp.add('dm_sum', 9003, '2025-03', 0.25)$$);
SELECT is(kpi.is_any_dirty(), true, 'and now they do');
SELECT is(pg_temp.actual('dm_sum', '2025-03'), 8.75::numeric, 'half of 5, and 0.25, are added');
SELECT is(pg_temp.actual('dm_sum', '2025-03', 9002), 11::numeric, 'between, 5 is added');
SELECT is(pg_temp.actual('dm_sum', '2025-03', 9004), 8::numeric, 'so at the team');
-- the year: 78 months at c, half of twice that at b
SELECT is(pg_temp.actual('dm_sum', '2025'), 158.75::numeric, 'the year has the same more: 156 + 2.75');
SELECT results_eq($$SELECT attainment, score, status, coverage, kpi.observations(tally) FROM kpi.attainment a JOIN kpi.kpi k USING (kpi_id) JOIN kpi.measure m ON m.measure_id = k.measure_id
                     WHERE m.code = 'dm_sum' AND k.unit_id = 9001 AND a.period = '2025-03'$$,
    -- 8.75 of 10; n = 1 + 1 (c) + half of 3 (d twice, e)
    $$VALUES (0.875, 0.875, 'at_risk'::kpi_status, 1::numeric, 3.5)$$, 'attainment, score, status, coverage and tally follow');
-- a period in which not everybody has reported: coverage can change
SELECT lives_ok($$SELECT pg_temp.add('dm_sum', 9004, '2026-01', 4)$$);
SELECT is(pg_temp.actual('dm_sum', '2026-01'), 2::numeric, 'a new period');
SELECT is((SELECT coverage FROM kpi.attainment a JOIN kpi.kpi k USING (kpi_id) WHERE k.unit_id = 9001 AND k.measure_id = 9001 AND a.period = '2026-01'),
    -- b: one of two is known, at weight 0.5 of 1.5
    0.166666666667, 'is known in part');
-- extremes
SELECT lives_ok($$SELECT pg_temp.add('dm_min', 9005, '2025-03', -7), pg_temp.add('dm_max', 9005, '2025-03', 2)$$);
SELECT is(pg_temp.actual('dm_min', '2025-03'), -7::numeric, 'a new minimum');
SELECT is(pg_temp.actual('dm_max', '2025-03'), 3::numeric, 'a value that is no new maximum');
SELECT is(pg_temp.actual('dm_min', '2025'), -7::numeric, 'the minimum of the year');
SELECT lives_ok($$DELETE FROM kpi.fact WHERE value = -7$$);
SELECT is(pg_temp.actual('dm_min', '2025-03'), 3::numeric, 'which goes again');
-- ratios: 3 of 2 at each; d gets 7 of 0.5
SELECT lives_ok($$SELECT pg_temp.add('dm_ratio', 9004, '2025-03', 7, 0.5)$$);
-- c 3/2, half of d (10/2.5) and e (3/2): (3 + 5 + 1.5) / (2 + 1.25 + 1)
SELECT is(pg_temp.actual('dm_ratio', '2025-03'), 2.235294117647, 'a ratio of what was added and what there was');
-- the year: c 78/24, d 85/24.5, e 78/24: (78 + 42.5 + 39) / (24 + 12.25 + 12)
SELECT is(pg_temp.actual('dm_ratio', '2025'), 3.305699481865, 'and of the year');
SELECT lives_ok($$SELECT pg_temp.add('dm_require', 9004, '2025-03', 5), pg_temp.add('dm_last', 9004, '2025-12', 5), pg_temp.add('dm_require', 9003, '2026-01', 5)$$);
SELECT is(pg_temp.actual('dm_require', '2025-03'), 8.5::numeric, 'children that are required');
SELECT is(pg_temp.actual('dm_require', '2026-01'), NULL::numeric, 'and of which some are missing');
-- December: c 12, half of d 17 and e 12
SELECT is(pg_temp.actual('dm_last', '2025'), 26.5::numeric, 'the last month of the year');
-- a change of another kind beneath
SELECT lives_ok($$UPDATE kpi.unit SET valid_to = '2025-03-15' WHERE unit_id = 9003$$);
SELECT is(pg_temp.actual('dm_sum', '2025-03'), 5.5::numeric, 'c is gone: half of 11');
SELECT lives_ok($$UPDATE kpi.unit SET valid_to = NULL WHERE unit_id = 9003$$);
SELECT is(pg_temp.actual('dm_sum', '2025-03'), 8.75::numeric, 'and back');
SELECT lives_ok($$SELECT kpi.fold()$$);
SELECT is(pg_temp.actual('dm_sum', '2025-03'), 8.75::numeric, 'the same after a fold');
SELECT is(pg_temp.actual('dm_ratio', '2025'), 3.305699481865, 'the ratio too');
-- a cell that is there, but known in part: a team that reports for the first time changes what is known
SELECT lives_ok($$SELECT pg_temp.add('dm_sum', 9005, '2026-01', 6)$$);
SELECT is((SELECT coverage FROM kpi.attainment a JOIN kpi.kpi k USING (kpi_id) WHERE k.unit_id = 9001 AND k.measure_id = 9001 AND a.period = '2026-01'),
    -- b is known now, at weight 0.5 of 1.5
    0.333333333333, 'more is known of a cell that was known in part');
SELECT is(pg_temp.actual('dm_sum', '2026-01'), 5::numeric, 'half of 4 and 6');
SELECT is_empty('SELECT * FROM kpi.verify()', 'and no difference from the recomputation');
SELECT * FROM finish();
ROLLBACK;
