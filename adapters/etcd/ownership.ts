/**
 * Who owns a key, by one transaction: the key is put on the owner's lease if it does not exist.
 * Its create revision is the fencing token: later owners have higher ones, for ever. Whatever an
 * owner writes says `If createRevision(key) == token`, so that etcd itself refuses a former owner.
 */
import { type EtcdClient } from './client';
import { EtcdError } from './errors';
import type { HeldLease } from './lease';
import { absent, type Change, type Condition, type WriteOutcome } from './port';

export class Ownership {
  readonly #client: EtcdClient;
  readonly #lease: HeldLease;

  constructor(
    client: EtcdClient,
    lease: HeldLease,
    readonly key: string,
    /** Create revision of the key. Carry it to whatever must be able to refuse a former owner. */
    readonly token: number,
  ) {
    this.#client = client;
    this.#lease = lease;
  }

  /** Whether an act outside of etcd is covered, if begun now. */
  holds(): boolean {
    return this.#lease.holds();
  }

  /**
   * As `EtcdClient.write`, if we are still the owner.
   * @throws {EtcdError} also `leaseEnded`, `fenced`: we are not
   */
  async write(
    conditions: readonly Condition[],
    changes: readonly Change[],
    totalMs?: number,
  ): Promise<WriteOutcome> {
    const { key, token } = this;
    if (!this.holds()) throw new EtcdError({ code: 'leaseEnded', key, changed: false });
    const outcome = await this.#client.write([this.#guard, ...conditions], changes, totalMs);
    if (outcome.committed) return outcome;
    const found = outcome.found.find((kv) => kv.key === key) ?? null;
    if (found?.createRevision === token) return outcome;
    throw new EtcdError({ code: 'fenced', key, token, found, changed: false });
  }

  /** Lets the next one in at once. That it is lost already is a success. */
  async release(totalMs?: number): Promise<void> {
    await this.#client.write([this.#guard], [{ op: 'delete', key: this.key }], totalMs);
  }

  /**
   * As `release`, many at once, in few transactions: a hundred single ones keep a busy etcd from its keepalives.
   */
  static async releaseAll(owned: readonly Ownership[], totalMs?: number): Promise<void> {
    const batch = async (some: readonly Ownership[]): Promise<void> => {
      const [first] = some;
      if (!first) return;
      const guards = some.map((each) => each.#guard);
      const changes = some.map(({ key }): Change => ({ op: 'delete', key }));
      const outcome = await first.#client.write(guards, changes, totalMs);
      if (outcome.committed) return;
      const tokens = new Map(outcome.found.map((found) => [found.key, found.createRevision]));
      const ours = some.filter(({ key, token }) => tokens.get(key) === token);
      // What is lost already is no hindrance to the others.
      if (ours.length < some.length) return batch(ours);
      await Promise.all(some.map((each) => each.release(totalMs)));
    };
    await Promise.all(batchesOf(owned).map(batch));
  }

  get #guard(): Condition {
    return { key: this.key, field: 'createRevision', equals: this.token };
  }
}

export interface Claim {
  readonly key: string;
  readonly value: string;
  /** Another key that goes with the claim, whether it exists or not. */
  readonly clears: string;
}

/** Two changes each and the reading of what is in the way: etcd counts both against its 128 a transaction. */
const KEYS_A_WRITE = 40;

const batchesOf = <T>(items: readonly T[]): T[][] =>
  Array.from({ length: Math.ceil(items.length / KEYS_A_WRITE) }, (_, i) =>
    items.slice(i * KEYS_A_WRITE, (i + 1) * KEYS_A_WRITE),
  );

/**
 * Those that are ours, by key: a transaction for each 40, and one more for each round in which somebody else was found to
 * hold some. A key that is on our own lease already is ours: claiming twice is harmless.
 */
export async function claimAll(
  client: EtcdClient,
  lease: HeldLease,
  claims: readonly Claim[],
  conditions: readonly Condition[] = [],
  totalMs?: number,
): Promise<Map<string, Ownership>> {
  const ours = new Map<string, Ownership>();
  const own = (key: string, token: number): void => {
    ours.set(key, new Ownership(client, lease, key, token));
  };
  const batch = async (wanted: readonly Claim[]): Promise<void> => {
    let left = wanted;
    while (left.length > 0) {
      const changes = left.flatMap(({ key, value, clears }): Change[] => [
        { op: 'put', key, value, leaseId: lease.id },
        { op: 'delete', key: clears },
      ]);
      const free = left.map(({ key }) => absent(key));
      const outcome = await client.write([...free, ...conditions], changes, totalMs);
      if (outcome.committed) return left.forEach(({ key }) => own(key, outcome.revision));
      const held = new Map(outcome.found.map((found) => [found.key, found]));
      for (const { key } of left) {
        const found = held.get(key);
        if (found?.leaseId === lease.id) own(key, found.createRevision);
      }
      const unheld = left.filter(({ key }) => !held.has(key));
      // Nobody is in the way, so a condition of the caller's does not hold.
      if (unheld.length === left.length && conditions.length > 0) return;
      left = unheld;
    }
  };
  await Promise.all(batchesOf(claims).map(batch));
  return ours;
}
