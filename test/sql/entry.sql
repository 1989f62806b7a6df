-- COPY through the entry views, and the errors of entry and of the tree in full
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
RESET client_min_messages;
SET search_path = public;
\set SHOW_CONTEXT never
BEGIN;
INSERT INTO kpi.unit (path, code) VALUES ('acme', NULL), ('acme.sales', 'S/1'), ('acme.ops', NULL);
INSERT INTO kpi.measure (code, grain, fiscal_start) VALUES ('revenue', 'month', 1), ('staff', 'quarter', 4);
SELECT kpi.deploy('revenue', 'acme');

COPY kpi.fact_entry (unit, measure, period, value) FROM STDIN WITH (FORMAT csv, HEADER);
unit,measure,period,value
acme,revenue,2026-08,100.50
S/1,revenue,2026-08,20
acme.ops,revenue,2026-09,"3"
\.
COPY kpi.fact_entry FROM STDIN WITH (FORMAT csv);
acme,revenue,2026-10,7,2,ref-1,a note
acme,revenue,2026-10,8,1,,
\.
SELECT * FROM kpi.fact_entry ORDER BY period, unit, value;
COPY kpi.target_entry FROM STDIN WITH (FORMAT csv);
acme,revenue,2026,1200,,,,,
acme.sales,revenue,2026-08,10,5,1,20,"{{0,0},{10,1}}",why
\.
SELECT * FROM kpi.target_entry ORDER BY unit;
COPY (SELECT unit, measure, period, value FROM kpi.fact_entry ORDER BY period, unit, value) TO STDOUT WITH (FORMAT csv);

\set ON_ERROR_ROLLBACK on
-- entry
COPY kpi.fact_entry (unit, measure, period, value) FROM STDIN WITH (FORMAT csv);
acme,revenue,2026-08,1
acme.hr,revenue,2026-08,1
\.
COPY kpi.fact_entry (unit, measure, period, value) FROM STDIN WITH (FORMAT csv);
acme,staff,FY2027-Q1/04,1
\.
COPY kpi.fact_entry (unit, measure, period, value) FROM STDIN WITH (FORMAT csv);
acme,revenue,2026-Q3,1
\.
COPY kpi.fact_entry (unit, measure, period, value) FROM STDIN WITH (FORMAT csv);
acme,revenue,Aug 2026,1
\.
COPY kpi.fact_entry (unit, measure, period, value) FROM STDIN WITH (FORMAT csv);
acme,revenue,2026-08,
\.
COPY kpi.fact_entry (unit, measure, period, value) FROM STDIN WITH (FORMAT csv);
acme,revenue,2026-08,NaN
\.
COPY kpi.target_entry (unit, measure, period, value) FROM STDIN WITH (FORMAT csv);
acme,revenue,2026-11,1
acme,revenue,2026-11,2
\.
COPY kpi.target_entry (unit, measure, period, value) FROM STDIN WITH (FORMAT csv);
acme,revenue,2026-W34,1
\.
SELECT count(*) FROM kpi.fact;
SELECT kpi.record_fact('acme.hr', 'revenue', '2026-08', 1);
SELECT kpi.record_fact('acme', 'profit', '2026-08', 1);
SELECT kpi.deploy('profit', 'acme');
DELETE FROM kpi.fact_entry WHERE value = 8;
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme', 'revenue', '2026-08', 1) ON CONFLICT (reference) DO NOTHING;
SELECT kpi.entry_row();

-- the tree
INSERT INTO kpi.unit (path) VALUES ('acme.hr.eu');
UPDATE kpi.unit SET path = 'acme.ops.sales' WHERE path = 'acme.sales';
UPDATE kpi.unit SET share = 0.5 WHERE path = 'acme.sales';
SELECT kpi.move_unit('acme', 'acme.ops', '2026-01-01');
SELECT kpi.set_share('acme.ops', 2, '2026-01-01');
DELETE FROM kpi.unit_history;
DELETE FROM kpi.unit WHERE path = 'acme';
DELETE FROM kpi.kpi;
UPDATE kpi.measure SET grain = 'day' WHERE code = 'revenue';
UPDATE kpi.measure SET rollup = 'median' WHERE code = 'revenue';
DELETE FROM kpi.fact;
DELETE FROM kpi.unit WHERE path = 'acme';
ROLLBACK;
