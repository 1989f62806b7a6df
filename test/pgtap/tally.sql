-- kpi_tally: aggregates against sum, count, min and max; laws of merging,
-- subtracting and scaling; text and binary form; order; parallel plans; frames.
-- The model is plain SQL over the raw rows, written into the text form by hand.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT no_plan();

-- ---- rows of many shapes: how many digits before and after the point
CREATE TABLE shape (shape int, before int, after int, weight_before int, weight_after int, what text);
INSERT INTO shape VALUES
(1, 4, 0, 0, 0, 'small whole numbers'),
(2, 7, 2, 1, 0, 'money'),
(3, 2, 6, 2, 3, 'fine values and weights'),
(4, 3, 20, 1, 0, 'as fine as can be stored'),
(5, 30, 0, 1, 0, 'as large as can be stored'),
(6, 30, 20, 10, 5, 'all digits used'),
(7, 27, 0, 9, 0, 'products that fill 126 bits'),
(8, 28, 4, 28, 4, 'products that do not fit'),
(9, 0, 13, 0, 20, 'below one'),
(10, 15, 9, 3, 12, 'long values, fine weights'),
(11, 0, 0, 0, 0, 'mixed digits, row by row');

DO 'BEGIN PERFORM setseed(0.31415926); END';
-- n random digits
CREATE FUNCTION pg_temp.digits(n int) RETURNS text LANGUAGE sql VOLATILE AS
$$ SELECT left(string_agg(lpad(floor(random() * 1e9)::bigint::text, 9, '0'), ''), n) FROM generate_series(0, n / 9) $$;
CREATE FUNCTION pg_temp.number(before int, after int) RETURNS numeric LANGUAGE sql VOLATILE AS
$$ SELECT (CASE WHEN random() < 0.3 THEN '-' ELSE '' END || '0' || pg_temp.digits(before) || '.' || pg_temp.digits(after) || '0')::numeric $$;

CREATE TABLE raw AS
SELECT row_number() OVER () AS i, shape, part,
       CASE WHEN random() < 0.05 THEN NULL
            ELSE pg_temp.number(CASE shape WHEN 11 THEN (random() * 30)::int ELSE before END,
                                CASE shape WHEN 11 THEN (random() * 20)::int ELSE after END) END AS v,
       CASE WHEN random() < 0.05 THEN NULL
            WHEN random() < 0.1 THEN 1
            ELSE pg_temp.number(CASE shape WHEN 11 THEN (random() * 30)::int ELSE weight_before END,
                                CASE shape WHEN 11 THEN (random() * 20)::int ELSE weight_after END) END AS w
FROM shape, generate_series(1, 7) AS part, generate_series(1, 60);

-- the model: what a tally of these rows must read
CREATE FUNCTION pg_temp.written(n bigint, v numeric, w numeric, vw numeric, low numeric, high numeric) RETURNS text LANGUAGE sql AS
$$ SELECT CASE WHEN n > 0 THEN format('{n=%s,value=%s,weight=%s,product=%s,min=%s,max=%s}', n,
          trim_scale(v), trim_scale(w), trim_scale(vw), trim_scale(low), trim_scale(high)) END $$;

CREATE TEMP TABLE whole AS
SELECT shape, kpi.tally_agg(v, w) AS tally, kpi.tally_agg(v) AS unweighted,
       kpi.weighted_mean(v, w) AS weighted_mean
FROM raw GROUP BY shape;
CREATE TEMP TABLE model AS
SELECT shape,
       pg_temp.written(count(*) FILTER (WHERE v IS NOT NULL AND w IS NOT NULL), sum(v) FILTER (WHERE w IS NOT NULL),
                       sum(w) FILTER (WHERE v IS NOT NULL), sum(v * w), min(v) FILTER (WHERE w IS NOT NULL),
                       max(v) FILTER (WHERE w IS NOT NULL)) AS tally,
       pg_temp.written(count(v), sum(v), count(v), sum(v), min(v), max(v)) AS unweighted
FROM raw GROUP BY shape;

SELECT is(whole.tally::text, model.tally, 'tally_agg(value, weight) equals plain SQL: ' || what)
FROM whole JOIN model USING (shape) JOIN shape USING (shape) ORDER BY shape;
SELECT is(whole.unweighted::text, model.unweighted, 'tally_agg(value) equals plain SQL: ' || what)
FROM whole JOIN model USING (shape) JOIN shape USING (shape) ORDER BY shape;
SELECT is((SELECT kpi.tally_agg(v, w)::text FROM raw),
          (SELECT pg_temp.written(count(*), sum(v), sum(w), sum(v * w), min(v), max(v)) FROM raw WHERE v IS NOT NULL AND w IS NOT NULL),
          'all shapes in one tally');
