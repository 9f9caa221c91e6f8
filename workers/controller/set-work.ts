/** What is done with large sets, by name: pure functions over plain data, for any thread. */
import { createHash } from 'node:crypto';
import { deltaOf } from '../../core/filter/delta';
import { mergeEntries, refreshFeed } from '../../core/filter/feed-refresh';

/** A blob as it is kept. */
interface Pieced {
  /** Of the whole, hex. */
  sha256: string;
  pieces: readonly Uint8Array[];
}

function whole({ sha256, pieces }: Pieced): Uint8Array {
  const blob = Buffer.concat(pieces);
  if (createHash('sha256').update(blob).digest('hex') === sha256) return blob;
  throw new Error(`these pieces do not make ${sha256}`);
}

/** As `deltaOf`. Throws where the pieces are those of another blob. */
const deltaOfPieces = ({ from, to }: { from: Pieced; to: Pieced }): Uint8Array | null =>
  deltaOf({ from: whole(from), to: whole(to) });

export const WORK = { refreshFeed, mergeEntries, deltaOfPieces } as const;
export type SetWork = keyof typeof WORK;
