/**
 * Aether, as an edge's agent brings it to an interface: the same engine, in a process in the receiver's
 * namespace, which then goes; program and sets stay by their pins.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pack } from '../../../core/filter/blob';
import { native } from '../../../adapters/native/native';
import { openLink } from '../../../adapters/native/filter/pins';
import type { AgentLoaded, AgentMillion } from '../agent-process';
import { has, run } from '../commands';
import { texts, type List } from '../prefixes';
import { inside, type Receiver } from '../topology';
import type { Filter } from './filter';

export const NO_V6 = { words: new Uint32Array(0), lengths: new Uint8Array(0) };
const AGENT = join(__dirname, '../agent-process.js');

const agent = ({ ns, device, ifindex }: Receiver, verb: string, ...files: string[]): unknown => {
  const script = [process.execPath, '--enable-source-maps', AGENT];
  return JSON.parse(run(inside(ns, ...script, verb, device, String(ifindex), ...files)));
};

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
    return agent(receiver, 'load', blob) as AgentLoaded;
  },
};

/** `lists`: one is read from text and loaded, the other one takes its place. */
export function loadMillion(
  receiver: Receiver,
  lists: readonly [List, List],
  scratch: string,
): AgentMillion {
  const files = lists.map((list, i) => {
    const path = join(scratch, `feed-${i}`);
    writeFileSync(path, `${texts(list).join('\n')}\n`);
    return path;
  });
  return agent(receiver, 'million', ...files) as AgentMillion;
}

/** Of the program that is attached; null where it is none of Aether's. */
export function programOf({ device }: Receiver): number | null {
  const link = openLink(device);
  if (link === null) return null;
  const { programId } = link.info;
  link.close();
  native.BpfProgram.openById(programId).close();
  return programId;
}
