-- Figures are exact at every moment inside a transaction: whatever wrote the
-- facts, whatever was rolled back, whether or not a fold came between.  Beside
-- sums done by hand, every step is set beside kpi.recompute() by kpi.verify().
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;

SELECT * FROM no_plan();

-- acme <- a <- x, acme <- b; each unit has each measure
INSERT INTO kpi.unit (unit_id, path) VALUES (1, 'acme'), (2, 'acme.a'), (3, 'acme.b'), (4, 'acme.a.x');
INSERT INTO kpi.measure (measure_id, code, rollup, multiplier)
VALUES (1, 'revenue', 'sum', 1), (2, 'lowest', 'min', 1), (3, 'highest', 'max', 1), (4, 'nps', 'weighted_mean', 1), (5, 'rate', 'ratio', 100);
-- kpi_id is 10 * unit + measure
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) SELECT 10 * u + m, u, m FROM generate_series(1, 4) u, generate_series(1, 5) m;

CREATE FUNCTION pg_temp.shows(kpi_id bigint, period kpi_period) RETURNS numeric LANGUAGE sql
RETURN (SELECT a.actual FROM kpi.attainment a WHERE a.kpi_id = $1 AND a.period = $2);
CREATE FUNCTION pg_temp.facts(kpi_ids bigint[], period kpi_period) RETURNS numeric LANGUAGE sql
RETURN (SELECT sum(f.value) FROM kpi.fact f WHERE f.kpi_id = ANY ($1) AND f.period <@ $2);
CREATE FUNCTION pg_temp.exact(what text) RETURNS text LANGUAGE sql VOLATILE AS
$$ SELECT is((SELECT count(*) FROM kpi.verify()), 0::bigint, what || ': as recomputed') $$;

-- ---- own writes before commit ----
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (41, '2026-01', 100), (31, '2026-01', 20), (31, '2026-02', 3);
SELECT is(pg_temp.shows(11, '2026-01'), 120::numeric, 'a transaction sees its own writes: 100 + 20');
SELECT is(pg_temp.shows(21, '2026-01'), 100::numeric, 'at the unit between');
SELECT is(pg_temp.shows(11, '2026'), 123::numeric, 'and in the year: 120 + 3');
SELECT pg_temp.exact('own writes');
SELECT cmp_ok(kpi.fold(), '>', 0::bigint, 'a fold in the middle takes them along');
SELECT is(pg_temp.shows(11, '2026-01'), 120::numeric, 'and changes nothing');
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (41, '2026-01', 1);
SELECT is(pg_temp.shows(11, '2026-01'), 121::numeric, 'writes after the fold are added once: 120 + 1');
SELECT pg_temp.exact('writes after a fold');
SELECT is(kpi.fold(), 1::bigint, 'the second fold finds the one change since the first');
SELECT is(pg_temp.shows(11, '2026-01'), 121::numeric, 'and counts it once');
SELECT is(kpi.fold(), 0::bigint, 'a third fold finds nothing');
SELECT is((SELECT count(*) FROM kpi.dirty()), 0::bigint, 'nothing is dirty then');
SELECT pg_temp.exact('three folds');

-- ---- savepoints; the map of dirty cells must not survive a rollback ----
SAVEPOINT s;
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (41, '2026-01', 1000);
SELECT is(pg_temp.shows(11, '2026-01'), 1121::numeric, 'inside a savepoint: 121 + 1000');
ROLLBACK TO s;
SELECT is(pg_temp.shows(11, '2026-01'), 121::numeric, 'rolled back to it after reading');
SELECT pg_temp.exact('a rolled back savepoint');
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (41, '2026-01', 2000);
SELECT is(pg_temp.shows(11, '2026-01'), 2121::numeric, 'and written anew: 121 + 2000');
DO $$ BEGIN PERFORM kpi.fold(); END $$;
SELECT is(pg_temp.shows(11, '2026-01'), 2121::numeric, 'folded inside the savepoint');
DELETE FROM kpi.fact WHERE value = 100;
SELECT is(pg_temp.shows(11, '2026-01'), 2021::numeric, 'and changed again: 2121 - 100');
ROLLBACK TO s;
SELECT is(pg_temp.shows(11, '2026-01'), 121::numeric, 'a fold is rolled back with its savepoint');
SELECT pg_temp.exact('a rolled back fold');
SAVEPOINT inner_one;
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (31, '2026-01', 7);
SAVEPOINT innermost;
DELETE FROM kpi.fact WHERE kpi_id = 31 AND value = 20;
SELECT is(pg_temp.shows(11, '2026-01'), 108::numeric, 'nested savepoints: 121 + 7 - 20');
ROLLBACK TO innermost;
RELEASE inner_one;
SELECT is(pg_temp.shows(11, '2026-01'), 128::numeric, 'the inner one rolled back, the outer one released: 121 + 7');
SELECT pg_temp.exact('nested savepoints');
RELEASE s;

