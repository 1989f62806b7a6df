-- Catchball: a target is proposed, agreed and made final, and the row keeps
-- who proposed it and who agreed.  From which state on targets count is
-- kpi.measure.targets_count_from; the engine leaves the others out.

CREATE TRIGGER state_refused BEFORE INSERT OR UPDATE ON kpi.target
    FOR EACH ROW WHEN (NEW.state NOT IN ('proposed', 'agreed', 'final'))
    EXECUTE FUNCTION kpi.refuse_row('23514', 'state "%" of a target is not known', 'state', 'Use one of: proposed, agreed, final.');
COMMENT ON TRIGGER state_refused ON kpi.target IS 'Refuses: state "..." of a target is not known';
CREATE TRIGGER targets_count_from_refused BEFORE INSERT OR UPDATE ON kpi.measure
    FOR EACH ROW WHEN (NEW.targets_count_from NOT IN ('proposed', 'agreed', 'final'))
    EXECUTE FUNCTION kpi.refuse_row('23514', 'targets_count_from "%" is not known', 'targets_count_from', 'Use one of: proposed, agreed, final.');
COMMENT ON TRIGGER targets_count_from_refused ON kpi.measure IS 'Refuses: targets_count_from "..." is not known';

-- What the writer gave stays: in an update, what it set to another value.
CREATE FUNCTION kpi.target_stated() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF kpi.restoring() THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF NEW.state = 'proposed' AND NEW.proposed_by IS NOT DISTINCT FROM OLD.proposed_by THEN
            NEW.proposed_by := NULL;
        END IF;
        IF NEW.state = 'proposed' AND NEW.proposed_at IS NOT DISTINCT FROM OLD.proposed_at THEN
            NEW.proposed_at := NULL;
        END IF;
        -- what is proposed anew is not agreed; what is agreed anew is so by now
        IF (NEW.state = 'proposed' OR NEW.state = 'agreed' AND OLD.state = 'proposed')
           AND NEW.agreed_by IS NOT DISTINCT FROM OLD.agreed_by THEN
            NEW.agreed_by := NULL;
        END IF;
        IF (NEW.state = 'proposed' OR NEW.state = 'agreed' AND OLD.state = 'proposed')
           AND NEW.agreed_at IS NOT DISTINCT FROM OLD.agreed_at THEN
            NEW.agreed_at := NULL;
        END IF;
    END IF;
    IF NEW.state = 'proposed' THEN
        NEW.proposed_by := coalesce(NEW.proposed_by, session_user);
        NEW.proposed_at := coalesce(NEW.proposed_at, now());
    ELSE
        -- who makes a proposal final agrees to it
        NEW.agreed_by := coalesce(NEW.agreed_by, session_user);
        NEW.agreed_at := coalesce(NEW.agreed_at, now());
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION kpi.target_stated() IS
'Internal trigger: keeps who proposed a target and who agreed to it, and when, unless the writer says so.';

-- A load of final targets pays nothing.
CREATE TRIGGER target_stated BEFORE INSERT ON kpi.target
    FOR EACH ROW WHEN (NEW.state <> 'final') EXECUTE FUNCTION kpi.target_stated();
COMMENT ON TRIGGER target_stated ON kpi.target IS 'Keeps who proposed or agreed to a new target that is not final';
CREATE TRIGGER target_restated BEFORE UPDATE ON kpi.target
    FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION kpi.target_stated();
COMMENT ON TRIGGER target_restated ON kpi.target IS 'Keeps who proposed or agreed to a target whose state changes';

-- ---- proposing, agreeing, making final ----

