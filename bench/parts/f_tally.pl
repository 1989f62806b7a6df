# (f) kpi.tally_agg over ten million rows against the four built-in aggregates together.
use strict;
use warnings;
use Bench;
use Report;

my $n = quick() ? 100_000 : 10_000_000;
my ($tally, $built_in) = ('SELECT kpi.tally_agg(value) FROM bench', 'SELECT sum(value), count(*), min(value), max(value) FROM bench');
my @rows;

sql('postgres', 'DROP DATABASE IF EXISTS tally', 'CREATE DATABASE tally');
sql('tally', 'CREATE EXTENSION kpi_cascade', "CREATE TABLE bench AS SELECT (i * 7919::bigint % 10000019) / 100.0 AS value FROM generate_series(1, $n) i", 'VACUUM ANALYZE bench');
for my $workers (0, 2)
{
	my $times = rounds(map { my $query = $_->[1]; "$_->[0], $workers workers" => sub {
		milliseconds('tally', $query, "SET max_parallel_workers_per_gather = $workers", 'SELECT kpi.version()') } }
		[ 'kpi.tally_agg', $tally ], [ 'built in', $built_in ]);
	my ($ours, $theirs) = map { $times->{"$_, $workers workers"} } 'kpi.tally_agg', 'built in';

	push @rows, [ $workers ? "parallel, $workers workers" : 'serial', median(@$ours), median(@$theirs), ratio_of($ours, $theirs) ];
	check('tally over 10⁷ rows against the four built-ins together, serial', ratio_of($ours, $theirs), '<=', 1.5, 1, '×') unless $workers;
}
table('(f) Aggregates over ' . number($n) . ' rows, ms', [ '', 'kpi.tally_agg(value)', 'sum, count, min, max', 'times' ], @rows);
drop_database('tally');
1;
