import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { caInit } from '../ca/authority';
import { waitFor } from '../native/test-support';
import { TemporalConfig } from './config';
import { RawTemporal } from './raw';

test('an authority that can not be read is told once, and not taken; what stands is used on', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'aether-temporal-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const { certPath } = await caInit(directory);
  const good = readFileSync(certPath);
  const path = join(directory, 'server.pem');
  writeFileSync(path, good);
  const config = new TemporalConfig({
    TEMPORAL_ADDRESS: '127.0.0.1:1',
    TEMPORAL_TLS: 'true',
    TEMPORAL_TLS_SERVER_CA_CERT_PATH: path,
  });
  const told: string[] = [];
  config.watch(() => {
    told.push(config.problem === null ? 'taken' : 'refused');
    new RawTemporal(config.connectionOptions, 'default').close();
  }, 2);
  t.after(() => config.close());
  writeFileSync(path, good.subarray(0, good.length / 2));
  await waitFor('it is refused', () => told.length > 0);
  const { problem } = config;
  assert.notEqual(problem, null);
  let looks = 0;
  const looking = setInterval(() => looks++, 2);
  t.after(() => clearInterval(looking));
  await waitFor('it was looked at again', () => looks > 10);
  writeFileSync(path, Buffer.concat([good, good]));
  await waitFor('the next one is taken', () => config.problem === null);
  assert.deepEqual(told, ['refused', 'taken']);
});
