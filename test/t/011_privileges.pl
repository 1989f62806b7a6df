# Who may do what.  A database owner who is no superuser installs the extension
# and passes on what others need: writers the table they write, readers the
# view they read, and nothing else.  Row security on kpi.unit limits the rows
# shown, never the rows counted.  What users put into their own schemas is not
# found by functions that run with the owner's rights.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('privileges');
$node->init;
$node->start;

$node->safe_psql('postgres', 'CREATE ROLE boss LOGIN');
$node->safe_psql('postgres', "CREATE ROLE $_ LOGIN")
  for qw(nobody recorder filer planner reads_known), map({ "writes_$_" } qw(level unit unit_history measure kpi link fact target)),
  map({ "reads_$_" } qw(attainment scorecard team unit_score sheet));
$node->safe_psql('postgres', 'CREATE DATABASE figures OWNER boss');

# as USER: runs SQL, stops at the first error, gives (output, first error line)
sub try
{
	my ($user, $sql) = @_;
	my ($rc, $out, $err) =
	  $node->psql('figures', $sql, on_error_stop => 1, extra_params => [ '-U', $user ]);
	my ($first) = $err =~ /ERROR:  (.*)/;
	diag($err) if $rc != 0 && !defined $first;
	return ($out, $first // '');
}

sub works
{
	my ($user, $sql, $expected, $what) = @_;
	my ($out, $error) = try($user, $sql);
	is($error ? "ERROR: $error" : $out, $expected, $what);
}

sub refused
{
	my ($user, $sql, $expected, $what) = @_;
	my ($out, $error) = try($user, $sql);
	like($error, $expected, $what);
}

sub superuser { return $node->safe_psql('figures', $_[0]) }

# ---------------------------------------------------------------- installing

# Traps that would fit the calls of a careless install script better than what
# pg_catalog has: whoever falls into one runs the owner's code as a superuser.
works('boss', <<'SQL', '', 'the owner lays traps');
DO $$
DECLARE
    a text;
BEGIN
    FOREACH a IN ARRAY ARRAY['text, text', 'text, regclass', 'text, name', 'text, regprocedure', 'text, text, text',
                             'text, text, integer', 'text, integer', 'text, text, regclass, text', 'text, regclass, text'] LOOP
        EXECUTE pg_catalog.format('CREATE FUNCTION public.format(%s) RETURNS text LANGUAGE plpgsql AS $f$ BEGIN RAISE EXCEPTION ''trapped''; END $f$', a);
        EXECUTE pg_catalog.format('CREATE FUNCTION public.concat(%s) RETURNS text LANGUAGE plpgsql AS $f$ BEGIN RAISE EXCEPTION ''trapped''; END $f$', a);
    END LOOP;
    FOREACH a IN ARRAY ARRAY['regnamespace', 'regtype', 'regclass', 'regproc', 'regprocedure'] LOOP
        EXECUTE pg_catalog.format('CREATE FUNCTION public.trap(oid, %s) RETURNS boolean LANGUAGE plpgsql AS $f$ BEGIN RAISE EXCEPTION ''trapped''; END $f$', a);
        EXECUTE pg_catalog.format('CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = %s, FUNCTION = public.trap)', a);
    END LOOP;
END
$$;
SQL
works('boss', 'CREATE EXTENSION kpi_cascade', '', 'an owner who is no superuser installs the extension');
works('boss', <<'SQL', '', 'untrapped');
SET search_path = pg_catalog;
DO $$
DECLARE
    f regprocedure;
BEGIN
    FOR f IN SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 2200::oid AND p.proname IN ('format', 'concat', 'trap') LOOP
        EXECUTE format('DROP FUNCTION %s CASCADE', f);
    END LOOP;
END
$$;
SQL
is( superuser(q{SELECT string_agg(DISTINCT pg_get_userbyid(o), ', ') FROM (
		SELECT relowner FROM pg_class WHERE relnamespace = 'kpi'::regnamespace
		UNION ALL SELECT proowner FROM pg_proc WHERE pronamespace = 'kpi'::regnamespace
		UNION ALL SELECT nspowner FROM pg_namespace WHERE nspname = 'kpi') x (o)}),
	superuser('SELECT current_user'),
	'everything belongs to the superuser');
works('boss', <<'SQL', '0|0|0|0|0|0|0|0', 'installing inserts no row that users would see');
SELECT (SELECT count(*) FROM kpi.level), (SELECT count(*) FROM kpi.unit), (SELECT count(*) FROM kpi.unit_history),
       (SELECT count(*) FROM kpi.measure), (SELECT count(*) FROM kpi.kpi), (SELECT count(*) FROM kpi.link),
       (SELECT count(*) FROM kpi.fact), (SELECT count(*) FROM kpi.target)
SQL
works('boss', q{SELECT kpi.version(); ALTER DATABASE figures SET kpi_cascade.fold_mode = 'manual'},
	superuser('SELECT kpi.version()'),
	'kpi.version() makes the settings known to a session that may then set them for the database');
refused('boss', 'CREATE TABLE kpi.mine ()', qr/permission denied for schema kpi/, 'the owner creates nothing in the schema');

# ---------------------------------------------------------------- the owner uses everything

works('boss', <<'SQL', '', 'the owner writes all tables');
INSERT INTO kpi.level (level_no, code, title) VALUES (4, 'squad', 'Squads');
INSERT INTO kpi.unit (path, name, owner) VALUES
    ('acme', 'Acme', 'carol'), ('acme.sales', 'Sales', 'reads_attainment'), ('acme.ops', 'Operations', 'otto'),
    ('acme.sales.emea', 'EMEA', 'reads_attainment'), ('acme.sales.apac', 'APAC', 'anna'),
    ('acme.sales.emea.dach', 'DACH', 'dora');
INSERT INTO kpi.measure (code, on_track_from) VALUES ('revenue', 1), ('cost', 1);
INSERT INTO kpi.measure (code, rollup, multiplier, rolls_up) VALUES ('margin', 'ratio', 100, false);
INSERT INTO kpi.kpi (unit_id, measure_id) SELECT unit_id, measure_id FROM kpi.unit, kpi.measure m WHERE m.code = 'cost';
INSERT INTO kpi.fact (kpi_id, period, value) SELECT kpi_id, '2026-01', 1 FROM kpi.kpi;
INSERT INTO kpi.target (kpi_id, period, value) SELECT kpi_id, '2026-01', 2 FROM kpi.kpi;
SQL
works('boss', q{SELECT kpi.deploy('revenue', 'acme'), kpi.deploy('margin', 'acme'::kpi_path, ARRAY[1])}, '6|1', 'deploys');
works('boss', <<'SQL', "30\n8", 'enters facts and targets by natural keys');
INSERT INTO kpi.fact_entry (unit, measure, period, value, reference)
VALUES ('acme.sales.emea.dach', 'revenue', '2026-01', 10, 'a'), ('acme.sales.emea', 'revenue', '2026-01', 20, 'b');
COPY kpi.target_entry (unit, measure, period, value) FROM STDIN;
acme	revenue	2026-01	50
acme.ops	revenue	2026-01	8
\.
UPDATE kpi.fact_entry SET value = 21 WHERE reference = 'b';
DELETE FROM kpi.fact_entry WHERE reference = 'b';
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme.sales.emea', 'revenue', '2026-01', 20);
SELECT actual FROM kpi.attainment WHERE unit = 'acme' AND measure = 'revenue' AND period = '2026-01';
SELECT value FROM kpi.target_entry WHERE unit = 'acme.ops' AND measure = 'revenue';
SQL
works('boss', <<'SQL', "t\nt\nt\nt\n1", 'uses the functions of entry');
SELECT kpi.record_fact('acme.ops', 'revenue', '2026-02', 4) > 0;
SELECT kpi.set_fact('acme.ops', 'revenue', '2026-02', 5) > 0;
SELECT kpi.set_target('acme.ops', 'revenue', '2026-02', 5) > 0;
SELECT kpi.link_kpi('acme', 'revenue', 'acme', 'margin', 'numerator') > 0;
SELECT score FROM kpi.scorecard WHERE unit = 'acme.ops' AND measure = 'revenue' AND period = '2026-02';
SQL
# costs: 1 at each of six units and 194 at the top
works('boss', <<'SQL', "t\n15", 'links: a margin of 100 * 30 / 200');
SELECT kpi.record_fact('acme', 'cost', '2026-01', 194) > 0;
INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes) VALUES (kpi.kpi_id('acme', 'cost'), kpi.kpi_id('acme', 'margin'), 'denominator');
SELECT actual FROM kpi.scorecard WHERE unit = 'acme' AND measure = 'margin' AND period = '2026-01';
SQL
# 20 + 0.5 * 10; February is Operations' 5
works('boss', <<'SQL', "25|5\nacme.ops.dach", 'moves units and sets shares');
SELECT kpi.set_share('acme.sales.emea.dach', 0.5, '2026-01-01'), kpi.move_unit('acme.sales.emea.dach', 'acme.ops', '2026-03-01') \g /dev/null
SELECT (SELECT actual FROM kpi.attainment WHERE unit = 'acme' AND measure = 'revenue' AND period = '2026-01'),
       (SELECT actual FROM kpi.attainment WHERE unit = 'acme' AND measure = 'revenue' AND period = '2026-02');
