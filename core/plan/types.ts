/** The planner's vocabulary: named partial states, and plans made of steps with their undos. */
import type { Step } from '../model/host';

/**
 * Every way in which a host can differ from its spec. `conflict` ones involve something that is not
 * ours: they are reported, never "repaired" by force.
 */
export const FINDING_KINDS = [
  'namespaceMissing',
  'namespaceUnmounted',
  'namespaceForeign',
  'namespaceWithoutLinks',
  'namespaceExtra',
  'linkMissing',
  'linkForeign',
  'linkRenamed',
  'linkWrongNamespace',
  'peerRenamed',
  'peerWrongNamespace',
  'linkDown',
  'peerDown',
  'wrongMtu',
  'linkExtra',
  'addressMissing',
  'addressExtra',
  'routeMissing',
  'routeExtra',
  'sysctlDiffers',
  'sysctlExtra',
  'filterMissing',
  'filterForeign',
  'filterOutdated',
  'filterExtra',
  'filterUnpinned',
  'filterContents',
  'ifindexChanged',
  'interfaceMissing',
] as const;
export type FindingKind = (typeof FINDING_KINDS)[number];

export interface Finding {
  kind: FindingKind;
  /** The object in people's terms: `edge/edge0`, `edge: route 0.0.0.0/0`, `uplink0`. */
  object: string;
  /** What is there and what should be, one sentence. */
  message: string;
  conflict: boolean;
}

/** A finding for people: `edge/edge0: is down`. */
export const findingText = ({ object, message }: Pick<Finding, 'object' | 'message'>): string =>
  `${object}: ${message}`;

/** Identity of a finding over time: what budgets and "fighting" count. */
export const findingKey = (finding: Pick<Finding, 'kind' | 'object'>): string =>
  `${finding.kind} ${finding.object}`;

/** The stages of onboarding, in order; deletion runs them backwards. */
export const STAGES = ['namespaces', 'links', 'addresses', 'routes', 'sysctls', 'filters'] as const;
export type Stage = (typeof STAGES)[number];

export interface PlannedStep {
  stage: Stage;
  step: Step;
  /** What takes this step back; null where the step itself only takes away. */
  undo: Step | null;
  /** For people: `create veth edge0 ↔ edge/eth0`. */
  summary: string;
}

export interface Plan {
  findings: Finding[];
  /** In order; steps of one wave do not depend on one another. */
  waves: PlannedStep[][];
  /** SHA-256 of the canonical steps and findings: what an approval is bound to. Empty plan: ''. */
  hash: string;
}
