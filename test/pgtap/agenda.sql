-- kpi.review_agenda(): what a unit should talk about, in order, and why.
\set QUIET 1
BEGIN;
-- sentences have days in one form, whatever the session's
SET LOCAL datestyle = 'German';
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT no_plan();

\set hostile '"><b>call O''Brien</b> 🦄 דנה %s'
INSERT INTO kpi.unit (path, code, owner) VALUES ('co', 'C', 'carol'), ('co.a', NULL, 'anna'), ('co.b', NULL, NULL), ('co.a.x', NULL, NULL);
INSERT INTO kpi.measure (code) VALUES ('revenue'), ('quality');
INSERT INTO kpi.measure (code, rolls_up) VALUES ('nps', false), ('calm', false);
SELECT kpi.deploy('revenue', 'co', '{1,2}'), kpi.deploy('quality', 'co', '{1,2,3}'), kpi.deploy('nps', 'co', '{1}'), kpi.deploy('calm', 'co', '{1}') \g /dev/null
INSERT INTO kpi.target_entry (unit, measure, period, value)
SELECT u, m, p, v FROM (VALUES ('co', 'revenue', 100), ('co.a', 'revenue', 60), ('co.b', 'revenue', 40), ('co', 'nps', 10), ('co', 'calm', 5)) t (u, m, v), unnest('{2021-01,2021-02}'::text[]) p;
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES
    ('co.a', 'revenue', '2021-01', 60), ('co.b', 'revenue', '2021-01', 40), ('co', 'nps', '2021-01', 10), ('co', 'calm', '2021-01', 5), ('co', 'calm', '2021-02', 5),
    ('co.a', 'revenue', '2021-02', 30), ('co.b', 'revenue', '2021-02', 38), ('co', 'nps', '2021-02', 9), ('co.a.x', 'quality', '2020-12', 1), ('co.b', 'quality', '2021-01', 1);
UPDATE kpi.kpi SET owner = 'nina' WHERE kpi_id = kpi.kpi_id('co', 'nps');
CREATE FUNCTION pg_temp.agenda(unit text, period text, min_confidence numeric DEFAULT 0.5) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT concat_ws(' ', item_no, reason, a.unit, measure, objective, a.period, actual, target, status, old_status, amount, owner) FROM kpi.review_agenda(unit, period, min_confidence) a
$$;
-- revenue of co is 68 of 100, off track (two steps down); of nps 9 of 10, at risk (one step).  a lacks 30 of the 32, b 2.  Beneath nps is nothing.
-- quality: what is owed by co.b for February (co and co.a are computed, co.a.x owes a figure to co.a, not to co).
SELECT results_eq($$SELECT pg_temp.agenda('co', '2021-02')$$, ARRAY[
    '1 status_fallen co revenue 2021-02 68 100 off_track on_track carol',
    '2 status_fallen co nps 2021-02 9 10 at_risk on_track nina',
    '3 largest_contribution co.a revenue 2021-02 30 60 off_track 30 anna',
    '4 largest_contribution co nps 2021-02 9 10 at_risk 1 nina',
    '5 stale_data co.b quality 2021-02 1'], 'what fell, who takes most from what misses, what is missing');
SELECT results_eq($$SELECT sentence FROM kpi.review_agenda('C', '2021-02')$$, ARRAY[
    'It fell from on_track in 2021-01 to off_track in 2021-02.',
    'It fell from on_track in 2021-01 to at_risk in 2021-02.',
    'It takes 30 from measure "revenue" of unit "co", which is off_track in 2021-02 and lacks 32 to its target.',
    'It is at_risk in 2021-02 and lacks 1 to its target, and nothing right beneath it says why.',
    'It has no figure for 2021-02, due since 2021-03-01.'], 'in words, by unit code');
SELECT results_eq($$SELECT pg_temp.agenda('co.a', '2021-02')$$, ARRAY[
    '1 status_fallen co.a revenue 2021-02 30 60 off_track on_track anna',
    '2 largest_contribution co.a revenue 2021-02 30 60 off_track 30 anna',
    '3 stale_data co.a.x quality 2021-01 2'], 'a leaf that misses is named itself; two months are missing of one that had a figure');
SELECT is((SELECT sentence FROM kpi.review_agenda('co.a', '2021-02') WHERE reason = 'stale_data'), 'It has no figures for 2 periods, the oldest 2021-01, due since 2021-02-01.', 'in words');

