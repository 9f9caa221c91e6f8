/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Stage: the rate of one source, a token bucket kept as one time (GCRA, ITU-T I.371): the moment at
 * which the bucket is full again. A packet moves it on by rate_ns; one that would move it further
 * than rate_burst_ns ahead of now is too many, and takes nothing.
 *
 * CPUs that serve one source at once may overwrite each other's step: some packets more pass, never
 * fewer, for as long as both see it at the same moment. A lock would cost all of them.
 */
#pragma once
#include "maps.h"
#include "stage.h"

static __always_inline void rate_key_of(const struct packet *p, int family, struct rate_key *key) {
  __u32 *words = (__u32 *)key->source;
  bool v4 = family == 4;
  words[0] = v4 ? 0 : p->source[0];
  words[1] = v4 ? 0 : p->source[1]; /* IPv6: its /64, which one customer has */
  words[2] = v4 ? bpf_htonl(0xffff) : 0;
  words[3] = v4 ? p->source[0] : 0;
}

/* Whether the source has used up its bucket. A full table forgets who was silent longest. */
static __always_inline bool takes_too_much(const struct packet *p, int family,
                                           const struct filter_config *cfg) {
  struct rate_key key;
  rate_key_of(p, family, &key);
  __u64 now = bpf_ktime_get_ns();
  struct rate_bucket *bucket = bpf_map_lookup_elem(&rate, &key);
  if (!bucket) {
    struct rate_bucket fresh = {.free_at_ns = now + cfg->rate_ns};
    bpf_map_update_elem(&rate, &key, &fresh, BPF_ANY);
    return cfg->rate_ns > cfg->rate_burst_ns;
  }
  __u64 free_at = bucket->free_at_ns > now ? bucket->free_at_ns : now;
  if (free_at + cfg->rate_ns - now > cfg->rate_burst_ns) return true;
  bucket->free_at_ns = free_at + cfg->rate_ns;
  return false;
}

static __always_inline int stage_rate(const struct packet *p, int family,
                                      const struct filter_config *cfg, struct findings *found) {
  if (!(cfg->stages & STAGE_RATE) || !takes_too_much(p, family, cfg)) return STAGE_GO_ON;
  if (!(cfg->shadow & STAGE_RATE)) return REASON_DROP_RATE;
  found->shadow |= 1u << REASON_SHADOW_RATE;
  return STAGE_GO_ON;
}
