-- Errors of closed periods in full
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
RESET client_min_messages;
SET search_path = public;
\set SHOW_CONTEXT never
BEGIN;
INSERT INTO kpi.unit (path) VALUES ('acme'), ('acme.a'), ('acme.b'), ('acme.c'), ('acme.bare');
INSERT INTO kpi.measure (code) VALUES ('revenue'), ('cost');
SELECT kpi.deploy(code, 'acme') FROM kpi.measure ORDER BY measure_id;
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme.a', 'revenue', '2024-03', 1), ('acme.b', 'revenue', '2024-03', 2);
SELECT kpi.close_period('2024-Q1', 'acme.a'), kpi.close_period('2024-03', 'acme.bare');
\set ON_ERROR_ROLLBACK on
-- a unit
SELECT kpi.record_fact('acme.a', 'revenue', '2024-03', 1);
UPDATE kpi.unit SET path = 'acme.alpha' WHERE path = 'acme.a';
SELECT kpi.set_target('acme.alpha', 'revenue', '2024-03', 1);
UPDATE kpi.kpi SET valid_to = '2024-03-31' WHERE kpi_id = kpi.kpi_id('acme.alpha', 'revenue');
DELETE FROM kpi.unit WHERE path = 'acme.bare';
-- what counts in it
SELECT kpi.link_kpi('acme.b', 'cost', 'acme.alpha', 'cost', 'value') > 0;
SELECT kpi.record_fact('acme.b', 'cost', '2024-01', 1);
-- all
SELECT kpi.close_period('2024-03') > 0;
SELECT kpi.record_fact('acme.b', 'revenue', '2024-03', 1);
SELECT kpi.deploy('revenue', 'acme.bare');
DELETE FROM kpi.kpi WHERE kpi_id = kpi.kpi_id('acme', 'revenue');
TRUNCATE kpi.target;
-- closing and opening
SELECT kpi.close_period(NULL::text);
SELECT kpi.close_period('2024-04', 'acme.nowhere');
SELECT kpi.close_period('2099');
SELECT kpi.reopen_period('2024-03', '');
SELECT kpi.reopen_period('2024-02', 'late');
SELECT kpi.reopen_period('2024-02', 'late', 'acme.alpha');
SELECT kpi.reopen_period('2023', 'late');
INSERT INTO kpi.period_close (period) VALUES ('2024-04');
DELETE FROM kpi.period_close;
DELETE FROM kpi.reported;
TRUNCATE kpi.reported;
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT kpi.close_period('2024-03', NULL);
ROLLBACK;
