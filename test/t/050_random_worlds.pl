# Differential test: whatever is done to an organisation, in whatever order, by
# several clients, kpi.attainment equals the recomputation from the raw rows in
# plain SQL (kpi.verify() returns no row), after every step and inside
# transactions, and a rebuild finds nothing to repair in the folded cells.
#
# Random worlds (test/perl/KpiWorld.pm) are set up and changed step by step.
# Where there is a difference, the statements so far are shortened, by running
# them again in fresh databases, to a minimal script that shows it.
#
#   KPI_WORLDS   how many worlds (default 300)
#   KPI_SEED     the seed of the first, the next has the next (default 1)
#   KPI_JOBS     worlds at a time (default 2)
#   KPI_SHORTEN  seconds to look for a minimal script in (default 120)
#   KPI_VERBOSE  log every statement
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use KpiSession;
use KpiWorld;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $worlds = $ENV{KPI_WORLDS} || 300;
my $first  = $ENV{KPI_SEED} || 1;
my $jobs   = $ENV{KPI_JOBS} || 2;

# Statements may be refused: by rules (22, 23, 55), because another session of
# the same world is in the way (40, 55P03), or in a transaction that failed (25).
my $refusals = qr/^(?:22|23|25|40|55|3B)/;

# one world after the other in a database, which must not notice
my $worlds_per_database = 20;
my $seconds_to_shorten  = $ENV{KPI_SHORTEN} // 120;

my $verify = 'SELECT * FROM kpi.verify()';
# what a rebuild changes in cells that are folded
my $repair = join '; ', 'SELECT kpi.fold()', 'BEGIN', 'CREATE TEMPORARY TABLE folded ON COMMIT DROP AS TABLE kpi.cell',
  'CREATE TEMPORARY TABLE rebuilt ON COMMIT DROP AS SELECT kpi.rebuild()',
  q{SELECT 'repaired', f, c FROM kpi.cell c FULL JOIN folded f USING (kpi_id, period) WHERE c::text IS DISTINCT FROM f::text}, 'COMMIT';

my $node = PostgreSQL::Test::Cluster->new('random_worlds');
$node->init;
$node->append_conf('postgresql.conf', <<'CONF');
max_prepared_transactions = 40
max_connections = 60
autovacuum = off
jit = off
CONF
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE template_kpi');
# tiny data many times: planning each time would cost most of the run
$node->safe_psql('template_kpi', "CREATE EXTENSION kpi_cascade; "
	  . join('; ', map { "ALTER FUNCTION kpi.$_ SET plan_cache_mode = force_generic_plan" } 'recompute_figures(timestamptz, bigint[], date, date)', 'recompute_links(date[], kpi.recompute_kpi[])', 'verify()'));

# ---------------------------------------------------------------- a database and its sessions

package Place
{
	sub new
	{
		my ($class, $name) = @_;
		my $self = bless { name => $name, sessions => {}, control => KpiSession->new($node->connstr('postgres'), '') }, $class;
		$self->{control}->run("DROP DATABASE IF EXISTS $name");
		my @errors = $self->{control}->run("CREATE DATABASE $name TEMPLATE template_kpi STRATEGY file_copy");
		die "@errors\n" if @errors;
		return $self;
	}

	# one that waits for a lock waits for another session of this process, and for ever
	sub session
	{
		my ($self, $number) = @_;
		return $self->{sessions}{$number} ||=
		  KpiSession->new($node->connstr($self->{name}), '-c lock_timeout=25 -c statement_timeout=120000');
	}

	sub drop
	{
		my ($self) = @_;
		$self->{sessions} = {};
		eval {
			for my $gid ($self->{control}->run("SELECT gid FROM pg_prepared_xacts WHERE database = '$self->{name}'"))
			{
				KpiSession->new($node->connstr($self->{name}), '')->run("ROLLBACK PREPARED '$gid'");
			}
			$self->{control}->run("DROP DATABASE $self->{name} WITH (FORCE)");
		};
	}
}

