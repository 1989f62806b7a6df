# pg_upgrade takes the tables' files and the counter of transactions along, so
# cells, pending rows and the cursor between them stay right; what it forgets,
# the switched off check of fact.kpi_id, kpi.rebuild() sets right again.
#
# Old and new server are of one version here: that is enough for all but the
# server's own changes.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $old = PostgreSQL::Test::Cluster->new('old');
$old->init;
# transaction ids beyond 32 bits: those of kpi.pending and kpi.fold_state have 64
system_or_bail('pg_resetwal', '-e', 3, $old->data_dir);
$old->start;
# From 18 on LOAD, by which pg_upgrade looks for libraries, does not find those in another folder.
if ($old->psql('postgres', q{LOAD '$libdir/kpi_cascade'}) != 0)
{
	$old->stop;
	plan skip_all => 'the library is not in the folder where pg_upgrade looks for it';
}
my $new = PostgreSQL::Test::Cluster->new('new');
$new->init;

$old->safe_psql('postgres', <<'SQL');
CREATE EXTENSION kpi_cascade;
INSERT INTO kpi.unit (path) VALUES ('acme'), ('acme.a'), ('acme.b');
INSERT INTO kpi.measure (code) VALUES ('revenue'), ('cost');
SELECT kpi.deploy(m.code, 'acme') FROM kpi.measure m;
INSERT INTO kpi.target_entry (unit, measure, period, value) VALUES ('acme', 'revenue', '2026', 500);
INSERT INTO kpi.fact_entry (unit, measure, period, value)
SELECT u, m, format('2026-%s', lpad(i::text, 2, '0')), i FROM unnest('{acme.a,acme.b}'::text[]) u, unnest('{revenue,cost}'::text[]) m, generate_series(1, 12) i;
SELECT kpi.fold();
SQL
# Pending are then added, removed and looked-again-at facts, and rows of the folding transaction on both sides of the cursor.
$old->safe_psql('postgres', <<'SQL');
SET kpi_cascade.fold_mode = 'manual';
BEGIN;
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme.a', 'revenue', '2026-03', 100);
SELECT kpi.fold();
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme.a', 'revenue', '2026-03', 1000);
COMMIT;
DELETE FROM kpi.fact WHERE value = 5;
UPDATE kpi.fact SET value = 60 WHERE value = 6;
UPDATE kpi.measure SET score_cap = 2;
SQL
my $attainment = 'SELECT a::text FROM kpi.attainment a ORDER BY a.kpi_id, a.period';
my $triggers = q{SELECT tgrelid::regclass, CASE WHEN NOT tgisinternal THEN tgname END, tgfoid::regproc, tgenabled FROM pg_trigger t
	WHERE tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'kpi'::regnamespace) ORDER BY 1, 2, 3, 4};
my $pending = 'SELECT seq, xid, kind FROM kpi.pending ORDER BY xid, seq';
# two units, 1 + ... + 12 = 78 each: 156, and 100 + 1000, less 5 of each unit, plus 54 for each unit
my $year = q{SELECT actual FROM kpi.attainment WHERE unit = 'acme' AND measure = 'revenue' AND period = '2026'};
is($old->safe_psql('postgres', $year), 156 + 1100 - 2 * 5 + 2 * 54, 'the year before');
my %before = map { $_ => $old->safe_psql('postgres', $_) } $attainment, $triggers, $pending;
isnt($before{$pending}, '', 'something is pending');
$old->stop;

# pg_upgrade leaves its files where it runs
chdir $new->basedir or die "could not enter " . $new->basedir;
my $bindir = $new->config_data('--bindir');
$new->command_ok(
	[   'pg_upgrade', '--no-sync', '-b', $bindir, '-B', $bindir, '-d', $old->data_dir, '-D', $new->data_dir,
		'-p', $old->port, '-P', $new->port, '-s', $new->host ],
	'pg_upgrade');
$new->start;

is($new->safe_psql('postgres', $pending), $before{$pending}, 'the same is pending');
is($new->safe_psql('postgres', $attainment), $before{$attainment}, 'the same figures in every column');
is($new->safe_psql('postgres', 'SELECT * FROM kpi.verify()'), '', 'nothing to verify');
$new->safe_psql('postgres', q{INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme.b', 'revenue', '2026-12', 0.5)});
is($new->safe_psql('postgres', $year), '1354.5', 'a new fact counts');
$new->safe_psql('postgres', 'SELECT kpi.fold()');
is($new->safe_psql('postgres', $year), '1354.5', 'as it does once all is folded');
is($new->safe_psql('postgres', 'SELECT * FROM kpi.verify()'), '', 'and nothing to verify then');

$new->safe_psql('postgres', 'SET client_min_messages = warning; SELECT kpi.rebuild()');
is($new->safe_psql('postgres', $triggers), $before{$triggers}, 'kpi.rebuild() leaves all triggers as they were');
my ($rc, $out, $err) = $new->psql('postgres', q{INSERT INTO kpi.fact (kpi_id, period, value) VALUES (999, '2026-01', 1)});
like($err, qr/ERROR:  KPI 999 does not exist/, 'a fact of no KPI is still refused');

done_testing();
