/**
 * Verbs on blocklists, run by the controller that owns the shard of the list's name. What a feed
 * holds never comes here: results say how many, not which.
 */
import type { FeedOutcome } from '../core/model/views';
import { assertInput, badNode, callPort } from './failures';

export interface BlocklistPort {
  /**
   * Loads the feed and, where it is believed, makes it count. Whatever is wrong with the feed is an
   * outcome (`kept`: the list before it stands); throws only where nobody can tell now.
   */
  refresh(blocklist: string, ended: AbortSignal): Promise<FeedOutcome>;
}

export type BlocklistActivities = ReturnType<typeof createBlocklistActivities>;

/** The names of these methods are a contract with running workflows: add, never rename. */
export function createBlocklistActivities(port: BlocklistPort) {
  return {
    async refreshBlocklist({ blocklist }: { blocklist: string }): Promise<FeedOutcome> {
      assertInput({ 'blocklist is not a DNS label': badNode(blocklist) });
      return callPort((cancelled) => port.refresh(blocklist, cancelled));
    },
  };
}
