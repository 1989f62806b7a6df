# Random worlds for 050_random_worlds.pl: SQL that sets up an organisation with
# its measures, KPIs, links, facts and targets, and SQL that changes one.
#
# Nothing here talks to a database.  A change is made for a model: what there
# is, as a session sees it ($KpiWorld::MODEL_SQL, read by model()).  Whatever a
# world does follows from its seed and from the models it was shown, so that
# the same seed gives the same world again.
#
# Worlds are small and crowded on purpose: few KPIs, few periods around few
# days (and a year earlier, for growth), ends of validity on the edges of
# periods.  That is where changes meet.
package KpiWorld;
use strict;
use warnings;

sub new
{
	my ($class, $seed) = @_;
	srand($seed);
	return bless { seed => $seed, next_id => 1 }, $class;
}

# ---------------------------------------------------------------- chance

sub chance { return rand() < $_[0] }
sub one_of { return $_[ int rand @_ ] }
sub between { return $_[0] + int rand($_[1] - $_[0] + 1) }

# weighted(word => weight, ...)
sub weighted
{
	my @choices = @_;
	my $all = 0;
	$all += $choices[ 2 * $_ + 1 ] for 0 .. $#choices / 2;
	my $at = rand $all;
	while (@choices)
	{
		my ($word, $weight) = splice @choices, 0, 2;
		return $word if ($at -= $weight) < 0;
	}
}

# ---------------------------------------------------------------- days and periods

# the day number of a date, and back (proleptic Gregorian)
sub day_number
{
	my ($y, $m, $d) = @_;
	$y-- if $m <= 2;
	my $era = int($y / 400);
	my $yoe = $y - 400 * $era;
	my $doy = int((153 * ($m + ($m > 2 ? -3 : 9)) + 2) / 5) + $d - 1;
	return 146097 * $era + 365 * $yoe + int($yoe / 4) - int($yoe / 100) + $doy;
}

sub date_of
{
	my ($n) = @_;
	my $era = int($n / 146097);
	my $doe = $n - 146097 * $era;
	my $yoe = int(($doe - int($doe / 1460) + int($doe / 36524) - int($doe / 146096)) / 365);
	my $doy = $doe - (365 * $yoe + int($yoe / 4) - int($yoe / 100));
	my $mp = int((5 * $doy + 2) / 153);
	my $m = $mp < 10 ? $mp + 3 : $mp - 9;
	return ($yoe + 400 * $era + ($m <= 2 ? 1 : 0), $m, $doy - int((153 * $mp + 2) / 5) + 1);
}

sub date_text { return sprintf '%04d-%02d-%02d', date_of($_[0]) }

# the period of that grain around a day, as text
sub period
{
	my ($n, $grain, $start) = @_;
	my ($y, $m) = date_of($n);
	return date_text($n) if $grain eq 'day';
	return sprintf '%04d-%02d', $y, $m if $grain eq 'month';
	if ($grain eq 'week')
	{
		# the week belongs to the year of its Thursday; day number 5 is a Monday
		my $thursday = $n - ($n + 2) % 7 + 3;
		my ($year) = date_of($thursday);
		return sprintf '%04d-W%02d', $year, int(($thursday - day_number($year, 1, 1)) / 7) + 1;
	}
	my $month = 12 * $y + $m - $start;
	my $year = int($month / 12) + ($start > 1 ? 1 : 0);
	my $within = $month % 12;
	my $part = $grain eq 'quarter' ? '-Q' . (int($within / 3) + 1) : $grain eq 'half' ? '-H' . (int($within / 6) + 1) : '';
	return $start > 1 ? sprintf('FY%04d%s/%02d', $year, $part, $start) : sprintf('%04d%s', $year, $part);
}

my %coarser = (
	day     => [qw(week month quarter half year)],
	week    => [],
	month   => [qw(quarter half year)],
	quarter => [qw(half year)],
	half    => ['year'],
	year    => []);

# a day on which something may happen
sub a_day
{
	my ($self) = @_;
	my $n = one_of(@{ $self->{spots} });
	$n += between(-$self->{spread}, $self->{spread});
	$n -= 365 if chance($self->{growing} ? 0.5 : 0.2);
	return $n;
}

