-- Where numbers come from and where they go: the period before, the year
-- before, the year to date, what a period will end at, and its pace.
--
-- Views look up what they need by key, row by row, beneath kpi.attainment, which
-- filters and row security limit first; what few rows need is a subquery within a
-- CASE, which is run for those only.  What lies beneath a row (years to date
-- of computed KPIs) counts whether or not the reader may see it; forecasts read
-- with the reader's rights alone.

-- ---------------------------------------------------------------- what is read

CREATE VIEW kpi.explicit_link AS
SELECT l.child_kpi_id, l.parent_kpi_id, l.contributes, l.weight,
       coalesce(greatest(l.valid_from, k.valid_from, u.valid_from), '-infinity') AS valid_from,
       coalesce(least(l.valid_to, k.valid_to, u.valid_to), 'infinity') AS valid_to
  FROM kpi.link l
  JOIN kpi.kpi k ON k.kpi_id = l.child_kpi_id
  JOIN kpi.unit u ON u.unit_id = k.unit_id
 WHERE l.weight <> 0 AND l.contributes IN ('value', 'numerator', 'denominator', 'growth');
COMMENT ON VIEW kpi.explicit_link IS 'Internal: the rows of kpi.link that compute actuals, of all units, in force on days on which the parent is alive: for other views, never granted';
COMMENT ON COLUMN kpi.explicit_link.child_kpi_id IS 'The KPI that contributes';
COMMENT ON COLUMN kpi.explicit_link.parent_kpi_id IS 'The KPI it contributes to';
COMMENT ON COLUMN kpi.explicit_link.contributes IS 'value, numerator, denominator or growth';
COMMENT ON COLUMN kpi.explicit_link.weight IS 'Factor of what flows up';
COMMENT ON COLUMN kpi.explicit_link.valid_from IS 'First day on which the link is in force and the child alive';
COMMENT ON COLUMN kpi.explicit_link.valid_to IS 'First day on which that is no more so';
REVOKE ALL ON kpi.explicit_link FROM PUBLIC;

-- Views call functions as the user who reads, who may lack USAGE on schema kpi:
-- their bodies are parsed now, so that no name is looked up then.

CREATE FUNCTION kpi.target_fields(value numeric, baseline numeric, low numeric, high numeric, points numeric[]) RETURNS kpi.recompute_target
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ROW(value, baseline, low, high,
               CASE WHEN points IS NOT NULL THEN
                   (SELECT array_agg(ARRAY[points[i][1], points[i][2]] ORDER BY points[i][1]) FROM generate_subscripts(points, 1) i) END)::kpi.recompute_target;
COMMENT ON FUNCTION kpi.target_fields(numeric, numeric, numeric, numeric, numeric[]) IS 'Internal: the fields of a target, the points in order';

CREATE FUNCTION kpi.derived_target(targets kpi.recompute_target[], how text) RETURNS kpi.recompute_target
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE how WHEN 'last' THEN targets[cardinality(targets)]
           ELSE (SELECT ROW(
               CASE WHEN count(t.value) = count(*) THEN CASE how
                   WHEN 'sum' THEN sum(t.value) WHEN 'min' THEN min(t.value) WHEN 'max' THEN max(t.value) ELSE kpi.exact_quotient(sum(t.value), count(*)) END END,
               CASE WHEN count(t.baseline) = count(*) THEN CASE how
                   WHEN 'sum' THEN sum(t.baseline) WHEN 'min' THEN min(t.baseline) WHEN 'max' THEN max(t.baseline) ELSE kpi.exact_quotient(sum(t.baseline), count(*)) END END,
               CASE WHEN count(t.low) = count(*) THEN CASE how
                   WHEN 'sum' THEN sum(t.low) WHEN 'min' THEN min(t.low) WHEN 'max' THEN max(t.low) ELSE kpi.exact_quotient(sum(t.low), count(*)) END END,
               CASE WHEN count(t.high) = count(*) THEN CASE how
                   WHEN 'sum' THEN sum(t.high) WHEN 'min' THEN min(t.high) WHEN 'max' THEN max(t.high) ELSE kpi.exact_quotient(sum(t.high), count(*)) END END,
               CASE WHEN how <> 'sum' AND count(t.points) = count(*) AND min(t.points) = max(t.points) THEN min(t.points) END)::kpi.recompute_target
             FROM unnest(targets) t) END;
