-- Proposed, agreed and final targets: which count, who is kept, and what is refused.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT no_plan();

INSERT INTO kpi.unit (path) VALUES ('acme'), ('acme.a');
INSERT INTO kpi.measure (code) VALUES ('revenue');
SELECT is(kpi.deploy('revenue', 'acme'), 2::bigint, 'deployed');
SELECT kpi.record_fact('acme.a', 'revenue', '2026-01', 80) IS NOT NULL AS recorded \gset

-- ---- who
CREATE FUNCTION pg_temp.target(unit text, period text) RETURNS kpi.target LANGUAGE sql AS
    $$SELECT t FROM kpi.target t WHERE t.kpi_id = kpi.kpi_id(unit, 'revenue') AND t.period = $2::kpi_period$$;
SELECT ok(kpi.propose_target('acme.a', 'revenue', '2026-01', 100) IS NOT NULL, 'a target is proposed');
SELECT results_eq($$SELECT value, state, proposed_by, proposed_at, agreed_by FROM pg_temp.target('acme.a', '2026-01')$$,
                  $$VALUES (100::numeric, 'proposed', session_user::text COLLATE "default", now(), NULL::text)$$, 'who proposed it and when is kept');
SELECT ok(kpi.agree_target('acme.a', 'revenue', '2026-01') IS NOT NULL, 'and agreed');
SELECT results_eq($$SELECT value, state, proposed_by, agreed_by, agreed_at FROM pg_temp.target('acme.a', '2026-01')$$,
                  $$VALUES (100::numeric, 'agreed', session_user::text COLLATE "default", session_user::text COLLATE "default", now())$$, 'who agreed and when, too');
SELECT throws_ok($$SELECT kpi.agree_target('acme.a', 'revenue', '2026-01')$$, '55000', 'target for unit "acme.a" and measure "revenue" in 2026-01 is agreed already');
SELECT ok(kpi.propose_target('acme.a', 'revenue', '2026-01', 90, 'too much') IS NOT NULL, 'the ball comes back');
SELECT results_eq($$SELECT value, state, agreed_by, agreed_at, note FROM pg_temp.target('acme.a', '2026-01')$$,
                  $$VALUES (90::numeric, 'proposed', NULL::text, NULL::timestamptz, 'too much')$$, 'and nobody has agreed');
SELECT ok(kpi.finalise_target('acme.a', 'revenue', '2026-01') IS NOT NULL, 'final at once');
SELECT results_eq($$SELECT state, agreed_by FROM pg_temp.target('acme.a', '2026-01')$$, $$VALUES ('final', session_user::text COLLATE "default")$$, 'who makes a proposal final has agreed');
SELECT throws_ok($$SELECT kpi.finalise_target('acme.a', 'revenue', '2026-01')$$, '55000', 'target for unit "acme.a" and measure "revenue" in 2026-01 is final already');
SELECT throws_ok($$SELECT kpi.agree_target('acme.a', 'revenue', '2026-01')$$, '55000', 'target for unit "acme.a" and measure "revenue" in 2026-01 is final already');
SELECT throws_ok($$SELECT kpi.propose_target('acme.a', 'revenue', '2026-01', 1)$$, '55000', 'target for unit "acme.a" and measure "revenue" in 2026-01 is final');
SELECT kpi.set_target('acme.a', 'revenue', '2026-12', 7) \g /dev/null
SELECT throws_ok($$SELECT kpi.agree_target('acme.a', 'revenue', '2026-12')$$, '55000', 'target for unit "acme.a" and measure "revenue" in 2026-12 is final already', 'one that nobody proposed');
DELETE FROM kpi.target WHERE period = '2026-12';
SELECT throws_ok($$SELECT kpi.agree_target('acme.a', 'revenue', '2026-02')$$, '42704', 'target for unit "acme.a" and measure "revenue" in 2026-02 does not exist');
SELECT throws_ok($$UPDATE kpi.target SET state = 'done'$$, '23514', 'state "done" of a target is not known');
SELECT throws_ok($$UPDATE kpi.measure SET targets_count_from = 'done'$$, '23514', 'targets_count_from "done" is not known');

