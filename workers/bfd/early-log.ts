/** A log for what happens before there is one: its library takes longer to load than a session to go on. */
import type { Logger } from '../../adapters/telemetry/logger';
import { monotonicMs } from '../clock';

type Level = 'info' | 'warn' | 'error';

export type Log = Record<Level, (facts: object, text: string) => void>;

export class EarlyLog implements Log {
  private log: Logger | null = null;
  private readonly early: ((log: Logger) => void)[] = [];

  /** From now on it goes there, and first what was said so far. */
  open(log: Logger): void {
    this.log = log;
    for (const say of this.early.splice(0)) say(log);
  }

  info(facts: object, text: string): void {
    this.say('info', facts, text);
  }

  warn(facts: object, text: string): void {
    this.say('warn', facts, text);
  }

  error(facts: object, text: string): void {
    this.say('error', facts, text);
  }

  /** The time of a line is when it is written: `lateMs` is how long before that it was said. */
  private say(level: Level, facts: object, text: string): void {
    if (this.log !== null) return this.log[level](facts, text);
    const saidMs = monotonicMs();
    this.early.push((log) => log[level]({ ...facts, lateMs: monotonicMs() - saidMs }, text));
  }
}
