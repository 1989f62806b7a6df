-- How daily work ties to the long-term goal: from a KPI up to the vision, and
-- from a KPI down to what drives it.  75_strategy_map.sql draws both.
--
-- All of it runs with the caller's rights and reads views, which row security
-- on kpi.unit limits; only kpi.links_in_force, kpi.links_up and the view
-- kpi.objective_step read what is hidden too, so that what ties to what does
-- not depend on who looks, and give keys and weights only.

-- ---------------------------------------------------------------- what is read

CREATE VIEW kpi.described_objective AS
SELECT o.objective_id, o.code, o.name, o.kind, p.perspective, o.parent_objective_id, o.unit_id, u.path AS unit_now,
       o.owner, o.weight,
       coalesce(greatest(o.valid_from, u.valid_from), '-infinity') AS alive_from,
       coalesce(least(o.valid_to, u.valid_to), 'infinity') AS alive_to
  FROM kpi.objective o
  LEFT JOIN kpi.unit u ON u.unit_id = o.unit_id
  LEFT JOIN kpi.objective_perspective p ON p.objective_id = o.objective_id
 WHERE CASE WHEN (SELECT kpi.row_security_applies())
            THEN o.unit_id IS NULL OR o.unit_id IN (SELECT v.unit_id FROM kpi.visible_units() v (unit_id)) ELSE true END;
COMMENT ON VIEW kpi.described_objective IS 'Internal: each objective with its unit, the perspective it counts in and when it is alive';
COMMENT ON COLUMN kpi.described_objective.objective_id IS 'The objective';
COMMENT ON COLUMN kpi.described_objective.code IS 'Its code';
COMMENT ON COLUMN kpi.described_objective.name IS 'Its name';
COMMENT ON COLUMN kpi.described_objective.kind IS 'mission, vision, strategic_objective, unit_objective or business_driver';
COMMENT ON COLUMN kpi.described_objective.perspective IS 'Its perspective, or that of the nearest objective above that has one';
COMMENT ON COLUMN kpi.described_objective.parent_objective_id IS 'The objective it serves';
COMMENT ON COLUMN kpi.described_objective.unit_id IS 'The unit whose objective it is; null for one of everybody';
COMMENT ON COLUMN kpi.described_objective.unit_now IS 'Path of that unit by the newest recorded parentage';
COMMENT ON COLUMN kpi.described_objective.owner IS 'Who answers for it';
COMMENT ON COLUMN kpi.described_objective.weight IS 'Its weight in the objective it serves';
COMMENT ON COLUMN kpi.described_objective.alive_from IS 'First day on which it and its unit are valid, -infinity for open';
COMMENT ON COLUMN kpi.described_objective.alive_to IS 'First day on which one of them is no more, infinity for open';

CREATE VIEW kpi.objective_step AS
SELECT s.from_kind, s.from_id, s.objective_id, s.weight,
       coalesce(greatest(o.valid_from, u.valid_from), '-infinity') AS alive_from,
       coalesce(least(o.valid_to, u.valid_to), 'infinity') AS alive_to
  FROM (SELECT 'kpi' AS from_kind, k.kpi_id AS from_id, k.objective_id, k.weight FROM kpi.kpi k
        UNION ALL
        SELECT 'objective', c.objective_id, c.parent_objective_id, c.weight FROM kpi.objective c) s
  JOIN kpi.objective o ON o.objective_id = s.objective_id
  LEFT JOIN kpi.unit u ON u.unit_id = o.unit_id;
COMMENT ON VIEW kpi.objective_step IS 'Internal: which objective each KPI and each objective serves, whatever row security shows, keys and weights only';
COMMENT ON COLUMN kpi.objective_step.from_kind IS 'kpi or objective';
COMMENT ON COLUMN kpi.objective_step.from_id IS 'Key of the KPI or objective that serves';
COMMENT ON COLUMN kpi.objective_step.objective_id IS 'The objective served';
COMMENT ON COLUMN kpi.objective_step.weight IS 'With which weight';
COMMENT ON COLUMN kpi.objective_step.alive_from IS 'First day on which the objective served is alive, -infinity for open';
COMMENT ON COLUMN kpi.objective_step.alive_to IS 'First day on which it is no more, infinity for open';

