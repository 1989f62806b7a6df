-- The views over cells look into the two generations in which live cells are;
-- apart from that they are as before.  That a hot generation is not 0 is said
-- twice: of the function, so that nothing is read where there is none, and of
-- the column, so that the planner expects little.

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
         WHERE c.generation = 0
        UNION ALL
        SELECT c.kpi_id, c.period, c.actual, c.target, c.attainment, c.target_to_date, c.attainment_to_date,
               c.driver_score, c.score, c.status, c.coverage, c.tally, 0 AS source
          FROM kpi.cell c
         WHERE c.generation = kpi.hot_generation() AND c.generation <> 0 AND kpi.hot_generation() <> 0
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

CREATE OR REPLACE VIEW kpi.current_cell AS
SELECT x.kpi_id, x.period, x.actual, x.target, x.attainment_to_date, x.driver_score, x.score, x.status,
       x.coverage, x.tally, x.own
  FROM (SELECT c.kpi_id, c.period, c.actual, c.target, c.attainment_to_date, c.driver_score, c.score, c.status,
               c.coverage, c.tally, CASE WHEN c.has_own THEN coalesce(c.own, c.tally) END AS own, 0 AS source
          FROM kpi.cell c
         WHERE c.generation = 0
        UNION ALL
        SELECT c.kpi_id, c.period, c.actual, c.target, c.attainment_to_date, c.driver_score, c.score, c.status,
               c.coverage, c.tally, CASE WHEN c.has_own THEN coalesce(c.own, c.tally) END AS own, 0 AS source
          FROM kpi.cell c
         WHERE c.generation = kpi.hot_generation() AND c.generation <> 0 AND kpi.hot_generation() <> 0
        UNION ALL
        SELECT *
          FROM (SELECT d.kpi_id, d.period, d.actual, d.target, d.attainment_to_date, d.driver_score, d.score, d.status,
                       d.coverage, d.tally, CASE WHEN d.has_own THEN coalesce(d.own, d.tally) END AS own, 1 AS source
                  FROM kpi.dirty((SELECT v.key FROM kpi.view_key v)) d
                OFFSET 0) pending) x
 WHERE (x.source = 1 OR NOT kpi.is_dirty(x.kpi_id, x.period))
   AND CASE WHEN (SELECT kpi.row_security_applies())
            THEN x.kpi_id IN (SELECT k.kpi_id FROM kpi.kpi k WHERE k.unit_id IN (SELECT v.unit_id FROM kpi.visible_units() v (unit_id))) ELSE true END;
