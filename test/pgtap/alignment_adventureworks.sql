-- kpi.alignment on AdventureWorks finance (MIT; see adventureworks.sql): how many
-- findings of each code there are, and why, by plain SQL over the raw rows.
--
-- Units are organisations, measures accounts, links the operators + and - of the
-- accounts; facts are the postings of scenario Actual, targets the Budget.  All
-- of it is moved in time so that the last month of the budget is the running
-- one.
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
SELECT no_plan();

CREATE TEMP TABLE organisation (organization_key int PRIMARY KEY, parent_key int, share numeric, name text, currency_key int);
CREATE TEMP TABLE account (account_key int PRIMARY KEY, parent_key int, code text, parent_code text, description text,
                           type text, operator text, custom_members text, value_type text, custom_member_options text);
CREATE TEMP TABLE posting (finance_key int PRIMARY KEY, posted date, organization_key int, department_group_key int,
                           scenario_key int, account_key int, amount numeric);
\set folder :data '/adventureworks-finance/'
\set copy_rows '\\copy organisation FROM ''' :folder 'DimOrganization.csv'' (FORMAT csv, HEADER)'
:copy_rows
\set copy_rows '\\copy account FROM ''' :folder 'DimAccount.csv'' (FORMAT csv, HEADER)'
:copy_rows
\set copy_rows '\\copy posting FROM ''' :folder 'FactFinance.csv'' (FORMAT csv, HEADER)'
:copy_rows
ANALYZE organisation, account, posting;
-- the budget ends in November 2011
SELECT is((SELECT max(to_char(posted, 'YYYY-MM')) FROM posting WHERE scenario_key = 2), '2011-11', 'the last month of the budget');
SELECT kpi.period(current_date, 'month') - kpi_period '2011-11' AS later \gset

INSERT INTO kpi.unit (path, code, name, share)
WITH RECURSIVE placed AS (
    SELECT organization_key, name, share, 'o' || organization_key AS path FROM organisation WHERE parent_key IS NULL
    UNION ALL
    SELECT o.organization_key, o.name, o.share, p.path || '.o' || o.organization_key
      FROM placed p JOIN organisation o ON o.parent_key = p.organization_key
)
SELECT path, organization_key::text, name, share FROM placed;
INSERT INTO kpi.measure (code, name, unit_of_measure) SELECT code, description, value_type FROM account;
SELECT is((SELECT sum(kpi.deploy(code, 'o1'))::int FROM account), (SELECT 14 * count(*)::int FROM account), 'each organisation has a KPI for every account');
CREATE TEMP TABLE key AS
SELECT k.kpi_id, o.organization_key, a.account_key
  FROM kpi.kpi k JOIN kpi.unit u USING (unit_id) JOIN kpi.measure m USING (measure_id)
  JOIN organisation o ON o.organization_key::text = u.code JOIN account a ON a.code = m.code;
CREATE UNIQUE INDEX ON key (organization_key, account_key);
ANALYZE key;
INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes, weight)
SELECT c.kpi_id, p.kpi_id, 'value', CASE a.operator WHEN '+' THEN 1 ELSE -1 END
  FROM account a JOIN key c ON c.account_key = a.account_key
  JOIN key p ON p.account_key = a.parent_key AND p.organization_key = c.organization_key
 WHERE a.operator IN ('+', '-');
INSERT INTO kpi.fact (kpi_id, period, value)
SELECT k.kpi_id, kpi.period(p.posted, 'month') + :later, p.amount FROM posting p JOIN key k USING (organization_key, account_key) WHERE p.scenario_key = 1;
INSERT INTO kpi.target (kpi_id, period, value)
SELECT k.kpi_id, kpi.period(p.posted, 'month') + :later, sum(p.amount) FROM posting p JOIN key k USING (organization_key, account_key) WHERE p.scenario_key = 2 GROUP BY 1, 2;
-- the objectives: what the accounts at the top stand for, served at the top
INSERT INTO kpi.objective (code, name) SELECT code, description FROM account WHERE parent_key IS NULL;
UPDATE kpi.kpi SET objective_id = o.objective_id
  FROM key k JOIN account a USING (account_key) JOIN kpi.objective o ON o.code = a.code
 WHERE kpi.kpi_id = k.kpi_id AND k.organization_key = 1 AND a.description = 'Net Income';
SELECT ok(kpi.fold() > 0, 'folded');
ANALYZE;

CREATE TEMP TABLE finding AS SELECT * FROM kpi.alignment;
CREATE FUNCTION pg_temp.findings(code text) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM finding f WHERE f.code = $1';
SELECT set_eq('SELECT DISTINCT code FROM finding', '{objective_without_kpi,kpi_without_objective,no_line_of_sight,no_target,no_owner,no_data}'::text[], 'what is found there');

