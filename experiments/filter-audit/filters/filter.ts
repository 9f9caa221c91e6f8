/** What the audit wants of a filter. */
import type { Timed } from '../commands';
import type { List, ListKind } from '../prefixes';
import type { Receiver } from '../topology';

/** `drop`: all sources are listed; `pass`: none is. */
export type Kind = 'drop' | 'pass';

/** A list as the tools want it, prepared before the clock runs. */
export interface Job {
  list: List;
  texts: readonly string[];
  /** A directory of its own, for input files. */
  scratch: string;
  timeoutS: number;
}

export interface Loaded extends Timed {
  /** What the filter itself says of its memory, bytes; null: it says nothing. */
  claimedBytes: number | null;
}

export interface Filter {
  name: string;
  /** Null: it knows no list, and is measured once. */
  list: ListKind | null;
  /** Lists that it is measured with, by their length. */
  entries: readonly number[];
  kinds: readonly Kind[];
  /** Why it is not measured with longer ones; null: there are none. */
  limit: string | null;
  /** Why this machine can't measure it; null: it can. */
  missing: () => string | null;
  version: () => string | null;
  load: (receiver: Receiver, job: Job) => Promise<Loaded>;
}
