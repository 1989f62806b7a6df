# Many sessions that change an organisation at once, in every way, and others
# that compare what is shown with the recomputation from the raw rows, each time
# in one snapshot.  For the tests that need a server under load: 030_stress.pl,
# 031_crash.pl, 032_standby.pl and, on purpose with broken builds,
# 033_mutants.pl.
#
# There are two organisations in one database.  The plain one, a tree of 15
# units that stays, has facts of two sums and a maximum: plain SQL adds them up
# in a few milliseconds, so that it can be compared thousands of times.  The rich
# one is a random world (KpiWorld) with all kinds of measures, links, targets
# and validity, of which everything changes; kpi.recompute() tells what every
# view must show.
#
# Every session is a process of its own (a role, below), whose chances follow
# from the seed and its number; when they meet does not.  What goes wrong is
# written to a file at once, what was done is counted and added up at the end.
package KpiStress;
use strict;
use warnings;
use KpiSession;
use KpiWorld;
use POSIX ();
use Time::HiRes qw(sleep time);

my $base = 900000;    # ids of the plain organisation begin here
my @months = map { "2026-0$_" } 1 .. 3;

# What may happen to a statement here: refused by rules (22, 23, 55), in the way
# of others (40, 55P03, 57014), in a failed transaction (25, 3B), or ended (57P01).
my $expected = qr/^(?:22|23|25|3B|40|55|57014|57P0|58)/;

# Functions that take names are given those of a moment ago: a unit may have moved
# since, or it and its KPIs be gone.  And what a slow session has prepared, the
# remover may have taken for left behind, and ended.
my $gone = qr/^ERROR:\s+42704: (?:(?:unit|measure|KPI of unit) "[^"]+" (?:and measure "[^"]+" )?|prepared transaction with identifier "[^"]+" )does not exist/;

# ---------------------------------------------------------------- setting up

# new(node => , seed => , seconds => , folder => where files may go, library => a build other than the installed one,
# keep => nobody truncates)
sub new
{
	my ($class, %self) = @_;
	my $self = bless { database => 'postgres', children => {}, number => 0, standbys => [], %self }, $class;
	mkdir $self->{folder};
	# a world in which there is something to change
	for (;; $self->{seed}++)
	{
		$self->{world} = KpiWorld->new($self->{seed});
		$self->{world}{wanted_size} = 'middle';
		@{ $self->{set_up} } = $self->{world}->set_up;
		my %rows = map { ($_->{sql} =~ /kpi\.(\w+)/)[0] => scalar @{ $_->{rows} } } @{ $self->{set_up} };
		last if ($rows{kpi} || 0) >= 12 && ($rows{kpi} || 0) <= 45 && ($rows{measure} || 0) >= 3 && grep { $_->{sql} =~ /kpi\.link/ } @{ $self->{set_up} };
	}
	return $self;
}

# settings a server needs for this
sub configuration
{
	return <<'CONF';
max_connections = 80
max_prepared_transactions = 60
deadlock_timeout = 100ms
autovacuum_naptime = 1
max_worker_processes = 16
jit = off
log_statement = none
CONF
}

our $SQL = <<'SQL';
ALTER TABLE kpi.fact ALTER fact_id RESTART WITH 10000000;
INSERT INTO kpi.unit (unit_id, path)
WITH RECURSIVE t (n, path) AS (
    SELECT 1, 'p1' UNION ALL SELECT c, path || '.p' || c FROM t, LATERAL (VALUES (2 * n), (2 * n + 1)) v (c) WHERE c < 16)
SELECT 900000 + n, path::kpi_path FROM t;
INSERT INTO kpi.measure (measure_id, code, rollup) VALUES (900001, 'revenue', 'sum'), (900002, 'longest', 'max'), (900003, 'kept', 'sum');
INSERT INTO kpi.kpi (kpi_id, unit_id, measure_id) SELECT 900000 + n + 100 * (m - 1), 900000 + n, 900000 + m FROM generate_series(1, 15) n, generate_series(1, 3) m;
INSERT INTO kpi.fact (kpi_id, period, value)
SELECT k.kpi_id, p::text::kpi_period, (k.kpi_id * 37 + m) % 1000 FROM kpi.kpi k, generate_series(1, 3) m, LATERAL (SELECT '2026-0' || m) p (p) WHERE k.measure_id < 900003;
SELECT kpi.create_level_view(n, 'public.level_' || n) FROM generate_series(5, 8) n;

-- who is beneath whom in the plain organisation
CREATE TABLE beneath AS
SELECT a.kpi_id AS above, b.kpi_id
  FROM kpi.kpi a JOIN kpi.unit au USING (unit_id) JOIN kpi.kpi b ON b.measure_id = a.measure_id JOIN kpi.unit bu ON bu.unit_id = b.unit_id
 WHERE a.measure_id > 900000 AND bu.path <@ au.path;
CREATE INDEX ON beneath (above);

