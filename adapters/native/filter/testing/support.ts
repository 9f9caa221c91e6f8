/** For the tests of filters: interfaces, frames, blobs in memory, and what the program says to a frame. */
import { createHash } from 'node:crypto';
import type { TestContext } from 'node:test';
import { prefixSet, sizeOf } from '../../../../core/filter/algebra';
import { pack } from '../../../../core/filter/blob';
import type { FilterContents, ListRef } from '../../../../core/filter/contents';
import type { PrefixSet } from '../../../../core/filter/types';
import type { BlobPort } from '../../../../core/model/host';
import { addressBytes } from '../../../../core/netlink/ip';
import { native } from '../../native';
import { NetNs } from '../../netns';
import { uniqueName } from '../../test-support';
import { FilterEngine } from '../engine';
import { pinInfo } from '../pins';

const XDP_DROP = 1;
const ETHERNET = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

export class MemoryBlobs implements BlobPort {
  readonly blobs = new Map<string, Uint8Array>();
  reads = 0;

  async read(sha256: string): Promise<Uint8Array> {
    this.reads++;
    const blob = this.blobs.get(sha256);
    if (!blob) throw new Error(`blob ${sha256.slice(0, 12)} is not here`);
    return blob;
  }

  list(name: string, set: PrefixSet | string[], mode: ListRef['mode'] = 'enforce'): ListRef {
    const prefixes = Array.isArray(set) ? prefixSet(set) : set;
    const blob = pack(prefixes);
    const sha256 = createHash('sha256').update(blob).digest('hex');
    this.blobs.set(sha256, blob);
    return { name, mode, sha256, count: sizeOf(prefixes) };
  }
}

export const contentsFor = (
  name: string,
  changes: Partial<FilterContents> = {},
): FilterContents => ({
  interface: name,
  failsafe: [],
  allow: { mode: 'enforce', prefixes: [] },
  lists: [],
  blocks: [],
  rules: { mode: 'enforce', entries: [] },
  rateLimit: null,
  malformed: 'drop',
  sampleEvery: 0,
  track: null,
  reflect: [],
  services: [],
  ...changes,
});

/** An interface of the process's own namespace; its peer beside it. */
export async function testInterface(t: TestContext, engine: FilterEngine) {
  const host = NetNs.host();
  const rtnl = await host.rtnl();
  const name = uniqueName('f');
  await rtnl.links.addVeth({ name, peer: { name: `${name}p` } });
  t.after(async () => {
    await engine.detach(name);
    await rtnl.links.delete({ name });
    host.close();
  });
  for (const end of [name, `${name}p`]) await rtnl.links.set({ name: end }, { up: true });
  const { index } = (await rtnl.links.get({ name }))!;
  return { rtnl, name, index };
}

export async function testEngine(t: TestContext) {
  const blobs = new MemoryBlobs();
  const engine = await FilterEngine.open(blobs);
  t.after(() => engine.close());
  return { engine, blobs };
}

/** UDP from an address to a port. */
export function frameFrom(source: string, port = 9): Buffer {
  const from = addressBytes(source)!;
  const udp = Buffer.from([0, 7, port >> 8, port & 255, 0, 12, 0, 0, 1, 2, 3, 4]);
  if (from.bytes.length === 16) {
    const ip = Buffer.alloc(40);
    ip.set([0x60, 0, 0, 0, 0, udp.length, 17, 64]);
    ip.set(from.bytes, 8);
    ip.set(addressBytes('2001:db8::1')!.bytes, 24);
    return Buffer.concat([Buffer.from([...ETHERNET, 0x86, 0xdd]), ip, udp]);
  }
  const ip = Buffer.from([0x45, 0, 0, 20 + udp.length, 0, 0, 0, 0, 64, 17, 0, 0]);
  const addresses = Buffer.concat([from.bytes, addressBytes('192.0.2.1')!.bytes]);
  return Buffer.concat([Buffer.from([...ETHERNET, 8, 0]), ip, addresses, udp]);
}

/** What the attached program does to a frame, on its own maps. */
export function verdictOn(name: string, frame: Buffer): 'drop' | 'pass' {
  const program = native.BpfProgram.openById(pinInfo(name)!.programId);
  try {
    return program.testRun(frame, 1).verdict === XDP_DROP ? 'drop' : 'pass';
  } finally {
    program.close();
  }
}

export const verdicts = (name: string, ...sources: string[]): string =>
  sources.map((source) => verdictOn(name, frameFrom(source))).join(' ');
