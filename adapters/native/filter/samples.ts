/** The last samples of packets that all filters took, decoded when somebody asks. */
import { decodeSample, type Sample } from './abi';

const LAST = 4096;
const ALIGN = 8;

interface Kept {
  interface: string;
  record: Buffer;
}

export interface TakenSample extends Sample {
  interface: string;
  /** Epoch ms. */
  atMs: number;
}

export class SampleRing {
  private kept: Kept[] = [];

  /** Records as RingReader hands them over: u32 length and bytes, padded to 8. */
  add(interfaceName: string, drained: Buffer): void {
    for (let at = 0; at + 4 <= drained.length;) {
      const length = drained.readUInt32LE(at);
      this.kept.push({
        interface: interfaceName,
        record: drained.subarray(at + 4, at + 4 + length),
      });
      at += Math.ceil((4 + length) / ALIGN) * ALIGN;
    }
    if (this.kept.length > 2 * LAST) this.kept = this.kept.slice(-LAST);
  }

  /** The last ones, oldest first, taken at `sinceMs` or later. */
  since(sinceMs: number): TakenSample[] {
    // CLOCK_MONOTONIC, which bpf_ktime_get_ns reads, against the clock people read.
    const bootMs = Date.now() - Number(process.hrtime.bigint() / 1_000_000n);
    const taken: TakenSample[] = [];
    for (const { interface: name, record } of this.kept.slice(-LAST)) {
      const sample = decodeSample(record);
      if (!sample) continue;
      const atMs = bootMs + Number(sample.atNs / 1_000_000n);
      if (atMs >= sinceMs) taken.push({ ...sample, interface: name, atMs });
    }
    return taken;
  }
}
