# Stand-in for a Runner.Listener with jobs queued behind the running one, which loses no time: in the moment in which a job ends it asks for the
# next, and is given it. Usage: perl impatient-listener.pl FOLDER
# FOLDER/jobs is how many there are, each line of FOLDER/asked one that it was given, and FOLDER/end ends the one that runs.
use strict;
use warnings;

my ($folder) = @ARGV;
$0 = 'Runner.Listener';
$SIG{INT} = sub { exit 0 };
$| = 1;
print "Listening for Jobs\n";

open(my $jobs, '<', "$folder/jobs") or die;
open(my $asked, '>>', "$folder/asked") or die;
for (1 .. <$jobs>) {
  syswrite($asked, "asked\n");
  my $worker = fork();
  if ($worker == 0) {
    $0 = 'Runner.Worker';
    until (unlink("$folder/end")) { select(undef, undef, undef, 0.02) }
    exit 0;
  }
  waitpid($worker, 0);
}
sleep 1 while 1;
