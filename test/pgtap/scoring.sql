-- From facts and targets to an actual, an attainment, a score and a status:
-- every branch, each expected number worked out by hand in the column "because".
--
-- One row of "cases" is one KPI.  facts: period=value/weight; targets:
-- period=value;baseline=...;low=...;high=...;points=...; "a..b" stands for every
-- period from a to b.  drivers: the attainments of children over score links,
-- as weight:attainment, an attainment of "none" for a child without a score.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT no_plan();
SELECT kpi.version() IS NOT NULL AS loaded \gset
SET LOCAL kpi_cascade.fold_mode = 'manual';

CREATE TEMP TABLE cases (
    id integer GENERATED ALWAYS AS IDENTITY,
    rule text, rules jsonb, facts text, targets text, drivers text, period text,
    actual numeric, target numeric, attainment numeric, target_to_date numeric, attainment_to_date numeric,
    score numeric, status text, because text
);

-- ---------------------------------------------------------------- attainment, in a base period
-- Base periods: target_to_date is the target, attainment_to_date the attainment; the score is clamped to 0 .. 1.
CREATE FUNCTION pg_temp.base(rule text, rules jsonb, facts text, targets text, actual numeric, target numeric,
                             attainment numeric, score numeric, status text, because text) RETURNS void
    LANGUAGE sql AS $$
    INSERT INTO cases (rule, rules, facts, targets, period, actual, target, attainment, target_to_date, attainment_to_date, score, status, because)
    VALUES (rule, rules, '2026-01=' || replace(facts, ' ', ' 2026-01='), '2026-01=' || targets, '2026-01',
            actual, target, attainment, target, attainment, score, status, because)
$$;

SELECT pg_temp.base('ratio', '{}', f, t, a, g, x, s, w, b) FROM (VALUES
    ('80', '100', 80, 100, 0.8, 0.8, 'at_risk', '1 + (80 - 100) / 100'),
    ('100', '100', 100, 100, 1, 1, 'on_track', '1 + 0 / 100'),
    ('120', '100', 120, 100, 1.2, 1, 'on_track', '1 + 20 / 100, capped at 1'),
    ('-300', '100', -300, 100, -3, 0, 'off_track', '1 + (-300 - 100) / 100, floored at 0'),
    ('-80', '-100', -80, -100, 1.2, 1, 'on_track', '1 + (-80 + 100) / |-100|'),
    ('-120', '-100', -120, -100, 0.8, 0.8, 'at_risk', '1 + (-120 + 100) / |-100|'),
    ('0', '0', 0, 0, 1, 1, 'on_track', 'T = 0: met, 0 >= 0'),
    ('5', '0', 5, 0, 1, 1, 'on_track', 'T = 0: met, 5 >= 0'),
    ('-1', '0', -1, 0, 0, 0, 'off_track', 'T = 0: not met'),
    ('2', '3', 2, 3, 0.666666666667, 0.666666666667, 'off_track', '2 / 3 = 0.666666666666|66..., up'),
    ('1', '3', 1, 3, 0.333333333333, 0.333333333333, 'off_track', '1 / 3 = 0.333333333333|33..., down'),
    ('5', '10000000000000', 5, 10000000000000, 0.000000000001, 0.000000000001, 'off_track', '5 / 10^13 = 0.5 of the last place, away from zero'),
    ('4.9', '10000000000000', 4.9, 10000000000000, 0, 0, 'off_track', '4.9 / 10^13 = 0.49 of the last place'),
    ('25', '10000000000000', 25, 10000000000000, 0.000000000003, 0.000000000003, 'off_track', '2.5 of the last place, away from zero, not to the even 2'),
    ('-5', '10000000000000', -5, 10000000000000, -0.000000000001, 0, 'off_track', '-0.5 of the last place, away from zero'),
    ('0.1', '0.3', 0.1, 0.3, 0.333333333333, 0.333333333333, 'off_track', '1 + (0.1 - 0.3) / 0.3, rounded once')
) v (f, t, a, g, x, s, w, b);
SELECT pg_temp.base('ratio, lower', '{"direction": "lower"}', f, t, a, g, x, s, w, b) FROM (VALUES
    ('80', '100', 80, 100, 1.2, 1, 'on_track', '1 - (80 - 100) / 100'),
    ('120', '100', 120, 100, 0.8, 0.8, 'at_risk', '1 - (120 - 100) / 100'),
    ('250', '100', 250, 100, -0.5, 0, 'off_track', '1 - 150 / 100'),
    ('-120', '-100', -120, -100, 1.2, 1, 'on_track', '1 - (-120 + 100) / |-100|'),
    ('-80', '-100', -80, -100, 0.8, 0.8, 'at_risk', '1 - (-80 + 100) / |-100|'),
    ('0', '0', 0, 0, 1, 1, 'on_track', 'T = 0: met, 0 <= 0'),
    ('-1', '0', -1, 0, 1, 1, 'on_track', 'T = 0: met, -1 <= 0'),
    ('1', '0', 1, 0, 0, 0, 'off_track', 'T = 0: not met'),
    ('4', '3', 4, 3, 0.666666666667, 0.666666666667, 'off_track', '1 - 1 / 3 rounded as a whole, not 1 - 0.333333333333')
) v (f, t, a, g, x, s, w, b);