SELECT is((SELECT kpi.tally_agg(v, w)::text FROM (SELECT * FROM raw ORDER BY shape DESC, i DESC) x),
          (SELECT kpi.tally_agg(v, w)::text FROM (SELECT * FROM raw ORDER BY abs(v)) x),
          'the order of the rows does not matter');

-- 3,000 times v = 9 * 10^26 and w = 10^9: the products add up beyond 128 bits (2.7 * 10^39)
SELECT is(kpi.tally_agg(900000000000000000000000000, 1000000000)::text,
          '{n=3000,value=2700000000000000000000000000000,weight=3000000000000,product=2700000000000000000000000000000000000000,min=900000000000000000000000000,max=900000000000000000000000000}',
          'sums beyond the machine integers')
FROM generate_series(1, 3000);
SELECT is(kpi.tally_agg(-900000000000000000000000000, 1000000000)::text,
          '{n=3000,value=-2700000000000000000000000000000,weight=3000000000000,product=-2700000000000000000000000000000000000000,min=-900000000000000000000000000,max=-900000000000000000000000000}',
          'the same below zero')
FROM generate_series(1, 3000);

-- one group for each row, and several aggregates over one state
SELECT is_empty($$
  SELECT i FROM raw GROUP BY i
  HAVING kpi.tally_agg(v, w)::text IS DISTINCT FROM
         pg_temp.written(count(v + w), max(v), max(w), max(v * w), max(v), max(v)) $$,
  'tallies of single rows');
SELECT is_empty($$
  SELECT * FROM (SELECT shape, part, kpi.tally_agg(v, w) AS t, kpi.weighted_mean(v, w) AS m, kpi.tally_agg(v, w) AS again
                 FROM raw GROUP BY GROUPING SETS ((shape, part), (shape), ())) x
  WHERE m IS DISTINCT FROM kpi.weighted_mean(t) OR t IS DISTINCT FROM again $$,
  'tally_agg and weighted_mean over the same rows agree, in grouping sets too');
SELECT is(whole.weighted_mean, kpi.weighted_mean(tally), 'weighted_mean is that of the tally') FROM whole;

-- ---- many groups at a time, by hash, as grouping sets, and spilled to disk
CREATE TEMP TABLE many AS SELECT i, i % 3000 AS g, i % 7 AS h, (i * 7 % 1000)::numeric AS v FROM generate_series(1, 9000) i;
ANALYZE many;
SET LOCAL enable_sort = off;
SET LOCAL max_parallel_workers_per_gather = 0;
CREATE FUNCTION pg_temp.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF) ' || query; END $$;
PREPARE by_hash AS SELECT g, kpi.tally_agg(v)::text, kpi.weighted_mean(v, i)::text FROM many GROUP BY g;
PREPARE by_hash_expected AS SELECT g, pg_temp.written(count(*), sum(v), count(*), sum(v), min(v), max(v)), trim_scale(round(sum(v * i) / sum(i), 12))::text FROM many GROUP BY g;
SELECT matches(string_agg(p, ' '), '^HashAggregate', 'by hash') FROM pg_temp.plan('SELECT g, kpi.tally_agg(v), kpi.weighted_mean(v, i) FROM many GROUP BY g') p;
SELECT set_eq('by_hash', 'by_hash_expected', 'each group its own tally');
-- the executor adds up the memory of all contexts at each new group
DECLARE groups NO SCROLL CURSOR FOR SELECT g, kpi.tally_agg(v) AS t FROM many GROUP BY g;
MOVE 1 FROM groups;
SELECT is((SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'expanded kpi_tally'), 1::bigint, '3,000 states share one memory context');
CLOSE groups;
SELECT is((SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'expanded kpi_tally'), 0::bigint, 'which goes with them');
SELECT set_eq($$SELECT g, h, kpi.tally_agg(v)::text FROM many GROUP BY GROUPING SETS ((g), (h), ())$$,
              $$SELECT g, h, pg_temp.written(count(*), sum(v), count(*), sum(v), min(v), max(v)) FROM many GROUP BY GROUPING SETS ((g), (h), ())$$, 'in grouping sets by hash');
