-- kpi.tree: what kpi.explain finds, drawn for a terminal
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET search_path = public;
\pset format unaligned
\pset tuples_only on
\set SHOW_CONTEXT never
BEGIN;
INSERT INTO kpi.unit (path, share) VALUES ('acme', 1), ('acme.sales', 1), ('acme.cloud', 0.6), ('acme.sales.north', 1), ('acme.sales.south', 1);
INSERT INTO kpi.measure (code, rollup, time_rollup, exceeded_from) VALUES ('revenue', 'sum', 'pool', 1.05), ('heads', 'sum', 'last', NULL);
INSERT INTO kpi.measure (code, rollup, rolls_up, result_weight) VALUES ('per_head', 'ratio', false, 1), ('focus', 'none', false, 0.5);
DO $$
BEGIN
    PERFORM kpi.deploy(m, 'acme') FROM unnest('{revenue,heads}'::text[]) m;
    PERFORM kpi.deploy(m, 'acme', '{1}') FROM unnest('{per_head,focus}'::text[]) m;
    PERFORM kpi.link_kpi('acme', 'revenue', 'acme', 'per_head', 'numerator'), kpi.link_kpi('acme', 'heads', 'acme', 'per_head', 'denominator'),
            kpi.link_kpi('acme', 'revenue', 'acme', 'focus', 'score', 0.75), kpi.link_kpi('acme.sales', 'heads', 'acme', 'focus', 'score', 0.25);
END
$$;
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES
    ('acme', 'revenue', '2026-01', 5), ('acme.sales.north', 'revenue', '2026-01', 130), ('acme.cloud', 'revenue', '2026-01', 100),
    ('acme.sales.north', 'revenue', '2026-02', 90.125), ('acme.sales.south', 'revenue', '2026-02', -0.33333),
    ('acme.sales.north', 'heads', '2026-01', 3), ('acme.sales.south', 'heads', '2026-02', 2), ('acme.cloud', 'heads', '2026-01', 5),
    ('acme', 'focus', '2026-01', 7);
INSERT INTO kpi.target_entry (unit, measure, period, value) VALUES
    ('acme', 'revenue', '2026-01', 195.01), ('acme.sales', 'revenue', '2026-01', 120), ('acme.sales.south', 'revenue', '2026-01', 40),
    ('acme.cloud', 'revenue', '2026-01', 160), ('acme.sales', 'heads', '2026-02', 8), ('acme', 'focus', '2026-01', 10);

-- own facts, a share, a unit that has not reported; 195 of 195.01 is not 100%
SELECT kpi.tree('acme', 'revenue', '2026-01');
-- a coarser period, two levels down
SELECT kpi.tree('acme', 'revenue', '2026-Q1', 2);
-- a quotient: children at the coarser period
SELECT kpi.tree('acme', 'per_head', '2026-Q1', 2);
-- the score of a unit
SELECT kpi.tree('acme', period => '2026-01');
-- typed arguments
SELECT kpi.tree('acme.sales'::kpi_path, 'heads', '2026-02'::kpi_period);
-- nothing known
SELECT kpi.tree('acme', 'revenue', '2020');
SELECT kpi.tree('acme', 'revenue', '2026-W01');
ROLLBACK;
