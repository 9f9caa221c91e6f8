/**
 * One `up`, `down` or demo at a time for each lab. Who wants to be the one says so first, in a file of its own name, and
 * only then looks for others: of two at once at least one sees the other. What the dead have left anybody may remove,
 * since nobody will ever have that name again.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { identify, isAlive } from './identity';
import type { ProcessIdentity } from './identity';

/** Two that see each other both step back, for a while by chance, and one of them comes first. */
const TRIES = 5;
const STEP_BACK_MS = 100;

const fileOf = (what: string, { pid, startTicks }: ProcessIdentity): string =>
  `${what}.${pid}-${startTicks}.lock`;

/** Who is at it, or about to be; the files of those that have ended are removed. */
function holdersOf(what: string): ProcessIdentity[] {
  const directory = dirname(what);
  return readdirSync(directory).flatMap((name) => {
    if (!name.startsWith(basename(what))) return [];
    const ending = name.slice(basename(what).length);
    const [, pid, startTicks] = /^\.(\d+)-(\d+)\.lock$/.exec(ending) ?? [];
    if (pid === undefined || startTicks === undefined) return [];
    const holder = { pid: Number(pid), startTicks };
    if (isAlive(holder)) return [holder];
    rmSync(join(directory, name), { force: true });
    return [];
  });
}

async function take(what: string): Promise<string> {
  const own = identify(process.pid);
  if (own === null) throw new Error('/proc does not know this process');
  const mine = fileOf(what, own);
  for (let tries = 1; ; tries++) {
    let [other] = holdersOf(what);
    if (other === undefined) {
      writeFileSync(mine, '', { mode: 0o600 });
      [other] = holdersOf(what).filter(({ pid }) => pid !== own.pid);
      if (other === undefined) return mine;
      rmSync(mine);
    }
    if (tries === TRIES) {
      throw new Error(`Process ${other.pid} is at work on this lab; wait for it, or end it`);
    }
    await delay(Math.random() * STEP_BACK_MS);
  }
}

/** `what`: a path beside which its files lie. Throws where another process is at it. */
export async function withLock<T>(what: string, work: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(what), { recursive: true, mode: 0o700 });
  const file = await take(what);
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
}
