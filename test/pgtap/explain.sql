-- kpi.explain: what a number is made of adds up to it, exactly, for every
-- rollup, grain and score.  Expected values are worked out by hand in the
-- comments; the last part takes many numbers apart and adds them up again.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT no_plan();

INSERT INTO kpi.unit (path, code, share) VALUES
    ('acme', 'ACME', 1), ('acme.a', NULL, 1), ('acme.b', NULL, 0.5), ('acme.a.x', NULL, 1), ('acme.a.y', NULL, 1), ('acme.b.z', NULL, 1);
INSERT INTO kpi.measure (code, direction, rollup, time_rollup, multiplier) VALUES
    ('revenue', 'higher', 'sum', 'pool', 1), ('hours', 'higher', 'mean', 'pool', 1), ('even', 'higher', 'mean', 'pool', 1),
    ('nps', 'higher', 'weighted_mean', 'pool', 1), ('defects', 'lower', 'ratio', 'pool', 100), ('deals', 'higher', 'count', 'pool', 1),
    ('uptime', 'higher', 'min', 'pool', 1), ('delay', 'lower', 'max', 'pool', 1), ('heads', 'higher', 'sum', 'last', 1),
    ('temperature', 'higher', 'sum', 'mean', 1);
INSERT INTO kpi.measure (code, rollup, rolls_up, multiplier, result_weight, driver_rollup, missing_child) VALUES
    ('per_head', 'ratio', false, 1, 1, 'mean', 'exclude'), ('growth', 'none', false, 100, 1, 'mean', 'exclude'),
    ('focus', 'none', false, 1, 0.4, 'mean', 'exclude'), ('worst', 'none', false, 1, 0, 'min', 'exclude'), ('strict', 'none', false, 1, 0, 'mean', 'zero');
SELECT kpi.deploy(code, CASE code WHEN 'even' THEN 'acme.a' ELSE 'acme' END, CASE WHEN NOT rolls_up THEN '{1}'::int[] END) FROM kpi.measure;

INSERT INTO kpi.fact_entry (unit, measure, period, value, weight) VALUES
    ('acme', 'revenue', '2026-01', 4, 1), ('acme.a.x', 'revenue', '2026-01', 10, 1), ('acme.a.y', 'revenue', '2026-01', 20, 1), ('acme.b.z', 'revenue', '2026-01', 30, 1),
    ('acme.a.x', 'revenue', '2026-02', 7, 1), ('acme.a.x', 'revenue', '2025-01', 40, 1),
    ('acme.a.x', 'hours', '2026-01', 1, 1), ('acme.a.x', 'hours', '2026-01', 1, 1), ('acme.a.y', 'hours', '2026-01', 2, 1), ('acme.b.z', 'hours', '2026-01', 3, 1),
    ('acme.a', 'even', '2026-01', 1, 1), ('acme.a.x', 'even', '2026-01', 1, 1), ('acme.a.y', 'even', '2026-01', 1, 1),
    ('acme.a.x', 'nps', '2026-01', 40, 10), ('acme.a.y', 'nps', '2026-01', 10, 5), ('acme.b.z', 'nps', '2026-01', 20, 30),
    ('acme.a.x', 'defects', '2026-01', 1, 50), ('acme.a.y', 'defects', '2026-01', 3, 50), ('acme.b.z', 'defects', '2026-01', 2, 100),
    ('acme.a.x', 'deals', '2026-01', 5, 1), ('acme.a.x', 'deals', '2026-01', 6, 1), ('acme.a.x', 'deals', '2026-01', 7, 1),
    ('acme.a.y', 'deals', '2026-01', 8, 1), ('acme.b.z', 'deals', '2026-01', 9, 1), ('acme.b.z', 'deals', '2026-01', 9, 1),
    ('acme.a.x', 'uptime', '2026-01', 99, 1), ('acme.a.y', 'uptime', '2026-01', 97, 1), ('acme.b.z', 'uptime', '2026-01', 97, 1),
    ('acme.a.x', 'delay', '2026-01', 1, 1), ('acme.a.y', 'delay', '2026-01', 2, 1), ('acme.b.z', 'delay', '2026-01', 5, 1),
    ('acme.a.x', 'heads', '2026-01', 3, 1), ('acme.a.x', 'heads', '2026-02', 4, 1), ('acme.a.y', 'heads', '2026-01', 2, 1),
    ('acme.a.x', 'temperature', '2026-01', 1, 1), ('acme.a.x', 'temperature', '2026-02', 2, 1), ('acme.a.x', 'temperature', '2026-03', 2, 1),
    ('acme', 'focus', '2026-01', 8, 1);
