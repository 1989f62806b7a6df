# A dump, restored in any of pg_dump's forms by an owner who is no superuser,
# gives the same rows in every table, the same history and, digit for digit, the
# same figures; and the next row of every table gets a key of its own.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('dump');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE boss LOGIN');
my $dir = $node->basedir;
my @tables = qw(level unit unit_history measure objective kpi link fact target target_revision fact_revision status_change
	member membership check_in review review_item action_item skill measure_skill training acknowledgement period_close reported);

sub as_boss
{
	my ($db, $sql) = @_;
	my ($rc, $out, $err) = $node->psql($db, $sql, on_error_stop => 1, extra_params => [ '-U', 'boss' ]);
	is("$rc $err", '0 ', "SQL in $db") or BAIL_OUT('cannot go on');
	return $out;
}

sub fresh
{
	my ($db) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $db OWNER boss TEMPLATE template0");
}

sub run
{
	my ($what, @command) = @_;
	my ($out, $err);
	my $rc = IPC::Run::run(\@command, '>', \$out, '2>', \$err);
	is($err, '', "$what says nothing");
	ok($rc, $what);
	return $out;
}

sub target { my ($db) = @_; return ('-h', $node->host, '-p', $node->port, '-U', 'boss', '-d', $db) }

# ---------------------------------------------------------------- what is dumped

fresh('source');
as_boss('source', 'CREATE EXTENSION kpi_cascade');
run('pg_dump', 'pg_dump', target('source'), '--data-only', '--inserts', '-f', "$dir/empty.sql");
unlike(slurp_file("$dir/empty.sql"), qr/^INSERT/m, 'installing inserts no row that would be dumped');

as_boss('source', <<'SQL');
INSERT INTO kpi.level (level_no, code, title) VALUES (1, 'group', 'The whole group'), (5, 'cell', 'Cells');
INSERT INTO kpi.unit (path, code, name, owner, share, valid_from, valid_to, attributes) VALUES
    ('acme', 'A', 'Acme', 'ann', 1, NULL, NULL, '{"since": 1900}'),
    ('acme.sales', 'S', 'Sales', NULL, 1, NULL, NULL, '{}'),
    ('acme.sales.emea', NULL, 'EMEA', NULL, 0.75, NULL, NULL, '{}'),
    ('acme.sales.emea.dach', NULL, 'DACH', NULL, 1, NULL, NULL, '{}'),
    ('acme.sales.emea.dach.south', NULL, NULL, NULL, 1, '2025-02-01', '2026-09-01', '{}'),
    ('acme.sales.apac', NULL, 'APAC', NULL, 1, NULL, NULL, '{}'),
    ('acme.ops', NULL, 'Operations', NULL, 1, NULL, NULL, '{}');
INSERT INTO kpi.measure (code, name, unit_of_measure, attributes) VALUES ('revenue', 'Revenue', 'EUR', '{"gaap": true}'), ('cost', NULL, 'EUR', '{}'), ('other', NULL, 'EUR', '{}');
INSERT INTO kpi.measure (code, time_rollup) VALUES ('headcount', 'last');
-- one that comes before the one it replaces
UPDATE kpi.measure SET replaces_measure_id = (SELECT measure_id FROM kpi.measure WHERE code = 'headcount') WHERE code = 'other';
INSERT INTO kpi.measure (code, rollup, multiplier, rolls_up) VALUES ('margin', 'ratio', 100, false), ('growth', 'sum', 100, false);
INSERT INTO kpi.measure (code, rollup, direction, scoring, result_weight, exceeded_from) VALUES ('quality', 'mean', 'lower', 'range', 0.5, 1);
INSERT INTO kpi.measure (code, rollup, scoring, grain, fiscal_start, rolls_up) VALUES ('nps', 'weighted_mean', 'curve', 'quarter', 4, false);
INSERT INTO kpi.measure (code, grain, scoring) VALUES ('visits', 'day', 'progress');
SELECT kpi.deploy('revenue', 'acme'), kpi.deploy('cost', 'acme'), kpi.deploy('headcount', 'acme'), kpi.deploy('quality', 'acme', ARRAY[1, 2]),
       kpi.deploy('nps', 'acme', ARRAY[1]), kpi.deploy('visits', 'acme', ARRAY[2, 3]), kpi.deploy('margin', 'acme', ARRAY[1]),
       kpi.deploy('growth', 'acme', ARRAY[1]), kpi.deploy('other', 'acme', ARRAY[2]) \g /dev/null
