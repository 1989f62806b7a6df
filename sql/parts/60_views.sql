-- What people look at.  Columns are append-only: never renamed, reordered or retyped.
--
-- Views run with their owner's rights on the tables, but call functions as the
-- user who reads.  Row security on kpi.unit is the reader's, so it is asked of
-- functions; without policies that costs one question per query.

CREATE VIEW kpi.attainment AS
SELECT x.kpi_id,
       k.unit_id,
       k.measure_id,
       h.path AS unit,
       u.path AS unit_now,
       u.name AS unit_name,
       u.level_no,
       coalesce(l.code, CASE u.level_no WHEN 1 THEN 'corporate' WHEN 2 THEN 'business_unit' WHEN 3 THEN 'department'
                                        WHEN 4 THEN 'team' ELSE concat('level_', u.level_no) END) AS level,
       m.code AS measure,
       m.name AS measure_name,
       m.unit_of_measure,
       k.owner,
       x.period,
       kpi.grain(x.period) AS grain,
       kpi.first_day(x.period) AS period_start,
       kpi.last_day(x.period) AS period_end,
       kpi.last_day(x.period) < current_date AS is_closed,
       x.actual,
       x.target,
       trim_scale(x.actual - x.target) AS variance,
       x.attainment,
       x.target_to_date,
       x.attainment_to_date,
       x.driver_score,
       x.score,
       x.status,
       x.coverage,
       x.tally
  FROM (SELECT c.kpi_id, c.period, c.actual, c.target, c.attainment, c.target_to_date, c.attainment_to_date,
               c.driver_score, c.score, c.status, c.coverage, c.tally, 0 AS source
          FROM kpi.cell c
        UNION ALL
        SELECT *
          FROM (SELECT d.kpi_id, d.period, d.actual, d.target, d.attainment, d.target_to_date, d.attainment_to_date,
                       d.driver_score, d.score, d.status, d.coverage, d.tally, 1 AS source
                  FROM kpi.dirty((SELECT v.key FROM kpi.view_key v)) d
                OFFSET 0) pending) x
  JOIN kpi.kpi k ON k.kpi_id = x.kpi_id
  JOIN kpi.unit u ON u.unit_id = k.unit_id
  JOIN kpi.measure m ON m.measure_id = k.measure_id
  LEFT JOIN kpi.level l ON l.level_no = u.level_no
  JOIN kpi.unit_path h ON h.unit_id = k.unit_id
                      AND h.valid_from <= kpi.last_day(x.period) AND h.valid_to > kpi.last_day(x.period)
 WHERE (x.source = 1 OR NOT kpi.is_dirty(x.kpi_id, x.period))
   AND CASE WHEN (SELECT kpi.row_security_applies()) THEN k.unit_id IN (SELECT v.unit_id FROM kpi.visible_units() v (unit_id)) ELSE true END;

COMMENT ON VIEW kpi.attainment IS 'One row per KPI and period: actual, target, attainment, score and status, exact at every moment, own uncommitted changes included. Never sum actual over grains or levels: coarser periods and higher units already contain the finer ones';
COMMENT ON COLUMN kpi.attainment.kpi_id IS 'The KPI';
COMMENT ON COLUMN kpi.attainment.unit_id IS 'Its unit';
COMMENT ON COLUMN kpi.attainment.measure_id IS 'Its measure';
COMMENT ON COLUMN kpi.attainment.unit IS 'Path of the unit as it was on the last day of the period';
COMMENT ON COLUMN kpi.attainment.unit_now IS 'Path of the unit by the newest recorded parentage';
COMMENT ON COLUMN kpi.attainment.unit_name IS 'Name of the unit';
COMMENT ON COLUMN kpi.attainment.level_no IS 'Level of the unit, 1 at the top';
COMMENT ON COLUMN kpi.attainment.level IS 'Name of that level';
COMMENT ON COLUMN kpi.attainment.measure IS 'Code of the measure';
COMMENT ON COLUMN kpi.attainment.measure_name IS 'Name of the measure';
COMMENT ON COLUMN kpi.attainment.unit_of_measure IS 'In what actual, target and variance are given';
COMMENT ON COLUMN kpi.attainment.owner IS 'Who owns the KPI';
COMMENT ON COLUMN kpi.attainment.period IS 'The period';
COMMENT ON COLUMN kpi.attainment.grain IS 'Day, week, month, quarter, half or year';
COMMENT ON COLUMN kpi.attainment.period_start IS 'First day of the period';
COMMENT ON COLUMN kpi.attainment.period_end IS 'Last day of the period';
COMMENT ON COLUMN kpi.attainment.is_closed IS 'Is the last day before today?';
COMMENT ON COLUMN kpi.attainment.actual IS 'What facts and links add up to; null where unknown';
COMMENT ON COLUMN kpi.attainment.target IS 'The target of the whole period, explicit or derived from finer ones';
COMMENT ON COLUMN kpi.attainment.variance IS 'actual - target';
COMMENT ON COLUMN kpi.attainment.attainment IS 'Attainment of the target of the whole period; 1 is met, neither floored nor capped';
COMMENT ON COLUMN kpi.attainment.target_to_date IS 'The part of the target that applies up to the last base period with an actual';
COMMENT ON COLUMN kpi.attainment.attainment_to_date IS 'Attainment of the target to date: the figure to judge a running period by';
COMMENT ON COLUMN kpi.attainment.driver_score IS 'What the scores of the children over score links add up to';
COMMENT ON COLUMN kpi.attainment.score IS 'Attainment to date within floor and cap, weighed with the driver score';
COMMENT ON COLUMN kpi.attainment.status IS 'The score as a word';
COMMENT ON COLUMN kpi.attainment.coverage IS 'How much of the number is known, 0 to 1';
COMMENT ON COLUMN kpi.attainment.tally IS 'The tally behind the actual: merge it with kpi.merge_agg() to combine units or periods exactly';