INSERT INTO kpi.target_entry (unit, measure, period, value) VALUES
    ('acme', 'revenue', '2026-01', 60), ('acme.a', 'revenue', '2026-01', 25), ('acme.b', 'revenue', '2026-01', 40), ('acme.a.x', 'revenue', '2026-01', 15),
    ('acme', 'nps', '2026-01', 25), ('acme.b', 'nps', '2026-01', 26), ('acme.b', 'defects', '2026-01', 1.5), ('acme', 'focus', '2026-01', 10);
SELECT kpi.link_kpi('acme', 'revenue', 'acme', 'per_head', 'numerator'), kpi.link_kpi('acme', 'heads', 'acme', 'per_head', 'denominator', 2),
       kpi.link_kpi('acme', 'revenue', 'acme', 'growth', 'growth'),
       kpi.link_kpi('acme', 'revenue', 'acme', 'focus', 'score', 1), kpi.link_kpi('acme', 'nps', 'acme', 'focus', 'score', 2),
       kpi.link_kpi('acme', 'revenue', 'acme', 'worst', 'score'), kpi.link_kpi('acme', 'nps', 'acme', 'worst', 'score'),
       kpi.link_kpi('acme', 'revenue', 'acme', 'strict', 'score'), kpi.link_kpi('acme', 'deals', 'acme', 'strict', 'score');

-- the rows right beneath a place: unit, measure and period where they differ from the top's, contribution
CREATE FUNCTION pg_temp.beneath(unit text, measure text, period text, place integer[] DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', CASE WHEN contributes IN ('own facts', 'result') THEN contributes ELSE e.unit::text END,
                                nullif(e.measure, beneath.measure), nullif(e.period::text, beneath.period),
                                coalesce(contribution::text, '-')), ', ' ORDER BY e.place)
      FROM kpi.explain(beneath.unit, beneath.measure, beneath.period) e
     WHERE depth = cardinality(beneath.place) + 1 AND e.place[:depth - 1] = beneath.place
$$;
CREATE FUNCTION pg_temp.shares(unit text, measure text, period text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat(numerator, '/', denominator), ', ' ORDER BY e.place)
      FROM kpi.explain(shares.unit, shares.measure, shares.period, 1) e
$$;

-- ---- every rollup, in a base period
-- 4 + (10 + 20) + 0.5 * 30 = 49
SELECT is(pg_temp.beneath('acme', 'revenue', '2026-01'), 'own facts 4, acme.a 30, acme.b 15', 'sum: values times shares, own facts a row of their own');
SELECT is(pg_temp.beneath('acme', 'revenue', '2026-01', '{2}'), 'acme.a.x 10, acme.a.y 20', 'beneath a child its own children');
SELECT is(pg_temp.beneath('acme', 'revenue', '2026-01', '{2,1}'), 'own facts 10', 'down to the facts');
SELECT is(pg_temp.beneath('acme', 'revenue', '2026-01', '{3}'), 'acme.b.z 30', 'what is beneath adds up to the row''s number, not to the share of it that flows on');
-- 3 + 1 + 0.5 * 2 = 5
SELECT is(pg_temp.beneath('acme', 'deals', '2026-01'), 'acme.a 4, acme.b 1', 'count: numbers of facts');
-- (2 + 2 + 0.5*3) / (2 + 1 + 0.5) = 5.5/3.5 = 1.571428571428|57; 4/3.5 = 1.142857142857|14; 1.5/3.5 = 0.428571428571|43
SELECT is(pg_temp.beneath('acme', 'hours', '2026-01'), 'acme.a 1.142857142857, acme.b 0.428571428572', 'mean: the rounding difference goes to the larger remainder');
SELECT is(pg_temp.shares('acme', 'hours', '2026-01'), '5.5/3.5, 4/3, 1.5/0.5', 'mean: shares of sum and number');
-- three times 1/3 = 1
SELECT is(pg_temp.beneath('acme.a', 'even', '2026-01'), 'own facts 0.333333333334, acme.a.x 0.333333333333, acme.a.y 0.333333333333', 'equal remainders: the first takes it');
-- (40*10 + 10*5 + 0.5*20*30) / (10 + 5 + 0.5*30) = 750/30 = 25
SELECT is(pg_temp.beneath('acme', 'nps', '2026-01'), 'acme.a 15, acme.b 10', 'weighted mean');
SELECT is(pg_temp.shares('acme', 'nps', '2026-01'), '750/30, 450/15, 300/15', 'weighted mean: shares of value times weight and of weight');
-- 100 * (1 + 3 + 1) / (50 + 50 + 50) = 3.333333333333|3; 400/150 = 2.666666666666|67, 100/150 = 0.666666666666|67: a tie
SELECT is(pg_temp.beneath('acme', 'defects', '2026-01'), 'acme.a 2.666666666667, acme.b 0.666666666666', 'ratio: times the multiplier; a tie goes by path');
SELECT is(pg_temp.shares('acme', 'defects', '2026-01'), '5/150, 4/100, 1/50', 'ratio: shares of numerator and denominator');
SELECT is(pg_temp.beneath('acme', 'uptime', '2026-01'), 'acme.a 97, acme.b 0', 'min: the row that decides, the first where two do');
SELECT is(pg_temp.beneath('acme', 'uptime', '2026-01', '{1}'), 'acme.a.x 0, acme.a.y 97', 'min, one level down');
SELECT is(pg_temp.beneath('acme', 'delay', '2026-01'), 'acme.a 0, acme.b 5', 'max: the row that decides');

