-- The fold evaluates only what a change concerns, and stops where nothing
-- changed: kpi.fold_state counts the cells.
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SELECT plan(12);
SET client_min_messages = warning;
SELECT kpi.version() IS NOT NULL AS loaded \gset
SET kpi_cascade.fold_mode = manual;

-- acme > 5 units > 10 teams each: 50 teams with a fact in each month of 2025
INSERT INTO kpi.unit (path) SELECT 'acme' UNION ALL SELECT ('acme.u' || i)::kpi_path FROM generate_series(1, 5) i
    UNION ALL SELECT ('acme.u' || i || '.t' || i || '_' || j)::kpi_path FROM generate_series(1, 5) i, generate_series(1, 10) j;
INSERT INTO kpi.measure (code) VALUES ('revenue'), ('health');
SELECT kpi.deploy('revenue', 'acme');
SELECT kpi.deploy('health', 'acme', '{1}');
INSERT INTO kpi.fact (kpi_id, period, value)
SELECT k.kpi_id, kpi.period(make_date(2025, m, 1), 'month'), 100
  FROM kpi.kpi k JOIN kpi.unit u USING (unit_id), generate_series(1, 12) m WHERE kpi.depth(u.path) = 3;
SELECT kpi.fold();

CREATE FUNCTION pg_temp.evaluated(change text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    before bigint := (SELECT cells_evaluated FROM kpi.fold_state);
BEGIN
    EXECUTE change;
    PERFORM kpi.fold();
    RETURN (SELECT cells_evaluated FROM kpi.fold_state) - before;
END
$$;

-- 56 KPIs have a month, quarter, half and year cell for each period of 2025
SELECT is((SELECT cells_evaluated FROM kpi.fold_state), 56 * (12 + 4 + 2 + 1)::bigint, 'the first fold evaluates each cell once: 56 KPIs, 12 + 4 + 2 + 1 periods');
-- team, unit and acme: month, quarter, half and year each
SELECT is(pg_temp.evaluated($$SELECT kpi.record_fact('acme.u1.t1_1', 'revenue', '2025-05', 7)$$), 12::bigint, 'a fact: four cells on each of three levels, however many siblings there are');
SELECT is((SELECT actual FROM kpi.attainment WHERE unit = 'acme' AND period = '2025' AND measure = 'revenue'), 50 * 12 * 100 + 7::numeric, 'and the top is right');
SELECT is(pg_temp.evaluated($$UPDATE kpi.fact SET note = 'checked'$$), 0::bigint, 'columns that are no figures concern no cell');
SELECT is(pg_temp.evaluated($$UPDATE kpi.unit SET name = 'Team', owner = 'Ada' WHERE path = 'acme.u1.t1_1'$$), 0::bigint, 'nor do names');
SELECT is(pg_temp.evaluated($$SELECT kpi.set_target('acme', 'revenue', '2025-05', 6000)$$), 4::bigint, 'a target of a month: that cell and the three periods it is in');
-- each of two facts in two months of one quarter: 2 months + quarter + half + year on three levels
SELECT is(pg_temp.evaluated($$INSERT INTO kpi.fact (kpi_id, period, value) SELECT kpi.kpi_id('acme.u2.t2_1', 'revenue'), p, 1 FROM unnest('{2025-01,2025-02}'::kpi_period[]) p$$),
          15::bigint, 'two months of one quarter share its coarser cells');

-- The score of a unit with a score link upwards: capped at 1, so more of the same stops there.
SELECT kpi.link_kpi('acme.u1', 'revenue', 'acme', 'health', 'score');
SELECT kpi.set_target('acme.u1', 'revenue', '2025-05', 500);
SELECT kpi.fold();
SELECT is((SELECT driver_score FROM kpi.attainment WHERE unit = 'acme' AND measure = 'health' AND period = '2025-05'), 1::numeric, 'u1 is above its target of 500: score 1');
SELECT is(pg_temp.evaluated($$SELECT kpi.record_fact('acme.u1.t1_1', 'revenue', '2025-05', 1)$$), 12::bigint, 'what does not change the child''s score does not reach the parent over a score link');

-- A move: the cells of the unit and of those above both its places, never of its siblings.
SELECT is(pg_temp.evaluated($$SELECT kpi.move_unit('acme.u1.t1_2', 'acme.u2', '2025-11-01')$$), (
          -- periods that end in November 2025 or later: 2025-11, 2025-12, 2025-Q4, 2025-H2, 2025, for the team, u1, u2, acme and health at acme
          SELECT 5 * 5::bigint), 'a move: the unit and those above it, from that day on');
SELECT is((SELECT string_agg(unit::text || ' ' || actual, ', ' ORDER BY unit) FROM kpi.attainment WHERE period = '2025-12' AND measure = 'revenue' AND level_no = 2 AND unit IN ('acme.u1', 'acme.u2')),
          'acme.u1 900, acme.u2 1100', 'one team of ten now counts in the other unit');
SELECT is_empty('SELECT * FROM kpi.verify()', 'everything equals the recomputation');
SELECT * FROM finish();
ROLLBACK;
