-- kpi.alignment: each finding appears when something is broken and is gone when
-- it is mended.  The organisation stands as one in line; running and closed
-- periods are those of today.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT no_plan();

SELECT is_empty('SELECT * FROM kpi.alignment', 'nothing there, nothing to find');

SELECT kpi.period(current_date, 'month') AS running, kpi.period(current_date, 'month') - 1 AS closed, kpi.period(current_date, 'year') AS year \gset
SET LOCAL kpi_test.running = :'running';
SET LOCAL kpi_test.closed = :'closed';

INSERT INTO kpi.objective (code, name, kind) VALUES ('vision', 'To be there', 'vision');
INSERT INTO kpi.objective (code, name, parent_objective_id) SELECT 'grow', 'Grow', objective_id FROM kpi.objective;
INSERT INTO kpi.unit (path, owner) VALUES ('co', 'carol'), ('co.a', 'anna'), ('co.b', NULL), ('co.a.x', NULL);
INSERT INTO kpi.measure (code, unit_of_measure) VALUES ('revenue', 'EUR'), ('cost', 'EUR'), ('profit', 'EUR'), ('visits', NULL);
INSERT INTO kpi.measure (code, rollup) VALUES ('best', 'max');
SELECT kpi.deploy('revenue', 'co') \g /dev/null
UPDATE kpi.kpi SET owner = 'olga';
UPDATE kpi.kpi SET objective_id = (SELECT objective_id FROM kpi.objective WHERE code = 'grow') WHERE kpi_id = kpi.kpi_id('co', 'revenue');
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('co.b', 'revenue', :'closed', 30), ('co.a.x', 'revenue', :'closed', 40);
INSERT INTO kpi.target_entry (unit, measure, period, value)
SELECT u, 'revenue', :'running', v FROM (VALUES ('co', 100), ('co.a', 60), ('co.b', 40), ('co.a.x', 60)) t (u, v);
SELECT is_empty('SELECT * FROM kpi.alignment', 'an organisation in line: no finding');

CREATE FUNCTION pg_temp.found() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT concat_ws(' ', a.severity, a.code, coalesce(a.unit::text, '-'), coalesce(a.measure, '-'),
                     CASE a.period WHEN current_setting('kpi_test.running')::kpi_period THEN 'running' WHEN current_setting('kpi_test.closed')::kpi_period THEN 'closed' ELSE coalesce(a.period::text, '-') END,
                     coalesce(a.amount::text, '-')) FROM kpi.alignment a
