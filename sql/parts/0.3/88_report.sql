-- kpi.report_html: how a unit stands, as one page to look at or to print.
--
-- Reads with the caller's rights and through views, which row security on
-- kpi.unit limits, or tables joined to them.  Each section is read once, as a
-- set.  What is too much for a page is left out where the page says so.

-- ---------------------------------------------------------------- what is read

CREATE FUNCTION kpi.report_figures(
    kpis bigint[], of_period @extschema@.kpi_period,
    OUT kpi_id bigint, OUT path @extschema@.kpi_path, OUT unit_name text, OUT measure text, OUT name text, OUT unit_of_measure text, OUT owner text,
    OUT period @extschema@.kpi_period, OUT actual numeric, OUT target numeric, OUT target_to_date numeric, OUT aim text, OUT attained numeric, OUT status text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    day constant date := kpi.last_day(of_period);
    -- the period itself, or one that encloses it
    periods constant @extschema@.kpi_period[] := ARRAY(
        SELECT of_period
        UNION
        SELECT kpi.enclosing(of_period, r.grain, r.fiscal_start)
          FROM (SELECT DISTINCT d.grain, d.fiscal_start::integer FROM kpi.described_kpi d WHERE d.kpi_id = ANY (kpis)) r
         WHERE NOT kpi.is_target_period(of_period, r.grain, r.fiscal_start)
           AND kpi.enclosing(of_period, r.grain, r.fiscal_start) IS NOT NULL);
BEGIN
    RETURN QUERY
    SELECT d.kpi_id, d.path, coalesce(nullif(d.unit_name, ''), kpi.label(d.path, -1)), d.measure, coalesce(nullif(d.measure_name, ''), d.measure), d.unit_of_measure, d.owner,
           d.period, a.actual, a.target, a.target_to_date,
           -- what is aimed at where it is no single value
           CASE WHEN a.target IS NULL AND a.attainment IS NOT NULL THEN
               coalesce(CASE WHEN r.low IS NULL THEN 'up to ' || kpi.report_number(r.high) WHEN r.high IS NULL THEN kpi.report_number(r.low) || ' or more'
                             ELSE kpi.report_number(r.low) || '&#8211;' || kpi.report_number(r.high) END, d.scoring) END,
           coalesce(a.attainment_to_date, CASE WHEN a.actual IS NULL THEN a.score END), a.status::text
      FROM (SELECT d.kpi_id, d.path, d.unit_name, d.measure, d.measure_name, d.unit_of_measure, d.owner, d.time_rollup, m.scoring, m.targets_count_from,
                   CASE WHEN kpi.is_target_period(of_period, d.grain, d.fiscal_start) THEN of_period
                        ELSE kpi.enclosing(of_period, d.grain, d.fiscal_start) END AS period
              FROM kpi.described_kpi d
              JOIN kpi.measure m ON m.measure_id = d.measure_id
             WHERE d.kpi_id = ANY (kpis) AND d.path_from <= day AND d.path_to > day) d
      LEFT JOIN (SELECT a.* FROM kpi.attainment a WHERE a.kpi_id = ANY (kpis) AND a.period OPERATOR(@extschema@.=) ANY (periods)) a
             ON a.kpi_id = d.kpi_id AND a.period OPERATOR(@extschema@.=) d.period
      LEFT JOIN LATERAL (
            SELECT t.low, t.high FROM kpi.target t
             WHERE d.scoring = 'range' AND t.kpi_id = d.kpi_id AND t.period OPERATOR(@extschema@.<@) d.period
               AND (t.period OPERATOR(@extschema@.=) d.period OR d.time_rollup = 'last')
               AND (d.targets_count_from IN ('proposed', t.state) OR t.state = 'final')
             ORDER BY kpi.grain(t.period) DESC, kpi.last_day(t.period) DESC LIMIT 1) r ON true;
END
$$;
COMMENT ON FUNCTION kpi.report_figures(bigint[], @extschema@.kpi_period) IS 'Internal to kpi.report_html(): what is to be shown of these KPIs in a period, or in the one that encloses it where their grain is coarser; none for those that row security hides';

-- ---------------------------------------------------------------- scorecard

CREATE FUNCTION kpi.report_scorecard(the_unit bigint, own bigint[], of_period @extschema@.kpi_period) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    SET jit = off
AS $$
DECLARE
    -- figures in order of display, and the periods they are of
    shown bigint[];
    periods @extschema@.kpi_period[];
    result text;
BEGIN
    SELECT array_agg(f.kpi_id), array_agg(DISTINCT f.period) INTO shown, periods FROM kpi.report_figures(own, of_period) f WHERE f.period IS NOT NULL;
    WITH figure AS MATERIALIZED (
        SELECT f.*, p.perspective, kpi.perspective_no(p.perspective) AS perspective_no, k.measure_id
          FROM kpi.report_figures(shown, of_period) f
          JOIN kpi.kpi k ON k.kpi_id = f.kpi_id
          LEFT JOIN kpi.objective_perspective p ON p.objective_id = k.objective_id
    ), trend AS MATERIALIZED (
        SELECT t.kpi_id, t.period::text AS period, t.change, t.relative_change, t.travel, t.year_to_date, t.year_to_date_attainment, t.predecessor
          FROM kpi.trend t WHERE t.kpi_id = ANY (shown) AND t.period OPERATOR(@extschema@.=) ANY (periods)
    ), past AS MATERIALIZED (
        SELECT a.kpi_id, a.period::text AS period, a.actual, a.target FROM kpi.attainment a
         WHERE a.kpi_id = ANY (shown) AND a.period OPERATOR(@extschema@.=) ANY (ARRAY(SELECT DISTINCT g.p FROM unnest(periods) AS u (p), kpi.generate_series(u.p OPERATOR(@extschema@.-) 11, u.p) AS g (p)))
    ), run AS (
        SELECT f.kpi_id, array_agg(a.actual ORDER BY s.n) AS actuals, array_agg(a.target ORDER BY s.n) AS targets
          FROM figure f
         CROSS JOIN generate_series(0, 11) AS s (n)
          LEFT JOIN past a ON a.kpi_id = f.kpi_id AND a.period = (f.period OPERATOR(@extschema@.-) (11 - s.n))::text
         GROUP BY f.kpi_id
    ), line AS (
        SELECT f.perspective, f.perspective_no, f.measure_id,
               concat('<tr><th scope="row"><b dir="auto">', kpi.report_text(f.name), '</b><small>',
                      concat_ws(' &#183; ', '<span dir="auto">' || kpi.report_text(nullif(f.unit_of_measure, '')) || '</span>',
                                '<span dir="auto">' || kpi.report_text(nullif(f.owner, '')) || '</span>',
                                CASE WHEN f.period OPERATOR(@extschema@.<>) of_period THEN f.period::text END,
                                'replaces <span dir="auto">' || kpi.report_text(o.replaced) || '</span>'),
                      '</small></th><td>', kpi.report_mark(f.status),
                      '</td><td class="n">', kpi.report_figure(f.actual, f.unit_of_measure),
                      '</td><td class="n">', coalesce(f.aim, kpi.report_figure(f.target, f.unit_of_measure)),
                      CASE WHEN f.target_to_date <> f.target THEN '<small>to date ' || kpi.report_figure(f.target_to_date, f.unit_of_measure) || '</small>' END,
                      '</td><td class="n">', kpi.report_bar(f.attained, f.status), CASE WHEN f.actual IS NULL AND f.attained IS NOT NULL THEN '<small>score</small>' END,
                      '</td><td class="n">', CASE WHEN t.change IS NULL THEN '&#8211;'
                                                  ELSE concat('<span title="', CASE WHEN t.change > 0 THEN '+' END, t.change, '">',
                                                              coalesce(kpi.report_change(t.relative_change), kpi.report_number(t.change, true)), '</span>',
                                                              '<small>' || t.travel || '</small>') END,
                      '</td><td class="n">', kpi.report_figure(t.year_to_date, f.unit_of_measure),
                      CASE WHEN t.year_to_date_attainment IS NOT NULL THEN '<small>' || kpi.report_percent(t.year_to_date_attainment) || ' attained</small>' END,
                      '</td><td class="n">', kpi.report_sparkline(concat(f.name, ', ', f.period OPERATOR(@extschema@.-) 11, ' to ', f.period, ': lowest ', least_most.low, ', highest ', least_most.high, ', last ',
                                                                  coalesce(trim_scale(f.actual)::text, 'unknown')), r.actuals, r.targets, f.status),
                      '</td></tr>') AS html
          FROM figure f
          JOIN run r ON r.kpi_id = f.kpi_id
          LEFT JOIN trend t ON t.kpi_id = f.kpi_id AND t.period = f.period::text
          -- while what it replaced has figures among the twelve
          LEFT JOIN LATERAL (SELECT min(coalesce(nullif(m.name, ''), m.code)) AS replaced
                               FROM kpi.series_points(ARRAY[f.kpi_id], f.period, 12) s CROSS JOIN unnest(s.points) y JOIN kpi.measure m ON m.code = y.measure
                              WHERE y.measure = t.predecessor AND t.predecessor IS NOT NULL AND kpi.first_day(f.period) >= '0013-01-01') o ON true
         CROSS JOIN LATERAL (SELECT trim_scale(min(u.v)) AS low, trim_scale(max(u.v)) AS high FROM unnest(r.actuals) AS u (v)) least_most
    ), part AS (
        SELECT l.perspective, l.perspective_no, string_agg(l.html, E'\n' ORDER BY l.measure_id) AS html FROM line l GROUP BY l.perspective, l.perspective_no
    )
    SELECT concat('<div class="wide"><table><caption>KPIs by perspective, ', of_period, '</caption><thead><tr><th scope="col">KPI</th><th scope="col">Status</th>',
                  '<th scope="col" class="n">Actual</th><th scope="col" class="n">Target</th><th scope="col" class="n">Attained</th><th scope="col" class="n">On the period before</th>',
                  '<th scope="col" class="n">Year to date</th><th scope="col" class="n">Twelve periods</th></tr></thead>', E'\n',
                  string_agg(concat('<tbody>',
                                    CASE WHEN p.perspective IS NOT NULL OR EXISTS (SELECT FROM part o WHERE o.perspective IS NOT NULL) THEN
                                        concat('<tr class="group"><th colspan="8" scope="rowgroup">', kpi.report_mark(s.status::text, kpi.report_percent(s.score, 1) || ', ' || kpi.report_word(s.status::text)),
                                               '<span dir="auto">', coalesce(kpi.report_text(upper(left(p.perspective, 1)) || replace(substr(p.perspective, 2), '_', ' ')), 'Without perspective'), '</span></th></tr>', E'\n') END,
                                    p.html, '</tbody>'), E'\n' ORDER BY p.perspective_no, p.perspective),
                  '</table></div>')
      INTO result
      FROM part p
      LEFT JOIN kpi.perspective_score s ON s.unit_id = the_unit AND s.period OPERATOR(@extschema@.=) of_period AND s.perspective IS NOT DISTINCT FROM p.perspective
    HAVING count(*) > 0;
    RETURN concat(coalesce(result, '<p class="none">There is no KPI to show in this period.</p>'),
                  (SELECT concat('<p class="soft">Kept by other periods, so without numbers here: ', string_agg(kpi.report_text(f.name), ', ' ORDER BY f.name), '.</p>')
                     FROM kpi.report_figures(own, of_period) f WHERE f.period IS NULL HAVING count(*) > 0));
END
$$;
COMMENT ON FUNCTION kpi.report_scorecard(bigint, bigint[], @extschema@.kpi_period) IS 'Internal to kpi.report_html(): the KPIs of the unit by perspective, as a table';

-- ---------------------------------------------------------------- cascade

CREATE FUNCTION kpi.report_tree(own bigint[], of_period @extschema@.kpi_period) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    SET jit = off
AS $$
DECLARE
    max_depth constant integer := 3;     -- levels beneath the unit's KPIs
    max_width constant integer := 8;     -- KPIs right beneath one
    max_rows  constant integer := 300;   -- in all
    -- one level more, to say what is left out
    steps constant kpi.sight_step[] := ARRAY(SELECT s FROM kpi.link_steps(own, kpi.last_day(of_period), false, max_depth + 1) s);
    result text;
    leaves text;
BEGIN
    WITH RECURSIVE figure AS MATERIALIZED (
        SELECT f.* FROM kpi.report_figures(own || ARRAY(SELECT s.to_id FROM unnest(steps) s), of_period) f
    ), step AS MATERIALIZED (
        SELECT s.from_id, s.to_id, s.how, f.status,
               row_number() OVER (PARTITION BY s.from_id ORDER BY s.kind, f.path, f.measure, s.to_id)::integer AS n,
               row_number() OVER (PARTITION BY s.from_id ORDER BY f.kpi_id IS NULL, f.attained, s.kind, f.path, f.measure, s.to_id) AS rank,
               -- a KPI is taken apart in one place, the unit's own ones at the top
               NOT s.to_id = ANY (own) AND row_number() OVER (PARTITION BY s.to_id ORDER BY s.kind, s.from_id) = 1 AS is_home
          FROM (SELECT s.from_id, s.to_id, min(k.kind) AS kind,
                       string_agg(nullif(concat_ws(' ', CASE WHEN s.contributes <> 'value' THEN s.contributes END, CASE WHEN s.weight <> 1 THEN '&#215;&#160;' || kpi.report_number(s.weight) END), ''),
                                  ', ' ORDER BY k.kind, s.weight) AS how
                  FROM unnest(steps) s
                 CROSS JOIN LATERAL (SELECT array_position(ARRAY['value', 'numerator', 'denominator', 'growth', 'score', 'aligned'], s.contributes) AS kind) k
                 GROUP BY s.from_id, s.to_id) s
          LEFT JOIN figure f ON f.kpi_id = s.to_id
    ), walked AS (
        SELECT ARRAY[o.n::integer] AS place, o.id, NULL::bigint AS above, NULL::text AS how, true AS is_open
          FROM unnest(own) WITH ORDINALITY AS o (id, n)
         WHERE EXISTS (SELECT FROM step s WHERE s.from_id = o.id)
        UNION ALL
        SELECT w.place || s.n, s.to_id, w.id, s.how, s.is_home
          FROM walked w JOIN step s ON s.from_id = w.id
         WHERE w.is_open AND cardinality(w.place) <= max_depth AND s.rank <= max_width
    ), shown AS MATERIALIZED (
        -- from the top down: whatever is shown, what it is beneath is shown too
        SELECT w.* FROM (SELECT w.*, row_number() OVER (ORDER BY cardinality(w.place), w.place) AS rank FROM walked w) w WHERE w.rank <= max_rows
    ), hidden AS (
        SELECT w.place, s.status, count(*) AS kpis
          FROM shown w JOIN step s ON s.from_id = w.id
         WHERE (w.is_open OR NOT EXISTS (SELECT FROM shown o WHERE o.id = w.id AND o.is_open))
           AND NOT EXISTS (SELECT FROM shown c WHERE c.place = w.place || s.n)
         GROUP BY w.place, s.status
    ), line AS (
        SELECT w.place, concat('<span class="row"><span class="name">',
                               CASE WHEN f.kpi_id IS NULL THEN 'not shown'
                                    ELSE concat('<span dir="auto">', kpi.report_text(CASE WHEN f.measure = a.measure AND f.path OPERATOR(@extschema@.<>) a.path THEN f.unit_name
                                                                                          WHEN a.path IS NULL OR f.path OPERATOR(@extschema@.=) a.path THEN f.name
                                                                                          ELSE concat(f.unit_name, ', ', f.name) END), '</span>') END,
                               ' <small>' || nullif(concat_ws(' &#183; ', w.how, CASE WHEN f.period OPERATOR(@extschema@.<>) of_period THEN f.period::text WHEN f.kpi_id IS NOT NULL AND f.period IS NULL THEN 'kept by other periods' END,
                                                              CASE WHEN NOT w.is_open AND EXISTS (SELECT FROM step s WHERE s.from_id = w.id) AND EXISTS (SELECT FROM shown o WHERE o.id = w.id AND o.is_open)
                                                                   THEN 'taken apart elsewhere' END), '') || '</small>',
                               '</span><span>', CASE WHEN f.kpi_id IS NULL OR f.period IS NOT NULL THEN kpi.report_mark(f.status) END, '</span><span class="n"><span class="sr">actual </span>', kpi.report_figure(f.actual, f.unit_of_measure),
                               '</span><span class="n"><span class="sr">target </span>', coalesce(f.aim, kpi.report_figure(coalesce(f.target_to_date, f.target), f.unit_of_measure)),
                               '</span>', kpi.report_bar(f.attained, f.status), '</span>') AS html,
               f.status
          FROM shown w
          LEFT JOIN figure f ON f.kpi_id = w.id
          LEFT JOIN figure a ON a.kpi_id = w.above
        UNION ALL
        SELECT h.place || 2147483647, concat('<span class="more soft">', sum(h.kpis), ' more beneath: ',
                                             string_agg(concat(h.kpis, ' ', kpi.report_word(h.status)), ', ' ORDER BY h.status::@extschema@.kpi_status), '</span>'), NULL
          FROM hidden h GROUP BY h.place
    ), nested AS (
        -- open is what is not on track, and inside what leads to such a KPI
        SELECT l.place, l.html, cardinality(l.place) - 1 AS depth, coalesce(lead(cardinality(l.place) - 1) OVER (ORDER BY l.place), 0) AS next,
               CASE WHEN l.status IN ('off_track', 'at_risk')
                         OR cardinality(l.place) > 1 AND EXISTS (SELECT FROM line b WHERE b.status IN ('off_track', 'at_risk') AND b.place[:cardinality(l.place)] = l.place)
                    THEN ' open="open"' END AS open
          FROM line l
    )
    SELECT string_agg(CASE WHEN n.next > n.depth THEN concat(CASE WHEN n.depth > 0 THEN '<li>' END, '<details', n.open, '><summary>', n.html, '</summary><ul>')
                           ELSE concat('<li>', n.html, '</li>', repeat('</ul></details></li>', n.depth - greatest(n.next, 1)), CASE WHEN n.next = 0 THEN '</ul></details>' END) END,
                      E'\n' ORDER BY n.place)
      INTO result
      FROM nested n;
    SELECT string_agg(concat('<span dir="auto">', kpi.report_text(f.name), '</span>'), ', ' ORDER BY array_position(own, f.kpi_id)) INTO leaves
      FROM kpi.report_figures(own, of_period) f
     WHERE f.kpi_id NOT IN (SELECT s.from_id FROM unnest(steps) s);
    RETURN concat('<p class="row head" aria-hidden="true"><span>KPI, and what it is made of</span><span>Status</span><span class="n">Actual</span><span class="n">Target to date</span><span class="n">Attained</span></p>' || result,
                  CASE WHEN result IS NULL AND leaves IS NULL THEN '<p class="none">There is no KPI to take apart.</p>' END,
                  '<p class="soft more">Nothing contributes to: ' || leaves || '.</p>');
END
$$;
COMMENT ON FUNCTION kpi.report_tree(bigint[], @extschema@.kpi_period) IS 'Internal to kpi.report_html(): what lies beneath these KPIs, as nested lists; three levels and eight KPIs beneath each, those that attain least, 300 rows in all. The rest is counted by status where it would stand';
