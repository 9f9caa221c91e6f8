/**
 * Writes the config map while packets read it. Each field is stored at once; their order is such that
 * a packet in between meets what was wanted before or what is wanted now, and where two fields belong
 * together, nothing stricter than either.
 */
import { CONFIG, STAGE } from './abi';

const HASH_BYTES = 32;

class Fields {
  private readonly words: Uint32Array;
  private readonly longs: BigUint64Array;

  /** `config` is at the head of its ArrayBuffer: mapped memory is. */
  constructor(config: Buffer) {
    this.words = new Uint32Array(config.buffer, config.byteOffset, CONFIG.size / 4);
    this.longs = new BigUint64Array(config.buffer, config.byteOffset, CONFIG.size / 8);
  }

  get(at: number): number {
    return Atomics.load(this.words, at / 4);
  }
  set(at: number, value: number): void {
    Atomics.store(this.words, at / 4, value);
  }
  getLong(at: number): bigint {
    return Atomics.load(this.longs, at / 8);
  }
  setLong(at: number, value: bigint): void {
    Atomics.store(this.longs, at / 8, value);
  }
}

const fieldsOf = (wanted: Buffer): { get(at: number): number; getLong(at: number): bigint } => ({
  get: (at) => wanted.readUInt32LE(at),
  getLong: (at) => wanted.readBigUInt64LE(at),
});

/** From now on until `sign` no agent takes what is there for finished. */
export const unsign = (config: Buffer): void =>
  void config.fill(0, CONFIG.checksum, CONFIG.checksum + HASH_BYTES);

/** Hex. */
export function sign(config: Buffer, content: string, checksum: string): void {
  config.set(Buffer.from(content, 'hex'), CONFIG.content);
  config.set(Buffer.from(checksum, 'hex'), CONFIG.checksum);
}

export const signatureOf = (config: Buffer): { content: string; checksum: string } => ({
  content: config.toString('hex', CONFIG.content, CONFIG.content + HASH_BYTES),
  checksum: config.toString('hex', CONFIG.checksum, CONFIG.checksum + HASH_BYTES),
});

/** All but the signature. */
export const settingsOf = (config: Buffer): Buffer => config.subarray(0, CONFIG.content);

/** Before the allowed sources, the rules and the blocked ones change: sources that are spared now are. */
export function relax(config: Buffer, wanted: Buffer): void {
  const [live, want] = [new Fields(config), fieldsOf(wanted)];
  const spares = (stages: number, shadow: number): boolean =>
    (stages & STAGE.allow) !== 0 && (shadow & STAGE.allow) === 0;
  live.set(CONFIG.abi, want.get(CONFIG.abi));
  live.set(CONFIG.rule_count, Math.max(live.get(CONFIG.rule_count), want.get(CONFIG.rule_count)));
  if (!spares(want.get(CONFIG.stages), want.get(CONFIG.shadow))) return;
  live.set(CONFIG.stages, live.get(CONFIG.stages) | STAGE.allow);
  live.set(CONFIG.shadow, live.get(CONFIG.shadow) & ~STAGE.allow);
}

/** Packets cost less, and a bucket is deeper, before they cost more and it is shallower. */
function setRate(live: Fields, want: ReturnType<typeof fieldsOf>): void {
  const [rate, burst] = [want.getLong(CONFIG.rate_ns), want.getLong(CONFIG.rate_burst_ns)];
  if (rate < live.getLong(CONFIG.rate_ns)) live.setLong(CONFIG.rate_ns, rate);
  if (burst > live.getLong(CONFIG.rate_burst_ns)) live.setLong(CONFIG.rate_burst_ns, burst);
  live.setLong(CONFIG.rate_ns, rate);
  live.setLong(CONFIG.rate_burst_ns, burst);
}

/** After sets and rules are there. A rate limit that goes takes its numbers along only then. */
export function settle(config: Buffer, wanted: Buffer): void {
  const [live, want] = [new Fields(config), fieldsOf(wanted)];
  const hasRate = (want.get(CONFIG.stages) & STAGE.rate) !== 0;
  live.set(CONFIG.sample_mask, want.get(CONFIG.sample_mask));
  live.set(CONFIG.drop_malformed, want.get(CONFIG.drop_malformed));
  live.setLong(CONFIG.track, want.getLong(CONFIG.track));
  if (hasRate) setRate(live, want);
  live.set(CONFIG.shadow, live.get(CONFIG.shadow) | want.get(CONFIG.shadow));
  live.set(CONFIG.stages, want.get(CONFIG.stages));
  live.set(CONFIG.shadow, want.get(CONFIG.shadow));
  live.set(CONFIG.rule_count, want.get(CONFIG.rule_count));
  if (!hasRate) setRate(live, want);
}
