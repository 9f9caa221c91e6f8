/** What one controller hears of another, over real gRPC and TLS on loopback. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { pino } from 'pino';
import { caInit, caIssue } from '../../adapters/ca/authority';
import { Proxy } from '../../adapters/etcd/testing';
import type { Role } from '../../adapters/ca/identity';
import { type Credentials, dialMtls, type MtlsServer, serveMtls } from '../../adapters/grpc/mtls';
import { asIs } from '../../adapters/grpc/raw';
import { PeerAway } from '../../adapters/peer/client';
import { NoStream, SILENCE_MS } from '../../adapters/peer/proto';
import { PeerServer } from '../../adapters/peer/server';
import { until } from '../../adapters/testing/until';
import type { ToldFacts } from '../../core/model/edge-facts';
import type { ControllerValue } from '../../core/model/values';
import type { Edges } from './edges';
import { Fleet } from './fleet';
import { Peers } from './peers';
import { exampleController } from './testing/resources';

const facts = (over: Partial<ToldFacts> = {}): ToldFacts => ({
  ...{ connected: true, stream: 's1', connectedAgoMs: 5_000, seenAgoMs: 0 },
  ...{ appliedHash: '', open: null, refused: null, routing: null },
  ...over,
});

const HELD = {
  what: 'controller',
  expiresAtMs: 1,
  authority: 'A',
  trusted: ['A'],
  problem: null,
};

/** The other controller: what it knows, a server on a port that stays, and a way there that can be cut. */
class Other {
  readonly known = new Map<string, string>();
  certificates = '[]';
  /** Called as it is about to say its word of each second. */
  onBeat: () => void = () => undefined;
  told = 0;
  server!: PeerServer;
  #served!: MtlsServer;
  way!: Proxy;

  constructor(private readonly tls: Credentials) {}

  async start(boot: string, listen = '127.0.0.1:0'): Promise<void> {
    this.server = new PeerServer({
      controller: 'c2',
      boot,
      nodes: () => [...this.known.keys()],
      facts: (node) => {
        const json = this.known.get(node);
        if (json !== undefined) this.told++;
        return json === undefined ? null : Buffer.from(json);
      },
      certificates: () => {
        this.onBeat();
        return this.certificates;
      },
      ask: async (node, question) => {
        if (node === 'nobody') throw new NoStream('not here');
        if (question.question === 'status') throw new Error('the edge does not answer');
        return question.filterJson;
      },
    });
    this.#served = await serveMtls(listen, this.tls, [this.server.served()]);
  }

  async stop(): Promise<void> {
    this.server.close();
    await this.#served.close();
  }

  get port(): number {
    return this.#served.port;
  }

  put(node: string, told: ToldFacts): void {
    this.known.set(node, JSON.stringify(told));
  }
}

async function world(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'aether-peers-'));
  t.after(() => rmSync(directory, { recursive: true }));
  await caInit(directory);
  const credentials = async (id: string, role: Role = 'controller'): Promise<Credentials> => {
    const { certPath, keyPath } = await caIssue(directory, { role, id });
    const ca = readFileSync(join(directory, 'ca.pem'));
    return { ca, cert: readFileSync(certPath), key: readFileSync(keyPath) };
  };
  const other = new Other(await credentials('c2'));
  other.put('fra-1', facts());
  await other.start('b1');
  const [way] = (await Proxy.toAll([`http://127.0.0.1:${other.port}`])) as [Proxy];
  const registered = new Map<string, ControllerValue>([
    ['c1', exampleController()],
    ['c2', exampleController({ adminAddress: new URL(way.url).host })],
  ]);
  const gone = new Set<string>();
  const problems: string[] = [];
  const tls = await credentials('c1');
  const all: Peers[] = [];
  const begin = (): Peers => {
    const made = new Peers({
      self: 'c1',
      tls,
      controllers: () => [...registered],
      isGone: (node) => gone.has(node),
      changed: () => undefined,
      log: pino({ level: 'error' }, { write: (line: string) => void problems.push(line) }),
    });
    all.push(made);
    made.sync();
    return made;
  };
  const peers = begin();
  t.after(async () => {
    for (const made of all) made.close();
    await way.close();
    await other.stop();
  });
  const heard = () => until('it is heard', () => peers.heardSinceMs('c2') !== null);
  const lost = () => until('it is not heard', () => peers.heardSinceMs('c2') === null);
  await heard();
  return { other, way, peers, begin, registered, gone, problems, heard, lost, credentials };
}

