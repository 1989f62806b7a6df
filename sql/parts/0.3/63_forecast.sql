-- What a running period will end at, what it still takes, and its pace.  All of
-- it runs with the caller's rights, over views that row security limits.

CREATE VIEW kpi.steered_kpi AS
SELECT k.kpi_id, m.scoring, m.direction, m.rollup, m.time_rollup, m.multiplier, m.grain, m.fiscal_start,
       coalesce(greatest(k.valid_from, u.valid_from), '-infinity') AS alive_from,
       coalesce(least(k.valid_to, u.valid_to), 'infinity') AS alive_to,
       (SELECT array_agg(daterange(x.valid_from, x.valid_to))
          FROM kpi.explicit_link x
         WHERE x.parent_kpi_id = k.kpi_id AND x.contributes = 'growth') AS growth_days
  FROM kpi.kpi k
  JOIN kpi.unit u ON u.unit_id = k.unit_id
  JOIN kpi.measure m ON m.measure_id = k.measure_id
 WHERE CASE WHEN (SELECT kpi.row_security_applies()) THEN k.unit_id IN (SELECT v.unit_id FROM kpi.visible_units() v (unit_id)) ELSE true END;
COMMENT ON VIEW kpi.steered_kpi IS 'Internal to kpi.forecast() and kpi.pace: the rules of each KPI and when it is alive';
COMMENT ON COLUMN kpi.steered_kpi.kpi_id IS 'The KPI';
COMMENT ON COLUMN kpi.steered_kpi.scoring IS 'Rule of the measure: ratio, progress, range, step or curve';
COMMENT ON COLUMN kpi.steered_kpi.direction IS 'Rule of the measure: higher or lower';
COMMENT ON COLUMN kpi.steered_kpi.rollup IS 'Rule of the measure: sum, mean, weighted_mean, ratio, min, max, count or none';
COMMENT ON COLUMN kpi.steered_kpi.time_rollup IS 'Rule of the measure: pool, last or mean';
COMMENT ON COLUMN kpi.steered_kpi.multiplier IS 'Rule of the measure: factor of a ratio or a growth';
COMMENT ON COLUMN kpi.steered_kpi.grain IS 'Grain of the base periods';
COMMENT ON COLUMN kpi.steered_kpi.fiscal_start IS 'Month in which the fiscal year starts';
COMMENT ON COLUMN kpi.steered_kpi.alive_from IS 'First day of the KPI, -infinity for open';
COMMENT ON COLUMN kpi.steered_kpi.alive_to IS 'First day on which it is no more, infinity for open';
COMMENT ON COLUMN kpi.steered_kpi.growth_days IS 'On which days it is the growth of another; null for never';

CREATE VIEW kpi.current_target AS
SELECT t.kpi_id, t.period, kpi.target_fields(t.value, t.baseline, t.low, t.high, t.points) AS target
  FROM kpi.target t
  JOIN kpi.kpi k ON k.kpi_id = t.kpi_id
  JOIN kpi.unit u ON u.unit_id = k.unit_id
  JOIN kpi.measure m ON m.measure_id = k.measure_id
 WHERE (m.targets_count_from IN ('proposed', t.state) OR t.state = 'final')
   AND kpi.last_day(t.period) >= coalesce(greatest(k.valid_from, u.valid_from), '-infinity')
   AND kpi.last_day(t.period) < coalesce(least(k.valid_to, u.valid_to), 'infinity')
   AND CASE WHEN (SELECT kpi.row_security_applies()) THEN k.unit_id IN (SELECT v.unit_id FROM kpi.visible_units() v (unit_id)) ELSE true END;
COMMENT ON VIEW kpi.current_target IS 'Internal to kpi.forecast() and kpi.pace: explicit targets that count, of periods in which the KPI is alive';
COMMENT ON COLUMN kpi.current_target.kpi_id IS 'The KPI';
COMMENT ON COLUMN kpi.current_target.period IS 'The period';
COMMENT ON COLUMN kpi.current_target.target IS 'The target with all its fields';

