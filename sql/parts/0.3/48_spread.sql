-- Plans of targets: spread over the KPIs beneath and the periods inside.
--
-- kpi.spread_plan works a whole spread out, without writing: first the target
-- of the unit at the top over the periods, then in each period, from the top
-- down, each unit's over the KPIs right beneath it.  So sums hold on every
-- level and over time.  What rounding leaves over goes to the largest
-- remainders; each KPI carries its fraction on to the next period, so that
-- totals over time are those of the largest remainders, too.
--
-- Cells are kept in flat arrays: the nodes of the tree, one per KPI and stretch
-- of periods with one tree, ordered by path (a parent before its children), and
-- for each its periods.  A KPI beneath which targets are locked must get at
-- least what they need; one beneath which all are locked gets just that.

CREATE TYPE kpi.target_plan AS (
    unit      @extschema@.kpi_path,
    measure   text,
    period    @extschema@.kpi_period,
    old_value numeric,
    new_value numeric,
    locked    boolean,
    state     text,
    basis     text,
    kpi_id    bigint
);
COMMENT ON TYPE kpi.target_plan IS 'A row of what kpi.cascade_target and kpi.rollup_targets write, or would write';
COMMENT ON COLUMN kpi.target_plan.unit IS 'Path of the unit on the last day of the period';
COMMENT ON COLUMN kpi.target_plan.measure IS 'Code of the measure';
COMMENT ON COLUMN kpi.target_plan.period IS 'The period';
COMMENT ON COLUMN kpi.target_plan.old_value IS 'The target until now; null for none';
COMMENT ON COLUMN kpi.target_plan.new_value IS 'The target from now on; null where none can be said';
COMMENT ON COLUMN kpi.target_plan.locked IS 'Is the target locked, and stays as it was?';
COMMENT ON COLUMN kpi.target_plan.state IS 'The state until now; null for none';
COMMENT ON COLUMN kpi.target_plan.basis IS 'In words, what the value rests on';
COMMENT ON COLUMN kpi.target_plan.kpi_id IS 'The KPI';

CREATE FUNCTION kpi.spread_tree(
    top bigint, days date[], OUT first_no integer, OUT last_no integer, OUT kpi_id bigint, OUT parent_kpi_id bigint,
    OUT unit_id bigint, OUT path @extschema@.kpi_path, OUT weight numeric, OUT share numeric, OUT is_growth boolean)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    SET enable_seqscan = off
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    rules record;
    epoch record;
BEGIN
    SELECT k.unit_id, k.measure_id, m.rolls_up AND m.rollup <> 'none' AS rolls_up,
           m.rolls_up AND m.apply_share AND m.rollup NOT IN ('none', 'min', 'max') AS takes_shares INTO rules
      FROM kpi.kpi k JOIN kpi.measure m ON m.measure_id = k.measure_id
     WHERE k.kpi_id = top;
    FOR epoch IN
        WITH RECURSIVE beneath AS (
            -- on whatever day
            SELECT rules.unit_id
            UNION
            SELECT h.unit_id FROM beneath b JOIN kpi.unit_history h ON h.parent_unit_id = b.unit_id
        ), concerned AS (
            SELECT k.kpi_id, k.valid_from, k.valid_to
              FROM kpi.kpi k WHERE k.measure_id = rules.measure_id AND k.unit_id IN (SELECT b.unit_id FROM beneath b)
        ), breaks AS (
            SELECT b.day
              FROM (SELECT h.effective_from FROM kpi.unit_history h JOIN beneath b ON b.unit_id = h.unit_id
                    UNION SELECT d.day FROM kpi.unit u JOIN beneath b ON b.unit_id = u.unit_id CROSS JOIN LATERAL (VALUES (u.valid_from), (u.valid_to)) d (day)
                    UNION SELECT d.day FROM concerned c CROSS JOIN LATERAL (VALUES (c.valid_from), (c.valid_to)) d (day)
                    UNION SELECT d.day FROM kpi.link l JOIN concerned c ON c.kpi_id = l.parent_kpi_id AND l.contributes IN ('growth', 'value')
                                      CROSS JOIN LATERAL (VALUES (l.valid_from), (l.valid_to)) d (day)) b (day)
             WHERE b.day > days[1] AND b.day <= days[cardinality(days)])
        SELECT min(d.no)::integer AS first_no, max(d.no)::integer AS last_no, max(d.day) AS day
          FROM unnest(days) WITH ORDINALITY AS d (day, no)
         GROUP BY (SELECT count(*) FROM breaks b WHERE b.day <= d.day)
         ORDER BY 1
    LOOP
        RETURN QUERY
        WITH RECURSIVE living AS MATERIALIZED (
            SELECT k.kpi_id, k.unit_id, k.weight
              FROM kpi.kpi k JOIN kpi.unit u ON u.unit_id = k.unit_id
             WHERE k.measure_id = rules.measure_id
               AND epoch.day >= coalesce(greatest(k.valid_from, u.valid_from), '-infinity')
               AND epoch.day < coalesce(least(k.valid_to, u.valid_to), 'infinity')
        ), descent AS (
            SELECT l.unit_id, l.kpi_id, NULL::bigint AS parent_kpi_id, 1::numeric AS share, l.weight
              FROM living l WHERE l.kpi_id = top
            UNION ALL
            SELECT h.unit_id, l.kpi_id, p.kpi_id, coalesce(x.weight, s.share), l.weight
              FROM descent d
             CROSS JOIN LATERAL (SELECT coalesce(d.kpi_id, d.parent_kpi_id) AS kpi_id) p
             CROSS JOIN LATERAL (
                 SELECT h.unit_id, h.share
                   FROM kpi.unit_history h
                  WHERE h.parent_unit_id = d.unit_id
                    AND h.effective_from = (SELECT max(n.effective_from) FROM kpi.unit_history n
                                             WHERE n.unit_id = h.unit_id AND n.effective_from <= epoch.day)
                 OFFSET 0) h
              -- a share of 0 cuts, whether or not others count
             CROSS JOIN LATERAL (SELECT CASE WHEN rules.takes_shares OR rules.rolls_up AND h.share = 0 OR d.kpi_id IS NULL AND d.share = 0
                                             THEN CASE WHEN d.kpi_id IS NULL THEN d.share ELSE 1 END * h.share ELSE 1 END AS share) s
              LEFT JOIN living l ON l.unit_id = h.unit_id
              -- an explicit link takes the place of the implied one
              LEFT JOIN LATERAL (
                 SELECT x.weight
                   FROM kpi.link x
                  WHERE x.child_kpi_id = l.kpi_id AND x.parent_kpi_id = p.kpi_id AND x.contributes = 'value' AND x.weight <> 0
                    AND epoch.day >= coalesce(x.valid_from, '-infinity') AND epoch.day < coalesce(x.valid_to, 'infinity')) x ON true
             WHERE l.kpi_id IS NULL OR coalesce(x.weight, s.share) <> 0
        )
        SELECT epoch.first_no, epoch.last_no, d.kpi_id, d.parent_kpi_id, d.unit_id,
               (SELECT p.path FROM kpi.unit_path p WHERE p.unit_id = d.unit_id AND p.valid_from <= epoch.day AND p.valid_to > epoch.day),
               d.weight, trim_scale(d.share),
               EXISTS (SELECT FROM kpi.link g
                        WHERE g.parent_kpi_id = d.kpi_id AND g.contributes = 'growth' AND g.weight <> 0
                          AND epoch.day >= coalesce(g.valid_from, '-infinity') AND epoch.day < coalesce(g.valid_to, 'infinity'))
          FROM descent d
         WHERE d.kpi_id IS NOT NULL;
    END LOOP;
