# Whatever is killed, and whenever: a backend in the middle of its fold, the
# background worker, the whole server.  Afterwards every view equals the
# recomputation from the raw rows, the cells are what a rebuild would write, and
# every fact whose commit was acknowledged is there.
#
#   KPI_CRASH_ROUNDS  how often each (default 2)
#   KPI_STRESS_SEED   as in 030_stress.pl
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use KpiStress;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $rounds = $ENV{KPI_CRASH_ROUNDS} || 2;
my $seed = $ENV{KPI_STRESS_SEED} || 1 + time % 1000000;
diag("KPI_STRESS_SEED=$seed");
my $node = PostgreSQL::Test::Cluster->new('crash');
$node->init;
$node->append_conf('postgresql.conf', KpiStress::configuration() . "restart_after_crash = on\n");
$node->start;
my $stress = KpiStress->new(node => $node, seed => $seed, seconds => 600, folder => $node->basedir . '/stress', keep => 1);
$stress->set_up;
srand($seed);

sub sql { return $node->safe_psql('postgres', shift) }

# waits until a session that was there when a backend was killed is gone with all
# others, and the server is back; who was ending anyway takes nobody along
sub wait_for_restart
{
	my ($session, $what) = @_;
	my $until = time + 20;
	while (time < $until && eval { $session->run('SELECT 1'); 1 }) { sleep 0.02 }
	wait_for('SELECT NOT pg_is_in_recovery()', $what);
	return;
}

# waits until a query answers true, through the server's restarts
sub wait_for
{
	my ($query, $what, $pause) = @_;
	my $until = time + 180;
	while (time < $until)
	{
		# psql may be gone before it could be told the query
		my ($rc, $out) = eval { $node->psql('postgres', $query) };
		return 1 if defined $rc && $rc == 0 && $out eq 't';
		sleep($pause || 0.1);
	}
	die "waited too long: $what\n";
}

sub right
{
	my ($what) = @_;
	my ($promised, $kept) = $stress->recorded;
	is($kept, $promised, "$what: all of $promised acknowledged facts are there");
	is(sql('SELECT * FROM differences(); SELECT * FROM wrong'), '', "$what: every view is as recomputed");
	return;
}

# who folds: the first pid that holds the fold lock, seen within the time
sub folder_pid
{
	my ($session, $seconds) = @_;
	my $until = time + $seconds;
	while (time < $until)
	{
		my ($pid) = $session->run("SELECT pid FROM pg_locks WHERE relation = 'kpi.fold_lock'::regclass AND mode = 'ExclusiveLock' AND granted AND pid IS NOT NULL");
		return $pid if defined $pid && $pid =~ /^\d+$/;
	}
	return;
}

# ---- a backend in the middle of a fold ----
# two years of the plain organisation at once, so that there is a middle
my $bulk = q{SET kpi_cascade.fold_mode = manual;
INSERT INTO kpi.fact (kpi_id, period, value)
SELECT 900000 + k + 100 * j, p::text::kpi_period, (k * 37 + i * 11 + %d) %% 1000
  FROM generate_series(1, 15) k, generate_series(0, 1) j, kpi.generate_series('2027-01'::kpi_period, '2028-12'::kpi_period) p, generate_series(1, 8) i};
sql(sprintf $bulk, 0);
my $begun = time;
sql('SELECT kpi.fold()');
my $took = time - $begun;
my $killed = 0;
for my $round (1 .. $rounds)
{
	sql(sprintf $bulk, $round);
	sql("UPDATE kpi.measure SET score_cap = 2 - coalesce(score_cap, 1) WHERE measure_id = 900001") if $round % 2;
	my $facts = sql('SELECT count(*) FROM kpi.fact');
	my $watcher = $stress->session('');
	$watcher->run('SELECT 1');
	my $pid = fork // die "could not fork: $!\n";
	if ($pid == 0)
	{
		eval { $stress->session('-c kpi_cascade.fold_mode=manual')->run('SELECT kpi.fold()') };
		POSIX::_exit(0);
	}
	my $victim = folder_pid($watcher, 30);
	sleep rand $took;
	my $done = defined $victim && kill 'KILL', $victim;
	$killed++ if $done;
	waitpid $pid, 0;
	wait_for_restart($watcher, 'restart after a backend was killed') if $done;
	is(sql('SELECT count(*) FROM kpi.fact'), $facts, "backend killed in its fold, $round: no fact is lost");
	is(sql('SELECT * FROM differences(); SELECT * FROM wrong'), '', "backend killed in its fold, $round: every view is as recomputed");
	sql('SELECT kpi.fold()') if $round % 2;
}
cmp_ok($killed, '>=', $rounds / 2, "$killed of $rounds folding backends were killed");
sql("DELETE FROM kpi.fact WHERE period >= '2027-01' AND period <= '2028-12' AND kpi_id > 900000");
sql('SELECT kpi.fold()');

