-- Adjustments: a measure takes the place of another from a day on, and the
-- figures of both are one series.  KPIs and units are retired by their
-- valid_to, which needs no function.
--
-- Figures of two measures are put side by side, period by period, and never
-- computed with each other: hence nothing here asks for the same grain, unit or
-- direction.

-- ---------------------------------------------------------------- what replaces what

-- No foreign key, as for the parents of objectives: dumps of a table that
-- refers to itself come with a warning, and rows one by one in any order would
-- not restore.
CREATE FUNCTION kpi.measure_replaces() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
    AS $$
DECLARE
    changed bigint[] := '{}';
    gone bigint[] := '{}';
    start bigint;
    current bigint;
    above bigint;
    seen bigint[];
    bad record;
BEGIN
    IF TG_OP = 'INSERT' THEN
        changed := ARRAY(SELECT n.measure_id FROM written n WHERE n.replaces_measure_id IS NOT NULL);
    ELSIF TG_OP = 'UPDATE' THEN
        changed := ARRAY(SELECT n.measure_id
                           FROM written n LEFT JOIN was o ON o.measure_id = n.measure_id
                          WHERE n.replaces_measure_id IS NOT NULL AND n.replaces_measure_id IS DISTINCT FROM o.replaces_measure_id);
        gone := ARRAY(SELECT o.measure_id FROM was o EXCEPT ALL SELECT n.measure_id FROM written n);
    ELSE
        gone := ARRAY(SELECT o.measure_id FROM was o);
    END IF;
    IF cardinality(changed) + cardinality(gone) = 0 OR kpi.restoring() THEN
        RETURN NULL;
    END IF;

    SELECT m.code, m.replaces_measure_id INTO bad
      FROM unnest(gone) AS g (measure_id)
      JOIN kpi.measure m ON m.replaces_measure_id = g.measure_id
     WHERE NOT EXISTS (SELECT FROM kpi.measure p WHERE p.measure_id = g.measure_id)
     ORDER BY m.code LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation',
            MESSAGE = format('measure "%s" is still named as replaced', (SELECT o.code FROM was o WHERE o.measure_id = bad.replaces_measure_id)),
            DETAIL = format('Measure "%s" replaces it.', bad.code),
            HINT = 'Set replaces_measure_id of that one to null, or delete both in one statement.',
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
    END IF;

    FOREACH start IN ARRAY changed LOOP
        seen := '{}';
        current := start;
        WHILE current IS NOT NULL LOOP
            IF current = ANY (seen) THEN
                RAISE EXCEPTION USING ERRCODE = 'restrict_violation',
                    MESSAGE = 'measures would replace each other in a circle: ' ||
                              (SELECT string_agg(m.code, ' -> ' ORDER BY w.place)
                                 FROM unnest(seen[array_position(seen, current):] || current) WITH ORDINALITY AS w (measure_id, place)
                                 JOIN kpi.measure m ON m.measure_id = w.measure_id),
                    HINT = 'Set replaces_measure_id of one of these to null; to go back to a measure, make it anew under another code.',
                    SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = 'replaces_measure_id';
            END IF;
            seen := seen || current;
            -- whoever changes or deletes it meanwhile waits, or we for them
            SELECT m.replaces_measure_id INTO above FROM kpi.measure m WHERE m.measure_id = current FOR SHARE;
            IF NOT FOUND THEN
                IF current = start THEN
                    -- deleted again by a trigger
                    EXIT;
                END IF;
                RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation',
                    MESSAGE = format('measure %s does not exist', current),
                    DETAIL = format('It is named as replaced by measure "%s".', (SELECT m.code FROM kpi.measure m WHERE m.measure_id = seen[cardinality(seen) - 1])),
                    HINT = 'replaces_measure_id is the measure_id of another measure; insert that one before, or in the same statement.',
                    SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = 'replaces_measure_id';
            END IF;
            current := above;
        END LOOP;
    END LOOP;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION kpi.measure_replaces() IS
'Internal trigger: refuses measures that replace one that does not exist once the statement is done, and to delete one that another replaces (23503), and circles, which it names (23001).';