-- ---- subtransactions of PL/pgSQL ----
CREATE FUNCTION pg_temp.adventure(OUT inside numeric, OUT handled numeric, OUT after numeric) LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        INSERT INTO kpi.fact (kpi_id, period, value) VALUES (31, '2026-01', 5000);
        inside := pg_temp.shows(11, '2026-01');
        RAISE EXCEPTION 'back';
    EXCEPTION WHEN raise_exception THEN
        handled := pg_temp.shows(11, '2026-01');
    END;
    FOR i IN 1 .. 10 LOOP
        BEGIN
            INSERT INTO kpi.fact (kpi_id, period, value) VALUES (31, '2026-01', 1);
            IF i % 2 = 0 THEN
                PERFORM 1 / 0;
            END IF;
        EXCEPTION WHEN division_by_zero THEN NULL;
        END;
        IF i = 5 THEN
            PERFORM kpi.fold();
        END IF;
    END LOOP;
    after := pg_temp.shows(11, '2026-01');
END
$$;
SELECT results_eq('SELECT * FROM pg_temp.adventure()', 'VALUES (5128::numeric, 128::numeric, 133::numeric)',
                  'exception blocks: 128 + 5000 inside, 128 handled, 128 + 5 of 10 after');
SELECT pg_temp.exact('exception blocks');

-- ---- UPDATE of value, period, KPI, other columns ----
UPDATE kpi.fact SET value = 4 WHERE kpi_id = 31 AND period = '2026-02';
SELECT is(pg_temp.shows(11, '2026-02'), 4::numeric, 'UPDATE of a value: 4 instead of 3');
UPDATE kpi.fact SET period = '2026-03' WHERE kpi_id = 31 AND period = '2026-02';
SELECT is(pg_temp.shows(11, '2026-02'), NULL, 'UPDATE of a period: February is empty');
SELECT is(pg_temp.shows(11, '2026-03'), 4::numeric, 'and March has it');
UPDATE kpi.fact SET kpi_id = 21 WHERE kpi_id = 31 AND period = '2026-03';
SELECT is(pg_temp.shows(31, '2026-03'), NULL, 'UPDATE of the KPI: gone from the one');
SELECT is(pg_temp.shows(21, '2026-03'), 4::numeric, 'and at the other');
DO $$ BEGIN PERFORM kpi.fold(); END $$;
UPDATE kpi.fact SET note = 'checked', reference = 'r' || fact_id, recorded_by = 'me';
SELECT is(kpi.fold(), 0::bigint, 'UPDATE of other columns leaves nothing pending');
UPDATE kpi.fact SET kpi_id = CASE kpi_id WHEN 41 THEN 31 WHEN 31 THEN 41 ELSE kpi_id END, value = value * 2;
-- 2 * (100 + 1) of x at b now, 2 * (20 + 7 + 5) of b at x
SELECT is(pg_temp.shows(31, '2026-01'), 202::numeric, 'UPDATE that exchanges KPIs: 2 * 101');
SELECT is(pg_temp.shows(21, '2026-01'), 64::numeric, 'and 2 * 32 under the other unit');
SELECT is(pg_temp.shows(11, '2026-01'), 266::numeric, 'above both 202 + 64');
SELECT pg_temp.exact('updates');

