/**
 * The bfd process's part of gobgpd (docs/notes/routing.md): paths, held neighbours, resets, and what its
 * sessions do. Whatever gobgpd went through, it is found again, looked at, and made as it shall be.
 */
import type { Logger } from '../../adapters/telemetry/logger';
import { edits, orphanTargets, stanceOf, type Target } from '../../core/announce/paths';
import type { HoldInput } from '../../core/announce/hold';
import type { BfdReport } from '../../core/announce/types';
import { BgpError, type BgpEvent, type BgpPort, type PathConfig } from '../../core/bgp/types';
import { monotonicMs } from '../clock';

/** When nothing is known to have changed it is looked at anew: others have the same socket. */
const LOOK_MS = 5_000;
/** A table that takes long to list is listed the less often. */
const SWEEP_REST_FACTOR = 20;
/** After a failure, doubling; a host without gobgpd is no reason to be busy. */
const RETRY_MS = 125;
const RETRY_MAX_MS = 1_000;
/** Until the neighbours as they are have been told. */
const INITIAL_MS = 3_000;

type PeerNow = Extract<HoldInput, { kind: 'peers' }>['peers'][number];

export interface SpeakerHooks {
  hear(input: HoldInput): void;
  /** What shall be in gobgpd now; null: nobody has said. */
  targets(): Target[] | null;
  /** Nobody has said, nor will: what is there is vouched for by nobody. */
  isOrphan(): boolean;
  held(): string[];
  /** `problem` or `paths` are others than before. */
  touched(): void;
}

export class Speaker {
  /** Null: it is as it shall be. */
  problem: string | null = 'gobgpd was not asked yet';
  paths: BfdReport['paths'] = [];
  private watch: { close(): void } | null = null;
  private timer: NodeJS.Timeout | null = null;
  private working: Promise<void> | null = null;
  private again = false;
  private failures = 0;
  private closed = false;
  /** Prefixes of ours that were there when they were last looked for. */
  private readonly known = new Set<string>();
  private isSweeping = false;
  private sweepAtMs = 0;

  constructor(
    private readonly bgp: BgpPort,
    private readonly hooks: SpeakerHooks,
    private readonly log: Logger,
  ) {}

  start(): void {
    this.assert();
  }

  /** Brings gobgpd where it shall be, soon; what is asked for meanwhile is one more time. */
  assert(): void {
    this.again = true;
    this.working ??= this.work().finally(() => (this.working = null));
  }

  reset(address: string, communication: string): void {
    this.bgp.resetPeer(address, communication).then(
      (done) => {
        const outcome = done ? 'reset' : 'notEstablished';
        this.log.info({ peer: address, outcome }, 'BGP session reset');
        this.hooks.hear({ kind: 'resetDone', address, outcome });
      },
      (error: unknown) => {
        this.log.warn({ peer: address, error }, 'BGP session not reset');
        this.hooks.hear({ kind: 'resetDone', address, outcome: 'failed' });
        // Found again, it is asked once more, should the session have lived on.
        this.failed(error);
      },
    );
  }

  async close(): Promise<void> {
    this.closed = true;
    if (this.timer !== null) clearTimeout(this.timer);
    this.watch?.close();
    this.bgp.close();
    await this.working?.catch(() => undefined);
  }

  private async work(): Promise<void> {
    while (this.again && !this.closed) {
      this.again = false;
      try {
        await this.once();
        this.failures = 0;
        this.settled(null);
        // The watch may have ended meanwhile.
        this.wake(this.watch === null ? RETRY_MS : LOOK_MS);
      } catch (error) {
        this.failed(error);
      }
    }
  }

  private async once(): Promise<void> {
    if (this.watch === null) await this.connect();
    // First: what is held back must not be told by a path that comes next.
    const held = this.hooks.held();
    const policies = { exportPrefixes: null, importPrefixes: null, held };
    const refusals = [await unlessRefused(this.bgp.setPolicies(policies)), ...(await this.edit())];
    const refusal = refusals.find((each) => each !== null);
    if (refusal !== undefined) throw refusal;
  }

  /** All of them: that one is refused keeps no other one there. */
  private async edit(): Promise<(BgpError | null)[]> {
    const targets = this.hooks.targets();
    // Where nobody has said what shall be, an agent that begins goes by what is there.
    if (targets === null) await this.sweep();
    const asked = new Set([...this.known, ...(targets ?? []).map(({ prefix }) => prefix)]);
    let there = await this.bgp.paths([...asked]);
    const wanted = edits(targets ?? (await this.orphans(there)), there);
    const refusals: (BgpError | null)[] = [];
    for (const edit of wanted) {
      const done =
        edit.kind === 'add' ? this.bgp.addPath(edit.path) : this.bgp.deletePath(edit.prefix);
      const refusal = await unlessRefused(done);
      refusals.push(refusal);
      if (refusal === null) this.log.info({ edit }, 'path changed');
    }
    if (wanted.length > 0) there = await this.bgp.paths([...asked]);
    for (const prefix of asked) this.known.delete(prefix);
    for (const { prefix } of there) this.known.add(prefix);
    this.see(there);
    void this.sweep();
    return refusals;
  }

