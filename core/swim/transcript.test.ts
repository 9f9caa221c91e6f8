/**
 * Behaviour as text: each file in testdata is the story of member `a` (10.0.0.1). A line (`@<ms> <words>`) first lets the
 * time pass until then, with a tick at each deadline, then plays its input; below it is what the machine wants done,
 * with the time where that was before. Chance always takes the first. REWRITE=1 writes them anew; the change is
 * then reviewed as a diff.
 *
 *   profile lan              instead of fast, as the first line
 *   answers B,C | answers    who acknowledges pings from now on, at once; such pings are not shown
 *   alive B [inc=N] [at=IP] [meta=TEXT] [vsn=MIN-MAX]
 *   suspect B from=C [inc=N] | dead B from=C [inc=N]
 *   ping SEQ [node=NAME] | indirect SEQ B [nack] | ack SEQ | nack SEQ     all of them from 10.0.0.9, who is `i`
 *   stream SEQ acked|refused|hanging
 *   merge B=STATE[:INC] …    an exchange of lists
 *   late                     the process stood still since the line before
 *   leave | wait
 */
import assert from 'node:assert/strict';
import { utf8 } from '../model/hash';
import { playTranscripts } from '../testing/transcripts';
import { utf8Text } from './fields';
import { deadline, hasLeft, initialState, step } from './machine';
import { OUR_VERSIONS } from './members';
import { PROFILES } from './profiles';
import type { Address, Effect, Input, MemberState, Message, PushPullNode, State } from './types';

const first = (): number => 0;

/** `a` is 10.0.0.1, `b` 10.0.0.2, … */
const addressOf = (name: string): Address => ({
  ip: `10.0.0.${name.charCodeAt(0) - 96}`,
  port: 7701,
});
const nameOf = ({ ip }: Address): string =>
  String.fromCharCode(96 + Number(ip.slice(ip.lastIndexOf('.') + 1)));

const begin = (profile: keyof typeof PROFILES): State =>
  initialState(
    { name: 'a', address: addressOf('a'), meta: utf8('run 2') },
    PROFILES[profile],
    0,
    first,
  );

class Story {
  private state = begin('fast');
  private answering: string[] = [];
  private shown: string[] = [];
  private nowMs = 0;

  play(line: string): string[] {
    const [at = '', verb = '', ...words] = line.split(' ');
    const nowMs = Number(at.slice(1));
    this.shown = [];
    if (verb === 'profile') this.state = begin(words[0] as 'lan');
    else if (verb === 'answers') this.pass(nowMs, () => (this.answering = names(words[0])));
    else if (verb === 'late') this.feed({ kind: 'tick' }, nowMs, '');
    else this.pass(nowMs, () => this.feed(input(verb, words), nowMs, ''));
    if (verb === 'leave') this.shown.push(hasLeft(this.state) ? 'nobody to tell' : 'still telling');
    return this.shown;
  }

  private pass(untilMs: number, then: () => void): void {
    for (;;) {
      // What is overdue is due now.
      const dueMs = Math.max(this.nowMs, deadline(this.state));
      if (dueMs > untilMs) break;
      this.feed({ kind: 'tick' }, dueMs, `@${dueMs} `);
    }
    then();
  }

  private feed(what: Input | null, nowMs: number, prefix: string): void {
    this.nowMs = nowMs;
    if (what === null) return;
    const before = JSON.stringify(plain(this.state));
    const { state, effects } = step(this.state, what, nowMs, first);
    assert.equal(JSON.stringify(plain(this.state)), before, 'the step changed its input');
    const left = hasLeft(state) && !hasLeft(this.state);
    this.state = state;
    for (const effect of effects) this.effect(effect, nowMs, prefix);
    if (left) this.shown.push(`${prefix}everybody was told that we go`);
    const { awareness } = state;
    if (effects.some(({ kind }) => kind === 'note') && awareness > 0) {
      this.shown.push(`${prefix}awareness ${awareness}`);
    }
  }

  private effect(effect: Effect, nowMs: number, prefix: string): void {
    if (effect.kind === 'send' && this.answering.includes(nameOf(effect.to))) {
      const [ping, ...more] = effect.messages;
      if (ping?.kind === 'ping') {
        const from = effect.to;
        const message: Message = { kind: 'ack', seq: ping.seq, payload: new Uint8Array(0) };
        if (more.length > 0) this.shown.push(`${prefix}${describe({ ...effect, messages: more })}`);
        return this.feed({ kind: 'received', message, from }, nowMs, prefix);
      }
    }
    this.shown.push(`${prefix}${describe(effect)}`);
  }
}

