/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The ABI with user space: adapters/native/bpf.ts reads the same bytes. */
#pragma once
#include <linux/types.h>

/* Value of `counters`, one per protocol class below, per CPU. */
struct counter {
  __u64 packets;
  __u64 bytes;
};
_Static_assert(sizeof(struct counter) == 16, "ABI: bpf.ts reads 16 bytes");

/* Keys of `counters`. */
enum counter_class {
  COUNTER_IPV4 = 0,
  COUNTER_IPV6 = 1,
  COUNTER_OTHER = 2, /* no IP, or too short to tell */
  COUNTER_CLASSES = 3,
};
