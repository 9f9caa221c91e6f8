/**
 * Keeps `permits/<service>` for services whose shard is ours: who may withdraw without asking, and never
 * more of them than the floor leaves (core/model/permits.ts). Level-triggered; each write rests on the
 * governor's revision and on its own key, so that no command and no permit pass each other unseen.
 */
import type { Logger } from 'pino';
import type { EtcdClient } from '../../adapters/etcd/client';
import { unchanged } from '../../adapters/etcd/port';
import { parseGovernor } from '../../core/model/governor';
import type { NodeName } from '../../core/model/ids';
import { keys } from '../../core/model/keys';
import { nextPermits, type PermitPicture } from '../../core/model/permits';
import type { Permits, ServiceTraffic } from '../../core/model/routing';
import {
  parseNodeRouting,
  parsePermits,
  parseServiceTraffic,
  valueText,
} from '../../core/model/values';
import { shardOf } from '../../core/ring/shard';
import { type DesiredState, readKey } from './desired';
import type { Fleet } from './fleet';
import type { Shards } from './shards';

export interface PermitsUpkeepDependencies {
  etcd: EtcdClient;
  desired: DesiredState;
  shards: Shards;
  edges: Fleet;
  log: Logger;
  signal: AbortSignal;
}

/**
 * An edge that is away for less counts as it said last: edges come back one by one when a controller
 * starts anew, and no permit is to move for that.
 */
const AWAY_MS = 30_000;
/** What waits for an answer of an edge, or failed, is looked at again; an edge may be away for days. */
const AGAIN_MS = 500;

export class PermitsUpkeep {
  readonly #deps: PermitsUpkeepDependencies;
  readonly #startedAtMs = performance.now();
  #asked = false;
  #running = false;
  /** One for all services: each look that waits for something asks for another one. */
  #timer: NodeJS.Timeout | null = null;
  /** Services whose edges were asked, since the timer went off last, whether they have given theirs back. */
  readonly #askedBack = new Set<string>();

