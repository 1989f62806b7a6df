-- kpi.recompute(): actuals over the organisation and over time, targets, scoring,
-- status, coverage, validity, shares and moves.  One database holds many small
-- worlds that do not touch; table expected says what must come out of them, each
-- figure with its arithmetic beside it.  Links are in recompute_links.sql.
\set QUIET 1
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET search_path = public;
SELECT no_plan();

CREATE TEMP TABLE expected (kpi_id bigint, period text, figure text, value text, rule text);

-- ---------------------------------------------------------------- quotients
SELECT is(kpi.exact_quotient(1, 3)::text, '0.333333333333', 'rounded to 12 places');
SELECT is(kpi.exact_quotient(2, 3)::text, '0.666666666667', 'rounded up');
SELECT is(kpi.exact_quotient(-2, 3)::text, '-0.666666666667', 'rounded away from zero');
SELECT is(kpi.exact_quotient(1, 2000000000000)::text, '0.000000000001', 'a half of the last place goes up');
SELECT is(kpi.exact_quotient(1, -2000000000000)::text, '-0.000000000001', 'and down below zero');
SELECT is(kpi.exact_quotient(0.999999999999999, 2000000000000)::text, '0', 'just below the half does not');
SELECT is(kpi.exact_quotient(7.50, 2.5)::text, '3', 'no trailing zeros');
SELECT is(kpi.exact_quotient(1, 0), NULL, 'a zero denominator gives null');
-- 10^30 / 3 has 30 digits before the point: all of them must be right
SELECT is(kpi.exact_quotient(1e30, 3)::text, repeat('3', 30) || '.333333333333', 'exact with many digits');

-- ---------------------------------------------------------------- calendar
SELECT is(p.period || ' ' || p.first_day || ' ' || p.last_day || ' ' || coalesce(p.year_before, '-'), want, 'days of ' || p.period)
FROM (VALUES
    ('2026-08-14',   '2026-08-14 2026-08-14 2026-08-14 2025-08-14'),
    ('2024-02-29',   '2024-02-29 2024-02-29 2024-02-29 -'),
    ('2025-02-28',   '2025-02-28 2025-02-28 2025-02-28 2024-02-28'),
    ('2026-W34',     '2026-W34 2026-08-17 2026-08-23 -'),
    ('2026-W01',     '2026-W01 2025-12-29 2026-01-04 -'),
    ('2026-W53',     '2026-W53 2026-12-28 2027-01-03 -'),
    ('2024-02',      '2024-02 2024-02-01 2024-02-29 2023-02'),
    ('2026-Q3',      '2026-Q3 2026-07-01 2026-09-30 2025-Q3'),
    ('2026-H1',      '2026-H1 2026-01-01 2026-06-30 2025-H1'),
    ('2026',         '2026 2026-01-01 2026-12-31 2025'),
    ('FY2027/04',    'FY2027/04 2026-04-01 2027-03-31 FY2026/04'),
    ('FY2027-Q4/04', 'FY2027-Q4/04 2027-01-01 2027-03-31 FY2026-Q4/04'),
    ('FY2027-H2/10', 'FY2027-H2/10 2027-04-01 2027-09-30 FY2026-H2/10')) AS t (period, want),
    LATERAL kpi.recompute_period_of(t.period) p;
SELECT is(kpi.recompute_period_around(day, grain, fiscal_start), want, 'period around a day: ' || want)
FROM (VALUES
    (date '2027-01-01', 2, 1, '2026-W53'), ('2026-03-31', 4, 4, 'FY2026-Q4/04'), ('2026-04-01', 4, 4, 'FY2027-Q1/04'),
    ('2026-12-31', 6, 12, 'FY2027/12'), ('2026-11-30', 6, 12, 'FY2026/12'), ('2026-12-31', 5, 1, '2026-H2'),
    ('2027-09-30', 5, 10, 'FY2027-H2/10')) AS t (day, grain, fiscal_start, want);

-- ---------------------------------------------------------------- every rollup by every time rollup
-- Unit a over a.b.  Own facts of a: February 4 (weight 1).  Of a.b: January 10 (2) and
-- 20 (1), March 6 (4).  So the tallies (n, v, w, vw, min, max) of a are
-- January (2, 30, 3, 40, 10, 20), February (1, 4, 1, 4, 4, 4), March (1, 6, 4, 24, 6, 6);
-- with none there are no links: a has February alone.
INSERT INTO kpi.unit (unit_id, path) VALUES (1, 'a'), (2, 'a.b');
INSERT INTO kpi.measure (measure_id, code, rollup, time_rollup, multiplier)
SELECT r.number * 10 + t.number, r.rollup || ' ' || t.time_rollup, r.rollup, t.time_rollup, CASE r.rollup WHEN 'ratio' THEN 100 ELSE 1 END
FROM unnest(ARRAY['sum', 'mean', 'weighted_mean', 'ratio', 'min', 'max', 'count', 'none']) WITH ORDINALITY AS r (rollup, number),
     unnest(ARRAY['pool', 'last', 'mean']) WITH ORDINALITY AS t (time_rollup, number);
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) SELECT measure_id * 10 + unit_id, unit_id, measure_id FROM kpi.measure, kpi.unit;
INSERT INTO kpi.fact (kpi_id, period, value, weight)
SELECT m.measure_id * 10 + f.unit_id, f.period, f.value, f.weight
FROM kpi.measure m, (VALUES (1, '2026-02'::kpi_period, 4, 1), (2, '2026-01', 10, 2), (2, '2026-01', 20, 1), (2, '2026-03', 6, 4))
                    AS f (unit_id, period, value, weight);
