-- People: names that are carried along or removed, memberships, what they have
-- seen and what they still have to learn.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT no_plan();

-- a name with quotes, markup, a backslash, an emoji and right-to-left letters
\set hostile '"><script>alert(1)</script> O''Brien \\ 🦄 דנה %s'
INSERT INTO kpi.member (name, email, role_name) VALUES (:'hostile', 'd@example.org', NULL), ('Ann', NULL, 'ann_works'), ('Bob', NULL, NULL);
INSERT INTO kpi.unit (path, owner) VALUES ('co', :'hostile'), ('co.a', 'Ann'), ('co.a.x', NULL), ('co.b', 'somebody else');
INSERT INTO kpi.measure (code) VALUES ('m'), ('n');
SELECT kpi.deploy('m', 'co'), kpi.deploy('n', 'co') \g /dev/null
UPDATE kpi.kpi SET owner = :'hostile' WHERE kpi_id = kpi.kpi_id('co', 'm');
INSERT INTO kpi.objective (code, owner, unit_id) VALUES ('all', :'hostile', NULL), ('a', 'Ann', kpi.unit_id('co.a')), ('x', NULL, kpi.unit_id('co.a.x')), ('b', NULL, kpi.unit_id('co.b'));
INSERT INTO kpi.check_in (kpi_id, period, author, comment) VALUES (kpi.kpi_id('co', 'm'), '2026-01', :'hostile', 'said');
INSERT INTO kpi.review (unit_id, period, chair) VALUES (kpi.unit_id('co'), '2026-01', :'hostile');
INSERT INTO kpi.action_item (kpi_id, description, owner) VALUES (kpi.kpi_id('co', 'm'), 'do', :'hostile'), (kpi.kpi_id('co', 'm'), 'do too', 'Bob');
INSERT INTO kpi.target (kpi_id, period, value, state, proposed_by) VALUES (kpi.kpi_id('co', 'm'), '2026-01', 5, 'proposed', :'hostile');
INSERT INTO kpi.target (kpi_id, period, value, state, agreed_by) VALUES (kpi.kpi_id('co', 'm'), '2026-02', 5, 'agreed', :'hostile');
SELECT kpi.fold() \g /dev/null

CREATE FUNCTION pg_temp.names() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT 'unit ' || path::text || ' ' || owner FROM kpi.unit UNION ALL SELECT 'kpi ' || owner FROM kpi.kpi UNION ALL SELECT 'objective ' || code || ' ' || owner FROM kpi.objective
    UNION ALL SELECT 'check_in ' || author FROM kpi.check_in UNION ALL SELECT 'review ' || chair FROM kpi.review UNION ALL SELECT 'action ' || description || ' ' || owner FROM kpi.action_item
    UNION ALL SELECT 'proposed ' || proposed_by FROM kpi.target UNION ALL SELECT 'agreed ' || agreed_by FROM kpi.target