$$;
CREATE FUNCTION pg_temp.appears(breaks text, expected text[], mends text, what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE breaks;
    RETURN NEXT bag_eq('SELECT pg_temp.found()', expected, what);
    EXECUTE mends;
    RETURN NEXT is_empty('SELECT * FROM kpi.alignment', what || ': mended');
END
$$;

SELECT pg_temp.appears($$INSERT INTO kpi.objective (code, name, unit_id) VALUES ('learn', 'Learn', kpi.unit_id('co.a'))$$, '{warning objective_without_kpi co.a - - -}',
                       $$DELETE FROM kpi.objective WHERE code = 'learn'$$, 'an objective that no KPI serves');
SELECT pg_temp.appears($$INSERT INTO kpi.objective (code, parent_objective_id) SELECT 'a', objective_id FROM kpi.objective WHERE code = 'vision';
                         INSERT INTO kpi.objective (code, parent_objective_id) SELECT 'b', objective_id FROM kpi.objective WHERE code = 'a'$$, '{warning objective_without_kpi - - - -,warning objective_without_kpi - - - -}',
                       $$UPDATE kpi.kpi SET objective_id = (SELECT objective_id FROM kpi.objective WHERE code = 'b') WHERE kpi_id = kpi.kpi_id('co.a.x', 'revenue')$$,
                       'two of them, one above the other: a KPI of the lower one mends both');
SELECT pg_temp.appears($$UPDATE kpi.objective SET valid_to = current_date WHERE code = 'b'; UPDATE kpi.kpi SET objective_id = NULL WHERE kpi_id = kpi.kpi_id('co.a.x', 'revenue')$$,
                       '{warning objective_without_kpi - - - -}', $$DELETE FROM kpi.objective WHERE code = 'b'; DELETE FROM kpi.objective WHERE code = 'a'$$, 'one that is over needs none');
-- all KPIs but the top one served only by what they contribute to
SELECT pg_temp.appears($$UPDATE kpi.kpi SET objective_id = NULL$$,
                       '{warning objective_without_kpi - - - -,warning objective_without_kpi - - - -,info kpi_without_objective co revenue - -,info kpi_without_objective co.a revenue - -,info kpi_without_objective co.b revenue - -,info kpi_without_objective co.a.x revenue - -}',
                       $$UPDATE kpi.kpi SET objective_id = (SELECT objective_id FROM kpi.objective WHERE code = 'grow') WHERE kpi_id = kpi.kpi_id('co', 'revenue')$$, 'KPIs without an objective');
-- a share of 0 cuts the way up, and with it a's part of the target
SELECT pg_temp.appears($$SELECT kpi.set_share('co.b', 0, current_date)$$,
                       '{info kpi_without_objective co.b revenue - -,warning no_line_of_sight co.b revenue - -,warning targets_do_not_add_up co revenue running -40}',
                       $$SELECT kpi.set_share('co.b', 1, current_date)$$, 'no line of sight');
SELECT pg_temp.appears($$SELECT kpi.set_share('co.b', 0, current_date); UPDATE kpi.target SET value = 60 WHERE kpi_id = kpi.kpi_id('co', 'revenue');
                         SELECT kpi.link_kpi('co.b', 'revenue', 'co', 'revenue', 'aligned')$$, '{}',
                       $$SELECT kpi.set_share('co.b', 1, current_date); UPDATE kpi.target SET value = 100 WHERE kpi_id = kpi.kpi_id('co', 'revenue'); DELETE FROM kpi.link$$, 'an aligned link is a line of sight');
SELECT pg_temp.appears(format($$DELETE FROM kpi.target WHERE kpi_id = kpi.kpi_id('co.a.x', 'revenue')$$), '{warning no_target co.a.x revenue running -}',
                       format($$SELECT kpi.set_target('co.a.x', 'revenue', %L, 60)$$, :'running'), 'no target');
SELECT pg_temp.appears($$UPDATE kpi.measure SET targets_count_from = 'agreed'; UPDATE kpi.target SET state = 'proposed' WHERE kpi_id = kpi.kpi_id('co.a.x', 'revenue')$$,
                       '{warning no_target co.a.x revenue running -}',
                       $$UPDATE kpi.target SET state = 'agreed' WHERE kpi_id = kpi.kpi_id('co.a.x', 'revenue'); UPDATE kpi.measure SET targets_count_from = 'proposed'$$, 'none that counts');
SELECT pg_temp.appears(format($$DELETE FROM kpi.target WHERE kpi_id = kpi.kpi_id('co.a.x', 'revenue'); SELECT kpi.set_target('co.a.x', 'revenue', %L, 700)$$, :'year'), '{}',
                       $$DELETE FROM kpi.target WHERE value = 700; SELECT kpi.set_target('co.a.x', 'revenue', current_setting('kpi_test.running'), 60)$$, 'a target of the year is one');
SELECT pg_temp.appears($$UPDATE kpi.kpi SET owner = NULL WHERE unit_id IN (kpi.unit_id('co.a'), kpi.unit_id('co.b'))$$, '{info no_owner co.a revenue - -,warning no_owner co.b revenue - -}',
                       $$UPDATE kpi.kpi SET owner = 'olga'$$, 'no owner: worse where the unit has none either');
SELECT pg_temp.appears($$UPDATE kpi.kpi SET owner = '' WHERE unit_id IN (kpi.unit_id('co.a'), kpi.unit_id('co.b')); UPDATE kpi.unit SET owner = '' WHERE path = 'co.b'$$,
                       '{info no_owner co.a revenue - -,warning no_owner co.b revenue - -}',
                       $$UPDATE kpi.kpi SET owner = 'olga'; UPDATE kpi.unit SET owner = NULL WHERE path = 'co.b'$$, 'an empty name is nobody');
UPDATE kpi.kpi SET owner = '' WHERE unit_id = kpi.unit_id('co.a');
SELECT results_eq('SELECT owner, sentence FROM kpi.alignment', $$VALUES ('anna', 'Nobody answers for the KPI; anna answers for its unit.')$$, 'and the unit''s is shown in its place');
UPDATE kpi.kpi SET owner = 'olga';
SELECT pg_temp.appears($$DELETE FROM kpi.fact WHERE value = 40$$, '{warning no_data co.a revenue closed -,warning no_data co.a.x revenue closed -}',
                       $$INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('co.a.x', 'revenue', current_setting('kpi_test.closed'), 40)$$, 'no data in the last closed period, there and above');
SELECT pg_temp.appears($$DELETE FROM kpi.fact WHERE value = 40; UPDATE kpi.kpi SET valid_from = kpi.first_day(current_setting('kpi_test.running')::kpi_period) WHERE unit_id IN (kpi.unit_id('co.a'), kpi.unit_id('co.a.x'))$$,
                       '{}', $$UPDATE kpi.kpi SET valid_from = NULL; INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('co.a.x', 'revenue', current_setting('kpi_test.closed'), 40)$$,
                       'a KPI that began since lacks nothing');
-- 60.5 + 40 against 100; and x's 60 against a's 60.5
SELECT pg_temp.appears($$UPDATE kpi.target SET value = 60.5 WHERE kpi_id = kpi.kpi_id('co.a', 'revenue')$$, '{warning targets_do_not_add_up co revenue running 0.5,warning targets_do_not_add_up co.a revenue running -0.5}',
                       $$UPDATE kpi.target SET value = 60 WHERE kpi_id = kpi.kpi_id('co.a', 'revenue')$$, 'targets that do not add up');
SELECT is((SELECT sentence FROM kpi.alignment), NULL, 'no finding, no sentence');
-- half of b's 40 flows up since this month: 60 + 20
SELECT pg_temp.appears($$SELECT kpi.set_share('co.b', 0.5, kpi.first_day(current_setting('kpi_test.running')::kpi_period))$$, '{warning targets_do_not_add_up co revenue running -20}',
                       $$SELECT kpi.set_share('co.b', 1, kpi.first_day(current_setting('kpi_test.running')::kpi_period))$$, 'shares count');
-- 0.6 * 67 = 40.2 is the 40 that is missing of 100, to the places of the targets: nobody could have given b 66.666...; 0.6 * 68 = 40.8 is not
SELECT pg_temp.appears($$SELECT kpi.set_share('co.b', 0.6, kpi.first_day(current_setting('kpi_test.running')::kpi_period)); SELECT kpi.set_target('co.b', 'revenue', current_setting('kpi_test.running'), 67)$$, '{}',
                       $$SELECT kpi.set_share('co.b', 1, kpi.first_day(current_setting('kpi_test.running')::kpi_period)); SELECT kpi.set_target('co.b', 'revenue', current_setting('kpi_test.running'), 40)$$, 'a target rounded beneath a share adds up');
SELECT pg_temp.appears($$SELECT kpi.set_share('co.b', 0.6, kpi.first_day(current_setting('kpi_test.running')::kpi_period)); SELECT kpi.set_target('co.b', 'revenue', current_setting('kpi_test.running'), 68)$$, '{warning targets_do_not_add_up co revenue running 0.8}',
                       $$SELECT kpi.set_share('co.b', 1, kpi.first_day(current_setting('kpi_test.running')::kpi_period)); SELECT kpi.set_target('co.b', 'revenue', current_setting('kpi_test.running'), 40)$$, 'but one that is off by more does not');
-- a range is a target without a value
SELECT pg_temp.appears($$INSERT INTO kpi.measure (code, scoring) VALUES ('heads', 'range');
                         INSERT INTO kpi.kpi (unit_id, measure_id, owner, objective_id) SELECT kpi.unit_id('co'), measure_id, 'olga', (SELECT objective_id FROM kpi.objective WHERE code = 'grow') FROM kpi.measure WHERE code = 'heads';
                         INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('co', 'heads', current_setting('kpi_test.closed'), 5)$$, '{warning no_target co heads running -}',
                       $$INSERT INTO kpi.target_entry (unit, measure, period, low) VALUES ('co', 'heads', current_setting('kpi_test.running'), 4)$$, 'a range is a target');
SELECT pg_temp.appears($$UPDATE kpi.measure SET targets_count_from = 'agreed' WHERE code = 'heads'; UPDATE kpi.target SET state = 'proposed' WHERE low = 4$$, '{warning no_target co heads running -}',
                       $$DELETE FROM kpi.fact WHERE value = 5; DELETE FROM kpi.kpi WHERE measure_id = (SELECT measure_id FROM kpi.measure WHERE code = 'heads'); DELETE FROM kpi.measure WHERE code = 'heads'$$, 'where it counts');
-- a quarter's target of the parent against months of the children, long ago
SELECT pg_temp.appears($$INSERT INTO kpi.target_entry (unit, measure, period, value) VALUES ('co.a', 'revenue', '2001-Q1', 31), ('co.a.x', 'revenue', '2001-01', 10), ('co.a.x', 'revenue', '2001-02', 10), ('co.a.x', 'revenue', '2001-03', 10)$$,
                       '{warning targets_do_not_add_up co.a revenue 2001-Q1 -1}', $$DELETE FROM kpi.target WHERE period < '2002' AND kpi.last_day(period) < '2002-01-01'$$, 'derived targets of the children count');
SELECT pg_temp.appears($$UPDATE kpi.measure SET rollup = 'mean' WHERE code = 'revenue'; UPDATE kpi.target SET value = 55 WHERE kpi_id = kpi.kpi_id('co.a', 'revenue')$$, '{}',
                       $$UPDATE kpi.measure SET rollup = 'sum' WHERE code = 'revenue'; UPDATE kpi.target SET value = 60 WHERE kpi_id = kpi.kpi_id('co.a', 'revenue')$$, 'means need not add up');
-- x to a to co, and x to co: 1 + 1; targets 60 + 40 + 60
SELECT pg_temp.appears($$SELECT kpi.link_kpi('co.a.x', 'revenue', 'co', 'revenue', 'value')$$, '{error counted_twice co.a.x revenue - 2,warning targets_do_not_add_up co revenue running 60}',
                       'DELETE FROM kpi.link', 'facts that are counted twice');
SELECT pg_temp.appears($$SELECT kpi.link_kpi('co.a.x', 'revenue', 'co', 'revenue', 'score')$$, '{}', 'DELETE FROM kpi.link', 'scores beside values are not');
SELECT pg_temp.appears($$UPDATE kpi.measure SET rollup = 'max' WHERE code = 'revenue'; SELECT kpi.link_kpi('co.a.x', 'revenue', 'co', 'revenue', 'value')$$, '{}',
                       $$DELETE FROM kpi.link; UPDATE kpi.measure SET rollup = 'sum' WHERE code = 'revenue'$$, 'nor is a maximum twice as high');
SELECT pg_temp.appears($$UPDATE kpi.unit SET valid_to = NULL; INSERT INTO kpi.unit (path) VALUES ('co.c')$$, '{info unit_without_kpi co.c - - -}', $$DELETE FROM kpi.unit WHERE path = 'co.c'$$, 'a unit without KPIs');
SELECT pg_temp.appears($$INSERT INTO kpi.unit (path, valid_to) VALUES ('co.c', '2001-01-01')$$, '{}', $$DELETE FROM kpi.unit WHERE path = 'co.c'$$, 'one that is no more needs none');
SELECT pg_temp.appears($$UPDATE kpi.kpi SET weight = 0 WHERE unit_id = kpi.unit_id('co.b')$$, '{error weights_all_zero co.b - - 1}', 'UPDATE kpi.kpi SET weight = 1', 'weights of a unit that are all zero');
SELECT pg_temp.appears($$INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes, weight) SELECT kpi.kpi_id(u, 'revenue'), kpi.kpi_id('co', 'revenue'), 'score', 0 FROM unnest('{co.a,co.b}'::text[]) u$$,
                       '{error weights_all_zero co revenue - 2}', $$UPDATE kpi.link SET weight = 1 WHERE child_kpi_id = kpi.kpi_id('co.a', 'revenue')$$, 'or of links into a KPI, until one is not');
