/**
 * The port of the activities of routing, played by a script: services, commands and edges in plain memory,
 * one router for each region that tells an observer its choice. Edges follow commands at once unless they
 * are cut off; packets flow to whoever a router prefers.
 */
import type { RoutingPort } from '../../activities/routing';
import { STANCES, type RegionShare, type Stance } from '../../core/model/anycast';
import type { Phase } from '../../core/model/edge-spec';
import { Refusal } from '../../core/model/errors';
import type { Command } from '../../core/model/routing';
import type {
  Commanded,
  EdgeRouting,
  NodeCommand,
  Picture,
  PlacedService,
  Placement,
  Seen,
  SeenPath,
  ServiceCounters,
  TrafficCommand,
} from '../../core/model/routing-messages';
import { floorReached, floorText } from '../../core/routing/floor';

export interface ScriptedAnnouncer {
  node: string;
  region: string;
  /** Its stream is up. */
  connected: boolean;
  /** Its path is alive: a router hears it. */
  alive: boolean;
  /** Its proof holds. */
  proven: boolean;
  /** What it stands at, of each service: kept while it is cut off. */
  stands: Map<string, Stance>;
  packets: number;
}

interface ScriptedService {
  prefixes: string[];
  addresses: string[];
  minAnnouncers: number;
  regions: RegionShare[];
  nodes: string[];
}

const worst = (...stances: Stance[]): Stance =>
  STANCES[Math.max(...stances.map((stance) => STANCES.indexOf(stance)))] ?? 'announce';

export class ScriptedRouting implements RoutingPort {
  /** `node fra-1 deprefer`, `traffic dns {"eu":"withdraw"} {}`: those that were written. */
  readonly written: string[] = [];
  readonly announcers = new Map<string, ScriptedAnnouncer>();
  readonly services = new Map<string, ScriptedService>();
  readonly commands = new Map<string, Command>();
  readonly traffic = new Map<
    string,
    { regions: Record<string, Command>; nodes: Record<string, Command> }
  >();
  observed = true;
  /** Runs before a call takes effect; what it throws, the call throws. */
  before: (call: string) => Promise<void> | void = () => {};
  /** Whether routers heed GRACEFUL_SHUTDOWN and prepends. */
  heeding = true;
  private revision = 1_000;
  private governor = 0;

  constructor(private readonly phaseOf: (node: string) => Phase | null) {}

  /** A service on nodes `name → region`; each announces. */
  place(
    service: string,
    nodes: Record<string, string>,
    change: Partial<ScriptedService> = {},
  ): void {
    const octet = this.services.size + 1;
    this.services.set(service, {
      prefixes: [`198.51.100.${octet}/32`],
      addresses: [`198.51.100.${octet}`],
      minAnnouncers: 1,
      regions: [],
      nodes: Object.keys(nodes),
      ...change,
    });
    for (const [node, region] of Object.entries(nodes)) {
      const there = this.announcers.get(node);
      if (there !== undefined) continue;
      const up = { connected: true, alive: true, proven: true };
      this.announcers.set(node, { node, region, ...up, stands: new Map(), packets: 0 });
    }
    this.settle();
  }

  set(node: string, change: Partial<ScriptedAnnouncer>): void {
    Object.assign(this.announcers.get(node) ?? {}, change);
    this.settle();
  }

  /** Somebody else commands something, of no matter whom. */
  interfere(): void {
    this.governor = ++this.revision;
  }

  stanceOf(node: string, service: string): Stance | null {
    return this.announcers.get(node)?.stands.get(service) ?? null;
  }

  async placement(of: { node: string } | { service: string }): Promise<Placement> {
    await this.before('placement');
    const names = [...this.services]
      .filter(([name, { nodes }]) => ('node' in of ? nodes.includes(of.node) : name === of.service))
      .map(([name]) => name);
    return { governorRevision: this.governor, services: names.map((name) => this.placed(name)) };
  }

