/** For tests: what the published examples declare. */
import type { AnycastServiceResource, EdgeService, AnycastServiceSpec } from './anycast';
import { API_VERSION, type NamespaceSpec } from './node';
import type { BfdSessionView } from './routing';
import { hostPrefix } from './service-ways';

/** A link, a route and a sysctl in one namespace; `index`, from 1, keeps the addresses of nodes apart. */
export const exampleNamespace = (index = 1): NamespaceSpec => ({
  name: 'edge',
  links: [
    {
      name: 'edge0',
      peer: 'eth0',
      mtu: 1500,
      hostAddresses: [`10.10.${index}.1/30`, `fd10:${index}::1/64`],
      addresses: [`10.10.${index}.2/30`, `fd10:${index}::2/64`],
    },
  ],
  routes: [{ to: '0.0.0.0/0', via: `10.10.${index}.1` }],
  sysctls: { 'net.ipv4.ip_forward': '1' },
});

/** A service of the nodes with `tier: edge`, in the namespace of `exampleNamespace`. */
export const exampleService = (
  name = 'web',
  over: Partial<AnycastServiceSpec> = {},
): AnycastServiceResource => ({
  apiVersion: API_VERSION,
  kind: 'AnycastService',
  metadata: { name, labels: {} },
  spec: {
    prefixes: ['203.0.113.10/32', '2001:db8:a::10/128'],
    addresses: ['203.0.113.10', '2001:db8:a::10'],
    namespace: 'edge',
    nodes: { tier: 'edge' },
    regions: [],
    minAnnouncers: 1,
    lastAnnouncer: 'deprefer',
    health: null,
    communities: [],
    prepend: 0,
    ...over,
  },
});

/** A service as an edge gets it that is to announce it. */
export const exampleEdgeService = (
  name: string,
  addresses: string[],
  namespace = 'edge',
): EdgeService => ({
  name,
  namespace,
  prefixes: addresses.map(hostPrefix),
  addresses,
  commanded: { stance: 'announce', why: '' },
  permit: false,
  lastAnnouncer: 'deprefer',
  health: null,
  communities: [],
  prepend: 0,
});

/** A BFD session with an edge of another region that is up. */
export const exampleBfdSession = (
  local: string,
  peer: string,
  over: Partial<BfdSessionView> = {},
): BfdSessionView => ({
  peer,
  local,
  multihop: true,
  state: 'up',
  remoteState: 'up',
  sinceMs: 0,
  diagnostic: 'noDiagnostic',
  remoteDiagnostic: 'noDiagnostic',
  localDiscriminator: 1,
  remoteDiscriminator: 2,
  transmitIntervalMs: 100,
  detectTimeMs: 300,
  remoteMultiplier: 3,
  refused: null,
  packets: { sent: 1, received: 1, dropped: 0 },
  downs: 0,
  lateMaxMs: 0.2,
  gapMaxMs: 101.5,
  ...over,
});
