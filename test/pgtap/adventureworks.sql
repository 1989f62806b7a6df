-- AdventureWorks finance (MIT): 14 organisations with shares of ownership, a
-- tree of 98 accounts with operators + - ~, 39,409 postings.
--
-- unit = organisation, with its share; measure = account, one KPI each for every
-- organisation.  An account feeds the account above it at the same organisation
-- over a value link of weight 1 (+) or -1 (-); ~ feeds nothing.  The shares work
-- on implied links between the organisations.  Each posting of scenario Actual
-- is one fact (so departments are several facts of a KPI and month, the
-- department in the note), in the month of its date.  Balances are stocks
-- (time_rollup last), all else flows (pool).  Budget, summed over departments,
-- becomes the targets.  Nobody publishes totals: every number is compared with
-- plain SQL over the raw rows, digit for digit.
--
-- Amounts are what binary floating point left (1234.5600000000001) and must
-- come out as they went in.
\set QUIET 1
\getenv data KPI_SHARED_DATA
\if :{?data}
\else
\echo 1..0 # SKIP needs shared data: adventureworks-finance (KPI_SHARED_DATA is not set)
\quit
\endif
\set found `test -r "$KPI_SHARED_DATA/adventureworks-finance/FactFinance.csv" && echo on || echo off`
\if :found
\else
\echo 1..0 # SKIP needs shared data: adventureworks-finance is not in KPI_SHARED_DATA
\quit
\endif

BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT plan(28);

-- ---- the raw rows
CREATE TEMP TABLE organisation (organization_key int PRIMARY KEY, parent_key int, share numeric, name text, currency_key int);
CREATE TEMP TABLE account (account_key int PRIMARY KEY, parent_key int, code text, parent_code text, description text,
                           type text, operator text, custom_members text, value_type text, custom_member_options text);
CREATE TEMP TABLE department (department_group_key int PRIMARY KEY, parent_key int, name text);
CREATE TEMP TABLE scenario (scenario_key int PRIMARY KEY, name text);
CREATE TEMP TABLE posting (finance_key int PRIMARY KEY, posted date, organization_key int, department_group_key int,
                           scenario_key int, account_key int, amount numeric);
\set folder :data '/adventureworks-finance/'
\set copy_rows '\\copy organisation FROM ''' :folder 'DimOrganization.csv'' (FORMAT csv, HEADER)'
:copy_rows
\set copy_rows '\\copy account FROM ''' :folder 'DimAccount.csv'' (FORMAT csv, HEADER)'
:copy_rows
\set copy_rows '\\copy department FROM ''' :folder 'DimDepartmentGroup.csv'' (FORMAT csv, HEADER)'
:copy_rows
\set copy_rows '\\copy scenario FROM ''' :folder 'DimScenario.csv'' (FORMAT csv, HEADER)'
:copy_rows
\set copy_rows '\\copy posting FROM ''' :folder 'FactFinance.csv'' (FORMAT csv, HEADER)'
:copy_rows
ANALYZE organisation, account, posting;
SELECT is((SELECT count(*) FROM posting), 39409::bigint, '39,409 postings');
SELECT results_eq('SELECT s.name, count(*) FROM posting p JOIN scenario s USING (scenario_key) GROUP BY 1 ORDER BY 1',
                  $$VALUES ('Actual', 34563::bigint), ('Budget', 4846)$$, 'of two scenarios');
SELECT ok((SELECT count(*) > 1000 FROM posting WHERE scale(amount) > 10), 'amounts carry binary noise');

-- ---- organisations and accounts
INSERT INTO kpi.unit (path, code, name, share)
WITH RECURSIVE placed AS (
    SELECT organization_key, name, share, 'o' || organization_key AS path FROM organisation WHERE parent_key IS NULL
    UNION ALL
    SELECT o.organization_key, o.name, o.share, p.path || '.o' || o.organization_key
      FROM placed p JOIN organisation o ON o.parent_key = p.organization_key
)
SELECT path, organization_key::text, name, share FROM placed;
SELECT is((SELECT count(*) FROM kpi.unit), 14::bigint, '14 organisations');

