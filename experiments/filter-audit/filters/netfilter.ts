/** What people use: iptables in both forms, ipset, nftables at the ingress hook. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { has, run, timed, type Timed } from '../commands';
import type { ListKind } from '../prefixes';
import { inside, type Receiver } from '../topology';
import type { Filter, Job } from './filter';

const ALL_SIZES = [1, 1_000, 10_000, 100_000, 1_000_000] as const;
const SET = 'listed';

/** Loads what `text` says by a command that reads it, in the receiver's namespace. */
async function loadText(
  { ns }: Receiver,
  { scratch, timeoutS }: Job,
  argv: readonly string[],
  text: string,
): Promise<Timed> {
  const path = join(scratch, 'rules');
  writeFileSync(path, text);
  return timed(inside(ns, ...argv), path, timeoutS);
}

const joined = (all: readonly string[]): string => `${all.join('\n')}\n`;
const needs =
  (...programs: string[]) =>
  (): string | null => {
    const absent = programs.filter((program) => !has(program));
    return absent.length === 0 ? null : `${absent.join(', ')} is not installed`;
  };

/** One rule an entry in a chain of its own, before connection tracking and routing. */
function iptables(flavour: 'legacy' | 'nft'): Filter {
  const restore = `iptables-${flavour}-restore`;
  return {
    name: `iptables-${flavour}`,
    list: 'mixed',
    entries: [1, 1_000, 10_000],
    kinds: ['drop', 'pass'],
    limit: 'a rule an entry: a packet already takes tens of µs at 10,000',
    missing: needs(restore),
    version: () => run([`iptables-${flavour}`, '--version']).trim(),
    load: async (receiver, job) => {
      const rules = job.texts.map((prefix) => `-A LISTED -s ${prefix} -j DROP`);
      const text = joined([
        '*raw',
        ':LISTED - [0:0]',
        '-A PREROUTING -j LISTED',
        ...rules,
        'COMMIT',
      ]);
      return { ...(await loadText(receiver, job, [restore], text)), claimedBytes: null };
    },
  };
}

/** Room for all entries at about two a bucket, so that the set never grows while it is filled. */
const hashSize = (entries: number): number =>
  Math.max(1024, 2 ** Math.ceil(Math.log2(entries / 2)));

export const IPSET: Filter = {
  name: 'ipset',
  list: 'mixed',
  entries: ALL_SIZES,
  kinds: ['drop', 'pass'],
  limit: null,
  missing: needs('ipset', 'iptables-legacy'),
  version: () => run(['ipset', '--version']).trim(),
  load: async (receiver, job) => {
    const { ns } = receiver;
    const size = hashSize(job.texts.length);
    const text = joined([
      `create ${SET} hash:net maxelem 2000000 hashsize ${size}`,
      ...job.texts.map((prefix) => `add ${SET} ${prefix}`),
    ]);
    const took = await loadText(receiver, job, ['ipset', 'restore'], text);
    const rule = ['-t', 'raw', '-A', 'PREROUTING', '-m', 'set', '--match-set', SET, 'src'];
    run(inside(ns, 'iptables-legacy', ...rule, '-j', 'DROP'));
    const told = run(inside(ns, 'ipset', 'list', '-t', SET));
    const bytes = /^Size in memory: (\d+)$/m.exec(told)?.[1];
    return { ...took, claimedBytes: bytes === undefined ? null : Number(bytes) };
  },
};

/** At the ingress hook of the device, ahead of all that iptables sees. */
const nftables = (name: string, list: ListKind, flags: string): Filter => ({
  name,
  list,
  entries: ALL_SIZES,
  kinds: ['drop', 'pass'],
  limit: null,
  missing: needs('nft'),
  version: () => run(['nft', '--version']).trim(),
  load: async (receiver, job) => {
    const text = joined([
      'table netdev audit {',
      `set ${SET} { type ipv4_addr; ${flags}`,
      `elements = { ${job.texts.join(',\n')} }`,
      '}',
      'chain ingress {',
      `type filter hook ingress device "${receiver.device}" priority 0; policy accept;`,
      `ip saddr @${SET} drop`,
      '}',
      '}',
    ]);
    return { ...(await loadText(receiver, job, ['nft', '-f', '-'], text)), claimedBytes: null };
  },
});

export const IPTABLES_LEGACY = iptables('legacy');
export const IPTABLES_NFT = iptables('nft');
export const NFT_HASH = nftables('nft ingress, hash set', 'hosts', '');
export const NFT_INTERVAL = nftables(
  'nft ingress, interval set',
  'mixed',
  'flags interval; auto-merge;',
);
