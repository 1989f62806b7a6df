-- Numbers that others published for small examples.
--
-- Goals: the tests of goals in the open-source HR suite Frappe HR
-- (hrms/hr/doctype/goal/test_goal.py: test_update_parent_progress,
-- ..._on_goal_deletion, ..._with_nested_goals, test_update_old_parent_progress).
-- Rates: a scorecard vendor's own example of what must not be averaged.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT no_plan();

-- ---- goals: progress in per cent; a parent is the mean of its children, of
-- whom one without progress counts 0.  The curve makes the score the progress
-- itself.  result_weight 0: a parent's own progress, 0, counts only without children.
INSERT INTO kpi.measure (code, rollup, time_rollup, scoring, score_cap, driver_rollup, result_weight, missing_child, rolls_up, on_track_from, at_risk_from)
VALUES ('progress', 'none', 'last', 'curve', 100, 'mean', 0, 'zero', false, 100, 50);

CREATE FUNCTION pg_temp.goal(goal text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO kpi.unit (path) VALUES (goal::kpi_path);
    PERFORM kpi.deploy('progress', goal);
    INSERT INTO kpi.target (kpi_id, period, points)
    SELECT kpi.kpi_id(goal, 'progress'), p, '{{0, 0}, {100, 100}}' FROM unnest('{2026-03,2026-04}'::kpi_period[]) AS p;
END
$$;
CREATE FUNCTION pg_temp.below(child text, parent text, valid_from date DEFAULT NULL, weight numeric DEFAULT 1) RETURNS void LANGUAGE sql AS $$
    INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes, weight, valid_from)
    VALUES (kpi.kpi_id(child, 'progress'), kpi.kpi_id(parent, 'progress'), 'score', weight, valid_from)
$$;
CREATE FUNCTION pg_temp.progress(goal text, value numeric) RETURNS void LANGUAGE sql AS $$
    SELECT kpi.set_fact(goal, 'progress', '2026-03', value), kpi.set_fact(goal, 'progress', '2026-04', value)
$$;
CREATE FUNCTION pg_temp.score(goal text, period kpi_period DEFAULT '2026-03') RETURNS numeric LANGUAGE sql AS $$
    SELECT a.score FROM kpi.attainment a WHERE a.unit_now = goal::kpi_path AND a.measure = 'progress' AND a.period = $2
$$;

-- test_update_parent_progress
SELECT count(pg_temp.goal(g)) FROM unnest('{parent,first,second}'::text[]) AS g \g /dev/null
SELECT pg_temp.below('first', 'parent'), pg_temp.below('second', 'parent') \g /dev/null
SELECT pg_temp.progress('first', 50) \g /dev/null
SELECT is(pg_temp.score('parent'), 25.0, 'children at 50 and without progress: 25');
SELECT pg_temp.progress('second', 0) \g /dev/null
SELECT is(pg_temp.score('parent'), 25.0, 'children at 50 and 0: 25');
SAVEPOINT two_children;
SELECT pg_temp.progress('second', 100) \g /dev/null
SELECT is(pg_temp.score('parent'), 75.0, 'the second child at 100: 75');
SELECT kpi.fold() \g /dev/null
SELECT is(pg_temp.score('parent'), 75.0, 'also folded');

-- test_update_parent_progress_on_goal_deletion
ROLLBACK TO two_children;
SELECT kpi.fold() \g /dev/null
SELECT is(pg_temp.score('parent'), 25.0, 'the second child at 0 again: 25');
DELETE FROM kpi.fact WHERE kpi_id = kpi.kpi_id('second', 'progress');
DELETE FROM kpi.unit WHERE path = 'second';
SELECT is(pg_temp.score('parent'), 50.0, 'the child at 0 deleted: 50');
SELECT kpi.fold() \g /dev/null
SELECT is(pg_temp.score('parent'), 50.0, 'also folded');

-- test_update_parent_progress_with_nested_goals, test_update_old_parent_progress
SELECT count(pg_temp.goal(g)) FROM unnest('{parent1,child1,child1_1,child1_2,parent2,child2,child2_1,child2_2}'::text[]) AS g \g /dev/null
SELECT pg_temp.below('child1', 'parent1'), pg_temp.below('child1_1', 'child1'), pg_temp.below('child1_2', 'child1'),
       pg_temp.below('child2', 'parent2'), pg_temp.below('child2_1', 'child2'), pg_temp.below('child2_2', 'child2') \g /dev/null
