-- What the extension keeps for itself.  None of it is dumped: a restored
-- database finds it again from the rows that users wrote.

-- One row per KPI and period: the materialized result.  The columns after
-- tally are kept so that the next change can be applied as a difference.
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
    own                @extschema@.kpi_tally,
    gathered           @extschema@.kpi_tally,
    coverage_sum       numeric,
    last_actual        @extschema@.kpi_period,
    has_data           boolean NOT NULL,
    PRIMARY KEY (kpi_id, period)
);

-- A change captured from the tables that users write and not yet folded.
CREATE TABLE kpi.pending (
    seq        bigint NOT NULL,
    xid        xid8 NOT NULL,
    kpi_id     bigint,
    period     @extschema@.kpi_period,
    delta      @extschema@.kpi_tally,
    removed    boolean NOT NULL DEFAULT false,
    unit_id    bigint,
    measure_id bigint,
    since      date
);
CREATE INDEX pending_xid_idx ON kpi.pending (xid);

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

-- Empty for ever: it exists to be locked by whoever folds.
CREATE TABLE kpi.fold_lock ();

-- Empty for ever: it exists to be locked by whoever changes links.
CREATE TABLE kpi.link_lock ();

-- Random numbers, one per statement that changed units, KPIs, measures or
-- links.  Their sum over the rows that a snapshot sees names the state of the
-- graph in that snapshot; folds replace old rows by one row with their sum.
CREATE TABLE kpi.graph_version (
    version bigint NOT NULL
);

-- The path of each unit over time, kept from unit and unit_history.
CREATE TABLE kpi.unit_path (
    unit_id    bigint NOT NULL,
    valid_from date NOT NULL,
    valid_to   date NOT NULL,
    path       @extschema@.kpi_path NOT NULL,
    parent_unit_id bigint,
    PRIMARY KEY (unit_id, valid_from)
);
