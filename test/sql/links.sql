-- Links: what may be joined by which kind, cycles, and the messages in full
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
RESET client_min_messages;
SET search_path = public;
\set SHOW_CONTEXT never
\set ON_ERROR_ROLLBACK on
BEGIN;
INSERT INTO kpi.unit (path) VALUES ('acme'), ('acme.a'), ('acme.a.x'), ('acme.b');
INSERT INTO kpi.measure (code, rollup, time_rollup, grain, fiscal_start) VALUES
    ('revenue', 'sum', 'pool', 'month', 1), ('cost', 'sum', 'pool', 'month', 1), ('profit', 'sum', 'pool', 'month', 1),
    ('visits', 'count', 'pool', 'month', 1), ('stock', 'sum', 'last', 'month', 1), ('note', 'none', 'pool', 'month', 1),
    ('mood', 'mean', 'pool', 'month', 1), ('price', 'weighted_mean', 'pool', 'month', 1),
    ('lowest', 'min', 'pool', 'month', 1), ('highest', 'max', 'pool', 'month', 1),
    ('margin', 'ratio', 'pool', 'month', 1), ('growth', 'none', 'pool', 'month', 1), ('growth 2', 'sum', 'pool', 'month', 1),
    ('daily', 'sum', 'pool', 'day', 1), ('weekly', 'sum', 'pool', 'week', 1), ('weekly growth', 'sum', 'pool', 'week', 1),
    ('fiscal', 'sum', 'pool', 'month', 4), ('quarterly', 'sum', 'pool', 'quarter', 1);
UPDATE kpi.measure SET rolls_up = false;
SELECT sum(kpi.deploy(code, 'acme')) FROM kpi.measure;
CREATE FUNCTION pg_temp.link(child text, parent text, contributes text, weight numeric DEFAULT 1, valid_from date DEFAULT NULL, valid_to date DEFAULT NULL) RETURNS text
    LANGUAGE sql AS $$ SELECT 'allowed' FROM kpi.link_kpi('acme', child, 'acme', parent, contributes, weight, valid_from, valid_to) $$;

-- ---- value
SAVEPOINT here;
SELECT pg_temp.link('quarterly', 'revenue', 'value');
SELECT pg_temp.link('fiscal', 'revenue', 'value');
SELECT pg_temp.link('visits', 'revenue', 'value');
SELECT pg_temp.link('stock', 'revenue', 'value');
SELECT kpi.link_kpi('acme.a', 'note', 'acme', 'note', 'value');
SELECT kpi.link_kpi('acme.a', 'mood', 'acme', 'mood', 'value', 0);
SELECT kpi.link_kpi('acme.a', 'price', 'acme', 'price', 'value', -1);
SELECT kpi.link_kpi('acme.a', 'lowest', 'acme', 'lowest', 'value', 2);
SELECT kpi.link_kpi('acme.a', 'highest', 'acme', 'highest', 'value', 0.5);
SELECT pg_temp.link('revenue', 'profit', 'value'), pg_temp.link('cost', 'profit', 'value', -1);
SELECT kpi.link_kpi('acme.a', 'mood', 'acme', 'mood', 'value', 0.5) > 0 AS mood, kpi.link_kpi('acme.a', 'lowest', 'acme', 'lowest', 'value') > 0 AS lowest,
       kpi.link_kpi('acme.a', 'margin', 'acme', 'margin', 'value', -1) > 0 AS ratio, kpi.link_kpi('acme.a', 'visits', 'acme', 'visits', 'value', 0) > 0 AS zero;
ROLLBACK TO here;

-- ---- numerator and denominator
SELECT pg_temp.link('revenue', 'profit', 'numerator');
SELECT pg_temp.link('mood', 'margin', 'numerator');
SELECT kpi.link_kpi('acme.a', 'margin', 'acme', 'margin', 'denominator');
SELECT pg_temp.link('quarterly', 'margin', 'denominator');
SELECT pg_temp.link('fiscal', 'margin', 'denominator');
SELECT pg_temp.link('revenue', 'margin', 'numerator'), pg_temp.link('cost', 'margin', 'numerator', -1),
       pg_temp.link('visits', 'margin', 'denominator'), pg_temp.link('note', 'margin', 'denominator', 0);
ROLLBACK TO here;

