-- complain if this file is run in psql instead of by CREATE EXTENSION
\echo Use "CREATE EXTENSION kpi_cascade" to load this file. \quit

-- An existing schema of that name is not ours to adopt: this fails if there is one.
CREATE SCHEMA kpi;
COMMENT ON SCHEMA kpi IS 'kpi_cascade: KPIs cascaded from strategy to teams, and their attainment rolled up again';
