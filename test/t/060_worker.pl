# The background worker: started by the server for listed databases or by
# kpi.start_worker(), folding soon after commits, coming and going with the
# configuration, with its database and with the extension, and in nobody's way.
# Figures are compared with plain sums and with the recomputation throughout.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Session;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
# a quiet server, so that what the worker does can be seen
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'kpi_cascade'
kpi_cascade.databases = 'a, "B b", nowhere'
kpi_cascade.fold_mode = background
restart_after_crash = on
autovacuum = off
max_worker_processes = 12
max_connections = 30
});
$node->start;

sub sql { my ($db, $sql, $on) = @_; return ($on || $node)->safe_psql($db, $sql) }

# acme <- a, b; KPIs 1, 2, 3 are their revenue
sub install
{
	my ($db, $on) = @_;
	sql($db, q{
CREATE EXTENSION kpi_cascade;
INSERT INTO kpi.unit (unit_id, path) VALUES (1, 'acme'), (2, 'acme.a'), (3, 'acme.b');
INSERT INTO kpi.measure (measure_id, code) VALUES (1, 'revenue');
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) VALUES (1, 1, 1), (2, 2, 1), (3, 3, 1);
}, $on);
}

sub insert { return "INSERT INTO kpi.fact (kpi_id, period, value) VALUES ($_[0], '2026-01', $_[1]);" }

sub actual { my ($db, $on) = @_; return sql($db, q{SELECT actual FROM kpi.attainment WHERE kpi_id = 1 AND period = '2026'}, $on) }

sub verified { my ($db, $what, $on) = @_; is(sql($db, 'SELECT count(*) FROM kpi.verify()', $on), 0, "$what: as recomputed") }

sub becomes { my ($db, $query, $what, $on) = @_; ok(($on || $node)->poll_query_until($db, $query), $what) }

sub drained { my ($db, $what, $on) = @_; becomes($db, 'SELECT pending = 0 FROM kpi.status()', $what, $on) }

sub worker { my ($db, $on) = @_; return sql($db, 'SELECT worker_pid FROM kpi.status()', $on) }

