/**
 * Tells of changes on a host: netlink events of the namespaces, names below /run/netns by inotify,
 * and by a poll what sends no event (bpf_link and its pins, sysctls, a name that was only unmounted).
 */
import { mkdirSync, watch as watchDirectory, type FSWatcher } from 'node:fs';
import type { HostEvent, ObserveScope } from '../../core/model/host';
import { MARK } from '../../core/model/ids';
import type { RtEvent } from '../../core/netlink/event';
import type { Link } from '../../core/netlink/link';
import type { FilterEngine } from './filter/engine';
import { inspectName, NetNs, NETNS_DIR } from './netns';
import { observeFilters } from './observe';
import type { Rtnl } from './rtnl';
import type { WatchEvent, WatchGroup } from './watch';

const GROUPS: readonly WatchGroup[] = [
  'LINK',
  'IPV4_IFADDR',
  'IPV6_IFADDR',
  'IPV4_ROUTE',
  'IPV6_ROUTE',
];
/** What sends no event is told within a second all the same. */
const POLL_MS = 900;
/** A name appears before the namespace is mounted on it, and mounting sends no event. */
const MOUNT_CHECKS_MS = [1, 5, 20, 100] as const;

function describe(event: RtEvent): Pick<HostEvent, 'what' | 'summary'> {
  const verb = event.deleted ? 'deleted' : 'changed';
  switch (event.kind) {
    case 'link':
      return { what: 'link', summary: `link ${event.link.name} ${verb}` };
    case 'addr':
      return {
        what: 'address',
        summary: `address ${event.addr.address} on #${event.addr.ifindex} ${verb}`,
      };
    case 'route':
      return { what: 'route', summary: `route ${event.route.to} ${verb}` };
  }
}

export class HostWatch {
  private readonly root = NetNs.host();
  private rootRtnl!: Rtnl;
  private directory!: FSWatcher;
  private readonly joined = new Map<string, NetNs>();
  private readonly timers = new Set<NodeJS.Timeout>();
  /** What the poll saw last, by subject. */
  private readonly seen = new Map<string, string>();
  private closed = false;
  private polling = false;
  /** While starting, what is found is no change. */
  private started = false;

  private constructor(
    private readonly scope: ObserveScope,
    private readonly filters: FilterEngine,
    private readonly onEvent: (event: HostEvent) => void,
  ) {}

  /** When this resolves, every change from now on is told. */
  static async open(
    scope: ObserveScope,
    filters: FilterEngine,
    onEvent: (event: HostEvent) => void,
  ): Promise<HostWatch> {
    const watch = new HostWatch(scope, filters, onEvent);
    try {
      await watch.start();
    } catch (error) {
      watch.close();
      throw error;
    }
    return watch;
  }

  private async start(): Promise<void> {
    mkdirSync(NETNS_DIR, { recursive: true });
    this.directory = watchDirectory(NETNS_DIR, (_, name) => {
      if (name !== null && this.scope.namespaces.includes(name)) this.follow(name);
    });
    this.directory.on('error', () => undefined); // the directory went: the poll goes on looking
    this.rootRtnl = await this.root.rtnl();
    await this.root.watch(GROUPS, (event, atMs) => this.onNetlink(null, event, atMs));
    await Promise.all(this.scope.namespaces.map((name) => this.rejoin(name)));
    await this.poll();
    this.started = true;
    const timer = setInterval(() => void this.poll(), POLL_MS);
    timer.unref();
    this.timers.add(timer);
  }

  /** Lets go of a namespace that is about to be deleted. */
  leave(name: string): void {
    this.joined.get(name)?.close();
    this.joined.delete(name);
  }

  close(): void {
    this.closed = true;
    this.directory?.close();
    for (const timer of this.timers) clearInterval(timer);
    for (const name of [...this.joined.keys()]) this.leave(name);
    this.root.close();
  }

