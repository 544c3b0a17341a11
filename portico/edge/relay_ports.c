/*
 * Loaded into coturn (LD_PRELOAD) where no packet filter limits its relay: from ports of the relay it sends to ports of
 * media only. coturn knows no ports of peers, and sends all UDP by sendto(2) or, on sockets of clients, by send(2).
 *
 * Build: cc -shared -fPIC -O2 -o relay-ports.so relay_ports.c
 * Both ranges are given in the environment, as LOW-HIGH; a program without them ends at once.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RELAY_PORTS "RELAY_PORTS"
#define MEDIA_PORTS "MEDIA_PORTS"
#define EXIT_MISCONFIGURED 78

struct range {
	unsigned low, high;
};

static struct range relay, media;

static struct range read_range(const char *name)
{
	struct range found = {0, 0};
	const char *text = getenv(name);

	if (text == NULL || sscanf(text, "%5u-%5u", &found.low, &found.high) != 2)
		_exit(EXIT_MISCONFIGURED);
	return found;
}

__attribute__((constructor)) static void read_ranges(void)
{
	relay = read_range(RELAY_PORTS);
	media = read_range(MEDIA_PORTS);
}

/* Port of an address; 0 for another family than IPv4 and IPv6, which is in no range. */
static unsigned port_of(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)address)->sin_port);
	if (address->sa_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)address)->sin6_port);
	return 0;
}

static int is_in(struct range ports, unsigned port)
{
	return ports.low <= port && port <= ports.high;
}

/* Whether a socket has a port of the relay; also where that cannot be found out. */
static int is_of_relay(int socket)
{
	struct sockaddr_storage own = {0};
	socklen_t length = sizeof(own);

	return getsockname(socket, (struct sockaddr *)&own, &length) != 0 || is_in(relay, port_of((struct sockaddr *)&own));
}

ssize_t sendto(int socket, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t to_size)
{
	/* Dropped as a packet filter would: the caller is not informed. */
	if (to != NULL && !is_in(media, port_of(to)) && is_of_relay(socket))
		return (ssize_t)size;
	return syscall(SYS_sendto, socket, data, size, flags, to, to_size);
}
