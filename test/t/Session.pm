# A psql that stays connected, so that a test can hold a transaction open while
# it does something else.  (The servers' own background_psql differs from version
# to version.)
package Session;
use strict;
use warnings;
use IPC::Run;

sub new
{
	my ($class, $node, $db) = @_;
	my $self = bless { in => '', out => '', err => '', n => 0 }, $class;
	$self->{run} = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr($db || 'postgres') ],
		'<', \$self->{in}, '>', \$self->{out}, '2>', \$self->{err},
		IPC::Run::timeout(180));
	return $self;
}

# runs it and returns its rows, joined by ";"; dies on an error
sub query
{
	my ($self, $sql) = @_;
	my $mark = 'done ' . ++$self->{n};
	$self->{in} .= "$sql;\n\\echo $mark\n";
	$self->{run}->pump until $self->{out} =~ s/^(.*?)\n?\Q$mark\E\n//s;
	my $rows = $1;
	die "$sql: $self->{err}" if $self->{err} =~ /ERROR|FATAL/;
	return join ';', split /\n/, $rows;
}

# the same for what shall fail: returns the messages
sub error
{
	my ($self, $sql) = @_;
	eval { $self->query($sql) };
	my $messages = $self->{err};
	$self->{err} = '';
	return $messages;
}

sub quit
{
	my ($self) = @_;
	$self->{in} .= "\\q\n";
	$self->{run}->finish;
	return;
}

# after the server has gone away
sub drop
{
	my ($self) = @_;
	$self->{run}->kill_kill;
	return;
}

1;
