/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Stage: count what enters. Has no verdict. */
#pragma once
#include <linux/if_ether.h>

#include "consts.h"
#include "maps.h"

static __always_inline int stage_count(int ether_type, __u64 bytes) {
  __u32 reason =
      ether_type == ETH_P_IP || ether_type == ETH_P_IPV6 ? REASON_PASS : REASON_PASS_NOT_IP;
  struct counter *counter = bpf_map_lookup_elem(&counters, &reason);
  if (counter) {
    counter->packets++;
    counter->bytes += bytes;
  }
  return STAGE_GO_ON;
}