DELETE FROM kpi.link;
-- co's cost takes part of a's revenue
INSERT INTO kpi.kpi (unit_id, measure_id, owner) SELECT kpi.unit_id('co'), measure_id, 'olga' FROM kpi.measure WHERE code = 'cost';
UPDATE kpi.kpi SET objective_id = (SELECT objective_id FROM kpi.objective WHERE code = 'grow') WHERE kpi_id = kpi.kpi_id('co', 'cost');
SELECT kpi.set_target('co', 'cost', :'running', 15), kpi.link_kpi('co.a', 'revenue', 'co', 'cost', 'value', 0.25) \g /dev/null
SELECT is_empty('SELECT * FROM kpi.alignment', 'a quarter of 60 is 15');
SELECT pg_temp.appears($$UPDATE kpi.measure SET unit_of_measure = 'hours' WHERE code = 'cost'$$, '{error unit_of_measure_differs co.a revenue - 0.25}',
                       $$UPDATE kpi.measure SET unit_of_measure = 'EUR' WHERE code = 'cost'$$, 'another unit of measure by value');
SELECT pg_temp.appears($$UPDATE kpi.measure SET unit_of_measure = NULL WHERE code = 'cost'$$, '{}', $$UPDATE kpi.measure SET unit_of_measure = 'EUR' WHERE code = 'cost'$$, 'one that is not given is not another');
-- the diamond: revenue of a to cost and to revenue of co, both to its profit: 0.25 * -1 + 1 * 1.
-- Where ways part and meet, once: x beneath a and what is above profit are not found again.
INSERT INTO kpi.kpi (unit_id, measure_id, owner, objective_id) SELECT kpi.unit_id('co'), m.measure_id, 'olga', o.objective_id FROM kpi.measure m, kpi.objective o WHERE m.code IN ('profit', 'visits') AND o.code = 'grow';
UPDATE kpi.measure SET unit_of_measure = NULL;
SELECT kpi.link_kpi('co', 'revenue', 'co', 'profit', 'value'), kpi.link_kpi('co', 'cost', 'co', 'profit', 'value', -1), kpi.link_kpi('co', 'profit', 'co', 'visits', 'value') \g /dev/null
SELECT kpi.set_target('co', 'profit', :'running', 85), kpi.set_target('co', 'visits', :'running', 85) \g /dev/null
SELECT set_eq('SELECT pg_temp.found()', '{error counted_twice co.a revenue - 0.75}'::text[], 'two ways that meet: a weight of 0.75 in all');
SELECT is((SELECT sentence FROM kpi.alignment), 'What is in the KPI reaches measure "profit" of unit "co" on 2 ways and counts there with a weight of 0.75.', 'in words');