SELECT pg_temp.base('progress', '{"scoring": "progress"}', f, t, a, g, x, s, w, b) FROM (VALUES
    ('60', '100;baseline=20', 60, 100, 0.5, 0.5, 'off_track', '(60 - 20) / (100 - 20)'),
    ('140', '100;baseline=20', 140, 100, 1.5, 1, 'on_track', '120 / 80'),
    ('0', '100;baseline=20', 0, 100, -0.25, 0, 'off_track', '-20 / 80'),
    ('2', '0;baseline=8', 2, 0, 0.75, 0.75, 'off_track', '(2 - 8) / (0 - 8): a target of 0 is no special case'),
    ('40', '20;baseline=100', 40, 20, 0.75, 0.75, 'off_track', '-60 / -80: the direction is that of the way'),
    ('50', '50;baseline=50', 50, 50, 1, 1, 'on_track', 'T = baseline: met, 50 >= 50'),
    ('49', '50;baseline=50', 49, 50, 0, 0, 'off_track', 'T = baseline: not met'),
    ('1', '3;baseline=0', 1, 3, 0.333333333333, 0.333333333333, 'off_track', '1 / 3'),
    ('60', '100', 60, 100, NULL, NULL, 'no_target', 'no baseline: no attainment; an actual without a score')
) v (f, t, a, g, x, s, w, b);
SELECT pg_temp.base('progress, lower', '{"scoring": "progress", "direction": "lower"}', f, t, a, g, x, s, w, b) FROM (VALUES
    ('40', '20;baseline=100', 40, 20, 0.75, 0.75, 'off_track', '-60 / -80'),
    ('-20', '-50;baseline=-10', -20, -50, 0.25, 0.25, 'off_track', '-10 / -40'),
    ('50', '50;baseline=50', 50, 50, 1, 1, 'on_track', 'T = baseline: met, 50 <= 50'),
    ('51', '50;baseline=50', 51, 50, 0, 0, 'off_track', 'T = baseline: not met')
) v (f, t, a, g, x, s, w, b);

-- both directions: a range has none
SELECT pg_temp.base('range, ' || d, jsonb_build_object('scoring', 'range', 'direction', d), f, t, a, NULL, x, s, w, b)
  FROM (VALUES ('higher'), ('lower')) directions (d), (VALUES
    ('15', ';low=10;high=20', 15, 1, 1, 'on_track', 'inside'),
    ('10', ';low=10;high=20', 10, 1, 1, 'on_track', 'at the lower bound'),
    ('20', ';low=10;high=20', 20, 1, 1, 'on_track', 'at the upper bound'),
    ('8', ';low=10;high=20', 8, 0.8, 0.8, 'at_risk', '1 - (10 - 8) / 10'),
    ('25', ';low=10;high=20', 25, 0.75, 0.75, 'off_track', '1 - (25 - 20) / 20'),
    ('-20', ';low=10;high=20', -20, -2, 0, 'off_track', '1 - 30 / 10'),
    ('1000', ';low=10', 1000, 1, 1, 'on_track', 'open above'),
    ('5', ';low=10', 5, 0.5, 0.5, 'off_track', '1 - 5 / 10'),
    ('-1000', ';high=20', -1000, 1, 1, 'on_track', 'open below'),
    ('30', ';high=20', 30, 0.5, 0.5, 'off_track', '1 - 10 / 20'),
    ('7', '', 7, 1, 1, 'on_track', 'open on both sides'),
    ('-1', ';low=0;high=10', -1, 0, 0, 'off_track', 'below a bound of 0'),
    ('0', ';low=0;high=10', 0, 1, 1, 'on_track', 'at a bound of 0'),
    ('1', ';low=-10;high=0', 1, 0, 0, 'off_track', 'above a bound of 0'),
    ('-15', ';low=-10;high=0', -15, 0.5, 0.5, 'off_track', '1 - 5 / |-10|'),
    ('-4', ';low=-10;high=-5', -4, 0.8, 0.8, 'at_risk', '1 - 1 / |-5|'),
    ('5', ';low=5;high=5', 5, 1, 1, 'on_track', 'a range of one number'),
    ('4', ';low=3;high=3', 4, 0.666666666667, 0.666666666667, 'off_track', '1 - 1 / 3, rounded as a whole')
) v (f, t, a, x, s, w, b);
SELECT pg_temp.base('range', '{"scoring": "range"}', '15', '99;low=10;high=20', 15, 99, 1, 1, 'on_track', 'a value beside the range is shown and does not count');

SELECT pg_temp.base('step', '{"scoring": "step"}', f, t, a, g, x, x, w, b) FROM (VALUES
    ('100', '100', 100, 100, 1, 'on_track', 'met'), ('99.99', '100', 99.99, 100, 0, 'off_track', 'not met'),
    ('-5', '-5', -5, -5, 1, 'on_track', 'met'), ('-1', '0', -1, 0, 0, 'off_track', 'not met')) v (f, t, a, g, x, w, b);
SELECT pg_temp.base('step, lower', '{"scoring": "step", "direction": "lower"}', f, t, a, g, x, x, w, b) FROM (VALUES
    ('100', '100', 100, 100, 1, 'on_track', 'met'), ('100.01', '100', 100.01, 100, 0, 'off_track', 'not met')) v (f, t, a, g, x, w, b);

