/** What was seen as tables of text, for the terminal and for the report. */
import { median, quantile, summarise } from '../../common/statistics';
import { isCell, nsPerPacket, type Cell, type Evidence, type FloodSample } from '../evidence';
import type { Kind } from '../filters/filter';

export interface Table {
  title: string;
  /** What must be known to read it. */
  note: string;
  head: string[];
  rows: string[][];
}

const digits = (value: number, most = 3): string => {
  const rounded = Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(most));
  return new Intl.NumberFormat('en').format(rounded);
};

/** Each filter with each list, in the order in which they were brought up. */
export function cellsOf({ loads, costs }: Evidence): Cell[] {
  const filters = [...new Set(costs.map(({ filter }) => filter))];
  return filters.flatMap((filter) =>
    loads
      .filter((one) => one.filter === filter)
      .map(({ entries }) => ({ filter, entries }))
      .sort((a, b) => a.entries - b.entries),
  );
}

/** Ns of each round. */
export const costsOf = ({ costs }: Evidence, cell: Cell, kind: Kind): number[] =>
  costs
    .filter((one) => isCell(one, cell.filter, cell.entries) && one.kind === kind)
    .map(nsPerPacket);

function spread(samples: readonly number[]): string {
  if (samples.length === 0) return '–';
  const { min, median: middle, max } = summarise(samples);
  return `${digits(middle)} (${digits(min)} … ${digits(max)})`;
}

const LISTS = { mixed: 'prefixes', hosts: 'hosts only' } as const;

export function costTable(evidence: Evidence): Table {
  const base = costsOf(evidence, { filter: 'bare parse+count+drop', entries: 0 }, 'drop');
  const rows = cellsOf(evidence).map((cell) => {
    const load = evidence.loads.find((one) => isCell(one, cell.filter, cell.entries));
    const [drop, pass] = (['drop', 'pass'] as const).map((kind) => costsOf(evidence, cell, kind));
    const either = drop?.length ? drop : (pass ?? []);
    return [
      cell.filter,
      cell.entries === 0 ? '–' : digits(cell.entries),
      load?.list ? LISTS[load.list] : '–',
      spread(drop ?? []),
      drop?.length && base.length > 0 ? digits(median(drop) / median(base)) : '–',
      spread(pass ?? []),
      either.length > 0 ? digits(1e6 / median(either)) : '–',
    ];
  });
  return {
    title: 'CPU for each packet',
    note:
      'Nanoseconds of the one core that polls the queue: median (least … most) of the rounds. Dropped: ' +
      'every source is in the list; passed: none is, and the packet goes on to the routing lookup, where ' +
      'it ends (“nothing” is that alone). Hosts only: the filter knows no prefixes, so its list is one of /32s.',
    head: ['filter', 'entries', 'list', 'dropped, ns', '÷ bare', 'passed, ns', 'kpps a core'],
    rows,
  };
}

export function lookupTable({ lookups }: Evidence): Table {
  const cells = new Map(
    lookups.map(({ filter, entries }) => [`${filter} ${entries}`, { filter, entries }]),
  );
  const rows = [...cells.values()].map(({ filter, entries }) => {
    const of = (kind: Kind): string =>
      spread(
        lookups
          .filter((one) => isCell(one, filter, entries) && one.kind === kind)
          .map(({ ns }) => ns),
      );
    return [filter, entries === 0 ? '–' : digits(entries), of('drop'), of('pass')];
  });
  return {
    title: 'The program alone',
    note:
      'Nanoseconds of one run under BPF_PROG_TEST_RUN, each with a packet from another source: what is in ' +
      'the figures above besides is the device, the polling thread that wakes up, and the stack.',
    head: ['filter', 'entries', 'dropped, ns', 'passed, ns'],
    rows: rows.sort(([a = '', b = ''], [c = '', d = '']) => a.localeCompare(c) || byNumber(b, d)),
  };
}

const byNumber = (a: string, b: string): number =>
  Number(a.replaceAll(',', '')) - Number(b.replaceAll(',', ''));

const ms = (us: number): string => digits(us / 1000);

