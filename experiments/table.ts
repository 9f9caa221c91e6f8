/** Every experiment: a folder of its name, whose `measure.ts` takes the samples and whose results are committed. */
export interface Declared {
  name: string;
  /** What a person types to repeat the full run. */
  command: string;
  /** Whether `make bench` runs it. */
  bench: boolean;
  /** Its first full run is yet to come: it has no results, and no row in CLAIMS.md. */
  unmeasured?: true;
}

const bench = (name: string): Declared => ({
  name,
  command: `sudo make bench ONLY=${name}`,
  bench: true,
});

/** In the order in which `make bench` runs them. */
export const EXPERIMENTS: readonly Declared[] = [
  bench('netlink-bench'),
  bench('repair-latency'),
  bench('audit-cost'),
  bench('agent-idle'),
  bench('latency-tracker'),
  bench('filter-feed'),
  bench('filter-audit'),
  bench('filter-lookup'),
  bench('filter-load'),
  bench('failover-outage'),
  bench('bfd-false-downs'),
  bench('etcd-leader'),
  bench('swim-detection'),
  { ...bench('edge-scale'), unmeasured: true },
  bench('ring-balance'),
  bench('controller-loss'),
  bench('temporal-takeover'),
  { name: 'soak', command: 'sudo make soak', bench: false },
  {
    name: 'cluster-faults',
    command: 'sudo make soak ONLY=cluster-faults',
    bench: false,
    unmeasured: true,
  },
];
