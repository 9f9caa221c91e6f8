/**
 * Who may begin a TLS handshake, and when. A handshake costs milliseconds; a thousand at once all take longer than
 * their clients wait, and are all begun anew. So a few go on at a time, a few more wait, and the rest is told at once, for
 * the price of a TCP connection, to come later.
 *
 * Who says nothing takes nobody's turn, and addresses have their turns one after another: what one of them holds open, or
 * begins and leaves, keeps no other one off. Reasons: decision 0155.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { formatPrefix, network, parseAddress } from '../../core/model/prefix';

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
  /** Of these, those of one address (IPv6: of one /64). */
  atOnceOfOne: number;
  /** Connections that wait for theirs; who waits longer than its client does fails then, and comes more slowly. */
  waiting: number;
  /** A handshake that takes longer holds up nobody. */
  handshakeMs: number;
  /** Who has a connection for so long and makes no call is nobody's client. */
  silentMs: number;
  /** Who says nothing at all for so long means no handshake. */
  mutedMs: number;
  /** Connections of one certificate: the oldest makes place for another one. */
  ofOneClient: number;
}

export const DOOR_LIMITS: DoorLimits = {
  atOnce: 32,
  atOnceOfOne: 16,
  waiting: 2_048,
  handshakeMs: 3_000,
  silentMs: 20_000,
  mutedMs: 5_000,
  // One, another while it moves, and what was cut on the way and is not known to be gone.
  ofOneClient: 6,
};

/** A ClientHello is a tenth of it. */
const FIRST_WORDS_BYTES = 16_384;

export interface Door {
  readonly port: number;
  /** The connection from `peer` (`host:port`) has shaken hands: it made a call. `client`: by which certificate. */
  entered(peer: string, client: () => string): void;
  /** Lets nobody in any more: who has made no call yet is put out. */
  close(): void;
  /** Puts out whoever is in still, those among them who don't answer any more. */
  clear(): void;
}

export async function openDoor(options: DoorOptions): Promise<Door> {
  const doorman = new Doorman(options);
  // What they say meanwhile stays in the kernel, but for the first words.
  const settings = { noDelay: true, pauseOnConnect: true, highWaterMark: 1 };
  const server = createServer(settings, (socket) => doorman.came(socket));
  const port = await listening(server, options.listen);
  return {
    port,
    entered: (peer, client) => doorman.entered(peer, client),
    close: () => {
      server.close();
      doorman.close();
    },
    clear: () => doorman.clear(),
  };
}

/** One connection until its first call. */
interface Guest {
  readonly socket: Socket;
  readonly peer: string;
  readonly of: Address;
  /** When it is put out, or its slot is another one's. */
  timer: NodeJS.Timeout | null;
  slot: NodeJS.Timeout | null;
}

interface Address {
  readonly name: string;
  /** Have said nothing yet. */
  readonly muted: Set<Guest>;
  readonly waiting: Set<Guest>;
  busy: number;
}

class Doorman {
  readonly #limits: DoorLimits;
  /** Everybody who is in or before the door. */
  readonly #all = new Set<Socket>();
  /** By the address at the other end: handshakes, until the first call. */
  readonly #entering = new Map<string, Guest>();
  /** In the order of their turns. */
  readonly #addresses = new Map<string, Address>();
  readonly #clients = new Map<string, Set<Socket>>();
  #outside = 0;
  #busy = 0;
  #closed = false;

  constructor(private readonly options: DoorOptions) {
    this.#limits = { ...DOOR_LIMITS, ...options.limits };
  }

