-- The one place that rounds: quotients are rounded once, half away from zero,
-- to 12 places.  Seen through kpi.ratio, kpi.mean and kpi.weighted_mean.
-- Also the bounds on numbers at entry, seen through kpi.tally_agg.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT no_plan();

CREATE FUNCTION pg_temp.ratio(a text, b text, multiplier numeric DEFAULT 1) RETURNS text LANGUAGE sql AS
$$ SELECT kpi.ratio(format('{n=1,value=%s,weight=%s,product=0}', a, b)::kpi_tally, multiplier)::text $$;
CREATE FUNCTION pg_temp.mean(a text, n text) RETURNS text LANGUAGE sql AS
$$ SELECT kpi.mean(format('{n=%s,value=%s,weight=0,product=0}', n, a)::kpi_tally)::text $$;
CREATE FUNCTION pg_temp.weighted_mean(a text, b text) RETURNS text LANGUAGE sql AS
$$ SELECT kpi.weighted_mean(format('{n=1,value=0,weight=%s,product=%s}', b, a)::kpi_tally)::text $$;

-- ---- quotients worked out by hand; the 13th place on is in the comment
CREATE TEMP TABLE expected (a text, b text, q text, why text);
INSERT INTO expected VALUES
('1', '3', '0.333333333333', 'thirds: 3333...'),
('2', '3', '0.666666666667', 'two thirds: 6666...'),
('-2', '3', '-0.666666666667', 'negative numerator'),
('2', '-3', '-0.666666666667', 'negative denominator'),
('-2', '-3', '0.666666666667', 'both negative'),
('0', '-3', '0', 'zero has no sign'),
('6', '3', '2', 'whole, no trailing zeros'),
('1', '8', '0.125', 'finite, no trailing zeros'),
('100', '0.1', '1000', 'whole numbers keep their zeros before the point'),
('1', '2000000000000', '0.000000000001', 'exactly half of the last place: 5'),
('-1', '2000000000000', '-0.000000000001', 'exactly half, negative: away from zero'),
('5', '2000000000000', '0.000000000003', '2.5 units: not to even'),
('-5', '2000000000000', '-0.000000000003', '-2.5 units'),
('3', '-2000000000000', '-0.000000000002', '-1.5 units'),
-- 2 * 4999999999999 = 9999999999998 < 10^13
('0.4999999999999', '1000000000000', '0', '4999 and nothing after'),
('0.49999999999999999999999999999999999999', '1000000000000', '0', '38 nines: rounding in two steps gives one unit'),
('-0.49999999999999999999999999999999999999', '1000000000000', '0', 'the same, negative: zero, without a sign'),
('1.49999999999999999999999999999999999999', '1000000000000', '0.000000000001', 'one and 38 nines'),
('-1.49999999999999999999999999999999999999', '1000000000000', '-0.000000000001', 'the same, negative'),
('0.50000000000000000000000000000000000001', '1000000000000', '0.000000000001', 'half and a hair'),
('1.50000000000000000000000000000000000001', '1000000000000', '0.000000000002', 'one and a half and a hair'),
-- 10^12 q = 12345.49999999999999999999 with q = a: the nines reach beyond the 20 digits that numeric division would keep
('0.00000001234549999999999999999999', '1', '0.000000012345', 'a scale finer than 12 is rounded too'),
('0.0000000123455', '1', '0.000000012346', 'a tie in the numerator itself'),
('-0.0000000123455', '1', '-0.000000012346', 'the same, negative'),
('0.9999999999995', '1', '1', 'carries into the whole part'),
('0.9999999999994', '1', '0.999999999999', 'and just not'),
-- 999999 = 7 * 142857, so 10^30 / 7 repeats 142857 and goes on with it
('1000000000000000000000000000000', '7', '142857142857142857142857142857.142857142857', 'thirty digits before the point; then 142...'),
('999999999999999999999999999999', '7', '142857142857142857142857142857', 'thirty nines divide'),
('1', '0.00000000000000000003', '33333333333333333333.333333333333', 'a small denominator; then 333...'),
('22', '7', '3.142857142857', 'then 142...'),
('355', '113', '3.141592920354', '3.1415929203539...'),
('2', '7', '0.285714285714', '0.285714285714285...'),
('5', '7', '0.714285714286', '0.714285714285714...');

SELECT is(pg_temp.ratio(a, b), q, format('ratio %s / %s: %s', a, b, why)) FROM expected;
SELECT is(pg_temp.mean(a, b), q, format('mean %s / %s: %s', a, b, why)) FROM expected;
SELECT is(pg_temp.weighted_mean(a, b), q, format('weighted mean %s / %s: %s', a, b, why)) FROM expected;

-- ---- the multiplier goes in before the one rounding
SELECT is(pg_temp.ratio('1', '3', 100), '33.333333333333', 'a third in percent: not 100 * 0.333333333333');
SELECT is(pg_temp.ratio('2', '3', 100), '66.666666666667', 'two thirds in percent: not 100 * 0.666666666667');
SELECT is(pg_temp.ratio('2', '3', -100), '-66.666666666667', 'a negative multiplier');
SELECT is(pg_temp.ratio('1', '3', 0), '0', 'a multiplier of 0');
SELECT is(pg_temp.ratio('1', '3', 3.00), '1', 'a multiplier that makes it whole');
-- a scorecard vendor's own example: 2 of 4 and 2 of 100 are 4 of 104 = 3.8461538461538461... %
SELECT is(kpi.ratio(kpi.tally_agg(v, w), 100)::text, '3.846153846154', 'rates are pooled, not averaged')
FROM (VALUES (2, 4), (2, 100)) x(v, w);