CREATE TRIGGER replaces_refused BEFORE INSERT OR UPDATE ON kpi.measure
    FOR EACH ROW WHEN (NEW.replaces_measure_id = NEW.measure_id)
    EXECUTE FUNCTION kpi.refuse_row('23514', 'measure "%" cannot replace itself', 'code', 'Give it another replaces_measure_id, or none.');
-- before any row is locked, so that two such changes wait for each other here
CREATE TRIGGER replaces_locked BEFORE UPDATE OF replaces_measure_id, measure_id ON kpi.measure
    FOR EACH STATEMENT EXECUTE FUNCTION kpi.lock_links();
CREATE TRIGGER replaces_inserted AFTER INSERT ON kpi.measure
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION kpi.measure_replaces();
CREATE TRIGGER replaces_updated AFTER UPDATE ON kpi.measure
    REFERENCING OLD TABLE AS was NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION kpi.measure_replaces();
CREATE TRIGGER replaces_deleted AFTER DELETE ON kpi.measure
    REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION kpi.measure_replaces();
COMMENT ON TRIGGER replaces_refused ON kpi.measure IS 'Refuses a measure that replaces itself';
COMMENT ON TRIGGER replaces_locked ON kpi.measure IS 'Takes kpi.link_lock before any row is written';
COMMENT ON TRIGGER replaces_inserted ON kpi.measure IS 'Refuses to replace measures that do not exist, and circles';
COMMENT ON TRIGGER replaces_updated ON kpi.measure IS 'Refuses to replace measures that do not exist, and circles';
COMMENT ON TRIGGER replaces_deleted ON kpi.measure IS 'Refuses to delete measures that others replace';

-- ---------------------------------------------------------------- replacing

CREATE TYPE kpi.replacement AS (
    unit            @extschema@.kpi_path,
    kpi_id          bigint,
    replaced_kpi_id bigint,
    is_new          boolean,
    links           bigint,
    unused_facts    bigint,
    unused_targets  bigint
);
COMMENT ON TYPE kpi.replacement IS 'A row of kpi.replace_measure()';
COMMENT ON COLUMN kpi.replacement.unit IS 'Path of the unit';
COMMENT ON COLUMN kpi.replacement.kpi_id IS 'The KPI of the new measure there';
COMMENT ON COLUMN kpi.replacement.replaced_kpi_id IS 'The KPI of the old measure there, which ends on the day';
COMMENT ON COLUMN kpi.replacement.is_new IS 'Was the KPI of the new measure created? False where there was one already, which stays as it is';
COMMENT ON COLUMN kpi.replacement.links IS 'How many links go on with the KPI of the new measure';
COMMENT ON COLUMN kpi.replacement.unused_facts IS 'Facts of the KPI of the old measure in periods that end on that day or later: they stay there and count nowhere';
COMMENT ON COLUMN kpi.replacement.unused_targets IS 'Targets of the KPI of the old measure in periods that end on that day or later: they stay there and count nowhere; the new one needs targets of its own';

CREATE FUNCTION kpi.take_over_links(old_kpis bigint[], new_kpis bigint[], effective date, old_measure text, new_measure text) RETURNS bigint[]
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    links kpi.link[];       -- as they were
    wanted kpi.link[];      -- as they are to go on, under the key of the one that ended
    link kpi.link;
    refused bigint[] := '{}';
    reason text;
    reasons text;
