-- kpi.report_html, continued: the other sections, and the page.

-- ---------------------------------------------------------------- findings

CREATE FUNCTION kpi.report_findings(the_path @extschema@.kpi_path) RETURNS text
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH found AS MATERIALIZED (
        SELECT f.*, array_position(ARRAY['error', 'warning', 'info'], f.severity) AS severity_no,
               row_number() OVER (PARTITION BY f.severity, f.code ORDER BY f.unit, f.measure, f.objective, f.period) AS n
          FROM kpi.alignment f
         WHERE f.unit OPERATOR(@extschema@.<@) the_path OR f.unit IS NULL AND kpi.depth(the_path) = 1
    ), part AS (
        SELECT f.severity_no, f.code,
               concat('<tbody><tr class="group"><th colspan="4" scope="rowgroup">', kpi.report_mark((ARRAY['off_track', 'at_risk', 'no_target'])[f.severity_no], f.severity),
                      upper(left(f.code, 1)), replace(replace(substr(f.code, 2), 'kpi', 'KPI'), '_', ' '), ' <span class="soft">', count(*), '</span></th></tr>', E'\n',
                      string_agg(concat('<tr class="finding"><th scope="row"><span dir="auto">', kpi.report_text(coalesce(f.unit::text, f.objective)), '</span>',
                                        '<small dir="auto">' || kpi.report_text(coalesce(f.measure, CASE WHEN f.unit IS NOT NULL THEN f.objective END)) || '</small>',
                                        '</th><td dir="auto">', kpi.report_text(f.sentence), '</td><td>', f.period, '</td><td dir="auto">', kpi.report_text(f.owner), '</td></tr>'), E'\n' ORDER BY f.n) FILTER (WHERE f.n <= 5),
                      CASE WHEN count(*) > 5 THEN format('<tr><td colspan="4" class="soft">Left out here: %s more; kpi.alignment has all.</td></tr>', count(*) - 5) END,
                      '</tbody>') AS html
          FROM found f
         GROUP BY f.severity_no, f.severity, f.code
    )
    SELECT coalesce('<div class="wide"><table><caption>Findings about the unit and those beneath it, as of today</caption><thead><tr><th scope="col">Where</th><th scope="col">Finding</th>'
                    || '<th scope="col">Period</th><th scope="col">Owner</th></tr></thead>' || string_agg(p.html, E'\n' ORDER BY p.severity_no, p.code) || '</table></div>',
                    '<p class="none">Nothing: the work of this unit and of those beneath it ties to the goals.</p>')
      FROM part p
$$;
COMMENT ON FUNCTION kpi.report_findings(@extschema@.kpi_path) IS 'Internal to kpi.report_html(): kpi.alignment of a unit and those beneath it by severity and kind, the first five of each';

-- ---------------------------------------------------------------- what changed

CREATE FUNCTION kpi.report_changes(the_path @extschema@.kpi_path, of_period @extschema@.kpi_period) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    SET jit = off
AS $$
DECLARE
    before constant @extschema@.kpi_period := of_period OPERATOR(@extschema@.-) 1;
    kpis constant bigint[] := ARRAY(SELECT DISTINCT d.kpi_id FROM kpi.described_kpi d WHERE d.unit_now OPERATOR(@extschema@.<@) the_path);
    result text;
