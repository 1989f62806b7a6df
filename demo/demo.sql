-- A small group of companies, from corporate objectives down to eight teams, and
-- two years of figures.  Everything here is plain SQL against the tables and
-- entry views that any application would use.

CREATE EXTENSION kpi_cascade;

BEGIN;

-- The organisation -----------------------------------------------------------
-- A unit's level follows from its place: corporate, business_unit, department,
-- team.  Parents and children may come in one statement, in any order.
-- Cloud is a joint venture of which 60 % are ours: that part of it flows up.

INSERT INTO kpi.unit (path, code, name, owner, share) VALUES
    ('acme',                        'ACME',   'Acme Group',          'Ines Ortega',    1),
    ('acme.retail',                 'RET',    'Retail',              'Tom Becker',     1),
    ('acme.cloud',                  'CLD',    'Cloud (60 %)',        'Mei Tanaka',     0.6),
    ('acme.retail.sales',           'RET-S',  'Retail Sales',        'Aisha Khan',     1),
    ('acme.retail.service',         'RET-C',  'Retail Service',      'Jonas Weber',    1),
    ('acme.cloud.sales',            'CLD-S',  'Cloud Sales',         'Lucia Romano',   1),
    ('acme.cloud.platform',         'CLD-P',  'Cloud Platform',      'Pavel Novak',    1),
    ('acme.retail.sales.north',     'RS-N',   'Sales North',         'Freya Lind',     1),
    ('acme.retail.sales.south',     'RS-S',   'Sales South',         'Marco Conti',    1),
    ('acme.retail.service.hotline', 'RC-H',   'Hotline',             'Nadia Haddad',   1),
    ('acme.retail.service.stores',  'RC-S',   'Stores',              'Oskar Berg',     1),
    ('acme.cloud.sales.emea',       'CS-E',   'Cloud Sales EMEA',    'Clara Dubois',   1),
    ('acme.cloud.sales.apac',       'CS-A',   'Cloud Sales APAC',    'Kenji Mori',     1),
    ('acme.cloud.platform.core',    'CP-C',   'Platform Core',       'Sam Okafor',     1),
    ('acme.cloud.platform.edge',    'CP-E',   'Platform Edge',       'Ewa Zielinska',  1);

-- The measures ---------------------------------------------------------------
-- The rules of each number: how it adds up over units (rollup) and over time
-- (time_rollup), which way is good, and how it is scored against its target.

INSERT INTO kpi.measure (code, name, unit_of_measure, direction, rollup, time_rollup, scoring, multiplier, apply_share, exceeded_from) VALUES
    -- money: adds up over units and months
    ('revenue',      'Revenue',               'EUR',     'higher', 'sum',           'pool', 'ratio', 1,   true,  1.05),
    -- one fact per deal: the number of facts is the number
    ('deals',        'Deals won',             'deals',   'higher', 'count',         'pool', 'ratio', 1,   false, 1.1),
    -- a mean of means would be wrong: each answer counts once
    ('nps',          'Net promoter score',    'points',  'higher', 'weighted_mean', 'pool', 'ratio', 1,   true,  NULL),
    -- every team's report counts the same
    ('training',     'Training hours a head', 'hours',   'higher', 'mean',          'pool', 'ratio', 1,   true,  NULL),
    -- 100 * defects / deliveries
    ('defect_rate',  'Defect rate',           '%',       'lower',  'ratio',         'pool', 'ratio', 100, true,  NULL),
    -- as good as the worst of all
    ('availability', 'Lowest availability',   '%',       'higher', 'min',           'pool', 'step',  1,   true,  NULL),
    ('lead_time',    'Longest lead time',     'days',    'lower',  'max',           'pool', 'ratio', 1,   true,  NULL),
    -- a stock: adds up over units, but a quarter ends with its last month
    ('headcount',    'Headcount',             'people',  'higher', 'sum',           'last', 'range', 1,   false, NULL);

-- Two that are computed from other KPIs of the same unit, and an objective that
-- has no figures of its own and lives from the scores of others.
INSERT INTO kpi.measure (code, name, unit_of_measure, rollup, scoring, multiplier, rolls_up, result_weight) VALUES
    ('revenue_per_head', 'Revenue per head',          'EUR', 'ratio', 'ratio', 1,   false, 1),
    ('revenue_growth',   'Revenue growth, last year', '%',   'none',  'ratio', 100, false, 1),
    ('customer_focus',   'Customers stay with us',    NULL,  'none',  'ratio', 1,   false, 0);

-- The KPIs: which measure at which unit ----------------------------------------
-- With none beneath it, a level simply has no such KPI, and the values skip it.

