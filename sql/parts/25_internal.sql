-- What the extension keeps for itself.  None of it is dumped: a restored
-- database finds it again from the rows that users wrote.

-- One row per KPI and period: the materialized result.  The columns after
-- tally are kept so that the next change can be applied as a difference.
-- The index on period serves scorecards of one period, and the fold when it
-- asks which periods are in use.
CREATE TABLE kpi.cell (
    kpi_id             bigint NOT NULL,
    period             @extschema@.kpi_period NOT NULL,
    actual             numeric,
    target             numeric,
    attainment         numeric,
    target_to_date     numeric,
    attainment_to_date numeric,
    driver_score       numeric,
    score              numeric,
    status             @extschema@.kpi_status NOT NULL,
    coverage           numeric NOT NULL,
    tally              @extschema@.kpi_tally,
    has_own            boolean NOT NULL,
    own                @extschema@.kpi_tally,
    coverage_sum       numeric,
    last_actual        @extschema@.kpi_period,
    is_fed             boolean NOT NULL,
    PRIMARY KEY (kpi_id, period)
) WITH (fillfactor = 80);
CREATE INDEX cell_period_idx ON kpi.cell (period);
COMMENT ON TABLE kpi.cell IS 'The materialized result of each KPI in each period, as of the last fold; read kpi.attainment, which adds what is still pending';
COMMENT ON COLUMN kpi.cell.kpi_id IS 'The KPI';
COMMENT ON COLUMN kpi.cell.period IS 'The period';
COMMENT ON COLUMN kpi.cell.actual IS 'What facts and links add up to; null where unknown';
COMMENT ON COLUMN kpi.cell.target IS 'The target, explicit or derived from finer periods';
COMMENT ON COLUMN kpi.cell.attainment IS 'Attainment of the target, 1 is met; neither floored nor capped';
COMMENT ON COLUMN kpi.cell.target_to_date IS 'The part of the target that applies up to the last base period with an actual';
COMMENT ON COLUMN kpi.cell.attainment_to_date IS 'Attainment of the target to date';
COMMENT ON COLUMN kpi.cell.driver_score IS 'The score that the children over score links add up to';
COMMENT ON COLUMN kpi.cell.score IS 'Attainment to date, floored and capped, weighed with the driver score';
COMMENT ON COLUMN kpi.cell.status IS 'The score as a word';
COMMENT ON COLUMN kpi.cell.coverage IS 'How much of the number is known, 0 to 1';
COMMENT ON COLUMN kpi.cell.tally IS 'The tally behind the actual; null where there is none';
COMMENT ON COLUMN kpi.cell.has_own IS 'Does the KPI have facts of its own here?';
COMMENT ON COLUMN kpi.cell.own IS 'The tally of the own facts, where it differs from tally';
COMMENT ON COLUMN kpi.cell.coverage_sum IS 'The sum that coverage is the mean of, before own facts and division';
COMMENT ON COLUMN kpi.cell.last_actual IS 'The last base period inside a coarser one that has an actual';
COMMENT ON COLUMN kpi.cell.is_fed IS 'Are there own facts in this cell, or data in a child or in a base period inside?';

-- A change captured from the tables that users write and not yet folded.
-- kind  f  facts of (kpi_id, period) were added: delta, or null for "read the facts again"
--       r  facts of (kpi_id, period) were removed: delta holds them
--       t  a target of (kpi_id, period) changed
--       k  the KPI kpi_id of (unit_id, measure_id) came, went or changed
--       i  a link into kpi_id changed
--       g  a growth link into kpi_id changed
--       p  the placement of unit_id changed: all KPIs there and above gather again, from the day since on
--       v  the validity of unit_id changed
--       m  the rules of measure_id changed
--       a  everything
CREATE TABLE kpi.pending (
    seq        bigint NOT NULL,
    xid        xid8 NOT NULL,
    kind       "char" NOT NULL,
    kpi_id     bigint,
    period     @extschema@.kpi_period,
    delta      @extschema@.kpi_tally,
    unit_id    bigint,
    measure_id bigint,
    since      date
);
CREATE INDEX pending_xid_idx ON kpi.pending (xid);
COMMENT ON TABLE kpi.pending IS 'Changes captured and not yet folded into the cells; views of attainment show them already';
COMMENT ON COLUMN kpi.pending.seq IS 'Order within a transaction: a counter of the writing session';
COMMENT ON COLUMN kpi.pending.xid IS 'The top-level transaction that made the change';
COMMENT ON COLUMN kpi.pending.kind IS 'f facts added, r facts removed, t target, k KPI, i links into the KPI, g growth links into it, p placement of a unit, v validity of a unit, m measure, a everything';
COMMENT ON COLUMN kpi.pending.kpi_id IS 'The KPI concerned';
COMMENT ON COLUMN kpi.pending.period IS 'The period concerned';
COMMENT ON COLUMN kpi.pending.delta IS 'The tally of the facts added or removed; null means look again at the facts';
COMMENT ON COLUMN kpi.pending.unit_id IS 'The unit concerned';
COMMENT ON COLUMN kpi.pending.measure_id IS 'The measure concerned';
COMMENT ON COLUMN kpi.pending.since IS 'Periods that end before this day are not concerned; null for all periods';

