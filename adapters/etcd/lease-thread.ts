/**
 * The thread that keeps leases: a loop that thousands of edges hold up when they connect at once (4 ms of it for each
 * handshake) would miss its keepalives. It keeps nothing for a loop that stands still.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { PemFiles } from '../grpc/tls';
import { EtcdClient } from './client';
import { Lease } from './lease';
import {
  cell,
  type FromKeeper,
  type KeeperOptions,
  loadMs,
  sharedNow,
  storeMs,
  type ToKeeper,
} from './lease-protocol';

const { endpoints, writer, tls, beat, hungMs } = workerData as KeeperOptions;
const pem = tls === null ? null : PemFiles.open(tls).watch();
const client = new EtcdClient({
  endpoints,
  writer,
  now: sharedNow,
  ...(pem === null ? {} : { tls: pem }),
});
const turned = cell(beat);
const leases = new Map<number, Lease>();
const tell = (message: FromKeeper): void => parentPort?.postMessage(message);

async function grant({ id, ttlMs, everyMs, valid }: Extract<ToKeeper, { kind: 'grant' }>) {
  const memory = cell(valid);
  const publish = (): void => {
    const lease = leases.get(id);
    if (lease) storeMs(memory, sharedNow() + lease.remainingMs());
  };
  try {
    const mayKeep = (): boolean => sharedNow() - loadMs(turned) < hungMs;
    const lease = await Lease.grant(client, { ttlMs, everyMs, onKept: publish, mayKeep });
    leases.set(id, lease);
    publish();
    lease.ended.addEventListener('abort', () => {
      leases.delete(id);
      storeMs(memory, 0);
      tell({
        kind: 'ended',
        id,
        why: (lease.ended.reason as Error).message.replace(/^lease \d+: /, ''),
      });
    });
    tell({ kind: 'granted', id, leaseId: lease.id });
  } catch (error) {
    tell({ kind: 'refused', id, why: (error as Error).message });
  }
}

async function revoke(id: number, totalMs: number): Promise<void> {
  await leases
    .get(id)
    ?.revoke(totalMs)
    .catch(() => undefined);
  tell({ kind: 'revoked', id });
}

parentPort?.on('message', (message: ToKeeper) => {
  if (message.kind === 'grant') void grant(message);
  else if (message.kind === 'revoke') void revoke(message.id, message.totalMs);
  else {
    pem?.close();
    client.close();
    parentPort?.close();
  }
});
