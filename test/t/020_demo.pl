# The demo loads, prints, and shows what its own facts add up to.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('demo');
$node->init;
$node->start;

my ($rc, $out, $err) = $node->psql('postgres', slurp_file('demo/demo.sql'), on_error_stop => 1);
is($rc,  0,  'demo.sql loads');
is($err, '', 'without a message');
for my $period (qw(2025 2026-Q3 2026-09))
{
	($rc, $out, $err) = $node->psql(
		'postgres', slurp_file('demo/show.sql'),
		on_error_stop => 1,
		extra_params  => [ '-v', "period=$period" ]);
	is("$rc $err", '0 ', "show.sql shows $period");
	# cut off, not rounded, whoever shows it
	my $score = $node->safe_psql('postgres', "SELECT trunc(100 * score, 1) || '%' FROM kpi.unit_score WHERE unit = 'acme' AND period = '$period'");
	next if $score eq '';
	my ($tour) = map { $_->[8] } grep { @$_ == 10 && $_->[0] eq 'Acme Group' } map { [ split /\|/ ] } split /\n/, $out;
	is("$tour%", $score, "the tour's score of the group in $period");
	is($node->safe_psql('postgres', "SELECT substring(kpi.report_html('acme', '$period') FROM '<div class=.result.><b>([^<]*)')"), $score, 'is that of the page');
}

# Plain SQL over the facts, with the share of 60 % and the move of July 2026 written out.
for my $case (
	[ 'acme', '2026-Q3', 1, q{period BETWEEN '2026-07' AND '2026-09'} ],
	[ 'acme', '2025',    1, q{period BETWEEN '2025-01' AND '2025-12'} ],
	[ 'acme.retail.sales',   '2026-H1', 0, q{period BETWEEN '2026-01' AND '2026-06' AND unit ~ 'north|south'} ],
	[ 'acme.retail.sales',   '2026-H2', 0, q{period BETWEEN '2026-07' AND '2026-12' AND unit ~ 'north|south|stores'} ],
	[ 'acme.retail.service', '2026',    0, q{period LIKE '2026%' AND (unit ~ 'hotline' OR unit ~ 'stores' AND period < '2026-07')} ])
{
	my ($unit, $period, $shared, $facts) = @$case;
	is( $node->safe_psql('postgres', "SELECT actual FROM kpi.scorecard WHERE unit = '$unit' AND measure = 'revenue' AND period = '$period'"),
		$node->safe_psql('postgres',
			"SELECT trim_scale(sum(value * CASE WHEN $shared = 1 AND unit LIKE 'acme.cloud.%' THEN 0.6 ELSE 1 END)) FROM kpi.fact_entry WHERE measure = 'revenue' AND $facts"),
		"revenue of $unit in $period");
}

# September 2026, i = 20: team t has 6 + t + 5 people and digital marketing 5, so 8 * 11 + 36 + 5 = 129; a year stands as its last month
is( $node->safe_psql('postgres', q{SELECT actual FROM kpi.scorecard WHERE unit = 'acme' AND measure = 'headcount' AND period = '2026'}),
	'129', 'headcount of the year is that of its end');
# Four questions, one SELECT each.
# Why is corporate amber?  Its scores that are below 1 are the reason, the largest gap first.
is( $node->safe_psql('postgres', q{SELECT measure FROM kpi.explain('acme', period => '2026-Q3', max_depth => 1) WHERE depth = 1 AND shortfall > 0 ORDER BY shortfall DESC}),
	$node->safe_psql('postgres', q{SELECT measure FROM kpi.corporate_scorecard WHERE period = '2026-Q3' AND score < 1 ORDER BY score}),
	'why is corporate amber');
# Which team's miss costs the corporation most?  By hand: the miss of each team from its facts, that of Cloud's times 0.6.
is( $node->safe_psql('postgres', q{SELECT unit, trim_scale((target - actual) * path_weight) FROM kpi.drivers('acme', 'revenue', '2026-Q3')
		WHERE measure = 'revenue' AND kpi.depth(unit) = 4 ORDER BY 2 DESC LIMIT 1}),
	$node->safe_psql('postgres', q{SELECT unit, trim_scale(max(t.target - f.actual) * CASE WHEN unit LIKE 'acme.cloud.%' THEN 0.6 ELSE 1 END)
		FROM (SELECT unit, sum(value) AS actual FROM kpi.fact_entry WHERE measure = 'revenue' AND period BETWEEN '2026-07' AND '2026-09' GROUP BY unit) f
		JOIN (SELECT unit, sum(value) AS target FROM kpi.target_entry WHERE measure = 'revenue' AND period BETWEEN '2026-07' AND '2026-09' GROUP BY unit) t USING (unit)
		GROUP BY unit ORDER BY 2 DESC LIMIT 1}),
	'which miss costs most');
