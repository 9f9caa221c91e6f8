/** Another authority under a running controller and an agent: no stream ends, and old certificates do at the end. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { beginRotation, reissueAll } from '../../adapters/ca/rotation';
import { until } from '../../workflows/testing/until';
import { aether } from './testing/cli';
import { Cluster, type Tls, withoutServers } from './testing/cluster';
import { nodeResource } from './testing/resources';

/** Null where it came in; else why not. `sessions`: to come back by, without showing a certificate again. */
function refusal(
  port: number,
  { ca, cert, key }: Tls,
  sessions: Buffer[] = [],
): Promise<string | null> {
  const [root, chain, secret] = [ca, cert, key].map((path) => readFileSync(path));
  return new Promise((resolve) => {
    const socket = connect({
      port,
      host: '127.0.0.1',
      servername: 'controller.aether',
      ca: root,
      cert: chain,
      key: secret,
      ALPNProtocols: ['h2'],
      ...(sessions[0] === undefined ? {} : { session: sessions[0] }),
    });
    socket.on('session', (session) => sessions.push(session));
    // TLS 1.3 tells a client that it is not believed after its own handshake; what is believed is greeted.
    socket.on('data', () => resolve(null)).on('error', (error) => resolve(error.message));
    socket.on('close', () => resolve('closed'));
    setTimeout(() => resolve('nothing was heard'), 5_000).unref();
  }).then((why) => why as string | null);
}

test(
  'a rotation ends no stream, new certificates are used at once, and old ones are of no use after it',
  { skip: withoutServers, timeout: 180_000 },
  async (t) => {
    const cluster = await Cluster.start(t);
    await cluster.startController();
    await cluster.ready();
    // One whose files nobody has carried anything to.
    const forgotten = join(cluster.directory, 'forgotten');
    mkdirSync(forgotten);
    const files = { ca: 'ca.pem', cert: 'controller/c2.pem', key: 'controller/c2.key' };
    const carry = async () => {
      await cluster.certificate('controller', 'c2');
      for (const [name, from] of Object.entries(files)) {
        copyFileSync(join(cluster.directory, 'ca', from), join(forgotten, name));
      }
    };
    await carry();
    await cluster.another('c2', {
      AETHER_TLS_CA: join(forgotten, 'ca'),
      AETHER_TLS_CERT: join(forgotten, 'cert'),
      AETHER_TLS_KEY: join(forgotten, 'key'),
    });
    const edge = await cluster.startEdge('fra-1');
    await cluster.admin.apply([nodeResource('fra-1', 1)], null);
    const active = async () => (await cluster.admin.get('fra-1'))[0];
    await until('active', async () => (await active())?.phase === 'active', 60_000);
    const log = () => cluster.log('controller') + cluster.log('c2');
    const count = (what: string) => log().split(`"edge ${what}"`).length - 1;
    await until('its stream is at its owner alone', () => {
      return count('connected') - count('disconnected') === 1;
    });
    const streams = [count('connected'), count('disconnected')];
    const ca = join(cluster.directory, 'ca');
    const rotate = (...argv: string[]) => aether(cluster, 'ca', 'rotate', ...argv, '--dir', ca);
    const old = join(cluster.directory, 'old');
    mkdirSync(old);
    const issued = await cluster.certificate('edge', 'ams-1');
    const kept: Tls = { ca: join(old, 'ca'), cert: join(old, 'cert'), key: join(old, 'key') };
    copyFileSync(issued.cert, kept.cert);
    copyFileSync(issued.key, kept.key);
    assert.equal(await refusal(cluster.edgePort, issued), null);
    const held = async () => (await cluster.admin.status()).certificates[0];
    const before = await held();

    const begun = await beginRotation(ca);
    await until('the controller trusts both', async () => {
      return (await held())?.trusted.includes(begun.next ?? '');
    });
    assert.equal((await held())?.authority, before?.authority);
    assert.equal(await refusal(cluster.edgePort, issued), null);

    const early = await rotate('reissue');
    assert.equal(early.code, 1, early.stdout);
    assert.match(early.stderr, /controller\/c2: trusts the old authority alone \(controller\)/);
    copyFileSync(join(ca, 'ca.pem'), join(forgotten, 'ca'));
    await until('the other one trusts both', async () => {
      const { controllers } = await cluster.admin.status();
      const [held] = controllers.find(({ id }) => id === 'c2')?.certificates ?? [];
      return held?.trusted.includes(begun.next ?? '');
    });
    await reissueAll(ca);
    await until(
      'the controller shows its new certificate',
      async () => (await held())?.authority === begun.next,
    );
    copyFileSync(issued.ca, kept.ca);
    assert.equal(await refusal(cluster.edgePort, issued), null, 'a new one is believed');
    const sessions: Buffer[] = [];
    assert.equal(await refusal(cluster.edgePort, kept, sessions), null, 'an old one is, too');
    assert.ok(sessions.length > 0);
    await until('the agent has moved its calls', () =>
      cluster.log('fra-1').includes('connected with the new certificate'),
    );

    await t.test('it is not finished while anybody goes by the old authority', async () => {
      await until(
        'the edge has shown its new certificate',
        async () => {
          const { stdout } = await aether(cluster, 'get', 'nodes', '--json');
          const [node] = JSON.parse(stdout) as { certificateIssuedAtMs: number }[];
          const issuedAtMs = Date.parse(
            new X509Certificate(readFileSync(join(ca, 'edge/fra-1.pem'))).validFrom,
          );
          return node?.certificateIssuedAtMs === issuedAtMs;
        },
        30_000,
      );
      const refused = await rotate('finish', '--confirmed');
      assert.equal(refused.code, 1, refused.stdout);
      assert.match(refused.stderr, /controller\/c2: shows one of the old authority \(controller\)/);
      assert.doesNotMatch(refused.stderr, /fra-1|c1/);
      await carry();
      const unasked = await until(
        'nobody is behind',
        async () => {
          const ended = await rotate('finish');
          return ended.stderr.includes('c2') ? null : ended;
        },
        30_000,
      );
      assert.equal(unasked.code, 1, unasked.stdout);
      assert.match(unasked.stderr, /edge\/ams-1: there is no node of that name/);
      assert.match(unasked.stderr, /--confirmed/);
    });

    const finished = await rotate('finish', '--confirmed');
    assert.equal(finished.code, 0, finished.stderr);
    copyFileSync(join(ca, 'ca.pem'), join(forgotten, 'ca'));
    await until('the controller trusts the new one alone', async () => {
      const { trusted } = (await held()) ?? {};
      return trusted?.length === 1 && trusted[0] === begun.next;
    });
    assert.equal(await refusal(cluster.edgePort, issued), null);
    assert.notEqual(await refusal(cluster.edgePort, kept), null, 'an old one came in');
    assert.notEqual(
      await refusal(cluster.edgePort, kept, sessions),
      null,
      'an old session came in',
    );

    await edge.deleteLink('edge0');
    await until(
      'the workflow has repaired it',
      async () => (await edge.linkNames()).includes('edge0'),
      30_000,
    );
    assert.match((await cluster.admin.explain('fra-1')).lastRepair ?? '', /^converged/);
    assert.deepEqual([count('connected'), count('disconnected')], streams, 'a stream has ended');
    assert.ok(!log().includes('the lease is lost'));
  },
);
