/** A histogram that somebody else has counted (the kernel): it is read when it is scraped. */
import { Histogram, type MetricType } from 'prom-client';
import type { MetricsRegistry } from './metrics';

/** Its types have an enum of numbers where it takes names. */
const HISTOGRAM = 'histogram' as unknown as MetricType;

/** One series: `below[i]` observations were less than `bounds[i]`. */
export interface CountedSeries<L extends string> {
  labels: Record<L, string>;
  /** In the unit of the metric; rising. */
  bounds: readonly number[];
  below: readonly number[];
  count: number;
  sum: number;
}

export class CountedHistogram<L extends string> extends Histogram<L> {
  constructor(
    private readonly of: {
      name: string;
      help: string;
      labelNames: readonly L[];
      registry: MetricsRegistry;
      read: () => readonly CountedSeries<L>[];
    },
  ) {
    const { name, help, labelNames, registry } = of;
    super({ name, help, labelNames, registers: [registry], buckets: [] });
  }

  override async get(): ReturnType<Histogram<L>['get']> {
    const { name, help, read } = this.of;
    return {
      name,
      help,
      type: HISTOGRAM,
      aggregator: 'sum',
      collect: () => undefined,
      values: read().flatMap((series) => this.valuesOf(series)),
    };
  }

  /** What prom-client prints. */
  getForPromString(): ReturnType<Histogram<L>['get']> {
    return this.get();
  }

  private valuesOf({ labels, bounds, below, count, sum }: CountedSeries<L>) {
    const { name } = this.of;
    const bucket = (le: number | string, value: number) => ({
      metricName: `${name}_bucket`,
      labels: { le, ...labels },
      value,
    });
    return [
      ...bounds.map((bound, i) => bucket(bound, below[i] ?? 0)),
      bucket('+Inf', count),
      { metricName: `${name}_sum`, labels, value: sum },
      { metricName: `${name}_count`, labels, value: count },
    ];
  }
}
