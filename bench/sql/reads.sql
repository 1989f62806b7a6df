-- What the reads of part c are compared with: the same facts in a plain table,
-- a materialized view of them, and the cells as a plain table.
CREATE MATERIALIZED VIEW bench.summed AS
SELECT c.ancestor AS kpi_id, f.period, sum(f.value) AS total, count(*) AS n
  FROM bench.plain f JOIN bench.closure c USING (kpi_id) GROUP BY c.ancestor, f.period;
CREATE UNIQUE INDEX ON bench.summed (kpi_id, period);
CREATE INDEX ON bench.summed (period);
INSERT INTO kpi.fact (kpi_id, period, value) SELECT kpi_id, period, value FROM bench.plain;
SELECT kpi.fold() \g /dev/null
CREATE TABLE bench.cell AS SELECT kpi_id, period, actual, target, attainment, target_to_date, attainment_to_date, driver_score, score, status, coverage, tally FROM kpi.cell;
ALTER TABLE bench.cell ADD PRIMARY KEY (kpi_id, period);
CREATE INDEX ON bench.unit (path);
VACUUM ANALYZE;
