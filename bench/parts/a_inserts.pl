# (a) Single-row inserts, one a transaction, all in one period, by 1, 8 and 32
# clients, on a server that waits for its disk.
use strict;
use warnings;
use Bench;
use Chart;
use Report;

settings(fsync => 'on', full_page_writes => 'on', synchronous_commit => 'on');
organisation('inserts');
run_file('inserts', 'alternatives');

my $has_ivm = sql('inserts', "SELECT count(*) FROM pg_extension WHERE extname = 'pg_ivm'");
my %table = (
	'plain table'                   => 'bench.plain',
	'commit'                        => 'kpi.fact',
	'background'                    => 'kpi.fact',
	'manual'                        => 'kpi.fact',
	'row trigger'                   => 'bench.row_fact',
	'statement trigger'             => 'bench.statement_fact',
	'materialized view, refreshed'  => 'bench.watched_fact',
	($has_ivm ? ('pg_ivm'           => 'bench.ivm_fact') : ()));
my @contenders = ('plain table', 'background', 'commit', 'manual', 'materialized view, refreshed', 'statement trigger', 'row trigger',
	$has_ivm ? 'pg_ivm' : ());
my @clients = (1, 8, 32);
my (%waits, %left, $deadlocks);

sub count_deadlocks { return sql('postgres', "SELECT deadlocks FROM pg_stat_database WHERE datname = 'inserts'") }

sub waited_for
{
	my ($what) = @_;

	return $what =~ /^(extension of )?relation (\d+)/ ? ($1 // '') . sql('inserts', "SELECT coalesce(to_regclass($2::oid::regclass::text)::text, 'a relation')") : $what =~ s/\d+/N/gr;
}

sub inserts
{
	my ($how, $clients) = @_;
	my %with = (clients => $clients, script => insert_script('inserts', $table{$how}));
	my $ours = $table{$how} eq 'kpi.fact';

	sql('inserts', 'SELECT kpi.fold()', 'VACUUM kpi.pending, kpi.cell, bench.row_cell, bench.statement_cell', 'CHECKPOINT');
	my $beside = $how eq 'background' ? start_worker('inserts')
	  : $how =~ /refreshed/ ? loop('inserts', 'REFRESH MATERIALIZED VIEW CONCURRENTLY bench.watched_cell', 1) : undef;
	return rate('inserts', %with) unless $ours || $how eq 'plain table';

	# whoever waits for a lock longer than a millisecond is in the server's log
	my ($place, $deadlocks_before) = (server_log_since(), count_deadlocks());
	my $mode = $ours ? "-c kpi_cascade.fold_mode=$how" : '';
	my $rate = rate('inserts', %with, options => "-c log_lock_waits=on -c deadlock_timeout=1ms $mode");
	$waits{$how}{$_}++ for map { /still waiting for \w+ on (.*?) after/ ? waited_for($1) : () } server_log_since($place);
	return $rate unless $ours;
	$deadlocks += count_deadlocks() - $deadlocks_before;
	undef $beside;
	push @{ $left{$how} }, sql('inserts', 'SELECT kpi.fold()');
	return $rate;
}

my (%median, %against, @rows, %rates);
for my $clients (@clients)
{
	$rates{$clients} = rounds(map { my $how = $_; "$how, $clients clients" => sub { inserts($how, $clients) } } @contenders);
	for my $how (@contenders)
	{
		my $figures = $rates{$clients}{"$how, $clients clients"};

		push @{ $median{$how} }, median(@$figures);
		push @{ $against{$how} }, ratio_of($figures, $rates{$clients}{"plain table, $clients clients"});
	}
}

# the root shows what was written
my $wrong = sql('inserts', "SELECT count(*) FROM kpi.attainment a JOIN bench.unit u USING (kpi_id)
	WHERE u.level_no = 1 AND a.period = '2026' AND a.actual <> (SELECT sum(value) FROM kpi.fact)");
die "the root does not show the sum of its facts" if $wrong;

sub versus
{
	my ($ours, $theirs, $clients) = @_;

	return ratio_of(map { $rates{$clients}{"$_, $clients clients"} } $ours, $theirs);
}
my %label = map { $_ => $table{$_} eq 'kpi.fact' ? "kpi_cascade, $_" : $_ } @contenders;
table('(a) Single-row inserts, transactions a second',
	[ '', (map { ("$_ client" . ($_ > 1 ? 's' : ''), 'of the plain table') } @clients) ],
	map { my $how = $_; [ $label{$how}, map { ($median{$how}[$_], sprintf '%.2f', $against{$how}[$_]) } 0 .. $#clients ] } @contenders);
my ($trigger) = sort { $median{$b}[2] <=> $median{$a}[2] } 'row trigger', 'statement trigger';
for my $i (0, 2)
{
	my $clients = $clients[$i] == 1 ? '1 client' : "$clients[$i] clients";

	check("background, single-row inserts against the plain table, $clients", $against{background}[$i], '>=', '0.70', '0.85', '');
	check("commit mode, single-row inserts against the plain table, $clients", $against{commit}[$i], '>=', $i ? '0.55' : '0.5', '0.75', '');
}
check("background against the faster of the triggers ($trigger), 32 clients", versus('background', $trigger, 32), '>=', 4, 8, '×');
check("commit mode against the same", versus('commit', $trigger, 32), '>=', 2, 5, '×');
check('background against pg_ivm, 8 clients', versus('background', 'pg_ivm', 8), '>=', 8, 12, '×') if $has_ivm;
note('pg_ivm is not installed for this server: not measured.') unless $has_ivm;
# A table's file grows under a lock of its own, the plain table's too: told, not counted.
my $waits = 0;
for my $how (sort keys %waits)
{
	$waits += $waits{$how}{$_} for grep { $how ne 'plain table' && !/^extension/ } keys %{ $waits{$how} };
	note("(a) $how: waits of more than 1 ms for $_: $waits{$how}{$_}") for sort keys %{ $waits{$how} };
}
check('deadlocks on ours, all modes and clients', $deadlocks, '<=', 0, 0, '');
check('waits for locks on ours (but for growing files), all modes and clients', $waits, '<=', 0, 0, '');
note("(a) $_: median of what was left to fold at the end of a run, in changes: " . median(@{ $left{$_} }) . ", at most " . (sort { $b <=> $a } @{ $left{$_} })[0]) for qw(background commit);
Chart::save('bench-a', bars('Single-row inserts, all of one month', 'clients', 'thousand transactions a second', \@clients, [ map { $label{$_} } @contenders ],
	{ map { $label{$_} => [ map { $_ / 1000 } @{ $median{$_} } ] } @contenders }));
drop_database('inserts');
settings(fsync => 'off', full_page_writes => 'off');
1;
