-- Retiring KPIs and units, and replacing one measure by another.  Expected
-- values are worked out by hand in the comments.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT no_plan();

INSERT INTO kpi.objective (code, name) VALUES ('grow', 'Grow');
INSERT INTO kpi.unit (path, code, owner) VALUES ('co', 'CO', 'carol'), ('co.a', 'A', 'anna'), ('co.a.x', 'X', 'xenia'), ('co.b', 'B', 'bert');
INSERT INTO kpi.measure (code) VALUES ('calls'), ('visits'), ('revenue');
INSERT INTO kpi.measure (code, rollup, multiplier, rolls_up) VALUES ('per_call', 'ratio', 1, false);
INSERT INTO kpi.measure (code, rollup, time_rollup) VALUES ('mood', 'mean', 'pool');
SELECT kpi.deploy(m, 'co') FROM unnest('{calls,revenue}'::text[]) m \g /dev/null
SELECT kpi.deploy('per_call', 'co', '{1}') \g /dev/null
UPDATE kpi.kpi SET owner = 'olga', objective_id = (SELECT objective_id FROM kpi.objective);
-- calls of x 1, 2, ... 6 and of b ten times as many, in the months of 2020; revenue 100 a month in x and b
INSERT INTO kpi.fact_entry (unit, measure, period, value)
SELECT u.unit, 'calls', p::text, u.factor * n FROM (VALUES ('X', 1), ('B', 10)) u (unit, factor), generate_series(1, 6) n, LATERAL (SELECT '2019-12'::kpi_period + n) p (p)
UNION ALL SELECT u, 'revenue', p::text, 100 FROM unnest('{X,B}'::text[]) u, kpi.generate_series('2020-01', '2020-06') p
UNION ALL VALUES ('X', 'calls', '2019-05', 7);
INSERT INTO kpi.target_entry (unit, measure, period, value)
SELECT u, 'calls', p::text, t FROM (VALUES ('CO', 44), ('A', 4), ('X', 4), ('B', 40)) u (u, t), kpi.generate_series('2020-01', '2020-12') p;
SELECT kpi.link_kpi('co', 'revenue', 'co', 'per_call', 'numerator'), kpi.link_kpi('co', 'calls', 'co', 'per_call', 'denominator') \g /dev/null

