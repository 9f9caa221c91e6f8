/** The last samples of packets that all filters took, decoded when somebody asks. */
import { SAMPLES_MAX } from '../../../core/filter/questions';
import { decodeSample, type Sample } from './abi';

const ALIGN = 8;

interface Kept {
  interface: string;
  record: Buffer;
}

/** Records as RingReader hands them over: u32 length and bytes, padded to 8. */
export function* recordsIn(drained: Buffer): Generator<Buffer> {
  for (let at = 0; at + 4 <= drained.length;) {
    const length = drained.readUInt32LE(at);
    yield drained.subarray(at + 4, at + 4 + length);
    at += Math.ceil((4 + length) / ALIGN) * ALIGN;
  }
}

export interface TakenSample extends Sample {
  interface: string;
  /** Epoch ms. */
  atMs: number;
}

export class SampleRing {
  private kept: Kept[] = [];
  /** So many were added since the agent started. */
  total = 0;

  /** What is waiting in a ring. */
  add(interfaceName: string, drained: Buffer): void {
    for (const record of recordsIn(drained)) {
      this.kept.push({ interface: interfaceName, record });
      this.total++;
    }
    if (this.kept.length > 2 * SAMPLES_MAX) this.kept = this.kept.slice(-SAMPLES_MAX);
  }

  /** The last ones, oldest first, taken at `sinceMs` or later; none after the `upTo`th that was added. */
  since(sinceMs: number, upTo = this.total): TakenSample[] {
    // CLOCK_MONOTONIC, which bpf_ktime_get_ns reads, against the clock people read.
    const bootMs = Date.now() - Number(process.hrtime.bigint() / 1_000_000n);
    const taken: TakenSample[] = [];
    const kept = this.kept.slice(-SAMPLES_MAX);
    const first = this.total - kept.length;
    for (const { interface: name, record } of kept.slice(0, Math.max(0, upTo - first))) {
      const sample = decodeSample(record);
      if (!sample) continue;
      const atMs = bootMs + Number(sample.atNs / 1_000_000n);
      if (atMs >= sinceMs) taken.push({ ...sample, interface: name, atMs });
    }
    return taken;
  }
}
