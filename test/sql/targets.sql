-- Errors of target states, suggestions and spreading in full
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
RESET client_min_messages;
SET search_path = public;
\set SHOW_CONTEXT never
BEGIN;
INSERT INTO kpi.unit (path) VALUES ('acme'), ('acme.a'), ('acme.b'), ('acme.c');
INSERT INTO kpi.measure (code, rollup, grain) VALUES ('revenue', 'sum', 'month'), ('rate', 'ratio', 'month'), ('none', 'none', 'month'), ('tickets', 'sum', 'week');
SELECT kpi.deploy(code, 'acme') FROM kpi.measure ORDER BY measure_id;
\set ON_ERROR_ROLLBACK on
-- states
INSERT INTO kpi.target (kpi_id, period, value, state) VALUES (kpi.kpi_id('acme', 'revenue'), '2026-01', 1, 'draft');
UPDATE kpi.measure SET targets_count_from = 'draft';
SELECT kpi.agree_target('acme', 'revenue', '2026-01');
SELECT kpi.propose_target('acme', 'revenue', '2026-01-05', 1);
SELECT kpi.propose_target('acme', 'revenue', '2026-01', 1) IS NOT NULL;
UPDATE kpi.target SET state = 'agreed', agreed_by = 'bob';
SELECT kpi.agree_target('acme', 'revenue', '2026-01');
SELECT kpi.finalise_target('acme', 'revenue', '2026-01') IS NOT NULL;
SELECT kpi.finalise_target('acme', 'revenue', '2026-01');
SELECT kpi.propose_target('acme', 'revenue', '2026-01', 2);
-- benchmarks and suggestions
INSERT INTO kpi.benchmark (measure_id, source, value, percentile) SELECT measure_id, 'x', 1, 75 FROM kpi.measure;
INSERT INTO kpi.benchmark (measure_id, source, value) SELECT measure_id, 'x', 'Infinity' FROM kpi.measure;
SELECT kpi.suggest_target('acme', 'revenue', '2026-01', 'guess');
SELECT kpi.suggest_target('acme', 'revenue', NULL);
SELECT kpi.suggest_target('acme', 'revenue', '2026-W01');
SELECT kpi.cascade_target('acme', 'tickets', '2026', 520);
SELECT kpi.suggest_target('acme', 'revenue', '2026-01', 'trend', n => 1);
SELECT kpi.suggest_target('acme', 'revenue', '2026-01', 'peer_percentile', percentile => 75);
SELECT kpi.suggest_target('acme', 'revenue', '2026-01', uplift => 'NaN');
-- spreading: what is asked for
SELECT kpi.cascade_target('acme', 'revenue', '2026-01', NULL);
SELECT kpi.cascade_target('acme', 'revenue', NULL, 1);
SELECT kpi.cascade_target('acme', 'revenue', '2026-01', 'NaN');
SELECT kpi.cascade_target('acme', 'revenue', '2026-W01', 1);
SELECT kpi.cascade_target('acme', 'revenue', '2026-01', 1, 'fair');
SELECT kpi.cascade_target('acme', 'revenue', '2026-01', 1, over_periods => 'weight');
SELECT kpi.cascade_target('acme', 'revenue', '2026-01', 1, grain => 'fortnight');
SELECT kpi.cascade_target('acme', 'revenue', '2026-01', 1, grain => 'quarter');
SELECT kpi.cascade_target('acme', 'revenue', '2026-01', 1, decimals => 21);
SELECT kpi.cascade_target('acme', 'revenue', '2026-01', 1.55, decimals => 1);
SELECT kpi.cascade_target('acme', 'revenue', '2026-01', 1, 'pattern');
SELECT kpi.cascade_target('acme', 'revenue', '2026-Q1', 1, pattern => '{1,2}');
SELECT kpi.cascade_target('acme', 'revenue', '2026-Q1', 1, 'history', of_period => '2025');
SELECT kpi.cascade_target('acme', 'rate', '2026-01', 1, 'weight');
SELECT kpi.cascade_target('acme', 'rate', '2026-Q1', 1, pattern => '{1,2,3}');
SELECT kpi.cascade_target('acme', 'revenue', '2026-01', 1, state => 'draft');
SELECT kpi.cascade_target('acme.x', 'revenue', '2026-01', 1);
SELECT kpi.cascade_target('acme.a', 'revenue', '2026-01', 1);
-- spreading: what cannot be done
SELECT kpi.cascade_target('acme', 'revenue', '2026-01', 1, 'history');
SELECT kpi.cascade_target('acme', 'revenue', '2026-Q1', 1, 'history');
SELECT kpi.cascade_target('acme', 'revenue', '2026-02', 1, 'current');
SELECT kpi.cascade_target('acme', 'revenue', '2026-Q1', 1, pattern => '{0,0,0}');
INSERT INTO kpi.target (kpi_id, period, value, locked) VALUES (kpi.kpi_id('acme.a', 'revenue'), '2026-02', 50, true), (kpi.kpi_id('acme.b', 'revenue'), '2026-Q2', 50, true), (kpi.kpi_id('acme.b', 'revenue'), '2026-04', 51, true), (kpi.kpi_id('acme.c', 'revenue'), '2026-07', 0.125, true), (kpi.kpi_id('acme', 'revenue'), '2026-08', 7, true);
SELECT kpi.cascade_target('acme', 'revenue', '2026-02', 40);
SELECT kpi.cascade_target('acme', 'revenue', '2026-Q1', 40);
SELECT kpi.cascade_target('acme', 'revenue', '2026-Q2', 400);
SELECT kpi.cascade_target('acme', 'revenue', '2026-07', 40);
SELECT kpi.cascade_target('acme', 'revenue', '2026-08', 40);
SELECT kpi.record_fact('acme.a', 'revenue', '2025-09', -5) IS NOT NULL;
SELECT kpi.cascade_target('acme', 'revenue', '2026-09', 40, 'history');
UPDATE kpi.kpi SET valid_to = '2026-10-01' WHERE kpi_id = kpi.kpi_id('acme', 'revenue');
SELECT kpi.cascade_target('acme', 'revenue', '2026-11', 40);
-- adding up
SELECT kpi.rollup_targets('acme', 'none', '2026-01');
SELECT kpi.rollup_targets('acme', 'revenue', NULL);
SELECT kpi.rollup_targets('acme', 'revenue', '2026-W01');
SELECT kpi.rollup_targets('acme', 'revenue', '2026-01', state => 'draft');
SELECT count(*) AS targets FROM kpi.target;
ROLLBACK;