-- each KPI of the plain organisation in each month and year: shown, and added up
CREATE VIEW wrong AS
SELECT kpi_id, period, s.actual AS shown, e.expected
  FROM (SELECT a.kpi_id, a.period::text, a.actual FROM kpi.attainment a WHERE a.kpi_id > 900000 AND a.grain IN ('month', 'year') AND a.actual IS NOT NULL) s
  FULL JOIN (SELECT b.above AS kpi_id, p.period, CASE WHEN b.above BETWEEN 900101 AND 900115 THEN max(f.value) ELSE sum(f.value) END AS expected
               FROM beneath b JOIN kpi.fact f USING (kpi_id), LATERAL (VALUES (f.period::text), (left(f.period::text, 4))) p (period)
              GROUP BY b.above, p.period) e USING (kpi_id, period)
 WHERE s.actual IS DISTINCT FROM e.expected;
-- the same of its two roots, for those who ask often
CREATE VIEW wrong_root AS
SELECT kpi_id, period, s.actual AS shown, e.expected
  FROM (SELECT a.kpi_id, a.period::text, a.actual FROM kpi.attainment a WHERE a.kpi_id IN (900001, 900101) AND a.grain IN ('month', 'year') AND a.actual IS NOT NULL) s
  FULL JOIN (SELECT b.above AS kpi_id, p.period, CASE WHEN b.above BETWEEN 900101 AND 900115 THEN max(f.value) ELSE sum(f.value) END AS expected
               FROM beneath b JOIN kpi.fact f USING (kpi_id), LATERAL (VALUES (f.period::text), (left(f.period::text, 4))) p (period)
              WHERE b.above IN (900001, 900101)
              GROUP BY b.above, p.period) e USING (kpi_id, period)
 WHERE s.actual IS DISTINCT FROM e.expected;

-- What is kept of changes of status: each starts where the last one of its KPI and
-- period ended, whatever the snapshot; null, no_data and no_target pass for each
-- other where nobody had a verdict.
CREATE VIEW broken_status AS
SELECT *
  FROM (SELECT c.*, lag(c.new_status) OVER (PARTITION BY c.kpi_id, c.period ORDER BY c.status_change_id) AS before FROM kpi.status_change c) c
 WHERE c.old_status IS NOT DISTINCT FROM c.new_status
    OR c.old_status IS DISTINCT FROM c.before
       AND NOT ((c.old_status IS NULL OR c.before IS NULL) AND coalesce(c.old_status, 'no_data') <= 'no_target' AND coalesce(c.before, 'no_data') <= 'no_target');
-- with nothing pending, the last change of each KPI and period leads to the verdict of its cell
CREATE VIEW wrong_status AS
SELECT *
  FROM (SELECT kpi_id, period, CASE WHEN status > 'no_target' THEN status END AS shown FROM kpi.cell) s
  FULL JOIN (SELECT DISTINCT ON (kpi_id, period) kpi_id, period, CASE WHEN new_status > 'no_target' THEN new_status END AS kept
               FROM kpi.status_change WHERE kpi_id IN (SELECT kpi_id FROM kpi.kpi) ORDER BY kpi_id, period, status_change_id DESC) k USING (kpi_id, period)
 WHERE s.shown IS DISTINCT FROM k.kept;

-- What every view with figures shows, beside the recomputation; one statement of
-- the caller, so one snapshot.  Numbers are compared as text, copies of a row count.
CREATE FUNCTION differences() RETURNS SETOF text LANGUAGE plpgsql STABLE
    SET enable_nestloop = off SET work_mem = '64MB' AS $$
BEGIN
    RETURN QUERY
    WITH known AS MATERIALIZED (
        SELECT r.*, k.unit_id, k.weight, u.level_no FROM kpi.recompute() r LEFT JOIN kpi.kpi k USING (kpi_id) LEFT JOIN kpi.unit u USING (unit_id)
    ), expected AS (
        SELECT v.name, k.kpi_id::text AS id, k.period::text,
               ARRAY[k.actual::text, k.target::text, trim_scale(k.actual - k.target)::text, k.attainment::text, k.target_to_date::text,
                     k.attainment_to_date::text, k.driver_score::text, k.score::text, k.status::text, k.coverage::text, k.tally::text] AS figures
          FROM known k, (VALUES ('attainment'), ('scorecard'), ('level views')) v (name)
         WHERE v.name <> 'level views' OR k.level_no <= 8
        UNION ALL
        SELECT 'unit_score', k.unit_id::text, k.period::text,
               ARRAY[kpi.exact_quotient(sum(k.score * k.weight), sum(k.weight) FILTER (WHERE k.score IS NOT NULL))::text,
                     coalesce(min(k.status::kpi_status) FILTER (WHERE k.status NOT IN ('no_data', 'no_target')), min(k.status::kpi_status))::text,
                     kpi.exact_quotient(sum(k.coverage * k.weight), sum(k.weight))::text, count(*)::text, count(k.score)::text]
          FROM known k GROUP BY k.unit_id, k.period
    ), shown AS (
        SELECT 'attainment' AS name, a.kpi_id::text AS id, a.period::text,
               ARRAY[a.actual::text, a.target::text, a.variance::text, a.attainment::text, a.target_to_date::text, a.attainment_to_date::text,
                     a.driver_score::text, a.score::text, a.status::text, a.coverage::text, a.tally::text] AS figures
          FROM kpi.attainment a
        UNION ALL
        SELECT s.name, s.kpi_id::text, s.period,
               ARRAY[s.actual::text, s.target::text, s.variance::text, s.attainment::text, s.target_to_date::text, s.attainment_to_date::text,
                     s.driver_score::text, s.score::text, s.status::text, s.coverage::text, s.tally::text]
          FROM (SELECT 'scorecard' AS name, * FROM kpi.scorecard
                UNION ALL SELECT 'level views', * FROM kpi.corporate_scorecard
                UNION ALL SELECT 'level views', * FROM kpi.business_unit_scorecard
                UNION ALL SELECT 'level views', * FROM kpi.department_scorecard
                UNION ALL SELECT 'level views', * FROM kpi.team_scorecard
                UNION ALL SELECT 'level views', * FROM level_5
                UNION ALL SELECT 'level views', * FROM level_6
                UNION ALL SELECT 'level views', * FROM level_7
                UNION ALL SELECT 'level views', * FROM level_8) s
        UNION ALL
        SELECT 'unit_score', u.unit_id::text, u.period::text, ARRAY[u.score::text, u.status::text, u.coverage::text, u.kpis::text, u.scored_kpis::text]
          FROM kpi.unit_score u
    ), counted AS (
        SELECT s.name, s.id, s.period, s.figures, count(*) OVER (PARTITION BY s.name, s.id, s.period) AS copies FROM shown s
    )
    SELECT concat_ws(' ', name, id, period, 'shows', c.copies, c.figures::text, 'instead of', e.figures::text)
      FROM counted c FULL JOIN expected e USING (name, id, period)
     WHERE c.copies IS DISTINCT FROM 1 OR c.figures IS DISTINCT FROM e.figures;
