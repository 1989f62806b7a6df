-- Entry by natural keys: the views, the functions and their overloads, what
-- they refuse, that a statement writes once and all or nothing, and the rights
-- they run with.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT no_plan();

INSERT INTO kpi.unit (path, code) VALUES ('acme', NULL), ('acme.sales', 'S/1'), ('acme.ops', 'acme.sales'), ('acme.ops.plant', NULL);
INSERT INTO kpi.measure (code, grain, fiscal_start, scoring) VALUES ('revenue', 'month', 1, 'ratio'), ('staff', 'quarter', 4, 'range'), ('calls', 'day', 1, 'curve');

-- ---- deploy and kpi_id
SELECT is(kpi.deploy('revenue', 'acme.ops'), 2::bigint, 'deploy creates KPIs for a subtree');
SELECT is(kpi.deploy('revenue', 'acme'), 2::bigint, 'and leaves those that exist');
SELECT is(kpi.deploy('staff', 'acme'::kpi_path, '{2}'), 2::bigint, 'or only on some levels');
SELECT is(kpi.deploy('staff', 'acme', ARRAY[1, 2]::smallint[]), 1::bigint, 'levels may be smallint');
SELECT is(kpi.deploy('calls', 'S/1'), 1::bigint, 'under a unit by code');
SELECT throws_ok($$SELECT kpi.deploy('nothing', 'acme')$$, '42704', 'measure "nothing" does not exist');
SELECT throws_ok($$SELECT kpi.deploy('revenue', 'nowhere')$$, '42704', 'unit "nowhere" does not exist');
SELECT is(kpi.kpi_id('S/1', 'revenue'), kpi.kpi_id('acme.sales', 'revenue'), 'a KPI by unit code');
SELECT is((SELECT u.path::text FROM kpi.kpi JOIN kpi.unit u USING (unit_id) WHERE kpi_id = kpi.kpi_id('acme.sales', 'revenue')), 'acme.sales',
          'a text that is the path of one unit and the code of another means the path');
SELECT is(kpi.kpi_id('acme.sales'::kpi_path, 'revenue'), kpi.kpi_id('acme.sales', 'revenue'), 'a KPI by path');
SELECT throws_ok($$SELECT kpi.kpi_id('nowhere', 'revenue')$$, '42704', 'KPI of unit "nowhere" and measure "revenue" does not exist');
SELECT throws_ok($$SELECT kpi.kpi_id('acme', 'nothing')$$, '42704', 'KPI of unit "acme" and measure "nothing" does not exist');
SELECT throws_ok($$SELECT kpi.kpi_id('acme', 'calls')$$, '42704', 'KPI of unit "acme" and measure "calls" does not exist');
SELECT throws_ok($$SELECT kpi.kpi_id(NULL::text, 'calls')$$, '42704', 'KPI of unit "null" and measure "calls" does not exist');

-- ---- record_fact: every mix of literals, columns and types finds its overload
CREATE TEMP TABLE given AS SELECT 'acme.sales'::text AS t, 'acme.sales'::varchar AS v, 'acme.sales'::kpi_path AS p, 'revenue'::text AS m,
       '2026-08'::text AS pt, '2026-08'::varchar AS pv, '2026-08'::kpi_period AS pp, '2026-08-31'::date AS d, 1 AS n, 2.5::numeric AS x;
SELECT lives_ok(format('SELECT kpi.record_fact(%s, %s, %s, %s) FROM given', u, m, p, n), format('record_fact(%s, %s, %s, %s)', u, m, p, n))
  FROM unnest('{"''acme.sales''",t,v,p}'::text[]) u, unnest('{"''revenue''",m}'::text[]) m, unnest('{"''2026-08''",pt,pv,pp,d}'::text[]) p, unnest('{100,n,x,"''7''"}'::text[]) n;
SELECT is((SELECT array_agg(DISTINCT f.period::text) FROM kpi.fact f), '{2026-08}', 'all in the same period: a date falls into its month');
SELECT is((SELECT count(*) FROM kpi.fact f WHERE kpi_id = kpi.kpi_id('acme.sales', 'revenue')), 160::bigint, '4 x 2 x 5 x 4 calls');
SELECT lives_ok(format('SELECT kpi.set_fact(%s, %L, %s, 7, 2, %L)', u, 'revenue', p, 'n'), format('set_fact(%s, revenue, %s)', u, p))
  FROM unnest('{"''acme.sales''","''acme.sales''::text","''acme.sales''::kpi_path"}'::text[]) u, unnest('{"''2026-08''","''2026-08''::text","''2026-08''::kpi_period"}'::text[]) p;
