/** What people ask of the filters of an edge, and what it answers; the same by every door. */
import { parsePrefix } from '../model/prefix';
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
  'reflect',
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
  | { kind: 'trace'; interface: string; packet: string }
  /** Whose packets were sampled as they passed. */
  | { kind: 'sampled' }
  /**
   * What would become of those packets if `prefixes` were blocked; changes and counts nothing. Of a list
   * these are the prefixes that one of the sampled sources lies in: no other prefix of it could meet a
   * sampled packet, so the answer is that of the whole list. `upTo` is the answer's to `sampled`:
   * packets sampled later are left out.
   */
  | { kind: 'rehearse'; prefixes: string[]; upTo: number; limit: number }
  /** What passed to each service address. */
  | { kind: 'services' };

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
  /** Peers whose Seamless BFD is answered here; absent: of an agent that does not. */
  reflected?: ReflectCount[];
  /** What passed to each service address; absent: of an agent that does not count it. */
  services?: ServiceCount[];
}

/** Since the filter was loaded, or the address became one of a service. */
export interface ServiceCount {
  address: string;
  packets: number;
  bytes: number;
}

/** Control packets of a peer that were answered, since the filter was loaded or the peer became one. */
export interface ReflectCount {
  peer: string;
  local: string;
  packets: number;
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

/** Packets of one interface that passed, as far as they were sampled and are still known. */
export interface SampledPackets {
  interface: string;
  packets: number;
  /** When the first of them came; null = there is none. */
  oldestAtMs: number | null;
}

export interface SampledSources extends SampledPackets {
  /** Texts of addresses, each once. */
  sources: string[];
  /** Prefixes that are spared, whatever is blocked; allowed ones only where they are in force. */
  failsafe: string[];
  allowed: string[];
}

/** Packets of one source that fall to `prefix`. */
export interface RehearsedSource {
  source: string;
  prefix: string;
  packets: number;
}

export interface Rehearsal extends SampledPackets {
  /** Packets that would be dropped, by how many sources; the first of those, most packets first. */
  cut: { packets: number; sources: number; top: RehearsedSource[] };
  /** That would be, were they not failsafe or allowed. */
  spared: { packets: number; sources: number; top: RehearsedSource[] };
  /** Cut off by the sample so far that the program can't judge them again. */
  unjudged: number;
}

export type FilterAnswer =
  | { kind: 'stats'; atMs: number; filters: FilterStats[] }
  | { kind: 'top'; atMs: number; sampleEvery: number; entries: TopEntry[] }
  | { kind: 'trace'; verdict: 'pass' | 'drop' | 'reflect'; reason: Reason; because: string }
  /** `upTo`: names the last of these packets, for `rehearse`. */
  | { kind: 'sampled'; atMs: number; sampleEvery: number; upTo: number; filters: SampledSources[] }
  | { kind: 'rehearse'; atMs: number; filters: Rehearsal[] }
  /** Of all interfaces together; an address that none of them counts is not there. */
  | { kind: 'services'; atMs: number; services: ServiceCount[] };

export type AnswerOf<K extends FilterAnswer['kind']> = Extract<FilterAnswer, { kind: K }>;

/** `top` answers with no more, `rehearse` neither. */
export const TOP_MAX = 1000;
/** Samples that an edge keeps, so there are no more sources and no more prefixes to be rehearsed. */
export const SAMPLES_MAX = 4096;
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
  const asked = Object(json) as Record<string, unknown>;
  const { kind, sinceMs, limit, interface: name, packet, prefixes, upTo } = asked;
  switch (kind) {
    case 'stats':
    case 'sampled':
    case 'services':
      return { kind };
    case 'top':
      return isCount(sinceMs) && isLimit(limit) ? { kind, sinceMs, limit } : null;
    case 'rehearse':
      return arePrefixes(prefixes) && isCount(upTo) && isLimit(limit)
        ? { kind, prefixes, upTo, limit }
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
const isLimit = (value: unknown): value is number =>
  isCount(value) && value > 0 && value <= TOP_MAX;
const arePrefixes = (value: unknown): value is string[] =>
  Array.isArray(value) &&
  value.length <= SAMPLES_MAX &&
  value.every((each) => typeof each === 'string' && parsePrefix(each) !== null);
const isPacket = (value: unknown): value is string =>
  typeof value === 'string' &&
  value.length <= 2 * PACKET_MAX_BYTES &&
  /^(?:[0-9a-f]{2})+$/i.test(value);
