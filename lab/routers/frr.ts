/** FRR: zebra, bgpd and bfdd, each with a file of its own, asked at its vty socket as vtysh does. */
import { connect } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { TIMERS, bestFirst, isIpv6 } from './types';
import type {
  RouterBfdSession,
  RouterConfig,
  RouterNeighbor,
  RouterRoute,
  RouterSession,
  RouterSoftware,
} from './types';

const DAEMONS = '/usr/lib/frr';
const TIMEOUT_MS = 10_000;
/**
 * In a mount namespace of its own: FRR keeps traces of a crash below /var/tmp, and runs as a user who
 * can't pass the directories of root that lead to its own. Both end with the process.
 */
const WITHIN = '/var/tmp/router';
const ENTER = `set -e; mount -t tmpfs -o mode=1777 tmpfs /var/tmp; mkdir ${WITHIN}
mount --bind "$1" ${WITHIN}; shift`;
/** Who finds nobody at the socket of another daemon asks again only after 10 s. */
const AWAITS: Readonly<Record<Daemon, string>> = {
  zebra: '',
  bfdd: `until [ -S ${WITHIN}/zserv.api ]; do sleep 0.05; done`,
  bgpd: `until [ -S ${WITHIN}/bfdd.vty ]; do sleep 0.05; done`,
};

type Daemon = 'zebra' | 'bgpd' | 'bfdd';

const profileOf = (index: number): string => `n${index + 1}`;

function neighborLines(neighbor: RouterNeighbor, index: number): string[] {
  const { address, password, multihop } = neighbor;
  const set = (text: string): string => ` neighbor ${address} ${text}`;
  return [
    set(`remote-as ${neighbor.asn}`),
    set(`timers connect ${TIMERS.connectS}`),
    set('advertisement-interval 0'),
    ...(password === undefined ? [] : [set(`password ${password}`)]),
    ...(neighbor.ttlSecurity ? [set('ttl-security hops 1')] : []),
    ...(multihop === undefined ? [] : [set(`ebgp-multihop ${multihop}`)]),
    ...(neighbor.bfd ? [set('bfd'), set(`bfd profile ${profileOf(index)}`)] : []),
  ];
}

function familyLines(config: RouterConfig, ipv6: boolean): string[] {
  const neighbors = config.neighbors.filter(({ address }) => isIpv6(address) === ipv6);
  const own = config.announce.filter((prefix) => isIpv6(prefix) === ipv6);
  return [
    ` address-family ipv${ipv6 ? 6 : 4} unicast`,
    '  maximum-paths 1', // one best route, as BIRD has it
    ...own.map((prefix) => `  network ${prefix}${config.prepend ? ' route-map prepend' : ''}`),
    ...neighbors.flatMap(({ address, tellAllPaths }) => [
      `  neighbor ${address} activate`,
      ...(tellAllPaths
        ? [
            `  neighbor ${address} addpath-tx-all-paths`,
            `  neighbor ${address} attribute-unchanged next-hop`,
          ]
        : []),
    ]),
    ' exit-address-family',
  ];
}

/** FRR 8.4 takes the BFD session of a GTSM neighbour for one over several hops (bgp_bfd.c). */
function checked(config: RouterConfig): RouterConfig {
  const wrong = config.neighbors.find(({ ttlSecurity, bfd }) => ttlSecurity && bfd);
  if (wrong === undefined) return config;
  throw new Error(
    `FRR can't have BFD on one hop with ${wrong.address} and ttlSecurity, too: leave one out, or take BIRD`,
  );
}

function bgpdConf(config: RouterConfig): string {
  const prepended = `${config.asn} `.repeat(config.prepend ?? 0).trim();
  return [
    'log stdout informational',
    ...(prepended === ''
      ? []
      : ['route-map prepend permit 10', ` set as-path prepend ${prepended}`, 'exit']),
    `router bgp ${config.asn}`,
    ` bgp router-id ${config.routerId}`,
    ' no bgp ebgp-requires-policy',
    ' no bgp network import-check',
    ' no bgp default ipv4-unicast',
    ` timers bgp ${TIMERS.keepaliveS} ${TIMERS.holdS}`,
    ...config.neighbors.flatMap(neighborLines),
    ...familyLines(config, false),
    ...familyLines(config, true),
    '',
  ].join('\n');
}

/** A profile can go below the 50 ms to which the inline form is bound. */
const profile = (
  name: string,
  { intervalMs, multiplier }: { intervalMs: number; multiplier: number },
): string[] => [
  ` profile ${name}`,
  `  detect-multiplier ${multiplier}`,
  `  transmit-interval ${intervalMs}`,
  `  receive-interval ${intervalMs}`,
  ' exit',
];

function bfdPeerLines({ bfdPeers }: RouterConfig): string[] {
  if (bfdPeers === undefined) return [];
  const peers = bfdPeers.peers.flatMap(({ address, multihopFrom }) => [
    ` peer ${address}${multihopFrom === undefined ? '' : ` multihop local-address ${multihopFrom}`}`,
    '  profile peers',
    ' exit',
  ]);
  return [...profile('peers', bfdPeers), ...peers];
}

function bfddConf(config: RouterConfig): string {
  const profiles = config.neighbors.flatMap(({ bfd }, index) =>
    bfd ? profile(profileOf(index), bfd) : [],
  );
  return ['log stdout informational', 'bfd', ...profiles, ...bfdPeerLines(config), ''].join('\n');
}

