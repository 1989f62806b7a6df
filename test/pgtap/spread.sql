-- Targets spread over units and periods, and added up again: published
-- examples, rules worked out by hand, and sums over random trees.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT no_plan();

CREATE FUNCTION pg_temp.targets(measure text, period text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s %s', u.path, trim_scale(t.value)), ', ' ORDER BY u.path)
      FROM kpi.target t JOIN kpi.kpi k USING (kpi_id) JOIN kpi.unit u USING (unit_id) JOIN kpi.measure m USING (measure_id)
     WHERE m.code = $1 AND t.period = $2::kpi_period
$$;
CREATE FUNCTION pg_temp.clear() RETURNS void LANGUAGE sql AS 'DELETE FROM kpi.target';
CREATE FUNCTION pg_temp.lock(unit text, measure text, period text, value numeric) RETURNS bigint LANGUAGE sql AS
    $$INSERT INTO kpi.target (kpi_id, period, value, locked) VALUES (kpi.kpi_id(unit, measure), period::kpi_period, value, true) RETURNING target_id$$;
CREATE FUNCTION pg_temp.spread(args text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM kpi.cascade_target(%s)', args) INTO n;
    RETURN n;
END $$;

INSERT INTO kpi.unit (path) VALUES ('acme'), ('acme.a'), ('acme.b'), ('acme.c'), ('acme.d');
INSERT INTO kpi.measure (code, rollup, time_rollup) VALUES
    ('sum', 'sum', 'pool'), ('stock', 'sum', 'last'), ('rate', 'ratio', 'pool'), ('none', 'none', 'pool'), ('least', 'min', 'pool');
SELECT kpi.deploy(code, 'acme') FROM kpi.measure \g /dev/null

-- ---- published examples
-- 1,200 equally over 4: 300 each
SELECT is(pg_temp.spread($$'acme', 'sum', '2026-01', 1200$$), 5::bigint, 'a plan for the top and those beneath');
SELECT is(pg_temp.targets('sum', '2026-01'), 'acme 1200, acme.a 300, acme.b 300, acme.c 300, acme.d 300', '1,200 equally over 4');
-- 400 over children that now hold 10, 20, 70: 40, 80, 280
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme.a', 'sum', '2025-01', 10), ('acme.b', 'sum', '2025-01', 20), ('acme.c', 'sum', '2025-01', 70);
SELECT is(pg_temp.spread($$'acme', 'sum', '2026-01', 400, 'history'$$), 5::bigint, 'by last year');
SELECT is(pg_temp.targets('sum', '2026-01'), 'acme 400, acme.a 40, acme.b 80, acme.c 280, acme.d 0', '400 over 10, 20, 70 that were reached');
SELECT is(pg_temp.spread($$'acme', 'sum', '2026-01', 100, 'current'$$), 5::bigint, 'by what is there');
SELECT is(pg_temp.targets('sum', '2026-01'), 'acme 100, acme.a 10, acme.b 20, acme.c 70, acme.d 0', '100 over targets of 40, 80, 280');
-- 13 weeks by pattern 4-4-5: 4, 4, 5
SELECT is(pg_temp.spread($$'acme.a', 'none', '2026-Q2', 13, 'pattern', pattern => '{4,4,5}'$$), 3::bigint, 'a quarter by pattern');
SELECT results_eq($$SELECT period::text, value FROM kpi.target WHERE kpi_id = kpi.kpi_id('acme.a', 'none') ORDER BY period$$,
                  $$VALUES ('2026-04', 4.0), ('2026-05', 4), ('2026-06', 5)$$, '13 weeks by 4-4-5');
SELECT is((SELECT string_agg(new_value::text, ' ' ORDER BY period) FROM kpi.cascade_target('acme.a', 'none', '2026', 52, pattern => '{4,4,5}', dry_run => true)),
          '4 4 5 4 4 5 4 4 5 4 4 5', 'a pattern of a quarter is repeated over a year');

-- a planning system's manual: a quarter of 100, 50, 100 becomes 500: 200, 100, 200
CREATE FUNCTION pg_temp.shares(args text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    parts text;
BEGIN
    EXECUTE format('SELECT string_agg(new_value::text, '' '' ORDER BY period) FROM kpi.cascade_target(%s, dry_run => true)', args) INTO parts;
    RETURN parts;
END $$;
SELECT pg_temp.clear();
INSERT INTO kpi.target_entry (unit, measure, period, value) VALUES ('acme.d', 'sum', '2026-01', 100), ('acme.d', 'sum', '2026-02', 50), ('acme.d', 'sum', '2026-03', 100);
SELECT is(pg_temp.shares($$'acme.d', 'sum', '2026-Q1', 500, 'current'$$), '200 100 200', 'in proportion to what is there');
-- its examples of locked cells: 100 each, two of three locked, 300 becomes 600; quarters of 100, two of four locked, 400 becomes 800
UPDATE kpi.target SET value = 100, locked = period <> '2026-01';
SELECT is(pg_temp.shares($$'acme.d', 'sum', '2026-Q1', 600, 'current'$$), '400 100 100', 'around two locked months');
SELECT pg_temp.clear();
INSERT INTO kpi.target (kpi_id, period, value, locked) SELECT kpi.kpi_id('acme.d', 'sum'), p, 100, p <= '2026-Q2' FROM kpi.generate_series('2026-Q1', '2026-Q4') p;
SELECT is(pg_temp.shares($$'acme.d', 'sum', '2026', 800, 'current', grain => 'quarter'$$), '100 100 300 300', 'around two locked quarters');
-- its patterns: a bell, all in the middle, all at the end
SELECT pg_temp.clear();
SELECT is(pg_temp.shares(format($$'acme.d', 'sum', '2026-Q1', 40, pattern => '{%s}'$$, p)), e, 'pattern ' || p) FROM (VALUES ('1,2,1', '10 20 10'), ('0,1,0', '0 40 0'), ('0,0,1', '0 0 40')) AS t (p, e);

-- ---- largest remainders, ties by path
SELECT pg_temp.clear();
-- 100 / 4 is 25; 10 / 4 = 2.5: two get 3, those first by path; 1 / 4
SELECT is((SELECT string_agg(new_value::text, ' ' ORDER BY unit) FROM kpi.cascade_target('acme', 'sum', '2026-01', v, decimals => d, dry_run => true)), e, format('%s with %s decimals', v, d))
  FROM (VALUES (10, 0, '10 3 3 2 2'), (1, 0, '1 1 0 0 0'), (-10, 0, '-10 -3 -3 -2 -2'), (0, 0, '0 0 0 0 0'), (10, 1, '10 2.5 2.5 2.5 2.5'),
               (0.01, 2, '0.01 0.01 0 0 0'), (100.03, 2, '100.03 25.01 25.01 25.01 25')) AS t (v, d, e);
-- weights 5, 3, 3, 1 of 12: of 10 that is 4.17, 2.5, 2.5, 0.83; floors 4 2 2 0, so d, then b gets one more
UPDATE kpi.kpi k SET weight = w FROM (VALUES ('acme.a', 5), ('acme.b', 3), ('acme.c', 3), ('acme.d', 1)) AS t (u, w) WHERE k.kpi_id = kpi.kpi_id(u, 'sum');
SELECT is((SELECT string_agg(new_value::text, ' ' ORDER BY unit) FROM kpi.cascade_target('acme', 'sum', '2026-01', 10, 'weight', decimals => 0, dry_run => true)), '10 4 3 2 1', 'by weight');
SELECT is(pg_temp.targets('sum', '2026-01'), NULL, 'a dry run writes nothing');
-- the three months of 100: 34 33 33; of a quarter of them 25 each, month by month carried on
SELECT results_eq($$SELECT unit::text, string_agg(new_value::text, ' ' ORDER BY period), sum(new_value) FROM kpi.cascade_target('acme', 'sum', '2026-Q1', 100, decimals => 0, dry_run => true) GROUP BY 1 ORDER BY 1$$,
                  $$VALUES ('acme', '34 33 33', 100.0), ('acme.a', '9 8 8', 25), ('acme.b', '9 8 8', 25), ('acme.c', '8 9 8', 25), ('acme.d', '8 8 9', 25)$$,
                  'what rounding takes in one month it gives back in the next');

-- ---- history
-- of another year; and over the periods as well: 2025-01 has 100 and 2025-02 has 300
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme.a', 'sum', '2024-01', 30), ('acme.b', 'sum', '2024-01', 70), ('acme.d', 'sum', '2025-02', 300);
SELECT is((SELECT string_agg(new_value::text, ' ' ORDER BY unit) FROM kpi.cascade_target('acme', 'sum', '2026-01', 10, 'history', of_period => '2024-01', dry_run => true)), '10 3 7 0 0', 'from another period');
SELECT results_eq($$SELECT unit::text, string_agg(new_value::text, ' ' ORDER BY period) FROM kpi.cascade_target('acme', 'sum', '2026-Q1', 800, 'history', dry_run => true) GROUP BY 1 ORDER BY 1$$,
                  $$VALUES ('acme', '200 600 0'), ('acme.a', '20 0 0'), ('acme.b', '40 0 0'), ('acme.c', '140 0 0'), ('acme.d', '0 600 0')$$, 'history over units and periods');
SELECT results_eq($$SELECT unit::text, string_agg(new_value::text, ' ' ORDER BY period) FROM kpi.cascade_target('acme', 'sum', '2026-Q1', 1200, 'history', over_periods => 'equal', dry_run => true) GROUP BY 1 ORDER BY 1$$,
                  $$VALUES ('acme', '400 400 400'), ('acme.a', '10 10 10'), ('acme.b', '20 20 20'), ('acme.c', '70 70 70'), ('acme.d', '300 300 300')$$, 'the whole of last year''s period, where periods share otherwise');
SELECT throws_ok($$SELECT kpi.cascade_target('acme', 'sum', '2026-05', 10, 'history')$$, '55000', 'all weights beneath unit "acme" in 2026-05 are zero, so 10 cannot be spread');
SELECT throws_ok($$SELECT kpi.cascade_target('acme', 'sum', '2026-Q2', 10, 'history')$$, '55000', 'all weights of the periods of 2026-Q2 are zero, so 10 cannot be spread for unit "acme" and measure "sum"');
SELECT kpi.record_fact('acme.a', 'sum', '2025-05', -1) IS NOT NULL AS recorded \gset
SELECT throws_ok($$SELECT kpi.cascade_target('acme', 'sum', '2026-05', 10, 'history')$$, '55000', 'targets cannot be spread by a negative number, as unit "acme" has (-1)');
UPDATE kpi.kpi SET weight = 0;
SELECT throws_ok($$SELECT kpi.cascade_target('acme', 'sum', '2026-05', 10, 'weight')$$, '55000', 'all weights beneath unit "acme" in 2026-05 are zero, so 10 cannot be spread');
UPDATE kpi.kpi SET weight = 1;

-- ---- rates and stocks: everyone, or every period, the same
SELECT is(pg_temp.spread($$'acme', 'rate', '2026-Q1', 0.95$$), 15::bigint, 'a rate');
SELECT is((SELECT array_agg(DISTINCT value) FROM kpi.target t JOIN kpi.kpi k USING (kpi_id) JOIN kpi.measure m USING (measure_id) WHERE m.code = 'rate'), '{0.95}', 'is the same for everyone at every time');
SELECT is(pg_temp.spread($$'acme', 'stock', '2026-Q1', 10, decimals => 0$$), 15::bigint, 'a stock');
SELECT is((SELECT array_agg(DISTINCT pg_temp.targets('stock', p)) FROM unnest('{2026-01,2026-02,2026-03}'::text[]) p), '{"acme 10, acme.a 3, acme.b 3, acme.c 2, acme.d 2"}', 'adds up over units and is the same at every time');
SELECT is((SELECT string_agg(new_value::text, ' ' ORDER BY unit) FROM kpi.cascade_target('acme', 'sum', '2026-01', 7, 'same', dry_run => true)), '7 7 7 7 7', 'the same for sums, where asked for');
SELECT throws_ok($$SELECT kpi.cascade_target('acme', 'rate', '2026-01', 1, 'equal')$$, '22023', 'targets of measure "rate" do not add up over units, so "equal" cannot spread them');
SELECT throws_ok($$SELECT kpi.cascade_target('acme', 'stock', '2026-Q1', 1, pattern => '{1,2,3}')$$, '22023', 'targets of measure "stock" do not add up over periods, so "pattern" cannot spread them');
SELECT throws_ok($$SELECT kpi.cascade_target('acme', 'sum', '2026-Q1', 1, over_periods => 'same')$$, '22023', 'targets of measure "sum" add up over periods, so "same" cannot spread them');

-- ---- locks
SELECT pg_temp.clear();
SELECT pg_temp.lock('acme.b', 'sum', '2026-01', 40) IS NOT NULL AS locked \gset
SELECT is(pg_temp.spread($$'acme', 'sum', '2026-01', 100$$), 5::bigint, 'around a lock');
SELECT is(pg_temp.targets('sum', '2026-01'), 'acme 100, acme.a 20, acme.b 40, acme.c 20, acme.d 20', 'the rest absorbs the difference');
SELECT is((SELECT format('%s %s %s', new_value, locked, basis) FROM kpi.cascade_target('acme', 'sum', '2026-01', 100, dry_run => true) WHERE unit = 'acme.b'), '40 t locked', 'and the plan says so');
SELECT throws_ok($$SELECT kpi.cascade_target('acme', 'sum', '2026-01', 30)$$, '55000', 'locked targets beneath unit "acme" in 2026-01 leave no way to spread 30');
SELECT is(pg_temp.targets('sum', '2026-01'), 'acme 100, acme.a 20, acme.b 40, acme.c 20, acme.d 20', 'then nothing changes');
UPDATE kpi.target SET locked = true;
SELECT throws_ok($$SELECT kpi.cascade_target('acme', 'sum', '2026-01', 90)$$, '55000', 'target for unit "acme" and measure "sum" in 2026-01 is locked at 100');
UPDATE kpi.target SET locked = false WHERE kpi_id = kpi.kpi_id('acme', 'sum');
SELECT throws_ok($$SELECT kpi.cascade_target('acme', 'sum', '2026-01', 90)$$, '55000', 'locked targets beneath unit "acme" in 2026-01 leave no way to spread 90');
SELECT lives_ok($$SELECT kpi.cascade_target('acme', 'sum', '2026-01', 100)$$, 'what is locked beneath adds up to that');
-- a quarter: January needs the 100 that are locked there, so 20 are left for February and March
SELECT is((SELECT string_agg(new_value::text, ' ' ORDER BY period) FROM kpi.cascade_target('acme', 'sum', '2026-Q1', 120, dry_run => true) WHERE unit = 'acme'), '100 10 10', 'what is locked in a period stays there');
SELECT throws_ok($$SELECT kpi.cascade_target('acme', 'sum', '2026-Q1', 90)$$, '55000', 'locked targets leave no way to spread 90 over the periods of 2026-Q1 for unit "acme" and measure "sum"');
-- a locked quarter of one unit: 30 over its three months, whatever the others get
SELECT pg_temp.clear();
SELECT pg_temp.lock('acme.a', 'sum', '2026-Q1', 30) IS NOT NULL AS locked \gset
SELECT results_eq($$SELECT unit::text, string_agg(new_value::text, ' ' ORDER BY period) FROM kpi.cascade_target('acme', 'sum', '2026-Q1', 300, dry_run => true) WHERE kpi.grain(period) = 'month' GROUP BY 1 ORDER BY 1$$,
                  $$VALUES ('acme', '100 100 100'), ('acme.a', '10 10 10'), ('acme.b', '30 30 30'), ('acme.c', '30 30 30'), ('acme.d', '30 30 30')$$, 'a locked quarter holds for its months');
SELECT pg_temp.lock('acme.a', 'sum', '2026-01', 31) IS NOT NULL AS locked \gset
SELECT throws_ok($$SELECT kpi.cascade_target('acme', 'sum', '2026-Q1', 300)$$, '55000', 'locked target for unit "acme.a" in 2026-Q1 (30) cannot be spread over its periods');
SELECT pg_temp.clear();
SELECT pg_temp.lock('acme.a', 'sum', '2026-01', 0.125) IS NOT NULL AS locked \gset
SELECT throws_ok($$SELECT kpi.cascade_target('acme', 'sum', '2026-01', 300)$$, '55000', 'locked target for unit "acme.a" in 2026-01 (0.125) has more than 2 decimals');
SELECT throws_ok($$SELECT kpi.cascade_target('acme', 'sum', '2026-01', 300.5, decimals => 0)$$, '22023', 'value "300.5" has more than 0 decimals');
SELECT throws_ok(format($$SELECT kpi.cascade_target('acme', 'sum', '2026-01', 300, decimals => %s)$$, d), '22023', format('decimals "%s" is out of range', d)) FROM (VALUES ('-1'), ('21'), ('null')) AS t (d);
SELECT throws_ok($$SELECT kpi.cascade_target('acme.a', 'sum', '2026-02', 300)$$, '55000', 'there is nothing to spread the target for unit "acme.a" and measure "sum" in 2026-02 over');
SELECT throws_ok($$SELECT kpi.cascade_target('acme', 'sum', '2026-02', 300, pattern => '{1,1}')$$, '22023', 'pattern "{1,1}" does not fit the 1 periods by month in 2026-02');
SELECT throws_ok($$SELECT kpi.cascade_target('acme', 'sum', '2026-02', 300, 'pattern')$$, '22004', 'no pattern is given to spread by');
SELECT throws_ok($$SELECT kpi.cascade_target('acme', 'sum', '2026-02', 300, dry_run => NULL)$$, '22004', 'dry_run must not be null');
SELECT throws_ok($$SELECT kpi.rollup_targets('acme', 'sum', '2026-02', dry_run => NULL)$$, '22004', 'dry_run must not be null');
SELECT throws_ok($$SELECT kpi.cascade_target('acme', 'sum', '2026-02', 300, 'fair')$$, '22023', 'method "fair" of spreading is not known');
SELECT throws_ok($$SELECT kpi.cascade_target('acme', 'sum', '2026-Q1', 300, grain => 'week')$$, '22023', '2026-Q1 cannot be spread by week');
SELECT throws_ok($$SELECT kpi.cascade_target('acme', 'sum', '2026-02', 300, state => 'done')$$, '23514', 'state "done" of a target is not known');

-- ---- coarser targets that are there follow
SELECT pg_temp.clear();
SELECT kpi.set_target('acme', 'sum', '2026', 1), kpi.set_target('acme.a', 'sum', '2026-Q1', 1) \g /dev/null
SELECT is(pg_temp.spread($$'acme', 'sum', '2026', 1200, state => 'proposed', note => 'plan'$$), 62::bigint, '5 units, 12 months, and two coarser targets');
SELECT is(pg_temp.targets('sum', '2026') || ', ' || pg_temp.targets('sum', '2026-Q1'), 'acme 1200, acme.a 75', 'as the sum of their periods');
SELECT results_eq($$SELECT DISTINCT state, proposed_by, note FROM kpi.target$$, $$VALUES ('proposed', session_user::text COLLATE "default", 'plan')$$, 'with the state and note asked for');
SELECT is(pg_temp.spread($$'acme', 'sum', '2026', 1200, grain => 'quarter'$$), 21::bigint, 'down to a grain: 5 units, 4 quarters, and the year');
SELECT is(pg_temp.targets('sum', '2026-Q3'), 'acme 300, acme.a 75, acme.b 75, acme.c 75, acme.d 75', 'quarters');
SELECT is((SELECT count(*) FROM kpi.cascade_target('acme'::kpi_path, 'sum', '2026'::kpi_period, 1200, dry_run => true)), 81::bigint, 'the typed form does the same: 60 months, 20 quarters, a year');

-- ---- several levels; units without the KPI in between; shares; units that move and end
SELECT pg_temp.clear();
INSERT INTO kpi.unit (path, share) VALUES ('acme.a.x', 1), ('acme.a.x.1', 1), ('acme.a.x.2', 0.5), ('acme.b.y', 0), ('acme.b.z', 0.3);
SELECT kpi.deploy('sum', u) FROM unnest('{acme.a.x.1,acme.a.x.2,acme.b.y,acme.b.z}'::text[]) u \g /dev/null
SELECT is(pg_temp.spread($$'acme', 'sum', '2026-01', 400$$), 8::bigint, 'all levels at once');
-- a has 100: 50 of each of its two, one of which must reach 100 as half of it flows up; y is cut off; z must reach 100 / 0.3
SELECT is(pg_temp.targets('sum', '2026-01'), 'acme 400, acme.a 100, acme.a.x.1 50, acme.a.x.2 100, acme.b 100, acme.b.z 333.33, acme.c 100, acme.d 100', 'a share that flows up takes more');
SELECT is((SELECT round(sum(t.value * l.weight), 2) FROM kpi.links_in_force('2026-01-31') l JOIN kpi.target t ON t.kpi_id = l.child_kpi_id WHERE l.parent_kpi_id = kpi.kpi_id(u, 'sum')), 100.00, u || ' gets just its target from beneath')
  FROM unnest('{acme.a,acme.b}'::text[]) u;
SELECT kpi.move_unit('acme.a.x', 'acme.c', '2026-02-15');
UPDATE kpi.kpi SET valid_to = '2026-03-01' WHERE kpi_id = kpi.kpi_id('acme.d', 'sum');
SELECT is(pg_temp.spread($$'acme', 'sum', '2026-Q1', 1200, decimals => 0$$) > 0, true, 'over a quarter in which units move and end');
SELECT is(pg_temp.targets('sum', '2026-01'), 'acme 400, acme.a 100, acme.b 100, acme.b.z 333, acme.c 100, acme.c.x.1 50, acme.c.x.2 100, acme.d 100', 'January as it was');
SELECT is(pg_temp.targets('sum', '2026-02'), 'acme 400, acme.a 100, acme.b 100, acme.b.z 333, acme.c 100, acme.c.x.1 50, acme.c.x.2 100, acme.d 100', 'February as it is at its end');
-- 400 over three: 134 133 133; the 133 of c over two: 67 and 66 / 0.5
SELECT is(pg_temp.targets('sum', '2026-03'), 'acme 400, acme.a 134, acme.b 133, acme.b.z 443, acme.c 133, acme.c.x.1 67, acme.c.x.2 132', 'March without d');

-- ---- a lock deep down: a gets what it needs though that is more than its part
SELECT pg_temp.clear();
INSERT INTO kpi.unit (path) VALUES ('deep'), ('deep.a'), ('deep.a.1'), ('deep.a.2'), ('deep.b');
SELECT kpi.deploy('sum', 'deep') \g /dev/null
SELECT pg_temp.lock('deep.a.1', 'sum', '2026-01', 80) IS NOT NULL AS locked \gset
SELECT is(pg_temp.spread($$'deep', 'sum', '2026-01', 100$$), 5::bigint, 'a lock deep down');
SELECT is(pg_temp.targets('sum', '2026-01'), 'deep 100, deep.a 80, deep.a.1 80, deep.a.2 0, deep.b 20', 'the others make room for it');
SELECT is(pg_temp.spread($$'deep', 'sum', '2026-01', 200$$), 5::bigint, 'with more to spread');
SELECT is(pg_temp.targets('sum', '2026-01'), 'deep 200, deep.a 100, deep.a.1 80, deep.a.2 20, deep.b 100', 'they need not');

-- ---- adding up
SELECT pg_temp.clear();
INSERT INTO kpi.target_entry (unit, measure, period, value) VALUES
    ('deep.a.1', 'sum', '2026-01', 10), ('deep.a.2', 'sum', '2026-01', 20.5), ('deep.b', 'sum', '2026-01', 5),
    ('deep.a.1', 'sum', '2026-02', 10), ('deep.b', 'sum', '2026-02', 5), ('deep.a.1', 'sum', '2026-Q2', 1), ('deep.a.2', 'sum', '2026-Q2', 2);
SELECT results_eq($$SELECT unit::text, period::text, new_value, basis FROM kpi.rollup_targets('deep', 'sum', '2026')$$,
                  $$VALUES ('deep', '2026-01', 35.5, 'sum of 2'), ('deep', '2026-02', NULL, 'no target of unit "deep.a"'), ('deep', '2026-Q2', NULL, 'no target of unit "deep.b"'),
                           ('deep.a', '2026-01', 30.5, 'sum of 2'), ('deep.a', '2026-02', NULL, 'no target of unit "deep.a.2"'), ('deep.a', '2026-Q2', 3, 'sum of 2')$$, 'bottom up, per period');
SELECT is(pg_temp.targets('sum', '2026-01'), 'deep 35.5, deep.a 30.5, deep.a.1 10, deep.a.2 20.5, deep.b 5', 'written');
UPDATE kpi.target SET locked = true, value = 40 WHERE kpi_id = kpi.kpi_id('deep.a', 'sum') AND period = '2026-01';
SELECT is((SELECT string_agg(format('%s %s %s', unit, new_value, basis), ', ' ORDER BY unit) FROM kpi.rollup_targets('deep', 'sum', '2026-01')), 'deep 45 sum of 2, deep.a 40 locked', 'a lock stays and counts');
-- shares: 100 * 0.5 + 50
SELECT pg_temp.clear();
INSERT INTO kpi.target_entry (unit, measure, period, value) VALUES ('acme.c.x.1', 'sum', '2026-03', 50), ('acme.c.x.2', 'sum', '2026-03', 100);
SELECT is((SELECT new_value FROM kpi.rollup_targets('acme.c', 'sum', '2026-03')), 100.0, 'only the share flows up');
-- the mean weighted by kpi.weight: (3 * 10 + 20) / 4; the least
SELECT kpi.deploy(m, 'deep') FROM unnest('{rate,least}'::text[]) m \g /dev/null
UPDATE kpi.kpi SET weight = 3 WHERE kpi_id = kpi.kpi_id('deep.a.1', 'rate');
INSERT INTO kpi.target_entry (unit, measure, period, value) SELECT u, m, '2026-01', v FROM unnest('{rate,least}'::text[]) m, (VALUES ('deep.a.1', 10), ('deep.a.2', 20)) AS t (u, v);
SELECT is((SELECT new_value FROM kpi.rollup_targets('deep.a', 'rate', '2026-01')), 12.5, 'means by weight');
SELECT is((SELECT new_value FROM kpi.rollup_targets('deep.a', 'least', '2026-01')), 10.0, 'minima');
SELECT throws_ok($$SELECT kpi.rollup_targets('acme', 'none', '2026-01')$$, '22023', 'targets of measure "none" do not add up over units');
-- proposals add up to proposals, though they do not count
UPDATE kpi.measure SET targets_count_from = 'final';
UPDATE kpi.target SET state = 'proposed';
SELECT is((SELECT count(new_value) FROM kpi.rollup_targets('deep.a', 'rate', '2026-01', dry_run => true)), 0::bigint, 'proposals are not final');
SELECT is((SELECT string_agg(new_value::text, '') FROM kpi.rollup_targets('deep.a'::kpi_path, 'rate', '2026-01'::kpi_period, state => 'proposed')), '12.5', 'but add up to a proposal');
UPDATE kpi.target SET state = 'final' WHERE kpi_id = kpi.kpi_id('deep.a.1', 'rate');
SELECT is((SELECT format('%s: %s', coalesce(new_value::text, 'null'), basis) FROM kpi.rollup_targets('deep.a', 'rate', '2026-01')), 'null: target of unit "deep.a.2" is only proposed', 'one that does not count is named with its state');
UPDATE kpi.measure SET targets_count_from = 'proposed';

-- ---- random trees, locks and decimals
SELECT setseed(0.42);
CREATE TEMP TABLE outcome (trial integer, decimals integer, value numeric, feasible boolean, error text, wrong bigint);
DO $$
DECLARE
    trial integer;
    top text;
    paths text[];
    d integer;
    v numeric;
    feasible boolean;
    failed text;
    wrong bigint;
BEGIN
    FOR trial IN 1 .. 60 LOOP
        top := 'r' || trial;
        paths := ARRAY[top];
        FOR i IN 1 .. 5 + floor(random() * 30)::integer LOOP
            paths := paths || (paths[1 + floor(random() * cardinality(paths))::integer] || '.' || chr(97 + i % 26) || i);
        END LOOP;
        INSERT INTO kpi.unit (path) SELECT p::kpi_path FROM unnest(paths) p;
        -- some units have no KPI
        INSERT INTO kpi.kpi (unit_id, measure_id, weight)
        SELECT u.unit_id, m.measure_id, floor(random() * 5) + 0.5 FROM kpi.unit u, kpi.measure m
         WHERE u.path <@ top::kpi_path AND m.code = 'sum' AND (u.path = top::kpi_path OR random() < 0.85);
        d := floor(random() * 4)::integer;
        v := round((random() * 1000)::numeric, d);
        -- locks of units with nothing beneath, in two of the three months
        INSERT INTO kpi.target (kpi_id, period, value, locked)
        SELECT k.kpi_id, p, round((random() * 40)::numeric, d), true
          FROM kpi.kpi k JOIN kpi.unit u USING (unit_id) JOIN kpi.measure m USING (measure_id), unnest('{2026-04,2026-06}'::kpi_period[]) p
         WHERE u.path <@ top::kpi_path AND u.path <> top::kpi_path AND m.code = 'sum' AND random() < 0.2
           AND NOT EXISTS (SELECT FROM kpi.kpi b JOIN kpi.unit w USING (unit_id) WHERE b.measure_id = m.measure_id AND w.path <@ u.path AND w.path <> u.path);
        -- May is free to take what is over, so it can be done unless the locks are more than there is
        SELECT coalesce(sum(t.value), 0) <= v INTO feasible FROM kpi.target t JOIN kpi.kpi k USING (kpi_id) JOIN kpi.unit u USING (unit_id) WHERE u.path <@ top::kpi_path;
        BEGIN
            failed := NULL;
            PERFORM kpi.cascade_target(top, 'sum', '2026-Q2', v, CASE WHEN trial % 2 = 0 THEN 'weight' ELSE 'equal' END, decimals => d,
                                       pattern => CASE WHEN trial % 3 = 0 THEN '{4,4,5}'::numeric[] END);
        EXCEPTION WHEN object_not_in_prerequisite_state THEN
            failed := SQLERRM;
        END;
        -- every KPI with some beneath it: the targets of those with no KPI in between add up to its own, in each month; the top's to the value
        WITH k AS (
            SELECT u.path, t.period, t.value
              FROM kpi.kpi k JOIN kpi.unit u USING (unit_id) JOIN kpi.measure m USING (measure_id) CROSS JOIN unnest('{2026-04,2026-05,2026-06}'::kpi_period[]) p (period)
              LEFT JOIN kpi.target t ON t.kpi_id = k.kpi_id AND t.period = p.period
             WHERE u.path <@ top::kpi_path AND m.code = 'sum'
        )
        SELECT (SELECT count(*) FROM k WHERE value IS NULL OR value < 0 OR scale(trim_scale(value)) > d)
             + (SELECT count(*) FROM (
                    SELECT a.path, a.period FROM k a JOIN k b ON b.path <@ a.path AND b.path <> a.path AND b.period = a.period
                     WHERE NOT EXISTS (SELECT FROM k c WHERE c.path <@ a.path AND c.path <> a.path AND b.path <@ c.path AND b.path <> c.path)
                     GROUP BY a.path, a.period, a.value HAVING sum(b.value) <> a.value) s)
             + (SELECT count(*) FROM (SELECT sum(value) AS total FROM k WHERE path = top::kpi_path) s WHERE total <> v)
          INTO wrong;
        INSERT INTO outcome VALUES (trial, d, v, feasible, failed, CASE WHEN failed IS NULL THEN wrong END);
    END LOOP;
END
$$;
SELECT is_empty($$SELECT * FROM outcome WHERE wrong <> 0$$, 'random trees: every sum is exact');
SELECT is_empty($$SELECT * FROM outcome WHERE feasible <> (error IS NULL)$$, 'refused where, and only where, the locks are more than there is');
SELECT cmp_ok((SELECT count(*) FROM outcome WHERE error IS NULL), '>', 20::bigint, 'enough of them could be spread');

SELECT is_empty($$SELECT * FROM kpi.verify()$$, 'and all figures are those of the recomputation');
SELECT * FROM finish();
ROLLBACK;
