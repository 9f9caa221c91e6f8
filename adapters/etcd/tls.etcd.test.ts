import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { EtcdClient } from './client';
import type { EtcdTls } from './endpoint';
import { EtcdError } from './errors';
import { EtcdCluster, withoutEtcd } from './testing';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const { subtle } = webcrypto;

interface Issued {
  readonly certificate: x509.X509Certificate;
  readonly keys: webcrypto.CryptoKeyPair;
}

async function issue(name: string, serialNumber: string, issuer?: Issued): Promise<Issued> {
  const keys = await subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const notBefore = new Date(Date.now() - 60_000);
  const notAfter = new Date(Date.now() + 3_600_000);
  const common = { serialNumber, notBefore, notAfter, signingAlgorithm: algorithm };
  const certificate = issuer
    ? await x509.X509CertificateGenerator.create({
        ...common,
        subject: `CN=${name}`,
        issuer: issuer.certificate.subject,
        publicKey: keys.publicKey,
        signingKey: issuer.keys.privateKey,
        extensions: [
          new x509.SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }]),
          new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']),
        ],
      })
    : await x509.X509CertificateGenerator.createSelfSigned({
        ...common,
        name: `CN=${name}`,
        keys,
        extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
      });
  return { certificate, keys };
}

async function pem(ca: Issued, { certificate, keys }: Issued): Promise<EtcdTls> {
  const pkcs8 = await subtle.exportKey('pkcs8', keys.privateKey);
  return {
    ca: Buffer.from(ca.certificate.toString('pem')),
    cert: Buffer.from(certificate.toString('pem')),
    key: Buffer.from(x509.PemConverter.encode(pkcs8, 'PRIVATE KEY')),
  };
}

describe('TLS with client certificates', { skip: withoutEtcd }, () => {
  let directory: string;
  let cluster: EtcdCluster;
  let ours: EtcdTls;
  let foreign: EtcdTls;
  before(async () => {
    x509.cryptoProvider.set(webcrypto as never);
    const ca = await issue('test CA', '01');
    const server = await pem(ca, await issue('etcd', '02', ca));
    ours = await pem(ca, await issue('controller', '03', ca));
    const otherCa = await issue('another CA', '04');
    foreign = { ...(await pem(otherCa, await issue('intruder', '05', otherCa))), ca: ours.ca };
    directory = mkdtempSync(join(tmpdir(), `aether-etcd-tls-${process.pid}-`));
    const file = (name: string, content: Buffer): string => {
      writeFileSync(join(directory, name), content, { mode: 0o600 });
      return join(directory, name);
    };
    const files = {
      ca: file('ca.pem', server.ca),
      cert: file('cert.pem', server.cert),
      key: file('key.pem', server.key),
    };
    cluster = await EtcdCluster.start(1, { tls: { server: files, client: ours } });
  });
  after(async () => {
    await cluster?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  test('a certificate of our CA is let in, and nothing else', async () => {
    const endpoints = cluster.urls;
    const client = new EtcdClient({ endpoints, writer: 'test', tls: ours });
    assert((await client.write([], [{ op: 'put', key: '/tls', value: 'x' }])).committed);
    assert.equal((await client.get('/tls'))?.value.toString(), 'x');
    client.close();

    const intruder = new EtcdClient({ endpoints, writer: 'intruder', tls: foreign });
    await assert.rejects(
      intruder.get('/tls', 700),
      (error) => error instanceof EtcdError && error.failure.code === 'unavailable',
    );
    intruder.close();
  });
});
