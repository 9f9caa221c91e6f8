/** What a controller tells Prometheus. */
import { Counter, Gauge, Histogram } from 'prom-client';
import {
  createRegistry,
  denseBuckets,
  type MetricsRegistry,
} from '../../adapters/telemetry/metrics';

export type ControllerMetrics = ReturnType<typeof createControllerMetrics>;

/** 1 ms … 64 s: a hand-over may have to wait for a Temporal server that restarts. */
const HANDOFF_BUCKETS = denseBuckets(1 / 1024, 64);

export function createControllerMetrics() {
  const registry: MetricsRegistry = createRegistry('aether_controller_');
  const registers = [registry];
  const counter = (name: string, help: string) => new Counter({ name, help, registers });
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
  return {
    registry,
    connectedEdges: gauge('aether_controller_connected_edges', 'Edges with a live stream.'),
    ...streamMetrics(registers),
    specPushes: counter('aether_controller_spec_pushes', 'Specs sent to edges.'),
    specsRefused: counter('aether_controller_specs_refused', 'Specs that an edge refused.'),
    chunkBytes: counter('aether_controller_chunk_bytes', 'Bytes of blocklists sent to edges.'),
    driftReports: new Counter({
      name: 'aether_controller_drift_reports',
      help: 'Reports of drift, repeated ones included.',
      labelNames: ['cause'],
      registers,
    }),
    reportsRefused: counter(
      'aether_controller_reports_refused',
      'Messages of edges that could not be read or spoke for another node.',
    ),
    handoffSeconds: new Histogram({
      name: 'aether_controller_handoff_seconds',
      help: 'From the arrival of a report (or a wish) to its acceptance by Temporal.',
      labelNames: ['what'],
      buckets: HANDOFF_BUCKETS,
      registers,
    }),
    queueLatencySeconds: new Histogram({
      name: 'aether_controller_queue_latency_seconds',
      help: 'From the scheduling of an activity of a shard to its start here.',
      buckets: HANDOFF_BUCKETS,
      registers,
    }),
    handoffRetries: counter('aether_controller_handoff_retries', 'Hand-overs tried again.'),
    handoffWaiting: gauge('aether_controller_handoff_waiting', 'Hand-overs not yet accepted.'),
    etcdUp: gauge('aether_controller_etcd_up', '1 while etcd was heard within 5 s.'),
    temporalUp: gauge('aether_controller_temporal_up', '1 while Temporal answers.'),
    ...ringMetrics(registers),
    unreadableKeys: gauge(
      'aether_controller_unreadable_keys',
      'Keys in etcd whose value is ignored because it cannot be read.',
    ),
    feedRefreshes: new Counter({
      name: 'aether_controller_feed_refreshes',
      help: 'Refreshes of feeds done here; kept: the feed was not believed, the list before it stands.',
      labelNames: ['outcome'],
      registers,
    }),
    feedsNotBelieved: gauge(
      'aether_controller_feeds_not_believed',
      'Feeds whose last refresh failed or was not believed.',
    ),
    feedsOverdue: gauge(
      'aether_controller_feeds_overdue',
      'Feeds that were not tried for three refreshes: Temporal or their Schedule is away.',
    ),
    blocklists: gauge('aether_controller_blocklists', 'Blocklists in etcd.'),
    blocks: gauge('aether_controller_blocks', 'Prefixes in etcd that are blocked by hand.'),
    nodes: gauge('aether_controller_nodes', 'Nodes in etcd.'),
    ...secureMetrics(registers),
    ...serviceMetrics(registers),
  };
}

