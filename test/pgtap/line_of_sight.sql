-- From a KPI up to the vision and down to its drivers, all ways, and as a map.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SELECT no_plan();

INSERT INTO kpi.unit (path, code) VALUES ('co', 'C'), ('co.s', NULL), ('co.s.web', 'W'), ('co.s.web.ads', NULL);
INSERT INTO kpi.measure (code, name) VALUES ('revenue', 'Revenue'), ('visits', 'Visits'), ('nps', 'NPS');
INSERT INTO kpi.measure (code, name, grain, fiscal_start) VALUES ('health', 'Health', 'quarter', 1);
SELECT kpi.deploy('revenue', 'co', '{1,2,3}'), kpi.deploy('visits', 'co.s.web'), kpi.deploy('nps', 'co', '{1}'), kpi.deploy('health', 'co', '{1}') \g /dev/null
INSERT INTO kpi.objective (objective_id, code, name, kind, parent_objective_id, perspective, unit_id, weight, valid_from) VALUES
    (1, 'vision', 'Best shop', 'vision', NULL, NULL, NULL, 1, NULL),
    (2, 'grow', 'Grow', 'strategic_objective', 1, 'financial', NULL, 1, NULL),
    (3, 'web', 'Win the web', 'unit_objective', 2, NULL, (SELECT unit_id FROM kpi.unit WHERE path = 'co.s'), 4, NULL),
    (4, 'later', NULL, 'strategic_objective', 1, 'customer', NULL, 1, '2026-09-01');
UPDATE kpi.kpi SET objective_id = 2 WHERE kpi_id = kpi.kpi_id('co', 'revenue');
UPDATE kpi.kpi SET objective_id = 3, weight = 0.5 WHERE kpi_id = kpi.kpi_id('co.s', 'revenue');
UPDATE kpi.kpi SET objective_id = 4 WHERE kpi_id = kpi.kpi_id('co', 'nps');
SELECT kpi.link_kpi('co.s.web', 'visits', 'co.s', 'revenue', 'score', 0.5), kpi.link_kpi('co.s.web', 'visits', 'co', 'nps', 'aligned'),
       kpi.link_kpi('co.s.web', 'visits', 'co', 'health', 'score', 3, '2026-07-01') \g /dev/null
SELECT kpi.set_share('co.s', 0.25, '2026-01-01') \g /dev/null
SELECT kpi.set_target('co.s.web', 'revenue', '2026-08', 100), kpi.set_target('co.s.web', 'visits', '2026-08', 100), kpi.set_target('co', 'revenue', '2026-08', 40), kpi.set_target('co.s.web', 'visits', '2026-Q3', 180),
       kpi.record_fact('co.s.web', 'revenue', '2026-08', 80), kpi.record_fact('co.s.web.ads', 'visits', '2026-08', 90) \g /dev/null

CREATE FUNCTION pg_temp.drawn(s kpi.sight) RETURNS text LANGUAGE sql AS
$$SELECT concat_ws(' ', s.way, s.depth, s.kind, s.unit, coalesce(s.measure, s.objective), s.contributes, s.weight, s.path_weight, s.period, s.score, s.status)$$;

