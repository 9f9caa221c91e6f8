/** A Temporal server behind mutual TLS and an API key, found by what an operator sets. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { caInit, caIssue } from '../../adapters/ca/authority';
import { temporalConfig } from '../../adapters/temporal/config';
import { connectTemporal, type TemporalLink } from '../../adapters/temporal/connection';
import { createWorkflowWorker } from '../../adapters/temporal/workers';
import { WORKFLOW_QUEUE, workflowId } from '../../core/model/ids';
import type { AuditSummary } from '../../workflows/audit-nodes';
import { bundle } from '../../workflows/testing/bundle';
import { DevServer, withoutTemporal } from '../../workflows/testing/dev-server';
import { quiet } from '../../workflows/testing/house';
import { until } from '../../workflows/testing/until';
import { TlsDoor } from './testing/tls-door';

const API_KEY = 'a-key-of-the-test';

describe('Temporal behind mutual TLS', { skip: withoutTemporal, timeout: 90_000 }, () => {
  const directory = mkdtempSync(join(tmpdir(), `aether-secure-${process.pid}-`));
  const file = (name: string): string => join(directory, name);
  let server: DevServer;
  let door: TlsDoor;
  let environment: Record<string, string>;

  before(async () => {
    quiet();
    server = await DevServer.start();
    const ca = await caInit(file('ca'));
    await caInit(file('other'));
    const ipAddresses = ['127.0.0.1'];
    const own = await caIssue(file('ca'), { role: 'controller', id: 'temporal', ipAddresses });
    const client = await caIssue(file('ca'), { role: 'operator', id: 'client' });
    door = await TlsDoor.open(server.address, {
      ca: readFileSync(ca.certPath),
      cert: readFileSync(own.certPath),
      key: readFileSync(own.keyPath),
    });
    // A file of the test's own, for whoever runs it may have one; the variables go before it.
    writeFileSync(file('temporal.toml'), '[profile.default]\naddress = "127.0.0.1:1"\n');
    environment = {
      TEMPORAL_CONFIG_FILE: file('temporal.toml'),
      TEMPORAL_ADDRESS: door.address,
      TEMPORAL_NAMESPACE: 'default',
      TEMPORAL_API_KEY: API_KEY,
      TEMPORAL_TLS_SERVER_CA_CERT_PATH: ca.certPath,
      TEMPORAL_TLS_CLIENT_CERT_PATH: client.certPath,
      TEMPORAL_TLS_CLIENT_KEY_PATH: client.keyPath,
    };
  });

  after(async () => {
    await door?.close();
    await server?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const connect = (env: Record<string, string>): Promise<TemporalLink> =>
    connectTemporal(temporalConfig(env), 'test');

  /** The message of the error; nothing may have come through the door. */
  async function refusal(env: Record<string, string>): Promise<string> {
    const callsBefore = door.calls.length;
    const outcome = await connect(env).then(
      async ({ connection }) => {
        await connection.close();
        return null;
      },
      (error: unknown) => error,
    );
    assert.ok(outcome instanceof Error, 'the connection was made');
    assert.equal(door.calls.length, callsBefore);
    return outcome.message;
  }

  test('client and worker run a workflow, each call with the API key', async (t) => {
    const link = await connect(environment);
    t.after(() => link.connection.close());
    writeFileSync(file('bundle.js'), (await bundle()).code);
    const worker = await createWorkflowWorker(link, 'test', file('bundle.js'), {
      shardsWithNodes: () => Promise.resolve([]),
    });
    const summary = await worker.runUntil(
      link.client.workflow.execute<() => Promise<AuditSummary>>('auditNodes', {
        workflowId: workflowId.audit(),
        taskQueue: WORKFLOW_QUEUE,
        workflowExecutionTimeout: '60s',
      }),
    );
    assert.deepEqual(summary, { shards: 0, checked: 0, differing: 0, nodes: [], unaudited: [] });
    const methods = new Set(door.calls.map(({ method }) => method));
    const both = [
      'StartWorkflowExecution',
      'PollWorkflowTaskQueue',
      'RespondWorkflowTaskCompleted',
    ];
    assert.deepEqual(
      both.filter((method) => !methods.has(method)),
      [],
    );
    const keys = new Set(door.calls.map(({ authorization }) => authorization));
    assert.deepEqual([...keys], [`Bearer ${API_KEY}`]);
  });

  test('a server of another authority is refused as such', async () => {
    const other = { TEMPORAL_TLS_SERVER_CA_CERT_PATH: file('other/ca.pem') };
    assert.match(await refusal({ ...environment, ...other }), /InvalidCertificate/);
  });

  test('a server of another name is refused, and the message has both names', async () => {
    const elsewhere = { TEMPORAL_TLS_SERVER_NAME: 'temporal.elsewhere' };
    const message = await refusal({ ...environment, ...elsewhere });
    assert.match(message, /InvalidCertificate.*temporal\.elsewhere.*127\.0\.0\.1/);
  });

  test('without a certificate of its own a client does not come in', async () => {
    const {
      TEMPORAL_TLS_CLIENT_CERT_PATH: _cert,
      TEMPORAL_TLS_CLIENT_KEY_PATH: _key,
      ...bare
    } = environment;
    // TLS 1.3 tells a client of this only after its handshake: the reason is known to the server.
    // Whether the connection closed before or after our first bytes went out decides what is said here.
    assert.match(await refusal(bare), /transport error|connection closed/);
    await until('the server has said why', () =>
      door.refused.includes('ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE'),
    );
  });
});
