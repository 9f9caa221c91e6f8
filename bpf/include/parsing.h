/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A cursor over the packet. Parsers move it and return what comes next, or -1 and leave it. */
#pragma once
#include <linux/types.h>
#include <linux/if_ether.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "consts.h"

struct cursor {
  void *at;
  void *end;
};

struct vlan_header {
  __be16 tci;
  __be16 next_proto;
};

/* EtherType in host order, VLAN tags passed over. */
static __always_inline int parse_ethernet(struct cursor *c) {
  struct ethhdr *eth = c->at;
  if ((void *)(eth + 1) > c->end) return -1;
  void *at = eth + 1;
  __u16 proto = bpf_ntohs(eth->h_proto);
#pragma unroll
  for (int i = 0; i < MAX_VLAN_DEPTH; i++) {
    if (proto != ETH_P_8021Q && proto != ETH_P_8021AD) break;
    struct vlan_header *vlan = at;
    if ((void *)(vlan + 1) > c->end) return -1;
    proto = bpf_ntohs(vlan->next_proto);
    at = vlan + 1;
  }
  c->at = at;
  return proto;
}
