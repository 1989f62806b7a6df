-- kpi.recompute(): links of every kind, growth, driver scores, missing children.
-- Rows of kpi.link are inserted as they are.  As in recompute.sql, small worlds side
-- by side, and table expected with the arithmetic of each figure.
\set QUIET 1
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET search_path = public;
SELECT no_plan();

CREATE TEMP TABLE expected (kpi_id bigint, period text, figure text, value text, rule text);

-- ---------------------------------------------------------------- value: profit is revenue less cost
-- revenue: January 100, February 50; cost: January 60.  Unit l1.sub has a profit of its own,
-- 7 in January, which must not be counted at l1: a computed KPI is computed at its own unit.
INSERT INTO kpi.unit (unit_id, path) VALUES (1, 'l1'), (2, 'l1.sub');
INSERT INTO kpi.measure (measure_id, code, rollup, missing_child, rolls_up) VALUES
    (1, 'revenue', 'sum', 'exclude', false), (2, 'cost', 'sum', 'exclude', false),
    (3, 'profit', 'sum', 'exclude', true), (4, 'strict profit', 'sum', 'require', true);
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) VALUES (11, 1, 1), (12, 1, 2), (13, 1, 3), (14, 1, 4), (23, 2, 3);
INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes, weight) VALUES
    (11, 13, 'value', 1), (12, 13, 'value', -1), (11, 14, 'value', 1), (12, 14, 'value', -1);
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (11, '2026-01', 100), (11, '2026-02', 50), (12, '2026-01', 60), (23, '2026-01', 7);
INSERT INTO expected VALUES
    (13, '2026-01', 'actual', '40', '100 - 60, and not the 7 of l1.sub'),
    (13, '2026-01', 'tally', '{n=0,value=40,weight=0,product=40,min=60,max=100}', 'n and sums are scaled, extremes are not'),
    (13, '2026-01', 'coverage', '1', 'both sources are known'),
    (13, '2026-02', 'actual', '50', 'exclude: cost is missing'), (13, '2026-02', 'coverage', '0.5', '(1*1 + |-1|*0) / 2'),
    (13, '2026-Q1', 'actual', '90', 'pool: 40 + 50'), (13, '2026-Q1', 'coverage', '0.5', '(1 + 0.5 + 0) / 3'),
    (14, '2026-01', 'actual', '40', 'require: both are there'), (14, '2026-02', 'actual', NULL, 'require: cost is missing'),
    (14, '2026-02', 'tally', NULL, 'require: no tally either'), (14, '2026-02', 'status', 'no_data', 'require: a row without an actual'),
    (14, '2026-02', 'coverage', '0.5', 'half of the sources is known all the same'),
    (14, '2026-Q1', 'actual', '40', 'pool: January alone');

-- a mean of children weighted 1 and 2: (1*10 + 2*40) / (1 + 2)
INSERT INTO kpi.unit (unit_id, path) VALUES (3, 'l2'), (4, 'l2.a'), (5, 'l2.b');
INSERT INTO kpi.measure (measure_id, code, rollup) VALUES (5, 'satisfaction', 'mean');
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) VALUES (35, 3, 5), (45, 4, 5), (55, 5, 5);
INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes, weight) VALUES (55, 35, 'value', 2);
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (45, '2026-01', 10), (55, '2026-01', 40);
INSERT INTO expected VALUES
    (35, '2026-01', 'actual', '30', 'the implied link of weight 1 and the explicit one of weight 2'),
    (35, '2026-01', 'tally', '{n=3,value=90,weight=3,product=90,min=10,max=40}', 'scaled by 2 and merged');

