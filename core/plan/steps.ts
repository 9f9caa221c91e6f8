/** Steps with their stage, their undo and their one line for people. */
import type { ObservedFilter, Step } from '../model/host';
import type { FilterSpec } from '../model/node';
import type { Pair } from './pairs';
import type { Located } from './survey';
import type { Finding, FindingKind, PlannedStep, Stage } from './types';

export const finding = (kind: FindingKind, object: string, message: string): Finding => ({
  kind,
  object,
  message,
  conflict: false,
});

/** Something that is not ours is in the way: told, never forced. */
export const conflict = (kind: FindingKind, object: string, message: string): Finding => ({
  kind,
  object,
  message,
  conflict: true,
});

const planned = (stage: Stage, step: Step, undo: Step | null, summary: string): PlannedStep => ({
  stage,
  step,
  undo,
  summary,
});

export const inside = (namespace: string | null, name: string): string =>
  namespace === null ? name : `${namespace}/${name}`;

const of = (namespace: string | null): string =>
  namespace === null ? 'of the host' : `in ${namespace}`;

/** The undo's inode is known once the step has run: `undoOf` fills it in. */
export const createNamespace = (namespace: string): PlannedStep =>
  planned(
    'namespaces',
    { op: 'createNamespace', namespace },
    { op: 'deleteNamespace', namespace, inode: null },
    `create namespace ${namespace}`,
  );

export const deleteNamespace = (namespace: string, inode: number | null): PlannedStep =>
  planned(
    'namespaces',
    { op: 'deleteNamespace', namespace, inode },
    null,
    inode === null ? `remove the unmounted name ${namespace}` : `delete namespace ${namespace}`,
  );

export const createVeth = ({ namespace, link, aliases }: Pair): PlannedStep =>
  planned(
    'links',
    {
      op: 'createVeth',
      namespace: namespace.name,
      name: link.name,
      peer: link.peer,
      mtu: link.mtu,
      alias: aliases.host,
      peerAlias: aliases.peer,
    },
    { op: 'deleteLink', namespace: null, ifindex: 0, name: link.name, alias: aliases.host },
    `create veth ${link.name} ↔ ${namespace.name}/${link.peer}`,
  );

export const deleteLink = ({ namespace, link }: Located): PlannedStep =>
  planned(
    'links',
    {
      op: 'deleteLink',
      namespace,
      ifindex: link.ifindex,
      name: link.name,
      alias: link.alias ?? '',
    },
    null,
    `delete link ${inside(namespace, link.name)}`,
  );

export const renameLink = ({ namespace, link }: Located, name: string): PlannedStep => {
  const target = { namespace, ifindex: link.ifindex, alias: link.alias ?? '' };
  return planned(
    'links',
    { op: 'renameLink', ...target, name },
    { op: 'renameLink', ...target, name: link.name },
    `rename link ${inside(namespace, link.name)} to ${name}`,
  );
};

/** No undo: that the link was down was the fault, and a link that was made is undone by its deletion. */
export const setLinkUp = ({ namespace, link }: Located): PlannedStep =>
  planned(
    'links',
    { op: 'setLinkUp', namespace, name: link.name, alias: link.alias ?? '' },
    null,
    `set link ${inside(namespace, link.name)} up`,
  );

export const raiseLoopback = (namespace: string): PlannedStep =>
  planned('links', { op: 'raiseLoopback', namespace }, null, `set link ${namespace}/lo up`);

export const setLinkMtu = ({ namespace, link }: Located, mtu: number): PlannedStep => {
  const target = { op: 'setLinkMtu', namespace, name: link.name, alias: link.alias ?? '' } as const;
  return planned(
    'links',
    { ...target, mtu },
    { ...target, mtu: link.mtu },
    `set MTU of ${inside(namespace, link.name)} to ${mtu}`,
  );
};

export const addAddress = ({ namespace, link }: Located, address: string): PlannedStep => {
  const target = { namespace, link: link.name, address };
  return planned(
    'addresses',
    { op: 'addAddress', ...target },
    { op: 'deleteAddress', ...target },
    `add address ${address} to ${inside(namespace, link.name)}`,
  );
};

export const deleteAddress = ({ namespace, link }: Located, address: string): PlannedStep =>
  planned(
    'addresses',
    { op: 'deleteAddress', namespace, link: link.name, address },
    null,
    `delete address ${address} from ${inside(namespace, link.name)}`,
  );

export const addRoute = (namespace: string | null, to: string, via: string): PlannedStep =>
  planned(
    'routes',
    { op: 'addRoute', namespace, to, via },
    { op: 'deleteRoute', namespace, to, via },
    `add route ${to} via ${via} ${of(namespace)}`,
  );

export const deleteRoute = (namespace: string | null, to: string, via: string): PlannedStep =>
  planned(
    'routes',
    { op: 'deleteRoute', namespace, to, via },
    null,
    `delete route ${to} via ${via} ${of(namespace)}`,
  );

export const addDiscard = (to: string): PlannedStep =>
  planned(
    'routes',
    { op: 'addDiscard', to },
    { op: 'deleteDiscard', to },
    `discard the rest of ${to} on the host`,
  );

export const deleteDiscard = (to: string): PlannedStep =>
  planned('routes', { op: 'deleteDiscard', to }, null, `discard ${to} on the host no more`);

/** `former` null: not known yet; the host answers with it. */
export const setSysctl = (
  namespace: string,
  key: string,
  value: string,
  former: string | null,
): PlannedStep =>
  planned(
    'sysctls',
    { op: 'setSysctl', namespace, key, value },
    former === null ? null : { op: 'setSysctl', namespace, key, value: former },
    `set ${key} = ${value} in ${namespace}`,
  );

export const attachFilter = (name: string, mode: FilterSpec['mode']): PlannedStep =>
  planned(
    'filters',
    { op: 'attachFilter', interface: name, mode },
    { op: 'detachFilter', interface: name },
    `attach filter to ${name} (${mode})`,
  );

export const replaceFilter = ({ interface: name }: ObservedFilter): PlannedStep =>
  planned(
    'filters',
    { op: 'replaceFilter', interface: name },
    null,
    `replace the filter's program on ${name} in place`,
  );

export const reloadFilter = ({ interface: name }: ObservedFilter): PlannedStep =>
  planned(
    'filters',
    { op: 'reloadFilter', interface: name },
    null,
    `put back what the filter on ${name} holds`,
  );

export const detachFilter = ({ interface: name }: ObservedFilter): PlannedStep =>
  planned('filters', { op: 'detachFilter', interface: name }, null, `detach filter from ${name}`);
