-- kpi.briefing: what it is written with, and the page.  Expected values are
-- worked out by hand in the comments.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT no_plan();

-- ---- words
SELECT is(kpi.markdown_text(t), e, 'words: ' || e) FROM (VALUES
    ('plain, "quoted" it''s 100% (R&D) #1!', 'plain, "quoted" it''s 100% (R&D) #1!'),
    ('*bold* `code` [link](x) ~no~', '\*bold\* \`code\` \[link\](x) \~no\~'),
    ('a|b \ c', 'a\|b \\ c'),
    ('snake_case _it_', 'snake_case \_it\_'),
    ('<b>&amp;&#65;', '&lt;b&gt;&amp;amp;&amp;#65;'),
    (E'  two\r\n\tlines\x01 ', 'two lines'),
    ('Zoë 🚀', 'Zoë 🚀'),
    (U&'\0634\0643', U&'\2068\0634\0643\2069'),
    (U&'a\202Eb\2066c', 'abc')) AS w (t, e);
SELECT is(kpi.display_width(t), w, 'width of ' || t) FROM (VALUES ('abc', 3), ('Zoë', 3), (U&'Zoe\0308', 3), ('東京', 4), ('🚀', 2), (U&'\+01F469\200D\+01F680', 2), (U&'\+01F44D\+01F3FD', 2), (U&'\2068\0634\0643\2069', 2), ('▁█', 2), ('', 0)) AS t (t, w);
SELECT is(kpi.briefing_number(n), e) FROM (VALUES (1234567.89, '1,234,568'), (-1234.5, '-1,235'), (999.96, '1,000'), (123.45, '123.5'), (12.345, '12.35'), (0.12345, '0.1235'), (0, '0'), (1e15, '1.000e+15'), (NULL, '')) AS t (n, e);
SELECT is(kpi.briefing_percent(n), e) FROM (VALUES (0.9999, '99%'), (1, '100%'), (-0.5, '-50%'), (20, '2,000%'), (NULL, '')) AS t (n, e);
-- cut off: no full bar below 1
SELECT is(kpi.briefing_bar(n), e) FROM (VALUES (0.999, '█████████░  99%'), (1.5, '██████████ 150%'), (-1, '░░░░░░░░░░-100%'), (NULL, '')) AS t (n, e);
CREATE FUNCTION pg_temp.line(kpis bigint[], actuals numeric[]) RETURNS text LANGUAGE sql AS $$
    SELECT kpi.briefing_sparkline(array_agg(ROW(NULL, NULL, a, NULL, NULL, NULL, NULL, NULL, NULL, k)::kpi.series_point)) FROM unnest(kpis, actuals) AS u (k, a)
$$;
-- 7 * (n - low)/(high - low) steps above the lowest: 0, 3.5 rounded up, 7
SELECT is(pg_temp.line('{1,1,1}', '{10,20,30}'), '▁▅█', 'a line from the lowest to the highest');
SELECT is(pg_temp.line('{1,1,1}', '{-3,-3,-3}'), '▄▄▄', 'all the same');
SELECT is(pg_temp.line('{NULL,1,NULL,1}', '{NULL,1,NULL,2}'), '▁·█', 'a gap is a dot, but for those at the beginning');
SELECT is(pg_temp.line('{1,1,NULL,2,2}', '{1,2,NULL,900,800}'), '▁█·│█▁', 'each measure has its scale');
SELECT is(pg_temp.line('{NULL,NULL}', '{NULL,NULL}'), '', 'nothing known');
SELECT is(kpi.markdown_table('{A,Long header,N}', 'llr', '{{a,"東京",1},{"a|b","",20}}'), E'| A   | Long header |   N |\n| --- | ----------- | --: |\n| a   | 東京        |   1 |\n| a|b |             |  20 |\n', 'tables are padded');
SELECT is(kpi.markdown_table('{A,B}', 'll', '{{a,""}}'), E'| A   |\n| --- |\n| a   |\n', 'without columns that have nothing');
SELECT is(kpi.markdown_table('{A}', 'l', '{}'), NULL, 'and there is none without rows');

