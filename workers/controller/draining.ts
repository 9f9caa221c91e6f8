/** What a controller's key says of its leaving: any controller may write it, of any. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { EtcdClient } from '../../adapters/etcd/client';
import { type Change, unchanged } from '../../adapters/etcd/port';
import { keys } from '../../core/model/keys';
import { valueText } from '../../core/model/values';
import type { ControllerId } from '../../core/ring/types';
import type { RingPicture } from './ring-picture';

/**
 * Sets or takes back what a controller's key says of draining; the key stays on that controller's lease, and a
 * new run begins without. False: it is not registered.
 */
export async function setDraining(
  etcd: EtcdClient,
  picture: RingPicture,
  id: ControllerId,
  draining: boolean,
  totalMs: number,
): Promise<boolean> {
  const endsAt = performance.now() + totalMs;
  for (;;) {
    const found = picture.registration(id);
    if (typeof found?.leaseId !== 'string') return false;
    const { leaseId, revision, id: _, ...value } = found;
    if (value.draining === draining) return true;
    const put: Change = {
      op: 'put',
      key: keys.controller(id),
      value: valueText({ ...value, draining }),
      leaseId,
    };
    const leftMs = endsAt - performance.now();
    if (leftMs <= 0) throw new Error(`the registration of ${id} changes all the time`);
    const outcome = await etcd.write([unchanged(keys.controller(id), revision)], [put], leftMs);
    if (outcome.committed) return true;
    // It has changed since the watch told: wait for the watch.
    await sleep(20);
  }
}