SELECT pg_temp.base('curve, ' || d, jsonb_build_object('scoring', 'curve', 'direction', d, 'score_cap', NULL), f, t, a, NULL, x, x, w, b)
  FROM (VALUES ('higher'), ('lower')) directions (d), (VALUES
    ('-5', ';points={{0,0},{50,0.5},{100,1.2}}', -5, 0, 'off_track', 'clamped to the first point'),
    ('0', ';points={{0,0},{50,0.5},{100,1.2}}', 0, 0, 'off_track', 'the first point'),
    ('25', ';points={{0,0},{50,0.5},{100,1.2}}', 25, 0.25, 'off_track', '0 + 25 * 0.5 / 50'),
    ('50', ';points={{0,0},{50,0.5},{100,1.2}}', 50, 0.5, 'off_track', 'a point'),
    ('75', ';points={{0,0},{50,0.5},{100,1.2}}', 75, 0.85, 'at_risk', '0.5 + 25 * 0.7 / 50'),
    ('100', ';points={{0,0},{50,0.5},{100,1.2}}', 100, 1.2, 'on_track', 'the last point'),
    ('500', ';points={{0,0},{50,0.5},{100,1.2}}', 500, 1.2, 'on_track', 'clamped to the last point'),
    ('75', ';points={{100,1.2},{0,0},{50,0.5}}', 75, 0.85, 'at_risk', 'the same, unsorted'),
    ('500', ';points={{100,1.2},{0,0},{50,0.5}}', 500, 1.2, 'on_track', 'the same, unsorted'),
    ('4', ';points={{10,0},{0,1}}', 4, 0.6, 'off_track', 'falling: 1 - 4 / 10'),
    ('-7', ';points={{-10,0},{-5,1}}', -7, 0.6, 'off_track', '3 / 5'),
    ('1', ';points={{7,0.9}}', 1, 0.9, 'at_risk', 'one point: its score everywhere'),
    ('100', ';points={{7,0.9}}', 100, 0.9, 'at_risk', 'one point: its score everywhere'),
    ('2', ';points={{0,0},{3,1}}', 2, 0.666666666667, 'off_track', '2 / 3'),
    ('-1', ';points={{0,0.1234567890125},{10,1}}', -1, 0.123456789013, 'off_track', 'an attainment has 12 places, half away from zero'),
    ('5', '', 5, NULL, 'no_target', 'no points: no attainment')
) v (f, t, a, x, w, b);

-- ---------------------------------------------------------------- clamp and status

SELECT pg_temp.base('clamp', r::jsonb, f, '100', a, 100, x, s, w, b) FROM (VALUES
    ('{"score_floor": 0.2}', '10', 10, 0.1, 0.2, 'off_track', 'floored at 0.2'),
    ('{"score_cap": 1.5}', '200', 200, 2, 1.5, 'on_track', 'capped at 1.5'),
    ('{"score_cap": null}', '200', 200, 2, 2, 'on_track', 'no cap'),
    ('{"score_floor": null}', '-300', -300, -3, -3, 'off_track', 'no floor'),
    ('{"score_cap": 1.5}', '120', 120, 1.2, 1.2, 'on_track', 'below the cap')) v (r, f, a, x, s, w, b);
SELECT pg_temp.base('status', r::jsonb, f, '1', a, 1, a, s, w, b) FROM (VALUES
    ('{"exceeded_from": 1.2}', '1.2', 1.2, 1, 'exceeded', 'attainment 1.2 >= 1.2, though the score is capped'),
    ('{"exceeded_from": 1.2}', '1.199999999999', 1.199999999999, 1, 'on_track', 'just below 1.2'),
    ('{"exceeded_from": 0.5}', '0.9', 0.9, 0.9, 'at_risk', 'exceeded needs a score of on_track_from as well'),
    ('{}', '1.5', 1.5, 1, 'on_track', 'exceeded_from null: never'),
    ('{}', '1', 1, 1, 'on_track', 'score 1 >= 1'),
    ('{}', '0.999999999999', 0.999999999999, 0.999999999999, 'at_risk', 'just below 1'),
    ('{}', '0.8', 0.8, 0.8, 'at_risk', '0.8 >= 0.8'),
    ('{}', '0.799999999999', 0.799999999999, 0.799999999999, 'off_track', 'just below 0.8'),
    ('{"at_risk_from": 0.5, "on_track_from": 0.9}', '0.9', 0.9, 0.9, 'on_track', 'own bounds'),
    ('{"at_risk_from": 0.5, "on_track_from": 0.9}', '0.5', 0.5, 0.5, 'at_risk', 'own bounds'),
    ('{"at_risk_from": 0.9, "on_track_from": 0.9}', '0.899', 0.899, 0.899, 'off_track', 'no room for at_risk')) v (r, f, a, s, w, b);
INSERT INTO cases (rule, rules, facts, targets, period, actual, target, target_to_date, status, because) VALUES
    ('status', '{}', '2026-01=5', '', '2026-01', 5, NULL, NULL, 'no_target', 'an actual, no target'),
    ('status', '{}', '', '2026-01=5', '2026-01', NULL, 5, 5, 'no_data', 'a target, no actual'),
    ('status', '{"rollup": "ratio"}', '2026-01=5/0', '2026-01=5', '2026-01', NULL, 5, 5, 'no_data', 'facts without an actual');

-- ---------------------------------------------------------------- rollups, in a base period and coarser

-- 4/1, 8/3, -6/2: n = 3, sum v = 6, sum w = 6, sum vw = 4 + 24 - 12 = 16
INSERT INTO cases (rule, rules, facts, period, actual, status, because)
SELECT 'rollup ' || r, jsonb_build_object('rollup', r, 'multiplier', 100), '2026-01=4/1 2026-01=8/3 2026-01=-6/2', '2026-01', a, 'no_target', b FROM (VALUES
    ('sum', 6, '4 + 8 - 6'), ('mean', 2, '6 / 3'), ('weighted_mean', 2.666666666667, '16 / 6'), ('ratio', 100, '100 * 6 / 6'),
    ('min', -6, 'the smallest'), ('max', 8, 'the largest'), ('count', 3, 'n'), ('none', 6, 'as sum')) v (r, a, b);
