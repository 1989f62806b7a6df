# Transactions beyond one session: prepared ones across folds and restarts,
# crashes with changes pending, in the middle of folds and after them, commits
# inside procedures, and standbys, which read what is pending without writing.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Session;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', "max_prepared_transactions = 10\nhot_standby_feedback = on");
$node->start;

# acme <- a, b; KPIs 1, 2, 3 are their revenue
$node->safe_psql(
	'postgres', q{
CREATE EXTENSION kpi_cascade;
INSERT INTO kpi.unit (unit_id, path) VALUES (1, 'acme'), (2, 'acme.a'), (3, 'acme.b');
INSERT INTO kpi.measure (measure_id, code) VALUES (1, 'revenue');
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) VALUES (1, 1, 1), (2, 2, 1), (3, 3, 1);
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (2, '2026-01', 100), (3, '2026-01', 200);
SELECT kpi.fold();
-- shown and summed in one statement, so under one snapshot
CREATE VIEW figures AS
SELECT a.kpi_id, a.actual, (SELECT sum(f.value) FROM kpi.fact f WHERE a.kpi_id IN (1, f.kpi_id)) AS facts
  FROM kpi.attainment a WHERE a.period = '2026';
});

my $all = q{SELECT string_agg(concat_ws(' ', kpi_id, actual), ', ' ORDER BY kpi_id) FROM figures};

sub sql { return $node->safe_psql('postgres', shift) }

sub manual { return sql("SET kpi_cascade.fold_mode = manual; $_[0]") }

sub insert { return "INSERT INTO kpi.fact (kpi_id, period, value) VALUES ($_[0], '2026-01', $_[1]);" }

# what is shown is as given, as the facts add up to, and as recomputed
sub exact
{
	my ($expected, $what, $on) = @_;
	$on ||= $node;
	is($on->safe_psql('postgres', $all), $expected, $what);
	is( $on->safe_psql(
			'postgres', q{SELECT count(*) FROM figures WHERE actual IS DISTINCT FROM facts; SELECT count(*) FROM kpi.verify()}),
		"0\n0", "$what: as recomputed");
}

# ---- prepared transactions ----
my $folds = 'SELECT folds FROM kpi.fold_state';
my $before = sql($folds);
sql('SET kpi_cascade.fold_after = 0; BEGIN;' . insert(2, 1) . "SELECT count(*) FROM figures; PREPARE TRANSACTION 'one'");
exact('1 300, 2 100, 3 200', 'a prepared transaction is not shown');
is(sql($folds), $before, 'and PREPARE folds nothing');
is( sql('BEGIN;' . insert(2, 5) . "SELECT actual FROM figures WHERE kpi_id = 1; PREPARE TRANSACTION 'own'; SELECT actual FROM figures WHERE kpi_id = 1; ROLLBACK PREPARED 'own'"),
	"305\n300", 'the session that prepared it does not see it any more');
manual(insert(3, 10));
is(manual('SELECT kpi.fold()'), 1, 'a fold takes along only what is committed');
sql('SET kpi_cascade.fold_after = 0;' . insert(3, 20));
$node->restart;
exact('1 330, 2 100, 3 230', 'after a restart it is still not shown');
manual(insert(3, 40));
manual('SELECT kpi.fold()');
sql("COMMIT PREPARED 'one'");
exact('1 371, 2 101, 3 270', 'committed after folds and a restart');
is(manual('SELECT kpi.fold()'), 1, 'a fold finds it');
exact('1 371, 2 101, 3 270', 'and counts it once');

# Between being listed as prepared and being gone from its session, which lasts
# while it waits for a synchronous standby, a transaction is in snapshots twice.
$node->append_conf('postgresql.conf', "synchronous_standby_names = 'nobody'\nsynchronous_commit = local");
$node->reload;
my $preparing = Session->new($node);
$preparing->query('SET synchronous_commit = on; BEGIN; ' . insert(2, 3));
$preparing->{in} .= "PREPARE TRANSACTION 'twice';\n";
$preparing->{run}->pump_nb;
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'") or die 'it does not wait';
manual(insert(3, 1) . 'SELECT kpi.fold()');
is(sql('SELECT cardinality(ARRAY(SELECT pg_snapshot_xip(snap))) FROM kpi.fold_state'), 1, 'a transaction that is being prepared is in progress once');
$node->adjust_conf('postgresql.conf', 'synchronous_standby_names', "''");
$node->reload;
$preparing->query('SELECT 1');
$preparing->quit;
sql("COMMIT PREPARED 'twice'");
exact('1 375, 2 104, 3 271', 'and counts once');
sql('DELETE FROM kpi.fact WHERE value = 3; DELETE FROM kpi.fact WHERE value = 1 AND kpi_id = 3; SELECT kpi.fold()');