-- stocks: the balance sheet and the statistics of type Balances
CREATE TEMP VIEW stock AS
WITH RECURSIVE sheet AS (
    SELECT account_key FROM account WHERE code = '1'
    UNION ALL
    SELECT a.account_key FROM sheet s JOIN account a ON a.parent_key = s.account_key
)
SELECT account_key FROM sheet UNION SELECT account_key FROM account WHERE type = 'Balances';
INSERT INTO kpi.measure (code, name, unit_of_measure, direction, time_rollup)
SELECT code, description, value_type, CASE type WHEN 'Expenditures' THEN 'lower' ELSE 'higher' END,
       CASE WHEN account_key IN (SELECT account_key FROM stock) THEN 'last' ELSE 'pool' END
  FROM account;
SELECT is((SELECT sum(kpi.deploy(code, 'o1'))::int FROM account), (SELECT 14 * count(*)::int FROM account),
          'each organisation has a KPI for every account');

CREATE TEMP TABLE key AS
SELECT k.kpi_id, o.organization_key, a.account_key
  FROM kpi.kpi k
  JOIN kpi.unit u ON u.unit_id = k.unit_id
  JOIN kpi.measure m ON m.measure_id = k.measure_id
  JOIN organisation o ON o.organization_key::text = u.code
  JOIN account a ON a.code = m.code;
CREATE UNIQUE INDEX ON key (organization_key, account_key);
ANALYZE key;

INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes, weight)
SELECT c.kpi_id, p.kpi_id, 'value', CASE a.operator WHEN '+' THEN 1 ELSE -1 END
  FROM account a
  JOIN key c ON c.account_key = a.account_key
  JOIN key p ON p.account_key = a.parent_key AND p.organization_key = c.organization_key
 WHERE a.operator IN ('+', '-');

-- ---- actuals are facts, the budget is the target
INSERT INTO kpi.fact (kpi_id, period, value, reference, note)
SELECT k.kpi_id, kpi.period(p.posted, 'month'), p.amount, 'posting ' || p.finance_key, d.name
  FROM posting p
  JOIN key k USING (organization_key, account_key)
  JOIN department d USING (department_group_key)
 WHERE p.scenario_key = 1;
INSERT INTO kpi.target (kpi_id, period, value)
SELECT k.kpi_id, kpi.period(p.posted, 'month'), sum(p.amount)
  FROM posting p JOIN key k USING (organization_key, account_key)
 WHERE p.scenario_key = 2
 GROUP BY 1, 2;
SELECT is((SELECT count(*) FROM kpi.fact), 34563::bigint, '34,563 facts');
SELECT is((SELECT sum(value) FROM kpi.fact), (SELECT sum(amount) FROM posting WHERE scenario_key = 1), 'with every digit');

-- ---- what plain SQL says.  Factors multiply along both trees.
CREATE TEMP TABLE owner AS          -- part of organization_key's amounts that reaches upper
WITH RECURSIVE up AS (
    SELECT organization_key, organization_key AS upper, 1::numeric AS part FROM organisation
    UNION ALL
    SELECT u.organization_key, o.parent_key, u.part * o.share
      FROM up u JOIN organisation o ON o.organization_key = u.upper WHERE o.parent_key IS NOT NULL
)
SELECT * FROM up;
CREATE TEMP TABLE line AS           -- sign with which account_key counts in upper
WITH RECURSIVE up AS (
    SELECT account_key, account_key AS upper, 1 AS sign FROM account
    UNION ALL
    SELECT u.account_key, a.parent_key, u.sign * CASE a.operator WHEN '-' THEN -1 ELSE 1 END
      FROM up u JOIN account a ON a.account_key = u.upper WHERE a.operator <> '~' AND a.parent_key IS NOT NULL
)
SELECT * FROM up;
CREATE TEMP TABLE inside AS         -- months and what contains them
SELECT to_char(m, 'YYYY-MM') AS month, p.period, p.months
  FROM generate_series(timestamp '2010-01-01', timestamp '2013-12-01', '1 month') AS g (m)
 CROSS JOIN LATERAL (VALUES (to_char(m, 'YYYY-MM'), 1), (to_char(m, 'YYYY"-Q"Q'), 3),
                            (to_char(m, 'YYYY"-H"') || CASE WHEN extract(month FROM m) <= 6 THEN 1 ELSE 2 END, 6),
                            (to_char(m, 'YYYY'), 12)) AS p (period, months);
