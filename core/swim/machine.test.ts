import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { utf8 } from '../model/hash';
import { deadline, initialState, step } from './machine';
import { OUR_VERSIONS } from './members';
import { FAST } from './profiles';
import { addressOf, randomOf } from './testing';
import type { Input, Message, State } from './types';

/** Of few names and few numbers, so that they meet. */
const NAMES = ['a', 'b', 'c', 'd'];
const name = fc.constantFrom(...NAMES);
const incarnation = fc.oneof(fc.nat(5), fc.constantFrom(0xffff_fffd, 0xffff_fffe, 0xffff_ffff));
const address = fc.constantFrom(1, 2, 3, 4, 5).map(addressOf);
const meta = fc.constantFrom('', 'boot').map(utf8);
const described = { name, incarnation, address, meta, versions: fc.constant(OUR_VERSIONS) };
const PLAIN = { noNullPrototype: true } as const;

const accusation = (kind: 'suspect' | 'dead'): fc.Arbitrary<Message> =>
  fc
    .record({ node: name, from: name, incarnation }, PLAIN)
    .map((fields): Message => ({ kind, ...fields }));

const message: fc.Arbitrary<Message> = fc.oneof(
  accusation('suspect'),
  accusation('dead'),
  fc
    .record(described, PLAIN)
    .map(({ name: node, ...fields }): Message => ({ kind: 'alive', node, ...fields })),
  fc
    .record({ seq: fc.nat(9), node: name, source: fc.option(address), sourceName: name }, PLAIN)
    .map((fields): Message => ({ kind: 'ping', ...fields })),
  fc
    .record(
      {
        seq: fc.nat(9),
        node: name,
        target: address,
        nack: fc.boolean(),
        source: fc.option(address),
        sourceName: name,
      },
      PLAIN,
    )
    .map((fields): Message => ({ kind: 'indirect', ...fields })),
  fc.nat(9).map((seq): Message => ({ kind: 'ack', seq, payload: new Uint8Array(0) })),
  fc.nat(9).map((seq): Message => ({ kind: 'nack', seq })),
);

const node = fc.record(
  { ...described, state: fc.constantFrom('alive', 'suspect', 'dead', 'left') },
  PLAIN,
);

const input: fc.Arbitrary<Input> = fc.oneof(
  message.map((heard): Input => ({ kind: 'received', message: heard, from: addressOf(9) })),
  // Each once, so that a step is one change of each.
  fc
    .uniqueArray(node, { maxLength: 4, selector: ({ name: of }) => of })
    .map((nodes): Input => ({ kind: 'merged', nodes })),
  fc
    .tuple(fc.nat(9), fc.constantFrom('acked', 'refused', 'hanging'))
    .map(([seq, finding]): Input => ({ kind: 'streamFound', seq, finding })),
  fc.constant<Input>({ kind: 'tick' }),
);

/** What happens, and how many ms after the last thing. */
const story = fc.array(fc.tuple(input, fc.constantFrom(0, 1, 60, 200, 700)), { maxLength: 60 });

interface Moment {
  before: State;
  after: State;
  input: Input;
  sent: Message[];
}

function play(events: [Input, number][], seed: number): Moment[] {
  const random = randomOf(seed);
  const identity = { name: 'a', address: addressOf(1), meta: utf8('boot') };
  let state = initialState(identity, FAST, 0, random);
  let nowMs = 0;
  const moments: Moment[] = [];
  const feed = (what: Input): void => {
    const before = state;
    const { state: after, effects } = step(before, what, nowMs, random);
    const sent = effects.flatMap((effect) => (effect.kind === 'send' ? effect.messages : []));
    moments.push({ before, after, input: what, sent });
    state = after;
  };
  for (const [what, afterMs] of events) {
    const untilMs = nowMs + afterMs;
    while (deadline(state) < untilMs) {
      nowMs = Math.max(nowMs, deadline(state));
      feed({ kind: 'tick' });
    }
    nowMs = untilMs;
    feed(what);
  }
  return moments;
}

