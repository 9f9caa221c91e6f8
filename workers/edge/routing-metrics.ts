/** What an agent tells Prometheus of its routing. */
import { Counter, Gauge, Histogram } from 'prom-client';
import { LATENCY_BUCKETS, type MetricsRegistry } from '../../adapters/telemetry/metrics';
import type { UnnumberedEvent } from '../../core/announce/events';
import { STANCES } from '../../core/model/anycast';
import type { RoutingStatus } from '../../core/model/routing';

export interface RoutingMetrics {
  /** `leasedAtMs`: of performance.now(); null = no lease of ours is taken over. */
  show(status: RoutingStatus, leasedAtMs: number | null): void;
  happened(events: readonly UnnumberedEvent[]): void;
  asked(service: string, ok: boolean, tookMs: number): void;
}

export function routingMetrics(registry: MetricsRegistry): RoutingMetrics {
  const registers = [registry];
  const gauge = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
    new Gauge({ name, help, labelNames, registers });
  const announced = gauge(
    'aether_service_announced',
    '1 while a session is established that exports the service.',
    'service',
  );
  const stance = gauge(
    'aether_service_stance',
    'In gobgpd now: 0 announced, 1 depreferred, 2 withdrawn.',
    'service',
  );
  const bgpUp = gauge('aether_bgp_session_up', '1 while established.', 'peer');
  const bfdUp = gauge('aether_bfd_session_up', '1 while up, as the agent was told.', 'peer');
  const flaps = new Counter({
    name: 'aether_bgp_flaps_total',
    help: 'Times a BGP session went down, as the agent was told.',
    labelNames: ['cause'],
    registers,
  });
  const probes = new Histogram({
    name: 'aether_probe_seconds',
    help: 'What a probe of a service took.',
    labelNames: ['service', 'outcome'],
    buckets: LATENCY_BUCKETS,
    registers,
  });
  let lastLeaseAtMs: number | null = null;
  new Gauge({
    name: 'aether_lease_age_seconds',
    help: 'Since the bfd process was last leased what to announce; NaN while it is not there.',
    registers,
    collect() {
      this.set(lastLeaseAtMs === null ? NaN : (performance.now() - lastLeaseAtMs) / 1000);
    },
  });
  return {
    show({ services, neighbors, bfdPeers }, leasedAtMs) {
      lastLeaseAtMs = leasedAtMs;
      for (const each of [announced, stance, bgpUp, bfdUp]) each.reset();
      for (const service of services) {
        announced.set({ service: service.service }, service.announced ? 1 : 0);
        stance.set({ service: service.service }, STANCES.indexOf(service.stance));
      }
      for (const { address, state, bfd } of neighbors) {
        bgpUp.set({ peer: address }, state === 'established' ? 1 : 0);
        if (bfd !== null) bfdUp.set({ peer: address }, bfd.state === 'up' ? 1 : 0);
      }
      for (const { peer, state } of bfdPeers) bfdUp.set({ peer }, state === 'up' ? 1 : 0);
    },
    happened(events) {
      for (const event of events) {
        if (event.kind === 'bgpDown') flaps.inc({ cause: event.cause });
      }
    },
    asked(service, ok, tookMs) {
      probes.observe({ service, outcome: ok ? 'ok' : 'failed' }, tookMs / 1000);
    },
  };
}