CREATE TEMP TABLE booked AS         -- own amounts by month
SELECT organization_key, account_key, to_char(posted, 'YYYY-MM') AS month, sum(amount) AS amount, count(*) AS postings
  FROM posting WHERE scenario_key = 1 GROUP BY 1, 2, 3;
CREATE TEMP TABLE held AS           -- own amounts by period: flows add up, of stocks the last month counts
SELECT b.organization_key, b.account_key, i.period,
       CASE WHEN b.account_key IN (SELECT account_key FROM stock) THEN (array_agg(b.amount ORDER BY b.month DESC))[1]
            ELSE sum(b.amount) END AS amount
  FROM booked b JOIN inside i USING (month) GROUP BY 1, 2, 3;
CREATE TEMP TABLE expected AS
SELECT o.upper AS organization_key, l.upper AS account_key, h.period, sum(h.amount * o.part * l.sign) AS actual
  FROM held h JOIN owner o USING (organization_key) JOIN line l USING (account_key)
 GROUP BY 1, 2, 3;

-- Coverage, beneath before above: 1 where there are postings; an organisation
-- is the mean of those beneath by shares, an account with lines the mean of
-- these.  Coarser: stocks likewise at that grain, flows the mean over the months.
CREATE TEMP TABLE known AS
SELECT o.organization_key, a.account_key, p.period, 0::numeric AS coverage
  FROM organisation o, account a, (SELECT DISTINCT period, months FROM inside) p
 WHERE p.months = 1 OR a.account_key IN (SELECT account_key FROM stock);
CREATE UNIQUE INDEX ON known (organization_key, account_key, period);
ANALYZE known;
DO $test$
DECLARE
    one record;
BEGIN
    IF EXISTS (SELECT FROM booked b JOIN organisation o ON o.parent_key = b.organization_key)
       OR EXISTS (SELECT FROM booked b JOIN account a ON a.parent_key = b.account_key) THEN
        RAISE 'only organisations and accounts with nothing beneath are posted to';
    END IF;
    UPDATE known n SET coverage = 1
      FROM held h
     WHERE (n.organization_key, n.account_key, n.period) = (h.organization_key, h.account_key, h.period);
    FOR one IN
        SELECT upper AS organization_key FROM owner GROUP BY upper HAVING count(*) > 1 ORDER BY count(*)
    LOOP
        UPDATE known n SET coverage = b.coverage
          FROM (SELECT c.account_key, c.period, round(sum(o.share * c.coverage) * 1.000000000000000000000000000000000000000 / sum(o.share), 12) AS coverage
                  FROM organisation o JOIN known c USING (organization_key)
                 WHERE o.parent_key = one.organization_key GROUP BY 1, 2) b
         WHERE n.organization_key = one.organization_key AND (n.account_key, n.period) = (b.account_key, b.period);
    END LOOP;
    FOR one IN
        SELECT upper AS account_key FROM line GROUP BY upper HAVING count(*) > 1 ORDER BY count(*)
    LOOP
        UPDATE known n SET coverage = b.coverage
          FROM (SELECT c.organization_key, c.period, round(sum(c.coverage) * 1.000000000000000000000000000000000000000 / count(*), 12) AS coverage
                  FROM account a JOIN known c USING (account_key)
                 WHERE a.parent_key = one.account_key AND a.operator <> '~' GROUP BY 1, 2) b
         WHERE n.account_key = one.account_key AND (n.organization_key, n.period) = (b.organization_key, b.period);
    END LOOP;
    INSERT INTO known
    SELECT k.organization_key, k.account_key, i.period, round(sum(k.coverage) * 1.000000000000000000000000000000000000000 / i.months, 12)
      FROM known k JOIN inside i ON i.month = k.period
     WHERE i.months > 1 AND k.account_key NOT IN (SELECT account_key FROM stock)
     GROUP BY 1, 2, 3, i.months;
