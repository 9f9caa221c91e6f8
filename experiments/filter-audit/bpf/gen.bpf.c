/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The flood: 64-byte UDP frames (60 and the check sequence that veth has not), each from a source
 * drawn uniformly from a map, run as live frames (BPF_F_TEST_XDP_LIVE_FRAMES) and redirected to a
 * veth. A frame comes back from the receiver with what was done to it, so all of it is written
 * anew each time.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#define SOURCES_MAX (1 << 20)
#define PAYLOAD_BYTES 18
#define PORT_MASK 0x3fff
#define PORT_BASE 1024
/* Looks at the clock before a frame gives up waiting for its moment: far more than a gap holds. */
#define LOOKS_MAX 65536

struct frame {
  struct ethhdr eth;
  struct iphdr ip;
  struct udphdr udp;
  __u8 payload[PAYLOAD_BYTES];
} __attribute__((packed));
_Static_assert(sizeof(struct frame) == 60, "a minimal frame");

/* Written by generator.ts: same order, same bytes. */
struct orders {
  __u32 ifindex;
  __u32 sources; /* how many of the map are drawn from */
  __u32 gap_ns;  /* between two frames; 0: as fast as it goes */
  __u32 stop;    /* let the rest of the run go by without a frame */
  __be32 destination;
  __be16 port;
  __u8 to[ETH_ALEN];
  __u8 from[ETH_ALEN];
  __u8 pad[2];
  __u64 due_ns; /* of the next frame; kept by the program */
  __u64 sent;
};
_Static_assert(sizeof(struct orders) == 56, "read by generator.ts");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct orders);
} orders SEC(".maps");

/* In network order. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, SOURCES_MAX);
  __type(key, __u32);
  __type(value, __u64);
} sources SEC(".maps");

/* Not behind its time: a generator that was held up does not make up for it with a burst. */
static __always_inline void wait_for_due(struct orders *o) {
  if (!o->gap_ns) return;
  __u64 now = bpf_ktime_get_ns();
  if (now > o->due_ns + 64ull * o->gap_ns) o->due_ns = now;
  for (int i = 0; i < LOOKS_MAX && now < o->due_ns; i++) now = bpf_ktime_get_ns();
  o->due_ns += o->gap_ns;
}

static __always_inline __u32 sum16(const void *from, int bytes) {
  const __u16 *half = from;
  __u32 sum = 0;
#pragma unroll
  for (int i = 0; i < bytes / 2; i++) sum += half[i];
  return sum;
}

static __always_inline __u16 folded(__u32 sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return ~sum;
}

static __always_inline void write_frame(struct frame *f, const struct orders *o, __be32 source,
                                        __u32 random) {
  __builtin_memcpy(f->eth.h_dest, o->to, ETH_ALEN);
  __builtin_memcpy(f->eth.h_source, o->from, ETH_ALEN);
  f->eth.h_proto = bpf_htons(ETH_P_IP);
  f->ip = (struct iphdr){.version = 4,
                         .ihl = 5,
                         .tot_len = bpf_htons(sizeof(*f) - sizeof(f->eth)),
                         .ttl = 64,
                         .protocol = IPPROTO_UDP,
                         .saddr = source,
                         .daddr = o->destination};
  f->ip.check = folded(sum16(&f->ip, sizeof(f->ip)));
  __be16 length = bpf_htons(sizeof(f->udp) + PAYLOAD_BYTES);
  f->udp = (struct udphdr){
      .source = bpf_htons(PORT_BASE + (random & PORT_MASK)), .dest = o->port, .len = length};
  __builtin_memset(f->payload, 0, PAYLOAD_BYTES);
  __u32 pseudo = sum16(&f->ip.saddr, 8) + bpf_htons(IPPROTO_UDP) + length;
  __u16 check = folded(pseudo + sum16(&f->udp, sizeof(f->udp)));
  f->udp.check = check ? check : 0xffff; /* RFC 768: 0 would say that there is none */
}

SEC("xdp")
int generate(struct xdp_md *ctx) {
  struct frame *f = (void *)(long)ctx->data;
  if ((void *)(f + 1) > (void *)(long)ctx->data_end) return XDP_ABORTED;
  __u32 zero = 0;
  struct orders *o = bpf_map_lookup_elem(&orders, &zero);
  if (!o || o->stop || !o->sources) return XDP_DROP;
  __u32 random = bpf_get_prandom_u32();
  __u32 place = ((__u64)random * o->sources) >> 32;
  __u64 *source = bpf_map_lookup_elem(&sources, &place);
  if (!source) return XDP_ABORTED;
  write_frame(f, o, *source, random);
  wait_for_due(o);
  o->sent++;
  return bpf_redirect(o->ifindex, 0);
}
