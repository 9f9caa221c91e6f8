import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { EdgeSpec } from '../core/model/edge-spec';
import type { Ledger, ObservedHost, Step, StepResult } from '../core/model/host';
import { DEEDS } from '../core/plan/disturb';
import { nothingOf } from '../core/plan/plan';
import { EXAMPLE, FILTER_TAG, Machine } from '../core/plan/testing';
import { STAGES, type Stage } from '../core/plan/types';
import { reconcile, type Reconciled, type ReconcileInput, type ReconcilePort } from './reconcile';

/** An edge host in memory whose agent keeps its ledger on a disk that may fail. */
class Edge implements ReconcilePort {
  readonly machine = new Machine();
  readonly log: string[] = [];
  disk: Ledger = { namespaces: {}, sysctls: {} };
  spec: EdgeSpec = EXAMPLE;
  /** Called before each step; what it returns is the step's answer instead of its effect. */
  onStep: (step: Step) => StepResult | undefined = () => undefined;
  onSave: () => void = () => undefined;
  torn = 0;

  readonly host = {
    filterTag: FILTER_TAG,
    observe: async (): Promise<ObservedHost> => {
      this.log.push('observe');
      this.machine.ledger = this.disk;
      this.machine.interrupted = this.torn > 0;
      this.torn -= 1;
      return this.machine.observe(this.spec);
    },
    applyAll: async (steps: readonly Step[]): Promise<StepResult[]> =>
      steps.map((step) => {
        this.log.push(step.op);
        return this.onStep(step) ?? this.machine.host.apply(step);
      }),
  };

  saveLedger = async (ledger: Ledger): Promise<void> => {
    this.onSave();
    this.log.push('save');
    this.disk = structuredClone(ledger);
  };

  run(input: Partial<ReconcileInput> = {}): Promise<Reconciled> {
    const whole = { stages: null, remove: false, planHash: null };
    return reconcile({ spec: this.spec, ledger: this.disk, ...whole, ...input }, this, () => 7);
  }

  do(...words: string[]): void {
    DEEDS[words[0] ?? '']?.(this.machine, ...words.slice(1));
  }
}

const converged = async (): Promise<Edge> => {
  const edge = new Edge();
  assert.equal((await edge.run()).outcome, 'converged');
  edge.log.length = 0;
  return edge;
};

const fail = (code: string, changed: boolean | null): StepResult => ({
  ok: false,
  code,
  message: 'as the test wants it',
  changed,
});

