-- kpi.report_html: its numbers, what it leaves out, and units that have nothing.
-- How it looks is test/t/080_report.pl's.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SELECT no_plan();

-- ---------------------------------------------------------------- words and numbers

SELECT is(kpi.report_text(E'<a href="x">''&amp;''</a> \x01\x1f\x7f \t\n'), E'&lt;a href=&quot;x&quot;&gt;&#39;&amp;amp;&#39;&lt;/a&gt; &#65533;&#65533;&#65533; \t\n', 'text is escaped, and without control characters');
SELECT is(kpi.report_number(n, s), replace(replace(e, '_', '&#8239;'), '-', '&#8722;'), concat('number ', n))
  FROM (VALUES (0, false, '0'), (1234567.89, false, '1_234_568'), (-1234.5, false, '-1_235'), (999.96, false, '1_000'), (123.456, false, '123.5'), (12.345, false, '12.35'), (1.5, true, '+1.5'),
               (0.000049, false, '0'), (-0.12345, true, '-0.1235'), (0.5, false, '0.5'), (1e15, false, '1.000&#215;10<sup>15</sup>'), (-123456789e20, false, '-1.235&#215;10<sup>28</sup>'), (999999999999999, false, '999_999_999_999_999')) AS t (n, s, e);
SELECT is(kpi.report_number(NULL), '&#8211;', 'no number is a dash');
SELECT is(kpi.report_percent(n, p), e, concat('part ', n))
  FROM (VALUES (0.9999, 0, '99%'), (0.9999, 1, '99.9%'), (1, 1, '100%'), (0.5, 0, '50%'), (-0.005, 0, '&#8722;1%'), (123.456, 0, '12&#8239;345%'), (NULL, 0, '&#8211;')) AS t (n, p, e);
SELECT is(kpi.report_change(n), e, concat('change ', n)) FROM (VALUES (0.01, '+1.0%'), (-0.0555, '&#8722;5.6%'), (0, '0.0%'), (-0.0002, '&#8722;0.020%'), (12.3456, '+1&#8239;235%'), (NULL, NULL)) AS t (n, e);
SELECT is(kpi.report_lines(w, 10, 3), l, concat('lines of ', w))
  FROM (VALUES ('one two six ten', '{one two six,ten}'::text[]), ('', '{}'), ('aaaaaaaaaaaaaaa', '{aaaaaaaaaa,aaaaa}'), ('eeee eeee eeee eeee eeee eeee eeee eeee', '{eeee eeee,eeee eeee,eeee eeee...}'),
               ('中文中文中文中', '{中文中文中,文中}')) AS t (w, l);

-- ---------------------------------------------------------------- the page

INSERT INTO kpi.unit (path, code, name, owner) VALUES ('co', 'C', 'The "company" & <sons>', 'Ann'), ('co.a', 'A', 'Part A', NULL), ('co.b', 'B', NULL, NULL), ('none', 'NONE', 'Nothing yet', NULL);
INSERT INTO kpi.measure (code, name, unit_of_measure) VALUES ('sales', 'Sales', 'EUR');
INSERT INTO kpi.measure (code, name, grain, direction) VALUES ('audit', 'Audit findings', 'quarter', 'lower');
INSERT INTO kpi.measure (code, name, scoring, rolls_up) VALUES ('staff', 'Staff', 'range', false);
INSERT INTO kpi.measure (code, name, grain, rolls_up) VALUES ('tickets', 'Tickets', 'week', false);
SELECT kpi.deploy('sales', 'co'), kpi.deploy('audit', 'co', '{1}'), kpi.deploy('staff', 'co', '{1}'), kpi.deploy('tickets', 'co', '{1}') \g /dev/null
INSERT INTO kpi.objective (objective_id, code, name, kind) VALUES (1, 'vision', 'Best <shop>', 'vision');
INSERT INTO kpi.objective (objective_id, code, name, perspective, parent_objective_id, unit_id) VALUES (2, 'grow', 'Grow', 'financial', 1, NULL), (3, 'care', 'Care', 'customer', 1, kpi.unit_id('A'));
UPDATE kpi.kpi SET objective_id = 2, owner = 'Bo' WHERE kpi_id = kpi.kpi_id('co', 'sales');
-- July: 1000 and 500.  August: 1234.5 and 600, of 1000 each and 2000 in all
SELECT kpi.record_fact('A', 'sales', '2026-07', 1000), kpi.record_fact('B', 'sales', '2026-07', 500), kpi.record_fact('A', 'sales', '2026-08', 1234.5), kpi.record_fact('B', 'sales', '2026-08', 600),
       kpi.set_target('B', 'sales', '2026-07', 400), kpi.set_target('A', 'sales', '2026-08', 1000), kpi.set_target('B', 'sales', '2026-08', 1000), kpi.set_target('co', 'sales', '2026-08', 2000),
       kpi.record_fact('co', 'audit', '2026-Q3', 3), kpi.set_target('co', 'audit', '2026-Q3', 4), kpi.record_fact('co', 'staff', '2026-08', 7) \g /dev/null