SELECT count(pg_temp.progress(g, 0)) FROM unnest('{parent1,child1,child1_2,parent2,child2,child2_2}'::text[]) AS g \g /dev/null
SELECT pg_temp.progress('child1_1', 25), pg_temp.progress('child2_1', 50) \g /dev/null
SELECT is(pg_temp.score('child1'), 12.5, 'child1 over 25 and 0: 12.5');
SELECT is(pg_temp.score('parent1'), 12.5, 'parent1 over child1: 12.5');
SELECT is(pg_temp.score('child2'), 25.0, 'child2 over 50 and 0: 25');
SELECT is(pg_temp.score('parent2'), 25.0, 'parent2 over child2: 25');
SELECT kpi.fold() \g /dev/null

-- child2 moves under child1 in April
UPDATE kpi.link SET valid_to = '2026-04-01' WHERE child_kpi_id = kpi.kpi_id('child2', 'progress');
SELECT pg_temp.below('child2', 'child1', '2026-04-01') \g /dev/null
CREATE FUNCTION pg_temp.moved(state text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN NEXT is(pg_temp.score('child1', '2026-04'), 16.666666666667, state || ': child1 over 25, 0 and 25: 16.667');
    RETURN NEXT is(round(pg_temp.score('parent1', '2026-04'), 2), 16.67, state || ': parent1 the same, to two places as published');
    RETURN NEXT is(pg_temp.score('parent1', '2026-04'), 16.666666666667, state || ': and unrounded');
    RETURN NEXT is(pg_temp.score('child2', '2026-04'), 25.0, state || ': child2 keeps 25');
    RETURN NEXT is(pg_temp.score('parent2', '2026-04'), 0.0, state || ': parent2 is 0');
    RETURN NEXT results_eq('SELECT pg_temp.score(g) FROM unnest(''{child1,parent1,child2,parent2}''::text[]) AS g',
                           'VALUES (12.5), (12.5), (25.0), (25.0)', state || ': March keeps its numbers');
END
$$;
SELECT pg_temp.moved('pending');
SELECT kpi.fold() \g /dev/null
SELECT pg_temp.moved('folded');

-- two areas of 30 % and 70 % with scores 12.5 and 50: 3.75 + 35
SELECT count(pg_temp.goal(g)) FROM unnest('{appraisal,area1,area2}'::text[]) AS g \g /dev/null
SELECT pg_temp.below('area1', 'appraisal', weight => 30), pg_temp.below('area2', 'appraisal', weight => 70) \g /dev/null
SELECT pg_temp.progress('area1', 12.5), pg_temp.progress('area2', 50) \g /dev/null
SELECT is(pg_temp.score('appraisal'), 38.75, 'areas of 30 % and 70 % at 12.5 and 50: 38.75');
-- the same as the weights of two KPIs in the score of their unit
INSERT INTO kpi.measure (code, rollup, scoring, score_cap, rolls_up)
VALUES ('area 1', 'sum', 'curve', 100, false), ('area 2', 'sum', 'curve', 100, false);
INSERT INTO kpi.kpi (unit_id, measure_id, weight)
SELECT u.unit_id, m.measure_id, CASE m.code WHEN 'area 1' THEN 0.3 ELSE 0.7 END
  FROM kpi.unit u, kpi.measure m WHERE u.path = 'area2' AND m.code IN ('area 1', 'area 2');
DELETE FROM kpi.target WHERE kpi_id = kpi.kpi_id('area2', 'progress');
DELETE FROM kpi.fact WHERE kpi_id = kpi.kpi_id('area2', 'progress');
INSERT INTO kpi.target_entry (unit, measure, period, points)
VALUES ('area2', 'area 1', '2026-03', '{{0, 0}, {100, 100}}'), ('area2', 'area 2', '2026-03', '{{0, 0}, {100, 100}}');
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('area2', 'area 1', '2026-03', 12.5), ('area2', 'area 2', '2026-03', 50);
SELECT is((SELECT score FROM kpi.unit_score WHERE unit = 'area2' AND period = '2026-03'), 38.75, 'a unit''s score weighs its KPIs alike');

-- ---- rates: 2 of 4 and 2 of 100 are 4 of 104 = 3.8 %; not 26 % (the mean of
-- 50 % and 2 %), not 52 % (their sum)
INSERT INTO kpi.unit (path) VALUES ('works'), ('works.east'), ('works.west'), ('plant'), ('plant.east'), ('plant.west');
INSERT INTO kpi.measure (code, rollup, multiplier) VALUES ('defect rate', 'ratio', 100);
SELECT kpi.deploy('defect rate', 'works') \g /dev/null
INSERT INTO kpi.fact_entry (unit, measure, period, value, weight)
VALUES ('works.east', 'defect rate', '2026-03', 2, 4), ('works.west', 'defect rate', '2026-03', 2, 100);

-- the same from two counts
INSERT INTO kpi.measure (code, rollup) VALUES ('defects', 'sum'), ('pieces', 'sum');
INSERT INTO kpi.measure (code, rollup, multiplier) VALUES ('computed rate', 'ratio', 100);
SELECT kpi.deploy('defects', 'plant'), kpi.deploy('pieces', 'plant'), kpi.deploy('computed rate', 'plant') \g /dev/null
INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes)
SELECT kpi.kpi_id(u, m), kpi.kpi_id(u, 'computed rate'), c
  FROM (VALUES ('plant'), ('plant.east'), ('plant.west')) AS units (u),
       (VALUES ('defects', 'numerator'), ('pieces', 'denominator')) AS counts (m, c);