END
$$;
SQL

sub set_up
{
	my ($self) = @_;
	my $node = $self->{node};
	$node->safe_psql($self->{database}, 'CREATE EXTENSION kpi_cascade');
	# another build of the library, for all sessions to come
	$node->safe_psql($self->{database}, "UPDATE pg_proc SET probin = '$self->{library}' WHERE probin = '\$libdir/kpi_cascade'") if $self->{library};
	$node->safe_psql($self->{database}, $SQL);
	my $session = $self->session('-c kpi_cascade.fold_after=32');
	for my $statement (@{ $self->{set_up} })
	{
		my @lines = $session->run("$statement->{sql} " . join(', ', @{ $statement->{rows} }) . $statement->{tail});
		# a link or a placement may be against the rules, the rest is the world
		if (my ($error) = grep { /^ERROR/ } @lines) { die "$error: $statement->{sql}\n" unless $statement->{sql} =~ /kpi\.(?:link|unit_history)/ }
	}
	$session->run('SELECT kpi.fold()');
	$session->run('VACUUM ANALYZE');
	$self->{partial} = ($session->run("SELECT to_regprocedure('kpi.fold(bigint)') IS NOT NULL"))[0] eq 't';
	$self->{worker} = !$self->{library} && ($session->run("SELECT to_regprocedure('kpi.start_worker()') IS NOT NULL"))[0] eq 't';
	for my $n (0 .. 7)
	{
		open my $file, '>', "$self->{folder}/facts$n.csv" or die "could not write: $!\n";
		srand($self->{seed} + $n);
		print $file join(',', $base + KpiWorld::between(1, 15) + 100 * int(rand 2), KpiWorld::one_of(@months), KpiWorld::between(1, 999)) . "\n"
		  for 1 .. KpiWorld::one_of(1, 5, 40, 150);
		close $file;
	}
	return;
}

sub session
{
	my ($self, $options, $node) = @_;
	return KpiSession->new(($node || $self->{node})->connstr($self->{database}) . ' application_name=' . ($self->{role} || 'set_up'),
		"-c lock_timeout=400 -c statement_timeout=120000 $options");
}

# ---------------------------------------------------------------- processes

# starts processes that do a role until the time is over or stop() is called
sub start
{
	my ($self, $role, $how_many, @arguments) = @_;
	for (1 .. $how_many)
	{
		my $number = ++$self->{number};
		my $parent = $$;
		my $pid = fork // die "could not fork: $!\n";
		if ($pid == 0)
		{
			$SIG{$_} = 'DEFAULT' for qw(INT TERM HUP);
			%$self = (%$self, number => $number, role => $role, count => {}, children => {}, parent => $parent);
			$self->{until} = time + $self->{seconds};
			srand($self->{seed} * 1000 + $number);
			until ($self->is_over)
			{
				eval { $self->can("be_$role")->($self, @arguments) };
				last unless $@;
				# sessions end when they are terminated, or the server is
				if   ($@ =~ /^the session is gone|Broken pipe|^no connection/) { $self->{count}{gone}++; sleep 0.05 }
				else                                           { $self->note("$role died: $@"); last }
			}
			delete $self->{session};
			open my $file, '>', "$self->{folder}/count.$number";
			print $file "$role $_ $self->{count}{$_}\n" for sort keys %{ $self->{count} };
			close $file;
			POSIX::_exit(0);
		}
		$self->{children}{$pid} = $role;
	}
	return;
}

# or the test itself is no more
sub is_over { return time >= $_[0]{until} || -e "$_[0]{folder}/stop" || getppid != $_[0]{parent} }

