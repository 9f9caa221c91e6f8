/** What a stolen certificate of an edge can do to Temporal: nothing, beside a real controller and server. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { Client, Connection } from '@temporalio/client';
import { EDGE_NAMESPACE, POLL } from '../../adapters/gateway/rules';
import { field, fieldsOf } from '../../adapters/gateway/wire';
import { TemporalClient } from '../../adapters/temporal/client';
import { driftOf } from '../../workflows/testing/scripted';
import { until } from '../../workflows/testing/until';
import { Cluster, withoutServers } from './testing/cluster';
import { answerOf, Intruder, message, path, pollOf, text } from './testing/intruder';
import { nodeResource } from './testing/resources';

const { PERMISSION_DENIED, UNIMPLEMENTED, RESOURCE_EXHAUSTED } = grpc.status;

/** Namespace and workflow id where most requests have them: in fields 1 and 2. */
const ABOUT_A_RUN = message(text(1, EDGE_NAMESPACE), field(2, text(1, 'node/fra-1')));

/** Each as far as it stands still by itself: the victim's waits for an answer, and may give up. */
async function everyRun(client: Client): Promise<string[]> {
  const runs: string[] = [];
  for await (const { workflowId, runId, status, historyLength } of client.workflow.list()) {
    const waits = workflowId === 'node/lax-1/repair';
    runs.push(`${workflowId} ${waits ? '' : `${runId} ${status.name} ${historyLength}`}`);
  }
  return [...new Set(runs)].sort();
}

test(
  'with a stolen certificate of an edge nothing of others is seen, changed or answered',
  { skip: withoutServers, timeout: 180_000 },
  async (t) => {
    const cluster = await Cluster.start(t);
    await cluster.startController();
    await cluster.ready();
    const honest = await cluster.startEdge('fra-1');
    await cluster.admin.apply([nodeResource('fra-1', 1)], null);
    await until(
      'the honest edge is active',
      async () => (await cluster.admin.get('fra-1'))[0]?.phase === 'active',
      60_000,
    );
    const connection = await Connection.connect({ address: cluster.temporal?.address ?? '' });
    t.after(() => connection.close());
    const direct = new Client({ connection });
    const own = new TemporalClient(direct);
    const thief = new Intruder(cluster.edgePort, await cluster.certificate('edge', 'ams-1'));
    const victim = new Intruder(cluster.edgePort, await cluster.certificate('edge', 'lax-1'));
    t.after(() => [thief, victim].forEach(({ client }) => client.close()));

    // A task that the victim was given and has not answered yet.
    await own.reportDrift({ node: 'lax-1', region: null }, driftOf('lax-1'));
    const task = await victim.call(path(POLL), pollOf('lax-1'), 30_000);
    assert.ok(Buffer.isBuffer(task), String(task));
    const token = fieldsOf(task).find(({ number }) => number === 1)?.value ?? Buffer.alloc(0);
    assert.ok(token.length > 32, 'no task came');
    const before = await until('all is quiet', async () => {
      const runs = await everyRun(direct);
      await new Promise((resolve) => setTimeout(resolve, 500));
      return JSON.stringify(await everyRun(direct)) === JSON.stringify(runs) ? runs : null;
    });

    await t.test('every call but those of an activity worker is refused', async () => {
      const wrong: string[] = [];
      for (const each of METHODS) {
        const code = await thief.code(path(each), ABOUT_A_RUN);
        if (code !== PERMISSION_DENIED) wrong.push(`${each}: ${code}`);
      }
      assert.deepEqual(wrong, []);
      const operator = '/temporal.api.operatorservice.v1.OperatorService';
      for (const each of ['AddSearchAttributes', 'DeleteNamespace', 'ListClusters']) {
        assert.equal(await thief.code(`${operator}/${each}`, ABOUT_A_RUN), PERMISSION_DENIED);
      }
      for (const each of UNKNOWN) assert.equal(await thief.code(each, ABOUT_A_RUN), UNIMPLEMENTED);
    });

    await t.test('queues of others, and tasks of others, are out of reach', async () => {
      for (const queue of ['edge/fra-1', 'edge/lax-1', 'aether-wf', 'ctl/shard-007', '']) {
        assert.equal(
          await thief.code(path(POLL), pollOf('ams-1', queue)),
          PERMISSION_DENIED,
          queue,
        );
      }
      const bare = token.subarray(0, token.length - 32);
      for (const stolen of [token, bare, message(bare, Buffer.alloc(32))]) {
        for (const each of [
          'RespondActivityTaskCompleted',
          'RespondActivityTaskFailed',
          'RespondActivityTaskCanceled',
          'RecordActivityTaskHeartbeat',
        ]) {
          assert.equal(await thief.code(path(each), answerOf('ams-1', stolen)), PERMISSION_DENIED);
          assert.equal(await thief.code(path(each), answerOf('lax-1', stolen)), PERMISSION_DENIED);
        }
      }
    });

    await t.test('garbage and floods end at the gateway', async () => {
      for (const bytes of [Buffer.alloc(100, 0xff), Buffer.from('0b', 'hex'), Buffer.from([10])]) {
        assert.equal(await thief.code(path(POLL), bytes), PERMISSION_DENIED);
      }
      const huge = message(pollOf('ams-1'), field(8, Buffer.alloc(5 << 20)));
      assert.equal(await thief.code(path(POLL), huge), RESOURCE_EXHAUSTED);
      const polls = Array.from({ length: 40 }, () =>
        thief.call(path(POLL), pollOf('ams-1'), 3_000),
      );
      const codes = (await Promise.all(polls)).map((each) =>
        Buffer.isBuffer(each) ? 'passed' : each.code,
      );
      assert.ok(codes.filter((code) => code === RESOURCE_EXHAUSTED).length >= 30, String(codes));
    });

    await t.test('certificates of other roles, and none, are of no use either', async () => {
      for (const role of ['operator', 'controller'] as const) {
        const other = new Intruder(cluster.edgePort, await cluster.certificate(role, 'ams-1'));
        assert.equal(await other.code(path('GetSystemInfo'), Buffer.alloc(0)), PERMISSION_DENIED);
        other.client.close();
      }
      const bare = new grpc.Client(
        `127.0.0.1:${cluster.edgePort}`,
        grpc.credentials.createSsl(readFileSync((await cluster.certificate('edge', 'x')).ca)),
        { 'grpc.ssl_target_name_override': 'controller.aether' },
      );
      const refused = await new Promise<Error | null | undefined>((resolve) =>
        bare.waitForReady(Date.now() + 2_000, resolve),
      );
      bare.close();
      assert.ok(refused, 'came in without a certificate');
    });

    assert.deepEqual(await everyRun(direct), before);
    const told = cluster.log('controller').split('a call to Temporal was refused').length - 1;
    assert.ok(told > 0 && told < 60, `${told} lines in the log`);

    await t.test('the victim answers its task, through another controller', async () => {
      await cluster.stopController();
      await cluster.startController({ AETHER_CONTROLLER_ID: 'c2' });
      const answered = await until('answered', async () => {
        const beat = await victim.call(
          path('RecordActivityTaskHeartbeat'),
          answerOf('lax-1', token),
        );
        // What Temporal has to say of the task; by now it may have given it up.
        return Buffer.isBuffer(beat) || beat.code === grpc.status.NOT_FOUND;
      });
      assert.ok(answered);
    });

    await t.test('the honest edge goes on', async () => {
      await honest.deleteLink('edge0');
      await until(
        'the link is there again',
        async () => (await honest.linkNames()).includes('edge0'),
        30_000,
      );
    });
  },
);

