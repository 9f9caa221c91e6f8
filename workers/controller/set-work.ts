/** What is done with large sets, by name: pure functions over plain data, for any thread. */
import { deltaOf } from '../../core/filter/delta';
import { mergeEntries, refreshFeed } from '../../core/filter/feed-refresh';

export const WORK = { refreshFeed, mergeEntries, deltaOf } as const;
export type SetWork = keyof typeof WORK;
