# Every version, updated step by step to the newest, leaves the very objects that
# a fresh installation of that version leaves: definitions, comments, privileges,
# dependencies and the tables that pg_dump carries.
#
# The objects are read in two ways.  pg_dump --binary-upgrade writes out the
# members of an extension one by one, which covers every property that pg_dump
# knows; the catalogs tell which objects are members at all.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Session;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('upgrade');
$node->init;
$node->start;

# The versions are those whose scripts were built: pg_available_extension_versions
# does not look where Debian's extension_destdir points.  0.9 comes before 0.10.
my %versions = map { /--([0-9.]+)\.sql$/ ? ($1 => 1) : () } glob 'kpi_cascade--*.sql';
my @versions = sort {
	my @a = split /\./, $a;
	my @b = split /\./, $b;
	my $order = 0;
	$order ||= ($a[$_] // -1) <=> ($b[$_] // -1) for 0 .. ($#a > $#b ? $#a : $#b);
	$order
} keys %versions;
my ($newest) = slurp_file('kpi_cascade.control') =~ /^default_version\s*=\s*'(.*)'/m;
is($versions[0], '0.1', 'the oldest version can still be installed');
is($versions[-1], $newest, 'the default version is the newest');

# One line per fact about the members that a dump does not show.
my $catalogs = <<'SQL';
WITH ext AS (SELECT * FROM pg_extension WHERE extname = 'kpi_cascade'),
     member AS (SELECT d.classid, d.objid, d.objsubid FROM pg_depend d, ext
                WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid = ext.oid AND d.deptype = 'e')
SELECT 'version ' || extversion || ' in ' || extnamespace::regnamespace FROM ext
UNION ALL
SELECT 'member ' || pg_describe_object(classid, objid, objsubid) FROM member
UNION ALL
-- what every member depends on, and what depends on it
SELECT 'dependency ' || pg_describe_object(d.classid, d.objid, d.objsubid) || ' ' || d.deptype::text || ' '
       || pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid)
FROM pg_depend d
WHERE d.objid >= 16384 AND d.classid <> 'pg_rewrite'::regclass AND d.refclassid <> 'pg_rewrite'::regclass
  AND pg_describe_object(d.classid, d.objid, d.objsubid) !~ 'pg_toast'
UNION ALL
SELECT 'configuration ' || c.id::regclass || ' where ' || coalesce(c.condition, '')
FROM ext, unnest(extconfig, extcondition) AS c(id, condition)
UNION ALL
SELECT 'initial privileges ' || pg_describe_object(classoid, objoid, objsubid) || ' ' || initprivs::text
FROM pg_init_privs WHERE objoid >= 16384
UNION ALL
SELECT 'comment ' || pg_describe_object(classoid, objoid, objsubid) || ': ' || description
FROM pg_description WHERE objoid >= 16384
UNION ALL
SELECT 'function ' || p.oid::regprocedure || ' ' || p.provolatile::text || p.proparallel::text || ' strict ' || proisstrict
       || ' cost ' || procost || ' rows ' || prorows || ' definer ' || prosecdef || ' leakproof ' || proleakproof || ' '
       || coalesce(proconfig::text, '') || ' support ' || prosupport || ' ' || coalesce(proacl::text, '') || ' '
       || CASE WHEN prokind IN ('f', 'p') THEN pg_get_functiondef(p.oid) ELSE '' END
FROM pg_proc p WHERE p.oid >= 16384
UNION ALL
SELECT 'relation ' || c.oid::regclass || ' ' || relkind::text || ' ' || coalesce(relacl::text, '') || ' '
       || coalesce(reloptions::text, '') || ' security ' || relrowsecurity || relforcerowsecurity
       || CASE WHEN relkind IN ('v', 'm') THEN ' ' || pg_get_viewdef(c.oid) ELSE '' END
FROM pg_class c WHERE c.oid >= 16384 AND relnamespace <> 'pg_toast'::regnamespace
UNION ALL
SELECT 'column ' || attrelid::regclass || ' ' || attnum || ' ' || attname || ' '
       || CASE WHEN attisdropped THEN 'dropped' ELSE format_type(atttypid, atttypmod) END || ' not null ' || attnotnull
       || ' ' || attidentity::text || ' ' || attstorage::text || ' ' || coalesce(attacl::text, '')
FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
WHERE attrelid >= 16384 AND attnum > 0 AND relnamespace <> 'pg_toast'::regnamespace
UNION ALL
SELECT 'trigger ' || tgrelid::regclass || ' ' || tgenabled::text || ' ' || pg_get_triggerdef(oid)
FROM pg_trigger WHERE NOT tgisinternal
UNION ALL
SELECT 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(c.oid) || ' '
       || coalesce((SELECT string_agg(tgrelid::regclass || ' ' || tgfoid::regproc || ' ' || tgenabled::text, ', ' ORDER BY tgfoid::regproc::text, tgrelid)
                    FROM pg_trigger t WHERE t.tgconstraint = c.oid), '')
FROM pg_constraint c WHERE c.oid >= 16384 AND conrelid <> 0
SQL

my $dumps = 0;

# The objects of the extension in a database, as sorted lists of text.
sub objects
{
	my ($db) = @_;
	# the triggers behind constraints carry object identifiers in their names
	my @facts = sort map { s/(ConstraintTrigger_(?:[ac]_)?)\d+/$1/gr } split /\n\x1e\n/,
	  $node->safe_psql($db, "SELECT string_agg(l, E'\\n\\x1e\\n') FROM ($catalogs) AS facts(l)");
	my $file = $node->basedir . '/dump_' . ++$dumps . '.sql';
	$node->command_ok([ 'pg_dump', '--binary-upgrade', '--schema-only', '--file', $file, $node->connstr($db) ],
		"dump of $db");
	my $dump = slurp_file($file);
	# object identifiers, and what carries them, differ between any two databases
	$dump =~ s/^SELECT pg_catalog\.binary_upgrade_[^;]*;\n//mg;
	$dump =~ s/^UPDATE pg_catalog\.[^;]*;\n//mg;
	$dump =~ s/^\\(un)?restrict .*\n//mg;
	$dump =~ s/^-- (?:For binary upgrade|Dumped).*\n//mg;
	my @entries = sort map { s/\n{2,}/\n/gr } split /^--\n(?=-- Name: )/m, $dump;
	return (\@facts, \@entries);
}

# Both ways round: what is missing and what is too much.
sub same_objects
{
	my ($got, $expected, $what) = @_;
	my %got      = map { $_ => 1 } @$got;
	my %expected = map { $_ => 1 } @$expected;
	my @missing  = grep { !$got{$_} } @$expected;
	my @surplus  = grep { !$expected{$_} } @$got;
	ok(@$expected > 1 && @$got == @$expected && !@missing && !@surplus, "$what: " . @$expected . ' entries')
	  or diag(join "\n", (map { "only in the fresh installation: $_" } @missing),
		(map { "only after the update: $_" } @surplus));
}

my (%fresh_facts, %fresh_entries);
for my $version (@versions)
{
	(my $db = "fresh_$version") =~ tr/./_/;
	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$node->safe_psql($db, "CREATE EXTENSION kpi_cascade VERSION '$version'");
	($fresh_facts{$version}, $fresh_entries{$version}) = objects($db);
}

