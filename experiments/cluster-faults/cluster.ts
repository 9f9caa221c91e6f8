/** The lab under fire: its parts by name, a client's wishes, and whether all is well. */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { AdminClient } from '../../adapters/admin/client';
import type { NodeResource } from '../../core/model/node';
import { ADMIN_SOCKET } from '../../lab/declare';
import { target } from '../../lab/faults';
import { isEtcdHealthy } from '../../lab/health';
import type { Lab } from '../../lab/lab';
import type { TestLab } from '../../lab/testing';
import { eventually } from '../../lab/wait';
import type { Apply, Entry, HistoryEvent } from './history';
import type { Recorder } from './recorder';
import type { Shape } from './schedule';

/** Then the next controller is asked as well. */
const ANSWER_WITHIN_MS = 1_500;
const PAUSE_MS = 100;

/** MTUs that IPv6 may have, below the usual one: each wish asks for another. */
const MARKERS = { least: 1280, count: 220 };

/**
 * Codes of gRPC that say: nothing was written, and nothing will be. INVALID_ARGUMENT, PERMISSION_DENIED,
 * FAILED_PRECONDITION, ABORTED, UNIMPLEMENTED.
 */
const REFUSED: ReadonlySet<number> = new Set([3, 7, 9, 10, 12]);

/** From the end of a fault, ms. */
export interface Recovery {
  /** All processes run, all of etcd is healthy, every controller reaches it and Temporal. */
  reachMs: number;
  /** A new spec for each edge was accepted by some controller. */
  acceptedMs: number;
  /** The kernels of all edges show it. */
  appliedMs: number;
  /** Every controller says so. */
  agreedMs: number;
}

export class Cluster {
  readonly lab: Lab;
  readonly shape: Shape;
  private readonly asked = new Set<Promise<unknown>>();
  /** Of each edge, the newest that was accepted. */
  private readonly newest = new Map<string, Apply>();
  private wishes = 0;

  constructor(
    test: TestLab,
    private readonly nodes: readonly NodeResource[],
    private readonly recorder: Recorder,
  ) {
    this.lab = test.lab;
    this.shape = {
      controllers: this.lab.hosts('controller'),
      etcds: this.lab.hosts('etcd'),
      edges: nodes.map(({ metadata }) => metadata.name),
    };
  }

  node(edge: string): NodeResource {
    const node = this.nodes.find(({ metadata }) => metadata.name === edge);
    if (node === undefined) throw new Error(`There is no edge ${edge}`);
    return node;
  }

  /** On the management network. */
  address(host: string): string {
    return this.lab.record.hosts.find(({ name }) => name === host)?.address ?? '';
  }

  /** The controller that an edge says it obeys; null where nobody knows at this moment. */
  async ownerOf(edge: string): Promise<string | null> {
    for (const name of this.shape.controllers) {
      using admin = this.admin(name);
      const described = await admin.describe(edge).catch(() => null);
      const told = described?.edge?.controller.address;
      const owner = this.shape.controllers.find((one) => told?.includes(this.address(one)));
      if (owner !== undefined) return owner;
    }
    return null;
  }

  admin(controller: string): AdminClient {
    return new AdminClient(this.lab.pathIn(controller, ADMIN_SOCKET), 'cluster-faults');
  }

  add(event: HistoryEvent): void {
    this.recorder.add(event);
  }

  missed(what: string): void {
    this.add({ kind: 'missed', what });
  }

  /** Such entries of the history, with what the logs say by now. */
  count(is: (entry: Entry) => boolean): number {
    this.recorder.readLogs();
    return this.recorder.history.filter(is).length;
  }

  /** One more wish for an edge, told to a controller; what came of it is in the history. */
  wish(edge: string, controller: string): Promise<Apply> {
    const asking = this.ask(edge, controller);
    this.asked.add(asking);
    void asking.finally(() => this.asked.delete(asking));
    return asking;
  }

  /** Until every wish has been answered, or has run out of time. */
  async answered(): Promise<void> {
    await Promise.all(this.asked);
  }

  private async ask(edge: string, controller: string): Promise<Apply> {
    const node = this.node(edge);
    const marker = MARKERS.least + (this.wishes++ % MARKERS.count);
    const changed = structuredClone(node);
    target(changed).link.mtu = marker;
    const beganMs = this.recorder.nowMs;
    const told = await this.tell(controller, changed);
    const apply: Apply = { kind: 'apply', edge, controller, marker, beganMs, ...told };
    this.recorder.add(apply);
    const newest = this.newest.get(edge);
    if (apply.outcome === 'accepted' && apply.revision > (newest?.revision ?? 0)) {
      this.newest.set(edge, apply);
    }
    return apply;
  }

  private async tell(
    controller: string,
    node: NodeResource,
  ): Promise<Pick<Apply, 'outcome' | 'revision' | 'said'>> {
    using admin = this.admin(controller);
    try {
      const [change] = await admin.apply([node], null);
      return { outcome: 'accepted', revision: change?.revision ?? 0, said: change?.action ?? '' };
    } catch (error) {
      const refused = REFUSED.has((error as { code?: number }).code ?? -1);
      const said = (error as Error).message;
      return { outcome: refused ? 'refused' : 'unknown', revision: 0, said };
    }
  }