/** All rounds of one cell under one strength of flood. */
export function floodsOf({ floods }: Evidence, cell: Cell, kpps: number): FloodSample[] {
  return floods.filter((one) => isCell(one, cell.filter, cell.entries) && one.kpps === kpps);
}

export const floodedCells = ({ floods }: Evidence): Cell[] => {
  const named = new Map(
    floods.map(({ filter, entries }) => [`${filter} ${entries}`, { filter, entries }]),
  );
  return [...named.values()];
};

export function floodTable(evidence: Evidence): Table {
  const rows = floodedCells(evidence).flatMap((cell) =>
    evidence.plan.floodKpps.flatMap((kpps) => {
      const those = floodsOf(evidence, cell, kpps);
      const rtts = those.flatMap(({ rttUs }) => rttUs);
      if (those.length === 0) return [];
      const lost = those.map(({ udpSent, rttUs }) => 100 * (1 - rttUs.length / udpSent));
      return [
        [
          cell.filter,
          cell.entries === 0 ? '–' : digits(cell.entries),
          digits(kpps),
          digits(100 * median(those.map(({ cpuShare }) => cpuShare))),
          digits(
            100 * median(those.map((one) => one.overrunKpps / Math.max(one.offeredKpps, 1e-9))),
          ),
          digits(median(lost)),
          rtts.length > 0 ? ms(quantile(rtts, 0.5)) : '–',
          rtts.length > 0 ? ms(quantile(rtts, 0.99)) : '–',
          digits(median(those.map(({ tcpMbit }) => tcpMbit))),
        ],
      ];
    }),
  );
  return {
    title: 'Honest traffic through the flooded queue',
    note:
      'A UDP echo a millisecond and a TCP stream of 200 Mbit/s enter by the same queue as the flood, all of ' +
      'whose sources are listed. Round trips over all rounds; the rest are medians. Overrun: the share of ' +
      'all frames that found the queue (256 frames) full.',
    head: [
      'filter',
      'entries',
      'flood, kpps',
      'CPU, %',
      'overrun, %',
      'UDP lost, %',
      'p50, ms',
      'p99, ms',
      'TCP, Mbit/s',
    ],
    rows,
  };
}

export function loadTable({ loads }: Evidence): Table {
  return {
    title: 'Loading a list',
    note:
      'From a ready input until the filter holds it. Memory: by which the machine’s used memory grew, ' +
      'caches left out (some MiB of noise); in brackets what the filter says of itself.',
    head: ['filter', 'entries', 'wall, s', 'CPU, s', 'memory, MiB'],
    rows: loads
      .filter(({ entries }) => entries > 0)
      .map(({ filter, entries, wallS, cpuS, memoryMiB, claimedMiB }) => [
        filter,
        digits(entries),
        digits(wallS),
        digits(cpuS),
        digits(memoryMiB, 2) + (claimedMiB === null ? '' : ` (${digits(claimedMiB, 2)})`),
      ])
      .sort(([a = '', b = ''], [c = '', d = '']) => a.localeCompare(c) || byNumber(b, d)),
  };
}

export function skippedTable({ skipped }: Evidence): Table {
  return {
    title: 'Not measured',
    note: '',
    head: ['filter', 'entries', 'why'],
    rows: skipped.map(({ filter, entries, why }) => [
      filter,
      entries === null ? 'all' : digits(entries),
      why,
    ]),
  };
}

export const tablesOf = (evidence: Evidence): Table[] =>
  [costTable, lookupTable, floodTable, loadTable, skippedTable]
    .map((make) => make(evidence))
    .filter(({ rows }) => rows.length > 0);

/** Numbers to the right, words to the left. */
const isWords = (column: string): boolean => ['filter', 'list', 'why'].includes(column);

export function toText({ title, head, rows }: Table): string {
  const widths = head.map((name, i) =>
    Math.max(name.length, ...rows.map((row) => row[i]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) =>
        isWords(head[i] ?? '') ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0),
      )
      .join('  ')
      .trimEnd();
  return [title, line(head), ...rows.map(line)].join('\n');
}
