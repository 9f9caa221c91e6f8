import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LeaseGuard } from './lease';

test('a guard holds from the sending of the last answered request, TTL less margin', () => {
  const guard = new LeaseGuard(300);
  assert.equal(guard.holds(0), false, 'nothing was granted yet');
  guard.prolong(1000, 3000);
  assert.equal(guard.holds(3699), true);
  assert.equal(guard.holds(3700), false);
  guard.prolong(2000, 3000);
  assert.equal(guard.remainingMs(3700), 1000);
  guard.prolong(1500, 3000); // an answer that was overtaken
  assert.equal(guard.remainingMs(3700), 1000);
});

test('once ended, a late answer does not revive it', () => {
  const guard = new LeaseGuard(300);
  guard.prolong(0, 3000);
  guard.end();
  guard.prolong(100, 3000);
  assert.equal(guard.holds(100), false);
});

test('whatever the network does, it ends before the server takes the lease away', () => {
  const request = fc.record({
    waitMs: fc.nat(2000),
    thereMs: fc.nat(5000),
    backMs: fc.nat(5000),
    answered: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(request), fc.nat(40_000), (requests, askedAtMs) => {
      const ttlMs = 3000;
      const guard = new LeaseGuard(1);
      guard.prolong(0, ttlMs);
      let expiresAtMs = ttlMs; // at the server, granted as early as possible
      const answers: { atMs: number; sentAtMs: number }[] = [];
      let sentAtMs = 0;
      const arrivals = requests
        .map((r) => ({ ...r, sentAtMs: (sentAtMs += r.waitMs) }))
        .map((r) => ({ ...r, arrivesAtMs: r.sentAtMs + r.thereMs }))
        .sort((a, b) => a.arrivesAtMs - b.arrivesAtMs);
      for (const r of arrivals) {
        if (r.arrivesAtMs >= expiresAtMs) break; // gone: the server answers TTL 0 from here on
        expiresAtMs = r.arrivesAtMs + ttlMs;
        if (r.answered) answers.push({ atMs: r.arrivesAtMs + r.backMs, sentAtMs: r.sentAtMs });
      }
      for (const a of answers) if (a.atMs <= askedAtMs) guard.prolong(a.sentAtMs, ttlMs);
      if (guard.holds(askedAtMs)) assert(askedAtMs < expiresAtMs);
    }),
  );
});