describe('reconcile', () => {
  test('brings up a bare host in one go, and tells what it found and did', async () => {
    const edge = new Edge();
    const result = await edge.run();
    assert.equal(result.outcome, 'converged');
    assert.equal(result.reason, null);
    assert.deepEqual(
      result.found.map(({ kind }) => kind),
      ['namespaceMissing', 'filterMissing'],
    );
    assert.equal(result.applied[0], 'create namespace edge');
    assert.deepEqual(result.remaining, []);
    assert.deepEqual(result.ledger, edge.disk);
    assert.deepEqual(Object.keys(edge.disk.namespaces), ['edge']);
  });

  test('of a host that is right it only looks', async () => {
    const edge = await converged();
    const result = await edge.run();
    assert.deepEqual([result.outcome, result.planHash, result.applied], ['converged', '', []]);
    assert.deepEqual(edge.log, ['observe']);
  });

  test('works stage by stage, and takes stages away last first', async () => {
    const edge = new Edge();
    for (const stage of STAGES) {
      const result = await edge.run({ stages: [stage] });
      assert.equal(result.outcome, 'converged', `${stage}: ${result.reason}`);
    }
    assert.equal((await edge.run()).applied.length, 0);
    for (const stage of [...STAGES].reverse()) {
      const result = await edge.run({ stages: [stage], remove: true });
      assert.equal(result.outcome, 'converged', `${stage}: ${result.reason}`);
      assert.ok(result.applied.length > 0, stage);
    }
    assert.equal(edge.machine.host.root.links.size, 2);
    assert.equal(edge.machine.host.namespaces.size, 0);
    assert.deepEqual(edge.disk, { namespaces: {}, sysctls: {} });
  });

  test('a stage cannot stand on one that is not there', async () => {
    const edge = new Edge();
    await edge.run({ stages: ['namespaces'] });
    const result = await edge.run({ stages: ['addresses'] });
    assert.equal(result.outcome, 'partial');
    assert.match(result.reason ?? '', /edge\/edge0: does not exist/);
    assert.deepEqual(result.applied, []);
  });

  test('a former value is on disk before ours is set, also in a namespace of the same plan', async () => {
    const edge = new Edge();
    let onDisk: unknown;
    edge.onStep = ({ op }) => {
      if (op === 'setSysctl') onDisk = edge.disk.sysctls['edge/net.ipv4.ip_forward'];
      return undefined;
    };
    await edge.run();
    assert.deepEqual(onDisk, { inode: edge.disk.namespaces['edge']?.inode, former: '0' });
  });

  test('the intent to make a namespace is on disk before it is made', async () => {
    const edge = new Edge();
    const seen: unknown[] = [];
    edge.onStep = ({ op }) => {
      if (op === 'createNamespace') seen.push(edge.disk.namespaces['edge']);
      return undefined;
    };
    await edge.run();
    assert.deepEqual(seen, [{ inode: null }]);
  });
});

describe('reconcile in trouble', () => {
  test('with a disk that cannot be written, nothing is begun that could not be undone', async () => {
    const edge = new Edge();
    edge.onSave = () => {
      throw new Error('ENOSPC: no space left on device');
    };
    const result = await edge.run();
    assert.equal(result.outcome, 'partial');
    assert.match(result.reason ?? '', /ENOSPC/);
    assert.deepEqual(result.applied, []);
    assert.equal(edge.machine.host.namespaces.size, 0);
  });

  test('what needs no ledger is repaired all the same', async () => {
    const edge = await converged();
    edge.onSave = () => {
      throw new Error('EROFS: read-only file system');
    };
    edge.do('delete-link', 'edge0');
    const result = await edge.run();
    assert.equal(result.outcome, 'converged', result.reason ?? '');
  });

  test('a step that fails is told, the others are done', async () => {
    const edge = new Edge();
    edge.onStep = (step) =>
      step.op === 'addAddress' && step.address === 'fd10:1::2/64'
        ? fail('EACCES', false)
        : undefined;
    const result = await edge.run();
    assert.equal(result.outcome, 'partial');
    assert.match(result.reason ?? '', /add address fd10:1::2\/64 .* \(EACCES\)/);
    assert.deepEqual(
      result.remaining.map(({ object }) => object),
      ['edge/eth0: fd10:1::2/64'],
    );
    assert.ok(result.applied.includes('attach filter to uplink0 (native)'));
    assert.equal(edge.log.filter((op) => op === 'createVeth').length, 1);
  });

  test('a step of which nobody knows is looked for, and done again if it was not', async () => {
    for (const done of [true, false]) {
      const edge = new Edge();
      let times = 0;
      edge.onStep = (step) => {
        if (step.op !== 'createVeth' || ++times > 1) return undefined;
        if (done) edge.machine.host.apply(step);
        return fail('ENOBUFS', null);
      };
      const result = await edge.run();
      assert.equal(result.outcome, 'converged', result.reason ?? '');
      assert.equal(times, done ? 1 : 2);
    }
  });

  test('what changes meanwhile is mended by one more plan', async () => {
    const edge = await converged();
    edge.do('delete-route', 'edge', '0.0.0.0/0');
    let disturbed = false;
    edge.onStep = () => {
      if (!disturbed) edge.do('delete-link', 'edge0');
      disturbed = true;
      return undefined;
    };
    const result = await edge.run();
    assert.equal(result.outcome, 'converged', result.reason ?? '');
    assert.ok(disturbed);
  });

  test('against somebody who never stops it gives up after two plans', async () => {
    const edge = await converged();
    edge.do('delete-route', 'edge', '0.0.0.0/0');
    const { applyAll } = edge.host;
    let mtu = 2000;
    edge.host.applyAll = async (steps) => {
      const results = await applyAll(steps);
      edge.do('set-mtu', 'edge0', String((mtu += 1)));
      return results;
    };
    const result = await edge.run();
    assert.equal(result.outcome, 'partial');
    assert.match(result.reason ?? '', /MTU of edge0/);
    assert.ok(edge.log.filter((op) => op === 'observe').length <= 3);
  });

  test('a torn observation is taken again', async () => {
    const edge = await converged();
    edge.spec = nothingOf(EXAMPLE);
    edge.torn = 2;
    const result = await edge.run();
    assert.equal(result.outcome, 'converged', result.reason ?? '');
    assert.equal(edge.machine.host.namespaces.size, 0);
  });

  test('a host that cannot be observed is left alone', async () => {
    const edge = new Edge();
    edge.host.observe = () => Promise.reject(new Error('EMFILE: too many open files'));
    const result = await edge.run();
    assert.deepEqual([result.outcome, result.applied], ['partial', []]);
    assert.match(result.reason ?? '', /EMFILE/);
  });

  test('a plan that is not the decided one any more is refused with nothing changed', async () => {
    const edge = await converged();
    edge.do('delete-link', 'edge0');
    const refused = await edge.run({ planHash: 'another' });
    assert.equal(refused.outcome, 'refused');
    assert.deepEqual(refused.applied, []);
    const agreed = await edge.run({ planHash: refused.planHash });
    assert.equal(agreed.outcome, 'converged');
    const late = await edge.run({ planHash: refused.planHash });
    assert.equal(late.outcome, 'converged', 'a late decision finds no drift');
    assert.deepEqual(late.applied, []);
  });
});

