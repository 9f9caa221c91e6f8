/** A small BPF object for the tests of the addon, compiled when asked for. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SOURCE = `
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";
const volatile __u32 verdict = XDP_PASS;
const volatile __u32 target = 0;

struct words {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE | BPF_F_INNER_MAP);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
};
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, 2);
  __type(key, __u32);
  __array(values, struct words);
} outer SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);
} ring SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} hits SEC(".maps");

static __always_inline int hit(void) {
  __u32 key = 0;
  __u64 *count = bpf_map_lookup_elem(&hits, &key);
  if (count) __sync_fetch_and_add(count, 1);
  return 0;
}

/* The second word of the inner map at 0; 0 where there is none. */
SEC("xdp") int inner_word(struct xdp_md *ctx) {
  __u32 slot = 0, word = 1;
  void *inner = bpf_map_lookup_elem(&outer, &slot);
  __u64 *value = inner ? bpf_map_lookup_elem(inner, &word) : 0;
  return value ? *value : 0;
}
SEC("xdp") int rodata_verdict(struct xdp_md *ctx) { return verdict; }
/* The frame's first byte, that many times. */
SEC("xdp") int to_ring(struct xdp_md *ctx) {
  __u8 *data = (void *)(long)ctx->data;
  if (data + 1 > (__u8 *)(long)ctx->data_end) return XDP_ABORTED;
  __u8 record[12] = {data[0], data[0], data[0]};
  return bpf_ringbuf_output(&ring, record, sizeof record, 0) ? XDP_DROP : XDP_PASS;
}
SEC("xdp") int redirect(struct xdp_md *ctx) { return bpf_redirect(target, 0); }
SEC("tc") int on_tc(struct __sk_buff *skb) { hit(); return -1; }
SEC("cgroup_skb/egress") int on_cgroup(struct __sk_buff *skb) { hit(); return 1; }
SEC("tp_btf/sched_switch") int on_switch(void *ctx) { return hit(); }
`;

let compiled: Uint8Array | null = null;

export function testObject(): Uint8Array {
  if (compiled) return compiled;
  const directory = mkdtempSync(join(tmpdir(), 'aether-bpf-'));
  const [source, object] = [join(directory, 'test.bpf.c'), join(directory, 'test.bpf.o')];
  const machine = execFileSync('gcc', ['-dumpmachine'], { encoding: 'utf8' }).trim();
  try {
    writeFileSync(source, SOURCE);
    const flags = ['-g', '-O2', '-target', 'bpf', '-mcpu=v3', `-I/usr/include/${machine}`];
    // Not under the sanitizers that may be preloaded into this process.
    const clang = ['-u', 'LD_PRELOAD', 'clang', ...flags, '-c', source, '-o', object];
    execFileSync('env', clang, { stdio: 'pipe' });
    compiled = readFileSync(object);
  } finally {
    rmSync(directory, { recursive: true });
  }
  return compiled;
}
