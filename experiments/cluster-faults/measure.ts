/** A lab under fire: fault after fault, wishes all the while, and what it took to be well again. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { echoService, speakingNode } from '../../lab/testing';
import type { TestLab } from '../../lab/testing';
import { OBSERVER, bare, uplinkAddresses } from '../../lab/topology';
import { eventually } from '../../lab/wait';
import type { Figure } from '../common/figures';
import { withLab } from '../common/lab';
import type { Results } from '../common/results';
import { chance } from '../soak/chance';
import { INVARIANTS, check } from './checker';
import { Cluster } from './cluster';
import { onOwnDisk } from './etcd';
import { INFLICTIONS } from './faults';
import { Recorder } from './recorder';
import { type Row, provedNothing, report, rowText, wasRefused } from './report';
import { FAULT_NAMES, type FaultName, type Planned, onceEach, schedule } from './schedule';

export interface Form {
  seed: number;
  faults: readonly FaultName[];
  /** Drawn by chance for so long; each once; or the one that has this number in such a run. */
  length: { minutes: number } | 'once' | { number: number };
  /** Where the logs of all processes go in the end; null: they go with the lab. */
  logs: string | null;
  /** Called with a line for people after each fault. */
  progress: (line: string) => void;
}

const NODES = [
  speakingNode('edge-1', 1, 0),
  speakingNode('edge-2', 2, 0),
  speakingNode('edge-3', 3, 1),
];
const SIZE = { controllers: 3, etcds: 3, clocks: true };
/** From a fault's end until all is well. */
const HEALS_WITHIN_MS = 60_000;
/** A wish that was answered last. */
const SHOWS_WITHIN_MS = 15_000;
const WISH_EVERY_MS = 500;
/** Longer than etcd may take for a write. */
const SLOW_WISH_MS = 6_000;
/** How often a stale owner is set up, until something of it was refused: on a busy machine it may not come about. */
const TRIES = 3;
/** Violations shown in full; a run that goes wrong goes wrong all the time. */
const SHOWN = 20;

type Taken = Pick<Results, 'figures' | 'details'>;

export function measure(form: Form): Promise<Taken> {
  return withLab(NODES, SIZE, async (test) => {
    const run = new Run(test, form);
    try {
      await run.prepare();
      await run.all();
      await run.recorder.listens();
      for (const line of [...report(run.rows), run.heard()]) form.progress(line);
      run.assertProof();
      return run.taken();
    } finally {
      if (form.logs !== null)
        cpSync(join(test.lab.stateDir, 'log'), form.logs, { recursive: true });
      await run.stop();
    }
  });
}

class Run {
  readonly rows: Row[] = [];
  readonly recorder: Recorder;
  private readonly cluster: Cluster;
  private told = 0;
  /** Entries of the history that were told already. */
  private shown = 0;

  constructor(
    private readonly test: TestLab,
    private readonly form: Form,
  ) {
    const edges = NODES.map(({ metadata }) => metadata.name);
    this.recorder = new Recorder(test.lab, edges);
    this.cluster = new Cluster(test, NODES, this.recorder);
  }

  /** All edges active, the service announced by each, and known to be so. */
  async prepare(): Promise<void> {
    const { lab } = this.test;
    if (this.form.faults.includes('diskFull')) {
      await onOwnDisk(lab, this.cluster.shape.etcds.at(-1) ?? '');
    }
    using admin = this.test.admin();
    await admin.apply([...NODES, echoService], null);
    for (const node of NODES) await this.test.settled(node, 120_000);
    const observer = lab.router(OBSERVER);
    for (const prefix of echoService.spec.prefixes) {
      const everywhere = async (): Promise<boolean> => {
        const hops = (await observer.routes(prefix)).map(({ nextHop }) => nextHop);
        return NODES.every((_, i) =>
          uplinkAddresses(i, 2)
            .map(bare)
            .some((one) => hops.includes(one)),
        );
      };
      await eventually(`${prefix} comes from all edges`, everywhere, { within: 60_000, times: 5 });
    }
    await this.cluster.healed(60_000);
    this.recorder.followPaths();
    await this.recorder.listens();
  }

