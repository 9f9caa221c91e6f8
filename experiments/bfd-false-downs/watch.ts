/** Sessions that shall stay up, and how often each side took the other for dead. */
import type { BfdReport } from '../../core/announce/types';
import { mustRun } from '../../lab/run';
import { BfdWorker, plainLease, plainSession } from '../common/bfd';
import { makePair, pairAddresses, removePair } from '../common/pair';
import { AetherEdge } from '../failover-outage/aether';
import { Trial } from '../failover-outage/trial';

export const AMONG_EDGES = { intervalMs: 10, multiplier: 3 } as const;
export const WITH_ROUTERS_MS = 50;

/** Times that a session ended because this side, or the other one, heard nothing in time. */
export interface Downs {
  here: number;
  there: number;
}

export interface Watched {
  name: string;
  /** Looked at again and again; counts what happened since the last look. */
  look(): Promise<Downs>;
  stop(): Promise<unknown>;
}

const NONE: Downs = { here: 0, there: 0 };
/** bfd.LocalDiag of who was told by the other side (RFC 5880 §4.1, 3). */
const TOLD = 'Neighbor Signaled Session Down';

/** Of one bfd process: what its counters say, since they were asked for last. */
class Counter {
  private readonly seen = new Map<string, number>();

  since({ sessions }: BfdReport): Downs {
    const found = { ...NONE };
    for (const { peer, downs, diagnostic } of sessions) {
      const more = downs - (this.seen.get(peer) ?? downs);
      this.seen.set(peer, downs);
      found[diagnostic === TOLD ? 'there' : 'here'] += more;
    }
    return found;
  }
}

/** Two Aether edges. */
export async function watchEdges(): Promise<Watched> {
  const ends = await makePair('fd');
  const [a, b] = pairAddresses(0);
  const workers = ends.map((end) => new BfdWorker(end));
  const counters = workers.map(() => new Counter());
  const stop = async (): Promise<void> => {
    await Promise.all(workers.map((worker) => worker.stop()));
    await removePair(ends);
  };
  try {
    for (const [i, worker] of workers.entries()) {
      const sessions = [plainSession([b, a][i] ?? '', AMONG_EDGES)];
      worker.lease(plainLease(65_001, { paths: [], sessions }));
    }
    await Promise.all(workers.map((worker) => worker.up(1, AMONG_EDGES.intervalMs)));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    name: 'two Aether edges',
    look: async () => {
      // What one side was told, the other one has counted itself.
      const all = await Promise.all(
        workers.map(async (worker, i) => counters[i]?.since(await worker.look()) ?? NONE),
      );
      return { here: all[0]?.here ?? 0, there: all[1]?.here ?? 0 };
    },
    stop,
  };
}

const PRIORITY = 40;

/**
 * Only the edges share their processors with the load: a router has its own. Here it is on the same
 * machine, so it gets real-time priority instead, below the pacer's.
 */
async function withRouter(router: 'bird' | 'frr', edge: 'aether' | 'bird'): Promise<Trial> {
  const trial = await Trial.start({ router, edge, intervalMs: WITH_ROUTERS_MS });
  for (const pid of Object.values(trial.router.pids)) {
    await mustRun(['chrt', '--all-tasks', '--fifo', '--pid', String(PRIORITY), String(pid)]);
  }
  return trial;
}

/** Two Aether edges and the router between them; `here` is Aether. */
export async function watchRouter(router: 'bird' | 'frr'): Promise<Watched> {
  const trial = await withRouter(router, 'aether');
  const edges = trial.edges.filter((edge) => edge instanceof AetherEdge);
  const counters = edges.map(() => new Counter());
  return {
    name: `Aether and ${router}`,
    look: async () => {
      const all = await Promise.all(
        edges.map(async ({ bfd }, i) => counters[i]?.since(await bfd.look()) ?? NONE),
      );
      return {
        here: all.reduce((sum, one) => sum + one.here, 0),
        there: all.reduce((sum, one) => sum + one.there, 0),
      };
    },
    stop: () => trial.stop(),
  };
}

/** The same with BIRD as the edge: it tells of a session that was lost by one that came anew. */
export async function watchBird(): Promise<Watched> {
  const trial = await withRouter('bird', 'bird');
  const seen = new Map<string, string>();
  return {
    name: 'BIRD and bird',
    look: async () => {
      let here = 0;
      for (const { address, since } of await trial.router.sessions()) {
        if (since === '') continue;
        if (since !== (seen.get(address) ?? since)) here += 1;
        seen.set(address, since);
      }
      return { here, there: 0 };
    },
    stop: () => trial.stop(),
  };
}
