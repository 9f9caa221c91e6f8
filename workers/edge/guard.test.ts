/** The agent over a host in memory, against the controller's end of the stream, over real TLS. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { caInit, caIssue } from '../../adapters/ca/authority';
import type { DownMessages, Hello, Up } from '../../adapters/edge-stream/proto';
import {
  type EdgeSession,
  type EdgeStreamServer,
  serveEdgeStreams,
} from '../../adapters/edge-stream/server';
import type { OneOf } from '../../adapters/grpc/service';
import { waitFor } from '../../adapters/native/test-support';
import type { EdgeSpec, OwnerFence } from '../../core/model/edge-spec';
import { canonicalJson, specHash } from '../../core/model/hash';
import type { DriftReport, RepairRecord } from '../../core/model/messages';
import { MemoryHost } from '../controller/testing/memory-host';
import { type Guard, startGuard } from './guard';
import { exampleSpec, NODE } from './testing/test-host';

const FENCE: OwnerFence = { clusterIncarnation: 1, shard: 7, ownerRevision: 42 };

/** Long enough for a test to decide first, short enough to wait for. */
const AUTONOMY_MS = 1_000;

const spec = (revision: number): EdgeSpec => {
  const example = exampleSpec(revision);
  return { ...example, repair: { ...example.repair, autonomyAfterMs: AUTONOMY_MS } };
};

/** A controller reduced to its end of the stream. */
class Controller {
  readonly heard: Up[] = [];
  readonly hellos: Hello[] = [];
  fence: OwnerFence = FENCE;
  private session: EdgeSession | null = null;

  private constructor(
    private server: EdgeStreamServer,
    private readonly start: (port: number) => Promise<EdgeStreamServer>,
  ) {}

  static async create(t: TestContext, directory: string): Promise<Controller> {
    const issued = await caIssue(directory, { role: 'controller', id: 'c1' });
    const [ca, cert, key] = [join(directory, 'ca.pem'), issued.certPath, issued.keyPath].map(
      (path) => readFileSync(path),
    ) as [Buffer, Buffer, Buffer];
    let self: Controller;
    const start = (port: number) =>
      serveEdgeStreams(
        { listen: `127.0.0.1:${port}`, tls: { ca, cert, key }, controller: 'c1' },
        {
          fenceOf: () => self.fence,
          connected: (session, hello) => {
            self.session = session;
            self.hellos.push(hello);
          },
          message: (_, message) => void self.heard.push(message),
          drained: () => undefined,
          disconnected: () => undefined,
        },
      );
    self = new Controller(await start(0), start);
    t.after(() => self.server.close());
    return self;
  }

  get address(): string {
    return `127.0.0.1:${this.server.port}`;
  }

  async restart(): Promise<void> {
    const { port } = this.server;
    await this.server.close();
    this.server = await this.start(port);
  }

  send(message: OneOf<DownMessages>): void {
    assert.ok(this.session?.send(message), 'nobody is connected');
  }

  push(pushed: EdgeSpec, hash = specHash(pushed)): void {
    const specJson = Buffer.from(canonicalJson(pushed));
    this.send({ message: 'spec', spec: { revision: pushed.revision, hash, specJson } });
  }

  /** The n-th message of that kind. */
  async nth<K extends Up['message']>(kind: K, n = 1): Promise<Extract<Up, { message: K }>> {
    const found = await waitFor(`${n}. ${kind}`, () => {
      const all = this.heard.filter(({ message }) => message === kind);
      return all[n - 1] ?? null;
    });
    return found as Extract<Up, { message: K }>;
  }

  async drift(n = 1): Promise<DriftReport> {
    const { drift } = await this.nth('drift', n);
    return JSON.parse(Buffer.from(drift.reportJson).toString()) as DriftReport;
  }
}

interface Stage {
  controller: Controller;
  host: MemoryHost;
  guard: Guard;
  stateDirectory: string;
}

