/** For the tests of this folder: names of their own, clean-up, and conditions to wait for. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { NetNs, netnsPath } from './netns';

let counter = 0;
/** Short enough for IFNAMSIZ, unique among processes and calls. */
export const uniqueName = (prefix: string): string =>
  `${prefix}${process.pid.toString(36)}${(counter++).toString(36)}`;

export const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });

/** A namespace that the test need not delete. */
export async function testNamespace(t: TestContext, prefix = 'ns'): Promise<NetNs> {
  const name = uniqueName(prefix);
  const ns = await NetNs.create(name);
  t.after(async () => {
    if (existsSync(netnsPath(name))) await ns.delete();
    else ns.close();
  });
  return ns;
}

const DEADLINE_MS = 10_000;

/** Resolves to the first value that is neither false nor null nor undefined. */
export async function waitFor<T>(
  what: string,
  probe: () => T | Promise<T>,
  deadlineMs = DEADLINE_MS,
): Promise<NonNullable<T>> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const value = await probe();
    if (value !== false && value !== null && value !== undefined) return value;
    if (performance.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await delay(5);
  }
}

/** What this process holds open on the kernel: sockets, namespaces, bpf objects. */
export function kernelHandles(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return /^(socket:|net:|anon_inode:bpf|\/run\/netns)|nsfs/.test(target) ? [target] : [];
    } catch {
      return [];
    }
  });
}

/** Namespaces that processes or mounts of this mount namespace hold, by inode. */
export function liveNamespaces(): Set<string> {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').match(/net:\[\d+\]/g) ?? [];
  return new Set(mounts);
}
