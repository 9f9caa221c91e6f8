/**
 * Who may begin a TLS handshake, and when. A handshake costs milliseconds; a thousand at once all take longer than
 * their clients wait, and are all begun anew. So a few go on at a time, in the order in which they came, a few more
 * wait, and the rest is told at once, for the price of a TCP connection, to come later.
 */
import { createServer, type Server, type Socket } from 'node:net';

export interface DoorOptions {
  listen: string;
  /** The TLS server takes it from here. */
  enter: (socket: Socket) => void;
  /** One was sent away. */
  turnedAway: () => void;
  limits?: Partial<DoorLimits>;
}

export interface DoorLimits {
  /** Handshakes that go on at a time. */
  atOnce: number;
  /** Connections that wait for theirs; who waits longer than its client does fails then, and comes more slowly. */
  waiting: number;
  /** A handshake that takes longer holds up nobody. */
  handshakeMs: number;
  /** Who has a connection for so long and makes no call is nobody's client. */
  silentMs: number;
}

export const DOOR_LIMITS: DoorLimits = {
  atOnce: 32,
  waiting: 2_048,
  handshakeMs: 3_000,
  silentMs: 20_000,
};

export interface Door {
  readonly port: number;
  /** The connection from `peer` (`host:port`) has shaken hands: it made a call. */
  entered(peer: string): void;
  /** Lets nobody in any more. */
  close(): void;
  /** Puts out whoever is in still, those among them who don't answer any more. */
  clear(): void;
}

export async function openDoor(options: DoorOptions): Promise<Door> {
  const doorman = new Doorman(options);
  // Their bytes stay in the kernel until it is their turn.
  const server = createServer({ noDelay: true, pauseOnConnect: true }, (socket) =>
    doorman.came(socket),
  );
  const port = await listening(server, options.listen);
  return {
    port,
    entered: (peer) => doorman.entered(peer),
    close: () => {
      server.close();
      doorman.close();
    },
    clear: () => doorman.clear(),
  };
}

interface Entering {
  socket: Socket;
  slot: NodeJS.Timeout | null;
  silent: NodeJS.Timeout;
}

class Doorman {
  readonly #all = new Set<Socket>();
  readonly #waiting = new Set<Socket>();
  /** By the address at the other end. */
  readonly #entering = new Map<string, Entering>();
  #busy = 0;

  readonly #limits: DoorLimits;

  constructor(private readonly options: DoorOptions) {
    this.#limits = { ...DOOR_LIMITS, ...options.limits };
  }

  came(socket: Socket): void {
    // The TLS server listens for errors only from its turn on.
    socket.on('error', () => undefined);
    if (this.#busy >= this.#limits.atOnce && this.#waiting.size >= this.#limits.waiting) {
      socket.resetAndDestroy();
      this.options.turnedAway();
      return;
    }
    this.#all.add(socket);
    this.#waiting.add(socket);
    socket.once('close', () => this.#gone(socket));
    this.#next();
  }

  entered(peer: string): void {
    const entering = this.#entering.get(peer);
    if (entering === undefined) return;
    clearTimeout(entering.silent);
    this.#entering.delete(peer);
    this.#release(entering);
  }

  close(): void {
    for (const socket of this.#waiting) socket.destroy();
    for (const { silent, slot } of this.#entering.values()) {
      clearTimeout(silent);
      if (slot !== null) clearTimeout(slot);
    }
    this.#entering.clear();
  }

  clear(): void {
    for (const socket of this.#all) socket.destroy();
  }

  #next(): void {
    for (const socket of this.#waiting) {
      if (this.#busy >= this.#limits.atOnce) return;
      this.#waiting.delete(socket);
      this.#enter(socket);
    }
  }

  #enter(socket: Socket): void {
    const peer = peerOf(socket);
    const entering: Entering = {
      socket,
      slot: setTimeout(() => this.#release(entering), this.#limits.handshakeMs),
      silent: setTimeout(() => socket.destroy(), this.#limits.silentMs),
    };
    this.#busy += 1;
    this.#entering.set(peer, entering);
    this.options.enter(socket);
  }

  #release(entering: Entering): void {
    if (entering.slot === null) return;
    clearTimeout(entering.slot);
    entering.slot = null;
    this.#busy -= 1;
    this.#next();
  }

  #gone(socket: Socket): void {
    this.#all.delete(socket);
    this.#waiting.delete(socket);
    for (const [peer, entering] of this.#entering) {
      if (entering.socket !== socket) continue;
      clearTimeout(entering.silent);
      this.#entering.delete(peer);
      this.#release(entering);
    }
  }
}

const peerOf = ({ remoteAddress, remotePort }: Socket): string =>
  `${remoteAddress ?? ''}:${remotePort ?? 0}`;

function listening(server: Server, listen: string): Promise<number> {
  const { hostname, port } = new URL(`tcp://${listen}`);
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port: Number(port) }, () => {
      server.off('error', reject);
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}
