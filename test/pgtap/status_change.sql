-- Changes of status: which are kept, what they are compared with, and what does
-- not count as one.  Folds here are kpi.fold() in one transaction; other modes,
-- rollbacks beside others and listeners are in test/t/070_notify.pl.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SET LOCAL kpi_cascade.fold_mode = manual;
SELECT no_plan();

SELECT is(current_setting('kpi_cascade.notify'), 'off', 'nobody is notified unless told to');
SELECT is((SELECT context FROM pg_settings WHERE name = 'kpi_cascade.notify'), 'user', 'everybody may set that');

-- At risk from 0.8, on track from 1, exceeded from 1.2 of a target of 100:
-- 50 is off track, 90 at risk, 100 on track, 130 exceeded.
INSERT INTO kpi.measure (measure_id, code, exceeded_from) VALUES (1, 'sales', 1.2);
INSERT INTO kpi.unit (unit_id, path) VALUES (1, 'acme'), (2, 'acme.a'), (3, 'acme.b');
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) VALUES (2, 2, 1);

CREATE TABLE states (n integer, state text, value numeric, target numeric);
INSERT INTO states VALUES (0, NULL, NULL, NULL), (1, 'no_data', NULL, 100), (2, 'no_target', 50, NULL),
    (3, 'off_track', 50, 100), (4, 'at_risk', 90, 100), (5, 'on_track', 100, 100), (6, 'exceeded', 130, 100);

-- gives KPI 2 that state in a period
CREATE FUNCTION set_state(wanted text, at_period kpi_period) RETURNS void LANGUAGE sql AS $$
    DELETE FROM kpi.fact WHERE kpi_id = 2 AND period = at_period;
    DELETE FROM kpi.target WHERE kpi_id = 2 AND period = at_period;
    INSERT INTO kpi.fact (kpi_id, period, value) SELECT 2, at_period, value FROM states WHERE state IS NOT DISTINCT FROM wanted AND value IS NOT NULL;
    INSERT INTO kpi.target (kpi_id, period, value) SELECT 2, at_period, target FROM states WHERE state IS NOT DISTINCT FROM wanted AND target IS NOT NULL;
$$;
CREATE FUNCTION last_id() RETURNS bigint LANGUAGE sql AS 'SELECT coalesce(max(status_change_id), 0) FROM kpi.status_change';
-- what was kept of KPI 2 in a period since that id
CREATE FUNCTION kept(since bigint, at_period kpi_period) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s>%s', coalesce(old_status::text, '-'), coalesce(new_status::text, '-')), ' ' ORDER BY status_change_id)
      FROM kpi.status_change WHERE kpi_id = 2 AND status_change_id > since AND period = at_period
$$;

-- ---------------------------------------------------------------- every state to every other

-- the months from 2020-01 on, one for each pair
CREATE TABLE pairs AS
SELECT a.n AS from_n, b.n AS to_n, a.state AS from_state, b.state AS to_state, '2020-01'::kpi_period + (7 * a.n + b.n) AS period FROM states a, states b;
SELECT count(set_state(from_state, period)) FROM pairs \g /dev/null
SELECT kpi.fold() \g /dev/null
SELECT is((SELECT count(*) FROM pairs p LEFT JOIN kpi.cell c ON c.kpi_id = 2 AND c.period = p.period WHERE c.status::text IS DISTINCT FROM p.from_state), 0::bigint, 'the states are as meant');
SELECT results_eq($$
    SELECT p.from_n, count(*), count(c.old_status), count(*) FILTER (WHERE c.new_status::text = p.from_state)
      FROM pairs p JOIN kpi.status_change c ON c.kpi_id = 2 AND c.period = p.period GROUP BY 1 ORDER BY 1$$,
    -- seven months each: those of the four verdicts, from null
    $$VALUES (3, 7::bigint, 0::bigint, 7::bigint), (4, 7, 0, 7), (5, 7, 0, 7), (6, 7, 0, 7)$$,
    'from nothing: verdicts are kept, no_data and no_target are not');
