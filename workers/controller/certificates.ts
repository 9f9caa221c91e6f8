/**
 * The certificates of a controller, renewed under it: new handshakes take what is on the disk, what stands
 * goes on. Says in its log what was taken and what was not, and until when each is good.
 */
import { X509Certificate } from 'node:crypto';
import type { Logger } from 'pino';
import { certificatesIn, type Pem, type PemFiles } from '../../adapters/grpc/tls';
import { type TemporalConfig, tlsOf } from '../../adapters/temporal/config';
import type { CertificateView } from '../../core/model/views';
import type { ControllerConfig } from '../config/controller';
import type { ControllerMetrics } from './metrics';

interface Watched {
  what: string;
  pem: () => Pem | null;
  problem: () => string | null;
}

export class Certificates {
  private readonly watched: Watched[];
  private readonly files: PemFiles[];
  private readonly temporal: TemporalConfig;
  private read: CertificateView[] | null = null;

  constructor(
    config: Pick<ControllerConfig, 'edges' | 'etcd' | 'temporal'>,
    private readonly metrics: ControllerMetrics,
    private readonly log: Logger,
  ) {
    const ofFiles = (what: string, files: PemFiles): Watched => ({
      what,
      pem: () => files,
      problem: () => files.problem,
    });
    const { edges, etcd, temporal } = config;
    this.temporal = temporal;
    this.files = [edges.tls, ...(etcd.tls === null ? [] : [etcd.tls])];
    this.watched = [
      ofFiles('controller', edges.tls),
      ...(etcd.tls === null ? [] : [ofFiles('etcd', etcd.tls)]),
      { what: 'temporal', pem: () => pemOf(temporal), problem: () => temporal.problem },
    ];
  }

  /** `temporalChanged`: whoever is connected to Temporal has to connect anew. */
  watch(temporalChanged: () => void): void {
    for (const files of this.files)
      files.watch().onChange(() => this.tell(files.paths.cert, files));
    this.temporal.watch(() => {
      this.tell('TEMPORAL_TLS_…', this.temporal);
      if (this.temporal.problem === null) temporalChanged();
    });
    this.gauge();
  }

  /** Read anew where something has changed: they are asked for each second. */
  views(): CertificateView[] {
    this.read ??= this.look();
    return this.read;
  }

  private look(): CertificateView[] {
    return this.watched.flatMap(({ what, pem, problem }) => {
      const held = pem();
      if (held === null) return [];
      const own = new X509Certificate(held.cert);
      const issuer = certificatesIn(held.ca).find(({ publicKey }) => own.verify(publicKey));
      return {
        what,
        expiresAtMs: Date.parse(own.validTo),
        authority: issuer?.fingerprint256 ?? '',
        trusted: certificatesIn(held.ca).map(({ fingerprint256 }) => fingerprint256),
        problem: problem(),
      };
    });
  }

  close(): void {
    for (const files of this.files) files.close();
    this.temporal.close();
  }

  private tell(path: string, { problem }: { problem: string | null }): void {
    if (problem === null) this.log.info({ path }, 'certificates are read anew');
    else this.log.error({ path, problem }, 'the certificates on the disk are not taken');
    this.read = null;
    this.gauge();
  }

  private gauge(): void {
    for (const { what, expiresAtMs } of this.views()) {
      this.metrics.certificateExpiry.set({ what }, expiresAtMs / 1000);
    }
  }
}

/** Null where Temporal asks for none. */
function pemOf(temporal: TemporalConfig): Pem | null {
  const { clientCertPair, serverRootCACertificate } = tlsOf(temporal);
  if (clientCertPair === undefined) return null;
  const { crt, key } = clientCertPair;
  const ca = Buffer.from(serverRootCACertificate ?? []);
  return { ca, cert: Buffer.from(crt), key: Buffer.from(key) };
}
