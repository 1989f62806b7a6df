-- What people look at: columns and types of the views, levels and their views,
-- paths then and now, closed periods, scores of units; and that the figures
-- shown are those of kpi.cell, which verification watches and rebuilding repairs.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT no_plan();
SELECT kpi.version() IS NOT NULL AS loaded \gset
SET LOCAL kpi_cascade.fold_mode = 'manual';

-- ---------------------------------------------------------------- columns: append-only from here on

CREATE FUNCTION pg_temp.columns_of(relation regclass) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum)
      FROM pg_attribute WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped
$$;
SELECT is(pg_temp.columns_of('kpi.attainment'),
    'kpi_id bigint, unit_id bigint, measure_id bigint, unit kpi_path, unit_now kpi_path, unit_name text, level_no smallint, level text, '
    'measure text, measure_name text, unit_of_measure text, owner text, period kpi_period, grain kpi_grain, period_start date, period_end date, '
    'is_closed boolean, actual numeric, target numeric, variance numeric, attainment numeric, target_to_date numeric, attainment_to_date numeric, '
    'driver_score numeric, score numeric, status kpi_status, coverage numeric, tally kpi_tally', 'kpi.attainment');
SELECT is(pg_temp.columns_of('kpi.scorecard'),
    'kpi_id numeric, unit_id numeric, measure_id numeric, unit text, unit_now text, unit_name text, level_no numeric, level text, '
    'measure text, measure_name text, unit_of_measure text, owner text, period text, grain text, period_start date, period_end date, '
    'is_closed boolean, actual numeric, target numeric, variance numeric, attainment numeric, target_to_date numeric, attainment_to_date numeric, '
    'driver_score numeric, score numeric, status text, coverage numeric, tally text, parent_unit text, '
    'objective text, perspective text, previous numeric, change numeric, relative_change numeric, '
    'year_to_date numeric, year_to_date_target numeric, year_to_date_attainment numeric', 'kpi.scorecard: the same in plain types, then what came since');
SELECT is(pg_temp.columns_of(v::regclass), pg_temp.columns_of('kpi.scorecard'), v)
  FROM unnest('{kpi.corporate_scorecard,kpi.business_unit_scorecard,kpi.department_scorecard,kpi.team_scorecard}'::text[]) v;
SELECT is(pg_temp.columns_of('kpi.unit_score'),
    'unit_id bigint, unit kpi_path, unit_now kpi_path, unit_name text, level_no smallint, level text, period kpi_period, grain kpi_grain, '
    'period_start date, period_end date, is_closed boolean, score numeric, status kpi_status, coverage numeric, kpis bigint, scored_kpis bigint', 'kpi.unit_score');

-- ---------------------------------------------------------------- an organisation of six levels

INSERT INTO kpi.level VALUES (2, 'division', 'Divisions'), (5, 'desk', NULL);
INSERT INTO kpi.unit (path, name) VALUES ('a', 'All'), ('a.b', 'Bee'), ('a.c', 'Cee'), ('a.b.d', 'Dee'), ('a.b.d.e', 'Eee'), ('a.b.d.e.f', 'Eff'), ('a.b.d.e.f.g', 'Gee');
INSERT INTO kpi.measure (code, name, unit_of_measure) VALUES ('r', 'Revenue', 'EUR');
SELECT kpi.deploy('r', 'a') \g /dev/null
UPDATE kpi.kpi SET owner = 'olga' WHERE kpi_id = kpi.kpi_id('a.b.d', 'r');
INSERT INTO kpi.fact_entry (unit, measure, period, value) SELECT path, 'r', p, 10 FROM kpi.unit, unnest('{2025-01,2025-07}'::text[]) p;
INSERT INTO kpi.target_entry (unit, measure, period, value) VALUES ('a.b.d', 'r', '2025-01', 50), ('a.b.d', 'r', '2025-07', 50);
SELECT kpi.move_unit('a.b.d', 'a.c', '2025-04-01') \g /dev/null

