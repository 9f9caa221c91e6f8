/**
 * The rules of design §5 as properties: whatever comes in, in whatever order, the machine driven by
 * an honest shell keeps them. The shell here is as small as it can be: a host that is a set of
 * missing links, a disk that may be full, a stream that may be down.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { EdgeSpec } from '../model/edge-spec';
import type { Now } from '../model/now';
import { usage } from '../repair/budget';
import { compareFence } from './fence';
import { driven, frozenOf } from './incident';
import { deadline, initialState, step } from './machine';
import * as make from './testing';
import type { Accepted, Effect, Input, State } from './types';

type Op =
  | { op: 'break'; link: string }
  | { op: 'mend'; link: string }
  | { op: 'spec'; phase: EdgeSpec['phase']; policy: EdgeSpec['repair']['policy']; frozen: boolean }
  | { op: 'staleSpec' }
  | { op: 'stream'; up: boolean }
  | { op: 'workflow'; does: 'repair' | 'approve' | 'propose' | 'ack' | 'stale' }
  | { op: 'freeze'; forMs: number }
  | { op: 'unfreeze' }
  | { op: 'disk'; full: boolean }
  | { op: 'restart'; forgets: boolean }
  | { op: 'wait'; ms: number }
  | { op: 'clock'; aheadMs: number };

const LINKS = ['a', 'b', 'c'];
/** So that neither clock can be taken for the other. */
const EPOCH_MS = 1e12;

const opArbitrary: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ op: fc.constant('break' as const), link: fc.constantFrom(...LINKS) }),
  },
  fc.record({ op: fc.constant('mend' as const), link: fc.constantFrom(...LINKS) }),
  fc.record({
    op: fc.constant('spec' as const),
    phase: fc.constantFrom<EdgeSpec['phase'][]>('active', 'active', 'onboarding', 'quarantined'),
    policy: fc.constantFrom<EdgeSpec['repair']['policy'][]>('auto', 'auto', 'propose', 'report'),
    frozen: fc.boolean(),
  }),
  fc.constant({ op: 'staleSpec' as const }),
  fc.record({ op: fc.constant('stream' as const), up: fc.boolean() }),
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('workflow' as const),
      does: fc.constantFrom(
        'repair' as const,
        'approve' as const,
        'propose' as const,
        'ack' as const,
        'stale' as const,
      ),
    }),
  },
  fc.record({ op: fc.constant('freeze' as const), forMs: fc.integer({ min: 1, max: 5_000 }) }),
  fc.constant({ op: 'unfreeze' as const }),
  fc.record({ op: fc.constant('disk' as const), full: fc.boolean() }),
  fc.record({ op: fc.constant('restart' as const), forgets: fc.boolean() }),
  fc.record({ op: fc.constant('clock' as const), aheadMs: fc.integer({ min: -9e6, max: 9e6 }) }),
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('wait' as const),
      ms: fc.integer({ min: 1, max: 20_000 }),
    }),
  },
);

class World {
  nowMs = 1_000_000;
  /** How far the time of day is ahead of what it was set to at first. */
  aheadMs = 0;
  state: State = initialState(make.NODE, null);
  missing = new Set<string>();
  diskFull = false;
  onDisk: Accepted | null = null;
  revision = 0;
  asked = 0;
  answers = new Map<number, number>();
  /** Monotonic ms, by incident. */
  private readonly openedAtMs = new Map<string, number>();
  private todo: Input[] = [];
  private incidents = 0;

