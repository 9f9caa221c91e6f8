/** The whole product of our state, the peer's, its P and F bits, and our Poll Sequence. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BFD_STATES, type BfdState } from '../model/routing';
import { deadline, nextState, REFUSED_MS, step } from './machine';
import { initialSession, paceOf } from './session';
import { decode, encode, type ControlPacket } from './packet';
import { CONFIG, heard, packet, up } from './testing';
import { SLOW_US } from './timers';
import type { Effect, Session } from './types';

/** RFC 5880 §6.8.6, written down once more, from its text. */
function rfc(ours: BfdState, theirs: BfdState): BfdState {
  if (ours === 'adminDown') return 'adminDown';
  if (theirs === 'adminDown') return 'down';
  if (ours === 'down') return theirs === 'down' ? 'init' : theirs === 'init' ? 'up' : 'down';
  if (ours === 'init') return theirs === 'init' || theirs === 'up' ? 'up' : 'init';
  return theirs === 'down' ? 'down' : 'up';
}

const silent = (ours: BfdState): BfdState => (ours === 'adminDown' ? 'adminDown' : 'down');

const inState = (state: BfdState, polling: boolean): Session => ({
  ...up(),
  state,
  poll: polling ? { kind: 'polling', sinceMs: 0 } : { kind: 'none' },
});

const sent = (effects: Effect[]): ControlPacket[] =>
  effects.flatMap((effect) => {
    if (effect.kind !== 'send') return [];
    const decoded = decode(effect.packet);
    assert.ok(decoded.ok, 'we sent what nobody takes');
    return [decoded.packet];
  });

it('an expiry is told to the peer by its discriminator, which is forgotten with that packet', () => {
  const { session, effects } = step(up(), { kind: 'expired' }, 5);
  const [told] = sent(effects);
  assert.deepEqual([told?.state, told?.diagnostic, told?.yourDiscriminator], ['down', 1, 0x1a2b]);
  const paced = decode(paceOf(session).packet ?? new Uint8Array());
  assert.ok(paced.ok);
  assert.equal(paced.packet.yourDiscriminator, 0);
});

describe('a packet', () => {
  for (const ours of BFD_STATES) {
    for (const theirs of BFD_STATES) {
      it(`of a peer that is ${theirs} takes us from ${ours} to ${rfc(ours, theirs)}`, () => {
        assert.equal(nextState(ours, theirs), rfc(ours, theirs));
        for (const [poll, final, polling] of bools(3)) {
          const before = inState(ours, polling);
          const bytes = encode(packet({ state: theirs, poll, final }));
          const { session, effects } = step(before, { kind: 'received', bytes }, 5);
          assert.equal(session.state, rfc(ours, theirs));
          const answers = sent(effects);
          // One packet at most: the Final, or what is new; none of them a Poll's own answer.
          assert.ok(answers.length <= 1);
          const answered = answers.some((answer) => answer.final);
          assert.equal(answered, poll && ours !== 'adminDown', `P=${poll}`);
          for (const answer of answers) {
            assert.equal(answer.state, session.state);
            assert.ok(!(answer.poll && answer.final));
          }
          const confirmed = session.poll.kind !== 'polling';
          const stays = ours === 'up' && session.state === 'up' && polling;
          if (stays) assert.equal(confirmed, final);
          const change = effects.filter((effect) => effect.kind === 'changed');
          assert.equal(change.length, ours === session.state ? 0 : 1);
          if (session.state === 'down' && ours !== 'down') assert.equal(session.diagnostic, 3);
          if (session.state === 'up' && ours !== 'up') assert.equal(session.diagnostic, 0);
        }
      });
    }
    it(`that is missing for the detection time takes us from ${ours} to ${silent(ours)}`, () => {
      for (const [polling] of bools(1)) {
        const { session } = step(inState(ours, polling), { kind: 'expired' }, 5);
        assert.equal(session.state, silent(ours));
        if (ours === 'adminDown') continue;
        assert.equal(session.remote.discriminator, 0);
        assert.equal(session.diagnostic, ours === 'down' ? 0 : 1);
      }
    });
  }

  it('is expected again just where another like it would change nothing', () => {
    for (const ours of BFD_STATES) {
      for (const theirs of BFD_STATES) {
        const bytes = encode(packet({ state: theirs, poll: true }));
        const first = step(inState(ours, false), { kind: 'received', bytes }, 5).session;
        const again = step(first, { kind: 'received', bytes }, 6);
        const same = again.session.state === first.state;
        assert.equal(first.expect !== null, same, `${ours} ${theirs}`);
        if (same) assert.equal((first.expect?.[1] ?? 0) & 0x30, 0, 'P and F are left aside');
      }
    }
  });
});

