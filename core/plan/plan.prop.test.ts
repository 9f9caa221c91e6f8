/**
 * Any life of a host, then one plan: the host is what its spec asks for, whatever came before, and
 * what is not ours is as it was.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkNode } from '../model/checks';
import type { EdgeService } from '../model/anycast';
import type { EdgeSpec } from '../model/edge-spec';
import type { ObservedHost, Step, StepResult } from '../model/host';
import { MARK } from '../model/ids';
import { plainFilter, type FilterSpec, type LinkSpec, type NamespaceSpec } from '../model/node';
import { wayTo } from '../model/service-ways';
import { exampleEdgeService } from '../model/testing';
import { DEEDS } from './disturb';
import { ModelHost } from './model-host';
import { interfaceOf } from './sysctls';
import { EXAMPLE, Machine, specOf } from './testing';
import type { PlannedStep } from './types';

const NAMES = ['alpha', 'beta'];
const RUNS = 300;

const linkSpec = (n: number, l: number): fc.Arbitrary<LinkSpec> =>
  fc.record({
    name: fc.constant(`h${n}${l}`),
    peer: fc.constant(`p${l}`),
    mtu: fc.constantFrom(1400, 1500),
    hostAddresses: fc.subarray([`10.${n}.${l}.1/30`, `fd00:${n}:${l}::1/64`]),
    addresses: fc.subarray([`10.${n}.${l}.2/30`, `10.${n}.${l}.9/29`, `fd00:${n}:${l}::2/64`]),
  });

/** Routes only through links that the namespace has. */
const routesOver = (n: number, links: LinkSpec[]): fc.Arbitrary<NamespaceSpec['routes']> => {
  const routes = links.flatMap(({ addresses, name }) => {
    const l = Number(name.slice(-1));
    const v4 = addresses.includes(`10.${n}.${l}.2/30`);
    const v6 = addresses.includes(`fd00:${n}:${l}::2/64`);
    return [
      ...(v4 ? [{ to: `192.168.${l}.0/24`, via: `10.${n}.${l}.1` }] : []),
      ...(v6 ? [{ to: `fd77:${l}::/48`, via: `fd00:${n}:${l}::1` }] : []),
    ];
  });
  return fc.subarray(routes);
};

const SYSCTLS = [
  'net.ipv4.ip_forward',
  'net.ipv4.conf.all.rp_filter',
  'net.ipv4.conf.p0.rp_filter',
];

/** Sysctls of interfaces only where the namespace has them: no kernel has the others. */
const sysctlsFor = (links: LinkSpec[]): fc.Arbitrary<NamespaceSpec['sysctls']> => {
  const has = (owner: string | null): boolean =>
    owner === null || links.some(({ peer }) => peer === owner);
  return fc
    .subarray(SYSCTLS.filter((key) => has(interfaceOf(key))))
    .map((keys) => Object.fromEntries(keys.map((key) => [key, '1'])));
};

const namespaceSpec = (name: string, n: number): fc.Arbitrary<NamespaceSpec> =>
  fc
    .tuple(linkSpec(n, 0), linkSpec(n, 1))
    .chain((links) => fc.subarray(links))
    .chain((links) =>
      fc.record({
        name: fc.constant(name),
        links: fc.constant(links),
        routes: routesOver(n, links),
        sysctls: sysctlsFor(links),
      }),
    );

const ADDRESSES = ['203.0.113.1', '203.0.113.2', '2001:db8:a::1'];

/** Only what the host has a way to; each address in one namespace. */
const servicesIn = (namespaces: NamespaceSpec[]): fc.Arbitrary<EdgeService[]> => {
  const places = namespaces.flatMap((ns) =>
    ADDRESSES.filter((address) => wayTo(ns, address) !== null).map((address) => ({
      namespace: ns.name,
      address,
    })),
  );
  return fc.shuffledSubarray(places).map((chosen) => {
    const once = chosen.filter(
      ({ address }, i) => chosen.findIndex((other) => other.address === address) === i,
    );
    return once.map(({ namespace, address }, i) =>
      exampleEdgeService(`s${i}`, [address], namespace),
    );
  });
};

const anySpec: fc.Arbitrary<EdgeSpec> = fc
  .record({
    namespaces: fc
      .tuple(...NAMES.map(namespaceSpec))
      .chain((namespaces) => fc.subarray(namespaces)),
    filters: fc
      .constantFrom<FilterSpec['mode']>('native', 'generic')
      .chain((mode) => fc.subarray([plainFilter('uplink0', mode)])),
  })
  .chain(({ namespaces, filters }) =>
    servicesIn(namespaces).map((services) => ({ ...specOf(namespaces, filters), services })),
  );

