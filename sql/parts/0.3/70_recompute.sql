-- The recomputation, once more: a target below the state from which its
-- measure's targets count does not count, and facts and targets can be taken
-- as they were recorded at a moment, for some KPIs and some days.  The body that
-- says what every number means stands here once; kpi.recompute() asks it for
-- everything as it is now, kpi.attainment_as_known() for what was known then.
--
-- What 0.2 wrote about it holds: plain SQL over the rows that users wrote, in
-- one snapshot, layer by layer; of our types only their text.

DROP FUNCTION kpi.recompute_periods();
DROP FUNCTION kpi.recompute_links(date[]);

CREATE FUNCTION kpi.recompute_needed(wanted bigint[]) RETURNS bigint[]
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    -- lookups, whatever the statistics
    SET enable_seqscan = off
    SET jit = off
AS $$
    -- down over every link there ever is, and from each unit to all that ever
    -- reported to it, whether or not it has a KPI of the measure
    WITH RECURSIVE node AS (
        SELECT k.unit_id, k.measure_id FROM kpi.kpi k WHERE k.kpi_id = ANY (wanted)
        UNION
        SELECT below.unit_id, below.measure_id
        FROM node n
        CROSS JOIN LATERAL (
            SELECT h.unit_id, n.measure_id
            FROM kpi.unit_history h
            WHERE h.parent_unit_id = n.unit_id
              AND EXISTS (SELECT FROM kpi.measure m WHERE m.measure_id = n.measure_id AND m.rolls_up AND m.rollup <> 'none')
            UNION ALL
            SELECT c.unit_id, c.measure_id
            FROM kpi.kpi p
            JOIN kpi.link l ON l.parent_kpi_id = p.kpi_id
            JOIN kpi.kpi c ON c.kpi_id = l.child_kpi_id
            WHERE p.unit_id = n.unit_id AND p.measure_id = n.measure_id AND l.contributes <> 'aligned') below
    )
    SELECT coalesce(array_agg(k.kpi_id), '{}')
    FROM node n JOIN kpi.kpi k ON k.unit_id = n.unit_id AND k.measure_id = n.measure_id
$$;
COMMENT ON FUNCTION kpi.recompute_needed(bigint[]) IS 'internal to kpi.recompute(): these KPIs and all that on any day may contribute to them';

CREATE FUNCTION kpi.recompute_years_back(wanted bigint[], needed bigint[]) RETURNS integer
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- A growth KPI rests on its child a year earlier, which may rest on another
    -- growth KPI.  By measures, over every link there ever is: implied links stay
    -- within one, and more years than needed do no harm.  No actual rests on a score.
    WITH RECURSIVE edge AS MATERIALIZED (
        SELECT DISTINCT c.measure_id AS child, p.measure_id AS parent, l.contributes = 'score' AS is_score,
               (l.contributes = 'growth')::integer AS years
        FROM kpi.link l
        JOIN kpi.kpi c ON c.kpi_id = l.child_kpi_id
        JOIN kpi.kpi p ON p.kpi_id = l.parent_kpi_id
        WHERE (needed IS NULL OR l.parent_kpi_id = ANY (needed)) AND l.contributes <> 'aligned'
    ), way (measure, years, has_score) AS (
        SELECT DISTINCT k.measure_id, 0, true
        FROM kpi.kpi k
        WHERE wanted IS NULL OR k.kpi_id = ANY (wanted)
        UNION
        SELECT e.child, w.years + e.years, e.is_score
        FROM way w JOIN edge e ON e.parent = w.measure
        WHERE (w.has_score OR NOT e.is_score) AND w.years < 8
    )
    SELECT CASE WHEN max(w.years) = 8 THEN NULL ELSE coalesce(max(w.years), 0) END FROM way w
$$;
COMMENT ON FUNCTION kpi.recompute_years_back(bigint[], bigint[]) IS 'internal to kpi.recompute(): how many years back the figures of these KPIs (null for all) rest, given those that may contribute to them (null for all): one for each growth link on the way; null where measures rest on each other''s growth in a circle, or over 8 years and more';

CREATE FUNCTION kpi.recompute_periods(
    used text[], kpis kpi.recompute_kpi[], first_day date, last_day date, years_back integer) RETURNS SETOF kpi.recompute_period
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET enable_nestloop = off
    SET jit = off
AS $$
    WITH frame AS (       -- the base grains and fiscal years in use
        SELECT DISTINCT k.base, k.fiscal_start FROM unnest(kpis) k
    ), named_day AS (     -- the days at the ends of periods that facts and targets name
        SELECT DISTINCT day
        FROM unnest(used) AS named (period)
        CROSS JOIN LATERAL kpi.recompute_period_of(named.period) p
        CROSS JOIN LATERAL (VALUES (p.first_day), (p.last_day)) AS ends (day)
    ), around AS (        -- the periods around them, at every grain that can have rows
        SELECT DISTINCT f.base, g.grain, kpi.recompute_period_around(u.day, g.grain, f.fiscal_start) AS period
        FROM named_day u CROSS JOIN frame f CROSS JOIN generate_series(1, 6) AS g (grain)
        WHERE g.grain = f.base OR kpi.recompute_rolls_up(f.base, g.grain)
    ), stretch AS (       -- the days asked for, and the same of so many years before
        SELECT CASE WHEN years_back IS NOT NULL
                    THEN recompute_periods.first_day - make_interval(years => y) END AS first_day,
               -- before 28 February lies the 28th, and before the whole of February its end
               greatest(recompute_periods.last_day + 1 - make_interval(years => y),
                        recompute_periods.last_day - make_interval(years => y) + interval '1 day') AS end_day
        FROM generate_series(0, coalesce(years_back, 0)) AS y
    ), touched AS (       -- those of them that lie in one of these stretches
        SELECT a.base, a.grain, a.period
        FROM around a CROSS JOIN LATERAL kpi.recompute_period_of(a.period) p
        WHERE EXISTS (SELECT FROM stretch s
                      WHERE (s.first_day IS NULL OR p.first_day >= s.first_day)
                        AND (s.end_day IS NULL OR p.last_day < s.end_day))
    ), within AS (        -- and all finer ones inside those
        SELECT t.period
        FROM touched t
        UNION
        SELECT kpi.recompute_period_around(day::date, g.grain, p.fiscal_start)
        FROM touched t
        CROSS JOIN LATERAL kpi.recompute_period_of(t.period) p
        CROSS JOIN generate_series(1, 5) AS g (grain)
        CROSS JOIN LATERAL generate_series(p.first_day::timestamp, p.last_day, kpi.recompute_step(g.grain)) AS day
        WHERE g.grain >= t.base AND kpi.recompute_rolls_up(g.grain, p.grain)
    ), change AS (        -- the days on which links in force may change
        SELECT array_agg(day ORDER BY day) AS days
        FROM (SELECT date '-infinity' AS day
              UNION SELECT effective_from FROM kpi.unit_history
              UNION SELECT unnest(ARRAY[valid_from, valid_to]) FROM kpi.unit
              UNION SELECT unnest(ARRAY[valid_from, valid_to]) FROM kpi.kpi
              UNION SELECT unnest(ARRAY[valid_from, valid_to]) FROM kpi.link) AS boundary
        WHERE day IS NOT NULL
    )
    SELECT p.period, p.grain, p.fiscal_start, p.first_day, p.last_day, p.year_before,
           c.days[width_bucket(p.last_day, c.days)]
    FROM within w CROSS JOIN LATERAL kpi.recompute_period_of(w.period) p CROSS JOIN change c