-- a parent that comes after its child, in the dump too
INSERT INTO kpi.objective (objective_id, code, name, kind, perspective, parent_objective_id, unit_id, weight, attributes) VALUES
    (10, 'sell', 'Sell more', 'strategic_objective', 'financial', 20, (SELECT unit_id FROM kpi.unit WHERE code = 'S'), 2.50, '{"a": 1}'),
    (20, 'mission', 'Serve', 'mission', NULL, NULL, NULL, 1, '{}');
SELECT setval('kpi.objective_objective_id_seq', 20) \g /dev/null
UPDATE kpi.kpi SET objective_id = 10 WHERE kpi_id = kpi.kpi_id('acme.sales', 'revenue');
UPDATE kpi.kpi SET owner = 'olga', weight = 2.50, valid_from = '2024-01-01' WHERE kpi_id = kpi.kpi_id('acme.ops', 'revenue');
SELECT kpi.link_kpi('acme', 'revenue', 'acme', 'margin', 'numerator'), kpi.link_kpi('acme', 'cost', 'acme', 'margin', 'denominator', 1.5),
       kpi.link_kpi('acme', 'revenue', 'acme', 'growth', 'growth'), kpi.link_kpi('acme.ops', 'quality', 'acme', 'quality', 'score', 2, '2025-03-01', '2026-03-01'),
       kpi.link_kpi('acme', 'revenue', 'acme', 'quality', 'score'), kpi.link_kpi('acme.sales', 'cost', 'acme', 'quality', 'aligned'),
       kpi.link_kpi('acme.ops', 'other', 'acme.ops', 'cost', 'value', -0.25) \g /dev/null
INSERT INTO kpi.fact (kpi_id, period, value, weight, reference, recorded_at, note)
SELECT k.kpi_id, ('2025-01'::kpi_period + i), 100.50 + 7 * i + k.kpi_id / 8.0, 1 + i % 3, format('%s/%s', k.kpi_id, i), '2026-01-01 12:00Z'::timestamptz + i * interval '1 minute', CASE i WHEN 3 THEN E'tab\tand\nnewline' END
  FROM kpi.kpi k JOIN kpi.measure m USING (measure_id), generate_series(0, 17) i
 WHERE m.grain = 'month' AND m.code NOT IN ('margin', 'growth');