-- ---- a page
INSERT INTO kpi.objective (code, name, kind, description) VALUES ('m', 'Be *there*', 'mission', NULL), ('v', 'See <all>', 'vision', E'Every\nday');
UPDATE kpi.objective SET parent_objective_id = (SELECT objective_id FROM kpi.objective WHERE code = 'm') WHERE code = 'v';
INSERT INTO kpi.objective (code, name, perspective, parent_objective_id) SELECT 'grow', 'Grow | thrive', 'financial', objective_id FROM kpi.objective WHERE code = 'v';
INSERT INTO kpi.unit (path, code, name, owner, share) VALUES
    ('co', 'CO', 'Co', 'carol', 1), ('co.a', 'A', 'A "quoted" *star*', 'Zoë 🚀', 1), ('co.a.x', 'X', U&'\0634\0643', NULL, 1), ('co.a.y', 'Y', E'Two\nlines', NULL, 1), ('co.bare', NULL, NULL, NULL, 1);
INSERT INTO kpi.objective (code, unit_id, parent_objective_id) SELECT 'own_one', kpi.unit_id('A'), objective_id FROM kpi.objective WHERE code = 'grow';
INSERT INTO kpi.measure (code, name, unit_of_measure) VALUES ('revenue', 'Revenue', 'EUR'), ('calls', NULL, 'calls'), ('silent', 'Silent', NULL);
INSERT INTO kpi.measure (code, name, grain) VALUES ('yearly', 'Yearly', 'year'), ('weekly', 'Weekly', 'week');
INSERT INTO kpi.measure (code, name, scoring, time_rollup, rolls_up) VALUES ('heads', 'Heads', 'range', 'last', false);
SELECT kpi.deploy('revenue', 'CO') \g /dev/null
SELECT kpi.deploy(m, 'A', '{2}') FROM unnest('{calls,silent,yearly,weekly,heads}'::text[]) AS m \g /dev/null
UPDATE kpi.kpi SET objective_id = (SELECT objective_id FROM kpi.objective WHERE code = 'grow') WHERE kpi_id = kpi.kpi_id('A', 'revenue');
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES
    ('X', 'revenue', '2020-01', 10), ('X', 'revenue', '2020-02', 20), ('X', 'revenue', '2020-03', 30),
    ('Y', 'revenue', '2020-01', 5), ('Y', 'revenue', '2020-02', 5), ('Y', 'revenue', '2020-03', 5),
    ('A', 'calls', '2020-03', 7), ('A', 'yearly', '2020', 3), ('A', 'weekly', '2020-W10', 3), ('A', 'heads', '2020-03', 4);
INSERT INTO kpi.target_entry (unit, measure, period, value)
SELECT u, 'revenue', p::text, t FROM (VALUES ('A', 40), ('X', 30), ('Y', 10)) AS k (u, t), kpi.generate_series('2020-01', '2020-12') AS p;
INSERT INTO kpi.target_entry (unit, measure, period, low, high) VALUES ('A', 'heads', '2020-03', 3, 5);
INSERT INTO kpi.target_entry (unit, measure, period, value) VALUES ('A', 'yearly', '2020', 2);
CREATE FUNCTION pg_temp.says(unit text, period text, expected text[], what text) RETURNS text LANGUAGE sql AS $$
    -- the first of these lines is in the page, and the others follow it
    SELECT is(b.lines[p.place:p.place + cardinality(expected) - 1], expected, what)
      FROM (SELECT string_to_array(kpi.briefing(unit, period), E'\n') AS lines) b
     CROSS JOIN LATERAL (SELECT coalesce(array_position(b.lines, expected[1]), 1) AS place) p
$$;
-- 35 of 40 is 0.875 and heads are in their range: their mean is 0.9375
SELECT pg_temp.says('A', '2020-03', ARRAY['# A "quoted" \*star\*, 2020-03', '', 'co.a · business unit · Zoë 🚀 · 1 Mar 2020 to 31 Mar 2020', '',
    '**Score 93%**: 1 at risk, 2 on track, 1 no data, 1 no target.', '',
    '> **Mission** Be \*there\*', '>', '> **Vision** See &lt;all&gt;. Every day', '', '## What we are here for'], 'the head');
