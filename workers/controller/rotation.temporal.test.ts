/** Another authority under a running controller and an agent: no stream ends, and old certificates do at the end. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { beginRotation, finishRotation, reissueAll } from '../../adapters/ca/rotation';
import { until } from '../../workflows/testing/until';
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
    const edge = await cluster.startEdge('fra-1');
    await cluster.admin.apply([nodeResource('fra-1', 1)], null);
    const active = async () => (await cluster.admin.get('fra-1'))[0];
    await until('active', async () => (await active())?.phase === 'active', 60_000);
    const ca = join(cluster.directory, 'ca');
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
    await until('the agent has moved its Worker', () =>
      cluster.log('fra-1').includes('connected with the new certificate'),
    );

    finishRotation(ca);
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
    const log = cluster.log('controller');
    assert.equal(log.split('"edge connected"').length - 1, 1, 'a stream was opened anew');
    assert.ok(!log.includes('"edge disconnected"'), 'a stream has ended');
    assert.ok(!log.includes('the lease is lost'));
  },
);