COMMENT ON FUNCTION kpi.derived_target(kpi.recompute_target[], text) IS 'Internal: one target from those of the periods inside, in their order; how is sum, last, min, max or mean. A field is null unless all of them have it';

CREATE FUNCTION kpi.attainment_of(actual numeric, target kpi.recompute_target, scoring text, direction text) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN actual IS NULL OR target IS NOT DISTINCT FROM NULL THEN NULL
        WHEN scoring = 'step' OR scoring = 'ratio' AND (target).value = 0 OR scoring = 'progress' AND (target).value = (target).baseline
            THEN CASE direction WHEN 'lower' THEN actual <= (target).value ELSE actual >= (target).value END::integer::numeric
        WHEN scoring = 'ratio'
            THEN kpi.exact_quotient(abs((target).value) + CASE direction WHEN 'lower' THEN (target).value - actual ELSE actual - (target).value END, abs((target).value))
        WHEN scoring = 'progress' THEN kpi.exact_quotient(actual - (target).baseline, (target).value - (target).baseline)
        WHEN scoring = 'range'
            THEN CASE WHEN actual < (target).low THEN coalesce(kpi.exact_quotient(abs((target).low) - ((target).low - actual), abs((target).low)), 0)
                      WHEN actual > (target).high THEN coalesce(kpi.exact_quotient(abs((target).high) - (actual - (target).high), abs((target).high)), 0)
                      ELSE 1 END
        WHEN actual <= (target).points[1][1] THEN kpi.exact_quotient((target).points[1][2], 1)
        WHEN actual >= (target).points[array_length((target).points, 1)][1] THEN kpi.exact_quotient((target).points[array_length((target).points, 1)][2], 1)
        ELSE (SELECT kpi.exact_quotient((target).points[i - 1][2] * ((target).points[i][1] - (target).points[i - 1][1])
                                        + ((target).points[i][2] - (target).points[i - 1][2]) * (actual - (target).points[i - 1][1]),
                                        (target).points[i][1] - (target).points[i - 1][1])
                FROM generate_series(2, array_length((target).points, 1)) i
               WHERE actual <= (target).points[i][1] ORDER BY i LIMIT 1) END;
COMMENT ON FUNCTION kpi.attainment_of(numeric, kpi.recompute_target, text, text) IS 'Internal: how far an actual attains a target, neither floored nor capped, by scoring and direction of the measure; null without one of the two';

CREATE FUNCTION kpi.target_so_far(
    whole kpi.recompute_target, is_explicit boolean, so_far kpi.recompute_target[], given integer, given_value numeric,
    elapsed integer, periods integer, how text) RETURNS kpi.recompute_target
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN elapsed IS NULL THEN NULL
                WHEN NOT is_explicit AND cardinality(so_far) = elapsed
                     OR is_explicit AND how = 'sum' AND given = periods AND given_value = (whole).value THEN kpi.derived_target(so_far, how)
                ELSE whole END;
COMMENT ON FUNCTION kpi.target_so_far(kpi.recompute_target, boolean, kpi.recompute_target[], integer, numeric, integer, integer, text) IS 'Internal to kpi.trend: the part of a year''s target up to its elapsed-th base period, by the rules of the target to date for scoring other than ratio and step. so_far: the targets of those base periods that have one; given, given_value: how many base periods of the whole year have one and what they sum to';