INSERT INTO cases (rule, rules, facts, period, actual, status, because)
SELECT 'rollup ' || r, jsonb_build_object('rollup', r, 'multiplier', 100), f, '2026-01', a, CASE WHEN a IS NULL THEN 'no_data' ELSE 'no_target' END, b FROM (VALUES
    ('ratio', '2026-01=5/0', NULL, 'a zero denominator'), ('ratio', '2026-01=0/7', 0, '0 / 7'), ('ratio', '2026-01=1/3', 33.333333333333, '100 * 1 / 3, rounded once'),
    ('ratio', '2026-01=2/-3', -66.666666666667, '100 * 2 / -3, away from zero'),
    ('weighted_mean', '2026-01=5/1 2026-01=7/-1', NULL, 'weights that cancel out'), ('mean', '2026-01=1 2026-01=0 2026-01=0', 0.333333333333, '1 / 3'),
    ('sum', '2026-01=0.00000000000000000001 2026-01=100000000000000000000', 100000000000000000000.00000000000000000001, 'sums are never rounded'),
    ('sum', '2026-01=1.10 2026-01=2.90', 4, 'no trailing zeros'), ('max', '2026-01=-0.0000000000000001 2026-01=-3', -0.0000000000000001, 'nor are extremes')) v (r, f, a, b);

-- January 10/4; February 20/5, 30/5; March nothing
INSERT INTO cases (rule, rules, facts, period, actual, status, because)
SELECT format('quarter, rollup %s, time_rollup %s', r, t), jsonb_build_object('rollup', r, 'time_rollup', t, 'multiplier', 100), '2026-01=10/4 2026-02=20/5 2026-02=30/5', '2026-Q1', a, 'no_target', b FROM (VALUES
    ('sum', 'pool', 60, '10 + 20 + 30'), ('sum', 'last', 50, 'February: 20 + 30'), ('sum', 'mean', 30, '(10 + 50) / 2'),
    ('mean', 'pool', 20, '60 / 3'), ('mean', 'last', 25, '50 / 2'), ('mean', 'mean', 17.5, '(10 + 25) / 2'),
    ('weighted_mean', 'pool', 20.714285714286, '(40 + 100 + 150) / 14'), ('weighted_mean', 'last', 25, '250 / 10'), ('weighted_mean', 'mean', 17.5, '(10 + 25) / 2'),
    ('ratio', 'pool', 428.571428571429, '100 * 60 / 14'), ('ratio', 'last', 500, '100 * 50 / 10'), ('ratio', 'mean', 375, '(250 + 500) / 2'),
    ('min', 'pool', 10, 'the smallest'), ('min', 'last', 20, 'of February'), ('min', 'mean', 15, '(10 + 20) / 2'),
    ('max', 'pool', 30, 'the largest'), ('max', 'last', 30, 'of February'), ('max', 'mean', 20, '(10 + 30) / 2'),
    ('count', 'pool', 3, 'n'), ('count', 'last', 2, 'of February'), ('count', 'mean', 1.5, '(1 + 2) / 2'),
    ('none', 'pool', 60, 'as sum'), ('none', 'last', 50, 'as sum'), ('none', 'mean', 30, 'as sum')) v (r, t, a, b);

-- ---------------------------------------------------------------- targets of coarser periods

-- targets of January to March are 10, 30 and 20; no facts, so only the target shows
INSERT INTO cases (rule, rules, targets, period, target, status, because)
SELECT format('derived target, rollup %s, time_rollup %s', r, t), jsonb_build_object('rollup', r, 'time_rollup', t), '2026-01=10 2026-02=30 2026-03=20', '2026-Q1', g, 'no_data', b FROM (VALUES
    ('sum', 'pool', 60, 'summed'), ('count', 'pool', 60, 'summed'), ('none', 'pool', 60, 'summed'),
    ('mean', 'pool', 20, '60 / 3'), ('weighted_mean', 'pool', 20, '60 / 3'), ('ratio', 'pool', 20, '60 / 3'), ('min', 'pool', 10, 'the smallest'), ('max', 'pool', 30, 'the largest'),
    ('sum', 'last', 20, 'March'), ('count', 'last', 20, 'March'), ('none', 'last', 20, 'March'), ('mean', 'last', 20, 'March'), ('weighted_mean', 'last', 20, 'March'), ('ratio', 'last', 20, 'March'), ('min', 'last', 20, 'March'), ('max', 'last', 20, 'March'),
    ('sum', 'mean', 20, '60 / 3'), ('count', 'mean', 20, '60 / 3'), ('none', 'mean', 20, '60 / 3'), ('mean', 'mean', 20, '60 / 3'), ('weighted_mean', 'mean', 20, '60 / 3'), ('ratio', 'mean', 20, '60 / 3'), ('min', 'mean', 10, 'the smallest'), ('max', 'mean', 30, 'the largest')) v (r, t, g, b);