-- ---- coarser grains
SELECT is(pg_temp.beneath('acme', 'revenue', '2026-Q1'), 'acme 2026-01 49, acme 2026-02 7', 'pool: the own base periods');
SELECT is(pg_temp.beneath('acme', 'revenue', '2026', '{1}'), 'own facts 2026-01 4, acme.a 2026-01 30, acme.b 2026-01 15', 'pool: children beneath a base period');
-- x: 4 in February, its last; y: 2 in January, its last
SELECT is(pg_temp.beneath('acme', 'heads', '2026-Q1'), 'acme.a 6, acme.b -', 'last: the children at the coarser period, also those without a number');
SELECT is(pg_temp.beneath('acme', 'heads', '2026-Q1', '{1}'), 'acme.a.x 4, acme.a.y 2', 'last: each child''s last known');
SELECT is(pg_temp.beneath('acme', 'heads', '2026-Q1', '{1,1}'), 'own facts 4', 'last: the last own facts');
-- (1 + 2 + 2)/3 = 1.666666666666|67; 1/3 = 0.333333333333|33, 2/3 = 0.666666666666|67 twice
SELECT is(pg_temp.beneath('acme', 'temperature', '2026-Q1'),
          'acme 2026-01 0.333333333333, acme 2026-02 0.666666666667, acme 2026-03 0.666666666667', 'mean: a part of each base period''s actual');
-- 56 / (2 * 6) = 4.666666666666|67
SELECT is(pg_temp.beneath('acme', 'per_head', '2026-Q1'), 'acme revenue 4.666666666667, acme heads 0', 'numerator and denominator: children at the coarser period');
SELECT is(pg_temp.shares('acme', 'per_head', '2026-Q1'), '56/12, 56/0, 0/12', 'numerator and denominator: shares');
SELECT is(pg_temp.beneath('acme', 'per_head', '2026-Q1', '{1}'), 'acme revenue 2026-01 49, acme revenue 2026-02 7', 'beneath them their own base periods');

-- ---- growth: 100 * (49 - 40) / 40 = 22.5 = 122.5 - 100
SELECT is(pg_temp.beneath('acme', 'growth', '2026-01'), 'acme revenue 122.5, acme revenue 2025-01 -100', 'growth: this year, and a year before');
-- February 2025 has no actual: only January counts in the quarter
SELECT is(pg_temp.beneath('acme', 'growth', '2026-Q1'), 'acme revenue 122.5, acme revenue 2025-Q1 -100', 'growth at a coarser grain: like for like');
SELECT is(pg_temp.shares('acme', 'growth', '2026-Q1'), '/, 49/0, -40/40', 'growth at a coarser grain: what is compared');
SELECT is(pg_temp.beneath('acme', 'growth', '2026-Q1', '{1}'), 'acme revenue 2026-01 49, acme revenue 2026-02 7', 'beneath this year the child''s whole number');

