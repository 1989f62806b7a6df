# The pictures: SVG for light and dark pages, without fonts or scripts of others.
package Chart;
use strict;
use warnings;
use Exporter 'import';
use POSIX ();

our @EXPORT = qw(bars lines);

# colours that differ for colour-blind readers too
my @colour = map { "#$_" } qw(8a8f98 0072b2 56b4e9 009e73 cc79a7 e69f00 d55e00 7a5195);
my ($width, $height, $left, $right, $top, $bottom) = (900, 440, 70, 250, 60, 60);

sub escaped
{
	my ($text) = @_;

	$text =~ s/&/&amp;/g;
	$text =~ s/</&lt;/g;
	return $text;
}

sub text
{
	my ($x, $y, $anchor, $text, $more) = @_;

	return sprintf qq{<text x="%.1f" y="%.1f" text-anchor="%s"%s>%s</text>\n}, $x, $y, $anchor, $more // '', escaped($text);
}

sub frame
{
	my ($title, $x_label, $y_label, $legend, $body) = @_;
	my $middle = ($top + $height - $bottom) / 2;
	my $key = '';

	for my $i (0 .. $#$legend)
	{
		my $y = $top + 10 + 22 * $i;

		$key .= sprintf qq{<rect x="%d" y="%d" width="12" height="12" fill="%s"/>\n}, $width - $right + 18, $y - 10, $colour[$i];
		$key .= text($width - $right + 36, $y, 'start', $legend->[$i]);
	}
	return <<"SVG";
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 $width $height" width="$width" height="$height" role="img">
<title>@{[ escaped($title) ]}</title>
<style>
text { font: 13px sans-serif; fill: #1f2328 }
.title { font-size: 16px; font-weight: bold }
.back { fill: #ffffff }
.grid { stroke: #d0d7de; stroke-width: 1 }
\@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.back { fill: #0d1117 }
.grid { stroke: #3d444d }
}
</style>
<rect class="back" width="$width" height="$height"/>
@{[ text($left, 30, 'start', $title, ' class="title"') ]}@{[ text(($left + $width - $right) / 2, $height - 15, 'middle', $x_label) ]}@{[ text(18, $middle, 'middle', $y_label, qq{ transform="rotate(-90 18 $middle)"}) ]}$body$key</svg>
SVG
}

sub grid_line
{
	my ($y, $label) = @_;

	return sprintf(qq{<line class="grid" x1="%d" y1="%.1f" x2="%d" y2="%.1f"/>\n}, $left, $y, $width - $right, $y)
	  . text($left - 8, $y + 4, 'end', $label);
}

# a round step that gives at most six lines
sub step
{
	my ($max) = @_;
	my $power = 10**int(log($max / 6) / log(10) - ($max < 6 ? 1 : 0));

	for my $factor (1, 2, 5, 10, 20, 50) { return $factor * $power if $max / ($factor * $power) <= 6 }
}

# bars TITLE, X LABEL, Y LABEL, [group...], [series...], {series => [value of each group]}
sub bars
{
	my ($title, $x_label, $y_label, $groups, $series, $value) = @_;
	my ($max) = sort { $b <=> $a } map { grep { defined } @$_ } values %$value;
	my $step = step($max);
	my $scale = ($height - $top - $bottom) / ($max * 1.08);
	my $group_width = ($width - $left - $right) / @$groups;
	my $bar = $group_width * 0.84 / @$series;
	my $body = '';

	for (my $y = 0; $y <= $max * 1.05; $y += $step) { $body .= grid_line($height - $bottom - $y * $scale, sprintf '%g', $y) }
	for my $g (0 .. $#$groups)
	{
		my $x = $left + $group_width * ($g + 0.08);

		for my $s (0 .. $#$series)
		{
			my $v = $value->{ $series->[$s] }[$g] // next;

			$body .= sprintf qq{<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"><title>%s, %s: %.3g</title></rect>\n},
			  $x + $s * $bar, $height - $bottom - $v * $scale, $bar * 0.9, $v * $scale, $colour[$s], escaped($series->[$s]), $groups->[$g], $v;
		}
		$body .= text($left + $group_width * ($g + 0.5), $height - $bottom + 20, 'middle', $groups->[$g]);
	}
	return frame($title, $x_label, $y_label, $series, $body);
}

# lines TITLE, X LABEL, Y LABEL, [x...], [series...], {series => [y of each x]}; both axes logarithmic
sub lines
{
	my ($title, $x_label, $y_label, $xs, $series, $value) = @_;
	my $log = sub { log($_[0]) / log(10) };
	my @all = sort { $a <=> $b } map { @$_ } values %$value;
	my ($low, $high) = (POSIX::floor($log->($all[0])), POSIX::ceil($log->($all[-1])));
	my ($first, $last) = ($log->($xs->[0]), $log->($xs->[-1]));
	my $x_at = sub { $left + 20 + ($log->($_[0]) - $first) / ($last - $first) * ($width - $left - $right - 40) };
	my $y_at = sub { $height - $bottom - ($log->($_[0]) - $low) / ($high - $low) * ($height - $top - $bottom) };
	my $body = '';

	$body .= grid_line($y_at->(10**$_), sprintf '%g', 10**$_) for $low .. $high;
	$body .= text($x_at->($_), $height - $bottom + 20, 'middle', Report::number($_)) for @$xs;
	for my $s (0 .. $#$series)
	{
		my $ys = $value->{ $series->[$s] };
		my @points = map { [ $x_at->($xs->[$_]), $y_at->($ys->[$_]) ] } 0 .. $#$xs;

		$body .= sprintf qq{<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>\n}, $colour[$s],
		  join ' ', map { sprintf '%.1f,%.1f', @$_ } @points;
		$body .= sprintf qq{<circle cx="%.1f" cy="%.1f" r="4" fill="%s"><title>%s: %.3g</title></circle>\n}, @{ $points[$_] }, $colour[$s],
		  escaped($series->[$s]), $ys->[$_]
		  for 0 .. $#points;
	}
	return frame($title, $x_label, $y_label, $series, $body);
}

sub save
{
	my ($name, $svg) = @_;
	open my $file, '>', "$Bench::work/out/$name.svg" or die "$name.svg: $!";

	print $file $svg;
	close $file;
}

1;
