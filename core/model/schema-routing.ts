/** BGP and BFD of a Node, as its users write them and as they are kept. */
import { z } from 'zod';
import type { BfdPeerSpec, BfdSpec, BgpSpec, NeighborSpec } from './bgp';
import { formatDuration, parseDuration } from './duration';
import { canonicalAddress, parseAddress } from './prefix';
import {
  destination,
  duration,
  DURATION_EXPECTED,
  gateway,
  list,
  parsed,
  strict,
  text,
  unicastAddress,
  whole,
} from './schema-parts';

const MINUTE = 60_000;
/** RFC 4271 §4.2: two octets of seconds; zero would mean to keep a dead session for ever. */
const HOLD_TIME = { minMs: 3_000, maxMs: 65_535_000 } as const;
const MAX_PREFIXES = 10_000_000;

export const DEFAULT_BFD: BfdSpec = { intervalMs: 300, multiplier: 3, holdDownMs: 1_000 };
export const DEFAULT_NEIGHBOR = {
  passwordRef: null,
  ttlSecurity: false,
  multihop: null,
  holdTimeMs: 9_000,
  maxPrefixes: 1_000,
  bfd: null,
} as const satisfies Omit<NeighborSpec, 'address' | 'asn'>;
export const DEFAULT_BGP = {
  listenPort: 179,
  importPrefixes: [],
  installRoutes: false,
} as const satisfies Omit<BgpSpec, 'asn' | 'routerId' | 'neighbors'>;

/** Of no autonomous system: AS_TRANS (RFC 6793), the last of two octets and of four (RFC 7300). */
const NO_ASN = new Set([23_456, 65_535, 4_294_967_295]);
const ASN_EXPECTED = 'an AS number from 1 to 4294967294; not 23456 or 65535, which are reserved';
const asn = whole(1, 4_294_967_294, ASN_EXPECTED)
  .refine((value) => !NO_ASN.has(value), { error: ASN_EXPECTED })
  .meta({ description: ASN_EXPECTED });

const isRouterId = (value: string): boolean => {
  const address = parseAddress(value);
  return address?.family === 4 && address.bits !== 0n;
};
const routerId = parsed(
  isRouterId,
  canonicalAddress,
  'a router id in dotted form, as 10.0.0.1; of no other node, and not 0.0.0.0',
);

const PEER_EXPECTED = 'the address of a peer, without a prefix length, as 198.51.100.1';
const peerAddress = unicastAddress(PEER_EXPECTED);

const localAddress = unicastAddress('an address of this node that the peer knows it by');
const bfdMode = z.enum(['asynchronous', 'seamless'], { error: 'asynchronous or seamless' });

const passwordRef = text(
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
  "the name of a file in the agent's directory of secrets; never the secret itself",
);

const INTERVAL_EXPECTED = `${DURATION_EXPECTED}; 10ms to 1m, below 50ms between Aether edges only`;
const HOLD_DOWN_EXPECTED = `${DURATION_EXPECTED}; at most 1h`;
const HOLD_TIME_EXPECTED = 'whole seconds from 3s to 65535s, as 9s or 1m30s';

const multiplier = whole(1, 255, 'a whole number from 1 to 255');
const multihop = whole(2, 255, 'how many hops the peer is away at most, from 2 to 255');
const maxPrefixes = whole(1, MAX_PREFIXES, `a whole number from 1 to ${MAX_PREFIXES}`);
const listenPort = whole(1, 65_535, 'a TCP port from 1 to 65535, or null to dial only');
const trueOrFalse = z.boolean({ error: 'true or false' });

/** RFC 5880 §6.8.1; `holdDown` is ours. */
const userBfdFields = {
  interval: duration(10, MINUTE, INTERVAL_EXPECTED).default(formatDuration(DEFAULT_BFD.intervalMs)),
  multiplier: multiplier.default(DEFAULT_BFD.multiplier),
  holdDown: duration(0, 60 * MINUTE, HOLD_DOWN_EXPECTED).default(
    formatDuration(DEFAULT_BFD.holdDownMs),
  ),
};

const holdTime = duration(HOLD_TIME.minMs, HOLD_TIME.maxMs, HOLD_TIME_EXPECTED).refine(
  (value) => (parseDuration(value) ?? 0) % 1_000 === 0,
  { error: HOLD_TIME_EXPECTED },
);

const userNeighbor = strict({
  address: peerAddress,
  asn,
  passwordRef: passwordRef.optional(),
  ttlSecurity: trueOrFalse
    .default(DEFAULT_NEIGHBOR.ttlSecurity)
    .meta({ description: 'GTSM (RFC 5082): only packets that crossed no router are taken.' }),
  multihop: multihop.optional(),
  holdTime: holdTime.default(formatDuration(DEFAULT_NEIGHBOR.holdTimeMs)),
  maxPrefixes: maxPrefixes
    .default(DEFAULT_NEIGHBOR.maxPrefixes)
    .meta({ description: 'Of a family; the session goes down where more come in.' }),
  bfd: strict(userBfdFields).optional(),
});