# what is wrong with the answer to a statement: undef, or ('difference' | 'error ...', lines)
sub judge
{
	my ($sql, @lines) = @_;
	for (@lines)
	{
		return ("error $1", @lines) if /^(?:ERROR|FATAL|PANIC):\s+(\w{5})/ && $1 !~ $refusals;
		return ("warning $1", @lines) if /^WARNING:\s+(\w{5})/ && $1 !~ /^25/;
	}
	return if grep { /^ERROR/ } @lines;
	return ('difference', @lines) if $sql eq $verify && @lines;
	return ('repaired cells', @lines) if $sql eq $repair && grep { /^repaired/ } @lines;
	return;
}

sub statement_text
{
	my ($statement) = @_;
	my $rows = $statement->{rows} or return $statement->{sql};
	return $statement->{sql} . (@$rows > 1 ? "\n    " : ' ') . join(",\n    ", @$rows) . $statement->{tail};
}

# runs a statement in a session; returns what is wrong, and the lines
sub run_in
{
	my ($place, $number, $sql) = @_;
	my @lines = eval { $place->session($number)->run($sql) };
	if (my $error = $@)
	{
		return ($error =~ /^no answer/ ? 'hang' : 'crash', split /\n/, $error);
	}
	my ($wrong, @shown) = judge($sql, @lines);
	return ($wrong, @lines);
}

# ---------------------------------------------------------------- one world

my %count;