-- a quarter made of months: a lacks 0 + 30 in January and February, b 0 + 2; the quarter has no target of March, nor one of its own: 168 of ...
SELECT kpi.set_target('co', 'revenue', '2021-03', 100), kpi.set_target('co.a', 'revenue', '2021-03', 60), kpi.set_target('co.b', 'revenue', '2021-03', 40),
       kpi.record_fact('co.a', 'revenue', '2021-03', 59), kpi.record_fact('co.b', 'revenue', '2021-03', 10) \g /dev/null
-- 100 + 68 + 69 = 237 of 300 is 0.79; a lacks 0 + 30 + 1 = 31, b 0 + 2 + 30 = 32
SELECT results_eq($$SELECT reason, unit::text, period::text, amount FROM kpi.review_agenda('co', '2021-Q1') WHERE measure = 'revenue'$$,
                  $$VALUES ('largest_contribution', 'co.b', '2021-Q1', 32::numeric)$$, 'over the months of a quarter');
-- a quotient: 1 of 2 and 9 of 18 is 10 of 20; a's part in February is not its part in the quarter
INSERT INTO kpi.measure (code, rollup, multiplier) VALUES ('rate', 'ratio', 100);
SELECT kpi.deploy('rate', 'co', '{1,2}') \g /dev/null
INSERT INTO kpi.fact_entry (unit, measure, period, value, weight) VALUES ('co.a', 'rate', '2021-01', 1, 10), ('co.b', 'rate', '2021-01', 8, 10), ('co.a', 'rate', '2021-02', 30, 60), ('co.b', 'rate', '2021-02', 15, 20);
INSERT INTO kpi.target_entry (unit, measure, period, value) SELECT u, 'rate', p, 80 FROM unnest('{co,co.a,co.b}'::text[]) u, unnest('{2021-01,2021-02,2021-03}'::text[]) p;
-- a lacks 70 * 10/100 + 30 * 60/100 = 7 + 18 = 25 points of 54 % against 80, b 0 + 5 * 20/100 = 1
SELECT results_eq($$SELECT unit::text, amount FROM kpi.review_agenda('co', '2021-Q1') WHERE measure = 'rate' AND reason = 'largest_contribution'$$,
                  $$VALUES ('co.a', 25::numeric)$$, 'weighed by the part of each month in the whole');
DELETE FROM kpi.fact WHERE kpi_id IN (SELECT kpi_id FROM kpi.kpi JOIN kpi.measure USING (measure_id) WHERE code = 'rate');
DELETE FROM kpi.kpi WHERE measure_id = (SELECT measure_id FROM kpi.measure WHERE code = 'rate');
-- a maximum, of which less is better: who has the longest decides, in February as in the quarter
INSERT INTO kpi.measure (code, rollup, direction) VALUES ('longest', 'max', 'lower');
SELECT kpi.deploy('longest', 'co', '{1,2}') \g /dev/null
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('co.a', 'longest', '2021-01', 4), ('co.b', 'longest', '2021-01', 3), ('co.a', 'longest', '2021-02', 5), ('co.b', 'longest', '2021-02', 9);
INSERT INTO kpi.target_entry (unit, measure, period, value) VALUES ('co', 'longest', '2021-01', 5), ('co', 'longest', '2021-02', 6), ('co', 'longest', '2021-Q1', 6);
SELECT results_eq($$SELECT p, a.unit::text, a.amount FROM unnest('{2021-02,2021-Q1}'::text[]) p CROSS JOIN LATERAL kpi.review_agenda('co', p) a WHERE a.measure = 'longest' AND a.reason = 'largest_contribution'$$,
                  $$VALUES ('2021-02', 'co.b', 3::numeric), ('2021-Q1', 'co.b', 3)$$, 'who decides a maximum takes all that it lacks');
-- less is better: 9 is 3 above 6; co.b has no target, so that nobody knows
SELECT results_eq($$SELECT a.unit::text, a.sentence FROM unnest('{co,co.b}'::text[]) u CROSS JOIN LATERAL kpi.review_agenda(u, '2021-02') a WHERE a.measure = 'longest' AND a.reason = 'largest_contribution'$$,
                  $$VALUES ('co.b', 'It adds 3 too much to measure "longest" of unit "co", which is off_track in 2021-02 and 3 above its target.')$$, 'which has too much, where less is better');
UPDATE kpi.target SET kpi_id = kpi.kpi_id('co.b', 'longest') WHERE kpi_id = kpi.kpi_id('co', 'longest');
SELECT is((SELECT sentence FROM kpi.review_agenda('co.b', '2021-02') WHERE measure = 'longest' AND reason = 'largest_contribution'),
          'It is off_track in 2021-02 and 3 above its target, and nothing right beneath it says why.', 'and so by itself');
