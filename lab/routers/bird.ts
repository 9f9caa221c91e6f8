/** BIRD 2: its configuration, and its control socket (doc/reply_codes of its sources). */
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

const BIRD = '/usr/sbin/bird';
const SOCKET = 'bird.ctl';
const TIMEOUT_MS = 5_000;

const protocolOf = (index: number): string => `n${index + 1}`;

/** Connected routes serve to resolve next hops; they are nobody else's business. */
const outgoing = ({ asn, prepend = 0 }: RouterConfig): string => `filter outgoing {
  if source = RTS_DEVICE then reject;
  if source = RTS_STATIC then { ${`bgp_path.prepend(${asn}); `.repeat(prepend)}accept; }
  accept;
}`;

function channel(neighbor: RouterNeighbor): string {
  const lines = [
    'import all;',
    'export filter outgoing;',
    ...(neighbor.tellAllPaths ? ['add paths tx;', 'next hop keep;'] : []),
    ...(neighbor.hearAllPaths ? ['add paths rx;'] : []),
  ];
  return `ipv${isIpv6(neighbor.address) ? 6 : 4} { ${lines.join(' ')} };`;
}

function bgp(config: RouterConfig, neighbor: RouterNeighbor, index: number): string {
  const { bfd, password, multihop } = neighbor;
  return `protocol bgp ${protocolOf(index)} {
  local as ${config.asn};
  neighbor ${neighbor.address} as ${neighbor.asn};
  hold time ${TIMERS.holdS};
  keepalive time ${TIMERS.keepaliveS};
  connect delay time ${TIMERS.connectS};
  connect retry time ${TIMERS.connectS};
  error wait time ${TIMERS.errorWaitS.join(', ')};
  ${multihop === undefined ? 'direct' : `multihop ${multihop}`};
  ${neighbor.ttlSecurity ? 'ttl security on;' : ''}
  ${password === undefined ? '' : `password "${password}";`}
  ${bfd ? `bfd { interval ${bfd.intervalMs} ms; multiplier ${bfd.multiplier}; };` : ''}
  ${channel(neighbor)}
}`;
}

function family(config: RouterConfig, number: 4 | 6): string {
  const own = config.announce.filter((prefix) => isIpv6(prefix) === (number === 6));
  const routes = own.map((prefix) => `route ${prefix} blackhole;`).join(' ');
  const kernel = `protocol kernel kernel${number} {
  ipv${number} { import none; export where source = RTS_BGP; };
}`;
  // What it announces may be an address of its own as well: the connected route would be preferred.
  return `protocol direct direct${number} { ipv${number}; }
protocol static own${number} { ipv${number} { preference 250; }; ${routes} }
${config.kernel ? kernel : ''}`;
}

function bfd({ bfdPeers }: RouterConfig): string {
  if (bfdPeers === undefined) return 'protocol bfd { }';
  const { intervalMs, multiplier, peers } = bfdPeers;
  const timers = `{ interval ${intervalMs} ms; multiplier ${multiplier}; }`;
  const neighbors = peers.map(({ address, multihopFrom }) => {
    const far = multihopFrom === undefined ? '' : ` local ${multihopFrom} multihop yes`;
    return `  neighbor ${address}${far};`;
  });
  return `protocol bfd {
  interface "*" ${timers};
  multihop ${timers};
${neighbors.join('\n')}
}`;
}

function configuration(config: RouterConfig): string {
  return `router id ${config.routerId};
log stderr all;
protocol device { scan time 1; }
${bfd(config)}
${outgoing(config)}
${family(config, 4)}
${family(config, 6)}
${config.neighbors.map((neighbor, i) => bgp(config, neighbor, i)).join('\n')}
`;
}

