/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Traffic for the tests of the latency tracker, and the truth about it as user space sees it.
 *
 * - traffic udp ADDRESS PORT FLOWS PACKETS GAP_US: PACKETS from each of FLOWS ports, in turns
 * - traffic serve PORT CONNECTIONS MESSAGES MAX_US: for each message, waits up to MAX_US, reads it,
 *   prints how many ns ago it came (SO_TIMESTAMPNS), answers it
 * - traffic ask ADDRESS PORT CONNECTIONS MESSAGES: sends a message, waits for its answer
 * - traffic drain PORT: reads one connection to its end, prints how many seconds that took
 * - traffic pour ADDRESS PORT MEGABYTES: sends so many through one connection
 *
 * `serve` and `drain` print "ready" when they listen. IPv4. Exit status: 0 all went as said; 1 it
 * did not; 2 usage.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_BYTES 64
#define NS_PER_S 1000000000ll

static char bulk[256 * 1024];

static void must(int ok, const char *what) {
  if (ok) return;
  perror(what);
  exit(1);
}

static void sleep_ns(int64_t ns) {
  struct timespec wait = {.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
  while (nanosleep(&wait, &wait)) {
  }
}

static struct sockaddr_in address_of(const char *host, const char *port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
  must(inet_pton(AF_INET, host, &address.sin_addr) == 1, host);
  return address;
}

static int udp(char **arg) {
  struct sockaddr_in to = address_of(arg[0], arg[1]);
  int flows = atoi(arg[2]), packets = atoi(arg[3]);
  int64_t gap_ns = atoll(arg[4]) * 1000;
  int *sockets = calloc(flows, sizeof(int));
  must(sockets != NULL, "calloc");
  for (int i = 0; i < flows; i++) {
    sockets[i] = socket(AF_INET, SOCK_DGRAM, 0);
    must(sockets[i] >= 0, "socket");
  }
  char message[MESSAGE_BYTES] = {0};
  for (int packet = 0; packet < packets; packet++) {
    for (int i = 0; i < flows; i++) {
      /* Not connected: what ICMP says of the port is nothing to us. */
      ssize_t sent = sendto(sockets[i], message, sizeof(message), 0, (void *)&to, sizeof(to));
      must(sent == sizeof(message), "sendto");
      if (gap_ns) sleep_ns(gap_ns);
    }
  }
  return 0;
}

/* Nearer to 0 more often than to `max_ns`: a tail that is thin, but has waited. */
static int64_t waiting_ns(uint64_t *seed, int64_t max_ns) {
  *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
  double share = (double)(*seed >> 33) / 2147483648.0;
  return (int64_t)(share * share * (double)max_ns);
}

static int64_t ago_ns(struct msghdr *message) {
  struct timespec now, came;
  clock_gettime(CLOCK_REALTIME, &now);
  for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_TIMESTAMPNS) continue;
    memcpy(&came, CMSG_DATA(c), sizeof(came));
    return (now.tv_sec - came.tv_sec) * NS_PER_S + now.tv_nsec - came.tv_nsec;
  }
  return -1;
}

/* Reads one message of that many bytes; how long ago it came, -1 where the kernel did not note it.
 */
static int64_t receive(int peer, size_t bytes) {
  char buffer[MESSAGE_BYTES], control[256];
  struct iovec part = {.iov_base = buffer, .iov_len = bytes};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
  must(recvmsg(peer, &message, 0) == (ssize_t)bytes, "recvmsg");
  return ago_ns(&message);
}

static void answer_all(int peer, int messages, int64_t max_ns, uint64_t seed) {
  for (int i = 0; i < messages; i++) {
    if (max_ns) sleep_ns(waiting_ns(&seed, max_ns));
    int64_t ago = receive(peer, MESSAGE_BYTES);
    must(ago >= 0, "no timestamp");
    char line[32];
    int length = snprintf(line, sizeof(line), "%lld\n", (long long)ago);
    must(write(1, line, length) == length, "write");
    must(send(peer, "", 1, 0) == 1, "send");
  }
}