BEGIN
    WITH cell AS MATERIALIZED (
        SELECT a.kpi_id, a.unit_now, coalesce(nullif(a.unit_name, ''), kpi.label(a.unit_now, -1)) AS unit_name, coalesce(nullif(a.measure_name, ''), a.measure) AS name,
               a.unit_of_measure, a.actual, a.status, a.period OPERATOR(@extschema@.=) of_period AS is_now
          FROM kpi.attainment a
         WHERE a.kpi_id = ANY (kpis) AND a.period OPERATOR(@extschema@.=) ANY (ARRAY[of_period, before])
    ), changed AS (
        SELECT n.*, o.actual AS old_actual, o.status AS old_status, n.status > o.status AS is_better,
               row_number() OVER (PARTITION BY n.status > o.status ORDER BY kpi.depth(n.unit_now), n.status, n.unit_now, n.name, n.kpi_id) AS n
          FROM cell n
          JOIN cell o ON o.kpi_id = n.kpi_id AND NOT o.is_now
         WHERE n.is_now AND n.status <> o.status AND least(n.status, o.status) > 'no_target'
    ), part AS (
        SELECT c.is_better,
               concat('<tbody><tr class="group"><th colspan="6" scope="rowgroup">', CASE WHEN c.is_better THEN 'Rose' ELSE 'Fell' END, ' <span class="soft">', count(*), '</span></th></tr>', E'\n',
                      string_agg(concat('<tr><th scope="row" dir="auto">', kpi.report_text(c.name), '</th><td dir="auto">', kpi.report_text(c.unit_name), '</td><td>', kpi.report_mark(c.old_status::text),
                                        '</td><td>', kpi.report_mark(c.status::text), '</td><td class="n">', kpi.report_figure(c.old_actual, c.unit_of_measure),
                                        '</td><td class="n">', kpi.report_figure(c.actual, c.unit_of_measure), '</td></tr>'), E'\n' ORDER BY c.n) FILTER (WHERE c.n <= 8),
                      CASE WHEN count(*) > 8 THEN format('<tr><td colspan="6" class="soft">Left out here: %s more, of units further down.</td></tr>', count(*) - 8) END, '</tbody>') AS html
          FROM changed c
         GROUP BY c.is_better
    )
    SELECT concat('<div class="wide"><table><caption>KPIs of the unit and those beneath it whose status is another than in ', before, '</caption><thead><tr><th scope="col">KPI</th><th scope="col">Unit</th>',
                  '<th scope="col">In ', before, '</th><th scope="col">In ', of_period, '</th><th scope="col" class="n">Actual in ', before, '</th><th scope="col" class="n">Actual in ', of_period,
                  '</th></tr></thead>', string_agg(p.html, E'\n' ORDER BY p.is_better), '</table></div>')
      INTO result
      FROM part p
    HAVING count(*) > 0;
    RETURN concat(coalesce(result, '<p class="none">No status is another than in ' || before || '.</p>'), (
        WITH logged AS MATERIALIZED (
            -- what was first seen of a period is no change of it
            SELECT l.*, row_number() OVER (ORDER BY l.status_change_id DESC) AS n
              FROM kpi.status_log l
             WHERE l.unit OPERATOR(@extschema@.<@) the_path AND l.period OPERATOR(@extschema@.=) of_period AND l.old_status > 'no_target' AND l.new_status > 'no_target'
        )
        SELECT concat('<h3>Figures that came later</h3><p class="lead">Statuses in ', of_period, ' that changed while figures came in or were corrected, the last first.</p>',
                      '<div class="wide"><table><caption>Changes of status in ', of_period, ' itself</caption><thead><tr><th scope="col">KPI</th><th scope="col">Unit</th><th scope="col">Was</th>',
                      '<th scope="col">Became</th><th scope="col">On</th></tr></thead><tbody>', E'\n',
                      string_agg(concat('<tr><th scope="row" dir="auto">', kpi.report_text(coalesce(nullif(l.measure_name, ''), l.measure)), '</th><td dir="auto">', kpi.report_text(coalesce(nullif(l.unit_name, ''), kpi.label(l.unit, -1))),
                                        '</td><td>', kpi.report_mark(l.old_status::text), '</td><td>', kpi.report_mark(l.new_status::text), '</td><td>', to_char(l.changed_at, 'YYYY-MM-DD HH24:MI'), '</td></tr>'),
                                 E'\n' ORDER BY l.n) FILTER (WHERE l.n <= 8),
                      '</tbody></table></div>', CASE WHEN count(*) > 8 THEN format('<p class="soft more">Left out here: %s from before (kpi.status_log has all).</p>', count(*) - 8) END)
          FROM logged l
        HAVING count(*) > 0));
END
$$;
COMMENT ON FUNCTION kpi.report_changes(@extschema@.kpi_path, @extschema@.kpi_period) IS 'Internal to kpi.report_html(): KPIs of a unit and those beneath it whose status is another than in the period before, those that fell first, eight of either, of upper units first; and the last eight changes of a status in the period itself';

-- ---------------------------------------------------------------- actions and check-ins

