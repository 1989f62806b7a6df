-- The background worker, and what can be seen of folding.

CREATE FUNCTION kpi.start_worker() RETURNS integer
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'kpi_start_worker';
COMMENT ON FUNCTION kpi.start_worker() IS 'Starts a background worker that folds in the current database, until kpi.stop_worker() is called or the server ends, and returns its process id; where there is one already, returns that one''s. Where the library can be preloaded, kpi_cascade.databases is better: it starts workers with the server. Errors: 53400 where max_worker_processes leaves no room, 55000 on a standby';

CREATE FUNCTION kpi.stop_worker() RETURNS boolean
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'kpi_stop_worker';
COMMENT ON FUNCTION kpi.stop_worker() IS 'Ends the background worker of the current database, after the fold it is in, and returns whether there was one. Error: 55000 where kpi_cascade.databases keeps it running';

CREATE FUNCTION kpi.worker_pid() RETURNS integer
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'kpi_worker_pid';
COMMENT ON FUNCTION kpi.worker_pid() IS 'Internal: the process id of the background worker of the current database; null where there is none';

CREATE FUNCTION kpi.count_pending(OUT pending bigint, OUT oldest timestamptz)
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'kpi_count_pending';
COMMENT ON FUNCTION kpi.count_pending() IS 'Internal: the number of changes that are not in the cells, and when the transaction that made the first of them began';

CREATE FUNCTION kpi.status(
    OUT fold_mode text,
    OUT pending bigint,
    OUT oldest_pending timestamptz,
    OUT oldest_pending_age interval,
    OUT last_fold timestamptz,
    OUT last_fold_took interval,
    OUT folds bigint,
    OUT cells_evaluated bigint,
    OUT cells_written bigint,
    OUT folds_per_second numeric,
    OUT cells_per_second numeric,
    OUT worker_pid integer,
    OUT worker_state text,
    OUT worker_since timestamptz,
    OUT hint text)
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
AS $$
DECLARE
    s record;
    max_pending bigint;
    seconds numeric;
BEGIN
    -- loads the library, and with it the settings
    worker_pid := kpi.worker_pid();
    fold_mode := current_setting('kpi_cascade.fold_mode');
    max_pending := current_setting('kpi_cascade.max_pending');

    SELECT c.pending, c.oldest INTO pending, oldest_pending FROM kpi.count_pending() c;
    oldest_pending_age := clock_timestamp() - oldest_pending;

    SELECT f.* INTO s FROM kpi.fold_state f ORDER BY f.folds DESC LIMIT 1;
    last_fold := s.folded_at;
    last_fold_took := s.took;
    folds := coalesce(s.folds, 0);
    cells_evaluated := coalesce(s.cells_evaluated, 0);
    cells_written := coalesce(s.cells_written, 0);
    -- the two latest stretches of time: ten seconds each, or longer where nobody folds
    seconds := extract(epoch FROM clock_timestamp() - coalesce(s.earlier_began, s.window_began));
    IF seconds > 0 THEN
        folds_per_second := round((s.folds - CASE WHEN s.earlier_began IS NULL THEN s.window_folds ELSE s.earlier_folds END) / seconds, 3);
        cells_per_second := round((s.cells_written - CASE WHEN s.earlier_began IS NULL THEN s.window_cells ELSE s.earlier_cells END) / seconds, 3);
    END IF;

    IF worker_pid IS NULL THEN
        worker_state := 'not running';
    ELSE
        SELECT CASE a.state WHEN 'active' THEN 'folding' WHEN 'idle' THEN 'idle' ELSE 'running' END,
               coalesce(a.state_change, a.backend_start)
          INTO worker_state, worker_since
          FROM pg_stat_activity a WHERE a.pid = worker_pid;
        worker_state := coalesce(worker_state, 'running');
    END IF;

    IF pg_is_in_recovery() THEN
        hint := 'This server is a standby: it shows what its primary folds.';
    ELSIF fold_mode = 'background' AND worker_pid IS NULL THEN
        hint := 'No worker folds in this database: list it in kpi_cascade.databases, call kpi.start_worker(), or choose another kpi_cascade.fold_mode. Figures are right, but take longer to read the more is pending.';
    ELSIF max_pending > 0 AND pending > max_pending THEN
        hint := 'More is pending than kpi_cascade.max_pending: folding does not keep up, or somebody holds the fold lock for long.';
    END IF;
END
$$;
COMMENT ON FUNCTION kpi.status() IS 'How folding stands, in one row. fold_mode: of this session; pending: changes not yet in the cells, which views show nevertheless; oldest_pending and its age: when the transaction that made the first of them began; last_fold: when it began, and how long it took; folds, cells_evaluated, cells_written: since the extension was installed; folds_per_second, cells_per_second: in the last ten to twenty seconds in which there were folds; worker_pid; worker_state: not running, idle, folding, or running where activity is not tracked; worker_since: since when in that state; hint: what to do, null where all is well. Works on a standby, too';
