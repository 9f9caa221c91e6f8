/** One step of a plan, done: whatever carries another mark than ours is refused. */
import type { Step, StepResult } from '../../core/model/host';
import { MARK } from '../../core/model/ids';
import { RTN_BLACKHOLE } from '../../core/netlink/consts';
import { addressBytes, prefixBytes, type IpAddress, type IpPrefix } from '../../core/netlink/ip';
import { isUp, type Link, type LinkRef } from '../../core/netlink/link';
import type { FilterEngine } from './filter/engine';
import { codeOf, NetlinkError } from './errors';
import { inspectName, netnsPath } from './netns';
import { native } from './native';
import type { Rtnl } from './rtnl';
import type { Session } from './session';
import { createVeth, deleteLink } from './veth';

/** Nothing was changed: the object is somebody else's, or not what the plan took it for. */
export class Refused extends Error {
  constructor(
    readonly code: 'notOurs' | 'absent' | 'malformed',
    message: string,
  ) {
    super(message);
  }
}

const DONE: StepResult = { ok: true };
type Of<Op extends Step['op']> = Extract<Step, { op: Op }>;

export interface Bench {
  session: Session;
  filters: FilterEngine;
  /** Called before a namespace is deleted, for whoever holds a socket in it. */
  leave: (namespace: string) => void;
}

async function rtnlOf(bench: Bench, namespace: string | null): Promise<Rtnl> {
  return (await bench.session.room(namespace)).rtnl;
}

async function ownLink(rtnl: Rtnl, ref: LinkRef, alias: string): Promise<Link> {
  const link = await rtnl.links.get(ref);
  const name = 'name' in ref ? ref.name : JSON.stringify(ref);
  if (!link) throw new Refused('absent', `there is no link ${name}`);
  if (link.alias !== alias) {
    throw new Refused('notOurs', `link ${link.name} has alias ${link.alias}, not ${alias}`);
  }
  return link;
}

function prefix(text: string): IpPrefix {
  const parsed = prefixBytes(text);
  if (!parsed) throw new Refused('malformed', `not a prefix: ${text}`);
  return parsed;
}

function gateway(text: string): IpAddress {
  const parsed = addressBytes(text);
  if (!parsed) throw new Refused('malformed', `not an address: ${text}`);
  return parsed;
}

/** Runs `work`; an error with one of these codes is taken for success where `accept` agrees. */
async function tolerate(
  codes: readonly string[],
  work: Promise<unknown>,
  accept: () => Promise<boolean> = async () => true,
): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!codes.includes(codeOf(error)) || !(await accept())) throw error;
  }
}

async function createNamespace({ namespace }: Of<'createNamespace'>): Promise<StepResult> {
  await native.nsCreate(netnsPath(namespace));
  const made = inspectName(namespace);
  if (made.state !== 'mounted') throw new Refused('absent', `${namespace} went at once`);
  return { ok: true, inode: made.inode };
}

async function deleteNamespace(step: Of<'deleteNamespace'>, bench: Bench): Promise<StepResult> {
  const found = inspectName(step.namespace);
  if (found.state === 'absent') return DONE;
  const inode = found.state === 'mounted' ? found.inode : null;
  if (inode !== step.inode) {
    throw new Refused('notOurs', `${step.namespace} is inode ${inode}, not ${step.inode}`);
  }
  bench.leave(step.namespace);
  await native.nsDelete(netnsPath(step.namespace));
  return DONE;
}

async function removeLink(step: Of<'deleteLink'>, bench: Bench): Promise<StepResult> {
  const result = await deleteLink(await rtnlOf(bench, step.namespace), step);
  if (result === 'notOurs') throw new Refused('notOurs', `link ${step.name} has another alias`);
  return DONE;
}

async function renameLink(step: Of<'renameLink'>, bench: Bench): Promise<StepResult> {
  const rtnl = await rtnlOf(bench, step.namespace);
  const ref = { index: step.ifindex };
  const link = await ownLink(rtnl, ref, step.alias);
  // Kernels before 6.2 refuse to rename a link that is up.
  if (isUp(link)) await rtnl.links.set(ref, { up: false });
  await rtnl.links.set(ref, { name: step.name });
  return DONE;
}

async function raiseLoopback(step: Of<'raiseLoopback'>, bench: Bench): Promise<StepResult> {
  const rtnl = await rtnlOf(bench, step.namespace);
  await rtnl.links.set({ name: 'lo' }, { up: true });
  return DONE;
}

async function addAddress(step: Of<'addAddress'>, bench: Bench): Promise<StepResult> {
  const rtnl = await rtnlOf(bench, step.namespace);
  const address = prefix(step.address);
  const link = await rtnl.links.get({ name: step.link });
  if (!link) throw new Refused('absent', `there is no link ${step.link}`);
  const spec = { ifindex: link.index, address, protocol: MARK.protocol, noDad: true };
  await tolerate(['EEXIST'], rtnl.addrs.add(spec), async () =>
    (await rtnl.addrs.list()).objects.some(
      (addr) => addr.ifindex === link.index && addr.address === step.address,
    ),
  );
  return DONE;
}