SELECT unit_now FROM kpi.attainment WHERE unit = 'acme.sales.emea.dach' AND measure = 'revenue' AND period = '2026-01';
SQL
works('boss', <<'SQL', "t\nt\n0", 'folds, rebuilds and verifies');
SELECT kpi.fold() > 0;
SELECT kpi.rebuild() >= 0;
SELECT count(*) FROM kpi.verify();
SQL
works('boss', <<'SQL', 'boss|t', 'creates a level view among objects of the owner');
CREATE SCHEMA reports;
SELECT kpi.create_level_view(4, 'reports.squads') \g /dev/null
SELECT (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'reports.squads'::regclass), count(*) > 0 AND bool_and(level = 'squad') FROM reports.squads;
SQL

# ---------------------------------------------------------------- nobody

my $reachable = <<'SQL';
SELECT 'table ' || c.oid::regclass || ' ' || p FROM pg_class c, unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) p
 WHERE c.relnamespace = 'kpi'::regnamespace AND c.relkind IN ('r', 'v') AND has_table_privilege('nobody', c.oid, p)
UNION ALL
SELECT 'column ' || a.attrelid::regclass || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
 WHERE c.relnamespace = 'kpi'::regnamespace AND a.attacl IS NOT NULL
UNION ALL
SELECT 'sequence ' || c.oid::regclass FROM pg_class c
 WHERE c.relnamespace = 'kpi'::regnamespace AND CASE WHEN c.relkind = 'S' THEN has_sequence_privilege('nobody', c.oid, 'USAGE, SELECT, UPDATE') END
