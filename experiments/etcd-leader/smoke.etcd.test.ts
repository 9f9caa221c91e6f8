import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutEtcd } from '../../adapters/etcd/testing';
import { SMOKE, measure } from './measure';

test(
  'a killed leader costs us no event, and its peer was hit by it, too',
  { skip: withoutEtcd },
  async () => {
    const [write, lost] = await measure(SMOKE);
    assert.equal(write?.samples.length, SMOKE.writes);
    assert.equal(write.peer?.samples.length, SMOKE.writes);
    assert.ok([...write.samples, ...write.peer.samples].every((ms) => ms > 0 && ms < 60_000));
    assert.deepEqual(lost?.samples, [0, 0]);
    assert.equal(lost.peer?.samples.length, SMOKE.rounds);
  },
);
