/** One `up`, `down` or demo at a time for each lab. A lock whose holder has ended is taken over. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { identify, isAlive } from './identity';
import type { ProcessIdentity } from './identity';

function holderOf(path: string): ProcessIdentity | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as ProcessIdentity;
  } catch {
    return null;
  }
}

export async function withLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const holder = holderOf(path);
  if (holder !== null && isAlive(holder)) {
    throw new Error(`Process ${holder.pid} is at work on this lab; wait for it, or end it`);
  }
  rmSync(path, { force: true });
  writeFileSync(path, JSON.stringify(identify(process.pid)), { flag: 'wx' });
  try {
    return await work();
  } finally {
    rmSync(path, { force: true });
  }
}
