-- Links: what each kind brings, by hand, through two levels and over a year.
-- Every figure is looked at four times: while all is pending, folded, after one
-- link has changed, and when that is folded; and kpi.verify() has to agree.
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
\set QUIET 1
SELECT no_plan();

CREATE TEMP TABLE expected (unit text, measure text, period text, actual numeric, why text);
CREATE FUNCTION pg_temp.check_all(stage text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
    SELECT is((SELECT a.actual FROM kpi.attainment a WHERE a.unit_now = e.unit::kpi_path AND a.measure = e.measure AND a.period = e.period::kpi_period),
              e.actual, format('%s: %s of %s in %s: %s', stage, e.measure, e.unit, e.period, e.why))
      FROM expected e;
    RETURN NEXT is_empty('SELECT * FROM kpi.verify()', stage || ': verified');
END
$$;

INSERT INTO kpi.unit (path) VALUES ('shop'), ('shop.a'), ('shop.b');
INSERT INTO kpi.measure (code, rollup, time_rollup, multiplier, rolls_up) VALUES
    ('revenue', 'sum', 'pool', 1, true), ('cost', 'sum', 'pool', 1, true), ('tax', 'sum', 'pool', 1, true),
    ('profit', 'sum', 'pool', 1, true), ('net', 'sum', 'pool', 1, true), ('roi', 'ratio', 'pool', 100, true),
    ('promoters', 'count', 'pool', 1, true), ('detractors', 'count', 'pool', 1, true), ('answers', 'count', 'pool', 1, true), ('nps', 'ratio', 'pool', 100, true),
    ('market', 'sum', 'pool', 1, true), ('market share', 'ratio', 'pool', 100, true),
    ('heads', 'sum', 'last', 1, true), ('revenue per head', 'ratio', 'pool', 1, true),
    ('revenue growth', 'none', 'pool', 100, true);
SELECT count(kpi.deploy(code, 'shop')) FROM kpi.measure \g /dev/null
INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes, weight)
SELECT kpi.kpi_id(u.path::text, l.child), kpi.kpi_id(u.path::text, l.parent), l.kind, l.weight
  FROM kpi.unit u, (VALUES
    ('revenue', 'profit', 'value', 1), ('cost', 'profit', 'value', -1), ('profit', 'net', 'value', 1), ('tax', 'net', 'value', -1),
    ('revenue', 'roi', 'numerator', 1), ('cost', 'roi', 'numerator', -1), ('cost', 'roi', 'denominator', 1),
    ('promoters', 'nps', 'numerator', 1), ('detractors', 'nps', 'numerator', -1), ('answers', 'nps', 'denominator', 1),
    ('revenue', 'market share', 'numerator', 1), ('market', 'market share', 'denominator', 1),
    ('revenue', 'revenue per head', 'numerator', 1), ('heads', 'revenue per head', 'denominator', 1),
    ('revenue', 'revenue growth', 'growth', 1)) AS l (child, parent, kind, weight);

INSERT INTO kpi.fact (kpi_id, period, value)
SELECT kpi.kpi_id('shop.' || f.unit, f.measure), f.period::kpi_period, f.value FROM (VALUES
    ('a', 'revenue', '2025-01', 80), ('a', 'revenue', '2025-03', 10), ('b', 'revenue', '2025-01', 50), ('b', 'revenue', '2025-02', 32),
    ('a', 'revenue', '2026-01', 100), ('a', 'revenue', '2026-02', 120), ('b', 'revenue', '2026-01', 50), ('b', 'revenue', '2026-02', 40),
    ('a', 'cost', '2026-01', 60), ('a', 'cost', '2026-02', 70), ('b', 'cost', '2026-01', 45), ('b', 'cost', '2026-02', 50),
    ('a', 'tax', '2026-01', 10), ('a', 'tax', '2026-02', 12), ('b', 'tax', '2026-01', 1), ('b', 'tax', '2026-02', 0),
    ('a', 'market', '2026-01', 1000), ('a', 'market', '2026-02', 1200), ('b', 'market', '2026-01', 100), ('b', 'market', '2026-02', 100),
    ('a', 'heads', '2026-01', 4), ('a', 'heads', '2026-02', 5), ('b', 'heads', '2026-01', 2), ('b', 'heads', '2026-02', 2)) AS f (unit, measure, period, value);
