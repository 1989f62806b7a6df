-- A tour of the demo: the strategy, how it stands in one period, why, and what
-- to do about it.
--     psql -v period=2026-08 -f demo/show.sql
-- Each title is a question, and each query beneath it an ordinary SELECT.
-- Scores and attainments are cut off, as in kpi.report_html and kpi.briefing, so
-- that no 100.0 is at risk.
\set QUIET on
\if :{?period}
\else
\set period 2026-Q3
\endif
SELECT left(:'period', 4) AS year, kpi.grain(:'period'::kpi_period) AS grain \gset
\pset border 1
\pset linestyle unicode
\pset footer off
\pset null '·'
\pset numericlocale off

\pset title 'What do we want, and how does it stand?  From the mission to business drivers, ':period
WITH RECURSIVE tree AS (
    SELECT objective_id, 0 AS depth, ARRAY[objective_id] AS place FROM kpi.objective WHERE parent_objective_id IS NULL
    UNION ALL
    SELECT o.objective_id, depth + 1, place || o.objective_id FROM tree JOIN kpi.objective o ON o.parent_objective_id = tree.objective_id
)
SELECT repeat('   ', depth) || o.name AS objective, o.kind, o.owner, trunc(100 * s.score, 1) AS "score %", s.status AS "worst status", s.kpis AS "KPIs"
FROM tree
JOIN kpi.objective o USING (objective_id)
LEFT JOIN kpi.objective_score s ON s.objective_id = o.objective_id AND s.period = :'period'
ORDER BY place;

\pset title 'The group in four perspectives, ':period
SELECT perspective, trunc(100 * score, 1) AS "score %", status AS "worst status", trunc(100 * coverage) AS "known %", scored_kpis || ' of ' || kpis AS "KPIs scored"
FROM kpi.perspective_score WHERE unit = 'acme' AND period = :'period' ORDER BY perspective_no;

\pset title 'Corporate scorecard, ':period
SELECT perspective, measure_name AS "KPI", round(actual, places) AS actual, round(target_to_date, places) AS target, unit_of_measure AS "in",
       trunc(100 * score, 1) AS "score %", status, round(100 * relative_change, 1) AS "change %", round(year_to_date, places) AS "year to date", trunc(100 * coverage) AS "known %"
FROM kpi.corporate_scorecard, LATERAL (SELECT CASE WHEN abs(actual) < 1000 THEN 2 ELSE 0 END) AS shown (places)
WHERE period = :'period' AND score IS NOT NULL
ORDER BY kpi.perspective_no(perspective), measure_id;

\pset title 'All units, from the group to its teams: the score of some KPIs in %, ':period
SELECT repeat('   ', s.level_no::integer - 1) || s.unit_name AS unit, trunc(100 * max(s.score) FILTER (WHERE s.measure = 'revenue'), 1) AS revenue,
       trunc(100 * max(s.score) FILTER (WHERE s.measure = 'deals'), 1) AS deals, trunc(100 * max(s.score) FILTER (WHERE s.measure = 'nps'), 1) AS nps,
       trunc(100 * max(s.score) FILTER (WHERE s.measure = 'defect_rate'), 1) AS defects, trunc(100 * max(s.score) FILTER (WHERE s.measure = 'lead_time'), 1) AS "lead time",
       trunc(100 * max(s.score) FILTER (WHERE s.measure = 'training'), 1) AS training, trunc(100 * max(s.score) FILTER (WHERE s.measure = 'conversion_rate'), 1) AS conversion,
       trunc(100 * max(u.score), 1) AS "all its KPIs", max(u.status) AS "worst status"
FROM kpi.scorecard s JOIN kpi.unit_score u ON u.unit_id = s.unit_id AND u.period = s.period::kpi_period
WHERE s.period = :'period'
GROUP BY u.unit, s.level_no, s.unit_name
ORDER BY u.unit;

\pset title 'What keeps the group from green?  Its KPIs beneath target, the largest gap first, ':period
SELECT a.measure_name AS "KPI", e.status, round(a.actual, 2) AS actual, round(a.target_to_date, 2) AS target, trunc(100 * e.score, 1) AS "score %",
       round(100 * e.shortfall, 2) AS "takes from the group's %"