INSERT INTO kpi.fact (kpi_id, period, value) SELECT k.kpi_id, ('2025-05-28'::kpi_period + i), i FROM kpi.kpi k JOIN kpi.measure m USING (measure_id), generate_series(0, 9) i WHERE m.code = 'visits';
INSERT INTO kpi.fact (kpi_id, period, value, weight) SELECT k.kpi_id, p, v, w FROM kpi.kpi k JOIN kpi.measure m USING (measure_id), (VALUES ('FY2026-Q1/04'::kpi_period, 41, 300), ('FY2026-Q2/04', 38.5, 120)) f (p, v, w) WHERE m.code = 'nps';
INSERT INTO kpi.target (kpi_id, period, value, note) SELECT k.kpi_id, ('2025-01'::kpi_period + i), 120, 'plan' FROM kpi.kpi k JOIN kpi.measure m USING (measure_id), generate_series(0, 11) i WHERE m.code IN ('revenue', 'cost');
INSERT INTO kpi.target (kpi_id, period, value) SELECT k.kpi_id, '2026', 5000 FROM kpi.kpi k JOIN kpi.measure m USING (measure_id) WHERE m.code IN ('revenue', 'headcount');
INSERT INTO kpi.target (kpi_id, period, low, high) SELECT k.kpi_id, '2025', 90, 150.00 FROM kpi.kpi k JOIN kpi.measure m USING (measure_id) WHERE m.code = 'quality';
INSERT INTO kpi.target (kpi_id, period, points) SELECT k.kpi_id, 'FY2026/04', '{{50,1.2},{0,0},{30,0.9}}' FROM kpi.kpi k JOIN kpi.measure m USING (measure_id) WHERE m.code = 'nps';
INSERT INTO kpi.target (kpi_id, period, value, baseline) SELECT k.kpi_id, '2025-06', 30, 10 FROM kpi.kpi k JOIN kpi.measure m USING (measure_id) WHERE m.code = 'visits';
-- the past as it was: shares, a move, a move back, a unit beneath one that is newer and comes later in the dump
SELECT kpi.set_share('acme.sales.emea', 0.5, '2025-07-01'), kpi.move_unit('acme.sales.emea.dach', 'acme.ops', '2025-09-01') \g /dev/null
SELECT kpi.move_unit('acme.sales.apac', 'acme.ops', '2025-04-01'), kpi.move_unit('acme.ops.apac', 'acme.sales', '2025-10-01') \g /dev/null
INSERT INTO kpi.unit (path, name, level_no) VALUES ('acme.late', 'Late', 2);
SELECT kpi.move_unit('acme.sales.emea', 'acme.late', '2026-02-01') \g /dev/null
UPDATE kpi.unit SET path = 'acme.operations' WHERE path = 'acme.ops';
DELETE FROM kpi.fact WHERE reference LIKE '%/16';
-- revisions of targets and facts, which no restore makes anew
UPDATE kpi.fact SET value = value + 1, note = 'booked late' WHERE reference LIKE '%/15';
-- the management loop: replies before what they answer in the dump, a member who is gone, one whose role has been named since
INSERT INTO kpi.member (name, email, role_name, valid_from, attributes) VALUES (E'O\'Brien "🦄"\n<דנה>', 'o@example.org', NULL, '2025-01-01', '{"a": 1}'), ('gone', NULL, NULL, NULL, '{}'), ('Boss', NULL, NULL, NULL, '{}');
INSERT INTO kpi.membership (member_id, unit_id, function, valid_from) SELECT m.member_id, u.unit_id, 'lead', '2025-01-01' FROM kpi.member m, kpi.unit u WHERE u.code IN ('A', 'S');
INSERT INTO kpi.membership (member_id, unit_id, valid_to) SELECT m.member_id, u.unit_id, '2025-01-01' FROM kpi.member m, kpi.unit u WHERE u.code = 'S';
SELECT kpi.check_in('acme', 'revenue', '2025', E'tab\t and\nnewline', 0.50, 1234.50), kpi.check_in('acme', 'nps', 'FY2026/04') \g /dev/null
SELECT kpi.check_in('acme', 'revenue', '2025', 'because', reply_to => min(check_in_id)) FROM kpi.check_in \g /dev/null
UPDATE kpi.check_in SET comment = comment || '!' WHERE reply_to IS NULL;
UPDATE kpi.member SET role_name = 'boss' WHERE name = 'Boss';
INSERT INTO kpi.review (unit_id, held_on, period, chair, summary) SELECT unit_id, '2025-03-04', '2025-02', 'gone', 'all well' FROM kpi.unit WHERE code = 'A';
INSERT INTO kpi.review_item (review_id, kpi_id, discussion) SELECT review_id, kpi.kpi_id('acme', 'revenue'), 'long' FROM kpi.review;
INSERT INTO kpi.review_item (review_id, objective_id, decision) SELECT review_id, 10, 'go on' FROM kpi.review;
INSERT INTO kpi.action_item (kpi_id, review_id, description, owner, due_on, done_on) SELECT kpi.kpi_id('acme', 'revenue'), review_id, 'sell', 'gone', '2025-04-01', '2025-05-01' FROM kpi.review;
INSERT INTO kpi.action_item (objective_id, description, state) VALUES (10, 'stop', 'cancelled'), (20, 'go', 'open');
INSERT INTO kpi.skill (code, name) VALUES ('sell', 'Selling'), ('count', NULL);
INSERT INTO kpi.measure_skill SELECT measure_id, skill_id FROM kpi.measure, kpi.skill WHERE measure.code IN ('revenue', 'cost');
INSERT INTO kpi.training (member_id, skill_id, completed_on, expires_on) SELECT member_id, skill_id, '2025-01-01', '2027-01-01' FROM kpi.member, kpi.skill;
SELECT kpi.acknowledge('sell', name), kpi.acknowledge('mission', name) FROM kpi.member \g /dev/null
DELETE FROM kpi.member WHERE name = 'gone';
UPDATE kpi.measure SET due_after = '1 month 3 days' WHERE code = 'revenue';
BEGIN; SET LOCAL kpi_cascade.reason = 'second round'; UPDATE kpi.target SET value = 4900.50, locked = true WHERE period = '2026' AND value = 5000; COMMIT;
-- changes of status, which none makes anew either: one of a KPI that is gone, too
SELECT kpi.fold() \g /dev/null
UPDATE kpi.fact SET value = value * 2 WHERE reference LIKE '%/3';
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) SELECT 9000, unit_id, measure_id FROM kpi.unit, kpi.measure WHERE path = 'acme' AND measure.code = 'other';
INSERT INTO kpi.target (kpi_id, period, value) VALUES (9000, '2025-03', 1);
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (9000, '2025-03', 1);
SELECT kpi.fold() \g /dev/null
DELETE FROM kpi.fact WHERE kpi_id = 9000;
DELETE FROM kpi.target WHERE kpi_id = 9000;
DELETE FROM kpi.kpi WHERE kpi_id = 9000;
SELECT kpi.fold() \g /dev/null
-- closed, opened and closed anew, for a unit and for all: what is closed is restored all the same
SELECT kpi.close_period('2025-03', 'acme.sales.apac'), kpi.close_period('2025-06', 'acme.sales.apac', 'half-year'), kpi.close_period('2025-05-30') \g /dev/null
SELECT kpi.reopen_period('2025-05-30', E'one visit\ttoo many') \g /dev/null
UPDATE kpi.fact SET value = value + 1 WHERE period = '2025-05-30';
SELECT kpi.close_period('2025-05-30') \g /dev/null
SQL