/** Lines of the answer, without their codes. Codes from 8000 on are errors. */
async function ask(directory: string, command: string): Promise<string[]> {
  const socket = connect(join(directory, SOCKET));
  socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error('BIRD does not answer')));
  try {
    await once(socket, 'connect');
    socket.setEncoding('utf8');
    socket.write(`${command}\n`);
    let text = '';
    for await (const chunk of socket) {
      text += String(chunk);
      // The greeting is one answer, the command's is the next.
      if ([...text.matchAll(/^\d{4} .*\n/gm)].length >= 2) break;
    }
    const lines = text.split('\n').slice(1);
    // Of a prefix that it has no route to it says 8001.
    const failure = lines.find((line) => /^(?!8001)[89]\d{3}[ -]/.test(line));
    if (failure !== undefined) throw new Error(`BIRD on "${command}": ${failure}`);
    return lines.map((line) => line.replace(/^(\d{4}[ -]| )/, ''));
  } finally {
    socket.destroy();
  }
}

const capture = (text: string, pattern: RegExp): string => pattern.exec(text)?.[1] ?? '';

async function session(
  directory: string,
  { address }: RouterNeighbor,
  index: number,
): Promise<RouterSession> {
  const text = (await ask(directory, `show protocols all ${protocolOf(index)}`)).join('\n');
  const state = capture(text, /BGP state:\s+(\S+)/);
  return {
    address,
    established: state === 'Established',
    state,
    since: capture(text, /BGP\s+\S+\s+up\s+(\S+)\s+Established/),
    received: Number(capture(text, /Routes:\s+(\d+) imported/)),
  };
}

const numbers = (text: string): number[] => (text.match(/\d+/g) ?? []).map(Number);

function parseRoutes(lines: readonly string[]): RouterRoute[] {
  const routes: RouterRoute[] = [];
  for (const line of lines) {
    const head = /\b(unicast|blackhole|unreachable)\s+\[\S+ .*?\]( \*)?/.exec(line);
    if (head !== null) {
      routes.push({ best: head[2] !== undefined, nextHop: '', asPath: [], communities: [] });
    }
    const route = routes.at(-1);
    const attribute = /^\s*BGP\.(\w+): (.*)$/.exec(line);
    if (route === undefined || attribute === null) continue;
    const [, name, value = ''] = attribute;
    if (name === 'as_path') route.asPath = numbers(value);
    if (name === 'next_hop') route.nextHop = value.split(' ')[0] ?? '';
    if (name === 'community') {
      route.communities = [...value.matchAll(/\((\d+),(\d+)\)/g)].map(([, a, b]) => `${a}:${b}`);
    }
  }
  return bestFirst(routes);
}

/** `IP address  Interface  State  Since  Interval  Timeout`, seconds. */
function parseBfd(line: string): RouterBfdSession[] {
  const [address = '', , state = '', , , timeout = ''] = line.trim().split(/\s+/);
  if (!/^[\da-f]*[.:][\d.a-f:]+$/.test(address)) return [];
  return [
    { address, up: state === 'Up', state, detectTimeMs: Math.round(Number(timeout) * 1_000) },
  ];
}

export const bird: RouterSoftware = {
  owner: null,
  files: (config) => ({ 'bird.conf': configuration(config) }),
  processes: (_, directory) => [
    {
      name: 'bird',
      argv: [
        BIRD,
        '-f',
        '-c',
        join(directory, 'bird.conf'),
        '-s',
        join(directory, SOCKET),
        '-P',
        join(directory, 'bird.pid'),
      ],
    },
  ],
  ready: async (_, directory) => void (await ask(directory, 'show status')),
  face: (config, directory) => ({
    sessions: () => Promise.all(config.neighbors.map((one, i) => session(directory, one, i))),
    routes: async (prefix) => parseRoutes(await ask(directory, `show route all ${prefix}`)),
    bfd: async () => (await ask(directory, 'show bfd sessions')).flatMap(parseBfd),
    reset: async (address) => {
      const index = config.neighbors.findIndex((one) => one.address === address);
      await ask(directory, `restart ${protocolOf(index)}`);
    },
  }),
};
