-- What the extension keeps for itself: cells that stay quick to find beside a
-- long snapshot, folds in parts, and figures about folding.

-- Cells that are written often while an old snapshot keeps their dead versions
-- from being removed get a generation of their own; see src/store_cells.c.
-- Each cell has one row, in generation 0 or in the one that kpi.fold_state names.
ALTER TABLE kpi.cell ADD COLUMN generation integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN kpi.cell.generation IS '0, or for a cell written often beside an old snapshot the generation that keeps its dead versions out of the way';
ALTER TABLE kpi.cell DROP CONSTRAINT cell_pkey, ADD CONSTRAINT cell_pkey PRIMARY KEY (kpi_id, generation, period);
DROP INDEX kpi.cell_period_idx;
CREATE INDEX cell_period_idx ON kpi.cell (generation, period);

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
    ADD COLUMN earlier_cells bigint NOT NULL DEFAULT 0;
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
