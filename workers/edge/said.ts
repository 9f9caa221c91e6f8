/** What is said by hand on this host: why, and for how long. */
import { Refused } from '../../adapters/edge-local/server';
import { saidRefusal } from '../../core/model/prefix-entry';
import { epochMs } from '../clock';

/** Epoch ms of its end; null: until it is taken back. Throws Refused where it can't be kept as it was said. */
export function endOfSaid({ reason, forMs }: { reason: string; forMs: number }): number | null {
  const untilMs = forMs === 0 ? null : epochMs() + forMs;
  const wrong = saidRefusal(reason, untilMs);
  if (wrong !== null) throw new Refused(wrong);
  return untilMs;
}