SELECT last_id() AS before \gset
SELECT count(set_state(to_state, period)) FROM pairs \g /dev/null
SELECT kpi.fold() \g /dev/null
SELECT is((SELECT count(*) FROM pairs p LEFT JOIN kpi.cell c ON c.kpi_id = 2 AND c.period = p.period WHERE c.status::text IS DISTINCT FROM p.to_state), 0::bigint, 'the next states are as meant');
SELECT results_eq(format($$
    SELECT p.from_state, string_agg(p.to_n::text, ' ' ORDER BY p.to_n)
      FROM pairs p JOIN kpi.status_change c ON c.kpi_id = 2 AND c.period = p.period
     WHERE c.status_change_id > %s AND c.old_status::text IS NOT DISTINCT FROM p.from_state AND c.new_status::text IS NOT DISTINCT FROM p.to_state
     GROUP BY p.from_n, p.from_state ORDER BY p.from_n$$, :before),
    $$VALUES (NULL::text, '3 4 5 6'), ('no_data', '2 3 4 5 6'), ('no_target', '1 3 4 5 6'),
             ('off_track', '0 1 2 4 5 6'), ('at_risk', '0 1 2 3 5 6'), ('on_track', '0 1 2 3 4 6'), ('exceeded', '0 1 2 3 4 5')$$,
    'each state to each other: all but null to no_data or no_target and back are kept');
-- 4 + 5 + 5 + 4 * 6
SELECT is((SELECT count(*) FROM kpi.status_change c JOIN pairs p USING (period) WHERE c.kpi_id = 2 AND c.status_change_id > :before), 38::bigint, 'once each, and nothing else');
SELECT is((SELECT count(DISTINCT (c.fold, c.changed_at)) FROM kpi.status_change c WHERE c.status_change_id > :before), 1::bigint, 'in one fold, at one moment');
SELECT results_eq(format('SELECT DISTINCT fold, changed_at FROM kpi.status_change WHERE status_change_id > %s', :before),
    'SELECT folds, folded_at FROM kpi.fold_state', 'which is the last one');

-- ---------------------------------------------------------------- between two folds, and over many

SELECT last_id() AS before \gset
SELECT set_state('on_track', '2025-01'), kpi.fold(), set_state(NULL, '2025-01'), kpi.fold(), set_state('no_data', '2025-01'), kpi.fold(),
       set_state('no_target', '2025-01'), kpi.fold(), set_state(NULL, '2025-01'), kpi.fold(), set_state('off_track', '2025-01'), kpi.fold() \g /dev/null
SELECT is(kept(:before, '2025-01'), '->on_track on_track>- no_data>no_target ->off_track',
          'one state after the other, null and no_data, and no_target and null, passing for each other');
SELECT last_id() AS before \gset
SELECT set_state('exceeded', '2025-01'), set_state('at_risk', '2025-01'), kpi.fold() \g /dev/null
SELECT is(kept(:before, '2025-01'), 'off_track>at_risk', 'two changes between two folds are one');
SELECT last_id() AS before \gset
SELECT set_state('exceeded', '2025-01'), set_state('at_risk', '2025-01'), kpi.fold() \g /dev/null
UPDATE kpi.fact SET value = value + 1 WHERE kpi_id = 2 AND period = '2025-01';
SELECT kpi.fold() \g /dev/null
SELECT is(last_id(), :before::bigint, 'there and back is none, and another figure with the same status is none');

-- what others add up to: acme has 100 of acme.a and 0, then 40, of acme.b, and a target of 120
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) VALUES (1, 1, 1), (3, 3, 1);
INSERT INTO kpi.target (kpi_id, period, value) VALUES (1, '2025-06', 120);
SELECT set_state('on_track', '2025-06'), kpi.fold(), last_id() AS before \gset
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (3, '2025-06', 40);
SELECT kpi.fold() \g /dev/null
SELECT results_eq(format($$SELECT kpi_id, old_status::text, new_status::text FROM kpi.status_change WHERE status_change_id > %s AND period = '2025-06'$$, :before),
    $$VALUES (1::bigint, 'at_risk', 'on_track')$$, 'a fact beneath changes the status above: 100 of 120 is at risk, 140 on track');

-- facts without targets cost nothing
SELECT last_id() AS before \gset
INSERT INTO kpi.fact (kpi_id, period, value) SELECT 3, '2030-01'::kpi_period + i, i FROM generate_series(0, 99) i;
SELECT kpi.fold() \g /dev/null
SELECT is(last_id(), :before::bigint, 'loading facts without targets keeps nothing');

-- ---------------------------------------------------------------- savepoints

SAVEPOINT a;
SELECT set_state('exceeded', '2025-06'), kpi.fold(), last_id() AS undone \gset
SELECT cmp_ok(:undone::bigint, '>', :before::bigint, 'a fold in a savepoint keeps changes');
ROLLBACK TO a;
SELECT is(last_id(), :before::bigint, 'rolled back, they are gone');
SELECT kpi.fold() \g /dev/null
SELECT is(last_id(), :before::bigint, 'and the next fold knows nothing of them');
SELECT set_state('exceeded', '2025-06'), kpi.fold() \g /dev/null
SELECT is(kept(:before, '2025-06'), 'on_track>exceeded', 'done again, they are kept once');
SELECT cmp_ok((SELECT min(status_change_id) FROM kpi.status_change WHERE status_change_id > :before), '>', :undone::bigint, 'with ids that nobody has seen');

