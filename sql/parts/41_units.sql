-- The tree of units over time.
--
-- What users write: kpi.unit (path) and kpi.unit_history (parent from a day
-- on).  What is kept from it: kpi.unit_path, the path of each unit in each
-- stretch of time, and unit.path, which is the last of them.  Inserting a unit
-- writes its first history row; every change of history works out the paths of
-- the units concerned, and of all that were or are beneath them, anew.
--
-- Locks: inserting units takes kpi.link_lock in ROW EXCLUSIVE mode, so that
-- loads run side by side; every other change of the tree takes it in SHARE ROW
-- EXCLUSIVE mode, because two moves that do not see each other could close a
-- cycle.  What is read after the lock is read with a new snapshot, except at
-- REPEATABLE READ, where kpi.unit_path is locked too: a row that somebody else
-- moved meanwhile is then a serialization failure.

-- Plans in trigger functions are kept, and meet changes of any size on tables
-- that have grown since.  So statements here leave nothing to estimates: they
-- start from the rows or keys changed and go on by lookups, each fenced off as
-- a LATERAL subquery with OFFSET 0 or a scalar subquery, with sequential and
-- bitmap scans out of the way.

-- History without the rows that change only the share.
CREATE VIEW kpi.unit_stretch AS
SELECT h.unit_id, h.parent_unit_id, h.effective_from AS valid_from,
       coalesce((SELECT min(n.effective_from)
                   FROM kpi.unit_history n
                  WHERE n.unit_id = h.unit_id AND n.effective_from > h.effective_from
                    AND n.parent_unit_id IS DISTINCT FROM h.parent_unit_id), 'infinity') AS valid_to
  FROM kpi.unit_history h
 WHERE h.effective_from = '-infinity'
    OR (SELECT b.parent_unit_id
          FROM kpi.unit_history b
         WHERE b.unit_id = h.unit_id AND b.effective_from < h.effective_from
         ORDER BY b.effective_from DESC LIMIT 1) IS DISTINCT FROM h.parent_unit_id;
COMMENT ON VIEW kpi.unit_stretch IS 'Internal: which parent each unit has in each stretch of time, one row per change of parent';
COMMENT ON COLUMN kpi.unit_stretch.unit_id IS 'The unit';
COMMENT ON COLUMN kpi.unit_stretch.parent_unit_id IS 'Its parent; null for a root';
COMMENT ON COLUMN kpi.unit_stretch.valid_from IS 'First day of the stretch, -infinity for the first';
COMMENT ON COLUMN kpi.unit_stretch.valid_to IS 'First day after the stretch, infinity for the last';

CREATE FUNCTION kpi.unit_cycle(unit_id bigint, day date) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    seen bigint[] := '{}';
    current bigint := unit_cycle.unit_id;
BEGIN
    WHILE current IS NOT NULL LOOP
        IF current = ANY (seen) THEN
            RETURN (SELECT string_agg(u.path::text, ' -> ' ORDER BY w.place)
                      FROM unnest(seen[array_position(seen, current):] || current) WITH ORDINALITY AS w (unit_id, place)
                      JOIN kpi.unit u ON u.unit_id = w.unit_id);
        END IF;
        seen := seen || current;
        current := (SELECT h.parent_unit_id
                      FROM kpi.unit_history h
                     WHERE h.unit_id = current AND h.effective_from <= unit_cycle.day
                     ORDER BY h.effective_from DESC LIMIT 1);
    END LOOP;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION kpi.unit_cycle(bigint, date) IS
'Internal: the cycle of parents that a unit is in or beneath on a day, as paths joined by arrows; null where there is none.';

CREATE FUNCTION kpi.unit_path_refresh(changed bigint[], relabelled boolean) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
    AS $$
DECLARE
    affected bigint[];
    bad record;
    stepped bigint[];
    stepped_to @extschema@.kpi_path[];
