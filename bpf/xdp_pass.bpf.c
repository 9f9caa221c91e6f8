/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Lets everything pass. A lab's routers have it at the other end of each edge's uplink: what an XDP
 * program sends back over a veth (XDP_TX) is only taken there if an XDP program is (veth_xdp_flush
 * in drivers/net/veth.c).
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

SEC("xdp")
int xdp_pass(struct xdp_md *ctx) {
  (void)ctx;
  return XDP_PASS;
}
