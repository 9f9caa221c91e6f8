/**
 * What is believed of a member, and what changes it (memberlist's state.go: aliveNode, suspectNode, deadNode,
 * mergeState). Of one incarnation dead is stronger than suspect, suspect than alive; a higher incarnation is
 * stronger than any of them, and only the member itself raises it.
 *
 *             alive, higher                     suspect
 *            +-------------+            +--------------------+
 *            |             v            |                    v
 *            |          +-------+-------+              +---------+
 *   (unknown)+--------->| alive |<---------------------| suspect |--+ another accuser:
 *            |          +-------+    alive, higher     +---------+<-+ ends sooner
 *            |           |     ^ ^                       |     |
 *            |      dead |     | | alive, higher         |     | dead, or its time is up
 *            |           v     | +---------------+       |     v
 *            |        +------+ |                 |       |  +------+
 *            +--------| left |-+ (dead of itself)+-------+--| dead |
 *                     +------+                              +------+
 */
import { confirmationsWanted } from './arithmetic';
import type { Turn } from './turn';
import type { Address, Member, MemberState, Message, PushPullNode, Versions } from './types';

type Alive = Extract<Message, { kind: 'alive' }>;
type Accusation = Omit<Extract<Message, { kind: 'suspect' }>, 'kind'>;

/** Nothing could beat it: only a forger, or 136 years of a restart a second, gets there. */
const INCARNATION_MAX = 0xffff_ffff;

/** As many as fit a list that is exchanged, whatever they say of themselves (wire-stream.ts). */
export const MEMBERS_MAX = 1_024;

/** The protocol that we, and every memberlist since 0.1, speak. */
const PROTOCOL = 2;
export const OUR_VERSIONS: Versions = [1, 5, PROTOCOL, 0, 0, 0];

export const sameAddress = (a: Address, b: Address): boolean => a.ip === b.ip && a.port === b.port;

const sameBytes = (a: ArrayLike<number>, b: ArrayLike<number>): boolean =>
  a.length === b.length && Array.from(a).every((byte, i) => byte === b[i]);

/** Versions that are not said (0) are of whoever speaks like us. */
const understands = ([min, max]: Versions): boolean =>
  max === 0 || (min <= PROTOCOL && PROTOCOL <= max);

export const gone = ({ state }: Member): boolean => state === 'dead' || state === 'left';

export const aliveMessage = (member: Member): Alive => ({
  kind: 'alive',
  incarnation: member.incarnation,
  node: member.name,
  address: member.address,
  meta: member.meta,
  versions: member.versions,
});

/** Who `name` is, and where it is, from a message that says that it is alive. */
export function heardAlive(turn: Turn, alive: Alive): void {
  if (alive.node === turn.state.name) return heardOfUs(turn, alive);
  if (alive.incarnation >= INCARNATION_MAX) return;
  if (!understands(alive.versions)) return turn.note('versions');
  const known = turn.state.members.get(alive.node);
  if (known === undefined && turn.state.members.size >= MEMBERS_MAX) return turn.note('full');
  const moved = known !== undefined && !sameAddress(known.address, alive.address);
  if (known !== undefined && moved && !gone(known)) return conflict(turn, known, alive);
  if (known !== undefined && !moved && alive.incarnation <= known.incarnation) return;
  const { node: name, address, meta, versions, incarnation } = alive;
  turn.suspect(name, null);
  turn.broadcast(name, alive);
  become(turn, known, { name, address, meta, versions, incarnation }, 'alive');
  if (known === undefined) admit(turn, name);
}

function conflict(turn: Turn, known: Member, { node, address }: Alive): void {
  const { address: listed } = known;
  turn.effects.push({ kind: 'conflict', name: node, listed, claimed: address });
}

/** A random place in the order, so that not all members probe a new one in the same turn (state.go, randomOffset). */
function admit(turn: Turn, name: string): void {
  const { order } = turn.state;
  const place = Math.floor(turn.random() * (order.length + 1));
  turn.state.order = [...order.slice(0, place), name, ...order.slice(place)];
  if (place < turn.state.next) turn.state.next += 1;
}

type Description = Pick<Member, 'name' | 'address' | 'meta' | 'versions' | 'incarnation'>;

function become(
  turn: Turn,
  known: Member | undefined,
  description: Description,
  state: MemberState,
  confirmations = 0,
): void {
  const sinceMs = known?.state === state ? known.sinceMs : turn.nowMs;
  const member = { ...description, state, sinceMs, confirmations };
  turn.put(member);
  const shown =
    known === undefined ||
    known.state !== state ||
    known.confirmations !== confirmations ||
    !sameAddress(known.address, member.address) ||
    !sameBytes(known.meta, member.meta);
  if (shown) turn.effects.push({ kind: 'changed', member, from: known?.state ?? null });
}

/**
 * Somebody says that we are alive. The same as we say is an echo; more than we have said is of a former run of ours,
 * and ours counts only once it is above that.
 */
