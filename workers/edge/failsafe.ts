/**
 * Whom no filter of this edge may ever cut off, whatever is blocked: its controllers (those it is configured with and
 * those that these name), its resolvers
 * (without them the others are not found), and AETHER_FAILSAFE. The host's own addresses
 * are not among them: a packet that comes in with one of these as its source is forged.
 */
import { getServers } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { formatPrefix, isUnicast, parseAddress } from '../../core/model/prefix';
import type { Problems } from './problems';

/** Names are resolved again after this. */
const RESOLVE_EVERY_MS = 60_000;
const RETRY_MS = 5_000;
/** No cluster has more controllers. */
const LEARNED_MAX = 64;

export interface FailsafeParts {
  /** `host:port` each. */
  peers: readonly string[];
  /** Canonical prefixes of AETHER_FAILSAFE. */
  prefixes: readonly string[];
  /** As last resolved, by name: what counts until a name is resolved again. */
  addresses: Readonly<Record<string, string[]>>;
  problems: Problems;
  /** The addresses of some name are other ones now. */
  changed(): void;
}

export class Failsafe {
  private names: string[] = [];
  private literal: string[] = [];
  private learned = '[]';
  private resolved: Record<string, string[]>;
  private timer: NodeJS.Timeout | null = null;
  private closed = false;
  private rounds = 0;

  constructor(private readonly parts: FailsafeParts) {
    this.sort(parts.peers);
    const known = this.names.flatMap((name) => {
      const addresses = parts.addresses[name];
      return addresses === undefined ? [] : [[name, addresses] as const];
    });
    this.resolved = Object.fromEntries(known);
  }

  get addresses(): Record<string, string[]> {
    return this.resolved;
  }

  /** Canonical prefixes; sorted where they are used. */
  prefixes(): string[] {
    const resolvers = getServers().map((server) => hostOf(server));
    const addresses = [...this.literal, ...resolvers, ...Object.values(this.resolved).flat()];
    return [...this.parts.prefixes, ...addresses.flatMap(hostPrefix)];
  }

  /** Controllers that are alive besides those of the configuration, `host:port` each. */
  learn(peers: readonly string[]): void {
    const learned = JSON.stringify([...peers].sort());
    if (learned === this.learned) return;
    this.learned = learned;
    const former = this.names;
    this.sort([...this.parts.peers, ...peers.slice(0, LEARNED_MAX)]);
    const stays = new Set(this.names);
    for (const name of former) if (!stays.has(name)) this.parts.problems.clear(problemOf(name));
    const kept = Object.entries(this.resolved).filter(([name]) => stays.has(name));
    this.resolved = Object.fromEntries(kept);
    this.parts.changed();
    if (this.timer !== null) clearTimeout(this.timer);
    this.start();
  }

  private sort(peers: readonly string[]): void {
    const hosts = [...new Set(peers.map(hostOf))];
    this.names = hosts.filter((host) => parseAddress(host) === null);
    this.literal = hosts.filter((host) => parseAddress(host) !== null);
  }

  /** Resolves what has to be, from now on. */
  start(): void {
    this.rounds += 1;
    if (this.names.length > 0) void this.resolve(this.rounds);
  }

  close(): void {
    this.closed = true;
    if (this.timer !== null) clearTimeout(this.timer);
  }

  /** `round`: one that began later takes the place of this one. */
  private async resolve(round: number): Promise<void> {
    const { problems, changed } = this.parts;
    const before = JSON.stringify(this.resolved);
    let failed = false;
    for (const name of this.names) {
      const found = await lookup(name, { all: true }).catch((error: Error) => error);
      if (this.closed || round !== this.rounds) return;
      if (found instanceof Error) {
        failed = true;
        const kept =
          this.resolved[name] === undefined ? 'it is not failsafe' : 'its last one counts';
        const text = `the address of ${name} is not known (${found.message}): ${kept}`;
        problems.set(problemOf(name), text);
      } else {
        const addresses = [...new Set(found.map(({ address }) => address))].sort();
        this.resolved = { ...this.resolved, [name]: addresses };
        problems.clear(problemOf(name));
      }
    }
    if (JSON.stringify(this.resolved) !== before) changed();
    this.timer = setTimeout(
      () => void this.resolve(round),
      failed ? RETRY_MS : RESOLVE_EVERY_MS,
    ).unref();
  }
}

const problemOf = (name: string): string => `failsafe ${name}`;

/** Of `10.0.0.1:7700`, `[::1]:7700`, `https://ctl.example:7700`, and of all these without a port. */
function hostOf(text: string): string {
  const address = text.replace(/^[a-z]+:\/\//, '');
  const bracketed = /^\[([^\]]+)\]/.exec(address)?.[1];
  if (bracketed !== undefined) return bracketed;
  const parts = address.split(':');
  return parts.length === 2 ? (parts[0] ?? '') : address;
}

/** What can't come in from outside (loopback, link-local with its zone) needs no place. */
function hostPrefix(text: string): string[] {
  const address = parseAddress(text);
  if (address === null || !isUnicast(address)) return [];
  return [formatPrefix({ ...address, length: address.family === 4 ? 32 : 128 })];
}