CREATE FUNCTION kpi.target_of(kpi_id bigint, period @extschema@.kpi_period, grain @extschema@.kpi_grain, alive_from date, alive_to date, how text)
    RETURNS kpi.recompute_target
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(
        (SELECT t.target FROM kpi.current_target t
          WHERE t.kpi_id = target_of.kpi_id AND t.period OPERATOR(@extschema@.=) target_of.period),
        -- derived from the coarsest finer grain of which every living period has one
        (SELECT kpi.derived_target(d.targets, target_of.how)
           FROM (SELECT kpi.grain(t.period) AS grain, array_agg(t.target ORDER BY kpi.last_day(t.period)) AS targets
                   FROM kpi.current_target t
                  WHERE t.kpi_id = target_of.kpi_id AND t.period OPERATOR(@extschema@.<@) target_of.period
                    AND kpi.grain(t.period) < kpi.grain(target_of.period)
                    AND (kpi.grain(t.period) <> 'week' OR target_of.grain = 'week')
                  GROUP BY kpi.grain(t.period)) d
          WHERE cardinality(d.targets) = (SELECT count(*) FROM kpi.periods(target_of.period, d.grain) AS p (period)
                                           WHERE kpi.last_day(p.period) >= target_of.alive_from AND kpi.last_day(p.period) < target_of.alive_to)
          ORDER BY d.grain DESC LIMIT 1))
$$;
COMMENT ON FUNCTION kpi.target_of(bigint, @extschema@.kpi_period, @extschema@.kpi_grain, date, date, text) IS 'Internal to kpi.forecast(): the target of a KPI in a period with all its fields, explicit or derived; how is sum, last, min, max or mean';

-- ---------------------------------------------------------------- forecast

