# Changes of status as an application hears of them: which folds notify, and
# which must not; and a client of libpq (test/client/status_listener.c) that
# listens while others write in every mode, and in the end has read each change
# exactly once, in order, and no other.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Session;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = PostgreSQL::Test::Cluster->new('notify');
$node->init;
# what nobody waits for stays off the disk for long
$node->append_conf('postgresql.conf', "max_prepared_transactions = 20\njit = off\nwal_writer_delay = 10s");
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE boss LOGIN; CREATE DATABASE figures OWNER boss');

sub sql { return $node->safe_psql('figures', $_[0]) }

# as the owner of the database, who is no superuser
sub boss
{
	my ($rc, $out, $err) = $node->psql('figures', $_[0], extra_params => [ '-U', 'boss' ]);
	is("$rc $err", '0 ', "the owner: $_[0]");
	return $out;
}

# acme has 100 of KPI 2 and 100 of KPI 3, and a target of 200; each of these has one of 100
boss('CREATE EXTENSION kpi_cascade');
sql(q{
INSERT INTO kpi.unit (unit_id, path) VALUES (1, 'acme'), (2, 'acme.a'), (3, 'acme.b');
INSERT INTO kpi.measure (measure_id, code, grain) VALUES (1, 'revenue', 'year');
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) VALUES (1, 1, 1), (2, 2, 1), (3, 3, 1);
INSERT INTO kpi.target (kpi_id, period, value) VALUES (1, '2026', 200), (2, '2026', 100), (3, '2026', 100);
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (2, '2026', 100), (3, '2026', 100);
SELECT kpi.fold();
});

# ---------------------------------------------------------------- who notifies

my $listener = Session->new($node, 'figures');
$listener->query('LISTEN kpi_status');

# what the listener has been told since it was asked last
sub told { return join ' ', $listener->query('SELECT 1') =~ /"kpi_status" with payload "(\d+)"/g }

my $last = 'SELECT max(status_change_id) FROM kpi.status_change';
my $on = 'SET kpi_cascade.fold_mode = manual; SET kpi_cascade.notify = on;';

# KPI 2 on track, and off track
my $good = 'UPDATE kpi.fact SET value = 100 WHERE kpi_id = 2;';
my $bad = 'UPDATE kpi.fact SET value = 10 WHERE kpi_id = 2;';
my $fold = 'SELECT kpi.fold();';

is(sql('SELECT count(*) FROM kpi.status_change'), 3, 'three KPIs have a status');
sql("SET kpi_cascade.fold_mode = manual; $bad $fold");
is(sql('SELECT count(*) FROM kpi.status_change'), 5, 'two of them another one');
is(told(), '', 'and nobody is told, unless it is wanted');

# from here on what is told is the greatest id there is, or nothing
sub tells { my ($statement, $what) = @_; sql("$on $statement"); is(told(), sql($last), $what) }
sub is_silent { my ($statement, $what) = @_; sql("$on $statement"); is(told(), '', $what) }

tells("$good $fold", 'kpi.fold() that finds a change tells its id');
is_silent("UPDATE kpi.fact SET value = 101 WHERE kpi_id = 2; $fold", 'one that finds none is silent');
tells("BEGIN; $bad $fold $good $fold $bad $fold COMMIT", 'three folds in one transaction tell one id, the last one');
is_silent("BEGIN; $good $fold ROLLBACK", 'rolled back, a fold is silent');
is_silent("BEGIN; SAVEPOINT a; $good $fold ROLLBACK TO a; COMMIT", 'rolled back to a savepoint too');
tells("BEGIN; SAVEPOINT a; $good $fold RELEASE a; COMMIT", 'a savepoint that is released tells');
tells("BEGIN; $bad $fold SAVEPOINT a; $good $fold ROLLBACK TO a; COMMIT", 'what was kept before a savepoint is told without what was rolled back to it');
tells("BEGIN; SAVEPOINT a; SAVEPOINT b; $good $fold RELEASE b; SAVEPOINT c; $bad $fold ROLLBACK TO c; SAVEPOINT d; SAVEPOINT e; RELEASE d; COMMIT", 'savepoints within savepoints');
is_silent("BEGIN; SAVEPOINT a; SAVEPOINT b; $bad $fold RELEASE b; ROLLBACK TO a; COMMIT", 'a released one inside one that is rolled back');
tells("BEGIN; SAVEPOINT a; $bad $fold ROLLBACK TO a; SAVEPOINT b; $bad $fold COMMIT", 'another try after one that was rolled back');
is_silent(q{DO $$ BEGIN UPDATE kpi.fact SET value = 100 WHERE kpi_id = 2; PERFORM kpi.fold(); RAISE EXCEPTION 'x'; EXCEPTION WHEN raise_exception THEN NULL; END $$}, 'a block that catches an error');
tells(q{DO $$ BEGIN UPDATE kpi.fact SET value = 100 WHERE kpi_id = 2; PERFORM kpi.fold(); COMMIT; UPDATE kpi.fact SET value = 10 WHERE kpi_id = 2; PERFORM kpi.fold(); ROLLBACK; END $$},
	'a procedure that commits one fold and rolls back another');
