/** Apart from the logger, whose library takes a while to load. `error`: somebody has to act; see logger.ts. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
