/**
 * Behaviour as text: each file in testdata is a story of inputs (`@<ms> <words>`), below each of
 * them what the machine wants done and when it wants to be woken. REWRITE=1 writes them anew; the
 * change is then reviewed as a diff.
 *
 *   spec REVISION [PHASE] [POLICY] [frozen] [filter=NAME] [blocked=MS] [owner=N] [incarnation=N]
 *   unread REVISION           one comes down that is not what it says to be
 *   stored [ERROR]            the disk answers for the spec that is being written
 *   event [SUSPECT]           the kernel tells of a change
 *   sees clean | sees A,B     a look ends: what is missing
 *   blind                     a look fails
 *   connect | disconnect | ack [owner=N] | recordack | tick
 *   restart [lost]            of the agent; `lost`: its memory
 *   decision KIND             a workflow notes what it decided about the open incident
 *   reconcile REVISION [approved=PLAN]   a workflow asks for a repair
 *   done A,B [left=B]         the running job ends
 *   freeze [MS] | unfreeze
 *   clock MS                  the time of day is set, so far ahead of the monotonic clock; both begin alike
 *   block PREFIX [MS] | allow PREFIX [MS] | none PREFIX   by hand, on the edge
 *   filters held | filters REASON   what the filters came to
 */
import assert from 'node:assert/strict';
import type { Phase } from '../model/edge-spec';
import type { Decision } from '../model/messages';
import type { RepairPolicy } from '../model/node';
import { playTranscripts } from '../testing/transcripts';
import { deadline, initialState, step } from './machine';
import * as make from './testing';
import type { Effect, Input, State } from './types';

class Story {
  private state: State = initialState(make.NODE, null);
  private incidents = 0;
  private tickets = 0;
  private aheadMs = 0;

  play(line: string): string[] {
    const [at = '', verb = '', ...words] = line.split(' ');
    const monotonicMs = Number(at.slice(1));
    if (verb === 'clock') this.aheadMs = Number(words[0]);
    const now = { monotonicMs, epochMs: monotonicMs + this.aheadMs };
    const options = new Map(
      words.filter((w) => w.includes('=')).map((w) => w.split('=') as [string, string]),
    );
    const plain = words.filter((word) => !word.includes('='));
    if (verb === 'restart') this.restart(plain[0] === 'lost');
    const input = this.input(verb, plain, options, now.epochMs);
    const sources = { newIncidentId: () => `inc-${++this.incidents}` };
    const before = JSON.stringify(this.state);
    const stepped = step(this.state, input, now, sources);
    assert.equal(JSON.stringify(this.state), before, `${line} changed its input`);
    this.state = stepped.state;
    const next = deadline(this.state, now);
    const wake = next === Infinity ? 'never' : `@${next}`;
    return [...stepped.effects.map(describe), `wake ${wake}`];
  }

  /** As a process does: only what was written to disk is there afterwards. */
  private restart(isLost: boolean): void {
    const { accepted, memory } = JSON.parse(JSON.stringify(this.state)) as State;
    this.state = initialState(make.NODE, accepted, isLost ? undefined : memory);
  }

