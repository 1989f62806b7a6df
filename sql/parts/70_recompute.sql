-- The meaning of every number, as one recomputation from the rows that users
-- wrote.  kpi.recompute() reads kpi.unit, unit_history, measure, kpi, link,
-- fact and target and nothing else, in plain SQL: no function, operator or
-- aggregate of the library is used, of our types only their text.  It keeps a
-- calendar of its own, adds with numeric +, and divides in one place.
-- kpi.verify() sets what kpi.attainment shows beside it.
--
-- How it goes: grain by grain, days first, years last, because coarser numbers
-- rest on the base periods inside them; within a grain in layers, each cell
-- after the cells beneath it, because parents rest on their children.  Each
-- layer is one set-based statement; results are kept in arrays of the composite
-- types below, so that it all runs in one snapshot (STABLE), in a read-only
-- transaction and without temporary tables.
--
-- Arrays of unknown length mislead the planner: the functions that join them
-- plan each statement anew (force_custom_plan) and shun nested loops.

-- ---------------------------------------------------------------- working rows

CREATE TYPE kpi.recompute_tally AS (
    n            numeric,
    total        numeric,
    total_weight numeric,
    product      numeric,
    minimum      numeric,
    maximum      numeric
);
COMMENT ON TYPE kpi.recompute_tally IS 'internal to kpi.recompute(): a tally in plain numbers; n is null where there is none';
COMMENT ON COLUMN kpi.recompute_tally.n IS 'number of observations';
COMMENT ON COLUMN kpi.recompute_tally.total IS 'sum of values';
COMMENT ON COLUMN kpi.recompute_tally.total_weight IS 'sum of weights';
COMMENT ON COLUMN kpi.recompute_tally.product IS 'sum of value times weight';
COMMENT ON COLUMN kpi.recompute_tally.minimum IS 'smallest value, null where nothing was observed';
COMMENT ON COLUMN kpi.recompute_tally.maximum IS 'largest value, null where nothing was observed';

CREATE TYPE kpi.recompute_target AS (
    value    numeric,
    baseline numeric,
    low      numeric,
    high     numeric,
    points   numeric[]
);
COMMENT ON TYPE kpi.recompute_target IS 'internal to kpi.recompute(): a target, explicit or derived';
COMMENT ON COLUMN kpi.recompute_target.value IS 'what shall be reached';
COMMENT ON COLUMN kpi.recompute_target.baseline IS 'where progress starts';
COMMENT ON COLUMN kpi.recompute_target.low IS 'lower end of the range, null for open';
COMMENT ON COLUMN kpi.recompute_target.high IS 'upper end of the range, null for open';
COMMENT ON COLUMN kpi.recompute_target.points IS 'pairs of value and score, sorted by value';

CREATE TYPE kpi.recompute_kpi AS (
    kpi_id        bigint,
    unit_id       bigint,
    measure_id    bigint,
    alive_from    date,
    alive_to      date,
    base          integer,
    fiscal_start  integer,
    direction     text,
    rollup        text,
    time_rollup   text,
    scoring       text,
    multiplier    numeric,
    score_floor   numeric,
    score_cap     numeric,
    driver_rollup text,
    result_weight numeric,
    missing_child text,
    at_risk_from  numeric,
    on_track_from numeric,
    exceeded_from numeric,
    rolls_up      boolean,
    apply_share   boolean
);
COMMENT ON TYPE kpi.recompute_kpi IS 'internal to kpi.recompute(): a KPI, the days on which it is alive (alive_from <= day < alive_to), the number of its base grain (1 day to 6 year) and the rules of its measure';

CREATE TYPE kpi.recompute_period AS (
    period       text,
    grain        integer,
    fiscal_start integer,
    first_day    date,
    last_day     date,
    year_before  text,
    graph_day    date
);
COMMENT ON TYPE kpi.recompute_period IS 'internal to kpi.recompute(): a period with its grain (1 day to 6 year), its days, the same period a year earlier, and the last day up to its end on which any validity or parentage changed: the links in force on both days are the same';

