/** A host that forwards between two namespaces, its tracker, and what the senders know to be true. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { LatencyWish } from '../../core/latency/choice';
import { countOf, quantile } from '../../core/latency/histogram';
import { FilterEngine } from './filter/engine';
import { LatencyTracker } from './latency';
import { native } from './native';
import { NetNs } from './netns';
import { uniqueName, waitFor } from './test-support';
import { Forwarding } from './testing/forwarding';

const ELF = join(__dirname, '../../../bpf/build/latency.bpf.o');
const PINS = '/sys/fs/bpf/aether-latency';

let filters: FilterEngine;
before(async () => {
  filters = await FilterEngine.open();
});
after(() => filters.close());

class Bench {
  private constructor(
    readonly net: Forwarding,
    public tracker: LatencyTracker,
    readonly wish: LatencyWish,
  ) {}

  static async up(t: TestContext, oneFlowIn = 1): Promise<Bench> {
    const net = await Forwarding.up(filters, uniqueName('l'));
    const on = new Bench(net, new LatencyTracker(), net.wish(oneFlowIn));
    t.after(async () => {
      await on.tracker.remove();
      await net.down();
    });
    await net.track(oneFlowIn);
    return on;
  }

  /** How many packets have been timed from filter to exit. */
  forwarded(): number {
    const histogram = this.tracker.forward().get(this.net.near);
    assert.ok(histogram);
    return countOf(histogram);
  }
}

/** Ids of our pinned links, by pin. */
function linkIds(): Record<string, number> {
  const pins = readdirSync(PINS).filter((pin) => !pin.startsWith('latency_'));
  return Object.fromEntries(
    pins.map((pin) => {
      const link = native.BpfLink.open(join(PINS, pin));
      const { id } = link.info;
      link.close();
      return [pin, id];
    }),
  );
}

describe('forwarded packets', () => {
  test('are counted, each, from the filter to where they leave', async (t) => {
    const on = await Bench.up(t);
    assert.deepEqual(await on.tracker.ensure(on.wish), {
      forward: { state: 'on' },
      tcp: { state: 'on' },
    });
    const [flows, packets] = [64, 10];
    await on.net.sendUdp(flows, packets);
    await waitFor('all packets', () => on.forwarded() === flows * packets);
    const [forward, run] = [on.tracker.forward(), on.tracker.run()];
    const name = on.net.near;
    const [p50, filter] = [quantile(forward.get(name)!, 0.5)!, quantile(run.get(name)!, 0.5)!];
    // Less than what the filter takes it cannot be, and a second is no latency of a resting host.
    assert.ok(
      p50.ns > filter.ns && p50.ns < 1e9,
      `forwarded in ${p50.ns}, filtered in ${filter.ns} ns`,
    );
    // The filter is timed for some of the flows.
    const timed = countOf(run.get(name)!);
    assert.ok(timed > 0 && timed < flows * packets && timed % packets === 0, `${timed} timed`);
    assert.equal(forward.get(name)!.refused, 0);
  });

  test('are chosen by whole flows', async (t) => {
    const [flows, packets] = [64, 5];
    const on = await Bench.up(t, 4);
    await on.tracker.ensure(on.wish);
    const before = on.net.arrived();
    await on.net.sendUdp(flows, packets);
    await waitFor('all packets', () => on.net.arrived() - before >= flows * packets);
    const chosen = on.forwarded();
    assert.equal(chosen % packets, 0, `${chosen} packets are no whole flows of ${packets}`);
    assert.ok(chosen > 0 && chosen < flows * packets, `${chosen} of ${flows * packets}`);
  });

  test('of TCP are only those that open a connection: GRO merges the others', async (t) => {
    const on = await Bench.up(t);
    await on.tracker.ensure(on.wish);
    await on.net.converse(3, 20, 0);
    assert.equal(on.forwarded(), 3);
  });
});

