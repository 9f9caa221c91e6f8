/** How each fault is brought about in a lab, and how it ends. */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setClock } from '../../lab/clocks';
import { agentOf } from '../../lab/declare';
import { impersonate } from '../../lab/impostor';
import { type Severed, apart, mend, sever } from '../../lab/partitions';
import { paths } from '../../lab/state';
import type { Cluster } from './cluster';
import { compact, fillDisk } from './etcd';
import { type FaultName, type Planned, clockStep } from './schedule';
import { staleOwner, staleWriter } from './stale';

export interface Inflicted {
  /** Ends the fault; what is left of it is for Aether to mend. */
  undo: () => Promise<void>;
  /** Processes that end, or may. */
  ends: readonly string[];
  /** What has to be over before anything new is wished; its time is the recovery's. */
  settles?: () => Promise<void>;
}

type Infliction = (cluster: Cluster, planned: Planned) => Promise<Inflicted>;

const TEMPORAL = 'temporal';
const over = (ends: readonly string[]): Inflicted => ({ undo: () => Promise.resolve(), ends });
const without = (all: readonly string[], these: readonly string[]): string[] =>
  all.filter((name) => !these.includes(name));
const first = ({ who }: Planned): string => who[0] ?? '';

/** Nothing of a kind passes between those, until it is mended. */
const severing =
  (severed: (cluster: Cluster, planned: Planned) => Severed[]): Infliction =>
  async (cluster, planned) => {
    await sever(cluster.lab, severed(cluster, planned));
    return { undo: () => mend(cluster.lab), ends: [] };
  };

const killing =
  (victim: (planned: Planned) => string): Infliction =>
  (cluster, planned) => {
    cluster.lab.kill(victim(planned));
    return Promise.resolve(over([victim(planned)]));
  };

/** Ended, and kept from being started. */
const away: Infliction = async ({ lab }, { who }) => {
  await Promise.all(who.map((name) => lab.stop(name)));
  return {
    undo: async () => void (await Promise.all(who.map((name) => lab.start(name)))),
    ends: who,
  };
};

function pause(cluster: Cluster, name: string): Inflicted {
  cluster.lab.kill(name, 'SIGSTOP');
  const undo = (): Promise<void> => Promise.resolve(cluster.lab.kill(name, 'SIGCONT'));
  return { undo, ends: [] };
}

const pausing: Infliction = (cluster, planned) => Promise.resolve(pause(cluster, first(planned)));

const clock =
  (process: (planned: Planned) => string): Infliction =>
  ({ lab }, planned) => {
    setClock(lab, process(planned), clockStep(planned));
    return Promise.resolve({
      undo: () => Promise.resolve(setClock(lab, process(planned), 0)),
      ends: [],
    });
  };

/** Reached by the second name's address, beside the one that is there. */
const duplicateName: Infliction = (cluster, { who }) => {
  const { lab } = cluster;
  const [name = '', host = ''] = who;
  const address = cluster.address(host);
  const state = join(paths.host(lab.stateDir, host), 'twin');
  const twin = impersonate(lab, name, {
    host,
    as: `twin-of-${name}`,
    env: {
      AETHER_STATE_DIR: state,
      AETHER_EDGE_LISTEN: `${address}:7710`,
      AETHER_GOSSIP_LISTEN: `${address}:7711`,
      AETHER_ADMIN_LISTEN: `${address}:7712`,
      AETHER_ADMIN_SOCKET: '/run/aether/twin.sock',
      AETHER_METRICS_LISTEN: '127.0.0.1:7713',
    },
  });
  // The one that has the name may give way to it: both say that they are the one.
  return Promise.resolve({ undo: () => twin.end(), ends: [name] });
};

const foreignKey: Infliction = async (cluster, planned) => {
  const { lab } = cluster;
  const name = first(planned);
  const keys = join(paths.host(lab.stateDir, name), 'foreign.keys');
  writeFileSync(keys, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
  await lab.stop(name);
  const stranger = impersonate(lab, name, {
    host: name,
    as: `stranger-${name}`,
    env: { AETHER_GOSSIP_KEYS: keys },
  });
  const undo = async (): Promise<void> => {
    await stranger.end();
    await lab.start(name);
  };
  return { undo, ends: [name] };
};

/** What a controller misses while it is cut off is gone when it comes back. */
const compaction: Infliction = async (cluster, planned) => {
  const { lab, shape } = cluster;
  await sever(lab, apart(planned.who, shape.etcds));
  const undo = async (): Promise<void> => {
    await compact(lab);
    await mend(lab);
  };
  return { undo, ends: [] };
};

const diskFull: Infliction = async (cluster, planned) => {
  const name = first(planned);
  return { undo: await fillDisk(cluster.lab, name), ends: [name] };
};

const oneWay = (these: readonly string[], those: readonly string[], lot: number): Severed[] => {
  const [from, to] = lot < 0.5 ? [these, those] : [those, these];
  return [{ from, to, traffic: 'all' }];
};

export const INFLICTIONS: Readonly<Record<FaultName, Infliction>> = {
  controllerKilled: killing(first),
  controllerRestarted: away,
  controllerPaused: pausing,
  staleOwner,
  staleWriter,
  gossipUdpCut: severing(({ shape }, { who }) =>
    apart(who, without(shape.controllers, who), 'udp'),
  ),
  controllerTcpCut: severing(({ shape }, { who }) =>
    apart(who, without(shape.controllers, who), 'tcp'),
  ),
  controllerOneWay: severing(({ shape }, { who, lot }) =>
    oneWay(who, without(shape.controllers, who), lot),
  ),
  controllersParted: severing(({ shape }, { who }) => apart(who, without(shape.controllers, who))),
  controllerAlone: severing(({ shape: { controllers, etcds, edges } }, { who }) =>
    apart(who, without([...controllers, ...etcds, ...edges, TEMPORAL], who)),
  ),
  etcdUnreachable: severing(({ shape }, { who }) => apart(who, shape.etcds)),
  etcdOneWay: severing(({ shape }, { who }) => [{ from: shape.etcds, to: who, traffic: 'all' }]),
  temporalUnreachable: severing((_, { who }) => apart(who, [TEMPORAL])),
  temporalParted: severing(({ shape: { controllers, edges } }) =>
    apart([TEMPORAL], [...controllers, ...edges]),
  ),
  temporalOneWay: severing((_, { who, lot }) => oneWay(who, [TEMPORAL], lot)),
  temporalKilled: killing(() => TEMPORAL),
  edgeParted: severing(({ shape }, { who }) => apart(who, shape.controllers)),
  edgeOneWay: severing(({ shape }, { who, lot }) => oneWay(who, shape.controllers, lot)),
  edgeFromOne: severing((_, { who }) => apart(who.slice(0, 1), who.slice(1))),
  etcdKilled: killing(first),
  etcdPaused: pausing,
  etcdMemberParted: severing(({ shape }, { who }) => apart(who, without(shape.etcds, who))),
  etcdMemberOneWay: severing(({ shape }, { who, lot }) =>
    oneWay(who, without(shape.etcds, who), lot),
  ),
  splitBrain: severing(({ shape: { controllers, etcds, edges } }, { who }) =>
    apart(who, without([...controllers, ...etcds, ...edges, TEMPORAL], who)),
  ),
  quorumLost: away,
  etcdGone: away,
  compaction,
  diskFull,
  controllerClock: clock(first),
  edgeClock: clock((planned) => agentOf(first(planned))),
  duplicateName,
  foreignKey,
};
