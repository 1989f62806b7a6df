# The stress test catches builds that are wrong: each of test/mutants/, built
# from a copy of the sources, makes 030_stress.pl see a wrong figure.
#
#   KPI_MUTANTS         only those with these names
#   KPI_MUTANT_RUNS     how many times each (default 1); prints how often it was
#                       caught, and how soon
#   KPI_MUTANT_SECONDS  how long the stress test may look for it (default 60)
use strict;
use warnings;
use Cwd;
use File::Temp;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $runs    = $ENV{KPI_MUTANT_RUNS}    || 1;
my $seconds = $ENV{KPI_MUTANT_SECONDS} || 60;
my $root    = getcwd();
my $folder  = File::Temp::tempdir('mutants.XXXXXX', TMPDIR => 1, CLEANUP => 1);
my @names   = $ENV{KPI_MUTANTS} ? split ' ', $ENV{KPI_MUTANTS} : map { m{([^/]+)\.mutant$} } sort glob 'test/mutants/*.mutant';
cmp_ok(scalar @names, '>=', 1, 'there are mutants');

# A copy of the sources and of what was built from them, with a mutant's changes.
sub mutate
{
	my ($name) = @_;
	my $copy = "$folder/$name";
	system('sh', '-c', 'mkdir -p "$1" && cp -pR Makefile kpi_cascade.control src sql doc "$1/" && cp -p kpi_cascade--*.sql META.json "$1/" 2>/dev/null; true', 'sh', $copy) == 0 or die "could not copy the sources\n";
	my ($file, $changes);
	my $text = slurp_file("test/mutants/$name.mutant");
	while ($text =~ /\G(?:#[^\n]*\n|\n|file (\S+)\n|<<<<\n(.*?)====\n(.*?)>>>>\n)/gcs)
	{
		if (defined $1) { $file = $1; next }
		next unless defined $2;
		my ($old, $new) = ($2, $3);
		my $source = slurp_file("$copy/$file");
		my $found = () = $source =~ /\Q$old\E/g;
		die "test/mutants/$name.mutant does not fit $file any more: what it replaces stands there $found times:\n$old" if $found != 1;
		$source =~ s/\Q$old\E/$new/;
		open my $out, '>', "$copy/$file" or die "could not write $copy/$file: $!\n";
		print $out $source;
		close $out;
		$changes++;
	}
	die "test/mutants/$name.mutant changes nothing\n" unless $changes;
	die "test/mutants/$name.mutant is not understood from here on: " . substr($text, pos($text) // 0, 100) . "\n"
	  if (pos($text) // 0) < length $text;
	my $log = "$folder/$name.log";
	system('sh', '-c', 'exec "${MAKE:-make}" -s -C "$1" "PG_CONFIG=$2" with_llvm=no all >"$3" 2>&1', 'sh', $copy, $ENV{PG_CONFIG} || 'pg_config', $log) == 0
	  or die "could not build the mutant $name:\n" . slurp_file($log);
	return "$copy/kpi_cascade.so";
}

sub stress
{
	my ($name, $library, $run) = @_;
	my $work = "$folder/$name.$run";
	mkdir $work;
	local %ENV = (%ENV, KPI_STRESS_MUTANT => $library, KPI_STRESS_SECONDS => $seconds, TESTDIR => $work, TESTDATADIR => $work, TESTLOGDIR => "$work/log");
	my $out = '';
	IPC::Run::run([ $^X, (map { "-I$_" } grep { !ref } @INC), "$root/test/t/030_stress.pl" ], '<', '/dev/null', '>&', \$out);
	return $out;
}

for my $name (@names)
{
	my $library = eval { mutate($name) };
	ok($library, "$name is built") or diag($@), next;
	my @after;
	for my $run (1 .. $runs)
	{
		my $out = stress($name, $library, $run);
		my ($seen) = $out =~ /^# (.*caught by .* shows .*)$/m;
		($seen) = $out =~ /^# (.*caught by .*\|.*\|.*)$/m unless $seen;
		if ($seen && $out =~ /caught after ([\d.]+) s/) { push @after, $1; note("$name: $seen") }
		else { diag("$name was not caught:\n$out") }
	}
	is(scalar @after, $runs, sprintf '%s is caught%s', $name, @after ? ' after ' . join(', ', @after) . ' s' : '');
	diag("mutant $name: caught in " . @after . " of $runs runs" . (@after ? ', after ' . join(', ', @after) . ' s' : '')) if $runs > 1;
}

done_testing();