BEGIN
    DELETE FROM kpi.unit_path p
     WHERE p.unit_id = ANY (changed) AND (SELECT true FROM kpi.unit u WHERE u.unit_id = p.unit_id) IS NULL;

    SELECT u.path INTO bad
      FROM unnest(changed) AS c (unit_id)
     CROSS JOIN LATERAL (SELECT u.path FROM kpi.unit u WHERE u.unit_id = c.unit_id OFFSET 0) u
     WHERE (SELECT true FROM kpi.unit_history h WHERE h.unit_id = c.unit_id AND h.effective_from = '-infinity') IS NULL
     LIMIT 1;
    IF FOUND AND NOT kpi.restoring() THEN
        RAISE EXCEPTION USING ERRCODE = 'restrict_violation',
            MESSAGE = format('unit "%s" needs a row in its history from -infinity on', bad.path),
            HINT = 'Update its parent or share instead; to end a unit use valid_to, to remove it delete it from kpi.unit.',
            SCHEMA = 'kpi', TABLE = 'unit_history';
    END IF;

    -- those whose parents over time, or whose label, changed, and all beneath
    -- them at any time
    affected := ARRAY(
        WITH RECURSIVE moved (unit_id) AS (
            SELECT c.unit_id
              FROM unnest(changed) AS c (unit_id)
             WHERE (SELECT true FROM kpi.unit u WHERE u.unit_id = c.unit_id)
               AND CASE WHEN relabelled
                          OR (SELECT true FROM kpi.unit_path p WHERE p.unit_id = c.unit_id LIMIT 1) IS NULL THEN true
                        ELSE ARRAY(SELECT (s.valid_from, s.parent_unit_id)::text FROM kpi.unit_stretch s
                                    WHERE s.unit_id = c.unit_id ORDER BY s.valid_from)
                          <> ARRAY(SELECT (w.valid_from, w.parent_unit_id)::text
                                     FROM (SELECT p.valid_from, p.parent_unit_id,
                                                  lag(p.parent_unit_id) OVER (ORDER BY p.valid_from) AS before
                                             FROM kpi.unit_path p WHERE p.unit_id = c.unit_id) w
                                    WHERE w.valid_from = '-infinity' OR w.parent_unit_id IS DISTINCT FROM w.before
                                    ORDER BY w.valid_from)
                   END
            UNION
            SELECT h.unit_id
              FROM moved m
             CROSS JOIN LATERAL (SELECT h.unit_id FROM kpi.unit_history h WHERE h.parent_unit_id = m.unit_id OFFSET 0) h)
        SELECT m.unit_id FROM moved m);
    IF cardinality(affected) = 0 THEN
        RETURN;
    END IF;

    IF current_setting('transaction_isolation') = 'repeatable read' THEN
        PERFORM FROM kpi.unit_path p
          WHERE p.unit_id = ANY (ARRAY(SELECT h.parent_unit_id FROM kpi.unit_history h WHERE h.unit_id = ANY (changed)))
            FOR SHARE;
    END IF;

    -- With the paths of the affected gone, whatever parent still has one is
    -- not affected: those are the places to start from.  A unit in a cycle is
    -- never reached from there, as each unit has one parent a day.
    DELETE FROM kpi.unit_path p WHERE p.unit_id = ANY (affected);
    WITH RECURSIVE placed (unit_id, valid_from, valid_to, path, parent_unit_id) AS (
        SELECT s.unit_id, coalesce(p.valid_from, s.valid_from), coalesce(p.valid_to, s.valid_to),
               CASE WHEN p.path IS NULL THEN u.label::@extschema@.kpi_path ELSE p.path OPERATOR(@extschema@.||) u.label END,
               s.parent_unit_id
          FROM unnest(affected) AS a (unit_id)
         CROSS JOIN LATERAL (SELECT kpi.label(u.path, -1) AS label FROM kpi.unit u WHERE u.unit_id = a.unit_id OFFSET 0) u
         CROSS JOIN LATERAL (SELECT s.* FROM kpi.unit_stretch s WHERE s.unit_id = a.unit_id OFFSET 0) s
          LEFT JOIN LATERAL (SELECT greatest(s.valid_from, p.valid_from) AS valid_from, least(s.valid_to, p.valid_to) AS valid_to, p.path
                               FROM kpi.unit_path p
                              WHERE p.unit_id = s.parent_unit_id AND p.valid_from < s.valid_to AND p.valid_to > s.valid_from OFFSET 0) p ON true
         WHERE s.parent_unit_id IS NULL OR p.path IS NOT NULL
        UNION ALL
        SELECT s.unit_id, greatest(s.valid_from, p.valid_from), least(s.valid_to, p.valid_to),
               p.path OPERATOR(@extschema@.||) (SELECT kpi.label(u.path, -1) FROM kpi.unit u WHERE u.unit_id = s.unit_id), s.parent_unit_id
          FROM placed p
         CROSS JOIN LATERAL (SELECT s.* FROM kpi.unit_stretch s
                              WHERE s.parent_unit_id = p.unit_id AND p.valid_from < s.valid_to AND p.valid_to > s.valid_from OFFSET 0) s)
    INSERT INTO kpi.unit_path (unit_id, valid_from, valid_to, path, parent_unit_id)
    SELECT p.unit_id, p.valid_from, p.valid_to, p.path, p.parent_unit_id FROM placed p;

    IF kpi.restoring() THEN
        RETURN;
    END IF;

    -- the first day on which a unit was not reached
    SELECT a.unit_id, u.path, missed.day INTO bad
      FROM unnest(affected) AS a (unit_id)
     CROSS JOIN LATERAL (
            SELECT CASE WHEN (SELECT true FROM kpi.unit_path p WHERE p.unit_id = a.unit_id AND p.valid_from = '-infinity') IS NULL
                        THEN date '-infinity'
                        ELSE (SELECT min(p.valid_to)
                                FROM kpi.unit_path p
                               WHERE p.unit_id = a.unit_id AND p.valid_to < 'infinity'
                                 AND (SELECT true FROM kpi.unit_path n WHERE n.unit_id = a.unit_id AND n.valid_from = p.valid_to) IS NULL)
                   END AS day OFFSET 0) missed
     CROSS JOIN LATERAL (SELECT u.path FROM kpi.unit u WHERE u.unit_id = a.unit_id OFFSET 0) u
     WHERE missed.day IS NOT NULL
     ORDER BY u.path
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'restrict_violation',
            MESSAGE = format('unit "%s" would report to itself %s: %s', bad.path,
                             CASE WHEN isfinite(bad.day) THEN 'on ' || to_char(bad.day, 'YYYY-MM-DD') ELSE 'from -infinity on' END,
                             kpi.unit_cycle(bad.unit_id, bad.day)),
            HINT = 'Give one of these units another parent from that day on first.',
            SCHEMA = 'kpi', TABLE = 'unit_history';
    END IF;

    -- unit.path follows; where paths change hands, those that must make room
    -- step aside first
    affected := ARRAY(
        SELECT a.unit_id
          FROM unnest(affected) AS a (unit_id)
         WHERE (SELECT u.path FROM kpi.unit u WHERE u.unit_id = a.unit_id)
               OPERATOR(@extschema@.<>) (SELECT p.path FROM kpi.unit_path p WHERE p.unit_id = a.unit_id AND p.valid_to = 'infinity'));
    IF cardinality(affected) = 0 THEN
        RETURN;
    END IF;
    SELECT array_agg(o.unit_id), array_agg(o.ends_as) INTO stepped, stepped_to
      FROM unnest(affected) AS a (unit_id)
     CROSS JOIN LATERAL (SELECT p.path FROM kpi.unit_path p WHERE p.unit_id = a.unit_id AND p.valid_to = 'infinity' OFFSET 0) p
     CROSS JOIN LATERAL (SELECT u.unit_id, (SELECT w.path FROM kpi.unit_path w WHERE w.unit_id = u.unit_id AND w.valid_to = 'infinity') AS ends_as
                           FROM kpi.unit u WHERE u.path OPERATOR(@extschema@.=) p.path OFFSET 0) o;
    SELECT u.path AS was, p.path INTO bad
      FROM unnest(stepped, stepped_to) AS o (unit_id, path)
     CROSS JOIN LATERAL (SELECT u.path FROM kpi.unit u WHERE u.unit_id = o.unit_id AND u.path OPERATOR(@extschema@.=) o.path OFFSET 0) p
     CROSS JOIN LATERAL (SELECT a.unit_id FROM unnest(affected) AS a (unit_id)
                          WHERE (SELECT w.path FROM kpi.unit_path w WHERE w.unit_id = a.unit_id AND w.valid_to = 'infinity') OPERATOR(@extschema@.=) o.path
                          LIMIT 1) a
     CROSS JOIN LATERAL (SELECT u.path FROM kpi.unit u WHERE u.unit_id = a.unit_id OFFSET 0) u
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'unique_violation',
            MESSAGE = format('unit "%s" cannot become "%s", which is another unit', bad.was, bad.path),
            HINT = 'Rename one of the two first.',
            SCHEMA = 'kpi', TABLE = 'unit', CONSTRAINT = 'unit_path_key';
    END IF;
    IF stepped IS NOT NULL THEN
        UPDATE kpi.unit_path p SET path = concat('kpi_cascade-moving-', p.unit_id)::@extschema@.kpi_path
         WHERE p.unit_id = ANY (stepped) AND p.valid_to = 'infinity';
        UPDATE kpi.unit u SET path = concat('kpi_cascade-moving-', u.unit_id)::@extschema@.kpi_path
         WHERE u.unit_id = ANY (stepped);
        UPDATE kpi.unit_path p SET path = stepped_to[array_position(stepped, p.unit_id)]
         WHERE p.unit_id = ANY (stepped) AND p.valid_to = 'infinity';
    END IF;
    UPDATE kpi.unit u
       SET path = (SELECT p.path FROM kpi.unit_path p WHERE p.unit_id = u.unit_id AND p.valid_to = 'infinity')
     WHERE u.unit_id = ANY (affected);
