/**
 * `controllers/<id>`: how the other controllers find this one, and that it is one. The newest run of an id has it;
 * a former one that still lives has lost it, says so, and waits. It does not take it back: two processes
 * with one id would take it from one another for ever.
 */
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { EtcdClient } from '../../adapters/etcd/client';
import type { HeldLease } from '../../adapters/etcd/lease';
import { type Change, type KeyValue, unchanged } from '../../adapters/etcd/port';
import { keys } from '../../core/model/keys';
import { type ControllerValue, parseControllerValue, valueText } from '../../core/model/values';
import type { ControllerConfig } from '../config/controller';

export const registrationOf = ({
  edges,
  gossip,
  adminAdvertise,
  weight,
}: ControllerConfig): ControllerValue => ({
  boot: randomUUID(),
  weight,
  draining: false,
  edgeAddress: edges.advertise,
  gossipAddress: gossip?.listen ?? null,
  adminAddress: adminAdvertise,
});

/** Another run has our id, and it is the newer one. */
export class Displaced extends Error {
  override readonly name = 'Displaced';
}

export class Registrar {
  readonly #client: EtcdClient;
  readonly #id: string;
  readonly #log: Logger;
  #value: ControllerValue;
  /** Once it was ours, another run that has it is the newer one. */
  #registered = false;
  #told = '';

  constructor(client: EtcdClient, id: string, value: ControllerValue, log: Logger) {
    this.#client = client;
    this.#id = id;
    this.#value = value;
    this.#log = log;
  }

  get value(): ControllerValue {
    return this.#value;
  }

  /** Our key says so now: asked for here, or by another controller. A lease that is lost does not end it. */
  sawDraining(draining: boolean): void {
    this.#value = { ...this.#value, draining };
  }

  /** @throws {Displaced} a newer run has our id */
  async assertFree(): Promise<void> {
    this.#assertOurs(await this.#client.get(keys.controller(this.#id)));
  }

  /**
   * Puts our key on `lease`. A lease found there is that of a former run, which was cut short; revoked, it frees
   * its shards now instead of a TTL later. The key itself is never missing, so that nobody makes a map without us.
   * @throws {Displaced}
   */
  async register(lease: HeldLease): Promise<void> {
    const key = keys.controller(this.#id);
    for (;;) {
      const found = await this.#client.get(key);
      this.#assertOurs(found);
      const former = found?.leaseId ?? null;
      if (found !== null && former === null) {
        throw new Error(`${key} is on no lease, so no controller wrote it: delete it`);
      }
      const put: Change = { op: 'put', key, value: valueText(this.#value), leaseId: lease.id };
      const outcome = await this.#client.write([unchanged(key, found?.modRevision ?? 0)], [put]);
      if (!outcome.committed) continue;
      this.#registered = true;
      this.#told = '';
      if (former !== null && former !== lease.id) {
        this.#log.info({ lease: former }, 'revoking the lease of a former run');
        await this.#client.revokeLease(former);
      }
      return;
    }
  }

  #assertOurs(found: KeyValue | null): void {
    const other = found === null ? null : otherBoot(found, this.#value.boot);
    if (other === null || !this.#registered) return;
    if (this.#told !== other.boot) {
      this.#told = other.boot;
      this.#log.error(
        { boot: this.#value.boot, other: other.boot, at: other.at },
        `another controller was started as ${this.#id}; this one does nothing until that one is gone: give each its own AETHER_CONTROLLER_ID`,
      );
    }
    throw new Displaced(`another run is ${this.#id} now (${other.at})`);
  }
}

function otherBoot({ value }: KeyValue, ours: string): { boot: string; at: string } | null {
  const parsed = parseControllerValue(value.toString('utf8'));
  if (!parsed.ok) return { boot: 'unreadable', at: 'unknown' };
  const { boot, edgeAddress } = parsed.value;
  return boot === ours ? null : { boot, at: edgeAddress };
}
