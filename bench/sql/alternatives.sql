-- What people write by hand, each over a fact table like bench.plain.  All of
-- them keep sums and counts per unit and month, and nothing else: no coarser
-- periods, targets, scores or coverage.

-- a row trigger that walks up the tree and upserts each ancestor, root first
CREATE TABLE bench.row_fact (LIKE bench.plain INCLUDING ALL);
CREATE TABLE bench.row_cell (kpi_id bigint, period kpi_period, total numeric NOT NULL, n bigint NOT NULL, PRIMARY KEY (kpi_id, period)) WITH (fillfactor = 80);
CREATE FUNCTION bench.roll_up_row() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    above bigint;
BEGIN
    FOR above IN SELECT ancestor FROM bench.closure c WHERE c.kpi_id = NEW.kpi_id ORDER BY level_no LOOP
        INSERT INTO bench.row_cell AS c VALUES (above, NEW.period, NEW.value, 1)
            ON CONFLICT (kpi_id, period) DO UPDATE SET total = c.total + EXCLUDED.total, n = c.n + 1;
    END LOOP;
    RETURN NULL;
END
$$;

-- a statement trigger that upserts all ancestors at once, over a closure table
CREATE TABLE bench.statement_fact (LIKE bench.plain INCLUDING ALL);
CREATE TABLE bench.statement_cell (LIKE bench.row_cell INCLUDING ALL) WITH (fillfactor = 80);
CREATE FUNCTION bench.roll_up_statement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO bench.statement_cell AS c
    SELECT a.ancestor, f.period, sum(f.value), count(*)
      FROM fresh f JOIN bench.closure a USING (kpi_id)
     GROUP BY a.ancestor, f.period, a.level_no ORDER BY a.level_no, a.ancestor, f.period
        ON CONFLICT (kpi_id, period) DO UPDATE SET total = c.total + EXCLUDED.total, n = c.n + EXCLUDED.n;
    RETURN NULL;
END
$$;

-- a materialized view, refreshed every second
CREATE TABLE bench.watched_fact (LIKE bench.plain INCLUDING ALL);

INSERT INTO bench.row_fact (kpi_id, period, value) SELECT kpi_id, period, value FROM bench.plain;
INSERT INTO bench.statement_fact (kpi_id, period, value) SELECT kpi_id, period, value FROM bench.plain;
INSERT INTO bench.watched_fact (kpi_id, period, value) SELECT kpi_id, period, value FROM bench.plain;
CREATE MATERIALIZED VIEW bench.watched_cell AS
SELECT c.ancestor AS kpi_id, f.period, sum(f.value) AS total, count(*) AS n
  FROM bench.watched_fact f JOIN bench.closure c USING (kpi_id) GROUP BY c.ancestor, f.period;
CREATE UNIQUE INDEX ON bench.watched_cell (kpi_id, period);
INSERT INTO bench.row_cell SELECT * FROM bench.watched_cell;
INSERT INTO bench.statement_cell SELECT * FROM bench.watched_cell;

CREATE TRIGGER roll_up AFTER INSERT ON bench.row_fact FOR EACH ROW EXECUTE FUNCTION bench.roll_up_row();
CREATE TRIGGER roll_up AFTER INSERT ON bench.statement_fact REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION bench.roll_up_statement();

-- incremental view maintenance, where it is installed
SELECT count(*) > 0 AS has_ivm FROM pg_available_extensions WHERE name = 'pg_ivm' \gset
\if :has_ivm
CREATE EXTENSION pg_ivm;
CREATE TABLE bench.ivm_fact (LIKE bench.plain INCLUDING ALL);
INSERT INTO bench.ivm_fact (kpi_id, period, value) SELECT kpi_id, period, value FROM bench.plain;
SELECT pronamespace::regnamespace AS ivm FROM pg_proc WHERE proname = 'create_immv' \gset
SELECT :ivm.create_immv('bench.ivm_cell',
    'SELECT c.ancestor AS kpi_id, f.period, sum(f.value) AS total, count(*) AS n FROM bench.ivm_fact f JOIN bench.closure c ON c.kpi_id = f.kpi_id GROUP BY c.ancestor, f.period') \g /dev/null
\endif

INSERT INTO kpi.fact (kpi_id, period, value) SELECT kpi_id, period, value FROM bench.plain;
SELECT kpi.fold() \g /dev/null
VACUUM ANALYZE;
