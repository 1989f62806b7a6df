# (b) COPY of one million facts over 10,000 leaf KPIs, into a fresh database each time.
use strict;
use warnings;
use Bench;
use Report;

my $per_leaf = quick() ? 24 : 100;
my @rows;

for my $months (12, 1)
{
	my $file = "$Bench::work/out/../facts.copy";

	organisation('facts');
	run_file('facts', 'facts', file => $file, per_leaf => $per_leaf, months => $months);
	my $copy = sub {
		my ($table, $mode, @after) = @_;

		copy_database('facts', 'copy');
		my $session = session('copy');
		ask($session, "SELECT kpi.version()");
		ask($session, "SET kpi_cascade.fold_mode = $mode");
		my $time = timed($session, "COPY $table (kpi_id, period, value) FROM '$file'");
		$time += timed($session, $_) for @after;
		my $left = ask($session, 'SELECT kpi.fold()');
		die "COPY has left $left changes unfolded" if $left > 0 && ($mode eq 'commit' || @after);
		return $time;
	};
	my $times = rounds(
		'plain table'                      => sub { $copy->('bench.plain', 'manual') },
		'kpi_cascade, commit'              => sub { $copy->('kpi.fact', 'commit') },
		'kpi_cascade, manual + kpi.fold()' => sub { $copy->('kpi.fact', 'manual', 'SELECT kpi.fold()') },
		'kpi_cascade, manual'              => sub { $copy->('kpi.fact', 'manual') });
	my $cells = sql('copy', 'SELECT count(*) FROM kpi.cell');
	my $shape = $months == 1 ? 'one month' : "$months months";

	for my $how ('plain table', 'kpi_cascade, manual', 'kpi_cascade, manual + kpi.fold()', 'kpi_cascade, commit')
	{
		push @rows, [ $shape, number($cells), $how, median(@{ $times->{$how} }), ratio_of($times->{$how}, $times->{'plain table'}) ];
	}
	check("COPY of 10⁶ facts ($shape) with its fold against a plain COPY", ratio_of($times->{'kpi_cascade, commit'}, $times->{'plain table'}), '<=', 2, 1.4, '×');
}
table('(b) COPY of ' . number($per_leaf * sql('facts', 'SELECT count(*) FROM bench.leaf')) . ' facts over '
	  . number(sql('facts', 'SELECT count(*) FROM bench.leaf')) . ' leaf KPIs, six levels',
	[ 'facts of', 'cells', '', 'ms', 'times the plain COPY' ], @rows);
drop_database('facts', 'copy');
1;
