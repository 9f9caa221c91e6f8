/** Network namespaces: named ones below /run/netns, and the one of the process. */
import { closeSync, openSync, statSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { native } from './native';
import { Rtnl } from './rtnl';
import { Watch, type WatchGroup, type WatchHandler } from './watch';

export const NETNS_DIR = '/run/netns';
/** linux/magic.h: what lies on a name on which a namespace is mounted. */
const NSFS_MAGIC = 0x6e736673;

export const netnsPath = (name: string): string => join(NETNS_DIR, name);

/**
 * `absent`: no such name; `unmounted`: a file is there, but no namespace on it. The inode is the
 * namespace's identity while it lives; afterwards the kernel may give the number to another.
 */
export function inspectName(
  name: string,
): { state: 'absent' } | { state: 'unmounted' } | { state: 'mounted'; inode: number } {
  try {
    const path = netnsPath(name);
    if (statfsSync(path).type !== NSFS_MAGIC) return { state: 'unmounted' };
    return { state: 'mounted', inode: statSync(path).ino };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { state: 'absent' };
    throw error;
  }
}

/** A handle: it holds the namespace by an fd, so the namespace lives until `close`. */
export class NetNs {
  private readonly children = new Set<{ close(): void }>();
  private closed = false;

  private constructor(
    /** Null: the namespace of the process, whose name we do not know. */
    readonly name: string | null,
    readonly fd: number,
    /** nsfs inode. */
    readonly id: number,
  ) {}

  private static at(name: string | null, path: string): NetNs {
    const fd = openSync(path, 'r');
    return new NetNs(name, fd, statSync(path).ino);
  }

  static async create(name: string): Promise<NetNs> {
    await native.nsCreate(netnsPath(name));
    return NetNs.open(name);
  }

  static open(name: string): NetNs {
    return NetNs.at(name, netnsPath(name));
  }

  static host(): NetNs {
    return NetNs.at(null, '/proc/self/ns/net');
  }

  async rtnl(): Promise<Rtnl> {
    return this.adopt(await Rtnl.open(this.fd));
  }

  async watch(groups: readonly WatchGroup[], handler: WatchHandler): Promise<Watch> {
    return this.adopt(await Watch.open(this.fd, groups, handler));
  }

  /** Keys in dotted form; null for one that does not exist. */
  async readSysctls(keys: readonly string[]): Promise<(string | null)[]> {
    return native.sysctlRead(this.fd, keys.map(sysctlPath));
  }

  /** Resolves to the value before. */
  async writeSysctl(key: string, value: string): Promise<string | null> {
    return native.sysctlWrite(this.fd, sysctlPath(key), value);
  }

  /** Removes the name. Our handles go first: an open socket would keep the namespace alive. */
  async delete(): Promise<void> {
    if (this.name === null) throw new Error('the namespace of the process has no name to delete');
    this.close();
    await native.nsDelete(netnsPath(this.name));
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const child of this.children) child.close();
    closeSync(this.fd);
  }

  private adopt<T extends { close(): void }>(child: T): T {
    if (this.closed) {
      child.close();
      throw new Error(`namespace ${this.name ?? 'of the process'}: closed while a socket opened`);
    }
    this.children.add(child);
    return child;
  }
}

/**
 * `net.ipv4.conf.eth0/1.forwarding` → `net/ipv4/conf/eth0.1/forwarding`, as sysctl(8) swaps them.
 * Only `net.` keys belong to a namespace; anything else would be the machine's.
 */
function sysctlPath(key: string): string {
  const path = key.replace(/[./]/g, (c) => (c === '.' ? '/' : '.'));
  if (!path.startsWith('net/') || path.split('/').some((part) => /^\.*$/.test(part))) {
    throw new Error(`not a sysctl of a namespace: ${key}`);
  }
  return path;
}
