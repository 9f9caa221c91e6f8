/** Nodes, and how a controller registers, for tests. */
import { NO_ROUTING, plainFilter, type NodeResource } from '../../../core/model/node';
import type { ControllerValue } from '../../../core/model/values';

export const exampleController = (over: Partial<ControllerValue> = {}): ControllerValue => ({
  boot: 'test',
  weight: 1,
  draining: false,
  edgeAddress: '127.0.0.1:7700',
  gossipAddress: null,
  adminAddress: null,
  ...over,
});

/** One link in one namespace; `octet` keeps the addresses of several nodes apart. */
export function nodeResource(
  name: string,
  octet: number,
  policy: NodeResource['spec']['repair']['policy'] = 'auto',
): NodeResource {
  return {
    apiVersion: 'aether.dev/v1',
    kind: 'Node',
    metadata: { name, region: 'test', labels: {} },
    spec: {
      namespaces: [
        {
          name: 'edge',
          links: [
            {
              name: 'edge0',
              peer: 'eth0',
              mtu: 1500,
              hostAddresses: [`10.77.${octet}.1/30`],
              addresses: [`10.77.${octet}.2/30`],
            },
          ],
          routes: [{ to: '0.0.0.0/0', via: `10.77.${octet}.1` }],
          sysctls: { 'net.ipv4.ip_forward': '1' },
        },
      ],
      filters: [plainFilter('uplink0')],
      ...NO_ROUTING,
      // The agent alone must not be what repairs in these tests.
      repair: { policy, budget: { attempts: 50, perMs: 600_000 }, autonomyAfterMs: 60_000 },
    },
  };
}
