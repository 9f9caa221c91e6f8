/** The end of the demo: what was broken, how fast it was well again. */
import { table } from '../output';
import type { Output } from '../output';
import type { Mended } from './stage';

const whole = (value: number | null): string => (value === null ? '-' : `${Math.round(value)} ms`);

function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;
}

export function summary(mended: readonly Mended[], seconds: number, out: Output): string {
  const { bold, green } = out.colours;
  const repairs = mended
    .filter(({ by, title }) => by === 'workflow' && !title.includes('frozen'))
    .flatMap(({ repairedInMs }) => repairedInMs ?? []);
  return [
    table(
      ['NODE', 'BROKEN', 'REPAIRED IN', 'BY', 'PINGS LOST FOR'],
      mended.map(({ node, title, repairedInMs, by, silentMs }) => [
        node,
        title,
        whole(repairedInMs),
        by,
        whole(silentMs),
      ]),
    ),
    '',
    `${green('✔')} ${bold(`${mended.length} breakages, ${mended.length} repaired.`)} ` +
      `From kernel event to verified, through Temporal: median ${whole(quantile(repairs, 0.5))}, ` +
      `slowest ${whole(Math.max(0, ...repairs))}.`,
    `  Each is on record: who decided, when, why, and what was done. The demo took ${Math.round(seconds)} s.`,
  ].join('\n');
}