sql('BEGIN; SAVEPOINT a;' . insert(2, 7) . 'SAVEPOINT b; DELETE FROM kpi.fact WHERE value = 100; ROLLBACK TO b; SAVEPOINT c;' . insert(3, 8) . "PREPARE TRANSACTION 'two'");
sql('BEGIN;' . insert(2, 1000) . "PREPARE TRANSACTION 'never'");
manual(insert(2, 1) . 'SELECT kpi.fold()');
$node->stop('immediate');
$node->start;
exact('1 372, 2 102, 3 270', 'prepared with savepoints, after a crash');
sql("ROLLBACK PREPARED 'never'");
exact('1 372, 2 102, 3 270', 'one rolled back');
sql("COMMIT PREPARED 'two'");
exact('1 387, 2 109, 3 278', 'the other committed');

# One that has folded itself holds the fold lock until its end; what it wrote
# after its fold is pending then, by the own-row rule.
sql('SET kpi_cascade.fold_mode = manual; BEGIN;' . insert(2, 1) . 'SELECT kpi.fold();' . insert(2, 2) . "PREPARE TRANSACTION 'folded'");
sql('SET kpi_cascade.fold_after = 0;' . insert(3, 4));
exact('1 391, 2 109, 3 282', 'commits do not wait for a prepared fold');
$node->restart;
sql('SET kpi_cascade.fold_after = 0;' . insert(3, 4));
like(
	($node->psql('postgres', "SET lock_timeout = '100ms'; SELECT kpi.fold()"))[2],
	qr/lock timeout/, 'kpi.fold() waits for it, after a restart too');
sql("COMMIT PREPARED 'folded'");
exact('1 398, 2 112, 3 286', 'a prepared fold committed');
is(manual('SELECT kpi.fold()'), 3, 'the next fold takes along what it wrote after its own, and what the others left');
exact('1 398, 2 112, 3 286', 'and counts that once');
sql("BEGIN; SELECT kpi.set_share('acme.a', 0.5, '-infinity'); PREPARE TRANSACTION 'share'");
sql('SET kpi_cascade.fold_after = 0;' . insert(2, 2));
exact_share('1 400, 2 114, 3 286', 'a prepared change of the organisation is not shown');
sql("COMMIT PREPARED 'share'");
exact_share('1 343, 2 114, 3 286', 'and is when it is committed: 57 + 286');
sql("SELECT kpi.set_share('acme.a', 1, '-infinity')");
exact('1 400, 2 114, 3 286', 'and undone');

sub exact_share
{
	my ($expected, $what) = @_;
	is(sql($all), $expected, $what);
	is(sql('SELECT count(*) FROM kpi.verify()'), 0, "$what: as recomputed");
}

# ---- commits ----
# A fold at commit keeps a distance of ten times the last one's duration.
sub settle { sql('SELECT pg_sleep(11 * extract(epoch FROM took)) FROM kpi.fold_state') }
# a change in one month makes month, quarter, half and year dirty, of a unit and the one above
my $unfolded = 'SELECT count(*) FROM kpi.dirty()';
settle();
is(sql('SET kpi_cascade.fold_after = 0;' . insert(2, 1) . $unfolded), 0, 'fold_after = 0 folds at the commit itself');
settle();
is(sql('SET kpi_cascade.fold_after = 3;' . insert(2, 1) . "$unfolded;" . insert(2, 1) . insert(2, 1) . $unfolded), "8\n0", 'fold_after = 3 at the third change');
settle();
is(sql('SET kpi_cascade.fold_after = 0; BEGIN ISOLATION LEVEL SERIALIZABLE;' . insert(2, 1) . "COMMIT; $unfolded"), 8, 'a SERIALIZABLE commit does not fold');
settle();
is(sql('SET kpi_cascade.fold_after = 0; BEGIN ISOLATION LEVEL REPEATABLE READ;' . insert(2, 1) . "COMMIT; $unfolded"), 0, 'a REPEATABLE READ one does');
settle();
is(sql('SET kpi_cascade.fold_after = 0; BEGIN;' . insert(2, 1) . "SET TRANSACTION READ ONLY; COMMIT; $unfolded"), 0, 'so does one that ended read only');
exact('1 407, 2 121, 3 286', 'commits of all kinds');
sql(q{
SET kpi_cascade.fold_after = 0;
DO $$
BEGIN
    FOR i IN 1 .. 20 LOOP
        INSERT INTO kpi.fact (kpi_id, period, value) VALUES (2 + i % 2, '2026-01', 1);
        IF i % 5 = 0 THEN
            ROLLBACK;
        ELSE
            COMMIT;
        END IF;
        IF (SELECT count(*) FROM figures WHERE actual IS DISTINCT FROM facts) > 0 THEN
            RAISE EXCEPTION 'wrong figures in round %', i;
        END IF;
    END LOOP;
END
$$});
# 20 rounds, 5, 10, 15 and 20 undone: eight odd ones go to 3, eight even ones to 2
exact('1 423, 2 129, 3 294', 'a procedure that commits and rolls back');
is( sql('SET kpi_cascade.fold_after = 0; BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT actual FROM figures ORDER BY kpi_id;' . insert(2, 1) . 'COMMIT;' . insert(2, 1) . 'FETCH ALL FROM c'),
	"423\n129\n294", 'a cursor held over a commit that folds');
