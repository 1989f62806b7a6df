-- Privileges and dumps of what this version brought: what has no privileges yet.
-- The rules are those of 0.2.

DO $$
DECLARE
    recipient constant text := $recipient$@extowner@$recipient$;
    user_tables constant regclass[] := ARRAY['kpi.objective', 'kpi.benchmark',
        'kpi.member', 'kpi.membership', 'kpi.check_in', 'kpi.review', 'kpi.review_item', 'kpi.action_item',
        'kpi.skill', 'kpi.measure_skill', 'kpi.training', 'kpi.acknowledgement']::regclass[];
    -- what triggers and folds write and users keep: the owner reads and passes that on,
    -- inserts, because dumps are restored, and deletes what is no longer wanted
    kept_tables constant regclass[] := ARRAY['kpi.target_revision', 'kpi.fact_revision', 'kpi.status_change',
        'kpi.period_close', 'kpi.reported']::regclass[];
    thing record;
    user_table regclass;
    owned regclass;
BEGIN
    FOREACH user_table IN ARRAY user_tables || kept_tables LOOP
        IF user_table = ANY (kept_tables) THEN
            EXECUTE format('GRANT SELECT ON %s TO %s WITH GRANT OPTION', user_table, recipient);
            EXECUTE format('GRANT INSERT, DELETE ON %s TO %s', user_table, recipient);
        ELSE
            EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %s WITH GRANT OPTION', user_table, recipient);
        END IF;
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

    FOR thing IN
        SELECT c.oid::regclass AS name, c.relkind
          FROM pg_catalog.pg_class c
         WHERE c.relnamespace = 'kpi'::regnamespace AND c.relkind IN ('S', 'v') AND c.relacl IS NULL
    LOOP
        EXECUTE format('GRANT %s ON %s TO %s WITH GRANT OPTION',
                       CASE thing.relkind WHEN 'S' THEN 'ALL' ELSE 'SELECT' END, thing.name, recipient);
    END LOOP;

    FOR thing IN
        SELECT p.oid::regprocedure AS name, p.provolatile, p.prorettype = 'trigger'::regtype AS is_trigger
          FROM pg_catalog.pg_proc p
         WHERE p.pronamespace = 'kpi'::regnamespace AND p.proacl IS NULL
    LOOP
        IF thing.is_trigger OR thing.provolatile <> 'i' THEN
            EXECUTE format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', thing.name);
        END IF;
        IF NOT thing.is_trigger THEN
            EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO %s WITH GRANT OPTION', thing.name, recipient);
        END IF;
    END LOOP;
END
$$;

-- What the views are made of, as in 0.2: callable by whoever may read a view.
GRANT EXECUTE ON FUNCTION kpi.hot_generation(), kpi.is_any_dirty(), kpi.dirty_cells(uuid), kpi.dirty_of(uuid, bigint),
                          kpi.dirty_exists(uuid, bigint, @extschema@.kpi_period, bigint[]),
                          kpi.dirty_figure(uuid, bigint, @extschema@.kpi_period, integer),
                          kpi.dirty_status(uuid, bigint, @extschema@.kpi_period),
                          kpi.dirty_tally(uuid, bigint, @extschema@.kpi_period, boolean)
   TO PUBLIC;

-- Work for the views kpi.alignment and kpi.trend only, which have the key.
GRANT EXECUTE ON FUNCTION kpi.alignment_findings(uuid),
                          kpi.stock_is_carried(uuid, bigint, @extschema@.kpi_period),
                          kpi.stock_to_date(uuid, bigint, @extschema@.kpi_period)
   TO PUBLIC;
