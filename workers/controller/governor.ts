/** What binds commands that take announcers away, as refusals (core/model/governor.ts says when). */
import { Refusal } from '../../core/model/errors';
import type { FloorPicture, floorHolds, GovernorLimits } from '../../core/model/governor';
import type { NodeName } from '../../core/model/ids';
import type { Picture, PlacedService, TrafficCommand } from '../../core/model/routing-messages';
import type { DesiredState } from './desired';
import { UnreadableKey } from './desired-keys';

export function floorPicture(
  placed: PlacedService,
  picture: Pick<Picture, 'announcers' | 'unproven'> | null,
  holders: readonly NodeName[],
): FloorPicture {
  const { service, minAnnouncers: floor, nodes, traffic, nodeTraffic } = placed;
  const withdrawing = nodes.filter(({ node, region, command }) =>
    [command, nodeTraffic?.[node] ?? traffic[region]].some((each) => each?.stance === 'withdraw'),
  );
  return {
    service,
    floor,
    announcers: picture?.announcers[service] ?? [],
    withdrawing: new Set(withdrawing.map(({ node }) => node)),
    permitted: new Set(holders),
    unproven: new Set(picture?.unproven?.[service]),
  };
}

const list = (names: readonly string[]): string => names.join(', ') || 'nobody';

export function floorRefusal(
  { service, minAnnouncers: floor }: PlacedService,
  { why, left, spare }: Extract<ReturnType<typeof floorHolds>, { ok: false }>,
): Refusal {
  if (why === 'permits') {
    return new Refusal(
      { code: 'PermitsOut', service, holders: spare, floor },
      `${service} must have ${floor} announcers; ${list(left)} would be left, but ${list(spare)} may withdraw by themselves; nothing was written; their permits are called back, try again.`,
    );
  }
  return new Refusal(
    { code: 'FloorReached', service, announcers: left, floor },
    `${service} must have ${floor} announcers, and only ${left.length} would be left (${list(left)}); nothing was written; bring another one up, lower minAnnouncers, or use --force.`,
  );
}

/** Which floors hold for a node is not known where a key that may concern it was never read. */
export function assertFloorsKnown(node: NodeName, desired: DesiredState): void {
  const { unread } = desired.of(node);
  if (unread === null) return;
  throw new UnreadableKey(
    unread,
    `nobody knows which floors hold for ${node}; nothing was written`,
  );
}

/** Nobody withdraws a service from everywhere, or from nowhere, by a slip. */
export function assertSelection(
  service: string,
  placed: PlacedService,
  { regions, nodes, force }: TrafficCommand,
): void {
  const refuse = (problem: string): never => {
    const message = `${problem}; nothing was written.`;
    throw new Refusal({ code: 'InvalidInput', problems: [problem] }, message);
  };
  if (Object.keys(regions).length + Object.keys(nodes).length === 0) {
    return refuse('no region and no node is selected');
  }
  const known = new Set([
    ...placed.nodes.map(({ region }) => region),
    ...placed.regions.map(({ name }) => name),
  ]);
  for (const [name, stance] of Object.entries(regions)) {
    if (stance !== null && !known.has(name)) {
      refuse(`${service} has no node in a region ${name === '' ? 'without a name' : name}`);
    }
  }
  for (const [name, stance] of Object.entries(nodes)) {
    const bound = placed.nodes.some(({ node }) => node === name);
    if (stance !== null && !bound) refuse(`${name} does not serve ${service}`);
  }
  const stays = placed.nodes.some(
    ({ node, region }) => (nodes[node] ?? regions[region] ?? null) !== 'withdraw',
  );
  if (!stays && !force) refuse(`it would be withdrawn from everywhere that ${service} is served`);
}

/** Somebody was withdrawn since it was made. */
export const isMoved = (picture: Picture | null, actualRevision: number): boolean =>
  picture !== null && picture.governorRevision !== actualRevision;

export const pictureMoved = (picture: Picture | null, actualRevision: number): Refusal =>
  new Refusal(
    {
      code: 'PictureMoved',
      governorRevision: picture?.governorRevision ?? actualRevision,
      actualRevision,
    },
    'Somebody else commanded meanwhile; nothing was written; look again and decide anew.',
  );

export const governorFull = ({ most, windowMs }: GovernorLimits, freesAtMs: number): Refusal =>
  new Refusal(
    { code: 'GovernorFull', most, windowMs, freesAtMs },
    `${most} withdrawals were commanded within ${windowMs / 1000} s; nothing was written; the next may be at ${new Date(freesAtMs).toISOString()}.`,
  );