exact('1 425, 2 131, 3 294', 'and figures after it');

# A fold that fails leaves its rows pending, and the commit goes through.
settle();
sql('ALTER INDEX kpi.cell_kpi_id_idx RENAME TO elsewhere');
my ($rc, $out, $err) = $node->psql('postgres', 'SET kpi_cascade.fold_after = 0;' . insert(2, 1) . 'SELECT sum(value) FROM kpi.fact');
is("$rc $out", '0 426', 'a fold that fails does not fail the commit');
like($err, qr/WARNING:  could not fold pending changes: relation "kpi.cell_kpi_id_idx" does not exist/, 'it warns');
sql('ALTER INDEX kpi.elsewhere RENAME TO cell_kpi_id_idx');
exact('1 426, 2 132, 3 294', 'and the figures are right afterwards');

# ---- back-pressure: past max_pending a commit folds in every mode ----
sql('SELECT kpi.fold()');
my $few = 'SET kpi_cascade.fold_mode = manual; SET kpi_cascade.max_pending = 3;';
my $pending = 'SELECT pending FROM kpi.status()';
sql($few . insert(2, 1)) for 1 .. 3;
is(sql($pending), '3', 'three changes may be pending where that is the limit');
my $place = -s $node->logfile;
sql($few . insert(2, 1));
is(sql($pending), '0', 'the fourth commit folds, in mode manual');
ok($node->wait_for_log(qr/LOG:  kpi_cascade: more than 3 changes are pending \(kpi_cascade.max_pending\): folding at commit/, $place), 'and says so in the log');
exact('1 430, 2 136, 3 294', 'the figures are right');
sql('SET kpi_cascade.fold_mode = background; SET kpi_cascade.max_pending = 3;' . insert(2, 1)) for 1 .. 4;
is(sql($pending), '0', 'the same in mode background without a worker');
my $folding = Session->new($node);
$folding->query('BEGIN; LOCK TABLE kpi.fold_lock IN EXCLUSIVE MODE');
sql("SET lock_timeout = '1s';" . $few . insert(2, 1)) for 1 .. 5;
is(sql($pending), '5', 'whoever finds somebody folding commits without waiting, and nothing is lost');
$folding->query('COMMIT');
sql('SET kpi_cascade.fold_mode = manual; SET kpi_cascade.max_pending = 0;' . insert(2, -13));
is(sql($pending), '6', 'with 0 there is no limit');
exact('1 426, 2 132, 3 294', 'the figures are right again');
settle();

# ---- crashes ----
manual(insert(2, 1));
$node->stop('immediate');
$node->start;
exact('1 427, 2 133, 3 294', 'a crash with changes pending');
my $open = Session->new($node);
$open->query('SET kpi_cascade.fold_mode = manual; BEGIN; SAVEPOINT a;' . insert(2, 5000) . 'SELECT kpi.fold();' . insert(3, 6000));
my $waiting = Session->new($node);
$waiting->query('BEGIN;' . insert(3, 7000));
sql('SET kpi_cascade.fold_after = 0;' . insert(3, 1));
$node->stop('immediate');
$_->drop for $open, $waiting;
$node->start;
exact('1 428, 2 133, 3 295', 'a crash in the middle of a fold');
cmp_ok(manual('SELECT kpi.fold()'), '>=', 2, 'the next fold takes along what was committed before');
exact('1 428, 2 133, 3 295', 'and counts it once');
sql('SET kpi_cascade.fold_after = 0;' . insert(2, 1) . insert(3, 1) . 'SET synchronous_commit = off; DELETE FROM kpi.fact WHERE value = 40');
$node->stop('immediate');
$node->start;
is(sql('SELECT count(*) FROM figures WHERE actual IS DISTINCT FROM facts; SELECT count(*) FROM kpi.verify()'), "0\n0", 'a crash soon after an asynchronous commit that folded');
sql('DELETE FROM kpi.fact WHERE value = 40');
exact('1 390, 2 134, 3 256', 'writing goes on');

