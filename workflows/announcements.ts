/**
 * What drains, quarantines, failovers and their ends have in common: look, command under the governor,
 * wait for edges, peers and counters. Each answer is evidence, in the history and for people.
 */
import { isCancellation, patched, sleep } from '@temporalio/workflow';
import type { Stance } from '../core/model/anycast';
import { factsOf } from '../core/model/errors';
import type { NodeName } from '../core/model/ids';
import type {
  Commanded,
  DrainTimings,
  EdgeRouting,
  Picture,
  Placement,
  SeenAs,
} from '../core/model/routing-messages';
import { shardOf } from '../core/ring/shard';
import type { Way } from '../core/routing/evidence';
import { leftWithout, pictureOf } from '../core/routing/floor';
import { reasonOf } from './failures';
import { lookAt, placement, waitBy } from './routing-proxies';
import type { Evidence } from './routing-steps';

export const TIMINGS: Required<DrainTimings> = {
  followMs: 15_000,
  moveMs: 30_000,
  unseenMs: 5_000,
  quietMs: 5_000,
  quietLimitMs: 60_000,
};

/** Shards asked at once, and until enough of them have answered. */
const BATCH = 16;

/** For so long whoever withdraws beside others looks again: the governor lets some of them through each minute. */
const LOOKS_MS = 600_000;
const AGAIN_MS = 100;
const AGAIN_MAX_MS = 5_000;

/** Runs that began before gave up after so many looks, made at once. */
const LOOKS_MAX = 10;
export const looksByTime = (): boolean => patched('looks by time');

export interface Look {
  placed: Placement;
  said: EdgeRouting[];
  picture: Picture;
}

/** The nodes that it is about are always asked; of the others as many as it takes to know the floor. */
export async function lookAround(
  of: { node: NodeName } | { service: string },
  about: (placed: Placement) => NodeName[],
): Promise<Look> {
  const placed = await placement(of);
  const first = about(placed);
  const shards = byShard([...first, ...placed.services.flatMap((s) => s.nodes.map((n) => n.node))]);
  const said: EdgeRouting[] = [];
  const asked = new Set(first.map(shardOf)).size;
  for (let next = 0; next < shards.length;) {
    const count = Math.max(BATCH, next === 0 ? asked : 0);
    const answers = await Promise.all(shards.slice(next, next + count).map(lookOne));
    said.push(...answers.flat());
    next += count;
    const known = pictureOf(placed, said);
    const enough = placed.services.every(
      (service) => leftWithout(service, known, first).length > service.minAnnouncers,
    );
    if (enough) break;
  }
  return { placed, said, picture: pictureOf(placed, said) };
}

const byShard = (nodes: readonly NodeName[]): [number, NodeName[]][] => {
  const shards = new Map<number, NodeName[]>();
  for (const node of new Set(nodes)) {
    shards.set(shardOf(node), [...(shards.get(shardOf(node)) ?? []), node]);
  }
  return [...shards];
};

/** Of nodes that nobody can tell about, nothing is known. */
async function lookOne([shard, nodes]: [number, NodeName[]]): Promise<EdgeRouting[]> {
  try {
    const summary = nodes.slice(0, 4).join(', ');
    return await lookAt(shard).routingOf.executeWithOptions({ summary }, [{ nodes }]);
  } catch (error) {
    if (isCancellation(error)) throw error;
    return [];
  }
}

/** Looks and commands until both rest on the same picture, or the time is up. */
export async function commandBy(
  look: () => Promise<Look>,
  send: (look: Look) => Promise<Commanded>,
  limitMs = LOOKS_MS,
): Promise<Commanded & Evidence> {
  const endsAtMs = Date.now() + limitMs;
  for (let looks = 1; ; looks += 1) {
    try {
      return told(await send(await look()));
    } catch (error) {
      if (factsOf(error, 'PictureMoved') === null) throw error;
      if (looksByTime() ? Date.now() > endsAtMs : looks === LOOKS_MAX) throw error;
    }
    if (looksByTime()) await apart(looks);
  }
}

/** So that many who look at once do not meet again. */
function apart(looks: number): Promise<void> {
  const mostMs = Math.min(AGAIN_MAX_MS, AGAIN_MS * 2 ** looks);
  return sleep(Math.max(1, Math.random() * mostMs), { summary: 'others command as well' });
}

