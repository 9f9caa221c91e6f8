/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Stage: what is dropped by its shape, whoever sent it (a spoofed flood has no source). The first
 * rule that enforces decides; rules that only count are noted on the way.
 */
#pragma once
#include "maps.h"
#include "stage.h"

#define RULE_FIELDS                                                                            \
  (RULE_DESTINATION | RULE_PROTOCOL | RULE_SOURCE_PORT | RULE_DESTINATION_PORT | RULE_LENGTH | \
   RULE_TCP_FLAGS | RULE_FRAGMENT)

static __always_inline bool within(__u32 value, __u32 min, __u32 max) {
  return value >= min && value <= max;
}

static __always_inline bool destination_matches(const struct shape_rule *rule,
                                                const struct packet *p) {
  const __u32 *want = (const __u32 *)rule->destination;
  const __u32 *mask = (const __u32 *)rule->destination_mask;
  __u32 differs = (p->destination[0] & mask[0]) ^ want[0];
  if (p->family == 4) return !differs;
  differs |= (p->destination[1] & mask[1]) ^ want[1];
  differs |= (p->destination[2] & mask[2]) ^ want[2];
  differs |= (p->destination[3] & mask[3]) ^ want[3];
  return !differs;
}

static __always_inline bool rule_matches(const struct shape_rule *rule, const struct packet *p) {
  __u32 fields = rule->fields & RULE_FIELDS;
  if (!fields || fields & ~p->has) return false;
  if (rule->family && rule->family != p->family) return false;
  if (fields & RULE_PROTOCOL && rule->protocol != p->protocol) return false;
  if (fields & RULE_DESTINATION && !destination_matches(rule, p)) return false;
  if (fields & RULE_LENGTH && !within(p->length, rule->length_min, rule->length_max)) return false;
  if (fields & RULE_TCP_FLAGS && (p->tcp_flags & rule->tcp_mask) != rule->tcp_value) return false;
  if (fields & RULE_SOURCE_PORT &&
      !within(p->source_port, rule->source_port_min, rule->source_port_max))
    return false;
  return !(fields & RULE_DESTINATION_PORT) ||
         within(p->destination_port, rule->destination_port_min, rule->destination_port_max);
}

/*
 * A global function: packets pay for it only where there are rules, and the verifier walks its loop
 * once, not once for each way that leads here.
 */
__noinline int match_rules(const struct packet *p, const struct filter_config *cfg,
                           struct findings *found) {
  if (!p || !cfg || !found) return STAGE_GO_ON;
  __u32 zero = 0;
  void *table = bpf_map_lookup_elem(&rules, &zero);
  if (!table) return STAGE_GO_ON;
  for (__u32 i = 0; i < RULES_MAX; i++) {
    if (i >= cfg->rule_count) break;
    __u32 key = i;
    struct shape_rule *rule = bpf_map_lookup_elem(table, &key);
    if (!rule) break;
    if (!rule_matches(rule, p)) continue;
    if (!(rule->fields & RULE_SHADOW) && !(cfg->shadow & STAGE_RULES)) {
      found->rule_id = rule->id;
      return REASON_DROP_RULE;
    }
    if (found->shadow & 1u << REASON_SHADOW_RULE) continue;
    found->shadow |= 1u << REASON_SHADOW_RULE;
    found->shadow_rule_id = rule->id;
  }
  return STAGE_GO_ON;
}

static __always_inline int stage_rules(const struct packet *p, int family,
                                       const struct filter_config *cfg, struct findings *found) {
  if (!(cfg->stages & STAGE_RULES)) return STAGE_GO_ON;
  struct findings more = *found; /* copies, so that the originals may live in registers */
  int reason;
  if (family == 4) {
    struct packet packet = *p;
    reason = match_rules(&packet, cfg, &more);
  } else {
    reason = match_rules(p, cfg, &more);
  }
  *found = more;
  return reason;
}