  constructor(dependencies: PermitsUpkeepDependencies) {
    this.#deps = dependencies;
    const stop = (): void => clearTimeout(this.#timer ?? undefined);
    dependencies.signal.addEventListener('abort', stop, { once: true });
  }

  look(): void {
    this.#asked = true;
    if (!this.#running) void this.#run();
  }

  async #run(): Promise<void> {
    const { desired, shards, log, signal } = this.#deps;
    this.#running = true;
    while (this.#asked && !signal.aborted) {
      this.#asked = false;
      const isKnown = desired.ready && desired.unread.size === 0;
      const names = isKnown ? desired.serviceNames() : [];
      for (const service of names.filter((name) => shards.holds(shardOf(name)))) {
        try {
          await this.#keep(service);
        } catch (error) {
          log.warn({ err: error, service }, 'permits were not looked after; trying again');
          this.#again();
        }
      }
    }
    this.#running = false;
  }

  #again(): void {
    if (this.#deps.signal.aborted) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#askedBack.clear();
      this.look();
    }, AGAIN_MS).unref();
  }

  async #keep(service: string): Promise<void> {
    const { desired, etcd, shards, log } = this.#deps;
    const selector = desired.service(service)?.value.resource.spec.nodes;
    if (selector === undefined) return;
    const bound = desired.selected(selector);
    if (this.#isSettling(bound)) return this.#again();
    const seen = desired.permits(service);
    if (Object.values(seen?.value.holders ?? {}).some(({ state }) => state === 'returning')) {
      this.#again();
      if (!this.#mayAskBack(service)) return;
    } else if (nextPermits(this.#rough(service, bound)) === null) return;

    // From here on by etcd itself; the governor first, so that whoever commands after that is noticed.
    const governor = readKey(await etcd.get(keys.governor), parseGovernor)?.revision ?? 0;
    const stored = readKey(await etcd.get(keys.permits(service)), parsePermits);
    const next = nextPermits(
      await this.#picture(service, bound, stored?.value ?? null, stored?.revision ?? 0),
    );
    if (next === null) return;
    const outcome = await shards.write(
      shardOf(service),
      [
        unchanged(keys.permits(service), stored?.revision ?? 0),
        unchanged(keys.governor, governor),
        unchanged(keys.service(service), desired.service(service)?.revision ?? 0),
      ],
      [{ op: 'put', key: keys.permits(service), value: valueText(next) }],
    );
    if (!outcome.committed) return this.#again();
    log.info({ service, permits: next.holders, revision: outcome.revision }, 'permits');
  }

  /** Every message of an edge asks for a look: what has to come back is not asked for as often. */
  #mayAskBack(service: string): boolean {
    if (this.#askedBack.has(service)) return false;
    this.#askedBack.add(service);
    return true;
  }

  /** Some edge may still be on its way back to us. */
  #isSettling(bound: readonly NodeName[]): boolean {
    const { edges, desired } = this.#deps;
    if (performance.now() - this.#startedAtMs > AWAY_MS) return false;
    return bound.some((node) => desired.of(node).phase === 'active' && !edges.get(node)?.routing);
  }

  /** From memory: whether a closer look is worth it. */
  #rough(service: string, bound: readonly NodeName[]): PermitPicture {
    const { desired } = this.#deps;
    const present = desired.permits(service)?.value ?? null;
    const commanded = (node: NodeName): boolean =>
      desired.of(node).spec?.services.find(({ name }) => name === service)?.commanded.stance ===
      'announce';
    return {
      floor: desired.service(service)?.value.resource.spec.minAnnouncers ?? 1,
      candidates: bound.filter((node) => commanded(node) && this.#counts(service, node, present)),
      nodes: desired.names(),
      present,
      settled: [],
    };
  }

  async #picture(
    service: string,
    bound: readonly NodeName[],
    present: Permits | null,
    revision: number,
  ): Promise<PermitPicture> {
    const { etcd } = this.#deps;
    const rough = this.#rough(service, bound);
    const traffic = readKey(await etcd.get(keys.traffic(service)), parseServiceTraffic)?.value;
    const { entries } = await etcd.list({ prefix: keys.routings });
    const commands = new Map(entries.map((entry) => [entry.key, entry]));
    const stays = (node: NodeName): boolean => {
      const entry = commands.get(keys.routing(node)) ?? null;
      const own = readKey(entry, parseNodeRouting)?.value.command.stance ?? 'announce';
      return own === 'announce' && !this.#isMoved(node, traffic ?? null);
    };
    const returning = Object.entries(present?.holders ?? {})
      .filter(([, { state }]) => state === 'returning')
      .map(([node]) => node);
    const settled = await Promise.all(
      returning.map(async (node) => ((await this.#acceptedBy(node)) >= revision ? [node] : [])),
    );
    const candidates = rough.candidates.filter(stays);
    return { ...rough, candidates, present, settled: settled.flat() };
  }

  #isMoved(node: NodeName, traffic: ServiceTraffic | null): boolean {
    const region = this.#deps.desired.inputs(node).node?.value.resource.metadata.region ?? '';
    const command = traffic?.nodes?.[node] ?? traffic?.regions[region];
    return command !== undefined && command.stance !== 'announce';
  }

  /** Revision of the spec that it has accepted; 0 = nobody knows. */
  async #acceptedBy(node: NodeName): Promise<number> {
    const status = await this.#deps.edges.status(node).catch(() => null);
    return status?.accepted?.revision ?? 0;
  }

  /**
   * It announces with a proof that holds, as it said last; or it has used its permit: one that is taken
   * back from an edge that withdrew by it would make it announce again, without a proof.
   */
  #counts(service: string, node: NodeName, present: Permits | null): boolean {
    const { edges, desired } = this.#deps;
    const edge = edges.get(node);
    if (desired.of(node).phase !== 'active' || edge === null) return false;
    if (!edge.connected && edge.seenAgoMs > AWAY_MS) return false;
    const view = edge.routing?.status.services.find((each) => each.service === service);
    if (view === undefined) return false;
    if (view.announced && view.stance === 'announce') return true;
    return present?.holders[node]?.state === 'held' && view.permit;
  }
}
