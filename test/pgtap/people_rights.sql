-- Who writes a table of the management loop needs that table, who reads a view
-- that view; row security on kpi.unit limits what is shown, not what is counted.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT no_plan();

INSERT INTO kpi.unit (path) VALUES ('co'), ('co.a'), ('co.b');
INSERT INTO kpi.measure (code) VALUES ('m');
SELECT kpi.deploy('m', 'co') \g /dev/null
INSERT INTO kpi.objective (objective_id, code, unit_id) VALUES (1, 'all', NULL), (2, 'a', kpi.unit_id('co.a')), (3, 'b', kpi.unit_id('co.b'));
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('co.a', 'm', '2021-01', 5), ('co.b', 'm', '2021-01', 5), ('co.a', 'm', '2021-02', 4), ('co.b', 'm', '2021-02', 1);
INSERT INTO kpi.target_entry (unit, measure, period, value) SELECT u, 'm', p, CASE u WHEN 'co' THEN 10 ELSE 5 END FROM unnest('{co,co.a,co.b}'::text[]) u, unnest('{2021-01,2021-02}'::text[]) p;
INSERT INTO kpi.member (member_id, name) VALUES (1, 'Ann'), (2, 'Bob');
INSERT INTO kpi.membership (member_id, unit_id) VALUES (1, kpi.unit_id('co.a')), (2, kpi.unit_id('co.b')), (2, kpi.unit_id('co'));
INSERT INTO kpi.skill (skill_id, code) VALUES (1, 's');
INSERT INTO kpi.measure_skill SELECT measure_id, 1 FROM kpi.measure;
SELECT kpi.acknowledge('a', 'Ann'), kpi.acknowledge('b', 'Bob') \g /dev/null
SELECT kpi.check_in(u, 'm', '2021-02', 'of ' || u, 0.1) FROM unnest('{co,co.a,co.b}'::text[]) u \g /dev/null
INSERT INTO kpi.action_item (kpi_id, description, due_on) SELECT kpi_id, 'of ' || u.path::text, current_date - 1 FROM kpi.kpi JOIN kpi.unit u USING (unit_id);
INSERT INTO kpi.action_item (objective_id, description, due_on) VALUES (1, 'of all', current_date - 1), (2, 'of objective a', current_date - 1), (3, 'of objective b', current_date - 1);

CREATE ROLE kpi_test_writer;
CREATE ROLE kpi_test_reader;
GRANT USAGE ON SCHEMA kpi TO kpi_test_writer, kpi_test_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO kpi_test_writer, kpi_test_reader;

-- ---------------------------------------------------------------- writing

GRANT INSERT, UPDATE, DELETE, SELECT ON kpi.member, kpi.membership, kpi.check_in, kpi.review, kpi.review_item, kpi.action_item, kpi.skill, kpi.measure_skill, kpi.training, kpi.acknowledgement TO kpi_test_writer;
UPDATE kpi.unit SET owner = 'Cy';
SELECT kpi.kpi_id('co.a', 'm') AS k, kpi.unit_id('co.a') AS u \gset
SET LOCAL ROLE kpi_test_writer;
SELECT lives_ok(format($$
    INSERT INTO kpi.member (member_id, name) VALUES (7, 'Cy');
    INSERT INTO kpi.membership (member_id, unit_id) VALUES (7, %2$s);
    INSERT INTO kpi.check_in (check_in_id, kpi_id, period, comment) VALUES (700, %1$s, '2021-02', 'first');
    INSERT INTO kpi.check_in (check_in_id, kpi_id, period, reply_to) VALUES (701, %1$s, '2021-02', 700);
    INSERT INTO kpi.review (review_id, unit_id, period) VALUES (7, %2$s, '2021-02');
    INSERT INTO kpi.review_item (review_item_id, review_id, kpi_id) VALUES (7, 7, %1$s);
    INSERT INTO kpi.action_item (action_item_id, review_id, kpi_id, description, owner) VALUES (700, 7, %1$s, 'do', 'Cy');
    UPDATE kpi.action_item SET state = 'done' WHERE action_item_id = 700;
    INSERT INTO kpi.skill (skill_id, code) VALUES (7, 't');
    INSERT INTO kpi.training (training_id, member_id, skill_id, completed_on) VALUES (7, 7, 7, current_date);
    INSERT INTO kpi.acknowledgement (acknowledgement_id, objective_id, member_id) VALUES (700, 1, 7);
    UPDATE kpi.member SET name = 'Di' WHERE name = 'Cy';
    DELETE FROM kpi.check_in WHERE check_in_id IN (700, 701)$$, :k, :u), 'a writer of the tables needs nothing else');
