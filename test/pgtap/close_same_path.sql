-- A unit moves away, and another one gets its path: on days of the past both have
-- the same one.  Closing a period for one of them closes nothing of the other.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT plan(8);

INSERT INTO kpi.measure (measure_id, code) VALUES (1, 'sales');
INSERT INTO kpi.unit (unit_id, path) VALUES (1, 'r'), (2, 'r.a'), (3, 'r.b'), (4, 'r.a.x'), (5, 'r.a.x.y');
SELECT kpi.move_unit('r.a.x', 'r.b', '2025-07-01') \g /dev/null
INSERT INTO kpi.unit (unit_id, path) VALUES (6, 'r.a.x');
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) SELECT u, u, 1 FROM generate_series(1, 6) u;
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (4, '2025-01', 1), (5, '2025-01', 2), (6, '2025-01', 4), (5, '2025-08', 8);
SELECT set_eq($$SELECT unit_id FROM kpi.attainment WHERE unit = 'r.a.x' AND period = '2025-01'$$, ARRAY[4, 6], 'two units with one path in January');

SELECT is(kpi.close_period('2025-01', 'r.a.x'), 1::bigint, 'closed for the one that has it now: one cell');
SELECT set_eq('SELECT kpi_id, actual FROM kpi.reported', 'VALUES (6::bigint, 4::numeric)', 'its own');
SELECT lives_ok($$INSERT INTO kpi.fact (kpi_id, period, value) VALUES (4, '2025-01', 10)$$, 'the other one goes on');
SELECT is_empty('SELECT * FROM kpi.reported_difference WHERE differs', 'which changes nothing reported');
SELECT is(kpi.close_period('2025-01', 'r.b.x'), 2::bigint, 'and can be closed as well, with the one beneath it');

SELECT is(kpi.close_period('2025', 'r.b'), 12::bigint, 'closed for the unit it has moved to: August, the third quarter and the year of three units, and the second half');
SELECT set_eq('SELECT DISTINCT kpi_id FROM kpi.reported WHERE period_close_id = (SELECT max(period_close_id) FROM kpi.reported)', ARRAY[3, 4, 5], 'the moved ones with it');

SELECT * FROM finish();
ROLLBACK;