async function stage(t: TestContext, stateDirectory?: string): Promise<Stage> {
  const directory = mkdtempSync(join(tmpdir(), 'aether-guard-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const { certPath: ca } = await caInit(directory);
  const { certPath: cert, keyPath: key } = await caIssue(directory, { role: 'edge', id: NODE });
  const controller = await Controller.create(t, directory);
  const host = new MemoryHost();
  const state = stateDirectory ?? join(directory, 'state');
  const guard = await startGuard(
    {
      node: NODE,
      controllers: [controller.address],
      tls: { ca, cert, key },
      stateDirectory: state,
      socket: join(directory, 'edge.sock'),
      metricsListen: '127.0.0.1:0',
      logLevel: 'error',
      temporal: { connectionOptions: {} },
    },
    host,
  );
  t.after(() => guard.stop());
  await waitFor('hello', () => controller.hellos[0]);
  return { controller, host, guard, stateDirectory: state };
}

/** Pushed, built up by a workflow's word, and known to be so. */
async function converge({ controller, guard }: Stage, pushed: EdgeSpec): Promise<void> {
  controller.push(pushed);
  const { incidentId } = await controller.drift();
  const fence = { workflowId: 'w', runId: 'r', revision: pushed.revision, planHash: null };
  const result = await guard.port.reconcile({ node: NODE, incidentId, fence, stages: null });
  assert.equal(result.outcome, 'converged', result.reason ?? '');
  assert.equal((await controller.nth('applied')).applied.hash, specHash(pushed));
}

test('a spec is accepted, its news reported, and once repaired it is said to be applied', async (t) => {
  const here = await stage(t);
  assert.deepEqual(here.controller.hellos[0]?.acceptedRevision, 0);
  await converge(here, spec(5));
  const report = await here.controller.drift();
  assert.equal(report.cause, 'spec');
  assert.equal(report.revision, 5);
  assert.ok(report.plan.includes('create namespace edge'));
});

test('drift goes up at once with its evidence, and again until it is acknowledged', async (t) => {
  const here = await stage(t);
  const { controller, host } = here;
  await converge(here, { ...spec(5), repair: { ...spec(5).repair, policy: 'propose' } });
  const before = Date.now();
  host.deleteLink('edge0');
  const first = await controller.drift(2);
  assert.equal(first.cause, 'kernel');
  assert.ok(first.kernelAtMs >= before && first.detectedAtMs - first.kernelAtMs < 500);
  assert.ok(first.findings.some(({ kind }) => kind === 'linkMissing'));
  await controller.restart();
  const again = await controller.drift(3);
  assert.equal(again.incidentId, first.incidentId);
  controller.send({ message: 'driftAck', driftAck: { incidentId: first.incidentId } });
  const status = await here.guard.port.status();
  assert.equal(status.incident, first.incidentId);
  assert.equal(controller.hellos.at(-1)?.acceptedRevision, 5);
});

test('without a decision the agent repairs alone, and says so until it is acknowledged', async (t) => {
  const here = await stage(t);
  const { controller, host } = here;
  await converge(here, spec(5));
  host.deleteLink('edge0');
  const { recordJson } = (await controller.nth('repairEnded')).repairEnded;
  const record = JSON.parse(Buffer.from(recordJson).toString()) as RepairRecord;
  assert.deepEqual([record.by, record.outcome], ['agent', 'converged']);
  assert.ok((record.repairedInMs ?? 0) >= AUTONOMY_MS - 1);
  assert.ok(host.observed().root.links.some(({ name }) => name === 'edge0'));
  await controller.restart();
  await controller.nth('repairEnded', 2);
  const { incidentId, atMs } = record;
  controller.send({ message: 'recordAck', recordAck: { incidentId, atMs } });
  const acked = controller.hellos.length;
  await controller.restart();
  await waitFor('hello', () => controller.hellos[acked]);
  controller.push(spec(6));
  await controller.nth('applied', 2).catch(() => undefined);
  assert.equal(controller.heard.filter(({ message }) => message === 'repairEnded').length, 2);
});

test('a decision that is no repair holds the agent back', async (t) => {
  const here = await stage(t);
  const { controller, host, guard } = here;
  await converge(here, spec(5));
  host.deleteLink('edge0');
  const { incidentId, planHash } = await controller.drift(2);
  const fence = { workflowId: 'w', runId: 'r', revision: 5, planHash: null };
  await guard.port.noteDecision({ incidentId, fence, decision: { kind: 'propose', planHash } });
  await new Promise((resolve) => setTimeout(resolve, 2 * AUTONOMY_MS));
  assert.equal((await guard.port.status()).incident, incidentId);
  // Another plan than the approved one is refused; the approved one is run.
  const request = { node: NODE, incidentId, stages: null };
  const other = await guard.port.reconcile({ ...request, fence: { ...fence, planHash: 'other' } });
  assert.equal(other.outcome, 'refused');
  const approved = await guard.port.reconcile({ ...request, fence: { ...fence, planHash } });
  assert.equal(approved.outcome, 'converged', approved.reason ?? '');
});

test('what is not the spec it says to be, and who no longer commands, is refused', async (t) => {
  const here = await stage(t);
  const { controller, guard } = here;
  await converge(here, spec(5));
  controller.push(spec(6), specHash({ ...spec(6), phase: 'draining' }));
  assert.match((await controller.nth('specRefused')).specRefused.reason, /hash/);
  const specJson = Buffer.from('{"schema":1,"surprise":true}');
  controller.send({ message: 'spec', spec: { revision: 7, hash: 'x', specJson } });
  assert.match((await controller.nth('specRefused', 2)).specRefused.reason, /can't be read/);
  controller.push(spec(4));
  assert.match((await controller.nth('specRefused', 3)).specRefused.reason, /older/);
  controller.fence = { ...FENCE, ownerRevision: 41 };
  controller.push(spec(8));
  controller.fence = FENCE;
  controller.push(spec(3));
  await controller.nth('specRefused', 4);
  assert.equal((await guard.port.status()).accepted?.revision, 5);
});

test('a state directory that can not be written: not accepted, told, and guarding goes on', async (t) => {
  const place = mkdtempSync(join(tmpdir(), 'aether-guard-'));
  t.after(() => rmSync(place, { recursive: true, force: true }));
  writeFileSync(join(place, 'file'), '');
  const { controller, guard } = await stage(t, join(place, 'file', 'state'));
  controller.push(spec(5));
  assert.match((await controller.nth('specRefused')).specRefused.reason, /can't be kept.*ENOTDIR/);
  const status = await guard.port.status();
  assert.equal(status.accepted, null);
  assert.match(status.problems.join('\n'), /spec\.json .*ENOTDIR/);
  // Whoever makes room for it needs to do nothing else.
  rmSync(join(place, 'file'));
  await waitFor('accepted', async () => (await guard.port.status()).accepted?.revision === 5);
  assert.doesNotMatch((await guard.port.status()).problems.join('\n'), /spec\.json/);
});
