-- What kpi.attainment_as_known() refuses, and how it says so.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
RESET client_min_messages;
BEGIN;
INSERT INTO kpi.unit (path, code) VALUES ('known', 'KN');
INSERT INTO kpi.measure (code) VALUES ('known_a'), ('known_b');
SELECT kpi.deploy('known_a', 'known');
\set ON_ERROR_ROLLBACK on
SELECT * FROM kpi.attainment_as_known(NULL);
SELECT * FROM kpi.attainment_as_known('2026-01-01', 'nowhere');
SELECT * FROM kpi.attainment_as_known('2026-01-01', 'KN'::kpi_path, NULL, '2026');
SELECT * FROM kpi.attainment_as_known('2026-01-01', measure => 'nothing');
SELECT * FROM kpi.attainment_as_known('2026-01-01', 'known', 'known_b');
SELECT * FROM kpi.attainment_as_known('2026-01-01', 'KN', 'known_a', 'March');
SELECT count(*) FROM kpi.attainment_as_known('2026-01-01', 'KN', 'known_a', '2026-03');
-- a revision that is none
\set VERBOSITY terse
INSERT INTO kpi.target_revision (kpi_id, period, change) VALUES (1, '2026', 'altered');
INSERT INTO kpi.target_revision (kpi_id, period, change) VALUES (1, '2026', 'set');
INSERT INTO kpi.fact_revision (fact_id, kpi_id, period, value, weight, recorded_at, recorded_by, known_from, known_to, change)
VALUES (1, 1, '2026-01', 1, 1, '2026-01-01', 'x', '2026-01-02', '2026-01-01', 'changed');
ROLLBACK;
