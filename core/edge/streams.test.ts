/**
 * Which streams an edge holds, as text: stories in streams/testdata, inputs `@<ms> <words>` and below them what is to
 * be done. No jitter: half of the widest wait. REWRITE=1 writes them anew.
 *
 *   start [fence=N]
 *   welcome STREAM ID [fence=N] [spread=MS] [knows=ID,ID]   ID's address is ID:7700
 *   fence STREAM N | redirect STREAM ID | stay STREAM | lost STREAM | silent STREAM | heard STREAM
 *   end STREAM [refused] [after=MS] | knows STREAM ID,ID | tick
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'node:test';
import { playTranscripts } from '../testing/transcripts';
import { initialStreams, stepStreams, streamsDeadline } from './streams';
import {
  HOP_BACK_MS,
  HOPS_AT_ONCE,
  LEAST_SPREAD_MS,
  MAX_RETRY_MS,
  MOST_SPREAD_MS,
  type Peer,
  STREAMS_MAX,
  type StreamsEffect,
  type StreamsInput,
  type StreamsState,
} from './streams-types';
import { retryDelayMs } from './streams-waits';
import { fence } from './testing';

const peer = (id: string): Peer => ({ id, address: `${id}:7700` });

class Story {
  private state: StreamsState = initialStreams(['a:7700']);

  play(line: string): string[] {
    const [at = '', verb = '', ...words] = line.split(' ');
    const options = new Map(
      words.filter((w) => w.includes('=')).map((w) => w.split('=') as [string, string]),
    );
    const input = inputOf(verb, words, options);
    const before = JSON.stringify(this.state);
    const stepped = stepStreams(this.state, input, Number(at.slice(1)), () => 0.5);
    assert.equal(JSON.stringify(this.state), before, `${line} changed its input`);
    this.state = stepped.state;
    const next = streamsDeadline(this.state);
    const wake = next === Infinity ? 'never' : `@${next}`;
    return [...stepped.effects.map(describe), `wake ${wake}`];
  }
}

function inputOf(verb: string, words: string[], options: Map<string, string>): StreamsInput {
  const stream = Number(words[0]);
  const number = (name: string): number | null => {
    const text = options.get(name);
    return text === undefined ? null : Number(text);
  };
  const revision = number('fence');
  const heard = revision === null ? null : fence(revision);
  switch (verb) {
    case 'start':
      return { kind: 'start', fence: heard };
    case 'welcome': {
      const controllers = (options.get('knows') ?? '').split(',').filter(Boolean).map(peer);
      const spreadMs = number('spread');
      const controller = words[1] ?? '';
      return { kind: 'welcomed', stream, controller, fence: heard, controllers, spreadMs };
    }
    case 'fence':
      return { kind: 'fence', stream, fence: fence(Number(words[1])) };
    case 'redirect':
      return { kind: 'redirect', stream, to: peer(words[1] ?? '') };
    case 'stay':
      return { kind: 'redirect', stream, to: null };
    case 'lost':
      return { kind: 'heartbeat', stream, spreadMs: null, lost: true };
    case 'silent':
    case 'heard':
      return { kind: 'silent', stream, silent: verb === 'silent' };
    case 'end': {
      const isRefused = words.includes('refused');
      return { kind: 'ended', stream, end: { why: '', retryAfterMs: number('after'), isRefused } };
    }
    case 'knows':
      return { kind: 'controllers', controllers: (words[1] ?? '').split(',').map(peer) };
    case 'tick':
      return { kind: 'tick' };
    default:
      throw new Error(`no such input: ${verb}`);
  }
}

function describe(effect: StreamsEffect): string {
  switch (effect.kind) {
    case 'dial':
      return `dial ${effect.address} as ${effect.stream}`;
    case 'close':
      return `close ${effect.stream}: ${effect.why}`;
    case 'moved':
      return `say on ${effect.stream} that we are at ${effect.controller}`;
    case 'fenced':
      return `say on ${effect.stream} that ${effect.fence.ownerRevision} counts`;
    case 'primary':
      return effect.stream === null ? 'no primary' : `primary ${effect.stream}`;
    case 'fence':
      return `remember ${effect.fence.ownerRevision}`;
  }
}

playTranscripts('edge/streams', () => new Story());

test('waits: within what was asked for, 50 ms to 20 s at first, and where nobody listens never above 5 s', () => {
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(fc.nat(100), fc.option(fc.nat(100_000)), random, (failures, spreadMs, r) => {
      const waitMs = (failed: number, slow: number): number =>
        retryDelayMs({ failures: failed, slowFailures: slow, spreadMs }, () => r);
      const least = Math.min(MOST_SPREAD_MS, Math.max(LEAST_SPREAD_MS, spreadMs ?? 500));
      assert.ok(waitMs(0, 0) <= least);
      assert.ok(waitMs(failures, 0) <= Math.max(least, MAX_RETRY_MS));
      assert.ok(waitMs(failures, failures) >= waitMs(failures, 0) - 1);
    }),
  );
});

/** Controllers around one edge; time passes only by what is due. */
class World {
  state: StreamsState;
  nowMs = 0;
  readonly ids = ['a', 'b', 'c', 'd'];
  readonly up = new Set(this.ids);
  /** By controller: whom it takes for the owner. */
  readonly says = new Map<string, string>();
  owner = 'a';
  revision = 1;
  dials = 0;
  private readonly streams = new Map<number, string>();

  constructor(private readonly random: () => number) {
    this.state = initialStreams(this.ids.slice(0, 2).map((id) => `${id}:7700`));
    for (const id of this.ids) this.says.set(id, 'a');
    this.put({ kind: 'start', fence: null });
  }