SELECT kpi.deploy(m, 'acme')
FROM unnest('{revenue, nps, training, defect_rate, availability, lead_time, headcount}'::text[]) AS m;
SELECT kpi.deploy('deals', 'acme.retail.sales'), kpi.deploy('deals', 'acme.cloud.sales');
SELECT kpi.deploy('deals', 'acme', '{1,2}');
SELECT kpi.deploy('revenue_per_head', 'acme', '{1,2}'),
       kpi.deploy('revenue_growth', 'acme', '{1,2}'),
       kpi.deploy('customer_focus', 'acme', '{1}');

-- The links ------------------------------------------------------------------
-- A measure flows up its own tree without any.  These say what computes what.

SELECT kpi.link_kpi(u, 'revenue',   u, 'revenue_per_head', 'numerator'),
       kpi.link_kpi(u, 'headcount', u, 'revenue_per_head', 'denominator'),
       kpi.link_kpi(u, 'revenue',   u, 'revenue_growth',   'growth')
FROM unnest('{acme, acme.retail, acme.cloud}'::text[]) AS u;

SELECT kpi.link_kpi('acme', 'nps',          'acme', 'customer_focus', 'score', 0.5),
       kpi.link_kpi('acme', 'defect_rate',  'acme', 'customer_focus', 'score', 0.3),
       kpi.link_kpi('acme', 'availability', 'acme', 'customer_focus', 'score', 0.2);

-- The figures ------------------------------------------------------------------
-- Made up by arithmetic, the same on every machine: t numbers the teams, i the
-- months.  Only teams report; every other level adds up.

CREATE TEMPORARY TABLE report ON COMMIT DROP AS
SELECT u.unit, t, i,
       to_char(date '2025-01-01' + make_interval(months => i), 'YYYY-MM') AS period,
       (i * 7 + t * 5) % 11 AS swing,
       reference_size
FROM (VALUES (1, 'acme.retail.sales.north',     420), (2, 'acme.retail.sales.south',   360),
             (3, 'acme.retail.service.hotline',  60), (4, 'acme.retail.service.stores', 240),
             (5, 'acme.cloud.sales.emea',       310), (6, 'acme.cloud.sales.apac',     270),
             (7, 'acme.cloud.platform.core',     90), (8, 'acme.cloud.platform.edge',   80)
     ) AS u(t, unit, reference_size),
     generate_series(0, 23) AS i;

INSERT INTO kpi.fact_entry (unit, measure, period, value, reference)
SELECT unit, 'revenue', period,
       -- 1 % growth a month, a good last quarter, and the team's own ups and downs
       reference_size * (1000 + 10 * i) + CASE WHEN i % 12 >= 9 THEN 30000 ELSE 0 END + (swing - 5) * 4250.5,
       format('erp/%s/%s', unit, period)      -- our own key: the load can be repeated
FROM report;

INSERT INTO kpi.fact_entry (unit, measure, period, value, note)
SELECT unit, 'deals', period, 5000 + 100 * n, 'deal ' || n
FROM report, generate_series(1, 3 + swing / 3) AS n
WHERE unit LIKE '%.sales.%';

-- value is the mean, weight the number of answers behind it
INSERT INTO kpi.fact_entry (unit, measure, period, value, weight)
SELECT unit, 'nps', period, 30 + swing * 1.5 + t, 20 + 6 * swing + reference_size / 10
FROM report;

-- the hotline reported no training in the summer of 2026: see coverage
INSERT INTO kpi.fact_entry (unit, measure, period, value)
SELECT unit, 'training', period, 2 + (swing + t) % 4
FROM report
WHERE NOT (unit = 'acme.retail.service.hotline' AND period BETWEEN '2026-07' AND '2026-08');

-- value is the numerator, weight the denominator
INSERT INTO kpi.fact_entry (unit, measure, period, value, weight)
SELECT unit, 'defect_rate', period, 2 + swing % 5, 120 + 10 * t + swing
FROM report;

INSERT INTO kpi.fact_entry (unit, measure, period, value)
SELECT unit, 'availability', period, 99.95 - swing * 0.05 FROM report
UNION ALL
SELECT unit, 'lead_time', period, 3 + t % 3 + swing * 0.5 FROM report
UNION ALL
SELECT unit, 'headcount', period, 6 + t + i / 4 FROM report;

-- A single figure, from an application, on the day it happened.
SELECT kpi.record_fact('RS-N', 'revenue', date '2026-09-17', 18250, note => 'late booking');

-- The targets ------------------------------------------------------------------
-- By month at every unit; quarters and years follow from them.  Revenue targets
-- add up the tree, Cloud's with our share.

INSERT INTO kpi.target_entry (unit, measure, period, value)
SELECT u.path::text, 'revenue', r.period,
       sum(r.reference_size * (1010 + 10 * r.i)
           * CASE WHEN u.path = 'acme' AND r.unit LIKE 'acme.cloud.%' THEN 0.6 ELSE 1 END)