-- ---- scores
-- revenue 49/60 = 0.816666666667, nps 25/25 = 1; d = (0.816666666667 + 2*1)/3 = 0.938888888889
-- 0.4*0.8 + 0.6*d = 0.883333333333|4; 0.6*0.816666666667/3 = 0.163333333333|4; 0.6*2/3 = 0.4
SELECT is(pg_temp.beneath('acme', NULL, '2026-01', (SELECT place FROM kpi.explain('acme', NULL, '2026-01', 1) WHERE measure = 'focus')),
          'result focus 0.32, acme nps 0.4, acme revenue 0.163333333333', 'score: the result and the children''s scores');
SELECT is(pg_temp.beneath('acme', 'focus', '2026-01'), 'own facts 8', 'with an actual, the measure''s number is its actual');
SELECT is(pg_temp.beneath('acme', 'worst', '2026-01'), 'acme nps 0, acme revenue 0.816666666667', 'without an actual, it is the score; worst of: the row that decides');
-- 0.816666666667 / 2 = 0.408333333333|5
SELECT is(pg_temp.beneath('acme', 'strict', '2026-01'), 'acme deals 0, acme revenue 0.408333333334', 'a missing child counts zero');
-- (0.816666666667 + 1 + 0.883333333333 + 0.816666666667 + 0.408333333334)/5 = 0.785000000000|2
-- fifths: focus .176666666666|6, nps .2, revenue and worst .163333333333|4, strict .081666666666|8:
-- two units are missing, for strict and focus
SELECT is((SELECT string_agg(measure || ' ' || contribution, ', ' ORDER BY place) FROM kpi.explain('acme', NULL, '2026-01', 1) WHERE depth = 1 AND contribution IS NOT NULL),
          'focus 0.176666666667, nps 0.2, revenue 0.163333333333, strict 0.081666666667, worst 0.163333333333', 'the unit''s score: its KPIs'' scores');
SELECT is(pg_temp.shares('acme', NULL, '2026-01'), (SELECT concat('3.925000000001/5, ', string_agg(CASE
                  WHEN a.score IS NOT NULL THEN a.score || '/1' ELSE '/' END, ', ' ORDER BY a.measure)) FROM kpi.attainment a WHERE a.unit = 'acme' AND a.period = '2026-01'),
          'the unit''s score: shares of numerator and denominator');
UPDATE kpi.kpi SET weight = 3 WHERE kpi_id = kpi.kpi_id('acme', 'nps');
-- (3.925000000001 + 2) / 7 = 0.846428571428|71
SELECT is((SELECT concat_ws(' ', contribution, shortfall) FROM kpi.explain('acme', NULL, '2026-01', 0)), '0.846428571429 0.153571428571', 'weighted by the KPIs'' weights');

-- ---- shortfalls
SELECT is((SELECT string_agg(coalesce(shortfall::text, '-'), ', ' ORDER BY place) FROM kpi.explain('acme', 'revenue', '2026-01', 1)),
          -- 60-49; own facts have no target; 25-30; 0.5*(40-30)
          '11, -, -5, 5', 'sum: the weight times what the row lacks');
SELECT is((SELECT string_agg(coalesce(shortfall::text, '-'), ', ' ORDER BY place) FROM kpi.explain('acme', 'nps', '2026-01', 1)),
          -- 25-25; none; b has 20 of 26 in 15 of 30
          '0, -, 3', 'quotients: times the share of the denominator');
SELECT is((SELECT shortfall FROM kpi.explain('acme', 'defects', '2026-01', 1) WHERE unit = 'acme.b'),
          -- lower is better: b has 2 instead of 1.5, in 50 of 150: 0.5/3
          0.166666666667, 'lower is better: what is too much');
SELECT is((SELECT string_agg(coalesce(shortfall::text, '-'), ', ' ORDER BY place) FROM kpi.explain('acme', 'worst', '2026-01', 1)),
          '0.183333333333, 0, 0.183333333333', 'scores: what is missing to 1');