-- visits of ads rise to web with weight 1; from there: to nps (aligned; its
-- objective begins in September only), to health (score, weight 3, by quarter),
-- and to revenue of sales (score, 0.5), which goes on to co (share 0.25), whose
-- objective leads to the vision, and to an objective of its own.  Scores:
-- visits 90 of 100.  Revenue of sales is 80 without a target, its driver's 0.9;
-- of co 80 * 0.25 = 20 of 40, 0.5.  web: 0.9.  grow: (1 * 0.5 + 4 * 0.9) / 5 = 0.82.
-- health, third quarter: of its driver, 90 where two months of three want 120: 0.75.
CREATE TEMP TABLE expected AS SELECT * FROM unnest(ARRAY[
    '1 0 kpi co.s.web.ads visits 1 2026-08 no_target',
    '1 1 kpi co.s.web visits value 1 1 2026-08 0.9 at_risk',
    '1 2 kpi co health score 3 3 2026-Q3 0.75 off_track',
    '2 0 kpi co.s.web.ads visits 1 2026-08 no_target',
    '2 1 kpi co.s.web visits value 1 1 2026-08 0.9 at_risk',
    '2 2 kpi co nps aligned 1 1 2026-08',
    '3 0 kpi co.s.web.ads visits 1 2026-08 no_target',
    '3 1 kpi co.s.web visits value 1 1 2026-08 0.9 at_risk',
    '3 2 kpi co.s revenue score 0.5 0.5 2026-08 0.9 at_risk',
    '3 3 kpi co revenue value 0.25 0.125 2026-08 0.5 off_track',
    '3 4 objective grow objective 1 0.125 2026-08 0.82 off_track',
    '3 5 objective vision objective 1 0.125 2026-08 0.82 off_track',
    '4 0 kpi co.s.web.ads visits 1 2026-08 no_target',
    '4 1 kpi co.s.web visits value 1 1 2026-08 0.9 at_risk',
    '4 2 kpi co.s revenue score 0.5 0.5 2026-08 0.9 at_risk',
    '4 3 objective co.s web objective 0.5 0.25 2026-08 0.9 at_risk',
    '4 4 objective grow objective 4 1 2026-08 0.82 off_track',
    '4 5 objective vision objective 1 1 2026-08 0.82 off_track']) WITH ORDINALITY AS e (line, n);
SELECT results_eq($$SELECT pg_temp.drawn(s) FROM kpi.line_of_sight('co.s.web.ads', 'visits', '2026-08') s$$,
    $$SELECT line FROM expected ORDER BY n$$, 'all ways up, over links of every kind, to the corporate KPIs, their objectives and the vision');
SELECT results_eq(format($$SELECT s::text FROM kpi.line_of_sight(%L, 'visits', %L) s$$, u, p), $$SELECT s::text FROM kpi.line_of_sight('co.s.web', 'visits', '2026-08') s$$,
    format('the same for %s in %s', u, p))
  FROM (VALUES ('W', '2026-08'), ('co.s.web', '2026-08-14')) a (u, p);
SELECT results_eq($$SELECT s::text FROM kpi.line_of_sight('co.s.web'::kpi_path, 'visits', '2026-08'::kpi_period) s UNION ALL SELECT s::text FROM kpi.line_of_sight('W', 'visits', '2026-08'::kpi_period) s$$,
                  $$SELECT s::text FROM kpi.line_of_sight('co.s.web'::kpi_path, 'visits', date '2026-08-31') s UNION ALL SELECT s::text FROM kpi.line_of_sight('co.s.web', 'visits', as_of => '2026-08-01') s$$, 'and typed');
SELECT is((SELECT period FROM kpi.line_of_sight('co', 'revenue') WHERE depth = 0), kpi.period(current_date, 'month'), 'without a period it is that of today');
SELECT throws_ok($$SELECT * FROM kpi.line_of_sight('W'::kpi_path, 'visits')$$, '42704');

-- links and objectives are those in force on the last day: no link to health in
-- June, no objective of nps before September, another share before 2026
SELECT results_eq($$SELECT DISTINCT coalesce(measure, objective) FROM kpi.line_of_sight('co.s.web.ads', 'visits', '2026-06') ORDER BY 1$$,
    '{grow,nps,revenue,vision,visits,web}'::text[], 'a link that is not in force yet is not there');
SELECT results_eq($$SELECT measure, objective, perspective, objective_kind FROM kpi.line_of_sight('co', 'nps', '2026-09') ORDER BY way, depth$$,
    $$VALUES ('nps', NULL, NULL, NULL), (NULL, 'later', 'customer', 'strategic_objective'), (NULL, 'vision', NULL, 'vision')$$, 'an objective that has begun is');
