/** The host port of core/model/host.ts on a real kernel. */
import { join } from 'node:path';
import type { FilterContents } from '../../core/filter/contents';
import type { FilterAnswer, FilterQuestion } from '../../core/filter/questions';
import type {
  BlobPort,
  FilterOutcome,
  HostEvent,
  HostPort,
  ObservedHost,
  ObserveScope,
  Step,
  StepResult,
} from '../../core/model/host';
import { apply, Refused, toResult, type Bench } from './apply';
import { FilterEngine } from './filter/engine';
import { answer } from './filter/questions';
import { HostWatch } from './host-watch';
import { mapLimit } from './limit';
import { observe } from './observe';
import { withSession } from './session';
import { deleteLinks } from './veth';

/** Steps under way at once; each holds up to three fds. */
const AT_ONCE = 64;
/** From here on, deleting by group is cheaper than one by one. */
const BULK_DELETE_MIN = 4;

type DeleteLink = Extract<Step, { op: 'deleteLink' }>;

class Host implements HostPort {
  private readonly watches = new Set<HostWatch>();

  constructor(private readonly filters: FilterEngine) {}

  get filterTag(): string {
    return this.filters.tag;
  }

  observe(scope: ObserveScope): Promise<ObservedHost> {
    return withSession((session) => observe(session, this.filters, scope));
  }

  applyAll(steps: readonly Step[]): Promise<StepResult[]> {
    return withSession(async (session) => {
      const leave = (name: string): void => this.watches.forEach((watch) => watch.leave(name));
      const bench: Bench = { session, filters: this.filters, leave };
      const bulk = await deleteInBulk(steps, bench);
      return mapLimit(steps, AT_ONCE, async (step) => bulk.get(step) ?? apply(step, bench));
    });
  }

  setFilters(wanted: readonly FilterContents[]): Promise<FilterOutcome[]> {
    return this.filters.setFilters(wanted);
  }

  ask(question: FilterQuestion): Promise<FilterAnswer> {
    return withSession((session) =>
      answer(this.filters, question, async (name) => {
        const { rtnl } = await session.room(null);
        const attached = (await rtnl.links.get({ name }))?.xdp?.attached;
        return attached === undefined ? null : attached === 'generic' ? 'generic' : 'native';
      }),
    );
  }

  async watch(
    scope: ObserveScope,
    onEvent: (event: HostEvent) => void,
  ): Promise<{ close(): void }> {
    const watch = await HostWatch.open(scope, this.filters, onEvent);
    this.watches.add(watch);
    return {
      close: () => {
        this.watches.delete(watch);
        watch.close();
      },
    };
  }

  close(): void {
    for (const watch of this.watches) watch.close();
    this.watches.clear();
    this.filters.close();
  }
}

/** Results of those link deletions that are worth a group. */
async function deleteInBulk(steps: readonly Step[], bench: Bench): Promise<Map<Step, StepResult>> {
  const results = new Map<Step, StepResult>();
  const byNamespace = new Map<string | null, DeleteLink[]>();
  for (const step of steps) {
    if (step.op !== 'deleteLink') continue;
    const group = byNamespace.get(step.namespace);
    if (group) group.push(step);
    else byNamespace.set(step.namespace, [step]);
  }
  for (const [namespace, group] of byNamespace) {
    if (group.length < BULK_DELETE_MIN) continue;
    await deleteGroup(namespace, group, bench, results);
  }
  return results;
}

async function deleteGroup(
  namespace: string | null,
  group: readonly DeleteLink[],
  bench: Bench,
  results: Map<Step, StepResult>,
): Promise<void> {
  const refusal = (step: DeleteLink): Refused =>
    new Refused('notOurs', `link ${step.name} has another alias`);
  try {
    const { rtnl } = await bench.session.room(namespace);
    const outcomes = await deleteLinks(rtnl, group);
    for (const [i, step] of group.entries()) {
      results.set(step, outcomes[i] === 'gone' ? { ok: true } : toResult(step, refusal(step)));
    }
  } catch (error) {
    for (const step of group) {
      results.set(step, { ...toResult(step, error), changed: null } as StepResult);
    }
  }
}

/**
 * Mounts the bpf file system where it is missing. Our program is loaded once, for its tag, where the
 * state directory (null: none) doesn't remember it.
 */
export async function openHost(
  blobs?: BlobPort,
  stateDirectory: string | null = null,
): Promise<HostPort> {
  const keptAt = stateDirectory && join(stateDirectory, 'program.json');
  return new Host(await FilterEngine.open(blobs, keptAt));
}
