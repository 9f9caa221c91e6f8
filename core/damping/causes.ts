/** What a penalty is given for. One cause once, however many events and updates it makes (RFC 7196 §3). */
import type { RoutingEvent } from '../model/routing';

export const CAUSES = ['bfdDown', 'bgpDown', 'leaving', 'agentCrash', 'drift'] as const;
export type Cause = (typeof CAUSES)[number];

/** What concerns no upstream but the node as a whole. */
export const WHOLE_NODE = '*';

export const WEIGHTS: Record<Cause, number> = {
  bfdDown: 1_000,
  bgpDown: 1_000,
  /** A proof was lost: the node stopped announcing a service, or announces it as the last choice. */
  leaving: 500,
  agentCrash: 500,
  /** The host was found to differ from its spec, and not because the spec had changed. */
  drift: 250,
};

/**
 * What an administrator wanted weighs nothing, neither does what follows from another event that is
 * told by itself; coming back is no cause either: it was paid for when it went.
 */
export function causeOf(event: RoutingEvent): { upstream: string; cause: Cause } | null {
  switch (event.kind) {
    case 'bfdDown':
    case 'bgpDown':
      return event.cause === 'path' ? { upstream: event.peer, cause: event.kind } : null;
    case 'stance':
      return event.cause === 'path' && event.from === 'announce'
        ? { upstream: WHOLE_NODE, cause: 'leaving' }
        : null;
    case 'agentCrash':
      return { upstream: WHOLE_NODE, cause: 'agentCrash' };
    case 'bfdUp':
    case 'bgpUp':
      return null;
    default:
      // Of an agent that is newer than we are.
      return null;
  }
}