  private emit(event: Omit<HostEvent, 'kernelAtMs' | 'portId'>): void {
    if (this.started && !this.closed)
      this.onEvent({ kernelAtMs: Date.now(), portId: null, ...event });
  }

  private onNetlink(namespace: string | null, event: WatchEvent, atMs: number): void {
    if (event.kind === 'overrun') {
      const summary = 'netlink events were lost';
      this.onEvent({ kernelAtMs: atMs, namespace, portId: null, what: 'overrun', summary });
      return;
    }
    // Best paths of BGP: no look would see them.
    if (event.kind === 'route' && event.route.protocol === MARK.routeProtocol) return;
    const portId = event.portId === 0 ? null : event.portId;
    this.onEvent({ kernelAtMs: atMs, namespace, portId, ...describe(event) });
  }

  /** The name was made or removed: look now, and again for the mount that follows a creation. */
  private follow(name: string): void {
    // What fails here (a name that comes and goes) is looked at again by the poll.
    const look = (): void => void this.rejoin(name).catch(() => undefined);
    look();
    for (const afterMs of MOUNT_CHECKS_MS) {
      const timer = setTimeout(() => {
        this.timers.delete(timer);
        look();
      }, afterMs);
      this.timers.add(timer);
    }
  }

  /** Makes our handles fit what the name means now; tells where that has changed. */
  private async rejoin(name: string): Promise<void> {
    if (this.closed) return;
    const found = inspectName(name);
    const inode = found.state === 'mounted' ? found.inode : null;
    const held = this.joined.get(name);
    if ((held?.id ?? null) === inode) return;
    // Closed at once: our socket is what keeps a deleted namespace, and its veths, alive.
    this.leave(name);
    if (held)
      this.emit({ namespace: name, what: 'namespace', summary: `namespace ${name} deleted` });
    if (inode === null) return;
    const ns = NetNs.open(name);
    this.joined.set(name, ns);
    try {
      await ns.watch(GROUPS, (event, atMs) => this.onNetlink(name, event, atMs));
    } catch (error) {
      if (this.joined.get(name) !== ns) return; // left meanwhile
      this.leave(name);
      throw error;
    }
    this.emit({ namespace: name, what: 'namespace', summary: `namespace ${name} appeared` });
  }

  private async poll(): Promise<void> {
    if (this.polling || this.closed) return;
    this.polling = true;
    try {
      await Promise.all(this.scope.namespaces.map((name) => this.rejoin(name)));
      await this.pollFilters();
      for (const [name, ns] of this.joined) await this.pollSysctls(name, ns);
    } catch (error) {
      if (!this.closed)
        this.emit({ namespace: null, what: 'overrun', summary: `poll failed: ${String(error)}` });
    } finally {
      this.polling = false;
    }
  }

  private async pollFilters(): Promise<void> {
    const links = await Promise.all(
      this.scope.filters.map((name) => this.rootRtnl.links.get({ name })),
    );
    const byName = new Map(links.map((link) => [link?.name, link]));
    const linkOf = (name: string): Link | null | undefined => byName.get(name);
    for (const filter of observeFilters(this.filters, this.scope.filters, linkOf, 'poll')) {
      this.compare(null, 'filter', filter.interface, JSON.stringify(filter));
    }
  }

  private async pollSysctls(name: string, ns: NetNs): Promise<void> {
    const keys = this.scope.sysctls[name] ?? [];
    if (keys.length === 0) return;
    const values = await ns.readSysctls(keys);
    for (const [i, key] of keys.entries()) {
      this.compare(name, 'sysctl', key, `${ns.id} ${values[i]}`);
    }
  }

  private compare(
    namespace: string | null,
    what: 'filter' | 'sysctl',
    subject: string,
    state: string,
  ): void {
    const key = `${namespace} ${what} ${subject}`;
    const before = this.seen.get(key);
    this.seen.set(key, state);
    if (before !== state) this.emit({ namespace, what, summary: `${what} ${subject} changed` });
  }
}