BEGIN
    links := ARRAY(SELECT l FROM kpi.link l
                    WHERE (l.child_kpi_id = ANY (old_kpis) OR l.parent_kpi_id = ANY (old_kpis))
                      AND coalesce(l.valid_to, 'infinity') > effective
                    ORDER BY l.link_id);
    UPDATE kpi.link l SET valid_to = effective
      FROM unnest(links) AS e
     WHERE l.link_id = e.link_id AND coalesce(e.valid_from, '-infinity') < effective;
    DELETE FROM kpi.link l
     USING unnest(links) AS e
     WHERE l.link_id = e.link_id AND e.valid_from >= effective;
    wanted := ARRAY(
        SELECT ROW(e.link_id, n.child, n.parent, e.contributes, e.weight, n.valid_from, e.valid_to)::kpi.link
          FROM unnest(links) WITH ORDINALITY AS e (link_id, child_kpi_id, parent_kpi_id, contributes, weight, valid_from, valid_to, place)
          LEFT JOIN unnest(old_kpis, new_kpis) AS c (old, new) ON c.old = e.child_kpi_id
          LEFT JOIN unnest(old_kpis, new_kpis) AS p (old, new) ON p.old = e.parent_kpi_id
         CROSS JOIN LATERAL (SELECT coalesce(c.new, e.child_kpi_id) AS child, coalesce(p.new, e.parent_kpi_id) AS parent,
                                    greatest(e.valid_from, effective) AS valid_from) n
         -- not one from the old to the new, nor what the new one has already
         WHERE n.child <> n.parent
           AND NOT EXISTS (SELECT FROM kpi.link l
                            WHERE l.child_kpi_id = n.child AND l.parent_kpi_id = n.parent AND l.contributes = e.contributes
                              AND daterange(l.valid_from, l.valid_to) && daterange(n.valid_from, e.valid_to))
         ORDER BY e.place);
    BEGIN
        INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes, weight, valid_from, valid_to)
        SELECT w.child_kpi_id, w.parent_kpi_id, w.contributes, w.weight, w.valid_from, w.valid_to FROM unnest(wanted) AS w;
    EXCEPTION WHEN check_violation OR restrict_violation OR object_in_use OR object_not_in_prerequisite_state THEN
        -- one by one, to name all that cannot
        FOREACH link IN ARRAY wanted LOOP
            BEGIN
                INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes, weight, valid_from, valid_to)
                VALUES (link.child_kpi_id, link.parent_kpi_id, link.contributes, link.weight, link.valid_from, link.valid_to);
            EXCEPTION WHEN check_violation OR restrict_violation OR object_in_use OR object_not_in_prerequisite_state THEN
                GET STACKED DIAGNOSTICS reason = PG_EXCEPTION_DETAIL;
                refused := refused || link.link_id;
                IF cardinality(refused) <= 10 THEN
                    reasons := concat_ws(E'\n', reasons, concat_ws(' ', format('Link %s: %s.', link.link_id, SQLERRM), nullif(reason, '')));
                END IF;
            END;
        END LOOP;
    END;
    IF cardinality(refused) > 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('measure "%s" cannot take over %s of the %s links of measure "%s"', new_measure, cardinality(refused), cardinality(links), old_measure),
            DETAIL = concat_ws(E'\n', reasons, CASE WHEN cardinality(refused) > 10 THEN format('And %s more.', cardinality(refused) - 10) END),
            HINT = (SELECT format('End them first, and link the new KPIs afterwards as their measure allows: %s',
                                  concat_ws(' ', format('UPDATE kpi.link SET valid_to = %L WHERE link_id IN (', to_char(effective, 'YYYY-MM-DD')) ||
                                                        string_agg(e.link_id::text, ', ' ORDER BY e.link_id) FILTER (WHERE coalesce(e.valid_from, '-infinity') < effective) || ');',
                                                 'DELETE FROM kpi.link WHERE link_id IN (' ||
                                                        string_agg(e.link_id::text, ', ' ORDER BY e.link_id) FILTER (WHERE e.valid_from >= effective) || ');'))
                      FROM unnest(links) AS e WHERE e.link_id = ANY (refused));
    END IF;
    RETURN ARRAY(SELECT n.kpi_id FROM unnest(wanted) AS w CROSS JOIN LATERAL (VALUES (w.child_kpi_id), (w.parent_kpi_id)) AS n (kpi_id) WHERE n.kpi_id = ANY (new_kpis));
END
$$;
COMMENT ON FUNCTION kpi.take_over_links(bigint[], bigint[], date, text, text) IS
'Internal to kpi.replace_measure(): ends the links of the old KPIs on a day and has them go on with the new ones, in the same order; returns the new KPIs, once for each link. Error: 55000 with all links that cannot';

