/** What is claimed of the counts: nothing at rest, at most one activity a shard with nodes. */
import type { Figure } from '../common/figures';
import type { Audit, AuditCost } from './measure';

export const activitiesOf = ({ activities }: Audit): number =>
  Object.values(activities).reduce((sum, count) => sum + count, 0);

export const figuresOf = (costs: readonly AuditCost[]): Figure[] =>
  costs.flatMap(({ nodes, shardsWithNodes, rest, audits }) => [
    {
      claim: `${nodes} nodes at rest: workflows started and history events in ${rest.seconds} s`,
      unit: 'actions',
      bar: { measure: 'max', atMost: 0 },
      samples: [rest.workflowsStarted + rest.historyEvents],
      peer: null,
    },
    {
      claim: `An audit of ${nodes} nodes in ${shardsWithNodes} shards: activities`,
      unit: 'activities',
      bar: { measure: 'max', atMost: shardsWithNodes },
      samples: audits.map(activitiesOf),
      peer: null,
    },
  ]);