END
$$;
COMMENT ON FUNCTION kpi.unit_path_refresh(bigint[], boolean) IS
'Internal: works out kpi.unit_path, and unit.path from it, for units whose history (or, where relabelled, whose last label) changed, and for all beneath them. Errors: 23001 for a unit without its first row and for a cycle, which it names; 23505 where two units would have one path.';

CREATE FUNCTION kpi.unit_path_rebuild() RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    LOCK TABLE kpi.link_lock IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM kpi.unit_path;
    PERFORM kpi.unit_path_refresh(ARRAY(SELECT u.unit_id FROM kpi.unit u), true);
END
$$;
COMMENT ON FUNCTION kpi.unit_path_rebuild() IS
'Internal, for kpi.rebuild(): works out kpi.unit_path, and unit.path from it, for all units from their history.';

-- ---- kpi.unit ----

CREATE FUNCTION kpi.unit_level() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off
    AS $$
BEGIN
    IF kpi.depth(NEW.path) = 1 THEN
        NEW.level_no := 1;
    ELSE
        -- stays null where the parent comes later in this statement
        NEW.level_no := (SELECT u.level_no + 1 FROM kpi.unit u WHERE u.path OPERATOR(@extschema@.=) kpi.parent(NEW.path));
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION kpi.unit_level() IS
'Internal trigger: level_no, where none is given, is the parent''s plus 1, and 1 for a root.';