/** How edges come, go and are sent elsewhere. */
function streamMetrics(registers: MetricsRegistry[]) {
  const counter = (name: string, help: string) => new Counter({ name, help, registers });
  return {
    streams: new Gauge({
      name: 'aether_controller_streams',
      help: 'Streams of edges: owner, of a shard that is ours; guest, of another one.',
      labelNames: ['kind'],
      registers,
    }),
    redirects: counter('aether_controller_redirects', 'Edges sent to another controller.'),
    resyncs: counter(
      'aether_controller_resyncs',
      'Edges brought up to date as a whole: their stream had been full.',
    ),
    fenced: counter(
      'aether_controller_fenced',
      'Messages refused by edges: a newer owner is known.',
    ),
    streamsRefused: new Counter({
      name: 'aether_controller_streams_refused',
      help: 'Streams refused for now, or for good.',
      labelNames: ['why'],
      registers,
    }),
  };
}

/** Of the cluster and its map. */
function ringMetrics(registers: MetricsRegistry[]) {
  const gauge = (name: string, help: string) =>
    new Gauge({ name: `aether_controller_${name}`, help, registers });
  return {
    shardsOwned: gauge('shards_owned', 'Shards this controller may act for.'),
    ringEpoch: gauge('ring_epoch', 'Epoch of the map of shards, as this controller has heard.'),
    ringImbalance: gauge('ring_imbalance', 'Largest load of a controller beside its share.'),
    controllers: gauge('ring_controllers', 'Registered controllers that are to own shards.'),
    leaseRemaining: gauge('lease_remaining_seconds', 'How long this controller may still write.'),
    gossipMembers: new Gauge({
      name: 'aether_controller_gossip_members',
      help: 'Controllers as SWIM sees them.',
      labelNames: ['state'],
      registers,
    }),
    gossipAwareness: gauge(
      'gossip_awareness',
      'How far this controller doubts itself, 0 to 7: probes are waited for so much longer.',
    ),
    gossipEvents: new Counter({
      name: 'aether_controller_gossip_events',
      help: 'What gossip counts: packets, exchanges of lists, failed probes, and why packets were refused.',
      labelNames: ['what'],
      registers,
    }),
    ringProposals: new Counter({
      name: 'aether_controller_ring_proposals',
      help: 'Maps proposed from here; late: somebody else was first.',
      labelNames: ['why', 'outcome'],
      registers,
    }),
    leaseRevocations: new Counter({
      name: 'aether_controller_lease_revocations',
      help: 'Leases of dead controllers that were revoked from here.',
      registers,
    }),
    handoverSeconds: new Histogram({
      name: 'aether_controller_handover_seconds',
      help: 'From a map that gives a shard of ours to another one to its release.',
      buckets: HANDOFF_BUCKETS,
      registers,
    }),
  };
}

/** Of certificates, and of what edges do with theirs. */
function secureMetrics(registers: MetricsRegistry[]) {
  return {
    certificateExpiry: new Gauge({
      name: 'aether_controller_certificate_expiry_timestamp_seconds',
      help: 'Until when a certificate of this controller is good.',
      labelNames: ['what'],
      registers,
    }),
    gatewayCalls: new Counter({
      name: 'aether_controller_gateway_calls',
      help: "Calls of edges to Temporal; refused: not an edge's to make, limited: too many at once.",
      labelNames: ['method', 'outcome'],
      registers,
    }),
  };
}

/** Of services whose shard is this controller's. */
function serviceMetrics(registers: MetricsRegistry[]) {
  const gauge = (name: string, help: string) =>
    new Gauge({
      name: `aether_controller_service_${name}`,
      help,
      labelNames: ['service'],
      registers,
    });
  return {
    serviceAnnouncers: gauge('announcers', 'Nodes that announce the service, as their edges say.'),
    serviceFloor: gauge('floor', 'minAnnouncers of the service: no command goes below it.'),
    servicePermits: gauge('permits', 'Nodes that may withdraw the service without asking.'),
    routingEvents: new Counter({
      name: 'aether_controller_routing_events',
      help: 'Events of BGP, BFD and announcements that edges told, repeated ones included.',
      labelNames: ['kind'],
      registers,
    }),
    failoverEvidence: new Counter({
      name: 'aether_controller_failover_evidence',
      help: 'Evidence of regions handed to bgpFailover.',
      labelNames: ['service', 'region', 'state'],
      registers,
    }),
  };
}
