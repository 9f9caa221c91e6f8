/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * From bytes to a struct packet. What claims to be IP and breaks a rule below is malformed (numbers
 * of the rules: docs/notes/filter.md):
 *  M1 the IP header does not fit into the frame, its version is not that of the EtherType, or the
 *     IHL is below 5;
 *  M2 the total or payload length is below what the headers take or beyond the frame (so no
 *     jumbograms, RFC 2675);
 *  M3 an extension header is cut, or there are more than MAX_EXTENSION_HEADERS;
 *  M4 the TCP, UDP, ICMP or ICMPv6 header is cut, by the frame or by the IP length, also in a first
 *     fragment (RFC 1858 §3, RFC 7112 §5);
 *  M5 TCP's data offset is below 5 or beyond the packet; UDP's length is below 8 or, unfragmented,
 *     beyond the packet;
 *  M6 a TCP fragment at offset 1, where flags could be overwritten (RFC 3128), or a fragment that
 *     would end beyond 65535 bytes.
 * Nothing is read beyond data_end. Bytes behind the IP length are padding.
 */
#pragma once
#include <stdbool.h>
#include <linux/types.h>
#include <linux/icmpv6.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "consts.h"
#include "structs.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

struct cursor {
  void *at;
  void *end;
  __u32 depth; /* of `at` in the frame */
};

/* What the stages ask; lives in registers as far as they reach. */
struct packet {
  __u32 source[4]; /* network order; IPv4 in the first */
  __u32 destination[4];
  __u32 length; /* of the IP packet, header included */
  __u32 has;    /* RULE_* that can be asked of it: a later fragment has no ports */
  __u16 source_port, destination_port;
  __u8 family; /* 4 or 6 */
  __u8 protocol;
  __u8 tcp_flags;
  __u16 fragment_offset; /* in units of 8; IPv6 */
};

enum parsed {
  PARSED = 0,
  PARSED_EXEMPT = 1, /* no IP, or neighbour discovery: a host that loses it is off the net */
  PARSED_MALFORMED = -1,
};

struct vlan_header {
  __be16 tci;
  __be16 next_proto;
};

/* The fields that not every packet has; unset ones would be whatever lies in a register. */
static __always_inline void init_packet(struct packet *p) {
  p->has = RULE_DESTINATION | RULE_PROTOCOL | RULE_LENGTH;
  p->source_port = 0;
  p->destination_port = 0;
  p->tcp_flags = 0;
  p->fragment_offset = 0;
}

/* EtherType in network order, VLAN tags passed over; 0 where the frame ends before it. */
static __always_inline __be16 parse_ethernet(struct cursor *c) {
  struct ethhdr *eth = c->at;
  if ((void *)(eth + 1) > c->end) return 0;
  void *at = eth + 1;
  __u32 depth = sizeof(*eth);
  __be16 proto = *(__be16 *)(at - 2); /* at once: h_proto is packed, and read byte by byte */
#pragma unroll
  for (int i = 0; i < MAX_VLAN_DEPTH; i++) {
    if (proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD)) break;
    struct vlan_header *vlan = at;
    if ((void *)(vlan + 1) > c->end) return 0;
    proto = vlan->next_proto;
    at = vlan + 1;
    depth += sizeof(*vlan);
  }
  c->at = at;
  c->depth = depth;
  return proto;
}

static __always_inline int parse_tcp(void *at, void *end, __u32 room, struct packet *p) {
  struct tcphdr *tcp = at;
  if ((void *)(tcp + 1) > end || room < sizeof(*tcp)) return PARSED_MALFORMED;
  __u32 header = tcp->doff * 4;
  if (header < sizeof(*tcp) || header > room) return PARSED_MALFORMED;
  p->has |= RULE_SOURCE_PORT | RULE_DESTINATION_PORT | RULE_TCP_FLAGS;
  p->source_port = bpf_ntohs(tcp->source);
  p->destination_port = bpf_ntohs(tcp->dest);
  p->tcp_flags = ((__u8 *)tcp)[13];
  return PARSED;
}

static __always_inline int parse_udp(void *at, void *end, __u32 room, struct packet *p) {
  struct udphdr *udp = at;
  if ((void *)(udp + 1) > end || room < sizeof(*udp)) return PARSED_MALFORMED;
  __u32 length = bpf_ntohs(udp->len);
  if (length < sizeof(*udp)) return PARSED_MALFORMED;
  if (length > room && !(p->has & RULE_FRAGMENT)) return PARSED_MALFORMED;
  p->has |= RULE_SOURCE_PORT | RULE_DESTINATION_PORT;
  p->source_port = bpf_ntohs(udp->source);
  p->destination_port = bpf_ntohs(udp->dest);
  return PARSED;
}

/* The header behind IP, of `room` bytes by IP's own account. Unknown protocols have none. */
static __always_inline int parse_transport(void *at, void *end, __u32 room, struct packet *p) {
  if (p->protocol == IPPROTO_UDP) return parse_udp(at, end, room, p);
  if (p->protocol == IPPROTO_TCP) return parse_tcp(at, end, room, p);
  if (p->protocol != (p->family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6)) return PARSED;
  struct icmp6hdr *icmp = at;
  if ((void *)(icmp + 1) > end || room < sizeof(*icmp)) return PARSED_MALFORMED;
  return PARSED;
}

/* A fragment of `room` bytes at `offset` (in units of 8): is it one that can be taken? */
static __always_inline int check_fragment(__u32 offset, __u32 room, const struct packet *p) {
  if (offset == 1 && p->protocol == IPPROTO_TCP) return PARSED_MALFORMED;
  return offset * 8 + room > 0xffff ? PARSED_MALFORMED : PARSED;
}

