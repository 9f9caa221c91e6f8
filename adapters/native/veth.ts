/**
 * Making and deleting veths that are ours. The kernel takes no alias at creation, but a group: so
 * both ends are made in a group that means "unfinished", and leave it when their alias is set, the
 * host end last. A crash between leaves an unfinished veth that the next creation clears away.
 */
import { randomInt } from 'node:crypto';
import type { Step } from '../../core/model/host';
import type { Link } from '../../core/netlink/link';
import { codeOf } from './errors';
import type { Rtnl } from './rtnl';
import type { Room } from './session';

/** 'AETH'. */
const UNFINISHED_GROUP = 0x41455448;

export const isUnfinished = (link: Pick<Link, 'group' | 'alias'>): boolean =>
  link.group === UNFINISHED_GROUP && link.alias === null;

type CreateVeth = Extract<Step, { op: 'createVeth' }>;

async function clearUnfinished(rtnl: Rtnl, name: string): Promise<boolean> {
  const link = await rtnl.links.get({ name });
  if (!link || !isUnfinished(link)) return false;
  await deleteIfThere(rtnl, link.index);
  return true;
}

async function deleteIfThere(rtnl: Rtnl, index: number): Promise<void> {
  try {
    await rtnl.links.delete({ index });
  } catch (error) {
    if (codeOf(error) !== 'ENODEV') throw error;
  }
}

export async function createVeth(root: Room, inner: Room, step: CreateVeth): Promise<void> {
  const { mtu, name, peer } = step;
  const make = (): Promise<void> =>
    root.rtnl.links.addVeth({
      name,
      mtu,
      group: UNFINISHED_GROUP,
      peer: { name: peer, mtu, group: UNFINISHED_GROUP, netnsFd: inner.ns.fd },
    });
  try {
    await make();
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
    const cleared = [
      await clearUnfinished(root.rtnl, name),
      await clearUnfinished(inner.rtnl, peer),
    ];
    if (!cleared.includes(true)) throw error;
    await make();
  }
  await inner.rtnl.links.set({ name: peer }, { alias: step.peerAlias, group: 0 });
  await root.rtnl.links.set({ name }, { alias: step.alias, group: 0 });
}

export interface Deletion {
  ifindex: number;
  alias: string;
}

/** What became of a deletion: gone (also: was not there), or left alone as it is not ours. */
export type DeletionResult = 'gone' | 'notOurs';

const judge = (link: Link | null | undefined, alias: string): 'delete' | DeletionResult => {
  if (!link) return 'gone';
  return link.alias === alias ? 'delete' : 'notOurs';
};

export async function deleteLink(rtnl: Rtnl, wanted: Deletion): Promise<DeletionResult> {
  const verdict = judge(await rtnl.links.get({ index: wanted.ifindex }), wanted.alias);
  if (verdict !== 'delete') return verdict;
  await deleteIfThere(rtnl, wanted.ifindex);
  return 'gone';
}

/**
 * Many links by one request, since the kernel waits for RCU once and not for each: verified links
 * move into a group of their own, which is read again and then deleted. Links that cannot be moved
 * any more (gone meanwhile) count as gone.
 */
export async function deleteLinks(
  rtnl: Rtnl,
  wanted: readonly Deletion[],
): Promise<DeletionResult[]> {
  const before = byIndex((await rtnl.links.list()).objects);
  const verdicts = wanted.map(({ ifindex, alias }) => judge(before.get(ifindex), alias));
  const group = randomInt(2 ** 20, 2 ** 30);
  const ours = wanted.filter((_, i) => verdicts[i] === 'delete');
  await Promise.all(ours.map(({ ifindex }) => moveToGroup(rtnl, ifindex, group)));
  const aliases = new Map(ours.map(({ ifindex, alias }) => [ifindex, alias]));
  const members = (await rtnl.links.list()).objects.filter((link) => link.group === group);
  const stranger = members.find((link) => aliases.get(link.index) !== link.alias);
  if (stranger) throw new Error(`link ${stranger.name} is in our deletion group ${group}`);
  if (members.length > 0) await rtnl.links.delete({ group });
  return verdicts.map((verdict) => (verdict === 'delete' ? 'gone' : verdict));
}

async function moveToGroup(rtnl: Rtnl, index: number, group: number): Promise<void> {
  try {
    await rtnl.links.set({ index }, { group });
  } catch (error) {
    if (codeOf(error) !== 'ENODEV') throw error;
  }
}

const byIndex = (links: readonly Link[]): Map<number, Link> =>
  new Map(links.map((link) => [link.index, link]));
