/** Latencies on a logarithmic axis: a row a filter, a bar from p50 to p99 for each strength of flood. */
import { element, label, line, logScale, short, type Scale } from './svg';

export interface Bar {
  /** e.g. `1 Mpps`. */
  group: string;
  /** Of the palette. */
  colour: number;
  p50: number;
  p99: number;
}

export interface BarPlot {
  title: string;
  xTitle: string;
  rows: { name: string; strong: boolean; bars: Bar[] }[];
  /** What must not be passed. */
  limit: { name: string; value: number };
}

const WIDTH = 900;
const LEFT = 250;
const RIGHT = 830;
const TOP = 40;
const BAR = 9;
const BAR_GAP = 3;
const ROW_GAP = 12;
const AXIS_HEIGHT = 50;

const rowHeight = (bars: number): number => bars * (BAR + BAR_GAP) + ROW_GAP;

function bar({ group, colour, p50, p99 }: Bar, name: string, x: Scale, y: number): string {
  const width = Math.max(x(p99) - x(p50), 2);
  return element(
    'g',
    {},
    element('title', {}, `${name}, ${group}: p50 ${short(p50)} ms, p99 ${short(p99)} ms`),
    element('rect', { x: x(p50), y, width, height: BAR, rx: 2, class: `fill c${colour}` }),
    label(x(p50) + width + 5, y + BAR, short(p99), { class: 'value' }),
  );
}

function axis(plot: BarPlot, x: Scale, bottom: number): string[] {
  const { name, value } = plot.limit;
  return [
    ...x.ticks.flatMap((tick) => [
      line(x(tick), TOP, x(tick), bottom, 'grid'),
      label(x(tick), bottom + 18, short(tick), { 'text-anchor': 'middle' }),
    ]),
    line(x(value), TOP, x(value), bottom, 'reference'),
    label(x(value), TOP - 6, name, { 'text-anchor': 'middle' }),
    label((LEFT + RIGHT) / 2, bottom + 40, plot.xTitle, {
      'text-anchor': 'middle',
      class: 'title',
    }),
  ];
}

/** What each colour means. */
function legend({ rows }: BarPlot): string[] {
  const groups = new Map(rows.flatMap(({ bars }) => bars.map((one) => [one.group, one.colour])));
  return [...groups].map(([group, colour], i) =>
    element(
      'g',
      { transform: `translate(${10 + 80 * i} 8)` },
      element('rect', { width: BAR + 2, height: BAR + 2, rx: 2, class: `fill c${colour}` }),
      label(BAR + 8, BAR + 1, group),
    ),
  );
}

export function barPlot(plot: BarPlot): string {
  const values = plot.rows.flatMap(({ bars }) => bars.flatMap(({ p50, p99 }) => [p50, p99]));
  const x = logScale([...values, plot.limit.value], LEFT, RIGHT);
  let y = TOP + ROW_GAP / 2;
  const rows = plot.rows.map(({ name, strong, bars }) => {
    const top = y;
    y += rowHeight(bars.length);
    const middle = top + (rowHeight(bars.length) - ROW_GAP) / 2 + 3;
    const named = label(LEFT - 12, middle, name, {
      'text-anchor': 'end',
      ...(strong ? { class: 'strong' } : {}),
    });
    return named + bars.map((one, i) => bar(one, name, x, top + i * (BAR + BAR_GAP))).join('');
  });
  return element(
    'svg',
    { viewBox: `0 0 ${WIDTH} ${y + AXIS_HEIGHT}`, role: 'img', 'aria-label': plot.title },
    ...axis(plot, x, y),
    ...legend(plot),
    ...rows,
  );
}
