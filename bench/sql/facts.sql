-- A file of :rows facts of :months months, in the order of time and otherwise in none
COPY (
    SELECT l.kpi_id, '2026-01'::kpi_period + (i * :months / :per_leaf), (l.kpi_id * 7919 + i * 104729) % 100000 / 100.0
      FROM bench.leaf l, generate_series(0, :per_leaf - 1) i ORDER BY i, hashint8(l.kpi_id * 1000 + i)
) TO :'file';
TRUNCATE bench.plain;
VACUUM ANALYZE;
