-- What views read that look cells up by KPI, row by row: kpi.counted_cell.
-- kpi.attainment is for whoever asks for one row or for many at a time.

CREATE VIEW kpi.counted_cell AS
SELECT x.kpi_id, x.period, x.actual, x.target, x.attainment_to_date, x.tally, x.own, x.score, x.status, x.coverage
  FROM (SELECT c.kpi_id, c.period, c.actual, c.target, c.attainment_to_date, c.tally,
               CASE WHEN c.has_own THEN coalesce(c.own, c.tally) END AS own, c.score, c.status, c.coverage, 0 AS source
          FROM kpi.cell c
         WHERE c.generation = 0
        UNION ALL
        SELECT c.kpi_id, c.period, c.actual, c.target, c.attainment_to_date, c.tally,
               CASE WHEN c.has_own THEN coalesce(c.own, c.tally) END AS own, c.score, c.status, c.coverage, 0 AS source
          FROM kpi.cell c
         WHERE c.generation = kpi.hot_generation() AND c.generation <> 0 AND kpi.hot_generation() <> 0
        UNION ALL
        -- by KPI, so that many rows looked up beside much that is pending do not each read all of that
        SELECT k.kpi_id, d.period, d.actual, d.target, d.attainment_to_date, d.tally,
               CASE WHEN d.has_own THEN coalesce(d.own, d.tally) END AS own, d.score, d.status, d.coverage, 1 AS source
          FROM kpi.kpi k
         CROSS JOIN LATERAL kpi.dirty_of((SELECT v.key FROM kpi.view_key v), k.kpi_id) d
         WHERE kpi.is_any_dirty()) x
 WHERE x.source = 1 OR NOT kpi.is_dirty(x.kpi_id, x.period);
COMMENT ON VIEW kpi.counted_cell IS 'Internal: kpi.cell with what is still pending, of all units: for other views, never granted';
COMMENT ON COLUMN kpi.counted_cell.kpi_id IS 'The KPI';
COMMENT ON COLUMN kpi.counted_cell.period IS 'The period';
COMMENT ON COLUMN kpi.counted_cell.actual IS 'What facts and links add up to; null where unknown';
COMMENT ON COLUMN kpi.counted_cell.target IS 'The target of the whole period, explicit or derived';
COMMENT ON COLUMN kpi.counted_cell.attainment_to_date IS 'Attainment of the target to date';
COMMENT ON COLUMN kpi.counted_cell.tally IS 'The tally behind the actual';
COMMENT ON COLUMN kpi.counted_cell.own IS 'The tally of the own facts; null where there are none';
COMMENT ON COLUMN kpi.counted_cell.score IS 'The score';
COMMENT ON COLUMN kpi.counted_cell.status IS 'The status';
COMMENT ON COLUMN kpi.counted_cell.coverage IS 'How much of the number is known, 0 to 1';
-- having privileges of its own, it is given none to the owner of the extension
REVOKE ALL ON kpi.counted_cell FROM PUBLIC;
