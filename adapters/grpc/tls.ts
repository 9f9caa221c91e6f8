/**
 * Certificates that change under a process: three PEM files, looked at by their content. What is new
 * counts from the next handshake on; connections that stand are left alone. Files that do not fit
 * together (one of a pair was written, the other was not yet) are not taken.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import * as grpc from '@grpc/grpc-js';

export interface PemPaths {
  ca: string;
  cert: string;
  key: string;
}

/** `ca` may hold several certificates, one after another. */
export interface Pem {
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
}

type CaListener = grpc.experimental.CaCertificateUpdateListener;
type IdentityListener = grpc.experimental.IdentityCertificateUpdateListener;

const LOOK_EVERY_MS = 2_000;

export class PemFiles implements Pem, grpc.experimental.CertificateProvider {
  /** Why what is on the disk is not taken; null: it is. */
  problem: string | null = null;
  private readonly caListeners = new Set<CaListener>();
  private readonly identityListeners = new Set<IdentityListener>();
  private readonly listeners = new Set<() => void>();
  private timer: NodeJS.Timeout | null = null;
  private looking: Promise<void> | null = null;

  private constructor(
    readonly paths: PemPaths,
    private held: Pem,
  ) {}

  /** @throws {Error} with the path that can't be read, or what does not fit */
  static open(paths: PemPaths): PemFiles {
    const held = {
      ca: readFileSync(paths.ca),
      cert: readFileSync(paths.cert),
      key: readFileSync(paths.key),
    };
    const wrong = misfit(held);
    if (wrong !== null) throw new Error(`${paths.cert}: ${wrong}`);
    return new PemFiles(paths, held);
  }

  get ca(): Buffer {
    return this.held.ca;
  }

  get cert(): Buffer {
    return this.held.cert;
  }

  get key(): Buffer {
    return this.held.key;
  }

  /** From now on, and without keeping the process alive. */
  watch(everyMs = LOOK_EVERY_MS): this {
    this.timer ??= setInterval(() => void this.look(), everyMs).unref();
    return this;
  }

  /** Called after what is held has changed, or `problem` has. */
  onChange(listener: () => void): void {
    this.listeners.add(listener);
  }

  close(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
  }

  /** Takes what is on the disk, where it fits. */
  look(): Promise<void> {
    this.looking ??= this.take().finally(() => (this.looking = null));
    return this.looking;
  }

  private async take(): Promise<void> {
    const before = this.problem;
    let changed = false;
    try {
      const [ca, cert, key] = await Promise.all([
        readFile(this.paths.ca),
        readFile(this.paths.cert),
        readFile(this.paths.key),
      ]);
      const found = { ca, cert, key };
      const { held } = this;
      changed = !(ca.equals(held.ca) && cert.equals(held.cert) && key.equals(held.key));
      this.problem = changed ? misfit(found) : null;
      changed &&= this.problem === null;
      if (changed) this.held = found;
    } catch (error) {
      this.problem = (error as Error).message;
    }
    if (changed) this.tell();
    if (changed || this.problem !== before) for (const listener of this.listeners) listener();
  }

  private tell(): void {
    for (const listener of this.identityListeners) listener(this.identity());
    for (const listener of this.caListeners) listener({ caCertificate: this.held.ca });
  }

  private identity(): grpc.experimental.IdentityCertificateUpdate {
    return { certificate: this.held.cert, privateKey: this.held.key };
  }

  // What grpc-js asks of a provider. It is told in the next tick: a server counts its credentials as
  // there only if they come after it has begun to listen to us.

  addCaCertificateListener(listener: CaListener): void {
    this.caListeners.add(listener);
    process.nextTick(() => listener({ caCertificate: this.held.ca }));
  }

  removeCaCertificateListener(listener: CaListener): void {
    this.caListeners.delete(listener);
  }

  addIdentityCertificateListener(listener: IdentityListener): void {
    this.identityListeners.add(listener);
    process.nextTick(() => listener(this.identity()));
  }

  removeIdentityCertificateListener(listener: IdentityListener): void {
    this.identityListeners.delete(listener);
  }
}

/** Null where certificate, key and authorities belong together. */
export function misfit({ ca, cert, key }: Pem): string | null {
  try {
    const own = new X509Certificate(cert);
    if (!own.checkPrivateKey(createPrivateKey(key)))
      return 'the key is that of another certificate';
    const trusted = certificatesIn(ca);
    if (trusted.length === 0) return 'there is no authority';
    const issued = trusted.some((authority) => own.verify(authority.publicKey));
    return issued ? null : 'none of the authorities has issued the certificate';
  } catch (error) {
    return (error as Error).message;
  }
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** Of a bundle, in its order. */
export const certificatesIn = (pem: Uint8Array): X509Certificate[] =>
  (Buffer.from(pem).toString('latin1').match(CERTIFICATE) ?? []).map(
    (text) => new X509Certificate(text),
  );

/** Of a server that asks everybody for a certificate. */
export function serverCredentials(tls: Pem): grpc.ServerCredentials {
  if (tls instanceof PemFiles) {
    return grpc.experimental.createCertificateProviderServerCredentials(tls, tls, true);
  }
  const { ca, cert, key } = tls;
  return grpc.ServerCredentials.createSsl(ca, [{ cert_chain: cert, private_key: key }], true);
}

export function clientCredentials(
  tls: Pem,
  verify: grpc.VerifyOptions = {},
): grpc.ChannelCredentials {
  if (tls instanceof PemFiles) {
    return grpc.experimental.createCertificateProviderChannelCredentials(tls, tls, verify);
  }
  return grpc.credentials.createSsl(tls.ca, tls.key, tls.cert, verify);
}
