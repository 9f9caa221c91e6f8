/** The command line of Temporal's dev server, tuned (see docs/notes on Temporal's dispatch). */

export interface TemporalServer {
  binary: string;
  /** `0.0.0.0` or 127.0.0.1: with another one its parts look for each other on 127.0.0.1 in vain. */
  address: string;
  port: number;
  uiPort: number;
  /** SQLite file. */
  database: string;
}

/**
 * By default the dev server hands out 20 tasks a second per shard and has one shard, so each hop
 * waits 50 ms; timers are up to 1 s late; each queue has 4 partitions, of which few pollers serve
 * some slowly.
 */
const TUNING = [
  'history.transferProcessorMaxPollRPS=2000',
  'history.timerProcessorMaxPollRPS=2000',
  'history.timerProcessorMaxTimeShift="20ms"',
  'matching.numTaskqueueReadPartitions=1',
  'matching.numTaskqueueWritePartitions=1',
  'frontend.namespaceCount=20000',
];

/**
 * Without these each of the six or so commits of a repair waits for the disk twice. A write-ahead
 * log keeps its consistency through kill -9 of the server; a crash of the whole machine may cost the
 * last moments of a lab, never its database.
 */
const PRAGMAS = ['journal_mode=wal', 'synchronous=normal'];

export const temporalArguments = (server: TemporalServer): string[] => [
  server.binary,
  'server',
  'start-dev',
  `--ip=${server.address}`,
  `--ui-ip=${server.address}`,
  `--port=${server.port}`,
  `--ui-port=${server.uiPort}`,
  `--db-filename=${server.database}`,
  ...PRAGMAS.map((value) => `--sqlite-pragma=${value}`),
  '--log-level=error',
  ...TUNING.map((value) => `--dynamic-config-value=${value}`),
];
