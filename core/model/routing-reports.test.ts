import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRoutingEvent, parseRoutingStatus } from './routing-reports';

const status = {
  atMs: 1,
  gobgpd: { problem: null },
  bfd: { problem: 'no right to real-time priority', realtime: false },
  neighbors: [
    {
      address: '192.0.2.1',
      asn: 64500,
      state: 'established',
      localAddress: '192.0.2.2',
      sinceMs: 1,
      accepted: 0,
      held: { untilMs: null, why: 'BFD is down' },
      problem: null,
      bfd: null,
    },
  ],
  bfdPeers: [],
  services: [
    {
      service: 'dns',
      prefixes: ['203.0.113.10/32'],
      stance: 'deprefer',
      announced: true,
      why: ['the probe fails'],
      sinceMs: 1,
      permit: false,
    },
  ],
};

test('a status passes as it is, with what only a newer agent says', () => {
  const newer = { ...status, temperature: 40 };
  assert.deepEqual(parseRoutingStatus(newer), { ok: true, value: newer });
});

test('a status that is none is refused with its place', () => {
  const bad = { ...status, services: [{ ...status.services[0], stance: 'shout' }] };
  const parsed = parseRoutingStatus(bad);
  assert.equal(parsed.ok, false);
  assert.match(parsed.reason, /services\[0\]\.stance/);
  assert.equal(parseRoutingStatus(null).ok, false);
});

test('an event is checked by its kind; one of an unknown kind is handed on', () => {
  const down = { sequence: 7, atMs: 1, kind: 'bfdDown', peer: 'a', diagnostic: 'b', cause: 'path' };
  assert.deepEqual(parseRoutingEvent(down), { ok: true, value: down });
  assert.equal(parseRoutingEvent({ ...down, cause: 'whim' }).ok, false);
  const newer = { sequence: 8, atMs: 1, kind: 'eclipse', of: 'the sun' };
  assert.deepEqual(parseRoutingEvent(newer), { ok: true, value: newer });
  for (const bad of [{}, { ...newer, sequence: 0 }, { ...newer, sequence: 1.5 }, 'x']) {
    assert.equal(parseRoutingEvent(bad).ok, false);
  }
});
