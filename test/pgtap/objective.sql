-- Objectives: the tree, and the scores of objectives and perspectives.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SELECT no_plan();

INSERT INTO kpi.unit (path) VALUES ('co'), ('co.a'), ('co.b');
INSERT INTO kpi.measure (code, rolls_up) VALUES ('m1', false), ('m2', false), ('m3', false);
SELECT kpi.deploy(m, 'co') FROM unnest('{m1,m2,m3}'::text[]) m \g /dev/null

-- vision <- growth (2) <- driver (3), vision <- customers (1)
INSERT INTO kpi.objective (objective_id, code, kind, perspective, parent_objective_id, weight, unit_id, valid_to) VALUES
    (4, 'driver', 'business_driver', NULL, 2, 3, (SELECT unit_id FROM kpi.unit WHERE path = 'co.a'), '2026-08-01'),
    (2, 'growth', 'strategic_objective', 'financial', 1, 2, NULL, NULL),
    (3, 'customers', 'strategic_objective', 'customer', 1, 1, NULL, NULL),
    (1, 'vision', 'vision', NULL, NULL, 1, NULL, NULL);
SELECT setval('kpi.objective_objective_id_seq', 10) \g /dev/null

CREATE FUNCTION pg_temp.serve(unit text, measure text, objective text, weight numeric) RETURNS void LANGUAGE sql AS
$$UPDATE kpi.kpi SET objective_id = (SELECT o.objective_id FROM kpi.objective o WHERE o.code = objective), weight = serve.weight WHERE kpi_id = kpi.kpi_id(unit, measure)$$;
SELECT pg_temp.serve('co', 'm1', 'growth', 1), pg_temp.serve('co', 'm2', 'growth', 2), pg_temp.serve('co.a', 'm1', 'driver', 1),
       pg_temp.serve('co.b', 'm1', 'customers', 1), pg_temp.serve('co.b', 'm2', 'customers', 1) \g /dev/null
SELECT kpi.set_target('co', 'm1', p, 100), kpi.set_target('co', 'm2', p, 100), kpi.set_target('co.a', 'm1', p, 3), kpi.set_target('co.b', 'm2', p, 5),
       kpi.record_fact('co', 'm1', p, 80), kpi.record_fact('co', 'm2', p, 50), kpi.record_fact('co.a', 'm1', p, 1), kpi.record_fact('co.b', 'm1', p, 7)
  FROM unnest('{2026-07,2026-08}'::text[]) p \g /dev/null

CREATE FUNCTION pg_temp.shown(period kpi_period) RETURNS SETOF text LANGUAGE sql AS
$$SELECT concat_ws(' ', s.code, s.score, s.status, s.coverage, s.kpis, s.scored_kpis, s.sub_objectives, s.scored_sub_objectives)
    FROM kpi.objective_score s WHERE s.period = shown.period ORDER BY s.objective_id$$;

-- driver: 1 of 3 is 1 - 2/3 = 0.333333333333.  growth: its KPIs score 0.8 and 0.5,
-- (1*0.8 + 2*0.5 + 3*0.333333333333) / 6 = 2.799999999999 / 6 = 0.4666666666665,
-- which is rounded away from zero.  customers: one KPI has an actual and no
-- target, one a target and no actual, so no score; coverage (1 + 0) / 2.
-- vision: only growth has a score; coverage (2*1 + 1*0.5) / 3.
CREATE FUNCTION pg_temp.july() RETURNS text[] LANGUAGE sql AS $$SELECT ARRAY[
    'vision 0.466666666667 off_track 0.833333333333 0 0 2 1',
    'growth 0.466666666667 off_track 1 2 2 1 1',
    'customers no_data 0.5 2 0 0 0',
    'driver 0.333333333333 off_track 1 1 1 0 0']$$;
SELECT results_eq($$SELECT pg_temp.shown('2026-07')$$, $$SELECT unnest(pg_temp.july())$$, 'weighted scores from the bottom up, worst status, coverage');
SELECT kpi.fold() \g /dev/null
SELECT results_eq($$SELECT pg_temp.shown('2026-07')$$, $$SELECT unnest(pg_temp.july())$$, 'the same once folded');
-- the driver's last day is 31 July: (0.8 + 2*0.5) / 3
SELECT results_eq($$SELECT pg_temp.shown('2026-08')$$, ARRAY[
    'vision 0.6 off_track 0.833333333333 0 0 2 1', 'growth 0.6 off_track 1 2 2 0 0', 'customers no_data 0.5 2 0 0 0'],
    'an objective that has ended has no row and counts nowhere');