-- ---- minima and maxima ----
INSERT INTO kpi.fact (kpi_id, period, value) SELECT k, '2026-01', v FROM unnest(ARRAY[42, 43]) k, unnest(ARRAY[5, 1, 9]) v;
INSERT INTO kpi.fact (kpi_id, period, value) SELECT k, '2026-01', v FROM unnest(ARRAY[32, 33]) k, unnest(ARRAY[3, 7]) v;
SELECT is((pg_temp.shows(12, '2026-01'), pg_temp.shows(13, '2026-01')), (1::numeric, 9::numeric), 'least and greatest of 5, 1, 9 and 3, 7');
DELETE FROM kpi.fact WHERE kpi_id IN (42, 43) AND value IN (1, 9);
SELECT is((pg_temp.shows(12, '2026-01'), pg_temp.shows(13, '2026-01')), (3::numeric, 7::numeric), 'DELETE of both: 3 and 7 at the other unit remain');
DO $$ BEGIN PERFORM kpi.fold(); END $$;
UPDATE kpi.fact SET value = 6 WHERE kpi_id IN (32, 33);
SELECT is((pg_temp.shows(12, '2026-01'), pg_temp.shows(13, '2026-01')), (5::numeric, 6::numeric), 'UPDATE of both to 6 beside a 5');
SAVEPOINT s;
DELETE FROM kpi.fact WHERE kpi_id IN (32, 33, 42, 43);
SELECT is(pg_temp.shows(12, '2026-01'), NULL, 'no facts, no minimum');
SELECT pg_temp.exact('no facts');
ROLLBACK TO s;
SELECT is((pg_temp.shows(12, '2026-01'), pg_temp.shows(13, '2026-01')), (5::numeric, 6::numeric), 'rolled back: 5 and 6 again');
SELECT pg_temp.exact('minima and maxima');

-- ---- COPY ----
COPY kpi.fact (kpi_id, period, value, weight) FROM stdin WITH (FORMAT csv);
44,2026-01,10,1
44,2026-01,40,3
34,2026-01,-20,4
35,2026-01,3,200
45,2026-01,1,50
\.
SELECT is(pg_temp.shows(14, '2026-01'), 6.25, 'COPY, weighted mean: (10*1 + 40*3 - 20*4) / 8');
SELECT is(pg_temp.shows(15, '2026-01'), 1.6, 'COPY, ratio: 100 * 4 / 250');
SELECT pg_temp.exact('COPY');

-- ---- MERGE ----
CREATE TEMPORARY TABLE load (reference text, kpi_id bigint, value numeric);
INSERT INTO kpi.fact (kpi_id, period, value, reference) VALUES (41, '2026-05', 10, 'm1'), (41, '2026-05', 20, 'm2'), (31, '2026-05', 40, 'm3');
INSERT INTO load VALUES ('m1', 41, 11), ('m2', 41, NULL), ('m4', 31, 80);
MERGE INTO kpi.fact f USING load l ON f.reference = l.reference
 WHEN MATCHED AND l.value IS NULL THEN DELETE
 WHEN MATCHED THEN UPDATE SET value = l.value
 WHEN NOT MATCHED THEN INSERT (kpi_id, period, value, reference) VALUES (l.kpi_id, '2026-05', l.value, l.reference);
SELECT is(pg_temp.shows(11, '2026-05'), 131::numeric, 'MERGE that updates, deletes and inserts: 11 + 40 + 80');
SELECT is(pg_temp.shows(21, '2026-05'), 11::numeric, 'and under one unit: 11');
SELECT pg_temp.exact('MERGE');

-- ---- ON CONFLICT ----
INSERT INTO kpi.fact (kpi_id, period, value, reference) VALUES (41, '2026-05', 1000, 'm1'), (41, '2026-05', 500, 'm5'), (31, '2026-05', 9000, 'm3')
    ON CONFLICT (reference) DO NOTHING;
SELECT is(pg_temp.shows(11, '2026-05'), 631::numeric, 'ON CONFLICT DO NOTHING adds the one that is new: 131 + 500');
INSERT INTO kpi.fact (kpi_id, period, value, reference) VALUES (41, '2026-05', 100, 'm1'), (41, '2026-06', 7, 'm6'), (31, '2026-06', 41, 'm3')
    ON CONFLICT (reference) DO UPDATE SET value = fact.value + excluded.value, period = excluded.period;
-- May: m1 11 + 100, m4 80, m5 500; June: m6 7, m3 40 + 41
SELECT is(pg_temp.shows(11, '2026-05'), 691::numeric, 'ON CONFLICT DO UPDATE, May: 111 + 80 + 500');
SELECT is(pg_temp.shows(11, '2026-06'), 88::numeric, 'and June: 7 + 81');
INSERT INTO kpi.fact (kpi_id, period, value, reference) VALUES (41, '2026-05', 100, 'm1')
    ON CONFLICT (reference) DO UPDATE SET value = excluded.value WHERE false;