INSERT INTO kpi.target (kpi_id, period, low, high) VALUES (kpi.kpi_id('co', 'staff'), '2026-08', 5, 9);
INSERT INTO kpi.action_item (kpi_id, objective_id, description, owner, due_on, state, done_on) VALUES
    (kpi.kpi_id('A', 'sales'), NULL, 'Late one', 'Cy', current_date - 1, 'in_progress', NULL), (NULL, 2, 'Of everybody', NULL, NULL, 'open', NULL),
    (kpi.kpi_id('co', 'sales'), NULL, 'In time', 'Di', current_date, 'open', NULL), (kpi.kpi_id('co', 'sales'), NULL, 'Was done', 'Di', NULL, 'done', '2026-09-01');
INSERT INTO kpi.check_in (kpi_id, period, author, at, comment, confidence, forecast) VALUES
    (kpi.kpi_id('B', 'sales'), '2026-08', 'Bo', '2026-09-02 12:00+0', 'It will be close', 0.55, 640), (kpi.kpi_id('A', 'sales'), '2026-Q3', 'Al', '2026-09-03 12:00+0', 'Good', NULL, NULL),
    (kpi.kpi_id('A', 'sales'), '2026-07', 'Al', '2026-09-04 12:00+0', 'Of July', NULL, NULL);

CREATE TEMP TABLE page (name text, html xml);
CREATE FUNCTION pg_temp.load(name text, unit text, period text) RETURNS void LANGUAGE sql AS
$$DELETE FROM page p WHERE p.name = load.name; INSERT INTO page SELECT name, xmlparse(document kpi.report_html(unit, period))$$;
-- the texts at an XPath of a page; h: stands for HTML, s: for SVG
CREATE FUNCTION pg_temp.found(name text, path text) RETURNS text[] LANGUAGE sql AS
$$SELECT array_agg(btrim(regexp_replace(replace(regexp_replace(x::text, '<[^>]*>', '', 'g'), U&'\202F', ' '), U&'[\005Cs\00A0]+', ' ', 'g')) ORDER BY n)
    FROM page p, unnest(xpath(path, p.html, '{{h,http://www.w3.org/1999/xhtml},{s,http://www.w3.org/2000/svg}}')) WITH ORDINALITY AS u (x, n) WHERE p.name = found.name$$;
-- one section's tables, row by row
CREATE FUNCTION pg_temp.rows(name text, section text) RETURNS text[] LANGUAGE sql AS
$$SELECT pg_temp.found(rows.name, format('//h:section[@id="%s"]//h:tr[not(@class="group")][h:td]', section))$$;
SELECT pg_temp.load('august', 'C', '2026-08') \g /dev/null

