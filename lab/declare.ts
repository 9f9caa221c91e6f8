/** The processes of a lab: command lines and environments, as a person would set them by hand. */
import { join } from 'node:path';
import {
  CONTROLLER_SERVER_NAME,
  ETCD_PEER_NAME,
  TEMPORAL_SERVER_NAME,
} from '../adapters/ca/identity';
import type { NodeResource } from '../core/model/node';
import { clockVariables } from './clocks';
import { echoCommand } from './echo';
import { OBSERVER_PORT, ROUTER_DIRECTORY } from './peering';
import type { LabRouter } from './peering';
import { software } from './routers';
import type { LabRecord, ProcessDeclaration } from './state';
import { paths } from './state';
import { temporalArguments } from './temporal-server';
import { ROOT, needTool } from './tools';
import { hostsOf, speaksBgp } from './topology';
import type { Host, Topology } from './topology';

export const ETCD_PORT = 2379;
const ETCD_PEER_PORT = 2380;
export const EDGE_STREAM_PORT = 7700;
const GOSSIP_PORT = 7701;
const ADMIN_PORT = 7702;
export const TEMPORAL_PORT = 7233;
export const UI_PORT = 8233;
/** In the root of each host's own file system view: the defaults of controller and agent. */
export const ADMIN_SOCKET = '/run/aether/admin.sock';
export const EDGE_SOCKET = '/run/aether/edge.sock';
export const BFD_SOCKET = '/run/aether/bfd.sock';
export const SIM_SOCKET = '/run/aether/sim.sock';
export const GOBGP_SOCKET = '/run/aether/gobgp.sock';
/** Below the working directory of an etcd: its health, for those outside its network namespace. */
export const ETCD_HEALTH_SOCKET = 'health.sock';

export interface Wanted {
  stateDir: string;
  topology: Topology;
  nodes: readonly NodeResource[];
  routers: readonly LabRouter[];
  ports: { temporal: number; ui: number };
  logLevel: string;
  /** Controllers and agents have wall clocks that can be set (clocks.ts). */
  clocks: boolean;
  toolsDirectory?: string;
}

type Declared = Omit<ProcessDeclaration, 'env' | 'listen'> &
  Partial<Pick<ProcessDeclaration, 'env' | 'listen'>>;

/** Each process works in its host's own directory below the lab's state. */
function declare(wanted: Wanted, declared: Declared): ProcessDeclaration {
  const directory = paths.host(wanted.stateDir, declared.host);
  return {
    env: {},
    listen: [],
    ...declared,
    argv: ['env', `--chdir=${directory}`, ...declared.argv],
  };
}

const clockOf = ({ clocks, stateDir }: Wanted, process: string): Record<string, string> =>
  clocks ? clockVariables(paths.clock(stateDir, process)) : {};

interface Credentials {
  ca: string;
  cert: string;
  key: string;
}

function credentials(wanted: Wanted, role: string, id: string): Credentials {
  const directory = paths.certificates(wanted.stateDir);
  return {
    ca: join(directory, 'ca.pem'),
    cert: join(directory, role, `${id}.pem`),
    key: join(directory, role, `${id}.key`),
  };
}

const tlsVariables = (prefix: string, { ca, cert, key }: Credentials): Record<string, string> => ({
  [`${prefix}_CA`]: ca,
  [`${prefix}_CERT`]: cert,
  [`${prefix}_KEY`]: key,
});

const url = (host: Host, port: number): string => `https://${host.address}:${port}`;

function etcd(wanted: Wanted, host: Host): ProcessDeclaration {
  const members = hostsOf(wanted.topology, 'etcd');
  const tls = credentials(wanted, 'etcd', host.name);
  const both = (kind: '' | 'peer-'): string[] => [
    `--${kind}trusted-ca-file=${tls.ca}`,
    `--${kind}cert-file=${tls.cert}`,
    `--${kind}key-file=${tls.key}`,
    `--${kind}client-cert-auth`,
  ];
  return declare(wanted, {
    name: host.name,
    host: host.name,
    argv: [
      needTool('etcd', wanted.toolsDirectory),
      `--name=${host.name}`,
      '--data-dir=data',
      `--listen-client-urls=${url(host, ETCD_PORT)}`,
      `--advertise-client-urls=${url(host, ETCD_PORT)}`,
      `--listen-peer-urls=${url(host, ETCD_PEER_PORT)}`,
      `--initial-advertise-peer-urls=${url(host, ETCD_PEER_PORT)}`,
      `--initial-cluster=${members.map((member) => `${member.name}=${url(member, ETCD_PEER_PORT)}`).join(',')}`,
      `--listen-metrics-urls=unix://${ETCD_HEALTH_SOCKET}`,
      // Timings for one site; clients ping at twice the interval allowed here.
      '--heartbeat-interval=50',
      '--election-timeout=250',
      '--grpc-keepalive-min-time=500ms',
      '--log-level=warn',
      ...both(''),
      ...both('peer-'),
      // Each certificate of the authority would do: an edge's as well.
      `--client-cert-allowed-hostname=${CONTROLLER_SERVER_NAME}`,
      `--peer-cert-allowed-hostname=${ETCD_PEER_NAME}`,
    ],
  });
}

