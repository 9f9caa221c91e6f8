/**
 * News that is passed on with whatever is sent, each a limited number of times (memberlist's queue.go): the least told
 * first, the longest of these, the latest of these; at most one of each member.
 */
import { retransmitLimit } from './arithmetic';
import type { Broadcast, Message } from './types';
import { messageBytes } from './wire';

/** Of a part in a compound packet: its length. */
const PART_BYTES = 2;

export const enqueue = (
  queue: readonly Broadcast[],
  name: string,
  message: Message,
  id: number,
): Broadcast[] => [
  ...queue.filter((other) => other.name !== name),
  { name, message, bytes: messageBytes(message), transmits: 0, id },
];

const before = (a: Broadcast, b: Broadcast): number =>
  a.transmits - b.transmits || b.bytes - a.bytes || b.id - a.id;

/** What fits into `room` bytes, and the queue after it was sent. */
export function take(
  queue: readonly Broadcast[],
  room: number,
  limits: { retransmit: number; members: number },
): { messages: Message[]; queue: readonly Broadcast[] } {
  if (queue.length === 0) return { messages: [], queue };
  const limit = retransmitLimit(limits.retransmit, limits.members);
  const messages: Message[] = [];
  let free = room;
  const kept = [...queue].sort(before).flatMap((broadcast) => {
    const bytes = broadcast.bytes + PART_BYTES;
    if (bytes > free) return [broadcast];
    free -= bytes;
    messages.push(broadcast.message);
    const transmits = broadcast.transmits + 1;
    return transmits >= limit ? [] : [{ ...broadcast, transmits }];
  });
  return { messages, queue: kept };
}