CREATE FUNCTION kpi.report_actions(the_path @extschema@.kpi_path) RETURNS text
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH open AS MATERIALIZED (
        SELECT a.description, a.owner, a.due_on, a.state, a.is_overdue, a.unit, coalesce(nullif(m.name, ''), m.code, nullif(o.name, ''), o.code) AS subject,
               row_number() OVER (ORDER BY a.due_on, a.action_item_id) AS n
          FROM kpi.open_actions a
          LEFT JOIN kpi.measure m ON m.code = a.measure
          LEFT JOIN kpi.described_objective o ON o.objective_id = a.objective_id
         WHERE a.unit OPERATOR(@extschema@.<@) the_path OR a.unit_id IS NULL AND kpi.depth(the_path) = 1
    )
    SELECT CASE WHEN count(*) = 0 THEN '<p class="none">No action is open.</p>'
                ELSE concat('<div class="wide"><table><caption>Open actions of the unit and those beneath it, overdue ones first</caption><thead><tr><th scope="col">Action</th><th scope="col">About</th><th scope="col">Owner</th>',
                            '<th scope="col">Due</th><th scope="col">State</th></tr></thead><tbody>', E'\n',
                            string_agg(concat('<tr><th scope="row" dir="auto">', kpi.report_text(a.description), '</th><td><span dir="auto">', kpi.report_text(a.subject), '</span>', '<small dir="auto">' || kpi.report_text(a.unit::text) || '</small>',
                                              '</td><td dir="auto">', coalesce(kpi.report_text(a.owner), 'nobody yet'), '</td><td>', coalesce(a.due_on::text, 'no date'), '</td><td>',
                                              CASE WHEN a.is_overdue THEN kpi.report_mark('off_track', 'overdue') ELSE kpi.report_mark(CASE a.state WHEN 'open' THEN 'no_target' ELSE 'on_track' END, kpi.report_word(a.state)) END,
                                              '</td></tr>'), E'\n' ORDER BY a.n) FILTER (WHERE a.n <= 40),
                            '</tbody></table></div>', CASE WHEN count(*) > 40 THEN format('<p class="soft more">Left out here: %s more (kpi.open_actions has all).</p>', count(*) - 40) END) END
      FROM open a
$$;
COMMENT ON FUNCTION kpi.report_actions(@extschema@.kpi_path) IS 'Internal to kpi.report_html(): what is still to be done about the KPIs and objectives of a unit and those beneath it';

CREATE FUNCTION kpi.report_check_ins(the_path @extschema@.kpi_path, of_period @extschema@.kpi_period) RETURNS text
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH said AS MATERIALIZED (
        SELECT c.author, c.at, c.comment, c.confidence, c.forecast, c.period, c.unit, coalesce(nullif(m.name, ''), m.code) AS name, m.unit_of_measure,
               row_number() OVER (ORDER BY c.at DESC, c.check_in_id DESC) AS n
          FROM kpi.latest_check_in c
          JOIN kpi.measure m ON m.code = c.measure
         WHERE c.unit OPERATOR(@extschema@.<@) the_path AND c.period OPERATOR(@extschema@.&&) of_period
    )
    SELECT CASE WHEN count(*) = 0 THEN '<p class="none">Nobody has checked in on this period.</p>'
                ELSE concat('<div class="wide"><table><caption>What was said of this period, the last first</caption><thead><tr><th scope="col">KPI</th><th scope="col">Comment</th><th scope="col" class="n">Confidence</th>',
                            '<th scope="col" class="n">Forecast</th><th scope="col">By</th></tr></thead><tbody>', E'\n',
                            string_agg(concat('<tr><th scope="row"><b dir="auto">', kpi.report_text(s.name), '</b><small><span dir="auto">', kpi.report_text(s.unit::text), '</span> &#183; ', s.period, '</small></th><td dir="auto">', kpi.report_text(s.comment),
                                              '</td><td class="n">', kpi.report_percent(s.confidence), '</td><td class="n">', kpi.report_figure(s.forecast, s.unit_of_measure),
                                              '</td><td><span dir="auto">', coalesce(kpi.report_text(s.author), 'unknown'), '</span><small>', to_char(s.at, 'YYYY-MM-DD'), '</small></td></tr>'), E'\n' ORDER BY s.n) FILTER (WHERE s.n <= 12),
                            '</tbody></table></div>', CASE WHEN count(*) > 12 THEN format('<p class="soft more">Left out here: %s from before (kpi.latest_check_in has all).</p>', count(*) - 12) END) END
      FROM said s
$$;
COMMENT ON FUNCTION kpi.report_check_ins(@extschema@.kpi_path, @extschema@.kpi_period) IS 'Internal to kpi.report_html(): the last check-ins on KPIs of a unit and those beneath it, in a period that meets this one';

-- ---------------------------------------------------------------- the page