CREATE OR REPLACE FUNCTION kpi.tally_actual(tally @extschema@.kpi_tally, rollup text, multiplier numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE rollup
        WHEN 'count' THEN kpi.observations(tally)
        WHEN 'mean' THEN kpi.mean(tally)
        WHEN 'weighted_mean' THEN kpi.weighted_mean(tally)
        WHEN 'ratio' THEN kpi.ratio(tally, multiplier)
        WHEN 'min' THEN kpi.minimum(tally)
        WHEN 'max' THEN kpi.maximum(tally)
        ELSE kpi.total(tally) END;
COMMENT ON FUNCTION kpi.tally_actual(@extschema@.kpi_tally, text, numeric) IS 'Internal: the actual that a tally stands for under a rollup';

-- ---------------------------------------------------------------- trend

CREATE VIEW kpi.trend AS
SELECT a.*,
       t.previous,
       trim_scale(a.actual - t.previous) AS change,
       kpi.exact_quotient(a.actual - t.previous, abs(t.previous)) AS relative_change,
       t.last_year,
       trim_scale(a.actual - t.last_year) AS change_on_year,
       kpi.exact_quotient(a.actual - t.last_year, abs(t.last_year)) AS relative_change_on_year,
       trim_scale(t.year_to_date) AS year_to_date,
       trim_scale(t.year_to_date_target) AS year_to_date_target,
       t.year_to_date_attainment,
       t.moving_mean,
       CASE t.travel WHEN 1 THEN 'better' WHEN -1 THEN 'worse' WHEN 0 THEN 'same' END AS travel,
       o.predecessor,
       o.actual AS predecessor_actual,
       o.previous AS predecessor_previous,
       o.last_year AS predecessor_last_year
  FROM kpi.attainment a
  -- aggregates, so that the planner knows it for one row and leaves it out where nothing of it is asked for
  LEFT JOIN LATERAL (
    SELECT min(r.previous) AS previous, min(r.last_year) AS last_year, min(r.moving_mean) AS moving_mean,
           min(CASE WHEN m.scoring IN ('range', 'curve') THEN sign(a.attainment_to_date - r.previous_attainment)
                    WHEN m.direction = 'lower' THEN sign(r.previous - a.actual)
                    ELSE sign(a.actual - r.previous) END) AS travel,
           min(y.actual) AS year_to_date, min(y.target) AS year_to_date_target, min(y.attainment) AS year_to_date_attainment
      FROM kpi.measure m
     CROSS JOIN LATERAL (
        SELECT max(c.actual) FILTER (WHERE c.period OPERATOR(@extschema@.=) w.before) AS previous,
               max(c.attainment_to_date) FILTER (WHERE c.period OPERATOR(@extschema@.=) w.before) AS previous_attainment,
               max(c.actual) FILTER (WHERE c.period OPERATOR(@extschema@.=) w.year_before) AS last_year,
               CASE WHEN count(c.actual) FILTER (WHERE c.period OPERATOR(@extschema@.>=) w.first) = 2
                    THEN kpi.exact_quotient(a.actual + sum(c.actual) FILTER (WHERE c.period OPERATOR(@extschema@.>=) w.first), 3) END AS moving_mean
          -- before the year 4 there is nothing to go back to
          FROM (SELECT CASE WHEN a.period_start >= '0004-01-01' THEN a.period OPERATOR(@extschema@.-) 1 END AS before,
                       CASE WHEN a.period_start >= '0004-01-01' THEN a.period OPERATOR(@extschema@.-) 2 END AS first,
                       kpi.year_before(a.period) AS year_before) w
         CROSS JOIN kpi.counted_cell c
         WHERE c.kpi_id = a.kpi_id
           AND c.period OPERATOR(@extschema@.=) ANY (ARRAY[w.before, w.first, w.year_before])) r
      LEFT JOIN LATERAL (
        SELECT min(d.actual) AS actual, min(coalesce(d.target, (d.aim).value)) AS target,
               min(CASE WHEN m.scoring = 'step' OR m.scoring = 'ratio' AND d.target = 0
                            THEN CASE m.direction WHEN 'lower' THEN d.actual <= d.target ELSE d.actual >= d.target END::integer::numeric
                        WHEN m.scoring = 'ratio'
                            THEN kpi.exact_quotient(abs(d.target) + CASE m.direction WHEN 'lower' THEN d.target - d.actual ELSE d.actual - d.target END, abs(d.target))
                        ELSE kpi.attainment_of(d.actual, d.aim, m.scoring, m.direction) END) AS attainment
          FROM (SELECT CASE WHEN l.is_growth THEN g.actual
                            -- at its end the year to date is the year
                            WHEN e.is_end AND (l.is_computed OR m.time_rollup = 'last') THEN e.actual
                            WHEN l.is_computed THEN q.actual
                            WHEN m.time_rollup = 'last' THEN
                                CASE -- it has facts in the period, and nothing beneath it
                                     WHEN a.coverage = 1 AND a.period_start >= kpi.first_day(f.year)
                                          AND NOT EXISTS (SELECT FROM kpi.unit_history h WHERE h.parent_unit_id = a.unit_id)
                                          AND NOT EXISTS (SELECT FROM kpi.link x WHERE x.parent_kpi_id = a.kpi_id) THEN a.actual
                                     WHEN kpi.stock_is_carried((SELECT v.key FROM kpi.view_key v), a.kpi_id, a.period)
                                     THEN kpi.tally_actual(kpi.stock_to_date((SELECT v.key FROM kpi.view_key v), a.kpi_id, a.period), m.rollup, m.multiplier)
                                     ELSE a.actual END
                            WHEN m.time_rollup = 'mean' THEN kpi.exact_quotient(c.total_actual, c.actuals)
                            ELSE kpi.tally_actual(c.tally, m.rollup, m.multiplier) END AS actual,
                       -- the target to date of the year, as far as the period goes
                       CASE WHEN m.scoring NOT IN ('ratio', 'step') OR c.elapsed IS NULL THEN NULL
                            WHEN w.kpi_id IS NULL AND s.given_so_far = c.elapsed
                                 OR l.how = 'sum' AND s.given = f.periods AND s.sum = w.value THEN
                                CASE l.how WHEN 'sum' THEN s.sum_so_far WHEN 'min' THEN s.min_so_far WHEN 'max' THEN s.max_so_far
                                           WHEN 'last' THEN (SELECT g.value FROM kpi.target g
                                                              WHERE g.kpi_id = a.kpi_id AND g.period OPERATOR(@extschema@.=) (f.first OPERATOR(@extschema@.+) (c.elapsed - 1)))
                                           ELSE kpi.exact_quotient(s.sum_so_far, s.given_so_far) END
                            WHEN l.how = 'sum' THEN kpi.exact_quotient(coalesce(w.value, (i.derived).value) * c.elapsed, f.periods)
                            ELSE coalesce(w.value, (i.derived).value) END AS target,
                       o.aim
                  FROM (SELECT b.year, b.upto, b.first, b.last, b.alive_from, b.alive_to, (b.last OPERATOR(@extschema@.-) b.first) + 1 AS periods
                          FROM (SELECT y.year, y.alive_from, y.alive_to,
                                       kpi.period(a.period_end, m.grain, m.fiscal_start) AS upto,
                                       greatest(kpi.period(kpi.first_day(y.year), m.grain, m.fiscal_start),
                                                kpi.period(y.alive_from, m.grain, m.fiscal_start)) AS first,
                                       least(kpi.period(kpi.last_day(y.year), m.grain, m.fiscal_start),
                                             kpi.period(y.alive_to, m.grain, m.fiscal_start) OPERATOR(@extschema@.-) 1) AS last
                                  FROM (SELECT kpi.period(a.period_end, 'year', m.fiscal_start) AS year,
                                               nullif(greatest(k.valid_from, u.valid_from), '-infinity') AS alive_from,
                                               nullif(least(k.valid_to, u.valid_to), 'infinity') AS alive_to
                                          FROM kpi.kpi k
                                          JOIN kpi.unit u ON u.unit_id = k.unit_id
                                         WHERE k.kpi_id = a.kpi_id AND m.grain <> 'week') y) b
                        OFFSET 0) f
                 -- what computes the KPI
                 CROSS JOIN LATERAL (
                    SELECT coalesce(bool_or(x.contributes = 'growth'), false) AS is_growth,
                           coalesce(bool_or(x.contributes IN ('numerator', 'denominator')), false) AS is_computed,
                           CASE WHEN m.rollup IN ('sum', 'count', 'none') AND m.time_rollup = 'pool'
                                     AND bool_or(x.contributes = 'growth') IS NOT TRUE THEN 'sum'
                                WHEN m.time_rollup = 'last' THEN 'last'
                                WHEN m.rollup IN ('min', 'max') THEN m.rollup
                                ELSE 'mean' END AS how
                      FROM kpi.explicit_link x
                     WHERE x.parent_kpi_id = a.kpi_id AND x.valid_from <= a.period_end AND x.valid_to > a.period_end) l
                 CROSS JOIN LATERAL (
                    SELECT kpi.merge_agg(b.tally) FILTER (WHERE m.time_rollup = 'pool') AS tally,
                           kpi.merge_agg(b.own) FILTER (WHERE l.is_computed) AS own,
                           sum(b.actual) FILTER (WHERE m.time_rollup = 'mean') AS total_actual, count(b.actual) AS actuals,
                           -- in a base period the target to date is the target
                           CASE WHEN m.grain = 'year' THEN 1
                                ELSE max(b.period OPERATOR(@extschema@.-) f.first) FILTER (WHERE b.actual IS NOT NULL) + 1 END AS elapsed
                      FROM kpi.counted_cell b
                     WHERE b.kpi_id = a.kpi_id AND b.period OPERATOR(@extschema@.>=) f.first AND b.period OPERATOR(@extschema@.<=) f.upto) c
                 -- the target of the year and those of its base periods
                  LEFT JOIN LATERAL (
                    SELECT g.kpi_id, g.value, g.baseline, g.low, g.high, g.points
                      FROM kpi.target g
                     WHERE g.kpi_id = a.kpi_id AND g.period OPERATOR(@extschema@.=) f.year AND coalesce(kpi.last_day(f.year) < f.alive_to, true)
                       AND (m.targets_count_from IN ('proposed', g.state) OR g.state = 'final')) w ON true
                 CROSS JOIN LATERAL (
                    SELECT count(*) AS given, sum(g.value) AS sum, count(*) FILTER (WHERE p.is_past) AS given_so_far,
                           sum(g.value) FILTER (WHERE p.is_past) AS sum_so_far,
                           min(g.value) FILTER (WHERE p.is_past) AS min_so_far, max(g.value) FILTER (WHERE p.is_past) AS max_so_far
                      FROM kpi.target g
                     CROSS JOIN LATERAL (SELECT (g.period OPERATOR(@extschema@.-) f.first) < c.elapsed AS is_past) p
                     WHERE g.kpi_id = a.kpi_id AND g.period OPERATOR(@extschema@.>=) f.first AND g.period OPERATOR(@extschema@.<=) f.last
                       AND (m.targets_count_from IN ('proposed', g.state) OR g.state = 'final')) s
                 -- a year without a target of its own, and without those of all base periods so far
                 CROSS JOIN LATERAL (
                    SELECT CASE WHEN w.kpi_id IS NULL AND s.given_so_far IS DISTINCT FROM c.elapsed THEN (
                    SELECT kpi.derived_target(h.targets, l.how)
                      FROM (SELECT array_agg(kpi.target_fields(g.value, g.baseline, g.low, g.high, g.points) ORDER BY g.period) AS targets,
                                   count(*) AS given, kpi.grain(g.period) AS grain
                              FROM kpi.target g
                             WHERE g.kpi_id = a.kpi_id AND g.period OPERATOR(@extschema@.<@) f.year AND g.period OPERATOR(@extschema@.<>) f.year
                               AND kpi.grain(g.period) NOT IN ('week', m.grain)
                               AND (m.targets_count_from IN ('proposed', g.state) OR g.state = 'final')
                               AND coalesce(kpi.last_day(g.period) >= f.alive_from, true) AND coalesce(kpi.last_day(g.period) < f.alive_to, true)
                             GROUP BY kpi.grain(g.period)) h
                     WHERE h.given = (SELECT count(*)
                                        FROM kpi.periods(f.year, h.grain) AS o (period)
                                       WHERE coalesce(kpi.last_day(o.period) >= f.alive_from, true) AND coalesce(kpi.last_day(o.period) < f.alive_to, true))
                     ORDER BY h.grain DESC LIMIT 1) END AS derived
                    OFFSET 0) i
                 -- all fields of the target, where attainment is not that of one value
                  LEFT JOIN LATERAL (
                    SELECT kpi.target_so_far(CASE WHEN w.kpi_id IS NULL THEN i.derived ELSE kpi.target_fields(w.value, w.baseline, w.low, w.high, w.points) END,
                                             w.kpi_id IS NOT NULL,
                                             ARRAY(SELECT kpi.target_fields(g.value, g.baseline, g.low, g.high, g.points)
                                                     FROM kpi.target g
                                                    WHERE g.kpi_id = a.kpi_id AND g.period OPERATOR(@extschema@.>=) f.first
                                                      AND g.period OPERATOR(@extschema@.<=) (f.first OPERATOR(@extschema@.+) (c.elapsed - 1))
                                                      AND (m.targets_count_from IN ('proposed', g.state) OR g.state = 'final')
                                                    ORDER BY g.period),
                                             s.given::integer, s.sum, c.elapsed, f.periods, l.how) AS aim
                     WHERE m.scoring NOT IN ('ratio', 'step')) o ON true
                 -- the year itself
                  LEFT JOIN LATERAL (
                    SELECT true AS is_end, b.actual
                      FROM kpi.counted_cell b
                     WHERE b.kpi_id = a.kpi_id AND b.period OPERATOR(@extschema@.=) f.year AND kpi.last_day(f.year) = a.period_end
                       AND (l.is_computed OR m.time_rollup = 'last')
                    OFFSET 0) e ON true
                 -- numerators over denominators, each to date
                 CROSS JOIN LATERAL (
                    SELECT CASE WHEN l.is_computed THEN (
                    SELECT CASE WHEN bool_or(n.is_beyond) OR m.missing_child = 'require' AND count(*) > count(n.brought) THEN NULL
                                WHEN c.own IS NOT NULL OR count(n.brought) > 0 THEN
                                    kpi.exact_quotient(m.multiplier * (coalesce(kpi.total(c.own), 0) + coalesce(sum(n.numerator), 0)),
                                                       coalesce(kpi.total_weight(c.own), 0) + coalesce(sum(n.denominator), 0)) END
                      FROM (SELECT v.is_beyond, coalesce(v.actual, kpi.total(v.tally)) AS brought,
                                   CASE x.contributes WHEN 'numerator' THEN x.weight * v.actual WHEN 'value' THEN x.weight * kpi.total(v.tally) END AS numerator,
                                   CASE x.contributes WHEN 'denominator' THEN x.weight * v.actual WHEN 'value' THEN x.weight * kpi.total_weight(v.tally) END AS denominator
                              FROM kpi.explicit_link x
                              JOIN kpi.kpi ck ON ck.kpi_id = x.child_kpi_id
                              JOIN kpi.measure cm ON cm.measure_id = ck.measure_id
                             CROSS JOIN LATERAL (
                                SELECT EXISTS (SELECT FROM kpi.explicit_link xx
                                                WHERE xx.parent_kpi_id = x.child_kpi_id AND xx.valid_from <= a.period_end AND xx.valid_to > a.period_end
                                                  AND xx.contributes IN ('numerator', 'denominator', 'growth')) AS is_beyond,
                                       CASE WHEN x.contributes = 'value' THEN NULL
                                            WHEN cm.time_rollup = 'pool' THEN kpi.tally_actual(kpi.merge_agg(b.tally), cm.rollup, cm.multiplier)
                                            WHEN cm.time_rollup = 'mean' THEN kpi.exact_quotient(sum(b.actual), count(b.actual))
                                            WHEN kpi.stock_is_carried((SELECT v.key FROM kpi.view_key v), x.child_kpi_id, a.period)
                                            THEN kpi.tally_actual(kpi.stock_to_date((SELECT v.key FROM kpi.view_key v), x.child_kpi_id, a.period), cm.rollup, cm.multiplier)
                                            ELSE (SELECT o.actual FROM kpi.counted_cell o
                                                   WHERE o.kpi_id = x.child_kpi_id AND o.period OPERATOR(@extschema@.=) a.period) END AS actual,
                                       CASE WHEN x.contributes <> 'value' THEN NULL
                                            WHEN cm.time_rollup <> 'last' THEN kpi.merge_agg(b.tally)
                                            ELSE kpi.stock_to_date((SELECT v.key FROM kpi.view_key v), x.child_kpi_id, a.period) END AS tally
                                  FROM kpi.counted_cell b
                                 WHERE b.kpi_id = x.child_kpi_id AND b.period OPERATOR(@extschema@.>=) kpi.period(kpi.first_day(f.year), m.grain, m.fiscal_start)
                                   AND b.period OPERATOR(@extschema@.<=) f.upto) v
                             WHERE x.parent_kpi_id = a.kpi_id AND x.valid_from <= a.period_end AND x.valid_to > a.period_end
                               AND x.contributes IN ('numerator', 'denominator', 'value')) n) END AS actual) q
                 -- growth, like for like
                 CROSS JOIN LATERAL (
                    SELECT CASE WHEN l.is_growth THEN (
                    SELECT min(kpi.exact_quotient(m.multiplier * (n.actual - n.actual_before), abs(n.actual_before)))
                      FROM (SELECT CASE cm.time_rollup
                                       WHEN 'pool' THEN kpi.tally_actual(kpi.merge_agg(b.tally), cm.rollup, cm.multiplier)
                                       WHEN 'mean' THEN kpi.exact_quotient(sum(b.actual), count(*))
                                       ELSE (array_agg(b.actual ORDER BY b.period DESC))[1] END AS actual,
                                   CASE cm.time_rollup
                                       WHEN 'pool' THEN kpi.tally_actual(kpi.merge_agg(o.tally), cm.rollup, cm.multiplier)
                                       WHEN 'mean' THEN kpi.exact_quotient(sum(o.actual), count(*))
                                       ELSE (array_agg(o.actual ORDER BY b.period DESC))[1] END AS actual_before
                              FROM (SELECT x.child_kpi_id, cm.rollup, cm.time_rollup, cm.multiplier
                                      FROM kpi.explicit_link x
                                      JOIN kpi.kpi ck ON ck.kpi_id = x.child_kpi_id
                                      JOIN kpi.measure cm ON cm.measure_id = ck.measure_id
                                     WHERE x.parent_kpi_id = a.kpi_id AND x.valid_from <= a.period_end AND x.valid_to > a.period_end
                                       AND x.contributes = 'growth'
                                    OFFSET 0) cm
                             -- one after the other, by key: cells are not to be joined with cells
                             CROSS JOIN LATERAL (
                                SELECT c.period, c.tally, c.actual
                                  FROM kpi.counted_cell c
                                 WHERE c.kpi_id = cm.child_kpi_id AND c.period OPERATOR(@extschema@.>=) kpi.period(kpi.first_day(f.year), m.grain, m.fiscal_start)
                                   AND c.period OPERATOR(@extschema@.<=) f.upto AND c.actual IS NOT NULL
                                OFFSET 0) b
                             CROSS JOIN LATERAL (
                                SELECT c.tally, c.actual
                                  FROM kpi.counted_cell c
                                 WHERE c.kpi_id = cm.child_kpi_id AND c.period OPERATOR(@extschema@.=) kpi.year_before(b.period) AND c.actual IS NOT NULL
                                OFFSET 0) o
                             GROUP BY cm.child_kpi_id, cm.rollup, cm.time_rollup, cm.multiplier) n) END AS actual) g
                OFFSET 0) d) y ON true
     WHERE m.measure_id = a.measure_id) t ON true
  -- the measure it replaced, at the same unit: beside its own figures, never among them
  LEFT JOIN LATERAL (
    SELECT min(o.code) AS predecessor,
           max(c.actual) FILTER (WHERE c.period OPERATOR(@extschema@.=) a.period) AS actual,
           max(c.actual) FILTER (WHERE c.period OPERATOR(@extschema@.=) w.before) AS previous,
           max(c.actual) FILTER (WHERE c.period OPERATOR(@extschema@.=) w.year_before) AS last_year
      FROM kpi.measure m
      JOIN kpi.measure o ON o.measure_id = m.replaces_measure_id
      JOIN kpi.kpi k ON k.unit_id = a.unit_id AND k.measure_id = o.measure_id
     CROSS JOIN (SELECT CASE WHEN a.period_start >= '0004-01-01' THEN a.period OPERATOR(@extschema@.-) 1 END AS before,
                        kpi.year_before(a.period) AS year_before) w
      LEFT JOIN kpi.counted_cell c ON c.kpi_id = k.kpi_id
                                  AND c.period OPERATOR(@extschema@.=) ANY (ARRAY[a.period, w.before, w.year_before])
     WHERE m.measure_id = a.measure_id) o ON true;
COMMENT ON VIEW kpi.trend IS 'kpi.attainment with where each number comes from: the period before, the same period last year, the year to date, the mean of three periods, which way it goes, and the measure it replaced. Never sum over grains or levels';
DO $comments$
DECLARE
    attribute record;
BEGIN
    FOR attribute IN
        SELECT a.attname, pg_catalog.col_description(a.attrelid, a.attnum) AS comment
          FROM pg_catalog.pg_attribute a
         WHERE a.attrelid = 'kpi.attainment'::regclass AND a.attnum > 0
    LOOP
        EXECUTE format('COMMENT ON COLUMN kpi.trend.%I IS %L', attribute.attname, attribute.comment);
    END LOOP;
END
$comments$;
COMMENT ON COLUMN kpi.trend.previous IS 'Actual of the period before, of the same grain; null where there is none';
COMMENT ON COLUMN kpi.trend.change IS 'actual - previous';
COMMENT ON COLUMN kpi.trend.relative_change IS 'change / |previous|, rounded to 12 places; null where previous is 0';
COMMENT ON COLUMN kpi.trend.last_year IS 'Actual of the same period a year earlier; null for weeks and 29 February';
COMMENT ON COLUMN kpi.trend.change_on_year IS 'actual - last_year';
COMMENT ON COLUMN kpi.trend.relative_change_on_year IS 'change_on_year / |last_year|, rounded to 12 places; null where last_year is 0';
COMMENT ON COLUMN kpi.trend.year_to_date IS 'Actual of the measure''s (fiscal) year up to the end of the period, by rollup and time_rollup; null for measures kept by week';
COMMENT ON COLUMN kpi.trend.year_to_date_target IS 'The part of the year''s target that applies up to the last base period with an actual in it, by the rules of the target to date';
COMMENT ON COLUMN kpi.trend.year_to_date_attainment IS 'Attainment of the year to date, neither floored nor capped';
COMMENT ON COLUMN kpi.trend.moving_mean IS 'Mean of the actuals of the period and the two before, rounded to 12 places; null unless all three exist';
COMMENT ON COLUMN kpi.trend.travel IS 'better, worse or same than the period before: by the direction of the measure, for scoring range and curve by the attainment to date; null where one of the two is unknown';
COMMENT ON COLUMN kpi.trend.predecessor IS 'Code of the measure that this one replaced, where the unit has a KPI of it; null otherwise. Its figures are in its own unit and count in no other column';
COMMENT ON COLUMN kpi.trend.predecessor_actual IS 'Actual of the predecessor at the same unit in the same period';
COMMENT ON COLUMN kpi.trend.predecessor_previous IS 'Actual of the predecessor in the period before';
COMMENT ON COLUMN kpi.trend.predecessor_last_year IS 'Actual of the predecessor in the same period a year earlier';