INSERT INTO expected
SELECT k.kpi_id, e.period, 'actual', e.value, m.code || ' in ' || e.period
FROM (VALUES
    -- base periods, by the tallies above
    ('sum', NULL, '2026-01', '30'), ('mean', NULL, '2026-01', '15'),
    ('weighted_mean', NULL, '2026-01', '13.333333333333'),                 -- 40 / 3
    ('ratio', NULL, '2026-01', '1000'),                                    -- 100 * 30 / 3
    ('min', NULL, '2026-01', '10'), ('max', NULL, '2026-01', '20'), ('count', NULL, '2026-01', '2'),
    ('none', NULL, '2026-02', '4'), ('sum', NULL, '2026-03', '6'),
    -- pool: all three merged (4, 40, 8, 68, 4, 20)
    ('sum', 'pool', '2026-Q1', '40'), ('mean', 'pool', '2026-Q1', '10'), ('weighted_mean', 'pool', '2026-Q1', '8.5'),
    ('ratio', 'pool', '2026-Q1', '500'), ('min', 'pool', '2026-Q1', '4'), ('max', 'pool', '2026-Q1', '20'),
    ('count', 'pool', '2026-Q1', '4'), ('none', 'pool', '2026-Q1', '4'),
    ('sum', 'pool', '2026-H1', '40'), ('weighted_mean', 'pool', '2026', '8.5'),
    -- last: own facts of February and a.b's of March (2, 10, 5, 28, 4, 6)
    ('sum', 'last', '2026-Q1', '10'), ('mean', 'last', '2026-Q1', '5'), ('weighted_mean', 'last', '2026-Q1', '5.6'),
    ('ratio', 'last', '2026-Q1', '200'), ('min', 'last', '2026-Q1', '4'), ('max', 'last', '2026-Q1', '6'),
    ('count', 'last', '2026-Q1', '2'), ('none', 'last', '2026-Q1', '4'), ('sum', 'last', '2026', '10'),
    -- mean of the months' actuals
    ('sum', 'mean', '2026-Q1', '13.333333333333'),                         -- (30 + 4 + 6) / 3
    ('mean', 'mean', '2026-Q1', '8.333333333333'),                         -- (15 + 4 + 6) / 3
    ('weighted_mean', 'mean', '2026-Q1', '7.777777777778'),                -- (13.333333333333 + 4 + 6) / 3
    ('ratio', 'mean', '2026-Q1', '516.666666666667'),                      -- (1000 + 400 + 150) / 3
    ('min', 'mean', '2026-Q1', '6.666666666667'),                          -- (10 + 4 + 6) / 3
    ('max', 'mean', '2026-Q1', '10'),                                      -- (20 + 4 + 6) / 3
    ('count', 'mean', '2026-Q1', '1.333333333333'),                        -- (2 + 1 + 1) / 3
    ('none', 'mean', '2026-Q1', '4'), ('sum', 'mean', '2026', '13.333333333333')
    ) AS e (rollup, time_rollup, period, value)
JOIN kpi.measure m ON m.rollup = e.rollup AND m.time_rollup = coalesce(e.time_rollup, m.time_rollup)
JOIN kpi.kpi k ON k.measure_id = m.measure_id AND k.unit_id = 1;
INSERT INTO expected VALUES
    (111, '2026-Q1', 'tally', '{n=4,value=40,weight=8,product=68,min=4,max=20}', 'pooled tally'),
    (121, '2026-Q1', 'tally', '{n=2,value=10,weight=5,product=28,min=4,max=6}', 'tally of last'),
    (131, '2026-Q1', 'tally', '{n=4,value=40,weight=8,product=68,min=4,max=20}', 'under mean the tally shown is the pooled one'),
    -- coverage: a has one source with data in January and March, two sources (own facts 1,
    -- link 0) in February: (1 + 1/2 + 1) / 3; for last at the quarter: own 1 and a.b 1
    (111, '2026-02', 'coverage', '0.5', 'own facts are one more source'),
    (111, '2026-Q1', 'coverage', '0.833333333333', 'coverage of pool is the mean over base periods'),
    (121, '2026-Q1', 'coverage', '1', 'coverage of last is that of its sources'),
    -- a.b: 1, 0 (no row), 1; the year: 2 of 12 months
    (112, '2026-Q1', 'coverage', '0.666666666667', 'a base period without a row counts 0'),
    (112, '2026', 'coverage', '0.166666666667', 'base periods to come count 0'),
    (112, '2026-02', NULL, NULL, 'no row without data or target'),
    (111, '2026-04', NULL, NULL, 'no row in a period without anything');

