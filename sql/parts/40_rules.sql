-- Rules of the user tables, with the value and a hint where a CHECK would
-- only name itself.  Conditions stand in WHEN, so that rows in order cost no
-- call.  The trigger functions run as the extension's owner: whoever may
-- write a table needs no privilege on the tables its rules look at.

CREATE FUNCTION kpi.restoring() RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN current_setting('check_function_bodies') = 'off' AND current_setting('row_security') = 'off'
        OR current_setting('session_replication_role') = 'replica';
COMMENT ON FUNCTION kpi.restoring() IS
'Internal. Do rows come as another database had them? Scripts of pg_dump and pg_restore turn both first settings off, logical replication applies as replica. Rows then may come one by one and in any order (--inserts), so a unit may come before its parent, and history may have a cycle until its last row is in; unit.path stays as it comes.';

-- Arguments: SQLSTATE, message with % for the value, column of the value, hint.
CREATE FUNCTION kpi.refuse_row() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = TG_ARGV[0],
        MESSAGE = replace(TG_ARGV[1], '%', coalesce(to_jsonb(NEW) ->> TG_ARGV[2], 'null')),
        HINT = TG_ARGV[3],
        SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = TG_ARGV[2];
END
$$;
COMMENT ON FUNCTION kpi.refuse_row() IS
'Internal trigger: refuses the rows for which it is called, with the SQLSTATE, message (% is the value), column and hint of its arguments.';

-- ---- level ----

CREATE FUNCTION kpi.level_name(level_no integer) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE WHEN $1 IS NOT NULL THEN
        coalesce((SELECT l.code FROM kpi.level l WHERE l.level_no OPERATOR(pg_catalog.=) $1),
                 CASE $1 WHEN 1 THEN 'corporate' WHEN 2 THEN 'business_unit' WHEN 3 THEN 'department' WHEN 4 THEN 'team'
                         ELSE pg_catalog.concat('level_', $1) END)
    END;
COMMENT ON FUNCTION kpi.level_name(integer) IS
'The name of a level: the code of its row in kpi.level; without one corporate, business_unit, department and team for 1 to 4, level_5 and so on for others.';

CREATE TRIGGER level_no_refused BEFORE INSERT OR UPDATE ON kpi.level
    FOR EACH ROW WHEN (NEW.level_no <= 0)
    EXECUTE FUNCTION kpi.refuse_row('23514', 'level "%" is not positive', 'level_no', 'Levels are counted from 1 at the top.');

-- ---- unit (see 41_units.sql for the tree) ----

CREATE TRIGGER level_no_refused BEFORE INSERT OR UPDATE ON kpi.unit
    FOR EACH ROW WHEN (NEW.level_no <= 0)
    EXECUTE FUNCTION kpi.refuse_row('23514', 'level "%" is not positive', 'level_no', 'Levels are counted from 1 at the top; leave level_no out for the parent''s plus 1.');
CREATE TRIGGER share_refused BEFORE INSERT OR UPDATE ON kpi.unit
    FOR EACH ROW WHEN (NOT (NEW.share >= 0 AND NEW.share <= 1 AND scale(trim_scale(NEW.share)) <= 20))
    EXECUTE FUNCTION kpi.refuse_row('23514', 'share "%" is out of range', 'share', 'A share is from 0 to 1, with at most 20 digits after the point.');
CREATE TRIGGER valid_refused BEFORE INSERT OR UPDATE ON kpi.unit
    FOR EACH ROW WHEN (NEW.valid_from >= NEW.valid_to)
    EXECUTE FUNCTION kpi.refuse_row('23514', 'valid_to "%" does not come after valid_from', 'valid_to', 'valid_to is the first day that is no longer valid; null means open.');
CREATE TRIGGER share_unchanged BEFORE UPDATE OF share ON kpi.unit
    FOR EACH ROW WHEN (OLD.share <> NEW.share)
    EXECUTE FUNCTION kpi.refuse_row('55000', 'share of unit "%" cannot be updated', 'path', 'Shares are dated: call kpi.set_share(unit, share, effective), or correct kpi.unit_history.');

CREATE TRIGGER share_refused BEFORE INSERT OR UPDATE ON kpi.unit_history
    FOR EACH ROW WHEN (NOT (NEW.share >= 0 AND NEW.share <= 1 AND scale(trim_scale(NEW.share)) <= 20))
    EXECUTE FUNCTION kpi.refuse_row('23514', 'share "%" is out of range', 'share', 'A share is from 0 to 1, with at most 20 digits after the point.');