my $attainment = q{SELECT a::text FROM kpi.attainment a ORDER BY a.kpi_id, a.period};
sub rows_of { my ($table) = @_; return "SELECT t::text FROM kpi.$table t ORDER BY 1" }
my %before = map { $_ => as_boss('source', rows_of($_)) } @tables;
my $figures = as_boss('source', $attainment);
my $paths = $node->safe_psql('source', rows_of('unit_path'));
cmp_ok(scalar(split /\n/, $figures), '>', 500, 'there are many figures');
cmp_ok(scalar(split /\n/, $before{unit_history}), '==', 8 + 5, 'and some history: a row per unit, one share, four moves');
is(as_boss('source', 'SELECT count(*) FROM kpi.verify()'), '0', 'the source is healthy');
is(as_boss('source', q{SELECT string_agg(DISTINCT contributes, ' ' ORDER BY contributes) FROM kpi.link}),
	'aligned denominator growth numerator score value', 'with links of every kind');
cmp_ok(as_boss('source', 'SELECT count(*) FROM kpi.status_change'), '>', 200, 'and many changes of status');
# what was kept last is what is shown; in the cells without a verdict nothing may have been kept
my $kept = q{SELECT a.kpi_id, a.period, a.status, c.new_status FROM kpi.attainment a
	LEFT JOIN LATERAL (SELECT new_status FROM kpi.status_change c WHERE c.kpi_id = a.kpi_id AND c.period = a.period ORDER BY status_change_id DESC LIMIT 1) c ON true
	WHERE a.status IS DISTINCT FROM c.new_status AND (a.status > 'no_target' OR c.new_status IS NOT NULL)};
is(as_boss('source', $kept), '', 'the last of which lead to the statuses shown');

# ---------------------------------------------------------------- restored