CREATE FUNCTION kpi.projected(method text, known numeric[], earlier numeric[], last_year numeric[]) RETURNS numeric[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- known, of the base periods so far; last_year, of all a year before; nulls where nothing is known
    elapsed constant integer := cardinality(known);
    n       constant integer := cardinality(last_year);
    this    record;
BEGIN
    CASE method
    WHEN 'run_rate' THEN
        SELECT kpi.exact_quotient(sum(k), count(k)) AS mean INTO this FROM unnest(known) k;
        RETURN CASE WHEN this.mean IS NOT NULL THEN array_fill(this.mean, ARRAY[n - elapsed]) END;
    WHEN 'linear' THEN
        SELECT count(*) AS n, sum(v.x) AS x, sum(v.y) AS y, sum(v.x * v.x) AS xx, sum(v.x * v.y) AS xy INTO this
          FROM (SELECT (k.i)::numeric AS x, k.y FROM unnest(known) WITH ORDINALITY k (y, i)
                UNION ALL
                SELECT e.i - cardinality(earlier), e.y FROM unnest(earlier) WITH ORDINALITY e (y, i)) v
         WHERE v.y IS NOT NULL;
        RETURN CASE WHEN this.n >= 3 THEN
            ARRAY(SELECT kpi.exact_quotient(this.y * this.xx - this.x * this.xy + x * (this.n * this.xy - this.x * this.y),
                                            this.n * this.xx - this.x * this.x)
                    FROM generate_series(elapsed + 1, n) x ORDER BY x) END;
    WHEN 'seasonal' THEN
        SELECT sum(k.y) AS now, nullif(sum(b.y), 0) AS before INTO this
          FROM unnest(known) WITH ORDINALITY k (y, i)
          JOIN unnest(last_year) WITH ORDINALITY b (y, i) ON b.i = k.i
         WHERE k.y IS NOT NULL AND b.y IS NOT NULL;
        RETURN CASE WHEN this.before IS NOT NULL AND array_position(last_year[elapsed + 1:], NULL) IS NULL THEN
            ARRAY(SELECT kpi.exact_quotient(b.y * this.now, this.before)
                    FROM unnest(last_year[elapsed + 1:]) WITH ORDINALITY b (y, i) ORDER BY b.i) END;
    END CASE;
END
$$;
COMMENT ON FUNCTION kpi.projected(text, numeric[], numeric[], numeric[]) IS 'Internal to kpi.forecast(): the values of the base periods that remain; null where too little is known';

CREATE TYPE kpi.forecast_row AS (
    unit                @extschema@.kpi_path,
    measure             text,
    period              @extschema@.kpi_period,
    method              text,
    actual              numeric,
    target              numeric,
    expected            numeric,
    expected_attainment numeric,
    remaining           integer,
    needed              numeric,
    basis               text
);
COMMENT ON TYPE kpi.forecast_row IS 'The row of kpi.forecast()';
COMMENT ON COLUMN kpi.forecast_row.unit IS 'Path of the unit on the last day of the period';
COMMENT ON COLUMN kpi.forecast_row.measure IS 'Code of the measure';
COMMENT ON COLUMN kpi.forecast_row.period IS 'The period';
COMMENT ON COLUMN kpi.forecast_row.method IS 'run_rate, linear or seasonal';
COMMENT ON COLUMN kpi.forecast_row.actual IS 'What the base periods so far add up to, of a stock the last known of each one beneath; null where there is none';
COMMENT ON COLUMN kpi.forecast_row.target IS 'The target of the whole period';
COMMENT ON COLUMN kpi.forecast_row.expected IS 'The actual to expect at the end of the period; null where basis says what is missing';
COMMENT ON COLUMN kpi.forecast_row.expected_attainment IS 'Its attainment of the target, neither floored nor capped';
COMMENT ON COLUMN kpi.forecast_row.remaining IS 'How many base periods are still to come';
COMMENT ON COLUMN kpi.forecast_row.needed IS 'What each of them must bring to reach the target; negative where the target has been passed; null where none remains, there is no target, or basis says why';
COMMENT ON COLUMN kpi.forecast_row.basis IS 'From what the forecast was made, or what is missing';

CREATE FUNCTION kpi.forecast_of(kpi_id bigint, period @extschema@.kpi_period, method text, as_of date, of_child boolean) RETURNS kpi.forecast_row
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    rules     record;
    link      record;
    child     kpi.forecast_row;
    result    kpi.forecast_row;
    aim       kpi.recompute_target;
    b         @extschema@.kpi_period[];
    n         integer;
    j         integer;
    -- what adds up: of quotients the numerators and denominators, else the actuals
    known     numeric[];
    weights   numeric[];
    earlier   numeric[];
    earlier_weights numeric[];
    before    numeric[];
    before_weights  numeric[];
    ahead     numeric[];
    ahead_weights   numeric[];
    is_quotient boolean;
    total     numeric;
    total_weight    numeric;
    counted   integer;
    is_growth   boolean := false;
    is_computed boolean := false;
    why       text;
    how       text;
    needless  text;
BEGIN
    SELECT s.*, d.path, d.measure INTO rules
      FROM kpi.steered_kpi s
      JOIN kpi.described_kpi d ON d.kpi_id = s.kpi_id AND d.path_from <= kpi.last_day(forecast_of.period) AND d.path_to > kpi.last_day(forecast_of.period)
     WHERE s.kpi_id = forecast_of.kpi_id;
    IF NOT FOUND THEN
        result.basis := 'a KPI that it is computed from is not to be seen';
        RETURN result;
    END IF;
    result.unit := rules.path;
    result.measure := rules.measure;
    result.period := forecast_of.period;
    result.method := forecast_of.method;
    b := ARRAY(SELECT p FROM kpi.periods(forecast_of.period, rules.grain) p
                WHERE kpi.last_day(p) >= rules.alive_from AND kpi.last_day(p) < rules.alive_to ORDER BY p);
    n := cardinality(b);
    IF n = 0 THEN
        result.basis := format('the KPI is not alive in %s', forecast_of.period);
        RETURN result;
    END IF;
    SELECT coalesce(bool_or(l.contributes = 'growth'), false), coalesce(bool_or(l.contributes IN ('numerator', 'denominator')), false)
      INTO is_growth, is_computed
      FROM kpi.links_in_force(kpi.last_day(forecast_of.period), ARRAY[forecast_of.kpi_id]) l;
    how := CASE WHEN rules.rollup IN ('sum', 'count', 'none') AND rules.time_rollup = 'pool' AND NOT is_growth THEN 'sum'
                WHEN rules.time_rollup = 'last' THEN 'last'
                WHEN rules.rollup IN ('min', 'max') THEN rules.rollup
                ELSE 'mean' END;
    aim := kpi.target_of(forecast_of.kpi_id, forecast_of.period, rules.grain, rules.alive_from, rules.alive_to, how);
    result.target := trim_scale((aim).value);
    is_quotient := rules.time_rollup = 'pool' AND rules.rollup IN ('mean', 'weighted_mean', 'ratio');

    -- the base periods of the period, then up to a dozen before them, then a year before
    j := (SELECT max(o.i) FROM unnest(b) WITH ORDINALITY o (p, i)
            JOIN kpi.current_cell c ON c.kpi_id = forecast_of.kpi_id AND c.period OPERATOR(@extschema@.=) o.p
           WHERE c.actual IS NOT NULL AND kpi.last_day(o.p) <= coalesce(as_of, 'infinity'));
    SELECT array_agg(v.amount ORDER BY v.i) FILTER (WHERE v.part = 'now' AND v.i <= j), array_agg(v.weight ORDER BY v.i) FILTER (WHERE v.part = 'now' AND v.i <= j),
           array_agg(v.amount ORDER BY v.i) FILTER (WHERE v.part = 'earlier'), array_agg(v.weight ORDER BY v.i) FILTER (WHERE v.part = 'earlier'),
           array_agg(v.amount ORDER BY v.i) FILTER (WHERE v.part = 'before'), array_agg(v.weight ORDER BY v.i) FILTER (WHERE v.part = 'before')
      INTO known, weights, earlier, earlier_weights, before, before_weights
      FROM (SELECT w.part, w.i,
                   CASE WHEN is_quotient THEN kpi.tally_numerator(c.tally, rules.rollup) ELSE c.actual END AS amount,
                   CASE WHEN is_quotient THEN kpi.tally_denominator(c.tally, rules.rollup) END AS weight
              FROM (SELECT 'now' AS part, o.i, o.p FROM unnest(b) WITH ORDINALITY o (p, i)
                    UNION ALL
                    SELECT 'earlier', -i, CASE WHEN kpi.first_day(b[1]) >= '0014-01-01' THEN b[1] OPERATOR(@extschema@.-) i END
                      FROM generate_series(1, greatest(12, n) - coalesce(j, 0)) i
                    UNION ALL
                    SELECT 'before', o.i, kpi.year_before(o.p) FROM unnest(b) WITH ORDINALITY o (p, i)) w
              LEFT JOIN kpi.current_cell c ON c.kpi_id = forecast_of.kpi_id AND c.period OPERATOR(@extschema@.=) w.p AND c.actual IS NOT NULL
                                          -- those of the period are cut at j
                                          AND (w.part = 'now' OR kpi.last_day(w.p) <= coalesce(as_of, 'infinity'))) v;
    known := coalesce(known, '{}');
    weights := coalesce(weights, '{}');
    IF rules.time_rollup = 'last' AND j IS NOT NULL AND as_of IS NULL AND NOT is_growth AND NOT is_computed THEN
        -- each one beneath with its last known stock, also those that have said nothing in the last base period
        known[j] := coalesce((SELECT c.actual FROM kpi.current_cell c
                               WHERE c.kpi_id = forecast_of.kpi_id AND c.period OPERATOR(@extschema@.=) forecast_of.period), known[j]);
    END IF;
    result.remaining := n - coalesce(j, 0);
    SELECT sum(k), count(k) INTO total, counted FROM unnest(known) k;
    total_weight := (SELECT sum(w) FROM unnest(weights) w);

    IF j = n AND as_of IS NULL THEN
        result.actual := (SELECT c.actual FROM kpi.current_cell c
                           WHERE c.kpi_id = forecast_of.kpi_id AND c.period OPERATOR(@extschema@.=) forecast_of.period);
    ELSIF is_growth OR is_computed THEN
        -- the number of the whole period so far is made of its children's
        result.actual := CASE WHEN as_of IS NULL THEN
            (SELECT c.actual FROM kpi.current_cell c
              WHERE c.kpi_id = forecast_of.kpi_id AND c.period OPERATOR(@extschema@.=) forecast_of.period) END;
    ELSE
        result.actual := trim_scale(CASE
            WHEN is_quotient THEN kpi.exact_quotient(CASE rules.rollup WHEN 'ratio' THEN rules.multiplier ELSE 1 END * total, total_weight)
            WHEN rules.time_rollup = 'last' THEN known[j]
            WHEN rules.time_rollup = 'mean' THEN kpi.exact_quotient(total, counted)
            WHEN rules.rollup = 'min' THEN (SELECT min(k) FROM unnest(known) k)
            WHEN rules.rollup = 'max' THEN (SELECT max(k) FROM unnest(known) k)
            ELSE total END);
    END IF;

    IF result.remaining = 0 AND result.actual IS NOT NULL THEN
        result.expected := result.actual;
        result.basis := 'nothing remains: every base period has an actual';
    ELSIF is_growth THEN
        needless := 'see the forecast of what grows for what is needed';
        SELECT l.child_kpi_id INTO link
          FROM kpi.links_in_force(kpi.last_day(forecast_of.period), ARRAY[forecast_of.kpi_id]) l WHERE l.contributes = 'growth';
        child := kpi.forecast_of(link.child_kpi_id, forecast_of.period, forecast_of.method, as_of, true);
        total := (SELECT c.actual FROM kpi.current_cell c
                   WHERE c.kpi_id = link.child_kpi_id AND c.period OPERATOR(@extschema@.=) kpi.year_before(forecast_of.period)
                     -- all of last year, or there is no like for like
                     AND NOT EXISTS (SELECT FROM unnest(b) p
                                       LEFT JOIN kpi.current_cell o ON o.kpi_id = link.child_kpi_id AND o.period OPERATOR(@extschema@.=) kpi.year_before(p)
                                      WHERE o.actual IS NULL));
        result.expected := kpi.exact_quotient(rules.multiplier * (child.expected - total), abs(total));
        result.basis := CASE WHEN child.expected IS NULL THEN format('no forecast of what grows: %s', child.basis)
                             WHEN total IS NULL THEN 'not every base period has an actual a year before'
                             WHEN result.expected IS NULL THEN 'what grows was 0 a year before'
                             ELSE format('growth over %s of what is expected: %s', trim_scale(total), child.basis) END;
    ELSIF is_computed THEN
        needless := 'see their forecasts for what is needed';
        total := 0;
        total_weight := 0;
        FOR link IN
            SELECT l.child_kpi_id, l.contributes, l.weight
              FROM kpi.links_in_force(kpi.last_day(forecast_of.period), ARRAY[forecast_of.kpi_id]) l
             WHERE l.contributes IN ('value', 'numerator', 'denominator')
             ORDER BY l.contributes DESC, l.child_kpi_id
        LOOP
            IF link.contributes = 'value' THEN
                why := 'it also takes values of other KPIs';
                EXIT;
            END IF;
            child := kpi.forecast_of(link.child_kpi_id, forecast_of.period, forecast_of.method, as_of, true);
            IF child.expected IS NULL THEN
                why := format('no forecast of its %s%s: %s', link.contributes, coalesce(' ' || child.measure, ''), child.basis);
                EXIT;
            ELSIF link.contributes = 'numerator' THEN
                total := total + link.weight * child.expected;
            ELSE
                total_weight := total_weight + link.weight * child.expected;
            END IF;
            result.basis := concat_ws('; ', result.basis, format('%s %s (%s)', child.measure, child.expected, child.basis));
        END LOOP;
        IF why IS NULL AND EXISTS (SELECT FROM unnest(b) p JOIN kpi.current_cell c ON c.kpi_id = forecast_of.kpi_id AND c.period OPERATOR(@extschema@.=) p
                                    WHERE c.own IS NOT NULL) THEN
            why := 'it also has facts of its own';
        END IF;
        IF why IS NULL THEN
            result.expected := kpi.exact_quotient(rules.multiplier * total, total_weight);
            why := CASE WHEN result.expected IS NULL THEN 'its denominator is expected to be 0' END;
        END IF;
        result.basis := coalesce(why, 'computed from what is expected of ' || result.basis);
    ELSE
        ahead := CASE WHEN rules.time_rollup = 'last' AND forecast_of.method = 'run_rate' AND j IS NOT NULL THEN array_fill(known[j], ARRAY[n - j])
                      ELSE kpi.projected(forecast_of.method, known, earlier, before) END;
        IF is_quotient THEN
            ahead_weights := kpi.projected(forecast_of.method, weights, earlier_weights, before_weights);
        END IF;
        IF ahead IS NULL OR is_quotient AND ahead_weights IS NULL THEN
            result.basis := CASE forecast_of.method
                WHEN 'run_rate' THEN format('no base period of %s has an actual yet', forecast_of.period)
                WHEN 'linear' THEN format('a line needs 3 actuals in %s or the base periods before, and there are %s', forecast_of.period,
                                          (SELECT count(*) FROM unnest(known || earlier) v WHERE v IS NOT NULL))
                ELSE CASE WHEN j IS NULL THEN format('no base period of %s has an actual yet', forecast_of.period)
                          WHEN array_position(before[j + 1:], NULL) IS NOT NULL THEN
                              format('there is no actual in %s, a year before %s',
                                     coalesce(kpi.year_before(b[j + array_position(before[j + 1:], NULL)])::text, 'any period'), b[j + array_position(before[j + 1:], NULL)])
                          ELSE 'the same base periods a year before have no actuals, or add up to 0' END END;
        ELSE
            result.expected := trim_scale(CASE
                -- rounded once: what goes on as so far ends where it is, a sum in proportion
                WHEN forecast_of.method = 'run_rate' AND (is_quotient OR rules.time_rollup = 'mean') THEN result.actual
                WHEN forecast_of.method = 'run_rate' AND rules.time_rollup = 'pool' AND rules.rollup NOT IN ('min', 'max') THEN
                    kpi.exact_quotient(total * (counted + result.remaining), counted)
                WHEN is_quotient THEN
                    kpi.exact_quotient(CASE rules.rollup WHEN 'ratio' THEN rules.multiplier ELSE 1 END
                                       * (SELECT sum(v) FROM unnest(known || ahead) v), (SELECT sum(v) FROM unnest(weights || ahead_weights) v))
                WHEN rules.time_rollup = 'last' THEN ahead[n - coalesce(j, 0)]
                WHEN rules.time_rollup = 'mean' THEN (SELECT kpi.exact_quotient(sum(v), count(v)) FROM unnest(known || ahead) v)
                WHEN rules.rollup = 'min' THEN (SELECT min(v) FROM unnest(known || ahead) v)
                WHEN rules.rollup = 'max' THEN (SELECT max(v) FROM unnest(known || ahead) v)
                ELSE (SELECT sum(v) FROM unnest(known || ahead) v) END);
            result.basis := CASE
                WHEN result.expected IS NULL THEN 'its denominator is expected to be 0'
                WHEN forecast_of.method = 'run_rate' AND rules.time_rollup = 'last' THEN format('stays as it was in %s', b[j])
                WHEN forecast_of.method = 'run_rate' THEN
                    format('goes on as %s to %s on average', b[1], b[j])
                    || CASE WHEN counted < j THEN format(', of which %s have no actual', j - counted) ELSE '' END
                WHEN forecast_of.method = 'linear' THEN
                    format('a least squares line through %s actuals from %s to %s',
                           (SELECT count(*) FROM unnest(known || earlier) v WHERE v IS NOT NULL),
                           b[1] OPERATOR(@extschema@.-) (cardinality(earlier) - coalesce(array_position(earlier, (SELECT v FROM unnest(earlier) v WHERE v IS NOT NULL LIMIT 1)), cardinality(earlier) + 1) + 1),
                           CASE WHEN j IS NULL THEN b[1] OPERATOR(@extschema@.-) (cardinality(earlier) + 1
                                                         - (SELECT max(v.i)::integer FROM unnest(earlier) WITH ORDINALITY v (y, i) WHERE v.y IS NOT NULL)) ELSE b[j] END)
                ELSE format('as the rest of the year before, times %s to %s against the same base periods then', b[1], b[j]) END;
        END IF;
    END IF;

    IF aim IS DISTINCT FROM NULL AND result.expected IS NOT NULL THEN
        result.expected_attainment := kpi.attainment_of(result.expected, aim, rules.scoring, rules.direction);
    END IF;

    IF result.remaining > 0 AND result.target IS NOT NULL AND NOT is_growth AND NOT is_computed THEN
        IF is_quotient THEN
            -- with the weight of an average base period so far in each that remains
            result.needed := CASE
                WHEN j IS NULL THEN result.target
                ELSE kpi.exact_quotient(result.target * (total_weight * counted + total_weight * result.remaining)
                                        - CASE rules.rollup WHEN 'ratio' THEN rules.multiplier ELSE 1 END * total * counted,
                                        total_weight * result.remaining) END;
        ELSIF rules.time_rollup = 'mean' THEN
            result.needed := kpi.exact_quotient(result.target * (coalesce(counted, 0) + result.remaining) - coalesce(total, 0), result.remaining);
        ELSIF rules.time_rollup = 'last' THEN
            result.needed := result.target;
        ELSIF rules.rollup = 'min' AND rules.direction = 'higher' AND result.actual < result.target
              OR rules.rollup = 'max' AND rules.direction = 'lower' AND result.actual > result.target THEN
            needless := format('the %s of the period can no longer reach the target', rules.rollup);
        ELSIF rules.rollup IN ('min', 'max') THEN
            result.needed := result.target;
        ELSE
            result.needed := kpi.exact_quotient(result.target - coalesce(total, 0), result.remaining);
        END IF;
    END IF;
    IF aim IS NOT DISTINCT FROM NULL THEN
        needless := 'there is no target';
    ELSIF result.target IS NULL THEN
        needless := 'the target is no single value';
    END IF;
    IF needless IS NOT NULL AND result.remaining > 0 AND NOT of_child THEN
        result.basis := concat_ws('; ', result.basis, needless);
    END IF;
    RETURN result;
END
$$;
COMMENT ON FUNCTION kpi.forecast_of(bigint, @extschema@.kpi_period, text, date, boolean) IS 'Internal to kpi.forecast(): the same by key, of children too';

CREATE FUNCTION kpi.check_forecast_method(method text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF method IS NULL OR method NOT IN ('run_rate', 'linear', 'seasonal') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('there is no method "%s" to forecast by', coalesce(method, 'NULL')),
            HINT = 'Methods are run_rate, linear and seasonal.';
    END IF;
    RETURN method;
END
$$;
COMMENT ON FUNCTION kpi.check_forecast_method(text) IS 'Internal to kpi.forecast(): the method, if there is one of that name. Error: 22023';

DO $overloads$
DECLARE
    v record;
BEGIN
    FOR v IN
        SELECT u.unit_type, p.period_type, u.by_path, u.unit_type = 'text' AND p.period_type = 'text' AS is_first
          FROM (VALUES (1, 'text', false), (2, '@extschema@.kpi_path', true)) u (no, unit_type, by_path),
               (VALUES (1, 'text'), (2, '@extschema@.kpi_period')) p (no, period_type)
         ORDER BY u.no, p.no
    LOOP
        EXECUTE format($create$
CREATE FUNCTION kpi.forecast(unit %s, measure text, period %s, method text DEFAULT 'run_rate', as_of date DEFAULT NULL)
    RETURNS kpi.forecast_row
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    asked record;
BEGIN
    IF forecast.measure IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = 'no measure is given to forecast',
            HINT = 'A forecast is of one KPI: give its measure after the unit.';
    END IF;
    SELECT e.kpi_id, e.of_period INTO asked
      FROM kpi.explained_kpi(forecast.unit::text, forecast.measure, forecast.period::text, %L) e;
    RETURN kpi.forecast_of(asked.kpi_id, asked.of_period, kpi.check_forecast_method(forecast.method), forecast.as_of, false);
END
$$$create$, v.unit_type, v.period_type, v.by_path);
        EXECUTE format('COMMENT ON FUNCTION kpi.forecast(%s, text, %s, text, date) IS %L', v.unit_type, v.period_type,
            CASE WHEN v.is_first THEN 'What a KPI will stand at when a period ends, and what each base period that remains must bring to reach the target; one row. Methods: run_rate (goes on as the mean so far; a stock stays), linear (a least squares line through the base periods so far and before, twelve or as many as the period has, at least 3), seasonal (as the rest of the year before, scaled by the year so far). What is so far ends with the last base period that has an actual, with as_of with the last of those that end on or before that day. Where too little is known, expected is null and basis says what is missing. Errors: 42704 for an unknown unit or KPI, 22023 for another method or a period the measure has no numbers in, 22004 without measure or period'
                 ELSE 'As kpi.forecast(text, text, text, text, date)' || CASE WHEN v.by_path THEN ', with the unit by path only' ELSE '' END END);
    END LOOP;
END
$overloads$;

-- ---------------------------------------------------------------- pace

DO $pace$
DECLARE
    body constant text := $body$
SELECT a.kpi_id, a.unit_id, a.measure_id, a.unit, a.unit_name, a.level_no, a.level, a.measure, a.measure_name, a.unit_of_measure, a.owner,
       a.period, a.grain, a.period_start, a.period_end,
       %1$s AS as_of,
       kpi.exact_quotient(h.gone, h.days) AS elapsed,
       a.actual, a.target,
       trim_scale((e.aim).value) AS elapsed_target,
       CASE WHEN e.aim IS DISTINCT FROM NULL THEN kpi.attainment_of(a.actual, e.aim, s.scoring, s.direction) END AS pace,
       a.coverage
  FROM kpi.attainment a
  JOIN kpi.steered_kpi s ON s.kpi_id = a.kpi_id
 CROSS JOIN LATERAL (
    -- a KPI that begins inside the period has the time from its first base period on
    SELECT CASE WHEN s.alive_from > a.period_start
                THEN greatest(a.period_start, kpi.first_day(kpi.period(s.alive_from, s.grain, s.fiscal_start))) ELSE a.period_start END AS day OFFSET 0) f
 CROSS JOIN LATERAL (
    SELECT CASE WHEN s.rollup IN ('sum', 'count', 'none') AND s.time_rollup = 'pool' AND (a.period_end <@ ANY (s.growth_days)) IS NOT TRUE THEN 'sum'
                WHEN s.time_rollup = 'last' THEN 'last'
                WHEN s.rollup IN ('min', 'max') THEN s.rollup
                ELSE 'mean' END AS how,
           greatest(%1$s - f.day + 1, 0)::numeric AS gone, (a.period_end - f.day + 1)::numeric AS days OFFSET 0) h
  LEFT JOIN LATERAL (
    -- the targets of the base periods, whole ones and the part of the running one
    SELECT sum(kpi.exact_quotient((b.target).value * g.gone, kpi.days(o.period))) AS value, sum((b.target).value) AS whole,
           bool_and(b.kpi_id IS NOT NULL) AS all_given
      FROM kpi.periods(a.period, s.grain) AS o (period)
     CROSS JOIN LATERAL (SELECT least(greatest(%1$s - kpi.first_day(o.period) + 1, 0), kpi.days(o.period)) AS gone) g
      LEFT JOIN kpi.current_target b ON b.kpi_id = a.kpi_id AND b.period OPERATOR(@extschema@.=) o.period
     WHERE h.how = 'sum' AND s.scoring IN ('ratio', 'step') AND a.grain <> s.grain
       AND kpi.last_day(o.period) >= s.alive_from AND kpi.last_day(o.period) < s.alive_to) t ON true
 CROSS JOIN LATERAL (
    SELECT CASE
           WHEN s.scoring IN ('ratio', 'step') THEN
               CASE WHEN a.target IS NOT NULL THEN
                   ROW(CASE WHEN h.how <> 'sum' THEN a.target
                            WHEN t.all_given AND t.whole = a.target THEN t.value
                            ELSE kpi.exact_quotient(a.target * h.gone, h.days) END, NULL, NULL, NULL, NULL)::kpi.recompute_target END
           WHEN s.scoring = 'progress' THEN
               ROW(kpi.exact_quotient((w.whole).baseline * h.days + ((w.whole).value - (w.whole).baseline) * h.gone, h.days),
                   (w.whole).baseline, NULL, NULL, NULL)::kpi.recompute_target
           WHEN s.scoring = 'range' AND h.how = 'sum' AND w.whole IS DISTINCT FROM NULL THEN
               ROW(kpi.exact_quotient((w.whole).value * h.gone, h.days), NULL, kpi.exact_quotient((w.whole).low * h.gone, h.days),
                   kpi.exact_quotient((w.whole).high * h.gone, h.days), NULL)::kpi.recompute_target
           ELSE w.whole END AS aim
      FROM (
        SELECT CASE WHEN s.scoring NOT IN ('ratio', 'step') THEN coalesce(
            (SELECT t.target FROM kpi.current_target t
              WHERE t.kpi_id = a.kpi_id AND t.period OPERATOR(@extschema@.=) a.period),
            -- derived from the coarsest finer grain of which every living period has one
            (SELECT kpi.derived_target(d.targets, h.how)
               FROM (SELECT kpi.grain(t.period) AS grain, array_agg(t.target ORDER BY kpi.last_day(t.period)) AS targets
                       FROM kpi.current_target t
                      WHERE t.kpi_id = a.kpi_id AND t.period OPERATOR(@extschema@.<@) a.period
                        AND kpi.grain(t.period) < kpi.grain(a.period)
                        AND (kpi.grain(t.period) <> 'week' OR s.grain = 'week')
                      GROUP BY kpi.grain(t.period)) d
              WHERE cardinality(d.targets) = (SELECT count(*) FROM kpi.periods(a.period, d.grain) AS o (period)
                                               WHERE kpi.last_day(o.period) >= s.alive_from AND kpi.last_day(o.period) < s.alive_to)
              ORDER BY d.grain DESC LIMIT 1)) END AS whole OFFSET 0) w OFFSET 0) e
 WHERE a.period OPERATOR(@extschema@.=) ANY (ARRAY(
           SELECT kpi.period(%1$s, g.grain, f.month)
             FROM pg_catalog.unnest(enum_range(NULL::@extschema@.kpi_grain)) g (grain)
            CROSS JOIN pg_catalog.generate_series(1, 12) f (month)
            WHERE f.month = 1 OR g.grain >= 'quarter'))$body$;
BEGIN
    EXECUTE 'CREATE VIEW kpi.pace AS' || format(body, 'current_date');
    EXECUTE 'CREATE FUNCTION kpi.pace(as_of date) RETURNS SETOF kpi.pace
    LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED ROWS 1000
    SET search_path = pg_catalog, pg_temp
AS $function$' || format(body, 'pace.as_of') || '$function$';
END
$pace$;
COMMENT ON VIEW kpi.pace IS 'The periods that run today, one row per KPI and period: the actual against the elapsed part of the target. kpi.pace(date) takes another day';
DO $comments$
DECLARE
    attribute record;
BEGIN
    FOR attribute IN
        SELECT p.attname, pg_catalog.col_description(a.attrelid, a.attnum) AS comment
          FROM pg_catalog.pg_attribute p
          JOIN pg_catalog.pg_attribute a ON a.attrelid = 'kpi.attainment'::regclass AND a.attname = p.attname
         WHERE p.attrelid = 'kpi.pace'::regclass AND p.attnum > 0
    LOOP
        EXECUTE format('COMMENT ON COLUMN kpi.pace.%I IS %L', attribute.attname, attribute.comment);
    END LOOP;
END
$comments$;
COMMENT ON COLUMN kpi.pace.as_of IS 'The day, inside the period; it counts as gone by';
COMMENT ON COLUMN kpi.pace.elapsed IS 'Days gone by over days of the period, 0 to 1; of a KPI that begins inside it, those from its first base period on';
COMMENT ON COLUMN kpi.pace.elapsed_target IS 'The elapsed part of the target. Where targets are summed: those of the base periods gone by and the elapsed days'' part of the running one''s, if every base period has one and they sum to the target, else the elapsed days'' part of the target; under progress the baseline and the elapsed days'' part of the way to the target; else the whole target';
COMMENT ON COLUMN kpi.pace.pace IS 'Attainment of the elapsed target, neither floored nor capped: 1 is on pace';
COMMENT ON FUNCTION kpi.pace(date) IS 'The rows that kpi.pace would have on that day, with the actuals of now: the periods that run on it, held against the elapsed part of their targets';
