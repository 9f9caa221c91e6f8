/** Answers what people ask of the filters. */
import type {
  FilterAnswer,
  FilterQuestion,
  FilterStats,
  Reason,
  ServiceCount,
  TopEntry,
} from '../../../core/filter/questions';
import { REASONS } from '../../../core/filter/questions';
import { decodeSample, NO_RULE, SETS, type Counter } from './abi';
import { share, TEST_RUN_MAX_BYTES } from './copy';
import type { FilterEngine, XdpMode } from './engine';
import type { FilterMaps } from './filter-maps';
import type { InterfaceFilter } from './interface-filter';
import { native } from '../native';
import { sourceOf } from './packet';
import { pinInfo } from './pins';
import { rehearse, sampled } from './rehearse';
import { recordsIn } from './samples';

type Of<Kind> = Extract<FilterAnswer, { kind: Kind }>;

const ETHERNET_BYTES = 14;
const TRACE_RING_BYTES = 4096;

export async function answer(
  engine: FilterEngine,
  question: FilterQuestion,
  modeOf: (name: string) => Promise<XdpMode | null>,
): Promise<FilterAnswer> {
  switch (question.kind) {
    case 'stats': {
      const filters = [];
      for (const filter of engine.all()) filters.push(statsOf(filter, await modeOf(filter.name)));
      return { kind: 'stats', atMs: Date.now(), filters: filters.filter((each) => each !== null) };
    }
    case 'top':
      await engine.learn();
      return top(engine, question);
    case 'trace':
      await engine.learn();
      return trace(engine, question);
    case 'sampled':
      return sampled(engine);
    case 'rehearse':
      return rehearse(engine, question);
    case 'services':
      return { kind: 'services', atMs: Date.now(), services: servicesOf(engine) };
  }
}

const NO_COUNTERS = Object.fromEntries(
  REASONS.map((reason) => [reason, { packets: 0, bytes: 0 }]),
) as Record<Reason, Counter>;

function statsOf(filter: InterfaceFilter, mode: XdpMode | null): FilterStats | null {
  const { live, wanted, name } = filter;
  if (!live && !wanted) return null;
  const contents = live?.loaded?.contents ?? null;
  const counted = (of: 'enforce' | 'count'): number =>
    (contents?.lists ?? []).reduce((sum, list) => sum + (list.mode === of ? list.count : 0), 0);
  return {
    interface: name,
    mode,
    programTag: pinInfo(name)?.tag ?? null,
    counters: live?.maps.counters() ?? NO_COUNTERS,
    contents,
    blocked: counted('enforce') + (contents?.blocks.length ?? 0),
    shadowed: counted('count'),
    memoryBytes: live ? memoryOf(live.maps) : 0,
    problem: filter.problem,
    reflected: live && contents ? live.maps.reflect.counts(contents.reflect) : [],
    services: contents ? countsOf(filter, contents.services) : [],
  };
}

function countsOf({ live }: InterfaceFilter, addresses: readonly string[]): ServiceCount[] {
  return addresses.flatMap((address) => {
    const counter = live?.maps.services.read(address) ?? null;
    return counter === null ? [] : [{ address, ...counter }];
  });
}

function servicesOf(engine: FilterEngine): ServiceCount[] {
  const sums = new Map<string, ServiceCount>();
  for (const filter of engine.all()) {
    const wanted = filter.live?.loaded?.contents.services ?? [];
    for (const { address, packets, bytes } of countsOf(filter, wanted)) {
      const sum = sums.get(address) ?? { address, packets: 0, bytes: 0 };
      sums.set(address, { address, packets: sum.packets + packets, bytes: sum.bytes + bytes });
    }
  }
  return [...sums.values()];
}

/** Inner maps that several interfaces share count for each. */
function memoryOf(maps: FilterMaps): number {
  let bytes = maps.memoryBytes();
  for (const outer of ['sets4', 'sets6', 'rules'] as const) {
    for (const slot of outer === 'rules' ? [0] : SETS.keys()) {
      const id = maps.innerId(outer, slot);
      if (id === 0) continue;
      const inner = native.BpfMap.openById(id);
      bytes += inner.memlockBytes();
      inner.close();
    }
  }
  return bytes;
}

/** The entry of the spec that a packet of this source fell to; null where unknown. */
function entryOf(
  filter: InterfaceFilter | undefined,
  reason: Reason,
  source: string | null,
  ruleId: number,
): string | null {
  const loaded = filter?.live?.loaded;
  if (!loaded) return null;
  if (reason === 'dropRule' || reason === 'shadowRule') {
    return ruleId === NO_RULE ? null : (loaded.contents.rules.entries[ruleId]?.name ?? null);
  }
  if (source === null) return null;
  const set = {
    dropBlock: 'block',
    shadowBlock: 'shadow',
    passAllow: 'allow',
    passFailsafe: 'failsafe',
  };
  const name = (set as Partial<Record<Reason, 'block' | 'shadow' | 'allow' | 'failsafe'>>)[reason];
  const found = name && loaded.sets[name]?.whereIs(source);
  if (!found) return null;
  if ('single' in found) return found.single;
  return loaded.contents.lists.find(({ sha256 }) => sha256 === found.list)?.name ?? null;
}