# The first rows written into a restored database: each table's next key is free.
my $next = <<'SQL';
INSERT INTO kpi.level (level_no, code) VALUES (9, 'ninth');
INSERT INTO kpi.unit (path) VALUES ('acme.next');
INSERT INTO kpi.measure (code) VALUES ('next');
SELECT kpi.deploy('next', 'acme') \g /dev/null
SELECT kpi.link_kpi('acme', 'next', 'acme', 'quality', 'score') \g /dev/null
INSERT INTO kpi.fact_entry (unit, measure, period, value, reference) VALUES ('acme.next', 'next', '2026-01', 5, 'next');
INSERT INTO kpi.target_entry (unit, measure, period, value) VALUES ('acme', 'next', '2026-01', 4);
UPDATE kpi.fact_entry SET value = 6 WHERE reference = 'next';
SELECT kpi.move_unit('acme.next', 'acme.late', '2026-05-01') \g /dev/null
INSERT INTO kpi.objective (code, parent_objective_id) VALUES ('next', 10);
INSERT INTO kpi.member (name) VALUES ('next');
INSERT INTO kpi.membership (member_id, unit_id) SELECT member_id, kpi.unit_id('acme') FROM kpi.member WHERE name = 'next';
SELECT kpi.check_in('acme', 'revenue', '2025', 'next', reply_to => min(check_in_id)) FROM kpi.check_in \g /dev/null
INSERT INTO kpi.review (unit_id, period) VALUES (kpi.unit_id('acme'), '2026-01');
INSERT INTO kpi.review_item (review_id, objective_id) SELECT max(review_id), 10 FROM kpi.review;
INSERT INTO kpi.action_item (objective_id, description) VALUES (10, 'next');
INSERT INTO kpi.skill (code) VALUES ('next');
INSERT INTO kpi.training (member_id, skill_id, completed_on) SELECT m.member_id, s.skill_id, '2026-01-01' FROM kpi.member m, kpi.skill s WHERE m.name = 'next' AND s.code = 'next';
SELECT kpi.acknowledge('next', 'next') \g /dev/null
SELECT kpi.fold() \g /dev/null
SELECT (SELECT max(member_id) FROM kpi.member), (SELECT max(membership_id) FROM kpi.membership), (SELECT max(check_in_id) FROM kpi.check_in), (SELECT max(review_id) FROM kpi.review),
       (SELECT max(review_item_id) FROM kpi.review_item), (SELECT max(action_item_id) FROM kpi.action_item), (SELECT max(skill_id) FROM kpi.skill),
       (SELECT max(training_id) FROM kpi.training), (SELECT max(acknowledgement_id) FROM kpi.acknowledgement);
SELECT kpi.close_period('2024-12') \g /dev/null
SELECT (SELECT max(objective_id) FROM kpi.objective), (SELECT max(unit_id) FROM kpi.unit), (SELECT max(measure_id) FROM kpi.measure), (SELECT max(kpi_id) FROM kpi.kpi),
       (SELECT max(link_id) FROM kpi.link), (SELECT max(fact_id) FROM kpi.fact), (SELECT max(target_id) FROM kpi.target),
       (SELECT max(target_revision_id) FROM kpi.target_revision), (SELECT max(fact_revision_id) FROM kpi.fact_revision),
       (SELECT max(status_change_id) FROM kpi.status_change), (SELECT max(period_close_id) FROM kpi.period_close);
SQL
my $keys;

sub same
{
	my ($db, $what) = @_;
	is(as_boss($db, rows_of($_)), $before{$_}, "$what: rows of kpi.$_") for @tables;
	is(as_boss($db, $attainment), $figures, "$what: kpi.attainment in every column");
	is(as_boss($db, 'SELECT * FROM kpi.verify()'), '', "$what: nothing to verify");
	is($node->safe_psql($db, rows_of('unit_path')), $paths, "$what: paths over time");
	as_boss($db, 'SELECT kpi.fold() \g /dev/null');
	is(as_boss($db, $attainment), $figures, "$what: the same once all is folded");
	is(as_boss($db, rows_of('status_change')), $before{status_change}, "$what: no status has changed by that");
	is(as_boss($db, 'SELECT * FROM kpi.reported_difference WHERE in_force AND differs'), '', "$what: closed figures are those reported");
	like(($node->psql($db, "INSERT INTO kpi.fact (kpi_id, period, value) SELECT kpi_id, '2025-05-30', 1 FROM kpi.reported WHERE period = '2025-05-30'", extra_params => [ '-U', 'boss' ]))[2],
		qr/period "2025-05-30" .* is closed/, "$what: and stay so");
	my $got = as_boss($db, $next);
	$keys //= $got;
	is($got, $keys, "$what: new rows get the next keys");
	is(as_boss($db, 'SELECT * FROM kpi.verify()'), '', "$what: and count");
}

