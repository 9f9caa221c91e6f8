/**
 * Aether, as an edge's agent brings it to an interface: the same engine, in a process in the receiver's
 * namespace, which then goes; program and sets stay by their pins.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pack } from '../../../core/filter/blob';
import { native } from '../../../adapters/native/native';
import { openLink } from '../../../adapters/native/filter/pins';
import { has, run } from '../commands';
import { inside, type Receiver } from '../topology';
import type { Filter, Loaded } from './filter';

const NO_V6 = { words: new Uint32Array(0), lengths: new Uint8Array(0) };
const AGENT = join(__dirname, '../agent-process.js');

/** With `blob` in force: a packed list. */
function load({ ns, device, ifindex }: Receiver, blob: string): Loaded {
  const script = [process.execPath, '--enable-source-maps', AGENT];
  return JSON.parse(run(inside(ns, ...script, device, String(ifindex), blob))) as Loaded;
}

export const AETHER: Filter = {
  name: 'Aether',
  list: 'mixed',
  entries: [1, 1_000, 10_000, 100_000, 1_000_000],
  kinds: ['drop', 'pass'],
  limit: null,
  missing: () => (has('nsenter') ? null : 'nsenter is not installed (util-linux)'),
  version: () => null,
  load: async (receiver, { list, scratch }) => {
    const blob = join(scratch, 'blob');
    writeFileSync(blob, pack({ v4: list.prefixes, v6: NO_V6 }));
    return load(receiver, blob);
  },
};

/** Of the program that is attached; null where it is none of Aether's. */
export function programOf({ device }: Receiver): number | null {
  const link = openLink(device);
  if (link === null) return null;
  const { programId } = link.info;
  link.close();
  native.BpfProgram.openById(programId).close();
  return programId;
}
