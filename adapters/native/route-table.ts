/** The main table of a namespace: routes of one protocol, and a hint when they may have changed. */
import { MARK } from '../../core/model/ids';
import { ROUTE_METRIC, type KernelRoute, type ListedRoute } from '../../core/bgp/routes';
import { addressBytes, prefixBytes, type IpAddress } from '../../core/netlink/ip';
import type { Route, RouteSpec } from '../../core/netlink/route';
import { Rtnl } from './rtnl';
import { Watch, type WatchEvent } from './watch';

export class RouteTable {
  private constructor(
    private readonly rtnl: Rtnl,
    private readonly watch: Watch,
  ) {}

  /**
   * `onHint`: one of ours was deleted, or a link changed (the kernel drops IPv4 routes of a link that goes
   * down without a word), or events were lost.
   */
  static async open(nsFd: number | null, onHint: () => void): Promise<RouteTable> {
    const rtnl = await Rtnl.open(nsFd);
    try {
      const hear = (event: WatchEvent): void => {
        if (isHint(event)) onHint();
      };
      const watch = await Watch.open(nsFd, ['LINK', 'IPV4_ROUTE', 'IPV6_ROUTE'], hear);
      return new RouteTable(rtnl, watch);
    } catch (error) {
      rtnl.close();
      throw error;
    }
  }

  /** Null: the table changed while it was read, and did so again and again. */
  async list(): Promise<ListedRoute[] | null> {
    const { objects, interrupted } = await this.rtnl.routes.list();
    return interrupted ? null : objects.map(listedRoute);
  }

  /** EEXIST where another one has this destination and metric. */
  add(route: KernelRoute): Promise<void> {
    return this.rtnl.routes.add(spec(route, ROUTE_METRIC));
  }

  replace(route: KernelRoute): Promise<void> {
    return this.rtnl.routes.replace(spec(route, ROUTE_METRIC));
  }

  delete(route: ListedRoute): Promise<void> {
    return this.rtnl.routes.delete(spec(route, route.metric));
  }

  close(): void {
    this.watch.close();
    this.rtnl.close();
  }
}

const isHint = (event: WatchEvent): boolean =>
  event.kind === 'overrun' ||
  event.kind === 'link' ||
  (event.kind === 'route' && event.deleted && event.route.protocol === MARK.routeProtocol);

function listedRoute({ to, via, hops, protocol, metric }: Route): ListedRoute {
  const vias = hops.length > 0 ? hops.map((hop) => hop.via) : [via];
  return { to, hops: vias.filter((one) => one !== null), protocol, metric };
}

function spec({ to, hops }: KernelRoute, metric: number): RouteSpec {
  const prefix = prefixBytes(to);
  if (prefix === null) throw new Error(`${to} is no prefix`);
  const [first, ...others] = hops.map(hopBytes);
  const common = { to: prefix, protocol: MARK.routeProtocol, metric };
  if (first === undefined) return common;
  return others.length === 0 ? { ...common, via: first } : { ...common, hops: [first, ...others] };
}

function hopBytes(hop: string): IpAddress {
  const bytes = addressBytes(hop);
  if (bytes === null) throw new Error(`${hop} is no address`);
  return bytes;
}
