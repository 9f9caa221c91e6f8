/** What is wrong with the agent itself, for as long as it is: shown in status, metrics and log. */
import type { Logger } from '../../adapters/telemetry/logger';
import type { EdgeMetrics } from './metrics';

export class Problems {
  private readonly byKey = new Map<string, string>();

  constructor(
    private readonly log: Logger,
    private readonly metrics: Pick<EdgeMetrics, 'problems'>,
  ) {}

  set(key: string, message: string): void {
    if (this.byKey.get(key) !== message) this.log.warn({ problem: message }, 'a problem arose');
    this.byKey.set(key, message);
    this.metrics.problems.set(this.byKey.size);
  }

  clear(key: string): void {
    const problem = this.byKey.get(key);
    if (!this.byKey.delete(key)) return;
    this.log.info({ problem }, 'a problem is over');
    this.metrics.problems.set(this.byKey.size);
  }

  list(): string[] {
    return [...this.byKey.values()];
  }
}