CREATE FUNCTION kpi.replace_measure_beneath(old text, new text, effective date, top bigint) RETURNS SETOF kpi.replacement
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    old_measure record;
    new_measure record;
    top_path @extschema@.kpi_path := (SELECT u.path FROM kpi.unit u WHERE u.unit_id = top);
    old_kpis bigint[];
    new_kpis bigint[];
    created bigint[];
    taken bigint[];
    bad record;
BEGIN
    IF effective IS NULL OR NOT isfinite(effective) THEN
        RAISE EXCEPTION USING ERRCODE = CASE WHEN effective IS NULL THEN 'null_value_not_allowed' ELSE 'invalid_parameter_value' END,
            MESSAGE = format('effective date "%s" is no day to replace measure "%s" on', coalesce(effective::text, 'null'), coalesce(old, 'null')),
            HINT = 'Give the first day of the new measure, best that of a period.';
    END IF;
    PERFORM kpi.lock_units();
    SELECT m.* INTO old_measure FROM kpi.measure m WHERE m.code = old;
    SELECT m.* INTO new_measure FROM kpi.measure m WHERE m.code = new;
    IF old_measure.measure_id IS NULL OR new_measure.measure_id IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('measure "%s" does not exist', coalesce(CASE WHEN old_measure.measure_id IS NULL THEN old ELSE new END, 'null')),
            HINT = 'Insert it into kpi.measure first.';
    END IF;
    IF old_measure.measure_id = new_measure.measure_id THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('measure "%s" cannot replace itself', old),
            HINT = 'Make the new measure, under another code, in kpi.measure first.';
    END IF;
    IF new_measure.replaces_measure_id <> old_measure.measure_id THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('measure "%s" replaces measure "%s" already', new, (SELECT m.code FROM kpi.measure m WHERE m.measure_id = new_measure.replaces_measure_id)),
            HINT = 'A measure takes the place of one other; set replaces_measure_id to null first, where that one is not meant any more.';
    END IF;

    SELECT array_agg(k.kpi_id ORDER BY u.path) INTO old_kpis
      FROM kpi.kpi k JOIN kpi.unit u ON u.unit_id = k.unit_id
     WHERE k.measure_id = old_measure.measure_id AND (top IS NULL OR u.path OPERATOR(@extschema@.<@) top_path)
       AND coalesce(least(k.valid_to, u.valid_to), 'infinity') > effective;
    IF old_kpis IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('measure "%s" has no KPI%s that is valid on %s', old, coalesce(' under unit "' || top_path::text || '"', ''), to_char(effective, 'YYYY-MM-DD')),
            HINT = 'Nothing is left to replace from that day on; create KPIs of the new measure with kpi.deploy().';
    END IF;
    SELECT u.path, k.valid_from INTO bad
      FROM kpi.kpi k JOIN kpi.unit u ON u.unit_id = k.unit_id
     WHERE k.kpi_id = ANY (old_kpis) AND k.valid_from >= effective
     ORDER BY u.path LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('KPI of unit "%s" and measure "%s" begins on %s, not before %s', bad.path, old, to_char(bad.valid_from, 'YYYY-MM-DD'), to_char(effective, 'YYYY-MM-DD')),
            HINT = 'Replace the measure from a later day on, or delete that KPI and deploy the new measure there.';
    END IF;
    SELECT u.path, n.valid_from, n.valid_to INTO bad
      FROM kpi.kpi k JOIN kpi.unit u ON u.unit_id = k.unit_id
      JOIN kpi.kpi n ON n.unit_id = k.unit_id AND n.measure_id = new_measure.measure_id
     WHERE k.kpi_id = ANY (old_kpis) AND (n.valid_from > effective OR n.valid_to <= effective)
     ORDER BY u.path LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('KPI of unit "%s" and measure "%s" is not valid on %s', bad.path, new, to_char(effective, 'YYYY-MM-DD')),
            DETAIL = format('It is valid from %s to %s.', coalesce(to_char(bad.valid_from, 'YYYY-MM-DD'), 'ever'), coalesce(to_char(bad.valid_to, 'YYYY-MM-DD'), 'ever')),
            HINT = 'Change valid_from and valid_to of that KPI first.';
    END IF;

    UPDATE kpi.measure m SET replaces_measure_id = old_measure.measure_id
     WHERE m.measure_id = new_measure.measure_id AND m.replaces_measure_id IS NULL;
    WITH inserted AS (
        INSERT INTO kpi.kpi (unit_id, measure_id, owner, weight, valid_from, valid_to, attributes, objective_id)
        SELECT k.unit_id, new_measure.measure_id, k.owner, k.weight, effective, k.valid_to, k.attributes, k.objective_id
          FROM unnest(old_kpis) WITH ORDINALITY AS o (kpi_id, place)
          JOIN kpi.kpi k ON k.kpi_id = o.kpi_id
         WHERE NOT EXISTS (SELECT FROM kpi.kpi n WHERE n.unit_id = k.unit_id AND n.measure_id = new_measure.measure_id)
         ORDER BY o.place
        RETURNING kpi_id)
    SELECT coalesce(array_agg(i.kpi_id), '{}') INTO created FROM inserted i;
    new_kpis := ARRAY(SELECT n.kpi_id
                        FROM unnest(old_kpis) WITH ORDINALITY AS o (kpi_id, place)
                        JOIN kpi.kpi k ON k.kpi_id = o.kpi_id
                        JOIN kpi.kpi n ON n.unit_id = k.unit_id AND n.measure_id = new_measure.measure_id
                       ORDER BY o.place);
    UPDATE kpi.kpi k SET valid_to = effective WHERE k.kpi_id = ANY (old_kpis);
    taken := kpi.take_over_links(old_kpis, new_kpis, effective, old, new);

    RETURN QUERY
    SELECT u.path, r.kpi_id, r.old_kpi_id, r.kpi_id = ANY (created),
           coalesce(t.links, 0),
           (SELECT count(*) FROM kpi.fact f
             WHERE f.kpi_id = r.old_kpi_id AND f.period OPERATOR(@extschema@.>=) kpi.period(effective, old_measure.grain, old_measure.fiscal_start)),
           (SELECT count(*) FROM kpi.target t WHERE t.kpi_id = r.old_kpi_id AND kpi.last_day(t.period) >= effective)
      FROM unnest(old_kpis, new_kpis) WITH ORDINALITY AS r (old_kpi_id, kpi_id, place)
      LEFT JOIN (SELECT t.kpi_id, count(*) AS links FROM unnest(taken) AS t (kpi_id) GROUP BY t.kpi_id) t ON t.kpi_id = r.kpi_id
      JOIN kpi.kpi k ON k.kpi_id = r.kpi_id
      JOIN kpi.unit u ON u.unit_id = k.unit_id
     ORDER BY r.place;