-- the third quarter: the same scores, as sums of two equal months; coverage 2/3 of what it was
SELECT is((SELECT score FROM kpi.objective_score WHERE code = 'vision' AND period = '2026-Q3'), 0.6, 'coarser periods have their own scores');
SELECT is((SELECT count(*) FROM kpi.objective_score WHERE period = '2026-06'), 0::bigint, 'no row where no KPI has one');

-- an objective that ends in between cuts off what is beneath it
UPDATE kpi.objective SET valid_to = '2026-07-15' WHERE code = 'growth';
SELECT results_eq($$SELECT pg_temp.shown('2026-07')$$, ARRAY[
    'vision no_data 0.5 0 0 1 0', 'customers no_data 0.5 2 0 0 0', 'driver 0.333333333333 off_track 1 1 1 0 0'],
    'a sub-objective that is not alive counts nowhere, nor do those beneath it');
UPDATE kpi.objective SET valid_to = NULL WHERE code = 'growth';
-- so does its unit
UPDATE kpi.unit SET valid_from = '2026-08-01' WHERE path = 'co.a';
SELECT is((SELECT count(*) FROM kpi.objective_score WHERE code = 'driver'), 0::bigint, 'an objective is alive while its unit is');
UPDATE kpi.unit SET valid_from = NULL WHERE path = 'co.a';

-- all weights 0: (0.8*0 + 0.5*0) / 0
SAVEPOINT weightless;
UPDATE kpi.kpi SET weight = 0 WHERE objective_id = 2;
UPDATE kpi.objective SET weight = 0 WHERE code = 'driver';
SELECT results_eq($$SELECT pg_temp.shown('2026-07')$$, ARRAY[
    'vision off_track 0.5 0 0 2 0', 'growth off_track 2 2 1 1', 'customers no_data 0.5 2 0 0 0', 'driver 0.333333333333 off_track 1 1 1 0 0'],
    'weights that are all zero give no score and no coverage, but a status');
ROLLBACK TO weightless;

-- against plain SQL over the KPIs' scores, for trees of one level
SELECT is_empty($$
    SELECT s.code, s.period, s.score FROM kpi.objective_score s WHERE s.sub_objectives = 0
    EXCEPT
    SELECT o.code, a.period, trim_scale(round(sum(k.weight * a.score) / nullif(sum(k.weight) FILTER (WHERE a.score IS NOT NULL), 0), 12))
      FROM kpi.objective o JOIN kpi.kpi k USING (objective_id) JOIN kpi.attainment a USING (kpi_id)
     GROUP BY o.code, a.period$$, 'as plain SQL over kpi.attainment has it');

-- only the cells of the period are read
CREATE FUNCTION pg_temp.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || query; END$$;
SELECT is_empty($$
    SELECT p FROM (SELECT p, lead(p) OVER () AS cond FROM pg_temp.plan('SELECT * FROM kpi.objective_score WHERE period = ''2026-08''') p) s
     WHERE p ~ 'Scan.* on cell' AND cond !~ 'period = ''2026-08'''$$, 'a period asked for limits the cells that are read');
-- ---------------------------------------------------------------- perspectives

SELECT results_eq($$SELECT objective_id, perspective FROM kpi.objective_perspective ORDER BY 1$$,
    $$VALUES (1::bigint, NULL), (2, 'financial'), (3, 'customer'), (4, 'financial')$$, 'a perspective is inherited from above');
SELECT results_eq($$SELECT unit::text, perspective, perspective_no, score, status::text, coverage, kpis, scored_kpis
                      FROM kpi.perspective_score WHERE period = '2026-07' ORDER BY unit, perspective_no$$,
    -- co: (0.8 + 2*0.5) / 3
    $$VALUES ('co', 'financial', 1, 0.6, 'off_track', 1::numeric, 2::bigint, 2::bigint),
             ('co.a', 'financial', 1, 0.333333333333, 'off_track', 1, 1, 1),
             ('co.b', 'customer', 2, NULL, 'no_data', 0.5, 2, 0)$$, 'scores by unit and perspective');
