/** What others reach: the log, the socket, gobgpd, metrics. Loaded once the sessions run. */
import { type BfdPort, type BfdServer, serveBfd } from '../../adapters/bfd/server';
import { GobgpClient } from '../../adapters/gobgp/client';
import { createLogger, type Logger } from '../../adapters/telemetry/logger';
import { serveMetrics } from '../../adapters/telemetry/metrics';
import type { BfdConfig } from '../config/bfd';
import { type BfdMetrics, createBfdMetrics } from './metrics';
import { Speaker, type SpeakerHooks } from './speaker';

export interface Outside {
  server: BfdServer;
  speaker: Speaker;
  metrics: BfdMetrics;
  closeMetrics(): Promise<void>;
}

export const openLog = ({ logLevel }: BfdConfig): Logger =>
  createLogger(logLevel, { process: 'bfd' });

export async function serveOutside(
  config: BfdConfig,
  log: Logger,
  hooks: BfdPort & SpeakerHooks,
): Promise<Outside> {
  const metrics = createBfdMetrics(() => hooks.report());
  const server = await serveBfd(config.socket, hooks);
  const { close: closeMetrics } = await serveMetrics(config.metricsListen, metrics.registry);
  const speaker = new Speaker(new GobgpClient(config.gobgpSocket), hooks, log);
  return { server, speaker, metrics, closeMetrics };
}
