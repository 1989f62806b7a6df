-- Targets from the top down: kpi.cascade_target writes what kpi.spread_plan has
-- worked out, in one statement.

CREATE FUNCTION kpi.write_plan(plan kpi.target_plan[], state text, note text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    planned bigint;
    written bigint;
BEGIN
    SELECT count(*) INTO planned
      FROM unnest(plan) p
     WHERE NOT p.locked AND p.new_value IS NOT NULL AND (p.new_value, write_plan.state) IS DISTINCT FROM (p.old_value, p.state);
    INSERT INTO kpi.target AS t (kpi_id, period, value, state, note)
    SELECT p.kpi_id, p.period, p.new_value, write_plan.state, write_plan.note
      FROM unnest(plan) p
     WHERE NOT p.locked AND p.new_value IS NOT NULL AND (p.new_value, write_plan.state) IS DISTINCT FROM (p.old_value, p.state)
    ON CONFLICT ON CONSTRAINT target_kpi_id_period_key DO UPDATE
       SET value = EXCLUDED.value, state = EXCLUDED.state, note = coalesce(EXCLUDED.note, t.note),
           proposed_by = CASE EXCLUDED.state WHEN 'proposed' THEN EXCLUDED.proposed_by ELSE t.proposed_by END,
           proposed_at = CASE EXCLUDED.state WHEN 'proposed' THEN EXCLUDED.proposed_at ELSE t.proposed_at END,
           agreed_by = CASE EXCLUDED.state WHEN 'final' THEN t.agreed_by ELSE EXCLUDED.agreed_by END,
           agreed_at = CASE EXCLUDED.state WHEN 'final' THEN t.agreed_at ELSE EXCLUDED.agreed_at END
     WHERE NOT t.locked;
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written <> planned THEN
        RAISE EXCEPTION USING ERRCODE = 'serialization_failure',
            MESSAGE = 'a target was locked while others were being spread around it',
            HINT = 'Repeat the transaction.';
    END IF;
END
$$;
COMMENT ON FUNCTION kpi.write_plan(kpi.target_plan[], text, text) IS
'Internal: writes the targets of a plan that differ and are not locked, in one statement. Error: 40001 where one was locked meanwhile.';

CREATE FUNCTION kpi.check_spread(kpi_id bigint, state text, dry_run boolean) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF check_spread.state IS NULL OR check_spread.state NOT IN ('proposed', 'agreed', 'final') THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = format('state "%s" of a target is not known', coalesce(check_spread.state, 'null')),
            HINT = 'Use one of: proposed, agreed, final.';
    ELSIF check_spread.dry_run IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = 'dry_run must not be null',
            HINT = 'Give true to see the plan, false to write it.';
    END IF;
    -- two spreads of one measure would not see each other's targets
    IF NOT check_spread.dry_run THEN
        PERFORM pg_advisory_xact_lock('kpi.target'::regclass::oid::integer,
                                      (SELECT hashint8(k.measure_id) FROM kpi.kpi k WHERE k.kpi_id = check_spread.kpi_id));
    END IF;
END
$$;
COMMENT ON FUNCTION kpi.check_spread(bigint, text, boolean) IS
'Internal: refuses unknown states (23514) and a dry_run that is null (22004), and unless it is a dry run lets one transaction at a time spread targets of a measure.';

CREATE FUNCTION kpi.cascade_target(
    unit text, measure text, period text, value numeric, method text DEFAULT NULL, grain text DEFAULT NULL, pattern numeric[] DEFAULT NULL,
    over_periods text DEFAULT NULL, of_period text DEFAULT NULL, decimals integer DEFAULT 2, state text DEFAULT 'final',
    note text DEFAULT NULL, dry_run boolean DEFAULT false)
    RETURNS SETOF kpi.target_plan
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    the_kpi constant bigint := kpi.kpi_id(cascade_target.unit, cascade_target.measure);
    plan kpi.target_plan[];
BEGIN
    PERFORM kpi.check_spread(the_kpi, cascade_target.state, dry_run);
    plan := ARRAY(SELECT p FROM kpi.spread_plan(the_kpi, cascade_target.period::@extschema@.kpi_period, cascade_target.value, method,
                                                cascade_target.grain, pattern, over_periods, of_period::@extschema@.kpi_period, decimals) p);
    IF NOT dry_run THEN
        PERFORM kpi.write_plan(plan, cascade_target.state, cascade_target.note);
    END IF;
    RETURN QUERY SELECT * FROM unnest(plan) p ORDER BY p.unit, p.period;
END
$$;
COMMENT ON FUNCTION kpi.cascade_target(text, text, text, numeric, text, text, numeric[], text, text, integer, text, text, boolean) IS
'Spreads the target of a KPI in a period over the KPIs of the same measure beneath it, all levels at once, and over the periods inside, down to the measure''s grain or the given one; writes them in one statement and returns the plan, one row per target (dry_run => true: without writing). The tree is that in force in each period, each KPI getting its part of the KPI at the nearest unit above. method: equal (the default where the measure adds up over units), weight (by kpi.weight), history (by last year''s actuals, or those of of_period), current (by the targets there are), same (everyone the same; the default, and the only one, for rollups but sum, count and none), pattern (the default method, over the periods by pattern). over_periods: equal, history, current, pattern (weights of the periods, repeated where they are more) or same; by default pattern where one is given, same where the measure does not add up over time, as method for history and current, else equal. What flows up from the KPIs beneath adds up exactly to the target above, and the periods to the whole, with so many decimals (largest remainder, ties by path); with another weight than 1, of an explicit value link between the two or by shares, the target is its part divided by that, rounded (above 1 the others take what that leaves over). Locked targets stay, the rest absorbs the difference. state and note are those of the targets written. Errors, with nothing changed: 22004 for a null period, value or dry_run; 55000 where locked targets leave no way, all weights are 0, a weight is negative or there is nothing to spread over; 22023 for a method, grain, pattern or period that does not fit; 42704 for an unknown KPI; 42501 where row security hides units beneath; 40001 where a target is locked meanwhile.';

CREATE FUNCTION kpi.cascade_target(
    unit text, measure text, period @extschema@.kpi_period, value numeric, method text DEFAULT NULL, grain text DEFAULT NULL, pattern numeric[] DEFAULT NULL,
    over_periods text DEFAULT NULL, of_period @extschema@.kpi_period DEFAULT NULL, decimals integer DEFAULT 2, state text DEFAULT 'final',
    note text DEFAULT NULL, dry_run boolean DEFAULT false)
    RETURNS SETOF kpi.target_plan
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT * FROM kpi.cascade_target(unit, measure, period::text, value, method, grain, pattern, over_periods, of_period::text, decimals, state, note, dry_run);
END;
COMMENT ON FUNCTION kpi.cascade_target(text, text, @extschema@.kpi_period, numeric, text, text, numeric[], text, @extschema@.kpi_period, integer, text, text, boolean) IS
'As kpi.cascade_target(text, text, text, numeric, text, text, numeric[], text, text, integer, text, text, boolean).';

CREATE FUNCTION kpi.cascade_target(
    unit @extschema@.kpi_path, measure text, period @extschema@.kpi_period, value numeric, method text DEFAULT NULL, grain text DEFAULT NULL, pattern numeric[] DEFAULT NULL,
    over_periods text DEFAULT NULL, of_period @extschema@.kpi_period DEFAULT NULL, decimals integer DEFAULT 2, state text DEFAULT 'final',
    note text DEFAULT NULL, dry_run boolean DEFAULT false)
    RETURNS SETOF kpi.target_plan
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT * FROM kpi.cascade_target(unit::text, measure, period::text, value, method, grain, pattern, over_periods, of_period::text, decimals, state, note, dry_run);
END;
COMMENT ON FUNCTION kpi.cascade_target(@extschema@.kpi_path, text, @extschema@.kpi_period, numeric, text, text, numeric[], text, @extschema@.kpi_period, integer, text, text, boolean) IS
'As kpi.cascade_target(text, text, text, numeric, text, text, numeric[], text, text, integer, text, text, boolean).';