FROM kpi.explain('acme', period => :'period', max_depth => 1) AS e
JOIN kpi.attainment a ON a.unit = e.unit AND a.measure = e.measure AND a.period = e.period
WHERE e.depth = 1 AND e.shortfall > 0 ORDER BY e.shortfall DESC;

\pset title 'Which team''s miss costs the group most?  Revenue, in the group''s EUR, ':period
SELECT a.unit_name AS team, round(a.actual) AS actual, round(a.target_to_date) AS target, d.path_weight AS share,
       round((a.target_to_date - coalesce(a.actual, 0)) * d.path_weight) AS "costs the group"
FROM kpi.drivers('acme', 'revenue', :'period') AS d
JOIN kpi.attainment a USING (kpi_id, period)
WHERE d.measure = 'revenue' AND a.level_no = 4
ORDER BY "costs the group" DESC NULLS LAST;

\pset title 'What has Digital Marketing to do with it?  From the visits of the site to the mission, ':period
WITH sight AS (SELECT * FROM kpi.line_of_sight('RM-D', 'site_traffic', :'period'))
SELECT depth AS step, coalesce(unit::text, objective_kind) AS "where", name, contributes AS "contributes as", trunc(100 * score, 1) AS "score %", status, owner
FROM sight
WHERE way = (SELECT way FROM sight GROUP BY way HAVING bool_or(unit = 'acme') ORDER BY count(*), way LIMIT 1)    -- the shortest over the group
ORDER BY depth;

\pset title 'Where are we going?  The group''s revenue, each ':grain' beside the one before and that of last year'
SELECT period, round(actual) AS actual, round(100 * relative_change, 1) AS "change %", round(100 * relative_change_on_year, 1) AS "on last year %",
       round(moving_mean) AS "mean of three", round(year_to_date) AS "year to date", trunc(100 * year_to_date_attainment, 1) AS "of its target %", travel
FROM kpi.trend
WHERE unit = 'acme' AND measure = 'revenue' AND period BETWEEN :'period'::kpi_period - 5 AND :'period' AND actual IS NOT NULL
ORDER BY period;

\pset title 'Where does the year end, and what has each remaining month to bring?  Revenue of ':year', forecast from last year''s season'
SELECT u.name AS unit, round(f.actual) AS "so far", round(f.target) AS target, round(f.expected) AS expected, trunc(100 * f.expected_attainment, 1) AS "expected %",
       f.remaining AS months, round(f.needed) AS "needed a month"
FROM kpi.unit u
JOIN kpi.kpi k USING (unit_id)
JOIN kpi.measure m USING (measure_id)
CROSS JOIN LATERAL kpi.forecast(u.path::text, 'revenue', :'year', 'seasonal') AS f
WHERE m.code = 'revenue' AND u.level_no IN (1, 2, 4)
ORDER BY u.path;

\pset title 'Where do its targets come from?  Revenue of 2026, spread from the group over all units and months'
SELECT repeat('   ', s.level_no::integer - 1) || s.unit_name AS unit, s.target, round(b.actual) AS "last year", round(100 * (s.target / b.actual - 1), 1) AS "more %",
       CASE WHEN s.level_no = 1 THEN t.note END AS "rests on",
       (SELECT string_agg(l.period::text, ', ') FROM kpi.target l WHERE l.kpi_id = s.kpi_id AND l.locked) AS "locked in"
FROM kpi.scorecard s
LEFT JOIN kpi.scorecard b ON b.kpi_id = s.kpi_id AND b.period = '2025'
LEFT JOIN kpi.target t ON t.kpi_id = s.kpi_id AND t.period = '2026-01'
WHERE s.measure = 'revenue' AND s.period = '2026'
ORDER BY s.unit::kpi_path;

\pset title 'What is still being negotiated?'
SELECT u.path AS unit, m.code AS measure, min(t.period::text) AS "from", max(t.period::text) AS "to", t.state, max(t.value) AS "a month", max(t.proposed_by) AS "proposed by", max(t.note) AS note
FROM kpi.target t JOIN kpi.kpi k USING (kpi_id) JOIN kpi.unit u USING (unit_id) JOIN kpi.measure m USING (measure_id)
WHERE t.state = 'proposed'
GROUP BY u.path, m.code, t.state ORDER BY u.path, m.code;