DELETE FROM kpi.fact WHERE kpi_id IN (SELECT kpi_id FROM kpi.kpi JOIN kpi.measure USING (measure_id) WHERE code = 'longest');
DELETE FROM kpi.kpi WHERE measure_id = (SELECT measure_id FROM kpi.measure WHERE code = 'longest');
-- what makes a score
INSERT INTO kpi.measure (code, rolls_up, result_weight) VALUES ('focus', false, 0);
SELECT kpi.deploy('focus', 'co', '{1}'), kpi.link_kpi('co', 'nps', 'co', 'focus', 'score', 3), kpi.link_kpi('co.b', 'revenue', 'co', 'focus', 'score', 1) \g /dev/null
-- scores 0.9 and 0.95, (3 * 0.9 + 0.95) / 4 = 0.9125: nps takes 3 * 0.1 / 4 = 0.075, revenue of b 0.05 / 4
SELECT results_eq($$SELECT unit::text, measure, amount, sentence FROM kpi.review_agenda('co', '2021-02') WHERE sentence ~ '"focus"'$$,
    $$VALUES ('co', 'nps', 0.075, 'It takes 0.075 from measure "focus" of unit "co", which is at_risk in 2021-02 and lacks 0.0875 to its target.')$$, 'a score that misses 1');
SELECT is((SELECT array_agg(measure ORDER BY item_no) FROM kpi.review_agenda('co', '2021-02') WHERE reason = 'largest_contribution'), '{revenue,nps,nps}', 'what takes most from the unit''s score comes first');
UPDATE kpi.kpi SET weight = 5 WHERE kpi_id = kpi.kpi_id('co', 'nps');
-- 5 * 0.1 against 0.32
SELECT is((SELECT array_agg(measure ORDER BY item_no) FROM kpi.review_agenda('co', '2021-02') WHERE reason = 'largest_contribution'), '{nps,revenue,nps}', 'by weight');
DELETE FROM kpi.link;
DELETE FROM kpi.kpi WHERE measure_id = (SELECT measure_id FROM kpi.measure WHERE code = 'focus');

-- ---------------------------------------------------------------- actions, confidence, targets

INSERT INTO kpi.objective (code, owner, unit_id) VALUES ('grow', 'otto', kpi.unit_id('co')), ('other', NULL, NULL);
INSERT INTO kpi.review (review_id, unit_id, held_on, period) VALUES (101, kpi.unit_id('co'), '2020-12-10', '2020-11'), (102, kpi.unit_id('co.a'), '2020-12-10', '2020-11');
INSERT INTO kpi.action_item (kpi_id, objective_id, review_id, description, owner, due_on) VALUES
    (NULL, (SELECT objective_id FROM kpi.objective WHERE code = 'grow'), NULL, :'hostile', NULL, current_date - 2),
    (kpi.kpi_id('co.b', 'revenue'), NULL, 101, 'Decided here!', 'ben', current_date - 1),
    (kpi.kpi_id('co', 'nps'), NULL, 102, 'Ask', NULL, current_date - 2),
    (kpi.kpi_id('co.b', 'revenue'), NULL, 102, 'Decided elsewhere', 'ben', current_date - 9), (kpi.kpi_id('co', 'nps'), NULL, 101, 'Not yet', NULL, current_date),
    (NULL, (SELECT objective_id FROM kpi.objective WHERE code = 'other'), NULL, 'Of everybody', NULL, current_date - 2);
SELECT results_eq($$SELECT unit::text, measure, objective, sentence, amount, owner, status::text FROM kpi.review_agenda('co', '2021-02') WHERE reason = 'overdue_action'$$,
    format($$VALUES ('co', NULL, 'grow', %L, 2::numeric, 'otto', NULL), ('co', 'nps', NULL, %L, 2, 'nina', 'at_risk'), ('co.b', 'revenue', NULL, %L, 1, 'ben', 'off_track')$$,
           :'hostile' || format('. It was due on %s, 2 days ago.', to_char(current_date - 2, 'YYYY-MM-DD')), format('Ask. It was due on %s, 2 days ago.', to_char(current_date - 2, 'YYYY-MM-DD')),
           format('Decided here! It was due on %s, a day ago.', to_char(current_date - 1, 'YYYY-MM-DD'))), 'overdue: about the unit''s KPIs and objectives, and what its reviews decided');