CREATE FUNCTION kpi.links_up(
    day date, children bigint[],
    OUT child_kpi_id bigint, OUT parent_kpi_id bigint, OUT contributes text, OUT weight numeric, OUT link_id bigint)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    SET enable_seqscan = off
    SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    -- whoever may be above: explicit links say so, implied ones end at a KPI of
    -- the same measure at an ancestor; which of these are in force is said in
    -- one place
    RETURN QUERY
    SELECT i.child_kpi_id, i.parent_kpi_id, i.contributes, i.weight, i.link_id
      FROM kpi.links_in_force(links_up.day, ARRAY(
               SELECT l.parent_kpi_id FROM kpi.link l WHERE l.child_kpi_id = ANY (links_up.children)
               UNION
               SELECT p.kpi_id
                 FROM kpi.kpi c
                CROSS JOIN LATERAL (SELECT h.path FROM kpi.unit_path h
                                     WHERE h.unit_id = c.unit_id AND h.valid_from <= links_up.day AND h.valid_to > links_up.day OFFSET 0) h
                CROSS JOIN LATERAL generate_series(1, kpi.depth(h.path) - 1) AS s (depth)
                CROSS JOIN LATERAL (SELECT a.unit_id FROM kpi.unit_path a
                                     WHERE a.path OPERATOR(@extschema@.=) kpi.subpath(h.path, 1, s.depth)
                                       AND a.valid_from <= links_up.day AND a.valid_to > links_up.day OFFSET 0) a
                CROSS JOIN LATERAL (SELECT p.kpi_id FROM kpi.kpi p WHERE p.unit_id = a.unit_id AND p.measure_id = c.measure_id OFFSET 0) p
                WHERE c.kpi_id = ANY (links_up.children))) i
     WHERE i.child_kpi_id = ANY (links_up.children);
END
$$;
COMMENT ON FUNCTION kpi.links_up(date, bigint[]) IS 'Internal to kpi.line_of_sight(): the links in force on a day that lead up from these KPIs, as kpi.links_in_force() gives them. Reads all units, whatever row security shows to the caller, and returns keys and weights only';

-- ---------------------------------------------------------------- walking

CREATE TYPE kpi.sight_step AS (
    from_kind   text,
    from_id     bigint,
    to_kind     text,
    to_id       bigint,
    contributes text,
    weight      numeric
);
COMMENT ON TYPE kpi.sight_step IS 'Internal to kpi.line_of_sight(), kpi.drivers() and kpi.strategy_map(): one step from a KPI or objective to another';
COMMENT ON COLUMN kpi.sight_step.from_kind IS 'kpi or objective';
COMMENT ON COLUMN kpi.sight_step.from_id IS 'Key of the one the step starts from';
COMMENT ON COLUMN kpi.sight_step.to_kind IS 'kpi or objective';
COMMENT ON COLUMN kpi.sight_step.to_id IS 'Key of the one it leads to';
COMMENT ON COLUMN kpi.sight_step.contributes IS 'How the lower counts in the upper';
COMMENT ON COLUMN kpi.sight_step.weight IS 'With which weight';

CREATE FUNCTION kpi.link_steps(start bigint[], day date, upwards boolean, max_depth integer) RETURNS SETOF kpi.sight_step
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    SET jit = off
AS $$
DECLARE
    frontier bigint[] := start;
    seen bigint[] := start;
    found kpi.sight_step[];
    depth integer := 0;
BEGIN
    WHILE cardinality(frontier) > 0 AND (max_depth IS NULL OR depth < max_depth) LOOP
        IF upwards THEN
            found := ARRAY(SELECT ROW('kpi', l.child_kpi_id, 'kpi', l.parent_kpi_id, l.contributes, l.weight)::kpi.sight_step
                             FROM kpi.links_up(day, frontier) l);
        ELSE
            found := ARRAY(SELECT ROW('kpi', l.parent_kpi_id, 'kpi', l.child_kpi_id, l.contributes, l.weight)::kpi.sight_step
                             FROM kpi.links_in_force(day, frontier) l);
        END IF;
        RETURN QUERY SELECT f.* FROM unnest(found) f;
        frontier := ARRAY(SELECT f.to_id FROM unnest(found) f EXCEPT SELECT s.kpi_id FROM unnest(seen) AS s (kpi_id));
        seen := seen || frontier;
        depth := depth + 1;
    END LOOP;
