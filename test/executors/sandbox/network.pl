# The network, and other ways to talk to who is outside.

sub connected {
  my ($address, $kind) = @_;
  socket my $socket, sockaddr_family($address), $kind // SOCK_STREAM, 0 or return;
  connect $socket, $address or return;
  syswrite $socket, 'hello' if defined $kind;
  vec(my $readable = '', fileno $socket, 1) = 1;
  select $readable, undef, undef, 3 or return;
  sysread $socket, my $text, 99;
  return defined $text && $text =~ /leak/ ? 'got an answer' : undef;
}

provable 'a server on the loopback interface', 'port', sub { connected(pack_sockaddr_in($bait{port}, INADDR_LOOPBACK)) };
provable 'a server on the loopback interface, over IPv6', 'port6', sub {
  connected(pack_sockaddr_in6($bait{port6} // 1, Socket::IN6ADDR_LOOPBACK()));
};
provable 'a server on the loopback interface, over UDP', 'udp', sub {
  connected(pack_sockaddr_in($bait{udp}, INADDR_LOOPBACK), SOCK_DGRAM);
};
provable 'an abstract socket', 'abstract', sub { connected(pack_sockaddr_un("\0$bait{abstract}")) };
provable 'a socket in a folder of the machine', 'socket', sub { connected(pack_sockaddr_un($bait{socket})) };
attempt 'the socket of a Docker daemon', sub {
  any_of(map { my $path = $_; sub { socket my $s, AF_UNIX, SOCK_STREAM, 0; connect($s, pack_sockaddr_un($path)) ? $path : undef } }
    '/var/run/docker.sock', '/run/docker.sock', '/run/containerd/containerd.sock', '/run/podman/podman.sock', $bait{docker} || ());
};
# To connect a datagram socket asks for a route, and sends nothing. The addresses are of RFC 5737 and RFC 3849.
attempt 'a route that leads anywhere', sub {
  any_of(
    sub { socket my $s, AF_INET, SOCK_DGRAM, 0; connect($s, pack_sockaddr_in(9, inet_aton('192.0.2.1'))) ? 'IPv4' : undef },
    sub { socket my $s, AF_INET6, SOCK_DGRAM, 0; connect($s, pack_sockaddr_in6(9, Socket::inet_pton(AF_INET6, '2001:db8::1'))) ? 'IPv6' : undef },
  );
};
attempt 'the name servers of the machine', sub {
  any_of(map { my $server = inet_aton($_); sub { connected(pack_sockaddr_in(53, $server)) } }
    grep { /^[\d.]+$/ } '127.0.0.11', '127.0.0.53', split /,/, $bait{nameservers} // '');
};
attempt 'the address of a name', sub { my $address = gethostbyname 'example.com'; defined $address ? inet_ntoa($address) : undef };
attempt 'raw sockets', sub { any_of(map { my $protocol = $_; sub { socket(my $s, AF_INET, SOCK_RAW, $protocol) ? "protocol $protocol" : undef } } 1, 6, 255) };
# Those that a network namespace confines: AF_UNIX, AF_INET, AF_INET6, AF_NETLINK.
attempt 'sockets of a family that no network namespace confines', sub {
  any_of(map { my $family = $_; sub { any_of(map { my $kind = $_; sub { socket(my $s, $family, $kind, 0) ? "family $family" : undef } } 1 .. 5) } }
    grep { !/^(1|2|10|16)$/ } 0 .. 46);
};
attempt 'another address for the loopback interface', sub {
  socket my $socket, AF_INET, SOCK_DGRAM, 0;
  my $request = pack 'a16 a16', 'lo', pack_sockaddr_in(0, inet_aton('10.0.0.1'));
  ioctl($socket, 0x8916, $request) ? 'it was set' : undef; # SIOCSIFADDR
};
attempt 'another interface', sub {
  socket my $socket, 16, SOCK_RAW, 0 or return; # AF_NETLINK, NETLINK_ROUTE
  # RTM_NEWLINK, NLM_F_REQUEST|ACK|CREATE: struct nlmsghdr, struct ifinfomsg, IFLA_LINKINFO with IFLA_INFO_KIND "dummy"
  my $kind = pack 'S S a8', 9, 1, 'dummy';
  my $body = pack('C x S l L L', 0, 0, 0, 0, 0) . pack('S S', 4 + length $kind, 18) . $kind;
  syswrite $socket, pack('L S S L L', 16 + length $body, 16, 0x405, 1, 0) . $body;
  sysread $socket, my $answer, 999;
  my $error = unpack 'x16 l', $answer;
  $! = -$error;
  return $error == 0 ? 'made' : undef;
};
provable 'System V shared memory of the machine', 'shm', sub { defined(my $id = shmget $bait{shm}, 0, 0) ? 'found' : undef };
provable 'a message queue of the machine', 'queue', sub { call('mq_open', $bait{queue}, O_RDONLY, 0, 0) };
attempt 'servers, shared memory and files of another build', sub { any_of(
  sub { connected(pack_sockaddr_in(4711, INADDR_LOOPBACK)) },
  sub { connected(pack_sockaddr_un("\0neighbour")) },
  sub { defined(my $id = shmget 4711, 0, 0) ? 'shared memory' : undef },
  map { my $path = $_; sub { leak($path) } } '/tmp/neighbour', '/dev/shm/neighbour', '/build/neighbour', '/out/neighbour',
) };