async function deleteAddress(step: Of<'deleteAddress'>, bench: Bench): Promise<StepResult> {
  const rtnl = await rtnlOf(bench, step.namespace);
  const link = await rtnl.links.get({ name: step.link });
  if (!link) return DONE;
  const found = (await rtnl.addrs.list()).objects.find(
    (addr) => addr.ifindex === link.index && addr.address === step.address,
  );
  if (!found) return DONE;
  if (found.protocol !== MARK.protocol) {
    throw new Refused('notOurs', `${step.address} on ${step.link} has protocol ${found.protocol}`);
  }
  const spec = { ifindex: link.index, address: prefix(step.address) };
  await tolerate(['EADDRNOTAVAIL', 'ENODEV'], rtnl.addrs.delete(spec));
  return DONE;
}

async function addRoute(step: Of<'addRoute'>, bench: Bench): Promise<StepResult> {
  const rtnl = await rtnlOf(bench, step.namespace);
  const spec = { to: prefix(step.to), via: gateway(step.via), protocol: MARK.protocol };
  await tolerate(['EEXIST'], rtnl.routes.add(spec), async () =>
    (await rtnl.routes.list()).objects.some(({ to, via }) => to === step.to && via === step.via),
  );
  return DONE;
}

/** The kernel compares the protocol, so only a route of ours is deleted. */
async function deleteRoute(step: Of<'deleteRoute'>, bench: Bench): Promise<StepResult> {
  const rtnl = await rtnlOf(bench, step.namespace);
  const spec = { to: prefix(step.to), via: gateway(step.via), protocol: MARK.protocol };
  await tolerate(['ESRCH'], rtnl.routes.delete(spec));
  return DONE;
}

async function addDiscard({ to }: Of<'addDiscard'>, bench: Bench): Promise<StepResult> {
  const rtnl = await rtnlOf(bench, null);
  const spec = { to: prefix(to), discards: true, protocol: MARK.protocol } as const;
  await tolerate(['EEXIST'], rtnl.routes.add(spec), async () =>
    (await rtnl.routes.list()).objects.some(
      (route) => route.to === to && route.type === RTN_BLACKHOLE,
    ),
  );
  return DONE;
}

async function deleteDiscard({ to }: Of<'deleteDiscard'>, bench: Bench): Promise<StepResult> {
  const rtnl = await rtnlOf(bench, null);
  const spec = { to: prefix(to), discards: true, protocol: MARK.protocol } as const;
  await tolerate(['ESRCH'], rtnl.routes.delete(spec));
  return DONE;
}

async function setSysctl(step: Of<'setSysctl'>, bench: Bench): Promise<StepResult> {
  const { ns } = await bench.session.room(step.namespace);
  const former = await ns.writeSysctl(step.key, step.value);
  return former === null ? DONE : { ok: true, former };
}

async function attachFilter(step: Of<'attachFilter'>, bench: Bench): Promise<StepResult> {
  const rtnl = await rtnlOf(bench, null);
  const link = await rtnl.links.get({ name: step.interface });
  if (!link) throw new Refused('absent', `there is no interface ${step.interface}`);
  await bench.filters.attach(step.interface, link.index, step.mode);
  return DONE;
}

async function run(step: Step, bench: Bench): Promise<StepResult> {
  switch (step.op) {
    case 'createNamespace':
      return createNamespace(step);
    case 'deleteNamespace':
      return deleteNamespace(step, bench);
    case 'createVeth': {
      const { session } = bench;
      await createVeth(await session.room(null), await session.room(step.namespace), step);
      return DONE;
    }
    case 'deleteLink':
      return removeLink(step, bench);
    case 'renameLink':
      return renameLink(step, bench);
    case 'setLinkUp':
    case 'setLinkMtu': {
      const rtnl = await rtnlOf(bench, step.namespace);
      const { index } = await ownLink(rtnl, { name: step.name }, step.alias);
      await rtnl.links.set({ index }, step.op === 'setLinkUp' ? { up: true } : { mtu: step.mtu });
      return DONE;
    }
    case 'raiseLoopback':
      return raiseLoopback(step, bench);
    case 'addAddress':
      return addAddress(step, bench);
    case 'deleteAddress':
      return deleteAddress(step, bench);
    case 'addRoute':
      return addRoute(step, bench);
    case 'deleteRoute':
      return deleteRoute(step, bench);
    case 'addDiscard':
      return addDiscard(step, bench);
    case 'deleteDiscard':
      return deleteDiscard(step, bench);
    case 'setSysctl':
      return setSysctl(step, bench);
    case 'attachFilter':
      return attachFilter(step, bench);
    case 'replaceFilter':
      await bench.filters.replace(step.interface);
      return DONE;
    case 'reloadFilter':
      await bench.filters.reload(step.interface);
      return DONE;
    case 'detachFilter':
      await bench.filters.detach(step.interface);
      return DONE;
  }
}

/** Steps of several requests, of which some may have taken effect when a later one fails. */
const IN_PARTS: readonly Step['op'][] = [
  'createVeth',
  'renameLink',
  'attachFilter',
  'reloadFilter',
  'detachFilter',
];

export function toResult(step: Step, error: unknown): StepResult {
  const message = `${step.op}: ${error instanceof Error ? error.message : String(error)}`;
  if (error instanceof Refused) return { ok: false, code: error.code, message, changed: false };
  const lost = error instanceof NetlinkError && error.changed === null;
  const changed = lost || IN_PARTS.includes(step.op) ? null : false;
  return { ok: false, code: codeOf(error) || 'unexpected', message, changed };
}

export async function apply(step: Step, bench: Bench): Promise<StepResult> {
  try {
    return await run(step, bench);
  } catch (error) {
    return toResult(step, error);
  }
}
