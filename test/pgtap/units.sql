-- The tree of units over time: insertion in any order, renaming, moving,
-- sharing, history corrected by hand, cycles, deletion, and the paths kept
-- from it.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT no_plan();

-- paths over time as text, from the internal table, and from history by
-- walking up on each day on which anything changes
CREATE FUNCTION pg_temp.paths(unit text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s %s', CASE WHEN isfinite(p.valid_from) THEN p.valid_from::text ELSE '-' END, p.path), ', ' ORDER BY p.valid_from)
      FROM kpi.unit_path p WHERE p.unit_id = kpi.unit_id(paths.unit)
$$;
CREATE FUNCTION pg_temp.path_by_walking(id bigint, day date) RETURNS text LANGUAGE sql AS $$
    WITH RECURSIVE up (unit_id, path) AS (
        SELECT unit_id, kpi.label(path, -1) FROM kpi.unit WHERE unit_id = id
        UNION ALL
        SELECT p.unit_id, kpi.label(p.path, -1) || '.' || up.path
          FROM up
          JOIN LATERAL (SELECT parent_unit_id FROM kpi.unit_history h WHERE h.unit_id = up.unit_id AND h.effective_from <= day
                         ORDER BY effective_from DESC LIMIT 1) h ON true
          JOIN kpi.unit p ON p.unit_id = h.parent_unit_id)
    SELECT path FROM up ORDER BY length(path) DESC LIMIT 1
$$;
-- differences between what is kept and what walking finds; must be none
CREATE FUNCTION pg_temp.wrong_paths() RETURNS bigint LANGUAGE sql AS $$
    WITH days AS (SELECT DISTINCT effective_from AS day FROM kpi.unit_history UNION SELECT '2999-01-01')
    SELECT (SELECT count(*)
              FROM kpi.unit u CROSS JOIN days d
              LEFT JOIN kpi.unit_path p ON p.unit_id = u.unit_id AND p.valid_from <= d.day AND d.day < p.valid_to
             WHERE p.path::text IS DISTINCT FROM pg_temp.path_by_walking(u.unit_id, d.day)
                OR d.day = '2999-01-01' AND u.path::text IS DISTINCT FROM p.path::text)
         + (SELECT count(*) FROM kpi.unit_path p WHERE p.valid_from >= p.valid_to
               OR p.valid_to < 'infinity' AND NOT EXISTS (SELECT FROM kpi.unit_path n WHERE n.unit_id = p.unit_id AND n.valid_from = p.valid_to))
$$;

-- ---- insertion
SELECT lives_ok($$INSERT INTO kpi.unit (path, share) VALUES ('acme.sales.emea', 0.5), ('acme.sales', 1), ('acme', 1), ('acme.ops', 0.25)$$,
                'one statement brings parents and children in any order');
SELECT results_eq($$SELECT path::text, level_no FROM kpi.unit ORDER BY path$$,
                  $$VALUES ('acme', 1::smallint), ('acme.ops', 2::smallint), ('acme.sales', 2::smallint), ('acme.sales.emea', 3::smallint)$$,
                  'level_no is the parent''s plus 1');
SELECT results_eq($$SELECT u.path::text, h.effective_from, p.path::text, h.share
                      FROM kpi.unit_history h JOIN kpi.unit u USING (unit_id) LEFT JOIN kpi.unit p ON p.unit_id = h.parent_unit_id ORDER BY 1$$,
                  $$VALUES ('acme', '-infinity'::date, NULL, 1), ('acme.ops', '-infinity', 'acme', 0.25),
                           ('acme.sales', '-infinity', 'acme', 1), ('acme.sales.emea', '-infinity', 'acme.sales', 0.5)$$,
                  'each unit has a first row of history with its parent and share');
SELECT throws_ok($$INSERT INTO kpi.unit (path) VALUES ('acme.hr.eu')$$, '23503', 'unit "acme.hr" does not exist');
SELECT throws_ok($$INSERT INTO kpi.unit (path) VALUES ('globex.hr'), ('acme.x')$$, '23503', 'unit "globex" does not exist');
SELECT throws_ok($$INSERT INTO kpi.unit (path) VALUES ('acme.ops')$$, '23505', NULL, 'paths are unique');
SELECT lives_ok($$INSERT INTO kpi.unit (path, level_no, code) VALUES ('globex', 3, 'G-1')$$, 'several roots, and a level of its own');
SELECT lives_ok($$INSERT INTO kpi.unit (path) VALUES ('globex.a.b.c'), ('globex.a.b'), ('globex.a')$$);
SELECT results_eq($$SELECT level_no::int FROM kpi.unit WHERE path <@ 'globex' ORDER BY path$$, ARRAY[3, 4, 5, 6], 'levels count on from a level given');
SELECT lives_ok($$UPDATE kpi.unit SET level_no = NULL WHERE path = 'globex.a.b.c'$$);
SELECT results_eq($$SELECT level_no::int FROM kpi.unit WHERE path = 'globex.a.b.c'$$, ARRAY[6], 'a level set to null is the default again');
SELECT throws_ok($$INSERT INTO kpi.unit (path, share) VALUES ('acme.x', 1.5)$$, '23514', 'share "1.5" is out of range');
SELECT throws_ok($$INSERT INTO kpi.unit (path, share) VALUES ('acme.x', 'NaN')$$, '23514', 'share "NaN" is out of range');
SELECT throws_ok($$INSERT INTO kpi.unit (path, level_no) VALUES ('acme.x', 0)$$, '23514', 'level "0" is not positive');
SELECT throws_ok($$INSERT INTO kpi.unit (path, valid_from, valid_to) VALUES ('acme.x', '2026-01-02', '2026-01-01')$$, '23514', 'valid_to "2026-01-01" does not come after valid_from');
SELECT is(pg_temp.wrong_paths(), 0::bigint, 'paths are those of history');

-- ---- by path or code; a path wins
SELECT is(kpi.unit_id('G-1'), kpi.unit_id('globex'), 'a unit is found by code');
INSERT INTO kpi.unit (path, code) VALUES ('initech', 'acme');
SELECT is((SELECT path::text FROM kpi.unit WHERE unit_id = kpi.unit_id('acme')), 'acme', 'a text that is a path and a code means the path');
SELECT throws_ok($$SELECT kpi.unit_id('no such/unit')$$, '42704', 'unit "no such/unit" does not exist');
SELECT throws_ok($$SELECT kpi.unit_id('G-1'::kpi_path)$$, '42704', 'unit "G-1" does not exist', 'a kpi_path is no code');
SELECT throws_ok($$SELECT kpi.unit_id(NULL::text)$$, '42704', 'unit "null" does not exist');

-- ---- renaming
SELECT lives_ok($$UPDATE kpi.unit SET path = 'acme.vertrieb' WHERE path = 'acme.sales'$$, 'the last label may change');
SELECT is(pg_temp.paths('acme.vertrieb.emea'), '- acme.vertrieb.emea', 'for all time, and the subtree follows');
SELECT throws_ok($$UPDATE kpi.unit SET path = 'acme.ops.emea' WHERE path = 'acme.vertrieb.emea'$$, '55000', 'unit "acme.vertrieb.emea" cannot be renamed to "acme.ops.emea"');
SELECT throws_ok($$UPDATE kpi.unit SET path = 'emea' WHERE path = 'acme.vertrieb.emea'$$, '55000', 'unit "acme.vertrieb.emea" cannot be renamed to "emea"');
SELECT throws_ok($$UPDATE kpi.unit SET path = 'acme.ops' WHERE path = 'acme.vertrieb'$$, '23505', NULL, 'a label in use is refused');
SELECT lives_ok($$UPDATE kpi.unit SET path = ('corp' || substr(path::text, 5))::kpi_path WHERE path <@ 'acme'$$, 'a whole subtree may be renamed in one statement');
SELECT lives_ok($$UPDATE kpi.unit SET path = CASE path::text WHEN 'corp' THEN 'acme' ELSE 'corp.sales' END::kpi_path WHERE path::text IN ('corp', 'corp.vertrieb')$$, 'parent and child may get new labels at once');
SELECT results_eq($$SELECT path::text FROM kpi.unit WHERE path <@ 'acme' ORDER BY path$$, ARRAY['acme', 'acme.ops', 'acme.sales', 'acme.sales.emea'], 'each with its own');
SELECT is(pg_temp.wrong_paths(), 0::bigint, 'paths are those of history');

-- ---- moving
SELECT lives_ok($$SELECT kpi.move_unit('acme.sales.emea', 'acme.ops', '2026-04-01')$$);
SELECT is(pg_temp.paths('acme.ops.emea'), '- acme.sales.emea, 2026-04-01 acme.ops.emea', 'a move leaves what was in force before');
SELECT is((SELECT level_no::int FROM kpi.unit WHERE path = 'acme.ops.emea'), 3, 'a move does not change the level');
SELECT results_eq($$SELECT share FROM kpi.unit_history WHERE unit_id = kpi.unit_id('acme.ops.emea') ORDER BY effective_from$$, ARRAY[0.5, 0.5], 'a move takes the share along');
SELECT throws_ok($$SELECT kpi.move_unit('acme', 'acme.ops.emea', '2026-05-01')$$, '23001',
                 'unit "acme" would report to itself on 2026-05-01: acme -> acme.ops.emea -> acme.ops -> acme', 'a move into the own subtree names the cycle');
SELECT throws_ok($$SELECT kpi.move_unit('acme.ops', 'acme.ops.emea', '2026-01-01')$$, '23001',
                 'unit "acme.ops" would report to itself on 2026-04-01: acme.ops -> acme.ops.emea -> acme.ops', 'also when it would be there only later');
SELECT throws_ok($$SELECT kpi.move_unit('acme.ops', 'acme.ops', '2026-01-01')$$, '23001', 'unit "acme.ops" cannot report to itself', 'no unit reports to itself');
SELECT throws_ok($$SELECT kpi.move_unit('acme.ops', 'acme.nowhere', '2026-01-01')$$, '42704', 'unit "acme.nowhere" does not exist');
SELECT throws_ok($$SELECT kpi.move_unit('acme.ops', 'globex', NULL)$$, '22004', 'effective date of a change to unit "acme.ops" is missing');
UPDATE kpi.unit SET valid_from = '2025-01-01' WHERE path = 'acme.ops';
SELECT throws_ok($$SELECT kpi.move_unit('acme.ops', 'globex', '2024-12-31')$$, '22023', 'unit "acme.ops" does not exist on 2024-12-31');
SELECT lives_ok($$SELECT kpi.move_unit('acme.ops'::kpi_path, 'globex', '2025-01-01')$$, 'a move on its first day');
SELECT is(pg_temp.paths('globex.ops.emea'), '- acme.sales.emea, 2026-04-01 globex.ops.emea', 'the subtree moves with it');
SELECT is(pg_temp.wrong_paths(), 0::bigint, 'paths are those of history');
-- an earlier move does not undo a later one, and a later change of share is no move
SELECT lives_ok($$SELECT kpi.set_share('globex.ops', 0.75, '2027-01-01')$$);
SELECT lives_ok($$SELECT kpi.move_unit('globex.ops', 'initech', '2028-01-01')$$);
SELECT lives_ok($$SELECT kpi.move_unit('initech.ops', NULL, '2026-06-01')$$, 'a move to the top');
SELECT results_eq($$SELECT h.effective_from, p.path::text, h.share FROM kpi.unit_history h LEFT JOIN kpi.unit p ON p.unit_id = h.parent_unit_id
                     WHERE h.unit_id = kpi.unit_id('initech.ops') ORDER BY 1$$,
                  $$VALUES ('-infinity'::date, 'acme', 0.25), ('2025-01-01', 'globex', 0.25), ('2026-06-01', NULL, 0.25), ('2027-01-01', NULL, 0.75), ('2028-01-01', 'initech', 0.75)$$,
                  'a move holds until the next recorded move, a share until the next recorded share');
SELECT is(pg_temp.paths('initech.ops'), '- acme.ops, 2025-01-01 globex.ops, 2026-06-01 ops, 2028-01-01 initech.ops', 'one stretch per parent');
SELECT is(pg_temp.wrong_paths(), 0::bigint, 'paths are those of history');
SELECT lives_ok($$SELECT kpi.move_unit('initech.ops', 'initech', '2029-01-01')$$);
SELECT is((SELECT count(*) FROM kpi.unit_history WHERE unit_id = kpi.unit_id('initech.ops')), 5::bigint, 'a move to where the unit is already changes nothing');

-- ---- shares
SELECT throws_ok($$UPDATE kpi.unit SET share = 0.1 WHERE path = 'acme'$$, '55000', 'share of unit "acme" cannot be updated');
SELECT lives_ok($$UPDATE kpi.unit SET share = share, name = 'Acme' WHERE path = 'acme'$$, 'an update that keeps it passes');
SELECT throws_ok($$SELECT kpi.set_share('acme', 2, '2026-01-01')$$, '23514', 'share "2" is out of range');
SELECT throws_ok($$SELECT kpi.set_share('acme', NULL, '2026-01-01')$$, '22004', 'share of unit "acme" must not be null');
SELECT lives_ok($$SELECT kpi.set_share('acme', 0, '2026-01-01'), kpi.set_share('acme'::kpi_path, 0.1, '-infinity')$$);
SELECT results_eq($$SELECT effective_from, share FROM kpi.unit_history WHERE unit_id = kpi.unit_id('acme') ORDER BY 1$$,
                  $$VALUES ('-infinity'::date, 0.1), ('2026-01-01', 0)$$, 'from the first day on too');

-- ---- history by hand
SELECT throws_ok($$DELETE FROM kpi.unit_history WHERE unit_id = kpi.unit_id('acme')$$, '23001', 'unit "acme" needs a row in its history from -infinity on');
SELECT throws_ok($$UPDATE kpi.unit_history SET effective_from = '2020-01-01' WHERE unit_id = kpi.unit_id('acme') AND effective_from = '-infinity'$$, '23001', NULL, 'the first row stays first');
SELECT throws_ok($$INSERT INTO kpi.unit_history VALUES (kpi.unit_id('acme'), '2030-01-01', -1)$$, '23503', NULL, 'a parent must exist');
SELECT throws_ok($$INSERT INTO kpi.unit_history VALUES (kpi.unit_id('acme'), 'infinity', NULL)$$, '23514', 'effective_from "infinity" never comes');
SELECT throws_ok($$UPDATE kpi.unit_history SET parent_unit_id = kpi.unit_id('initech.ops.emea') WHERE unit_id = kpi.unit_id('initech') $$, '23001',
                 'unit "initech" would report to itself on 2028-01-01: initech -> initech.ops.emea -> initech.ops -> initech', 'a cycle is named with its first day');
SELECT throws_ok($$TRUNCATE kpi.unit_history$$, '23001', NULL, 'history cannot be emptied under the units');
SELECT lives_ok($$DELETE FROM kpi.unit_history WHERE unit_id = kpi.unit_id('initech.ops') AND effective_from > '2025-01-01'$$);
SELECT is(pg_temp.paths('globex.ops'), '- acme.ops, 2025-01-01 globex.ops', 'path follows the newest row that is left');
SELECT lives_ok($$INSERT INTO kpi.unit_history VALUES (kpi.unit_id('globex.ops'), '-infinity', kpi.unit_id('initech'), 0.5)$$, 'a first row inserted takes the place of the one there');
SELECT is(pg_temp.paths('globex.ops'), '- initech.ops, 2025-01-01 globex.ops');
SELECT throws_ok($$INSERT INTO kpi.unit_history VALUES (kpi.unit_id('globex.ops'), '2025-01-01', NULL)$$, '23505', NULL, 'other rows are unique as ever');
SELECT is(pg_temp.wrong_paths(), 0::bigint, 'paths are those of history');
-- two units above each other at different times, in one statement each way round
SELECT lives_ok($$INSERT INTO kpi.unit (path) VALUES ('acme.p'), ('acme.p.q')$$);
SELECT lives_ok($$INSERT INTO kpi.unit_history VALUES (kpi.unit_id('acme.p'), '2026-07-01', kpi.unit_id('acme.p.q')), (kpi.unit_id('acme.p.q'), '2026-07-01', kpi.unit_id('acme'))$$);
SELECT is(pg_temp.paths('acme.q.p'), '- acme.p, 2026-07-01 acme.q.p', 'parent and child may change places');
-- the same label under two parents: paths change hands
SELECT lives_ok($$INSERT INTO kpi.unit (path) VALUES ('acme.a'), ('acme.b'), ('acme.a.k'), ('acme.b.k'), ('acme.a.k.x')$$);
CREATE TEMP TABLE k AS SELECT kpi.unit_id('acme.a.k') AS ak, kpi.unit_id('acme.b.k') AS bk, kpi.unit_id('acme.a') AS a, kpi.unit_id('acme.b') AS b;
SELECT throws_ok($$SELECT kpi.move_unit('acme.a.k', 'acme.b', '2026-01-01')$$, '23505', 'unit "acme.a.k" cannot become "acme.b.k", which is another unit');
SELECT lives_ok($$UPDATE kpi.unit_history h SET parent_unit_id = CASE h.unit_id WHEN k.ak THEN k.b ELSE k.a END FROM k WHERE h.unit_id IN (k.ak, k.bk)$$);
SELECT results_eq($$SELECT u.unit_id = k.ak, u.unit_id = k.bk, u.path::text FROM kpi.unit u, k WHERE u.path IN ('acme.a.k', 'acme.b.k', 'acme.b.k.x') ORDER BY u.path$$,
                  $$VALUES (false, true, 'acme.a.k'), (true, false, 'acme.b.k'), (false, false, 'acme.b.k.x')$$, 'two units exchange their paths');
SELECT is(pg_temp.wrong_paths(), 0::bigint, 'paths are those of history');

-- ---- rebuild
CREATE TEMP TABLE kept AS SELECT * FROM kpi.unit_path;
UPDATE kpi.unit_path SET path = 'nonsense';
SELECT kpi.unit_path_rebuild();
SELECT set_eq('SELECT * FROM kpi.unit_path', 'SELECT * FROM kept', 'all paths can be found again from history');

-- ---- deletion
INSERT INTO kpi.measure (code) VALUES ('revenue');
SELECT kpi.deploy('revenue', 'acme');
SELECT kpi.record_fact('acme.b', 'revenue', '2026-08', 1);
SELECT kpi.set_target('acme.b.k', 'revenue', '2026-08', 1);
SELECT kpi.link_kpi('acme.b.k', 'revenue', 'acme.b', 'revenue', 'score');
SELECT throws_ok($$DELETE FROM kpi.unit WHERE path <@ 'acme.b'$$, '23503', 'unit "acme.b" still has facts');
SELECT throws_ok($$DELETE FROM kpi.unit WHERE path = 'acme.b.k'$$, '23503', 'unit "acme.b.k" still has child units');
SELECT throws_ok($$DELETE FROM kpi.unit WHERE path = 'acme.sales'$$, '23503', 'unit "acme.sales" still has child units');
DELETE FROM kpi.fact;
SELECT lives_ok($$DELETE FROM kpi.unit WHERE path <@ 'acme.b'$$, 'a subtree goes in one statement');
SELECT is((SELECT count(*) FROM kpi.target) + (SELECT count(*) FROM kpi.link), 0::bigint, 'with its KPIs, targets and links');
SELECT is((SELECT count(*) FROM kpi.unit_path p WHERE NOT EXISTS (SELECT FROM kpi.unit u WHERE u.unit_id = p.unit_id)), 0::bigint, 'no path is left behind');
SELECT is(pg_temp.wrong_paths(), 0::bigint, 'paths are those of history');

-- ---- the rows that a script of pg_dump --inserts brings, one by one, in any order
DELETE FROM kpi.unit;
SET LOCAL check_function_bodies = off;
SET LOCAL row_security = off;
INSERT INTO kpi.unit (unit_id, path, level_no) VALUES (90000002, 'r.b.a', 3);
INSERT INTO kpi.unit (unit_id, path, level_no) VALUES (90000003, 'r.b', 2);
INSERT INTO kpi.unit (unit_id, path, level_no) VALUES (90000001, 'r', 1);
INSERT INTO kpi.unit_history VALUES (90000002, '2026-01-01', 90000003, 1);
INSERT INTO kpi.unit_history VALUES (90000001, '-infinity', NULL, 1);
INSERT INTO kpi.unit_history VALUES (90000002, '-infinity', 90000001, 0.5);
INSERT INTO kpi.unit_history VALUES (90000003, '-infinity', 90000002, 1);
INSERT INTO kpi.unit_history VALUES (90000003, '2026-01-01', 90000001, 1);
SET LOCAL check_function_bodies = on;
SET LOCAL row_security = on;
SELECT is(pg_temp.paths('r.b'), '- r.a.b, 2026-01-01 r.b');
SELECT is(pg_temp.paths('r.b.a'), '- r.a, 2026-01-01 r.b.a', 'a restore ends with the same tree');
SELECT is(pg_temp.wrong_paths(), 0::bigint, 'paths are those of history');

-- ---- many at once, by plan and not by luck: a cached plan must not meet them badly
SELECT lives_ok($$INSERT INTO kpi.unit (path)
                  SELECT p::kpi_path FROM (SELECT 'm' p UNION ALL SELECT 'm.u' || i FROM generate_series(0, 99) i
                                           UNION ALL SELECT 'm.u' || i / 100 || '.v' || i FROM generate_series(0, 9999) i) x ORDER BY md5(p)$$);
SELECT lives_ok($$SELECT kpi.move_unit('m.u1', 'm.u2', '2026-01-01')$$);
SELECT results_eq($$SELECT count(*), min(valid_from) FROM kpi.unit_path WHERE path <@ 'm.u2.u1'$$, $$VALUES (101::bigint, '2026-01-01'::date)$$);
SELECT lives_ok($$UPDATE kpi.unit SET path = 'n' WHERE path = 'm'$$);
SELECT is((SELECT count(*) FROM kpi.unit WHERE path <@ 'n'), 10101::bigint);
SELECT lives_ok($$DELETE FROM kpi.unit WHERE path <@ 'n'$$);

-- ---- several first rows in one statement: only the finished tree must be one ----
INSERT INTO kpi.unit (unit_id, path) VALUES (91000001, 'turn'), (91000002, 'turn.over');
SELECT lives_ok($$INSERT INTO kpi.unit_history (unit_id, effective_from, parent_unit_id) VALUES (91000001, '-infinity', 91000002), (91000002, '-infinity', NULL)$$,
                'parent and child change places, though after the first row alone they would report to each other');
SELECT results_eq($$SELECT path::text FROM kpi.unit WHERE unit_id IN (91000001, 91000002) ORDER BY unit_id$$, $$VALUES ('over.turn'), ('over')$$, 'and their paths follow');
SELECT throws_ok($$INSERT INTO kpi.unit_history (unit_id, effective_from, parent_unit_id) VALUES (91000002, '-infinity', 91000001)$$, '23001', NULL, 'a circle that stays is refused');

SELECT * FROM finish();
ROLLBACK;
