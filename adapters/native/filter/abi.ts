/**
 * The bytes that the XDP program and we share: bpf/include/structs.h and consts.h, field by field.
 * Little-endian, as the kernel we run on.
 */
import type { FilterContents } from '../../../core/filter/contents';
import { REASONS, type Reason } from '../../../core/filter/questions';
import { trackWord } from '../../../core/latency/choice';
import type { ShapeRule } from '../../../core/model/node';
import { prefixBytes } from '../../../core/netlink/ip';

export const FILTER_ABI = 3;
export const RULES_MAX = 64;
export const LINE_BYTES = 64;
export const SAMPLE_BYTES = 96;
const NEVER_SAMPLED = 0xffffffff;
export const NO_RULE = 0xffffffff;

/** Keys of `sets4` and `sets6`. */
export const SETS = ['failsafe', 'allow', 'block', 'shadow'] as const;
export type SetName = (typeof SETS)[number];

export const STAGE = { allow: 1, block: 2, rules: 4, rate: 8, services: 16, reflect: 32 } as const;
export const RULE = {
  destination: 1,
  protocol: 2,
  sourcePort: 4,
  destinationPort: 8,
  length: 16,
  tcpFlags: 32,
  fragment: 64,
  shadow: 256,
} as const;

/** Offsets; `size` is the whole. */
export const COUNTER = { packets: 0, bytes: 8, size: 16 } as const;
export const CONFIG = {
  abi: 0,
  stages: 4,
  shadow: 8,
  sample_mask: 12,
  drop_malformed: 16,
  rule_count: 20,
  rate_ns: 24,
  rate_burst_ns: 32,
  track: 40,
  content: 48,
  checksum: 80,
  size: 112,
} as const;
/** Key and value of `reflect`. */
export const REFLECT_KEY = { source: 0, destination: 16, discriminator: 32, size: 36 } as const;
export const REFLECT_PEER = {
  free_at_ns: 0,
  packets: 8,
  flags: 16,
  required_min_rx_us: 20,
  size: 24,
} as const;
export const REFLECT = { singleHop: 1, outOfService: 2 } as const;
export const SHAPE_RULE = {
  fields: 0,
  family: 4,
  protocol: 5,
  tcp_mask: 6,
  tcp_value: 7,
  source_port_min: 8,
  source_port_max: 10,
  destination_port_min: 12,
  destination_port_max: 14,
  length_min: 16,
  length_max: 18,
  id: 20,
  destination: 24,
  destination_mask: 40,
  size: 56,
} as const;
export const SAMPLE = {
  at_ns: 0,
  reason: 8,
  length: 12,
  rule_id: 16,
  captured: 20,
  frame: 24,
  size: 24 + SAMPLE_BYTES,
} as const;

export interface Counter {
  packets: number;
  bytes: number;
}

/** A per-CPU value of `counters`, summed. */
export function decodeCounter(perCpu: Buffer): Counter {
  const sum = { packets: 0, bytes: 0 };
  for (let at = 0; at + COUNTER.size <= perCpu.length; at += COUNTER.size) {
    sum.packets += Number(perCpu.readBigUInt64LE(at + COUNTER.packets));
    sum.bytes += Number(perCpu.readBigUInt64LE(at + COUNTER.bytes));
  }
  return sum;
}

const NS_PER_S = 1_000_000_000n;

/** What the config says but for content and checksum. `sets`: those that hold something. */
export function encodeConfig(contents: FilterContents, sets: ReadonlySet<SetName>): Buffer {
  const { allow, rateLimit, rules, malformed, sampleEvery, track, services, reflect } = contents;
  const config = Buffer.alloc(CONFIG.size);
  const stages =
    (sets.has('allow') ? STAGE.allow : 0) |
    (sets.has('block') || sets.has('shadow') ? STAGE.block : 0) |
    (rules.entries.length > 0 ? STAGE.rules : 0) |
    (rateLimit === null ? 0 : STAGE.rate) |
    (services.length > 0 ? STAGE.services : 0) |
    (reflect.length > 0 ? STAGE.reflect : 0);
  const shadow =
    (allow.mode === 'count' ? STAGE.allow : 0) | (rateLimit?.mode === 'count' ? STAGE.rate : 0);
  config.writeUInt32LE(FILTER_ABI, CONFIG.abi);
  config.writeUInt32LE(stages, CONFIG.stages);
  config.writeUInt32LE(shadow, CONFIG.shadow);
  config.writeUInt32LE(sampleEvery === 0 ? NEVER_SAMPLED : sampleEvery - 1, CONFIG.sample_mask);
  config.writeUInt32LE(malformed === 'drop' ? 1 : 0, CONFIG.drop_malformed);
  config.writeUInt32LE(rules.entries.length, CONFIG.rule_count);
  if (rateLimit !== null) {
    const packetNs = NS_PER_S / BigInt(rateLimit.packetsPerSecond);
    config.writeBigUInt64LE(packetNs, CONFIG.rate_ns);
    config.writeBigUInt64LE(packetNs * BigInt(rateLimit.burst), CONFIG.rate_burst_ns);
  }
  config.writeBigUInt64LE(trackWord(track), CONFIG.track);
  return config;
}

