/** One lab with simulated edges, and what is done to it. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ProcessRecord } from '../../lab/state';
import { drift, simName, simStatus, type SimStatus } from '../../lab/sim';
import type { TestLab } from '../../lab/testing';
import { cpuMs, residentMb } from '../common/process';
import { Ledger, minus, type Totals } from './ledger';

export interface Form {
  edges: number;
  controllers: number;
  etcds: number;
  restSeconds: number;
  /** Controllers that are killed, one after another. */
  losses: number;
  /** Storms, each of all edges. */
  storms: number;
  /**
   * Waits until repairs have ended, which wait half a minute for more (their histories are whole then), and until
   * a controller that was killed has its share again.
   */
  patient: boolean;
}

export interface Onboarding {
  /** From the first node's declaration to the last one's being active and verified. */
  seconds: number;
  totals: Totals;
  actionsOfOne: number;
}

export interface Rest {
  /** Of each controller: percent of a core. */
  cpuPercent: number[];
  temporalPercent: number;
}

export interface Memory {
  /** Of each controller, MB: without edges, and with them. */
  without: number[];
  with: number[];
  kbPerEdge: number;
}

export interface Loss {
  controller: string;
  /** Edges that it had. */
  edges: number;
  /** From the kill on until each edge was connected to a controller that owns it. */
  seconds: number;
  /** CPU of the controllers that are left, for each edge that came to them. */
  controllerMsPerEdge: number;
  /** How many were connected, and when (s). */
  course: [number, number][];
}

/** One change for all: everything is frozen, and thawed. */
export interface Push {
  /** Until every edge had accepted it and was verified to be as it says. */
  seconds: number;
  controllerMsPerEdge: number;
}

export interface Storm {
  edges: number;
  /** From the drift until every host was as it should be. */
  repairedSeconds: number;
  /** Until Temporal had taken all that the agents had to tell. */
  acknowledgedSeconds: number;
  byWorkflow: number;
  byAgent: number;
  notRecorded: number;
  /** Of each edge, from the event to the verified repair. */
  repairedInMs: number[];
  totals: Totals;
  actionsOfOne: number;
  /** CPU from the drift until the repairs had ended, seconds. */
  cpu: { controllers: number; temporal: number; fleets: number };
}

const LOOK_EVERY_MS = 250;
const RECORD_LOOKS = 10;
/** What starts needs its time before it is at rest: code is compiled, garbage is left. */
const SETTLE_MS = 20_000;

export class Trial {
  private constructor(
    private readonly test: TestLab,
    private readonly form: Form,
    private readonly ledger: Ledger,
  ) {}

  static async begin(test: TestLab, form: Form): Promise<Trial> {
    return new Trial(test, form, await Ledger.open(test.lab.record.endpoints.temporal));
  }

  end(): Promise<void> {
    return this.ledger.close();
  }

  async onboarding(sinceMs: number): Promise<Onboarding> {
    await this.until('all edges are active', ({ settled }) => settled === this.form.edges, 3_600);
    const seconds = (Date.now() - sinceMs) / 1000;
    const actionsOfOne = await this.ledger.actionsOf(`node/${simName(1)}/onboard`);
    return { seconds, totals: await this.ledger.totals(), actionsOfOne };
  }

  async rest(): Promise<Rest> {
    const all = [...this.controllers(), 'temporal'];
    const before = all.map((name) => this.cpuOf(name));
    const began = performance.now();
    await delay(this.form.restSeconds * 1000);
    const tookMs = performance.now() - began;
    const percent = all.map((name, i) => (100 * (this.cpuOf(name) - (before[i] ?? 0))) / tookMs);
    return { cpuPercent: percent.slice(0, -1), temporalPercent: percent.at(-1) ?? NaN };
  }

  /** All controllers anew, without an edge and then with all. The edges stand still meanwhile, and forget nothing. */
  async memory(smoke: boolean): Promise<Memory> {
    const { lab } = this.test;
    const settleMs = smoke ? 1_000 : SETTLE_MS;
    for (const fleet of lab.hosts('fleet')) lab.kill(fleet, 'SIGSTOP');
    let without: number[];
    try {
      for (const name of this.controllers()) await lab.stop(name);
      for (const name of this.controllers()) await lab.start(name);
      await delay(settleMs);
      without = this.controllers().map((name) => residentMb(this.process(name).pid));
    } finally {
      for (const fleet of lab.hosts('fleet')) lab.kill(fleet, 'SIGCONT');
    }
    await this.allConnected();
    await delay(settleMs);
    const after = this.controllers().map((name) => residentMb(this.process(name).pid));
    const grownMb = sum(after) - sum(without);
    return { without, with: after, kbPerEdge: (1000 * grownMb) / this.form.edges };
  }

  /** `kill -9`; it stays away until all edges are back, where there are others. */
  async loss(controller: string): Promise<Loss> {
    const { lab } = this.test;
    const edges = (await this.status()).controllers[controller] ?? 0;
    const course: [number, number][] = [];
    const others = this.controllers().filter((name) => name !== controller);
    const isAlone = others.length === 0;
    const before = this.cpuOfAll(others);
    const began = performance.now();
    if (isAlone) lab.kill(controller);
    else await lab.stop(controller);
    const look = async (): Promise<SimStatus> => {
      const now = await this.status();
      course.push([(performance.now() - began) / 1000, now.connected]);
      return now;
    };
    await this.until(
      'its edges notice',
      (now) => (now.controllers[controller] ?? 0) < edges,
      60,
      look,
    );
    const all = this.form.edges;
    await this.until('all are back', ({ connected }) => connected === all, 300, look);
    const seconds = (performance.now() - began) / 1000;
    const controllerMsPerEdge = (this.cpuOfAll(others) - before) / Math.max(1, edges);
    if (!isAlone) await lab.start(controller);
    if (!this.form.patient) return { controller, edges, seconds, controllerMsPerEdge, course };
    await this.until('it has edges again', (now) => (now.controllers[controller] ?? 0) > 0, 120);
    await this.allConnected();
    return { controller, edges, seconds, controllerMsPerEdge, course };
  }