CREATE TRIGGER effective_from_refused BEFORE INSERT OR UPDATE ON kpi.unit_history
    FOR EACH ROW WHEN (NEW.effective_from = 'infinity')
    EXECUTE FUNCTION kpi.refuse_row('23514', 'effective_from "%" never comes', 'effective_from', 'Give the first day of the row; -infinity in a unit''s first.');

-- ---- measure ----

CREATE FUNCTION kpi.measure_rules() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    rule record;
    given jsonb := to_jsonb(NEW);
BEGIN
    FOR rule IN
        SELECT * FROM (VALUES
            ('direction', '{higher,lower}'::text[]),
            ('rollup', '{sum,mean,weighted_mean,ratio,min,max,count,none}'),
            ('time_rollup', '{pool,last,mean}'),
            ('scoring', '{ratio,progress,range,step,curve}'),
            ('driver_rollup', '{mean,min,max}'),
            ('missing_child', '{exclude,zero,require}')) AS w (col, words)
         WHERE NOT given ->> w.col = ANY (w.words)
    LOOP
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = format('%s "%s" is not known', rule.col, given ->> rule.col),
            HINT = format('Use one of: %s.', array_to_string(rule.words, ', ')),
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = rule.col;
    END LOOP;

    FOR rule IN
        SELECT * FROM (VALUES
            ('multiplier', NEW.multiplier), ('score_floor', NEW.score_floor), ('score_cap', NEW.score_cap),
            ('result_weight', NEW.result_weight), ('at_risk_from', NEW.at_risk_from),
            ('on_track_from', NEW.on_track_from), ('exceeded_from', NEW.exceeded_from)) AS n (col, number)
         WHERE NOT (abs(n.number) < 1e30 AND scale(trim_scale(n.number)) <= 20)
    LOOP
        RAISE EXCEPTION USING ERRCODE = 'numeric_value_out_of_range',
            MESSAGE = format('%s "%s" is out of range', rule.col, rule.number),
            HINT = 'Numbers are finite and have at most 30 digits before and 20 after the point.',
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = rule.col;
    END LOOP;

    IF NEW.result_weight < 0 OR NEW.result_weight > 1 THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = format('result_weight "%s" is out of range', NEW.result_weight),
            HINT = 'It is from 0 to 1; the rest to 1 is the weight of the driver score.',
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = 'result_weight';
    END IF;
    IF NEW.fiscal_start < 1 OR NEW.fiscal_start > 12 THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = format('fiscal_start "%s" is not a month', NEW.fiscal_start),
            HINT = 'It is the month in which the year starts, 1 to 12.',
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = 'fiscal_start';
    END IF;
    IF NEW.score_floor > NEW.score_cap THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = format('score_floor "%s" is above score_cap "%s"', NEW.score_floor, NEW.score_cap),
            HINT = 'Null leaves a side unbounded.',
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = 'score_floor';
    END IF;
    IF NEW.at_risk_from > NEW.on_track_from THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = format('at_risk_from "%s" is above on_track_from "%s"', NEW.at_risk_from, NEW.on_track_from),
            HINT = 'Scores below at_risk_from are off track, those from on_track_from on are on track.',
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = 'at_risk_from';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION kpi.measure_rules() IS
'Internal trigger: refuses measures with unknown words (23514), numbers out of range (22003) and bounds in the wrong order (23514).';

CREATE TRIGGER measure_rules BEFORE INSERT OR UPDATE ON kpi.measure
    FOR EACH ROW EXECUTE FUNCTION kpi.measure_rules();

-- Is a period of that grain and fiscal start one for targets of a measure?
CREATE FUNCTION kpi.is_target_period(period @extschema@.kpi_period, grain @extschema@.kpi_grain, fiscal_start integer) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (kpi.grain($1) OPERATOR(pg_catalog.=) $2
            OR kpi.grain($1) OPERATOR(pg_catalog.>) $2
               AND $2 OPERATOR(pg_catalog.<>) 'week'::@extschema@.kpi_grain
               AND (kpi.grain($1) OPERATOR(pg_catalog.<>) 'week'::@extschema@.kpi_grain OR $2 OPERATOR(pg_catalog.=) 'day'::@extschema@.kpi_grain))
       AND (kpi.grain($1) OPERATOR(pg_catalog.<=) 'month'::@extschema@.kpi_grain OR kpi.fiscal_start($1) OPERATOR(pg_catalog.=) $3);
COMMENT ON FUNCTION kpi.is_target_period(@extschema@.kpi_period, @extschema@.kpi_grain, integer) IS
'Is the period of that grain, or a coarser one that it rolls up to, and (quarter, half and year) of that fiscal start?';

