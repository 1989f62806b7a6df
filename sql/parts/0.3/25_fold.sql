-- What the extension keeps for itself: cells that stay quick to find beside a
-- long snapshot, folds in parts, and figures about folding.

-- Cells that are written often while an old snapshot keeps their dead versions
-- from being removed get a generation of their own; see src/store_cells.c.
-- Each cell has one row, in generation 0 or in the one that kpi.fold_state names.
ALTER TABLE kpi.cell
    ADD COLUMN generation integer NOT NULL DEFAULT 0,
    ADD COLUMN era integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN kpi.cell.generation IS '0, or for a cell written often beside an old snapshot the generation that keeps its dead versions out of the way';
COMMENT ON COLUMN kpi.cell.era IS 'The stretch of folds beside an old snapshot in which the cell was last written; 0 for none';
-- Not unique: a unique index looks at every dead version of a key again when
-- a new one comes.  That a cell has one row is the fold's business, and
-- kpi.verify() tells.
ALTER TABLE kpi.cell DROP CONSTRAINT cell_pkey;
CREATE INDEX cell_kpi_id_idx ON kpi.cell (kpi_id, generation, period);
DROP INDEX kpi.cell_period_idx;
CREATE INDEX cell_period_idx ON kpi.cell (generation, period);

-- a folder's own rows that it took along are passed over by seq
DROP INDEX kpi.pending_xid_idx;
CREATE INDEX pending_xid_idx ON kpi.pending (xid, seq);

ALTER TABLE kpi.pending ADD COLUMN noted_at timestamptz;
COMMENT ON COLUMN kpi.pending.noted_at IS 'When the transaction that made the change began';

ALTER TABLE kpi.fold_state
    ADD COLUMN generation integer NOT NULL DEFAULT 0,
    ADD COLUMN generations integer NOT NULL DEFAULT 0,
    ADD COLUMN era_began xid8 NOT NULL DEFAULT '0',
    ADD COLUMN era_folds integer NOT NULL DEFAULT 0,
    ADD COLUMN eras integer NOT NULL DEFAULT 0,
    ADD COLUMN window_began timestamptz,
    ADD COLUMN window_folds bigint NOT NULL DEFAULT 0,
    ADD COLUMN window_cells bigint NOT NULL DEFAULT 0,
    ADD COLUMN earlier_began timestamptz,
    ADD COLUMN earlier_folds bigint NOT NULL DEFAULT 0,
    ADD COLUMN earlier_cells bigint NOT NULL DEFAULT 0,
    ADD COLUMN restored boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN kpi.fold_state.generation IS 'The generation that cells are written to while an old snapshot is held; 0 when there is none';
COMMENT ON COLUMN kpi.fold_state.generations IS 'The last generation ever used';
COMMENT ON COLUMN kpi.fold_state.era_began IS 'The transaction that began the current stretch of folds';
COMMENT ON COLUMN kpi.fold_state.era_folds IS 'Number of folds in that stretch';
COMMENT ON COLUMN kpi.fold_state.eras IS 'Number of stretches since an old snapshot is held';
COMMENT ON COLUMN kpi.fold_state.window_began IS 'Beginning of the latest stretch of time that rates are measured over';
COMMENT ON COLUMN kpi.fold_state.window_folds IS 'Number of folds at that time';
COMMENT ON COLUMN kpi.fold_state.window_cells IS 'Number of cells written at that time';
COMMENT ON COLUMN kpi.fold_state.earlier_began IS 'Beginning of the stretch before';
COMMENT ON COLUMN kpi.fold_state.earlier_folds IS 'Number of folds at that time';
COMMENT ON COLUMN kpi.fold_state.earlier_cells IS 'Number of cells written at that time';
COMMENT ON COLUMN kpi.fold_state.restored IS 'Were cells written while a dump was restored, and has nobody folded all of it since?';
-- the newest row is the last of this index: found without passing dead ones
CREATE UNIQUE INDEX fold_state_folds_idx ON kpi.fold_state (folds);

