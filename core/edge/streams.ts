/**
 * Which controllers an edge holds streams to, as a value (docs/notes/cluster.md): no clock, no socket.
 *
 *   nobody ─► dial any ─► guest ──(it bears the highest fence)──► primary
 *                           │ redirect                             │ redirect: the heir as a guest beside it,
 *                           └► dial that one too                   └► until that one bears a higher fence
 *
 * Rules: the stream with the highest fence heard is the primary, and takes what the edge has to say; a guest commands
 * nothing. Make before break. A redirect is a hint: it is followed at once a few times, then ever more slowly, so
 * that controllers that disagree cost little. Whoever lost its controller dials another one within a random part of
 * what the controller said its edges should spread over.
 */
import type { OwnerFence } from '../model/edge-spec';
import { compareFence } from './fence';
import { addressesOf, isTried, nextAddress, notBefore } from './streams-choice';
import {
  HEDGE_MS,
  LOOK_AROUND_MS,
  PATIENCE_MS,
  STREAMS_MAX,
  type Held,
  type Peer,
  type StreamEnd,
  type StreamsEffect,
  type StreamsInput,
  type StreamsState,
} from './streams-types';
import { hopAtMs, hopsNow, lookEveryMs, retryDelayMs } from './streams-waits';

export const initialStreams = (seeds: readonly string[]): StreamsState => ({
  seeds,
  learned: [],
  fence: null,
  held: [],
  primary: null,
  nextStream: 1,
  lookAtMs: Infinity,
  followAtMs: Infinity,
  closeAtMs: Infinity,
  failures: 0,
  slowFailures: 0,
  spreadMs: null,
  notBeforeMs: new Map(),
  triedAtMs: new Map(),
  lostAtMs: 0,
  looks: 0,
  hops: 0,
  hopsAtMs: 0,
});

/** Pure: neither `state` nor `input` is changed. `nowMs` never falls; `random` gives [0, 1). */
export function stepStreams(
  state: StreamsState,
  input: StreamsInput,
  nowMs: number,
  random: () => number,
): { state: StreamsState; effects: StreamsEffect[] } {
  const turn = new StreamsTurn(state, nowMs, random);
  turn.take(input);
  turn.settle();
  return { state: turn.state, effects: turn.effects };
}

/** When `tick` is due; Infinity: nothing happens by time alone. */
export const streamsDeadline = ({ lookAtMs, followAtMs, closeAtMs }: StreamsState): number =>
  Math.min(lookAtMs, followAtMs, closeAtMs);

class StreamsTurn {
  readonly state: StreamsState;
  readonly effects: StreamsEffect[] = [];

  constructor(
    state: StreamsState,
    private readonly nowMs: number,
    private readonly random: () => number,
  ) {
    this.state = { ...state };
  }

  take(input: StreamsInput): void {
    const { state } = this;
    switch (input.kind) {
      case 'start':
        state.fence = input.fence;
        state.lookAtMs = this.nowMs;
        return;
      case 'welcomed':
        return this.welcomed(input);
      case 'fence':
        return this.heard(input.stream, input.fence);
      case 'redirect':
        if (input.to !== null) this.lookSoon();
        return this.change(input.stream, { redirect: input.to });
      case 'controllers':
        return this.learn(input.controllers);
      case 'heartbeat':
        if (input.spreadMs !== null) state.spreadMs = input.spreadMs;
        return this.change(input.stream, { lost: input.lost });
      case 'silent':
        this.change(input.stream, { silent: input.silent });
        if (input.silent && input.stream === state.primary && state.lookAtMs === Infinity) {
          state.lookAtMs = this.nowMs + retryDelayMs(state, this.random);
        }
        return;
      case 'ended':
        return this.ended(input.stream, input.end);
      case 'tick':
    }
  }

  private welcomed(input: Extract<StreamsInput, { kind: 'welcomed' }>): void {
    const { state, nowMs } = this;
    const { stream, controller, controllers, fence, spreadMs } = input;
    const held = this.of(stream);
    if (held === null) return;
    state.failures = 0;
    state.slowFailures = 0;
    this.learn(controllers);
    if (spreadMs !== null) state.spreadMs = spreadMs;
    this.change(stream, { controller, sinceMs: nowMs });
    if (fence !== null) this.heard(stream, fence);
  }

