-- A fold in the middle of a statement that changes facts, by its RETURNING or a
-- trigger: it may see rows that capture has not been told of, and where it looks
-- at facts again it counts them.  They must not count once more when they are
-- captured.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SET LOCAL kpi_cascade.fold_mode = manual;
SELECT plan(9);

INSERT INTO kpi.measure (measure_id, code, rollup) VALUES (1, 'sales', 'sum'), (2, 'longest', 'max');
INSERT INTO kpi.unit (unit_id, path) VALUES (1, 'shop'), (2, 'shop.east');
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) VALUES (1, 1, 1), (2, 2, 1), (3, 2, 2);

-- the actuals of a KPI in January, February and the year
CREATE FUNCTION shown(kpi_id bigint) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', 'month', string_agg(a.actual::text, ' ' ORDER BY a.period) FILTER (WHERE a.grain = 'month'), 'year', max(a.actual) FILTER (WHERE a.grain = 'year'))
      FROM kpi.attainment a WHERE a.kpi_id = shown.kpi_id
$$;

-- the KPIs are new, so a fold looks at all their facts
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (2, '2026-01', 10), (2, '2026-02', 20) RETURNING kpi.fold() \g /dev/null
SELECT is(shown(1), 'month 10 20 year 30', 'folded for each row by RETURNING: each counts once');
SELECT kpi.fold() \g /dev/null
SELECT is(shown(1), 'month 10 20 year 30', 'and when the rest is folded');
SELECT is_empty('SELECT * FROM kpi.verify()', 'as recomputed');

CREATE FUNCTION fold_now() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM kpi.fold(); RETURN NULL; END $$;
CREATE TRIGGER a_fold AFTER INSERT OR DELETE ON kpi.fact FOR EACH ROW EXECUTE FUNCTION fold_now();
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (3, '2026-01', 5), (3, '2026-01', 9), (3, '2026-02', 7);
-- the greatest is gone, so the fold looks at the others again
DELETE FROM kpi.fact WHERE value = 9;
SELECT is(shown(3), 'month 5 7 year 7', 'folded by a trigger for each row, the greatest deleted');
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) VALUES (4, 1, 2);
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (3, '2026-01', 6), (4, '2026-01', 3);
SELECT is(shown(4), 'month 6 7 year 7', 'a new KPI above');
SELECT kpi.fold() \g /dev/null
SELECT is_empty('SELECT * FROM kpi.verify()', 'as recomputed, folded');
DROP TRIGGER a_fold ON kpi.fact;

CREATE FUNCTION rebuild_now() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM kpi.rebuild(); RETURN NULL; END $$;
CREATE TRIGGER a_rebuild AFTER INSERT ON kpi.fact FOR EACH STATEMENT EXECUTE FUNCTION rebuild_now();
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (2, '2026-01', 100);
SELECT is(shown(1), 'month 110 20 year 130', 'rebuilt by a trigger: the new fact counts once');
DROP TRIGGER a_rebuild ON kpi.fact;
SELECT kpi.fold() \g /dev/null
SELECT is(shown(1), 'month 110 20 year 130', 'folded after it');
SELECT is_empty('SELECT * FROM kpi.verify()', 'as recomputed again');

SELECT * FROM finish();
ROLLBACK;