-- Exactly one row once the first fold has run: which pending rows are in the cells.
CREATE TABLE kpi.fold_state (
    snap            pg_snapshot NOT NULL,
    own             xid8 NOT NULL,
    upto            bigint NOT NULL,
    purged          xid8 NOT NULL,
    folds           bigint NOT NULL,
    cells_evaluated bigint NOT NULL,
    cells_written   bigint NOT NULL,
    folded_at       timestamptz NOT NULL,
    took            interval NOT NULL
);

COMMENT ON TABLE kpi.fold_state IS 'One row once a fold has run: which pending changes are in the cells, and figures about folding';
COMMENT ON COLUMN kpi.fold_state.snap IS 'The snapshot of the last fold: what was committed in it is in the cells';
COMMENT ON COLUMN kpi.fold_state.own IS 'The transaction that folded last; its own changes up to upto are in the cells too';
COMMENT ON COLUMN kpi.fold_state.upto IS 'The highest seq of the folding transaction itself that is in the cells';
COMMENT ON COLUMN kpi.fold_state.purged IS 'Pending rows of transactions before this one have been deleted';
COMMENT ON COLUMN kpi.fold_state.folds IS 'Number of folds since the extension was installed';
COMMENT ON COLUMN kpi.fold_state.cells_evaluated IS 'Number of cells that all folds have evaluated';
COMMENT ON COLUMN kpi.fold_state.cells_written IS 'Number of cells that all folds have inserted, updated or deleted';
COMMENT ON COLUMN kpi.fold_state.folded_at IS 'When the last fold began';
COMMENT ON COLUMN kpi.fold_state.took IS 'How long the last fold took';

-- Empty for ever: it exists to be locked by whoever folds.
CREATE TABLE kpi.fold_lock ();
COMMENT ON TABLE kpi.fold_lock IS 'Empty; locked in EXCLUSIVE mode by the transaction that folds, until it ends';

-- Empty for ever: it exists to be locked by whoever changes links.
CREATE TABLE kpi.link_lock ();
COMMENT ON TABLE kpi.link_lock IS 'Empty; locked by the transaction that changes links, until it ends';

-- Random numbers, one per statement that changed units, KPIs, measures or
-- links.  Their sum over the rows that a snapshot sees names the state of the
-- graph in that snapshot; folds replace old rows by one row with their sum.
CREATE TABLE kpi.graph_version (
    version bigint NOT NULL
);
COMMENT ON TABLE kpi.graph_version IS 'The state of units, measures, KPIs and links: the sum of version over the visible rows names it';
COMMENT ON COLUMN kpi.graph_version.version IS 'A random number per statement that changed the graph, or the sum of older ones';

-- The path of each unit over time, kept from unit and unit_history.
CREATE TABLE kpi.unit_path (
    unit_id    bigint NOT NULL,
    valid_from date NOT NULL,
    valid_to   date NOT NULL,
    path       @extschema@.kpi_path NOT NULL,
    parent_unit_id bigint,
    PRIMARY KEY (unit_id, valid_from)
);
CREATE INDEX unit_path_path_idx ON kpi.unit_path (path);
COMMENT ON TABLE kpi.unit_path IS 'The path of each unit in each stretch of time, kept from unit and unit_history';
COMMENT ON COLUMN kpi.unit_path.unit_id IS 'The unit';
COMMENT ON COLUMN kpi.unit_path.valid_from IS 'First day of the stretch';
COMMENT ON COLUMN kpi.unit_path.valid_to IS 'First day after the stretch';
COMMENT ON COLUMN kpi.unit_path.path IS 'The path of the unit in that stretch, in today''s labels';
COMMENT ON COLUMN kpi.unit_path.parent_unit_id IS 'The parent in that stretch; null for a root';

-- Exactly one row, written now: a random key that the views show to
-- kpi.dirty().  A restored database makes its own.
CREATE TABLE kpi.view_key (
    key uuid NOT NULL
);
COMMENT ON TABLE kpi.view_key IS 'By this key kpi.dirty() knows the views of the extension: their owner can read it, users cannot';
COMMENT ON COLUMN kpi.view_key.key IS 'Made at random when the extension was installed';
INSERT INTO kpi.view_key (key) VALUES (pg_catalog.gen_random_uuid());
