-- kpi.due(): who owes which figure, since when.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT no_plan();

SELECT is_empty('SELECT * FROM kpi.due()', 'nobody owes anything where nothing is');

-- ---------------------------------------------------------------- when

SELECT is(kpi.due_on('2026-01', '0 days'), '2026-02-01'::date, 'due on the day after');
SELECT is(kpi.due_on('2026-01', '5 days'), '2026-02-06'::date, 'or later');
SELECT is(kpi.due_on('2026-01', '1 month'), '2026-03-01'::date, 'by months');
SELECT is(kpi.due_on('2026-01', '36 hours'), '2026-02-02'::date, 'or by hours');
-- the day after is 31 January, a month later 28 February
SELECT is(kpi.due_on('2026-01-30', '1 month'), '2026-02-28'::date, 'a month after the last day of one is the last day of the next');
SELECT is(kpi.due_on('2026-03', '1 mon -40 days'), '2026-04-01'::date, 'never before the end');
SELECT is(kpi.last_due_period('2026-02-28', 'day', 1, '1 month'), '2026-01-30'::kpi_period, 'the last of several that are due on one day');
SELECT is(kpi.last_due_period('2026-02-28', 'month', 1, '1 month'), '2025-12'::kpi_period, 'January is not due yet on the last day of February');
SELECT is(kpi.last_due_period('2026-03-01', 'month', 1, '1 month'), '2026-01'::kpi_period, 'but the day after');
-- against the definition, around a leap day
SELECT is_empty($$
    SELECT d, g, a FROM generate_series('2024-01-20'::timestamp, '2024-03-10', '1 day') t (d), unnest('{day,week,month,quarter,year}'::kpi_grain[]) g,
           unnest('{0 days,1 day,30 days,1 month,1 month 1 day,2 months 3 hours}'::interval[]) a
     WHERE kpi.last_due_period(d::date, g, 4, a) IS DISTINCT FROM
           (SELECT p FROM (SELECT kpi.period(d::date, g, 4) - n FROM generate_series(-1, 100) n) x (p) WHERE kpi.due_on(p, a) <= d::date ORDER BY p DESC LIMIT 1)$$,
    'the last period that is due, whatever the grain and the interval');

-- ---------------------------------------------------------------- who and what

INSERT INTO kpi.unit (path, name, owner) VALUES ('co', 'Co', 'carol'), ('co.a', 'A "one" <b>', 'anna'), ('co.b', NULL, NULL);
INSERT INTO kpi.measure (code, name, due_after) VALUES ('m', 'Made', '5 days');
SELECT kpi.deploy('m', 'co') \g /dev/null
UPDATE kpi.kpi SET owner = 'olga' WHERE unit_id = kpi.unit_id('co.b');
SELECT kpi.record_fact('co.a', 'm', '2026-01', 1), kpi.record_fact('co.a', 'm', '2026-03', 1) \g /dev/null
CREATE FUNCTION pg_temp.owed(at date, unit text DEFAULT 'co', measure text DEFAULT 'm') RETURNS SETOF text LANGUAGE sql AS
$$SELECT concat_ws(' ', d.unit, d.period, d.due_since, d.days_late, d.owner) FROM kpi.due(at) d WHERE d.unit <@ owed.unit::kpi_path AND d.measure = owed.measure$$;
-- February is due on 6 March, March on 6 April; 5 April is 30 days after the former
SELECT results_eq($$SELECT pg_temp.owed('2026-04-05')$$, ARRAY['co.a 2026-02 2026-03-06 30 anna', 'co.b 2026-02 2026-03-06 30 olga'],
    'a gap, and the last period due of who never had a figure; the unit''s owner where the KPI has none; not the KPI that is added up');
