-- kpi_path: round trips, laws of order, containment and appending, index
-- ranges, forms that ORMs write, errors.
-- The model is plain SQL: a path is the array of its labels, compared in
-- collation "C" (element by element, the shorter one first), that is by bytes
-- and depth-first.
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;

SELECT current_setting('server_version_num')::int >= 160000 AS soft \gset
SELECT plan(87 + :'soft'::boolean::int);

-- 600 random paths of 1 to 4 labels over a small alphabet, so that there are
-- many common prefixes; - sorts below . in bytes, z and the umlaut above all.
CREATE TABLE sample (id int PRIMARY KEY, t text NOT NULL, labels text[] COLLATE "C" NOT NULL, path kpi_path NOT NULL);
DO $$
DECLARE
    letters text[] := ARRAY['a', 'b', 'z', 'A', 'Z', '0', '9', '-', '_', 'ä', '日'];
    parts text[];
    part text;
BEGIN
    PERFORM setseed(0.4217);
    FOR i IN 1 .. 600 LOOP
        parts := '{}';
        FOR n IN 1 .. 1 + floor(random() * 4) LOOP
            part := '';
            FOR j IN 1 .. 1 + floor(random() * 2) LOOP
                part := part || letters[1 + floor(random() * CASE WHEN n < 3 THEN 3 ELSE 11 END)::int];
            END LOOP;
            parts := parts || part;
        END LOOP;
        INSERT INTO sample VALUES (i, array_to_string(parts, '.'), parts, array_to_string(parts, '.')::kpi_path);
    END LOOP;
END $$;
-- and the longest labels and the deepest path
INSERT INTO sample SELECT 600 + n, t, string_to_array(t, '.'), t::kpi_path
FROM (VALUES (1, repeat('z', 63)), (2, repeat('z', 63) || '.a'), (3, repeat('-', 63)), (4, repeat('日', 21)),
             (5, repeat('日', 21) || '.' || repeat('日', 21)), (6, 'a' || repeat('.b', 63)),
             (7, repeat('z', 62)), (8, repeat('z', 62) || '-')) v (n, t);
ANALYZE sample;

-- round trips
SELECT is_empty('SELECT t FROM sample WHERE path::text <> t', 'text goes in and out unchanged');
\set file `mktemp`
\setenv KPI_PATH_FILE :file
CREATE TABLE copy_of_sample (id int, path kpi_path);
\copy (SELECT id, path FROM sample) TO PROGRAM 'cat > "$KPI_PATH_FILE"' (FORMAT binary)
\copy copy_of_sample FROM PROGRAM 'cat "$KPI_PATH_FILE"' (FORMAT binary)
\! rm -f "$KPI_PATH_FILE"
SELECT set_eq('SELECT id, path FROM copy_of_sample', 'SELECT id, path FROM sample', 'binary goes out and in unchanged');
SELECT is(kpi.path_send('acme.sales'), convert_to('acme.sales', 'UTF8'), 'the binary form is the text form');
SELECT is('Acme.Sales'::kpi_path = 'acme.sales', false, 'case is kept and matters');
SELECT is(max(kpi.depth(path)), 64, '64 labels are allowed') FROM sample;

-- order laws, over all pairs
CREATE TABLE pair AS
SELECT a.path AS a, b.path AS b, a.labels AS al, b.labels AS bl FROM sample a, sample b WHERE b.id % 5 = 0 OR b.id > 600;
SELECT is_empty($$SELECT a, b FROM pair WHERE (a < b) <> (al < bl)$$, '< is depth-first order by bytes');
SELECT is_empty($$SELECT a, b FROM pair WHERE (a = b) <> (al = bl)$$, '= is equality of all labels');
SELECT is_empty($$SELECT a, b FROM pair WHERE (a < b)::int + (a = b)::int + (a > b)::int <> 1$$, 'exactly one of <, = and > holds');
SELECT is_empty($$SELECT a, b FROM pair WHERE (a <= b) <> (a < b OR a = b) OR (a >= b) <> (a > b OR a = b) OR (a <> b) = (a = b)$$,
                '<=, >= and <> agree with the others');
