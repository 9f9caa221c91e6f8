/**
 * What an agent does to one interface of its namespace: attaches the program and brings a packed list
 * to it. Prints what that took (`Loaded`) and goes; program and maps stay by their pins.
 *
 * usage: agent-process.js DEVICE IFINDEX BLOB
 */
import { readFileSync } from 'node:fs';
import { FilterEngine } from '../../adapters/native/filter/engine';
import { SAMPLE_EVERY, type FilterContents } from '../../core/filter/contents';
import { sha256Of } from '../../core/model/hash';
import { DEFAULT_FILTER } from '../../core/model/node';
import type { Loaded } from './filters/filter';
import { heldMapsBytes } from './memory';

/** The list enforced; all else is as a spec has it that says nothing. */
function contentsWith(device: string, sha256: string): FilterContents {
  const { failsafe, rules, rateLimit, malformed, latency } = DEFAULT_FILTER;
  return {
    interface: device,
    failsafe,
    allow: { mode: 'enforce', prefixes: [] },
    lists: [{ name: 'listed', mode: 'enforce', sha256, count: 0 }],
    blocks: [],
    rules,
    rateLimit,
    malformed,
    sampleEvery: SAMPLE_EVERY,
    track: latency,
    reflect: [],
    services: [],
  };
}

async function main([device = '', ifindex, blobPath = '']: readonly string[]): Promise<void> {
  const blob = readFileSync(blobPath);
  const engine = await FilterEngine.open({ read: async () => blob });
  await engine.attach(device, Number(ifindex), 'native');
  const began = performance.now();
  const cpu = process.cpuUsage();
  const outcomes = await engine.setFilters([contentsWith(device, sha256Of(blob))]);
  const { user, system } = process.cpuUsage(cpu);
  const error = outcomes.find((outcome) => outcome.error !== null)?.error;
  if (error !== undefined) throw new Error(`Not loaded: ${String(error)}`);
  const loaded: Loaded = {
    wallS: (performance.now() - began) / 1000,
    cpuS: (user + system) / 1e6,
    claimedBytes: heldMapsBytes(),
  };
  engine.close();
  console.log(JSON.stringify(loaded));
  process.exit(0);
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
