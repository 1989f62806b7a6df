# Logical replication of the tables that users write: the subscriber shows what
# the publisher shows, after the initial copy (whose tables come in any order)
# and after changes of every kind, and what it shows is what its own rows add
# up to.  Its apply worker fires no statement triggers.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $publisher = PostgreSQL::Test::Cluster->new('publisher');
$publisher->init(allows_streaming => 'logical');
$publisher->append_conf('postgresql.conf', "max_prepared_transactions = 10\nlogical_decoding_work_mem = 64kB");
$publisher->start;
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init;
# a copy that comes before the tables it refers to fails, and is tried again
$subscriber->append_conf('postgresql.conf', "max_prepared_transactions = 10\nwal_retrieve_retry_interval = 200ms\nkpi_cascade.fold_after = 0");
$subscriber->start;

$publisher->safe_psql(
	'postgres', q{
CREATE EXTENSION kpi_cascade;
INSERT INTO kpi.unit (path, share) VALUES ('acme', 1), ('acme.a', 1), ('acme.b', 0.5), ('acme.a.x', 1), ('acme.a.y', 1), ('acme.b.z', 1);
INSERT INTO kpi.measure (code, rollup, time_rollup, rolls_up)
VALUES ('revenue', 'sum', 'pool', true), ('lowest', 'min', 'pool', true), ('staff', 'sum', 'last', true), ('per_head', 'ratio', 'pool', false);
SELECT kpi.deploy(m, 'acme') FROM unnest('{revenue,lowest,staff,per_head}'::text[]) m;
SELECT kpi.link_kpi(u, 'revenue', u, 'per_head', 'numerator'), kpi.link_kpi(u, 'staff', u, 'per_head', 'denominator')
  FROM unnest('{acme,acme.a,acme.b}'::text[]) u;
SELECT kpi.move_unit('acme.a.y', 'acme.b', '2026-03-01');
INSERT INTO kpi.fact_entry (unit, measure, period, value)
SELECT u, m, format('2026-%s', lpad(p::text, 2, '0')), (length(u) * p * 7 + length(m)) % 50
  FROM unnest('{acme.a.x,acme.b.y,acme.b.z}'::text[]) u, unnest('{revenue,lowest,staff}'::text[]) m, generate_series(1, 6) p;
INSERT INTO kpi.target_entry (unit, measure, period, value) VALUES ('acme', 'revenue', '2026', 500), ('acme.b', 'staff', '2026-Q1', 40);
CREATE PUBLICATION figures FOR TABLE kpi.level, kpi.unit, kpi.unit_history, kpi.measure, kpi.kpi, kpi.link, kpi.fact, kpi.target;
});
$subscriber->safe_psql('postgres', 'CREATE EXTENSION kpi_cascade');
my $connection = $publisher->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION figures CONNECTION '$connection' PUBLICATION figures WITH (streaming = on, two_phase = true)");
$subscriber->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_subscription_rel WHERE srsubstate NOT IN ('r', 's')})
  or die 'the initial copy does not end';

my $shown = q{SELECT a.unit, a.measure, a.period, a.actual, a.target, a.score, a.status, a.coverage, a.tally
                FROM kpi.attainment a ORDER BY a.kpi_id, a.period};

sub same
{
	my ($what) = @_;
	$publisher->wait_for_catchup('figures');
	my $expected = $publisher->safe_psql('postgres', $shown);
	is($subscriber->safe_psql('postgres', $shown), $expected, $what);
	is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM kpi.verify()'), 0, "$what: as recomputed");
	return;
}

sub publish { return $publisher->safe_psql('postgres', shift) }

# revenue of acme in January: 8 * 7 + 7 = 63 % 50 = 13 of each of x, y and z; z's is worth half
is(publish(q{SELECT actual FROM kpi.attainment WHERE unit = 'acme' AND measure = 'revenue' AND period = '2026-01'}), '32.5', 'the publisher: 13 + 13 + 13 / 2');
same('initial copy');

