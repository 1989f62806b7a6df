-- Salaries up a seven-tier organisation: 1,155 employees, each a unit under the
-- supervisor, 24 months of payments (FoodMart sample data set, Apache-2.0).
--
-- The numbers expected by name are those that Mondrian's tests of parent-child
-- hierarchies (ParentChildHierarchyTest) publish, to the cent; all others are
-- recursive sums over the raw rows, which know no kpi_path and no kpi_period.
\set QUIET 1
\getenv data KPI_SHARED_DATA
\if :{?data}
\else
\echo 1..0 # SKIP needs shared data: foodmart-hr (KPI_SHARED_DATA is not set)
\quit
\endif
\set found `test -r "$KPI_SHARED_DATA/foodmart-hr/salary.csv" && echo on || echo off`
\if :found
\else
\echo 1..0 # SKIP needs shared data: foodmart-hr is not in KPI_SHARED_DATA
\quit
\endif

BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT plan(26);

-- ---- the raw rows
CREATE TEMP TABLE employee (employee_id int PRIMARY KEY, supervisor_id int, full_name text, position_title text);
CREATE TEMP TABLE salary (pay_date date, employee_id int, salary_paid numeric);
-- \copy takes no variables: a variable holds the whole command
\set copy_rows '\\copy employee FROM ''' :data '/foodmart-hr/employee.csv'' (FORMAT csv, HEADER)'
:copy_rows
\set copy_rows '\\copy salary FROM ''' :data '/foodmart-hr/salary.csv'' (FORMAT csv, HEADER)'
:copy_rows
ANALYZE employee;
ANALYZE salary;
SELECT is((SELECT count(*) FROM employee), 1155::bigint, '1,155 employees');
SELECT is((SELECT count(*) FROM salary), 21252::bigint, '21,252 payments');

-- ---- the organisation: e1, e1.e2, e1.e2.e23 ...; the unit code is the employee's number
INSERT INTO kpi.unit (path, code, name)
WITH RECURSIVE placed AS (
    SELECT employee_id, full_name, 'e' || employee_id AS path FROM employee WHERE supervisor_id IS NULL
    UNION ALL
    SELECT e.employee_id, e.full_name, p.path || '.e' || e.employee_id
      FROM placed p JOIN employee e ON e.supervisor_id = p.employee_id
)
SELECT path, employee_id::text, full_name FROM placed;
SELECT is((SELECT count(*) FROM kpi.unit), 1155::bigint, 'every employee is a unit');
SELECT is((SELECT max(kpi.depth(path)) FROM kpi.unit), 7, 'of seven tiers');

INSERT INTO kpi.measure (code, name, rollup) VALUES
('salary', 'Salary paid', 'sum'),
('payments', 'Number of payments', 'count');
SELECT is(kpi.deploy('salary', 'e1')::bigint, 1155::bigint, 'one KPI for the salary of each');
SELECT is(kpi.deploy('payments', 'e1')::bigint, 1155::bigint, 'and one for the number of payments');

-- ---- the facts: salaries by COPY through the natural keys, payments by INSERT ... SELECT
\set copy_rows '\\copy kpi.fact_entry (unit, measure, period, value) FROM PROGRAM ''sed -n "s/^\\(....-..\\)-..,\\([0-9]*\\),\\(.*\\)$/\\2,salary,\\1,\\3/p" "$KPI_SHARED_DATA/foodmart-hr/salary.csv"'' (FORMAT csv)'
:copy_rows
INSERT INTO kpi.fact (kpi_id, period, value, reference)
SELECT k.kpi_id, kpi.period(s.pay_date, 'month'), s.salary_paid, format('payment %s %s', s.employee_id, s.pay_date)
  FROM salary s
  JOIN kpi.unit u ON u.code = s.employee_id::text
  JOIN kpi.kpi k ON k.unit_id = u.unit_id
  JOIN kpi.measure m ON m.measure_id = k.measure_id AND m.code = 'payments';
SELECT is((SELECT count(*) FROM kpi.fact), 2 * 21252::bigint, '21,252 facts of each measure');

-- ---- what must come out
CREATE TEMP TABLE published (unit text, salary_1997 numeric, payments_1997 numeric, salary_all numeric, payments_all numeric);
INSERT INTO published VALUES
('Sheri Nowmer', 39431.67, 7392, 271552.44, 21252),
('Derrick Whelply', 36494.07, 7236, 75777.54, 14472),
('Beverly Baker', 4938.83, 948, 10256.30, 1896),
('Pedro Castillo', 14024.04, 2820, 29121.55, 5640),
('Laurie Borges', 17099.20, 3456, 35487.69, 6912),
('Shauna Wyro', 358.54, 48, 752.96, 96),
('Rebecca Kanagaki', 234.36, 24, 554.76, 60),
('Darren Stanz', 832.68, 60, 1997.88, 168);

-- who is at or below whom, from the raw rows alone
CREATE TEMP TABLE below AS
WITH RECURSIVE up AS (
    SELECT employee_id, employee_id AS boss FROM employee
    UNION ALL
    SELECT u.employee_id, e.supervisor_id FROM up u JOIN employee e ON e.employee_id = u.boss WHERE e.supervisor_id IS NOT NULL
)
SELECT * FROM up;
-- and what they were paid, by month, quarter, half and year
CREATE TEMP TABLE expected AS
SELECT b.boss::text AS code, p.period, sum(s.salary_paid) AS salary, count(*)::numeric AS payments
  FROM salary s
  JOIN below b ON b.employee_id = s.employee_id
 CROSS JOIN LATERAL (VALUES (to_char(s.pay_date, 'YYYY-MM')),
                            (to_char(s.pay_date, 'YYYY"-Q"Q')),
                            (to_char(s.pay_date, 'YYYY"-H"') || CASE WHEN extract(month FROM s.pay_date) <= 6 THEN 1 ELSE 2 END),
                            (to_char(s.pay_date, 'YYYY'))) AS p (period)
 GROUP BY 1, 2;

