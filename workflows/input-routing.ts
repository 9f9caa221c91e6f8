/** Checks of the inputs of drains, quarantines and failovers. */
import { DNS_LABEL } from '../core/model/ids';
import type {
  DrainInput,
  FailoverEvidence,
  FailoverInput,
  QuarantineInput,
  ServiceDrainInput,
} from '../core/model/routing-messages';
import { badDuration, badFlag, check, checkObject } from './input';

const badText = (text: unknown): boolean =>
  typeof text !== 'string' || text === '' || text.length > 1_000;

const badName = (name: unknown): boolean => typeof name !== 'string' || !DNS_LABEL.test(name);

const badMs = (ms: unknown): boolean => !(typeof ms === 'number' && ms >= 0);

const DRAIN_TIMINGS = ['followMs', 'moveMs', 'unseenMs', 'quietMs', 'quietLimitMs'];

function checkTimings(timings: unknown, more: string[] = []): void {
  if (timings === undefined) return;
  const plain = typeof timings === 'object' && timings !== null && !Array.isArray(timings);
  const known = [...DRAIN_TIMINGS, ...more];
  const given = plain ? Object.entries(timings) : [];
  check({
    'timings has to be an object of durations in ms': !plain,
    [`timings knows ${known.join(', ')}`]: given.some(([name]) => !known.includes(name)),
    'each of timings has to be 0 … 86400000': given.some(([, ms]) => badDuration(ms)),
  });
}

const WISH = ['reason', 'by', 'undo', 'force', 'timings'];

function checkWish({ reason, by, undo, force, timings }: DrainInput | ServiceDrainInput): void {
  check({
    'reason has to be text': badText(reason),
    'by has to be text: who wants it': badText(by),
    'undo has to be true or false': badFlag(undo),
    'force has to be true or false': badFlag(force),
  });
  checkTimings(timings);
}

export function checkDrainInput(input: DrainInput): DrainInput {
  checkObject(input, ['node', ...WISH]);
  checkWish(input);
  return input;
}

export function checkServiceDrainInput(input: ServiceDrainInput): ServiceDrainInput {
  checkObject(input, ['service', 'regions', ...WISH], 'service');
  const { regions } = input;
  check({
    'regions has to be a list of names, or null for all': !(
      regions === null ||
      (Array.isArray(regions) && regions.length > 0 && !regions.some(badText))
    ),
  });
  checkWish(input);
  return input;
}

export function checkQuarantineInput(input: QuarantineInput): QuarantineInput {
  checkObject(input, ['node', 'reason', 'untilMs', 'timings']);
  check({
    'reason has to be text': badText(input.reason),
    'untilMs has to be an epoch time in ms': badMs(input.untilMs),
  });
  checkTimings(input.timings, ['stageMs']);
  return input;
}

const badOrder = (order: unknown): boolean => {
  if (order === undefined) return false;
  if (typeof order !== 'object' || order === null) return true;
  const { incarnation, owner, sequence } = order as Record<string, unknown>;
  return [incarnation, owner, sequence].some(badMs);
};

export const badEvidence = (evidence: FailoverEvidence): boolean =>
  typeof evidence !== 'object' ||
  evidence === null ||
  badName(evidence.region) ||
  badMs(evidence.atMs) ||
  badOrder(evidence.order) ||
  badText(evidence.what) ||
  (evidence.state !== 'down' && evidence.state !== 'up');

export function checkFailoverInput(input: FailoverInput): FailoverInput {
  const known = ['service', 'evidence', 'by', 'planned', 'to', 'capacityPps', 'force', 'timings'];
  checkObject(input, [...known, 'carried'], 'service');
  const { capacityPps, to } = input;
  check({
    'evidence has to name region, state, atMs and what': badEvidence(input.evidence),
    'by has to be text: who wants it': badText(input.by),
    'planned has to be true or false': badFlag(input.planned),
    'force has to be true or false': badFlag(input.force),
    'to has to be a region': to !== undefined && badName(to),
    'capacityPps has to be above 0': capacityPps !== undefined && !(capacityPps > 0),
  });
  checkTimings(input.timings, ['holdDownMs', 'stageMs', 'lookMs', 'settleMs']);
  return input;
}