RESET enable_sort;
SET LOCAL enable_hashagg = off;
SELECT set_eq('by_hash', 'by_hash_expected', 'by sorting');
SELECT set_eq($$SELECT g, h, kpi.tally_agg(v)::text FROM many GROUP BY ROLLUP (g, h)$$,
              $$SELECT g, h, pg_temp.written(count(*), sum(v), count(*), sum(v), min(v), max(v)) FROM many GROUP BY ROLLUP (g, h)$$, 'in grouping sets by sorting');
RESET enable_hashagg;
SET LOCAL enable_sort = off;
SET LOCAL work_mem = '64kB';
SET LOCAL hash_mem_multiplier = 1;
SELECT matches(string_agg(p, ' '), 'HashAggregate.*Batches: [0-9]{2,}', 'in many batches') FROM pg_temp.plan('SELECT g, kpi.tally_agg(v), kpi.weighted_mean(v, i) FROM many GROUP BY g') p;
SELECT set_eq('by_hash', 'by_hash_expected', 'each batch has its own states');
-- once for each row of the outer side
SELECT set_eq($$SELECT o, t::text FROM generate_series(1, 3) o CROSS JOIN LATERAL (SELECT g, kpi.tally_agg(v + o) AS t FROM many WHERE g < 20 GROUP BY g OFFSET 0) x$$,
              $$SELECT o, pg_temp.written(count(*), sum(v + o), count(*), sum(v + o), min(v + o), max(v + o)) FROM generate_series(1, 3) o, many WHERE g < 20 GROUP BY o, g$$, 'done again');
RESET enable_sort;
RESET work_mem;
RESET hash_mem_multiplier;
RESET max_parallel_workers_per_gather;

-- ---- accessors
SELECT is_empty($$
  SELECT * FROM whole JOIN (SELECT shape, count(*) AS n, trim_scale(sum(v)) AS v, trim_scale(sum(w)) AS w, trim_scale(min(v)) AS low, trim_scale(max(v)) AS high
                            FROM raw WHERE v IS NOT NULL AND w IS NOT NULL GROUP BY shape) m USING (shape)
  WHERE (kpi.observations(tally)::text, kpi.total(tally)::text, kpi.total_weight(tally)::text, kpi.minimum(tally)::text, kpi.maximum(tally)::text)
        IS DISTINCT FROM (m.n::text, m.v::text, m.w::text, m.low::text, m.high::text) $$,
  'accessors give the figures, trimmed');
SELECT is(kpi.ratio(t), kpi.ratio(t, 1), 'the multiplier defaults to 1') FROM (SELECT '{n=3,value=7,weight=3,product=12,min=1,max=3}'::kpi_tally AS t) x;
-- 7/3, 12/3, 700/3
SELECT is(kpi.mean(t)::text, '2.333333333333', 'mean of 7 over 3') FROM (SELECT '{n=3,value=7,weight=4,product=12,min=1,max=3}'::kpi_tally AS t) x;
SELECT is(kpi.weighted_mean(t)::text, '3', 'weighted mean of 12 over 4') FROM (SELECT '{n=3,value=7,weight=4,product=12,min=1,max=3}'::kpi_tally AS t) x;
SELECT is(kpi.ratio(t, 100)::text, '175', 'ratio of 7 over 4 in percent') FROM (SELECT '{n=3,value=7,weight=4,product=12,min=1,max=3}'::kpi_tally AS t) x;
SELECT ok(kpi.minimum(t) IS NULL AND kpi.maximum(t) IS NULL, 'no extremes: ' || t::text)
FROM (VALUES ('{n=0,value=0,weight=0,product=0}'::kpi_tally), ('{n=1,value=0,weight=0,product=0,min=?,max=?}')) x(t);
SELECT ok(kpi.mean(NULL) IS NULL AND kpi.ratio(NULL) IS NULL AND NULL::kpi_tally + NULL::kpi_tally IS NULL, 'null in, null out');
SELECT throws_ok($$SELECT kpi.ratio('{n=1,value=1,weight=1,product=1,min=1,max=1}', 'NaN')$$, '22003', 'multiplier "NaN" is not a finite number');

