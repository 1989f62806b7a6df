-- Acme: a group of companies from its mission down to nine teams, with figures
-- from January 2025 to September 2026 and targets to the end of 2026.  All of it
-- is plain SQL against the tables and entry views that any application would use.
-- Load it into a database of its own; demo/show.sql is the tour.

CREATE EXTENSION kpi_cascade;

BEGIN;

-- 1. The organisation --------------------------------------------------------
-- A unit's level follows from its place: corporate, business_unit, department,
-- team.  Parents and children may come in one statement, in any order.
-- Cloud is a joint venture of which 60 % are ours: that part of it flows up.

INSERT INTO kpi.unit (path, code, name, owner, share) VALUES
    ('acme',                          'ACME',  'Acme Group',        'Ines Ortega',   1),
    ('acme.retail',                   'RET',   'Retail',            'Tom Becker',    1),
    ('acme.retail.sales',             'RET-S', 'Retail Sales',      'Aisha Khan',    1),
    ('acme.retail.sales.north',       'RS-N',  'Sales North',       'Freya Lind',    1),
    ('acme.retail.sales.south',       'RS-S',  'Sales South',       'Marco Conti',   1),
    ('acme.retail.service',           'RET-C', 'Retail Service',    'Jonas Weber',   1),
    ('acme.retail.service.hotline',   'RC-H',  'Hotline',           'Nadia Haddad',  1),
    ('acme.retail.service.stores',    'RC-S',  'Stores',            'Oskar Berg',    1),
    ('acme.retail.marketing',         'RET-M', 'Retail Marketing',  'Ida Moreau',    1),
    ('acme.retail.marketing.digital', 'RM-D',  'Digital Marketing', 'Ravi Menon',    1),
    ('acme.cloud',                    'CLD',   'Cloud (60 %)',      'Mei Tanaka',    0.6),
    ('acme.cloud.sales',              'CLD-S', 'Cloud Sales',       'Lucia Romano',  1),
    ('acme.cloud.sales.emea',         'CS-E',  'Cloud Sales EMEA',  'Clara Dubois',  1),
    ('acme.cloud.sales.apac',         'CS-A',  'Cloud Sales APAC',  'Kenji Mori',    1),
    ('acme.cloud.platform',           'CLD-P', 'Cloud Platform',    'Pavel Novak',   1),
    ('acme.cloud.platform.core',      'CP-C',  'Platform Core',     'Sam Okafor',    1),
    ('acme.cloud.platform.edge',      'CP-E',  'Platform Edge',     'Ewa Zielinska', 1);

-- 2. The strategy ------------------------------------------------------------
-- Mission and vision, an objective in each of the four perspectives, and what
-- business units make of them.  For the last one there is no KPI yet:
-- kpi.alignment will say so.

INSERT INTO kpi.objective (code, kind, name, owner) VALUES
    ('mission', 'mission', 'Good things within everybody''s reach', 'Ines Ortega');
INSERT INTO kpi.objective (code, kind, name, owner, parent_objective_id)
SELECT 'vision', 'vision', 'The shop and the cloud that people recommend', 'Ines Ortega', objective_id
FROM kpi.objective WHERE code = 'mission';
INSERT INTO kpi.objective (code, kind, perspective, name, owner, parent_objective_id)
SELECT o.code, 'strategic_objective', o.perspective, o.name, o.owner, vision.objective_id
FROM (VALUES ('grow',    'financial',           'Grow profitably',                 'Ines Ortega'),
             ('delight', 'customer',            'Customers stay and recommend us', 'Tom Becker'),
             ('deliver', 'internal_process',    'Deliver without defects',         'Pavel Novak'),
             ('learn',   'learning_and_growth', 'People who know their trade',     'Jonas Weber')) AS o (code, perspective, name, owner),
     kpi.objective vision
WHERE vision.code = 'vision';
INSERT INTO kpi.objective (code, kind, name, owner, unit_id, parent_objective_id)
SELECT o.code, 'unit_objective', o.name, o.owner, kpi.unit_id(o.unit), above.objective_id
FROM (VALUES ('online', 'Retail sells online',       'Tom Becker', 'RET', 'grow'),
             ('green',  'Parcels without emissions', 'Tom Becker', 'RET', 'deliver')) AS o (code, name, owner, unit, above)
JOIN kpi.objective above ON above.code = o.above;
INSERT INTO kpi.objective (code, kind, name, owner, unit_id, parent_objective_id)
SELECT 'traffic', 'business_driver', 'Visitors who buy', 'Ida Moreau', kpi.unit_id('RET-M'), objective_id
FROM kpi.objective WHERE code = 'online';

