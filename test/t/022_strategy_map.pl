# The strategy map draws itself, whatever things are called: Graphviz renders
# the DOT with every label as it was written, and the Mermaid has nothing in it
# but nodes, edges and classes.  Row security hides what a map, a line of sight
# and the scores of objectives show, never what counts in them.
use strict;
use warnings;
use utf8;
use Encode qw(decode_utf8 encode_utf8);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('map');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;
sub ask { return decode_utf8($node->safe_psql('postgres', encode_utf8($_[0]))) }

my @nasty = (
	'quotes " \' ` and "more"', 'back\\slash \\n \\N \\G \\', '<b>bold</b> <script>alert(1)</script>', '&amp; & &lt; &#65;',
	"two\nlines", "tab\tand\rreturn", '] ) } --> k1 ; } digraph x {', '%%{init: {"theme":"dark"}}%% %% comment', 'end', 'subgraph x',
	'#quot; #35;', 'Übergröße 中文 العربية 🚀', '1. list', '- item', '**strong** _em_ `code`', ' ', '|pipe| {brace} [bracket]', '$1 \\1 %s %L');

ask('CREATE EXTENSION kpi_cascade');
ask(q{INSERT INTO kpi.unit (path) VALUES ('co'), ('co.b')});
ask(q{INSERT INTO kpi.objective (objective_id, code, name, kind) VALUES (1, 'vision', 'Vision', 'vision')});
my $i = 0;
for my $name (@nasty)
{
	$i++;
	my $quoted = "\$name\$$name\$name\$";
	ask("INSERT INTO kpi.measure (code, name, rolls_up) VALUES ($quoted, $quoted, false)");
	ask("INSERT INTO kpi.objective (objective_id, code, name, perspective, parent_objective_id) VALUES (10 + $i, $quoted, $quoted, $quoted, 1)");
	ask("SELECT kpi.deploy($quoted, 'co', '{1}')");
	ask("UPDATE kpi.kpi SET objective_id = 10 + $i WHERE kpi_id = kpi.kpi_id('co', $quoted)");
}
ask(q{INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes, weight) SELECT k.kpi_id, 1, 'aligned', 0.5 FROM kpi.kpi k WHERE k.kpi_id <> 1});
ask(q{SELECT kpi.record_fact('co', m.code, '2026-08', m.measure_id * 10), kpi.set_target('co', m.code, '2026-08', 100) FROM kpi.measure m});

# what a label shows of a name: control characters are blanks
sub shown { return map { s/[\x01-\x1f]/ /gr } split /\n/, $_[0] =~ s/\r\n/\n/gr }

# ---------------------------------------------------------------- Mermaid