UNION ALL
SELECT 'schema' WHERE has_schema_privilege('nobody', 'kpi', 'USAGE, CREATE')
UNION ALL
-- what may write, or runs with the owner's rights
SELECT 'function ' || p.oid::regprocedure FROM pg_proc p
 WHERE p.pronamespace = 'kpi'::regnamespace AND (p.provolatile = 'v' OR p.prosecdef OR p.prorettype = 'trigger'::regtype)
   AND has_function_privilege('nobody', p.oid, 'EXECUTE')
   -- works with a key that only views have
   AND p.proname NOT IN ('alignment_findings', 'stock_is_carried', 'stock_to_date')
SQL
is(superuser($reachable), '', 'nobody gets nothing but functions that only look up');
is(superuser(<<'SQL'), '', 'what runs with the rights of the owner has a fixed search_path');
SELECT string_agg(oid::regprocedure::text, ' ') FROM pg_proc
 WHERE pronamespace = 'kpi'::regnamespace AND prosecdef AND NOT coalesce(proconfig @> '{"search_path=pg_catalog, pg_temp"}', false)
SQL
is(superuser(<<'SQL'), 'kpi.create_level_view(integer,text)', 'and so has what writes, but for what creates views where the caller wants them');
SELECT string_agg(p.oid::regprocedure::text, ' ') FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
 WHERE p.pronamespace = 'kpi'::regnamespace AND l.lanname IN ('plpgsql', 'sql') AND p.provolatile = 'v' AND p.prosqlbody IS NULL
   AND NOT coalesce(p.proconfig @> '{"search_path=pg_catalog, pg_temp"}', false)
SQL
refused('nobody', $_, qr/permission denied for schema kpi/, "nobody: $_")
  for ('SELECT * FROM kpi.attainment', q{INSERT INTO kpi.level VALUES (9, 'x')}, 'SELECT kpi.fold()');

# what is the extension's own is nobody's, the owner's neither
for my $table (qw(cell pending fold_state graph_version unit_path view_key fold_lock link_lock))
{
	my @statements = (
		"SELECT FROM kpi.$table", "DELETE FROM kpi.$table", "TRUNCATE kpi.$table", "INSERT INTO kpi.$table DEFAULT VALUES",
		map { "BEGIN; LOCK TABLE kpi.$table IN $_ MODE" } 'ACCESS SHARE', 'ROW SHARE', 'ROW EXCLUSIVE', 'SHARE', 'EXCLUSIVE', 'ACCESS EXCLUSIVE');
	my @allowed = grep { (try('boss', $_))[1] !~ /^permission denied for table $table/ } @statements;
	is("@allowed", '', "the owner can neither read, write nor lock kpi.$table");
}
refused('boss', 'SELECT * FROM kpi.dirty(gen_random_uuid())', qr/permission denied for function kpi\.dirty/, 'what is pending can only be read through the views');
refused('boss', $_, qr/permission denied/, "refused: $_")
  for ('CREATE TRIGGER t AFTER INSERT ON kpi.fact FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()',
	'CREATE TABLE reports.bait (LIKE kpi.fact); CREATE TRIGGER t AFTER INSERT ON reports.bait REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION kpi.capture_fact()');

# ---------------------------------------------------------------- writers

works('boss', <<'SQL', '', 'the owner passes on what writers need');
GRANT USAGE ON SCHEMA kpi TO recorder, filer, planner,
    writes_level, writes_unit, writes_unit_history, writes_measure, writes_kpi, writes_link, writes_fact, writes_target;