static int wait_for_all(void) {
  int status, failed = 0;
  while (wait(&status) > 0) failed |= status;
  return failed ? 1 : 0;
}

static int listen_on(const char *port, int backlog) {
  struct sockaddr_in on = address_of("0.0.0.0", port);
  int one = 1;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  must(listener >= 0, "socket");
  must(!setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), "SO_REUSEADDR");
  must(!setsockopt(listener, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)), "SO_TIMESTAMPNS");
  must(!bind(listener, (void *)&on, sizeof(on)), "bind");
  must(!listen(listener, backlog), "listen");
  return listener;
}

static void say_ready(void) {
  must(write(1, "ready\n", 6) == 6, "write");
}

static int connect_to(struct sockaddr_in to) {
  int peer = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  must(peer >= 0, "socket");
  must(!setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), "TCP_NODELAY");
  must(!connect(peer, (void *)&to, sizeof(to)), "connect");
  return peer;
}

/* The kernel begins to note when packets came some time after it was asked to. */
static void await_timestamps(int listener, const char *port) {
  int self = connect_to(address_of("127.0.0.1", port));
  int peer = accept(listener, NULL, NULL);
  must(peer >= 0, "accept");
  do {
    sleep_ns(NS_PER_S / 1000);
    must(send(self, "", 1, 0) == 1, "send");
  } while (receive(peer, 1) < 0);
  close(self);
  close(peer);
}

static int serve(char **arg) {
  int connections = atoi(arg[1]);
  int listener = listen_on(arg[0], connections);
  await_timestamps(listener, arg[0]);
  say_ready();
  for (int i = 0; i < connections; i++) {
    int peer = accept(listener, NULL, NULL);
    must(peer >= 0, "accept");
    if (fork() == 0) {
      answer_all(peer, atoi(arg[2]), atoll(arg[3]) * 1000, i + 1);
      exit(0);
    }
    close(peer);
  }
  return wait_for_all();
}

static void ask_all(struct sockaddr_in to, int messages) {
  int peer = connect_to(to);
  char message[MESSAGE_BYTES] = {0}, answer;
  for (int i = 0; i < messages; i++) {
    must(send(peer, message, sizeof(message), 0) == sizeof(message), "send");
    must(recv(peer, &answer, 1, 0) == 1, "recv");
  }
}

static int ask(char **arg) {
  struct sockaddr_in to = address_of(arg[0], arg[1]);
  for (int i = 0; i < atoi(arg[2]); i++) {
    if (fork() == 0) {
      ask_all(to, atoi(arg[3]));
      exit(0);
    }
  }
  return wait_for_all();
}

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static int drain(char **arg) {
  int listener = listen_on(arg[0], 1);
  say_ready();
  int peer = accept(listener, NULL, NULL);
  must(peer >= 0, "accept");
  int64_t began = now_ns();
  ssize_t got;
  while ((got = recv(peer, bulk, sizeof(bulk), 0)) > 0) {
  }
  must(got == 0, "recv");
  printf("%.6f\n", (double)(now_ns() - began) / 1e9);
  return 0;
}

static int pour(char **arg) {
  int peer = connect_to(address_of(arg[0], arg[1]));
  for (int64_t left = atoll(arg[2]) * 1000000; left > 0;) {
    ssize_t sent = send(peer, bulk, left < (int64_t)sizeof(bulk) ? left : (int64_t)sizeof(bulk), 0);
    must(sent > 0, "send");
    left -= sent;
  }
  return 0;
}

int main(int count, char **arg) {
  const char *job = count > 1 ? arg[1] : "";
  if (!strcmp(job, "udp") && count == 7) return udp(arg + 2);
  if (!strcmp(job, "serve") && count == 6) return serve(arg + 2);
  if (!strcmp(job, "ask") && count == 6) return ask(arg + 2);
  if (!strcmp(job, "drain") && count == 3) return drain(arg + 2);
  if (!strcmp(job, "pour") && count == 5) return pour(arg + 2);
  fputs("usage: traffic udp|serve|ask|drain|pour ...: see the head of traffic.c\n", stderr);
  return 2;
}
