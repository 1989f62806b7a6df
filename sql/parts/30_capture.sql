-- Capture: what each statement changed becomes pending rows.  Triggers fire
-- ENABLE ALWAYS, so that replicas and sessions with session_replication_role
-- stay right; row triggers, ENABLE REPLICA, serve the apply worker of logical
-- replication, which fires no statement triggers.

CREATE FUNCTION kpi.version() RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'kpi_version';
COMMENT ON FUNCTION kpi.version() IS 'Version of the loaded library; calling it loads the library and makes the settings kpi_cascade.* known';

CREATE FUNCTION kpi.capture_fact() RETURNS trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'kpi_capture_fact';
COMMENT ON FUNCTION kpi.capture_fact() IS 'Trigger on kpi.fact: checks new facts and appends what changed to kpi.pending';

CREATE FUNCTION kpi.capture_target() RETURNS trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'kpi_capture_target';
COMMENT ON FUNCTION kpi.capture_target() IS 'Trigger on kpi.target: appends what changed to kpi.pending';

CREATE FUNCTION kpi.capture_structure() RETURNS trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'kpi_capture_structure';
COMMENT ON FUNCTION kpi.capture_structure() IS 'Trigger on unit, unit_history, measure, kpi and link: appends what changed to kpi.pending';

DO $create$
DECLARE
    t text;
    f text;
BEGIN
    FOREACH t IN ARRAY ARRAY['unit', 'unit_history', 'measure', 'kpi', 'link', 'fact', 'target'] LOOP
        f := CASE WHEN t IN ('fact', 'target') THEN 'capture_' || t ELSE 'capture_structure' END;
        EXECUTE format('CREATE TRIGGER capture_insert AFTER INSERT ON kpi.%I REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION kpi.%I()', t, f);
        EXECUTE format('CREATE TRIGGER capture_update AFTER UPDATE ON kpi.%I REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION kpi.%I()', t, f);
        EXECUTE format('CREATE TRIGGER capture_delete AFTER DELETE ON kpi.%I REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION kpi.%I()', t, f);
        EXECUTE format('CREATE TRIGGER capture_truncate AFTER TRUNCATE ON kpi.%I FOR EACH STATEMENT EXECUTE FUNCTION kpi.%I()', t, f);
        EXECUTE format('CREATE TRIGGER capture_replicated AFTER INSERT OR UPDATE OR DELETE ON kpi.%I FOR EACH ROW EXECUTE FUNCTION kpi.%I()', t, f);
        EXECUTE format('ALTER TABLE kpi.%I ENABLE ALWAYS TRIGGER capture_insert, ENABLE ALWAYS TRIGGER capture_update, ENABLE ALWAYS TRIGGER capture_delete, ENABLE ALWAYS TRIGGER capture_truncate, ENABLE REPLICA TRIGGER capture_replicated', t);
        EXECUTE format('COMMENT ON TRIGGER capture_insert ON kpi.%I IS %L', t, 'Captures inserted rows');
        EXECUTE format('COMMENT ON TRIGGER capture_update ON kpi.%I IS %L', t, 'Captures updated rows');
        EXECUTE format('COMMENT ON TRIGGER capture_delete ON kpi.%I IS %L', t, 'Captures deleted rows');
        EXECUTE format('COMMENT ON TRIGGER capture_truncate ON kpi.%I IS %L', t, 'Captures a TRUNCATE: everything is looked at again');
        EXECUTE format('COMMENT ON TRIGGER capture_replicated ON kpi.%I IS %L', t, 'Captures rows that logical replication applies');
    END LOOP;
END
$create$;

CREATE FUNCTION kpi.fold() RETURNS bigint
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'kpi_fold';
COMMENT ON FUNCTION kpi.fold() IS 'Folds all pending changes into the cells and returns how many there were; waits while another transaction folds, and rolls back with the transaction. Readers never need it: views are exact before and after';

CREATE FUNCTION kpi.refold() RETURNS bigint
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'kpi_refold';
COMMENT ON FUNCTION kpi.refold() IS 'Computes every cell anew from the raw rows and writes those that differ; the heart of kpi.rebuild()';

CREATE FUNCTION kpi.dirty(view_key uuid) RETURNS SETOF kpi.cell
    LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 4
    AS 'MODULE_PATHNAME', 'kpi_dirty';
COMMENT ON FUNCTION kpi.dirty(uuid) IS 'Internal: the cells that pending changes have changed, as they are now; the views show them in place of rows of kpi.cell. Error: 42501 without the key in kpi.view_key, which only the owner of the views can read';

CREATE FUNCTION kpi.dirty() RETURNS SETOF kpi.cell
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 4
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT d.* FROM kpi.dirty((SELECT v.key FROM kpi.view_key v)) d;
END;
COMMENT ON FUNCTION kpi.dirty() IS 'Internal, for the owner of the extension: the same, for whoever can read kpi.view_key';

CREATE FUNCTION kpi.is_dirty(kpi_id bigint, period @extschema@.kpi_period) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'kpi_is_dirty';
COMMENT ON FUNCTION kpi.is_dirty(bigint, @extschema@.kpi_period) IS 'Has a pending change made this row of kpi.cell out of date?';

CREATE FUNCTION kpi.row_security_applies() RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'kpi_row_security_applies';
COMMENT ON FUNCTION kpi.row_security_applies() IS 'Do row security policies on kpi.unit apply to the current user? The views then show only rows of units that user may see';

CREATE FUNCTION kpi.visible_units() RETURNS SETOF bigint
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'kpi_visible_units';
COMMENT ON FUNCTION kpi.visible_units() IS 'Internal: the units that the row security policies on kpi.unit let the current user see, whether or not that user may read the table';
