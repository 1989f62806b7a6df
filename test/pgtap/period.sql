-- kpi_period, kpi_grain and kpi_status: rules, laws over seeded random values, errors.
-- Expected values are hand arithmetic or plain SQL over dates: date_trunc, extract, to_char.
\set QUIET 1
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET search_path = public;
SET datestyle = 'ISO, YMD';
SELECT no_plan();

-- ---------------------------------------------------------------- the model
-- A period as plain dates.  Months are counted in a calendar moved back by
-- fiscal_start - 1 months, so that the fiscal year begins there in January.

CREATE FUNCTION pg_temp.start_of(day date, grain kpi_grain, fiscal integer) RETURNS date
LANGUAGE sql IMMUTABLE AS $$
    SELECT (CASE grain
        WHEN 'day' THEN day
        WHEN 'week' THEN date_trunc('week', day::timestamp)
        WHEN 'month' THEN date_trunc('month', day::timestamp)
        WHEN 'quarter' THEN date_trunc('quarter', moved) + back
        WHEN 'year' THEN date_trunc('year', moved) + back
        ELSE date_trunc('year', moved) + back
             + CASE WHEN extract(month FROM moved) > 6 THEN interval '6 months' ELSE interval '0' END
        END)::date
    FROM (SELECT date_trunc('month', day::timestamp) - back, back
          FROM make_interval(months => fiscal - 1) back) m(moved, back)
$$;

CREATE FUNCTION pg_temp.length_of(grain kpi_grain) RETURNS interval
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE grain WHEN 'day' THEN interval '1 day' WHEN 'week' THEN interval '7 days'
        WHEN 'month' THEN interval '1 month' WHEN 'quarter' THEN interval '3 months'
        WHEN 'half' THEN interval '6 months' ELSE interval '1 year' END
$$;

CREATE FUNCTION pg_temp.text_of(start date, grain kpi_grain, fiscal integer) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE grain
        WHEN 'day' THEN to_char(start, 'YYYY-MM-DD')
        WHEN 'week' THEN to_char(start, 'IYYY-"W"IW')
        WHEN 'month' THEN to_char(start, 'YYYY-MM')
        ELSE CASE WHEN fiscal > 1 THEN 'FY' ELSE '' END
             -- the year is that in which the fiscal year ends
             || to_char(pg_temp.start_of(start, 'year', fiscal) + interval '1 year' - interval '1 day', 'YYYY')
             || CASE grain WHEN 'quarter' THEN '-Q' || to_char(start - make_interval(months => fiscal - 1), 'Q')
                           WHEN 'half' THEN CASE WHEN start = pg_temp.start_of(start, 'year', fiscal)
                                                 THEN '-H1' ELSE '-H2' END
                           ELSE '' END
             || CASE WHEN fiscal > 1 THEN '/' || to_char(fiscal, 'FM00') ELSE '' END
        END
$$;

SELECT setseed(0.42);
CREATE TEMPORARY TABLE sample AS
SELECT n, day, grain, fiscal AS asked, CASE WHEN grain IN ('day', 'week', 'month') THEN 1 ELSE fiscal END AS fiscal,
       pg_temp.start_of(day, grain, fiscal) AS start,
       (pg_temp.start_of(day, grain, fiscal) + pg_temp.length_of(grain) - interval '1 day')::date AS stop,
       kpi.period(day, grain, fiscal) AS period
FROM (SELECT n,
             -- half of them anywhere in range, half around our time
             CASE WHEN n % 2 = 0 THEN date '0003-01-01' + floor(random() * 3650000)::integer
                  ELSE date '1990-01-01' + floor(random() * 25000)::integer END AS day,
             (enum_range(NULL::kpi_grain))[1 + floor(random() * 6)::integer] AS grain,
             1 + floor(random() * 12)::integer AS fiscal
      FROM generate_series(1, 4000) n) s;
ANALYZE sample;

-- pairs of periods of any kind, near enough to each other to meet often
CREATE TEMPORARY TABLE pair AS
SELECT a.period AS a, a.start AS a_start, a.stop AS a_stop, a.grain AS a_grain, a.fiscal AS a_fiscal,
       b.period AS b, b.start AS b_start, b.stop AS b_stop, b.grain AS b_grain, b.fiscal AS b_fiscal
FROM (SELECT * FROM sample WHERE n % 2 = 1 AND n < 600) a, (SELECT * FROM sample WHERE n % 2 = 1 AND n < 600) b;

-- ---------------------------------------------------------------- examples of the text form

SELECT is(p::text, p_text, 'written as it was read: ' || p_text)
FROM (SELECT t, t::kpi_period FROM unnest('{2026,2026-H1,2026-Q3,2026-08,2026-W34,2026-08-14,FY2027/04,FY2027-Q1/04,FY2027-H1/04,0001,9999,0001-W01,9999-W51,0001-01-01,9999-12-31,FY0002/04,FY9999/12,2024-02-29,2000-02-29,2026-W53}'::text[]) t) x(p_text, p);

SELECT is(a::kpi_period, b::kpi_period, a || ' reads as ' || b)
FROM (VALUES ('FY2027/01', '2027'), ('FY2027-H2/01', '2027-H2'), ('FY2027-Q4/01', '2027-Q4')) v(a, b);