CREATE FUNCTION kpi.measure_periods() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    other record;
BEGIN
    -- nobody may add what this does not see
    LOCK TABLE kpi.fact, kpi.target IN SHARE ROW EXCLUSIVE MODE;
    IF NEW.grain <> OLD.grain OR NEW.grain > 'month' THEN
        SELECT f.period INTO other
          FROM kpi.kpi k JOIN kpi.fact f ON f.kpi_id = k.kpi_id
         WHERE k.measure_id = NEW.measure_id
         LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION USING ERRCODE = 'object_in_use',
                MESSAGE = format('measure "%s" has facts by %s, such as of %s, and cannot change to %s with fiscal_start %s',
                                 OLD.code, OLD.grain, other.period, NEW.grain, NEW.fiscal_start),
                HINT = 'Create another measure, or delete the facts first.',
                SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
        END IF;
    END IF;
    SELECT t.period INTO other
      FROM kpi.kpi k JOIN kpi.target t ON t.kpi_id = k.kpi_id
     WHERE k.measure_id = NEW.measure_id AND NOT kpi.is_target_period(t.period, NEW.grain, NEW.fiscal_start)
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'object_in_use',
            MESSAGE = format('measure "%s" has targets, such as of %s, and cannot change to %s with fiscal_start %s',
                             OLD.code, other.period, NEW.grain, NEW.fiscal_start),
            HINT = 'Create another measure, or delete the targets first.',
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION kpi.measure_periods() IS
'Internal trigger: refuses (55006) a change of grain or fiscal_start that existing facts or targets do not fit.';

CREATE TRIGGER measure_periods BEFORE UPDATE ON kpi.measure
    FOR EACH ROW WHEN (OLD.grain <> NEW.grain OR OLD.fiscal_start <> NEW.fiscal_start)
    EXECUTE FUNCTION kpi.measure_periods();

CREATE FUNCTION kpi.measure_scoring() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    other record;
BEGIN
    LOCK TABLE kpi.target IN SHARE ROW EXCLUSIVE MODE;
    SELECT u.path, t.period INTO other
      FROM kpi.kpi k JOIN kpi.target t ON t.kpi_id = k.kpi_id JOIN kpi.unit u ON u.unit_id = k.unit_id
     WHERE k.measure_id = NEW.measure_id AND t.value IS NULL
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'object_in_use',
            MESSAGE = format('measure "%s" has targets without a value, such as of unit "%s" in %s, and cannot change to scoring "%s"',
                             OLD.code, other.path, other.period, NEW.scoring),
            HINT = 'Give those targets a value first: only range and curve do without.',
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = 'scoring';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION kpi.measure_scoring() IS
'Internal trigger: refuses (55006) a change of scoring that needs a value in targets that have none.';

CREATE TRIGGER measure_scoring BEFORE UPDATE ON kpi.measure
    FOR EACH ROW WHEN (OLD.scoring IN ('range', 'curve') AND NEW.scoring NOT IN ('range', 'curve'))
    EXECUTE FUNCTION kpi.measure_scoring();

-- ---- kpi ----

CREATE TRIGGER weight_refused BEFORE INSERT OR UPDATE ON kpi.kpi
    FOR EACH ROW WHEN (NOT (NEW.weight >= 0 AND NEW.weight < 1e30 AND scale(trim_scale(NEW.weight)) <= 20))
    EXECUTE FUNCTION kpi.refuse_row('22003', 'weight "%" is out of range', 'weight', 'A KPI''s weight is at least 0 and has at most 30 digits before and 20 after the point.');
CREATE TRIGGER valid_refused BEFORE INSERT OR UPDATE ON kpi.kpi
    FOR EACH ROW WHEN (NEW.valid_from >= NEW.valid_to)
    EXECUTE FUNCTION kpi.refuse_row('23514', 'valid_to "%" does not come after valid_from', 'valid_to', 'valid_to is the first day that is no longer valid; null means open.');

