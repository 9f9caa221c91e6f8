/**
 * Loads the feed of a blocklist: by its Schedule, or because somebody asks. A feed that fails or is
 * not believed changes nothing; the run completes and says why.
 */
import { isCancellation, setCurrentDetails } from '@temporalio/workflow';
import type { RefreshInput } from '../core/model/messages';
import type { FeedOutcome } from '../core/model/views';
import { reasonOf } from './failures';
import { feedDetails } from './details';
import { checkRefreshInput } from './input';
import { feedOf } from './proxies';

export async function refreshBlocklist(input: RefreshInput): Promise<FeedOutcome> {
  const { blocklist } = checkRefreshInput(input);
  setCurrentDetails(`Loading the feed of ${blocklist}.`);
  const outcome = await load(blocklist);
  setCurrentDetails(feedDetails(blocklist, outcome));
  return outcome;
}

async function load(blocklist: string): Promise<FeedOutcome> {
  try {
    const summary = `the feed of ${blocklist}`;
    const { refreshBlocklist: refresh } = feedOf(blocklist);
    return await refresh.executeWithOptions({ summary }, [{ blocklist }]);
  } catch (error) {
    if (isCancellation(error)) throw error;
    const none = { count: null, added: 0, removed: 0, sha256: null, notes: [] };
    return { outcome: 'kept', problem: reasonOf(error), ...none };
  }
}