SELECT is(pg_temp.found('august', '//h:h1'), ARRAY['The "company" &amp; &lt;sons&gt;'], 'the unit''s name');
SELECT is(pg_temp.found('august', '//h:html/h:head/h:title'), ARRAY['The "company" &amp; &lt;sons&gt;, 2026-08'], 'is the title, with the period');
SELECT is(pg_temp.found('august', '//h:h2'), '{Scorecard,What changed,Cascade,Strategy,Findings,Open actions,Check-ins}', 'the sections');
-- scores: sales 1834.5 / 2000 = 0.91725, staff in its range 1; audit is of the quarter, so not in August's score: the mean is 0.958625
SELECT is(pg_temp.found('august', '//h:div[@class="result"]/h:b'), '{95.8%}', 'the score of the unit');
SELECT is(pg_temp.found('august', '//h:div[@class="result"]/h:span'), '{worst KPI at risk}', 'and its worst status');
SELECT is(pg_temp.found('august', '//h:ul[@class="counts"]/h:li'), '{2 on track,1 at risk}', 'KPIs by status: audit 3 of 4 and staff are on track, tickets are not of this period');
-- 1834.5 - 1500 = 334.5 is 22.3 % of 1500; 1500 + 1834.5 = 3334.5 since January; attained of the year to date as kpi.trend has it
SELECT is((pg_temp.rows('august', 'scorecard'))[1], (SELECT format('SalesEUR · Boat risk1 8352 00091%%+22.3%%better3 335%sSales, 2025-09 to 2026-08: lowest 1500, highest 1834.5, last 1834.5',
        (SELECT floor(100 * t.year_to_date_attainment) || '% attained' FROM kpi.trend t WHERE t.kpi_id = kpi.kpi_id('co', 'sales') AND t.period = '2026-08'))), 'a KPI''s row');
SELECT matches((pg_temp.rows('august', 'scorecard'))[2], '^Audit findings2026-Q3on track34125%–', 'one of a coarser grain shows the enclosing period: 4 - 3 of 4 more than all');
SELECT matches((pg_temp.rows('august', 'scorecard'))[3], '^Staffon track75–9100%–', 'a range is a target');
SELECT is(cardinality(pg_temp.rows('august', 'scorecard')), 3, 'no row for what is kept by week');
SELECT is(pg_temp.found('august', '//h:section[@id="scorecard"]/h:p[@class="soft"]'), '{"Kept by other periods, so without numbers here: Tickets."}', 'which is said');
SELECT is(pg_temp.found('august', '//h:section[@id="scorecard"]//h:tr[@class="group"]/h:th/h:span[@dir="auto"]'), '{Financial,Without perspective}', 'by perspective');
SELECT is(pg_temp.found('august', '//h:section[@id="scorecard"]//h:tr[@class="group"]/h:th/h:span[@class="mark"]'), '{"91.7%, at risk","100%, on track"}', 'with its score: of the rest, that of staff');
SELECT ok((SELECT html::text LIKE '%title="1834.5 EUR"%' FROM page WHERE name = 'august'), 'the exact value is there to be pointed at');
SELECT is((SELECT count(*) FROM page p, unnest(xpath('//s:svg[@class="spark"]', p.html, '{{s,http://www.w3.org/2000/svg}}')) x), 3::bigint, 'a sparkline each');
-- July and August are the eleventh and twelfth of twelve points, 124 / 11 apart; 1500 is lowest, 2000 highest, and 1834.5 is 334.5 / 500 of 28 above 32
SELECT is((SELECT (xpath('//s:svg[@class="spark"]/s:path[@class="run"]/@d', p.html, '{{s,http://www.w3.org/2000/svg}}'))[1]::text FROM page p), 'M116.7 32h0L128 13.3', 'with its points');