# Runs a world in a place; returns undef, or { what, lines, log }.  The log is a
# list of { session, sql [, rows, tail] }.
sub run_world
{
	my ($place, $seed, $log) = @_;
	my $world = KpiWorld->new($seed);
	my %state;       # of each session: transaction, failed, savepoints, fixed snapshot
	my @prepared;
	my $failure;

	my $do = sub {
		my ($session, $statement) = @_;
		$statement = { sql => $statement } unless ref $statement;
		my $sql = statement_text($statement);
		print STDERR "-- $session\n$sql;\n" if $ENV{KPI_VERBOSE};
		push @$log, { %$statement, session => $session };
		my $sent = time;
		my ($wrong, @lines) = run_in($place, $session, $sql);
		printf STDERR "-- %.0f ms\n", 1000 * (time - $sent) if $ENV{KPI_VERBOSE};
		$count{statements}++;
		$failure = { what => $wrong, lines => \@lines } if defined $wrong;
		die "failure\n" if $failure;
		my ($error) = grep { /^ERROR/ } @lines;
		if ($error)
		{
			$count{refused}++;
			$count{"refused $1"}++ if $error =~ /^ERROR:\s+(\w{5})/;
			print STDERR "$error\n" if $ENV{KPI_VERBOSE};
			$state{$session}{failed} = 1 if $state{$session}{transaction};
		}
		return !$error;
	};
	my $check = sub {
		my ($session) = @_;
		$count{checks}++;
		$do->($session, $verify);
	};
	my $leave = sub {
		my ($session, $how) = @_;
		$do->($session, $how);
		$state{$session} = {};
	};

	eval {
		my $sessions = KpiWorld::one_of(1, 1, 2, 3, 4);
		for my $session (1 .. $sessions)
		{
			$do->($session, 'SELECT kpi.version()');
			$do->($session, 'SET kpi_cascade.fold_mode = ' . (KpiWorld::chance(0.75) ? 'commit' : 'manual'));
			$do->($session, 'SET kpi_cascade.fold_after = ' . KpiWorld::one_of(0, 0, 3, 32));
		}
		my $together = KpiWorld::chance(0.5);
		my @set_up = $world->set_up;
		$do->(1, 'BEGIN') if $together;
		# a refused link or move is no reason to lose the rest
		for my $statement (@set_up)
		{
			my $risky = $together && $statement->{sql} =~ /kpi\.(link|unit_history)/;
			$do->(1, 'SAVEPOINT a') if $risky;
			my $done = $do->(1, $statement);
			$do->(1, 'ROLLBACK TO a') if $risky && !$done;
		}
		$check->(1) if $together && KpiWorld::chance(0.3);
		$do->(1, 'COMMIT') if $together;
		$state{$_} = {} for 1 .. $sessions;
		$check->(KpiWorld::between(1, $sessions));

		my $steps = KpiWorld::between(@{ { small => [ 6, 22 ], middle => [ 4, 10 ], days => [ 3, 8 ], large => [ 2, 4 ] }->{ $world->{size} } });
		for (1 .. $steps)
		{
			my $session = KpiWorld::between(1, $sessions);
			my $state = $state{$session};

			if ($state->{failed})
			{
				if ($state->{savepoints} && KpiWorld::chance(0.7))
				{
					$do->($session, 'ROLLBACK TO a');
					$state->{failed} = 0;
				}
				else { $leave->($session, KpiWorld::one_of('ROLLBACK', 'COMMIT')) }
				$check->($session);
				next;
			}
			my $step = $state->{transaction}
			  ? KpiWorld::weighted(change => 55, savepoint => 8, back => $state->{savepoints} ? 8 : 0, release => $state->{savepoints} ? 4 : 0,
				fold => 6, commit => 20, rollback => 6, prepare => 4)
			  : KpiWorld::weighted(change => 50, begin => 30, fold => 7, rebuild => 2, set => 4, prepared => @prepared ? 15 : 0);
			my $checked = 0.75;
			if ($step eq 'change')
			{
				my @rows = eval { $place->session($session)->run($KpiWorld::MODEL_SQL) };
				for my $statement ($world->change(KpiWorld::model(@rows)))
				{
					last unless $do->($session, $statement);
				}
				$checked = 0.6 if $state->{transaction};
			}
			elsif ($step eq 'begin')
			{
				my $isolation = KpiWorld::weighted('READ COMMITTED' => 5, 'REPEATABLE READ' => 3, SERIALIZABLE => 2);
				$do->($session, "BEGIN ISOLATION LEVEL $isolation");
				$state->{transaction} = 1;
				# the snapshot is taken here, in the script as well
				$do->($session, 'SELECT count(*) FROM kpi.fact') if $isolation ne 'READ COMMITTED';
				$checked = 0.1;
			}
			elsif ($step eq 'savepoint') { $do->($session, 'SAVEPOINT a'); $state->{savepoints}++; $checked = 0 }
			elsif ($step eq 'back') { $do->($session, 'ROLLBACK TO a') }
			elsif ($step eq 'release') { $do->($session, 'RELEASE a'); $state->{savepoints}--; $checked = 0.3 }
			elsif ($step eq 'fold') { $do->($session, 'SELECT kpi.fold()') }
			elsif ($step eq 'rebuild') { $do->($session, 'SELECT kpi.rebuild()') }
			elsif ($step eq 'commit') { $leave->($session, 'COMMIT') }
			elsif ($step eq 'rollback') { $leave->($session, 'ROLLBACK') }
			elsif ($step eq 'prepare')
			{
				my $gid = "$place->{name} $seed " . $world->id;
				push @prepared, $gid if $do->($session, "PREPARE TRANSACTION '$gid'");
				$state{$session} = {};
			}
			elsif ($step eq 'prepared')
			{
				my $gid = shift @prepared;
				$do->($session, (KpiWorld::chance(0.75) ? 'COMMIT' : 'ROLLBACK') . " PREPARED '$gid'");
			}
			else
			{
				$do->($session, KpiWorld::chance(0.5)
					? 'SET kpi_cascade.fold_mode = ' . KpiWorld::one_of('commit', 'manual')
					: 'SET kpi_cascade.fold_after = ' . KpiWorld::one_of(0, 3, 32));
				$checked = 0;
			}
			$checked *= 0.5 if $world->{size} eq 'days';
			if (KpiWorld::chance($checked))
			{
				# mostly by who did it, else by whoever can
				my @able = grep { !$state{$_}{failed} } 1 .. $sessions;
				$check->(!$state{$session}{failed} && KpiWorld::chance(0.6) || !@able ? $session : KpiWorld::one_of(@able));
			}
		}
		for my $session (1 .. $sessions)
		{
			$leave->($session, KpiWorld::chance(0.8) ? 'COMMIT' : 'ROLLBACK') if $state{$session}{transaction};
		}
		$do->(1, (KpiWorld::chance(0.75) ? 'COMMIT' : 'ROLLBACK') . " PREPARED '$_'") for @prepared;
		$check->($sessions);
		$count{checks}++;
		$do->(1, $repair);
		# away with all of it, as a user may do it too
		$do->(1, 'BEGIN') if KpiWorld::chance(0.5);
		$do->(1, KpiWorld::chance(0.1) ? 'TRUNCATE kpi.fact' : 'DELETE FROM kpi.fact');
		$do->(1, "DELETE FROM kpi.$_") for (KpiWorld::chance(0.5) ? qw(target link kpi) : ()), qw(unit measure);
		$do->(1, 'COMMIT');
		$check->(1);
		$do->(1, $repair);
		my @left = $place->session(1)->run('SELECT * FROM kpi.cell');
		$failure = { what => 'cells left', lines => \@left } if @left;
	};
	die $@ if $@ && !$failure;
	return unless $failure;
	$failure->{log} = $log;
	$failure->{seed} = $seed;
	return $failure;
}

