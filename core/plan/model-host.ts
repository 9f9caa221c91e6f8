/**
 * A host that exists in memory only: what each step does to it, side effects of the kernel included.
 * The planner plays its own steps on it, so that a plan made from "the namespace is gone" holds all
 * that follows; tests run whole lives on it.
 */
import type { ObservedHost, ObservedLink, Step, StepResult } from '../model/host';
import { effectOf } from './effects';
import { ModelNetns } from './model-netns';

export interface ModelOptions {
  filterTag: string;
  /** Where the numbers of new namespaces, links and programs start, and the way they go on. */
  numbers: { start: number; step: 1 | -1 };
  /** Value of a sysctl that nobody has set; null: not known. */
  sysctlDefault: string | null;
}

export class ModelHost {
  readonly root: ModelNetns;
  readonly namespaces = new Map<string, ModelNetns | 'unmounted'>();
  filters: ObservedHost['filters'];
  #number: number;

  constructor(
    observed: ObservedHost,
    readonly options: ModelOptions,
  ) {
    this.root = new ModelNetns(observed.root);
    for (const [name, namespace] of Object.entries(observed.namespaces)) {
      const mounted = namespace.state === 'mounted';
      this.namespaces.set(name, mounted ? new ModelNetns(namespace) : 'unmounted');
    }
    this.filters = observed.filters.map((filter) => ({ ...filter }));
    this.#number = options.numbers.start;
  }

  apply(step: Step): StepResult {
    return effectOf(this, step);
  }

  observed(): ObservedHost {
    const namespaces: ObservedHost['namespaces'] = {};
    for (const [name, netns] of this.namespaces) {
      namespaces[name] =
        netns === 'unmounted' ? { state: netns } : { state: 'mounted', ...netns.observed() };
    }
    const filters = this.filters.map((filter) => ({ ...filter }));
    return { root: this.root.observed(), namespaces, filters, interrupted: false };
  }

  netns(name: string | null): ModelNetns | undefined {
    const netns = name === null ? this.root : this.namespaces.get(name);
    return netns === 'unmounted' ? undefined : netns;
  }

  number(): number {
    this.#number += this.options.numbers.step;
    return this.#number;
  }

  /** The other end of a veth, wherever it is. */
  peerOf(link: ObservedLink): { netns: ModelNetns; link: ObservedLink } | null {
    for (const netns of [this.root, ...this.namespaces.values()]) {
      if (netns === 'unmounted' || netns.inode !== link.peerInode) continue;
      const peer = netns.byIndex(link.peerIfindex ?? 0);
      if (peer !== undefined) return { netns, link: peer };
    }
    return null;
  }

  /** A veth goes with both its ends. */
  deletePair(netns: ModelNetns, link: ObservedLink): void {
    const peer = this.peerOf(link);
    netns.remove(link);
    peer?.netns.remove(peer.link);
  }
}
