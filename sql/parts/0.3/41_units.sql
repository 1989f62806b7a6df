-- Changes of units' places take their lock before any row is locked, as those
-- of links do, so that two of them wait for each other there and nowhere else.
-- The rows that come with new units are written by a trigger, and take theirs
-- in unit_history_changed().
CREATE TRIGGER links_locked BEFORE INSERT OR UPDATE OR DELETE ON kpi.unit_history
    FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION kpi.lock_links();
COMMENT ON TRIGGER links_locked ON kpi.unit_history IS 'Takes kpi.link_lock before any row is written';