export function told(commanded: Commanded): Commanded & Evidence {
  const left = Object.entries(commanded.left).map(([service, n]) => `${service} by ${n}`);
  const evidence = [`revision ${commanded.revision}`, ...left].join(', ');
  return { ...commanded, evidence };
}

export interface Following extends Evidence {
  reached: NodeName[];
}

/** Each of the nodes; one that is not reached in time is named, and nobody waits for it longer. */
export async function follow(
  nodes: readonly NodeName[],
  wanted: { services: string[] | null; stance: Stance; way: Way; revision: number },
  limitMs: number,
): Promise<Following> {
  const answers = await Promise.all(nodes.map((node) => followOne(node, wanted, limitMs)));
  const reached = nodes.filter((_, i) => answers[i]?.reached);
  const behind = answers.filter((answer) => !answer.reached);
  const shown = (behind.length > 0 ? behind : answers).slice(0, 4);
  const evidence =
    `${reached.length} of ${nodes.length} ${nodes.length === 1 ? 'edge' : 'edges'}: ` +
    shown.map((answer) => answer.evidence).join('; ');
  return { reached, evidence, verified: behind.length === 0 };
}

async function followOne(
  node: NodeName,
  wanted: { services: string[] | null; stance: Stance; way: Way; revision: number },
  limitMs: number,
): Promise<{ reached: boolean; evidence: string }> {
  try {
    const summary = `${node}: ${wanted.stance}`;
    const { awaitStance } = waitBy(node, limitMs);
    return await awaitStance.executeWithOptions({ summary }, [{ node, ...wanted }]);
  } catch (error) {
    if (isCancellation(error)) throw error;
    return { reached: false, evidence: `${node}: ${reasonOf(error)}` };
  }
}

/** BGP and BFD to these routers; what is not up is named. */
export async function sessions(
  node: NodeName,
  neighbors: string[],
  limitMs: number,
): Promise<Evidence> {
  try {
    const { awaitSessions } = waitBy(node, limitMs);
    const summary = neighbors.slice(0, 4).join(', ');
    const { reached, evidence } = await awaitSessions.executeWithOptions({ summary }, [
      { node, neighbors },
    ]);
    return { evidence, verified: reached };
  } catch (error) {
    if (isCancellation(error)) throw error;
    return { evidence: reasonOf(error), verified: false };
  }
}

export interface Sight extends Evidence {
  configured: boolean;
  reached: boolean;
}

/** `name`: of the node or the service, for the shard that asks. */
export async function peers(
  name: string,
  wanted: { prefixes: string[]; nodes: NodeName[]; as: SeenAs },
  limitMs: number,
): Promise<Sight> {
  try {
    const summary = `${wanted.as} at the peers`;
    const { awaitSeen } = waitBy(name, limitMs);
    const { configured, reached, evidence } = await awaitSeen.executeWithOptions({ summary }, [
      wanted,
    ]);
    return { configured, reached, evidence, verified: reached };
  } catch (error) {
    if (isCancellation(error)) throw error;
    return { configured: true, reached: false, evidence: reasonOf(error), verified: false };
  }
}

/** A limit on the wait, since counters can move for reasons of their own. */
export async function quiet(
  nodes: readonly NodeName[],
  addresses: string[],
  { quietMs, quietLimitMs }: Required<DrainTimings>,
): Promise<Evidence> {
  const one = async (node: NodeName): Promise<{ reached: boolean; evidence: string }> => {
    try {
      const { awaitQuiet } = waitBy(node, quietLimitMs);
      const summary = `${node}: quiet for ${quietMs} ms`;
      return await awaitQuiet.executeWithOptions({ summary }, [
        { node, addresses, restMs: quietMs },
      ]);
    } catch (error) {
      if (isCancellation(error)) throw error;
      return { reached: false, evidence: reasonOf(error) };
    }
  };
  const answers = await Promise.all(nodes.map(one));
  const evidence = answers.map((answer, i) => `${nodes[i]}: ${answer.evidence}`).join('; ');
  return { evidence, verified: answers.every(({ reached }) => reached) };
}

export const prefixesOf = ({ services }: Placement): string[] =>
  services.flatMap(({ prefixes }) => prefixes);
export const addressesOf = ({ services }: Placement): string[] =>
  services.flatMap(({ addresses }) => addresses);