-- ---------------------------------------------------------------- explicit beside implied
-- the explicit link counts half, in February alone; the one of weight 0 is never in force
INSERT INTO kpi.unit (unit_id, path) VALUES (6, 'l3'), (7, 'l3.a'), (8, 'l3.b');
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) VALUES (63, 6, 3), (73, 7, 3), (83, 8, 3);
INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes, weight, valid_from, valid_to) VALUES
    (73, 63, 'value', 0.5, '2026-02-28', '2026-03-31'), (83, 63, 'value', 0, NULL, NULL);
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (73, '2026-01', 10), (73, '2026-02', 10), (73, '2026-03', 10), (83, '2026-03', 1);
INSERT INTO expected VALUES
    (63, '2026-01', 'actual', '10', 'implied link'), (63, '2026-02', 'actual', '5', 'the explicit one replaces it'),
    (63, '2026-03', 'actual', '11', 'its validity ends before 31 March; a link of weight 0 replaces nothing'),
    (63, '2026-Q1', 'actual', '26', '10 + 5 + 11');

-- ---------------------------------------------------------------- numerator and denominator: revenue per head
-- revenue: January 100, February 200; heads, a stock: 10, 20, 25.  rph (17) has them alone, the
-- second (18) returns of weight -1 (January 20) and own facts too: February 30 of 5.
INSERT INTO kpi.unit (unit_id, path) VALUES (10, 'l4'), (11, 'l4.sub');
INSERT INTO kpi.measure (measure_id, code, rollup, time_rollup, missing_child) VALUES
    (6, 'heads', 'sum', 'last', 'exclude'), (7, 'revenue per head', 'ratio', 'pool', 'exclude'), (8, 'net per head', 'ratio', 'mean', 'exclude'),
    (9, 'strict per head', 'ratio', 'pool', 'require'), (10, 'returns', 'sum', 'pool', 'exclude');
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) VALUES (101, 10, 1), (106, 10, 6), (107, 10, 7), (108, 10, 8), (109, 10, 9), (110, 10, 10), (117, 11, 7);
INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes, weight) VALUES
    (101, 107, 'numerator', 1), (106, 107, 'denominator', 1), (101, 109, 'numerator', 1), (106, 109, 'denominator', 1),
    (101, 108, 'numerator', 1), (110, 108, 'numerator', -1), (106, 108, 'denominator', 1);
INSERT INTO kpi.fact (kpi_id, period, value, weight) VALUES
    (101, '2026-01', 100, 1), (101, '2026-02', 200, 1), (106, '2026-01', 10, 1), (106, '2026-02', 20, 1), (106, '2026-03', 25, 1),
    (110, '2026-01', 20, 1), (108, '2026-02', 30, 5), (117, '2026-01', 1, 1);
INSERT INTO expected VALUES
    (107, '2026-01', 'actual', '10', '100 / 10; nothing from l4.sub'), (107, '2026-01', 'tally', '{n=0,value=100,weight=10,product=0}', 'only the two sums'),
    (107, '2026-03', 'actual', '0', 'no revenue: 0 / 25'), (107, '2026-03', 'coverage', '0.5', 'heads alone are known'),
    (107, '2026-Q1', 'actual', '12', 'revenue of the quarter over heads at its end: 300 / 25'),
    (107, '2026', 'actual', '12', 'of the year too'),
    -- revenue: (1 + 1 + 0) / 3 = 0.666666666667; heads (last, own facts): 1; (0.666666666667 + 1) / 2 = 0.8333333333335
    (107, '2026-Q1', 'coverage', '0.833333333334', 'coverage of the children at the quarter'),
    (109, '2026-02', 'actual', '10', 'require: both there'), (109, '2026-03', 'actual', NULL, 'require: no revenue'),
    (109, '2026-Q1', 'actual', '12', 'require: both there in the quarter'),
    (109, '2026-Q2', NULL, NULL, 'nothing there'),
    (108, '2026-01', 'actual', '8', '(100 - 20) / 10'), (108, '2026-02', 'actual', '9.2', '(200 + 30) / (20 + 5)'),
    -- the time rollup does not matter: own facts inside p and the links at p
    (108, '2026-Q1', 'actual', '10.333333333333', '(300 - 20 + 30) / (25 + 5)'),
    -- February: revenue 1, returns 0, heads 1, own facts 1
    (108, '2026-02', 'coverage', '0.75', '(1 + |-1|*0 + 1 + 1) / 4');