-- 3. The measures ------------------------------------------------------------
-- The rules of each number: how it adds up over units (rollup) and over time
-- (time_rollup), which way is good, and how it is scored against its target.

INSERT INTO kpi.measure (code, name, unit_of_measure, direction, rollup, time_rollup, scoring, multiplier, apply_share, exceeded_from) VALUES
    -- money adds up over units and months
    ('revenue',      'Revenue',               'EUR',     'higher', 'sum',           'pool', 'ratio', 1,   true,  1.05),
    ('cost',         'Cost',                  'EUR',     'lower',  'sum',           'pool', 'ratio', 1,   true,  NULL),
    ('market',       'Size of the market',    'EUR',     'higher', 'sum',           'pool', 'ratio', 1,   true,  NULL),
    -- one fact per deal: the number of facts is the number
    ('deals',        'Deals won',             'deals',   'higher', 'count',         'pool', 'ratio', 1,   false, 1.1),
    -- what customers answered, counted
    ('promoters',    'Promoters',             'answers', 'higher', 'sum',           'pool', 'ratio', 1,   true,  NULL),
    ('detractors',   'Detractors',            'answers', 'lower',  'sum',           'pool', 'ratio', 1,   true,  NULL),
    ('responses',    'Answers of customers',  'answers', 'higher', 'sum',           'pool', 'ratio', 1,   true,  NULL),
    -- a mean of means would be wrong: each employee counts once
    ('training',     'Training hours a head', 'hours',   'higher', 'weighted_mean', 'pool', 'ratio', 1,   true,  NULL),
    -- 100 * defects / deliveries
    ('defect_rate',  'Defect rate',           '%',       'lower',  'ratio',         'pool', 'ratio', 100, true,  NULL),
    -- as good as the worst of all
    ('availability', 'Lowest availability',   '%',       'higher', 'min',           'pool', 'step',  1,   true,  NULL),
    ('lead_time',    'Longest lead time',     'days',    'lower',  'max',           'pool', 'ratio', 1,   true,  NULL),
    -- a stock: adds up over units, but a quarter ends with its last month
    ('headcount',    'Headcount',             'people',  'higher', 'sum',           'last', 'range', 1,   false, NULL),
    ('site_traffic', 'Visits of the site',    'visits',  'higher', 'sum',           'pool', 'ratio', 1,   true,  NULL),
    ('orders',       'Orders on the site',    'orders',  'higher', 'sum',           'pool', 'ratio', 1,   true,  NULL),
    ('calls',        'Calls answered',        'calls',   'higher', 'sum',           'pool', 'ratio', 1,   true,  NULL);

-- Those computed from other KPIs of the same unit, and one that has no figures
-- of its own and lives from the scores of others.
INSERT INTO kpi.measure (code, name, unit_of_measure, rollup, multiplier, rolls_up, result_weight) VALUES
    ('revenue_growth',   'Revenue growth on last year', '%',      'none',  100, false, 1),
    ('roi',              'Return on investment',        '%',      'ratio', 100, false, 1),
    ('market_share',     'Market share',                '%',      'ratio', 100, false, 1),
    ('revenue_per_head', 'Revenue per head',            'EUR',    'ratio', 1,   false, 1),
    ('nps',              'Net promoter score',          'points', 'ratio', 100, true,  1),
    ('conversion_rate',  'Visits that buy',             '%',      'ratio', 100, true,  1),
    ('customer_focus',   'Customers stay with us',      NULL,     'none',  1,   false, 0);

-- Which measure at which unit.  A level without it is simply skipped.
SELECT kpi.deploy(m, 'acme') FROM unnest('{revenue, training, defect_rate, availability, lead_time, headcount}'::text[]) AS m;
SELECT kpi.deploy(m, 'acme', '{1,2}')
FROM unnest('{cost, market, deals, promoters, detractors, responses, nps, revenue_growth, roi, market_share, revenue_per_head}'::text[]) AS m;
SELECT kpi.deploy(m, u) FROM unnest('{promoters, detractors, responses, nps}'::text[]) AS m, unnest('{RET-S, RET-C, CLD-S}'::text[]) AS u;
SELECT kpi.deploy('deals', u) FROM unnest('{RET-S, CLD-S}'::text[]) AS u;
SELECT kpi.deploy(m, 'RET-M') FROM unnest('{site_traffic, orders, conversion_rate}'::text[]) AS m;
SELECT kpi.deploy('customer_focus', 'acme', '{1}');
SELECT kpi.deploy('calls', 'RET-C', '{3}'), kpi.deploy('calls', 'RC-H');
-- Marketing is a cost to revenue, not a source of it.
DELETE FROM kpi.kpi WHERE unit_id IN (kpi.unit_id('RET-M'), kpi.unit_id('RM-D'))
    AND measure_id IN (SELECT measure_id FROM kpi.measure WHERE code IN ('revenue', 'training', 'defect_rate', 'availability', 'lead_time'));