SELECT pg_temp.says('A', '2020-03', ARRAY[
    '| Worst status | Objective      | Score | Our KPIs | Leads to                |',
    '| ------------ | -------------- | ----: | -------: | ----------------------- |',
    '| ▲ at risk    | Grow \| thrive |   87% |        1 | vision                  |',
    '| – no data    | own_one        |       |        0 | Grow \| thrive → vision |', ''], 'objectives, and where they lead');
-- 15, 25, 35 from the lowest to the highest; 25 of 40 was off track
SELECT pg_temp.says('A', '2020-03', ARRAY[
    '| Status      | KPI           | Actual | Target | Attained        | 12 months | Travel   | Note    |',
    '| ----------- | ------------- | -----: | -----: | --------------- | --------- | -------- | ------- |',
    '| ▲ at risk   | Revenue (EUR) |     35 |     40 | ████████░░  87% | ▁▅█       | ↗ better |         |',
    '| ● on track  | Heads         |      4 | 3 to 5 | ██████████ 100% |   ▄       |          |         |',
    '| ● on track  | Yearly        |      3 |      2 | ██████████ 150% |   ▄       |          | of 2020 |',
    '| – no data   | Silent        |        |        |                 |           |          |         |',
    '| ○ no target | calls         |      7 |        |                 |   ▄       |          |         |', '',
    'Kept in periods that do not fit this one: Weekly.', '', '## What changed since the month before', '',
    '- ▲ **Revenue (EUR)** rose from off track to at risk: 35 after 25.', ''], 'the KPIs, the worst first, and what changed');
-- y lacks 5 of 10; the year has 75 and 405 to go in nine months; at 25 a month it ends at 300 of 480
SELECT pg_temp.says('A', '2020-03', ARRAY[
    '| KPI           | Actual | Largest part | Largest miss |',
    '| ------------- | -----: | ------------ | ------------ |',
    format('| Revenue (EUR) |     35 | %s: 30       | Two lines: 5 |', U&'\2068\0634\0643\2069'), '', '## What it still takes', '',
    '| KPI           | In   | So far | Target | At this rate | That is | Needed                           |',
    '| ------------- | ---- | -----: | -----: | -----------: | ------: | -------------------------------- |',
    '| Revenue (EUR) | 2020 |     75 |    480 |          300 |     62% | at least 45 a month for 9 months |'], 'who makes the difference, and what is left to do');
SELECT is(right(kpi.briefing('A', '2020-03'), 1), '|', 'it ends with its last line');
-- the quarter: x brings 60 of 75 and lacks 20 + 10 + 0 of the 45 missing, y 5 each month
SELECT pg_temp.says('A', '2020-Q1', ARRAY[format('| Revenue (EUR) |     75 | %1$s: 60       | %1$s: 30       |', U&'\2068\0634\0643\2069')], 'of a quarter''s months together');
SELECT unalike(kpi.briefing('A', '2020-Q1'), '%## What changed since%', 'a first quarter has nothing to compare with');
SELECT is(count(DISTINCT kpi.display_width(l)), 1::bigint, 'the table is one: all its lines are of one width')
  FROM string_to_table(substring(kpi.briefing('A', '2020-03') FROM '## How we stand\n\n(.*?)\n\n'), E'\n') AS l;

-- ---- what changed within the period: 45 of 40, and 35 again
SELECT kpi.fold() \g /dev/null
INSERT INTO kpi.fact_entry (unit, measure, period, value, reference) VALUES ('Y', 'revenue', '2020-03', 10, 'late');
SELECT kpi.fold() \g /dev/null
SELECT pg_temp.says('A', '2020-03', ARRAY['## What changed within the month', '', format('- ● **Revenue (EUR)** rose from at risk to on track on %s.', to_char(current_date, 'FMDD Mon YYYY')), '', '## Who makes the difference'],
                    'changes within the month');
DELETE FROM kpi.fact WHERE reference = 'late';
SELECT kpi.fold() \g /dev/null
SELECT pg_temp.says('A', '2020-03', ARRAY['## What changed within the month', '', format('- ▲ **Revenue (EUR)** fell from on track to at risk on %s.', to_char(current_date, 'FMDD Mon YYYY')),
                    format('- ● **Revenue (EUR)** rose from at risk to on track on %s.', to_char(current_date, 'FMDD Mon YYYY')), '', '## Who makes the difference'],
                    'the last one first');