  async push(frozen: boolean): Promise<Push> {
    const { edges } = this.form;
    const before = this.cpuOfAll(this.controllers());
    const began = performance.now();
    using admin = this.test.admin();
    await admin.freeze(null, frozen, 'edge-scale');
    const wanted = frozen ? edges : 0;
    await this.until('all have it', (now) => now.frozen === wanted && now.settled === edges, 300);
    const seconds = (performance.now() - began) / 1000;
    const cpuMs = this.cpuOfAll(this.controllers()) - before;
    return { seconds, controllerMsPerEdge: cpuMs / edges };
  }

  async storm(): Promise<Storm> {
    const { edges } = this.form;
    await this.quiet();
    const before = await this.ledger.totals();
    const cpuBefore = this.cpu();
    const sinceMs = Date.now();
    await drift(this.test.lab, edges);
    const over = await this.until('all are mended', (now) => now.settled === edges, 1_800);
    const repairedSeconds = (Date.now() - sinceMs) / 1000;
    if (over.drift.edges !== edges) throw new Error(`only ${over.drift.edges} edges were broken`);
    await this.until('all is acknowledged', ({ drift: { unsent } }) => unsent === 0, 1_800);
    const acknowledgedSeconds = (Date.now() - sinceMs) / 1000;
    await this.quiet();
    const cpu = differenceOf(this.cpu(), cpuBefore);
    const nodes = Array.from({ length: edges }, (_, i) => simName(i + 1));
    const recorded = await this.recorded(nodes, sinceMs);
    const now = await this.status();
    return {
      edges,
      repairedSeconds,
      acknowledgedSeconds,
      byWorkflow: now.drift.repaired.workflow,
      byAgent: now.drift.repaired.agent,
      notRecorded: edges - recorded.size,
      repairedInMs: now.drift.repairedInMs,
      totals: minus(await this.ledger.totals(), before),
      actionsOfOne: await this.ledger.actionsOf(`node/${simName(1)}/repair`),
      cpu,
    };
  }

  controllers(): string[] {
    return this.test.lab.hosts('controller');
  }

  private allConnected(): Promise<SimStatus> {
    const { edges } = this.form;
    return this.until('all edges are connected', ({ connected }) => connected === edges, 300);
  }

  /** No repair is under way, not even one that only waits for more. */
  private async quiet(): Promise<void> {
    const { edges } = this.form;
    await this.until('no edge differs', ({ settled }) => settled === edges, 600);
    await poll(
      'repairs have ended',
      1_800,
      async () => (await this.ledger.open('repairNode')) === 0,
    );
  }

  /** Asked until all are there: a workflow tells the life of its node a moment after the edge is mended. */
  private async recorded(nodes: readonly string[], sinceMs: number): Promise<Set<string>> {
    for (let tries = 0; ; tries += 1) {
      const found = await this.ledger.recorded(nodes, sinceMs);
      if (found.size === nodes.length || tries === RECORD_LOOKS) return found;
      await delay(1_000);
    }
  }

  private async status(): Promise<SimStatus> {
    const now = await simStatus(this.test.lab);
    if (now === null) throw new Error('the lab has no simulated edges');
    return now;
  }

  private async until(
    what: string,
    isRight: (now: SimStatus) => boolean,
    withinSeconds: number,
    look: () => Promise<SimStatus> = () => this.status(),
  ): Promise<SimStatus> {
    let now = await look();
    await poll(what, withinSeconds, async () => isRight((now = await look()))).catch(
      (error: Error) => {
        const { drift: _, ...told } = now;
        throw new Error(`${error.message}: ${JSON.stringify(told)}`, { cause: error });
      },
    );
    return now;
  }

  private process(name: string): ProcessRecord {
    const found = this.test.lab.process(name);
    if (found === null) throw new Error(`${name} does not run`);
    return found;
  }

  private cpuOf(name: string): number {
    return cpuMs(this.process(name).pid);
  }

  private cpuOfAll(names: readonly string[]): number {
    return sum(names.map((name) => this.cpuOf(name)));
  }

  private cpu(): Storm['cpu'] {
    const of = (names: readonly string[]): number => this.cpuOfAll(names) / 1000;
    return {
      controllers: of(this.controllers()),
      temporal: of(['temporal']),
      fleets: of(this.test.lab.hosts('fleet')),
    };
  }
}

async function poll(
  what: string,
  withinSeconds: number,
  isSo: () => Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + withinSeconds * 1000;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`not within ${withinSeconds} s: ${what}`);
    await delay(LOOK_EVERY_MS);
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

const differenceOf = (after: Storm['cpu'], before: Storm['cpu']): Storm['cpu'] => ({
  controllers: after.controllers - before.controllers,
  temporal: after.temporal - before.temporal,
  fleets: after.fleets - before.fleets,
});
