/** The loss of one of three controllers, see README.md. */
import { until } from '../../adapters/testing/until';
import { SHARD_COUNT } from '../../core/model/ids';
import { type Brain, Brains } from '../../workers/controller/testing/brains';
import type { Figure } from '../common/figures';
import { FencedEdges } from './edges';

export interface Form {
  /** Of each kind of loss. */
  runs: number;
  /** Shards with an edge. */
  edges: number;
}

export const FULL: Form = { runs: 9, edges: SHARD_COUNT };
export const SMOKE: Form = { runs: 1, edges: 24 };

const IDS = ['c1', 'c2', 'c3'];
const ACTED_WITHIN_MS = 60_000;

type Loss = 'writer' | 'other' | 'graceful';

class Stage {
  readonly #up = new Map<string, Brain>();
  #runs = 0;
  edges!: FencedEdges;

  constructor(readonly brains: Brains) {}

  async start(id: string): Promise<void> {
    this.#up.set(id, await this.brains.add(id, {}, `${id}-${this.#runs++}`));
  }

  get up(): Brain[] {
    return [...this.#up.values()];
  }

  async settled(): Promise<void> {
    await this.brains.settled(...this.#up.keys());
    await this.brains.acquainted(...this.up);
    const owners = await this.brains.owners();
    await until(
      'every edge has heard its owner',
      () =>
        this.edges.shards.every(
          (shard) => this.edges.ownerRevision(shard) === owners.get(shard)?.token,
        ),
      ACTED_WITHIN_MS,
    );
  }

  /** Who wrote the present map, or another one. */
  async victim(loss: Loss): Promise<Brain> {
    const epoch = (await this.brains.map())?.epoch ?? 0;
    const writer = this.up.find((brain) => brain.log().includes(`"epoch":${epoch},`));
    if (!writer) throw new Error(`nobody says that he wrote the map of epoch ${epoch}`);
    const others = this.up.filter((brain) => brain !== writer);
    const victim = loss === 'writer' ? writer : others[this.#runs % others.length];
    if (!victim) throw new Error('there is no other controller');
    return victim;
  }

  async end(brain: Brain, signal: NodeJS.Signals): Promise<void> {
    this.#up.delete(brain.id);
    await brain.stop(signal);
  }
}

/** Until the edge of each of its shards has heard a higher fence. */
async function killed(stage: Stage, loss: Loss): Promise<number> {
  const { brains, edges } = stage;
  const victim = await stage.victim(loss);
  const owners = await brains.owners();
  const lost = edges.shards.filter((shard) => owners.get(shard)?.controller === victim.id);
  const began = performance.now();
  await stage.end(victim, 'SIGKILL');
  await until(
    'each of its shards is acted on by another',
    () => lost.every((shard) => edges.ownerRevision(shard) > (owners.get(shard)?.token ?? 0)),
    ACTED_WITHIN_MS,
  );
  await stage.start(victim.id);
  return Math.max(...lost.map((shard) => edges.atMs(shard) - began));
}

async function graceful(stage: Stage, after: (end: () => unknown) => void): Promise<number> {
  const victim = await stage.victim('other');
  const gaps = await stage.brains.watchGaps({ after });
  await stage.end(victim, 'SIGTERM');
  await stage.brains.settled(...stage.up.map(({ id }) => id));
  if (gaps.moved() === 0) throw new Error('nothing was handed over');
  await stage.start(victim.id);
  return gaps.longestMs();
}

export async function measure({ runs, edges: count }: Form): Promise<Figure[]> {
  const ends: (() => unknown)[] = [];
  const after = (end: () => unknown): void => void ends.push(end);
  const context = { after } as Parameters<typeof Brains.start>[0];
  const taken: Record<Loss, number[]> = { writer: [], other: [], graceful: [] };
  try {
    const stage = new Stage(await Brains.start(context));
    for (const id of IDS) await stage.start(id);
    const addresses = stage.up.map(({ edgePort }) => `127.0.0.1:${edgePort}`);
    const step = SHARD_COUNT / count;
    const shards = Array.from({ length: count }, (_, i) => Math.floor(i * step));
    stage.edges = await FencedEdges.dial(stage.brains, shards, addresses);
    after(() => stage.edges.close());
    await until('all edges are in', () => stage.edges.shards.length === count, ACTED_WITHIN_MS);
    for (let run = 0; run < runs; run++) {
      for (const loss of ['other', 'writer', 'graceful'] as const) {
        await stage.settled();
        const ms = loss === 'graceful' ? await graceful(stage, after) : await killed(stage, loss);
        taken[loss].push(ms);
      }
    }
  } finally {
    for (const end of ends.reverse()) await end();
  }
  const lost =
    'kill -9 of one of three controllers → the edge of each of its shards hears its new owner';
  const bar = { measure: 'median', atMost: 2_500 } as const;
  return [
    { claim: lost, unit: 'ms', bar, samples: taken.other, peer: null },
    { claim: `${lost}; it wrote the last map`, unit: 'ms', bar, samples: taken.writer, peer: null },
    {
      claim: 'SIGTERM of one of three controllers: longest time that a shard has no owner',
      unit: 'ms',
      bar: { measure: 'max', atMost: 300 },
      samples: taken.graceful,
      peer: null,
    },
  ];
}
