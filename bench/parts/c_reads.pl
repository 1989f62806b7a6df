# (c) Reads of one month with 0, 1,000 and 100,000 changes pending, against a
# recursive query over the facts and a materialized view.
use strict;
use warnings;
use Bench;
use Report;

settings(max_parallel_workers_per_gather => 0);
organisation('reads');
sql('postgres', 'ALTER DATABASE reads SET kpi_cascade.fold_mode = manual');
run_file('reads', 'reads');
my ($first, $last) = split /\|/, sql('reads', 'SELECT min(kpi_id), max(kpi_id) FROM bench.leaf');
my $root = sql('reads', 'SELECT kpi_id FROM bench.unit WHERE level_no = 1');
my $subtree = 'o.u1.u2';
my @pending = quick() ? (0, 100) : (0, 1000, 100_000);
my $month = "period = '2026-08'";
my $leaf = "\\set kpi random($first, $last)\n";

# below TOPS: the facts beneath some units, by a recursive query
sub below
{
	my ($tops, $period) = @_;

	return "WITH RECURSIVE below AS (SELECT t.kpi_id AS top, t.path, t.kpi_id FROM bench.unit t WHERE $tops
		UNION ALL SELECT b.top, b.path, u.kpi_id FROM below b JOIN bench.unit u ON u.parent_kpi_id = b.kpi_id)
		SELECT b.top, b.path, f.period, sum(f.value), count(*) FROM below b JOIN bench.plain f USING (kpi_id) $period GROUP BY b.top, b.path, f.period" =~ s/\s+/ /gr;
}

sub summed { return "SELECT u.kpi_id, u.path, s.period, s.total, s.n FROM bench.summed s JOIN bench.unit u USING (kpi_id) WHERE $_[0]" }

my @reads = (
	[ 'one cell (a leaf)', "kpi_id = :kpi AND $month", "SELECT sum(value), count(*) FROM bench.plain WHERE kpi_id = :kpi AND $month", summed("kpi_id = :kpi AND $month"), $leaf ],
	[ 'the root', "kpi_id = $root AND $month", below("t.kpi_id = $root", "WHERE $month"), summed("kpi_id = $root AND $month"), '' ],
	[ 'one level (the fourth)', "level_no = 4 AND $month", below('t.level_no = 4', "WHERE $month"), summed("level_no = 4 AND $month"), '' ],
	[ 'one subtree (of level 3)', "unit <@ '$subtree' AND $month", below("t.path <@ '$subtree'", "WHERE $month"), summed("path <@ '$subtree' AND $month"), '' ],
	[ 'whole scorecard of the month', $month, below('true', "WHERE $month"), summed($month), '' ],
	[ 'whole scorecard of all months', "grain = 'month'", below('true', ''), summed('true'), '' ]);

# the latency that clients see, of one second's runs
sub reading { return latency('reads', $_[0], before => $_[1], seconds => 1) }

my (@rows, $root_pending);
my $pending = 0;
for my $goal (@pending)
{
	# the same rows for all, each in a transaction of its own
	if ($goal > $pending)
	{
		pgbench('reads', clients => 4, transactions => ($goal - $pending) / 4, options => '-c synchronous_commit=off',
			script => insert_script('reads', 'kpi.fact') . (insert_script('reads', 'bench.plain') =~ s/.*(?=INSERT)//sr));
		$pending = $goal;
	}
	for my $read (@reads)
	{
		my ($what, $where, $recursive, $summed, $before) = @$read;
		my $view = $what =~ /whole/ ? 'kpi.scorecard' : 'kpi.attainment';
		my $condition = $view eq 'kpi.scorecard' ? $where =~ s/period = '(.*)'/period = '$1'/r : $where;
		my $times = rounds(
			"$what, $goal pending, kpi_cascade"       => sub { reading("SELECT * FROM $view WHERE $condition", $before) },
			"$what, $goal pending, recursive query"   => sub { reading($recursive, $before) },
			"$what, $goal pending, materialized view" => sub { reading($summed, $before) });
		my ($ours, $by_query, $by_view) = map { $times->{"$what, $goal pending, $_"} } 'kpi_cascade', 'recursive query', 'materialized view';

		push @rows, [ $what, number($goal), median(@$ours), median(@$by_query), median(@$by_view), ratio_of($ours, $by_query), ratio_of($ours, $by_view) ];
		$root_pending = median(@$ours) if $what eq 'the root' && $goal == $pending[1];
	}
	next if $goal > 0;

	# by key: the view against the same columns from plain tables
	my $names = "SELECT c.*, k.unit_id, k.measure_id, h.path, u.path AS unit_now, u.name, u.level_no, l.code AS level, m.code, m.name AS measure_name, m.unit_of_measure, k.owner
		FROM bench.cell c JOIN kpi.kpi k USING (kpi_id) JOIN kpi.unit u USING (unit_id) JOIN kpi.measure m USING (measure_id) LEFT JOIN kpi.level l ON l.level_no = u.level_no
		JOIN kpi.unit_path h ON h.unit_id = k.unit_id AND h.valid_from <= '2026-08-31' AND h.valid_to > '2026-08-31' WHERE kpi_id = :kpi AND period = '2026-08'" =~ s/\s+/ /gr;
	my $view = "SELECT * FROM kpi.attainment WHERE kpi_id = :kpi AND $month";
	my $times = rounds('by key, kpi.attainment' => sub { reading($view, $leaf) }, 'by key, plain tables' => sub { reading($names, $leaf) });
	my $ratio = ratio_of(@$times{ 'by key, kpi.attainment', 'by key, plain tables' });

	table('(c) One cell by key, nothing pending', [ '', 'ms' ], map { [ "$_", median(@{ $times->{"by key, $_"} }) ] } 'kpi.attainment', 'plain tables');
	check('one cell by key through `kpi.attainment`, nothing pending, against a plain lookup joined to the same names', $ratio, '<=', 3, 1.5, '×');
}
check('corporate root with 1,000 pending', $root_pending, '<=', 10, 3, ' ms');
table('(c) Reads, ms as the client sees them',
	[ '', 'pending', 'kpi_cascade', 'recursive query', 'materialized view (behind)', 'times the query', 'times the view' ], @rows);
drop_database('reads');
settings(max_parallel_workers_per_gather => 2);
1;
