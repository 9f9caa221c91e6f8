/** How fast a cluster gossips. All of its members share one profile: a mixed cluster works, by the slower numbers. */
import type { Profile } from './types';

/**
 * memberlist's DefaultLANConfig (config.go): whoever stands still for 3 s is forgiven, a death is known after 6 s; but of
 * a killed process, which its host tells apart, after 5 (decision 0100).
 */
export const LAN: Profile = {
  probeMs: 1_000,
  probeTimeoutMs: 500,
  indirect: 3,
  gossipMs: 200,
  gossipTo: 3,
  retransmit: 4,
  pushPullMs: 30_000,
  suspicion: 4,
  suspicionOf: { refused: 3, hanging: 4 },
  suspicionMax: 6,
  confirmations: 2,
  awarenessMax: 7,
  directTo: 16,
  deadMs: 30_000,
  beatMs: 200,
};

/**
 * For controllers, whose work shall go on within seconds: a death is known after one. What makes that bearable is that
 * a killed process and one that stands still are told apart (decision 0100): the former's host refuses the
 * connection, the latter's takes it. The one is suspected for 0.5 s, long enough for others to look; the other for
 * 2 s. Where the host itself says nothing it is 1 s, after a probe: a machine may stand still for as long.
 */
export const FAST: Profile = {
  probeMs: 250,
  probeTimeoutMs: 100,
  indirect: 3,
  gossipMs: 50,
  gossipTo: 3,
  retransmit: 4,
  pushPullMs: 15_000,
  suspicion: 4,
  suspicionOf: { refused: 2, hanging: 8 },
  suspicionMax: 6,
  confirmations: 1,
  awarenessMax: 7,
  directTo: 16,
  deadMs: 30_000,
  beatMs: 50,
};

export const PROFILES = { lan: LAN, fast: FAST } as const;