-- ---------------------------------------------------------------- rates must not be averaged
-- A scorecard vendor's example: 2 of 4 and 2 of 100 are 4 of 104 = 3.8 %, not 26 %, not 52 %
INSERT INTO kpi.unit (unit_id, path) VALUES (11, 'rate'), (12, 'rate.x'), (13, 'rate.y');
INSERT INTO kpi.measure (measure_id, code, rollup, multiplier) VALUES (1001, 'rate', 'ratio', 100);
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) VALUES (1011, 11, 1001), (1012, 12, 1001), (1013, 13, 1001);
INSERT INTO kpi.fact (kpi_id, period, value, weight) VALUES (1012, '2026-01', 2, 4), (1013, '2026-01', 2, 100);
INSERT INTO expected VALUES
    (1012, '2026-01', 'actual', '50', 'rate of x'), (1013, '2026-01', 'actual', '2', 'rate of y'),
    (1011, '2026-01', 'actual', '3.846153846154', 'rates are merged, not averaged');

-- ---------------------------------------------------------------- days, weeks, fiscal years
INSERT INTO kpi.unit (unit_id, path) VALUES (21, 'time');
INSERT INTO kpi.measure (measure_id, code, grain, fiscal_start) VALUES (1021, 'april', 'month', 4), (1022, 'daily', 'day', 1), (1023, 'weekly', 'week', 1), (1024, 'quarterly', 'quarter', 7);
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) VALUES (1021, 21, 1021), (1022, 21, 1022), (1023, 21, 1023), (1024, 21, 1024);
INSERT INTO kpi.fact (kpi_id, period, value) VALUES
    (1021, '2026-03', 1), (1021, '2026-04', 2), (1021, '2026-07', 4), (1021, '2027-03', 8),
    (1022, '2026-12-31', 1), (1022, '2027-01-01', 2), (1022, '2027-01-04', 4),
    (1023, '2026-W01', 5),
    (1024, 'FY2026-Q1/07', 1), (1024, 'FY2026-Q2/07', 2), (1024, 'FY2026-Q3/07', 4);
INSERT INTO expected VALUES
    (1021, 'FY2026/04', 'actual', '1', 'March 2026 is the old fiscal year'),
    (1021, 'FY2027/04', 'actual', '14', 'April 2026 to March 2027: 2 + 4 + 8'),
    (1021, 'FY2027-Q1/04', 'actual', '2', 'April to June'),
    (1021, 'FY2027-H1/04', 'actual', '6', 'April to September: 2 + 4'),
    (1021, 'FY2027-Q4/04', 'actual', '8', 'January to March'),
    (1021, '2026', NULL, NULL, 'no calendar year beside the fiscal one'),
    (1022, '2026-W53', 'actual', '3', '28 December to 3 January'),
    (1022, '2027-W01', 'actual', '4', '4 to 10 January'),
    (1022, '2026-12', 'actual', '1', 'a month of days'), (1022, '2027-01', 'actual', '6', 'a month of days'),
    (1022, '2026', 'actual', '1', 'a year of days'), (1022, '2027-Q1', 'actual', '6', 'a quarter of days'),
    -- 7 days of which 2 have a fact
    (1022, '2026-W53', 'coverage', '0.285714285714', 'coverage of a week: 2 / 7'),
    (1023, '2026-W01', 'actual', '5', 'a week'), (1023, '2026', NULL, NULL, 'weeks roll up to nothing'),
    (1024, 'FY2026-H1/07', 'actual', '3', 'half of quarters'), (1024, 'FY2026/07', 'actual', '7', 'year of quarters');

