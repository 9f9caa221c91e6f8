/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Whether an IPv6 address is in a set: has6 of core/filter/image6.ts says the same. */
#pragma once
#include <stdbool.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

#include "maps.h"
#include "set_word.h"

/* Words of the header. */
#define SET6_COUNT_SEED 0   /* lengths in use but 128; seed */
#define SET6_MASK_FLAGS 1   /* presence bits - 1; flags */
#define SET6_PREFIX_TABLE 2 /* buckets; first line */
#define SET6_HOST_TABLE 3
#define SET6_HAS_HOSTS 1u /* flag: some /128 */
#define SET6_HAS_ZERO 2u  /* flag: ::/128, which no slot can hold */

/* The first word of a bucket: one bit for each slot in use, then: keys went on to the next bucket.
 */
#define SET6_WENT_ON (1u << SET6_SLOTS)

/* An address, or a prefix of less than 128 bits as its bits, then a one, then zeros; host order. */
struct set6_key {
  __u64 high;
  __u64 low;
};

static __always_inline __u32 set6_mix(__u32 hash, __u32 word) {
  hash = (hash ^ word) * 0x9e3779b1u;
  return hash ^ hash >> 15;
}

static __always_inline __u32 set6_hash(const struct set6_key *key, __u32 seed) {
  __u32 hash = set6_mix(seed, key->high >> 32);
  hash = set6_mix(hash, key->high);
  hash = set6_mix(hash, key->low >> 32);
  hash = set6_mix(hash, key->low) * 0x85ebca77u;
  return hash ^ hash >> 13;
}

static __always_inline bool set6_present(void *lines, __u64 mask_flags, __u32 hash) {
  __u32 bit = hash & (__u32)mask_flags;
  return set_word(lines, SET6_PRESENCE * SET_LINE_WORDS + (bit >> 6)) >> (bit & 63) & 1;
}

static __always_inline bool set6_in_bucket(const struct set_line *bucket, __u64 state,
                                           const struct set6_key *key) {
#pragma unroll
  for (int slot = 0; slot < SET6_SLOTS; slot++) {
    __u64 differs =
        (bucket->words[1 + 2 * slot] ^ key->high) | (bucket->words[2 + 2 * slot] ^ key->low);
    /* One branch a slot: the verifier counts them. */
    if (!(differs | (~state >> slot & 1))) return true;
  }
  return false;
}

static __always_inline bool set6_in_table(void *lines, __u64 table, const struct set6_key *key,
                                          __u32 hash) {
  for (int i = 0; i < SET6_PROBES; i++) {
    __u32 line = (__u32)(table >> 32) + (__u32)((__u64)hash * (__u32)table >> 32);
    struct set_line *bucket = bpf_map_lookup_elem(lines, &line);
    if (!bucket) return false;
    __u64 state = *(volatile __u64 *)&bucket->words[0];
    if (set6_in_bucket(bucket, state, key)) return true;
    if (!(state & SET6_WENT_ON)) return false;
    hash = hash * 0x915f77f5u + 1;
  }
  return false;
}

static __always_inline void set6_prefix_key(const struct set6_key *address, __u32 length,
                                            struct set6_key *key) {
  __u64 last = 1ULL << 63 >> (length & 63);
  bool long_one = length >= 64;
  key->high = long_one ? address->high : (address->high & ~(2 * last - 1)) | last;
  key->low = long_one ? (address->low & ~(2 * last - 1)) | last : 0;
}

static __always_inline bool set6_has_host(void *lines, __u64 mask_flags, __u32 seed,
                                          const struct set6_key *address) {
  __u32 flags = mask_flags >> 32;
  if (!(address->high | address->low)) return flags & SET6_HAS_ZERO;
  if (!(flags & SET6_HAS_HOSTS)) return false;
  __u32 hash = set6_hash(address, seed);
  return set6_present(lines, mask_flags, hash) &&
         set6_in_table(lines, set_word(lines, SET6_HOST_TABLE), address, hash);
}

/* A function of its own for the verifier too: its loops are walked once, not once for each set. */
__noinline int set6_has(__u32 set, const struct set6_key *address) {
  if (!address) return 0;
  void *lines = bpf_map_lookup_elem(&sets6, &set);
  if (!lines) return 0;
  __u64 count_seed = set_word(lines, SET6_COUNT_SEED);
  __u64 mask_flags = set_word(lines, SET6_MASK_FLAGS);
  __u64 table = set_word(lines, SET6_PREFIX_TABLE);
  __u32 seed = count_seed >> 32;
  struct set6_key key = *address;
  if (set6_has_host(lines, mask_flags, seed, &key)) return 1;
  __u64 lengths = 0;
  for (__u32 i = 0; i < 128; i++) {
    if (i >= (__u32)count_seed) return 0;
    if (i % 8 == 0) lengths = set_word(lines, SET6_LENGTHS * SET_LINE_WORDS + i / 8);
    set6_prefix_key(address, lengths & 0x7f, &key);
    lengths >>= 8;
    __u32 hash = set6_hash(&key, seed);
    if (set6_present(lines, mask_flags, hash) && set6_in_table(lines, table, &key, hash)) return 1;
  }
  return 0;
}
