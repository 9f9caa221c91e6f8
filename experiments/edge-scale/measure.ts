/** Two thousand edges and their controllers on one machine, see README.md. */
import type { Figure } from '../common/figures';
import { withLab } from '../common/lab';
import type { Results } from '../common/results';
import { figuresOf } from './figures';
import {
  Trial,
  type Form,
  type Loss,
  type Memory,
  type Onboarding,
  type Push,
  type Rest,
  type Storm,
} from './trial';

export const FULL: Form = {
  edges: 2_000,
  controllers: 5,
  etcds: 3,
  fleets: 2,
  settleSeconds: 30,
  restSeconds: 60,
  losses: 7,
  storms: 1,
  patient: true,
};
export const SMOKE: Form = {
  edges: 20,
  controllers: 3,
  etcds: 1,
  fleets: 2,
  settleSeconds: 1,
  restSeconds: 1,
  losses: 1,
  storms: 1,
  patient: false,
};

export interface Scale {
  form: Form;
  /** From the start of the lab until its servers answered and all nodes were declared. */
  upSeconds: number;
  onboarding: Onboarding;
  rest: Rest;
  memory: Memory;
  pushes: Push[];
  losses: Loss[];
  storms: Storm[];
}

export async function measure(
  form: Form,
): Promise<Pick<Results, 'details'> & { figures: Figure[]; details: Scale }> {
  const { controllers, etcds, edges, fleets } = form;
  const say = (line: string): void => console.log(`${new Date().toISOString()}  ${line}`);
  const beganMs = Date.now();
  const size = { controllers, etcds, simEdges: edges, simFleets: fleets, logLevel: 'warn' };
  const scale = await withLab([], size, async (test): Promise<Scale> => {
    const upSeconds = (Date.now() - beganMs) / 1000;
    say(`${edges} edges are declared, ${controllers} controllers, after ${upSeconds.toFixed(0)} s`);
    const trial = await Trial.begin(test, form);
    try {
      const onboarding = await trial.onboarding(beganMs);
      say(`all are active after ${onboarding.seconds.toFixed(0)} s`);
      const memory = await trial.memory();
      say(
        `${memory.half.edges} edges: ${memory.half.medianMb.toFixed(0)} MB, ${memory.all.edges}: ` +
          `${memory.all.medianMb.toFixed(0)} MB, so ${memory.kbPerEdge.toFixed(0)} KB for each`,
      );
      await trial.balanced();
      const rest = await trial.rest();
      say(`at rest controllers take ${rest.cpuPercent.map((p) => p.toFixed(1)).join(', ')} %`);
      const pushes = [await trial.push(true), await trial.push(false)];
      say(`one change for all: ${pushes.map(({ seconds }) => seconds.toFixed(1)).join(' and ')} s`);
      const losses: Loss[] = [];
      const names = trial.controllers();
      for (let i = 0; i < form.losses; i += 1) {
        const loss = await trial.loss(names[i % names.length] ?? '');
        say(
          `${loss.controller} and its ${loss.edges} edges: back after ${loss.seconds.toFixed(1)} s`,
        );
        losses.push(loss);
      }
      const storms: Storm[] = [];
      for (let i = 0; i < form.storms; i += 1) {
        const storm = await trial.storm();
        say(`${edges} drifts: mended after ${storm.repairedSeconds.toFixed(1)} s`);
        storms.push(storm);
      }
      return { form, upSeconds, onboarding, rest, memory, pushes, losses, storms };
    } finally {
      await trial.end();
    }
  });
  return { figures: figuresOf(scale), details: scale };
}