$$;
COMMENT ON FUNCTION kpi.recompute_periods(text[], kpi.recompute_kpi[], date, date, integer) IS 'internal to kpi.recompute(): every period in which some of these KPIs may have a row, given the periods that facts and targets name, and all finer ones inside; between two days, null for no limit, and the same days of years_back years before, null for all before';

CREATE FUNCTION kpi.recompute_links(days date[], kpis kpi.recompute_kpi[]) RETURNS SETOF kpi.recompute_link
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    SET enable_nestloop = off
    SET jit = off
AS $$
BEGIN
    RETURN QUERY
    WITH RECURSIVE life AS MATERIALIZED (
        SELECT day, k.*
        FROM unnest(days) AS day JOIN unnest(kpis) k ON k.alive_from <= day AND day < k.alive_to
    ), explicit AS MATERIALIZED (
        -- in force: its validity contains the day, its weight is not 0, and both KPIs are alive
        SELECT c.day, l.child_kpi_id, l.parent_kpi_id, l.contributes, l.weight,
               c.measure_id <> p.measure_id AS between_measures
        FROM kpi.link l
        JOIN life c ON c.kpi_id = l.child_kpi_id
        JOIN life p ON p.kpi_id = l.parent_kpi_id AND p.day = c.day
        WHERE l.weight <> 0
          AND coalesce(l.valid_from, '-infinity') <= c.day AND c.day < coalesce(l.valid_to, 'infinity')
    ), parentage AS MATERIALIZED (
        -- the last history row up to the day says who reports to whom
        SELECT DISTINCT ON (day, h.unit_id) day, h.unit_id, h.parent_unit_id, h.share
        FROM unnest(days) AS day JOIN kpi.unit_history h ON h.effective_from <= day
        ORDER BY day, h.unit_id, h.effective_from DESC
    ), ascent AS (
        -- from each KPI that may have an implied link up to the nearest ancestor unit
        -- with a living KPI of the same measure; share: product of those on the way
        SELECT c.day, c.kpi_id, c.measure_id, c.unit_id,
               c.apply_share AND c.rollup NOT IN ('min', 'max') AS weighted,
               1::numeric AS share, NULL::bigint AS reached, 0 AS tier
        FROM life c
        WHERE c.rolls_up AND c.rollup <> 'none'
          -- no implied link leaves a growth KPI
          AND NOT EXISTS (SELECT FROM explicit g
                          WHERE g.day = c.day AND g.parent_kpi_id = c.kpi_id AND g.contributes = 'growth')
        UNION ALL
        SELECT a.day, a.kpi_id, a.measure_id, h.parent_unit_id, a.weighted, a.share * h.share, p.kpi_id, a.tier + 1
        FROM ascent a
        JOIN parentage h ON h.day = a.day AND h.unit_id = a.unit_id
        LEFT JOIN life p ON p.day = a.day AND p.unit_id = h.parent_unit_id AND p.measure_id = a.measure_id
        WHERE a.reached IS NULL AND h.parent_unit_id IS NOT NULL
          AND a.tier < 64          -- no path is deeper
    )
    SELECT e.day, e.child_kpi_id, e.parent_kpi_id, e.contributes, e.weight
    FROM explicit e
    UNION ALL
    SELECT a.day, a.kpi_id, a.reached, 'value', CASE WHEN a.weighted THEN a.share ELSE 1 END
    FROM ascent a
    WHERE a.reached IS NOT NULL
      -- a share of 0 cuts it
      AND a.share <> 0
      -- an explicit value link between the same two KPIs replaces the implied one
      AND NOT EXISTS (SELECT FROM explicit e
                      WHERE e.day = a.day AND e.child_kpi_id = a.kpi_id AND e.parent_kpi_id = a.reached
                        AND e.contributes = 'value')
      -- none reaches a KPI while a numerator, denominator or growth link, or a value
      -- link from another measure, is in force into it
      AND NOT EXISTS (SELECT FROM explicit e
                      WHERE e.day = a.day AND e.parent_kpi_id = a.reached
                        AND (e.contributes IN ('numerator', 'denominator', 'growth')
                             OR e.contributes = 'value' AND e.between_measures));
END
$$;
COMMENT ON FUNCTION kpi.recompute_links(date[], kpi.recompute_kpi[]) IS 'internal to kpi.recompute(): the links in force on each of the days between these KPIs, explicit and implied';