tells("BEGIN ISOLATION LEVEL SERIALIZABLE; $bad $fold COMMIT", 'at SERIALIZABLE');
tells("$good SELECT kpi.fold(1)", 'a fold in part');
tells("$bad SET kpi_cascade.notify = off; BEGIN; SET LOCAL kpi_cascade.notify = on; $fold COMMIT", 'what is set for the transaction counts');
is_silent("$good SET kpi_cascade.notify = off; $fold", 'and what is set for the session that folds');
tells("UPDATE kpi.target SET value = 1000 WHERE kpi_id = 2; SELECT kpi.rebuild()", 'kpi.rebuild() tells too');
is_silent('DELETE FROM kpi.cell; SELECT kpi.rebuild()', 'but not what has been told before');
tells("UPDATE kpi.target SET value = 100 WHERE kpi_id = 2; $fold", 'back on track');

# ---- two-phase commit ----
my $before = sql($last);
is_silent("BEGIN; $bad $fold PREPARE TRANSACTION 'one'", 'a transaction that has folded can be prepared, and is silent');
is(sql($last), $before, 'nothing is there yet');
is_silent("COMMIT PREPARED 'one'", 'its commit is silent too');
cmp_ok(sql($last), '>', $before, 'and its changes are there');
tells("$good $fold", 'the next fold tells an id that is beyond them');
$before = sql($last);
is_silent("BEGIN; SAVEPOINT a; $bad $fold RELEASE a; PREPARE TRANSACTION 'two'; ROLLBACK PREPARED 'two'", 'one that is prepared and rolled back');
is(sql($last), $before, 'leaves nothing');
is_silent("BEGIN; $bad $fold PREPARE TRANSACTION 'three'; BEGIN; UPDATE kpi.fact SET value = 100 WHERE kpi_id = 3; COMMIT; ROLLBACK PREPARED 'three'",
	'nor is it told by the next transaction of the session');

# ---- at commit ----
my $commit = 'SET kpi_cascade.fold_mode = commit; SET kpi_cascade.fold_after = 0; SELECT pg_sleep(11 * extract(epoch FROM took)) FROM kpi.fold_state;';
tells("$commit $bad", 'a fold at commit tells');
is_silent("$commit BEGIN; $good ROLLBACK", 'not where nothing is committed');
tells("$commit BEGIN; SAVEPOINT a; $good RELEASE a; COMMIT", 'after savepoints');
tells("$commit BEGIN ISOLATION LEVEL REPEATABLE READ; $bad COMMIT", 'at REPEATABLE READ');
tells("$commit BEGIN; $good SET TRANSACTION READ ONLY; COMMIT", 'in a transaction that ended read only');
is_silent("$commit BEGIN; $bad PREPARE TRANSACTION 'four'", 'PREPARE folds nothing, and tells nothing');
tells("COMMIT PREPARED 'four'; $commit UPDATE kpi.fact SET value = value + 1 WHERE kpi_id = 3", 'whoever takes its changes along tells');
tells("$commit $good", 'on track again');

# ---- a worker ----
boss('SELECT kpi.version(); ALTER DATABASE figures SET kpi_cascade.notify = on');
sql('SELECT kpi.start_worker()');
$before = sql($last);
sql("SET kpi_cascade.fold_mode = background; $bad");
$node->poll_query_until('figures', 'SELECT pending = 0 FROM kpi.status()') or die 'the worker does not fold';
cmp_ok(sql($last), '>', $before, 'a worker keeps what has changed');
# it tells when it has committed, which is before its rows are seen
is(told(), sql($last), 'and tells, as set for its database by the owner');

$listener->query('UNLISTEN *');
$listener->quit;

# ---------------------------------------------------------------- a client