SELECT kpi.check_in('co', 'nps', '2021-01', 'sure', 0.9), kpi.check_in('co', 'nps', '2021-Q1', :'hostile', 0.450), kpi.check_in('co', 'nps', '2021-02', 'no number'),
       kpi.check_in('co', 'calm', '2021-02', 'half', 0.5), kpi.check_in('co', 'revenue', '2021-01', 'over', 0.1), kpi.check_in('co.a', 'revenue', '2021-02', 'not ours', 0.1) \g /dev/null
UPDATE kpi.check_in SET author = NULL WHERE confidence = 0.45;
SELECT results_eq($$SELECT measure, period::text, amount, sentence, owner FROM kpi.review_agenda('co', '2021-02') WHERE reason = 'low_confidence'$$,
    format($$VALUES ('nps', '2021-Q1', 0.45, %L, 'nina')$$, 'Somebody has a confidence of 0.45 in 2021-Q1: ' || :'hostile'), 'the latest confidence of the period, or one around it, below the half');
SELECT is((SELECT array_agg(measure ORDER BY item_no) FROM kpi.review_agenda('co', '2021-02', 0.6) WHERE reason = 'low_confidence'), '{nps,calm}', 'or below what is asked for, the lowest first');
SELECT is((SELECT count(*) FROM kpi.review_agenda('co', '2021-02', min_confidence => 0) WHERE reason = 'low_confidence'), 0::bigint, 'or never');
UPDATE kpi.target SET state = 'proposed', proposed_by = 'bob' WHERE kpi_id = kpi.kpi_id('co', 'nps');
INSERT INTO kpi.target (kpi_id, period, value, state) VALUES (kpi.kpi_id('co', 'calm'), '2021-03', 1, 'proposed'), (kpi.kpi_id('co', 'calm'), '2021-Q2', 1, 'agreed'), (kpi.kpi_id('co', 'calm'), '2021', 1, 'proposed'),
       (kpi.kpi_id('co.a', 'revenue'), '2021-04', 1, 'proposed');
SELECT results_eq($$SELECT measure, period::text, amount, sentence FROM kpi.review_agenda('co', '2021-02') WHERE reason = 'target_not_agreed'$$,
    -- the year began in January; January's own target of nps is over
    $$VALUES ('calm', '2021', 2::numeric, '2 targets are proposed and not agreed, the first for 2021.'), ('nps', '2021-02', 1, 'The target of 10 for 2021-02 is proposed by bob and not agreed.')$$, 'targets of the period or later that are not agreed');
SELECT is((SELECT count(DISTINCT reason) FROM kpi.review_agenda('co', '2021-02')), 6::bigint, 'all six reasons');
SELECT is((SELECT array_agg(item_no) FROM kpi.review_agenda('co', '2021-02')), ARRAY(SELECT generate_series(1, (SELECT count(*)::integer FROM kpi.review_agenda('co', '2021-02')))), 'numbered and in order');
SELECT results_eq($$SELECT reason FROM kpi.review_agenda('co', '2021-02') ORDER BY item_no$$,
                  $$SELECT reason FROM kpi.review_agenda('co', '2021-02') ORDER BY array_position('{status_fallen,largest_contribution,stale_data,overdue_action,low_confidence,target_not_agreed}', reason)$$, 'in the order in which they matter');

-- ---------------------------------------------------------------- since the last review

-- those reviews so far saw November, in which there was nothing: the period before counts
SELECT is((SELECT array_agg(old_status::text || sentence ORDER BY item_no) FROM kpi.review_agenda('co', '2021-02') WHERE reason = 'status_fallen'),
          '{on_trackIt fell from on_track in 2021-01 to off_track in 2021-02.,on_trackIt fell from on_track in 2021-01 to at_risk in 2021-02.}', 'a review that saw nothing');
-- March: revenue 69 of 100, off track as in February; nps has none.  Since the review of January it has fallen, since January's month not.
SELECT is_empty($$SELECT * FROM kpi.review_agenda('co', '2021-03') WHERE reason = 'status_fallen'$$, 'no worse than in the month before');
INSERT INTO kpi.review (unit_id, held_on, period) VALUES (kpi.unit_id('co'), '2021-02-10', '2021-01');
SELECT results_eq($$SELECT measure, sentence, old_status::text FROM kpi.review_agenda('co', '2021-03') WHERE reason = 'status_fallen'$$,
    $$VALUES ('revenue', 'It fell from on_track in 2021-01, at the review of 2021-02-10, to off_track in 2021-03.', 'on_track')$$, 'but than the last review saw');
