/**
 * The latency tracker as the accepted spec wants it, and its histograms for Prometheus. No repair:
 * what a filter tracks is seen after, whatever the policy, and nothing of the host depends on it.
 */
import { LatencyTracker, type LatencyReport, type Measure } from '../../adapters/native/latency';
import { CountedHistogram, type CountedSeries } from '../../adapters/telemetry/counted-histogram';
import type { MetricsRegistry } from '../../adapters/telemetry/metrics';
import { latencyWish } from '../../core/latency/choice';
import type { Histogram } from '../../core/latency/histogram';
import { cumulate, thinBounds, type Window } from '../../core/latency/thin';
import type { EdgeSpec } from '../../core/model/edge-spec';
import type { Problems } from './problems';

const LOOK_EVERY_MS = 1_000;
const NS_PER_S = 1e9;
const DIGITS = 12;

const range = (fromLog2Ns: number, toLog2Ns: number): Window => ({
  fromNs: 2 ** fromLog2Ns,
  toNs: 2 ** toLog2Ns,
});
/** Where the latencies of an edge live: there every bucket of the kernel is told (docs/notes/latency.md). */
const WINDOWS = {
  /** 64 ns … 16 µs */
  run: range(6, 14),
  /** 1 µs … 134 ms, the longest wait in a full queue of a veth */
  forward: range(10, 27),
  /** 4 µs … 4.3 s */
  tcp: range(12, 32),
};

const HELP = {
  forward:
    'From XDP at `interface`, the headers being parsed, to the tc egress hook of the device by which the packet leaves. Chosen flows; of TCP only segments with SYN.',
  tcp: 'From netif_receive_skb (behind XDP and GRO) in the namespace of the socket to the read that takes the last byte of that packet. Chosen flows of the host and its namespaces, without loopback.',
  run: "The filter's own time: from the parsed headers to the counted verdict. One chosen flow in four, all its packets, dropped ones too.",
};

export interface Latency {
  /** Lets go of it; what is in the kernel goes on. */
  stop(): Promise<void>;
}

/** `accepted`: null as long as no spec was accepted; then all stays as it is. */
export function trackLatency(
  accepted: () => EdgeSpec | null,
  registry: MetricsRegistry,
  problems: Pick<Problems, 'set' | 'clear'>,
): Latency {
  const tracker = new LatencyTracker();
  expose(tracker, registry);
  let looking: Promise<void> = Promise.resolve();
  let isStopped = false;
  let timer: NodeJS.Timeout | null = null;
  const look = async (): Promise<void> => {
    const spec = accepted();
    try {
      if (spec !== null) tell(await follow(tracker, spec), problems);
    } catch (error) {
      problems.set('latency', `latencies are not tracked: ${(error as Error).message}`);
    }
    if (!isStopped) timer = setTimeout(again, LOOK_EVERY_MS).unref();
  };
  const again = (): void => void (looking = look());
  again();
  return {
    stop: async () => {
      isStopped = true;
      if (timer !== null) clearTimeout(timer);
      await looking;
      tracker.close();
    },
  };
}

/** Null where nothing is wished for. */
async function follow(tracker: LatencyTracker, spec: EdgeSpec): Promise<LatencyReport | null> {
  const wish = latencyWish(spec);
  if (wish !== null) return await tracker.ensure(wish);
  await tracker.remove();
  return null;
}

function tell(report: LatencyReport | null, problems: Pick<Problems, 'set' | 'clear'>): void {
  const measures = Object.entries<Measure>({ ...report });
  const missing = measures.flatMap(([name, measure]) =>
    measure.state === 'on' ? [] : [`${name} is ${measure.state} (${measure.reason})`],
  );
  if (missing.length === 0) problems.clear('latency');
  else problems.set('latency', `latencies are not all tracked: ${missing.join(', ')}`);
}

function expose(tracker: LatencyTracker, registry: MetricsRegistry): void {
  const byInterface = (
    name: string,
    help: string,
    window: Window,
    read: () => Map<string, Histogram>,
  ): void => {
    const labelNames = ['interface'] as const;
    const series = (): CountedSeries<'interface'>[] =>
      [...(tracker.isOn ? read() : [])].map(([label, histogram]) => ({
        labels: { interface: label },
        ...told(histogram, window),
      }));
    new CountedHistogram({ name, help, labelNames, registry, read: series });
  };
  byInterface('aether_packet_forward_seconds', HELP.forward, WINDOWS.forward, () =>
    tracker.forward(),
  );
  byInterface('aether_filter_run_seconds', HELP.run, WINDOWS.run, () => tracker.run());
  new CountedHistogram({
    name: 'aether_tcp_delivery_seconds',
    help: HELP.tcp,
    labelNames: [],
    registry,
    read: () => (tracker.isOn ? [{ labels: {}, ...told(tracker.tcp(), WINDOWS.tcp) }] : []),
  });
}

/** In seconds, and without the noise of dividing. */
function told(histogram: Histogram, window: Window): Omit<CountedSeries<never>, 'labels'> {
  const { boundsNs, below, count, sumNs } = cumulate(histogram, thinBounds(window));
  const bounds = boundsNs.map((ns) => Number((ns / NS_PER_S).toPrecision(DIGITS)));
  return { bounds, below, count, sum: sumNs / NS_PER_S };
}
