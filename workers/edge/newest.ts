/** Writes only the newest of what it is given: what comes while one is being written is one write. */

/** What could not be written is tried again after this. */
const RETRY_MS = 5_000;

export class Newest<T> {
  /** The newest, as long as it is not on the disk. */
  private unwritten: { value: T } | null = null;
  private writing: Promise<void> | null = null;
  private retry: NodeJS.Timeout | null = null;

  /** `write`: null once it is durable, else why it is not. */
  constructor(
    private readonly write: (value: T) => Promise<string | null>,
    private readonly retryMs = RETRY_MS,
  ) {}

  save(value: T): void {
    this.unwritten = { value };
    this.writing ??= this.writeAll();
  }

  /** Resolves when everything was tried; what the disk refused waits for its next try. */
  async flushed(): Promise<void> {
    while (this.writing !== null) await this.writing;
  }

  private async writeAll(): Promise<void> {
    while (this.unwritten !== null) {
      const { unwritten } = this;
      const error = await this.write(unwritten.value);
      // Whatever became of it: what came meanwhile is newer.
      if (this.unwritten !== unwritten) continue;
      if (error === null) this.unwritten = null;
      else {
        this.later();
        break;
      }
    }
    this.writing = null;
  }

  private later(): void {
    // Does not keep a process alive that has nothing else to do.
    this.retry ??= setTimeout(() => {
      this.retry = null;
      if (this.unwritten !== null) this.writing ??= this.writeAll();
    }, this.retryMs).unref();
  }
}
