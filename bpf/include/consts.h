/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Numbers shared by all programs. */
#pragma once

/* What a stage says where it has no verdict of its own: the next one decides. */
#define STAGE_GO_ON (-1)

/* VLAN tags that are looked through (802.1Q inside 802.1ad). */
#define MAX_VLAN_DEPTH 2