-- ---- the columns of the number itself, and how it may be asked for
SELECT is((SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = 'kpi.explanation'::regclass),
          '{depth,unit,measure,contributes,weight,actual,target,score,numerator,denominator,contribution,shortfall,period,status,place}', 'columns');
SELECT results_eq($$ SELECT depth, unit::text, measure, contributes, weight, actual, target, contribution, period::text FROM kpi.explain('acme', 'revenue', '2026-01', 0) $$,
                  $$ VALUES (0, 'acme', 'revenue', NULL::text, NULL::numeric, 49::numeric, 60::numeric, 49::numeric, '2026-01') $$, 'depth 0 is the number itself');
SELECT is((SELECT count(*) FROM kpi.explain('acme', period => '2026-01')), (SELECT count(*) FROM kpi.explain('acme', NULL, '2026-01')), 'the measure can be left out by name');
SELECT is((SELECT count(*) FROM kpi.explain('ACME', 'revenue', '2026-01')), 10::bigint, 'a unit code');
SELECT is((SELECT count(*) FROM kpi.explain('acme'::kpi_path, 'revenue', '2026-01'::kpi_period)), 10::bigint, 'typed');
SELECT is((SELECT count(*) FROM kpi.explain('acme'::kpi_path, 'revenue', '2026-01')), 10::bigint, 'typed unit');
SELECT is((SELECT count(*) FROM kpi.explain('acme'::text, 'revenue'::text, '2026-01'::kpi_period)), 10::bigint, 'typed period');
SELECT is((SELECT count(*) FROM kpi.unit u CROSS JOIN LATERAL kpi.explain(u.path, NULL, '2026-01')  e WHERE u.code = 'ACME' AND e.depth = 0), 1::bigint, 'from a column');
SELECT is((SELECT max(depth) FROM kpi.explain('acme', 'revenue', '2026-01', 2)), 2, 'down to a depth');
SELECT is_empty($$ SELECT * FROM kpi.explain('acme', 'revenue', '2024-01') $$, 'no number, no rows');
SELECT throws_ok($$ SELECT * FROM kpi.explain('acme', 'revenue', NULL) $$, '22004', 'no period is given to explain');
SELECT throws_ok($$ SELECT * FROM kpi.explain('acme', 'revenue', '2026-W03') $$, '22023', 'measure "revenue" has no numbers in a period such as "2026-W03"');
SELECT throws_ok($$ SELECT * FROM kpi.explain('acme', 'sales', '2026') $$, '42704', 'KPI of unit "acme" and measure "sales" does not exist');
SELECT throws_ok($$ SELECT * FROM kpi.explain('acne', NULL, '2026') $$, '42704', 'unit "acne" does not exist');
SELECT throws_ok($$ SELECT * FROM kpi.explain('acme', 'revenue', '2026-13') $$, '22008');

-- ---- links in force
SELECT results_eq($$ SELECT c.path::text, contributes, l.weight, link_id IS NULL FROM kpi.links_in_force('2026-01-31', ARRAY[kpi.kpi_id('acme', 'revenue')]) l
                     JOIN kpi.kpi k ON k.kpi_id = l.child_kpi_id JOIN kpi.unit c USING (unit_id) ORDER BY 1 $$,
                  $$ VALUES ('acme.a', 'value', 1::numeric, true), ('acme.b', 'value', 0.5, true) $$, 'implied links, with the product of the shares');
UPDATE kpi.kpi SET valid_to = '2026-01-31' WHERE kpi_id = kpi.kpi_id('acme.b', 'revenue');
SELECT results_eq($$ SELECT c.path::text, l.weight FROM kpi.links_in_force('2026-01-31', ARRAY[kpi.kpi_id('acme', 'revenue')]) l
                     JOIN kpi.kpi k ON k.kpi_id = l.child_kpi_id JOIN kpi.unit c USING (unit_id) ORDER BY 1 $$,
                  $$ VALUES ('acme.a', 1::numeric), ('acme.b.z', 0.5) $$, 'past a KPI that is not alive to the next one beneath');
