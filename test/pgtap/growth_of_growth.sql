-- A KPI may be the growth of another in one year, and sum its units in the next,
-- when a third one shows its growth: that compares a sum with a growth, which
-- has an actual and no tally, and looks back two years.  (A fold that met it at
-- a coarser grain crashed the server; and facts of two years before got past a
-- close.)
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT plan(9);

INSERT INTO kpi.unit (unit_id, path) VALUES (1, 'co'), (2, 'co.sub');
INSERT INTO kpi.measure (measure_id, code) VALUES (1, 'x'), (2, 'g'), (3, 'h');
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) VALUES (1, 1, 1), (2, 1, 2), (3, 1, 3), (4, 2, 2);
INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes, valid_from, valid_to)
VALUES (1, 2, 'growth', NULL, '2024-01-01'), (2, 3, 'growth', '2024-01-01', NULL);
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (1, '2022-03', 100), (1, '2023-03', 200), (4, '2024-03', 5);

-- g: (200 - 100) / 100 = 1 in March 2023, 5 from co.sub in March 2024; h: (5 - 1) / 1 = 4
SELECT is((SELECT actual FROM kpi.attainment WHERE kpi_id = 3 AND period = '2024-03'), 4::numeric, 'March, read over what is pending');
SELECT is((SELECT count(*) FROM kpi.attainment WHERE kpi_id = 3 AND period = '2024-Q1' AND actual IS NULL), 1::bigint,
          'the quarter pools tallies, and of 2023 there are none');
SELECT is((SELECT count(*) FROM kpi.verify()), 0::bigint, 'nothing differs from the recomputation');
SELECT ok(kpi.fold() > 0, 'a fold');
SELECT is((SELECT actual FROM kpi.attainment WHERE kpi_id = 3 AND period = '2024-03'), 4::numeric, 'March, folded');
SELECT is((SELECT count(*) FROM kpi.verify()), 0::bigint, 'nor does anything then');

-- months of g and h, and of g at co.sub
SELECT is(kpi.close_period('2024-03'), 3::bigint, 'March 2024 is closed');
SELECT throws_ok($$INSERT INTO kpi.fact (kpi_id, period, value) VALUES (1, '2022-03', 1)$$, '55000',
                 'period "2024-03" of measure "h" at unit "co" is closed', 'facts of March 2022 count in it');
SELECT lives_ok($$INSERT INTO kpi.fact (kpi_id, period, value) VALUES (1, '2021-03', 1)$$, 'those of March 2021 do not');

SELECT * FROM finish();
ROLLBACK;
