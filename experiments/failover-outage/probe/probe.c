/* SPDX-License-Identifier: MIT */
/*
 * One UDP packet a millisecond to a service, and who answered it.
 *
 *   probe echo ADDRESS PORT TAG    answers each packet with its sequence and TAG (one character);
 * ADDRESS may come later; ends with stdin probe send ADDRESS PORT        sends until stdin ends;
 * prints "<sequence> <TAG>" whenever another one answers than before, in the end one JSON line
 *                                  {"beganMs":epoch,"sent":n,"lost":[[first,count],...]}
 *                                  of which sequence n was sent n + 1 ms after `beganMs`
 *
 *   probe flood ADDRESS PORT       sends as fast as it can until it is killed, without priority
 *
 * The others run under SCHED_FIFO, so that what is lost is lost on the way. A packet counts as lost
 * when it is not answered within half a second.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000ull
#define TICK_NS 1000000ull
#define STRAGGLERS_TICKS 500
#define SEQUENCES_MAX 600000 /* ten minutes */
#define PRIORITY 50          /* as the pacer of BFD, below the kernel's own threads */

struct message {
  uint32_t sequence;
  char tag;
} __attribute__((packed));

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void be_punctual(void) {
  struct sched_param priority = {.sched_priority = PRIORITY};
  if (sched_setscheduler(0, SCHED_FIFO, &priority) != 0) die("SCHED_FIFO");
  if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) die("mlockall");
}

static struct sockaddr_in address_of(const char *text, const char *port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
  if (inet_pton(AF_INET, text, &to.sin_addr) != 1) die(text);
  return to;
}

static int has_stdin_ended(void) {
  char rest;
  return read(0, &rest, 1) == 0;
}

static int echo(const char *address, const char *port, char tag) {
  struct sockaddr_in own = address_of(address, port), from;
  int fd = socket(AF_INET, SOCK_DGRAM, 0), yes = 1;
  if (setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &yes, sizeof(yes)) != 0) die("IP_FREEBIND");
  if (bind(fd, (struct sockaddr *)&own, sizeof(own)) != 0) die("bind");
  puts("ready");
  struct pollfd watched[2] = {{.fd = fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
  for (;;) {
    if (poll(watched, 2, -1) < 0) die("poll");
    if (watched[1].revents != 0 && has_stdin_ended()) return 0;
    struct message m;
    socklen_t length = sizeof(from);
    ssize_t got = recvfrom(fd, &m, sizeof(m), MSG_DONTWAIT, (struct sockaddr *)&from, &length);
    if (got != sizeof(m)) continue;
    m.tag = tag;
    sendto(fd, &m, sizeof(m), MSG_DONTWAIT, (struct sockaddr *)&from, length);
  }
}

static uint8_t answered[SEQUENCES_MAX];

static void take_answers(int fd, char *last) {
  struct message m;
  for (;;) {
    ssize_t got = recv(fd, &m, sizeof(m), MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    /* An ICMP error that came in is told once; what it is about counts as lost. */
    if (got != sizeof(m) || m.sequence >= SEQUENCES_MAX) continue;
    answered[m.sequence] = 1;
    if (m.tag == *last) continue;
    *last = m.tag;
    printf("%u %c\n", m.sequence, m.tag);
  }
}

static double epoch_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static void tell(double began_ms, uint32_t sent) {
  printf("{\"beganMs\":%.3f,\"sent\":%u,\"lost\":[", began_ms, sent);
  const char *comma = "";
  for (uint32_t i = 0; i < sent; i++) {
    if (answered[i]) continue;
    uint32_t first = i;
    while (i < sent && !answered[i]) i++;
    printf("%s[%u,%u]", comma, first, i - first);
    comma = ",";
  }
  puts("]}");
}

static int send_all(const char *address, const char *port) {
  struct sockaddr_in to = address_of(address, port);
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) die("connect");
  struct timespec next;
  clock_gettime(CLOCK_MONOTONIC, &next);
  double began_ms = epoch_ms();
  char last = 0;
  uint32_t sent = 0, left = STRAGGLERS_TICKS;
  while (left > 0) {
    next.tv_nsec += TICK_NS;
    if (next.tv_nsec >= (long)NS_PER_S) {
      next.tv_nsec -= NS_PER_S;
      next.tv_sec++;
    }
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    take_answers(fd, &last);
    if (left < STRAGGLERS_TICKS || sent == SEQUENCES_MAX || has_stdin_ended()) {
      left--;
      continue;
    }
    struct message m = {.sequence = sent++};
    send(fd, &m, sizeof(m), MSG_DONTWAIT);
  }
  tell(began_ms, sent);
  return 0;
}

static _Noreturn void flood(const char *address, const char *port) {
  struct sockaddr_in to = address_of(address, port);
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) die("connect");
  struct message m = {0};
  for (;;) send(fd, &m, sizeof(m), 0);
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  fcntl(0, F_SETFL, O_NONBLOCK);
  if (argc == 4 && strcmp(argv[1], "flood") == 0) flood(argv[2], argv[3]);
  if (argc < 4) return 2;
  be_punctual();
  if (argc == 5 && strcmp(argv[1], "echo") == 0) return echo(argv[2], argv[3], argv[4][0]);
  if (argc == 4 && strcmp(argv[1], "send") == 0) return send_all(argv[2], argv[3]);
  return 2;
}
