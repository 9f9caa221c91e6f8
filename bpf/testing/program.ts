/** The root program in the kernel, with maps of its own: what is put into them, and what it says. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RULE as FIELDS, STAGE as STAGES } from '../../adapters/native/filter/abi';
import { native, type BpfMap, type BpfObject, type BpfProgram } from '../../adapters/native/native';
import { REASONS, type Reason } from '../../core/filter/questions';
import { prefixBytes } from '../../core/netlink/ip';

export const OBJECT = join(__dirname, '../../../bpf/build/xdp_root.bpf.o');
const XDP_DROP = 1;
const XDP_PASS = 2;
const XDP_TX = 3;
const VERDICTS = { [XDP_DROP]: 'drop', [XDP_PASS]: 'pass', [XDP_TX]: 'reflect' } as const;
type Verdict = (typeof VERDICTS)[keyof typeof VERDICTS];

function verdictOf(number: number): Verdict {
  const verdict = VERDICTS[number as keyof typeof VERDICTS];
  assert.ok(verdict, `verdict ${number}`);
  return verdict;
}

const CONFIG_BYTES = 112;
const RULE_BYTES = 56;
const RULES_MAX = 64;
const NEVER = 0xffffffff;
export const BPF_MAP_TYPE_ARRAY = 2;
const MAPS = [
  ...['counters', 'config', 'sets4', 'sets6', 'rules', 'rate', 'samples'],
  ...['services4', 'services6', 'reflect'],
];

export type Stage = keyof typeof STAGES;

export interface Config {
  stages: Stage[];
  shadow: Stage[];
  dropMalformed: boolean;
  /** Sample 1 of so many; 0 = none. */
  sampleEvery: number;
  rateNs: number;
  rateBurstNs: number;
}

type Range = [number, number];
export interface Rule {
  family?: 4 | 6;
  destination?: string;
  protocol?: number;
  sourcePort?: Range;
  destinationPort?: Range;
  length?: Range;
  tcpFlags?: { mask: number; value: number };
  fragment?: true;
  shadow?: true;
  id?: number;
}

export interface Outcome {
  verdict: Verdict;
  /** Counters that moved, by how many packets. */
  counted: Partial<Record<Reason, number>>;
  bytes: Partial<Record<Reason, number>>;
  /** As it came out. */
  packet: Buffer;
}

export interface Sample {
  reason: Reason;
  length: number;
  ruleId: number | null;
  frame: Buffer;
}

export const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const bits = (stages: readonly Stage[]): number => stages.reduce((all, s) => all | STAGES[s], 0);

function ruleBytes(rule: Rule): Buffer {
  const bytes = Buffer.alloc(RULE_BYTES);
  let fields = 0;
  for (const [name, bit] of Object.entries(FIELDS)) if (name in rule) fields |= bit;
  bytes.writeUInt32LE(fields, 0);
  bytes[4] = rule.family ?? 0;
  bytes[5] = rule.protocol ?? 0;
  bytes[6] = rule.tcpFlags?.mask ?? 0;
  bytes[7] = rule.tcpFlags?.value ?? 0;
  [rule.sourcePort, rule.destinationPort, rule.length].forEach((range, i) => {
    bytes.writeUInt16LE(range?.[0] ?? 0, 8 + 4 * i);
    bytes.writeUInt16LE(range?.[1] ?? 0, 10 + 4 * i);
  });
  bytes.writeUInt32LE(rule.id ?? 0, 20);
  if (rule.destination !== undefined) {
    const { bytes: prefix, prefixLength, family } = prefixBytes(rule.destination)!;
    bytes[4] = family === 2 ? 4 : 6;
    bytes.set(prefix, 24);
    for (let bit = 0; bit < prefixLength; bit++) bytes[40 + (bit >> 3)]! |= 0x80 >> (bit & 7);
  }
  return bytes;
}

export class RootProgram {
  private readonly program: BpfProgram;
  private readonly maps: Record<string, BpfMap> = {};
  private readonly counters: Buffer;

  private constructor(private readonly object: BpfObject) {
    this.program = object.program('aether_root');
    for (const name of MAPS) this.maps[name] = object.map(name);
    this.counters = Buffer.alloc(this.map('counters').info.valueSize);
  }