SELECT is_empty($$SELECT a, b FROM pair WHERE (a < b) <> (b > a) OR (a <= b) <> (b >= a)$$, 'commuted operators agree');
SELECT is_empty($$SELECT a, b FROM pair WHERE sign(kpi.path_cmp(a, b)) <> (a > b)::int - (a < b)::int$$, 'path_cmp agrees');
SELECT results_eq('SELECT path FROM sample ORDER BY path', 'SELECT path FROM sample ORDER BY labels', 'sorting is depth-first');
SELECT results_eq('SELECT DISTINCT path FROM sample ORDER BY path', 'SELECT path FROM sample GROUP BY path, labels ORDER BY labels',
                  'grouping takes equal paths together');
SELECT results_eq($$SELECT p FROM unnest('{acme-old,acme.sales.emea,acme,acme_x,acme.sales,acme.sales-x,Acme}'::kpi_path[]) p ORDER BY p$$,
                  $$VALUES ('Acme'::kpi_path), ('acme'), ('acme.sales'), ('acme.sales.emea'), ('acme.sales-x'), ('acme-old'), ('acme_x')$$,
                  'a parent comes right before its subtree, - and _ notwithstanding');
-- right before its subtree: nothing outside lies between a path and one inside
SELECT is_empty($$SELECT p.a FROM pair p JOIN sample s ON s.path > p.b AND s.path < p.a AND NOT s.path <@ p.b WHERE p.a <@ p.b$$,
                'no stranger lies between a path and its subtree');

-- hashing
SELECT is_empty($$SELECT a, b FROM pair WHERE a = b AND kpi.path_hash(a) <> kpi.path_hash(b)$$, 'equal paths have equal hashes');
SELECT is_empty($$SELECT path FROM sample WHERE kpi.path_hash_extended(path, 0) & 4294967295 <> kpi.path_hash(path)::bigint & 4294967295$$,
                'with seed 0 the low half of the extended hash is the hash');
SELECT isnt(kpi.path_hash_extended('acme', 0), kpi.path_hash_extended('acme', 1), 'the seed matters');
CREATE TABLE spread (path kpi_path) PARTITION BY HASH (path);
CREATE TABLE spread_0 PARTITION OF spread FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE spread_1 PARTITION OF spread FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO spread SELECT path FROM sample;
SELECT bag_eq('SELECT path FROM spread', 'SELECT path FROM sample', 'tables can be partitioned by hash');

-- containment laws
SELECT is_empty($$SELECT a, b FROM pair WHERE (a <@ b) <> (al[1 : cardinality(bl)] = bl)$$, '<@: the first labels are those of the other');
SELECT is_empty($$SELECT a, b FROM pair WHERE (a <@ b) <> (b @> a)$$, '@> is <@ turned round');
SELECT is_empty($$SELECT a, b FROM pair WHERE (a <@ b) <> (a >= b AND a < kpi.subtree_end(b))$$, '<@ is the range up to subtree_end');
SELECT is_empty($$SELECT a, b FROM pair WHERE a <@ b AND b <@ a AND a <> b$$, 'two paths inside each other are equal');
SELECT is_empty($$SELECT path FROM sample WHERE NOT path <@ path$$, 'a path contains itself');
SELECT is_empty($$SELECT path FROM sample WHERE NOT path <@ kpi.parent(path) OR path @> kpi.parent(path)$$, 'a parent contains its child only that way round');
SELECT is('acme.sales2'::kpi_path <@ 'acme.sales'::kpi_path, false, 'a label that continues another is a different label');

-- taking apart
SELECT is_empty($$SELECT path FROM sample WHERE kpi.depth(path) <> cardinality(labels)$$, 'depth is the number of labels');
SELECT is_empty($$SELECT path, n FROM sample, generate_series(-66, 66) n
    WHERE kpi.label(path, n) IS DISTINCT FROM labels[CASE WHEN n < 0 THEN cardinality(labels) + 1 + n ELSE n END]$$,
    'label counts from 1, or from the end, and is null elsewhere');
SELECT is_empty($$SELECT path FROM sample WHERE kpi.parent(path)::text
    IS DISTINCT FROM nullif(array_to_string(labels[1 : cardinality(labels) - 1], '.'), '')$$, 'parent drops the last label, null for a root');
SELECT is_empty($$SELECT path, f, l FROM sample, generate_series(-5, 5) f, generate_series(-5, 5) l,
        LATERAL (SELECT cardinality(labels) + 1 AS c) c,
        LATERAL (SELECT CASE WHEN f < 0 THEN c + f ELSE f END AS lo, CASE WHEN l < 0 THEN c + l ELSE l END AS hi) r
    WHERE kpi.subpath(path, f, l)::text IS DISTINCT FROM
        CASE WHEN lo >= 1 AND hi < c AND lo <= hi THEN array_to_string(labels[lo : hi], '.') END$$,
    'subpath takes labels first to last, null unless both exist in that order');
