/**
 * Which certificates of edges are of use still. Not those of a node that was removed, while there is none of its name;
 * not those that are older than the newest that its edge has shown (decision 0160). Every controller reads the same
 * in etcd, so what one was shown counts at all of them.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { EtcdClient } from '../../adapters/etcd/client';
import { type Condition, type KeyValue, unchanged, type WatchItem } from '../../adapters/etcd/port';
import type { Barred } from '../../adapters/gateway/server';
import type { Keyed } from '../../core/model/compile';
import type { NodeName } from '../../core/model/ids';
import { keys, lastSegment } from '../../core/model/keys';
import {
  type CertificateValue,
  parseCertificateValue,
  parseRemovedValue,
  valueText,
} from '../../core/model/values';
import type { DesiredState } from './desired';

/** Where a certificate was shown: a stream said hello, or a Worker has called. */
export type Shown = 'stream' | 'call';

const RETRY_MS = 500;

const NEVER: CertificateValue = { issuedAtMs: 0, streamIssuedAtMs: 0 };

export class Standing {
  readonly #removed = new Set<NodeName>();
  readonly #newest = new Map<NodeName, NonNullable<Keyed<CertificateValue>>>();
  readonly #listeners: ((node: NodeName) => void)[] = [];
  /** Newer than what etcd has. */
  readonly #unwritten = new Map<NodeName, CertificateValue>();
  #writing = false;

  constructor(
    private readonly etcd: Pick<EtcdClient, 'write'>,
    private readonly desired: DesiredState,
    private readonly guard: () => Condition,
    private readonly log: Logger,
  ) {}

  /** Called of each node whose certificates may be of no use any more. */
  onChange(listener: (node: NodeName) => void): void {
    this.#listeners.push(listener);
  }

  /** Null: it is of use. */
  bar(node: NodeName, issuedAtMs: number): Barred | null {
    if (this.#removed.has(node) && !this.desired.isDeclared(node)) {
      const why = `node ${node} was removed; to have it back, declare it again (aether apply)`;
      return { kind: 'removed', why };
    }
    if (issuedAtMs >= (this.#newest.get(node)?.value.issuedAtMs ?? 0)) return null;
    return { kind: 'older', why: this.#whyOlder(node, issuedAtMs) };
  }

  /** When the newest certificate was issued that its edge has shown; null: it has shown none since it is declared. */
  newestOf(node: NodeName): number | null {
    return this.#newest.get(node)?.value.issuedAtMs ?? null;
  }

  /** A stream that was opened with an older one than its edge has opened streams with is not its edge's. */
  isOutdated(node: NodeName, issuedAtMs: number): boolean {
    return issuedAtMs < (this.#newest.get(node)?.value.streamIssuedAtMs ?? 0);
  }

  /** Of a node that is not declared nothing is kept: nothing is handed to it either. */
  shown(node: NodeName, issuedAtMs: number, where: Shown): void {
    if (!this.desired.isDeclared(node)) return;
    const known = this.#unwritten.get(node) ?? this.#newest.get(node)?.value ?? NEVER;
    const onStream = where === 'stream' ? issuedAtMs : 0;
    if (issuedAtMs <= known.issuedAtMs && onStream <= known.streamIssuedAtMs) return;
    this.#unwritten.set(node, newer(known, { issuedAtMs, streamIssuedAtMs: onStream }));
    if (!this.#writing) void this.#write();
  }

  /** After `desired` has heard it. */
  heard(item: WatchItem): void {
    switch (item.kind) {
      case 'snapshot':
        this.#removed.clear();
        this.#newest.clear();
        for (const entry of item.entries) this.#put(entry);
        for (const node of new Set([...this.#removed, ...this.#newest.keys()])) this.#tell(node);
        return;
      case 'put':
        if (this.#put(item.entry)) this.#tell(lastSegment(item.entry.key));
        return;
      case 'delete':
        this.#delete(item.key);
        return;
      case 'synced':
    }
  }

  #whyOlder(node: NodeName, issuedAtMs: number): string {
    const from = (ms: number): string => new Date(ms).toISOString().replace('.000', '');
    const times = `good from ${from(this.newestOf(node) ?? 0)}, this one from ${from(issuedAtMs)}`;
    const todo = `carry that one to its host, or issue another one: aether ca issue edge ${node} --again`;
    return `edge ${node} has shown a newer certificate since (${times}); ${todo}`;
  }

  /** False where it is none of ours. What can't be read bars nobody. */
  #put({ key, value, modRevision }: KeyValue): boolean {
    const node = lastSegment(key);
    const text = value.toString('utf8');
    if (key.startsWith(keys.removals)) {
      if (parseRemovedValue(text).ok) this.#removed.add(node);
      return true;
    }
    if (!key.startsWith(keys.certificates)) return false;
    const parsed = parseCertificateValue(text);
    if (parsed.ok) this.#know(node, parsed.value, modRevision);
    return true;
  }

  /** Our own writes and the watch tell of the same key, each in its own time. */
  #know(node: NodeName, value: CertificateValue, revision: number): void {
    if ((this.#newest.get(node)?.revision ?? 0) < revision) {
      this.#newest.set(node, { value, revision });
    }
  }

  #delete(key: string): void {
    const node = lastSegment(key);
    if (key.startsWith(keys.removals)) this.#removed.delete(node);
    if (key.startsWith(keys.certificates)) this.#newest.delete(node);
    // Its removal may have been told before the node was gone.
    if (key.startsWith(keys.nodes)) this.#tell(node);
  }

  #tell(node: NodeName): void {
    for (const listener of this.#listeners) listener(node);
  }

  /** One after another: a thousand edges that come at once are no storm of writes. */
  async #write(): Promise<void> {
    this.#writing = true;
    for (;;) {
      const [next] = this.#unwritten;
      if (next === undefined) break;
      const [node, value] = next;
      const isDone = await this.#writeOne(node, value).catch((error: unknown) => {
        this.log.debug({ err: error, node }, 'the newest certificate is not written yet');
        return false;
      });
      // A newer one may have been shown meanwhile.
      const wanted = this.#unwritten.get(node) ?? value;
      this.#unwritten.delete(node);
      // Behind the others: whatever is the matter may be with this one alone.
      if (!isDone || wanted !== value) this.#unwritten.set(node, wanted);
      if (!isDone) await sleep(RETRY_MS, undefined, { ref: false });
    }
    this.#writing = false;
  }

  /** False: somebody else was shown one at the same time, which the watch has not told yet. */
  async #writeOne(node: NodeName, value: CertificateValue): Promise<boolean> {
    // Removed since.
    if (!this.desired.isDeclared(node)) return true;
    const key = keys.certificate(node);
    const known = this.#newest.get(node) ?? { value: NEVER, revision: 0 };
    const next = newer(known.value, value);
    if (valueText(next) === valueText(known.value)) return true;
    const outcome = await this.etcd.write(
      [this.guard(), unchanged(key, known.revision)],
      [{ op: 'put', key, value: valueText(next) }],
    );
    if (outcome.committed) this.#know(node, next, outcome.revision);
    return outcome.committed;
  }
}

const newer = (a: CertificateValue, b: CertificateValue): CertificateValue => ({
  issuedAtMs: Math.max(a.issuedAtMs, b.issuedAtMs),
  streamIssuedAtMs: Math.max(a.streamIssuedAtMs, b.streamIssuedAtMs),
});
