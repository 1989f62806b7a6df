# Closing a period among others who write: it waits for transactions that have
# written, prepared ones too, and reports what they wrote; and while many write,
# move units and set targets, no figure of a closed period is ever another one
# than was reported.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Session;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('close');
$node->init;
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 10');
$node->start;

sub sql { return $node->safe_psql('postgres', shift) }
sub refused { return ($node->psql('postgres', shift))[2] }

# acme <- a, b <- c; KPIs 1 to 4 are their revenue
sql(q{
CREATE EXTENSION kpi_cascade;
INSERT INTO kpi.unit (unit_id, path) VALUES (1, 'acme'), (2, 'acme.a'), (3, 'acme.b'), (4, 'acme.b.c');
INSERT INTO kpi.measure (measure_id, code) VALUES (1, 'revenue');
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) VALUES (1, 1, 1), (2, 2, 1), (3, 3, 1), (4, 4, 1);
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (2, '2024-03', 100), (3, '2024-03', 50);
SELECT kpi.fold();
});

# ---- prepared transactions ----

sql(q{BEGIN; INSERT INTO kpi.fact (kpi_id, period, value) VALUES (2, '2024-03', 7); PREPARE TRANSACTION 'writer'});
like(refused(q{SET lock_timeout = '100ms'; SELECT kpi.close_period('2024-03')}), qr/lock timeout/, 'closing waits for a prepared writer, as long as lock_timeout allows');
my $closer = Session->new($node);
my $pid = $closer->query('SELECT pg_backend_pid()');
$closer->{in} .= "SELECT kpi.close_period('2024-03');\n";
$closer->{run}->pump_nb;
$node->poll_query_until('postgres', "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $pid") or die 'it does not wait';
is(sql(q{SELECT count(*) FROM kpi.period_close}), '0', 'it waits');
sql(q{COMMIT PREPARED 'writer'});
is($closer->query('SELECT actual FROM kpi.reported WHERE kpi_id = 1'), '3;157', 'and reports what was prepared');
$closer->quit;

sql(q{SELECT kpi.reopen_period('2024-03', 'a test'); BEGIN; SELECT kpi.close_period('2024-03'); PREPARE TRANSACTION 'closer'});
like(refused(q{SET lock_timeout = '100ms'; INSERT INTO kpi.fact (kpi_id, period, value) VALUES (2, '2024-05', 7)}), qr/lock timeout/, 'writers wait for a prepared close, whatever they write');
is(sql('SELECT count(*) FROM kpi.attainment'), sql('SELECT count(*) FROM kpi.attainment'), 'readers do not');
$node->restart;
like(refused(q{SET lock_timeout = '100ms'; INSERT INTO kpi.fact (kpi_id, period, value) VALUES (2, '2024-05', 7)}), qr/lock timeout/, 'after a restart, too');
sql(q{COMMIT PREPARED 'closer'});
like(refused(q{INSERT INTO kpi.fact (kpi_id, period, value) VALUES (2, '2024-03', 7)}), qr/period "2024-03" of measure "revenue" at unit "acme.a" is closed/, 'then March is closed');
sql(q{INSERT INTO kpi.fact (kpi_id, period, value) VALUES (2, '2024-05', 7)});
sql(q{BEGIN; SELECT kpi.reopen_period('2024-03', 'a test'); PREPARE TRANSACTION 'opener'});
like(refused(q{INSERT INTO kpi.fact (kpi_id, period, value) VALUES (2, '2024-03', 7)}), qr/is closed/, 'it stays closed while a reopening is prepared');
sql(q{ROLLBACK PREPARED 'opener'});
like(refused(q{INSERT INTO kpi.fact (kpi_id, period, value) VALUES (2, '2024-03', 7)}), qr/is closed/, 'and when that is rolled back');
sql(q{SELECT kpi.reopen_period('2024-03', 'to go on')});

# ---- many at once ----

