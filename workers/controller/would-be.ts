/** What an edge would do about a new spec, said before anything is written. */
import type { EdgeSpec } from '../../core/model/edge-spec';
import { EMPTY_LEDGER, type Ledger, type ObservedHost } from '../../core/model/host';
import type { NodeResource } from '../../core/model/node';
import { intend, record } from '../../core/plan/ledger';
import { ModelHost } from '../../core/plan/model-host';
import { type PlanInput, plan, summaries } from '../../core/plan/plan';

const TAG = 'tag';

/**
 * Steps from a host that is as `present` asks to one that is as `resource` asks. For hosts that are
 * known to be so; by the planner of the edge itself, on a model of the host.
 */
export function wouldBeSteps(present: EdgeSpec, resource: NodeResource): string[] {
  const { namespaces, filters, repair } = resource.spec;
  const next: EdgeSpec = { ...present, namespaces, filters, repair };
  const { observed, ledger } = hostOf(present);
  return summaries(plan(input(next, observed, ledger)));
}

/** A host on which `spec` was carried out, and nothing else ever happened. */
function hostOf(spec: EdgeSpec): { observed: ObservedHost; ledger: Ledger } {
  const bare: ObservedHost = {
    root: { inode: 1, links: [], routes: [], sysctls: {} },
    namespaces: {},
    filters: spec.filters.map((filter, i) => ({
      interface: filter.interface,
      ifindex: i + 1,
      attached: null,
      pin: null,
      contents: { state: 'unknown', detail: null } as const,
    })),
    interrupted: false,
  };
  const host = new ModelHost(bare, {
    filterTag: TAG,
    numbers: { start: 1_000, step: 1 },
    sysctlDefault: '0',
  });
  let ledger = EMPTY_LEDGER;
  for (const wave of plan(input(spec, bare, ledger)).waves) {
    ledger = intend(ledger, wave, host.observed());
    const results = wave.map(({ step }) => host.apply(step));
    ledger = record(ledger, wave, results);
  }
  return { observed: host.observed(), ledger };
}

const input = (spec: EdgeSpec, observed: ObservedHost, ledger: Ledger): PlanInput => ({
  spec,
  observed,
  ledger,
  filterTag: TAG,
  stages: null,
});
