/** What the filters counted, read from their maps when Prometheus asks. */
import { Counter, Gauge } from 'prom-client';
import type { MetricsRegistry } from '../../adapters/telemetry/metrics';
import type { FilterStats } from '../../core/filter/questions';
import type { FilterPort } from '../../core/model/host';

/** One scrape reads the maps once, however many metrics it asks for. */
const FRESH_MS = 500;

export function collectFilterMetrics(registry: MetricsRegistry, host: FilterPort): void {
  let last: { atMs: number; filters: Promise<FilterStats[]> } | null = null;
  const read = (): Promise<FilterStats[]> => {
    const atMs = performance.now();
    if (last === null || atMs - last.atMs > FRESH_MS) {
      // What can't be read is absent from this scrape, not zero.
      const filters = host.ask({ kind: 'stats' }).then(
        (answer) => (answer.kind === 'stats' ? answer.filters : []),
        () => [],
      );
      last = { atMs, filters };
    }
    return last.filters;
  };
  countPackets(registry, read);
  countServices(registry, read);
  countReflected(registry, read);
  measure(registry, read);
}

type Read = () => Promise<FilterStats[]>;

function countPackets(registry: MetricsRegistry, read: Read): void {
  const kinds = [
    ['packets', 'Packets that entered, by what became of them (shadow reasons come on top).'],
    ['bytes', 'Bytes of those packets, from the Ethernet header on.'],
  ] as const;
  for (const [unit, help] of kinds) {
    new Counter({
      name: `aether_filter_${unit}_total`,
      help,
      labelNames: ['interface', 'reason'],
      registers: [registry],
      async collect() {
        const filters = await read();
        this.reset();
        for (const { interface: name, counters } of filters) {
          for (const [reason, counted] of Object.entries(counters)) {
            this.inc({ interface: name, reason }, counted[unit]);
          }
        }
      },
    });
  }
}

function countServices(registry: MetricsRegistry, read: Read): void {
  for (const unit of ['packets', 'bytes'] as const) {
    new Counter({
      name: `aether_service_${unit}_total`,
      help: `What the filters let pass to the address of a service, in ${unit}.`,
      labelNames: ['interface', 'address'],
      registers: [registry],
      async collect() {
        const filters = await read();
        this.reset();
        for (const { interface: name, services = [] } of filters) {
          for (const { address, [unit]: count } of services) {
            this.inc({ interface: name, address }, count);
          }
        }
      },
    });
  }
}

function countReflected(registry: MetricsRegistry, read: Read): void {
  new Counter({
    name: 'aether_bfd_reflected_packets_total',
    help: 'Packets of Seamless BFD that the filter answered, by the peer that asked.',
    labelNames: ['interface', 'peer'],
    registers: [registry],
    async collect() {
      const filters = await read();
      this.reset();
      for (const { interface: name, reflected = [] } of filters) {
        for (const { peer, packets } of reflected) this.inc({ interface: name, peer }, packets);
      }
    },
  });
}

function measure(registry: MetricsRegistry, read: Read): void {
  const gauge = <L extends string>(
    name: string,
    help: string,
    labelNames: L[],
    set: (gauge: Gauge<L>, stats: FilterStats) => void,
  ): void => {
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      async collect() {
        const filters = await read();
        this.reset();
        for (const stats of filters) set(this, stats);
      },
    });
  };
  gauge(
    'aether_filter_prefixes',
    'Prefixes that are looked up, by set.',
    ['interface', 'set'],
    (to, { interface: name, blocked, shadowed, contents }) => {
      to.set({ interface: name, set: 'block' }, blocked);
      to.set({ interface: name, set: 'shadow' }, shadowed);
      to.set({ interface: name, set: 'allow' }, contents?.allow.prefixes.length ?? 0);
      to.set({ interface: name, set: 'failsafe' }, contents?.failsafe.length ?? 0);
    },
  );
  gauge('aether_filter_memory_bytes', 'Kernel memory of its maps.', ['interface'], (to, stats) =>
    to.set({ interface: stats.interface }, stats.memoryBytes),
  );
  gauge(
    'aether_filter_problems',
    '1 where a filter does not hold what is wanted; see the status of the agent.',
    ['interface'],
    (to, { interface: name, problem }) => to.set({ interface: name }, problem === null ? 0 : 1),
  );
}