\pset title 'Which targets were changed, and which figures corrected, and why?'
SELECT u.path AS unit, m.code AS measure, r.period, r.old_value AS "was", r.new_value AS "is", r.reason
FROM kpi.target_revision r JOIN kpi.kpi k USING (kpi_id) JOIN kpi.unit u USING (unit_id) JOIN kpi.measure m USING (measure_id)
WHERE r.reason ~ 'customer' AND r.new_value <> r.old_value
UNION ALL
SELECT u.path, m.code, r.period, r.value, f.value, r.reason
FROM kpi.fact_revision r LEFT JOIN kpi.fact f USING (fact_id) JOIN kpi.kpi k ON k.kpi_id = r.kpi_id JOIN kpi.unit u USING (unit_id) JOIN kpi.measure m USING (measure_id)
ORDER BY 1, 2, 3;

\pset title 'A measure was replaced: what do the two say?  The hotline, six ':grain's up to ':period
SELECT period, measure, round(actual, 1) AS actual, target, trunc(100 * attainment, 1) AS "attained %", status
FROM kpi.series('RC-H', 'solved', :'period', 6);

\pset title 'What do owners say of it?  The last check-in of each KPI on ':period', or within'
SELECT unit, measure, period, author, at::date AS "on", trunc(100 * confidence) AS "sure %", forecast AS expects, comment
FROM kpi.latest_check_in WHERE period && :'period' ORDER BY at DESC;

\pset title 'What shall Retail talk about when it reviews ':period'?  Without what depends on the day you look'
SELECT item_no AS "no", reason, unit, coalesce(measure, objective) AS about, sentence, owner
FROM kpi.review_agenda('RET', :'period') WHERE reason NOT IN ('stale_data', 'overdue_action') ORDER BY item_no;

\pset title 'What did we agree to do, and what is not done?'
SELECT due_on AS due, unit, coalesce(measure, objective) AS about, description, owner, decided_on AS "decided on" FROM kpi.open_actions ORDER BY due_on, action_item_id;

\pset title 'Who still has to learn what it takes, where it shows?  With the last status known'
SELECT unit, measure, period, status, skill_name AS skill, gap || ' of ' || members AS "without it", array_to_string(names, ', ') AS who
FROM kpi.training_gap WHERE status IN ('off_track', 'at_risk') OR measure = 'solved' ORDER BY unit, measure;

\pset title 'Who has seen what we want?'
SELECT name AS objective, kind, seen || ' of ' || members AS "seen by", trunc(100 * share) AS "%" FROM kpi.objective_reach ORDER BY objective_id;

\pset title 'Who owes figures?  Two weeks after the end of ':period
SELECT owner, count(*) AS figures, count(DISTINCT kpi_id) AS "KPIs", min(due_since) AS "since", string_agg(DISTINCT measure, ', ') AS measures
FROM kpi.due(kpi.last_day(:'period') + 14) GROUP BY owner ORDER BY min(due_since), owner;

\pset title 'What was reported when the books were closed, and what is it now?'
SELECT closed_period AS closed, d.unit, d.measure, d.period, reported_actual AS reported, current_actual AS "now", actual_difference AS difference, reported_status AS "was", current_status AS "is", c.reopen_reason AS "opened again because"
FROM kpi.reported_difference d JOIN kpi.period_close c USING (period_close_id) WHERE differs ORDER BY kpi.grain(d.period) DESC, d.unit;

\pset title 'Where does the work not tie to the goals?  Without what depends on the day you look: no_data and no_target'
SELECT severity, code, unit, measure, period, sentence
FROM kpi.alignment WHERE code NOT IN ('no_data', 'no_target') ORDER BY severity, code, unit, period;

\pset title 'Is all of that right?  Differences from a recomputation out of the raw figures'
SELECT count(*) AS differences FROM kpi.verify();

\pset title
\echo 'And all of it on one page, for everybody in the service department of Retail:'
\echo
SELECT kpi.briefing('RET-C', :'period') \g (format=unaligned tuples_only=on)
