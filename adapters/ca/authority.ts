/**
 * A certificate authority in a directory: `ca.pem`, `ca.key`, and `<role>/<id>.pem`, `<role>/<id>.key`
 * for each certificate it issued. Keys are P-256, readable by their owner alone.
 *
 * Both verbs may be repeated: what is there and good is kept, what is there and not good is never
 * overwritten but refused, since a key in use may hang on it.
 */
import 'reflect-metadata';
import {
  createPrivateKey,
  randomBytes,
  webcrypto,
  X509Certificate as NodeCertificate,
} from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { DNS_LABEL } from '../../core/model/ids';
import {
  CONTROLLER_SERVER_NAME,
  ETCD_PEER_NAME,
  type Identity,
  type Role,
  spiffeUri,
  TEMPORAL_SERVER_NAME,
} from './identity';

x509.cryptoProvider.set(webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0]);

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DAY_MS = 86_400_000;
/** The clocks of two hosts may differ by as much. */
const BACKDATED_MS = 300_000;
/** A certificate with less life left is not handed out again as good. */
const RENEW_BEFORE_MS = 7 * DAY_MS;

export type CaFailure =
  | { code: 'noAuthority'; directory: string }
  | { code: 'badName'; id: string }
  /** Only one of a pair of files is there. */
  | { code: 'half'; present: string; missing: string }
  | { code: 'notGood'; path: string; why: string; todo: string }
  | { code: 'notThere'; path: string }
  /** The one before is of a time that this host's clock has not reached. */
  | { code: 'clockBehind'; path: string; goodFromMs: number; nowMs: number }
  | { code: 'notBegun'; directory: string }
  /** Certificates that only the old authority has issued. */
  | { code: 'stillOld'; directory: string; paths: string[] };

export class CaError extends Error {
  override readonly name = 'CaError';
  constructor(readonly failure: CaFailure) {
    super(describe(failure));
  }
}

function describe(failure: CaFailure): string {
  switch (failure.code) {
    case 'noAuthority':
      return `there is no authority in ${failure.directory}; make one with: aether ca init${inDirectory(failure.directory)}`;
    case 'badName':
      return `"${failure.id}" is no name: lower-case letters, digits and "-", at most 63 characters`;
    case 'half':
      return `${failure.present} is there, ${failure.missing} is not; nothing was written; put it back, or remove both`;
    case 'notBegun':
      return `no rotation has begun in ${failure.directory}; nothing was written; begin one with: aether ca rotate begin${inDirectory(failure.directory)}`;
    case 'stillOld':
      return `not reissued yet: ${failure.paths.join(', ')}; nothing was written; first: aether ca rotate reissue${inDirectory(failure.directory)}`;
    case 'notThere':
      return `there is no ${failure.path}; nothing was written; without --again one is issued`;
    case 'clockBehind':
      return `${failure.path} is good from ${utc(failure.goodFromMs)} and the clock of this host says ${utc(failure.nowMs)}: another one would pass for the older one, and be refused; nothing was written; set the clock, or wait until then`;
    case 'notGood':
      return `${failure.path} ${failure.why}; nothing was written; ${failure.todo}`;
  }
}

export const DEFAULT_DIRECTORY = '/etc/aether/ca';

/** For a command that is named as the next one: it has to mean the same directory. */
export const inDirectory = (directory: string): string =>
  directory === DEFAULT_DIRECTORY ? '' : ` --dir ${directory}`;

const utc = (atMs: number): string => new Date(atMs).toISOString().replace(/\.\d+/, '');

/** Where a certificate and its key lie; `created` false: they were there before. */
export interface Issued {
  created: boolean;
  certPath: string;
  keyPath: string;
  expiresAtMs: number;
}

export interface IssueRequest extends Identity {
  /** `controller` and `etcd` also need the names and addresses they are dialled by. */
  dnsNames?: string[];
  ipAddresses?: string[];
  /** Default 365. */
  validDays?: number;
}

export async function caInit(directory: string, nowMs = Date.now()): Promise<Issued> {
  const files = pair(join(directory, 'ca'));
  const present = bothOrNone(files);
  if (present) return describeIssued(present, files);
  const keys = await generateKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: 'CN=Aether CA',
    ...validity(nowMs, 3650),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return write(files, certificate, keys.privateKey);
}

