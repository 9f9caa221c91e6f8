/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Where the intervals of the latency tracker end. What they mean: docs/notes/latency.md. */
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "latency.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, LATENCY_FORWARD + LATENCY_SLOTS);
  __type(key, __u32);
  __type(value, struct latency_histogram);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} latency_histograms SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct latency_config);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} latency_config SEC(".maps");

/* nsfs inodes of the namespaces whose TCP readers count: one kernel may carry others' as well. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 65536);
  __type(key, __u32);
  __type(value, __u32);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} latency_netns SEC(".maps");

static __always_inline struct latency_config *configuration(void) {
  __u32 key = 0;
  return bpf_map_lookup_elem(&latency_config, &key);
}

static __always_inline void record(__u32 key, __u64 ns) {
  struct latency_histogram *histogram = bpf_map_lookup_elem(&latency_histograms, &key);
  if (histogram) latency_record(histogram, ns);
}

/* Leaves every packet as it is, and what other programs do with it to them. */
SEC("tc")
int latency_egress(struct __sk_buff *skb) {
  struct latency_stamp *stamp = (void *)(long)skb->data_meta;
  if ((void *)(stamp + 1) > (void *)(long)skb->data) return TC_ACT_UNSPEC;
  if (stamp->magic != LATENCY_MAGIC) return TC_ACT_UNSPEC;
  struct latency_config *config = configuration();
  if (!config) return TC_ACT_UNSPEC;
  __u32 ifindex = stamp->ifindex;
#pragma unroll
  for (int slot = 0; slot < LATENCY_SLOTS; slot++) {
    if (config->slots[slot].ifindex != ifindex) continue;
    record(LATENCY_FORWARD + slot, bpf_ktime_get_ns() - stamp->at_ns);
    break;
  }
  return TC_ACT_UNSPEC;
}

/* What of the kernel's structures is asked; offsets come from its BTF. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct ns_common {
  unsigned int inum;
};
struct net {
  struct ns_common ns;
};
typedef struct {
  struct net *net;
} possible_net_t;
struct sock_common {
  unsigned int skc_hash;
  possible_net_t skc_net;
};
struct sock {
  struct sock_common __sk_common;
  __u16 sk_protocol;
};
struct tcp_sock {
  __u32 copied_seq;
};
struct sk_buff {
  struct sock *sk;
  __s64 tstamp;
  int skb_iif;
  unsigned int len;
  char cb[48];
};
#pragma clang attribute pop

#define LOOPBACK_IFINDEX 1

/* Whether this copy takes the packet's last byte: then, and only then, it has been delivered. */
static __always_inline bool ends_packet(struct sk_buff *skb, struct sock *sk, __u32 len) {
  if (len == skb->len) return true; /* all of it at once, mostly */
  __u32 begin;                      /* tcp_skb_cb.seq: of the packet's first byte */
  if (bpf_probe_read_kernel(&begin, sizeof(begin), &skb->cb)) return false;
  return BPF_CORE_READ((struct tcp_sock *)sk, copied_seq) - begin + len == skb->len;
}

/* Every recv of any socket comes by here: what is none of ours goes first. */
SEC("tp_btf/skb_copy_datagram_iovec")
int latency_deliver(__u64 *ctx) {
  struct sk_buff *skb = (void *)ctx[0];
  __u32 len = ctx[1];
  struct sock *sk = skb->sk;
  if (!sk || sk->sk_protocol != IPPROTO_TCP) return 0;
  if (!skb->tstamp || skb->skb_iif == LOOPBACK_IFINDEX) return 0;
  struct latency_config *config = configuration();
  if (!config || !config->track || sk->__sk_common.skc_hash > (__u32)config->track) return 0;
  __u32 netns = sk->__sk_common.skc_net.net->ns.inum;
  if (!bpf_map_lookup_elem(&latency_netns, &netns)) return 0;
  if (!ends_packet(skb, sk, len)) return 0;
  record(LATENCY_TCP, bpf_ktime_get_tai_ns() - config->tai_offset_ns - skb->tstamp);
  return 0;
}

struct reading {
  __u64 value;
  __u64 bucket;
};

/* For BPF_PROG_TEST_RUN: the bucket of the value in front of the packet. */
SEC("xdp")
int latency_bucket_of(struct xdp_md *ctx) {
  struct reading *reading = (void *)(long)ctx->data;
  if ((void *)(reading + 1) > (void *)(long)ctx->data_end) return XDP_ABORTED;
  reading->bucket = latency_bucket(reading->value);
  return XDP_PASS;
}

/* For BPF_PROG_TEST_RUN: what the kernel's TAI clock says, to learn its offset from UTC. */
SEC("xdp")
int latency_clock(struct xdp_md *ctx) {
  struct reading *reading = (void *)(long)ctx->data;
  if ((void *)(reading + 1) > (void *)(long)ctx->data_end) return XDP_ABORTED;
  reading->value = bpf_ktime_get_tai_ns();
  return XDP_PASS;
}
