-- The year to date of stocks: measures with time_rollup last.
--
-- The year of a stock carries what each KPI beneath said last, links and shares
-- being those of its last day.  So does the year to date, of the last day of its
-- period.  Where all that have facts in the year have some in the period, that
-- is the actual of the period; a look at keys and at the index of facts tells.
-- Only else the KPIs beneath are walked down, and merged from the bottom up.
--
-- Both functions count units whether or not row security shows them to who
-- reads, and work with the key that views alone can read.

CREATE TYPE kpi.stock_link AS (
    child_kpi_id  bigint,
    parent_kpi_id bigint,
    contributes   text,
    weight        numeric
);
COMMENT ON TYPE kpi.stock_link IS 'Internal to kpi.stock_to_date(): a link in force';

CREATE TYPE kpi.stock_figure AS (
    kpi_id bigint,
    tier   integer,
    tally  @extschema@.kpi_tally,
    actual numeric
);
COMMENT ON TYPE kpi.stock_figure IS 'Internal to kpi.stock_to_date(): a KPI, how far it lies beneath the one asked for, and its year to date';

CREATE FUNCTION kpi.stock_is_carried(view_key uuid, kpi_id bigint, period @extschema@.kpi_period) RETURNS boolean
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SECURITY DEFINER COST 10000
    SET search_path = pg_catalog, pg_temp
    -- lookups, whatever the statistics, planned once
    SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    day      constant date := kpi.last_day(stock_is_carried.period);
    rules    kpi.measure;
    the_year @extschema@.kpi_period;  -- its first base period
    since    @extschema@.kpi_period;  -- the first base period of the period
    upto     @extschema@.kpi_period;  -- and its last
BEGIN
    IF NOT EXISTS (SELECT FROM kpi.view_key v WHERE v.key = view_key) THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = 'permission denied for function stock_is_carried',
            HINT = 'Read the view kpi.trend.';
    END IF;
    SELECT m.* INTO rules FROM kpi.kpi k JOIN kpi.measure m ON m.measure_id = k.measure_id WHERE k.kpi_id = stock_is_carried.kpi_id;
    the_year := kpi.period(kpi.first_day(kpi.period(day, 'year', rules.fiscal_start)), rules.grain, rules.fiscal_start);
    since := kpi.period(kpi.first_day(stock_is_carried.period), rules.grain, rules.fiscal_start);
    upto := kpi.period(day, rules.grain, rules.fiscal_start);
    -- a week that begins in the year before
    IF since OPERATOR(@extschema@.<) the_year THEN
        RETURN true;
    END IF;
    -- down over all units that reported by then, and all links in force: more than
    -- contribute, so that none is missing
    RETURN EXISTS (
        WITH RECURSIVE node AS (
            SELECT k.unit_id, k.measure_id FROM kpi.kpi k WHERE k.kpi_id = stock_is_carried.kpi_id
            UNION
            SELECT below.unit_id, below.measure_id
              FROM node n
             CROSS JOIN LATERAL (
                SELECT h.unit_id, n.measure_id
                  FROM kpi.unit_history h
                 WHERE h.parent_unit_id = n.unit_id AND h.effective_from <= day AND rules.rolls_up
                UNION ALL
                SELECT l.unit_id, l.measure_id
                  FROM kpi.kpi p
                 CROSS JOIN LATERAL (
                    SELECT c.unit_id, c.measure_id
                      FROM kpi.link l
                      JOIN kpi.kpi c ON c.kpi_id = l.child_kpi_id
                     WHERE l.parent_kpi_id = p.kpi_id AND l.contributes = 'value'
                       AND coalesce(l.valid_from <= day, true) AND coalesce(l.valid_to > day, true)
                    OFFSET 0) l
                 WHERE p.unit_id = n.unit_id AND p.measure_id = n.measure_id
                OFFSET 0) below
        )
        SELECT FROM node n
         CROSS JOIN LATERAL (
            SELECT k.kpi_id FROM kpi.kpi k WHERE k.unit_id = n.unit_id AND k.measure_id = n.measure_id OFFSET 0) k
         WHERE EXISTS (SELECT FROM kpi.fact f
                        WHERE f.kpi_id = k.kpi_id AND f.period OPERATOR(@extschema@.>=) the_year AND f.period OPERATOR(@extschema@.<) since)
           AND NOT EXISTS (SELECT FROM kpi.fact f
                            WHERE f.kpi_id = k.kpi_id AND f.period OPERATOR(@extschema@.>=) since AND f.period OPERATOR(@extschema@.<=) upto)
            -- computed ones are so at each grain
            OR EXISTS (SELECT FROM kpi.link l WHERE l.parent_kpi_id = k.kpi_id AND l.contributes IN ('numerator', 'denominator')));
