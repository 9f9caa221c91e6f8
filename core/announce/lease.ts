/** The lease (types.ts) of what is judged, and of the sessions that the spec asks for. */
import type { EdgeService } from '../model/anycast';
import type { BfdPeerSpec, BgpSpec } from '../model/bgp';
import { lessened, type Judgement } from './proof';
import type { Lease, LeasedPath, LeasedSession } from './types';

export interface LeaseInput {
  bgp: BgpSpec | null;
  bfdPeers: readonly BfdPeerSpec[];
  services: readonly EdgeService[];
  judged: readonly Judgement[];
  graceMs: number;
}

export const leaseOf = ({ bgp, bfdPeers, services, judged, graceMs }: LeaseInput): Lease => ({
  asn: bgp?.asn ?? 0,
  graceMs,
  paths: bgp === null ? [] : judged.flatMap((judgement) => pathsOf(services, judgement)),
  sessions: [...(bgp?.neighbors ?? []).flatMap(neighborSession), ...bfdPeers.map(peerSession)],
});

function pathsOf(services: readonly EdgeService[], { service, paths }: Judgement): LeasedPath[] {
  const spec = services.find(({ name }) => name === service);
  if (spec === undefined) return [];
  const { communities, prepend } = spec;
  return paths.map(({ prefix, stance }) => ({
    prefix,
    service,
    stance,
    communities: communities.map(communityOf),
    prepend,
    onExpiry: lessened(spec),
  }));
}

const neighborSession = ({
  address,
  multihop,
  bfd,
}: BgpSpec['neighbors'][number]): LeasedSession[] =>
  bfd === null
    ? []
    : [{ address, multihop: multihop !== null, ...sessionOf(bfd), bgp: true, local: null }];

const peerSession = ({ address, multihop, mode, ...bfd }: BfdPeerSpec): LeasedSession => ({
  address,
  multihop,
  ...sessionOf(bfd),
  bgp: false,
  local: bfd.local ?? null,
  ...(mode === undefined ? {} : { mode }),
});

const sessionOf = ({
  intervalMs,
  multiplier,
  holdDownMs,
}: Pick<BfdPeerSpec, 'intervalMs' | 'multiplier' | 'holdDownMs'>) => ({
  intervalMs,
  multiplier,
  holdDownMs,
});

/** `65000:100` as the u32 of RFC 1997. */
export function communityOf(text: string): number {
  const [high = '', low = ''] = text.split(':');
  return Number(high) * 0x10000 + Number(low);
}