END
$$;
COMMENT ON FUNCTION kpi.replace_measure_beneath(text, text, date, bigint) IS
'Internal: what kpi.replace_measure() does, at a unit and beneath, or everywhere for null.';

CREATE FUNCTION kpi.replace_measure(old text, new text, effective date, under text DEFAULT NULL) RETURNS SETOF kpi.replacement
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE ROWS 100
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN QUERY
    SELECT r.* FROM kpi.replace_measure_beneath(replace_measure.old, replace_measure.new, replace_measure.effective,
                                                CASE WHEN replace_measure.under IS NOT NULL THEN kpi.unit_id(replace_measure.under) END) r;
END
$$;
COMMENT ON FUNCTION kpi.replace_measure(text, text, date, text) IS
'Has a measure take the place of another from a day on, at all units or at one (by path or unit code) and all beneath it; one row per KPI. Each KPI of the old measure ends on that day, and one of the new measure begins at the same unit, with its owner, weight, objective and attributes; one that is there already stays as it is. Links go on with the new KPI, targets and facts stay with the old one: those of periods that end on that day or later are counted in the result. kpi.measure.replaces_measure_id joins the two. All or nothing: 55000 where links cannot be taken over, naming all of them, where a KPI of the old measure begins that day or later, where one of the new measure is not valid then, where the new measure replaces another already, and where there is nothing to replace; 23001 where measures would replace each other in a circle; 42704 for an unknown measure or unit; 22004 and 22023 for no day; 22023 for a measure in place of itself.';