-- ---------------------------------------------------------------- growth
-- sales: 2025 January 80, February 50, April -50, May 0; 2026 January 100, March 10, April 25, May 5
INSERT INTO kpi.unit (unit_id, path) VALUES (20, 'l5'), (21, 'l5.sub');
INSERT INTO kpi.measure (measure_id, code, time_rollup, multiplier, rolls_up) VALUES
    (21, 'sales', 'pool', 1, false), (22, 'sales mean', 'mean', 1, false), (23, 'sales last', 'last', 1, false),
    (24, 'growth', 'pool', 100, true), (25, 'growth mean', 'pool', 100, true), (26, 'growth last', 'pool', 100, true);
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) SELECT 200 + measure_id - 20, 21, measure_id FROM kpi.measure WHERE measure_id BETWEEN 21 AND 26;
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) VALUES (214, 20, 24);
INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes) VALUES (201, 204, 'growth'), (202, 205, 'growth'), (203, 206, 'growth');
INSERT INTO kpi.fact (kpi_id, period, value)
SELECT k, f.period, f.value FROM generate_series(201, 203) k, (VALUES ('2025-01'::kpi_period, 80), ('2025-02', 50), ('2025-04', -50), ('2025-05', 0),
    ('2026-01', 100), ('2026-03', 10), ('2026-04', 25), ('2026-05', 5)) AS f (period, value);
INSERT INTO kpi.target (kpi_id, period, value) VALUES (204, '2026-01', 10), (204, '2026-02', 20), (204, '2026-03', 30);
INSERT INTO expected VALUES
    (204, '2026-01', 'actual', '25', '100 * (100 - 80) / 80'), (204, '2026-01', 'tally', NULL, 'a growth KPI has no tally'),
    (204, '2026-01', 'coverage', '1', 'both years known'),
    (204, '2026-03', 'actual', NULL, 'nothing a year earlier'), (204, '2026-03', 'coverage', '0', 'the smaller of 1 and 0'),
    (204, '2026-04', 'actual', '150', '100 * (25 + 50) / |-50|'), (204, '2026-05', 'actual', NULL, 'the older is 0'),
    (204, '2025-01', 'actual', NULL, 'no year before'), (204, '2025-01', 'status', 'no_data', 'a row, because the child has data'),
    (204, '2025-06', NULL, NULL, 'no row without data of the child'),
    (204, '2026-Q1', 'actual', '25', 'like for like: January alone'), (204, '2026-Q1', 'coverage', '0.333333333333', '(1 + 0 + 0) / 3'),
    (204, '2026-Q2', 'actual', '160', 'pool: April and May, 30 against -50: 100 * 80 / 50'),
    (204, '2026-Q2', 'coverage', '0.666666666667', '(1 + 1 + 0) / 3'),
    (204, '2026-H1', 'actual', '333.333333333333', 'pool: January, April, May, 130 against 30: 100 * 100 / 30'),
    (205, '2026-H1', 'actual', '333.33333333333', 'mean: 43.333333333333 against 10, from rounded means'),
    (206, '2026-Q1', 'actual', '25', 'last: the last such pair'), (206, '2026-H1', 'actual', NULL, 'last: May, where the older is 0'),
    (204, '2026-Q1', 'target', '20', 'growth KPIs never sum: mean of 10, 20, 30'), (204, '2026-Q1', 'target_to_date', '10', 'the last actual is January''s'),
    (204, '2026-Q1', 'attainment', '1.25', '1 + (25 - 20) / 20'), (204, '2026-Q1', 'attainment_to_date', '2.5', '1 + (25 - 10) / 10'),
    (214, '2026-01', NULL, NULL, 'no implied link leaves a growth KPI');
