import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { test } from 'node:test';
import { edgeAddresses } from './controller';

test('edges are told an address that they can dial', () => {
  const told = (env: NodeJS.ProcessEnv): string => edgeAddresses(env).advertise;
  assert.equal(told({}), `${hostname()}:7700`);
  assert.equal(told({ AETHER_EDGE_LISTEN: '[::]:7800' }), `${hostname()}:7800`);
  assert.equal(told({ AETHER_EDGE_LISTEN: '192.0.2.1:7700' }), '192.0.2.1:7700');
  const env = { AETHER_EDGE_LISTEN: '0.0.0.0:7700', AETHER_EDGE_ADVERTISE: 'c1.example.net:443' };
  assert.deepEqual(edgeAddresses(env), {
    listen: '0.0.0.0:7700',
    advertise: 'c1.example.net:443',
  });
});