CREATE FUNCTION kpi.propose_target(unit text, measure text, period text, value numeric, note text DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    the_kpi constant bigint := kpi.kpi_id(propose_target.unit, propose_target.measure);
    the_id bigint;
BEGIN
    INSERT INTO kpi.target AS t (kpi_id, period, value, note, state)
    VALUES (the_kpi, propose_target.period, propose_target.value, propose_target.note, 'proposed')
    ON CONFLICT ON CONSTRAINT target_kpi_id_period_key DO UPDATE
       SET value = EXCLUDED.value, note = coalesce(EXCLUDED.note, t.note), state = 'proposed',
           proposed_by = EXCLUDED.proposed_by, proposed_at = EXCLUDED.proposed_at, agreed_by = NULL, agreed_at = NULL
     WHERE t.state <> 'final'
    RETURNING t.target_id INTO the_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('target for unit "%s" and measure "%s" in %s is final', propose_target.unit, propose_target.measure, propose_target.period),
            HINT = 'Open it again first, by UPDATE kpi.target SET state = ''proposed''.';
    END IF;
    RETURN the_id;
END
$$;
COMMENT ON FUNCTION kpi.propose_target(text, text, text, numeric, text) IS
'Proposes a target, or another value for one that is not final yet, and returns its key; the row then says who proposed it and when, and that nobody has agreed. unit is a path or a unit code, period the text form of a period. Errors: 55000 where the target is final, 42704 for an unknown KPI, and those of kpi.target.';

CREATE FUNCTION kpi.propose_target(unit @extschema@.kpi_path, measure text, period @extschema@.kpi_period, value numeric, note text DEFAULT NULL) RETURNS bigint
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT kpi.propose_target(unit::text, measure, period::text, value, note);
END;
COMMENT ON FUNCTION kpi.propose_target(@extschema@.kpi_path, text, @extschema@.kpi_period, numeric, text) IS
'As kpi.propose_target(text, text, text, numeric, text).';

CREATE FUNCTION kpi.advance_target(unit text, measure text, period @extschema@.kpi_period, new_state text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    the_kpi constant bigint := kpi.kpi_id(advance_target.unit, advance_target.measure);
    was record;
BEGIN
    SELECT t.target_id, t.state, t.agreed_by INTO was
      FROM kpi.target t
     WHERE t.kpi_id = the_kpi AND t.period OPERATOR(@extschema@.=) advance_target.period
       FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('target for unit "%s" and measure "%s" in %s does not exist', advance_target.unit, advance_target.measure,
                             coalesce(advance_target.period::text, 'null')),
            HINT = 'Propose it with kpi.propose_target, or set it with kpi.set_target.';
    ELSIF was.state = 'final' OR was.state = advance_target.new_state THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('target for unit "%s" and measure "%s" in %s is %s already', advance_target.unit, advance_target.measure, advance_target.period, was.state),
            DETAIL = coalesce('It was agreed by ' || was.agreed_by || '.', 'It was set as it is, and nobody is known to have agreed.'),
            HINT = CASE was.state WHEN 'final' THEN 'To negotiate it again, UPDATE kpi.target SET state = ''proposed''.'
                                  ELSE 'kpi.finalise_target makes it final, kpi.propose_target proposes another value.' END;
    END IF;
    UPDATE kpi.target t SET state = advance_target.new_state WHERE t.target_id = was.target_id;
    RETURN was.target_id;
END
$$;
COMMENT ON FUNCTION kpi.advance_target(text, text, @extschema@.kpi_period, text) IS
'Internal: what kpi.agree_target and kpi.finalise_target do.';

CREATE FUNCTION kpi.agree_target(unit text, measure text, period text) RETURNS bigint
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT kpi.advance_target(unit, measure, period::@extschema@.kpi_period, 'agreed');
END;
COMMENT ON FUNCTION kpi.agree_target(text, text, text) IS
'Agrees to a proposed target and returns its key; the row then says who agreed and when. Errors: 42704 where there is no such KPI or target, 55000 where it is agreed or final already.';

CREATE FUNCTION kpi.agree_target(unit @extschema@.kpi_path, measure text, period @extschema@.kpi_period) RETURNS bigint
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT kpi.advance_target(unit::text, measure, period, 'agreed');
END;
COMMENT ON FUNCTION kpi.agree_target(@extschema@.kpi_path, text, @extschema@.kpi_period) IS
'As kpi.agree_target(text, text, text).';

CREATE FUNCTION kpi.finalise_target(unit text, measure text, period text) RETURNS bigint
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT kpi.advance_target(unit, measure, period::@extschema@.kpi_period, 'final');
END;
COMMENT ON FUNCTION kpi.finalise_target(text, text, text) IS
'Makes a proposed or agreed target final and returns its key; who makes a proposal final has agreed to it. Errors: 42704 where there is no such KPI or target, 55000 where it is final already.';

CREATE FUNCTION kpi.finalise_target(unit @extschema@.kpi_path, measure text, period @extschema@.kpi_period) RETURNS bigint
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT kpi.advance_target(unit::text, measure, period, 'final');
END;
COMMENT ON FUNCTION kpi.finalise_target(@extschema@.kpi_path, text, @extschema@.kpi_period) IS
'As kpi.finalise_target(text, text, text).';