CREATE FUNCTION kpi.unit_inserted() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
    AS $$
DECLARE
    missing @extschema@.kpi_path;
BEGIN
    IF NOT EXISTS (SELECT FROM written) THEN
        RETURN NULL;
    END IF;
    LOCK TABLE kpi.link_lock IN ROW EXCLUSIVE MODE;
    IF NOT kpi.restoring() THEN
        SELECT n.path INTO missing
          FROM written n
         WHERE kpi.depth(n.path) > 1
           AND (SELECT true FROM kpi.unit p WHERE p.path OPERATOR(@extschema@.=) kpi.parent(n.path)) IS NULL
         ORDER BY n.path LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation',
                MESSAGE = format('unit "%s" does not exist', kpi.parent(missing)),
                DETAIL = format('It is the parent of unit "%s".', missing),
                HINT = 'Insert it before, or in the same statement.',
                SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = 'path';
        END IF;
    END IF;

    -- counted from the nearest unit above that has a level
    IF EXISTS (SELECT FROM written n WHERE n.level_no IS NULL) THEN
        UPDATE kpi.unit u
           SET level_no = coalesce((SELECT p.level_no + kpi.depth(u.path) - d.depth
                                      FROM generate_series(kpi.depth(u.path) - 1, 1, -1) AS d (depth)
                                     CROSS JOIN LATERAL (SELECT p.level_no FROM kpi.unit p
                                                          WHERE p.path OPERATOR(@extschema@.=) kpi.subpath(u.path, 1, d.depth)
                                                            AND p.level_no IS NOT NULL OFFSET 0) p
                                     LIMIT 1), kpi.depth(u.path))
         WHERE u.unit_id = ANY (ARRAY(SELECT n.unit_id FROM written n WHERE n.level_no IS NULL));
    END IF;

    INSERT INTO kpi.unit_history (unit_id, effective_from, parent_unit_id, share)
    SELECT n.unit_id, '-infinity', (SELECT p.unit_id FROM kpi.unit p WHERE p.path OPERATOR(@extschema@.=) kpi.parent(n.path)), n.share
      FROM written n;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION kpi.unit_inserted() IS
'Internal trigger: refuses units whose parent does not exist once the statement is done (23503), fills level_no and writes the first rows of kpi.unit_history.';

CREATE FUNCTION kpi.unit_updated() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
    AS $$
DECLARE
    renamed bigint[];
    bad record;
