# Says hello to every visitor. Perl is on every Debian.
use strict;
use warnings;
use IO::Socket::INET;

my $server = IO::Socket::INET->new(LocalAddr => "127.0.0.1:$ARGV[0]", Listen => 16, ReuseAddr => 1)
    or die "cannot listen on port $ARGV[0]: $!\n";
while (my $visitor = $server->accept) {
    # What is left unread would cut the connection before the answer is read.
    while (<$visitor>) { last if /^\r?\n$/ }
    print $visitor "HTTP/1.0 200 OK\r\n\r\nhello from $$\n";
    close $visitor;
}
