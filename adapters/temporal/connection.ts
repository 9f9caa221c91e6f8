/** The way to the Temporal server, by the standard configuration of its SDKs. */
import { Client } from '@temporalio/client';
import type { ClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection, type Worker } from '@temporalio/worker';
import { InTurn } from '../state/in-turn';

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

/** An answer that is under way on the former connection still comes. */
const CLOSE_AFTER_MS = 15_000;

/** A link whose connection is replaced under its client and its Workers: certificates are renewed. */
export class RenewableLink implements TemporalLink {
  readonly client: Client;
  private readonly workers = new Set<Worker>();
  private readonly renewing = new InTurn();
  private closed = false;

  private constructor(
    private current: TemporalLink,
    private readonly identity: string,
    private readonly closeAfterMs: number,
  ) {
    const { namespace } = current;
    this.client = new Client({ connection: following(() => this.connection), namespace, identity });
  }

  static async open(
    config: ClientConnectConfig,
    identity: string,
    closeAfterMs = CLOSE_AFTER_MS,
  ): Promise<RenewableLink> {
    return new RenewableLink(await connectTemporal(config, identity), identity, closeAfterMs);
  }

  get connection(): NativeConnection {
    return this.current.connection;
  }

  get namespace(): string {
    return this.current.namespace;
  }

  get address(): string {
    return this.current.address;
  }

  /** Runs a Worker that was made with this link, to its end. */
  async run(worker: Worker): Promise<void> {
    this.workers.add(worker);
    if (worker.connection !== this.connection) worker.connection = this.connection;
    await worker.run().finally(() => this.workers.delete(worker));
  }

  /** Rejects where no connection can be made that way: the present one stays. One after another: the last one counts. */
  renew(config: ClientConnectConfig): Promise<void> {
    return this.renewing.run(() => this.replace(config));
  }

  /** The present connection, and any that is being made. */
  async close(): Promise<void> {
    this.closed = true;
    await this.current.connection.close();
  }

  private async replace(config: ClientConnectConfig): Promise<void> {
    if (this.closed) return;
    const made = await connectTemporal(config, this.identity);
    if (this.closed) return made.connection.close();
    const former = this.current;
    this.current = made;
    for (const worker of this.workers) worker.connection = this.connection;
    const close = (): void => void former.connection.close().catch(() => undefined);
    setTimeout(close, this.closeAfterMs).unref();
  }
}

/** What is asked of it is asked of the connection of that moment. */
const following = (current: () => NativeConnection): NativeConnection =>
  new Proxy(current(), {
    get: (_target, name): unknown => Reflect.get(current(), name),
  });