CREATE VIEW kpi.scorecard AS
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
       kpi.parent(a.unit)::text AS parent_unit
  FROM kpi.attainment a;
COMMENT ON VIEW kpi.scorecard IS 'kpi.attainment in plain types (text, date, numeric, boolean), for BI tools. Never sum actual over grains or levels';

-- The comments of the plain views are those of kpi.attainment.
DO $comments$
DECLARE
    view_name text;
    attribute record;
    level_no integer := 0;
BEGIN
    FOREACH view_name IN ARRAY ARRAY['scorecard', 'corporate_scorecard', 'business_unit_scorecard', 'department_scorecard', 'team_scorecard'] LOOP
        IF level_no > 0 THEN
            EXECUTE format('CREATE VIEW kpi.%I AS SELECT s.* FROM kpi.scorecard s WHERE s.level_no = %s', view_name, level_no);
            EXECUTE format('COMMENT ON VIEW kpi.%I IS %L', view_name,
                           format('kpi.scorecard of the units of level %s. Never sum actual over grains', level_no));
        END IF;
        FOR attribute IN
            SELECT a.attname, coalesce(pg_catalog.col_description('kpi.attainment'::regclass, t.attnum),
                                       'Path of the parent of the unit in the period; null for a root') AS comment
              FROM pg_catalog.pg_attribute a
              LEFT JOIN pg_catalog.pg_attribute t ON t.attrelid = 'kpi.attainment'::regclass AND t.attname = a.attname
             WHERE a.attrelid = format('kpi.%I', view_name)::regclass AND a.attnum > 0
        LOOP
            EXECUTE format('COMMENT ON COLUMN kpi.%I.%I IS %L', view_name, attribute.attname, attribute.comment);
        END LOOP;
        level_no := level_no + 1;
    END LOOP;
END
$comments$;

CREATE FUNCTION kpi.create_level_view(level_no integer, name text) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
    AS $$
DECLARE
    quoted text;
BEGIN
    -- no search_path here: an unqualified name goes where the caller's objects go
    SELECT pg_catalog.string_agg(pg_catalog.quote_ident(part), '.' ORDER BY place)
      INTO quoted
      FROM pg_catalog.unnest(pg_catalog.parse_ident(create_level_view.name)) WITH ORDINALITY AS parts(part, place);
    IF create_level_view.level_no OPERATOR(pg_catalog.<) 1 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = pg_catalog.format('level "%s" cannot have a view', create_level_view.level_no),
            HINT = 'Levels are numbered from 1, the corporate level.';
    END IF;
    EXECUTE pg_catalog.format('CREATE VIEW %s AS SELECT s.* FROM kpi.scorecard s WHERE s.level_no OPERATOR(pg_catalog.=) %s::numeric',
                              quoted, create_level_view.level_no);
END
$$;
COMMENT ON FUNCTION kpi.create_level_view(integer, text) IS 'Creates a view with that name, schema-qualified or not, over kpi.scorecard for the units of one level; an ordinary object of the caller, who needs SELECT on kpi.scorecard';

CREATE VIEW kpi.unit_score AS
SELECT a.unit_id,
       a.unit,
       a.unit_now,
       a.unit_name,
       a.level_no,
       a.level,
       a.period,
       a.grain,
       a.period_start,
       a.period_end,
       a.is_closed,
       kpi.weighted_mean(a.score, k.weight) FILTER (WHERE a.score IS NOT NULL) AS score,
       kpi.worst(a.status) AS status,
       kpi.weighted_mean(a.coverage, k.weight) AS coverage,
       count(*) AS kpis,
       count(a.score) AS scored_kpis
  FROM kpi.attainment a
  JOIN kpi.kpi k ON k.kpi_id = a.kpi_id
 GROUP BY a.unit_id, a.unit, a.unit_now, a.unit_name, a.level_no, a.level, a.period, a.grain,
          a.period_start, a.period_end, a.is_closed;
