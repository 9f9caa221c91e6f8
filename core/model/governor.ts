/**
 * The withdrawal governor (design §5): what binds commands that take announcers away. Autonomous reactions
 * of an edge are bound by permits (`permits.ts`) instead.
 */
import { z } from 'zod';
import type { NodeName } from './ids';
import type { Parsed } from './values';

/** Key `governor`: the commands of the last window that made somebody withdraw. */
export interface GovernorValue {
  withdrawals: { atMs: number; what: string; by: string }[];
}

export interface GovernorLimits {
  /** So many withdrawals by command … */
  most: number;
  /** … within so long. */
  windowMs: number;
}

export const DEFAULT_LIMITS: GovernorLimits = { most: 10, windowMs: 60_000 };

const schema: z.ZodType<GovernorValue> = z.strictObject({
  withdrawals: z.array(
    z.strictObject({ atMs: z.int().nonnegative(), what: z.string(), by: z.string() }),
  ),
});

export const parseGovernor = (text: string): Parsed<GovernorValue> => {
  let json: unknown;
  try {
    // Written empty before there was anything to remember.
    json = text === '' ? { withdrawals: [] } : JSON.parse(text);
  } catch (error) {
    return { ok: false, reason: String(error) };
  }
  const result = schema.safeParse(json);
  if (result.success) return { ok: true, value: result.data };
  return { ok: false, reason: z.prettifyError(result.error) };
};

/** With this withdrawal, or when there is room for it. Null: one that is no withdrawal. */
export function admitted(
  governor: GovernorValue,
  withdrawal: { what: string; by: string } | null,
  nowMs: number,
  { most, windowMs }: GovernorLimits,
): { ok: true; next: GovernorValue } | { ok: false; freesAtMs: number } {
  // A clock that was set back must not lock the governor.
  const recent = governor.withdrawals.filter(({ atMs }) => Math.abs(nowMs - atMs) < windowMs);
  if (withdrawal === null) return { ok: true, next: { withdrawals: recent } };
  const oldest = recent[recent.length - most];
  if (oldest !== undefined) return { ok: false, freesAtMs: oldest.atMs + windowMs };
  return { ok: true, next: { withdrawals: [...recent, { atMs: nowMs, ...withdrawal }] } };
}

/** What is known of one service when somebody is about to be told to withdraw it. */
export interface FloorPicture {
  service: string;
  floor: number;
  /** Seen to announce it. */
  announcers: readonly NodeName[];
  /** Commanded to withdraw it already, whatever is seen. */
  withdrawing: ReadonlySet<NodeName>;
  /** May withdraw it by themselves at any time. */
  permitted: ReadonlySet<NodeName>;
  /** Of those that announce: their proof is lost, so nobody can rest on them. */
  unproven: ReadonlySet<NodeName>;
}

export type FloorVerdict =
  | { ok: true; left: NodeName[] }
  /** `permits`: it would hold, were some of them given back. */
  | { ok: false; why: 'floor' | 'permits'; left: NodeName[]; spare: NodeName[] };

/** Whether `leaving` may go; who does not announce is no loss. */
export function floorHolds(picture: FloorPicture, leaving: ReadonlySet<NodeName>): FloorVerdict {
  const { announcers, withdrawing, permitted, unproven, floor } = picture;
  const present = announcers.filter((node) => !withdrawing.has(node));
  const left = present.filter((node) => !leaving.has(node) && !unproven.has(node));
  if (!present.some((node) => leaving.has(node))) return { ok: true, left };
  const spare = left.filter((node) => permitted.has(node));
  if (left.length < floor) return { ok: false, why: 'floor', left, spare };
  return left.length - spare.length < floor
    ? { ok: false, why: 'permits', left, spare }
    : { ok: true, left };
}