-- 500 of 400, then 600 of 1000; the others had no target in July
SELECT is(pg_temp.rows('august', 'changes'), '{Salesbon trackoff track500600}', 'whose status is another than in July');
SELECT is(pg_temp.found('august', '//h:section[@id="changes"]//h:tr[@class="group"]'), '{Fell 1}', 'and which way it went');
SELECT is(pg_temp.found('august', '//h:h3'), NULL, 'no status of August has changed since it was first known');
-- b has 600 of 1000 and then 900: off track, then at risk; all 1834.5 of 2000 and then 2134.5: at risk, then on track
SAVEPOINT corrected;
SELECT kpi.fold() \g /dev/null
SELECT kpi.set_fact('B', 'sales', '2026-08', 900) \g /dev/null
SELECT kpi.fold() \g /dev/null
SELECT pg_temp.load('corrected', 'C', '2026-08') \g /dev/null
SELECT set_eq($$SELECT unnest((pg_temp.rows('corrected', 'changes'))[2:])$$,
    ARRAY['SalesThe "company" &amp; &lt;sons&gt;at riskon track' || to_char(now(), 'YYYY-MM-DD HH24:MI'), 'Salesboff trackat risk' || to_char(now(), 'YYYY-MM-DD HH24:MI')], 'what was corrected');
SELECT is(pg_temp.found('corrected', '//h:h3'), '{Figures that came later}', 'under its own heading');
ROLLBACK TO corrected;
SELECT is(pg_temp.found('august', '//h:section[@id="cascade"]/h:details/h:summary//h:span[@class="name"]'), '{Sales}', 'the tree of what is made of others');
SELECT is(pg_temp.found('august', '//h:section[@id="cascade"]//h:li/h:span[@class="row"]'), '{Part Aon trackactual 1 235target 1 000123%,boff trackactual 600target 1 00060%}', 'with what it is made of');
SELECT is(pg_temp.found('august', '//h:section[@id="cascade"]/h:p[last()]'), '{"Nothing contributes to: Audit findings, Staff, Tickets."}', 'and the others');
-- grow: 0.91725, and so the vision; care has no KPI
SELECT set_eq($$SELECT unnest(pg_temp.found('august', '//s:g[@class="objective"]/s:text'))$$, '{Best &lt;shop&gt;,Grow,Care,at risk,91%,no data,–}'::text[], 'the map has the objectives with status and score');
SELECT is((SELECT count(*) FROM page p, unnest(xpath('//s:path[@class="edge"]', p.html, '{{s,http://www.w3.org/2000/svg}}')) x), 2::bigint, 'and what they serve');
SELECT is(pg_temp.found('august', '//s:text[@class="bandname"]'), '{Purpose,Financial,Customer}', 'in bands');
SELECT is((SELECT sum(least(n, 5)) FROM (SELECT count(*) AS n FROM kpi.alignment WHERE unit IS NULL OR unit <@ 'co' GROUP BY severity, code) c),
          (SELECT count(*) FROM page p, unnest(xpath('//h:tr[@class="finding"]', p.html, '{{h,http://www.w3.org/1999/xhtml}}')) x)::numeric, 'findings, five of each kind');
SELECT is((SELECT count(*) FROM kpi.alignment WHERE unit = 'none'), 1::bigint, 'not those of other units, which there are');
SELECT is(pg_temp.rows('august', 'actions'), ARRAY['Late oneSalesco.aCy' || current_date - 1 || 'overdue', 'In timeSalescoDi' || current_date || 'open', 'Of everybodyGrownobody yetno dateopen'], 'open actions, those that are due first');
SELECT is(pg_temp.rows('august', 'checkins'), '{Salesco.a · 2026-Q3Good––Al2026-09-03,Salesco.b · 2026-08It will be close55%640Bo2026-09-02}', 'check-ins of periods that meet this one, the last first');

-- ---------------------------------------------------------------- ways to ask

