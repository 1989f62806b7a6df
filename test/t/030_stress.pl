# Many writers at once, and figures that are exact at every moment.
#
# Writers do all that users can do to facts, targets, measures, units, KPIs and
# links, in all fold modes, with savepoints, rollbacks, prepared transactions
# and all isolation levels; others fold, wholly and in part, in the middle of
# transactions too, keep transactions open, take away a lot, and end the sessions of
# the rest.  Meanwhile checkers compare what every view shows with the
# recomputation from the raw rows, each time in one snapshot, and somebody reads
# changes of status from where he left off, and must miss none
# (test/perl/KpiStress.pm says more).
#
#   KPI_STRESS_SECONDS  how long (default 30)
#   KPI_STRESS_SEED     the seed (default: from the time); what sessions do
#                       follows from it, when they meet does not
#   KPI_STRESS_MUTANT   a build of the library that is broken on purpose: stop at
#                       the first wrong figure, and say how long it took
#
# 033_mutants.pl runs this with builds that it must fail on.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use KpiStress;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $seconds = $ENV{KPI_STRESS_SECONDS} || 30;
my $seed = $ENV{KPI_STRESS_SEED} || 1 + time % 1000000;
my $node = PostgreSQL::Test::Cluster->new('stress');
$node->init;
$node->append_conf('postgresql.conf', KpiStress::configuration());
$node->append_conf('postgresql.conf', $ENV{KPI_STRESS_CONF}) if $ENV{KPI_STRESS_CONF};
$node->start;

my $stress = KpiStress->new(node => $node, seed => $seed, seconds => $seconds, folder => $node->basedir . '/stress', library => $ENV{KPI_STRESS_MUTANT});
diag("KPI_STRESS_SEED=$seed KPI_STRESS_SECONDS=$seconds");
$stress->set_up;
is($node->safe_psql('postgres', 'SELECT * FROM kpi.verify(); SELECT * FROM differences(); SELECT * FROM wrong; SELECT * FROM wrong_root'), '', 'all is right at the beginning');
$node->safe_psql('postgres', 'SELECT kpi.start_worker()') if $stress->{worker};

my $begun = time;
$stress->start(writer      => 2, '-c kpi_cascade.fold_after=0 -c kpi_cascade.notify=on', 0.15);
$stress->start(writer      => 1, '-c kpi_cascade.fold_after=32',        0.15);
$stress->start(writer      => 1, '-c kpi_cascade.fold_mode=background', 0.15);
$stress->start(writer      => 1, '-c kpi_cascade.fold_mode=manual',     0.15);
$stress->start(long_writer => 1);
$stress->start(folder      => 1, 0.05);
$stress->start(folder      => 1, 0.5);
$stress->start(remover   => 1);
$stress->start(killer      => 1, 0.5);
$stress->start(consumer    => 1);
$stress->start(checker     => 1, 'wrong',         'READ COMMITTED',  1);
$stress->start(checker     => 1, 'wrong',         'REPEATABLE READ', 3, 0.1);
$stress->start(checker     => 1, 'differences()', 'READ COMMITTED',  1);
$stress->start(checker     => 1, 'differences()', 'REPEATABLE READ', 2, 1);
my $count = $stress->finish($ENV{KPI_STRESS_MUTANT});

my @caught = $stress->caught;
my @first = ((grep { !/^behind it/ } @caught)[ 0 .. 9 ], (grep { /^behind it/ } @caught)[ 0 .. 199 ]);
is(scalar @caught, 0, 'no figure was wrong, and nothing else either') or diag(join "\n", grep { defined } @first);
diag(sprintf 'caught after %.1f s', time - $begun) if @caught;
$count->{prepared_left} = $node->safe_psql('postgres', 'SELECT count(*) FROM pg_prepared_xacts');
diag(join ', ', map { "$_ $count->{$_}" } grep { !/^(?:writer|long_writer|folder|remover|killer|checker|consumer) / } sort keys %$count);
if ($ENV{KPI_STRESS_MUTANT})
{
	$node->stop('immediate');
	done_testing();
	exit;
}

# A test that compares nothing fails: a machine that is slower than a tenth of
# the slowest known, or roles that only meet errors.
my %least = (
	'comparisons wrong'         => 1,
	'comparisons wrong_root'    => 1,
	'comparisons differences()' => 0.1,
	'commits'                   => 3,
	'rollbacks'                 => 0.3,
	'rollbacks to savepoints'   => 0.1,
	'prepared'                  => 0.2,
	'commit prepared'           => 0.1,
	'rollback prepared'         => 0.05,
	'folds'                     => 0.2,
	$stress->{partial} ? ('partial folds' => 0.2) : (),
	'removals'                => 0.02,
	'changes read'            => 1,
	'comparisons broken_status' => 0.1,
	'killed by terminate'     => 0.1,
	'killed by cancel'        => 0.1);
for (sort keys %least)
{
	my $n = $count->{$_} || 0;
	cmp_ok($n, '>=', $least{$_} * $seconds, "$_: $n");
}

# what was prepared and not ended is still not shown
is($node->safe_psql('postgres', 'SELECT * FROM differences()'), '', 'at the end all is as recomputed');
for my $gid (split /\n/, $node->safe_psql('postgres', 'SELECT gid FROM pg_prepared_xacts ORDER BY gid'))
{
	$node->safe_psql('postgres', (int rand 2 ? 'COMMIT' : 'ROLLBACK') . " PREPARED '$gid'");
}
is($node->safe_psql('postgres', 'SELECT * FROM differences()'), '', 'with prepared transactions ended');
$node->safe_psql('postgres', 'SELECT kpi.fold()');
is($node->safe_psql('postgres', 'SELECT * FROM differences(); SELECT * FROM kpi.verify(); SELECT * FROM wrong'), '', 'and folded');
is($node->safe_psql('postgres', 'SELECT count(*) FROM kpi.dirty()'), 0, 'with nothing pending');
is($node->safe_psql('postgres', 'SELECT * FROM wrong_status; SELECT * FROM broken_status'), '', 'changes of status lead to those in the cells');
is(join(' ', $stress->consumed), '0 0 0', 'whoever read them as they came missed none, and read none twice or that is not there');
my $last_change = $node->safe_psql('postgres', 'SELECT max(status_change_id) FROM kpi.status_change');
is($node->safe_psql('postgres', 'SELECT kpi.rebuild()'), 0, 'and nothing for a rebuild to repair');
is($node->safe_psql('postgres', 'SELECT max(status_change_id) FROM kpi.status_change'), $last_change, 'or to tell');
my $folds = $node->safe_psql('postgres', 'SELECT folds FROM kpi.fold_state');
cmp_ok($folds, '>=', $seconds, "$folds folds");

my $log = slurp_file($node->logfile);
unlike($log, qr/PANIC|TRAP|terminated by signal|ERROR:  (?:XX|could not open|could not read|cache lookup|invalid memory|tuple concurrently)/, 'the log is clean')
  or diag(join "\n", ($log =~ /(.*(?:PANIC|TRAP|terminated by|ERROR: ).*)/g)[ 0 .. 9 ]);

$node->stop;
done_testing();
