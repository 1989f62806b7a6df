-- Which KPIs may be joined by which kind of link, and no cycle on any day.
-- The rules themselves, and who has to lock what, are in src/links.c.

-- Facts of a growth KPI are refused: this is where capture looks.
CREATE INDEX link_growth_parent_idx ON kpi.link (parent_kpi_id) WHERE contributes = 'growth';

CREATE FUNCTION kpi.lock_links() RETURNS trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'kpi_lock_links';
COMMENT ON FUNCTION kpi.lock_links() IS
'Internal trigger: takes the lock under which links, and what implies them, change, until the transaction ends. Writers of facts never take it.';

CREATE FUNCTION kpi.check_links() RETURNS trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'kpi_check_links';
COMMENT ON FUNCTION kpi.check_links() IS
'Internal trigger: refuses links that their kind does not allow between the two KPIs (23514), and changes that close a cycle on any day, explicit and implied links together, naming it (23001).';

CREATE FUNCTION kpi.check_links_hold() RETURNS trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'kpi_check_links_hold';
COMMENT ON FUNCTION kpi.check_links_hold() IS
'Internal trigger: refuses changes of measures and KPIs that do not allow a link that there is, naming it (55006), and changes of units, their history, measures and KPIs that close a cycle on any day, naming it (23001).';

CREATE TRIGGER link_locked BEFORE INSERT OR UPDATE OR DELETE ON kpi.link
    FOR EACH STATEMENT EXECUTE FUNCTION kpi.lock_links();
CREATE TRIGGER link_rules_inserted AFTER INSERT ON kpi.link
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION kpi.check_links();
CREATE TRIGGER link_rules_updated AFTER UPDATE ON kpi.link
    REFERENCING OLD TABLE AS gone NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION kpi.check_links();
CREATE TRIGGER link_rules_deleted AFTER DELETE ON kpi.link
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION kpi.check_links();

-- Before any row is locked, so that two such changes wait for each other here
-- and nowhere else.  unit_history takes the lock itself (41_units.sql).
CREATE TRIGGER links_locked BEFORE UPDATE OF unit_id, measure_id, valid_from, valid_to OR DELETE ON kpi.kpi
    FOR EACH STATEMENT EXECUTE FUNCTION kpi.lock_links();
CREATE TRIGGER links_locked BEFORE UPDATE OF valid_from, valid_to OR DELETE ON kpi.unit
    FOR EACH STATEMENT EXECUTE FUNCTION kpi.lock_links();
CREATE TRIGGER links_locked BEFORE UPDATE OF rollup, time_rollup, grain, fiscal_start, rolls_up ON kpi.measure
    FOR EACH STATEMENT EXECUTE FUNCTION kpi.lock_links();

CREATE TRIGGER links_hold AFTER UPDATE ON kpi.kpi
    REFERENCING OLD TABLE AS gone NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION kpi.check_links_hold();
CREATE TRIGGER links_hold AFTER UPDATE ON kpi.unit
    REFERENCING OLD TABLE AS gone NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION kpi.check_links_hold();
CREATE TRIGGER links_hold AFTER UPDATE ON kpi.measure
    REFERENCING OLD TABLE AS gone NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION kpi.check_links_hold();
-- after the triggers that refuse cycles of units, by name
CREATE TRIGGER unit_links_hold_inserted AFTER INSERT ON kpi.unit_history
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION kpi.check_links_hold();
CREATE TRIGGER unit_links_hold_updated AFTER UPDATE ON kpi.unit_history
    REFERENCING OLD TABLE AS gone NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION kpi.check_links_hold();
CREATE TRIGGER unit_links_hold_deleted AFTER DELETE ON kpi.unit_history
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION kpi.check_links_hold();

COMMENT ON TRIGGER link_locked ON kpi.link IS 'Takes kpi.link_lock before any row is written';
COMMENT ON TRIGGER link_rules_inserted ON kpi.link IS 'Refuses links that are not allowed, and cycles';
COMMENT ON TRIGGER link_rules_updated ON kpi.link IS 'Refuses links that are not allowed, and cycles';
COMMENT ON TRIGGER link_rules_deleted ON kpi.link IS 'Refuses to close a cycle through implied links that come back';
COMMENT ON TRIGGER links_locked ON kpi.kpi IS 'Takes kpi.link_lock before any row is written';
COMMENT ON TRIGGER links_locked ON kpi.unit IS 'Takes kpi.link_lock before any row is written';
COMMENT ON TRIGGER links_locked ON kpi.measure IS 'Takes kpi.link_lock before any row is written';
COMMENT ON TRIGGER links_hold ON kpi.kpi IS 'Refuses changes that a link does not allow, and cycles';
COMMENT ON TRIGGER links_hold ON kpi.unit IS 'Refuses changes of validity that close a cycle of links';
COMMENT ON TRIGGER links_hold ON kpi.measure IS 'Refuses changes that a link does not allow, and cycles';
COMMENT ON TRIGGER unit_links_hold_inserted ON kpi.unit_history IS 'Refuses changes that close a cycle of links';
COMMENT ON TRIGGER unit_links_hold_updated ON kpi.unit_history IS 'Refuses changes that close a cycle of links';
COMMENT ON TRIGGER unit_links_hold_deleted ON kpi.unit_history IS 'Refuses changes that close a cycle of links';
COMMENT ON INDEX kpi.link_growth_parent_idx IS 'The KPIs that growth links lead into: capture refuses facts of these';
