/**
 * Stances as text: each file in testdata is a story of inputs (`@<ms> <words>`), below each of them what
 * the agent makes of it. REWRITE=1 writes them anew; the change is then reviewed as a diff.
 *
 *   service NAME LAST-OCTET,… [permit] [last=withdraw] [command=STANCE] [probe]   a spec names it
 *   gone NAME                          … and no more
 *   sees clean | sees NAME WORDS       a look: what is lost of a service, or of one `.OCTET`
 *   blind                              looks fail from here on
 *   probe NAME .OCTET ok | WORDS       a probe ends (2 failures, 2 successes)
 *   hand STANCE [NAME] [ms=MS]         by hand on the edge; `announce` takes back
 *   restart [memory=lost]              of the agent, within the grace of the lease
 *   boot                               of the host, and of the agent with it
 *   attach [expired] [paths=OCTET,…]   what the bfd process goes by
 *   clock MS                           the time of day is set, so far ahead of the monotonic clock
 *   tick
 */
import assert from 'node:assert/strict';
import { STANCES, type EdgeService, type Stance } from '../model/anycast';
import type { Now } from '../model/now';
import { playTranscripts } from '../testing/transcripts';
import { attached, booted, decide, EMPTY_ROUTING_MEMORY, type RoutingMemory } from './decide';
import type { HostEvidence } from './host';
import { overridden } from './override';
import { probeAnswered, probeBegins, type ProbeState } from './probe';
import { probedAddresses, probeKey } from './proof';
import { clean, service } from './testing';

const GRACE_MS = 30_000;
const HEALTH = {
  probe: { kind: 'tcp', port: 53 },
  intervalMs: 1_000,
  timeoutMs: 500,
  failures: 2,
  successes: 2,
} as const;

const address = (octet: string): string => `203.0.113.${octet.replace('.', '')}`;
const prefix = (octet: string): string => `${address(octet)}/32`;

class Story {
  private memory: RoutingMemory = EMPTY_ROUTING_MEMORY;
  private services: EdgeService[] = [];
  private host: HostEvidence | null = null;
  private losses: [string, string][] = [];
  private isBlind = false;
  private probes = new Map<string, ProbeState>();
  private aheadMs = 0;

  play(line: string): string[] {
    const [at = '', verb = '', ...words] = line.split(' ');
    const nowMs = Number(at.slice(1));
    if (verb === 'clock') this.aheadMs = Number(words[0]);
    const now = { monotonicMs: nowMs, epochMs: nowMs + this.aheadMs };
    const options = new Map(
      words.filter((w) => w.includes('=')).map((w) => w.split('=') as [string, string]),
    );
    const plain = words.filter((word) => !word.includes('='));
    const before = JSON.stringify(this.memory);
    this.take(verb, plain, options, now);
    this.begin(nowMs);
    // In the story as on a host: who can see looks once a second, and at each event.
    if (!this.isBlind && this.host !== null) this.look(nowMs);
    const evidence = { host: this.host, probes: this.probes, filters: [] };
    const { memory, judged } = decide(this.memory, this.services, evidence, GRACE_MS, now);
    const known = new Set(this.memory.outbox.unsent.map(({ sequence }) => sequence));
    this.memory = memory;
    return [
      ...judged.map(({ service: name, stance, paths, why }) => {
        const split = paths.some((path) => path.stance !== stance);
        const each = split ? ` (${paths.map((p) => `${p.prefix} ${p.stance}`).join(', ')})` : '';
        return `${name}: ${stance}${each}${why.length > 0 ? `, ${why.join('; ')}` : ''}`;
      }),
      ...memory.outbox.unsent
        .filter(({ sequence }) => !known.has(sequence))
        .map((event) =>
          event.kind === 'stance'
            ? `event ${event.service} ${event.from} → ${event.to}`
            : `event ${event.kind}`,
        ),
      ...(JSON.stringify({ ...memory }) === before ? [] : ['write memory']),
    ];
  }

  private begin(nowMs: number): void {
    for (const each of this.services) {
      for (const of of probedAddresses(each)) {
        const key = probeKey(each.name, of);
        if (this.probes.has(key)) continue;
        this.probes.set(key, probeBegins(nowMs, HEALTH, 0, this.memory.healthy[key] ?? null));
      }
    }
  }

  private look(nowMs: number): void {
    const host = clean(this.services, nowMs);
    for (const [of, why] of this.losses) {
      if (!of.startsWith('.')) host.services[of]?.all.push(why);
      for (const { addresses } of Object.values(host.services)) addresses[address(of)]?.push(why);
    }
    this.host = host;
  }

  private take(
    verb: string,
    [name = '', ...words]: string[],
    options: Map<string, string>,
    now: Now,
  ): void {
    const { monotonicMs: nowMs, epochMs } = now;
    switch (verb) {
      case 'service':
        return this.put(name, words, options);
      case 'gone':
        this.services = this.services.filter((each) => each.name !== name);
        return;
      case 'sees':
        this.losses = name === 'clean' ? [] : [[name, words.join(' ')]];
        this.isBlind = false;
        return this.look(nowMs);
      case 'blind':
        this.isBlind = true;
        return;
      case 'probe': {
        const [of = '', ...said] = words;
        const key = probeKey(name, address(of));
        const state = this.probes.get(key);
        assert.ok(state, `nobody probes ${key}`);
        const why = said.join(' ') === 'ok' ? null : said.join(' ');
        const result = { why, tookMs: 1 };
        this.probes.set(key, probeAnswered(state, HEALTH, result, nowMs, nowMs));
        return;
      }
      case 'hand': {
        const stance = STANCES.find((known) => known === name);
        assert.ok(stance, `no stance ${name}`);
        const untilMs = options.has('ms') ? epochMs + Number(options.get('ms')) : null;
        const asked = { service: words[0] ?? null, stance, reason: 'cable work', untilMs };
        const overrides = overridden(this.memory.overrides, asked, epochMs);
        this.memory = { ...this.memory, overrides };
        return;
      }
      case 'restart':
        this.memory = options.has('memory')
          ? EMPTY_ROUTING_MEMORY
          : (JSON.parse(JSON.stringify(this.memory)) as RoutingMemory);
        this.host = null;
        this.probes = new Map();
        return;
      case 'boot':
        this.memory = booted(this.memory, `run ${nowMs}`);
        this.host = null;
        this.probes = new Map();
        return;
      case 'attach': {
        const expired = name === 'expired' ? { sinceMs: nowMs } : null;
        const paths = (options.get('paths')?.split(',') ?? []).map((octet) => ({
          prefix: prefix(octet),
          stance: 'announce' as const,
        }));
        this.memory = attached(this.memory, { expired, paths }, now);
        return;
      }
      case 'clock':
      case 'tick':
        return;
      default:
        throw new Error(`no verb ${verb}`);
    }
  }

  private put(name: string, [octets = '', ...flags]: string[], options: Map<string, string>): void {
    const stance = (options.get('command') ?? 'announce') as Stance;
    const fresh = service({
      name,
      prefixes: octets.split(',').map(prefix),
      addresses: octets.split(',').map(address),
      permit: flags.includes('permit'),
      lastAnnouncer: options.get('last') === 'withdraw' ? 'withdraw' : 'deprefer',
      commanded: { stance, why: stance === 'announce' ? '' : 'node drained by ada: new kernel' },
      health: flags.includes('probe') ? HEALTH : null,
    });
    this.services = [...this.services.filter((each) => each.name !== name), fresh];
  }
}

playTranscripts('announce', () => new Story());
