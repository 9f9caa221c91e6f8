/** The two watches under test, each behind proxies of its own: what they were told, by revision. */
import { setTimeout as delay } from 'node:timers/promises';
import { Etcd3 } from 'etcd3';
import { EtcdClient } from '../../adapters/etcd/client';
import { Proxy } from '../../adapters/etcd/testing';
import { listWatch } from '../../adapters/etcd/watch';

export abstract class Watcher {
  /** Revisions of the events received. */
  readonly seen = new Set<number>();
  /** Called with each event's revision, before anything else happens. */
  onEvent: (revision: number) => void = () => undefined;

  protected constructor(private readonly proxies: readonly Proxy[]) {}

  protected take(revision: number): void {
    this.seen.add(revision);
    this.onEvent(revision);
  }

  /** Cut off without a sign. */
  hole(): void {
    for (const proxy of this.proxies) proxy.swallow(true);
  }

  /** Only at one member a connection can be had. */
  letInAt(member: number): void {
    this.proxies.forEach((proxy, i) => proxy.refuse(i !== member));
    for (const proxy of this.proxies) proxy.swallow(false);
  }

  letInEverywhere(): void {
    for (const proxy of this.proxies) proxy.refuse(false);
  }

  protected abstract end(): Promise<void>;

  async stop(): Promise<void> {
    await this.end();
    await Promise.all(this.proxies.map((proxy) => proxy.close()));
  }
}

export class OurWatcher extends Watcher {
  private readonly stopping = new AbortController();
  private readonly client: EtcdClient;
  private readonly following: Promise<void>;

  private constructor(proxies: readonly Proxy[], prefix: string) {
    super(proxies);
    this.client = new EtcdClient({ endpoints: proxies.map(({ url }) => url), writer: 'watcher' });
    this.following = this.follow(prefix);
  }

  static async start(urls: readonly string[], prefix: string): Promise<OurWatcher> {
    return new OurWatcher(await Proxy.toAll(urls), prefix);
  }

  /** Snapshots do not count: what is only in a later one was not told as it happened. */
  private async follow(prefix: string): Promise<void> {
    for await (const item of listWatch(this.client, { prefix }, this.stopping.signal)) {
      if (item.kind === 'put') this.take(item.entry.modRevision);
    }
  }

  protected async end(): Promise<void> {
    this.stopping.abort();
    await this.following;
    this.client.close();
  }
}

export class PeerWatcher extends Watcher {
  private watch: { cancel(): Promise<void> } | undefined;

  private constructor(
    proxies: readonly Proxy[],
    private readonly client: Etcd3,
  ) {
    super(proxies);
  }

  static async start(urls: readonly string[], prefix: string): Promise<PeerWatcher> {
    const proxies = await Proxy.toAll(urls);
    const watcher = new PeerWatcher(proxies, new Etcd3({ hosts: proxies.map(({ url }) => url) }));
    const watch = await watcher.client.watch().prefix(prefix).create();
    watch.on('put', (kv) => watcher.take(Number(kv.mod_revision)));
    watch.on('error', () => undefined); // else it ends the process
    watcher.watch = watch;
    return watcher;
  }

  protected async end(): Promise<void> {
    // Else it connects for ever. One that lost its stream may never answer.
    await Promise.race([this.watch?.cancel(), delay(1_000, undefined, { ref: false })]);
    this.client.close();
  }
}
