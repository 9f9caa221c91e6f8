/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What no filter can be cheaper than. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct count {
  __u64 packets;
  __u64 bytes;
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct count);
} counts SEC(".maps");

SEC("xdp")
int bare_drop(struct xdp_md *ctx) {
  (void)ctx;
  return XDP_DROP;
}

/* IPv4 and nothing else: 1 where the packet is one. Counts it. */
static __always_inline int parse_and_count(struct xdp_md *ctx) {
  void *end = (void *)(long)ctx->data_end;
  struct ethhdr *eth = (void *)(long)ctx->data;
  struct iphdr *ip = (void *)(eth + 1);
  if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->ihl < 5) return 0;
  __u32 zero = 0;
  struct count *count = bpf_map_lookup_elem(&counts, &zero);
  if (!count) return 0;
  count->packets++;
  count->bytes += end - (void *)eth;
  return 1;
}

/* The base of the ratios: every IPv4 packet parsed, counted, dropped. */
SEC("xdp")
int count_drop(struct xdp_md *ctx) {
  return parse_and_count(ctx) ? XDP_DROP : XDP_PASS;
}

/* The same for what is let through. */
SEC("xdp")
int count_pass(struct xdp_md *ctx) {
  parse_and_count(ctx);
  return XDP_PASS;
}
