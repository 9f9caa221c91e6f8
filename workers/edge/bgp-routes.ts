/**
 * Brings gobgpd's best paths into the kernel's main table (`installRoutes`), with our own protocol number:
 * what others put there is not touched, what others delete of ours is put back.
 */
import { codeOf } from '../../adapters/native/errors';
import type { RouteTable } from '../../adapters/native/route-table';
import type { Logger } from '../../adapters/telemetry/logger';
import { planRoutes, type RouteAction } from '../../core/bgp/routes';
import type { BgpEvent, BgpPort } from '../../core/bgp/types';
import { monotonicMs } from '../clock';

export interface BgpRoutesParts {
  port: Pick<BgpPort, 'watch'>;
  /** In the host's namespace. */
  open(onHint: () => void): Promise<RouteTable>;
  log: Logger;
  onChange(): void;
  /** Instead of STALE_MS. */
  staleMs?: number;
}

/** Many come at once. */
const SETTLE_MS = 20;
/** Requests under way; as many as the kernel's socket takes well. */
const AT_ONCE = 32;
/** Routes that a line of the log names: a router may tell a hundred thousand. */
const NAMED = 4;
const EVERY_MS = 10_000;
const RETRY_MS = 500;
/**
 * A gobgpd that was restarted knows nothing at first: what it does not tell of stays for so long, as
 * after a graceful restart. What it withdraws goes at once.
 */
const STALE_MS = 30_000;

export class BgpRoutes {
  private on = false;
  private watch: { close(): void } | null = null;
  private watchedSinceMs: number | null = null;
  private table: RouteTable | null = null;
  private readonly wanted = new Map<string, string[]>();
  private readonly withdrawn = new Set<string>();
  private timer: NodeJS.Timeout | null = null;
  private running = false;
  private again = false;
  private closed = false;
  private trouble: string | null = null;
  private shown: string | null = null;
  /** Nothing of an earlier life may be there any more. */
  private cleaned = false;

  constructor(private readonly parts: BgpRoutesParts) {}

  /** Off: ours are taken out of the table. */
  set(on: boolean): void {
    if (this.on !== on) this.cleaned = false;
    this.on = on;
    if (!on) this.unwatch();
    this.later(0);
  }

  /** Off: null once none of ours is left. */
  problem(): string | null {
    return this.trouble ?? (this.on || this.cleaned ? null : 'routes are being taken out');
  }

  /** The routes stay. */
  close(): void {
    this.closed = true;
    if (this.timer !== null) clearTimeout(this.timer);
    this.unwatch();
    this.shut();
  }

  private shut(): void {
    this.table?.close();
    this.table = null;
  }

  private later(afterMs: number): void {
    if (this.closed) return;
    if (this.running) {
      this.again = true;
      return;
    }
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.run(), afterMs);
  }

  private async run(): Promise<void> {
    this.running = true;
    this.again = false;
    let nextMs: number | null = EVERY_MS;
    try {
      this.say(await this.sync());
      // Off, and nothing left of ours: there is nothing to look at.
      if (!this.on && this.cleaned) nextMs = null;
    } catch (error) {
      this.say(`routes can't be put into the kernel: ${(error as Error).message}`);
      nextMs = RETRY_MS;
    }
    this.running = false;
    if (this.again) this.later(SETTLE_MS);
    else if (nextMs !== null) this.later(nextMs);
  }

  private say(trouble: string | null): void {
    const before = this.shown;
    this.trouble = trouble;
    this.shown = this.problem();
    if (this.shown === before) return;
    if (trouble !== null)
      this.parts.log.warn({ problem: trouble }, 'routes are not as they shall be');
    this.parts.onChange();
  }

  /** Null, or what is wrong. */
  private async sync(): Promise<string | null> {
    if (!this.on && this.cleaned) return null;
    this.table ??= await this.parts.open(() => this.later(SETTLE_MS));
    if (this.closed) {
      this.shut();
      return null;
    }
    if (this.on) this.openWatch();
    const { table } = this;
    const listed = await table.list();
    if (listed === null) return 'the routing table changes too fast to be read';
    // What follows is done for what is asked now, whatever is asked meanwhile: that is for the next look.
    const { on } = this;
    const wanted = on ? this.wanted : new Map<string, string[]>();
    const { actions, conflicts } = planRoutes(wanted, listed, (to) => this.isStale(to));
    const problems = [...conflicts];
    for (let i = 0; i < actions.length; i += AT_ONCE) {
      const some = actions.slice(i, i + AT_ONCE);
      const said = await Promise.all(some.map((action) => this.act(table, action)));
      problems.push(...said.filter((problem) => problem !== null));
    }
    if (actions.length > 0) this.parts.log.info(summary(actions), 'kernel routes changed');
    if (!on && !this.on) this.cleaned = problems.length === 0;
    if (this.cleaned) this.shut();
    const [first = null] = problems;
    return problems.length > 1 ? `${first} (and ${problems.length - 1} more)` : first;
  }

  private isStale(to: string): boolean {
    if (!this.on || this.withdrawn.has(to)) return false;
    const { staleMs = STALE_MS } = this.parts;
    return this.watchedSinceMs === null || monotonicMs() - this.watchedSinceMs < staleMs;
  }

  /** One that the kernel does not take must not keep the others out. */
  private async act(table: RouteTable, action: RouteAction): Promise<string | null> {
    const { to, hops } = action.route;
    try {
      if (action.kind === 'delete') await table.delete(action.route);
      else await table[action.kind](action.route);
      return null;
    } catch (error) {
      const code = codeOf(error);
      // It was gone already.
      if (action.kind === 'delete' && code === 'ESRCH') return null;
      if (code === '') throw error;
      return `${to} via ${hops.join(', ')}: ${(error as Error).message}`;
    }
  }

  private openWatch(): void {
    this.watch ??= this.parts.port.watch({ peers: false, best: true }, (event) => this.take(event));
  }

  private take(event: BgpEvent): void {
    if (event.kind === 'initialDone') this.watchedSinceMs = monotonicMs();
    if (event.kind === 'best') {
      const { prefix, paths } = event;
      if (paths.length === 0) {
        this.wanted.delete(prefix);
        this.withdrawn.add(prefix);
      } else {
        this.wanted.set(
          prefix,
          paths.map(({ nextHop }) => nextHop),
        );
        this.withdrawn.delete(prefix);
      }
    }
    if (event.kind === 'ended') {
      this.unwatch();
      return this.later(RETRY_MS);
    }
    this.later(SETTLE_MS);
  }

  private unwatch(): void {
    this.watch?.close();
    this.watch = null;
    this.watchedSinceMs = null;
    this.wanted.clear();
    this.withdrawn.clear();
  }
}

function summary(actions: readonly RouteAction[]): object {
  const count = (kind: RouteAction['kind']): number =>
    actions.filter((action) => action.kind === kind).length;
  return {
    add: count('add'),
    replace: count('replace'),
    delete: count('delete'),
    first: actions.slice(0, NAMED).map(({ route }) => route.to),
  };
}