GRANT INSERT ON kpi.fact TO recorder;
GRANT INSERT ON kpi.fact_entry TO filer;
GRANT INSERT ON kpi.target_entry TO planner;
GRANT SELECT, INSERT, UPDATE, DELETE ON kpi.level TO writes_level;
GRANT SELECT, INSERT, UPDATE, DELETE ON kpi.unit TO writes_unit;
GRANT SELECT, INSERT, UPDATE, DELETE ON kpi.unit_history TO writes_unit_history;
GRANT SELECT, INSERT, UPDATE, DELETE ON kpi.measure TO writes_measure;
GRANT SELECT, INSERT, UPDATE, DELETE ON kpi.kpi TO writes_kpi;
GRANT SELECT, INSERT, UPDATE, DELETE ON kpi.link TO writes_link;
GRANT SELECT, INSERT, UPDATE, DELETE ON kpi.fact TO writes_fact;
GRANT SELECT, INSERT, UPDATE, DELETE ON kpi.target TO writes_target;
SQL
my $ops = superuser(q{SELECT kpi.kpi_id('acme.ops', 'revenue')});
my $top = superuser(q{SELECT kpi.kpi_id('acme', 'revenue')});
my $margin = superuser(q{SELECT kpi.kpi_id('acme', 'margin')});
my $unit = superuser(q{SELECT kpi.unit_id('acme.ops')});
my $root = superuser(q{SELECT kpi.unit_id('acme')});
my $apac = superuser(q{SELECT kpi.unit_id('acme.sales.apac')});
my $revenue = superuser(q{SELECT measure_id FROM kpi.measure WHERE code = 'revenue'});
my $ratio = superuser(q{SELECT measure_id FROM kpi.measure WHERE code = 'margin'});

# Each of these commits folds, unless it follows the last fold too soon: so it waits a little.
my $fold = "SELECT pg_sleep(0.3) \\g /dev/null\nSET kpi_cascade.fold_mode = 'commit'; SET kpi_cascade.fold_after = 0;\n";
sub folds_and_works
{
	my ($user, $sql, $what) = @_;
	my $count = superuser('SELECT folds FROM kpi.fold_state');
	works($user, $fold . $sql, '', $what);
	ok(superuser('SELECT folds FROM kpi.fold_state') > $count, "$what: its commit folds");
	is(superuser('SELECT count(*) FROM kpi.verify()'), '0', "$what: every figure is right");
}

folds_and_works('recorder', "INSERT INTO kpi.fact (kpi_id, period, value) VALUES ($ops, '2026-05', 7)", 'facts are written with INSERT on kpi.fact alone');
is(superuser(qq{SELECT actual FROM kpi.cell WHERE kpi_id = $ops AND period = '2026-05'}), '7', 'and are in the cells');
refused('recorder', @$_) for (
	[ 'SELECT value FROM kpi.fact', qr/permission denied for table fact/, 'but not read' ],
	[ 'SELECT * FROM kpi.dirty(gen_random_uuid())', qr/permission denied for function kpi\.dirty/, 'nor is what is pending' ],
	[ 'SELECT kpi.fold()', qr/permission denied for function fold/, 'nor can they be folded by hand' ]);
