/** Whether what was seen is evidence at all, and what the claims come to if it is. */
import type { Figure } from '../common/figures';
import { EVIDENCE_VERSION, type CostSample, type Evidence, type FloodSample } from './evidence';
import { CLAIMS, MissingEvidence } from './figures';

export interface Verdict {
  /** Of the claims that can be made. */
  figures: Figure[];
  /** Why the others can't, or none; empty: all is well. */
  problems: string[];
}

/** Of the packets that a filter should have dropped or passed. */
const WRONG_SHARE_MOST = 0.001;
/** A queue that hands on less was not flooded. */
const RECEIVED_LEAST = 100;
/** Of the rate that was asked for. */
const OFFERED_LEAST = 0.9;

/** `program`: what would be measured now (environment.ts); another one's figures are stale. */
export function check(evidence: Evidence, program: string): Verdict {
  if (evidence.version !== EVIDENCE_VERSION) {
    return { figures: [], problems: ['it was written by another version of the audit'] };
  }
  const weak = evidence.floods.flatMap(weakness);
  const problems = [...staleness(evidence, program), ...sanity(evidence), ...weak];
  const figures = CLAIMS.flatMap((claim) => {
    try {
      return [claim(evidence)];
    } catch (error) {
      if (!(error instanceof MissingEvidence)) throw error;
      problems.push(error.message);
      return [];
    }
  });
  return { figures, problems: [...new Set(problems)] };
}

function staleness({ plan, environment }: Evidence, program: string): string[] {
  const problems: string[] = [];
  if (plan.name !== 'full') problems.push(`a ${plan.name} audit bears out no claim`);
  if (environment.program !== program) {
    problems.push('it is stale: the filter or the generator has changed since');
  }
  return problems;
}

/** Also of a smoke run: each cell has measured what it says. */
export const sanity = ({ costs, floods }: Pick<Evidence, 'costs' | 'floods'>): string[] => [
  ...(costs.length === 0 ? ['nothing was flooded for its cost'] : costs.flatMap(costProblems)),
  ...floods.flatMap(floodProblems),
];

function costProblems(sample: CostSample): string[] {
  const { filter, entries, kind, received, passed, cpuNs, checksumErrors } = sample;
  const complain = (text: string): string => `${filter} with ${entries}, ${kind}: ${text}`;
  if (received < RECEIVED_LEAST || !(cpuNs > 0)) return [complain(`${received} packets came in`)];
  const wrong = (kind === 'drop' ? passed : Math.abs(received - passed)) / received;
  const problems: string[] = [];
  if (wrong > WRONG_SHARE_MOST) problems.push(complain(`${passed} of ${received} came through`));
  if (checksumErrors > 0) problems.push(complain(`${checksumErrors} checksums were wrong`));
  return problems;
}

function floodProblems(sample: FloodSample): string[] {
  const { filter, entries, kpps, udpSent, checksumErrors } = sample;
  const complain = (text: string): string =>
    `${filter} with ${entries} under ${kpps} kpps: ${text}`;
  const problems: string[] = [];
  if (udpSent === 0) problems.push(complain('no honest packet was sent'));
  if (checksumErrors > 0) problems.push(complain(`${checksumErrors} checksums were wrong`));
  return problems;
}

/** On a busy machine the flood may be less than it should be. */
export function weakness({ filter, entries, kpps, offeredKpps }: FloodSample): string[] {
  if (offeredKpps >= OFFERED_LEAST * kpps) return [];
  const came = Math.round(offeredKpps);
  return [`${filter} with ${entries} under ${kpps} kpps: only ${came} kpps came`];
}