END
$$;
COMMENT ON FUNCTION kpi.link_steps(bigint[], date, boolean, integer) IS 'Internal: every link in force on a day that is met going up, or down, from these KPIs, once';

CREATE FUNCTION kpi.objective_steps(kpis bigint[], objectives bigint[], day date) RETURNS SETOF kpi.sight_step
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    SET jit = off
AS $$
DECLARE
    frontier bigint[];
    seen bigint[];
    found kpi.sight_step[];
BEGIN
    found := ARRAY(SELECT ROW('kpi', s.from_id, 'objective', s.objective_id, 'objective', s.weight)::kpi.sight_step
                     FROM kpi.objective_step s
                    WHERE s.from_kind = 'kpi' AND s.from_id = ANY (kpis) AND s.alive_from <= day AND s.alive_to > day);
    RETURN QUERY SELECT f.* FROM unnest(found) f;
    frontier := ARRAY(SELECT f.to_id FROM unnest(found) f UNION SELECT o.objective_id FROM unnest(objectives) AS o (objective_id));
    seen := frontier;
    WHILE cardinality(frontier) > 0 LOOP
        found := ARRAY(SELECT ROW('objective', s.from_id, 'objective', s.objective_id, 'objective', s.weight)::kpi.sight_step
                         FROM kpi.objective_step s
                        WHERE s.from_kind = 'objective' AND s.from_id = ANY (frontier) AND s.alive_from <= day AND s.alive_to > day);
        RETURN QUERY SELECT f.* FROM unnest(found) f;
        frontier := ARRAY(SELECT f.to_id FROM unnest(found) f EXCEPT SELECT s.objective_id FROM unnest(seen) AS s (objective_id));
        seen := seen || frontier;
    END LOOP;
END
$$;
COMMENT ON FUNCTION kpi.objective_steps(bigint[], bigint[], date) IS 'Internal: every step up from these KPIs and objectives to objectives that are alive on a day, and on to the top, once';

CREATE TYPE kpi.sight AS (
    way            integer,
    depth          integer,
    kind           text,
    unit           @extschema@.kpi_path,
    measure        text,
    objective      text,
    name           text,
    contributes    text,
    weight         numeric,
    path_weight    numeric,
    period         @extschema@.kpi_period,
    actual         numeric,
    target         numeric,
    score          numeric,
    status         @extschema@.kpi_status,
    coverage       numeric,
    owner          text,
    objective_kind text,
    perspective    text,
    kpi_id         bigint,
    objective_id   bigint
);
COMMENT ON TYPE kpi.sight IS 'A row of kpi.line_of_sight() and kpi.drivers()';
COMMENT ON COLUMN kpi.sight.way IS 'Number of the way, from 1: order by way, depth for display';
COMMENT ON COLUMN kpi.sight.depth IS 'How many steps from the KPI asked for, which is at 0';
COMMENT ON COLUMN kpi.sight.kind IS 'kpi or objective';
COMMENT ON COLUMN kpi.sight.unit IS 'Path of its unit on the last day of the period; null for an objective of everybody';
COMMENT ON COLUMN kpi.sight.measure IS 'Code of the KPI''s measure';
COMMENT ON COLUMN kpi.sight.objective IS 'Code of the objective';
COMMENT ON COLUMN kpi.sight.name IS 'Name of the measure or objective';
COMMENT ON COLUMN kpi.sight.contributes IS 'How the lower of the two counts in the upper, on the step to this row: value, numerator, denominator, growth, score or aligned over a link, objective where an objective is served; null at depth 0';
COMMENT ON COLUMN kpi.sight.weight IS 'With which weight: of the link (the product of the shares for an implied one), of the KPI in its objective, of the objective in the one above';
COMMENT ON COLUMN kpi.sight.path_weight IS 'Product of the weights on the way so far';
COMMENT ON COLUMN kpi.sight.period IS 'The period of the figures: the one asked for, or the one that encloses it where the KPI''s grain is coarser; null where there is none';
COMMENT ON COLUMN kpi.sight.actual IS 'Actual of the KPI';
COMMENT ON COLUMN kpi.sight.target IS 'Target of the KPI';
COMMENT ON COLUMN kpi.sight.score IS 'Score of the KPI or objective';
COMMENT ON COLUMN kpi.sight.status IS 'Its status; null where it has no row in the period';
COMMENT ON COLUMN kpi.sight.coverage IS 'How much of it is known, 0 to 1';
COMMENT ON COLUMN kpi.sight.owner IS 'Who answers for it';
COMMENT ON COLUMN kpi.sight.objective_kind IS 'Kind of the objective: mission, vision, strategic_objective, unit_objective or business_driver';
COMMENT ON COLUMN kpi.sight.perspective IS 'The perspective the objective counts in';
COMMENT ON COLUMN kpi.sight.kpi_id IS 'The KPI';
COMMENT ON COLUMN kpi.sight.objective_id IS 'The objective';

