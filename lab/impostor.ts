/**
 * A process of a lab a second time, or in another way: elsewhere, with another key, by a name that is taken.
 * Nobody starts it again when it ends.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { SYSTEM_PATH } from './host';
import type { Lab } from './lab';
import { paths } from './state';

export interface Impostor {
  readonly pid: number;
  /** Null while it runs. */
  exitCode(): number | null;
  end(): Promise<void>;
}

/** `as` is its name in the logs; `env` goes over that of `process`. */
export function impersonate(
  lab: Lab,
  process: string,
  { host, as, env }: { host: string; as: string; env: Record<string, string> },
): Impostor {
  const declared = lab.record.processes.find(({ name }) => name === process);
  if (declared === undefined) throw new Error(`The lab has no process ${process}`);
  const log = openSync(paths.log(lab.stateDir, as), 'a');
  const { argv, env: entered } = lab.command(host, declared.argv);
  const [command = '', ...args] = argv;
  const child = spawn(command, args, {
    stdio: ['ignore', log, log],
    env: {
      PATH: SYSTEM_PATH,
      HOME: paths.host(lab.stateDir, host),
      ...declared.env,
      ...env,
      ...entered,
    },
  });
  closeSync(log);
  child.on('error', () => undefined); // then there is no pid, and it has ended
  const ended = (): boolean =>
    child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
  return {
    pid: child.pid ?? 0,
    exitCode: () => child.exitCode,
    end: async () => {
      if (ended()) return;
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      await exit;
    },
  };
}
