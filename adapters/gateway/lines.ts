/** `hasWaited`: for others, before it. */
type Go = (hasWaited: boolean) => void;

/** Polls that take turns: of those of one line, one is under way. */
export class Lines {
  /** The first of each is under way. */
  readonly #lines = new Map<string, Go[]>();

  /** `go` is called at once, or when those before it have ended; whoever began it ends it. */
  begin(line: string, go: Go): void {
    const waiting = this.#lines.get(line);
    if (waiting !== undefined) {
      waiting.push(go);
      return;
    }
    this.#lines.set(line, [go]);
    go(false);
  }

  /** Whether it was under way or waited. */
  end(line: string, go: Go): void {
    const waiting = this.#lines.get(line) ?? [];
    const at = waiting.indexOf(go);
    if (at === -1) return;
    waiting.splice(at, 1);
    if (waiting.length === 0) this.#lines.delete(line);
    else if (at === 0) waiting[0]?.(true);
  }
}
