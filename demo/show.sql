-- The scorecards of one period, level by level:
--     psql -v period=2026-08 -f demo/show.sql
\set QUIET on
\if :{?period}
\else
\set period 2026-Q3
\endif
\pset border 1
\pset linestyle unicode
\pset footer off
\pset null '·'
\pset numericlocale off

\set columns 'unit, measure_name AS measure, trim_scale(round(actual, 2)) AS actual, trim_scale(round(target_to_date, 2)) AS target, unit_of_measure AS "in", round(100 * score, 2) AS "score %", status, round(100 * coverage) AS "known %"'

\pset title 'Corporate scorecard, ':period
SELECT :columns FROM kpi.corporate_scorecard WHERE period = :'period' ORDER BY unit, measure_name;

\pset title 'Business units, ':period
SELECT :columns FROM kpi.business_unit_scorecard WHERE period = :'period' ORDER BY unit, measure_name;

\pset title 'Departments, ':period
SELECT :columns FROM kpi.department_scorecard WHERE period = :'period' ORDER BY unit, measure_name;

\pset title 'Teams, ':period
SELECT :columns FROM kpi.team_scorecard WHERE period = :'period' ORDER BY unit, measure_name;

\pset title 'Units, ':period': their KPIs in one score'
SELECT unit, round(100 * score, 2) AS "score %", status AS "worst status", round(100 * coverage) AS "known %", scored_kpis || ' of ' || kpis AS "KPIs scored"
FROM kpi.unit_score WHERE period = :'period' ORDER BY kpi.unit_score.unit;

\pset title 'Differences from a recomputation out of the raw figures'
SELECT count(*) AS differences FROM kpi.verify();