-- ---------------------------------------------------------------- cells that come anew

SELECT last_id() AS before \gset
DELETE FROM kpi.cell;
SELECT cmp_ok(kpi.rebuild(), '>', 100::bigint, 'cells come anew');
SELECT is(last_id(), :before::bigint, 'and what was kept is not kept again');
UPDATE kpi.cell SET status = 'off_track' WHERE kpi_id = 2 AND status > 'off_track';
SELECT cmp_ok(kpi.rebuild(), '>', 10::bigint, 'cells are repaired');
SELECT is(last_id(), :before::bigint, 'and what they wrongly said does not count');

-- a target that goes behind the back of the triggers, with all cells
ALTER TABLE kpi.target DISABLE TRIGGER ALL;
DELETE FROM kpi.target WHERE kpi_id = 2 AND period = '2025-06';
DELETE FROM kpi.cell;
SELECT kpi.rebuild() \g /dev/null
SELECT is(kept(:before, '2025-06'), 'exceeded>no_target', 'what has changed meanwhile is kept, without a verdict too');

-- restored without its cells, and folded by facts and targets that come after
SELECT set_state('at_risk', '2025-07'), kpi.fold(), last_id() AS before \gset
DELETE FROM kpi.cell WHERE kpi_id = 2 AND period = '2025-07';
SELECT set_state('at_risk', '2025-07'), kpi.fold() \g /dev/null
SELECT is(kept(:before, '2025-07'), NULL, 'a new cell with the status kept last');
DELETE FROM kpi.cell WHERE kpi_id = 2 AND period = '2025-07';
SELECT set_state('no_target', '2025-07'), kpi.fold(), set_state('on_track', '2025-07'), kpi.fold() \g /dev/null
SELECT is(kept(:before, '2025-07'), 'at_risk>on_track', 'one with another, by way of facts that have no target yet');

-- the session that restores a dump keeps nothing
SELECT last_id() AS before \gset
SET LOCAL check_function_bodies = off;
SET LOCAL row_security = off;
SELECT set_state('exceeded', '2025-07'), kpi.fold() \g /dev/null
SET LOCAL check_function_bodies = on;
SET LOCAL row_security = on;
SELECT is(last_id(), :before::bigint, 'nothing is kept while a dump is restored');
SELECT set_state('off_track', '2025-07'), kpi.fold() \g /dev/null
SELECT is(kept(:before, '2025-07'), 'on_track>off_track', 'the next change starts from what was kept last');
-- and what it leaves pending is folded from cells that were right only half way through the dump
SELECT set_state('on_track', '2025-11'), kpi.fold(), last_id() AS before \gset
SET LOCAL check_function_bodies = off;
SET LOCAL row_security = off;
SELECT set_state('off_track', '2025-10'), set_state('off_track', '2025-11'), set_state('no_target', '2025-12'), kpi.fold() \g /dev/null
SELECT set_state('no_data', '2025-10'), set_state('on_track', '2025-11'), set_state('no_data', '2025-12') \g /dev/null
SET LOCAL check_function_bodies = on;
SET LOCAL row_security = on;
SELECT kpi.fold() \g /dev/null
SELECT is((SELECT string_agg(period::text || ' ' || status, ', ' ORDER BY period) FROM kpi.attainment WHERE kpi_id = 2 AND period BETWEEN '2025-10' AND '2025-12'),
    '2025-10 no_data, 2025-11 on_track, 2025-12 no_data', 'the dump is restored');
-- its quarter has another target than before
SELECT is((SELECT count(*) FROM kpi.status_change WHERE status_change_id > :before AND period BETWEEN '2025-10' AND '2025-12'), 0::bigint, 'and nothing is kept of the way there');
SELECT set_state('at_risk', '2025-10'), kpi.fold() \g /dev/null
SELECT is(kept(:before, '2025-10'), 'no_data>at_risk', 'then changes are kept as ever');

-- ids
SELECT last_id() AS before, setval('kpi.status_change_status_change_id_seq', 1) \gset
SELECT set_state('on_track', '2025-07'), kpi.fold() \g /dev/null
SELECT is(kept(:before, '2025-07'), 'off_track>on_track', 'a sequence that is behind the rows is moved past them');

-- ---------------------------------------------------------------- pruning

SELECT last_id() AS before \gset
DELETE FROM kpi.status_change c
 WHERE c.changed_at < 'infinity'
   AND EXISTS (SELECT FROM kpi.status_change l WHERE l.kpi_id = c.kpi_id AND l.period = c.period AND l.status_change_id > c.status_change_id);
