-- The views over cells.
--
-- They look into the two generations in which live cells are: each branch of
-- the union names the one it wants, and the condition stands outside, since the
-- planner takes lookups by key into branches without a WHERE only (and into
-- functions only where they are in a subquery, hence OFFSET 0).  That a hot
-- generation is not 0 is said twice: of the function (is_used), so that nothing
-- is read where there is none, and of the column (unwanted), so that the planner
-- expects little.
--
-- In place of cells that pending changes may have changed they show what these
-- come to now.  Such a cell is computed when it is first asked whether it
-- exists; that condition names unit and measure, so that it is asked of the
-- rows a query is left with after its joins.

CREATE OR REPLACE VIEW kpi.attainment AS
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
       CASE WHEN x.view_key IS NULL THEN x.actual ELSE kpi.dirty_figure(x.view_key, x.kpi_id, x.period, 3) END AS actual,
       CASE WHEN x.view_key IS NULL THEN x.target ELSE kpi.dirty_figure(x.view_key, x.kpi_id, x.period, 4) END AS target,
       trim_scale(CASE WHEN x.view_key IS NULL THEN x.actual - x.target
                       ELSE kpi.dirty_figure(x.view_key, x.kpi_id, x.period, 3) - kpi.dirty_figure(x.view_key, x.kpi_id, x.period, 4) END) AS variance,
       CASE WHEN x.view_key IS NULL THEN x.attainment ELSE kpi.dirty_figure(x.view_key, x.kpi_id, x.period, 5) END AS attainment,
       CASE WHEN x.view_key IS NULL THEN x.target_to_date ELSE kpi.dirty_figure(x.view_key, x.kpi_id, x.period, 6) END AS target_to_date,
       CASE WHEN x.view_key IS NULL THEN x.attainment_to_date ELSE kpi.dirty_figure(x.view_key, x.kpi_id, x.period, 7) END AS attainment_to_date,
       CASE WHEN x.view_key IS NULL THEN x.driver_score ELSE kpi.dirty_figure(x.view_key, x.kpi_id, x.period, 8) END AS driver_score,
       CASE WHEN x.view_key IS NULL THEN x.score ELSE kpi.dirty_figure(x.view_key, x.kpi_id, x.period, 9) END AS score,
       CASE WHEN x.view_key IS NULL THEN x.status ELSE kpi.dirty_status(x.view_key, x.kpi_id, x.period) END AS status,
       CASE WHEN x.view_key IS NULL THEN x.coverage ELSE kpi.dirty_figure(x.view_key, x.kpi_id, x.period, 11) END AS coverage,
       CASE WHEN x.view_key IS NULL THEN x.tally ELSE kpi.dirty_tally(x.view_key, x.kpi_id, x.period, false) END AS tally
  FROM (SELECT c.kpi_id, c.period, c.actual, c.target, c.attainment, c.target_to_date, c.attainment_to_date,
               c.driver_score, c.score, c.status, c.coverage, c.tally, NULL::uuid AS view_key,
               c.generation, 0 AS wanted, -1 AS unwanted, true AS is_used
          FROM kpi.cell c
        UNION ALL
        SELECT c.kpi_id, c.period, c.actual, c.target, c.attainment, c.target_to_date, c.attainment_to_date,
               c.driver_score, c.score, c.status, c.coverage, c.tally, NULL,
               c.generation, kpi.hot_generation(), 0, kpi.hot_generation() <> 0
          FROM kpi.cell c
        UNION ALL
        SELECT p.kpi_id, p.period, NULL, NULL, NULL, NULL, NULL,
               NULL, NULL, NULL, NULL, NULL, p.shown_key,
               0, 0, -1, true
          FROM (SELECT d.kpi_id, d.period, d.shown_key FROM kpi.dirty_cells((SELECT v.key FROM kpi.view_key v)) d OFFSET 0) p) x
  JOIN kpi.kpi k ON k.kpi_id = x.kpi_id
  JOIN kpi.unit u ON u.unit_id = k.unit_id
  JOIN kpi.measure m ON m.measure_id = k.measure_id
  LEFT JOIN kpi.level l ON l.level_no = u.level_no
  JOIN kpi.unit_path h ON h.unit_id = k.unit_id
                      AND h.valid_from <= kpi.last_day(x.period) AND h.valid_to > kpi.last_day(x.period)
 WHERE x.generation = x.wanted AND x.generation <> x.unwanted AND x.is_used
   AND CASE WHEN x.view_key IS NULL THEN NOT kpi.is_dirty(x.kpi_id, x.period)
              ELSE kpi.dirty_exists(x.view_key, x.kpi_id, x.period, u.unit_id, m.measure_id) END
   AND CASE WHEN (SELECT kpi.row_security_applies()) THEN k.unit_id IN (SELECT v.unit_id FROM kpi.visible_units() v (unit_id)) ELSE true END;