# ---- more subtransactions than a snapshot lists ----
# Sessions come before and after the one that has too many, so that a snapshot
# has listed some when it meets that one.
my @few = map { Session->new($node) } 1 .. 2;
my $many = Session->new($node);
push @few, Session->new($node);
$_->query('SET kpi_cascade.fold_mode = manual; BEGIN; SAVEPOINT a;' . insert(3, 1000)) for @few;
$many->query(join(' ', 'SET kpi_cascade.fold_mode = manual; BEGIN;', map { "SAVEPOINT s$_; " . insert(2, 1000) } 1 .. 100));
exact('1 390, 2 134, 3 256', 'many subtransactions running');
is($many->query($all), '1 100390, 2 100134, 3 256', 'and for the session that has them');
manual(insert(3, 1) . 'SELECT kpi.fold()');
exact('1 391, 2 134, 3 257', 'a fold under a snapshot that does not list them');
$many->query('ROLLBACK TO s2; COMMIT');
$few[0]->query('COMMIT');
exact('1 2391, 2 1134, 3 1257', 'one of them and one of the others committed');
manual('SELECT kpi.fold()');
exact('1 2391, 2 1134, 3 1257', 'and folded');
$_->query('ROLLBACK') for @few[ 1, 2 ];
$_->quit for $many, @few;
sql('DELETE FROM kpi.fact WHERE value = 1000; DELETE FROM kpi.fact WHERE fact_id = (SELECT max(fact_id) FROM kpi.fact WHERE kpi_id = 3 AND value = 1)');
exact('1 390, 2 134, 3 256', 'and taken back');

# ---- a standby ----
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;

sub caught_up { $node->wait_for_catchup($standby, 'replay', $node->lsn('write')) }

manual(insert(2, 1) . 'DELETE FROM kpi.fact WHERE value = 200;' . insert(3, 2));
caught_up();
exact('1 193, 2 135, 3 58', 'a standby shows what is pending', $standby);
like(
	($standby->psql('postgres', 'SELECT kpi.fold()'))[2],
	qr/cannot execute kpi\.fold\(\) in a read-only transaction/, 'and cannot fold');
my $reader = Session->new($standby);
is($reader->query("BEGIN ISOLATION LEVEL REPEATABLE READ; $all"), '1 193, 2 135, 3 58', 'a transaction on the standby');
# a snapshot of a standby with more subtransactions than it keeps track of
$open = Session->new($node);
$open->query(join(' ', 'SET kpi_cascade.fold_mode = manual; BEGIN;', map { "SAVEPOINT s$_; " . insert(2, 10) } 1 .. 100));
manual(insert(3, 1));
caught_up();
exact('1 194, 2 135, 3 59', 'many subtransactions running on the primary', $standby);
manual('SELECT kpi.fold()');
manual(insert(3, 1));
caught_up();
exact('1 195, 2 135, 3 60', 'a fold of the primary meanwhile', $standby);
$open->query('ROLLBACK TO s51; COMMIT');
$open->quit;
caught_up();
exact('1 695, 2 635, 3 60', '50 of them committed', $standby);
sql("SET kpi_cascade.fold_after = 0; SELECT kpi.set_share('acme.a', 0.5, '-infinity')");
manual('SELECT kpi.fold()');
sql('VACUUM kpi.pending, kpi.cell, kpi.fold_state');
caught_up();
is($standby->safe_psql('postgres', "$all; SELECT count(*) FROM kpi.verify()"), "1 377.5, 2 635, 3 60\n0", 'a changed share on the standby: 317.5 + 60');
is($reader->query($all), '1 193, 2 135, 3 58', 'its older transaction still shows what it showed, after folds and purges');
$reader->query('COMMIT');
is($reader->query($all), '1 377.5, 2 635, 3 60', 'its next one what is there now');
$reader->quit;
sql("SELECT kpi.set_share('acme.a', 1, '-infinity')");
sql('BEGIN;' . insert(2, 6) . "PREPARE TRANSACTION 'three'");
manual(insert(3, 1));
caught_up();
exact('1 696, 2 635, 3 61', 'a prepared transaction on the standby', $standby);
$node->stop;
$standby->promote;
$node = $standby;
manual('SELECT kpi.fold()');
exact('1 696, 2 635, 3 61', 'promoted and folded');
sql("COMMIT PREPARED 'three'");
sql('SET kpi_cascade.fold_after = 0;' . insert(3, 1));
exact('1 703, 2 641, 3 62', 'a prepared transaction of the old primary committed on the new one');

$node->stop;
done_testing();