SELECT is((SELECT path_weight FROM kpi.line_of_sight('co.s.web', 'revenue', '2025-12') WHERE depth = 2 AND kind = 'kpi'), 1::numeric, 'shares are those of the day');
SELECT is((SELECT path_weight FROM kpi.line_of_sight('co.s.web', 'revenue', '2026-01') WHERE depth = 2 AND kind = 'kpi'), 0.25, 'before and after');
-- two links between two KPIs are two ways
SELECT kpi.link_kpi('co.s', 'revenue', 'co', 'revenue', 'score', 7) \g /dev/null
SELECT results_eq($$SELECT contributes, weight FROM kpi.line_of_sight('co.s', 'revenue', '2026-08') WHERE depth = 1 ORDER BY way$$,
    $$VALUES ('value', 0.25), ('score', 7), ('objective', 0.5)$$, 'two links are two ways, an objective a third');

-- ---------------------------------------------------------------- down

SELECT results_eq($$SELECT pg_temp.drawn(s) FROM kpi.drivers('co', 'revenue', '2026-08') s$$, ARRAY[
    '1 0 kpi co revenue 1 2026-08 0.5 off_track',
    '2 1 kpi co.s revenue value 0.25 0.25 2026-08 0.9 at_risk',
    '3 2 kpi co.s.web revenue value 1 0.25 2026-08 0.8 at_risk',
    '4 2 kpi co.s.web visits score 0.5 0.125 2026-08 0.9 at_risk',
    '5 3 kpi co.s.web.ads visits value 1 0.125 2026-08 no_target',
    '6 1 kpi co.s revenue score 7 7 2026-08 0.9 at_risk',
    '7 2 kpi co.s.web revenue value 1 7 2026-08 0.8 at_risk',
    '8 2 kpi co.s.web visits score 0.5 3.5 2026-08 0.9 at_risk',
    '9 3 kpi co.s.web.ads visits value 1 3.5 2026-08 no_target'], 'each KPI beneath, once per way down to it');
SELECT is((SELECT count(*) FROM kpi.drivers('co', 'revenue', '2026-08', 1)), 3::bigint, 'max_depth stops');
SELECT is((SELECT count(*) FROM kpi.drivers('C', 'revenue', '2026-08'::kpi_period, max_depth => 0)), 1::bigint, 'at the KPI itself');
SELECT is((SELECT count(*) FROM kpi.drivers('co'::kpi_path, 'nps', as_of => '2026-08-09')), 3::bigint, 'aligned ones count');
-- up and down are one: the links met going down from a KPI are those that lead up to it
SELECT set_eq($$SELECT kpi_id FROM kpi.drivers('co', 'revenue', '2026-08')$$,
    $$SELECT k.kpi_id FROM kpi.kpi k WHERE EXISTS (SELECT FROM kpi.unit u JOIN kpi.measure m ON m.measure_id = k.measure_id
       CROSS JOIN LATERAL kpi.line_of_sight(u.path, m.code, '2026-08'::kpi_period) l WHERE u.unit_id = k.unit_id AND l.kpi_id = kpi.kpi_id('co', 'revenue'))$$, 'up and down agree');

-- ---------------------------------------------------------------- map

CREATE TEMP TABLE map AS SELECT f.format, l.n, l.line
  FROM unnest('{mermaid,dot}'::text[]) AS f (format), regexp_split_to_table(kpi.strategy_map('co.s', '2026-08', f.format), E'\n') WITH ORDINALITY AS l (line, n);
CREATE FUNCTION pg_temp.node(unit text, measure text) RETURNS text LANGUAGE sql AS $$SELECT 'k' || kpi.kpi_id(unit, measure)$$;
SELECT is((SELECT line FROM map WHERE format = 'mermaid' AND n = 1), 'flowchart BT', 'Mermaid begins so');
-- beneath: revenue and visits of web, visits of ads; above: revenue of co; the others do not matter to co.s
SELECT set_eq($$SELECT (regexp_match(line, '^  ([ko]\d+)[[(]'))[1] FROM map WHERE format = 'mermaid' AND line ~ '^  [ko]\d+[[(]'$$,
    $$VALUES (pg_temp.node('co', 'revenue')), (pg_temp.node('co.s', 'revenue')), (pg_temp.node('co.s.web', 'revenue')), (pg_temp.node('co.s.web', 'visits')),
             (pg_temp.node('co.s.web.ads', 'visits')), ('o1'), ('o2'), ('o3')$$, 'the unit''s KPIs, what is above and beneath, and their objectives');
