/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Maps. Pinned by name below the interface's pin directory: a new program finds the old counts,
 * sets and rules. A set or the table of rules is replaced as a whole by one update of its outer
 * map, so no packet ever sees half of one.
 */
#pragma once
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "structs.h"

/* Packets and bytes by reason; per CPU, so that counting takes no lock. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, REASONS);
  __type(key, __u32);
  __type(value, struct counter);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} counters SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct filter_config);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} config SEC(".maps");

/* A set of prefixes is one array of lines, made by core/filter, as long as its list needs. */
struct set_lines {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE | BPF_F_INNER_MAP);
  __uint(max_entries, 1);
  /* By size: clang leaves the type of an inner map's value out of BTF. */
  __uint(key_size, sizeof(__u32));
  __uint(value_size, sizeof(struct set_line));
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, SETS);
  __type(key, __u32);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
  __array(values, struct set_lines);
} sets4 SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, SETS);
  __type(key, __u32);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
  __array(values, struct set_lines);
} sets6 SEC(".maps");

/* By size: clang 14 writes no BTF for a struct that only an inner map names. */
struct rule_table {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, RULES_MAX);
  __uint(key_size, sizeof(__u32));
  __uint(value_size, sizeof(struct shape_rule));
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, 1);
  __type(key, __u32);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
  __array(values, struct rule_table);
} rules SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, RATE_SOURCES_MAX);
  __type(key, struct rate_key);
  __type(value, struct rate_bucket);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} rate SEC(".maps");

/*
 * What passed to each service address; the value is that of `counters`. Only addresses that the
 * agent has put there are counted.
 */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, SERVICES_MAX);
  __type(key, __u32);
  __type(value, struct counter);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} services4 SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, SERVICES_MAX);
  __type(key, struct service6_key);
  __type(value, struct counter);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} services6 SEC(".maps");

/* Whose Seamless BFD is answered (stage_reflect.h): the agent's, it stays when no process is left.
 */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, REFLECT_MAX);
  __type(key, struct reflect_key);
  __type(value, struct reflect_peer);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} reflect SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, SAMPLE_RING_BYTES);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} samples SEC(".maps");
