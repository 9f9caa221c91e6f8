/** What the schemas of all resources are made of. Each leaf says what would be right. */
import { z } from 'zod';
import { DURATION, parseDuration } from './duration';
import { DNS_LABEL } from './ids';
import { canonicalAddress, canonicalPrefix, isUnicast, parseAddress, parsePrefix } from './prefix';

/** A string that matches `pattern`; `expected` is told to whoever wrote another one. */
export const text = (pattern: RegExp, expected: string) =>
  z.string({ error: expected }).regex(pattern, { error: expected }).meta({ description: expected });

/** As `text`, with a check in code and a canonical form. */
export const parsed = (
  isRight: (value: string) => boolean,
  canonical: (v: string) => string,
  expected: string,
) =>
  z
    .string({ error: expected })
    .refine(isRight, { error: expected })
    .meta({ description: expected })
    .overwrite(canonical);

export const label = text(DNS_LABEL, 'a DNS label: 1 to 63 of a-z, 0-9 and -, not at its ends');

/** IFNAMSIZ is 16 with the closing zero; dev_valid_name() of the kernel refuses the rest. */
export const interfaceName = text(
  /^(?!\.{1,2}$)[!-.0-9;-~]{1,15}$/,
  'an interface name: 1 to 15 printable ASCII characters without blank, / and :, not . or ..',
);

export const interfaceAddress = parsed(
  (value) => parsePrefix(value) !== null,
  canonicalPrefix,
  'an address with its prefix length, as 10.10.1.2/30 or fd10:1::2/64',
);

export const destination = parsed(
  (value) => parsePrefix(value) !== null,
  canonicalPrefix,
  'a prefix, as 0.0.0.0/0 or fd10:2::/48',
);

export const gateway = parsed(
  (value) => parseAddress(value) !== null,
  canonicalAddress,
  'an address without a prefix length, as 10.10.1.1',
);

/** An address without a length that one host can have. */
export const unicastAddress = (expected: string) =>
  parsed(
    (value) => {
      const address = parseAddress(value);
      return address !== null && isUnicast(address);
    },
    canonicalAddress,
    expected,
  );

export const whole = (min: number, max: number, expected: string) =>
  z.int({ error: expected }).min(min, { error: expected }).max(max, { error: expected });

export const DURATION_EXPECTED = 'a duration with its unit, as 250ms, 1s, 10m or 1h30m';

export const duration = (minMs: number, maxMs: number, expected: string) =>
  text(DURATION, expected).refine(
    (value) => {
      const ms = parseDuration(value);
      return ms === null || (ms >= minMs && ms <= maxMs);
    },
    { error: expected },
  );

export const strict = <T extends z.ZodRawShape>(shape: T) =>
  z.strictObject(shape, {
    error: ({ code }) =>
      code === 'unrecognized_keys' ? `one of ${Object.keys(shape).join(', ')}` : 'a mapping',
  });

export const list = <T extends z.ZodType>(element: T) => z.array(element, { error: 'a list' });

const labelKey = z.string().regex(/^[A-Za-z0-9]([\w./-]{0,61}[A-Za-z0-9])?$/, {
  error: 'a label key: letters, digits and _ . / - between them, at most 63',
});

const labelValue = text(
  /^[\w.-]{0,63}$/,
  'a string of at most 63 letters, digits and _ . -; quote numbers',
);

export const labelMap = z.record(labelKey, labelValue, { error: 'a mapping' });

export const labels = labelMap.default({});

export const ruleMode = z.enum(['enforce', 'count'], { error: 'enforce or count' });

/** Epoch ms of something that ends; null = never. */
export const epochMs = whole(0, Number.MAX_SAFE_INTEGER, 'ms').nullable();

/** A reason, a note: one line for people. */
export const LINE = /^[^\n\0]{0,200}$/;
export const line = text(LINE, 'a text of at most 200 characters on one line');

export const octet = whole(0, 255, 'a whole number from 0 to 255');