my $client = $node->basedir . '/status_listener';
my %place = map { chomp(my $place = `pg_config --$_`); ($_ => $place) } qw(cc includedir libdir);
my @compile = (split(' ', $place{cc}), '-o', $client, "$FindBin::RealBin/../client/status_listener.c", "-I$place{includedir}", "-L$place{libdir}", '-lpq');
my ($messages, $compiled);
$compiled = IPC::Run::run(\@compile, '>&', \$messages);
SKIP:
{
	skip "no libpq to compile with: $messages", 1 unless -e "$place{includedir}/libpq-fe.h";
	ok($compiled, 'the client is compiled') or diag($messages);
}
if (!$compiled) { $node->stop; done_testing(); exit }

# starts one, which reads so many rows at a time and sleeps so long between readings
sub start_client
{
	my ($db, $rows, $milliseconds) = @_;
	my %client = (db => $db, out => '', err => '');
	$client{run} = IPC::Run::start([ $client, $node->connstr($db), $rows, $milliseconds ], '>', \$client{out}, '2>', \$client{err}, IPC::Run::timeout(180));
	$client{run}->pump until $client{out} =~ /^listening$/m;
	return \%client;
}

# ends it, once it has heard all there was; checks that what it read is what is there
sub finish_client
{
	my ($client, $what) = @_;
	$node->safe_psql($client->{db}, 'NOTIFY kpi_stop');
	ok($client->{run}->finish, "$what: it ends as it should") or diag($client->{err});
	my @read = map { s/^row //r } grep { /^row / } split /\n/, $client->{out};
	my @told = $client->{out} =~ /^told (\d+)$/mg;
	my @there = split /\n/, $node->safe_psql($client->{db},
		q{SELECT concat_ws(' ', status_change_id, kpi_id, period, coalesce(old_status::text, '-'), coalesce(new_status::text, '-')) FROM kpi.status_change ORDER BY status_change_id});
	is(scalar @read, scalar @there, "$what: as many rows as there are");
	is_deeply(\@read, \@there, "$what: each row once, in order");
	my ($out_of_order) = grep { $told[$_] <= $told[ $_ - 1 ] } 1 .. $#told;
	is($out_of_order, undef, "$what: it is told of ever later ones");
	# the last change of each fold
	my %ends = map { $_ => 1 } split /\n/, $node->safe_psql($client->{db}, 'SELECT max(status_change_id) FROM kpi.status_change GROUP BY fold');
	is(join(' ', grep { !$ends{$_} } @told), '', "$what: and only of the last one of a fold that is there");
	return scalar @told;
}

# a change starts where the last one of its KPI and period ended; for someone
# without a verdict, null, no_data and no_target are the same
my $broken = q{
SELECT * FROM (SELECT c.*, lag(c.new_status) OVER w AS before FROM kpi.status_change c WINDOW w AS (PARTITION BY c.kpi_id, c.period ORDER BY c.status_change_id)) c
 WHERE c.old_status IS NOT DISTINCT FROM c.new_status
    OR c.old_status IS DISTINCT FROM c.before
       AND NOT (coalesce(c.old_status, 'no_data') <= 'no_target' AND coalesce(c.before, 'no_data') <= 'no_target' AND (c.old_status IS NULL OR c.before IS NULL))};

# ---- several writers ----
# KPIs 11 to 40 of ten teams at each of three units, with a target of 100 each;
# each writer has ten of them.  130 is exceeded: only transactions and savepoints
# that are rolled back write that.  All of them add up to KPI 1: 3000 is on track.
sql(q{
TRUNCATE kpi.fact, kpi.target;
DELETE FROM kpi.kpi;
INSERT INTO kpi.unit (unit_id, path) SELECT 10 * w + n, ('acme.w' || w || '_' || n)::kpi_path FROM generate_series(1, 4) w, generate_series(0, 9) n;
UPDATE kpi.measure SET exceeded_from = 1.2;
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) SELECT unit_id, unit_id, 1 FROM kpi.unit WHERE unit_id = 1 OR unit_id >= 10;
INSERT INTO kpi.target (kpi_id, period, value) SELECT kpi_id, '2026', CASE kpi_id WHEN 1 THEN 3000 ELSE 100 END FROM kpi.kpi;
INSERT INTO kpi.fact (kpi_id, period, value) SELECT kpi_id, '2026', 100 FROM kpi.kpi WHERE kpi_id > 1;
SELECT kpi.fold();
});