export const userBgp = strict({
  asn,
  routerId,
  listenPort: listenPort.nullable().default(DEFAULT_BGP.listenPort),
  importPrefixes: list(destination)
    .default([])
    .meta({ description: 'What may enter from neighbors, these and longer ones; nothing else.' }),
  installRoutes: trueOrFalse
    .default(DEFAULT_BGP.installRoutes)
    .meta({ description: "Best paths go into the host's main table." }),
  neighbors: list(userNeighbor).default([]),
}).meta({ description: 'BGP of this node; only prefixes of services leave.' });

export const userBfdPeer = strict({
  address: peerAddress,
  multihop: trueOrFalse
    .default(true)
    .meta({ description: 'RFC 5883; false for a peer on a link of this host (RFC 5881).' }),
  local: localAddress.optional().meta({ description: 'Own address to send from.' }),
  mode: bfdMode.default('asynchronous').meta({
    description: "seamless: the peer's XDP program answers (RFC 7880), as does ours; needs local.",
  }),
  outOfService: trueOrFalse
    .default(false)
    .meta({ description: 'The peer is told AdminDown, which is no failure; seamless only.' }),
  ...userBfdFields,
}).meta({ description: 'A BFD session without BGP, with an edge of another region.' });

const bfdFields = {
  intervalMs: whole(10, MINUTE, 'ms'),
  multiplier,
  holdDownMs: whole(0, 60 * MINUTE, 'ms'),
};

export const normalisedBgp = strict({
  asn,
  routerId,
  listenPort: listenPort.nullable(),
  importPrefixes: list(destination),
  installRoutes: trueOrFalse,
  neighbors: list(
    strict({
      address: gateway,
      asn,
      passwordRef: passwordRef.nullable(),
      ttlSecurity: trueOrFalse,
      multihop: multihop.nullable(),
      holdTimeMs: whole(HOLD_TIME.minMs, HOLD_TIME.maxMs, 'ms'),
      maxPrefixes,
      bfd: strict(bfdFields).nullable(),
    }),
  ),
});

export const normalisedBfdPeer = strict({
  address: gateway,
  multihop: trueOrFalse,
  local: gateway.exactOptional(),
  mode: z.literal('seamless').exactOptional(),
  outOfService: z.literal(true).exactOptional(),
  ...bfdFields,
});

type UserBfd = z.output<z.ZodObject<typeof userBfdFields>>;
type UserNeighbor = z.output<typeof userNeighbor>;

const normaliseBfd = ({ interval, multiplier: times, holdDown }: UserBfd): BfdSpec => ({
  intervalMs: parseDuration(interval) ?? 0,
  multiplier: times,
  holdDownMs: parseDuration(holdDown) ?? 0,
});

const normaliseNeighbor = ({ holdTime: hold, bfd, ...rest }: UserNeighbor): NeighborSpec => ({
  ...rest,
  passwordRef: rest.passwordRef ?? null,
  multihop: rest.multihop ?? null,
  holdTimeMs: parseDuration(hold) ?? 0,
  bfd: bfd === undefined ? null : normaliseBfd(bfd),
});

export const normaliseBgp = (bgp: z.output<typeof userBgp>): BgpSpec => ({
  ...bgp,
  neighbors: bgp.neighbors.map(normaliseNeighbor),
});

export const normaliseBfdPeer = (peer: z.output<typeof userBfdPeer>): BfdPeerSpec => ({
  address: peer.address,
  multihop: peer.multihop,
  ...(peer.local === undefined ? {} : { local: peer.local }),
  ...(peer.mode === 'seamless' ? { mode: peer.mode } : {}),
  ...(peer.outOfService ? { outOfService: true } : {}),
  ...normaliseBfd(peer),
});

const bfdForm = ({ intervalMs, multiplier: times, holdDownMs }: BfdSpec) => ({
  interval: formatDuration(intervalMs),
  multiplier: times,
  holdDown: formatDuration(holdDownMs),
});

const neighborForm = (neighbor: NeighborSpec): z.input<typeof userNeighbor> => {
  const { holdTimeMs, passwordRef: secret, multihop: hops, bfd, ...rest } = neighbor;
  return {
    ...rest,
    holdTime: formatDuration(holdTimeMs),
    ...(secret === null ? {} : { passwordRef: secret }),
    ...(hops === null ? {} : { multihop: hops }),
    ...(bfd === null ? {} : { bfd: bfdForm(bfd) }),
  };
};

/** As its user would write it. */
export const bgpForm = (bgp: BgpSpec): z.input<typeof userBgp> => ({
  ...bgp,
  neighbors: bgp.neighbors.map(neighborForm),
});

export const bfdPeerForm = (peer: BfdPeerSpec): z.input<typeof userBfdPeer> => ({
  address: peer.address,
  multihop: peer.multihop,
  ...(peer.local === undefined ? {} : { local: peer.local }),
  ...(peer.mode === undefined ? {} : { mode: peer.mode }),
  ...(peer.outOfService === undefined ? {} : { outOfService: peer.outOfService }),
  ...bfdForm(peer),
});
