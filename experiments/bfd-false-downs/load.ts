/** What keeps a host busy while its BFD has to be punctual. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from '../../lab/tools';
import { end } from '../common/bfd';
import { makePair, pairAddresses, removePair } from '../common/pair';

export type LoadName = 'none' | 'busy' | 'compiler';

const BUSY_PROCESSES = 20;
const COMPILERS = 4;
const FLOODS = 2;
/** A large translation unit without side effects; the loop ends with its shell. */
const COMPILE = `while :; do c++ -O2 -x c++ -c -o /dev/null - <<'END'
#include <algorithm>
#include <functional>
#include <map>
#include <regex>
#include <string>
#include <vector>
std::map<std::string, std::vector<std::regex>> table;
void add(const std::string &a) { table[a].emplace_back(a, std::regex::optimize); }
END
done`;
const SPIN = 'while :; do :; done';

export interface Load {
  stop(): Promise<void>;
}

const shell = (script: string, before: readonly string[] = []): ChildProcess => {
  const argv: string[] = [...before, 'sh', '-c', script];
  const [command = '', ...args] = argv;
  // A group of its own: the compiler that a shell has under way ends with it.
  return spawn(command, args, { stdio: 'ignore', detached: true });
};

async function stopAll(children: readonly ChildProcess[]): Promise<void> {
  const ended = children.filter(({ exitCode, signalCode }) => exitCode ?? signalCode);
  if (ended.length > 0) throw new Error(`Of the load, ${ended.length} have ended by themselves`);
  await Promise.all(
    children.map(async (child) => {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      await end(child, 'SIGKILL');
    }),
  );
}

/** Packets as fast as they go, over a link of their own: what the kernel does for them comes before any process. */
async function flood(): Promise<Load> {
  const ends = await makePair('flood');
  const probe = join(ROOT, '.tools/bin/failover-probe');
  const enter = ['ip', 'netns', 'exec', ends[0]];
  const command = `exec ${probe} flood ${pairAddresses(0)[1]} 9`;
  const senders = Array.from({ length: FLOODS }, () => shell(command, enter));
  return {
    stop: async () => {
      await stopAll(senders);
      await removePair(ends);
    },
  };
}

export async function startLoad(name: LoadName): Promise<Load> {
  if (name === 'none') return { stop: async () => undefined };
  if (name === 'busy') {
    const spinning = Array.from({ length: BUSY_PROCESSES }, () => shell(SPIN));
    return { stop: () => stopAll(spinning) };
  }
  const flooding = await flood();
  const compiling = Array.from({ length: COMPILERS }, () => shell(COMPILE));
  return {
    stop: async () => {
      await stopAll(compiling);
      await flooding.stop();
    },
  };
}
