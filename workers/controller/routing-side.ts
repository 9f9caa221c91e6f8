/**
 * The controller's part in routing: hands events on, judges the regions of its services, keeps their
 * permits, and does what the workflows of routing ask. Whatever happens only asks for a look; one look
 * follows, and repeating it is harmless.
 */
import type { Logger } from 'pino';
import type { EtcdClient } from '../../adapters/etcd/client';
import type { NodeFacts, TemporalClient } from '../../adapters/temporal/client';
import { RoutingClient } from '../../adapters/temporal/routing-client';
import type { GovernorLimits } from '../../core/model/governor';
import { type NodeName, workflowId } from '../../core/model/ids';
import type { RoutingEvent } from '../../core/model/routing';
import type { DesiredState } from './desired';
import type { Fleet } from './fleet';
import { Failovers } from './failovers';
import { gaugeServices } from './gauges';
import type { Handoff } from './handoff';
import type { ControllerMetrics } from './metrics';
import type { Observers } from './observers';
import type { Peers } from './peers';
import { PermitsUpkeep } from './permits-upkeep';
import { RoutingEvents } from './routing-events';
import { ControllerRouting } from './routing-port';
import type { Shards } from './shards';
import { Witnesses } from './witnesses';

export interface RoutingDependencies {
  etcd: EtcdClient;
  desired: DesiredState;
  shards: Shards;
  edges: Fleet;
  peers: Pick<Peers, 'heardSinceMs'>;
  handoff: Handoff;
  temporal: () => Promise<TemporalClient>;
  facts: (node: NodeName) => NodeFacts;
  observers: Observers;
  limits: GovernorLimits;
  /** Name of this controller. */
  controller: string;
  metrics: ControllerMetrics;
  log: Logger;
  signal: AbortSignal;
}

const LOOK_EVERY_MS = 25;
/** A look goes through all nodes of all services: with thousands of them it rests for so many times what it took. */
const RESTS = 9;
const REST_MAX_MS = 1_000;
const LOOK_ANYWAY_MS = 5_000;

export class RoutingSide {
  readonly port: ControllerRouting;
  readonly #deps: RoutingDependencies;
  readonly #events: RoutingEvents;
  readonly #failovers: Failovers;
  readonly #permits: PermitsUpkeep;
  #looking = false;
  #lookedAtMs = -Infinity;
  #restMs = LOOK_EVERY_MS;
  #timer: NodeJS.Timeout | null = null;

  constructor(dependencies: RoutingDependencies) {
    const { desired, handoff, temporal, facts, controller, metrics, log, signal } = dependencies;
    this.#deps = dependencies;
    const workflows = async (): Promise<RoutingClient> =>
      new RoutingClient((await temporal()).client);
    this.port = new ControllerRouting({ ...dependencies, now: Date.now });
    this.#permits = new PermitsUpkeep(dependencies);
    this.#events = new RoutingEvents({
      handoff,
      signal: async (node, events) => {
        const client = await workflows();
        if (!desired.ready) throw new Error('etcd was not read yet');
        // The life of a node that was removed has ended: an agent that goes on begins no new one.
        if (desired.inputs(node).node !== null) await client.reportEvents(facts(node), events);
      },
    });
    this.#failovers = new Failovers({
      ...dependencies,
      witnesses: new Witnesses({ ...dependencies, self: controller }),
      tell: (service, evidence) => {
        const { region, state, what } = evidence;
        metrics.failoverEvidence.inc({ service, region, state });
        log.warn({ service, region, state, evidence: what }, 'evidence of a region');
        handoff.submit(`failover/${service}/${region}`, {
          id: `${state}/${evidence.order?.owner}/${evidence.order?.sequence}`,
          send: async () => {
            const client = await workflows();
            if (!this.#failovers.stands(service, evidence)) {
              log.info({ service, region, state }, 'evidence of a region was not told: it is old');
              return;
            }
            const traffic = Object.values(desired.traffic(service)?.value.regions ?? {});
            const left = traffic.some(({ by }) => by === workflowId.failover(service));
            await client.reportEvidence(service, evidence, {
              by: `controller ${controller}`,
              left,
            });
          },
          done: () => undefined,
        });
      },
    });
    signal.addEventListener('abort', () => clearTimeout(this.#timer ?? undefined), { once: true });
  }

  heard(node: NodeName, events: readonly RoutingEvent[], done: (sequence: number) => void): void {
    for (const { kind } of events) this.#deps.metrics.routingEvents.inc({ kind });
    this.#events.submit(node, events, done);
    this.look();
  }

  /** Called about once a second. */
  gauge(): void {
    gaugeServices(this.#deps.metrics, this.#deps);
    // Whatever no event told of.
    if (performance.now() - this.#lookedAtMs > LOOK_ANYWAY_MS) this.look();
  }

  /** Something may be otherwise: of an edge, of a stream, of what is wanted. */
  look(): void {
    if (this.#looking) return;
    this.#looking = true;
    const look = (): void => {
      this.#looking = false;
      this.#lookedAtMs = performance.now();
      if (!this.#deps.signal.aborted) this.#look();
      const tookMs = performance.now() - this.#lookedAtMs;
      this.#restMs = Math.min(REST_MAX_MS, Math.max(LOOK_EVERY_MS, RESTS * tookMs));
    };
    // The first one at once, those of a storm together.
    const restMs = this.#lookedAtMs + this.#restMs - performance.now();
    if (restMs <= 0) setImmediate(look);
    else setTimeout(look, restMs).unref();
  }

  #look(): void {
    clearTimeout(this.#timer ?? undefined);
    this.#permits.look();
    const againInMs = this.#failovers.look({ monotonicMs: performance.now(), wallMs: Date.now() });
    if (againInMs === null) return;
    this.#timer = setTimeout(() => this.look(), Math.max(0, againInMs));
  }
}