SELECT is(md5(regexp_replace(r, 'Computed on.*', '')), (SELECT md5(regexp_replace(kpi.report_html('C', '2026-08'), 'Computed on.*', ''))), 'the same page by ' || how)
  FROM (VALUES ('path', kpi.report_html('co', '2026-08')), ('typed period', kpi.report_html('C', '2026-08'::kpi_period)), ('date', kpi.report_html('C', date '2026-08-14')), ('day', kpi.report_html('C', '2026-08-14')),
               ('typed path', kpi.report_html('co'::kpi_path, '2026-08')), ('both typed', kpi.report_html('co'::kpi_path, '2026-08'::kpi_period)), ('typed path and date', kpi.report_html('co'::kpi_path, date '2026-08-01'))) AS t (how, r);
SELECT matches(kpi.report_html('C'), '<p class="period">' || to_char(current_date, 'YYYY-MM') || ' <span class="soft">[^<]*, still running', 'without a period it is the running month');
SELECT throws_ok($$SELECT kpi.report_html('C'::kpi_path, '2026-08')$$, '42704', NULL, 'a typed path is no code');
SELECT throws_ok($$SELECT kpi.report_html('nowhere', '2026-08')$$, '42704', NULL, 'an unknown unit');
SELECT throws_ok($$SELECT kpi.report_html('C', 'August')$$, NULL, NULL, 'no period');
SAVEPOINT writing;
SET LOCAL transaction_read_only = on;
SELECT ok(kpi.report_html('C', '2026-08') IS NOT NULL, 'a read-only transaction will do');
ROLLBACK TO writing;

-- ---------------------------------------------------------------- nothing to show

SELECT pg_temp.load('none', 'NONE', '2026-08'), pg_temp.load('before', 'co', '1999'), pg_temp.load('leaf', 'B', '2026-08') \g /dev/null
-- but for an action about an objective of everybody, which every root has
SELECT is(pg_temp.found('none', '//h:section/h:p[@class="none"]'), '{There is no KPI to show in this period.,No status is another than in 2026-07.,There is no KPI to take apart.,Nobody has checked in on this period.}', 'a unit without KPIs says so');

SELECT is(pg_temp.found('none', '//h:div[@class="result"]'), '{–no data}', 'and has no score');
SELECT matches((pg_temp.rows('before', 'scorecard'))[1], '^SalesEUR · Bono data––––––$', 'a period without data has dashes');
SELECT is(pg_temp.found('leaf', '//h:section[@id="cascade"]/h:p[last()]'), '{Nothing contributes to: Sales.}', 'a leaf has nothing beneath');
DELETE FROM kpi.target;
SELECT pg_temp.load('untargeted', 'C', '2026-08') \g /dev/null
SELECT matches((pg_temp.rows('untargeted', 'scorecard'))[1], '^SalesEUR · Bono target1 835––\+22.3%better3 335Sales', 'no target is no bar');
DELETE FROM kpi.action_item; UPDATE kpi.kpi SET objective_id = NULL; DELETE FROM kpi.objective;
SELECT pg_temp.load('aimless', 'C', '2026-08') \g /dev/null
SELECT is(pg_temp.found('aimless', '//h:section[@id="strategy"]/h:p[@class="none"]'), '{No objective is recorded for this unit or served by its KPIs.}', 'no map without objectives');
SELECT is(pg_temp.found('aimless', '//h:section[@id="scorecard"]//h:tr[@class="group"]'), NULL, 'nor perspectives');

-- ---------------------------------------------------------------- too much to show