static __always_inline int parse_ipv4(const struct cursor *c, struct packet *p) {
  struct iphdr *ip = c->at;
  if ((void *)(ip + 1) > c->end) return PARSED_MALFORMED;
  __u32 header = sizeof(*ip);
  if (unlikely(*(__u8 *)ip != 0x45)) {
    header = ip->ihl * 4;
    if (ip->version != 4 || header < sizeof(*ip)) return PARSED_MALFORMED;
  }
  init_packet(p);
  p->family = 4;
  p->protocol = ip->protocol;
  p->source[0] = ip->saddr;
  p->destination[0] = ip->daddr;
  p->length = bpf_ntohs(ip->tot_len);
  if (p->length < header || p->length > (__u64)(c->end - c->at)) return PARSED_MALFORMED;
  __u32 room = p->length - header;
  if (unlikely(ip->frag_off & bpf_htons(0x3fff))) {
    __u32 offset = bpf_ntohs(ip->frag_off) & 0x1fff;
    p->has |= RULE_FRAGMENT;
    if (offset) return check_fragment(offset, room, p);
  }
  return parse_transport(c->at + header, c->end, room, p);
}

struct extension_header {
  __u8 next;
  __u8 length;
  __be16 fragment; /* of the fragment header: offset in units of 8, two bits, more */
  __u32 rest;
};

#define EXTENSION_HEADERS                                                         \
  (1ull << IPPROTO_HOPOPTS | 1ull << IPPROTO_ROUTING | 1ull << IPPROTO_FRAGMENT | \
   1ull << IPPROTO_AH | 1ull << IPPROTO_DSTOPTS)

static __always_inline bool is_extension(__u8 next) {
  return next < 64 && EXTENSION_HEADERS >> next & 1;
}

/* What `read_extension` found: next header, size, the field of a fragment header. */
#define EXTENSION_NEXT(found) ((__u8)(found))
#define EXTENSION_SIZE(found) ((__u32)(found) >> 8)
#define EXTENSION_FRAGMENT(found) ((__u32)((found) >> 32))

/*
 * The extension header of kind `protocol` at `offset` of the frame; 0 where it is cut. A global
 * function, and a copy: six headers of five kinds as pointers are more ways than the verifier
 * walks.
 */
__noinline __u64 read_extension(struct xdp_md *ctx, __u32 offset, __u32 protocol) {
  struct extension_header header;
  if (bpf_xdp_load_bytes(ctx, offset & 0x3fff, &header, sizeof(header))) return 0;
  __u64 size = (header.length + 1) * 8;
  if (protocol == IPPROTO_AH) size = (header.length + 2) * 4;
  if (protocol != IPPROTO_FRAGMENT) return size << 8 | header.next;
  return (__u64)bpf_ntohs(header.fragment) << 32 | sizeof(header) << 8 | header.next;
}

/* Where the parser of IPv6 is: `room` bytes are left by IP's own account. */
struct place {
  __u32 offset;
  __u32 room;
};

/* Passes over the extension headers. */
static __always_inline int parse_extensions(struct xdp_md *ctx, struct place *at,
                                            struct packet *p) {
  for (int i = 0; i < MAX_EXTENSION_HEADERS; i++) {
    if (!is_extension(p->protocol)) return PARSED;
    __u64 found = read_extension(ctx, at->offset, p->protocol);
    __u32 size = EXTENSION_SIZE(found);
    if (!size || size > at->room) return PARSED_MALFORMED;
    at->offset += size;
    at->room -= size;
    p->protocol = EXTENSION_NEXT(found);
    if (!(EXTENSION_FRAGMENT(found) & 0xfff9)) continue; /* an atomic one is none (RFC 6946) */
    p->has |= RULE_FRAGMENT;
    p->fragment_offset = EXTENSION_FRAGMENT(found) >> 3;
    if (p->fragment_offset) return PARSED;
  }
  return is_extension(p->protocol) ? PARSED_MALFORMED : PARSED;
}

static __always_inline bool is_neighbour_discovery(struct ipv6hdr *ip, void *at, void *end,
                                                   const struct packet *p) {
  if (p->protocol != IPPROTO_ICMPV6 || ip->hop_limit != 255 || p->has & RULE_FRAGMENT) return false;
  struct icmp6hdr *icmp = at;
  if ((void *)(icmp + 1) > end) return false;
  return icmp->icmp6_type >= 133 && icmp->icmp6_type <= 137; /* RFC 4861 §4 */
}

static __always_inline int parse_ipv6(struct xdp_md *ctx, const struct cursor *c,
                                      struct packet *p) {
  struct ipv6hdr *ip = c->at;
  if ((void *)(ip + 1) > c->end || ip->version != 6) return PARSED_MALFORMED;
  init_packet(p);
  p->family = 6;
  p->protocol = ip->nexthdr;
  __builtin_memcpy(p->source, &ip->saddr, sizeof(p->source));
  __builtin_memcpy(p->destination, &ip->daddr, sizeof(p->destination));
  struct place at = {.offset = c->depth, .room = bpf_ntohs(ip->payload_len)};
  p->length = at.room + sizeof(*ip);
  if (p->length > (__u64)(c->end - c->at)) return PARSED_MALFORMED;
  at.offset += sizeof(*ip);
  if (parse_extensions(ctx, &at, p)) return PARSED_MALFORMED;
  if (p->fragment_offset) return check_fragment(p->fragment_offset, at.room, p);
  void *transport = (void *)(long)ctx->data + (at.offset & 0x3fff);
  if (parse_transport(transport, c->end, at.room, p)) return PARSED_MALFORMED;
  return is_neighbour_discovery(ip, transport, c->end, p) ? PARSED_EXEMPT : PARSED;
}