SELECT results_eq($$SELECT pg_temp.owed('2026-04-06')$$, ARRAY['co.a 2026-02 2026-03-06 31 anna', 'co.b 2026-03 2026-04-06 0 olga'], 'a day later March is due, and known at a');
SELECT results_eq($$SELECT unit_name, measure_name, unit_id, kpi_id FROM kpi.due('2026-04-05') WHERE unit = 'co.a'$$, $$SELECT 'A "one" <b>', 'Made', kpi.unit_id('co.a'), kpi.kpi_id('co.a', 'm')$$, 'by name and key');
SELECT results_eq($$SELECT pg_temp.owed('2026-02-05')$$, ARRAY['co.b 2025-12 2026-01-06 30 olga'], 'before its first figure nobody owes one');
-- the first fact
SELECT kpi.record_fact('co.a', 'm', '2025-11', 1) \g /dev/null
SELECT results_eq($$SELECT pg_temp.owed('2026-04-05', 'co.a')$$, ARRAY['co.a 2025-12 2026-01-06 89 anna', 'co.a 2026-02 2026-03-06 30 anna'], 'from the first figure on');
-- the first target, of whatever grain
SELECT kpi.set_target('co.b', 'm', '2026-Q1', 10), kpi.set_target('co.b', 'm', '2026', 10) \g /dev/null
SELECT results_eq($$SELECT pg_temp.owed('2026-03-10', 'co.b')$$, ARRAY['co.b 2026-01 2026-02-06 32 olga', 'co.b 2026-02 2026-03-06 4 olga'], 'without figures from the first target on');
SELECT is_empty($$SELECT pg_temp.owed('2026-02-05', 'co.b')$$, 'not before');
-- validity
DELETE FROM kpi.target;
UPDATE kpi.kpi SET valid_from = '2026-02-15', valid_to = '2026-04-15' WHERE unit_id = kpi.unit_id('co.b');
SELECT results_eq($$SELECT pg_temp.owed('2026-07-01', 'co.b')$$, ARRAY['co.b 2026-02 2026-03-06 117 olga', 'co.b 2026-03 2026-04-06 86 olga'], 'else from its beginning on; alive on the last day');
SELECT kpi.set_target('co.b', 'm', '2025-01', 10) \g /dev/null
SELECT results_eq($$SELECT pg_temp.owed('2026-03-31', 'co.b')$$, ARRAY['co.b 2026-02 2026-03-06 25 olga'], 'never before that');
UPDATE kpi.unit SET valid_to = '2026-03-01' WHERE path = 'co.b';
SELECT results_eq($$SELECT pg_temp.owed('2026-07-01', 'co.b')$$, ARRAY['co.b 2026-02 2026-03-06 117 olga'], 'while its unit is there');
UPDATE kpi.kpi SET valid_from = 'infinity', valid_to = NULL WHERE unit_id = kpi.unit_id('co.b');
SELECT is_empty($$SELECT pg_temp.owed('2026-07-01', 'co.b')$$, 'what never begins owes nothing');
UPDATE kpi.kpi SET valid_from = '-infinity', valid_to = 'infinity' WHERE unit_id = kpi.unit_id('co.b');
UPDATE kpi.unit SET valid_to = NULL;
DELETE FROM kpi.target;
SELECT results_eq($$SELECT pg_temp.owed('2026-03-31', 'co.b')$$, ARRAY['co.b 2026-02 2026-03-06 25 olga'], 'what has always been owes the last one');
-- facts, not zeros, answer; a fact removed is owed again
SELECT kpi.record_fact('co.b', 'm', '2026-02', 0) \g /dev/null
SELECT is_empty($$SELECT pg_temp.owed('2026-03-31', 'co.b')$$, 'nothing is a figure too');
DELETE FROM kpi.fact WHERE value = 0;
SELECT is((SELECT count(*) FROM kpi.due('2026-03-31') WHERE unit = 'co.b'), 1::bigint, 'a figure that was taken back is owed again');

-- ---------------------------------------------------------------- what is computed is not owed

INSERT INTO kpi.measure (code, rolls_up) VALUES ('v', false), ('g', false), ('s', false);
INSERT INTO kpi.measure (code, rollup, rolls_up) VALUES ('r', 'ratio', false);
INSERT INTO kpi.measure (code, rolls_up, result_weight) VALUES ('d', false, 0);
SELECT kpi.deploy(x, 'co', '{1}') FROM unnest('{v,g,s,r,d}'::text[]) x \g /dev/null
SELECT set_eq($$SELECT measure || ' ' || period FROM kpi.due('2026-03-01') WHERE unit = 'co'$$, '{v 2026-02,g 2026-02,s 2026-02,r 2026-02,d 2026-02}'::text[], 'without links all are owed');
SELECT kpi.link_kpi('co', 'm', 'co', 'r', 'numerator'), kpi.link_kpi('co', 'm', 'co', 'g', 'growth'), kpi.link_kpi('co', 'm', 'co', 's', 'score'),
       kpi.link_kpi('co', 'm', 'co', 'd', 'score'), kpi.link_kpi('co', 'm', 'co', 'v', 'value', valid_to => '2026-02-01') \g /dev/null
