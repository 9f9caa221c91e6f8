/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Numbers shared by all programs. */
#pragma once

/* What a stage says where it has no verdict of its own: the next one decides. */
#define STAGE_GO_ON (-1)

/* VLAN tags that are looked through (802.1Q inside 802.1ad). */
#define MAX_VLAN_DEPTH 2
/* IPv6 extension headers that are looked through. */
#define MAX_EXTENSION_HEADERS 6

/* Raised with every change of structs.h or maps.h that an older program or agent would misread. */
#define FILTER_ABI 3

/* Shape rules an interface may have. */
#define RULES_MAX 64
/* Sources whose rate is remembered; the least recently seen give way. */
#define RATE_SOURCES_MAX 65536
/* Addresses whose packets are counted, of each family. */
#define SERVICES_MAX 1024
/* Peers whose Seamless BFD is answered, and where (RFC 7881 §2). */
#define REFLECT_MAX 256
#define REFLECT_PORT 7784
/* The shortest interval is 10 ms, its shortest pause 7.5; some may have waited together. */
#define REFLECT_PAUSE_NS 5000000ull
#define REFLECT_BURST_NS 100000000ull
/* Bytes of a dropped packet that a sample holds, from the Ethernet header on. */
#define SAMPLE_BYTES 96
#define SAMPLE_RING_BYTES (256 * 1024)

/*
 * A set of prefixes is an array of lines, each one cache line of eight words (u64). "Word n" is
 * word n % 8 of line n / 8. core/filter/image4.ts and image6.ts lay them out.
 */
#define SET_LINE_WORDS 8

/* An IPv4 set, in words. */
#define SET4_SIXTEENS 0 /* 65536 bits: some prefix touches this /16 */
#define SET4_ROOT 1024  /* one word for 32 /24s */
#define SET4_POOL (1024 + (1 << 19))

/* An IPv6 set, in lines. */
#define SET6_HEADER 0
#define SET6_LENGTHS 1  /* 128 bytes: the lengths in use but 128 */
#define SET6_PRESENCE 3 /* one bit for each hash; the tables lie behind */
#define SET6_SLOTS 3    /* keys in a bucket, which is a line */
#define SET6_PROBES 8   /* buckets that a key may lie in */
