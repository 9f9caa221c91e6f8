/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Stage: the clock of the latency tracker. Whole flows are chosen by their hash. Of a chosen flow
 * the filter's own time is taken, and what passes gets a stamp for the tc hook (latency.bpf.c).
 *
 * GRO merges no packets whose metadata differ, and a packet with other metadata than the one it
 * holds back overtakes that. So of TCP only what opens a connection is stamped: GRO never holds it.
 */
#pragma once
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_helpers.h>

#include "latency.h"
#include "parsing.h"

/* How long the filter took, of some chosen flows, whatever it decided. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct latency_histogram);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} latency_run SEC(".maps");

#define LATENCY_TCP_SYN 2

/* All packets of a flow have one hash; those of its fragments lack ports, so they count as another.
 */
static __always_inline __u32 latency_flow_hash(const struct packet *p) {
  __u64 hash = (__u64)p->source[0] << 32 | p->destination[0];
  if (p->family == 6) {
    hash ^= ((__u64)p->source[1] << 32 | p->source[2]) * 0x9e3779b97f4a7c15;
    hash ^= ((__u64)p->destination[1] << 32 | p->destination[2]) * 0xc2b2ae3d27d4eb4f;
    hash ^= ((__u64)p->source[3] << 32 | p->destination[3]) * 0xff51afd7ed558ccd;
  }
  hash *= 0x9e3779b97f4a7c15;
  hash ^= hash >> 32;
  hash += p->protocol;
  if ((p->has & (RULE_SOURCE_PORT | RULE_FRAGMENT)) == RULE_SOURCE_PORT)
    hash += (__u64)p->source_port << 32 | (__u32)p->destination_port << 16;
  hash *= 0xc2b2ae3d27d4eb4f;
  return hash >> 32;
}

static __always_inline bool latency_is_stampable(const struct packet *p) {
  if (p->protocol != IPPROTO_TCP) return true;
  return p->has & RULE_TCP_FLAGS && p->tcp_flags & LATENCY_TCP_SYN;
}

/* Reading the clock is most of what tracking costs: the filter itself is timed for fewer flows. */
#define LATENCY_RUN_ONE_IN 4

/* What is to be done with a packet, above 62 bits of the bpf_ktime_get_ns() at which it began. */
#define LATENCY_STAMPABLE (1ull << 63)
#define LATENCY_TIMED (1ull << 62)
#define LATENCY_CLOCK (LATENCY_TIMED - 1)

/* 0: nothing is to be done with the packet. No more than this has to be kept until the end. */
static __always_inline __u64 latency_begin(__u64 track, const struct packet *p) {
  __u32 hash = latency_flow_hash(p);
  if (hash > (__u32)track) return 0;
  __u64 begin = latency_is_stampable(p) ? LATENCY_STAMPABLE : 0;
  if (hash % LATENCY_RUN_ONE_IN == 0) begin |= LATENCY_TIMED;
  return begin ? begin | bpf_ktime_get_ns() : 0;
}

static __always_inline void latency_record_run(__u64 began_ns) {
  __u32 key = 0;
  struct latency_histogram *run = bpf_map_lookup_elem(&latency_run, &key);
  if (run) latency_record(run, bpf_ktime_get_ns() - began_ns);
}

/*
 * The last thing done with a packet of a chosen flow: pointers into it are void after that. Has no
 * verdict.
 */
static __always_inline int stage_stamp(struct xdp_md *ctx, __u64 begin, int verdict) {
  if (begin & LATENCY_TIMED) latency_record_run(begin & LATENCY_CLOCK);
  if (verdict != XDP_PASS || !(begin & LATENCY_STAMPABLE)) return STAGE_GO_ON;
  /* Some drivers leave no room for metadata. */
  if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(struct latency_stamp))) return STAGE_GO_ON;
  struct latency_stamp *stamp = (void *)(long)ctx->data_meta;
  if ((void *)(stamp + 1) > (void *)(long)ctx->data) return STAGE_GO_ON;
  stamp->magic = LATENCY_MAGIC;
  stamp->ifindex = ctx->ingress_ifindex;
  stamp->at_ns = begin & LATENCY_CLOCK;
  return STAGE_GO_ON;
}