-- Who answers for a unit answers for its KPIs, and each KPI serves an objective.
UPDATE kpi.kpi k SET owner = u.owner, objective_id = o.objective_id
FROM kpi.unit u, kpi.measure m, kpi.objective o,
     (VALUES ('revenue', 'grow'), ('cost', 'grow'), ('market', 'grow'), ('deals', 'grow'), ('revenue_growth', 'grow'), ('roi', 'grow'), ('market_share', 'grow'),
             ('promoters', 'delight'), ('detractors', 'delight'), ('responses', 'delight'), ('nps', 'delight'), ('customer_focus', 'delight'), ('calls', 'delight'),
             ('defect_rate', 'deliver'), ('availability', 'deliver'), ('lead_time', 'deliver'),
             ('training', 'learn'), ('headcount', 'learn'), ('revenue_per_head', 'learn'),
             ('site_traffic', 'traffic'), ('orders', 'traffic'), ('conversion_rate', 'traffic')) AS serves (measure, objective)
WHERE u.unit_id = k.unit_id AND m.measure_id = k.measure_id AND m.code = serves.measure AND o.code = serves.objective;

-- 4. The links ---------------------------------------------------------------
-- A measure flows up its own tree without any.  These say what computes what.

SELECT kpi.link_kpi(u.path::text, l.child, u.path::text, l.parent, l.contributes, l.weight)
FROM (VALUES ('revenue',    'revenue_growth',   'growth',       1),    -- against the same period last year
             ('revenue',    'roi',              'numerator',    1),    -- 100 * (revenue - cost) / cost
             ('cost',       'roi',              'numerator',   -1),
             ('cost',       'roi',              'denominator',  1),
             ('revenue',    'market_share',     'numerator',    1),
             ('market',     'market_share',     'denominator',  1),
             ('revenue',    'revenue_per_head', 'numerator',    1),
             ('headcount',  'revenue_per_head', 'denominator',  1),
             ('promoters',  'nps',              'numerator',    1),    -- 100 * (promoters - detractors) / answers
             ('detractors', 'nps',              'numerator',   -1),
             ('responses',  'nps',              'denominator',  1),
             ('orders',       'conversion_rate', 'numerator',   1),
             ('site_traffic', 'conversion_rate', 'denominator', 1)) AS l (child, parent, contributes, weight)
JOIN kpi.measure m ON m.code = l.parent
JOIN kpi.kpi k USING (measure_id)
JOIN kpi.unit u USING (unit_id);

-- The scores of three make the score of a fourth.
SELECT kpi.link_kpi('acme', l.child, 'acme', 'customer_focus', 'score', l.weight)
FROM (VALUES ('nps', 0.5), ('defect_rate', 0.3), ('availability', 0.2)) AS l (child, weight);

-- A visit becomes an order with some luck, and an order becomes revenue: nobody
-- can add that up, but everybody shall see it.  The same holds for the computed
-- numbers of the business units and those of the group.
SELECT kpi.link_kpi('RET-M', m, 'RET', 'revenue', 'aligned') FROM unnest('{site_traffic, orders, conversion_rate}'::text[]) AS m;
SELECT kpi.link_kpi(u, m, 'acme', m, 'aligned')
FROM unnest('{RET, CLD}'::text[]) AS u, unnest('{revenue_growth, roi, market_share, revenue_per_head, nps}'::text[]) AS m;
SELECT kpi.link_kpi(l.child, m, l.parent, m, 'aligned')
FROM (VALUES ('RET-S', 'RET'), ('RET-C', 'RET'), ('CLD-S', 'CLD'), ('RS-N', 'RET-S'), ('RS-S', 'RET-S'), ('RC-H', 'RET-C'), ('RC-S', 'RET-C'),
             ('CS-E', 'CLD-S'), ('CS-A', 'CLD-S'), ('RM-D', 'RET-M')) AS l (child, parent)
CROSS JOIN unnest('{nps, conversion_rate}'::text[]) AS m
WHERE (m = 'conversion_rate') = (l.child = 'RM-D');
SELECT kpi.link_kpi('RET-C', 'calls', 'RET', 'nps', 'aligned');

