/** Who a certificate speaks for: role and id in one URI SAN, `spiffe://aether/<role>/<id>`. */
import type { PeerCertificate } from 'node:tls';
import { DNS_LABEL } from '../../core/model/ids';

export const ROLES = [
  'edge',
  'controller',
  'viewer',
  'operator',
  'breaker',
  'etcd',
  'temporal',
] as const;
export type Role = (typeof ROLES)[number];

export interface Identity {
  role: Role;
  id: string;
}

/** Names on every certificate of that role; clients verify them whatever address they dialled. */
export const CONTROLLER_SERVER_NAME = 'controller.aether';
export const TEMPORAL_SERVER_NAME = 'temporal.aether';
export const ETCD_PEER_NAME = 'etcd.aether';

export const spiffeUri = ({ role, id }: Identity): string => `spiffe://aether/${role}/${id}`;

/**
 * The identity in a verified peer certificate; null where there is none, or more than one.
 *
 * Node prints the SANs as `DNS:a, URI:b` and puts quotes around an entry that could be mistaken for
 * several; no name of ours needs quotes, so such an entry never matches.
 */
export function identityOf(certificate: Pick<PeerCertificate, 'subjectaltname'>): Identity | null {
  const entries = (certificate.subjectaltname ?? '').split(', ');
  const uris = entries.filter((entry) => entry.startsWith('URI:'));
  if (uris.length !== 1) return null;
  const match = /^URI:spiffe:\/\/aether\/([a-z]+)\/([^/]+)$/.exec(uris[0] ?? '');
  const role = ROLES.find((known) => known === match?.[1]);
  const id = match?.[2] ?? '';
  return role !== undefined && DNS_LABEL.test(id) ? { role, id } : null;
}
