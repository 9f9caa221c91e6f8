import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { assignSlots, CONFIG_BYTES, decodeConfig, encodeConfig, type Slot, SLOTS } from './config';

const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const name = fc.stringMatching(/^[a-z0-9._-]{1,15}$/);
const plain = { noNullPrototype: true };
const slot = fc.record({ ifindex: fc.nat(), name }, plain);
const slots = fc.array(fc.option(slot), { minLength: SLOTS, maxLength: SLOTS });
const distinct = fc.uniqueArray(slot, { maxLength: SLOTS + 3, selector: (one) => one.name });

it('a config is read as it was written', () => {
  const configs = fc.record({ abi: fc.nat(), track: u64, taiOffsetNs: u64, slots }, plain);
  fc.assert(
    fc.property(configs, (config) => {
      const bytes = encodeConfig(config);
      assert.equal(bytes.length, CONFIG_BYTES);
      assert.deepEqual(decodeConfig(bytes), config);
    }),
  );
});

describe('slots', () => {
  const free = Array.from({ length: SLOTS }, () => null);

  it('hold whoever is wanted, each once, as far as they reach', () => {
    fc.assert(
      fc.property(distinct, distinct, (before, wanted) => {
        const former = assignSlots(free, before).slots;
        const now = assignSlots(former, wanted);
        const held = now.slots.filter((one): one is Slot => one !== null);
        assert.equal(held.length, Math.min(SLOTS, wanted.length));
        assert.deepEqual(
          [...held.map((one) => one.name), ...now.unplaced].sort(),
          wanted.map((one) => one.name).sort(),
        );
      }),
    );
  });

  it('stay with their interface, under whatever ifindex; others begin anew', () => {
    const former = assignSlots(free, [
      { ifindex: 2, name: 'eth0' },
      { ifindex: 3, name: 'eth1' },
    ]).slots;
    const now = assignSlots(former, [
      { ifindex: 9, name: 'eth1' },
      { ifindex: 4, name: 'eth2' },
    ]);
    assert.deepEqual(now.slots.slice(0, 2), [
      { ifindex: 4, name: 'eth2' },
      { ifindex: 9, name: 'eth1' },
    ]);
    assert.deepEqual(now.fresh, [0]);
  });
});