-- ---- nulls and no rows
SELECT ok(kpi.tally_agg(v) IS NULL AND kpi.tally_agg(v, v) IS NULL AND kpi.weighted_mean(v, v) IS NULL, 'no rows: null')
FROM (SELECT 1::numeric AS v WHERE false) x;
SELECT ok(kpi.merge_agg(t) IS NULL, 'no tallies: null') FROM (SELECT '{n=0,value=0,weight=0,product=0}'::kpi_tally AS t WHERE false) x;
SELECT ok(kpi.tally_agg(v) IS NULL AND kpi.tally_agg(v, 1) IS NULL AND kpi.tally_agg(1, v) IS NULL, 'only nulls: null')
FROM (VALUES (NULL::numeric), (NULL)) x(v);
SELECT is(kpi.tally_agg(v, w)::text, '{n=1,value=5,weight=2,product=10,min=5,max=5}', 'a row counts if it has both value and weight')
FROM (VALUES (NULL::numeric, 1::numeric), (5, 2), (7, NULL), (NULL, NULL)) x(v, w);
SELECT is(kpi.merge_agg(t)::text, '{n=0,value=0,weight=0,product=0}', 'null tallies are left out')
FROM (VALUES (NULL::kpi_tally), ('{n=0,value=0,weight=0,product=0}'), (NULL)) x(t);

-- ---- merging: any split equals the whole
CREATE TEMP TABLE piece AS SELECT shape, part, kpi.tally_agg(v, w) AS t FROM raw GROUP BY shape, part;
SELECT is_empty('SELECT shape, kpi.merge_agg(t) FROM piece GROUP BY shape EXCEPT SELECT shape, tally FROM whole', 'merge_agg of the parts is the whole');
SELECT is_empty($$SELECT shape FROM (SELECT shape, i % 97 AS k, kpi.tally_agg(v, w) AS t FROM raw GROUP BY 1, 2) x JOIN whole USING (shape)
                  GROUP BY shape, tally HAVING kpi.merge_agg(t) <> tally$$, 'another split');
SELECT is((SELECT kpi.merge_agg(t) FROM piece), (SELECT kpi.tally_agg(v, w) FROM raw), 'all pieces');
CREATE TEMP TABLE triple AS
SELECT a.t AS a, b.t AS b, c.t AS c, f, g
FROM piece a JOIN piece b ON b.part = a.part % 7 + 1 JOIN piece c ON c.part = b.part AND c.shape = (a.shape + b.shape) % 11 + 1,
     LATERAL (SELECT round((random() * 20 - 10)::numeric, 3) AS f, round((random() * 2)::numeric, 7) AS g, a.part) x;
SELECT cmp_ok((SELECT count(*) FROM triple)::int, '>', 500, 'enough triples');
SELECT is_empty('SELECT * FROM triple WHERE a + b <> b + a', 'merging commutes');
SELECT is_empty('SELECT * FROM triple WHERE (a + b) + c <> a + (b + c)', 'merging associates');
SELECT is_empty($$SELECT * FROM triple WHERE a + '{n=0,value=0,weight=0,product=0}' <> a$$, 'the empty tally changes nothing');
SELECT is_empty('SELECT * FROM triple WHERE kpi.total(a + b) <> kpi.total(a) + kpi.total(b) OR kpi.observations(a + b) <> kpi.observations(a) + kpi.observations(b)
                 OR kpi.total_weight(a + b) <> kpi.total_weight(a) + kpi.total_weight(b)
                 OR kpi.minimum(a + b) <> least(kpi.minimum(a), kpi.minimum(b)) OR kpi.maximum(a + b) <> greatest(kpi.maximum(a), kpi.maximum(b))',
                'merging adds the figures');

-- ---- subtracting
CREATE FUNCTION pg_temp.sums(t kpi_tally) RETURNS text LANGUAGE sql AS $$ SELECT regexp_replace(t::text, ',min=.*', '}') $$;
SELECT is_empty('SELECT * FROM triple WHERE pg_temp.sums((a + b) - b) <> pg_temp.sums(a)', '(a + b) - b has the sums of a');
SELECT is_empty($$SELECT * FROM triple WHERE ((a + b) - b)::text NOT LIKE '%,min=?,max=?}' OR kpi.minimum(a - b) IS NOT NULL OR kpi.maximum(a - b) IS NOT NULL$$, 'its extremes are unknown');
SELECT is_empty($$SELECT * FROM triple WHERE (a - a)::text <> '{n=0,value=0,weight=0,product=0,min=?,max=?}'$$, 'a - a is 0, extremes unknown');
SELECT is_empty($$SELECT * FROM triple WHERE a + (b - c) <> (a + b) - c OR kpi.minimum(a + (b - c)) IS NOT NULL$$, 'unknown extremes stay unknown');
SELECT is(kpi.merge_agg(t)::text, '{n=3,value=6,weight=3,product=6,min=?,max=?}', 'in merge_agg too')
FROM (VALUES ('{n=1,value=1,weight=1,product=1,min=1,max=1}'::kpi_tally), ('{n=2,value=5,weight=2,product=5,min=?,max=?}')) x(t);

