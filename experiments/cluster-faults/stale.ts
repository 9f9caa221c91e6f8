/**
 * Owners whose machine is suspended in the middle of what they do: when they wake, others own, and they don't know;
 * their clocks say that their leases hold. What they do then must be refused, and the history says that it was.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { keys } from '../../core/model/keys';
import { validateBlocklist } from '../../core/model/schema-blocklist';
import { shardOf } from '../../core/ring/shard';
import { type Suspended, suspend } from '../../lab/clocks';
import { EDGE_STREAM_PORT, ETCD_PORT } from '../../lab/declare';
import { faultsOf } from '../../lab/faults';
import type { Lab } from '../../lab/lab';
import { apart, mend, sever } from '../../lab/partitions';
import { ROOT } from '../../lab/tools';
import { eventually } from '../../lab/wait';
import type { Cluster } from './cluster';
import { type Owner, ownerOf, read } from './etcd';
import type { Inflicted } from './faults';
import { type Planned, feedOf } from './schedule';

const TEMPORAL = 'temporal';
/** For each step until the owner wakes, and for what it does then to be refused. */
const STEP_MS = 30_000;
const REFUSED_WITHIN_MS = 15_000;
/** A write is under way, and has most of its time left. */
const UNDER_WAY_MS = 300;

/** Connections of a host that match are reset at its end, so that it need not find out by itself. */
const reset = (lab: Lab, host: string, match: readonly string[]): Promise<string> =>
  lab.must(host, ['ss', '-K', '-Htn', ...match]);

/** An edge reaches only those controllers, and is told at once that it does not reach the others. */
async function only(cluster: Cluster, edge: string, reached: readonly string[]): Promise<void> {
  const { lab, shape } = cluster;
  const others = shape.controllers.filter((name) => !reached.includes(name));
  await free(cluster, edge);
  for (const address of others.map((name) => cluster.address(name))) {
    await lab.must(edge, ['ip', 'route', 'add', 'unreachable', `${address}/32`]);
    await reset(lab, edge, ['dst', address]);
  }
}

async function free(cluster: Cluster, edge: string): Promise<void> {
  for (const name of cluster.shape.controllers) {
    const route = ['unreachable', `${cluster.address(name)}/32`];
    await cluster.lab.exec(edge, ['ip', 'route', 'delete', ...route]);
  }
}

/** Of what hashes to this shard: until somebody else than `former` owns it. */
async function othersOwn(cluster: Cluster, name: string, former: string): Promise<Owner> {
  const other = async (): Promise<Owner | null> => {
    const owner = await ownerOf(cluster.lab, shardOf(name));
    return owner?.controller === former ? null : owner;
  };
  return eventually(`others own the shard of ${name}`, other, { within: STEP_MS });
}

/**
 * Whoever owns an edge is asked for changes and has a repair to decide, loses its network but the edges, and is
 * suspended. The edge hears who owns it since, and obeys that one; then it reaches nobody but the former owner, which
 * wakes and wants it to have what it wanted before. What drifts is nothing that a service stands on: it would be
 * withdrawn for that.
 */
export async function staleOwner(cluster: Cluster, { who, lot }: Planned): Promise<Inflicted> {
  const { lab, shape } = cluster;
  const [fallback = '', edge = ''] = who;
  const owner = (await cluster.ownerOf(edge)) ?? fallback;
  const others = shape.controllers.filter((name) => name !== owner);
  for (const argv of faultsOf(cluster.node(edge)).sysctlChanged.commands) {
    await lab.exec(edge, argv);
  }
  void cluster.wish(edge, owner);
  void cluster.wish(edge, owner);
  await delay(lot * 60);
  const [suspended] = await Promise.all([
    suspend(lab, owner),
    sever(lab, apart([owner], [...others, ...shape.etcds, TEMPORAL])),
  ]);
  const refused = (): number =>
    cluster.count((entry) => entry.kind === 'unheard' && entry.edge === edge);
  const undo = async (): Promise<void> => {
    const before = refused();
    try {
      await othersOwn(cluster, edge, owner);
      await obeyOthers(cluster, edge, owner);
      await only(cluster, edge, [owner]);
      const dials = async (): Promise<boolean> => {
        const match = ['state', 'established', 'dst', cluster.address(owner)];
        const { stdout } = await lab.exec(edge, ['ss', '-Htn', ...match]);
        return stdout.includes(`:${EDGE_STREAM_PORT}`);
      };
      await eventually(`${edge} dials ${owner}`, dials, { within: STEP_MS });
      suspended.wake();
      await eventually(`${edge} has refused a command`, () => refused() > before, {
        within: REFUSED_WITHIN_MS,
      });
    } catch (error) {
      cluster.missed((error as Error).message);
      suspended.wake();
    } finally {
      await free(cluster, edge);
      await mend(lab);
      suspended.catchUp();
    }
  };
  // What it was asked for before is written by then, or never: else it might come after all that is wished then.
  return { undo, ends: [], settles: () => cluster.answered() };
}

