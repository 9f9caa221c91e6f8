/** For tests: a host to work on, with the things on it that are none of our business. */
import type { EdgeSpec } from '../model/edge-spec';
import { EMPTY_LEDGER } from '../model/host';
import type { Ledger, ObservedFilter, ObservedHost, ObservedLink } from '../model/host';
import { DEFAULT_REPAIR, NO_ROUTING, plainFilter, type NamespaceSpec } from '../model/node';
import { exampleNamespace } from '../model/testing';
import { intend, record, settle } from './ledger';
import { observeScope } from './observe-scope';
import { ModelHost } from './model-host';
import { nothingOf, plan } from './plan';
import type { Plan, PlannedStep, Stage } from './types';

export const FILTER_TAG = 'f00dcafe';

export const specOf = (
  namespaces: NamespaceSpec[],
  filters: EdgeSpec['filters'] = [],
): EdgeSpec => ({
  schema: 1,
  node: 'fra-1',
  revision: 1,
  phase: 'active',
  namespaces,
  filters,
  blocklists: [],
  blocks: [],
  ...NO_ROUTING,
  services: [],
  repair: DEFAULT_REPAIR,
  frozen: { node: false, global: false },
});

/** The node of the examples. */
export const EXAMPLE: EdgeSpec = specOf([exampleNamespace()], [plainFilter('uplink0')]);

export const linkNamed = (name: string, ifindex: number, kind: string | null): ObservedLink => ({
  ifindex,
  name,
  kind,
  alias: null,
  mtu: 1500,
  up: true,
  peerIfindex: null,
  peerInode: null,
  addresses: [],
});

/** Loopback, and an uplink with its address: nothing of it is ours. */
export const BARE_HOST: ObservedHost = {
  root: {
    inode: 4_026_531_840,
    links: [
      linkNamed('lo', 1, null),
      {
        ...linkNamed('uplink0', 2, 'veth'),
        addresses: [{ address: '192.0.2.10/24', protocol: 0 }],
      },
    ],
    routes: [{ to: '0.0.0.0/0', via: '192.0.2.1', ifindex: 2, protocol: 3, metric: 0 }],
    sysctls: {},
  },
  namespaces: {},
  filters: [],
  interrupted: false,
};

/** A host in memory and its agent's ledger. */
export class Machine {
  readonly host: ModelHost;
  ledger: Ledger;
  /** Dumps are torn. */
  interrupted = false;

  constructor(observed: ObservedHost = BARE_HOST, ledger: Ledger = EMPTY_LEDGER) {
    const numbers = { start: 1000, step: 1 } as const;
    this.host = new ModelHost(observed, { filterTag: FILTER_TAG, numbers, sysctlDefault: '0' });
    this.ledger = ledger;
  }

  /** As an adapter answers: what the scope names, and every pin of ours. */
  observe(spec: EdgeSpec): ObservedHost {
    const scope = observeScope(spec, this.ledger);
    for (const name of scope.filters) this.#addFilter(name);
    for (const filter of this.host.filters) this.#lookAt(filter);
    for (const [name, keys] of Object.entries(scope.sysctls)) {
      const netns = this.host.netns(name);
      for (const key of keys) if (netns !== undefined) netns.sysctls[key] ??= '0';
    }
    const { namespaces, filters, ...rest } = this.host.observed();
    const isNamed = ([name]: [string, unknown]): boolean => scope.namespaces.includes(name);
    return {
      ...rest,
      interrupted: this.interrupted,
      namespaces: Object.fromEntries(Object.entries(namespaces).filter(isNamed)),
      filters: filters.filter((f) => f.pin !== null || scope.filters.includes(f.interface)),
    };
  }

  plan(spec: EdgeSpec, stages: Stage[] | null = null): Plan {
    const observed = this.observe(spec);
    this.ledger = settle(this.ledger, spec, observed);
    return plan({ spec, observed, ledger: this.ledger, filterTag: FILTER_TAG, stages });
  }

  removalPlan(spec: EdgeSpec, stages: Stage[] | null = null): Plan {
    return this.plan(nothingOf(spec), stages);
  }

  /** Runs at most `limit` steps, then dies: the ledger is what was on disk at that moment. */
  run(spec: EdgeSpec, waves: readonly PlannedStep[][], limit = Infinity): PlannedStep[] {
    const done: PlannedStep[] = [];
    for (const wave of waves) {
      this.ledger = intend(this.ledger, wave, this.observe(spec));
      const results = [];
      for (const planned of wave) {
        if (done.length === limit) return done;
        const result = this.host.apply(planned.step);
        if (!result.ok) throw new Error(`${planned.summary}: ${result.message}`);
        results.push(result);
        done.push(planned);
      }
      if (done.length === limit) return done;
      this.ledger = record(this.ledger, wave, results);
    }
    return done;
  }

  /** Plans and runs until nothing is left; throws where that takes more than one plan. */
  converge(spec: EdgeSpec): Plan {
    const first = this.plan(spec);
    this.run(spec, first.waves);
    const left = this.plan(spec);
    if (left.waves.length > 0) throw new Error(`left: ${JSON.stringify(left.findings)}`);
    return first;
  }

  #addFilter(name: string): void {
    if (this.host.filters.some((filter) => filter.interface === name)) return;
    const ifindex = this.host.root.links.get(name)?.ifindex ?? null;
    const contents = { state: 'unknown', detail: null } as const;
    this.host.filters.push({ interface: name, ifindex, attached: null, pin: null, contents });
  }

  /** Another device may bear the name by now; a bpf_link whose device is gone leads nowhere. */
  #lookAt(filter: ObservedFilter): void {
    const ifindex = this.host.root.links.get(filter.interface)?.ifindex ?? null;
    if (ifindex !== filter.ifindex) filter.attached = null;
    filter.ifindex = ifindex;
    if (filter.pin === null || this.host.root.byIndex(filter.pin.ifindex) !== undefined) return;
    filter.pin = { ...filter.pin, ifindex: 0 };
  }
}
