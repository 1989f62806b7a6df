-- kpi_tally: what it says about bad input, and how its plans look
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
RESET client_min_messages;
\set SHOW_CONTEXT never

-- accepted
SELECT '{n=3,value=6,weight=3,product=12,min=1,max=3}'::kpi_tally;
SELECT '{n=3,value=6,weight=3,product=12,min=?,max=?}'::kpi_tally;
SELECT '{n=0,value=0,weight=0,product=0}'::kpi_tally;
SELECT E'\t {n=-1.50,value=-006.10,weight=3.0,product=-0.0,min=-2,max=-2}\n'::kpi_tally;

-- refused
SELECT ''::kpi_tally;
SELECT '{}'::kpi_tally;
SELECT '{n=1}'::kpi_tally;
SELECT '{n=1,value=1,weight=1,product=1'::kpi_tally;
SELECT '{n=1,value=1,weight=1,product=1} x'::kpi_tally;
SELECT '{value=1,n=1,weight=1,product=1}'::kpi_tally;
SELECT '{n=1,value=1,weight=1,product=1,min=1}'::kpi_tally;
SELECT '{n=1,value=1,weight=1,product=1,min=1,max=?}'::kpi_tally;
SELECT '{n=1,value=1,weight=1,product=1,min=3,max=1}'::kpi_tally;
SELECT '{n=1, value=1,weight=1,product=1}'::kpi_tally;
SELECT '{n=1,value=NaN,weight=1,product=1}'::kpi_tally;
SELECT '{n=1,value=1e3,weight=1,product=1}'::kpi_tally;
SELECT '{n=1,value=.5,weight=1,product=1}'::kpi_tally;
SELECT '{n=1,value=5.,weight=1,product=1}'::kpi_tally;
SELECT '{n=1,value=--5,weight=1,product=1}'::kpi_tally;
SELECT '{n=1,value=,weight=1,product=1}'::kpi_tally;

-- numbers that cannot be stored
SELECT kpi.tally_agg('NaN'::numeric);
SELECT kpi.tally_agg(1, 'Infinity'::numeric);
SELECT kpi.tally_agg(1e30);
SELECT kpi.tally_agg(1, 1e-21);
SELECT kpi.weighted_mean('-Infinity'::numeric, 1);
SELECT 'NaN'::numeric * kpi.tally_agg(1);
SELECT kpi.ratio(kpi.tally_agg(1), 'Infinity');
SELECT kpi.tally_agg(v) FROM (VALUES (1), (2), ('NaN'::numeric)) x(v);
SELECT (1e-16000) * (1e-16000 * kpi.tally_agg(1));

-- a bad binary form
CREATE TEMP TABLE received (t kpi_tally);
-- one row of one field of two bytes: version 9
COPY received FROM PROGRAM 'printf ''PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\002\011\000\377\377''' (FORMAT binary);
-- version 1 with a reserved flag
COPY received FROM PROGRAM 'printf ''PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\002\001\200\377\377''' (FORMAT binary);

-- plans: the aggregates split over workers
CREATE TABLE observed AS SELECT i % 3 AS g, i::numeric AS v, 1::numeric AS w FROM generate_series(1, 1000) i;
ANALYZE observed;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT kpi.tally_agg(v), kpi.tally_agg(v, w), kpi.weighted_mean(v, w) FROM observed;
-- 1 + ... + 1000 = 500500
SELECT kpi.tally_agg(v), kpi.tally_agg(v, w), kpi.weighted_mean(v, w) FROM observed;
RESET ALL;
DROP TABLE observed;
