/**
 * One member of etcd, reached over one gRPC channel.
 *
 * The typed clients of the etcd3 package run over this transport instead of its ConnectionPool,
 * which picks members at random, closes all channels of a member when one call runs out of time, and
 * opens a circuit breaker for 5 s on all of them when three do. Which member is asked, how long, and
 * what happens then is decided in `hedge.ts`.
 */
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { type ICallable, KVClient, LeaseClient, MaintenanceClient, WatchClient } from 'etcd3';
import { clientCredentials, type Pem } from '../grpc/tls';

/** etcd in Aether always asks for a client certificate. */
export type EtcdTls = Pem;

/**
 * A member that went silent is noticed after 3 s. The server must allow it:
 * `--grpc-keepalive-min-time` at half of the interval, since at equal values jitter alone gets the
 * connection closed for "excess pings".
 */
export const keepaliveMs = 2000;

const channelOptions: grpc.ChannelOptions = {
  'grpc.keepalive_time_ms': keepaliveMs,
  'grpc.keepalive_timeout_ms': 1000,
  'grpc.enable_retries': 0,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.min_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1000,
  // A page of a listing may hold many values of up to 1.5 MiB each.
  'grpc.max_receive_message_length': -1,
};

type ServiceName = Parameters<ICallable<null>['exec']>[0];
type Unary = (
  request: unknown,
  metadata: grpc.Metadata,
  options: grpc.CallOptions,
  done: (error: grpc.ServiceError | null, response: unknown) => void,
) => void;

/** The service clients by name, made from the .proto that the etcd3 package carries. */
const services = grpc.loadPackageDefinition(
  loadSync(require.resolve('etcd3/proto/rpc.proto'), {
    keepCase: true,
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true,
  }),
)['etcdserverpb'] as unknown as Record<ServiceName, grpc.ServiceClientConstructor>;

export class Endpoint implements ICallable<null> {
  readonly callOptionsFactory = undefined;
  readonly kv = new KVClient(this);
  readonly watch = new WatchClient(this);
  readonly lease = new LeaseClient(this);
  readonly maintenance = new MaintenanceClient(this);
  readonly #address: string;
  readonly #credentials: grpc.ChannelCredentials;
  readonly #channel: grpc.Channel;
  readonly #clients = new Map<ServiceName, grpc.Client>();

  /** `url`: `http://host:port`, or `https://host:port` with `tls`. Connects when first used. */
  constructor(
    readonly url: string,
    tls: EtcdTls | undefined,
  ) {
    this.#address = new URL(url).host;
    this.#credentials = tls ? clientCredentials(tls) : grpc.credentials.createInsecure();
    this.#channel = new grpc.Channel(this.#address, this.#credentials, channelOptions);
  }

  exec<T>(service: ServiceName, method: string, request: unknown, options: grpc.CallOptions = {}) {
    return new Promise<T>((resolve, reject) => {
      const client = this.#client(service);
      const call = (client as unknown as Record<string, Unary>)[method];
      if (!call) throw new TypeError(`etcd has no ${service}.${method}`);
      call.call(client, request, requireLeader(), options, (error, response) =>
        error ? reject(error) : resolve(response as T),
      );
    });
  }

  async withConnection<R>(
    service: ServiceName,
    run: (args: { resource: null; client: grpc.Client; metadata: grpc.Metadata }) => Promise<R> | R,
  ): Promise<R> {
    return run({ resource: null, client: this.#client(service), metadata: requireLeader() });
  }

  /** The channel reconnects by itself; nobody keeps a list of bad members. */
  markFailed(): void {}

  /** Calls not yet sent fail; those under way run to their deadline. */
  close(): void {
    this.#channel.close();
  }

  #client(service: ServiceName): grpc.Client {
    let client = this.#clients.get(service);
    if (!client) {
      client = new services[service](this.#address, this.#credentials, {
        channelOverride: this.#channel,
      });
      this.#clients.set(service, client);
    }
    return client;
  }
}

/**
 * A member that is cut off from the others then refuses at once, and ends its watches after three
 * election timeouts, instead of staying silent (etcd: `WithRequireLeader`).
 */
function requireLeader(): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.set('hasleader', 'true');
  return metadata;
}