function* bools(n: number): Generator<boolean[] & [boolean, boolean, boolean]> {
  for (let i = 0; i < 2 ** n; i++) {
    yield [0, 1, 2].map((bit) => (i & (1 << bit)) !== 0) as [boolean, boolean, boolean];
  }
}

describe('timers', () => {
  it('are slow until Up, then as negotiated; each pause 75 to 100 % of it', () => {
    const down = paceOf(initialSession(CONFIG));
    assert.deepEqual([down.pauseMinUs, down.pauseMaxUs], [750_000, 1_000_000]);
    assert.equal(down.detectUs, 0);
    const { session } = heard(up(), { requiredMinRxUs: 400_000, desiredMinTxUs: 100_000 });
    const pace = paceOf(session);
    assert.deepEqual([pace.pauseMinUs, pace.pauseMaxUs], [300_000, 400_000]);
    assert.equal(pace.detectUs, 3 * 300_000);
    assert.equal(paceOf(heard(session, { desiredMinTxUs: 500_000 }).session).detectUs, 1_500_000);
  });

  it('leave 10 % to a multiplier of one', () => {
    const { session } = step(up(), { kind: 'configured', config: { ...CONFIG, multiplier: 1 } }, 0);
    const pace = paceOf(session);
    assert.deepEqual([pace.pauseMinUs, pace.pauseMaxUs], [225_000, 270_000]);
  });

  it('stop for a peer that wants nothing by time; its Poll is answered all the same', () => {
    const { session } = heard(up(), { requiredMinRxUs: 0 });
    assert.equal(paceOf(session).packet, null);
    assert.equal(session.state, 'up');
    const { effects } = heard(session, { requiredMinRxUs: 0, poll: true });
    assert.equal(sent(effects).filter(({ final }) => final).length, 1);
  });

  it('that grow wait for the Final, both ways; a multiplier does not', () => {
    const slower = { desiredMinTxUs: 900_000, requiredMinRxUs: 900_000, multiplier: 5 };
    const asked = step(up(), { kind: 'configured', config: slower }, 0).session;
    assert.equal(paceOf(asked).pauseMaxUs, 300_000, 'the peer does not know yet');
    assert.equal(paceOf(asked).detectUs, 3 * 900_000, 'more patience does no harm');
    assert.deepEqual(said(asked), { tx: 900_000, rx: 900_000, multiplier: 5, poll: true });
    const { session } = heard(asked, { final: true });
    assert.equal(paceOf(session).pauseMaxUs, 900_000);
    assert.deepEqual(said(session), { tx: 900_000, rx: 900_000, multiplier: 5, poll: false });
  });

  it('that shrink are sent at once, and listened by only after the Final', () => {
    const faster = { desiredMinTxUs: 50_000, requiredMinRxUs: 50_000, multiplier: 3 };
    const asked = step(
      heard(up(), { requiredMinRxUs: 50_000, desiredMinTxUs: 50_000 }).session,
      { kind: 'configured', config: faster },
      0,
    ).session;
    assert.equal(paceOf(asked).pauseMaxUs, 50_000);
    assert.equal(paceOf(asked).detectUs, 3 * 300_000, 'the peer still sends every 300 ms');
    const done = heard(asked, { final: true, desiredMinTxUs: 50_000, requiredMinRxUs: 50_000 });
    assert.equal(paceOf(done.session).detectUs, 3 * 50_000);
  });

  it('that change during a Poll Sequence wait for one of their own', () => {
    const a = { desiredMinTxUs: 600_000, requiredMinRxUs: 300_000, multiplier: 3 };
    const b = { ...a, desiredMinTxUs: 900_000 };
    const first = step(up(), { kind: 'configured', config: a }, 100).session;
    const second = step(first, { kind: 'configured', config: b }, 110).session;
    assert.equal(said(second).tx, 600_000);
    const ended = heard(second, { final: true }, 140).session;
    assert.equal(said(ended).poll, false, 'a late Final of the first would end it');
    assert.equal(deadline(ended), 180);
    const next = step(ended, { kind: 'tick' }, 180).session;
    assert.deepEqual(said(next), { tx: 900_000, rx: 300_000, multiplier: 3, poll: true });
    assert.equal(paceOf(next).pauseMaxUs, 600_000);
  });
});