FROM report r JOIN kpi.unit u ON u.path @> r.unit::kpi_path
GROUP BY u.path, r.period;

INSERT INTO kpi.target_entry (unit, measure, period, value)
SELECT u.path::text, m.measure, p.period, m.value
FROM kpi.unit u,
     (SELECT DISTINCT period FROM report) AS p,
     (VALUES ('nps', 40), ('training', 3), ('defect_rate', 2.5), ('availability', 99.4), ('lead_time', 8)) AS m(measure, value);

INSERT INTO kpi.target_entry (unit, measure, period, low, high)
SELECT u.path::text, 'headcount', r.period, sum(4 + r.t + r.i / 4), sum(8 + r.t + r.i / 4)
FROM report r JOIN kpi.unit u ON u.path @> r.unit::kpi_path
GROUP BY u.path, r.period;

INSERT INTO kpi.target_entry (unit, measure, period, value)
SELECT u.unit, 'deals', p.period, u.value
FROM (SELECT DISTINCT period FROM report) AS p,
     (VALUES ('acme', 18), ('acme.retail', 9), ('acme.cloud', 9), ('acme.retail.sales', 9), ('acme.cloud.sales', 9),
             ('RS-N', 5), ('RS-S', 4), ('CS-E', 5), ('CS-A', 4)) AS u(unit, value);

-- Quarters and years of a ratio do not follow from its months: these have
-- targets of their own.
SELECT kpi.set_target(u, 'revenue_per_head', y, v),
       kpi.set_target(u, 'revenue_per_head', y || '-Q' || q, v / 4)
FROM (VALUES ('acme', '2025', 190000), ('acme', '2026', 170000),
             ('acme.retail', '2025', 320000), ('acme.retail', '2026', 280000),
             ('acme.cloud', '2025', 170000), ('acme.cloud', '2026', 150000)) AS t(u, y, v),
     generate_series(1, 4) AS q;

INSERT INTO kpi.target_entry (unit, measure, period, value)
SELECT u, 'revenue_growth', period, 11
FROM unnest('{acme, acme.retail, acme.cloud}'::text[]) AS u,
     (SELECT DISTINCT period FROM report WHERE period >= '2026-01') AS p;

-- The strategy -----------------------------------------------------------------
-- From mission and vision over objectives in four perspectives to what a
-- digital-marketing team does every day.

INSERT INTO kpi.objective (code, kind, name) VALUES ('mission', 'mission', 'Good things within everybody''s reach');
INSERT INTO kpi.objective (code, kind, name, parent_objective_id)
SELECT 'vision', 'vision', 'The shop and the cloud that people recommend', objective_id FROM kpi.objective WHERE code = 'mission';
INSERT INTO kpi.objective (code, kind, perspective, name, parent_objective_id)
SELECT o.code, 'strategic_objective', o.perspective, o.name, v.objective_id
FROM kpi.objective v,
     (VALUES ('grow',    'financial',           'Grow profitably'),
             ('delight', 'customer',            'Customers stay and recommend us'),
             ('deliver', 'internal_process',    'Deliver without defects'),
             ('learn',   'learning_and_growth', 'People who know their trade')) AS o(code, perspective, name)
WHERE v.code = 'vision';
INSERT INTO kpi.objective (code, kind, name, parent_objective_id, unit_id)
SELECT 'online', 'unit_objective', 'Retail sells online', objective_id, kpi.unit_id('RET') FROM kpi.objective WHERE code = 'grow';
INSERT INTO kpi.objective (code, kind, name, parent_objective_id, unit_id)
SELECT 'traffic', 'business_driver', 'Visitors who buy', objective_id, kpi.unit_id('RET') FROM kpi.objective WHERE code = 'online';

-- Who works for the last of them came after the others.
INSERT INTO kpi.unit (path, code, name, owner) VALUES
    ('acme.retail.marketing',         'RET-M', 'Retail Marketing',  'Ida Moreau'),
    ('acme.retail.marketing.digital', 'RM-D',  'Digital Marketing', 'Ravi Menon');

INSERT INTO kpi.measure (code, name, unit_of_measure, direction, rollup, multiplier, rolls_up) VALUES
    ('cost',            'Cost',                 'EUR',    'lower',  'sum',   1,   true),
    ('market',          'Market',               'EUR',    'higher', 'sum',   1,   true),
    ('roi',             'Return on investment', '%',      'higher', 'ratio', 100, false),
    ('market_share',    'Market share',         '%',      'higher', 'ratio', 100, false),
    ('site_traffic',    'Visits of the site',   'visits', 'higher', 'sum',   1,   true),
    ('orders',          'Orders on the site',   'orders', 'higher', 'sum',   1,   true),
    ('conversion_rate', 'Visits that buy',      '%',      'higher', 'ratio', 100, false);