CREATE FUNCTION kpi.sight_figures(kpis bigint[], objectives bigint[], of_period @extschema@.kpi_period) RETURNS SETOF kpi.sight
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    SET jit = off
AS $$
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
    SELECT NULL::integer, NULL::integer, 'kpi', d.path, d.measure, NULL, d.measure_name, NULL, NULL::numeric, NULL::numeric,
           d.period, c.actual, c.target, c.score, c.status, c.coverage, d.owner, NULL, NULL, d.kpi_id, NULL::bigint
      FROM (SELECT d.kpi_id, d.path, d.measure, d.measure_name, d.owner,
                   CASE WHEN kpi.is_target_period(of_period, d.grain, d.fiscal_start) THEN of_period
                        ELSE kpi.enclosing(of_period, d.grain, d.fiscal_start) END AS period
              FROM kpi.described_kpi d
             WHERE d.kpi_id = ANY (kpis) AND d.path_from <= day AND d.path_to > day) d
      LEFT JOIN (SELECT c.* FROM kpi.current_cell c WHERE c.kpi_id = ANY (kpis) AND c.period OPERATOR(@extschema@.=) ANY (periods)) c
             ON c.kpi_id = d.kpi_id AND c.period OPERATOR(@extschema@.=) d.period;
    RETURN QUERY
    SELECT NULL::integer, NULL::integer, 'objective', coalesce(s.unit, o.unit_now), NULL, o.code, o.name, NULL, NULL::numeric, NULL::numeric,
           of_period, NULL::numeric, NULL::numeric, s.score, s.status, s.coverage, o.owner, o.kind, o.perspective, NULL::bigint, o.objective_id
      FROM kpi.described_objective o
      LEFT JOIN (SELECT s.* FROM kpi.objective_score s
                  WHERE s.period OPERATOR(@extschema@.=) of_period AND s.objective_id = ANY (objectives)) s ON s.objective_id = o.objective_id
     WHERE o.objective_id = ANY (objectives);
END
$$;
COMMENT ON FUNCTION kpi.sight_figures(bigint[], bigint[], @extschema@.kpi_period) IS 'Internal: what is to be shown of these KPIs and objectives in a period, one row each, without way and weights; none for those that row security hides';

CREATE FUNCTION kpi.sight_kpi(unit text, measure text, period text, by_path boolean, OUT kpi_id bigint, OUT of_period @extschema@.kpi_period)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    rules record;
BEGIN
    SELECT e.kpi_id, e.grain::@extschema@.kpi_grain AS grain, e.fiscal_start INTO rules
      FROM kpi.entry_kpi(sight_kpi.unit, sight_kpi.measure, sight_kpi.by_path) e;
    kpi_id := rules.kpi_id;
    of_period := coalesce(sight_kpi.period::@extschema@.kpi_period, kpi.period(current_date, 'day'));
    IF NOT kpi.is_target_period(of_period, rules.grain, rules.fiscal_start) THEN
        of_period := CASE WHEN kpi.grain(of_period) = 'day' THEN kpi.period(kpi.first_day(of_period), rules.grain, rules.fiscal_start)
                          ELSE kpi.enclosing(of_period, rules.grain, rules.fiscal_start) END;
    END IF;
    IF of_period IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('measure "%s" has no numbers in a period such as "%s"', sight_kpi.measure, sight_kpi.period),
            HINT = format('It is kept by %s%s; take such a period, a coarser one, or one inside it.', rules.grain,
                          CASE WHEN rules.fiscal_start <> 1 THEN ' in years that start in month ' || rules.fiscal_start ELSE '' END);
    END IF;