  async routingOf(nodes: string[]): Promise<EdgeRouting[]> {
    await this.before('routingOf');
    // A phase may have changed.
    this.settle();
    return nodes.flatMap((node) => {
      const edge = this.announcers.get(node);
      return edge === undefined ? [] : [this.said(edge)];
    });
  }

  async commandNode(command: NodeCommand): Promise<Commanded> {
    const { node, stance, reason, by } = command;
    await this.before(`node ${node} ${stance}`);
    const there = this.commands.get(node)?.stance ?? 'announce';
    if (there === stance) return { revision: this.revision, left: {} };
    const placed = await this.placement({ node });
    this.govern(command, placed, stance === 'withdraw' ? [node] : []);
    this.commands.set(node, { stance, reason, by, atMs: Date.now() });
    return this.wrote(`node ${node} ${stance}`, placed, command.picture);
  }

  async commandTraffic(command: TrafficCommand): Promise<Commanded> {
    const { service, regions, nodes, reason, by } = command;
    const call = `traffic ${service} ${JSON.stringify(regions)} ${JSON.stringify(nodes)}`;
    await this.before(call);
    const placed = await this.placement({ service });
    const there = this.traffic.get(service) ?? { regions: {}, nodes: {} };
    const next = { regions: { ...there.regions }, nodes: { ...there.nodes } };
    const wish = { reason, by, atMs: Date.now() };
    for (const [part, wanted] of [
      [next.regions, regions],
      [next.nodes, nodes],
    ] as const) {
      for (const [name, stance] of Object.entries(wanted)) {
        if (stance === null) delete part[name];
        else part[name] = { stance, ...wish };
      }
    }
    const before = new Map(this.all(service).map((n) => [n, this.wanted(n, service)]));
    this.traffic.set(service, next);
    const gone = this.all(service).filter(
      (node) => this.wanted(node, service) === 'withdraw' && before.get(node) !== 'withdraw',
    );
    try {
      this.govern(command, placed, gone);
    } catch (error) {
      this.traffic.set(service, there);
      throw error;
    }
    return this.wrote(call, placed, command.picture);
  }

  async seenAt(prefixes: string[]): Promise<Seen> {
    await this.before('seenAt');
    if (!this.observed) return { configured: false, observers: [] };
    const paths = prefixes.flatMap((prefix) => this.paths(prefix));
    return { configured: true, observers: [{ name: 'obs', problem: null, paths }] };
  }

  async countersOf(node: string, addresses: string[]): Promise<ServiceCounters> {
    await this.before(`countersOf ${node}`);
    const edge = this.announcers.get(node);
    if (!edge?.connected) {
      throw new Refusal({ code: 'EdgeAbsent', node, lastSeenMs: null }, `${node} is away.`);
    }
    const served = [...this.services.values()].filter(({ addresses: own }) =>
      own.some((address) => addresses.includes(address)),
    );
    const chosen = served.some(({ prefixes }) =>
      prefixes.some((prefix) => this.paths(prefix).some((path) => path.node === node)),
    );
    if (chosen) edge.packets += 1;
    const packets = Object.fromEntries(addresses.map((address) => [address, edge.packets]));
    return { atMs: Date.now(), packets };
  }

  private all(service: string): string[] {
    return this.services.get(service)?.nodes ?? [];
  }

  private placed(service: string): PlacedService {
    const { prefixes, addresses, minAnnouncers, regions, nodes } = this.services.get(
      service,
    ) as ScriptedService;
    return {
      service,
      prefixes,
      addresses,
      minAnnouncers,
      regions,
      traffic: this.traffic.get(service)?.regions ?? {},
      nodes: nodes.map((node) => ({
        node,
        region: this.announcers.get(node)?.region ?? '',
        phase: this.phaseOf(node),
        command: this.commands.get(node) ?? null,
      })),
    };
  }

