/** Runs one command that is a test, in a process group of its own, and gathers what came of it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FileResult, type Finished, failure } from './results';

const root = join(__dirname, '../../..');
/** Output kept of one file: enough to find the fault, little enough to hold for all of them. */
const OUTPUT_KEPT_BYTES = 256 * 1024;
/** What a finished test's helpers may take to end, before they count as left behind. */
const PROCESS_GRACE_MS = 5_000;
const running = new Set<ChildProcess>();

/** Kills what is running, for the end of the runner itself. The groups are ours alone. */
export function killRunning(): void {
  for (const child of running) killGroup(child);
}

function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // The group is gone: that is what we wanted.
  }
}

interface Ended {
  status: number | null;
  signal: string | null;
  timedOut: boolean;
  output: string;
  durationMs: number;
}

/** Runs a command to its end, at most `timeoutMs`. Never throws: a failed start is an end too. */
export function run(
  command: readonly string[],
  timeoutMs: number,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Ended> {
  const began = Date.now();
  const [program = '', ...args] = command;
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: root,
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    let output = '';
    let timedOut = false;
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-OUTPUT_KEPT_BYTES);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const timer = setTimeout(() => {
      timedOut = true;
      killGroup(child);
    }, timeoutMs);
    const end = (status: number | null, signal: string | null): void => {
      clearTimeout(timer);
      running.delete(child);
      resolve({ status, signal, timedOut, output, durationMs: Date.now() - began });
    };
    child.on('error', (error) => {
      output += String(error);
      end(null, null);
    });
    // 'exit', not 'close': a process left behind may hold the pipe for ever.
    child.on('exit', (status, signal) => setImmediate(end, status, signal));
  });
}

/** A test file's way to run. */
export interface Manner {
  /** In namespaces of its own; needs root. */
  sandboxed: boolean;
  timeoutMs: number;
}

/** Runs a compiled test file under node:test. `file` is the path of its source below the root. */
export async function runTestFile(file: string, manner: Manner): Promise<FileResult> {
  const scratch = mkdtempSync(join(tmpdir(), 'aether-test-'));
  const events = join(scratch, 'events');
  const left = join(scratch, 'left');
  const temporary = mkdtempSync(join(scratch, 't-'));
  const mark = `AETHER_TEST_RUN=${scratch}`;
  const command = [
    ...(manner.sandboxed ? [join(root, 'scripts/test/sandbox'), left] : []),
    process.execPath,
    '--enable-source-maps',
    `--test-reporter=${join(__dirname, 'reporter.js')}`,
    `--test-reporter-destination=${events}`,
    join(root, 'dist', file.replace(/\.ts$/, '.js')),
  ];
  try {
    const env = { ...process.env, AETHER_TEST_RUN: scratch, TMPDIR: temporary, NO_COLOR: '1' };
    const ended = await run(command, manner.timeoutMs, env);
    const tests = read(events)
      .split('\n')
      .flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Finished]));
    tests.push(...endFailures(ended, tests, manner.timeoutMs));
    if (!ended.timedOut) {
      const remains = manner.sandboxed ? read(left).trim() : await endMarked(mark);
      if (remains !== '') tests.push(failure('leaves the machine as found', `left: ${remains}`));
    }
    return { file, tests, durationMs: ended.durationMs, output: ended.output };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** What the end of the process itself says against it. */
function endFailures(ended: Ended, tests: Finished[], timeoutMs: number): Finished[] {
  const last = tests.at(-1)?.name ?? '(none)';
  if (ended.timedOut) {
    return [failure('ends in time', `killed after ${timeoutMs} ms; last finished test: ${last}`)];
  }
  if (ended.signal !== null || (ended.status !== 0 && !tests.some((test) => !test.ok))) {
    const how = ended.signal ?? `status ${ended.status}`;
    return [failure('ends well', `the process ended by ${how}; last finished test: ${last}`)];
  }
  return tests.length === 0 ? [failure('holds tests', 'the file ran, but no test was in it')] : [];
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Processes that still carry our mark in their environment after a time of grace; ends them. */
async function endMarked(mark: string): Promise<string> {
  const deadline = Date.now() + PROCESS_GRACE_MS;
  let pids = findMarked(mark);
  while (pids.length > 0 && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    pids = findMarked(mark);
  }
  return pids
    .map((pid) => {
      const name = read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ');
      process.kill(pid, 'SIGKILL');
      return `process ${pid} ${name}`;
    })
    .join('\n');
}

function findMarked(mark: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => read(`/proc/${pid}/environ`).split('\0').includes(mark))
    .map(Number);
}