folds_and_works('recorder', <<"SQL", 'COPY needs no more');
COPY kpi.fact (kpi_id, period, value) FROM STDIN;
$ops	2026-06	1
\\.
SQL
folds_and_works('filer', <<'SQL', 'facts are entered with INSERT on kpi.fact_entry alone');
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme.ops', 'revenue', '2026-07', 3);
COPY kpi.fact_entry (unit, measure, period, value) FROM STDIN;
acme.sales	revenue	2026-07	4
\.
SQL
refused('filer', q{INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme.nowhere', 'revenue', '2026-07', 3)},
	qr/KPI of unit "acme.nowhere" and measure "revenue" does not exist/, 'an unknown KPI is named');
refused('filer', $_, qr/permission denied/, "not with it: $_")
  for ('SELECT * FROM kpi.fact_entry', 'UPDATE kpi.fact_entry SET value = 1', "INSERT INTO kpi.fact (kpi_id, period, value) VALUES ($ops, '2026-05', 7)");
folds_and_works('planner', <<'SQL', 'targets are entered, and replaced, with INSERT on kpi.target_entry alone');
INSERT INTO kpi.target_entry (unit, measure, period, value) VALUES ('acme.ops', 'revenue', '2026-07', 6);
INSERT INTO kpi.target_entry (unit, measure, period, value) VALUES ('acme.ops', 'revenue', '2026-07', 12);
SQL
is(superuser(q{SELECT actual, target FROM kpi.attainment WHERE unit = 'acme.ops' AND measure = 'revenue' AND period = '2026-07'}), '3|12', 'both are shown');
is(superuser(q{SELECT DISTINCT recorded_by FROM kpi.fact WHERE period = '2026-07'}), 'filer', 'recorded_by tells who wrote, whoever owns the tables');

# every kind of statement, with privileges on one table alone
folds_and_works('writes_fact', <<"SQL", 'kpi.fact');
INSERT INTO kpi.fact (kpi_id, period, value, reference) VALUES ($ops, '2026-08', 1, 'x') ON CONFLICT (reference) DO UPDATE SET value = 2;
INSERT INTO kpi.fact (kpi_id, period, value, reference) VALUES ($ops, '2026-08', 1, 'x') ON CONFLICT (reference) DO UPDATE SET value = 2;
UPDATE kpi.fact SET value = 3 WHERE reference = 'x';
MERGE INTO kpi.fact f USING (VALUES ('x', 4)) v (reference, value) ON f.reference = v.reference WHEN MATCHED THEN UPDATE SET value = v.value;
DELETE FROM kpi.fact WHERE reference = 'x';
SQL
folds_and_works('writes_target', <<"SQL", 'kpi.target');
INSERT INTO kpi.target (kpi_id, period, value) VALUES ($ops, '2026-08', 1) ON CONFLICT (kpi_id, period) DO UPDATE SET value = 2;
UPDATE kpi.target SET value = 3, points = '{{1,2},{3,4}}' WHERE kpi_id = $ops AND period = '2026-08';
DELETE FROM kpi.target WHERE kpi_id = $ops AND period = '2026-08';
SQL
folds_and_works('writes_unit', <<"SQL", 'kpi.unit');
INSERT INTO kpi.unit (path, valid_from) VALUES ('acme.new', '2020-01-01'), ('acme.new.child', NULL);
UPDATE kpi.unit SET valid_from = '2021-01-01' WHERE path = 'acme.ops';
UPDATE kpi.unit SET path = 'acme.old' WHERE path = 'acme.new';
UPDATE kpi.unit SET valid_from = NULL WHERE path = 'acme.ops';
DELETE FROM kpi.unit WHERE path <@ 'acme.old';
SQL
folds_and_works('writes_unit_history', <<"SQL", 'kpi.unit_history');
INSERT INTO kpi.unit_history (unit_id, effective_from, parent_unit_id, share) VALUES ($unit, '2026-10-01', $root, 0.5);
UPDATE kpi.unit_history SET share = 0.25, parent_unit_id = NULL WHERE unit_id = $unit AND effective_from = '2026-10-01';
DELETE FROM kpi.unit_history WHERE unit_id = $unit AND effective_from = '2026-10-01';
SQL
folds_and_works('writes_measure', <<"SQL", 'kpi.measure');
INSERT INTO kpi.measure (code, scoring) VALUES ('w', 'curve');
UPDATE kpi.measure SET grain = 'week', scoring = 'ratio' WHERE code = 'w';
DELETE FROM kpi.measure WHERE code = 'w';
UPDATE kpi.measure SET multiplier = 10 WHERE code = 'margin';
UPDATE kpi.measure SET multiplier = 100 WHERE code = 'margin';
SQL
folds_and_works('writes_kpi', <<"SQL", 'kpi.kpi');
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) VALUES (1000, $unit, $ratio);
UPDATE kpi.kpi SET valid_from = '2026-01-01', unit_id = $apac WHERE kpi_id = 1000;
DELETE FROM kpi.kpi WHERE kpi_id = 1000;
SQL
folds_and_works('writes_link', <<"SQL", 'kpi.link');
INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes, valid_from) VALUES ($top, $margin, 'score', '2026-01-01');
UPDATE kpi.link SET weight = 2 WHERE contributes = 'score';
DELETE FROM kpi.link WHERE contributes = 'score';
SQL
works('writes_level', <<"SQL", '', 'kpi.level');
INSERT INTO kpi.level (level_no, code) VALUES (7, 'x');
UPDATE kpi.level SET code = 'y' WHERE level_no = 7;
DELETE FROM kpi.level WHERE level_no = 7;
SQL
# rules that look at other tables say what they always say
refused($_->[0], $_->[1], $_->[2], $_->[3])
  for (
	[ 'writes_target', "INSERT INTO kpi.target (kpi_id, period, value) VALUES ($ops, '2026-08-01', 1)", qr/period "2026-08-01" for unit "acme.ops" does not fit measure "revenue"/, 'a target of another grain is refused' ],
	[ 'writes_kpi', "DELETE FROM kpi.kpi WHERE kpi_id = $ops", qr/KPI of unit "acme.ops" and measure "revenue" still has facts/, 'a KPI with facts is kept' ],
	[ 'writes_unit', "DELETE FROM kpi.unit WHERE unit_id = $apac", qr/unit "acme.sales.apac" still has facts/, 'a unit with facts is kept' ],
	[ 'writes_measure', "UPDATE kpi.measure SET grain = 'day' WHERE measure_id = $revenue", qr/measure "revenue" has facts by month/, 'a measure with facts keeps its grain' ],
	[ 'writes_fact', "INSERT INTO kpi.fact (kpi_id, period, value) VALUES (-1, '2026-01', 1)", qr/KPI -1 does not exist/, 'a fact needs a KPI' ],
	[ 'writes_unit_history', "INSERT INTO kpi.unit_history (unit_id, effective_from, parent_unit_id) VALUES ($root, '2026-01-01', $unit)", qr/would report to itself/, 'a cycle of units is refused' ]);

# ---------------------------------------------------------------- readers

