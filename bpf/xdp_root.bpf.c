/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The one XDP program of an interface: its stages in their order (docs/notes/filter.md). */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "account.h"
#include "parsing.h"
#include "stage_block.h"
#include "stage_exempt.h"
#include "stage_rate.h"
#include "stage_reflect.h"
#include "stage_rules.h"
#include "stage_services.h"
#include "stage_stamp.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* The reason that a well-formed packet is counted under. */
static __always_inline int judge(struct xdp_md *ctx, const struct filter_config *cfg,
                                 const struct packet *p, int family, __u32 *rule_id) {
  struct findings found = {.shadow = 0, .rule_id = NO_RULE, .shadow_rule_id = NO_RULE};
  int reason = stage_block(p, family, cfg, &found);
  if (reason == STAGE_GO_ON) reason = stage_rules(p, family, cfg, &found);
  if (reason == STAGE_GO_ON) reason = stage_rate(p, family, cfg, &found);
  bool drop = reason != STAGE_GO_ON;
  if (!drop && !found.shadow) return REASON_PASS;

  int exempt = stage_exempt(p, family, cfg);
  if (exempt != STAGE_GO_ON) return drop ? exempt : REASON_PASS;
  if (unlikely(found.shadow)) count_shadow(ctx, cfg, found.shadow, found.shadow_rule_id);
  *rule_id = found.rule_id;
  return drop ? reason : REASON_PASS;
}

static __always_inline int conclude(struct xdp_md *ctx, const struct filter_config *cfg,
                                    __u32 reason, __u32 rule_id) {
  count(ctx, cfg, reason, rule_id);
  return reason >= REASON_DROP_BLOCK ? XDP_DROP : XDP_PASS;
}

/* The verdict on a packet to the port of the reflector, or STAGE_GO_ON. */
static __always_inline int reflected(struct xdp_md *ctx, const struct filter_config *cfg) {
  int reason = stage_reflect(ctx);
  if (reason == STAGE_GO_ON) return STAGE_GO_ON;
  count(ctx, cfg, reason, NO_RULE);
  return reason == REASON_REFLECT ? XDP_TX : XDP_DROP;
}

/* A well-formed packet, from its first stage to its last. */
static __always_inline int filter(struct xdp_md *ctx, const struct filter_config *cfg,
                                  const struct packet *p, int family) {
  if (unlikely(cfg->stages & STAGE_REFLECT) && p->destination_port == REFLECT_PORT) {
    int verdict = reflected(ctx, cfg);
    if (verdict != STAGE_GO_ON) return verdict;
  }
  __u64 begin = unlikely(cfg->track) ? latency_begin(cfg->track, p) : 0;
  __u32 rule_id = NO_RULE;
  int reason = judge(ctx, cfg, p, family, &rule_id);
  int verdict = conclude(ctx, cfg, reason, rule_id);
  if (unlikely(cfg->stages & STAGE_SERVICES) && verdict == XDP_PASS) stage_services(ctx);
  if (unlikely(begin)) stage_stamp(ctx, begin, verdict);
  return verdict;
}

/* Out of line, so that well-formed IPv4 is one straight line with its values in registers. */
__noinline int filter_odd(struct xdp_md *ctx, int parsed) {
  __u32 zero = 0;
  struct filter_config *cfg = bpf_map_lookup_elem(&config, &zero);
  if (!cfg) return XDP_PASS; /* cannot be: an array has all its values */
  if (parsed == PARSED_EXEMPT) return conclude(ctx, cfg, REASON_PASS_NOT_IP, NO_RULE);
  return conclude(ctx, cfg, cfg->drop_malformed ? REASON_DROP_MALFORMED : REASON_PASS_MALFORMED,
                  NO_RULE);
}

/* A global function: the verifier takes it by itself, not once for each way that leads here. */
__noinline int filter_ipv6(struct xdp_md *ctx) {
  struct cursor c = {.at = (void *)(long)ctx->data, .end = (void *)(long)ctx->data_end};
  __u32 zero = 0;
  struct filter_config *cfg = bpf_map_lookup_elem(&config, &zero);
  if (!cfg) return XDP_PASS; /* cannot be */
  parse_ethernet(&c);
  struct packet p;
  int parsed = parse_ipv6(ctx, &c, &p);
  return parsed == PARSED ? filter(ctx, cfg, &p, 6) : filter_odd(ctx, parsed);
}

SEC("xdp")
int aether_root(struct xdp_md *ctx) {
  struct cursor c = {.at = (void *)(long)ctx->data, .end = (void *)(long)ctx->data_end};
  __u32 zero = 0;
  struct filter_config *cfg = bpf_map_lookup_elem(&config, &zero);
  if (!cfg) return XDP_PASS; /* cannot be: an array has all its values */

  __be16 proto = parse_ethernet(&c);
  if (likely(proto == bpf_htons(ETH_P_IP))) {
    struct packet p;
    return likely(parse_ipv4(&c, &p) == PARSED) ? filter(ctx, cfg, &p, 4)
                                                : filter_odd(ctx, PARSED_MALFORMED);
  }
  if (proto == bpf_htons(ETH_P_IPV6)) return filter_ipv6(ctx);
  return filter_odd(ctx, PARSED_EXEMPT);
}