sub running { my ($db, $what, $on) = @_; becomes('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'kpi_cascade worker' AND datname = '$db' AND state = 'idle'", $what, $on) }

sub gone { my ($db, $what) = @_; becomes('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'kpi_cascade worker' AND datname = '$db'", $what) }

# how often the log says so, since an offset
sub logged { my ($offset, $re, $on) = @_; my $log = substr(slurp_file(($on || $node)->logfile), $offset); return scalar(() = $log =~ /$re/g) }

sub log_end { return -s $node->logfile }

sub configure { my ($name, $value) = @_; sql('postgres', "ALTER SYSTEM SET $name = $value"); sql('postgres', 'SELECT pg_reload_conf()') }

# ---- workers of the server ----
# database a has no extension yet when its worker comes; "B b" comes after the launcher
sql('postgres', 'CREATE DATABASE a');
running('a', 'a listed database gets a worker, when it is there');
becomes('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'kpi_cascade launcher'}, 'the launcher shows');
is(logged(0, 'no worker in database "nowhere"'), 1, 'a database that does not exist is logged');
is(logged(0, 'nothing to do in database "a"'), 1, 'one without the extension too');
install('a');
sql('postgres', 'CREATE DATABASE "B b"');
install('B b');
drained('a', 'its worker finds the extension');
running('B b', 'so does the other, with a name in quotes');
drained('B b', 'and folds');

my $begun = time;
sql('a', insert(2, 100) . insert(3, 200));
is(actual('a'), 300, 'a read before the worker folds');
drained('a', 'the worker folds');
cmp_ok(time - $begun, '<', 10, 'soon');
is(actual('a'), 300, 'a read after it');
verified('a', 'folded');
like(sql('a', q{SELECT last_fold > now() - interval '1 minute', last_fold_took > interval '0', folds > 0, cells_evaluated > 0, cells_written > 0, folds_per_second > 0, cells_per_second > 0 FROM kpi.status()}), qr/^t(\|t){6}$/, 'kpi.status() tells of folds');
is(sql('a', q{SELECT fold_mode, worker_pid = pid, worker_state = 'idle' OR state = 'active', s.hint IS NULL FROM kpi.status() s, pg_stat_activity WHERE datname = 'a' AND backend_type = 'kpi_cascade worker' AND application_name = 'kpi_cascade worker'}),
	'background|t|t|t', 'and of the worker, which pg_stat_activity shows');

# a trickle: several folds a second, each of little
my $folds = sql('a', 'SELECT folds FROM kpi.status()');
my $trickle = Session->new($node, 'a');
for (1 .. 30) { $trickle->query(insert(2, 1)); sleep 0.1 }
cmp_ok(sql('a', 'SELECT folds FROM kpi.status()') - $folds, '>=', 4, 'several folds in three seconds');
is(actual('a'), 330, 'and nothing lost');

# ---- quiet ----
my ($xids, $bytes) = (1, 1);
for (1 .. 5)
{
	my $state = q{SELECT pg_snapshot_xmax(pg_current_snapshot()), pg_current_wal_insert_lsn() - '0/0'};
	drained('a', 'nothing is pending');
	my @before = split /\|/, sql('a', $state);
	sleep 3;
	my @after = split /\|/, sql('a', $state);
	($xids, $bytes) = ($after[0] - $before[0], $after[1] - $before[1]);
	# a checkpoint, or running transactions logged for standbys, may come between
	last if $bytes == 0;
}
is("$xids $bytes", '0 0', 'an idle worker takes no transaction ids and writes no WAL');

# ---- settings ----
configure('kpi_cascade.naptime', q{'1h'});
sleep 1;
sql('a', insert(2, 1));
sleep 2.5;
cmp_ok(sql('a', 'SELECT pending FROM kpi.status()'), '>', 0, 'a longer nap after a reload');
is(actual('a'), 331, 'exact meanwhile');
sleep 1;
cmp_ok(sql('a', 'SELECT pending FROM kpi.status()'), '>', 0, 'a reader who meets few changes lets the worker sleep');
my $many = q{DO $$ BEGIN FOR i IN 1 .. 2100 LOOP INSERT INTO kpi.fact (kpi_id, period, value) VALUES (2, '2026-01', 2 * (i % 2) - 1); END LOOP; END $$};
sql('a', $many);
cmp_ok(sql('a', 'SELECT pending FROM kpi.status()'), '>', 2100, 'whoever leaves many does so, too');
is(actual('a'), 331, 'a reader who meets many');
drained('a', 'wakes it');
sql('a', insert(2, 0));
configure('kpi_cascade.naptime', q{'50ms'});
drained('a', 'a shorter one wakes it');
like(($node->psql('postgres', q{ALTER SYSTEM SET kpi_cascade.databases = '"a'}))[2], qr/invalid value.*List syntax is invalid/s, 'a list that cannot be read is refused');

# modes change at run time, and mix
my $offset = log_end();
configure('kpi_cascade.fold_mode', 'manual');
becomes('a', q{SELECT setting = 'manual' FROM pg_settings WHERE name = 'kpi_cascade.fold_mode'}, 'mode manual');
ok($node->wait_for_log(qr/does not fold in database "a"\n.*fold_mode is manual/, $offset), 'the worker leaves it to users');
sql('a', insert(3, 4));
sleep 1.5;
is(sql('a', 'SELECT pending FROM kpi.status(); SELECT kpi.fold()'), "1\n1", 'then only kpi.fold() folds');
configure('kpi_cascade.fold_mode', 'background');
sql('a', insert(3, 5));
drained('a', 'and the worker does in mode background again');
$_->query('SELECT kpi.version()') for my @mixed = map { Session->new($node, 'a') } 1 .. 3;
$mixed[0]->query('SET kpi_cascade.fold_mode = commit; SET kpi_cascade.fold_after = 0');
$mixed[1]->query('SET kpi_cascade.fold_mode = background');
$mixed[2]->query('SET kpi_cascade.fold_mode = manual');
for my $round (1 .. 10)
{
	$_->query(insert(2, 1)) for @mixed;
	$mixed[$round % 3]->query("BEGIN; SELECT kpi.fold(); " . insert(3, 1) . 'COMMIT');
}
# 331 + 4 + 5 + 10 rounds of 3 + 1
is(actual('a'), 380, 'sessions of all modes beside the worker');
drained('a', 'all of it is folded');
is(actual('a'), 380, 'and still there');
verified('a', 'mixed modes');

# settings stored for the database do not concern the worker
sql('postgres', q{ALTER DATABASE a SET default_transaction_isolation = serializable; ALTER DATABASE a SET default_transaction_read_only = on; ALTER DATABASE a SET search_path = nowhere});
sql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'kpi_cascade worker' AND datname = 'a'});
ok($node->wait_for_log(qr/starts another worker in database "a" in 5 s/, $offset), 'a terminated worker is missed');
running('a', 'and started again');
$mixed[1]->query(insert(2, 1));
drained('a', 'it folds whatever the settings of the database');
sql('postgres', q{ALTER DATABASE a RESET ALL});

# the launcher is restarted and finds the workers that are there
my $worker = worker('a');
sql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'kpi_cascade launcher'});
$offset = log_end();
ok($node->wait_for_log(qr/kpi_cascade launcher started/, $offset), 'the launcher is restarted');
is(worker('a'), $worker, 'workers stay');
is(logged($offset, 'kpi_cascade worker (started|stopped)'), 0, 'and no other is started');

# ---- the list changes ----
sql('postgres', 'CREATE DATABASE c');
install('c');
is(sql('c', 'SELECT worker_state, hint ~ $$^No worker$$ FROM kpi.status()'), 'not running|t', 'a database that is not listed');
is(sql('c', insert(2, 7) . 'SELECT pending > 0 FROM kpi.status()'), 't', 'its changes stay pending');
is(actual('c'), 7, 'and are shown');
is(sql('c', q{SELECT oldest_pending BETWEEN now() - interval '1 minute' AND now(), oldest_pending_age > interval '0' FROM kpi.status()}), 't|t', 'kpi.status() knows since when');
configure('kpi_cascade.databases', q{'c, a, a, nowhere'});
drained('c', 'listed by a reload, it is folded');
gone('B b', 'one no longer listed has no worker any more');
is(worker('a'), $worker, 'the others keep theirs');
is(logged(0, 'stopped in database "B b"\n.*is not listed in kpi_cascade.databases any more'), 1, 'the log says so');
is(sql('c', 'SELECT kpi.start_worker() = worker_pid FROM kpi.status()'), 't', 'kpi.start_worker() finds the worker of the server');
like(($node->psql('c', 'SELECT kpi.stop_worker()'))[2], qr/ERROR:  the kpi_cascade worker of database "c" is kept running by the server\nHINT:  Take the database out/, 'kpi.stop_worker() does not end it');

# ---- the extension comes and goes ----
for my $round (1 .. 5)
{
	sql('c', q{SET lock_timeout = '10s'; SET client_min_messages = warning; DROP EXTENSION kpi_cascade CASCADE});
	install('c');
	sql('c', insert(2, $round) x 20);
	sleep 0.1 * $round;
}
is(actual('c'), 100, 'dropped and created while the worker folds');
drained('c', 'the worker goes on');
verified('c', 'a new extension');
my $open = Session->new($node, 'c');
$open->query('BEGIN; DROP EXTENSION kpi_cascade');
sleep 1.5;
$open->query('ROLLBACK');
sql('c', insert(2, 11));
drained('c', 'DROP EXTENSION rolled back');
for my $table (qw(cell pending fold_state status_change))
{
	sql('c', insert(2, 0));
	$open->query("BEGIN; LOCK TABLE kpi.$table");
	sleep 1.5;
	is($open->query(q{SELECT count(*) FROM pg_locks WHERE NOT granted}), 0, "a lock on kpi.$table does not keep the worker waiting");
	$open->query('COMMIT');
}
$open->quit;
is(logged(0, 'WARNING:  kpi_cascade worker could not fold'), 0, 'none of it was a failure to the worker');

# ---- databases come and go ----
$offset = log_end();
like(($node->psql('postgres', 'DROP DATABASE c'))[2], qr/being accessed by other users/, 'a database with a worker is in use');
sql('postgres', 'DROP DATABASE c WITH (FORCE)');
ok($node->wait_for_log(qr/no worker in database "c"/, $offset), 'dropped by force, the launcher notices');

# ---- folds that fail ----
$offset = log_end();
sql('a', 'ALTER INDEX kpi.cell_kpi_id_idx RENAME TO elsewhere');
$trickle->query(insert(2, 1));
ok($node->wait_for_log(qr/WARNING:  kpi_cascade worker could not fold in database "a": relation "kpi.cell_kpi_id_idx" does not exist/, $offset), 'a fold that fails is logged');
$trickle->query(insert(2, 1));
sleep 4;
is(logged($offset, 'could not fold'), 1, 'once');
sql('a', 'ALTER INDEX kpi.elsewhere RENAME TO cell_kpi_id_idx');
drained('a', 'and tried again');
is(logged($offset, 'folds again in database "a"'), 1, 'with a line in the log');
is(actual('a'), 383, 'nothing is lost');

# readers cut the pause after a fold short, but not that after one that failed
configure('log_min_messages', 'debug1');
$offset = log_end();
sql('a', 'ALTER TABLE kpi.fold_lock RENAME TO elsewhere');
sql('a', $many);
ok($node->wait_for_log(qr/could not fold in database "a": relation "kpi.fold_lock" does not exist/, $offset), 'a fold that fails beside many changes');
for (1 .. 40) { $trickle->query(insert(2, 0) . q{SELECT actual FROM kpi.attainment WHERE kpi_id = 1 AND period = '2026'}); sleep 0.1 }
# after 1, 2, 4, ... seconds; ten of them take 17 minutes
cmp_ok(logged($offset, 'could not fold'), '<', 10, 'it is not tried again for every reader');
sql('a', 'ALTER TABLE kpi.elsewhere RENAME TO fold_lock');
configure('log_min_messages', 'DEFAULT');
drained('a', 'and goes through in the end');

# ---- the fold lock held for long, under load ----
my $script = PostgreSQL::Test::Utils::tempdir() . '/write.sql';
append_to_file($script, "\\set unit random(2, 3)\nINSERT INTO kpi.fact (kpi_id, period, value) VALUES (:unit, '2026-01', 1);\n");
my $reads = PostgreSQL::Test::Utils::tempdir() . '/read.sql';
append_to_file($reads, "SELECT actual FROM kpi.attainment WHERE kpi_id = 1 AND period = '2026';\n");
my $holder = Session->new($node, 'a');
$holder->query('BEGIN; ' . insert(2, 1) . 'SELECT kpi.fold()');
my $total = actual('a');
for my $mode (qw(commit background manual))
{
	local $ENV{PGOPTIONS} = "-c kpi_cascade.fold_mode=$mode -c kpi_cascade.fold_after=0 -c lock_timeout=100ms -c statement_timeout=5s";
	my $out = '';
	my $load = IPC::Run::start([ 'pgbench', '-n', '-c', 6, '-j', 2, '-T', 2, '-f', "$script\@5", '-f', "$reads\@1", $node->connstr('a') ],
		'>', \$out, '2>&1');
	my $waiting = 0;
	for (1 .. 15)
	{
		$waiting += $holder->query(q{SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype <> 'extend'});
		sleep 0.1;
	}
	ok($load->finish, "mode $mode: writers and readers beside a fold that does not end") or diag($out);
	unlike($out, qr/ERROR|aborted/, "mode $mode: none runs out of time");
	my ($transactions) = $out =~ /actually processed: (\d+)/;
	cmp_ok($transactions, '>', 100, "mode $mode: and they get on");
	is($waiting, 0, "mode $mode: nobody waits for a lock");
}
is($holder->query('SELECT worker_state FROM kpi.status()'), 'idle', 'the worker does not wait for the fold lock either');
$holder->query('ROLLBACK');
my $facts = sql('a', 'SELECT sum(value) FROM kpi.fact');
cmp_ok($facts, '>', $total, 'facts were written');
is(actual('a'), $facts, 'and are shown');
drained('a', 'the worker takes them when it can');
is(actual('a'), $facts, 'and they are still shown');
verified('a', 'after the load');

# ---- crashes ----
for my $round (1 .. 3)
{
	my $out  = '';
	my $load = IPC::Run::start([ 'pgbench', '-n', '-c', 4, '-T', 10, '-f', $script, $node->connstr('a') ], '>', \$out, '2>&1');
	sleep 0.5 + rand(0.5);
	my $pid = worker('a');
	kill 'KILL', $pid;
	$load->finish;
	becomes('a', "SELECT worker_pid <> $pid FROM kpi.status()", "kill -9 of the worker, $round: it comes back with the server");
	drained('a', 'and folds what was pending');
	is(actual('a'), sql('a', 'SELECT sum(value) FROM kpi.fact'), 'figures are as before');
	verified('a', "crash $round");
}

# ---- a standby ----
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('write'));
is(sql('a', 'BEGIN READ ONLY; SELECT pending >= 0, worker_state, hint FROM kpi.status()', $standby), 't|not running|This server is a standby: it shows what its primary folds.', 'kpi.status() on a standby');
like(($standby->psql('a', 'SELECT kpi.start_worker()'))[2], qr/cannot start a kpi_cascade worker on a standby/, 'which starts no worker');
$node->stop;
$standby->promote;
running('a', 'after its promotion it does', $standby);
sql('a', insert(2, 1), $standby);
drained('a', 'and folds', $standby);
verified('a', 'promoted', $standby);
$standby->stop;