# ---------------------------------------------------------------- shortening

# The log as one session can run it: transactions one after the other, in the
# order in which they ended, that of the last statement last.
sub one_after_the_other
{
	my @log = @_;
	my (%open, @script, %settings, %set);
	my $last = $log[-1]{session};
	my $emit = sub {
		my ($session, @statements) = @_;
		for my $setting (sort keys %{ $settings{$session} })
		{
			my $value = $settings{$session}{$setting};
			push @script, { session => 1, sql => "SET $setting = $value" } if ($set{$setting} // '') ne $value;
			$set{$setting} = $value;
		}
		push @script, map { { %$_, session => 1 } } @statements;
	};
	for my $statement (@log)
	{
		my $session = $statement->{session};
		if ($statement->{sql} =~ /^SET (\S+) = (\S+)/) { $settings{$session}{$1} = $2; next }
		if ($open{$session} || $statement->{sql} =~ /^BEGIN/)
		{
			push @{ $open{$session} }, $statement;
			next unless $statement->{sql} =~ /^(?:COMMIT|ROLLBACK$|PREPARE TRANSACTION)/;
			$emit->($session, @{ delete $open{$session} });
		}
		else { $emit->($session, $statement) }
	}
	for my $session (sort { ($a == $last) <=> ($b == $last) || $a <=> $b } keys %open)
	{
		$emit->($session, @{ $open{$session} }, $session == $last ? () : { sql => 'ROLLBACK' });
	}
	return @script;
}

# one row a statement, within the same transactions
sub single_rows
{
	my %inside;
	return map {
		my $statement = $_;
		my $session = $statement->{session};
		$inside{$session} = 1 if $statement->{sql} =~ /^BEGIN/;
		$inside{$session} = 0 if $statement->{sql} =~ /^(?:COMMIT|ROLLBACK$|PREPARE TRANSACTION)/;
		my @rows = @{ $statement->{rows} || [] };
		my @single = @rows > 1 ? (map { { %$statement, rows => [$_] } } @rows) : $statement;
		@single = ({ session => $session, sql => 'BEGIN' }, @single, { session => $session, sql => 'COMMIT' })
		  if @rows > 1 && !$inside{$session};
		@single
	} @_;
}

# the last one is what finds the difference
sub without_checks
{
	my $last = pop;
	return ((grep { $_->{sql} ne $verify && $_->{sql} ne $repair } @_), $last);
}

# Runs a script in a fresh database: the lines of what is wrong, where it is
# what was wrong before, and how many statements it took.
sub reproduces
{
	my ($name, $what, @script) = @_;
	my $place = Place->new($name);
	my $taken = 0;
	my @found;
	for my $statement (@script)
	{
		$taken++;
		my ($wrong, @lines) = run_in($place, $statement->{session}, statement_text($statement));
		next unless defined $wrong;
		@found = @lines if $wrong eq $what;
		last;
	}
	$place->drop;
	return @found ? ($taken, @found) : ();
}

sub shorten
{
	my ($name, $failure, @before) = @_;
	my $what = $failure->{what};
	my @log = @{ $failure->{log} };
	my @lines;
	my @script;
	my $until = time + $seconds_to_shorten;
	my @one = one_after_the_other(@log);
	# the fewest first: what needs no more is easiest to read
	for my $candidate ([ single_rows(without_checks(@one)) ], [ without_checks(@one) ], [ single_rows(@one) ], \@one, \@log,
		[ map { @$_ } @before, \@log ])
	{
		my ($taken, @found) = reproduces($name, $what, @$candidate) or next;
		@script = @$candidate[ 0 .. $taken - 1 ];
		@lines = @found;
		last;
	}
	return (\@log, ["it did not show again in a fresh database; this is what was done:", @{ $failure->{lines} }]) unless @script;

	# ever smaller parts are left out where it still shows
	my $tried = 0;
	for (my $size = int(@script / 2) || 1;; $size = int($size / 2) || 1)
	{
		my $dropped = 0;
		for (my $at = @script - $size; $at > -$size && time < $until; $at -= $size)
		{
			my $from = $at < 0 ? 0 : $at;
			my $to = $at + $size - 1;
			my @rest = @script[ grep { $_ < $from || $_ > $to } 0 .. $#script ];
			next unless @rest;
			$tried++;
			my ($taken, @found) = reproduces($name, $what, @rest) or next;
			@script = @rest[ 0 .. $taken - 1 ];
			@lines = @found;
			$dropped = 1;
			$at = @script if $at > @script;
		}
		last if time >= $until || $size == 1 && !$dropped;
	}
	return (\@script, ["after $tried attempts", @lines]);
}

sub report
{
	my ($failure, $script, $lines) = @_;
	my %sessions = map { $_->{session} => 1 } @$script;
	my $current = 0;
	my $text = "seed $failure->{seed}: $failure->{what}\n-- a minimal script, for a database with the extension:\n";
	for my $statement (@$script)
	{
		$text .= '-- session ' . ($current = $statement->{session}) . "\n" if keys %sessions > 1 && $statement->{session} != $current;
		$text .= statement_text($statement) . ";\n";
	}
	$text .= '--> ' . join("\n    ", @$lines[ 0 .. ($#$lines > 25 ? 25 : $#$lines) ]) . "\n";
	return $text;
}

# ---------------------------------------------------------------- all worlds

sub work
{
	my ($job, $file) = @_;
	my ($place, @before);
	my $databases = 0;
	my $done = 0;
	my $text = '';
	for (my $seed = $first + $job; $seed < $first + $worlds; $seed += $jobs)
	{
		if (!$place || @before >= $worlds_per_database)
		{
			$place->drop if $place;
			$place = Place->new("worlds_$job");
			@before = ();
		}
		my @log;
		my $failure = run_world($place, $seed, \@log);
		$done++;
		if ($failure)
		{
			$place->drop;
			$place = undef;
			$text = report($failure, shorten("again_$job", $failure, @before)) . "-- found after $done worlds\n";
			last;
		}
		push @before, \@log;
	}
	$place->drop if $place;
	open my $fh, '>', $file or die "could not write $file: $!\n";
	print $fh join(' ', 'done', $done, map { (s/ /_/gr, $count{$_}) } sort keys %count), "\n$text";
	close $fh or die "could not write $file: $!\n";
}

my $began = time;
my %job;
for my $job (0 .. $jobs - 1)
{
	my $pid = fork;
	die "could not fork: $!\n" unless defined $pid;
	if (!$pid)
	{
		# the server is the parent's to stop
		my $ok = eval { work($job, $node->basedir . "/job_$job"); 1 };
		print STDERR "job $job: $@" unless $ok;
		POSIX::_exit($ok ? 0 : 1);
	}
	$job{$job} = $pid;
}
my %all;
for my $job (sort { $a <=> $b } keys %job)
{
	waitpid $job{$job}, 0;
	my $status = $?;
	my $said = eval { slurp_file($node->basedir . "/job_$job") } // '';
	my $counts = $said =~ s/^(done .*)\n// ? $1 : '';
	my %counts = split / /, $counts;
	$all{$_} += $counts{$_} for keys %counts;
	is($status, 0, "job $job went through");
	is($said, '', "job $job: " . ($counts{done} // 0) . ' worlds without a difference');
}
$all{$_} //= 0 for qw(done statements checks refused);
note(sprintf '%d worlds, %d statements, %d comparisons, %d statements refused, in %d s', @all{qw(done statements checks refused)}, time - $began);
note(join ', ', map { /^refused_(.*)/ ? "$1: $all{$_}" : () } sort keys %all);
cmp_ok($all{refused}, '<', 0.3 * $all{statements}, 'most statements were accepted') if $all{done} > 10;

$node->stop;
done_testing();
