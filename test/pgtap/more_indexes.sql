-- Indexes that somebody adds to the tables that folds write: those on columns
-- are filled, others are an error, and neither crash the server nor get rows
-- that do not belong there.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SET LOCAL kpi_cascade.fold_mode = manual;
SELECT plan(5);

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

SELECT * FROM finish();
ROLLBACK;