publish(q{INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme.a.x', 'revenue', '2026-07', 5), ('acme.a.x', 'revenue', '2026-07', 6), ('acme.b', 'lowest', '2026-01', 1)});
same('inserts');
publish(q{UPDATE kpi.fact SET value = value + 1 WHERE period = '2026-02'; UPDATE kpi.fact SET period = '2026-08' WHERE period = '2026-05'; UPDATE kpi.fact SET note = 'seen'});
same('updates of values, periods and notes');
publish(q{UPDATE kpi.fact f SET kpi_id = kpi.kpi_id('acme.a', 'revenue') WHERE kpi_id = kpi.kpi_id('acme.b.z', 'revenue') AND period = '2026-01'});
same('an update of the KPI');
publish(q{DELETE FROM kpi.fact WHERE value = 1 OR period = '2026-03'});
same('deletions, of a minimum too');
publish(q{BEGIN; INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme.a.x', 'staff', '2026-07', 5); SAVEPOINT s; DELETE FROM kpi.fact; ROLLBACK TO s; UPDATE kpi.fact SET value = 6 WHERE period = '2026-07'; COMMIT;
BEGIN; DELETE FROM kpi.fact; ROLLBACK});
same('savepoints and rollbacks');
publish(q{INSERT INTO kpi.fact (kpi_id, period, value) SELECT kpi.kpi_id('acme.a.x', 'revenue'), '2026-09', n FROM generate_series(1, 3000) n});
same('a transaction that is streamed');
publish(q{INSERT INTO kpi.target_entry (unit, measure, period, value) VALUES ('acme.a', 'revenue', '2026-01', 10); UPDATE kpi.target SET value = 600 WHERE value = 500; DELETE FROM kpi.target WHERE value = 40});
same('targets');
publish(q{SELECT kpi.move_unit('acme.a.x', 'acme.b', '2026-02-01'), kpi.set_share('acme.b', 0.25, '2026-04-01')});
same('a moved unit and a share');
publish(q{UPDATE kpi.unit SET path = 'acme.west' WHERE path = 'acme.b'});
same('a renamed unit, with all beneath it');
publish(q{UPDATE kpi.measure SET rollup = 'count' WHERE code = 'staff'; UPDATE kpi.link SET weight = 2 WHERE contributes = 'denominator'});
same('changed rules and weights');
publish(q{INSERT INTO kpi.unit (path) VALUES ('acme.new.team'), ('acme.new'); SELECT kpi.deploy('revenue', 'acme.new');
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme.new.team', 'revenue', '2026-01', 17); UPDATE kpi.kpi SET valid_to = '2026-05-01' WHERE kpi_id = kpi.kpi_id('acme.a', 'revenue')});
same('new units and KPIs, one that ended');
publish(q{DELETE FROM kpi.fact WHERE kpi_id = kpi.kpi_id('acme.new.team', 'revenue'); DELETE FROM kpi.unit WHERE path <@ 'acme.new'; DELETE FROM kpi.link WHERE contributes = 'numerator'});
same('deleted units, KPIs and links');
publish(q{BEGIN; INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme.a', 'lowest', '2026-01', -3); PREPARE TRANSACTION 'p'});
same('a prepared transaction');
publish(q{COMMIT PREPARED 'p'});
same('and its commit');
# what is left to a later fold is shown all the same
$subscriber->append_conf('postgresql.conf', 'kpi_cascade.fold_mode = manual');
$subscriber->restart;
publish(q{INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme.a', 'revenue', '2026-01', 1000)});
same('a subscriber that does not fold');
is($subscriber->safe_psql('postgres', 'SELECT count(*) > 0 FROM kpi.dirty()'), 't', 'has something pending');
$subscriber->safe_psql('postgres', q{BEGIN; SELECT kpi.fold(); UPDATE kpi.fact SET value = value WHERE value = 1000; ROLLBACK; SELECT kpi.fold()});
same('and folds');
publish('TRUNCATE kpi.fact');
same('TRUNCATE');
is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM kpi.attainment WHERE actual IS NOT NULL'), 0, 'leaves nothing');
publish(q{INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme.a', 'revenue', '2026-01', 1)});
same('and goes on');
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION figures');

$subscriber->stop;
$publisher->stop;
done_testing();