SELECT is(pg_temp.shows(11, '2026-05'), 691::numeric, 'a conflict that updates nothing changes nothing');
SELECT pg_temp.exact('ON CONFLICT');

-- ---- several changes in one statement ----
WITH gone AS (DELETE FROM kpi.fact WHERE period = '2026-06' RETURNING kpi_id, value)
INSERT INTO kpi.fact (kpi_id, period, value) SELECT kpi_id, '2026-07', sum(value) FROM gone GROUP BY kpi_id;
SELECT is(pg_temp.shows(11, '2026-06'), NULL, 'DELETE and INSERT in one statement: June is empty');
SELECT is(pg_temp.shows(11, '2026-07'), 88::numeric, 'and July has what it had');
WITH gone AS (DELETE FROM kpi.fact WHERE period = '2026-07' AND kpi_id = 41 RETURNING *),
     changed AS (UPDATE kpi.fact SET value = value + 1 WHERE period = '2026-07' AND kpi_id = 31 RETURNING *),
     added AS (INSERT INTO kpi.fact (kpi_id, period, value) VALUES (42, '2026-07', 2), (41, '2026-07', 1) RETURNING *)
SELECT is((SELECT a.actual FROM kpi.attainment a WHERE a.kpi_id = 11 AND a.period = '2026-07'), 88::numeric,
          'the statement itself reads what was there before it, as it would from the facts')
  FROM gone, changed, added LIMIT 1;
SELECT is(pg_temp.shows(11, '2026-07'), 83::numeric, 'three changes in one statement: 81 + 1 + 1');
SELECT pg_temp.exact('several changes in one statement');

-- ---- functions in queries that write ----
CREATE FUNCTION pg_temp.seen_while_writing(value numeric) RETURNS numeric LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    INSERT INTO kpi.fact (kpi_id, period, value) VALUES (41, '2026-08', seen_while_writing.value);
    RETURN pg_temp.shows(11, '2026-08');
END
$$;
SELECT results_eq('SELECT pg_temp.seen_while_writing(v) FROM unnest(ARRAY[1, 10, 100]) v', ARRAY[1, 11, 111]::numeric[],
                  'a function called by a query sees what it and its earlier calls wrote');
SELECT results_eq($$SELECT a.actual, pg_temp.seen_while_writing(1000) FROM kpi.attainment a WHERE a.kpi_id = 11 AND a.period = '2026-08'$$,
                  'VALUES (111::numeric, 1111::numeric)', 'the query around it sees what was there when it began');
SELECT results_eq($$SELECT count(*), sum(a.actual), count(pg_temp.seen_while_writing(1)) FROM kpi.attainment a WHERE a.period = '2026-08' AND a.measure = 'revenue'$$,
                  'VALUES (3::bigint, 3333::numeric, 3::bigint)', 'also where it writes between two rows that the query reads');
SELECT is(pg_temp.shows(11, '2026-08'), 1114::numeric, 'afterwards all is there: 1111 + 3');
INSERT INTO kpi.fact (kpi_id, period, value) SELECT 31, '2026-08', a.actual FROM kpi.attainment a WHERE a.kpi_id = 11 AND a.period = '2026-08';
SELECT is(pg_temp.shows(11, '2026-08'), 2228::numeric, 'figures can be written back as facts: 2 * 1114');
CREATE FUNCTION pg_temp.fold_between() RETURNS numeric LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM kpi.fold();
    INSERT INTO kpi.fact (kpi_id, period, value) VALUES (41, '2026-08', 1);
    RETURN pg_temp.shows(11, '2026-08');
END
$$;
SELECT results_eq($$SELECT sum(a.actual), max(pg_temp.fold_between()) FROM kpi.attainment a WHERE a.period = '2026-08' AND a.measure = 'revenue'$$,
                  'VALUES (5570::numeric, 2232::numeric)',
                  'a fold in the middle of a query: it goes on reading what it began with, 2228 + 1114 + 1114 + 1114, the function sees 2228 + 4');
SELECT pg_temp.exact('functions in queries that write');

-- a query of a trigger on the very statement
CREATE FUNCTION pg_temp.note_figure() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.note := coalesce(pg_temp.shows(11, NEW.period)::text, 'none');
    RETURN NEW;