test('everything is told, then what changes; of a storm the newest', async (t) => {
  const { other, peers } = await world(t);
  const [first] = peers.of('fra-1');
  assert.equal(first?.controller, 'c2');
  assert.ok(
    Math.abs(performance.now() - 5_000 - (first.toldAtMs - first.told.connectedAgoMs)) < 5_000,
  );
  const before = other.told;
  for (let i = 0; i < 5_000; i += 1) {
    other.put('fra-2', facts({ stream: `s${i}` }));
    other.server.changed('fra-2');
  }
  await until('the newest', () => peers.of('fra-2')[0]?.told.stream === 's4999');
  assert.ok(other.told - before < 100, `${other.told - before} tellings of 5,000 changes`);
  for (let i = 0; i < 3_000; i += 1) {
    other.put(`many-${i}`, facts());
    other.server.changed(`many-${i}`);
  }
  await until('all of many', () => peers.nodes().length === 3_002);
});

test('its certificates are known, and again once they have changed', async (t) => {
  const { other, way, peers, lost } = await world(t);
  const told = () => peers.certificatesOf('c2')?.map(({ what }) => what);
  const is = (...what: string[]) =>
    until(`certificates: ${what.join()}`, () => JSON.stringify(told()) === JSON.stringify(what));
  await is();
  other.certificates = JSON.stringify([HELD]);
  await is('controller');
  other.certificates = '{"what":';
  await until('what can not be read says nothing', () => peers.certificatesOf('c2') === null);
  other.certificates = JSON.stringify([HELD]);
  await is('controller');
  way.swallow(true);
  await lost();
  assert.equal(peers.certificatesOf('c2'), null, 'who is not heard says nothing');
});

test('two of one name end each other’s streams, less and less often', async (t) => {
  const { other, begin } = await world(t);
  const before = other.told;
  const begunAtMs = performance.now();
  begin();
  await until('sixteen streams', () => other.told - before >= 16, 30_000);
  assert.ok(performance.now() - begunAtMs > 2_500, 'it is not a storm');
});

test('one that is not heard has said what it said, and since when nobody says it', async (t) => {
  const { other, way, peers, heard, lost } = await world(t);
  way.swallow(true);
  const cutAtMs = performance.now();
  await lost();
  assert.ok(performance.now() - cutAtMs > 1_500, 'one word that is late is no silence');
  const [old] = peers.of('fra-1');
  assert.equal(old?.told.connected, true);
  assert.ok(old.unheardSinceMs !== null && old.unheardSinceMs >= cutAtMs);
  await assert.rejects(
    peers.ask('c2', 'fra-1', { question: 'filterJson', filterJson: Buffer.from('{}') }, 300),
    PeerAway,
  );
  way.swallow(false);
  await heard();
  assert.equal(peers.of('fra-1')[0]?.unheardSinceMs, null);

  await t.test('what it no longer knows when it is back, it knew in a former run', async () => {
    const { port } = other;
    const [before] = peers.of('fra-1');
    await other.stop();
    await lost();
    other.known.clear();
    other.put('fra-9', facts());
    await other.start('b2', `127.0.0.1:${port}`);
    await heard();
    assert.equal(peers.of('fra-9')[0]?.unheardSinceMs, null);
    const [former] = peers.of('fra-1');
    assert.ok(former && former.unheardSinceMs !== null);
    assert.equal(former.told.connected, false, 'who would have its stream is heard');
    const edges = () => ({ get: () => null, nodes: () => [] }) as unknown as Edges;
    const fleet = new Fleet({ self: 'c1', edges, peers, ownerOf: () => 'c2' });
    assert.equal(fleet.isUnheard('fra-1'), false);
    const nowMs = performance.now();
    const view = fleet.get('fra-1', nowMs);
    const [seenAtMs, connectedAtMs] = [former.unheardSinceMs, (before?.toldAtMs ?? 0) - 5_000];
    assert.ok(Math.abs((view?.seenAgoMs ?? 0) - (nowMs - seenAtMs)) < 1);
    assert.ok(Math.abs((view?.connectedAgoMs ?? 0) - (nowMs - connectedAtMs)) < 1);
  });
});

