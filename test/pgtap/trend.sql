-- kpi.trend, kpi.forecast, kpi.pace and what the scorecards show of them.
-- Expected values are worked out by hand in the comments.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT no_plan();

INSERT INTO kpi.unit (path, code) VALUES ('acme', 'ACME'), ('acme.a', 'A'), ('acme.b', 'B');
INSERT INTO kpi.measure (code, direction, rollup, time_rollup, multiplier, scoring) VALUES
    ('revenue', 'higher', 'sum', 'pool', 1, 'ratio'), ('cost', 'lower', 'sum', 'pool', 1, 'ratio'), ('defects', 'lower', 'ratio', 'pool', 100, 'ratio'),
    ('heads', 'higher', 'sum', 'last', 1, 'range'), ('temperature', 'higher', 'sum', 'mean', 1, 'ratio'), ('uptime', 'higher', 'min', 'pool', 1, 'step'),
    ('project', 'higher', 'none', 'last', 1, 'progress');
INSERT INTO kpi.measure (code, rollup, multiplier, rolls_up) VALUES ('per_head', 'ratio', 1, false), ('growth', 'none', 100, false);
INSERT INTO kpi.measure (code, fiscal_start) VALUES ('fiscal', 4);
INSERT INTO kpi.measure (code, grain) VALUES ('weekly', 'week');
SELECT kpi.deploy(code, 'acme', CASE WHEN rolls_up AND code NOT IN ('project', 'fiscal', 'weekly') THEN NULL ELSE '{1}'::int[] END) FROM kpi.measure;
SELECT kpi.link_kpi('acme', 'revenue', 'acme', 'per_head', 'numerator'), kpi.link_kpi('acme', 'heads', 'acme', 'per_head', 'denominator'),
       kpi.link_kpi('acme', 'revenue', 'acme', 'growth', 'growth');

INSERT INTO kpi.fact_entry (unit, measure, period, value, weight) VALUES
    ('A', 'revenue', '2025-01', 40, 1), ('A', 'revenue', '2025-02', 60, 1), ('A', 'revenue', '2025-03', 50, 1), ('A', 'revenue', '2025-04', 50, 1),
    ('A', 'revenue', '2026-01', 30, 1), ('B', 'revenue', '2026-01', 30, 1), ('A', 'revenue', '2026-02', 48, 1), ('A', 'revenue', '2026-03', 72, 1),
    ('A', 'cost', '2026-01', 8, 1), ('A', 'cost', '2026-02', 10, 1), ('A', 'cost', '2026-03', 10, 1),
    ('A', 'defects', '2026-01', 1, 100), ('A', 'defects', '2026-02', 9, 300),
    ('A', 'heads', '2026-01', 4, 1), ('A', 'heads', '2026-02', 6, 1), ('A', 'heads', '2026-03', 9, 1),
    ('A', 'temperature', '2026-01', 10, 1), ('A', 'temperature', '2026-02', 20, 1),
    ('A', 'uptime', '2026-01', 99, 1), ('A', 'uptime', '2026-02', 97, 1), ('A', 'uptime', '2026-03', 98, 1),
    ('acme', 'project', '2026-01', 15, 1), ('acme', 'project', '2026-02', 20, 1),
    ('acme', 'fiscal', '2026-03', 5, 1), ('acme', 'fiscal', '2026-04', 7, 1), ('acme', 'fiscal', '2026-05', 8, 1),
    ('acme', 'weekly', '2026-W10', 1, 1), ('acme', 'weekly', '2026-W11', 3, 1);
INSERT INTO kpi.target_entry (unit, measure, period, value)
SELECT 'acme', 'revenue', p, 60 FROM kpi.generate_series('2026-01', '2026-12') p UNION ALL
VALUES ('acme', 'cost', '2026'::kpi_period, 120), ('acme', 'defects', '2026', 2), ('acme', 'defects', '2026-01', 1), ('acme', 'defects', '2026-02', 4),
       ('acme', 'temperature', '2026', 16), ('acme', 'growth', '2026-01', 10), ('acme', 'growth', '2026-02', 20), ('acme', 'growth', '2026-03', 30);
