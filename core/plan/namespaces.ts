/** Namespaces: made, mended and deleted by the inode that the ledger holds. */
import type { ObservedNamespace } from '../model/host';
import { conflict, createNamespace, deleteNamespace, finding } from './steps';
import { foreignLinks, type Difference, type Survey } from './survey';

const stage = 'namespaces';

const wanted = (survey: Survey, name: string): Difference | null => {
  const namespace = survey.observed.namespaces[name];
  if (namespace === undefined) {
    const missing = finding('namespaceMissing', name, 'does not exist');
    return { stage, finding: missing, take: [], make: [createNamespace(name)] };
  }
  if (namespace.state === 'mounted' && survey.owned.has(name)) return null;
  if (namespace.state === 'unmounted' && survey.ledger.namespaces[name] !== undefined) {
    const message = 'has a name but no namespace mounted on it: its creation was cut';
    const take = [deleteNamespace(name, null)];
    return { stage, finding: finding('namespaceUnmounted', name, message), take, make: [] };
  }
  return foreign(name, namespace);
};

const foreign = (name: string, namespace: ObservedNamespace): Difference => {
  const what =
    namespace.state === 'mounted'
      ? `inode ${namespace.inode} was not made by this agent`
      : 'an unmounted name that this agent did not make';
  const message = `${what}: delete it (ip netns del ${name}) or choose another name`;
  return { stage, finding: conflict('namespaceForeign', name, message), take: [], make: [] };
};

/** In the ledger, but not in the spec. */
const extra = (survey: Survey, name: string): Difference | null => {
  const namespace = survey.observed.namespaces[name];
  const netns = survey.owned.get(name);
  if (namespace === undefined) return null;
  if (namespace.state === 'mounted' && netns === undefined) return null;
  const strangers = netns === undefined ? [] : foreignLinks(survey.spec, netns);
  if (strangers.length > 0) {
    const names = strangers.map((link) => link.name).join(', ');
    const message = `is to go, but holds what is not ours: ${names}; move or delete it first`;
    return { stage, finding: conflict('namespaceExtra', name, message), take: [], make: [] };
  }
  const found = finding('namespaceExtra', name, 'is not in the spec');
  return { stage, finding: found, take: [deleteNamespace(name, netns?.inode ?? null)], make: [] };
};

const leftovers = (survey: Survey): Difference[] => {
  const desired = new Set(survey.spec.namespaces.map(({ name }) => name));
  return Object.keys(survey.ledger.namespaces)
    .filter((name) => !desired.has(name))
    .map((name) => extra(survey, name))
    .filter((difference) => difference !== null);
};

export const namespaceDifferences = (survey: Survey): Difference[] => {
  const missing = survey.spec.namespaces.map(({ name }) => wanted(survey, name));
  return [...missing.filter((difference) => difference !== null), ...leftovers(survey)];
};

/** Namespaces that this plan deletes, and with them all that is in them. */
export const doomedNamespaces = (survey: Survey): Set<string> => {
  if (!survey.stages.includes(stage)) return new Set();
  const going = leftovers(survey).filter(({ take }) => take.length > 0);
  return new Set(going.map(({ finding: { object } }) => object));
};