BEGIN
    -- what kpi.unit_path has is what path was, or, when this runs for the
    -- extension's own update, what path has become
    renamed := ARRAY(
        SELECT n.unit_id
          FROM written n
         WHERE (SELECT p.path FROM kpi.unit_path p WHERE p.unit_id = n.unit_id AND p.valid_to = 'infinity') OPERATOR(@extschema@.<>) n.path);
    IF cardinality(renamed) = 0 OR kpi.restoring() THEN
        RETURN NULL;
    END IF;
    LOCK TABLE kpi.link_lock IN SHARE ROW EXCLUSIVE MODE;
    -- the last label may change; those before it only as the parent's do
    SELECT p.path AS was, u.path INTO bad
      FROM unnest(renamed) AS a (unit_id)
     CROSS JOIN LATERAL (SELECT u.path FROM kpi.unit u WHERE u.unit_id = a.unit_id OFFSET 0) u
     CROSS JOIN LATERAL (SELECT p.path, p.parent_unit_id FROM kpi.unit_path p
                          WHERE p.unit_id = a.unit_id AND p.valid_to = 'infinity' OFFSET 0) p
     WHERE kpi.parent(u.path)::text IS DISTINCT FROM kpi.parent(p.path)::text
       AND kpi.parent(u.path)::text IS DISTINCT FROM (SELECT o.path::text FROM kpi.unit o WHERE o.unit_id = p.parent_unit_id)
     ORDER BY u.path LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('unit "%s" cannot be renamed to "%s"', bad.was, bad.path),
            DETAIL = 'An update of path may change the last label only, for all time.',
            HINT = 'Call kpi.move_unit(unit, new_parent, effective) to change the parent from a day on.',
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = 'path';
    END IF;
    PERFORM kpi.unit_path_refresh(renamed, true);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION kpi.unit_updated() IS
'Internal trigger: renames units for all time, their subtrees with them; refuses any other change of path (55000).';

CREATE FUNCTION kpi.unit_keeps_facts() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    measure text;
BEGIN
    SELECT m.code INTO measure
      FROM kpi.kpi k JOIN kpi.measure m ON m.measure_id = k.measure_id
     WHERE k.unit_id = OLD.unit_id AND EXISTS (SELECT FROM kpi.fact f WHERE f.kpi_id = k.kpi_id)
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation',
            MESSAGE = format('unit "%s" still has facts', OLD.path),
            DETAIL = format('There are facts of measure "%s".', measure),
            HINT = 'End the unit with valid_to, or delete its facts first.',
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN OLD;
END
$$;
COMMENT ON FUNCTION kpi.unit_keeps_facts() IS
'Internal trigger: refuses to delete a unit with facts (23503).';

CREATE FUNCTION kpi.units_truncated() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF EXISTS (SELECT FROM kpi.unit) THEN
        RAISE EXCEPTION USING ERRCODE = 'restrict_violation',
            MESSAGE = 'kpi.unit_history cannot be truncated while there are units',
            HINT = 'Update or delete its rows instead, or truncate kpi.unit with CASCADE.',
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
    END IF;
    DELETE FROM kpi.unit_path;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION kpi.units_truncated() IS
'Internal trigger: empties kpi.unit_path with kpi.unit, and refuses to truncate history alone (23001).';

CREATE TRIGGER unit_level BEFORE INSERT OR UPDATE ON kpi.unit
    FOR EACH ROW WHEN (NEW.level_no IS NULL) EXECUTE FUNCTION kpi.unit_level();
CREATE TRIGGER unit_keeps_facts BEFORE DELETE ON kpi.unit
    FOR EACH ROW EXECUTE FUNCTION kpi.unit_keeps_facts();
CREATE TRIGGER unit_inserted AFTER INSERT ON kpi.unit
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION kpi.unit_inserted();
CREATE TRIGGER unit_updated AFTER UPDATE ON kpi.unit
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION kpi.unit_updated();

-- ---- kpi.unit_history ----

CREATE FUNCTION kpi.unit_history_make_way(unit_id bigint) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET kpi_cascade.history_gives_way = on
    AS $$
BEGIN
    LOCK TABLE kpi.link_lock IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM kpi.unit_history h
     WHERE h.unit_id = unit_history_make_way.unit_id AND h.effective_from = '-infinity';
END
$$;
COMMENT ON FUNCTION kpi.unit_history_make_way(bigint) IS
'Internal: deletes the first history row of a unit for another that is being inserted; the triggers of the inserting statement look at the result.';

CREATE FUNCTION kpi.unit_history_first() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off
    AS $$
DECLARE
    first record;