-- count takes the number of facts: a has 5 promoters, 2 detractors, 10 answers, b 3, 1 and 5
INSERT INTO kpi.fact (kpi_id, period, value)
SELECT kpi.kpi_id('shop.' || f.unit, f.measure), '2026-01', 1 FROM (VALUES
    ('a', 'promoters', 5), ('a', 'detractors', 2), ('a', 'answers', 10), ('b', 'promoters', 3), ('b', 'detractors', 1), ('b', 'answers', 5)) AS f (unit, measure, n),
    generate_series(1, f.n);

INSERT INTO expected VALUES
    -- value: a computed KPI is computed at its own unit, and what its children have does not come on top
    ('shop.a', 'profit', '2026-01', 40, '100 - 60'), ('shop.b', 'profit', '2026-02', -10, '40 - 50'),
    ('shop', 'revenue', '2026-01', 150, '100 + 50'), ('shop', 'profit', '2026-01', 45, '150 - 105, not 90'),
    ('shop', 'profit', '2026-02', 40, '160 - 120'), ('shop', 'profit', '2026', 85, '310 - 225'),
    ('shop.a', 'net', '2026-01', 30, '40 - 10: profit is computed too'), ('shop', 'net', '2026-01', 34, '45 - 11'),
    ('shop', 'net', '2026-02', 28, '40 - 12'), ('shop', 'net', '2026-Q1', 62, '85 - 23'), ('shop', 'net', '2026', 62, '34 + 28'),
    -- numerator and denominator
    ('shop.a', 'roi', '2026-01', 66.666666666667, '100 * (100 - 60) / 60'), ('shop', 'roi', '2026', 37.777777777778, '100 * (310 - 225) / 225'),
    ('shop.a', 'nps', '2026-01', 30, '100 * (5 - 2) / 10'), ('shop.b', 'nps', '2026-01', 40, '100 * (3 - 1) / 5'),
    ('shop', 'nps', '2026-01', 33.333333333333, '100 * (8 - 3) / 15, not the mean of 30 and 40'), ('shop', 'nps', '2026', 33.333333333333, 'the same over the year'),
    ('shop.b', 'market share', '2026-01', 50, '100 * 50 / 100'), ('shop', 'market share', '2026-01', 13.636363636364, '100 * 150 / 1100'),
    ('shop', 'market share', '2026', 12.916666666667, '100 * 310 / 2400'),
    ('shop', 'revenue per head', '2026-01', 25, '150 / 6'), ('shop', 'revenue per head', '2026-02', 22.857142857143, '160 / 7'),
    ('shop', 'revenue per head', '2026', 44.285714285714, 'revenue of the year over heads at its end: 310 / 7'),
    ('shop.a', 'revenue per head', '2026', 44, '220 / 5'),
    -- growth, like for like
    ('shop.a', 'revenue growth', '2026-01', 25, '100 * (100 - 80) / 80'), ('shop.a', 'revenue growth', '2026-02', NULL, 'nothing in February 2025'),
    ('shop.a', 'revenue growth', '2026', 25, 'like for like: January alone'),
    ('shop', 'revenue growth', '2026-01', 15.384615384615, '100 * (150 - 130) / 130'), ('shop', 'revenue growth', '2026-02', 400, '100 * (160 - 32) / 32'),
    ('shop', 'revenue growth', '2026', 91.358024691358, 'January and February, without March 2025: 100 * (310 - 162) / 162'),
    ('shop', 'revenue growth', '2025', NULL, 'no year before');

-- 29 February has no year before; 2024 and 2023 are compared without it
INSERT INTO kpi.measure (code, grain, multiplier, rolls_up) VALUES ('daily', 'day', 1, false), ('daily growth', 'day', 100, false);
INSERT INTO kpi.kpi (unit_id, measure_id) SELECT kpi.unit_id('shop'), measure_id FROM kpi.measure WHERE grain = 'day';
SELECT kpi.link_kpi('shop', 'daily', 'shop', 'daily growth', 'growth') \g /dev/null
INSERT INTO kpi.fact (kpi_id, period, value)
SELECT kpi.kpi_id('shop', 'daily'), p::kpi_period, v FROM (VALUES ('2023-02-28', 10), ('2023-03-01', 10), ('2024-02-28', 11), ('2024-02-29', 100), ('2024-03-01', 13), ('2025-02-28', 50)) AS f (p, v);
INSERT INTO expected VALUES
    ('shop', 'daily growth', '2024-02-28', 10, '100 * (11 - 10) / 10'), ('shop', 'daily growth', '2024-02-29', NULL, 'no 29 February 2023'),
    ('shop', 'daily growth', '2024-02', 10, 'the 28th alone'), ('shop', 'daily growth', '2024', 20, '100 * (24 - 20) / 20: the 28th and 1 March'),
    ('shop', 'daily growth', '2024-W09', NULL, 'weeks have no year before'),
    ('shop', 'daily growth', '2025-02', 354.545454545455, '100 * (50 - 11) / 11: the 29th of 2024 has no partner');

