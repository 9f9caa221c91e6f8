/**
 * Links of a lab that fail, and heal. It happens at the link's first end, the router's: outside of what
 * Aether looks after, and before its XDP program sees a packet.
 */
import type { Lab } from './lab';
import type { Link } from './topology';
import { restoreEnd } from './wire';

/**
 * `silent`: nothing passes, and no end notices by itself. `in` and `out`: nothing reaches, nothing leaves
 * the second end (of an uplink: the edge). `carrier`: the first end is down, and the second loses carrier.
 */
export const CUTS = ['silent', 'in', 'out', 'carrier'] as const;
export type Cut = (typeof CUTS)[number];

/** Its name, followed by that of the interface; netdev tables come before everything else (nft(8)). */
const TABLE = 'aether-lab-cut-';
/** Seen from the first end. */
const HOOKS = { silent: ['ingress', 'egress'], in: ['egress'], out: ['ingress'] } as const;

function linkOf(lab: Lab, name: string): Link {
  const found = lab.record.links.find((link) => link.name === name);
  if (found !== undefined) return found;
  const names = lab.record.links.map((link) => link.name).join(', ');
  throw new NoSuchLink(`The lab has no link ${name}; it has ${names}`);
}

/** A link was named that the lab does not have; the message says which ones it has. */
export class NoSuchLink extends Error {
  override readonly name = 'NoSuchLink';
}

const dropping = (device: string, hook: string): string =>
  `add chain netdev ${TABLE}${device} ${hook} { type filter hook ${hook} device ${device} priority -500; policy drop; }`;

export async function cut(lab: Lab, name: string, how: Cut): Promise<void> {
  const link = linkOf(lab, name);
  const [{ host, name: device }] = link.ends;
  await heal(lab, name);
  if (how === 'carrier') {
    await lab.must(host, ['ip', 'link', 'set', device, 'down']);
    return;
  }
  const lines = [
    `add table netdev ${TABLE}${device}`,
    ...HOOKS[how].map((hook) => dropping(device, hook)),
  ];
  await lab.must(host, ['nft', '-f', '-'], { input: `${lines.join('\n')}\n` });
}

/** Whole again: also its addresses and routes that went with the carrier. */
export async function heal(lab: Lab, name: string): Promise<void> {
  const [end] = linkOf(lab, name).ends;
  await lab.exec(end.host, ['nft', 'delete', 'table', 'netdev', `${TABLE}${end.name}`]);
  const input = `${restoreEnd(end, lab.record.routes).join('\n')}\n`;
  await lab.must(end.host, ['ip', '-batch', '-'], { input });
}

/** Which links are cut now, and how, as the kernel has it; of a host that is gone nothing is known. */
export async function cutsOf(lab: Lab): Promise<Map<string, Cut>> {
  const found = new Map<string, Cut>();
  for (const host of new Set(lab.record.links.map(({ ends: [{ host }] }) => host))) {
    if (!lab.isUp(host)) continue;
    const tables = await lab.must(host, ['nft', 'list', 'ruleset', 'netdev']);
    const down = await lab.must(host, ['ip', '-br', 'link']);
    for (const { name, ends } of lab.record.links) {
      if (ends[0].host !== host) continue;
      const how = howCut(ends[0].name, tables, down);
      if (how !== null) found.set(name, how);
    }
  }
  return found;
}

function howCut(device: string, tables: string, links: string): Cut | null {
  if (new RegExp(`^${device}@\\S+\\s.*<(?![^>]*\\bUP\\b)`, 'm').test(links)) return 'carrier';
  const hook = (name: string): boolean => tables.includes(`hook ${name} device "${device}" `);
  const [ingress, egress] = [hook('ingress'), hook('egress')];
  if (ingress && egress) return 'silent';
  return ingress ? 'out' : egress ? 'in' : null;
}
