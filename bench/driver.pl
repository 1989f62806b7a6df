# bench/driver.pl FOLDER [PART...]: runs the parts on the private server that
# bench/run has started, prints the table and draws the pictures.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Bench;
use Report;

my $work = shift @ARGV;
my $begun = time;
my $load = Report::first_line('/proc/loadavg', qr/^(\S+)/);
my $text;

Bench::begin($work);
my $server = sql('postgres', 'SHOW server_version');
for my $part (@ARGV ? @ARGV : 'a' .. 'g')
{
	my ($file) = glob "$FindBin::Bin/parts/${part}_*.pl";

	# a part that fails leaves the others their figures
	Report::note("part $part failed: $@") unless eval { (do $file) // die $@ || $! };
	$text = Report::text(\%Bench::settings, "PostgreSQL $server", $begun, $load);
	open my $out, '>', "$work/out/bench.md" or die "bench.md: $!";
	print $out $text;
	close $out;
}
print $text;
exit($text =~ /^- part . failed/m ? 1 : 0);
