/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Each packet is counted under its reason, and some are kept as samples. */
#pragma once
#include "maps.h"
#include "stage.h"

/* The barrier keeps clang from adding to one pointer first and subtracting the other then. */
static __always_inline __u32 frame_length(const struct xdp_md *ctx) {
  __u64 length = (void *)(long)ctx->data_end - (void *)(long)ctx->data;
  asm volatile("" : "+r"(length));
  return length;
}

/*
 * The head of the frame; how much of it. The barriers make clang compare the register that it
 * passes, one bound at a time: the verifier of 6.1 learns nothing from others.
 */
static __always_inline __u32 copy_head(struct xdp_md *ctx, void *to, __u32 length) {
  __u32 size = length < SAMPLE_BYTES ? length : SAMPLE_BYTES;
  asm volatile("" : "+r"(size));
  if (size > SAMPLE_BYTES) return 0; /* cannot be */
  asm volatile("" : "+r"(size));
  if (size < ETH_HLEN) return 0;
  return bpf_xdp_load_bytes(ctx, 0, to, size) ? 0 : size;
}

/*
 * Into the ring. Nobody is woken: readers come by themselves. Where the ring is full the sample is
 * lost, not the packet.
 */
static __noinline int take_sample(struct xdp_md *ctx, __u32 reason, __u32 rule_id) {
  __u32 length = frame_length(ctx);
  struct sample *sample = bpf_ringbuf_reserve(&samples, sizeof(*sample), 0);
  if (!sample) return 0;
  sample->at_ns = bpf_ktime_get_ns();
  sample->reason = reason;
  sample->length = length;
  sample->rule_id = rule_id;
  sample->captured = copy_head(ctx, sample->frame, length);
  bpf_ringbuf_submit(sample, BPF_RB_NO_WAKEUP);
  return 0;
}

static __always_inline void count(struct xdp_md *ctx, const struct filter_config *cfg, __u32 reason,
                                  __u32 rule_id) {
  struct counter *counter = bpf_map_lookup_elem(&counters, &reason);
  if (!counter) return;
  __u64 packets = counter->packets;
  counter->packets = packets + 1;
  counter->bytes += frame_length(ctx);
  /*
   * As many as came before: the first of its reason is a sample, so that a trickle is seen as well.
   * Signed: a mask of ~0 then has all 64 bits; met by the very first packet alone.
   */
  if (unlikely(!(packets & (__s64)(__s32)cfg->sample_mask))) take_sample(ctx, reason, rule_id);
}

/* Out of line: shadow hits are rare, and three of them would treble the code. */
static __noinline int count_shadow(struct xdp_md *ctx, const struct filter_config *cfg,
                                   __u32 shadow, __u32 rule_id) {
  for (__u32 reason = REASON_SHADOW_BLOCK; reason < REASONS; reason++) {
    if (!(shadow & 1u << reason)) continue;
    count(ctx, cfg, reason, reason == REASON_SHADOW_RULE ? rule_id : NO_RULE);
  }
  return 0;
}
