/** The honest traffic of one cell: the service and its clients (`legit/legit.c`), each a process. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { SERVICE_PORT, TCP_MBIT, UDP_RATE } from './plan';
import { inside, RECEIVER_CPU, type Receiver, type Topology } from './topology';

export const LEGIT = join(__dirname, '../../../.tools/bin/filter-audit-legit');

const MS_PER_S = 1000;
/** To start, to connect, for stragglers. */
const GRACE_MS = 15_000;

/** On the receiver's core, as on a small host; a client stands for another machine and waits for no one. */
function start(ns: string, isClient: boolean, ...argv: (string | number)[]): ChildProcess {
  const realTime = isClient ? ['chrt', '--fifo', '2'] : [];
  const command = [...realTime, 'taskset', '-c', RECEIVER_CPU, ...inside(ns, LEGIT), ...argv];
  const [program = '', ...args] = command.map(String);
  return spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
}

/** Ends it, at the latest after a time: what hangs is a failed measurement, not a hung audit. */
function bounded(child: ChildProcess, ms: number): () => Promise<void> {
  const timer = setTimeout(() => child.kill('SIGKILL'), ms);
  const ended = once(child, 'exit');
  return async () => {
    clearTimeout(timer);
    child.kill('SIGKILL');
    await ended;
  };
}

function linesOf(child: ChildProcess): () => Promise<string> {
  if (!child.stdout) throw new Error('no stdout');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return async () => {
    const line = await lines.next();
    if (line.done) throw new Error('The honest traffic has ended before its time');
    return line.value;
  };
}

export class Service {
  private constructor(
    private readonly child: ChildProcess,
    private readonly line: () => Promise<string>,
    readonly stop: () => Promise<void>,
  ) {}

  static async start({ ns }: Receiver, lifeMs: number): Promise<Service> {
    const child = start(ns, false, 'serve', SERVICE_PORT);
    const end = bounded(child, lifeMs);
    const line = linesOf(child);
    await line();
    return new Service(child, line, end);
  }

  /** Of TCP so far, and when that was. */
  async swallowed(): Promise<{ bytes: number; ns: number }> {
    this.child.stdin?.write('\n');
    const [bytes = NaN, ns = NaN] = (await this.line()).split(' ').map(Number);
    return { bytes, ns };
  }
}

export async function udp(
  { client }: Topology,
  { address }: Receiver,
  seconds: number,
): Promise<{ sent: number; rttUs: number[] }> {
  const child = start(client.ns, true, 'udp', address, SERVICE_PORT, UDP_RATE, seconds);
  const end = bounded(child, seconds * MS_PER_S + GRACE_MS);
  try {
    if (!child.stdout) throw new Error('no stdout');
    const { sent, rttNs } = JSON.parse(await text(child.stdout)) as {
      sent: number;
      rttNs: number[];
    };
    return { sent, rttUs: rttNs.map((ns) => Math.round(ns / 1000)) };
  } finally {
    await end();
  }
}

/** Mbit/s that came to the service; 0 where not even the connection came about. */
export async function tcp(
  { client }: Topology,
  { address }: Receiver,
  service: Service,
  seconds: number,
): Promise<number> {
  // It would send for a little longer than is looked at.
  const child = start(client.ns, true, 'tcp', address, SERVICE_PORT, TCP_MBIT, seconds + 2);
  const end = bounded(child, seconds * MS_PER_S + GRACE_MS);
  try {
    if ((await linesOf(child)()) !== 'connected') return 0;
    const before = await service.swallowed();
    await delay(seconds * MS_PER_S);
    const after = await service.swallowed();
    return ((after.bytes - before.bytes) * 8 * 1000) / (after.ns - before.ns);
  } finally {
    await end();
  }
}