  private *planned(): Generator<Planned> {
    const { seed, faults, length } = this.form;
    const order = { seed, faults, shape: this.cluster.shape };
    if (length === 'once') {
      yield* onceEach(order);
      return;
    }
    if ('number' in length) {
      let number = 0;
      for (const planned of schedule(order)) {
        if (++number < length.number) continue;
        yield planned;
        return;
      }
    } else {
      const endsAt = performance.now() + length.minutes * 60_000;
      for (const planned of schedule(order)) {
        if (performance.now() > endsAt) return;
        yield planned;
      }
    }
  }

  async all(): Promise<void> {
    const { length } = this.form;
    let number = typeof length === 'object' && 'number' in length ? length.number : 1;
    for (const planned of this.planned()) {
      for (let tries = 1; tries <= TRIES; tries++) {
        const { recovery, refused } = await this.one(planned, number);
        if (recovery === null) return; // what comes after would only show that it was broken before
        if (refused !== false) break;
      }
      number++;
    }
  }

  private async one(planned: Planned, number: number): Promise<Row> {
    const { fault, holdMs } = planned;
    const { recorder, cluster } = this;
    const before = this.running();
    const begins = recorder.history.length;
    recorder.add({ kind: 'fault', number, fault, phase: 'begins' });
    const { undo, ends, settles } = await INFLICTIONS[fault](cluster, planned);
    await this.wishFor(holdMs, chance(this.form.seed + number));
    await undo();
    const refused = wasRefused(planned, recorder.history.slice(begins));
    recorder.add({ kind: 'fault', number, fault, phase: 'ends' });
    const healed = await cluster
      .healed(HEALS_WITHIN_MS, settles)
      .catch((error: Error) => error.message);
    const recovery = typeof healed === 'string' ? null : healed;
    const missing = typeof healed === 'string' ? healed : '';
    const recoveryMs = recovery?.agreedMs ?? null;
    recorder.add({ kind: 'healed', number, fault, recoveryMs, missing });
    await cluster.answered();
    // One may have been written in these last seconds; whatever the edges show in the end, the checker judges it.
    const shown = cluster.shape.edges.map((edge) => cluster.shows(edge, SHOWS_WITHIN_MS));
    await Promise.allSettled(shown);
    recorder.readLogs();
    if (recorder.isDeaf) throw new Error('gobgp ended: nobody sees what is withdrawn');
    for (const edge of cluster.shape.edges) {
      recorder.add({ kind: 'found', edge, marker: cluster.marker(edge) });
    }
    for (const name of this.crashed(before, ends)) recorder.add({ kind: 'crashed', process: name });
    const row = { ...planned, number, refused, recovery };
    this.rows.push(row);
    this.tell(row, missing);
    return row;
  }

  /** Wishes of clients for any edge, told to any controller, whether or not it can answer. */
  private async wishFor(holdMs: number, random: () => number): Promise<void> {
    const { controllers, edges } = this.cluster.shape;
    const pick = (from: readonly string[]): string =>
      from[Math.floor(random() * from.length)] ?? '';
    const endsAt = performance.now() + holdMs;
    while (performance.now() < endsAt) {
      void this.cluster.wish(pick(edges), pick(controllers));
      await delay(Math.min(WISH_EVERY_MS, Math.max(0, endsAt - performance.now())));
    }
  }

  private running(): Map<string, number> {
    const { lab } = this.test;
    return new Map(lab.record.processes.map(({ name }) => [name, lab.process(name)?.pid ?? 0]));
  }

  private crashed(before: ReadonlyMap<string, number>, ends: readonly string[]): string[] {
    const now = this.running();
    return [...before.keys()].filter(
      (name) => !ends.includes(name) && before.get(name) !== now.get(name),
    );
  }

