/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The same look-up by several designs. Each run takes the next address from a row of them, asks,
 * and counts the hits, so that all designs can be held against one another; base4 and base6 only
 * take it.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "set4.h"
#include "set6.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#define QUERIES (1u << 20)
#define PRESENCE_MASK ((1u << 26) - 1)
#define MOST_LENGTHS 33
#define MOST_LENGTHS6 16
#define NETWORKS (1u << 24)

struct state {
  __u64 next;
  __u64 hits;
  __u32 lengths; /* in use */
  __u32 pad;
  __u8 length[64]; /* in the order in which they are asked */
};

struct line4 {
  __u32 address[16]; /* host order */
};
struct line6 {
  struct set6_key address[4];
};
struct bit_line {
  __u64 words[8];
};

#define ARRAY_OF(name, entries, of)    \
  struct {                             \
    __uint(type, BPF_MAP_TYPE_ARRAY);  \
    __uint(map_flags, BPF_F_MMAPABLE); \
    __uint(max_entries, entries);      \
    __type(key, __u32);                \
    __type(value, of);                 \
  } name SEC(".maps")

ARRAY_OF(state, 1, struct state);
ARRAY_OF(queries4, QUERIES / 16, struct line4);
ARRAY_OF(queries6, QUERIES / 4, struct line6);
/* One bit for each hash of (prefix, length). */
ARRAY_OF(presence, (PRESENCE_MASK + 1) / 512, struct bit_line);
/* Two bits for each /24: 0 nothing, 1 all of it, 2 some. */
ARRAY_OF(two_bits, NETWORKS / 256, struct bit_line);

struct key4 {
  __u32 length;
  __u32 address; /* network order in the trie, host order in the hash */
};
struct key6 {
  __u32 length;
  __u8 address[16];
};
struct hash_key6 {
  struct set6_key prefix;
  __u64 length;
};
struct hosts {
  __u64 bits[4];
};

/* Sized for their list by user space, as ours is; so they lie in an outer map, as ours does. */
#define INNER_OF(name, kind, flags, of_key, of_value) \
  struct name##_inner {                               \
    __uint(type, kind);                               \
    __uint(map_flags, flags);                         \
    __uint(max_entries, 1);                           \
    __uint(key_size, sizeof(of_key));                 \
    __uint(value_size, sizeof(of_value));             \
  };                                                  \
  struct {                                            \
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);         \
    __uint(max_entries, 1);                           \
    __type(key, __u32);                               \
    __array(values, struct name##_inner);             \
  } name SEC(".maps")

INNER_OF(trie4, BPF_MAP_TYPE_LPM_TRIE, BPF_F_NO_PREALLOC, struct key4, __u32);
INNER_OF(trie6, BPF_MAP_TYPE_LPM_TRIE, BPF_F_NO_PREALLOC, struct key6, __u32);
INNER_OF(hash4, BPF_MAP_TYPE_HASH, 0, struct key4, __u32);
INNER_OF(hash6, BPF_MAP_TYPE_HASH, 0, struct hash_key6, __u32);
INNER_OF(networks, BPF_MAP_TYPE_HASH, 0, __u32, struct hosts);

struct roots_inner {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, SET4_POOL / SET_LINE_WORDS);
  __uint(key_size, sizeof(__u32));
  __uint(value_size, sizeof(struct set_line));
};
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, 1);
  __type(key, __u32);
  __array(values, struct roots_inner);
} roots SEC(".maps");

static __always_inline struct state *the_state(void) {
  __u32 zero = 0;
  return bpf_map_lookup_elem(&state, &zero);
}

static __always_inline void *inner_of(void *outer) {
  __u32 zero = 0;
  return bpf_map_lookup_elem(outer, &zero);
}

static __always_inline bool take4(struct state *s, __u32 *address) {
  __u32 n = s->next++ & (QUERIES - 1);
  __u32 at = n / 16;
  struct line4 *line = bpf_map_lookup_elem(&queries4, &at);
  if (!line) return false;
  *address = *(volatile __u32 *)&line->address[n % 16];
  return true;
}

static __always_inline bool take6(struct state *s, struct set6_key *address) {
  __u32 n = s->next++ & (QUERIES - 1);
  __u32 at = n / 4;
  struct line6 *line = bpf_map_lookup_elem(&queries6, &at);
  if (!line) return false;
  *address = line->address[n % 4];
  return true;
}

static __always_inline bool bit_of(void *bits, __u32 bit) {
  __u32 at = bit / 512;
  struct bit_line *line = bpf_map_lookup_elem(bits, &at);
  return line && line->words[bit / 64 % 8] >> (bit % 64) & 1;
}

static __always_inline bool in_trie4(struct state *s, __u32 address) {
  (void)s;
  void *map = inner_of(&trie4);
  struct key4 key = {32, __builtin_bswap32(address)};
  return map && bpf_map_lookup_elem(map, &key);
}

