/** The command `aether` as a person types it, against the controller of a test. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Cluster } from './cluster';

const CLI = join(__dirname, '../../../cli/main.js');

export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

export const aether = (cluster: Pick<Cluster, 'socket'>, ...argv: string[]): Promise<Ended> =>
  runCli({ AETHER_ADMIN_SOCKET: cluster.socket }, ...argv);

export function runCli(environment: NodeJS.ProcessEnv, ...argv: string[]): Promise<Ended> {
  const child = spawn(process.execPath, [CLI, ...argv], {
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
