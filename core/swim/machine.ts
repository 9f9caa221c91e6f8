/**
 * A member of a cluster: `step(state, input, now, random)` gives the next state and what is to be done.
 *
 * SWIM with Lifeguard as memberlist 0.7 has it, with these deviations, all of them compatible on the wire:
 *
 *   - in a small cluster what we find ourselves is told to all at once, besides by gossip (`Turn.announce`);
 *   - whoever is suspected is looked at first, so that confirmations don't wait for chance (`probe.ts`);
 *   - how long a suspicion lasts depends on what TCP found: nobody listens, or nobody answers (decision 0100);
 *   - what an exchange of lists says of the dead starts a suspicion without an accuser: hearsay confirms nothing;
 *   - time alone judges in `tick` only, and a tick that comes late judges nothing (decision 0101);
 *   - a name that is dead may be taken by another address at once (memberlist's DeadNodeReclaimTime, at its least).
 */
import { pushPullMs, shuffled, suspicionEndsMs } from './arithmetic';
import {
  gone,
  heardAlive,
  heardDead,
  heardSuspect,
  leave,
  merge,
  OUR_VERSIONS,
  sameAddress,
  sayAlive,
} from './members';
import {
  acked,
  answerPing,
  nacked,
  probeAgain,
  probeDue,
  probeNext,
  relay,
  relaysDue,
  streamFound,
} from './probe';
import { Turn } from './turn';
import type {
  Address,
  Effect,
  Input,
  Member,
  Message,
  Profile,
  PushPullNode,
  Random,
  State,
} from './types';

export interface Identity {
  name: string;
  /** Where others reach us. */
  address: Address;
  /** At most 512 bytes. */
  meta: Uint8Array;
}

/** Alone, with incarnation 1: a former run's is learned as we join. */
export function initialState(
  { name, address, meta }: Identity,
  profile: Profile,
  nowMs: number,
  random: Random,
): State {
  const self: Member = {
    name,
    address,
    meta,
    versions: OUR_VERSIONS,
    incarnation: 1,
    state: 'alive',
    sinceMs: nowMs,
    confirmations: 0,
  };
  // Members that start together shall not act together.
  const stagger = (intervalMs: number): number => nowMs + random() * intervalMs;
  return {
    name,
    profile,
    members: new Map([[name, self]]),
    suspicions: new Map(),
    order: [],
    next: 0,
    queue: [],
    queued: 0,
    probe: null,
    relays: [],
    sequence: 0,
    awareness: 0,
    leaving: false,
    tickedMs: nowMs,
    probeAtMs: stagger(profile.probeMs),
    gossipAtMs: stagger(profile.gossipMs),
    pushPullAtMs: stagger(profile.pushPullMs),
  };
}

/** Pure: neither `state` nor `input` is changed. */
export function step(
  state: State,
  input: Input,
  nowMs: number,
  random: Random,
): { state: State; effects: Effect[] } {
  const turn = new Turn(state, nowMs, random);
  take(turn, input);
  return { state: turn.state, effects: turn.effects };
}

/** When `tick` is due. */
export function deadline(state: State): number {
  const { probe, profile } = state;
  const at = [state.tickedMs + profile.beatMs, state.gossipAtMs, state.pushPullAtMs];
  if (probe === null) at.push(state.probeAtMs);
  else at.push(probe.failsAtMs, probe.asked ? Infinity : probe.askOthersAtMs);
  for (const suspicion of state.suspicions.values()) at.push(suspicionEndsMs(profile, suspicion));
  for (const { endsAtMs } of state.relays) at.push(endsAtMs);
  return Math.min(...at);
}

/** What an exchange tells the other side. */
export const pushPullNodes = (state: State): PushPullNode[] => [...state.members.values()];

/** Everybody was told as often as they shall be that we go, or there is nobody. */
export function hasLeft(state: State): boolean {
  if (!state.leaving) return false;
  const others = [...state.members.values()].some((member) => !gone(member));
  return !others || !state.queue.some(({ name }) => name === state.name);
}

function take(turn: Turn, input: Input): void {
  switch (input.kind) {
    case 'received':
      return receive(turn, input.message, input.from);
    case 'streamFound':
      return streamFound(turn, input.seq, input.finding);
    case 'merged':
      return merged(turn, input.nodes);
    case 'tick':
      return tick(turn);
    case 'leave':
      return leave(turn);
  }
}

