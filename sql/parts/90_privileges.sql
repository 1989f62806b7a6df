-- Objects stay the installing superuser's, also where CREATE EXTENSION is run
-- by somebody else (trusted); that role gets what it needs to use them and to
-- pass on.  PUBLIC gets the types, with the immutable functions they are made
-- of, and nothing that reads or writes a table.

GRANT USAGE ON SCHEMA kpi TO @extowner@ WITH GRANT OPTION;

GRANT SELECT, INSERT, UPDATE, DELETE
   ON kpi.level, kpi.unit, kpi.unit_history, kpi.measure, kpi.kpi, kpi.link, kpi.fact, kpi.target
   TO @extowner@ WITH GRANT OPTION;
GRANT SELECT, INSERT, UPDATE, DELETE ON kpi.fact_entry, kpi.target_entry TO @extowner@ WITH GRANT OPTION;

DO $$
DECLARE
    recipient constant text := $recipient$@extowner@$recipient$;
    thing record;
BEGIN
    FOR thing IN
        SELECT c.oid::regclass AS name, c.relkind
          FROM pg_catalog.pg_class c
         WHERE c.relnamespace = 'kpi'::regnamespace AND c.relkind IN ('S', 'v')
    LOOP
        EXECUTE format('GRANT %s ON %s TO %s WITH GRANT OPTION',
                       CASE thing.relkind WHEN 'S' THEN 'ALL' ELSE 'SELECT' END, thing.name, recipient);
    END LOOP;

    FOR thing IN
        SELECT p.oid::regprocedure AS name, p.prorettype = 'trigger'::regtype AS is_trigger
          FROM pg_catalog.pg_proc p
         WHERE p.pronamespace = 'kpi'::regnamespace
           AND (p.provolatile <> 'i' OR p.prorettype = 'trigger'::regtype)
    LOOP
        EXECUTE format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', thing.name);
        -- whoever may create a trigger from such a function could aim it at other tables
        IF NOT thing.is_trigger THEN
            EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO %s WITH GRANT OPTION', thing.name, recipient);
        END IF;
    END LOOP;

    FOR thing IN
        SELECT p.oid::regprocedure AS name
          FROM pg_catalog.pg_proc p
         WHERE p.pronamespace = 'kpi'::regnamespace AND p.provolatile = 'i' AND p.prorettype <> 'trigger'::regtype
    LOOP
        EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO %s WITH GRANT OPTION', thing.name, recipient);
    END LOOP;
END
$$;

-- Views call functions with the rights of whoever reads: what the views are
-- made of must be callable by everybody who may read a view.  kpi.dirty() works
-- for the views only.  The others look things up, with the caller's rights.
-- None of it writes, and without USAGE on the schema none of it can be named.
GRANT EXECUTE ON FUNCTION kpi.dirty(uuid), kpi.is_dirty(bigint, @extschema@.kpi_period),
                          kpi.row_security_applies(), kpi.visible_units(),
                          kpi.restoring(), kpi.level_name(integer),
                          kpi.unit_id(text), kpi.unit_id(@extschema@.kpi_path),
                          kpi.kpi_id(text, text), kpi.kpi_id(@extschema@.kpi_path, text),
                          kpi.entry_kpi(text, text, boolean),
                          kpi.check_fact(text, text, @extschema@.kpi_grain, integer, @extschema@.kpi_period, numeric, numeric)
   TO PUBLIC;

-- What users wrote is dumped, in the order of the foreign keys; what the
-- extension keeps for itself is found again from it.
DO $$
DECLARE
    user_table regclass;
    owned regclass;
BEGIN
    FOREACH user_table IN ARRAY ARRAY['kpi.level', 'kpi.unit', 'kpi.unit_history', 'kpi.measure',
                                      'kpi.kpi', 'kpi.link', 'kpi.fact', 'kpi.target']::regclass[]
    LOOP
        PERFORM pg_catalog.pg_extension_config_dump(user_table, '');
        FOR owned IN
            SELECT d.objid::regclass
              FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
             WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
               AND d.refobjid = user_table AND d.deptype = 'i'
        LOOP
            PERFORM pg_catalog.pg_extension_config_dump(owned, '');
        END LOOP;
    END LOOP;
END
$$;