const PLACES = ['h00', 'h01', 'h10', 'alpha/p0', 'alpha/p1', 'beta/p0'];
const place = fc.constantFrom(...PLACES);
const loopback = fc.constantFrom('alpha/lo', 'beta/lo');
const namespaceName = fc.constantFrom(...NAMES);

/** What others do without taking a name that we need. */
const deed: fc.Arbitrary<string[]> = fc.oneof(
  fc.tuple(fc.constant('delete-namespace'), namespaceName),
  fc.tuple(fc.constantFrom('delete-link', 'set-down'), place),
  fc.tuple(fc.constant('rename-link'), place, fc.constantFrom('odd0', 'odd1')),
  fc.tuple(fc.constant('move-link'), place, fc.constantFrom('root', ...NAMES)),
  fc.tuple(fc.constant('set-mtu'), place, fc.constantFrom('1300', '9000')),
  fc.tuple(fc.constant('add-address'), place, fc.constantFrom('198.51.100.1/32', 'fe80::9/64')),
  fc.tuple(
    fc.constant('delete-address'),
    place,
    fc.constantFrom('10.0.0.1/30', '10.0.0.2/30', 'fd00:0:0::2/64', '10.1.0.2/30'),
  ),
  fc.tuple(fc.constant('delete-route'), namespaceName, fc.constantFrom('192.168.0.0/24')),
  fc.tuple(
    fc.constant('add-route'),
    namespaceName,
    fc.constant('172.16.0.0/12'),
    fc.constant('10.0.0.1'),
  ),
  fc.tuple(fc.constant('set-down'), loopback),
  fc.tuple(
    fc.constantFrom('add-address', 'delete-address'),
    loopback,
    fc.constantFrom('203.0.113.1/32', '203.0.113.9/32', '2001:db8:a::1/128'),
  ),
  fc.tuple(
    fc.constant('delete-route'),
    fc.constant('root'),
    fc.constantFrom('203.0.113.1/32', '2001:db8:a::1/128'),
  ),
  fc.tuple(fc.constant('set-sysctl'), namespaceName, fc.constantFrom(...SYSCTLS), fc.constant('7')),
  fc.tuple(
    fc.constantFrom(
      'detach-xdp',
      'remove-pin',
      'load-older-program',
      'swap-interface',
      'edit-filter',
      'unpin-map',
    ),
    fc.constant('uplink0'),
  ),
  fc.tuple(fc.constant('add-link'), fc.constant('root'), fc.constantFrom('theirs0', 'theirs1')),
);

type Event = { spec: EdgeSpec } | { deed: string[] } | { spec: EdgeSpec; steps: number };

/** Specs applied, specs applied up to a kill, and deeds of others. */
const event: fc.Arbitrary<Event> = fc.oneof(
  anySpec.map((spec) => ({ spec })),
  fc.record({ spec: anySpec, steps: fc.nat(12) }),
  deed.map((words) => ({ deed: words })),
  deed.map((words) => ({ deed: words })),
);

const live = (machine: Machine, events: readonly Event[]): void => {
  for (const one of events) {
    if ('deed' in one) DEEDS[one.deed[0] ?? '']?.(machine, ...one.deed.slice(1));
    else machine.run(one.spec, machine.plan(one.spec).waves, 'steps' in one ? one.steps : Infinity);
  }
};

const isOurs = ({ protocol }: { protocol: number }): boolean => protocol === MARK.protocol;

/** Ours on a host, without the numbers that are given anew each time. */
const ours = (observed: ObservedHost, spec: EdgeSpec): unknown => {
  const links = (netns: ObservedHost['root']): unknown =>
    netns.links
      .filter(({ alias, name }) => alias !== null || name === 'lo')
      .map(({ name, alias, mtu, up, addresses }) => {
        const marked = addresses.filter(isOurs).map(({ address }) => address);
        // Once raised, `lo` stays up: nobody is in the way of it.
        const isUp = up || (name === 'lo' && marked.length === 0);
        return { name, alias, mtu, up: isUp, addresses: marked.sort() };
      })
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  const inside = spec.namespaces.map(({ name, sysctls }) => {
    const netns = observed.namespaces[name];
    if (netns?.state !== 'mounted') return { name, state: netns?.state };
    const routes = netns.routes.filter(isOurs).map(({ to, via }) => `${to} ${via}`);
    const values = Object.keys(sysctls).map((key) => [key, netns.sysctls[key]]);
    return { name, links: links(netns), routes: routes.sort(), values };
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
  return { root: links(observed.root), routes: routes.sort(), inside, filters };
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