-- ---------------------------------------------------------------- targets over time
-- January 10 and February 30 in 2026; what differs are rules and targets
INSERT INTO kpi.unit (unit_id, path, valid_from, valid_to) VALUES (31, 'plan', NULL, NULL), (32, 'late', NULL, NULL);
INSERT INTO kpi.measure (measure_id, code, rollup, time_rollup, scoring) VALUES
    (1031, 'months', 'sum', 'pool', 'ratio'), (1032, 'both equal', 'sum', 'pool', 'ratio'), (1033, 'both unequal', 'sum', 'pool', 'ratio'),
    (1034, 'year only', 'sum', 'pool', 'ratio'), (1035, 'year in progress', 'sum', 'pool', 'progress'), (1036, 'mean target', 'mean', 'pool', 'ratio'),
    (1037, 'min target', 'min', 'pool', 'ratio'), (1038, 'max target', 'max', 'pool', 'ratio'), (1039, 'last target', 'sum', 'last', 'ratio'),
    (1040, 'two months', 'sum', 'pool', 'ratio'), (1041, 'quarters', 'sum', 'pool', 'ratio'), (1042, 'curve target', 'mean', 'pool', 'curve'),
    (1043, 'range target', 'sum', 'pool', 'range'), (1044, 'empty', 'sum', 'pool', 'ratio');
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) SELECT measure_id, 31, measure_id FROM kpi.measure WHERE measure_id BETWEEN 1031 AND 1044;
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id, valid_from) VALUES (1231, 32, 1031, '2026-02-01');
INSERT INTO kpi.fact (kpi_id, period, value)
SELECT kpi_id, f.period, f.value FROM kpi.kpi, (VALUES ('2026-01'::kpi_period, 10), ('2026-02', 30)) AS f (period, value)
WHERE kpi_id BETWEEN 1031 AND 1043 OR kpi_id = 1231;
INSERT INTO kpi.target (kpi_id, period, value)
SELECT kpi_id, to_char(month, 'YYYY-MM')::kpi_period, 20
FROM unnest(ARRAY[1031, 1032, 1033, 1231]) kpi_id, generate_series(timestamp '2026-01-01', '2026-12-01', '1 month') month;
INSERT INTO kpi.target (kpi_id, period, value) VALUES (1032, '2026', 240), (1033, '2026', 250), (1034, '2026', 240),
    (1036, '2026-01', 20), (1036, '2026-02', 30), (1036, '2026-03', 41), (1037, '2026-01', 20), (1037, '2026-02', 15), (1037, '2026-03', 10),
    (1038, '2026-01', 20), (1038, '2026-02', 30), (1038, '2026-03', 40), (1039, '2026-01', 20), (1039, '2026-02', 30), (1039, '2026-03', 40),
    (1040, '2026-01', 20), (1040, '2026-02', 30), (1041, '2026-Q1', 60), (1041, '2026-Q2', 70), (1041, '2026-04', 1), (1041, '2026-05', 1), (1041, '2026-06', 1),
    (1044, '2026-Q1', 5);
INSERT INTO kpi.target (kpi_id, period, value, baseline) VALUES (1035, '2026', 240, 0);
INSERT INTO kpi.target (kpi_id, period, points) VALUES
    (1042, '2026-01', '{{10,0},{30,1}}'), (1042, '2026-02', '{{30,1},{10,0}}'), (1042, '2026-03', '{{10,0.0},{30,1}}');
INSERT INTO kpi.target (kpi_id, period, low, high) VALUES (1043, '2026-01', 5, 20), (1043, '2026-02', 15, NULL), (1043, '2026-03', 5, 20);
INSERT INTO expected VALUES
    (1031, '2026-01', 'target', '20', 'explicit'), (1031, '2026-01', 'attainment', '0.5', '1 + (10 - 20) / 20'),
    (1031, '2026-01', 'target_to_date', '20', 'in a base period the target to date is the target'),
    (1031, '2026-03', 'target', '20', 'a target alone makes a row'), (1031, '2026-03', 'status', 'no_data', 'without data'),
    (1031, '2026-03', 'coverage', '0', 'without data'),
    (1031, '2026-Q1', 'target', '60', 'sum of the months'), (1031, '2026-Q1', 'target_to_date', '40', 'January and February: derived from b1..bj'),
    (1031, '2026-Q1', 'attainment', '0.666666666667', '1 + (40 - 60) / 60'), (1031, '2026-Q1', 'attainment_to_date', '1', '40 of 40'),
    (1031, '2026-Q1', 'score', '1', 'the score goes by the target to date'), (1031, '2026-Q1', 'status', 'on_track', 'so does the status'),
    (1031, '2026', 'target', '240', 'sum of 12 months'), (1031, '2026', 'target_to_date', '40', 'a running year'),
    (1031, '2026-Q2', 'target', '60', 'a target to come'), (1031, '2026-Q2', 'target_to_date', NULL, 'no actual yet, no target to date'),
    (1032, '2026', 'target', '240', 'explicit year'), (1032, '2026', 'target_to_date', '40', 'months add up to the year: derived from b1..bj'),
    (1033, '2026', 'target', '250', 'explicit year'), (1033, '2026', 'target_to_date', '41.666666666667', 'months do not add up: 250 * 2 / 12'),
    (1034, '2026', 'target_to_date', '40', 'no months: 240 * 2 / 12'), (1034, '2026-Q1', 'target', NULL, 'a year says nothing about its quarters'),
    (1034, '2026', 'attainment', '0.166666666667', '1 + (40 - 240) / 240'), (1034, '2026', 'attainment_to_date', '1', '40 of 40'),
    (1035, '2026', 'target_to_date', '240', 'progress: the target'), (1035, '2026', 'attainment_to_date', '0.166666666667', '(40 - 0) / (240 - 0)'),
    (1036, '2026-Q1', 'target', '30.333333333333', 'mean of 20, 30, 41'), (1036, '2026-Q1', 'target_to_date', '25', 'mean of 20, 30'),
    (1036, '2026-Q1', 'attainment_to_date', '0.8', 'actual (10 + 30) / 2 = 20: 1 + (20 - 25) / 25'), (1036, '2026-Q1', 'status', 'at_risk', '0.8 is at risk'),
    (1037, '2026-Q1', 'target', '10', 'smallest'), (1037, '2026-Q1', 'target_to_date', '15', 'smallest so far'),
    (1038, '2026-Q1', 'target', '40', 'largest'), (1038, '2026-Q1', 'target_to_date', '30', 'largest so far'),
    (1039, '2026-Q1', 'target', '40', 'the last row'), (1039, '2026-Q1', 'target_to_date', '30', 'the last row so far'),
    (1040, '2026-Q1', 'target', NULL, 'not all months have one'), (1040, '2026-Q1', 'target_to_date', '50', 'all months so far have one: 20 + 30'),
    (1040, '2026-Q1', 'attainment', NULL, 'no target'), (1040, '2026-Q1', 'attainment_to_date', '0.8', '1 + (40 - 50) / 50'),
    (1041, '2026-H1', 'target', '130', 'from the coarsest grain that is complete: 60 + 70, not the months'),
    (1041, '2026', 'target', NULL, 'no grain is complete in the year'),
    (1041, '2026-H1', 'target_to_date', '43.333333333333', 'not explicit, January has none: 130 * 2 / 6'),
    (1042, '2026-Q1', 'target', NULL, 'a curve needs no value'),
    (1042, '2026-Q1', 'attainment', '0.5', 'equal points carry over: 20 lies half way between 10 and 30'),
    (1043, '2026-Q1', 'attainment', '1', 'low 5 + 15 + 5 = 25; high is open, because February has none: 40 is inside'),
    (1043, '2026-Q1', 'attainment_to_date', '1', 'low 5 + 15 = 20'),
    (1044, '2026-Q1', 'status', 'no_data', 'a row by its target alone'), (1044, '2026-01', NULL, NULL, 'no row in its months'),
    (1231, '2026-01', NULL, NULL, 'not alive in January'),
    (1231, '2026-Q1', 'actual', '30', 'January''s fact counts nowhere'),
    (1231, '2026-Q1', 'target', '40', 'targets of periods in which it is not alive are ignored'),
    (1231, '2026-Q1', 'coverage', '0.5', 'February of February and March'),
    (1231, '2026', 'target_to_date', '20', 'b1 is February');