SELECT is(kpi.subpath('acme.sales.emea', 2, -1), 'sales.emea'::kpi_path, 'subpath from the second label to the last');
SELECT is(kpi.subpath('acme.sales.emea', -2, 2), 'sales'::kpi_path, 'ends of both kinds mix');
SELECT is(kpi.label('acme', -2147483648), NULL, 'the lowest integer is out of range, no overflow');
SELECT is(kpi.subpath('acme', -2147483648, 2147483647), NULL, 'so for subpath');
SELECT is(pg_typeof(kpi.label('acme', 1))::text, 'text', 'a label is text');

-- putting together
SELECT is_empty($$SELECT path FROM sample WHERE kpi.depth(path) > 1 AND
    (kpi.parent(path) || kpi.label(path, -1) <> path OR kpi.label(path, 1)::kpi_path || kpi.subpath(path, 2, -1) <> path)$$,
    'appending undoes taking apart');
SELECT is_empty($$SELECT a, b FROM pair WHERE kpi.depth(a) + kpi.depth(b) <= 64 AND (a || b)::text <> a::text || '.' || b::text$$,
    'a path appended to a path');
SELECT is('acme'::kpi_path || 'sales'::text, 'acme.sales'::kpi_path, 'a label of type text');
SELECT is('acme'::kpi_path || 'sales'::varchar, 'acme.sales'::kpi_path, 'a label of type varchar');
SELECT is('acme'::kpi_path || 'sales.emea', 'acme.sales.emea'::kpi_path, 'a literal is a path');
SELECT is('acme'::kpi_path || NULL::text, NULL::kpi_path, 'null appends to null');

-- common ancestor
SELECT is_empty($$SELECT a, b FROM pair WHERE kpi.common_ancestor(a, b) IS DISTINCT FROM (
        SELECT array_to_string(al[1 : max(n)], '.')::kpi_path FROM generate_series(1, least(cardinality(al), cardinality(bl))) n
        WHERE al[1 : n] = bl[1 : n])$$, 'common_ancestor is the longest common run of labels, null where there is none');
SELECT is(kpi.common_ancestor('acme.sales', 'acme.sales2'), 'acme'::kpi_path, 'common_ancestor compares labels, not letters');
SELECT is((SELECT kpi.common_ancestor(p) FROM unnest('{a.b.c,NULL,a.b.d,a.b}'::kpi_path[]) p), 'a.b'::kpi_path, 'aggregate, nulls left out');
SELECT is((SELECT kpi.common_ancestor(p) FROM unnest('{a.b,c.d,a.b}'::kpi_path[]) p), NULL, 'aggregate: once there is none, none comes back');
SELECT is((SELECT kpi.common_ancestor(p) FROM unnest('{}'::kpi_path[]) p), NULL, 'aggregate over nothing');
SELECT is((SELECT kpi.common_ancestor(p) FROM unnest('{NULL}'::kpi_path[]) p), NULL, 'aggregate over nulls');
SELECT is(kpi.common_ancestor_combine('', convert_to('acme', 'UTF8')), ''::bytea, 'a state of "none" stays so when combined');
SELECT throws_ok($$SELECT kpi.common_ancestor_final('\x2e')$$, '22P03', 'invalid state of aggregate common_ancestor', 'a forged state makes no path');
CREATE FUNCTION plan_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    lines text := '';
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        lines := lines || line || E'\n';
    END LOOP;
    RETURN lines;
END $$;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
CREATE TABLE many AS SELECT ('acme.u' || n % 7 || '.v' || n)::kpi_path AS path, n % 7 AS u FROM generate_series(1, 20000) n;
ANALYZE many;
SELECT matches(plan_of('SELECT kpi.common_ancestor(path) FROM many'), 'Partial Aggregate', 'the aggregate runs in parallel');
SELECT is((SELECT kpi.common_ancestor(path) FROM many), 'acme'::kpi_path, 'parallel: common to all');
SELECT results_eq('SELECT u, kpi.common_ancestor(path) FROM many GROUP BY u ORDER BY u',
                  $$SELECT u, ('acme.u' || u)::kpi_path FROM generate_series(0, 6) u$$, 'parallel: common to each group');
