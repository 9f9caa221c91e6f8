import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Writer } from './bytes';
import { NLMSG, NLM_F, RTM } from './consts';
import { Exchange, type Outcome, type Sendable } from './exchange';
import { encodeDelLink, encodeDumpLinks, encodeGetLink } from './link';

const seqOf = ({ bytes, seq }: Sendable): number => {
  assert.equal(new DataView(bytes.buffer, bytes.byteOffset).getUint32(8, true), seq);
  return seq;
};

function reply(type: number, flags: number, seq: number, payload: number[] = []): Uint8Array {
  const w = new Writer();
  w.u32(16 + payload.length * 4)
    .u16(type)
    .u16(flags)
    .u32(seq)
    .u32(0);
  for (const word of payload) w.u32(word);
  return w.finish();
}

const ack = (seq: number, errno = 0): Uint8Array =>
  reply(NLMSG.ERROR, NLM_F.CAPPED, seq, [-errno, 16, 0, 0, 0]);

/** An exchange with what became of each request, in the order of submission. */
function setup(window?: number) {
  const exchange = new Exchange(window);
  const outcomes: (Outcome | null)[] = [];
  const objects: number[] = [];
  const submit = (bytes: Uint8Array): void => {
    const index = outcomes.push(null) - 1;
    exchange.submit({
      bytes,
      onMessage: () => (objects[index] = (objects[index] ?? 0) + 1),
      onEnd: (outcome) => (outcomes[index] = outcome),
    });
  };
  const receive = (bytes: Uint8Array): void => exchange.receive(bytes, bytes.length);
  return { exchange, outcomes, objects, submit, receive };
}

const del = (): Uint8Array => encodeDelLink({ index: 1 });
const DONE: Outcome = { state: 'done', interrupted: false };

test('no more than the window is in flight, and each answer lets one more go', () => {
  const { exchange, outcomes, submit, receive } = setup(2);
  for (let i = 0; i < 3; i++) submit(del());
  const first = exchange.ready();
  assert.equal(first.length, 2);
  assert.deepEqual(exchange.ready(), []);
  receive(ack(seqOf(first[1]!)));
  assert.deepEqual(outcomes, [null, DONE, null]);
  assert.equal(exchange.ready().length, 1);
});

test('answers find their request by number, whatever their order', () => {
  const { exchange, outcomes, submit, receive } = setup();
  for (let i = 0; i < 3; i++) submit(del());
  const [a, b, c] = exchange.ready().map(seqOf);
  receive(ack(c!, 19));
  receive(ack(a!));
  receive(ack(b!));
  assert.deepEqual(outcomes, [DONE, DONE, { state: 'failed', errno: 19, extack: '' }]);
  assert.equal(exchange.idle, true);
});

test('one dump at a time, but requests after it need not wait once it is in flight', () => {
  const { exchange, submit, receive, outcomes } = setup();
  submit(encodeDumpLinks());
  submit(encodeDumpLinks());
  const [dump] = exchange.ready();
  assert.equal(dump?.dump, true);
  assert.deepEqual(exchange.ready(), []);
  receive(reply(NLMSG.DONE, NLM_F.MULTI, seqOf(dump), [0]));
  assert.deepEqual(outcomes, [DONE, null]);
  assert.equal(exchange.ready().length, 1);
});

test('a dump that says DUMP_INTR anywhere ends as interrupted', () => {
  const { exchange, submit, receive, outcomes, objects } = setup();
  submit(encodeDumpLinks());
  const seq = seqOf(exchange.ready()[0]!);
  receive(reply(RTM.NEWLINK, NLM_F.MULTI, seq));
  receive(reply(RTM.NEWLINK, NLM_F.MULTI | NLM_F.DUMP_INTR, seq));
  receive(reply(NLMSG.DONE, NLM_F.MULTI, seq, [0]));
  assert.deepEqual(outcomes, [{ state: 'done', interrupted: true }]);
  assert.equal(objects[0], 2);
});

test('a dump may fail in its DONE', () => {
  const { exchange, submit, receive, outcomes } = setup();
  submit(encodeDumpLinks());
  receive(reply(NLMSG.DONE, NLM_F.MULTI, seqOf(exchange.ready()[0]!), [-22]));
  assert.deepEqual(outcomes, [{ state: 'failed', errno: 22, extack: '' }]);
});

test('a get ends with its object', () => {
  const { exchange, submit, receive, outcomes, objects } = setup();
  submit(encodeGetLink({ index: 1 }));
  receive(reply(RTM.NEWLINK, 0, seqOf(exchange.ready()[0]!)));
  assert.deepEqual(outcomes, [DONE]);
  assert.equal(objects[0], 1);
});

test('what cannot be sent has changed nothing; lost answers leave the outcome unknown', () => {
  const { exchange, submit, outcomes } = setup(2);
  for (let i = 0; i < 3; i++) submit(del());
  const [a] = exchange.ready();
  exchange.sendFailed(seqOf(a!), 1);
  exchange.lost(105);
  assert.deepEqual(outcomes, [
    { state: 'failed', errno: 1, extack: '' },
    { state: 'unknown', errno: 105 },
    null,
  ]);
  exchange.close(9);
  assert.deepEqual(outcomes[2], { state: 'failed', errno: 9, extack: '' });
});

test('late answers to a request that ended are ignored', () => {
  const { exchange, submit, receive, outcomes } = setup();
  submit(del());
  const seq = seqOf(exchange.ready()[0]!);
  exchange.lost(105);
  receive(ack(seq));
  assert.deepEqual(outcomes, [{ state: 'unknown', errno: 105 }]);
});