works('boss', <<'SQL', '', 'the owner passes on what readers need');
GRANT USAGE ON SCHEMA kpi TO reads_attainment, reads_scorecard, reads_team, reads_unit_score;
GRANT SELECT ON kpi.attainment TO reads_attainment;
GRANT SELECT ON kpi.scorecard TO reads_scorecard;
GRANT SELECT ON kpi.business_unit_scorecard TO reads_team;
GRANT SELECT ON kpi.unit_score TO reads_unit_score;
GRANT USAGE ON SCHEMA reports TO reads_sheet;
GRANT SELECT ON reports.squads TO reads_sheet;
-- to be pending: facts, a target, a measure
INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme.sales.apac', 'revenue', '2026-01', 40), ('acme.ops.dach', 'revenue', '2026-01', 60);
INSERT INTO kpi.target_entry (unit, measure, period, value) VALUES ('acme.sales', 'revenue', '2026-01', 1000);
UPDATE kpi.measure SET at_risk_from = 0.7 WHERE code = 'revenue';
SQL
my %reads = (
	reads_attainment => 'kpi.attainment',
	reads_scorecard  => 'kpi.scorecard',
	reads_team       => 'kpi.business_unit_scorecard',
	reads_unit_score => 'kpi.unit_score',
	reads_sheet      => 'reports.squads');
sub all_rows { return "SELECT v::text FROM $_[0] v ORDER BY 1" }
sub same_rows
{
	my ($user, $condition, $what) = @_;
	my $expected = superuser("SELECT v::text FROM $reads{$user} v WHERE $condition ORDER BY 1");
	isnt($expected, '', "$what: there are some");
	works($user, all_rows($reads{$user}), $expected, $what);
}
# APAC 40, EMEA 20, and half of DACH's 10 + 60, which reported to EMEA in January
is(superuser(q{SELECT actual, target FROM kpi.attainment WHERE unit = 'acme.sales' AND measure = 'revenue' AND period = '2026-01'}), '95|1000', 'what is pending is shown');
for my $user (sort keys %reads)
{
	same_rows($user, 'true', "with SELECT on $reads{$user} alone all of it is read");
	refused($user, "SELECT FROM $_", qr/permission denied for/, "but not $_")
	  for grep { $_ ne $reads{$user} } values(%reads), 'kpi.fact', 'kpi.target', 'kpi.unit', 'kpi.cell', 'kpi.fact_entry';
}

# ---------------------------------------------------------------- revisions

is(superuser(q{SELECT string_agg(DISTINCT r.revised_by, ', ' ORDER BY r.revised_by) FROM kpi.fact_revision r WHERE r.reference = 'x'}), 'writes_fact',
	'with privileges on kpi.fact alone, what is changed there is kept, and who did it');
cmp_ok(superuser(q{SELECT count(*) FROM kpi.target_revision r WHERE r.revised_by = 'planner'}), '==', 2, 'and targets through kpi.target_entry');
for my $table (qw(target_revision fact_revision))
{
	refused('writes_fact', $_, qr/permission denied for table $table/, "revisions are not written by those who cause them: $_")
	  for ("INSERT INTO kpi.$table DEFAULT VALUES", "UPDATE kpi.$table SET revised_by = 'x'", "DELETE FROM kpi.$table", "SELECT FROM kpi.$table");
	refused('boss', "UPDATE kpi.$table SET revised_by = 'x'", qr/permission denied for table $table/, 'nor altered by the owner');
	works('boss', "BEGIN; SELECT count(*) > 0 FROM kpi.$table; DELETE FROM kpi.$table; SELECT count(*) FROM kpi.$table; ROLLBACK", "t\n0", 'who reads them, and removes what is no longer wanted');
}
# the fold writes what nobody else may
refused('writes_fact', $_, qr/permission denied for table status_change/, "changes of status are not written by those who cause them: $_")
  for ('INSERT INTO kpi.status_change DEFAULT VALUES', 'UPDATE kpi.status_change SET fold = 0', 'DELETE FROM kpi.status_change', 'SELECT FROM kpi.status_change');
refused('boss', 'UPDATE kpi.status_change SET fold = 0', qr/permission denied for table status_change/, 'nor altered by the owner');
works('boss', 'BEGIN; SELECT kpi.fold() >= 0, count(*) > 0 FROM kpi.status_change; DELETE FROM kpi.status_change; SELECT count(*) FROM kpi.status_change; ROLLBACK', "t|t\n0", 'who reads them, and removes what is no longer wanted');

works('boss', <<'SQL', '', 'the owner passes on what readers of the past need');
GRANT USAGE ON SCHEMA kpi TO reads_known;
GRANT SELECT ON kpi.described_kpi, kpi.unit, kpi.measure, kpi.kpi, kpi.attainment TO reads_known;
GRANT EXECUTE ON FUNCTION kpi.attainment_as_known(timestamptz, text, text, text), kpi.rows_as_known(timestamptz, text, text, text, boolean), kpi.figures_as_known(timestamptz, bigint[], date, date) TO reads_known;
SQL
my $known = q{SELECT unit, actual FROM kpi.attainment_as_known(now(), measure => 'revenue', period => '2026-01') ORDER BY 1};
my $now = q{SELECT unit, actual FROM kpi.attainment WHERE measure = 'revenue' AND period = '2026-01' ORDER BY 1};
works('reads_known', $known, superuser($now), 'who may read neither facts nor targets sees what was known');

# ---------------------------------------------------------------- row security