-- ---- a score without a number of its own, and units of one letter: 2.5 of 2 is 1 - 0.5/2 = 0.75
SELECT is(kpi.names_unit(n, u), e, format('%s is %s in %s', u, CASE WHEN e THEN 'named' ELSE 'not named' END, n))
  FROM (VALUES ('Delay per ship', 'h', false), ('Delay in h', 'H', true), ('Orders won', 'order', true), ('Share (%)', '%', true), ('5% rule', '%', true), ('Share', '%', false),
               ('Reorders', 'orders', false), ('Cost (k€)', 'k€', true), ('a.b', 'axb', false), ('axb', 'a.b', false), ('Speed', 'm/s', false), ('Speed in m/s', 'm/s', true)) AS t (n, u, e);
INSERT INTO kpi.unit (path, name) VALUES ('quay', 'Quay');
INSERT INTO kpi.measure (code, name, unit_of_measure, direction, result_weight) VALUES ('delay', 'Delay per ship', 'h', 'lower', 1), ('care', 'Care', NULL, 'higher', 0);
SELECT kpi.deploy(m, 'quay') FROM unnest('{delay,care}'::text[]) AS m \g /dev/null
SELECT kpi.link_kpi('quay', 'delay', 'quay', 'care', 'score') \g /dev/null
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('quay', 'delay', '2020-01', 2), ('quay', 'delay', '2020-02', 2.5);
INSERT INTO kpi.target_entry (unit, measure, period, value) VALUES ('quay', 'delay', '2020-01', 2), ('quay', 'delay', '2020-02', 2);
SELECT pg_temp.says('quay', '2020-02', ARRAY['## What changed since the month before', '', '- ◆ **Care** fell from on track to off track: 75% after 100%.',
                    '- ◆ **Delay per ship (h)** fell from on track to off track: 2.5 after 2.'], 'a score that fell');

-- ---- people: three of the unit and beneath, one has seen it; one of co does not count
INSERT INTO kpi.member (name) VALUES ('Zoë 🚀'), ('xi'), ('yan'), ('carol');
INSERT INTO kpi.membership (member_id, unit_id)
SELECT m.member_id, kpi.unit_id(b.unit) FROM (VALUES ('Zoë 🚀', 'A'), ('xi', 'X'), ('yan', 'Y'), ('yan', 'X'), ('carol', 'CO')) AS b (name, unit) JOIN kpi.member m USING (name);
SELECT kpi.acknowledge('grow', m) FROM unnest('{xi,carol}'::text[]) AS m \g /dev/null
SELECT pg_temp.says('A', '2020-03', ARRAY['| ▲ at risk    | Grow \| thrive |   87% |        1 | vision                  |     1 of 3 |'], 'how many of us have seen it');
INSERT INTO kpi.check_in (kpi_id, period, author, at, comment, confidence, forecast) VALUES
    (kpi.kpi_id('A', 'revenue'), '2020-03', 'xi', '2020-04-02 12:00', 'old', 0.1, NULL),
    (kpi.kpi_id('A', 'revenue'), '2020-03', 'Zoë 🚀', '2020-04-03 12:00', E'Not *yet*,\n# but | soon', 0.625, 41.5),
    (kpi.kpi_id('A', 'calls'), '2020-03', NULL, '2020-04-01 12:00', NULL, NULL, NULL),
    (kpi.kpi_id('A', 'calls'), '2020-02', 'xi', '2020-04-09 12:00', 'of another month', NULL, NULL);
SELECT pg_temp.says('A', '2020-03', ARRAY['## What we say of it', '', '- **Revenue (EUR)** Zoë 🚀 on 3 Apr 2020 (62% sure, expects 41.5): Not \*yet\*, # but \| soon', '- **calls** Somebody on 1 Apr 2020'],
                    'the last check-in of each KPI on the period');