# ---- workers of sessions ----
my $plain = PostgreSQL::Test::Cluster->new('plain');
$plain->init;
$plain->append_conf('postgresql.conf', q{
restart_after_crash = on
max_worker_processes = 1
max_logical_replication_workers = 0
});
$plain->start;
for my $db (qw(a b))
{
	sql('postgres', "CREATE DATABASE $db", $plain);
	install($db, $plain);
}
is(sql('a', 'SELECT kpi.stop_worker()', $plain), 'f', 'no worker to stop');
my $pid = sql('a', 'SELECT kpi.start_worker()', $plain);
like($pid, qr/^[0-9]+$/, 'kpi.start_worker() without preloading');
is(sql('a', 'SELECT kpi.start_worker(), worker_pid FROM kpi.status()', $plain), "$pid|$pid", 'starts no second one');
is(sql('a', 'SELECT count(*) FROM pg_stat_activity WHERE backend_type = $$kpi_cascade worker$$', $plain), 1, 'there is one');
sql('a', 'SELECT kpi.version(); SET kpi_cascade.fold_mode = background;' . insert(2, 5), $plain);
drained('a', 'it folds', $plain);
is(actual('a', $plain), 5, 'the right figure');
my ($rc, $out, $err) = $plain->psql('b', "\\set VERBOSITY verbose\nSELECT kpi.start_worker()");
like($err, qr/ERROR:  53400: could not start a kpi_cascade worker: no free slot.*HINT:  Increase max_worker_processes/s, 'no free slot');
is(sql('b', 'SELECT kpi.version(); SET kpi_cascade.fold_mode = background;' . insert(2, 6) . 'SELECT worker_state, hint ~ $$^No worker folds$$, pending > 0 FROM kpi.status()', $plain),
	"0.3\nnot running|t|t", 'mode background without a worker');
