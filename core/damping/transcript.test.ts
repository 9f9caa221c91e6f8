/**
 * Damping as text: each file in testdata is a story of events (`@<s> <words>`), below each of them what
 * the penalties are. AETHER_REWRITE=1 writes them anew; the change is then reviewed as a diff.
 *
 *   bfdDown PEER [CAUSE] | bgpDown PEER [CAUSE] | bfdUp PEER | bgpUp PEER     CAUSE: path, unless said
 *   stance SERVICE FROM TO [CAUSE] | agentCrash | drift | again               again: the last event once more
 *   look | forgive
 */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Stance } from '../model/anycast';
import type { FlapCause, RoutingEvent } from '../model/routing';
import { WHOLE_NODE } from './causes';
import * as damping from './node';
import { DAMPING } from './penalty';

const DIRECTORY = join(__dirname, '../../../core/damping/testdata');

class Story {
  private state = damping.NO_DAMPING;
  private sequence = 0;
  private last: RoutingEvent | null = null;

  play(line: string): string[] {
    const [at = '', word = '', ...args] = line.split(' ');
    const nowMs = Number(at.slice(1)) * 1_000;
    this.state = this.next(word, args, nowMs);
    return this.told(nowMs);
  }

  private next(word: string, args: string[], nowMs: number): damping.NodeDamping {
    const { state } = this;
    switch (word) {
      case 'look':
        return damping.look(state, nowMs, DAMPING);
      case 'forgive':
        return damping.forgiven(state);
      case 'drift':
        return damping.penalise(state, WHOLE_NODE, 'drift', nowMs, DAMPING);
      case 'again':
        return damping.happened(state, this.last ?? assert.fail(), nowMs, DAMPING);
      default:
        this.last = this.event(word, args, nowMs);
        return damping.happened(state, this.last, nowMs, DAMPING);
    }
  }

  private event(kind: string, args: string[], atMs: number): RoutingEvent {
    const base = { sequence: ++this.sequence, atMs };
    const [first = '', second = 'path', third = ''] = args;
    const cause = second as FlapCause;
    switch (kind) {
      case 'bfdDown':
        return { ...base, kind, peer: first, diagnostic: 'expired', cause };
      case 'bgpDown':
        return { ...base, kind, peer: first, reason: 'hold timer', cause };
      case 'bfdUp':
      case 'bgpUp':
        return { ...base, kind, peer: first };
      case 'agentCrash':
        return { ...base, kind, reason: 'killed' };
      case 'stance': {
        const why = (args[3] ?? 'path') as 'path' | 'administrative';
        const [from, to] = [second as Stance, third as Stance];
        return { ...base, kind, service: first, from, to, why, cause: why };
      }
      default:
        return assert.fail(`what is ${kind}?`);
    }
  }

  private told(nowMs: number): string[] {
    const lines = damping.views(this.state, DAMPING).map((view) => {
      const { upstream, penalty, reuseAtMs } = view;
      const until = reuseAtMs === null ? '' : ` suppressed until @${reuseAtMs / 1_000}`;
      return `  ${upstream} ${penalty}${until}`;
    });
    const wait = damping.reannounceAtMs(this.state, nowMs);
    if (wait !== null) lines.push(`  next announcement after a withdrawal: @${wait / 1_000}`);
    return lines.length > 0 ? lines : ['  nothing'];
  }
}

for (const name of readdirSync(DIRECTORY)) {
  test(`the story of ${name}`, () => {
    const path = join(DIRECTORY, name);
    const written = readFileSync(path, 'utf8');
    const story = new Story();
    const played = written
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('  '))
      .flatMap((line) => (line.startsWith('#') ? [line] : [line, ...story.play(line)]))
      .join('\n');
    if (process.env['AETHER_REWRITE'] === '1') writeFileSync(path, `${played}\n`);
    else assert.equal(`${played}\n`, written);
  });
}
