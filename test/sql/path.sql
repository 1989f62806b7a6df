-- kpi_path: error messages in full, malformed binary input, and plans.
-- Laws and values are tested in test/pgtap/path.sql.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
RESET client_min_messages;
SET search_path = public;

-- malformed text
SELECT ''::kpi_path;
SELECT '.'::kpi_path;
SELECT 'acme.'::kpi_path;
SELECT 'acme..emea'::kpi_path;
SELECT ' acme'::kpi_path;
SELECT 'acme.R&D'::kpi_path;
SELECT E'acme.sales\temea'::kpi_path;
SELECT ('acme.' || repeat('z', 64))::kpi_path;
SELECT ('a' || repeat('.b', 64))::kpi_path;

-- malformed labels, and too many
SELECT 'acme'::kpi_path || ''::text;
SELECT 'acme'::kpi_path || 'sales.emea'::text;
SELECT 'acme'::kpi_path || repeat('z', 64);
SELECT ('a' || repeat('.b', 63))::kpi_path || 'one-more'::text;
SELECT 'a.b'::kpi_path || ('a' || repeat('.b', 62))::kpi_path;

-- assignment from text and varchar, comparison with varchar
CREATE TABLE path_test (id int, path kpi_path);
INSERT INTO path_test SELECT 1, 'a.b'::text;
INSERT INTO path_test SELECT 1, 'a..b'::varchar;
PREPARE find(varchar) AS SELECT id FROM path_test WHERE path = $1;
EXECUTE find('a b');
TRUNCATE path_test;

-- malformed binary input: COPY's header, one row of two columns, of which the second is a path
\copy path_test FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\002\377\377\377\377\000\000\000\004a..b\377\377"' (FORMAT binary)
\copy path_test FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\002\377\377\377\377\000\000\000\000\377\377"' (FORMAT binary)
\copy path_test FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\002\377\377\377\377\000\000\000\003a.b\377\377"' (FORMAT binary)
SELECT path FROM path_test;
TRUNCATE path_test;

-- containment as a range on a plain btree index
INSERT INTO path_test
SELECT a * 1000 + b * 20 + c, ('acme.b' || a || '.d' || b || '.t' || c)::kpi_path
FROM generate_series(1, 10) a, generate_series(1, 20) b, generate_series(1, 10) c;
INSERT INTO path_test SELECT -a, ('acme.b' || a)::kpi_path FROM generate_series(1, 10) a;
CREATE INDEX path_test_path_idx ON path_test (path);
CREATE INDEX path_test_hash_idx ON path_test USING hash (path);
ANALYZE path_test;
SET enable_bitmapscan = off;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT * FROM path_test WHERE path <@ 'acme.b2.d3';
EXPLAIN (COSTS OFF) SELECT * FROM path_test WHERE 'acme.b2.d3' @> path;
EXPLAIN (COSTS OFF) SELECT * FROM path_test WHERE path <@ 'acme.b2.d3'::varchar;
EXPLAIN (COSTS OFF) SELECT * FROM path_test WHERE kpi.path_contained_by_path(path, 'acme.b2.d3');
EXPLAIN (COSTS OFF) SELECT * FROM path_test a JOIN path_test b ON b.path <@ a.path WHERE a.path IN ('acme.b2.d3', 'acme.b2.d4');
EXPLAIN (COSTS OFF) SELECT * FROM path_test ORDER BY path LIMIT 1;
-- -2 and the 200 teams beneath acme.b2, no acme.b20 among them
SELECT count(*), min(id) FROM path_test WHERE path <@ 'acme.b2';
PREPARE subtree(kpi_path) AS SELECT count(*) FROM path_test WHERE path <@ $1;
PREPARE subtree_of_text(varchar) AS SELECT count(*) FROM path_test WHERE $1::kpi_path @> path;
EXPLAIN (COSTS OFF) EXECUTE subtree('acme.b2');
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE subtree('acme.b2');
EXPLAIN (COSTS OFF) EXECUTE subtree_of_text('acme.b2');
EXECUTE subtree('acme.b2');
EXECUTE subtree(NULL);
EXECUTE subtree_of_text('acme.b2.d3');
RESET plan_cache_mode;
RESET enable_seqscan;
RESET enable_bitmapscan;

DEALLOCATE ALL;
DROP TABLE path_test;