  private learn(controllers: readonly Peer[]): void {
    const { state } = this;
    if (controllers.length === 0) return;
    const known = new Set(addressesOf(state));
    if (controllers.some(({ address }) => !known.has(address))) this.lookSoon();
    state.learned = controllers;
  }

  /** There is news: who has looked around in vain need not wait for as long again. */
  private lookSoon(): void {
    const { state } = this;
    if (state.primary !== null || state.looks === 0) return;
    state.looks = 0;
    state.lookAtMs = Infinity;
  }

  private heard(stream: number, fence: OwnerFence): void {
    const { state } = this;
    const held = this.of(stream);
    if (held?.controller == null) return;
    const verdict = compareFence(state.fence, fence);
    if (verdict === 'stale') {
      if (state.fence !== null) this.effects.push({ kind: 'fenced', stream, fence: state.fence });
      return;
    }
    if (verdict === 'raises') {
      state.fence = fence;
      state.hops = 0;
      this.effects.push({ kind: 'fence', fence });
    }
    if (state.primary === stream) return;
    const former = state.primary;
    state.primary = stream;
    this.effects.push({ kind: 'primary', stream });
    if (former !== null) this.close(former, 'another controller owns this edge');
  }

  private ended(stream: number, { retryAfterMs, isRefused }: StreamEnd): void {
    const { state, nowMs } = this;
    const held = this.of(stream);
    if (held === null) return;
    state.held = state.held.filter((each) => each !== held);
    const isDial = held.controller === null;
    if (!isDial) {
      state.failures = 0;
      state.lostAtMs = nowMs;
      state.triedAtMs = new Map(state.triedAtMs).set(held.address, nowMs);
    }
    // Where nobody listens nobody is kept busy: others are tried as soon, and only all of them more and more slowly.
    const othersFirst =
      state.held.length === 0 && addressesOf(state).some((a) => !isTried(state, a));
    if (isDial && !(isRefused && othersFirst)) state.failures += 1;
    // Whoever sent us there has not heard yet that it is gone; when it has, we are to follow at once.
    const sentThere = state.held.some(({ redirect }) => redirect?.address === held.address);
    if (isRefused && sentThere) state.hops = Math.max(0, state.hops - 1);
    if (isDial && !isRefused && retryAfterMs === null) state.slowFailures += 1;
    if (retryAfterMs !== null) {
      // Not all of them at the same moment, either.
      this.putOff(held.address, retryAfterMs * (1 + this.random() / 4));
    } else if (isDial && state.held.length > 0) {
      this.putOff(held.address, retryDelayMs(state, this.random));
    }
    if (state.primary === stream) {
      state.primary = null;
      state.looks = 0;
      this.effects.push({ kind: 'primary', stream: null });
    }
    if (state.held.length > 0) return;
    state.lookAtMs = nowMs + retryDelayMs(state, this.random);
  }

  /** Does what is due now, and says when the next thing is. */
  settle(): void {
    this.tellMoved();
    this.closeNeedless();
    this.followRedirect();
    this.lookAround();
  }

  private tellMoved(): void {
    for (const held of this.state.held) {
      const { redirect, stream, movedTo } = held;
      if (redirect === null) continue;
      const there = this.at(redirect);
      if (there?.controller == null || there.stream === stream) continue;
      if (movedTo === there.controller) continue;
      this.change(stream, { movedTo: there.controller });
      this.effects.push({ kind: 'moved', stream, controller: there.controller });
    }
  }

  /** Beside the primary only the heir that it names stays, and for a while who was dialled because it is lost. */
  private closeNeedless(): void {
    const { state, nowMs } = this;
    const primary = this.primary();
    state.closeAtMs = Infinity;
    for (const held of state.held) {
      if (primary === null || held === primary) continue;
      if (primary.redirect !== null && this.at(primary.redirect) === held) continue;
      const endsAtMs = held.controller === null ? Infinity : held.sinceMs + PATIENCE_MS;
      if (doubtful(primary) && endsAtMs > nowMs)
        state.closeAtMs = Math.min(state.closeAtMs, endsAtMs);
      else this.close(held.stream, 'not needed');
    }
    const welcomed = state.held.filter((each) => each.controller !== null);
    const oldest = welcomed.find((each) => each.stream !== state.primary);
    if (welcomed.length >= STREAMS_MAX && oldest) this.close(oldest.stream, 'the oldest of many');
  }

