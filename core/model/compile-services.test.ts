import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EXAMPLE } from '../plan/testing';
import type { AnycastServiceSpec, Stance } from './anycast';
import { compileEdgeSpec, type CompileInput, NO_BINDINGS, type Stored } from './compile';
import type { BoundService } from './compile-services';
import { PHASES } from './edge-spec';
import { API_VERSION, NO_ROUTING } from './node';
import type { Command } from './routing';
import { exampleService } from './testing';
import { parseEdgeSpec } from './values';

const at = <T>(revision: number, value: T): Stored<T> => ({ value, revision });

const { namespaces, filters, repair } = EXAMPLE;
const input = (services: BoundService[], over: Partial<CompileInput> = {}): CompileInput => ({
  ...NO_BINDINGS,
  node: at(10, {
    resource: {
      apiVersion: API_VERSION,
      kind: 'Node',
      metadata: { name: 'fra-1', region: 'eu-central', labels: { tier: 'edge' } },
      spec: { namespaces, filters, ...NO_ROUTING, repair },
    },
    deletionRevision: null,
  }),
  phase: at(20, { phase: 'active' }),
  override: null,
  freeze: null,
  routing: null,
  services,
  ...over,
});

const bound = (
  spec: Partial<AnycastServiceSpec> = {},
  over: Partial<BoundService> = {},
): BoundService => ({
  service: at(30, { resource: exampleService('web', spec) }),
  traffic: null,
  permits: null,
  ...over,
});

const command = (stance: Stance, reason = 'r'): Command => ({ stance, reason, by: 'me', atMs: 1 });
const routing = (stance: Stance) => at(40, { command: command(stance, 'new kernel') });

/** `web` on fra-1. */
const compiled = (services: BoundService[], over: Partial<CompileInput> = {}) => {
  const [web, ...others] = compileEdgeSpec(input(services, over)).services;
  assert.ok(web !== undefined && others.length === 0);
  return web;
};

describe('how a service stands on a node', () => {
  test('it is announced everywhere where nobody says otherwise', () => {
    const { stance, why } = compiled([bound()]).commanded;
    assert.deepEqual([stance, why], ['announce', '']);
  });

  const eu = (weight: number) => [{ name: 'eu-central', weight }];
  const us = [{ name: 'us-east', weight: 1 }];
  const cases: [
    what: string,
    service: BoundService,
    over: Partial<CompileInput>,
    stance: Stance,
    why: string,
  ][] = [
    ['a region with weight', bound({ regions: eu(1) }), {}, 'announce', ''],
    ['a backup', bound({ regions: eu(0) }), {}, 'withdraw', 'eu-central stands by'],
    [
      'a region that is not named',
      bound({ regions: us }),
      {},
      'withdraw',
      'eu-central is none of its regions',
    ],
    [
      'a backup that is told to take over',
      bound(
        { regions: eu(0) },
        { traffic: at(50, { regions: { 'eu-central': command('announce') } }) },
      ),
      {},
      'announce',
      '',
    ],
    [
      'the first node of a region that comes back',
      bound(
        {},
        {
          traffic: at(50, {
            regions: { 'eu-central': command('withdraw') },
            nodes: { 'fra-1': command('announce') },
          }),
        },
      ),
      {},
      'announce',
      '',
    ],
    [
      'a node that is drained',
      bound(),
      { routing: routing('deprefer') },
      'deprefer',
      'commanded of fra-1: new kernel (me)',
    ],
    [
      'the worst of all that is said',
      bound({}, { traffic: at(50, { regions: { 'eu-central': command('withdraw', 'floods') } }) }),
      { routing: routing('deprefer') },
      'withdraw',
      'commanded of eu-central: floods (me)',
    ],
    [
      'both reasons where both are as bad',
      bound({ regions: eu(0) }),
      { routing: routing('withdraw') },
      'withdraw',
      'eu-central stands by; commanded of fra-1: new kernel (me)',
    ],
    ['a command that was taken back', bound(), { routing: routing('announce') }, 'announce', ''],
    [
      'a node that is not whole yet',
      bound(),
      { phase: at(20, { phase: 'onboarding' }) },
      'withdraw',
      'fra-1 is being onboarded',
    ],
    [
      'a drain goes as far as its command',
      bound(),
      { phase: at(20, { phase: 'draining' }), routing: routing('deprefer') },
      'deprefer',
      'commanded of fra-1: new kernel (me)',
    ],
  ];
  for (const [what, service, over, stance, why] of cases) {
    test(what, () => {
      assert.deepEqual(compiled([service], over).commanded, { stance, why });
    });
  }

  test('the less weight a region has, the longer its path', () => {
    const regions = (weight: number) => [
      { name: 'us-east', weight: 100 },
      { name: 'eu-central', weight },
    ];
    for (const [weight, times] of [
      [100, 0],
      [51, 0],
      [50, 1],
      [25, 2],
      [1, 6],
      [0, 0],
    ] as const) {
      const { prepend } = compiled([bound({ regions: regions(weight), prepend: 1 })]);
      assert.equal(prepend, 1 + times, `weight ${weight}`);
    }
  });

  test('only who holds a permit may withdraw by itself; one that is given back is none', () => {
    const permit = (state: 'held' | 'returning', node = 'fra-1') =>
      compiled([bound({}, { permits: at(50, { holders: { [node]: { state } } }) })]).permit;
    assert.deepEqual(
      [permit('held'), permit('returning'), permit('held', 'ams-1')],
      [true, false, false],
    );
  });
});

describe('the spec of its node', () => {
  const all = bound({}, { traffic: at(50, { regions: {} }), permits: at(60, { holders: {} }) });

  test('has the revision of the newest of its keys, and reads as it was written', () => {
    const spec = compileEdgeSpec(input([all], { routing: routing('announce') }));
    assert.equal(spec.revision, 60);
    assert.deepEqual(parseEdgeSpec(JSON.stringify(spec)), { ok: true, value: spec });
  });

  test('knows nothing of services that are not bound to it', () => {
    const others = {
      ...all,
      service: at(99, { resource: exampleService('web', { nodes: { tier: 'core' } }) }),
    };
    const { services, revision } = compileEdgeSpec(input([others]));
    assert.deepEqual([services, revision], [[], 20]);
  });

  test('is empty once the node leaves, and only then', () => {
    for (const phase of PHASES) {
      const spec = compileEdgeSpec(input([bound()], { phase: at(20, { phase }) }));
      assert.equal(spec.services.length, phase === 'decommissioning' ? 0 : 1, phase);
    }
  });

  test('has them in the order of their names', () => {
    const named = (name: string) =>
      bound({}, { service: at(30, { resource: exampleService(name) }) });
    const { services } = compileEdgeSpec(input([named('b'), named('a')]));
    assert.deepEqual(
      services.map(({ name }) => name),
      ['a', 'b'],
    );
  });
});