-- 5. The figures -------------------------------------------------------------
-- Made up by arithmetic, the same on every machine: t numbers the teams, i the
-- months.  Only teams report; every other level adds up.

CREATE TEMPORARY TABLE report ON COMMIT DROP AS
SELECT u.unit, t, i, size,
       to_char(date '2025-01-01' + make_interval(months => i), 'YYYY-MM') AS period,
       (i * 7 + t * 5) % 11 AS swing,
       -- people who answered a survey
       20 + size / 10 + (i * 7 + t * 5) % 11 * 6 AS answers
FROM (VALUES (1, 'RS-N', 420), (2, 'RS-S', 360), (3, 'RC-H', 60), (4, 'RC-S', 240),
             (5, 'CS-E', 310), (6, 'CS-A', 270), (7, 'CP-C', 90), (8, 'CP-E', 80)) AS u (t, unit, size),
     generate_series(0, 20) AS i;

INSERT INTO kpi.fact_entry (unit, measure, period, value, reference)
SELECT unit, 'revenue', period,
       -- 1 % growth a month, a good last quarter, the team's own ups and downs,
       -- and in the summer of 2026 a big customer lost in the south
       size * (1000 + 10 * i) + CASE WHEN i % 12 >= 9 THEN size * 80 ELSE 0 END + (swing - 5) * 4250.5
           - CASE WHEN unit = 'RS-S' AND i >= 17 THEN 38000 ELSE 0 END,
       format('erp/%s/%s', unit, period)      -- our own key: the load can be repeated
FROM report;

INSERT INTO kpi.fact_entry (unit, measure, period, value, note)
SELECT unit, 'deals', period, 5000 + 100 * n, 'deal ' || n
FROM report, generate_series(1, 3 + swing / 3) AS n
WHERE unit IN ('RS-N', 'RS-S', 'CS-E', 'CS-A');

INSERT INTO kpi.fact_entry (unit, measure, period, value)
SELECT r.unit, a.measure, r.period, a.value
FROM report r, LATERAL (VALUES ('promoters', r.answers * (52 + r.t + r.swing) / 100), ('detractors', r.answers * (24 - r.swing) / 100), ('responses', r.answers)) AS a (measure, value)
WHERE r.t <= 6;

-- Value is the mean, weight the people behind it.  The hotline reported no
-- training in the summer of 2026: see "known %".
INSERT INTO kpi.fact_entry (unit, measure, period, value, weight)
SELECT unit, 'training', period, 2 + (swing + t) % 4, 6 + t + i / 4
FROM report
WHERE NOT (unit = 'RC-H' AND period BETWEEN '2026-07' AND '2026-08');

-- value is the numerator, weight the denominator
INSERT INTO kpi.fact_entry (unit, measure, period, value, weight)
SELECT unit, 'defect_rate', period, 2 + swing % 5, 120 + 10 * t + swing
FROM report;

INSERT INTO kpi.fact_entry (unit, measure, period, value)
SELECT unit, 'availability', period, 99.95 - swing * 0.05 FROM report
UNION ALL
SELECT unit, 'lead_time', period, 3 + t % 3 + swing * 0.5 FROM report
UNION ALL
SELECT unit, 'headcount', period, 6 + t + i / 4 FROM report
UNION ALL
SELECT 'RM-D', 'headcount', period, 5 FROM report WHERE t = 1;

-- costs and markets are known per business unit, the site by its team
INSERT INTO kpi.fact_entry (unit, measure, period, value)
SELECT u.unit, u.measure, r.period, u.start + u.step * i + u.wave * (i * 7 % 5)
FROM (VALUES ('RET',  'cost',          820000,  9500, 9000), ('CLD',  'cost',    610000,  6000, 7000),
             ('RET',  'market',       9000000, 20000,    0), ('CLD',  'market', 5200000, 45000,    0),
             ('RM-D', 'site_traffic',   40000,   900, 1500), ('RM-D', 'orders',     900,    25,   40)) AS u (unit, measure, start, step, wave),
     report r
WHERE r.t = 1;

INSERT INTO kpi.fact_entry (unit, measure, period, value)
SELECT unit, 'calls', period, 1900 + 25 * i + 20 * swing FROM report WHERE unit = 'RC-H' AND i < 18;

-- A single figure, from an application, on the day it happened.
SELECT kpi.record_fact('RS-N', 'revenue', date '2026-09-17', 18250, note => 'late booking');

COMMIT;

-- 6. The targets -------------------------------------------------------------

BEGIN;

