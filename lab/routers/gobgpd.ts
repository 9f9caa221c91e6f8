/** gobgpd by its file and the `gobgp` command: shares no code with the adapter that Aether drives it by. */
import { join } from 'node:path';
import { run } from '../run';
import { needTool } from '../tools';
import { TIMERS, bestFirst, isIpv6 } from './types';
import type {
  RouterConfig,
  RouterNeighbor,
  RouterRoute,
  RouterSession,
  RouterSoftware,
} from './types';

const SOCKET = 'gobgp.sock';
/** RFC 4271 §8.2.2. */
const STATES = ['unknown', 'idle', 'connect', 'active', 'openSent', 'openConfirm', 'established'];
/** Path attributes by their number (RFC 4271 §4.3, 1997, 4760). */
const ATTRIBUTE = { asPath: 2, nextHop: 3, communities: 8, reach: 14 } as const;

function neighborToml(neighbor: RouterNeighbor): string {
  const { bfd, password, multihop } = neighbor;
  const family = isIpv6(neighbor.address) ? 'ipv6-unicast' : 'ipv4-unicast';
  return `[[neighbors]]
[neighbors.config]
neighbor-address = "${neighbor.address}"
peer-as = ${neighbor.asn}
${password === undefined ? '' : `auth-password = "${password}"`}
[neighbors.timers.config]
hold-time = ${TIMERS.holdS}
keepalive-interval = ${TIMERS.keepaliveS}
connect-retry = ${TIMERS.connectS}
idle-hold-time-after-reset = ${TIMERS.connectS}
${neighbor.ttlSecurity ? '[neighbors.ttl-security.config]\nenabled = true\nttl-min = 255' : ''}
${multihop === undefined ? '' : `[neighbors.ebgp-multihop.config]\nenabled = true\nmultihop-ttl = ${multihop}`}
${
  bfd
    ? `[neighbors.bfd.config]
enabled = true
desired-minimum-tx-interval = ${bfd.intervalMs * 1_000}
required-minimum-receive = ${bfd.intervalMs * 1_000}
detection-multiplier = ${bfd.multiplier}`
    : ''
}
[[neighbors.afi-safis]]
[neighbors.afi-safis.config]
afi-safi-name = "${family}"
[neighbors.afi-safis.add-paths.config]
receive = ${neighbor.hearAllPaths === true}
${neighbor.tellAllPaths ? 'send-max = 16' : ''}
`;
}

/** A prefix set holds one family. */
function hearing(hears: readonly string[]): string {
  const families = [false, true].map((ipv6) => hears.filter((prefix) => isIpv6(prefix) === ipv6));
  const sets = families.map((prefixes, i) => {
    const list = prefixes.map((prefix) => {
      const range = `${prefix.slice(prefix.indexOf('/') + 1)}..${isIpv6(prefix) ? 128 : 32}`;
      return `[[defined-sets.prefix-sets.prefix-list]]
ip-prefix = "${prefix}"
masklength-range = "${range}"`;
    });
    return `[[defined-sets.prefix-sets]]\nprefix-set-name = "heard${i}"\n${list.join('\n')}`;
  });
  const statements = families.map(
    (_, i) => `[[policy-definitions.statements]]
[policy-definitions.statements.conditions.match-prefix-set]
prefix-set = "heard${i}"
[policy-definitions.statements.actions]
route-disposition = "accept-route"`,
  );
  return `[global.apply-policy.config]
import-policy-list = ["hear"]
default-import-policy = "reject-route"
default-export-policy = "reject-route"
${sets.join('\n')}
[[policy-definitions]]
name = "hear"
${statements.join('\n')}
`;
}

const configuration = (config: RouterConfig): string => `[global.config]
as = ${config.asn}
router-id = "${config.routerId}"
${config.hears === undefined ? '' : hearing(config.hears)}
${config.neighbors.map(neighborToml).join('')}`;

async function gobgp(directory: string, argv: readonly string[]): Promise<string> {
  const target = `unix://${join(directory, SOCKET)}`;
  const { code, stdout, stderr } = await run([needTool('gobgp'), '--target', target, ...argv]);
  if (code !== 0) throw new Error(`gobgp ${argv.join(' ')}: ${(stderr || stdout).trim()}`);
  return stdout;
}