  came(socket: Socket): void {
    // The TLS server listens for errors only from its turn on.
    socket.on('error', () => undefined);
    const of = this.#addressOf(socket);
    if (this.#outside >= this.#limits.waiting && !this.#makePlace(of)) {
      this.#turnAway(socket);
      this.#forget(of);
      return;
    }
    const peer = `${socket.remoteAddress ?? ''}:${socket.remotePort ?? 0}`;
    const mute = (): void => {
      if (of.muted.has(guest)) socket.destroy();
    };
    // After a pause of this process timers come first: what was said meanwhile is to be read before.
    const timer = setTimeout(() => setImmediate(mute), this.#limits.mutedMs);
    const guest: Guest = { socket, peer, of, timer, slot: null };
    this.#all.add(socket);
    of.muted.add(guest);
    this.#outside += 1;
    socket.once('close', () => this.#gone(guest));
    const spoke = (): void => {
      socket.off('readable', spoke);
      this.#spoke(guest);
    };
    socket.on('readable', spoke);
  }

  entered(peer: string, client: () => string): void {
    const guest = this.#entering.get(peer);
    if (guest === undefined) return;
    this.#entering.delete(peer);
    this.#release(guest);
    if (guest.timer !== null) clearTimeout(guest.timer);
    this.#known(client(), guest.socket);
  }

  close(): void {
    this.#closed = true;
    const before = [...this.#addresses.values()].flatMap(({ muted, waiting }) => [
      ...muted,
      ...waiting,
    ]);
    for (const { socket } of [...before, ...this.#entering.values()]) socket.destroy();
  }

  clear(): void {
    for (const socket of this.#all) socket.destroy();
  }

  /** What it said is with the socket, and goes to the TLS server with it. */
  #spoke(guest: Guest): void {
    const { socket, of } = guest;
    if (!of.muted.delete(guest)) return;
    if (guest.timer !== null) clearTimeout(guest.timer);
    guest.timer = null;
    of.waiting.add(guest);
    // An end is readable as well.
    if (socket.readableLength === 0 || socket.readableLength > FIRST_WORDS_BYTES) socket.destroy();
    else this.#next();
  }

  #next(): void {
    const { atOnce, atOnceOfOne } = this.#limits;
    while (this.#busy < atOnce && !this.#closed) {
      const of = [...this.#addresses.values()].find(
        ({ waiting, busy }) => waiting.size > 0 && busy < atOnceOfOne,
      );
      const [guest] = of?.waiting ?? [];
      if (of === undefined || guest === undefined) return;
      this.#addresses.delete(of.name);
      this.#addresses.set(of.name, of);
      of.waiting.delete(guest);
      this.#outside -= 1;
      this.#enter(guest);
    }
  }

  #enter(guest: Guest): void {
    const { handshakeMs, silentMs } = this.#limits;
    guest.slot = setTimeout(() => this.#release(guest), handshakeMs);
    guest.timer = setTimeout(() => guest.socket.destroy(), silentMs);
    this.#busy += 1;
    guest.of.busy += 1;
    this.#entering.set(guest.peer, guest);
    this.options.enter(guest.socket);
  }

  #release(guest: Guest): void {
    if (guest.slot === null) return;
    clearTimeout(guest.slot);
    guest.slot = null;
    this.#busy -= 1;
    guest.of.busy -= 1;
    this.#forget(guest.of);
    this.#next();
  }

  #gone(guest: Guest): void {
    const { socket, of, peer } = guest;
    this.#all.delete(socket);
    if (of.muted.delete(guest) || of.waiting.delete(guest)) this.#outside -= 1;
    if (guest.timer !== null) clearTimeout(guest.timer);
    if (this.#entering.get(peer) === guest) this.#entering.delete(peer);
    this.#release(guest);
    this.#forget(of);
  }

  /** In the place of the newest of whoever has the most before the door; false: nobody has more than that one. */
  #makePlace(of: Address): boolean {
    const all = [...this.#addresses.values()];
    const most = all.reduce((a, b) => (outsideOf(b) > outsideOf(a) ? b : a), of);
    if (outsideOf(most) <= outsideOf(of) + 1) return false;
    const last = [...most.muted].at(-1) ?? [...most.waiting].at(-1);
    if (last === undefined) return false;
    if (most.muted.delete(last) || most.waiting.delete(last)) this.#outside -= 1;
    this.#turnAway(last.socket);
    return true;
  }

  #turnAway(socket: Socket): void {
    socket.resetAndDestroy();
    this.options.turnedAway();
  }

  #known(client: string, socket: Socket): void {
    const sockets = this.#clients.get(client) ?? new Set();
    this.#clients.set(client, sockets.add(socket));
    socket.once('close', () => {
      sockets.delete(socket);
      if (sockets.size === 0) this.#clients.delete(client);
    });
    const [oldest] = sockets;
    if (sockets.size > this.#limits.ofOneClient) oldest?.destroy();
  }

  #addressOf({ remoteAddress }: Socket): Address {
    const name = shareOf(remoteAddress ?? '');
    const found = this.#addresses.get(name);
    if (found !== undefined) return found;
    const made: Address = { name, muted: new Set(), waiting: new Set(), busy: 0 };
    this.#addresses.set(name, made);
    return made;
  }

  #forget(of: Address): void {
    if (outsideOf(of) + of.busy > 0) return;
    if (this.#addresses.get(of.name) === of) this.#addresses.delete(of.name);
  }
}

const outsideOf = ({ muted, waiting }: Address): number => muted.size + waiting.size;

/** A host has a whole /64 of IPv6; the zone of a link-local one is of this host. */
function shareOf(remote: string): string {
  const text = remote.includes('.') ? remote.replace(/^::ffff:/i, '') : remote.replace(/%.*$/, '');
  const address = parseAddress(text);
  return address?.family === 6 ? formatPrefix(network({ ...address, length: 64 })) : text;
}

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