COMMENT ON VIEW kpi.unit_score IS 'One row per unit and period: the mean of the scores of its KPIs, weighted by kpi.weight';
COMMENT ON COLUMN kpi.unit_score.unit_id IS 'The unit';
COMMENT ON COLUMN kpi.unit_score.unit IS 'Its path as it was on the last day of the period';
COMMENT ON COLUMN kpi.unit_score.unit_now IS 'Its path by the newest recorded parentage';
COMMENT ON COLUMN kpi.unit_score.unit_name IS 'Its name';
COMMENT ON COLUMN kpi.unit_score.level_no IS 'Its level, 1 at the top';
COMMENT ON COLUMN kpi.unit_score.level IS 'Name of that level';
COMMENT ON COLUMN kpi.unit_score.period IS 'The period';
COMMENT ON COLUMN kpi.unit_score.grain IS 'Day, week, month, quarter, half or year';
COMMENT ON COLUMN kpi.unit_score.period_start IS 'First day of the period';
COMMENT ON COLUMN kpi.unit_score.period_end IS 'Last day of the period';
COMMENT ON COLUMN kpi.unit_score.is_closed IS 'Is the last day before today?';
COMMENT ON COLUMN kpi.unit_score.score IS 'Mean of the scores of the KPIs that have one, weighted by kpi.weight; null where none has, or all those weights are 0';
COMMENT ON COLUMN kpi.unit_score.status IS 'The worst status of its KPIs; no_data and no_target only where there is nothing else';
COMMENT ON COLUMN kpi.unit_score.coverage IS 'Mean of the coverage of all its KPIs, weighted by kpi.weight';
COMMENT ON COLUMN kpi.unit_score.kpis IS 'Number of its KPIs that have a row in the period';
COMMENT ON COLUMN kpi.unit_score.scored_kpis IS 'Number of those that have a score';

-- ENABLE TRIGGER ALL, as in scripts of pg_dump --disable-triggers, makes all
-- triggers of a table alike.
CREATE FUNCTION kpi.reset_triggers() RETURNS integer
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    changed record;
    n integer := 0;
BEGIN
    FOR changed IN
        SELECT t.of_table, t.name, t.setting
          FROM (SELECT c.oid::regclass AS of_table, t.tgname AS name, t.tgenabled,
                       CASE WHEN t.tgname LIKE '%\_replicated' AND NOT t.tgisinternal THEN 'ENABLE REPLICA'
                            WHEN t.tgname LIKE 'capture\_%' AND NOT t.tgisinternal THEN 'ENABLE ALWAYS'
                            -- that the KPI of a fact exists is checked by capture
                            WHEN c.relname = 'fact' AND t.tgisinternal
                                 AND t.tgfoid IN ('"RI_FKey_check_ins"()'::regprocedure, '"RI_FKey_check_upd"()'::regprocedure) THEN 'DISABLE'
                            ELSE 'ENABLE' END AS setting
                  FROM pg_trigger t
                  JOIN pg_class c ON c.oid = t.tgrelid
                  -- users may have triggers of their own on these tables
                  JOIN pg_proc p ON p.oid = t.tgfoid AND (t.tgisinternal OR p.pronamespace = c.relnamespace)
                 WHERE c.relnamespace = 'kpi'::regnamespace AND c.relkind = 'r') t
         WHERE t.tgenabled::text <> CASE t.setting WHEN 'ENABLE' THEN 'O' WHEN 'DISABLE' THEN 'D'
                                                   WHEN 'ENABLE ALWAYS' THEN 'A' ELSE 'R' END
    LOOP
        EXECUTE format('ALTER TABLE %s %s TRIGGER %I', changed.of_table, changed.setting, changed.name);
        n := n + 1;
    END LOOP;
    RETURN n;
END
$$;
COMMENT ON FUNCTION kpi.reset_triggers() IS 'Internal, for kpi.rebuild(): enables the triggers of the extension as they were when it was installed, and returns how many were not so';

CREATE FUNCTION kpi.rebuild() RETURNS bigint
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    before bigint := coalesce((SELECT s.cells_written FROM kpi.fold_state s), 0);
    repaired bigint;
    triggers constant integer := kpi.reset_triggers();
BEGIN
    IF triggers > 0 THEN
        RAISE NOTICE '% triggers enabled as they should be', triggers;
    END IF;
    RAISE NOTICE 'rebuilding the paths of % units', (SELECT count(*) FROM kpi.unit);
    PERFORM kpi.unit_path_rebuild();
    RAISE NOTICE 'computing the cells of % KPIs from % facts', (SELECT count(*) FROM kpi.kpi), (SELECT count(*) FROM kpi.fact);
    PERFORM kpi.refold();
    repaired := (SELECT s.cells_written FROM kpi.fold_state s) - before;
    RAISE NOTICE '% cells written', repaired;
    RETURN repaired;
END
$$;
COMMENT ON FUNCTION kpi.rebuild() IS 'Computes all paths and cells anew from the raw rows, writes what differs and returns how many cells that were; reports progress by notices. Needed only after triggers were disabled, which it enables again as they were when installed, or cells were altered by hand';