SELECT is(pg_temp.beneath('acme', 'revenue', '2026-01'), 'own facts 4, acme.a 30, acme.b.z 15', 'and so the number is explained');
UPDATE kpi.kpi SET valid_to = NULL WHERE kpi_id = kpi.kpi_id('acme.b', 'revenue');
SELECT kpi.link_kpi('acme.b', 'revenue', 'acme', 'revenue', 'value', 2, '2026-02-01');
SELECT is((SELECT string_agg(weight::text, ' ' ORDER BY day) FROM unnest('{2026-01-31,2026-02-01}'::date[]) day, kpi.links_in_force(day, ARRAY[kpi.kpi_id('acme', 'revenue')]) l
            WHERE l.child_kpi_id = kpi.kpi_id('acme.b', 'revenue')), '0.5 2', 'an explicit link replaces the implied one while it is in force');
SELECT is((SELECT weight FROM kpi.links_in_force('2026-01-31', as_of => '2026-02-01') l WHERE l.link_id IS NOT NULL AND l.contributes = 'value'), 2::numeric, 'links of another day');
SELECT kpi.move_unit('acme.b.z', 'acme.a', '2026-02-01');
SELECT is((SELECT string_agg(p.path::text, ' ' ORDER BY day, p.path)
             FROM (VALUES (date '2026-01-31', NULL::date), ('2026-02-01', NULL), ('2026-03-01', '2025-01-01')) v (day, as_of),
                  kpi.links_in_force(v.day, NULL, v.as_of) l JOIN kpi.kpi k ON k.kpi_id = l.parent_kpi_id JOIN kpi.unit p USING (unit_id)
            WHERE l.child_kpi_id = kpi.kpi_id('acme.a.z', 'revenue')), 'acme.b acme.a acme.b', 'parents of the day, or of another one');
SELECT is(pg_temp.beneath('acme', 'revenue', '2026', '{1}'), 'own facts 2026-01 4, acme.a 2026-01 30, acme.b 2026-01 15', 'each base period has its own structure');

-- ---- whoever sees not all units sees the rest as one row
CREATE ROLE kpi_explain_reader;
GRANT USAGE ON SCHEMA kpi TO kpi_explain_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA kpi TO kpi_explain_reader;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA kpi TO kpi_explain_reader;
DO $$ BEGIN EXECUTE format('GRANT USAGE ON SCHEMA %I TO kpi_explain_reader', (SELECT nspname FROM pg_namespace WHERE oid = pg_my_temp_schema())); END $$;
ALTER TABLE kpi.unit ENABLE ROW LEVEL SECURITY;
CREATE POLICY partly ON kpi.unit USING (path IN ('acme', 'acme.b'));
CREATE TEMP TABLE seen (measure text, contributes text, unit kpi_path, contribution numeric);
GRANT INSERT ON seen TO kpi_explain_reader;
SET LOCAL ROLE kpi_explain_reader;
INSERT INTO seen SELECT m, contributes, unit, contribution FROM unnest('{revenue,hours,uptime}'::text[]) m, kpi.explain('acme', m, '2026-01', 1) WHERE depth = 1;
RESET ROLE;
SELECT results_eq('SELECT measure, contributes, unit::text, contribution FROM seen ORDER BY measure, unit, contributes', $$ VALUES
    ('hours', 'value', 'acme.b', 0.428571428571), ('hours', 'not shown', NULL, 1.142857142858),
    ('revenue', 'own facts', 'acme', 4), ('revenue', 'value', 'acme.b', 15), ('revenue', 'not shown', NULL, 30),
    ('uptime', 'value', 'acme.b', 97), ('uptime', 'not shown', NULL, 0) $$, 'what row security hides is one row, and all adds up');
DROP POLICY partly ON kpi.unit;
ALTER TABLE kpi.unit DISABLE ROW LEVEL SECURITY;

-- ---- every row of many trees: what is beneath adds up to it, and only facts and results have nothing beneath
INSERT INTO kpi.unit (path, share) SELECT 'r', 1 UNION ALL SELECT ('r.u' || i)::kpi_path, 1 - (i % 3) * 0.3 FROM generate_series(1, 5) i
    UNION ALL SELECT ('r.u' || i || '.t' || i || j)::kpi_path, 1 - (i * j % 4) * 0.15 FROM generate_series(1, 5) i, generate_series(1, 3) j;