my $n = 0;
for my $form ([], ['--inserts'], [ '--column-inserts', '--rows-per-insert=3' ])
{
	my $db = 'plain' . ++$n;
	fresh($db);
	run("pg_dump @$form", 'pg_dump', target('source'), @$form, '-f', "$dir/$db.sql");
	my $text = slurp_file("$dir/$db.sql");
	unlike($text, qr/kpi\.(?:cell|pending|fold_state|unit_path|graph_version|view_key|fold_lock|link_lock|objective_lock)\b/, "a plain dump @$form has nothing that the extension keeps for itself");
	run("psql of pg_dump @$form", 'psql', '-X', '-q', '-o', "$dir/$db.out", '-v', 'ON_ERROR_STOP=1', target($db), '-f', "$dir/$db.sql");
	same($db, "plain @$form");
}

fresh('custom');
run('pg_dump -Fc', 'pg_dump', target('source'), '-Fc', '-f', "$dir/custom.dump");
run('pg_restore', 'pg_restore', target('custom'), '--exit-on-error', "$dir/custom.dump");
same('custom', 'custom');

fresh('again');
run('pg_restore --single-transaction', 'pg_restore', target('again'), '--single-transaction', "$dir/custom.dump");
same('again', 'custom in one transaction');

for my $form ([], ['--inserts'])
{
	my $db = 'prepared' . ++$n;
	fresh($db);
	as_boss($db, 'CREATE EXTENSION kpi_cascade');
	run("pg_dump --data-only @$form", 'pg_dump', target('source'), '--data-only', @$form, '-f', "$dir/$db.sql");
	run("psql of pg_dump --data-only @$form", 'psql', '-X', '-q', '-o', "$dir/$db.out", '-v', 'ON_ERROR_STOP=1', target($db), '-f', "$dir/$db.sql");
	same($db, "data only @$form");
}

# Without triggers nothing is captured: kpi.rebuild() finds it.
fresh('untriggered');
as_boss('untriggered', 'CREATE EXTENSION kpi_cascade');
my @super = ('-h', $node->host, '-p', $node->port);
run('pg_dump --disable-triggers', 'pg_dump', @super, '-d', 'source', '--data-only', '--disable-triggers', '-f', "$dir/untriggered.sql");
run('psql of it', 'psql', '-X', '-q', '-o', "$dir/untriggered.out", '-v', 'ON_ERROR_STOP=1', @super, '-d', 'untriggered', '-f', "$dir/untriggered.sql");
my $triggers = q{SELECT tgrelid::regclass, CASE WHEN NOT tgisinternal THEN tgname END, tgfoid::regproc, tgenabled FROM pg_trigger t
	WHERE tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'kpi'::regnamespace) ORDER BY 1, 2, 3, 4};
my $installed = $node->safe_psql('source', $triggers);
isnt($node->safe_psql('untriggered', $triggers), $installed, 'such a dump leaves triggers enabled otherwise than installed');
as_boss('untriggered', "SET client_min_messages = warning; SELECT kpi.rebuild() \\g /dev/null");
is($node->safe_psql('untriggered', $triggers), $installed, 'kpi.rebuild() sets them right');
same('untriggered', 'rebuilt after --disable-triggers');

# a dump of the restored database is a dump of the same again
run('pg_dump of the first copy', 'pg_dump', target('plain1'), '-Fc', '-f', "$dir/second.dump");
fresh('second');
run('its pg_restore', 'pg_restore', target('second'), '--exit-on-error', "$dir/second.dump");
is(as_boss('second', $attainment), as_boss('plain1', $attainment), 'a copy of the copy, with its new rows, has the figures of the copy');
is(as_boss('second', rows_of('unit_history')), as_boss('plain1', rows_of('unit_history')), 'and its history');

done_testing();
