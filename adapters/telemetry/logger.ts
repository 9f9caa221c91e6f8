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

/** One manual act, for the audit trail. */
export interface AuditLine {
  audit: true;
  by: string;
  verb: string;
  object: string;
  /** `done`, `refused: …` (nothing was done) or `failed: …` (look what became of it). */
  outcome: string;
  /** As it was given, and what came of it: reasons, regions, revisions, workflows. */
  [fact: string]: unknown;
}

/** Writes who did what: no level leaves such a line out. */
export function auditTo(log: Logger): (line: AuditLine) => void {
  const lines = log.child({}, { level: 'info' });
  return (line) => lines.info(line, line.verb);
}
