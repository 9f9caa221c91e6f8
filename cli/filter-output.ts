/** What filters answer, for people: the same for one host (`aether edge`) and for a node. */
import type { FilterAnswer, FilterStats, Reason, TopEntry } from '../core/filter/questions';
import { ago, plural, table } from './output';

/** Reasons as people say them. */
const WORDS: Record<Reason, string> = {
  pass: 'passed',
  passNotIp: 'passed, not IP',
  passFailsafe: 'passed, failsafe',
  passAllow: 'passed, allowed',
  passMalformed: 'passed, malformed',
  dropBlock: 'dropped, blocked source',
  dropRule: 'dropped, rule',
  dropRate: 'dropped, rate of the source',
  dropMalformed: 'dropped, malformed',
  reflect: 'answered, Seamless BFD',
  shadowBlock: 'would be dropped, blocked source',
  shadowRule: 'would be dropped, rule',
  shadowRate: 'would be dropped, rate of the source',
};

export const reasonText = (reason: Reason): string => WORDS[reason];

export function describeStats({ filters }: Extract<FilterAnswer, { kind: 'stats' }>): string {
  if (filters.length === 0) return 'No filter is on this host.';
  return filters.map(describeFilter).join('\n\n');
}

function describeFilter(stats: FilterStats): string {
  const { interface: name, mode, programTag, contents } = stats;
  const counted = Object.entries(stats.counters)
    .filter(([, { packets }]) => packets > 0)
    .map(([reason, { packets, bytes }]) => [
      WORDS[reason as Reason],
      packets.toLocaleString('en'),
      bytes.toLocaleString('en'),
    ]);
  const shadow =
    stats.shadowed === 0 ? '' : `, ${stats.shadowed.toLocaleString('en')} counted only`;
  const lines = [
    mode === null ? `${name}: no program is attached` : `${name}: ${mode}, program ${programTag}`,
    `  blocked    ${stats.blocked.toLocaleString('en')} prefixes${shadow}`,
    ...(contents === null
      ? []
      : [
          `  failsafe   ${plural(contents.failsafe.length, 'prefix', 'prefixes')}, allowed ${contents.allow.prefixes.length}`,
          `  rules      ${contents.rules.entries.length}`,
        ]),
    `  memory     ${(stats.memoryBytes / (1 << 20)).toFixed(1)} MiB of the kernel`,
    ...(stats.problem === null ? [] : [`  problem    ${stats.problem}`]),
  ];
  const counters = table(['WHAT BECAME OF THEM', 'PACKETS', 'BYTES'], counted);
  const services = (stats.services ?? []).map(({ address, packets, bytes }) => [
    address,
    packets.toLocaleString('en'),
    bytes.toLocaleString('en'),
  ]);
  const reflected = (stats.reflected ?? []).map(({ peer, local, packets }) => [
    peer,
    local,
    packets.toLocaleString('en'),
  ]);
  return [
    ...lines,
    counted.length === 0 ? '  no packet yet' : counters,
    ...(services.length === 0
      ? []
      : [table(['PASSED TO A SERVICE', 'PACKETS', 'BYTES'], services)]),
    ...(reflected.length === 0
      ? []
      : [table(['ANSWERED, SEAMLESS BFD OF', 'ASKED AT', 'PACKETS'], reflected)]),
  ].join('\n');
}

export function describeTop(
  { entries, sampleEvery }: Extract<FilterAnswer, { kind: 'top' }>,
  nowMs: number,
): string {
  if (entries.length === 0) return 'No sample: nothing was dropped, or too little to be sampled.';
  const rows = entries.map((entry: TopEntry) => [
    entry.source ?? '-',
    WORDS[entry.reason],
    entry.entry ?? '-',
    entry.interface,
    String(entry.samples),
    `${ago(entry.lastAtMs, nowMs)} ago`,
  ]);
  const head = ['SOURCE', 'WHAT BECAME OF IT', 'BY', 'INTERFACE', 'SAMPLES', 'LAST'];
  return `${table(head, rows)}\nOne packet in ${sampleEvery} of each kind is sampled.`;
}