SELECT is((SELECT count(*) - count(DISTINCT (kpi_id, period::text)) FROM kpi.status_change), 0::bigint, 'pruned: one row of each KPI and period is left');
DELETE FROM kpi.cell;
SELECT kpi.rebuild() \g /dev/null
SELECT is(last_id(), :before::bigint, 'which is enough to know what was kept');
DELETE FROM kpi.status_change;
SELECT set_state('exceeded', '2025-07'), kpi.fold() \g /dev/null
SELECT is(kept(:before, '2025-07'), 'on_track>exceeded', 'with no row left the cell tells the old status, and ids go on');

-- ---------------------------------------------------------------- what goes

UPDATE kpi.kpi SET valid_to = '2025-06-01' WHERE kpi_id = 2;
SELECT last_id() AS before \gset
SELECT kpi.fold() \g /dev/null
SELECT is(kept(:before, '2025-07'), 'exceeded>-', 'a KPI that has ended has no status after its end');
UPDATE kpi.kpi SET valid_to = NULL WHERE kpi_id = 2;
SELECT kpi.fold() \g /dev/null
SELECT is(kept(:before, '2025-07'), 'exceeded>- ->exceeded', 'and has one again when it goes on');
INSERT INTO kpi.target (kpi_id, period, value) VALUES (1, '2025-07', 130);
SELECT kpi.fold(), last_id() AS before \gset
DELETE FROM kpi.fact WHERE kpi_id = 2;
DELETE FROM kpi.target WHERE kpi_id = 2;
DELETE FROM kpi.kpi WHERE kpi_id = 2;
SELECT kpi.fold() \g /dev/null
-- acme had the 130 of acme.a in 2025-07
SELECT results_eq(format($$SELECT kpi_id, old_status::text, new_status::text FROM kpi.status_change WHERE status_change_id > %s AND (period = '2025-07' OR kpi_id = 2)$$, :before),
    $$VALUES (1::bigint, 'on_track', 'no_data')$$, 'a KPI that is deleted leaves no change of its own, but one above');
SELECT isnt(kept(0, '2025-07'), NULL, 'and what was kept of it stays');
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (3, '2025-08', 1);
INSERT INTO kpi.target (kpi_id, period, value) VALUES (3, '2025-08', 1);
SELECT kpi.fold(), last_id() AS before \gset
DELETE FROM kpi.fact WHERE kpi_id = 3;
DELETE FROM kpi.target WHERE kpi_id = 3;
DELETE FROM kpi.kpi WHERE kpi_id = 3;
SELECT kpi.rebuild() \g /dev/null
SELECT is((SELECT count(*) FROM kpi.status_change WHERE status_change_id > :before AND kpi_id = 3), 0::bigint, 'nor one that a rebuild finds deleted');

-- ---------------------------------------------------------------- in words

INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id, owner) VALUES (12, 2, 1, 'ann'), (13, 3, 1, NULL);
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (12, '2025-09', 1), (13, '2025-09', 1);
INSERT INTO kpi.target (kpi_id, period, value) VALUES (12, '2025-09', 1), (13, '2025-09', 2);
SELECT last_id() AS before \gset
SELECT kpi.fold() \g /dev/null
CREATE ROLE log_reader;
GRANT USAGE ON SCHEMA kpi TO log_reader;
GRANT SELECT ON kpi.status_log TO log_reader;
SET LOCAL ROLE log_reader;
SELECT results_eq(format($$SELECT unit::text, measure, owner, period::text, old_status::text, new_status::text FROM kpi.status_log WHERE status_change_id > %s AND period = '2025-09' ORDER BY unit$$, :before),
    $$VALUES ('acme.a', 'sales', 'ann', '2025-09', NULL::text, 'on_track'), ('acme.b', 'sales', NULL, '2025-09', NULL, 'off_track')$$,
    'kpi.status_log needs SELECT on it alone');
SELECT throws_ok('SELECT FROM kpi.status_change', '42501', NULL, 'and gives nothing more');
RESET ROLE;
ALTER TABLE kpi.unit ENABLE ROW LEVEL SECURITY;
CREATE POLICY log_readers ON kpi.unit FOR SELECT TO log_reader USING (path <> 'acme.b'::kpi_path);
SET LOCAL ROLE log_reader;
SELECT results_eq(format($$SELECT unit::text FROM kpi.status_log WHERE status_change_id > %s AND period = '2025-09'$$, :before),
    $$VALUES ('acme.a')$$, 'and shows only units that its reader may see');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