  private said(edge: ScriptedAnnouncer): EdgeRouting {
    const services = [...edge.stands].map(([service, stance]) => {
      const announced = stance !== 'withdraw' && edge.alive;
      return {
        service,
        stance,
        announced,
        proven: edge.proven,
        why: announced ? [] : ['as commanded'],
      };
    });
    const acceptedRevision = edge.connected ? this.revision : null;
    return {
      node: edge.node,
      connected: edge.connected,
      atMs: 1,
      acceptedRevision,
      services,
      neighbors: [
        {
          address: '192.0.2.1',
          localAddress: null,
          state: edge.alive ? 'established' : 'idle',
          held: false,
        },
      ],
    };
  }

  /** What commands and weights make of it, as the compiler would. */
  private wanted(node: string, service: string): Stance {
    const { regions, nodes } = this.traffic.get(service) ?? { regions: {}, nodes: {} };
    const { region = '' } = this.announcers.get(node) ?? {};
    const shares = this.services.get(service)?.regions ?? [];
    const share = shares.find(({ name }) => name === region);
    const byWeight = shares.length === 0 || (share?.weight ?? 0) > 0 ? 'announce' : 'withdraw';
    const ofService = nodes[node]?.stance ?? regions[region]?.stance ?? byWeight;
    const ofPhase = this.phaseOf(node) === 'onboarding' ? 'withdraw' : 'announce';
    return worst(this.commands.get(node)?.stance ?? 'announce', ofService, ofPhase);
  }

  private settle(): void {
    for (const [service, { nodes }] of this.services) {
      for (const node of nodes) {
        const edge = this.announcers.get(node);
        if (!edge?.connected) continue;
        const lost = edge.proven ? 'announce' : 'withdraw';
        edge.stands.set(service, worst(this.wanted(node, service), lost));
      }
    }
  }

  private govern(
    { picture, force }: { picture: Picture | null; force: boolean },
    placed: Placement,
    gone: string[],
  ): void {
    if (gone.length === 0) return;
    if (picture !== null && picture.governorRevision !== this.governor) {
      const { governorRevision } = picture;
      const fact = {
        code: 'PictureMoved',
        governorRevision,
        actualRevision: this.governor,
      } as const;
      throw new Refusal(fact, 'Somebody else has commanded: look again.');
    }
    this.governor = ++this.revision;
    if (force) return;
    const fact = floorReached(placed, picture ?? { governorRevision: 0, announcers: {} }, gone);
    if (fact !== null) throw new Refusal(fact, floorText(fact));
  }

  private wrote(call: string, placed: Placement, picture: Picture | null): Commanded {
    this.written.push(call);
    this.revision += 1;
    this.settle();
    const left = placed.services.map(({ service }) => [
      service,
      (picture?.announcers[service] ?? []).length,
    ]);
    return { revision: this.revision, left: Object.fromEntries(left) as Record<string, number> };
  }

  /** What each region's router has chosen; the best of all by the same order. */
  private paths(prefix: string): SeenPath[] {
    const service = [...this.services].find(([, s]) => s.prefixes.includes(prefix))?.[0] ?? '';
    const live = this.all(service)
      .flatMap((node) => this.announcers.get(node) ?? [])
      .filter((edge) => edge.alive && edge.stands.get(service) !== 'withdraw');
    const rank = (edge: ScriptedAnnouncer): number =>
      this.heeding ? STANCES.indexOf(edge.stands.get(service) ?? 'withdraw') : 0;
    const choice = (region: string | null): ScriptedAnnouncer | undefined =>
      [...live].sort(
        (a, b) =>
          rank(a) - rank(b) ||
          Number(a.region !== region) - Number(b.region !== region) ||
          (a.node < b.node ? -1 : 1),
      )[0];
    const best = choice(null);
    const regions = [...new Set([...this.announcers.values()].map(({ region }) => region))];
    return regions.flatMap((region) => {
      const edge = choice(region);
      if (edge === undefined) return [];
      const { node } = edge;
      const communities = edge.stands.get(service) === 'deprefer' ? ['65535:0'] : [];
      const told = { prefix, from: `router of ${region}`, nextHop: node, node, communities };
      return [{ ...told, best: edge === best, asPathLength: 1 }];
    });
  }
}
