import assert from 'node:assert/strict';
import { test } from 'node:test';
import { downCause, downReason, notificationOf, type PeerDown } from './notification';

const down = (
  by: PeerDown['by'],
  code: number,
  subcode: number,
  data: number[] = [],
): PeerDown => ({
  address: '10.0.0.2',
  by,
  notification: notificationOf(code, subcode, Uint8Array.from(data)),
  deconfigured: false,
});

test('what an administrator wanted, what follows from our BFD, and what is a failure', () => {
  const rows: [PeerDown, string, string][] = [
    [
      down('peer', 6, 2, [2, 0x6f, 0x6b]),
      'administrative',
      'peer says: Cease/Administrative Shutdown: "ok"',
    ],
    [down('peer', 6, 4), 'administrative', 'peer says: Cease/Administrative Reset'],
    [down('peer', 6, 3), 'administrative', 'peer says: Cease/Peer De-configured'],
    [down('peer', 6, 6), 'administrative', 'peer says: Cease/Other Configuration Change'],
    [down('peer', 6, 1), 'path', 'peer says: Cease/Maximum Number of Prefixes Reached'],
    [down('peer', 6, 10), 'path', 'peer says: Cease/BFD Down'],
    [
      down('peer', 6, 9, [6, 4, 1, 0x41]),
      'administrative',
      'peer says: Cease/Administrative Reset: "A"',
    ],
    [down('us', 6, 4), 'consequence', 'we say: Cease/Administrative Reset'],
    [down('us', 6, 3), 'administrative', 'we say: Cease/Peer De-configured'],
    [down('us', 4, 0), 'path', 'we say: Hold Timer Expired'],
    [down('peer', 2, 2), 'path', 'peer says: OPEN Message Error/Bad Peer AS'],
    [down('peer', 77, 9), 'path', 'peer says: error 77/9'],
    [{ ...down('nobody', 0, 0), notification: null }, 'path', 'the connection was lost'],
    [
      { ...down('nobody', 0, 0), deconfigured: true },
      'administrative',
      'its configuration changed',
    ],
  ];
  for (const [each, cause, reason] of rows) {
    assert.equal(downReason(each), reason);
    assert.equal(downCause(each), cause, reason);
  }
});

test('a communication that is cut, empty or no UTF-8 is no error', () => {
  const said = (data: number[]): string | null =>
    notificationOf(6, 2, Uint8Array.from(data)).communication;
  assert.equal(said([]), null);
  assert.equal(said([0]), null);
  assert.equal(said([5, 0x41]), null);
  assert.equal(said([2, 0xc3, 0xbc]), 'ü');
  assert.equal(said([2, 0x41, 0xff]), 'A\ufffd');
});
