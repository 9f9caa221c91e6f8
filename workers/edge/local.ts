/** What the agent's own socket can ask for. */
import { Refused, type EdgeLocalPort } from '../../adapters/edge-local/server';
import type { OverrideRequest, OverrideResponse } from '../../adapters/edge-local/proto';
import { overrideRefusal } from '../../core/edge/filters';
import { effectOf, readSource, type Asked } from '../../core/filter/override';
import type { FilterPort } from '../../core/model/host';
import type { FindingKind } from '../../core/plan/types';
import type { Agent } from './agent';
import { askFilter } from './ask';
import type { AgentFiles } from './files';
import type { FilterWork } from './filter-work';
import type { Filters } from './filters';
import type { Routing } from './routing';
import { stand } from './routing-local';
import { endOfSaid } from './said';

export interface LocalParts {
  agent: Agent;
  files: AgentFiles;
  filterWork: Pick<FilterWork, 'filters' | 'listsWith'>;
  host: FilterPort;
  routing: Routing;
}

const VERDICTS: readonly Asked['verdict'][] = ['block', 'allow', 'none'];

/** The socket is taken first of all; who asks before the host is guarded waits for that. */
export const localPort = (ready: Promise<LocalParts>): EdgeLocalPort => ({
  status: async () => (await ready).agent.status(),
  async freeze(request) {
    const { agent, files } = await ready;
    const { reason, by } = request;
    agent.put({ kind: 'localFreeze', untilMs: endOfSaid(request), reason, by });
    // Whether it survives a restart is in the answer's problems.
    await files.flushed();
    return agent.status();
  },
  async unfreeze() {
    const { agent, files } = await ready;
    agent.put({ kind: 'localUnfreeze' });
    await files.flushed();
    return agent.status();
  },
  override: async (request) => override(await ready, request),
  stand: async (request) => stand(await ready, request),
  askFilter: async (questionJson) => askFilter((await ready).host, questionJson),
});

/** Needs nobody else. Answers once the maps hold it, and it is on disk or known not to be. */
async function override(
  { agent, files, filterWork }: LocalParts,
  request: OverrideRequest,
): Promise<OverrideResponse> {
  const beganMs = performance.now();
  const { filters } = filterWork;
  const { prefix: text, verdict: word, reason } = request;
  const source = readSource(text);
  if (!source.ok) throw new Refused(source.reason);
  const verdict = VERDICTS.find((known) => known === word);
  if (verdict === undefined) throw new Refused(`"${word}" is none of ${VERDICTS.join(', ')}`);
  const asked = { prefix: source.prefix, verdict };
  const refusal = overrideRefusal(agent.memory, asked);
  if (refusal !== null) throw new Refused(refusal);
  const known = agent.memory.overrides.some(({ prefix }) => prefix === asked.prefix);
  agent.put({ kind: 'override', ...asked, reason, untilMs: endOfSaid(request) });
  await filters.settled();
  const tookMs = performance.now() - beganMs;
  await files.flushed();
  const lists = verdict === 'none' ? await filterWork.listsWith(asked.prefix) : [];
  const { overrides } = agent.memory;
  const { effective, note } = effectOf(asked, filters.contents(), overrides, lists);
  const nothing = verdict === 'none' && !known ? `nothing was overridden for ${asked.prefix}` : '';
  const notes = [nothing, note, ...troubles(agent, filters)].filter((each) => each !== '');
  const acts = filters.upToDate() && !offEverywhere(agent, filters);
  return { effective: effective && acts, tookMs, note: notes.join('; ') };
}

/** Findings that mean that no program of ours looks at the packets of that interface. */
const OFF: readonly FindingKind[] = [
  'filterMissing',
  'filterForeign',
  'ifindexChanged',
  'interfaceMissing',
];

function offEverywhere(agent: Agent, filters: Filters): boolean {
  const off = agent.status().findings.filter(({ kind }) => OFF.includes(kind));
  const names = new Set(off.map(({ object }) => object));
  return filters.contents().every((contents) => names.has(contents.interface));
}

/** What keeps a filter from acting, or an override from lasting. */
function troubles(agent: Agent, filters: Filters): string[] {
  const { findings, problems } = agent.status();
  const failed = filters
    .status()
    .interfaces.flatMap(({ interface: name, problem }) =>
      problem === null ? [] : [`${name} does not hold it: ${problem}`],
    );
  const off = findings
    .filter(({ kind }) => OFF.includes(kind))
    .map(({ object, message }) => `${object}: ${message}`);
  const unwritten = problems.filter((problem) => problem.startsWith('memory.json'));
  return [...failed, ...off, ...unwritten];
}