-- ---- growth
SELECT pg_temp.link('revenue', 'growth', 'growth', 2);
SELECT pg_temp.link('quarterly', 'growth', 'growth');
SELECT pg_temp.link('fiscal', 'growth', 'growth');
SELECT pg_temp.link('weekly', 'weekly growth', 'growth');
SELECT pg_temp.link('revenue', 'growth', 'growth', 1, NULL, '2026-07-01');
-- one per parent and day
SELECT pg_temp.link('cost', 'growth', 'growth', 1, '2026-06-30', NULL);
SELECT pg_temp.link('cost', 'growth', 'growth', 1, '2026-07-01', NULL);
-- no other link into it but score and aligned, in either order
SELECT pg_temp.link('profit', 'growth 2', 'value');
SELECT pg_temp.link('revenue', 'growth 2', 'growth');
SELECT pg_temp.link('price', 'growth', 'score'), pg_temp.link('mood', 'growth', 'aligned');
SELECT pg_temp.link('revenue', 'margin', 'growth', 1, '2026-01-01', '2026-02-01');
SELECT pg_temp.link('cost', 'margin', 'denominator', 1, '2026-01-31', NULL);
SELECT pg_temp.link('cost', 'margin', 'denominator', 1, '2026-02-01', NULL);
-- a growth KPI has no tally to give, and is the growth of something only once
SELECT kpi.link_kpi('acme', 'growth', 'acme.a', 'growth', 'growth');
SELECT kpi.link_kpi('acme', 'growth 2', 'acme.a', 'growth 2', 'value', 1, '2026-01-01', '2026-02-01') > 0 AS allowed;
DELETE FROM kpi.link WHERE parent_kpi_id = kpi.kpi_id('acme', 'growth 2');
SELECT pg_temp.link('revenue', 'growth 2', 'growth', 1, '2026-01-15', NULL);
SELECT pg_temp.link('revenue', 'growth 2', 'growth', 1, '2026-02-01', NULL);
-- what a growth is may count in a ratio and in a score
SELECT pg_temp.link('growth', 'margin', 'denominator', 1, '2027-01-01'), pg_temp.link('growth', 'profit', 'score');
-- no facts
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (kpi.kpi_id('acme', 'growth'), '2026-01', 1);
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (kpi.kpi_id('acme.b', 'growth'), '2026-01', 1);
UPDATE kpi.fact SET kpi_id = kpi.kpi_id('acme', 'growth');
SELECT kpi.record_fact('acme', 'growth', '2026-01', 1);
SELECT kpi.link_kpi('acme.b', 'revenue', 'acme.b', 'growth', 'growth');
DELETE FROM kpi.fact;
SELECT kpi.link_kpi('acme.b', 'revenue', 'acme.b', 'growth', 'growth') > 0 AS allowed;
ROLLBACK TO here;

-- ---- score and aligned
SELECT pg_temp.link('revenue', 'mood', 'score', -0.5);
SELECT pg_temp.link('quarterly', 'mood', 'score');
SELECT pg_temp.link('weekly', 'mood', 'score');
SELECT pg_temp.link('fiscal', 'mood', 'score');
SELECT pg_temp.link('revenue', 'quarterly', 'score'), pg_temp.link('daily', 'weekly', 'score'), pg_temp.link('daily', 'quarterly', 'score', 0),
       pg_temp.link('fiscal', 'weekly', 'aligned', -3);

-- ---- numbers, words, validity
SELECT pg_temp.link('revenue', 'profit', 'value', 'NaN');
SELECT pg_temp.link('revenue', 'profit', 'value', 'Infinity');
SELECT pg_temp.link('revenue', 'profit', 'value', 1e30);
SELECT pg_temp.link('revenue', 'profit', 'value', 1e-21);
SELECT pg_temp.link('revenue', 'profit', 'helps');
SELECT pg_temp.link('revenue', 'profit', 'value', 1, '2026-02-01', '2026-02-01');
SELECT pg_temp.link('revenue', 'profit', 'value', 1, NULL, '2026-02-01');
SELECT pg_temp.link('revenue', 'profit', 'value', 2, '2026-01-31');
SELECT kpi.link_kpi('acme'::kpi_path, 'revenue', 'acme'::kpi_path, 'profit', 'value', 2, '2026-01-31');
SELECT pg_temp.link('revenue', 'profit', 'value', 2, '2026-02-01'), pg_temp.link('revenue', 'profit', 'score');
SELECT kpi.link_kpi('acme', 'sales', 'acme', 'profit', 'value');
INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes) VALUES (1000000, kpi.kpi_id('acme', 'profit'), 'value') RETURNING 'allowed';