-- days: 28 February 2023: 4; 28 February 2024: 6, 29 February: 5
INSERT INTO kpi.measure (measure_id, code, grain) VALUES (27, 'daily sales', 'day'), (28, 'daily growth', 'day');
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) VALUES (207, 21, 27), (208, 21, 28);
INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes) VALUES (207, 208, 'growth');
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (207, '2023-02-28', 4), (207, '2024-02-28', 6), (207, '2024-02-29', 5);
INSERT INTO expected VALUES
    (208, '2024-02-28', 'actual', '0.5', '(6 - 4) / 4'), (208, '2024-02-29', 'actual', NULL, '29 February has no year before'),
    (208, '2024-02', 'actual', '0.5', 'like for like: the 28th alone'), (208, '2024-W09', 'actual', NULL, 'a week has no year before'),
    (208, '2024-02', 'coverage', '0.034482758621', '1 day of 29');

-- ---------------------------------------------------------------- scores of goals (EXAMPLES of an open-source HR suite)
-- Every goal's score is its actual (target 1, no cap).  Links of February show the changes.
INSERT INTO kpi.unit (unit_id, path) VALUES (30, 'l6');
INSERT INTO kpi.unit (unit_id, path) SELECT 300 + n, ('l6.u' || n)::kpi_path FROM generate_series(1, 30) n;
INSERT INTO kpi.measure (measure_id, code, missing_child, score_cap, rolls_up) VALUES (31, 'goal', 'zero', NULL, false);
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) SELECT 1000 + n, 300 + n, 31 FROM generate_series(1, 20) n;
INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes, weight, valid_from, valid_to) VALUES
    -- 1 over 2 and 3
    (1002, 1001, 'score', 1, NULL, NULL), (1003, 1001, 'score', 1, NULL, '2026-03-01'),
    -- 4 over 5 over (6, 7); 8 over 9 over (10, 11); in February 9 moves under 5
    (1005, 1004, 'score', 1, NULL, NULL), (1006, 1005, 'score', 1, NULL, NULL), (1007, 1005, 'score', 1, NULL, NULL),
    (1009, 1008, 'score', 1, NULL, '2026-02-01'), (1010, 1009, 'score', 1, NULL, NULL), (1011, 1009, 'score', 1, NULL, NULL),
    (1009, 1005, 'score', 1, '2026-02-01', NULL),
    -- 12 over areas 13 (30 %) and 14 (70 %)
    (1013, 1012, 'score', 0.3, NULL, NULL), (1014, 1012, 'score', 0.7, NULL, NULL);
INSERT INTO kpi.fact (kpi_id, period, value)
SELECT f.kpi_id, period, f.value FROM (VALUES (1006, 25), (1007, 0), (1010, 50), (1011, 0)) AS f (kpi_id, value), (VALUES ('2026-01'::kpi_period), ('2026-02')) AS p (period);
INSERT INTO kpi.fact (kpi_id, period, value) VALUES
    (1002, '2026-01', 50), (1003, '2026-01', 0), (1002, '2026-02', 50), (1003, '2026-02', 100), (1002, '2026-03', 50), (1003, '2026-03', 0),
    (1013, '2026-01', 12.5), (1014, '2026-01', 50);
INSERT INTO kpi.target (kpi_id, period, value) SELECT DISTINCT kpi_id, period, 1 FROM kpi.fact WHERE kpi_id BETWEEN 1001 AND 1020;
INSERT INTO expected VALUES
    (1001, '2026-01', 'score', '25', 'over 50 and 0'), (1001, '2026-02', 'score', '75', 'the second child at 100'),
    (1001, '2026-03', 'score', '50', 'without the child at 0'), (1001, '2026-01', 'actual', NULL, 'scores are no actual'),
    (1001, '2026-01', 'driver_score', '25', 'the driver score'), (1001, '2026-01', 'status', 'on_track', 'a score without an actual has a status'),
    (1001, '2026-01', 'coverage', '1', 'both children known'),
    (1005, '2026-01', 'score', '12.5', 'over 25 and 0'), (1004, '2026-01', 'score', '12.5', 'the same one tier up'),
    (1009, '2026-01', 'score', '25', 'over 50 and 0'), (1008, '2026-01', 'score', '25', 'the same one tier up'),
    (1005, '2026-02', 'score', '16.666666666667', 'over 25, 0 and 25'), (1004, '2026-02', 'score', '16.666666666667', 'the same one tier up'),
    (1008, '2026-02', NULL, NULL, 'nothing is left under parent 2 (that suite says 0)'),
    (1012, '2026-01', 'score', '38.75', '0.3 * 12.5 + 0.7 * 50');

