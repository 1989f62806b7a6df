# (e) Rebuild of one million leaf cells from the facts: 10,000 leaves, six
# levels, 100 months; kpi.cell is empty before.
use strict;
use warnings;
use Bench;
use Report;

create_organisation('rebuild', quick() ? [ 2, 2, 2, 3, 5 ] : [ 5, 5, 5, 8, 10 ], 100);
sql('postgres', 'ALTER DATABASE rebuild SET kpi_cascade.fold_mode = manual');
sql('rebuild', 'INSERT INTO kpi.fact (kpi_id, period, value) SELECT kpi_id, period, value FROM bench.plain',
	'SELECT kpi.rebuild()', 'VACUUM ANALYZE');
my $times = rounds(
	'rebuild' => sub { milliseconds('rebuild', 'SELECT kpi.rebuild()', 'TRUNCATE kpi.cell', 'CHECKPOINT') / 1000 },
	'sums alone' => sub {
		milliseconds('rebuild', "CREATE TABLE bench.summed AS SELECT c.ancestor AS kpi_id, f.period, sum(f.value) AS total, count(*) AS n
			FROM bench.plain f JOIN bench.closure c USING (kpi_id) GROUP BY c.ancestor, f.period", 'DROP TABLE IF EXISTS bench.summed', 'CHECKPOINT') / 1000 });
my ($leaves, $all) = split /\|/, sql('rebuild', "SELECT count(*) FILTER (WHERE kpi.grain(period) = 'month' AND kpi_id IN (SELECT kpi_id FROM bench.leaf)), count(*) FROM kpi.cell");

table('(e) Rebuild of ' . number($leaves) . ' leaf cells, ' . number($all) . ' in all', [ '', 's' ],
	[ 'kpi.rebuild(), from no cells', median(@{ $times->{rebuild} }) ],
	[ 'for scale: CREATE TABLE AS of monthly sums and counts alone, without an index', median(@{ $times->{'sums alone'} }) ]);
check('rebuild of 10⁶ leaf cells, six levels', median(@{ $times->{rebuild} }), '<=', 60, 20, ' s');
drop_database('rebuild');
1;
