-- A fold that was rolled back leaves dead entries in the index of kpi.cell.  The
-- next fold meets them, and what btree notes about them must live as long as the
-- scan (it was freed underneath it, and the server crashed).
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT plan(5);

INSERT INTO kpi.measure (code) VALUES ('sales');
INSERT INTO kpi.unit (path) VALUES ('shop'), ('shop.east'), ('shop.west');
SELECT kpi.deploy('sales', 'shop') \g /dev/null
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('shop.east', 'sales', '2026-03', 1);
SAVEPOINT before;
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('shop.west', 'sales', '2026-03', 2);
SELECT ok(kpi.fold() > 0, 'a fold inside a savepoint');
SELECT is((SELECT actual FROM kpi.attainment WHERE unit_now = 'shop' AND period = '2026'), 3::numeric, 'shows both facts');
ROLLBACK TO before;
SELECT is((SELECT actual FROM kpi.attainment WHERE unit_now = 'shop' AND period = '2026'), 1::numeric, 'rolled back: one fact, read over what is pending');
SELECT ok(kpi.fold() > 0, 'another fold');
SELECT is((SELECT actual FROM kpi.attainment WHERE unit_now = 'shop' AND period = '2026'), 1::numeric, 'one fact, folded');

SELECT * FROM finish();
ROLLBACK;
