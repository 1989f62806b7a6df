# Many writers at once, and figures that are exact at every moment.
#
# Writers insert, update, move and delete facts of a tree of 31 units with
# savepoints, rollbacks, deadlocks, REPEATABLE READ and SERIALIZABLE, fold at
# each commit, after 32 changes or by hand, in the middle of transactions too;
# others move units, change shares, measures and links.  Meanwhile checkers
# compare, each time in one snapshot, what is shown with plain sums over the raw
# facts, and whoever writes compares before and after its savepoints.
#
# It must fail on builds of these kinds (tried by hand, by changing the source):
#  - no own-row rule in kpi_store_pending: rows that a folding transaction
#    writes after its fold are lost;
#  - cells read under a later snapshot than pending rows, 20 ms apart;
#  - the map of dirty cells kept when a subtransaction rolls back.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{KPI_STRESS_SECONDS} || 20;
my $node    = PostgreSQL::Test::Cluster->new('stress');
$node->init;
$node->append_conf('postgresql.conf', "max_connections = 60\nmax_prepared_transactions = 20\ndeadlock_timeout = 100ms\nautovacuum_naptime = 1");
$node->start;

# Two trees: facts of "free" (units 1 to 31, KPIs 1 to 31 sums and 101 to 131
# maxima) in a tree that stays, so that plain SQL can sum it up; facts of
# "moved" (KPIs 201 to 231) at units that are moved about, and change their
# share, which kpi.verify() recomputes.
$node->safe_psql(
	'postgres', q{
CREATE EXTENSION kpi_cascade;
INSERT INTO kpi.unit (unit_id, path)
WITH RECURSIVE t (n, path) AS (
    SELECT 1, 'u1' UNION ALL SELECT c, path || '.u' || c FROM t, LATERAL (VALUES (2 * n), (2 * n + 1)) v (c) WHERE c < 32)
SELECT n, path::kpi_path FROM t;
INSERT INTO kpi.unit (unit_id, path, code) SELECT 100 + n, ('m.m' || n)::kpi_path, 'code' || n FROM generate_series(1, 5) n UNION ALL SELECT 100, 'm', 'code0';
INSERT INTO kpi.measure (measure_id, code, rollup) VALUES (1, 'revenue', 'sum'), (2, 'longest', 'max'), (3, 'moved', 'sum');
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) SELECT n + 100 * (m - 1), n, m FROM generate_series(1, 31) n, generate_series(1, 2) m;
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) SELECT 200 + n, 100 + n, 3 FROM generate_series(0, 5) n;
INSERT INTO kpi.fact (kpi_id, period, value)
SELECT k.kpi_id, p::text::kpi_period, (k.kpi_id * 37 + m) % 1000
  FROM kpi.kpi k, generate_series(1, 3) m, LATERAL (SELECT '2026-0' || m) p (p);

-- who is beneath whom in the tree that stays
CREATE TABLE beneath AS
SELECT a.kpi_id AS above, b.kpi_id AS kpi_id
  FROM kpi.kpi a JOIN kpi.unit au USING (unit_id) JOIN kpi.kpi b ON b.measure_id = a.measure_id JOIN kpi.unit bu ON bu.unit_id = b.unit_id
 WHERE a.measure_id < 3 AND bu.path <@ au.path;
ANALYZE;

-- each KPI of that tree and each month and year: shown, and summed, in one
-- statement and so under one snapshot
CREATE VIEW wrong AS
SELECT kpi_id, period, s.actual AS shown, e.expected
  FROM (SELECT a.kpi_id, a.period::text, a.actual FROM kpi.attainment a WHERE a.measure IN ('revenue', 'longest') AND a.grain IN ('month', 'year')) s
  FULL JOIN (SELECT b.above AS kpi_id, p.period, CASE WHEN b.above > 100 THEN max(f.value) ELSE sum(f.value) END AS expected
               FROM beneath b JOIN kpi.fact f USING (kpi_id), LATERAL (VALUES (f.period::text), (left(f.period::text, 4))) p (period)
              GROUP BY b.above, p.period) e USING (kpi_id, period)
 WHERE s.actual IS DISTINCT FROM e.expected;
CREATE TABLE caught (at timestamptz DEFAULT clock_timestamp(), who text, what text);

-- the sum of one root month, for writers
CREATE FUNCTION root(p text, OUT shown numeric, OUT expected numeric) LANGUAGE sql STABLE AS
$$ SELECT (SELECT a.actual FROM kpi.attainment a WHERE a.kpi_id = 1 AND a.period = p::kpi_period),
          (SELECT sum(f.value) FROM kpi.fact f WHERE f.kpi_id < 100 AND f.period = p::kpi_period) $$;