INSERT INTO kpi.review (unit_id, held_on, period) VALUES (kpi.unit_id('co.a'), '2021-03-10', '2021-02'), (kpi.unit_id('co'), '2021-03-10', '2021-Q1'), (kpi.unit_id('co'), current_date, '2021-02'), (kpi.unit_id('co'), '2021-05-10', '2021-04');
SELECT is((SELECT count(*) FROM kpi.review_agenda('co', '2021-03') WHERE reason = 'status_fallen'), 1::bigint, 'not than reviews of other units, of other periods, of later ones, or of today');
INSERT INTO kpi.review (unit_id, held_on, period) VALUES (kpi.unit_id('co'), '2021-03-10', '2021-02');
SELECT is((SELECT count(*) FROM kpi.review_agenda('co', '2021-03') WHERE reason = 'status_fallen'), 0::bigint, 'the next review saw it');

-- what a review saw has changed since: February was on track on that day, and off track from the next
INSERT INTO kpi.status_change (kpi_id, period, old_status, new_status, changed_at, fold) VALUES
    (kpi.kpi_id('co', 'revenue'), '2021-02', NULL, 'at_risk', '2021-03-02', 1), (kpi.kpi_id('co', 'revenue'), '2021-02', 'at_risk', 'on_track', '2021-03-10 23:00', 2),
    (kpi.kpi_id('co', 'revenue'), '2021-02', 'on_track', 'off_track', '2021-03-11 01:00', 3);
SELECT results_eq($$SELECT sentence FROM kpi.review_agenda('co', '2021-03') WHERE reason = 'status_fallen'$$,
    ARRAY['It fell from on_track in 2021-02, at the review of 2021-03-10, to off_track in 2021-03.'], 'what counts is what the review saw');
SELECT results_eq($$SELECT sentence FROM kpi.review_agenda('co', '2021-02') WHERE reason = 'status_fallen' AND measure = 'revenue'$$,
    ARRAY['It fell from on_track in 2021-02, at the review of 2021-03-10, to off_track in 2021-02.'], 'of the same period, too');
DELETE FROM kpi.status_change WHERE new_status <> 'off_track';
SELECT is((SELECT old_status::text FROM kpi.review_agenda('co', '2021-03') WHERE reason = 'status_fallen'), 'on_track', 'or what was before the first change since');
UPDATE kpi.status_change SET old_status = NULL;
-- then January counts, on track, for February, and February, off track, for March
SELECT results_eq($$SELECT p, old_status::text FROM unnest('{2021-02,2021-03}'::text[]) p CROSS JOIN LATERAL kpi.review_agenda('co', p) a WHERE a.reason = 'status_fallen' AND a.measure = 'revenue'$$,
    $$VALUES ('2021-02', 'on_track')$$, 'a review before there was a status saw nothing');
DELETE FROM kpi.status_change;

-- ---------------------------------------------------------------- asking

SELECT set_eq($$SELECT pg_temp.agenda('co', '2021-02')$$, $$SELECT concat_ws(' ', item_no, reason, a.unit, measure, objective, a.period, actual, target, status, old_status, amount, owner) FROM kpi.review_agenda('co'::kpi_path, '2021-02'::kpi_period) a$$, 'typed');
SELECT set_eq($$SELECT r.item_no FROM kpi.review_agenda('co', '2021-02'::kpi_period) r$$, $$SELECT r.item_no FROM kpi.review_agenda('co'::kpi_path, '2021-02') r$$, 'and mixed');
SELECT throws_ok($$SELECT * FROM kpi.review_agenda('zz', '2021-02')$$, '42704', 'unit "zz" does not exist');
SELECT throws_ok($$SELECT * FROM kpi.review_agenda('C'::kpi_path, '2021-02')$$, '42704', 'unit "C" does not exist');
SELECT throws_ok($$SELECT * FROM kpi.review_agenda('co', NULL::text)$$, '22004', 'no period is given to review');
SELECT throws_ok(format($$SELECT * FROM kpi.review_agenda('co', '2021-02', min_confidence => %s)$$, c), '22023', format('min_confidence "%s" is out of range', c))
  FROM (VALUES ('-0.1'), ('2'), ('null')) AS v (c);
SELECT lives_ok($$SELECT * FROM kpi.review_agenda('co', '2021-02-03') a, kpi.review_agenda('co', '2021-W07') b$$, 'whatever the grain: where a KPI has no figure there is the month around');
SELECT results_eq($$SELECT reason, period::text FROM kpi.review_agenda('co', '2021-02-03') WHERE measure = 'revenue' AND reason <> 'overdue_action' AND reason <> 'stale_data'$$,
    $$VALUES ('status_fallen', '2021-02'), ('largest_contribution', '2021-02')$$, 'a day is in its month');

SELECT * FROM finish();
ROLLBACK;
