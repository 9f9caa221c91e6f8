/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The one XDP program of an interface: its stages in their order. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "parsing.h"
#include "stage_count.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

SEC("xdp")
int aether_root(struct xdp_md *ctx) {
  struct cursor c = {.at = (void *)(long)ctx->data, .end = (void *)(long)ctx->data_end};
  __u64 bytes = c.end - c.at;
  int ether_type = parse_ethernet(&c);

  int verdict = stage_count(ether_type, bytes);
  return verdict == STAGE_GO_ON ? XDP_PASS : verdict;
}