-- ---- scaling
SELECT is_empty('SELECT * FROM triple WHERE f * a <> a * f', 'a factor may stand on either side');
SELECT is_empty('SELECT * FROM triple WHERE f * (a + b) <> f * a + f * b', 'scaling distributes over merging');
SELECT is_empty('SELECT * FROM triple WHERE (f * g) * a <> f * (g * a)', 'scaling twice is scaling by the product');
SELECT is_empty('SELECT * FROM triple WHERE 1 * a <> a OR 1.000 * a <> a', 'scaling by 1 changes nothing');
SELECT is_empty('SELECT * FROM triple WHERE pg_temp.sums(2 * a) <> pg_temp.sums(a + a)', 'twice is a and a');
SELECT is_empty('SELECT * FROM triple WHERE kpi.minimum(f * a) <> kpi.minimum(a) OR kpi.maximum(f * a) <> kpi.maximum(a)', 'extremes are not scaled');
SELECT is_empty('SELECT * FROM triple WHERE kpi.total(f * a) <> f * kpi.total(a) OR kpi.observations(f * a) <> f * kpi.observations(a) OR kpi.total_weight(f * a) <> f * kpi.total_weight(a)', 'the rest is');
SELECT is_empty('SELECT * FROM triple WHERE kpi.mean(f * a) <> kpi.mean(a) AND f <> 0', 'a scaled mean stays');
SELECT is(0 * '{n=3,value=6,weight=3,product=12,min=1,max=3}'::kpi_tally, '{n=0,value=0,weight=0,product=0,min=1,max=3}'::kpi_tally, 'scaled by 0');
SELECT is(-0.5 * '{n=3,value=6,weight=3,product=12,min=1,max=3}'::kpi_tally, '{n=-1.5,value=-3,weight=-1.5,product=-6,min=1,max=3}'::kpi_tally, 'scaled by a negative factor');
SELECT throws_ok(format('SELECT %L::numeric * t FROM (SELECT kpi.tally_agg(1) AS t) x', f), '22003', format('factor "%s" is not a finite number', f))
FROM (VALUES ('NaN'), ('Infinity'), ('-Infinity')) x(f);

-- ---- forms
CREATE TABLE tally (i int, t kpi_tally);
INSERT INTO tally SELECT row_number() OVER (), t
FROM (SELECT a AS t FROM triple UNION SELECT a - b FROM triple UNION SELECT f * a FROM triple UNION SELECT (f * g) * (a - c) FROM triple
      UNION SELECT kpi.tally_agg(v) FROM raw GROUP BY i UNION SELECT '{n=0,value=0,weight=0,product=0}') x WHERE t IS NOT NULL;
SELECT cmp_ok((SELECT count(*) FROM tally)::int, '>', 2500, 'enough tallies');
SELECT is_empty('SELECT * FROM tally WHERE t::text::kpi_tally <> t OR kpi.tally_send(t::text::kpi_tally) <> kpi.tally_send(t)', 'text round trip');
SELECT is_empty($$SELECT * FROM tally WHERE t::text ~ '\.[0-9]*0[,}]' OR t::text ~ '=-0[,}]'$$, 'no trailing zeros, no negative zero');
SELECT is(' {n=3.0,value=06.500,weight=3,product=12.0,min=-0,max=3} '::kpi_tally::text, '{n=3,value=6.5,weight=3,product=12,min=0,max=3}', 'input is trimmed');
SELECT is_empty('SELECT a.t FROM tally a JOIN tally b ON a.t = b.t WHERE kpi.tally_send(a.t) <> kpi.tally_send(b.t)', 'equal tallies are identical in bytes');

-- sent bytes: version 1, flags, n, ... in numeric's binary form (count of words, weight, sign, places; words)
SELECT is(kpi.tally_send(kpi.tally_agg(5)), '\x011e000100000000000000010001000000000000000500010000000000000005', 'one value: known (2), weight (4), product (8), one extreme (16)');
SELECT is(kpi.tally_send('{n=0,value=0,weight=0,product=0}'), '\x010c00000000000000000000000000000000', 'nothing observed');
SELECT is(kpi.tally_send('{n=1,value=-1.5,weight=20000,product=3,min=?,max=?}'),
          '\x0101000100000000000000010002000040000001000113880001000100000000000200010000000000000003', 'all figures, extremes unknown');