INSERT INTO cases (rule, rules, targets, period, target, status, because)
SELECT 'derived target', r::jsonb, t, p, g, 'no_data', b FROM (VALUES
    ('{"rollup": "mean"}', '2026-01=10 2026-02=10 2026-03=11', '2026-Q1', 10.333333333333, '31 / 3'),
    ('{}', '2026-01=10 2026-02=30 2026-03=20 2026-Q1=7', '2026-Q1', 7, 'the explicit one counts'),
    ('{}', '2026-01..2026-12=10 2026-Q1=1 2026-Q2=2 2026-Q3=3 2026-Q4=4', '2026', 10, 'of the quarters, the coarsest that are complete: 1 + 2 + 3 + 4'),
    ('{}', '2026-01..2026-12=10 2026-Q1=1 2026-Q2=2 2026-Q3=3 2026-H1=50', '2026', 120, 'neither halves nor quarters are complete: 12 * 10'),
    ('{}', '2026-01..2026-12=10 2026-H1=100 2026-H2=200', '2026', 300, 'of the halves'),
    ('{}', '2026-01..2026-12=10 2026-Q1=1 2026-Q2=2', '2026-H1', 3, 'of the quarters'),
    ('{}', '2026-01..2026-12=10 2026-Q1=1', '2026-H1', 60, 'of the months'),
    ('{"valid_from": "2026-04-01"}', '2026-04..2026-12=10 2026-01=1000', '2026', 90, 'nine months alive; what January has does not count'),
    ('{"grain": "day"}', '2026-01-05..2026-01-11=2', '2026-W02', 14, 'seven days'),
    ('{"grain": "day"}', '2026-02-01..2026-02-28=2', '2026-02', 56, '28 days'),
    ('{"grain": "quarter"}', '2026-Q1=1 2026-Q2=2', '2026-H1', 3, 'of quarters'),
    ('{"fiscal_start": 4}', '2026-04=1 2026-05=2 2026-06=4', 'FY2027-Q1/04', 7, 'months of the fiscal quarter'),
    ('{"rollup": "min"}', '2026-01=10 2026-02=9.50 2026-03=20', '2026-Q1', 9.5, 'the smallest, without trailing zeros')) v (r, t, p, g, b);
-- no target at all, so no row without facts: an actual of 0 from a fact of 0
INSERT INTO cases (rule, rules, facts, targets, period, actual, status, because)
SELECT 'no target', r::jsonb, f, t, p, 0, 'no_target', b FROM (VALUES
    ('{"scoring": "curve"}', '2026-02=0', '2026-01=10', '2026', 'eleven months have none, February, which is reached, among them'),
    ('{"grain": "day"}', '2026-01-06=0', '2026-01-05=1', '2026-W02', 'six days have none, that of the fact among them')) v (r, f, t, p, b);
-- each field on its own, seen through the attainment
INSERT INTO cases (rule, rules, facts, targets, period, actual, target, attainment, target_to_date, attainment_to_date, score, status, because) VALUES
    ('derived range, summed', '{"scoring": "range"}', '2026-01=1 2026-02=1 2026-03=1', '2026-01=;low=1;high=10 2026-02=;low=2;high=20 2026-03=;low=3;high=30', '2026-Q1',
     3, NULL, 0.5, NULL, 0.5, 0.5, 'off_track', 'low 6: 1 - (6 - 3) / 6'),
    ('derived range, summed', '{"scoring": "range"}', '2026-01=30 2026-02=30 2026-03=30', '2026-01=;low=1;high=10 2026-02=;low=2;high=20 2026-03=;low=3;high=30', '2026-Q1',
     90, NULL, 0.5, NULL, 0.5, 0.5, 'off_track', 'high 60: 1 - (90 - 60) / 60'),
    ('derived range, a bound missing', '{"scoring": "range"}', '2026-01=30 2026-02=30 2026-03=30', '2026-01=;low=1;high=10 2026-02=;low=2 2026-03=;low=3;high=30', '2026-Q1',
     90, NULL, 1, NULL, 1, 1, 'on_track', 'February is open above, so the quarter is'),
    ('derived range, mean', '{"scoring": "range", "rollup": "mean"}', '2026-01=1 2026-02=1 2026-03=1', '2026-01=;low=1;high=10 2026-02=;low=2;high=20 2026-03=;low=3;high=30', '2026-Q1',
     1, NULL, 0.5, NULL, 0.5, 0.5, 'off_track', 'low 2: 1 - 1 / 2'),
    ('derived range, min', '{"scoring": "range", "rollup": "min"}', '2026-01=15 2026-02=25 2026-03=15', '2026-01=;low=1;high=10 2026-02=;low=2;high=20 2026-03=;low=3;high=30', '2026-Q1',
     15, NULL, 0.5, NULL, 0.5, 0.5, 'off_track', 'high 10: 1 - 5 / 10'),
    ('derived range, last', '{"scoring": "range", "time_rollup": "last"}', '2026-03=33', '2026-01=;low=1;high=10 2026-02=;low=2 2026-03=;low=3;high=30', '2026-Q1',
     33, NULL, 0.9, NULL, 0.9, 0.9, 'at_risk', 'March as a whole, high 30: 1 - 3 / 30'),
    ('derived baseline', '{"scoring": "progress"}', '2026-01=10 2026-02=10 2026-03=10', '2026-01=20;baseline=2 2026-02=20;baseline=3 2026-03=20;baseline=5', '2026-Q1',
     30, 60, 0.4, 60, 0.4, 0.4, 'off_track', 'baseline 10: (30 - 10) / (60 - 10)'),
    ('derived baseline, one missing', '{"scoring": "progress"}', '2026-01=10 2026-02=10 2026-03=10', '2026-01=20;baseline=2 2026-02=20 2026-03=20;baseline=5', '2026-Q1',
     30, 60, NULL, 60, NULL, NULL, 'no_target', 'no baseline'),
    ('derived points, identical', '{"scoring": "curve", "rollup": "mean"}', '2026-01=4 2026-02=6 2026-03=8', '2026-01=;points={{0,0},{10,1}} 2026-02=;points={{10.0,1},{0,0}} 2026-03=;points={{0,0},{10,1}}', '2026-Q1',
     6, NULL, 0.6, NULL, 0.6, 0.6, 'off_track', 'the same points in any order: 6 / 10'),
    ('derived points, different', '{"scoring": "curve", "rollup": "mean"}', '2026-01=4 2026-02=6 2026-03=8', '2026-01=;points={{0,0},{10,1}} 2026-02=;points={{0,0},{11,1}} 2026-03=;points={{0,0},{10,1}}', '2026-Q1',
     6, NULL, NULL, NULL, NULL, NULL, 'no_target', 'no points'),
    ('derived points, summed', '{"scoring": "curve"}', '2026-01=4 2026-02=6 2026-03=8', '2026-01..2026-03=;points={{0,0},{10,1}}', '2026-Q1',
     18, NULL, NULL, NULL, NULL, NULL, 'no_target', 'points of months are not those of a quarter'),
    ('derived points, last', '{"scoring": "curve", "time_rollup": "last"}', '2026-03=8', '2026-01=;points={{0,0},{9,1}} 2026-02=;points={{0,0},{11,1}} 2026-03=;points={{0,0},{10,1}}', '2026-Q1',
     8, NULL, 0.8, NULL, 0.8, 0.8, 'at_risk', 'March as a whole');