-- What others reach.
INSERT INTO kpi.benchmark (measure_id, source, period, value, percentile)
SELECT m.measure_id, b.source, b.period::kpi_period, b.value, b.percentile
FROM (VALUES ('nps',             'Retail & Cloud Index', '2025', 31,  0.5),
             ('nps',             'Retail & Cloud Index', '2025', 39,  0.75),
             ('conversion_rate', 'E-Commerce Report',    '2025', 2.1, 0.5),
             ('conversion_rate', 'E-Commerce Report',    '2025', 2.4, 0.75)) AS b (measure, source, period, value, percentile)
JOIN kpi.measure m ON m.code = b.measure;

-- Revenue, top-down: an eighth more than last year, rounded to the thousand, is
-- spread over all units beneath by last year's shares, and over the months by
-- the season: 60 of Cloud's 100 are the group's.  Sales North had signed its
-- December before: that target is locked, and the others absorb it.
SELECT kpi.set_target('RS-N', 'revenue', '2026-12', 560000);
UPDATE kpi.target SET locked = true WHERE kpi_id = kpi.kpi_id('RS-N', 'revenue');
SELECT c.unit, c.period, c.new_value, c.basis
FROM kpi.suggest_target('acme', 'revenue', '2026', 'previous', uplift => 0.125) AS s,
     kpi.cascade_target('acme', 'revenue', '2026', round(s.value, -3), 'history', decimals => 0,
                        pattern => '{80,80,80,80,82,82,82,82,82,90,90,90}', note => s.basis) AS c;

-- Net promoter score and conversion: the upper quartile of the benchmark, the same for all.
SELECT count(*)
FROM (VALUES ('acme', 'nps'), ('RET', 'nps'), ('RET-S', 'nps'), ('RS-N', 'nps'), ('RS-S', 'nps'), ('RET-C', 'nps'), ('RC-H', 'nps'), ('RC-S', 'nps'),
             ('CLD', 'nps'), ('CLD-S', 'nps'), ('CS-E', 'nps'), ('CS-A', 'nps'), ('RET-M', 'conversion_rate'), ('RM-D', 'conversion_rate')) AS k (unit, measure),
     kpi.suggest_target(k.unit, k.measure, '2026', 'benchmark', percentile => 0.75) AS s,
     kpi.cascade_target(k.unit, k.measure, '2026', s.value, 'same', decimals => 2, note => s.basis) AS c;

-- What every unit shall keep to in every month.
INSERT INTO kpi.target_entry (unit, measure, period, value)
SELECT u.path::text, m.code, p::text, t.value
FROM (VALUES ('training', 3), ('defect_rate', 2.5), ('availability', 99.4), ('lead_time', 8)) AS t (measure, value)
JOIN kpi.measure m ON m.code = t.measure
JOIN kpi.kpi k USING (measure_id)
JOIN kpi.unit u USING (unit_id),
     kpi.generate_series('2026-01', '2026-12') AS p;

-- What only some have.  Months for sums; rates and growth are the same all year.
INSERT INTO kpi.target_entry (unit, measure, period, value)
SELECT t.unit, t.measure, p::text, t.value
FROM (VALUES ('RET',  'cost', 980000), ('CLD', 'cost', 740000), ('acme', 'cost', 1424000),
             ('RET',  'roi', 25),      ('CLD', 'roi', 20),      ('acme', 'roi', 24),
             ('RET',  'market_share', 13), ('CLD', 'market_share', 14), ('acme', 'market_share', 14),
             ('RET',  'revenue_growth', 8), ('CLD', 'revenue_growth', 12), ('acme', 'revenue_growth', 10),
             ('RET-C', 'calls', 2300), ('RC-H', 'calls', 2300),
             ('acme', 'deals', 18), ('RET', 'deals', 9), ('CLD', 'deals', 9), ('RET-S', 'deals', 9), ('CLD-S', 'deals', 9),
             ('RS-N', 'deals', 5), ('RS-S', 'deals', 4), ('CS-E', 'deals', 5), ('CS-A', 'deals', 4)) AS t (unit, measure, value),
     kpi.generate_series('2026-01', '2026-12') AS p;

-- Quarters and years of a ratio do not follow from its months where its
-- denominator is a stock: these have targets of their own.  That of the year is
-- one for its end: until then 2026 is behind it, and the quarters tell.
SELECT count(kpi.set_target(t.unit, 'revenue_per_head', t.period, t.value))
FROM (VALUES ('acme', '2026', 160000), ('RET', '2026', 270000), ('CLD', '2026', 150000),
             ('acme', '2026-Q1', 40000), ('acme', '2026-Q2', 40000), ('acme', '2026-Q3', 40000), ('acme', '2026-Q4', 40000),
             ('RET',  '2026-Q1', 67500), ('RET',  '2026-Q2', 67500), ('RET',  '2026-Q3', 67500), ('RET',  '2026-Q4', 67500),
             ('CLD',  '2026-Q1', 37500), ('CLD',  '2026-Q2', 37500), ('CLD',  '2026-Q3', 37500), ('CLD',  '2026-Q4', 37500)) AS t (unit, period, value);

