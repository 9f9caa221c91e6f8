/** What each step does to a model of a host: the kernel's answers and side effects, one a function. */
import type { ObservedFilter, ObservedLink, Step, StepResult } from '../model/host';
import { MARK } from '../model/ids';
import type { ModelHost } from './model-host';
import { ModelNetns, newNetns } from './model-netns';
import { defaultMetric } from './routes';
import { isOfInterface, rankOf } from './sysctls';

type Of<Op extends Step['op']> = Extract<Step, { op: Op }>;
type Effects = { [Op in Step['op']]: (host: ModelHost, step: Of<Op>) => StepResult };

const DONE: StepResult = { ok: true };

const failed = (code: string, message: string): StepResult => ({
  ok: false,
  code,
  message,
  changed: false,
});

const createNamespace = (host: ModelHost, { namespace }: Of<'createNamespace'>): StepResult => {
  if (host.namespaces.has(namespace)) return failed('EEXIST', `${namespace} exists`);
  const inode = host.number();
  host.namespaces.set(namespace, new ModelNetns(newNetns(inode)));
  return { ok: true, inode };
};

const deleteNamespace = (host: ModelHost, step: Of<'deleteNamespace'>): StepResult => {
  const netns = host.namespaces.get(step.namespace);
  if (netns === undefined) return DONE;
  const inode = netns === 'unmounted' ? null : netns.inode;
  if (inode !== step.inode) return failed('FOREIGN', `${step.namespace} has inode ${inode}`);
  host.namespaces.delete(step.namespace);
  if (netns === 'unmounted') return DONE;
  for (const link of [...netns.links.values()]) host.deletePair(netns, link);
  return DONE;
};

const end = (host: ModelHost, name: string, alias: string, mtu: number): ObservedLink => ({
  ifindex: host.number(),
  name,
  kind: 'veth',
  alias,
  mtu,
  up: false,
  peerIfindex: null,
  peerInode: null,
  addresses: [],
});

const createVeth = (host: ModelHost, step: Of<'createVeth'>): StepResult => {
  const netns = host.netns(step.namespace);
  if (netns === undefined) return failed('ENOENT', `no namespace ${step.namespace}`);
  if (host.root.links.has(step.name)) return failed('EEXIST', `${step.name} exists`);
  if (netns.links.has(step.peer)) return failed('EEXIST', `${step.peer} exists`);
  const near = end(host, step.name, step.alias, step.mtu);
  const far = end(host, step.peer, step.peerAlias, step.mtu);
  Object.assign(near, { peerIfindex: far.ifindex, peerInode: netns.inode });
  Object.assign(far, { peerIfindex: near.ifindex, peerInode: host.root.inode });
  host.root.links.set(near.name, near);
  netns.links.set(far.name, far);
  for (const key of Object.keys(netns.sysctls)) {
    if (isOfInterface(key, step.peer)) netns.sysctls[key] = host.options.sysctlDefault;
  }
  return DONE;
};

type Target = { namespace: string | null; alias: string } & (
  { name: string } | { ifindex: number }
);

/** The link that a step means, or why it cannot be had. */
const marked = (host: ModelHost, step: Target): [ModelNetns, ObservedLink] | StepResult => {
  const netns = host.netns(step.namespace);
  const byIndex =
    'ifindex' in step && step.ifindex !== 0 ? netns?.byIndex(step.ifindex) : undefined;
  const link = byIndex ?? ('name' in step ? netns?.links.get(step.name) : undefined);
  if (netns === undefined || link === undefined) return failed('ENODEV', 'no such link');
  if (link.alias !== step.alias) return failed('FOREIGN', `${link.name} has alias ${link.alias}`);
  return [netns, link];
};

const deleteLink = (host: ModelHost, step: Of<'deleteLink'>): StepResult => {
  const found = marked(host, step);
  if ('ok' in found) return !found.ok && found.code === 'ENODEV' ? DONE : found;
  host.deletePair(...found);
  return DONE;
};

const renameLink = (host: ModelHost, step: Of<'renameLink'>): StepResult => {
  const found = marked(host, step);
  if ('ok' in found) return found;
  const [netns, link] = found;
  if (netns.links.has(step.name)) return failed('EEXIST', `${step.name} exists`);
  netns.rename(link, step.name);
  return DONE;
};

const setLinkUp = (host: ModelHost, step: Of<'setLinkUp'>): StepResult => {
  const found = marked(host, step);
  if ('ok' in found) return found;
  found[1].up = true;
  return DONE;
};

const raiseLoopback = (host: ModelHost, { namespace }: Of<'raiseLoopback'>): StepResult => {
  const link = host.netns(namespace)?.links.get('lo');
  if (link === undefined) return failed('ENODEV', 'no such link');
  link.up = true;
  return DONE;
};

const setLinkMtu = (host: ModelHost, step: Of<'setLinkMtu'>): StepResult => {
  const found = marked(host, step);
  if ('ok' in found) return found;
  found[1].mtu = step.mtu;
  return DONE;
};

const addAddress = (host: ModelHost, step: Of<'addAddress'>): StepResult => {
  const link = host.netns(step.namespace)?.links.get(step.link);
  if (link === undefined) return failed('ENODEV', `no link ${step.link}`);
  if (link.addresses.some(({ address }) => address === step.address)) return DONE;
  const bare = step.address.slice(0, step.address.indexOf('/') + 1);
  const held = bare.includes(':') && link.addresses.some((a) => a.address.startsWith(bare));
  if (held) return failed('EEXIST', `${bare} is there with another length`);
  link.addresses.push({ address: step.address, protocol: MARK.protocol });
  return DONE;
};