END
$$;
COMMENT ON FUNCTION kpi.sight_kpi(text, text, text, boolean) IS 'Internal to kpi.line_of_sight() and kpi.drivers(): what is asked for. Errors: 22023 for a period the measure has no numbers in, 42704 for an unknown KPI';

CREATE FUNCTION kpi.sight_rows(kpi_id bigint, of_period @extschema@.kpi_period, upwards boolean, max_depth integer) RETURNS SETOF kpi.sight
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    SET jit = off
AS $$
DECLARE
    day constant date := kpi.last_day(of_period);
    start constant bigint := sight_rows.kpi_id;
    steps kpi.sight_step[];
    kpis bigint[];
    objectives bigint[] := '{}';
BEGIN
    IF max_depth < 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('max_depth "%s" is negative', max_depth),
            HINT = 'It is the number of steps to go; 0 stops at the KPI itself, null goes on to the end.';
    END IF;
    steps := ARRAY(SELECT s FROM kpi.link_steps(ARRAY[start], day, upwards, max_depth) s);
    kpis := ARRAY(SELECT start UNION SELECT s.to_id FROM unnest(steps) s);
    IF upwards THEN
        steps := steps || ARRAY(SELECT s FROM kpi.objective_steps(kpis, '{}', day) s);
        objectives := ARRAY(SELECT DISTINCT s.to_id FROM unnest(steps) s WHERE s.to_kind = 'objective');
    END IF;
    RETURN QUERY
    WITH RECURSIVE figure AS MATERIALIZED (
        SELECT f.*, coalesce(f.kpi_id, f.objective_id) AS id FROM kpi.sight_figures(kpis, objectives, of_period) f
    ), step AS MATERIALIZED (
        -- links first, then by path and name; what is hidden last
        SELECT s.*, row_number() OVER (PARTITION BY s.from_kind, s.from_id
                                       ORDER BY s.to_kind, f.unit, coalesce(f.measure, f.objective), s.to_id,
                                                array_position(ARRAY['value', 'numerator', 'denominator', 'growth', 'score', 'aligned'], s.contributes),
                                                s.weight)::integer AS rank
          FROM unnest(steps) s
          LEFT JOIN figure f ON f.kind = s.to_kind AND f.id = s.to_id
    ), walked (place, kind, id, contributes, weight, path_weight) AS (
        SELECT '{}'::integer[], 'kpi', start, NULL::text, NULL::numeric, 1::numeric
        UNION ALL
        SELECT w.place || s.rank, s.to_kind, s.to_id, s.contributes, s.weight, trim_scale(w.path_weight * s.weight)
          FROM walked w
          JOIN step s ON s.from_kind = w.kind AND s.from_id = w.id
         WHERE max_depth IS NULL OR cardinality(w.place) < max_depth
    ), way AS (
        -- down, each KPI ends a way of its own; up, only what has nothing above it
        SELECT row_number() OVER (ORDER BY w.place)::integer AS way, w.place
          FROM walked w
         WHERE NOT upwards OR NOT EXISTS (SELECT FROM step s WHERE s.from_kind = w.kind AND s.from_id = w.id)
    ), listed AS (
        SELECT y.way, w.*
          FROM way y
         CROSS JOIN LATERAL generate_series(CASE WHEN upwards THEN 0 ELSE cardinality(y.place) END, cardinality(y.place)) AS d (depth)
          JOIN walked w ON w.place = y.place[1:d.depth]
    )
    SELECT l.way, cardinality(l.place), l.kind, f.unit, f.measure, f.objective, f.name, l.contributes, trim_scale(l.weight), l.path_weight,
           f.period, f.actual, f.target, f.score, f.status, f.coverage, f.owner, f.objective_kind, f.perspective,
           CASE l.kind WHEN 'kpi' THEN l.id END, CASE l.kind WHEN 'objective' THEN l.id END
      FROM listed l
      LEFT JOIN figure f ON f.kind = l.kind AND f.id = l.id
     ORDER BY l.way, cardinality(l.place);