CREATE FUNCTION kpi.replace_measure(old text, new text, effective date, under @extschema@.kpi_path) RETURNS SETOF kpi.replacement
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE ROWS 100
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN QUERY
    SELECT r.* FROM kpi.replace_measure_beneath(replace_measure.old, replace_measure.new, replace_measure.effective,
                                                CASE WHEN replace_measure.under IS NOT NULL THEN kpi.unit_id(replace_measure.under) END) r;
END
$$;
COMMENT ON FUNCTION kpi.replace_measure(text, text, date, @extschema@.kpi_path) IS
'As kpi.replace_measure(text, text, date, text), with the unit by path only.';

-- ---------------------------------------------------------------- series

CREATE TYPE kpi.series_point AS (
    measure            text,
    period             @extschema@.kpi_period,
    actual             numeric,
    target             numeric,
    attainment         numeric,
    attainment_to_date numeric,
    score              numeric,
    status             @extschema@.kpi_status,
    coverage           numeric,
    kpi_id             bigint
);
COMMENT ON TYPE kpi.series_point IS 'A row of kpi.series()';
COMMENT ON COLUMN kpi.series_point.measure IS 'Code of the measure whose figure it is; null where there is none';
COMMENT ON COLUMN kpi.series_point.period IS 'The period';
COMMENT ON COLUMN kpi.series_point.actual IS 'Actual of that measure, in its own unit of measure';
COMMENT ON COLUMN kpi.series_point.target IS 'Its target';
COMMENT ON COLUMN kpi.series_point.attainment IS 'Attainment of the target of the whole period';
COMMENT ON COLUMN kpi.series_point.attainment_to_date IS 'Attainment of the target to date';
COMMENT ON COLUMN kpi.series_point.score IS 'Its score, which is the same scale for all measures';
COMMENT ON COLUMN kpi.series_point.status IS 'The score as a word';
COMMENT ON COLUMN kpi.series_point.coverage IS 'How much of the number is known, 0 to 1';
COMMENT ON COLUMN kpi.series_point.kpi_id IS 'The KPI of that measure';

CREATE FUNCTION kpi.series_points(kpis bigint[], of_period @extschema@.kpi_period, periods integer, OUT kpi_id bigint, OUT points kpi.series_point[])
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    asked bigint[];
    line bigint[];      rank integer[];     -- 1 for itself, 2 for the one it replaced
    wanted @extschema@.kpi_period[];
BEGIN
    IF series_points.periods IS NULL OR series_points.periods < 1 OR series_points.periods > 10000 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('"%s" is no number of periods', coalesce(series_points.periods::text, 'null')),
            HINT = 'A series has 1 to 10000 periods, the one named and those before it.';
    END IF;
    wanted := ARRAY(SELECT of_period OPERATOR(@extschema@.-) n FROM generate_series(series_points.periods - 1, 0, -1) AS n);
    WITH RECURSIVE chain AS (
        SELECT k.kpi_id, k.unit_id, m.measure_id, m.replaces_measure_id, ARRAY[m.measure_id] AS seen
          FROM kpi.kpi k JOIN kpi.measure m ON m.measure_id = k.measure_id
         WHERE k.kpi_id = ANY (kpis)
        UNION ALL
        SELECT c.kpi_id, c.unit_id, m.measure_id, m.replaces_measure_id, c.seen || m.measure_id
          FROM chain c JOIN kpi.measure m ON m.measure_id = c.replaces_measure_id
         WHERE NOT m.measure_id = ANY (c.seen)
    )
    SELECT array_agg(c.kpi_id), array_agg(k.kpi_id), array_agg(cardinality(c.seen))
      INTO asked, line, rank
      FROM chain c JOIN kpi.kpi k ON k.unit_id = c.unit_id AND k.measure_id = c.measure_id;
    RETURN QUERY
    WITH cell AS MATERIALIZED (
        SELECT a.kpi_id, a.measure, a.period, a.actual, a.target, a.attainment, a.attainment_to_date, a.score, a.status, a.coverage
          FROM kpi.attainment a
         WHERE a.kpi_id = ANY (line) AND a.period OPERATOR(@extschema@.=) ANY (wanted)
    ), shown AS (
        SELECT DISTINCT ON (l.asked, c.period) l.asked, c.*
          FROM unnest(asked, line, rank) AS l (asked, kpi_id, rank)
          JOIN cell c ON c.kpi_id = l.kpi_id
         ORDER BY l.asked, c.period, c.actual IS NULL, l.rank
    )
    SELECT q.kpi_id, array_agg(ROW(s.measure, w.period, s.actual, s.target, s.attainment, s.attainment_to_date, s.score, s.status, s.coverage, s.kpi_id)::kpi.series_point ORDER BY w.place)
      FROM (SELECT DISTINCT u.kpi_id FROM unnest(kpis) AS u (kpi_id)) q
     CROSS JOIN unnest(wanted) WITH ORDINALITY AS w (period, place)
      LEFT JOIN shown s ON s.asked = q.kpi_id AND s.period OPERATOR(@extschema@.=) w.period
     GROUP BY q.kpi_id;
