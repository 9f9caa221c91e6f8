/**
 * WorkflowService as bytes: no decoding, no retries. Each call may be cancelled, which the SDK's own
 * connection does not offer.
 */
import * as grpc from '@grpc/grpc-js';
import { OperatorService, WorkflowService } from '@temporalio/client';
import type { ClientConnectConfig } from '@temporalio/envconfig';
import { asIs, type Done } from '../grpc/raw';

type ConnectionOptions = ClientConnectConfig['connectionOptions'];

export const DEFAULT_ADDRESS = 'localhost:7233';

/** What stands in front of Temporal may allow no more than about a hundred on a connection. */
const CALLS_PER_CHANNEL = 90;

/** A poll without an answer for so much longer than asked is on a dead connection. */
const POLL_LATE_MS = 30_000;

interface Channel {
  client: grpc.Client;
  calls: number;
}

export class RawTemporal {
  private readonly channels: Channel[] = [];
  private readonly address: string;
  private readonly credentials: grpc.ChannelCredentials;
  private readonly channelOptions: grpc.ChannelOptions;
  private readonly metadata = new grpc.Metadata();
  private closing = false;

  constructor(options: ConnectionOptions, namespace: string) {
    const { address = DEFAULT_ADDRESS, tls, apiKey, metadata = {} } = options;
    this.address = address;
    this.credentials = credentialsOf(tls ?? apiKey !== undefined);
    const name = typeof tls === 'object' ? tls?.serverNameOverride : undefined;
    this.channelOptions = {
      'grpc.keepalive_time_ms': 30_000,
      'grpc.keepalive_timeout_ms': 15_000,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.min_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 1_000,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_retries': 0,
      ...(name === undefined
        ? {}
        : { 'grpc.ssl_target_name_override': name, 'grpc.default_authority': name }),
    };
    for (const [key, value] of Object.entries(metadata)) this.metadata.set(key, value);
    if (apiKey !== undefined && this.metadata.get('authorization').length === 0) {
      this.metadata.set('authorization', `Bearer ${apiKey}`);
    }
    this.metadata.set('temporal-namespace', namespace);
  }

  call(method: string, request: Uint8Array, deadline: Date, done: Done): { cancel(): void } {
    return this.send(method, request, this.metadata, { deadline }, done);
  }

  private send(
    method: string,
    request: Uint8Array,
    metadata: grpc.Metadata,
    options: grpc.CallOptions,
    done: Done,
  ): { cancel(): void } {
    const channel = this.free();
    channel.calls++;
    return channel.client.makeUnaryRequest(
      `/temporal.api.workflowservice.v1.WorkflowService/${method}`,
      asIs,
      asIs,
      request,
      metadata,
      options,
      (error, answer) => {
        channel.calls--;
        if (this.closing && channel.calls === 0) channel.client.close();
        done(error, answer);
      },
    );
  }

  /**
   * A long poll that the server ends within `serverMs`. Here it is given more time: the last answer may bring a task, and be
   * read late by a busy loop.
   */
  poll(request: Uint8Array, serverMs: number, done: Done): void {
    const metadata = this.metadata.clone();
    metadata.set('grpc-timeout', `${serverMs}m`);
    const call = this.send('PollActivityTaskQueue', request, metadata, {}, (error, answer) => {
      clearTimeout(dead);
      done(error, answer);
    });
    const dead = setTimeout(() => call.cancel(), serverMs + POLL_LATE_MS).unref();
  }

  /** Calls under way end by themselves. */
  close(): void {
    this.closing = true;
    for (const { client, calls } of this.channels) if (calls === 0) client.close();
  }

  private free(): Channel {
    const found = this.channels.find(({ calls }) => calls < CALLS_PER_CHANNEL);
    if (found !== undefined) return found;
    const client = new grpc.Client(this.address, this.credentials, this.channelOptions);
    const made = { client, calls: 0 };
    this.channels.push(made);
    return made;
  }
}

function credentialsOf(tls: ConnectionOptions['tls']): grpc.ChannelCredentials {
  if (!tls) return grpc.credentials.createInsecure();
  if (tls === true) return grpc.credentials.createSsl();
  const pem = (bytes: Uint8Array | undefined): Buffer | null =>
    bytes === undefined ? null : Buffer.from(bytes);
  const { serverRootCACertificate, clientCertPair } = tls;
  return grpc.credentials.createSsl(
    pem(serverRootCACertificate),
    pem(clientCertPair?.key),
    pem(clientCertPair?.crt),
  );
}

/** Paths of all that the API has, as the SDK knows it. */
export const temporalPaths = (): string[] => [
  ...pathsOf(WorkflowService),
  ...pathsOf(OperatorService),
];

/** What the SDK exports as classes are services of protobufjs, which list their methods. */
function pathsOf(exported: unknown): string[] {
  const { fullName, methods } = exported as { fullName: string; methods: object };
  return Object.keys(methods).map((method) => `/${fullName.replace(/^\./, '')}/${method}`);
}