  play(op: Op): void {
    switch (op.op) {
      case 'break':
        this.missing.add(op.link);
        return this.event();
      case 'mend':
        this.missing.delete(op.link);
        return this.event();
      case 'spec': {
        const spec = make.spec(++this.revision, op.phase, op.policy);
        spec.frozen.node = op.frozen;
        return this.put({
          kind: 'specReceived',
          fence: make.fence(5),
          revision: spec.revision,
          hash: make.hash(spec),
          spec,
        });
      }
      case 'staleSpec': {
        const spec = make.spec(this.revision + 10);
        return this.put({
          kind: 'specReceived',
          fence: make.fence(4),
          revision: spec.revision,
          hash: make.hash(spec),
          spec,
        });
      }
      case 'stream':
        if (op.up !== this.state.connected)
          this.put({ kind: op.up ? 'connected' : 'disconnected' });
        return;
      case 'workflow':
        return this.workflow(op.does);
      case 'freeze':
        return this.put({
          kind: 'localFreeze',
          untilMs: this.now.epochMs + op.forMs,
          reason: 'test',
          by: 'ada',
        });
      case 'unfreeze':
        return this.put({ kind: 'localUnfreeze' });
      case 'disk':
        this.diskFull = op.full;
        return;
      case 'restart':
        this.todo = [];
        // Tickets die with the process that gave them out: Temporal asks again.
        for (let ticket = 1; ticket <= this.asked; ticket++) this.answers.set(ticket, 1);
        this.state = initialState(
          make.NODE,
          this.onDisk,
          op.forgets ? undefined : structuredClone(this.state.memory),
        );
        return this.put({ kind: 'started' });
      case 'wait':
        return this.wait(op.ms);
      case 'clock':
        this.aheadMs = op.aheadMs;
        return;
    }
  }

  get now(): Now {
    return { monotonicMs: this.nowMs, epochMs: EPOCH_MS + this.nowMs + this.aheadMs };
  }

  wait(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (let i = 0; i < 10_000; i++) {
      const at = Math.max(deadline(this.state, this.now), this.nowMs);
      if (at > untilMs) break;
      this.nowMs = at;
      this.put({ kind: 'tick' });
      assert.ok(i < 9_999, 'the machine spins: its deadline does not move');
    }
    this.nowMs = untilMs;
  }

  private event(): void {
    const event = { namespace: null, what: 'link', portId: null, summary: '' } as const;
    this.put({
      kind: 'hostEvent',
      event: { ...event, kernelAtMs: this.now.epochMs },
      suspect: null,
    });
  }

  private workflow(does: Extract<Op, { op: 'workflow' }>['does']): void {
    const incidentId = this.state.memory.incident?.id ?? 'inc-gone';
    const revision = this.state.accepted?.spec.revision ?? 0;
    if (does === 'ack') return this.put({ kind: 'driftAcked', fence: make.fence(5), incidentId });
    if (does === 'propose') {
      return this.put({
        kind: 'decisionNoted',
        incidentId,
        decision: { kind: 'propose', planHash: 'x' },
      });
    }
    const plan = does === 'approve' ? (this.state.look?.planHash ?? '') : null;
    const request = make.asked(does === 'stale' ? revision - 1 : revision, incidentId, plan);
    this.put({ kind: 'requested', job: 'reconcile', request, ticket: ++this.asked });
  }

  private put(input: Input): void {
    this.todo.push(input);
    for (let next = this.todo.shift(); next !== undefined; next = this.todo.shift()) {
      const before = this.state;
      const frozen = JSON.stringify(before);
      const sources = { newIncidentId: () => `inc-${++this.incidents}` };
      const { state, effects } = step(before, next, this.now, sources);
      assert.equal(JSON.stringify(before), frozen, 'the former state was changed');
      this.state = state;
      this.check(before, effects);
      for (const effect of effects) this.obey(effect);
    }
  }

  /** Time passes between effect and answer, so that all kinds of things come in between. */
  private obey(effect: Effect): void {
    switch (effect.kind) {
      case 'storeSpec': {
        if (!this.diskFull) this.onDisk = effect.accepted;
        const error = this.diskFull ? 'ENOSPC' : null;
        this.todo.push({ kind: 'specStored', accepted: effect.accepted, error });
        return;
      }
      case 'observe':
        this.nowMs += 2;
        this.todo.push({
          kind: 'observed',
          look: make.look(effect.hash, [...this.missing].sort()),
        });
        return;
      case 'start': {
        this.nowMs += 5;
        const found = [...this.missing].sort();
        this.missing.clear();
        const { revision } = effect.accepted.spec;
        this.todo.push({
          kind: 'jobDone',
          result: make.result(revision, found, [], this.now.epochMs),
        });
        return;
      }
      case 'answer':
        this.answers.set(effect.ticket, (this.answers.get(effect.ticket) ?? 0) + 1);
        return;
      default:
    }
  }

