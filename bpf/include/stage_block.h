/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Stage: sources that are blocked by a list or by hand. */
#pragma once
#include "stage.h"

static __always_inline int stage_block(const struct packet *p, int family,
                                       const struct filter_config *cfg, struct findings *found) {
  if (!(cfg->stages & STAGE_BLOCK)) return STAGE_GO_ON;
  if (source_in(SET_BLOCK, p, family)) {
    if (likely(!(cfg->shadow & STAGE_BLOCK))) return REASON_DROP_BLOCK;
    found->shadow |= 1u << REASON_SHADOW_BLOCK;
    return STAGE_GO_ON;
  }
  if (source_in(SET_SHADOW, p, family)) found->shadow |= 1u << REASON_SHADOW_BLOCK;
  return STAGE_GO_ON;
}