-- ---------------------------------------------------------------- targets to date

INSERT INTO cases (rule, rules, facts, targets, period, actual, target, attainment, target_to_date, attainment_to_date, score, status, because) VALUES
    -- 1: no explicit target of the period, all base periods reached have one
    ('to date, derived', '{}', '2026-01=7 2026-02=20', '2026-01=10 2026-02=20 2026-03=30', '2026-Q1', 27, 60, 0.45, 30, 0.9, 0.9, 'at_risk', '10 + 20; 27 / 60; 27 / 30'),
    ('to date, derived', '{}', '2026-01=7 2026-03=20', '2026-01=10 2026-02=20 2026-03=30', '2026-Q1', 27, 60, 0.45, 60, 0.45, 0.45, 'off_track', 'March has an actual, so February counts as reached'),
    ('to date, derived', '{}', '2026-01=10 2026-02=20 2026-03=30', '2026-01=10 2026-02=20 2026-03=30', '2026-Q1', 60, 60, 1, 60, 1, 1, 'on_track', 'the end of the period: the target'),
    ('to date, no target', '{}', '2026-01=7 2026-02=20', '2026-01=10 2026-02=20', '2026-Q1', 27, NULL, NULL, 30, 0.9, 0.9, 'at_risk', 'March has none: no target, but 10 + 20 to date'),
    ('to date, mean', '{"rollup": "mean"}', '2026-01=12 2026-02=12', '2026-01=10 2026-02=20 2026-03=30', '2026-Q1', 12, 20, 0.6, 15, 0.8, 0.8, 'at_risk', '(10 + 20) / 2'),
    ('to date, last', '{"time_rollup": "last"}', '2026-01=12 2026-02=16', '2026-01=10 2026-02=20 2026-03=32', '2026-Q1', 16, 32, 0.5, 20, 0.8, 0.8, 'at_risk', 'February'),
    ('to date, min', '{"rollup": "min"}', '2026-01=9 2026-02=9', '2026-01=20 2026-02=18 2026-03=10', '2026-Q1', 9, 10, 0.9, 18, 0.5, 0.5, 'off_track', 'the smaller of 20 and 18'),
    ('to date, max', '{"rollup": "max"}', '2026-01=9 2026-02=9', '2026-01=10 2026-02=18 2026-03=20', '2026-Q1', 9, 20, 0.45, 18, 0.5, 0.5, 'off_track', 'the larger of 10 and 18'),
    ('to date, ratio', '{"rollup": "ratio"}', '2026-01=8/1 2026-02=2/0', '2026-01=10 2026-02=20 2026-03=30', '2026-Q1', 10, 20, 0.5, 10, 1, 1, 'on_track', 'February has facts but no actual: January is the last'),
    -- 2: explicit, and the base periods agree with it
    ('to date, explicit and equal', '{}', '2026-01=7 2026-02=20', '2026-Q1=60.00 2026-01=10 2026-02=20 2026-03=30', '2026-Q1', 27, 60, 0.45, 30, 0.9, 0.9, 'at_risk', '10 + 20 + 30 = 60: 10 + 20'),
    ('to date, explicit and equal', '{"scoring": "progress"}', '2026-01=7 2026-02=20', '2026-Q1=60;baseline=0 2026-01=10;baseline=0 2026-02=20;baseline=0 2026-03=30;baseline=0', '2026-Q1', 27, 60, 0.45, 30, 0.9, 0.9, 'at_risk', 'in any scoring'),
    -- 3: summed, ratio or step: by the number of base periods
    ('to date, explicit and different', '{}', '2026-01=7 2026-02=20', '2026-Q1=90 2026-01=10 2026-02=20 2026-03=30', '2026-Q1', 27, 90, 0.3, 60, 0.45, 0.45, 'off_track', '90 * 2 / 3'),
    ('to date, explicit, months incomplete', '{}', '2026-01=7 2026-02=20', '2026-Q1=30 2026-01=10 2026-02=20', '2026-Q1', 27, 30, 0.9, 20, 1.35, 1, 'on_track', '30 * 2 / 3: March has no target'),
    ('to date, proportional', '{}', '2026-01=25', '2026-Q1=100', '2026-Q1', 25, 100, 0.25, 33.333333333333, 0.75, 0.75, 'off_track', '100 / 3 rounded; 25 / 33.333333333333 = 0.75 + 0.75e-14'),
    ('to date, proportional, lower', '{"direction": "lower"}', '2026-01=40', '2026=360', '2026', 40, 360, 1.888888888889, 30, 0.666666666667, 0.666666666667, 'off_track', '360 / 12; 1 - 10 / 30'),
    ('to date, proportional, step', '{"scoring": "step"}', '2026-01=30', '2026-Q1=90', '2026-Q1', 30, 90, 0, 30, 1, 1, 'on_track', '90 / 3 is met'),
    ('to date, proportional, count', '{"rollup": "count"}', '2026-01=5 2026-01=5', '2026-Q1=6', '2026-Q1', 2, 6, 0.333333333333, 2, 1, 1, 'on_track', '6 / 3'),
    ('to date, proportional, of quarters', '{}', '2026-01..2026-06=5', '2026-Q1=10 2026-Q2=20 2026-Q3=30 2026-Q4=40', '2026', 30, 100, 0.3, 50, 0.6, 0.6, 'off_track', 'months have none: (10 + 20 + 30 + 40) * 6 / 12'),
    ('to date, proportional, days', '{"grain": "day"}', '2026-02-07=63', '2026-02=280', '2026-02', 63, 280, 0.225, 70, 0.9, 0.9, 'at_risk', '280 * 7 / 28'),
    ('to date, alive for a part', '{"valid_from": "2026-02-01"}', '2026-02=36', '2026-Q1=90', '2026-Q1', 36, 90, 0.4, 45, 0.8, 0.8, 'at_risk', 'alive in February and March: 90 * 1 / 2'),
    -- 4: else the target
    ('to date, else the target', '{"scoring": "progress"}', '2026-01=45', '2026-Q1=90;baseline=0', '2026-Q1', 45, 90, 0.5, 90, 0.5, 0.5, 'off_track', 'progress is not proportional'),
    ('to date, else the target', '{"rollup": "mean"}', '2026-01=45', '2026-Q1=90', '2026-Q1', 45, 90, 0.5, 90, 0.5, 0.5, 'off_track', 'means are not summed'),
    ('to date, else the target', '{"rollup": "mean"}', '2026-01=45', '2026-Q1=90 2026-01=10 2026-02=20 2026-03=60', '2026-Q1', 45, 90, 0.5, 90, 0.5, 0.5, 'off_track', 'nor does it matter what months have'),
    ('to date, else the target', '{"time_rollup": "last"}', '2026-01=45', '2026-Q1=90', '2026-Q1', 45, 90, 0.5, 90, 0.5, 0.5, 'off_track', 'a stock is not summed'),
    ('to date, else the target', '{"scoring": "range"}', '2026-01=45', '2026-Q1=;low=90', '2026-Q1', 45, NULL, 0.5, NULL, 0.5, 0.5, 'off_track', 'nor is a range'),
    ('to date, a target of the coarser grain only', '{}', '2026-01=45', '2026-Q1=90', '2026-01', 45, NULL, NULL, NULL, NULL, NULL, 'no_target', 'it says nothing about the month');