-- twelve beneath; 1 to 12 of 12, of which the worst eight are shown and 9 to 12 (0.75, 0.83, 0.92, 1) are not
INSERT INTO kpi.unit (path) VALUES ('w');
INSERT INTO kpi.unit (path) SELECT ('w.u' || i)::kpi_path FROM generate_series(1, 12) i;
INSERT INTO kpi.unit (path) VALUES ('w.u1.x'), ('w.u1.x.y'), ('w.u1.x.y.z');
SELECT kpi.deploy('sales', 'w') \g /dev/null
SELECT kpi.record_fact('w.u' || i, 'sales', '2026-08', i), kpi.set_target('w.u' || i, 'sales', '2026-08', 12) FROM generate_series(1, 12) i \g /dev/null
SELECT kpi.set_target('w', 'sales', '2026-08', 144) \g /dev/null
SELECT pg_temp.load('wide', 'w', '2026-08') \g /dev/null
SELECT is(pg_temp.found('wide', '//h:section[@id="cascade"]/h:details/h:ul/h:li/*[1][self::h:span[@class="row"]]//h:span[@class="name"] | //h:section[@id="cascade"]/h:details/h:ul/h:li/h:details/h:summary//h:span[@class="name"]'),
          '{u1,u2,u3,u4,u5,u6,u7,u8}', 'of twelve the eight that attain least');
SELECT is(pg_temp.found('wide', '//h:section[@id="cascade"]/h:details/h:ul/h:li/h:span[@class="more soft"]'), '{"4 more beneath: 1 off track, 2 at risk, 1 on track"}', 'and how the others are');
SELECT is(pg_temp.found('wide', '//h:section[@id="cascade"]//h:span[@class="more soft"]'), '{1 more beneath: 1 no data,"4 more beneath: 1 off track, 2 at risk, 1 on track"}', 'nor anything beneath the third level');
SELECT is(pg_temp.found('wide', '//h:section[@id="cascade"]//h:li//h:li//h:li//h:span[@class="name"]'), '{y}', 'which is there');
-- all twelve met 1 of 1 in July: 1 to 9 of 12 fell to off track, 10 and 11 to at risk, of which eight are shown
SELECT kpi.record_fact('w.u' || i, 'sales', '2026-07', 1), kpi.set_target('w.u' || i, 'sales', '2026-07', 1) FROM generate_series(1, 12) i \g /dev/null
SELECT pg_temp.load('wide', 'w', '2026-08') \g /dev/null
SELECT is(cardinality(pg_temp.rows('wide', 'changes')), 9, 'eight that fell, and how many more did');
SELECT is((pg_temp.rows('wide', 'changes'))[9], 'Left out here: 3 more, of units further down.', 'of eleven');
-- a KPI that two others are made of is taken apart once
INSERT INTO kpi.measure (code, rolls_up, rollup) VALUES ('per', false, 'ratio');
SELECT kpi.deploy('per', 'w', '{1}'), kpi.link_kpi('w', 'sales', 'w', 'per', 'numerator', 2), kpi.link_kpi('w', 'sales', 'w', 'per', 'denominator') \g /dev/null
SELECT pg_temp.load('wide', 'w', '2026-08') \g /dev/null
SELECT is(pg_temp.found('wide', '//h:section[@id="cascade"]/h:details[2]//h:li//h:span[@class="name"]'), '{"Sales numerator × 2, denominator · taken apart elsewhere"}', 'once, where it is the unit''s own');
-- one that is kept by week has no data of a month, and lacks none
SELECT kpi.deploy('tickets', 'w', '{1}'), kpi.link_kpi('w', 'tickets', 'w', 'per', 'aligned') \g /dev/null
-- and one that took the place of another says so, while that is among the twelve periods
INSERT INTO kpi.measure (code, name, rolls_up) VALUES ('calls', 'Calls <in>', false), ('contacts', NULL, false);
SELECT kpi.deploy('calls', 'w', '{1}') \g /dev/null
SELECT count(*) FROM kpi.replace_measure('calls', 'contacts', '2026-08-01') \g /dev/null
SELECT kpi.record_fact('w', 'calls', '2026-07', 5), kpi.record_fact('w', 'contacts', '2026-08', 6), kpi.record_fact('w', 'contacts', '2027-06', 6), kpi.record_fact('w', 'contacts', '2027-07', 6) \g /dev/null
SELECT pg_temp.load('wide', 'w', '2026-08'), pg_temp.load('then', 'w', '2027-06'), pg_temp.load('later', 'w', '2027-07') \g /dev/null
SELECT is(pg_temp.found('wide', '//h:section[@id="cascade"]/h:details[2]//h:li/h:span[.//h:span[.="Tickets"]]/h:span[position() < 3]'), '{"Tickets aligned · kept by other periods",""}', 'what is kept by week has no status in a month');
-- calls were counted in July 2026, the first of twelve months up to June 2027
SELECT is(array(SELECT substring(r FROM '^contacts(?:replaces )?(?:Calls &lt;in&gt;)?') FROM unnest('{wide,then,later}'::text[]) n, unnest(pg_temp.rows(n, 'scorecard')) r WHERE r ~ '^contacts'),
          '{contactsreplaces Calls &lt;in&gt;,contactsreplaces Calls &lt;in&gt;,contacts}', 'what replaced another says so for twelve periods');
