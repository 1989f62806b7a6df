-- Natural keys for people and files: functions and views that take a unit (by
-- path or code), a measure (by code) and a period in place of keys.
--
-- All run with the caller's rights, so row security and privileges of the
-- tables hold; but INSERT into the entry views needs nothing else.  Overloads: text is what unquoted literals and drivers'
-- parameters resolve to; with a kpi_path the unit is taken by path only; with
-- a kpi_period the period is.  The mixed forms are there so that no call is
-- ambiguous, whichever arguments are literals.

-- ---- looking KPIs up ----

CREATE FUNCTION kpi.entry_kpi(unit text, measure text, by_path boolean DEFAULT false,
                              OUT kpi_id bigint, OUT grain text, OUT fiscal_start integer)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    the_unit bigint;
    the_measure bigint;
    missing text;
BEGIN
    SELECT u.unit_id INTO the_unit FROM kpi.unit u WHERE u.path OPERATOR(@extschema@.=) kpi.path_or_null(entry_kpi.unit);
    IF NOT FOUND AND NOT by_path THEN
        SELECT u.unit_id INTO the_unit FROM kpi.unit u WHERE u.code = entry_kpi.unit;
    END IF;
    SELECT m.measure_id, m.grain::text, m.fiscal_start INTO the_measure, entry_kpi.grain, entry_kpi.fiscal_start
      FROM kpi.measure m WHERE m.code = entry_kpi.measure;
    SELECT k.kpi_id INTO entry_kpi.kpi_id FROM kpi.kpi k WHERE k.unit_id = the_unit AND k.measure_id = the_measure;
    IF FOUND THEN
        RETURN;
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'undefined_object',
        MESSAGE = format('KPI of unit "%s" and measure "%s" does not exist', coalesce(entry_kpi.unit, 'null'), coalesce(entry_kpi.measure, 'null')),
        DETAIL = CASE WHEN the_unit IS NULL THEN format('Unit "%s" does not exist.', coalesce(entry_kpi.unit, 'null'))
                      WHEN the_measure IS NULL THEN format('Measure "%s" does not exist.', coalesce(entry_kpi.measure, 'null'))
                      ELSE 'The measure is not deployed at the unit.' END,
        HINT = CASE WHEN the_unit IS NULL OR the_measure IS NULL
                    THEN 'Insert it into kpi.' || CASE WHEN the_unit IS NULL THEN 'unit' ELSE 'measure' END || ', then create the KPI with kpi.deploy(measure, under).'
                    ELSE format('Create it with SELECT kpi.deploy(%L, %L);', entry_kpi.measure, entry_kpi.unit) END;
END
$$;
COMMENT ON FUNCTION kpi.entry_kpi(text, text, boolean) IS
'Internal: the KPI of a unit, by path, else (unless by_path) by code, and a measure, with the grain and fiscal start of its facts. Error: 42704 where there is none, naming both, with the hint to kpi.deploy.';

CREATE FUNCTION kpi.kpi_id(unit text, measure text) RETURNS bigint
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN (SELECT e.kpi_id FROM kpi.entry_kpi(kpi_id.unit, kpi_id.measure) e);
END
$$;
COMMENT ON FUNCTION kpi.kpi_id(text, text) IS
'The key of the KPI of a unit (by path; where there is none, by unit code) and a measure. Error: 42704 where there is none, naming unit and measure.';

CREATE FUNCTION kpi.kpi_id(unit @extschema@.kpi_path, measure text) RETURNS bigint
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN (SELECT e.kpi_id FROM kpi.entry_kpi(kpi_id.unit::text, kpi_id.measure, true) e);
END
$$;
COMMENT ON FUNCTION kpi.kpi_id(@extschema@.kpi_path, text) IS
'As kpi.kpi_id(text, text), with the unit by path only.';

-- ---- facts ----

CREATE FUNCTION kpi.check_fact(unit text, measure text, grain @extschema@.kpi_grain, fiscal_start integer,
                               period @extschema@.kpi_period, value numeric, weight numeric) RETURNS void
    LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_check_fact';
COMMENT ON FUNCTION kpi.check_fact(text, text, @extschema@.kpi_grain, integer, @extschema@.kpi_period, numeric, numeric) IS
'Internal: refuses what is no fact of a measure of that grain and fiscal start. Errors: 23502 for nulls, 22023 for a period of another grain or fiscal start, 22003 for numbers out of range; unit and measure only name it.';