my $mermaid = ask(q{SELECT kpi.strategy_map('co', '2026-08')});
my %labels;
my @odd = grep {
	my $ok = 0;
	if (/^  ([ko]\d+)(?:\["([^"\n]*)"\]|\(\["([^"\n]*)"\]\)):::(\w+)$/) { $labels{$1} = $2 // $3; $ok = 1 }
	elsif (/^  [ko]\d+ (?:-->|-\.->)(?:\|"[a-z0-9. ]+"\|)? [ko]\d+$/) { $ok = 1 }
	elsif (/^  classDef \w+ fill:#\w{6},stroke:#\w{6},color:#\w{6}$/) { $ok = 1 }
	!$ok
} split /\n/, $mermaid;
is_deeply(\@odd, ['flowchart BT'], 'Mermaid has nodes, edges and classes only');
is(scalar keys %labels, 2 * @nasty + 1, 'one node per KPI and objective');
is_deeply([ grep { s{<br/>}{}gr =~ /[<>"&`{}|\[\]\\]|#(?!\d+;)|%%/ } values %labels ], [], 'no label has what means something to Mermaid, Markdown or HTML');
my %mermaid = map { $_ => 1 } map { map { s/#(\d+);/chr $1/ger } split m{<br/>} } values %labels;
for my $name (@nasty)
{
	ok($mermaid{$_}, encode_utf8("Mermaid shows: $_")) for shown($name);
}

# ---------------------------------------------------------------- Graphviz

SKIP:
{
	my ($out, $err);
	skip 'Graphviz is not installed', 1 unless eval { IPC::Run::run([ 'dot', '-V' ], '>', \$out, '2>', \$err) };
	my $dot = encode_utf8(ask(q{SELECT kpi.strategy_map('co', '2026-08', 'dot')}));
	my $svg;
	ok(IPC::Run::run([ 'dot', '-Tsvg' ], '<', \$dot, '>', \$svg, '2>', \$err), 'Graphviz renders the map');
	unlike($err, qr/syntax|error/i, 'without complaint');
	$svg = decode_utf8($svg);
	my @nodes = $svg =~ /<g id="node\d+" class="node">(.*?)<\/g>/gs;
	my @edges = $svg =~ /<g id="edge\d+" class="edge">/g;
	is(scalar @nodes, 2 * @nasty + 1, 'a node per KPI and objective');
	is(scalar @edges, 3 * @nasty - 1, 'an edge per link, per KPI to its objective, and per objective to the vision');
	my %text;
	for ($svg =~ /<text[^>]*>(.*?)<\/text>/gs)
	{
		my $line = s/&#(\d+);/chr $1/ger =~ s/&#x([0-9a-f]+);/chr hex $1/gier;
		$line =~ s/&quot;/"/g;
		$line =~ s/&lt;/</g;
		$line =~ s/&gt;/>/g;
		$line =~ s/&amp;/&/g;
		$text{ $line =~ s/\xa0/ /gr } = 1;
	}
	for my $name (@nasty)
	{
		for (shown($name)) { next if /^ *$/; ok($text{$_}, encode_utf8("Graphviz shows: $_")) }
	}
	is(() = $svg =~ /fill="#(?:ffcdd2|ffe0b2|c8e6c9|b2dfdb|e3f2fd|eeeeee)"/gi, scalar @nodes, 'each coloured by its status');
}

# ---------------------------------------------------------------- row security

ask(q{
DELETE FROM kpi.fact; DELETE FROM kpi.kpi; DELETE FROM kpi.objective WHERE objective_id > 1;
INSERT INTO kpi.unit (path) VALUES ('co.b.c');
INSERT INTO kpi.measure (code) VALUES ('sales');
INSERT INTO kpi.objective (objective_id, code, parent_objective_id, unit_id)
SELECT 100 + u.unit_id, u.path::text, CASE WHEN u.path = 'co' THEN 1 ELSE 100 + (SELECT p.unit_id FROM kpi.unit p WHERE p.path = kpi.parent(u.path)) END, u.unit_id
  FROM kpi.unit u WHERE u.path IN ('co', 'co.b', 'co.b.c');
SELECT kpi.deploy('sales', 'co');
UPDATE kpi.kpi k SET objective_id = 100 + k.unit_id WHERE 100 + k.unit_id IN (SELECT o.objective_id FROM kpi.objective o);
SELECT kpi.record_fact('co.b.c', 'sales', '2026-08', 60), kpi.set_target('co.b.c', 'sales', '2026-08', 100), kpi.set_target('co', 'sales', '2026-08', 80);
CREATE ROLE lead LOGIN;
GRANT USAGE ON SCHEMA kpi TO lead;
GRANT SELECT ON ALL TABLES IN SCHEMA kpi TO lead;
REVOKE ALL ON kpi.view_key FROM lead;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA kpi TO lead;
CREATE POLICY own ON kpi.unit FOR SELECT TO lead USING (path IN ('co.b', 'co.b.c'));
ALTER TABLE kpi.unit ENABLE ROW LEVEL SECURITY;
});
# co: 60 of 80 is 0.75; co.b.c: 60 of 100 is 0.6; co.b has no target.  Objectives:
# co.b.c 0.6; co.b 0.6, of it alone; co (0.75 + 0.6) / 2 = 0.675, and so the vision
my $scores = q{SELECT string_agg(code || '=' || score, ' ' ORDER BY objective_id) FROM kpi.objective_score WHERE period = '2026-08'};
is(ask($scores), 'vision=0.675 co=0.675 co.b=0.6 co.b.c=0.6', 'scores of objectives');
sub lead { return $node->safe_psql('postgres', $_[0], extra_params => [ '-U', 'lead' ]) }
is(lead($scores), 'vision=0.675 co.b=0.6 co.b.c=0.6', 'row security hides objectives of units and counts the same');
is(lead(q{SELECT string_agg(concat_ws(':', coalesce(unit::text, objective, '?'), contributes, score), ' ' ORDER BY depth) FROM kpi.line_of_sight('co.b', 'sales', '2026-08') WHERE way = 1}),
	'co.b ?:value ?:objective vision:objective:0.675', 'a way leads through what is hidden, which has no names and figures');
like(lead(q{SELECT kpi.strategy_map('co.b', '2026-08')}), qr/\["not shown"\]:::no_data/, 'and so does the map');
is(lead(q{SELECT string_agg(unit::text, ' ' ORDER BY unit) FROM kpi.perspective_score WHERE period = '2026-08'}), 'co.b co.b.c', 'scores by perspective are of visible units');

# who may read a view needs nothing else
ask('CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA kpi TO reader; GRANT SELECT ON kpi.objective_score, kpi.perspective_score, kpi.objective_perspective TO reader; CREATE POLICY everything ON kpi.unit FOR SELECT TO reader USING (true)');
is($node->safe_psql('postgres', $scores, extra_params => [ '-U', 'reader' ]), 'vision=0.675 co=0.675 co.b=0.6 co.b.c=0.6', 'SELECT on the view is all that reading takes');
is($node->safe_psql('postgres', q{SELECT count(*) FROM kpi.perspective_score WHERE period = '2026-08'}, extra_params => [ '-U', 'reader' ]), '3', 'of perspectives, too');

$node->stop;
done_testing();