# by path, and by a column that is compared with the reader
superuser(<<'SQL');
ALTER TABLE kpi.unit ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_units ON kpi.unit TO boss, writes_unit USING (true);
CREATE POLICY own_units ON kpi.unit TO reads_attainment USING (owner = current_user);
CREATE POLICY some_units ON kpi.unit TO reads_scorecard, reads_team, reads_unit_score, reads_sheet, reads_known, filer USING (path IN ('acme.sales', 'acme.sales.emea', 'acme.ops.dach'));
SQL
works('boss', all_rows('kpi.attainment'), superuser(all_rows('kpi.attainment')), 'a policy that shows everything changes nothing');
same_rows('reads_attainment', q{unit_id IN (SELECT unit_id FROM kpi.unit WHERE owner = 'reads_attainment')}, 'a policy limits the rows of kpi.attainment, by who reads, not by who owns the view');
same_rows($_, q{unit_now::text IN ('acme.sales', 'acme.sales.emea', 'acme.ops.dach')}, "a policy limits the rows of $reads{$_}")
  for qw(reads_scorecard reads_team reads_unit_score reads_sheet);
my $sales = q{SELECT actual FROM kpi.scorecard WHERE unit = 'acme.sales' AND measure = 'revenue' AND period = '2026-01'};
works('reads_scorecard', $sales, '95', 'what is not shown is counted all the same');
works('reads_known', $known, (try('reads_known', $now))[0], 'so are units as known at a moment');
my $findings = q{SELECT code, unit, count(*) FROM kpi.alignment GROUP BY 1, 2 ORDER BY 1, 2};
works('boss', 'GRANT SELECT ON kpi.alignment TO reads_known', '', 'the owner passes on kpi.alignment');
works('reads_known', $findings, superuser(q{SELECT code, unit, count(*) FROM kpi.alignment WHERE unit_id IN (SELECT unit_id FROM kpi.unit WHERE path IN ('acme.sales', 'acme.sales.emea', 'acme.ops.dach')) GROUP BY 1, 2 ORDER BY 1, 2}),
	'findings about units that are shown, with SELECT on the view alone');
refused('reads_known', 'SELECT * FROM kpi.alignment_findings(gen_random_uuid())', qr/permission denied for function alignment_findings/, 'and about no others');
works('reads_known', "SELECT count(*), max(actual) FROM ($known) k WHERE unit <@ 'acme.sales'", '3|95', 'the three of them, which in January were beneath acme.sales');
works('boss', 'SELECT kpi.fold() \g /dev/null', '', 'a fold');
works('reads_scorecard', $sales, '95', 'changes nothing in that');
works('reads_scorecard', q{SELECT count(*) FROM kpi.scorecard WHERE unit = 'acme'}, '0', 'nor in what is not shown');
works('recorder', "INSERT INTO kpi.fact (kpi_id, period, value) VALUES ($ops, '2026-09', 7)", '', 'writers write what they do not see');
is(superuser('SELECT count(*) FROM kpi.verify()'), '0', 'every figure is right');
refused('reads_attainment', 'SET row_security = off; SELECT FROM kpi.attainment', qr/query would be affected by row-level security policy/,
	'with row_security off the reader is told so');