CREATE FUNCTION pg_temp.actual(of_unit text, of_measure text, of_period text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce((SELECT coalesce(a.actual::text, 'null') || ' of ' || coalesce(a.target::text, 'null') FROM kpi.attainment a
                      WHERE a.unit_now = of_unit::kpi_path AND a.measure = of_measure AND a.period = of_period::kpi_period), 'no row')
$$;
SELECT is(pg_temp.actual('co', 'calls', '2020-04'), '44 of 44', 'before anything ends all count');

-- ---- a KPI is retired: plain UPDATE of valid_to
SAVEPOINT before;
UPDATE kpi.kpi SET valid_to = '2020-04-01' WHERE kpi_id = kpi.kpi_id('X', 'calls');
SELECT is(pg_temp.actual('co.a.x', 'calls', '2020-03'), '3 of 4', 'its history stays');
SELECT is(pg_temp.actual('co.a.x', 'calls', '2020-Q1'), '6 of 12', 'so do quarters that end before: 1 + 2 + 3, target 4 + 4 + 4');
SELECT is(pg_temp.actual('co.a.x', 'calls', '2020-04'), 'no row', 'later periods do not have it, facts and targets or not');
SELECT is(pg_temp.actual('co.a.x', 'calls', '2020'), 'no row', 'nor does the year, at whose end it is no more');
SELECT is(pg_temp.actual('co', 'calls', '2020-04'), '40 of 44', 'nor do those above it');
SELECT is(pg_temp.actual('co', 'calls', '2020-Q1'), '66 of 132', 'which keep what it brought: 6 + 60');
SELECT is(pg_temp.actual('co', 'calls', '2020'), '216 of 528', 'in the year, too: 6 of its first three months and 210 of b');
-- a year of a: in the first three months x counts 1 of 1, in the other nine it has no source at all: 3 of 12 known
SELECT is((SELECT round(coverage, 4) FROM kpi.attainment WHERE unit = 'co.a' AND measure = 'calls' AND period = '2020'), 0.25, 'how much of the year is known');
SELECT is((SELECT coverage FROM kpi.attainment WHERE unit = 'co' AND measure = 'calls' AND period = '2020-04'), 0.5, 'nothing is known of a, half of co, in a month without it');
SELECT is((SELECT string_agg(period::text, ' ' ORDER BY period) FROM kpi.attainment WHERE unit = 'co.a.x' AND measure = 'calls' AND grain = 'month' AND score IS NOT NULL),
          '2020-01 2020-02 2020-03', 'scores end with it');
SELECT is((SELECT kpis FROM kpi.unit_score WHERE unit = 'co.a.x' AND period = '2020-04'), 1::bigint, 'and so does its part in the unit''s score: revenue is left');
SELECT is((SELECT kpis FROM kpi.objective_score WHERE code = 'grow' AND period = '2020-04'), 8::bigint, 'and in the objective''s: eight of nine KPIs');
SELECT is((SELECT previous FROM kpi.trend WHERE unit = 'co' AND measure = 'calls' AND period = '2020-04'), 33::numeric, 'trends above look back to what it brought: 3 + 30');
SELECT is((SELECT year_to_date FROM kpi.trend WHERE unit = 'co' AND measure = 'calls' AND period = '2020-04'), 106::numeric, 'as does the year to date: 6 + 60 + 40');
SELECT is((SELECT string_agg(DISTINCT unit::text, ' ') FROM kpi.explain('co', 'calls', '2020-04') WHERE depth > 0), 'co.a co.b', 'it explains nothing later');
SELECT is((SELECT string_agg(DISTINCT unit::text, ' ') FROM kpi.explain('co', 'calls', '2020-03') WHERE depth > 0), 'co.a co.a.x co.b', 'and all before');
SELECT is_empty($$SELECT * FROM kpi.alignment WHERE kpi_id = kpi.kpi_id('X', 'calls')$$, 'no finding is about it');
DELETE FROM kpi.fact WHERE kpi_id = kpi.kpi_id('X', 'calls') AND period >= '2020-03';
SELECT is((SELECT string_agg(period::text, ' ' ORDER BY period) FROM kpi.due('2020-08-01') WHERE kpi_id = kpi.kpi_id('X', 'calls')), '2019-06 2019-07 2019-08 2019-09 2019-10 2019-11 2019-12 2020-03',
          'it owes what it owed while it was there: all months without a fact since its first, May 2019, up to March');
SELECT is_empty('SELECT * FROM kpi.verify()', 'all of it is what a recomputation gives');
ROLLBACK TO before;

-- ---- a unit is retired, and a subtree
UPDATE kpi.unit SET valid_to = '2020-04-01' WHERE path = 'co.a.x';
SELECT is(pg_temp.actual('co.a.x', 'calls', '2020-03') || ', ' || pg_temp.actual('co.a.x', 'revenue', '2020-Q1'), '3 of 4, 300 of null', 'a retired unit keeps its history');
SELECT is(pg_temp.actual('co.a.x', 'calls', '2020-04') || ', ' || pg_temp.actual('co.a.x', 'revenue', '2020-04'), 'no row, no row', 'and has no later periods');
SELECT is(pg_temp.actual('co', 'revenue', '2020-04') || ', ' || pg_temp.actual('co', 'revenue', '2020'), '100 of null, 900 of null', 'what is above counts it up to its end: 300 of x and 600 of b');
SELECT is_empty($$SELECT * FROM kpi.unit_score WHERE unit = 'co.a.x' AND period_end >= '2020-04-01'$$, 'it has no score');
SELECT is_empty($$SELECT * FROM kpi.explain('co', period => '2020-04') WHERE unit = 'co.a.x'$$, 'explains no score');
SELECT is_empty($$SELECT * FROM kpi.alignment WHERE unit_id = kpi.unit_id('X')$$, 'and there is no finding about it');
SELECT is_empty('SELECT * FROM kpi.verify()', 'which a recomputation gives');
ROLLBACK TO before;
UPDATE kpi.unit SET valid_to = '2020-05-01' WHERE path = 'co.a.x';
UPDATE kpi.unit SET valid_to = '2020-06-01' WHERE path <@ 'co.a' AND coalesce(valid_to, 'infinity') > '2020-06-01';
SELECT results_eq($$SELECT path::text, valid_to FROM kpi.unit WHERE valid_to IS NOT NULL ORDER BY path$$,
                  $$VALUES ('co.a', date '2020-06-01'), ('co.a.x', date '2020-05-01')$$, 'a subtree ends with one UPDATE, and what ended before stays so');
SELECT is(pg_temp.actual('co', 'calls', '2020-04') || ', ' || pg_temp.actual('co', 'calls', '2020-05') || ', ' || pg_temp.actual('co.a', 'calls', '2020-05') || ', ' || pg_temp.actual('co.a', 'calls', '2020-06'),
          '44 of 44, 50 of 44, null of 4, no row', 'each from its own day on');
ROLLBACK TO before;

-- ---- what replaces what
SELECT throws_ok($$UPDATE kpi.measure SET replaces_measure_id = measure_id WHERE code = 'calls'$$, '23514', 'measure "calls" cannot replace itself');
SELECT throws_ok($$UPDATE kpi.measure SET replaces_measure_id = -1 WHERE code = 'calls'$$, '23503', 'measure -1 does not exist');
SELECT throws_ok($$INSERT INTO kpi.measure (code, replaces_measure_id) VALUES ('new', -1)$$, '23503', 'measure -1 does not exist', 'nor can a new one replace it');
SELECT throws_ok($$UPDATE kpi.measure m SET replaces_measure_id = o.measure_id FROM kpi.measure o
                    WHERE (m.code, o.code) IN (('calls', 'visits'), ('visits', 'revenue'), ('revenue', 'calls'))$$, '23001', NULL, 'no circle in one statement');
UPDATE kpi.measure SET replaces_measure_id = (SELECT measure_id FROM kpi.measure WHERE code = 'calls') WHERE code = 'visits';
UPDATE kpi.measure SET replaces_measure_id = (SELECT measure_id FROM kpi.measure WHERE code = 'visits') WHERE code = 'mood';
SELECT throws_ok($$UPDATE kpi.measure SET replaces_measure_id = (SELECT measure_id FROM kpi.measure WHERE code = 'mood') WHERE code = 'calls'$$,
                 '23001', 'measures would replace each other in a circle: calls -> mood -> visits -> calls');
SELECT throws_ok($$DELETE FROM kpi.measure WHERE code = 'visits'$$, '23503', 'measure "visits" is still named as replaced');
SELECT lives_ok($$DELETE FROM kpi.measure WHERE code IN ('visits', 'mood')$$, 'both can go in one statement');
SELECT lives_ok($$INSERT INTO kpi.measure (measure_id, code, replaces_measure_id) VALUES (-1, 'one', -2), (-2, 'two', NULL)$$, 'and come in one, in any order');
ROLLBACK TO before;

-- ---- replacing: at all units
UPDATE kpi.kpi SET weight = 3, attributes = '{"a": 1}' WHERE kpi_id = kpi.kpi_id('X', 'calls');
-- the facts of April to June and the targets of April to December of each unit
SELECT results_eq($$SELECT unit::text, is_new, links, unused_facts, unused_targets FROM kpi.replace_measure('calls', 'visits', '2020-04-01')$$,
                  $$VALUES ('co', true, 1::bigint, 0::bigint, 9::bigint), ('co.a', true, 0, 0, 9), ('co.a.x', true, 0, 3, 9), ('co.b', true, 0, 3, 9)$$, 'one row per KPI');
SELECT results_eq($$SELECT m.code, k.owner, k.weight, k.objective_id IS NOT NULL, k.attributes, k.valid_from, k.valid_to FROM kpi.kpi k JOIN kpi.measure m USING (measure_id)
                     WHERE unit_id = kpi.unit_id('X') AND m.code IN ('calls', 'visits') ORDER BY code$$,
                  $$VALUES ('calls', 'olga', 3::numeric, true, '{"a": 1}'::jsonb, NULL::date, date '2020-04-01'), ('visits', 'olga', 3, true, '{"a": 1}', '2020-04-01', NULL)$$,
                  'one ends, the other begins with all that is its own');
SELECT is((SELECT string_agg(DISTINCT measure, ' ') FROM kpi.due('2021-02-01') WHERE unit = 'co.a.x' AND period >= '2020-04'), 'revenue visits', 'from then on figures are due of the new one');
SELECT results_eq($$SELECT m.code, l.valid_from, l.valid_to FROM kpi.link l JOIN kpi.kpi k ON k.kpi_id = l.child_kpi_id JOIN kpi.measure m USING (measure_id) WHERE l.contributes = 'denominator' ORDER BY 1$$,
                  $$VALUES ('calls', NULL::date, date '2020-04-01'), ('visits', '2020-04-01', NULL)$$, 'the link goes on');
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('X', 'visits', '2020-04', 50), ('B', 'visits', '2020-04', 150), ('X', 'visits', '2020-05', 60);
SELECT is(pg_temp.actual('co', 'calls', '2020-03') || ', ' || pg_temp.actual('co', 'calls', '2020-04') || ', ' || pg_temp.actual('co', 'visits', '2020-03') || ', ' || pg_temp.actual('co', 'visits', '2020-04'),
          '33 of 44, no row, no row, 200 of null', 'each measure has its own periods');
-- 200 of revenue over 33 calls, then over 200 visits
SELECT is((SELECT string_agg(round(actual, 4)::text, ' ' ORDER BY period) FROM kpi.attainment WHERE measure = 'per_call' AND period IN ('2020-03', '2020-04')), '6.0606 1.0000', 'what it contributes to goes on with it');
SELECT results_eq($$SELECT period::text, actual, previous, last_year, travel, predecessor, predecessor_actual, predecessor_previous, predecessor_last_year
                      FROM kpi.trend WHERE unit = 'co.a.x' AND measure = 'visits' AND grain = 'month' ORDER BY period$$,
                  $$VALUES ('2020-04', 50::numeric, NULL::numeric, NULL::numeric, NULL, 'calls', NULL::numeric, 3::numeric, NULL::numeric),
                           ('2020-05', 60, 50, NULL, 'better', 'calls', NULL, NULL, 7)$$, 'the trend shows both, and mixes none');
SELECT is((SELECT count(*) FROM kpi.trend WHERE measure = 'calls' AND num_nonnulls(predecessor, predecessor_actual, predecessor_previous, predecessor_last_year) > 0), 0::bigint, 'what replaced nothing has no predecessor');
SELECT is((SELECT count(*) FROM kpi.trend WHERE measure = 'calls' AND unit = 'co.a.x' AND period = '2020-03' AND previous = 2), 1::bigint, 'and keeps its own trend');
SELECT results_eq($$SELECT coalesce(measure, '-'), period::text, actual, target FROM kpi.series('X', 'visits', '2020-06', 5)$$,
                  $$VALUES ('calls', '2020-02', 2::numeric, 4::numeric), ('calls', '2020-03', 3, 4), ('visits', '2020-04', 50, NULL), ('visits', '2020-05', 60, NULL), ('-', '2020-06', NULL, NULL)$$,
                  'the series is one, each figure under its measure');
SELECT results_eq($$SELECT coalesce(measure, '-'), period::text FROM kpi.series('X', 'calls', '2020-04', 2)$$, $$VALUES ('calls', '2020-03'), ('-', '2020-04')$$, 'that of the old one ends with it');
SELECT results_eq($$SELECT coalesce(measure, '-'), period::text, actual FROM kpi.series('co.a.x'::kpi_path, 'visits', '2020-Q2'::kpi_period, 2)$$,
                  $$VALUES ('calls', '2020-Q1', 6::numeric), ('visits', '2020-Q2', 110)$$, 'quarters have theirs');
SELECT is((SELECT count(*) FROM kpi.series('X', 'visits')), 12::bigint, 'without a period twelve, up to today''s');
SELECT is((SELECT max(period::text) FROM kpi.series('X', 'visits', '2020-05-31')), '2020-05', 'a day stands for its month');
SELECT throws_ok($$SELECT kpi.series('X', 'visits', '2020-05', 0)$$, '22023', '"0" is no number of periods');
SELECT throws_ok($$SELECT kpi.series('X', 'visits', '2020-W05')$$, '22023', NULL, 'months have no weeks');
SELECT throws_ok($$SELECT kpi.series('X', 'calm', '2020')$$, '42704', NULL, 'unknown KPI');
-- the third in a row
SELECT is((SELECT count(*) FROM kpi.replace_measure('visits', 'mood', '2020-06-01', 'A')), 2::bigint, 'at one unit and beneath');
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('X', 'mood', '2020-06', 8);
SELECT results_eq($$SELECT measure, actual FROM kpi.series('X', 'mood', '2020-06', 4)$$, $$VALUES ('calls', 3::numeric), ('visits', 50), ('visits', 60), ('mood', 8)$$, 'a series goes back over all of them');
SELECT is((SELECT count(*) FROM kpi.kpi WHERE valid_to IS NULL AND measure_id = (SELECT measure_id FROM kpi.measure WHERE code = 'visits')), 2::bigint, 'co and b stay as they were');
SELECT is((SELECT string_agg(unit::text, ' ') FROM kpi.replace_measure('visits', 'mood', '2020-06-01', 'co.b'::kpi_path)), 'co.b', 'and can follow');
SELECT is_empty('SELECT * FROM kpi.verify()', 'which a recomputation gives');
ROLLBACK TO before;

-- ---- what is there already, what begins later, what cannot be
SELECT kpi.deploy('visits', 'X') \g /dev/null
SELECT kpi.link_kpi('X', 'calls', 'X', 'visits', 'aligned') \g /dev/null
SELECT kpi.link_kpi('B', 'revenue', 'B', 'calls', 'aligned', valid_from => '2020-07-01') \g /dev/null
SELECT results_eq($$SELECT unit::text, is_new, links FROM kpi.replace_measure('calls', 'visits', '2020-04-01')$$,
                  $$VALUES ('co', true, 1::bigint), ('co.a', true, 0), ('co.a.x', false, 0), ('co.b', true, 1)$$, 'a KPI that is there is taken');
SELECT results_eq($$SELECT valid_from, owner FROM kpi.kpi WHERE kpi_id = kpi.kpi_id('X', 'visits')$$, $$VALUES (NULL::date, NULL::text)$$, 'as it is');
SELECT results_eq($$SELECT valid_from, valid_to, child_kpi_id = kpi.kpi_id('B', 'revenue'), parent_kpi_id = kpi.kpi_id('B', 'visits') FROM kpi.link
                     WHERE kpi.kpi_id('B', 'revenue') IN (child_kpi_id, parent_kpi_id)$$, $$VALUES (date '2020-07-01', NULL::date, true, true)$$, 'a link that begins later goes over as a whole');
SELECT is((SELECT string_agg(valid_to::text, ' ') FROM kpi.link WHERE child_kpi_id = kpi.kpi_id('X', 'calls')), '2020-04-01', 'that of the old to the new ends');
ROLLBACK TO before;
-- where both were kept for a time, the newer one's figures
SELECT kpi.deploy('visits', 'X') \g /dev/null
UPDATE kpi.measure SET replaces_measure_id = (SELECT measure_id FROM kpi.measure WHERE code = 'calls') WHERE code = 'visits';
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('X', 'visits', '2020-03', 45);
SELECT results_eq($$SELECT measure, actual FROM kpi.series('X', 'visits', '2020-04', 3)$$, $$VALUES ('calls', 2::numeric), ('visits', 45), ('calls', 4)$$, 'in a series');
SELECT results_eq($$SELECT actual, predecessor_actual, predecessor_previous FROM kpi.trend WHERE unit = 'co.a.x' AND measure = 'visits' AND period = '2020-03'$$,
                  $$VALUES (45::numeric, 3::numeric, 2::numeric)$$, 'and both side by side in the trend');
ROLLBACK TO before;

-- mood is no sum: it cannot be the denominator of per_call
SELECT throws_ok($$SELECT kpi.replace_measure('calls', 'mood', '2020-04-01')$$, '55000', 'measure "mood" cannot take over 1 of the 1 links of measure "calls"');
SELECT results_eq($$SELECT count(*) FILTER (WHERE valid_to IS NOT NULL), count(*) FILTER (WHERE measure_id = (SELECT measure_id FROM kpi.measure WHERE code = 'mood')) FROM kpi.kpi$$,
                  $$VALUES (0::bigint, 0::bigint)$$, 'and nothing is half done');
SELECT is((SELECT count(*) FROM kpi.measure WHERE replaces_measure_id IS NOT NULL) + (SELECT count(*) FROM kpi.link WHERE valid_to IS NOT NULL), 0::bigint, 'nothing at all');
UPDATE kpi.link SET valid_to = '2020-04-01' WHERE contributes = 'denominator';
SELECT is((SELECT count(*) FROM kpi.replace_measure('calls', 'mood', '2020-04-01')), 4::bigint, 'with the link ended it goes');
ROLLBACK TO before;
SELECT throws_ok($$SELECT kpi.replace_measure('calls', 'nothing', '2020-04-01')$$, '42704', 'measure "nothing" does not exist');
SELECT throws_ok($$SELECT kpi.replace_measure(NULL, 'visits', '2020-04-01')$$, '42704', 'measure "null" does not exist');
SELECT throws_ok($$SELECT kpi.replace_measure('calls', 'calls', '2020-04-01')$$, '22023', 'measure "calls" cannot replace itself', 'not itself');
SELECT throws_ok($$SELECT kpi.replace_measure('calls', 'visits', NULL)$$, '22004', 'effective date "null" is no day to replace measure "calls" on');
SELECT throws_ok($$SELECT kpi.replace_measure('calls', 'visits', 'infinity')$$, '22023', 'effective date "infinity" is no day to replace measure "calls" on');
SELECT throws_ok($$SELECT kpi.replace_measure('calls', 'visits', '2020-04-01', 'nowhere')$$, '42704', 'unit "nowhere" does not exist');
SET LOCAL datestyle = 'German';
SELECT throws_ok($$SELECT kpi.replace_measure('mood', 'visits', '2020-04-01')$$, '55000', 'measure "mood" has no KPI that is valid on 2020-04-01');
SET LOCAL datestyle = 'ISO';
SELECT throws_ok($$SELECT kpi.replace_measure('per_call', 'visits', '2020-04-01', 'B')$$, '55000', 'measure "per_call" has no KPI under unit "co.b" that is valid on 2020-04-01');
UPDATE kpi.kpi SET valid_from = '2020-05-01' WHERE kpi_id = kpi.kpi_id('B', 'calls');
SELECT throws_ok($$SELECT kpi.replace_measure('calls', 'visits', '2020-04-01')$$, '55000', 'KPI of unit "co.b" and measure "calls" begins on 2020-05-01, not before 2020-04-01');
SELECT lives_ok($$SELECT kpi.replace_measure('calls', 'visits', '2020-05-02')$$, 'a day later it can');
SELECT throws_ok($$SELECT kpi.replace_measure('revenue', 'visits', '2020-04-01')$$, '55000', 'measure "visits" replaces measure "calls" already');
SELECT throws_ok($$SELECT kpi.replace_measure('visits', 'calls', '2020-08-01')$$, '55000', 'KPI of unit "co" and measure "calls" is not valid on 2020-08-01');
ROLLBACK TO before;

-- ---- beside closed periods
SELECT kpi.close_period('2020-Q1') \g /dev/null
SELECT throws_ok($$SELECT kpi.replace_measure('calls', 'visits', '2020-03-01')$$, '55000', NULL, 'a measure cannot be replaced within a closed period');
SELECT is((SELECT count(*) FROM kpi.replace_measure('calls', 'visits', '2020-04-01')), 4::bigint, 'and can right after it');
SELECT throws_ok($$UPDATE kpi.kpi SET valid_to = '2020-03-01' WHERE kpi_id = kpi.kpi_id('X', 'revenue')$$, '55000', NULL, 'nor can a KPI end in it');
SELECT lives_ok($$UPDATE kpi.kpi SET valid_to = '2020-04-01' WHERE kpi_id = kpi.kpi_id('X', 'revenue')$$, 'but with it');
ROLLBACK TO before;

-- ---- what is not asked for costs nothing
CREATE FUNCTION pg_temp.plan(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    plan text := '';
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || query LOOP
        plan := plan || line || E'\n';
    END LOOP;
    RETURN plan;
END
$$;
SELECT alike(pg_temp.plan('SELECT kpi_id, predecessor_actual FROM kpi.trend'), '%replaces_measure_id%', 'predecessors are looked up');
SELECT unalike(pg_temp.plan('SELECT kpi_id, actual, previous, travel FROM kpi.trend') || pg_temp.plan('SELECT * FROM kpi.scorecard'), '%replaces_measure_id%', 'where somebody asks for them');

-- ---- who may
CREATE ROLE kpi_adjuster;
GRANT USAGE ON SCHEMA kpi TO kpi_adjuster;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA kpi TO kpi_adjuster;
GRANT SELECT ON kpi.unit, kpi.measure, kpi.kpi, kpi.link, kpi.fact, kpi.target, kpi.attainment, kpi.trend TO kpi_adjuster;
SET LOCAL ROLE kpi_adjuster;
SELECT is((SELECT count(*) FROM kpi.series('X', 'calls', '2020-06', 3)), 3::bigint, 'reading a series takes SELECT');
SELECT throws_ok($$SELECT kpi.replace_measure('calls', 'visits', '2020-04-01')$$, '42501', NULL, 'replacing takes more');
RESET ROLE;
GRANT INSERT, UPDATE ON kpi.kpi, kpi.link TO kpi_adjuster;
GRANT DELETE ON kpi.link TO kpi_adjuster;
GRANT UPDATE ON kpi.measure TO kpi_adjuster;
ALTER TABLE kpi.unit ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON kpi.unit FOR SELECT TO kpi_adjuster USING (path <@ 'co.a'::kpi_path);
SET LOCAL ROLE kpi_adjuster;
SELECT is((SELECT string_agg(unit::text, ' ') FROM kpi.replace_measure('calls', 'visits', '2020-04-01')), 'co.a co.a.x', 'and reaches what row security shows');
SELECT is((SELECT count(*) FROM kpi.trend WHERE predecessor IS NOT NULL AND unit <@ 'co.b'), 0::bigint, 'as does what is read');
RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
