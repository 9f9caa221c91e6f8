/** The command `aether` as a person runs it, for tests. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Lab } from '../lab/lab';
import { ROOT } from '../lab/tools';

export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** With the socket of the lab's controller. */
export const aetherIn = (lab: Lab, argv: readonly string[]): Promise<Ended> =>
  run({ AETHER_ADMIN_SOCKET: lab.pathIn('ctl-1', '/run/aether/admin.sock') }, argv);

/** Where no server is meant but those that are named. */
export const aether = (...argv: string[]): Promise<Ended> => run({}, argv);

function run(environment: NodeJS.ProcessEnv, argv: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, [join(ROOT, 'dist/cli/main.js'), ...argv], {
    env: { PATH: process.env['PATH'], ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  return new Promise((resolve) => {
    child.once('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
  });
}
