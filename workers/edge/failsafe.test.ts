import assert from 'node:assert/strict';
import { getServers, setServers } from 'node:dns';
import { test, type TestContext } from 'node:test';
import { waitFor } from '../../adapters/native/test-support';
import { edgeConfig } from '../config/edge';
import { Failsafe, type FailsafeParts } from './failsafe';
import { createEdgeMetrics } from './metrics';
import { Problems } from './problems';
import { createLogger } from '../../adapters/telemetry/logger';

const SERVERS = getServers();

interface Made {
  failsafe: Failsafe;
  problems: Problems;
  changes: () => number;
}

function made(t: TestContext, parts: Partial<FailsafeParts>): Made {
  setServers([]);
  const problems = new Problems(createLogger('error', {}), createEdgeMetrics());
  let changes = 0;
  const failsafe = new Failsafe({
    peers: [],
    prefixes: [],
    addresses: {},
    problems,
    changed: () => (changes += 1),
    ...parts,
  });
  t.after(() => {
    failsafe.close();
    setServers(SERVERS);
  });
  return { failsafe, problems, changes: () => changes };
}

test('addresses count from the first moment on, in whatever form they are configured', (t) => {
  const peers = ['192.0.2.1:7700', '[2001:db8::1]:7700', 'https://192.0.2.2:7233', '127.0.0.1:1'];
  const { failsafe } = made(t, { peers, prefixes: ['198.51.100.0/24'] });
  assert.deepEqual(failsafe.prefixes(), [
    '198.51.100.0/24',
    '192.0.2.1/32',
    '2001:db8::1/128',
    '192.0.2.2/32',
  ]);
});

test('controllers that others name are failsafe as long as they are named', (t) => {
  const { failsafe, changes } = made(t, { peers: ['192.0.2.1:7700'] });
  failsafe.learn(['192.0.2.1:7700', '192.0.2.9:7700']);
  assert.deepEqual(failsafe.prefixes(), ['192.0.2.1/32', '192.0.2.9/32']);
  failsafe.learn(['192.0.2.9:7700', '192.0.2.1:7700']);
  assert.equal(changes(), 1, 'the same in another order is no change');
  failsafe.learn([]);
  assert.deepEqual(failsafe.prefixes(), ['192.0.2.1/32']);
  assert.equal(changes(), 2);
});

test("the host's resolvers are failsafe: without them no controller is found", (t) => {
  const { failsafe } = made(t, {});
  setServers(['192.0.2.53', '[2001:db8::53]:5353', '127.0.0.53']);
  assert.deepEqual(failsafe.prefixes(), ['192.0.2.53/32', '2001:db8::53/128']);
});

test('a name that can not be resolved keeps its last addresses, and that is told', async (t) => {
  const addresses = { 'c1.invalid': ['192.0.2.7'], 'former.invalid': ['192.0.2.8'] };
  const peers = ['c1.invalid:7700', 'c2.invalid:7700'];
  const { failsafe, problems, changes } = made(t, { peers, addresses });
  assert.deepEqual(failsafe.prefixes(), ['192.0.2.7/32']);
  failsafe.start();
  await waitFor('both are told', () => problems.list().length === 2);
  assert.match(problems.list()[0] ?? '', /c1\.invalid is not known .*: its last one counts$/);
  assert.match(problems.list()[1] ?? '', /c2\.invalid is not known .*: it is not failsafe$/);
  assert.deepEqual(failsafe.prefixes(), ['192.0.2.7/32']);
  assert.equal(changes(), 0);
});

test('a controller that is named no more is no problem any more', async (t) => {
  const { failsafe, problems } = made(t, { peers: ['192.0.2.1:7700'] });
  failsafe.learn(['c1.invalid:7700']);
  await waitFor('it is told', () => problems.list().length === 1);
  failsafe.learn(['c2.invalid:7700']);
  await waitFor('the other one is told', () => /c2/.test(problems.list().join()));
  assert.doesNotMatch(problems.list().join(), /c1/);
  failsafe.learn([]);
  assert.deepEqual(problems.list(), []);
});

test('a name that is resolved anew says so', async (t) => {
  const { failsafe, changes } = made(t, { peers: ['localhost:7700'] });
  failsafe.start();
  await waitFor('it is resolved', () => changes() === 1);
  assert.ok(failsafe.addresses['localhost']?.some((address) => /^(127\.|::1$)/.test(address)));
});

test('AETHER_FAILSAFE takes addresses and prefixes, and names what is wrong', () => {
  const config = (failsafe: string) =>
    edgeConfig({
      AETHER_NODE: 'fra-1',
      AETHER_CONTROLLERS: '192.0.2.1:7700',
      AETHER_TLS_CA: 'a',
      AETHER_TLS_CERT: 'b',
      AETHER_TLS_KEY: 'c',
      AETHER_FAILSAFE: failsafe,
    }).failsafe;
  assert.deepEqual(config(''), []);
  assert.deepEqual(config('192.0.2.9, 2001:db8::/48'), ['192.0.2.9/32', '2001:db8::/48']);
  assert.throws(() => config('192.0.2.9/24'), /^ConfigError: AETHER_FAILSAFE: .*192\.0\.2\.0\/24/);
});
