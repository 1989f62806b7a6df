-- Why is a number what it is?  kpi.explain and kpi.tree take a number apart,
-- kpi.restated shows all numbers as they would be with another day's structure.
--
-- All of it runs with the caller's rights and reads views, which row security
-- on kpi.unit limits; only kpi.links_in_force reads with the owner's rights,
-- so that what counts does not depend on who looks.

-- ---------------------------------------------------------------- what is read

CREATE VIEW kpi.described_kpi AS
SELECT k.kpi_id,
       k.unit_id,
       k.measure_id,
       u.path AS unit_now,
       u.name AS unit_name,
       u.level_no,
       coalesce(l.code, CASE u.level_no WHEN 1 THEN 'corporate' WHEN 2 THEN 'business_unit' WHEN 3 THEN 'department'
                                        WHEN 4 THEN 'team' ELSE concat('level_', u.level_no) END) AS level,
       m.code AS measure,
       m.name AS measure_name,
       m.unit_of_measure,
       k.owner,
       k.weight,
       m.direction,
       m.rollup,
       m.time_rollup,
       m.multiplier,
       m.score_floor,
       m.score_cap,
       m.driver_rollup,
       m.result_weight,
       m.missing_child,
       m.grain,
       m.fiscal_start,
       coalesce(h.path, u.path) AS path,
       coalesce(h.valid_from, '-infinity') AS path_from,
       coalesce(h.valid_to, 'infinity') AS path_to
  FROM kpi.kpi k
  JOIN kpi.unit u ON u.unit_id = k.unit_id
  JOIN kpi.measure m ON m.measure_id = k.measure_id
  LEFT JOIN kpi.level l ON l.level_no = u.level_no
  LEFT JOIN kpi.unit_path h ON h.unit_id = k.unit_id
 WHERE CASE WHEN (SELECT kpi.row_security_applies()) THEN kpi.may_see_unit(k.unit_id) ELSE true END;
COMMENT ON VIEW kpi.described_kpi IS 'Internal: each KPI with its names, the rules of its measure and the path of its unit, one row per stretch of time with one path';
COMMENT ON COLUMN kpi.described_kpi.kpi_id IS 'The KPI';
COMMENT ON COLUMN kpi.described_kpi.unit_id IS 'Its unit';
COMMENT ON COLUMN kpi.described_kpi.measure_id IS 'Its measure';
COMMENT ON COLUMN kpi.described_kpi.unit_now IS 'Path of the unit by the newest recorded parentage';
COMMENT ON COLUMN kpi.described_kpi.unit_name IS 'Name of the unit';
COMMENT ON COLUMN kpi.described_kpi.level_no IS 'Level of the unit, 1 at the top';
COMMENT ON COLUMN kpi.described_kpi.level IS 'Name of that level';
COMMENT ON COLUMN kpi.described_kpi.measure IS 'Code of the measure';
COMMENT ON COLUMN kpi.described_kpi.measure_name IS 'Name of the measure';
COMMENT ON COLUMN kpi.described_kpi.unit_of_measure IS 'In what its numbers are given';
COMMENT ON COLUMN kpi.described_kpi.owner IS 'Who owns the KPI';
COMMENT ON COLUMN kpi.described_kpi.weight IS 'Weight of the KPI in the score of its unit';
COMMENT ON COLUMN kpi.described_kpi.direction IS 'Rule of the measure: higher or lower';
COMMENT ON COLUMN kpi.described_kpi.rollup IS 'Rule of the measure: sum, mean, weighted_mean, ratio, min, max, count or none';
COMMENT ON COLUMN kpi.described_kpi.time_rollup IS 'Rule of the measure: pool, last or mean';
COMMENT ON COLUMN kpi.described_kpi.multiplier IS 'Rule of the measure: factor of a ratio or a growth';
COMMENT ON COLUMN kpi.described_kpi.score_floor IS 'Rule of the measure: lowest result in a score, null for none';
COMMENT ON COLUMN kpi.described_kpi.score_cap IS 'Rule of the measure: highest result in a score, null for none';
COMMENT ON COLUMN kpi.described_kpi.driver_rollup IS 'Rule of the measure: mean, min or max of the children''s scores';
COMMENT ON COLUMN kpi.described_kpi.result_weight IS 'Rule of the measure: weight of the own result in the score';
COMMENT ON COLUMN kpi.described_kpi.missing_child IS 'Rule of the measure: exclude, zero or require';
COMMENT ON COLUMN kpi.described_kpi.grain IS 'Grain of the measure''s base periods';
COMMENT ON COLUMN kpi.described_kpi.fiscal_start IS 'Month in which its fiscal year starts';
COMMENT ON COLUMN kpi.described_kpi.path IS 'Path of the unit in the stretch of time';
COMMENT ON COLUMN kpi.described_kpi.path_from IS 'First day of the stretch, -infinity for the first';
COMMENT ON COLUMN kpi.described_kpi.path_to IS 'First day after the stretch, infinity for the last';