END
$$;
COMMENT ON FUNCTION kpi.spread_tree(bigint, date[]) IS
'Internal: the KPI and those of its measure beneath it, per stretch of the days (ascending; numbered from 1) with one tree: each KPI alive, the KPI of the nearest unit above that has one alive, and with which weight it flows up to it: that of an explicit value link between the two, else the product of the shares in between. Units cut off by a share of 0 are left out where the measure rolls up. With the owner''s rights: targets are spread over all units there are.';

CREATE FUNCTION kpi.apportion(total numeric, weights numeric[], at_least numeric[], decimals integer, INOUT carry numeric[], OUT parts numeric[], OUT failure text)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    n constant integer := cardinality(weights);
    grain constant numeric := ('1e' || decimals)::numeric;
    unit constant numeric := ('1e-' || decimals)::numeric;
    rest numeric := total * grain;
    weight numeric;
    lower numeric[];
    settled boolean[] := array_fill(false, ARRAY[n]);
    ideal numeric[] := array_fill(0::numeric, ARRAY[n]);
    i integer;
    again boolean := true;
    step numeric;
    taker record;
BEGIN
    carry := coalesce(carry, array_fill(0::numeric, ARRAY[n]));
    FOR i IN 1 .. n LOOP
        lower[i] := coalesce(at_least[i], 0) * grain;
    END LOOP;
    weight := (SELECT sum(w) FROM unnest(weights) w);
    IF rest < (SELECT sum(l) FROM unnest(lower) l) THEN
        failure := 'locked';
        RETURN;
    ELSIF weight = 0 AND rest <> (SELECT sum(l) FROM unnest(lower) l) THEN
        failure := 'weights';
        RETURN;
    END IF;

    -- by weight; whoever would get less than the least gets that, and the others share what then is left
    WHILE again LOOP
        again := false;
        FOR i IN 1 .. n LOOP
            CONTINUE WHEN settled[i];
            ideal[i] := CASE WHEN weight = 0 THEN 0 ELSE div(rest * weights[i] * 1e20, weight) * 1e-20 END + carry[i];
            again := again OR lower[i] > 0 AND ideal[i] < lower[i];
        END LOOP;
        IF again THEN
            FOR i IN 1 .. n LOOP
                CONTINUE WHEN settled[i] OR NOT (lower[i] > 0 AND ideal[i] < lower[i]);
                settled[i] := true;
                ideal[i] := lower[i];
                rest := rest - lower[i];
                weight := weight - weights[i];
            END LOOP;
        END IF;
    END LOOP;

    rest := total * grain;
    FOR i IN 1 .. n LOOP
        parts[i] := greatest(floor(round(ideal[i], 16)), lower[i]);
        rest := rest - parts[i];
    END LOOP;
    WHILE rest <> 0 LOOP
        step := sign(rest);
        again := false;
        FOR taker IN
            SELECT t.i
              FROM unnest(ideal, parts, lower, weights) WITH ORDINALITY AS t (ideal, part, lower, weight, i)
             WHERE CASE WHEN step > 0 THEN t.weight > 0 ELSE t.part > t.lower END
             ORDER BY step * round(t.ideal - t.part, 16) DESC, t.i
             LIMIT least(abs(rest), n)
        LOOP
            parts[taker.i] := parts[taker.i] + step;
            rest := rest - step;
            again := true;
        END LOOP;
        IF NOT again THEN
            failure := 'weights';
            RETURN;
        END IF;
    END LOOP;
    FOR i IN 1 .. n LOOP
        carry[i] := CASE WHEN settled[i] OR abs(ideal[i] - parts[i]) >= 1 THEN 0 ELSE ideal[i] - parts[i] END;
        parts[i] := trim_scale(parts[i] * unit);
    END LOOP;