sub stop
{
	my ($self) = @_;
	open my $file, '>', "$self->{folder}/stop";
	return;
}

# waits for all processes; with a true argument only until something is caught
sub finish
{
	my ($self, $until_caught) = @_;
	my $latest = time + $self->{seconds} + 400;
	while (%{ $self->{children} })
	{
		while ((my $pid = waitpid -1, POSIX::WNOHANG()) > 0) { delete $self->{children}{$pid} }
		$self->stop if $until_caught && $self->caught;
		if (time > $latest)
		{
			$self->note("hangs: $_") for values %{ $self->{children} };
			kill 'KILL', keys %{ $self->{children} };
			last;
		}
		sleep 0.1 if %{ $self->{children} };
	}
	my %count;
	for my $file (glob "$self->{folder}/count.*")
	{
		open my $in, '<', $file or next;
		while (<$in>) { $count{$2} += $3, $count{"$1 $2"} += $3 if /^(\S+) (.+) (\d+)$/ }
		close $in;
		unlink $file;
	}
	unlink "$self->{folder}/stop";
	return \%count;
}

sub note
{
	my ($self, @lines) = @_;
	open my $file, '>>', "$self->{folder}/caught" or die "could not write: $!\n";
	syswrite $file, join('', map { s/\n+$//r . "\n" } @lines);
	close $file;
	return;
}

# what was caught
sub caught
{
	my ($self) = @_;
	open my $file, '<', "$self->{folder}/caught" or return ();
	chomp(my @lines = <$file>);
	return @lines;
}

# ---------------------------------------------------------------- statements

# runs a statement; true unless it was refused
sub do
{
	my ($self, $sql) = @_;
	my @lines = $self->{session}->run($sql);
	my ($state) = map { /^(?:ERROR|FATAL|PANIC):\s+(\w{5})/ ? $1 : () } @lines;
	$self->{lines} = \@lines;
	die "the session is gone: @lines\n" if grep { /server closed the connection|connection to server was lost|^WARNING:  57P0/ } @lines;
	$self->{count}{statements}++;
	for (@lines)
	{
		my ($warning) = /^WARNING:\s+(\w{5})/ or next;
		next if $warning =~ /^25/;
		# a fold that was cancelled leaves its rows, and the commit goes on
		if ($warning =~ /^(?:57014|40)/ && /could not fold/) { $self->{count}{'folds given up'}++ }
		else { $self->note("$self->{role}: $_ after $sql") }
	}
	$self->{state} = $state;
	return 1 unless defined $state;
	die "the session is gone: @lines\n" if $state =~ /^57P/;
	$self->{count}{refused}++;
	$self->{count}{"refused $state"}++;
	$self->note("$self->{role}: @lines after $sql") if $state !~ $expected && !grep { /$gone/ } @lines;
	return 0;
}

# what is stored and pending of the plain organisation, in the statement's snapshot
my $behind = <<'SQL';
SELECT concat_ws(' ', 'state', s.snap, 'own', s.own, 'upto', s.upto, 'purged', s.purged, 'folds', s.folds, 'hot', s.generation, 'now', pg_current_snapshot()) FROM kpi.fold_state s
UNION ALL
SELECT concat_ws(' ', 'cell', c.kpi_id, c.period, 'generation', c.generation, 'xmin', c.xmin, 'actual', c.actual, 'tally', c.tally, 'own', c.has_own, c.own, 'facts', (SELECT sum(f.value) FROM kpi.fact f WHERE f.kpi_id = c.kpi_id AND f.period = c.period))
  FROM kpi.cell c WHERE c.kpi_id > 900000
UNION ALL
SELECT concat_ws(' ', 'pending', p.xid, p.seq, p.kind, p.kpi_id, p.period, p.unit_id, p.measure_id, p.delta, p.noted_at) FROM kpi.pending p
SQL

# compares; what it finds is noted
sub compare
{
	my ($self, $what, $where) = @_;
	my $sql = "SELECT * FROM $what LIMIT 5";
	$self->do($sql) or return 0;
	$self->{count}{"comparisons $what"}++;
	my @wrong = grep { !/^(?:WARNING|DETAIL|HINT|LOCATION|NOTICE|CONTEXT)/ } @{ $self->{lines} };
	return 1 unless @wrong;
	$self->note(map { "caught by $self->{role} $where, $what: $_" } @wrong);
	# once for each session: what the wrong figures of the plain organisation were made of
	$self->note(map { "behind it: $_" } $self->{session}->run($behind)) if $what =~ /^wrong/ && !$self->{told}++;
	return 1;
}

# TRUNCATE is not seen by older snapshots: a lock taken before the snapshot keeps it away
my $keep_facts = 'LOCK TABLE kpi.fact IN ACCESS SHARE MODE';

my @isolations = ('READ COMMITTED', 'READ COMMITTED', 'REPEATABLE READ');

sub any_plain { return $base + KpiWorld::between(1, 15) + ($_[0] // 100 * int rand 2) }

my %plain = (
	insert => sub { sprintf 'INSERT INTO kpi.fact (kpi_id, period, value) VALUES %s',
		join ', ', map { sprintf "(%d, '%s', %d)", any_plain(), KpiWorld::one_of(@months), KpiWorld::between(1, 999) } 1 .. KpiWorld::one_of(1, 1, 1, 2, 5) },
	update => sub { sprintf "UPDATE kpi.fact SET value = value + 1 WHERE fact_id = (SELECT max(fact_id) FROM kpi.fact WHERE kpi_id = %d AND period = '%s')", any_plain(), KpiWorld::one_of(@months) },
	shift => sub { sprintf "UPDATE kpi.fact SET kpi_id = %d, period = '%s' WHERE fact_id = (SELECT max(fact_id) FROM kpi.fact WHERE kpi_id = %d)",
		any_plain(100), KpiWorld::one_of(@months), any_plain(100) },
	# the greatest goes: its cell has to be looked at again
	greatest => sub { sprintf "DELETE FROM kpi.fact WHERE fact_id = (SELECT fact_id FROM kpi.fact WHERE kpi_id = %d AND period = '%s' ORDER BY value DESC LIMIT 1)", any_plain(100), KpiWorld::one_of(@months) },
	delete => sub { sprintf "DELETE FROM kpi.fact WHERE kpi_id = %d AND period = '%s'", any_plain(), KpiWorld::one_of(@months) },
	merge => sub { sprintf "MERGE INTO kpi.fact f USING (VALUES (%d::bigint, '%s'::kpi_period)) v (k, p) ON f.kpi_id = v.k AND f.period = v.p WHEN MATCHED AND f.value > 500 THEN DELETE WHEN MATCHED THEN UPDATE SET value = f.value + 10 WHEN NOT MATCHED THEN INSERT (kpi_id, period, value) VALUES (v.k, v.p, 3)",
		any_plain(), KpiWorld::one_of(@months) },
	copy => undef,
	# facts are read again, and no sum changes
	again => sub { sprintf "UPDATE kpi.kpi SET valid_to = CASE WHEN valid_to IS NULL THEN date '2100-01-01' END WHERE kpi_id = %d", any_plain() },
	clean => sub { sprintf "DELETE FROM kpi.fact WHERE fact_id IN (SELECT fact_id FROM kpi.fact WHERE kpi_id = %d AND period = '%s' ORDER BY value DESC OFFSET 2)", any_plain(), KpiWorld::one_of(@months) },
	target => sub { sprintf "INSERT INTO kpi.target (kpi_id, period, value) VALUES (%d, '%s', %d) ON CONFLICT (kpi_id, period) DO UPDATE SET value = excluded.value", any_plain(), KpiWorld::one_of(@months), KpiWorld::between(1, 900) });

sub change_plain
{
	my ($self) = @_;
	my $kind = KpiWorld::weighted(insert => 50, update => 8, shift => 5, greatest => 9, delete => 3, merge => 3, copy => 2, again => 4, clean => 12, target => 3);
	my $sql = $kind eq 'copy'
	  ? "COPY kpi.fact (kpi_id, period, value) FROM '$self->{folder}/facts" . int(rand 8) . ".csv' (FORMAT csv)"
	  : $plain{$kind}->();
	my $done = $self->do($sql);
	$self->{count}{"plain $kind"}++ if $done;
	return $done;
}

my $model_sql = <<'SQL';
SELECT concat_ws('|', 'unit', unit_id, path) FROM kpi.unit WHERE unit_id < 900000
UNION ALL SELECT concat_ws('|', 'history', unit_id, effective_from) FROM kpi.unit_history WHERE effective_from > '-infinity' AND unit_id < 900000
UNION ALL SELECT concat_ws('|', 'measure', measure_id, code) FROM kpi.measure WHERE measure_id < 900000
UNION ALL SELECT concat_ws('|', 'kpi', kpi_id, unit_id, measure_id, grain, fiscal_start, rollup, time_rollup, scoring) FROM kpi.kpi JOIN kpi.measure USING (measure_id) WHERE kpi_id < 900000
UNION ALL SELECT concat_ws('|', 'link', link_id, child_kpi_id, parent_kpi_id, contributes) FROM kpi.link
UNION ALL SELECT concat_ws('|', 'fact', fact_id, kpi_id, period) FROM kpi.fact WHERE kpi_id < 900000
UNION ALL SELECT concat_ws('|', 'target', kpi_id, period) FROM kpi.target WHERE kpi_id < 900000
ORDER BY 1
SQL

# a change of the rich organisation, of any kind or of that one
sub change_world
{
	my ($self, $kind) = @_;
	my $world = $self->{world};
	$world->{next_id} = 20000 * $self->{number} if $world->{next_id} < 20000 * $self->{number};
	$self->do($model_sql) or return 0;
	my $model = KpiWorld::model(@{ $self->{lines} });
	my @statements;
	if ($kind) { @statements = map { ref $_ ? $_ : { sql => $_ } } $world->$kind($model) }
	elsif (@{ $model->{fact} } > 120) { @statements = { sql => 'DELETE FROM kpi.fact WHERE kpi_id < 900000 AND fact_id % 3 = ' . int rand 3 } }
	elsif (keys %{ $model->{unit} } > 25) { @statements = map { { sql => $_ } } $world->unit_deleted($model) }
	else { @statements = $world->change($model) }
	for my $statement (@statements)
	{
		my $rows = $statement->{rows};
		# recorders rely on their facts
		return 0 if $self->{keep} && $statement->{sql} =~ /^TRUNCATE/;
		$self->do($statement->{sql} . ($rows ? ' ' . join(', ', @$rows) . $statement->{tail} : '')) or return 0;
		my ($what) = $statement->{sql} =~ /^(\w+ (?:INTO |FROM )?kpi\.\w+)/;
		$self->{count}{ 'world ' . ($what // 'other') }++;
	}
	return 1;
}

sub fold
{
	my ($self) = @_;
	my $limit = $self->{partial} && KpiWorld::chance(0.65) ? KpiWorld::one_of(1, 1, 2, 5, 20) : '';
	my $done = $self->do("SELECT kpi.fold($limit)");
	$self->{count}{ $limit ? 'partial folds' : 'folds' }++ if $done;
	return $done;
}

# ---------------------------------------------------------------- roles

# Transactions of all kinds.  rich: how often the rich organisation is changed.
sub be_writer
{
	my ($self, $options, $rich) = @_;
	$self->{session} = $self->session($options);
	$self->do('SELECT kpi.version()');
	# of earlier sessions too
	my $prepared = $self->{prepared} ||= [];
	until ($self->is_over)
	{
		my $must = -e "$self->{folder}/truncate";
		while (@$prepared && ($must || $prepared->[0][1] < time || @$prepared > 3)) { $self->end_prepared(shift @$prepared) }
		if (KpiWorld::chance(0.03) && $options !~ /fixed/)
		{
			$self->do('SET kpi_cascade.fold_mode = ' . KpiWorld::one_of(qw(commit commit background manual)));
			$self->do('SET kpi_cascade.fold_after = ' . KpiWorld::one_of(0, 0, 3, 32));
		}
		if (KpiWorld::chance(0.35))
		{
			$self->{count}{commits}++ if KpiWorld::chance($rich) ? $self->change_world : $self->change_plain;
			next;
		}
		my $gid = $self->transaction($rich);
		push @$prepared, $gid if $gid;
	}
	$self->end_prepared(shift @$prepared) while @$prepared;
	return;
}

sub end_prepared
{
	my ($self, $prepared) = @_;
	my $how = KpiWorld::chance(0.7) ? 'COMMIT' : 'ROLLBACK';
	$self->{count}{ lc "$how prepared" }++ if $self->do("$how PREPARED '$prepared->[0]'");
	return;
}

# one transaction; returns its name and until when it may stay, if it was prepared
sub transaction
{
	my ($self, $rich) = @_;
	my $isolation = KpiWorld::weighted('READ COMMITTED' => 6, 'REPEATABLE READ' => 3, SERIALIZABLE => 1);
	my ($savepoints, $failed, $structure) = (0, 0, 0);
	my $able = KpiWorld::chance(0.6);
	# cancelled itself, it would leave all that follows outside of a transaction
	return unless $self->do("BEGIN ISOLATION LEVEL $isolation");
	$able &&= $self->do($keep_facts) || ($failed = 1, 0)[1];
	for (1 .. KpiWorld::between(1, 6))
	{
		my $done = 1;
		last if $failed && !$savepoints;
		my $step = $failed ? 'back' : KpiWorld::weighted(change => 60, check => $able ? 14 : 0, everything => $able ? 0.5 : 0, fold => 5,
			savepoint => 10, back => $savepoints ? 10 : 0, release => $savepoints ? 6 : 0, sleep => 3);
		if ($step eq 'change')
		{
			my $in_world = KpiWorld::chance($rich);
			$structure ||= $in_world;
			$done = $in_world ? $self->change_world : $self->change_plain;
		}
		elsif ($step eq 'check') { $done = $self->compare('wrong_root', "in a $isolation transaction that writes") }
		elsif ($step eq 'everything') { $done = $self->compare('differences()', "in a $isolation transaction that writes") }
		elsif ($step eq 'fold') { $structure ||= 1; $done = $self->fold }
		elsif ($step eq 'savepoint') { $savepoints++; $done = $self->do("SAVEPOINT s$savepoints") }
		elsif ($step eq 'back')
		{
			$done = $self->do("ROLLBACK TO s$savepoints");
			$failed = 0;
			$self->{count}{'rollbacks to savepoints'}++;
			$done &&= $self->compare('wrong_root', "after ROLLBACK TO in a $isolation transaction") if $able && KpiWorld::chance(0.3);
		}
		elsif ($step eq 'release') { $done = $self->do("RELEASE s$savepoints"); $savepoints-- }
		else { sleep rand 0.03 }
		$failed = 1 unless $done;
	}
	my $end = $failed ? 'rollback' : KpiWorld::weighted(commit => 70, rollback => 16, prepare => 14);
	if ($end eq 'prepare')
	{
		my $gid = "$self->{number}." . ++$self->{gids} . ".$$";
		if ($self->do("PREPARE TRANSACTION '$gid'"))
		{
			$self->{count}{prepared}++;
			# those that hold strong locks not for long
			return [ $gid, time + rand($structure ? 0.2 : 2) ];
		}
		$self->do('ROLLBACK');
		return;
	}
	$self->{count}{ $end . 's' }++ if $self->do(uc $end);
	$self->do('ROLLBACK') if $self->{state} && $end eq 'commit';
	return;
}

# Transactions with small ids that stay open while others fold.
sub be_long_writer
{
	my ($self) = @_;
	$self->{session} = $self->session('-c kpi_cascade.fold_mode=manual');
	until ($self->is_over)
	{
		sleep 0.02 while -e "$self->{folder}/truncate" && !$self->is_over;
		my $isolation = KpiWorld::one_of(@isolations);
		my $until = time + 0.3 + rand 2.5;
		$self->do("BEGIN ISOLATION LEVEL $isolation");
		my $done = $self->do($keep_facts) && $self->change_plain;
		while ($done && time < $until && !$self->is_over && !-e "$self->{folder}/truncate")
		{
			$done = $self->change_plain;
			$done &&= $self->do('SAVEPOINT a') && $self->change_plain && $self->do('ROLLBACK TO a') if KpiWorld::chance(0.3);
			$done &&= $self->compare('wrong_root', "in a long $isolation transaction");
			sleep rand 0.2;
		}
		my $end = !$done || KpiWorld::chance(0.25) ? 'ROLLBACK' : 'COMMIT';
		$self->{count}{ lc($end) . 's' }++ if $self->do($end);
		$self->do('ROLLBACK') if $self->{state};
	}
	return;
}

# Adds facts that nobody takes away, and writes down which of them were acknowledged.
sub be_recorder
{
	my ($self, $options) = @_;
	$self->{session} = $self->session($options);
	open my $file, '>>', "$self->{folder}/recorded.$self->{number}" or die "could not write: $!\n";
	until ($self->is_over)
	{
		my $reference = "$self->{number}.$$." . ++$self->{references};
		my $sql = sprintf "INSERT INTO kpi.fact (kpi_id, period, value, reference) VALUES (%d, '%s', %d, '%s')",
		  any_plain(200), KpiWorld::one_of(@months), KpiWorld::between(1, 99), $reference;
		$sql = "BEGIN; $sql; SAVEPOINT a; " . $plain{insert}->() . '; COMMIT' if KpiWorld::chance(0.3);
		next unless $self->do($sql);
		syswrite $file, "$reference\n";
		$self->{count}{recorded}++;
	}
	return;
}

# How many facts recorders were promised to be kept, and how many of them are there.
sub recorded
{
	my ($self, $node) = @_;
	my $sql = "CREATE TEMPORARY TABLE recorded (reference text);\n";
	$sql .= "COPY recorded FROM '$_';\n" for glob "$self->{folder}/recorded.*";
	$sql .= 'SELECT count(*), count(f.fact_id) FROM recorded r LEFT JOIN kpi.fact f USING (reference)';
	return split /\|/, ($node || $self->{node})->safe_psql($self->{database}, $sql);
}

# Transactions with more subtransactions than the server keeps track of.
sub be_nester
{
	my ($self) = @_;
	$self->{session} = $self->session('-c kpi_cascade.fold_mode=manual');
	until ($self->is_over)
	{
		sleep 0.02 while -e "$self->{folder}/truncate" && !$self->is_over;
		$self->do('BEGIN');
		my $done = $self->do($keep_facts);
		for my $n (1 .. KpiWorld::between(66, 90))
		{
			$done &&= $self->do("SAVEPOINT n$n") && $self->do($plain{insert}->());
			$self->do("ROLLBACK TO n$n") if $done && KpiWorld::chance(0.2);
		}
		$done &&= $self->compare('wrong_root', 'in a transaction of many subtransactions');
		sleep rand 0.5;
		$done &&= $self->do('ROLLBACK TO n60') if KpiWorld::chance(0.5);
		$done &&= $self->compare('wrong_root', 'in a transaction of many subtransactions');
		my $end = !$done || KpiWorld::chance(0.25) ? 'ROLLBACK' : 'COMMIT';
		$self->{count}{nested}++ if $done;
		$self->{count}{ lc($end) . 's' }++ if $self->do($end);
		$self->do('ROLLBACK') if $self->{state};
	}
	return;
}

# Full and partial folds, alone and in the middle of transactions, some undone.
sub be_folder
{
	my ($self, $pause) = @_;
	$self->{session} = $self->session('-c kpi_cascade.fold_mode=manual');
	until ($self->is_over)
	{
		if (KpiWorld::chance(0.6)) { $self->fold }
		else
		{
			my $isolation = KpiWorld::one_of(@isolations);
			$self->do("BEGIN ISOLATION LEVEL $isolation");
			my $done = $self->do($keep_facts);
			$done &&= $self->change_plain if KpiWorld::chance(0.6);
			sleep rand 0.01 if KpiWorld::chance(0.5);
			$done &&= $self->fold;
			$done &&= $self->change_plain if KpiWorld::chance(0.6);
			$done &&= $self->compare('wrong_root', "after its own fold, $isolation");
			$done &&= $self->fold if KpiWorld::chance(0.3);
			$done &&= $self->change_plain if KpiWorld::chance(0.3);
			my $end = !$done || KpiWorld::chance(0.25) ? 'ROLLBACK' : 'COMMIT';
			$self->{count}{ lc($end) . 's' }++ if $self->do($end);
			$self->do('ROLLBACK') if $self->{state};
		}
		$self->{count}{rebuilds} += $self->do('SELECT kpi.rebuild()') if KpiWorld::chance(0.005);
		sleep rand $pause;
	}
	return;
}

# What needs strong locks, when those who would be in the way have made room: all
# facts go at once, KPIs and units go, a measure gets another grain.
sub be_remover
{
	my ($self) = @_;
	$self->{session} = $self->session('-c kpi_cascade.fold_mode=manual');
	my @what = qw(facts_truncated kpi_deleted unit_deleted measure_changed);
	until ($self->is_over)
	{
		my $until = time + 1 + rand 3;
		sleep 0.1 until time > $until || $self->is_over;
		last if $self->is_over;
		open my $file, '>', "$self->{folder}/truncate";
		sleep 0.3;
		$self->do('BEGIN');
		$self->do("SET LOCAL lock_timeout = '2s'");
		my $what = shift @what;
		push @what, $what;
		my $done = $self->do($keep_facts) && ($what eq 'facts_truncated' ? $self->do('TRUNCATE kpi.fact') : $self->change_world($what));
		$done &&= $self->change_plain;
		$done &&= $self->compare('wrong', "after $what");
		my $end = !$done || KpiWorld::chance(0.3) ? 'ROLLBACK' : 'COMMIT';
		$self->{count}{removals}++ if $self->do($end) && $end eq 'COMMIT';
		$self->{count}{"removals, $what"}++ if $done;
		unlink "$self->{folder}/truncate";
		# whose session ended before it knew that it had prepared
		$self->do("SELECT gid FROM pg_prepared_xacts WHERE prepared < now() - interval '4 s'");
		$self->end_prepared([$_]) for @{ $self->{lines} };
	}
	return;
}

# Reads changes of status from where it left off, and writes down their ids.
sub be_consumer
{
	my ($self) = @_;
	$self->{session} = $self->session('');
	open my $file, '>>', "$self->{folder}/consumed.$self->{number}" or die "could not write: $!\n";
	until ($self->is_over)
	{
		my $last = $self->{last_consumed} || 0;
		if ($self->do("SELECT status_change_id FROM kpi.status_change WHERE status_change_id > $last ORDER BY 1") && @{ $self->{lines} })
		{
			syswrite $file, join '', map { "$_\n" } @{ $self->{lines} };
			$self->{last_consumed} = $self->{lines}[-1];
			$self->{count}{'changes read'} += @{ $self->{lines} };
		}
		$self->compare('broken_status', 'where changes of status are read') if KpiWorld::chance(0.1);
		sleep rand 0.05;
	}
	return;
}

# How many changes of status there are that a consumer has not read, beyond the last
# it has, and how many it read that are not there, or twice, or out of order.
sub consumed
{
	my ($self, $node) = @_;
	my ($path) = glob "$self->{folder}/consumed.*";
	return split /\|/, ($node || $self->{node})->safe_psql($self->{database}, <<"END");
CREATE TEMPORARY TABLE consumed (n bigint GENERATED ALWAYS AS IDENTITY, id bigint);
COPY consumed (id) FROM '$path';
SELECT (SELECT count(*) FROM kpi.status_change c WHERE status_change_id <= (SELECT max(id) FROM consumed) AND NOT EXISTS (SELECT FROM consumed r WHERE r.id = c.status_change_id)),
       (SELECT count(*) FROM consumed r WHERE NOT EXISTS (SELECT FROM kpi.status_change c WHERE c.status_change_id = r.id)),
       (SELECT count(*) FROM (SELECT id, lag(id) OVER (ORDER BY n) AS before FROM consumed) r WHERE id <= before)
END
}

# Ends sessions that write, and cancels what they do.
sub be_killer
{
	my ($self, $pause) = @_;
	$self->{session} = $self->session('');
	until ($self->is_over)
	{
		sleep $pause * (0.5 + rand);
		my $how = KpiWorld::one_of(qw(terminate cancel cancel));
		$self->do("SELECT count(pg_${how}_backend(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE application_name IN ('writer', 'long_writer', 'folder') ORDER BY random() LIMIT 1) a");
		$self->{count}{"killed by $how"} += $self->{lines}[0] || 0;
	}
	return;
}

# Compares: what, at which isolation, how often in one transaction, on which node
sub be_checker
{
	my ($self, $what, $isolation, $times, $pause, $node) = @_;
	$self->{session} = $self->session('', $node);
	until ($self->is_over)
	{
		my $done = $self->do("BEGIN ISOLATION LEVEL $isolation READ ONLY") && $self->do($keep_facts);
		for my $time (1 .. $times)
		{
			last unless $done;
			last if $time > 1 && -e "$self->{folder}/truncate";
			sleep rand $pause if $time > 1;
			$done = $self->compare($what, "at $isolation, time $time");
		}
		$self->do('COMMIT');
		sleep rand 0.02;
	}
	return;
}

1;
