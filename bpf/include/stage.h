/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What stages share: a stage takes the packet and returns the reason to drop it, or STAGE_GO_ON. */
#pragma once
#include <bpf/bpf_endian.h>

#include "consts.h"
#include "parsing.h"
#include "set4.h"
#include "set6.h"

/* What the stages found besides a reason to drop. */
struct findings {
  __u32 shadow;         /* bit 1 << REASON_SHADOW_*: would have been dropped for it */
  __u32 rule_id;        /* of REASON_DROP_RULE */
  __u32 shadow_rule_id; /* of REASON_SHADOW_RULE */
};

#define NO_RULE (~0u)

/* `family` is a constant everywhere, so that each has code of its own. */
static __always_inline bool source_in(enum prefix_set set, const struct packet *p, int family) {
  /* The small sets are asked by /16 first: their words stay in the cache. */
  bool by_sixteens = set == SET_FAILSAFE || set == SET_ALLOW;
  if (family == 4) return set4_has(set, bpf_ntohl(p->source[0]), by_sixteens);
  /* An absent set costs this look-up, which is inline, and not a call. */
  __u32 which = set;
  if (!bpf_map_lookup_elem(&sets6, &which)) return false;
  struct set6_key key = {
      .high = (__u64)bpf_ntohl(p->source[0]) << 32 | bpf_ntohl(p->source[1]),
      .low = (__u64)bpf_ntohl(p->source[2]) << 32 | bpf_ntohl(p->source[3]),
  };
  return set6_has(set, &key);
}