SELECT ok(EXISTS (SELECT FROM map WHERE format = 'mermaid' AND line = format('  %s["Revenue<br/>co<br/>50%%, off track"]:::off_track', pg_temp.node('co', 'revenue'))), 'a KPI with score and status');
SELECT ok(EXISTS (SELECT FROM map WHERE format = 'mermaid' AND line = '  o3(["Win the web<br/>unit objective, financial<br/>90%, at risk"]):::at_risk'), 'an objective');
SELECT set_eq($$SELECT trim(line) FROM map WHERE format = 'mermaid' AND line ~ '--?>|-\.->'$$,
    $$SELECT replace(format(f, VARIADIC ARRAY[pg_temp.node('co', 'revenue'), pg_temp.node('co.s', 'revenue'), pg_temp.node('co.s.web', 'revenue'), pg_temp.node('co.s.web', 'visits'), pg_temp.node('co.s.web.ads', 'visits')]), '~', '%')
        FROM unnest(ARRAY['%2$s -->|"value x 0.25"| %1$s', '%2$s -->|"score x 7"| %1$s', '%3$s --> %2$s', '%4$s -->|"score x 0.5"| %2$s', '%5$s --> %4$s',
                          '%1$s -.-> o2', '%2$s -.->|"objective x 0.5"| o3', 'o3 -.->|"objective x 4"| o2', 'o2 -.-> o1']) f$$, 'the links, with kind and weight');
SELECT is((SELECT count(*) FROM map WHERE format = 'mermaid' AND line ~ '^  classDef (no_data|no_target|off_track|at_risk|on_track|exceeded) fill:#[0-9a-f]{6},stroke:#[0-9a-f]{6},color:#000000$'), 6::bigint, 'a class per status');
SELECT is((SELECT count(*) FROM map WHERE format = 'dot' AND line ~ ' -> '), 9::bigint, 'DOT has as many edges');
SELECT ok(EXISTS (SELECT FROM map WHERE format = 'dot' AND line = format('  %s [label="Revenue\nco\n50%%, off track", shape=box, fillcolor="#ffcdd2", color="#d32f2f"];', pg_temp.node('co', 'revenue'))), 'and the same nodes');
SELECT unalike(kpi.strategy_map('co.s', '2026-08', max_depth => 0), '%Visits%', 'max_depth limits what is beneath');
SELECT matches(kpi.strategy_map('C', '2026-08'::kpi_period), 'Health', 'at the root everything');
SELECT is(kpi.strategy_map('co.s'::kpi_path, '2026-08', 'dot'), kpi.strategy_map('co.s', date '2026-08-20', 'dot'), 'typed, and by a day');
SELECT is(kpi.strategy_map('co.s'::kpi_path, date '2026-08-01'), kpi.strategy_map('co.s'::kpi_path, '2026-08'::kpi_period), 'both');

-- labels
SELECT is(kpi.mermaid_label(l), m, 'Mermaid label') FROM (VALUES
    ('a "b" <c> & d;', 'a #34;b#34; #60;c#62; #38; d#59;'), (E'two\nlines\r\nthree\ttab', 'two<br/>lines<br/>three tab'),
    ('50% [x] (y) {z} `c` a|b #5 \n', '50% #91;x#93; (y) #123;z#125; #96;c#96; a#124;b #35;5 #92;n'), ('%%{init}%%', '#37;#37;#123;init#125;#37;#37;'),
    (E'\u00dcml\u00e4ut \u4e2d\u6587', E'\u00dcml\u00e4ut \u4e2d\u6587'), ('', '')) v (l, m);
SELECT is(kpi.dot_label(l), m, 'DOT label') FROM (VALUES
    ('a "b" <c> & d;', 'a \"b\" <c> &amp; d;'), (E'two\nlines\r\nthree\ttab', 'two\nlines\nthree tab'), ('\N is \G\', '\\N is \\G\\'), ('', '')) v (l, m);

SELECT * FROM finish();
ROLLBACK;
