/** What somebody else can bring about as often as he likes, told once in a while of each of them. */
export class Seldom {
  readonly #told = new Map<string, { atMs: number; more: number }>();

  constructor(private readonly everyMs: number) {}

  /** Null: not now. Else how many were not told since. */
  due(who: string): number | null {
    const nowMs = performance.now();
    const last = this.#told.get(who);
    if (last !== undefined && nowMs - last.atMs < this.everyMs) {
      last.more++;
      return null;
    }
    this.#told.set(who, { atMs: nowMs, more: 0 });
    return last?.more ?? 0;
  }
}
