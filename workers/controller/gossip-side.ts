/**
 * This controller in the gossip: joins whoever is registered, and says what SWIM thinks of them. Its thread is begun anew
 * should it end: without it the others find this controller dead, and have its lease alone to say that it is not.
 */
import type { Logger } from 'pino';
import { COUNTERS } from '../../adapters/swim/counters';
import { SwimError } from '../../adapters/swim/errors';
import type { Membership, MemberView } from '../../adapters/swim/membership';
import type { Notice } from '../../adapters/swim/protocol';
import { startMembership } from '../../adapters/swim/start';
import type { DeadController } from '../../core/model/views';
import type { ControllerId, Hint, Registration } from '../../core/ring/types';
import { MEMBER_STATES } from '../../core/swim/types';
import type { GossipConfig } from '../config/controller';
import { ConfigError } from '../config/env';
import type { ControllerMetrics } from './metrics';

export interface GossipSideDependencies {
  /** Null: this controller takes no part. */
  config: GossipConfig | null;
  id: ControllerId;
  boot: string;
  registrations: () => readonly Registration[];
  onChange: () => void;
  metrics: ControllerMetrics;
  log: Logger;
}

const LEAVE_MS = 1_000;
/** SWIM forgets the dead within a minute; people look later. */
const DEAD_KEPT_MS = 86_400_000;

export class GossipSide {
  readonly #deps: GossipSideDependencies;
  /** Null before the start, and while its thread is gone. */
  #membership: Membership | null = null;
  /** It has ended by itself, and is not being begun anew. */
  #failed = false;
  #closed = false;
  #joining = false;
  #counted: ReturnType<Membership['counters']> | null = null;
  /** Seen to die, and since when. */
  readonly #dead = new Map<ControllerId, number>();

  constructor(dependencies: GossipSideDependencies) {
    this.#deps = dependencies;
  }

  /** @throws {ConfigError} it can't listen, or the keys can't be read */
  async start(): Promise<void> {
    const { config } = this.#deps;
    if (config === null) return;
    try {
      await this.#begin(config);
    } catch (error) {
      if (error instanceof SwimError) throw new ConfigError(error.message);
      throw error;
    }
  }

  /** As far as it has heard; empty without gossip. */
  members(): readonly MemberView[] {
    return this.#membership?.members() ?? [];
  }

  /** By id. What is said of another run than the registered one is said of nobody. */
  hints(): ReadonlyMap<ControllerId, Hint> {
    const boots = new Map(this.#deps.registrations().map(({ id, boot }) => [id, boot]));
    const ours = this.members().filter(({ name, boot }) => boots.get(name) === boot);
    return new Map(ours.map(({ name, state, confirmations }) => [name, { state, confirmations }]));
  }

  /** Who was seen to die within the last day, and has no lease. By id, in order. */
  dead(): DeadController[] {
    return [...this.#dead]
      .map(([id, sinceMs]) => ({ id, sinceMs }))
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Called about once a second: whoever is registered and not heard is asked to let us in. */
  look(): void {
    const { id, registrations } = this.#deps;
    const membership = this.#membership;
    if (membership === null) return void this.#beginAnew();
    this.#remember(Date.now());
    const heard = new Set(
      this.members()
        .filter(({ state }) => state === 'alive' || state === 'suspect')
        .map(({ name, boot }) => `${name}/${boot}`),
    );
    const missing = registrations()
      .filter((each) => each.id !== id && !heard.has(`${each.id}/${each.boot}`))
      .flatMap(({ gossipAddress }) => (gossipAddress === null ? [] : [gossipAddress]));
    this.#gauge(membership);
    if (missing.length === 0 || this.#joining) return;
    this.#joining = true;
    void membership.join(missing).finally(() => (this.#joining = false));
  }

  /** Tells the others that we go, so that nobody has to find out. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#membership?.leave(LEAVE_MS);
  }

  async #begin(config: GossipConfig): Promise<void> {
    const { id: name, boot, onChange } = this.#deps;
    const onNotice = (notice: Notice): void => this.#noticed(notice);
    const membership = await startMembership({ ...config, name, boot, onNotice });
    if (this.#closed) return membership.close();
    membership.onChange(onChange);
    this.#counted = null;
    this.#membership = membership;
  }

  async #beginAnew(): Promise<void> {
    const { config, log } = this.#deps;
    if (config === null || this.#closed || !this.#failed) return;
    this.#failed = false;
    try {
      await this.#begin(config);
      log.info('gossip goes on');
    } catch (error) {
      this.#failed = true;
      log.warn({ err: error }, 'gossip does not begin anew yet; trying again');
    }
  }

  #remember(nowMs: number): void {
    for (const { name, state, sinceMs } of this.members()) {
      if (state === 'dead') this.#dead.set(name, sinceMs);
      else this.#dead.delete(name);
    }
    for (const { id } of this.#deps.registrations()) this.#dead.delete(id);
    for (const [id, sinceMs] of this.#dead) {
      if (nowMs - sinceMs > DEAD_KEPT_MS) this.#dead.delete(id);
    }
  }

  #gauge(membership: Membership): void {
    const { metrics } = this.#deps;
    for (const state of MEMBER_STATES) {
      const count = this.members().filter((each) => each.state === state).length;
      metrics.gossipMembers.set({ state }, count);
    }
    metrics.gossipAwareness.set(membership.awareness());
    const counted = membership.counters();
    for (const what of COUNTERS) {
      metrics.gossipEvents.inc({ what }, counted[what] - (this.#counted?.[what] ?? 0));
    }
    this.#counted = counted;
  }

  #noticed(notice: Notice): void {
    const { log, metrics } = this.#deps;
    switch (notice.kind) {
      case 'conflict':
        return log.error(
          notice,
          'two controllers gossip under one name; give each its own AETHER_CONTROLLER_ID',
        );
      case 'keys':
        return log.info(notice, 'the keys of the gossip were read again');
      case 'keysRefused':
        return log.error(notice, 'the keys of the gossip stay as they were: mend the file');
      case 'failed':
        this.#membership = null;
        this.#failed = true;
        metrics.gossipMembers.reset();
        return log.error(
          notice,
          'gossip has ended and begins anew: meanwhile the others take us for dead, and our lease alone says that we are not',
        );
    }
  }
}
