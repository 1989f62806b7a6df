-- kpi.suggest_target, kpi.cascade_target and kpi.rollup_targets take a unit by
-- text, and so by code, with a period of its type; and no call with literals,
-- or with parameters without types, becomes ambiguous by that.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT no_plan();

INSERT INTO kpi.unit (path, code) VALUES ('acme', 'ACME'), ('acme.a', 'A'), ('acme.b', 'B');
INSERT INTO kpi.measure (code) VALUES ('revenue');
SELECT kpi.deploy('revenue', 'acme') \g /dev/null
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('A', 'revenue', '2025-01', 3), ('B', 'revenue', '2025-01', 1), ('A', 'revenue', '2025-02', 9);
CREATE TABLE pg_temp.asked (unit text, code varchar, path kpi_path, measure text, period kpi_period, label text);
INSERT INTO asked VALUES ('acme', 'ACME', 'acme', 'revenue', '2026-01', '2026-01');

-- every way to write the same call, as arguments
CREATE TABLE pg_temp.way (args text);
INSERT INTO way VALUES
    ($$'acme', 'revenue', '2026-01'$$),
    ($$'ACME', 'revenue', '2026-01'$$),
    ($$'acme'::kpi_path, 'revenue', '2026-01'$$),
    ($$'acme'::kpi_path, 'revenue', '2026-01'::kpi_period$$),
    ($$'acme', 'revenue', '2026-01'::kpi_period$$),
    -- from here on by code, with a period: no function was there for it
    ($$'ACME', 'revenue', '2026-01'::kpi_period$$),
    ($$'ACME'::text, 'revenue'::text, '2026-01'::kpi_period$$),
    ($$'ACME'::varchar, 'revenue'::varchar, kpi.period(date '2026-01-31', 'month')$$),
    ($$(SELECT code FROM asked), (SELECT measure FROM asked), (SELECT period FROM asked)$$),
    ($$(SELECT unit FROM asked), (SELECT measure FROM asked), (SELECT label FROM asked)$$),
    ($$(SELECT path FROM asked), (SELECT measure FROM asked), (SELECT period FROM asked)$$),
    ($$unit => 'acme', measure => 'revenue', period => '2026-01'$$),
    ($$period => '2026-01', measure => 'revenue', unit => 'ACME'$$),
    ($$period => '2026-01'::kpi_period, measure => 'revenue', unit => 'ACME'$$),
    ($$unit => 'acme'::kpi_path, measure => 'revenue', period => '2026-01'$$),
    ($$'ACME', measure => 'revenue', period => (SELECT period FROM asked)$$);

CREATE FUNCTION pg_temp.each_way(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    w record;
    answer text;
BEGIN
    FOR w IN SELECT args FROM way LOOP
        BEGIN
            EXECUTE format(query, w.args) INTO answer;
        EXCEPTION WHEN OTHERS THEN
            answer := sqlerrm;
        END;
        RETURN NEXT w.args || ': ' || coalesce(answer, 'null');
    END LOOP;
END $$;
-- 3 + 1 in January of the year before
SELECT set_eq($$SELECT pg_temp.each_way('SELECT s.value::text FROM kpi.suggest_target(%s) s')$$,
              $$SELECT args || ': 4' FROM way$$, 'suggest_target');
-- 9 in February 2025; of_period is a literal beside either
SELECT set_eq($$SELECT pg_temp.each_way('SELECT s.value::text FROM kpi.suggest_target(%s, of_period => ''2025-02'', uplift => 1) s')$$,
              $$SELECT args || ': 18' FROM way$$, 'suggest_target with of_period: 9 twice');
SELECT set_eq($$SELECT pg_temp.each_way('SELECT string_agg(p.new_value::text, '' '' ORDER BY p.unit) FROM kpi.cascade_target(%s, value => 8, method => ''history'', of_period => ''2025-01'', dry_run => true) p')$$,
              $$SELECT args || ': 8 6 2' FROM way$$, 'cascade_target: 8 as 3 to 1');
SELECT kpi.set_target('A', 'revenue', '2026-01', 5), kpi.set_target('B', 'revenue', '2026-01', 2) \g /dev/null
SELECT set_eq($$SELECT pg_temp.each_way('SELECT p.new_value::text FROM kpi.rollup_targets(%s, dry_run => true) p')$$,
              $$SELECT args || ': 7' FROM way$$, 'rollup_targets: 5 + 2');

-- all by position, all literals
SELECT is((SELECT value FROM kpi.suggest_target('A', 'revenue', '2026-01', 'previous', '0', NULL, NULL, '2025-02', NULL)), 9::numeric, 'suggest_target, every argument a literal');
SELECT is((SELECT value FROM kpi.suggest_target('A', 'revenue', '2026-01', 'previous', 0, NULL, NULL, '2025-02'::kpi_period)), 9::numeric, 'with only of_period typed');
SELECT is((SELECT count(*) FROM kpi.cascade_target('ACME', 'revenue', '2026-01', '8', 'equal', 'month', '{1}', 'same', NULL, '2', 'final', 'x', 'true')), 3::bigint, 'cascade_target, every argument a literal');
SELECT is((SELECT count(*) FROM kpi.rollup_targets('ACME', 'revenue', '2026-01', 'true', 'final', 'x')), 1::bigint, 'rollup_targets, every argument a literal');
SELECT is((SELECT count(*) FROM kpi.rollup_targets('ACME', 'revenue', (SELECT period FROM asked), true, 'final')), 1::bigint, 'with a period that is one');
-- as drivers call: parameters without types
PREPARE suggest AS SELECT value FROM kpi.suggest_target($1, $2, $3);
PREPARE spread AS SELECT count(*) FROM kpi.cascade_target($1, $2, $3, $4, dry_run => true);
PREPARE add_up AS SELECT count(*) FROM kpi.rollup_targets($1, $2, $3, dry_run => true);
SELECT results_eq('EXECUTE suggest (''ACME'', ''revenue'', ''2026-01'')', $$VALUES (4::numeric)$$, 'suggest_target, parameters without types');
SELECT results_eq('EXECUTE spread (''ACME'', ''revenue'', ''2026-01'', 8)', $$VALUES (3::bigint)$$, 'cascade_target, parameters without types');
SELECT results_eq('EXECUTE add_up (''ACME'', ''revenue'', ''2026-01'')', $$VALUES (1::bigint)$$, 'rollup_targets, parameters without types');
-- by path only, where the path is one
SELECT throws_ok($$SELECT * FROM kpi.suggest_target('ACME'::kpi_path, 'revenue', '2026-01')$$, '42704', NULL, 'a path is no code');

-- with a period it writes what it writes with its text
SELECT kpi.cascade_target('ACME', 'revenue', '2026-02'::kpi_period, 6, note => 'n') \g /dev/null
SELECT results_eq($$SELECT u.code, t.value, t.note FROM kpi.target t JOIN kpi.kpi k USING (kpi_id) JOIN kpi.unit u USING (unit_id) WHERE t.period = '2026-02' ORDER BY 1$$,
                  $$VALUES ('A', 3::numeric, 'n'), ('ACME', 6, 'n'), ('B', 3, 'n')$$, 'cascade_target with a period writes');
SELECT kpi.set_target('A', 'revenue', '2026-02', 5) \g /dev/null
SELECT kpi.rollup_targets('ACME', 'revenue', '2026-02'::kpi_period) \g /dev/null
SELECT is((SELECT target FROM kpi.attainment WHERE unit = 'acme' AND measure = 'revenue' AND period = '2026-02'), 8::numeric, 'and rollup_targets');
SELECT * FROM finish();
ROLLBACK;