-- ---- the raw rows: who is under whom, and which account adds to which
CREATE TEMP TABLE owner AS
WITH RECURSIVE up AS (
    SELECT organization_key, organization_key AS upper FROM organisation
    UNION ALL
    SELECT u.organization_key, o.parent_key FROM up u JOIN organisation o ON o.organization_key = u.upper WHERE o.parent_key IS NOT NULL AND o.share <> 0
) SELECT * FROM up;
CREATE TEMP TABLE line AS
WITH RECURSIVE up AS (
    SELECT account_key, account_key AS upper FROM account
    UNION ALL
    SELECT u.account_key, a.parent_key FROM up u JOIN account a ON a.account_key = u.upper WHERE a.parent_key IS NOT NULL AND a.operator IN ('+', '-')
) SELECT * FROM up;
-- accounts that others add to are computed at each organisation and flow to no other one
CREATE TEMP VIEW computed AS SELECT DISTINCT parent_key AS account_key FROM account WHERE operator IN ('+', '-') AND parent_key IS NOT NULL;

SELECT is(pg_temp.findings('no_owner'), (SELECT (SELECT count(*) FROM organisation) * (SELECT count(*) FROM account)), 'no_owner: nobody is named, of 14 organisations with 99 accounts');
SELECT is(pg_temp.findings('no_line_of_sight'), (SELECT 13 * count(*) FROM computed),
          'no_line_of_sight: computed accounts of the 13 organisations that are not the top one');
SELECT cmp_ok(pg_temp.findings('no_line_of_sight'), '=', 338::bigint, 'which are 13 times 26');
-- with a budget for the running month a KPI has a target; a quarter, half or year has one only where all its months have
SELECT is(pg_temp.findings('no_target'), (SELECT 14 * (SELECT count(*) FROM account) - count(DISTINCT (organization_key, account_key)) FROM posting WHERE scenario_key = 2 AND to_char(posted, 'YYYY-MM') = '2011-11'),
          'no_target: what has no budget in November 2011');
SELECT cmp_ok(pg_temp.findings('no_target'), '<', 1386::bigint, 'which some have');
-- a number is known where something is posted beneath: in organisations, and in accounts that add up
SELECT is(pg_temp.findings('no_data'), (SELECT 14 * (SELECT count(*) FROM account) - count(DISTINCT (o.upper, l.upper))
                                          FROM posting p JOIN owner o USING (organization_key) JOIN line l USING (account_key)
                                         WHERE p.scenario_key = 1 AND to_char(p.posted, 'YYYY-MM') = '2011-10'),
          'no_data: nothing posted beneath in October 2011');
SELECT set_eq('SELECT unit_id, kpi_id FROM finding WHERE code = ''no_data''',
              $$SELECT k.unit_id, k.kpi_id FROM key JOIN kpi.kpi k USING (kpi_id)
                 WHERE (key.organization_key, key.account_key) NOT IN (SELECT o.upper, l.upper FROM posting p JOIN owner o USING (organization_key) JOIN line l USING (account_key)
                                                                        WHERE p.scenario_key = 1 AND to_char(p.posted, 'YYYY-MM') = '2011-10')$$, 'one by one');
SELECT is(pg_temp.findings('objective_without_kpi'), (SELECT count(*) FROM account WHERE parent_key IS NULL AND description <> 'Net Income'), 'objective_without_kpi: the accounts at the top but Net Income');
-- what adds up to Net Income of the top organisation serves it: there all that adds up to
-- it, at the other ones what flows to the top organisation, accounts that are not computed
SELECT is(pg_temp.findings('kpi_without_objective'),
          (SELECT 14 * (SELECT count(*) FROM account) - count(*) - 13 * count(*) FILTER (WHERE l.account_key NOT IN (SELECT account_key FROM computed))
             FROM line l JOIN account a ON a.account_key = l.upper WHERE a.description = 'Net Income'),
          'kpi_without_objective: what adds nothing to it');

-- ---- what is not found, and why not
SELECT is(pg_temp.findings('targets_do_not_add_up'), 0::bigint, 'targets_do_not_add_up: none, because');
SELECT is((SELECT count(*) FROM posting p WHERE scenario_key = 2 AND (EXISTS (SELECT FROM organisation o WHERE o.parent_key = p.organization_key)
                                                                      OR EXISTS (SELECT FROM account a WHERE a.parent_key = p.account_key))), 0::bigint,
          'nothing that others add to has a budget of its own');
SELECT is(pg_temp.findings('counted_twice'), 0::bigint, 'counted_twice: none, because');
SELECT is((SELECT count(*) FROM (SELECT account_key FROM account GROUP BY 1 HAVING count(*) > 1) a) + (SELECT count(*) FROM (SELECT organization_key FROM organisation GROUP BY 1 HAVING count(*) > 1) o), 0::bigint,
          'accounts and organisations are trees, and what is computed of accounts flows along accounts alone');
