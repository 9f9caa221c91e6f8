/** What has to be read of a host to tell it from its spec: what it names, and what the ledger holds. */
import type { EdgeSpec } from '../model/edge-spec';
import type { Ledger, ObserveScope } from '../model/host';

export const observeScope = (spec: EdgeSpec, ledger: Ledger): ObserveScope => {
  const keys = new Map<string, Set<string>>();
  const add = (namespace: string, names: readonly string[]): void => {
    const known = keys.get(namespace) ?? new Set();
    for (const name of names) known.add(name);
    keys.set(namespace, known);
  };
  for (const { name, sysctls } of spec.namespaces) add(name, Object.keys(sysctls));
  for (const name of Object.keys(ledger.namespaces)) add(name, []);
  for (const id of Object.keys(ledger.sysctls)) {
    const slash = id.indexOf('/');
    add(id.slice(0, slash), [id.slice(slash + 1)]);
  }
  return {
    namespaces: [...keys.keys()],
    sysctls: Object.fromEntries([...keys].map(([name, names]) => [name, [...names]])),
    filters: spec.filters.map((filter) => filter.interface),
  };
};