-- once read over what is pending, once folded
CREATE TEMP TABLE shown AS
SELECT u.code, a.unit_name, a.measure, a.period, a.period::text AS period_text, a.grain, a.actual, a.coverage, a.status, a.tally
  FROM kpi.attainment a JOIN kpi.unit u ON u.unit_id = a.unit_id;

CREATE FUNCTION pg_temp.check_numbers(state text) RETURNS SETOF text LANGUAGE plpgsql AS $test$
BEGIN
    RETURN NEXT set_eq(
        'SELECT p.unit, round(s.actual, 2), n.actual FROM published p
           LEFT JOIN shown s ON s.unit_name = p.unit AND s.measure = ''salary'' AND s.period = ''1997''::kpi_period
           LEFT JOIN shown n ON n.unit_name = p.unit AND n.measure = ''payments'' AND n.period = ''1997''::kpi_period',
        'SELECT unit, salary_1997, payments_1997 FROM published',
        state || ': the published numbers of 1997');
    RETURN NEXT set_eq(
        'SELECT p.unit, (SELECT round(kpi.total(kpi.merge_agg(s.tally)), 2) FROM shown s
                          WHERE s.unit_name = p.unit AND s.measure = ''salary'' AND s.grain = ''year''),
                (SELECT kpi.observations(kpi.merge_agg(s.tally))::numeric FROM shown s
                  WHERE s.unit_name = p.unit AND s.measure = ''payments'' AND s.grain = ''year'')
           FROM published p',
        'SELECT unit, salary_all, payments_all FROM published',
        state || ': the published numbers of all 24 months, merging the tallies of both years');
    RETURN NEXT set_eq(
        'SELECT p.unit, (SELECT round(sum(s.actual), 2) FROM shown s
                          WHERE s.unit_name = p.unit AND s.measure = ''salary'' AND s.grain = ''month''),
                (SELECT sum(s.actual) FROM shown s
                  WHERE s.unit_name = p.unit AND s.measure = ''payments'' AND s.grain = ''month'')
           FROM published p',
        'SELECT unit, salary_all, payments_all FROM published',
        state || ': and adding the 24 months');
    RETURN NEXT results_eq(
        'SELECT (SELECT actual FROM shown WHERE code = ''1'' AND measure = ''salary'' AND period = ''1997''::kpi_period)::text,
                (SELECT kpi.total(kpi.merge_agg(tally)) FROM shown WHERE code = ''1'' AND measure = ''salary'' AND grain = ''year'')::text',
        $$VALUES ('39431.6712', '271552.4411')$$,
        state || ': the root''s totals, unrounded');
    RETURN NEXT is_empty(
        '(SELECT code, period_text, actual FROM shown WHERE measure = ''salary'' EXCEPT SELECT code, period, salary FROM expected)
         UNION ALL
         (SELECT code, period, salary FROM expected EXCEPT SELECT code, period_text, actual FROM shown WHERE measure = ''salary'')',
        state || ': the salaries of every employee in every period are the recursive sums');
    RETURN NEXT is_empty(
        '(SELECT code, period_text, actual FROM shown WHERE measure = ''payments'' EXCEPT SELECT code, period, payments FROM expected)
         UNION ALL
         (SELECT code, period, payments FROM expected EXCEPT SELECT code, period_text, actual FROM shown WHERE measure = ''payments'')',
        state || ': so are the payments');
    RETURN NEXT is((SELECT count(*) FROM shown), (SELECT 2 * count(*) FROM expected), state || ': one row each');
END
$test$;
SELECT pg_temp.check_numbers('pending');

SELECT ok(kpi.fold() > 0, 'what was pending is folded');
SELECT is((SELECT count(*) FROM kpi.dirty()), 0::bigint, 'nothing is left over');
TRUNCATE shown;
INSERT INTO shown
SELECT u.code, a.unit_name, a.measure, a.period, a.period::text, a.grain, a.actual, a.coverage, a.status, a.tally
  FROM kpi.attainment a JOIN kpi.unit u ON u.unit_id = a.unit_id;
SELECT pg_temp.check_numbers('folded');
SELECT is_empty('SELECT * FROM kpi.verify()', 'kpi.verify() finds nothing');

-- Published: 616 employees of the root's organisation, the root one of them,
-- were paid in 1997.
SELECT is((SELECT count(DISTINCT f.kpi_id)
             FROM kpi.fact f
             JOIN kpi.kpi k ON k.kpi_id = f.kpi_id
             JOIN kpi.unit u ON u.unit_id = k.unit_id
             JOIN kpi.measure m ON m.measure_id = k.measure_id
            WHERE u.path <@ 'e1'::kpi_path AND m.code = 'payments' AND f.period <@ '1997'::kpi_period),
          616::bigint, '616 employees were paid in 1997');
SELECT is((SELECT count(*) FROM shown WHERE measure = 'payments' AND period = '1997'), 616::bigint,
          'nobody else has a row in 1997: all of their supervisors were paid too');

SELECT * FROM finish();
ROLLBACK;