-- Headcount shall stay within two of the plan of each team, at the end of each month.
INSERT INTO kpi.target_entry (unit, measure, period, low, high)
SELECT u.path::text, 'headcount', p::text, sum(team.people - 2), sum(team.people + 2)
FROM (VALUES ('RS-N', 12), ('RS-S', 13), ('RC-H', 14), ('RC-S', 15), ('RM-D', 5), ('CS-E', 16), ('CS-A', 17), ('CP-C', 18), ('CP-E', 19)) AS team (code, people)
JOIN kpi.unit t USING (code)
JOIN kpi.unit u ON u.path @> t.path,
     kpi.generate_series('2026-01', '2026-12') AS p
GROUP BY u.path, p;

-- Bottom-up: marketing proposes its visits and orders, a twentieth above the
-- trend of the last half-year.  Only what is agreed counts; the last quarter is
-- still being talked about.
UPDATE kpi.measure SET targets_count_from = 'agreed' WHERE code IN ('site_traffic', 'orders');
SELECT count(kpi.propose_target(u, t.measure, p::text, t.value, 'marketing plan 2026'))
FROM unnest('{RET-M, RM-D}'::text[]) AS u,
     (VALUES ('site_traffic', 58000), ('orders', 1390)) AS t (measure, value),
     kpi.generate_series('2026-01', '2026-12') AS p;
SELECT count(kpi.agree_target(u, m, p::text))
FROM unnest('{RET-M, RM-D}'::text[]) AS u, unnest('{site_traffic, orders}'::text[]) AS m,
     kpi.generate_series('2026-01', '2026-09') AS p;

COMMIT;

-- 7. What happened since ------------------------------------------------------

-- A reorganisation: from 1 July 2026 on the stores report to sales.  Until then
-- nothing changes: the first half-year stays with the department that earned it.
-- Targets of the departments follow those of their teams.
BEGIN;
SET LOCAL kpi_cascade.reason = 'The stores report to sales from July on';
SELECT kpi.move_unit('RC-S', 'RET-S', date '2026-07-01');
SELECT unit, period, old_value, new_value FROM kpi.rollup_targets('RET', 'revenue', '2026-H2');
UPDATE kpi.target_entry d
SET low = d.low + sign * s.low, high = d.high + sign * s.high
FROM kpi.target_entry s,
     (VALUES ('acme.retail.sales', 1), ('acme.retail.service', -1)) AS department (unit, sign)
WHERE s.unit = 'acme.retail.sales.stores' AND s.period >= '2026-07'
  AND s.measure = 'headcount'
  AND d.unit = department.unit AND d.measure = s.measure AND d.period = s.period;
COMMIT;

-- A target is lowered, and the sums above are left as they were: kpi.alignment
-- will say so.  What it was, who changed it and why is kept.
BEGIN;
SET LOCAL kpi_cascade.reason = 'The largest customer of the south is gone';
UPDATE kpi.target_entry SET value = value - 30000 WHERE unit = 'acme.retail.sales.south' AND measure = 'revenue' AND period BETWEEN '2026-10' AND '2026-12';
COMMIT;

-- And a figure is corrected.
BEGIN;
SET LOCAL kpi_cascade.reason = 'An invoice was booked twice';
UPDATE kpi.fact_entry SET value = value - 12000 WHERE reference = 'erp/CS-A/2026-08';
COMMIT;

-- Counting calls made them short.  From July 2026 on the hotline is measured by
-- what it solves: the new measure takes the place of the old one at both units,
-- with owners, objective and link, and needs targets of its own.
BEGIN;
INSERT INTO kpi.measure (code, name, unit_of_measure, rollup, multiplier) VALUES ('solved', 'Solved at first contact', '%', 'ratio', 100);
SELECT unit, links, unused_targets FROM kpi.replace_measure('calls', 'solved', date '2026-07-01');
INSERT INTO kpi.target_entry (unit, measure, period, value)
SELECT u, 'solved', p::text, 80 FROM unnest('{RET-C, RC-H}'::text[]) AS u, kpi.generate_series('2026-07', '2026-12') AS p;
INSERT INTO kpi.fact_entry (unit, measure, period, value, weight) VALUES
    ('RC-H', 'solved', '2026-07', 1764, 2180), ('RC-H', 'solved', '2026-08', 1802, 2195), ('RC-H', 'solved', '2026-09', 1871, 2210);
