/**
 * Any life of a host, then one plan: the host is what its spec asks for, whatever came before, and
 * what is not ours is as it was.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkNode } from '../model/checks';
import type { EdgeSpec } from '../model/edge-spec';
import type { ObservedHost, Step, StepResult } from '../model/host';
import { MARK } from '../model/ids';
import { hostPrefix } from '../model/service-ways';
import { DEEDS } from './disturb';
import { ModelHost } from './model-host';
import { EXAMPLE, Machine, specOf } from './testing';
import { anySpec, deed, event, live, NAMES, namespaceName } from './testing/lives';
import type { PlannedStep } from './types';

const RUNS = 300;

const isOurs = ({ protocol }: { protocol: number }): boolean => protocol === MARK.protocol;

/**
 * Ours on a host, without the numbers that are given anew each time. Who set an address of a service on `lo`
 * does not count where the service is; in another namespace it is a stranger's.
 */
const ours = (observed: ObservedHost, spec: EdgeSpec): unknown => {
  const servedIn = (namespace: string | null): Set<string> =>
    new Set(
      spec.services
        .filter((service) => service.namespace === namespace)
        .flatMap(({ addresses }) => addresses.map(hostPrefix)),
    );
  const links = (netns: ObservedHost['root'], namespace: string | null): unknown => {
    const served = servedIn(namespace);
    return netns.links
      .filter(({ alias, name }) => alias !== null || name === 'lo')
      .map(({ name, alias, mtu, up, addresses }) => {
        const counts = (each: (typeof addresses)[number]): boolean =>
          isOurs(each) || (name === 'lo' && served.has(each.address));
        const marked = addresses.filter(counts).map(({ address }) => address);
        // Once raised, `lo` stays up: nobody is in the way of it.
        const isUp = up || (name === 'lo' && marked.length === 0);
        return { name, alias, mtu, up: isUp, addresses: marked.sort() };
      })
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  };
  const inside = spec.namespaces.map(({ name, sysctls }) => {
    const netns = observed.namespaces[name];
    if (netns?.state !== 'mounted') return { name, state: netns?.state };
    const routes = netns.routes.filter(isOurs).map(({ to, via }) => `${to} ${via}`);
    const values = Object.keys(sysctls).map((key) => [key, netns.sysctls[key]]);
    return { name, links: links(netns, name), routes: routes.sort(), values };
  });
  const filters = observed.filters
    .filter(({ pin }) => pin !== null)
    .map(({ attached, pin, ...rest }) => ({
      name: rest.interface,
      mode: attached?.mode,
      tag: attached?.tag,
      live: pin?.ifindex === rest.ifindex,
    }));
  const routes = observed.root.routes.filter(isOurs).map(({ to, via }) => `${to} ${via}`);
  return { root: links(observed.root, null), routes: routes.sort(), inside, filters };
};

const fresh = (spec: EdgeSpec): unknown => {
  const machine = new Machine();
  machine.converge(spec);
  return ours(machine.observe(spec), spec);
};

test('the specs of these tests are valid, or they would prove nothing', () => {
  fc.assert(
    fc.property(anySpec, (spec) => {
      assert.deepEqual(checkNode({ spec }), []);
    }),
  );
});

test('path independence: after any life one plan leads to the same host, and then to nothing', () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 12 }), anySpec, (events, spec) => {
      const machine = new Machine();
      live(machine, events);
      machine.converge(spec);
      assert.deepEqual(ours(machine.observe(spec), spec), fresh(spec));
      assert.deepEqual(machine.plan(spec).findings, []);
    }),
    { numRuns: RUNS },
  );
});

