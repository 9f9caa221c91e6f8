/**
 * Who would be cut off if these prefixes were blocked: the packets last sampled as they passed go
 * through a second instance of the program, whose set of blocks is the candidate.
 */
import { setImmediate as breathe } from 'node:timers/promises';
import { overlaps, prefixSet } from '../../../core/filter/algebra';
import type {
  FilterAnswer,
  FilterQuestion,
  Reason,
  Rehearsal,
  RehearsedSource,
  SampledPackets,
} from '../../../core/filter/questions';
import type { PrefixSet } from '../../../core/filter/types';
import type { BpfProgram } from '../native';
import { CONFIG, decodeSample, STAGE } from './abi';
import { share, TEST_RUN_MAX_BYTES } from './copy';
import { type FilterEngine, NO_BLOBS } from './engine';
import type { FilterMaps } from './filter-maps';
import { HeldSet } from './held-set';
import type { InterfaceFilter } from './interface-filter';
import { place } from './loaded';
import { sourceOf, wholeFrame } from './packet';
import { recordsIn, type TakenSample } from './samples';

type Question = Extract<FilterQuestion, { kind: 'rehearse' }>;
type Of<Kind> = Extract<FilterAnswer, { kind: Kind }>;

/** Reasons of packets that a list could cut off. Those that are no IP, or malformed, no list meets. */
const PASSED: readonly Reason[] = ['pass', 'passFailsafe', 'passAllow'];
/** Between two looks of the agent at what else goes on; far fewer than the ring of samples holds. */
const BATCH = 256;
const BATCH_RING_BYTES = 256 * 1024;

export function sampled(engine: FilterEngine): Of<'sampled'> {
  const upTo = engine.samples.total;
  const every = [...engine.all()].map((filter) => filter.wanted?.contents.sampleEvery ?? 0);
  const filters = attached(engine).map((filter) => {
    const samples = passedOf(engine, filter, upTo);
    const contents = filter.live?.loaded?.contents;
    return {
      ...summary(filter, samples),
      sources: [...new Set(samples.flatMap(({ frame }) => sourceOf(frame) ?? []))],
      failsafe: contents?.failsafe ?? [],
      allowed: contents?.allow.mode === 'enforce' ? contents.allow.prefixes : [],
    };
  });
  return { kind: 'sampled', atMs: Date.now(), sampleEvery: Math.max(0, ...every), upTo, filters };
}

/** Rejects with what the kernel says; the live program and its maps are only read. */
export async function rehearse(engine: FilterEngine, question: Question): Promise<Of<'rehearse'>> {
  const { prefixes, upTo } = question;
  const candidate = prefixSet(prefixes);
  const held = await HeldSet.build({ role: 'block', lists: [], singles: prefixes }, NO_BLOBS);
  try {
    const filters: Rehearsal[] = [];
    for (const filter of attached(engine)) {
      const samples = passedOf(engine, filter, upTo);
      const reasons = await judge(engine, filter, held, samples);
      filters.push({
        ...summary(filter, samples),
        ...outcome(samples, reasons, candidate, question.limit),
      });
    }
    return { kind: 'rehearse', atMs: Date.now(), filters };
  } finally {
    held.close();
  }
}

const attached = (engine: FilterEngine): InterfaceFilter[] =>
  [...engine.all()].filter(({ live }) => live !== null);

const passedOf = (engine: FilterEngine, { name }: InterfaceFilter, upTo: number): TakenSample[] =>
  engine.samples
    .since(0, upTo)
    .filter((sample) => sample.interface === name && PASSED.includes(sample.reason));

const summary = ({ name }: InterfaceFilter, samples: readonly TakenSample[]): SampledPackets => ({
  interface: name,
  packets: samples.length,
  oldestAtMs: samples.length === 0 ? null : Math.min(...samples.map(({ atMs }) => atMs)),
});

/** What the program says to each of them, in their order. */
async function judge(
  engine: FilterEngine,
  { name, live }: InterfaceFilter,
  candidate: HeldSet,
  samples: readonly TakenSample[],
): Promise<Reason[]> {
  if (samples.length === 0) return [];
  if (!live) throw new Error(`the filter of ${name} was detached meanwhile`);
  return engine.program.load(null, async (program, copy) => {
    try {
      await share(live.maps, copy);
      await place(copy, 'block', candidate);
      onlyBlocks(copy.config);
      const reasons: Reason[] = [];
      for (let at = 0; at < samples.length; at += BATCH) {
        reasons.push(...judgeSome(program, copy, samples.slice(at, at + BATCH)));
        await breathe();
      }
      return reasons;
    } finally {
      copy.close();
    }
  });
}

/** So that what is dropped or spared is so because of the candidate, not of a rule or a rate. */
function onlyBlocks(config: Buffer): void {
  const stages = config.readUInt32LE(CONFIG.stages);
  config.writeUInt32LE((stages & STAGE.allow) | STAGE.block, CONFIG.stages);
  config.writeBigUInt64LE(0n, CONFIG.track);
}

/** Each packet is a sample of the second instance: one of its verdict, before that its shadows. */
function judgeSome(
  program: BpfProgram,
  copy: FilterMaps,
  samples: readonly TakenSample[],
): Reason[] {
  for (const { frame, length } of samples) {
    program.testRun(wholeFrame(frame, length, TEST_RUN_MAX_BYTES), 1);
  }
  const reasons = [...recordsIn(copy.drain(BATCH_RING_BYTES))]
    .map((record) => decodeSample(record)?.reason)
    .filter((reason) => reason !== undefined)
    .filter((reason) => !reason.startsWith('shadow'));
  if (reasons.length !== samples.length) {
    throw new Error(`of ${samples.length} packets the program has judged ${reasons.length}`);
  }
  return reasons;
}

function outcome(
  samples: readonly TakenSample[],
  reasons: readonly Reason[],
  candidate: PrefixSet,
  limit: number,
): Pick<Rehearsal, 'cut' | 'spared' | 'unjudged'> {
  const that = (...wanted: Reason[]): TakenSample[] =>
    samples.filter((_, i) => wanted.some((reason) => reason === reasons[i]));
  return {
    cut: bySource(that('dropBlock'), candidate, limit),
    spared: bySource(that('passFailsafe', 'passAllow'), candidate, limit),
    unjudged: that('dropMalformed', 'passMalformed').length,
  };
}

function bySource(
  samples: readonly TakenSample[],
  candidate: PrefixSet,
  limit: number,
): Rehearsal['cut'] {
  const packets = new Map<string, number>();
  for (const { frame } of samples) {
    const source = sourceOf(frame) ?? '';
    packets.set(source, (packets.get(source) ?? 0) + 1);
  }
  const most = [...packets].sort(([, a], [, b]) => b - a).slice(0, limit);
  const top = most.map(([source, count]): RehearsedSource => {
    const [found] = overlaps(candidate, prefixSet([source]), 1);
    return { source, prefix: found?.prefix ?? '', packets: count };
  });
  return { packets: samples.length, sources: packets.size, top };
}
