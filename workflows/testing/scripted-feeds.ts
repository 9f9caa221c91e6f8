/** The port of the activities of blocklists, played by a script. */
import type { BlocklistPort } from '../../activities/blocklists';
import type { FeedOutcome } from '../../core/model/views';

export class ScriptedFeeds implements BlocklistPort {
  readonly asked: string[] = [];
  /** What the next refreshes come to, the first one first. */
  readonly outcomes: (FeedOutcome | Error)[] = [];

  async refresh(blocklist: string): Promise<FeedOutcome> {
    this.asked.push(blocklist);
    const next = this.outcomes.shift() ?? new Error('nothing is scripted');
    if (next instanceof Error) throw next;
    return next;
  }
}