INSERT INTO many VALUES ('other', 7);
SELECT is((SELECT kpi.common_ancestor(path) FROM many), NULL, 'parallel: one stranger leaves nothing in common');

-- containment uses a plain btree index, with the same answers
CREATE INDEX sample_path_idx ON sample (path);
CREATE TABLE root (id int, path kpi_path);
INSERT INTO root SELECT id, path FROM sample WHERE id <= 40 OR id > 600;
ANALYZE root;
CREATE TABLE by_scan AS SELECT r.id, s.id AS inside FROM root r, sample s WHERE s.labels[1 : kpi.depth(r.path)] = string_to_array(r.path::text, '.');
SET LOCAL enable_seqscan = off;
SET LOCAL enable_material = off;
SELECT matches(plan_of($$SELECT * FROM sample WHERE path <@ 'a.b'$$), 'Index Cond: \(\(path >= ''a.b''.* AND \(path < ''a.b-''', '<@ constant: an index range');
SELECT matches(plan_of($$SELECT * FROM sample WHERE 'a.b' @> path$$), 'Index Cond: \(\(path >= ''a.b''.* AND \(path < ''a.b-''', 'constant @>: the same');
SELECT matches(plan_of($$SELECT * FROM sample WHERE path <@ current_setting('x.y', true)::kpi_path$$), 'Index Cond: .*subtree_end', '<@ stable function: an index range');
SELECT matches(plan_of('SELECT * FROM sample WHERE path <@ (SELECT path FROM root WHERE id = 1)'), 'Index Cond: .*subtree_end', '<@ subquery: an index range');
SELECT unalike(plan_of($$SELECT * FROM sample WHERE path <@ chr(97 + floor(random() * 2)::int)::kpi_path$$), '%Index Cond%', '<@ volatile function: none');
SELECT unalike(plan_of($$SELECT * FROM sample WHERE path @> 'a.b'$$), '%Index Cond%', 'the ancestors of a path are no range');
SELECT unalike(plan_of($$SELECT * FROM sample WHERE path <@ kpi.parent(path)$$), '%Index Cond%', 'a bound from the same row is none');
SELECT matches(plan_of('SELECT r.id, s.id FROM root r JOIN sample s ON s.path <@ r.path'), 'Index Cond: .*path >= r.path.*path < kpi.subtree_end\(r.path\)', 'a join: an index range for each row');
SET LOCAL enable_seqscan = on;
SELECT bag_eq('SELECT r.id, s.id AS inside FROM root r JOIN sample s ON s.path <@ r.path', 'SELECT id, inside FROM by_scan', 'with the right answers');
SET LOCAL enable_seqscan = off;
SELECT bag_eq('SELECT r.id, s.id AS inside FROM root r JOIN sample s ON r.path @> s.path', 'SELECT id, inside FROM by_scan', '@> too');
PREPARE inside(varchar) AS SELECT id FROM sample WHERE path <@ $1;
SET LOCAL plan_cache_mode = force_generic_plan;
SELECT matches(plan_of($$EXECUTE inside('a.b')$$), 'Index Cond: .*path >= \(\$1\).*path < kpi.subtree_end\(\(\$1\)', 'a parameter in a generic plan: an index range');
SELECT set_eq($$EXECUTE inside('b')$$, $$SELECT id FROM sample WHERE labels[1] = 'b'$$, 'with the right answer');
RESET plan_cache_mode;
RESET enable_seqscan;

-- what ORMs and drivers write; only public is on the search_path
SELECT results_eq($$SELECT path FROM root WHERE path = 'a.b' UNION SELECT 'x' ORDER BY 1 DESC LIMIT 1$$, $$VALUES ('x'::kpi_path)$$, 'path = literal');
SELECT bag_eq($$SELECT id FROM sample WHERE path IN ('a', 'b', 'zz')$$, $$SELECT id FROM sample WHERE t IN ('a', 'b', 'zz')$$, 'path IN (literals)');
SELECT bag_eq($$SELECT id FROM sample WHERE path NOT IN ('a', 'b')$$, $$SELECT id FROM sample WHERE t NOT IN ('a', 'b')$$, 'path NOT IN (literals)');
SELECT bag_eq($$SELECT id FROM sample WHERE path BETWEEN 'a' AND 'b.z'$$,
              $$SELECT id FROM sample WHERE labels BETWEEN '{a}' AND '{b,z}'$$, 'path BETWEEN literals');