INSERT INTO cases (rule, rules, facts, targets, period, target, status, because) VALUES
    ('to date, nothing reached', '{}', '2025-12=1', '2026-Q1=90', '2026-Q1', 90, 'no_data', 'no actual in the quarter: null');

-- ---------------------------------------------------------------- result and drivers

INSERT INTO cases (rule, rules, facts, targets, drivers, period, actual, target, attainment, target_to_date, attainment_to_date, score, status, because)
SELECT 'drivers', r::jsonb, '2026-01=80', '2026-01=100', d, '2026-01', 80, 100, 0.8, 100, 0.8, s, w, b FROM (VALUES
    ('{"result_weight": 0.25}', '1:0.4', 0.5, 'off_track', '0.25 * 0.8 + 0.75 * 0.4'),
    ('{}', '1:0.4', 0.8, 'at_risk', 'result_weight 1: 0.8'),
    ('{"result_weight": 0}', '1:0.4', 0.4, 'off_track', 'the drivers alone'),
    ('{"result_weight": 0.5}', '1:0.4 3:0.8', 0.75, 'off_track', 'd = (0.4 + 3 * 0.8) / 4 = 0.7'),
    ('{"result_weight": 0.5, "driver_rollup": "min"}', '1:0.4 3:0.8', 0.6, 'off_track', 'd = 0.4'),
    ('{"result_weight": 0.5, "driver_rollup": "max"}', '1:0.4 3:0.9', 0.85, 'at_risk', 'd = 0.9'),
    ('{"result_weight": 0.5}', '1:0.4 1:none', 0.6, 'off_track', 'exclude: d = 0.4'),
    ('{"result_weight": 0.5}', '1:none', 0.8, 'at_risk', 'exclude: no d, the result alone'),
    ('{"result_weight": 0.5, "missing_child": "zero"}', '1:0.4 1:none', 0.5, 'off_track', 'zero: d = (0.4 + 0) / 2'),
    ('{"result_weight": 0.5, "missing_child": "zero"}', '1:none', 0.8, 'at_risk', 'zero, but no child has a score: no d'),
    ('{"result_weight": 0.5, "missing_child": "zero", "driver_rollup": "min"}', '1:0.4 1:none', 0.4, 'off_track', 'zero: d = 0'),
    ('{"result_weight": 0.5, "missing_child": "require"}', '1:0.4 1:0.6', 0.65, 'off_track', 'require: all there, d = 0.5'),
    ('{"result_weight": 0.5, "missing_child": "require"}', '1:0.4 1:none', NULL, 'no_target', 'require: no d, so no score'),
    ('{"result_weight": 1, "missing_child": "require"}', '1:0.4 1:none', 0.8, 'at_risk', 'require, but the drivers weigh nothing'),
    ('{"result_weight": 0.5, "missing_child": "require"}', '', 0.8, 'at_risk', 'require, but there are no drivers'),
    ('{"result_weight": 0.3333333333333}', '1:0', 0.266666666667, 'off_track', '0.3333333333333 * 0.8 = 0.26666666666664'),
    ('{"result_weight": 0}', '1:1 2:0', 0.333333333333, 'off_track', 'd = 1 / 3')) v (r, d, s, w, b);
