/** What others assign by, in plain form: murmur3 and nothing of ours but that. */
import { utf8 } from '../../core/model/hash';
import { murmur3, murmur3Ascii } from '../../core/ring/murmur3';

const hashOf = (text: string): number => murmur3Ascii(text) ?? murmur3(utf8(text));

/** Highest random weight (Thaler and Ravishankar 1998) by shard: the owner of each. */
export function rendezvous(members: readonly string[], shards: number): string[] {
  return Array.from({ length: shards }, (_, shard) =>
    members.reduce((best, each) =>
      hashOf(`${each}/${shard}`) > hashOf(`${best}/${shard}`) ? each : best,
    ),
  );
}

/** A ring of points (Karger et al. 1997), as ketama, ringpop and many others have it. */
export class PointRing {
  readonly #points: { at: number; member: string }[];

  constructor(members: readonly string[], pointsEach = 160) {
    this.#points = members
      .flatMap((member) =>
        Array.from({ length: pointsEach }, (_, i) => ({ at: hashOf(`${member}#${i}`), member })),
      )
      .sort((a, b) => a.at - b.at);
  }

  ownerOf(key: string): string {
    const hash = hashOf(key);
    let [low, high] = [0, this.#points.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#points[middle]?.at ?? 0) < hash) low = middle + 1;
      else high = middle;
    }
    return (this.#points[low] ?? this.#points[0])?.member ?? '';
  }
}