my @values = (50, 90, 100);
sub any { return $_[ int rand @_ ] }
sub set { my ($writer, $value) = @_; return sprintf 'UPDATE kpi.fact SET value = %d WHERE kpi_id = %d;', $value // any(@values), 10 * $writer + int rand 10 }

# one transaction of a writer
sub transaction
{
	my ($writer, $n) = @_;
	my $change = set($writer);
	my $undone = set($writer, 130);
	my $target = 10 * $writer + int rand 10;
	my $gid = "w$writer.$n";
	return any(
		$change, $change, $change,
		"BEGIN; $change " . set($writer) . 'COMMIT;',
		"BEGIN; $change $fold COMMIT;",
		"BEGIN; $undone $fold ROLLBACK;",
		"BEGIN; $change SAVEPOINT a; $undone $fold ROLLBACK TO a; COMMIT;",
		"BEGIN; $change $fold SAVEPOINT a; $undone ROLLBACK TO a; SAVEPOINT b; $undone $fold ROLLBACK TO b; " . set($writer) . "$fold COMMIT;",
		"BEGIN; SAVEPOINT a; $change $fold RELEASE a; " . set($writer) . 'COMMIT;',
		"BEGIN; $change $fold PREPARE TRANSACTION '$gid'; COMMIT PREPARED '$gid';",
		"BEGIN; $undone $fold PREPARE TRANSACTION '$gid'; ROLLBACK PREPARED '$gid';",
		"BEGIN; $change PREPARE TRANSACTION '$gid'; COMMIT PREPARED '$gid';",
		"BEGIN; DELETE FROM kpi.target WHERE kpi_id = $target; INSERT INTO kpi.target (kpi_id, period, value) VALUES ($target, '2026', " . any(100, 111) . '); COMMIT;',
		"DELETE FROM kpi.target WHERE kpi_id = $target; $change INSERT INTO kpi.target (kpi_id, period, value) VALUES ($target, '2026', 100);",
		'SELECT kpi.fold(3);',
		$fold);
}

my $seed = $ENV{KPI_NOTIFY_SEED} || time % 1000000;
diag("KPI_NOTIFY_SEED=$seed");
srand($seed);
my @modes = ('fold_mode = commit; SET kpi_cascade.fold_after = 0', 'fold_mode = commit; SET kpi_cascade.fold_after = 5', 'fold_mode = background', 'fold_mode = manual');
my $quick = start_client('figures', 1000, 0);
my $slow = start_client('figures', 10, 20);
my @writers;
for my $writer (1 .. 4)
{
	my $script = $node->basedir . "/writer$writer.sql";
	append_to_file($script, join "\n", "SET kpi_cascade.$modes[$writer - 1];", (map { transaction($writer, $_) } 1 .. 150), '');
	my %writer = (err => '');
	$writer{run} = IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('figures'), '-f', $script ], '>', \$writer{out}, '2>', \$writer{err}, IPC::Run::timeout(180));
	push @writers, \%writer;
}
for my $writer (1 .. 4)
{
	my $finished = $writers[ $writer - 1 ]{run}->finish;
	is($writers[ $writer - 1 ]{err}, '', "writer $writer, $modes[$writer - 1], meets no error");
	ok($finished, "writer $writer");
}
sql('SELECT kpi.stop_worker()');
sql($fold);
# who was prepared last has told nothing: one change more, which KPI 1 has none of
sql("UPDATE kpi.fact SET value = CASE WHEN value >= 90 THEN 10 ELSE 100 END WHERE kpi_id = 10; $fold");

is(sql('SELECT count(*) FROM kpi.verify()'), 0, 'the figures are right');
is(sql("SELECT count(*) FROM ($broken) b"), 0, 'each change starts where the last one ended');
is(sql(q{SELECT count(*) FROM kpi.status_change WHERE kpi_id >= 10 AND 'exceeded' IN (old_status, new_status)}), 0, 'what was rolled back is not there');
is( sql(q{
SELECT count(*)
  FROM (SELECT k.kpi_id, sum(f.value) / (SELECT t.value FROM kpi.target t WHERE t.kpi_id = k.kpi_id) AS attained
          FROM kpi.kpi k JOIN kpi.fact f ON k.kpi_id IN (1, f.kpi_id) GROUP BY k.kpi_id) e
 WHERE CASE WHEN attained >= 1.2 THEN 'exceeded' WHEN attained >= 1 THEN 'on_track' WHEN attained >= 0.8 THEN 'at_risk' WHEN attained IS NOT NULL THEN 'off_track' ELSE 'no_target' END
       IS DISTINCT FROM (SELECT c.new_status::text FROM kpi.status_change c WHERE c.kpi_id = e.kpi_id AND c.period = '2026' ORDER BY c.status_change_id DESC LIMIT 1)}),
	0, 'the last change of each KPI ends at the status that facts and targets make');