function temporal(wanted: Wanted, host: Host): ProcessDeclaration[] {
  const argv = temporalArguments({
    binary: needTool('temporal', wanted.toolsDirectory),
    address: '127.0.0.1',
    port: TEMPORAL_PORT,
    uiPort: UI_PORT,
    database: 'temporal.db',
  });
  const targets = [`127.0.0.1:${TEMPORAL_PORT}`, `127.0.0.1:${UI_PORT}`];
  const { ca, cert, key } = credentials(wanted, 'temporal', host.name);
  const door = [`${host.address}:${TEMPORAL_PORT}`, `127.0.0.1:${TEMPORAL_PORT}`, ca, cert, key];
  return [
    declare(wanted, { name: 'temporal', host: host.name, argv }),
    declare(wanted, {
      name: 'temporal-door',
      host: host.name,
      argv: [process.execPath, join(ROOT, 'dist/lab/temporal-door.js'), ...door],
    }),
    declare(wanted, {
      name: 'forward',
      host: host.name,
      argv: [process.execPath, join(ROOT, 'dist/lab/forward.js'), ...targets],
      listen: [wanted.ports.temporal, wanted.ports.ui],
    }),
  ];
}

const temporalVariables = (
  topology: Topology,
  { ca, cert, key }: Credentials,
): Record<string, string> => ({
  TEMPORAL_ADDRESS: hostsOf(topology, 'temporal')
    .map((host) => `${host.address}:${TEMPORAL_PORT}`)
    .join(','),
  TEMPORAL_NAMESPACE: 'default',
  TEMPORAL_TLS_SERVER_CA_CERT_PATH: ca,
  TEMPORAL_TLS_SERVER_NAME: TEMPORAL_SERVER_NAME,
  TEMPORAL_TLS_CLIENT_CERT_PATH: cert,
  TEMPORAL_TLS_CLIENT_KEY_PATH: key,
});

function controller(wanted: Wanted, host: Host): ProcessDeclaration {
  const tls = credentials(wanted, 'controller', host.name);
  const etcds = hostsOf(wanted.topology, 'etcd');
  return declare(wanted, {
    name: host.name,
    host: host.name,
    argv: [process.execPath, '--enable-source-maps', join(ROOT, 'dist/workers/controller.js')],
    env: {
      AETHER_CONTROLLER_ID: host.name,
      AETHER_STATE_DIR: paths.host(wanted.stateDir, host.name),
      AETHER_ETCD_ENDPOINTS: etcds.map((member) => url(member, ETCD_PORT)).join(','),
      AETHER_EDGE_LISTEN: `${host.address}:${EDGE_STREAM_PORT}`,
      AETHER_ADMIN_SOCKET: ADMIN_SOCKET,
      AETHER_ADMIN_LISTEN: `${host.address}:${ADMIN_PORT}`,
      AETHER_GOSSIP_LISTEN: `${host.address}:${GOSSIP_PORT}`,
      AETHER_GOSSIP_KEYS: paths.gossipKeys(wanted.stateDir),
      ...clockOf(wanted, host.name),
      AETHER_TEMPORAL_UI_URL: `http://127.0.0.1:${wanted.ports.ui}`,
      AETHER_LOG_LEVEL: wanted.logLevel,
      ...tlsVariables('AETHER_TLS', tls),
      ...tlsVariables('AETHER_ETCD', tls),
      ...temporalVariables(wanted.topology, tls),
      ...observers(wanted.topology),
    },
  });
}

const observers = (topology: Topology): Record<string, string> => {
  const all = hostsOf(topology, 'observer').map(
    ({ name, address }) => `${name}=${address}:${OBSERVER_PORT}`,
  );
  return all.length === 0 ? {} : { AETHER_OBSERVERS: all.join(',') };
};

/** Name of the process that is the agent of an edge. */
export const agentOf = (edge: string): string => `agent@${edge}`;

const dialled = ({ topology }: Wanted): string =>
  hostsOf(topology, 'controller')
    .map(({ address }) => `${address}:${EDGE_STREAM_PORT}`)
    .join(',');

