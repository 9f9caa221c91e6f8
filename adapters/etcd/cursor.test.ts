import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { advance, type WatchEvent, type WatchMessage } from './cursor';

const del = (key: string, modRevision: number): WatchEvent => ({
  kind: 'delete',
  key,
  modRevision,
});
const message = (headerRevision: number, events: WatchEvent[], fragment = false): WatchMessage => ({
  headerRevision,
  events,
  fragment,
});

test('events move it behind the last of them, whatever the header says', () => {
  assert.equal(advance(1, message(20_000, [del('a', 5), del('b', 9)])), 10);
});

test('a progress report moves it behind the header, never back', () => {
  assert.equal(advance(5, message(100, [])), 101);
  assert.equal(advance(500, message(100, [])), 500); // a member that lags
});

test('half a revision is asked for again', () => {
  assert.equal(advance(1, message(9, [del('a', 9)], true)), 9);
});

/** What etcd sends to a watch from revision `from`: cut into messages anywhere, header far ahead. */
function* serve(log: readonly WatchEvent[], from: number, sizes: readonly number[], head: number) {
  const due = log.filter((event) => modRevision(event) >= from);
  for (let at = 0, i = 0; at < due.length; i++) {
    const size = 1 + (sizes[i % sizes.length] ?? 0);
    const events = due.slice(at, at + size);
    at += size;
    const following = due[at];
    const split = following !== undefined && modRevision(following) === modRevision(events.at(-1)!);
    yield message(head, events, split);
  }
  yield message(head, []);
}

const modRevision = (event: WatchEvent): number =>
  event.kind === 'put' ? event.entry.modRevision : event.modRevision;

test('however the stream is split and cut, every event comes', () => {
  const keysOfRevision = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1 });
  fc.assert(
    fc.property(
      fc.array(keysOfRevision, { maxLength: 30 }),
      fc.array(fc.nat(6), { minLength: 1 }),
      fc.array(fc.nat(4)),
      (revisions, sizes, cuts) => {
        const log = revisions.flatMap((keys, i) => keys.map((key) => del(key, i + 1)));
        const head = revisions.length;
        const got = new Set<string>();
        let next = 1;
        const follow = (messages: number): void => {
          for (const m of serve(log, next, sizes, head)) {
            if (messages-- === 0) return; // the connection is cut here
            for (const event of m.events) got.add(JSON.stringify(event));
            next = advance(next, m);
          }
        };
        for (const messagesBeforeCut of cuts) follow(messagesBeforeCut);
        follow(Infinity);
        assert.deepEqual([...got].sort(), log.map((event) => JSON.stringify(event)).sort());
        assert.equal(next, head + 1);
      },
    ),
  );
});
