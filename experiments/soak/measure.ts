/**
 * Breaks edges by chance for a long time. The first third is rough: processes are killed, too. From
 * then on only the edges are broken, so that what our processes use can be seen to grow or not.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { NodeResource } from '../../core/model/node';
import { agentOf } from '../../lab/declare';
import { faultsOf } from '../../lab/faults';
import { type TestLab, exampleNode } from '../../lab/testing';
import { eventually } from '../../lab/wait';
import type { Figure } from '../common/figures';
import { withLab } from '../common/lab';
import type { Results } from '../common/results';
import { type Round, chance, nextRound } from './chance';
import { LEAST_SNAPSHOTS, growth } from './growth';
import { type ProcessSnapshot, type Snapshot, longestHistory, look, objectsOf } from './watch';

export interface Soak {
  seconds: number;
  seed: number;
  nodes: number;
  etcds: number;
  snapshotEveryS: number;
  /** Called with a line for people, now and then. */
  progress: (line: string) => void;
}

/** From a fault until the kernel, the agent and the controller agree that all is well. */
const DEADLINE_S = 60;
const ROUGH_SHARE = 1 / 3;
const PAUSE_MS = { least: 300, most: 2_000 };

type Taken = Pick<Results, 'figures' | 'details'>;

export function soak(options: Soak): Promise<Taken> {
  const nodes = Array.from({ length: options.nodes }, (_, i) =>
    exampleNode(`edge-${i + 1}`, i + 1),
  );
  return withLab(nodes, { etcds: options.etcds }, async (test) => {
    using admin = test.admin();
    await admin.apply(nodes, null);
    for (const node of nodes) await test.settled(node, DEADLINE_S * 1000);
    const soaking = new Soaking(test, nodes, options);
    await soaking.run();
    return soaking.taken();
  });
}

class Soaking {
  private readonly random: () => number;
  private readonly beganMs = performance.now();
  private readonly ours: string[];
  private readonly convergedS: number[] = [];
  private readonly snapshots: Snapshot[] = [];
  private kills = 0;

  constructor(
    private readonly test: TestLab,
    private readonly nodes: readonly NodeResource[],
    private readonly options: Soak,
  ) {
    this.random = chance(options.seed);
    const agents = nodes.map(({ metadata }) => agentOf(metadata.name));
    this.ours = [...test.lab.hosts('controller'), ...agents];
  }

  private get elapsedS(): number {
    return (performance.now() - this.beganMs) / 1000;
  }

  async run(): Promise<void> {
    const { lab } = this.test;
    const victims = [...this.ours, ...lab.hosts('etcd'), 'temporal'];
    const wanted = new Map<string, string[]>();
    for (const { metadata } of this.nodes) {
      wanted.set(metadata.name, await objectsOf(lab, metadata.name));
    }
    const { seconds, snapshotEveryS } = this.options;
    while (this.elapsedS < seconds || this.snapshots.length < LEAST_SNAPSHOTS) {
      const isRough = this.elapsedS < seconds * ROUGH_SHARE;
      const round = nextRound(this.random, this.nodes, isRough ? victims : []);
      await this.play(round);
      await this.sameObjects(round.node.metadata.name, wanted);
      const lastS = this.snapshots.at(-1)?.atS ?? -Infinity;
      if (!isRough && this.elapsedS - lastS >= snapshotEveryS) await this.snapshot();
      await delay(PAUSE_MS.least + this.random() * (PAUSE_MS.most - PAUSE_MS.least));
    }
  }

  /** A round that does not end well ends the soak, with what is needed to look into it. */
  private async play(round: Round): Promise<void> {
    const { node, victim } = round;
    const { name } = node.metadata;
    const beganMs = performance.now();
    try {
      if (victim !== null) await this.kill(victim);
      const inflicted = await this.inflict(round);
      if (inflicted === 0) throw new Error('none of the faults took');
      await this.test.settled(node, DEADLINE_S * 1000);
    } catch (error) {
      const killed = victim === null ? '' : ` with ${victim} killed`;
      const logs = [agentOf(name), ...this.test.lab.hosts('controller')].map((process) =>
        this.test.logOf(process),
      );
      const what = `${round.faults.join(' and ')} on ${name}${killed}`;
      const where = `round ${this.convergedS.length + 1} of --seed ${this.options.seed}`;
      throw new Error(`${where}: ${what}\n${logs.join('\n')}`, { cause: error });
    }
    this.convergedS.push((performance.now() - beganMs) / 1000);
  }

  private async kill(victim: string): Promise<void> {
    const { lab } = this.test;
    // Killed a moment ago, it may wait for the supervisor still.
    await eventually(`${victim} runs`, () => lab.process(victim), { within: DEADLINE_S * 1000 });
    lab.kill(victim);
    this.kills += 1;
  }

  /** How many of the faults took: what one has deleted, another can't change any more. */
  private async inflict({ node, faults }: Round): Promise<number> {
    let inflicted = 0;
    for (const fault of faults) {
      const codes: number[] = [];
      for (const argv of faultsOf(node)[fault].commands) {
        codes.push((await this.test.lab.exec(node.metadata.name, argv)).code);
      }
      if (codes.every((code) => code === 0)) inflicted += 1;
    }
    return inflicted;
  }

  private async sameObjects(name: string, wanted: ReadonlyMap<string, string[]>): Promise<void> {
    const same = async (): Promise<boolean> => {
      const [now, before] = [await objectsOf(this.test.lab, name), wanted.get(name) ?? []];
      if (now.join() === before.join()) return true;
      throw new Error(`it has ${now.join(', ')}; it had ${before.join(', ')}`);
    };
    await eventually(`${name} has its links and namespaces, and no other`, same, {
      within: 10_000,
    });
  }

  private async snapshot(): Promise<void> {
    const { lab } = this.test;
    // The last of the rough rounds may have killed one that is not back yet.
    const all = (): [string, ProcessSnapshot][] => this.ours.map((name) => [name, look(lab, name)]);
    const processes = await eventually('controllers and agents run', all, { within: 30_000 });
    const snapshot: Snapshot = {
      atS: Math.round(this.elapsedS),
      processes: Object.fromEntries(processes),
      history: await longestHistory(lab.record.endpoints.ui),
    };
    this.snapshots.push(snapshot);
    const memory = Object.entries(snapshot.processes).map(
      ([name, { residentMb, descriptors }]) =>
        `${name} ${Math.round(residentMb)} MB, ${descriptors} fds`,
    );
    this.options.progress(
      `${snapshot.atS} s: ${this.convergedS.length} rounds; ${memory.join('; ')}; ` +
        `longest history ${snapshot.history.events} events`,
    );
  }

  taken(): Taken {
    const { seed, seconds, nodes } = this.options;
    const { kills, snapshots } = this;
    const converged: Figure = {
      claim: `${Math.round(seconds / 60)} minutes of faults by chance, some with a process killed: until all agree it is mended`,
      unit: 's',
      bar: { measure: 'max', atMost: DEADLINE_S },
      samples: this.convergedS,
      peer: null,
    };
    const details = { seed, seconds, nodes, kills, snapshots };
    return { figures: [converged, ...growth(snapshots)], details };
  }
}
