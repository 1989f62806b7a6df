-- What objectives, lines of sight and strategy maps refuse, and how they say it.
\set VERBOSITY default
\set SHOW_CONTEXT never
\set ON_ERROR_ROLLBACK on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
BEGIN;
INSERT INTO kpi.unit (path) VALUES ('co'), ('co.a');
INSERT INTO kpi.measure (code, grain, fiscal_start) VALUES ('m', 'quarter', 4), ('w', 'week', 1);
SELECT kpi.deploy('m', 'co'), kpi.deploy('w', 'co');
INSERT INTO kpi.objective (objective_id, code, parent_objective_id) VALUES (3, 'driver', 2), (2, 'goal', 1), (1, 'vision', NULL);
UPDATE kpi.kpi SET objective_id = 3 WHERE kpi_id = kpi.kpi_id('co.a', 'm');

-- the row
INSERT INTO kpi.objective (code, kind) VALUES ('x', 'okr');
INSERT INTO kpi.objective (code, weight) VALUES ('x', -1);
INSERT INTO kpi.objective (code, weight) VALUES ('x', 'NaN');
INSERT INTO kpi.objective (code, valid_from, valid_to) VALUES ('x', '2026-01-01', '2026-01-01');
INSERT INTO kpi.objective (objective_id, code, parent_objective_id) VALUES (9, 'x', 9);
INSERT INTO kpi.objective (code) VALUES ('goal');

-- the tree
INSERT INTO kpi.objective (objective_id, code, parent_objective_id) VALUES (9, 'x', 77);
UPDATE kpi.objective SET parent_objective_id = 3 WHERE code = 'vision';
INSERT INTO kpi.objective (objective_id, code, parent_objective_id) VALUES (8, 'x', 9), (9, 'y', 8);
DELETE FROM kpi.objective WHERE code = 'goal';
DELETE FROM kpi.objective WHERE code = 'driver';
UPDATE kpi.objective SET objective_id = 20 WHERE code = 'goal';
UPDATE kpi.kpi SET objective_id = 77 WHERE kpi_id = kpi.kpi_id('co.a', 'm');

-- what is asked for
SELECT * FROM kpi.line_of_sight('co', 'nothing');
SELECT * FROM kpi.line_of_sight('nowhere', 'm');
SELECT period FROM kpi.line_of_sight('co', 'm', '2026-08');
SELECT way, depth, unit, measure, period FROM kpi.line_of_sight('co', 'm', '2026-Q3');
SELECT * FROM kpi.line_of_sight('co', 'w', '2026-08');
SELECT * FROM kpi.drivers('co', 'm', 'FY2027-Q1/04', -1);
SELECT kpi.strategy_map('nowhere');
SELECT kpi.strategy_map('co', '2026-08', 'svg');
SELECT kpi.strategy_map('co', 'August');
SELECT kpi.strategy_map('co', max_depth => -1);

-- an empty map is a map
DELETE FROM kpi.kpi;
DELETE FROM kpi.objective;
SELECT kpi.strategy_map('co', '2026-08', 'dot');

ROLLBACK;