SELECT bag_eq('SELECT s.id FROM sample s JOIN root r USING (path)', 'SELECT s.id FROM sample s JOIN root r ON s.t = r.path::text', 'JOIN USING (path)');
PREPARE equal(varchar) AS SELECT id FROM sample WHERE path = $1;
SELECT bag_eq($$EXECUTE equal('b')$$, $$SELECT id FROM sample WHERE t = 'b'$$, 'path = a varchar parameter');
PREPARE among(varchar, varchar) AS SELECT id FROM sample WHERE path IN ($1, $2);
SELECT bag_eq($$EXECUTE among('a', 'b')$$, $$SELECT id FROM sample WHERE t IN ('a', 'b')$$, 'path IN (varchar parameters)');
PREPARE between_them(varchar, text) AS SELECT id FROM sample WHERE path BETWEEN $1 AND $2;
SELECT bag_eq($$EXECUTE between_them('a', 'b.z')$$, $$SELECT id FROM sample WHERE labels BETWEEN '{a}' AND '{b,z}'$$, 'path BETWEEN varchar and text parameters');
PREPARE any_of(text[]) AS SELECT id FROM sample WHERE path = ANY ($1);
SELECT bag_eq($$EXECUTE any_of('{a,b}')$$, $$SELECT id FROM sample WHERE t IN ('a', 'b')$$, 'path = ANY (text[] parameter)');
PREPARE write(int, varchar) AS INSERT INTO root VALUES ($1, $2);
EXECUTE write(-1, 'from.varchar');
PREPARE change(text) AS UPDATE root SET path = $1 WHERE id = -1;
EXECUTE change('from.text');
SELECT is((SELECT path FROM root WHERE id = -1), 'from.text'::kpi_path, 'INSERT and UPDATE with varchar and text parameters');
PREPARE differs(varchar, varchar, varchar, varchar) AS
    SELECT 'b'::kpi_path <> $1 AND 'b'::kpi_path < $2 AND 'b'::kpi_path <= $2 AND 'b'::kpi_path > $1 AND 'b'::kpi_path >= $1 AND 'b'::kpi_path @> $3 AND NOT 'b'::kpi_path <@ $4;
SELECT results_eq($$EXECUTE differs('a', 'c', 'b.c', 'b.c')$$, 'VALUES (true)', 'every operator takes a varchar parameter');

SELECT throws_ok($$SELECT kpi.depth('acme.sales'::text)$$, '42883', NULL, 'text does not turn into a path unasked');

-- errors: SQLSTATE and message; details and hints stand in the regression test
SELECT throws_ok(format('SELECT %L::kpi_path', t), '22P02', format('invalid input syntax for type kpi_path: "%s"', t), 'malformed: ' || what)
FROM (VALUES ('', 'empty'), ('a..b', 'an empty label'), ('acme sales', 'a space'), (repeat('z', 64), 'a label of 64 bytes'),
             ('a' || repeat('.b', 64), '65 labels')) v (t, what);
SELECT throws_ok($$SELECT 'acme'::kpi_path || 'a.b'::text$$, '22023', 'invalid path label "a.b"', 'a label has no dot');
SELECT throws_ok($$SELECT 'acme'::kpi_path || ('a' || repeat('.b', 63))::kpi_path$$, '54000',
                 format('cannot append "%s" to path "acme"', 'a' || repeat('.b', 63)), 'appending beyond 64 labels');

-- soft errors, from 16 on
\if :soft
SELECT results_eq($$SELECT pg_input_is_valid('a..b', 'kpi_path'), pg_input_is_valid('a.b', 'kpi_path')$$, 'VALUES (false, true)', 'input errors are soft');
\endif

-- catalog
SELECT is(bool_and(amvalidate(oid)), true, 'the operator classes are valid') FROM pg_opclass WHERE opcname = 'kpi_path_ops';
SELECT is_empty($$SELECT oid::regoperator FROM pg_operator WHERE 'kpi_path'::regtype IN (oprleft, oprright) AND oprcode = 0$$, 'no operator is a mere shell');
SELECT is_empty($$SELECT oprcode FROM pg_operator JOIN pg_proc p ON p.oid = oprcode
    WHERE oprleft = 'kpi_path'::regtype AND oprright = 'kpi_path'::regtype AND oprname <> '||' AND NOT proleakproof$$, 'comparison and containment are leakproof');

SELECT * FROM finish();
ROLLBACK;
