-- A session that has written facts of many KPIs gets to know their neighbours,
-- and still refuses what it has to refuse of them.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
RESET client_min_messages;
INSERT INTO kpi.unit (path) SELECT 'near' || u FROM unnest('{"",.a,.b,.c,.d,.e,.f,.g,.h,.i,.j,.k,.l}'::text[]) u;
INSERT INTO kpi.measure (code, grain, rolls_up) VALUES ('near_month', 'month', true), ('near_quarter', 'quarter', true), ('near_growth', 'month', false);
SELECT sum(kpi.deploy(code, 'near')) AS kpis FROM kpi.measure WHERE code LIKE 'near%';
SELECT kpi.link_kpi('near', 'near_month', 'near', 'near_growth', 'growth') IS NOT NULL AS linked;
CREATE FUNCTION pg_temp.near(unit text, measure text) RETURNS bigint LANGUAGE sql AS 'SELECT kpi.kpi_id(unit, measure)';
-- eleven units, one statement each: more than are looked up one by one
DO $$
DECLARE
    unit text;
BEGIN
    FOREACH unit IN ARRAY '{a,b,c,d,e,f,g,h,i,j,k}'::text[] LOOP
        INSERT INTO kpi.fact (kpi_id, period, value) VALUES (pg_temp.near('near.' || unit, 'near_month'), '2026-01', 1);
    END LOOP;
END
$$;
-- the twelfth, and a quarter where there are quarters
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (pg_temp.near('near.l', 'near_month'), '2026-01', 1);
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (pg_temp.near('near.l', 'near_quarter'), '2026-Q1', 1);
-- the wrong grain, a growth KPI, and one that is gone
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (pg_temp.near('near.k', 'near_quarter'), '2026-01', 1);
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (pg_temp.near('near', 'near_growth'), '2026-01', 1);
SELECT pg_temp.near('near.j', 'near_quarter') AS gone \gset
DELETE FROM kpi.kpi WHERE kpi_id = :gone;
\set VERBOSITY sqlstate
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (:gone, '2026-Q1', 1);
\set VERBOSITY default
-- 12 facts of 1 in January; one in the quarter
SELECT measure, actual FROM kpi.scorecard WHERE unit = 'near' AND period IN ('2026-01', '2026-Q1') ORDER BY measure, period;
SELECT count(*) AS differences FROM kpi.verify();
SET client_min_messages = warning;
DELETE FROM kpi.fact WHERE kpi_id IN (SELECT k.kpi_id FROM kpi.kpi k JOIN kpi.unit u USING (unit_id) WHERE u.path <@ 'near');
DELETE FROM kpi.link WHERE child_kpi_id IN (SELECT k.kpi_id FROM kpi.kpi k JOIN kpi.unit u USING (unit_id) WHERE u.path <@ 'near');
DELETE FROM kpi.unit WHERE path <@ 'near' AND path <> 'near';
DELETE FROM kpi.unit WHERE path = 'near';
DELETE FROM kpi.measure WHERE code LIKE 'near%';