# What must Sales North deliver per month to still make it, after September?
is( $node->safe_psql('postgres', q{SELECT remaining, needed FROM kpi.forecast('RS-N', 'revenue', '2026', as_of => '2026-09-30')}),
	$node->safe_psql('postgres', q{SELECT 3, kpi.exact_quotient((SELECT sum(value) FROM kpi.target_entry WHERE unit = 'acme.retail.sales.north' AND measure = 'revenue' AND period LIKE '2026-%')
		- (SELECT sum(value) FROM kpi.fact_entry WHERE unit = 'acme.retail.sales.north' AND measure = 'revenue' AND period BETWEEN '2026-01' AND '2026-09'), 3)}),
	'what is needed per month');
# What did we report in March?  What was corrected since does not count.
my $then = $node->safe_psql('postgres', q{SELECT clock_timestamp()});
my $march = $node->safe_psql('postgres', q{SELECT actual, status FROM kpi.corporate_scorecard WHERE measure = 'revenue' AND period = '2026-03'});
$node->safe_psql('postgres', q{SELECT kpi.set_fact('RS-N', 'revenue', '2026-03', 1)});
is($node->safe_psql('postgres', "SELECT actual, status FROM kpi.attainment_as_known('$then', 'acme', 'revenue', '2026-03')"), $march, 'what was reported in March');
isnt($node->safe_psql('postgres', q{SELECT actual, status FROM kpi.corporate_scorecard WHERE measure = 'revenue' AND period = '2026-03'}), $march, 'which is not what it is now');
# From the visits of the site up to the mission.
is( $node->safe_psql('postgres', q{SELECT DISTINCT name FROM kpi.line_of_sight('RM-D', 'site_traffic', '2026-Q3') WHERE kind = 'objective' AND objective = 'mission'}),
	'Good things within everybody\'s reach', 'from team to mission');
is($node->safe_psql('postgres', q{SELECT string_agg(DISTINCT perspective, ' ' ORDER BY perspective) FROM kpi.corporate_scorecard}),
	'customer financial internal_process learning_and_growth', 'four perspectives');
# The textbook KPIs of the group, from the facts: a Cloud team's count 0.6.
my $facts = q{SELECT sum(value * CASE WHEN unit LIKE 'acme.cloud%' THEN 0.6 ELSE 1 END) FROM kpi.fact_entry WHERE period BETWEEN '2026-07' AND '2026-09' AND measure =};
for my $case (
	[ 'nps',          "($facts 'promoters') - ($facts 'detractors')", "$facts 'responses'" ],
	[ 'roi',          "($facts 'revenue') - ($facts 'cost')",         "$facts 'cost'" ],
	[ 'market_share', "($facts 'revenue')",                           "$facts 'market'" ])
{
	my ($measure, $numerator, $denominator) = @$case;
	is( $node->safe_psql('postgres', "SELECT actual FROM kpi.scorecard WHERE unit = 'acme' AND measure = '$measure' AND period = '2026-Q3'"),
		$node->safe_psql('postgres', "SELECT trim_scale(round(100 * ($numerator) / ($denominator), 12))"),
		"$measure of the group");
}
# The group's plan: an eighth above 19771004.3 of 2025 is 22242379.8..., to the thousand; its months add up to it, and so do
# 60 % of Cloud's and all of Retail's, rounded to one: but for what was lowered in Sales South, each unit's teams to it, too.
is($node->safe_psql('postgres', q{SELECT target FROM kpi.corporate_scorecard WHERE measure = 'revenue' AND period = '2026'}), '22242000', 'the plan of the group');
is($node->safe_psql('postgres', q{SELECT count(*) FROM generate_series(1, 12) AS m,
		LATERAL (SELECT sum(CASE WHEN unit = 'acme' THEN -value WHEN unit = 'acme.cloud' THEN round(0.6 * value) ELSE value END) AS rest
			FROM kpi.target_entry WHERE measure = 'revenue' AND period = format('2026-%s', lpad(m::text, 2, '0')) AND kpi.depth(unit::kpi_path) <= 2) AS s
		WHERE rest <> 0}), '0', 'is the sum of its business units in each month');
