/** Checks of inputs: whoever holds Temporal's credentials may start a workflow by hand. */
import { DNS_LABEL } from '../core/model/ids';
import type { LifecycleInput, NodeInput, RefreshInput, RepairInput } from '../core/model/messages';
import { refuse } from './failures';

const DAY_MS = 86_400_000;

export function check(problems: Record<string, boolean>): void {
  const found = Object.keys(problems).filter((problem) => problems[problem]);
  if (found.length === 0) return;
  throw refuse({ code: 'InvalidInput', problems: found }, `Invalid input: ${found.join('; ')}.`);
}

export const badDuration = (ms: unknown): boolean =>
  ms !== undefined && !(typeof ms === 'number' && ms >= 0 && ms <= DAY_MS);

export const badFlag = (flag: unknown): boolean => flag !== undefined && typeof flag !== 'boolean';

const badRevision = (revision: unknown): boolean =>
  revision != null && !(Number.isSafeInteger(revision) && (revision as number) >= 0);

/** `subject`: the field that names what it is about. */
export function checkObject(input: unknown, known: string[], subject = 'node'): void {
  const plain = typeof input === 'object' && input !== null && !Array.isArray(input);
  const unknown = plain ? Object.keys(input).filter((key) => !known.includes(key)) : [];
  check({
    [`it has to be an object like {"${subject}": "fra-1"}`]: !plain,
    [`unknown field ${unknown.join(', ')}`]: unknown.length > 0,
  });
  const name = (input as Record<string, unknown>)[subject];
  check({
    [`${subject} has to be a DNS label, e.g. "fra-1"`]:
      typeof name !== 'string' || !DNS_LABEL.test(name),
  });
}

export function checkNodeInput(input: NodeInput): NodeInput {
  checkObject(input, ['node', 'revision', 'edgeWaitMs', 'force']);
  check({
    'revision has to be an etcd revision or null': badRevision(input.revision),
    'edgeWaitMs has to be 0 … 86400000': badDuration(input.edgeWaitMs),
    'force has to be true or false': badFlag(input.force),
  });
  return input;
}

export function checkRepairInput(input: RepairInput): RepairInput {
  checkObject(input, ['node', 'lingerMs', 'carried']);
  check({ 'lingerMs has to be 0 … 86400000': badDuration(input.lingerMs) });
  return input;
}

export function checkRefreshInput(input: RefreshInput): RefreshInput {
  checkObject(input, ['blocklist'], 'blocklist');
  return input;
}

export function checkLifecycleInput(input: LifecycleInput): LifecycleInput {
  checkObject(input, ['node', 'carried']);
  return input;
}
