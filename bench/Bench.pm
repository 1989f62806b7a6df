# What the parts share: the server, ways to time a statement or a rate, rounds
# that alternate between what is compared, and the table of results.
package Bench;
use strict;
use warnings;
use Exporter 'import';
use FindBin;
use IPC::Open3;
use List::Util qw(sum);
use POSIX qw(strftime);
use Report;
use Time::HiRes qw(time sleep);

our @EXPORT = qw(quick settings create_organisation organisation copy_database drop_database sql run_file milliseconds
  insert_script pgbench rate latency session ask timed loop start_worker server_log_since rounds median ratio_of);

our ($work, %settings);
my %organisations;
our $rounds = $ENV{BENCH_ROUNDS} // ($ENV{BENCH_QUICK} ? 1 : 5);
our $seconds = $ENV{BENCH_SECONDS} // ($ENV{BENCH_QUICK} ? 1 : 4);

sub quick { return $ENV{BENCH_QUICK} }

# ---------------------------------------------------------------- the server

# For every part alike; parts add what they say in README.md.
my %server = (
	shared_buffers                      => '1GB',
	max_connections                     => 60,
	max_wal_size                        => '8GB',
	checkpoint_timeout                  => '30min',
	work_mem                            => '64MB',
	maintenance_work_mem                => '256MB',
	jit                                 => 'off',
	max_worker_processes                => 16,
	autovacuum                          => 'on');

sub begin
{
	($work) = @_;
	$| = 1;
	set_all(%server);
	system("pg_ctl -D $work/server/data -l $work/server/log -m fast -w restart >$work/restart.log 2>&1") == 0
	  or die "could not restart the server";
}

sub set_all
{
	my (%new) = @_;

	$settings{$_} = $new{$_} for keys %new;
	sql('postgres', map { "ALTER SYSTEM SET $_ = '$new{$_}'" } sort keys %new);
}

# settings of a part that take effect at once
sub settings
{
	set_all(@_);
	sql('postgres', 'SELECT pg_reload_conf()');
	sleep 0.5;
}

# fan: how many units below each, per level; months of facts in bench.plain
sub create_organisation
{
	my ($db, $fan, $months) = @_;

	sql('postgres', "DROP DATABASE IF EXISTS $db WITH (FORCE)", "CREATE DATABASE $db");
	run_file($db, 'organisation', fan => '{' . join(',', @$fan) . '}', months => $months);
	sql($db, 'VACUUM ANALYZE');
}

# Six levels, 10,000 leaves, twelve months: the template that most parts copy.
sub organisation
{
	my ($copy) = @_;

	create_organisation('organisation', quick() ? [ 2, 2, 2, 3, 5 ] : [ 5, 5, 5, 8, 10 ], 12)
	  unless $organisations{built}++;
	copy_database('organisation', $copy);
}

sub copy_database
{
	my ($from, $to) = @_;

	sql('postgres', "DROP DATABASE IF EXISTS $to WITH (FORCE)", "CREATE DATABASE $to TEMPLATE $from", 'CHECKPOINT');
}

sub drop_database
{
	sql('postgres', map { "DROP DATABASE IF EXISTS $_ WITH (FORCE)" } @_);
}

sub psql
{
	my ($db, @arguments) = @_;
	my $pid = open3(my $in, my $out, undef, 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $db, @arguments);

	close $in;
	my $output = do { local $/; <$out> } // '';
	waitpid $pid, 0;
	die "psql @arguments\n$output" if $?;
	chomp $output;
	return $output;
}

# sql DATABASE STATEMENT...: each in a transaction of its own; what they return
sub sql
{
	my ($db, @statements) = @_;

	return psql($db, map { ('-c', $_) } @statements);
}

sub run_file
{
	my ($db, $file, %variables) = @_;

	return psql($db, (map { ('-v', "$_=$variables{$_}") } sort keys %variables), '-f', "$FindBin::Bin/sql/$file.sql");
}

# milliseconds DATABASE STATEMENT [BEFORE...]: of the last one, its commit included
sub milliseconds
{
	my ($db, $statement, @before) = @_;
	my $output = sql($db, @before, '\o /dev/null', '\timing on', $statement);

	return $output =~ /Time: ([\d.]+) ms.*\z/s ? $1 : die "no time in: $output";
}

# A psql that stays: what is sent to it runs there; closed when it goes out of scope.
sub session
{
	my ($db, @arguments) = @_;
	my $self = bless {}, 'Bench::Session';

	$self->{pid} = open3($self->{in}, $self->{out}, undef, 'psql', '-XAtq', '-d', $db, @arguments);
	$self->{in}->autoflush(1);
	return $self;
}

# ask SESSION STATEMENT: its output, once it is done
sub ask
{
	my ($self, $statement) = @_;
	my $output = '';

	print { $self->{in} } "$statement\n;\n\\echo done\n";
	while (defined(my $line = readline $self->{out}))
	{
		return $output if $line eq "done\n";
		$output .= $line;
	}
	die "a session ended: $output";
}

# the same with the time of all statements together, in milliseconds
sub timed
{
	my ($self, $statements) = @_;
	my $output = ask($self, "\\timing on\n$statements;\n\\timing off");
	my @times = $output =~ /^Time: ([\d.]+) ms/mg or die "no time in: $output";

	return sum(@times);
}

sub Bench::Session::DESTROY
{
	my ($self) = @_;

	local $?;
	kill 'INT', $self->{pid} if $self->{loops};
	close $self->{in};
	sleep 0.1;
	kill 'TERM', $self->{pid};
	waitpid $self->{pid}, 0;
}

