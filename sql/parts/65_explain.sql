-- Why is a number what it is?  kpi.explain and kpi.tree take a number apart,
-- kpi.restated shows all numbers as they would be with another day's structure.
--
-- All of it runs with the caller's rights and reads views, which row security
-- on kpi.unit limits; only kpi.links_in_force reads with the owner's rights,
-- so that what counts does not depend on who looks.

-- ---------------------------------------------------------------- what is read

CREATE VIEW kpi.described_kpi AS
SELECT k.kpi_id,
       k.unit_id,
       k.measure_id,
       u.path AS unit_now,
       u.name AS unit_name,
       u.level_no,
       coalesce(l.code, CASE u.level_no WHEN 1 THEN 'corporate' WHEN 2 THEN 'business_unit' WHEN 3 THEN 'department'
                                        WHEN 4 THEN 'team' ELSE concat('level_', u.level_no) END) AS level,
       m.code AS measure,
       m.name AS measure_name,
       m.unit_of_measure,
       k.owner,
       k.weight,
       m.direction,
       m.rollup,
       m.time_rollup,
       m.multiplier,
       m.score_floor,
       m.score_cap,
       m.driver_rollup,
       m.result_weight,
       m.missing_child,
       m.grain,
       m.fiscal_start,
       coalesce(h.path, u.path) AS path,
       coalesce(h.valid_from, '-infinity') AS path_from,
       coalesce(h.valid_to, 'infinity') AS path_to
  FROM kpi.kpi k
  JOIN kpi.unit u ON u.unit_id = k.unit_id
  JOIN kpi.measure m ON m.measure_id = k.measure_id
  LEFT JOIN kpi.level l ON l.level_no = u.level_no
  LEFT JOIN kpi.unit_path h ON h.unit_id = k.unit_id
 WHERE CASE WHEN (SELECT kpi.row_security_applies()) THEN k.unit_id IN (SELECT v.unit_id FROM kpi.visible_units() v (unit_id)) ELSE true END;
COMMENT ON VIEW kpi.described_kpi IS 'Internal: each KPI with its names, the rules of its measure and the path of its unit, one row per stretch of time with one path';
COMMENT ON COLUMN kpi.described_kpi.kpi_id IS 'The KPI';
COMMENT ON COLUMN kpi.described_kpi.unit_id IS 'Its unit';
COMMENT ON COLUMN kpi.described_kpi.measure_id IS 'Its measure';
COMMENT ON COLUMN kpi.described_kpi.unit_now IS 'Path of the unit by the newest recorded parentage';
COMMENT ON COLUMN kpi.described_kpi.unit_name IS 'Name of the unit';
COMMENT ON COLUMN kpi.described_kpi.level_no IS 'Level of the unit, 1 at the top';
COMMENT ON COLUMN kpi.described_kpi.level IS 'Name of that level';
COMMENT ON COLUMN kpi.described_kpi.measure IS 'Code of the measure';
COMMENT ON COLUMN kpi.described_kpi.measure_name IS 'Name of the measure';
COMMENT ON COLUMN kpi.described_kpi.unit_of_measure IS 'In what its numbers are given';
COMMENT ON COLUMN kpi.described_kpi.owner IS 'Who owns the KPI';
COMMENT ON COLUMN kpi.described_kpi.weight IS 'Weight of the KPI in the score of its unit';
COMMENT ON COLUMN kpi.described_kpi.direction IS 'Rule of the measure: higher or lower';
COMMENT ON COLUMN kpi.described_kpi.rollup IS 'Rule of the measure: sum, mean, weighted_mean, ratio, min, max, count or none';
COMMENT ON COLUMN kpi.described_kpi.time_rollup IS 'Rule of the measure: pool, last or mean';
COMMENT ON COLUMN kpi.described_kpi.multiplier IS 'Rule of the measure: factor of a ratio or a growth';
COMMENT ON COLUMN kpi.described_kpi.score_floor IS 'Rule of the measure: lowest result in a score, null for none';
COMMENT ON COLUMN kpi.described_kpi.score_cap IS 'Rule of the measure: highest result in a score, null for none';
COMMENT ON COLUMN kpi.described_kpi.driver_rollup IS 'Rule of the measure: mean, min or max of the children''s scores';
COMMENT ON COLUMN kpi.described_kpi.result_weight IS 'Rule of the measure: weight of the own result in the score';
COMMENT ON COLUMN kpi.described_kpi.missing_child IS 'Rule of the measure: exclude, zero or require';
COMMENT ON COLUMN kpi.described_kpi.grain IS 'Grain of the measure''s base periods';
COMMENT ON COLUMN kpi.described_kpi.fiscal_start IS 'Month in which its fiscal year starts';
COMMENT ON COLUMN kpi.described_kpi.path IS 'Path of the unit in the stretch of time';
COMMENT ON COLUMN kpi.described_kpi.path_from IS 'First day of the stretch, -infinity for the first';
COMMENT ON COLUMN kpi.described_kpi.path_to IS 'First day after the stretch, infinity for the last';

CREATE VIEW kpi.current_cell AS
SELECT x.kpi_id, x.period, x.actual, x.target, x.attainment_to_date, x.driver_score, x.score, x.status,
       x.coverage, x.tally, x.own
  FROM (SELECT c.kpi_id, c.period, c.actual, c.target, c.attainment_to_date, c.driver_score, c.score, c.status,
               c.coverage, c.tally, CASE WHEN c.has_own THEN coalesce(c.own, c.tally) END AS own, 0 AS source
          FROM kpi.cell c
        UNION ALL
        SELECT *
          FROM (SELECT d.kpi_id, d.period, d.actual, d.target, d.attainment_to_date, d.driver_score, d.score, d.status,
                       d.coverage, d.tally, CASE WHEN d.has_own THEN coalesce(d.own, d.tally) END AS own, 1 AS source
                  FROM kpi.dirty((SELECT v.key FROM kpi.view_key v)) d
                OFFSET 0) pending) x
 WHERE (x.source = 1 OR NOT kpi.is_dirty(x.kpi_id, x.period))
   AND CASE WHEN (SELECT kpi.row_security_applies())
            THEN x.kpi_id IN (SELECT k.kpi_id FROM kpi.kpi k WHERE k.unit_id IN (SELECT v.unit_id FROM kpi.visible_units() v (unit_id))) ELSE true END;
COMMENT ON VIEW kpi.current_cell IS 'Internal: kpi.cell with what is still pending, as kpi.attainment shows it, and the tally of the own facts';
COMMENT ON COLUMN kpi.current_cell.kpi_id IS 'The KPI';
COMMENT ON COLUMN kpi.current_cell.period IS 'The period';
COMMENT ON COLUMN kpi.current_cell.actual IS 'What facts and links add up to; null where unknown';
COMMENT ON COLUMN kpi.current_cell.target IS 'The target of the whole period, explicit or derived';
COMMENT ON COLUMN kpi.current_cell.attainment_to_date IS 'Attainment of the target to date';
COMMENT ON COLUMN kpi.current_cell.driver_score IS 'What the scores of the children over score links add up to';
COMMENT ON COLUMN kpi.current_cell.score IS 'Attainment to date within floor and cap, weighed with the driver score';
COMMENT ON COLUMN kpi.current_cell.status IS 'The score as a word';
COMMENT ON COLUMN kpi.current_cell.coverage IS 'How much of the number is known, 0 to 1';
COMMENT ON COLUMN kpi.current_cell.tally IS 'The tally behind the actual';
COMMENT ON COLUMN kpi.current_cell.own IS 'The tally of the own facts that count in the actual beside links; null where there are none';

