// SPDX-License-Identifier: Apache-2.0
/*
 * load - one TCP load, one number.
 *
 *   load server ADDRESS PORT            serves all three modes until killed
 *   load rr     ADDRESS PORT SECONDS    one-byte request and response on one connection: transactions/s
 *   load crr    ADDRESS PORT SECONDS    connect, one-byte request and response, close: transactions/s
 *   load connect ADDRESS PORT SECONDS   connect and close: microseconds that connect() takes, the median
 *   load stream ADDRESS PORT SECONDS    one connection, one way: Mbit/s
 *
 * Client and server pin themselves to the CPU named by LOAD_CPU when set: a
 * wake-up across CPUs costs more here than what is being measured.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define STREAM_CHUNK (128 * 1024)
#define MODE_ECHO 'e'
#define MODE_SINK 's'

static char chunk[STREAM_CHUNK];

static void fail(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void pin(void)
{
	const char *cpu = getenv("LOAD_CPU");
	cpu_set_t set;

	if (!cpu)
		return;
	CPU_ZERO(&set);
	CPU_SET(atoi(cpu), &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		fail("sched_setaffinity");
}

static struct sockaddr_in address_of(const char *address, const char *port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };

	if (inet_pton(AF_INET, address, &sin.sin_addr) != 1)
		fail("address");
	return sin;
}

static int connect_to(const struct sockaddr_in *sin)
{
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fail("socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (const struct sockaddr *)sin, sizeof(*sin)))
		fail("connect");
	return fd;
}

static void exchange(int fd, char byte)
{
	char answer;

	if (write(fd, &byte, 1) != 1)
		fail("write");
	if (read(fd, &answer, 1) != 1)
		fail("read");
}

/* The first byte of a connection names what the server does with the rest. */
__attribute__((noreturn)) static void serve(const struct sockaddr_in *sin)
{
	struct epoll_event events[64], event;
	int one = 1, epoll = epoll_create1(EPOLL_CLOEXEC);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (const struct sockaddr *)sin, sizeof(*sin)) || listen(listener, 1024))
		fail("listen");
	event = (struct epoll_event){ .events = EPOLLIN, .data.fd = listener };
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
	puts("ready");
	fflush(stdout);
	for (;;) {
		int count = epoll_wait(epoll, events, 64, -1);

		for (int i = 0; i < count; i++) {
			int fd = events[i].data.fd;

			if (fd == listener) {
				fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
				if (fd < 0)
					continue;
				setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
				event = (struct epoll_event){ .events = EPOLLIN, .data.fd = fd };
				epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
				continue;
			}
			ssize_t got = read(fd, chunk, sizeof(chunk));

			if (got <= 0) {
				close(fd);
				continue;
			}
			if (got == 1 && chunk[0] == MODE_ECHO && write(fd, chunk, 1) != 1)
				close(fd);
		}
	}
}

static double rr(const struct sockaddr_in *sin, double seconds)
{
	int fd = connect_to(sin);
	double start = now_s();
	long done = 0;

	do {
		exchange(fd, MODE_ECHO);
		done++;
	} while ((done & 63) || now_s() - start < seconds);
	return done / (now_s() - start);
}

/* RST on close: TIME_WAIT would run out of ports, not of speed. */
static void reset(int fd)
{
	struct linger hard = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(fd);
}

static int by_size(const void *a, const void *b)
{
	return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static double connect_us(const struct sockaddr_in *sin, double seconds)
{
	static double took[1 << 20];
	double start = now_s();
	size_t done = 0;

	do {
		double before;
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0)
			fail("socket");
		before = now_s();
		if (connect(fd, (const struct sockaddr *)sin, sizeof(*sin)))
			fail("connect");
		took[done++] = now_s() - before;
		reset(fd);
	} while (done < sizeof(took) / sizeof(*took) && now_s() - start < seconds);
	qsort(took, done, sizeof(*took), by_size);
	return took[done / 2] * 1e6;
}

static double crr(const struct sockaddr_in *sin, double seconds)
{
	double start = now_s();
	long done = 0;

	do {
		int fd = connect_to(sin);

		exchange(fd, MODE_ECHO);
		reset(fd);
		done++;
	} while (now_s() - start < seconds);
	return done / (now_s() - start);
}

static double stream(const struct sockaddr_in *sin, double seconds)
{
	int fd = connect_to(sin);
	double start = now_s(), bytes = 0;

	memset(chunk, MODE_SINK, sizeof(chunk));
	do {
		ssize_t sent = write(fd, chunk, sizeof(chunk));

		if (sent < 0)
			fail("write");
		bytes += sent;
	} while (now_s() - start < seconds);
	return bytes * 8 / 1e6 / (now_s() - start);
}

int main(int argc, char **argv)
{
	struct sockaddr_in sin;
	double seconds;

	signal(SIGPIPE, SIG_IGN);
	if (argc < 4)
		return fprintf(stderr, "usage: load server|rr|crr|connect|stream ADDRESS PORT [SECONDS]\n"), 2;
	pin();
	sin = address_of(argv[2], argv[3]);
	seconds = argc > 4 ? atof(argv[4]) : 1;
	if (!strcmp(argv[1], "server"))
		serve(&sin);
	if (!strcmp(argv[1], "rr"))
		printf("%.1f\n", rr(&sin, seconds));
	else if (!strcmp(argv[1], "crr"))
		printf("%.1f\n", crr(&sin, seconds));
	else if (!strcmp(argv[1], "connect"))
		printf("%.2f\n", connect_us(&sin, seconds));
	else if (!strcmp(argv[1], "stream"))
		printf("%.1f\n", stream(&sin, seconds));
	else
		return fprintf(stderr, "load: unknown mode %s\n", argv[1]), 2;
	return 0;
}
