-- Changes that one fold meets together.  Each of these was found as a difference
-- by test/t/050_random_worlds.pl.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT plan(2);

INSERT INTO kpi.measure (code) VALUES ('sales');
INSERT INTO kpi.unit (path) VALUES ('shop');
SELECT kpi.deploy('sales', 'shop') \g /dev/null
INSERT INTO kpi.target_entry (unit, measure, period, value) VALUES ('shop', 'sales', '2026-03', 5);
SELECT kpi.fold() \g /dev/null
UPDATE kpi.kpi SET valid_to = '2030-01-01';
DELETE FROM kpi.kpi;
SELECT lives_ok('SELECT kpi.fold()', 'a KPI changed and deleted between two folds loses its cells once');
SELECT is_empty('SELECT * FROM kpi.cell', 'and has none left');

SELECT * FROM finish();
ROLLBACK;
