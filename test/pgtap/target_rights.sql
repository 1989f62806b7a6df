-- Spreading targets needs rights on the tables and functions it uses, none on
-- what the extension keeps, and the sight of all units it spreads over.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT no_plan();

INSERT INTO kpi.unit (path) VALUES ('acme'), ('acme.a'), ('acme.b'), ('acme.b.x'), ('acme.b.y');
INSERT INTO kpi.measure (code) VALUES ('revenue');
SELECT is(kpi.deploy('revenue', 'acme'), 5::bigint, 'deployed');
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme.a', 'revenue', '2025-01', 3), ('acme.b.x', 'revenue', '2025-01', 1);
CREATE ROLE kpi_planner;
CREATE ROLE kpi_nobody;
GRANT USAGE ON SCHEMA kpi TO kpi_planner, kpi_nobody;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA kpi TO kpi_planner;
GRANT SELECT ON kpi.unit, kpi.measure, kpi.kpi, kpi.attainment, kpi.benchmark TO kpi_planner;
GRANT SELECT, INSERT, UPDATE ON kpi.target TO kpi_planner;

SET LOCAL ROLE kpi_nobody;
SELECT throws_ok($$SELECT kpi.cascade_target('acme', 'revenue', '2026-01', 8)$$, '42501', NULL, 'nobody may spread');
SELECT throws_ok($$SELECT kpi.suggest_target('acme', 'revenue', '2026-01')$$, '42501', NULL, 'nor ask');
SELECT throws_ok($$SELECT * FROM kpi.benchmark$$, '42501', NULL, 'nor look');
SET LOCAL ROLE kpi_planner;
SELECT is((SELECT basis FROM kpi.suggest_target('acme', 'revenue', '2026-01')), 'actual of 2025-01 (4)', 'a planner asks');
SELECT is((SELECT string_agg(format('%s %s', unit, new_value), ', ' ORDER BY unit) FROM kpi.cascade_target('acme', 'revenue', '2026-01', 8, 'history')),
          'acme 8, acme.a 6, acme.b 2, acme.b.x 2, acme.b.y 0', 'and spreads, by history too');
SELECT ok(kpi.propose_target('acme.b.y', 'revenue', '2026-02', 1) IS NOT NULL AND kpi.agree_target('acme.b.y', 'revenue', '2026-02') IS NOT NULL, 'proposes and agrees');
SELECT is((SELECT count(*) FROM kpi.rollup_targets('acme', 'revenue', '2026-01')), 2::bigint, 'and adds up');
RESET ROLE;
SELECT is((SELECT count(*) FROM kpi.target), 6::bigint, 'targets are there');

-- row security: who does not see all units beneath cannot spread over them
ALTER TABLE kpi.unit ENABLE ROW LEVEL SECURITY;
CREATE POLICY planners ON kpi.unit FOR SELECT TO kpi_planner USING (path <> 'acme.b.y'::kpi_path);
SET LOCAL ROLE kpi_planner;
SELECT throws_ok($$SELECT kpi.cascade_target('acme', 'revenue', '2026-01', 8)$$, '42501', 'target for unit "acme" and measure "revenue" in 2026-01 cannot be spread over units that you cannot see');
SELECT throws_ok($$SELECT kpi.cascade_target('acme', 'revenue', '2026-01', 8, dry_run => true)$$, '42501', NULL, 'nor see a plan for them');
SELECT throws_ok($$SELECT kpi.rollup_targets('acme', 'revenue', '2026-01')$$, '42501', 'targets for unit "acme" and measure "revenue" in 2026-01 cannot be added up over units that you cannot see');
SELECT is((SELECT count(*) FROM kpi.cascade_target('acme.a', 'revenue', '2026-Q1', 9)), 3::bigint, 'but may where all are seen');
RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
