/**
 * A new authority in the place of an old one, without a moment in which anybody is not believed:
 *
 * 1. `begin`: the new one is made beside the old one; `ca.pem` holds both, and is carried everywhere.
 * 2. `reissue`: the new one signs from now on; every certificate in the directory is issued again.
 * 3. `finish`: `ca.pem` holds the new one alone; whoever has only an old certificate is out.
 *
 * Each may be repeated, and goes on where it was cut: what it does next is read from the files.
 *
 *     rotation/ca.pem, ca.key      since 1: the authority to come
 *     rotation/old.pem, old.key    since 2: the one that signed before
 */
import { X509Certificate } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { certificatesIn } from '../grpc/tls';
import { CaError, caInit, caReissue, put } from './authority';
import { ROLES, type Role } from './identity';

export type RotationStage = 'none' | 'begun' | 'reissuing';

export interface Leaf {
  role: Role;
  id: string;
  certPath: string;
  keyPath: string;
}

export interface Rotation {
  stage: RotationStage;
  /** SHA-256 of the authorities; null: there is none. */
  old: string | null;
  next: string | null;
  /** Certificates of this directory that the new one has issued, and those that it has not. */
  reissued: Leaf[];
  pending: Leaf[];
}

const places = (directory: string) => ({
  ca: join(directory, 'ca.pem'),
  caKey: join(directory, 'ca.key'),
  rotation: join(directory, 'rotation'),
  next: join(directory, 'rotation/ca.pem'),
  nextKey: join(directory, 'rotation/ca.key'),
  old: join(directory, 'rotation/old.pem'),
  oldKey: join(directory, 'rotation/old.key'),
  retired: join(directory, 'rotation.retired'),
});

export function rotationOf(directory: string): Rotation {
  const { ca, next, old, oldKey } = places(directory);
  if (!existsSync(ca)) throw new CaError({ code: 'noAuthority', directory });
  const stage = existsSync(oldKey) ? 'reissuing' : existsSync(next) ? 'begun' : 'none';
  const nextCertificate = stage === 'none' ? null : only(next);
  const leaves = leavesOf(directory);
  const isNew = ({ certPath }: Leaf): boolean =>
    nextCertificate !== null &&
    new X509Certificate(readFileSync(certPath)).verify(nextCertificate.publicKey);
  return {
    stage,
    old: stage === 'none' ? null : only(stage === 'reissuing' ? old : ca).fingerprint256,
    next: nextCertificate?.fingerprint256 ?? null,
    reissued: leaves.filter(isNew),
    pending: stage === 'none' ? [] : leaves.filter((leaf) => !isNew(leaf)),
  };
}

export async function beginRotation(directory: string, nowMs = Date.now()): Promise<Rotation> {
  const { stage } = rotationOf(directory);
  if (stage === 'reissuing') return rotationOf(directory);
  const { ca, rotation, next } = places(directory);
  const signing = readFileSync(ca, 'utf8');
  await caInit(rotation, nowMs);
  trust(ca, signing, readFileSync(next, 'utf8'));
  return rotationOf(directory);
}

export async function reissueAll(directory: string, nowMs = Date.now()): Promise<Rotation> {
  if (rotationOf(directory).stage === 'none') throw new CaError({ code: 'notBegun', directory });
  const { ca, caKey, next, nextKey, old, oldKey } = places(directory);
  if (!existsSync(oldKey)) {
    put(old, only(ca).toString(), 0o644);
    // The key last: with it the stage begins.
    put(oldKey, readFileSync(caKey, 'utf8'), 0o600);
  }
  // A cut between these two is mended by the next run: until then the key does not fit, and nothing is issued.
  put(caKey, readFileSync(nextKey, 'utf8'), 0o600);
  trust(ca, readFileSync(next, 'utf8'), readFileSync(old, 'utf8'));
  for (const leaf of rotationOf(directory).pending) {
    await caReissue(directory, leaf, nowMs);
  }
  return rotationOf(directory);
}

/** @throws {CaError} `stillOld` where a certificate of this directory was not reissued */
export function finishRotation(directory: string): Rotation {
  const { ca, next, rotation, retired } = places(directory);
  // A cut left it behind.
  rmSync(retired, { recursive: true, force: true });
  const { stage, pending } = rotationOf(directory);
  if (stage === 'none') return rotationOf(directory);
  if (stage === 'begun' || pending.length > 0) {
    const paths = pending.map(({ certPath }) => certPath);
    throw new CaError({ code: 'stillOld', directory, paths });
  }
  put(ca, readFileSync(next, 'utf8'), 0o644);
  // In one step, so that no half of it is taken for a stage.
  renameSync(rotation, retired);
  rmSync(retired, { recursive: true });
  return rotationOf(directory);
}

/** The first one signs. */
function trust(path: string, ...bundles: string[]): void {
  const all = bundles.flatMap((text) => certificatesIn(Buffer.from(text)));
  const each = new Map(all.map((certificate) => [certificate.fingerprint256, certificate]));
  put(path, [...each.values()].map(String).join(''), 0o644);
}

function only(path: string): X509Certificate {
  return new X509Certificate(readFileSync(path));
}

function leavesOf(directory: string): Leaf[] {
  return ROLES.flatMap((role) => {
    const folder = join(directory, role);
    if (!existsSync(folder)) return [];
    const ids = readdirSync(folder).filter((name) => name.endsWith('.pem'));
    return ids.sort().map((name) => ({
      role,
      id: name.slice(0, -'.pem'.length),
      certPath: join(folder, name),
      keyPath: join(folder, name.replace(/\.pem$/, '.key')),
    }));
  });
}
