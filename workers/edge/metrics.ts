/** What an agent tells Prometheus. */
import { Counter, Gauge, Histogram } from 'prom-client';
import { createRegistry, LATENCY_BUCKETS } from '../../adapters/telemetry/metrics';

export type EdgeMetrics = ReturnType<typeof createEdgeMetrics>;

export function createEdgeMetrics() {
  const registry = createRegistry('aether_agent_');
  const registers = [registry];
  const counter = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
    new Counter({ name, help, labelNames, registers });
  const gauge = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
    new Gauge({ name, help, labelNames, registers });
  const seconds = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
    new Histogram<L | 'incident_id'>({
      name,
      help,
      labelNames,
      registers,
      buckets: LATENCY_BUCKETS,
      enableExemplars: true,
    });
  return {
    registry,
    repairs: counter(
      'aether_repairs_total',
      'Findings that a repair was to mend, by their kind.',
      'class',
      'outcome',
      'by',
    ),
    repairSeconds: seconds('aether_repair_seconds', 'From kernel event to verified.', 'by'),
    reconcileSeconds: seconds(
      'aether_reconcile_seconds',
      'One observe, diff, act and verify.',
      'outcome',
    ),
    queueLatencySeconds: seconds(
      'aether_queue_latency_seconds',
      "From an activity's scheduling by Temporal to its start here.",
    ),
    lookSeconds: seconds('aether_agent_look_seconds', 'Reading and comparing the host.'),
    hostEvents: counter('aether_agent_host_events_total', 'Events of the host.', 'what'),
    findings: gauge('aether_agent_findings', 'Differences between accepted spec and host.'),
    acceptedRevision: gauge('aether_agent_accepted_revision', 'Revision of the accepted spec.'),
    incidentOpen: gauge('aether_agent_incident_open', '1 while a difference is not yet gone.'),
    problems: gauge('aether_agent_problems', 'Problems of the agent itself; see its status.'),
    filterLoadSeconds: gauge(
      'aether_filter_load_seconds',
      'What the last change of the contents of a filter took, until all its maps held it.',
      'interface',
    ),
    streams: gauge(
      'aether_agent_streams',
      'Streams to controllers: primary takes reports, a guest waits to own this edge.',
      'kind',
    ),
    redirects: counter('aether_agent_redirects_total', 'Redirects of controllers heard.'),
    connected: gauge('aether_agent_connected', '1 while connected.', 'to'),
    certificateExpiry: gauge(
      'aether_agent_certificate_expiry_timestamp_seconds',
      'Until when the certificate of this edge is good.',
    ),
  };
}
