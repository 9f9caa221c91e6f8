/** Durations as users write them: `250ms`, `1s`, `10m`, `1h30m`. Milliseconds inside. */

const UNITS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const;

export const DURATION = /^(?:\d{1,9}(?:ms|s|m|h|d))+$/;

/** Milliseconds, or null where `text` is no duration. */
export const parseDuration = (text: string): number | null => {
  if (!DURATION.test(text)) return null;
  let total = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|s|m|h|d)/g)) {
    total += Number(count) * UNITS[unit as keyof typeof UNITS];
  }
  return total;
};

/** The shortest text that `parseDuration` reads back as `ms` (a whole number, not negative). */
export const formatDuration = (ms: number): string => {
  let rest = ms;
  let text = '';
  for (const [unit, size] of Object.entries(UNITS)) {
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text === '' ? '0s' : text;
};