for my $from (0 .. $#versions - 1)
{
	(my $db = "from_$versions[$from]") =~ tr/./_/;
	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$node->safe_psql($db, "CREATE EXTENSION kpi_cascade VERSION '$versions[$from]'");
	for my $version (@versions[ $from + 1 .. $#versions ])
	{
		$node->safe_psql($db, "ALTER EXTENSION kpi_cascade UPDATE TO '$version'");
		my ($facts, $entries) = objects($db);
		my $what = "$versions[$from] updated to $version";
		same_objects($facts, $fresh_facts{$version}, "$what, catalogs");
		same_objects($entries, $fresh_entries{$version}, "$what, dump");
	}
	# in one go as well
	$node->safe_psql($db, 'DROP EXTENSION kpi_cascade');
	$node->safe_psql($db, "CREATE EXTENSION kpi_cascade VERSION '$versions[$from]'");
	$node->safe_psql($db, 'ALTER EXTENSION kpi_cascade UPDATE');
	my ($facts, $entries) = objects($db);
	same_objects($facts, $fresh_facts{$newest}, "$versions[$from] updated at once, catalogs");
	same_objects($entries, $fresh_entries{$newest}, "$versions[$from] updated at once, dump");
}

# What a user made of the types stays as it was.
$node->safe_psql('postgres', 'CREATE DATABASE kept');
$node->safe_psql(
	'kept', q{
CREATE EXTENSION kpi_cascade VERSION '0.1';
CREATE TABLE mine AS SELECT '2026-08'::kpi_period AS period, 'acme.sales'::kpi_path AS path;
CREATE INDEX ON mine (period);
CREATE INDEX ON mine (path);
ALTER EXTENSION kpi_cascade UPDATE;
});
is($node->safe_psql('kept', q{SET enable_seqscan = off; SELECT path FROM mine WHERE period = '2026-08'}),
	'acme.sales', 'a table with columns of our types survives the update');

# Writers go on while the library is newer than the objects, and beside the update.
$node->safe_psql('postgres', 'CREATE DATABASE written');
my ($rc, $out, $err) = $node->psql(
	'written', q{
CREATE EXTENSION kpi_cascade VERSION '0.2';
SET kpi_cascade.fold_mode = manual;
INSERT INTO kpi.unit (unit_id, path) VALUES (1, 'acme'), (2, 'acme.a');
INSERT INTO kpi.measure (measure_id, code) VALUES (1, 'revenue');
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) VALUES (1, 1, 1), (2, 2, 1);
SET kpi_cascade.fold_mode = commit;
} . q{INSERT INTO kpi.fact (kpi_id, period, value) VALUES (2, '2026-01', 1);} x 100);
is($rc, 0, 'facts are written before the update');
my $warnings = () = $err =~ /WARNING:  could not fold pending changes: the objects of extension "kpi_cascade" are older/g;
ok($warnings > 0 && $warnings < 100, "not every commit tries to fold and warns ($warnings)");
my ($writer, $update) = map { Session->new($node, 'written') } 1 .. 2;
# as every INSERT does before its triggers
$writer->query('BEGIN; LOCK TABLE kpi.fact IN ROW EXCLUSIVE MODE');
$update->{in} .= "ALTER EXTENSION kpi_cascade UPDATE;\n";
$update->{run}->pump_nb;
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_locks WHERE NOT granted}) or die 'the update does not wait';
is($writer->error(q{INSERT INTO kpi.fact (kpi_id, period, value) VALUES (2, '2026-01', 10)}), '', 'a writer goes on while the update waits for it');
$writer->query('COMMIT');
is($update->query('SELECT kpi.version(), actual FROM kpi.attainment WHERE kpi_id = 1 AND period = $$2026$$'), "$newest|110", 'and the update goes through');
$_->quit for $writer, $update;
is($node->safe_psql('written', 'SELECT kpi.fold() > 100; SELECT * FROM kpi.verify()'), 't', 'all that was written is folded then');

# The schema of the types is the user's choice, and nothing of the extension stays behind.
$node->safe_psql('postgres', 'CREATE DATABASE elsewhere');
$node->safe_psql('elsewhere', 'CREATE SCHEMA types; CREATE EXTENSION kpi_cascade SCHEMA types');
is($node->safe_psql('elsewhere', q{SELECT typnamespace::regnamespace FROM pg_type WHERE typname = 'kpi_period'}),
	'types', 'the types go to the schema that CREATE EXTENSION names');
$node->safe_psql('elsewhere', 'DROP EXTENSION kpi_cascade; DROP SCHEMA types');
is( $node->safe_psql(
		'elsewhere', q{
SELECT count(*) FROM pg_depend WHERE objid >= 16384 AND deptype <> 'p';
SELECT count(*) FROM pg_namespace WHERE nspname = 'kpi'}),
	"0\n0",
	'DROP EXTENSION leaves nothing behind');

$node->stop;
done_testing();