INSERT INTO kpi.measure (code, rollup, time_rollup, multiplier, missing_child, driver_rollup, result_weight, apply_share)
SELECT concat_ws('_', r, t), r, t, CASE r WHEN 'ratio' THEN 100 ELSE 1 END, (ARRAY['exclude', 'zero', 'require'])[1 + n % 3],
       (ARRAY['mean', 'min', 'max'])[1 + n % 3], 0.3, n % 2 = 0
  FROM (SELECT r, t, row_number() OVER () AS n FROM unnest('{sum,mean,weighted_mean,ratio,min,max,count}'::text[]) r, unnest('{pool,last,mean}'::text[]) t) m;
SELECT kpi.deploy(code, 'r') FROM kpi.measure WHERE code ~ '_(pool|last|mean)$';
INSERT INTO kpi.fact_entry (unit, measure, period, value, weight)
SELECT u.path::text, m.code, to_char(date '2025-01-01' + make_interval(months => i), 'YYYY-MM'), (h % 2000 - 700) / 7.0::numeric(20,10), 1 + h % 13
  FROM kpi.unit u, kpi.measure m, generate_series(0, 16) i,
       LATERAL (SELECT abs(('x' || left(md5(concat(u.path, m.code, i)), 7))::bit(28)::integer) AS h) r
 WHERE u.path <@ 'r' AND m.code ~ '_(pool|last|mean)$' AND h % 3 = 0;
SELECT kpi.set_target(u, code, '2026', 40 + length(code)) FROM kpi.measure, unnest('{r,r.u1,r.u2,r.u3,r.u4,r.u5,r.u1.t11}'::text[]) u WHERE code ~ '_(pool|last|mean)$';
SELECT kpi.link_kpi('r.u' || i, code, 'r', code, 'score', i) FROM kpi.measure, generate_series(1, 5) i WHERE code ~ '_(pool|last|mean)$';
SELECT kpi.move_unit('r.u1.t12', 'r.u3', '2026-03-01'), kpi.set_share('r.u4', 0.45, '2026-02-01');

CREATE TEMP TABLE tree AS
SELECT e.*, n.code, n.p, CASE WHEN contributes = 'score' OR e.measure IS NULL OR e.depth = 0 AND actual IS NULL THEN score ELSE actual END AS number
  FROM (SELECT code, p FROM kpi.measure, unnest('{2026,2026-Q1,2026-02}'::text[]) p WHERE code ~ '_(pool|last|mean)$'
        UNION ALL SELECT NULL, p FROM unnest('{2026,2026-02}'::text[]) p) n,
       kpi.explain('r', n.code, n.p) e;
SELECT cmp_ok(count(*), '>', 3000::bigint, 'there is much to add up') FROM tree;
SELECT cmp_ok(count(*), '>', 500::bigint, 'and much of it rounded') FROM tree WHERE scale(contribution) = 12;
SELECT is_empty($$
    SELECT a.code, a.p, a.place, a.unit, a.measure, a.period, a.number, sum(b.contribution)
      FROM tree a
      LEFT JOIN tree b ON b.code IS NOT DISTINCT FROM a.code AND b.p = a.p AND b.depth = a.depth + 1 AND b.place[:a.depth] = a.place
     WHERE coalesce(a.contributes, '') NOT IN ('own facts', 'result')
     GROUP BY a.code, a.p, a.place, a.unit, a.measure, a.period, a.number
    HAVING sum(b.contribution) IS DISTINCT FROM a.number $$, 'the contributions beneath a row add up exactly to it');
SELECT is_empty($$
    SELECT t.* FROM tree t LEFT JOIN kpi.attainment a ON a.unit = t.unit AND a.measure = t.measure AND a.period = t.period
     WHERE t.contributes IN ('value', 'period', 'score') AND (t.actual IS DISTINCT FROM a.actual OR t.target IS DISTINCT FROM a.target OR t.score IS DISTINCT FROM a.score) $$,
    'rows show what kpi.attainment shows');
SELECT is_empty($$
    SELECT * FROM (SELECT t.*, CASE WHEN code ~ '^ratio' THEN 100 ELSE 1 END * numerator
                               / sum(denominator) OVER (PARTITION BY code, p, depth, place[:depth - 1]) AS exactly
                     FROM tree t WHERE code ~ '^(mean|weighted_mean|ratio)_' AND contributes IN ('value', 'own facts')) t
     WHERE abs(contribution - exactly) >= 1e-12 $$, 'no contribution is off by a unit of the last place');

SELECT * FROM finish();
ROLLBACK;