-- ---------------------------------------------------------------- scoring, score, status
INSERT INTO kpi.unit (unit_id, path) SELECT 100 + n, ('s' || n)::kpi_path FROM generate_series(1, 40) n;
INSERT INTO kpi.measure (measure_id, code, direction, scoring, score_floor, score_cap, at_risk_from, on_track_from, exceeded_from) VALUES
    (1061, 'ratio', 'higher', 'ratio', 0, 1, 0.8, 1, 1.1), (1062, 'ratio lower', 'lower', 'ratio', 0, 1, 0.8, 1, 1.1),
    (1063, 'progress', 'higher', 'progress', NULL, NULL, 0.5, 0.6, NULL), (1064, 'range', 'higher', 'range', 0, 1, 0.8, 1, NULL),
    (1065, 'step', 'higher', 'step', 0, 1, 0.8, 1, NULL), (1066, 'step lower', 'lower', 'step', 0.25, 0.75, 0.8, 1, NULL),
    (1067, 'curve', 'higher', 'curve', 0, NULL, 0.8, 1, NULL);
CREATE TEMP TABLE scored (n integer, measure_id bigint, actual numeric, value numeric, baseline numeric, low numeric, high numeric, points numeric[],
                          attainment text, score text, status text, rule text);
INSERT INTO scored VALUES
    (1, 1061, 80, 100, NULL, NULL, NULL, NULL, '0.8', '0.8', 'at_risk', '1 + (80 - 100) / 100'),
    (2, 1061, 79, 100, NULL, NULL, NULL, NULL, '0.79', '0.79', 'off_track', 'just below at_risk_from'),
    (3, 1061, 120, 100, NULL, NULL, NULL, NULL, '1.2', '1', 'exceeded', 'capped at 1, but exceeded'),
    (4, 1061, 105, 100, NULL, NULL, NULL, NULL, '1.05', '1', 'on_track', 'not far enough'),
    (5, 1061, -80, -100, NULL, NULL, NULL, NULL, '1.2', '1', 'exceeded', 'a smaller loss than planned: 1 + 20 / 100'),
    (6, 1061, -500, 100, NULL, NULL, NULL, NULL, '-5', '0', 'off_track', '1 - 600 / 100, floored'),
    (7, 1061, 0, 0, NULL, NULL, NULL, NULL, '1', '1', 'on_track', 'target 0 met'),
    (8, 1061, -1, 0, NULL, NULL, NULL, NULL, '0', '0', 'off_track', 'target 0 missed'),
    (9, 1062, 80, 100, NULL, NULL, NULL, NULL, '1.2', '1', 'exceeded', '1 - (80 - 100) / 100'),
    (10, 1062, 1, 0, NULL, NULL, NULL, NULL, '0', '0', 'off_track', 'lower: 0 missed'),
    (11, 1062, -1, 0, NULL, NULL, NULL, NULL, '1', '1', 'on_track', 'lower: 0 met'),
    (12, 1063, 80, 100, 50, NULL, NULL, NULL, '0.6', '0.6', 'on_track', '(80 - 50) / (100 - 50)'),
    (13, 1063, 80, 50, 100, NULL, NULL, NULL, '0.4', '0.4', 'off_track', 'downwards: (80 - 100) / (50 - 100)'),
    (14, 1063, 100, 100, 100, NULL, NULL, NULL, '1', '1', 'on_track', 'target is the baseline, met'),
    (15, 1063, 80, 100, 100, NULL, NULL, NULL, '0', '0', 'off_track', 'target is the baseline, missed'),
    (16, 1063, 80, 100, NULL, NULL, NULL, NULL, NULL, NULL, 'no_target', 'no baseline'),
    (17, 1064, 15, NULL, NULL, 10, 20, NULL, '1', '1', 'on_track', 'inside'),
    (18, 1064, 20, NULL, NULL, 10, 20, NULL, '1', '1', 'on_track', 'the bounds are inside'),
    (19, 1064, 5, NULL, NULL, 10, 20, NULL, '0.5', '0.5', 'off_track', 'below: 1 - 5 / 10'),
    (20, 1064, 25, NULL, NULL, 10, 20, NULL, '0.75', '0.75', 'off_track', 'above: 1 - 5 / 20'),
    (21, 1064, -1, NULL, NULL, 0, 20, NULL, '0', '0', 'off_track', 'a zero bound: 0 outside'),
    (22, 1064, 1000, NULL, NULL, 10, NULL, NULL, '1', '1', 'on_track', 'an open side is unbounded'),
    (23, 1065, 100, 100, NULL, NULL, NULL, NULL, '1', '1', 'on_track', 'met'),
    (24, 1065, 99.99, 100, NULL, NULL, NULL, NULL, '0', '0', 'off_track', 'not met'),
    (25, 1066, 100, 100, NULL, NULL, NULL, NULL, '1', '0.75', 'off_track', 'met, capped at 0.75'),
    (26, 1066, 101, 100, NULL, NULL, NULL, NULL, '0', '0.25', 'off_track', 'not met, floored at 0.25'),
    (27, 1067, 25, NULL, NULL, NULL, NULL, '{{0,0},{100,1.2},{50,0.8}}', '0.4', '0.4', 'off_track', '0 + 0.8 * 25 / 50'),
    (28, 1067, 75, NULL, NULL, NULL, NULL, '{{0,0},{100,1.2},{50,0.8}}', '1', '1', 'on_track', '0.8 + 0.4 * 25 / 50'),
    (29, 1067, 500, NULL, NULL, NULL, NULL, '{{0,0},{100,1.2},{50,0.8}}', '1.2', '1.2', 'on_track', 'clamped to the last point'),
    (30, 1067, -5, NULL, NULL, NULL, NULL, '{{0,0},{100,1.2},{50,0.8}}', '0', '0', 'off_track', 'clamped to the first'),
    (31, 1067, 50, NULL, NULL, NULL, NULL, '{{0,0},{100,1.2},{50,0.8}}', '0.8', '0.8', 'at_risk', 'on a point');
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) SELECT 2000 + n, 100 + n, measure_id FROM scored;
INSERT INTO kpi.fact (kpi_id, period, value) SELECT 2000 + n, '2026-05', actual FROM scored;
INSERT INTO kpi.target (kpi_id, period, value, baseline, low, high, points) SELECT 2000 + n, '2026-05', value, baseline, low, high, points FROM scored;
INSERT INTO expected
SELECT 2000 + n, '2026-05', f.figure, f.value, m.code || ': ' || s.rule
FROM scored s JOIN kpi.measure m USING (measure_id),
     LATERAL (VALUES ('attainment', s.attainment), ('attainment_to_date', s.attainment), ('score', s.score), ('status', s.status)) AS f (figure, value);
