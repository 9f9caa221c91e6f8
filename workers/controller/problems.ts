/** Values in etcd that can't be read are ignored, so somebody has to hear of them: each once. */
import type { Logger } from 'pino';

export class Problems {
  readonly #told = new Map<string, string>();

  constructor(private readonly log: Logger) {}

  /** By key: what was found there and could not be read. */
  tell(problems: ReadonlyMap<string, string>): void {
    for (const [key, reason] of problems) {
      if (this.#told.get(key) === reason) continue;
      this.#told.set(key, reason);
      this.log.error({ key, reason }, 'a value in etcd is ignored; the last good one stands');
    }
    for (const key of this.#told.keys()) if (!problems.has(key)) this.#told.delete(key);
  }
}