const METHODS = [
  'StartWorkflowExecution',
  'SignalWorkflowExecution',
  'SignalWithStartWorkflowExecution',
  'ExecuteMultiOperation',
  'TerminateWorkflowExecution',
  'RequestCancelWorkflowExecution',
  'ResetWorkflowExecution',
  'DeleteWorkflowExecution',
  'UpdateWorkflowExecution',
  'QueryWorkflow',
  'ListWorkflowExecutions',
  'CountWorkflowExecutions',
  'ScanWorkflowExecutions',
  'DescribeWorkflowExecution',
  'GetWorkflowExecutionHistory',
  'PollWorkflowTaskQueue',
  'RespondWorkflowTaskCompleted',
  'RespondWorkflowTaskFailed',
  'PollNexusTaskQueue',
  'RespondActivityTaskCompletedById',
  'RespondActivityTaskFailedById',
  'RespondActivityTaskCanceledById',
  'RecordActivityTaskHeartbeatById',
  'RecordWorkerHeartbeat',
  'ListWorkers',
  'DescribeTaskQueue',
  'ListTaskQueuePartitions',
  'ResetStickyTaskQueue',
  'PauseActivity',
  'ResetActivity',
  'UpdateActivityOptions',
  'StartBatchOperation',
  'CreateSchedule',
  'DeleteSchedule',
  'PatchSchedule',
  'ListSchedules',
  'ListNamespaces',
  'UpdateNamespace',
  'RegisterNamespace',
  'DeprecateNamespace',
  'GetClusterInfo',
  'SetWorkerDeploymentCurrentVersion',
  'UpdateTaskQueueConfig',
] as const;

const UNKNOWN = [
  '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
  '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
  '/grpc.health.v1.Health/Check',
  '/temporal.server.api.adminservice.v1.AdminService/DescribeCluster',
  '/aether.admin.v1.Admin/Status',
] as const;
