/** The flood, as the audit commands it; `generator-process.ts` is what obeys. */
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { Receiver } from './topology';

export interface Flood {
  /** By which the frames leave. */
  ifindex: number;
  /** Ethernet addresses. */
  from: string;
  to: string;
  destination: string;
  port: number;
  /** At most so many. */
  frames: number;
  /** Between two frames; 0 = as fast as it goes. */
  gapNs: number;
  /** A file of IPv4 addresses in network order, drawn from uniformly. */
  sourcesPath: string;
}

export interface Sent {
  frames: number;
  wallNs: number;
  error: string | null;
}

/**
 * No receiver has this address or a route to it: what a filter lets through ends in the routing
 * lookup, counted by the kernel as InAddrErrors, without an answer.
 */
const NOWHERE = { address: '10.98.0.1', port: 9 };
export const FRAMES_MAX = 60_000_000;

export const floodOf = (
  { gate, mac }: Receiver,
  how: Pick<Flood, 'frames' | 'gapNs' | 'sourcesPath'>,
): Flood => ({
  ifindex: gate.ifindex,
  from: gate.mac,
  to: mac,
  destination: NOWHERE.address,
  port: NOWHERE.port,
  ...how,
});

/** Far longer than it takes to send what is sent as fast as it goes. */
const PATIENCE_MS = 60_000;

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const timer = new AbortController();
  const late = delay(ms, null, { signal: timer.signal }).then(() => {
    throw new Error(`The generator has not answered for ${Math.round(ms / 1000)} s`);
  });
  late.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    timer.abort();
  }
}

export class Generator {
  private readonly child: ChildProcess;
  private readonly lines: AsyncIterator<string>;

  constructor() {
    const script = join(__dirname, 'generator-process.js');
    this.child = spawn('nice', ['-n', '-20', process.execPath, script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    if (!this.child.stdout) throw new Error('The generator has no stdout');
    const reader: Interface = createInterface({ input: this.child.stdout });
    this.lines = reader[Symbol.asyncIterator]();
  }

  /** Resolves when all frames have left. */
  async send(flood: Flood): Promise<Sent> {
    if (flood.frames > FRAMES_MAX) throw new RangeError(`${flood.frames} frames are too many`);
    this.child.stdin?.write(`${JSON.stringify(flood)}\n`);
    const line = await within(PATIENCE_MS + (flood.frames * flood.gapNs) / 1e6, this.lines.next());
    if (line.done) throw new Error('The generator has ended: its last words are above');
    const sent = JSON.parse(line.value) as Sent;
    if (sent.error !== null) throw new Error(`The generator can't send: ${sent.error}`);
    return sent;
  }

  /** Lets the flood under way run out at once. */
  stop(): void {
    this.child.stdin?.write('stop\n');
  }

  end(): void {
    this.child.stdin?.end();
  }
}
