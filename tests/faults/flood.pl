# flood.pl PID FD SECONDS [BYTES]: writes as fast as its reader reads into a copy of a socket that another process has open, as if that process did.
# pidfd_open(2) (434) and pidfd_getfd(2) (438) give the copy. Ends early when BYTES were
# taken. Prints the bytes per second that were taken.
use strict;
use Errno;
use Time::HiRes qw(time);
my ($pid, $fd, $seconds, $most) = @ARGV;
my $pidfd = syscall(434, $pid + 0, 0); die "pidfd_open: $!" if $pidfd < 0;
my $own = syscall(438, $pidfd, $fd + 0, 0); die "pidfd_getfd: $!" if $own < 0;
open(my $socket, '+<&=', $own) or die "open: $!";
$SIG{PIPE} = 'IGNORE';
my $line = ('0123456789' x 7) . "\r\n";
my $block = $line x 900;
my ($begun, $bytes) = (time, 0);
while (time - $begun < $seconds && (!defined $most || $bytes < $most)) {
  my $taken = syswrite($socket, $block);
  if (!defined $taken) {
    last unless $!{EAGAIN};
    my $ready = '';
    vec($ready, fileno($socket), 1) = 1;
    select(undef, $ready, undef, 0.1);
    next;
  }
  $bytes += $taken;
}
printf "%d\n", $bytes / (time - $begun + 0.001);