  private input(verb: string, words: string[], options: Map<string, string>, nowMs: number): Input {
    const { state } = this;
    const incidentId = state.memory.incident?.id ?? 'inc-none';
    const revision = Number(words[0]);
    const fence = make.fence(
      Number(options.get('owner') ?? 1),
      Number(options.get('incarnation') ?? 1),
    );
    const objects = words[0] === 'clean' || words[0] === undefined ? [] : words[0].split(',');
    switch (verb) {
      case 'spec': {
        const [, phase, policy, frozen] = words;
        const filter = options.get('filter');
        const spec = make.spec(
          revision,
          phase as Phase,
          policy as RepairPolicy['policy'],
          filter === undefined ? [] : [filter],
        );
        spec.frozen.node = frozen === 'frozen';
        const blockedMs = options.get('blocked');
        if (blockedMs !== undefined) {
          const untilMs = nowMs + Number(blockedMs);
          spec.blocks = [{ prefix: '192.0.2.7/32', untilMs, reason: 'by hand' }];
        }
        return { kind: 'specReceived', fence, revision, hash: make.hash(spec), spec };
      }
      case 'unread':
        return { kind: 'specUnread', fence, revision, reason: 'has another hash' };
      case 'stored': {
        assert.ok(state.storing, 'nothing is being written');
        return { kind: 'specStored', accepted: state.storing, error: words[0] ?? null };
      }
      case 'event': {
        const event = { namespace: null, what: 'link', portId: null, summary: '' } as const;
        const suspect = words.length > 0 ? words.join(' ') : null;
        return { kind: 'hostEvent', event: { ...event, kernelAtMs: nowMs }, suspect };
      }
      case 'sees':
        assert.notEqual(state.observing, 'no', `nobody is looking at ${nowMs}`);
        return { kind: 'observed', look: make.look(state.accepted?.hash ?? '', objects) };
      case 'blind':
        return { kind: 'observeFailed' };
      case 'connect':
        return { kind: 'connected' };
      case 'disconnect':
        return { kind: 'disconnected' };
      case 'ack':
        return { kind: 'driftAcked', fence, incidentId };
      case 'recordack': {
        const atMs = state.memory.unsent[0]?.atMs ?? 0;
        const id = state.memory.unsent[0]?.incidentId ?? '';
        return { kind: 'recordAcked', fence, incidentId: id, atMs };
      }
      case 'decision': {
        const decisions: Record<string, Decision> = {
          propose: { kind: 'propose', planHash: state.look?.planHash ?? '' },
          report: { kind: 'report' },
          frozen: { kind: 'frozen', scope: 'node' },
          fighting: { kind: 'fighting', finding: 'linkMissing edge0', times: 3, suspect: null },
          budgetExhausted: { kind: 'budgetExhausted', attempts: 2, nextAtMs: nowMs + 10_000 },
        };
        const decision = decisions[words[0] ?? ''];
        assert.ok(decision, `no decision ${words[0]}`);
        return { kind: 'decisionNoted', incidentId, decision };
      }
      case 'reconcile': {
        const request = make.asked(revision, incidentId, options.get('approved') ?? null);
        return { kind: 'requested', job: 'reconcile', request, ticket: ++this.tickets };
      }
      case 'done': {
        const left = options.get('left')?.split(',') ?? [];
        const of = state.accepted?.spec.revision ?? 0;
        return { kind: 'jobDone', result: make.result(of, objects, left, nowMs) };
      }
      case 'freeze': {
        const untilMs = words[0] === undefined ? null : nowMs + revision;
        return { kind: 'localFreeze', untilMs, reason: 'by hand', by: 'ada' };
      }
      case 'unfreeze':
        return { kind: 'localUnfreeze' };
      case 'block':
      case 'allow':
      case 'none': {
        const [prefix = '', forMs] = words;
        const untilMs = forMs === undefined ? null : nowMs + Number(forMs);
        return { kind: 'override', prefix, verdict: verb, reason: 'by hand', untilMs };
      }
      case 'filters': {
        const pending = words[0] === 'held' ? null : words.join(' ');
        return { kind: 'filtersTold', specHash: state.accepted?.hash ?? '', pending };
      }
      case 'restart':
        return { kind: 'started' };
      case 'clock':
      case 'tick':
        return { kind: 'tick' };
      default:
        throw new Error(`no verb ${verb}`);
    }
  }
}

function describe(effect: Effect): string {
  switch (effect.kind) {
    case 'storeSpec':
      return `write spec ${effect.accepted.spec.revision}`;
    case 'persist':
      return 'write memory';
    case 'watch':
    case 'observe':
      return `${effect.kind} ${effect.spec.revision}`;
    case 'filters': {
      const { accepted, overrides } = effect;
      const byHand = overrides.map(({ verdict, prefix }) => ` ${verdict} ${prefix}`).join();
      return `fill filters of ${accepted.spec.revision}${byHand}`;
    }
    case 'report': {
      const { incidentId, cause, planHash, kernelAtMs, suspect } = effect.report;
      const by = suspect === null ? '' : ` by ${suspect}`;
      return `up: drift ${incidentId} (${cause}) ${planHash} since @${kernelAtMs}${by}`;
    }
    case 'applied':
      return `up: applied ${effect.revision} ${effect.hash}`;
    case 'record': {
      const { incidentId, outcome, cause } = effect.record;
      return `up: repaired ${incidentId} (${cause ?? 'not known'}) ${outcome}`;
    }
    case 'refuseSpec':
      return `up: refused, ${effect.reason}`;
    case 'start': {
      const { by, request } = effect.job;
      return `run ${request.incidentId} by ${by} towards ${effect.accepted.spec.revision}`;
    }
    case 'answer':
      return `answer ${effect.ticket}: ${effect.result.outcome}${effect.result.reason === null ? '' : `, ${effect.result.reason}`}`;
    case 'note':
      return describeNote(effect.note);
  }
}

function describeNote(note: Extract<Effect, { kind: 'note' }>['note']): string {
  switch (note.what) {
    case 'specAccepted':
      return `accepted ${note.revision} ${note.phase}`;
    case 'staleFence':
      return `unheard: owner ${note.heard.ownerRevision} < ${note.held.ownerRevision}`;
    case 'incidentOpened':
      return `opened ${note.incident}`;
    case 'incidentClosed':
      return `closed ${note.incident} after ${note.openMs} ms`;
    case 'autonomy':
      return `decided alone: ${note.decision.kind}`;
    case 'refused':
      return `refused: ${note.reason}`;
    case 'repaired':
      return `repaired ${note.record.findings.join(', ') || 'nothing'} (${note.result.outcome})`;
  }
}

playTranscripts('edge', () => new Story());