CREATE FUNCTION kpi.kpi_keeps_facts() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    named record;
BEGIN
    -- the key of fact does not look at KPIs when facts are written, so nobody
    -- may write facts of this one from here on
    LOCK TABLE kpi.fact IN SHARE ROW EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM kpi.fact f WHERE f.kpi_id = OLD.kpi_id)
       OR TG_OP = 'UPDATE' AND EXISTS (SELECT FROM kpi.target t WHERE t.kpi_id = OLD.kpi_id) THEN
        -- a unit that is being deleted is gone already
        SELECT coalesce(u.path::text, p.path::text, OLD.unit_id::text) AS unit, m.code AS measure INTO named
          FROM kpi.measure m
          LEFT JOIN kpi.unit u ON u.unit_id = OLD.unit_id
          LEFT JOIN kpi.unit_path p ON p.unit_id = OLD.unit_id AND p.valid_to = 'infinity'
         WHERE m.measure_id = OLD.measure_id;
        IF TG_OP = 'UPDATE' THEN
            RAISE EXCEPTION USING ERRCODE = 'object_in_use',
                MESSAGE = format('KPI of unit "%s" and measure "%s" has facts or targets and cannot become another KPI', named.unit, named.measure),
                HINT = 'Create another KPI with kpi.deploy, or delete the facts and targets first.',
                SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
        END IF;
        RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation',
            MESSAGE = format('KPI of unit "%s" and measure "%s" still has facts', named.unit, named.measure),
            HINT = 'End it with valid_to, or delete its facts first.',
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
    END IF;
    IF TG_OP = 'UPDATE' THEN
        RETURN NEW;
    END IF;
    RETURN OLD;
END
$$;
COMMENT ON FUNCTION kpi.kpi_keeps_facts() IS
'Internal trigger: refuses to delete a KPI that has facts (23503), and to give one that has facts or targets another unit or measure (55006).';

CREATE TRIGGER kpi_keeps_facts BEFORE DELETE ON kpi.kpi
    FOR EACH ROW EXECUTE FUNCTION kpi.kpi_keeps_facts();
CREATE TRIGGER kpi_keeps_meaning BEFORE UPDATE ON kpi.kpi
    FOR EACH ROW WHEN (OLD.unit_id <> NEW.unit_id OR OLD.measure_id <> NEW.measure_id OR OLD.kpi_id <> NEW.kpi_id)
    EXECUTE FUNCTION kpi.kpi_keeps_facts();

-- ---- link (see 42_links.sql for what is allowed where) ----

CREATE TRIGGER contributes_refused BEFORE INSERT OR UPDATE ON kpi.link
    FOR EACH ROW WHEN (NEW.contributes NOT IN ('value', 'numerator', 'denominator', 'growth', 'score', 'aligned'))
    EXECUTE FUNCTION kpi.refuse_row('23514', 'contributes "%" is not known', 'contributes', 'Use one of: value, numerator, denominator, growth, score, aligned.');
CREATE TRIGGER weight_refused BEFORE INSERT OR UPDATE ON kpi.link
    FOR EACH ROW WHEN (NOT (abs(NEW.weight) < 1e30 AND scale(trim_scale(NEW.weight)) <= 20))
    EXECUTE FUNCTION kpi.refuse_row('22003', 'weight "%" is out of range', 'weight', 'A weight is finite and has at most 30 digits before and 20 after the point.');
CREATE TRIGGER valid_refused BEFORE INSERT OR UPDATE ON kpi.link
    FOR EACH ROW WHEN (NEW.valid_from >= NEW.valid_to)
    EXECUTE FUNCTION kpi.refuse_row('23514', 'valid_to "%" does not come after valid_from', 'valid_to', 'valid_to is the first day that is no longer valid; null means open.');
CREATE TRIGGER self_refused BEFORE INSERT OR UPDATE ON kpi.link
    FOR EACH ROW WHEN (NEW.child_kpi_id = NEW.parent_kpi_id)
    EXECUTE FUNCTION kpi.refuse_row('23514', 'KPI "%" cannot be linked to itself', 'child_kpi_id', 'Link it to another KPI.');

-- ---- target ----