/**
 * Issues a certificate for `request`, or returns the one that is there and still good for it; `replace`: in
 * the place of whatever is there.
 */
export async function caIssue(
  directory: string,
  request: IssueRequest,
  nowMs = Date.now(),
  { replace = false } = {},
): Promise<Issued> {
  if (!DNS_LABEL.test(request.id)) throw new CaError({ code: 'badName', id: request.id });
  const authority = readAuthority(directory);
  const names = subjectNames(request);
  const files = pair(join(directory, request.role, request.id));
  const present = replace ? null : bothOrNone(files);
  if (present) {
    assertGood(present, files.certPath, authority.node, names, nowMs);
    return describeIssued(present, files);
  }
  const lives = validity(nowMs, request.validDays ?? 365, formerIn(files));
  const keys = await generateKeys();
  const issuer = new x509.X509Certificate(authority.pem);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: `CN=${request.role}/${request.id}`,
    issuer: issuer.subject,
    ...lives,
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: await importKey(authority.keyPem),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(purposes(request)),
      new x509.SubjectAlternativeNameExtension(names),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return write(files, certificate, keys.privateKey);
}

/** Another one in the place of one that was issued, for the same names and as long. */
export async function caReissue(
  directory: string,
  { role, id }: Identity,
  nowMs = Date.now(),
): Promise<Issued> {
  const { certPath } = pair(join(directory, role, id));
  if (!existsSync(certPath)) throw new CaError({ code: 'notThere', path: certPath });
  return caIssue(directory, requestOf({ role, id, certPath }), nowMs, { replace: true });
}

/** An edge's certificate is of no use to a server, so no edge can pose as a controller. */
function purposes({ role }: Identity): x509.ExtendedKeyUsage[] {
  const { clientAuth, serverAuth } = x509.ExtendedKeyUsage;
  if (role === 'temporal') return [serverAuth];
  return role === 'controller' || role === 'etcd' ? [serverAuth, clientAuth] : [clientAuth];
}

const SERVER_NAMES: Partial<Record<Role, string>> = {
  controller: CONTROLLER_SERVER_NAME,
  etcd: ETCD_PEER_NAME,
  temporal: TEMPORAL_SERVER_NAME,
};

function subjectNames(request: IssueRequest): x509.JsonGeneralNames {
  const dns = [...(request.dnsNames ?? [])];
  const ofRole = SERVER_NAMES[request.role];
  if (ofRole !== undefined) dns.push(ofRole);
  return [
    { type: 'url', value: spiffeUri(request) },
    ...[...new Set(dns)].map((value) => ({ type: 'dns' as const, value })),
    ...[...new Set(request.ipAddresses ?? [])].map((value) => ({ type: 'ip' as const, value })),
  ];
}

interface Files {
  certPath: string;
  keyPath: string;
}

const pair = (base: string): Files => ({ certPath: `${base}.pem`, keyPath: `${base}.key` });

function bothOrNone({ certPath, keyPath }: Files): NodeCertificate | null {
  const [cert, key] = [existsSync(certPath), existsSync(keyPath)];
  if (cert && key) return new NodeCertificate(readFileSync(certPath));
  if (cert) throw new CaError({ code: 'half', present: certPath, missing: keyPath });
  if (key) throw new CaError({ code: 'half', present: keyPath, missing: certPath });
  return null;
}

interface Former {
  path: string;
  goodFromMs: number;
}

function formerIn({ certPath }: Files): Former | null {
  if (!existsSync(certPath)) return null;
  const { validFrom } = new NodeCertificate(readFileSync(certPath));
  return { path: certPath, goodFromMs: Date.parse(validFrom) };
}

function readAuthority(directory: string) {
  const files = pair(join(directory, 'ca'));
  const node = bothOrNone(files);
  if (!node) throw new CaError({ code: 'noAuthority', directory });
  const keyPem = readFileSync(files.keyPath, 'utf8');
  if (!node.checkPrivateKey(createPrivateKey(keyPem))) {
    const why = 'is not the certificate of its key: a rotation was cut';
    const todo = `go on with: aether ca rotate reissue${inDirectory(directory)}`;
    throw new CaError({ code: 'notGood', path: files.certPath, why, todo });
  }
  return { node, pem: node.toString(), keyPem };
}

