/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The ABI with user space: adapters/native/filter/abi.ts reads and writes the same bytes. */
#pragma once
#include <linux/types.h>

#include "consts.h"

/* Value of `counters`, one per reason below, per CPU. */
struct counter {
  __u64 packets;
  __u64 bytes;
};
_Static_assert(sizeof(struct counter) == 16, "ABI");

/*
 * Keys of `counters`. Every packet is counted under exactly one reason below REASON_SHADOW_BLOCK;
 * the SHADOW ones say on top of that what would have been dropped if its rule set did not only
 * count.
 */
enum reason {
  REASON_PASS = 0,          /* nothing spoke against it */
  REASON_PASS_NOT_IP = 1,   /* ARP, LLDP ...; neighbour discovery counts here too */
  REASON_PASS_FAILSAFE = 2, /* would have been dropped, but its source is failsafe */
  REASON_PASS_ALLOW = 3,    /* would have been dropped, but its source is allowed */
  REASON_PASS_MALFORMED = 4,
  REASON_DROP_BLOCK = 5,
  REASON_DROP_RULE = 6,
  REASON_DROP_RATE = 7,
  REASON_DROP_MALFORMED = 8,
  REASON_REFLECT = 9, /* answered, neither passed nor dropped */
  REASON_SHADOW_BLOCK = 10,
  REASON_SHADOW_RULE = 11,
  REASON_SHADOW_RATE = 12,
  REASONS = 13,
};

/* Keys of `sets4` and `sets6`. An absent set costs a look-up in an array of maps. */
enum prefix_set {
  SET_FAILSAFE = 0,
  SET_ALLOW = 1,
  SET_BLOCK = 2,
  SET_SHADOW = 3, /* of blocklists that only count */
  SETS = 4,
};

/* The value of a set's array. */
struct set_line {
  __u64 words[SET_LINE_WORDS];
};
_Static_assert(sizeof(struct set_line) == 64, "ABI");

/* Bits of filter_config.stages and .shadow. */
#define STAGE_ALLOW 1u /* shadow: allowed sources are not spared */
#define STAGE_BLOCK 2u
#define STAGE_RULES 4u
#define STAGE_RATE 8u
#define STAGE_SERVICES 16u /* the last: counts what passes by the service it goes to */
#define STAGE_REFLECT 32u  /* the first: answers Seamless BFD */

/* The one value of `config`. What it switches off costs a branch. */
struct filter_config {
  __u32 abi; /* FILTER_ABI */
  __u32 stages;
  __u32 shadow;         /* stages that only count */
  __u32 sample_mask;    /* sample where (packets before it & mask) == 0; ~0u: the first alone */
  __u32 drop_malformed; /* 0: pass them, 1: drop them */
  __u32 rule_count;
  __u64 rate_ns;       /* ns that one packet of a source takes from its bucket */
  __u64 rate_burst_ns; /* depth of the bucket, in ns */
  __u64 track;         /* latency tracker: 0 off; see latency.h */
  __u8 content[32]; /* sha256: what the agent has loaded (core/filter/contents.ts); for the agent */
  __u8 checksum[32]; /* sha256 over the sets as loaded: whether a new agent may adopt them */
};
_Static_assert(sizeof(struct filter_config) == 112, "ABI");

/* Which fields of a rule are compared. */
#define RULE_DESTINATION 1u
#define RULE_PROTOCOL 2u
#define RULE_SOURCE_PORT 4u
#define RULE_DESTINATION_PORT 8u
#define RULE_LENGTH 16u
#define RULE_TCP_FLAGS 32u
#define RULE_FRAGMENT 64u
#define RULE_SHADOW 256u /* of this rule alone: only count */

/* One shape rule: all its fields must match. Numbers in host order, ranges with both ends. */
struct shape_rule {
  __u32 fields;
  __u8 family; /* 4, 6, or 0 for both */
  __u8 protocol;
  __u8 tcp_mask; /* (flags & mask) == value */
  __u8 tcp_value;
  __u16 source_port_min, source_port_max;
  __u16 destination_port_min, destination_port_max;
  __u16 length_min, length_max; /* of the IP packet, header included */
  __u32 id;                     /* position in the spec, for samples */
  __u8 destination[16];         /* IPv4 in the first four bytes; already masked */
  __u8 destination_mask[16];
};
_Static_assert(sizeof(struct shape_rule) == 56, "ABI");

/* Value of `rate`, by source (IPv4 as ::ffff:a.b.c.d, IPv6 by its /64). */
struct rate_bucket {
  __u64 free_at_ns; /* bpf_ktime_get_ns() at which the bucket is full again */
};

struct rate_key {
  __u8 source[16];
};

/* Key of `services6`: a destination as in the packet; of `services4` its __u32. */
struct service6_key {
  __u8 address[16];
};

/* Key of `reflect`: IPv4 addresses as ::ffff:a.b.c.d, in network order. */
struct reflect_key {
  __u32 source[4];      /* the peer */
  __u32 destination[4]; /* our address that it asks */
  __u32 discriminator;  /* of that address, in host order */
};
_Static_assert(sizeof(struct reflect_key) == 36, "ABI");

/* Bits of reflect_peer.flags. */
#define REFLECT_SINGLE_HOP 1u     /* only with a TTL of 255 */
#define REFLECT_OUT_OF_SERVICE 2u /* answered with AdminDown */

/* Value of `reflect`. */
struct reflect_peer {
  __u64 free_at_ns; /* bpf_ktime_get_ns() at which its bucket is full again */
  __u64 packets;    /* answered */
  __u32 flags;
  __u32 required_min_rx_us; /* what it is told: no more often than that */
};
_Static_assert(sizeof(struct reflect_peer) == 24, "ABI");

/* A record of `samples`. */
struct sample {
  __u64 at_ns; /* bpf_ktime_get_ns() */
  __u32 reason;
  __u32 length;  /* of the whole frame */
  __u32 rule_id; /* of REASON_DROP_RULE, REASON_SHADOW_RULE; else ~0 */
  __u32 captured;
  __u8 frame[SAMPLE_BYTES];
};
_Static_assert(sizeof(struct sample) == 24 + SAMPLE_BYTES, "ABI");
