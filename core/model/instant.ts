/** Instants as users write them: ISO 8601 (RFC 3339), `2026-12-01T00:00:00Z`. Epoch ms inside. */

const INSTANT =
  /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,3}))?)?(?:Z|([+-])(\d\d):(\d\d))$/;

/** The last moment that a Date can be (ECMA-262, Time Values and Time Range). */
const LAST_MS = 8.64e15;

/** Whether people can be told of it as a date. */
export const isInstant = (ms: number): boolean => ms >= 0 && ms <= LAST_MS;

const MINUTE = 60_000;
const HOUR = 3_600_000;
const DAY = 86_400_000;
/** Days from 0000-03-01 to 1970-01-01. */
const EPOCH_DAYS = 719_468;

/**
 * Days since the epoch of a day of the Gregorian calendar; months of a year that begins in March, so
 * that the leap day is its last (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
 */
const daysOf = (year: number, month: number, day: number): number => {
  const y = month <= 2 ? year - 1 : year;
  const months = (month + 9) % 12;
  const ofYear = Math.floor((153 * months + 2) / 5) + day - 1;
  const leaps = Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400);
  return 365 * y + leaps + ofYear - EPOCH_DAYS;
};

/** The inverse of `daysOf`. */
const civilOf = (days: number): [year: number, month: number, day: number] => {
  const z = days + EPOCH_DAYS;
  const era = Math.floor(z / 146_097);
  const ofEra = z - era * 146_097;
  const yearOfEra = Math.floor(
    (ofEra - Math.floor(ofEra / 1_460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) /
      365,
  );
  const ofYear =
    ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const months = Math.floor((5 * ofYear + 2) / 153);
  const day = ofYear - Math.floor((153 * months + 2) / 5) + 1;
  const month = months < 10 ? months + 3 : months - 9;
  return [yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day];
};

/** Epoch ms, or null where `text` is no instant since 1970: no zone, or the 30th of February. */
export const parseInstant = (text: string): number | null => {
  const match = INSTANT.exec(text);
  if (match === null) return null;
  const part = (i: number): number => Number(match[i] ?? 0);
  const [year, month, day, hour, minute, second] = [1, 2, 3, 4, 5, 6].map(part) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59) return null;
  const [offsetHours, offsetMinutes] = [part(9), part(10)];
  if (offsetHours > 23 || offsetMinutes > 59) return null;
  const days = daysOf(year, month, day);
  // A day that its month does not have would be one of the next month.
  if (civilOf(days)[1] !== month) return null;
  const offset = (offsetHours * HOUR + offsetMinutes * MINUTE) * (match[8] === '-' ? -1 : 1);
  const fraction = Number((match[7] ?? '').padEnd(3, '0'));
  const ms = days * DAY + hour * HOUR + minute * MINUTE + second * 1_000 + fraction - offset;
  return ms >= 0 ? ms : null;
};

const digits = (value: number, width: number): string => String(value).padStart(width, '0');

/** `parseInstant` reads it back as `ms` (a whole number, up to the year 9999). */
export const formatInstant = (ms: number): string => {
  const [year, month, day] = civilOf(Math.floor(ms / DAY));
  const [hour, minute, second, rest] = [
    Math.floor((ms % DAY) / HOUR),
    Math.floor((ms % HOUR) / MINUTE),
    Math.floor((ms % MINUTE) / 1_000),
    ms % 1_000,
  ];
  const fraction = rest === 0 ? '' : `.${digits(rest, 3)}`;
  return (
    `${digits(year, 4)}-${digits(month, 2)}-${digits(day, 2)}` +
    `T${digits(hour, 2)}:${digits(minute, 2)}:${digits(second, 2)}${fraction}Z`
  );
};