-- ---- a measure or KPI cannot change away from its links
UPDATE kpi.measure SET rollup = 'mean' WHERE code = 'profit';
UPDATE kpi.measure SET time_rollup = 'last' WHERE code = 'revenue';
UPDATE kpi.measure SET grain = 'quarter' WHERE code = 'revenue';
UPDATE kpi.measure SET fiscal_start = 4 WHERE code = 'daily';
INSERT INTO kpi.measure (code, rollup, fiscal_start) VALUES ('other', 'mean', 1), ('another', 'sum', 1);
UPDATE kpi.kpi SET measure_id = (SELECT measure_id FROM kpi.measure WHERE code = 'other') WHERE kpi_id = kpi.kpi_id('acme', 'profit');
UPDATE kpi.kpi SET measure_id = (SELECT measure_id FROM kpi.measure WHERE code = 'another') WHERE kpi_id = kpi.kpi_id('acme', 'profit');
UPDATE kpi.kpi SET measure_id = (SELECT measure_id FROM kpi.measure WHERE code = 'profit') WHERE kpi_id = kpi.kpi_id('acme', 'another');
UPDATE kpi.measure SET time_rollup = 'last' WHERE code IN ('revenue', 'profit');
UPDATE kpi.measure SET grain = 'month' WHERE code = 'daily';
UPDATE kpi.measure SET grain = 'day' WHERE code = 'daily';
UPDATE kpi.measure SET name = 'any', multiplier = 2 WHERE code = 'profit';
ROLLBACK TO here;

-- ---- INSERT ON CONFLICT, MERGE, COPY, UPDATE
INSERT INTO kpi.link (link_id, child_kpi_id, parent_kpi_id, contributes) SELECT 900, kpi.kpi_id('acme', 'revenue'), kpi.kpi_id('acme', 'profit'), 'value';
INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes) SELECT kpi.kpi_id('acme', 'revenue'), kpi.kpi_id('acme', 'profit'), 'value' ON CONFLICT DO NOTHING;
INSERT INTO kpi.link (link_id, child_kpi_id, parent_kpi_id, contributes) SELECT 900, kpi.kpi_id('acme', 'revenue'), kpi.kpi_id('acme', 'profit'), 'value' ON CONFLICT (link_id) DO UPDATE SET weight = 3;
MERGE INTO kpi.link l USING (SELECT kpi.kpi_id('acme', m) AS child, kpi.kpi_id('acme', 'profit') AS parent, w FROM (VALUES ('revenue', 4), ('cost', -1)) v (m, w)) n
   ON l.child_kpi_id = n.child AND l.parent_kpi_id = n.parent AND l.contributes = 'value'
 WHEN MATCHED THEN UPDATE SET weight = n.w WHEN NOT MATCHED THEN INSERT (child_kpi_id, parent_kpi_id, contributes, weight) VALUES (n.child, n.parent, 'value', n.w);
SELECT c.code, l.weight FROM kpi.link l JOIN kpi.kpi k ON k.kpi_id = l.child_kpi_id JOIN kpi.measure c USING (measure_id) ORDER BY c.code;
UPDATE kpi.link SET child_kpi_id = kpi.kpi_id('acme', 'stock') WHERE link_id = 900;
\set VERBOSITY terse
INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes) SELECT kpi.kpi_id('acme', 'revenue'), kpi.kpi_id('acme', 'profit'), 'value';
\set VERBOSITY default
DELETE FROM kpi.link;
-- the file names KPIs by number: make these known
ROLLBACK TO here;
UPDATE kpi.kpi SET kpi_id = 5000 + kpi_id - kpi.kpi_id('acme', 'revenue') WHERE kpi_id IN (kpi.kpi_id('acme', 'revenue'));
UPDATE kpi.kpi SET kpi_id = 5001 WHERE kpi_id = kpi.kpi_id('acme', 'profit');
COPY kpi.link (child_kpi_id, parent_kpi_id, contributes) FROM STDIN;
5000	5001	value
\.
COPY kpi.link (child_kpi_id, parent_kpi_id, contributes) FROM STDIN;
5001	5000	score
\.
COPY kpi.link (child_kpi_id, parent_kpi_id, contributes) FROM STDIN;
5001	5000	numerator
\.
ROLLBACK TO here;