describe('TCP readers', () => {
  test('are timed as they see it themselves: P99 within 5 %', { timeout: 60_000 }, async (t) => {
    const on = await Bench.up(t);
    await on.tracker.ensure(on.wish);
    const seen = await on.net.converse(8, 150, 60_000);
    const tcp = on.tracker.tcp();
    assert.equal(countOf(tcp), seen.length);
    assert.equal(tcp.refused, 0);
    const truth = seen.sort((a, b) => a - b)[Math.ceil(0.99 * seen.length) - 1] ?? NaN;
    const told = quantile(tcp, 0.99)!.ns;
    t.diagnostic(`P99: kernel ${told / 1e6} ms, user space ${truth / 1e6} ms`);
    assert.ok(Math.abs(told - truth) <= 0.05 * truth, `${told} ns, the readers saw ${truth} ns`);
  });

  test('of other namespaces, and of other flows, are not', async (t) => {
    const on = await Bench.up(t);
    await on.tracker.ensure({ ...on.wish, namespaces: [] });
    await on.net.converse(2, 10, 0);
    assert.equal(countOf(on.tracker.tcp()), 0);
    await on.tracker.ensure({ ...on.wish, oneFlowIn: 2 ** 32 });
    await on.net.converse(2, 10, 0);
    assert.equal(countOf(on.tracker.tcp()), 0);
  });
});

describe('the tracker', () => {
  test('is found again by the next agent, with what it has counted', async (t) => {
    const on = await Bench.up(t);
    await on.tracker.ensure(on.wish);
    await on.net.sendUdp(1, 10);
    await waitFor('the packets', () => on.forwarded() === 10);
    const before = linkIds();
    on.tracker.close();
    await on.net.sendUdp(1, 10);
    on.tracker = new LatencyTracker();
    await on.tracker.ensure(on.wish);
    t.after(() => on.tracker.remove());
    assert.deepEqual(linkIds(), before);
    assert.equal(on.forwarded(), 20);
  });

  test('mends what others do to it, at the next look', async (t) => {
    const on = await Bench.up(t);
    await on.tracker.ensure(on.wish);
    const { far } = on.net;
    const pin = join(PINS, `egress-${far}`);
    const foreign = native.BpfLink.open(pin);
    await foreign.detach();
    foreign.close();
    for (const name of readdirSync(PINS))
      if (name !== `egress-${far}`) unlinkSync(join(PINS, name));
    await on.net.sendUdp(1, 5);
    assert.equal(on.forwarded(), 0);
    await on.tracker.ensure(on.wish);
    assert.equal(readdirSync(PINS).length, 6);
    await on.net.sendUdp(1, 5);
    await waitFor('the packets', () => on.forwarded() === 5);
  });

  test('follows the spec, and leaves nothing when nobody wishes for it', async (t) => {
    const on = await Bench.up(t);
    const { near } = on.net;
    await on.tracker.ensure(on.wish);
    await on.tracker.ensure({ ...on.wish, egress: [near] });
    assert.deepEqual(
      readdirSync(PINS).filter((pin) => pin.startsWith('egress-')),
      [`egress-${near}`],
    );
    await on.tracker.remove();
    assert.ok(!existsSync(PINS));
    await on.tracker.remove();
    assert.ok(!on.tracker.isOn);
    await on.tracker.ensure(on.wish);
    assert.ok(on.tracker.isOn && on.forwarded() === 0);
  });

  test('says which interfaces have no histogram, since there are too many', async (t) => {
    const on = await Bench.up(t);
    const ingress = [...Array.from({ length: 8 }, (_, i) => `gone${i}`), on.net.near];
    const { forward, tcp } = await on.tracker.ensure({ ...on.wish, ingress });
    assert.ok(forward.state === 'failed' && forward.reason.includes(on.net.near));
    assert.equal(tcp.state, 'on');
    assert.deepEqual(on.tracker.run(), new Map());
  });

  test('leaves programs of others where they are', async (t) => {
    const on = await Bench.up(t);
    const { far } = on.net;
    const object = await native.BpfObject.load(readFileSync(ELF), null, null);
    const program = object.program('latency_egress');
    const { index } = (await (await NetNs.host().rtnl()).links.get({ name: far }))!;
    const foreign = await native.BpfLink.attachTcx(program, index, null, 'egress');
    await on.tracker.ensure(on.wish);
    await on.tracker.remove();
    assert.equal(foreign.info.ifindex, index);
    for (const handle of [foreign, program, object]) handle.close();
  });
});
