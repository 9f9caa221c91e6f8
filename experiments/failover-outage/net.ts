/** The network of one trial: client – router – two edges, each in a named namespace of its own. */
import { mustRun } from '../../lab/run';

export const SERVICE = '203.0.113.10';
export const PORT = 7777;

/** Which end is cut, and how: `silent`, `mute` (the edge is not heard), `deaf` (it hears nothing), `carrier`. */
export type Fault = 'silent' | 'mute' | 'deaf' | 'carrier';

/** Of each edge: the router's address there, and its own. */
export const LINKS = [
  { router: '198.51.100.1', edge: '198.51.100.2' },
  { router: '198.51.100.5', edge: '198.51.100.6' },
] as const;
const CLIENT = { router: '192.0.2.1', client: '192.0.2.2' } as const;

/** On the router's end of the first edge's link; netdev chains see a packet before everything else. */
const HOOKS = { silent: ['ingress', 'egress'], mute: ['ingress'], deaf: ['egress'] } as const;

export interface Net {
  client: string;
  router: string;
  edges: readonly [string, string];
}

const link = (a: string, nameA: string, b: string, nameB: string): string =>
  `link add ${nameA} netns ${a} type veth peer name ${nameB} netns ${b}`;

function configure(namespace: string, ...lines: string[]): Promise<string> {
  const input = ['link set lo up', ...lines].join('\n');
  return mustRun(['ip', '-n', namespace, '-batch', '-'], { input: `${input}\n` });
}

export async function makeNet(id: string): Promise<Net> {
  const net: Net = { client: `fo${id}c`, router: `fo${id}r`, edges: [`fo${id}a`, `fo${id}b`] };
  const all = [net.client, net.router, ...net.edges];
  const lines = [
    ...all.map((name) => `netns add ${name}`),
    link(net.router, 'client', net.client, 'eth0'),
    ...net.edges.map((edge, i) => link(net.router, `edge${i}`, edge, 'eth0')),
  ];
  await mustRun(['ip', '-batch', '-'], { input: `${lines.join('\n')}\n` });
  const inside = (name: string, script: string): Promise<string> =>
    mustRun(['ip', 'netns', 'exec', name, 'sh', '-ec', script]);
  await inside(net.router, 'echo 1 >/proc/sys/net/ipv4/ip_forward');
  await configure(
    net.router,
    `address add ${CLIENT.router}/30 dev client`,
    'link set client up',
    ...LINKS.flatMap(({ router }, i) => [
      `address add ${router}/30 dev edge${i}`,
      `link set edge${i} up`,
    ]),
  );
  await configure(
    net.client,
    `address add ${CLIENT.client}/30 dev eth0`,
    'link set eth0 up',
    `route add default via ${CLIENT.router}`,
  );
  for (const [i, edge] of net.edges.entries()) {
    await configure(
      edge,
      `address add ${LINKS[i]?.edge}/30 dev eth0`,
      'link set eth0 up',
      `route add default via ${LINKS[i]?.router}`,
      `address add ${SERVICE}/32 dev lo`,
    );
  }
  return net;
}

/** From now on nothing passes the device in these directions. */
export async function dropOn(
  namespace: string,
  device: string,
  hooks: readonly ('ingress' | 'egress')[],
): Promise<void> {
  const chains = hooks.map(
    (hook) =>
      `add chain netdev cut ${hook} { type filter hook ${hook} device ${device} priority -500; policy drop; }`,
  );
  const input = `add table netdev cut\n${chains.join('\n')}\n`;
  await mustRun(['ip', 'netns', 'exec', namespace, 'nft', '-f', '-'], { input });
}

export async function removeNet({ client, router, edges }: Net): Promise<void> {
  for (const name of [client, router, ...edges]) await mustRun(['ip', 'netns', 'delete', name]);
}

/** The first edge is lost; it is not healed again. */
export async function inflict({ router, edges: [edge] }: Net, fault: Fault): Promise<void> {
  if (fault === 'carrier') {
    await mustRun(['ip', '-n', edge, 'link', 'set', 'eth0', 'down']);
    return;
  }
  await dropOn(router, 'edge0', HOOKS[fault]);
}