async function gobgpJson<T>(directory: string, ...argv: readonly string[]): Promise<T | null> {
  const text = await gobgp(directory, [...argv, '-j']);
  return /^\s*[[{]/.test(text) ? (JSON.parse(text) as T) : null;
}

interface Neighbor {
  conf: { neighbor_address: string };
  timers?: { state?: { uptime?: { seconds?: number } } };
  state: { session_state?: number; bfd_state?: { session_state?: number } };
  afi_safis?: { state?: { accepted?: number } }[];
}

const neighbors = async (directory: string): Promise<Neighbor[]> =>
  (await gobgpJson<Neighbor[]>(directory, 'neighbor')) ?? [];

function session({ conf, state, timers, afi_safis = [] }: Neighbor): RouterSession {
  const name = STATES[state.session_state ?? 0] ?? 'unknown';
  return {
    address: conf.neighbor_address,
    established: name === 'established',
    state: name,
    since: name === 'established' ? String(timers?.state?.uptime?.seconds ?? '') : '',
    received: afi_safis.reduce((sum, one) => sum + (one.state?.accepted ?? 0), 0),
  };
}

interface PathJson {
  best?: boolean;
  attrs: {
    type: number;
    as_paths?: { asns?: number[] }[];
    nexthop?: string;
    communities?: number[];
  }[];
}

function route({ attrs, best }: PathJson): RouterRoute {
  const find = (type: number): PathJson['attrs'][number] | undefined =>
    attrs.find((attribute) => attribute.type === type);
  const communities = find(ATTRIBUTE.communities)?.communities ?? [];
  return {
    best: best === true,
    nextHop: (find(ATTRIBUTE.nextHop) ?? find(ATTRIBUTE.reach))?.nexthop ?? '',
    asPath: (find(ATTRIBUTE.asPath)?.as_paths ?? []).flatMap(({ asns = [] }) => asns),
    communities: communities.map((value) => `${value >>> 16}:${value & 0xffff}`),
  };
}

async function routes(directory: string, prefix: string): Promise<RouterRoute[]> {
  const family = isIpv6(prefix) ? 'ipv6' : 'ipv4';
  const argv = ['global', 'rib', prefix, '-a', family];
  type Answer = Record<string, PathJson[]> | PathJson[];
  const answer = await gobgpJson<Answer>(directory, ...argv).catch((error: unknown) => {
    if (String(error).includes('not in table')) return null;
    throw error;
  });
  const paths = Array.isArray(answer) ? answer : (answer?.[prefix] ?? []);
  return bestFirst(paths.map(route));
}

export const gobgpd: RouterSoftware = {
  owner: null,
  files: (config) => {
    if (config.kernel) throw new Error('gobgpd writes no routes into the kernel');
    return { 'gobgpd.toml': configuration(config) };
  },
  processes: (config, directory) => {
    const listen = [`unix://${join(directory, SOCKET)}`, ...(config.apiListen ?? [])];
    const file = join(directory, 'gobgpd.toml');
    const argv = [
      needTool('gobgpd'),
      '-t',
      'toml',
      '-f',
      file,
      `--api-hosts=${listen.join(',')}`,
      '--pprof-disable',
      '--metrics-path=',
    ];
    return [{ name: 'gobgpd', argv }];
  },
  ready: async (config, directory) => {
    await gobgp(directory, ['global']);
    const prepended = Array.from({ length: config.prepend ?? 0 }, () => config.asn).join(',');
    for (const prefix of config.announce) {
      const family = isIpv6(prefix) ? 'ipv6' : 'ipv4';
      const path = prepended === '' ? [] : ['aspath', prepended];
      await gobgp(directory, ['global', 'rib', 'add', prefix, ...path, '-a', family]);
    }
  },
  face: (_, directory) => ({
    sessions: async () => (await neighbors(directory)).map(session),
    routes: (prefix) => routes(directory, prefix),
    bfd: async () =>
      (await neighbors(directory)).flatMap(({ conf, state: { bfd_state } }) => {
        if (bfd_state?.session_state === undefined) return [];
        const state = String(bfd_state.session_state);
        return [{ address: conf.neighbor_address, up: false, state, detectTimeMs: null }];
      }),
    reset: async (address) => void (await gobgp(directory, ['neighbor', address, 'reset'])),
  }),
};