END
$$;
COMMENT ON FUNCTION kpi.sight_rows(bigint, @extschema@.kpi_period, boolean, integer) IS 'Internal to kpi.line_of_sight() and kpi.drivers(): all ways up, or down, from a KPI. Error: 22023 for a negative max_depth';

-- ---------------------------------------------------------------- up

CREATE FUNCTION kpi.line_of_sight(unit text, measure text, period text DEFAULT NULL)
    RETURNS SETOF kpi.sight
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT r.* FROM kpi.sight_kpi(line_of_sight.unit, line_of_sight.measure, line_of_sight.period, false) k
     CROSS JOIN LATERAL kpi.sight_rows(k.kpi_id, k.of_period, true, NULL) r;
END
$$;
COMMENT ON FUNCTION kpi.line_of_sight(text, text, text) IS
'Every way from a KPI up to the top: over each link in force, explicit ones of all kinds and implied ones, to the KPIs above, and from each KPI on the way to the objective it serves and on to mission and vision. One row per way and step, in display order; a way ends where nothing is above. unit is a path or a unit code; period is one of the measure''s grain or a coarser one; one that is finer, such as a day, stands for the one that encloses it; without one it is that of today. Links and objectives are those in force on its last day. A KPI of a coarser grain shows the enclosing period. path_weight is the product of the weights on the way. What row security hides has keys and weights only. Errors: 42704 for an unknown KPI, 22023 for a period the measure has no numbers in';

CREATE FUNCTION kpi.line_of_sight(unit text, measure text, period @extschema@.kpi_period)
    RETURNS SETOF kpi.sight
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT r.* FROM kpi.sight_kpi(line_of_sight.unit, line_of_sight.measure, line_of_sight.period::text, false) k
     CROSS JOIN LATERAL kpi.sight_rows(k.kpi_id, k.of_period, true, NULL) r;
END
$$;
COMMENT ON FUNCTION kpi.line_of_sight(text, text, @extschema@.kpi_period) IS
'As kpi.line_of_sight(text, text, text)';

CREATE FUNCTION kpi.line_of_sight(unit text, measure text, as_of date)
    RETURNS SETOF kpi.sight
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT r.* FROM kpi.sight_kpi(line_of_sight.unit, line_of_sight.measure, kpi.period(line_of_sight.as_of, 'day')::text, false) k
     CROSS JOIN LATERAL kpi.sight_rows(k.kpi_id, k.of_period, true, NULL) r;
END
$$;
COMMENT ON FUNCTION kpi.line_of_sight(text, text, date) IS
'As kpi.line_of_sight(text, text, text), as of a day';

CREATE FUNCTION kpi.line_of_sight(unit @extschema@.kpi_path, measure text, period text DEFAULT NULL)
    RETURNS SETOF kpi.sight
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT r.* FROM kpi.sight_kpi(line_of_sight.unit::text, line_of_sight.measure, line_of_sight.period, true) k
     CROSS JOIN LATERAL kpi.sight_rows(k.kpi_id, k.of_period, true, NULL) r;
END
$$;
COMMENT ON FUNCTION kpi.line_of_sight(@extschema@.kpi_path, text, text) IS
'As kpi.line_of_sight(text, text, text), with the unit by path only';

CREATE FUNCTION kpi.line_of_sight(unit @extschema@.kpi_path, measure text, period @extschema@.kpi_period)
    RETURNS SETOF kpi.sight
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT r.* FROM kpi.sight_kpi(line_of_sight.unit::text, line_of_sight.measure, line_of_sight.period::text, true) k
     CROSS JOIN LATERAL kpi.sight_rows(k.kpi_id, k.of_period, true, NULL) r;
END
$$;
COMMENT ON FUNCTION kpi.line_of_sight(@extschema@.kpi_path, text, @extschema@.kpi_period) IS
'As kpi.line_of_sight(text, text, text), with the unit by path only';

CREATE FUNCTION kpi.line_of_sight(unit @extschema@.kpi_path, measure text, as_of date)
    RETURNS SETOF kpi.sight
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT r.* FROM kpi.sight_kpi(line_of_sight.unit::text, line_of_sight.measure, kpi.period(line_of_sight.as_of, 'day')::text, true) k
     CROSS JOIN LATERAL kpi.sight_rows(k.kpi_id, k.of_period, true, NULL) r;
