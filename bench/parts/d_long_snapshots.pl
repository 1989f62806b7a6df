# (d) Reads, writes and folds beside an idle REPEATABLE READ session, in one of
# two databases that get the same changes.
use strict;
use warnings;
use Bench;
use Report;

my %beside = (with_idle => 'beside it', without_idle => 'without');
my @dbs = ('with_idle', 'without_idle');
my ($idle, %folder, @rows);
my ($batches, $folds) = quick() ? (3, 100) : (100, 10_000);

for my $db (@dbs)
{
	organisation($db);
	sql('postgres', "ALTER DATABASE $db SET kpi_cascade.fold_mode = manual");
	sql($db, 'INSERT INTO kpi.fact (kpi_id, period, value) SELECT kpi_id, period, value FROM bench.plain', 'SELECT kpi.fold()', 'VACUUM ANALYZE');
	$folder{$db} = session($db);
}
my ($first, $last) = split /\|/, sql('with_idle', 'SELECT min(kpi_id), max(kpi_id) FROM bench.leaf');
my $root = sql('with_idle', 'SELECT kpi_id FROM bench.unit WHERE level_no = 1');
my $leaf = "\\set kpi random($first, $last)\n";

$idle = session('with_idle');
ask($idle, 'BEGIN ISOLATION LEVEL REPEATABLE READ');
ask($idle, 'SELECT count(*) FROM kpi.fact');

sub compare
{
	my ($after) = @_;
	my %measure = (
		'read of one cell' => sub { latency($_[0], "SELECT * FROM kpi.attainment WHERE kpi_id = :kpi AND period = '2026-08'", before => $leaf, seconds => 1) },
		'read of the root' => sub { latency($_[0], "SELECT * FROM kpi.attainment WHERE kpi_id = $root AND period = '2026-08'", seconds => 1) },
		'read of a level'  => sub { latency($_[0], "SELECT * FROM kpi.attainment WHERE level_no = 4 AND period = '2026-08'", seconds => 1) },
		'write of a fact'  => sub { latency($_[0], insert_script($_[0], 'kpi.fact') =~ /(INSERT.*);/, before => insert_script($_[0], 'kpi.fact') =~ s/INSERT.*//sr, seconds => 1) },
		'fold of 1,000 changes' => sub { changes($_[0], 1000); timed($folder{ $_[0] }, 'SELECT kpi.fold()') });
	my @what = ('read of one cell', 'read of the root', 'read of a level', 'write of a fact', 'fold of 1,000 changes');

	sql($_, 'SELECT kpi.fold()', 'VACUUM ANALYZE') for @dbs;
	for my $what (@what)
	{
		my $times = rounds(map { my $db = $_; "$what $after, $beside{$db}" => sub { my $time = $measure{$what}->($db); ask($folder{$db}, 'SELECT kpi.fold()') if $what =~ /write/; $time } } @dbs);
		my ($with, $without) = map { $times->{"$what $after, $beside{$_}"} } @dbs;

		push @rows, [ $after, $what, median(@$with), median(@$without), ratio_of($with, $without) ];
	}
	for my $which (qr/read|write/, qr/fold of/)
	{
		my ($worst) = sort { $b->[4] <=> $a->[4] } grep { $_->[0] eq $after && $_->[1] =~ $which } @rows;

		check("beside an idle REPEATABLE READ session, $after: " . ($worst->[1] =~ /fold/ ? 'folds' : "the slowest of reads and writes ($worst->[1])"), $worst->[4], '<=', 2, 1.2, '×');
	}
}

# n facts of as many leaves, in one statement
sub changes
{
	my ($db, $n, $month) = @_;

	ask($folder{$db}, "INSERT INTO kpi.fact (kpi_id, period, value) SELECT kpi_id, '2026-01'::kpi_period + " . ($month // 7) . ", kpi_id % 997 FROM bench.leaf ORDER BY hashint8(kpi_id) LIMIT $n");
}

for my $batch (1 .. $batches)
{
	for my $db (@dbs)
	{
		changes($db, 10_000, $batch % 12);
		ask($folder{$db}, 'SELECT kpi.fold()');
	}
	Bench::progress("$batch of $batches batches") if $batch % 10 == 0;
}
compare('after 10⁶ folded changes');

my $fold_by_fold = rounds_once();
compare('after 10,000 more folds');
table('(d) Beside an idle REPEATABLE READ session, ms', [ 'when', 'what', 'beside it', 'without', 'times' ], @rows, $fold_by_fold);
undef $idle;
undef %folder;
drop_database(@dbs);

sub rounds_once
{
	my %rate;

	for my $db (@dbs)
	{
		$rate{$db} = 1000 / rate($db, transactions => $folds, script => insert_script($db, 'kpi.fact') . "SELECT kpi.fold();\n");
		Bench::progress("$folds folds $beside{$db}: " . number($rate{$db}));
	}
	return [ 'while there are 10,000', 'write of a fact and kpi.fold(), the mean of all', $rate{with_idle}, $rate{without_idle}, $rate{with_idle} / $rate{without_idle} ];
}
1;
