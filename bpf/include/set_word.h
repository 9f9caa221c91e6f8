/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* How the words of a set are read: each once, since user space may store it at that moment. */
#pragma once
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

#include "structs.h"

/* Word `index`; 0 behind the end. */
static __always_inline __u64 set_word(void *lines, __u32 index) {
  __u32 at = index / SET_LINE_WORDS;
  struct set_line *line = bpf_map_lookup_elem(lines, &at);
  return line ? *(volatile __u64 *)&line->words[index % SET_LINE_WORDS] : 0;
}