test('who stood still has heard what was said to it meanwhile', async (t) => {
  const { other, peers, registered, heard } = await world(t);
  registered.set('c2', exampleController({ adminAddress: `127.0.0.1:${other.port}` }));
  peers.sync();
  await heard();
  const since = peers.heardSinceMs('c2');
  other.onBeat = () => {
    other.onBeat = () => undefined;
    // Its word is in the socket by then, and is not read before the pause.
    setImmediate(() => {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SILENCE_MS + 300);
      other.certificates = JSON.stringify([HELD]);
    });
  };
  await until('the next word', () => peers.certificatesOf('c2')?.length === 1);
  assert.equal(peers.heardSinceMs('c2'), since);
});

test('questions go through it, and each answer is told from no answer', async (t) => {
  const { peers } = await world(t);
  const filterJson = Buffer.from('{"kind":"stats"}');
  const asked = await peers.ask('c2', 'fra-1', { question: 'filterJson', filterJson }, 5_000);
  assert.deepEqual(Buffer.from(asked), filterJson);
  const status = { question: 'status', status: {} } as const;
  await assert.rejects(peers.ask('c2', 'fra-1', status, 5_000), /^Error: the edge does not answer/);
  await assert.rejects(peers.ask('c2', 'nobody', status, 5_000), NoStream);
  await assert.rejects(peers.ask('c3', 'fra-1', status, 5_000), PeerAway);
});

test('facts that cannot be read change nothing, and are told', async (t) => {
  const { other, peers, problems } = await world(t);
  other.known.set('fra-1', '{"connected":"perhaps"}');
  other.server.changed('fra-1');
  other.known.set('fra-2', '{');
  other.server.changed('fra-2');
  other.put('fra-3', facts());
  other.server.changed('fra-3');
  await until('what can be read', () => peers.of('fra-3').length === 1);
  assert.equal(peers.of('fra-1')[0]?.told.connected, true);
  assert.deepEqual(peers.of('fra-2'), []);
  assert.equal(problems.filter((line) => line.includes('cannot be read')).length, 2);
});

test('a controller that moved is dialled there; one that is neither registered nor heard is let go', async (t) => {
  const { peers, registered, heard, lost, other } = await world(t);
  registered.set('c2', exampleController({ adminAddress: '127.0.0.1:1' }));
  peers.sync();
  assert.equal(peers.heardSinceMs('c2'), null, 'at its new address nobody is yet');
  registered.set('c2', exampleController({ adminAddress: `127.0.0.1:${other.port}` }));
  peers.sync();
  await heard();
  registered.delete('c2');
  peers.sync();
  assert.notEqual(peers.heardSinceMs('c2'), null, 'its lease is lost, it is not');
  await other.stop();
  await lost();
  peers.sync();
  assert.notEqual(peers.of('fra-1')[0]?.unheardSinceMs ?? null, null);
  peers.sync(performance.now() + 3_600_000);
  assert.deepEqual(peers.of('fra-1'), []);
  await other.start('b3');
});

test('of a node that is gone nothing is kept once its stream has ended', async (t) => {
  const { other, peers, gone, lost } = await world(t);
  const known = () => peers.nodes().sort().join();
  other.put('fra-2', facts());
  other.server.changed('fra-2');
  await until('both', () => known() === 'fra-1,fra-2');
  gone.add('fra-1');
  peers.sync();
  assert.equal(known(), 'fra-1,fra-2', 'its stream is up');
  other.put('fra-1', facts({ connected: false }));
  other.server.changed('fra-1');
  await until('it is let go', () => {
    peers.sync();
    return known() === 'fra-2';
  });
  await other.stop();
  await lost();
  gone.add('fra-2');
  peers.sync();
  assert.equal(known(), '', 'nobody is heard who would know more');
  await other.start('b2');
});

test('who is no controller is refused before anything that he says is read', async (t) => {
  const { other, credentials } = await world(t);
  for (const role of ['edge', 'viewer', 'breaker'] as const) {
    const tls = await credentials('ada', role);
    const client = dialMtls(`127.0.0.1:${other.port}`, tls, () => true);
    for (const method of ['Ask', 'Facts']) {
      const path = `/aether.peer.v1.Peer/${method}`;
      const { code, details } = await new Promise<grpc.StatusObject>((resolve) => {
        // Of its message nothing ever comes.
        const call = client.makeBidiStreamRequest(path, asIs, asIs, {
          deadline: Date.now() + 5_000,
        });
        call
          .on('status', resolve)
          .on('error', () => undefined)
          .resume();
      });
      assert.equal(code, grpc.status.PERMISSION_DENIED, `${method}: ${details}`);
      assert.equal(
        details,
        `this is for controllers alone; the certificate is that of ${role}/ada`,
      );
    }
    client.close();
  }
});