-- ---- zero denominators
SELECT is(pg_temp.ratio('1', '0'), NULL, 'ratio over 0 is null');
SELECT is(pg_temp.ratio('0', '0'), NULL, 'ratio 0 over 0 is null');
SELECT is(pg_temp.mean('1', '0'), NULL, 'mean of no observation is null');
SELECT is(pg_temp.weighted_mean('1', '0'), NULL, 'weighted mean without weight is null');

-- ---- the law: q is right if |a - q b| is at most half a unit times |b|, and on a tie |q| is the larger one
DO 'BEGIN PERFORM setseed(0.1729); END';
CREATE TEMP TABLE pairs AS
SELECT trim_scale(round(((random() - 0.5) * 10 ^ (random() * 12))::numeric * (random() * 1e9)::numeric, (random() * 20)::int)) AS a,
       trim_scale(round(((random() - 0.5) * 10 ^ (random() * 9))::numeric, (random() * 12)::int)) AS b
FROM generate_series(1, 3000);
-- ties: a = b * (k + 1/2) units
INSERT INTO pairs
SELECT b * (k + 0.5) * 1e-12, b
FROM (SELECT round(((random() - 0.5) * 1e6)::numeric, (random() * 6)::int) AS b, ((random() - 0.5) * 1e9)::bigint::numeric AS k
      FROM generate_series(1, 500)) x;
-- and a hair beside them
INSERT INTO pairs SELECT a + 1e-30, b FROM pairs ORDER BY a, b LIMIT 500;
INSERT INTO pairs SELECT a - 1e-30, b FROM pairs ORDER BY b, a LIMIT 500;
CREATE TEMP TABLE quotients AS
SELECT a, b, pg_temp.ratio(a::text, b::text)::numeric AS q FROM pairs WHERE b <> 0;
SELECT cmp_ok((SELECT count(*) FROM quotients)::int, '>', 4000, 'enough pairs');
SELECT cmp_ok((SELECT count(*) FROM quotients WHERE 2 * abs(a - q * b) * 1e12 = abs(b))::int, '>', 450, 'enough of them are ties');
SELECT is_empty('SELECT * FROM quotients WHERE 2 * abs(a - q * b) * 1e12 > abs(b)', 'no quotient is off by more than half a unit');
SELECT is_empty('SELECT * FROM quotients WHERE 2 * abs(a - q * b) * 1e12 = abs(b) AND abs(q * b) < abs(a)', 'ties go away from zero');
SELECT is_empty('SELECT * FROM quotients WHERE scale(q) > 12 OR scale(q) <> min_scale(q)', 'twelve places at most, no trailing zeros');

-- ---- bounds at entry: finite, 30 digits before and 20 after the point
SELECT is(kpi.tally_agg(v)::text, format('{n=1,value=%1$s,weight=1,product=%1$s,min=%1$s,max=%1$s}', shown), format('%s can be stored', v))
FROM (VALUES (999999999999999999999999999999::numeric, '999999999999999999999999999999'),
             (-999999999999999999999999999999, '-999999999999999999999999999999'),
             (999999999999999999999999999999.99999999999999999999, '999999999999999999999999999999.99999999999999999999'),
             (100000000000000000000000000000, '100000000000000000000000000000'),
             (0.00000000000000000001, '0.00000000000000000001'),
             (-0.00000000000000000001, '-0.00000000000000000001'),
             (1.000000000000000000000000000000, '1'),
             (0.000000000000000000000000000000, '0'),
             (1234.5000, '1234.5')) x(v, shown)
GROUP BY v, shown;

SELECT throws_ok(format('SELECT kpi.tally_agg(%L::numeric)', v), '22003', format('value "%s" cannot be stored', v), 'refused: ' || v)
FROM (VALUES ('1000000000000000000000000000000'), ('-1000000000000000000000000000000'),
             ('1000000000000000000000000000000.5'), ('12345678901234567890123456789012'),
             ('100000000000000000000000000000000000'), ('0.000000000000000000001'),
             ('1.000000000000000000009'), ('NaN'), ('Infinity'), ('-Infinity')) x(v);
SELECT throws_ok(format('SELECT kpi.tally_agg(1, %L::numeric)', v), '22003', format('weight "%s" cannot be stored', v), 'refused as weight: ' || v)
FROM (VALUES ('1000000000000000000000000000000'), ('0.000000000000000000001'), ('NaN'), ('Infinity'), ('-Infinity')) x(v);
SELECT throws_ok(format('SELECT kpi.weighted_mean(1, %L::numeric)', v), '22003', format('weight "%s" cannot be stored', v), 'refused by weighted_mean: ' || v)
FROM (VALUES ('NaN'), ('Infinity')) x(v);

SELECT * FROM finish();
ROLLBACK;