CREATE VIEW kpi.current_cell AS
SELECT x.kpi_id, x.period, x.actual, x.target, x.attainment_to_date, x.driver_score, x.score, x.status,
       x.coverage, x.tally, x.own
  FROM (SELECT c.kpi_id, c.period, c.actual, c.target, c.attainment_to_date, c.driver_score, c.score, c.status,
               c.coverage, c.tally, CASE WHEN c.has_own THEN coalesce(c.own, c.tally) END AS own, 0 AS source
          FROM kpi.cell c
        UNION ALL
        SELECT *
          FROM (SELECT d.kpi_id, d.period, d.actual, d.target, d.attainment_to_date, d.driver_score, d.score, d.status,
                       d.coverage, d.tally, CASE WHEN d.has_own THEN coalesce(d.own, d.tally) END AS own, 1 AS source
                  FROM kpi.dirty() d
                OFFSET 0) pending) x
 WHERE (x.source = 1 OR NOT kpi.is_dirty(x.kpi_id, x.period))
   AND CASE WHEN (SELECT kpi.row_security_applies())
            THEN kpi.may_see_unit((SELECT k.unit_id FROM kpi.kpi k WHERE k.kpi_id = x.kpi_id)) ELSE true END;
COMMENT ON VIEW kpi.current_cell IS 'Internal: kpi.cell with what is still pending, as kpi.attainment shows it, and the tally of the own facts';
COMMENT ON COLUMN kpi.current_cell.kpi_id IS 'The KPI';
COMMENT ON COLUMN kpi.current_cell.period IS 'The period';
COMMENT ON COLUMN kpi.current_cell.actual IS 'What facts and links add up to; null where unknown';
COMMENT ON COLUMN kpi.current_cell.target IS 'The target of the whole period, explicit or derived';
COMMENT ON COLUMN kpi.current_cell.attainment_to_date IS 'Attainment of the target to date';
COMMENT ON COLUMN kpi.current_cell.driver_score IS 'What the scores of the children over score links add up to';
COMMENT ON COLUMN kpi.current_cell.score IS 'Attainment to date within floor and cap, weighed with the driver score';
COMMENT ON COLUMN kpi.current_cell.status IS 'The score as a word';
COMMENT ON COLUMN kpi.current_cell.coverage IS 'How much of the number is known, 0 to 1';
COMMENT ON COLUMN kpi.current_cell.tally IS 'The tally behind the actual';
COMMENT ON COLUMN kpi.current_cell.own IS 'The tally of the own facts that count in the actual beside links; null where there are none';

-- ---------------------------------------------------------------- restated

CREATE FUNCTION kpi.restated_cells(as_of date) RETURNS SETOF kpi.cell
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED ROWS 10000 COST 100000
    AS 'MODULE_PATHNAME', 'kpi_restated_cells';
COMMENT ON FUNCTION kpi.restated_cells(date) IS 'Internal to kpi.restated(): every cell, computed from facts and targets with the parents and links of that day';

CREATE FUNCTION kpi.restated(as_of date) RETURNS SETOF kpi.attainment
    LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED ROWS 10000
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.kpi_id, k.unit_id, k.measure_id, k.path, k.unit_now, k.unit_name, k.level_no, k.level,
           k.measure, k.measure_name, k.unit_of_measure, k.owner,
           c.period, kpi.grain(c.period), kpi.first_day(c.period), kpi.last_day(c.period),
           kpi.last_day(c.period) < current_date,
           c.actual, c.target, trim_scale(c.actual - c.target), c.attainment,
           c.target_to_date, c.attainment_to_date, c.driver_score, c.score, c.status, c.coverage, c.tally
      FROM kpi.restated_cells(as_of) c
      JOIN kpi.described_kpi k ON k.kpi_id = c.kpi_id AND k.path_from <= as_of AND (k.path_to > as_of OR k.path_to = 'infinity')
$$;
COMMENT ON FUNCTION kpi.restated(date) IS 'The rows of kpi.attainment as they would be if on every day the parents, shares and links of one day had been in force (as is, where kpi.attainment is as was). unit is the path on that day; a unit without history on it keeps its latest earlier parent, else its earliest later one. Units, KPIs and targets count by the period, as ever. Computes all numbers from the facts, whatever is asked of it: filter once, and keep the result where it is used often';
