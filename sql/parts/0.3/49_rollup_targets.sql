-- Targets from the bottom up: kpi.rollup_targets adds up those of the KPIs
-- beneath, level by level, and writes the sums as kpi.cascade_target does.

CREATE FUNCTION kpi.rollup_plan(top bigint, period @extschema@.kpi_period, new_state text) RETURNS SETOF kpi.target_plan
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    whole constant @extschema@.kpi_period := period;
    states constant text[] := '{proposed,agreed,final}';
    rules record;
    periods @extschema@.kpi_period[];
    nn integer;
    node_kpi bigint[];
    node_path @extschema@.kpi_path[];
    node_parent integer[];
    node_weight numeric[];
    node_growth boolean[];
    node_from integer[];
    node_to integer[];
    node_at integer[];
    kids integer[];
    kids_at integer[];
    kids_of integer[];
    is_hidden boolean;
    old_value numeric[];
    old_state text[];
    is_locked boolean[];
    cell numeric[];                 -- targets that count here, or have been added up
    row kpi.target_plan;
    seen integer;
    first_missing integer;
    total numeric;
    weight numeric;
    i integer;
    j integer;
    k integer;
    c integer;
BEGIN
    SELECT m.measure_id, m.code AS measure, m.rollup, m.rolls_up, m.grain, m.fiscal_start, m.targets_count_from, u.path AS unit INTO rules
      FROM kpi.kpi k JOIN kpi.measure m ON m.measure_id = k.measure_id JOIN kpi.unit u ON u.unit_id = k.unit_id
     WHERE k.kpi_id = top;
    IF whole IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = format('no period is given to add up targets in for unit "%s" and measure "%s"', rules.unit, rules.measure),
            HINT = 'kpi.rollup_targets takes a unit, a measure and a period.';
    ELSIF NOT kpi.is_target_period(whole, rules.grain, rules.fiscal_start) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('target period "%s" for unit "%s" does not fit measure "%s"', whole, rules.unit, rules.measure),
            DETAIL = format('The measure''s grain is %s, with the year starting in month %s.', rules.grain, rules.fiscal_start),
            HINT = kpi.target_period_hint(rules.grain);
    ELSIF rules.rollup = 'none' OR NOT rules.rolls_up THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('targets of measure "%s" do not add up over units', rules.measure),
            DETAIL = CASE WHEN rules.rollup = 'none' THEN 'Its rollup is none.' ELSE 'Its rolls_up is false.' END,
            HINT = 'Set the targets of each unit.';
    END IF;
    periods := ARRAY(SELECT t.period
                       FROM kpi.target t JOIN kpi.kpi k ON k.kpi_id = t.kpi_id
                      WHERE k.measure_id = rules.measure_id AND t.period OPERATOR(@extschema@.<@) whole
                      GROUP BY t.period ORDER BY kpi.last_day(t.period), t.period);
    IF cardinality(periods) = 0 THEN
        RETURN;
    END IF;

    WITH tree AS MATERIALIZED (
        SELECT t.*, row_number() OVER (ORDER BY t.first_no, t.path)::integer AS i
          FROM kpi.spread_tree(top, ARRAY(SELECT kpi.last_day(p) FROM unnest(periods) WITH ORDINALITY AS u (p, o) ORDER BY o)) t
    ), node AS (
        SELECT t.*, p.i AS parent, sum(t.last_no - t.first_no + 1) OVER (ORDER BY t.i)::integer AS cells
          FROM tree t LEFT JOIN tree p ON p.first_no = t.first_no AND p.kpi_id = t.parent_kpi_id
    )
    SELECT array_agg(n.kpi_id ORDER BY n.i), array_agg(n.path ORDER BY n.i), array_agg(n.parent ORDER BY n.i),
           array_agg(CASE WHEN rules.rollup IN ('sum', 'count') THEN n.share ELSE n.share * n.weight END ORDER BY n.i), array_agg(n.is_growth ORDER BY n.i),
           array_agg(n.first_no ORDER BY n.i), array_agg(n.last_no ORDER BY n.i), array_agg(n.cells - n.last_no ORDER BY n.i),
           bool_or(CASE WHEN (SELECT kpi.row_security_applies()) THEN n.unit_id NOT IN (SELECT v FROM kpi.visible_units() v) END)
      INTO node_kpi, node_path, node_parent, node_weight, node_growth, node_from, node_to, node_at, is_hidden
      FROM node n;
    IF is_hidden THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('targets for unit "%s" and measure "%s" in %s cannot be added up over units that you cannot see', rules.unit, rules.measure, whole),
            HINT = 'Row security on kpi.unit hides some of those beneath it.';
    END IF;
    nn := coalesce(cardinality(node_kpi), 0);
    IF nn = 0 THEN
        RETURN;
    END IF;
    kids_of := array_fill(0, ARRAY[nn]);
    kids_at := array_fill(0, ARRAY[nn]);
    FOR i IN 1 .. nn LOOP
        IF node_parent[i] IS NOT NULL THEN
            kids_of[node_parent[i]] := kids_of[node_parent[i]] + 1;
        END IF;
    END LOOP;
    kids := ARRAY(SELECT u.i FROM unnest(node_parent) WITH ORDINALITY AS u (parent, i) WHERE u.parent IS NOT NULL ORDER BY u.parent, u.i);
    c := 0;
    FOR i IN 1 .. nn LOOP
        kids_at[i] := c;
        c := c + kids_of[i];
    END LOOP;

    -- proposals add up to a proposal, even where they do not count for the figures
    SELECT array_agg(trim_scale(t.value) ORDER BY s.c), array_agg(t.state ORDER BY s.c), array_agg(coalesce(t.locked, false) ORDER BY s.c),
           array_agg(CASE WHEN t.locked OR array_position(states, t.state) >= least(array_position(states, rules.targets_count_from), array_position(states, new_state))
                          THEN trim_scale(t.value) END ORDER BY s.c)
      INTO old_value, old_state, is_locked, cell
      FROM (SELECT u.kpi_id, periods[x.j] AS p, u.at + x.j AS c
              FROM unnest(node_kpi, node_from, node_to, node_at) AS u (kpi_id, first_no, last_no, at), generate_series(u.first_no, u.last_no) AS x (j)) s
      LEFT JOIN kpi.target t ON t.kpi_id = s.kpi_id AND t.period OPERATOR(@extschema@.=) s.p;

    row.measure := rules.measure;
    FOR i IN REVERSE nn .. 1 LOOP
        CONTINUE WHEN kids_of[i] = 0 OR node_growth[i];
        FOR j IN REVERSE node_to[i] .. node_from[i] LOOP
            seen := 0;
            first_missing := NULL;
            total := NULL;
            weight := 0;
            FOR k IN kids_at[i] + 1 .. kids_at[i] + kids_of[i] LOOP
                CONTINUE WHEN node_growth[kids[k]];
                c := node_at[kids[k]] + j;
                IF cell[c] IS NULL THEN
                    first_missing := coalesce(first_missing, kids[k]);
                    CONTINUE;
                END IF;
                seen := seen + 1;
                total := CASE rules.rollup WHEN 'min' THEN least(total, cell[c]) WHEN 'max' THEN greatest(total, cell[c])
                                           ELSE coalesce(total, 0) + node_weight[kids[k]] * cell[c] END;
                weight := weight + node_weight[kids[k]];
            END LOOP;
            CONTINUE WHEN seen = 0;
            c := node_at[i] + j;
            row.unit := node_path[i];
            row.kpi_id := node_kpi[i];
            row.period := periods[j];
            row.old_value := old_value[c];
            row.locked := is_locked[c];
            row.state := old_state[c];
            IF row.locked THEN
                row.new_value := row.old_value;
                row.basis := 'locked';
            ELSIF first_missing IS NOT NULL THEN
                row.new_value := NULL;
                k := node_at[first_missing] + j;
                row.basis := CASE WHEN old_value[k] IS NULL THEN format('no target of unit "%s"', node_path[first_missing])
                                  ELSE format('target of unit "%s" is only %s', node_path[first_missing], old_state[k]) END;
            ELSIF rules.rollup IN ('sum', 'count') THEN
                row.new_value := trim_scale(round(total, 20));
                row.basis := format('sum of %s', seen);
            ELSIF rules.rollup IN ('min', 'max') THEN
                row.new_value := total;
                row.basis := format('%s of %s', CASE rules.rollup WHEN 'min' THEN 'smallest' ELSE 'largest' END, seen);
            ELSE
                row.new_value := kpi.exact_quotient(total, weight);
                row.basis := CASE WHEN weight = 0 THEN 'all weights are 0' ELSE format('mean of %s by weight', seen) END;
            END IF;
            cell[c] := coalesce(row.new_value, cell[c]);
            RETURN NEXT row;
        END LOOP;
    END LOOP;