SELECT pg_temp.says('A', '2020-Q1', ARRAY['- **calls** xi on 9 Apr 2020 (of 2020-02): of another month'], 'or on one inside it');
INSERT INTO kpi.action_item (kpi_id, description, owner, due_on) VALUES
    (kpi.kpi_id('A', 'revenue'), 'Call <them>', 'xi', current_date - 3), (kpi.kpi_id('A', 'calls'), 'Write', NULL, NULL), (kpi.kpi_id('X', 'revenue'), 'Of another unit', NULL, NULL);
INSERT INTO kpi.action_item (kpi_id, description, state) VALUES (kpi.kpi_id('A', 'calls'), 'Done already', 'done');
INSERT INTO kpi.review (unit_id, held_on, period) VALUES (kpi.unit_id('A'), '2020-04-05', '2020-03');
INSERT INTO kpi.action_item (kpi_id, review_id, description, due_on) SELECT kpi.kpi_id('Y', 'revenue'), review_id, 'Ask', '2999-01-01' FROM kpi.review;
SELECT pg_temp.says('A', '2020-03', ARRAY['## What we have agreed to do', '',
    '| Due         | State           | What              | Who        | For                |',
    '| ----------- | --------------- | ----------------- | ---------- | ------------------ |',
    format('| %s | **3 days late** | Call &lt;them&gt; | xi         | Revenue            |', rpad(to_char(current_date - 3, 'FMDD Mon YYYY'), 11)),
    '| 1 Jan 2999  | open            | Ask               | nobody yet | Revenue, Two lines |',
    '|             | open            | Write             | nobody yet | calls              |'], 'open actions of the unit and of its reviews, overdue first');
INSERT INTO kpi.action_item (kpi_id, description) SELECT kpi.kpi_id('A', 'calls'), 'more ' || n FROM generate_series(1, 20) AS n;
SELECT alike(kpi.briefing('A', '2020-03'), E'%| more 12 %\n\nAnd 8 more, in kpi.open\\_actions.', 'of many it says how many more: 15 of 23');
SELECT unalike(kpi.briefing('A', '2020-03'), '%more 13%', 'and leaves these out');

-- ---- what a stock still takes: 6 in March, 10 at the end of the year, however it gets there
INSERT INTO kpi.measure (code, name, time_rollup, rolls_up) VALUES ('stock', 'Stock', 'last', false);
SELECT kpi.deploy('stock', 'A', '{2}') \g /dev/null
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('A', 'stock', '2020-03', 6);
INSERT INTO kpi.target_entry (unit, measure, period, value) VALUES ('A', 'stock', '2020', 10);
SELECT matches(kpi.briefing('A', '2020-03'), '\| Stock +\| 2020 \| +6 \| +10 \| +6 \| +60% \| at least 10 at its end +\|', 'what a stock takes, it takes in the end');

-- what is known of December does not count in what March had ahead
INSERT INTO kpi.fact_entry (unit, measure, period, value, reference) VALUES ('X', 'revenue', '2020-12', 500, 'december');
SELECT alike(kpi.briefing('A', '2020-03'), '%| 2020 |     75 |    480 |          300 |     62% | at least 45 a month for 9 months |%', 'a page of March says what was ahead in March');
SELECT unalike(kpi.briefing('A', '2020-12'), '%| Revenue (EUR) | 2020 |%', 'and in December nothing is');
DELETE FROM kpi.fact WHERE reference = 'december';

-- ---- a measure that took the place of another
INSERT INTO kpi.measure (code, name) VALUES ('contacts', 'Contacts');
SELECT count(*) FROM kpi.replace_measure('calls', 'contacts', '2020-04-01') \g /dev/null
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('A', 'calls', '2020-02', 3), ('A', 'contacts', '2020-04', 90), ('A', 'contacts', '2020-05', 60);
SELECT matches(kpi.briefing('A', '2020-05'), '\| ○ no target \| Contacts +\| +60 \|[^\n]*\| ▁█│█▁ +\| ↘ worse +\| replaces calls \|', 'both are in the line, each on its scale');
SELECT unalike(kpi.briefing('A', '2020-05'), '%no target | calls%', 'and the old one is gone');

