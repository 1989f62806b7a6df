-- What was recorded, and when: kpi.target_revision, kpi.fact_revision, and
-- kpi.attainment_as_known(), which answers what the scorecard said.
--
-- A test is one transaction and now() its only moment.  So a script of steps,
-- each with a moment of its own, is played: the step's statements run as they
-- are, then the rows that carry now() are given the moment of the step.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SET LOCAL timezone = 'UTC';
SELECT no_plan();
-- tiny data many times: planning each time would cost most of the run
ALTER FUNCTION kpi.recompute_figures(timestamptz, bigint[], date, date) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION kpi.recompute_links(date[], kpi.recompute_kpi[]) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION kpi.rows_as_known(timestamptz, text, text, text, boolean) SET plan_cache_mode = force_generic_plan;

CREATE TEMP TABLE said (moment timestamptz, row_text jsonb);
CREATE FUNCTION pg_temp.step(moment timestamptz, statements text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statements;
    -- what the scorecard says then; whether a period is closed is asked of the clock
    INSERT INTO said SELECT moment, to_jsonb(a) - 'is_closed' FROM kpi.attainment a;
    SET LOCAL session_replication_role = replica;
    UPDATE kpi.fact SET recorded_at = moment WHERE recorded_at = now();
    UPDATE kpi.target_revision SET revised_at = moment WHERE revised_at = now();
    UPDATE kpi.fact_revision SET known_from = CASE WHEN known_from = now() THEN moment ELSE known_from END, known_to = moment WHERE known_to = now();
    SET LOCAL session_replication_role = origin;
END
$$;
CREATE FUNCTION pg_temp.as_said(moment timestamptz) RETURNS SETOF jsonb LANGUAGE sql STABLE AS
$$ SELECT to_jsonb(a) - 'is_closed' FROM kpi.attainment_as_known(moment) a $$;

INSERT INTO kpi.unit (path, code) VALUES ('acme', 'A'), ('acme.a', NULL), ('acme.b', 'B');
INSERT INTO kpi.measure (code) VALUES ('revenue');
SELECT is(kpi.deploy('revenue', 'acme')::int, 3, 'three KPIs');

-- ---------------------------------------------------------------- what did we report in March?

SELECT pg_temp.step('2020-01-15', $$ SELECT kpi.set_target('acme', 'revenue', '2020-03', 100) $$);
SELECT pg_temp.step('2020-04-01', $$ INSERT INTO kpi.fact_entry (unit, measure, period, value, reference) VALUES ('acme.a', 'revenue', '2020-03', 40, 'a1') $$);
SELECT pg_temp.step('2020-04-02', $$ INSERT INTO kpi.fact_entry (unit, measure, period, value, reference) VALUES ('acme.b', 'revenue', '2020-03', 30, 'b1') $$);
SELECT pg_temp.step('2020-04-10', $$ UPDATE kpi.fact SET value = 25, note = 'an invoice was booked twice' WHERE reference = 'b1' $$);
SELECT pg_temp.step('2020-04-20', $$ SET LOCAL kpi_cascade.reason = 'board meeting';
                                     UPDATE kpi.target SET value = 80; SET LOCAL kpi_cascade.reason = '' $$);
SELECT pg_temp.step('2020-05-01', $$ DELETE FROM kpi.fact WHERE reference = 'a1' $$);
SELECT pg_temp.step('2020-05-02', $$ INSERT INTO kpi.fact_entry (unit, measure, period, value, reference) VALUES ('acme.a', 'revenue', '2020-03', 50, 'a2') $$);
SELECT pg_temp.step('2020-05-03', $$ DELETE FROM kpi.target $$);

-- 40; 40 + 30; 40 + 25; of 100, then of 80; 25 alone; 50 + 25; no target any more
SELECT results_eq(
    $$SELECT m.moment::date, k.actual, k.target, k.attainment
        FROM (VALUES (timestamptz '2020-01-01'), ('2020-01-15'), ('2020-03-31'), ('2020-04-01 00:00'), ('2020-04-01 12:00'), ('2020-04-05'), ('2020-04-10'),
                     ('2020-04-20'), ('2020-05-01'), ('2020-05-02'), ('2020-05-03'), ('2100-01-01')) m (moment)
        LEFT JOIN LATERAL kpi.attainment_as_known(m.moment, 'acme', 'revenue', '2020-03') k ON true ORDER BY m.moment$$,
    $$VALUES (date '2020-01-01', NULL::numeric, NULL::numeric, NULL::numeric), ('2020-01-15', NULL, 100, NULL), ('2020-03-31', NULL, 100, NULL),
             ('2020-04-01', 40, 100, 0.4), ('2020-04-01', 40, 100, 0.4), ('2020-04-05', 70, 100, 0.7), ('2020-04-10', 65, 100, 0.65),
             ('2020-04-20', 65, 80, 0.8125), ('2020-05-01', 25, 80, 0.3125), ('2020-05-02', 75, 80, 0.9375), ('2020-05-03', 75, NULL, NULL), ('2100-01-01', 75, NULL, NULL)$$,
    'March as it was reported from January to May');
SELECT results_eq(
    $$SELECT unit, period, actual, is_closed FROM kpi.attainment_as_known('2020-04-05', period => '2020-Q1') ORDER BY unit$$,
    $$VALUES (kpi_path 'acme', kpi_period '2020-Q1', 70::numeric, true), ('acme.a', '2020-Q1', 40, true), ('acme.b', '2020-Q1', 30, true)$$,
    'its quarter at every unit, on 5 April');
SELECT is((SELECT is_closed FROM kpi.attainment_as_known('2020-03-15', 'acme', 'revenue', '2020-03')), false, 'on 15 March the month was not closed');
SELECT is((SELECT actual FROM kpi.attainment_as_known('2020-04-05', 'B', 'revenue', '2020-03')), 30::numeric, 'a unit by its code');
SELECT is((SELECT actual FROM kpi.attainment_as_known('2020-04-05', 'acme.b'::kpi_path, 'revenue', '2020-03')), 30::numeric, 'by a path');
SELECT is((SELECT actual FROM kpi.attainment_as_known('2020-04-05', 'acme.b', 'revenue', '2020-03'::kpi_period)), 30::numeric, 'a typed period');
SELECT is((SELECT actual FROM kpi.attainment_as_known('2020-04-05', 'acme.b'::kpi_path, 'revenue', '2020-03'::kpi_period)), 30::numeric, 'both');
SELECT is((SELECT count(*)::int FROM kpi.attainment_as_known('2020-04-05', 'acme.b')), 4, 'a unit alone: month, quarter, half and year');
SELECT is_empty($$SELECT * FROM kpi.attainment_as_known('2020-04-05', 'acme.b', 'revenue', '2020-W10')$$, 'a period in which the measure has no numbers: no row');

-- each moment's figures are the figures of the moment, all of them
CREATE FUNCTION pg_temp.differences() RETURNS TABLE (moment timestamptz, difference jsonb) LANGUAGE sql STABLE AS $$
    SELECT m.moment, d FROM (SELECT DISTINCT moment FROM said) m
     CROSS JOIN LATERAL ((SELECT s.row_text FROM said s WHERE s.moment = m.moment EXCEPT ALL SELECT * FROM pg_temp.as_said(m.moment))
                         UNION ALL
                         (SELECT * FROM pg_temp.as_said(m.moment) EXCEPT ALL SELECT s.row_text FROM said s WHERE s.moment = m.moment)) x (d)
$$;
SELECT is_empty('SELECT * FROM pg_temp.differences()', 'whatever the scorecard said after a step, is what it says as known at that moment');
SELECT cmp_ok((SELECT count(*) FROM said), '>', 50::bigint, 'which are many figures');

SELECT results_eq(
    $$SELECT period, change, old_value, new_value, old_state, new_state, revised_at::date, reason FROM kpi.target_revision ORDER BY revised_at$$,
    $$VALUES (kpi_period '2020-03', 'set', NULL::numeric, 100::numeric, NULL, 'final', date '2020-01-15', NULL),
             ('2020-03', 'changed', 100, 80, 'final', 'final', '2020-04-20', 'board meeting'),
             ('2020-03', 'removed', 80, NULL, 'final', NULL, '2020-05-03', NULL)$$,
    'the target: set, changed for a reason, removed');
SELECT results_eq(
    $$SELECT reference, change, value, known_from::date, known_to::date, reason FROM kpi.fact_revision ORDER BY known_to$$,
    $$VALUES ('b1', 'changed', 30::numeric, date '2020-04-02', date '2020-04-10', 'an invoice was booked twice'),
             ('a1', 'removed', 40, '2020-04-01', '2020-05-01', NULL)$$,
    'the facts: the versions that are not current any more, and when they were');
SELECT is((SELECT string_agg(DISTINCT revised_by, ' ') FROM (SELECT revised_by FROM kpi.fact_revision UNION ALL SELECT revised_by FROM kpi.target_revision) r), session_user::text, 'and by whom');

-- ---------------------------------------------------------------- what makes a revision, and what does not

CREATE FUNCTION pg_temp.revisions(statements text, OUT targets text, OUT facts text) LANGUAGE plpgsql AS $$
DECLARE
    t bigint := (SELECT coalesce(max(target_revision_id), 0) FROM kpi.target_revision);
    f bigint := (SELECT coalesce(max(fact_revision_id), 0) FROM kpi.fact_revision);
BEGIN
    EXECUTE statements;
    targets := (SELECT string_agg(concat_ws(' ', r.period, r.change, coalesce(trim_scale(r.old_value)::text, '-'), coalesce(trim_scale(r.new_value)::text, '-'), r.reason), ', ' ORDER BY r.period, r.change)
                  FROM kpi.target_revision r WHERE r.target_revision_id > t);
    facts := (SELECT string_agg(concat_ws(' ', r.reference, r.change, trim_scale(r.value), r.reason), ', ' ORDER BY r.reference, r.fact_revision_id)
                FROM kpi.fact_revision r WHERE r.fact_revision_id > f);
END
$$;
CREATE FUNCTION pg_temp.leaves(statements text, targets text, facts text, what text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT is(concat_ws(' | ', coalesce(r.targets, 'none'), coalesce(r.facts, 'none')), concat_ws(' | ', coalesce($2, 'none'), coalesce($3, 'none')), $4) FROM pg_temp.revisions($1) r
$$;
SELECT kpi.kpi_id('acme', 'revenue') AS top, kpi.kpi_id('acme.a', 'revenue') AS a \gset
SELECT pg_temp.leaves(format($$INSERT INTO kpi.target (kpi_id, period, value, note) VALUES (%s, '2020-01', 1, 'plan'), (%s, '2020-02', 2, NULL)$$, :top, :top),
                      '2020-01 set - 1 plan, 2020-02 set - 2', NULL, 'new targets, one with its note');
SELECT pg_temp.leaves('UPDATE kpi.target SET value = value', NULL, NULL, 'an UPDATE that changes nothing');
SELECT pg_temp.leaves('UPDATE kpi.target SET value = value + 0.00', NULL, NULL, 'nor does it with another scale');
SELECT pg_temp.leaves('UPDATE kpi.target SET value = CASE period WHEN ''2020-01'' THEN 5 ELSE value END', '2020-01 changed 1 5', NULL, 'of two rows the one that changed; its note was there before');
SELECT pg_temp.leaves('UPDATE kpi.target SET locked = true, note = ''agreed with sales''', '2020-01 changed 5 5 agreed with sales, 2020-02 changed 2 2 agreed with sales', NULL, 'a lock, and a new note says why');
SELECT pg_temp.leaves('UPDATE kpi.target SET state = ''proposed'' WHERE period = ''2020-02''', '2020-02 changed 2 2', NULL, 'a state');
SELECT pg_temp.leaves('UPDATE kpi.target SET proposed_by = ''ann''', NULL, NULL, 'who proposed is no change of the target');
SELECT pg_temp.leaves('UPDATE kpi.target SET low = 1, points = ''{{1,2}}'' WHERE period = ''2020-02''; UPDATE kpi.target SET points = ''{{1.0,2.00}}'' WHERE period = ''2020-02''', '2020-02 changed 2 2', NULL, 'points and bounds, compared as numbers');
SELECT pg_temp.leaves('UPDATE kpi.target SET period = ''2020-07'' WHERE period = ''2020-02''', '2020-02 removed 2 -, 2020-07 set - 2 agreed with sales', NULL, 'a target of another period: removed there, set here');
SELECT pg_temp.leaves(format('UPDATE kpi.target SET kpi_id = %s WHERE period = ''2020-07''', :a), '2020-07 removed 2 -, 2020-07 set - 2 agreed with sales', NULL, 'of another KPI likewise');
SELECT pg_temp.leaves(format($$INSERT INTO kpi.target (kpi_id, period, value) VALUES (%s, '2020-01', 9), (%s, '2020-06', 6) ON CONFLICT (kpi_id, period) DO UPDATE SET value = excluded.value$$, :top, :top),
                      '2020-01 changed 5 9, 2020-06 set - 6', NULL, 'ON CONFLICT: what it did with each row');
SELECT pg_temp.leaves($$SET LOCAL kpi_cascade.reason = 'reset'; TRUNCATE kpi.target; SET LOCAL kpi_cascade.reason = ''$$,
                      '2020-01 removed 9 - reset, 2020-06 removed 6 - reset, 2020-07 removed 2 - reset', NULL, 'TRUNCATE removes all');

SELECT pg_temp.leaves($$INSERT INTO kpi.fact_entry (unit, measure, period, value, reference) VALUES ('acme.a', 'revenue', '2020-01', 1, 'x'), ('acme.a', 'revenue', '2020-01', 2, 'y')$$, NULL, NULL, 'new facts are no revision');
SELECT pg_temp.leaves('UPDATE kpi.fact SET value = value * 1.0', NULL, NULL, 'nor is an UPDATE that changes nothing');
SELECT pg_temp.leaves($$UPDATE kpi.fact SET value = 3 WHERE reference IN ('x', 'y')$$, NULL, 'x changed 1, y changed 2', 'changed facts: what they were');
SELECT pg_temp.leaves($$UPDATE kpi.fact SET note = 'counted again' WHERE reference = 'x'$$, NULL, 'x changed 3 counted again', 'a note is part of the fact');
SELECT pg_temp.leaves($$UPDATE kpi.fact SET fact_id = fact_id + 1000000 WHERE reference = 'y'$$, NULL, 'y removed 3, y changed 3', 'another key: removed there, and not here before');
SELECT pg_temp.leaves($$SET LOCAL kpi_cascade.reason = 'clean up'; DELETE FROM kpi.fact WHERE reference = 'x'; SET LOCAL kpi_cascade.reason = ''$$, NULL, 'x removed 3 clean up', 'a deleted fact');
SELECT pg_temp.leaves($$SELECT kpi.set_fact('acme.a', 'revenue', '2020-01', 8)$$, NULL, 'y removed 3', 'kpi.set_fact replaces');
SELECT pg_temp.leaves('UPDATE kpi.measure SET keep_fact_revisions = false', NULL, NULL, 'the measure keeps none any more');
SELECT pg_temp.leaves('UPDATE kpi.fact SET value = 0; DELETE FROM kpi.fact WHERE reference = ''a2''', NULL, NULL, 'and none are kept');
SELECT pg_temp.leaves('UPDATE kpi.measure SET keep_fact_revisions = true; TRUNCATE kpi.fact', NULL, 'b1 removed 0, removed 0', 'TRUNCATE, where they are kept');
SELECT pg_temp.leaves(format($$SET LOCAL session_replication_role = replica; INSERT INTO kpi.target (kpi_id, period, value) VALUES (%s, '2020-01', 1); DELETE FROM kpi.target; SET LOCAL session_replication_role = origin$$, :top),
                      NULL, NULL, 'what is applied as a replica has revisions of its own to apply');
SELECT pg_temp.leaves(format($$SET LOCAL check_function_bodies = off; SET LOCAL row_security = off; INSERT INTO kpi.target (kpi_id, period, value) VALUES (%s, '2020-01', 1); SET LOCAL check_function_bodies = on; SET LOCAL row_security = on$$, :top),
                      NULL, NULL, 'nor does the restore of a dump make any');
SELECT pg_temp.leaves($$DELETE FROM kpi.unit WHERE path = 'acme.a'; DELETE FROM kpi.unit WHERE path = 'acme.b'; DELETE FROM kpi.unit$$, '2020-01 removed 1 -', NULL, 'a target that goes with its unit is removed, too');
SELECT is((SELECT count(*) FROM kpi.kpi), 0::bigint, 'though no KPI is left, revisions are');

-- moments of one target or fact never run backwards, whatever the clock says
INSERT INTO kpi.unit (path) VALUES ('t');
SELECT kpi.deploy('revenue', 't') \g /dev/null
SELECT kpi.kpi_id('t', 'revenue') AS t \gset
INSERT INTO kpi.target (kpi_id, period, value) VALUES (:t, '2020-01', 1);
UPDATE kpi.target_revision SET revised_at = now() + interval '1 minute' WHERE kpi_id = :t;
UPDATE kpi.target SET value = 2;
SELECT is((SELECT array_agg(revised_at - now() ORDER BY target_revision_id) FROM kpi.target_revision WHERE kpi_id = :t), '{00:01:00,00:01:00}'::interval[], 'a change after one that began later takes its moment');
INSERT INTO kpi.fact (kpi_id, period, value, recorded_at) VALUES (:t, '2020-01', 1, now() + interval '1 hour');
UPDATE kpi.fact SET value = 2;
UPDATE kpi.fact_revision SET known_to = now() + interval '1 minute' WHERE kpi_id = :t;
UPDATE kpi.fact SET value = 3;
SELECT results_eq(format('SELECT value, known_from - now(), known_to - now() FROM kpi.fact_revision WHERE kpi_id = %s ORDER BY fact_revision_id', :t),
                  $$VALUES (1::numeric, interval '0', interval '1 minute'), (2, '1 minute', '1 minute')$$, 'a version begins where the one before ended; and a fact from the future is recorded now');
-- a fact counts as recorded since it says so: loads may bring the time at which their source knew it
INSERT INTO kpi.fact (kpi_id, period, value, recorded_at) VALUES (:t, '2019-01', 7, '2019-02-03 04:05');
SELECT results_eq($$SELECT m, (SELECT actual FROM kpi.attainment_as_known(m, 't', 'revenue', '2019-01')) FROM unnest('{2019-02-03 04:04, 2019-02-03 04:05}'::timestamptz[]) m$$,
                  $$VALUES (timestamptz '2019-02-03 04:04', NULL::numeric), ('2019-02-03 04:05', 7)$$, 'recorded_at is believed');
-- a target of before 0.3, or restored without its revisions, was always there
DELETE FROM kpi.target_revision;
SELECT is((SELECT target FROM kpi.attainment_as_known('2000-01-01', 't', 'revenue', '2020-01')), 2::numeric, 'a target without revisions was always there');

-- ---------------------------------------------------------------- a world with links of every kind

TRUNCATE said;
DELETE FROM kpi.fact; DELETE FROM kpi.target; DELETE FROM kpi.unit; DELETE FROM kpi.measure; DELETE FROM kpi.fact_revision; DELETE FROM kpi.target_revision;
INSERT INTO kpi.unit (path, share) VALUES ('g', 1), ('g.a', 1), ('g.b', 0.5), ('g.a.x', 1), ('g.a.y', 1), ('g.b.z', 1), ('other', 1);
INSERT INTO kpi.measure (code, rollup, time_rollup, rolls_up, result_weight, targets_count_from) VALUES
    ('sales', 'sum', 'pool', true, 1, 'proposed'), ('staff', 'sum', 'last', true, 1, 'proposed'), ('per_head', 'ratio', 'pool', false, 1, 'agreed'),
    ('growth', 'sum', 'pool', false, 1, 'proposed'), ('mood', 'mean', 'pool', true, 0.5, 'final');
SELECT kpi.deploy(m, 'g') FROM unnest('{sales,staff,mood}'::text[]) m \g /dev/null
SELECT kpi.deploy(m, 'g', '{1,2}') FROM unnest('{per_head,growth}'::text[]) m \g /dev/null
SELECT kpi.deploy('sales', 'other') \g /dev/null
SELECT kpi.link_kpi(u, 'sales', u, 'per_head', 'numerator'), kpi.link_kpi(u, 'staff', u, 'per_head', 'denominator'), kpi.link_kpi(u, 'sales', u, 'growth', 'growth'),
       kpi.link_kpi(u, 'sales', u, 'mood', 'score') FROM unnest('{g,g.a,g.b}'::text[]) u \g /dev/null
SELECT kpi.link_kpi('other', 'sales', 'g', 'sales', 'value', -0.25) \g /dev/null
-- y reports to b since March: it is needed for both
SELECT kpi.move_unit('g.a.y', 'g.b', '2020-03-01') \g /dev/null
SELECT pg_temp.step('2020-01-01', $$ INSERT INTO kpi.fact_entry (unit, measure, period, value, reference)
    SELECT u, m, p::text, (length(u) * 7 + kpi.days(p) * ascii(m)) % 90 - 5, concat_ws('/', u, m, p)
      FROM unnest('{g.a.x,g.b.y,g.b.z,other}'::text[]) u, unnest('{sales,staff,mood}'::text[]) m, kpi.generate_series('2019-01', '2020-05') p
     WHERE u <> 'other' OR m = 'sales' $$);
SELECT pg_temp.step('2020-01-02', $$ INSERT INTO kpi.target_entry (unit, measure, period, value)
    SELECT u, m, p::text, 40 FROM unnest('{g,g.a}'::text[]) u, unnest('{sales,staff,per_head,growth,mood}'::text[]) m, kpi.generate_series('2020-01', '2020-06') p $$);
SELECT pg_temp.step('2020-01-03', $$ UPDATE kpi.target SET state = CASE kpi.grain(period)::text || right(period::text, 1) WHEN 'month1' THEN 'proposed' WHEN 'month2' THEN 'agreed' ELSE 'final' END $$);
SELECT pg_temp.step('2020-01-04', $$ UPDATE kpi.fact SET value = value + 3 WHERE reference LIKE 'g.b%' $$);
SELECT pg_temp.step('2020-01-05', $$ UPDATE kpi.fact SET period = '2020-01' WHERE reference LIKE '%/2019-04'; DELETE FROM kpi.fact WHERE reference LIKE 'g.a.x/s%/2020-02' $$);
SELECT pg_temp.step('2020-01-06', $$ UPDATE kpi.fact SET kpi_id = kpi.kpi_id('g.a', 'sales') WHERE reference LIKE 'other/%' AND period < '2020-01'; UPDATE kpi.fact SET value = 1 WHERE reference LIKE 'g.b%' $$);
SELECT pg_temp.step('2020-01-07', $$ DELETE FROM kpi.target WHERE period = '2020-02'; UPDATE kpi.target SET value = 11, period = '2020-08' WHERE period = '2020-05' $$);
SELECT pg_temp.step('2020-01-08', $$ TRUNCATE kpi.fact $$);
SELECT pg_temp.step('2020-01-09', $$ INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('g.a.x', 'sales', '2020-01', 1) $$);
SELECT is((SELECT count(DISTINCT moment)::int FROM said), 9, 'nine moments, each with rows: TRUNCATE leaves targets');
SELECT is_empty('SELECT * FROM pg_temp.differences()', 'as known at each moment, with links, growth, scores and states: what was said');
SELECT is_empty('SELECT * FROM kpi.verify()', 'and verified');
SELECT is_empty('SELECT to_jsonb(k) FROM kpi.attainment_as_known(now()) k EXCEPT ALL SELECT to_jsonb(a) FROM kpi.attainment a', 'as known now is what is shown');

-- asking for some is asking for all and taking some
CREATE TEMP TABLE whole AS SELECT m.moment, to_jsonb(k) AS row_text, k.unit_now::text AS unit, k.measure, k.period::text AS period
  FROM unnest('{2020-01-04, 2020-01-06}'::timestamptz[]) m (moment), kpi.attainment_as_known(m.moment) k;
CREATE TEMP TABLE part AS SELECT q.moment, q.unit, q.measure, q.period, p.row_text
  FROM (SELECT DISTINCT moment, unit, measure, NULL::text AS period FROM whole
        UNION SELECT moment, unit, measure, period FROM whole WHERE unit IN ('g', 'g.b') AND period IN ('2020', '2020-Q1', '2020-04')
        UNION SELECT moment, unit, NULL, '2020-H1' FROM whole UNION SELECT moment, NULL, measure, NULL FROM whole
        UNION SELECT moment, NULL, NULL, '2019-Q2' FROM whole) q
 CROSS JOIN LATERAL (SELECT to_jsonb(k) AS row_text FROM kpi.attainment_as_known(q.moment, q.unit, q.measure, q.period) k) p;
SELECT is_empty($$SELECT * FROM part p WHERE NOT EXISTS (SELECT FROM whole w WHERE w.moment = p.moment AND w.row_text = p.row_text)$$, 'no row of a part is missing in the whole');
SELECT is_empty($$SELECT q.*, w.row_text FROM (SELECT DISTINCT moment, unit, measure, period FROM part) q
                    JOIN whole w ON w.moment = q.moment AND (q.unit IS NULL OR q.unit = w.unit) AND (q.measure IS NULL OR q.measure = w.measure) AND (q.period IS NULL OR q.period = w.period)
                   WHERE NOT EXISTS (SELECT FROM part p WHERE (p.moment, p.row_text) = (q.moment, w.row_text) AND p.unit IS NOT DISTINCT FROM q.unit
                                        AND p.measure IS NOT DISTINCT FROM q.measure AND p.period IS NOT DISTINCT FROM q.period)$$, 'and none of the whole in its part');
SELECT cmp_ok((SELECT count(*) FROM part), '>', 1000::bigint, 'of many rows');

SELECT * FROM finish();
ROLLBACK;
