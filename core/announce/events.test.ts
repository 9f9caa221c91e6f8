import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  acknowledge,
  EMPTY_OUTBOX,
  enqueue,
  OUTBOX_MAX,
  stanceChanges,
  type Outbox,
  type UnnumberedEvent,
} from './events';

const up = (atMs: number): UnnumberedEvent => ({ kind: 'bfdUp', peer: '10.0.0.1', atMs });

test('numbers rise, also where the clock went back and where the memory was lost', () => {
  const first = enqueue(EMPTY_OUTBOX, [up(1), up(2)], 1_000);
  assert.deepEqual(
    first.unsent.map(({ sequence }) => sequence),
    [1_000, 1_001],
  );
  assert.equal(enqueue(first, [up(3)], 10).lastSequence, 1_002);
  assert.equal(enqueue(EMPTY_OUTBOX, [up(3)], 2_000).lastSequence, 2_000);
});

test('an acknowledgement takes what it names, once, and nothing that was never sent', () => {
  const box = enqueue(EMPTY_OUTBOX, [up(1), up(2), up(3)], 100);
  const left = acknowledge(box, 101);
  assert.deepEqual(
    left.unsent.map(({ sequence }) => sequence),
    [102],
  );
  assert.equal(acknowledge(left, 101), left);
  assert.equal(acknowledge(left, 1_000_000), left);
  assert.deepEqual(acknowledge(left, 102).unsent, []);
});

test('without a controller the newest are kept, and those that went are counted', () => {
  const many = Array.from({ length: OUTBOX_MAX + 5 }, (_, i) => up(i));
  const box = enqueue(EMPTY_OUTBOX, many, 1);
  assert.equal(box.unsent.length, OUTBOX_MAX);
  assert.equal(box.dropped, 5);
  assert.equal(box.unsent.at(-1)?.atMs, OUTBOX_MAX + 4);
});

test('no sequence is given twice, whatever comes', () => {
  const act = fc.oneof(
    fc.record({ events: fc.nat(5), nowMs: fc.nat(1_000) }),
    fc.record({ ack: fc.nat(2_000) }),
  );
  fc.assert(
    fc.property(fc.array(act, { maxLength: 40 }), (acts) => {
      let box: Outbox = EMPTY_OUTBOX;
      let highest = -1;
      for (const each of acts) {
        if ('ack' in each) {
          box = acknowledge(box, each.ack);
          continue;
        }
        const before = new Set(box.unsent);
        box = enqueue(
          box,
          Array.from({ length: each.events }, (_, i) => up(i)),
          each.nowMs,
        );
        for (const event of box.unsent) {
          if (before.has(event)) continue;
          assert.ok(event.sequence > highest);
          highest = event.sequence;
        }
      }
      assert.ok(box.unsent.length <= OUTBOX_MAX);
    }),
  );
});

const judgement = (stance: 'announce' | 'withdraw', why: string[] = []) => ({
  service: 'dns',
  stance,
  why,
  paths: [],
  proven: stance === 'announce',
});

test('a change of stance is one event, with what it was and why', () => {
  const first = stanceChanges({}, [judgement('announce')], 10);
  assert.deepEqual(first.events, [
    {
      kind: 'stance',
      atMs: 10,
      service: 'dns',
      from: 'withdraw',
      to: 'announce',
      why: 'proven',
      cause: 'path',
    },
  ]);
  const same = stanceChanges(first.standings, [judgement('announce')], 20);
  assert.deepEqual(same.events, []);
  assert.equal(same.standings['dns']?.sinceMs, 10);
  const lost = stanceChanges(same.standings, [judgement('withdraw', ['link edge0 is down'])], 30);
  assert.deepEqual(lost.events, [
    {
      kind: 'stance',
      atMs: 30,
      service: 'dns',
      from: 'announce',
      to: 'withdraw',
      why: 'link edge0 is down',
      cause: 'path',
    },
  ]);
  const drained = [{ ...judgement('withdraw', ['drained']), proven: true }];
  const told = stanceChanges(first.standings, drained, 35).events[0];
  assert.equal(told?.kind === 'stance' ? told.cause : null, 'administrative');
  const gone = stanceChanges(first.standings, [], 40);
  assert.equal(gone.events.length, 1);
  assert.deepEqual(gone.standings, {});
});