const holds = (check: (moment: Moment) => void): void =>
  fc.assert(
    fc.property(story, fc.nat(), (events, seed) => {
      for (const moment of play(events, seed)) check(moment);
    }),
    { numRuns: 400 },
  );

test('an incarnation never falls, but where another address takes a name that is free', () => {
  holds(({ before, after }) => {
    for (const [of, member] of after.members) {
      const known = before.members.get(of);
      if (known === undefined || member.incarnation >= known.incarnation) continue;
      assert.ok(known.state === 'dead' || known.state === 'left', `${of} was there`);
      assert.notDeepEqual(member.address, known.address);
    }
  });
});

test('no member takes itself for anything but alive, or says that it is dead', () => {
  holds(({ after, sent }) => {
    assert.equal(after.members.get('a')?.state, 'alive');
    for (const said of sent) {
      if (said.kind === 'alive' || said.kind === 'suspect' || said.kind === 'dead') {
        assert.ok(said.kind === 'alive' || said.node !== 'a', `we said ${said.kind} of ourselves`);
      }
    }
  });
});

test('whoever is accused refutes above the accusation', () => {
  holds(({ before, after, input: what }) => {
    if (what.kind !== 'received') return;
    const { message: said } = what;
    if ((said.kind !== 'suspect' && said.kind !== 'dead') || said.node !== 'a') return;
    const ours = before.members.get('a')?.incarnation ?? 0;
    // Above the last but two there is nothing left to say that anybody hears.
    if (said.incarnation < ours || said.incarnation >= 0xffff_fffe) return;
    assert.equal(after.members.get('a')?.incarnation, said.incarnation + 1);
    assert.ok(
      after.queue.some(({ name: of, message: told }) => of === 'a' && told.kind === 'alive'),
    );
  });
});

test('what is refuted is alive again, whatever was believed of it', () => {
  fc.assert(
    fc.property(story, fc.nat(), (events, seed) => {
      const state = play(events, seed).at(-1)?.after;
      const known = state?.members.get('b');
      if (state === undefined || known === undefined || known.incarnation >= 0xffff_fffe) return;
      const alive: Message = {
        kind: 'alive',
        node: 'b',
        incarnation: known.incarnation + 1,
        address: known.address,
        meta: known.meta,
        versions: known.versions,
      };
      const heard: Input = { kind: 'received', message: alive, from: addressOf(9) };
      const { state: after } = step(state, heard, 1e6, randomOf(seed));
      assert.equal(after.members.get('b')?.state, 'alive');
      assert.equal(after.suspicions.has('b'), false);
    }),
  );
});

test('a suspicion is there where a member is suspect, and nowhere else', () => {
  holds(({ after }) => {
    for (const [of, { state }] of after.members) {
      assert.equal(after.suspicions.has(of), state === 'suspect', of);
    }
    for (const of of after.suspicions.keys()) assert.ok(after.members.has(of));
  });
});

test('a member that is gone comes back by its own word alone', () => {
  holds(({ before, after, input: what }) => {
    for (const [of, { state }] of after.members) {
      const known = before.members.get(of)?.state;
      if (state !== 'alive' || (known !== 'dead' && known !== 'left')) continue;
      const alive = what.kind === 'received' && what.message.kind === 'alive';
      assert.ok(alive || what.kind === 'merged', `${of} came back by ${what.kind}`);
    }
  });
});

test('what it keeps is bounded: news of each member once, each member probed once a round', () => {
  holds(({ after }) => {
    const about = after.queue.map(({ name: of }) => of);
    assert.equal(new Set(about).size, about.length);
    assert.ok(about.length <= after.members.size);
    assert.equal(new Set(after.order).size, after.order.length);
    assert.ok(after.awareness >= 0 && after.awareness <= FAST.awarenessMax);
  });
});

test('time alone ends every step: the next deadline is later than now', () => {
  holds(({ after, input: what }) => {
    if (what.kind === 'tick') assert.ok(deadline(after) > after.tickedMs);
  });
});
