import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type FilterSpec, plainFilter } from '../model/node';
import { latencyWish, trackWord } from './choice';

const tracked = (name: string, oneFlowIn: number | null): FilterSpec => ({
  ...plainFilter(name),
  latency: oneFlowIn === null ? null : { oneFlowIn },
});
const namespace = (name: string, ...links: string[]) => ({
  name,
  links: links.map((link) => ({
    name: link,
    peer: 'eth0',
    mtu: 1500,
    hostAddresses: [],
    addresses: [],
  })),
  routes: [],
  sysctls: {},
});

it('a track word is off, or on with the greatest hash that is chosen', () => {
  assert.equal(trackWord(null), 0n);
  assert.equal(trackWord({ oneFlowIn: 1 }), 0x1_ffff_ffffn);
  assert.equal(trackWord({ oneFlowIn: 2 }), 0x1_7fff_ffffn);
  assert.equal(trackWord({ oneFlowIn: 1000 }), (1n << 32n) + 4_294_966n);
});

it('nothing is wished for where no filter tracks', () => {
  assert.equal(latencyWish({ filters: [], namespaces: [namespace('edge', 'edge0')] }), null);
  assert.equal(latencyWish({ filters: [tracked('eth0', null)], namespaces: [] }), null);
});

it('packets may leave by links and filtered interfaces, and by nothing else', () => {
  const filters = [tracked('eth1', 64), tracked('eth0', 16), tracked('eth2', null)];
  const namespaces = [namespace('b', 'b0', 'eth0'), namespace('a', 'a0')];
  assert.deepEqual(latencyWish({ filters, namespaces }), {
    ingress: ['eth0', 'eth1'],
    egress: ['a0', 'b0', 'eth0', 'eth1', 'eth2'],
    namespaces: ['a', 'b'],
    oneFlowIn: 16,
  });
});
