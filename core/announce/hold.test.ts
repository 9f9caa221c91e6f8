import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { BGP_STATES, type BgpState } from '../model/routing';
import {
  heldOf,
  type HoldEffect,
  type HoldInput,
  holdDeadline,
  type HoldState,
  NOBODY,
  SILENT_MS,
  stepHold,
} from './hold';

const R1 = '192.0.2.1';
const HOLD_DOWN_MS = 3_000;

/** One edge, told line by line; answers with what it does, in few words. */
class Story {
  state: HoldState = NOBODY;
  nowMs = 0;

  constructor(bgp: BgpState = 'established') {
    this.take({ kind: 'leased', neighbours: [{ address: R1, holdDownMs: HOLD_DOWN_MS }] });
    this.take({ kind: 'peers', peers: [{ address: R1, state: bgp, adminDown: false }] });
    this.bfd('up');
  }

  take(input: HoldInput): string[] {
    const before = JSON.stringify(this.state);
    const former = this.state;
    const { state, effects } = stepHold(this.state, input, this.nowMs);
    assert.equal(JSON.stringify(former), before, 'changed its input');
    this.state = state;
    return effects.map(words);
  }

  bfd(to: 'up' | 'down', cause: 'path' | 'administrative' = 'path'): string[] {
    return this.take({ kind: 'bfd', address: R1, to, diagnostic: 'expired', cause });
  }

  bgp(state: BgpState, reason: string | null = null, adminDown = false): string[] {
    return this.take({ kind: 'bgp', address: R1, state, adminDown, reason });
  }

  done(outcome: 'reset' | 'notEstablished' | 'failed'): string[] {
    return this.take({ kind: 'resetDone', address: R1, outcome });
  }

  at(nowMs: number): string[] {
    this.nowMs = nowMs;
    return this.take({ kind: 'tick' });
  }
}

function words(effect: HoldEffect): string {
  switch (effect.kind) {
    case 'reset':
      return `reset ${effect.address}: ${effect.communication}`;
    case 'held':
      return `held ${effect.addresses.join() || 'nobody'}`;
    case 'event': {
      const { event } = effect;
      return 'cause' in event ? `${event.kind} ${event.cause}` : event.kind;
    }
  }
}