SELECT results_eq($$SELECT value, weight, note FROM kpi.fact$$, $$VALUES (7::numeric, 2::numeric, 'n')$$, 'set_fact replaces all facts of the KPI and period');
SELECT lives_ok($$SELECT kpi.set_fact('acme.sales', 'revenue', '2026-09', 1)$$);
SELECT is((SELECT count(*) FROM kpi.fact), 2::bigint, 'and of no other period');
DELETE FROM kpi.fact;
SELECT lives_ok($$SELECT kpi.record_fact('acme', 'revenue', '2026-08-14', 1), kpi.record_fact('acme', 'staff', '2026-08-14', 2),
                         kpi.record_fact('acme', 'staff', date '2027-01-01', 3), kpi.record_fact('S/1', 'calls', '2026-08-14', 4)$$);
SELECT results_eq($$SELECT period::text FROM kpi.fact ORDER BY value$$, ARRAY['2026-08', 'FY2027-Q2/04', 'FY2027-Q4/04', '2026-08-14'],
                  'a day, written as date or text, falls into its period of the measure''s grain and fiscal start');
SELECT throws_ok($$SELECT kpi.record_fact('acme', 'revenue', '2026-08-14'::kpi_period, 1)$$, '22023', 'period "2026-08-14" for unit "acme" does not fit measure "revenue"');
SELECT throws_ok($$SELECT kpi.set_fact('acme', 'revenue', '2026-08-14', 1)$$, '22023', NULL, 'set_fact replaces a period named, not one guessed from a day');
SELECT throws_ok($$SELECT kpi.record_fact('acme', 'revenue', '2026-Q3', 1)$$, '22023', 'period "2026-Q3" for unit "acme" does not fit measure "revenue"');
SELECT throws_ok($$SELECT kpi.record_fact('acme', 'staff', '2026-Q3', 1)$$, '22023', 'period "2026-Q3" for unit "acme" does not fit measure "staff"');
SELECT throws_ok($$SELECT kpi.record_fact('acme', 'revenue', 'August', 1)$$, '22P02', NULL, 'a period must be one');
SELECT throws_ok($$SELECT kpi.record_fact('acme', 'revenue', '2026-08', NULL)$$, '23502', 'value for unit "acme" and measure "revenue" must not be null');
SELECT throws_ok($$SELECT kpi.record_fact('acme', 'revenue', '2026-08', 1, NULL)$$, '23502', 'weight for unit "acme" and measure "revenue" must not be null');
SELECT throws_ok(format('SELECT kpi.record_fact(%L, %L, %L, %L)', 'acme', 'revenue', '2026-08', v), '22003',
                 format('value "%s" for unit "acme" and measure "revenue" in 2026-08 is out of range', v))
  FROM unnest('{NaN,Infinity,-Infinity,1000000000000000000000000000000,0.000000000000000000001}'::text[]) v;
SELECT throws_ok($$SELECT kpi.set_fact('acme', 'revenue', '2026-08', 1, 'NaN')$$, '22003', 'weight "NaN" for unit "acme" and measure "revenue" in 2026-08 is out of range');
SELECT lives_ok($$SELECT kpi.record_fact('acme', 'revenue', '2026-08', -999999999999999999999999999999.99999999999999999999000)$$, 'the largest number fits, trailing zeros do not count');

-- ---- set_target, link_kpi
SELECT lives_ok(format('SELECT kpi.set_target(%s, %L, %s, %s)', u, 'revenue', p, 10), format('set_target(%s, revenue, %s)', u, p))
  FROM unnest('{"''acme''","''acme''::text","''acme''::kpi_path"}'::text[]) u, unnest('{"''2026''","''2026''::text","''2026''::kpi_period"}'::text[]) p;
UPDATE kpi.target SET note = 'kept';
SELECT is(kpi.set_target('acme', 'revenue', '2026', 20, 5), (SELECT target_id FROM kpi.target), 'set_target replaces, and returns the key');
SELECT results_eq($$SELECT value, baseline, note FROM kpi.target$$, $$VALUES (20::numeric, 5::numeric, 'kept')$$);
SELECT lives_ok($$SELECT kpi.set_target('acme', 'staff', 'FY2027/04', NULL, low => 3, high => 5)$$, 'a range without value');
SELECT lives_ok($$SELECT kpi.link_kpi('acme.ops', 'revenue', 'acme', 'revenue', 'score', 2, '2026-01-01', '2027-01-01'),
                         kpi.link_kpi('S/1', 'revenue', 'acme', 'revenue', 'score'), kpi.link_kpi('acme.ops.plant'::kpi_path, 'revenue', 'acme.ops', 'revenue', 'aligned')$$);