is(actual('b', $plain), 6, 'is exact all the same');
sql('b', 'CREATE ROLE somebody; GRANT USAGE ON SCHEMA kpi TO somebody', $plain);
for my $function (qw(start_worker stop_worker status worker_pid count_pending))
{
	like(($plain->psql('b', "SET ROLE somebody; SELECT kpi.$function()"))[2], qr/permission denied for function $function/, "$function is not for everybody");
}
is(sql('b', 'GRANT EXECUTE ON FUNCTION kpi.status() TO somebody; SET ROLE somebody; SELECT pending > 0, worker_state FROM kpi.status()', $plain), 't|not running', 'kpi.status() needs EXECUTE and nothing else');

is(sql('a', 'SELECT kpi.stop_worker()', $plain), 't', 'kpi.stop_worker()');
is(sql('a', 'SELECT count(*) FROM pg_stat_activity WHERE backend_type = $$kpi_cascade worker$$', $plain), 0, 'ends it');
like(sql('b', 'SELECT kpi.start_worker()', $plain), qr/^[0-9]+$/, 'its slot is free at once');
drained('b', 'and the other folds what was left', $plain);
# the slot stays taken by a worker that will be restarted
$pid = worker('b', $plain);
sql('b', "SELECT pg_terminate_backend($pid)", $plain);
becomes('b', "SELECT worker_pid <> $pid FROM kpi.status()", 'one that is terminated is restarted', $plain);
$pid = worker('b', $plain);
kill 'KILL', $pid;
becomes('b', "SELECT worker_pid <> $pid FROM kpi.status()", 'also after a crash', $plain);
verified('b', 'after both', $plain);
sql('b', 'DROP EXTENSION kpi_cascade', $plain);
install('b', $plain);
sql('b', insert(3, 9), $plain);
drained('b', 'it survives the extension', $plain);
$offset = -s $plain->logfile;
sql('postgres', 'DROP DATABASE b WITH (FORCE)', $plain);
becomes('a', 'SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = $$kpi_cascade worker$$', 'and ends with its database', $plain);
sleep 11;
cmp_ok(logged($offset, 'FATAL: .*does not exist', $plain), '<=', 1, 'which is not tried for ever');
like(sql('a', 'SELECT kpi.start_worker()', $plain), qr/^[0-9]+$/, 'the slot is free');
$plain->restart;
is(sql('a', 'SELECT worker_state FROM kpi.status()', $plain), 'not running', 'a restart of the server ends workers of sessions');
verified('a', 'at the end', $plain);
$plain->stop;

done_testing();