-- forty actions
INSERT INTO kpi.action_item (kpi_id, description) SELECT kpi.kpi_id('w', 'sales'), 'action ' || i FROM generate_series(1, 43) i;
-- and a check-in each on fourteen KPIs, one of which is followed by another
INSERT INTO kpi.check_in (kpi_id, period, comment) SELECT k.kpi_id, '2026-08', n FROM (SELECT k.kpi_id FROM kpi.kpi k JOIN kpi.unit u USING (unit_id) WHERE u.path <@ 'w' ORDER BY 1 LIMIT 14) k, generate_series(1, 2) n WHERE n = 1 OR k.kpi_id = kpi.kpi_id('w', 'sales');
-- a vision and seventy objectives beneath it
INSERT INTO kpi.objective (objective_id, code, name, unit_id) VALUES (100, 'all', 'All', kpi.unit_id('w'));
INSERT INTO kpi.objective (objective_id, code, name, parent_objective_id, perspective) SELECT 100 + i, 'o' || i, repeat('word ', i), 100, 'p' || i % 3 FROM generate_series(1, 70) i;
SELECT pg_temp.load('wide', 'w', '2026-08') \g /dev/null
SELECT is(cardinality(pg_temp.rows('wide', 'actions')), 40, 'forty actions');
SELECT is(pg_temp.found('wide', '//h:section[@id="actions"]/h:p[@class="soft more"]'), '{Left out here: 3 more (kpi.open_actions has all).}', 'and the rest is counted');
SELECT is(cardinality(pg_temp.rows('wide', 'checkins')), 12, 'twelve check-ins');
SELECT is(pg_temp.found('wide', '//h:section[@id="checkins"]/h:p[@class="soft more"]'), '{Left out here: 2 from before (kpi.latest_check_in has all).}', 'and the rest is counted, too');
SELECT is(pg_temp.found('wide', '//h:section[@id="strategy"]/h:p[@class="soft"]'), '{Left out here: 11 further down; kpi.strategy_map draws all objectives.}', 'a map of sixty objectives');
-- boxes do not overlap, and stay on the map
CREATE TEMP TABLE box AS
SELECT (xpath('./@x', b))[1]::text::numeric AS x, (xpath('./@y', b))[1]::text::numeric AS y, (xpath('./@width', b))[1]::text::numeric AS w, (xpath('./@height', b))[1]::text::numeric AS h, row_number() OVER () AS n
  FROM page p, unnest(xpath('//s:rect[@class="node"]', p.html, '{{s,http://www.w3.org/2000/svg}}')) b WHERE p.name = 'wide';
SELECT is((SELECT count(*) FROM box), 60::bigint, 'sixty boxes');
SELECT is_empty('SELECT * FROM box a JOIN box b ON a.n < b.n AND abs(a.x - b.x) < a.w AND abs(a.y - b.y) < a.h', 'that do not overlap');
SELECT is_empty('SELECT * FROM box WHERE x < 130 OR x + w > 1180 OR y < 0', 'and stay beside the names of the bands');

SELECT * FROM finish();
ROLLBACK;
