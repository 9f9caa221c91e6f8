/**
 * Looking at one member after another (memberlist's `probeNode`): a ping; after a while others are asked to ping it, and
 * it is looked at over TCP; who has answered none of that by the end is suspected by us.
 *
 * In a round each is looked at once, in an order by chance. Whoever is suspected, and was not looked at since, comes
 * first: whether we say so, too, decides how soon it ends. memberlist leaves that to chance.
 */
import { shuffled } from './arithmetic';
import { adjustAwareness, gone, heardSuspect, sameAddress } from './members';
import type { Turn } from './turn';
import type { Address, Member, Message, Probe, StreamFinding } from './types';

const NACKS_VERSION = 4;
const STREAM_PING_VERSION = 3;
/** Pings on behalf of others at a time; more are not even begun. */
const RELAYS_MAX = 256;
const NO_PAYLOAD = new Uint8Array(0);

/** Begins with the next one whose turn it is. */
export function probeNext(turn: Turn): void {
  const member = accused(turn) ?? inTurn(turn);
  if (member !== null) look(turn, member);
}

/** Whom we were looking at, from the start: its turn is not over. */
export function probeAgain(turn: Turn): void {
  const member = turn.state.members.get(turn.state.probe?.node ?? '');
  turn.state.probe = null;
  if (member !== undefined && !gone(member)) look(turn, member);
}

function look(turn: Turn, member: Member): void {
  const { profile, awareness } = turn.state;
  const seq = turn.nextSeq();
  turn.state.probe = {
    seq,
    node: member.name,
    askOthersAtMs: turn.nowMs + profile.probeTimeoutMs,
    failsAtMs: turn.nowMs + profile.probeMs * (awareness + 1),
    asked: false,
    nacksWanted: 0,
    nacks: 0,
    found: null,
  };
  const ping = pingOf(turn, seq, member.name);
  if (member.state === 'alive') return turn.send(member.address, ping, member);
  // It learns of it in the same packet, and may refute it at once.
  const { name: node, incarnation } = member;
  const suspect: Message = { kind: 'suspect', incarnation, node, from: turn.state.name };
  turn.sendPlain(member.address, [ping, suspect], member);
}

const pingOf = (turn: Turn, seq: number, node: string): Message => ({
  kind: 'ping',
  seq,
  node,
  source: turn.self.address,
  sourceName: turn.state.name,
});

function accused({ state }: Turn): Member | null {
  for (const [name, { looked }] of state.suspicions) {
    const member = state.members.get(name);
    if (looked === null && member !== undefined) return member;
  }
  return null;
}

function inTurn(turn: Turn): Member | null {
  const { state } = turn;
  // Once around at most, and once more in the new order.
  for (let tries = state.order.length * 2 + 1; tries > 0; tries -= 1) {
    if (state.next >= state.order.length) newRound(turn);
    const member = state.members.get(state.order[state.next] ?? '');
    state.next += 1;
    if (member !== undefined && !gone(member)) return member;
  }
  return null;
}

/** state.go `resetNodes`: who has been gone for long enough is forgotten, the others change places. */
export function newRound(turn: Turn): void {
  const { state, nowMs, random } = turn;
  for (const member of state.members.values()) {
    const { name, sinceMs } = member;
    if (!gone(member) || name === state.name || nowMs - sinceMs <= state.profile.deadMs) continue;
    turn.remove(name);
    turn.effects.push({ kind: 'reaped', name });
  }
  const others = [...state.members.keys()].filter((name) => name !== state.name);
  state.order = shuffled(others, random);
  state.next = 0;
}

/** What the time has brought. */
export function probeDue(turn: Turn): void {
  const { probe } = turn.state;
  if (probe === null) return;
  if (turn.nowMs >= probe.failsAtMs) fail(turn, probe);
  else if (!probe.asked && turn.nowMs >= probe.askOthersAtMs) askOthers(turn, probe);
}

function askOthers(turn: Turn, probe: Probe): void {
  const { state, nowMs } = turn;
  const member = state.members.get(probe.node);
  if (member === undefined || gone(member)) {
    state.probe = null;
    return;
  }
  const helpers = shuffled(
    turn.others().filter(({ name, state: is }) => name !== probe.node && is === 'alive'),
    turn.random,
  ).slice(0, state.profile.indirect);
  const nacking = helpers.filter(({ versions }) => versions[1] >= NACKS_VERSION);
  state.probe = { ...probe, asked: true, nacksWanted: nacking.length };
  for (const helper of helpers) {
    const nack = nacking.includes(helper);
    turn.send(helper.address, indirectOf(turn, probe, member.address, nack), helper);
  }
  const [, newest] = member.versions;
  if (newest !== 0 && newest < STREAM_PING_VERSION) return;
  const withinMs = probe.failsAtMs - nowMs;
  const { seq, node } = probe;
  turn.effects.push({ kind: 'lookByStream', to: member.address, node, seq, withinMs });
}

