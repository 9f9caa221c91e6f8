/**
 * One JSON value in one file, with its checksum on the first line:
 *
 *   aether-state 1 <sha256 of what follows, hex>
 *   {"schema":1,…}
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync } from 'node:fs';
import { readFile, rename } from 'node:fs/promises';
import { writeAtomically } from './atomic';
import { InTurn } from './in-turn';

const HEADER = /^aether-state 1 ([0-9a-f]{64})$/;

/** The file is there, but is not what was written. It was moved aside, to `keptAs`. */
export interface Corrupt {
  path: string;
  why: string;
  /** Null where moving it failed too (a read-only directory). */
  keptAs: string | null;
}

export type Loaded<T> =
  { kind: 'absent' } | { kind: 'value'; value: T } | { kind: 'corrupt'; corrupt: Corrupt };

const checksum = (text: string): string => createHash('sha256').update(text).digest('hex');

export const encode = (value: unknown): string => {
  const text = JSON.stringify(value);
  return `aether-state 1 ${checksum(text)}\n${text}\n`;
};

/** Inverse of `encode`; on anything else a sentence that says what is wrong. */
export function decode(content: string): { value: unknown } | { why: string } {
  const end = content.indexOf('\n');
  const header = HEADER.exec(end < 0 ? content : content.slice(0, end));
  if (header === null) return { why: 'it does not begin with an aether-state line' };
  if (!content.endsWith('\n') || end === content.length - 1) return { why: 'it is cut short' };
  const text = content.slice(end + 1, -1);
  if (checksum(text) !== header[1]) return { why: 'its checksum is wrong' };
  return { value: JSON.parse(text) };
}

export class CheckedFile<T> {
  private readonly inTurn = new InTurn();

  constructor(readonly path: string) {}

  /** Rejects only where reading itself fails (EIO, EACCES); a bad file is a result. */
  async load(): Promise<Loaded<T>> {
    let content: string;
    try {
      content = await readFile(this.path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { kind: 'absent' };
      throw error;
    }
    const decoded = decode(content);
    if ('value' in decoded) return { kind: 'value', value: decoded.value as T };
    const keptAs = `${this.path}.corrupt`;
    const moved = await rename(this.path, keptAs).then(
      () => keptAs,
      () => null,
    );
    return { kind: 'corrupt', corrupt: { path: this.path, why: decoded.why, keptAs: moved } };
  }

  /** As `load`, but at once: for a tmpfs, since a disk could keep the loop waiting. */
  loadNow(): Loaded<T> {
    const { path } = this;
    if (!existsSync(path)) return { kind: 'absent' };
    const decoded = decode(readFileSync(path, 'utf8'));
    if ('value' in decoded) return { kind: 'value', value: decoded.value as T };
    const corrupt = { path, why: decoded.why, keptAs: `${path}.corrupt` };
    try {
      renameSync(path, corrupt.keptAs);
      return { kind: 'corrupt', corrupt };
    } catch {
      return { kind: 'corrupt', corrupt: { ...corrupt, keptAs: null } };
    }
  }

  /** Writes one after another, in the order of the calls. */
  save(value: T): Promise<void> {
    const content = encode(value);
    return this.inTurn.run(() => writeAtomically(this.path, content));
  }
}
