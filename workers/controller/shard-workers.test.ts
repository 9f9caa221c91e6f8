import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { pino } from 'pino';
import { waitFor } from '../../adapters/native/test-support';
import { RawTemporal } from '../../adapters/temporal/raw';
import { ShardWorkers } from './shard-workers';

test('that Temporal is away is one line, of however many shards', async (t) => {
  let dialed = 0;
  const nobody = createServer((socket) => (dialed++, socket.destroy())).listen(0, '127.0.0.1');
  t.after(() => nobody.close());
  await once(nobody, 'listening');
  const lines: string[] = [];
  const stop = new AbortController();
  const workers = new ShardWorkers({
    identity: 'c1',
    activities: {},
    holds: () => true,
    onChange: () => undefined,
    onActivity: () => undefined,
    log: pino({ level: 'info' }, { write: (line: string) => void lines.push(line) }),
    signal: stop.signal,
  });
  const raw = new RawTemporal(
    { address: `127.0.0.1:${(nobody.address() as AddressInfo).port}` },
    'n',
  );
  workers.connected({ namespace: 'n', temporal: () => raw });
  workers.set([1, 2, 3], []);
  await waitFor('it was tried again', () => dialed > 3);
  stop.abort();
  await workers.end();
  raw.close();
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? '', /a poll for activities failed; trying again/);
});
