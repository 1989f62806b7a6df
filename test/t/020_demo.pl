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
for my $period (qw(2025 2026-Q3 2026-12))
{
	($rc, $out, $err) = $node->psql(
		'postgres', slurp_file('demo/show.sql'),
		on_error_stop => 1,
		extra_params  => [ '-v', "period=$period" ]);
	is("$rc $err", '0 ', "show.sql shows $period");
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

# December 2026, i = 23: team t has 6 + t + 5 people, so 8 * 11 + 36 = 124; a year ends with its last month
is( $node->safe_psql('postgres', q{SELECT actual FROM kpi.scorecard WHERE unit = 'acme' AND measure = 'headcount' AND period = '2026'}),
	'124', 'headcount of the year is that of its end');
is($node->safe_psql('postgres', 'SELECT count(*) FROM kpi.verify()'), '0', 'nothing differs from the recomputation');

$node->stop;
done_testing();
