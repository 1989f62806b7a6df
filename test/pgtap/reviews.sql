-- Check-ins and their threads, reviews, actions.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT no_plan();
SELECT session_user AS me \gset

\set hostile '"><img src=x onerror=alert(1)> O''Brien: 🦄 ‮דנה‬ %s %'
INSERT INTO kpi.unit (path, code) VALUES ('co', 'C'), ('co.a', 'A');
INSERT INTO kpi.measure (code, grain, fiscal_start) VALUES ('m', 'month', 1), ('w', 'week', 1), ('f', 'quarter', 4);
SELECT kpi.deploy(m, 'co') FROM unnest('{m,w,f}'::text[]) m \g /dev/null
INSERT INTO kpi.objective (code) VALUES ('goal');

-- ---------------------------------------------------------------- check-ins

SELECT kpi.check_in('co.a', 'm', '2021-01', :'hostile', 0.5, 12.50) AS one \gset
SELECT kpi.check_in('A', 'm', '2021-01'::kpi_period, 'second') AS two \gset
SELECT kpi.check_in('co.a'::kpi_path, 'm', '2021-01', 'answer one', reply_to => :one) AS three \gset
SELECT kpi.check_in('co.a'::kpi_path, 'm', '2021-Q1'::kpi_period, confidence => 0) AS four \gset
SELECT kpi.check_in('co.a', 'm', '2021-01', 'answer three', reply_to => :three) AS five \gset
SELECT kpi.check_in('co.a', 'm', '2021-01', 'another answer to one', reply_to => :one) AS six \gset
SELECT results_eq('SELECT author, comment, confidence, forecast, reply_to FROM kpi.check_in ORDER BY check_in_id',
    format($$SELECT %L, c, n, f, r FROM (VALUES (%L, 0.5, 12.50, NULL::bigint), ('second', NULL, NULL, NULL), ('answer one', NULL, NULL, %s), (NULL, 0, NULL, NULL), ('answer three', NULL, NULL, %s), ('another answer to one', NULL, NULL, %s)) v (c, n, f, r)$$,
           :'me', :'hostile', :one, :three, :one), 'check-ins by name, in every form');
SELECT throws_ok($$SELECT kpi.check_in('C', 'x', '2021-01')$$, '42704', 'KPI of unit "C" and measure "x" does not exist');
SELECT throws_ok($$SELECT kpi.check_in('C'::kpi_path, 'm', '2021-01')$$, '42704', 'KPI of unit "C" and measure "m" does not exist', 'a path is no code');

-- the second was said at the same moment: the higher key is later
SELECT results_eq('SELECT unit::text, measure, period::text, comment, check_in_id FROM kpi.latest_check_in ORDER BY period::text',
    format($$VALUES ('co.a', 'm', '2021-01', 'second', %s::bigint), ('co.a', 'm', '2021-Q1', NULL, %s)$$, :two, :four), 'the latest of each period that is no reply');
UPDATE kpi.check_in SET at = at + interval '1 hour' WHERE check_in_id IN (:one, :six);
SELECT is((SELECT check_in_id FROM kpi.latest_check_in WHERE period = '2021-01'), :one::bigint, 'by when it was said');
SELECT results_eq('SELECT thread_id, depth, check_in_id, unit::text, measure FROM kpi.check_in_thread ORDER BY place',
    format($$VALUES (%1$s::bigint, 0, %1$s::bigint, 'co.a', 'm'), (%1$s, 1, %3$s, 'co.a', 'm'), (%1$s, 2, %5$s, 'co.a', 'm'), (%1$s, 1, %6$s, 'co.a', 'm'), (%2$s, 0, %2$s, 'co.a', 'm'), (%4$s, 0, %4$s, 'co.a', 'm')$$,
           :one, :two, :three, :four, :five, :six), 'threads, each answer after what it answers');
-- 10 of 20
SELECT kpi.record_fact('co.a', 'm', '2021-01', 10), kpi.set_target('co.a', 'm', '2021-01', 20) \g /dev/null
SELECT results_eq($$SELECT unit, period, score, check_in_author, check_in_comment, check_in_confidence, check_in_forecast FROM kpi.scorecard_check_in WHERE unit = 'co.a' AND period IN ('2021-01', '2021-Q1', '2021') ORDER BY period$$,
    format($$VALUES ('co.a', '2021', 0.5, NULL, NULL, NULL::numeric, NULL::numeric), ('co.a', '2021-01', 0.5, %1$L, %2$L, 0.5, 12.50), ('co.a', '2021-Q1', 0.5, %1$L, NULL, 0, NULL)$$, :'me', :'hostile'),
    'beside the figures of the period, where there is one');