/** What to ask for to get a certificate like that one again. */
function requestOf({ role, id, certPath }: Identity & { certPath: string }): IssueRequest {
  const present = new x509.X509Certificate(new NodeCertificate(readFileSync(certPath)).raw);
  const names = present.getExtension(x509.SubjectAlternativeNameExtension)?.names.toJSON() ?? [];
  const of = (type: string): string[] =>
    names.filter((name) => name.type === type).map(({ value }) => value);
  const validMs = present.notAfter.getTime() - present.notBefore.getTime();
  return {
    role,
    id,
    dnsNames: of('dns'),
    ipAddresses: of('ip'),
    validDays: Math.max(1, Math.round(validMs / DAY_MS)),
  };
}

function assertGood(
  certificate: NodeCertificate,
  path: string,
  authority: NodeCertificate,
  names: x509.JsonGeneralNames,
  nowMs: number,
): void {
  const fail = (why: string, todo = 'for another one say --again'): never => {
    throw new CaError({ code: 'notGood', path, why, todo });
  };
  if (!certificate.verify(authority.publicKey)) fail('was issued by another authority');
  if (Date.parse(certificate.validTo) < nowMs + RENEW_BEFORE_MS) {
    fail(`expires on ${certificate.validTo}`);
  }
  const present = new x509.X509Certificate(certificate.raw).getExtension(
    x509.SubjectAlternativeNameExtension,
  );
  const text = (list: x509.JsonGeneralNames): string =>
    list.map(({ type, value }) => `${type}:${value}`).join(', ');
  const found = text(present?.names.toJSON() ?? []);
  const todo = 'remove it and its key to issue one that does';
  if (found !== text(names)) fail(`names ${found}, not ${text(names)}`, todo);
}

function describeIssued(certificate: NodeCertificate, files: Files): Issued {
  return { created: false, ...files, expiresAtMs: Date.parse(certificate.validTo) };
}

/** Key first, each renamed into place whole: what is interrupted is seen as `half`, never used. */
async function write(
  files: Files,
  certificate: x509.X509Certificate,
  key: webcrypto.CryptoKey,
): Promise<Issued> {
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', key);
  mkdirSync(dirname(files.certPath), { recursive: true, mode: 0o755 });
  put(files.keyPath, x509.PemConverter.encode(pkcs8, 'PRIVATE KEY'), 0o600);
  put(files.certPath, certificate.toString('pem'), 0o644);
  return { created: true, ...files, expiresAtMs: certificate.notAfter.getTime() };
}

/** Renamed into place whole. */
export function put(path: string, text: string, mode: number): void {
  const temporary = `${path}.${process.pid}.new`;
  writeFileSync(temporary, `${text.trimEnd()}\n`, { mode, flag: 'wx' });
  chmodSync(temporary, mode);
  renameSync(temporary, path);
}

const generateKeys = (): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);

function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  const der = x509.PemConverter.decodeFirst(pem);
  return webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']);
}

/** 127 random bits, positive (RFC 5280, 4.1.2.2: at most 20 octets, unique within the issuer). */
function serial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x01;
  return bytes.toString('hex');
}

/**
 * Whole seconds: that is what a certificate can hold. Later than the one before, whatever the clock says: of two of an
 * edge the later one counts (decision 0160).
 */
function validity(
  nowMs: number,
  days: number,
  former: Former | null = null,
): { notBefore: Date; notAfter: Date } {
  const leastMs = former === null ? 0 : former.goodFromMs + 1_000;
  if (former !== null && leastMs > nowMs) {
    throw new CaError({ code: 'clockBehind', ...former, nowMs });
  }
  const startMs = Math.max(leastMs, Math.floor((nowMs - BACKDATED_MS) / 1000) * 1000);
  return { notBefore: new Date(startMs), notAfter: new Date(startMs + days * DAY_MS) };
}