-- several parents, weights, dates, and explicit links in place of implied ones
INSERT INTO kpi.unit (path) VALUES ('club'), ('club.in'), ('club.in.deep'), ('other');
INSERT INTO kpi.measure (code) VALUES ('visits'), ('reach');
INSERT INTO kpi.kpi (unit_id, measure_id) SELECT unit_id, measure_id FROM kpi.unit, kpi.measure WHERE path::text IN ('club', 'club.in', 'club.in.deep', 'other') AND measure.code IN ('visits', 'reach');
INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes, weight, valid_from, valid_to)
SELECT kpi.kpi_id(l.child, l.child_measure), kpi.kpi_id(l.parent, l.parent_measure), 'value', l.weight, l.valid_from::date, l.valid_to::date FROM (VALUES
    ('club.in', 'visits', 'club', 'visits', 0.5, '2026-02-28', '2026-03-31'),       -- replaces the implied link in February alone
    ('club.in.deep', 'visits', 'club', 'visits', 2, '2026-04-30', '2026-05-01'),    -- joins no two KPIs that an implied link joins
    ('club.in', 'visits', 'other', 'reach', 3, NULL, '2026-02-01'),                 -- a second parent, and it is computed
    ('club.in', 'visits', 'other', 'reach', 4, '2026-02-01', NULL),                 -- then with another weight
    ('club.in.deep', 'visits', 'other', 'reach', -1, '2026-03-01', NULL),
    ('club.in', 'visits', 'other', 'visits', 0, NULL, NULL)) AS l (child, child_measure, parent, parent_measure, weight, valid_from, valid_to);
INSERT INTO kpi.fact (kpi_id, period, value)
SELECT kpi.kpi_id(u, 'visits'), ('2026-0' || m)::kpi_period, v FROM (VALUES ('club.in', 10), ('club.in.deep', 1)) AS f (u, v), generate_series(1, 4) m;
INSERT INTO expected VALUES
    ('club.in', 'visits', '2026-01', 11, '10 + 1'), ('club', 'visits', '2026-01', 11, 'implied'),
    ('club', 'visits', '2026-02', 5.5, 'explicit, valid on the last day: 0.5 * 11'), ('club', 'visits', '2026-03', 11, 'its last day is not in it'),
    ('club', 'visits', '2026-04', 13, 'implied, and 2 * 1 besides'), ('club', 'visits', '2026', 40.5, '11 + 5.5 + 11 + 13'),
    ('other', 'reach', '2026-01', 33, '3 * 11'), ('other', 'reach', '2026-02', 44, '4 * 11'), ('other', 'reach', '2026-03', 43, '4 * 11 - 1'),
    ('other', 'reach', '2026', 163, '33 + 44 + 43 + 43'), ('other', 'visits', '2026-01', NULL, 'a link of weight 0 is not in force');

-- scores: 0.4 and 0.9 by 3 to 1 are 0.525; the third counts from February on, the aligned one never
INSERT INTO kpi.measure (code, rollup, result_weight, rolls_up) VALUES ('goal', 'none', 0, false);
SELECT kpi.deploy('goal', 'club'), kpi.deploy('goal', 'other') \g /dev/null
INSERT INTO kpi.unit (path) VALUES ('other.one'), ('other.two');
SELECT kpi.deploy('goal', 'other') \g /dev/null
SELECT kpi.link_kpi('club.in', 'goal', 'club', 'goal', 'score', 3), kpi.link_kpi('club.in.deep', 'goal', 'club', 'goal', 'score'),
       kpi.link_kpi('other.one', 'goal', 'club', 'goal', 'score', 1, '2026-02-28'), kpi.link_kpi('other.two', 'goal', 'club', 'goal', 'aligned') \g /dev/null