INSERT INTO kpi.target_entry (unit, measure, period, low, high)
SELECT 'acme', 'heads', p, 5, 8 FROM kpi.generate_series('2026-01', '2026-03') p;
INSERT INTO kpi.target_entry (unit, measure, period, value)
SELECT 'acme', 'uptime', p, 97.5 FROM kpi.generate_series('2026-01', '2026-12') p;
SELECT kpi.set_target('acme', 'project', '2026', 40, baseline => 10);
SELECT kpi.set_target('acme', 'fiscal', 'FY2027-Q1/04', 24), kpi.set_target('acme', 'fiscal', 'FY2027-Q2/04', 24),
       kpi.set_target('acme', 'fiscal', 'FY2027-Q3/04', 24), kpi.set_target('acme', 'fiscal', 'FY2027-Q4/04', 24);

CREATE FUNCTION pg_temp.trend(of_measure text, of_period text, OUT previous numeric, OUT change numeric, OUT relative numeric,
                              OUT last_year numeric, OUT on_year numeric, OUT relative_on_year numeric, OUT moving numeric, OUT travel text) LANGUAGE sql AS $$
    SELECT t.previous, t.change, t.relative_change, t.last_year, t.change_on_year, t.relative_change_on_year, t.moving_mean, t.travel
      FROM kpi.trend t WHERE t.unit = 'acme' AND t.measure = of_measure AND t.period = of_period::kpi_period
$$;
CREATE FUNCTION pg_temp.to_date(of_measure text, of_period text) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' of ', coalesce(t.year_to_date::text, '-'), coalesce(t.year_to_date_target::text, '-')) || ' is ' || coalesce(t.year_to_date_attainment::text, '-')
      FROM kpi.trend t WHERE t.unit = 'acme' AND t.measure = of_measure AND t.period = of_period::kpi_period
$$;