CREATE FUNCTION kpi.target_numbers() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    rule record;
BEGIN
    FOR rule IN
        SELECT * FROM (VALUES ('value', NEW.value), ('baseline', NEW.baseline), ('low', NEW.low), ('high', NEW.high)) AS n (col, number)
         WHERE NOT (abs(n.number) < 1e30 AND scale(trim_scale(n.number)) <= 20)
        UNION ALL
        SELECT 'points', p FROM unnest(NEW.points) p WHERE NOT (abs(p) < 1e30 AND scale(trim_scale(p)) <= 20)
    LOOP
        RAISE EXCEPTION USING ERRCODE = 'numeric_value_out_of_range',
            MESSAGE = format('%s "%s" of a target is out of range', rule.col, rule.number),
            HINT = 'Numbers are finite and have at most 30 digits before and 20 after the point.',
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = rule.col;
    END LOOP;
    IF NEW.low > NEW.high THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = format('low "%s" of a target is above high "%s"', NEW.low, NEW.high),
            HINT = 'Null leaves a side of the range open.',
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = 'low';
    END IF;
    IF NEW.points IS NOT NULL THEN
        IF array_ndims(NEW.points) IS DISTINCT FROM 2 OR array_length(NEW.points, 2) <> 2
           OR array_position(ARRAY(SELECT p IS NULL FROM unnest(NEW.points) p), true) IS NOT NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'check_violation',
                MESSAGE = format('points "%s" of a target are no list of points', NEW.points),
                HINT = 'Write {{value, score}, {value, score}, ...} without nulls.',
                SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = 'points';
        END IF;
        SELECT p.x INTO rule
          FROM (SELECT trim_scale(v) AS x, o FROM unnest(NEW.points) WITH ORDINALITY AS u (v, o)) p
         WHERE p.o % 2 = 1
         GROUP BY p.x HAVING count(*) > 1 ORDER BY p.x LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION USING ERRCODE = 'check_violation',
                MESSAGE = format('two points of a target have the value "%s"', rule.x),
                DETAIL = format('The points are %s.', NEW.points),
                HINT = 'A curve gives each value one score.',
                SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = 'points';
        END IF;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION kpi.target_numbers() IS
'Internal trigger: refuses targets with numbers out of range (22003), low above high, points that are no n x 2 array without nulls, and two points with one value (23514).';

CREATE TRIGGER target_numbers BEFORE INSERT OR UPDATE ON kpi.target
    FOR EACH ROW WHEN (NEW.points IS NOT NULL OR NEW.low > NEW.high
                       OR NOT (abs(NEW.value) < 1e30 AND scale(trim_scale(NEW.value)) <= 20)
                       OR NOT (abs(NEW.baseline) < 1e30 AND scale(trim_scale(NEW.baseline)) <= 20)
                       OR NOT (abs(NEW.low) < 1e30 AND scale(trim_scale(NEW.low)) <= 20)
                       OR NOT (abs(NEW.high) < 1e30 AND scale(trim_scale(NEW.high)) <= 20))
    EXECUTE FUNCTION kpi.target_numbers();

-- Written like the functions of 41_units.sql: lookups only, whatever the size.
CREATE FUNCTION kpi.target_periods() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
    AS $$
DECLARE
    bad record;
    unit text;
BEGIN
    SELECT k.unit_id, m.code, m.grain, m.fiscal_start, m.scoring, n.period,
           kpi.is_target_period(n.period, m.grain, m.fiscal_start) AS fits INTO bad
      FROM written n
     CROSS JOIN LATERAL (SELECT k.unit_id, k.measure_id FROM kpi.kpi k WHERE k.kpi_id = n.kpi_id OFFSET 0) k
     CROSS JOIN LATERAL (SELECT m.code, m.grain, m.fiscal_start, m.scoring FROM kpi.measure m WHERE m.measure_id = k.measure_id OFFSET 0) m
     WHERE NOT kpi.is_target_period(n.period, m.grain, m.fiscal_start)
        OR n.value IS NULL AND m.scoring NOT IN ('range', 'curve')
     LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    unit := (SELECT u.path FROM kpi.unit u WHERE u.unit_id = bad.unit_id);
    IF NOT bad.fits THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('target period "%s" for unit "%s" does not fit measure "%s"', bad.period, unit, bad.code),
            DETAIL = format('The measure''s grain is %s, with the year starting in month %s.', bad.grain, bad.fiscal_start),
            HINT = CASE WHEN bad.grain = 'week' THEN 'Targets of this measure are by week, which rolls up to nothing.'
                        ELSE format('Use a %s or a coarser period that it rolls up to, such as %s.', bad.grain,
                                    kpi.period(kpi.first_day(bad.period), greatest(bad.grain, 'quarter'), bad.fiscal_start)) END,
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = 'period';
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'not_null_violation',
        MESSAGE = format('target for unit "%s" and measure "%s" in %s has no value', unit, bad.code, bad.period),
        HINT = format('Only the scorings range and curve do without; this measure''s is %s.', bad.scoring),
        SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = 'value';
END
$$;
COMMENT ON FUNCTION kpi.target_periods() IS
'Internal trigger: refuses targets whose period does not fit the measure (22023), and targets without a value where the measure''s scoring needs one (23502).';

CREATE TRIGGER target_periods_inserted AFTER INSERT ON kpi.target
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION kpi.target_periods();
CREATE TRIGGER target_periods_updated AFTER UPDATE ON kpi.target
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION kpi.target_periods();