const isDrop = (reason: Reason): boolean =>
  reason.startsWith('drop') || reason.startsWith('shadow');

function top(engine: FilterEngine, question: Extract<FilterQuestion, { kind: 'top' }>): Of<'top'> {
  const entries = new Map<string, TopEntry>();
  for (const sample of engine.samples.since(question.sinceMs)) {
    const { interface: name, reason, ruleId, atMs } = sample;
    if (!isDrop(reason)) continue;
    const source = sourceOf(sample.frame);
    const key = `${name} ${reason} ${source} ${ruleId}`;
    const entry = entries.get(key) ?? {
      interface: name,
      reason,
      source,
      entry: entryOf(engine.find(name), reason, source, ruleId),
      samples: 0,
      lastAtMs: atMs,
    };
    entries.set(key, { ...entry, samples: entry.samples + 1, lastAtMs: atMs });
  }
  const most = [...entries.values()].sort((a, b) => b.samples - a.samples);
  const every = [...engine.all()].map((filter) => filter.wanted?.contents.sampleEvery ?? 0);
  return {
    kind: 'top',
    atMs: Date.now(),
    sampleEvery: Math.max(0, ...every),
    entries: most.slice(0, question.limit),
  };
}

type TraceQuestion = Extract<FilterQuestion, { kind: 'trace' }>;

function packetOf({ packet }: TraceQuestion): Buffer {
  const bytes = Buffer.from(packet, 'hex');
  if (bytes.length * 2 !== packet.length) throw new TypeError('the packet must be hexadecimal');
  if (bytes.length < ETHERNET_BYTES || bytes.length > TEST_RUN_MAX_BYTES) {
    throw new TypeError(`a packet has ${ETHERNET_BYTES} to ${TEST_RUN_MAX_BYTES} bytes`);
  }
  return bytes;
}

/**
 * A second instance of the program, on copies of config and counters and on the very same sets and
 * rules: nothing is counted, and no bucket emptied.
 */
async function trace(engine: FilterEngine, question: TraceQuestion): Promise<Of<'trace'>> {
  const frame = packetOf(question);
  const filter = engine.find(question.interface);
  const live = filter?.live;
  if (!live) throw new Error(`no filter is attached to ${question.interface}`);
  return engine.program.load(null, async (program, copy) => {
    try {
      await share(live.maps, copy);
      program.testRun(frame, 1);
      const counted = Object.entries(copy.counters()) as [Reason, Counter][];
      const reasons = counted.filter(([, { packets }]) => packets > 0).map(([reason]) => reason);
      const reason = reasons.find((each) => !each.startsWith('shadow')) ?? 'pass';
      const told = reason === 'pass' ? (reasons.find((each) => each !== 'pass') ?? reason) : reason;
      const entry = entryOf(
        filter,
        told,
        sourceOf(frame),
        ruleIn(copy.drain(TRACE_RING_BYTES), told),
      );
      const verdict = reason === 'reflect' ? reason : reason.startsWith('drop') ? 'drop' : 'pass';
      return { kind: 'trace', verdict, reason, because: because(told, sourceOf(frame), entry) };
    } finally {
      copy.close();
    }
  });
}

/** Of the sample that was taken for this reason. */
function ruleIn(drained: Buffer, reason: Reason): number {
  for (const record of recordsIn(drained)) {
    const sample = decodeSample(record);
    if (sample?.reason === reason) return sample.ruleId;
  }
  return NO_RULE;
}

function because(reason: Reason, source: string | null, entry: string | null): string {
  const by = entry === null ? '' : ` (${entry})`;
  const from = source === null ? 'its source' : `its source ${source}`;
  switch (reason) {
    case 'pass':
      return 'nothing speaks against it; its rate was not looked at';
    case 'passNotIp':
      return 'it is no IP, or neighbour discovery';
    case 'passFailsafe':
      return `it would be dropped, but ${from} is failsafe${by}`;
    case 'passAllow':
      return `it would be dropped, but ${from} is allowed${by}`;
    case 'passMalformed':
    case 'dropMalformed':
      return 'it claims to be IP and is not well formed';
    case 'dropBlock':
      return `${from} is blocked${by}`;
    case 'dropRule':
      return `a rule drops it${by}`;
    case 'dropRate':
      return `${from} is too fast, even with its first packet`;
    case 'reflect':
      return `it is Seamless BFD of ${source ?? 'a peer'}, and is answered`;
    case 'shadowBlock':
      return `${from} is in a list that only counts${by}`;
    case 'shadowRule':
      return `a rule that only counts fits it${by}`;
    case 'shadowRate':
      return `${from} is too fast for a limit that only counts`;
  }
}
