/**
 * What an agent does to one interface of its namespace, and what that costs it. Prints one JSON object.
 *
 * usage: agent-process.js load DEVICE IFINDEX BLOB          attaches, loads a packed list: AgentLoaded
 *        agent-process.js million DEVICE IFINDEX FEED FEED  reads, loads, edits, swaps: AgentMillion
 */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { FilterEngine } from '../../adapters/native/filter/engine';
import { pack } from '../../core/filter/blob';
import { SAMPLE_EVERY, type FilterContents, type ListRef } from '../../core/filter/contents';
import { parseFeed } from '../../core/filter/feed';
import { sha256Of } from '../../core/model/hash';
import { DEFAULT_FILTER } from '../../core/model/node';
import { median } from '../common/statistics';
import type { MillionSample } from './evidence';
import type { Loaded } from './filters/filter';
import { heldMapsBytes } from './memory';

export type AgentLoaded = Loaded;
export type AgentMillion = Omit<MillionSample, 'round' | 'entries'>;

const EDITS = 20;
/** Until garbage is collected and nothing is under way. */
const REST_MS = 1500;
const LOOK_MS = 5;
const FEED_LIMITS = {
  format: 'plain',
  column: 1,
  maxBytes: 1 << 28,
  maxPrefixes: 10_000_000,
} as const;

/** CPU seconds of all threads of this process, and wall seconds, of some work. */
async function taking(work: () => unknown): Promise<{ wallS: number; cpuS: number }> {
  const began = performance.now();
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return { wallS: (performance.now() - began) / 1000, cpuS: (user + system) / 1e6 };
}

class Agent {
  private readonly blobs = new Map<string, Uint8Array>();

  private constructor(
    private readonly device: string,
    private engine: FilterEngine | null,
  ) {}

  static async attach(device: string, ifindex: number): Promise<Agent> {
    const agent = new Agent(device, null);
    const read = async (sha256: string): Promise<Uint8Array> => {
      const blob = agent.blobs.get(sha256);
      if (blob === undefined) throw new Error(`There is no blob ${sha256}`);
      return blob;
    };
    agent.engine = await FilterEngine.open({ read });
    await agent.engine.attach(device, ifindex, 'native');
    return agent;
  }

  /** A list of the store, by its name in there. */
  keep(blob: Uint8Array): ListRef {
    const sha256 = sha256Of(blob);
    this.blobs.set(sha256, blob);
    return { name: 'listed', mode: 'enforce', sha256, count: 0 };
  }

  /** Brings list and single prefixes to the interface; all else is as a spec has it that says nothing. */
  async set(list: ListRef, blocks: string[]): Promise<void> {
    const { failsafe, rules, rateLimit, malformed, latency } = DEFAULT_FILTER;
    const contents: FilterContents = {
      interface: this.device,
      failsafe,
      allow: { mode: 'enforce', prefixes: [] },
      lists: [list],
      blocks,
      rules,
      rateLimit,
      malformed,
      sampleEvery: SAMPLE_EVERY,
      track: latency,
    };
    for (const { error } of (await this.engine?.setFilters([contents])) ?? []) {
      if (error !== null) throw new Error(`Not loaded: ${error}`);
    }
  }

  async detach(): Promise<void> {
    await this.engine?.detach(this.device);
  }

  close(): void {
    this.engine?.close();
  }
}

const residentMiB = (): number => process.memoryUsage().rss / 2 ** 20;

async function load(agent: Agent, [blobPath = '']: readonly string[]): Promise<AgentLoaded> {
  const list = agent.keep(readFileSync(blobPath));
  const took = await taking(() => agent.set(list, []));
  return { ...took, claimedBytes: heldMapsBytes() };
}

const kernelMiB = (): number => heldMapsBytes() / 2 ** 20;

/** The most that its maps take meanwhile. */
async function peakMiB(work: () => Promise<void>): Promise<number> {
  let peak = kernelMiB();
  const timer = setInterval(() => (peak = Math.max(peak, kernelMiB())), LOOK_MS);
  await work();
  clearInterval(timer);
  return peak;
}

function readList(agent: Agent, path: string): ListRef {
  const parsed = parseFeed(readFileSync(path), FEED_LIMITS);
  if (!parsed.ok) throw new Error(`The feed was refused: ${parsed.refusal.kind}`);
  return agent.keep(pack(parsed.set));
}

async function million(
  agent: Agent,
  [first = '', second = '']: readonly string[],
): Promise<AgentMillion> {
  const text = readFileSync(first);
  const { cpuS: parseCpuS } = await taking(() => parseFeed(text, FEED_LIMITS));
  const [list, other] = [readList(agent, first), readList(agent, second)];
  await delay(REST_MS);
  const residentBefore = residentMiB();
  const { cpuS: loadCpuS } = await taking(() => agent.set(list, []));
  await delay(REST_MS);
  const [oneMiB, rssGrowthMiB] = [kernelMiB(), residentMiB() - residentBefore];
  const editsMs: number[] = [];
  for (let i = 1; i <= EDITS; i++) {
    const blocks = Array.from({ length: i }, (_, k) => `10.1.2.${k}/32`);
    editsMs.push(1000 * (await taking(() => agent.set(list, blocks))).wallS);
  }
  const swapMiB = await peakMiB(() => agent.set(other, []));
  await agent.detach();
  const blockOneMs = median(editsMs);
  return { parseCpuS, loadCpuS, kernelMiB: oneMiB, swapMiB, rssGrowthMiB, blockOneMs };
}

async function main([verb, device = '', ifindex, ...files]: readonly string[]): Promise<void> {
  const agent = await Agent.attach(device, Number(ifindex));
  const answer = verb === 'million' ? await million(agent, files) : await load(agent, files);
  agent.close();
  console.log(JSON.stringify(answer));
  process.exit(0);
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
