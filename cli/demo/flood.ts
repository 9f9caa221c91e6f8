/** UDP packets of one source against one address, sent by the lab's client: what an attack looks like. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createSocket } from 'node:dgram';
import type { Lab } from '../../lab/lab';
import { CLIENT } from '../../lab/topology';

/** Enough to see it stop; far from what the filter bears. */
const BURST = 100;
const EVERY_MS = 20;

export class Flood {
  private readonly child: ChildProcess;

  private constructor(
    private readonly lab: Lab,
    readonly source: string,
    target: string,
  ) {
    const sender = [process.execPath, __filename, source, target];
    const { argv, env } = lab.command(CLIENT, sender);
    const [file = '', ...args] = argv;
    this.child = spawn(file, args, { env, stdio: 'ignore' });
  }

  static async start(lab: Lab, source: string, target: string): Promise<Flood> {
    await lab.must(CLIENT, ['ip', 'address', 'replace', `${source}/32`, 'dev', 'lo']);
    return new Flood(lab, source, target);
  }

  async stop(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.lab.must(CLIENT, ['ip', 'address', 'delete', `${this.source}/32`, 'dev', 'lo']);
  }
}

/** This file as a program, in the client's namespaces. */
function send(source: string, target: string): void {
  const socket = createSocket('udp4');
  socket.on('error', () => undefined); // a full queue is no reason to stop
  socket.bind(0, source, () => {
    setInterval(() => {
      for (let i = 0; i < BURST; i++) socket.send('flood', 9, target);
    }, EVERY_MS);
  });
}

if (require.main === module) send(process.argv[2] ?? '', process.argv[3] ?? '');