class Killed extends Error {}

/** Runs until the n-th step or write, and dies there; false where it came to its end before. */
const dies = async (edge: Edge, input: Partial<ReconcileInput>, at: number): Promise<boolean> => {
  let count = 0;
  const tick = (): undefined => {
    if (count === at) throw new Killed();
    count += 1;
    return undefined;
  };
  edge.onStep = tick;
  edge.onSave = tick;
  await edge.run(input);
  const died = count === at;
  edge.onStep = () => undefined;
  edge.onSave = () => undefined;
  return died;
};

describe('reconcile killed before each step and each write', () => {
  const all: Stage[] | null = null;

  test('of onboarding: the next run converges, and a removal leaves nothing', async () => {
    let at = 0;
    for (let died = true; died; at += 1) {
      for (const remove of [false, true]) {
        const edge = new Edge();
        died = await dies(edge, { stages: all }, at);
        const result = await edge.run({ remove });
        assert.equal(result.outcome, 'converged', `at ${at}: ${result.reason}`);
        if (!remove) continue;
        assert.equal(edge.machine.host.namespaces.size, 0, `at ${at}`);
        assert.deepEqual(edge.disk, { namespaces: {}, sysctls: {} }, `at ${at}`);
      }
    }
    assert.ok(at > 14, `${at} points were tried`);
  });

  test('of deletion: the next run leaves nothing', async () => {
    let at = 0;
    for (let died = true; died; at += 1) {
      const edge = await converged();
      died = await dies(edge, { remove: true }, at);
      const result = await edge.run({ remove: true });
      assert.equal(result.outcome, 'converged', `at ${at}: ${result.reason}`);
      assert.equal(edge.machine.host.root.links.size, 2, `at ${at}`);
      assert.equal(edge.machine.host.namespaces.size, 0, `at ${at}`);
    }
    assert.ok(at > 3, `${at} points were tried`);
  });
});
