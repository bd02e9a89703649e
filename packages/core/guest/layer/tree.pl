# tree.pl list TREE: prints what identifies each file of a tree.
# tree.pl commands TREE LIST [FOLDER]: prints the commands of debugfs that make the file system of LIST into that of TREE,
# or only what is below FOLDER.
use strict;
use warnings;
use Time::HiRes qw(lstat);

my ($mode, $tree, $list, $only) = @ARGV;

# What mmdebstrap puts into the tree while it works, and what no image keeps.
my $skipped = qr{^/(?:
    qmpilot-.* | lost\+found | (?:proc|sys|dev|run|tmp)/.*
  | etc/(?:resolv\.conf|hostname|apt/apt\.conf\.d/\d+mmdebstrap|dpkg/dpkg\.cfg\.d/\d+mmdebstrap)
  | var/lib/apt/lists/.* | var/cache/apt/.* | var/log/apt/.*
  | (?:usr/)?sbin/(?:policy-rc\.d|start-stop-daemon(?:\.REAL)?)
)$}x;

my %now;
my $capabilities = 0;
walk('');

if ($mode eq 'list') {
  print "$now{$_}\t$_\n" for sort keys %now;
  exit;
}

my %before;
open my $file, '<', $list or die "$list: $!\n";
while (<$file>) {
  chomp;
  my ($identity, $path) = split /\t/, $_, 2;
  $before{$path} = $identity;
}
my $type = sub { substr $_[0], 0, 1 };
# Deepest first: debugfs removes only empty directories.
for my $path (reverse sort keys %before) {
  next if defined $only and index("$path/", "$only/") != 0;
  my ($old, $new) = ($before{$path}, $now{$path});
  next if defined $new and $new eq $old;
  next if defined $new and $type->($old) eq 'd' and $type->($new) eq 'd';
  print $type->($old) eq 'd' ? 'rmdir ' : 'rm ', quoted($path), "\n";
}
for my $path (sort keys %now) {
  next if defined $only and index("$path/", "$only/") != 0;
  my ($old, $new) = ($before{$path}, $now{$path});
  next if defined $old and $old eq $new;
  add($path, $type->($new), defined $old && $type->($old) eq 'd');
}

sub walk {
  my ($folder) = @_;
  opendir my $handle, "$tree$folder/" or die "$tree$folder: $!\n";
  for my $name (readdir $handle) {
    next if $name eq '.' or $name eq '..';
    my $path = "$folder/$name";
    next if $path =~ $skipped;
    my @stat = lstat "$tree$path" or die "$tree$path: $!\n";
    die "the name of a file has a line end or a tab: $path\n" if $path =~ /[\n\t]/;
    my $kind = -l _ ? 'l' : -d _ ? 'd' : -f _ ? 'f' : -p _ ? 'p' : -b _ ? 'b' : -c _ ? 'c' : next;
    # Moving and changing set the time of the inode, so that even a file of the same size and time is seen.
    my @identity = $kind eq 'd' ? @stat[2, 4, 5] : (@stat[1, 2, 4, 5, 7], map { sprintf '%.6f', $_ } @stat[9, 10]);
    $now{$path} = join ' ', $kind, @identity;
    walk($path) if $kind eq 'd';
  }
}

sub add {
  my ($path, $kind, $exists) = @_;
  my @stat = lstat "$tree$path" or die "$tree$path: $!\n";
  my ($folder, $name) = $path =~ m{^(.*)/([^/]+)$};
  $folder = '/' if $folder eq '';
  print 'cd ', quoted($folder), "\n";
  if ($kind eq 'd') { print 'mkdir ', quoted($name), "\n" unless $exists }
  elsif ($kind eq 'l') { print 'symlink ', quoted($name), ' ', quoted(readlink "$tree$path"), "\n"; }
  elsif ($kind eq 'f') { print 'write ', quoted("$tree$path"), ' ', quoted($name), "\n" }
  elsif ($kind eq 'p') { print 'mknod ', quoted($name), " p\n" }
  else { printf "mknod %s %s %d %d\n", quoted($name), $kind, ($stat[6] >> 8) & 0xfff, $stat[6] & 0xff }
  my $set = sub { print 'set_inode_field ', quoted($path), " $_[0] $_[1]\n" };
  $set->('mode', sprintf '0%o', $stat[2]) if $kind ne 'l';
  $set->('uid', $stat[4]);
  $set->('gid', $stat[5]);
  $set->('mtime', '@' . int $stat[9]);
  capability($path) if $kind eq 'f';
}

# getxattr(2) by its number: Perl has no other way without further packages.
sub capability {
  my ($path) = @_;
  my ($file, $name, $value) = ("$tree$path", 'security.capability', "\0" x 64);
  my $length = syscall 191, $file, $name, $value, 64;
  return if $length <= 0;
  $capabilities += 1;
  my $kept = "$list.capability-$capabilities";
  open my $out, '>', $kept or die "$kept: $!\n";
  print $out substr $value, 0, $length;
  close $out or die "$kept: $!\n";
  print 'ea_set -f ', quoted($kept), ' ', quoted($path), " security.capability\n";
}

sub quoted {
  my ($text) = @_;
  $text =~ s/"/""/g;
  return "\"$text\"";
}