function agent(wanted: Wanted, host: Host): ProcessDeclaration {
  return declare(wanted, {
    name: agentOf(host.name),
    host: host.name,
    argv: [
      process.execPath,
      '--max-semi-space-size=2', // MiB; what starting leaves behind would stay for minutes
      '--enable-source-maps',
      join(ROOT, 'dist/workers/edge-agent.js'),
    ],
    env: {
      ...clockOf(wanted, agentOf(host.name)),
      AETHER_NODE: host.name,
      AETHER_CONTROLLERS: dialled(wanted),
      AETHER_STATE_DIR: join(paths.host(wanted.stateDir, host.name), 'agent'),
      AETHER_LOG_LEVEL: wanted.logLevel,
      ...tlsVariables('AETHER_TLS', credentials(wanted, 'edge', host.name)),
    },
  });
}

/** Certificates are read where the lab's authority has issued them, one for each edge. */
function fleet(wanted: Wanted, host: Host): ProcessDeclaration {
  return declare(wanted, {
    name: host.name,
    host: host.name,
    argv: [process.execPath, '--enable-source-maps', join(ROOT, 'dist/workers/sim.js')],
    env: {
      AETHER_SIM_NODES: paths.simNodes(wanted.stateDir, host.name),
      AETHER_SIM_CERTIFICATES: paths.certificates(wanted.stateDir),
      AETHER_SIM_SOCKET: SIM_SOCKET,
      AETHER_CONTROLLERS: dialled(wanted),
      AETHER_STATE_DIR: paths.host(wanted.stateDir, host.name),
      AETHER_LOG_LEVEL: 'warn',
    },
  });
}

export const gobgpdOf = (edge: string): string => `gobgpd@${edge}`;
export const bfdOf = (edge: string): string => `bfd@${edge}`;

/** What speaks for an edge: siblings of its agent, each found by its socket. */
function speakers(wanted: Wanted, host: Host): ProcessDeclaration[] {
  const gobgpd = needTool('gobgpd', wanted.toolsDirectory);
  // gobgpd does not take a socket's path that a former one has left.
  const flags = `--api-hosts=unix://${GOBGP_SOCKET} --pprof-disable --metrics-path=`;
  const script = `rm -f ${GOBGP_SOCKET}; exec ${gobgpd} ${flags}`;
  return [
    declare(wanted, { name: gobgpdOf(host.name), host: host.name, argv: ['sh', '-c', script] }),
    declare(wanted, {
      name: bfdOf(host.name),
      host: host.name,
      argv: [process.execPath, '--enable-source-maps', join(ROOT, 'dist/workers/bfd.js')],
      env: {
        AETHER_STATE_DIR: join(paths.host(wanted.stateDir, host.name), 'bfd'),
        AETHER_BFD_SOCKET: BFD_SOCKET,
        AETHER_GOBGP_SOCKET: GOBGP_SOCKET,
        AETHER_LOG_LEVEL: wanted.logLevel,
      },
    }),
  ];
}

export const echoOf = (edge: string): string => `echo@${edge}`;

/** What an edge announces has to be there: a service in the node's first namespace. */
function echo(wanted: Wanted, { metadata, spec }: NodeResource): ProcessDeclaration[] {
  const namespace = spec.namespaces[0]?.name;
  if (namespace === undefined) return [];
  const { name } = metadata;
  return [declare(wanted, { name: echoOf(name), host: name, argv: echoCommand(name, namespace) })];
}

/** `bird@router-eu-central`, `gobgpd@observer`. */
const routerProcesses = (wanted: Wanted, { host, kind, config }: LabRouter): ProcessDeclaration[] =>
  software[kind]
    .processes(config, ROUTER_DIRECTORY)
    .map(({ name, argv }) => declare(wanted, { name: `${name}@${host}`, host, argv }));

export function declareProcesses(wanted: Wanted): LabRecord['processes'] {
  const { topology } = wanted;
  const speaking = new Set(wanted.nodes.filter(speaksBgp).map(({ metadata }) => metadata.name));
  const edges = hostsOf(topology, 'edge');
  return [
    ...hostsOf(topology, 'etcd').map((host) => etcd(wanted, host)),
    ...hostsOf(topology, 'temporal').flatMap((host) => temporal(wanted, host)),
    ...hostsOf(topology, 'controller').map((host) => controller(wanted, host)),
    ...wanted.routers.flatMap((router) => routerProcesses(wanted, router)),
    ...edges.filter(({ name }) => speaking.has(name)).flatMap((host) => speakers(wanted, host)),
    ...edges.map((host) => agent(wanted, host)),
    ...hostsOf(topology, 'fleet').map((host) => fleet(wanted, host)),
    ...wanted.nodes.filter(speaksBgp).flatMap((node) => echo(wanted, node)),
  ];
}