SELECT results_eq($$SELECT contributes, weight, valid_from, valid_to FROM kpi.link WHERE child_kpi_id = kpi.kpi_id('acme.ops', 'revenue')$$,
                  $$VALUES ('score', 2::numeric, '2026-01-01'::date, '2027-01-01'::date)$$);
SELECT throws_ok($$SELECT kpi.link_kpi('acme.ops', 'revenue', 'acme', 'calls', 'score')$$, '42704', 'KPI of unit "acme" and measure "calls" does not exist');

-- ---- fact_entry
DELETE FROM kpi.fact;
SELECT results_eq($$INSERT INTO kpi.fact_entry (unit, measure, period, value, reference) VALUES ('acme', 'revenue', '2026-07', 1, 'a'), ('S/1', 'revenue', '2026-07', 2, 'b') RETURNING value$$,
                  ARRAY[1::numeric, 2], 'rows go in and come back');
SELECT results_eq($$SELECT unit, measure, period, value, weight, reference, note FROM kpi.fact_entry ORDER BY value$$,
                  $$VALUES ('acme', 'revenue', '2026-07', 1::numeric, 1::numeric, 'a', NULL), ('acme.sales', 'revenue', '2026-07', 2, 1, 'b', NULL)$$,
                  'weight is 1 where left out, a unit code becomes the path');
SELECT throws_ok(format('INSERT INTO kpi.fact_entry (unit, measure, period, value, weight) VALUES (%L, %L, %L, 1, 1), (%L, %L, %L, %L, %L)', 'acme', 'revenue', '2026-07', u, m, p, v, w), e, t)
  FROM (VALUES
    ('acme.nowhere', 'revenue', '2026-07', '1', '1', '42704', 'KPI of unit "acme.nowhere" and measure "revenue" does not exist'),
    ('acme', 'nothing', '2026-07', '1', '1', '42704', 'KPI of unit "acme" and measure "nothing" does not exist'),
    ('acme', 'calls', '2026-07', '1', '1', '42704', 'KPI of unit "acme" and measure "calls" does not exist'),
    ('acme', 'revenue', '2026-Q3', '1', '1', '22023', 'period "2026-Q3" for unit "acme" does not fit measure "revenue"'),
    ('acme', 'revenue', '2026-07-01', '1', '1', '22023', 'period "2026-07-01" for unit "acme" does not fit measure "revenue"'),
    ('acme', 'staff', '2026-Q3', '1', '1', '22023', 'period "2026-Q3" for unit "acme" does not fit measure "staff"'),
    ('acme', 'revenue', '2026-07', NULL, '1', '23502', 'value for unit "acme" and measure "revenue" must not be null'),
    ('acme', 'revenue', '2026-07', '1', NULL, '23502', 'weight for unit "acme" and measure "revenue" must not be null'),
    ('acme', 'revenue', NULL, '1', '1', '23502', 'period for unit "acme" and measure "revenue" must not be null'),
    (NULL, 'revenue', '2026-07', '1', '1', '23502', 'unit for unit "null" and measure "revenue" must not be null'),
    ('acme', NULL, '2026-07', '1', '1', '23502', 'measure for unit "acme" and measure "null" must not be null'),
    ('acme', 'revenue', '2026-07', 'NaN', '1', '22003', 'value "NaN" for unit "acme" and measure "revenue" in 2026-07 is out of range'),
    ('acme', 'revenue', '2026-07', '1', '-Infinity', '22003', 'weight "-Infinity" for unit "acme" and measure "revenue" in 2026-07 is out of range')) AS r (u, m, p, v, w, e, t);
SELECT is((SELECT count(*) FROM kpi.fact), 2::bigint, 'a statement that fails writes nothing');
SELECT throws_ok($$INSERT INTO kpi.fact_entry (unit, measure, period, value, reference) VALUES ('acme', 'revenue', '2026-07', 1, 'a')$$, '23505', NULL, 'references are unique');