function heardOfUs(turn: Turn, alive: Alive): void {
  const { self, state } = turn;
  if (state.leaving || alive.incarnation < self.incarnation) return;
  if (!sameAddress(alive.address, self.address)) {
    const { address: claimed } = alive;
    turn.effects.push({ kind: 'conflict', name: self.name, listed: self.address, claimed });
    return;
  }
  const same = sameBytes(alive.meta, self.meta) && sameBytes(alive.versions, self.versions);
  if (alive.incarnation === self.incarnation && same) return;
  refute(turn, alive.incarnation);
}

/** Says that we are alive, above what was said of us; to have been accused is a sign that we are slow. */
function refute(turn: Turn, incarnation: number): void {
  if (!sayAlive(turn, incarnation)) return;
  adjustAwareness(turn, 1);
  turn.note('refuted');
}

/** Above what we, and others, have said; false where that is not possible any more. */
export function sayAlive(turn: Turn, incarnation: number): boolean {
  const raised = Math.max(turn.self.incarnation, incarnation) + 1;
  if (raised >= INCARNATION_MAX) return false;
  turn.put({ ...turn.self, incarnation: raised });
  turn.announce(turn.self.name, aliveMessage(turn.self));
  return true;
}

export function adjustAwareness({ state }: Turn, by: number): void {
  state.awareness = Math.min(Math.max(0, state.awareness + by), state.profile.awarenessMax);
}

/** Whom an accusation concerns; null where it is old, or ours to refute, or nothing is left to say. */
function accused(turn: Turn, { node, incarnation }: Accusation): Member | null {
  const known = turn.state.members.get(node);
  if (known === undefined || incarnation < known.incarnation) return null;
  if (node === turn.state.name) {
    if (!turn.state.leaving) refute(turn, incarnation);
    return null;
  }
  return incarnation >= INCARNATION_MAX || gone(known) ? null : known;
}

/** `from` '' is nobody's word: what a list says that was exchanged. `ours`: what our own probe found. */
export function heardSuspect(turn: Turn, accusation: Accusation, ours = false): void {
  const { node, incarnation, from } = accusation;
  const known = accused(turn, accusation);
  if (known === null) return;
  if (known.state === 'alive') begin(turn, known.name);
  const suspicion = turn.state.suspicions.get(node);
  if (suspicion === undefined) return;
  const news = from !== '' && !suspicion.accusers.includes(from);
  const accusers = news ? [...suspicion.accusers, from] : suspicion.accusers;
  turn.suspect(node, { ...suspicion, accusers });
  become(turn, known, { ...known, incarnation }, 'suspect', accusers.length);
  if (!news) return;
  const message: Message = { kind: 'suspect', ...accusation };
  if (ours) turn.announce(node, message);
  else turn.broadcast(node, message);
}

function begin(turn: Turn, name: string): void {
  const { members: all, profile } = turn.state;
  turn.suspect(name, {
    startMs: turn.nowMs,
    wanted: confirmationsWanted(profile, all.size),
    members: all.size,
    accusers: [],
    looked: null,
  });
}

/** `ours`: a suspicion of ours has lasted. */
export function heardDead(turn: Turn, accusation: Accusation, ours = false): void {
  const { node, incarnation, from } = accusation;
  const known = accused(turn, accusation);
  if (known === null) return;
  // Who declares it may go by hearsay: what counts is who has looked, and has said so before.
  const { length: confirmations } = turn.state.suspicions.get(node)?.accusers ?? [];
  const state = from === node ? 'left' : 'dead';
  turn.suspect(node, null);
  become(turn, known, { ...known, incarnation }, state, confirmations);
  const message: Message = { kind: 'dead', ...accusation };
  if (ours) turn.announce(node, message);
  else turn.broadcast(node, message);
}

/** Of an exchange of lists. Whoever is dead there is only suspected here: it may have said otherwise since. */
export function merge(turn: Turn, nodes: readonly PushPullNode[]): void {
  for (const node of nodes) {
    const { name, incarnation, address, meta, versions } = node;
    switch (node.state) {
      case 'alive':
        heardAlive(turn, { kind: 'alive', node: name, incarnation, address, meta, versions });
        break;
      case 'left':
        heardDead(turn, { node: name, incarnation, from: name });
        break;
      case 'suspect':
      case 'dead':
        hearsay(turn, node);
    }
  }
}

/**
 * Of a name that is not known nothing is learned: a list says of the dead where they were. Of one that we know elsewhere,
 * what is said is of another run. That the one we know is dead, we find out ourselves.
 */
function hearsay(turn: Turn, { name, incarnation, address }: PushPullNode): void {
  const known = turn.state.members.get(name);
  if (known !== undefined && !sameAddress(known.address, address) && name !== turn.state.name)
    return;
  heardSuspect(turn, { node: name, incarnation, from: '' });
}

/** We go, and say so: the last word of this run. */
export function leave(turn: Turn): void {
  if (turn.state.leaving) return;
  turn.state.leaving = true;
  const { self } = turn;
  const { name: node, incarnation } = self;
  become(turn, self, self, 'left');
  turn.announce(node, { kind: 'dead', incarnation, node, from: node });
}