END
$$;
CREATE TRIGGER note_figure BEFORE INSERT ON kpi.fact FOR EACH ROW EXECUTE FUNCTION pg_temp.note_figure();
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (41, '2026-09', 1), (41, '2026-09', 2), (31, '2026-09', 4);
DROP TRIGGER note_figure ON kpi.fact;
SELECT is((SELECT array_agg(DISTINCT note) FROM kpi.fact WHERE period = '2026-09'), '{none}', 'a trigger of a statement sees figures without that statement');
SELECT is(pg_temp.shows(11, '2026-09'), 7::numeric, 'afterwards they are there: 1 + 2 + 4');
SELECT pg_temp.exact('a trigger that reads');

-- ---- cursors ----
DECLARE before_writes CURSOR FOR SELECT a.kpi_id, a.actual FROM kpi.attainment a WHERE a.period = '2026-09' AND a.measure = 'revenue' ORDER BY a.kpi_id;
DECLARE unsorted CURSOR FOR SELECT sum(a.actual) OVER (), a.actual FROM kpi.attainment a WHERE a.period = '2026-09' AND a.measure = 'revenue';
CREATE FUNCTION pg_temp.fetched(name text, n integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    c refcursor := name;
    r record;
    result text := '';
BEGIN
    FOR i IN 1 .. n LOOP
        FETCH c INTO r;
        EXIT WHEN NOT FOUND;
        result := result || r::text;
    END LOOP;
    RETURN result;
END
$$;
SELECT is(pg_temp.fetched('before_writes', 1), '(11,7)', 'the first row of a cursor');
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (41, '2026-09', 10);
SAVEPOINT s;
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (31, '2026-09', 100);
SELECT is(pg_temp.shows(11, '2026-09'), 117::numeric, 'writes between: 7 + 10 + 100');
DO $$ BEGIN PERFORM kpi.fold(); END $$;
SELECT is(pg_temp.fetched('before_writes', 1), '(21,3)', 'the second row, after writes and a fold, is as the cursor began');
ROLLBACK TO s;
SELECT is(pg_temp.fetched('before_writes', 2), '(31,4)(41,3)', 'so are the rest, after a rollback');
SELECT is(left(pg_temp.fetched('unsorted', 1), 4), '(17,', 'a cursor that was opened but not read: 7 + 3 + 4 + 3');
SELECT is(pg_temp.shows(11, '2026-09'), 17::numeric, 'and outside: 7 + 10');
CLOSE before_writes;
CLOSE unsorted;
DECLARE held CURSOR WITH HOLD FOR SELECT a.actual FROM kpi.attainment a WHERE a.period = '2026-09' AND a.measure = 'revenue' ORDER BY a.kpi_id;
DELETE FROM kpi.fact WHERE period = '2026-09';
DO $$ BEGIN PERFORM kpi.fold(); END $$;
SELECT is(pg_temp.fetched('held', 9), '(17)(13)(4)(13)', 'a cursor WITH HOLD over a deletion and a fold: 7 + 10, 3 + 10, 4, 3 + 10');
CLOSE held;
SELECT is(pg_temp.shows(11, '2026-09'), NULL, 'which is there outside');
SELECT pg_temp.exact('cursors');

-- ---- session_replication_role = replica fires both kinds of triggers ----
SET session_replication_role = replica;
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (41, '2026-10', 5), (31, '2026-10', 6);
UPDATE kpi.fact SET value = value + 1 WHERE period = '2026-10';
SELECT is(pg_temp.shows(11, '2026-10'), 13::numeric, 'as a replica: 6 + 7, counted once');
DO $$ BEGIN PERFORM kpi.fold(); END $$;
DELETE FROM kpi.fact WHERE period = '2026-10' AND kpi_id = 41;
SELECT is(pg_temp.shows(11, '2026-10'), 7::numeric, 'and a deletion, after a fold');
RESET session_replication_role;
SELECT pg_temp.exact('session_replication_role = replica');

-- ---- structure inside the transaction ----
SAVEPOINT s;
UPDATE kpi.measure SET rolls_up = false WHERE measure_id = 1;
SELECT is(pg_temp.shows(11, '2026-01'), NULL, 'nothing rolls up any more');
SELECT pg_temp.exact('a changed measure');
ROLLBACK TO s;
SELECT is(pg_temp.shows(11, '2026-01'), 266::numeric, 'the change rolled back: 266 again');
DO $$ BEGIN PERFORM kpi.move_unit('acme.a.x', 'acme.b', '2026-01-01'); END $$;
SELECT is(pg_temp.shows(31, '2026-01'), 266::numeric, 'a unit moved under b: 202 + 64');
SELECT is(pg_temp.shows(21, '2026-01'), NULL, 'and nothing left under a');
SELECT pg_temp.exact('a moved unit');
DO $$ BEGIN PERFORM kpi.fold(); END $$;
ROLLBACK TO s;
SELECT is(pg_temp.shows(31, '2026-01'), 202::numeric, 'moved, folded and rolled back: 202');
SELECT pg_temp.exact('a move rolled back');

-- a graph built while a statement that changes it is under way, in a trigger
-- that runs before the capture trigger, must not outlive the rollback
CREATE FUNCTION pg_temp.peek() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM count(*) FROM kpi.attainment; RETURN NULL; END $$;
CREATE TRIGGER a_peek AFTER UPDATE ON kpi.measure FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.peek();
-- another graph is cached, so that the trigger builds one
UPDATE kpi.measure SET direction = 'lower' WHERE measure_id = 1;
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (41, '2026-01', 1);
SAVEPOINT peeked;
SET LOCAL kpi_cascade.fold_mode = manual;
UPDATE kpi.measure SET rolls_up = false WHERE measure_id = 1;
ROLLBACK TO peeked;
SELECT is(pg_temp.shows(11, '2026-01'), 267::numeric, 'a trigger read figures in the middle of a change that was rolled back: 266 + 1');
SELECT pg_temp.exact('a trigger that reads in the middle of a change');
DROP TRIGGER a_peek ON kpi.measure;

-- ---- deletion of KPIs and units ----
INSERT INTO kpi.target (kpi_id, period, value) VALUES (41, '2026-01', 70), (11, '2026', 100);
SELECT throws_ok($$DELETE FROM kpi.unit WHERE path = 'acme.a.x'$$, '23503', NULL, 'a unit with facts is not deleted');
SELECT is(pg_temp.shows(11, '2026-01'), 267::numeric, 'and its facts still count');
DELETE FROM kpi.fact WHERE kpi_id BETWEEN 40 AND 49;
DELETE FROM kpi.unit WHERE path = 'acme.a.x';
SELECT is((SELECT count(*) FROM kpi.attainment WHERE kpi_id BETWEEN 40 AND 49), 0::bigint, 'a deleted unit takes its KPIs, targets and cells along');
SELECT is(pg_temp.shows(11, '2026-01'), 202::numeric, 'what was under the other unit remains');
SELECT pg_temp.exact('a deleted unit');
DO $$ BEGIN PERFORM kpi.fold(); END $$;
SELECT is((SELECT count(*) FROM kpi.cell WHERE kpi_id BETWEEN 40 AND 49), 0::bigint, 'also after a fold');
DELETE FROM kpi.kpi WHERE kpi_id = 21 AND NOT EXISTS (SELECT FROM kpi.fact f WHERE f.kpi_id = 21);
SELECT pg_temp.exact('a deleted KPI');

-- ---- TRUNCATE ----
SAVEPOINT s;
TRUNCATE kpi.fact;
SELECT is((SELECT count(*) FROM kpi.attainment WHERE actual IS NOT NULL), 0::bigint, 'TRUNCATE of the facts leaves no actual');
SELECT pg_temp.exact('TRUNCATE');
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (31, '2026-01', 9);
SELECT is(pg_temp.shows(11, '2026-01'), 9::numeric, 'facts after it count');
SELECT pg_temp.exact('facts after TRUNCATE');
DO $$ BEGIN PERFORM kpi.fold(); END $$;
SELECT pg_temp.exact('TRUNCATE, folded');
ROLLBACK TO s;
SELECT is(pg_temp.shows(11, '2026-01'), 202::numeric, 'TRUNCATE rolled back: 202 again');
SELECT pg_temp.exact('TRUNCATE rolled back');
SELECT is(pg_temp.shows(11, '2026'), pg_temp.facts('{11,21,31,41}', '2026'), 'the year is the sum of all facts to the end');

SELECT * FROM finish();
ROLLBACK;
