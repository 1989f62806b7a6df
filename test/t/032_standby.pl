# Standbys that read while the primary writes and folds, in all modes and in
# parts, beside prepared transactions and more subtransactions than a snapshot
# lists: every view equals the recomputation from the raw rows, each time in one
# snapshot of the standby.  One standby sends feedback, the other does not, and
# cancels what is in the way of what it replays.  Then one is promoted, and
# writing goes on there.
#
#   KPI_STANDBY_SECONDS  how long (default 15)
#   KPI_STRESS_SEED      as in 030_stress.pl
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use KpiStress;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = $ENV{KPI_STANDBY_SECONDS} || 15;
my $seed = $ENV{KPI_STRESS_SEED} || 1 + time % 1000000;
diag("KPI_STRESS_SEED=$seed");
my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', KpiStress::configuration());
$node->start;
my $stress = KpiStress->new(node => $node, seed => $seed, seconds => $seconds, folder => $node->basedir . '/stress');
$stress->set_up;
$node->backup('base');
my %standby;
for my $feedback (qw(on off))
{
	my $standby = $standby{$feedback} = PostgreSQL::Test::Cluster->new("feedback_$feedback");
	$standby->init_from_backup($node, 'base', has_streaming => 1);
	$standby->append_conf('postgresql.conf', "hot_standby_feedback = $feedback\nwal_receiver_status_interval = 1\nmax_standby_streaming_delay = "
		  . ($feedback eq 'on' ? "30s\n" : "1s\n"));
	$standby->start;
}
$node->safe_psql('postgres', 'SELECT kpi.start_worker()') if $stress->{worker};

sub caught_up
{
	$node->wait_for_catchup($standby{$_}, 'replay', $node->lsn('insert')) for qw(on off);
	return;
}

caught_up();
is($standby{$_}->safe_psql('postgres', 'SELECT * FROM differences(); SELECT * FROM wrong'), '', "feedback $_: all is right at the beginning") for qw(on off);

