/** As much of SVG as the plots need: elements as text, a logarithmic scale, its ticks. */

export type Attributes = Record<string, string | number>;

export const escape = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

/** `content` is markup: escape what comes from outside. */
export function element(name: string, attributes: Attributes, ...content: string[]): string {
  const written = Object.entries(attributes).map(([key, value]) => {
    const shown = typeof value === 'number' ? String(Math.round(value * 10) / 10) : escape(value);
    return ` ${key}="${shown}"`;
  });
  return `<${name}${written.join('')}>${content.join('')}</${name}>`;
}

export const label = (x: number, y: number, text: string, attributes: Attributes = {}): string =>
  element('text', { x, y, ...attributes }, escape(text));

export const line = (x1: number, y1: number, x2: number, y2: number, name: string): string =>
  element('line', { x1, y1, x2, y2, class: name });

/** From values to pixels; `from` may lie beyond `to`, as it does on the way up. */
export interface Scale {
  (value: number): number;
  /** Powers of ten within, and round values between them where there are few. */
  ticks: number[];
}

/** Decades that powers of ten alone divide well enough. */
const MANY_DECADES = 4;

function ticksWithin(least: number, most: number): number[] {
  const steps = most - least > MANY_DECADES ? [1] : most - least > 2 ? [1, 3] : [1, 2, 5];
  const ticks: number[] = [];
  for (let power = Math.floor(least); power <= most; power++) {
    ticks.push(...steps.map((step) => step * 10 ** power));
  }
  return ticks.filter((tick) => {
    const place = Math.log10(tick);
    return place > least - 1e-9 && place < most + 1e-9;
  });
}

export function logScale(values: readonly number[], from: number, to: number): Scale {
  const [low, high] = [Math.min(...values), Math.max(...values)].map(Math.log10);
  // Half a decade of air where there is but one value, a little elsewhere.
  const air = high === low ? 0.5 : 0.04 * ((high ?? 0) - (low ?? 0));
  const [least, most] = [(low ?? 0) - air, (high ?? 0) + air];
  const scale = (value: number): number =>
    from + ((Math.log10(value) - least) / (most - least)) * (to - from);
  return Object.assign(scale, { ticks: ticksWithin(least, most) });
}

/** `1`, `10k`, `1M`; below one, as it is. */
export function short(value: number): string {
  for (const [unit, suffix] of [
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const) {
    if (value >= unit) return `${Number((value / unit).toPrecision(3))}${suffix}`;
  }
  return String(Number(value.toPrecision(3)));
}

/** Moves labels apart that would lie on one another; in their order, as little as it takes. */
export function spreadOut(wanted: readonly number[], gap: number): number[] {
  const order = wanted.map((_, i) => i).sort((a, b) => (wanted[a] ?? 0) - (wanted[b] ?? 0));
  const placed = [...wanted];
  const at = (i: number): number => placed[order[i] ?? 0] ?? 0;
  for (let pass = 0; pass < order.length * 4; pass++) {
    for (let i = 1; i < order.length; i++) {
      const overlap = gap - (at(i) - at(i - 1));
      if (overlap <= 0) continue;
      placed[order[i - 1] ?? 0] = at(i - 1) - overlap / 2;
      placed[order[i] ?? 0] = at(i) + overlap / 2;
    }
  }
  return placed;
}