CREATE TYPE kpi.recompute_inside AS (
    outer_period text,
    outer_grain  integer,
    fiscal_start integer,
    period       text,
    grain        integer,
    first_day    date,
    last_day     date
);
COMMENT ON TYPE kpi.recompute_inside IS 'internal to kpi.recompute(): a period of a finer grain inside a coarser one; fiscal_start is that of the coarser one';

CREATE TYPE kpi.recompute_link AS (
    graph_day     date,
    child_kpi_id  bigint,
    parent_kpi_id bigint,
    contributes   text,
    weight        numeric
);
COMMENT ON TYPE kpi.recompute_link IS 'internal to kpi.recompute(): a link, explicit or implied, in force on a day';

CREATE TYPE kpi.recompute_fact AS (
    kpi_id bigint,
    period text,
    grain  integer,
    tally  kpi.recompute_tally
);
COMMENT ON TYPE kpi.recompute_fact IS 'internal to kpi.recompute(): the own facts of a KPI in a base period in which it is alive';

CREATE TYPE kpi.recompute_aim AS (
    kpi_id    bigint,
    period    text,
    explicit  boolean,
    target    kpi.recompute_target
);
COMMENT ON TYPE kpi.recompute_aim IS 'internal to kpi.recompute(): the target of a KPI in a period';

CREATE TYPE kpi.recompute_cell AS (
    kpi_id             bigint,
    period             text,
    graph_day          date,
    is_base            boolean,
    depth              integer,
    is_reached         boolean,
    -- what is known before the layer of the cell is reached
    own                kpi.recompute_tally,
    carried            kpi.recompute_tally,
    carried_actual     numeric,
    carried_coverage   numeric,
    carried_growth     numeric,
    has_target         boolean,
    target             kpi.recompute_target,
    has_to_date        boolean,
    to_date            kpi.recompute_target,
    -- what the layer finds
    tally              kpi.recompute_tally,
    actual             numeric,
    attainment         numeric,
    attainment_to_date numeric,
    driver_score       numeric,
    score              numeric,
    status             text,
    coverage           numeric,
    -- is there a tally, an actual or a score; do own facts, base periods or children feed the row
    is_known           boolean,
    is_fed             boolean
);
COMMENT ON TYPE kpi.recompute_cell IS 'internal to kpi.recompute(): one KPI in one period; own: its facts inside the period, carried...: what its own base periods inside hand up, the rest: results';

-- ---------------------------------------------------------------- numbers