CREATE FUNCTION pg_temp.all_of_it(how text) RETURNS SETOF text LANGUAGE plpgsql AS $body$
BEGIN
    -- ---- the period before, the year before, the mean of three
    -- revenue 60, 48, 72: 48 - 60 = -12, -12/60 = -0.2; against 60 a year ago -12/60 = -0.2
    RETURN NEXT row_eq($$SELECT * FROM pg_temp.trend('revenue', '2026-02')$$,
        ROW(60::numeric, -12::numeric, -0.2::numeric, 60::numeric, -12::numeric, -0.2::numeric, NULL::numeric, 'worse'::text), how || 'a month, the one before and that of a year ago');
    -- 72 - 48 = 24, 24/48 = 0.5; 72 - 50 = 22, 22/50 = 0.44; (60 + 48 + 72)/3 = 60
    RETURN NEXT row_eq($$SELECT * FROM pg_temp.trend('revenue', '2026-03')$$,
        ROW(48::numeric, 24::numeric, 0.5::numeric, 50::numeric, 22::numeric, 0.44::numeric, 60::numeric, 'better'::text), how || 'with three periods there is a moving mean');
    -- quarters: 180 against 40 + 60 + 50 = 150 a year ago: 30/150 = 0.2; before it 2025-Q4 has no row
    RETURN NEXT row_eq($$SELECT * FROM pg_temp.trend('revenue', '2026-Q1')$$,
        ROW(NULL::numeric, NULL::numeric, NULL::numeric, 150::numeric, 30::numeric, 0.2::numeric, NULL::numeric, NULL::text), how || 'quarters have quarters before them');
    RETURN NEXT is((SELECT t.travel FROM pg_temp.trend('cost', '2026-02') t), 'worse', how || 'lower is better: 10 after 8 is worse');
    RETURN NEXT is((SELECT t.travel FROM pg_temp.trend('cost', '2026-03') t), 'same', how || '10 after 10 is the same');
    -- heads 4, 6, 9 in a range of 5 to 8: 1 - 1/5 = 0.8, then 1, then 1 - 1/8 = 0.875
    RETURN NEXT is((SELECT t.travel FROM pg_temp.trend('heads', '2026-02') t), 'better', how || 'into the range is better');
    RETURN NEXT is((SELECT t.travel FROM pg_temp.trend('heads', '2026-03') t), 'worse', how || 'out of the range at the other side is worse, though higher');
    RETURN NEXT row_eq($$SELECT t.previous, t.change, t.relative FROM pg_temp.trend('weekly', '2026-W11') t$$, ROW(1::numeric, 2::numeric, 2::numeric), how || 'weeks have weeks before them');

    -- ---- year to date
    -- sums: 60 + 48 = 108 against two months' 60
    RETURN NEXT is(pg_temp.to_date('revenue', '2026-02'), '108 of 120 is 0.9', how || 'sums add up, so do their targets');
    RETURN NEXT is(pg_temp.to_date('revenue', '2026-Q1'), '180 of 180 is 1', how || 'a quarter''s year to date is that of its end');
    RETURN NEXT is(pg_temp.to_date('revenue', '2026'), '180 of 180 is 1', how || 'of a running year, as far as there are actuals');
    -- a target of 120 for the year only: 2/12 of it is 20; lower is better: 1 - (18 - 20)/20 = 1.1
    RETURN NEXT is(pg_temp.to_date('cost', '2026-02'), '18 of 20 is 1.1', how || 'of a year''s target the months that are over');
    -- 10 of 400 are 2.5 %, not the 2 % that the mean of 1 % and 3 % is; the year's own target of 2: 1 - (2.5 - 2)/2 = 0.75
    RETURN NEXT is(pg_temp.to_date('defects', '2026-02'), '2.5 of 2 is 0.75', how || 'ratios stay ratios');
    RETURN NEXT is(pg_temp.to_date('defects', '2026-01'), '1 of 2 is 1.5', how || 'and each month has its own year to date');
    -- stocks: the last; in no month but the first three a target: 9 is 1/8 over the range of March
    RETURN NEXT is(pg_temp.to_date('heads', '2026-02'), '6 of - is 1', how || 'of a stock the last');
    RETURN NEXT is(pg_temp.to_date('heads', '2026-03'), '9 of - is 0.875', how || 'against the range of the last month');
    RETURN NEXT is(pg_temp.to_date('temperature', '2026-02'), '15 of 16 is 0.9375', how || 'time_rollup mean: (10 + 20)/2');
    RETURN NEXT is(pg_temp.to_date('uptime', '2026-03'), '97 of 97.5 is 0', how || 'the lowest of the year so far');
    -- the way from 10 to 40: 20 is a third of it
    RETURN NEXT is(pg_temp.to_date('project', '2026-02'), '20 of 40 is 0.333333333333', how || 'progress from the baseline');
    -- 108 over the 6 heads at the end of February
    RETURN NEXT is(pg_temp.to_date('per_head', '2026-02'), '18 of - is -', how || 'numerator and denominator each to date');
    -- 100*(108 - 100)/100 = 8 against the mean of 10 and 20: 1 + (8 - 15)/15
    RETURN NEXT is(pg_temp.to_date('growth', '2026-02'), '8 of 15 is 0.533333333333', how || 'growth of the year to date, not the mean of growths');
    -- the fiscal year starts in April: March belongs to the year before; 96 a year from four quarters, two months are 16
    RETURN NEXT is(pg_temp.to_date('fiscal', '2026-03'), '5 of - is -', how || 'the fiscal year before');
    RETURN NEXT is(pg_temp.to_date('fiscal', '2026-05'), '15 of 16 is 0.9375', how || 'the fiscal year begins anew');
    RETURN NEXT is(pg_temp.to_date('weekly', '2026-W11'), '- of - is -', how || 'weeks are in no year');
    -- where the period ends with the year, or nothing is known after it, the year to date is the year
    RETURN NEXT is_empty($$SELECT t.kpi_id, t.period FROM kpi.trend t JOIN kpi.measure m USING (measure_id)
                             JOIN kpi.attainment y ON y.kpi_id = t.kpi_id AND y.period = kpi.period(t.period_end, 'year', m.fiscal_start)
                            WHERE m.grain <> 'week' AND (t.period_end = y.period_end OR t.period = '2026-03' AND m.code <> 'fiscal')
                              AND (t.year_to_date, t.year_to_date_target, t.year_to_date_attainment)
                                  IS DISTINCT FROM (y.actual, y.target_to_date, y.attainment_to_date)$$, how || 'at its end the year to date is the year');

    -- ---- the scorecards show it
    RETURN NEXT row_eq($$SELECT previous, change, relative_change, year_to_date, year_to_date_target, year_to_date_attainment
                           FROM kpi.corporate_scorecard WHERE measure = 'revenue' AND period = '2026-03'$$,
        ROW(48::numeric, 24::numeric, 0.5::numeric, 180::numeric, 180::numeric, 1::numeric), how || 'scorecards have the same columns');
