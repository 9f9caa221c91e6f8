/** Where the Temporal server is. Apart from `connection.ts`, which loads the whole SDK (0.6 s, 40 MB). */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { type ClientConnectConfig, loadClientConnectConfig } from '@temporalio/envconfig';

/**
 * Address, namespace, TLS and API key from TEMPORAL_* variables and, where there is one, Temporal's
 * own TOML file (docs.temporal.io/develop/environment-configuration).
 */
export function temporalConfig(environment: NodeJS.ProcessEnv): ClientConnectConfig {
  const overrideEnvVars: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined) overrideEnvVars[name] = value;
  }
  return loadClientConnectConfig({ overrideEnvVars });
}

const LOOK_EVERY_MS = 2_000;

/** The same, read again: certificates may be renewed under a running process. */
export class TemporalConfig {
  /** Why what is on the disk is not taken; null: it is. */
  problem: string | null = null;
  private held: ClientConnectConfig;
  private text: string;
  private timer: NodeJS.Timeout | null = null;

  constructor(private readonly environment: NodeJS.ProcessEnv) {
    this.held = temporalConfig(environment);
    this.text = JSON.stringify(this.held);
  }

  get connectionOptions(): ClientConnectConfig['connectionOptions'] {
    return this.held.connectionOptions;
  }

  get namespace(): string {
    return this.held.namespace ?? 'default';
  }

  /** From now on, and without keeping the process alive; `changed` after it has, or `problem` has. */
  watch(changed: () => void, everyMs = LOOK_EVERY_MS): void {
    this.timer ??= setInterval(() => this.look(changed), everyMs).unref();
  }

  close(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
  }

  private look(changed: () => void): void {
    const before = { problem: this.problem, text: this.text };
    try {
      this.take(temporalConfig(this.environment));
      this.problem = null;
    } catch (error) {
      this.problem = (error as Error).message;
    }
    if (this.problem !== before.problem || this.text !== before.text) changed();
  }

  private take(found: ClientConnectConfig): void {
    const text = JSON.stringify(found);
    if (text === this.text) return;
    const { clientCertPair, serverRootCACertificate } = tlsOf(found);
    if (clientCertPair !== undefined) assertPair(clientCertPair);
    // Throws where it is none; a file may be half written.
    if (serverRootCACertificate !== undefined) void new X509Certificate(serverRootCACertificate);
    this.held = found;
    this.text = text;
  }
}

export const tlsOf = ({
  connectionOptions: { tls },
}: Pick<ClientConnectConfig, 'connectionOptions'>) =>
  typeof tls === 'object' && tls !== null ? tls : {};

/** Of two files the second one may not be written yet. */
function assertPair({ crt, key }: { crt: Uint8Array; key: Uint8Array }): void {
  const fits = new X509Certificate(crt).checkPrivateKey(createPrivateKey(Buffer.from(key)));
  if (!fits) throw new Error('the key of the client is that of another certificate');
}
