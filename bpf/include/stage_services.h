/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Stage: what passes to a service address is counted, so that a drain can tell when nothing comes
 * any more. A global function that finds the destination once more: whoever has no services keeps
 * no register for it.
 */
#pragma once
#include "account.h"
#include "parsing.h"

static __always_inline void count_at(struct xdp_md *ctx, struct counter *counter) {
  if (!counter) return;
  counter->packets++;
  counter->bytes += frame_length(ctx);
}

__noinline int stage_services(struct xdp_md *ctx) {
  struct cursor c = {.at = (void *)(long)ctx->data, .end = (void *)(long)ctx->data_end};
  __be16 proto = parse_ethernet(&c);
  if (proto == bpf_htons(ETH_P_IP)) {
    struct iphdr *ip = c.at;
    if ((void *)(ip + 1) > c.end) return STAGE_GO_ON;
    __u32 key = ip->daddr;
    count_at(ctx, bpf_map_lookup_elem(&services4, &key));
  } else if (proto == bpf_htons(ETH_P_IPV6)) {
    struct ipv6hdr *ip = c.at;
    if ((void *)(ip + 1) > c.end) return STAGE_GO_ON;
    struct service6_key key;
    __builtin_memcpy(&key, &ip->daddr, sizeof(key));
    count_at(ctx, bpf_map_lookup_elem(&services6, &key));
  }
  return STAGE_GO_ON;
}