  private check(before: State, effects: readonly Effect[]): void {
    const { state } = this;
    const { incident } = state.memory;
    if (incident !== null && !this.openedAtMs.has(incident.id)) {
      this.openedAtMs.set(incident.id, this.nowMs);
    }
    for (const effect of effects) {
      if (effect.kind === 'start') this.checkStart(before, effect);
      if (effect.kind === 'report') {
        assert.ok(state.connected, 'reported into a dead stream');
        assert.ok(!driven(state.accepted?.spec.phase ?? 'onboarding'), 'reported while driven');
        assert.ok(effect.report.findings.length > 0, 'reported nothing');
      }
    }
    const [was, is] = [before.accepted?.spec.revision ?? 0, state.accepted?.spec.revision ?? 0];
    assert.ok(is >= was, `the accepted revision fell from ${was} to ${is}`);
    if (state.accepted !== before.accepted) {
      assert.deepEqual(state.accepted, this.onDisk, 'accepted what is not on disk');
    }
    const owner = state.storing?.fence.ownerRevision ?? state.accepted?.fence.ownerRevision ?? 5;
    assert.equal(owner, 5, 'a former owner was heard');
    const [old, held] = [before.memory.fence, state.memory.fence];
    if (old !== null && held !== null) assert.notEqual(compareFence(old, held), 'stale');
    assert.ok(state.queue.length <= 8);
  }

  private checkStart(before: State, { job, accepted }: Extract<Effect, { kind: 'start' }>): void {
    assert.equal(before.running, null, 'two plans at a time');
    assert.deepEqual(accepted, this.onDisk, 'ran towards a spec that is not on disk');
    assert.equal(job.request.fence.revision, accepted.spec.revision, 'ran against another spec');
    if (driven(accepted.spec.phase)) return assert.equal(job.by, 'workflow');
    const { local, node, global } = frozenOf(this.state, this.now.epochMs);
    assert.ok(!local && !node && !global, 'repaired while frozen');
    if (job.by !== 'agent') return;
    const incident = before.memory.incident;
    assert.ok(incident, 'repaired alone without an incident');
    const { policy, budget, autonomyAfterMs } = accepted.spec.repair;
    if (incident.cause === 'kernel') assert.equal(policy, 'auto');
    const openedAtMs = this.openedAtMs.get(incident.id) ?? Infinity;
    assert.ok(this.nowMs >= openedAtMs + autonomyAfterMs, 'did not wait for a decision');
    assert.ok(incident.decided === null || incident.decided === 'repair', 'against a decision');
    const { used } = usage(before.memory.repairs, budget.perMs, this.now.epochMs);
    if (incident.cause === 'kernel') assert.ok(used < budget.attempts, 'over budget');
  }
}

test('whatever comes in, the rules hold, every ticket is answered once, and it ends converged', () => {
  fc.assert(
    fc.property(fc.array(opArbitrary, { maxLength: 60 }), (ops) => {
      const world = new World();
      world.play({ op: 'spec', phase: 'active', policy: 'auto', frozen: false });
      for (const op of ops) world.play(op);
      for (let ticket = 1; ticket <= world.asked; ticket++) {
        assert.equal(world.answers.get(ticket), 1, `ticket ${ticket}`);
      }
      // Left alone with a healthy disk, an unfrozen `auto` and no controller, it gets there.
      for (const op of [
        { op: 'disk', full: false },
        { op: 'unfreeze' },
        { op: 'spec', phase: 'active', policy: 'auto', frozen: false },
        { op: 'stream', up: false },
        { op: 'wait', ms: 300_000 },
      ] as const) {
        world.play(op);
      }
      assert.deepEqual([...world.missing], []);
      assert.equal(world.state.memory.incident, null);
      assert.equal(world.state.memory.appliedHash, world.state.accepted?.hash);
    }),
    { numRuns: 500 },
  );
});

test('what is remembered stays bounded', () => {
  const world = new World();
  world.play({ op: 'spec', phase: 'active', policy: 'auto', frozen: false });
  for (let i = 0; i < 600; i++) {
    world.play({ op: 'break', link: 'a' });
    world.play({ op: 'workflow', does: 'approve' });
    world.play({ op: 'wait', ms: 61_000 });
  }
  const { repairs, unsent } = world.state.memory;
  assert.ok(repairs.length <= 200 && unsent.length <= 50);
  assert.ok(JSON.stringify(world.state.memory).length < 64_000);
});