CREATE FUNCTION kpi.recompute_figures(
    known_at timestamptz, wanted bigint[], first_day date, last_day date,
    OUT kpi_id bigint, OUT period text, OUT actual numeric, OUT target numeric, OUT attainment numeric,
    OUT target_to_date numeric, OUT attainment_to_date numeric, OUT driver_score numeric, OUT score numeric,
    OUT status text, OUT coverage numeric, OUT tally text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
    SET plan_cache_mode = force_custom_plan
    SET enable_nestloop = off
    SET jit = off
    SET work_mem = '64MB'
AS $$
#variable_conflict use_column
DECLARE
    needed     bigint[];                -- what is wanted, and all that may contribute to it
    kpis       kpi.recompute_kpi[];
    calendar   kpi.recompute_period[];
    insides    kpi.recompute_inside[];
    links      kpi.recompute_link[];
    facts      kpi.recompute_fact[];
    aims       kpi.recompute_aim[];     -- explicit targets
    bases      kpi.recompute_cell[];    -- finished cells of base periods, of all grains so far
    reached    kpi.recompute_cell[];    -- of the grain at work: cells with data, and their depth
    aimed      kpi.recompute_aim[];     -- of the grain at work: targets, explicit and derived
    ahead       kpi.recompute_cell[];    -- of the grain at work: all rows, before their layer
    done       kpi.recompute_cell[];    -- of the grain at work: finished rows
    at_grain   integer;
    at_depth   integer;
    deepest    integer;
BEGIN
    -- ------------------------------------------------ what the tables say
    IF wanted IS NOT NULL THEN
        needed := kpi.recompute_needed(wanted);
    END IF;
    kpis := ARRAY(SELECT k FROM kpi.recompute_kpis() k WHERE needed IS NULL OR k.kpi_id = ANY (needed));
    facts := ARRAY(
        SELECT ROW(f.kpi_id, f.period, NULL,
                   ROW(f.n, f.total, f.total_weight, f.product, f.minimum, f.maximum)::kpi.recompute_tally)::kpi.recompute_fact
        FROM (SELECT o.kpi_id, o.period::text AS period, count(*) AS n, sum(o.value) AS total, sum(o.weight) AS total_weight,
                     sum(o.value * o.weight) AS product, min(o.value) AS minimum, max(o.value) AS maximum
              FROM (SELECT f.kpi_id, f.period, f.value, f.weight
                    FROM kpi.fact f
                    WHERE (needed IS NULL OR f.kpi_id = ANY (needed))
                      -- as it is now, where it was so then; a fact without versions is recorded since it says so
                      AND (known_at IS NULL
                           OR NOT EXISTS (SELECT FROM kpi.fact_revision r WHERE r.fact_id = f.fact_id AND r.known_to > known_at)
                              AND (f.recorded_at <= known_at
                                   OR EXISTS (SELECT FROM kpi.fact_revision r WHERE r.fact_id = f.fact_id)))
                    UNION ALL
                    SELECT r.kpi_id, r.period, r.value, r.weight
                    FROM kpi.fact_revision r
                    WHERE (needed IS NULL OR r.kpi_id = ANY (needed))
                      AND r.known_from <= known_at AND r.known_to > known_at) o
              GROUP BY o.kpi_id, o.period::text) f);
    -- a target below the state from which its measure's targets count is as if not there
    aims := ARRAY(
        SELECT ROW(t.kpi_id, t.period::text, true,
                   ROW(t.value, t.baseline, t.low, t.high,
                       (SELECT array_agg(ARRAY[t.points[i][1], t.points[i][2]] ORDER BY t.points[i][1], t.points[i][2])
                        FROM generate_subscripts(t.points, 1) i))::kpi.recompute_target)::kpi.recompute_aim
        FROM (SELECT t.kpi_id, t.period::text AS period, t.value, t.baseline, t.low, t.high, t.points, t.state
              FROM kpi.target t
              WHERE (needed IS NULL OR t.kpi_id = ANY (needed))
                AND (known_at IS NULL
                     OR NOT EXISTS (SELECT FROM kpi.target_revision r
                                    WHERE r.kpi_id = t.kpi_id AND r.period::text = t.period::text AND r.revised_at > known_at))
              UNION ALL
              SELECT r.kpi_id, r.period, r.old_value, r.old_baseline, r.old_low, r.old_high, r.old_points, r.old_state
              FROM (SELECT DISTINCT ON (r.kpi_id, r.period::text)
                           r.kpi_id, r.period::text AS period, r.old_value, r.old_baseline, r.old_low, r.old_high,
                           r.old_points, r.old_state
                    FROM kpi.target_revision r
                    WHERE r.revised_at > known_at AND (needed IS NULL OR r.kpi_id = ANY (needed))
                    ORDER BY r.kpi_id, r.period::text, r.revised_at, r.target_revision_id) r
              WHERE r.old_state IS NOT NULL) t
        JOIN kpi.kpi k ON k.kpi_id = t.kpi_id
        JOIN kpi.measure m ON m.measure_id = k.measure_id
        WHERE array_position(ARRAY['proposed', 'agreed', 'final'], t.state)
              >= array_position(ARRAY['proposed', 'agreed', 'final'], m.targets_count_from));
    calendar := ARRAY(
        SELECT p
        FROM kpi.recompute_periods(
                 ARRAY(SELECT f.period FROM unnest(facts) f UNION SELECT a.period FROM unnest(aims) a),
                 kpis, first_day, last_day,
                 -- growth looks a year back, growth of what rests on growth further
                 CASE WHEN first_day IS NOT NULL THEN kpi.recompute_years_back(wanted, needed) END) p);
    insides := ARRAY(
        SELECT ROW(o.period, o.grain, o.fiscal_start, i.period, i.grain, i.first_day, i.last_day)::kpi.recompute_inside
        FROM unnest(calendar) o
        JOIN unnest(calendar) i ON i.first_day BETWEEN o.first_day AND o.last_day
                               AND kpi.recompute_rolls_up(i.grain, o.grain)
                               AND (i.grain <= 3 OR i.fiscal_start = o.fiscal_start));
    links := ARRAY(SELECT l FROM kpi.recompute_links(ARRAY(SELECT DISTINCT graph_day FROM unnest(calendar)), kpis) l);
    -- facts of a base period in which the KPI is not alive count nowhere
    facts := ARRAY(
        SELECT ROW(f.kpi_id, f.period, p.grain, f.tally)::kpi.recompute_fact
        FROM unnest(facts) f
        JOIN unnest(calendar) p ON p.period = f.period
        JOIN unnest(kpis) k ON k.kpi_id = f.kpi_id AND k.base = p.grain
        WHERE k.alive_from <= p.last_day AND p.last_day < k.alive_to);

    FOR at_grain IN 1 .. 6 LOOP
        CONTINUE WHEN NOT EXISTS (SELECT FROM unnest(calendar) p WHERE p.grain = at_grain);
        done := '{}';

        -- -------------------------------------------- which cells facts reach
        -- Own facts inside p, or a row of a base period inside p (in which k is alive), or
        -- a child over a non-aligned link in force in p that is reached.  No other cell can
        -- have data; which of these do, is only known when their layer is done.  On
        -- the way each cell gets its depth: more than that of any cell it rests on.  A
        -- growth KPI rests on its child a year earlier too, which alone is no data.
        reached := ARRAY(
            WITH RECURSIVE reach (kpi_id, period, depth, counts) AS (
                SELECT s.kpi_id, s.period, 0, true
                FROM (SELECT f.kpi_id, f.period FROM unnest(facts) f WHERE f.grain = at_grain
                      UNION
                      SELECT b.kpi_id, i.outer_period
                      FROM unnest(bases) b
                      JOIN unnest(insides) i ON i.period = b.period
                      JOIN unnest(kpis) k ON k.kpi_id = b.kpi_id
                      WHERE b.is_reached AND i.outer_grain = at_grain
                        AND (i.outer_grain <= 3 OR i.fiscal_start = k.fiscal_start)) s
                JOIN unnest(calendar) p ON p.period = s.period
                JOIN unnest(kpis) k ON k.kpi_id = s.kpi_id
                WHERE k.alive_from <= p.last_day AND p.last_day < k.alive_to
                UNION
                SELECT l.parent_kpi_id, n.period, r.depth + 1, r.counts AND NOT n.is_later
                FROM reach r
                JOIN (SELECT p.period AS child_period, p.period, p.graph_day, false AS is_later
                      FROM unnest(calendar) p WHERE p.grain = at_grain
                      UNION ALL
                      SELECT p.year_before, p.period, p.graph_day, true
                      FROM unnest(calendar) p WHERE p.grain = at_grain AND p.year_before IS NOT NULL) n
                  ON n.child_period = r.period
                JOIN unnest(links) l ON l.graph_day = n.graph_day AND l.child_kpi_id = r.kpi_id
                JOIN unnest(kpis) k ON k.kpi_id = l.parent_kpi_id
                WHERE l.contributes <> 'aligned'
                  AND (l.contributes = 'growth' OR NOT n.is_later)
                  AND (k.base = at_grain OR kpi.recompute_rolls_up(k.base, at_grain))
                  -- no path is longer than there are cells, unless links form a circle
                  AND r.depth < cardinality(kpis) * cardinality(calendar)
            )
            SELECT ROW(r.kpi_id, r.period, NULL, NULL, max(r.depth), true, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
                       NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::kpi.recompute_cell
            FROM reach r
            GROUP BY r.kpi_id, r.period
            HAVING bool_or(r.counts));

        -- -------------------------------------------- targets
        -- "The explicit row if there is one; else, at a coarser grain, derived from the
        -- explicit targets of the coarsest finer grain that divides p and for which all
        -- periods inside p in which the KPI is alive have one."
        aimed := ARRAY(
            WITH explicit AS (
                SELECT a.kpi_id, a.period, a.target
                FROM unnest(aims) a
                JOIN unnest(calendar) p ON p.period = a.period
                WHERE p.grain = at_grain
            ), holder AS (          -- KPI and period with a target of a finer grain inside
                SELECT DISTINCT a.kpi_id, i.outer_period AS period
                FROM unnest(aims) a
                JOIN unnest(insides) i ON i.period = a.period
                JOIN unnest(kpis) k ON k.kpi_id = a.kpi_id
                WHERE i.outer_grain = at_grain AND i.grain >= k.base
                  AND (i.outer_grain <= 3 OR i.fiscal_start = k.fiscal_start)
            ), full_grain AS (      -- grains at which every living period has one
                SELECT h.kpi_id, h.period, i.grain, array_agg(a.target ORDER BY i.first_day) AS targets
                FROM holder h
                JOIN unnest(kpis) k ON k.kpi_id = h.kpi_id
                JOIN unnest(insides) i ON i.outer_period = h.period AND i.grain >= k.base
                                      AND k.alive_from <= i.last_day AND i.last_day < k.alive_to
                LEFT JOIN unnest(aims) a ON a.kpi_id = h.kpi_id AND a.period = i.period
                GROUP BY h.kpi_id, h.period, i.grain
                HAVING bool_and(a.kpi_id IS NOT NULL)
            ), derived AS (
                SELECT DISTINCT ON (f.kpi_id, f.period) f.kpi_id, f.period, f.targets
                FROM full_grain f
                ORDER BY f.kpi_id, f.period, f.grain DESC
            ), either AS (
                SELECT e.kpi_id, e.period, true AS explicit, ARRAY[e.target] AS targets FROM explicit e
                UNION ALL
                SELECT d.kpi_id, d.period, false, d.targets FROM derived d
                WHERE NOT EXISTS (SELECT FROM explicit e WHERE e.kpi_id = d.kpi_id AND e.period = d.period)
            )
            SELECT ROW(t.kpi_id, t.period, t.explicit,
                       CASE WHEN t.explicit THEN t.targets[1] ELSE kpi.recompute_derive(t.targets,
                           -- growth KPIs never sum
                           CASE WHEN k.rollup IN ('sum', 'count', 'none') AND k.time_rollup = 'pool' AND g.parent_kpi_id IS NULL THEN 'sum'
                                WHEN k.time_rollup = 'last' THEN 'last'
                                WHEN k.rollup IN ('min', 'max') THEN k.rollup
                                ELSE 'mean' END) END)::kpi.recompute_aim
            FROM either t
            JOIN unnest(kpis) k ON k.kpi_id = t.kpi_id
            JOIN unnest(calendar) p ON p.period = t.period
            LEFT JOIN unnest(links) g ON g.graph_day = p.graph_day AND g.parent_kpi_id = t.kpi_id AND g.contributes = 'growth'
            WHERE k.alive_from <= p.last_day AND p.last_day < k.alive_to);

        -- -------------------------------------------- rows, and what is known before the layers
        -- all cells that are reached or have a target, explicit or derived
        ahead := ARRAY(
            WITH line AS (
                SELECT coalesce(r.kpi_id, a.kpi_id) AS kpi_id, coalesce(r.period, a.period) AS period,
                       coalesce(r.depth, 0) AS depth, r.kpi_id IS NOT NULL AS is_reached,
                       a.kpi_id IS NOT NULL AS has_target, a.explicit, a.target
                FROM unnest(reached) r FULL JOIN unnest(aimed) a ON a.kpi_id = r.kpi_id AND a.period = r.period
            ), inside AS MATERIALIZED (         -- the base periods of coarser rows, in which the KPI is alive
                SELECT l.kpi_id, l.period, i.first_day, t.kpi_id IS NOT NULL AS has_target, t.target, b.actual,
                       coalesce(b.coverage, 0) AS coverage, b.own, b.tally,
                       coalesce(b.is_known, false) AS is_known,
                       row_number() OVER (PARTITION BY l.kpi_id, l.period ORDER BY i.first_day) AS number
                FROM line l
                JOIN unnest(kpis) k ON k.kpi_id = l.kpi_id AND k.base < at_grain
                JOIN unnest(insides) i ON i.outer_period = l.period AND i.grain = k.base
                                      AND k.alive_from <= i.last_day AND i.last_day < k.alive_to
                LEFT JOIN unnest(bases) b ON b.kpi_id = l.kpi_id AND b.period = i.period
                LEFT JOIN unnest(aims) t ON t.kpi_id = l.kpi_id AND t.period = i.period
            ), summed AS (
                SELECT i.kpi_id, i.period,
                       -- own facts inside p
                       ROW(sum((i.own).n), sum((i.own).total), sum((i.own).total_weight), sum((i.own).product),
                           min((i.own).minimum), max((i.own).maximum))::kpi.recompute_tally AS own,
                       -- last: the own facts of the last base period that has own facts
                       (array_agg(i.own ORDER BY i.first_day DESC) FILTER (WHERE (i.own).n IS NOT NULL))[1] AS last_own,
                       -- pool: merges the KPI's own base-period tallies
                       ROW(sum((i.tally).n), sum((i.tally).total), sum((i.tally).total_weight), sum((i.tally).product),
                           min((i.tally).minimum), max((i.tally).maximum))::kpi.recompute_tally AS pooled,
                       -- mean: the mean of the KPI's base-period actuals that exist
                       kpi.exact_quotient(sum(i.actual), count(i.actual)) AS mean_actual,
                       -- the mean over the base periods in which the KPI is alive, those without a row counting 0
                       kpi.exact_quotient(sum(i.coverage), count(*)) AS coverage,
                       max(i.number) FILTER (WHERE i.actual IS NOT NULL) AS last_actual,
                       bool_or(i.is_known OR (i.own).n IS NOT NULL) AS is_fed,
                       array_agg(i.target ORDER BY i.number) AS targets,
                       array_agg(i.has_target ORDER BY i.number) AS has_targets
                FROM inside i
                GROUP BY i.kpi_id, i.period
            ), pair AS (                        -- growth at a coarser grain, like for like
                -- both years use only those base periods b of p for which A(c,b) and A(c,b-1y) both exist
                SELECT l.kpi_id, l.period, c.rollup, c.time_rollup, c.multiplier,
                       array_agg(now.actual ORDER BY i.first_day DESC) AS actuals,
                       array_agg(before.actual ORDER BY i.first_day DESC) AS actuals_before,
                       ROW(sum((now.tally).n), sum((now.tally).total), sum((now.tally).total_weight), sum((now.tally).product),
                           min((now.tally).minimum), max((now.tally).maximum))::kpi.recompute_tally AS tally,
                       ROW(sum((before.tally).n), sum((before.tally).total), sum((before.tally).total_weight), sum((before.tally).product),
                           min((before.tally).minimum), max((before.tally).maximum))::kpi.recompute_tally AS tally_before
                FROM line l
                JOIN unnest(calendar) p ON p.period = l.period AND p.grain <> 2   -- at week there is none
                JOIN unnest(links) g ON g.graph_day = p.graph_day AND g.parent_kpi_id = l.kpi_id AND g.contributes = 'growth'
                JOIN unnest(kpis) c ON c.kpi_id = g.child_kpi_id AND c.base < at_grain
                JOIN unnest(insides) i ON i.outer_period = l.period AND i.grain = c.base
                JOIN unnest(calendar) b ON b.period = i.period
                JOIN unnest(bases) now ON now.kpi_id = c.kpi_id AND now.period = i.period AND now.actual IS NOT NULL
                JOIN unnest(bases) before ON before.kpi_id = c.kpi_id AND before.period = b.year_before AND before.actual IS NOT NULL
                GROUP BY l.kpi_id, l.period, c.rollup, c.time_rollup, c.multiplier
            ), change AS (
                -- pool: their merged tallies; mean: the mean of their actuals; last: the last such pair
                SELECT g.kpi_id, g.period,
                       CASE g.time_rollup
                           WHEN 'pool' THEN kpi.recompute_actual(g.tally, g.rollup, g.multiplier)
                           WHEN 'last' THEN g.actuals[1]
                           ELSE (SELECT kpi.exact_quotient(sum(a), count(*)) FROM unnest(g.actuals) a) END AS actual,
                       CASE g.time_rollup
                           WHEN 'pool' THEN kpi.recompute_actual(g.tally_before, g.rollup, g.multiplier)
                           WHEN 'last' THEN g.actuals_before[1]
                           ELSE (SELECT kpi.exact_quotient(sum(a), count(*)) FROM unnest(g.actuals_before) a) END AS actual_before
                FROM pair g
            ), to_date AS (
                -- j: the last base period with an actual; without any there is no target to date.
                -- The first that applies:
                SELECT l.kpi_id, l.period,
                    CASE
                    -- p has no explicit target and all of b1..bj have one: derived from those
                    WHEN l.explicit IS NOT TRUE AND f.so_far THEN kpi.recompute_derive(s.targets[:s.last_actual], f.how)
                    -- p has an explicit one, targets are summed, all of b1..bn have one and
                    -- their sum equals p's: derived from b1..bj
                    WHEN l.explicit AND f.how = 'sum' AND f.throughout
                         AND (kpi.recompute_derive(s.targets, 'sum')).value = (l.target).value
                        THEN kpi.recompute_derive(s.targets[:s.last_actual], 'sum')
                    -- targets are summed and scoring is ratio or step: target * j / n
                    WHEN f.how = 'sum' AND k.scoring IN ('ratio', 'step')
                        THEN ROW(kpi.exact_quotient((l.target).value * s.last_actual, cardinality(s.targets)),
                                 (l.target).baseline, (l.target).low, (l.target).high, (l.target).points)::kpi.recompute_target
                    -- else the target
                    ELSE l.target END AS target,
                    l.has_target OR f.so_far AS has_target
                FROM line l
                JOIN summed s ON s.kpi_id = l.kpi_id AND s.period = l.period
                JOIN unnest(kpis) k ON k.kpi_id = l.kpi_id
                JOIN unnest(calendar) p ON p.period = l.period
                LEFT JOIN unnest(links) g ON g.graph_day = p.graph_day AND g.parent_kpi_id = l.kpi_id AND g.contributes = 'growth'
                CROSS JOIN LATERAL (
                    SELECT true = ALL (s.has_targets[:s.last_actual]) AS so_far,
                           true = ALL (s.has_targets) AS throughout,
                           CASE WHEN k.rollup IN ('sum', 'count', 'none') AND k.time_rollup = 'pool' AND g.parent_kpi_id IS NULL THEN 'sum'
                                WHEN k.time_rollup = 'last' THEN 'last'
                                WHEN k.rollup IN ('min', 'max') THEN k.rollup
                                ELSE 'mean' END AS how) f
                WHERE s.last_actual IS NOT NULL AND (l.has_target OR true = ANY (s.has_targets))
            )
            SELECT ROW(l.kpi_id, l.period, p.graph_day, k.base = at_grain, l.depth, l.is_reached,
                       CASE WHEN k.base = at_grain THEN f.tally ELSE s.own END,
                       CASE k.time_rollup WHEN 'last' THEN s.last_own ELSE s.pooled END,
                       s.mean_actual, s.coverage,
                       kpi.exact_quotient(k.multiplier * (g.actual - g.actual_before), abs(g.actual_before)),
                       l.has_target, l.target,
                       -- in a base period the target to date is the target
                       CASE WHEN k.base = at_grain THEN l.has_target ELSE coalesce(d.has_target, false) END,
                       CASE WHEN k.base = at_grain THEN l.target ELSE d.target END,
                       NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
                       f.kpi_id IS NOT NULL OR coalesce(s.is_fed, false))::kpi.recompute_cell
            FROM line l
            JOIN unnest(kpis) k ON k.kpi_id = l.kpi_id
            JOIN unnest(calendar) p ON p.period = l.period
            LEFT JOIN unnest(facts) f ON f.kpi_id = l.kpi_id AND f.period = l.period
            LEFT JOIN summed s ON s.kpi_id = l.kpi_id AND s.period = l.period
            LEFT JOIN change g ON g.kpi_id = l.kpi_id AND g.period = l.period
            LEFT JOIN to_date d ON d.kpi_id = l.kpi_id AND d.period = l.period);

        -- -------------------------------------------- layer by layer up the links
        deepest := (SELECT coalesce(max(c.depth), -1) FROM unnest(ahead) c);
        FOR at_depth IN 0 .. deepest LOOP
            done := done || ARRAY(
                WITH line AS (
                    SELECT * FROM unnest(ahead) t WHERE t.depth = at_depth
                ), inflow AS (              -- what the links in force bring, from children that are done
                    SELECT l.kpi_id, l.period,
                           -- value: w times the child's tally; numerator, denominator: w times the
                           -- child's actual adds to the sum of v, of w; extremes are not scaled
                           count(*) FILTER (WHERE i.contributes IN ('value', 'numerator', 'denominator')) AS sources,
                           count(*) FILTER (WHERE i.contributes = 'value' AND (c.tally).n IS NOT NULL
                                               OR i.contributes IN ('numerator', 'denominator') AND c.actual IS NOT NULL) AS brought,
                           bool_or(i.contributes IN ('numerator', 'denominator')) AS is_computed,
                           sum(i.weight * (c.tally).n) FILTER (WHERE i.contributes = 'value') AS n,
                           sum(CASE i.contributes WHEN 'value' THEN i.weight * (c.tally).total
                                                  WHEN 'numerator' THEN i.weight * c.actual END) AS total,
                           sum(CASE i.contributes WHEN 'value' THEN i.weight * (c.tally).total_weight
                                                  WHEN 'denominator' THEN i.weight * c.actual END) AS total_weight,
                           sum(i.weight * (c.tally).product) FILTER (WHERE i.contributes = 'value') AS product,
                           min((c.tally).minimum) FILTER (WHERE i.contributes = 'value') AS minimum,
                           max((c.tally).maximum) FILTER (WHERE i.contributes = 'value') AS maximum,
                           -- coverage of sources and of drivers; a child without a row counts 0
                           sum(abs(i.weight)) FILTER (WHERE i.contributes IN ('value', 'numerator', 'denominator')) AS source_weight,
                           sum(abs(i.weight) * coalesce(c.coverage, 0))
                               FILTER (WHERE i.contributes IN ('value', 'numerator', 'denominator')) AS source_coverage,
                           sum(i.weight * coalesce(c.coverage, 0)) FILTER (WHERE i.contributes = 'score') AS driver_coverage,
                           -- a child has data when it has a tally, an actual or a score
                           coalesce(bool_or(c.is_known), false) AS is_fed,
                           -- drivers
                           count(*) FILTER (WHERE i.contributes = 'score') AS drivers,
                           count(c.score) FILTER (WHERE i.contributes = 'score') AS scored,
                           sum(i.weight) FILTER (WHERE i.contributes = 'score') AS driver_weight,
                           sum(i.weight) FILTER (WHERE i.contributes = 'score' AND c.score IS NOT NULL) AS scored_weight,
                           sum(i.weight * c.score) FILTER (WHERE i.contributes = 'score') AS driver_sum,
                           min(c.score) FILTER (WHERE i.contributes = 'score') AS driver_min,
                           max(c.score) FILTER (WHERE i.contributes = 'score') AS driver_max,
                           -- growth against the same period a year earlier
                           bool_or(i.contributes = 'growth') AS is_growth,
                           max(c.actual) FILTER (WHERE i.contributes = 'growth') AS growth_actual,
                           max(e.actual) FILTER (WHERE i.contributes = 'growth') AS growth_before,
                           max(least(coalesce(c.coverage, 0), coalesce(e.coverage, 0)))
                               FILTER (WHERE i.contributes = 'growth') AS growth_coverage
                    FROM line l
                    JOIN unnest(links) i ON i.graph_day = l.graph_day AND i.parent_kpi_id = l.kpi_id
                    JOIN unnest(calendar) p ON p.period = l.period
                    LEFT JOIN unnest(done) c ON c.kpi_id = i.child_kpi_id AND c.period = l.period
                    LEFT JOIN unnest(done) e ON e.kpi_id = i.child_kpi_id AND e.period = p.year_before
                                            AND i.contributes = 'growth'
                    WHERE i.contributes <> 'aligned'
                    GROUP BY l.kpi_id, l.period
                ), gathered AS MATERIALIZED (
                    SELECT l.*, k.rollup, k.time_rollup, k.multiplier, k.scoring, k.direction, k.missing_child,
                           k.score_floor, k.score_cap, k.driver_rollup, k.result_weight,
                           k.at_risk_from, k.on_track_from, k.exceeded_from,
                           coalesce(f.is_growth, false) AS is_growth, f.growth_actual, f.growth_before, f.growth_coverage,
                           l.is_fed OR coalesce(f.is_fed, false) AS found_fed,
                           coalesce(f.sources, 0) AS sources, f.source_weight, f.source_coverage,
                           coalesce(f.drivers, 0) AS drivers, f.driver_coverage,
                           -- the rule at p itself: base periods; computed KPIs at every grain; last
                           l.is_base OR coalesce(f.is_computed, false) AS takes_own,
                           CASE
                           WHEN f.is_growth THEN NULL
                           WHEN l.is_base OR f.is_computed OR k.time_rollup = 'last' THEN (
                               -- own facts (of the last base period that has some, for last) plus
                               -- what the links bring; under require a tally that lacks the
                               -- contribution of a link in force is no data
                               SELECT CASE WHEN (o.t).n IS NULL AND coalesce(f.brought, 0) = 0
                                             OR k.missing_child = 'require' AND f.brought < f.sources THEN NULL
                                      ELSE ROW(coalesce((o.t).n, 0) + coalesce(f.n, 0),
                                               coalesce((o.t).total, 0) + coalesce(f.total, 0),
                                               coalesce((o.t).total_weight, 0) + coalesce(f.total_weight, 0),
                                               coalesce((o.t).product, 0) + coalesce(f.product, 0),
                                               least((o.t).minimum, f.minimum),
                                               greatest((o.t).maximum, f.maximum))::kpi.recompute_tally END
                               FROM (SELECT CASE WHEN l.is_base OR f.is_computed THEN l.own ELSE l.carried END AS t) o)
                           ELSE l.carried END AS gathered,
                           -- exclude: the rest is renormalised; zero: count 0, once at least one child
                           -- has a score; require: null
                           CASE WHEN f.scored = 0 OR k.missing_child = 'require' AND f.scored < f.drivers THEN NULL
                                WHEN k.driver_rollup = 'mean' AND k.missing_child = 'zero'
                                    THEN kpi.exact_quotient(f.driver_sum, f.driver_weight)
                                WHEN k.driver_rollup = 'mean' THEN kpi.exact_quotient(f.driver_sum, f.scored_weight)
                                WHEN k.missing_child = 'zero' AND f.scored < f.drivers AND k.driver_rollup = 'min'
                                    THEN least(f.driver_min, 0)
                                WHEN k.missing_child = 'zero' AND f.scored < f.drivers THEN greatest(f.driver_max, 0)
                                WHEN k.driver_rollup = 'min' THEN f.driver_min
                                ELSE f.driver_max END AS found_driver
                    FROM line l
                    JOIN unnest(kpis) k ON k.kpi_id = l.kpi_id
                    LEFT JOIN inflow f ON f.kpi_id = l.kpi_id AND f.period = l.period
                ), valued AS MATERIALIZED (
                    SELECT g.*,
                           CASE
                           -- multiplier * (A(c,p) - A(c,p-1y)) / |A(c,p-1y)|, null unless both exist and
                           -- the older is not 0
                           WHEN g.is_growth AND g.is_base
                               THEN kpi.exact_quotient(g.multiplier * (g.growth_actual - g.growth_before), abs(g.growth_before))
                           WHEN g.is_growth THEN g.carried_growth
                           WHEN g.takes_own OR g.time_rollup <> 'mean' THEN kpi.recompute_actual(g.gathered, g.rollup, g.multiplier)
                           ELSE g.carried_actual END AS found_actual,
                           CASE
                           -- growth: the smaller of the two years' in a base period, coarser grains their mean
                           WHEN g.is_growth AND g.is_base THEN g.growth_coverage
                           WHEN g.is_growth THEN g.carried_coverage
                           -- base periods, and at coarser grains computed KPIs, last, or only score links
                           -- and no own facts inside p
                           WHEN g.takes_own OR g.time_rollup = 'last'
                                OR g.drivers > 0 AND g.sources = 0 AND (g.own).n IS NULL THEN
                               CASE
                               -- sources, own facts counting as one more of weight 1 and coverage 1
                               WHEN g.sources > 0 THEN kpi.exact_quotient(g.source_coverage + ((g.own).n IS NOT NULL)::integer,
                                                                          g.source_weight + ((g.own).n IS NOT NULL)::integer)
                               WHEN (g.own).n IS NOT NULL THEN 1
                               WHEN g.drivers > 0 THEN kpi.exact_quotient(g.driver_coverage, g.total_driver_weight)
                               ELSE 0 END
                           ELSE g.carried_coverage END AS found_coverage
                    FROM (SELECT g.*, f.driver_weight AS total_driver_weight
                          FROM gathered g LEFT JOIN inflow f ON f.kpi_id = g.kpi_id AND f.period = g.period) g
                ), attained AS MATERIALIZED (
                    -- null without actual or target; to date the same with the target to date
                    SELECT v.*,
                           CASE WHEN v.has_target THEN kpi.recompute_attainment(v.found_actual, v.target, v.scoring, v.direction) END AS found,
                           CASE WHEN v.has_to_date THEN kpi.recompute_attainment(v.found_actual, v.to_date, v.scoring, v.direction) END AS found_to_date
                    FROM valued v
                ), clamped AS (
                    -- r = clamp(attainment_to_date, score_floor, score_cap); null bounds nothing
                    SELECT a.*, CASE WHEN a.found_to_date IS NOT NULL
                                     THEN least(greatest(a.found_to_date, a.score_floor), a.score_cap) END AS result
                    FROM attained a
                ), rated AS MATERIALIZED (
                    SELECT c.*,
                           CASE
                           -- under require, where score links are in force and q < 1, a null d makes the score null
                           WHEN c.missing_child = 'require' AND c.drivers > 0 AND c.result_weight < 1 AND c.found_driver IS NULL THEN NULL
                           -- q * r + (1-q) * d where both exist, else the one that exists
                           WHEN c.result IS NOT NULL AND c.found_driver IS NOT NULL
                               THEN kpi.exact_quotient(c.result_weight * c.result + (1 - c.result_weight) * c.found_driver, 1)
                           ELSE kpi.exact_quotient(coalesce(c.result, c.found_driver), 1) END AS found_score
                    FROM clamped c
                )
                SELECT ROW(r.kpi_id, r.period, r.graph_day, r.is_base, r.depth, r.is_reached,
                           r.own, r.carried, r.carried_actual, r.carried_coverage, r.carried_growth,
                           r.has_target, r.target, r.has_to_date, r.to_date,
                           r.gathered, r.found_actual, r.found, r.found_to_date, r.found_driver, r.found_score,
                           CASE
                           WHEN r.found_score IS NULL AND r.found_actual IS NULL THEN 'no_data'
                           WHEN r.found_score IS NULL THEN 'no_target'
                           WHEN r.found_to_date >= r.exceeded_from AND r.found_score >= r.on_track_from THEN 'exceeded'
                           WHEN r.found_score >= r.on_track_from THEN 'on_track'
                           WHEN r.found_score >= r.at_risk_from THEN 'at_risk'
                           ELSE 'off_track' END,
                           r.found_coverage,
                           (r.gathered).n IS NOT NULL OR r.found_actual IS NOT NULL OR r.found_score IS NOT NULL,
                           r.found_fed)::kpi.recompute_cell
                FROM rated r
                -- a KPI alive in p has a row in p when it has own facts inside p, or a child over
                -- any link in force but aligned has data in p, or any base period inside has
                -- data, or it has a target in p, explicit or derived
                WHERE r.found_fed OR r.has_target);
        END LOOP;

        bases := bases || ARRAY(SELECT c FROM unnest(done) c WHERE c.is_base);
        RETURN QUERY
            SELECT c.kpi_id, c.period, trim_scale(c.actual), trim_scale((c.target).value), trim_scale(c.attainment),
                   trim_scale((c.to_date).value), trim_scale(c.attainment_to_date), trim_scale(c.driver_score),
                   trim_scale(c.score), c.status, trim_scale(c.coverage), kpi.recompute_tally_text(c.tally)
            FROM unnest(done) c;
    END LOOP;
END
$$;
COMMENT ON FUNCTION kpi.recompute_figures(timestamptz, bigint[], date, date) IS 'internal to kpi.recompute() and kpi.attainment_as_known(): the recomputation. known_at: facts and targets as recorded then, null for now. wanted: these KPIs, right, and those that contribute to them, null for all. first_day, last_day: the periods between these days, null for all; of others, which growth needs, the rows mean nothing';

CREATE OR REPLACE FUNCTION kpi.recompute(
    OUT kpi_id bigint, OUT period text, OUT actual numeric, OUT target numeric, OUT attainment numeric,
    OUT target_to_date numeric, OUT attainment_to_date numeric, OUT driver_score numeric, OUT score numeric,
    OUT status text, OUT coverage numeric, OUT tally text)
    RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED
BEGIN ATOMIC
    SELECT f.kpi_id, f.period, f.actual, f.target, f.attainment, f.target_to_date, f.attainment_to_date, f.driver_score,
           f.score, f.status, f.coverage, f.tally
      FROM kpi.recompute_figures(NULL, NULL, NULL, NULL) f;
END;
COMMENT ON FUNCTION kpi.recompute() IS 'Recomputes every number from the rows that users wrote, in plain SQL: one row per KPI and period that has one, with the figures of kpi.attainment; period, status and tally in text form. Targets below the state from which their measure''s targets count are left out. Reads one snapshot; depends on nothing in the library but the text of its types';

-- ---------------------------------------------------------------- as known

CREATE FUNCTION kpi.figures_as_known(
    at timestamptz, wanted bigint[], first_day date, last_day date,
    OUT kpi_id bigint, OUT period @extschema@.kpi_period, OUT actual numeric, OUT target numeric, OUT attainment numeric,
    OUT target_to_date numeric, OUT attainment_to_date numeric, OUT driver_score numeric, OUT score numeric,
    OUT status @extschema@.kpi_status, OUT coverage numeric, OUT tally @extschema@.kpi_tally)
    RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT f.kpi_id, f.period::@extschema@.kpi_period, f.actual, f.target, f.attainment, f.target_to_date,
           f.attainment_to_date, f.driver_score, f.score, f.status::@extschema@.kpi_status, f.coverage, f.tally::@extschema@.kpi_tally
      FROM kpi.recompute_figures(at, wanted, first_day, last_day) f
     WHERE wanted IS NULL OR f.kpi_id = ANY (wanted)
$$;
COMMENT ON FUNCTION kpi.figures_as_known(timestamptz, bigint[], date, date) IS 'Internal to kpi.attainment_as_known(): the figures of these KPIs (null for all) in the periods between these days, from facts and targets as recorded at that moment. Reads with the owner''s rights, so that what counts does not depend on who looks';

CREATE FUNCTION kpi.rows_as_known(
    at timestamptz, unit text, measure text, period text, by_path boolean)
    RETURNS SETOF kpi.attainment
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED ROWS 100
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    the_unit   bigint;
    the_period @extschema@.kpi_period;
    wanted     bigint[];
BEGIN
    IF rows_as_known.at IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = 'no moment is given',
            HINT = 'Say as of when, as in kpi.attainment_as_known(''2026-04-05 12:00'').';
    END IF;
    the_period := rows_as_known.period::@extschema@.kpi_period;
    IF rows_as_known.unit IS NOT NULL AND rows_as_known.measure IS NOT NULL THEN
        wanted := ARRAY[CASE WHEN by_path THEN kpi.kpi_id(rows_as_known.unit::@extschema@.kpi_path, rows_as_known.measure)
                             ELSE kpi.kpi_id(rows_as_known.unit, rows_as_known.measure) END];
    ELSIF rows_as_known.unit IS NOT NULL THEN
        the_unit := CASE WHEN by_path THEN kpi.unit_id(rows_as_known.unit::@extschema@.kpi_path) ELSE kpi.unit_id(rows_as_known.unit) END;
        wanted := ARRAY(SELECT DISTINCT k.kpi_id FROM kpi.described_kpi k WHERE k.unit_id = the_unit);
    ELSIF rows_as_known.measure IS NOT NULL THEN
        IF NOT EXISTS (SELECT FROM kpi.measure m WHERE m.code = rows_as_known.measure) THEN
            RAISE EXCEPTION USING ERRCODE = 'undefined_object',
                MESSAGE = format('measure "%s" does not exist', rows_as_known.measure),
                HINT = 'Measures are listed in kpi.measure, by code.';
        END IF;
        wanted := ARRAY(SELECT DISTINCT k.kpi_id FROM kpi.described_kpi k WHERE k.measure = rows_as_known.measure);
    END IF;
    RETURN QUERY
    SELECT c.kpi_id, k.unit_id, k.measure_id, k.path, k.unit_now, k.unit_name, k.level_no, k.level,
           k.measure, k.measure_name, k.unit_of_measure, k.owner,
           c.period, kpi.grain(c.period), kpi.first_day(c.period), kpi.last_day(c.period),
           kpi.last_day(c.period) < rows_as_known.at::date,
           c.actual, c.target, trim_scale(c.actual - c.target), c.attainment,
           c.target_to_date, c.attainment_to_date, c.driver_score, c.score, c.status, c.coverage, c.tally
      FROM kpi.figures_as_known(rows_as_known.at, wanted, kpi.first_day(the_period), kpi.last_day(the_period)) c
      JOIN kpi.described_kpi k ON k.kpi_id = c.kpi_id AND k.path_from <= kpi.last_day(c.period)
                              AND (k.path_to > kpi.last_day(c.period) OR k.path_to = 'infinity')
     WHERE the_period IS NULL OR c.period OPERATOR(@extschema@.=) the_period;
END
$$;
COMMENT ON FUNCTION kpi.rows_as_known(timestamptz, text, text, text, boolean) IS 'Internal to kpi.attainment_as_known(): kpi.attainment_as_known(), with the unit by path only where by_path';

CREATE FUNCTION kpi.attainment_as_known(at timestamptz, unit text DEFAULT NULL, measure text DEFAULT NULL, period text DEFAULT NULL) RETURNS SETOF kpi.attainment
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 100
BEGIN ATOMIC
    SELECT a.* FROM kpi.rows_as_known($1, $2, $3, $4, false) a;
END;
COMMENT ON FUNCTION kpi.attainment_as_known(timestamptz, text, text, text) IS
'What the scorecard said at that moment: rows of the shape of kpi.attainment, computed from facts and targets as they were recorded then (kpi.fact.recorded_at, kpi.fact_revision, kpi.target_revision), with units, links, shares and the rules of measures as they are now; is_closed is of that moment too. unit (a path or a unit code), measure and period limit it to that unit, measure and period, and the work to what contributes to them. Errors: 42704 for an unknown unit, measure or KPI, 22P02 for what is no period, 22004 without a moment';

CREATE FUNCTION kpi.attainment_as_known(at timestamptz, unit @extschema@.kpi_path, measure text, period text) RETURNS SETOF kpi.attainment
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 100
BEGIN ATOMIC
    SELECT a.* FROM kpi.rows_as_known($1, $2::text, $3, $4, true) a;
END;
COMMENT ON FUNCTION kpi.attainment_as_known(timestamptz, @extschema@.kpi_path, text, text) IS
'As kpi.attainment_as_known(timestamptz, text, text, text), with the unit by path only';

CREATE FUNCTION kpi.attainment_as_known(at timestamptz, unit text, measure text, period @extschema@.kpi_period) RETURNS SETOF kpi.attainment
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 100
BEGIN ATOMIC
    SELECT a.* FROM kpi.rows_as_known($1, $2, $3, $4::text, false) a;
END;
COMMENT ON FUNCTION kpi.attainment_as_known(timestamptz, text, text, @extschema@.kpi_period) IS
'As kpi.attainment_as_known(timestamptz, text, text, text)';

CREATE FUNCTION kpi.attainment_as_known(at timestamptz, unit @extschema@.kpi_path, measure text, period @extschema@.kpi_period) RETURNS SETOF kpi.attainment
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 100
BEGIN ATOMIC
    SELECT a.* FROM kpi.rows_as_known($1, $2::text, $3, $4::text, true) a;
END;
COMMENT ON FUNCTION kpi.attainment_as_known(timestamptz, @extschema@.kpi_path, text, @extschema@.kpi_period) IS
'As kpi.attainment_as_known(timestamptz, text, text, text), with the unit by path only';