SELECT kpi.deploy(m, 'acme', '{1,2}') FROM unnest('{cost, market, roi, market_share}'::text[]) AS m;
SELECT kpi.deploy(m, 'RM-D') FROM unnest('{site_traffic, orders, conversion_rate}'::text[]) AS m;

SELECT kpi.link_kpi(u, 'revenue', u, 'roi',          'numerator'),
       kpi.link_kpi(u, 'cost',    u, 'roi',          'numerator', -1),
       kpi.link_kpi(u, 'cost',    u, 'roi',          'denominator'),
       kpi.link_kpi(u, 'revenue', u, 'market_share', 'numerator'),
       kpi.link_kpi(u, 'market',  u, 'market_share', 'denominator')
FROM unnest('{acme, acme.retail, acme.cloud}'::text[]) AS u;
-- A visit becomes an order with some luck, and an order revenue of retail: that
-- nobody can add up, but everybody shall see it.
SELECT kpi.link_kpi('RM-D', 'orders',          'RM-D', 'conversion_rate', 'numerator'),
       kpi.link_kpi('RM-D', 'site_traffic',    'RM-D', 'conversion_rate', 'denominator'),
       kpi.link_kpi('RM-D', 'conversion_rate', 'RET',  'revenue',         'aligned'),
       kpi.link_kpi('RM-D', 'site_traffic',    'RET',  'revenue',         'aligned');

INSERT INTO kpi.fact_entry (unit, measure, period, value)
SELECT u.unit, u.measure, to_char(date '2025-01-01' + make_interval(months => i), 'YYYY-MM'), u.start + u.step * i + u.wave * (i * 7 % 5)
FROM (VALUES ('RET',  'cost',          820000, 8000, 9000), ('CLD',  'cost',         610000, 6000, 7000),
             ('RET',  'market',       9000000, 20000,   0), ('CLD',  'market',      5200000, 45000,   0),
             ('RM-D', 'site_traffic',   40000,  900, 1500), ('RM-D', 'orders',           900,   25,   40)) AS u(unit, measure, start, step, wave),
     generate_series(0, 23) AS i;
INSERT INTO kpi.target_entry (unit, measure, period, value)
SELECT u.unit, u.measure, p.period, u.value
FROM (SELECT DISTINCT period FROM report WHERE period >= '2026-01') AS p,
     (VALUES ('acme', 'roi', 40), ('RET', 'roi', 30), ('CLD', 'roi', 15), ('acme', 'market_share', 14), ('RET', 'market_share', 12),
             ('CLD', 'market_share', 15), ('RM-D', 'site_traffic', 60000), ('RM-D', 'conversion_rate', 2.4)) AS u(unit, measure, value);

-- Which objective each KPI serves.
UPDATE kpi.kpi k SET objective_id = o.objective_id
FROM kpi.objective o, kpi.measure m,
     (VALUES ('revenue', 'grow'), ('revenue_growth', 'grow'), ('revenue_per_head', 'grow'), ('cost', 'grow'), ('roi', 'grow'), ('market_share', 'grow'), ('deals', 'grow'),
             ('market', 'grow'), ('nps', 'delight'), ('customer_focus', 'delight'), ('defect_rate', 'deliver'), ('availability', 'deliver'), ('lead_time', 'deliver'),
             ('training', 'learn'), ('headcount', 'learn'), ('site_traffic', 'traffic'), ('orders', 'traffic'), ('conversion_rate', 'traffic')) AS serves(measure, objective)
WHERE m.measure_id = k.measure_id AND m.code = serves.measure AND o.code = serves.objective;

COMMIT;

-- A reorganisation ---------------------------------------------------------------
-- From July 2026 the stores report to sales.  Until then nothing changes: the
-- first half-year stays with the department that earned it.

SELECT kpi.move_unit('acme.retail.service.stores', 'acme.retail.sales', date '2026-07-01');

-- Their targets move with them: what sales shall reach from then on, and service no more.
UPDATE kpi.target_entry d
SET value = d.value + sign * s.value, low = d.low + sign * s.low, high = d.high + sign * s.high
FROM kpi.target_entry s,
     (VALUES ('acme.retail.sales', 1), ('acme.retail.service', -1)) AS department(unit, sign)
WHERE s.unit = 'acme.retail.sales.stores' AND s.period BETWEEN '2026-07' AND '2026-12'
  AND s.measure IN ('revenue', 'headcount')
  AND d.unit = department.unit AND d.measure = s.measure AND d.period = s.period;

ANALYZE;
