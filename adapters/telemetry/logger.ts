/**
 * Structured logs, one JSON object a line on stdout. Levels: `error` somebody has to act; `warn` it
 * goes on, but not as it should; `info` what changed; `debug` what was looked at.
 */
import { pino, type Logger } from 'pino';
import type { LogLevel } from './levels';

export type { Logger };

/** `bindings` come first on every line, e.g. `{ node: 'fra-1' }`. Written at once: no worker thread. */
export const createLogger = (level: LogLevel, bindings: Record<string, unknown>): Logger =>
  pino({
    level,
    base: bindings,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    // What an Error holds is not enumerable: without this it would be logged as {}.
    serializers: { error: pino.stdSerializers.err },
  });

/** The same, for lines that no level leaves out: who did what. */
export const auditLogger = (log: Logger): Logger => log.child({}, { level: 'info' });
