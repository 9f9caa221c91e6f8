/**
 * Sessions as text: each file in testdata is a story of inputs (`@<ms> <words>`), below each of them what
 * the machine wants done. REWRITE=1 writes them anew; the change is then reviewed as a diff.
 *
 *   peer STATE [P] [F] [D] [my=N] [your=0] [mult=N] [tx=MS] [rx=MS] [diag=N]   a packet of the peer
 *   raw HEX                                  bytes from the peer's address
 *   expired                                  the detection time passed in silence
 *   configure [tx=MS] [rx=MS] [mult=N]       the spec asks for other timers
 *   admin down | admin up | tick | restart
 *   seamless                                 from here on an initiator of Seamless BFD, begun anew
 */
import assert from 'node:assert/strict';
import type { BfdState } from '../model/routing';
import { playTranscripts } from '../testing/transcripts';
import { deadline, step } from './machine';
import { initialSession } from './session';
import { decode, diagnosticName, encode } from './packet';
import { CONFIG, packet, REFLECTOR } from './testing';
import type { Effect, Input, Pace, Session } from './types';

class Story {
  private session: Session = initialSession(CONFIG);

  play(line: string): string[] {
    const [at = '', verb = '', ...words] = line.split(' ');
    const nowMs = Number(at.slice(1));
    const input = this.input(verb, words);
    const before = JSON.stringify(this.session);
    const stepped = step(this.session, input, nowMs);
    assert.equal(JSON.stringify(this.session), before, `${line} changed its input`);
    this.session = stepped.session;
    const next = deadline(this.session);
    const { refused } = this.session;
    return [
      ...stepped.effects.map(describe),
      ...(refused === null ? [] : [`refused: ${refused.why}`]),
      ...(next === Infinity ? [] : [`wake @${next}`]),
    ];
  }

  private input(verb: string, words: string[]): Input {
    const options = new Map(words.map((word) => word.split('=') as [string, string | undefined]));
    const us = (name: string, otherwise: number): number =>
      options.has(name) ? Number(options.get(name)) * 1000 : otherwise;
    const count = (name: string, otherwise: number): number =>
      Number(options.get(name) ?? otherwise);
    const { config } = this.session;
    switch (verb) {
      case 'peer': {
        const fields = {
          state: words[0] as BfdState,
          poll: options.has('P'),
          final: options.has('F'),
          demand: options.has('D'),
          myDiscriminator: count('my', REFLECTOR),
          yourDiscriminator: count('your', CONFIG.discriminator),
          multiplier: count('mult', 3),
          diagnostic: count('diag', 0),
          desiredMinTxUs: us('tx', 300_000),
          requiredMinRxUs: us('rx', 300_000),
        };
        return { kind: 'received', bytes: encode(packet(fields)) };
      }
      case 'raw':
        return { kind: 'received', bytes: Buffer.from(words[0] ?? '', 'hex') };
      case 'configure': {
        const desiredMinTxUs = us('tx', config.desiredMinTxUs);
        const requiredMinRxUs = us('rx', config.requiredMinRxUs);
        const multiplier = count('mult', config.multiplier);
        return { kind: 'configured', config: { desiredMinTxUs, requiredMinRxUs, multiplier } };
      }
      case 'admin':
        return { kind: 'administered', down: words[0] === 'down' };
      case 'seamless':
        this.session = initialSession({ ...CONFIG, reflector: REFLECTOR });
        return { kind: 'started' };
      case 'restart':
        this.session = JSON.parse(JSON.stringify(this.session)) as Session;
        return { kind: 'started' };
      case 'expired':
      case 'tick':
        return { kind: verb };
      default:
        throw new Error(`no verb ${verb}`);
    }
  }
}

function describe(effect: Effect): string {
  switch (effect.kind) {
    case 'changed':
      return `${effect.from} → ${effect.to}: ${diagnosticName(effect.diagnostic)} (${effect.cause})`;
    case 'send':
      return `send ${say(effect.packet)}`;
    case 'pace':
      return describePace(effect.pace);
    case 'dropped':
      return `dropped: ${effect.why}`;
  }
}

function describePace({ packet: bytes, pauseMinUs, pauseMaxUs, detectUs, expect }: Pace): string {
  const pauses = `each ${pauseMinUs / 1000} … ${pauseMaxUs / 1000} ms`;
  const sends = bytes === null ? 'send nothing' : `${pauses} ${say(bytes)}`;
  const detect = detectUs === 0 ? 'listen for nobody' : `expire after ${detectUs / 1000} ms`;
  return `${sends}; ${detect}${expect === null ? ', tell of each packet' : ''}`;
}

function say(bytes: Uint8Array): string {
  const decoded = decode(bytes);
  assert.ok(decoded.ok, 'we sent what nobody takes');
  const { state, poll, final, demand, desiredMinTxUs, requiredMinRxUs, multiplier } =
    decoded.packet;
  const { yourDiscriminator, diagnostic } = decoded.packet;
  return [
    state,
    ...(poll ? ['P'] : []),
    ...(final ? ['F'] : []),
    ...(demand ? ['D'] : []),
    ...(yourDiscriminator === 0 ? ['your=0'] : []),
    ...(diagnostic === 0 ? [] : [`diag=${diagnostic}`]),
    `tx=${desiredMinTxUs / 1000} rx=${requiredMinRxUs / 1000} mult=${multiplier}`,
  ].join(' ');
}

playTranscripts('bfd', () => new Story());
