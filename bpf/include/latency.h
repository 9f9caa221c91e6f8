/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Latency histograms: what the kernel writes and core/latency reads. Buckets are log-linear, as in
 * HdrHistogram: 40 octaves of 32 equal steps, so two values of one bucket differ by at most 1/32.
 */
#pragma once
#include <linux/types.h>

/* Raised with every change of what lies in the maps below; then histograms begin anew. */
#define LATENCY_ABI 1

#define LATENCY_STEP_BITS 5
#define LATENCY_STEPS (1 << LATENCY_STEP_BITS)
#define LATENCY_OCTAVES 40
#define LATENCY_BUCKETS (LATENCY_OCTAVES * LATENCY_STEPS)

/* Per CPU and written by one context alone, so without atomics. */
struct latency_histogram {
  __u64 sum_ns;
  __u64 refused; /* intervals that ended before they began: a clock was set */
  __u64 buckets[LATENCY_BUCKETS];
};
_Static_assert(sizeof(struct latency_histogram) == 16 + 8 * LATENCY_BUCKETS, "ABI");

/*
 * filter_config.track, latency_config.track: 0 is off; else LATENCY_ON and the greatest hash of a
 * flow that is chosen, so one flow in `n` is for floor(2^32 / n) - 1.
 */
#define LATENCY_ON (1ull << 32)

/* XDP metadata: in front of the frame from XDP to the tc hook of whatever device it leaves by. */
struct latency_stamp {
  __u32 magic;
  __u32 ifindex; /* where it entered */
  __u64 at_ns;   /* bpf_ktime_get_ns() */
};
_Static_assert(sizeof(struct latency_stamp) == 16, "a multiple of 4, at most 32");
#define LATENCY_MAGIC 0x6165746c /* "aetl" */

/* Interfaces with a filter whose forwarded packets have a histogram of their own. */
#define LATENCY_SLOTS 8

/* Keys of `latency_histograms`: one for the TCP readers, one a slot. */
#define LATENCY_TCP 0
#define LATENCY_FORWARD 1

struct latency_slot {
  __u32 ifindex; /* 0: free, or its device is gone */
  char name[16]; /* for the agent: the interface the counts belong to */
};

/* The one value of `latency_config`, written by the agent. */
struct latency_config {
  __u32 abi; /* LATENCY_ABI */
  __u32 reserved;
  __u64 track;         /* of TCP flows */
  __u64 tai_offset_ns; /* TAI - UTC, as this kernel has it */
  struct latency_slot slots[LATENCY_SLOTS];
};
_Static_assert(sizeof(struct latency_config) == 24 + 20 * LATENCY_SLOTS, "ABI");

/* Of 0 as of 1: 0. */
static __always_inline __u32 latency_log2(__u64 value) {
  __u32 log = (value > 0xffffffff) << 5;
  value >>= log;
  __u32 shift = (value > 0xffff) << 4;
  value >>= shift;
  log |= shift;
  shift = (value > 0xff) << 3;
  value >>= shift;
  log |= shift;
  shift = (value > 0xf) << 2;
  value >>= shift;
  log |= shift;
  shift = (value > 0x3) << 1;
  value >>= shift;
  log |= shift;
  return log | (value >> 1);
}

/* The last bucket holds whatever is longer, too. */
static __always_inline __u32 latency_bucket(__u64 ns) {
  if (ns < LATENCY_STEPS) return ns;
  __u32 octave = latency_log2(ns) - LATENCY_STEP_BITS;
  if (octave >= LATENCY_OCTAVES - 1) return LATENCY_BUCKETS - 1;
  return (octave << LATENCY_STEP_BITS) + (__u32)(ns >> octave);
}

static __always_inline void latency_record(struct latency_histogram *histogram, __u64 ns) {
  if ((__s64)ns < 0) {
    histogram->refused++;
    return;
  }
  __u32 bucket = latency_bucket(ns);
  asm volatile(
      ""
      : "+r"(bucket)); /* else clang bounds another register: the verifier of 6.1 objects */
  if (bucket >= LATENCY_BUCKETS) return; /* never; for the verifier */
  histogram->sum_ns += ns;
  histogram->buckets[bucket]++;
}