END
$test$;

-- Targets: the budget of a month; coarser where all months have one.  To date:
-- up to the last month with an actual, where all months until then have one.
CREATE TEMP TABLE budget AS
SELECT organization_key, account_key, to_char(posted, 'YYYY-MM') AS month, sum(amount) AS amount
  FROM posting WHERE scenario_key = 2 GROUP BY 1, 2, 3;
CREATE TEMP TABLE goal AS
SELECT organization_key, account_key, period,
       CASE WHEN count(budgeted) = months THEN sum(budgeted) END AS target,
       CASE WHEN months = 1 THEN sum(budgeted)
            WHEN bool_and(budgeted IS NOT NULL) FILTER (WHERE month <= last) THEN sum(budgeted) FILTER (WHERE month <= last) END AS target_to_date
  FROM (SELECT k.*, i.month, i.period, i.months, b.amount AS budgeted,
               max(a.month) OVER (PARTITION BY k.organization_key, k.account_key, i.period) AS last
          FROM (SELECT DISTINCT organization_key, account_key FROM budget) k
         CROSS JOIN inside i
          LEFT JOIN budget b USING (organization_key, account_key, month)
          LEFT JOIN booked a USING (organization_key, account_key, month)) m
 GROUP BY 1, 2, 3, months;

-- ---- once read over what is pending, once folded
CREATE TEMP TABLE shown AS
SELECT k.organization_key, k.account_key, a.period::text AS period, a.actual, a.target, a.target_to_date, a.attainment, a.coverage, a.tally
  FROM kpi.attainment a JOIN key k USING (kpi_id);
CREATE FUNCTION pg_temp.check_numbers(state text) RETURNS SETOF text LANGUAGE plpgsql AS $test$
BEGIN
    RETURN NEXT is((SELECT count(*) FROM shown WHERE actual IS NOT NULL), (SELECT count(*) FROM expected),
                   state || ': as many actuals as sums');
    RETURN NEXT is_empty(
        'SELECT * FROM (SELECT organization_key, account_key, period, actual::text FROM shown WHERE actual IS NOT NULL) s
           FULL JOIN (SELECT organization_key, account_key, period, trim_scale(actual)::text AS expected FROM expected) e
                  USING (organization_key, account_key, period)
          WHERE s.actual IS DISTINCT FROM e.expected',
        state || ': every actual, in every digit');
    RETURN NEXT is_empty(
        'SELECT s.organization_key, s.account_key, s.period, s.coverage, k.coverage AS expected
           FROM shown s LEFT JOIN known k USING (organization_key, account_key, period)
          WHERE s.coverage IS DISTINCT FROM k.coverage',
        state || ': every coverage');
    RETURN NEXT is_empty(
        'SELECT organization_key, account_key, period, s.target, g.target AS expected, s.target_to_date, g.target_to_date AS expected_to_date
           FROM shown s FULL JOIN (SELECT * FROM goal WHERE target IS NOT NULL OR target_to_date IS NOT NULL) g
                             USING (organization_key, account_key, period)
          WHERE (s.target, s.target_to_date) IS DISTINCT FROM (g.target, g.target_to_date)',
        state || ': every target, and to date');
    RETURN NEXT is_empty(
        'SELECT s.organization_key, s.account_key, s.period, s.attainment, s.actual, s.target
           FROM shown s JOIN account a USING (account_key)
          WHERE s.attainment IS DISTINCT FROM
                CASE WHEN s.target = 0 THEN (CASE a.type WHEN ''Expenditures'' THEN s.actual <= 0 ELSE s.actual >= 0 END)::int
                     ELSE round(1 + CASE a.type WHEN ''Expenditures'' THEN -1 ELSE 1 END
                                    * (s.actual - s.target) * 1.000000000000000000000000000000000000000 / abs(s.target), 12) END',
        state || ': every attainment');
    RETURN NEXT is_empty(
        'SELECT b.organization_key, b.account_key, b.month, kpi.observations(s.tally), b.postings
           FROM booked b LEFT JOIN shown s ON (s.organization_key, s.account_key, s.period) = (b.organization_key, b.account_key, b.month)
          WHERE kpi.observations(s.tally) IS DISTINCT FROM b.postings',
        state || ': the departments of a month are facts of their own');