  /** Where nobody has said what shall be: as it is, and after the grace time the last choice. */
  private async orphans(there: readonly PathConfig[]): Promise<Target[]> {
    const global = this.hooks.isOrphan() ? await this.bgp.global() : null;
    if (global !== null) return orphanTargets(there, global.asn);
    return there.map((path) => ({ prefix: path.prefix, stance: stanceOf(path), path }));
  }

  /** Looks for what others put there, beside everything else: with neighbours' routes the table may be large. */
  private async sweep(): Promise<void> {
    const beganMs = monotonicMs();
    if (this.isSweeping || this.closed || beganMs < this.sweepAtMs) return;
    this.isSweeping = true;
    // Where gobgpd does not answer, the next look says so.
    const there = await this.bgp.paths().catch(() => []);
    const strays = there.filter(({ prefix }) => !this.known.has(prefix));
    for (const { prefix } of strays) this.known.add(prefix);
    const nowMs = monotonicMs();
    this.sweepAtMs = nowMs + SWEEP_REST_FACTOR * (nowMs - beganMs);
    this.isSweeping = false;
    if (strays.length > 0 && !this.closed) this.assert();
  }

  private see(there: readonly PathConfig[]): void {
    const paths = there.map((path) => ({ prefix: path.prefix, stance: stanceOf(path) }));
    if (JSON.stringify(paths) === JSON.stringify(this.paths)) return;
    this.paths = paths;
    this.hooks.touched();
  }

  /** Resolves once all neighbours as they are have been told: what comes after is news, in its order. */
  private async connect(): Promise<void> {
    // Another one's at the same socket has paths that are none of ours to take away.
    if ((await this.bgp.global()) === null || !(await this.bgp.isOurs())) {
      throw new BgpError('notStarted', 'the agent has not set it up');
    }
    await new Promise<void>((resolve, reject) => {
      const late = new BgpError('unreachable', 'WatchEvent: no answer');
      const timer = setTimeout(() => reject(late), INITIAL_MS);
      const peers: PeerNow[] = [];
      let initial = true;
      this.watch = this.bgp.watch({ peers: true, best: false }, (event) => {
        if (event.kind === 'peer' && initial) {
          peers.push(event);
        } else if (event.kind === 'initialDone') {
          initial = false;
          clearTimeout(timer);
          this.hooks.hear({ kind: 'peers', peers });
          resolve();
        } else {
          this.take(event);
          // Does nothing where it is resolved.
          if (event.kind === 'ended') reject(new BgpError('unreachable', event.failure.message));
        }
      });
    });
  }

  private take(event: BgpEvent): void {
    if (event.kind === 'peer') {
      const { address, state, adminDown, reason } = event;
      this.hooks.hear({ kind: 'bgp', address, state, adminDown, reason });
    } else if (event.kind === 'ended') {
      this.failed(event.failure);
    }
  }

  private failed(error: unknown): void {
    if (this.closed) return;
    const unreachable = !(error instanceof BgpError) || error.code !== 'refused';
    if (unreachable) {
      this.watch?.close();
      this.watch = null;
      this.hooks.hear({ kind: 'bgpAway' });
      this.see([]);
    }
    this.settled(problemOf(error));
    this.wake(Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** Math.min(this.failures++, 5)));
  }

  private settled(problem: string | null): void {
    if (problem === this.problem) return;
    if (problem === null) this.log.info({}, 'gobgpd is as it shall be');
    else this.log.warn({ problem }, 'gobgpd is not as it shall be');
    this.problem = problem;
    this.hooks.touched();
  }

  private wake(afterMs: number): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = setTimeout(() => this.assert(), afterMs);
  }
}

function problemOf(error: unknown): string {
  if (!(error instanceof BgpError)) return String(error);
  if (error.code === 'unreachable') return 'gobgpd does not answer at its socket';
  if (error.code === 'notStarted') return 'gobgpd runs, and waits for the agent to set it up';
  return error.message;
}

/** Null: done. Rejects with what is no refusal. */
const unlessRefused = (call: Promise<void>): Promise<BgpError | null> =>
  call.then(
    () => null,
    (error: unknown) => {
      if (error instanceof BgpError && error.code === 'refused') return error;
      throw error;
    },
  );