function commandLine(daemon: Daemon, config: RouterConfig, directory: string): string[] {
  const below = (name: string): string => join(WITHIN, name);
  const script = `${ENTER}\n${AWAITS[daemon]}\nexec "$@"`;
  return [
    ...['unshare', '--mount', '--propagation', 'private', '--'],
    ...['sh', '-c', script, 'sh', directory],
    join(DAEMONS, daemon),
    ...['--config_file', below(`${daemon}.conf`), '--pid_file', below(`${daemon}.pid`)],
    ...['--socket', below('zserv.api'), '--vty_socket', WITHIN, '--vty_port', '0'],
    ...(daemon === 'bfdd' ? ['--bfdctl', below('bfdd.sock')] : []),
    ...(daemon === 'bgpd' && !config.kernel ? ['--no_kernel'] : []),
  ];
}

/**
 * Asks one daemon as vtysh does (lib/vty.c): commands end with NUL, an answer with three NUL and the
 * command's result, 0 = done.
 */
async function ask(directory: string, daemon: Daemon, command: string): Promise<string> {
  const socket = connect(join(directory, `${daemon}.vty`));
  socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error(`${daemon} does not answer`)));
  try {
    await once(socket, 'connect');
    let answer = '';
    for (const line of ['enable', command]) {
      socket.write(`${line}\0`);
      answer = await oneAnswer(socket, `${daemon}, "${line}"`);
    }
    return answer;
  } finally {
    socket.destroy();
  }
}

async function oneAnswer(socket: ReturnType<typeof connect>, what: string): Promise<string> {
  let bytes = Buffer.alloc(0);
  for (;;) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    bytes = Buffer.concat([bytes, chunk]);
    const end = bytes.length - 4;
    if (end < 0 || bytes.readUIntBE(end, 3) !== 0) continue;
    const text = bytes.toString('utf8', 0, end);
    if (bytes[end + 3] !== 0) throw new Error(`${what}: refused: ${text.trim()}`);
    return text;
  }
}

async function askJson<T>(directory: string, daemon: Daemon, command: string): Promise<T> {
  const text = (await ask(directory, daemon, `${command} json`)).trim();
  return JSON.parse(text === '' ? '{}' : text) as T;
}

interface Summary {
  peers?: Record<string, { state: string; pfxRcd: number; peerUptimeEstablishedEpoch?: number }>;
}

async function sessions(directory: string): Promise<RouterSession[]> {
  const all = await askJson<Record<string, Summary>>(directory, 'bgpd', 'show bgp summary');
  return Object.values(all).flatMap(({ peers }) =>
    Object.entries(peers ?? {}).map(([address, peer]) => ({
      address,
      established: peer.state === 'Established',
      state: peer.state,
      since: peer.state === 'Established' ? String(peer.peerUptimeEstablishedEpoch ?? '') : '',
      received: peer.pfxRcd,
    })),
  );
}

interface Paths {
  paths?: {
    aspath?: { string: string };
    nexthops?: { ip: string; scope?: string }[];
    bestpath?: { overall?: boolean };
    community?: { list: string[] };
  }[];
}

/** Well-known communities come by name. */
const COMMUNITIES: Readonly<Record<string, string>> = {
  gracefulShutdown: '65535:0',
  noExport: '65535:65281',
  noAdvertise: '65535:65282',
  blackhole: '65535:666',
};

async function routes(directory: string, prefix: string): Promise<RouterRoute[]> {
  const family = isIpv6(prefix) ? 'ipv6' : 'ipv4';
  const command = `show bgp ${family} unicast ${prefix}`;
  const { paths = [] } = await askJson<Paths>(directory, 'bgpd', command);
  const all = paths.map((path) => ({
    best: path.bestpath?.overall === true,
    nextHop: path.nexthops?.find(({ scope }) => scope !== 'link-local')?.ip ?? '',
    asPath: (path.aspath?.string.match(/\d+/g) ?? []).map(Number),
    communities: (path.community?.list ?? []).map((name) => COMMUNITIES[name] ?? name),
  }));
  return bestFirst(all);
}

interface BfdPeer {
  peer: string;
  status: string;
  'detect-multiplier': number;
  'remote-detect-multiplier'?: number;
  'receive-interval': number;
  'remote-transmit-interval'?: number;
}

/** RFC 5880 §6.8.4: the other's multiplier × the slower of our receiving and its sending. */
const bfdSession = (peer: BfdPeer): RouterBfdSession => ({
  address: peer.peer,
  up: peer.status === 'up',
  state: peer.status,
  detectTimeMs:
    peer['remote-detect-multiplier'] === undefined
      ? null
      : peer['remote-detect-multiplier'] *
        Math.max(peer['receive-interval'], peer['remote-transmit-interval'] ?? 0),
});

export const frr: RouterSoftware = {
  owner: 'frr:frr',
  files: (config) => ({
    'zebra.conf': 'log stdout informational\n',
    'bgpd.conf': bgpdConf(checked(config)),
    'bfdd.conf': bfddConf(config),
  }),
  processes: (config, directory) =>
    (['zebra', 'bfdd', 'bgpd'] as const).map((daemon) => ({
      name: daemon,
      argv: commandLine(daemon, config, directory),
    })),
  ready: async (_, directory) => {
    for (const daemon of ['zebra', 'bgpd', 'bfdd'] as const) {
      await ask(directory, daemon, 'show version');
    }
  },
  face: (_, directory) => ({
    sessions: () => sessions(directory),
    routes: (prefix) => routes(directory, prefix),
    bfd: async () =>
      (await askJson<BfdPeer[]>(directory, 'bfdd', 'show bfd peers')).map(bfdSession),
    reset: async (address) => void (await ask(directory, 'bgpd', `clear bgp ${address}`)),
  }),
};
