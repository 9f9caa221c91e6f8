/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Stage, asked last and only of packets that would be dropped: failsafe sources can never be,
 * allowed ones are spared. The verdict is the same as if it stood first, and what passes does not
 * pay.
 */
#pragma once
#include "stage.h"

/* The reason to pass it all the same, or STAGE_GO_ON. */
static __always_inline int stage_exempt(const struct packet *p, int family,
                                        const struct filter_config *cfg) {
  if (source_in(SET_FAILSAFE, p, family)) return REASON_PASS_FAILSAFE;
  if (!(cfg->stages & STAGE_ALLOW) || cfg->shadow & STAGE_ALLOW) return STAGE_GO_ON;
  return source_in(SET_ALLOW, p, family) ? REASON_PASS_ALLOW : STAGE_GO_ON;
}