CREATE FUNCTION check_root(who text, p text) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    r record;
BEGIN
    SELECT * INTO r FROM root(p);
    IF r.shown IS DISTINCT FROM r.expected THEN
        RAISE LOG 'caught: % in % shows % instead of %', who, p, r.shown, r.expected;
    END IF;
END
$$;
});

my %script = (
	# ---- writers: one transaction each
	insert => q{
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (:k, '2026-0:m', :v), (:k + 100, '2026-0:m', :v);
},
	block => q{
BEGIN;
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (:k, '2026-0:m', :v);
UPDATE kpi.fact SET value = value + 1 WHERE fact_id = (SELECT max(fact_id) FROM kpi.fact WHERE kpi_id = :j + 100 AND period = '2026-0:m');
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (:j, '2026-0:n', :v);
SELECT check_root('block', '2026-0:m');
END;
},
	# a rollback to a savepoint leaves the snapshot of a REPEATABLE READ transaction as it was
	savepoints => q{
\if :rollback
BEGIN ISOLATION LEVEL REPEATABLE READ;
\else
BEGIN;
\endif
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (:k, '2026-0:m', :v);
SAVEPOINT a;
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (:j, '2026-0:m', :v), (:k + 100, '2026-0:m', 5000);
SELECT check_root('in the savepoint', '2026-0:m');
ROLLBACK TO a;
SELECT check_root('after ROLLBACK TO', '2026-0:m');
SAVEPOINT b;
DELETE FROM kpi.fact WHERE fact_id = (SELECT max(fact_id) FROM kpi.fact WHERE kpi_id = :k + 100 AND period = '2026-0:n');
RELEASE b;
SELECT check_root('after RELEASE', '2026-0:m');
END;
},
	rollback => q{
BEGIN;
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (:k, '2026-0:m', 7777), (:k + 100, '2026-0:m', 7777);
DELETE FROM kpi.fact WHERE kpi_id = :j AND period = '2026-0:n' AND value > 500;
SELECT check_root('to be rolled back', '2026-0:m');
ROLLBACK;
},
	repeatable => q{
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT check_root('REPEATABLE READ', '2026-0:m');
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (:k, '2026-0:m', :v);
\sleep 5 ms
SELECT check_root('REPEATABLE READ, own writes', '2026-0:m');
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (:j, '2026-0:n', :v);
SELECT check_root('REPEATABLE READ, more of them', '2026-0:n');
END;
},
	serializable => q{
BEGIN ISOLATION LEVEL SERIALIZABLE;
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (:k, '2026-0:m', :v);
END;
},
	# ---- folds in the middle of transactions that others overtake
	folder => q{
BEGIN;
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (:k, '2026-0:m', :v);
\sleep 3 ms
SELECT kpi.fold();
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (:j, '2026-0:m', :v), (:j + 100, '2026-0:m', :v);
SELECT check_root('after its own fold', '2026-0:m');
SAVEPOINT a;
SELECT kpi.fold();
DELETE FROM kpi.fact WHERE fact_id = (SELECT max(fact_id) FROM kpi.fact WHERE kpi_id = :j + 100 AND period = '2026-0:m');
ROLLBACK TO a;
SELECT check_root('its second fold rolled back', '2026-0:m');
END;
},
	# ---- facts go as well, so that the tables stay small
	clean => q{
DELETE FROM kpi.fact WHERE fact_id IN (SELECT fact_id FROM kpi.fact WHERE kpi_id % 100 = :k AND kpi_id < 200 AND period = '2026-0:m' ORDER BY value DESC OFFSET 3);
},
	# ---- the tree that moves; units go beneath lower numbers only, so never in a circle
	move => q{
SELECT kpi.move_unit('code' || c, 'code' || :n, '2026-02-01') FROM (VALUES (3 + :m % 3)) v (c) WHERE :n < c;
},
	share => q{
BEGIN;
SELECT kpi.set_share('code' || :n, round(:v / 1000.0, 2), '2026-0:m-01');
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (200 + :n, '2026-0:m', :v);
\if :rollback
ROLLBACK;
\else
END;
\endif
},
	moved_facts => q{
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (200 + :n, '2026-0:m', :v);
DELETE FROM kpi.fact WHERE kpi_id = 200 + :n AND period = '2026-0:m' AND value < 100;
},
	targets => q{
INSERT INTO kpi.target (kpi_id, period, value) VALUES (:k, '2026-0:m', :v) ON CONFLICT (kpi_id, period) DO UPDATE SET value = excluded.value;
},
	# ---- checkers
	check => q{
INSERT INTO caught (who, what) SELECT 'statement', w::text FROM wrong w;
},
	check_transaction => q{
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO caught (who, what) SELECT 'transaction, first', w::text FROM wrong w;
\sleep 30 ms
INSERT INTO caught (who, what) SELECT 'transaction, later', w::text FROM wrong w;
END;
},
	check_all => q{
INSERT INTO caught (who, what) SELECT 'verify', v::text FROM kpi.verify() v;
});