const deleteAddress = (host: ModelHost, step: Of<'deleteAddress'>): StepResult => {
  const netns = host.netns(step.namespace);
  const link = netns?.links.get(step.link);
  const there = link?.addresses.some(({ address }) => address === step.address);
  if (netns !== undefined && link !== undefined && there) netns.deleteAddress(link, step.address);
  return DONE;
};

const addRoute = (host: ModelHost, { namespace, to, via }: Of<'addRoute'>): StepResult => {
  const netns = host.netns(namespace);
  const link = netns?.linkTo(via);
  if (netns === undefined || link === undefined) return failed('ENETUNREACH', `${via} unreachable`);
  const metric = defaultMetric(to);
  const held = netns.routes.find((route) => route.to === to && route.metric === metric);
  if (held !== undefined) {
    return held.via === via ? DONE : failed('EEXIST', `${to} goes via ${held.via}`);
  }
  netns.routes.push({ to, via, ifindex: link.ifindex, protocol: MARK.protocol, metric });
  return DONE;
};

const deleteRoute = (host: ModelHost, { namespace, to, via }: Of<'deleteRoute'>): StepResult => {
  const netns = host.netns(namespace);
  if (netns === undefined) return DONE;
  const isIt = (route: ModelNetns['routes'][number]): boolean =>
    route.to === to && route.via === via && route.protocol === MARK.protocol;
  netns.routes = netns.routes.filter((route) => !isIt(route));
  return DONE;
};

const addDiscard = ({ root }: ModelHost, { to }: Of<'addDiscard'>): StepResult => {
  const metric = defaultMetric(to);
  const held = root.routes.find((route) => route.to === to && route.metric === metric);
  if (held !== undefined) return held.discards ? DONE : failed('EEXIST', `${to} is led somewhere`);
  const { protocol } = MARK;
  root.routes.push({ to, via: null, ifindex: null, protocol, metric, discards: true });
  return DONE;
};

const deleteDiscard = ({ root }: ModelHost, { to }: Of<'deleteDiscard'>): StepResult => {
  root.routes = root.routes.filter(
    (route) => !(route.to === to && route.discards && route.protocol === MARK.protocol),
  );
  return DONE;
};

/** Keys that this one writes as well are unknown afterwards. */
const setSysctl = (host: ModelHost, step: Of<'setSysctl'>): StepResult => {
  const netns = host.netns(step.namespace);
  if (netns === undefined) return failed('ENOENT', `no namespace ${step.namespace}`);
  const former = netns.sysctls[step.key] ?? host.options.sysctlDefault;
  for (const key of Object.keys(netns.sysctls)) {
    if (host.options.sysctlDefault === null && rankOf(key) > rankOf(step.key)) {
      if (key.includes('.conf.')) netns.sysctls[key] = null;
    }
  }
  netns.sysctls[step.key] = step.value;
  return former === null ? DONE : { ok: true, former };
};

const filterOn = (host: ModelHost, name: string): ObservedFilter | undefined =>
  host.filters.find((filter) => filter.interface === name);

const attachFilter = (host: ModelHost, step: Of<'attachFilter'>): StepResult => {
  const filter = filterOn(host, step.interface);
  if (filter?.ifindex == null) return failed('ENODEV', 'no interface');
  if (filter.attached !== null || filter.pin !== null) return failed('EBUSY', 'attached');
  const program = { programId: host.number(), tag: host.options.filterTag };
  filter.attached = { ...program, mode: step.mode, ours: true };
  filter.pin = { ifindex: filter.ifindex, ...program };
  filter.contents = { state: 'right', detail: null };
  return DONE;
};

const replaceFilter = (host: ModelHost, step: Of<'replaceFilter'>): StepResult => {
  const filter = filterOn(host, step.interface);
  if (filter?.pin == null || filter.attached?.ours !== true) return failed('ENOLINK', 'no link');
  const program = { programId: host.number(), tag: host.options.filterTag };
  filter.attached = { ...filter.attached, ...program };
  filter.pin = { ...filter.pin, ...program };
  return DONE;
};

const detachFilter = (host: ModelHost, step: Of<'detachFilter'>): StepResult => {
  const filter = filterOn(host, step.interface);
  if (filter?.pin == null) return DONE;
  const isLive = filter.pin.ifindex === filter.ifindex && filter.attached?.ours === true;
  if (isLive) filter.attached = null;
  filter.pin = null;
  filter.contents = { state: 'unknown', detail: null };
  return DONE;
};

const reloadFilter = (host: ModelHost, step: Of<'reloadFilter'>): StepResult => {
  const filter = filterOn(host, step.interface);
  if (filter?.pin == null) return { ok: false, code: 'ENOENT', message: 'no pin', changed: false };
  filter.contents = { state: 'right', detail: null };
  return DONE;
};

const EFFECTS: Effects = {
  createNamespace,
  deleteNamespace,
  createVeth,
  deleteLink,
  renameLink,
  setLinkUp,
  raiseLoopback,
  setLinkMtu,
  addAddress,
  deleteAddress,
  addRoute,
  deleteRoute,
  addDiscard,
  deleteDiscard,
  setSysctl,
  attachFilter,
  replaceFilter,
  reloadFilter,
  detachFilter,
};

export const effectOf = (host: ModelHost, step: Step): StepResult =>
  (EFFECTS[step.op] as (host: ModelHost, step: Step) => StepResult)(host, step);
