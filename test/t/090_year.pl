# The year of an organisation as its people play it, in plain SQL: a plan spread
# over all units, figures by COPY each month and a close after them, reviews by
# quarter, a reorganisation in July, targets revised twice, a late correction, a
# measure that takes another's place in September and a unit that retires in
# October; in all three ways to fold.  What must be shown is added up here, from
# the same raw figures, by who reported to whom in each month.
use strict;
use warnings;
use utf8;
use Encode qw(decode_utf8 encode_utf8);
use FindBin;
use lib $FindBin::RealBin;
use Math::BigInt;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Session;
use Test::More;
use Time::HiRes qw(sleep);

my $node = PostgreSQL::Test::Cluster->new('year');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', 'jit = off');
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE boss LOGIN; CREATE ROLE controller LOGIN; CREATE ROLE lead LOGIN; CREATE DATABASE figures OWNER boss');

# what somebody is answered, who is not the superuser; messages, where it is to be refused
sub ask_as
{
	my ($role, $sql) = @_;
	my ($rc, $out, $err) = $node->psql('figures', encode_utf8($sql), extra_params => [ '-U', $role ], on_error_stop => 1);
	die encode_utf8("$role: $sql\n") . $err if $rc;
	return decode_utf8($out);
}
sub ask { return ask_as('controller', $_[0]) }
sub refused
{
	my ($rc, $out, $err) = $node->psql('figures', encode_utf8($_[0]), extra_params => [ '-U', 'controller' ], on_error_stop => 1);
	return $rc ? decode_utf8($err) : '';
}
sub lines { return join "\n", sort @_ }

# ---------------------------------------------------------------- the figures, and what they add up to

# months are numbered from January 2025, so those of 2024 are -11 to 0
my $now = 0;    # the month that is being played: what comes later is not known yet
my %parent = (V => 'N', W => 'N', S => 'N', VA => 'V', VK => 'V', VT => 'V', W1 => 'W', W2 => 'W', SH => 'S');
sub above { my ($unit, $t) = @_; return $unit eq 'SF' ? ($t >= 7 && $now >= 7 ? 'V' : 'S') : $parent{$unit} }
sub is_in { my ($leaf, $unit, $t) = @_; for (my $u = $leaf; $u; $u = above($u, $t)) { return 1 if $u eq $unit } return 0 }
sub month { my ($t) = @_; return $t > 0 ? sprintf('2025-%02d', $t) : sprintf('2024-%02d', $t + 12) }

my %fact;    # {measure}{unit}{month} = [value, weight]
my %base = (VA => 9000, VK => 4000, VT => 3000, SH => 500, SF => 1500);
my %gain = (VA => 102, VK => 115, VT => 80, SH => 100, SF => 104);    # per cent of the year before
for my $t (-11 .. 12)
{
	for my $u (sort keys %base)
	{
		my $then = $base{$u} + 40 * (($t - 1) % 12) + ($u eq 'VA' ? 9 : 1) * (($t * 37) % 50);
		$fact{revenue}{$u}{$t} = [ $t > 0 ? int($fact{revenue}{$u}{ $t - 12 }[0] * $gain{$u} / 100) + $t % 3 : $then, 1 ];
	}
	next if $t < 1;
	for my $u (qw(W1 W2))
	{
		$fact{defects}{$u}{$t} = [ 20 + ($t * 7) % 13 + ($u eq 'W1' && $t == 8 ? 60 : 0), 900 + 11 * $t ] if $u eq 'W1' || $t < 10;
	}
	my %staff = (VA => 9 + ($t > 3), VK => 6, VT => 5 - ($t > 5), W1 => 14, W2 => 11, SH => 7, SF => 6);
	for my $u (keys %staff) { $fact{staff}{$u}{$t} = [ $staff{$u}, 1 ] if $u ne 'W2' || $t < 10 }
	if   ($t < 9) { $fact{calls}{SH}{$t} = [ 2000 + 31 * $t, 1 ] }
	else          { $fact{solved}{SH}{$t} = [ 1500 + 20 * $t, 2100 ] }
}
my %units = (
	revenue => [qw(N V VA VK VT S SH SF)], growth => ['N'], defects => [qw(W W1 W2)],
	staff => [qw(N V VA VK VT W W1 W2 S SH SF)], calls => [qw(S SH)], solved => [qw(S SH)]);

