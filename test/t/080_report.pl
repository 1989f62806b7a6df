# The page of kpi.report_html as a browser sees it: its structure is what SQL
# says, nothing in it comes from elsewhere or runs, every text can be read in
# light and dark, and whatever things are called stays text.  Pictures of it are
# kept beside the test's logs.
use strict;
use warnings;
use utf8;
use Encode qw(decode_utf8 encode_utf8);
use FindBin;
use File::Path qw(make_path);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::RealBin/../..";
my $node = PostgreSQL::Test::Cluster->new('report');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE demo');
$node->safe_psql('postgres', 'CREATE DATABASE nasty');
my $db = 'demo';
sub ask { return decode_utf8($node->safe_psql($db, encode_utf8($_[0]), @_[ 1 .. $#_ ])) }

# ---------------------------------------------------------------- the page itself

ask(slurp_file("$top/demo/demo.sql"));
ask(q{INSERT INTO kpi.action_item (kpi_id, description, owner, due_on, state)
	VALUES (kpi.kpi_id('RS-S', 'revenue'), 'Win back the key account of the south', 'Marco Conti', '2026-10-15', 'in_progress'),
	       (kpi.kpi_id('acme', 'revenue'), 'Decide on the price list', NULL, NULL, 'open');
	INSERT INTO kpi.check_in (kpi_id, period, author, comment, confidence, forecast)
	VALUES (kpi.kpi_id('acme', 'revenue'), '2026-Q3', 'Ines Ortega', 'The fourth quarter is the strong one.', 0.6, 5400000)});
my $page = ask(q{SELECT kpi.report_html('acme', '2026-Q3')});
my %pages = (acme => $page, team => ask(q{SELECT kpi.report_html('RS-S', '2026-08')}));

# one open element per closed one, quotes around each attribute, known references only
sub ill_formed
{
	my ($text) = @_;
	my @open;
	$text =~ s/^<!DOCTYPE html>\n// or return 'no doctype';
	while ($text =~ /\G([^<]*)(?:<(\/?)([a-zA-Z][a-zA-Z0-9]*)((?:\s+[a-zA-Z:-]+="[^"<]*")*)(\s*\/?)>)?/gc)
	{
		my ($words, $close, $name, $attributes, $empty) = ($1, $2, $3, $4, $5);
		return "reference in: $words$attributes" if ($words . ($attributes // '')) =~ /&(?!(?:amp|lt|gt|quot|#\d+);)/;
		return 'character ' . ord $& if $words =~ /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\x{fffe}\x{ffff}]/;
		last unless defined $name;
		if    ($close) { my $last = pop @open // 'nothing'; return "</$name> closes $last" if $last ne $name }
		elsif (!$empty) { push @open, $name }
	}
	return 'markup at: ' . substr($text, pos $text, 80) if pos $text < length $text;
	return @open ? "open: @open" : '';
}
is(ill_formed($pages{$_}), '', "$_: well-formed") for sort keys %pages;
is(ask(qq{SELECT count(*) FROM (SELECT xmlparse(document kpi.report_html(u, '2026-Q3')) FROM unnest('{acme,RET-M}'::text[]) u) x}), '2', 'an XML parser agrees');
unlike($page, qr/<script|\son\w+=|javascript:|<(?:iframe|object|embed|link|img|base)\b/i, 'nothing runs or is loaded');
is(join(' ', grep { !/^#\w+$/ } $page =~ /\b(?:href|src|xlink:href)="([^"]*)"/g), '', 'links stay in the page');
is($page =~ s/ xmlns="[^"]*"//gr =~ /https?:|\/\/[a-z]|url\(|\@import/ ? $& : '', '', 'nothing is from elsewhere');
like($page, qr/<html lang="en"/, 'it has a language');
for my $id ($page =~ /href="#(\w+)"/g) { is(() = $page =~ /id="\Q$id\E"/g, 1, "there is one #$id") }
my @headings = $page =~ /<h(\d)\b/g;
like("@headings", qr/^1 2 2 (3 )?2 2 2 2 2$/, 'headings in order');
is(() = $page =~ /<table\b/g, () = $page =~ /<table><caption>[^<]+<\/caption><thead><tr>(?:<th scope="col"[^>]*>[^<]+<\/th>)+<\/tr><\/thead>/g,
	'tables have captions, and headers with scope');
is(join(' ', grep { !/ scope="(?:row|rowgroup|col)"/ } $page =~ /<th\b[^>]*>/g), '', 'every header has a scope');
is(join(' ', grep { !/aria-hidden="true"|role="img"[^>]*><title>[^<]+/ } $page =~ /<svg\b[^>]*>(?:<title>[^<]*)?/g), '', 'every drawing has a title, or text beside it');
is(join(' ', grep { !/<\/svg>(?:<b>\d+<\/b> )?[a-z0-9]/ } $page =~ /<span class="mark">.*?<\/svg>.{12}/gs), '', 'every shape has a word beside it');

# ---------------------------------------------------------------- contrast

my ($css) = $page =~ /<style>(.*?)<\/style>/s;
unlike($css, qr/[<&]/, 'the style sheet is the same in HTML and XML');
my ($light) = $css =~ /^:root \{(.*?)\}/ms;
my ($dark) = $css =~ /prefers-color-scheme: dark\) \{\s*:root \{(.*?)\}/s;
sub colours { return { $_[0] =~ /--(\w+): (#[0-9a-f]{6})/g } }
my %scheme = (light => colours($light), dark => colours($dark));
is_deeply([ sort keys %{ $scheme{dark} } ], [ sort keys %{ $scheme{light} } ], 'dark has every colour of light');
unlike($css =~ s/:root \{.*?\}//gsr, qr/#[0-9a-f]{3}|rgb|hsl|: *(?:white|black|gr[ae]y)\b/i, 'and there are no others');

# WCAG 2.1: relative luminance, and the ratio of two
sub luminance
{
	my @c = map { hex($_) / 255 } $_[0] =~ /^#(..)(..)(..)$/ or die "no colour: $_[0]";
	my ($r, $g, $b) = map { $_ <= 0.04045 ? $_ / 12.92 : (($_ + 0.055) / 1.055)**2.4 } @c;
	return 0.2126 * $r + 0.7152 * $g + 0.0722 * $b;
}
sub contrast
{
	my ($high, $low) = sort { $b <=> $a } map { luminance($_) } @_;
	return ($high + 0.05) / ($low + 0.05);
}
cmp_ok(abs(contrast('#ffffff', '#000000') - 21), '<', 1e-9, 'black on white is 21');
cmp_ok(abs(contrast('#777777', '#ffffff') - 4.48), '<', 0.005, 'the grey that just fails');
my %text = map { $_ => 1 } $css =~ /(?<![\w-])color: var\(--(\w+)\)/g, $css =~ /text \{ fill: var\(--(\w+)\)/g, $css =~ /\.note \{ fill: var\(--(\w+)\)/g;
my %ground = map { $_ => 1 } $css =~ /background: var\(--(\w+)\)/g, $css =~ /\.(?:band|node) \{ fill: var\(--(\w+)\)/g;
is(join(' ', sort keys %text), 'accent ink soft', 'the colours of text');
is(join(' ', sort keys %ground), 'panel paper', 'what it stands on');
for my $name (sort keys %scheme)
{
	my $c = $scheme{$name};
	for my $ground (sort keys %ground)
	{
		cmp_ok(contrast($c->{$_}, $c->{$ground}), '>=', 4.5, "$name: $_ on $ground") for sort keys %text;
		cmp_ok(contrast($c->{$_}, $c->{$ground}), '>=', 3, "$name: the shape of $_ on $ground") for qw(exceeded on_track at_risk off_track no_data no_target run);
	}
	cmp_ok(contrast($c->{$_}, $c->{track}), '>=', 3, "$name: the bar of $_ in its track") for qw(exceeded on_track at_risk off_track);
}

# ---------------------------------------------------------------- in a browser

my ($browser) = grep { -x } map { my $p = $_; map { "$p/$_" } qw(chromium chromium-browser google-chrome) } split /:/, $ENV{PATH};
my $folder = $PostgreSQL::Test::Utils::tmp_check . '/pictures';
make_path($folder);
sub store
{
	my ($name, $text) = @_;
	open my $fh, '>:encoding(UTF-8)', "$folder/$name.html" or die "could not write $folder/$name.html: $!";
	print $fh $text;
	close $fh;
	return "file://$folder/$name.html";
}

sub browse
{
	my ($url, @options) = @_;
	my ($out, $err) = ('', '');
	my $profile = PostgreSQL::Test::Utils::tempdir();
	local $ENV{HOME} = $profile;
	IPC::Run::run([ $browser, qw(--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars --no-first-run --disable-background-networking),
		'--window-size=1280,2400', "--user-data-dir=$profile", @options, $url ], '<', \'', '>', \$out, '2>', \$err, IPC::Run::timeout(180)) or diag($err);
	return decode_utf8($out);
}
my %is_dark = (light => [], dark => ['--blink-settings=preferredColorScheme=0']);

SKIP:
{
	skip 'no Chromium is installed', 1 unless $browser;

	store($_, $pages{$_}) for keys %pages;
	my $dom = browse(store('acme', $page), '--dump-dom');
	sub number { my ($pattern) = @_; my $n = () = $dom =~ /$pattern/g; return $n }
	sub section { my ($id) = @_; return $dom =~ /<section id="$id".*?<\/section>/s ? $& : '' }
	sub rows { my $n = () = section($_[0]) =~ /<tr>|<tr class="finding">/g; return $n }
	is(join(' ', $dom =~ /<section id="(\w+)"/g), 'scorecard changes cascade strategy findings actions checkins', 'its sections');
	is(number(qr/<script/), 0, 'no script');
	is(rows('scorecard') - 1, ask(q{SELECT count(*) FROM kpi.kpi WHERE unit_id = kpi.unit_id('acme')}), 'scorecard: one row per KPI beside its header');
	is(() = section('scorecard') =~ /class="spark"/g, ask(q{SELECT count(DISTINCT kpi_id) FROM kpi.attainment WHERE unit = 'acme' AND period BETWEEN '2023-Q4' AND '2026-Q3' AND grain = 'quarter' AND actual IS NOT NULL}),
		'a sparkline where there are actuals');
	is(() = section('scorecard') =~ /class="group"/g, 4, 'in four perspectives');
	is(() = section('cascade') =~ /<details/g, () = $page =~ /<details/g, 'every tree is read as a tree');
	is(() = section('cascade') =~ /<li>/g, () = $page =~ s/.*id="cascade"(.*?)<\/section>.*/$1/sr =~ /<li>/g, 'with all its rows');
	is(() = section('cascade') =~ /<details[^>]*><summary><span class="row"><span class="name"><span dir="auto">Revenue<\/span>/g, 1, 'revenue is one of them');
	# beneath the group's revenue: 2 business units, and of each level beneath all that have revenue in the quarter
	my ($revenue) = section('cascade') =~ /(<span dir="auto">Revenue<\/span>.*?)<span dir="auto">Cost<\/span>/s;
	is(() = $revenue =~ /<span dir="auto">(?!Revenue)[^<,]+<\/span>(?! <small>(?:numerator|denominator|aligned))/g, ask(q{SELECT count(*) FROM kpi.scorecard WHERE measure = 'revenue' AND period = '2026-Q3' AND unit <> 'acme'}),
		'with revenue of every unit');
	my ($now, $then) = map { "SELECT kpi_id, status FROM kpi.attainment WHERE period = '$_' AND status > 'no_target'" } '2026-Q3', '2026-Q2';
	is(join(' ', section('changes') =~ /(Fell|Rose) <span class="soft">(\d+)</g),
		ask("SELECT format('Fell %s Rose %s', count(*) FILTER (WHERE n.status < o.status), count(*) FILTER (WHERE n.status > o.status)) FROM ($now) n JOIN ($then) o USING (kpi_id)"), 'what changed');
	is(number(qr/<g class="objective">/), ask('SELECT count(*) FROM kpi.objective'), 'a box per objective');
	is(number(qr/class="edge"/), ask('SELECT count(*) FROM kpi.objective WHERE parent_objective_id IS NOT NULL'), 'a line to what it serves');
	is(() = section('findings') =~ /class="finding"/g, ask('SELECT sum(least(n, 5)) FROM (SELECT count(*) AS n FROM kpi.alignment GROUP BY severity, code) c'), 'findings, five of a kind');
	is(rows('actions') - 1, ask('SELECT count(*) FROM kpi.open_actions'), 'open actions');
	is(rows('checkins') - 1, ask('SELECT count(*) FROM kpi.latest_check_in'), 'check-ins');

	# what each text looks like in the end: its colour, and the nearest ground beneath
	my $probe = <<'END';
<script>
const hex = c => '#' + c.match(/[\d.]+/g).slice(0, 3).map(n => Number(n).toString(16).padStart(2, '0')).join('');
const seen = new Set();
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let t; t = walk.nextNode();) {
  const e = t.parentElement;
  if (!t.data.trim() || e.closest('script, title, .sr, caption')) continue;
  let g = e;
  while (g && /, 0\)$|transparent/.test(getComputedStyle(g).backgroundColor)) g = g.parentElement;
  const svg = e.ownerSVGElement, s = getComputedStyle(e), ground = svg && e.tagName == 'text' ? svg.querySelector(e.closest('.objective') ? '.node' : '.band') : null;
  seen.add([hex(ground ? getComputedStyle(ground).fill : getComputedStyle(g || document.documentElement).backgroundColor), hex(svg ? s.fill : s.color)].join(' '));
}
const wide = document.documentElement.scrollWidth > document.documentElement.clientWidth;
const boxes = [...document.querySelectorAll('.objective')].filter(o => { const b = o.querySelector('.node').getBBox(); return [...o.querySelectorAll('text')].some(t => { const x = t.getBBox(); return x.x < b.x || x.x + x.width > b.x + b.width || x.y < b.y || x.y + x.height > b.y + b.height }) });
const report = { pairs: [...seen].sort(), wide, outside: boxes.map(o => o.textContent), h1: document.querySelector('h1').textContent,
  texts: [...document.querySelectorAll('[dir=auto]')].map(e => e.textContent), directions: [...document.querySelectorAll('h1, tbody th b')].map(e => getComputedStyle(e).direction),
  tags: [...new Set([...document.querySelectorAll('main *, header *')].map(e => e.localName))].sort(), title: document.title };
document.body.innerHTML = '<pre id="probe">' + JSON.stringify(report).replace(/&/g, '&amp;').replace(/</g, '&lt;') + '</pre>';
</script>
END
	sub probe
	{
		my ($name, $text, @options) = @_;
		my $out = browse(store("$name-probe", $text =~ s/<\/body>/$probe<\/body>/r), '--dump-dom', @options);
		unlink "$folder/$name-probe.html";
		my ($json) = $out =~ /<pre id="probe">(.*?)<\/pre>/s or return {};
		$json =~ s/&lt;/</g;
		$json =~ s/&gt;/>/g;
		$json =~ s/&nbsp;/\x{a0}/g;
		$json =~ s/&amp;/&/g;
		require JSON::PP;
		return JSON::PP->new->decode($json);
	}
	for my $name (sort keys %is_dark)
	{
		my $seen = probe("acme-$name", $page, @{ $is_dark{$name} });
		cmp_ok(scalar @{ $seen->{pairs} || [] }, '>=', 4, "$name: texts are seen");
		my %known = map { $_ => 1 } values %{ $scheme{$name} };
		is(join(', ', grep { my ($ground, $colour) = split / /; !$known{$ground} || !$known{$colour} } @{ $seen->{pairs} }), '', "$name: in its colours");
		is(join(', ', grep { contrast(split / /) < 4.5 } @{ $seen->{pairs} }), '', "$name: every text can be read");
		ok(!$seen->{wide}, "$name: nothing is wider than the window");
		is(join(', ', @{ $seen->{outside} }), '', "$name: names are inside their boxes");
		browse("file://$folder/acme.html", @{ $is_dark{$name} }, "--screenshot=$folder/report-$name.png");
		cmp_ok(-s "$folder/report-$name.png" || 0, '>', 50000, "a picture, $name");
	}
	# on a phone, which headless windows are too wide for: in a frame
	my $frame = sub { return '<!DOCTYPE html><body style="margin: 0"><iframe src="' . $_[0] . '" width="390" height="2400" style="border: 0"></iframe></body>' };
	my $narrow = $page =~ s{</body>}{<script>
const names = [...document.querySelectorAll('#cascade .row')].filter(e => e.offsetParent).map(e => e.firstElementChild.getBoundingClientRect().width);
parent.postMessage({ rows: names.length, narrowest: Math.min(...names), wide: document.documentElement.scrollWidth > document.documentElement.clientWidth, width: innerWidth }, '*');
</script></body>}r;
	my $phone = browse(store('phone', $frame->(store('acme-narrow', $narrow)) . '<script>addEventListener("message", e => { document.body.innerHTML = "<pre>" + Object.values(e.data).join(" ") + "</pre>" })</script>'), '--dump-dom');
	my ($rows, $narrowest, $wide, $width) = $phone =~ /<pre>(\d+) ([\d.]+) (\w+) (\d+)<\/pre>/;
	is($width, 390, 'phone: as wide as one');
	is($wide, 'false', 'phone: nothing is wider than the window');
	cmp_ok($rows // 0, '>', 5, 'phone: the tree is seen');
	cmp_ok($narrowest // 0, '>=', 200, 'phone: its names have room, however deep');
	unlink map { "$folder/$_.html" } qw(phone acme-narrow);
	browse(store('phone', $frame->("file://$folder/acme.html")), "--screenshot=$folder/report-phone.png");
	unlink "$folder/phone.html";
	browse("file://$folder/acme.html", '--no-pdf-header-footer', "--print-to-pdf=$folder/report.pdf");
	like(slurp_file("$folder/report.pdf"), qr/^%PDF/, 'and on paper');

	# ---------------------------------------------------------------- whatever things are called

	$db = 'nasty';
	my @nasty = ('quotes " \' ` and "more"', '</title></style><script>document.title = "run"</script>', '<img src="x" onerror="document.title = 1">', '&amp; & &lt; &#65; &nope;', ']]> <!-- --> <![CDATA[ <?x ?>',
		"two\nlines", "control \x01\x02\x08\x0b\x1f\x7f\x{85}\x{9f}\x{fffe}\x{ffff} end", '🚀 👩‍👩‍👧‍👦 中文 𝔘', 'شركة (2026) "A&B"', "\x{202e}evil\x{202c}", ' ', '$1 \\1 %s %L \\', "tab\there", ('Donaudampfschifffahrtsgesellschaft' x 3));
	ask('CREATE EXTENSION kpi_cascade');
	my $i = 0;
	for my $name (join(' ', @nasty), @nasty)
	{
		# the first is the unit's own name, which has all of them
		my $code = $i ? "U$i" : 'U';
		my $path = $i ? "u.c$i" : 'u';
		my $q = "\$name\$$name\$name\$";
		ask(qq{INSERT INTO kpi.unit (path, code, name, owner) VALUES ('$path', '$code', $q, $q);
			INSERT INTO kpi.measure (code, name, unit_of_measure) VALUES ($q, $q, $q);
			INSERT INTO kpi.objective (objective_id, code, name, perspective, unit_id, owner) VALUES (1 + $i, $q, $q, $q, kpi.unit_id('$code'), $q);
			SELECT kpi.deploy($q, 'u'), kpi.record_fact('$code', $q, '2026-08', 1234.5), kpi.set_target('$code', $q, '2026-08', 1000);
			UPDATE kpi.kpi SET owner = $q, objective_id = 1 + $i WHERE kpi_id = kpi.kpi_id('U', $q);
			INSERT INTO kpi.action_item (kpi_id, description, owner) VALUES (kpi.kpi_id('$code', $q), $q, $q);
			INSERT INTO kpi.check_in (kpi_id, period, author, comment, at) VALUES (kpi.kpi_id('$code', $q), '2026-08', $q, $q, timestamptz '2026-09-01' + $i * interval '1 day')});
		$i++;
	}
	my $html = ask(q{SELECT kpi.report_html('U', '2026-08')});
	is(ill_formed($html), '', 'well-formed, whatever things are called');
	unlike($html, qr/<script|<img/, 'with nothing that runs');
	is(ask(q{SELECT xmlparse(document kpi.report_html('U', '2026-08')) IS NOT NULL}), 't', 'as an XML parser finds, too');
	my $seen = probe('nasty', $html);
	sub shown { return encode_utf8($_[0] =~ s/[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\x{fffe}\x{ffff}]/\x{fffd}/gr) }
	is(encode_utf8($seen->{h1} // ''), shown(join ' ', @nasty), 'the unit is called what it is called');
	my %times;
	$times{ encode_utf8($_) }++ for @{ $seen->{texts} };
	# as KPI, its unit of measure and owner, perspective, in the tree as measure and as unit, the action, what it is about and
	# its owner; of the last twelve the check-in's KPI, author and comment, too
	cmp_ok($times{ shown($_) } // 0, '>=', 9, 'in every place: ' . shown($_)) for @nasty;
	cmp_ok($times{ shown($nasty[-1]) } // 0, '>=', 12, 'also where people speak');
	is(join(' ', @{ $seen->{tags} }), 'a b br circle details div g h1 h2 li nav p path rect section small span summary svg table tbody td text th thead title tr ul caption' =~ s/(.*) (\w+)$/join ' ', sort split ' ', "$1 $2"/er,
		'no element is of their making');
	like($seen->{title} // '', qr/^quotes .*, 2026-08$/s, 'and nothing ran');
	is(scalar(grep { $_ eq 'rtl' } @{ $seen->{directions} }), 2, 'right to left what is to be read so: the KPI in the scorecard and beside what is said of it');
	browse(store('nasty', $html), "--screenshot=$folder/nasty.png");
	$db = 'demo';
}

# ---------------------------------------------------------------- who may read what

ask(q{
CREATE ROLE lead LOGIN;
GRANT USAGE ON SCHEMA kpi TO lead;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA kpi TO lead;
GRANT SELECT ON kpi.unit, kpi.measure, kpi.kpi, kpi.target, kpi.objective_perspective, kpi.described_kpi, kpi.described_objective, kpi.objective_step,
	kpi.attainment, kpi.trend, kpi.unit_score, kpi.perspective_score, kpi.objective_score, kpi.alignment, kpi.status_log, kpi.open_actions, kpi.latest_check_in TO lead;
});
sub lead { return decode_utf8($node->safe_psql('demo', $_[0], extra_params => [ '-U', 'lead' ])) }
sub dated { return $_[0] =~ s/Computed on [^.]*//r }
is(dated(lead(q{SELECT kpi.report_html('acme', '2026-Q3')})), dated($page), 'SELECT on what the documentation lists is enough');
ask(q{CREATE POLICY own ON kpi.unit FOR SELECT TO lead USING (path <@ 'acme.retail' AND path <> 'acme.retail.sales.south'); ALTER TABLE kpi.unit ENABLE ROW LEVEL SECURITY});
my $limited = lead(q{SELECT kpi.report_html('RET', '2026-Q3')});
unlike($limited, qr/Sales South|Marco Conti|sales\.south/, 'what row security hides is not named');
is(ill_formed($limited), '', 'in a page that is well-formed');
like($limited, qr/not shown/, 'which says that something is not shown');
is(ask(q{SELECT kpi.report_html('RET', '2026-Q3')}) =~ /<b>([\d.]+%)<\/b>/ ? $1 : '', $limited =~ /<b>([\d.]+%)<\/b>/ ? $1 : 'none', 'and counts the same');

$node->stop;
done_testing();