  private tell(row: Row, missing: string): void {
    const { fault, number } = row;
    const { progress, seed, faults, length } = this.form;
    progress(rowText(row));
    if (missing !== '') progress(`   ${missing}`);
    for (const entry of this.recorder.history.slice(this.shown)) {
      if (entry.kind === 'missed') progress(`   not brought about: ${entry.what}`);
      if (entry.kind !== 'apply' || entry.atMs - entry.beganMs < SLOW_WISH_MS) continue;
      const { edge, controller, outcome, said, atMs, beganMs } = entry;
      progress(`   ${controller} needed ${atMs - beganMs} ms for ${edge}, ${outcome}: ${said}`);
    }
    this.shown = this.recorder.history.length;
    const violations = check(this.recorder.history);
    for (const { invariant, what } of violations.slice(this.told, SHOWN)) {
      progress(`   violation: ${INVARIANTS[invariant]}: ${what}`);
    }
    if (violations.length > this.told) {
      const all = faults.length === FAULT_NAMES.length;
      const again =
        length === 'once'
          ? `--once --only ${fault}`
          : `--number ${number}${all ? '' : ` --only ${faults.join(',')}`}`;
      progress(`   again: --seed ${seed} ${again} --logs DIRECTORY`);
    }
    this.told = violations.length;
  }

  /** Throws where stale owners were to be refused, and nothing of any of them was. */
  assertProof(): void {
    const idle = provedNothing(this.rows);
    // What is violated proves enough.
    if (idle.length === 0 || check(this.recorder.history).length > 0) return;
    throw new Error(`The run proved nothing: nothing was refused in ${idle.join(', ')}`);
  }

  taken(): Taken {
    const violations = check(this.recorder.history);
    const { seed, length } = this.form;
    const recovered = this.rows.flatMap(({ recovery }) => recovery?.agreedMs ?? []);
    const figures: Figure[] = [
      {
        claim:
          'Faults of controllers, etcd, Temporal and their network: violations of what Aether promises',
        unit: 'violations',
        bar: { measure: 'max', atMost: 0 },
        samples: [violations.length],
        peer: null,
      },
      {
        claim:
          'From the end of such a fault until every edge is as was wished last, and all controllers say so',
        unit: 's',
        bar: { measure: 'max', atMost: HEALS_WITHIN_MS / 1000 },
        samples: recovered.map((ms) => ms / 1000),
        peer: null,
      },
    ];
    return {
      figures,
      details: { seed, length, ...this.counts(), faults: this.rows.map(rowText), violations },
    };
  }

  heard(): string {
    const counts = Object.entries(this.counts()).map(([what, count]) => `${what} ${count}`);
    return `seen: ${counts.join(', ')}`;
  }

  /** How much there was for the checker to look at: a quiet history proves nothing. */
  private counts(): Record<string, number> {
    const { history } = this.recorder;
    const of = (kind: string): number => history.filter((entry) => entry.kind === kind).length;
    const answers = (outcome: string): number =>
      history.filter((entry) => entry.kind === 'apply' && entry.outcome === outcome).length;
    const refusedBy = (by: string): number =>
      history.filter((entry) => entry.kind === 'refused' && entry.by === by).length;
    return {
      wishesAccepted: answers('accepted'),
      wishesRefused: answers('refused'),
      wishesUnknown: answers('unknown'),
      specsTaken: of('accepted'),
      ownersChanged: this.ownersChanged(),
      staleCommandsRefusedByEdges: of('unheard'),
      staleWritesRefusedByEtcd: refusedBy('etcd'),
      staleWritesRefusedByGuard: of('refused') - refusedBy('etcd'),
      staleFaultsThatShowedNothing: this.rows.filter(({ refused }) => refused === false).length,
      pathsTold: of('path'),
    };
  }

  /** How often an edge took a spec under another fence than the one before. */
  private ownersChanged(): number {
    const last = new Map<string, number>();
    let changes = 0;
    for (const entry of this.recorder.history) {
      if (entry.kind !== 'accepted') continue;
      const { edge, fence } = entry;
      const before = last.get(edge);
      if (before !== undefined && before !== fence.ownerRevision) changes += 1;
      last.set(edge, fence.ownerRevision);
    }
    return changes;
  }

  stop(): Promise<void> {
    return this.recorder.stop();
  }
}
