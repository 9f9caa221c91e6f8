/** Writes only the newest of what it is given: what comes while one is being written is one write. */

/** What could not be written is tried again after this. */
const RETRY_MS = 5_000;

export class Newest<T> {
  private waiting: T | null = null;
  private writing: Promise<void> | null = null;

  /** `write`: null once it is durable, else why it is not. */
  constructor(private readonly write: (value: T) => Promise<string | null>) {}

  save(value: T): void {
    this.waiting = value;
    this.writing ??= this.writeAll().finally(() => (this.writing = null));
  }

  /** Resolves when nothing waits to be written. */
  async flushed(): Promise<void> {
    while (this.writing !== null) await this.writing;
  }

  private async writeAll(): Promise<void> {
    for (let next = this.waiting; next !== null; next = this.waiting) {
      this.waiting = null;
      const value = next;
      if ((await this.write(value)) === null) continue;
      // Does not keep a process alive that has nothing else to do.
      setTimeout(() => this.save(this.waiting ?? value), RETRY_MS).unref();
    }
  }
}
