--
-- What reading costs: with nothing pending one KPI is a lookup in kpi.cell,
-- and neither facts nor links nor targets are read.
--
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS kpi_cascade;
CREATE EXTENSION kpi_cascade;
SELECT kpi.version() IS NOT NULL AS loaded;
SET kpi_cascade.fold_mode = manual;
INSERT INTO kpi.unit (path) VALUES ('a');
INSERT INTO kpi.unit (path) SELECT format('a.u%s', i) FROM generate_series(1, 40) i;
INSERT INTO kpi.measure (code) SELECT 'm' || i FROM generate_series(1, 5) i;
SELECT sum(kpi.deploy('m' || i, 'a')) AS kpis FROM generate_series(1, 5) i;
INSERT INTO kpi.fact (kpi_id, period, value)
SELECT k.kpi_id, p, 1 FROM kpi.kpi k, kpi.generate_series('2024-01', '2025-12') p;
INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes)
SELECT kpi.kpi_id('a.u1', 'm1'), kpi.kpi_id('a.u1', 'm2'), 'score';
INSERT INTO kpi.target (kpi_id, period, value) SELECT kpi_id, '2025', 12 FROM kpi.kpi;
SELECT kpi.fold() > 0 AS folded;
VACUUM ANALYZE kpi.cell, kpi.kpi, kpi.unit, kpi.measure, kpi.unit_path, kpi.level, kpi.fact, kpi.target, kpi.link;
SET search_path = public;

-- how a query finds its rows in kpi.cell, and whatever else it does to tables of facts, targets and links
CREATE FUNCTION pg_temp.scans(query text) RETURNS TABLE (node text, relation text, condition text) LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json, COSTS off) ' || query INTO plan;
    RETURN QUERY
        SELECT x.node #>> '{Node Type}', coalesce(x.node ->> 'Relation Name', x.node ->> 'Index Name'), x.node ->> 'Index Cond'
          FROM jsonb_path_query(plan::jsonb, '$.** ? (exists (@."Node Type"))') x (node)
         WHERE x.node ->> 'Relation Name' IN ('cell', 'fact', 'target', 'link')
         GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
END
$$;
SELECT * FROM pg_temp.scans($$SELECT actual FROM kpi.attainment WHERE kpi_id = 7 AND period = '2025-03'$$);
SELECT * FROM pg_temp.scans($$SELECT actual FROM kpi.attainment WHERE kpi_id = 7$$);
SELECT DISTINCT relation, node IN ('Index Scan', 'Bitmap Heap Scan') AS by_index
  FROM pg_temp.scans($$SELECT actual FROM kpi.attainment WHERE unit_now = 'a.u3' AND measure = 'm2' AND period = '2025-03'$$);
SELECT DISTINCT relation, node IN ('Index Scan', 'Bitmap Heap Scan') AS by_index
  FROM pg_temp.scans($$SELECT score FROM kpi.unit_score WHERE unit_id = 3 AND period = '2025'$$);

-- what is really read, by functions in C as well: a session of its own starts counting at 0
\c -
BEGIN;
SELECT actual, target FROM kpi.attainment WHERE kpi_id = 7 AND period = '2025-03';
SELECT actual, target FROM kpi.attainment WHERE kpi_id = 7 AND period = '2025';
SELECT relname, seq_scan + coalesce(idx_scan, 0) AS scans, seq_tup_read + coalesce(idx_tup_fetch, 0) AS rows_read
  FROM pg_stat_xact_user_tables
 WHERE schemaname = 'kpi' AND relname IN ('cell', 'fact', 'target', 'link', 'unit_history') ORDER BY 1;
ROLLBACK;

DROP EXTENSION kpi_cascade;
