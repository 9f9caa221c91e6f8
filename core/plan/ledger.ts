/**
 * The ledger over time: intent before a wave, facts after it, and what is no longer true forgotten.
 * All functions return the very same object where nothing changes, so that nothing is written.
 */
import type { EdgeSpec } from '../model/edge-spec';
import type { Ledger, ObservedHost, Step, StepResult } from '../model/host';
import { ownedNamespaces } from './survey';
import { sameValue } from './sysctls';
import type { PlannedStep } from './types';

const sysctlId = (namespace: string, key: string): string => `${namespace}/${key}`;

const unlessSame = (before: Ledger, after: Ledger): Ledger =>
  JSON.stringify(before) === JSON.stringify(after) ? before : after;

/** Most waves have nothing that the ledger holds. */
const concerns = (wave: readonly PlannedStep[], ops: readonly Step['op'][]): boolean =>
  wave.some(({ step }) => ops.includes(step.op));

const inodeOf = (observed: ObservedHost, name: string): number | null => {
  const namespace = observed.namespaces[name];
  return namespace?.state === 'mounted' ? namespace.inode : null;
};

const namespaceOfId = (id: string): string => id.slice(0, id.indexOf('/'));

/** Whether a former value still has to be put back some day. */
const isOwed = (
  spec: EdgeSpec,
  observed: ObservedHost,
  id: string,
  { inode, former }: Ledger['sysctls'][string],
): boolean => {
  const name = namespaceOfId(id);
  const key = id.slice(name.length + 1);
  const namespace = observed.namespaces[name];
  if (namespace?.state !== 'mounted' || namespace.inode !== inode) return false;
  const desired = spec.namespaces.find((ns) => ns.name === name)?.sysctls ?? {};
  const value = namespace.sysctls[key];
  if (Object.hasOwn(desired, key) || value === undefined) return true;
  return value !== null && !sameValue(value, former);
};

/**
 * What a fresh observation says: a namespace that we meant to make and that is there is ours from
 * now on; one that is gone, or has become another, is forgotten.
 */
export const settle = (ledger: Ledger, spec: EdgeSpec, observed: ObservedHost): Ledger => {
  const owned = ownedNamespaces({ spec, ledger, observed });
  const namespaces: Ledger['namespaces'] = {};
  for (const [name, entry] of Object.entries(ledger.namespaces)) {
    const netns = owned.get(name);
    if (netns !== undefined) namespaces[name] = { inode: netns.inode };
    else if (observed.namespaces[name]?.state === 'unmounted') namespaces[name] = entry;
    else if (entry.inode === null && observed.namespaces[name] !== undefined)
      namespaces[name] = entry;
  }
  const sysctls = Object.fromEntries(
    Object.entries(ledger.sysctls).filter(([id, entry]) => isOwed(spec, observed, id, entry)),
  );
  return unlessSame(ledger, { namespaces, sysctls });
};

/** To be on disk before the wave is run. `observed`: the host as it is right before it. */
export const intend = (
  ledger: Ledger,
  wave: readonly PlannedStep[],
  observed: ObservedHost,
): Ledger => {
  if (!concerns(wave, ['createNamespace', 'setSysctl'])) return ledger;
  const namespaces = { ...ledger.namespaces };
  const sysctls = { ...ledger.sysctls };
  for (const { step } of wave) {
    if (step.op === 'createNamespace') namespaces[step.namespace] = { inode: null };
    if (step.op !== 'setSysctl') continue;
    const id = sysctlId(step.namespace, step.key);
    const inode = ledger.namespaces[step.namespace]?.inode ?? inodeOf(observed, step.namespace);
    const namespace = observed.namespaces[step.namespace];
    const former = namespace?.state === 'mounted' ? (namespace.sysctls[step.key] ?? null) : null;
    if (inode === null || former === null || sysctls[id]?.inode === inode) continue;
    sysctls[id] = { inode, former };
  }
  return unlessSame(ledger, { namespaces, sysctls });
};

/** To be on disk after the wave: results in the order of its steps. */
export const record = (
  ledger: Ledger,
  wave: readonly PlannedStep[],
  results: readonly StepResult[],
): Ledger => {
  if (!concerns(wave, ['createNamespace', 'deleteNamespace'])) return ledger;
  const namespaces = { ...ledger.namespaces };
  for (const [i, { step }] of wave.entries()) {
    const result = results[i];
    if (result === undefined) continue;
    if (step.op === 'createNamespace') {
      if (result.ok) namespaces[step.namespace] = { inode: result.inode ?? null };
      else if (result.changed === false) delete namespaces[step.namespace];
    }
    if (step.op === 'deleteNamespace' && result.ok) delete namespaces[step.namespace];
  }
  return unlessSame(ledger, { ...ledger, namespaces });
};

/** Whether a wave sets sysctls whose values before are not known: then it is looked once more. */
export const needsFormer = (wave: readonly PlannedStep[], observed: ObservedHost): boolean =>
  wave.some(({ step }) => {
    if (step.op !== 'setSysctl') return false;
    const namespace = observed.namespaces[step.namespace];
    return namespace?.state !== 'mounted' || (namespace.sysctls[step.key] ?? null) === null;
  });
