/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Runs another XDP program with a packet from ever another source, for BPF_PROG_TEST_RUN, which
 * else repeats one packet that is in every cache. The sources are shuffled already; walked through
 * in their order they cost this program next to nothing.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#define SOURCES_MAX (1 << 20)

struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 1);
  __uint(key_size, sizeof(__u32));
  __uint(value_size, sizeof(__u32));
} measured SEC(".maps");

/* Value 0 of `walk`: the place of the next source; value 1: how many there are. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, __u64);
} walk SEC(".maps");

/* In network order. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, SOURCES_MAX);
  __type(key, __u32);
  __type(value, __u64);
} sources SEC(".maps");

SEC("xdp")
int look_up(struct xdp_md *ctx) {
  struct ethhdr *eth = (void *)(long)ctx->data;
  struct iphdr *ip = (void *)(eth + 1);
  if ((void *)(ip + 1) > (void *)(long)ctx->data_end) return XDP_ABORTED;
  __u32 first = 0, second = 1;
  __u64 *next = bpf_map_lookup_elem(&walk, &first);
  __u64 *count = bpf_map_lookup_elem(&walk, &second);
  if (!next || !count) return XDP_ABORTED;
  __u32 place = *next;
  *next = place + 1 < *count ? place + 1 : 0;
  __u64 *source = bpf_map_lookup_elem(&sources, &place);
  if (!source) return XDP_ABORTED;
  ip->saddr = *source;
  bpf_tail_call(ctx, &measured, 0);
  return XDP_ABORTED;
}
