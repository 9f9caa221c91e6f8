/**
 * The audit itself, inside its `sandbox`: brings up a receiver for each filter and list, then goes round
 * all of them. Writes the evidence as one JSON document to FILE, and what it needs meanwhile beside it.
 *
 * usage: audit.js full|quick|smoke FILE [LEDGER]
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { load } from '../common/machine';
import { weakness } from './check';
import { environment } from './environment';
import {
  EVIDENCE_VERSION,
  type Cell,
  type Evidence,
  type LoadSample,
  type Skipped,
} from './evidence';
import { programOf } from './filters/aether';
import type { Filter, Job, Kind } from './filters/filter';
import { FILTERS } from './filters/table';
import { Generator } from './generator';
import { Ledger } from './ledger';
import { Lookups } from './lookup';
import { measureCost, measureFlood, type Bench } from './measurements';
import { usedMiB } from './memory';
import { PLANS, type Plan } from './plan';
import { drawList, sourcesListed, sourcesOutside, texts, type ListKind } from './prefixes';
import { Topology, type Receiver } from './topology';

/** A receiver that is ready: its filter holds its list. */
interface Ready extends Cell {
  filter: string;
  kinds: readonly Kind[];
  receiver: Receiver;
  /** Files of addresses to flood it from. */
  sources: Record<Kind, string>;
}

const SEED = 20_261_122;
const OUTSIDE = 1 << 20;
const KINDS: readonly ListKind[] = ['mixed', 'hosts'];

const say = (line: string): void =>
  console.error(`${new Date().toISOString().slice(11, 19)} ${line}`);

/** As bpf/gen.bpf.c reads them: in network order. */
function writeSources(path: string, addresses: Uint32Array): string {
  const bytes = Buffer.alloc(4 * addresses.length);
  addresses.forEach((address, i) => bytes.writeUInt32BE(address, 4 * i));
  writeFileSync(path, bytes);
  return path;
}

class Audit {
  readonly loads: LoadSample[] = [];
  readonly skipped: Skipped[] = [];
  private readonly ready: Ready[] = [];
  private lookups: Lookups | null = null;
  private readonly bench: Bench;

  constructor(
    private readonly plan: Plan,
    private readonly ledger: Ledger,
    private readonly scratch: string,
  ) {
    const topology = new Topology(plan.name !== 'smoke');
    this.bench = { topology, generator: new Generator() };
  }

  /** Every filter with every list that it can take, each in a namespace of its own. */
  async setUp(): Promise<void> {
    const usable = FILTERS.filter((filter) => {
      const why = filter.missing();
      if (why !== null) this.skip(filter, null, why);
      return why === null;
    });
    for (const entries of this.plan.entries) {
      const lists = KINDS.map((kind, i) => drawList(kind, entries, SEED + i));
      const outside = writeSources(
        join(this.scratch, `outside-${entries}`),
        sourcesOutside(lists, Math.min(OUTSIDE, 1000 * entries), SEED),
      );
      for (const list of lists) {
        const name = `${list.kind}-${entries}`;
        const drop = writeSources(join(this.scratch, name), sourcesListed(list, SEED));
        const job = { list, texts: texts(list), scratch: this.directory(name) };
        const those = usable.filter((filter) => filter.list === list.kind);
        for (const filter of those) await this.load(filter, entries, job, { drop, pass: outside });
        if (entries !== this.plan.entries[0] || list.kind !== 'mixed') continue;
        const others = usable.filter((filter) => filter.list === null);
        for (const filter of others) await this.load(filter, 0, job, { drop, pass: outside });
      }
    }
  }

  private directory(name: string): string {
    const path = join(this.scratch, `${name}.d`);
    mkdirSync(path);
    return path;
  }

  private skip({ name }: Filter, entries: number | null, why: string): void {
    this.skipped.push({ filter: name, entries, why });
    say(`skipped: ${name}${entries === null ? '' : ` with ${entries}`}: ${why}`);
  }

