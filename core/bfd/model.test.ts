/**
 * Two sessions, each over a pacer as native.ts describes it, and a network that loses, delays, reorders and
 * repeats: they find each other, keep each other through any change of timers, and notice silence in time.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { deadline, step } from './machine';
import { initialSession } from './session';
import { detectUs, transmitUs } from './timers';
import type { Effect, Input, Pace, Session, SessionConfig } from './types';

interface Network {
  /** 0 … 1 each. */
  loss: number;
  repeat: number;
  maxDelayUs: number;
  /** Never two packets in a row of one end are lost. */
  sparse?: boolean;
}

const CLEAN: Network = { loss: 0, repeat: 0, maxDelayUs: 10_000 };
const SPARSE: Network = { ...CLEAN, loss: 0.3, sparse: true };

/** Of a story of 50 s with a packet each 50 ms, both ways, every one twice: not half of it. */
const HAPPENINGS_MAX = 20_000;

type Happening = { atUs: number; run: () => void };

/** Mulberry32: the seed is fast-check's, so a failure plays again. */
function random(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

class World {
  nowUs = 0;
  network: Network = CLEAN;
  readonly random: () => number;
  private count = 0;
  private readonly happenings: Happening[] = [];

  constructor(seed: number) {
    this.random = random(seed);
  }

  at(atUs: number, run: () => void): Happening {
    const happening = { atUs, run };
    this.happenings.push(happening);
    return happening;
  }

  cancel(happening: Happening | null): void {
    const index = happening === null ? -1 : this.happenings.indexOf(happening);
    if (index >= 0) this.happenings.splice(index, 1);
  }

  runUntil(endUs: number): void {
    for (;;) {
      const next = this.happenings.reduce<Happening | null>(
        (first, each) => (first === null || each.atUs < first.atUs ? each : first),
        null,
      );
      if (next === null || next.atUs > endUs) break;
      this.cancel(next);
      this.nowUs = next.atUs;
      assert.ok(++this.count < HAPPENINGS_MAX, 'packets breed');
      next.run();
    }
    this.nowUs = endUs;
  }
}

/** One end: a machine, and the thread below it. */
class End {
  session: Session;
  peer!: End;
  readonly changes: { atUs: number; to: string; cause: string }[] = [];
  deliveredUs = 0;
  private lost = false;
  private pace: Pace | null = null;
  private sending: Happening | null = null;
  private expiring: Happening | null = null;
  private waking: Happening | null = null;

  constructor(
    private readonly world: World,
    config: SessionConfig,
  ) {
    this.session = initialSession(config);
  }

  give(input: Input): void {
    const { session, effects } = step(this.session, input, this.world.nowUs / 1000);
    this.session = session;
    for (const effect of effects) this.obey(effect);
    this.world.cancel(this.waking);
    const next = deadline(session);
    this.waking =
      next === Infinity ? null : this.world.at(next * 1000 + 1, () => this.give({ kind: 'tick' }));
  }

  private obey(effect: Effect): void {
    if (effect.kind === 'send') this.transmit(effect.packet);
    if (effect.kind === 'pace') this.set(effect.pace);
    if (effect.kind === 'changed') {
      this.changes.push({ atUs: this.world.nowUs, to: effect.to, cause: effect.cause });
    }
  }

  private set(pace: Pace): void {
    const first = this.pace === null;
    this.pace = pace;
    if (first) this.deliveredUs = this.world.nowUs;
    this.watch();
    const nextUs = first ? this.world.nowUs : this.world.nowUs + this.pause();
    // A running pause only ever gets shorter by it.
    if (this.sending === null || nextUs < this.sending.atUs) this.sendAt(nextUs);
  }

  private pause(): number {
    const { pauseMinUs = 0, pauseMaxUs = 0 } = this.pace ?? {};
    return Math.max(1_000, pauseMinUs + this.world.random() * (pauseMaxUs - pauseMinUs));
  }

  private sendAt(atUs: number): void {
    this.world.cancel(this.sending);
    this.sending = null;
    if (this.pace?.packet == null) return;
    this.sending = this.world.at(atUs, () => {
      this.sending = null;
      if (this.pace?.packet == null) return;
      this.transmit(this.pace.packet);
      this.sendAt(this.world.nowUs + this.pause());
    });
  }

  private watch(): void {
    this.world.cancel(this.expiring);
    this.expiring = null;
    if (this.pace === null || this.pace.detectUs === 0) return;
    const atUs = Math.max(this.world.nowUs, this.deliveredUs + this.pace.detectUs);
    this.expiring = this.world.at(atUs, () => {
      this.expiring = null;
      this.give({ kind: 'expired' });
    });
  }

  private transmit(packet: Uint8Array): void {
    const { network, random: draw } = this.world;
    const spared = network.sparse === true && this.lost;
    this.lost = !spared && draw() < network.loss;
    const copies = this.lost ? 0 : draw() < network.repeat ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const arrivesUs = this.world.nowUs + draw() * network.maxDelayUs;
      this.world.at(arrivesUs, () => this.peer.arrive(packet));
    }
  }

  private arrive(packet: Uint8Array): void {
    if (this.pace === null) return;
    this.deliveredUs = this.world.nowUs;
    this.watch();
    const { expect } = this.pace;
    if (expect?.every((byte, i) => byte === packet[i]) === true) return;
    this.give({ kind: 'received', bytes: packet });
  }
}

