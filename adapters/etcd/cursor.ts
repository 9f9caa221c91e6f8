/**
 * Where a watch goes on after its stream was cut: the rule that decides whether events are lost.
 *
 * Every message carries the store's revision in its header, and that runs ahead: while a watch is
 * catching up, the header says 20,000 over an event of revision 2,000. So only what was *received*
 * moves the cursor.
 */
import type { KeyValue } from './port';

export type WatchEvent =
  | { readonly kind: 'put'; readonly entry: KeyValue }
  | { readonly kind: 'delete'; readonly key: string; readonly modRevision: number };

export interface WatchMessage {
  /** The store's revision when it was sent. */
  readonly headerRevision: number;
  /** In the order of their revisions. Empty: a progress report, sent only to a synced watch. */
  readonly events: readonly WatchEvent[];
  /** More events of the last one's revision follow in the next message. */
  readonly fragment: boolean;
}

export const revisionOfEvent = (event: WatchEvent): number =>
  event.kind === 'put' ? event.entry.modRevision : event.modRevision;

/** The first revision still wanted, after `message` came to a watch that wanted `next`. */
export function advance(next: number, message: WatchMessage): number {
  const last = message.events.at(-1);
  if (!last) return Math.max(next, message.headerRevision + 1);
  // A revision may be split over messages: until its last part is here, ask for all of it again.
  return Math.max(next, revisionOfEvent(last) + (message.fragment ? 0 : 1));
}