-- ---------------------------------------------------------------- restated

CREATE FUNCTION kpi.restated_cells(as_of date) RETURNS SETOF kpi.cell
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED ROWS 10000 COST 100000
    AS 'MODULE_PATHNAME', 'kpi_restated_cells';
COMMENT ON FUNCTION kpi.restated_cells(date) IS 'Internal to kpi.restated(): every cell, computed from facts and targets with the parents and links of that day';

CREATE FUNCTION kpi.restated(as_of date) RETURNS SETOF kpi.attainment
    LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED ROWS 10000
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.kpi_id, k.unit_id, k.measure_id, k.path, k.unit_now, k.unit_name, k.level_no, k.level,
           k.measure, k.measure_name, k.unit_of_measure, k.owner,
           c.period, kpi.grain(c.period), kpi.first_day(c.period), kpi.last_day(c.period),
           kpi.last_day(c.period) < current_date,
           c.actual, c.target, trim_scale(c.actual - c.target), c.attainment,
           c.target_to_date, c.attainment_to_date, c.driver_score, c.score, c.status, c.coverage, c.tally
      FROM kpi.restated_cells(as_of) c
      JOIN kpi.described_kpi k ON k.kpi_id = c.kpi_id AND k.path_from <= as_of AND (k.path_to > as_of OR k.path_to = 'infinity')
$$;
COMMENT ON FUNCTION kpi.restated(date) IS 'The rows of kpi.attainment as they would be if on every day the parents, shares and links of one day had been in force (as is, where kpi.attainment is as was). unit is the path on that day; a unit without history on it keeps its latest earlier parent, else its earliest later one. Units, KPIs and targets count by the period, as ever. Computes all numbers from the facts, whatever is asked of it: filter once, and keep the result where it is used often';

-- ---------------------------------------------------------------- links in force

CREATE FUNCTION kpi.links_in_force(
    day date, parents bigint[] DEFAULT NULL, as_of date DEFAULT NULL,
    OUT child_kpi_id bigint, OUT parent_kpi_id bigint, OUT contributes text, OUT weight numeric, OUT link_id bigint)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    -- lookups, whatever the statistics: units beneath one with a thousand and beneath one with none
    SET enable_seqscan = off
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    -- KPIs are alive by the day, parents and links are looked up on that one
    structure date := coalesce(links_in_force.as_of, links_in_force.day);
BEGIN
    RETURN QUERY
    WITH RECURSIVE parent AS MATERIALIZED (
        SELECT k.kpi_id, k.unit_id, k.measure_id,
               m.rolls_up AND m.rollup <> 'none' AS rolls_up,
               m.apply_share AND m.rollup NOT IN ('min', 'max') AS takes_shares
          FROM kpi.kpi k
          JOIN kpi.unit u ON u.unit_id = k.unit_id
          JOIN kpi.measure m ON m.measure_id = k.measure_id
         WHERE (links_in_force.parents IS NULL OR k.kpi_id = ANY (links_in_force.parents))
           AND day >= coalesce(greatest(k.valid_from, u.valid_from), '-infinity')
           AND day < coalesce(least(k.valid_to, u.valid_to), 'infinity')
    ), explicit AS MATERIALIZED (
        SELECT l.link_id, l.child_kpi_id, l.parent_kpi_id, l.contributes, l.weight,
               c.measure_id <> p.measure_id AS between_measures
          FROM parent p
          JOIN kpi.link l ON l.parent_kpi_id = p.kpi_id
          JOIN kpi.kpi c ON c.kpi_id = l.child_kpi_id
          JOIN kpi.unit u ON u.unit_id = c.unit_id
         WHERE l.weight <> 0
           AND structure >= coalesce(l.valid_from, '-infinity') AND structure < coalesce(l.valid_to, 'infinity')
           AND day >= coalesce(greatest(c.valid_from, u.valid_from), '-infinity')
           AND day < coalesce(least(c.valid_to, u.valid_to), 'infinity')
    ), descent AS (
        -- down from each KPI that implied links may reach to the nearest units
        -- with a living KPI of the same measure
        SELECT p.kpi_id AS parent_kpi_id, p.measure_id, p.takes_shares, p.unit_id,
               1::numeric AS share, NULL::bigint AS reached
          FROM parent p
         WHERE p.rolls_up
           AND NOT EXISTS (SELECT FROM explicit e
                            WHERE e.parent_kpi_id = p.kpi_id
                              AND (e.contributes IN ('numerator', 'denominator', 'growth')
                                   OR e.contributes = 'value' AND e.between_measures))
        UNION ALL
        SELECT d.parent_kpi_id, d.measure_id, d.takes_shares, h.unit_id,
               CASE WHEN d.takes_shares THEN d.share * h.share ELSE d.share END, c.kpi_id
          FROM descent d
         -- OFFSET keeps the planner from comparing every unit with every other
         CROSS JOIN LATERAL (
             SELECT h.unit_id, h.share
               FROM kpi.unit_history h
              WHERE h.parent_unit_id = d.unit_id
                AND h.share <> 0
                AND h.effective_from = (SELECT coalesce(max(n.effective_from) FILTER (WHERE n.effective_from <= structure),
                                                        CASE WHEN links_in_force.as_of IS NOT NULL THEN min(n.effective_from) END)
                                          FROM kpi.unit_history n
                                         WHERE n.unit_id = h.unit_id)
             OFFSET 0) h
          LEFT JOIN (SELECT k.kpi_id, k.unit_id, k.measure_id
                       FROM kpi.kpi k
                       JOIN kpi.unit u ON u.unit_id = k.unit_id
                      WHERE day >= coalesce(greatest(k.valid_from, u.valid_from), '-infinity')
                        AND day < coalesce(least(k.valid_to, u.valid_to), 'infinity')) c
                 ON c.unit_id = h.unit_id AND c.measure_id = d.measure_id
         WHERE d.reached IS NULL
    )
    SELECT e.child_kpi_id, e.parent_kpi_id, e.contributes, e.weight, e.link_id
      FROM explicit e
    UNION ALL
    SELECT d.reached, d.parent_kpi_id, 'value', trim_scale(d.share), NULL
      FROM descent d
     WHERE d.reached IS NOT NULL
       AND NOT EXISTS (SELECT FROM explicit e
                        WHERE e.child_kpi_id = d.reached AND e.parent_kpi_id = d.parent_kpi_id AND e.contributes = 'value')
       -- no implied link leaves a growth KPI
       AND NOT EXISTS (SELECT
                         FROM kpi.link g
                         JOIN kpi.kpi c ON c.kpi_id = g.child_kpi_id
                         JOIN kpi.unit u ON u.unit_id = c.unit_id
                        WHERE g.parent_kpi_id = d.reached AND g.contributes = 'growth' AND g.weight <> 0
                          AND structure >= coalesce(g.valid_from, '-infinity') AND structure < coalesce(g.valid_to, 'infinity')
                          AND day >= coalesce(greatest(c.valid_from, u.valid_from), '-infinity')
                          AND day < coalesce(least(c.valid_to, u.valid_to), 'infinity'));
END
$$;
COMMENT ON FUNCTION kpi.links_in_force(date, bigint[], date) IS 'The links in force on a day, aligned ones included: explicit ones, and those implied by the tree of units (link_id is null), whose weight is the product of the shares on the way. parents limits it to links into these KPIs. With as_of, KPIs are alive by day, but parents, shares and links are those of as_of, as in kpi.restated(). Reads all units, whatever row security shows to the caller, and returns keys and weights only';