-- half away from zero: |a/b| + 1/2 in units of 10^-12, cut off; div() is exact
CREATE FUNCTION kpi.exact_quotient(numerator numeric, denominator numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN trim_scale(sign(numerator) * sign(denominator)
                      * div(2 * abs(numerator) * 1000000000000 + abs(denominator),
                            nullif(2 * abs(denominator), 0))
                      * 0.000000000001);
COMMENT ON FUNCTION kpi.exact_quotient(numeric, numeric) IS 'numerator / denominator, computed exactly and rounded once, half away from zero, to 12 decimal places, without trailing zeros; null where the denominator is 0';

CREATE FUNCTION kpi.recompute_actual(tally kpi.recompute_tally, rollup text, multiplier numeric) RETURNS numeric
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- sum: sum of v; mean: sum of v / n; weighted_mean: sum of vw / sum of w; ratio:
    -- multiplier * sum of v / sum of w; min; max; count: n; none: as sum.  A zero
    -- denominator gives null.
    RETURN CASE rollup
        WHEN 'sum' THEN trim_scale(tally.total)
        WHEN 'none' THEN trim_scale(tally.total)
        WHEN 'count' THEN trim_scale(tally.n)
        WHEN 'min' THEN trim_scale(tally.minimum)
        WHEN 'max' THEN trim_scale(tally.maximum)
        WHEN 'mean' THEN kpi.exact_quotient(tally.total, tally.n)
        WHEN 'weighted_mean' THEN kpi.exact_quotient(tally.product, tally.total_weight)
        WHEN 'ratio' THEN kpi.exact_quotient(multiplier * tally.total, tally.total_weight)
    END;
END
$$;
COMMENT ON FUNCTION kpi.recompute_actual(kpi.recompute_tally, text, numeric) IS 'internal to kpi.recompute(): the actual that a tally stands for under a rollup';

CREATE FUNCTION kpi.recompute_derive(targets kpi.recompute_target[], how text) RETURNS kpi.recompute_target
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- "value, baseline, low, high are each summed ...; the last row as a whole for
    -- last; the smallest for min, the largest for max; else their mean.  A field is
    -- null unless every row used has it.  points carry over where they are not
    -- summed and all rows have identical ones."
    SELECT CASE WHEN how = 'last' THEN targets[cardinality(targets)] ELSE (
        SELECT ROW(
            CASE WHEN count(value) = count(*) THEN CASE how
                WHEN 'sum' THEN sum(value) WHEN 'min' THEN min(value) WHEN 'max' THEN max(value)
                ELSE kpi.exact_quotient(sum(value), count(*)) END END,
            CASE WHEN count(baseline) = count(*) THEN CASE how
                WHEN 'sum' THEN sum(baseline) WHEN 'min' THEN min(baseline) WHEN 'max' THEN max(baseline)
                ELSE kpi.exact_quotient(sum(baseline), count(*)) END END,
            CASE WHEN count(low) = count(*) THEN CASE how
                WHEN 'sum' THEN sum(low) WHEN 'min' THEN min(low) WHEN 'max' THEN max(low)
                ELSE kpi.exact_quotient(sum(low), count(*)) END END,
            CASE WHEN count(high) = count(*) THEN CASE how
                WHEN 'sum' THEN sum(high) WHEN 'min' THEN min(high) WHEN 'max' THEN max(high)
                ELSE kpi.exact_quotient(sum(high), count(*)) END END,
            CASE WHEN how <> 'sum' AND count(points) = count(*) AND min(points) = max(points) THEN min(points) END
        )::kpi.recompute_target
        FROM unnest(targets)) END
$$;
COMMENT ON FUNCTION kpi.recompute_derive(kpi.recompute_target[], text) IS 'internal to kpi.recompute(): one target from those of the periods inside, in their order; how is sum, last, min, max or mean';

CREATE FUNCTION kpi.recompute_attainment(actual numeric, target kpi.recompute_target, scoring text, direction text) RETURNS numeric
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    met boolean := CASE direction WHEN 'higher' THEN actual >= target.value ELSE actual <= target.value END;
    n   integer := coalesce(array_length(target.points, 1), 0);
BEGIN
    IF actual IS NULL THEN
        RETURN NULL;
    END IF;
    CASE scoring
    WHEN 'ratio' THEN
        -- higher: 1 + (A-T)/|T|, lower: 1 - (A-T)/|T|; T = 0: 1 where met, else 0
        IF target.value = 0 THEN
            RETURN met::integer;
        END IF;
        RETURN kpi.exact_quotient(abs(target.value)
                                  + CASE direction WHEN 'higher' THEN actual - target.value ELSE target.value - actual END,
                                  abs(target.value));
    WHEN 'progress' THEN
        -- (A-baseline)/(T-baseline), either direction; T = baseline: 1 where met, else 0; no baseline: null
        IF target.value = target.baseline THEN
            RETURN met::integer;
        END IF;
        RETURN kpi.exact_quotient(actual - target.baseline, target.value - target.baseline);
    WHEN 'range' THEN
        -- 1 inside [low, high], an open side is unbounded; below 1 - (low-A)/|low|,
        -- above 1 - (A-high)/|high|; a zero bound: 0 outside
        IF actual < target.low THEN
            RETURN coalesce(kpi.exact_quotient(abs(target.low) - (target.low - actual), abs(target.low)), 0);
        ELSIF actual > target.high THEN
            RETURN coalesce(kpi.exact_quotient(abs(target.high) - (actual - target.high), abs(target.high)), 0);
        END IF;
        RETURN 1;
    WHEN 'step' THEN
        RETURN met::integer;
    WHEN 'curve' THEN
        -- linear between the points, clamped to the end points
        IF actual <= target.points[1][1] THEN
            RETURN kpi.exact_quotient(target.points[1][2], 1);
        ELSIF actual >= target.points[n][1] THEN
            RETURN kpi.exact_quotient(target.points[n][2], 1);
        END IF;
        FOR i IN 2 .. n LOOP
            IF actual <= target.points[i][1] THEN
                RETURN kpi.exact_quotient(
                    target.points[i - 1][2] * (target.points[i][1] - target.points[i - 1][1])
                    + (target.points[i][2] - target.points[i - 1][2]) * (actual - target.points[i - 1][1]),
                    target.points[i][1] - target.points[i - 1][1]);
            END IF;
        END LOOP;
        RETURN NULL;
    END CASE;
END
$$;
COMMENT ON FUNCTION kpi.recompute_attainment(numeric, kpi.recompute_target, text, text) IS 'internal to kpi.recompute(): how far an actual attains a target that exists, neither floored nor capped';

CREATE FUNCTION kpi.recompute_tally_text(tally kpi.recompute_tally) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- {n=3,value=6,weight=3,product=12,min=1,max=3}, without min and max where nothing was observed
    SELECT '{n=' || trim_scale(tally.n) || ',value=' || trim_scale(tally.total)
           || ',weight=' || trim_scale(tally.total_weight) || ',product=' || trim_scale(tally.product)
           || coalesce(',min=' || trim_scale(tally.minimum) || ',max=' || trim_scale(tally.maximum), '') || '}'
$$;
COMMENT ON FUNCTION kpi.recompute_tally_text(kpi.recompute_tally) IS 'internal to kpi.recompute(): the text form of kpi_tally; null where there is none';

-- ---------------------------------------------------------------- calendar

CREATE FUNCTION kpi.recompute_grain(grain text) RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$
    SELECT pg_catalog.array_position(ARRAY['day', 'week', 'month', 'quarter', 'half', 'year'], grain)
$$;
COMMENT ON FUNCTION kpi.recompute_grain(text) IS 'internal to kpi.recompute(): 1 for day to 6 for year';

CREATE FUNCTION kpi.recompute_step(grain integer) RETURNS interval
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$
    SELECT (ARRAY['1 day', '7 days', '1 month', '3 months', '6 months', '12 months']::interval[])[grain]
$$;
COMMENT ON FUNCTION kpi.recompute_step(integer) IS 'internal to kpi.recompute(): the length of a period of that grain';

CREATE FUNCTION kpi.recompute_rolls_up(fine integer, coarse integer) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$
    -- day -> week, month, quarter, half, year; month -> quarter, half, year;
    -- quarter -> half, year; half -> year; a week rolls up to nothing
    SELECT fine < coarse AND fine <> 2
$$;
COMMENT ON FUNCTION kpi.recompute_rolls_up(integer, integer) IS 'internal to kpi.recompute(): is every period of the first grain inside one of the second?';

CREATE FUNCTION kpi.recompute_period_around(day date, grain integer, fiscal_start integer) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- 2026-08-14, 2026-W34, 2026-08, then 2026-Q3, 2026-H1, 2026 or, where the year
    -- starts in another month, FY2027-Q1/04, FY2027-H1/04, FY2027/04: the fiscal year
    -- is named by the calendar year in which it ends
    SELECT CASE grain
        WHEN 1 THEN to_char(day::timestamp, 'YYYY-MM-DD')
        WHEN 2 THEN to_char(day::timestamp, 'IYYY"-W"IW')
        WHEN 3 THEN to_char(day::timestamp, 'YYYY-MM')
        ELSE CASE WHEN fiscal_start = 1 THEN '' ELSE 'FY' END
             || to_char(months / 12 + (fiscal_start <> 1)::integer, 'FM0000')
             || CASE grain WHEN 4 THEN '-Q' || months % 12 / 3 + 1
                           WHEN 5 THEN '-H' || months % 12 / 6 + 1
                           ELSE '' END
             || CASE WHEN fiscal_start = 1 THEN '' ELSE '/' || to_char(fiscal_start, 'FM00') END
        END
    FROM (SELECT extract(year FROM day)::integer * 12 + extract(month FROM day)::integer - fiscal_start) AS start (months)
$$;
COMMENT ON FUNCTION kpi.recompute_period_around(date, integer, integer) IS 'internal to kpi.recompute(): the text of the period of that grain (1 day to 6 year) that contains the day';

CREATE FUNCTION kpi.recompute_period_of(period text) RETURNS kpi.recompute_period
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- fiscal, year, letter, number, day of month, fiscal start
    part   text[] := regexp_match(period, '^(FY)?(\d{4})(?:-([QHW])?(\d\d?))?(?:-(\d\d))?(?:/(\d\d))?$');
    year   integer := part[2]::integer - (part[1] IS NOT NULL)::integer;
    number integer := part[4]::integer;
    result kpi.recompute_period;
BEGIN
    result.period := period;
    result.fiscal_start := coalesce(part[6]::integer, 1);
    result.grain := CASE WHEN part[5] IS NOT NULL THEN 1
                         WHEN part[3] = 'W' THEN 2
                         WHEN part[3] = 'Q' THEN 4
                         WHEN part[3] = 'H' THEN 5
                         WHEN number IS NOT NULL THEN 3
                         ELSE 6 END;
    -- ISO weeks start on Monday, and the first one of a year contains 4 January
    result.first_day := CASE result.grain
        WHEN 1 THEN make_date(year, number, part[5]::integer)
        WHEN 2 THEN make_date(year, 1, 4) - extract(isodow FROM make_date(year, 1, 4))::integer + 1 + 7 * (number - 1)
        WHEN 3 THEN make_date(year, number, 1)
        ELSE make_date(year, result.fiscal_start, 1) + (coalesce(number, 1) - 1) * kpi.recompute_step(result.grain)
        END;
    result.last_day := result.first_day + kpi.recompute_step(result.grain) - interval '1 day';
    -- 29 February has no year before; at week there is none
    IF result.grain <> 2 AND to_char(result.first_day::timestamp, 'MM-DD') <> '02-29' THEN
        result.year_before := kpi.recompute_period_around((result.first_day - interval '1 year')::date,
                                                          result.grain, result.fiscal_start);
    END IF;
    RETURN result;
END
$$;
COMMENT ON FUNCTION kpi.recompute_period_of(text) IS 'internal to kpi.recompute(): grain, days and year before of a period in text form; graph_day is left null';

CREATE FUNCTION kpi.recompute_periods() RETURNS SETOF kpi.recompute_period
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET enable_nestloop = off
    SET jit = off
AS $$
    WITH frame AS (       -- the base grains and fiscal years in use
        SELECT DISTINCT kpi.recompute_grain(m.grain::text) AS base, m.fiscal_start::integer
        FROM kpi.measure m
        WHERE EXISTS (SELECT FROM kpi.kpi k WHERE k.measure_id = m.measure_id)
    ), used AS (          -- the days at the ends of periods that facts and targets name
        SELECT DISTINCT day
        FROM (SELECT period::text FROM kpi.fact UNION SELECT period::text FROM kpi.target) AS named (period)
        CROSS JOIN LATERAL kpi.recompute_period_of(named.period) p
        CROSS JOIN LATERAL (VALUES (p.first_day), (p.last_day)) AS ends (day)
    ), touched AS (       -- the periods around them, at every grain that can have rows
        SELECT DISTINCT f.base, g.grain, kpi.recompute_period_around(u.day, g.grain, f.fiscal_start) AS period
        FROM used u CROSS JOIN frame f CROSS JOIN generate_series(1, 6) AS g (grain)
        WHERE g.grain = f.base OR kpi.recompute_rolls_up(f.base, g.grain)
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
COMMENT ON FUNCTION kpi.recompute_periods() IS 'internal to kpi.recompute(): every period in which some KPI may have a row, and all finer ones inside';

-- ---------------------------------------------------------------- KPIs and links

CREATE FUNCTION kpi.recompute_kpis() RETURNS SETOF kpi.recompute_kpi
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- alive: the KPI's own validity and its unit's contain the day
    SELECT k.kpi_id, k.unit_id, k.measure_id,
           coalesce(greatest(k.valid_from, u.valid_from), '-infinity'),
           coalesce(least(k.valid_to, u.valid_to), 'infinity'),
           kpi.recompute_grain(m.grain::text), m.fiscal_start::integer,
           m.direction, m.rollup, m.time_rollup, m.scoring, m.multiplier, m.score_floor, m.score_cap,
           m.driver_rollup, m.result_weight, m.missing_child, m.at_risk_from, m.on_track_from, m.exceeded_from,
           m.rolls_up, m.apply_share
    FROM kpi.kpi k
    JOIN kpi.unit u ON u.unit_id = k.unit_id
    JOIN kpi.measure m ON m.measure_id = k.measure_id
$$;
COMMENT ON FUNCTION kpi.recompute_kpis() IS 'internal to kpi.recompute(): every KPI with its rules';

CREATE FUNCTION kpi.recompute_links(days date[]) RETURNS SETOF kpi.recompute_link
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
        FROM unnest(days) AS day JOIN kpi.recompute_kpis() k ON k.alive_from <= day AND day < k.alive_to
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
COMMENT ON FUNCTION kpi.recompute_links(date[]) IS 'internal to kpi.recompute(): the links in force on each of the days, explicit and implied';

-- ---------------------------------------------------------------- the recomputation

CREATE FUNCTION kpi.recompute(
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
    kpis := ARRAY(SELECT k FROM kpi.recompute_kpis() k);
    calendar := ARRAY(SELECT p FROM kpi.recompute_periods() p);
    insides := ARRAY(
        SELECT ROW(o.period, o.grain, o.fiscal_start, i.period, i.grain, i.first_day, i.last_day)::kpi.recompute_inside
        FROM unnest(calendar) o
        JOIN unnest(calendar) i ON i.first_day BETWEEN o.first_day AND o.last_day
                               AND kpi.recompute_rolls_up(i.grain, o.grain)
                               AND (i.grain <= 3 OR i.fiscal_start = o.fiscal_start));
    links := ARRAY(SELECT l FROM kpi.recompute_links(ARRAY(SELECT DISTINCT graph_day FROM unnest(calendar))) l);
    -- facts of a base period in which the KPI is not alive count nowhere
    facts := ARRAY(
        SELECT ROW(f.kpi_id, f.period, p.grain,
                   ROW(f.n, f.total, f.total_weight, f.product, f.minimum, f.maximum)::kpi.recompute_tally)::kpi.recompute_fact
        FROM (SELECT kpi_id, period::text AS period, count(*) AS n, sum(value) AS total, sum(weight) AS total_weight,
                     sum(value * weight) AS product, min(value) AS minimum, max(value) AS maximum
              FROM kpi.fact GROUP BY kpi_id, period::text) f
        JOIN unnest(calendar) p ON p.period = f.period
        JOIN unnest(kpis) k ON k.kpi_id = f.kpi_id AND k.base = p.grain
        WHERE k.alive_from <= p.last_day AND p.last_day < k.alive_to);
    aims := ARRAY(
        SELECT ROW(t.kpi_id, t.period::text, true,
                   ROW(t.value, t.baseline, t.low, t.high,
                       (SELECT array_agg(ARRAY[t.points[i][1], t.points[i][2]] ORDER BY t.points[i][1], t.points[i][2])
                        FROM generate_subscripts(t.points, 1) i))::kpi.recompute_target)::kpi.recompute_aim
        FROM kpi.target t);

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
COMMENT ON FUNCTION kpi.recompute() IS 'Recomputes every number from the rows that users wrote, in plain SQL: one row per KPI and period that has one, with the figures of kpi.attainment; period, status and tally in text form. Reads one snapshot; depends on nothing in the library but the text of its types';

-- ---------------------------------------------------------------- beside what is shown

CREATE FUNCTION kpi.verify(
    OUT kpi_id bigint, OUT unit text, OUT measure text, OUT period text,
    OUT column_name text, OUT shown text, OUT expected text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
    SET enable_nestloop = off
    SET jit = off
    SET work_mem = '64MB'
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH shown AS (
        SELECT a.kpi_id, a.unit::text AS unit, a.measure, a.period::text AS period,
               count(*) OVER (PARTITION BY a.kpi_id, a.period::text) AS copies,
               ARRAY[a.actual::text, a.target::text, a.attainment::text, a.target_to_date::text,
                     a.attainment_to_date::text, a.driver_score::text, a.score::text, a.status::text,
                     a.coverage::text, a.tally::text] AS figures
        FROM kpi.attainment a
    ), expected AS (
        SELECT r.kpi_id, r.period,
               ARRAY[r.actual::text, r.target::text, r.attainment::text, r.target_to_date::text,
                     r.attainment_to_date::text, r.driver_score::text, r.score::text, r.status,
                     r.coverage::text, r.tally] AS figures
        FROM kpi.recompute() r
    ), beside AS (
        SELECT coalesce(s.kpi_id, e.kpi_id) AS kpi_id, s.unit, s.measure, coalesce(s.period, e.period) AS period,
               s.copies, s.figures AS shown, e.figures AS expected
        FROM shown s FULL JOIN expected e ON e.kpi_id = s.kpi_id AND e.period = s.period
    )
    SELECT b.kpi_id, coalesce(b.unit, u.path::text), coalesce(b.measure, m.code), b.period, d.column_name, d.shown, d.expected
    FROM beside b
    CROSS JOIN LATERAL (
        -- a row that is not there, or there for no reason, or there twice
        SELECT 'row', coalesce(b.copies, 0)::text, (b.expected IS NOT NULL)::integer::text
        WHERE b.shown IS NULL OR b.expected IS NULL OR b.copies > 1
        UNION ALL
        -- compared as text: stored numbers carry no trailing zeros, so equal ones are identical
        SELECT c.column_name, c.shown, c.expected
        FROM unnest(ARRAY['actual', 'target', 'attainment', 'target_to_date', 'attainment_to_date', 'driver_score',
                          'score', 'status', 'coverage', 'tally'], b.shown, b.expected) AS c (column_name, shown, expected)
        WHERE b.shown IS NOT NULL AND b.expected IS NOT NULL AND c.shown IS DISTINCT FROM c.expected
    ) AS d (column_name, shown, expected)
    LEFT JOIN kpi.kpi k ON k.kpi_id = b.kpi_id
    LEFT JOIN kpi.unit u ON u.unit_id = k.unit_id
    LEFT JOIN kpi.measure m ON m.measure_id = k.measure_id;
END
$$;
COMMENT ON FUNCTION kpi.verify() IS 'Sets kpi.attainment, as this transaction sees it, beside kpi.recompute(): one row per difference, none is healthy. One figure that is wrong in one column is one row. column_name ''row'' counts rows: shown 0, expected 1 for one that is missing, 1 and 0 for one too many';