SELECT kpi.record_fact('co', 'm3', '2026-07', 1) \g /dev/null
SELECT is((SELECT kpis FROM kpi.perspective_score WHERE unit = 'co' AND period = '2026-07' AND perspective IS NULL), 1::bigint, 'KPIs without an objective have a row of their own');
SELECT is(array_agg(kpi.perspective_no(p)), '{1,2,3,4,NULL,NULL}', 'the places of perspectives')
  FROM unnest('{financial,customer,internal_process,learning_and_growth,society,NULL}'::text[]) p;
SELECT lives_ok($$INSERT INTO kpi.objective (code, perspective) VALUES ('green', 'society')$$, 'any other perspective will do');

-- ---------------------------------------------------------------- the tree

SELECT throws_like($$UPDATE kpi.objective SET parent_objective_id = 4 WHERE code = 'vision'$$,
    'objectives would form a cycle: vision -> driver -> growth -> vision', 'a cycle is refused and named');
SELECT throws_ok($$UPDATE kpi.objective SET parent_objective_id = 4 WHERE code = 'vision'$$, '23001');
SELECT lives_ok($$UPDATE kpi.objective SET parent_objective_id = CASE code WHEN 'growth' THEN 4 ELSE 1 END WHERE code IN ('growth', 'driver')$$,
    'one statement may turn two around');
SELECT throws_ok($$DELETE FROM kpi.objective WHERE code = 'growth'$$, '23503', 'objective "growth" still has KPIs');
SELECT throws_ok($$DELETE FROM kpi.objective WHERE code = 'vision'$$, '23503', 'objective "vision" still has sub-objectives');
SELECT throws_ok($$INSERT INTO kpi.objective (code, parent_objective_id) VALUES ('lost', 77)$$, '23503', 'objective 77 does not exist');
SELECT lives_ok($$INSERT INTO kpi.objective (objective_id, code, parent_objective_id) VALUES (51, 'below', 50), (50, 'above', NULL)$$, 'a parent may come later in the statement');
SELECT lives_ok($$UPDATE kpi.objective SET objective_id = objective_id + 10, parent_objective_id = CASE code WHEN 'below' THEN 60 END WHERE code IN ('below', 'above')$$, 'keys may change together');
SELECT lives_ok($$DELETE FROM kpi.objective WHERE code IN ('below', 'above')$$, 'and both go together');
SELECT lives_ok($$INSERT INTO kpi.objective (code, name) VALUES ('green', 'Green') ON CONFLICT (code) DO UPDATE SET name = EXCLUDED.name$$, 'ON CONFLICT');
SELECT lives_ok($$MERGE INTO kpi.objective o USING (VALUES ('blue')) n (code) ON o.code = n.code WHEN NOT MATCHED THEN INSERT (code) VALUES (n.code)$$, 'MERGE');

-- units take their objectives with them, in one statement with the KPIs that serve these
INSERT INTO kpi.unit (path) VALUES ('new'), ('new.a'), ('new.a.b');
SELECT kpi.deploy('m1', 'new') \g /dev/null
INSERT INTO kpi.objective (objective_id, code, unit_id, parent_objective_id)
SELECT 70 + kpi.depth(path), path::text, unit_id, CASE WHEN kpi.depth(path) > 1 THEN 69 + kpi.depth(path) END FROM kpi.unit WHERE path <@ 'new';
UPDATE kpi.kpi SET objective_id = 71 WHERE kpi_id = kpi.kpi_id('new.a.b', 'm1');
SELECT throws_ok($$DELETE FROM kpi.unit WHERE path = 'new.a.b'; DELETE FROM kpi.objective WHERE code = 'new.a'; DELETE FROM kpi.objective WHERE code = 'new'; SELECT 1/0$$, '22012', NULL, 'from the bottom it goes step by step');
SELECT lives_ok($$DELETE FROM kpi.unit WHERE path <@ 'new'$$, 'units go with their objectives, whoever serves these');
SELECT is((SELECT count(*) FROM kpi.objective WHERE code LIKE 'new%'), 0::bigint, 'none is left');
SELECT is_empty('SELECT * FROM kpi.verify()', 'figures do not depend on objectives');

SELECT * FROM finish();
ROLLBACK;
