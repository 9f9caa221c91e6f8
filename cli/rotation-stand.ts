/** How far a rotation has come on the hosts: who is known to be in the way of its next step, and whom nobody here can ask. */
import type { Leaf, Rotation } from '../adapters/ca/rotation';
import type { CertificateView, ControllerStatus, NodeView } from '../core/model/views';

export interface Cluster {
  controllers: readonly Pick<ControllerStatus, 'id' | 'certificates'>[];
  nodes: readonly Pick<NodeView, 'name' | 'connected' | 'certificateIssuedAtMs'>[];
}

/** One line each, beginning with `role/id`. */
export interface Stand {
  behind: string[];
  unasked: string[];
}

/**
 * Before `reissue` everybody has to trust the next authority, before `finish` to show it as well. Controllers tell one
 * another what they hold; of an edge it is known once it has shown its newest certificate, which it takes only if it trusts
 * the authority of that. `cluster` null: no controller answers.
 */
export function standOf(
  step: 'reissue' | 'finish',
  rotation: Pick<Rotation, 'old' | 'next' | 'reissued' | 'pending'>,
  cluster: Cluster | null,
  issuedAtMs: (leaf: Leaf) => number,
): Stand {
  const stand: Stand = { behind: [], unasked: [] };
  // Who has an old ca.pem shuts out controllers and edges; a person only himself.
  const leaves = [...rotation.reissued, ...rotation.pending].filter(
    ({ role }) => step === 'finish' || WHY_NOT[role] !== PEOPLE,
  );
  if (cluster === null) {
    stand.unasked = leaves.map(({ role, id }) => `${role}/${id}: no controller answers`);
    return stand;
  }
  for (const each of cluster.controllers) controller(stand, each, rotation, step);
  for (const each of cluster.nodes) {
    const isIt = ({ role, id }: Leaf): boolean => role === 'edge' && id === each.name;
    if (step === 'finish') {
      const leaf = leaves.find(isIt);
      edge(stand, each, leaf === undefined ? null : issuedAtMs(leaf));
    } else {
      const leaf = rotation.reissued.find(isIt);
      edgeTrust(stand, each, leaf === undefined ? null : issuedAtMs(leaf));
    }
  }
  const known = new Set([
    ...cluster.controllers.map(({ id }) => `controller/${id}`),
    ...cluster.nodes.map(({ name }) => `edge/${name}`),
  ]);
  for (const { role, id } of leaves) {
    if (!known.has(`${role}/${id}`)) stand.unasked.push(`${role}/${id}: ${WHY_NOT[role]}`);
  }
  return stand;
}

const PEOPLE = 'people are not asked';

const WHY_NOT: Record<Leaf['role'], string> = {
  edge: 'there is no node of that name',
  controller: 'it is not registered',
  etcd: 'members of etcd are not asked',
  temporal: 'Temporal is not asked',
  viewer: PEOPLE,
  operator: PEOPLE,
  breaker: PEOPLE,
};

function controller(
  { behind, unasked }: Stand,
  { id, certificates }: Cluster['controllers'][number],
  rotation: Pick<Rotation, 'old' | 'next'>,
  step: 'reissue' | 'finish',
): void {
  // A former version that answers says nothing at all of them.
  if (!Array.isArray(certificates)) {
    unasked.push(`controller/${id}: it is not heard, or too old to tell`);
    return;
  }
  const shown = certificates.filter(({ authority }) => authority === rotation.old);
  if (step === 'finish' && shown.length > 0)
    behind.push(`controller/${id}: shows one of the old authority (${named(shown)})`);
  const lacking = lackingTrust(certificates, rotation);
  if (lacking.length > 0)
    behind.push(`controller/${id}: trusts the old authority alone (${named(lacking)})`);
}

function edge(
  { behind, unasked }: Stand,
  { name, connected, certificateIssuedAtMs }: Cluster['nodes'][number],
  newestMs: number | null,
): void {
  if (newestMs === null) {
    unasked.push(`edge/${name}: its certificate is not of this directory`);
  } else if ((certificateIssuedAtMs ?? 0) < newestMs) {
    const list = connected ? behind : unasked;
    list.push(
      `edge/${name}: ${connected ? 'has not shown its new certificate' : 'is not connected'}`,
    );
  }
}

/** `newestMs` null: the next authority has issued it none yet, so none that it has shown says anything. */
function edgeTrust(
  { unasked }: Stand,
  { name, connected, certificateIssuedAtMs }: Cluster['nodes'][number],
  newestMs: number | null,
): void {
  if (newestMs !== null && (certificateIssuedAtMs ?? 0) >= newestMs) return;
  unasked.push(
    `edge/${name}: ${connected ? 'edges do not tell what they trust' : 'is not connected'}`,
  );
}

const named = (certificates: readonly CertificateView[]): string =>
  certificates.map(({ what }) => what).join(', ');

/** Those that go by our authority and do not believe the next one; Temporal or etcd may have one of their own. */
export const lackingTrust = (
  certificates: readonly CertificateView[],
  { old, next }: Pick<Rotation, 'old' | 'next'>,
): CertificateView[] =>
  certificates.filter(
    ({ trusted }) => trusted.includes(old ?? '') && !trusted.includes(next ?? ''),
  );
