-- Indexes that somebody adds to the tables that folds write: those on columns
-- are filled, others are an error, and neither crash the server nor get rows
-- that do not belong there.  Columns that somebody adds are null.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SET LOCAL kpi_cascade.fold_mode = manual;
SELECT plan(9);

INSERT INTO kpi.measure (measure_id, code) VALUES (1, 'sales');
INSERT INTO kpi.unit (unit_id, path) VALUES (1, 'shop'), (2, 'shop.east');
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) VALUES (1, 1, 1), (2, 2, 1);
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (2, '2026-01', 100);
SELECT kpi.fold() \g /dev/null

CREATE INDEX good ON kpi.status_change (new_status);
INSERT INTO kpi.target (kpi_id, period, value) VALUES (2, '2026-01', 50);
SELECT kpi.fold() \g /dev/null
SET LOCAL enable_seqscan = off;
SELECT is((SELECT count(*) FROM kpi.status_change WHERE new_status = 'on_track' AND period = '2026-01'), 1::bigint, 'an index on columns is filled');
RESET enable_seqscan;
CREATE INDEX partial ON kpi.status_change (kpi_id) WHERE new_status = 'off_track';
UPDATE kpi.target SET value = 5000;
SELECT throws_ok('SELECT kpi.fold()', '0A000', 'index "kpi.partial" has an expression or a predicate', 'an index with a predicate');
DROP INDEX kpi.partial;
CREATE INDEX computed ON kpi.cell ((actual + 1));
SELECT throws_ok('SELECT kpi.fold()', '0A000', 'index "kpi.computed" has an expression or a predicate', 'an index with an expression');
DROP INDEX kpi.computed;
CREATE INDEX computed ON kpi.pending ((xid::text));
SELECT throws_ok('INSERT INTO kpi.fact (kpi_id, period, value) VALUES (2, $$2026-01$$, 1)', '0A000', 'index "kpi.computed" has an expression or a predicate', 'and one that writers would have to fill');
DROP INDEX kpi.computed;
SELECT kpi.fold() \g /dev/null
SELECT is_empty('SELECT * FROM kpi.verify()', 'and without them all is folded');

-- more columns, with an index
ALTER TABLE kpi.status_change ADD COLUMN note text;
ALTER TABLE kpi.pending ADD COLUMN note text;
ALTER TABLE kpi.fold_state ADD COLUMN note text;
ALTER TABLE kpi.graph_version ADD COLUMN note text;
ALTER TABLE kpi.cell ADD COLUMN note text DEFAULT 'old', ADD COLUMN number int;
CREATE INDEX notes ON kpi.pending (note);
CREATE INDEX note_of_cell ON kpi.cell (note);
INSERT INTO kpi.measure (measure_id, code) VALUES (2, 'cost');
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) VALUES (3, 2, 2);
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (2, '2026-01', 10);
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (2, '2026-02', 20), (3, '2026-02', 5);
SELECT is((SELECT actual FROM kpi.attainment WHERE kpi_id = 1 AND period = '2026'), 130::numeric, 'columns more: what is pending is shown');
SELECT kpi.fold() \g /dev/null
SELECT is((SELECT actual FROM kpi.attainment WHERE kpi_id = 1 AND period = '2026'), 130::numeric, 'and folded');
SELECT is((SELECT count(*) FROM kpi.restated('2026-01-01') WHERE kpi_id = 1 AND period = '2026' AND actual = 130), 1::bigint, 'and restated');
SELECT is_empty('SELECT * FROM kpi.verify()', 'as recomputed');

SELECT * FROM finish();
ROLLBACK;