CREATE FUNCTION pg_temp.rules(how text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    -- a.b.d and three beneath it: 40 against 50
    RETURN NEXT results_eq($q$SELECT to_jsonb(a) - 'tally' FROM kpi.attainment a WHERE unit_now = 'a.c.d' AND period = '2025-01'$q$,
        $q$SELECT jsonb_build_object('kpi_id', kpi.kpi_id('a.c.d', 'r'), 'unit_id', kpi.unit_id('a.c.d'), 'measure_id', (SELECT measure_id FROM kpi.measure),
            'unit', 'a.b.d', 'unit_now', 'a.c.d', 'unit_name', 'Dee', 'level_no', 3, 'level', 'department', 'measure', 'r', 'measure_name', 'Revenue', 'unit_of_measure', 'EUR', 'owner', 'olga',
            'period', '2025-01', 'grain', 'month', 'period_start', '2025-01-01', 'period_end', '2025-01-31', 'is_closed', true, 'actual', 40, 'target', 50, 'variance', -10,
            'attainment', 0.8, 'target_to_date', 50, 'attainment_to_date', 0.8, 'driver_score', NULL, 'score', 0.8, 'status', 'at_risk', 'coverage', 1)$q$,
        how || 'all columns of kpi.attainment');
    RETURN NEXT results_eq($q$SELECT to_jsonb(s) - '{objective,perspective,previous,change,relative_change,year_to_date,year_to_date_target,year_to_date_attainment}'::text[] FROM kpi.scorecard s WHERE unit_now = 'a.c.d' AND period = '2025-01'$q$,
        $q$SELECT to_jsonb(a) || jsonb_build_object('parent_unit', 'a.b') FROM kpi.attainment a WHERE unit_now = 'a.c.d' AND period = '2025-01'$q$, how || 'kpi.scorecard says the same, and the parent of the time');
    RETURN NEXT results_eq($q$SELECT period, unit, unit_now, parent_unit, actual FROM kpi.scorecard WHERE unit_now = 'a.c.d.e' AND grain = 'month' ORDER BY period$q$,
        $q$VALUES ('2025-01', 'a.b.d.e', 'a.c.d.e', 'a.b.d', 30::numeric), ('2025-07', 'a.c.d.e', 'a.c.d.e', 'a.c.d', 30)$q$,
        how || 'unit is the path in the period, unit_now the newest');
    RETURN NEXT results_eq($q$SELECT period, unit, actual FROM kpi.scorecard WHERE unit_now IN ('a', 'a.b', 'a.c') AND grain IN ('month', 'quarter') ORDER BY 1, 2$q$,
        $q$VALUES ('2025-01', 'a', 70::numeric), ('2025-01', 'a.b', 50), ('2025-01', 'a.c', 10), ('2025-07', 'a', 70), ('2025-07', 'a.b', 10), ('2025-07', 'a.c', 50),
                  ('2025-Q1', 'a', 70), ('2025-Q1', 'a.b', 50), ('2025-Q1', 'a.c', 10), ('2025-Q3', 'a', 70), ('2025-Q3', 'a.b', 10), ('2025-Q3', 'a.c', 50)$q$,
        how || 'what was, stays with the organisation of its time');
    RETURN NEXT results_eq($q$SELECT DISTINCT level_no, level FROM kpi.scorecard ORDER BY 1$q$,
        $q$VALUES (1::numeric, 'corporate'), (2, 'division'), (3, 'department'), (4, 'team'), (5, 'desk'), (6, 'level_6')$q$, how || 'levels are named by kpi.level or by number');
    RETURN QUERY SELECT results_eq(format('SELECT * FROM kpi.%I ORDER BY unit_id, period', v), format('SELECT * FROM kpi.scorecard WHERE level_no = %s ORDER BY unit_id, period', n), how || v)
                   FROM unnest('{corporate_scorecard,business_unit_scorecard,department_scorecard,team_scorecard}'::text[]) WITH ORDINALITY t (v, n);
END
$$;
SELECT pg_temp.rules('pending: ');
SELECT cmp_ok(kpi.fold(), '>', 0::bigint, 'a fold');
SELECT pg_temp.rules('folded: ');

-- ---------------------------------------------------------------- views of further levels

CREATE SCHEMA mine;
SELECT kpi.create_level_view(5, 'mine.desks') \g /dev/null
SELECT kpi.create_level_view(6, 'mine."Level 6; six"') \g /dev/null
SET LOCAL search_path = mine, public;
SELECT kpi.create_level_view(3, 'departments') \g /dev/null
SET LOCAL search_path = public;
SELECT is(pg_temp.columns_of('mine.desks'), pg_temp.columns_of('kpi.scorecard'), 'a view of a level has the columns of kpi.scorecard');
SELECT results_eq('SELECT DISTINCT unit FROM mine.desks ORDER BY 1', $$VALUES ('a.b.d.e.f'), ('a.c.d.e.f')$$, 'and the rows of that level');
SELECT results_eq('SELECT DISTINCT unit FROM mine."Level 6; six" ORDER BY 1', $$VALUES ('a.b.d.e.f.g'), ('a.c.d.e.f.g')$$, 'its name may need quotes');
SELECT results_eq('SELECT DISTINCT unit FROM mine.departments ORDER BY 1', $$VALUES ('a.b.d'), ('a.c.d')$$, 'a name without a schema goes where objects go');
SELECT throws_ok($$SELECT kpi.create_level_view(0, 'mine.none')$$, '22023', 'level "0" cannot have a view', 'there is no level 0');
SELECT throws_ok($$SELECT kpi.create_level_view(3, 'mine.desks')$$, '42P07', 'relation "desks" already exists', 'nothing is replaced');
SELECT is((SELECT count(*) FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = 'mine.desks'::regclass AND deptype = 'e'), 0::bigint, 'the view is no part of the extension');

-- ---------------------------------------------------------------- closed periods, by day

INSERT INTO kpi.measure (code, grain) VALUES ('d', 'day');
SELECT kpi.deploy('d', 'a', ARRAY[1]) \g /dev/null
SELECT kpi.record_fact('a', 'd', current_date + i, 1) FROM generate_series(-1, 1) i \g /dev/null
SELECT results_eq($$SELECT period_end - current_date, is_closed FROM kpi.attainment WHERE measure = 'd' AND grain = 'day' ORDER BY 1$$,
    'VALUES (-1, true), (0, false), (1, false)', 'a period is closed from the day after its last');
SELECT is_empty($$SELECT * FROM kpi.attainment WHERE is_closed <> (period_end < current_date) OR period_start <> kpi.first_day(period) OR period_end <> kpi.last_day(period) OR grain <> kpi.grain(period)$$,
    'at every grain');

-- ---------------------------------------------------------------- scores of units

-- at unit s: scores 0.5 (weight 1) and 0.9 (weight 3); a KPI without a target (weight 4), one without facts (weight 2), one of weight 0
INSERT INTO kpi.unit (path) VALUES ('s'), ('t'), ('z');
INSERT INTO kpi.measure (code) SELECT 's' || i FROM generate_series(1, 5) i;
SELECT kpi.deploy(code, 's') FROM kpi.measure WHERE code ~ '^s\d' \g /dev/null
SELECT kpi.deploy('s3', 't'), kpi.deploy('s5', 'z') \g /dev/null
UPDATE kpi.kpi k SET weight = w FROM (VALUES ('s1', 1), ('s2', 3), ('s3', 4), ('s4', 2), ('s5', 0)) v (code, w) JOIN kpi.measure m USING (code) WHERE k.measure_id = m.measure_id;
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('s', 's1', '2025-05', 50), ('s', 's2', '2025-05', 90), ('s', 's3', '2025-05', 1), ('s', 's5', '2025-05', 0), ('t', 's3', '2025-05', 1), ('z', 's5', '2025-05', 100);
INSERT INTO kpi.target_entry (unit, measure, period, value) VALUES ('s', 's1', '2025-05', 100), ('s', 's2', '2025-05', 100), ('s', 's4', '2025-05', 100), ('s', 's5', '2025-05', 100), ('z', 's5', '2025-05', 100);
SELECT is(s::text, want, unit || ': scores weighted by kpi.weight, the worst status, coverage weighted the same way')
  FROM (VALUES
    -- (1 * 0.5 + 3 * 0.9 + 0 * 0) / 4; coverage (1 + 3 + 4 + 2 * 0 + 0 * 1) / 10; what weighs nothing has a status all the same
    ('s', '(0.8,off_track,0.8,5,3)'),
    ('t', '(,no_target,1,1,0)'),
    -- weights of 0 have no mean
    ('z', '(,on_track,,1,1)')) v (unit, want),
  LATERAL (SELECT score, status, coverage, kpis, scored_kpis FROM kpi.unit_score u WHERE u.unit = v.unit::kpi_path AND u.period = '2025-05') s;
SELECT is((SELECT (score, status)::text FROM kpi.unit_score WHERE unit = 's' AND period = '2025'), '(,no_target)', 'a year of which January has no target');
SELECT is_empty($$SELECT unit_id, unit, unit_now, unit_name, level_no, level, period, grain, period_start, period_end, is_closed FROM kpi.unit_score
                  EXCEPT SELECT unit_id, unit, unit_now, unit_name, level_no, level, period, grain, period_start, period_end, is_closed FROM kpi.attainment$$, 'a unit has a score where its KPIs have rows');
SELECT results_eq('SELECT count(*) FROM kpi.unit_score', 'SELECT count(DISTINCT (unit_id, period)) FROM kpi.attainment', 'one row per unit and period');

-- ---------------------------------------------------------------- what is shown is what kpi.cell holds

SELECT cmp_ok(kpi.fold(), '>', 0::bigint, 'a fold');
SELECT is_empty('SELECT * FROM kpi.verify()', 'healthy');
UPDATE kpi.cell SET actual = 41.5 WHERE kpi_id = kpi.kpi_id('a.c.d', 'r') AND period = '2025-01';
SELECT results_eq($$SELECT actual, variance, attainment FROM kpi.attainment WHERE unit_now = 'a.c.d' AND period = '2025-01' AND measure = 'r'$$,
    'VALUES (41.5, -8.5, 0.8)', 'kpi.attainment shows what kpi.cell says');
SELECT results_eq('SELECT kpi_id, unit, measure, period, column_name, shown, expected FROM kpi.verify()',
    $$SELECT kpi.kpi_id('a.c.d', 'r'), 'a.b.d', 'r', '2025-01', 'actual', '41.5', '40'$$, 'verification finds just that');
SELECT is(kpi.rebuild(), 1::bigint, 'rebuilding writes one cell');
SELECT results_eq($$SELECT actual, variance FROM kpi.attainment WHERE unit_now = 'a.c.d' AND period = '2025-01' AND measure = 'r'$$,
    'VALUES (40::numeric, -10::numeric)', 'which is right again');
SELECT is_empty('SELECT * FROM kpi.verify()', 'healthy again');
DELETE FROM kpi.cell WHERE kpi_id = kpi.kpi_id('a.c.d', 'r') AND period = '2025-01';
SELECT is_empty($$SELECT actual FROM kpi.attainment WHERE unit_now = 'a.c.d' AND period = '2025-01' AND measure = 'r'$$, 'a cell that is gone is not shown');
SELECT results_eq('SELECT column_name, shown, expected FROM kpi.verify()', $$VALUES ('row', '0', '1')$$, 'verification misses it');
SELECT is(kpi.rebuild(), 1::bigint, 'rebuilding brings it back');
SELECT is_empty('SELECT * FROM kpi.verify()', 'and all is well');

SELECT finish();
ROLLBACK;