-- ---- cycles
SELECT pg_temp.link('revenue', 'profit', 'value'), pg_temp.link('profit', 'mood', 'score', 1, '2026-01-01', '2026-07-01');
SELECT pg_temp.link('mood', 'revenue', 'score');
SELECT pg_temp.link('mood', 'revenue', 'score', 1, '2026-06-30');
SELECT pg_temp.link('mood', 'revenue', 'aligned', 1, '2025-12-31', '2026-01-02');
SELECT pg_temp.link('mood', 'revenue', 'score', 0), pg_temp.link('mood', 'revenue', 'aligned', 1, '2026-07-01');
-- one statement may bring it, or turn it into one
INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes)
SELECT kpi.kpi_id('acme', c), kpi.kpi_id('acme', p), 'score' FROM (VALUES ('price', 'stock'), ('stock', 'highest'), ('highest', 'price')) v (c, p);
UPDATE kpi.link SET weight = 1 WHERE weight = 0;
UPDATE kpi.link SET valid_to = NULL WHERE valid_to = '2026-07-01';
-- a KPI that is not there closes nothing
UPDATE kpi.kpi SET valid_from = '2026-07-01' WHERE kpi_id = kpi.kpi_id('acme', 'mood');
UPDATE kpi.link SET weight = 1 WHERE weight = 0;
UPDATE kpi.kpi SET valid_from = '2026-06-30' WHERE kpi_id = kpi.kpi_id('acme', 'mood');
UPDATE kpi.kpi SET valid_from = NULL;
ROLLBACK TO here;

-- implied links take part: what a unit gives to its parent cannot come back
UPDATE kpi.measure SET rolls_up = true WHERE code IN ('revenue', 'cost', 'profit', 'note');
SELECT kpi.link_kpi('acme', 'revenue', 'acme.a.x', 'revenue', 'score');
SELECT kpi.link_kpi('acme', 'note', 'acme.a.x', 'note', 'score') > 0 AS none_implies_nothing;
-- acme.b's revenue comes from acme's cost, and that from acme.a's revenue
SELECT kpi.link_kpi('acme', 'cost', 'acme.b', 'revenue', 'score') > 0 AS allowed, kpi.link_kpi('acme.a', 'revenue', 'acme', 'cost', 'score') > 0 AS allowed;
SAVEPOINT units;
SELECT kpi.move_unit('acme.b', 'acme.a', '2026-05-01');
SELECT kpi.move_unit('acme.b', 'acme.a.x', '2026-05-01');
SELECT kpi.set_share('acme.b', 0, '2026-05-01');
SELECT kpi.move_unit('acme.b', 'acme.a', '2026-05-01');
SELECT kpi.set_share('acme.a.b', 0.5, '2026-08-01');
ROLLBACK TO units;
UPDATE kpi.unit SET valid_from = '2026-01-01', valid_to = '2026-05-01' WHERE path = 'acme.b';
SELECT kpi.move_unit('acme.b', 'acme.a', '2026-05-01');
UPDATE kpi.unit SET valid_to = '2026-05-02' WHERE path = 'acme.a.b';
ROLLBACK TO units;
INSERT INTO kpi.unit_history (unit_id, effective_from, parent_unit_id) SELECT kpi.unit_id('acme.b'), '2026-03-01', kpi.unit_id('acme.a');
UPDATE kpi.unit_history SET parent_unit_id = kpi.unit_id('acme.a') WHERE unit_id = kpi.unit_id('acme.b');
UPDATE kpi.measure SET rolls_up = false WHERE code = 'revenue';
SELECT kpi.move_unit('acme.b', 'acme.a', '2026-05-01');
UPDATE kpi.measure SET rolls_up = true WHERE code = 'revenue';
ROLLBACK TO units;

-- a computed KPI is reached by no implied link; when it no longer is computed, it is
SELECT kpi.link_kpi('acme', 'cost', 'acme', 'profit', 'value', -1) > 0 AS computed, kpi.link_kpi('acme', 'profit', 'acme.a', 'profit', 'score') > 0 AS allowed;
DELETE FROM kpi.link WHERE contributes = 'value';
UPDATE kpi.link SET valid_from = '2026-04-01' WHERE contributes = 'value';
UPDATE kpi.link SET weight = 0 WHERE contributes = 'value';
UPDATE kpi.link SET contributes = 'score' WHERE contributes = 'value';
DELETE FROM kpi.link WHERE contributes = 'score' AND parent_kpi_id = kpi.kpi_id('acme.a', 'profit');
DELETE FROM kpi.link WHERE contributes = 'value';
ROLLBACK TO units;
-- deleting a computed KPI joins what it kept apart
SELECT kpi.link_kpi('acme.a', 'cost', 'acme.a', 'revenue', 'value', -1) > 0 AS computed, kpi.link_kpi('acme', 'revenue', 'acme.a.x', 'revenue', 'score') > 0 AS allowed;
DELETE FROM kpi.kpi WHERE kpi_id = kpi.kpi_id('acme.a', 'revenue');
UPDATE kpi.kpi SET valid_to = '2026-05-01' WHERE kpi_id = kpi.kpi_id('acme.a', 'revenue');
DELETE FROM kpi.unit WHERE path IN ('acme.a', 'acme.a.x');
SELECT count(*) FROM kpi.link;
ROLLBACK;
