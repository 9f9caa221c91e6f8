/** What a failover is told while it runs: kept until its loop looks. */
import { condition, patched } from '@temporalio/workflow';
import { isOlder, isSame } from '../core/failover/order';
import type { ByHand, FailoverEvidence, FailoverInput } from '../core/model/routing-messages';
import { badEvidence } from './input-routing';

export class FailoverNews {
  /** The last of each region, and when we heard it. */
  private readonly regions = new Map<string, { told: FailoverEvidence; heardMs: number }>();
  private hand: ByHand | null = null;
  private version = 0;
  /** A person wants it away: that this region is well is no news. */
  private readonly planned: string | null;

  constructor({ evidence, carried, planned = false }: FailoverInput) {
    this.planned = planned ? evidence.region : null;
    this.hand = carried?.hand ?? null;
    for (const each of carried?.told ?? [evidence]) {
      this.set(each, carried?.heardMs?.[each.region]);
    }
  }

  /** A signal sent by hand may hold anything; the same evidence may be told twice. */
  told(evidence: FailoverEvidence): void {
    if (badEvidence(evidence)) return;
    const last = this.regions.get(evidence.region);
    // Former runs went by the clocks of controllers, which may step.
    const byOrder = patched('evidence by order');
    if (last !== undefined) {
      const { told } = last;
      if (byOrder ? isOlder(evidence, told) : told.atMs > evidence.atMs) return;
      if (told.state === evidence.state) {
        // No news, but its owner has the last word from now on.
        const order = evidence.order ?? told.order;
        if (byOrder && order !== undefined) last.told = { ...told, order };
        return;
      }
    }
    // What was found otherwise since, or a person said, stands.
    const again = last !== undefined && isSame(evidence, last.told);
    if (byOrder && again && patched('evidence said again')) return;
    this.set(evidence);
    this.version += 1;
  }

  /** As above: without a name it is a person's word as well. */
  wanted(hand: ByHand): void {
    this.hand = { by: `${hand?.by ?? 'somebody'}`, reason: `${hand?.reason ?? 'by hand'}` };
    this.version += 1;
  }

  /** Asked for once. */
  takeHand(): ByHand | null {
    const { hand } = this;
    this.hand = null;
    return hand;
  }

  /** By our own look, or because a person says so: that bears no order, and what a former owner has said stays older. */
  set(evidence: FailoverEvidence, heardMs = Date.now()): void {
    const order = evidence.order ?? this.regions.get(evidence.region)?.told.order;
    const told = order === undefined ? evidence : { ...evidence, order };
    this.regions.set(evidence.region, { told, heardMs });
  }

  /** By region: a hold-down goes on where a run begins anew. */
  get heardMs(): Record<string, number> {
    return Object.fromEntries([...this.regions].map(([region, { heardMs }]) => [region, heardMs]));
  }

  get all(): FailoverEvidence[] {
    return [...this.regions.values()].map(({ told }) => told);
  }

  get down(): FailoverEvidence[] {
    return this.all.filter(({ state }) => state === 'down');
  }

  isDown(region: string): boolean {
    return this.regions.get(region)?.told.state === 'down';
  }

  whatOf(region: string): string {
    return this.regions.get(region)?.told.what ?? '';
  }

  /** A person moved it, who moves it back. */
  isPlanned(region: string): boolean {
    return this.planned === region;
  }

  /** Since when it is known to be well; null = it is not, or a person decides. */
  upSince(region: string): number | null {
    const last = this.regions.get(region);
    return last?.told.state === 'up' && !this.isPlanned(region) ? last.heardMs : null;
  }

  /** True: something was told; false: the time is up. Null: as long as it takes. */
  async changed(limitMs: number | null): Promise<boolean> {
    const seen = this.version;
    const told = (): boolean => this.version !== seen;
    if (limitMs !== null) return condition(told, Math.max(1, limitMs));
    await condition(told);
    return true;
  }

  /** True as soon as the region is told to be down; false when it was well for so long. */
  falls(region: string, limitMs: number): Promise<boolean> {
    return condition(() => this.isDown(region), Math.max(1, limitMs));
  }
}