const plain = (state: State): unknown => ({
  ...state,
  members: [...state.members],
  suspicions: [...state.suspicions],
});

const names = (text: string | undefined): string[] => text?.split(',') ?? [];

function input(verb: string, words: string[]): Input | null {
  const options = new Map(
    words.filter((word) => word.includes('=')).map((word) => word.split('=') as [string, string]),
  );
  const [one = '', two = ''] = words.filter((word) => !word.includes('='));
  const incarnation = Number(options.get('inc') ?? 1);
  const sourced = { source: addressOf('i'), sourceName: 'i' };
  const hear = (message: Message): Input => ({ kind: 'received', message, from: addressOf('i') });
  switch (verb) {
    case 'alive': {
      const [min = 1, max = 5] = (options.get('vsn') ?? '1-5').split('-').map(Number);
      const [, , ...rest] = OUR_VERSIONS;
      return hear({
        kind: 'alive',
        node: one,
        incarnation,
        address: { ...addressOf(one), ip: options.get('at') ?? addressOf(one).ip },
        meta: utf8(options.get('meta') ?? ''),
        versions: [min, max, ...rest],
      });
    }
    case 'suspect':
    case 'dead':
      return hear({ kind: verb, node: one, from: options.get('from') ?? '', incarnation });
    case 'ping':
      return hear({ kind: 'ping', seq: Number(one), node: options.get('node') ?? 'a', ...sourced });
    case 'indirect': {
      const seq = Number(one);
      const nack = words.includes('nack');
      return hear({ kind: 'indirect', seq, node: two, target: addressOf(two), nack, ...sourced });
    }
    case 'ack':
      return hear({ kind: 'ack', seq: Number(one), payload: new Uint8Array(0) });
    case 'nack':
      return hear({ kind: 'nack', seq: Number(one) });
    case 'stream':
      return { kind: 'streamFound', seq: Number(one), finding: two as 'acked' };
    case 'merge':
      return { kind: 'merged', nodes: [...options].map(listed) };
    case 'leave':
      return { kind: 'leave' };
    case 'wait':
      return null;
    default:
      throw new Error(`no verb ${verb}`);
  }
}

function listed([name, text]: [string, string]): PushPullNode {
  const [state = '', incarnation = '1'] = text.split(':');
  const meta = utf8(name === 'a' ? 'run 1' : '');
  const address = addressOf(name);
  return {
    name,
    address,
    meta,
    versions: OUR_VERSIONS,
    incarnation: Number(incarnation),
    state: state as MemberState,
  };
}

function describe(effect: Effect): string {
  switch (effect.kind) {
    case 'send': {
      const messages = effect.messages.map(say).join('; ');
      return `${nameOf(effect.to)} ← ${messages}${effect.checksum ? '' : ' (no checksum)'}`;
    }
    case 'lookByStream':
      return `look at ${effect.node} over TCP: ${effect.seq}, for ${effect.withinMs} ms`;
    case 'pushPull':
      return `exchange lists with ${effect.node}`;
    case 'changed': {
      const { name, state, confirmations, meta, address } = effect.member;
      const how = confirmations === 0 ? '' : `, said by ${confirmations}`;
      const what = meta.length === 0 ? '' : `, ${utf8Text(meta)}`;
      const where = nameOf(address) === name ? '' : ` at ${address.ip}`;
      return `${name}: ${effect.from ?? 'unknown'} → ${state}${how}${what}${where}`;
    }
    case 'reaped':
      return `${effect.name} is forgotten`;
    case 'conflict':
      return `conflict: ${effect.name} is at ${effect.listed.ip}, not at ${effect.claimed.ip}`;
    case 'note':
      return `note: ${effect.note}`;
  }
}

function say(message: Message): string {
  switch (message.kind) {
    case 'ping':
      return `ping ${message.seq}`;
    case 'indirect':
      return `ping ${message.node} for me ${message.seq}${message.nack ? ', or nack' : ''}`;
    case 'ack':
    case 'nack':
      return `${message.kind} ${message.seq}`;
    case 'alive':
      return `alive ${message.node} ${message.incarnation}`;
    case 'suspect':
    case 'dead':
      return `${message.kind} ${message.node} ${message.incarnation} by ${message.from}`;
  }
}

playTranscripts('swim', () => new Story());
