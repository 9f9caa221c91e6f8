/**
 * The way of this host's Temporal Worker to its controller: bytes from a port of the loopback to whichever
 * controller the edge stream leads to. TLS goes through it from end to end, so the port is of no use to
 * whoever lacks the edge's key.
 *
 * A connection that comes while no controller is there waits here: the Worker, which would try again
 * only after a growing pause, is served the moment there is one.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

const DIAL_AGAIN_MS = 250;
const DIAL_TIMEOUT_MS = 3_000;
const MOVE_AFTER_MS = 1_000;
/** A Worker has one connection, and two while it changes them. */
const CONNECTIONS_MAX = 16;

/** Where the edge's streams lead. */
export interface Leading {
  /** `host:port`; null: nowhere now. */
  readonly gateway: string | null;
  onChange(listener: () => void): void;
}

interface Passage {
  socket: Socket;
  /** Null while it waits. */
  onward: Socket | null;
  target: string | null;
  again: NodeJS.Timeout | null;
}

export class Tunnel {
  private readonly passages = new Set<Passage>();
  private readonly server: Server;
  private waits = true;

  private constructor(private readonly leading: Leading) {
    this.server = createServer((socket) => this.enter(socket));
    leading.onChange(() => this.changed());
  }

  static async open(leading: Leading): Promise<Tunnel> {
    const tunnel = new Tunnel(leading);
    tunnel.server.listen(0, '127.0.0.1');
    await once(tunnel.server, 'listening');
    return tunnel;
  }

  /** `127.0.0.1:port`. */
  get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Before a stop: from now on, where no controller is there, a connection fails at once. */
  waitNoMore(): void {
    this.waits = false;
    for (const passage of [...this.passages]) if (passage.target === null) this.end(passage);
  }

  close(): void {
    this.server.close();
    for (const passage of [...this.passages]) this.end(passage);
  }

  /**
   * What leads to a controller that is not ours any more is cut a little later: it may be silent, which
   * nobody else would notice for most of a minute; or about to say something.
   */
  private changed(): void {
    for (const passage of [...this.passages]) this.dial(passage);
    setTimeout(() => {
      const target = this.leading.gateway;
      if (target === null) return;
      for (const passage of [...this.passages]) {
        if (passage.target !== null && passage.target !== target) this.end(passage);
      }
    }, MOVE_AFTER_MS).unref();
  }

  private enter(socket: Socket): void {
    if (this.passages.size >= CONNECTIONS_MAX) {
      socket.destroy();
      return;
    }
    const passage: Passage = { socket, onward: null, target: null, again: null };
    this.passages.add(passage);
    socket.setNoDelay(true);
    socket.on('error', () => undefined).on('close', () => this.end(passage));
    socket.pause();
    this.dial(passage);
  }

  private dial(passage: Passage): void {
    if (!this.passages.has(passage) || passage.target !== null) return;
    if (passage.again !== null) clearTimeout(passage.again);
    passage.again = null;
    const target = this.leading.gateway;
    if (target === null) {
      if (!this.waits) this.end(passage);
      return;
    }
    passage.target = target;
    const onward = connect(endpoint(target));
    passage.onward = onward;
    const late = setTimeout(() => onward.destroy(), DIAL_TIMEOUT_MS);
    let through = false;
    onward
      .setNoDelay(true)
      .on('connect', () => {
        through = true;
        clearTimeout(late);
        passage.socket.pipe(onward).pipe(passage.socket);
      })
      .on('error', () => undefined)
      .on('close', () => {
        clearTimeout(late);
        if (through) return this.end(passage);
        // Nothing was taken from the Worker yet: it need not know.
        passage.target = null;
        passage.onward = null;
        if (!this.passages.has(passage)) return;
        if (!this.waits) return this.end(passage);
        passage.again = setTimeout(() => this.dial(passage), DIAL_AGAIN_MS);
      });
  }

  private end(passage: Passage): void {
    if (!this.passages.delete(passage)) return;
    if (passage.again !== null) clearTimeout(passage.again);
    passage.socket.destroy();
    passage.onward?.destroy();
  }
}

/** Of `host:port` and `[::1]:port`. */
function endpoint(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  return { host, port: Number(address.slice(colon + 1)) };
}
