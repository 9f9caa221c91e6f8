/** Host events on their way to the machine: what arrives in one read of a socket is told as one. */
import type { HostEvent } from '../../core/model/host';
import { suspectOf } from './suspect';

type Tell = (event: HostEvent, suspect: string | null) => void;

/**
 * A change brings dozens of events along (routes, addresses of IPv6), and the machine needs no more
 * than the first, and whoever any of them names. Nothing is held back: they are told as soon as the
 * socket's callback has returned.
 */
export function gathered(tell: Tell): (event: HostEvent) => void {
  let first: HostEvent | null = null;
  let suspect: string | null = null;
  const asked = new Set<number>();
  const flush = (): void => {
    if (first !== null) tell(first, suspect);
    first = suspect = null;
    asked.clear();
  };
  return (event) => {
    if (first === null) queueMicrotask(flush);
    first ??= event;
    const { portId } = event;
    if (suspect !== null || portId === null || asked.has(portId)) return;
    asked.add(portId);
    suspect = suspectOf(portId);
  };
}
