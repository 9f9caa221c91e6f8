/** The way to the Temporal server, by the standard configuration of its SDKs. */
import { Client } from '@temporalio/client';
import type { ClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection } from '@temporalio/worker';

export interface TemporalLink {
  connection: NativeConnection;
  client: Client;
  namespace: string;
  address: string;
}

/** One connection for client and workers. Once made it finds its way back by itself. */
export async function connectTemporal(
  config: ClientConnectConfig,
  identity: string,
): Promise<TemporalLink> {
  const namespace = config.namespace ?? 'default';
  const address = config.connectionOptions.address ?? 'localhost:7233';
  const connection = await NativeConnection.connect({ ...config.connectionOptions, address });
  try {
    const client = new Client({ connection, namespace, identity });
    // A server that is there but does not know the namespace is no connection yet.
    await client.withDeadline(Date.now() + 5_000, () =>
      connection.workflowService.describeNamespace({ namespace }),
    );
    return { connection, client, namespace, address };
  } catch (error) {
    await connection.close();
    throw error;
  }
}
