/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Maps. Pinned by name below the interface's pin directory: a new program finds the old counts. */
#pragma once
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "structs.h"

/* Packets and bytes that entered, by class; per CPU, so that counting takes no lock. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, COUNTER_CLASSES);
  __type(key, __u32);
  __type(value, struct counter);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} counters SEC(".maps");
