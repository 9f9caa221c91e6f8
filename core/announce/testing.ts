/** Builders that the tests of this folder share. */
import type { EdgeService } from '../model/anycast';
import { EMPTY_LEDGER, type ObservedHost } from '../model/host';
import { linkAlias } from '../model/ids';
import { plainFilter } from '../model/node';
import type { Input } from '../plan/survey';
import { FILTER_TAG, linkNamed, specOf } from '../plan/testing';
import type { HostEvidence } from './host';

export const ADDRESS = '203.0.113.10';
export const PREFIX = `${ADDRESS}/32`;

export const service = (change: Partial<EdgeService> = {}): EdgeService => ({
  name: 'dns',
  namespace: 'edge',
  prefixes: [PREFIX],
  addresses: [ADDRESS],
  commanded: { stance: 'announce', why: '' },
  permit: false,
  lastAnnouncer: 'deprefer',
  health: null,
  communities: [],
  prepend: 0,
  ...change,
});

/** A look by which nothing is lost of these services. */
export const clean = (services: readonly EdgeService[], atMs: number): HostEvidence => ({
  atMs,
  services: Object.fromEntries(
    services.map(({ name, addresses }) => [
      name,
      { all: [], addresses: Object.fromEntries(addresses.map((address) => [address, []])) },
    ]),
  ),
});

const NODE = 'fra-1';
const INODE = 4_026_531_999;
const LINK = {
  name: 'edge0',
  peer: 'eth0',
  mtu: 1500,
  hostAddresses: ['10.0.0.1/31'],
  addresses: ['10.0.0.0/31'],
};
const SPEC = {
  ...specOf([{ name: 'edge', links: [LINK], routes: [], sysctls: {} }], [plainFilter('uplink0')]),
  node: NODE,
};

/** A host as it should be for `service()`: what `change` does to it afterwards is the fault. */
export function observedHost(change: (host: ObservedHost) => void = () => undefined): Input {
  const host: ObservedHost = {
    root: {
      inode: 1,
      links: [
        { ...linkNamed('uplink0', 2, null) },
        {
          ...linkNamed('edge0', 7, 'veth'),
          alias: linkAlias(NODE, 'edge', 'edge0', 'host'),
          peerIfindex: 3,
          peerInode: INODE,
        },
      ],
      routes: [{ to: PREFIX, via: '10.0.0.0', ifindex: 7, protocol: 174, metric: 0 }],
      sysctls: {},
    },
    namespaces: {
      edge: {
        state: 'mounted',
        inode: INODE,
        links: [
          { ...linkNamed('lo', 1, null), addresses: [{ address: PREFIX, protocol: 174 }] },
          {
            ...linkNamed('eth0', 3, 'veth'),
            alias: linkAlias(NODE, 'edge', 'edge0', 'peer'),
            peerIfindex: 7,
            peerInode: 1,
          },
        ],
        routes: [],
        sysctls: {},
      },
    },
    filters: [
      {
        interface: 'uplink0',
        ifindex: 2,
        attached: { programId: 5, tag: FILTER_TAG, mode: 'native', ours: true },
        pin: { ifindex: 2, programId: 5, tag: FILTER_TAG },
        contents: { state: 'right', detail: null },
      },
    ],
    interrupted: false,
  };
  change(host);
  return {
    spec: SPEC,
    observed: host,
    ledger: { ...EMPTY_LEDGER, namespaces: { edge: { inode: INODE } } },
    filterTag: FILTER_TAG,
    stages: null,
  };
}