END
$body$;
SELECT pg_temp.all_of_it('pending: ');
SELECT kpi.fold();
SELECT pg_temp.all_of_it('folded: ');

-- ---- relative to nothing
SELECT kpi.set_fact('A', 'cost', '2026-04', 0), kpi.set_fact('A', 'cost', '2026-05', 3);
SELECT row_eq($$SELECT t.previous, t.change, t.relative FROM pg_temp.trend('cost', '2026-05') t$$, ROW(0::numeric, 3::numeric, NULL::numeric), 'no part of nothing');
DELETE FROM kpi.fact WHERE kpi_id = kpi.kpi_id('A', 'cost') AND period >= '2026-04';
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('A', 'temperature', '2025-12', -4);
-- from -4 to 10: 14 over |-4|
SELECT is((SELECT t.relative FROM pg_temp.trend('temperature', '2026-01') t), 3.5, 'relative to the amount of a negative number');

-- ---- objectives in scorecards
INSERT INTO kpi.objective (code, kind, perspective) VALUES ('vision', 'vision', NULL), ('grow', 'strategic_objective', 'financial');
UPDATE kpi.objective SET parent_objective_id = (SELECT objective_id FROM kpi.objective WHERE code = 'vision') WHERE code = 'grow';
INSERT INTO kpi.objective (code, kind, parent_objective_id) SELECT 'sell', 'unit_objective', objective_id FROM kpi.objective WHERE code = 'grow';
UPDATE kpi.kpi SET objective_id = (SELECT objective_id FROM kpi.objective WHERE code = 'sell') WHERE kpi_id = kpi.kpi_id('acme', 'revenue');
UPDATE kpi.kpi SET objective_id = (SELECT objective_id FROM kpi.objective WHERE code = 'vision') WHERE kpi_id = kpi.kpi_id('acme', 'cost');
SELECT results_eq($$SELECT measure, objective, perspective FROM kpi.corporate_scorecard WHERE period = '2026-01' AND measure IN ('revenue', 'cost', 'heads') ORDER BY 1$$,
                  $$VALUES ('cost', 'vision', NULL), ('heads', NULL, NULL), ('revenue', 'sell', 'financial')$$, 'scorecards know the objective, and the perspective of it or of those above');

