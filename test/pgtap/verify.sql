-- kpi.verify(): one row per difference between what kpi.attainment shows and kpi.recompute().
-- Cells are altered by hand, one column at a time; each must be found, alone and by name.
\set QUIET 1
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET search_path = public;
SELECT no_plan();

SELECT is_empty('SELECT * FROM kpi.verify()', 'nothing there, nothing wrong');

INSERT INTO kpi.unit (unit_id, path) VALUES (1, 'acme'), (2, 'acme.sales'), (3, 'acme.ops');
INSERT INTO kpi.measure (measure_id, code, rollup) VALUES (1, 'revenue', 'sum'), (2, 'satisfaction', 'mean');
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) SELECT unit_id * 10 + measure_id, unit_id, measure_id FROM kpi.unit, kpi.measure;
INSERT INTO kpi.fact (kpi_id, period, value, weight) VALUES
    (21, '2026-01', 10.50, 1), (31, '2026-01', 20, 1), (31, '2026-02', 5, 1), (22, '2026-01', 7, 1), (32, '2026-01', 8, 2);
INSERT INTO kpi.target (kpi_id, period, value) VALUES (11, '2026-01', 40), (11, '2026-02', 10), (11, '2026-03', 10), (12, '2026-01', 8);
SELECT is_empty('SELECT * FROM kpi.verify()', 'facts that are still pending are shown rightly');
SELECT lives_ok('SELECT kpi.fold()', 'folded');
SELECT is_empty('SELECT * FROM kpi.verify()', 'so are folded ones');
SELECT is((SELECT count(*) FROM kpi.recompute()), (SELECT count(*) FROM kpi.attainment), 'as many rows on both sides');

CREATE FUNCTION pg_temp.altered(change text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    found text[];
BEGIN
    BEGIN
        EXECUTE change;
        found := ARRAY(SELECT concat_ws(' ', v.kpi_id, v.unit, v.measure, v.period, v.column_name, coalesce(v.shown, '-'), coalesce(v.expected, '-')) FROM kpi.verify() v);
        RAISE SQLSTATE 'UNDO0';
    EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
    END;
    RETURN QUERY SELECT unnest(found);
END
$$;

-- acme's revenue in January: 10.5 + 20 = 30.5 of 40, so 1 + (30.5 - 40) / 40 = 0.7625
SELECT results_eq(format('SELECT pg_temp.altered(%L)', format('UPDATE kpi.cell SET %s = %L WHERE kpi_id = 11 AND period = ''2026-01''', c.name, c.value)),
                  ARRAY[format('11 acme revenue 2026-01 %s %s %s', c.name, c.value, c.expected)], c.name || ' altered: one row')
FROM (VALUES ('actual', '30.6', '30.5'), ('target', '41', '40'), ('attainment', '0.7', '0.7625'), ('target_to_date', '39', '40'),
             ('attainment_to_date', '0.763', '0.7625'), ('driver_score', '1', '-'), ('score', '0.7626', '0.7625'), ('status', 'at_risk', 'off_track'),
             ('coverage', '0.5', '1'), ('tally', '{n=2,value=30.5,weight=2,product=30.5,min=10,max=20}', '{n=2,value=30.5,weight=2,product=30.5,min=10.5,max=20}'),
             ('actual', '30.50', '30.5')) AS c (name, value, expected);
SELECT results_eq($$SELECT pg_temp.altered('DELETE FROM kpi.cell WHERE kpi_id = 12 AND period = ''2026-Q1''')$$,
                  ARRAY['12 acme satisfaction 2026-Q1 row 0 1'], 'a row that is missing');
SELECT results_eq($$SELECT pg_temp.altered('INSERT INTO kpi.cell SELECT (jsonb_populate_record(c, ''{"period": "2026-04"}'')).* FROM kpi.cell c
                                              WHERE kpi_id = 12 AND period = ''2026-01''')$$,
                  ARRAY['12 acme satisfaction 2026-04 row 1 0'], 'a row too many');
SELECT is_empty('SELECT * FROM kpi.verify()', 'all of it undone');

SELECT * FROM finish();
ROLLBACK;