function putRange(
  into: Buffer,
  range: { min: number; max: number } | null,
  [min, max]: readonly [number, number],
): void {
  into.writeUInt16LE(range?.min ?? 0, min);
  into.writeUInt16LE(range?.max ?? 0, max);
}

function putDestination(into: Buffer, destination: string): void {
  const prefix = prefixBytes(destination);
  if (!prefix) throw new TypeError(`not a prefix: ${destination}`);
  into.writeUInt8(prefix.bytes.length === 4 ? 4 : 6, SHAPE_RULE.family);
  into.set(prefix.bytes, SHAPE_RULE.destination);
  for (let at = 0, left = prefix.prefixLength; left > 0; at++, left -= 8) {
    into.writeUInt8(left >= 8 ? 255 : (0xff00 >> left) & 255, SHAPE_RULE.destination_mask + at);
  }
}

const isSet = (rule: ShapeRule, mayShadow: number): number =>
  (rule.destination === null ? 0 : RULE.destination) |
  (rule.protocol === null ? 0 : RULE.protocol) |
  (rule.sourcePort === null ? 0 : RULE.sourcePort) |
  (rule.destinationPort === null ? 0 : RULE.destinationPort) |
  (rule.length === null ? 0 : RULE.length) |
  (rule.tcpFlags === null ? 0 : RULE.tcpFlags) |
  (rule.fragment === null ? 0 : RULE.fragment) |
  mayShadow;

function encodeRule(into: Buffer, rule: ShapeRule, id: number, counts: boolean): void {
  into.writeUInt32LE(isSet(rule, counts ? RULE.shadow : 0), SHAPE_RULE.fields);
  into.writeUInt8(rule.protocol ?? 0, SHAPE_RULE.protocol);
  into.writeUInt8(rule.tcpFlags?.mask ?? 0, SHAPE_RULE.tcp_mask);
  into.writeUInt8(rule.tcpFlags?.value ?? 0, SHAPE_RULE.tcp_value);
  putRange(into, rule.sourcePort, [SHAPE_RULE.source_port_min, SHAPE_RULE.source_port_max]);
  const destinationPort = [
    SHAPE_RULE.destination_port_min,
    SHAPE_RULE.destination_port_max,
  ] as const;
  putRange(into, rule.destinationPort, destinationPort);
  putRange(into, rule.length, [SHAPE_RULE.length_min, SHAPE_RULE.length_max]);
  into.writeUInt32LE(id, SHAPE_RULE.id);
  if (rule.destination !== null) putDestination(into, rule.destination);
}

/**
 * The table: RULES_MAX rules, the rest zero, which never match. Whether all of them only count is said
 * in each, so that one swap of the table changes both at once.
 */
export function encodeRules({ mode, entries }: FilterContents['rules']): Buffer {
  if (entries.length > RULES_MAX) throw new RangeError(`a filter has at most ${RULES_MAX} rules`);
  const table = Buffer.alloc(RULES_MAX * SHAPE_RULE.size);
  for (const [id, rule] of entries.entries()) {
    const slot = table.subarray(id * SHAPE_RULE.size, (id + 1) * SHAPE_RULE.size);
    encodeRule(slot, rule, id, mode === 'count' || rule.mode === 'count');
  }
  return table;
}

export interface Sample {
  /** CLOCK_MONOTONIC. */
  atNs: bigint;
  reason: Reason;
  /** Bytes of the whole frame. */
  length: number;
  /** NO_RULE where no rule decided. */
  ruleId: number;
  frame: Buffer;
}

/** Null: of a newer program. */
export function decodeSample(record: Buffer): Sample | null {
  if (record.length < SAMPLE.size) return null;
  const reason = REASONS[record.readUInt32LE(SAMPLE.reason)];
  if (reason === undefined) return null;
  const captured = Math.min(record.readUInt32LE(SAMPLE.captured), SAMPLE_BYTES);
  return {
    atNs: record.readBigUInt64LE(SAMPLE.at_ns),
    reason,
    length: record.readUInt32LE(SAMPLE.length),
    ruleId: record.readUInt32LE(SAMPLE.rule_id),
    frame: record.subarray(SAMPLE.frame, SAMPLE.frame + captured),
  };
}