-- ---- forecasts
CREATE FUNCTION pg_temp.forecast(measure text, period text, method text, as_of date DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', coalesce(f.actual::text, '-'), coalesce(f.expected::text, '-'), coalesce(f.expected_attainment::text, '-'), f.remaining, coalesce(f.needed::text, '-'))
      FROM kpi.forecast('acme', forecast.measure, forecast.period, forecast.method, forecast.as_of) f
$$;
-- 60 + 48 + 72 = 180 in three months, 60 each: 720; (720 - 180)/9 = 60
SELECT is(pg_temp.forecast('revenue', '2026', 'run_rate'), '180 720 1 9 60', 'run rate of a sum');
-- as of February 108 and 54 each: 108 + 10*54 = 648 of 720; (720 - 108)/10
SELECT is(pg_temp.forecast('revenue', '2026', 'run_rate', '2026-02-28'), '108 648 0.9 10 61.2', 'as of a day: what ended by then');
-- 100 in three months: 400 a year, though no month of 33.333... is exact
SAVEPOINT thirds;
SELECT kpi.set_fact('A', 'revenue', '2026-03', -8);
SELECT is(pg_temp.forecast('revenue', '2026', 'run_rate'), '100 400 0.555555555556 9 68.888888888889', 'rounded once');
ROLLBACK TO thirds;
-- of 2026-Q2 nothing is known: a line through 40, 60, 50, 50 (January to April 2025, -14..-11)
-- is out of the dozen months before it but for one; with the three of 2026: April 2025 50, January 60, February 48, March 72.
-- x from -11 (April 2025) on: (-11, 50), (-2, 60), (-1, 48), (0, 72): n 4, sum x -14, y 230, xx 126, xy -550-120-48+0 = -718
-- D = 4*126 - 196 = 308; slope (4*-718 + 14*230)/308 = 348/308; intercept (230*126 - 14*718)/308 = 18928/308
-- at 1, 2, 3: (3*18928 + 6*348)/308 = 58872/308 = 191.142857142857...; each rounded: 62.584415584416 + 63.714285714286 + 64.844155844156
SELECT is(pg_temp.forecast('revenue', '2026-Q2', 'linear'), '- 191.142857142858 1.061904761905 3 60', 'a line through the year before the quarter');
-- the year before ends with April: of 2026-H1, April is there, May not
SELECT is(pg_temp.forecast('revenue', '2026-H1', 'seasonal'), '180 - - 3 60', 'seasonal takes the rest of the year before');
SELECT matches((SELECT basis FROM kpi.forecast('acme', 'revenue', '2026-H1', 'seasonal')), 'no actual in 2025-05, a year before 2026-05', 'and says what is missing of it');
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('A', 'revenue', '2025-05', 100), ('A', 'revenue', '2025-06', 150);
-- 180 against 150: 1.2 times 50 + 100 + 150 = 360; 540 of 360
SELECT is(pg_temp.forecast('revenue', '2026-H1', 'seasonal'), '180 540 1.5 3 60', 'scaled by the year so far');
-- growth like for like: 2025-H1 450: 100*(540 - 450)/450 = 20; there is no target
SELECT is(pg_temp.forecast('growth', '2026-H1', 'seasonal'), '20 20 - 3 -', 'growth grows with what grows');
-- 10 of 400 so far, 200 a month: to 2 % of 400 + 10*200 = 2400 are 48: 38 in 2000 are 1.9 %
SELECT is(pg_temp.forecast('defects', '2026', 'run_rate'), '2.5 2.5 0.75 10 1.9', 'a ratio stays, and what the rest must be depends on how much rest there is');
-- 4, 6, 9: slope 2.5, mean 19/3: in June 19/3 + 4*2.5 = 16.333333333333
SELECT is(pg_temp.forecast('heads', '2026-H1', 'linear'), '9 16.333333333333 - 3 -', 'a stock at the end of a line');
SELECT is(pg_temp.forecast('heads', '2026-H1', 'run_rate'), '9 9 - 3 -', 'or as it is');
-- 360 at 60 a month over 9 heads
SELECT is(pg_temp.forecast('per_head', '2026-H1', 'run_rate'), '20 40 - 3 -', 'what is computed is computed from what is expected');
-- (10 + 20 + 10*15)/12 = 15 of 16; (16*12 - 30)/10 = 16.2
SELECT is(pg_temp.forecast('temperature', '2026', 'run_rate'), '15 15 0.9375 10 16.2', 'mean of months');
SELECT is(pg_temp.forecast('uptime', '2026', 'run_rate'), '97 97 0 9 -', 'what has been missed stays missed');
SELECT matches((SELECT basis FROM kpi.forecast('acme', 'uptime', '2026', 'run_rate')), 'the min of the period can no longer reach the target', 'and so it says');
-- a way of 30 from 10: 20 is a third
SELECT is(pg_temp.forecast('project', '2026', 'run_rate'), '20 20 0.333333333333 10 40', 'progress: the target at the end');
SELECT is(pg_temp.forecast('revenue', '2026-Q1', m), '180 180 1 0 -', 'nothing remains: ' || m) FROM unnest('{run_rate,linear,seasonal}'::text[]) m;
-- 10, 20, 30 to March go on with 70, 80, 90 from July; that April brought 500 nobody knew at the end of March
INSERT INTO kpi.measure (code) VALUES ('rising');
SELECT kpi.deploy('rising', 'acme', '{1}') \g /dev/null
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme', 'rising', '2026-01', 10), ('acme', 'rising', '2026-02', 20), ('acme', 'rising', '2026-03', 30), ('acme', 'rising', '2026-04', 500);
SELECT is((SELECT format('%s: %s', f.expected, f.basis) FROM kpi.forecast('acme', 'rising', '2026-Q3', 'linear', '2026-03-31') f),
          '240: a least squares line through 3 actuals from 2026-01 to 2026-03; there is no target', 'what came after as_of is not known, nor is it before the period');
SELECT is(pg_temp.forecast('revenue', '2028', m), '- - - 12 -', 'nothing known: ' || m) FROM unnest('{run_rate,linear,seasonal}'::text[]) m;
SELECT matches((SELECT basis FROM kpi.forecast('acme', 'revenue', '2028', 'linear')), 'a line needs 3 actuals in 2028 or the base periods before, and there are 0; there is no target', 'and that is said');
SELECT results_eq($$SELECT to_jsonb(f) FROM kpi.forecast('acme'::kpi_path, 'revenue', '2026'::kpi_period, method => 'run_rate') f
                    UNION ALL SELECT to_jsonb(f) FROM kpi.forecast('acme', 'revenue', '2026'::kpi_period) f
                    UNION ALL SELECT to_jsonb(f) FROM kpi.forecast('acme'::kpi_path, 'revenue', '2026') f$$,
                  $$SELECT to_jsonb(f) FROM kpi.forecast('ACME', 'revenue', '2026') f, generate_series(1, 3)$$, 'typed arguments, and run_rate by default');
SELECT throws_ok($$SELECT * FROM kpi.forecast('acme', 'revenue', '2026', 'magic')$$, '22023', 'there is no method "magic" to forecast by', 'another method');
SELECT throws_ok($$SELECT * FROM kpi.forecast('acme', NULL, '2026')$$, '22004', 'no measure is given to forecast', 'no measure');
SELECT throws_ok($$SELECT * FROM kpi.forecast('acme', 'revenue', '2026-W10')$$, '22023', 'measure "revenue" has no numbers in a period such as "2026-W10"', 'a period without numbers');

-- ---- a KPI that ends inside the year has no target of it: three months of 20, not three fifths of the year's 120
INSERT INTO kpi.measure (code) VALUES ('ended');
SELECT kpi.deploy('ended', 'acme', '{1}') \g /dev/null
UPDATE kpi.kpi SET valid_to = '2026-06-01' WHERE kpi_id = kpi.kpi_id('acme', 'ended');
INSERT INTO kpi.fact_entry (unit, measure, period, value) SELECT 'acme', 'ended', p::text, 15 FROM kpi.generate_series('2026-01', '2026-03') p;
INSERT INTO kpi.target_entry (unit, measure, period, value) SELECT 'acme', 'ended', p::text, 20 FROM kpi.generate_series('2026-01', '2026-05') p UNION ALL VALUES ('acme', 'ended', '2026', 120);
SELECT is((SELECT format('%s of %s: %s', year_to_date, year_to_date_target, year_to_date_attainment) FROM kpi.trend WHERE measure = 'ended' AND period = '2026-03'), '45 of 60: 0.75', 'the year to date of one that ended');
SELECT is((SELECT format('%s of %s, %s more of %s', actual, target, remaining, needed) FROM kpi.forecast('acme', 'ended', '2026')), '45 of 100, 2 more of 27.5', 'and its forecast agrees');
DELETE FROM kpi.target WHERE kpi_id = kpi.kpi_id('acme', 'ended') AND period <> '2026';
SELECT is((SELECT year_to_date_target FROM kpi.trend WHERE measure = 'ended' AND period = '2026-03'), NULL, 'with that of the year alone there is none');

-- ---- pace
CREATE FUNCTION pg_temp.pace(of_measure text, of_period text, as_of date) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', p.elapsed, p.actual, coalesce(p.elapsed_target::text, '-'), coalesce(p.pace::text, '-'))
      FROM kpi.pace(pace.as_of) p WHERE p.unit = 'acme' AND p.measure = of_measure AND p.period = of_period::kpi_period
$$;
-- 14 of 28 days: half of 60; 48 over 30
SELECT is(pg_temp.pace('revenue', '2026-02', '2026-02-14'), '0.5 48 30 1.6', 'half of a month');
-- January and half of February: 90 of 180 after 31 + 14 = 45 of 90 days
SELECT is(pg_temp.pace('revenue', '2026-Q1', '2026-02-14'), '0.5 180 90 2', 'targets of the months gone by, and the part of the running one');
-- 73 of 365 days: a fifth of 120; lower is better: 1 - (28 - 24)/24
SELECT is(pg_temp.pace('cost', '2026', '2026-03-14'), '0.2 28 24 0.833333333333', 'a year''s target by the days');
SELECT is(pg_temp.pace('defects', '2026', '2026-03-14'), '0.2 2.5 2 0.75', 'a rate must be met all along');
-- a fifth of the way from 10 to 40 is 16: (20 - 10)/(16 - 10)
SELECT is(pg_temp.pace('project', '2026', '2026-03-14'), '0.2 20 16 1.666666666667', 'progress: the elapsed part of the way');
SELECT is(pg_temp.pace('heads', '2026-03', '2026-03-31'), '1 9 - 0.875', 'a range as it is');
-- who begins in the middle of March has March to December: 306 days, of which 122 to the end of June; nothing before
INSERT INTO kpi.measure (code) VALUES ('late');
SELECT kpi.deploy('late', 'acme', '{1}') \g /dev/null
UPDATE kpi.kpi SET valid_from = '2026-03-15' WHERE kpi_id = kpi.kpi_id('acme', 'late');
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme', 'late', '2026-03', 20), ('acme', 'late', '2026-05', 41);
INSERT INTO kpi.target_entry (unit, measure, period, value) VALUES ('acme', 'late', '2026', 306), ('acme', 'late', '2026-03', 62);
SELECT is(pg_temp.pace('late', '2026', '2026-06-30'), '0.398692810458 61 122 0.5', 'a KPI that begins inside the period');
SELECT is(pg_temp.pace('late', '2026', '2026-02-14'), '0 61 0 1', 'and before it begins');
SELECT is(pg_temp.pace('late', '2026-03', '2026-03-15'), '0.483870967742 20 30 0.666666666667', 'its first base period counts whole: 15 of 31 days');
SELECT is_empty($$SELECT FROM kpi.pace('2026-02-14') WHERE NOT '2026-02-14' BETWEEN period_start AND period_end$$, 'only periods that run');
SELECT set_eq($$SELECT to_jsonb(p) FROM kpi.pace p$$, $$SELECT to_jsonb(p) FROM kpi.pace(current_date) p$$, 'the view is that of today');

-- ---- what a row looks up, it looks up by key: cells are never joined with cells,
-- which takes a large organisation minutes
CREATE FUNCTION pg_temp.joined() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXPLAIN (COSTS OFF) SELECT * FROM kpi.trend LOOP
        -- nor is all that is pending read for each row
        IF line ~ '(Hash Cond|Merge Cond|Join Filter):.*year_before|Function Scan on dirty( |$)' THEN
            RETURN NEXT line;
        END IF;
    END LOOP;
END
$$;
SET LOCAL enable_nestloop = off;
SELECT is_empty('SELECT pg_temp.joined()', 'cells and what is pending are looked up by KPI, whatever the planner thinks');
RESET enable_nestloop;

-- ---- who may see what: units that row security hides count, and are not shown
CREATE ROLE trend_reader;
GRANT USAGE ON SCHEMA kpi TO trend_reader;
GRANT SELECT ON kpi.trend, kpi.pace TO trend_reader;
ALTER TABLE kpi.unit ENABLE ROW LEVEL SECURITY;
CREATE POLICY top ON kpi.unit TO trend_reader USING (path = 'acme');
SET ROLE trend_reader;
SELECT results_eq($$SELECT DISTINCT unit::text FROM kpi.trend$$, $$VALUES ('acme')$$, 'kpi.trend respects row security');
SELECT is((SELECT year_to_date FROM kpi.trend WHERE measure = 'revenue' AND period = '2026-02'), 108::numeric, 'and counts all');
SELECT lives_ok($$SELECT * FROM kpi.pace$$, 'kpi.pace takes SELECT on it alone');
RESET ROLE;
SELECT finish();
ROLLBACK;