refused('filer', q{INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme.sales', 'revenue', '2026-09', 1)},
	qr/permission denied for table unit/, 'whom policies concern looks KPIs up himself');
works('boss', 'GRANT SELECT ON kpi.unit, kpi.kpi, kpi.measure TO filer', '', 'with privileges for that');
works('filer', q{INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme.sales', 'revenue', '2026-09', 1)}, '', 'he enters facts of units he sees');
refused('filer', q{INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme.ops', 'revenue', '2026-09', 1)},
	qr/KPI of unit "acme.ops" and measure "revenue" does not exist/, 'and of no others');
superuser('ALTER POLICY all_units ON kpi.unit USING (unit_id > 1)');
refused('boss', 'SELECT * FROM kpi.verify()', qr/query would be affected by row-level security policy/, 'verification says so too, rather than find differences that are none');
refused('boss', 'DROP POLICY all_units ON kpi.unit', qr/must be owner of/, 'policies are the superuser\'s');
superuser('ALTER TABLE kpi.unit DISABLE ROW LEVEL SECURITY');

# ---------------------------------------------------------------- hostile names

# A schema found before pg_catalog, with a trap for every function and operator there
works('boss', <<'SQL', 't|t', 'a trap for every name');
CREATE SCHEMA evil;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
DO $$
DECLARE
    f record;
BEGIN
    FOR f IN
        SELECT p.proname, oidvectortypes(p.proargtypes) AS arguments, p.prorettype::regtype AS result
          FROM pg_proc p
         WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND NOT p.proretset AND p.provariadic = 0
    LOOP
        BEGIN
            EXECUTE format($c$CREATE FUNCTION evil.%I(%s) RETURNS %s LANGUAGE plpgsql AS $b$BEGIN RAISE EXCEPTION 'trapped by %s'; END$b$ $c$,
                           f.proname, f.arguments, f.result, f.proname);
        EXCEPTION WHEN OTHERS THEN
            -- a type that PL/pgSQL does not take
        END;
    END LOOP;
    FOR f IN
        SELECT o.oprname, o.oprleft::regtype AS l, o.oprright::regtype AS r, p.proname
          FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode
         WHERE o.oprnamespace = 'pg_catalog'::regnamespace AND o.oprleft <> 0
    LOOP
        BEGIN
            EXECUTE format('CREATE OPERATOR evil.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = evil.%I)', f.oprname, f.l, f.r, f.proname);
        EXCEPTION WHEN OTHERS THEN
        END;
    END LOOP;
END
$$;
SELECT (SELECT count(*) FROM pg_proc WHERE pronamespace = 'evil'::regnamespace) > 1500,
       (SELECT count(*) FROM pg_operator WHERE oprnamespace = 'evil'::regnamespace) > 600;
SQL
my $evil = "SET search_path = evil, pg_catalog, public;\n";
refused('recorder', $evil . 'SELECT abs(-1.0)', qr/trapped by numeric_abs|trapped by abs/, 'the traps work');
# tables of one's own come before those of pg_catalog unless pg_temp is last
my $temp = join '', map { "CREATE TEMP TABLE $_ (oid oid);\n" } qw(pg_class pg_type unit kpi measure fact target link unit_history);
for my $case (
	[ 'recorder', "INSERT INTO kpi.fact (kpi_id, period, value, weight) VALUES ($ops, '2026-11', 5, 2)" ],
	[ 'writes_target', "INSERT INTO kpi.target (kpi_id, period, value, low, high, points) VALUES ($ops, '2026-11', 5, 1, 2, '{{1,2},{3,4}}')" ],
	[ 'writes_unit', "INSERT INTO kpi.unit (path, share) VALUES ('acme.p', 0.5), ('acme.p.q', 1); UPDATE kpi.unit SET valid_from = '2020-01-01' WHERE path OPERATOR(public.=) 'acme.p'; UPDATE kpi.unit SET path = 'acme.o' WHERE path OPERATOR(public.=) 'acme.p'; DELETE FROM kpi.unit WHERE path OPERATOR(public.<@) 'acme.o'" ],
	[ 'writes_unit_history', "INSERT INTO kpi.unit_history (unit_id, effective_from, parent_unit_id, share) VALUES ($unit, '2026-10-01', $root, 0.5)" ],
	[ 'writes_measure', "INSERT INTO kpi.measure (code, scoring) VALUES ('v', 'curve'); UPDATE kpi.measure SET grain = 'day', multiplier = 2, scoring = 'step' WHERE code OPERATOR(pg_catalog.=) 'v'" ],
	[ 'writes_kpi', "INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) VALUES (1001, $unit, $ratio); UPDATE kpi.kpi SET unit_id = $apac WHERE kpi_id OPERATOR(pg_catalog.=) 1001; DELETE FROM kpi.kpi WHERE kpi_id OPERATOR(pg_catalog.=) 1001" ],
	[ 'writes_link', "INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes) VALUES ($top, $margin, 'score')" ],
	[ 'filer', "INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('acme.sales', 'revenue', '2026-11', 1)" ],
	[ 'planner', "INSERT INTO kpi.target_entry (unit, measure, period, value) VALUES ('acme.sales', 'revenue', '2026-11', 1)" ])
{
	my ($user, $sql) = @$case;
	works($user, $temp . $evil . "SET kpi_cascade.fold_mode = 'commit'; SET kpi_cascade.fold_after = 0;\n" . $sql, '', "past the traps: $user");
}
refused('writes_target', $temp . $evil . "INSERT INTO kpi.target (kpi_id, period, value, low, high) VALUES ($ops, '2026-12', 5, 3, 2)",
	qr/low "3" of a target is above high "2"/, 'rules hold past the traps');
works('boss', $evil . <<'SQL', '', 'the functions that write pass the traps');
SELECT kpi.record_fact('acme.sales', 'revenue', '2026-11', 1), kpi.set_fact('acme.sales', 'revenue', '2026-10', 1),
       kpi.set_target('acme.sales', 'revenue', '2026-11', 1), kpi.deploy('revenue', 'acme') \g /dev/null
SELECT kpi.set_share('acme.sales.apac', 0.75, '2026-11-01'), kpi.move_unit('acme.sales.apac', 'acme.ops', '2026-12-01') \g /dev/null
SELECT kpi.create_level_view(3, 'evil.departments') \g /dev/null
SELECT kpi.fold(), kpi.rebuild() \g /dev/null
SQL
works('boss', $evil . 'SELECT v.column_name FROM kpi.verify() v', '', 'so does the verification, and every figure is right');
for my $user (grep { $_ ne 'reads_sheet' } sort keys %reads)
{
	my $list = "SELECT v.unit::text || ' ' || v.period::text || ' ' || coalesce(v.score::text, '') FROM $reads{$user} v ORDER BY 1";
	(my $explicit = $list) =~ s/\|\|/OPERATOR(pg_catalog.||)/g;
	$explicit =~ s/ORDER BY 1/ORDER BY 1 USING OPERATOR(pg_catalog.<)/;
	works($user, $evil . $explicit, superuser($list), "and reading $reads{$user}");
}

done_testing();