-- ---------------------------------------------------------------- driver rollups, missing children, result weight
-- children: 0.4 (weight 1), 0.9 (weight 3), one without data (weight 1).  The parents' own
-- attainment is 1 (10 of 10).  n: result weight 1 or 0.6
INSERT INTO kpi.measure (measure_id, code, rolls_up) VALUES (40, 'driver', false);
INSERT INTO kpi.measure (measure_id, code, rolls_up, driver_rollup, missing_child, result_weight)
SELECT 40 + d.number * 10 + m.number, d.rollup || ' ' || m.missing, false, d.rollup, m.missing, 0.6
FROM unnest(ARRAY['mean', 'min', 'max']) WITH ORDINALITY AS d (rollup, number), unnest(ARRAY['exclude', 'zero', 'require']) WITH ORDINALITY AS m (missing, number);
INSERT INTO kpi.measure (measure_id, code, rolls_up, missing_child) VALUES (80, 'result alone', false, 'require');
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) VALUES (1101, 301, 40), (1102, 302, 40), (1103, 303, 40);
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) SELECT 1200 + measure_id, 304, measure_id FROM kpi.measure WHERE measure_id BETWEEN 51 AND 80;
INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes, weight)
SELECT c.kpi_id, p.kpi_id, 'score', c.weight FROM (VALUES (1101, 1), (1102, 3), (1103, 1)) AS c (kpi_id, weight), kpi.kpi p WHERE p.unit_id = 304 AND p.measure_id BETWEEN 51 AND 80;
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (1101, '2026-01', 4), (1102, '2026-01', 9);
INSERT INTO kpi.fact (kpi_id, period, value) SELECT kpi_id, '2026-01', 10 FROM kpi.kpi WHERE unit_id = 304 AND measure_id BETWEEN 51 AND 80;
INSERT INTO kpi.target (kpi_id, period, value) SELECT kpi_id, '2026-01', 10 FROM kpi.kpi WHERE measure_id BETWEEN 40 AND 80 AND unit_id BETWEEN 301 AND 304;
INSERT INTO expected
SELECT 1200 + m.measure_id, '2026-01', f.figure, f.value, m.code || ': ' || e.rule
FROM (VALUES
    ('mean exclude', '0.775', '0.91', '(1*0.4 + 3*0.9) / 4; 0.6*1 + 0.4*0.775'),
    ('mean zero', '0.62', '0.848', '(0.4 + 2.7 + 0) / 5; 0.6 + 0.4*0.62'),
    ('mean require', NULL, NULL, 'one is missing; result weight < 1'),
    ('min exclude', '0.4', '0.76', 'smallest; 0.6 + 0.16'), ('min zero', '0', '0.6', 'the missing one is 0'), ('min require', NULL, NULL, 'one is missing'),
    ('max exclude', '0.9', '0.96', 'largest; 0.6 + 0.36'), ('max zero', '0.9', '0.96', 'largest'), ('max require', NULL, NULL, 'one is missing'),
    ('result alone', NULL, '1', 'result weight 1: the driver score does not matter')) AS e (code, driver, score, rule)
JOIN kpi.measure m ON m.code = e.code, LATERAL (VALUES ('driver_score', e.driver), ('score', e.score)) AS f (figure, value);
INSERT INTO expected VALUES
    (1251, '2026-01', 'coverage', '1', 'own facts and no link that brings values: 1'),
    (1253, '2026-01', 'status', 'no_target', 'an actual without a score'),
    (1103, '2026-01', 'status', 'no_data', 'the child without data');
