/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Stage: the reflector of Seamless BFD (RFC 7880 §7.2, RFC 7881). A control packet of a peer that
 * the agent has put into `reflect` goes back the way it came, so that no user space that is late,
 * stopped or gone can be taken for a dead path. Nothing is kept of it but its count.
 *
 * What is answered is as long as its answer, goes to a peer alone, and no faster than peers ask:
 * who forges a peer's address reaches that peer, with no more than was sent. A packet that is not
 * all it should be goes on, as any packet does.
 */
#pragma once
#include "account.h"
#include "parsing.h"

struct bfd_control {
  __u8 version_diag;
  __u8 state_flags;
  __u8 multiplier;
  __u8 length;
  __be32 my_discriminator;
  __be32 your_discriminator;
  __be32 desired_min_tx_us;
  __be32 required_min_rx_us;
  __be32 required_min_echo_rx_us;
};
_Static_assert(sizeof(struct bfd_control) == 24, "RFC 5880 §4.1");

#define BFD_VERSION 1
#define BFD_STATE_UP (3 << 6)
#define BFD_STATE_ADMIN_DOWN 0
#define BFD_POLL 0x20
#define BFD_FINAL 0x10
#define BFD_INDEPENDENT 0x08
#define BFD_AUTHENTICATED 0x04
#define BFD_DEMAND 0x02 /* who asks sets it, who answers clears it: nobody answers an answer */
#define BFD_MULTIPOINT 0x01
#define BFD_DIAG_ADMIN_DOWN 7

#define REFLECT_UDP_BYTES (sizeof(struct udphdr) + sizeof(struct bfd_control))
#define REFLECT_TTL 255

/* What UDP's checksum is made of. Both families: ::ffff:0:0/96 twice adds nothing to the sum. */
struct reflect_sum {
  struct reflect_key key; /* without its last word, which is zero then */
  __be32 length;
  __be32 protocol;
  struct udphdr udp;
  struct bfd_control bfd;
};

static __always_inline void key_of_ipv4(struct reflect_key *key, const struct iphdr *ip) {
  key->source[2] = key->destination[2] = bpf_htonl(0xffff);
  key->source[3] = ip->saddr;
  key->destination[3] = ip->daddr;
}

/* §6.8.6 of RFC 5880 as far as it concerns one that keeps no session; never from a reflector. */
static __always_inline bool is_asked(const struct udphdr *udp, const struct bfd_control *bfd) {
  if (udp->dest != bpf_htons(REFLECT_PORT) || udp->source == udp->dest) return false;
  if (udp->len != bpf_htons(REFLECT_UDP_BYTES) || bfd->length != sizeof(*bfd)) return false;
  if (bfd->version_diag >> 5 != BFD_VERSION || !bfd->multiplier || !bfd->my_discriminator)
    return false;
  return (bfd->state_flags & (BFD_DEMAND | BFD_AUTHENTICATED | BFD_MULTIPOINT)) == BFD_DEMAND;
}

/* As stage_rate does it: no more than one a REFLECT_PAUSE_NS, after a burst. */
static __always_inline bool is_in_time(struct reflect_peer *peer) {
  __u64 now = bpf_ktime_get_ns();
  __u64 begin = peer->free_at_ns > now ? peer->free_at_ns : now;
  if (begin - now > REFLECT_BURST_NS) return false;
  peer->free_at_ns = begin + REFLECT_PAUSE_NS;
  return true;
}

/* RFC 7880 §7.2.2. */
static __always_inline void answer(struct bfd_control *bfd, const struct reflect_peer *peer) {
  __u8 final = bfd->state_flags & BFD_POLL ? BFD_FINAL : 0;
  bool out = peer->flags & REFLECT_OUT_OF_SERVICE;
  __be32 asked_by = bfd->my_discriminator;
  bfd->version_diag = BFD_VERSION << 5 | (out ? BFD_DIAG_ADMIN_DOWN : 0);
  bfd->state_flags = (out ? BFD_STATE_ADMIN_DOWN : BFD_STATE_UP) | final | BFD_INDEPENDENT;
  bfd->my_discriminator = bfd->your_discriminator;
  bfd->your_discriminator = asked_by;
  bfd->required_min_rx_us = bpf_htonl(peer->required_min_rx_us);
  bfd->required_min_echo_rx_us = 0;
}

/*
 * Anew, not from the one that came: within a host, and where the network card is to do it, there is
 * none yet.
 */
