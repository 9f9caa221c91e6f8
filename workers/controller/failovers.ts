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
  shards: Shards;
  witnesses: Pick<Witnesses, 'all'>;
  tell: (service: string, evidence: FailoverEvidence) => void;
}

export class Failovers {
  readonly #deps: FailoversDependencies;
  /** By service and region. */
  readonly #memory = new Map<string, Map<string, RegionMemory>>();

  constructor(dependencies: FailoversDependencies) {
    this.#deps = dependencies;
  }

  /** Returns when the passing of time alone may tell something new (epoch ms); null: never. */
  look(nowMs: number): number | null {
    const { desired, shards, witnesses } = this.#deps;
    if (!desired.ready) return null;
    const services = desired
      .serviceNames()
      .filter((name) => this.#mayMove(name) && shards.holds(shardOf(name)));
    for (const name of this.#memory.keys()) {
      if (!services.includes(name)) this.#memory.delete(name);
    }
    if (services.length === 0) return null;
    const edges = witnesses.all(nowMs);
    const again = services.flatMap((service) => this.#lookAt(service, edges, nowMs) ?? []);
    const gone = edges.flatMap(({ goneSinceMs }) =>
      goneSinceMs !== null && goneSinceMs + GONE_AFTER_MS > nowMs
        ? [goneSinceMs + GONE_AFTER_MS]
        : [],
    );
    const next = Math.min(...again, ...gone);
    return Number.isFinite(next) ? next : null;
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

  #lookAt(service: string, edges: readonly EdgeWitness[], nowMs: number): number | null {
    const memories = this.#memory.get(service) ?? this.#firstMemory(service);
    this.#memory.set(service, memories);
    let again: number | null = null;
    for (const verdict of judgeRegions(this.#picture(service, edges, nowMs))) {
      const former = memories.get(verdict.region) ?? NO_MEMORY;
      const { memory, tell, againAtMs } = remember(former, verdict, nowMs);
      memories.set(verdict.region, memory);
      if (tell !== null) this.#deps.tell(service, evidenceOf(verdict, tell, nowMs));
      if (againAtMs !== null) again = Math.min(again ?? Infinity, againAtMs);
    }
    return again;
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
  // Our clock: evidence of one region is told in its order.
  atMs: nowMs,
  region,
  state: tell === 'failing' ? 'down' : 'up',
  what: [
    ...kinds,
    ...why,
    ...(sinceMs === null ? [] : [`first sign ${new Date(sinceMs).toISOString()}`]),
  ].join('; '),
});