END
$$;
COMMENT ON FUNCTION kpi.line_of_sight(@extschema@.kpi_path, text, date) IS
'As kpi.line_of_sight(text, text, text), with the unit by path only, as of a day';

-- ---------------------------------------------------------------- down

CREATE FUNCTION kpi.drivers(unit text, measure text, period text DEFAULT NULL, max_depth integer DEFAULT NULL)
    RETURNS SETOF kpi.sight
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT r.* FROM kpi.sight_kpi(drivers.unit, drivers.measure, drivers.period, false) k
     CROSS JOIN LATERAL kpi.sight_rows(k.kpi_id, k.of_period, false, drivers.max_depth) r;
END
$$;
COMMENT ON FUNCTION kpi.drivers(text, text, text, integer) IS
'Every KPI that a KPI depends on, over each link in force, explicit ones of all kinds and implied ones, down to the last: one row per way down to it, depth first, the KPI itself first. Ways are numbered in that order. path_weight is the product of the weights on the way. max_depth stops at that depth. Arguments, periods and errors are those of kpi.line_of_sight(text, text, text)';

CREATE FUNCTION kpi.drivers(unit text, measure text, period @extschema@.kpi_period, max_depth integer DEFAULT NULL)
    RETURNS SETOF kpi.sight
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT r.* FROM kpi.sight_kpi(drivers.unit, drivers.measure, drivers.period::text, false) k
     CROSS JOIN LATERAL kpi.sight_rows(k.kpi_id, k.of_period, false, drivers.max_depth) r;
END
$$;
COMMENT ON FUNCTION kpi.drivers(text, text, @extschema@.kpi_period, integer) IS
'As kpi.drivers(text, text, text, integer)';

CREATE FUNCTION kpi.drivers(unit text, measure text, as_of date, max_depth integer DEFAULT NULL)
    RETURNS SETOF kpi.sight
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT r.* FROM kpi.sight_kpi(drivers.unit, drivers.measure, kpi.period(drivers.as_of, 'day')::text, false) k
     CROSS JOIN LATERAL kpi.sight_rows(k.kpi_id, k.of_period, false, drivers.max_depth) r;
END
$$;
COMMENT ON FUNCTION kpi.drivers(text, text, date, integer) IS
'As kpi.drivers(text, text, text, integer), as of a day';

CREATE FUNCTION kpi.drivers(unit @extschema@.kpi_path, measure text, period text DEFAULT NULL, max_depth integer DEFAULT NULL)
    RETURNS SETOF kpi.sight
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT r.* FROM kpi.sight_kpi(drivers.unit::text, drivers.measure, drivers.period, true) k
     CROSS JOIN LATERAL kpi.sight_rows(k.kpi_id, k.of_period, false, drivers.max_depth) r;
END
$$;
COMMENT ON FUNCTION kpi.drivers(@extschema@.kpi_path, text, text, integer) IS
'As kpi.drivers(text, text, text, integer), with the unit by path only';

CREATE FUNCTION kpi.drivers(unit @extschema@.kpi_path, measure text, period @extschema@.kpi_period, max_depth integer DEFAULT NULL)
    RETURNS SETOF kpi.sight
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT r.* FROM kpi.sight_kpi(drivers.unit::text, drivers.measure, drivers.period::text, true) k
     CROSS JOIN LATERAL kpi.sight_rows(k.kpi_id, k.of_period, false, drivers.max_depth) r;
END
$$;
COMMENT ON FUNCTION kpi.drivers(@extschema@.kpi_path, text, @extschema@.kpi_period, integer) IS
'As kpi.drivers(text, text, text, integer), with the unit by path only';

CREATE FUNCTION kpi.drivers(unit @extschema@.kpi_path, measure text, as_of date, max_depth integer DEFAULT NULL)
    RETURNS SETOF kpi.sight
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT r.* FROM kpi.sight_kpi(drivers.unit::text, drivers.measure, kpi.period(drivers.as_of, 'day')::text, true) k
     CROSS JOIN LATERAL kpi.sight_rows(k.kpi_id, k.of_period, false, drivers.max_depth) r;
END
$$;
COMMENT ON FUNCTION kpi.drivers(@extschema@.kpi_path, text, date, integer) IS
'As kpi.drivers(text, text, text, integer), with the unit by path only, as of a day';