# A session that runs a statement again and again.
sub loop
{
	my ($db, $statement, $every) = @_;
	my $self = session($db, '-o', '/dev/null');

	print { $self->{in} } "$statement\n\\watch $every\n";
	$self->{loops} = 1;
	return $self;
}

# Folds in the background for as long as the result lives: the extension's own
# worker where this version has one, else a session that calls kpi.fold().
sub start_worker
{
	my ($db) = @_;

	return loop($db, 'SELECT kpi.fold()', 0.2)
	  if sql($db, "SELECT count(*) FROM pg_proc WHERE pronamespace = 'kpi'::regnamespace AND proname = 'start_worker'") eq '0';
	sql($db, 'SELECT kpi.start_worker()');
	return bless { db => $db }, 'Bench::Worker';
}

sub Bench::Worker::DESTROY
{
	my ($self) = @_;

	local $?;
	sql($self->{db}, 'SELECT kpi.stop_worker()');
}

sub server_log_since
{
	my ($place) = @_;
	open my $log, '<', "$work/server/log" or die "server log: $!";

	seek $log, $place // -s $log, 0;
	my @lines = <$log>;
	return defined $place ? @lines : -s $log;
}

# ---------------------------------------------------------------- pgbench

# pgbench DATABASE, clients, script, and seconds or transactions, options.
# One client and its backend alone on two cores mostly wake each other up from
# sleep: one client is kept, with its backend, on one core.
sub pgbench
{
	my ($db, %with) = @_;
	my $clients = $with{clients} // 1;
	my $script = "$work/script.sql";
	my @pin = $clients == 1 ? qw(taskset -c 0) : ();
	my $text = $with{script};

	open my $file, '>', $script or die "$script: $!";
	print $file $text;
	close $file;
	pin_new_backends('0') if @pin;
	local $ENV{PGOPTIONS} = "$ENV{PGOPTIONS} $with{options}" if $with{options};
	my @how = $with{transactions} ? ('-t', $with{transactions}) : ('-T', $with{seconds} // $seconds);
	my $pid = open3(my $in, my $out, undef, @pin, 'pgbench', '-n', '-r', '-M', 'prepared', '-c', $clients,
		'-j', $clients > 1 ? 2 : 1, @how, '-f', $script, $db);
	close $in;
	my $output = do { local $/; <$out> };
	waitpid $pid, 0;
	my $status = $?;
	pin_new_backends('0-' . (cores() - 1)) if @pin;
	die "pgbench: $output" if $status || $output =~ /^pgbench: error/m;
	return $output;
}

sub cores
{
	chomp(my $n = `nproc --all`);
	return $n;
}

sub pin_new_backends
{
	my ($list) = @_;
	open my $file, '<', "$work/server/data/postmaster.pid" or die "postmaster.pid: $!";
	chomp(my $postmaster = <$file>);

	system("taskset -a -c -p $list $postmaster >/dev/null") == 0 or die "taskset failed";
}

# bench/sql/insert.pgbench for a table of a database: one row of a leaf, in one month
sub insert_script
{
	my ($db, $table) = @_;
	my ($first, $last) = split /\|/, sql($db, 'SELECT min(kpi_id), max(kpi_id) FROM bench.leaf');
	open my $file, '<', "$FindBin::Bin/sql/insert.pgbench" or die "insert.pgbench: $!";
	my $script = do { local $/; <$file> };

	return $script =~ s/INTO TABLE/INTO $table/r =~ s/:first/$first/r =~ s/:last/$last/r;
}

# transactions per second
sub rate
{
	return pgbench(@_) =~ /^tps = ([\d.]+)/m ? $1 : die "pgbench told no rate";
}

# Milliseconds of the last statement of the script, the mean of a run.  Between
# two of them the snapshot changes, as it does on a server with writers.
sub latency
{
	my ($db, $statement, %with) = @_;
	my $output = pgbench($db, %with, script => ($with{before} // '') . "SELECT pg_current_xact_id();\n$statement;\n");

	return $output =~ /\n\s+([\d.]+)\s+\d+\s+\S[^\n]*\s*\z/ ? $1 : die "pgbench told no latency: $output";
}

# ---------------------------------------------------------------- rounds

# rounds [name => code, ...]: runs them in turn, round after round, each round
# in the other direction; name => [figure of each round]
sub rounds
{
	my (@contenders) = @_;
	my (%code, %figures, @order);

	while (my ($name, $code) = splice @contenders, 0, 2)
	{
		push @order, $name;
		$code{$name} = $code;
	}
	for my $round (1 .. $rounds)
	{
		for my $name ($round % 2 ? @order : reverse @order)
		{
			my $figure = $code{$name}->();

			push @{ $figures{$name} }, $figure;
			progress("$name: " . Report::number($figure));
		}
	}
	return \%figures;
}

sub progress { printf STDERR "%s %s\n", strftime('%H:%M:%S', localtime), join ' ', @_ }

sub median
{
	my @sorted = sort { $a <=> $b } @_;
	my $half = int(@sorted / 2);

	return @sorted % 2 ? $sorted[$half] : ($sorted[$half - 1] + $sorted[$half]) / 2;
}

# the median of the ratios of each round, whose disturbances are the same
sub ratio_of
{
	my ($a, $b) = @_;

	return median(map { $a->[$_] / $b->[$_] } 0 .. $#$a);
}

1;