test('the same events reversed lead to the same host, and so does a spec in another order', () => {
  const reversed = (spec: EdgeSpec): EdgeSpec => ({
    ...spec,
    services: [...spec.services].reverse(),
    namespaces: [...spec.namespaces].reverse().map((ns) => ({
      ...ns,
      // Of links the first is the way to services: their order says something.
      links: spec.services.length > 0 ? ns.links : [...ns.links].reverse(),
      routes: [...ns.routes].reverse(),
    })),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 8 }), anySpec, (events, spec) => {
      const one = new Machine();
      const other = new Machine();
      live(one, events);
      live(other, [...events].reverse());
      one.converge(spec);
      other.converge(reversed(spec));
      assert.deepEqual(ours(one.observe(spec), spec), ours(other.observe(spec), spec));
    }),
    { numRuns: RUNS },
  );
});

test('after any life, a spec of nothing leaves nothing of ours, and an empty ledger', () => {
  const nothing = specOf([]);
  fc.assert(
    fc.property(fc.array(event, { maxLength: 12 }), (events) => {
      const machine = new Machine();
      live(machine, events);
      machine.converge(nothing);
      assert.deepEqual(
        ours(machine.host.observed(), nothing),
        ours(new Machine().observe(nothing), nothing),
      );
      assert.deepEqual(machine.host.namespaces, new Map());
      assert.deepEqual(machine.ledger, { namespaces: {}, sysctls: {} });
    }),
    { numRuns: RUNS },
  );
});

/** Kill after each step of `waves` in turn, then start again towards `goal`. */
const killAfterEachStep = (
  begin: () => Machine,
  spec: EdgeSpec,
  check: (machine: Machine, step: number) => void,
): void => {
  const steps = begin().plan(spec).waves.flat().length;
  for (let step = 0; step <= steps; step += 1) {
    const machine = begin();
    machine.run(spec, machine.plan(spec).waves, step);
    check(machine, step);
  }
};

test('killed after any step of onboarding: the next run converges, a removal leaves nothing', () => {
  fc.assert(
    fc.property(anySpec, (spec) => {
      const expected = fresh(spec);
      killAfterEachStep(
        () => new Machine(),
        spec,
        (machine, step) => {
          machine.converge(spec);
          assert.deepEqual(ours(machine.observe(spec), spec), expected, `after step ${step}`);
        },
      );
      killAfterEachStep(
        () => new Machine(),
        spec,
        (machine, step) => {
          machine.converge(specOf([]));
          assert.deepEqual(machine.host.namespaces, new Map(), `after step ${step}`);
          assert.deepEqual(machine.host.root.links.size, 2, `after step ${step}`);
        },
      );
    }),
    { numRuns: 40 },
  );
});

test('killed after any step of a change or a deletion: the next run converges', () => {
  fc.assert(
    fc.property(anySpec, anySpec, (from, to) => {
      const begin = (): Machine => {
        const machine = new Machine();
        machine.converge(from);
        return machine;
      };
      const expected = fresh(to);
      killAfterEachStep(begin, to, (machine, step) => {
        machine.converge(to);
        assert.deepEqual(ours(machine.observe(to), to), expected, `after step ${step}`);
      });
    }),
    { numRuns: 60 },
  );
});

/** What is there and not ours: links, their addresses, routes over them, programs. */
const foreign = (observed: ObservedHost): Set<string> => {
  const places: [string, ObservedHost['root']][] = [['root', observed.root]];
  for (const [name, netns] of Object.entries(observed.namespaces)) {
    if (netns.state === 'mounted') places.push([name, netns]);
  }
  const things = places.flatMap(([where, netns]) => {
    const links = netns.links.filter(({ alias, name }) => alias === null && name !== 'lo');
    const indexes = new Set(links.map(({ ifindex }) => ifindex));
    const routes = netns.routes.filter((r) => indexes.has(r.ifindex ?? -1));
    return [...links, ...routes].map((thing) => `${where} ${JSON.stringify(thing)}`);
  });
  const programs = observed.filters
    .filter(({ attached }) => attached?.ours === false)
    .map(({ attached, ifindex }) => `program on ${ifindex}: ${JSON.stringify(attached)}`);
  return new Set([...things, ...programs]);
};