  private async load(
    filter: Filter,
    entries: number,
    given: Omit<Job, 'timeoutS'>,
    sources: Record<Kind, string>,
  ): Promise<void> {
    const { name, kinds, limit } = filter;
    if (limit !== null && entries > Math.max(...filter.entries)) {
      this.skip(filter, entries, limit);
      return;
    }
    const receiver = this.bench.topology.addReceiver();
    const before = usedMiB();
    try {
      const { wallS, cpuS, claimedBytes } = await filter.load(receiver, {
        ...given,
        timeoutS: this.plan.loadTimeoutS,
      });
      const memoryMiB = usedMiB() - before;
      const claimedMiB = claimedBytes === null ? null : claimedBytes / 2 ** 20;
      const list = filter.list;
      this.loads.push({ filter: name, entries, list, wallS, cpuS, memoryMiB, claimedMiB });
      this.ready.push({ filter: name, entries, kinds, receiver, sources });
      say(`${name} holds ${entries}: ${wallS.toFixed(2)} s, ${memoryMiB.toFixed(1)} MiB`);
    } catch (error) {
      // One that can't is no reason not to measure the others; the checker says what is missing.
      this.skip(filter, entries, (error as Error).message);
    }
  }

  async measure(): Promise<void> {
    const { plan } = this;
    await this.rounds('costs', plan.costRounds, (round) => this.costRound(round));
    await this.rounds('lookups', plan.lookupRounds, (round) => this.lookupRound(round));
    await this.rounds('floods', plan.floodRounds, (round) => this.floodRound(round));
    this.bench.generator.end();
  }

  private async rounds<P extends Parameters<Ledger['has']>[0]>(
    phase: P,
    count: number,
    work: (round: number) => Promise<Parameters<typeof Ledger.prototype.add<P>>[3]>,
  ): Promise<void> {
    for (let round = 0; round < count; round++) {
      if (this.ledger.has(phase, round)) continue;
      say(`${phase}: round ${round + 1} of ${count}`);
      this.ledger.add(phase, round, load(), await work(round));
    }
  }

  /** Begins elsewhere each time, so that none always follows the same other. */
  private inTurn<T>(all: readonly T[], round: number): T[] {
    const first = (round * 5) % Math.max(all.length, 1);
    return [...all.slice(first), ...all.slice(0, first)];
  }

  private async costRound(round: number) {
    const samples = [];
    for (const ready of this.inTurn(this.ready, round)) {
      for (const kind of ready.kinds) {
        const flood = {
          kind,
          round,
          frames: this.plan.costFrames,
          sourcesPath: ready.sources[kind],
        };
        samples.push(await measureCost(this.bench, ready.receiver, ready, flood));
      }
    }
    return samples;
  }

  private async lookupRound(round: number) {
    const lookups = (this.lookups ??= await Lookups.open());
    const ours = this.ready.flatMap((ready) => {
      const programId = programOf(ready.receiver);
      return programId === null ? [] : [{ ...ready, programId }];
    });
    return lookups.round(round, this.inTurn(ours, round));
  }

  private async floodRound(round: number) {
    const { plan } = this;
    const wanted = this.ready.filter(({ filter, entries }) =>
      plan.floodCells.some((cell) => cell.filter === filter && cell.entries === entries),
    );
    const samples = [];
    for (const ready of this.inTurn(wanted, round)) {
      for (const kpps of plan.floodKpps) {
        const flood = { round, kpps, sourcesPath: ready.sources.drop, plan };
        samples.push(await this.flooded(ready, flood));
      }
    }
    return samples;
  }

  /** Again where something else took the flood's core, so that it was weaker than it should be. */
  private async flooded(ready: Ready, flood: Parameters<typeof measureFlood>[3]) {
    for (let attempt = 1; ; attempt++) {
      const sample = await measureFlood(this.bench, ready.receiver, ready, flood);
      const [weak] = weakness(sample);
      if (weak === undefined || attempt >= this.plan.floodAttempts) return sample;
      say(`again, as ${weak}`);
    }
  }
}

async function main([form, out, ledgerPath]: readonly string[]): Promise<void> {
  const plan = PLANS[form as Plan['name']];
  if (out === undefined) throw new Error('usage: audit.js full|quick|smoke FILE [LEDGER]');
  const before = load();
  const began = new Date().toISOString();
  const seen = environment(FILTERS);
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const key = JSON.stringify({ EVIDENCE_VERSION, boot, plan, environment: seen });
  const ledger = new Ledger(ledgerPath ?? null, key);
  const audit = new Audit(plan, ledger, dirname(out));
  await audit.setUp();
  await audit.measure();
  const evidence: Evidence = {
    version: EVIDENCE_VERSION,
    plan,
    began,
    ended: new Date().toISOString(),
    environment: seen,
    load: { before, during: ledger.loads() },
    loads: audit.loads,
    costs: ledger.samples('costs'),
    floods: ledger.samples('floods'),
    lookups: ledger.samples('lookups'),
    skipped: audit.skipped,
  };
  writeFileSync(out, JSON.stringify(evidence));
  ledger.close();
  // Links of bpf programs are held by this process alone.
  process.exit(0);
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