COMMIT;

-- The hotline delivers nothing any more: its lead time ends with September.
UPDATE kpi.kpi SET valid_to = '2026-10-01' WHERE kpi_id = kpi.kpi_id('RC-H', 'lead_time');

-- 8. The management loop -------------------------------------------------------
-- People look at the figures, say what they expect, decide, do and learn.

BEGIN;

-- Everybody who answers for a unit, and some of those who work there.
INSERT INTO kpi.member (name, email)
SELECT name, lower(replace(name, ' ', '.')) || '@acme.example'
FROM (SELECT owner AS name FROM kpi.unit UNION SELECT unnest('{Lea Winter, Bo Larsen, Giulia Serra, Tarek Nasser, Maja Holm, Yuki Sato, Ana Prieto, Dan Fox}'::text[])) AS people;
INSERT INTO kpi.membership (member_id, unit_id, function)
SELECT m.member_id, u.unit_id, 'lead' FROM kpi.unit u JOIN kpi.member m ON m.name = u.owner
UNION ALL
SELECT m.member_id, kpi.unit_id(w.unit), w.function
FROM (VALUES ('Lea Winter', 'RS-N', 'sales'), ('Bo Larsen', 'RS-N', 'sales'), ('Giulia Serra', 'RS-S', 'sales'), ('Tarek Nasser', 'RC-H', 'agent'), ('Maja Holm', 'RC-H', 'agent'),
             ('Yuki Sato', 'CS-A', 'sales'), ('Ana Prieto', 'CS-E', 'sales'), ('Dan Fox', 'CP-C', 'engineer')) AS w (name, unit, function)
JOIN kpi.member m USING (name);

-- Who has seen which objective.
SELECT count(kpi.acknowledge(o.code, m.name))
FROM kpi.objective o, kpi.member m
WHERE o.code = 'grow' OR o.code IN ('mission', 'vision') AND m.name < 'M' OR o.code = 'delight' AND m.name IN ('Jonas Weber', 'Nadia Haddad', 'Tarek Nasser');

-- A figure may be late by ten days, money by five.
UPDATE kpi.measure SET due_after = CASE WHEN unit_of_measure = 'EUR' THEN interval '5 days' ELSE interval '10 days' END;

-- What owners say of their figures, and what they expect: the second is an answer.
INSERT INTO kpi.check_in (kpi_id, period, author, at, comment, confidence, forecast)
SELECT kpi.kpi_id(c.unit, c.measure), c.period::kpi_period, c.author, c.at::timestamptz, c.comment, c.confidence, c.forecast
FROM (VALUES ('RS-S', 'revenue',     '2026-Q3', 'Marco Conti',  '2026-09-04 09:10', 'Our largest customer is gone, and two smaller ones will not make up for it this quarter.', 0.1, 1150000),
             ('RET',  'revenue',     '2026-Q3', 'Tom Becker',   '2026-09-07 17:40', 'North makes up for half of what South lacks.', 0.4, 3770000),
             ('CLD',  'revenue',     '2026-Q3', 'Mei Tanaka',   '2026-09-08 08:05', 'On plan.', 0.8, 2660000),
             ('RC-H', 'solved',      '2026-09', 'Nadia Haddad', '2026-10-02 11:20', 'The new knowledge base helps. Next: returns.', 0.9, NULL),
             ('RC-H', 'training',    '2026-Q3', 'Nadia Haddad', '2026-10-02 11:25', 'Nobody could be spared in summer; courses start in October.', 0.2, NULL),
             ('acme', 'revenue_growth', '2026-Q3', 'Ines Ortega', '2026-10-05 07:30', 'South decides it.', 0.5, 9)) AS c (unit, measure, period, author, at, comment, confidence, forecast);
INSERT INTO kpi.check_in (kpi_id, period, author, at, comment, reply_to)
SELECT kpi_id, period, 'Tom Becker', at + interval '3 hours', 'What would it take to win them back?', check_in_id FROM kpi.check_in WHERE author = 'Marco Conti';

-- Two reviews of Retail; what was decided, and who does what by when.
INSERT INTO kpi.review (unit_id, held_on, period, chair, summary) VALUES
    (kpi.unit_id('RET'), '2026-07-09', '2026-Q2', 'Tom Becker', 'A good half-year. South is the risk.'),
    (kpi.unit_id('RET'), '2026-10-08', '2026-Q3', 'Tom Becker', 'South costs us the quarter; the target of its last three months was lowered, that of Retail was not.');
