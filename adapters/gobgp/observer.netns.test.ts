import assert from 'node:assert/strict';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { GRACEFUL_SHUTDOWN } from '../../core/model/anycast';
import { until } from '../testing/until';
import { GobgpClient } from './client';
import { GobgpObserver } from './observer';
import { Bird, birdBgp, daemon, RouterHost, temporaryDirectory } from './testing';

const GOBGPD = resolve(__dirname, '../../../.tools/bin/gobgpd');
const [V4, V6] = ['203.0.113.10/32', '2001:db8:10::10/128'];
const API = '127.0.0.1:50055';

test('an observer tells what a router has told it, and nothing of other prefixes', async (t) => {
  const host = new RouterHost(t, 7);
  const shut = 'filter { bgp_community.add((65535,0)); bgp_path.prepend(65010); accept; }';
  await new Bird(host).start(
    birdBgp('obs4', host, { export: shut }) +
      birdBgp('obs6', host, { v6: true, export: shut }) +
      `protocol static { ipv4; route ${V4} blackhole; route 203.0.113.11/32 blackhole; }
       protocol static { ipv6; route ${V6} blackhole; }`,
  );
  const socket = join(temporaryDirectory(t), 'gobgp.sock');
  daemon(t, GOBGPD, [`--api-hosts=unix://${socket},${API}`, '--pprof-disable', '--metrics-path=']);
  const gobgpd = new GobgpClient(socket);
  const observer = new GobgpObserver(API);
  t.after(() => {
    gobgpd.close();
    observer.close();
  });
  await until('gobgpd answers', () =>
    gobgpd.global().then(
      () => true,
      () => false,
    ),
  );
  await gobgpd.start({ asn: 65001, routerId: '10.99.0.1', listenPort: null });
  await gobgpd.setPolicies({
    exportPrefixes: [],
    importPrefixes: ['203.0.113.0/24', '2001:db8:10::/48'],
    held: null,
  });
  const { v4, v6 } = host.link.there;
  for (const address of [v4, v6]) {
    await gobgpd.addPeer({
      address,
      asn: 65010,
      password: '',
      ttlSecurity: false,
      multihop: null,
      holdTimeS: 9,
      maxPrefixes: 10,
    });
  }
  for (const [prefix, address] of [
    [V4, v4],
    [V6, v6],
  ] as const) {
    const paths = await until(`${prefix} is seen`, async () => {
      const found = await observer.pathsOf(prefix);
      return found.length > 0 ? found : null;
    });
    assert.deepEqual(paths, [
      {
        prefix,
        neighbor: address,
        nextHop: address,
        best: true,
        communities: [GRACEFUL_SHUTDOWN],
        asPath: [65010, 65010],
      },
    ]);
  }
  assert.deepEqual(await observer.pathsOf('203.0.113.12/32'), []);
  assert.deepEqual(await observer.pathsOf('203.0.113.0/24'), []);
});

test('an observer that is not there is a problem with a name', async () => {
  const observer = new GobgpObserver('127.0.0.1:1');
  try {
    await assert.rejects(observer.pathsOf(V4), { name: 'BgpError', code: 'unreachable' });
  } finally {
    observer.close();
  }
});