SELECT set_eq($$SELECT measure || ' ' || period FROM kpi.due('2026-03-01') WHERE unit = 'co'$$, '{v 2026-02,s 2026-02}'::text[], 'a score alone computes only what has no result of its own; a link that is over computes nothing');
SELECT set_eq($$SELECT measure || ' ' || period FROM kpi.due('2026-02-01') WHERE unit = 'co'$$, '{s 2026-01}'::text[], 'while it lasted it did');
SELECT kpi.link_kpi('co', 's', 'co', 'v', 'aligned') \g /dev/null
SELECT set_eq($$SELECT measure || ' ' || period FROM kpi.due('2026-03-01') WHERE unit = 'co'$$, '{v 2026-02,s 2026-02}'::text[], 'nor does one that says what serves what');
-- b's figures reach co in February only: before, co owed its own
DELETE FROM kpi.link;
DELETE FROM kpi.kpi WHERE unit_id = kpi.unit_id('co') AND measure_id <> (SELECT measure_id FROM kpi.measure WHERE code = 'm');
DELETE FROM kpi.fact;
UPDATE kpi.kpi SET valid_from = NULL, valid_to = NULL;
UPDATE kpi.kpi SET valid_from = '2026-02-01' WHERE unit_id IN (kpi.unit_id('co.a'), kpi.unit_id('co.b'));
SELECT kpi.record_fact('co', 'm', '2025-12', 1) \g /dev/null
SELECT results_eq($$SELECT pg_temp.owed('2026-03-31')$$, ARRAY['co 2026-01 2026-02-06 53 carol', 'co.a 2026-02 2026-03-06 25 anna', 'co.b 2026-02 2026-03-06 25 olga'], 'by the links of the period, implied ones too');

-- other grains and years
INSERT INTO kpi.measure (code, grain, fiscal_start, rolls_up) VALUES ('f', 'quarter', 4, false), ('w', 'week', 1, false);
SELECT kpi.deploy(x, 'co', '{1}') FROM unnest('{f,w}'::text[]) x \g /dev/null
SELECT kpi.record_fact('co', 'f', 'FY2026-Q3/04', 1), kpi.record_fact('co', 'w', '2026-W50', 1) \g /dev/null
-- the fourth quarter of that year ends on 31 March, the second of the next on 30 September
SELECT results_eq($$SELECT period::text, due_since FROM kpi.due('2026-10-01') WHERE measure = 'f'$$, $$VALUES ('FY2026-Q4/04', '2026-04-01'::date), ('FY2027-Q1/04', '2026-07-01'), ('FY2027-Q2/04', '2026-10-01')$$, 'fiscal quarters');
-- 2026 has 53 weeks, the last of which ends on Sunday, 3 January
SELECT results_eq($$SELECT period::text, due_since, days_late FROM kpi.due('2027-01-05') WHERE measure = 'w'$$, $$VALUES ('2026-W51', '2026-12-21'::date, 15), ('2026-W52', '2026-12-28', 8), ('2026-W53', '2027-01-04', 1)$$, 'weeks');
SELECT is(pg_get_function_arguments('kpi.due(date)'::regprocedure), 'at date DEFAULT CURRENT_DATE', 'today, where no day is given');
SELECT is_empty('SELECT * FROM kpi.due(NULL)', 'no day, nothing due');

-- ---------------------------------------------------------------- kpi.alignment waits

DELETE FROM kpi.fact;
DELETE FROM kpi.kpi WHERE unit_id = kpi.unit_id('co');
SELECT kpi.period(current_date, 'month') AS running \gset
-- the figure of the month before last, 28 to 31 days after its end and one more, is due; that of the last month is not: it ended less than 32 days ago
UPDATE kpi.measure SET due_after = '32 days' WHERE code = 'm';
UPDATE kpi.kpi SET valid_from = '2026-01-01';
SELECT kpi.record_fact('co.a', 'm', :'running'::kpi_period - 2, 1) \g /dev/null
SELECT results_eq($$SELECT unit::text, period::text FROM kpi.alignment WHERE code = 'no_data'$$, format($$VALUES ('co.b', %L)$$, kpi.last_due_period(current_date, 'month', 1, '32 days')::text),
                  'no_data is found where a figure is due and not known') WHERE kpi.last_due_period(current_date, 'month', 1, '32 days') = :'running'::kpi_period - 2;
SELECT is((SELECT sentence FROM kpi.alignment WHERE code = 'no_data' AND unit = 'co.b'),
          format('No number is known for %s, which is over and was due on %s.', p, kpi.last_day(p) + 33), 'in words')
  FROM kpi.last_due_period(current_date, 'month', 1, '32 days') p;
UPDATE kpi.measure SET due_after = '0 days' WHERE code = 'm';
SELECT bag_eq($$SELECT unit::text, period::text FROM kpi.alignment WHERE code = 'no_data'$$, format($$VALUES ('co.a', %1$L), ('co.b', %1$L)$$, (:'running'::kpi_period - 1)::text), 'and the last month''s at once, where it is due at once');

SELECT * FROM finish();
ROLLBACK;
