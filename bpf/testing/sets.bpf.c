/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Asks the sets, for tests: a frame holds an address in host order, the verdict says what they
 * hold. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "set4.h"
#include "set6.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* Offset of the address in the frame; the Ethernet header is left alone. */
#define ADDRESS_AT 16

SEC("xdp")
int ask4(struct xdp_md *ctx) {
  void *data = (void *)(long)ctx->data;
  __u32 *address = data + ADDRESS_AT;
  if ((void *)(address + 1) > (void *)(long)ctx->data_end) return XDP_ABORTED;
  bool quick = set4_has(SET_BLOCK, *address, true);
  /* Both ways of asking must say the same. */
  if (quick != set4_has(SET_BLOCK, *address, false)) return XDP_ABORTED;
  return quick ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int ask6(struct xdp_md *ctx) {
  void *data = (void *)(long)ctx->data;
  struct set6_key *address = data + ADDRESS_AT;
  if ((void *)(address + 1) > (void *)(long)ctx->data_end) return XDP_ABORTED;
  struct set6_key key = *address;
  return set6_has(SET_BLOCK, &key) ? XDP_DROP : XDP_PASS;
}