  /** What the kernel of an edge shows of the wishes. */
  marker(edge: string): number {
    const { name } = target(this.node(edge)).link;
    return Number(readFileSync(this.lab.pathIn(edge, `/sys/class/net/${name}/mtu`), 'utf8'));
  }

  /**
   * Until everything runs and every controller reaches etcd and Temporal; beside it, until a new wish for each
   * edge was accepted by whoever answers and is what its kernel shows; and then until every controller says so.
   * `settles` comes first.
   */
  async healed(withinMs: number, settles?: () => Promise<void>): Promise<Recovery> {
    const began = performance.now();
    await settles?.();
    const sofar = (): number => Math.round(performance.now() - began);
    const left = (): number => Math.max(1, withinMs - sofar());
    const { controllers, etcds, edges } = this.shape;
    const reach = async (): Promise<number> => {
      await Promise.all([
        this.runs(left()),
        ...etcds.map((name) => this.isMember(name, left())),
        ...controllers.map((name) => this.reaches(name, left())),
      ]);
      return sofar();
    };
    const obey = async (edge: string, turn: number): Promise<number[]> => {
      await this.accepted(edge, turn, left);
      const acceptedMs = sofar();
      await this.shows(edge, left());
      return [acceptedMs, sofar()];
    };
    const [reachMs, ...obeyed] = await Promise.all([reach(), ...edges.map(obey)]);
    await Promise.all(controllers.map((name) => this.agrees(name, left())));
    const [acceptedMs = 0, appliedMs = 0] = [0, 1].map((i) =>
      Math.max(...obeyed.map((times) => times[i] ?? 0)),
    );
    return { reachMs, acceptedMs, appliedMs, agreedMs: sofar() };
  }

  /** A new wish for an edge is told to one controller after another, until one has accepted it. */
  private async accepted(edge: string, first: number, left: () => number): Promise<void> {
    const { controllers } = this.shape;
    for (let turn = first; ; turn++) {
      const controller = controllers[turn % controllers.length] ?? '';
      const asking = this.wish(edge, controller);
      const answer = await Promise.race([asking, delay(ANSWER_WITHIN_MS, null)]);
      if (answer?.outcome === 'accepted') return;
      const said = answer?.said ?? 'no answer yet';
      if (left() <= 1) throw new Error(`${controller} takes no spec for ${edge}: ${said}`);
      await delay(PAUSE_MS);
    }
  }

  private async runs(withinMs: number): Promise<void> {
    const names = this.lab.record.processes.map(({ name }) => name);
    const run = (): boolean => {
      const missing = names.filter((name) => this.lab.process(name) === null);
      if (missing.length === 0) return true;
      throw new Error(`${missing.join(', ')} missing`);
    };
    await eventually('all processes run', run, { within: withinMs });
  }

  private async isMember(etcd: string, withinMs: number): Promise<void> {
    const healthy = (): Promise<boolean> => isEtcdHealthy(this.lab.stateDir, etcd);
    await eventually(`${etcd} is healthy`, healthy, { within: withinMs });
  }

  private async reaches(controller: string, withinMs: number): Promise<void> {
    const reaches = async (): Promise<boolean> => {
      using admin = this.admin(controller);
      const { etcd, temporal } = await admin.status();
      if (etcd.ok && temporal.ok) return true;
      throw new Error(JSON.stringify({ etcd, temporal }));
    };
    await eventually(`${controller} reaches etcd and Temporal`, reaches, { within: withinMs });
  }

  /** The newest of what was accepted: a wish that was answered late may have come after the last one. */
  async shows(edge: string, withinMs: number): Promise<void> {
    const shows = (): boolean => {
      const wanted = this.newest.get(edge)?.marker;
      const found = this.marker(edge);
      if (found === wanted) return true;
      throw new Error(`it shows ${found}, not ${wanted ?? 'anything'}`);
    };
    await eventually(`the kernel of ${edge} shows its wish`, shows, {
      within: withinMs,
      every: 50,
    });
  }

  private async agrees(controller: string, withinMs: number): Promise<void> {
    const { edges } = this.shape;
    const agrees = async (): Promise<boolean> => {
      using admin = this.admin(controller);
      const views = await admin.get();
      const sound = views.filter(
        (view) => view.connected && view.converged && view.phase === 'active',
      );
      if (edges.every((edge) => sound.some(({ name }) => name === edge))) return true;
      const bad = views.filter((view) => !sound.includes(view));
      throw new Error(
        bad
          .map(({ name, note, connected }) => `${name}: ${note ?? ''} ${connected ? '' : '(away)'}`)
          .join('; '),
      );
    };
    await eventually(`${controller} knows that all edges are as wished`, agrees, {
      within: withinMs,
    });
  }
}