is($node->safe_psql('postgres', q{SELECT string_agg(format('%s %s %s %s', code, unit, period, amount), ', ' ORDER BY unit, period)
		FROM kpi.alignment WHERE code NOT IN ('no_data', 'no_target')}),
	'objective_without_kpi acme.retail  , targets_do_not_add_up acme.retail.sales 2026-10 -30000, '
	. 'targets_do_not_add_up acme.retail.sales 2026-11 -30000, targets_do_not_add_up acme.retail.sales 2026-12 -30000',
	'what does not tie to the goals');
is($node->safe_psql('postgres', q{SELECT string_agg(DISTINCT code, ' ') FROM kpi.alignment WHERE code = 'no_target' AND measure = 'headcount'}), '', 'a range is a target');
# The hotline was measured by its calls until June 2026 and is by what it solves since: both are there, and neither counts in the other.
is( $node->safe_psql('postgres', q{SELECT round(actual, 6), previous, last_year, predecessor, predecessor_actual, predecessor_previous, predecessor_last_year
		FROM kpi.trend WHERE unit = 'acme.retail.service.hotline' AND measure = 'solved' AND period = '2026-Q3'}),
	$node->safe_psql('postgres', q{SELECT round(100 * sum(value) FILTER (WHERE measure = 'solved') / sum(weight) FILTER (WHERE measure = 'solved'), 6), NULL, NULL, 'calls', NULL,
			trim_scale(sum(value) FILTER (WHERE measure = 'calls' AND period BETWEEN '2026-04' AND '2026-06')), trim_scale(sum(value) FILTER (WHERE measure = 'calls' AND period BETWEEN '2025-07' AND '2025-09'))
		FROM kpi.fact_entry WHERE unit = 'acme.retail.service.hotline'}),
	'the trend shows what was replaced');
is($node->safe_psql('postgres', q{SELECT string_agg(measure, ' ') FROM kpi.series('RET-C', 'solved', '2026-08', 4)}), 'calls calls solved solved', 'as one series, a department up');
is($node->safe_psql('postgres', q{SELECT count(*) FROM kpi.attainment WHERE measure = 'calls' AND period_end >= '2026-07-01'}), '0', 'calls end with June, targets or not');
is($node->safe_psql('postgres', q{SELECT string_agg(period::text, ' ' ORDER BY period) FROM kpi.attainment
		WHERE unit = 'acme.retail.service.hotline' AND measure = 'lead_time' AND period IN ('2026-Q3', '2026-09', '2026-10', '2026-Q4', '2026')}), '2026-09 2026-Q3', 'a KPI that is retired keeps what was');
# The second quarter was reported without the 140 calls of the night shift: in its months and as a quarter, at the hotline and its department.
is( $node->safe_psql('postgres', q{SELECT count(*), count(DISTINCT unit), count(DISTINCT measure), min(current_actual - reported_actual), max(current_actual - reported_actual) FROM kpi.reported_difference WHERE differs}),
	'4|2|1|140|140', 'what came late differs from what was reported');
is( $node->safe_psql('postgres', q{SELECT count(*) FROM kpi.reported_difference WHERE closed_period = '2026-Q2' AND NOT differs}),
	$node->safe_psql('postgres', q{SELECT count(*) - 4 FROM kpi.attainment WHERE period <@ '2026-Q2'}), 'all else does not');
# The page for the service department: 100 * 5437 / 6585 = 82.566...; three of its four people have seen the objective.
my $page = $node->safe_psql('postgres', q{SELECT kpi.briefing('RET-C', '2026-Q3')});
like($page, qr/^\| \S+ on track +\| Solved at first contact \(%\) +\| +82\.57 \| +80 \| \S+ 103% \|.*\| replaces calls +\|$/m, 'the page has its figures');
like($page, qr/Customers stay and recommend us +\|.*\| +3 of 4 \|$/m, 'and who has seen what for');
is( $node->safe_psql('postgres', q{SELECT string_agg(description, '; ' ORDER BY due_on) FROM kpi.open_actions WHERE unit = 'acme.retail.sales.south'}),
	'Visit the first ten of them; Lend two sales people to the south', 'what was decided and is not done');
is($node->safe_psql('postgres', q{SELECT names FROM kpi.training_gap WHERE measure = 'solved' AND unit = 'acme.retail.service.hotline'}), '{"Maja Holm"}', 'who has to learn');
is($node->safe_psql('postgres', q{SELECT owner, string_agg(period::text, ' ') FROM kpi.due('2026-10-14') GROUP BY owner}), 'Nadia Haddad|2026-07 2026-08', 'and who owes figures: training in summer');
is($node->safe_psql('postgres', 'SELECT count(*) FROM kpi.verify()'), '0', 'nothing differs from the recomputation');

$node->stop;
done_testing();