END
$$;
COMMENT ON FUNCTION kpi.apportion(numeric, numeric[], numeric[], integer, numeric[]) IS
'Internal: parts of a total that is not negative, in proportion to weights but each at least so much, with so many decimals, that add up exactly: largest remainder, ties in order. carry, in units of the last decimal, is what each lacks from before, and then what it lacks now. failure: locked where the least exceeds the total, weights where all are 0.';

CREATE FUNCTION kpi.spread_plan(
    top bigint, period @extschema@.kpi_period, value numeric, method text, grain text, pattern numeric[], over_periods text,
    of_period @extschema@.kpi_period, decimals integer) RETURNS SETOF kpi.target_plan
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    whole constant @extschema@.kpi_period := period;
    rules record;
    leaf @extschema@.kpi_grain;
    adds_over_periods boolean;
    by_units text := method;                -- how units share
    by_periods text := over_periods;        -- how periods share
    direction constant numeric := CASE WHEN value < 0 THEN -1 ELSE 1 END;
    hint text;                              -- why something cannot be shared
    -- the periods to spread over, and those that history is taken from
    periods @extschema@.kpi_period[];
    np integer;
    earlier @extschema@.kpi_period[];
    period_weights numeric[];
    -- nodes
    nn integer;
    node_kpi bigint[];
    node_path @extschema@.kpi_path[];
    node_parent integer[];
    node_weight numeric[];
    node_share numeric[];
    node_from integer[];
    node_to integer[];
    node_at integer[];                      -- cell of a node in period j: node_at + j
    kids integer[];                         -- nodes by parent
    kids_at integer[];                      -- those of a node: kids_at + 1 to kids_at + kids_of
    kids_of integer[];
    top_of integer[];                       -- the node at the top, by period
    is_growth boolean;
    is_hidden boolean;
    -- cells
    nc integer;
    old_value numeric[];
    old_state text[];
    is_locked boolean[];
    fixed numeric[];                        -- targets that are given, in the direction of the value
    given numeric[];                        -- those of them that are locked themselves
    needs numeric[];                        -- the least a node must get for what is fixed beneath it
    measured numeric[];                     -- history, or what is there now
    cell numeric[];
    words text[];
    coarse record;
    row kpi.target_plan;
    i integer;
    j integer;
    k integer;
    c integer;
    total numeric;
    part numeric;
    all_fixed boolean;
    weights numeric[];
    at_least numeric[];
    takers integer[];
    takers_once integer[];                  -- which of them count no more than once
    carry numeric[];
    carry_once numeric[];
    shared_once numeric[];
    carry_after numeric[];
    carry_all numeric[];
    shared numeric[];
    -- what decimals is said to be is checked below
    scaled constant numeric := ('1e' || greatest(decimals, 0))::numeric;
    rounding constant numeric := ('1e-' || greatest(decimals, 0))::numeric;
    place text;
