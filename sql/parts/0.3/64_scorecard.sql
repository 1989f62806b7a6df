-- The scorecards gain columns, at their end.  What a query does not ask for is
-- not computed: the planner leaves the lookups of kpi.trend out.

CREATE OR REPLACE VIEW kpi.scorecard AS
SELECT a.kpi_id::numeric AS kpi_id,
       a.unit_id::numeric AS unit_id,
       a.measure_id::numeric AS measure_id,
       a.unit::text AS unit,
       a.unit_now::text AS unit_now,
       a.unit_name,
       a.level_no::numeric AS level_no,
       a.level,
       a.measure,
       a.measure_name,
       a.unit_of_measure,
       a.owner,
       a.period::text AS period,
       a.grain::text AS grain,
       a.period_start,
       a.period_end,
       a.is_closed,
       a.actual,
       a.target,
       a.variance,
       a.attainment,
       a.target_to_date,
       a.attainment_to_date,
       a.driver_score,
       a.score,
       a.status::text AS status,
       a.coverage,
       a.tally::text AS tally,
       kpi.parent(a.unit)::text AS parent_unit,
       (SELECT o.code FROM kpi.kpi k JOIN kpi.objective o ON o.objective_id = k.objective_id WHERE k.kpi_id = a.kpi_id) AS objective,
       -- as kpi.objective_perspective has it, by keys alone
       (WITH RECURSIVE up (perspective, parent_objective_id) AS (
            SELECT o.perspective, o.parent_objective_id
              FROM kpi.kpi k JOIN kpi.objective o ON o.objective_id = k.objective_id WHERE k.kpi_id = a.kpi_id
            UNION ALL
            SELECT o.perspective, o.parent_objective_id
              FROM up JOIN kpi.objective o ON o.objective_id = up.parent_objective_id WHERE up.perspective IS NULL)
        SELECT up.perspective FROM up WHERE up.perspective IS NOT NULL) AS perspective,
       a.previous,
       a.change,
       a.relative_change,
       a.year_to_date,
       a.year_to_date_target,
       a.year_to_date_attainment
  FROM kpi.trend a;
COMMENT ON VIEW kpi.scorecard IS 'kpi.attainment in plain types (text, date, numeric, boolean), for BI tools, with the objective each KPI serves, the period before and the year to date. Never sum actual over grains or levels';

DO $views$
DECLARE
    view_name text;
    attribute record;
    level_no integer := 0;
BEGIN
    FOREACH view_name IN ARRAY ARRAY['scorecard', 'corporate_scorecard', 'business_unit_scorecard', 'department_scorecard', 'team_scorecard'] LOOP
        IF level_no > 0 THEN
            EXECUTE format('CREATE OR REPLACE VIEW kpi.%I AS SELECT s.* FROM kpi.scorecard s WHERE s.level_no = %s', view_name, level_no);
        END IF;
        FOR attribute IN
            SELECT c.name, coalesce(c.comment, pg_catalog.col_description('kpi.trend'::regclass, t.attnum)) AS comment
              FROM (VALUES ('objective', 'Code of the objective that the KPI serves'),
                           ('perspective', 'Perspective of that objective, or of the nearest above it that has one'),
                           ('previous', NULL), ('change', NULL), ('relative_change', NULL),
                           ('year_to_date', NULL), ('year_to_date_target', NULL), ('year_to_date_attainment', NULL)) AS c (name, comment)
              LEFT JOIN pg_catalog.pg_attribute t ON t.attrelid = 'kpi.trend'::regclass AND t.attname = c.name
        LOOP
            EXECUTE format('COMMENT ON COLUMN kpi.%I.%I IS %L', view_name, attribute.name, attribute.comment);
        END LOOP;
        level_no := level_no + 1;
    END LOOP;
END
$views$;