CREATE FUNCTION kpi.structure_days() RETURNS date[]
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT array_agg(b.day ORDER BY b.day)
      FROM (SELECT date '-infinity' AS day
            UNION SELECT h.effective_from FROM kpi.unit_history h
            UNION SELECT u.valid_from FROM kpi.unit u
            UNION SELECT u.valid_to FROM kpi.unit u
            UNION SELECT k.valid_from FROM kpi.kpi k
            UNION SELECT k.valid_to FROM kpi.kpi k
            UNION SELECT l.valid_from FROM kpi.link l
            UNION SELECT l.valid_to FROM kpi.link l) b
     WHERE b.day IS NOT NULL
$$;
COMMENT ON FUNCTION kpi.structure_days() IS 'Internal to kpi.explain(): the days, in order, on which units, KPIs, links or parents begin or end; between two of them the links in force are the same';

-- ---------------------------------------------------------------- explain

CREATE TYPE kpi.explained AS (
    place              integer[],
    explains           text,
    kpi_id             bigint,
    unit_id            bigint,
    unit               @extschema@.kpi_path,
    measure            text,
    period             @extschema@.kpi_period,
    contributes        text,
    weight             numeric,
    actual             numeric,
    target             numeric,
    attainment_to_date numeric,
    driver_score       numeric,
    score              numeric,
    status             @extschema@.kpi_status,
    tally              @extschema@.kpi_tally,
    own                @extschema@.kpi_tally,
    numerator          numeric,
    denominator        numeric,
    contribution       numeric,
    shortfall          numeric
);
COMMENT ON TYPE kpi.explained IS 'Internal to kpi.explain(): one row of it';
COMMENT ON COLUMN kpi.explained.place IS 'Number of the row among its siblings, after those of its ancestors; empty for the number explained';
COMMENT ON COLUMN kpi.explained.explains IS 'Which number the rows beneath add up to: actual, score or unit (the score of a unit); null where there is nothing beneath';
COMMENT ON COLUMN kpi.explained.kpi_id IS 'The KPI; null for a unit''s score';
COMMENT ON COLUMN kpi.explained.unit_id IS 'The unit';
COMMENT ON COLUMN kpi.explained.unit IS 'Path of the unit in the period; null where row security hides it';
COMMENT ON COLUMN kpi.explained.measure IS 'Code of the measure';
COMMENT ON COLUMN kpi.explained.period IS 'The period';
COMMENT ON COLUMN kpi.explained.contributes IS 'How the row counts in the one above';
COMMENT ON COLUMN kpi.explained.weight IS 'With which weight';
COMMENT ON COLUMN kpi.explained.actual IS 'The row''s own actual';
COMMENT ON COLUMN kpi.explained.target IS 'The row''s own target';
COMMENT ON COLUMN kpi.explained.attainment_to_date IS 'Attainment of the target to date';
COMMENT ON COLUMN kpi.explained.driver_score IS 'What the children''s scores add up to';
COMMENT ON COLUMN kpi.explained.score IS 'The row''s own score';
COMMENT ON COLUMN kpi.explained.status IS 'The score as a word';
COMMENT ON COLUMN kpi.explained.tally IS 'The tally behind the actual';
COMMENT ON COLUMN kpi.explained.own IS 'The tally of the own facts';
COMMENT ON COLUMN kpi.explained.numerator IS 'Share of the numerator of the number above';
COMMENT ON COLUMN kpi.explained.denominator IS 'Share of its denominator';
COMMENT ON COLUMN kpi.explained.contribution IS 'Part of the number above';
COMMENT ON COLUMN kpi.explained.shortfall IS 'Part of the gap above';

CREATE FUNCTION kpi.tally_numerator(tally @extschema@.kpi_tally, rollup text) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE rollup
        WHEN 'count' THEN kpi.observations(tally)
        -- no accessor gives the sum of value times weight; the text form does
        WHEN 'weighted_mean' THEN pg_catalog.substring(tally::text, 'product=([^,}]*)')::numeric
        WHEN 'min' THEN NULL
        WHEN 'max' THEN NULL
        ELSE kpi.total(tally) END
$$;
COMMENT ON FUNCTION kpi.tally_numerator(@extschema@.kpi_tally, text) IS 'Internal to kpi.explain(): what a rollup adds up of a tally, for a quotient its numerator; null for min and max';

CREATE FUNCTION kpi.tally_denominator(tally @extschema@.kpi_tally, rollup text) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE rollup WHEN 'mean' THEN kpi.observations(tally)
                       WHEN 'weighted_mean' THEN kpi.total_weight(tally)
                       WHEN 'ratio' THEN kpi.total_weight(tally) END
$$;
COMMENT ON FUNCTION kpi.tally_denominator(@extschema@.kpi_tally, text) IS 'Internal to kpi.explain(): the denominator of a tally under a rollup; null where that is no quotient';

