/** Metrics in OpenMetrics text, served on `/metrics`. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { collectDefaultMetrics, type OpenMetricsContentType, Registry } from 'prom-client';

export type MetricsRegistry = Registry<OpenMetricsContentType>;

/**
 * Upper bounds of a dense histogram in seconds: eight a doubling, so that a quantile read from it is
 * off by at most 2^(1/8) − 1 = 9 %. `from` and `to` are powers of two times a second.
 */
export function denseBuckets(fromS: number, toS: number): number[] {
  const count = Math.round(Math.log2(toS / fromS) * 8);
  return Array.from({ length: count + 1 }, (_, i) => Number((fromS * 2 ** (i / 8)).toPrecision(6)));
}

/** 1 ms … 16 s: from a kernel event to a repair that had to wait for its autonomy. */
export const LATENCY_BUCKETS = denseBuckets(1 / 1024, 16);

/** A registry of its own for each process; `prefix` for what Node says of itself. */
export function createRegistry(prefix: string): MetricsRegistry {
  const registry: MetricsRegistry = new Registry();
  // Exemplars exist in this format only.
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  collectDefaultMetrics({ register: registry, prefix, eventLoopMonitoringPrecision: 1000 });
  return registry;
}

export interface MetricsServer {
  /** The port that was taken, where 0 was asked for. */
  port: number;
  close(): Promise<void>;
}

export async function serveMetrics(
  listen: string,
  registry: MetricsRegistry,
): Promise<MetricsServer> {
  const { host, port } = hostPort(listen);
  const server = createServer((request, response) => {
    if (request.url !== '/metrics') {
      response.writeHead(404).end('only /metrics is here\n');
      return;
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
      (error: unknown) => response.writeHead(500).end(`${String(error)}\n`),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** `127.0.0.1:9701`, `[::1]:9701`. */
function hostPort(listen: string): { host: string; port: number } {
  const match = /^(?:\[(.+)\]|([^:]+)):(\d{1,5})$/.exec(listen);
  if (match === null) throw new Error(`"${listen}" is not HOST:PORT`);
  return { host: match[1] ?? match[2] ?? '', port: Number(match[3]) };
}