END
$$;
COMMENT ON FUNCTION kpi.series_points(bigint[], @extschema@.kpi_period, integer) IS
'kpi.series() of many KPIs by their keys, each in one array';

CREATE FUNCTION kpi.series_of(kpi_id bigint, of_period @extschema@.kpi_period, periods integer) RETURNS SETOF kpi.series_point
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED ROWS 12
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT p.* FROM unnest((SELECT s.points FROM kpi.series_points(ARRAY[series_of.kpi_id], series_of.of_period, series_of.periods) s)) AS p;
END
$$;
COMMENT ON FUNCTION kpi.series_of(bigint, @extschema@.kpi_period, integer) IS
'kpi.series() of a KPI by its key. Error: 22023 for a number of periods out of range';

DO $overloads$
DECLARE
    v record;
BEGIN
    FOR v IN
        SELECT u.unit_type, p.period_type, u.by_path, p.fallback, u.unit_type = 'text' AND p.period_type = 'text' AS is_first
          FROM (VALUES (1, 'text', false), (2, '@extschema@.kpi_path', true)) u (no, unit_type, by_path),
               (VALUES (1, 'text', ' DEFAULT NULL'), (2, '@extschema@.kpi_period', '')) p (no, period_type, fallback)
         ORDER BY u.no, p.no
    LOOP
        EXECUTE format($create$
CREATE FUNCTION kpi.series(unit %s, measure text, period %s%s, periods integer DEFAULT 12)
    RETURNS SETOF kpi.series_point
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED ROWS 12
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    asked record;
BEGIN
    SELECT k.kpi_id, k.of_period INTO asked
      FROM kpi.sight_kpi(series.unit::text, series.measure, series.period::text, %L) k;
    RETURN QUERY SELECT s.* FROM kpi.series_of(asked.kpi_id, asked.of_period, series.periods) s;
END
$$$create$, v.unit_type, v.period_type, v.fallback, v.by_path);
        EXECUTE format('COMMENT ON FUNCTION kpi.series(%s, text, %s, integer) IS %L', v.unit_type, v.period_type,
            CASE WHEN v.is_first THEN 'The figures of a KPI over time and, before it began, of the measures it replaced at its unit, each under its own measure: one row per period, the one named (that of today where none is) and those before it, in their order; a period without figures has nulls. Where two have figures in one period, the newer one''s. Each figure is in the unit of its own measure: compare attainment and score across them, not actual. unit is a path or a unit code; a period finer than the measure''s grain stands for the one that encloses it. Errors: 42704 for an unknown KPI, 22023 for a period the measure has no numbers in, or a number of periods out of range'
                 ELSE 'As kpi.series(text, text, text, integer)' || CASE WHEN v.by_path THEN ', with the unit by path only' ELSE '' END END);
    END LOOP;
END
$overloads$;