BEGIN
    SELECT m.measure_id, m.code AS measure, m.rollup, m.time_rollup, m.grain, m.fiscal_start, u.path AS unit,
           m.rollup IN ('sum', 'count') AS adds, m.rollup IN ('sum', 'count', 'none') AS may_add INTO rules
      FROM kpi.kpi k JOIN kpi.measure m ON m.measure_id = k.measure_id JOIN kpi.unit u ON u.unit_id = k.unit_id
     WHERE k.kpi_id = top;
    place := format('unit "%s" and measure "%s"', rules.unit, rules.measure);

    -- what is asked for
    IF whole IS NULL OR value IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = format('no %s is given to spread for %s', CASE WHEN whole IS NULL THEN 'period' ELSE 'value' END, place),
            HINT = 'kpi.cascade_target takes a unit, a measure, a period and a value.';
    ELSIF decimals IS NULL OR decimals NOT BETWEEN 0 AND 20 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('decimals "%s" is out of range', coalesce(decimals::text, 'null')), HINT = 'It is the number of digits after the point, 0 to 20.';
    ELSIF NOT (abs(value) < 1e30) THEN
        RAISE EXCEPTION USING ERRCODE = 'numeric_value_out_of_range',
            MESSAGE = format('value "%s" of a target is out of range', value), HINT = 'Numbers are finite and have at most 30 digits before and 20 after the point.';
    ELSIF NOT kpi.is_target_period(whole, rules.grain, rules.fiscal_start) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('target period "%s" for unit "%s" does not fit measure "%s"', whole, rules.unit, rules.measure),
            DETAIL = format('The measure''s grain is %s, with the year starting in month %s.', rules.grain, rules.fiscal_start),
            HINT = kpi.target_period_hint(rules.grain);
    ELSIF by_units NOT IN ('equal', 'weight', 'history', 'current', 'same', 'pattern') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('method "%s" of spreading is not known', method),
            HINT = 'Use one of: equal, weight, history, current, same, pattern.';
    ELSIF by_periods NOT IN ('equal', 'history', 'current', 'same', 'pattern') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('over_periods "%s" is not known', over_periods), HINT = 'Use one of: equal, history, current, same, pattern.';
    END IF;
    IF grain IS NOT NULL AND grain NOT IN ('day', 'week', 'month', 'quarter', 'half', 'year') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('grain "%s" is not known', grain), HINT = 'Use one of: day, week, month, quarter, half, year.';
    END IF;
    leaf := coalesce(grain::@extschema@.kpi_grain, rules.grain);
    IF leaf < rules.grain OR NOT EXISTS (SELECT FROM kpi.periods(whole, leaf)) OR leaf <> kpi.grain(whole) AND rules.grain = 'week' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('%s cannot be spread by %s', whole, leaf),
            HINT = format('Give a grain from that of the measure (%s) to that of the period (%s) which divides it.', rules.grain, kpi.grain(whole));
    END IF;
    periods := ARRAY(SELECT p FROM kpi.periods(whole, leaf) p ORDER BY p);
    np := cardinality(periods);

    -- the tree, and what is there
    WITH tree AS MATERIALIZED (
        SELECT t.*, row_number() OVER (ORDER BY t.first_no, t.path)::integer AS i
          FROM kpi.spread_tree(top, ARRAY(SELECT kpi.last_day(p) FROM unnest(periods) WITH ORDINALITY AS u (p, o) ORDER BY o)) t
    ), node AS (
        SELECT t.*, p.i AS parent, sum(t.last_no - t.first_no + 1) OVER (ORDER BY t.i)::integer AS cells
          FROM tree t LEFT JOIN tree p ON p.first_no = t.first_no AND p.kpi_id = t.parent_kpi_id
    )
    SELECT array_agg(n.kpi_id ORDER BY n.i), array_agg(n.path ORDER BY n.i), array_agg(n.parent ORDER BY n.i), array_agg(n.weight ORDER BY n.i),
           array_agg(n.share ORDER BY n.i), array_agg(n.first_no ORDER BY n.i), array_agg(n.last_no ORDER BY n.i),
           array_agg(n.cells - n.last_no ORDER BY n.i), coalesce(bool_or(n.is_growth) FILTER (WHERE n.kpi_id = top), false),
           bool_or(CASE WHEN (SELECT kpi.row_security_applies()) THEN n.unit_id NOT IN (SELECT v FROM kpi.visible_units() v) END)
      INTO node_kpi, node_path, node_parent, node_weight, node_share, node_from, node_to, node_at, is_growth, is_hidden
      FROM node n;
    IF is_hidden THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('target for %s in %s cannot be spread over units that you cannot see', place, whole),
            HINT = 'Row security on kpi.unit hides some of those beneath it.';
    END IF;
    nn := coalesce(cardinality(node_kpi), 0);
    IF nn = 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('KPI of %s is not alive in %s', place, whole),
            HINT = 'Its validity and its unit''s say when it is.';
    END IF;
    nc := node_at[nn] + node_to[nn];
    kids_of := array_fill(0, ARRAY[nn]);
    kids_at := array_fill(0, ARRAY[nn]);
    top_of := array_fill(NULL::integer, ARRAY[np]);
    FOR i IN 1 .. nn LOOP
        IF node_parent[i] IS NULL THEN
            FOR j IN node_from[i] .. node_to[i] LOOP
                top_of[j] := i;
            END LOOP;
        ELSE
            kids_of[node_parent[i]] := kids_of[node_parent[i]] + 1;
        END IF;
    END LOOP;
    kids := ARRAY(SELECT u.i FROM unnest(node_parent) WITH ORDINALITY AS u (parent, i) WHERE u.parent IS NOT NULL ORDER BY u.parent, u.i);
    c := 0;
    FOR i IN 1 .. nn LOOP
        kids_at[i] := c;
        c := c + kids_of[i];
    END LOOP;
    IF c = 0 AND np = 1 THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('there is nothing to spread the target for %s in %s over', place, whole),
            DETAIL = 'No unit beneath has a living KPI of the measure, and there is only one period.',
            HINT = 'Create the KPIs with kpi.deploy, give a finer grain, or set the target with kpi.set_target.';
    END IF;

    SELECT array_agg(t.value ORDER BY s.c), array_agg(t.state ORDER BY s.c), array_agg(coalesce(t.locked, false) ORDER BY s.c),
           array_agg(CASE WHEN t.locked THEN direction * trim_scale(coalesce(t.value, 0)) END ORDER BY s.c)
      INTO old_value, old_state, is_locked, fixed
      FROM (SELECT u.kpi_id, periods[x.j] AS p, u.at + x.j AS c
              FROM unnest(node_kpi, node_from, node_to, node_at) AS u (kpi_id, first_no, last_no, at), generate_series(u.first_no, u.last_no) AS x (j)) s
      LEFT JOIN kpi.target t ON t.kpi_id = s.kpi_id AND t.period OPERATOR(@extschema@.=) s.p;

    -- how
    adds_over_periods := rules.may_add AND rules.time_rollup = 'pool' AND NOT is_growth;
    IF by_units = 'pattern' AND pattern IS NULL OR by_periods = 'pattern' AND pattern IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = 'no pattern is given to spread by', HINT = 'Give the weights of the periods, such as pattern => ''{4,4,5}''.';
    END IF;
    by_units := CASE WHEN by_units <> 'pattern' THEN by_units WHEN rules.adds AND NOT is_growth THEN 'equal' ELSE 'same' END;
    by_units := coalesce(by_units, CASE WHEN rules.adds AND NOT is_growth THEN 'equal' ELSE 'same' END);
    IF by_units <> 'same' AND (NOT rules.may_add OR is_growth) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('targets of measure "%s" do not add up over units, so "%s" cannot spread them', rules.measure, by_units),
            DETAIL = CASE WHEN is_growth THEN 'A growth link leads into the KPI.' ELSE format('Its rollup is %s.', rules.rollup) END,
            HINT = 'Use the method same.';
    END IF;
    by_periods := coalesce(by_periods, CASE WHEN pattern IS NOT NULL THEN 'pattern' WHEN NOT adds_over_periods OR np = 1 THEN 'same'
                                            WHEN by_units IN ('history', 'current') THEN by_units ELSE 'equal' END);
    IF by_periods = 'same' AND adds_over_periods AND np > 1 OR by_periods <> 'same' AND NOT adds_over_periods AND np > 1 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('targets of measure "%s" %s over periods, so "%s" cannot spread them', rules.measure,
                             CASE WHEN adds_over_periods THEN 'add up' ELSE 'do not add up' END, by_periods),
            DETAIL = CASE WHEN is_growth THEN 'A growth link leads into the KPI.'
                          ELSE format('Its rollup is %s, its time_rollup %s.', rules.rollup, rules.time_rollup) END,
            HINT = CASE WHEN adds_over_periods THEN 'Use equal, history, current or pattern over the periods.' ELSE 'Use same over the periods, without a pattern.' END;
    END IF;
    IF (by_units <> 'same' OR by_periods <> 'same') AND scale(trim_scale(value)) > decimals THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('value "%s" has more than %s decimals', trim_scale(value), decimals),
            HINT = format('Give decimals => %s, or a value with fewer.', scale(trim_scale(value)));
    END IF;

    period_weights := array_fill(1::numeric, ARRAY[np]);
    IF by_periods = 'pattern' THEN
        IF cardinality(pattern) = 0 OR np % cardinality(pattern) <> 0 OR array_ndims(pattern) <> 1
           OR EXISTS (SELECT FROM unnest(pattern) w WHERE w IS NULL OR NOT (w >= 0 AND w < 1e30)) THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('pattern "%s" does not fit the %s periods by %s in %s', pattern, np, leaf, whole),
                HINT = 'Give a weight, not negative, for each period, or for a number that divides theirs; it is then repeated.';
        END IF;
        FOR j IN 1 .. np LOOP
            period_weights[j] := pattern[(j - 1) % cardinality(pattern) + 1];
        END LOOP;
    END IF;

    -- the figures to go by
    IF 'history' IN (by_units, by_periods) THEN
        IF of_period IS NOT NULL AND kpi.grain(of_period) <> kpi.grain(whole) THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('of_period "%s" is no %s as %s is', of_period, kpi.grain(whole), whole),
                HINT = 'Take the history from a period of the same grain.';
        END IF;
        -- period by period, where history says how the periods share; else the whole
        IF by_periods <> 'history' THEN
            earlier := array_fill(coalesce(of_period, kpi.year_before(whole)), ARRAY[np]);
        ELSIF of_period IS NULL THEN
            earlier := ARRAY(SELECT kpi.year_before(p) FROM unnest(periods) WITH ORDINALITY AS u (p, o) ORDER BY o);
        ELSE
            earlier := ARRAY(SELECT p FROM kpi.periods(of_period, leaf) p ORDER BY p);
        END IF;
        SELECT array_agg(coalesce(a.actual, 0) ORDER BY s.c) INTO measured
          FROM (SELECT u.kpi_id, earlier[x.j] AS p, u.at + x.j AS c
                  FROM unnest(node_kpi, node_from, node_to, node_at) AS u (kpi_id, first_no, last_no, at), generate_series(u.first_no, u.last_no) AS x (j)) s
          LEFT JOIN (SELECT a.kpi_id, a.period, a.actual FROM kpi.attainment a
                      WHERE a.measure_id = rules.measure_id AND a.kpi_id = ANY (node_kpi) AND a.period OPERATOR(@extschema@.=) ANY (earlier)) a
                 ON a.kpi_id = s.kpi_id AND a.period OPERATOR(@extschema@.=) s.p;
    ELSIF 'current' IN (by_units, by_periods) THEN
        measured := ARRAY(SELECT coalesce(v, 0) FROM unnest(old_value) WITH ORDINALITY AS u (v, o) ORDER BY o);
    END IF;
    IF by_periods IN ('history', 'current') THEN
        FOR j IN 1 .. np LOOP
            period_weights[j] := coalesce(measured[node_at[top_of[j]] + j], 0);
        END LOOP;
    END IF;
    IF measured IS NOT NULL THEN
        FOR i IN 1 .. nn LOOP
            FOR j IN node_from[i] .. node_to[i] LOOP
                IF measured[node_at[i] + j] < 0 THEN
                    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
                        MESSAGE = format('targets cannot be spread by a negative number, as unit "%s" has (%s)', node_path[i], trim_scale(measured[node_at[i] + j])),
                        DETAIL = CASE WHEN earlier IS NOT NULL THEN format('It is the actual of %s.', earlier[j]) ELSE format('It is the target of %s.', periods[j]) END,
                        HINT = 'Use another method, or another period.';
                END IF;
            END LOOP;
        END LOOP;
    END IF;

    -- locked targets of coarser periods hold for the periods inside together
    FOR coarse IN
        SELECT t.kpi_id, t.period, direction * trim_scale(t.value) AS value, n.i
          FROM kpi.target t
         CROSS JOIN LATERAL (SELECT min(u.i)::integer AS i FROM unnest(node_kpi) WITH ORDINALITY AS u (kpi_id, i) WHERE u.kpi_id = t.kpi_id) n
         WHERE t.kpi_id = ANY (node_kpi) AND t.locked AND t.value IS NOT NULL
           AND t.period OPERATOR(@extschema@.<@) whole AND kpi.grain(t.period) > leaf
         ORDER BY kpi.grain(t.period), t.period, n.i
    LOOP
        total := coarse.value;
        takers := '{}';
        weights := '{}';
        FOR i IN coarse.i .. nn LOOP
            CONTINUE WHEN node_kpi[i] <> coarse.kpi_id;
            FOR j IN node_from[i] .. node_to[i] LOOP
                CONTINUE WHEN NOT coarse.period OPERATOR(@extschema@.@>) periods[j];
                IF fixed[node_at[i] + j] IS NULL THEN
                    takers := takers || (node_at[i] + j);
                    weights := weights || period_weights[j];
                ELSE
                    total := total - fixed[node_at[i] + j];
                END IF;
            END LOOP;
        END LOOP;
        IF NOT adds_over_periods THEN
            FOREACH c IN ARRAY takers LOOP
                fixed[c] := coarse.value;
            END LOOP;
            CONTINUE;
        END IF;
        IF (SELECT sum(w) FROM unnest(weights) w) = 0 THEN
            weights := array_fill(1::numeric, ARRAY[cardinality(weights)]);
        END IF;
        shared := NULL;
        IF cardinality(takers) > 0 AND total >= 0 AND scale(trim_scale(total)) <= decimals THEN
            SELECT a.parts INTO shared FROM kpi.apportion(total, weights, NULL, decimals, NULL) a;
        END IF;
        IF cardinality(takers) = 0 AND total <> 0 OR cardinality(takers) > 0 AND shared IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
                MESSAGE = format('locked target for unit "%s" in %s (%s) cannot be spread over its periods', node_path[coarse.i], coarse.period, direction * coarse.value),
                DETAIL = format('%s is left for %s periods that are not locked, with %s decimals.', trim_scale(direction * total), cardinality(takers), decimals),
                HINT = 'Unlock it, or the targets inside.';
        END IF;
        FOR c IN 1 .. cardinality(takers) LOOP
            fixed[takers[c]] := shared[c];
        END LOOP;
    END LOOP;

    -- what must be there for what is fixed, from the bottom up
    given := fixed;
    IF by_units <> 'same' AND EXISTS (SELECT FROM unnest(fixed) f WHERE f IS NOT NULL) THEN
        FOR i IN 1 .. nn LOOP
            FOR j IN node_from[i] .. node_to[i] LOOP
                IF scale(trim_scale(fixed[node_at[i] + j])) > decimals THEN
                    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
                        MESSAGE = format('locked target for unit "%s" in %s (%s) has more than %s decimals', node_path[i], periods[j], direction * fixed[node_at[i] + j], decimals),
                        HINT = format('Give decimals => %s, or unlock it.', scale(trim_scale(fixed[node_at[i] + j])));
                END IF;
            END LOOP;
        END LOOP;
        needs := array_fill(0::numeric, ARRAY[nc]);
        FOR i IN REVERSE nn .. 1 LOOP
            FOR j IN node_from[i] .. node_to[i] LOOP
                c := node_at[i] + j;
                IF fixed[c] IS NOT NULL THEN
                    needs[c] := fixed[c];
                    CONTINUE;
                END IF;
                total := 0;
                part := 0;
                all_fixed := kids_of[i] > 0;
                FOR k IN kids_at[i] + 1 .. kids_at[i] + kids_of[i] LOOP
                    c := node_at[kids[k]] + j;
                    all_fixed := all_fixed AND fixed[c] IS NOT NULL;
                    part := part + round(node_share[kids[k]] * needs[c], decimals);
                    total := total + CASE WHEN fixed[c] IS NOT NULL THEN round(node_share[kids[k]] * needs[c], decimals)
                                          ELSE ceil(node_share[kids[k]] * needs[c] * scaled) * rounding END;
                END LOOP;
                c := node_at[i] + j;
                needs[c] := CASE WHEN all_fixed THEN part ELSE total END;
                IF all_fixed THEN
                    fixed[c] := part;
                END IF;
            END LOOP;
        END LOOP;
    END IF;

    -- the top, over the periods
    cell := array_fill(NULL::numeric, ARRAY[nc]);
    words := array_fill(NULL::text, ARRAY[nc]);
    total := direction * value;
    takers := '{}';
    weights := '{}';
    at_least := '{}';
    FOR j IN 1 .. np LOOP
        CONTINUE WHEN top_of[j] IS NULL;
        c := node_at[top_of[j]] + j;
        IF NOT adds_over_periods OR np = 1 THEN
            cell[c] := coalesce(given[c], direction * value);
            words[c] := 'given';
            IF np = 1 AND cell[c] <> direction * value THEN
                RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
                    MESSAGE = format('target for %s in %s is locked at %s', place, whole, direction * cell[c]),
                    HINT = 'Unlock it first, or spread that value.';
            END IF;
        ELSIF fixed[c] IS NOT NULL THEN
            cell[c] := fixed[c];
            words[c] := 'what is locked beneath';
            total := total - fixed[c];
        ELSE
            takers := takers || c;
            weights := weights || period_weights[j];
            at_least := at_least || greatest(coalesce(needs[c], 0), 0);
        END IF;
    END LOOP;
    IF adds_over_periods AND np > 1 THEN
        shared := NULL;
        hint := 'weights';
        IF total < 0 OR cardinality(takers) = 0 AND total <> 0 THEN
            hint := 'locked';
        ELSIF cardinality(takers) > 0 THEN
            SELECT a.parts, a.failure INTO shared, hint FROM kpi.apportion(total, weights, at_least, decimals, NULL) a;
        ELSE
            hint := NULL;
        END IF;
        IF hint = 'locked' THEN
            RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
                MESSAGE = format('locked targets leave no way to spread %s over the periods of %s for %s', trim_scale(value), whole, place),
                DETAIL = format('%s is left for %s periods, which need at least %s.', trim_scale(direction * total), cardinality(takers),
                                trim_scale(direction * coalesce((SELECT sum(l) FROM unnest(at_least) l), 0))),
                HINT = 'Unlock some of them, or spread another value.';
        ELSIF hint = 'weights' THEN
            RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
                MESSAGE = format('all weights of the periods of %s are zero, so %s cannot be spread for %s', whole, trim_scale(direction * total), place),
                DETAIL = CASE by_periods WHEN 'history' THEN format('There are no actuals of %s in %s.', rules.unit, coalesce(of_period, kpi.year_before(whole)))
                              WHEN 'current' THEN 'There are no targets yet.' ELSE format('The pattern is %s.', pattern) END,
                HINT = 'Spread equally over the periods, or give other weights.';
        END IF;
        total := (SELECT sum(w) FROM unnest(weights) w);
        FOR c IN 1 .. cardinality(takers) LOOP
            cell[takers[c]] := shared[c];
            words[takers[c]] := format('%s %s of %s', by_periods, trim_scale(weights[c]), trim_scale(total));
        END LOOP;
    END IF;

    -- each unit's over those beneath it
    carry_all := array_fill(NULL::numeric, ARRAY[nn]);
    FOR i IN 1 .. nn LOOP
        CONTINUE WHEN kids_of[i] = 0;
        FOR j IN node_from[i] .. node_to[i] LOOP
            total := cell[node_at[i] + j];
            IF by_units = 'same' THEN
                FOR k IN kids_at[i] + 1 .. kids_at[i] + kids_of[i] LOOP
                    c := node_at[kids[k]] + j;
                    cell[c] := coalesce(fixed[c], total);
                    words[c] := 'same as ' || node_path[i]::text;
                END LOOP;
                CONTINUE;
            END IF;
            takers := '{}';
            weights := '{}';
            at_least := '{}';
            carry := '{}';
            FOR k IN kids_at[i] + 1 .. kids_at[i] + kids_of[i] LOOP
                c := node_at[kids[k]] + j;
                IF fixed[c] IS NOT NULL THEN
                    cell[c] := fixed[c];
                    words[c] := 'what is locked beneath';
                    total := total - round(node_share[kids[k]] * fixed[c], decimals);
                ELSIF node_share[kids[k]] < 0 THEN
                    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
                        MESSAGE = format('targets cannot be spread over unit "%s", which counts in unit "%s" with the weight %s in %s',
                                         node_path[kids[k]], node_path[i], node_share[kids[k]], periods[j]),
                        HINT = 'Set its target and lock it: the others then make up for it.';
                ELSE
                    takers := takers || kids[k];
                    weights := weights || CASE by_units WHEN 'equal' THEN 1 WHEN 'weight' THEN node_weight[kids[k]] ELSE node_share[kids[k]] * measured[c] END;
                    at_least := at_least || greatest(CASE WHEN needs IS NULL THEN 0 ELSE ceil(node_share[kids[k]] * needs[c] * scaled) * rounding END, 0);
                    carry := carry || CASE WHEN adds_over_periods THEN coalesce(carry_all[kids[k]], 0) ELSE 0 END;
                END IF;
            END LOOP;
            shared := NULL;
            hint := NULL;
            IF total < 0 OR cardinality(takers) = 0 AND total <> 0 THEN
                hint := 'locked';
            ELSIF cardinality(takers) > 0 THEN
                SELECT a.parts, a.carry, a.failure INTO shared, carry_after, hint FROM kpi.apportion(total, weights, at_least, decimals, carry) a;
            END IF;
            -- what counts more than once cannot bring every amount: what its rounded target does not is the others'
            takers_once := ARRAY(SELECT u.k::integer FROM unnest(takers) WITH ORDINALITY AS u (i, k) WHERE node_share[u.i] <= 1 ORDER BY u.k);
            IF shared IS NOT NULL AND cardinality(takers_once) < cardinality(takers) THEN
                FOR k IN 1 .. cardinality(takers) LOOP
                    CONTINUE WHEN node_share[takers[k]] <= 1;
                    part := round(node_share[takers[k]] * div(2 * shared[k] * scaled + node_share[takers[k]], 2 * node_share[takers[k]]) * rounding, decimals);
                    carry_after[k] := carry_after[k] + (shared[k] - part) * scaled;
                    shared[k] := part;
                    total := total - part;
                END LOOP;
                SELECT a.parts, a.carry INTO shared_once, carry_once
                  FROM kpi.apportion(greatest(total, 0), ARRAY(SELECT weights[u.k] FROM unnest(takers_once) WITH ORDINALITY AS u (k, o) ORDER BY u.o),
                                     ARRAY(SELECT at_least[u.k] FROM unnest(takers_once) WITH ORDINALITY AS u (k, o) ORDER BY u.o), decimals,
                                     ARRAY(SELECT carry[u.k] FROM unnest(takers_once) WITH ORDINALITY AS u (k, o) ORDER BY u.o)) a
                 WHERE cardinality(takers_once) > 0 AND total >= 0;
                FOR k IN 1 .. coalesce(cardinality(shared_once), 0) LOOP
                    shared[takers_once[k]] := shared_once[k];
                    carry_after[takers_once[k]] := carry_once[k];
                END LOOP;
            END IF;
            IF hint = 'locked' THEN
                RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
                    MESSAGE = format('locked targets beneath unit "%s" in %s leave no way to spread %s', node_path[i], periods[j], trim_scale(direction * cell[node_at[i] + j])),
                    DETAIL = format('%s is left for %s KPIs, which need at least %s.', trim_scale(direction * total), cardinality(takers),
                                    trim_scale(direction * coalesce((SELECT sum(l) FROM unnest(at_least) l), 0))),
                    HINT = 'Unlock some of them, or spread another value.';
            ELSIF hint = 'weights' THEN
                RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
                    MESSAGE = format('all weights beneath unit "%s" in %s are zero, so %s cannot be spread', node_path[i], periods[j], trim_scale(direction * total)),
                    DETAIL = CASE by_units WHEN 'weight' THEN 'They are those of kpi.kpi.weight.' WHEN 'current' THEN 'There are no targets yet.'
                                  ELSE format('There are no actuals of %s.', coalesce(earlier[j]::text, 'a year before')) END,
                    HINT = 'Use another method, or give other weights.';
            END IF;
            part := (SELECT sum(w) FROM unnest(weights) w);
            FOR k IN 1 .. cardinality(takers) LOOP
                c := node_at[takers[k]] + j;
                carry_all[takers[k]] := carry_after[k];
                -- what flows up is the part; where only a share does, the target is more
                cell[c] := CASE WHEN node_share[takers[k]] = 1 THEN shared[k] ELSE trim_scale(div(2 * shared[k] * scaled + node_share[takers[k]], 2 * node_share[takers[k]]) * rounding) END;
                words[c] := concat(by_units, ' ', trim_scale(weights[k]), ' of ', trim_scale(part),
                                   CASE WHEN node_share[takers[k]] <> 1 THEN format(', %s %s: %s flows up', CASE WHEN node_share[takers[k]] < 1 THEN 'share' ELSE 'weight' END,
                                                                                    node_share[takers[k]], trim_scale(direction * shared[k])) END);
            END LOOP;
        END LOOP;
    END LOOP;

    -- the plan
    row.measure := rules.measure;
    FOR i IN 1 .. nn LOOP
        row.unit := node_path[i];
        row.kpi_id := node_kpi[i];
        FOR j IN node_from[i] .. node_to[i] LOOP
            c := node_at[i] + j;
            row.period := periods[j];
            row.old_value := trim_scale(old_value[c]);
            row.locked := is_locked[c];
            row.state := old_state[c];
            row.new_value := CASE WHEN row.locked THEN row.old_value ELSE trim_scale(direction * cell[c]) END;
            row.basis := CASE WHEN row.locked THEN 'locked' ELSE words[c] END;
            RETURN NEXT row;
        END LOOP;
    END LOOP;

    -- targets of coarser periods inside, where there are any, follow
    RETURN QUERY
    SELECT n.path, rules.measure::text, t.period, trim_scale(t.value),
           CASE WHEN t.locked THEN trim_scale(t.value) WHEN adds_over_periods THEN trim_scale(direction * n.total) ELSE trim_scale(direction * n.last) END,
           t.locked, t.state,
           CASE WHEN t.locked THEN 'locked' WHEN adds_over_periods THEN format('sum of %s periods', n.periods) ELSE 'same' END, t.kpi_id
      FROM kpi.target t
     CROSS JOIN LATERAL (
            SELECT (array_agg(u.path ORDER BY x.j DESC))[1] AS path, sum(cell[u.at + x.j]) AS total, count(*) AS periods,
                   (array_agg(cell[u.at + x.j] ORDER BY x.j DESC))[1] AS last
              FROM unnest(node_kpi, node_path, node_from, node_to, node_at) AS u (kpi_id, path, first_no, last_no, at),
                   generate_series(u.first_no, u.last_no) AS x (j)
             WHERE u.kpi_id = t.kpi_id AND t.period OPERATOR(@extschema@.@>) periods[x.j]) n
     WHERE t.kpi_id = ANY (node_kpi) AND t.period OPERATOR(@extschema@.<@) whole AND kpi.grain(t.period) > leaf AND n.periods > 0
     ORDER BY n.path, t.period;
END
$$;
COMMENT ON FUNCTION kpi.spread_plan(bigint, @extschema@.kpi_period, numeric, text, text, numeric[], text, @extschema@.kpi_period, integer) IS
'Internal: the targets that kpi.cascade_target writes, worked out without writing.';