my $head = join "\n", '\set k random(1, 31)', '\set j random(1, 31)', '\set m random(1, 3)', '\set n random(1, 5)', '\set v random(1, 999)', '\set rollback random(0, 1)', '';
my %file;
for my $name (keys %script)
{
	$file{$name} = $node->basedir . "/$name.pgbench";
	append_to_file($file{$name}, $head . $script{$name});
}

# [clients, settings, scripts]
my @groups = (
	[ 3, '-c kpi_cascade.fold_after=0',     qw(insert block savepoints rollback repeatable clean) ],
	[ 3, '-c kpi_cascade.fold_after=32',    qw(insert block savepoints rollback repeatable serializable targets clean) ],
	[ 2, '-c kpi_cascade.fold_mode=manual', qw(folder savepoints) ],
	[ 1, '-c kpi_cascade.fold_after=0',     qw(folder clean) ],
	[ 2, '-c kpi_cascade.fold_after=8',     qw(move share moved_facts) ],
	[ 1, '-c kpi_cascade.fold_mode=manual', qw(check check check_transaction) ],
	[ 1, '-c kpi_cascade.fold_mode=manual -c default_transaction_isolation=repeatable\ read', qw(check_all) ]);
my @runs;
for my $group (@groups)
{
	my ($clients, $options, @scripts) = @$group;
	my %run = (scripts => "@scripts", out => '');
	local $ENV{PGOPTIONS} = $options;
	$run{handle} = IPC::Run::start(
		[   'pgbench', '-n', '-c', $clients, '-j', 1, '-T', $seconds, '--max-tries', 20,
			(map { ('-f', $file{$_}) } @scripts), $node->connstr('postgres') ],
		'<', '/dev/null', '>&', \$run{out});
	push @runs, \%run;
}
for my $run (@runs)
{
	$run->{handle}->finish;
	my ($n) = $run->{out} =~ /number of transactions actually processed: (\d+)/;
	cmp_ok($n || 0, '>', 0, "$run->{scripts}: " . ($n || 0) . ' transactions');
	unlike($run->{out}, qr/aborted/, 'no client gave up') or diag($run->{out});
}

is($node->safe_psql('postgres', 'SELECT who, what FROM caught ORDER BY at LIMIT 5'), '', 'no checker caught a wrong figure');
my @caught = slurp_file($node->logfile) =~ /LOG:  (caught: .*)/g;
is(scalar @caught, 0, 'no writer saw a wrong figure') or diag(join "\n", @caught[ 0 .. ($#caught < 9 ? $#caught : 9) ]);
my $log = slurp_file($node->logfile);
unlike($log, qr/could not fold pending changes/, 'no fold failed');
unlike($log, qr/PANIC|TRAP|terminated by signal|ERROR:  (?!could not serialize|deadlock)/, 'and nothing else did')
  or diag(join "\n", ($log =~ /(ERROR: .*)/g)[ 0 .. 9 ]);
my $folds = $node->safe_psql('postgres', 'SELECT folds FROM kpi.fold_state');
cmp_ok($folds, '>', 20, "$folds folds");
is($node->safe_psql('postgres', 'SELECT * FROM kpi.verify()'), '', 'at the end all is as recomputed');
$node->safe_psql('postgres', 'SELECT kpi.fold()');
is($node->safe_psql('postgres', 'SELECT * FROM kpi.verify()'), '', 'and folded it still is');
is($node->safe_psql('postgres', 'SELECT * FROM wrong'), '', 'and sums up');
is($node->safe_psql('postgres', 'SELECT count(*) FROM kpi.dirty()'), 0, 'with nothing pending');
is($node->safe_psql('postgres', 'SELECT kpi.rebuild()'), 0, 'and nothing for a rebuild to repair');

$node->stop;
done_testing();