INSERT INTO cases (rule, rules, facts, targets, drivers, period, actual, target, target_to_date, score, status, because) VALUES
    ('drivers alone', '{}', '', '', '1:0.4', '2026-01', NULL, NULL, NULL, 0.4, 'off_track', 'no result: d, whatever result_weight says'),
    ('drivers alone', '{"result_weight": 0.9}', '2026-01=80', '', '1:0.9', '2026-01', 80, NULL, NULL, 0.9, 'at_risk', 'an actual without a target'),
    ('drivers alone', '{"exceeded_from": 0.5}', '', '', '1:1', '2026-01', NULL, NULL, NULL, 1, 'on_track', 'without an attainment nothing is exceeded'),
    ('drivers alone', '{}', '', '', '1:0.4', '2026-Q1', NULL, NULL, NULL, 0.4, 'off_track', 'the children''s quarter: 40 of 100 to date, by their only month');

-- ---------------------------------------------------------------- loading

CREATE FUNCTION pg_temp.spread(list text) RETURNS TABLE (period kpi_period, given text) LANGUAGE sql AS $$
    SELECT p, substr(item, strpos(item, '=') + 1)
      FROM regexp_split_to_table(btrim(list), ' ') item,
           LATERAL kpi.generate_series(split_part(split_part(item, '=', 1), '..', 1)::kpi_period,
                                       coalesce(nullif(split_part(split_part(item, '=', 1), '..', 2), ''), split_part(item, '=', 1))::kpi_period) p
     WHERE item <> ''
$$;
CREATE FUNCTION pg_temp.field(given text, name text) RETURNS text LANGUAGE sql AS $$
    SELECT substr(f, strpos(f, '=') + 1) FROM regexp_split_to_table(given, ';') f WHERE f LIKE name || '=%'
$$;
INSERT INTO kpi.unit (path) VALUES ('u');
-- keys are those of the cases; children come from 10000 on
INSERT INTO kpi.measure
SELECT m.* FROM cases c, LATERAL jsonb_populate_record(NULL::kpi.measure, jsonb_build_object(
    'measure_id', c.id, 'code', 'm' || c.id, 'direction', 'higher', 'rollup', 'sum', 'time_rollup', 'pool', 'scoring', 'ratio', 'multiplier', 1,
    'score_floor', 0, 'score_cap', 1, 'driver_rollup', 'mean', 'result_weight', 1, 'missing_child', 'exclude', 'grain', 'month', 'fiscal_start', 1,
    'at_risk_from', 0.8, 'on_track_from', 1, 'exceeded_from', NULL, 'rolls_up', true, 'apply_share', true, 'attributes', '{}'::jsonb,
    'targets_count_from', 'proposed', 'keep_fact_revisions', true, 'due_after', '0 days') || c.rules) m;
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id, valid_from) SELECT c.id, kpi.unit_id('u'), c.id, (c.rules ->> 'valid_from')::date FROM cases c;
INSERT INTO kpi.fact (kpi_id, period, value, weight)
SELECT c.id, s.period, split_part(s.given, '/', 1)::numeric, coalesce(nullif(split_part(s.given, '/', 2), ''), '1')::numeric
  FROM cases c, LATERAL pg_temp.spread(c.facts) s WHERE c.facts <> '';
INSERT INTO kpi.target (kpi_id, period, value, baseline, low, high, points)
SELECT c.id, s.period, nullif(split_part(s.given, ';', 1), '')::numeric, pg_temp.field(s.given, 'baseline')::numeric, pg_temp.field(s.given, 'low')::numeric,
       pg_temp.field(s.given, 'high')::numeric, pg_temp.field(s.given, 'points')::numeric[]
  FROM cases c, LATERAL pg_temp.spread(c.targets) s WHERE c.targets <> '';
CREATE TEMP TABLE driver AS
SELECT 10000 + row_number() OVER (ORDER BY c.id, d.place) AS id, c.id AS parent, split_part(d.item, ':', 1)::numeric AS weight, nullif(split_part(d.item, ':', 2), 'none')::numeric AS attainment
  FROM cases c, LATERAL regexp_split_to_table(c.drivers, ' ') WITH ORDINALITY d (item, place) WHERE c.drivers <> '';
INSERT INTO kpi.measure (measure_id, code) SELECT id, 'd' || id FROM driver;
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) SELECT id, kpi.unit_id('u'), id FROM driver;
INSERT INTO kpi.fact (kpi_id, period, value) SELECT id, '2026-01', coalesce(attainment, 0.5) * 100 FROM driver;
INSERT INTO kpi.target (kpi_id, period, value) SELECT id, '2026-01', 100 FROM driver WHERE attainment IS NOT NULL;
INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes, weight) SELECT id, parent, 'score', weight FROM driver;

-- ---------------------------------------------------------------- the same before and after a fold

CREATE FUNCTION pg_temp.compare(how text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT is(ROW(a.actual, a.target, a.variance, a.attainment, a.target_to_date, a.attainment_to_date, a.score, a.status)::text,
              ROW(c.actual, c.target, trim_scale(c.actual - c.target), c.attainment, c.target_to_date, c.attainment_to_date, c.score, c.status)::text,
              format('%s %s: %s, %s (%s): %s', how, c.id, c.rule, concat_ws('; ', nullif(c.facts, ''), nullif(c.targets, ''), nullif(c.drivers, '')), c.period, c.because))
      FROM cases c LEFT JOIN kpi.attainment a ON a.kpi_id = c.id AND a.period = c.period::kpi_period
     ORDER BY c.id
$$;
SELECT pg_temp.compare('pending');
SELECT cmp_ok(kpi.fold(), '>', 0::bigint, 'a fold');
SELECT pg_temp.compare('folded');
SELECT is_empty('SELECT * FROM kpi.verify()', 'the recomputation agrees on all periods of all cases');

SELECT finish();
ROLLBACK;
