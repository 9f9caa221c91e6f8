/**
 * Plans: waves of steps from a host as it is to the host that its spec asks for. First what has to go,
 * last stage first; then what has to be made, first stage first. Each wave is played on a model of
 * the host before the next is thought of, so one plan holds all that follows from its own steps.
 */
import type { EdgeSpec } from '../model/edge-spec';
import { hashOf } from '../model/hash';
import { differencesOf, findingsOf } from './diff';
import { record } from './ledger';
import { ModelHost } from './model-host';
import { survey, type Input, type Survey } from './survey';
import { STAGES, type Plan, type PlannedStep, type Stage } from './types';

export type PlanInput = Input;

/** A rename, a creation, a rise: no stage takes more waves than these. */
const WAVES_A_STAGE = 5;

/** Made up by the model, so below zero: no such number may ever be in a step. */
const MODEL_NUMBERS = { start: 0, step: -1 } as const;

class Rehearsal {
  readonly waves: PlannedStep[][] = [];
  #survey: Survey;
  readonly #host: ModelHost;

  constructor(start: Survey) {
    const { observed, filterTag } = start;
    this.#survey = start;
    this.#host = new ModelHost(observed, {
      filterTag,
      numbers: MODEL_NUMBERS,
      sysctlDefault: null,
    });
  }

  /** One wave of a stage, without what could not succeed; false where nothing is left to be done. */
  play(stage: Stage, which: 'take' | 'make'): boolean {
    const tried = differencesOf(stage, this.#survey)
      .flatMap((difference) => difference[which])
      .map((planned) => ({ planned, result: this.#host.apply(planned.step) }))
      .filter(({ result }) => result.ok);
    if (tried.length === 0) return false;
    const wave = tried.map(({ planned }) => planned);
    const { ledger, observed } = this.#survey;
    this.#survey = survey({
      ...this.#survey,
      observed: { ...this.#host.observed(), interrupted: observed.interrupted },
      ledger: record(
        ledger,
        wave,
        tried.map(({ result }) => result),
      ),
    });
    this.waves.push(wave);
    return true;
  }
}

const EMPTY: Plan = { findings: [], waves: [], hash: '' };

export const plan = (input: PlanInput): Plan => {
  const start = survey(input);
  const findings = findingsOf(start);
  if (findings.length === 0) return EMPTY;
  const stages = STAGES.filter((stage) => start.stages.includes(stage));
  const rehearsal = new Rehearsal(start);
  for (const stage of [...stages].reverse()) rehearsal.play(stage, 'take');
  for (const stage of stages) {
    for (let wave = 0; wave < WAVES_A_STAGE && rehearsal.play(stage, 'make'); wave += 1);
  }
  const { waves } = rehearsal;
  return { findings, waves, hash: hashOf({ findings, waves }) };
};

/** The spec of a host that shall have nothing of ours. */
export const nothingOf = (spec: EdgeSpec): EdgeSpec => ({
  ...spec,
  namespaces: [],
  filters: [],
  services: [],
});

/** Takes the named stages away, last first, whatever the spec says of them. */
export const removalPlan = (input: PlanInput): Plan =>
  plan({ ...input, spec: nothingOf(input.spec) });

/** One line a step, for people: what an approval is asked for. */
export const summaries = ({ waves }: Plan): string[] =>
  waves.flatMap((wave) => wave.map(({ summary }) => summary));