cmp_ok(sql('SELECT count(*) FROM kpi.status_change'), '>', 300, 'many changes');
cmp_ok(finish_client($quick, 'a quick listener'), '>', 100, 'told many times');
finish_client($slow, 'a slow listener');

# ---------------------------------------------------------------- 10,000 changes

# 250 KPIs of their own, each changed in 40 of 1,000 rounds, ten in a round; each
# change is to another status: round i changes KPIs 10 * (i % 25) + 1 to + 10, for
# the time i / 25, to the value whose number is that time plus the KPI's.
$node->safe_psql('postgres', 'CREATE DATABASE many');
$node->safe_psql(
	'many', q{
CREATE EXTENSION kpi_cascade;
ALTER DATABASE many SET kpi_cascade.notify = on;
ALTER DATABASE many SET kpi_cascade.fold_mode = manual;
INSERT INTO kpi.measure (measure_id, code, grain, exceeded_from) VALUES (1, 'alone', 'year', 1.2);
INSERT INTO kpi.unit (unit_id, path) SELECT i, ('u' || i)::kpi_path FROM generate_series(1, 250) i;
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) SELECT unit_id, unit_id, 1 FROM kpi.unit;
INSERT INTO kpi.target (kpi_id, period, value) SELECT kpi_id, '2026', 100 FROM kpi.kpi;
SELECT kpi.fold();
CREATE TABLE plan AS
SELECT i AS round, 10 * (i % 25) + k AS kpi_id, (ARRAY[50, 90, 100, 130])[1 + (i / 25 + k) % 4] AS value
  FROM generate_series(0, 999) i, generate_series(1, 10) k;
CREATE INDEX ON plan (round);
CREATE PROCEDURE play() LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 0 .. 999 LOOP
        DELETE FROM kpi.fact f USING plan p WHERE p.round = i AND p.kpi_id = f.kpi_id;
        INSERT INTO kpi.fact (kpi_id, period, value) SELECT p.kpi_id, '2026', p.value FROM plan p WHERE p.round = i;
        PERFORM kpi.fold();
        COMMIT;
    END LOOP;
END
$$;
});
my @clients = (start_client('many', 100, 25), start_client('many', 1, 0), start_client('many', 100000, 500));
$node->safe_psql('many', 'CALL play()');
is($node->safe_psql('many', 'SELECT count(*) FROM kpi.status_change'), 10000, '10,000 changes');
# before its first a KPI has a target and no data
is( $node->safe_psql(
		'many', q{
WITH expected AS (
    SELECT round, kpi_id, CASE value WHEN 50 THEN 'off_track' WHEN 90 THEN 'at_risk' WHEN 100 THEN 'on_track' ELSE 'exceeded' END AS status FROM plan
), e AS (
    SELECT row_number() OVER (ORDER BY round, kpi_id) AS n, kpi_id, lag(status, 1, 'no_data') OVER (PARTITION BY kpi_id ORDER BY round) AS before, status FROM expected
), c AS (
    SELECT row_number() OVER (ORDER BY fold, kpi_id) AS n, row_number() OVER (ORDER BY status_change_id) AS by_id, fold, kpi_id, old_status::text AS before, new_status::text AS status FROM kpi.status_change
)
SELECT count(*) FROM e FULL JOIN c USING (n)
 WHERE (e.kpi_id, e.before, e.status) IS DISTINCT FROM (c.kpi_id, c.before, c.status) OR (n - 1) / 10 <> (c.by_id - 1) / 10}),
	0, 'those that facts and targets make, fold by fold');
is(finish_client($clients[$_], ('a slow listener of 10,000', 'one that reads row by row', 'one that sleeps for long')[$_]), 1000, 'told once for each fold') for 0 .. 2;

# ---------------------------------------------------------------- a crash

# Whoever has read an id, or was told it, would never ask for another row that
# got the same one after a crash.
sql("SET synchronous_commit = off; SET kpi_cascade.fold_mode = manual; UPDATE kpi.fact SET value = CASE WHEN value >= 90 THEN 10 ELSE 100 END WHERE kpi_id = 11; $fold");
my $read = sql($last);
$node->stop('immediate');
$node->start;
is(sql($last), $read, 'what has been read is there after a crash, though its commit did not wait');

$node->stop;
done_testing();