SELECT is((SELECT array_agg(attname ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'kpi.scorecard'::regclass AND attnum > 0)
          || '{check_in_author,check_in_at,check_in_comment,check_in_confidence,check_in_forecast}'::name[],
          (SELECT array_agg(attname ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'kpi.scorecard_check_in'::regclass AND attnum > 0), 'the scorecard, and more at its end');

-- who speaks
INSERT INTO kpi.member (name, role_name) VALUES ('Sue', session_user);
SELECT kpi.check_in('co', 'm', '2021-02', 'by Sue') \g /dev/null
INSERT INTO kpi.check_in (kpi_id, period, author) VALUES (kpi.kpi_id('co', 'm'), '2021-02', 'Tim'), (kpi.kpi_id('co', 'm'), '2021-02', NULL);
INSERT INTO kpi.member (name, role_name) VALUES ('Ute', session_user);
SELECT kpi.check_in('co', 'm', '2021-02', 'by one of two') \g /dev/null
SELECT results_eq($$SELECT author FROM kpi.check_in WHERE period = '2021-02' ORDER BY check_in_id$$, format($$VALUES ('Sue'), ('Tim'), (NULL), (%L)$$, :'me'), 'the member who works as the role, where there is one');

-- what fits
SELECT throws_ok($$SELECT kpi.check_in('co', 'm', '2021-W03')$$, '22023', 'check-in period "2021-W03" for unit "co" does not fit measure "m"');
SELECT throws_ok($$SELECT kpi.check_in('co', 'm', '2021-01-05')$$, '22023', 'check-in period "2021-01-05" for unit "co" does not fit measure "m"');
SELECT throws_ok($$SELECT kpi.check_in('co', 'w', '2021-01')$$, '22023', 'check-in period "2021-01" for unit "co" does not fit measure "w"');
SELECT throws_ok($$SELECT kpi.check_in('co', 'f', '2021-Q1')$$, '22023', 'check-in period "2021-Q1" for unit "co" does not fit measure "f"');
SELECT lives_ok($$SELECT kpi.check_in('co', 'f', 'FY2022/04'), kpi.check_in('co', 'w', '2021-W03'), kpi.check_in('co', 'm', '2021-H1')$$, 'the measure''s grain, and coarser ones of its fiscal year');
SELECT throws_ok($$UPDATE kpi.measure SET grain = 'quarter' WHERE code = 'm'$$, '55006', NULL, 'figures are in the way of another grain');
SELECT throws_ok($$UPDATE kpi.measure SET grain = 'month' WHERE code = 'w'$$, '55006', 'measure "w" has check-ins, such as of 2021-W03, and cannot change to month with fiscal_start 1', 'and so are check-ins');
SELECT throws_ok($$UPDATE kpi.measure SET fiscal_start = 1 WHERE code = 'f'$$, '55006', 'measure "f" has check-ins, such as of FY2022/04, and cannot change to quarter with fiscal_start 1');

-- replies
SELECT throws_ok(format($$SELECT kpi.check_in('co', 'm', '2021-01', reply_to => %s)$$, :one), '23514', NULL, 'not of another KPI');
SELECT throws_like(format($$SELECT kpi.check_in('co.a', 'm', '2021-02', reply_to => %s)$$, :one), 'check-in % cannot answer check-in %, which is about something else', 'nor of another period');
SELECT throws_ok($$SELECT kpi.check_in('co.a', 'm', '2021-01', reply_to => -7)$$, '23503', 'check-in -7 does not exist');
SELECT throws_ok($$INSERT INTO kpi.check_in (check_in_id, kpi_id, period, reply_to) VALUES (1000, kpi.kpi_id('co', 'm'), '2021-01', 1000)$$, '23514', 'check-in "1000" is not earlier than its reply', 'not to itself');
SELECT throws_ok(format('UPDATE kpi.check_in SET reply_to = %s WHERE check_in_id = %s', :five, :one), '23514', NULL, 'nor to a later one: no cycle');
SELECT throws_ok(format('DELETE FROM kpi.check_in WHERE check_in_id = %s', :three), '23503', format('check-in %s still has replies', :three), 'one with replies stays');
SELECT throws_ok(format($$UPDATE kpi.check_in SET period = '2021-02' WHERE check_in_id = %s$$, :three), '23514', NULL, 'and stays where it is');
SELECT throws_ok(format('UPDATE kpi.check_in SET check_in_id = 0 WHERE check_in_id = %s', :one), '23503', NULL, 'under its key');
SELECT lives_ok(format($$UPDATE kpi.check_in SET period = '2021-03' WHERE check_in_id IN (SELECT check_in_id FROM kpi.check_in_thread WHERE thread_id = %s)$$, :one), 'a whole thread moves');
SELECT lives_ok(format('DELETE FROM kpi.check_in WHERE check_in_id IN (SELECT check_in_id FROM kpi.check_in_thread WHERE thread_id = %s)', :one), 'and goes');
SELECT is((SELECT count(*) FROM kpi.check_in WHERE kpi_id = kpi.kpi_id('co.a', 'm')), 2::bigint, 'with all its answers');
SELECT lives_ok($$INSERT INTO kpi.check_in (check_in_id, kpi_id, period, reply_to) VALUES (902, kpi.kpi_id('co.a', 'f'), 'FY2022/04', 901), (901, kpi.kpi_id('co.a', 'f'), 'FY2022/04', NULL)$$, 'a statement may bring both, in any order');
SELECT lives_ok($$DELETE FROM kpi.kpi WHERE kpi_id = kpi.kpi_id('co.a', 'f')$$, 'a KPI takes its threads along');

-- ---------------------------------------------------------------- actions

-- state and date, together: inserted
INSERT INTO kpi.action_item (kpi_id, description, state, done_on) VALUES
    (kpi.kpi_id('co', 'm'), 'open', 'open', NULL), (kpi.kpi_id('co', 'm'), 'started', 'in_progress', NULL), (kpi.kpi_id('co', 'm'), 'dropped', 'cancelled', NULL),
    (kpi.kpi_id('co', 'm'), 'done', 'done', NULL), (kpi.kpi_id('co', 'm'), 'dated', 'open', '2021-01-05'), (kpi.kpi_id('co', 'm'), 'both', 'done', '2021-01-06');
CREATE FUNCTION pg_temp.states() RETURNS SETOF text LANGUAGE sql AS $$SELECT concat_ws(' ', description, state, CASE done_on WHEN current_date THEN 'today' ELSE done_on::text END) FROM kpi.action_item ORDER BY action_item_id$$;
SELECT results_eq('SELECT pg_temp.states()', ARRAY['open open', 'started in_progress', 'dropped cancelled', 'done done today', 'dated done 2021-01-05', 'both done 2021-01-06'], 'a date makes an action done, being done without one means today');
-- updated
UPDATE kpi.action_item SET state = 'done' WHERE description = 'open';
UPDATE kpi.action_item SET done_on = '2021-02-01' WHERE description IN ('started', 'dropped');
UPDATE kpi.action_item SET state = 'in_progress' WHERE description = 'done';
UPDATE kpi.action_item SET done_on = NULL WHERE description = 'dated';
UPDATE kpi.action_item SET done_on = '2021-02-02', description = 'both still' WHERE description = 'both';
SELECT results_eq('SELECT pg_temp.states()', ARRAY['open done today', 'started done 2021-02-01', 'dropped done 2021-02-01', 'done in_progress', 'dated open', 'both still done 2021-02-02'], 'changed, too');
SELECT throws_ok($$UPDATE kpi.action_item SET state = 'cancelled', done_on = '2021-03-01' WHERE description = 'open'$$, '23514', 'action "open" was done on 2021-03-01 and cannot be cancelled');
SELECT throws_ok($$INSERT INTO kpi.action_item (kpi_id, description, state, done_on) VALUES (kpi.kpi_id('co', 'm'), 'x', 'in_progress', '2021-03-01')$$, '23514', 'action "x" was done on 2021-03-01 and cannot be in_progress');
SELECT throws_ok($$UPDATE kpi.action_item SET state = 'never'$$, '23514', 'state "never" of an action is not known');

-- what is left: overdue first, without a date last
DELETE FROM kpi.action_item;
INSERT INTO kpi.review (review_id, unit_id, held_on, period) VALUES (1, kpi.unit_id('co'), '2021-02-10', '2021-01');
INSERT INTO kpi.action_item (kpi_id, objective_id, review_id, description, owner, due_on, state)
SELECT CASE WHEN o.objective_id IS NULL THEN kpi.kpi_id('co.a', 'm') END, o.objective_id, v.review_id, v.description, v.owner, v.due_on, v.state
  FROM (VALUES (false, NULL::integer, 'no date', 'ann', NULL::date, 'open'), (false, 1, :'hostile', NULL, current_date - 3, 'in_progress'), (true, 1, 'today', 'bob', current_date, 'open'),
               (true, NULL, 'yesterday', 'bob', current_date - 1, 'open'), (false, NULL, 'is done', 'bob', current_date - 9, 'done'), (false, NULL, 'is dropped', 'bob', current_date - 9, 'cancelled')) v (about, review_id, description, owner, due_on, state)
  LEFT JOIN kpi.objective o ON o.code = 'goal' AND v.about;
SELECT results_eq('SELECT description, unit::text, measure, objective, owner, is_overdue, days_overdue, decided_on, period::text, status::text FROM kpi.open_actions',
    -- 10 of 20 in January is the last that is known of the KPI
    format($$VALUES (%L, 'co.a', 'm', NULL, NULL, true, 3, '2021-02-10'::date, '2021-01', 'off_track'), ('yesterday', NULL, NULL, 'goal', 'bob', true, 1, NULL, NULL, NULL),
             ('today', NULL, NULL, 'goal', 'bob', false, 0, '2021-02-10', NULL, NULL), ('no date', 'co.a', 'm', NULL, 'ann', NULL, NULL, NULL, '2021-01', 'off_track')$$, :'hostile'), 'open actions, with how the KPI stands');
DELETE FROM kpi.review;
SELECT is((SELECT count(*) FROM kpi.open_actions), 4::bigint, 'they outlive the review that decided them');
SELECT throws_ok($$INSERT INTO kpi.review_item (review_id, kpi_id, objective_id) VALUES (1, 1, 1)$$, '23514', NULL, 'an item is about one thing');

SELECT * FROM finish();
ROLLBACK;