# statements in a file, each on its own; what is refused as closed is none of our business
srand(1);
sub month { return sprintf '2024-%02d', 1 + int rand 6 }
my $dir = $node->basedir;
sub script
{
	my ($name, $n, @makers) = @_;
	my $text = "SET kpi_cascade.fold_after = 3;\n\\set VERBOSITY sqlstate\n";
	$text .= $makers[ int rand @makers ]->() . ";\n" for 1 .. $n;
	append_to_file("$dir/$name.sql", $text);
	return $name;
}
my $fact = sub { sprintf "INSERT INTO kpi.fact (kpi_id, period, value) VALUES (%d, '%s', %d)", 2 + int rand 3, month(), rand 100 };
my @writers = map {
	script("writer$_", 300, $fact, $fact, $fact,
		sub { sprintf "BEGIN; %s; SELECT pg_sleep(%f); %s; COMMIT", $fact->(), rand 0.01, $fact->() },
		sub { sprintf "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM kpi.kpi; SELECT pg_sleep(%f); %s; COMMIT", rand 0.02, $fact->() },
		sub { sprintf "UPDATE kpi.fact SET value = value + 1 WHERE fact_id = (SELECT max(fact_id) FROM kpi.fact WHERE period = '%s')", month() },
		sub { sprintf "DELETE FROM kpi.fact WHERE fact_id = (SELECT min(fact_id) FROM kpi.fact WHERE period = '%s')", month() })
} 1 .. 3;
push @writers, script('planner', 150,
	sub { sprintf "INSERT INTO kpi.target (kpi_id, period, value) VALUES (%d, '%s', %d) ON CONFLICT (kpi_id, period) DO UPDATE SET value = EXCLUDED.value", 1 + int rand 4, month(), rand 100 });
push @writers, script('organiser', 80,
	sub { sprintf "SELECT kpi.set_share('acme.b'::text, %s, '%s-01')", (1, 0.5)[ int rand 2 ], month() },
	sub { sprintf "UPDATE kpi.unit_history SET parent_unit_id = %d WHERE unit_id = 4", 2 + int rand 2 },
	sub { sprintf "UPDATE kpi.kpi SET valid_to = %s WHERE kpi_id = 4", ('NULL', "'2024-05-15'")[ int rand 2 ] });
my $differ = "SELECT 'differs', * FROM kpi.reported_difference WHERE in_force AND differs";
my $closes = sub { my $unit = ('NULL', 'NULL', "'acme.b'")[ int rand 3 ]; return sprintf "SELECT kpi.close_period('%s', %s); %s", month(), $unit, $differ };
push @writers, script('closer', 60, $closes, $closes,
	sub { "SELECT kpi.reopen_close(period, 'to write', unit_id) FROM kpi.period_close WHERE reopened_at IS NULL ORDER BY random() LIMIT 1; $differ" },
	sub { "SELECT pg_sleep(0.05); $differ" });

my %said;
my @running = map {
	my $name = $_;
	$said{$name} = '';
	IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', "$dir/$name.sql" ], '<', \undef, '>&', \$said{$name}, IPC::Run::timeout(180))
} @writers;
$_->finish for @running;
my $all = join "\n", values %said;
my %errors;
$errors{$1}++ while $all =~ /ERROR:\s+(\w{5})/g;
note(join ', ', map { "$_: $errors{$_}" } sort keys %errors);
unlike($all, qr/^differs/m, 'no closed figure ever differed');
cmp_ok($errors{55000} || 0, '>', 20, 'writers were refused');
cmp_ok(sql('SELECT count(*) FROM kpi.period_close'), '>', 10, 'many closes');
# closed, failed transactions, serialization failures, deadlocks of those who change facts and structure at once
is(join(' ', grep { !/^(?:55000|25P02|40001|40P01)$/ } sort keys %errors), '', 'and for nothing else');
is(sql($differ), '', 'in the end all is as it was reported');
is(sql('SELECT count(*) FROM kpi.verify()'), '0', 'kpi.verify() finds nothing');

$node->stop;
done_testing();
