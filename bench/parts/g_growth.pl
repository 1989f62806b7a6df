# (g) What each thing costs in organisations of 10³, 10⁴ and 10⁵ units, six levels each.
use strict;
use warnings;
use Bench;
use Chart;
use Report;

my @fans = quick() ? ([ 2, 2, 2, 3, 3 ], [ 3, 3, 3, 3, 3 ]) : ([ 3, 4, 4, 4, 4 ], [ 5, 5, 5, 8, 9 ], [ 10, 10, 10, 10, 9 ]);
my (@units, %session, %times, %place);

for my $fan (@fans)
{
	my $db = 'growth_' . @units;

	create_organisation($db, $fan, 1);
	sql('postgres', "ALTER DATABASE $db SET kpi_cascade.fold_mode = manual");
	sql($db, 'INSERT INTO kpi.fact (kpi_id, period, value) SELECT kpi_id, period, value FROM bench.plain', 'SELECT kpi.fold()', 'VACUUM ANALYZE');
	$session{$db} = session($db);
	push @units, sql($db, 'SELECT count(*) FROM kpi.unit');
}
my @dbs = map { "growth_$_" } 0 .. $#fans;

sub root { return sql($_[0], 'SELECT kpi_id FROM bench.unit WHERE level_no = 1') }

sub leaf
{
	my ($first, $last) = split /\|/, sql($_[0], 'SELECT min(kpi_id), max(kpi_id) FROM bench.leaf');

	return "\\set kpi random($first, $last)\n";
}

sub changes
{
	my ($db, $n) = @_;

	ask($session{$db}, "INSERT INTO kpi.fact (kpi_id, period, value) SELECT kpi_id, '2026-01', kpi_id % 997 FROM bench.leaf ORDER BY hashint8(kpi_id) LIMIT $n");
}

# a unit of the third level goes to another one of the second, and back
sub move
{
	my ($db) = @_;
	my ($from, $to) = ($place{$db}++ % 2) ? ('o/u2', 'o/u1') : ('o/u1', 'o/u2');

	return timed($session{$db}, "BEGIN; SELECT kpi.move_unit('o/moving', '$to', date '2026-01-01'); SELECT kpi.fold(); COMMIT");
}
sql($_, "UPDATE kpi.unit SET code = 'o/moving', path = 'o.u1.moving' WHERE path = 'o.u1.u1'", 'SELECT kpi.fold()') for @dbs;

sub inserting
{
	my ($db, $table, $mode) = @_;

	sql($db, 'SELECT kpi.fold()', 'VACUUM kpi.pending, kpi.cell', 'CHECKPOINT');
	return 1000 / rate($db, script => insert_script($db, $table) =~ s/2026-08/2026-01/r, options => "-c kpi_cascade.fold_mode=$mode");
}

my @costs = (
	[ 'insert into the plain table' => sub { inserting($_[0], 'bench.plain', 'manual') } ],
	[ 'insert'                      => sub { inserting($_[0], 'kpi.fact', 'manual') } ],
	[ 'insert, commit mode'         => sub { inserting($_[0], 'kpi.fact', 'commit') } ],
	[ 'fold of 100 changes'         => sub { ask($session{ $_[0] }, 'SELECT kpi.fold()'); changes($_[0], 100); timed($session{ $_[0] }, 'SELECT kpi.fold()') } ],
	[ 'read of one cell'            => sub { latency($_[0], "SELECT * FROM kpi.attainment WHERE kpi_id = :kpi AND period = '2026-01'", before => leaf($_[0]), seconds => 1) } ],
	[ 'read of the root'            => sub { latency($_[0], 'SELECT * FROM kpi.attainment WHERE kpi_id = ' . root($_[0]) . " AND period = '2026-01'", seconds => 1) } ],
	[ 'read of the root, 100 pending' => sub { changes($_[0], 100); latency($_[0], 'SELECT * FROM kpi.attainment WHERE kpi_id = ' . root($_[0]) . " AND period = '2026-01'", seconds => 1) } ],
	[ 'move of a subtree, with its fold' => \&move ]);
my @rows;
for my $cost (@costs)
{
	my ($what, $measure) = @$cost;
	my $rounds = rounds(map { my $i = $_; "$what, $units[$i] units" => sub { $measure->($dbs[$i]) } } 0 .. $#dbs);
	my @figures = map { $rounds->{"$what, $_ units"} } @units;
	my $growth = ratio_of($figures[-1], $figures[0]);

	ask($session{$_}, 'SELECT kpi.fold()') for @dbs;
	$times{$what} = [ map { median(@$_) } @figures ];
	push @rows, [ $what, @{ $times{$what} }, $growth ];
	check("insert cost at 10⁵ units against 10³", $growth, '<=', 1.3, 1.1, '×') if $what eq 'insert';
	check("insert cost at 10⁵ units against 10³, commit mode", $growth, '<=', 1.3, 1.1, '×') if $what eq 'insert, commit mode';
}
table('(g) Growth with the organisation, ms', [ '', (map { number($_) . ' units' } @units), 'last against first' ], @rows);
Chart::save('bench-g', lines('What things cost in larger organisations', 'units', 'milliseconds', \@units, [ map { $_->[0] } @costs ], \%times));
undef %session;
drop_database(@dbs);
1;
