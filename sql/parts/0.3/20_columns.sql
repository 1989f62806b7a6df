-- Columns that existing tables gain, each at the end of its table.

-- for all of this step: what others put into the extension's schema is not found
SET LOCAL search_path = pg_catalog, pg_temp;

ALTER TABLE kpi.target
    ADD COLUMN locked boolean NOT NULL DEFAULT false,
    ADD COLUMN state text NOT NULL DEFAULT 'final'
        CONSTRAINT target_state_check CHECK (state IN ('proposed', 'agreed', 'final')),
    ADD COLUMN proposed_by text,
    ADD COLUMN proposed_at timestamptz,
    ADD COLUMN agreed_by text,
    ADD COLUMN agreed_at timestamptz;
COMMENT ON COLUMN kpi.target.locked IS 'Does spreading leave this target as it is? The others then absorb the difference';
COMMENT ON COLUMN kpi.target.state IS 'proposed, agreed or final; from which one on a target counts is kpi.measure.targets_count_from';
COMMENT ON COLUMN kpi.target.proposed_by IS 'Who proposed the target';
COMMENT ON COLUMN kpi.target.proposed_at IS 'When it was proposed';
COMMENT ON COLUMN kpi.target.agreed_by IS 'Who agreed to it';
COMMENT ON COLUMN kpi.target.agreed_at IS 'When it was agreed';

ALTER TABLE kpi.measure
    ADD COLUMN targets_count_from text NOT NULL DEFAULT 'proposed'
        CONSTRAINT measure_targets_count_from_check CHECK (targets_count_from IN ('proposed', 'agreed', 'final')),
    ADD COLUMN keep_fact_revisions boolean NOT NULL DEFAULT true;
COMMENT ON COLUMN kpi.measure.targets_count_from IS 'From which state on targets count: proposed (all of them), agreed or final; the others are as if they were not there';
COMMENT ON COLUMN kpi.measure.keep_fact_revisions IS 'Are changed and deleted facts of this measure kept in kpi.fact_revision?';

ALTER TABLE kpi.measure
    ADD COLUMN due_after interval NOT NULL DEFAULT '0 days'
        CONSTRAINT measure_due_after_check CHECK (due_after >= '0 days' AND due_after <= '10 years'),
    ADD COLUMN replaces_measure_id bigint CONSTRAINT measure_replaces_measure_id_check CHECK (replaces_measure_id <> measure_id);
CREATE INDEX measure_replaces_measure_id_idx ON kpi.measure (replaces_measure_id);
COMMENT ON COLUMN kpi.measure.due_after IS 'How long after the end of a period its figure is due: kpi.due() tells who owes one';
COMMENT ON COLUMN kpi.measure.replaces_measure_id IS 'The measure that this one took the place of; null for none. kpi.replace_measure sets it, and kpi.trend shows both';
