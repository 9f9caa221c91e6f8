/**
 * Best paths as routes of the kernel's main table: what is to be done so that those of our protocol are
 * these, and nobody else's is touched. Pure.
 */
import { MARK } from '../model/ids';

/** Below what DHCP, router advertisements and people without a number get; zebra's of eBGP. */
export const ROUTE_METRIC = 20;

/** Of both directions: next hops in order, each once. */
export interface KernelRoute {
  to: string;
  hops: string[];
}

/** A route of the main table as listed. */
export interface ListedRoute extends KernelRoute {
  protocol: number;
  metric: number;
}

export type RouteAction =
  { kind: 'add' | 'replace'; route: KernelRoute } | { kind: 'delete'; route: ListedRoute };

export interface RoutePlan {
  actions: RouteAction[];
  /** Sentences: another one's route is where ours should be. */
  conflicts: string[];
}

/** `keep`: of ours, not wanted, but not to be taken away yet. */
export function planRoutes(
  wanted: ReadonlyMap<string, readonly string[]>,
  listed: readonly ListedRoute[],
  keep: (to: string) => boolean,
): RoutePlan {
  const ours = new Map<string, ListedRoute>();
  const strangers = new Set<string>();
  const actions: RouteAction[] = [];
  for (const route of listed) {
    if (route.protocol !== MARK.routeProtocol) {
      if (route.metric === ROUTE_METRIC) strangers.add(route.to);
    } else if (route.metric !== ROUTE_METRIC || ours.has(route.to)) {
      actions.push({ kind: 'delete', route });
    } else ours.set(route.to, route);
  }
  const conflicts: string[] = [];
  for (const [to, hops] of wanted) {
    const present = ours.get(to);
    const route = { to, hops: sorted(hops) };
    if (strangers.has(to)) {
      conflicts.push(
        `another one's route to ${to} has metric ${ROUTE_METRIC}: ours is not put there`,
      );
    } else if (present === undefined) actions.push({ kind: 'add', route });
    else if (!same(sorted(present.hops), route.hops)) actions.push({ kind: 'replace', route });
  }
  for (const [to, route] of ours) {
    if (!wanted.has(to) && !keep(to)) actions.push({ kind: 'delete', route });
  }
  return { actions, conflicts };
}

const sorted = (hops: readonly string[]): string[] => [...new Set(hops)].sort();

const same = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((hop, index) => hop === b[index]);
