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
export function aetherIn(lab: Lab, argv: readonly string[]): Promise<Ended> {
  const socket = lab.pathIn('ctl-1', '/run/aether/admin.sock');
  const child = spawn(process.execPath, [join(ROOT, 'dist/cli/main.js'), ...argv], {
    env: { PATH: process.env['PATH'], AETHER_ADMIN_SOCKET: socket },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  return new Promise((resolve) => {
    child.once('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
  });
}