-- receives a tally as COPY in binary form does
CREATE TEMP TABLE received (t kpi_tally);
CREATE FUNCTION pg_temp.receive(variadic sent bytea[]) RETURNS SETOF kpi_tally LANGUAGE plpgsql AS $$
DECLARE
    message bytea := '\x5047434f50590aff0d0a000000000000000000';
    one bytea;
    octal text;
BEGIN
    DELETE FROM received;
    FOREACH one IN ARRAY sent LOOP
        message := message || int2send(1::int2) || int4send(length(one)) || one;
    END LOOP;
    message := message || '\xffff'::bytea;
    SELECT string_agg('\' || lpad(((get_byte(message, k) / 64) * 100 + (get_byte(message, k) / 8 % 8) * 10 + get_byte(message, k) % 8)::text, 3, '0'), '' ORDER BY k)
    INTO octal FROM generate_series(0, length(message) - 1) AS k;
    EXECUTE format('COPY received FROM PROGRAM %L (FORMAT binary)', format('printf ''%s''', octal));
    RETURN QUERY SELECT t FROM received;
END $$;
SELECT is_empty($$SELECT t FROM tally WHERE i % 10 = 0
                  EXCEPT SELECT r FROM (SELECT i / 1000 AS batch, array_agg(kpi.tally_send(t)) AS sent FROM tally WHERE i % 10 = 0 GROUP BY 1) x,
                                       pg_temp.receive(VARIADIC sent) AS r$$, 'binary round trip');
SELECT throws_ok(format('SELECT pg_temp.receive(%L)', sent), state, message, why)
FROM (VALUES
 ('\x021e000100000000000000010001000000000000000500010000000000000005'::bytea, '22P03', 'version 2 of the binary form of type kpi_tally is not supported', 'a later version'),
 ('\x001e000100000000000000010001000000000000000500010000000000000005', '22P03', 'version 0 of the binary form of type kpi_tally is not supported', 'version 0'),
 ('\x013e000100000000000000010001000000000000000500010000000000000005', '22P03', 'invalid binary form of type kpi_tally', 'a reserved flag'),
 ('\x011f000100000000000000010001000000000000000500010000000000000005', '22P03', 'invalid binary form of type kpi_tally', 'extremes known and unknown'),
 ('\x010e00010000000000000001000100000000000000050001000000000000000500010000000000000005', '22P03', 'invalid binary form of type kpi_tally', 'a maximum that could be left out'),
 ('\x010e00010000000000000001000100000000000000050001000000000000000500010000000000000004', '22P03', 'invalid binary form of type kpi_tally', 'minimum above maximum'),
 ('\x011e00010000c000000000010001000000000000000500010000000000000005', '22P03', 'invalid binary form of type kpi_tally', 'NaN'),
 ('\x011e00010000d000000000010001000000000000000500010000000000000005', '22P03', 'invalid binary form of type kpi_tally', 'infinity'),
 ('\x011e000100000000000200010001000000000000000500010000000000000005', '22P03', 'invalid binary form of type kpi_tally', 'a trailing zero'),
 ('\x011e0002000100000000000000010001000000000000000500010000000000000005', '22P03', 'invalid binary form of type kpi_tally', 'a leading zero word'),
 ('\x011e000100000000000027100001000000000000000500010000000000000005', '22P03', 'invalid digit in external "numeric" value', 'a word of 10000'),
 ('\x011e00010000000000000001000100000000000000050001000000000000000500', '22P03', 'incorrect binary data format', 'bytes after the end'),
 ('\x011e0001000000000000000100010000000000000005', '08P01', 'insufficient data left in message', 'bytes missing'),
 ('\x01', '08P01', 'no data left in message', 'the version alone')) x(sent, state, message, why);

-- assignment casts, as drivers need them
CREATE TEMP TABLE assigned (t kpi_tally);
PREPARE put_text(text) AS INSERT INTO assigned VALUES ($1);
PREPARE put_varchar(varchar) AS INSERT INTO assigned VALUES ($1);
SELECT lives_ok($$EXECUTE put_text('{n=1,value=2,weight=1,product=2,min=2,max=2}')$$, 'text is assigned');
SELECT lives_ok($$EXECUTE put_varchar('{n=1,value=2,weight=1,product=2,min=2,max=2}')$$, 'varchar is assigned');
SELECT is((SELECT kpi.merge_agg(t)::text FROM assigned), '{n=2,value=4,weight=2,product=4,min=2,max=2}', 'and read');

-- stored short, long and compressed
CREATE TEMP TABLE stored (t kpi_tally, big kpi_tally);
INSERT INTO stored SELECT kpi.tally_agg(7), ('{n=1,value=' || repeat('1234567', 4000) || ',weight=1,product=' || repeat('7', 9000) || '.' || repeat('12', 3000) || ',min=?,max=?}')::kpi_tally;
SELECT is(t::text, '{n=1,value=7,weight=1,product=7,min=7,max=7}', 'stored small') FROM stored;
SELECT is(big::text, '{n=1,value=' || repeat('1234567', 4000) || ',weight=1,product=' || repeat('7', 9000) || '.' || repeat('12', 3000) || ',min=?,max=?}', 'stored large') FROM stored;
SELECT is(big - big, '{n=0,value=0,weight=0,product=0,min=?,max=?}'::kpi_tally, 'computed with, large') FROM stored;

-- ---- equality and order
SELECT is((SELECT count(DISTINCT t) FROM tally), (SELECT count(DISTINCT t::text) FROM tally), 'DISTINCT by sorting');
SET LOCAL enable_sort = off;
SELECT is((SELECT count(*) FROM (SELECT t FROM tally GROUP BY t) x), (SELECT count(DISTINCT t::text) FROM tally), 'GROUP BY by hashing');
SET LOCAL enable_sort = on;
SELECT is_empty('SELECT * FROM tally a JOIN tally b ON a.i = b.i + 1 WHERE (a.t < b.t)::int + (a.t = b.t)::int + (a.t > b.t)::int <> 1
                 OR (a.t <= b.t) <> NOT (a.t > b.t) OR (a.t >= b.t) <> NOT (a.t < b.t) OR (a.t <> b.t) <> NOT (a.t = b.t)', 'exactly one of <, =, > holds');
SELECT is_empty('SELECT * FROM tally WHERE kpi.tally_hash(t) <> kpi.tally_hash(t::text::kpi_tally) OR kpi.tally_hash_extended(t, 0)::bit(32) <> kpi.tally_hash(t)::bit(32)', 'equal tallies hash alike');
SELECT is((SELECT string_agg(t::text, ' ' ORDER BY t) FROM (VALUES ('{n=1,value=1,weight=1,product=1,min=?,max=?}'::kpi_tally), ('{n=1,value=1,weight=1,product=1,min=1,max=1}'),
          ('{n=1,value=1,weight=1,product=1}'), ('{n=1,value=-1,weight=1,product=1}'), ('{n=0.5,value=9,weight=9,product=9}'), ('{n=1,value=1,weight=1,product=1,min=1,max=2}')) x(t)),
          '{n=0.5,value=9,weight=9,product=9} {n=1,value=-1,weight=1,product=1} {n=1,value=1,weight=1,product=1} {n=1,value=1,weight=1,product=1,min=1,max=1} {n=1,value=1,weight=1,product=1,min=1,max=2} {n=1,value=1,weight=1,product=1,min=?,max=?}',
          'order: n, sums, then nothing observed, known and unknown extremes');
SELECT lives_ok('CREATE INDEX tally_t ON tally USING hash (t)', 'hash index');
SELECT lives_ok('CREATE UNIQUE INDEX tally_u ON tally (t)', 'unique btree index');

-- ---- a parallel plan gives the same
CREATE TABLE wide AS SELECT i, v, w, i % 5 AS g FROM raw, generate_series(1, 3);
ANALYZE wide;
CREATE TEMP TABLE serial AS SELECT g, kpi.tally_agg(v) AS a, kpi.tally_agg(v, w) AS b, kpi.weighted_mean(v, w) AS m FROM wide GROUP BY g;
CREATE TABLE pieces AS SELECT i % 5 AS g, kpi.tally_agg(v, w) AS t FROM raw GROUP BY i, i % 5;
ANALYZE pieces;
CREATE TEMP TABLE serial_merge AS SELECT g, kpi.merge_agg(t) AS t FROM pieces GROUP BY g;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 2;
CREATE FUNCTION pg_temp.plan_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    plan text := '';
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        plan := plan || line || E'\n';
    END LOOP;
    RETURN plan;
END $$;
SELECT matches(pg_temp.plan_of('SELECT g, kpi.tally_agg(v), kpi.tally_agg(v, w), kpi.weighted_mean(v, w) FROM wide GROUP BY g'), 'Partial', 'tally_agg and weighted_mean run in parallel');
SELECT matches(pg_temp.plan_of('SELECT g, kpi.merge_agg(t) FROM pieces GROUP BY g'), 'Partial', 'merge_agg runs in parallel');
CREATE TABLE in_parallel AS SELECT g, kpi.tally_agg(v) AS a, kpi.tally_agg(v, w) AS b, kpi.weighted_mean(v, w) AS m FROM wide GROUP BY g;
CREATE TABLE merged_in_parallel AS SELECT g, kpi.merge_agg(t) AS t FROM pieces GROUP BY g;
SELECT results_eq('SELECT * FROM in_parallel ORDER BY g', 'SELECT * FROM serial ORDER BY g', 'and give what they give serially');
SELECT results_eq('SELECT * FROM merged_in_parallel ORDER BY g', 'SELECT * FROM serial_merge ORDER BY g', 'merge_agg too');
SET LOCAL max_parallel_workers_per_gather = 0;

-- ---- moving frames equal recomputation
CREATE TEMP TABLE series AS SELECT row_number() OVER (ORDER BY shape IN (6, 8), i) AS i, v, w, (i % 11)::numeric - 5 AS s FROM raw WHERE shape IN (2, 3, 6, 8, 11);
ALTER TABLE series ADD PRIMARY KEY (i);
ANALYZE series;
CREATE FUNCTION pg_temp.frames(width int) RETURNS SETOF bigint LANGUAGE sql AS $$
  SELECT i FROM (
    SELECT i, kpi.tally_agg(v) OVER win AS a, kpi.tally_agg(v, w) OVER win AS b, kpi.weighted_mean(v, w) OVER win AS m, kpi.tally_agg(s) OVER win AS c
    FROM series WINDOW win AS (ORDER BY i ROWS BETWEEN width PRECEDING AND 1 FOLLOWING)) x,
  LATERAL (
    SELECT pg_temp.written(count(v), sum(v), count(v), sum(v), min(v), max(v)) AS a,
           pg_temp.written(count(v + w), sum(v) FILTER (WHERE w IS NOT NULL), sum(w) FILTER (WHERE v IS NOT NULL), sum(v * w),
                           min(v) FILTER (WHERE w IS NOT NULL), max(v) FILTER (WHERE w IS NOT NULL)) AS b,
           kpi.weighted_mean(kpi.tally_agg(v, w)) AS m,
           pg_temp.written(count(s), sum(s), count(s), sum(s), min(s), max(s)) AS c
    FROM series y WHERE y.i BETWEEN x.i - width AND x.i + 1) z
  WHERE (x.a::text, x.b::text, x.m, x.c::text) IS DISTINCT FROM (z.a, z.b, z.m, z.c) $$;
SELECT is_empty(format('SELECT pg_temp.frames(%s)', width), format('frames of %s rows equal recomputation', width + 2))
FROM (VALUES (0), (1), (5), (40)) x(width);
CREATE TEMP TABLE moving AS
SELECT i, CASE WHEN i % 5 = 0 THEN NULL WHEN i % 37 = 1 THEN t - t ELSE t END AS t
FROM (SELECT i, CASE WHEN i % 7 = 0 THEN '{n=0,value=0,weight=0,product=0}' ELSE kpi.tally_agg(v, w) END AS t FROM series GROUP BY i) x;
ALTER TABLE moving ADD PRIMARY KEY (i);
ANALYZE moving;
SELECT is_empty(format($$
  SELECT i, t, (SELECT kpi.merge_agg(y.t) FROM moving y WHERE y.i BETWEEN x.i - %1$s AND x.i)
  FROM (SELECT i, kpi.merge_agg(t) OVER (ORDER BY i ROWS %1$s PRECEDING) AS t FROM moving) x
  WHERE t IS DISTINCT FROM (SELECT kpi.merge_agg(y.t) FROM moving y WHERE y.i BETWEEN x.i - %1$s AND x.i)$$, width),
  format('merge_agg over frames of %s tallies', width + 1))
FROM (VALUES (0), (1), (6), (30)) x(width);
-- the running value does not change the state it is read from
SELECT is_empty($$
  SELECT i FROM (SELECT i, s, kpi.total(kpi.tally_agg(s) OVER (ORDER BY i)) AS running, sum(s) OVER (ORDER BY i) AS expected FROM series) x WHERE running <> expected $$,
  'running tallies');

SELECT * FROM finish();
ROLLBACK;
