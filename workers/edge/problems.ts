/** What is wrong with the agent itself, for as long as it is: shown in status, metrics and log. */
import type { Logger } from '../../adapters/telemetry/logger';

export class Problems {
  private readonly byKey = new Map<string, string>();

  constructor(private readonly log: Logger) {}

  set(key: string, message: string): void {
    if (this.byKey.get(key) !== message) this.log.warn({ problem: message }, 'a problem arose');
    this.byKey.set(key, message);
  }

  clear(key: string): void {
    const problem = this.byKey.get(key);
    if (this.byKey.delete(key)) this.log.info({ problem }, 'a problem is over');
  }

  list(): string[] {
    return [...this.byKey.values()];
  }
}
