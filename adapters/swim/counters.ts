/** What gossip counts, in memory that its thread and ours share: to read it costs nobody anything. */
export const COUNTERS = [
  'packetsSent',
  'packetsReceived',
  'sendsFailed',
  'socketErrors',
  'exchanges',
  'exchangesFailed',
  'conflicts',
  'refuted',
  'probeFailed',
  'reachedByStreamAlone',
  'paused',
  'versions',
  'full',
  'refused:short',
  'refused:malformed',
  'refused:type',
  'refused:compressed',
  'refused:checksum',
  'refused:label',
  'refused:key',
  'refused:tooLong',
] as const;
export type Counter = (typeof COUNTERS)[number];

export class Counters {
  private readonly cells: Float64Array;

  constructor(readonly memory = new SharedArrayBuffer(COUNTERS.length * 8)) {
    this.cells = new Float64Array(memory);
  }

  add(counter: Counter): void {
    const at = COUNTERS.indexOf(counter);
    this.cells[at] = (this.cells[at] ?? 0) + 1;
  }

  /** Since the start. */
  read(): Record<Counter, number> {
    const entries = COUNTERS.map((name, at) => [name, this.cells[at] ?? 0] as const);
    return Object.fromEntries(entries) as Record<Counter, number>;
  }
}