SELECT throws_ok($$SELECT kpi.carry_names()$$, '42501', NULL, 'and gets nothing else');
RESET ROLE;
SELECT is((SELECT DISTINCT owner FROM kpi.unit), 'Di', 'names are carried to tables that the writer may not touch');
SET LOCAL ROLE kpi_test_writer;
SELECT lives_ok('DELETE FROM kpi.member WHERE member_id = 7', 'so is their end');
RESET ROLE;
SELECT is((SELECT count(owner) FROM kpi.unit), 0::bigint, 'everywhere');
DELETE FROM kpi.review;
DELETE FROM kpi.action_item WHERE action_item_id = 700;
DELETE FROM kpi.acknowledgement WHERE member_id IS NULL;
DELETE FROM kpi.membership WHERE member_id IS NULL;

-- ---------------------------------------------------------------- reading

GRANT SELECT ON kpi.latest_check_in, kpi.check_in_thread, kpi.scorecard_check_in, kpi.open_actions, kpi.training_gap, kpi.objective_reach TO kpi_test_reader;
CREATE FUNCTION pg_temp.shown() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT 'said ' || comment FROM kpi.latest_check_in UNION ALL SELECT 'thread ' || comment FROM kpi.check_in_thread
    UNION ALL SELECT 'card ' || check_in_comment FROM kpi.scorecard_check_in WHERE check_in_comment IS NOT NULL
    UNION ALL SELECT 'action ' || description FROM kpi.open_actions UNION ALL SELECT concat_ws(' ', 'gap', g.unit, members, array_to_string(names, '+')) FROM kpi.training_gap g
    UNION ALL SELECT concat_ws(' ', 'reach', code, members, seen) FROM kpi.objective_reach
$$;
SET LOCAL ROLE kpi_test_reader;
SELECT set_eq('SELECT pg_temp.shown()', '{said of co,said of co.a,said of co.b,thread of co,thread of co.a,thread of co.b,card of co,card of co.a,card of co.b,action of co,action of co.a,action of co.b,action of all,action of objective a,action of objective b,gap co 1 Bob,gap co.a 1 Ann,gap co.b 1 Bob,reach all 2 0,reach a 1 1,reach b 1 1}'::text[],
              'a reader of the views needs nothing else');
SELECT throws_ok('SELECT * FROM kpi.check_in', '42501', NULL, 'and gets nothing else');
SELECT throws_ok('SELECT * FROM kpi.due()', '42501', NULL, 'functions are given by themselves');
RESET ROLE;
ALTER TABLE kpi.unit ENABLE ROW LEVEL SECURITY;
CREATE POLICY some_units ON kpi.unit TO kpi_test_reader USING (path IN ('co', 'co.a'));
SET LOCAL ROLE kpi_test_reader;
-- all members are counted
SELECT set_eq('SELECT pg_temp.shown()', '{said of co,said of co.a,thread of co,thread of co.a,card of co,card of co.a,action of co,action of co.a,action of all,action of objective a,gap co 1 Bob,gap co.a 1 Ann,reach all 2 0,reach a 1 1}'::text[],
              'row security hides what is of other units, and counts it');
RESET ROLE;

-- functions run with the caller's rights, over views
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA kpi TO kpi_test_reader;
REVOKE EXECUTE ON FUNCTION kpi.rebuild() FROM kpi_test_reader;
GRANT SELECT ON kpi.unit, kpi.owing_kpi, kpi.steered_kpi, kpi.held_review, kpi.current_cell, kpi.described_kpi, kpi.described_objective, kpi.proposed_target, kpi.unit_score, kpi.status_log TO kpi_test_reader;
DELETE FROM kpi.fact WHERE period = '2021-02' AND kpi_id = kpi.kpi_id('co.b', 'm');
SELECT set_eq($$SELECT concat_ws(' ', unit, period) FROM kpi.due('2021-03-01')$$, '{co.b 2021-02}'::text[], 'b owes a figure');
SET LOCAL ROLE kpi_test_reader;
SELECT is_empty($$SELECT * FROM kpi.due('2021-03-01')$$, 'which who may not see b does not learn');
-- 4 of 10 in February is off track, whoever looks; beneath are a's 1 that lacks, and b's 5 for those who see it
SELECT results_eq($$SELECT reason, unit::text, amount, sentence FROM kpi.review_agenda('co', '2021-02') WHERE reason IN ('largest_contribution', 'stale_data')$$,
    $$VALUES ('largest_contribution', 'co.a', 1::numeric, 'It takes 1 from measure "m" of unit "co", which is off_track in 2021-02 and lacks 6 to its target.')$$, 'an agenda of what may be seen');
RESET ROLE;
SELECT results_eq($$SELECT reason, unit::text, amount FROM kpi.review_agenda('co', '2021-02') WHERE reason IN ('largest_contribution', 'stale_data')$$,
    $$VALUES ('largest_contribution', 'co.b', 5::numeric), ('stale_data', 'co.b', 1)$$, 'and of all of it');
SET LOCAL ROLE kpi_test_reader;
SELECT throws_ok($$SELECT * FROM kpi.review_agenda('co.b', '2021-02')$$, '42704', 'unit "co.b" does not exist', 'no agenda of a hidden unit');

RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