-- FY2027/04 ends in 2027: April 2026 to March 2027
SELECT is(format('%s %s %s', kpi.first_day(t::kpi_period), kpi.last_day(t::kpi_period), kpi.days(t::kpi_period)), expected, 'days of ' || t)
FROM (VALUES ('FY2027/04', '2026-04-01 2027-03-31 365'), ('FY2027-Q1/04', '2026-04-01 2026-06-30 91'),
             ('FY2027-Q4/04', '2027-01-01 2027-03-31 90'), ('FY2027-H2/04', '2026-10-01 2027-03-31 182'),
             ('FY2024/12', '2023-12-01 2024-11-30 366'), ('2024', '2024-01-01 2024-12-31 366'),
             ('2026-W53', '2026-12-28 2027-01-03 7'), ('2026-W01', '2025-12-29 2026-01-04 7'),
             ('1900-02', '1900-02-01 1900-02-28 28'), ('2000-02', '2000-02-01 2000-02-29 29'),
             ('9999-W51', '9999-12-20 9999-12-26 7'), ('0001-W01', '0001-01-01 0001-01-07 7')) v(t, expected);

-- ISO weeks, every day of 40 years
SELECT is_empty($$
    SELECT d::date, kpi.period(d::date, 'week') FROM generate_series(timestamp '1999-12-01', '2040-01-31', '1 day') d
    WHERE kpi.period(d::date, 'week')::text <> to_char(d, 'IYYY-"W"IW')
       OR kpi.first_day(kpi.period(d::date, 'week')) <> date_trunc('week', d)::date
$$, 'weeks are those of ISO 8601');

-- ---------------------------------------------------------------- laws: making and asking

SELECT is((SELECT count(DISTINCT (grain, asked)) FROM sample), 72::bigint, 'the sample has every grain and fiscal start');
SELECT is_empty('SELECT * FROM sample WHERE NOT (kpi.first_day(period) = start AND kpi.last_day(period) = stop AND kpi.days(period) = stop - start + 1)',
    'period(day, grain, fiscal_start) has the days that date_trunc gives');
SELECT is_empty('SELECT * FROM sample WHERE NOT (kpi.grain(period) = grain AND kpi.fiscal_start(period) = fiscal)',
    'grain and fiscal start come back; day, week and month have none but 1');
SELECT is_empty('SELECT *, pg_temp.text_of(start, grain, fiscal) FROM sample WHERE period::text <> pg_temp.text_of(start, grain, fiscal)',
    'the text form is that of to_char');
SELECT is_empty('SELECT * FROM sample WHERE period::text::kpi_period <> period', 'text and back is the same period');
SELECT is_empty('SELECT * FROM sample WHERE kpi.period(start, grain, asked) <> period OR kpi.period(stop, grain, asked) <> period',
    'first and last day make the same period');
SELECT is_empty('SELECT * FROM sample WHERE asked = 1 AND kpi.period(day, grain) <> period', 'fiscal start is 1 unless said');
SELECT is_empty('SELECT * FROM sample WHERE period::daterange <> daterange(start, stop, ''[]'') OR kpi.daterange(period) <> period::daterange',
    'as a daterange a period has the same days');

-- the published layout: grain 3 bits, ordinal 25 bits since 0001-01-01, fiscal start 4 bits
SELECT is_empty($$
    SELECT * FROM sample
    WHERE ('x' || encode(kpi.period_send(period), 'hex'))::bit(32) <>
        (array_position(enum_range(NULL::kpi_grain), grain)::bit(3)
         || (CASE grain WHEN 'day' THEN start - date '0001-01-01'
                        WHEN 'week' THEN (start - date '0001-01-01') / 7
                        ELSE (extract(year FROM start)::integer - 1) * 12 + extract(month FROM start)::integer - 1
             END)::bit(25)
         || fiscal::bit(4))
$$, 'the binary form is the published layout');
SELECT is(kpi.period_send('2026-08'), '\x6005ef31', 'binary form of 2026-08: grain 3, month 24307, fiscal start 1');

-- ---------------------------------------------------------------- laws: order