function said(session: Session) {
  const decoded = decode(paceOf(session).packet ?? new Uint8Array());
  assert.ok(decoded.ok);
  const { desiredMinTxUs: tx, requiredMinRxUs: rx, multiplier, poll } = decoded.packet;
  return { tx, rx, multiplier, poll };
}

describe('what is refused', () => {
  it('changes nothing: the wrong discriminator, what is malformed', () => {
    const forged = encode(packet({ state: 'down', yourDiscriminator: 0xbad }));
    for (const bytes of [forged, forged.subarray(0, 20), new Uint8Array(1500)]) {
      const { session, effects } = step(up(), { kind: 'received', bytes }, 5);
      assert.deepEqual(session, up());
      assert.deepEqual(
        effects.map(({ kind }) => kind),
        ['dropped'],
      );
    }
  });

  it('is said of a peer that authenticates, until it no longer does', () => {
    const plain = encode(packet({ state: 'down', yourDiscriminator: 0 }));
    const bytes = Uint8Array.from([...plain, 1, 2]);
    bytes[1] = (bytes[1] ?? 0) | 0x04;
    bytes[3] = bytes.length;
    const start = initialSession(CONFIG);
    const { session } = step(start, { kind: 'received', bytes }, 5);
    assert.match(session.refused?.why ?? '', /authenticates/);
    assert.equal(session.state, 'down');
    assert.equal(step(session, { kind: 'received', bytes: plain }, 6).session.refused, null);
    assert.equal(step(up(), { kind: 'received', bytes }, 5).session.refused, null, 'forged');
  });

  it('of a peer in demand mode ends as administratively down, and is tried again later', () => {
    const { session, effects } = heard(up(), { demand: true }, 1_000);
    assert.equal(session.state, 'adminDown');
    assert.match(session.refused?.why ?? '', /demand/);
    assert.deepEqual(
      effects.find(({ kind }) => kind === 'changed'),
      { kind: 'changed', from: 'up', to: 'adminDown', diagnostic: 7, cause: 'administrative' },
    );
    assert.equal(sent(effects)[0]?.state, 'adminDown');
    assert.equal(deadline(session), 1_000 + REFUSED_MS);
    const again = step(session, { kind: 'tick' }, 1_000 + REFUSED_MS).session;
    assert.equal(again.state, 'down');
    assert.equal(again.refused, null);
  });
});

describe('an administrator', () => {
  it('takes it down with a packet that says so, and up again by the whole way', () => {
    const { session, effects } = step(up(), { kind: 'administered', down: true }, 0);
    assert.deepEqual(
      sent(effects).map(({ state, diagnostic }) => [state, diagnostic]),
      [['adminDown', 7]],
    );
    assert.equal(paceOf(session).detectUs, 0);
    assert.equal(paceOf(session).pauseMaxUs, SLOW_US);
    const back = step(session, { kind: 'administered', down: false }, 0).session;
    assert.equal(back.state, 'down');
    assert.equal(heard(back, { state: 'down' }).session.state, 'init');
  });

  it('of the peer is no failure of the path', () => {
    const { effects } = heard(up(), { state: 'adminDown', diagnostic: 7 });
    const changed = effects.find(({ kind }) => kind === 'changed');
    assert.equal(changed?.kind === 'changed' && changed.cause, 'administrative');
  });
});

it('a session comes back from JSON as it was', () => {
  const session = heard(up(), { requiredMinRxUs: 0, poll: true }).session;
  const again = JSON.parse(JSON.stringify(session)) as Session;
  assert.deepEqual(again, session);
  assert.deepEqual(paceOf(again), paceOf(session));
});