INSERT INTO kpi.fact_entry (unit, measure, period, value)
VALUES ('plant.east', 'defects', '2026-03', 2), ('plant.east', 'pieces', '2026-03', 4),
       ('plant.west', 'defects', '2026-03', 2), ('plant.west', 'pieces', '2026-03', 100);

-- one site whose months are those two
INSERT INTO kpi.unit (path) VALUES ('site');
SELECT kpi.deploy('defect rate', 'site') \g /dev/null
INSERT INTO kpi.fact_entry (unit, measure, period, value, weight)
VALUES ('site', 'defect rate', '2026-02', 2, 4), ('site', 'defect rate', '2026-03', 2, 100);

CREATE FUNCTION pg_temp.rates(state text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN NEXT results_eq(
        'SELECT unit_now::text, actual, round(actual, 1) FROM kpi.attainment
          WHERE measure = ''defect rate'' AND unit_now <@ ''works'' AND period = ''2026-03'' ORDER BY unit_now',
        $want$VALUES ('works', 3.846153846154, 3.8), ('works.east', 50, 50.0), ('works.west', 2, 2.0)$want$,
        state || ': 2 of 4 and 2 of 100 are 3.8 % of a unit');
    RETURN NEXT results_eq(
        'SELECT unit_now::text, actual, round(actual, 1) FROM kpi.attainment
          WHERE measure = ''computed rate'' AND period = ''2026-03'' ORDER BY unit_now',
        $want$VALUES ('plant', 3.846153846154, 3.8), ('plant.east', 50, 50.0), ('plant.west', 2, 2.0)$want$,
        state || ': computed from defects and pieces too');
    RETURN NEXT is((SELECT round(actual, 1) FROM kpi.attainment WHERE measure = 'defect rate' AND unit_now = 'site' AND period = '2026-Q1'), 3.8,
                   state || ': and of two months');
    RETURN NEXT is((SELECT round(kpi.ratio(kpi.merge_agg(tally), 100), 1) FROM kpi.attainment
                     WHERE measure = 'defect rate' AND kpi.parent(unit_now) = 'works'::kpi_path AND period = '2026-03'), 3.8,
                   state || ': and of any tallies that are merged');
END
$$;
SELECT pg_temp.rates('pending');
SELECT kpi.fold() \g /dev/null
SELECT pg_temp.rates('folded');

SELECT is_empty('SELECT * FROM kpi.verify()', 'kpi.verify() finds nothing');
SELECT * FROM finish();
ROLLBACK;