-- plain SQL
UPDATE kpi.target SET state = 'proposed', proposed_by = 'ann', proposed_at = '2026-01-01';
SELECT results_eq($$SELECT proposed_by, proposed_at, agreed_by FROM kpi.target$$, $$VALUES ('ann', '2026-01-01'::timestamptz, NULL::text)$$, 'what the writer says is kept');
UPDATE kpi.target SET state = 'agreed', agreed_by = 'bob';
SELECT results_eq($$SELECT proposed_by, agreed_by, agreed_at FROM kpi.target$$, $$VALUES ('ann', 'bob', now())$$, 'and the rest filled in');
UPDATE kpi.target SET state = 'final';
SELECT results_eq($$SELECT proposed_by, agreed_by FROM kpi.target$$, $$VALUES ('ann', 'bob')$$, 'final keeps both');
INSERT INTO kpi.target (kpi_id, period, value) VALUES (kpi.kpi_id('acme', 'revenue'), '2026-01', 160);
SELECT results_eq($$SELECT state, proposed_by, agreed_by FROM pg_temp.target('acme', '2026-01')$$, $$VALUES ('final', NULL::text, NULL::text)$$, 'a final target needs nobody');
INSERT INTO kpi.target (kpi_id, period, value, state, agreed_by) VALUES (kpi.kpi_id('acme', 'revenue'), '2026-02', 160, 'agreed', 'eve'), (kpi.kpi_id('acme', 'revenue'), '2026-03', 160, 'proposed', NULL);
SELECT results_eq($$SELECT state, proposed_by, agreed_by FROM kpi.target WHERE period > '2026-01' ORDER BY period$$,
                  $$VALUES ('agreed', NULL::text, 'eve'), ('proposed', session_user::text COLLATE "default", NULL)$$, 'inserted ones likewise');
SELECT ok(kpi.propose_target('acme.a'::kpi_path, 'revenue', '2026-04'::kpi_period, 1) IS NOT NULL
          AND kpi.agree_target('acme.a'::kpi_path, 'revenue', '2026-04'::kpi_period) IS NOT NULL
          AND kpi.finalise_target('acme.a'::kpi_path, 'revenue', '2026-04'::kpi_period) IS NOT NULL, 'typed forms do the same');

-- ---- which count: acme 80 of 160 in January is 0.5; the quarter has 160 * 3 = 480 only while all three months count
CREATE FUNCTION pg_temp.shown() RETURNS text LANGUAGE sql AS
    $$SELECT string_agg(format('%s %s', period, target), ', ' ORDER BY period) FROM kpi.attainment WHERE unit = 'acme' AND period <= '2026-Q1' AND target IS NOT NULL$$;
SELECT is(pg_temp.shown(), '2026-01 160, 2026-02 160, 2026-03 160, 2026-Q1 480', 'by default all count');
UPDATE kpi.measure SET targets_count_from = 'agreed';
SELECT is(pg_temp.shown(), '2026-01 160, 2026-02 160', 'from agreed on');
UPDATE kpi.measure SET targets_count_from = 'final';
SELECT is(pg_temp.shown(), '2026-01 160', 'only final ones');
SELECT kpi.fold() > 0 AS folded \gset
SELECT is(pg_temp.shown(), '2026-01 160', 'folded, too');
SELECT is((SELECT score FROM kpi.attainment WHERE unit = 'acme' AND period = '2026-01'), 0.5, '80 of 160');
UPDATE kpi.target SET state = 'proposed' WHERE kpi_id = kpi.kpi_id('acme', 'revenue') AND period = '2026-01';
SELECT is((SELECT status FROM kpi.attainment WHERE unit = 'acme' AND period = '2026-01'), 'no_target', 'one that is opened again counts no more');
SELECT kpi.fold() > 0 AS folded \gset
SELECT is(pg_temp.shown(), NULL, 'nothing counts');
SELECT is_empty($$SELECT * FROM kpi.verify()$$, 'the recomputation agrees');
UPDATE kpi.target SET state = 'final';
SELECT is(pg_temp.shown(), '2026-01 160, 2026-02 160, 2026-03 160, 2026-Q1 480', 'all are final');
UPDATE kpi.measure SET targets_count_from = 'proposed';
SELECT kpi.rebuild() >= 0 AS rebuilt \gset
SELECT is(pg_temp.shown(), '2026-01 160, 2026-02 160, 2026-03 160, 2026-Q1 480', 'and from the raw rows');
SELECT is_empty($$SELECT * FROM kpi.verify()$$, 'the recomputation agrees');

SELECT * FROM finish();
ROLLBACK;