function receive(turn: Turn, message: Message, from: Address): void {
  switch (message.kind) {
    case 'ping':
      return answerPing(turn, message, from);
    case 'indirect':
      return relay(turn, message, from);
    case 'ack':
      return acked(turn, message.seq);
    case 'nack':
      return nacked(turn, message.seq);
    case 'alive':
      return heardAlive(turn, message);
    case 'suspect':
      return heardSuspect(turn, message);
    case 'dead':
      return heardDead(turn, message);
  }
}

/** In probe intervals: how soon we ask again where our name is still another's. */
const DISPLACED_INTERVALS = 4;

function merged(turn: Turn, nodes: readonly PushPullNode[]): void {
  merge(turn, nodes);
  const { self, state, nowMs } = turn;
  const ours = nodes.find(({ name }) => name === self.name);
  // A former run of ours elsewhere is not known to be dead yet: until it is, nobody lists us.
  if (ours === undefined || sameAddress(ours.address, self.address)) return;
  state.pushPullAtMs = nowMs + state.profile.probeMs * DISPLACED_INTERVALS;
}

function tick(turn: Turn): void {
  const { state, nowMs } = turn;
  const lateMs = nowMs - state.tickedMs - state.profile.beatMs;
  if (lateMs > state.profile.beatMs) stoodStill(turn, lateMs);
  state.tickedMs = nowMs;
  relaysDue(turn);
  probeDue(turn);
  bury(turn);
  if (nowMs >= state.probeAtMs && state.probe === null) {
    state.probeAtMs = nextAt(state.probeAtMs, state.profile.probeMs, nowMs);
    if (!state.leaving) probeNext(turn);
  }
  if (nowMs >= state.gossipAtMs) {
    state.gossipAtMs = nextAt(state.gossipAtMs, state.profile.gossipMs, nowMs);
    gossip(turn);
  }
  if (nowMs >= state.pushPullAtMs) {
    state.pushPullAtMs = nowMs + pushPullMs(state.profile.pushPullMs, state.members.size);
    if (!state.leaving) exchange(turn);
  }
}

/** In step with its own beat; what was missed is missed. */
const nextAt = (atMs: number, everyMs: number, nowMs: number): number =>
  nowMs + everyMs - ((nowMs - atMs) % everyMs);

/**
 * The process was stopped, or had no processor. Answers that came meanwhile may not be read yet, others had no time to
 * be heard: nobody is accused for it. A short one takes nothing but its time from a probe.
 */
function stoodStill(turn: Turn, lateMs: number): void {
  const { state } = turn;
  const { probe, profile } = state;
  turn.note('paused');
  if (lateMs > profile.probeTimeoutMs) return wake(turn, lateMs);
  if (probe === null) return;
  const askOthersAtMs = probe.askOthersAtMs + lateMs;
  state.probe = { ...probe, askOthersAtMs, failsAtMs: probe.failsAtMs + lateMs };
}

/** What was asked is void and asked anew, and what was suspected before is suspected for longer. */
function wake(turn: Turn, lateMs: number): void {
  const { state, nowMs } = turn;
  state.relays = [];
  for (const [name, suspicion] of state.suspicions) {
    const { startMs } = suspicion;
    const lostMs = Math.min(lateMs, nowMs - startMs);
    turn.suspect(name, { ...suspicion, startMs: startMs + lostMs });
  }
  // Whatever was said of us meanwhile may not have reached us.
  if (!state.leaving) sayAlive(turn, 0);
  probeAgain(turn);
}

/** Suspicions whose time is up. */
function bury(turn: Turn): void {
  const { state, nowMs } = turn;
  for (const [node, suspicion] of state.suspicions) {
    if (nowMs < suspicionEndsMs(state.profile, suspicion)) continue;
    const incarnation = state.members.get(node)?.incarnation ?? 0;
    heardDead(turn, { node, incarnation, from: state.name }, true);
  }
}

function gossip(turn: Turn): void {
  const { state, nowMs } = turn;
  const { profile } = state;
  if (state.queue.length === 0) return;
  const told = [...state.members.values()].filter((member) => {
    if (member.name === state.name || member.state === 'left') return false;
    return !gone(member) || nowMs - member.sinceMs <= profile.deadMs;
  });
  for (const member of shuffled(told, turn.random).slice(0, profile.gossipTo)) {
    const { messages } = turn.news(0);
    if (messages.length === 0) return;
    turn.sendPlain(member.address, messages, member);
  }
}

function exchange(turn: Turn): void {
  const alive = turn.others().filter(({ state }) => state === 'alive');
  const member = alive[Math.floor(turn.random() * alive.length)];
  if (member === undefined) return;
  turn.effects.push({ kind: 'pushPull', to: member.address, node: member.name });
}