static __always_inline bool in_hash4(struct state *s, __u32 address) {
  void *map = inner_of(&hash4);
  if (!map) return false;
  for (int i = 0; i < MOST_LENGTHS; i++) {
    if (i >= (int)s->lengths) return false;
    __u32 length = s->length[i];
    struct key4 key = {length, length ? address & ~0u << (32 - length) : 0};
    __u32 hash = (key.address ^ length) * 0x9e3779b1u;
    if (!bit_of(&presence, (hash ^ hash >> 15) & PRESENCE_MASK)) continue;
    if (bpf_map_lookup_elem(map, &key)) return true;
  }
  return false;
}

static __always_inline bool in_two_bits(struct state *s, __u32 address) {
  (void)s;
  __u32 network = address >> 8, at = network / 256;
  struct bit_line *line = bpf_map_lookup_elem(&two_bits, &at);
  if (!line) return false;
  __u32 what = line->words[network / 32 % 8] >> (network % 32 * 2) & 3;
  if (what != 2) return what;
  void *map = inner_of(&networks);
  struct hosts *hosts = map ? bpf_map_lookup_elem(map, &network) : NULL;
  return hosts && hosts->bits[address >> 6 & 3] >> (address & 63) & 1;
}

static __always_inline bool in_ours4(struct state *s, __u32 address) {
  (void)s;
  return set4_has(SET_BLOCK, address, false);
}

static __always_inline bool in_ours4_by_sixteens(struct state *s, __u32 address) {
  (void)s;
  return set4_has(SET_BLOCK, address, true);
}

/* What it would gain if the root were an array of one size for all, which the verifier inlines. */
static __always_inline bool in_ours4_inlined(struct state *s, __u32 address) {
  (void)s;
  void *lines = inner_of(&roots);
  if (!lines) return false;
  __u64 root = set_word(lines, SET4_ROOT + (address >> 13));
  if (!root) return false;
  if (root & SET4_LANES) return set4_in_lanes(root, address & SET4_OFFSET);
  return set4_has(SET_BLOCK, address, false);
}

static __always_inline bool in_base4(struct state *s, __u32 address) {
  return address + s->lengths == 0;
}

static __always_inline bool in_trie6(struct state *s, struct set6_key *address) {
  (void)s;
  void *map = inner_of(&trie6);
  struct key6 key = {.length = 128};
  __u64 halves[2] = {__builtin_bswap64(address->high), __builtin_bswap64(address->low)};
  __builtin_memcpy(key.address, halves, sizeof(halves));
  return map && bpf_map_lookup_elem(map, &key);
}

static __always_inline bool in_hash6(struct state *s, struct set6_key *address) {
  void *map = inner_of(&hash6);
  if (!map) return false;
  for (int i = 0; i < MOST_LENGTHS6; i++) {
    if (i >= (int)s->lengths) return false;
    struct hash_key6 key = {.length = s->length[i]};
    if (key.length == 128)
      key.prefix = *address;
    else
      set6_prefix_key(address, key.length, &key.prefix);
    if (!bit_of(&presence, set6_hash(&key.prefix, key.length) & PRESENCE_MASK)) continue;
    if (bpf_map_lookup_elem(map, &key)) return true;
  }
  return false;
}

static __always_inline bool in_ours6(struct state *s, struct set6_key *address) {
  (void)s;
  return set6_has(SET_BLOCK, address);
}

static __always_inline bool in_base6(struct state *s, struct set6_key *address) {
  return address->high + address->low + s->lengths == 0;
}

#define PROGRAM4(name, has)                            \
  SEC("xdp") int name(struct xdp_md *ctx) {            \
    (void)ctx;                                         \
    struct state *s = the_state();                     \
    __u32 address;                                     \
    if (!s || !take4(s, &address)) return XDP_ABORTED; \
    if (!has(s, address)) return XDP_PASS;             \
    s->hits++;                                         \
    return XDP_DROP;                                   \
  }

#define PROGRAM6(name, has)                            \
  SEC("xdp") int name(struct xdp_md *ctx) {            \
    (void)ctx;                                         \
    struct state *s = the_state();                     \
    struct set6_key address;                           \
    if (!s || !take6(s, &address)) return XDP_ABORTED; \
    if (!has(s, &address)) return XDP_PASS;            \
    s->hits++;                                         \
    return XDP_DROP;                                   \
  }

PROGRAM4(base4, in_base4)
PROGRAM4(by_trie4, in_trie4)
PROGRAM4(by_hash4, in_hash4)
PROGRAM4(by_two_bits4, in_two_bits)
PROGRAM4(ours4, in_ours4)
PROGRAM4(ours4_by_sixteens, in_ours4_by_sixteens)
PROGRAM4(ours4_inlined, in_ours4_inlined)
PROGRAM6(base6, in_base6)
PROGRAM6(by_trie6, in_trie6)
PROGRAM6(by_hash6, in_hash6)
PROGRAM6(ours6, in_ours6)