SELECT is(pg_temp.findings('unit_of_measure_differs'), (SELECT 14 * count(*) FROM account a JOIN account p ON p.account_key = a.parent_key WHERE a.operator IN ('+', '-') AND a.value_type <> p.value_type),
          'unit_of_measure_differs: none, because accounts in units and in currency do not add to each other');
SELECT is(pg_temp.findings('unit_of_measure_differs'), 0::bigint, 'not one');
SELECT is(pg_temp.findings('unit_without_kpi'), 0::bigint, 'unit_without_kpi: none, each organisation has all accounts');
SELECT is(pg_temp.findings('weights_all_zero'), (SELECT count(*) FROM account WHERE operator NOT IN ('+', '-', '~')), 'weights_all_zero: none, operators are 1 and -1, and all KPIs weigh 1');

-- ---- and what is found once it is not so any more
-- a budget of each division of organisations with nothing beneath, 1 more than theirs, weighed by shares
CREATE TEMP VIEW division AS SELECT parent_key AS organization_key FROM organisation o WHERE parent_key IS NOT NULL
 GROUP BY 1 HAVING bool_and(NOT EXISTS (SELECT FROM organisation b WHERE b.parent_key = o.organization_key));
INSERT INTO kpi.target (kpi_id, period, value)
SELECT k.kpi_id, kpi.period(p.posted, 'month') + :later, sum(p.amount * o.share) + 1
  FROM posting p JOIN organisation o USING (organization_key) JOIN key k ON k.organization_key = o.parent_key AND k.account_key = p.account_key
 WHERE p.scenario_key = 2 AND to_char(p.posted, 'YYYY-MM') = '2011-11' AND o.parent_key IN (SELECT organization_key FROM division) GROUP BY 1, 2;
SELECT set_eq('SELECT period, amount, kpi_id FROM kpi.alignment WHERE code = ''targets_do_not_add_up''',
              format($$SELECT DISTINCT kpi_period '2011-11' + %s AS period, -1.0 AS amount, k.kpi_id FROM posting p JOIN organisation o USING (organization_key) JOIN key k ON k.organization_key = o.parent_key AND k.account_key = p.account_key
                        WHERE p.scenario_key = 2 AND to_char(p.posted, 'YYYY-MM') = '2011-11' AND o.parent_key IN (SELECT organization_key FROM division)$$, :later), 'budgets of divisions that are 1 too high');
-- the statistical accounts, in units, added to Net Income of their organisation
INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes)
SELECT c.kpi_id, p.kpi_id, 'value' FROM key c JOIN account a USING (account_key)
  JOIN key p ON p.organization_key = c.organization_key JOIN account n ON n.account_key = p.account_key AND n.description = 'Net Income'
 WHERE a.value_type = 'Units' AND c.account_key NOT IN (SELECT account_key FROM computed) AND a.operator = '~'
   AND (SELECT m.time_rollup FROM kpi.measure m WHERE m.code = a.code) = (SELECT m.time_rollup FROM kpi.measure m WHERE m.code = n.code);
SELECT cmp_ok((SELECT count(*) FROM kpi.alignment WHERE code = 'unit_of_measure_differs'), '=',
              (SELECT 14 * count(*) FROM account WHERE value_type = 'Units' AND operator = '~' AND account_key NOT IN (SELECT account_key FROM computed)), 'units added to currency, at each organisation');
-- a leaf of Net Income linked to it directly as well
SELECT l.account_key AS leaf FROM line l JOIN account n ON n.account_key = l.upper AND n.description = 'Net Income'
  JOIN account a ON a.account_key = l.account_key
 WHERE a.parent_key <> n.account_key AND a.operator IN ('+', '-') AND l.account_key NOT IN (SELECT account_key FROM computed) ORDER BY 1 LIMIT 1 \gset
INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes)
SELECT c.kpi_id, p.kpi_id, 'value' FROM key c JOIN key p ON p.organization_key = c.organization_key JOIN account n ON n.account_key = p.account_key AND n.description = 'Net Income'
 WHERE c.account_key = :leaf;
SELECT is((SELECT count(*) FROM kpi.alignment a WHERE a.code = 'counted_twice'), 14::bigint, 'an account that adds to Net Income twice, at each organisation');
UPDATE kpi.kpi SET weight = 0 FROM key k WHERE k.kpi_id = kpi.kpi_id AND k.organization_key IN (3, 4);
INSERT INTO kpi.unit (path) SELECT path || 'new' FROM kpi.unit WHERE code = '5';
SELECT set_eq($$SELECT a.code, u.code AS unit_code FROM kpi.alignment a LEFT JOIN kpi.unit u USING (unit_id) WHERE a.code IN ('weights_all_zero', 'unit_without_kpi')$$,
              $$VALUES ('weights_all_zero', '3'), ('weights_all_zero', '4'), ('unit_without_kpi', NULL)$$, 'weights that are all zero, and a unit without KPIs');

SELECT * FROM finish();
ROLLBACK;