  static async load(): Promise<RootProgram> {
    return new RootProgram(await native.BpfObject.load(readFileSync(OBJECT), null, null));
  }

  map(name: string): BpfMap {
    return this.maps[name]!;
  }

  get tag(): string {
    return this.program.info.tag;
  }

  /** What is not given is off, and malformed packets are dropped. */
  configure(config: Partial<Config>, ruleCount = RULES_MAX): void {
    const value = Buffer.alloc(CONFIG_BYTES);
    const { sampleEvery = 0 } = config;
    value.writeUInt32LE(1, 0);
    value.writeUInt32LE(bits(config.stages ?? []), 4);
    value.writeUInt32LE(bits(config.shadow ?? []), 8);
    value.writeUInt32LE(sampleEvery === 0 ? NEVER : sampleEvery - 1, 12);
    value.writeUInt32LE((config.dropMalformed ?? true) ? 1 : 0, 16);
    value.writeUInt32LE(ruleCount, 20);
    value.writeBigUInt64LE(BigInt(config.rateNs ?? 0), 24);
    value.writeBigUInt64LE(BigInt(config.rateBurstNs ?? 0), 32);
    this.map('config').update(u32(0), value, 0);
  }

  async setRules(rules: readonly Rule[]): Promise<void> {
    const table = native.BpfMap.create({
      type: BPF_MAP_TYPE_ARRAY,
      name: 'rules',
      keySize: 4,
      valueSize: RULE_BYTES,
      maxEntries: RULES_MAX,
      flags: 0,
    });
    rules.forEach((rule, i) => table.update(u32(i), ruleBytes(rule), 0));
    await this.map('rules').setInner(u32(0), table);
    table.close();
  }

  counts(): { packets: number; bytes: number }[] {
    return REASONS.map((_, index) => {
      this.map('counters').lookup(u32(index), this.counters);
      let [packets, bytes] = [0, 0];
      for (let at = 0; at < this.counters.length; at += 16) {
        packets += Number(this.counters.readBigUInt64LE(at));
        bytes += Number(this.counters.readBigUInt64LE(at + 8));
      }
      return { packets, bytes };
    });
  }

  /** The verdict alone. */
  verdict(packet: Buffer): Verdict {
    return verdictOf(this.program.testRun(packet, 1).verdict);
  }

  /** BPF_PROG_TEST_RUN, once. */
  send(packet: Buffer): Outcome {
    const before = this.counts();
    const ran = this.program.testRun(packet, 1);
    const outcome: Outcome = {
      verdict: verdictOf(ran.verdict),
      counted: {},
      bytes: {},
      packet: ran.packet,
    };
    this.counts().forEach(({ packets, bytes }, index) => {
      const was = before[index]!;
      if (packets === was.packets && bytes === was.bytes) return;
      outcome.counted[REASONS[index]!] = packets - was.packets;
      outcome.bytes[REASONS[index]!] = bytes - was.bytes;
    });
    return outcome;
  }

  /** ns a packet, as the kernel reckons it over `repeat` runs. */
  cost(packet: Buffer, repeat: number): number {
    return this.program.testRun(packet, repeat).durationNs;
  }

  /** What lies in the ring, oldest first. */
  samples(): Sample[] {
    const ring = native.RingReader.open(this.map('samples'));
    const bytes = ring.drain(1 << 20);
    ring.close();
    const samples: Sample[] = [];
    for (let at = 0; at < bytes.length;) {
      const record = bytes.subarray(at + 4, at + 4 + bytes.readUInt32LE(at));
      at += (4 + record.length + 7) & ~7;
      const ruleId = record.readUInt32LE(16);
      samples.push({
        reason: REASONS[record.readUInt32LE(8)]!,
        length: record.readUInt32LE(12),
        ruleId: ruleId === NEVER ? null : ruleId,
        frame: Buffer.from(record.subarray(24, 24 + record.readUInt32LE(20))),
      });
    }
    return samples;
  }

  close(): void {
    for (const map of Object.values(this.maps)) map.close();
    this.program.close();
    this.object.close();
  }
}