END
$test$;
SELECT pg_temp.check_numbers('pending');
SELECT ok(kpi.fold() > 0, 'what was pending is folded');
SELECT is((SELECT count(*) FROM kpi.dirty()), 0::bigint, 'nothing is left over');
TRUNCATE shown;
INSERT INTO shown
SELECT k.organization_key, k.account_key, a.period::text, a.actual, a.target, a.target_to_date, a.attainment, a.coverage, a.tally
  FROM kpi.attainment a JOIN key k USING (kpi_id);
SELECT pg_temp.check_numbers('folded');

-- ---- what is missing, by hand: of 2011 there are no postings of February, April
-- and June; the budget runs from December 2010 to November 2011
CREATE TEMP VIEW salaries AS   -- of the Northeast Division
SELECT * FROM shown WHERE organization_key = 3 AND account_key = 60;
SELECT set_eq('SELECT period, coverage FROM salaries WHERE period ~ ''^2011(-[QH].)?$''',
              $$VALUES ('2011-Q1', 0.666666666667), ('2011-Q2', 0.333333333333), ('2011-Q3', 1), ('2011-Q4', 1),
                       ('2011-H1', 0.5), ('2011-H2', 1), ('2011', 0.75)$$,
              'months without postings lower the coverage of what contains them');
-- At the root North America weighs 1, Europe 1 and the Pacific 0.75.  North
-- America's nine months are whole, Europe begins in December, the Pacific later:
-- 8 months of 1 / 2.75 = 0.363636363636 and one of 2 / 2.75 = 0.727272727273,
-- divided by 12
SELECT is((SELECT coverage FROM shown WHERE organization_key = 1 AND account_key = 60 AND period = '2011'), 0.30303030303,
          'so do organisations without postings, by their share');
SELECT is_empty('SELECT * FROM shown WHERE period IN (''2011-02'', ''2011-04'', ''2011-06'')', 'months without postings and budget have no row');
-- 1 - (46380 - 41000) / 41000
SELECT is((SELECT attainment FROM salaries WHERE period = '2011-07'), 0.868780487805, 'expenses above budget stay below 1');
-- July to September: 46380 + 80340 + 50255 against 41000 + 82000 + 53000
SELECT results_eq('SELECT actual::numeric, target, target_to_date FROM salaries WHERE period = ''2011-Q3''',
                  'VALUES (176975.0, 176000.0, 176000.0)', 'a quarter whose months all have a budget has one');
SELECT set_eq('SELECT period FROM salaries WHERE period !~ ''^....-..$'' AND target_to_date IS NOT NULL
               UNION ALL SELECT period FROM salaries WHERE period !~ ''^....-[0-9]'' AND target IS NOT NULL',
              $$VALUES ('2011-Q3')$$, 'and it is the only one');

SELECT is_empty('SELECT * FROM kpi.verify()', 'kpi.verify() finds nothing');
SELECT * FROM finish();
ROLLBACK;
