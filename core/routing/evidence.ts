/** Whether what edges, observers and counters say is what a step waits for. Pure. */
import type { Stance } from '../model/anycast';
import { STANCES } from '../model/anycast';
import type {
  EdgeRouting,
  Seen,
  SeenAs,
  SeenPath,
  ServiceCounters,
} from '../model/routing-messages';

export interface Judgement {
  reached: boolean;
  /** For people. */
  evidence: string;
  /** It will never be reached: waiting longer is of no use. */
  hopeless?: boolean;
}

const rank = (stance: Stance): number => STANCES.indexOf(stance);

/** `atMost`: so or worse, a drain; `atLeast`: so or better, and a peer has it: a return. */
export type Way = 'atMost' | 'atLeast';

const stands = (
  { stance, announced }: EdgeRouting['services'][number],
  wanted: { stance: Stance; way: Way },
): boolean =>
  wanted.way === 'atMost'
    ? rank(stance) >= rank(wanted.stance)
    : announced && rank(stance) <= rank(wanted.stance);

/** The edge knows the command, and its services stand so. */
export function follows(
  answer: readonly EdgeRouting[],
  wanted: {
    node: string;
    services: string[] | null;
    stance: Stance;
    way: Way;
    revision: number;
  },
): Judgement {
  const { node, revision } = wanted;
  const edge = answer.find((e) => e.node === node);
  if (!edge?.connected) return { reached: false, evidence: `${node} is not connected` };
  if (edge.acceptedRevision !== null && edge.acceptedRevision < revision) {
    const evidence = `${node} has accepted ${edge.acceptedRevision}, not yet ${revision}`;
    return { reached: false, evidence };
  }
  // A stream that has just come says nothing yet; that is not the same as to have no service.
  if (edge.atMs === null) return { reached: false, evidence: `${node} has not said how it stands` };
  const known = new Set(edge.services.map((s) => s.service));
  const unknown = (wanted.services ?? []).filter((name) => !known.has(name));
  if (wanted.way === 'atLeast' && unknown.length > 0) {
    return { reached: false, evidence: `${node} does not know ${unknown.join(', ')} yet` };
  }
  const services = edge.services.filter((s) => wanted.services?.includes(s.service) ?? true);
  const behind = services.filter((s) => !stands(s, wanted));
  if (behind.length === 0) {
    const names = services.map((s) => `${s.service} ${s.stance}`).join(', ');
    return { reached: true, evidence: `${node}: ${names || 'it has no service'}` };
  }
  const why = behind.map((s) => [`${s.service} ${s.stance}`, ...s.why].join(': '));
  return { reached: false, evidence: `${node}: ${why.join('; ')}` };
}

/** All sessions to these routers are up, by BGP and, where there is one, by BFD. */
export function sessionsUp(
  answer: readonly EdgeRouting[],
  { node, neighbors }: { node: string; neighbors: string[] },
): Judgement {
  const edge = answer.find((e) => e.node === node);
  if (!edge?.connected) return { reached: false, evidence: `${node} is not connected` };
  const told = neighbors.map((address) => {
    const session = edge.neighbors.find((each) => each.address === address);
    const { state = 'unknown', bfd } = session ?? {};
    const up = state === 'established' && (bfd ?? 'up') === 'up';
    return { up, text: `${address} ${state}${bfd === undefined ? '' : `, BFD ${bfd}`}` };
  });
  const evidence = told.map(({ text }) => text).join('; ');
  return { reached: told.every(({ up }) => up), evidence };
}

/**
 * A router that exports its best path alone tells one path of each prefix: its choice. One that tells
 * more (add-path) leaves the choice to the observer's best.
 */
export function seenAs(
  { configured, observers, unplaced = [] }: Seen,
  wanted: { prefixes: string[]; nodes: string[]; as: SeenAs },
): Judgement {
  if (!configured) return NO_OBSERVER;
  const up = observers.filter(({ problem }) => problem === null);
  if (up.length === 0) {
    const evidence = observers.map(({ name, problem }) => `${name}: ${problem}`).join('; ');
    return { reached: false, evidence };
  }
  const paths = up.flatMap(({ name, paths: told }) => told.map((path) => ({ ...path, name })));
  const verdicts = wanted.prefixes.map((prefix) => {
    const of = paths.filter((path) => path.prefix === prefix);
    const text = `${prefix} ${chosen(of)}`;
    // That they are away holds only where everybody's paths are told apart.
    const strange = wanted.as === 'announced' ? [] : of.filter(({ node }) => node === null);
    const whose = wanted.nodes.filter((node) => unplaced.includes(node)).join(', ');
    if (whose === '' || strange.length === 0)
      return { ok: JUDGE[wanted.as](of, wanted.nodes), text };
    return { ok: false, text: `${text}; ${strange[0]?.nextHop} may be that of ${whose}` };
  });
  const evidence = verdicts.map(({ text }) => text).join('; ');
  return { reached: verdicts.every(({ ok }) => ok), evidence };
}

const NO_OBSERVER: Judgement = {
  reached: false,
  hopeless: true,
  evidence: 'sent, not observed: there is no observer',
};

type Told = SeenPath & { name: string };

const isOf = (path: Told, nodes: readonly string[]): boolean =>
  path.node !== null && nodes.includes(path.node);

const router = ({ name, from }: Told): string => `${name} ${from}`;

const JUDGE: Record<SeenAs, (paths: Told[], nodes: string[]) => boolean> = {
  announced: (paths, nodes) => paths.some((path) => isOf(path, nodes)),
  gone: (paths, nodes) => !paths.some((path) => isOf(path, nodes)),
  moved: (paths, nodes) => {
    const others = new Set(paths.filter((path) => !isOf(path, nodes)).map(router));
    const stays = paths.some((path) => !others.has(router(path)));
    const best = paths.filter((path) => path.best);
    return best.length > 0 && !stays && !best.some((path) => isOf(path, nodes));
  },
};

function chosen(paths: readonly Told[]): string {
  const best = paths.filter((path) => path.best);
  if (best.length === 0) return 'is not seen';
  return best.map((path) => `at ${path.name}: ${path.node ?? path.nextHop}`).join(', ');
}

/** Counters that did not move since. */
export interface Rest {
  packets: ServiceCounters['packets'];
  sinceMs: number;
  atMs: number;
}

export function resting(rest: Rest | null, { packets, atMs }: ServiceCounters): Rest {
  const same =
    rest !== null && Object.keys(packets).every((key) => packets[key] === rest.packets[key]);
  return { packets, sinceMs: same ? rest.sinceMs : atMs, atMs };
}

export function quietFor({ packets, sinceMs, atMs }: Rest, restMs: number): Judgement {
  const uncounted = Object.keys(packets).filter((address) => packets[address] === null);
  if (uncounted.length > 0) {
    return { reached: false, hopeless: true, evidence: `nothing counts ${uncounted.join(', ')}` };
  }
  const restedMs = atMs - sinceMs;
  const counts = Object.entries(packets).map(([address, count]) => `${address} at ${count}`);
  const evidence = `${counts.join(', ') || 'no address'}: at rest for ${restedMs} ms`;
  return { reached: restedMs >= restMs, evidence };
}