BEGIN
    SELECT h.parent_unit_id, h.share INTO first
      FROM kpi.unit_history h
     WHERE h.unit_id = NEW.unit_id AND h.effective_from = '-infinity';
    IF NOT FOUND THEN
        RETURN NEW;
    END IF;
    IF first.parent_unit_id IS NOT DISTINCT FROM NEW.parent_unit_id AND first.share = NEW.share THEN
        RETURN NULL;
    END IF;
    -- whether the tree is still one can only be said when all rows of the statement are there
    PERFORM kpi.unit_history_make_way(NEW.unit_id);
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION kpi.unit_history_first() IS
'Internal trigger: a first row inserted where the unit has one, as it always does once it exists, takes its place. So a dump can bring its own.';

CREATE FUNCTION kpi.unit_history_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
    AS $$
DECLARE
    changed bigint[];
    bad record;
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('kpi_cascade.history_gives_way', true) = 'on' THEN
        RETURN NULL;        -- the insertion for which the rows give way comes here too
    ELSIF TG_OP = 'INSERT' THEN
        changed := ARRAY(SELECT n.unit_id FROM written n);
    ELSIF TG_OP = 'UPDATE' THEN
        changed := ARRAY(SELECT n.unit_id FROM written n UNION ALL SELECT o.unit_id FROM gone o);
    ELSE
        changed := ARRAY(SELECT o.unit_id FROM gone o);
    END IF;
    IF cardinality(changed) = 0 THEN
        RETURN NULL;
    END IF;

    IF TG_OP = 'INSERT' THEN
        IF NOT EXISTS (SELECT FROM written n WHERE n.effective_from <> '-infinity') THEN
            LOCK TABLE kpi.link_lock IN ROW EXCLUSIVE MODE;
        ELSE
            LOCK TABLE kpi.link_lock IN SHARE ROW EXCLUSIVE MODE;
        END IF;
    ELSE
        LOCK TABLE kpi.link_lock IN SHARE ROW EXCLUSIVE MODE;
    END IF;

    IF TG_OP = 'DELETE' THEN
        -- deleted with the parent, while the unit itself stays
        SELECT (SELECT p.path FROM kpi.unit_path p WHERE p.unit_id = o.parent_unit_id AND p.valid_to = 'infinity') AS parent, u.path INTO bad
          FROM gone o
         CROSS JOIN LATERAL (SELECT u.path FROM kpi.unit u WHERE u.unit_id = o.unit_id OFFSET 0) u
         WHERE o.parent_unit_id IS NOT NULL
           AND (SELECT true FROM kpi.unit x WHERE x.unit_id = o.parent_unit_id) IS NULL
         ORDER BY u.path LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation',
                MESSAGE = format('unit "%s" still has child units', bad.parent),
                DETAIL = format('Unit "%s" reports, or reported, to it.', bad.path),
                HINT = 'End the unit with valid_to, or delete its child units in the same statement or before.',
                SCHEMA = 'kpi', TABLE = 'unit';
        END IF;
    END IF;

    PERFORM kpi.unit_path_refresh(changed, false);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION kpi.unit_history_changed() IS
'Internal trigger: brings kpi.unit_path and unit.path in line with history; refuses units without a first row (23001), cycles (23001), equal paths (23505) and the deletion of units that have child units (23503).';

-- not for the rows that the trigger of kpi.unit writes: there is nothing to replace
CREATE TRIGGER unit_history_first BEFORE INSERT ON kpi.unit_history
    FOR EACH ROW WHEN (NEW.effective_from = '-infinity' AND pg_trigger_depth() = 0) EXECUTE FUNCTION kpi.unit_history_first();
CREATE TRIGGER unit_history_inserted AFTER INSERT ON kpi.unit_history
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION kpi.unit_history_changed();
CREATE TRIGGER unit_history_updated AFTER UPDATE ON kpi.unit_history
    REFERENCING OLD TABLE AS gone NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION kpi.unit_history_changed();
CREATE TRIGGER unit_history_deleted AFTER DELETE ON kpi.unit_history
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION kpi.unit_history_changed();
CREATE TRIGGER unit_history_truncated AFTER TRUNCATE ON kpi.unit_history
    FOR EACH STATEMENT EXECUTE FUNCTION kpi.units_truncated();