describe('BFD down', () => {
  it('while BGP is established resets it and holds the neighbour until the hold-down is over', () => {
    const story = new Story();
    assert.deepEqual(story.bfd('down'), [`reset ${R1}: BFD down: expired`]);
    assert.deepEqual(story.done('reset'), ['bfdDown path', `held ${R1}`]);
    assert.deepEqual(story.bgp('idle'), ['bgpDown consequence']);
    story.nowMs = 5_000;
    assert.deepEqual(story.bgp('established'), ['bgpUp']);
    assert.deepEqual(story.bfd('up'), [], 'it counts only after the hold-down');
    assert.equal(holdDeadline(story.state), 5_000 + HOLD_DOWN_MS);
    assert.deepEqual(story.at(7_999), []);
    assert.deepEqual(story.at(8_000), ['bfdUp', 'held nobody']);
    assert.equal(holdDeadline(story.state), Infinity);
  });

  it('within the hold-down is told again, and counts anew', () => {
    const story = new Story();
    story.bfd('down');
    story.done('reset');
    story.bgp('idle');
    story.bfd('up');
    assert.deepEqual(story.bfd('down'), ['bfdDown path'], 'BGP is not back: nothing to reset');
    assert.deepEqual(story.at(60_000), []);
    story.bfd('up');
    assert.deepEqual(story.at(63_000), ['bfdUp', 'held nobody']);
  });

  it('after BGP was closed is a consequence, also where that was heard the other way round', () => {
    const story = new Story();
    assert.deepEqual(story.bgp('idle'), ['bgpDown path']);
    assert.deepEqual(story.bfd('down'), ['bfdDown consequence']);
    assert.deepEqual(heldOf(story.state), []);

    const other = new Story();
    assert.equal(other.bfd('down').length, 1);
    assert.deepEqual(other.bgp('idle', 'peer says: Cease/Administrative Reset'), []);
    assert.deepEqual(other.done('notEstablished'), [
      'bfdDown consequence',
      'bgpDown administrative',
    ]);
    assert.deepEqual(heldOf(other.state), []);
    assert.deepEqual(other.bfd('up'), ['bfdUp']);
  });

  it('by somebody’s wish is no failure', () => {
    const story = new Story();
    assert.deepEqual(story.bfd('down', 'administrative'), ['bfdDown administrative']);
    assert.deepEqual(heldOf(story.state), []);
    assert.deepEqual(story.bfd('down'), [], 'it was down');
  });

  it('while gobgpd hangs holds all the same; where it is gone it is a consequence of that', () => {
    const story = new Story();
    story.bfd('down');
    assert.deepEqual(story.done('failed'), ['bfdDown path', `held ${R1}`]);

    const other = new Story();
    other.take({ kind: 'bgpAway' });
    assert.deepEqual(other.bfd('down'), ['bfdDown consequence']);
    assert.deepEqual(heldOf(other.state), []);

    const heardLater = new Story();
    heardLater.bfd('down');
    heardLater.take({ kind: 'bgpAway' });
    assert.deepEqual(heardLater.done('failed'), ['bfdDown consequence']);
    assert.deepEqual(heldOf(heardLater.state), []);
  });

  it('while gobgpd was away asks for the reset where the session is found to have lived on', () => {
    const peers = (state: BgpState): HoldInput => ({
      kind: 'peers',
      peers: [{ address: R1, state, adminDown: false }],
    });
    const hung = new Story();
    hung.take({ kind: 'bgpAway' });
    hung.bfd('down');
    assert.deepEqual(hung.take(peers('established')), [`reset ${R1}: BFD down: expired`]);
    assert.deepEqual(hung.done('reset'), ['bfdDown path', `held ${R1}`]);

    const unanswered = new Story();
    unanswered.bfd('down');
    unanswered.take({ kind: 'bgpAway' });
    unanswered.done('failed');
    assert.deepEqual(unanswered.take(peers('established')), [`reset ${R1}: BFD down: expired`]);

    const held = new Story();
    held.bfd('down');
    assert.deepEqual(held.done('failed'), ['bfdDown path', `held ${R1}`]);
    held.take({ kind: 'bgpAway' });
    assert.deepEqual(held.take(peers('established')), [`reset ${R1}: BFD down: expired`]);
    assert.deepEqual(held.done('reset'), [], 'it was told');

    const restarted = new Story();
    restarted.take({ kind: 'bgpAway' });
    restarted.bfd('down');
    assert.deepEqual(restarted.take(peers('idle')), ['bgpDown consequence']);
    assert.deepEqual(restarted.bgp('established'), ['bgpUp']);
    restarted.take({ kind: 'bgpAway' });
    assert.deepEqual(restarted.take(peers('established')), [], 'it is another session');
  });

  it('again while it counts down, and at once up: released after the hold-down', () => {
    const story = new Story();
    story.bfd('down');
    story.done('reset');
    story.bgp('idle');
    story.bgp('established');
    story.bfd('up');
    assert.deepEqual(story.bfd('down'), [`reset ${R1}: BFD down: expired`]);
    story.bfd('up');
    assert.deepEqual(story.done('notEstablished'), ['bfdDown consequence']);
    assert.deepEqual(story.at(HOLD_DOWN_MS), ['bfdUp', 'held nobody']);
  });

  it('that is over before gobgpd has answered is told first', () => {
    const story = new Story();
    story.bfd('down');
    assert.deepEqual(story.bfd('up'), []);
    assert.deepEqual(story.done('reset'), ['bfdDown path', `held ${R1}`]);
    assert.deepEqual(story.at(HOLD_DOWN_MS), ['bfdUp', 'held nobody']);

    const other = new Story();
    other.bfd('down');
    other.bfd('up');
    assert.deepEqual(other.done('notEstablished'), ['bfdDown consequence', 'bfdUp']);
  });
});

it('a neighbour whose BGP is up while BFD stays silent is released after a minute', () => {
  const story = new Story();
  story.bfd('down');
  story.done('reset');
  story.bgp('idle');
  assert.equal(holdDeadline(story.state), Infinity);
  story.nowMs = 10_000;
  story.bgp('established');
  assert.equal(holdDeadline(story.state), 10_000 + SILENT_MS);
  assert.deepEqual(story.at(10_000 + SILENT_MS), ['held nobody']);
  assert.deepEqual(story.bfd('up'), ['bfdUp']);
});

describe('BGP down', () => {
  const causes: [reason: string | null, adminDown: boolean, cause: string][] = [
    [null, false, 'path'],
    ['peer says: Hold Timer Expired', false, 'path'],
    ['peer says: Cease/BFD Down', false, 'path'],
    ['peer says: Cease/Administrative Shutdown: "cable work"', false, 'administrative'],
    ['peer says: Cease/Peer De-configured', false, 'administrative'],
    ['peer says: Cease/Other Configuration Change', false, 'administrative'],
    [null, true, 'administrative'],
  ];
  for (const [reason, adminDown, cause] of causes) {
    it(`for ${reason ?? 'no reason'}${adminDown ? ' of one that is disabled' : ''} is ${cause}`, () => {
      assert.deepEqual(new Story().bgp('idle', reason, adminDown), [`bgpDown ${cause}`]);
    });
  }

  it('because gobgpd was away is a consequence; a watch that was only cut tells nothing', () => {
    const story = new Story();
    story.take({ kind: 'bgpAway' });
    const peers = [{ address: R1, state: 'established' as const, adminDown: false }];
    assert.deepEqual(story.take({ kind: 'peers', peers }), []);
    story.take({ kind: 'bgpAway' });
    const idle = [{ address: R1, state: 'idle' as const, adminDown: false }];
    assert.deepEqual(story.take({ kind: 'peers', peers: idle }), ['bgpDown consequence']);
    const restarted = new Story();
    restarted.take({ kind: 'bgpAway' });
    assert.deepEqual(restarted.take({ kind: 'peers', peers: [] }), ['bgpDown consequence']);
  });
});

