/** What the command says where a controller answers that it can't, and where it does not answer to the end. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { AdminError, type AdminPort } from '../adapters/admin/proto';
import { serveAdmin } from '../adapters/admin/server';
import { aether } from './testing';

test('who answers that it lacks etcd has answered; who goes away in between may have done it', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'aether-errors-'));
  const socket = join(directory, 'admin.sock');
  const message = 'etcd: no answer to write in 5000 ms; nothing was changed';
  const unknown = 'etcd: no answer to write in 5000 ms; it is unknown whether it was written';
  const failures = [
    { code: 'unavailable', message },
    { code: 'unknown', message: unknown },
  ] as const;
  let asked = 0;
  const outcomes: string[] = [];
  const port = {
    audit: () => Promise.reject(new AdminError(failures[asked++]!)),
    freeze: () => {
      setImmediate(() => server.close());
      return new Promise(() => undefined);
    },
  } as unknown as AdminPort;
  const server = await serveAdmin(socket, {
    port,
    audit: ({ outcome }) => void outcomes.push(outcome),
    onError: () => undefined,
  });
  t.after(() => {
    server.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const lacking = await aether('audit', '--socket', socket);
  assert.equal(lacking.code, 4, lacking.stdout);
  // Where the machine is busy it is told before that it takes long.
  assert.equal(lacking.stderr.replace(/^Waiting .*\n/, ''), `${message}\n`);

  const perhaps = await aether('audit', '--socket', socket);
  assert.equal(perhaps.code, 4, perhaps.stdout);
  assert.equal(perhaps.stderr.replace(/^Waiting .*\n/, ''), `${unknown}\n`);
  assert.deepEqual(outcomes, [`refused: ${message}`, `failed: ${unknown}`]);

  const cut = await aether('freeze', '--socket', socket);
  assert.equal(cut.code, 4, cut.stderr);
  assert.match(cut.stderr, /^No controller answers on .*may have been done, or be done yet/m);

  const away = await aether('freeze', '--socket', socket);
  assert.equal(away.code, 4, away.stdout);
  assert.match(away.stderr, /^No controller answers on .*ENOENT/m);
  assert.doesNotMatch(away.stderr, /may have been done/);
});