-- one INSERT per statement, whatever brings the rows
CREATE TABLE statements (n int);
CREATE FUNCTION count_statement() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO statements VALUES (1); RETURN NULL; END $$;
CREATE TRIGGER count_statement AFTER INSERT ON kpi.fact FOR EACH STATEMENT EXECUTE FUNCTION count_statement();
INSERT INTO kpi.fact_entry (unit, measure, period, value) SELECT 'acme', 'revenue', '2026-01', i FROM generate_series(1, 1000) i;
SELECT is((SELECT count(*) FROM statements), 1::bigint, 'a statement of 1,000 rows writes once');
INSERT INTO kpi.fact_entry (unit, measure, period, value) SELECT 'acme', 'revenue', '2026-01', 1 WHERE false;
SELECT is((SELECT count(*) FROM statements), 1::bigint, 'one of no rows not at all');
-- rows from a function that writes to the view itself: frames nest
CREATE FUNCTION nested(i int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme', 'revenue', '2026-02', i);
    BEGIN
        INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme', 'revenue', '2026-02', 100), ('acme.nowhere', 'revenue', '2026-02', 1);
    EXCEPTION WHEN undefined_object THEN
        INSERT INTO kpi.target_entry (unit, measure, period, value) VALUES ('acme', 'revenue', '2026-02', i);
    END;
    RETURN 'acme';
END $$;
INSERT INTO kpi.fact_entry (unit, measure, period, value) SELECT nested(i), 'revenue', '2026-03', 10 * i FROM generate_series(1, 3) i;
SELECT results_eq($$SELECT period::text, sum(value), count(*) FROM kpi.fact WHERE period IN ('2026-02', '2026-03') GROUP BY 1 ORDER BY 1$$,
                  $$VALUES ('2026-02', 6::numeric, 3::bigint), ('2026-03', 60, 3)$$, 'nested statements each write their own rows, failed ones none');
SELECT results_eq($$SELECT value FROM kpi.target_entry WHERE period = '2026-02'$$, ARRAY[3::numeric]);
WITH one AS (INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme', 'revenue', '2026-04', 1) RETURNING value),
     two AS (INSERT INTO kpi.fact_entry (unit, measure, period, value) SELECT 'acme', 'revenue', '2026-04', value + 1 FROM one RETURNING value)
SELECT count(*) FROM two \gset
SELECT is((SELECT sum(value) FROM kpi.fact WHERE period = '2026-04'), 3::numeric, 'two inserts of one query');
SAVEPOINT before;
DO $$ BEGIN INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme', 'revenue', '2026-05', 1); RAISE EXCEPTION 'x'; EXCEPTION WHEN raise_exception THEN NULL; END $$;
ROLLBACK TO before;
SELECT lives_ok($$INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme', 'revenue', '2026-05', 1)$$, 'after a rollback');
-- a load that spills to disk
SET LOCAL work_mem = '64kB';
INSERT INTO kpi.fact_entry (unit, measure, period, value, note) SELECT 'acme', 'revenue', '2026-06', i, repeat('x', 100) FROM generate_series(1, 5000) i;
SELECT is((SELECT sum(value) FROM kpi.fact WHERE period = '2026-06'), 12502500::numeric, '5,000 rows beyond work_mem: 5,000 x 5,001 / 2');
RESET work_mem;

-- update and delete by reference
SELECT lives_ok($$UPDATE kpi.fact_entry SET value = value + 5, unit = 'acme.ops', period = '2026-12' WHERE reference = 'a'$$);
SELECT results_eq($$SELECT unit, period, value FROM kpi.fact_entry WHERE reference = 'a'$$, $$VALUES ('acme.ops', '2026-12', 6::numeric)$$);
SELECT throws_ok($$UPDATE kpi.fact_entry SET period = '2026' WHERE reference = 'a'$$, '22023', NULL, 'an update is held to the same rules');
SELECT lives_ok($$DELETE FROM kpi.fact_entry WHERE reference = 'a'$$);
SELECT is((SELECT count(*) FROM kpi.fact WHERE reference = 'a'), 0::bigint);
SELECT throws_ok($$DELETE FROM kpi.fact_entry$$, '0A000', NULL, 'facts without a reference cannot be told apart');

-- ---- target_entry
DELETE FROM kpi.target;
SELECT lives_ok($$INSERT INTO kpi.target_entry (unit, measure, period, value, baseline, note) VALUES ('acme', 'revenue', '2026', 100, 10, 'n'), ('S/1', 'revenue', '2026-08', 5, NULL, NULL)$$);
SELECT lives_ok($$INSERT INTO kpi.target_entry (unit, measure, period, value) VALUES ('acme', 'revenue', '2026', 200)$$, 'an insert sets targets that exist anew');
SELECT results_eq($$SELECT unit, period, value, baseline, note FROM kpi.target_entry ORDER BY unit$$,
                  $$VALUES ('acme', '2026', 200::numeric, NULL::numeric, NULL), ('acme.sales', '2026-08', 5, NULL, NULL)$$);
SELECT throws_ok($$INSERT INTO kpi.target_entry (unit, measure, period, value) VALUES ('S/1', 'revenue', '2026', 1), ('acme.sales', 'revenue', '2026', 2)$$, '21000',
                 'target for unit "acme.sales" and measure "revenue" in 2026 comes twice');
SELECT throws_ok($$INSERT INTO kpi.target_entry (unit, measure, period, value) VALUES ('acme', 'revenue', '2026-07-01', 1)$$, '22023', NULL, 'a target needs a period of the measure');
SELECT throws_ok($$INSERT INTO kpi.target_entry (unit, measure, period) VALUES ('acme', 'revenue', '2026')$$, '23502', NULL, 'and a value');
SELECT throws_ok($$INSERT INTO kpi.target_entry (unit, measure, period, value) VALUES ('acme', 'calls', '2026', 1)$$, '42704', 'KPI of unit "acme" and measure "calls" does not exist');
SELECT lives_ok($$INSERT INTO kpi.target_entry (unit, measure, period, points) VALUES ('acme.sales', 'calls', '2026', '{{0,0},{10,1}}')$$);
SELECT lives_ok($$UPDATE kpi.target_entry SET value = value * 2, period = '2027' WHERE unit = 'acme'$$);
SELECT lives_ok($$DELETE FROM kpi.target_entry WHERE measure = 'calls'$$);
SELECT results_eq($$SELECT unit, period, value FROM kpi.target_entry ORDER BY unit$$, $$VALUES ('acme', '2027', 400::numeric), ('acme.sales', '2026-08', 5)$$);

-- ---- rights: the caller's
DROP TRIGGER count_statement ON kpi.fact;
DELETE FROM kpi.fact;
CREATE ROLE kpi_test_clerk;
GRANT USAGE ON SCHEMA kpi TO kpi_test_clerk;
GRANT SELECT ON kpi.unit, kpi.measure, kpi.kpi TO kpi_test_clerk;
GRANT INSERT ON kpi.fact TO kpi_test_clerk;
GRANT INSERT, SELECT ON kpi.fact_entry TO kpi_test_clerk;
SET LOCAL ROLE kpi_test_clerk;
SELECT throws_ok($$SELECT kpi.record_fact('acme', 'revenue', '2026-08', 1)$$, '42501', NULL, 'nothing that writes is granted to PUBLIC');
SELECT throws_ok($$SELECT value FROM kpi.fact_entry$$, '42501', NULL, 'the view shows nobody more than the tables do');
RESET ROLE;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA kpi TO kpi_test_clerk;
GRANT SELECT (fact_id) ON kpi.fact TO kpi_test_clerk;
SET LOCAL ROLE kpi_test_clerk;
SELECT lives_ok($$SELECT kpi.record_fact('acme', 'revenue', '2026-08', 1)$$, 'INSERT on fact is enough to write facts');
SELECT lives_ok($$INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme', 'revenue', '2026-08', 2)$$);
SELECT throws_ok($$SELECT kpi.set_target('acme', 'revenue', '2026', 2)$$, '42501', NULL, 'but not targets');
RESET ROLE;
SELECT is((SELECT sum(value) FROM kpi.fact), 3::numeric);
-- writers of one table need nothing on the tables its rules look at
GRANT INSERT, UPDATE, DELETE, SELECT ON kpi.unit TO kpi_test_clerk;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA kpi FROM kpi_test_clerk;
SET LOCAL ROLE kpi_test_clerk;
SELECT lives_ok($$INSERT INTO kpi.unit (path) VALUES ('acme.hr.eu'), ('acme.hr')$$, 'DML on unit is enough to insert units');
SELECT lives_ok($$UPDATE kpi.unit SET path = 'acme.people' WHERE path = 'acme.hr'$$, 'to rename them');
SELECT lives_ok($$DELETE FROM kpi.unit WHERE path <@ 'acme.people'$$, 'and to delete them');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
