/** Which of two pieces of evidence is the newer one, by nothing that a clock says. */
import type { EvidenceOrder, FailoverEvidence } from '../model/routing-messages';

/**
 * Whether `told` was said before `known`, and came late. Each owner of the service's shard has a higher token than the
 * one before, and counts what it says. What bears no order, as a person's word, is as new as it comes.
 */
export function isOlder(
  told: Pick<FailoverEvidence, 'order'>,
  known: Pick<FailoverEvidence, 'order'>,
): boolean {
  if (told.order === undefined || known.order === undefined) return false;
  return compare(told.order, known.order) < 0;
}

/** Whether it is the same word, said again because nobody knew whether it had arrived. */
export function isSame(
  told: Pick<FailoverEvidence, 'order'>,
  known: Pick<FailoverEvidence, 'order'>,
): boolean {
  if (told.order === undefined || known.order === undefined) return false;
  return compare(told.order, known.order) === 0;
}

const compare = (a: EvidenceOrder, b: EvidenceOrder): number =>
  a.incarnation - b.incarnation || a.owner - b.owner || a.sequence - b.sequence;
