import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AdminError } from '../../adapters/admin/proto';
import { EtcdError } from '../../adapters/etcd/errors';
import { guarded } from './admin-errors';

test('what etcd may have done is told apart from what it certainly did not', async () => {
  const codeOf = async (changed: false | null): Promise<string> => {
    const nobody = {
      code: 'unavailable',
      operation: 'write',
      waitedMs: 5_000,
      members: [],
    } as const;
    const verb = guarded(() => Promise.reject(new EtcdError({ ...nobody, changed })));
    const error: unknown = await verb({}, 'root').catch((reason: unknown) => reason);
    assert.ok(error instanceof AdminError);
    return error.failure.code;
  };
  assert.equal(await codeOf(false), 'unavailable');
  assert.equal(await codeOf(null), 'unknown');
});