static __always_inline __sum16 checksum(struct reflect_sum *sum) {
  sum->udp.check = 0;
  __u64 all = bpf_csum_diff(0, 0, (__be32 *)sum, sizeof(*sum), 0);
#pragma unroll
  for (int i = 0; i < 3; i++) all = (all & 0xffff) + (all >> 16);
  __u16 folded = ~all;
  return folded ? folded : 0xffff;
}

/* RFC 1624: of the one word that changes. */
static __always_inline void set_ttl(struct iphdr *ip) {
  __u32 before = bpf_htons((__u16)(ip->ttl << 8));
  __u32 sum = (__u16)~ip->check + (__u16)~before + bpf_htons(REFLECT_TTL << 8);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  ip->ttl = REFLECT_TTL;
  ip->check = ~sum;
}

static __always_inline void swap_ethernet(struct ethhdr *eth) {
  __u8 from[ETH_ALEN];
  __builtin_memcpy(from, eth->h_source, ETH_ALEN);
  __builtin_memcpy(eth->h_source, eth->h_dest, ETH_ALEN);
  __builtin_memcpy(eth->h_dest, from, ETH_ALEN);
}

/*
 * REASON_REFLECT: it is its own answer now. REASON_DROP_RATE: faster than any peer asks. A global
 * function that parses once more, as stage_services.
 */
__noinline int stage_reflect(struct xdp_md *ctx) {
  struct cursor c = {.at = (void *)(long)ctx->data, .end = (void *)(long)ctx->data_end};
  struct ethhdr *eth = c.at;
  struct iphdr *ip = NULL;
  struct ipv6hdr *ip6 = NULL;
  struct udphdr *udp;
  struct reflect_sum sum = {};
  __u8 ttl;

  __be16 proto = parse_ethernet(&c);
  if (proto == bpf_htons(ETH_P_IP)) {
    ip = c.at;
    if ((void *)(ip + 1) > c.end || *(__u8 *)ip != 0x45) return STAGE_GO_ON;
    if (ip->protocol != IPPROTO_UDP || ip->frag_off & bpf_htons(0x3fff)) return STAGE_GO_ON;
    key_of_ipv4(&sum.key, ip);
    ttl = ip->ttl;
    udp = (void *)(ip + 1);
  } else if (proto == bpf_htons(ETH_P_IPV6)) {
    ip6 = c.at;
    if ((void *)(ip6 + 1) > c.end || ip6->nexthdr != IPPROTO_UDP) return STAGE_GO_ON;
    __builtin_memcpy(sum.key.source, &ip6->saddr, sizeof(sum.key.source));
    __builtin_memcpy(sum.key.destination, &ip6->daddr, sizeof(sum.key.destination));
    ttl = ip6->hop_limit;
    udp = (void *)(ip6 + 1);
  } else {
    return STAGE_GO_ON;
  }
  struct bfd_control *bfd = (void *)(udp + 1);
  if ((void *)(bfd + 1) > c.end || !is_asked(udp, bfd)) return STAGE_GO_ON;
  if (eth->h_dest[0] & 1) return STAGE_GO_ON; /* to many: its answer would be from many */

  sum.key.discriminator = bpf_ntohl(bfd->your_discriminator);
  struct reflect_peer *peer = bpf_map_lookup_elem(&reflect, &sum.key);
  if (!peer) return STAGE_GO_ON;
  if (peer->flags & REFLECT_SINGLE_HOP && ttl != REFLECT_TTL) return STAGE_GO_ON;
  if (!is_in_time(peer)) return REASON_DROP_RATE;
  peer->packets++;

  answer(bfd, peer);
  udp->dest = udp->source;
  udp->source = bpf_htons(REFLECT_PORT);
  sum.key.discriminator = 0;
  sum.length = bpf_htonl(REFLECT_UDP_BYTES);
  sum.protocol = bpf_htonl(IPPROTO_UDP);
  sum.udp = *udp;
  sum.bfd = *bfd;
  udp->check = checksum(&sum);
  if (ip) {
    ip->saddr = sum.key.destination[3];
    ip->daddr = sum.key.source[3];
    set_ttl(ip);
  } else if (ip6) {
    __builtin_memcpy(&ip6->saddr, sum.key.destination, sizeof(ip6->saddr));
    __builtin_memcpy(&ip6->daddr, sum.key.source, sizeof(ip6->daddr));
    ip6->hop_limit = REFLECT_TTL;
  }
  swap_ethernet(eth);
  return REASON_REFLECT;
}