  get primary(): string | null {
    return this.state.primary === null ? null : (this.streams.get(this.state.primary) ?? null);
  }

  put(input: StreamsInput): void {
    const heard = this.state.fence?.ownerRevision ?? 0;
    const { state, effects } = stepStreams(this.state, input, this.nowMs, this.random);
    this.state = state;
    this.check(heard);
    for (const effect of effects) this.obey(effect);
  }

  /** Until `forMs` have passed, or nothing happens by time. */
  pass(forMs: number): void {
    const endMs = this.nowMs + forMs;
    for (let dueMs = streamsDeadline(this.state); dueMs <= endMs;) {
      this.nowMs = Math.max(this.nowMs, dueMs);
      this.put({ kind: 'tick' });
      dueMs = streamsDeadline(this.state);
    }
    this.nowMs = endMs;
  }

  kill(id: string): void {
    this.up.delete(id);
    for (const [stream, at] of [...this.streams]) if (at === id) this.end(stream, false);
  }

  /** `id` takes the shard, and everybody who lives knows. */
  own(id: string): void {
    this.owner = id;
    this.revision += 1;
    for (const each of this.ids) this.tell(each, id);
    for (const [stream, at] of [...this.streams]) {
      if (at === id) this.put({ kind: 'fence', stream, fence: fence(this.revision) });
    }
  }

  tell(id: string, says: string): void {
    this.says.set(id, says);
    for (const [stream, at] of [...this.streams]) if (at === id) this.redirect(stream, id);
  }

  private obey(effect: StreamsEffect): void {
    if (effect.kind === 'close') this.streams.delete(effect.stream);
    if (effect.kind !== 'dial') return;
    const { stream } = effect;
    const id = effect.address.split(':')[0] ?? '';
    this.dials += 1;
    if (!this.up.has(id)) return this.end(stream, true);
    this.streams.set(stream, id);
    this.put({
      kind: 'welcomed',
      stream,
      controller: id,
      fence: id === this.owner ? fence(this.revision) : null,
      controllers: [...this.up].map(peer),
      spreadMs: 50,
    });
    this.redirect(stream, id);
  }

  private redirect(stream: number, id: string): void {
    const says = this.says.get(id) ?? id;
    this.put({ kind: 'redirect', stream, to: says === id ? null : peer(says) });
  }

  private end(stream: number, isRefused: boolean): void {
    this.streams.delete(stream);
    this.put({ kind: 'ended', stream, end: { why: '', retryAfterMs: null, isRefused } });
  }

  private check(heardBefore: number): void {
    const { held, primary } = this.state;
    assert.ok((this.state.fence?.ownerRevision ?? 0) >= heardBefore, 'the fence fell');
    assert.ok(held.length <= STREAMS_MAX, `${held.length} streams`);
    assert.equal(new Set(held.map(({ address }) => address)).size, held.length, 'one twice');
    if (primary === null) return;
    assert.ok(held.find(({ stream }) => stream === primary)?.controller, 'no welcomed primary');
  }
}

const step = fc.oneof(
  fc.record({ do: fc.constant('kill' as const), id: fc.constantFrom('a', 'b', 'c', 'd') }),
  fc.record({ do: fc.constant('rise' as const), id: fc.constantFrom('a', 'b', 'c', 'd') }),
  fc.record({ do: fc.constant('own' as const), id: fc.constantFrom('a', 'b', 'c', 'd') }),
  fc.record({
    do: fc.constant('say' as const),
    id: fc.constantFrom('a', 'b', 'c', 'd'),
    says: fc.constantFrom('a', 'b', 'c', 'd'),
  }),
  fc.record({ do: fc.constant('pass' as const), ms: fc.nat(20_000) }),
);

test('whatever happened, an edge finds its owner once that one lives and the others know it', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.infiniteStream(unit()), (steps, numbers) => {
      const world = new World(() => numbers.next().value);
      for (const each of steps) {
        if (each.do === 'kill') world.kill(each.id);
        else if (each.do === 'rise') world.up.add(each.id);
        else if (each.do === 'own' && world.up.has(each.id)) world.own(each.id);
        else if (each.do === 'say') world.tell(each.id, each.says);
        else if (each.do === 'pass') world.pass(each.ms);
      }
      for (const id of world.ids) world.up.add(id);
      world.own('b');
      world.pass(60_000);
      assert.equal(world.primary, 'b');
      world.pass(10_000);
      assert.equal(world.state.held.length, 1, 'only the owner is left');
      assert.equal(streamsDeadline(world.state), Infinity, 'and nothing is due');
    }),
    { numRuns: 500 },
  );
});

test('controllers that send an edge round in a circle cost it a dial every few seconds', () => {
  fc.assert(
    fc.property(fc.infiniteStream(unit()), (numbers) => {
      const world = new World(() => numbers.next().value);
      world.owner = 'nobody';
      for (const [id, next] of [
        ['a', 'b'],
        ['b', 'c'],
        ['c', 'd'],
        ['d', 'a'],
      ] as const) {
        world.tell(id, next);
      }
      world.pass(1_000);
      const before = world.dials;
      assert.ok(before <= HOPS_AT_ONCE + 2, `${before} at once`);
      world.pass(60_000);
      const most = 60_000 / HOP_BACK_MS + 60_000 / HOP_BACK_MS;
      assert.ok(world.dials - before <= most, `${world.dials - before} in a minute`);
    }),
    { numRuns: 50 },
  );
});

const unit = () => fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