SELECT kpi.set_fact(u, 'goal', p, v), kpi.set_target(u, 'goal', p, 10)
  FROM (VALUES ('club.in', 4), ('club.in.deep', 9), ('other.one', 2), ('other.two', 1)) AS g (u, v), (VALUES ('2026-01'), ('2026-02')) AS m (p) \g /dev/null
CREATE FUNCTION pg_temp.scores(stage text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT is((SELECT a.score FROM kpi.attainment a WHERE a.unit_now = 'club' AND a.measure = 'goal' AND a.period = '2026-01'), 0.525, stage || ': (3 * 0.4 + 0.9) / 4')
    UNION ALL
    SELECT is((SELECT a.score FROM kpi.attainment a WHERE a.unit_now = 'club' AND a.measure = 'goal' AND a.period = '2026-02'), 0.46, stage || ': (3 * 0.4 + 0.9 + 0.2) / 5')
$$;

SELECT * FROM pg_temp.check_all('pending');
SELECT * FROM pg_temp.scores('pending');
SELECT kpi.fold() \g /dev/null
SELECT * FROM pg_temp.check_all('folded');
SELECT * FROM pg_temp.scores('folded');

-- one change of a link each: the weight, an end, a deletion, another kind
UPDATE kpi.link SET weight = -0.5 WHERE child_kpi_id = kpi.kpi_id('shop', 'cost') AND parent_kpi_id = kpi.kpi_id('shop', 'profit');
UPDATE kpi.link SET valid_to = '2026-02-01' WHERE child_kpi_id = kpi.kpi_id('shop', 'tax') AND parent_kpi_id = kpi.kpi_id('shop', 'net');
DELETE FROM kpi.link WHERE parent_kpi_id = kpi.kpi_id('shop.a', 'profit');
DELETE FROM kpi.link WHERE contributes = 'growth' AND parent_kpi_id = kpi.kpi_id('shop', 'revenue growth');
UPDATE kpi.link SET contributes = 'denominator' WHERE contributes = 'numerator' AND child_kpi_id = kpi.kpi_id('shop', 'detractors');
DELETE FROM expected WHERE unit = 'shop.a' AND measure IN ('profit', 'net') OR unit = 'shop' AND measure IN ('profit', 'net', 'revenue growth', 'nps');
INSERT INTO expected VALUES
    ('shop', 'profit', '2026-01', 97.5, '150 - 52.5'), ('shop', 'profit', '2026', 197.5, '310 - 112.5'),
    ('shop', 'net', '2026-01', 86.5, '97.5 - 11'), ('shop', 'net', '2026-02', 100, '160 - 60, no tax in force'), ('shop', 'net', '2026', 186.5, '86.5 + 100'),
    ('shop.a', 'profit', '2026-01', NULL, 'nothing brings it any more'), ('shop.a', 'net', '2026-01', -10, 'the tax is left'),
    ('shop', 'revenue growth', '2026-01', NULL, 'no growth link'),
    -- answers 15 and detractors -3 below the line
    ('shop', 'nps', '2026-01', 66.666666666667, '100 * 8 / (15 - 3)');
SELECT * FROM pg_temp.check_all('changed');
SELECT kpi.fold() \g /dev/null
SELECT * FROM pg_temp.check_all('changed and folded');

-- ---- a month that a score link covers, without data, counts in a year that begins to exist later
INSERT INTO kpi.unit (path) VALUES ('late'), ('late.child');
SELECT kpi.deploy('goal', 'late') \g /dev/null
SELECT kpi.link_kpi('late.child', 'goal', 'late', 'goal', 'score', 1, NULL, '2026-03-01') \g /dev/null
SELECT kpi.record_fact('late.child', 'goal', '2026-02', 1) \g /dev/null
SELECT kpi.fold() \g /dev/null
SELECT kpi.set_target('late', 'goal', '2026', 10) \g /dev/null
SELECT is((SELECT coverage FROM kpi.attainment WHERE unit_now = 'late' AND period = '2026'), 0.083333333333, 'one month of twelve, by a target');
SELECT kpi.fold() \g /dev/null
SELECT is((SELECT coverage FROM kpi.attainment WHERE unit_now = 'late' AND period = '2026'), 0.083333333333, 'one month of twelve, folded');

-- ---- an actual that is a growth may count in a ratio: growth 25 over 4 heads
INSERT INTO kpi.measure (code, rollup, rolls_up) VALUES ('growth per head', 'ratio', false);
SELECT kpi.deploy('growth per head', 'shop') \g /dev/null
SELECT kpi.link_kpi('shop.a', 'revenue growth', 'shop.a', 'growth per head', 'numerator'), kpi.link_kpi('shop.a', 'heads', 'shop.a', 'growth per head', 'denominator') \g /dev/null
SELECT is((SELECT actual FROM kpi.attainment WHERE unit_now = 'shop.a' AND measure = 'growth per head' AND period = '2026-01'), 6.25, '25 / 4');
SELECT is((SELECT actual FROM kpi.attainment WHERE unit_now = 'shop.a' AND measure = 'growth per head' AND period = '2026'), 5.0, 'of the year over heads at its end: 25 / 5');
SELECT kpi.fold() \g /dev/null
SELECT kpi.record_fact('shop.a', 'revenue', '2026-01', 20) \g /dev/null
SELECT is((SELECT actual FROM kpi.attainment WHERE unit_now = 'shop.a' AND measure = 'growth per head' AND period = '2026-01'), 12.5, '100 * (120 - 80) / 80 over 4');
SELECT is((SELECT actual FROM kpi.attainment WHERE unit_now = 'shop.a' AND measure = 'growth per head' AND period = '2026'), 10.0, '50 / 5');
SELECT is_empty('SELECT * FROM kpi.verify()', 'verified');

-- ---- refusals by SQLSTATE (the messages stand in test/sql/links.sql)
SELECT throws_ok($$SELECT kpi.link_kpi('shop', 'revenue', 'shop', 'roi', 'value')$$, '23514', NULL, 'a rule of the kind');
SELECT throws_ok($$SELECT kpi.link_kpi('shop', 'revenue', 'shop', 'revenue', 'aligned')$$, '23514', NULL, 'to itself');
SELECT throws_ok($$SELECT kpi.link_kpi('shop', 'net', 'shop.a', 'revenue', 'score')$$, '23001', NULL, 'a cycle');
SELECT throws_ok($$SELECT kpi.link_kpi('shop', 'tax', 'shop', 'net', 'value', 1, '2026-01-31')$$, '23P01', NULL, 'an overlap');
SELECT throws_ok($$INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes) VALUES (kpi.kpi_id('shop', 'revenue'), kpi.kpi_id('shop', 'profit'), 'value')$$, '23P01', NULL, 'an overlap, by INSERT');
SELECT throws_ok($$SELECT kpi.record_fact('shop.a', 'revenue growth', '2026-01', 1)$$, '23514', NULL, 'facts of a growth KPI');
SELECT throws_ok($$UPDATE kpi.measure SET rollup = 'mean' WHERE code = 'revenue'$$, '55006', NULL, 'a measure that a link needs as it is');
SELECT throws_ok($$SELECT kpi.link_kpi('shop', 'revenue', 'shop', 'revenue growth', 'growth', 'NaN')$$, '22003', NULL, 'a weight that is no number');
-- a dump is restored in any order: cycles are not looked for, rules are
SET LOCAL check_function_bodies = off;
SET LOCAL row_security = off;
SELECT lives_ok($$SELECT kpi.link_kpi('shop', 'net', 'shop.a', 'revenue', 'score')$$, 'no search for cycles while a dump is restored');
SELECT throws_ok($$SELECT kpi.link_kpi('shop', 'revenue', 'shop', 'roi', 'value')$$, '23514', NULL, 'but the rules hold');
SELECT throws_like($$SELECT count(*) FROM kpi.attainment$$, '%form a cycle%', 'and a cycle that was let in is named by whoever reads');
DELETE FROM kpi.link WHERE child_kpi_id = kpi.kpi_id('shop', 'net') AND contributes = 'score';
SET LOCAL check_function_bodies = on;
SET LOCAL row_security = on;
SELECT is_empty('SELECT * FROM kpi.verify()', 'verified at the end');

SELECT * FROM finish();
ROLLBACK;