CREATE OR REPLACE VIEW kpi.current_cell AS
SELECT x.kpi_id,
       x.period,
       CASE WHEN x.view_key IS NULL THEN x.actual ELSE kpi.dirty_figure(x.view_key, x.kpi_id, x.period, 3) END AS actual,
       CASE WHEN x.view_key IS NULL THEN x.target ELSE kpi.dirty_figure(x.view_key, x.kpi_id, x.period, 4) END AS target,
       CASE WHEN x.view_key IS NULL THEN x.attainment_to_date ELSE kpi.dirty_figure(x.view_key, x.kpi_id, x.period, 7) END AS attainment_to_date,
       CASE WHEN x.view_key IS NULL THEN x.driver_score ELSE kpi.dirty_figure(x.view_key, x.kpi_id, x.period, 8) END AS driver_score,
       CASE WHEN x.view_key IS NULL THEN x.score ELSE kpi.dirty_figure(x.view_key, x.kpi_id, x.period, 9) END AS score,
       CASE WHEN x.view_key IS NULL THEN x.status ELSE kpi.dirty_status(x.view_key, x.kpi_id, x.period) END AS status,
       CASE WHEN x.view_key IS NULL THEN x.coverage ELSE kpi.dirty_figure(x.view_key, x.kpi_id, x.period, 11) END AS coverage,
       CASE WHEN x.view_key IS NULL THEN x.tally ELSE kpi.dirty_tally(x.view_key, x.kpi_id, x.period, false) END AS tally,
       CASE WHEN x.view_key IS NULL THEN x.own ELSE kpi.dirty_tally(x.view_key, x.kpi_id, x.period, true) END AS own
  FROM (SELECT c.kpi_id, c.period, c.actual, c.target, c.attainment_to_date, c.driver_score, c.score, c.status,
               c.coverage, c.tally, CASE WHEN c.has_own THEN coalesce(c.own, c.tally) END AS own, NULL::uuid AS view_key,
               c.generation, 0 AS wanted, -1 AS unwanted, true AS is_used
          FROM kpi.cell c
        UNION ALL
        SELECT c.kpi_id, c.period, c.actual, c.target, c.attainment_to_date, c.driver_score, c.score, c.status,
               c.coverage, c.tally, CASE WHEN c.has_own THEN coalesce(c.own, c.tally) END, NULL,
               c.generation, kpi.hot_generation(), 0, kpi.hot_generation() <> 0
          FROM kpi.cell c
        UNION ALL
        SELECT p.kpi_id, p.period, NULL, NULL, NULL, NULL, NULL, NULL,
               NULL, NULL, NULL, p.shown_key, 0, 0, -1, true
          FROM (SELECT d.kpi_id, d.period, d.shown_key FROM kpi.dirty_cells((SELECT v.key FROM kpi.view_key v)) d OFFSET 0) p) x
 WHERE x.generation = x.wanted AND x.generation <> x.unwanted AND x.is_used
   AND CASE WHEN x.view_key IS NULL THEN NOT kpi.is_dirty(x.kpi_id, x.period)
              ELSE kpi.dirty_exists(x.view_key, x.kpi_id, x.period) END
   AND CASE WHEN (SELECT kpi.row_security_applies())
            THEN x.kpi_id IN (SELECT k.kpi_id FROM kpi.kpi k WHERE k.unit_id IN (SELECT v.unit_id FROM kpi.visible_units() v (unit_id))) ELSE true END;
