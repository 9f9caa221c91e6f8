/** Every experiment: a folder of its name, whose `measure.ts` takes the samples and whose results are committed. */
export interface Declared {
  name: string;
  /** What a person types to repeat the full run. */
  command: string;
  /** Whether `make bench` runs it. */
  bench: boolean;
  /** What makes its full form shorter, and its figures no claims: how often, or for how long. */
  shorter?: 'runs' | 'minutes';
}

const bench = (name: string, shorter?: Declared['shorter']): Declared => ({
  name,
  command: `sudo make bench ONLY=${name}`,
  bench: true,
  ...(shorter === undefined ? {} : { shorter }),
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
  bench('failover-outage', 'runs'),
  bench('bfd-false-downs', 'minutes'),
  bench('etcd-leader', 'runs'),
  bench('swim-detection', 'runs'),
  bench('edge-scale', 'runs'),
  bench('ring-balance', 'runs'),
  bench('controller-loss', 'runs'),
  bench('temporal-takeover'),
  { name: 'soak', command: 'sudo make soak', bench: false },
  { name: 'cluster-faults', command: 'sudo make soak ONLY=cluster-faults', bench: false },
];

/** What is asked for of a bench: all of it, or less. */
export interface Less {
  smoke: boolean;
  runs?: string | undefined;
  minutes?: string | undefined;
}

/** Options that make this experiment's form a shorter one; none: it is the full one, whose figures are claims. */
export function lessOf({ shorter }: Declared, less: Less): string[] {
  const count = shorter === undefined ? undefined : less[shorter];
  return [
    ...(less.smoke ? ['--smoke'] : []),
    ...(count === undefined ? [] : [`--${shorter}`, count]),
  ];
}