function twoEnds(
  seed: number,
  timers: readonly [Timers, Timers],
): { world: World; ends: [End, End] } {
  const world = new World(seed);
  const [a, b] = [
    new End(world, { discriminator: 1, ...timers[0] }),
    new End(world, { discriminator: 2, ...timers[1] }),
  ];
  a.peer = b;
  b.peer = a;
  a.give({ kind: 'started' });
  b.give({ kind: 'started' });
  return { world, ends: [a, b] };
}

type Timers = Omit<SessionConfig, 'discriminator'>;

const ms = (from: number, to: number): fc.Arbitrary<number> =>
  fc.integer({ min: from, max: to }).map((value) => value * 1000);
const timers: fc.Arbitrary<Timers> = fc.record({
  desiredMinTxUs: ms(50, 1_500),
  requiredMinRxUs: ms(50, 1_500),
  multiplier: fc.integer({ min: 2, max: 6 }),
});
const both = fc.tuple(timers, timers);
const S = 1_000_000;

/** Coming up may take two tries, where packets overtake one another. */
const changesOf = ({ changes }: End): number => changes.length;

const assertAgreed = (ends: readonly End[]): void => {
  for (const { session, peer } of ends) {
    assert.equal(session.state, 'up');
    const { multiplier, desiredMinTxUs, requiredMinRxUs } = session.config;
    const theirs = peer.session.config;
    assert.equal(transmitUs(session), Math.max(desiredMinTxUs, theirs.requiredMinRxUs));
    assert.equal(
      detectUs(peer.session),
      multiplier * transmitUs(session),
      'each knows what the other does',
    );
    assert.equal(requiredMinRxUs, peer.session.remote.requiredMinRxUs);
  }
};

describe('two sessions', () => {
  it('come up and agree, however bad the network was before', () => {
    const bad = fc.record({
      loss: fc.double({ min: 0, max: 1, noNaN: true }),
      repeat: fc.double({ min: 0, max: 1, noNaN: true }),
      maxDelayUs: ms(0, 2_000),
    });
    fc.assert(
      fc.property(fc.integer(), both, bad, (seed, config, network) => {
        const { world, ends } = twoEnds(seed, config);
        world.network = network;
        world.runUntil(20 * S);
        world.network = CLEAN;
        // What still lies in the network may take a session down once more; then nothing does.
        world.runUntil(40 * S);
        assertAgreed(ends);
      }),
      { numRuns: 150 },
    );
  });

  it('stay up through any change of timers of either side, amid a Poll Sequence, with packets lost', () => {
    // One lost packet and one late one are less than three intervals.
    const patient = timers.map((of) => ({ ...of, multiplier: of.multiplier + 1 }));
    const change = fc.record({ end: fc.nat(1), afterUs: ms(0, 2_500), to: patient });
    fc.assert(
      fc.property(
        fc.integer(),
        fc.tuple(patient, patient),
        fc.array(change, { maxLength: 8 }),
        (seed, config, changes) => {
          const { world, ends } = twoEnds(seed, config);
          world.runUntil(15 * S);
          assertAgreed(ends);
          const before = ends.map(changesOf);
          world.network = SPARSE;
          for (const { end, afterUs, to } of changes) {
            world.runUntil(world.nowUs + afterUs);
            ends[end === 0 ? 0 : 1].give({ kind: 'configured', config: to });
          }
          world.runUntil(world.nowUs + 30 * S);
          assertAgreed(ends);
          assert.deepEqual(ends.map(changesOf), before);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('notice silence within what they agreed on, and come back after it', () => {
    fc.assert(
      fc.property(fc.integer(), both, ms(0, 3_000), (seed, config, cutAfterUs) => {
        const { world, ends } = twoEnds(seed, config);
        world.runUntil(15 * S + cutAfterUs);
        const cutUs = world.nowUs;
        world.network = { ...CLEAN, loss: 1 };
        const within = ends.map(({ session }) => detectUs(session));
        world.runUntil(cutUs + 20 * S);
        ends.forEach((end, i) => {
          const down = end.changes.at(-1);
          assert.equal(down?.to, 'down');
          assert.equal(down.cause, 'path');
          // Counted from the last packet, which was at most under way when the cut came.
          assert.ok(down.atUs <= cutUs + CLEAN.maxDelayUs + (within[i] ?? 0));
          assert.ok(down.atUs >= end.deliveredUs + (within[i] ?? 0) - 1);
        });
        world.network = CLEAN;
        world.runUntil(cutUs + 40 * S);
        assertAgreed(ends);
      }),
      { numRuns: 100 },
    );
  });

  it('of which one is restarted with what it wrote down: the other sees nothing', () => {
    fc.assert(
      fc.property(
        fc.integer(),
        both,
        fc.array(ms(0, 900), { minLength: 1, maxLength: 5 }),
        (seed, config, pauses) => {
          const { world, ends } = twoEnds(seed, config);
          world.runUntil(15 * S);
          const before = ends.map(changesOf);
          for (const pause of pauses) {
            world.runUntil(world.nowUs + pause);
            const [a] = ends;
            a.session = JSON.parse(JSON.stringify(a.session)) as Session;
            a.give({ kind: 'started' });
          }
          world.runUntil(world.nowUs + 10 * S);
          assertAgreed(ends);
          assert.deepEqual(ends.map(changesOf), before);
        },
      ),
      { numRuns: 60 },
    );
  });
});