END
$$;
COMMENT ON FUNCTION kpi.stock_is_carried(uuid, bigint, @extschema@.kpi_period) IS 'Internal to kpi.trend: may the year to date of a KPI with time_rollup last differ from its actual in the period, because a KPI beneath, or itself, has facts in the year before the period and none in it? Error: 42501 without the key in kpi.view_key';

CREATE FUNCTION kpi.stock_to_date(view_key uuid, kpi_id bigint, period @extschema@.kpi_period) RETURNS @extschema@.kpi_tally
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SECURITY DEFINER COST 100000
    SET search_path = pg_catalog, pg_temp
    -- planned once: many short walks, each row of a view one
    SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    day      constant date := kpi.last_day(stock_to_date.period);
    upto     @extschema@.kpi_period;
    the_year @extschema@.kpi_period;
    frontier bigint[] := ARRAY[stock_to_date.kpi_id];
    found    kpi.stock_link[];
    links    kpi.stock_link[] := '{}';
    nodes    kpi.stock_figure[] := '{}';
    done     kpi.stock_figure[] := '{}';
    deepest  integer := 0;
BEGIN
    IF NOT EXISTS (SELECT FROM kpi.view_key v WHERE v.key = view_key) THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = 'permission denied for function stock_to_date',
            HINT = 'Read the view kpi.trend.';
    END IF;
    -- all KPIs beneath have the grain and the fiscal year of this one
    SELECT kpi.period(day, m.grain, m.fiscal_start),
           kpi.period(kpi.first_day(kpi.period(day, 'year', m.fiscal_start)), m.grain, m.fiscal_start)
      INTO upto, the_year
      FROM kpi.kpi k JOIN kpi.measure m ON m.measure_id = k.measure_id WHERE k.kpi_id = stock_to_date.kpi_id;

    -- down; a KPI to which several ways lead counts where it is deepest
    LOOP
        nodes := nodes || ARRAY(SELECT ROW(f, deepest, NULL, NULL)::kpi.stock_figure FROM unnest(frontier) f);
        -- those that pool or average take their own base periods; and most have nothing beneath them
        frontier := ARRAY(SELECT k.kpi_id
                            FROM unnest(frontier) f
                           CROSS JOIN LATERAL (SELECT k.* FROM kpi.kpi k WHERE k.kpi_id = f OFFSET 0) k
                           CROSS JOIN LATERAL (SELECT FROM kpi.measure m WHERE m.measure_id = k.measure_id AND m.time_rollup = 'last' OFFSET 0) m
                           WHERE EXISTS (SELECT FROM kpi.unit_history h WHERE h.parent_unit_id = k.unit_id)
                              OR EXISTS (SELECT FROM kpi.link l WHERE l.parent_kpi_id = k.kpi_id));
        EXIT WHEN frontier = '{}';
        found := ARRAY(SELECT ROW(l.child_kpi_id, l.parent_kpi_id, l.contributes, l.weight)::kpi.stock_link
                         FROM kpi.links_in_force(day, frontier) l
                        WHERE l.contributes IN ('value', 'numerator', 'denominator', 'growth'));
        EXIT WHEN found = '{}';
        -- no year to date rests on one of growth
        IF EXISTS (SELECT FROM unnest(found) l WHERE l.contributes = 'growth') THEN
            RETURN NULL;
        END IF;
        links := links || found;
        frontier := ARRAY(SELECT DISTINCT l.child_kpi_id FROM unnest(found) l);
        deepest := deepest + 1;
    END LOOP;
    links := ARRAY(SELECT DISTINCT l FROM unnest(links) l);
    nodes := ARRAY(SELECT ROW(n.kpi_id, max(n.tier), NULL, NULL)::kpi.stock_figure FROM unnest(nodes) n GROUP BY n.kpi_id);

    -- and up, by the rules of a coarser grain
    FOR at_tier IN REVERSE deepest .. 0 LOOP
        done := done || ARRAY(
            WITH inflow AS (
                SELECT l.parent_kpi_id, count(*) AS sources,
                       count(CASE l.contributes WHEN 'value' THEN kpi.observations(d.tally) ELSE d.actual END) AS brought,
                       bool_or(l.contributes <> 'value') AS is_computed,
                       kpi.merge_agg(CASE l.contributes
                           WHEN 'value' THEN l.weight OPERATOR(@extschema@.*) d.tally
                           WHEN 'numerator' THEN format('{n=0,value=%s,weight=0,product=0}', l.weight * d.actual)::@extschema@.kpi_tally
                           ELSE format('{n=0,value=0,weight=%s,product=0}', l.weight * d.actual)::@extschema@.kpi_tally END)
                           FILTER (WHERE l.contributes = 'value' OR d.actual IS NOT NULL) AS tally
                  FROM unnest(links) l
                  -- full, so that it is never a nested loop, however many there are
                  FULL JOIN unnest(done) d ON d.kpi_id = l.child_kpi_id
                 GROUP BY l.parent_kpi_id
            ), gathered AS (
                SELECT n.kpi_id, m.rollup, m.multiplier, m.time_rollup, o.mean,
                       CASE WHEN m.missing_child = 'require' AND i.brought < i.sources THEN NULL
                            WHEN i.tally IS NULL THEN o.tally
                            WHEN o.tally IS NULL THEN i.tally
                            ELSE o.tally OPERATOR(@extschema@.+) i.tally END AS tally
                  FROM unnest(nodes) n
                 CROSS JOIN LATERAL (SELECT k.measure_id FROM kpi.kpi k WHERE k.kpi_id = n.kpi_id OFFSET 0) k
                 CROSS JOIN LATERAL (SELECT m.* FROM kpi.measure m WHERE m.measure_id = k.measure_id OFFSET 0) m
                  LEFT JOIN inflow i ON i.parent_kpi_id = n.kpi_id
                 CROSS JOIN LATERAL (
                    SELECT CASE WHEN i.is_computed THEN kpi.merge_agg(c.own)
                                WHEN m.time_rollup = 'last' THEN (array_agg(c.own ORDER BY c.period DESC) FILTER (WHERE c.own IS NOT NULL))[1]
                                ELSE kpi.merge_agg(c.tally) END AS tally,
                           kpi.exact_quotient(sum(c.actual), count(c.actual)) AS mean
                      FROM kpi.counted_cell c
                     WHERE c.kpi_id = n.kpi_id AND c.period OPERATOR(@extschema@.>=) the_year AND c.period OPERATOR(@extschema@.<=) upto) o
                 WHERE n.tier = at_tier
            )
            SELECT ROW(g.kpi_id, at_tier, g.tally,
                       CASE g.time_rollup WHEN 'mean' THEN g.mean ELSE kpi.tally_actual(g.tally, g.rollup, g.multiplier) END)::kpi.stock_figure
              FROM gathered g);
    END LOOP;
    RETURN (SELECT d.tally FROM unnest(done) d WHERE d.tier = 0);
END
$$;
COMMENT ON FUNCTION kpi.stock_to_date(uuid, bigint, @extschema@.kpi_period) IS 'Internal to kpi.trend: the tally behind the year to date of a KPI with time_rollup last: its own facts of the last base period of the year, up to the end of the period, that has some, with those of the KPIs beneath over the links in force on the last day of the period. Null where there are none, and where it rests on growth. Error: 42501 without the key in kpi.view_key';
