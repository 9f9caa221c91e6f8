/**
 * A command inside a namespace, with nothing of it left over: its process group is killed when its time is
 * up and when it has ended, and it dies with us (PR_SET_PDEATHSIG) should we be killed.
 */
import { spawn } from 'node:child_process';
import { netnsPath } from '../native/netns';

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** As much of what it says is kept as makes a line. */
const SAID_MAX_BYTES = 200;

/** Runs that did not end when they were killed (a child in the kernel, on a disk that is gone). */
const lingering = new Set<string>();

/** Null where it ended with 0, else why not. Rejects where it could not be run, or was aborted. */
export function runCommand(
  namespace: string,
  argv: readonly string[],
  env: Record<string, string>,
  signal: AbortSignal,
): Promise<string | null> {
  const key = JSON.stringify([namespace, argv]);
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    // One a question, at most: what can't be killed must not become many.
    if (lingering.has(key)) return reject(new Error(`${argv[0]} can't be killed`));
    const child = spawn(
      'nsenter',
      [`--net=${netnsPath(namespace)}`, '--', 'setpriv', '--pdeathsig', 'KILL', '--', ...argv],
      { detached: true, stdio: ['ignore', 'ignore', 'pipe'], env: { PATH, ...env } },
    );
    let said = '';
    child.stderr.on('data', (bytes: Buffer) => {
      if (said.length < SAID_MAX_BYTES) said += bytes.toString().slice(0, SAID_MAX_BYTES);
    });
    const aborted = (): void => {
      lingering.add(key);
      killGroup(child.pid);
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', aborted, { once: true });
    const settle = (end: () => void): void => {
      signal.removeEventListener('abort', aborted);
      lingering.delete(key);
      // Whoever it left behind in its group goes too, and with it our end of the pipe.
      killGroup(child.pid);
      child.stderr.destroy();
      end();
    };
    child.on('error', (error) => settle(() => reject(error)));
    child.on('exit', (code, killedBy) =>
      settle(() => {
        const line = said.trim().split('\n').at(-1) ?? '';
        const ended = killedBy === null ? `ended with ${code}` : `was ended by ${killedBy}`;
        resolve(code === 0 ? null : `${argv[0]} ${ended}${line === '' ? '' : `: ${line}`}`);
      }),
    );
  });
}

/** The child leads its group (`detached`), so the number is nobody else's while one of it lives. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // ESRCH: all of it has ended.
  }
}