END
$$;
COMMENT ON FUNCTION kpi.rollup_plan(bigint, @extschema@.kpi_period, text) IS
'Internal: the targets that kpi.rollup_targets writes, worked out without writing.';

CREATE FUNCTION kpi.rollup_targets(
    unit text, measure text, period text, dry_run boolean DEFAULT false, state text DEFAULT 'final', note text DEFAULT NULL)
    RETURNS SETOF kpi.target_plan
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    the_kpi constant bigint := kpi.kpi_id(rollup_targets.unit, rollup_targets.measure);
    plan kpi.target_plan[];
BEGIN
    PERFORM kpi.check_spread(the_kpi, rollup_targets.state, dry_run);
    plan := ARRAY(SELECT p FROM kpi.rollup_plan(the_kpi, rollup_targets.period::@extschema@.kpi_period, rollup_targets.state) p);
    IF NOT dry_run THEN
        PERFORM kpi.write_plan(plan, rollup_targets.state, rollup_targets.note);
    END IF;
    RETURN QUERY SELECT * FROM unnest(plan) p ORDER BY p.unit, p.period;
END
$$;
COMMENT ON FUNCTION kpi.rollup_targets(text, text, text, boolean, text, text) IS
'The reverse of kpi.cascade_target: sets the targets of a KPI, and of those beneath it that have others of the same measure beneath them, from the targets beneath, from the bottom up; for the period and every period inside for which there are targets, each by itself and in the tree in force in it. Sums, with shares, where the measure''s rollup is sum or count; the smallest or largest for min and max; else the mean weighted by kpi.weight and share, rounded to 12 places. Targets taken are those that count, and those whose state is at least the given one, which the targets written get. Locked targets stay. Where one beneath has no target in a period nothing is written, new_value is null, and basis says which. Writes in one statement and returns the plan (dry_run => true: without writing). Errors: 42704 for an unknown KPI, 22023 for a period that does not fit or a measure that does not roll up, 42501 where row security hides units beneath.';

CREATE FUNCTION kpi.rollup_targets(
    unit text, measure text, period @extschema@.kpi_period, dry_run boolean DEFAULT false, state text DEFAULT 'final', note text DEFAULT NULL)
    RETURNS SETOF kpi.target_plan
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT * FROM kpi.rollup_targets(unit, measure, period::text, dry_run, state, note);
END;
COMMENT ON FUNCTION kpi.rollup_targets(text, text, @extschema@.kpi_period, boolean, text, text) IS
'As kpi.rollup_targets(text, text, text, boolean, text, text).';

CREATE FUNCTION kpi.rollup_targets(
    unit @extschema@.kpi_path, measure text, period @extschema@.kpi_period, dry_run boolean DEFAULT false, state text DEFAULT 'final', note text DEFAULT NULL)
    RETURNS SETOF kpi.target_plan
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT * FROM kpi.rollup_targets(unit::text, measure, period::text, dry_run, state, note);
END;
COMMENT ON FUNCTION kpi.rollup_targets(@extschema@.kpi_path, text, @extschema@.kpi_period, boolean, text, text) IS
'As kpi.rollup_targets(text, text, text, boolean, text, text).';