$stress->start(writer      => 1, '-c kpi_cascade.fold_after=0',         0.1);
$stress->start(writer      => 1, '-c kpi_cascade.fold_mode=background', 0.1);
$stress->start(writer      => 1, '-c kpi_cascade.fold_mode=manual',     0.1);
$stress->start(nester      => 1);
$stress->start(long_writer => 1);
$stress->start(folder      => 1, 0.05);
$stress->start(remover     => 1);
for my $feedback (qw(on off))
{
	$stress->start(checker => 1, 'wrong',         'READ COMMITTED',  1, 0,   $standby{$feedback});
	$stress->start(checker => 1, 'wrong',         'REPEATABLE READ', 4, 0.2, $standby{$feedback});
	$stress->start(checker => 1, 'differences()', 'REPEATABLE READ', 2, 0.3, $standby{$feedback});
}
my $count = $stress->finish;
my @caught = $stress->caught;
is(scalar @caught, 0, 'no figure was wrong, and nothing else either') or diag(join "\n", @caught[ 0 .. ($#caught < 9 ? $#caught : 9) ]);
diag(join ', ', map { "$_ " . ($count->{$_} || 0) } 'checker comparisons wrong', 'checker comparisons differences()', 'checker refused 40001', 'comparisons wrong_root',
	'commits', 'rollbacks', 'folds', 'partial folds', 'prepared', 'nested', 'removals');
my %least = (
	'checker comparisons wrong'         => 2,
	'checker comparisons differences()' => 0.2,
	'commits'                           => 2,
	'folds'                             => 0.2,
	$stress->{partial} ? ('partial folds' => 0.2) : (),
	'prepared' => 0.2,
	'nested'   => 0.1);
for (sort keys %least)
{
	my $n = $count->{$_} || 0;
	cmp_ok($n, '>=', $least{$_} * $seconds, "$_: $n");
}

# What is pending and prepared when the standby is promoted.
$node->safe_psql('postgres', q{SET kpi_cascade.fold_mode = manual; BEGIN; SAVEPOINT a;
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (900205, '2026-01', 5);
PREPARE TRANSACTION 'committed later'});
$node->safe_psql('postgres', q{SET kpi_cascade.fold_mode = manual; BEGIN;
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (900205, '2026-01', 7000);
PREPARE TRANSACTION 'rolled back later'});
$node->safe_psql('postgres', q{SET kpi_cascade.fold_mode = manual; SELECT kpi.fold();
INSERT INTO kpi.fact (kpi_id, period, value) VALUES (900206, '2026-01', 3)});
caught_up();
my $shown = 'SELECT count(*), md5(string_agg(a::text, chr(10) ORDER BY a.kpi_id, a.period)) FROM kpi.attainment a';
my $kept = q{SELECT actual FROM kpi.attainment WHERE kpi_id = 900201 AND period = '2026-01'};
is($standby{$_}->safe_psql('postgres', $shown), $node->safe_psql('postgres', $shown), "feedback $_: shows what the primary shows") for qw(on off);
is($standby{$_}->safe_psql('postgres', "$kept; SELECT * FROM differences(); SELECT * FROM kpi.verify()"), 3, "feedback $_: as recomputed, prepared changes are not shown") for qw(on off);

# All that steers reads there, too: nothing of it writes, locks or asks for what a standby has not.
my $steering = q{
SELECT 'trend', count(*), md5(string_agg(t::text, chr(10) ORDER BY t.kpi_id, t.period)) FROM kpi.trend t;
SELECT 'scorecard', count(*), md5(string_agg(s::text, chr(10) ORDER BY s.kpi_id, s.period)) FROM kpi.scorecard s;
SELECT 'alignment', count(*), md5(string_agg(a::text, chr(10) ORDER BY a::text)) FROM kpi.alignment a;
SELECT 'pace', count(*), md5(string_agg(p::text, chr(10) ORDER BY p.kpi_id, p.period)) FROM kpi.pace('2026-02-10') p;
SELECT 'objectives', count(*), md5(string_agg(o::text, chr(10) ORDER BY o.objective_id, o.period)) FROM kpi.objective_score o;
SELECT 'perspectives', count(*), md5(string_agg(p::text, chr(10) ORDER BY p.unit_id, p.period)) FROM kpi.perspective_score p;
WITH place AS (SELECT k.kpi_id, u.path, m.code FROM kpi.kpi k JOIN kpi.unit u USING (unit_id) JOIN kpi.measure m USING (measure_id) WHERE k.kpi_id IN (900001, 900015))
SELECT p.kpi_id, md5((SELECT string_agg(l::text, chr(10)) FROM kpi.line_of_sight(p.path, p.code, '2026-02') l)),
       md5((SELECT string_agg(d::text, chr(10)) FROM kpi.drivers(p.path, p.code, '2026-02') d)), md5(kpi.strategy_map(p.path, '2026-02')),
       kpi.forecast(p.path, p.code, '2026', 'linear'), kpi.suggest_target(p.path, p.code, '2026-04', 'average', n => 2),
       md5((SELECT string_agg(c::text, chr(10)) FROM kpi.cascade_target(p.path, p.code, '2026', 1000, dry_run => true) c)),
       md5((SELECT string_agg(c::text, chr(10)) FROM kpi.rollup_targets(p.path, p.code, '2026', dry_run => true) c)),
       (SELECT a.actual FROM kpi.attainment_as_known(now(), p.path, p.code, '2026-02') a),
       md5((SELECT string_agg(s::text, chr(10)) FROM kpi.series(p.path, p.code, '2026-02', 6) s)), md5(kpi.briefing(p.path, '2026-02')), md5(kpi.briefing(p.path, '2026-Q1')),
       md5(regexp_replace(kpi.report_html(p.path, '2026-02'), 'Computed on[^.]*', ''))
  FROM place p ORDER BY 1};
my $steered = $node->safe_psql('postgres', $steering);
is($standby{$_}->safe_psql('postgres', $steering), $steered, "feedback $_: trends, alignment, plans, forecasts, briefings and reports are those of the primary") for qw(on off);

$node->stop;
my $new = $standby{on};
$new->promote;
is($new->safe_psql('postgres', "SET kpi_cascade.fold_mode = manual; $kept; SELECT * FROM differences()"), 3, 'promoted: the same');
$new->safe_psql('postgres', q{COMMIT PREPARED 'committed later'});
is($new->safe_psql('postgres', "$kept; SELECT * FROM differences()"), 8, 'a prepared transaction of the old primary is committed');
$new->safe_psql('postgres', q{SET kpi_cascade.fold_mode = manual; SELECT kpi.fold(); ROLLBACK PREPARED 'rolled back later'});
is($new->safe_psql('postgres', "$kept; SELECT * FROM differences()"), 8, 'another one rolled back after a fold');

my $later = $seconds < 8 ? $seconds : 8;
@$stress{qw(node seconds)} = ($new, $later);
$stress->start(writer  => 2, '-c kpi_cascade.fold_after=0', 0.1);
$stress->start(folder  => 1, 0.05);
$stress->start(checker => 1, 'wrong', 'REPEATABLE READ', 2, 0.1);
$stress->start(checker => 1, 'differences()', 'READ COMMITTED', 1);
$count = $stress->finish;
@caught = $stress->caught;
is(scalar @caught, 0, 'writing goes on there, and no figure is wrong') or diag(join "\n", @caught[ 0 .. ($#caught < 9 ? $#caught : 9) ]);
cmp_ok($count->{commits} || 0, '>=', $later, 'commits: ' . ($count->{commits} || 0));
cmp_ok($count->{'comparisons wrong'} || 0, '>=', $later / 4, 'comparisons: ' . ($count->{'comparisons wrong'} || 0));
$new->safe_psql('postgres', "ROLLBACK PREPARED '$_'") for split /\n/, $new->safe_psql('postgres', 'SELECT gid FROM pg_prepared_xacts');
$new->safe_psql('postgres', 'SELECT kpi.fold()');
is($new->safe_psql('postgres', 'SELECT * FROM kpi.verify(); SELECT * FROM differences()'), '', 'at the end all is as recomputed');
is($new->safe_psql('postgres', 'SELECT kpi.rebuild()'), 0, 'and nothing for a rebuild to repair');

$_->stop for $standby{off}, $new;
done_testing();