-- Logical replication brings rows of unit and of unit_history as they are on
-- the publisher, and fires row triggers only.  The initial copy brings the two
-- tables at the same time in two transactions: whichever is second must see
-- what the first has brought.
CREATE FUNCTION kpi.units_replicated() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM kpi.lock_units();
    IF TG_OP <> 'DELETE' THEN
        PERFORM kpi.unit_path_refresh(ARRAY[NEW.unit_id], TG_TABLE_NAME = 'unit');
    END IF;
    IF TG_OP <> 'INSERT' THEN
        PERFORM kpi.unit_path_refresh(ARRAY[OLD.unit_id], TG_TABLE_NAME = 'unit');
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION kpi.units_replicated() IS
'Internal trigger: brings kpi.unit_path in line with a row that logical replication applied.';
CREATE TRIGGER units_replicated AFTER INSERT OR UPDATE OF path OR DELETE ON kpi.unit
    FOR EACH ROW EXECUTE FUNCTION kpi.units_replicated();
CREATE TRIGGER units_replicated AFTER INSERT OR UPDATE OR DELETE ON kpi.unit_history
    FOR EACH ROW EXECUTE FUNCTION kpi.units_replicated();
ALTER TABLE kpi.unit ENABLE REPLICA TRIGGER units_replicated;
ALTER TABLE kpi.unit_history ENABLE REPLICA TRIGGER units_replicated;

-- ---- moving units, sharing them ----

CREATE FUNCTION kpi.path_or_null(text) RETURNS @extschema@.kpi_path
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_path_or_null';
COMMENT ON FUNCTION kpi.path_or_null(text) IS
'The text as a path; null where it is no path.';

CREATE FUNCTION kpi.unit_id(unit text) RETURNS bigint
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    found_id bigint;
BEGIN
    SELECT u.unit_id INTO found_id FROM kpi.unit u WHERE u.path OPERATOR(@extschema@.=) kpi.path_or_null(unit_id.unit);
    IF NOT FOUND THEN
        SELECT u.unit_id INTO found_id FROM kpi.unit u WHERE u.code = unit_id.unit;
    END IF;
    IF found_id IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('unit "%s" does not exist', coalesce(unit_id.unit, 'null')),
            HINT = 'Give a path as in kpi.unit.path, or a unit code.';
    END IF;
    RETURN found_id;
END
$$;
COMMENT ON FUNCTION kpi.unit_id(text) IS
'The key of the unit with that path; where there is none, of the unit with that code. So a text that is the path of one unit and the code of another means the path. Error: 42704 where there is no such unit.';

CREATE FUNCTION kpi.unit_id(unit @extschema@.kpi_path) RETURNS bigint
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    found_id bigint;
BEGIN
    SELECT u.unit_id INTO found_id FROM kpi.unit u WHERE u.path OPERATOR(@extschema@.=) unit_id.unit;
    IF found_id IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('unit "%s" does not exist', coalesce(unit_id.unit::text, 'null')),
            HINT = 'Give a path as in kpi.unit.path.';
    END IF;
    RETURN found_id;
END
$$;
COMMENT ON FUNCTION kpi.unit_id(@extschema@.kpi_path) IS
'The key of the unit with that path. Error: 42704 where there is none.';

CREATE FUNCTION kpi.lock_units() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    LOCK TABLE kpi.link_lock IN SHARE ROW EXCLUSIVE MODE;
END
$$;
COMMENT ON FUNCTION kpi.lock_units() IS
'Internal: takes the lock under which the tree of units changes, until the transaction ends.';

-- One row of history changes parent or share (the other null), and with it
-- the rows after it up to the next recorded change of the same thing.
CREATE FUNCTION kpi.change_unit_history(unit_id bigint, new_parent_id bigint, new_share numeric, effective date) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    the_unit constant bigint := unit_id;
    moving constant boolean := new_share IS NULL;
    unit record;
    before record;
    until date;