# a day on which validity may begin or end: mostly the edge of a period
sub an_edge
{
	my ($self) = @_;
	my ($y, $m, $d) = date_of($self->a_day);
	return date_text(day_number($y, $m, $d)) if chance(0.2);
	$m = 3 * int(($m - 1) / 3) + 1 if chance(0.3);
	my $n = day_number($y, $m, 1);
	$n += one_of(0, 0, 0, -1, 1) if chance(0.4);
	return date_text($n);
}

sub a_period
{
	my ($self, $measure, $grain) = @_;
	return period($self->a_day, $grain || $measure->{grain}, $measure->{fiscal_start});
}

# valid_from and valid_to
sub validity
{
	my ($self, $probability) = @_;
	my @ends = map { chance($probability) ? $self->an_edge : undef } 1, 2;
	@ends = reverse @ends if defined $ends[0] && defined $ends[1] && $ends[0] gt $ends[1];
	$ends[1] = undef if defined $ends[0] && defined $ends[1] && $ends[0] eq $ends[1];
	return map { literal($_) } @ends;
}

# ---------------------------------------------------------------- values

sub literal { return defined $_[0] ? "'" . ($_[0] =~ s/'/''/gr) . "'" : 'NULL' }

sub value
{
	return one_of(qw(0 1 2 3 5 10 100 -1 -4 0.5 12.25 7.123456 -0.000001 33.333333 1000000.01 4 104)) if chance(0.6);
	return between(-20, 100) if chance(0.7);
	return sprintf '%.*f', between(1, 6), rand(2000) - 400;
}

sub weight
{
	return 1 if chance(0.45);
	return one_of(qw(0 2 4 100 0.5 3.25)) if chance(0.9);
	return one_of(qw(-1 -2 0.000001));
}

sub share { return one_of(qw(1 1 1 0.5 0.25 0 0.333333 0.75)) }

sub id { return $_[0]{next_id}++ }

# ---------------------------------------------------------------- rules of measures

my %rules = (
	direction     => sub { literal(one_of(qw(higher higher lower))) },
	rollup        => sub { literal(one_of(qw(sum sum sum ratio ratio mean weighted_mean min max min max count none))) },
	time_rollup   => sub { literal(one_of(qw(pool pool last mean))) },
	scoring       => sub { literal(one_of(qw(ratio ratio progress range step curve))) },
	multiplier    => sub { one_of(1, 1, 100, 0.5) },
	score_floor   => sub { one_of(0, 0, 'NULL', -1, 0.25) },
	score_cap     => sub { one_of(1, 1, 'NULL', 1.5, 2) },
	driver_rollup => sub { literal(one_of(qw(mean mean min max))) },
	result_weight => sub { one_of(1, 0.5, 0.7, 0, 0.333333) },
	missing_child => sub { literal(one_of(qw(exclude exclude zero require))) },
	at_risk_from  => sub { one_of(0.8, 0.5, 0.7) },
	on_track_from => sub { one_of(1, 0.9, 0.8) },
	exceeded_from => sub { one_of('NULL', 1, 1.2) },
	rolls_up      => sub { chance(0.8)  ? 'true' : 'false' },
	apply_share   => sub { chance(0.7) ? 'true' : 'false' },
	grain         => sub { literal(weighted(month => 10, quarter => 4, year => 2, half => 2, week => 1.5)) },
	fiscal_start  => sub { one_of(1, 1, 1, 4, 7, 2, 12) });
my @rules = sort keys %rules;

# ---------------------------------------------------------------- setting up

# A statement is { sql } or { sql, rows, tail }: rows of one INSERT, which a
# minimal script may do with fewer of.
sub insert
{
	my ($table, $columns, $rows, $tail) = @_;
	return () unless @$rows;
	return {
		sql  => "INSERT INTO kpi.$table ($columns) VALUES",
		rows => [ map { '(' . join(', ', @$_) . ')' } @$rows ],
		tail => $tail // ''
	};
}

sub set_up
{
	my ($self) = @_;
	# the recomputation takes long over all the days of its years
	my $size = weighted(small => 84, days => 6, middle => 8.5, large => 1.5);
	$size = $self->{wanted_size} if $self->{wanted_size};
	my $units = $size eq 'middle' ? between(9, 30) : $size eq 'large' ? between(60, 300) : between(1, 8);
	my $middle = day_number(2024, between(1, 12), between(1, 28));

	$self->{size} = $size;
	$self->{spots} = [ map { $middle + one_of(between(-3, 3), between(-45, 45), between(-150, 150)) } 1 .. between(1, 4) ];
	$self->{spread} = one_of(0, 0, 1, 5, 20);
	$self->{growing} = chance(0.25);

	# units, each after its parent
	my (@units, @history, %path, %depth);
	my $straight = rand;
	for my $unit (1 .. $units)
	{
		my $parent = $unit == 1 || chance(0.05) ? undef : chance($straight) ? $unit - 1 : between(1, $unit - 1);
		$parent = 1 if defined $parent && $depth{$parent} >= 12;
		$path{$unit} = (defined $parent ? "$path{$parent}." : '') . "u$unit";
		$depth{$unit} = defined $parent ? $depth{$parent} + 1 : 1;
		push @units, [ $unit, literal($path{$unit}), chance(0.3) ? share() : 1, $self->validity(0.1) ];
		push @history, [ $unit, literal($self->an_edge), between(1, $units), share() ] if chance($size eq 'large' ? 0.02 : 0.15);
	}

	# measures that often fit together, as links need
	my (@measures, @kpis, %measure, %kpi, %taken);
	my $kinds = $size eq 'large' ? 1 : between(1, 4);
	for my $measure (1 .. $kinds)
	{
		my %row = map { $_ => $rules{$_}->() } @rules;
		$row{grain} = literal(one_of(qw(month quarter year))) if $size eq 'large';
		$row{grain} = "'day'" if $size eq 'days' && ($measure == 1 || chance(0.5));
		if ($measure > 1 && chance(0.8))
		{
			my $other = $measure{ between(1, $measure - 1) };
			$row{$_} = $other->{$_} for qw(grain fiscal_start);
			if (chance(0.4)) { $row{$_} = $other->{$_} for qw(rollup time_rollup) }
		}
		$row{rollup} = "'ratio'" if $measure == 2 && chance(0.4);
		$row{fiscal_start} = 1 if $row{grain} eq "'week'";
		$row{at_risk_from} = $row{on_track_from} if $row{at_risk_from} > $row{on_track_from};
		$row{score_floor} = 0 if $row{score_floor} ne 'NULL' && $row{score_cap} ne 'NULL' && $row{score_floor} > $row{score_cap};
		$measure{$measure} = \%row;
		push @measures, [ $measure, "'m$measure'", map { $row{$_} } @rules ];
	}
	for my $measure (1 .. $kinds)
	{
		for my $unit (1 .. $units)
		{
			next unless chance($size eq 'large' ? 0.4 : $size eq 'middle' ? 0.5 : 0.75);
			my $id = $self->id;
			my %model = map { $_ => $measure{$measure}{$_} =~ s/'//gr } qw(grain fiscal_start rollup time_rollup scoring);
			$kpi{$id} = { id => $id, unit => $unit, measure => $measure, %model };
			push @kpis, [ $id, $unit, $measure, one_of(1, 1, 2, 0.5, 0), $self->validity(0.1) ];
		}
	}

	my $model = { kpi => \%kpi, link => {}, fact => [] };
	my (@facts, @targets, @links);
	for (1 .. between(0, $units > 8 ? 12 : 8))
	{
		my $link = $self->a_link($model) or next;
		push @links, $link;
		$model->{link}{ $link->[0] } = { child => $link->[1], parent => $link->[2], kind => $link->[3] =~ s/'//gr };
	}
	my %grows = map { $_->{parent} => 1 } grep { $_->{kind} eq 'growth' } values %{ $model->{link} };
	my @giving = grep { !$grows{$_} && chance(0.7) } sort { $a <=> $b } keys %kpi;
	if (@giving)
	{
		push @facts, $self->a_fact($kpi{ one_of(@giving) }) for 1 .. between(1, $units > 8 ? 40 : 25);
	}
	for (1 .. (%kpi ? between(0, 8) : 0))
	{
		my $target = $self->a_target($kpi{ one_of(sort { $a <=> $b } keys %kpi) });
		push @targets, $target unless $taken{"@$target[0, 1]"}++;
	}
	return (
		insert('unit', 'unit_id, path, share, valid_from, valid_to', \@units),
		(map { insert('unit_history', 'unit_id, effective_from, parent_unit_id, share', [$_], ' ON CONFLICT DO NOTHING') } @history),
		insert('measure', join(', ', 'measure_id', 'code', @rules), \@measures),
		insert('kpi', 'kpi_id, unit_id, measure_id, weight, valid_from, valid_to', \@kpis),
		(map { insert('link', 'link_id, child_kpi_id, parent_kpi_id, contributes, weight, valid_from, valid_to', [$_]) } @links),
		insert('fact', 'fact_id, kpi_id, period, value, weight', \@facts),
		insert('target', 'kpi_id, period, value, baseline, low, high, points', \@targets));
}

sub a_fact
{
	my ($self, $kpi) = @_;
	return [ $self->id, $kpi->{id}, literal($self->a_period($kpi)), value(), weight() ];
}

sub a_target
{
	my ($self, $kpi) = @_;
	my $grain = one_of($kpi->{grain}, $kpi->{grain}, @{ $coarser{ $kpi->{grain} } });
	my $scoring = $kpi->{scoring};
	my $value = ($scoring eq 'range' || $scoring eq 'curve') && chance(0.4) ? 'NULL' : one_of(0, value(), value(), 10, 100, -5);
	my $baseline = $scoring eq 'progress' || chance(0.1) ? one_of($value, 5, 0, 'NULL', value()) : 'NULL';
	my ($low, $high) = ('NULL', 'NULL');
	if ($scoring eq 'range' || chance(0.1))
	{
		($low, $high) = sort { $a <=> $b } value(), value();
		if (chance(0.2)) { $low = 'NULL' }
		elsif (chance(0.2)) { $high = 'NULL' }
	}
	my $points = $scoring eq 'curve' && chance(0.9) || chance(0.05)
	  ? one_of("'{{0,0},{10,0.5},{100,1.2}}'", "'{{0,0},{10,0.5},{100,1.2}}'", "'{{-5,1},{5,0}}'")
	  : 'NULL';
	return [ $kpi->{id}, literal($self->a_period($kpi, $grain)), $value, $baseline, $low, $high, $points ];
}

# a link that its kind allows, as far as the model tells; undef where there is none
sub a_link
{
	my ($self, $model) = @_;
	my $kpis = $model->{kpi};
	my @all = sort { $a <=> $b } keys %$kpis;
	return if @all < 2;
	my %grows = map { $_->{parent} => 1 } grep { $_->{kind} eq 'growth' } values %{ $model->{link} };
	my %has_facts = map { $_->{kpi} => 1 } @{ $model->{fact} };
	for (1 .. 12)
	{
		my $kind = $self->{growing} && chance(0.5) ? 'growth'
		  : one_of(qw(value value numerator numerator denominator denominator growth score score aligned));
		my $parent = $kpis->{ one_of(@all) };
		my $child = $kpis->{ one_of(@all) };
		next if $parent->{id} == $child->{id};
		# implied links lead to the units above, which mostly have lower numbers
		($parent, $child) = ($child, $parent)
		  if chance(0.9) && ($parent->{unit} <=> $child->{unit} || $parent->{measure} <=> $child->{measure}) > 0;
		my $fiscal = $parent->{fiscal_start} == $child->{fiscal_start};
		my $grain = $fiscal && $parent->{grain} eq $child->{grain};
		my $weight = 1;
		if ($kind eq 'value')
		{
			next if !$grain || $parent->{rollup} eq 'none' || $grows{ $child->{id} } || $grows{ $parent->{id} };
			next if $parent->{rollup} ne $child->{rollup} || $parent->{time_rollup} ne $child->{time_rollup};
			$weight = $parent->{rollup} =~ /mean/ ? one_of(1, 2, 0.333333) : $parent->{rollup} =~ /^m/ ? 1 : one_of(1, 1, -1, 0.5, 0);
		}
		elsif ($kind =~ /or$/)
		{
			next if !$grain || $parent->{rollup} ne 'ratio' || $child->{rollup} !~ /^(sum|count|none)$/ || $grows{ $parent->{id} };
			$weight = one_of(1, 1, -1, 0.5, 2, 0);
		}
		elsif ($kind eq 'growth')
		{
			next if !$grain || $parent->{grain} eq 'week' || $grows{ $child->{id} } || $grows{ $parent->{id} } || $has_facts{ $parent->{id} };
			next if grep { $_->{parent} == $parent->{id} && $_->{kind} !~ /^(score|aligned)$/ || $_->{child} == $parent->{id} && $_->{kind} eq 'value' }
			  values %{ $model->{link} };
		}
		elsif ($kind eq 'score')
		{
			next if !$fiscal || !grep { $_ eq $parent->{grain} } $child->{grain}, @{ $coarser{ $child->{grain} } };
			$weight = one_of(1, 1, 2, 0.3, 0);
		}
		next if grep { $_->{kind} eq $kind && $_->{parent} == $parent->{id} && $_->{child} == $child->{id} } values %{ $model->{link} };
		return [ $self->id, $child->{id}, $parent->{id}, literal($kind), $weight, $self->validity(0.25) ];
	}
	return;
}

# ---------------------------------------------------------------- what there is

our $MODEL_SQL = <<'SQL';
SELECT concat_ws('|', 'unit', unit_id, path) FROM kpi.unit
UNION ALL SELECT concat_ws('|', 'history', unit_id, effective_from) FROM kpi.unit_history WHERE effective_from > '-infinity'
UNION ALL SELECT concat_ws('|', 'measure', measure_id, code) FROM kpi.measure
UNION ALL SELECT concat_ws('|', 'kpi', kpi_id, unit_id, measure_id, grain, fiscal_start, rollup, time_rollup, scoring) FROM kpi.kpi JOIN kpi.measure USING (measure_id)
UNION ALL SELECT concat_ws('|', 'link', link_id, child_kpi_id, parent_kpi_id, contributes) FROM kpi.link
UNION ALL SELECT concat_ws('|', 'fact', fact_id, kpi_id, period) FROM kpi.fact
UNION ALL SELECT concat_ws('|', 'target', kpi_id, period) FROM kpi.target
ORDER BY 1
SQL

# the model from the rows of that query
sub model
{
	my %model = (unit => {}, history => [], measure => {}, kpi => {}, link => {}, fact => [], target => []);
	for (@_)
	{
		my ($table, @row) = split /\|/;
		if ($table eq 'unit') { $model{unit}{ $row[0] } = $row[1] }
		elsif ($table eq 'history') { push @{ $model{history} }, \@row }
		elsif ($table eq 'measure') { $model{measure}{ $row[0] } = $row[1] }
		elsif ($table eq 'kpi')
		{
			my %kpi;
			@kpi{qw(id unit measure grain fiscal_start rollup time_rollup scoring)} = @row;
			$model{kpi}{ $row[0] } = \%kpi;
		}
		elsif ($table eq 'link') { $model{link}{ $row[0] } = { child => $row[1], parent => $row[2], kind => $row[3] } }
		elsif ($table eq 'fact') { push @{ $model{fact} }, { id => $row[0], kpi => $row[1], period => $row[2] } }
		elsif ($table eq 'target') { push @{ $model{target} }, \@row }
	}
	return \%model;
}

# ---------------------------------------------------------------- changing

my @changes = (
	facts_inserted   => 20,
	fact_updated     => 9,
	fact_moved       => 3,
	facts_deleted    => 6,
	extreme_deleted  => 7,
	extreme_updated  => 4,
	fact_set         => 4,
	target_written   => 9,
	targets_written  => 5,
	target_deleted   => 4,
	unit_moved       => 5,
	share_set        => 4,
	history_edited   => 5,
	unit_validity    => 4,
	kpi_validity     => 5,
	link_validity    => 3,
	kpi_inserted     => 4,
	kpi_deleted      => 4,
	unit_inserted    => 3,
	unit_deleted     => 2,
	unit_renamed     => 1,
	link_inserted    => 9,
	link_deleted     => 4,
	link_updated     => 4,
	measure_changed  => 5,
	nothing_changed  => 1,
	facts_truncated  => 0.3);

# statements that change something, where there is something to change
sub change
{
	my ($self, $model) = @_;
	for (1 .. 20)
	{
		my $change = weighted(@changes);
		my @sql = $self->can($change)->($self, $model);
		return map { ref $_ ? $_ : { sql => $_ } } @sql if @sql;
	}
	return;
}

sub any_kpi
{
	my ($model) = @_;
	my @all = sort { $a <=> $b } keys %{ $model->{kpi} };
	return @all ? $model->{kpi}{ one_of(@all) } : undef;
}

sub any_key
{
	my ($hash) = @_;
	my @all = sort { $a <=> $b } keys %$hash;
	return @all ? one_of(@all) : undef;
}

sub any_fact { return @{ $_[0]{fact} } ? one_of(@{ $_[0]{fact} }) : undef }

# facts that the server numbered are named by what they are of: their numbers
# differ where a script is shortened
sub where_fact
{
	my ($fact) = @_;
	return $fact->{id} < 1000000 && chance(0.8) ? "fact_id = $fact->{id}" : "kpi_id = $fact->{kpi} AND period = '$fact->{period}'";
}

sub facts_inserted
{
	my ($self, $model) = @_;
	my %grows = map { $_->{parent} => 1 } grep { $_->{kind} eq 'growth' } values %{ $model->{link} };
	my @kpis = grep { !$grows{$_} } sort { $a <=> $b } keys %{ $model->{kpi} } or return;
	# more where there are some: that is where sums and extremes are kept
	my @used = grep { $model->{kpi}{$_} } map { $_->{kpi} } @{ $model->{fact} };
	return insert('fact', 'fact_id, kpi_id, period, value, weight',
		[ map { $self->a_fact($model->{kpi}{ @used && chance(0.5) ? one_of(@used) : one_of(@kpis) }) } 1 .. one_of(1, 1, 2, 3, 6) ]);
}

sub fact_updated
{
	my ($self, $model) = @_;
	my $fact = any_fact($model) or return;
	my $set = one_of('value = ' . value(), 'value = ' . value(), 'weight = ' . weight(), 'value = value + 1', 'value = -value');
	return "UPDATE kpi.fact SET $set WHERE " . where_fact($fact);
}

sub fact_moved
{
	my ($self, $model) = @_;
	my $fact = any_fact($model) or return;
	my $kpi = $model->{kpi}{ $fact->{kpi} } or return;
	my $set = 'period = ' . literal($self->a_period($kpi));
	if (chance(0.4))
	{
		my @same = grep { $_->{measure} == $kpi->{measure} } map { $model->{kpi}{$_} } sort { $a <=> $b } keys %{ $model->{kpi} };
		$set = 'kpi_id = ' . one_of(@same)->{id};
	}
	return "UPDATE kpi.fact SET $set WHERE " . where_fact($fact);
}

sub facts_deleted
{
	my ($self, $model) = @_;
	my $fact = any_fact($model) or return;
	return 'DELETE FROM kpi.fact WHERE ' . (chance(0.15) ? "kpi_id = $fact->{kpi}" : where_fact($fact));
}

sub extreme
{
	my ($fact) = @_;
	my $what = one_of(qw(min max));
	return "kpi_id = $fact->{kpi} AND period = '$fact->{period}' AND value = "
	  . "(SELECT $what(f.value) FROM kpi.fact f WHERE f.kpi_id = $fact->{kpi} AND f.period = '$fact->{period}')";
}

sub extreme_deleted
{
	my ($self, $model) = @_;
	my $fact = any_fact($model) or return;
	return 'DELETE FROM kpi.fact WHERE ' . extreme($fact);
}

sub extreme_updated
{
	my ($self, $model) = @_;
	my $fact = any_fact($model) or return;
	return 'UPDATE kpi.fact SET value = ' . one_of(value(), 'value / 2', 'value + 1', 'value - 1') . ' WHERE ' . extreme($fact);
}

sub fact_set
{
	my ($self, $model) = @_;
	my $kpi = any_kpi($model) or return;
	my $function = one_of(qw(set_fact set_fact record_fact));
	return sprintf "SELECT kpi.%s('%s', '%s', '%s', %s, %s)", $function, $model->{unit}{ $kpi->{unit} }, $model->{measure}{ $kpi->{measure} },
	  $self->a_period($kpi), value(), weight();
}

sub target_written
{
	my ($self, $model) = @_;
	my $kpi = any_kpi($model) or return;
	return insert('target', 'kpi_id, period, value, baseline, low, high, points', [ $self->a_target($kpi) ],
		' ON CONFLICT (kpi_id, period) DO UPDATE SET value = EXCLUDED.value, baseline = EXCLUDED.baseline, low = EXCLUDED.low, high = EXCLUDED.high, points = EXCLUDED.points');
}

# all targets of a finer grain inside a period, and perhaps their sum as that of the period
sub targets_written
{
	my ($self, $model) = @_;
	my $kpi = any_kpi($model) or return;
	my @grains = grep { $kpi->{grain} ne 'day' || /week|month/ } @{ $coarser{ $kpi->{grain} } } or return;
	my $grain = one_of(@grains);
	my $inside = $self->a_period($kpi, $grain);
	my $from = "kpi.periods('$inside', '$kpi->{grain}') p";
	my $value = one_of(value(), value(), '10 + (p - ' . "'" . $self->a_period($kpi) . "')");
	my @sql = ("INSERT INTO kpi.target (kpi_id, period, value) SELECT $kpi->{id}, p, $value FROM $from ON CONFLICT (kpi_id, period) DO UPDATE SET value = EXCLUDED.value");
	push @sql,
	  "INSERT INTO kpi.target (kpi_id, period, value) SELECT $kpi->{id}, '$inside', sum(t.value) FROM $from JOIN kpi.target t ON t.kpi_id = $kpi->{id} AND t.period = p "
	  . "HAVING sum(t.value) IS NOT NULL ON CONFLICT (kpi_id, period) DO UPDATE SET value = EXCLUDED.value"
	  if chance(0.4);
	return @sql;
}

sub target_deleted
{
	my ($self, $model) = @_;
	my @targets = @{ $model->{target} } or return;
	my $target = one_of(@targets);
	return "DELETE FROM kpi.target WHERE kpi_id = $target->[0]" . (chance(0.85) ? " AND period = '$target->[1]'" : '') if chance(0.7);
	return "UPDATE kpi.target SET value = " . value() . ", low = NULL WHERE kpi_id = $target->[0] AND period = '$target->[1]'";
}

sub unit_moved
{
	my ($self, $model) = @_;
	return if keys %{ $model->{unit} } < 2;
	my ($unit, $parent) = map { any_key($model->{unit}) } 1, 2;
	return if $unit == $parent;
	# beneath itself it cannot be
	return if index($model->{unit}{$parent}, "$model->{unit}{$unit}.") == 0;
	return sprintf "SELECT kpi.move_unit('%s'::text, %s, '%s')", $model->{unit}{$unit}, chance(0.1) ? 'NULL' : literal($model->{unit}{$parent}),
	  $self->an_edge;
}

sub share_set
{
	my ($self, $model) = @_;
	my $unit = any_key($model->{unit}) or return;
	return sprintf "SELECT kpi.set_share('%s'::text, %s, '%s')", $model->{unit}{$unit}, share(), $self->an_edge;
}

sub history_edited
{
	my ($self, $model) = @_;
	my $unit = any_key($model->{unit}) or return;
	my ($of, $since) = @{ $model->{history} } ? @{ one_of(@{ $model->{history} }) } : ($unit, '-infinity');
	return one_of(
		'UPDATE kpi.unit_history SET share = ' . share() . " WHERE unit_id = $of AND effective_from = '$since'",
		"UPDATE kpi.unit_history SET parent_unit_id = $unit WHERE unit_id = $of AND effective_from = '$since'",
		$since eq '-infinity'
		? "UPDATE kpi.unit_history SET share = 1 - share WHERE unit_id = $of"
		: ("UPDATE kpi.unit_history SET effective_from = '" . $self->an_edge . "' WHERE unit_id = $of AND effective_from = '$since'",
			"DELETE FROM kpi.unit_history WHERE unit_id = $of AND effective_from = '$since'"),
		"INSERT INTO kpi.unit_history (unit_id, effective_from, parent_unit_id, share) SELECT unit_id, '"
		  . $self->an_edge . "', parent_unit_id, " . share() . " FROM kpi.unit_history WHERE unit_id = $unit ORDER BY effective_from LIMIT 1");
}

sub set_validity
{
	my ($self) = @_;
	my ($from, $to) = $self->validity(0.4);
	return "valid_from = $from, valid_to = $to";
}

sub unit_validity
{
	my ($self, $model) = @_;
	my $unit = any_key($model->{unit}) or return;
	return 'UPDATE kpi.unit SET ' . $self->set_validity . " WHERE unit_id = $unit";
}

sub kpi_validity
{
	my ($self, $model) = @_;
	my $kpi = any_kpi($model) or return;
	my $link = any_key($model->{link});
	$kpi = $model->{kpi}{ $model->{link}{$link}{child} } if $link && chance(0.5);
	return 'UPDATE kpi.kpi SET ' . $self->set_validity . ' WHERE ' . (chance(0.1) ? "measure_id = $kpi->{measure}" : "kpi_id = $kpi->{id}");
}

sub link_validity
{
	my ($self, $model) = @_;
	my $link = any_key($model->{link}) or return;
	return 'UPDATE kpi.link SET ' . $self->set_validity . " WHERE link_id = $link";
}

sub kpi_inserted
{
	my ($self, $model) = @_;
	my %taken = map { ("$_->{unit} $_->{measure}" => 1) } values %{ $model->{kpi} };
	for (1 .. 10)
	{
		my $unit = any_key($model->{unit}) or return;
		my $measure = any_key($model->{measure}) or return;
		next if $taken{"$unit $measure"};
		return insert('kpi', 'kpi_id, unit_id, measure_id, valid_from, valid_to', [ [ $self->id, $unit, $measure, $self->validity(0.15) ] ]);
	}
	return;
}

sub kpi_deleted
{
	my ($self, $model) = @_;
	my $kpi = any_kpi($model) or return;
	return ("DELETE FROM kpi.fact WHERE kpi_id = $kpi->{id}", "DELETE FROM kpi.kpi WHERE kpi_id = $kpi->{id}");
}

sub unit_inserted
{
	my ($self, $model) = @_;
	my $parent = any_key($model->{unit});
	my $unit = $self->id + 1000;
	my $path = (defined $parent && chance(0.9) ? "$model->{unit}{$parent}." : '') . "u$unit";
	my $kpi = any_kpi($model);
	my @sql = insert('unit', 'unit_id, path, share, valid_from, valid_to', [ [ $unit, "'$path'", share(), $self->validity(0.15) ] ]);
	push @sql, insert('kpi', 'kpi_id, unit_id, measure_id', [ [ $self->id, $unit, $kpi->{measure} ] ]) if $kpi && chance(0.7);
	return @sql;
}

sub unit_deleted
{
	my ($self, $model) = @_;
	my @leaves = grep {
		my $path = $model->{unit}{$_};
		!grep { index($_, "$path.") == 0 } values %{ $model->{unit} }
	} sort { $a <=> $b } keys %{ $model->{unit} };
	@leaves or return;
	my $unit = one_of(@leaves);
	return ("DELETE FROM kpi.fact f USING kpi.kpi k WHERE k.kpi_id = f.kpi_id AND k.unit_id = $unit", "DELETE FROM kpi.unit WHERE unit_id = $unit");
}

sub unit_renamed
{
	my ($self, $model) = @_;
	my $unit = any_key($model->{unit}) or return;
	my $path = $model->{unit}{$unit} =~ s/[^.]*$/'n' . $self->id/er;
	return "UPDATE kpi.unit SET path = '$path' WHERE unit_id = $unit";
}

sub link_inserted
{
	my ($self, $model) = @_;
	my $link = $self->a_link($model) or return;
	return insert('link', 'link_id, child_kpi_id, parent_kpi_id, contributes, weight, valid_from, valid_to', [$link]);
}

sub link_deleted
{
	my ($self, $model) = @_;
	my $link = any_key($model->{link}) or return;
	return "DELETE FROM kpi.link WHERE link_id = $link" if chance(0.8);
	return "DELETE FROM kpi.link WHERE parent_kpi_id = $model->{link}{$link}{parent}";
}

sub link_updated
{
	my ($self, $model) = @_;
	my $link = any_key($model->{link}) or return;
	my $kpi = any_kpi($model);
	my $kind = $model->{link}{$link}{kind};
	my $to = weighted(weight => 5, kind => 2, child => 1, parent => 1);
	return "UPDATE kpi.link SET child_kpi_id = $kpi->{id} WHERE link_id = $link" if $to eq 'child';
	return "UPDATE kpi.link SET parent_kpi_id = $kpi->{id} WHERE link_id = $link" if $to eq 'parent';
	return "UPDATE kpi.link SET contributes = '" . one_of($kind =~ /or$/ ? qw(numerator denominator) : (), qw(score aligned)) . "' WHERE link_id = $link"
	  if $to eq 'kind';
	return 'UPDATE kpi.link SET weight = ' . one_of(1, 2, 0.5, 0, $kind =~ /or$|value/ ? -1 : 3) . " WHERE link_id = $link";
}

sub measure_changed
{
	my ($self, $model) = @_;
	my $measure = any_key($model->{measure}) or return;
	my $rule = chance(0.9) ? one_of(grep { !/grain|fiscal_start/ } @rules) : one_of(@rules);
	return "UPDATE kpi.measure SET $rule = " . $rules{$rule}->() . " WHERE measure_id = $measure";
}

sub nothing_changed
{
	my ($self, $model) = @_;
	my $table = one_of(qw(fact target kpi unit measure link unit_history));
	my $column = { fact => 'value', target => 'value', measure => 'name', unit => 'name', kpi => 'weight', link => 'weight', unit_history => 'share' }->{$table};
	return "UPDATE kpi.$table SET $column = $column";
}

sub facts_truncated { return 'TRUNCATE kpi.fact' }

1;