/** The edge can't but find out who owns it, and takes a spec that the former owner has never heard of. */
async function obeyOthers(cluster: Cluster, edge: string, former: string): Promise<void> {
  const others = cluster.shape.controllers.filter((name) => name !== former);
  const obeyed = (): number =>
    cluster.count(
      (entry) => entry.kind === 'obeys' && entry.edge === edge && entry.controller !== former,
    );
  const before = obeyed();
  await only(cluster, edge, others);
  await eventually(`${edge} obeys another one`, () => obeyed() > before, { within: STEP_MS });
  const [asked = ''] = others;
  const accepted = async (): Promise<boolean> =>
    (await cluster.wish(edge, asked)).outcome === 'accepted';
  await eventually(`${asked} takes a spec for ${edge}`, accepted, { within: STEP_MS });
  await cluster.shows(edge, STEP_MS);
}

/**
 * A controller that owns a feed is to write that it could not be loaded; it loses etcd, and is suspended while it
 * tries to. When others own, etcd is back and it wakes: the write goes on, under a token of before.
 */
export async function staleWriter(cluster: Cluster, planned: Planned): Promise<Inflicted> {
  const { lab, shape } = cluster;
  const name = feedOf(planned);
  const feed = await serveFeed(cluster, name);
  const owner = await feed.asked;
  await sever(lab, apart([owner], shape.etcds));
  feed.answer();
  await delay(UNDER_WAY_MS);
  const suspended = await suspend(lab, owner);
  const undo = async (): Promise<void> => {
    try {
      await wakeWriter(cluster, name, owner, suspended);
    } catch (error) {
      cluster.missed((error as Error).message);
      suspended.wake();
    } finally {
      await mend(lab);
      suspended.catchUp();
    }
  };
  return { undo, ends: [], settles: feed.end };
}

async function wakeWriter(
  cluster: Cluster,
  name: string,
  owner: string,
  suspended: Suspended,
): Promise<void> {
  const { lab } = cluster;
  const refused = (): number =>
    cluster.count((entry) => entry.kind === 'refused' && entry.shard === shardOf(name));
  const before = refused();
  const { token } = await othersOwn(cluster, name, owner);
  await mend(lab);
  // Else its kernel waits for as long as it was cut off before it sends again.
  await reset(lab, owner, ['dport', '=', `:${ETCD_PORT}`]);
  suspended.wake();
  // Looked at all the while: the next owner writes there as well, soon.
  const settled = async (): Promise<boolean> => {
    const written = await read(lab, keys.feed(name));
    // Nobody else was told so.
    if (written?.value.includes('404') !== true) return refused() > before;
    cluster.add({ kind: 'wrote', controller: owner, revision: written.modRevision, token });
    return true;
  };
  await eventually(`a write of ${owner} is refused`, settled, { within: REFUSED_WITHIN_MS });
}

interface Served {
  /** The controller that loads it, and waits. */
  asked: Promise<string>;
  /** It gets an answer. */
  answer: () => void;
  end: () => Promise<void>;
}

const PORT = 7990;

/** Declares a feed for nobody, whose first loading is in our hands. */
async function serveFeed(cluster: Cluster, name: string): Promise<Served> {
  const { lab, shape } = cluster;
  const address = cluster.address(TEMPORAL);
  const script = join(ROOT, 'dist/experiments/cluster-faults/feed-server.js');
  const { argv, env } = lab.command(TEMPORAL, [process.execPath, script, address, String(PORT)]);
  const [command = '', ...args] = argv;
  const server = spawn(command, args, { env, stdio: ['pipe', 'pipe', 'inherit'] });
  const lines: string[] = [];
  createInterface({ input: server.stdout }).on('line', (line) => lines.push(line));
  await eventually('the feed is served', () => lines.length > 0, { within: STEP_MS });
  const result = validateBlocklist({
    apiVersion: 'aether.dev/v1',
    kind: 'Blocklist',
    metadata: { name },
    spec: { nodes: { tier: 'nobody' }, feed: { url: `http://${address}:${PORT}/`, refresh: '1d' } },
  });
  if (!result.ok) throw new Error(JSON.stringify(result));
  const each = (what: string, act: (controller: string) => Promise<unknown>): Promise<string> => {
    let turn = 0;
    const next = async (): Promise<string> => {
      const controller = shape.controllers[turn++ % shape.controllers.length] ?? '';
      await act(controller);
      return controller;
    };
    return eventually(what, next, { within: STEP_MS });
  };
  await each('the feed is declared', async (controller) => {
    using admin = cluster.admin(controller);
    await admin.apply([result.resource], null);
  });
  const asks = (): string | undefined =>
    shape.controllers.find((one) => lines[1]?.endsWith(cluster.address(one)));
  return {
    asked: eventually('somebody loads the feed', asks, { within: STEP_MS }),
    answer: () => server.stdin.write('now\n'),
    end: async () => {
      server.stdin.end();
      await each('the feed is deleted', async (controller) => {
        using admin = cluster.admin(controller);
        await admin.delete(name, false, 'Blocklist');
      });
    },
  };
}