BEGIN
    PERFORM kpi.lock_units();
    SELECT u.path, u.valid_from INTO unit FROM kpi.unit u WHERE u.unit_id = the_unit;
    IF effective IS NULL OR effective = 'infinity' THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = format('effective date of a change to unit "%s" is missing', unit.path),
            HINT = 'Give the first day on which it shall apply.';
    ELSIF effective < unit.valid_from THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('unit "%s" does not exist on %s', unit.path, to_char(effective, 'YYYY-MM-DD')),
            HINT = format('It is valid from %s on; change kpi.unit.valid_from, or choose a later day.', to_char(unit.valid_from, 'YYYY-MM-DD'));
    ELSIF moving AND new_parent_id = the_unit THEN
        RAISE EXCEPTION USING ERRCODE = 'restrict_violation',
            MESSAGE = format('unit "%s" cannot report to itself', unit.path),
            HINT = 'Give another unit as its new parent.';
    END IF;

    SELECT h.parent_unit_id, h.share INTO before
      FROM kpi.unit_history h
     WHERE h.unit_id = the_unit AND h.effective_from <= effective
     ORDER BY h.effective_from DESC LIMIT 1;
    IF (CASE WHEN moving THEN before.parent_unit_id IS NOT DISTINCT FROM new_parent_id ELSE before.share = new_share END) THEN
        RETURN;
    END IF;
    SELECT min(h.effective_from) INTO until
      FROM kpi.unit_history h
     WHERE h.unit_id = the_unit AND h.effective_from > effective
       AND CASE WHEN moving THEN h.parent_unit_id IS DISTINCT FROM before.parent_unit_id ELSE h.share <> before.share END;

    IF NOT EXISTS (SELECT FROM kpi.unit_history h WHERE h.unit_id = the_unit AND h.effective_from = effective) THEN
        INSERT INTO kpi.unit_history (unit_id, effective_from, parent_unit_id, share)
        VALUES (the_unit, effective, CASE WHEN moving THEN new_parent_id ELSE before.parent_unit_id END,
                coalesce(new_share, before.share));
    END IF;
    UPDATE kpi.unit_history h
       SET parent_unit_id = CASE WHEN moving THEN new_parent_id ELSE h.parent_unit_id END,
           share = coalesce(new_share, h.share)
     WHERE h.unit_id = the_unit AND h.effective_from >= effective AND h.effective_from < coalesce(until, 'infinity')
       AND CASE WHEN moving THEN h.parent_unit_id IS DISTINCT FROM new_parent_id ELSE h.share <> new_share END;
END
$$;
COMMENT ON FUNCTION kpi.change_unit_history(bigint, bigint, numeric, date) IS
'Internal: what kpi.move_unit (new_share null) and kpi.set_share do.';

CREATE FUNCTION kpi.move_unit(unit text, new_parent text, effective date) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM kpi.change_unit_history(kpi.unit_id(move_unit.unit),
                                    CASE WHEN new_parent IS NOT NULL THEN kpi.unit_id(new_parent) END, NULL, effective);
END
$$;
COMMENT ON FUNCTION kpi.move_unit(text, text, date) IS
'Moves a unit, with all beneath it, under a new parent (null: to the top) from a day on; both by path or unit code. What was in force before that day stays; so do moves already recorded for a later day. Paths then show the newest recorded parent. Errors: 42704 for an unknown unit, 23001 where the unit would report to itself, naming the cycle, 22023 before the unit''s valid_from, 22004 without a day, 23505 where the new parent has a unit of that label.';

CREATE FUNCTION kpi.move_unit(unit @extschema@.kpi_path, new_parent @extschema@.kpi_path, effective date) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM kpi.change_unit_history(kpi.unit_id(move_unit.unit),
                                    CASE WHEN new_parent IS NOT NULL THEN kpi.unit_id(new_parent) END, NULL, effective);
END
$$;
COMMENT ON FUNCTION kpi.move_unit(@extschema@.kpi_path, @extschema@.kpi_path, date) IS
'As kpi.move_unit(text, text, date), with both units by path only.';

CREATE FUNCTION kpi.set_share(unit text, share numeric, effective date) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF set_share.share IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = format('share of unit "%s" must not be null', set_share.unit),
            HINT = 'A share is from 0 to 1.';
    END IF;
    PERFORM kpi.change_unit_history(kpi.unit_id(set_share.unit), NULL, set_share.share, effective);
END
$$;
COMMENT ON FUNCTION kpi.set_share(text, numeric, date) IS
'Sets the share of a unit, by path or unit code, from a day on: the part, 0 to 1, of its values that flows up. What was in force before stays; so do shares already recorded for a later day. Errors: 42704 for an unknown unit, 23514 for a share out of range, 22023 before the unit''s valid_from, 22004 for nulls.';

CREATE FUNCTION kpi.set_share(unit @extschema@.kpi_path, share numeric, effective date) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF set_share.share IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = format('share of unit "%s" must not be null', set_share.unit),
            HINT = 'A share is from 0 to 1.';
    END IF;
    PERFORM kpi.change_unit_history(kpi.unit_id(set_share.unit), NULL, set_share.share, effective);
END
$$;
COMMENT ON FUNCTION kpi.set_share(@extschema@.kpi_path, numeric, date) IS
'As kpi.set_share(text, numeric, date), with the unit by path only.';
