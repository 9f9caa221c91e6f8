/** Sizes as users write them: `512KiB`, `64MiB`. Bytes inside. */

const UNITS = { GiB: 2 ** 30, MiB: 2 ** 20, KiB: 2 ** 10, B: 1 } as const;

export const BYTES = /^\d{1,9}(?:B|KiB|MiB|GiB)$/;

/** Bytes, or null where `text` is no size. */
export const parseBytes = (text: string): number | null => {
  const [, count, unit] = /^(\d{1,9})(B|KiB|MiB|GiB)$/.exec(text) ?? [];
  return unit === undefined ? null : Number(count) * UNITS[unit as keyof typeof UNITS];
};

/** The text with the largest unit that divides `bytes`. */
export const formatBytes = (bytes: number): string => {
  for (const [unit, size] of Object.entries(UNITS)) {
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return '0B';
};
