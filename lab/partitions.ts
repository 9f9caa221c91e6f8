/**
 * The management network of a lab, which joins controllers, etcd, Temporal and edges, in parts: who does not
 * reach whom any more, in one direction or both, all of it or one transport alone. What passes is decided at
 * the bridge, so nobody notices but by what does not arrive.
 */
import type { Lab } from './lab';
import { managementIpv6 } from './topology';

export const TRAFFIC = ['all', 'udp', 'tcp'] as const;
export type Traffic = (typeof TRAFFIC)[number];

/** What any of `from` sends to any of `to` is lost. Names of hosts. */
export interface Severed {
  from: readonly string[];
  to: readonly string[];
  traffic: Traffic;
}

export const apart = (
  these: readonly string[],
  those: readonly string[],
  traffic: Traffic = 'all',
): Severed[] => [
  { from: these, to: those, traffic },
  { from: those, to: these, traffic },
];

const TABLE = 'bridge aether-lab-partition';

function fabricOf(lab: Lab): string {
  const [fabric] = lab.hosts('fabric');
  if (fabric === undefined) throw new Error('The lab has no fabric');
  return fabric;
}

function addressOf(lab: Lab, name: string): string {
  const found = lab.record.hosts.find((host) => host.name === name);
  if (found !== undefined) return found.address;
  throw new Error(`The lab has no host ${name}`);
}

/** Instead of what was severed before; established connections stall like new ones. */
export async function sever(lab: Lab, severed: readonly Severed[]): Promise<void> {
  const rules = severed.flatMap(({ from, to, traffic }) => {
    if (from.length === 0 || to.length === 0) return [];
    const transport = traffic === 'all' ? '' : ` meta l4proto ${traffic}`;
    const rule = (head: 'ip' | 'ip6', family: (address: string) => string): string => {
      const set = (names: readonly string[]): string =>
        `{ ${names.map((name) => family(addressOf(lab, name))).join(', ')} }`;
      return `add rule ${TABLE} forward ${head} saddr ${set(from)} ${head} daddr ${set(to)}${transport} drop`;
    };
    return [rule('ip', (address) => address), rule('ip6', managementIpv6)];
  });
  const lines = [
    `add table ${TABLE}`,
    `delete table ${TABLE}`,
    `add table ${TABLE}`,
    `add chain ${TABLE} forward { type filter hook forward priority -300; policy accept; }`,
    ...rules,
  ];
  await lab.must(fabricOf(lab), ['nft', '-f', '-'], { input: `${lines.join('\n')}\n` });
}

/** Whole again. */
export async function mend(lab: Lab): Promise<void> {
  await lab.exec(fabricOf(lab), ['nft', 'delete', 'table', ...TABLE.split(' ')]);
}