/** What strangers do in the places where our things are. */
const rude: fc.Arbitrary<string[]> = fc.oneof(
  deed,
  fc.tuple(
    fc.constant('add-link'),
    fc.constantFrom('root', ...NAMES),
    fc.constantFrom('h00', 'p0', 'theirs0'),
  ),
  fc.tuple(fc.constant('attach-foreign-xdp'), fc.constant('uplink0')),
  fc.tuple(
    fc.constant('add-route'),
    fc.constant('root'),
    fc.constantFrom('203.0.113.1/32', '203.0.113.2/32'),
    fc.constant('192.0.2.9'),
  ),
  fc.tuple(fc.constantFrom('replace-namespace', 'unmount-namespace'), namespaceName),
  fc.tuple(fc.constant('move-link'), fc.constantFrom('theirs0', 'uplink0'), namespaceName),
);

test('no step of any plan changes what is not ours, however much it is in the way', () => {
  const rudeEvent = fc.oneof(
    anySpec.map((spec) => ({ spec })),
    rude.map((words) => ({ deed: words })),
  );
  fc.assert(
    fc.property(fc.array(rudeEvent, { maxLength: 14 }), anySpec, (events, spec) => {
      const machine = new Machine();
      live(machine, events);
      machine.observe(spec);
      const before = foreign(machine.host.observed());
      machine.run(spec, machine.plan(spec).waves);
      const after = foreign(machine.host.observed());
      for (const thing of before) assert.ok(after.has(thing), `${thing} was changed`);
      const second = machine.plan(spec);
      assert.deepEqual(second.waves, [], 'a second plan has nothing to add');
      assert.ok(
        second.findings.every(({ conflict }) => conflict),
        'only strangers are left',
      );
    }),
    { numRuns: 2 * RUNS },
  );
});

test('a torn observation takes nothing away', () => {
  const taking = new Set<Step['op']>(['deleteLink', 'deleteAddress', 'deleteRoute']);
  fc.assert(
    fc.property(fc.array(event, { maxLength: 8 }), anySpec, (events, spec) => {
      const machine = new Machine();
      live(machine, events);
      machine.interrupted = true;
      for (const { step } of machine.plan(spec).waves.flat()) {
        assert.ok(!taking.has(step.op), step.op);
      }
    }),
    { numRuns: RUNS },
  );
});

/** The namespace's inode is known once it is made. */
const undoOf = ({ undo }: PlannedStep, result: StepResult): Step | null =>
  undo?.op === 'deleteNamespace' && result.ok ? { ...undo, inode: result.inode ?? null } : undo;

test('the undos of a plan that only makes, last first, leave the host as it was', () => {
  fc.assert(
    fc.property(anySpec, (spec) => {
      const machine = new Machine();
      const before = machine.observe(spec);
      const host = new ModelHost(before, machine.host.options);
      const undos: Step[] = [];
      for (const planned of machine.plan(spec).waves.flat()) {
        const undo = undoOf(planned, host.apply(planned.step));
        if (undo !== null) undos.unshift(undo);
      }
      for (const undo of undos) assert.ok(host.apply(undo).ok, JSON.stringify(undo));
      assert.deepEqual(host.observed(), before);
    }),
    { numRuns: RUNS },
  );
});

test('the hash tells plans apart, and nothing else does', () => {
  const machine = new Machine();
  const { hash } = machine.plan(EXAMPLE);
  assert.equal(machine.plan({ ...EXAMPLE, revision: 99 }).hash, hash);
  machine.converge(EXAMPLE);
  assert.equal(machine.plan(EXAMPLE).hash, '');
  DEEDS['delete-link']?.(machine, 'edge0');
  const missing = machine.plan(EXAMPLE).hash;
  assert.notEqual(missing, hash);
  DEEDS['delete-namespace']?.(machine, 'edge');
  assert.notEqual(machine.plan(EXAMPLE).hash, missing);
});
