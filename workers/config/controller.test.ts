import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { test } from 'node:test';
import { adminAddresses, edgeAddresses, gossipOf } from './controller';

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

test('gossip is announced where others find it, so at a port that is one', () => {
  const listen = (at: string) => gossipOf({ AETHER_GOSSIP_LISTEN: at })?.listen;
  assert.equal(listen('[2001:db8::1]:7701'), '[2001:db8::1]:7701');
  assert.throws(() => listen('192.0.2.1:0'), /names no port where the others find it/);
});

test('the other controllers are told an address that leads here, never that of whoever dials it', () => {
  const told = (env: NodeJS.ProcessEnv): string | null => adminAddresses(env).adminAdvertise;
  assert.equal(told({}), null);
  assert.equal(told({ AETHER_ADMIN_LISTEN: '192.0.2.1:7702' }), '192.0.2.1:7702');
  assert.equal(told({ AETHER_ADMIN_LISTEN: '0.0.0.0:7702' }), `${hostname()}:7702`);
  const env = { AETHER_ADMIN_LISTEN: '[::]:7702', AETHER_ADMIN_ADVERTISE: 'c1.example.net:443' };
  assert.equal(told(env), 'c1.example.net:443');
});
