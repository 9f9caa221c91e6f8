/** Kills of etcd's leader, see README.md. */
import { setTimeout as delay } from 'node:timers/promises';
import { Etcd3 } from 'etcd3';
import { EtcdClient } from '../../adapters/etcd/client';
import { EtcdCluster } from '../../adapters/etcd/testing';
import { until } from '../../adapters/testing/until';
import type { Figure } from '../common/figures';
import { OurWatcher, PeerWatcher, type Watcher } from './watchers';

const PEER_NAME = 'etcd3 as it comes';
const MEMBERS = 3;

export interface Form {
  /** Kills with a write asked for right after. */
  writes: number;
  /** Of two kills each: ours catches up, the peer catches up. */
  rounds: number;
  /** Events that a watch has to catch up with. */
  backlog: number;
}

export const FULL: Form = { writes: 9, rounds: 25, backlog: 6_000 };
export const SMOKE: Form = { writes: 1, rounds: 1, backlog: 2_000 };

const leaderOf = (cluster: EtcdCluster): Promise<number> =>
  until('somebody leads', () => cluster.leader(), 30_000);

/** Killed member back, and one that leads: what has just been elected may be voted out again. */
async function recover(cluster: EtcdCluster, member: number): Promise<void> {
  cluster.restart(member);
  let leader = -1;
  for (let same = 0; same < 10;) {
    const now = await leaderOf(cluster);
    same = now === leader ? same + 1 : 0;
    leader = now;
    await delay(100);
  }
  const alone = new EtcdClient({ endpoints: [cluster.urls[member] ?? ''], writer: 'recover' });
  await until(
    'it answers',
    () =>
      alone.get('/anything', 1_000).then(
        () => true,
        () => false,
      ),
    30_000,
  );
  alone.close();
}

/** Until the first success, from now on. */
async function firstWrite(write: (key: string) => Promise<unknown>, key: string): Promise<number> {
  const began = performance.now();
  for (;;) {
    try {
      await write(key);
      return performance.now() - began;
    } catch {
      await delay(5);
    }
  }
}

async function writesAfterKills(kills: number): Promise<Figure> {
  const cluster = await EtcdCluster.start(MEMBERS, { fsync: true });
  const ours = new EtcdClient({ endpoints: cluster.urls, writer: 'ours' });
  const peer = new Etcd3({ hosts: cluster.urls });
  const put = {
    ours: (key: string) => ours.write([], [{ op: 'put', key, value: 'x' }]),
    peer: (key: string) => peer.put(key).value('x').exec(),
  };
  const taken: Record<keyof typeof put, number[]> = { ours: [], peer: [] };
  try {
    for (let round = 0; round < kills; round++) {
      for (const side of [put.ours, put.peer]) await firstWrite(side, '/warm');
      const leader = await leaderOf(cluster);
      await cluster.kill(leader);
      const [our, their] = await Promise.all([
        firstWrite(put.ours, `/ours/${round}`),
        firstWrite(put.peer, `/peer/${round}`),
      ]);
      taken.ours.push(our);
      taken.peer.push(their);
      await recover(cluster, leader);
    }
  } finally {
    ours.close();
    peer.close();
    await cluster.stop();
  }
  return {
    claim: 'kill -9 of the leader of etcd, timings 50/250 ms → the first write that succeeds',
    unit: 'ms',
    bar: { measure: 'median', atMost: 600 },
    samples: taken.ours,
    peer: { name: PEER_NAME, samples: taken.peer },
  };
}

const PREFIX = '/watched/';
const VALUE = 'v'.repeat(2000);
const AT_ONCE = 64;

/** Writes below the watched prefix. */
class Writing {
  onAcknowledged: (revision: number) => void = () => undefined;
  private readonly client: EtcdClient;
  private stopping = false;
  private flowing: Promise<void> | undefined;
  private count = 0;

  constructor(urls: readonly string[]) {
    this.client = new EtcdClient({ endpoints: urls, writer: 'writing' });
  }

  async one(): Promise<number> {
    const key = `${PREFIX}${this.count++ % 100}`;
    const outcome = await this.client.write([], [{ op: 'put', key, value: VALUE }], 30_000);
    if (!outcome.committed) throw new Error('a write without a condition was refused');
    this.onAcknowledged(outcome.revision);
    return outcome.revision;
  }

