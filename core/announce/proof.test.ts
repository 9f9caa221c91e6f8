/** What holds of every judgement; what is told of single ones is in testdata/. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { STANCES, worst, type EdgeService, type Stance } from '../model/anycast';
import type { Now } from '../model/now';
import type { StanceOverride } from './override';
import { judge, LOOK_FRESH_MS, type Known } from './proof';
import { ADDRESS, clean, PREFIX, service } from './testing';

const NOW_MS = 1_000_000;
const NOW: Now = { monotonicMs: NOW_MS, epochMs: NOW_MS };
const GRACE_MS = 30_000;
const rank = (stance: Stance): number => STANCES.indexOf(stance);

const stance = fc.constantFrom(...STANCES);
const services = fc.record({
  commanded: fc.record({ stance, why: fc.constant('commanded') }),
  permit: fc.boolean(),
  lastAnnouncer: fc.constantFrom('deprefer' as const, 'withdraw' as const),
});
const looks = fc.oneof(
  fc.constant('none' as const),
  fc.constant('stale' as const),
  fc.constant('clean' as const),
  fc.constant('lost' as const),
);
const befores = fc.option(
  fc.record({
    held: fc.boolean(),
    unknownSinceMs: fc.option(fc.integer({ min: NOW_MS - 2 * GRACE_MS, max: NOW_MS })),
  }),
);
const overrides = fc.array(
  fc.record({
    service: fc.constantFrom(null, 'dns', 'other'),
    stance: fc.constantFrom('deprefer' as const, 'withdraw' as const),
    reason: fc.constant('by hand'),
    sinceMs: fc.constant(0),
    untilMs: fc.constantFrom(null, NOW_MS - 1, NOW_MS + 1),
  }),
  { maxLength: 3 },
);

interface Case {
  service: Pick<EdgeService, 'commanded' | 'permit' | 'lastAnnouncer'>;
  look: 'none' | 'stale' | 'clean' | 'lost';
  before: Known | null;
  overrides: StanceOverride[];
}

function judged(given: Case) {
  const one = service(given.service);
  const atMs = given.look === 'stale' ? NOW_MS - LOOK_FRESH_MS - 1 : NOW_MS;
  const look = clean([one], atMs);
  if (given.look === 'lost') look.services['dns']?.addresses[ADDRESS]?.push('it is gone');
  const evidence = { host: given.look === 'none' ? null : look, probes: new Map(), filters: [] };
  const before = given.before === null ? {} : { [PREFIX]: given.before };
  const result = judge([one], evidence, given.overrides, before, GRACE_MS, NOW);
  const judgement = result.services[0];
  assert.ok(judgement);
  return { ...judgement, known: result.known[PREFIX] };
}

const cases = fc.record({ service: services, look: looks, before: befores, overrides });

test('nothing makes a stance better than commanded, by spec and by hand', () => {
  fc.assert(
    fc.property(cases, (given) => {
      const byHand = given.overrides
        .filter((each) => each.service !== 'other' && each.untilMs !== NOW_MS - 1)
        .map((each) => each.stance);
      const commanded = worst(given.service.commanded.stance, ...byHand);
      assert.ok(rank(judged(given).stance) >= rank(commanded));
    }),
  );
});

test('announced only with a proof that is fresh, or was held not longer ago than the grace time', () => {
  fc.assert(
    fc.property(cases, (given) => {
      if (judged(given).stance !== 'announce') return;
      const { look, before } = given;
      const inGrace =
        before?.held === true &&
        (before.unknownSinceMs === null || NOW_MS - before.unknownSinceMs < GRACE_MS);
      assert.ok(look === 'clean' || (look !== 'lost' && inGrace));
    }),
  );
});

test('withdrawn by a lost proof only with a permit, or where the spec says so, or never proven', () => {
  fc.assert(
    fc.property(cases, (given) => {
      const { permit, lastAnnouncer } = given.service;
      const one = { ...given, overrides: [] };
      one.service = { ...given.service, commanded: { stance: 'announce', why: 'commanded' } };
      const found = judged(one);
      if (found.stance !== 'withdraw') return;
      assert.ok(permit || lastAnnouncer === 'withdraw' || found.known === undefined);
    }),
  );
});

test('what is not announced says why, what is announced says nothing', () => {
  fc.assert(
    fc.property(cases, (given) => {
      const { stance: is, why } = judged(given);
      assert.equal(why.length === 0, is === 'announce');
    }),
  );
});

test('what was noted of a time to come does not prolong what is not known', () => {
  const evidence = { host: null, probes: new Map(), filters: [] };
  const before = { [PREFIX]: { held: true, unknownSinceMs: NOW_MS + 3_600_000 } };
  const first = judge([service()], evidence, [], before, GRACE_MS, NOW);
  assert.equal(first.services[0]?.stance, 'announce');
  const later = judge([service()], evidence, [], first.known, GRACE_MS, {
    ...NOW,
    monotonicMs: NOW_MS + GRACE_MS,
  });
  assert.equal(later.services[0]?.stance, 'deprefer');
});

test('a filter that holds nothing is a lost proof', () => {
  const evidence = {
    host: clean([service()], NOW_MS),
    probes: new Map(),
    filters: [{ interface: 'uplink0', why: 'no memory' }],
  };
  const before = { [PREFIX]: { held: true, unknownSinceMs: null } };
  const { services: found } = judge([service()], evidence, [], before, GRACE_MS, NOW);
  assert.equal(found[0]?.stance, 'deprefer');
  assert.match(found[0]?.why[0] ?? '', /uplink0 holds nothing: no memory/);
});