CREATE FUNCTION kpi.hot_generation() RETURNS integer
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'kpi_hot_generation';
COMMENT ON FUNCTION kpi.hot_generation() IS 'Internal: the generation of kpi.cell in which cells are that have been written often beside an old snapshot; all others are in generation 0';

CREATE FUNCTION kpi.fold(max_rows bigint) RETURNS bigint
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'kpi_fold_part';
COMMENT ON FUNCTION kpi.fold(bigint) IS 'Folds about max_rows of the pending changes, oldest transactions first and each as a whole, and returns how many there were; 0 when nothing is pending. Waits while another transaction folds. Errors: 22023 when max_rows is not positive';

-- kpi.cell has one column more
CREATE OR REPLACE FUNCTION kpi.dirty() RETURNS SETOF kpi.cell
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 4
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT d.* FROM kpi.dirty((SELECT v.key FROM kpi.view_key v)) d;
END;

-- Cells that pending changes may have changed are listed first and computed
-- when a view shows them.
CREATE FUNCTION kpi.dirty_cells(view_key uuid, OUT kpi_id bigint, OUT period @extschema@.kpi_period, OUT shown_key uuid) RETURNS SETOF record
    LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 4
    AS 'MODULE_PATHNAME', 'kpi_dirty_cells';
COMMENT ON FUNCTION kpi.dirty_cells(uuid) IS 'Internal: which cells pending changes may have changed, each with the key shown. Error: 42501 without the key in kpi.view_key';

CREATE FUNCTION kpi.is_any_dirty() RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'kpi_is_any_dirty';
COMMENT ON FUNCTION kpi.is_any_dirty() IS 'Internal: is there any such cell? Where there is none, views that look up many KPIs need not ask for each';

CREATE FUNCTION kpi.dirty_of(view_key uuid, kpi_id bigint) RETURNS SETOF kpi.cell
    LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 4
    AS 'MODULE_PATHNAME', 'kpi_dirty_of';
COMMENT ON FUNCTION kpi.dirty_of(uuid, bigint) IS 'Internal: those cells of one KPI that pending changes have changed, as they are now, for views that look cells up by KPI. Error: 42501 without the key in kpi.view_key';

CREATE FUNCTION kpi.dirty_exists(view_key uuid, kpi_id bigint, period @extschema@.kpi_period, VARIADIC after bigint[] DEFAULT '{}') RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 1000
    AS 'MODULE_PATHNAME', 'kpi_dirty_exists';
COMMENT ON FUNCTION kpi.dirty_exists(uuid, bigint, @extschema@.kpi_period, bigint[]) IS 'Internal: is there such a cell with what is pending? It computes the cell, so views name in the last arguments what is to be joined before. Error: 42501 without the key in kpi.view_key';

CREATE FUNCTION kpi.dirty_figure(view_key uuid, kpi_id bigint, period @extschema@.kpi_period, figure integer) RETURNS numeric
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'kpi_dirty_figure';
COMMENT ON FUNCTION kpi.dirty_figure(uuid, bigint, @extschema@.kpi_period, integer) IS 'Internal: a figure of a cell with what is pending, by the number of its column in kpi.cell. Error: 42501 without the key in kpi.view_key';

CREATE FUNCTION kpi.dirty_status(view_key uuid, kpi_id bigint, period @extschema@.kpi_period) RETURNS @extschema@.kpi_status
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'kpi_dirty_status';
COMMENT ON FUNCTION kpi.dirty_status(uuid, bigint, @extschema@.kpi_period) IS 'Internal: the status of a cell with what is pending. Error: 42501 without the key in kpi.view_key';

CREATE FUNCTION kpi.dirty_tally(view_key uuid, kpi_id bigint, period @extschema@.kpi_period, own boolean) RETURNS @extschema@.kpi_tally
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'kpi_dirty_tally';
COMMENT ON FUNCTION kpi.dirty_tally(uuid, bigint, @extschema@.kpi_period, boolean) IS 'Internal: the tally of a cell with what is pending, or that of its own facts. Error: 42501 without the key in kpi.view_key';