  /** Of the newest stream that sends us somewhere where we are not. */
  private redirectTarget(): Peer | null {
    const { held, primary } = this.state;
    const sent = held.filter((each) => each.redirect !== null);
    // The primary's word counts more than a guest's.
    const by = sent.find((each) => each.stream === primary) ?? sent.at(-1);
    if (!by?.redirect) return null;
    return this.at(by.redirect) === null ? by.redirect : null;
  }

  private followRedirect(): void {
    const { state, nowMs } = this;
    const target = this.redirectTarget();
    state.followAtMs = Infinity;
    if (target === null) return;
    const atMs = Math.max(hopAtMs(state, nowMs), notBefore(state, target.address));
    if (atMs > nowMs) {
      state.followAtMs = atMs;
      return;
    }
    state.hops = hopsNow(state, nowMs) + 1;
    state.hopsAtMs = nowMs;
    // Whoever else is being dialled would be left for that one.
    for (const { stream, controller } of state.held) {
      if (controller === null) this.close(stream, 'sent elsewhere');
    }
    this.dial(target.address);
  }

  /** Nobody owns us, or who does is lost: another one may know more. */
  private lookAround(): void {
    const { state, nowMs } = this;
    const primary = this.primary();
    if (primary !== null && !doubtful(primary)) {
      state.looks = 0;
      state.lookAtMs = Infinity;
      return;
    }
    const dialing = state.held.filter((each) => each.controller === null).at(-1);
    if (dialing) {
      const mayHedge = state.held.length < STREAMS_MAX;
      state.lookAtMs = mayHedge ? dialing.sinceMs + HEDGE_MS : Infinity;
    } else if (state.held.length > 0 && state.lookAtMs === Infinity) {
      state.lookAtMs = this.later(lookEveryMs(state));
    }
    if (state.lookAtMs <= nowMs) this.dialNext();
  }

  private dialNext(): void {
    const { state, nowMs } = this;
    const next = nextAddress(state, nowMs, this.random);
    if (next === null) state.lookAtMs = this.later(LOOK_AROUND_MS);
    else if (next.atMs > nowMs) state.lookAtMs = next.atMs;
    else {
      state.lookAtMs = Infinity;
      if (state.held.length > 0) state.looks += 1;
      this.dial(next.address);
    }
  }

  private dial(address: string): void {
    const { state, nowMs } = this;
    const stream = state.nextStream;
    state.nextStream = stream + 1;
    const known = new Set([...addressesOf(state), address]);
    state.triedAtMs = new Map(state.triedAtMs).set(address, nowMs);
    state.triedAtMs = only(state.triedAtMs, known);
    state.notBeforeMs = only(state.notBeforeMs, known);
    const fresh = { controller: null, redirect: null, movedTo: null };
    const held = { stream, address, sinceMs: nowMs, lost: false, silent: false, ...fresh };
    state.held = [...state.held, held];
    this.effects.push({ kind: 'dial', stream, address });
  }

  private close(stream: number, why: string): void {
    const { state } = this;
    state.held = state.held.filter((each) => each.stream !== stream);
    this.effects.push({ kind: 'close', stream, why });
  }

  private putOff(address: string, forMs: number): void {
    const { state, nowMs } = this;
    state.notBeforeMs = new Map(state.notBeforeMs).set(address, nowMs + Math.round(forMs));
  }

  private later(ms: number): number {
    return this.nowMs + Math.round(ms * (1 + this.random()));
  }

  private primary(): Held | null {
    return this.state.primary === null ? null : this.of(this.state.primary);
  }

  private of(stream: number): Held | null {
    return this.state.held.find((each) => each.stream === stream) ?? null;
  }

  private at({ id, address }: Peer): Held | null {
    return (
      this.state.held.find((each) => each.controller === id || each.address === address) ?? null
    );
  }

  private change(stream: number, change: Partial<Held>): void {
    const { state } = this;
    state.held = state.held.map((each) => (each.stream === stream ? { ...each, ...change } : each));
  }
}

const doubtful = ({ lost, silent }: Held): boolean => lost || silent;

const only = <V>(map: ReadonlyMap<string, V>, keys: ReadonlySet<string>): Map<string, V> =>
  new Map([...map].filter(([key]) => keys.has(key)));
