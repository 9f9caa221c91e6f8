/** What a rehearsal found, for people. */
import type { Overlap } from '../core/filter/algebra';
import type { Rehearsal } from '../core/filter/questions';
import { ago, type Output, plural, table } from './output';

export interface NodeRehearsal {
  node: string;
  /** Why nothing is known of it; null = it answered. */
  problem: string | null;
  sampleEvery: number;
  filters: FilterRehearsal[];
}

export interface FilterRehearsal extends Rehearsal {
  /** Prefixes of the list that meet what is spared, the first of them. */
  meets: (Overlap & { by: 'failsafe' | 'allowed' })[];
}

export interface ListRehearsal {
  /** Prefixes of the list. */
  count: number;
  notes: string[];
  nodes: NodeRehearsal[];
}

export const cutsAnybody = ({ nodes }: ListRehearsal): boolean =>
  nodes.some(({ filters }) => filters.some(({ cut }) => cut.packets > 0));

export function describeRehearsal(result: ListRehearsal, out: Output, nowMs: number): string {
  const { count, notes, nodes } = result;
  return [
    `${plural(count, 'prefix', 'prefixes')}; nothing was changed.`,
    ...notes.map((note) => `  ${note}`),
    ...nodes.flatMap((node) => ['', ...describeNode(node, out, nowMs)]),
  ].join('\n');
}

function describeNode(
  { node, problem, sampleEvery, filters }: NodeRehearsal,
  out: Output,
  nowMs: number,
): string[] {
  if (problem !== null) return [out.colours.red(`${node}: not rehearsed: ${problem}`)];
  if (filters.length === 0) return [`${node}: no filter is attached, so nobody would be cut off.`];
  return [
    ...filters.flatMap((filter) => describeFilter(node, filter, out, nowMs)),
    `One packet in ${sampleEvery} is sampled.`,
  ];
}

function describeFilter(
  node: string,
  filter: FilterRehearsal,
  { colours }: Output,
  nowMs: number,
): string[] {
  const { interface: name, packets, oldestAtMs, cut, spared, unjudged, meets } = filter;
  const head = `${node} ${name}: `;
  const warnings = meets.map(({ prefix, other, by }) =>
    by === 'failsafe'
      ? `${head}${prefix} meets ${other}, which is failsafe: it stays spared, and such a list is refused.`
      : `${head}${prefix} meets ${other}, which is allowed: it stays spared.`,
  );
  if (oldestAtMs === null) {
    return [`${head}no packet that passed was sampled; this says nothing.`, ...warnings];
  }
  const looked = `of ${plural(packets, 'sampled packet')} that passed, the oldest ${ago(oldestAtMs, nowMs)} old`;
  const verdict =
    cut.packets === 0
      ? colours.green('nobody would be cut off')
      : colours.red(`${cut.packets} would be dropped, of ${plural(cut.sources, 'source')} cut off`);
  const rows = [
    ...cut.top.map((each) => [each, 'cut off'] as const),
    ...spared.top.map((each) => [each, 'spared'] as const),
  ].map(([each, what]) => [each.source, what, each.prefix, String(each.packets)]);
  return [
    `${head}${looked}: ${verdict}.`,
    ...(rows.length === 0 ? [] : [table(['SOURCE', 'WOULD BE', 'BY', 'SAMPLES'], rows)]),
    ...more(cut.sources - cut.top.length, 'cut off'),
    ...more(spared.sources - spared.top.length, 'spared'),
    ...(unjudged === 0 ? [] : [`${plural(unjudged, 'sample')} cut too short to be judged again.`]),
    ...warnings,
  ];
}

const more = (count: number, what: string): string[] =>
  count <= 0 ? [] : [`and ${plural(count, 'source')} more ${what} (--limit).`];