  /** A few writes at any time, until it is stopped. */
  flow(): void {
    const writer = async (): Promise<void> => {
      while (!this.stopping) {
        await this.one();
        await delay(5);
      }
    };
    this.flowing = Promise.all([writer(), writer(), writer()]).then(() => undefined);
  }

  async fill(count: number): Promise<void> {
    let left = count;
    const writer = async (): Promise<void> => {
      while (left-- > 0) await this.one();
    };
    await Promise.all(Array.from({ length: AT_ONCE }, writer));
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await this.flowing;
    this.client.close();
  }
}

/** Long for a watch that goes on; one that lost its place never comes there. */
const CAUGHT_UP_WITHIN_MS = 20_000;
/** etcd3 tries the members in turn, ever more slowly: until it is let in at the one, tens of seconds may go. */
const LET_IN_WITHIN_MS = 120_000;

class Watches {
  readonly lost: { ours: number[]; peer: number[] } = { ours: [], peer: [] };
  /** Acknowledged, and not known yet whether it was told. */
  private readonly open = { ours: new Set<number>(), peer: new Set<number>() };

  constructor(
    private readonly cluster: EtcdCluster,
    private readonly writing: Writing,
    private readonly ours: Watcher,
    private readonly peer: Watcher,
  ) {
    writing.onAcknowledged = (revision) => {
      this.open.ours.add(revision);
      this.open.peer.add(revision);
    };
  }

  async round(backlog: number): Promise<void> {
    this.ours.hole();
    this.peer.hole();
    await this.writing.fill(backlog);
    await this.killWhileCatchingUp(this.ours, backlog);
    await this.count('ours');
    await this.killWhileCatchingUp(this.peer, backlog);
    await this.count('ours'); // this one hit it with nothing to catch up with
    await this.count('peer');
    await this.cluster.compact(await this.writing.one());
  }

  /** The leader, when `watcher` has had a twentieth of its backlog from it. */
  private async killWhileCatchingUp(watcher: Watcher, backlog: number): Promise<void> {
    const leader = await leaderOf(this.cluster);
    const from = watcher.seen.size;
    let isHit = false;
    watcher.onEvent = () => {
      if (watcher.seen.size - from < backlog / 20) return;
      watcher.onEvent = () => undefined;
      this.cluster.signal(leader);
      isHit = true;
    };
    watcher.letInAt(leader);
    await until('it catches up at the leader', () => isHit, LET_IN_WITHIN_MS);
    await until('it has ended', () => this.cluster.ended(leader));
    watcher.letInEverywhere();
    await recover(this.cluster, leader);
  }

  /** How many acknowledged writes since the last count `side` was never told of. */
  private async count(side: 'ours' | 'peer'): Promise<void> {
    const last = await this.writing.one();
    const { seen } = this[side];
    await until('the last event', () => seen.has(last), CAUGHT_UP_WITHIN_MS).catch(() => undefined);
    let lost = 0;
    for (const revision of this.open[side]) {
      if (revision > last) continue;
      if (!seen.has(revision)) lost += 1;
      this.open[side].delete(revision);
    }
    this.lost[side].push(lost);
  }
}

async function eventsLost({ rounds, backlog }: Form): Promise<Figure> {
  const cluster = await EtcdCluster.start(MEMBERS);
  const writing = new Writing(cluster.urls);
  const watchers: Watcher[] = [];
  try {
    const ours = await OurWatcher.start(cluster.urls, PREFIX);
    watchers.push(ours);
    const peer = await PeerWatcher.start(cluster.urls, PREFIX);
    watchers.push(peer);
    await until('both watch', async () => {
      const revision = await writing.one();
      await delay(50);
      return ours.seen.has(revision) && peer.seen.has(revision);
    });
    const watches = new Watches(cluster, writing, ours, peer);
    writing.flow();
    for (let round = 0; round < rounds; round++) await watches.round(backlog);
    return {
      claim:
        'kill -9 of the leader of etcd, every other time while a watch catches up: watch events lost',
      unit: 'events',
      bar: { measure: 'max', atMost: 0 },
      samples: watches.lost.ours,
      peer: { name: `${PEER_NAME}, catching up`, samples: watches.lost.peer },
    };
  } finally {
    await writing.stop();
    for (const watcher of watchers) await watcher.stop();
    await cluster.stop();
  }
}

export const measure = async (form: Form): Promise<Figure[]> => [
  await writesAfterKills(form.writes),
  await eventsLost(form),
];