const indirectOf = (turn: Turn, probe: Probe, target: Address, nack: boolean): Message => ({
  kind: 'indirect',
  seq: probe.seq,
  target,
  node: probe.node,
  nack,
  source: turn.self.address,
  sourceName: turn.state.name,
});

/** Nacks that did not come say that it may be us (Lifeguard). */
function fail(turn: Turn, probe: Probe): void {
  const { state } = turn;
  state.probe = null;
  const member = state.members.get(probe.node);
  if (member === undefined || gone(member)) return;
  adjustAwareness(turn, probe.nacksWanted === 0 ? 1 : probe.nacksWanted - probe.nacks);
  turn.note('probeFailed');
  const { name: node, incarnation } = member;
  heardSuspect(turn, { node, incarnation, from: state.name }, true);
  const suspicion = state.suspicions.get(node);
  if (suspicion === undefined) return;
  // A look over TCP that found nothing at all does not undo what an earlier one found.
  const found = probe.found ?? suspicion.looked?.found ?? null;
  turn.suspect(node, { ...suspicion, looked: { found } });
}

/** By packet, from it or on its behalf. */
export function acked(turn: Turn, seq: number): void {
  if (turn.state.probe?.seq === seq) succeed(turn);
  else relayAcked(turn, seq);
}

function succeed(turn: Turn): void {
  adjustAwareness(turn, -1);
  turn.state.probe = null;
}

export function nacked({ state }: Turn, seq: number): void {
  const { probe } = state;
  if (probe?.seq !== seq) return;
  state.probe = { ...probe, nacks: Math.min(probe.nacks + 1, probe.nacksWanted) };
}

export function streamFound(turn: Turn, seq: number, finding: StreamFinding): void {
  const { probe } = turn.state;
  if (probe?.seq !== seq) return;
  if (finding !== 'acked') {
    turn.state.probe = { ...probe, found: finding };
    return;
  }
  turn.note('reachedByStreamAlone');
  succeed(turn);
}

/**
 * A ping that is meant for us, or for whoever is here. Whom we take for dead, or for dying, learns of it with the
 * answer: what was told to it while it could not hear is not told again.
 */
export function answerPing(
  turn: Turn,
  ping: Extract<Message, { kind: 'ping' }>,
  from: Address,
): void {
  const { state } = turn;
  if (ping.node !== '' && ping.node !== state.name) return;
  const ack: Message = { kind: 'ack', seq: ping.seq, payload: NO_PAYLOAD };
  const to = ping.source ?? from;
  const member = state.members.get(ping.sourceName) ?? null;
  if (member === null || member.state === 'alive' || !sameAddress(member.address, to)) {
    return turn.send(to, ack, member);
  }
  const { name: node, incarnation } = member;
  const kind = gone(member) ? 'dead' : 'suspect';
  turn.sendPlain(to, [ack, { kind, incarnation, node, from: state.name }], member);
}

/** Pings for another member. */
export function relay(
  turn: Turn,
  asked: Extract<Message, { kind: 'indirect' }>,
  from: Address,
): void {
  const { state, nowMs } = turn;
  if (state.relays.length >= RELAYS_MAX) return;
  const seq = turn.nextSeq();
  const to = asked.source ?? from;
  const endsAtMs = nowMs + state.profile.probeTimeoutMs;
  state.relays = [...state.relays, { seq, theirSeq: asked.seq, to, nack: asked.nack, endsAtMs }];
  const member = state.members.get(asked.node) ?? null;
  turn.send(asked.target, pingOf(turn, seq, asked.node), member);
}

function relayAcked(turn: Turn, seq: number): void {
  const { state } = turn;
  const found = state.relays.find((one) => one.seq === seq);
  if (found === undefined) return;
  state.relays = state.relays.filter((one) => one !== found);
  turn.send(found.to, { kind: 'ack', seq: found.theirSeq, payload: NO_PAYLOAD }, null);
}

export function relaysDue(turn: Turn): void {
  const { state, nowMs } = turn;
  const over = state.relays.filter(({ endsAtMs }) => nowMs >= endsAtMs);
  if (over.length === 0) return;
  state.relays = state.relays.filter(({ endsAtMs }) => nowMs < endsAtMs);
  for (const { nack, theirSeq, to } of over) {
    if (nack) turn.send(to, { kind: 'nack', seq: theirSeq }, null);
  }
}