-- ---- empty ones
DELETE FROM kpi.kpi WHERE unit_id = kpi.unit_id('co.bare'::kpi_path);
SELECT is(kpi.briefing('co.bare', '2020-03'), E'# co.bare, 2020-03\n\nco.bare · business unit · 1 Mar 2020 to 31 Mar 2020\n\nThe unit has no KPIs in this period.\n\n> **Mission** Be \\*there\\*\n>\n> **Vision** See &lt;all&gt;. Every day', 'a unit without KPIs');
DELETE FROM kpi.objective WHERE code = 'own_one';
UPDATE kpi.kpi SET objective_id = NULL;
DELETE FROM kpi.objective;
SELECT is(kpi.briefing('co.bare', '2020-03'), E'# co.bare, 2020-03\n\nco.bare · business unit · 1 Mar 2020 to 31 Mar 2020\n\nThe unit has no KPIs in this period.', 'without strategy, either');
UPDATE kpi.unit SET valid_to = '2020-03-01' WHERE path = 'co.a';
SELECT alike(kpi.briefing('A', '2020-03'), '%The unit has no KPIs in this period.%', 'one that is retired');
UPDATE kpi.unit SET valid_to = NULL WHERE path = 'co.a';
SELECT is(substring(kpi.briefing('A') FROM '^[^\n]*'), '# A "quoted" \*star\*, ' || to_char(current_date, 'YYYY-MM'), 'without a period the running month');
SELECT is(kpi.briefing('co.a'::kpi_path, '2020-03'::kpi_period), kpi.briefing('A', '2020-03'), 'typed arguments');
SELECT is(kpi.briefing('A', '2020-03'::kpi_period) || kpi.briefing('co.a'::kpi_path, '2020-03'), kpi.briefing('A', '2020-03') || kpi.briefing('A', '2020-03'), 'mixed ones');
SELECT throws_ok($$SELECT kpi.briefing('A'::kpi_path, '2020-03')$$, '42704', 'unit "A" does not exist');
SELECT throws_ok($$SELECT kpi.briefing('nowhere', '2020-03')$$, '42704', 'unit "nowhere" does not exist');
SELECT throws_ok($$SELECT kpi.briefing('A', '2020-3')$$, '22P02', NULL, 'a period that is none');
SELECT lives_ok(format($$SELECT kpi.briefing('A', %L)$$, p), 'any period: ' || p) FROM unnest('{2020,2020-H1,2020-W10,2020-03-05,FY2021-Q1/04,0001,0003-01,9999}'::text[]) AS p;

-- ---- who may read it
CREATE ROLE kpi_reader;
GRANT USAGE ON SCHEMA kpi TO kpi_reader;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA kpi TO kpi_reader;
DO $$
DECLARE
    view_name regclass;
BEGIN
    FOR view_name IN SELECT oid FROM pg_class WHERE relnamespace = 'kpi'::regnamespace AND relkind = 'v' AND has_table_privilege(oid, 'SELECT') LOOP
        EXECUTE format('GRANT SELECT ON %s TO kpi_reader', view_name);
    END LOOP;
END
$$;
GRANT SELECT ON kpi.unit, kpi.kpi, kpi.measure, kpi.objective, kpi.level TO kpi_reader;
SET LOCAL kpi_test.page = '';
SELECT set_config('kpi_test.page', kpi.briefing('A', '2020-03'), true) \g /dev/null
SET LOCAL ROLE kpi_reader;
SELECT is(kpi.briefing('A', '2020-03'), current_setting('kpi_test.page'), 'views and five tables are all it takes');
RESET ROLE;
ALTER TABLE kpi.unit ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON kpi.unit FOR SELECT TO kpi_reader USING (path = 'co.a'::kpi_path);
SET LOCAL ROLE kpi_reader;
SELECT matches(kpi.briefing('A', '2020-03'), '\| Revenue \(EUR\) \| +35 \| units that you cannot see: 35 \|', 'hidden units count, and are not named');
SELECT throws_ok($$SELECT kpi.briefing('CO', '2020-03')$$, '42704', 'unit "CO" does not exist');
SET LOCAL transaction_read_only = on;
SELECT lives_ok($$SELECT kpi.briefing('A', '2020-03')$$, 'it writes nothing');
RESET ROLE;
SELECT finish();
ROLLBACK;
