# What comes out: tables of figures, the table of what must be reached, notes.
package Report;
use strict;
use warnings;
use Exporter 'import';
use POSIX qw(strftime);

our @EXPORT = qw(table check note number);

my (@tables, @checks, @notes);

# three significant digits, thousands apart
sub number
{
	my ($x) = @_;

	return '' unless defined $x;
	return $x if $x !~ /^[\d.]+(?:e-?\d+)?$/;
	my $text = sprintf $x >= 100 || $x == int $x ? '%.0f' : $x >= 10 ? '%.1f' : $x >= 0.1 ? '%.2f' : '%.2g', $x;
	1 while $text =~ s/^(\d+)(\d{3})/$1,$2/;
	return $text;
}

sub markdown
{
	return join '', map { '| ' . join(' | ', @$_) . " |\n" } $_[0], [ ('---') x @{ $_[0] } ], @_[ 1 .. $#_ ];
}

# table TITLE, HEADER, ROW...
sub table
{
	my ($title, @rows) = @_;

	push @tables, "## $title\n\n" . markdown(map { [ map { number($_) } @$_ ] } @rows);
}

# check WHAT, FIGURE, '<=' or '>=', MUST, AIM, UNIT
sub check
{
	my ($what, $figure, $way, $must, $aim, $unit) = @_;
	my $reaches = sub { $way eq '<=' ? $figure <= $_[0] : $figure >= $_[0] };
	my $sign = $way eq '<=' ? '≤' : '≥';

	push @checks, [
		$what,
		number($figure) . $unit,
		"$sign $must$unit",
		"$sign $aim$unit",
		$reaches->($aim) ? 'aim' : $reaches->($must) ? 'must' : '**missed**'
	];
}

sub note { push @notes, "@_" }

sub first_line
{
	my ($file, $pattern) = @_;
	open my $in, '<', $file or return '';

	while (my $line = <$in>) { return $1 if $line =~ $pattern }
	return '';
}

sub text
{
	my ($settings, $server, $begun, $load) = @_;
	my $cores = `nproc --all`;
	my $load_now = first_line('/proc/loadavg', qr/^(\S+)/);

	chomp $cores;
	return join "\n",
	  ($ENV{BENCH_QUICK} ? "**A quick run, with small sizes: its figures mean nothing.**\n" : ()),
	  "$server, "
	  . first_line('/proc/cpuinfo', qr/^model name\s*:\s*(.*)/)
	  . ", $cores cores, "
	  . sprintf('%.0f', first_line('/proc/meminfo', qr/^MemTotal:\s*(\d+)/) / 1048576)
	  . " GiB. $Bench::rounds rounds, $Bench::seconds seconds of pgbench each; every figure is a median. Load of the machine $load before, "
	  . "$load_now at the end; " . sprintf('%.0f', (time - $begun) / 60) . " minutes.\n",
	  'Settings: ' . join(', ', map { "`$_ = $settings->{$_}`" } sort keys %$settings) . ".\n",
	  (@checks ? "## What it must reach\n\n" . markdown([ 'what', 'measured', 'must', 'aim', 'reached' ], @checks) : ()),
	  @tables,
	  (@notes ? "## Notes\n\n" . join('', map { "- $_\n" } @notes) : ());
}

1;
