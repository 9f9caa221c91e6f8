/**
 * Watches the regions of services that have somewhere else to go, and tells each change once. Judged by
 * whoever owns the shard of the service's name, from what all edges say, to whichever controller.
 */
import {
  type EdgeWitness,
  GONE_AFTER_MS,
  judgeRegions,
  NO_MEMORY,
  type RegionMemory,
  type RegionVerdict,
  remember,
  type ServicePicture,
} from '../../core/failover/evidence';
import type { NodeName } from '../../core/model/ids';
import type { FailoverEvidence } from '../../core/model/routing-messages';
import { shardOf } from '../../core/ring/shard';
import type { DesiredState } from './desired';
import type { Shards } from './shards';
import type { Witnesses } from './witnesses';

export interface FailoversDependencies {
  desired: DesiredState;
  shards: Pick<Shards, 'holds' | 'fence'>;
  witnesses: Pick<Witnesses, 'all'>;
  tell: (service: string, evidence: FailoverEvidence) => void;
}

/** Steps of the wall clock are for people to see; what is judged is judged by the other one. */
export interface Clocks {
  monotonicMs: number;
  wallMs: number;
}

export class Failovers {
  readonly #deps: FailoversDependencies;
  /** By service, as the owner that we were by this token: as another one we judge anew, others may have told meanwhile. */
  readonly #memory = new Map<
    string,
    { owner: number | null; regions: Map<string, RegionMemory> }
  >();
  #told = 0;

  constructor(dependencies: FailoversDependencies) {
    this.#deps = dependencies;
  }

  /** Returns after how many ms the passing of time alone may tell something new; null: never. */
  look(now: Clocks): number | null {
    const { desired, shards, witnesses } = this.#deps;
    // Of a region that is not known as a whole, the rest is no witness.
    if (!desired.ready || desired.unread.size > 0) return null;
    const services = desired
      .serviceNames()
      .filter((name) => this.#mayMove(name) && shards.holds(shardOf(name)));
    for (const name of this.#memory.keys()) {
      if (!services.includes(name)) this.#memory.delete(name);
    }
    if (services.length === 0) return null;
    const edges = witnesses.all(now.monotonicMs);
    const again = services.flatMap((service) => this.#lookAt(service, edges, now) ?? []);
    const gone = edges.flatMap(({ goneForMs }) =>
      goneForMs !== null && goneForMs < GONE_AFTER_MS ? [GONE_AFTER_MS - goneForMs] : [],
    );
    const next = Math.min(...again, ...gone);
    return Number.isFinite(next) ? next : null;
  }

  /** Whether it is still ours to say, and still so: Temporal may have been away for hours since. */
  stands(service: string, { region, state, order }: FailoverEvidence): boolean {
    const known = this.#memory.get(service);
    const told = state === 'down' ? 'failing' : 'recovered';
    return (
      this.#deps.shards.holds(shardOf(service)) &&
      this.#tokenOf(service) === (order?.owner ?? null) &&
      known?.regions.get(region)?.told === told
    );
  }

  /** It names more than one region: a backup, or weights. */
  #mayMove(service: string): boolean {
    const regions = this.#deps.desired.service(service)?.value.resource.spec.regions ?? [];
    return regions.length > 1;
  }

  #picture(service: string, edges: readonly EdgeWitness[], nowMs: number): ServicePicture {
    const { desired } = this.#deps;
    const selector = desired.service(service)?.value.resource.spec.nodes ?? {};
    const nodes = desired.selected(selector).flatMap((node: NodeName) => {
      const { spec, phase } = desired.of(node);
      if (phase !== 'active' || !spec) return [];
      const bound = spec.services.find(({ name }) => name === service);
      const region = desired.inputs(node).node?.value.resource.metadata.region ?? '';
      return [{ node, region, expected: bound?.commanded.stance === 'announce' }];
    });
    return { service, nowMs, nodes, edges };
  }

  #lookAt(service: string, edges: readonly EdgeWitness[], now: Clocks): number | null {
    const { monotonicMs, wallMs } = now;
    const owner = this.#tokenOf(service);
    const known = this.#memory.get(service);
    const memories = known?.owner === owner ? known.regions : this.#firstMemory(service);
    this.#memory.set(service, { owner, regions: memories });
    let again: number | null = null;
    for (const verdict of judgeRegions(this.#picture(service, edges, wallMs))) {
      const former = memories.get(verdict.region) ?? NO_MEMORY;
      const { memory, tell, againAtMs } = remember(former, verdict, monotonicMs);
      memories.set(verdict.region, memory);
      if (tell !== null) this.#tell(service, evidenceOf(verdict, tell, wallMs));
      if (againAtMs !== null) again = Math.min(again ?? Infinity, againAtMs - monotonicMs);
    }
    return again;
  }

  #tokenOf(service: string): number | null {
    return this.#deps.shards.fence(shardOf(service))?.ownerRevision ?? null;
  }

  /** In an order that no clock has a part in: a former owner's word may come late. */
  #tell(service: string, evidence: FailoverEvidence): void {
    const { shards, tell } = this.#deps;
    const fence = shards.fence(shardOf(service));
    this.#told += 1;
    if (fence === null) return tell(service, evidence);
    const { clusterIncarnation: incarnation, ownerRevision: owner } = fence;
    tell(service, { ...evidence, order: { incarnation, owner, sequence: this.#told } });
  }

  /** After a restart: a region that is commanded away may have been told to fail. */
  #firstMemory(service: string): Map<string, RegionMemory> {
    const regions = this.#deps.desired.traffic(service)?.value.regions ?? {};
    return new Map(
      Object.entries(regions)
        .filter(([, { stance }]) => stance !== 'announce')
        .map(([region]) => [region, { ...NO_MEMORY, told: 'failing' as const }]),
    );
  }
}

const evidenceOf = (
  { region, kinds, why, sinceMs }: RegionVerdict,
  tell: 'failing' | 'recovered',
  nowMs: number,
): FailoverEvidence => ({
  atMs: nowMs,
  region,
  state: tell === 'failing' ? 'down' : 'up',
  what: [
    ...kinds,
    ...why,
    ...(sinceMs === null ? [] : [`first sign ${new Date(sinceMs).toISOString()}`]),
  ].join('; '),
});
