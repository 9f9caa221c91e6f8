/**
 * reconcile = observe → diff → act → verify: the one function by which an edge is brought to its
 * spec, whether a workflow asks for it or the agent acts alone. It may be cut at any point and run
 * again: every wave's intent is on disk before it, and what is done already is not a difference.
 */
import type { EdgeSpec } from '../core/model/edge-spec';
import type { HostPort, Ledger, ObservedHost, StepResult } from '../core/model/host';
import type { ReconcileResult } from '../core/model/messages';
import { intend, needsFormer, record, settle } from '../core/plan/ledger';
import { observeScope } from '../core/plan/observe-scope';
import { nothingOf, plan, type PlanInput } from '../core/plan/plan';
import {
  findingKey,
  type Finding,
  type Plan,
  type PlannedStep,
  type Stage,
} from '../core/plan/types';

/** What reconcile needs of the world. */
export interface ReconcilePort {
  host: Pick<HostPort, 'observe' | 'applyAll' | 'filterTag'>;
  /** Resolves once the ledger is on disk; nothing is changed before that. */
  saveLedger(ledger: Ledger): Promise<void>;
}

export interface ReconcileInput {
  spec: EdgeSpec;
  ledger: Ledger;
  /** Null: all of them. */
  stages: Stage[] | null;
  /** Take the stages away, whatever the spec says of them. */
  remove: boolean;
  /** Refuse to act where the plan is not this one any more; null: whatever is right now. */
  planHash: string | null;
}

/** The result's parts that are known here, and the ledger to go on with. */
export type Reconciled = Omit<ReconcileResult, 'revision' | 'repairedInMs'> & { ledger: Ledger };

/** A dump that stayed torn is taken again this often before its plan has to do. */
const OBSERVATIONS = 3;
/** The plan, and one more where the first left behind what it did not know of. */
const PASSES = 2;
/** What did not work is told up to here; the rest is much the same. */
const TROUBLES_TOLD = 5;

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

/** One reconciliation under way. */
class Run {
  readonly applied: string[] = [];
  readonly troubles: string[] = [];
  readonly #spec: EdgeSpec;
  #ledger: Ledger;
  #saved: Ledger;
  /** Some step may have been done or not: only another look can tell. */
  #uncertain = false;

  constructor(
    private readonly input: ReconcileInput,
    private readonly port: ReconcilePort,
  ) {
    this.#spec = input.remove ? nothingOf(input.spec) : input.spec;
    this.#ledger = input.ledger;
    this.#saved = input.ledger;
  }

  /** Looks at the host, and takes into the ledger what the look settles. */
  async observe(): Promise<PlanInput> {
    let observed = await this.#look();
    for (let i = 1; i < OBSERVATIONS && observed.interrupted; i += 1) observed = await this.#look();
    this.#ledger = settle(this.#ledger, this.#spec, observed);
    const { stages } = this.input;
    const { filterTag } = this.port.host;
    return { spec: this.#spec, observed, ledger: this.#ledger, filterTag, stages };
  }

  async act(waves: readonly PlannedStep[][], observed: ObservedHost): Promise<void> {
    for (const wave of waves) {
      const before = needsFormer(wave, observed) ? await this.#look() : observed;
      const intent = intend(this.#ledger, wave, before);
      if (intent !== this.#ledger) await this.#save(intent);
      const results = await this.port.host.applyAll(wave.map(({ step }) => step));
      for (const [i, planned] of wave.entries()) this.#note(planned, results[i]);
      const facts = record(this.#ledger, wave, results);
      if (facts !== this.#ledger) await this.#save(facts);
    }
  }

  /** Whether another plan could do what this one did not: it knew less, or its outcome is open. */
  deservesAnother(known: readonly Finding[], remaining: readonly Finding[]): boolean {
    const before = new Set(known.map(findingKey));
    const mendable = remaining.filter(({ conflict }) => !conflict);
    if (mendable.length === 0) return false;
    return this.#uncertain || mendable.some((finding) => !before.has(findingKey(finding)));
  }

  /** What was only forgotten meanwhile may be written later as well: an entry too many harms nobody. */
  async close(): Promise<Ledger> {
    if (this.#ledger !== this.#saved) await this.#save(this.#ledger).catch(() => undefined);
    return this.#ledger;
  }

  #look(): Promise<ObservedHost> {
    return this.port.host.observe(observeScope(this.#spec, this.#ledger));
  }

  #note({ summary }: PlannedStep, result: StepResult | undefined): void {
    if (result?.ok === true) {
      this.applied.push(summary);
      return;
    }
    if (result?.changed !== false) this.#uncertain = true;
    const why = result === undefined ? 'no answer' : `${result.message} (${result.code})`;
    this.troubles.push(`${summary}: ${why}`);
  }

  async #save(ledger: Ledger): Promise<void> {
    await this.port.saveLedger(ledger);
    this.#ledger = ledger;
    this.#saved = ledger;
  }
}

/** Why not all is well, for people; null where it is. */
const reasonOf = (troubles: readonly string[], remaining: readonly Finding[]): string | null => {
  const [first] = remaining;
  if (first === undefined) return null;
  const more = remaining.length > 1 ? ` and ${remaining.length - 1} more` : '';
  const left = `${first.object}: ${first.message} (${first.kind})${more}`;
  return [...troubles.slice(0, TROUBLES_TOLD), left].join('; ');
};

const planChanged = (expected: string, found: string): string =>
  `the host has changed since plan ${expected} was decided; the plan is ${found || 'empty'} now`;

/**
 * Brings the host to its spec, as far as it can be: at most two plans, each in its waves. Throws
 * nothing: what the port throws ends the run, and is its reason.
 */
export const reconcile = async (
  input: ReconcileInput,
  port: ReconcilePort,
  now: () => number,
): Promise<Reconciled> => {
  const startedAtMs = now();
  const run = new Run(input, port);
  let first: Plan | null = null;
  let remaining: Finding[] = [];
  let reason: string | null = null;
  let outcome: ReconcileResult['outcome'] | null = null;
  try {
    let view = await run.observe();
    let next = plan(view);
    first = next;
    remaining = next.findings;
    if (input.planHash !== null && next.waves.length > 0 && next.hash !== input.planHash) {
      outcome = 'refused';
      reason = planChanged(input.planHash, next.hash);
    }
    for (let pass = 0; outcome === null && pass < PASSES && next.waves.length > 0; pass += 1) {
      await run.act(next.waves, view.observed);
      const known = next.findings;
      view = await run.observe();
      next = plan(view);
      remaining = next.findings;
      if (!run.deservesAnother(known, remaining)) break;
    }
    reason ??= reasonOf(run.troubles, remaining);
  } catch (error) {
    outcome = 'partial';
    reason = [...run.troubles.slice(0, TROUBLES_TOLD), messageOf(error)].join('; ');
  }
  return {
    outcome: outcome ?? (remaining.length === 0 ? 'converged' : 'partial'),
    reason,
    planHash: first?.hash ?? '',
    found: first?.findings ?? [],
    applied: run.applied,
    remaining,
    startedAtMs,
    finishedAtMs: now(),
    ledger: await run.close(),
  };
};
