/** What people ask of the filters of an edge, and what it answers; the same by every door. */
import type { FilterContents } from './contents';

/** Names of `enum reason` (bpf/include/structs.h), in its order: a counter's index is its place here. */
export const REASONS = [
  'pass',
  'passNotIp',
  'passFailsafe',
  'passAllow',
  'passMalformed',
  'dropBlock',
  'dropRule',
  'dropRate',
  'dropMalformed',
  'shadowBlock',
  'shadowRule',
  'shadowRate',
] as const;
export type Reason = (typeof REASONS)[number];

export type FilterQuestion =
  /** Counters, state, contents. */
  | { kind: 'stats' }
  /** Who was dropped last, and why: from the samples since `sinceMs` (epoch). */
  | { kind: 'top'; sinceMs: number; limit: number }
  /** What would happen to this packet (hex, from the Ethernet header on); counts nothing. */
  | { kind: 'trace'; interface: string; packet: string };

export interface FilterStats {
  interface: string;
  /** As attached; null = not attached. */
  mode: 'native' | 'generic' | null;
  programTag: string | null;
  counters: Record<Reason, { packets: number; bytes: number }>;
  contents: FilterContents | null;
  /** Prefixes now looked up: enforced and shadowed. */
  blocked: number;
  shadowed: number;
  /** Kernel memory of its maps, bytes. */
  memoryBytes: number;
  /** Why it does not hold what is wanted; null = it does. */
  problem: string | null;
}

export interface TopEntry {
  interface: string;
  reason: Reason;
  /** Text of the source address; null where the packet has none. */
  source: string | null;
  /** The entry of the spec it fell to: a rule's name, a list's; null where unknown. */
  entry: string | null;
  samples: number;
  lastAtMs: number;
}

export type FilterAnswer =
  | { kind: 'stats'; atMs: number; filters: FilterStats[] }
  | { kind: 'top'; atMs: number; sampleEvery: number; entries: TopEntry[] }
  | { kind: 'trace'; verdict: 'pass' | 'drop'; reason: Reason; because: string };

/** `top` answers with no more. */
export const TOP_MAX = 1000;
/** Bytes of a packet that is traced: a jumbo frame. */
const PACKET_MAX_BYTES = 9216;

/** A question from its JSON, checked; null where it is none. */
export function readQuestion(text: string): FilterQuestion | null {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return null;
  }
  const { kind, sinceMs, limit, interface: name, packet } = Object(json) as Record<string, unknown>;
  switch (kind) {
    case 'stats':
      return { kind };
    case 'top':
      return isCount(sinceMs) && isCount(limit) && limit > 0 && limit <= TOP_MAX
        ? { kind, sinceMs, limit }
        : null;
    case 'trace':
      return typeof name === 'string' && isPacket(packet)
        ? { kind, interface: name, packet }
        : null;
    default:
      return null;
  }
}

const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0;
const isPacket = (value: unknown): value is string =>
  typeof value === 'string' &&
  value.length <= 2 * PACKET_MAX_BYTES &&
  /^(?:[0-9a-f]{2})+$/i.test(value);