-- a child below zero: under zero the missing one is larger
INSERT INTO kpi.measure (measure_id, code, rolls_up, score_floor) VALUES (81, 'negative', false, NULL);
INSERT INTO kpi.measure (measure_id, code, rolls_up, driver_rollup, missing_child) VALUES (82, 'largest', false, 'max', 'zero');
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) VALUES (1301, 301, 81), (1302, 302, 81), (1303, 303, 82);
INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes, weight) VALUES (1301, 1303, 'score', 1), (1302, 1303, 'score', 3);
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (1301, '2026-01', -5);
INSERT INTO kpi.target (kpi_id, period, value) VALUES (1301, '2026-01', 10), (1302, '2026-02', 10);
INSERT INTO expected VALUES
    (1301, '2026-01', 'score', '-0.5', '1 + (-5 - 10) / 10, no floor'), (1303, '2026-01', 'driver_score', '0', 'largest of -0.5 and 0'),
    (1303, '2026-01', 'coverage', '0.25', 'score links alone: (1*1 + 3*0) / 4'),
    (1303, '2026-02', NULL, NULL, 'a child with a target but no data gives no row'),
    -- 1301 in the quarter: no target, but one to date, January's, so -0.5 again
    (1301, '2026-Q1', 'target', NULL, 'not all months have one'), (1301, '2026-Q1', 'score', '-0.5', 'by the target to date'),
    (1303, '2026-Q1', 'score', '0', 'largest of -0.5 and 0 at the quarter'),
    (1303, '2026-Q1', 'coverage', '0.083333333333', 'score links alone, at the quarter: (1*1/3 + 3*0) / 4');

-- ---------------------------------------------------------------- scores at coarser grains, line of sight
-- monthly child: 20 a month planned, January 10 done; its quarter: 10 of 20 to date
INSERT INTO kpi.measure (measure_id, code, grain, rolls_up) VALUES (91, 'quarterly goal', 'quarter', false), (92, 'monthly goal', 'month', false), (93, 'sight', 'month', false);
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) VALUES (1401, 301, 40), (1402, 302, 91), (1403, 302, 92), (1404, 302, 93) ON CONFLICT DO NOTHING;
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) VALUES (1405, 310, 40);
INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes) VALUES (1405, 1402, 'score'), (1405, 1403, 'score'), (1405, 1404, 'aligned');
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (1405, '2026-01', 10);
INSERT INTO kpi.target (kpi_id, period, value) VALUES (1405, '2026-01', 20), (1405, '2026-02', 20), (1405, '2026-03', 20);
INSERT INTO expected VALUES
    (1402, '2026-Q1', 'score', '0.5', 'a quarterly KPI takes the quarter''s score of a monthly one'), (1402, '2026', 'score', '0.5', 'in the year by the target to date, that of January'),
    (1402, '2026-01', NULL, NULL, 'a quarterly KPI has no months'),
    (1403, '2026-01', 'score', '0.5', 'month from month'), (1403, '2026-Q1', 'score', '0.5', 'quarter from quarter'),
    (1403, '2026-Q1', 'coverage', '0.333333333333', 'coverage of the child''s quarter'),
    (1404, '2026-01', NULL, NULL, 'nothing flows along an aligned link');

-- ---------------------------------------------------------------- all at once
CREATE TEMP TABLE recomputed AS SELECT * FROM kpi.recompute();
SELECT is((SELECT to_jsonb(r) ->> e.figure FROM recomputed r WHERE r.kpi_id = e.kpi_id AND r.period = e.period), e.value,
          e.kpi_id || ' ' || e.period || ' ' || e.figure || ': ' || e.rule)
FROM expected e WHERE e.figure IS NOT NULL;
SELECT ok(EXISTS (SELECT FROM recomputed r WHERE r.kpi_id = e.kpi_id AND r.period = e.period) = (e.figure IS NOT NULL),
          e.kpi_id || ' ' || e.period || CASE WHEN e.figure IS NULL THEN ' has no row: ' || e.rule ELSE ' has a row' END)
FROM (SELECT DISTINCT ON (kpi_id, period) * FROM expected ORDER BY kpi_id, period, figure) e;

-- one snapshot, nothing written: it works where nothing can be written
SET LOCAL transaction_read_only = on;
SELECT is((SELECT count(*) FROM kpi.recompute()), (SELECT count(*) FROM recomputed), 'works in a read-only transaction');

SELECT * FROM finish();
ROLLBACK;
