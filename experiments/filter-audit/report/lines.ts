/** Cost against the length of the list, both logarithmic: a line a filter, a dashed one a reference. */
import { element, label, line, logScale, short, spreadOut, type Scale } from './svg';

export interface Point {
  x: number;
  y: number;
  least: number;
  most: number;
}

export interface Series {
  name: string;
  /** Of the palette: 1 … 8. */
  colour: number;
  points: Point[];
}

/** Knows no list: the same at every length. */
export interface Reference {
  name: string;
  y: number;
}

export interface LinePlot {
  title: string;
  xTitle: string;
  yTitle: string;
  series: Series[];
  references: Reference[];
}

const WIDTH = 900;
const HEIGHT = 460;
const PLOT = { left: 70, right: 690, top: 20, bottom: 405 };
const LABEL_GAP = 16;
const RADIUS = 4;

/** Shapes beside colours, for those who do not see all colours. */
function marker(x: number, y: number, colour: number): string {
  const name = { class: `fill c${colour}` };
  const r = RADIUS;
  const shapes = [
    () => element('circle', { cx: x, cy: y, r, ...name }),
    () => element('rect', { x: x - r, y: y - r, width: 2 * r, height: 2 * r, ...name }),
    () => element('path', { d: `M${x} ${y - r - 1}l${r + 1} ${2 * r}h${-2 * r - 2}z`, ...name }),
    () =>
      element('path', {
        d: `M${x} ${y - r - 1}l${r + 1} ${r + 1}l${-r - 1} ${r + 1}l${-r - 1} ${-r - 1}z`,
        ...name,
      }),
  ];
  return shapes[(colour - 1) % shapes.length]?.() ?? '';
}

/** Lists have such lengths. */
const isPowerOfTen = (value: number): boolean => Number.isInteger(Math.log10(value));

function axes({ xTitle, yTitle }: LinePlot, x: Scale, y: Scale): string[] {
  const { left, right, top, bottom } = PLOT;
  const middle = (top + bottom) / 2;
  return [
    ...y.ticks.flatMap((value) => [
      line(left, y(value), right, y(value), 'grid'),
      label(left - 8, y(value) + 4, short(value), { 'text-anchor': 'end' }),
    ]),
    ...x.ticks
      .filter(isPowerOfTen)
      .flatMap((value) => [
        line(x(value), bottom, x(value), bottom + 5, 'axis'),
        label(x(value), bottom + 20, short(value), { 'text-anchor': 'middle' }),
      ]),
    line(left, bottom, right, bottom, 'axis'),
    label((left + right) / 2, HEIGHT - 12, xTitle, { 'text-anchor': 'middle', class: 'title' }),
    label(16, middle, yTitle, {
      'text-anchor': 'middle',
      class: 'title',
      transform: `rotate(-90 16 ${middle})`,
    }),
  ];
}

function drawn({ name, colour, points }: Series, x: Scale, y: Scale): string {
  const path = points.map(
    (point, i) => `${i === 0 ? 'M' : 'L'}${x(point.x).toFixed(1)} ${y(point.y).toFixed(1)}`,
  );
  const marks = points.map((point) =>
    element(
      'g',
      {},
      element(
        'title',
        {},
        `${name}, ${short(point.x)}: ${short(point.y)} (${short(point.least)} … ${short(point.most)})`,
      ),
      line(x(point.x), y(point.least), x(point.x), y(point.most), `spread c${colour}`),
      marker(Math.round(x(point.x)), Math.round(y(point.y)), colour),
    ),
  );
  return element(
    'g',
    {},
    element('path', { d: path.join(''), class: `line c${colour}` }),
    ...marks,
  );
}

/** Each line's name stands at its end. */
function names({ series, references }: LinePlot, y: Scale): string[] {
  const all = [
    ...series.map(({ name, colour, points }) => ({ name, colour, y: points.at(-1)?.y ?? 1 })),
    ...references.map(({ name, y: value }) => ({ name, colour: 0, y: value })),
  ];
  const placed = spreadOut(
    all.map(({ y: value }) => y(value)),
    LABEL_GAP,
  );
  return all.map(({ name, colour }, i) => {
    const at = placed[i] ?? 0;
    const shape = colour === 0 ? '' : marker(PLOT.right + 16, Math.round(at), colour);
    return shape + label(PLOT.right + 26, at + 4, name, colour === 1 ? { class: 'strong' } : {});
  });
}

export function linePlot(plot: LinePlot): string {
  const points = plot.series.flatMap((series) => series.points);
  const heights = [
    ...points.flatMap(({ least, most }) => [least, most]),
    ...plot.references.map(({ y }) => y),
  ];
  const x = logScale(
    points.map((point) => point.x),
    PLOT.left,
    PLOT.right,
  );
  const y = logScale(heights, PLOT.bottom, PLOT.top);
  const dashed = plot.references.map((one) =>
    line(PLOT.left, y(one.y), PLOT.right, y(one.y), 'reference'),
  );
  const lines = [...plot.series].reverse().map((series) => drawn(series, x, y));
  const content = [...axes(plot, x, y), ...dashed, ...lines, ...names(plot, y)];
  return element(
    'svg',
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': plot.title },
    ...content,
  );
}