INSERT INTO kpi.review_item (review_id, kpi_id, objective_id, discussion, decision)
SELECT r.review_id, CASE WHEN i.measure IS NOT NULL THEN kpi.kpi_id(i.unit, i.measure) END, o.objective_id, i.discussion, i.decision
FROM (VALUES (date '2026-07-09', 'RS-S', 'revenue', NULL,    'One customer is a third of the business.',       'Find two more.'),
             ('2026-10-08',      'RS-S', 'revenue', NULL,    'The customer is gone; 30,000 a month less.',     'Two sales people of North help out until the end of the year.'),
             ('2026-10-08',      'RC-H', 'solved',  NULL,    'First quarter with the new measure: above 80 %.', NULL),
             ('2026-10-08',      NULL,   NULL,      'green', 'Nobody measures it.',                            'Service proposes a KPI.')) AS i (held_on, unit, measure, objective, discussion, decision)
JOIN kpi.review r USING (held_on)
LEFT JOIN kpi.objective o ON o.code = i.objective;
INSERT INTO kpi.action_item (kpi_id, objective_id, review_id, description, owner, due_on, done_on)
SELECT CASE WHEN a.measure IS NOT NULL THEN kpi.kpi_id(a.unit, a.measure) END, o.objective_id, r.review_id, a.description, a.owner, a.due_on, a.done_on
FROM (VALUES (date '2026-07-09', 'RS-S', 'revenue',  NULL,    'List the twenty largest prospects of the south', 'Giulia Serra', date '2026-07-31', date '2026-07-28'),
             ('2026-07-09',      'RS-S', 'revenue',  NULL,    'Visit the first ten of them',                    'Marco Conti',  '2026-09-30',      NULL),
             ('2026-10-08',      'RS-S', 'revenue',  NULL,    'Lend two sales people to the south',             'Freya Lind',   '2026-10-15',      NULL),
             ('2026-10-08',      'RC-H', 'training', NULL,    'Book the courses that summer did not allow',     'Nadia Haddad', '2026-11-30',      NULL),
             ('2026-10-08',      NULL,   NULL,       'green', 'Propose a KPI for parcels without emissions',    'Jonas Weber',  '2026-12-15',      NULL)) AS a (held_on, unit, measure, objective, description, owner, due_on, done_on)
JOIN kpi.review r USING (held_on)
LEFT JOIN kpi.objective o ON o.code = a.objective;

-- What it takes to move a measure, and who has learned it.
INSERT INTO kpi.skill (code, name) VALUES ('negotiation', 'Negotiating with large customers'), ('first_contact', 'Solving at first contact'), ('root_cause', 'Finding root causes');
INSERT INTO kpi.measure_skill (measure_id, skill_id)
SELECT m.measure_id, s.skill_id
FROM (VALUES ('revenue', 'negotiation'), ('solved', 'first_contact'), ('defect_rate', 'root_cause')) AS n (measure, skill)
JOIN kpi.measure m ON m.code = n.measure JOIN kpi.skill s ON s.code = n.skill;
INSERT INTO kpi.training (member_id, skill_id, completed_on, expires_on)
SELECT m.member_id, s.skill_id, t.completed_on, t.expires_on
FROM (VALUES ('Freya Lind', 'negotiation', date '2025-11-12', NULL::date), ('Lea Winter', 'negotiation', '2026-02-03', NULL), ('Clara Dubois', 'negotiation', '2024-05-20', '2026-05-20'),
             ('Nadia Haddad', 'first_contact', '2026-06-15', NULL), ('Tarek Nasser', 'first_contact', '2026-06-15', '2027-06-15'), ('Sam Okafor', 'root_cause', '2025-03-01', NULL)) AS t (name, skill, completed_on, expires_on)
JOIN kpi.member m USING (name) JOIN kpi.skill s ON s.code = t.skill;

COMMIT;

-- 9. The books are closed -------------------------------------------------------

-- The second quarter was reported.  Whatever would change a figure of it is
-- refused from then on; moves and links that take effect later are not.
SELECT kpi.close_period('2026-Q2', note => 'reported to the board in July');

-- The calls of June came without those of the night shift.  The quarter is opened
-- again, with a reason that is kept; what was reported stays beside what is now.
BEGIN;
SELECT kpi.reopen_period('2026-Q2', 'The calls of the night shift were missing');
SELECT kpi.record_fact('RC-H', 'calls', '2026-06', 140, note => 'night shift');
COMMIT;

ANALYZE;