-- facts without any target
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) VALUES (2040, 140, 1061);
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (2040, '2026-05', 1);
INSERT INTO expected VALUES (2040, '2026-05', 'status', 'no_target', 'an actual, no target'), (2040, '2026-05', 'score', NULL, 'no target, no score');

-- ---------------------------------------------------------------- shares
-- e over e.f (half of it flows up) over e.f.g (half); e.z gives nothing.  e.f has no KPI, so
-- the implied link goes from e.f.g to e, of weight 1/2 * 1/2.
INSERT INTO kpi.unit (unit_id, path, share) VALUES (201, 'e', 1), (202, 'e.f', 0.5), (203, 'e.f.g', 0.5), (204, 'e.z', 0);
INSERT INTO kpi.measure (measure_id, code, rollup, rolls_up, apply_share) VALUES
    (1081, 'shared', 'sum', true, true), (1082, 'whole', 'sum', true, false), (1083, 'least', 'min', true, true), (1084, 'kept', 'sum', false, true),
    (1085, 'number', 'count', true, true), (1086, 'average', 'mean', true, true);
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) SELECT 3000 + (measure_id - 1080) * 10 + unit_id - 200, unit_id, measure_id
FROM kpi.unit, kpi.measure WHERE unit_id IN (201, 203, 204) AND measure_id BETWEEN 1081 AND 1086;
INSERT INTO kpi.fact (kpi_id, period, value)
SELECT 3000 + (measure_id - 1080) * 10 + u.n, '2026-01', u.value
FROM kpi.measure, (VALUES (1, 100), (3, 8), (4, 5)) AS u (n, value) WHERE measure_id BETWEEN 1081 AND 1086;
INSERT INTO expected VALUES
    (3011, '2026-01', 'actual', '102', '100 + 8 / 4: shares multiply on the way, a share of 0 cuts'),
    (3011, '2026-01', 'tally', '{n=1.25,value=102,weight=1.25,product=102,min=8,max=100}', 'scaling leaves the extremes alone'),
    -- sources: the link of weight 1/4 and own facts of weight 1, both covered
    (3011, '2026-01', 'coverage', '1', 'all sources in force are known'),
    (3021, '2026-01', 'actual', '108', 'shares not applied: 100 + 8; a share of 0 cuts all the same'),
    (3031, '2026-01', 'actual', '8', 'min is not scaled; 5 is cut by its share of 0'),
    (3041, '2026-01', 'actual', '100', 'rolls_up false: own facts alone'),
    (3051, '2026-01', 'actual', '1.25', 'count: 1 + 1/4'),
    (3061, '2026-01', 'actual', '81.6', 'mean: 102 / 1.25');

