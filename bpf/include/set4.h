/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Whether an IPv4 address is in a set: has4 of core/filter/image4.ts says the same. */
#pragma once
#include <stdbool.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

#include "maps.h"
#include "set_word.h"

/* A root word with this bit holds up to four lanes of 14 bits: offset in the /19 << 1 | all of a
 * /24. */
#define SET4_LANES (1ULL << 63)
#define SET4_LANE_ONES 0x0000040010004001ULL
#define SET4_LANE_TOPS (SET4_LANE_ONES << 13)
#define SET4_OFFSET 0x1fffu
#define SET4_NETWORK 0x1f00u /* what of the offset names its /24 */

/* Tags of leaves. */
#define SET4_ALL 1
#define SET4_HOSTS 2 /* seven octets follow */
#define SET4_OCTET_ONES 0x0001010101010101ULL
#define SET4_OCTET_TOPS (SET4_OCTET_ONES << 7)

static __always_inline bool set4_in_lanes(__u64 word, __u32 offset) {
  __u64 host = word ^ ((__u64)(offset << 1) * SET4_LANE_ONES);
  __u64 network = word ^ ((__u64)((offset & SET4_NETWORK) << 1 | 1) * SET4_LANE_ONES);
  /* A lane that is zero borrows into its top bit. */
  __u64 zero = ((host - SET4_LANE_ONES) & ~host) | ((network - SET4_LANE_ONES) & ~network);
  return zero & SET4_LANE_TOPS;
}

static __always_inline __u32 set4_popcount(__u32 x) {
  x -= (x >> 1) & 0x55555555;
  x = (x & 0x33333333) + ((x >> 2) & 0x33333333);
  x = (x + (x >> 4)) & 0x0f0f0f0f;
  return (x * 0x01010101) >> 24;
}

static __always_inline bool set4_in_leaf(void *words, __u64 leaf, __u32 octet) {
  __u8 tag = leaf;
  if (tag == SET4_HOSTS) {
    __u64 differs = (leaf >> 8) ^ (octet * SET4_OCTET_ONES);
    return (differs - SET4_OCTET_ONES) & ~differs & SET4_OCTET_TOPS;
  }
  if (tag == SET4_ALL) return true;
  __u64 bits = set_word(words, (__u32)(leaf >> 32) + (octet >> 6));
  return bits >> (octet & 63) & 1;
}

/* `address` in host order; `by_sixteens`: ask the 8 KiB of /16s first, which pays for small sets.
 */
static __always_inline bool set4_has(__u32 set, __u32 address, bool by_sixteens) {
  void *words = bpf_map_lookup_elem(&sets4, &set);
  if (!words) return false;
  if (by_sixteens) {
    __u32 sixteen = address >> 16;
    if (!(set_word(words, SET4_SIXTEENS + (sixteen >> 6)) >> (sixteen & 63) & 1)) return false;
  }
  __u64 root = set_word(words, SET4_ROOT + (address >> 13));
  if (!root) return false;
  if (root & SET4_LANES) return set4_in_lanes(root, address & SET4_OFFSET);
  __u32 mask = root;
  __u32 bit = 1u << (address >> 8 & 31);
  if (!(mask & bit)) return false;
  __u64 leaf = set_word(words, (__u32)(root >> 32) + set4_popcount(mask & (bit - 1)));
  return set4_in_leaf(words, leaf, address & 0xff);
}
