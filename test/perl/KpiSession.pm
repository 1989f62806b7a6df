# A psql that stays open: one session of a test that needs several, or one that
# lasts.  Statements are sent one at a time and answered by the lines they
# printed, errors and warnings among them, in order.
package KpiSession;
use strict;
use warnings;
use IPC::Open3;
use Time::HiRes qw(time);

my $timeout = $ENV{KPI_SESSION_TIMEOUT} || 180;

# new(connection string, settings as for PGOPTIONS)
sub new
{
	my ($class, $connection, $options) = @_;
	local $ENV{PGOPTIONS} = "-c client_min_messages=warning $options";
	local $ENV{PGCLIENTENCODING} = 'UTF8';
	my $pid = open3(my $in, my $out, undef,
		'psql', '--no-psqlrc', '--quiet', '--no-align', '--tuples-only', '--set', 'VERBOSITY=verbose', '--pset', 'null=null', '--dbname', $connection);
	$in->autoflush(1);
	return bless { pid => $pid, in => $in, out => $out, marks => 0, buffer => '' }, $class;
}

# the lines that a statement printed; dies where the session is gone or hangs
sub run
{
	my ($self, $sql) = @_;
	my $mark = 'done ' . ++$self->{marks};
	my $until = time + $timeout;
	local $SIG{PIPE} = 'IGNORE';
	print { $self->{in} } "$sql;\n\\echo $mark\n";
	my $end;
	while (($end = index "\n$self->{buffer}", "\n$mark\n") < 0)
	{
		my $ready = '';
		vec($ready, fileno $self->{out}, 1) = 1;
		my $left = $until - time;
		die "no answer within $timeout s to: $sql\n" if $left <= 0 || !select $ready, undef, undef, $left;
		sysread $self->{out}, $self->{buffer}, 65536, length $self->{buffer}
		  or die "the session is gone: $self->{buffer}\n";
	}
	my $lines = substr $self->{buffer}, 0, $end, '';
	substr($self->{buffer}, 0, length("$mark\n")) = '';
	return split /\n/, $lines;
}

sub DESTROY
{
	my ($self) = @_;
	local ($?, $!, $@);
	close $self->{in};
	close $self->{out};
	waitpid $self->{pid}, 0;
}

1;
