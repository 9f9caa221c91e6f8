/* SPDX-License-Identifier: MIT */
/*
 * The service behind the filter, and its honest clients.
 *
 *   legit serve PORT                      echoes UDP, swallows TCP; each line on stdin is answered
 *                                         with "<bytes of TCP> <monotonic ns>"; ends with stdin
 *   legit udp ADDRESS PORT RATE SECONDS   sends RATE datagrams a second; prints one JSON line
 *                                         {"sent":n,"received":n,"rttNs":[...]}
 *   legit tcp ADDRESS PORT MBIT SECONDS   connects, says "connected", then writes so many Mbit/s
 *
 * Round trips are by the monotonic clock, from before sendto to after recv.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000ull
#define STRAGGLERS_NS (500 * 1000000ull)
#define TCP_TICK_NS 1000000ull
#define CONNECT_PATIENCE_MS 5000
#define CLIENTS_MAX 8
#define SECONDS_MAX 60

static void die(const char *what) {
  perror(what);
  exit(1);
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void wait_readable(int fd, uint64_t until_ns) {
  uint64_t now = now_ns();
  uint64_t left = until_ns > now ? until_ns - now : 0;
  struct timespec timeout = {.tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S};
  struct pollfd watched = {.fd = fd, .events = POLLIN};
  ppoll(&watched, 1, &timeout, NULL);
}

static struct sockaddr_in address_of(const char *text, const char *port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
  if (inet_pton(AF_INET, text, &to.sin_addr) != 1) die(text);
  return to;
}

static int open_socket(int type, int port) {
  int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  int one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
  if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) die("bind");
  return fd;
}

/* ---- serve ---------------------------------------------------------------------------------- */

static void echo_all(int fd) {
  char data[2048];
  struct sockaddr_in from;
  for (;;) {
    socklen_t length = sizeof(from);
    ssize_t n = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from, &length);
    if (n < 0) return;
    sendto(fd, data, n, 0, (struct sockaddr *)&from, length);
  }
}

/* Adds what came to *bytes; 0 when the connection has ended. */
static int swallow(int fd, uint64_t *bytes) {
  static char data[256 * 1024];
  for (;;) {
    ssize_t n = read(fd, data, sizeof(data));
    if (n > 0) *bytes += n;
    if (n == 0) return 0;
    if (n < 0) return errno == EAGAIN || errno == EINTR;
  }
}