it('a neighbour without BFD is told of, and forgotten with its session', () => {
  const story = new Story();
  const of = (state: BgpState): string[] =>
    story.take({ kind: 'bgp', address: '192.0.2.9', state, adminDown: false, reason: null });
  assert.deepEqual(of('active'), []);
  assert.deepEqual(of('established'), ['bgpUp']);
  assert.ok(story.state.neighbours['192.0.2.9']);
  assert.deepEqual(of('idle'), ['bgpDown path']);
  assert.equal(story.state.neighbours['192.0.2.9'], undefined);
});

it('who is taken off the lease is released, and its BFD says nothing any more', () => {
  const story = new Story();
  story.bfd('down');
  story.done('reset');
  assert.deepEqual(story.take({ kind: 'leased', neighbours: [] }), ['held nobody']);
  assert.deepEqual(story.bfd('up'), []);
  assert.deepEqual(story.done('reset'), [], 'nobody waits for it');
});

it('a session that is back before gobgpd has answered is told after its end', () => {
  const story = new Story();
  story.bfd('down');
  assert.deepEqual(story.bgp('idle'), []);
  assert.deepEqual(story.bgp('established'), []);
  assert.deepEqual(story.done('reset'), [
    'bfdDown path',
    'bgpDown consequence',
    'bgpUp',
    `held ${R1}`,
  ]);
  assert.deepEqual(story.bgp('idle'), ['bgpDown consequence']);
});

describe('whatever comes, in any order', () => {
  const input: fc.Arbitrary<HoldInput> = fc.oneof(
    fc.record({
      kind: fc.constant('bfd' as const),
      address: fc.constant(R1),
      to: fc.constantFrom('up' as const, 'down' as const, 'init' as const, 'adminDown' as const),
      diagnostic: fc.constant('expired'),
      cause: fc.constantFrom('path' as const, 'administrative' as const),
    }),
    fc.record({
      kind: fc.constant('bgp' as const),
      address: fc.constant(R1),
      state: fc.constantFrom(...BGP_STATES),
      adminDown: fc.boolean(),
      reason: fc.constantFrom(null, 'peer says: Cease/Administrative Reset'),
    }),
    fc.record({
      kind: fc.constant('resetDone' as const),
      address: fc.constant(R1),
      outcome: fc.constantFrom('reset' as const, 'notEstablished' as const, 'failed' as const),
    }),
    fc.constant<HoldInput>({ kind: 'bgpAway' }),
    fc.record({
      kind: fc.constant('peers' as const),
      peers: fc.array(
        fc.record({
          address: fc.constant(R1),
          state: fc.constantFrom(...BGP_STATES),
          adminDown: fc.boolean(),
        }),
        { maxLength: 1 },
      ),
    }),
    fc.record({
      kind: fc.constant('leased' as const),
      neighbours: fc.constantFrom([], [{ address: R1, holdDownMs: HOLD_DOWN_MS }]),
    }),
    fc.constant<HoldInput>({ kind: 'tick' }),
  );

  it('ups and downs of BGP are told in turn, resets go only to established sessions, and nobody stays held', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(input, fc.nat(5_000)), { maxLength: 40 }), (steps) => {
        const story = new Story();
        let bgpUp = true;
        for (const [next, pauseMs] of steps) {
          story.nowMs += pauseMs;
          const before = story.state.neighbours[R1];
          const did = story.take(next);
          for (const line of did) {
            if (line.startsWith('reset')) assert.equal(before?.bgp, 'established');
            if (line === 'bgpUp' || line.startsWith('bgpDown')) {
              assert.equal(line === 'bgpUp', !bgpUp, `${did.join()} twice`);
              bgpUp = !bgpUp;
            }
          }
          assert.ok(holdDeadline(story.state) > story.nowMs, 'what is due is done');
        }
        // BGP and BFD up, and stay so.
        story.done('reset');
        story.bgp('established');
        if (!story.state.neighbours[R1]?.bfdUp) story.bfd('up');
        story.at(story.nowMs + Math.max(HOLD_DOWN_MS, SILENT_MS));
        assert.deepEqual(heldOf(story.state), []);
      }),
    );
  });
});
