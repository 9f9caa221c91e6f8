import { type EtcdClient } from './client';
import { EtcdError } from './errors';
import { randomLeaseId } from './once';

/**
 * Until when a lease is certain to live, as seen by its holder alone. The server counts the TTL anew
 * from the moment a keepalive *arrives*, so counting from the moment it *left* is never too long.
 * Asked at each act and never by a timer, since it must also hold after the process was stopped.
 * Times in ms of one monotonic clock.
 */
export class LeaseGuard {
  #validUntilMs = -Infinity;
  #ended = false;

  /** `marginMs`: for the act itself to arrive, and for clocks that run at different speed. */
  constructor(readonly marginMs: number) {}

  /** A request that left at `sentAtMs` was answered: the server gave it `ttlMs` from then or later. */
  prolong(sentAtMs: number, ttlMs: number): void {
    this.#validUntilMs = Math.max(this.#validUntilMs, sentAtMs + ttlMs - this.marginMs);
  }

  /** The server says that it is gone; no answer that is still on its way changes that. */
  end(): void {
    this.#ended = true;
  }

  holds(nowMs: number): boolean {
    return this.remainingMs(nowMs) > 0;
  }

  remainingMs(nowMs: number): number {
    return this.#ended ? 0 : Math.max(0, this.#validUntilMs - nowMs);
  }
}

/** A lease as those see it whose keys are on it. */
export interface HeldLease {
  readonly id: string;
  /** Whether an act begun now is covered. Ask before each one. */
  holds(): boolean;
  /** How long it is certain to live, if nothing more is heard. */
  remainingMs(): number;
  /** Aborted soon after the lease has ended; a hint to stop early, `holds` decides. */
  readonly ended: AbortSignal;
  /** Gives it back, with all keys on it; it counts as ended at once, whatever etcd answers. */
  revoke(totalMs?: number): Promise<void>;
}

export interface LeaseOptions {
  /** Whole seconds; etcd may make it longer (at least 1.5 × its election timeout). */
  readonly ttlMs: number;
  /** Between two keepalives (six of them a TTL, so that one bad second does not cost it). */
  readonly everyMs?: number;
  /** See `LeaseGuard`. */
  readonly marginMs?: number;
  /** Called after each keepalive that was answered. */
  readonly onKept?: () => void;
  /** Asked before each keepalive: whoever may not go on lets it run out. */
  readonly mayKeep?: () => boolean;
}

/** A lease that is kept alive until it is lost or given back. Once ended it stays ended. */
export class Lease implements HeldLease {
  readonly id = randomLeaseId();
  readonly #client: EtcdClient;
  readonly #guard: LeaseGuard;
  readonly #ended = new AbortController();
  readonly #options: LeaseOptions;
  readonly #everyMs: number;
  #keepTimer: NodeJS.Timeout | undefined;
  #endTimer: NodeJS.Timeout | undefined;

  /** @throws {EtcdError} */
  static async grant(client: EtcdClient, options: LeaseOptions): Promise<Lease> {
    const { ttlMs, marginMs = 300 } = options;
    const lease = new Lease(client, options);
    const sentAtMs = client.now();
    await client.grantLease(lease.id, ttlMs, ttlMs - marginMs);
    lease.#guard.prolong(sentAtMs, ttlMs);
    lease.#keepLater();
    lease.#watchEnd();
    return lease;
  }

  private constructor(client: EtcdClient, options: LeaseOptions) {
    const { ttlMs, marginMs = 300, everyMs } = options;
    this.#client = client;
    this.#options = options;
    this.#guard = new LeaseGuard(marginMs);
    this.#everyMs = everyMs ?? Math.min(ttlMs / 3, Math.max(500, ttlMs / 6));
  }

  holds(): boolean {
    return !this.#ended.signal.aborted && this.#guard.holds(this.#client.now());
  }

  remainingMs(): number {
    return this.#ended.signal.aborted ? 0 : this.#guard.remainingMs(this.#client.now());
  }

  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  async revoke(totalMs = 1000): Promise<void> {
    this.#end('revoked');
    await this.#client.revokeLease(this.id, totalMs);
  }

  #keepLater(): void {
    // Given back while a keepalive was under way: nothing may go on in a process that ends.
    if (this.#ended.signal.aborted) return;
    this.#keepTimer = setTimeout(() => {
      this.#keep().catch((error: unknown) => {
        // Out of reach: the guard is the judge. Anything else will not get better.
        if (error instanceof EtcdError && error.failure.code === 'unavailable') this.#keepLater();
        else this.#end(String(error));
      });
    }, this.#everyMs);
  }

  async #keep(): Promise<void> {
    if (this.#options.mayKeep?.() === false) return this.#keepLater();
    const { sentAtMs, ttlMs } = await this.#client.keepAlive(this.id, this.#everyMs);
    if (this.#ended.signal.aborted) return;
    if (ttlMs === 0) return this.#end('etcd says that it is gone');
    this.#guard.prolong(sentAtMs, ttlMs);
    this.#options.onKept?.();
    this.#keepLater();
  }

  #watchEnd(): void {
    const remainingMs = this.#guard.remainingMs(this.#client.now());
    if (remainingMs === 0) return this.#end('no keepalive was answered in time');
    this.#endTimer = setTimeout(() => this.#watchEnd(), Math.ceil(remainingMs));
  }

  #end(why: string): void {
    clearTimeout(this.#keepTimer);
    clearTimeout(this.#endTimer);
    this.#guard.end();
    if (!this.#ended.signal.aborted) this.#ended.abort(new Error(`lease ${this.id}: ${why}`));
  }
}