CREATE FUNCTION kpi.record_fact(unit text, measure text, period text, value numeric, weight numeric DEFAULT 1, note text DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    the_kpi record;
    the_period @extschema@.kpi_period;
    new_id bigint;
BEGIN
    SELECT * INTO the_kpi FROM kpi.entry_kpi(record_fact.unit, record_fact.measure);
    the_period := record_fact.period;
    IF kpi.grain(the_period) = 'day' AND the_kpi.grain <> 'day' THEN
        the_period := kpi.period(kpi.first_day(the_period), the_kpi.grain::@extschema@.kpi_grain, the_kpi.fiscal_start);
    END IF;
    PERFORM kpi.check_fact(record_fact.unit, record_fact.measure, the_kpi.grain::@extschema@.kpi_grain, the_kpi.fiscal_start, the_period, record_fact.value, record_fact.weight);
    INSERT INTO kpi.fact (kpi_id, period, value, weight, note)
    VALUES (the_kpi.kpi_id, the_period, record_fact.value, record_fact.weight, record_fact.note)
    RETURNING fact_id INTO new_id;
    RETURN new_id;
END
$$;
COMMENT ON FUNCTION kpi.record_fact(text, text, text, numeric, numeric, text) IS
'Adds a fact and returns its key. unit is a path or a unit code, period the text form of a period; a day falls into its period of the measure''s grain. weight is the denominator of a ratio. Errors: 42704 for an unknown KPI, 22023 for a period of another grain or fiscal start, 22003 for numbers out of range, 23502 for nulls.';

CREATE FUNCTION kpi.record_fact(unit text, measure text, period @extschema@.kpi_period, value numeric, weight numeric DEFAULT 1, note text DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    the_kpi record;
    the_period @extschema@.kpi_period;
    new_id bigint;
BEGIN
    SELECT * INTO the_kpi FROM kpi.entry_kpi(record_fact.unit, record_fact.measure);
    the_period := record_fact.period;
    PERFORM kpi.check_fact(record_fact.unit, record_fact.measure, the_kpi.grain::@extschema@.kpi_grain, the_kpi.fiscal_start, the_period, record_fact.value, record_fact.weight);
    INSERT INTO kpi.fact (kpi_id, period, value, weight, note)
    VALUES (the_kpi.kpi_id, the_period, record_fact.value, record_fact.weight, record_fact.note)
    RETURNING fact_id INTO new_id;
    RETURN new_id;
END
$$;
COMMENT ON FUNCTION kpi.record_fact(text, text, @extschema@.kpi_period, numeric, numeric, text) IS
'Adds a fact and returns its key, as kpi.record_fact(text, text, text, numeric, numeric, text), of exactly that period.';

CREATE FUNCTION kpi.record_fact(unit text, measure text, day date, value numeric, weight numeric DEFAULT 1, note text DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    the_kpi record;
    the_period @extschema@.kpi_period;
    new_id bigint;
BEGIN
    SELECT * INTO the_kpi FROM kpi.entry_kpi(record_fact.unit, record_fact.measure);
    the_period := kpi.period(record_fact.day, the_kpi.grain::@extschema@.kpi_grain, the_kpi.fiscal_start);
    PERFORM kpi.check_fact(record_fact.unit, record_fact.measure, the_kpi.grain::@extschema@.kpi_grain, the_kpi.fiscal_start, the_period, record_fact.value, record_fact.weight);
    INSERT INTO kpi.fact (kpi_id, period, value, weight, note)
    VALUES (the_kpi.kpi_id, the_period, record_fact.value, record_fact.weight, record_fact.note)
    RETURNING fact_id INTO new_id;
    RETURN new_id;
END
$$;
COMMENT ON FUNCTION kpi.record_fact(text, text, date, numeric, numeric, text) IS
'Adds a fact and returns its key, as kpi.record_fact(text, text, text, numeric, numeric, text), of the period of the measure''s grain that contains the day.';

CREATE FUNCTION kpi.record_fact(unit @extschema@.kpi_path, measure text, period text, value numeric, weight numeric DEFAULT 1, note text DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    the_kpi record;
    the_period @extschema@.kpi_period;
    new_id bigint;
BEGIN
    SELECT * INTO the_kpi FROM kpi.entry_kpi(record_fact.unit::text, record_fact.measure, true);
    the_period := record_fact.period;
    IF kpi.grain(the_period) = 'day' AND the_kpi.grain <> 'day' THEN
        the_period := kpi.period(kpi.first_day(the_period), the_kpi.grain::@extschema@.kpi_grain, the_kpi.fiscal_start);
    END IF;
    PERFORM kpi.check_fact(record_fact.unit::text, record_fact.measure, the_kpi.grain::@extschema@.kpi_grain, the_kpi.fiscal_start, the_period, record_fact.value, record_fact.weight);
    INSERT INTO kpi.fact (kpi_id, period, value, weight, note)
    VALUES (the_kpi.kpi_id, the_period, record_fact.value, record_fact.weight, record_fact.note)
    RETURNING fact_id INTO new_id;
    RETURN new_id;
END
$$;
COMMENT ON FUNCTION kpi.record_fact(@extschema@.kpi_path, text, text, numeric, numeric, text) IS
'Adds a fact and returns its key. The unit is taken by path only; period the text form of a period; a day falls into its period of the measure''s grain. weight is the denominator of a ratio. Errors: 42704 for an unknown KPI, 22023 for a period of another grain or fiscal start, 22003 for numbers out of range, 23502 for nulls.';

CREATE FUNCTION kpi.record_fact(unit @extschema@.kpi_path, measure text, period @extschema@.kpi_period, value numeric, weight numeric DEFAULT 1, note text DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    the_kpi record;
    the_period @extschema@.kpi_period;
    new_id bigint;
BEGIN
    SELECT * INTO the_kpi FROM kpi.entry_kpi(record_fact.unit::text, record_fact.measure, true);
    the_period := record_fact.period;
    PERFORM kpi.check_fact(record_fact.unit::text, record_fact.measure, the_kpi.grain::@extschema@.kpi_grain, the_kpi.fiscal_start, the_period, record_fact.value, record_fact.weight);
    INSERT INTO kpi.fact (kpi_id, period, value, weight, note)
    VALUES (the_kpi.kpi_id, the_period, record_fact.value, record_fact.weight, record_fact.note)
    RETURNING fact_id INTO new_id;
    RETURN new_id;
END
$$;
COMMENT ON FUNCTION kpi.record_fact(@extschema@.kpi_path, text, @extschema@.kpi_period, numeric, numeric, text) IS
'Adds a fact and returns its key, as kpi.record_fact(text, text, text, numeric, numeric, text), of exactly that period.';

CREATE FUNCTION kpi.record_fact(unit @extschema@.kpi_path, measure text, day date, value numeric, weight numeric DEFAULT 1, note text DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    the_kpi record;
    the_period @extschema@.kpi_period;
    new_id bigint;
BEGIN
    SELECT * INTO the_kpi FROM kpi.entry_kpi(record_fact.unit::text, record_fact.measure, true);
    the_period := kpi.period(record_fact.day, the_kpi.grain::@extschema@.kpi_grain, the_kpi.fiscal_start);
    PERFORM kpi.check_fact(record_fact.unit::text, record_fact.measure, the_kpi.grain::@extschema@.kpi_grain, the_kpi.fiscal_start, the_period, record_fact.value, record_fact.weight);
    INSERT INTO kpi.fact (kpi_id, period, value, weight, note)
    VALUES (the_kpi.kpi_id, the_period, record_fact.value, record_fact.weight, record_fact.note)
    RETURNING fact_id INTO new_id;
    RETURN new_id;
END
$$;
COMMENT ON FUNCTION kpi.record_fact(@extschema@.kpi_path, text, date, numeric, numeric, text) IS
'Adds a fact and returns its key, as kpi.record_fact(text, text, text, numeric, numeric, text), of the period of the measure''s grain that contains the day.';

CREATE FUNCTION kpi.set_fact(unit text, measure text, period text, value numeric, weight numeric DEFAULT 1, note text DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    the_kpi record;
    the_period @extschema@.kpi_period;
    new_id bigint;
BEGIN
    SELECT * INTO the_kpi FROM kpi.entry_kpi(set_fact.unit, set_fact.measure);
    the_period := set_fact.period;
    PERFORM kpi.check_fact(set_fact.unit, set_fact.measure, the_kpi.grain::@extschema@.kpi_grain, the_kpi.fiscal_start, the_period, set_fact.value, set_fact.weight);
    -- two that replace the same facts must not both find the old ones only
    PERFORM pg_advisory_xact_lock('kpi.fact'::regclass::oid::integer, hashtext(the_kpi.kpi_id || ' ' || the_period));
    DELETE FROM kpi.fact f WHERE f.kpi_id = the_kpi.kpi_id AND f.period OPERATOR(@extschema@.=) the_period;
    INSERT INTO kpi.fact (kpi_id, period, value, weight, note)
    VALUES (the_kpi.kpi_id, the_period, set_fact.value, set_fact.weight, set_fact.note)
    RETURNING fact_id INTO new_id;
    RETURN new_id;
END
$$;
COMMENT ON FUNCTION kpi.set_fact(text, text, text, numeric, numeric, text) IS
'Replaces all facts of a KPI and period by one and returns its key. unit is a path or a unit code, period the text form of a period of the measure''s grain. weight is the denominator of a ratio. Errors: 42704 for an unknown KPI, 22023 for a period of another grain or fiscal start, 22003 for numbers out of range, 23502 for nulls.';

CREATE FUNCTION kpi.set_fact(unit text, measure text, period @extschema@.kpi_period, value numeric, weight numeric DEFAULT 1, note text DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    the_kpi record;
    the_period @extschema@.kpi_period;
    new_id bigint;
BEGIN
    SELECT * INTO the_kpi FROM kpi.entry_kpi(set_fact.unit, set_fact.measure);
    the_period := set_fact.period;
    PERFORM kpi.check_fact(set_fact.unit, set_fact.measure, the_kpi.grain::@extschema@.kpi_grain, the_kpi.fiscal_start, the_period, set_fact.value, set_fact.weight);
    -- two that replace the same facts must not both find the old ones only
    PERFORM pg_advisory_xact_lock('kpi.fact'::regclass::oid::integer, hashtext(the_kpi.kpi_id || ' ' || the_period));
    DELETE FROM kpi.fact f WHERE f.kpi_id = the_kpi.kpi_id AND f.period OPERATOR(@extschema@.=) the_period;
    INSERT INTO kpi.fact (kpi_id, period, value, weight, note)
    VALUES (the_kpi.kpi_id, the_period, set_fact.value, set_fact.weight, set_fact.note)
    RETURNING fact_id INTO new_id;
    RETURN new_id;
END
$$;
COMMENT ON FUNCTION kpi.set_fact(text, text, @extschema@.kpi_period, numeric, numeric, text) IS
'As kpi.set_fact(text, text, text, numeric, numeric, text).';

CREATE FUNCTION kpi.set_fact(unit @extschema@.kpi_path, measure text, period text, value numeric, weight numeric DEFAULT 1, note text DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    the_kpi record;
    the_period @extschema@.kpi_period;
    new_id bigint;
BEGIN
    SELECT * INTO the_kpi FROM kpi.entry_kpi(set_fact.unit::text, set_fact.measure, true);
    the_period := set_fact.period;
    PERFORM kpi.check_fact(set_fact.unit::text, set_fact.measure, the_kpi.grain::@extschema@.kpi_grain, the_kpi.fiscal_start, the_period, set_fact.value, set_fact.weight);
    -- two that replace the same facts must not both find the old ones only
    PERFORM pg_advisory_xact_lock('kpi.fact'::regclass::oid::integer, hashtext(the_kpi.kpi_id || ' ' || the_period));
    DELETE FROM kpi.fact f WHERE f.kpi_id = the_kpi.kpi_id AND f.period OPERATOR(@extschema@.=) the_period;
    INSERT INTO kpi.fact (kpi_id, period, value, weight, note)
    VALUES (the_kpi.kpi_id, the_period, set_fact.value, set_fact.weight, set_fact.note)
    RETURNING fact_id INTO new_id;
    RETURN new_id;
END
$$;
COMMENT ON FUNCTION kpi.set_fact(@extschema@.kpi_path, text, text, numeric, numeric, text) IS
'As kpi.set_fact(text, text, text, numeric, numeric, text), with the unit by path only.';

CREATE FUNCTION kpi.set_fact(unit @extschema@.kpi_path, measure text, period @extschema@.kpi_period, value numeric, weight numeric DEFAULT 1, note text DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    the_kpi record;
    the_period @extschema@.kpi_period;
    new_id bigint;
BEGIN
    SELECT * INTO the_kpi FROM kpi.entry_kpi(set_fact.unit::text, set_fact.measure, true);
    the_period := set_fact.period;
    PERFORM kpi.check_fact(set_fact.unit::text, set_fact.measure, the_kpi.grain::@extschema@.kpi_grain, the_kpi.fiscal_start, the_period, set_fact.value, set_fact.weight);
    -- two that replace the same facts must not both find the old ones only
    PERFORM pg_advisory_xact_lock('kpi.fact'::regclass::oid::integer, hashtext(the_kpi.kpi_id || ' ' || the_period));
    DELETE FROM kpi.fact f WHERE f.kpi_id = the_kpi.kpi_id AND f.period OPERATOR(@extschema@.=) the_period;
    INSERT INTO kpi.fact (kpi_id, period, value, weight, note)
    VALUES (the_kpi.kpi_id, the_period, set_fact.value, set_fact.weight, set_fact.note)
    RETURNING fact_id INTO new_id;
    RETURN new_id;
END
$$;
COMMENT ON FUNCTION kpi.set_fact(@extschema@.kpi_path, text, @extschema@.kpi_period, numeric, numeric, text) IS
'As kpi.set_fact(text, text, text, numeric, numeric, text), with the unit by path only.';

-- ---- targets ----

CREATE FUNCTION kpi.set_target(unit text, measure text, period text, value numeric, baseline numeric DEFAULT NULL, low numeric DEFAULT NULL, high numeric DEFAULT NULL, points numeric[] DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    the_kpi record;
    new_id bigint;
BEGIN
    SELECT * INTO the_kpi FROM kpi.entry_kpi(set_target.unit, set_target.measure);
    INSERT INTO kpi.target AS t (kpi_id, period, value, baseline, low, high, points)
    VALUES (the_kpi.kpi_id, set_target.period, set_target.value, set_target.baseline, set_target.low, set_target.high, set_target.points)
    ON CONFLICT ON CONSTRAINT target_kpi_id_period_key DO UPDATE
       SET value = EXCLUDED.value, baseline = EXCLUDED.baseline, low = EXCLUDED.low, high = EXCLUDED.high, points = EXCLUDED.points
    RETURNING t.target_id INTO new_id;
    RETURN new_id;
END
$$;
COMMENT ON FUNCTION kpi.set_target(text, text, text, numeric, numeric, numeric, numeric, numeric[]) IS
'Sets the target of a KPI in a period, all of it (what is left out becomes null) but its note, and returns its key. unit is a path or a unit code, period the text form of a period of the measure''s grain or of a coarser one that it rolls up to. value may be null only where scoring is range or curve; points are {{value, score}, ...}. Errors: 42704 for an unknown KPI, and those of kpi.target.';

CREATE FUNCTION kpi.set_target(unit text, measure text, period @extschema@.kpi_period, value numeric, baseline numeric DEFAULT NULL, low numeric DEFAULT NULL, high numeric DEFAULT NULL, points numeric[] DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    the_kpi record;
    new_id bigint;
BEGIN
    SELECT * INTO the_kpi FROM kpi.entry_kpi(set_target.unit, set_target.measure);
    INSERT INTO kpi.target AS t (kpi_id, period, value, baseline, low, high, points)
    VALUES (the_kpi.kpi_id, set_target.period, set_target.value, set_target.baseline, set_target.low, set_target.high, set_target.points)
    ON CONFLICT ON CONSTRAINT target_kpi_id_period_key DO UPDATE
       SET value = EXCLUDED.value, baseline = EXCLUDED.baseline, low = EXCLUDED.low, high = EXCLUDED.high, points = EXCLUDED.points
    RETURNING t.target_id INTO new_id;
    RETURN new_id;
END
$$;
COMMENT ON FUNCTION kpi.set_target(text, text, @extschema@.kpi_period, numeric, numeric, numeric, numeric, numeric[]) IS
'As kpi.set_target(text, text, text, numeric, numeric, numeric, numeric, numeric[]).';

CREATE FUNCTION kpi.set_target(unit @extschema@.kpi_path, measure text, period text, value numeric, baseline numeric DEFAULT NULL, low numeric DEFAULT NULL, high numeric DEFAULT NULL, points numeric[] DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    the_kpi record;
    new_id bigint;
BEGIN
    SELECT * INTO the_kpi FROM kpi.entry_kpi(set_target.unit::text, set_target.measure, true);
    INSERT INTO kpi.target AS t (kpi_id, period, value, baseline, low, high, points)
    VALUES (the_kpi.kpi_id, set_target.period, set_target.value, set_target.baseline, set_target.low, set_target.high, set_target.points)
    ON CONFLICT ON CONSTRAINT target_kpi_id_period_key DO UPDATE
       SET value = EXCLUDED.value, baseline = EXCLUDED.baseline, low = EXCLUDED.low, high = EXCLUDED.high, points = EXCLUDED.points
    RETURNING t.target_id INTO new_id;
    RETURN new_id;
END
$$;
COMMENT ON FUNCTION kpi.set_target(@extschema@.kpi_path, text, text, numeric, numeric, numeric, numeric, numeric[]) IS
'As kpi.set_target(text, text, text, numeric, numeric, numeric, numeric, numeric[]), with the unit by path only.';

CREATE FUNCTION kpi.set_target(unit @extschema@.kpi_path, measure text, period @extschema@.kpi_period, value numeric, baseline numeric DEFAULT NULL, low numeric DEFAULT NULL, high numeric DEFAULT NULL, points numeric[] DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    the_kpi record;
    new_id bigint;
BEGIN
    SELECT * INTO the_kpi FROM kpi.entry_kpi(set_target.unit::text, set_target.measure, true);
    INSERT INTO kpi.target AS t (kpi_id, period, value, baseline, low, high, points)
    VALUES (the_kpi.kpi_id, set_target.period, set_target.value, set_target.baseline, set_target.low, set_target.high, set_target.points)
    ON CONFLICT ON CONSTRAINT target_kpi_id_period_key DO UPDATE
       SET value = EXCLUDED.value, baseline = EXCLUDED.baseline, low = EXCLUDED.low, high = EXCLUDED.high, points = EXCLUDED.points
    RETURNING t.target_id INTO new_id;
    RETURN new_id;
END
$$;
COMMENT ON FUNCTION kpi.set_target(@extschema@.kpi_path, text, @extschema@.kpi_period, numeric, numeric, numeric, numeric, numeric[]) IS
'As kpi.set_target(text, text, text, numeric, numeric, numeric, numeric, numeric[]), with the unit by path only.';

-- ---- links and deployment ----

CREATE FUNCTION kpi.link_kpi(child_unit text, child_measure text, parent_unit text, parent_measure text, contributes text, weight numeric DEFAULT 1, valid_from date DEFAULT NULL, valid_to date DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    new_id bigint;
BEGIN
    INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes, weight, valid_from, valid_to)
    SELECT c.kpi_id, p.kpi_id, link_kpi.contributes, link_kpi.weight, link_kpi.valid_from, link_kpi.valid_to
      FROM kpi.entry_kpi(link_kpi.child_unit, link_kpi.child_measure) c,
           kpi.entry_kpi(link_kpi.parent_unit, link_kpi.parent_measure) p
    RETURNING link_id INTO new_id;
    RETURN new_id;
EXCEPTION WHEN exclusion_violation THEN
    RAISE EXCEPTION USING ERRCODE = 'exclusion_violation',
        MESSAGE = format('measure "%s" at unit "%s" is linked to measure "%s" at unit "%s" as "%s" on some of these days already',
                         link_kpi.child_measure, link_kpi.child_unit, link_kpi.parent_measure, link_kpi.parent_unit, link_kpi.contributes),
        HINT = 'End the other link with valid_to, or update its weight.',
        SCHEMA = 'kpi', TABLE = 'link', CONSTRAINT = 'link_validity_overlap';
END
$$;
COMMENT ON FUNCTION kpi.link_kpi(text, text, text, text, text, numeric, date, date) IS
'Links a child KPI to a parent KPI and returns the key of the link. Units are paths or unit codes; contributes is value, numerator, denominator, growth, score or aligned; valid_from and valid_to are null for open. Errors: 42704 for an unknown KPI, 23P01 where the validity of such a link overlaps another''s, 23514 where that kind of link is not allowed between the two, 23001 where it would close a cycle, 22003 for a weight out of range.';

CREATE FUNCTION kpi.link_kpi(child_unit @extschema@.kpi_path, child_measure text, parent_unit @extschema@.kpi_path, parent_measure text, contributes text, weight numeric DEFAULT 1, valid_from date DEFAULT NULL, valid_to date DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    new_id bigint;
BEGIN
    INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes, weight, valid_from, valid_to)
    SELECT c.kpi_id, p.kpi_id, link_kpi.contributes, link_kpi.weight, link_kpi.valid_from, link_kpi.valid_to
      FROM kpi.entry_kpi(link_kpi.child_unit::text, link_kpi.child_measure, true) c,
           kpi.entry_kpi(link_kpi.parent_unit::text, link_kpi.parent_measure, true) p
    RETURNING link_id INTO new_id;
    RETURN new_id;
EXCEPTION WHEN exclusion_violation THEN
    RAISE EXCEPTION USING ERRCODE = 'exclusion_violation',
        MESSAGE = format('measure "%s" at unit "%s" is linked to measure "%s" at unit "%s" as "%s" on some of these days already',
                         link_kpi.child_measure, link_kpi.child_unit, link_kpi.parent_measure, link_kpi.parent_unit, link_kpi.contributes),
        HINT = 'End the other link with valid_to, or update its weight.',
        SCHEMA = 'kpi', TABLE = 'link', CONSTRAINT = 'link_validity_overlap';
END
$$;
COMMENT ON FUNCTION kpi.link_kpi(@extschema@.kpi_path, text, @extschema@.kpi_path, text, text, numeric, date, date) IS
'As kpi.link_kpi(text, text, text, text, text, numeric, date, date), with the units by path only.';

CREATE FUNCTION kpi.deploy(measure text, under text, level_nos integer[] DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    the_measure bigint;
    top @extschema@.kpi_path;
    created bigint;
BEGIN
    SELECT m.measure_id INTO the_measure FROM kpi.measure m WHERE m.code = deploy.measure;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('measure "%s" does not exist', coalesce(deploy.measure, 'null')),
            HINT = 'Insert it into kpi.measure first.';
    END IF;
    SELECT u.path INTO top FROM kpi.unit u WHERE u.unit_id = kpi.unit_id(deploy.under);
    INSERT INTO kpi.kpi (unit_id, measure_id)
    SELECT u.unit_id, the_measure
      FROM kpi.unit u
     WHERE u.path OPERATOR(@extschema@.<@) top
       AND (level_nos IS NULL OR u.level_no = ANY (level_nos))
       AND NOT EXISTS (SELECT FROM kpi.kpi k WHERE k.unit_id = u.unit_id AND k.measure_id = the_measure)
     ORDER BY u.path
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS created = ROW_COUNT;
    RETURN created;
END
$$;
COMMENT ON FUNCTION kpi.deploy(text, text, integer[]) IS
'Creates the KPIs of a measure at a unit (by path or unit code) and all units beneath it, or those of them on the given levels, where they do not exist yet, and returns how many. Error: 42704 for an unknown measure or unit.';

CREATE FUNCTION kpi.deploy(measure text, under @extschema@.kpi_path, level_nos integer[] DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    the_measure bigint;
    top @extschema@.kpi_path;
    created bigint;
BEGIN
    SELECT m.measure_id INTO the_measure FROM kpi.measure m WHERE m.code = deploy.measure;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('measure "%s" does not exist', coalesce(deploy.measure, 'null')),
            HINT = 'Insert it into kpi.measure first.';
    END IF;
    SELECT u.path INTO top FROM kpi.unit u WHERE u.unit_id = kpi.unit_id(deploy.under);
    INSERT INTO kpi.kpi (unit_id, measure_id)
    SELECT u.unit_id, the_measure
      FROM kpi.unit u
     WHERE u.path OPERATOR(@extschema@.<@) top
       AND (level_nos IS NULL OR u.level_no = ANY (level_nos))
       AND NOT EXISTS (SELECT FROM kpi.kpi k WHERE k.unit_id = u.unit_id AND k.measure_id = the_measure)
     ORDER BY u.path
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS created = ROW_COUNT;
    RETURN created;
END
$$;
COMMENT ON FUNCTION kpi.deploy(text, @extschema@.kpi_path, integer[]) IS
'As kpi.deploy(text, text, integer[]), with the unit by path only.';

-- ---- views for files ----

CREATE VIEW kpi.fact_entry WITH (security_invoker = true) AS
SELECT u.path::text AS unit, m.code AS measure, f.period::text AS period, f.value, f.weight, f.reference, f.note
  FROM kpi.fact f
  JOIN kpi.kpi k ON k.kpi_id = f.kpi_id
  JOIN kpi.unit u ON u.unit_id = k.unit_id
  JOIN kpi.measure m ON m.measure_id = k.measure_id;
ALTER VIEW kpi.fact_entry ALTER COLUMN weight SET DEFAULT 1;
COMMENT ON VIEW kpi.fact_entry IS
'Facts by natural keys, all text and numeric, so that COPY kpi.fact_entry FROM a CSV works. INSERT and COPY add facts, all of a statement at once or none: an unknown KPI fails it (42704), naming unit and measure. Rows with a reference can be updated and deleted here; others cannot be told apart and are changed in kpi.fact. ON CONFLICT is for kpi.fact. INSERT on the view is all that inserting needs; everything else runs with the caller''s rights on kpi.fact, kpi, unit and measure, and so does inserting where row security applies to the caller';
COMMENT ON COLUMN kpi.fact_entry.unit IS 'The unit''s path; to write also a unit code, where there is no unit of that path';
COMMENT ON COLUMN kpi.fact_entry.measure IS 'The measure''s code';
COMMENT ON COLUMN kpi.fact_entry.period IS 'The period, of the measure''s grain and fiscal start: 2026-08, 2026-W34, FY2027-Q1/04';
COMMENT ON COLUMN kpi.fact_entry.value IS 'The number observed; for a ratio its numerator';
COMMENT ON COLUMN kpi.fact_entry.weight IS 'Its weight; for a ratio the denominator; 1 where the column is left out';
COMMENT ON COLUMN kpi.fact_entry.reference IS 'The caller''s own key, unique; null for none';
COMMENT ON COLUMN kpi.fact_entry.note IS 'Anything worth knowing about it';

CREATE VIEW kpi.target_entry WITH (security_invoker = true) AS
SELECT u.path::text AS unit, m.code AS measure, t.period::text AS period, t.value, t.baseline, t.low, t.high, t.points, t.note
  FROM kpi.target t
  JOIN kpi.kpi k ON k.kpi_id = t.kpi_id
  JOIN kpi.unit u ON u.unit_id = k.unit_id
  JOIN kpi.measure m ON m.measure_id = k.measure_id;
COMMENT ON VIEW kpi.target_entry IS
'Targets by natural keys, all text and numeric, so that COPY kpi.target_entry FROM a CSV works. INSERT and COPY set targets, replacing those that exist, all of a statement at once or none: an unknown KPI fails it (42704), naming unit and measure. UPDATE and DELETE work too. INSERT on the view is all that inserting needs; everything else runs with the caller''s rights on kpi.target, kpi, unit and measure, and so does inserting where row security applies to the caller';
COMMENT ON COLUMN kpi.target_entry.unit IS 'The unit''s path; to write also a unit code, where there is no unit of that path';
COMMENT ON COLUMN kpi.target_entry.measure IS 'The measure''s code';
COMMENT ON COLUMN kpi.target_entry.period IS 'The period, of the measure''s grain or a coarser one it rolls up to, with its fiscal start';
COMMENT ON COLUMN kpi.target_entry.value IS 'What the actual shall reach; may be null only where scoring is range or curve';
COMMENT ON COLUMN kpi.target_entry.baseline IS 'Where progress starts from';
COMMENT ON COLUMN kpi.target_entry.low IS 'Lower end of the range; null for open';
COMMENT ON COLUMN kpi.target_entry.high IS 'Upper end of the range; null for open';
COMMENT ON COLUMN kpi.target_entry.points IS 'Points {{value, score}, ...} of the curve';
COMMENT ON COLUMN kpi.target_entry.note IS 'Anything worth knowing about it';

CREATE FUNCTION kpi.entry_begin() RETURNS trigger
    LANGUAGE C AS 'MODULE_PATHNAME', 'kpi_entry_begin';
COMMENT ON FUNCTION kpi.entry_begin() IS 'Internal trigger of the entry views: starts to collect rows.';
CREATE FUNCTION kpi.entry_row() RETURNS trigger
    LANGUAGE C AS 'MODULE_PATHNAME', 'kpi_entry_row';
COMMENT ON FUNCTION kpi.entry_row() IS 'Internal trigger of the entry views: checks and collects a row. Errors: 42704 for an unknown KPI, 22P02 for a malformed period, 22023 for one that does not fit the measure, 22003 for numbers out of range, 23502 for nulls, 21000 for a target that comes twice.';
-- no search_path of its own: it qualifies what it names, and users' triggers on
-- kpi.fact and kpi.target run as they would for a plain INSERT
CREATE FUNCTION kpi.entry_write() RETURNS trigger
    LANGUAGE C AS 'MODULE_PATHNAME', 'kpi_entry_write';
COMMENT ON FUNCTION kpi.entry_write() IS 'Internal trigger of the entry views: writes the rows collected, in one statement.';

CREATE TRIGGER entry_begin BEFORE INSERT ON kpi.fact_entry FOR EACH STATEMENT EXECUTE FUNCTION kpi.entry_begin();
CREATE TRIGGER entry_row INSTEAD OF INSERT ON kpi.fact_entry FOR EACH ROW EXECUTE FUNCTION kpi.entry_row();
CREATE TRIGGER entry_write AFTER INSERT ON kpi.fact_entry FOR EACH STATEMENT EXECUTE FUNCTION kpi.entry_write();
CREATE TRIGGER entry_begin BEFORE INSERT ON kpi.target_entry FOR EACH STATEMENT EXECUTE FUNCTION kpi.entry_begin();
CREATE TRIGGER entry_row INSTEAD OF INSERT ON kpi.target_entry FOR EACH ROW EXECUTE FUNCTION kpi.entry_row();
CREATE TRIGGER entry_write AFTER INSERT ON kpi.target_entry FOR EACH STATEMENT EXECUTE FUNCTION kpi.entry_write();

CREATE FUNCTION kpi.fact_entry_change() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    the_kpi record;
BEGIN
    IF OLD.reference IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
            MESSAGE = format('fact of unit "%s" and measure "%s" in %s has no reference to find it by', OLD.unit, OLD.measure, OLD.period),
            HINT = 'Change it in kpi.fact by fact_id, or replace it with kpi.set_fact.';
    END IF;
    IF TG_OP = 'DELETE' THEN
        DELETE FROM kpi.fact f WHERE f.reference = OLD.reference;
        RETURN CASE WHEN FOUND THEN OLD END;
    END IF;
    SELECT * INTO the_kpi FROM kpi.entry_kpi(NEW.unit, NEW.measure);
    PERFORM kpi.check_fact(NEW.unit, NEW.measure, the_kpi.grain::@extschema@.kpi_grain, the_kpi.fiscal_start,
                           NEW.period::@extschema@.kpi_period, NEW.value, NEW.weight);
    UPDATE kpi.fact f
       SET kpi_id = the_kpi.kpi_id, period = NEW.period::@extschema@.kpi_period, value = NEW.value, weight = NEW.weight,
           reference = NEW.reference, note = NEW.note
     WHERE f.reference = OLD.reference;
    RETURN CASE WHEN FOUND THEN NEW END;
END
$$;
COMMENT ON FUNCTION kpi.fact_entry_change() IS
'Internal trigger of kpi.fact_entry: updates and deletes the fact of that reference; refuses facts without one (0A000).';
CREATE TRIGGER fact_entry_change INSTEAD OF UPDATE OR DELETE ON kpi.fact_entry
    FOR EACH ROW EXECUTE FUNCTION kpi.fact_entry_change();

CREATE FUNCTION kpi.target_entry_change() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    was record;
    the_kpi record;
BEGIN
    SELECT * INTO was FROM kpi.entry_kpi(OLD.unit, OLD.measure, true);
    IF TG_OP = 'DELETE' THEN
        DELETE FROM kpi.target t WHERE t.kpi_id = was.kpi_id AND t.period OPERATOR(@extschema@.=) OLD.period::@extschema@.kpi_period;
        RETURN CASE WHEN FOUND THEN OLD END;
    END IF;
    SELECT * INTO the_kpi FROM kpi.entry_kpi(NEW.unit, NEW.measure);
    UPDATE kpi.target t
       SET kpi_id = the_kpi.kpi_id, period = NEW.period::@extschema@.kpi_period, value = NEW.value, baseline = NEW.baseline,
           low = NEW.low, high = NEW.high, points = NEW.points, note = NEW.note
     WHERE t.kpi_id = was.kpi_id AND t.period OPERATOR(@extschema@.=) OLD.period::@extschema@.kpi_period;
    RETURN CASE WHEN FOUND THEN NEW END;
END
$$;
COMMENT ON FUNCTION kpi.target_entry_change() IS
'Internal trigger of kpi.target_entry: updates and deletes the target of that unit, measure and period.';
CREATE TRIGGER target_entry_change INSTEAD OF UPDATE OR DELETE ON kpi.target_entry
    FOR EACH ROW EXECUTE FUNCTION kpi.target_entry_change();

-- Triggers say what their function does.
DO $$
DECLARE
    thing record;
BEGIN
    FOR thing IN
        SELECT t.tgname, t.tgrelid::regclass AS relation,
               CASE WHEN t.tgfoid = 'kpi.refuse_row()'::regprocedure
                    THEN 'Refuses: ' || replace(split_part(encode(t.tgargs, 'escape'), '\000', 2), '%', '...')
                    ELSE pg_catalog.obj_description(t.tgfoid, 'pg_proc') END AS meaning
          FROM pg_catalog.pg_trigger t
          JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
         WHERE c.relnamespace = 'kpi'::regnamespace AND NOT t.tgisinternal
           AND pg_catalog.obj_description(t.oid, 'pg_trigger') IS NULL
    LOOP
        EXECUTE format('COMMENT ON TRIGGER %I ON %s IS %L', thing.tgname, thing.relation, thing.meaning);
    END LOOP;
END
$$;
