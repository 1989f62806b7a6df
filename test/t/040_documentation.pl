# What the documents say happens, happens: every sql block of README.md and
# doc/kpi_cascade.md is run, each document from its first block to its last in
# one psql session on a fresh database, and what psql prints is compared with
# the text block that follows.
#
# A sql block without a text block right behind it must succeed; what it prints
# is not shown and not compared.  A text block with a line that begins with
# ERROR: expects that error.  CONTEXT lines are left out.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::RealBin/../..";

# [ line, sql, line of the expected output, expected output ] of each sql block
sub blocks
{
	my ($text) = @_;
	my (@blocks, $fence, $kind, $start, $content, $awaiting);
	my $line = 0;
	for (split /\n/, $text, -1)
	{
		$line++;
		if (!defined $fence)
		{
			if (/^(\s*)(```+)(\w*)\s*$/)
			{
				($fence, $kind, $start, $content) = ($1 . $2, $3, $line, '');
				$awaiting = 0 if $kind ne 'text';
			}
			elsif (/\S/) { $awaiting = 0 }
			next;
		}
		if ($_ ne $fence) { $content .= "$_\n"; next }
		if ($kind eq 'sql')
		{
			push @blocks, [ $start, $content, undef, undef ];
			$awaiting = 1;
		}
		elsif ($kind eq 'text' && $awaiting)
		{
			@{ $blocks[-1] }[ 2, 3 ] = ($start, $content);
			$awaiting = 0;
		}
		undef $fence;
	}
	die "a block begun in line $start has no end\n" if defined $fence;
	return @blocks;
}

# trailing blanks and empty lines at the ends carry no meaning
sub tidy
{
	my ($output) = @_;
	$output =~ s/[ \t]+$//mg;
	$output =~ s/\A\n+//;
	$output =~ s/\n*\z/\n/;
	return $output;
}

my $node = PostgreSQL::Test::Cluster->new('documentation');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;

for my $document (qw(README.md doc/kpi_cascade.md))
{
	my $database = $document =~ s/\W/_/gr;
	my @blocks   = blocks(slurp_file("$top/$document"));
	cmp_ok(scalar @blocks, '>', 0, "$document has sql blocks");
	$node->safe_psql('postgres', "CREATE DATABASE \"$database\"");

	my $mark   = '-- block ';
	my $script = "\\set SHOW_CONTEXT never\n";
	for my $block (@blocks)
	{
		my ($line, $sql, undef, $expected) = @$block;
		my $fails = defined $expected && $expected =~ /^ERROR:/m;
		$script .= "\\echo '$mark$line'\n\\set ON_ERROR_STOP " . ($fails ? 0 : 1) . "\n$sql\n";
	}
	$script .= "\\echo '$mark" . "end'\n";

	# through files: errors stand where they occur
	my $base = "${PostgreSQL::Test::Utils::tmp_check}/$database";
	append_to_file("$base.sql", $script);
	system_log("PGCLIENTENCODING=UTF8 psql -X -q -d '" . $node->connstr($database) . "' <'$base.sql' >'$base.out' 2>&1");
	my %output;
	my $at = 'start';
	for (split /^/, slurp_file("$base.out"))
	{
		if (/^\Q$mark\E(\w+)$/) { $at = $1; $output{$at} = '' }
		else                    { $output{$at} .= $_ }
	}

	for my $block (@blocks)
	{
		my ($line, $sql, $expected_line, $expected) = @$block;
		if (!defined $output{$line})
		{
			fail("$document line $line runs");
			diag("not reached: a block before it failed");
		}
		elsif (defined $expected)
		{
			is(tidy($output{$line}), tidy($expected), "$document line $line prints what line $expected_line shows");
		}
		else
		{
			my $error = join '', $output{$line} =~ /^(?:ERROR|FATAL|PANIC):.*\n(?:.*\n)?/mg;
			is($error, '', "$document line $line runs");
		}
	}
	ok(defined $output{end}, "$document runs to its end") or diag($output{$at});
}

# The reference names everything that is for users: each column of the tables
# and views under the heading of its relation, each function and setting
# anywhere.  What an operator, cast, type or aggregate is made of, and what a
# comment calls internal, is not for users.
my $reference = slurp_file("$top/doc/kpi_cascade.md");
my %chapter;
$chapter{$1} = $2 while $reference =~ /^### (kpi\.\w+)\n(.*?)(?=^##)/gms;
$node->safe_psql('postgres', 'CREATE EXTENSION kpi_cascade');

my @missing;
for (split /\n/, $node->safe_psql('postgres', q{
	SELECT c.oid::regclass, a.attname
	  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
	 WHERE c.oid = ANY ('{kpi.attainment, kpi.unit_score, kpi.fact_entry, kpi.target_entry}'::regclass[])
	    OR c.oid = ANY ((SELECT e.extconfig FROM pg_extension e WHERE e.extname = 'kpi_cascade')::oid[]) AND c.relkind = 'r'}))
{
	my ($relation, $column) = split /\|/;
	push @missing, "$relation.$column" unless ($chapter{$relation} // '') =~ /^\| `$column` \|/m;
}
is("@missing", '', 'the reference has every column');

@missing = grep { $reference !~ /`\Q$_\E[`(]/ } split /\n/, $node->safe_psql('postgres', q{
	SELECT DISTINCT 'kpi.' || p.proname
	  FROM pg_proc p
	 WHERE p.pronamespace = 'kpi'::regnamespace AND p.prorettype <> 'trigger'::regtype AND p.prorettype <> 'internal'::regtype
	   AND coalesce(obj_description(p.oid, 'pg_proc'), '') !~* '^internal'
	   AND p.oid NOT IN (SELECT oprcode FROM pg_operator)
	   AND p.oid NOT IN (SELECT amproc FROM pg_amproc)
	   AND p.oid NOT IN (SELECT unnest(ARRAY[aggtransfn, aggcombinefn, aggmtransfn, aggminvtransfn, aggmfinalfn, aggfinalfn]) FROM pg_aggregate)
	   AND p.oid NOT IN (SELECT unnest(ARRAY[typinput, typoutput, typreceive, typsend]) FROM pg_type)
	 ORDER BY 1});
is("@missing", '', 'the reference has every function');

@missing = grep { $reference !~ /`\Q$_\E`/ } split /\n/, $node->safe_psql('postgres', q{
	SELECT kpi.version() LIMIT 0;
	SELECT name FROM pg_settings WHERE name LIKE 'kpi\_cascade.%'});
is("@missing", '', 'the reference has every setting');

$node->stop;
done_testing();
