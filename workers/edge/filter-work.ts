/** All that the agent does about what its filters hold: lists, their chunks, and who is failsafe. */
import type { Up } from '../../adapters/edge-stream/proto';
import type { BlobStore } from '../../adapters/state/blobs';
import type { Accepted } from '../../core/edge/types';
import { contains, prefixSet } from '../../core/filter/algebra';
import { unpack } from '../../core/filter/blob';
import type { Override } from '../../core/filter/contents';
import { listsOf } from '../../core/filter/lists';
import type { BlobRef } from '../../core/model/blocklist';
import type { HostPort } from '../../core/model/host';
import type { EdgeConfig } from '../config/edge';
import { Chunks } from './chunks';
import { Deltas } from './deltas';
import { Failsafe } from './failsafe';
import type { AgentFiles, FiltersNote } from './files';
import { Filters } from './filters';
import type { EdgeMetrics } from './metrics';
import type { Problems } from './problems';

export interface FilterWorkParts {
  config: Pick<EdgeConfig, 'controllers' | 'failsafe'>;
  host: HostPort;
  blobs: BlobStore;
  files: Pick<AgentFiles, 'saveFilters'>;
  problems: Problems;
  metrics: EdgeMetrics;
  send(message: Up): boolean;
  /** Whoever is connected answers a deltaRequest. */
  knowsDeltas(): boolean;
  told(specHash: string, pending: string | null): void;
}

export class FilterWork {
  readonly filters: Filters;
  readonly chunks: Chunks;
  readonly deltas: Deltas;
  private accepted: Accepted | null = null;
  private readonly failsafe: Failsafe;

  private constructor(
    private readonly parts: FilterWorkParts,
    private note: FiltersNote,
  ) {
    const { config, host, blobs, problems, metrics, send, told } = parts;
    this.failsafe = new Failsafe({
      peers: config.controllers,
      prefixes: config.failsafe,
      addresses: note.addresses,
      problems,
      changed: () => {
        void this.save({ addresses: this.failsafe.addresses });
        this.filters.refresh();
      },
    });
    this.filters = new Filters(
      {
        host,
        blobs,
        failsafe: () => this.failsafe.prefixes(),
        saveLoaded: (lists) => this.save({ lists }),
        told: (specHash, pending) => {
          told(specHash, pending);
          // A chunk may have turned out to be corrupt.
          this.chunks.pump();
        },
        problems,
        metrics,
      },
      note.lists,
    );
    const arrived = (): void => this.filters.refresh();
    this.deltas = new Deltas({
      blobs,
      former: (wanted) => this.former(wanted),
      known: parts.knowsDeltas,
      send,
      settled: () => {
        arrived();
        this.chunks.pump();
      },
    });
    const isComing = (wanted: BlobRef): boolean => this.deltas.has(wanted);
    this.chunks = new Chunks({ blobs, problems, send, isComing, arrived });
  }

  /** Reads what is on the disk; what can't be read is told, and fetched again. */
  static async open(parts: FilterWorkParts, note: FiltersNote): Promise<FilterWork> {
    await parts.blobs.load().catch((error: Error) => {
      parts.problems.set('lists', `lists on the disk can't be read: ${error.message}`);
    });
    return new FilterWork(parts, note);
  }

  /** Controllers that are alive: no filter cuts them off. */
  learnControllers(peers: readonly string[]): void {
    this.failsafe.learn(peers);
  }

  /** Once the machine may be told. */
  start(): void {
    this.failsafe.start();
  }

  /** Somebody who owns us is connected: what was asked of another one is asked anew. */
  connected(): void {
    this.deltas.connected();
    this.chunks.connected();
  }

  set(accepted: Accepted, overrides: readonly Override[]): void {
    this.accepted = accepted;
    this.filters.set(accepted, overrides);
    this.chunks.want(listsOf(accepted.spec).map(({ blob }) => blob));
  }

  /** Names of the enforced lists that cover all of a canonical prefix; reads them from the disk. */
  async listsWith(prefix: string): Promise<string[]> {
    const asked = prefixSet([prefix]);
    const names: string[] = [];
    const [first] = this.filters.contents();
    for (const { name, mode, sha256 } of first?.lists ?? []) {
      if (mode !== 'enforce') continue;
      // What can't be read is told by whoever fetches it again.
      const blob = await this.parts.blobs.read(sha256).catch(() => null);
      const read = blob === null ? null : unpack(blob);
      if (read?.ok && contains(read.set, asked)) names.push(name);
    }
    return names;
  }

  /** Resolves when no filter is being changed; they stay as they are. */
  close(): Promise<void> {
    this.failsafe.close();
    this.deltas.close();
    this.chunks.close();
    this.filters.close();
    return this.filters.settled();
  }

  /** As it is loaded now, of the list that has this version in the accepted spec. */
  private former({ sha256 }: BlobRef): BlobRef | null {
    const wanted = this.accepted?.spec.blocklists.find(({ blob }) => blob.sha256 === sha256);
    return this.note.lists.find(({ name }) => name === wanted?.name)?.blob ?? null;
  }

  private save(change: Partial<FiltersNote>): Promise<string | null> {
    this.note = { ...this.note, ...change };
    return this.parts.files.saveFilters(this.note);
  }
}