# ---- the same, the worker and the whole server under load ----
sub load
{
	$stress->start(recorder => 1, '-c kpi_cascade.fold_after=0');
	$stress->start(recorder => 1, '-c kpi_cascade.fold_mode=background');
	$stress->start(writer   => 1, '-c kpi_cascade.fold_after=3', 0.2);
	$stress->start(writer   => 1, '-c kpi_cascade.fold_mode=manual', 0.2);
	$stress->start(nester   => 1);
	$stress->start(folder   => 1, 0.05);
	$stress->start(checker  => 1, 'wrong', 'REPEATABLE READ', 2, 0.05);
	return;
}

# kills postmaster and all its children at once
sub kill_server
{
	my $postmaster = (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];
	my @children = grep { defined && /^\d+$/ } map {
		open my $stat, '<', $_ or ();
		my $line = $stat ? <$stat> // '' : '';
		$line =~ /^(\d+) \(.*\) \S (\d+)/ && $2 == $postmaster ? $1 : ();
	} glob '/proc/[0-9]*/stat';
	$node->kill9;
	kill 'KILL', @children;
	# the next start waits until the kernel has let go of them all
	for (1 .. 100)
	{
		last unless grep { kill 0, $_ } $postmaster, @children;
		sleep 0.1;
	}
	return scalar @children;
}

load();
my $session;
$killed = 0;
for my $round (1 .. $rounds)
{
	sleep 1 + rand 1;
	$session = $stress->session('');
	my $victim = folder_pid($session, 20);
	sleep rand 0.003;
	my $done = defined $victim && kill 'KILL', $victim;
	$killed++ if $done;
	wait_for_restart($session, 'restart after a folder was killed') if $done;
	undef $session;
	right("folder killed under load, $round");
}
cmp_ok($killed, '>=', $rounds / 2, "$killed of $rounds folders were killed under load");

SKIP:
{
	skip 'there is no worker', 1 unless $stress->{worker};
	my $worker = q{SELECT pid FROM (SELECT kpi.worker_pid() AS pid) w WHERE pid IS NOT NULL};
	for my $round (1 .. $rounds)
	{
		sql('SELECT kpi.start_worker()') unless sql($worker);
		wait_for("SELECT EXISTS ($worker)", 'the worker is there');
		sleep 0.5 + rand 1;
		# when it folds, or else whenever
		$session = $stress->session('');
		my ($pid) = $session->run($worker);
		for (1 .. 400)
		{
			my ($at_it) = $session->run("SELECT count(*) FROM pg_locks WHERE relation = 'kpi.fold_lock'::regclass AND granted AND pid = $pid");
			last if $at_it;
			sleep 0.002;
		}
		ok(kill('KILL', $pid), "worker killed, $round");
		wait_for_restart($session, 'restart after the worker was killed');
		undef $session;
		right("worker killed, $round");
	}
}

for my $round (1 .. $rounds)
{
	sleep 1 + rand 1;
	$session = $stress->session('');
	folder_pid($session, 20);
	sleep rand 0.003;
	my $children = kill_server();
	undef $session;
	cmp_ok($children, '>', 5, "server killed, $round: the postmaster and $children children");
	my $started;
	for (1 .. 30) { last if $started = $node->start(fail_ok => 1); sleep 1 }
	ok($started, "server killed, $round: it starts again");
	wait_for('SELECT NOT pg_is_in_recovery()', 'recovery');
	right("server killed, $round");
}
$stress->stop;
my $count = $stress->finish;
my @caught = $stress->caught;
is(scalar @caught, 0, 'no figure was wrong between the crashes') or diag(join "\n", @caught[ 0 .. ($#caught < 9 ? $#caught : 9) ]);
diag(join ', ', map { "$_ " . ($count->{$_} || 0) } 'comparisons wrong', 'comparisons wrong_root', 'recorded', 'commits', 'folds', 'partial folds', 'prepared', 'gone');
cmp_ok($count->{recorded} || 0, '>=', 20 * $rounds, 'facts were recorded') or diag(explain($count));
cmp_ok($count->{folds} || 0, '>=', 2 * $rounds, 'folds ran');
cmp_ok($count->{'comparisons wrong'} || 0, '>=', 2 * $rounds, 'and figures were compared');

right('at the end');
for my $gid (split /\n/, sql('SELECT gid FROM pg_prepared_xacts ORDER BY gid'))
{
	sql((int rand 2 ? 'COMMIT' : 'ROLLBACK') . " PREPARED '$gid'");
}
right('with transactions ended that were prepared before crashes');
sql('SELECT kpi.fold()');
is(sql('SELECT * FROM kpi.verify()'), '', 'nothing for kpi.verify() to find');
is(sql('SELECT kpi.rebuild()'), 0, 'and nothing for a rebuild to repair');

$node->stop;
done_testing();
