/** What a bfd process tells Prometheus. */
import { Counter, Gauge, Histogram } from 'prom-client';
import { createRegistry, denseBuckets } from '../../adapters/telemetry/metrics';
import type { BfdReport } from '../../core/announce/types';
import { BFD_STATES } from '../../core/model/routing';

/** 4 µs … 1 s: a thread under SCHED_FIFO, or one that had to wait its turn. */
const LATE_BUCKETS = denseBuckets(2 ** -18, 1);

export type BfdMetrics = ReturnType<typeof createBfdMetrics>;

export function createBfdMetrics(report: () => BfdReport) {
  const registry = createRegistry('aether_bfd_process_');
  const registers = [registry];
  const counter = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
    new Counter({ name, help, labelNames, registers });
  const gauge: GaugeOf = (name, help, labelNames, collect) => {
    new Gauge({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        collect((labels, value) => this.set(labels, value), report());
      },
    });
  };
  gauge('aether_bfd_sessions', 'BFD sessions by their state.', ['state'], (set, { sessions }) => {
    for (const state of BFD_STATES) {
      set({ state }, sessions.filter((session) => session.state === state).length);
    }
  });
  gauge('aether_bfd_realtime', '1 while the pacer has real-time priority.', [], (set, now) =>
    set({}, Number(now.realtime.held)),
  );
  gauge('aether_bfd_gobgpd', '1 while gobgpd is as it shall be.', [], (set, { gobgpd }) =>
    set({}, Number(gobgpd.problem === null)),
  );
  gauge('aether_bfd_lease_expired', '1 while the agent is missing.', [], (set, { expired }) =>
    set({}, Number(expired !== null)),
  );
  gauge('aether_bfd_held_neighbours', 'To which nothing is exported.', [], (set, { peers }) =>
    set({}, peers.filter(({ held }) => held !== null).length),
  );
  gauge('aether_bfd_paths', 'Prefixes in gobgpd by their stance.', ['stance'], (set, { paths }) => {
    for (const stance of ['announce', 'deprefer'] as const) {
      set({ stance }, paths.filter((path) => path.stance === stance).length);
    }
  });
  sessionGauges(gauge);
  return {
    registry,
    downs: counter('aether_bfd_downs_total', 'Sessions that went from up.', 'peer', 'cause'),
    dropped: counter('aether_bfd_packets_refused_total', 'Packets not taken.', 'peer', 'why'),
    resets: counter('aether_bfd_bgp_resets_total', 'BGP sessions reset.', 'peer', 'outcome'),
    lateSeconds: new Histogram({
      name: 'aether_bfd_detection_late_seconds',
      help: 'From the end of a detection time until it was told.',
      registers,
      buckets: LATE_BUCKETS,
    }),
  };
}

type GaugeOf = <L extends string>(
  name: string,
  help: string,
  labelNames: L[],
  collect: (
    set: (labels: Partial<Record<L, string>>, value: number) => void,
    now: BfdReport,
  ) => void,
) => void;

/** Of each session; counted by the thread since the process began. */
function sessionGauges(gauge: GaugeOf): void {
  const each = (
    name: string,
    help: string,
    of: (session: BfdReport['sessions'][number]) => number,
  ) =>
    gauge(name, help, ['peer'], (set, { sessions }) => {
      for (const session of sessions) set({ peer: session.peer }, of(session));
    });
  each('aether_bfd_packets_sent', 'Packets sent.', ({ packets }) => packets.sent);
  each('aether_bfd_packets_received', 'Packets received.', ({ packets }) => packets.received);
  each(
    'aether_bfd_send_late_max_seconds',
    'Latest a packet went, last minutes.',
    (session) => session.lateMaxMs / 1000,
  );
  each(
    'aether_bfd_receive_gap_max_seconds',
    'Longest pause between packets received, last minutes.',
    (session) => session.gapMaxMs / 1000,
  );
  each(
    'aether_bfd_detect_seconds',
    'Detection time as negotiated.',
    (session) => session.detectTimeMs / 1000,
  );
}