$$;
CREATE FUNCTION pg_temp.expected(name text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT unnest(ARRAY['unit co.a Ann', 'unit co.b somebody else', 'objective a Ann', 'action do too Bob'])
    UNION ALL SELECT w || name FROM unnest(ARRAY['unit co ', 'kpi ', 'objective all ', 'check_in ', 'review ', 'action do ', 'proposed ', 'agreed ']) w WHERE name IS NOT NULL
$$;
SELECT bag_eq($$SELECT n FROM pg_temp.names() n WHERE n IS NOT NULL$$, format('SELECT pg_temp.expected(%L)', :'hostile'), 'names stand where they were written');

-- ---------------------------------------------------------------- renamed, deleted

UPDATE kpi.member SET name = 'Dana' WHERE email = 'd@example.org';
SELECT bag_eq($$SELECT n FROM pg_temp.names() n WHERE n IS NOT NULL$$, $$SELECT pg_temp.expected('Dana')$$, 'a member renamed is renamed everywhere');
SELECT is((SELECT count(*) FROM kpi.target_revision), 2::bigint, 'which is no change of a target');
SELECT is((SELECT count(*) FROM kpi.pending p JOIN kpi.fold_state s ON p.xid = s.own AND p.seq > s.upto AND p.kind <> 't'), 0::bigint, 'nor of the structure');
UPDATE kpi.member SET name = :'hostile' WHERE name = 'Dana';
SELECT kpi.acknowledge('all', :'hostile'), kpi.acknowledge('all', 'Ann') \g /dev/null
INSERT INTO kpi.membership (member_id, unit_id) SELECT member_id, kpi.unit_id('co') FROM kpi.member;
INSERT INTO kpi.skill (code) VALUES ('selling');
INSERT INTO kpi.training (member_id, skill_id, completed_on) SELECT m.member_id, s.skill_id, '2026-01-01' FROM kpi.member m, kpi.skill s;
DELETE FROM kpi.member WHERE name = :'hostile';
SELECT bag_eq($$SELECT n FROM pg_temp.names() n WHERE n IS NOT NULL$$, $$SELECT pg_temp.expected(NULL)$$, 'the name of a deleted one is removed everywhere');
SELECT is((SELECT array_agg(c ORDER BY c) FROM (SELECT count(*) FROM kpi.check_in UNION ALL SELECT count(*) FROM kpi.review UNION ALL SELECT count(*) FROM kpi.action_item
           UNION ALL SELECT count(*) FROM kpi.acknowledgement UNION ALL SELECT count(*) FROM kpi.membership UNION ALL SELECT count(*) FROM kpi.training) x (c)),
          '{1,1,2,2,3,3}', 'and every row is still there');
SELECT is((SELECT count(*) FROM kpi.membership WHERE member_id IS NULL) + (SELECT count(*) FROM kpi.training WHERE member_id IS NULL) + (SELECT count(*) FROM kpi.acknowledgement WHERE member_id IS NULL),
          3::bigint, 'without the member');
-- two memberships in one unit at one time lose their member without a collision
DELETE FROM kpi.member WHERE name = 'Bob';
SELECT is((SELECT count(*) FROM kpi.membership WHERE member_id IS NULL), 2::bigint, 'memberships of nobody do not overlap');
SELECT is((SELECT owner FROM kpi.action_item WHERE description = 'do too'), NULL, 'as often as it happens');
SAVEPOINT truncated;
TRUNCATE kpi.member CASCADE;
SELECT bag_eq($$SELECT n FROM pg_temp.names() n WHERE n IS NOT NULL$$, '{unit co.b somebody else}'::text[], 'TRUNCATE removes the names of all, and no other');
ROLLBACK TO truncated;
DELETE FROM kpi.member WHERE false;
SELECT is((SELECT owner FROM kpi.unit WHERE path = 'co.a'), 'Ann', 'who stays, stays');

-- ---------------------------------------------------------------- memberships

DELETE FROM kpi.membership;
CREATE FUNCTION pg_temp.belongs(name text, unit text, valid_from date, valid_to date) RETURNS void LANGUAGE sql AS
$$INSERT INTO kpi.membership (member_id, unit_id, valid_from, valid_to) SELECT m.member_id, kpi.unit_id(unit), belongs.valid_from, belongs.valid_to FROM kpi.member m WHERE m.name = belongs.name$$;
SELECT pg_temp.belongs('Ann', 'co.a', '2026-01-01', '2026-04-01') \g /dev/null
SELECT throws_ok($$SELECT pg_temp.belongs('Ann', 'co.a', '2026-03-31', NULL)$$, '23P01', NULL, 'nobody belongs twice to a unit on one day');
SELECT lives_ok($$SELECT pg_temp.belongs('Ann', 'co.a', '2026-04-01', NULL)$$, 'but again from the day on which it ended');
SELECT lives_ok($$SELECT pg_temp.belongs('Ann', 'co.b', NULL, NULL)$$, 'and to another unit at the same time');
SELECT throws_ok($$SELECT pg_temp.belongs('Ann', 'co.a', NULL, '2026-01-02')$$, '23P01', NULL, 'an open beginning overlaps too');
SELECT lives_ok($$INSERT INTO kpi.membership (member_id, unit_id) SELECT member_id, kpi.unit_id('co.b') FROM kpi.member WHERE name = 'Ann' ON CONFLICT DO NOTHING$$, 'ON CONFLICT');
SELECT is((SELECT count(*) FROM kpi.membership), 3::bigint, 'did nothing');
SELECT throws_ok($$INSERT INTO kpi.membership (unit_id) VALUES (kpi.unit_id('co'))$$, '23502', 'member "null" of a membership is missing', 'a new one is of somebody');
DELETE FROM kpi.kpi WHERE unit_id = kpi.unit_id('co.b');
DELETE FROM kpi.objective WHERE code = 'b';
SELECT lives_ok($$DELETE FROM kpi.unit WHERE path = 'co.b'$$, 'a unit takes its memberships along');
INSERT INTO kpi.unit (path) VALUES ('co.b');
INSERT INTO kpi.objective (code, unit_id) VALUES ('b', kpi.unit_id('co.b'));

-- ---------------------------------------------------------------- reach

DELETE FROM kpi.acknowledgement;
DELETE FROM kpi.membership;
INSERT INTO kpi.member (name, valid_from, valid_to) VALUES ('Bob', NULL, NULL), ('Cy', NULL, NULL), ('Gone', NULL, current_date), ('Next', current_date + 1, NULL);
-- Ann in co.a, Bob in co.a.x and in co.a, Cy was in co.a until yesterday and is in co.b
SELECT pg_temp.belongs('Ann', 'co.a', NULL, NULL), pg_temp.belongs('Bob', 'co.a.x', NULL, current_date + 1), pg_temp.belongs('Bob', 'co.a', current_date, NULL),
       pg_temp.belongs('Cy', 'co.a', NULL, current_date), pg_temp.belongs('Cy', 'co.b', NULL, NULL), pg_temp.belongs('Gone', 'co.a', NULL, NULL) \g /dev/null
SELECT kpi.acknowledge('a', 'Bob'), kpi.acknowledge('a', 'Cy'), kpi.acknowledge('all', 'Gone'), kpi.acknowledge('all', 'Cy') \g /dev/null
SELECT results_eq('SELECT code, unit::text, members, seen, share FROM kpi.objective_reach ORDER BY code',
    -- a: Ann and Bob, once each; Cy does not count.  all: Ann, Bob and Cy, 1/3
    $$VALUES ('a', 'co.a', 2::bigint, 1::bigint, 0.5), ('all', NULL, 3, 1, 0.333333333333), ('b', 'co.b', 1, 0, 0), ('x', 'co.a.x', 1, 0, 0)$$,
    'members of the unit and beneath, today, and who of them has seen it');
SELECT is(kpi.acknowledge('a', 'Bob'), (SELECT acknowledgement_id FROM kpi.acknowledgement a JOIN kpi.member m USING (member_id) JOIN kpi.objective o USING (objective_id) WHERE o.code = 'a' AND m.name = 'Bob'),
          'seen twice is seen once');
SELECT is((SELECT count(*) FROM kpi.acknowledgement), 4::bigint, 'and has one row');
SELECT throws_ok($$SELECT kpi.acknowledge('zzz', 'Bob')$$, '42704', 'objective "zzz" does not exist');
SELECT throws_ok($$SELECT kpi.acknowledge('a', 'Zoe')$$, '42704', 'member "Zoe" does not exist');
SELECT throws_ok($$SELECT kpi.acknowledge(NULL, 'Zoe')$$, '42704', 'objective "null" does not exist');
-- x moves beneath b: Bob is no longer beneath a but by his own membership there
SELECT kpi.move_unit('co.a.x', 'co.b', current_date) \g /dev/null
SELECT results_eq('SELECT code, unit::text, members, seen, share FROM kpi.objective_reach ORDER BY code',
    $$VALUES ('a', 'co.a', 2::bigint, 1::bigint, 0.5), ('all', NULL, 3, 1, 0.333333333333), ('b', 'co.b', 2, 0, 0), ('x', 'co.b.x', 1, 0, 0)$$, 'by the units of today');
UPDATE kpi.objective SET valid_to = current_date WHERE code = 'a';
UPDATE kpi.unit SET valid_to = current_date WHERE path = 'co.b.x';
SELECT set_eq('SELECT code FROM kpi.objective_reach', '{all,b}'::text[], 'objectives that are over, or whose unit is, have no row');
UPDATE kpi.unit SET valid_to = NULL;
DELETE FROM kpi.membership;
SELECT is((SELECT share FROM kpi.objective_reach WHERE code = 'b'), NULL, 'no share where it concerns nobody');

-- ---------------------------------------------------------------- learning

INSERT INTO kpi.skill (code, name) VALUES ('coding', 'Coding "well"');
INSERT INTO kpi.measure_skill SELECT m.measure_id, s.skill_id FROM kpi.measure m, kpi.skill s WHERE m.code = 'm';
SELECT pg_temp.belongs(name, 'co.a', NULL, NULL) FROM kpi.member \g /dev/null
SELECT pg_temp.belongs('Ann', 'co', NULL, NULL) \g /dev/null
DELETE FROM kpi.training;
CREATE FUNCTION pg_temp.trained(name text, skill text, completed_on date, expires_on date) RETURNS void LANGUAGE sql AS
$$INSERT INTO kpi.training (member_id, skill_id, completed_on, expires_on) SELECT m.member_id, s.skill_id, trained.completed_on, trained.expires_on FROM kpi.member m, kpi.skill s WHERE m.name = trained.name AND s.code = trained.skill$$;
-- selling: Ann for ever, Bob's expires today, Cy's is tomorrow's; coding: Ann until tomorrow, Bob refreshed it
SELECT pg_temp.trained('Ann', 'selling', current_date, NULL), pg_temp.trained('Bob', 'selling', '2020-01-01', current_date), pg_temp.trained('Cy', 'selling', current_date + 1, NULL),
       pg_temp.trained('Ann', 'coding', '2020-01-01', current_date + 1), pg_temp.trained('Bob', 'coding', '2020-01-01', '2021-01-01'), pg_temp.trained('Bob', 'coding', '2021-01-01', NULL) \g /dev/null
SELECT results_eq('SELECT unit::text, measure, skill, skill_name, members, members_with_skill, gap, names, period::text, status::text FROM kpi.training_gap ORDER BY unit, skill',
    $$VALUES ('co.a', 'm', 'coding', 'Coding "well"', 3, 2, 1, '{Cy}'::text[], NULL, 'no_data'),
             ('co.a', 'm', 'selling', NULL, 3, 1, 2, '{Bob,Cy}', NULL, 'no_data')$$, 'who lacks what, of the members of today; Ann in co lacks nothing');
-- 5 of 10 is off track; the quarter, and the next month, do not count
SELECT kpi.period(current_date, 'month') AS running \gset
SELECT kpi.record_fact('co.a', 'm', :'running'::kpi_period - 2, 10), kpi.set_target('co.a', 'm', :'running'::kpi_period - 2, 10),
       kpi.record_fact('co.a', 'm', :'running'::kpi_period - 1, 5), kpi.set_target('co.a', 'm', :'running'::kpi_period - 1, 10), kpi.set_target('co.a', 'm', :'running'::kpi_period, 10),
       kpi.record_fact('co.a', 'm', :'running'::kpi_period + 1, 50) \g /dev/null
SELECT results_eq('SELECT DISTINCT period::text, status::text FROM kpi.training_gap', format('VALUES (%L, %L)', (:'running'::kpi_period - 1)::text, 'off_track'), 'next to how the KPI stands in the last month that is known');
UPDATE kpi.kpi SET valid_to = current_date WHERE kpi_id = kpi.kpi_id('co.a', 'm');
SELECT is_empty('SELECT * FROM kpi.training_gap', 'a KPI that is over needs nobody');

SELECT * FROM finish();
ROLLBACK;