-- sixteen diamonds, one above the other: each is found by itself
CREATE TEMP TABLE node AS SELECT n, 'd' || n AS code FROM generate_series(0, 48) n;
INSERT INTO kpi.measure (code) SELECT code FROM node;
INSERT INTO kpi.kpi (unit_id, measure_id, owner, objective_id) SELECT kpi.unit_id('co'), m.measure_id, 'olga', o.objective_id FROM kpi.measure m, kpi.objective o WHERE m.code IN (SELECT code FROM node) AND o.code = 'grow';
SELECT kpi.set_target('co', code, :'running', CASE WHEN n % 3 = 0 THEN 2 ^ (n / 3) ELSE 2 ^ ((n - 1) / 3) END::int) FROM node \g /dev/null
SELECT kpi.link_kpi('co', 'd' || n, 'co', 'd' || n + 1, 'value'), kpi.link_kpi('co', 'd' || n, 'co', 'd' || n + 2, 'value'),
       kpi.link_kpi('co', 'd' || n + 1, 'co', 'd' || n + 3, 'value'), kpi.link_kpi('co', 'd' || n + 2, 'co', 'd' || n + 3, 'value')
  FROM generate_series(0, 45, 3) n \g /dev/null
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('co', 'd0', :'closed', 1);
SELECT set_eq('SELECT pg_temp.found()', $$SELECT 'error counted_twice co.a revenue - 0.75' UNION ALL SELECT format('error counted_twice co d%s - 2', n) FROM generate_series(0, 45, 3) n$$, 'diamonds upon diamonds');
DELETE FROM kpi.fact WHERE kpi_id = kpi.kpi_id('co', 'd0');
DELETE FROM kpi.kpi WHERE measure_id IN (SELECT measure_id FROM kpi.measure WHERE code ~ '^d\d');
DELETE FROM kpi.measure WHERE code ~ '^d\d';

-- what is in it for whoever reads: everything by name, and whom to ask
SELECT results_eq('SELECT a.objective, a.owner, a.unit_id, a.kpi_id FROM kpi.alignment a', $$SELECT NULL::text, 'olga'::text, kpi.unit_id('co.a'), kpi.kpi_id('co.a', 'revenue')$$, 'keys, owner and objective');
-- the function behind it is the view's
SELECT throws_ok('SELECT * FROM kpi.alignment_findings(gen_random_uuid())', '42501', 'permission denied for function alignment_findings', 'nobody else reads the findings of units he may not see');

SELECT * FROM finish();
ROLLBACK;