sub total
{
	my ($measure, $unit, $at, @t) = @_;    # with $at, the parents of one month for all
	my @sum = (0, 0);
	for my $leaf (keys %{ $fact{$measure} })
	{
		for my $t (grep { $fact{$measure}{$leaf}{$_} && is_in($leaf, $unit, $at // $_) } @t) { $sum[$_] += $fact{$measure}{$leaf}{$t}[$_] for 0, 1 }
	}
	return @sum;
}
# rounded half away from zero to 12 places, without trailing zeros
sub quotient
{
	my ($n, $d) = @_;
	my $q = (Math::BigInt->new(abs $n) * 2 * Math::BigInt->new(10)**12 + $d) / (2 * $d);
	my $text = sprintf '%s', $q;
	$text = ('0' x (13 - length $text)) . $text if length $text < 13;
	$text =~ s/(.{12})$/.$1/;
	$text =~ s/\.?0+$//;
	return ($n < 0 ? '-' : '') . $text;
}
# the months of each period around a month
sub periods
{
	my ($t) = @_;
	my ($q, $h) = (int(($t + 2) / 3), int(($t + 5) / 6));
	return ([ month($t), $t, $t ], [ "2025-Q$q", 3 * $q - 2, 3 * $q ], [ "2025-H$h", 6 * $h - 5, 6 * $h ], [ '2025', 1, 12 ]);
}
sub alive
{
	my ($measure, $unit, $end) = @_;
	return 0 if $unit eq 'W2' && $now >= 10 && $end >= 10;
	return $measure eq 'calls' ? !($now >= 9 && $end >= 9) : $measure eq 'solved' ? $now >= 9 && $end >= 9 : 1;
}
sub actual
{
	my ($measure, $unit, $from, $to) = @_;
	my @t = ($from .. ($to < $now ? $to : $now));
	return undef unless alive($measure, $unit, $to);
	if ($measure eq 'growth')
	{
		my ($new, $old) = ((total('revenue', 'N', undef, @t))[0], (total('revenue', 'N', undef, map { $_ - 12 } @t))[0]);
		return quotient(100 * ($new - $old), $old);
	}
	if ($measure eq 'staff')
	{
		# a stock: the last month, of those who are there at the end
		return eval { my $sum = 0; $sum += $_ for map { $fact{staff}{$_}{ $t[-1] }[0] } grep { alive('staff', $_, $to) && is_in($_, $unit, $to) } keys %{ $fact{staff} }; $sum };
	}
	my ($v, $w) = total($measure, $unit, undef, @t);
	return $w == 0 ? undef : $measure =~ /defects|solved/ ? quotient(100 * $v, $w) : $v;
}

# ---------------------------------------------------------------- the administrator sets it up

ask_as('boss', q{
CREATE EXTENSION kpi_cascade;
GRANT USAGE ON SCHEMA kpi TO controller, lead;
SELECT format('GRANT EXECUTE ON ROUTINE %s TO controller, lead', oid::regprocedure)
  FROM pg_proc WHERE pronamespace = 'kpi'::regnamespace AND has_function_privilege(oid, 'EXECUTE WITH GRANT OPTION') \gexec
SELECT format('GRANT SELECT ON %s TO controller, lead', oid::regclass)
  FROM pg_class WHERE relnamespace = 'kpi'::regnamespace AND relkind IN ('r', 'v') AND has_table_privilege(oid, 'SELECT WITH GRANT OPTION') \gexec
SELECT format('GRANT INSERT, UPDATE, DELETE ON %s TO controller', oid::regclass)
  FROM pg_class WHERE relnamespace = 'kpi'::regnamespace AND relkind IN ('r', 'v') AND has_table_privilege(oid, 'INSERT WITH GRANT OPTION') \gexec
GRANT INSERT ON kpi.check_in TO lead;
SELECT kpi.version();
ALTER DATABASE figures SET kpi_cascade.fold_after = 0;
ALTER DATABASE figures SET kpi_cascade.notify = on;
});
my %name = (
	N => q{Nord & Söhne "Group" <AG>}, V => 'Vertrieb | Sales', VA => q{<script>alert(1)</script> O'Brien's}, VK => 'فريق القاهرة', VT => 'צוות תל אביב 🚀',
	W => 'Werk *Plant* `x`', W1 => 'Line 1 </table>', W2 => 'Line 2 $1 \\ %s', S => 'Service [x](javascript:alert(1))', SH => q{Hot'line}, SF => 'Field; service --');
my %path = (N => 'nord', V => 'nord.vertrieb', VA => 'nord.vertrieb.team_a', VK => 'nord.vertrieb.قاهرة', VT => 'nord.vertrieb.תל-אביב',
	W => 'nord.werk', W1 => 'nord.werk.l1', W2 => 'nord.werk.l2', S => 'nord.service', SH => 'nord.service.hot', SF => 'nord.service.field');
my %owner = (N => 'Ada <b>', V => q{Léa "Lead" | M.}, VA => q{Robert'); DROP TABLE kpi.fact;--}, VK => 'فاطمة', VT => 'דוד', W => '小林', W1 => '小林', W2 => 'Pipe | Piper', S => 'Hanna', SH => 'Hanna', SF => 'Fred');
sub quoted { my ($text) = @_; $text =~ s/'/''/g; return "'$text'" }
ask_as('boss', join "\n",
	'INSERT INTO kpi.unit (path, code, name, owner) VALUES ' . join(', ', map { "('$path{$_}', '$_', " . quoted($name{$_}) . ', ' . quoted($owner{$_}) . ')' } sort keys %path) . ';',
	q{INSERT INTO kpi.member (name, role_name) SELECT DISTINCT owner, CASE WHEN owner LIKE 'L%a%' THEN 'lead' END FROM kpi.unit;
INSERT INTO kpi.membership (member_id, unit_id, valid_from) SELECT m.member_id, u.unit_id, '2025-01-01' FROM kpi.unit u JOIN kpi.member m ON m.name = u.owner;
INSERT INTO kpi.measure (code, name, direction, rollup, time_rollup, scoring, multiplier, at_risk_from, due_after) VALUES
    ('revenue', 'Revenue', 'higher', 'sum', 'pool', 'ratio', 1, 0.9, '4 days'), ('growth', 'Growth | of it', 'higher', 'none', 'pool', 'ratio', 100, 0.8, '4 days'),
    ('defects', 'Defects <per> 100', 'lower', 'ratio', 'pool', 'ratio', 100, 0.8, '4 days'), ('staff', 'Staff', 'higher', 'sum', 'last', 'range', 1, 0.8, '4 days'),
    ('calls', 'Calls "answered"', 'higher', 'sum', 'pool', 'ratio', 1, 0.9, '4 days');
SELECT kpi.deploy('revenue', 'N', '{1}'), kpi.deploy('revenue', 'V'), kpi.deploy('revenue', 'S'), kpi.deploy('growth', 'N', '{1}'), kpi.deploy('defects', 'W'), kpi.deploy('staff', 'N'),
       kpi.deploy('calls', 'S', '{2}'), kpi.deploy('calls', 'SH');
SELECT kpi.link_kpi('N', 'revenue', 'N', 'growth', 'growth'), kpi.link_kpi('W', 'defects', 'N', 'revenue', 'aligned'), kpi.link_kpi('S', 'calls', 'S', 'revenue', 'aligned');
INSERT INTO kpi.objective (code, name, kind) VALUES ('vision', 'The <i>northern</i> light | always ✨', 'vision');
INSERT INTO kpi.objective (code, name, perspective, parent_objective_id) SELECT v.*, objective_id FROM kpi.objective,
    (VALUES ('grow', 'Grow "well"', 'financial'), ('delight', 'عملاء سعداء', 'customer'), ('right', 'Right *first* time', 'internal_process'), ('learn', 'Lernen & wachsen', 'learning_and_growth')) v;
UPDATE kpi.kpi k SET objective_id = o.objective_id, owner = u.owner FROM kpi.unit u, kpi.measure m, kpi.objective o
 WHERE u.unit_id = k.unit_id AND m.measure_id = k.measure_id AND o.code = CASE m.code WHEN 'defects' THEN 'right' WHEN 'staff' THEN 'learn' WHEN 'calls' THEN 'delight' ELSE 'grow' END;
INSERT INTO kpi.skill (code, name) VALUES ('nego', 'Negotiating | "hard"');
INSERT INTO kpi.measure_skill SELECT measure_id, skill_id FROM kpi.measure, kpi.skill WHERE measure.code = 'revenue';
INSERT INTO kpi.training (member_id, skill_id, completed_on, expires_on) SELECT member_id, skill_id, '2024-06-01', CASE m.name WHEN 'فاطمة' THEN '2025-06-01'::date END FROM kpi.member m, kpi.skill WHERE m.name IN ('فاطمة', 'דוד');
});

# the controller loads a month from a file
my $files = $PostgreSQL::Test::Utils::tmp_check;
sub load
{
	my ($file, @t) = @_;
	open my $fh, '>:encoding(UTF-8)', "$files/$file.csv" or die "could not write $files/$file.csv: $!";
	print $fh "unit,measure,period,value,weight,reference\n";
	for my $t (@t)
	{
		for my $measure (sort keys %fact)
		{
			print $fh join(',', $_, $measure, month($t), @{ $fact{$measure}{$_}{$t} }, "$_/$measure/$t"), "\n" for grep { $fact{$measure}{$_}{$t} } sort keys %{ $fact{$measure} };
		}
	}
	close $fh;
	ask("\\copy kpi.fact_entry (unit, measure, period, value, weight, reference) FROM '$files/$file.csv' WITH (FORMAT csv, HEADER)");
}
load('2024', -11 .. 0);

# the plan: 8 per cent on 2024, by month and team as 2024 was
my $plan = int(1.08 * (total('revenue', 'N', undef, -11 .. 0))[0]);
ask(qq{SET kpi_cascade.reason = 'plan'; SELECT kpi.cascade_target('N', 'revenue', '2025', $plan, 'history', over_periods => 'history', decimals => 0);
SELECT kpi.cascade_target('W', 'defects', '2025', 2.5); SELECT kpi.cascade_target('S', 'calls', '2025', 26400, decimals => 0);
INSERT INTO kpi.target_entry (unit, measure, period, value) SELECT 'N', 'growth', p::text, 8 FROM kpi.generate_series('2025-01', '2025-12') p;
INSERT INTO kpi.target_entry (unit, measure, period, low, high) SELECT code, 'staff', p::text, 1, CASE WHEN code IN ('V', 'S') THEN 22 WHEN kpi.depth(path) < 3 THEN 90 ELSE 14 END
  FROM kpi.unit, kpi.generate_series('2025-01', '2025-12') p;});
# targets by unit and month, as the tables have them
sub targets { my %t; $t{"$$_[0] $$_[1]"} = $$_[2] for map { [ split /\|/ ] } split /\n/, ask(q{SELECT u.code, t.period, t.value FROM kpi.target t JOIN kpi.kpi k USING (kpi_id) JOIN kpi.unit u USING (unit_id)
	JOIN kpi.measure m USING (measure_id) WHERE m.code = 'revenue' AND kpi.grain(t.period) = 'month'}); return %t }
sub sum { my $sum = 0; $sum += $_ for @_; return $sum }
my %target = targets();
sub target { my ($unit, @t) = @_; return sum(map { $target{ "$unit " . month($_) } } @t) }
# targets that are not the sum of those right beneath, as things are
sub apart
{
	return grep { my ($u, $t) = split; $target{ "$u " . month($t) } != sum(map { $target{ "$_ " . month($t) } } grep { above($_, $t) eq $u } @{ $units{revenue} }[ 1 .. 7 ]) }
	  map { my $u = $_; map { "$u $_" } 1 .. 12 } qw(N V S);
}
is(target('N', 1 .. 12), $plan, 'the plan is spread over the year');
is(join(', ', apart()), '', 'and over all units in each month');
for my $u (sort keys %base)
{
	my $exact = $plan * (total('revenue', $u, undef, -11 .. 0))[0] / (total('revenue', 'N', undef, -11 .. 0))[0];
	cmp_ok(abs(target($u, 1 .. 12) - $exact), '<', 12, "$u gets its part");
}
# what concerns today, years later, is left out: nobody has planned that
my $findings = q{SELECT concat_ws(' ', code, unit, measure, period, amount) FROM kpi.alignment WHERE code NOT IN ('no_target', 'no_data') ORDER BY 1};
is(ask($findings), '', 'all work ties to the goals');

# ---------------------------------------------------------------- month by month

my $listener = Session->new($node, 'figures');
$listener->query('LISTEN kpi_status');
my ($heard, $read, @read) = (0, 0);
my (%known_at, %reported);

sub play
{
	my ($t) = @_;
	my $month = month($t);
	$now = $t;
	before($t);
	my $next = $t < 12 ? month($t + 1) : '2026-01';
	# two days before the figures are due, on the first day they are, and when they are there
	my $owed = sub { return lines(map { s/\|/ /gr } split /\n/, ask(qq{SELECT u.code, d.measure FROM kpi.due('$_[0]') d JOIN kpi.unit u USING (unit_id) WHERE d.period = '$month'})) };
	is($owed->("$next-03"), '', "$month: nothing is due on the third");
	is($owed->("$next-05"), lines(map { my $m = $_; map { "$_ $m" } grep { $fact{$m}{$_}{$t} } keys %{ $fact{$m} } } keys %fact), "$month: everybody owes figures on the fifth");
	load($month, $t);
	is($owed->("$next-05"), '', "$month: and nobody does when they are there");
	after($t);
	ask('SELECT kpi.fold()') if $t >= 5 && $t <= 8;
	$node->poll_query_until('figures', 'SELECT pending = 0 FROM kpi.status()') or die 'nobody folds' if $t >= 9;

	my (@expected, @around);
	for my $p (periods($t))
	{
		push @around, $$p[0];
		for my $measure (sort keys %units)
		{
			for my $unit (@{ $units{$measure} })
			{
				my $actual = actual($measure, $unit, @$p[ 1, 2 ]);
				push @expected, "$unit $measure $$p[0] $actual" if defined $actual;
			}
		}
	}
	my $shown = sprintf q{SELECT concat_ws(' ', u.code, s.measure, s.period, s.actual) FROM kpi.scorecard s JOIN kpi.unit u ON u.unit_id = s.unit_id WHERE s.actual IS NOT NULL AND s.period IN ('%s')}, join "', '", @around;
	is(lines(split /\n/, ask($shown)), lines(@expected), "$month: all figures of it and the periods around it");
	is(ask('SELECT count(*) FROM kpi.verify()'), '0', "$month: nothing differs from the recomputation");
	is(ask("SELECT kpi.close_period('$month', note => 'month end')"), scalar(grep { / $month / } @expected), "$month: closed, with all its figures");
	$known_at{$t} = ask('SELECT clock_timestamp()');
	$reported{$t} = (total('revenue', 'N', undef, $t))[0];

	# an application is told, and reads what is new
	my $last = ask('SELECT max(status_change_id) FROM kpi.status_change');
	for (1 .. 1800)
	{
		last if $heard == $last;
		$heard = $_ for $listener->query('SELECT 1') =~ /"kpi_status" with payload "(\d+)"/g;
		sleep 0.1 if $heard < $last;
	}
	is($heard, $last, "$month: the listener is told of the last change");
	push @read, split /\n/, ask("SELECT status_change_id FROM kpi.status_change WHERE status_change_id > $read ORDER BY 1");
	$read = $read[-1];
	quarter($t / 3) if $t % 3 == 0;
}

sub before
{
	my ($t) = @_;
	fold_by('manual') if $t == 5;
	fold_by('background') if $t == 9;
	if ($t == 7)
	{
		like(refused(q{SELECT kpi.move_unit('SF', 'V', '2025-06-01')}), qr/period "2025-06" of measure "\w+" at unit "nord\.(?:vertrieb|service)" is closed/, 'nobody moves into a closed month');
		ask(q{SELECT kpi.move_unit('SF', 'V', '2025-07-01')});
		%target = targets();
		# the field's targets lack beneath the one and are too much beneath the other
		is(ask(qq{$findings}), lines(map { my $m = month($_); my $f = $target{"SF $m"}; ("targets_do_not_add_up nord.service revenue $m -$f", "targets_do_not_add_up nord.vertrieb revenue $m $f") } 7 .. 12), 'targets have not moved with it');
		ask(q{SELECT kpi.rollup_targets('N', 'revenue', '2025-H2', note => 'reorganisation')});
		%target = targets();
		is(ask($findings) . join(', ', apart()), '', 'and do now');
		is(target('N', 1 .. 12), $plan + 20000, q{the group's plan is what it was});
	}
	elsif ($t == 9)
	{
		like(refused(q{SELECT kpi.replace_measure('calls', 'solved', '2025-09-01')}), qr/measure "solved" does not exist/, 'the new measure comes first');
		ask(q{INSERT INTO kpi.measure (code, name, rollup, multiplier, at_risk_from, due_after) VALUES ('solved', 'Solved <at> once', 'ratio', 100, 0.9, '4 days')});
		is(ask(q{SELECT u.code, r.is_new, r.links, r.unused_targets FROM kpi.replace_measure('calls', 'solved', '2025-09-01') r JOIN kpi.unit u ON u.path = r.unit ORDER BY 1}), "S|t|1|4\nSH|t|0|4", 'it takes over, and four months of targets are left');
		ask(q{SELECT kpi.cascade_target('S', 'solved', '2025', 80)});
	}
	elsif ($t == 10)
	{
		like(refused(q{UPDATE kpi.unit SET valid_to = '2025-09-01' WHERE code = 'W2'}), qr/is closed\nDETAIL:.*\nHINT:.*kpi\.reopen_period/, 'a unit cannot end in what is closed');
		ask(q{UPDATE kpi.unit SET valid_to = '2025-10-01' WHERE code = 'W2'});
		# the sales team in Tel Aviv gets a third less, what the others take over by their targets
		my $less = int(target('VT', 10 .. 12) * 2 / 3);
		my $group = target('N', 10 .. 12);
		ask(qq{BEGIN; SET LOCAL kpi_cascade.reason = 'תל אביב | less'; SELECT kpi.cascade_target('VT', 'revenue', '2025-Q4', $less, 'current', decimals => 0);
			UPDATE kpi.target SET locked = true WHERE kpi_id = kpi.kpi_id('VT', 'revenue') AND period BETWEEN '2025-10' AND '2025-12';
			SELECT kpi.cascade_target('N', 'revenue', '2025-Q4', $group, 'current', decimals => 0); COMMIT});
		%target = targets();
		is(join(' ', target('VT', 10 .. 12), target('N', 10 .. 12), apart()), "$less $group", 'the second revision: less for one, the same in all');
	}
	return;
}

sub after
{
	my ($t) = @_;
	if ($t == 5)
	{
		# April is closed; a credit note of 700 comes late
		my $message = refused(q{UPDATE kpi.fact_entry SET value = value - 700 WHERE reference = 'VA/revenue/4'});
		like($message, qr/period "2025-04" of measure "revenue" at unit "nord.vertrieb.team_a" is closed/, 'a late correction is refused');
		for my $other (q{INSERT INTO kpi.fact_entry (unit, measure, period, value) VALUES ('VK', 'revenue', '2025-04', 1)}, q{DELETE FROM kpi.fact WHERE reference = 'W1/defects/4'},
			q{SELECT kpi.set_target('VT', 'revenue', '2025-04', 1)}, q{UPDATE kpi.measure SET at_risk_from = 0.5 WHERE code = 'revenue'})
		{
			like(refused($other), qr/is closed/, "so is: $other");
		}
		my ($open) = $message =~ /HINT: .*?(SELECT kpi\.reopen_period.*;)/ or die "no way to open: $message";
		ask($open =~ s/'why'/'a credit note | <b>late<\/b>'/r);
		ask(q{BEGIN; SET LOCAL kpi_cascade.reason = 'credit note 4711'; UPDATE kpi.fact_entry SET value = value - 700 WHERE reference = 'VA/revenue/4'; COMMIT});
		$fact{revenue}{VA}{4}[0] -= 700;
		is(ask(q{SELECT u.code, d.actual_difference FROM kpi.reported_difference d JOIN kpi.unit u ON u.path = d.unit WHERE d.differs AND d.measure = 'revenue' ORDER BY 1}), "N|-700\nV|-700\nVA|-700", 'reported and current, side by side');
		ask(q{SELECT kpi.close_period('2025-04', note => 'corrected')});
		is(ask(q{SELECT count(*) FROM kpi.reported_difference WHERE differs}), '0', 'and closed again they are one');
		is(ask(q{SELECT r.actual FROM kpi.reported r JOIN kpi.period_close c USING (period_close_id) WHERE r.unit = 'nord' AND r.measure = 'revenue' AND r.period = '2025-04' ORDER BY c.closed_at}),
			"$reported{4}\n" . ($reported{4} - 700), 'both reports are kept');
		# the first revision: 20,000 more in the second half
		my $more = target('N', 7 .. 12) + 20000;
		ask(qq{BEGIN; SET LOCAL kpi_cascade.reason = 'supervisory board | <b>'; SELECT kpi.cascade_target('N', 'revenue', '2025-H2', $more, 'current', over_periods => 'current', decimals => 0); COMMIT});
		%target = targets();
		is(join(' ', target('N', 7 .. 12), apart()), $more, 'the first revision: more for all in the second half');
	}
	elsif ($t == 10)
	{
		my ($so_far, $before, $rest) = map { (total('revenue', 'N', undef, @$_))[0] } [ 1 .. 10 ], [ -11 .. -2 ], [ -1, 0 ];
		my $aim = target('N', 1 .. 12);
		is(ask(q{SELECT actual, target, remaining, round(expected, 6), needed FROM kpi.forecast('N', 'revenue', '2025')}),
			ask("SELECT $so_far, $aim, 2, round($so_far / 10.0 * 12, 6), trim_scale(($aim - $so_far) / 2.0)"), 'October: where it ends at this rate, and what each month needs');
		is(ask(q{SELECT round(expected, 6) FROM kpi.forecast('N', 'revenue', '2025', 'seasonal')}), ask("SELECT round($so_far + $rest.0 * $so_far / $before, 6)"), 'and by the season');
		is(ask(q{SELECT pace FROM kpi.pace('2025-10-31') WHERE unit = 'nord' AND measure = 'revenue' AND period = '2025'}), quotient($so_far, target('N', 1 .. 10)), 'and against the months gone by');
	}
	return;
}

sub fold_by
{
	my ($mode) = @_;
	ask_as('boss', "SELECT kpi.version(); ALTER DATABASE figures SET kpi_cascade.fold_mode = $mode");
	is(ask_as('boss', 'SELECT kpi.start_worker() > 0'), 't', 'a worker folds') if $mode eq 'background';
	return;
}

# a review: what to talk about, a decision, and the pages for everybody
sub quarter
{
	my ($q) = @_;
	my $period = "2025-Q$q";
	my @t = (3 * $q - 2 .. 3 * $q);
	if ($q == 1)
	{
		# who says it is known by the role
		ask_as('lead', q{SELECT kpi.check_in('N', 'revenue', '2025-Q1', 'איטי; "slow" <b>|</b>', 0.3)});
		is(ask(q{SELECT author FROM kpi.latest_check_in}), $owner{V}, 'a check-in has its author');
	}
	my %miss = map { $_ => target($_, @t) - (total('revenue', $_, undef, @t))[0] } qw(N V S);
	my ($most) = sort { $miss{$b} <=> $miss{$a} } qw(V S);
	my $agenda = ask("SELECT reason, u.code, a.measure, a.amount FROM kpi.review_agenda('N', '$period') a LEFT JOIN kpi.unit u USING (unit_id)");
	like($agenda, qr/^largest_contribution\|$most\|revenue\|$miss{$most}$/m, "$period: who takes most of the $miss{N} that the group lacks");
	$q == 1 ? like($agenda, qr/^low_confidence\|N\|revenue\|0\.3$/m, 'and who is not sure') : like($agenda, qr/^overdue_action\|VT\|revenue\|\d+$/m, "$period: and what was not done");
	ask(sprintf q{WITH r AS (INSERT INTO kpi.review (unit_id, held_on, period, chair, summary) VALUES (kpi.unit_id('N'), kpi.last_day('%1$s') + 10, '%1$s', 'Ada <b>', 'ok | <ok>') RETURNING review_id),
		i AS (INSERT INTO kpi.review_item (review_id, kpi_id, discussion, decision) SELECT review_id, kpi.kpi_id('N', 'revenue'), 'weak', 'help תל אביב' FROM r)
		INSERT INTO kpi.action_item (review_id, kpi_id, description, owner, due_on) SELECT review_id, kpi.kpi_id('VT', 'revenue'), 'Hire <one> | "closer" %1$s', 'דוד', kpi.last_day('%1$s') + 40 FROM r}, $period);
	ask("UPDATE kpi.action_item SET done_on = '2025-10-20' WHERE description LIKE '%Q2'") if $q == 3;

	for my $u (qw(N V W SH VK))
	{
		my $briefing = ask("SELECT kpi.briefing('$u', '$period')");
		my $said = $name{$u} =~ s/([*`|\[\]])/\\$1/gr =~ s/&(?=\w+;)/&amp;/gr =~ s/</&lt;/gr =~ s/>/&gt;/gr;
		like($briefing, qr/^# \x{2068}?\Q$said\E\x{2069}?, $period$/m, "$period: the briefing of $u has its name");
		unlike($briefing, qr/<(?:script|i|b|AG)\b/, 'and nothing that is markup');
		my $html = ask("SELECT kpi.report_html('$u', '$period')");
		my $escaped = $name{$u} =~ s/&/&amp;/gr =~ s/</&lt;/gr =~ s/>/&gt;/gr =~ s/"/&quot;/gr =~ s/'/&#39;/gr;
		like($html, qr/<h1[^>]*>\Q$escaped\E<\/h1>/, 'the report, too');
		unlike($html, qr/<script/i, 'which runs nothing');
	}
	return;
}

play($_) for 1 .. 12;

# ---------------------------------------------------------------- looking back

is(ask(qq{SELECT actual FROM kpi.attainment_as_known('$known_at{4}', 'nord', 'revenue', '2025-04')}), $reported{4}, 'what we said of April in April');
is(ask(qq{SELECT target FROM kpi.attainment_as_known('$known_at{3}', 'nord', 'revenue', '2025')}) . ask(q{SELECT '|' || target FROM kpi.attainment WHERE unit = 'nord' AND measure = 'revenue' AND period = '2025'}),
	$plan . '|' . ($plan + 20000), 'the plan in March, and now');
is(ask(q{SELECT reason FROM kpi.target_revision WHERE kpi_id = kpi.kpi_id('VT', 'revenue') AND period = '2025-11' AND (old_value <> new_value OR change = 'set') ORDER BY target_revision_id}),
	"plan\nsupervisory board | <b>\nתל אביב | less", 'why a target is what it is');
is(ask(q{SELECT change, value, reason FROM kpi.fact_revision}), 'changed|' . ($fact{revenue}{VA}{4}[0] + 700) . '|credit note 4711', 'and a figure');
is(ask(q{SELECT measure, period, actual FROM kpi.series('SH', 'solved', '2025-10', 4)}),
	join("\n", (map { "calls|2025-0$_|$fact{calls}{SH}{$_}[0]" } 7, 8), (map { my ($v, $w) = @{ $fact{solved}{SH}{$_} }; 'solved|' . month($_) . '|' . quotient(100 * $v, $w) } 9, 10)), 'one series of two measures');
like(ask(q{SELECT kpi.report_html('SH', '2025-Q4')}), qr/replaces <span dir="auto">Calls &quot;answered&quot;/, 'as the report says');
is(ask(q{SELECT string_agg(period::text, ' ' ORDER BY period) FROM kpi.attainment WHERE unit = 'nord.werk.l2' AND measure = 'defects' AND period >= '2025-09' AND actual IS NOT NULL}),
	'2025-09 2025-Q1 2025-Q2 2025-Q3 2025-H1', 'a retired unit keeps what was');

is(ask("SELECT kpi.close_period('2025', note => 'annual report') > 0"), 't', 'the year is closed');
like(refused("SELECT kpi.close_period('2025-Q4')"), qr/period "2025-Q4" is closed already/, 'with all that lies in it');
is(ask(q{SELECT count(*) FROM kpi.reported_difference WHERE differs}), '0', 'and nothing differs from what was reported last');

is(join(' ', @read), join(' ', split /\n/, ask('SELECT status_change_id FROM kpi.status_change ORDER BY 1')), 'every change of status was read once');
is(ask(q{SELECT count(*) FROM (SELECT old_status, lag(new_status) OVER w AS before, row_number() OVER w AS n FROM kpi.status_change WINDOW w AS (PARTITION BY kpi_id, period ORDER BY status_change_id)) c
	WHERE n > 1 AND before IS DISTINCT FROM old_status}), '0', 'each begins where the last one ended');
is(ask(q{SELECT count(*) FROM (SELECT DISTINCT ON (kpi_id, period) * FROM kpi.status_change ORDER BY kpi_id, period, status_change_id DESC) c FULL JOIN (SELECT * FROM kpi.attainment WHERE status > 'no_target') a USING (kpi_id, period)
	WHERE c.new_status IS DISTINCT FROM a.status AND (c.new_status > 'no_target' OR a.status > 'no_target')}), '0', 'and the last ones are as it is now');

# Nobody of N, V, VA, SH, S and SF has learned to negotiate, and VK's has forgotten it
is(ask(q{SELECT u.code, g.gap FROM kpi.training_gap g JOIN kpi.unit u USING (unit_id) ORDER BY u.code}), join("\n", map { "$_|1" } qw(N S SF SH V VA VK)), 'who has to learn');
ask(q{SELECT kpi.acknowledge('vision', n) FROM unnest('{Fred,Hanna}'::text[]) n});
is(ask(q{SELECT members, seen, share FROM kpi.objective_reach WHERE code = 'vision'}), join('|', 9, 2, quotient(2, 9)), 'who has seen the vision: two of nine');
is(ask(q{SELECT count(*) FROM kpi.open_actions WHERE is_overdue}), '3', 'three of four actions are open, and late');
ask_as('boss', q{UPDATE kpi.member SET name = 'دافيد <b>' WHERE name = 'דוד'; DELETE FROM kpi.member WHERE name = 'Fred'});
is(ask(q{SELECT count(*) FILTER (WHERE owner = 'دافيد <b>'), count(*) FILTER (WHERE owner = 'דוד') FROM kpi.action_item}), '4|0', 'a new name goes everywhere');
is(ask(q{SELECT count(*) FROM kpi.kpi WHERE owner = 'Fred'}), '0', 'and that of who is deleted nowhere');
# on paper the field reported to service; a reorganisation on paper changes nothing else
is(ask(q{SELECT r.actual FROM kpi.restated('2025-01-01') r WHERE r.unit_now = 'nord.service' AND r.measure = 'revenue' AND r.period = '2025'}),
	sum(map { $$_[0] } map { my $u = $_; map { $fact{revenue}{$u}{$_} } 1 .. 12 } qw(SH SF)), 'the year as the old organisation would have it');
is(ask($findings), 'no_owner nord.vertrieb.field revenue, no_owner nord.vertrieb.field staff' =~ s/, /\n/r, 'nothing but the field that nobody answers for does not tie to the goals');
is(ask('SELECT count(*) FROM kpi.verify()'), '0', 'nothing differs from the recomputation');

$listener->quit;
ask_as('boss', 'SELECT kpi.stop_worker()');
$node->stop;
done_testing();
