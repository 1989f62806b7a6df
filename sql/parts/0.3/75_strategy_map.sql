-- The strategy map: what kpi.line_of_sight() and kpi.drivers() find of a unit's
-- KPIs, as text for Mermaid or Graphviz.  Rights are as in 75_line_of_sight.sql.

CREATE FUNCTION kpi.asked_unit(unit text, by_path boolean, period text, in_months boolean, OUT unit_id bigint, OUT of_period @extschema@.kpi_period)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    unit_id := CASE WHEN asked_unit.by_path THEN kpi.unit_id(asked_unit.unit::@extschema@.kpi_path) ELSE kpi.unit_id(asked_unit.unit) END;
    of_period := coalesce(asked_unit.period::@extschema@.kpi_period, kpi.period(current_date, 'month'));
    IF asked_unit.in_months AND kpi.grain(of_period) = 'day' THEN
        of_period := kpi.period(kpi.first_day(of_period), 'month');
    END IF;
END
$$;
COMMENT ON FUNCTION kpi.asked_unit(text, boolean, text, boolean) IS 'Internal to kpi.strategy_map(), kpi.briefing() and kpi.report_html(): what is asked for, without a period in the running month; in_months: for a day in the month around it. Error: 42704 for an unknown unit';

-- Mermaid reads #65; as a character; of punctuation only what means nothing
-- to it, to its Markdown or to HTML stays as it is.
CREATE FUNCTION kpi.mermaid_label(label text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(replace(string_agg(CASE
                                    WHEN c = E'\n' THEN '<br/>'
                                    WHEN c <> '' AND c < ' ' COLLATE "C" OR c = E'\x7f' THEN ' '
                                    WHEN c ~ '[!-/:-@[-`{-~]' AND strpos(',.()/:-''!?%=', c) = 0 THEN '#' || ascii(c) || ';'
                                    ELSE c END, '' ORDER BY n), '%%', '#37;#37;'), '')
      FROM regexp_split_to_table(replace(label, E'\r\n', E'\n'), '') WITH ORDINALITY AS t (c, n)
$$;
COMMENT ON FUNCTION kpi.mermaid_label(text) IS 'Internal to kpi.strategy_map(): text as it stands between the quotes of a Mermaid label';

-- Graphviz reads \" and \\ as characters, \n as a new line and &...; as in HTML.
CREATE FUNCTION kpi.dot_label(label text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT regexp_replace(replace(replace(replace(replace(replace(label, E'\r\n', E'\n'), '&', '&amp;'), '\', '\\'), '"', '\"'), E'\n', '\n'),
                          E'[\x01-\x1f\x7f]', ' ', 'g')
$$;
COMMENT ON FUNCTION kpi.dot_label(text) IS 'Internal to kpi.strategy_map(): text as it stands between the quotes of a Graphviz label';

CREATE FUNCTION kpi.strategy_map_text(unit text, by_path boolean, period text, format text, max_depth integer) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    the_unit bigint;
    the_path @extschema@.kpi_path;
    of_period @extschema@.kpi_period;
    day date;
    own bigint[];
    steps kpi.sight_step[];
    kpis bigint[];
    objectives bigint[];
    result text;
BEGIN
    IF format IS NULL OR format NOT IN ('mermaid', 'dot') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = pg_catalog.format('format "%s" of a strategy map is not known', coalesce(format, 'null')),
            HINT = 'Use mermaid, or dot for Graphviz.';
    END IF;
    IF max_depth < 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = pg_catalog.format('max_depth "%s" is negative', max_depth),
            HINT = 'It is the number of levels beneath the unit''s KPIs; 0 stops at these, null goes on to the end.';
    END IF;
    SELECT a.unit_id, a.of_period INTO the_unit, of_period FROM kpi.asked_unit(unit, by_path, period, true) a;
    day := kpi.last_day(of_period);
    SELECT u.path INTO the_path FROM kpi.unit u WHERE u.unit_id = the_unit;

    own := ARRAY(SELECT k.kpi_id FROM kpi.kpi k JOIN kpi.unit u ON u.unit_id = k.unit_id
                  WHERE k.unit_id = the_unit
                    AND day >= coalesce(greatest(k.valid_from, u.valid_from), '-infinity')
                    AND day < coalesce(least(k.valid_to, u.valid_to), 'infinity'));
    steps := ARRAY(SELECT ROW(s.to_kind, s.to_id, s.from_kind, s.from_id, s.contributes, s.weight)::kpi.sight_step
                     FROM kpi.link_steps(own, day, false, max_depth) s)
          || ARRAY(SELECT s FROM kpi.link_steps(own, day, true, NULL) s);
    kpis := ARRAY(SELECT k.kpi_id FROM unnest(own) AS k (kpi_id) UNION SELECT s.from_id FROM unnest(steps) s UNION SELECT s.to_id FROM unnest(steps) s);
    objectives := ARRAY(SELECT o.objective_id FROM kpi.described_objective o
                         WHERE o.alive_from <= day AND o.alive_to > day
                           AND (o.unit_now OPERATOR(@extschema@.<@) the_path OR o.unit_id IS NULL AND kpi.depth(the_path) = 1));
    steps := steps || ARRAY(SELECT s FROM kpi.objective_steps(kpis, objectives, day) s);
    objectives := ARRAY(SELECT o.objective_id FROM unnest(objectives) AS o (objective_id)
                        UNION SELECT s.to_id FROM unnest(steps) s WHERE s.to_kind = 'objective');

    WITH word (status, colour, line, word) AS (
        VALUES ('no_data', '#eeeeee', '#9e9e9e', 'no data'), ('no_target', '#e3f2fd', '#64b5f6', 'no target'),
               ('off_track', '#ffcdd2', '#d32f2f', 'off track'), ('at_risk', '#ffe0b2', '#f57c00', 'at risk'),
               ('on_track', '#c8e6c9', '#388e3c', 'on track'), ('exceeded', '#b2dfdb', '#00796b', 'exceeded')
    ), node AS (
        SELECT n.kind, n.id, left(n.kind, 1) || replace(n.id::text, '-', '_') AS node, w.status, w.colour, w.line,
               f.unit, coalesce(f.measure, f.objective) AS code,
               CASE WHEN f.kind IS NULL THEN 'not shown'
                    ELSE concat_ws(E'\n', coalesce(nullif(f.name, ''), f.measure, f.objective),
                                   CASE n.kind WHEN 'kpi' THEN f.unit::text
                                               ELSE concat_ws(', ', replace(f.objective_kind, '_', ' '), replace(f.perspective, '_', ' ')) END,
                                   concat_ws(', ', trim_scale(round(f.score * 100, 1)) || '%', w.word)) END AS label
          FROM (SELECT 'kpi' AS kind, k.id FROM unnest(kpis) AS k (id)
                UNION ALL SELECT 'objective', o.id FROM unnest(objectives) AS o (id)) n
          LEFT JOIN kpi.sight_figures(kpis, objectives, of_period) f ON f.kind = n.kind AND coalesce(f.kpi_id, f.objective_id) = n.id
          JOIN word w ON w.status = coalesce(f.status::text, 'no_data')
    ), edge AS (
        SELECT DISTINCT b.node AS beneath, a.node AS above, s.contributes,
               nullif(concat_ws(' x ', CASE WHEN s.contributes NOT IN ('value', 'objective') OR s.weight <> 1 THEN s.contributes END,
                                CASE WHEN s.weight <> 1 THEN trim_scale(s.weight)::text END), '') AS label
          FROM unnest(steps) s
          JOIN node b ON b.kind = s.from_kind AND b.id = s.from_id
          JOIN node a ON a.kind = s.to_kind AND a.id = s.to_id
    ), line (part, sort, text) AS (
        SELECT 1, ARRAY['objective', n.code], CASE format
                   WHEN 'dot' THEN concat('  ', n.node, ' [label="', kpi.dot_label(n.label), '", shape=', CASE n.kind WHEN 'kpi' THEN 'box' ELSE 'ellipse' END,
                                          ', fillcolor="', n.colour, '", color="', n.line, '"];')
                   ELSE concat('  ', n.node, CASE n.kind WHEN 'kpi' THEN '["' ELSE '(["' END, kpi.mermaid_label(n.label),
                               CASE n.kind WHEN 'kpi' THEN '"]' ELSE '"])' END, ':::', n.status) END
          FROM node n WHERE n.kind = 'objective'
        UNION ALL
        SELECT 2, ARRAY[n.unit::text, n.code, n.node], CASE format
                   WHEN 'dot' THEN concat('  ', n.node, ' [label="', kpi.dot_label(n.label), '", shape=box, fillcolor="', n.colour, '", color="', n.line, '"];')
                   ELSE concat('  ', n.node, '["', kpi.mermaid_label(n.label), '"]:::', n.status) END
          FROM node n WHERE n.kind = 'kpi'
        UNION ALL
        SELECT 3, ARRAY[e.beneath, e.above, e.contributes, e.label], CASE format
                   WHEN 'dot' THEN concat('  ', e.beneath, ' -> ', e.above,
                                          CASE WHEN e.label IS NOT NULL OR e.contributes IN ('aligned', 'objective') THEN
                                              ' [' || concat_ws(', ', 'label="' || e.label || '"',
                                                                CASE e.contributes WHEN 'aligned' THEN 'style=dotted' WHEN 'objective' THEN 'style=dashed' END) || ']' END, ';')
                   ELSE concat('  ', e.beneath, CASE WHEN e.contributes IN ('aligned', 'objective') THEN ' -.->' ELSE ' -->' END,
                               '|"' || e.label || '"|', ' ', e.above) END
          FROM edge e
        UNION ALL
        SELECT 4, ARRAY[w.status], concat('  classDef ', w.status, ' fill:', w.colour, ',stroke:', w.line, ',color:#000000')
          FROM word w WHERE format = 'mermaid'
    )
    SELECT concat(CASE format WHEN 'dot' THEN E'digraph strategy {\n  graph [rankdir=BT, charset="UTF-8"];\n  node [style=filled, fontname="sans-serif"];\n  edge [fontname="sans-serif"];\n'
                              ELSE E'flowchart BT\n' END,
                  string_agg(l.text || E'\n', '' ORDER BY l.part, l.sort COLLATE "C"),
                  CASE format WHEN 'dot' THEN E'}\n' END)
      INTO result
      FROM line l;
    RETURN result;
END
$$;
COMMENT ON FUNCTION kpi.strategy_map_text(text, boolean, text, text, integer) IS 'Internal to kpi.strategy_map()';

CREATE FUNCTION kpi.strategy_map(unit text, period text DEFAULT NULL, format text DEFAULT 'mermaid', max_depth integer DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN kpi.strategy_map_text(strategy_map.unit, false, strategy_map.period, strategy_map.format, strategy_map.max_depth);
END
$$;
COMMENT ON FUNCTION kpi.strategy_map(text, text, text, integer) IS
'The strategy of a unit as text that draws itself: format mermaid (the default) or dot, for Graphviz. Nodes are the KPIs of the unit, all KPIs above them and those beneath (max_depth levels, or all), the objectives that these serve, those of the unit and of units beneath it (at a root unit those of everybody, too), and all objectives above; each with its score and coloured by its status in the period. Edges lead from what contributes to what it contributes to. unit is a path or a unit code; period is any period, or a day, which falls into its month; without one it is the running month. Links and objectives are those in force on its last day. Errors: 42704 for an unknown unit, 22023 for another format';

CREATE FUNCTION kpi.strategy_map(unit text, period @extschema@.kpi_period, format text DEFAULT 'mermaid', max_depth integer DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN kpi.strategy_map_text(strategy_map.unit, false, strategy_map.period::text, strategy_map.format, strategy_map.max_depth);
END
$$;
COMMENT ON FUNCTION kpi.strategy_map(text, @extschema@.kpi_period, text, integer) IS
'As kpi.strategy_map(text, text, text, integer)';

CREATE FUNCTION kpi.strategy_map(unit text, as_of date, format text DEFAULT 'mermaid', max_depth integer DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN kpi.strategy_map_text(strategy_map.unit, false, kpi.period(strategy_map.as_of, 'day')::text, strategy_map.format, strategy_map.max_depth);
END
$$;
COMMENT ON FUNCTION kpi.strategy_map(text, date, text, integer) IS
'As kpi.strategy_map(text, text, text, integer), as of a day';

CREATE FUNCTION kpi.strategy_map(unit @extschema@.kpi_path, period text DEFAULT NULL, format text DEFAULT 'mermaid', max_depth integer DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN kpi.strategy_map_text(strategy_map.unit::text, true, strategy_map.period, strategy_map.format, strategy_map.max_depth);
END
$$;
COMMENT ON FUNCTION kpi.strategy_map(@extschema@.kpi_path, text, text, integer) IS
'As kpi.strategy_map(text, text, text, integer), with the unit by path only';

CREATE FUNCTION kpi.strategy_map(unit @extschema@.kpi_path, period @extschema@.kpi_period, format text DEFAULT 'mermaid', max_depth integer DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN kpi.strategy_map_text(strategy_map.unit::text, true, strategy_map.period::text, strategy_map.format, strategy_map.max_depth);
END
$$;
COMMENT ON FUNCTION kpi.strategy_map(@extschema@.kpi_path, @extschema@.kpi_period, text, integer) IS
'As kpi.strategy_map(text, text, text, integer), with the unit by path only';

CREATE FUNCTION kpi.strategy_map(unit @extschema@.kpi_path, as_of date, format text DEFAULT 'mermaid', max_depth integer DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN kpi.strategy_map_text(strategy_map.unit::text, true, kpi.period(strategy_map.as_of, 'day')::text, strategy_map.format, strategy_map.max_depth);
END
$$;
COMMENT ON FUNCTION kpi.strategy_map(@extschema@.kpi_path, date, text, integer) IS
'As kpi.strategy_map(text, text, text, integer), with the unit by path only, as of a day';