SELECT is_empty($$
    SELECT * FROM pair
    WHERE (a < b) <> ((a_grain, a_start, a_fiscal) < (b_grain, b_start, b_fiscal))
       OR (a = b) <> ((a_grain, a_start, a_fiscal) = (b_grain, b_start, b_fiscal))
       OR (a <= b) <> (a < b OR a = b) OR (a > b) <> (b < a) OR (a >= b) <> (b <= a) OR (a <> b) = (a = b)
       OR kpi.period_cmp(a, b) <> CASE WHEN a < b THEN -1 WHEN a = b THEN 0 ELSE 1 END
$$, 'order is grain, then start, then fiscal start, and the operators agree');
SELECT is_empty('SELECT * FROM pair WHERE (a = b AND kpi.period_hash(a) <> kpi.period_hash(b))
    OR (a = b AND kpi.period_hash_extended(a, 7) <> kpi.period_hash_extended(b, 7))', 'equal periods hash alike');
SELECT is((SELECT count(DISTINCT kpi.period_hash(p)) FROM kpi.generate_series('0001-01-01', '0030-12-31') p) > 10900, true,
    'different periods mostly hash differently');
SELECT is_empty('SELECT * FROM (SELECT period, kpi.period_hash_extended(period, 0)::bit(64) AS h, kpi.period_hash(period) AS low FROM sample) s
    WHERE substring(h FROM 33)::bit(32)::integer <> low', 'the extended hash agrees with the plain one in its low bits for salt 0');
SELECT isnt('2026-Q2'::kpi_period, 'FY2027-Q1/04'::kpi_period, '2026-Q2 and FY2027-Q1/04 are not equal');
SELECT results_eq('SELECT period FROM sample ORDER BY period', 'SELECT period FROM sample ORDER BY grain, start, fiscal', 'ORDER BY follows the order');
SET LOCAL enable_hashagg = off;
SELECT is((SELECT count(*) FROM (SELECT period FROM sample GROUP BY period) g), (SELECT count(*) FROM (SELECT DISTINCT grain, start, fiscal FROM sample) d), 'GROUP BY by sorting');
SET LOCAL enable_hashagg = on;
SET LOCAL enable_sort = off;
SELECT is((SELECT count(*) FROM (SELECT period FROM sample GROUP BY period) g), (SELECT count(*) FROM (SELECT DISTINCT grain, start, fiscal FROM sample) d), 'GROUP BY by hashing');
SET LOCAL enable_sort = on;

-- ---------------------------------------------------------------- laws: containment

SELECT is_empty($$
    SELECT * FROM pair
    WHERE (a @> b) <> (daterange(a_start, a_stop, '[]') @> daterange(b_start, b_stop, '[]'))
       OR (a <@ b) <> (b @> a)
       OR (a && b) <> (daterange(a_start, a_stop, '[]') && daterange(b_start, b_stop, '[]'))
       OR (a && b) <> (b && a)
       OR (a @> b_start) <> (b_start BETWEEN a_start AND a_stop)
       OR (b_start <@ a) <> (a @> b_start)
$$, 'containment and overlap are those of the date ranges');
SELECT is_empty('SELECT * FROM sample WHERE NOT (period @> start AND period @> stop AND period @> period AND period && period) OR period @> start - 1 OR period @> stop + 1',
    'a period contains its days and itself, not the days around it');
SELECT is(p @> date 'infinity' OR p @> date '-infinity', false, 'no period contains infinity') FROM (SELECT '9999'::kpi_period) v(p);

-- ---------------------------------------------------------------- laws: arithmetic

SELECT is_empty($$
    SELECT * FROM (SELECT s.*, (random() * 40 - 20)::integer AS n_later FROM sample s WHERE extract(year FROM day) BETWEEN 100 AND 9900) s
    WHERE kpi.first_day(period + n_later) <> (start + n_later * pg_temp.length_of(grain))::date
       OR kpi.grain(period + n_later) <> grain OR kpi.fiscal_start(period + n_later) <> fiscal
       OR (period + n_later) - period <> n_later OR period - n_later <> period + (- n_later)
       OR (period + n_later) - n_later <> period OR period + 0 <> period
       OR (period + 1 > period) IS NOT TRUE OR kpi.first_day(period + 1) <> stop + 1
$$, 'adding and subtracting is counting on in dates');
SELECT is_empty('SELECT * FROM pair WHERE a_grain = b_grain AND a_fiscal = b_fiscal AND NOT (a + (b - a) = b AND b - a = -(a - b))', 'a + (b - a) is b');
SELECT is('9999-12-31'::kpi_period - '0001-01-01'::kpi_period, 3652058, 'days from the first to the last: 9999 * 365 + 2424 leap days - 1');
SELECT is('9999-W51'::kpi_period - '0001-W01'::kpi_period, 521721, 'weeks from the first to the last');
SELECT is('9999-12'::kpi_period - '0001-01'::kpi_period, 119987, 'months from the first to the last: 9999 * 12 - 1');

-- ---------------------------------------------------------------- laws: enclosing and periods

CREATE TEMPORARY TABLE enclosed AS
SELECT s.*, g AS coarse, f AS coarse_fiscal, kpi.enclosing(period, g, f) AS encloses,
       pg_temp.start_of(start, g, f) AS e_start,
       (pg_temp.start_of(start, g, f) + pg_temp.length_of(g) - interval '1 day')::date AS e_stop
FROM sample s, unnest(enum_range(NULL::kpi_grain)) g, (VALUES (1), (3), (4), (8), (10)) v(f)
WHERE n <= 1500;
SELECT is_empty($$
    SELECT * FROM enclosed
    WHERE encloses IS DISTINCT FROM
        CASE WHEN coarse < grain OR (grain = 'week' AND coarse > 'week') THEN NULL
             WHEN e_start <= start AND stop <= e_stop THEN kpi.period(start, coarse, coarse_fiscal) END
$$, 'enclosing is the period of a coarser grain around all days, null for finer grains, weeks and straddling');
SELECT is_empty('SELECT * FROM enclosed WHERE encloses IS NOT NULL AND NOT (encloses @> period AND kpi.grain(encloses) = coarse AND kpi.enclosing(period, coarse, kpi.fiscal_start(encloses)) = encloses)',
    'what encloses contains');
SELECT is_empty('SELECT * FROM sample, unnest(enum_range(NULL::kpi_grain)) g WHERE kpi.enclosing(period, g) IS DISTINCT FROM kpi.enclosing(period, g, kpi.fiscal_start(period))',
    'without a fiscal start enclosing takes that of the period');
SELECT is(kpi.enclosing('2026-W34', 'year'), NULL, 'no year encloses a week');
SELECT is(kpi.enclosing('2026-08', 'half', 4), 'FY2027-H1/04', 'August 2026 is in the first half of the fiscal year from April');
SELECT is(kpi.enclosing('2026-Q1', 'year', 3), NULL, 'January to March straddles two fiscal years from March');
SELECT is(kpi.enclosing('2026-Q2', 'year', 3), 'FY2027/03', 'April to June does not');
SELECT is(kpi.enclosing('FY2027-Q1/04', 'quarter', 1), '2026-Q2', 'the same days under the other name');
SELECT is(kpi.enclosing('9999-12-31', 'week'), NULL, 'the week of the last day is out of range');
SELECT is(kpi.enclosing('9999-12', 'year', 4), NULL, 'a fiscal year that ends in 10000 is out of range');

-- inside what period: each period of the finer grain, and only those, in order, without gap
SELECT is_empty($$
    SELECT s.period, g, array_agg(q ORDER BY ord)
    FROM sample s, unnest(enum_range(NULL::kpi_grain)) g, kpi.periods(s.period, g) WITH ORDINALITY AS i(q, ord)
    WHERE s.n <= 600
    GROUP BY s.period, s.start, s.stop, s.fiscal, s.n, g
    HAVING min(kpi.first_day(q)) <> s.start OR max(kpi.last_day(q)) <> s.stop OR sum(kpi.days(q)) <> s.stop - s.start + 1
        OR NOT bool_and(kpi.enclosing(q, kpi.grain(s.period), s.fiscal) = s.period) OR NOT bool_and(kpi.grain(q) = g)
        OR NOT bool_and(q = kpi.period(kpi.first_day(q), g, s.fiscal))
        OR array_agg(q ORDER BY ord) <> array_agg(q ORDER BY q)
$$, 'periods() are those it encloses, in order, and they make it up');
SELECT is_empty($$
    SELECT s.grain, g, bool_or(q IS NOT NULL)
    FROM sample s CROSS JOIN unnest(enum_range(NULL::kpi_grain)) g LEFT JOIN kpi.periods(s.period, g) q ON true
    WHERE s.n <= 600 GROUP BY s.grain, g
    HAVING bool_or(q IS NOT NULL) <> (g = s.grain OR (g < s.grain AND g <> 'week'))
        OR bool_or(q IS NOT NULL) <> bool_and(q IS NOT NULL)
$$, 'periods() has rows for the same and finer grains, never for coarser ones or weeks');
SELECT is_empty('SELECT * FROM enclosed WHERE encloses IS NOT NULL AND coarse_fiscal = fiscal AND NOT EXISTS (SELECT FROM kpi.periods(encloses, grain) q WHERE q = period) AND n <= 200',
    'a period is among the periods of what encloses it');
SELECT is(ARRAY(SELECT kpi.periods('FY2027/04', 'half')), '{FY2027-H1/04,FY2027-H2/04}'::kpi_period[], 'halves carry the fiscal start');
SELECT is(ARRAY(SELECT kpi.periods('FY2027-H2/04', 'quarter')), '{FY2027-Q3/04,FY2027-Q4/04}'::kpi_period[], 'quarters carry the fiscal start');
SELECT is(ARRAY(SELECT kpi.periods('FY2027-Q4/04', 'month')), '{2027-01,2027-02,2027-03}'::kpi_period[], 'months have none');
SELECT is(ARRAY(SELECT kpi.periods('2026', 'year')), '{2026}'::kpi_period[], 'the same grain gives the period itself');

SELECT is(ARRAY(SELECT kpi.generate_series('2026-11', '2027-02')), '{2026-11,2026-12,2027-01,2027-02}'::kpi_period[], 'a series includes both ends');
SELECT is(ARRAY(SELECT kpi.generate_series('FY2026-Q4/10', 'FY2027-Q2/10')), '{FY2026-Q4/10,FY2027-Q1/10,FY2027-Q2/10}'::kpi_period[], 'a series of fiscal quarters');
SELECT is(ARRAY(SELECT kpi.generate_series('2026-02', '2026-01')), '{}'::kpi_period[], 'a series that ends before it begins is empty');
SELECT is(ARRAY(SELECT kpi.generate_series('2026', '2026')), '{2026}'::kpi_period[], 'a series of one');
SELECT is(ARRAY(SELECT kpi.generate_series('9999-12-30', '9999-12-31')), '{9999-12-30,9999-12-31}'::kpi_period[], 'a series up to the end of the range');
SELECT is_empty('SELECT * FROM (SELECT period, ARRAY(SELECT kpi.generate_series(period - 3, period + 3)) AS made, ARRAY(SELECT period + i FROM generate_series(-3, 3) i) AS counted FROM sample WHERE n <= 500 AND extract(year FROM day) BETWEEN 100 AND 9900) s WHERE made <> counted',
    'a series counts on by one');

-- ---------------------------------------------------------------- laws: a year earlier

SELECT is_empty($$
    SELECT * FROM (SELECT s.*, kpi.year_before(period) AS before, kpi.year_after(period) AS after FROM sample s) s
    WHERE before IS DISTINCT FROM CASE WHEN grain <> 'week' AND to_char(start, 'MM-DD') <> '02-29'
                                       THEN kpi.period((start - interval '1 year')::date, grain, fiscal) END
       OR after IS DISTINCT FROM CASE WHEN grain <> 'week' AND to_char(start, 'MM-DD') <> '02-29'
                                      THEN kpi.period((start + interval '1 year')::date, grain, fiscal) END
       OR kpi.year_after(before) IS DISTINCT FROM CASE WHEN before IS NOT NULL THEN period END
       OR kpi.year_before(after) IS DISTINCT FROM CASE WHEN after IS NOT NULL THEN period END
$$, 'year_before and year_after are the calendar''s, and inverse');
SELECT is(kpi.year_before(t::kpi_period), expected::kpi_period, 'a year before ' || t)
FROM (VALUES ('FY2027-Q1/04', 'FY2026-Q1/04'), ('FY2027-H2/10', 'FY2026-H2/10'), ('FY2027/04', 'FY2026/04'), ('2026-H1', '2025-H1'),
             ('2024-02-29', NULL), ('2025-02-28', '2024-02-28'), ('2025-03-01', '2024-03-01'), ('2026-W34', NULL),
             ('0001', NULL), ('0001-06', NULL), ('0001-03-01', NULL), ('FY0002/04', NULL)) v(t, expected);
SELECT is(kpi.year_after(t::kpi_period), expected::kpi_period, 'a year after ' || t)
FROM (VALUES ('FY2027-Q1/04', 'FY2028-Q1/04'), ('2024-02-29', NULL), ('2023-02-28', '2024-02-28'), ('2026-W34', NULL),
             ('9999', NULL), ('9999-06-01', NULL), ('FY9999/04', NULL), ('9998-12-31', '9999-12-31')) v(t, expected);

-- ---------------------------------------------------------------- errors: SQLSTATE, message and hint

CREATE FUNCTION pg_temp.error_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    hint text;
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RETURN SQLSTATE || ' ' || SQLERRM || ' | ' || hint;
END $$;
CREATE FUNCTION pg_temp.input_error(input text) RETURNS text LANGUAGE sql AS
$$ SELECT pg_temp.error_of(format('SELECT %L::public.kpi_period', input)) $$;

SELECT is_empty($$
    SELECT y FROM generate_series(1801, 2400) y
    WHERE (pg_temp.input_error(y || '-W53') = 'no error') <>
          (extract(dow FROM make_date(y, 1, 1)) = 4 OR extract(dow FROM make_date(y, 12, 31)) = 4)
$$, 'W53 exists where 1 January or 31 December is a Thursday, and nowhere else');
SELECT is_empty($$
    SELECT y, m, d FROM generate_series(1896, 1905) y, generate_series(1, 12) m, generate_series(0, 32) d
    WHERE (pg_temp.input_error(format('%s-%s-%s', y, to_char(m, 'FM00'), to_char(d, 'FM00'))) = 'no error') <>
          (d BETWEEN 1 AND extract(day FROM make_date(y, m, 1) + interval '1 month' - interval '1 day'))
$$, 'days exist as the months have them');

SELECT is(pg_temp.input_error(t), format('22P02 invalid input syntax for type kpi_period: "%s" | Write 2026, 2026-H1, 2026-Q3, 2026-08, 2026-W34 or 2026-08-14, or for fiscal years FY2027/04, FY2027-H1/04 or FY2027-Q1/04.', t),
    format('malformed: "%s"', t))
FROM unnest(ARRAY['', ' ', '2026 ', ' 2026', '26', '02026', '20266', '2026-', '2026-8', '2026-008', '2026/08', '202608', '2026-08-1', '2026-8-14', '2026-08-14 ',
    '2026-08-14T00:00', '20260814', '2026-Q', '2026-q3', '2026Q3', '2026-Q03', '2026-Q3 ', 'Q3-2026', '2026-H', '2026-h1', '2026-H01', '2026-W1', '2026-w34', '2026W34', '2026-W34-1',
    '-2026', '+2026', 'FY2027', 'fy2027/04', 'FY2027/4', 'FY2027/004', 'FY 2027/04', '2027/04', 'FY2027-Q1', 'FY2027-Q1/4', 'FY2027-04/04', 'FY2027-W01/04', 'FY2027-Q1/04 ',
    'FY27/04', 'now', 'today', 'infinity', '2026-٠٨', 'NaN', '2026-Q3/04', '１９９９']) t;
SELECT is(pg_temp.input_error(t), format('22008 period "%s" does not exist | %s', t, hint), format('does not exist: "%s"', t))
FROM (VALUES ('2026-00', 'A year has the months 01 to 12.'), ('2026-13', 'A year has the months 01 to 12.'), ('2026-00-10', 'A year has the months 01 to 12.'),
    ('2026-13-01', 'A year has the months 01 to 12.'), ('2026-02-29', 'The month does not have that day.'), ('1900-02-29', 'The month does not have that day.'),
    ('2026-04-31', 'The month does not have that day.'), ('2026-01-00', 'The month does not have that day.'), ('2026-01-32', 'The month does not have that day.'),
    ('2026-Q0', 'A year has the quarters Q1 to Q4.'), ('2026-Q5', 'A year has the quarters Q1 to Q4.'), ('FY2026-Q5/04', 'A year has the quarters Q1 to Q4.'),
    ('2026-H0', 'A year has the halves H1 and H2.'), ('2026-H3', 'A year has the halves H1 and H2.'), ('FY2026-H3/04', 'A year has the halves H1 and H2.'),
    ('2026-W00', 'An ISO year has the weeks W01 to W52, and only some have W53.'), ('2025-W53', 'An ISO year has the weeks W01 to W52, and only some have W53.'),
    ('2026-W54', 'An ISO year has the weeks W01 to W52, and only some have W53.'), ('2026-W99', 'An ISO year has the weeks W01 to W52, and only some have W53.'),
    ('9999-W53', 'An ISO year has the weeks W01 to W52, and only some have W53.'),
    ('FY2027/00', 'A fiscal year starts in one of the months 01 to 12.'), ('FY2027/13', 'A fiscal year starts in one of the months 01 to 12.'),
    ('FY2027-Q1/99', 'A fiscal year starts in one of the months 01 to 12.')) v(t, hint);
SELECT is(pg_temp.input_error(t), format('22008 period "%s" is out of range | All days of a period lie within the years 0001 to 9999.', t), format('out of range: "%s"', t))
FROM unnest('{0000,0000-12,0000-Q4,0000-H2,0000-W01,0000-12-31,FY0000/04,FY0001/04,FY0001-Q1/04,FY0001-H1/08,9999-W52}'::text[]) t;
-- FY0001/04 begins in the year 0, its last quarter in January of the year 1
SELECT is(kpi.first_day('FY0001-Q4/04'), date '0001-01-01', 'the fiscal quarter at the beginning of the range');

SELECT is(pg_temp.error_of(statement), expected, statement)
FROM (VALUES
    ($$SELECT kpi.period('infinity', 'month')$$, '22008 month of date "infinity" is out of range | All days of a period lie within the years 0001 to 9999.'),
    ($$SELECT kpi.period('-infinity', 'day')$$, '22008 day of date "-infinity" is out of range | All days of a period lie within the years 0001 to 9999.'),
    ($$SELECT kpi.period('10000-01-01', 'day')$$, '22008 day of date "10000-01-01" is out of range | All days of a period lie within the years 0001 to 9999.'),
    ($$SELECT kpi.period('0001-12-31 BC', 'year')$$, '22008 year of date "0001-12-31 BC" is out of range | All days of a period lie within the years 0001 to 9999.'),
    ($$SELECT kpi.period('9999-12-31', 'week')$$, '22008 week of date "9999-12-31" is out of range | All days of a period lie within the years 0001 to 9999.'),
    ($$SELECT kpi.period('9999-04-01', 'year', 4)$$, '22008 year of date "9999-04-01" is out of range | All days of a period lie within the years 0001 to 9999.'),
    ($$SELECT kpi.period('2026-01-01', 'year', 0)$$, '22023 fiscal start "0" is not a month | Give the month in which the fiscal year starts, 1 to 12.'),
    ($$SELECT kpi.period('2026-01-01', 'day', 13)$$, '22023 fiscal start "13" is not a month | Give the month in which the fiscal year starts, 1 to 12.'),
    ($$SELECT kpi.enclosing('2026-01', 'year', -1)$$, '22023 fiscal start "-1" is not a month | Give the month in which the fiscal year starts, 1 to 12.'),
    ($$SELECT '9999-12'::kpi_period + 1$$, '22008 period "9999-12" shifted by 1 is out of range | All days of a period lie within the years 0001 to 9999.'),
    ($$SELECT '0001'::kpi_period - 1$$, '22008 period "0001" shifted by -1 is out of range | All days of a period lie within the years 0001 to 9999.'),
    ($$SELECT 'FY9999/04'::kpi_period + 1$$, '22008 period "FY9999/04" shifted by 1 is out of range | All days of a period lie within the years 0001 to 9999.'),
    ($$SELECT '9999-W51'::kpi_period + 1$$, '22008 period "9999-W51" shifted by 1 is out of range | All days of a period lie within the years 0001 to 9999.'),
    ($$SELECT '2026'::kpi_period + 2147483647$$, '22008 period "2026" shifted by 2147483647 is out of range | All days of a period lie within the years 0001 to 9999.'),
    ($$SELECT '2026-01-01'::kpi_period - (-2147483648)$$, '22008 period "2026-01-01" shifted by 2147483648 is out of range | All days of a period lie within the years 0001 to 9999.'),
    ($$SELECT '2026'::kpi_period - '2026-01'::kpi_period$$, '22023 periods "2026-01" and "2026" are not of one grain and fiscal start | Only periods of the same grain and fiscal start can be counted from one to the other.'),
    ($$SELECT 'FY2027-Q1/04'::kpi_period - '2026-Q2'::kpi_period$$, '22023 periods "2026-Q2" and "FY2027-Q1/04" are not of one grain and fiscal start | Only periods of the same grain and fiscal start can be counted from one to the other.'),
    ($$SELECT kpi.generate_series('2026-01', '2026-01-31')$$, '22023 periods "2026-01" and "2026-01-31" are not of one grain and fiscal start | Only periods of the same grain and fiscal start can be counted from one to the other.'),
    ($$SELECT kpi.period('2026-01-01', 'decade')$$, '22P02 invalid input value for enum kpi_grain: "decade" | ')
) v(statement, expected);

-- soft errors, from 16 on
SELECT current_setting('server_version_num')::integer >= 160000 AS soft \gset
\if :soft
SELECT is(pg_input_is_valid(t, 'kpi_period'), expected, format('pg_input_is_valid("%s")', t))
FROM (VALUES ('2026-08', true), ('2026-8', false), ('2026-02-30', false), ('0000', false)) v(t, expected);
SELECT is(sql_error_code, '22008', 'a soft error has its SQLSTATE') FROM pg_input_error_info('2026-13', 'kpi_period');
\endif

-- ---------------------------------------------------------------- what BI tools and ORMs write, without kpi in the search path

CREATE TEMPORARY TABLE result (period kpi_period PRIMARY KEY, grain kpi_grain, status kpi_status, days daterange);
PREPARE by_varchar(varchar, varchar, varchar) AS INSERT INTO result VALUES ($1, $2, $3);
PREPARE by_text(text, text, text) AS INSERT INTO result VALUES ($1, $2, $3);
PREPARE update_by_varchar(varchar) AS UPDATE result SET period = $1 WHERE period = '2026-07';
PREPARE by_period(kpi_period) AS SELECT count(*) FROM result WHERE period = $1;
EXECUTE by_varchar('2026-08', 'month', 'on_track');
EXECUTE by_text('2026-07', 'month', 'at_risk');
EXECUTE update_by_varchar('2026-09');
INSERT INTO result SELECT p, kpi.grain(p), 'no_data', p FROM kpi.generate_series('2026-10', '2026-12') p;
SELECT results_eq('SELECT period::text FROM result ORDER BY period', ARRAY['2026-08', '2026-09', '2026-10', '2026-11', '2026-12'], 'parameters of type text and varchar fit all columns');
SELECT results_eq('EXECUTE by_period(''2026-08'')', ARRAY[1::bigint], 'a parameter in a condition');
SELECT is((SELECT count(*) FROM result WHERE period = '2026-08'), 1::bigint, 'period = literal');
SELECT is((SELECT count(*) FROM result WHERE period IN ('2026-08', '2026-10', '2025-01')), 2::bigint, 'IN');
SELECT is((SELECT count(*) FROM result WHERE period BETWEEN '2026-09' AND '2026-11'), 3::bigint, 'BETWEEN');
SELECT is((SELECT count(*) FROM result WHERE period = ANY ('{2026-09,2026-12}')), 2::bigint, '= ANY');
SELECT is((SELECT count(*) FROM result WHERE period >= '2026-11' AND grain = 'month' AND status = 'no_data'), 2::bigint, '>=, and the enums');
SELECT is((SELECT count(*) FROM result WHERE period @> '2026-08-14'::date), 1::bigint, '@> date');
SELECT is((SELECT count(*) FROM result WHERE period <@ '2026-Q4'), 3::bigint, '<@ literal');
SELECT is((SELECT count(*) FROM result a JOIN result b USING (period)), 5::bigint, 'JOIN USING');
SELECT is((SELECT count(*) FROM result a NATURAL JOIN (SELECT period FROM result WHERE status = 'no_data') b), 3::bigint, 'NATURAL JOIN');
SELECT is((SELECT string_agg(period::text, ' ' ORDER BY period DESC) FROM result WHERE days IS NOT NULL), '2026-12 2026-11 2026-10', 'ORDER BY, and a period fits a daterange column');
SELECT is((SELECT count(*) FROM (SELECT DISTINCT period FROM (TABLE result UNION ALL TABLE result) u) d), 5::bigint, 'DISTINCT');
SELECT results_eq('SELECT count(*) OVER (ORDER BY period RANGE BETWEEN 1 PRECEDING AND 2 FOLLOWING) FROM result ORDER BY period',
    ARRAY[3, 4, 4, 3, 2]::bigint[], 'window frames count periods');
SELECT results_eq('SELECT count(*) OVER (ORDER BY p RANGE BETWEEN 3 PRECEDING AND 2147483647 FOLLOWING) FROM unnest(''{0001-01,9999-12,2026,9999,FY9999/04}''::kpi_period[]) p ORDER BY p',
    ARRAY[2, 1, 3, 2, 2]::bigint[], 'window frames end with the grain, and reach beyond the range without an error');
SELECT results_eq('SELECT count(*) OVER (ORDER BY p RANGE BETWEEN 0 PRECEDING AND 0 FOLLOWING) FROM unnest(''{2026-Q2,FY2027-Q1/04,2026-Q2}''::kpi_period[]) p ORDER BY p',
    ARRAY[2, 2, 1]::bigint[], 'window frames keep fiscal starts apart that begin on one day');
SELECT throws_ok('SELECT count(*) OVER (ORDER BY period RANGE -1 PRECEDING) FROM result', '22013', NULL, 'no negative window frames');
SELECT throws_ok($$INSERT INTO result VALUES ('2026-08')$$, '23505', NULL, 'a primary key over periods');

CREATE TEMPORARY TABLE part (period kpi_period, value numeric) PARTITION BY HASH (period);
CREATE TEMPORARY TABLE part_0 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TEMPORARY TABLE part_1 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO part SELECT p, 1 FROM kpi.periods('2026', 'day') p;
SELECT is((SELECT count(*) FROM part WHERE period = '2026-08-14'), 1::bigint, 'hash partitions by period');
SELECT ok((SELECT count(*) FROM part_0) BETWEEN 140 AND 225, 'hash partitions are about even');

-- ---------------------------------------------------------------- kpi_grain and kpi_status

SELECT enum_has_labels('public', 'kpi_grain', ARRAY['day', 'week', 'month', 'quarter', 'half', 'year']);
SELECT enum_has_labels('public', 'kpi_status', ARRAY['no_data', 'no_target', 'off_track', 'at_risk', 'on_track', 'exceeded']);
SELECT is((SELECT kpi.worst(s) FROM unnest(given::kpi_status[]) s), expected::kpi_status, format('worst of %s', given))
FROM (VALUES ('{}', NULL), ('{NULL}', NULL), ('{no_data}', 'no_data'), ('{no_target}', 'no_target'), ('{no_target,no_data}', 'no_data'), ('{no_data,no_target}', 'no_data'),
    ('{no_data,exceeded}', 'exceeded'), ('{exceeded,no_target}', 'exceeded'), ('{on_track,NULL,at_risk,no_data}', 'at_risk'), ('{exceeded,on_track,off_track,at_risk}', 'off_track'),
    ('{exceeded,on_track}', 'on_track')) v(given, expected);
SELECT is_empty($$
    SELECT a, b, c FROM unnest(enum_range(NULL::kpi_status)) a, unnest(enum_range(NULL::kpi_status)) b, unnest(enum_range(NULL::kpi_status)) c
    WHERE kpi.worse(a, b) <> kpi.worse(b, a) OR kpi.worse(a, kpi.worse(b, c)) <> kpi.worse(kpi.worse(a, b), c) OR kpi.worse(a, a) <> a
$$, 'worse is commutative, associative and idempotent, so that partial aggregates combine');

-- ---------------------------------------------------------------- catalog

SELECT is_empty($$
    SELECT o.oid::regoperator::text, NULL FROM pg_operator o WHERE 'public.kpi_period'::regtype IN (o.oprleft, o.oprright) AND obj_description(o.oid, 'pg_operator') IS NULL
    UNION ALL SELECT p.oid::regprocedure::text, NULL FROM pg_proc p WHERE ('public.kpi_period'::regtype = ANY (p.proargtypes) OR p.prorettype = 'public.kpi_period'::regtype)
        AND p.pronamespace = 'kpi'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NULL
    UNION ALL SELECT t.typname, NULL FROM pg_type t WHERE t.typname IN ('kpi_period', 'kpi_grain', 'kpi_status') AND obj_description(t.oid, 'pg_type') IS NULL
    UNION ALL SELECT opcname, NULL FROM pg_opclass c WHERE opcintype = 'public.kpi_period'::regtype AND obj_description(c.oid, 'pg_opclass') IS NULL
$$, 'everything about periods has a comment');
SELECT is((SELECT count(*) FROM pg_cast WHERE casttarget IN ('kpi_period'::regtype, 'kpi_grain'::regtype, 'kpi_status'::regtype) AND castsource IN ('text'::regtype, 'varchar'::regtype)
    AND castcontext = 'a' AND castmethod = 'i' AND obj_description(oid, 'pg_cast') IS NOT NULL), 6::bigint, 'text and varchar are assigned to all three types, and the casts have comments');
SELECT is_empty($$SELECT proname FROM pg_proc WHERE pronamespace = 'kpi'::regnamespace AND proname ~ '^period_(eq|ne|lt|le|gt|ge|cmp|hash|hash_extended)$' AND NOT proleakproof$$, 'comparison is leakproof');
SELECT is_empty($$SELECT oid::regprocedure FROM pg_proc WHERE ('public.kpi_period'::regtype = ANY (proargtypes)) AND prolang = (SELECT oid FROM pg_language WHERE lanname = 'c')
    AND proname ~ '^(period_|day_in_|grain$|first_day$|last_day$|days$|enclosing$|periods$|year_|fiscal_start$|daterange$)' AND NOT (provolatile = 'i' AND proisstrict AND proparallel = 's')$$,
    'the functions of periods are immutable, strict and parallel safe');

SELECT * FROM finish();
ROLLBACK;
