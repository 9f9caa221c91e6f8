/** One lab with simulated edges, and what is done to it. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ProcessRecord } from '../../lab/state';
import { drift, simName, simStatus, type SimStatus } from '../../lab/sim';
import type { TestLab } from '../../lab/testing';
import { cpuMs, residentMb } from '../common/process';
import { quantile } from '../common/statistics';
import { Ledger, minus, type Totals } from './ledger';

export interface Form {
  edges: number;
  controllers: number;
  etcds: number;
  /** Processes that the edges are in; memory is measured with half of them, and with all. */
  fleets: number;
  /** What starts needs its time before it is at rest: code is compiled, garbage is left. */
  settleSeconds: number;
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
  seconds: number;
  /** Of each controller: percent of a core. */
  cpuPercent: number[];
  temporalPercent: number;
}

/** One controller with so many edges, standing still. */
export interface Standing {
  edges: number;
  /** Resident, MB, sample by sample. */
  samplesMb: number[];
  medianMb: number;
}

export interface Memory {
  half: Standing;
  all: Standing;
  /** What one more edge takes of its controller: the slope between the two. */
  kbPerEdge: number;
  /** What a controller takes without any edge by that line, MB. */
  baseMb: number;
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
const SAMPLE_EVERY_MS = 5_000;
const POLLING_SHARE = 0.99;

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

  /**
   * One controller with half of the edges, and started anew with all of them, each time as long after its start: what a
   * controller takes without edges moves by more than what a few edges take.
   */
  async memory(): Promise<Memory> {
    const { lab } = this.test;
    const [one = '', ...others] = this.controllers();
    const fleets = lab.hosts('fleet');
    const still = fleets.slice(Math.ceil(fleets.length / 2));
    const awake = fleets.filter((name) => !still.includes(name));
    for (const name of others) await lab.stop(name);
    for (const fleet of still) lab.kill(fleet, 'SIGSTOP');
    let half: Standing;
    try {
      half = await this.alone(one, awake);
      await lab.stop(one);
    } finally {
      for (const fleet of still) lab.kill(fleet, 'SIGCONT');
    }
    const all = await this.alone(one, fleets);
    for (const name of others) await lab.start(name);
    const kbPerEdge = (1000 * (all.medianMb - half.medianMb)) / (all.edges - half.edges);
    const baseMb = all.medianMb - (kbPerEdge * all.edges) / 1000;
    return { half, all, kbPerEdge, baseMb };
  }

  /** A controller that starts, until the edges of these fleets have been with it for a while. */
  private async alone(controller: string, fleets: readonly string[]): Promise<Standing> {
    const { lab } = this.test;
    await lab.stop(controller);
    await lab.start(controller);
    const { edges } = await this.steady(fleets);
    await delay(this.form.settleSeconds * 1000);
    return this.sampled(controller, edges, this.form.restSeconds);
  }

  /** Each controller has its share again, and edges have been with it for a while. */
  async balanced(): Promise<void> {
    const names = this.controllers();
    await this.until(
      'each has edges',
      (now) => names.every((name) => (now.controllers[name] ?? 0) > 0),
      300,
    );
    await this.steady(this.test.lab.hosts('fleet'));
    await delay(this.form.settleSeconds * 1000);
  }

  /** All edges of these are with their controllers, and poll there. */
  private steady(fleets: readonly string[]): Promise<SimStatus> {
    // A poll that failed is asked again within seconds: of thousands one or two wait just then.
    const isSo = ({ edges, connected, polling }: SimStatus): boolean =>
      connected === edges && polling >= edges * POLLING_SHARE;
    return this.until('all are connected', isSo, 600, () => this.status(fleets));
  }

  private async sampled(controller: string, edges: number, seconds: number): Promise<Standing> {
    const samplesMb: number[] = [];
    const endsAt = performance.now() + seconds * 1000;
    do {
      samplesMb.push(residentMb(this.process(controller).pid));
      await delay(Math.min(SAMPLE_EVERY_MS, seconds * 1000));
    } while (performance.now() < endsAt);
    return { edges, samplesMb, medianMb: quantile(samplesMb, 0.5) };
  }

  async rest(): Promise<Rest> {
    const all = [...this.controllers(), 'temporal'];
    const before = all.map((name) => this.cpuOf(name));
    const began = performance.now();
    await delay(this.form.restSeconds * 1000);
    const tookMs = performance.now() - began;
    const percent = all.map((name, i) => (100 * (this.cpuOf(name) - (before[i] ?? 0))) / tookMs);
    const temporalPercent = percent.at(-1) ?? NaN;
    return { seconds: tookMs / 1000, cpuPercent: percent.slice(0, -1), temporalPercent };
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
    const notRecorded = await this.notRecorded(nodes, sinceMs);
    const now = await this.status();
    return {
      edges,
      repairedSeconds,
      acknowledgedSeconds,
      byWorkflow: now.drift.repaired.workflow,
      byAgent: now.drift.repaired.agent,
      notRecorded,
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

  /** Those that are missing are asked again: a workflow tells the life of its node a moment after the edge is mended. */
  private async notRecorded(nodes: readonly string[], sinceMs: number): Promise<number> {
    let missing = nodes;
    for (let tries = 0; missing.length > 0 && tries <= RECORD_LOOKS; tries += 1) {
      if (tries > 0) await delay(1_000);
      const found = await this.ledger.recorded(missing, sinceMs);
      missing = missing.filter((node) => !found.has(node));
    }
    return missing.length;
  }

  private async status(fleets?: readonly string[]): Promise<SimStatus> {
    const now = await simStatus(this.test.lab, fleets);
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
