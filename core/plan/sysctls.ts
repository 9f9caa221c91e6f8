/** Sysctls of our namespaces; the ledger holds what was there before, to be put back. */
import type { ObservedNetns } from '../model/host';
import type { NamespaceSpec } from '../model/node';
import { byKey, delta } from './delta';
import { doomedNamespaces } from './namespaces';
import * as steps from './steps';
import type { Difference, Survey } from './survey';

const stage = 'sysctls';

/** The kernel prints lists with tabs; people write blanks. */
export const sameValue = (a: string, b: string): boolean =>
  a.trim().split(/\s+/).join(' ') === b.trim().split(/\s+/).join(' ');

const isOfSomeInterface = (key: string): boolean => /^net\.\w+\.(conf|neigh)\./.test(key);

/** What stands in a key where the keys of interfaces have its name: `net.ipv4.conf.eth0.rp_filter`. */
const placeOf = (key: string): string | null =>
  isOfSomeInterface(key) ? (key.split('.')[3] ?? null) : null;

/** Whether a key belongs to one interface. */
export const isOfInterface = (key: string, name: string): boolean => placeOf(key) === name;

/** The interface that a key belongs to; null: to none, or to all. */
export const interfaceOf = (key: string): string | null => {
  const place = placeOf(key);
  return place === 'all' || place === 'default' ? null : place;
};

/**
 * Some keys write others as well: forwarding resets the per-interface keys (ip-sysctl.rst:
 * "this variable is special"), `conf.all` passes many of its values on. So in this order.
 */
export const rankOf = (key: string): number => {
  if (/^net\.ipv4\.ip_forward$|^net\.ipv6\.conf\.all\.forwarding$/.test(key)) return 0;
  return key.includes('.conf.all.') ? 1 : 2;
};

/** Keys whose interface is not there have nothing to be set on: the link is the finding. */
const settable = (survey: Survey, spec: NamespaceSpec): [string, string][] => {
  const keys = Object.entries(spec.sysctls);
  if (!keys.some(([key]) => isOfSomeInterface(key))) return keys;
  const absent = (survey.pairsOf.get(spec) ?? [])
    .filter(({ ends }) => ends === null)
    .map(({ link }) => link.peer);
  return keys.filter(([key]) => !absent.some((peer) => isOfInterface(key, peer)));
};

const values = (netns: ObservedNetns): Map<string, string> =>
  new Map(Object.entries(netns.sysctls).filter((e): e is [string, string] => e[1] !== null));

const wanted = (survey: Survey, netns: ObservedNetns, spec: NamespaceSpec): Difference[] => {
  const { missing, differing } = delta(new Map(settable(survey, spec)), values(netns), sameValue);
  const changes = [
    ...missing.map(([key, value]) => ({ key, value, former: null })),
    ...differing.map(([key, value, former]) => ({ key, value, former })),
  ];
  const next = Math.min(...changes.map(({ key }) => rankOf(key)));
  return changes.map(({ key, value, former }) => {
    const message = `is ${former ?? 'not there'}; should be ${value}`;
    const make = rankOf(key) === next ? [steps.setSysctl(spec.name, key, value, former)] : [];
    return {
      stage,
      finding: steps.finding('sysctlDiffers', `${spec.name}: ${key}`, message),
      take: [],
      make,
    };
  });
};

/** Ours by the ledger, no longer in the spec: the former value comes back. */
const extra = (name: string, netns: ObservedNetns, key: string, former: string): Difference[] => {
  const value = netns.sysctls[key] ?? null;
  if (value === null || sameValue(value, former)) return [];
  const message = `is ${value}; was ${former} before it was ours`;
  const found = steps.finding('sysctlExtra', `${name}: ${key}`, message);
  const take = [{ ...steps.setSysctl(name, key, former, null), undo: null }];
  return [{ stage, finding: found, take, make: [] }];
};

const extras = ({ ledger, owned, spec }: Survey, doomed: ReadonlySet<string>): Difference[] => {
  const specs = byKey(spec.namespaces, ({ name }) => name);
  return Object.entries(ledger.sysctls).flatMap(([id, { inode, former }]) => {
    const name = id.slice(0, id.indexOf('/'));
    const key = id.slice(name.length + 1);
    const netns = owned.get(name);
    const isWanted = Object.hasOwn(specs.get(name)?.sysctls ?? {}, key);
    if (isWanted || doomed.has(name) || netns?.inode !== inode) return [];
    return extra(name, netns, key, former);
  });
};

export const sysctlDifferences = (survey: Survey): Difference[] => [
  ...survey.spec.namespaces.flatMap((spec) => {
    const netns = survey.owned.get(spec.name);
    return netns === undefined ? [] : wanted(survey, netns, spec);
  }),
  ...extras(survey, doomedNamespaces(survey)),
];
