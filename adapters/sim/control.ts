/**
 * What a process full of simulated edges is told, and tells: one line of JSON each way, over a unix
 * socket that only root can open. It is the lab's; no product part speaks it.
 */
import { once } from 'node:events';
import { mkdir, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';

export type SimCommand =
  | { do: 'status' }
  /** Deletes the first link of as many edges as named, all in one turn of the loop. */
  | { do: 'drift'; edges: number };

export interface SimStatus {
  edges: number;
  connected: number;
  /** Edges whose activities are polled for. */
  polling: number;
  /** Edges by the controller that they are connected to. */
  controllers: Record<string, number>;
  /** Active, and verified to be as the accepted spec says. */
  settled: number;
  /** Edges by the phase of the spec that they accepted; '' = none yet. */
  phases: Record<string, number>;
  incidents: number;
  /** Edges whose accepted spec says that everything is frozen: one change for all has arrived there. */
  frozen: number;
  /** Of the last drift: who mended it, and from event to verified, ms. Empty before the first. */
  drift: SimDrift;
}

export interface SimDrift {
  edges: number;
  atMs: number | null;
  repaired: { workflow: number; agent: number };
  repairedInMs: number[];
  /** Edges that don't differ from their spec any more. */
  over: number;
  /** Records of the agents that no controller has acknowledged. */
  unsent: number;
}

export interface SimPort {
  status(): SimStatus;
  /** How many could be broken. */
  drift(edges: number): number;
}

/** As `status`; `edges` of a drift is how many could be broken. */
export type SimAnswer = SimStatus & { error?: string };

export async function serveSim(path: string, port: SimPort): Promise<{ close(): Promise<void> }> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  await rm(path, { force: true });
  const server: Server = createServer((socket) => {
    // Who asked may be gone before it was answered.
    answer(socket, port).catch(() => undefined);
  });
  const umask = process.umask(0o177);
  try {
    server.listen(path);
    await once(server, 'listening');
  } finally {
    process.umask(umask);
  }
  return {
    close: async () => {
      server.close();
      await rm(path, { force: true });
    },
  };
}

/** Rejects where nobody serves `path`, or what was asked can't be done. */
export async function askSim(path: string, command: SimCommand): Promise<SimStatus> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    socket.end(`${JSON.stringify(command)}\n`);
    for await (const line of createInterface({ input: socket })) {
      const { error, ...status } = JSON.parse(line) as SimAnswer;
      if (error !== undefined) throw new Error(error);
      return status;
    }
    throw new Error(`${path} gave no answer`);
  } finally {
    socket.destroy();
  }
}

async function answer(socket: Socket, port: SimPort): Promise<void> {
  socket.on('error', () => undefined);
  for await (const line of createInterface({ input: socket })) {
    socket.end(`${JSON.stringify(obey(line, port))}\n`);
    return;
  }
}

function obey(line: string, port: SimPort): SimStatus | { error: string } {
  try {
    const command = JSON.parse(line) as SimCommand;
    if (command.do === 'drift') port.drift(command.edges);
    return port.status();
  } catch (error) {
    return { error: (error as Error).message };
  }
}
