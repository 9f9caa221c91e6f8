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
#define FILTER_ABI 1

/* Shape rules an interface may have. */
#define RULES_MAX 64
/* Sources whose rate is remembered; the least recently seen give way. */
#define RATE_SOURCES_MAX 65536
/* Bytes of a dropped packet that a sample holds, from the Ethernet header on. */
#define SAMPLE_BYTES 96
#define SAMPLE_RING_BYTES (256 * 1024)

/* Layout of an IPv4 set (core/filter/image4.ts): u64 words. */
#define SET4_SIXTEENS 0 /* 65536 bits: some prefix touches this /16 */
#define SET4_ROOT 1024  /* one word for 32 /24s */
#define SET4_POOL (1024 + (1 << 19))
