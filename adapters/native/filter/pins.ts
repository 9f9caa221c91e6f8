/**
 * Where our maps and links live. Each interface has a directory below the bpf file system that holds
 * the pins of its bpf_link and of its maps; that directory is our mark. A program that can't work on
 * the maps there brings its own in `next`, which then take their places.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { MARK } from '../../../core/model/ids';
import { codeOf } from '../errors';
import { native, type BpfLink, type BpfMap } from '../native';

export const BPF_FS = '/sys/fs/bpf';
export const XDP_OBJECT = join(__dirname, '../../../../bpf/build/xdp_root.bpf.o');
export const XDP_PROGRAM = 'aether_root';
export const LINK_PIN = 'link';
const NEXT = 'next';
const ROOT = join(BPF_FS, MARK.pinDirectory);

/** By name, as the program's includes (bpf/include/maps.h, stage_stamp.h) pin them. */
export const MAPS = [
  'counters',
  'config',
  'sets4',
  'sets6',
  'rules',
  'rate',
  'services4',
  'services6',
  'reflect',
  'samples',
  'latency_run',
] as const;
export type MapName = (typeof MAPS)[number];

/** The bpf file system reserves dots, interface names have them. */
export const escapeName = (name: string): string =>
  name.replace(/[%.]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);

/** Of a directory; null: none that `escapeName` has made. */
function nameOf(escaped: string): string | null {
  const name = escaped.replace(/%([0-9a-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(parseInt(hex, 16)),
  );
  return escapeName(name) === escaped ? name : null;
}

export const pinPath = (interfaceName: string, ...rest: string[]): string =>
  join(ROOT, escapeName(interfaceName), ...rest);
export const nextPath = (interfaceName: string, ...rest: string[]): string =>
  pinPath(interfaceName, NEXT, ...rest);

export const absentAsNull = <T>(work: () => T): T | null => {
  try {
    return work();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
};

/** Where something of another kind is pinned, or a file lies where a directory should. */
const STRANGE = ['ENOENT', 'ENOTDIR', 'EINVAL'];

const strangeAsNull = <T>(open: () => T): T | null => {
  try {
    return open();
  } catch (error) {
    if (STRANGE.includes(codeOf(error))) return null;
    throw error;
  }
};

/** Interfaces for which there is a directory of ours; what else somebody put there is none. */
export const pinnedInterfaces = (): string[] =>
  (absentAsNull(() => readdirSync(ROOT, { withFileTypes: true })) ?? [])
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => nameOf(name))
    .filter((name) => name !== null);

export interface PinInfo {
  /** 0: its device is gone. */
  ifindex: number;
  programId: number;
  tag: string;
}

/** The tag of a loaded program; empty where it was unloaded meanwhile. */
export const programTag = (id: number): string => programInfo(id)?.tag ?? '';

/** Null where it was unloaded meanwhile. */
export function programInfo(id: number): { tag: string; mapIds: number[] } | null {
  const program = absentAsNull(() => native.BpfProgram.openById(id));
  if (!program) return null;
  const { tag, mapIds } = program.info;
  program.close();
  return { tag, mapIds };
}

/** Null where no link is pinned. */
export const openLink = (interfaceName: string): BpfLink | null =>
  strangeAsNull(() => native.BpfLink.open(pinPath(interfaceName, LINK_PIN)));

export function pinInfo(interfaceName: string): PinInfo | null {
  const link = openLink(interfaceName);
  if (!link) return null;
  const { ifindex, programId } = link.info;
  link.close();
  return { ifindex, programId, tag: programTag(programId) };
}

/** Null where no map is pinned. */
export const openPinned = (directory: string, map: string): BpfMap | null =>
  strangeAsNull(() => native.BpfMap.open(join(directory, map)));

export const makeDirectory = (path: string): void => void mkdirSync(path, { recursive: true });

/** Takes pins away; those of maps alone where the link shall stay. */
export function unpin(directory: string, keep: readonly string[] = []): void {
  for (const pin of absentAsNull(() => readdirSync(directory)) ?? []) {
    if (!keep.includes(pin)) absentAsNull(() => unlinkSync(join(directory, pin)));
  }
}

const readsEmpty = (directory: string): boolean =>
  absentAsNull(() => readdirSync(directory))?.length === 0;

/** The directory with all that is in it, and ours above it where it was the last one. */
export function removeDirectory(interfaceName: string): void {
  removeNext(interfaceName);
  unpin(pinPath(interfaceName));
  absentAsNull(() => rmdirSync(pinPath(interfaceName)));
  if (readsEmpty(ROOT)) absentAsNull(() => rmdirSync(ROOT));
}

export function removeNext(interfaceName: string): void {
  unpin(nextPath(interfaceName));
  absentAsNull(() => rmdirSync(nextPath(interfaceName)));
}

export const isPinned = (interfaceName: string, map: MapName): boolean =>
  existsSync(pinPath(interfaceName, map));

export const hasNext = (interfaceName: string): boolean => existsSync(nextPath(interfaceName));

/** The maps of `next` take the places of those that were pinned; the link stays. */
export function promoteNext(interfaceName: string): void {
  for (const map of readdirSync(nextPath(interfaceName))) {
    absentAsNull(() => unlinkSync(pinPath(interfaceName, map)));
    renameSync(nextPath(interfaceName, map), pinPath(interfaceName, map));
  }
  const known: readonly string[] = MAPS;
  for (const pin of readdirSync(pinPath(interfaceName))) {
    if (pin !== LINK_PIN && pin !== NEXT && !known.includes(pin)) {
      unlinkSync(pinPath(interfaceName, pin));
    }
  }
  rmdirSync(nextPath(interfaceName));
}