CREATE FUNCTION kpi.report_page(unit text, by_path boolean, period text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    the_unit bigint;
    of_period @extschema@.kpi_period;
    day date;
    named record;
    own bigint[];
    result record;
    counts text;
    map text;
BEGIN
    SELECT a.unit_id, a.of_period INTO the_unit, of_period FROM kpi.asked_unit(unit, by_path, period, true) a;
    day := kpi.last_day(of_period);
    SELECT u.path, kpi.report_text(coalesce(nullif(u.name, ''), kpi.label(u.path, -1))) AS name, kpi.report_text(u.owner) AS owner INTO named
      FROM kpi.unit u WHERE u.unit_id = the_unit;
    own := ARRAY(SELECT k.kpi_id
                   FROM kpi.kpi k
                   JOIN kpi.unit u ON u.unit_id = k.unit_id
                   LEFT JOIN kpi.objective_perspective p ON p.objective_id = k.objective_id
                  WHERE k.unit_id = the_unit
                    AND day >= coalesce(greatest(k.valid_from, u.valid_from), '-infinity')
                    AND day < coalesce(least(k.valid_to, u.valid_to), 'infinity')
                  ORDER BY kpi.perspective_no(p.perspective), p.perspective, k.measure_id);
    SELECT s.score, coalesce(s.status::text, 'no_data') AS status, s.coverage INTO result
      FROM (SELECT) one LEFT JOIN kpi.unit_score s ON s.unit_id = the_unit AND s.period OPERATOR(@extschema@.=) of_period;
    SELECT string_agg(concat('<li>', kpi.report_mark(c.status, concat('<b>', c.kpis, '</b> ', kpi.report_word(c.status))), '</li>'), '' ORDER BY c.status::@extschema@.kpi_status DESC) INTO counts
      FROM (SELECT coalesce(f.status, 'no_data') AS status, count(*) AS kpis FROM kpi.report_figures(own, of_period) f WHERE f.period IS NOT NULL GROUP BY 1) c;
    map := kpi.report_map(the_unit, named.path, of_period);

    RETURN concat(
        E'<!DOCTYPE html>\n<html lang="en" xmlns="http://www.w3.org/1999/xhtml">\n<head>\n<meta charset="utf-8"/>\n<meta name="viewport" content="width=device-width, initial-scale=1"/>\n',
        '<title>', named.name, ', ', of_period, '</title>', E'\n<style>', kpi.report_style(), E'</style>\n</head>\n<body>\n',
        '<header><p class="eyebrow" dir="auto">', kpi.report_text(named.path::text), '</p><div class="top"><div><h1 dir="auto">', named.name, '</h1><p class="period">', of_period,
        ' <span class="soft">', to_char(kpi.first_day(of_period), 'FMDD FMMonth YYYY'), ' to ', to_char(day, 'FMDD FMMonth YYYY'),
        CASE WHEN day >= current_date THEN ', still running' END, '</span></p>',
        '<p class="soft">Led by <span dir="auto">' || named.owner || '</span></p>', '</div>',
        '<div class="result"><b>', kpi.report_percent(result.score, 1), '</b>', kpi.report_mark(result.status, CASE WHEN result.score IS NOT NULL THEN 'worst KPI ' || kpi.report_word(result.status) END),
        CASE WHEN result.coverage IS NOT NULL THEN '<br/><small>' || kpi.report_percent(result.coverage) || ' of the data is known</small>' END, '</div></div>',
        '<ul class="counts" aria-label="KPIs by status">' || counts || '</ul>',
        '<nav aria-label="Sections"><a href="#scorecard">Scorecard</a><a href="#changes">Changes</a><a href="#cascade">Cascade</a><a href="#strategy">Strategy</a><a href="#findings">Findings</a><a href="#actions">Actions</a><a href="#checkins">Check-ins</a></nav>',
        E'</header>\n<main>\n<section id="scorecard"><h2>Scorecard</h2><p class="lead">The KPIs of the unit. Statuses and bars are of the target to date; the line in a bar is 100%. The dashed line beside the last twelve periods is their target.</p>\n',
        kpi.report_scorecard(the_unit, own, of_period),
        E'</section>\n<section id="changes"><h2>What changed</h2><p class="lead">KPIs of the unit and those beneath it whose status is another one than in the period before.</p>\n',
        kpi.report_changes(named.path, of_period),
        E'</section>\n<section id="cascade" class="page"><h2>Cascade</h2><p class="lead">What contributes to these KPIs, down to the teams. What is not on track is opened, and what leads to it.</p>\n',
        kpi.report_tree(own, of_period),
        E'</section>\n<section id="strategy" class="page"><h2>Strategy</h2><p class="lead">What the objectives serve. Each has the mean score of its KPIs and of the objectives beneath, and their worst status.</p>\n',
        coalesce(map, '<p class="none">No objective is recorded for this unit or served by its KPIs.</p>'),
        '<p class="key">', (SELECT string_agg(kpi.report_mark(s.status::text), '' ORDER BY s.status DESC) FROM unnest(enum_range(NULL::@extschema@.kpi_status)) AS s (status)), '</p>',
        E'</section>\n<section id="findings" class="page"><h2>Findings</h2><p class="lead">Where the work of the unit and those beneath it does not tie to the goals, as things are today.</p>\n',
        kpi.report_findings(named.path),
        E'</section>\n<section id="actions"><h2>Open actions</h2><p class="lead">What was agreed about KPIs and objectives of the unit and those beneath it, and is not done yet.</p>\n',
        kpi.report_actions(named.path),
        E'</section>\n<section id="checkins"><h2>Check-ins</h2><p class="lead">What those who answer for the KPIs say of this period.</p>\n',
        kpi.report_check_ins(named.path, of_period),
        E'</section>\n</main>\n<footer>Computed on ', to_char(now(), 'YYYY-MM-DD HH24:MI:SS TZH:TZM'), ' by kpi_cascade ', kpi.report_text((SELECT e.extversion FROM pg_extension e WHERE e.extname = 'kpi_cascade')),
        E'. Point at a number for its exact value.</footer>\n</body>\n</html>\n');
END
$$;
COMMENT ON FUNCTION kpi.report_page(text, boolean, text) IS 'Internal to kpi.report_html()';

CREATE FUNCTION kpi.report_html(unit text, period text DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN kpi.report_page(report_html.unit, false, report_html.period);
END
$$;
COMMENT ON FUNCTION kpi.report_html(text, text) IS
'How a unit stands in a period, as one HTML page without scripts or anything from elsewhere: its score and status, the scorecard by perspective, the tree of what contributes to its KPIs, the strategy map, findings of kpi.alignment, open actions and check-ins; for light and dark screens and for paper. unit is a path or a unit code; period is any period, or a day, which falls into its month; without one it is the running month. A KPI of a coarser grain shows the enclosing period. The tree goes three levels down, with the eight KPIs beneath each that attain least, the map has sixty objectives, and the lists have their first rows; what is left out is counted where it would stand. Reads with the caller''s rights. Error: 42704 for an unknown unit';

CREATE FUNCTION kpi.report_html(unit text, period @extschema@.kpi_period) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN kpi.report_page(report_html.unit, false, report_html.period::text);
END
$$;
COMMENT ON FUNCTION kpi.report_html(text, @extschema@.kpi_period) IS
'As kpi.report_html(text, text)';

CREATE FUNCTION kpi.report_html(unit text, as_of date) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN kpi.report_page(report_html.unit, false, kpi.period(report_html.as_of, 'day')::text);
END
$$;
COMMENT ON FUNCTION kpi.report_html(text, date) IS
'As kpi.report_html(text, text), of the month of a day';

CREATE FUNCTION kpi.report_html(unit @extschema@.kpi_path, period text DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN kpi.report_page(report_html.unit::text, true, report_html.period);
END
$$;
COMMENT ON FUNCTION kpi.report_html(@extschema@.kpi_path, text) IS
'As kpi.report_html(text, text), with the unit by path only';

CREATE FUNCTION kpi.report_html(unit @extschema@.kpi_path, period @extschema@.kpi_period) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN kpi.report_page(report_html.unit::text, true, report_html.period::text);
END
$$;
COMMENT ON FUNCTION kpi.report_html(@extschema@.kpi_path, @extschema@.kpi_period) IS
'As kpi.report_html(text, text), with the unit by path only';

CREATE FUNCTION kpi.report_html(unit @extschema@.kpi_path, as_of date) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN kpi.report_page(report_html.unit::text, true, kpi.period(report_html.as_of, 'day')::text);
END
$$;
COMMENT ON FUNCTION kpi.report_html(@extschema@.kpi_path, date) IS
'As kpi.report_html(text, text), of the month of a day, with the unit by path only';
