-- kpi_period: what psql shows of it, binary copies, and plans
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
RESET client_min_messages;
SET search_path = public;

-- one of each form, in the order of the type
SELECT p AS period, kpi.grain(p), kpi.first_day(p), kpi.last_day(p), kpi.fiscal_start(p) AS fiscal, p::daterange, kpi.period_send(p)
FROM unnest('{FY2027/04,FY2027-H1/04,FY2027-Q1/04,2026,2026-H1,2026-Q3,2026-Q2,2026-08,2026-W34,2026-08-14}'::kpi_period[]) AS u(p)
ORDER BY u.p;

-- errors as a user sees them
SELECT '2026-8'::kpi_period;
SELECT 'FY2027'::kpi_period;
SELECT '2026-02-30'::kpi_period;
SELECT '2025-W53'::kpi_period;
SELECT '0000'::kpi_period;
SELECT '9999'::kpi_period + 1;
SELECT '2026'::kpi_period - '2026-08'::kpi_period;
SELECT kpi.period('2026-08-14', 'month', 13);

-- binary copy out and in
CREATE TEMPORARY TABLE original AS
SELECT p FROM unnest(enum_range(NULL::kpi_grain)) g, generate_series(1, 12) f, unnest('{0002-01-01,2026-08-14,9998-12-20}'::date[]) d, kpi.period(d, g, f) p;
CREATE TEMPORARY TABLE copied (p kpi_period);
\copy original to 'results/kpi_period.bin' binary
\copy copied from 'results/kpi_period.bin' binary
SELECT count(*) AS different FROM (TABLE original EXCEPT ALL TABLE copied) d;

-- an integer has the same shape on the wire: 2026-08 is grain 3, month 2025 * 12 + 7 = 24307, fiscal start 1
TRUNCATE copied;
\copy (SELECT (3 << 29) | (24307 << 4) | 1) to 'results/kpi_period.bin' binary
\copy copied from 'results/kpi_period.bin' binary
TABLE copied;
-- zero, reserved grain 7, day with a fiscal start, fiscal starts 0 and 13, beyond the last day, a quarter that begins in February
\copy (SELECT 0) to 'results/kpi_period.bin' binary
\copy copied from 'results/kpi_period.bin' binary
\copy (SELECT (7 << 29) | 1) to 'results/kpi_period.bin' binary
\copy copied from 'results/kpi_period.bin' binary
\copy (SELECT (1 << 29) | 4) to 'results/kpi_period.bin' binary
\copy copied from 'results/kpi_period.bin' binary
\copy (SELECT (6 << 29) | (24300 << 4)) to 'results/kpi_period.bin' binary
\copy copied from 'results/kpi_period.bin' binary
\copy (SELECT (6 << 29) | (24300 << 4) | 13) to 'results/kpi_period.bin' binary
\copy copied from 'results/kpi_period.bin' binary
\copy (SELECT (1 << 29) | (3652059 << 4) | 1) to 'results/kpi_period.bin' binary
\copy copied from 'results/kpi_period.bin' binary
\copy (SELECT (4 << 29) | (24301 << 4) | 1) to 'results/kpi_period.bin' binary
\copy copied from 'results/kpi_period.bin' binary
\copy (SELECT 1::smallint) to 'results/kpi_period.bin' binary
\copy copied from 'results/kpi_period.bin' binary
SELECT count(*) FROM copied;

-- plans: what BI tools and ORMs write uses a plain index
CREATE TEMPORARY TABLE result (period kpi_period, value integer);
INSERT INTO result SELECT p, i FROM kpi.generate_series('1990-01-01', '2026-12-31') WITH ORDINALITY AS s(p, i);
CREATE INDEX result_period ON result (period);
CREATE INDEX result_hash ON result USING hash (period);
ANALYZE result;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT * FROM result WHERE period BETWEEN '2026-08-01' AND '2026-08-31';
EXPLAIN (COSTS OFF) SELECT period FROM result ORDER BY period DESC LIMIT 1;
EXPLAIN (COSTS OFF) SELECT period FROM result WHERE period IN ('2026-08-01', '2026-08-31') ORDER BY period;
PREPARE day_of(kpi_period) AS SELECT value FROM result WHERE period = $1;
SET plan_cache_mode = force_generic_plan;
EXECUTE day_of('1990-02-01');
DROP INDEX result_period;
EXPLAIN (COSTS OFF) EXECUTE day_of('1990-02-01');
EXECUTE day_of('1990-02-01');
RESET enable_seqscan;
RESET enable_bitmapscan;
SET enable_mergejoin = off;
SET enable_nestloop = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM result a JOIN result b USING (period);
SELECT count(*) FROM result a JOIN result b USING (period);
SET enable_hashjoin = off;
SET enable_mergejoin = on;
EXPLAIN (COSTS OFF) SELECT count(*) FROM result a JOIN result b USING (period);
SELECT count(*) FROM result a JOIN result b USING (period);

-- a parameter that is declared text is assigned, but for comparing it must be cast, as with dates
PREPARE compare_cast(text) AS SELECT value FROM result WHERE period = $1::kpi_period;
EXECUTE compare_cast('1990-02-01');

-- deduplicated indexes: equal periods are equal bit by bit
CREATE TEMPORARY TABLE many AS SELECT '2026-08'::kpi_period AS period FROM generate_series(1, 20000);
CREATE INDEX many_period ON many (period);
SELECT pg_relation_size('many_period') < 200000 AS deduplicated;

DROP TABLE original, copied, result, many;
