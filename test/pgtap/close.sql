-- Closing periods: what is reported, what is refused from then on and what is
-- not, for every kind of change, and opening them again.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT no_plan();

-- refused as closed: the cell that the message names, and what it says of it
CREATE FUNCTION pg_temp.closed(sql text, cell text, detail text, name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text;
    message text;
    said text;
BEGIN
    BEGIN
        EXECUTE sql;
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, said = PG_EXCEPTION_DETAIL;
    END;
    RETURN is(concat_ws(' | ', state, message, said), concat_ws(' | ', '55000', cell, detail), name);
END
$$;
-- a change that passes, and is undone
CREATE FUNCTION pg_temp.passes(sql text, name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    error text;
BEGIN
    BEGIN
        EXECUTE sql;
        SET CONSTRAINTS ALL IMMEDIATE;
        RAISE EXCEPTION USING ERRCODE = 'ZZZZZ';
    EXCEPTION WHEN OTHERS THEN
        error := CASE WHEN SQLSTATE <> 'ZZZZZ' THEN SQLSTATE || ' ' || SQLERRM END;
    END;
    RETURN is(error, NULL, name);
END
$$;
CREATE FUNCTION pg_temp.cell(unit text, measure text, period text) RETURNS text LANGUAGE sql AS
$$ SELECT format('period "%s" of measure "%s" at unit "%s" is closed', period, measure, unit) $$;

INSERT INTO kpi.unit (path, code) VALUES ('acme', NULL), ('acme.emea', 'E'), ('acme.emea.de', NULL), ('acme.emea.fr', NULL), ('acme.apac', NULL), ('acme.apac.jp', NULL);
INSERT INTO kpi.measure (code, grain) VALUES ('revenue', 'month'), ('cost', 'month'), ('calls', 'day');
SELECT is((SELECT sum(kpi.deploy(m.code, 'acme')) FROM kpi.measure m)::int, 18, 'three measures at six units');
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES
    ('acme.emea.de', 'revenue', '2024-03', 100), ('acme.apac.jp', 'revenue', '2024-03', 50), ('acme.emea.de', 'revenue', '2024-02', 70),
    ('acme.emea.de', 'calls', '2024-03-01', 2), ('acme.emea.de', 'calls', '2024-03-31', 3), ('acme.emea.de', 'calls', '2024-04-01', 7);
SELECT lives_ok($$SELECT kpi.set_target('acme', 'revenue', '2024-03', 120)$$, 'a target');

-- ---------------------------------------------------------------- closing

-- revenue: acme 150, emea and de 100, apac and jp 50; calls of 1 and 31 March
-- and of the month at acme, emea and de; week 13 begins on 25 March, week 9,
-- which 1 March is in, in February, so it is not closed
SELECT is(kpi.close_period('2024-03', note => 'on time'), (5 + 3 * (2 + 1 + 1))::bigint, 'closing tells how many cells');
SELECT results_eq($$SELECT r.unit::text, r.period::text, r.actual, r.target, r.status::text FROM kpi.reported r WHERE r.measure = 'revenue' ORDER BY r.unit$$,
    $$VALUES ('acme', '2024-03', 150::numeric, 120::numeric, 'on_track'), ('acme.apac', '2024-03', 50, NULL, 'no_target'), ('acme.apac.jp', '2024-03', 50, NULL, 'no_target'),
             ('acme.emea', '2024-03', 100, NULL, 'no_target'), ('acme.emea.de', '2024-03', 100, NULL, 'no_target')$$, 'the figures are reported');
SELECT results_eq($$SELECT r.period::text, r.actual FROM kpi.reported r WHERE r.measure = 'calls' AND r.unit = 'acme' ORDER BY r.period$$,
    $$VALUES ('2024-03-01', 2::numeric), ('2024-03-31', 3), ('2024-W13', 3), ('2024-03', 5)$$, 'of all periods inside it');
SELECT results_eq('SELECT period::text, unit_id, note, reopened_at FROM kpi.period_close WHERE closed_by = session_user AND closed_at = now()',
    $$VALUES ('2024-03', NULL::bigint, 'on time', NULL::timestamptz)$$, 'and the close is logged');
SELECT is_empty('SELECT * FROM kpi.reported_difference WHERE differs OR NOT in_force', 'nothing differs');
SELECT is((SELECT count(*) FROM kpi.reported_difference), 17::bigint, 'of all that was reported');

SELECT throws_ok($$SELECT kpi.close_period('2024-03')$$, '55000', 'period "2024-03" is closed already', 'a closed period is not closed again');
SELECT throws_ok($$SELECT kpi.close_period('2024-03', 'E')$$, '55000', 'period "2024-03" of unit "acme.emea" is closed already', 'nor for a unit');
SELECT throws_ok($$SELECT kpi.close_period('2024-03-05')$$, '55000', 'period "2024-03-05" is closed already', 'nor a period inside it');
SELECT throws_ok(format('SELECT kpi.close_period(%L)', to_char(current_date, 'YYYY-MM')), '55000', format('period "%s" is not over yet', to_char(current_date, 'YYYY-MM')), 'a running period is not closed');
SELECT throws_ok(format('SELECT kpi.close_period(%L)', current_date), '55000', NULL, 'nor is today');
SELECT lives_ok(format('SELECT kpi.close_period(%L)', current_date - 1), 'yesterday may be');
SELECT lives_ok(format('SELECT kpi.reopen_period(%L, %L)', current_date - 1, 'a test'), 'and is opened again');
SELECT throws_ok($$SELECT kpi.close_period('2024-02', 'acme.nowhere')$$, '42704', 'unit "acme.nowhere" does not exist', 'an unknown unit');
SELECT throws_ok($$SELECT kpi.close_period(NULL::text)$$, '22004', NULL, 'no period');
SELECT throws_ok($$SELECT kpi.close_period('March')$$, '22P02', NULL, 'no such period');

-- ---------------------------------------------------------------- facts

SELECT pg_temp.closed($$SELECT kpi.record_fact('acme.emea.de', 'revenue', '2024-03', 1)$$, pg_temp.cell('acme.emea.de', 'revenue', '2024-03'),
    'Facts of a closed period stay as they are.', 'a fact is refused');
SELECT pg_temp.closed($$SELECT kpi.record_fact('acme.emea.de', 'revenue', '2024-03', 0)$$, pg_temp.cell('acme.emea.de', 'revenue', '2024-03'),
    'Facts of a closed period stay as they are.', 'whatever it adds');
SELECT pg_temp.closed($$SELECT kpi.record_fact('acme.emea.fr', 'cost', '2024-03', 1)$$, pg_temp.cell('acme.emea.fr', 'cost', '2024-03'),
    'Facts of a closed period stay as they are.', 'of a KPI without figures, too');
SELECT pg_temp.closed($$SELECT kpi.set_fact('acme.emea.de', 'revenue', '2024-03', 1)$$, pg_temp.cell('acme.emea.de', 'revenue', '2024-03'),
    'Facts of a closed period stay as they are.', 'facts are not replaced');
SELECT pg_temp.closed($$INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme.emea.de', 'revenue', '2024-04', 1), ('acme.emea.de', 'revenue', '2024-03', 1)$$,
    pg_temp.cell('acme.emea.de', 'revenue', '2024-03'), 'Facts of a closed period stay as they are.', 'one row of a load is enough');
SELECT pg_temp.closed($$SELECT kpi.record_fact('acme.emea.de', 'calls', '2024-03-15', 1)$$, pg_temp.cell('acme.emea.de', 'calls', '2024-03-15'),
    'Facts of a closed period stay as they are.', 'a day of the month');
SELECT pg_temp.closed('UPDATE kpi.fact SET value = value + 1 WHERE value = 100', pg_temp.cell('acme.emea.de', 'revenue', '2024-03'),
    'Facts of a closed period stay as they are.', 'an update');
SELECT pg_temp.closed($$UPDATE kpi.fact SET period = '2024-03' WHERE period = '2024-02'$$, pg_temp.cell('acme.emea.de', 'revenue', '2024-03'),
    'Facts of a closed period stay as they are.', 'a fact that moves into it');
SELECT pg_temp.closed($$UPDATE kpi.fact SET period = '2024-02' WHERE period = '2024-03' AND value = 50$$, pg_temp.cell('acme.apac.jp', 'revenue', '2024-03'),
    'Facts of a closed period stay as they are.', 'or out of it');
SELECT pg_temp.closed($$DELETE FROM kpi.fact WHERE period = '2024-03' AND value = 50$$, pg_temp.cell('acme.apac.jp', 'revenue', '2024-03'),
    'Facts of a closed period stay as they are.', 'a deletion');
SELECT throws_ok('TRUNCATE kpi.fact', '55000', 'table "kpi.fact" cannot be truncated while a period is closed', 'TRUNCATE');
SELECT throws_ok('TRUNCATE kpi.link', '55000', 'table "kpi.link" cannot be truncated while a period is closed', 'of any table');

SELECT pg_temp.passes($$SELECT kpi.record_fact('acme.emea.de', 'revenue', '2024-04', 1), kpi.record_fact('acme.emea.de', 'revenue', '2024-02', 1)$$, 'other months are open');
SELECT pg_temp.passes($$SELECT kpi.record_fact('acme.emea.de', 'calls', '2024-04-01', 1), kpi.record_fact('acme.emea.de', 'calls', '2024-02-29', 1)$$, 'and other days, though their weeks or the quarter are those of March');
SELECT pg_temp.passes($$UPDATE kpi.fact SET note = 'checked', recorded_by = 'me'$$, 'a note changes no figure');
SELECT pg_temp.passes('UPDATE kpi.fact SET value = value', 'nor does an update that changes nothing');

-- ---------------------------------------------------------------- targets

SELECT pg_temp.closed($$SELECT kpi.set_target('acme', 'revenue', '2024-03', 130)$$, pg_temp.cell('acme', 'revenue', '2024-03'),
    'Its target was reported as 120 and would be 130.', 'a target');
SELECT pg_temp.closed($$DELETE FROM kpi.target$$, pg_temp.cell('acme', 'revenue', '2024-03'), 'Its target was reported as 120 and would be null.', 'its removal');
SELECT pg_temp.closed($$SELECT kpi.set_target('acme.emea.fr', 'revenue', '2024-03', 1)$$, pg_temp.cell('acme.emea.fr', 'revenue', '2024-03'),
    'There was nothing to report, and its actual would be null.', 'a target where there was nothing');
-- 31 days of 1 make a target of March, and 7 of week 13: 31 days, four weeks inside March (10 to 13) and March itself
SELECT pg_temp.closed($$INSERT INTO kpi.target (kpi_id, period, value) SELECT kpi.kpi_id('acme.emea.fr', 'calls'), p, 1 FROM kpi.periods('2024-03', 'day') p$$,
    pg_temp.cell('acme.emea.fr', 'calls', '2024-03-01'), 'There was nothing to report, and its actual would be null. In all 36 closed cells would change.', 'targets of days, and what follows from them');
SELECT pg_temp.passes($$SELECT kpi.set_target('acme', 'revenue', '2024-Q1', 1), kpi.set_target('acme', 'revenue', '2024', 1), kpi.set_target('acme', 'revenue', '2024-02', 1)$$, 'the quarter, the year and February are open');
SELECT pg_temp.passes($$UPDATE kpi.target SET note = 'agreed in January', locked = true, baseline = 3$$, 'what changes no figure passes');
SELECT pg_temp.closed($$UPDATE kpi.measure SET scoring = 'progress' WHERE code = 'revenue'$$, pg_temp.cell('acme', 'revenue', '2024-03'),
    'Its attainment was reported as 1.25 and would be null.', 'a rule that makes it matter is refused');

-- ---------------------------------------------------------------- units

-- acme has emea and apac, emea has de and fr: coverage of revenue 1/2 * (1/2 + 1/2) in either
SELECT is((SELECT coverage FROM kpi.reported WHERE unit = 'acme' AND measure = 'revenue'), 0.75, 'emea is known by half, apac as a whole');
-- calls of the 31st, of week 13 and of the month at apac, which has none, and at
-- emea; revenue at apac, at emea, and the coverage at acme, 1/2 * (0 + 1)
SELECT pg_temp.closed($$SELECT kpi.move_unit('acme.emea.de', 'acme.apac', '2024-03-31')$$, pg_temp.cell('acme.apac', 'calls', '2024-03-31'),
    'There was nothing to report, and its actual would be 3. In all 9 closed cells would change.', 'a move that was in force on the last day');
SELECT pg_temp.passes($$SELECT kpi.move_unit('acme.emea.de', 'acme.apac', '2024-04-01')$$, 'a move after it');
SELECT pg_temp.passes($$SELECT kpi.move_unit('acme.emea.de', 'acme.emea', '2024-02-01')$$, 'one to where it is');
SELECT pg_temp.closed($$SELECT kpi.set_share('acme.emea', 0.5, '2024-03-01')$$, pg_temp.cell('acme', 'calls', '2024-03-01'),
    'Its actual was reported as 2 and would be 1. In all 5 closed cells would change.', 'a share');
SELECT pg_temp.passes($$SELECT kpi.set_share('acme.emea', 0.5, '2024-04-01')$$, 'a share later');
SELECT pg_temp.passes($$UPDATE kpi.unit_history SET effective_from = '2024-04-15' WHERE effective_from > '2024-04-01'$$, 'history after it');
SELECT pg_temp.passes($$UPDATE kpi.unit SET path = 'acme.europe', name = 'Europe', owner = 'ann', attributes = '{"a": 1}' WHERE path = 'acme.emea'$$, 'a unit has another name');
SELECT pg_temp.passes($$UPDATE kpi.unit SET valid_to = '2024-04-01' WHERE path = 'acme.emea.de'$$, 'a unit ends after it');
SELECT pg_temp.closed($$UPDATE kpi.unit SET valid_to = '2024-03-31' WHERE path = 'acme.apac.jp'$$, pg_temp.cell('acme', 'revenue', '2024-03'),
    'Its actual was reported as 150 and would be 100. In all 3 closed cells would change.', 'not before');
SELECT pg_temp.passes($$INSERT INTO kpi.unit (path) VALUES ('acme.latam'), ('acme.latam.br')$$, 'new units');
SELECT pg_temp.passes($$INSERT INTO kpi.unit (path) VALUES ('acme.latam'); DELETE FROM kpi.unit WHERE path = 'acme.latam'$$, 'come and go');
SELECT pg_temp.passes($$DELETE FROM kpi.kpi WHERE unit_id = kpi.unit_id('acme.apac.jp') AND measure_id <> 1$$, 'KPIs without figures, with no figures above them, go');
SELECT throws_ok($$DELETE FROM kpi.unit WHERE path = 'acme.apac.jp'$$, '23503', NULL, 'units with facts do not');
SELECT pg_temp.closed($$DELETE FROM kpi.unit WHERE path = 'acme.emea.fr'$$, pg_temp.cell('acme', 'calls', '2024-03-01'),
    -- emea from 1/2 to 1, acme from 1/2 * 1/2 to 1/2 * 1: of calls 4 cells each, of revenue 1 each
    'Its coverage was reported as 0.25 and would be 0.5. In all 10 closed cells would change.', 'nor one that was missed in the coverage');

-- ---------------------------------------------------------------- KPIs, measures, links

INSERT INTO kpi.unit (path) VALUES ('acme.latam');
SELECT pg_temp.closed($$SELECT kpi.deploy('revenue', 'acme.latam')$$, pg_temp.cell('acme', 'revenue', '2024-03'),
    'Its coverage was reported as 0.75 and would be 0.5.', 'a KPI that was not there is missed by those above');
SELECT pg_temp.passes($$INSERT INTO kpi.kpi (unit_id, measure_id, valid_from) VALUES (kpi.unit_id('acme.latam'), 1, '2024-04-01')$$, 'a KPI from later on');
SELECT pg_temp.passes($$INSERT INTO kpi.measure (code) VALUES ('visits'); SELECT kpi.deploy('visits', 'acme')$$, 'a new measure has no closed cells');
SELECT pg_temp.passes($$SELECT kpi.deploy('cost', 'acme.latam')$$, 'a KPI of a measure without figures changes none');
SELECT pg_temp.passes($$UPDATE kpi.kpi SET owner = 'ann', weight = 2, valid_to = '2024-04-01', valid_from = '2020-01-01'$$, 'KPIs end after it');
SELECT pg_temp.closed($$UPDATE kpi.kpi SET valid_from = '2024-04-01' WHERE kpi_id = kpi.kpi_id('acme.apac.jp', 'revenue')$$, pg_temp.cell('acme', 'revenue', '2024-03'),
    'Its actual was reported as 150 and would be 100. In all 3 closed cells would change.', 'and do not begin then');
SELECT pg_temp.passes($$UPDATE kpi.measure SET name = 'Revenue', description = 'x', unit_of_measure = 'EUR', at_risk_from = 0.5 WHERE code = 'revenue'$$, 'a rule that changes no closed status');
SELECT pg_temp.closed($$UPDATE kpi.measure SET on_track_from = 1.1 WHERE code = 'revenue'$$, pg_temp.cell('acme', 'revenue', '2024-03'),
    'Its status was reported as on_track and would be at_risk.', 'one that does');
-- min of days 2 and 3 is 2, not 5, for the month and week 13 has 3 either way
SELECT pg_temp.closed($$UPDATE kpi.measure SET rollup = 'min' WHERE code = 'calls'$$, pg_temp.cell('acme', 'calls', '2024-03'),
    'Its actual was reported as 5 and would be 2. In all 3 closed cells would change.', 'a rollup');
-- the cost of fr has no figures, so as a part of the revenue of fr it makes it no cell, but it is missed at all above
SELECT pg_temp.passes($$SELECT kpi.link_kpi('acme.emea.de', 'cost', 'acme.emea.de', 'revenue', 'value', valid_from => '2024-04-01')$$, 'a link from later on');
SELECT pg_temp.closed($$SELECT kpi.link_kpi('acme.emea.de', 'cost', 'acme.emea.de', 'revenue', 'value')$$, pg_temp.cell('acme', 'revenue', '2024-03'),
    -- de: own facts and a source without figures, 1/2; emea 1/4 of it and fr; acme 1/2 * (1/4 + 1)
    'Its coverage was reported as 0.75 and would be 0.625. In all 3 closed cells would change.', 'a link in force then');
SELECT pg_temp.passes($$SELECT kpi.link_kpi('acme.emea.de', 'cost', 'acme.emea.de', 'revenue', 'aligned')$$, 'one that only aligns');
SELECT throws_ok($$SELECT kpi.link_kpi('acme', 'revenue', 'acme.emea.de', 'revenue', 'value')$$, '23001', NULL, 'a cycle is still called a cycle');
SELECT throws_ok($$SELECT kpi.link_kpi('acme.emea.de', 'calls', 'acme.emea.de', 'revenue', 'value')$$, '23514', NULL, 'and a link that is not allowed so');

-- ---------------------------------------------------------------- growth

INSERT INTO kpi.measure (code, rollup) VALUES ('growth', 'ratio');
SELECT lives_ok($$SELECT kpi.deploy('growth', 'acme', '{1}'), kpi.link_kpi('acme', 'revenue', 'acme', 'growth', 'growth', valid_from => '2024-04-01')$$, 'growth of revenue, from April on');
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme.emea.de', 'revenue', '2024-04', 110), ('acme.emea.de', 'revenue', '2023-04', 100);
SELECT lives_ok($$SELECT kpi.close_period('2024-04')$$, 'April is closed');
SELECT is((SELECT actual FROM kpi.reported WHERE measure = 'growth'), 0.1, 'ten per cent are reported');
SELECT pg_temp.closed($$SELECT kpi.record_fact('acme.emea.de', 'revenue', '2023-04', 10)$$, pg_temp.cell('acme', 'growth', '2024-04'),
    'Facts of measure "revenue" at unit "acme.emea.de" in period "2023-04" count in it.', 'a fact of the year before');
SELECT pg_temp.passes($$SELECT kpi.record_fact('acme.emea.de', 'cost', '2023-04', 10)$$, 'where no growth is shown it passes');
SELECT pg_temp.passes($$SELECT kpi.record_fact('acme.emea.de', 'revenue', '2023-03', 10)$$, 'and a month earlier');
SELECT lives_ok($$SELECT kpi.reopen_period('2024-04', 'enough')$$, 'April is open again');
SELECT pg_temp.passes($$SELECT kpi.record_fact('acme.emea.de', 'revenue', '2023-04', 10)$$, 'then it passes');

-- ---------------------------------------------------------------- a unit alone

INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme.emea.de', 'revenue', '2024-05', 10), ('acme.apac.jp', 'revenue', '2024-05', 20);
SELECT is(kpi.close_period('2024-05'::kpi_period, 'acme.emea'::kpi_path), 2::bigint, 'May is closed for emea: de and emea');
SELECT pg_temp.closed($$SELECT kpi.record_fact('acme.emea.fr', 'revenue', '2024-05', 1)$$, pg_temp.cell('acme.emea.fr', 'revenue', '2024-05'),
    'Facts of a closed period stay as they are.', 'emea is closed');
SELECT pg_temp.passes($$SELECT kpi.record_fact('acme.apac.jp', 'revenue', '2024-05', 1), kpi.record_fact('acme', 'revenue', '2024-05', 1)$$, 'apac and acme are open');
SELECT pg_temp.passes($$SELECT kpi.record_fact('acme.apac.jp', 'cost', '2024-05', 1)$$, 'so is cost');
SELECT lives_ok($$SELECT kpi.link_kpi('acme.apac.jp', 'cost', 'acme.emea', 'cost', 'score')$$, 'a link from apac into emea, where nothing is known');
SELECT pg_temp.closed($$SELECT kpi.record_fact('acme.apac.jp', 'cost', '2024-05', 1)$$, pg_temp.cell('acme.emea', 'cost', '2024-05'),
    'Facts of measure "cost" at unit "acme.apac.jp" in period "2024-05" count in it.', 'what counts in emea is closed as well');
DELETE FROM kpi.link WHERE contributes = 'score';
SELECT pg_temp.closed($$SELECT kpi.move_unit('acme.emea.de', 'acme.apac', '2024-05-31')$$, pg_temp.cell('acme.emea', 'revenue', '2024-05'),
    'It was reported with an actual of 10 and would be gone. In all 2 closed cells would change.', 'a move out of it');
SELECT pg_temp.passes($$SELECT kpi.move_unit('acme.emea.de', 'acme.apac', '2024-06-01')$$, 'later it may go');
SELECT pg_temp.closed($$SELECT kpi.move_unit('acme.apac.jp', 'acme.emea', '2024-05-01')$$, pg_temp.cell('acme.emea.jp', 'revenue', '2024-05'),
    'There was nothing to report, and its actual would be 20. In all 2 closed cells would change.', 'a move into it');
SELECT pg_temp.passes($$SELECT kpi.move_unit('acme.latam', 'acme.emea', '2024-05-01')$$, 'a unit without figures moves as it likes');
-- figures that do not roll up: no cell changes, but other cells would be closed than were reported
INSERT INTO kpi.measure (code, rolls_up) VALUES ('audits', false);
SELECT lives_ok($$SELECT kpi.deploy('audits', 'acme.apac'), kpi.record_fact('acme.apac.jp', 'audits', '2024-05', 1), kpi.fold()$$, 'audits of apac');
DELETE FROM kpi.fact WHERE period = '2024-05' AND kpi_id = kpi.kpi_id('acme.apac.jp', 'revenue');
DELETE FROM kpi.kpi WHERE kpi_id IN (kpi.kpi_id('acme.apac.jp', 'cost'), kpi.kpi_id('acme.apac.jp', 'calls'));
UPDATE kpi.kpi SET valid_to = '2024-04-01' WHERE kpi_id = kpi.kpi_id('acme.apac.jp', 'revenue');
SELECT throws_like($$SELECT kpi.move_unit('acme.apac.jp', 'acme.emea', '2024-05-01')$$, 'period "2024-05" of measure "audits" at unit %jp" is closed', 'cells that were not reported do not come into a closed unit');
SELECT throws_ok($$DELETE FROM kpi.fact WHERE kpi_id = kpi.kpi_id('acme.emea.de', 'revenue') AND period = '2024-05'$$, '55000', NULL, 'its facts stay');
INSERT INTO kpi.unit (path) VALUES ('acme.oceania');
SELECT is(kpi.close_period('2024-05', 'acme.oceania'), 0::bigint, 'a unit without figures may be closed');
SELECT throws_ok($$DELETE FROM kpi.unit WHERE path = 'acme.oceania'$$, '55000', 'period "2024-05" is closed for a unit that is to be deleted', 'and is then not deleted');
SELECT lives_ok($$SELECT kpi.close_period('2024-05')$$, 'all may be closed, though parts are');
SELECT throws_ok($$SELECT kpi.close_period('2024-05', 'acme.emea.fr')$$, '55000', NULL, 'but no part any more');
SELECT throws_ok($$SELECT kpi.reopen_period('2024-05', 'x', 'acme.apac')$$, '55000', 'period "2024-05" of unit "acme.apac" is not closed', 'a unit has no close of its own');
SELECT lives_ok($$SELECT kpi.reopen_period('2024-05', 'all of it')$$, 'all is open again');
SELECT pg_temp.closed($$SELECT kpi.record_fact('acme.emea.de', 'revenue', '2024-05', 1)$$, pg_temp.cell('acme.emea.de', 'revenue', '2024-05'),
    'Facts of a closed period stay as they are.', 'but for emea');
SELECT pg_temp.closed($$SELECT kpi.reopen_period('2024-05', 'x', 'acme.emea.fr')$$, 'period "2024-05" of unit "acme.emea.fr" is not closed',
    'Period "2024-05" of unit "acme.emea" is.', 'the close named is the one that holds, oceania is not concerned');
SELECT lives_ok($$SELECT kpi.reopen_period('2024-05'::kpi_period, 'and emea', 'acme.emea'::kpi_path)$$, 'until that is opened');
SELECT pg_temp.passes($$SELECT kpi.record_fact('acme.emea.de', 'revenue', '2024-05', 1)$$, 'then it is open');

-- ---------------------------------------------------------------- opening again

SELECT throws_ok($$SELECT kpi.reopen_period('2024-03', ' ')$$, '22023', NULL, 'a reason is needed');
SELECT throws_ok($$SELECT kpi.reopen_period('2024-03', E'\n\t')$$, '22023', NULL, 'with words');
SELECT throws_ok($$SELECT kpi.reopen_period('2024-03', NULL)$$, '22023', NULL, 'in any case');
SELECT throws_ok($$SELECT kpi.reopen_period(NULL::text, 'x')$$, '22004', 'period to reopen must not be null', 'a period is needed');
SELECT throws_ok($$SELECT kpi.reopen_period('2024-02', 'x')$$, '55000', 'period "2024-02" is not closed', 'what is open is not opened');
SELECT throws_ok($$SELECT kpi.reopen_period('2024-03-05', 'x')$$, '55000', 'period "2024-03-05" is not closed', 'nor a part of what is closed');
SELECT lives_ok($$SELECT kpi.close_period('2024-Q1')$$, 'the quarter is closed, March with it');
SELECT pg_temp.closed($$SELECT kpi.record_fact('acme.emea.de', 'revenue', '2024-02', 1)$$, pg_temp.cell('acme.emea.de', 'revenue', '2024-02'),
    'Facts of a closed period stay as they are.', 'and February');
SELECT pg_temp.closed($$SELECT kpi.set_target('acme', 'revenue', '2024-Q1', 1)$$, pg_temp.cell('acme', 'revenue', '2024-Q1'),
    'Its target was reported as null and would be 1.', 'and what the quarter has');
SELECT pg_temp.passes($$SELECT kpi.set_target('acme', 'revenue', '2024', 1)$$, 'the year is open');
SELECT isnt(kpi.reopen_period('2024-03', 'late invoice'), NULL, 'March is opened');
SELECT pg_temp.closed($$SELECT kpi.record_fact('acme.emea.de', 'revenue', '2024-03', 1)$$, pg_temp.cell('acme.emea.de', 'revenue', '2024-03'),
    'Facts of a closed period stay as they are.', 'but is closed with the quarter');
SELECT isnt(kpi.reopen_period('2024-Q1', 'late invoice'), NULL, 'the quarter is opened');
SELECT lives_ok($$SELECT kpi.record_fact('acme.emea.de', 'revenue', '2024-03', 5, note => 'late invoice'), kpi.record_fact('acme.emea.fr', 'cost', '2024-03', 1)$$, 'and corrected');
SELECT results_eq($$SELECT unit::text, measure, reported_actual, current_actual, actual_difference, reported_status::text, current_status::text, differs, in_force
                      FROM kpi.reported_difference WHERE closed_period = '2024-03' AND period = '2024-03' AND measure <> 'calls' ORDER BY measure DESC, unit$$,
    $$VALUES ('acme', 'revenue', 150::numeric, 155::numeric, 5::numeric, 'on_track', 'on_track', true, false),
             ('acme.apac', 'revenue', 50, 50, 0, 'no_target', 'no_target', false, false),
             ('acme.apac.jp', 'revenue', 50, 50, 0, 'no_target', 'no_target', false, false),
             ('acme.emea', 'revenue', 100, 105, 5, 'no_target', 'no_target', true, false),
             ('acme.emea.de', 'revenue', 100, 105, 5, 'no_target', 'no_target', true, false),
             ('acme', 'cost', NULL, 1, NULL, NULL, 'no_target', true, false),
             ('acme.emea', 'cost', NULL, 1, NULL, NULL, 'no_target', true, false),
             ('acme.emea.fr', 'cost', NULL, 1, NULL, NULL, 'no_target', true, false)$$, 'what was reported stands beside what is');
SELECT is(kpi.close_period('2024-03', note => 'corrected'), (17 + 3)::bigint, 'and March is closed anew');
SELECT is_empty($$SELECT * FROM kpi.reported_difference WHERE closed_period = '2024-03' AND differs$$, 'with the figures of now');
SELECT results_eq($$SELECT c.reopen_reason, r.actual FROM kpi.reported r JOIN kpi.period_close c USING (period_close_id)
                     WHERE r.unit = 'acme' AND r.measure = 'revenue' AND r.period = '2024-03' ORDER BY period_close_id$$,
    $$VALUES ('late invoice', 150::numeric), ('late invoice', 150), (NULL, 155)$$, 'all that was ever reported is kept');
SELECT is_empty('SELECT * FROM kpi.verify()', 'kpi.verify() finds nothing');
SELECT lives_ok('SELECT kpi.fold(), kpi.rebuild()', 'folding and rebuilding refuse nothing');

-- a savepoint takes a close, or an opening, back
SAVEPOINT s;
SELECT isnt(kpi.reopen_period('2024-03', 'to see'), NULL, 'open');
SELECT pg_temp.passes($$SELECT kpi.record_fact('acme.emea.de', 'revenue', '2024-03', 1)$$, 'a fact passes');
ROLLBACK TO s;
SELECT throws_ok($$SELECT kpi.record_fact('acme.emea.de', 'revenue', '2024-03', 1)$$, '55000', NULL, 'and not after the rollback');
SAVEPOINT s;
SELECT lives_ok($$SELECT kpi.close_period('2024-07')$$, 'July is closed');
SELECT throws_ok($$SELECT kpi.record_fact('acme.emea.de', 'revenue', '2024-07', 1)$$, '55000', NULL, 'no fact passes');
ROLLBACK TO s;
SELECT pg_temp.passes($$SELECT kpi.record_fact('acme.emea.de', 'revenue', '2024-07', 1)$$, 'until that is rolled back');

-- ---------------------------------------------------------------- the log

SELECT throws_ok($$INSERT INTO kpi.period_close (period) VALUES ('2024-06')$$, '55000', 'table "kpi.period_close" is kept by kpi.close_period and kpi.reopen_period', 'closes are made by functions');
SELECT throws_ok('UPDATE kpi.period_close SET reopened_at = NULL', '55000', NULL, 'and so opened');
SELECT throws_ok('DELETE FROM kpi.period_close WHERE reopened_at IS NULL', '55000', NULL, 'one in force is not deleted');
SELECT throws_ok('DELETE FROM kpi.reported', '55000', NULL, 'nor what was reported');
SELECT throws_ok('INSERT INTO kpi.reported SELECT * FROM kpi.reported', '55000', NULL, 'which nobody adds to');
SELECT throws_ok('TRUNCATE kpi.period_close, kpi.reported', '55000', NULL, 'or truncates');
SELECT lives_ok($$DELETE FROM kpi.period_close WHERE reopened_at IS NOT NULL AND period = '2024-03'$$, 'one that was reopened may go');
SELECT is((SELECT count(*) FROM kpi.reported r WHERE r.period = '2024-03' AND r.unit = 'acme' AND r.measure = 'revenue'), 2::bigint, 'with what was reported');

-- rows that come as another database had them
SAVEPOINT s;
SET LOCAL check_function_bodies = off;
SET LOCAL row_security = off;
SELECT lives_ok($$INSERT INTO kpi.fact (kpi_id, period, value) VALUES (kpi.kpi_id('acme.emea.de', 'revenue'), '2024-03', 1);
                  INSERT INTO kpi.period_close (period) VALUES ('2024-06')$$, 'a dump is restored');
ROLLBACK TO s;
SET LOCAL session_replication_role = replica;
SELECT lives_ok($$INSERT INTO kpi.fact (kpi_id, period, value) VALUES (kpi.kpi_id('acme.emea.de', 'revenue'), '2024-03', 1);
                  UPDATE kpi.target SET value = 1;
                  INSERT INTO kpi.period_close (period) VALUES ('2024-06')$$, 'and a replica applies');
ROLLBACK TO s;
-- which shows, in the close that is in force: de had no cost in March, emea and acme the 1 of fr
SET LOCAL session_replication_role = replica;
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (kpi.kpi_id('acme.emea.de', 'cost'), '2024-03', 7);
RESET session_replication_role;
SELECT results_eq($$SELECT unit::text, reported_actual, current_actual, reported_status::text, current_status::text, in_force
                      FROM kpi.reported_difference WHERE closed_period = '2024-03' AND period = '2024-03' AND differs ORDER BY unit$$,
    $$VALUES ('acme', 1::numeric, 8::numeric, 'no_target', 'no_target', true),
             ('acme.emea', 1, 8, 'no_target', 'no_target', true), ('acme.emea.de', NULL, 7, NULL, 'no_target', true)$$, 'what came unchecked differs, reported or not');
ROLLBACK TO s;
-- a setting of ours is no way around
SET LOCAL kpi_cascade.history_gives_way = on;
SELECT throws_ok($$INSERT INTO kpi.fact (kpi_id, period, value) VALUES (kpi.kpi_id('acme.emea.de', 'revenue'), '2024-03', 1)$$, '55000', NULL,
                 'facts are refused, whatever becomes of history');
ROLLBACK TO s;

-- ---------------------------------------------------------------- privileges

CREATE ROLE kpi_controller;
CREATE ROLE kpi_viewer;
GRANT USAGE ON SCHEMA kpi TO kpi_controller, kpi_viewer;
GRANT EXECUTE ON FUNCTION kpi.close_period(text, text, text), kpi.reopen_period(text, text, text) TO kpi_controller;
GRANT SELECT ON kpi.reported_difference TO kpi_viewer;
SET LOCAL ROLE kpi_viewer;
SELECT throws_ok($$SELECT kpi.close_period('2024-02')$$, '42501', NULL, 'not everybody may close');
SELECT throws_ok($$SELECT kpi.reopen_period('2024-03', 'x')$$, '42501', NULL, 'or open');
SELECT cmp_ok((SELECT count(*) FROM kpi.reported_difference WHERE closed_period = '2024-03'), '=', 20::bigint, 'a reader of the view sees all of it');
SET LOCAL ROLE kpi_controller;
SELECT lives_ok($$SELECT kpi.close_period('2024-02'), kpi.reopen_period('2024-02', 'x')$$, 'who may call the functions needs nothing else');
RESET ROLE;
CREATE POLICY apac_only ON kpi.unit FOR SELECT TO kpi_viewer USING (path <@ 'acme.apac'::kpi_path);
ALTER TABLE kpi.unit ENABLE ROW LEVEL SECURITY;
SET LOCAL ROLE kpi_viewer;
SELECT results_eq($$SELECT DISTINCT unit::text FROM kpi.reported_difference WHERE closed_period = '2024-03' ORDER BY 1$$, $$VALUES ('acme.apac'), ('acme.apac.jp')$$, 'row security holds for it');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
