/** What people read in the UI: current details, as markdown. Pure. */
import { views } from '../core/damping/node';
import { DAMPING } from '../core/damping/penalty';
import { findingText } from '../core/plan/types';
import { decisionText } from '../core/repair/text';
import type { Decision, DriftReport, LifecycleState } from '../core/model/messages';
import type { FeedOutcome } from '../core/model/views';
import type { RoutingProgress, RoutingStep } from '../core/model/routing-messages';
import { STAGES } from '../core/plan/types';
import type { Stage } from '../core/plan/types';

/** Lists are cut: details stay below 2 kB, and the whole is in the history. */
const SHOWN = 8;

const bullets = (lines: string[]): string => {
  const more = lines.length > SHOWN ? [`… and ${lines.length - SHOWN} more`] : [];
  return [...lines.slice(0, SHOWN), ...more].map((line) => `- ${line}`).join('\n');
};

const table = (rows: [string, string][]): string =>
  ['| | |', '| --- | --- |', ...rows.map(([name, value]) => `| ${name} | ${value} |`)].join('\n');

const at = (ms: number): string => new Date(ms).toISOString();

export function lifecycleDetails(node: string, state: LifecycleState): string {
  const { phase, holder, escalation, repairs } = state;
  const head = `### ${node}: ${phase ?? 'no phase'}`;
  const rows: [string, string][] = [
    ['at work', holder ?? 'nobody'],
    ['revision of the phase', String(state.phaseRevision)],
    ['repairs on record', String(repairs.length)],
  ];
  const { quarantine, damping } = state;
  for (const { upstream, penalty, reuseAtMs } of damping ? views(damping, DAMPING) : []) {
    const until = reuseAtMs === null ? '' : `, suppressed until ${at(reuseAtMs)}`;
    rows.push([`penalty of ${upstream}`, `${penalty}${until}`]);
  }
  if (quarantine)
    rows.push(['quarantine', `${quarantine.reason}; until ${at(quarantine.untilMs)}`]);
  const last = repairs.at(-1);
  if (last) rows.push(['last repair', `${last.outcome} (${last.decision}), ${at(last.atMs)}`]);
  const alarm = escalation
    ? `\n\n**A person is needed** since ${at(escalation.sinceMs)}: ${escalation.reason}` +
      (escalation.suspect ? ` (suspect: ${escalation.suspect})` : '')
    : '';
  return `${head}\n${table(rows)}${alarm}`;
}

export function repairDetails(report: DriftReport, decision: Decision): string {
  const { node, incidentId, findings, plan, planHash, suspect } = report;
  const approve =
    decision.kind === 'propose' ? `\n\nTo agree: \`aether approve ${node} ${planHash}\`` : '';
  const plans = plan.length > 0 ? `\n\nPlan:\n${bullets(plan)}` : '';
  return (
    `### ${node}: ${decisionText(decision)}\n` +
    table([
      ['incident', incidentId],
      ['spec revision', String(report.revision)],
      ['suspect', suspect ?? 'unknown'],
    ]) +
    `\n\nFound:\n${bullets(findings.map(findingText))}${plans}${approve}`
  );
}

export const settledDetails = (node: string, outcome: string, reason: string | null): string =>
  `### ${node}: ${outcome}${reason === null ? '' : `\n${reason}`}\n\nWaiting a little for more.`;

/** Progress through the stages, in the order in which they are worked on. */
export function stageDetails(title: string, done: readonly Stage[], now: string): string {
  const stages = STAGES.map((stage) => `- [${done.includes(stage) ? 'x' : ' '}] ${stage}`);
  return `### ${title}\n${now}\n\n${stages.join('\n')}`;
}

export function feedDetails(blocklist: string, result: FeedOutcome): string {
  const { outcome, problem, count, added, removed, notes } = result;
  const words: Record<FeedOutcome['outcome'], string> = {
    updated: `${count} prefixes: ${added} added, ${removed} removed`,
    unchanged: `unchanged, ${count} prefixes`,
    kept: `**not believed**: ${problem}. The list before it stands${count === null ? '' : ` (${count} prefixes)`}.`,
    gone: 'there is no such blocklist any more, or it has no feed',
  };
  return `### ${blocklist}: ${words[outcome]}${notes.length > 0 ? `\n${bullets(notes)}` : ''}`;
}

const MARKS: Record<RoutingStep['outcome'], string> = {
  running: '…',
  done: '✓',
  unverified: '?',
  failed: '✗',
  undone: '↩',
};

/** The last steps with their evidence: what a person looks at while it runs. */
export function routingDetails({ subject, state, steps, next }: RoutingProgress): string {
  const lines = steps.slice(-SHOWN).map(({ what, outcome, evidence }) => {
    const told = evidence === null ? '' : `: ${evidence.slice(0, 160)}`;
    return `- ${MARKS[outcome]} ${what}${told}`;
  });
  const then = next === null ? '' : `\n\nNext: ${next.what}, ${at(next.atMs)}`;
  return `### ${subject}: ${state}\n${lines.join('\n')}${then}`;
}