-- ---------------------------------------------------------------- a move, and validity
-- v.m reports to v.p until 14 February and to v.q from 15 February on: what counts is the
-- parent on the last day of the period.  Facts of m: January 1, February 2, March 4.
INSERT INTO kpi.unit (unit_id, path) VALUES (211, 'v'), (212, 'v.p'), (213, 'v.q'), (214, 'v.p.m');
INSERT INTO kpi.unit_history (unit_id, effective_from, parent_unit_id) VALUES (214, '2026-02-15', 213);
INSERT INTO kpi.measure (measure_id, code, time_rollup) VALUES (1091, 'flow', 'pool'), (1092, 'stock', 'last');
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id)
SELECT 4000 + (measure_id - 1090) * 10 + unit_id - 210, unit_id, measure_id FROM kpi.unit, kpi.measure WHERE unit_id BETWEEN 211 AND 214 AND measure_id IN (1091, 1092);
INSERT INTO kpi.fact (kpi_id, period, value)
SELECT k.kpi_id, f.period, f.value FROM (VALUES (4014), (4024)) AS k (kpi_id), (VALUES ('2026-01'::kpi_period, 1), ('2026-02', 2), ('2026-03', 4)) AS f (period, value);
INSERT INTO expected VALUES
    (4012, '2026-01', 'actual', '1', 'January still belongs to p'), (4013, '2026-01', NULL, NULL, 'and not to q'),
    (4013, '2026-02', 'actual', '2', 'on 28 February m reports to q'), (4012, '2026-02', NULL, NULL, 'and not to p'),
    (4012, '2026-Q1', 'actual', '1', 'pool: history stays with the organisation of its time'), (4013, '2026-Q1', 'actual', '6', 'pool: 2 + 4'),
    (4011, '2026-Q1', 'actual', '7', 'the top has all of it'),
    (4023, '2026-Q1', 'actual', '4', 'last: the stock of m at the end, where m is then'), (4022, '2026-Q1', 'actual', NULL, 'last: p has no stock at the end'),
    (4022, '2026-Q1', 'status', 'no_data', 'but a row, because January has data'), (4021, '2026-Q1', 'actual', '4', 'last: once at the top'),
    -- no source in force in p at the end of the quarter
    (4022, '2026-Q1', 'coverage', '0', 'last: nothing is known of nothing'), (4012, '2026-Q1', 'coverage', '0.333333333333', 'pool: January of three months');
INSERT INTO kpi.unit (unit_id, path, valid_to) VALUES (221, 'w', NULL), (222, 'w.a', '2026-02-28'), (223, 'w.b', NULL), (224, 'w.b.c', NULL);
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id, valid_from, valid_to) VALUES
    (4111, 221, 1091, NULL, NULL), (4112, 222, 1091, NULL, NULL), (4113, 223, 1091, '2026-02-28', '2026-03-31'), (4114, 224, 1091, NULL, NULL);
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (4112, '2026-01', 1), (4112, '2026-02', 2),
    (4113, '2026-01', 10), (4113, '2026-02', 20), (4113, '2026-03', 40), (4114, '2026-01', 100), (4114, '2026-02', 200), (4114, '2026-03', 400);
