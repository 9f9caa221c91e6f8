/** The agent over a host in memory, against the controller's end of the stream, over real TLS. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { waitFor } from '../../adapters/native/test-support';
import { CheckedFile } from '../../adapters/state/checked-file';
import type { Accepted } from '../../core/edge/types';
import { plainFilter } from '../../core/model/node';
import { specHash } from '../../core/model/hash';
import type { RepairRecord } from '../../core/model/messages';
import type { RoutingMemory } from '../../core/announce/decide';
import type { EdgeSpec } from '../../core/model/edge-spec';
import type { RoutingEvent, RoutingStatus } from '../../core/model/routing';
import { AUTONOMY_MS, converge, FENCE, spec, stage, type Stage } from './testing/stage';
import { NODE } from './testing/test-host';

test('a spec is accepted, its news reported, and once repaired it is said to be applied', async (t) => {
  const here = await stage(t);
  assert.deepEqual(here.controller.hellos[0]?.acceptedRevision, 0);
  await converge(here, spec(5));
  const report = await here.controller.drift();
  assert.equal(report.cause, 'spec');
  assert.equal(report.revision, 5);
  assert.ok(report.plan.includes('create namespace edge'));
});

test('a spec that a version without lists wrote to the disk is gone on by', async (t) => {
  const first = await stage(t);
  await converge(first, spec(5));
  const file = new CheckedFile<object>(join(first.stateDirectory, 'spec.json'));
  const loaded = (await file.load()) as { value: Accepted };
  const { blocklists: _lists, blocks: _blocks, filters, ...known } = loaded.value.spec;
  const bare = filters.map(({ interface: name, mode }) => ({ interface: name, mode }));
  await file.save({ ...loaded.value, spec: { ...known, filters: bare } });
  first.host.filled.clear();
  const second = await first.restart();
  const filled = await waitFor('its filter is filled', () => second.host.filled.get('uplink0'));
  assert.equal(filled.malformed, plainFilter('uplink0').malformed);
  const { accepted, problems } = await second.guard.port.status();
  assert.deepEqual([accepted?.revision, problems], [5, []]);
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
  await waitFor('accepted', async () => (await here.guard.port.status()).accepted?.revision === 6);
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

test("a clock that is far from the controller's is told for as long as it is", async (t) => {
  const { controller, guard } = await stage(t);
  controller.push(spec(5));
  await controller.drift();
  const beat = (aheadMs: number): void =>
    controller.send({
      message: 'heartbeat',
      heartbeat: { atMs: Date.now() - aheadMs, spreadMs: 0, lost: false },
    });
  const told = async (): Promise<string> => (await guard.port.status()).problems.join();
  beat(7_200_000);
  const ahead = /clock of this host is 120 min ahead of that of c1: .* end too early/;
  await waitFor('ahead', async () => ahead.test(await told()));
  beat(-600_000);
  await waitFor('behind', async () => /10 min behind .* end too late/.test(await told()));
  beat(0);
  await waitFor('it is over', async () => (await told()) === '');
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

/** A service without a probe: what the memory's host holds is all its proof. */
const served = (revision: number): EdgeSpec => ({
  ...spec(revision),
  services: [
    {
      name: 'web',
      namespace: 'edge',
      prefixes: ['203.0.113.10/32'],
      addresses: ['203.0.113.10'],
      commanded: { stance: 'announce', why: '' },
      permit: true,
      lastAnnouncer: 'deprefer',
      health: null,
      communities: [],
      prepend: 0,
    },
  ],
});

const routingSaid = ({ controller }: Stage) =>
  controller.heard.flatMap((up) =>
    up.message === 'routing'
      ? [
          {
            status: JSON.parse(Buffer.from(up.routing.statusJson).toString()) as RoutingStatus,
            events: up.routing.eventsJson.map(
              (event) => JSON.parse(Buffer.from(event).toString()) as RoutingEvent,
            ),
          },
        ]
      : [],
  );

test('without BGP and services nothing is said of routing, and nothing runs for it', async (t) => {
  const here = await stage(t);
  await converge(here, spec(5));
  assert.equal((await here.guard.port.status()).routing, undefined);
  assert.deepEqual(routingSaid(here), []);
});

test('stances go up as events until they are acknowledged, also over restarts and without bfd', async (t) => {
  const here = await stage(t);
  const { controller, host } = here;
  await converge(here, served(5));
  const first = await waitFor(
    'the event',
    () => routingSaid(here).flatMap(({ events }) => events)[0],
  );
  assert.deepEqual(first.kind === 'stance' && [first.service, first.from, first.to, first.cause], [
    'web',
    'withdraw',
    'announce',
    'path',
  ]);
  const status = routingSaid(here).at(-1)?.status;
  assert.match(status?.bfd.problem ?? '', /bfd process/);
  assert.equal(status?.services[0]?.announced, false);

  host.deleteLink('edge0');
  await waitFor('lost at once, and told', () =>
    routingSaid(here).some(({ events }) =>
      events.some((event) => event.kind === 'stance' && /edge0/.test(event.why)),
    ),
  );
  await here.restart();
  await waitFor('said again', () => {
    return (
      routingSaid(here).filter(({ events }) =>
        events.some(({ sequence }) => sequence === first.sequence),
      ).length >= 2
    );
  });
  const sequences = routingSaid(here).flatMap(({ events }) => events.map((each) => each.sequence));
  const last = Math.max(...sequences);
  controller.send({ message: 'routingAck', routingAck: { sequence: last } });
  await waitFor('written down', async () => {
    const file = new CheckedFile<RoutingMemory>(join(here.stateDirectory, 'routing.json'));
    const loaded = await file.load();
    return loaded.kind === 'value' && loaded.value.outbox.unsent.every((e) => e.sequence > last);
  });
});