static void serve(int port) {
  struct pollfd fds[3 + CLIENTS_MAX];
  fds[0] = (struct pollfd){.fd = 0, .events = POLLIN};
  fds[1] = (struct pollfd){.fd = open_socket(SOCK_DGRAM, port), .events = POLLIN};
  fds[2] = (struct pollfd){.fd = open_socket(SOCK_STREAM, port), .events = POLLIN};
  if (listen(fds[2].fd, CLIENTS_MAX) < 0) die("listen");
  int count = 3;
  uint64_t bytes = 0;
  puts("ready");
  fflush(stdout);
  for (;;) {
    if (poll(fds, count, -1) < 0 && errno != EINTR) die("poll");
    if (fds[1].revents) echo_all(fds[1].fd);
    for (int i = count - 1; i >= 3; i--) {
      if (!fds[i].revents || swallow(fds[i].fd, &bytes)) continue;
      close(fds[i].fd);
      fds[i] = fds[--count];
    }
    if (fds[2].revents && count < 3 + CLIENTS_MAX) {
      int client = accept4(fds[2].fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (client >= 0) fds[count++] = (struct pollfd){.fd = client, .events = POLLIN};
    }
    if (fds[0].revents) {
      char asked[256];
      ssize_t n = read(0, asked, sizeof(asked));
      if (n <= 0) return;
      for (ssize_t i = 0; i < n; i++) {
        if (asked[i] == '\n')
          printf("%llu %llu\n", (unsigned long long)bytes, (unsigned long long)now_ns());
      }
      fflush(stdout);
    }
  }
}

/* ---- udp ------------------------------------------------------------------------------------ */

struct probe {
  uint64_t seq;
  uint64_t sent_ns;
};

static void report(const uint64_t *rtt_ns, uint64_t sent) {
  uint64_t received = 0;
  printf("{\"sent\":%llu,\"rttNs\":[", (unsigned long long)sent);
  for (uint64_t i = 0; i < sent; i++) {
    if (!rtt_ns[i]) continue;
    printf("%s%llu", received++ ? "," : "", (unsigned long long)rtt_ns[i]);
  }
  printf("],\"received\":%llu}\n", (unsigned long long)received);
}

static void udp(struct sockaddr_in to, int rate, int seconds) {
  uint64_t probes = (uint64_t)rate * seconds;
  uint64_t *rtt_ns = calloc(probes, sizeof(*rtt_ns));
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (!rtt_ns || fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) die("udp");
  uint64_t gap_ns = NS_PER_S / rate, next_ns = now_ns() + gap_ns, sent = 0;
  uint64_t end_ns = next_ns + probes * gap_ns + STRAGGLERS_NS;
  while (now_ns() < end_ns) {
    wait_readable(fd, sent < probes ? next_ns : end_ns);
    struct probe probe;
    while (recv(fd, &probe, sizeof(probe), 0) == sizeof(probe)) {
      if (probe.seq < sent) rtt_ns[probe.seq] = now_ns() - probe.sent_ns;
    }
    for (; sent < probes && now_ns() >= next_ns; next_ns += gap_ns) {
      probe = (struct probe){.seq = sent++, .sent_ns = now_ns()};
      send(fd, &probe, sizeof(probe), 0);
    }
  }
  report(rtt_ns, sent);
}

/* ---- tcp ------------------------------------------------------------------------------------ */

static void tcp(struct sockaddr_in to, int mbit, int seconds) {
  static char data[256 * 1024];
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  connect(fd, (struct sockaddr *)&to, sizeof(to));
  struct pollfd connecting = {.fd = fd, .events = POLLOUT};
  int error = 0;
  socklen_t length = sizeof(error);
  if (poll(&connecting, 1, CONNECT_PATIENCE_MS) != 1 ||
      getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0 || error) {
    puts("refused");
    return;
  }
  puts("connected");
  fflush(stdout);
  uint64_t began_ns = now_ns(), end_ns = began_ns + seconds * NS_PER_S, written = 0;
  for (uint64_t now = began_ns; now < end_ns; now = now_ns()) {
    uint64_t due = (now - began_ns) * mbit / 8000; /* bytes: ns × Mbit/s ÷ 8 ÷ 1000 */
    while (written < due) {
      uint64_t want = due - written < sizeof(data) ? due - written : sizeof(data);
      ssize_t n = write(fd, data, want);
      if (n <= 0) break;
      written += n;
    }
    /* What the socket did not take is not asked for again: the pace is kept, not made up for. */
    if (written < due) written = due;
    struct timespec tick = {.tv_nsec = TCP_TICK_NS};
    nanosleep(&tick, NULL);
  }
  _exit(0); /* no farewell that the flood could hold up */
}

int main(int argc, char **argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signal(SIGPIPE, SIG_IGN);
  if (argc == 3 && !strcmp(argv[1], "serve")) {
    serve(atoi(argv[2]));
    return 0;
  }
  int pace = argc == 6 ? atoi(argv[4]) : 0;
  int seconds = argc == 6 ? atoi(argv[5]) : 0;
  if (pace < 1 || seconds < 1 || seconds > SECONDS_MAX) {
    fprintf(stderr, "usage: legit serve PORT | udp|tcp ADDRESS PORT PACE SECONDS\n");
    return 2;
  }
  struct sockaddr_in to = address_of(argv[2], argv[3]);
  if (!strcmp(argv[1], "udp")) udp(to, pace, seconds);
  if (!strcmp(argv[1], "tcp")) tcp(to, pace, seconds);
  return 0;
}