INSERT INTO expected VALUES
    (4112, '2026-01', 'actual', '1', 'alive on 31 January'), (4112, '2026-02', NULL, NULL, 'validity ends before 28 February'),
    (4112, '2026-Q1', NULL, NULL, 'not alive at the end of the quarter'),
    (4113, '2026-02', 'actual', '220', 'alive on 28 February: 20 + 200'), (4113, '2026-03', NULL, NULL, 'not alive on 31 March'),
    (4111, '2026-01', 'actual', '101', 'b is not alive, so c reports to the top: 1 + 100'),
    (4111, '2026-02', 'actual', '220', 'a is gone; b brings 220'),
    (4111, '2026-03', 'actual', '400', 'b is gone; c reports to the top again'),
    (4111, '2026-Q1', 'actual', '721', 'pool: 101 + 220 + 400');

-- ---------------------------------------------------------------- all at once
CREATE TEMP TABLE recomputed AS SELECT * FROM kpi.recompute();
SELECT is((SELECT to_jsonb(r) ->> e.figure FROM recomputed r WHERE r.kpi_id = e.kpi_id AND r.period = e.period), e.value,
          e.kpi_id || ' ' || e.period || ' ' || e.figure || ': ' || e.rule)
FROM expected e WHERE e.figure IS NOT NULL;
SELECT ok(EXISTS (SELECT FROM recomputed r WHERE r.kpi_id = e.kpi_id AND r.period = e.period) = (e.figure IS NOT NULL),
          e.kpi_id || ' ' || e.period || CASE WHEN e.figure IS NULL THEN ' has no row' ELSE ' has a row' END)
FROM (SELECT DISTINCT ON (kpi_id, period) * FROM expected ORDER BY kpi_id, period, figure) e;
SELECT is((SELECT count(*) FROM recomputed), (SELECT count(*) FROM (SELECT DISTINCT kpi_id, period FROM recomputed) d), 'one row per KPI and period');

-- ---------------------------------------------------------------- it depends on nothing in the library
-- what it may call: its own family, none of it in C
CREATE TEMP VIEW family AS
SELECT p.oid, p.proname, p.provolatile, l.lanname, pg_get_functiondef(p.oid) AS definition
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace = 'kpi'::regnamespace AND (p.proname ~ '^recompute' OR p.proname IN ('verify', 'exact_quotient'));
SELECT is((SELECT string_agg(DISTINCT lanname, ' ' ORDER BY lanname) FROM family), 'plpgsql sql', 'in SQL and PL/pgSQL alone');
SELECT is((SELECT string_agg(DISTINCT called[1], ' ')
           FROM family f, regexp_matches(f.definition, '(?:kpi|public)\.(\w+)"?\s*\(', 'g') AS called
           WHERE called[1] NOT IN (SELECT proname FROM family)), NULL, 'calls nothing outside its family by a qualified name');
SELECT is((SELECT count(*) FROM family WHERE definition ~* 'operator\s*\('), 0::bigint, 'names no operator of ours');
SELECT is((SELECT string_agg(proname, ' ') FROM family
           WHERE definition !~* 'set search_path to ''?pg_catalog''?, ''?pg_temp' AND proname NOT IN
                 ('exact_quotient', 'recompute_grain', 'recompute_step', 'recompute_rolls_up', 'recompute')), NULL,
          'sees no name of ours unqualified, but for five that are inlined');
SELECT is((SELECT string_agg(DISTINCT o.oprname || ' or ' || p.proname, ', ')
           FROM pg_depend d JOIN family f ON f.oid = d.objid AND d.classid = 'pg_proc'::regclass
           LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
           LEFT JOIN pg_proc p ON d.refclassid = 'pg_proc'::regclass AND p.oid = d.refobjid
           WHERE p.prolang = (SELECT oid FROM pg_language WHERE lanname = 'c')
              OR o.oprcode IN (SELECT q.oid FROM pg_proc q JOIN pg_language l ON l.oid = q.prolang WHERE l.lanname = 'c')), NULL,
          'bodies parsed at creation depend on nothing in C');
SELECT is((SELECT string_agg(proname, ', ') FROM family WHERE proname IN ('recompute', 'verify') AND provolatile <> 's'), NULL,
          'STABLE, so that all of it reads the snapshot of the caller');
-- and what it does call, counted by the server (functions behind operators included)
SET LOCAL track_functions = 'all';
CREATE TEMP TABLE calls_before AS SELECT funcid, calls FROM pg_stat_xact_user_functions;
SELECT ok((SELECT count(*) FROM kpi.recompute()) > 0, 'recomputed under the eye of the server');
SELECT is((SELECT string_agg(s.funcname || ' ' || s.calls, ', ')
           FROM pg_stat_xact_user_functions s
           JOIN pg_proc p ON p.oid = s.funcid JOIN pg_language l ON l.oid = p.prolang
           LEFT JOIN calls_before b ON b.funcid = s.funcid
           WHERE l.lanname = 'c' AND s.schemaname IN ('kpi', 'public') AND s.calls > coalesce(b.calls, 0)), NULL,
          'no function in C ran');

SELECT * FROM finish();
ROLLBACK;