CREATE FUNCTION kpi.tally_actual(tally @extschema@.kpi_tally, rollup text, multiplier numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE rollup
        WHEN 'count' THEN kpi.observations(tally)
        WHEN 'mean' THEN kpi.mean(tally)
        WHEN 'weighted_mean' THEN kpi.weighted_mean(tally)
        WHEN 'ratio' THEN kpi.ratio(tally, multiplier)
        WHEN 'min' THEN kpi.minimum(tally)
        WHEN 'max' THEN kpi.maximum(tally)
        ELSE kpi.total(tally) END
$$;
COMMENT ON FUNCTION kpi.tally_actual(@extschema@.kpi_tally, text, numeric) IS 'Internal to kpi.explain(): the actual that a tally stands for under a rollup';

CREATE FUNCTION kpi.like_for_like(kpi_id bigint, period @extschema@.kpi_period, OUT actual numeric, OUT actual_before numeric)
    LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
    -- only base periods whose actual exists in both years
    SELECT CASE k.time_rollup
               WHEN 'pool' THEN kpi.tally_actual(kpi.merge_agg(a.tally), k.rollup, k.multiplier)
               WHEN 'mean' THEN kpi.exact_quotient(sum(a.actual), count(*))
               ELSE (array_agg(a.actual ORDER BY b.period DESC))[1] END,
           CASE k.time_rollup
               WHEN 'pool' THEN kpi.tally_actual(kpi.merge_agg(e.tally), k.rollup, k.multiplier)
               WHEN 'mean' THEN kpi.exact_quotient(sum(e.actual), count(*))
               ELSE (array_agg(e.actual ORDER BY b.period DESC))[1] END
      FROM (SELECT DISTINCT d.grain, d.rollup, d.time_rollup, d.multiplier
              FROM kpi.described_kpi d WHERE d.kpi_id = like_for_like.kpi_id) k
     CROSS JOIN LATERAL kpi.periods(like_for_like.period, k.grain) AS b (period)
      JOIN kpi.current_cell a ON a.kpi_id = like_for_like.kpi_id AND a.period OPERATOR(@extschema@.=) b.period
      JOIN kpi.current_cell e ON e.kpi_id = like_for_like.kpi_id AND e.period OPERATOR(@extschema@.=) kpi.year_before(b.period)
     WHERE a.actual IS NOT NULL AND e.actual IS NOT NULL
       AND kpi.grain(like_for_like.period) <> 'week'
     GROUP BY k.rollup, k.time_rollup, k.multiplier
$$;
COMMENT ON FUNCTION kpi.like_for_like(bigint, @extschema@.kpi_period) IS 'Internal to kpi.explain(): the two actuals that growth compares, this year''s and a year before, both over those base periods that have an actual in both years; null where there are none';

CREATE FUNCTION kpi.explain_beneath(level kpi.explained[], structure_days date[]) RETURNS SETOF kpi.explained
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    SET jit = off
AS $$
BEGIN
    RETURN QUERY
    WITH above AS MATERIALIZED (
        SELECT row_number() OVER (ORDER BY l.place) AS no, l.place, l.explains, l.kpi_id, l.unit_id, l.period,
               l.actual, l.attainment_to_date, l.driver_score, l.score, l.tally, l.own,
               d.grain, d.rollup, d.time_rollup, d.multiplier, d.score_floor, d.score_cap,
               d.driver_rollup, d.result_weight, d.missing_child,
               CASE d.direction WHEN 'lower' THEN -1 ELSE 1 END AS better,
               -- links are looked up once for all periods between two changes
               explain_beneath.structure_days[width_bucket(kpi.last_day(l.period), explain_beneath.structure_days)] AS structure_day
          FROM unnest(level) l
          LEFT JOIN kpi.described_kpi d ON d.kpi_id = l.kpi_id AND d.path_from <= kpi.last_day(l.period)
                                       AND (d.path_to > kpi.last_day(l.period))
         WHERE l.explains IS NOT NULL
    ), link AS MATERIALIZED (
        SELECT d.structure_day, i.child_kpi_id, i.parent_kpi_id, i.contributes, i.weight
          FROM (SELECT a.structure_day, array_agg(DISTINCT a.kpi_id) AS kpi_ids
                  FROM above a WHERE a.kpi_id IS NOT NULL GROUP BY a.structure_day) d
         CROSS JOIN LATERAL kpi.links_in_force(d.structure_day, d.kpi_ids) i
         WHERE i.contributes <> 'aligned'
    ), node AS MATERIALIZED (
        -- what the number is made of: links (own facts and children), pool or mean
        -- (base periods), growth (two years), score (result and drivers), unit (scores)
        SELECT a.*,
               CASE WHEN a.explains <> 'actual' THEN a.explains
                    WHEN i.is_growth THEN 'growth'
                    WHEN a.grain = kpi.grain(a.period) OR i.has_ratio_links OR a.time_rollup = 'last' THEN 'links'
                    ELSE a.time_rollup END AS made_of,
               CASE WHEN a.attainment_to_date IS NOT NULL THEN
                   least(greatest(a.attainment_to_date, a.score_floor), a.score_cap) END AS result,
               -- the result's part in the score: its weight, or all where it is alone
               CASE WHEN a.driver_score IS NULL THEN 1 WHEN a.attainment_to_date IS NULL THEN 0
                    ELSE a.result_weight END AS result_part
          FROM above a
          LEFT JOIN (SELECT l.structure_day, l.parent_kpi_id, bool_or(l.contributes = 'growth') AS is_growth,
                            bool_or(l.contributes IN ('numerator', 'denominator')) AS has_ratio_links
                       FROM link l GROUP BY l.structure_day, l.parent_kpi_id) i
                 ON i.structure_day = a.structure_day AND i.parent_kpi_id = a.kpi_id
    ), source AS (
        SELECT n.no, 0 AS class, n.kpi_id, n.period, NULL AS explains, 'own facts' AS contributes, 1::numeric AS weight
          FROM node n
         WHERE n.made_of = 'links' AND n.own IS NOT NULL
        UNION ALL
        SELECT n.no, CASE i.contributes WHEN 'denominator' THEN 2 ELSE 1 END, i.child_kpi_id, n.period, 'actual', i.contributes, i.weight
          FROM node n
          JOIN link i ON i.structure_day = n.structure_day AND i.parent_kpi_id = n.kpi_id
         WHERE n.made_of = 'links' AND i.contributes IN ('value', 'numerator', 'denominator')
        UNION ALL
        SELECT n.no, 1, n.kpi_id, b.period, 'actual', 'period', 1
          FROM node n
         CROSS JOIN LATERAL kpi.periods(n.period, n.grain) AS b (period)
         WHERE n.made_of IN ('pool', 'mean')
        UNION ALL
        SELECT n.no, y.class, i.child_kpi_id, y.period, 'actual', 'growth', y.weight
          FROM node n
          JOIN link i ON i.structure_day = n.structure_day AND i.parent_kpi_id = n.kpi_id
         CROSS JOIN LATERAL (VALUES (1, n.period, 1), (2, kpi.year_before(n.period), -1)) AS y (class, period, weight)
         WHERE n.made_of = 'growth' AND i.contributes = 'growth' AND y.period IS NOT NULL
        UNION ALL
        SELECT n.no, 0, n.kpi_id, n.period, NULL, 'result', n.result_part
          FROM node n
         WHERE n.made_of = 'score' AND n.result IS NOT NULL
        UNION ALL
        SELECT n.no, 1, i.child_kpi_id, n.period, 'score', 'score', i.weight
          FROM node n
          JOIN link i ON i.structure_day = n.structure_day AND i.parent_kpi_id = n.kpi_id
         WHERE n.made_of = 'score' AND i.contributes = 'score'
        UNION ALL
        SELECT n.no, 1, k.kpi_id, n.period, 'score', 'score', k.weight
          FROM node n
          JOIN kpi.described_kpi k ON k.unit_id = n.unit_id AND k.path_from <= kpi.last_day(n.period) AND k.path_to > kpi.last_day(n.period)
         WHERE n.made_of = 'unit'
    ), cell AS MATERIALIZED (
        SELECT c.*
          FROM (SELECT DISTINCT s.kpi_id, s.period FROM source s) s
          JOIN kpi.current_cell c ON c.kpi_id = s.kpi_id AND c.period OPERATOR(@extschema@.=) s.period
    ), found AS (
        SELECT n.no, n.place AS above, n.made_of, n.rollup, n.multiplier, n.better, n.driver_rollup, n.missing_child,
               n.result, n.result_part, n.actual AS actual_above, n.score AS score_above,
               n.driver_score AS driver_score_above, n.tally AS tally_above,
               s.class, s.kpi_id, s.period, s.contributes, s.weight,
               d.kpi_id IS NULL AS is_hidden, d.unit_id, d.path AS unit, d.measure, d.multiplier AS childs_multiplier,
               CASE WHEN c.kpi_id IS NOT NULL THEN s.explains END AS explains,
               CASE s.contributes WHEN 'own facts' THEN kpi.tally_actual(n.own, n.rollup, n.multiplier) ELSE c.actual END AS actual,
               CASE WHEN s.contributes <> 'own facts' THEN c.target END AS target,
               CASE WHEN s.contributes <> 'own facts' THEN c.attainment_to_date END AS attainment_to_date,
               c.driver_score,
               CASE s.contributes WHEN 'own facts' THEN NULL WHEN 'result' THEN n.result ELSE c.score END AS score,
               CASE WHEN s.contributes <> 'own facts' THEN c.status END AS status,
               CASE s.contributes WHEN 'own facts' THEN n.own ELSE c.tally END AS tally,
               CASE WHEN s.contributes <> 'own facts' THEN c.own END AS own
          FROM node n
          JOIN source s ON s.no = n.no
          LEFT JOIN cell c ON c.kpi_id = s.kpi_id AND c.period OPERATOR(@extschema@.=) s.period
          LEFT JOIN kpi.described_kpi d ON d.kpi_id = s.kpi_id AND d.path_from <= kpi.last_day(s.period)
                                       AND d.path_to > kpi.last_day(s.period)
         WHERE c.kpi_id IS NOT NULL OR s.contributes <> 'period' AND n.made_of <> 'unit'
    ), measured AS (
        SELECT f.*, p.numerator, p.denominator, p.candidate
          FROM found f
         -- strict: nothing is computed for other numbers
          LEFT JOIN LATERAL kpi.like_for_like(CASE f.made_of WHEN 'growth' THEN f.kpi_id END,
                                              CASE f.class WHEN 1 THEN f.period ELSE kpi.year_after(f.period) END) g ON true
         CROSS JOIN LATERAL (
            SELECT CASE
                   WHEN f.made_of = 'growth' THEN CASE f.class WHEN 1 THEN g.actual ELSE -g.actual_before END
                   WHEN f.made_of = 'mean' THEN f.actual
                   WHEN f.contributes = 'score' THEN f.weight * f.score
                   WHEN f.contributes = 'result' THEN NULL
                   WHEN f.contributes = 'numerator' THEN f.weight * f.actual
                   WHEN f.contributes = 'denominator' THEN 0 * f.actual
                   ELSE f.weight * kpi.tally_numerator(f.tally, f.rollup) END AS numerator,
                   CASE
                   WHEN f.made_of = 'growth' THEN CASE f.class WHEN 1 THEN 0 ELSE abs(g.actual_before) END
                   WHEN f.made_of = 'mean' THEN CASE WHEN f.actual IS NOT NULL THEN 1 END
                   WHEN f.contributes = 'score' AND (f.score IS NOT NULL OR f.made_of = 'score' AND f.missing_child = 'zero') THEN f.weight
                   WHEN f.contributes IN ('score', 'result') THEN NULL
                   WHEN f.contributes = 'numerator' THEN 0 * f.actual
                   WHEN f.contributes = 'denominator' THEN f.weight * f.actual
                   ELSE f.weight * kpi.tally_denominator(f.tally, f.rollup) END AS denominator,
                   -- what may decide, where one row does
                   CASE
                   WHEN f.contributes = 'score' AND f.made_of = 'score' AND f.driver_rollup <> 'mean'
                       THEN coalesce(f.score, CASE f.missing_child WHEN 'zero' THEN 0 END)
                   WHEN f.made_of IN ('links', 'pool') AND f.rollup = 'min' THEN kpi.minimum(f.tally)
                   WHEN f.made_of IN ('links', 'pool') AND f.rollup = 'max' THEN kpi.maximum(f.tally) END AS candidate) p
    ), placed AS (
        -- rows that row security hides are one row for each number, the last
        SELECT m.*,
               row_number() OVER siblings AS number,
               bool_or(m.is_hidden) OVER (PARTITION BY m.no) AS has_hidden,
               -- the first of those that decide
               coalesce(row_number() OVER (PARTITION BY m.no, m.candidate =
                                               CASE m.made_of WHEN 'score' THEN m.driver_score_above ELSE m.actual_above END
                                           ORDER BY m.class, m.period, m.unit, m.measure, m.contributes, m.kpi_id) = 1
                        AND m.candidate = CASE m.made_of WHEN 'score' THEN m.driver_score_above ELSE m.actual_above END
                        AND NOT m.is_hidden, false) AS decides,
               -- what the numerators are divided by
               CASE WHEN m.made_of IN ('links', 'pool') THEN kpi.tally_denominator(m.tally_above, m.rollup)
                    WHEN m.made_of = 'score' AND m.driver_rollup = 'mean'
                        THEN coalesce(nullif(sum(coalesce(m.denominator, CASE WHEN m.is_hidden THEN m.weight END)) OVER (PARTITION BY m.no), 0), 1)
                    WHEN m.made_of = 'score' THEN 1
                    ELSE nullif(sum(m.denominator) OVER (PARTITION BY m.no), 0) END AS divisor
          FROM measured m
        WINDOW siblings AS (PARTITION BY m.no ORDER BY m.is_hidden, m.class, m.period, m.unit, m.measure, m.contributes, m.kpi_id)
    ), parted AS (
        -- exact: the contribution, where nothing is rounded; dividend: divisor times
        -- the contribution, where the number above is a rounded quotient
        SELECT p.*,
               CASE WHEN p.made_of IN ('score', 'unit') THEN p.score_above ELSE p.actual_above END AS total,
               CASE WHEN p.made_of NOT IN ('links', 'pool') OR p.is_hidden THEN NULL
                    WHEN p.actual_above IS NULL THEN NULL
                    WHEN p.rollup IN ('min', 'max') THEN CASE WHEN p.decides THEN p.actual_above WHEN p.candidate IS NOT NULL THEN 0 END
                    WHEN p.rollup IN ('sum', 'count', 'none') THEN p.numerator END AS exact,
               CASE WHEN p.is_hidden THEN NULL
                    WHEN p.made_of IN ('links', 'pool') THEN
                        CASE p.rollup WHEN 'ratio' THEN p.multiplier * p.numerator
                                      WHEN 'mean' THEN p.numerator
                                      WHEN 'weighted_mean' THEN p.numerator END
                    WHEN p.made_of = 'growth' THEN p.multiplier * p.numerator
                    WHEN p.made_of IN ('mean', 'unit') THEN p.numerator
                    WHEN p.contributes = 'result' THEN p.result_part * p.result * p.divisor
                    WHEN p.driver_rollup = 'mean' THEN
                        (1 - p.result_part) * coalesce(p.numerator, CASE WHEN p.denominator IS NOT NULL THEN 0 END)
                    WHEN p.decides THEN (1 - p.result_part) * p.candidate
                    WHEN p.candidate IS NOT NULL THEN 0 END AS dividend
          FROM placed p
    ), divided AS (
        -- whole units of the twelfth place, and what is left over
        SELECT p.*, q.units, x.dividend - q.units * x.divisor AS remainder
          FROM parted p
         CROSS JOIN LATERAL (SELECT p.dividend * sign(p.divisor) * 1000000000000 AS dividend,
                                    CASE WHEN p.total IS NOT NULL THEN nullif(abs(p.divisor), 0) END AS divisor) x
         CROSS JOIN LATERAL (SELECT div(x.dividend, x.divisor)
                                    - (x.dividend < div(x.dividend, x.divisor) * x.divisor)::integer AS units) q
    ), ranked AS (
        SELECT r.*,
               row_number() OVER (PARTITION BY r.no ORDER BY r.remainder DESC NULLS LAST, r.number) AS rank,
               count(r.units) OVER (PARTITION BY r.no) AS count,
               r.total * 1000000000000 - sum(r.units) OVER (PARTITION BY r.no) AS missing
          FROM divided r
    ), shared AS (
        SELECT r.*,
               CASE WHEN r.units IS NULL THEN r.exact
                    WHEN r.has_hidden THEN kpi.exact_quotient(r.dividend, r.divisor)
                    ELSE (r.units + floor(r.missing / r.count)
                          + (r.rank <= r.missing - r.count * floor(r.missing / r.count))::integer) * 0.000000000001
                    END AS contribution,
               CASE WHEN r.made_of IN ('score', 'unit') THEN
                        -- what is missing to a score of 1
                        CASE WHEN r.contributes = 'result' THEN r.result_part * (1 - r.result)
                             WHEN r.made_of = 'unit' OR r.driver_rollup = 'mean' THEN
                                 kpi.exact_quotient(CASE WHEN r.made_of = 'score' THEN 1 - r.result_part ELSE 1 END
                                                    * (r.denominator - coalesce(r.numerator, 0)), r.divisor)
                             WHEN r.decides THEN (1 - r.result_part) * (1 - r.candidate)
                             WHEN r.candidate IS NOT NULL THEN 0 END
                    WHEN r.made_of = 'growth' OR r.contributes IN ('own facts', 'denominator') OR r.rollup IN ('min', 'max') AND r.made_of <> 'mean' THEN NULL
                    WHEN r.made_of = 'mean' THEN kpi.exact_quotient(r.better * (r.target - r.actual), r.divisor)
                    WHEN r.contributes = 'numerator' THEN
                        kpi.exact_quotient(r.better * r.multiplier * r.weight * (r.target - coalesce(r.actual, 0)), r.divisor)
                    WHEN r.rollup IN ('sum', 'count', 'none') THEN r.better * r.weight * (r.target - coalesce(r.actual, 0))
                    WHEN r.rollup <> 'ratio' OR r.childs_multiplier = r.multiplier THEN
                        kpi.exact_quotient(r.better * (r.target - r.actual) * r.denominator, r.divisor) END AS shortfall
          FROM ranked r
    )
    SELECT s.above || s.number::integer, s.explains, s.kpi_id, s.unit_id, s.unit, s.measure, s.period, s.contributes,
           s.weight, s.actual, s.target, s.attainment_to_date, s.driver_score, s.score, s.status, s.tally, s.own,
           CASE WHEN s.made_of NOT IN ('links', 'pool') OR s.rollup IN ('mean', 'weighted_mean', 'ratio') THEN trim_scale(s.numerator) END,
           trim_scale(s.denominator), trim_scale(s.contribution), trim_scale(s.shortfall)
      FROM shared s
     WHERE NOT s.is_hidden
    UNION ALL
    SELECT s.above || min(s.number)::integer, NULL, NULL, NULL, NULL, NULL, (array_agg(s.period))[1], 'not shown',
           NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
           trim_scale(min(s.total) - coalesce((SELECT sum(v.contribution) FROM shared v WHERE v.no = s.no AND NOT v.is_hidden), 0)), NULL
      FROM shared s
     WHERE s.is_hidden
     GROUP BY s.no, s.above;
END
$$;
COMMENT ON FUNCTION kpi.explain_beneath(kpi.explained[], date[]) IS 'Internal to kpi.explain(): the rows right beneath those given; structure_days are those of kpi.structure_days()';

CREATE FUNCTION kpi.explain_rows(kpi_id bigint, unit_id bigint, period @extschema@.kpi_period, max_depth integer) RETURNS SETOF kpi.explained
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    days  date[] := kpi.structure_days();
    level kpi.explained[];
BEGIN
    IF explain_rows.kpi_id IS NOT NULL THEN
        level := ARRAY(
            SELECT ROW('{}', CASE WHEN c.actual IS NULL AND c.score IS NOT NULL THEN 'score' ELSE 'actual' END,
                       c.kpi_id, k.unit_id, k.path, k.measure, c.period, NULL, NULL,
                       c.actual, c.target, c.attainment_to_date, c.driver_score, c.score, c.status, c.tally, c.own,
                       CASE WHEN k.rollup IN ('mean', 'weighted_mean', 'ratio') THEN kpi.tally_numerator(c.tally, k.rollup) END,
                       kpi.tally_denominator(c.tally, k.rollup), coalesce(c.actual, c.score),
                       CASE WHEN c.actual IS NULL AND c.score IS NOT NULL THEN trim_scale(1 - c.score)
                            ELSE trim_scale(CASE k.direction WHEN 'lower' THEN c.actual - c.target ELSE c.target - c.actual END)
                       END)::kpi.explained
              FROM kpi.current_cell c
              JOIN kpi.described_kpi k ON k.kpi_id = c.kpi_id AND k.path_from <= kpi.last_day(c.period) AND k.path_to > kpi.last_day(c.period)
             WHERE c.kpi_id = explain_rows.kpi_id AND c.period OPERATOR(@extschema@.=) explain_rows.period);
    ELSE
        level := ARRAY(
            SELECT ROW('{}', 'unit', NULL, s.unit_id, s.unit, NULL, s.period, NULL, NULL,
                       NULL, NULL, NULL, NULL, s.score, s.status, NULL, NULL,
                       t.numerator, t.denominator, s.score, trim_scale(1 - s.score))::kpi.explained
              FROM kpi.unit_score s
             CROSS JOIN LATERAL (SELECT trim_scale(sum(k.weight * c.score)) AS numerator, trim_scale(sum(k.weight)) AS denominator
                                   FROM kpi.described_kpi k
                                   JOIN kpi.current_cell c ON c.kpi_id = k.kpi_id AND c.period OPERATOR(@extschema@.=) s.period
                                  WHERE k.unit_id = s.unit_id AND c.score IS NOT NULL
                                    AND k.path_from <= s.period_end AND k.path_to > s.period_end) t
             WHERE s.unit_id = explain_rows.unit_id AND s.period OPERATOR(@extschema@.=) explain_rows.period);
    END IF;
    FOR depth IN 0 .. coalesce(max_depth, 1000) LOOP
        EXIT WHEN cardinality(level) = 0;
        RETURN QUERY SELECT l.* FROM unnest(level) l;
        EXIT WHEN depth = max_depth OR NOT EXISTS (SELECT FROM unnest(level) l WHERE l.explains IS NOT NULL);
        level := ARRAY(SELECT b FROM kpi.explain_beneath(level, days) b);
    END LOOP;
END
$$;
COMMENT ON FUNCTION kpi.explain_rows(bigint, bigint, @extschema@.kpi_period, integer) IS 'Internal to kpi.explain() and kpi.tree(): the tree under the actual of a KPI, or its score where it has no actual, or, without a KPI, under the score of a unit; in no order';

CREATE FUNCTION kpi.explained_kpi(unit text, measure text, period text, by_path boolean, OUT kpi_id bigint, OUT unit_id bigint, OUT of_period @extschema@.kpi_period)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    rules record;
BEGIN
    IF explained_kpi.period IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = 'no period is given to explain',
            HINT = 'Name it after the measure, or as period => ''2026''.';
    END IF;
    of_period := explained_kpi.period::@extschema@.kpi_period;
    IF explained_kpi.measure IS NULL THEN
        unit_id := CASE WHEN by_path THEN kpi.unit_id(explained_kpi.unit::@extschema@.kpi_path) ELSE kpi.unit_id(explained_kpi.unit) END;
        RETURN;
    END IF;
    SELECT e.kpi_id, e.grain, e.fiscal_start INTO rules FROM kpi.entry_kpi(explained_kpi.unit, explained_kpi.measure, by_path) e;
    IF NOT kpi.is_target_period(of_period, rules.grain::@extschema@.kpi_grain, rules.fiscal_start) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('measure "%s" has no numbers in a period such as "%s"', explained_kpi.measure, explained_kpi.period),
            HINT = format('It is kept by %s%s; take such a period or a coarser one.', rules.grain,
                          CASE WHEN rules.fiscal_start <> 1 THEN ' in years that start in month ' || rules.fiscal_start ELSE '' END);
    END IF;
    kpi_id := rules.kpi_id;
END
$$;
COMMENT ON FUNCTION kpi.explained_kpi(text, text, text, boolean) IS 'Internal to kpi.explain() and kpi.tree(): what is asked for. Errors: 22004 without a period, 22023 for a period the measure has no numbers in, 42704 for an unknown unit or KPI';

CREATE TYPE kpi.explanation AS (
    depth        integer,
    unit         @extschema@.kpi_path,
    measure      text,
    contributes  text,
    weight       numeric,
    actual       numeric,
    target       numeric,
    score        numeric,
    numerator    numeric,
    denominator  numeric,
    contribution numeric,
    shortfall    numeric,
    period       @extschema@.kpi_period,
    status       @extschema@.kpi_status,
    place        integer[]
);
COMMENT ON TYPE kpi.explanation IS 'A row of kpi.explain()';
COMMENT ON COLUMN kpi.explanation.depth IS 'How far beneath the number explained, which is at 0';
COMMENT ON COLUMN kpi.explanation.unit IS 'Path of the unit on the last day of the period';
COMMENT ON COLUMN kpi.explanation.measure IS 'Code of the measure; null for a unit''s score';
COMMENT ON COLUMN kpi.explanation.contributes IS 'How the row counts in the one above: value, numerator, denominator, growth, score, own facts, period, result or not shown; null at depth 0';
COMMENT ON COLUMN kpi.explanation.weight IS 'With which weight: of the link, of the KPI in its unit''s score, of the result in the score';
COMMENT ON COLUMN kpi.explanation.actual IS 'The row''s own actual';
COMMENT ON COLUMN kpi.explanation.target IS 'The row''s own target';
COMMENT ON COLUMN kpi.explanation.score IS 'The row''s own score';
COMMENT ON COLUMN kpi.explanation.numerator IS 'Its share of the numerator of the number above, where that is a quotient; at depth 0 the numerator itself';
COMMENT ON COLUMN kpi.explanation.denominator IS 'Its share of the denominator';
COMMENT ON COLUMN kpi.explanation.contribution IS 'Its part of the number above; at depth 0 the number explained';
COMMENT ON COLUMN kpi.explanation.shortfall IS 'What the number above lacks because this row does not meet its target; at depth 0 the gap to the target';
COMMENT ON COLUMN kpi.explanation.period IS 'The period';
COMMENT ON COLUMN kpi.explanation.status IS 'The row''s status';
COMMENT ON COLUMN kpi.explanation.place IS 'Number of the row among its siblings, after those of its ancestors: the display order; empty at depth 0';

CREATE FUNCTION kpi.explain(
    unit text, measure text DEFAULT NULL, period text DEFAULT NULL, max_depth integer DEFAULT NULL)
    RETURNS SETOF kpi.explanation
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT cardinality(r.place), r.unit, r.measure, r.contributes, r.weight, r.actual, r.target, r.score,
           r.numerator, r.denominator, r.contribution, r.shortfall, r.period, r.status, r.place
      FROM kpi.explained_kpi(explain.unit, explain.measure, explain.period, false) k
     CROSS JOIN LATERAL kpi.explain_rows(k.kpi_id, k.unit_id, k.of_period, explain.max_depth) r
     ORDER BY r.place;
END
$$;
COMMENT ON FUNCTION kpi.explain(text, text, text, integer) IS
'Takes a number apart, down to the facts: one row per number and contribution, in display order, depth 0 being the number itself. unit is a path or a unit code. With a measure it explains the KPI''s actual in the period (its score where there is only that), without one the unit''s score. The contributions of the rows right beneath a row add up exactly to its actual, or to its score where contributes is score or the unit''s score is explained; rounding differences go to the largest remainders, ties by path. contributes: value, numerator or denominator (a child over such a link), own facts, period (a base period beneath a coarser actual; where section "What the numbers mean" takes children at the coarser period they are there instead), growth (this year, and a year before with weight -1), score (a child''s score, or a KPI''s in its unit''s score), result (the attainment to date within floor and cap, beneath a score), not shown (all that row security hides). numerator and denominator: the row''s share of those of the number above, where that is a quotient. For min, max and worst of, the row that decides contributes all, the others 0. shortfall: what the number above lacks, in its own unit, because this row does not meet its target, negative where it does better: weight times (target - actual) in a sum, that times the share of the denominator in a quotient, the part missing to a score of 1 in a score; at depth 0 target - actual; the other way round where lower is better; null where it cannot be said (min, max, growth, denominators, own facts). max_depth stops at that depth. Errors: 42704 for an unknown unit or KPI, 22023 for a period the measure has no numbers in, 22004 without a period';

CREATE FUNCTION kpi.explain(
    unit text, measure text DEFAULT NULL, period @extschema@.kpi_period DEFAULT NULL, max_depth integer DEFAULT NULL)
    RETURNS SETOF kpi.explanation
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT cardinality(r.place), r.unit, r.measure, r.contributes, r.weight, r.actual, r.target, r.score,
           r.numerator, r.denominator, r.contribution, r.shortfall, r.period, r.status, r.place
      FROM kpi.explained_kpi(explain.unit, explain.measure, explain.period::text, false) k
     CROSS JOIN LATERAL kpi.explain_rows(k.kpi_id, k.unit_id, k.of_period, explain.max_depth) r
     ORDER BY r.place;
END
$$;
COMMENT ON FUNCTION kpi.explain(text, text, @extschema@.kpi_period, integer) IS
'As kpi.explain(text, text, text, integer)';

CREATE FUNCTION kpi.explain(
    unit @extschema@.kpi_path, measure text DEFAULT NULL, period text DEFAULT NULL, max_depth integer DEFAULT NULL)
    RETURNS SETOF kpi.explanation
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT cardinality(r.place), r.unit, r.measure, r.contributes, r.weight, r.actual, r.target, r.score,
           r.numerator, r.denominator, r.contribution, r.shortfall, r.period, r.status, r.place
      FROM kpi.explained_kpi(explain.unit::text, explain.measure, explain.period, true) k
     CROSS JOIN LATERAL kpi.explain_rows(k.kpi_id, k.unit_id, k.of_period, explain.max_depth) r
     ORDER BY r.place;
END
$$;
COMMENT ON FUNCTION kpi.explain(@extschema@.kpi_path, text, text, integer) IS
'As kpi.explain(text, text, text, integer), with the unit by path only';

CREATE FUNCTION kpi.explain(
    unit @extschema@.kpi_path, measure text DEFAULT NULL, period @extschema@.kpi_period DEFAULT NULL, max_depth integer DEFAULT NULL)
    RETURNS SETOF kpi.explanation
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT cardinality(r.place), r.unit, r.measure, r.contributes, r.weight, r.actual, r.target, r.score,
           r.numerator, r.denominator, r.contribution, r.shortfall, r.period, r.status, r.place
      FROM kpi.explained_kpi(explain.unit::text, explain.measure, explain.period::text, true) k
     CROSS JOIN LATERAL kpi.explain_rows(k.kpi_id, k.unit_id, k.of_period, explain.max_depth) r
     ORDER BY r.place;
END
$$;
COMMENT ON FUNCTION kpi.explain(@extschema@.kpi_path, text, @extschema@.kpi_period, integer) IS
'As kpi.explain(text, text, text, integer), with the unit by path only';

-- ---------------------------------------------------------------- tree

CREATE FUNCTION kpi.readable_number(number numeric) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(trim_scale(round(number, CASE WHEN abs(number) < 1 THEN 4 ELSE 2 END))::text, '')
$$;
COMMENT ON FUNCTION kpi.readable_number(numeric) IS 'Internal to kpi.tree(): a number for people, with two places, or four below 1';

CREATE FUNCTION kpi.tree_rows(kpi_id bigint, unit_id bigint, period @extschema@.kpi_period, max_depth integer) RETURNS SETOF text
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
    WITH explained AS MATERIALIZED (
        SELECT r.*, coalesce(cardinality(r.place), 0) AS depth,
               r.place[:cardinality(r.place) - 1] AS above
          FROM kpi.explain_rows(tree_rows.kpi_id, tree_rows.unit_id, tree_rows.period, tree_rows.max_depth) r
    ), drawn AS (
        -- what a row is called beside the one above it: only what differs
        SELECT e.place, e.depth,
               CASE WHEN e.depth = 0 THEN concat_ws(' ', e.unit::text, e.measure, e.period::text)
                    WHEN e.contributes IN ('own facts', 'result', 'not shown') THEN e.contributes
                    WHEN e.contributes = 'period' THEN e.period::text
                    ELSE concat_ws(' ',
                        CASE WHEN e.unit OPERATOR(@extschema@.=) a.unit THEN NULL
                             WHEN e.unit OPERATOR(@extschema@.<@) a.unit
                                 THEN kpi.subpath(e.unit, kpi.depth(a.unit) + 1, kpi.depth(e.unit))::text
                             ELSE e.unit::text END,
                        CASE WHEN e.measure IS DISTINCT FROM a.measure OR e.unit OPERATOR(@extschema@.=) a.unit THEN e.measure END,
                        CASE WHEN e.period OPERATOR(@extschema@.<>) a.period THEN e.period::text END,
                        CASE WHEN e.contributes IN ('numerator', 'denominator') THEN '(' || e.contributes || ')' END)
                    END
               || CASE WHEN e.weight <> 1 AND e.contributes NOT IN ('growth', 'result') THEN ' x ' || trim_scale(e.weight) ELSE '' END AS name,
               e.explains IN ('score', 'unit') OR e.contributes = 'result' AS is_score,
               e.actual, e.target, e.score, e.attainment_to_date,
               CASE WHEN e.contributes NOT IN ('own facts', 'result') OR e.contributes IS NULL THEN coalesce(e.status::text, 'no_data') ELSE '' END AS status
          FROM explained e
          LEFT JOIN explained a ON a.place = e.above AND e.depth > 0
         -- alone they say no more than the row above
         WHERE coalesce(e.contributes, '') NOT IN ('own facts', 'result') OR EXISTS (
                   SELECT FROM explained s WHERE s.above = e.above AND s.depth = e.depth AND s.place <> e.place)
    ), line AS (
        SELECT 0 AS part, '{}'::integer[] AS place, ''::text AS name, 'actual' AS actual, 'target' AS target,
               'attained' AS attained, '' AS bar, '' AS status
        UNION ALL
        SELECT 1, d.place, repeat('  ', d.depth) || d.name,
               kpi.readable_number(d.actual), kpi.readable_number(d.target),
               -- cut off, so that no 100% is at risk
               coalesce(floor(100 * f.attained)::text || '%', ''),
               CASE WHEN f.attained IS NULL THEN ''
                    ELSE rpad(repeat('#', least(greatest(floor(10 * f.attained), 0), 10)::integer), 10, '.') END,
               d.status
          FROM drawn d
         CROSS JOIN LATERAL (SELECT CASE WHEN d.is_score THEN d.score ELSE d.attainment_to_date END AS attained) f
    ), width AS (
        SELECT max(length(l.name)) AS name, max(length(l.actual)) AS actual, max(length(l.target)) AS target,
               max(length(l.attained)) AS attained
          FROM line l
        HAVING count(*) > 1
    )
    SELECT rtrim(concat(rpad(l.name, w.name), '  ', lpad(l.actual, w.actual), '  ', lpad(l.target, w.target), '  ',
                        lpad(l.attained, w.attained), '  ', rpad(l.bar, 10), '  ', l.status))
      FROM line l CROSS JOIN width w
     ORDER BY l.part, l.place
$$;
COMMENT ON FUNCTION kpi.tree_rows(bigint, bigint, @extschema@.kpi_period, integer) IS 'Internal to kpi.tree(): the lines';

CREATE FUNCTION kpi.tree(
    unit text, measure text DEFAULT NULL, period text DEFAULT NULL, max_depth integer DEFAULT NULL)
    RETURNS SETOF text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT r
      FROM kpi.explained_kpi(tree.unit, tree.measure, tree.period, false) k
     CROSS JOIN LATERAL kpi.tree_rows(k.kpi_id, k.unit_id, k.of_period, tree.max_depth) WITH ORDINALITY AS t (r, number)
     ORDER BY t.number;
END
$$;
COMMENT ON FUNCTION kpi.tree(text, text, text, integer) IS
'Draws what kpi.explain() finds as lines of text for a terminal: an indented tree with actual, target, attainment to date (of a score: the score) in per cent and as a bar of ten, and the status, in aligned columns; numbers are rounded to two places. A row is called by what differs from the one above: the rest of the unit''s path, the measure, the period, a weight. Own facts and results are left out where they are all there is. Arguments and errors are those of kpi.explain()';

CREATE FUNCTION kpi.tree(
    unit text, measure text DEFAULT NULL, period @extschema@.kpi_period DEFAULT NULL, max_depth integer DEFAULT NULL)
    RETURNS SETOF text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT r
      FROM kpi.explained_kpi(tree.unit, tree.measure, tree.period::text, false) k
     CROSS JOIN LATERAL kpi.tree_rows(k.kpi_id, k.unit_id, k.of_period, tree.max_depth) WITH ORDINALITY AS t (r, number)
     ORDER BY t.number;
END
$$;
COMMENT ON FUNCTION kpi.tree(text, text, @extschema@.kpi_period, integer) IS
'As kpi.tree(text, text, text, integer)';

CREATE FUNCTION kpi.tree(
    unit @extschema@.kpi_path, measure text DEFAULT NULL, period text DEFAULT NULL, max_depth integer DEFAULT NULL)
    RETURNS SETOF text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT r
      FROM kpi.explained_kpi(tree.unit::text, tree.measure, tree.period, true) k
     CROSS JOIN LATERAL kpi.tree_rows(k.kpi_id, k.unit_id, k.of_period, tree.max_depth) WITH ORDINALITY AS t (r, number)
     ORDER BY t.number;
END
$$;
COMMENT ON FUNCTION kpi.tree(@extschema@.kpi_path, text, text, integer) IS
'As kpi.tree(text, text, text, integer), with the unit by path only';

CREATE FUNCTION kpi.tree(
    unit @extschema@.kpi_path, measure text DEFAULT NULL, period @extschema@.kpi_period DEFAULT NULL, max_depth integer DEFAULT NULL)
    RETURNS SETOF text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT r
      FROM kpi.explained_kpi(tree.unit::text, tree.measure, tree.period::text, true) k
     CROSS JOIN LATERAL kpi.tree_rows(k.kpi_id, k.unit_id, k.of_period, tree.max_depth) WITH ORDINALITY AS t (r, number)
     ORDER BY t.number;
END
$$;
COMMENT ON FUNCTION kpi.tree(@extschema@.kpi_path, text, @extschema@.kpi_period, integer) IS
'As kpi.tree(text, text, text, integer), with the unit by path only';
