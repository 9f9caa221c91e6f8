import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { NodeExplanation } from '../core/model/views';
import type { NodeResource, RepairPolicy } from '../core/model/node';
import { World } from './e2e';
import { faultsOf, target } from './faults';
import { differences, xdpOn } from './look';
import { cannotRunLabs, exampleNode } from './testing';
import { ROOT } from './tools';
import { eventually } from './wait';

const skip = cannotRunLabs();
const fra = exampleNode('fra-1', 1);
const { mtuChanged, linkDown, addressRemoved } = faultsOf(fra);
let world: World;

before(async () => {
  if (skip === false) world = await World.make([fra]);
});
after(() => world?.end());

const scenario = (name: string, run: () => Promise<void>): void => {
  test(name, { skip }, () => world.tellingLogs(run));
};

const explain = async (): Promise<NodeExplanation> => {
  using admin = world.under.admin();
  return await admin.explain('fra-1');
};

/** Waits until `explain` says why nothing is repaired, and that it is so still a second later. */
async function leftAlone(why: RegExp): Promise<string> {
  const says = async (): Promise<string | null> => {
    const { whyNot, difference } = await explain();
    if (difference.length === 0) throw new Error('there is no difference');
    if (!why.test(whyNot ?? '')) throw new Error(`it says: ${whyNot}`);
    return whyNot;
  };
  await eventually(`explain says ${why.source}`, says, { within: 20_000 });
  await delay(1_500);
  const said = await says();
  assert.notDeepEqual(await differences(world.under.lab, fra), [], 'it is still broken');
  return said ?? '';
}

function withPolicy(policy: Partial<RepairPolicy>): NodeResource {
  const node = structuredClone(fra);
  node.spec.repair = { ...node.spec.repair, ...policy };
  return node;
}

/** Applies a policy, runs, and goes back to the policy of the example. */
async function under(policy: Partial<RepairPolicy>, run: () => Promise<void>): Promise<void> {
  const node = withPolicy(policy);
  await world.apply(node);
  await world.under.settled(node);
  await run();
  await world.apply(fra);
  await world.under.settled(fra);
}

scenario('propose: only an approval of that very plan lets the repair run', async () => {
  await under({ policy: 'propose' }, async () => {
    using admin = world.under.admin();
    const sinceMs = await world.inflict('fra-1', mtuChanged);
    const first = await leftAlone(/approve fra-1 [0-9a-f]{64}/);
    const stale = /approve fra-1 ([0-9a-f]{64})/.exec(first)?.[1] ?? '';
    await assert.rejects(admin.approve('fra-1', 'f'.repeat(64)), /FAILED_PRECONDITION|ABORTED/);
    // One thing more is broken: the plan that was proposed is not the one that would run now.
    await world.inflict('fra-1', addressRemoved);
    const fresh = await eventually(
      'another plan is proposed',
      async () => {
        const hash = /approve fra-1 ([0-9a-f]{64})/.exec((await explain()).whyNot ?? '')?.[1];
        return hash !== undefined && hash !== stale ? hash : null;
      },
      { within: 20_000, times: 3 },
    );
    await assert.rejects(admin.approve('fra-1', stale), /FAILED_PRECONDITION|ABORTED/);
    assert.notDeepEqual(await differences(world.under.lab, fra), []);
    await admin.approve('fra-1', fresh);
    await world.assertMended(withPolicy({ policy: 'propose' }), sinceMs, 'workflow');
  });
});

scenario('report: it is told and left as it is, until the policy changes', async () => {
  await under({ policy: 'report' }, async () => {
    await world.inflict('fra-1', linkDown);
    await leftAlone(/report/);
  });
  await world.assertForeignIntact('fra-1');
});

scenario('freeze: of the node, of all, and on its host; each says so and ends', async () => {
  using admin = world.under.admin();
  const edge = (...argv: string[]): Promise<string> =>
    world.under.lab.must('fra-1', ['aether', 'edge', ...argv]);
  const switches: [RegExp, (on: boolean) => Promise<unknown>][] = [
    [/frozen: aether unfreeze fra-1/, (on) => admin.freeze('fra-1', on, 'test')],
    [/all nodes are frozen/, (on) => admin.freeze(null, on, 'test')],
    [/frozen on its host/, (on) => edge(on ? 'freeze' : 'unfreeze')],
  ];
  for (const [why, freeze] of switches) {
    await freeze(true);
    const frozen = async (): Promise<boolean> => (await world.under.view('fra-1')).frozen;
    await eventually('it is frozen', frozen, { within: 10_000 });
    // The switch travels by way of the spec: what breaks before it is there would be repaired.
    await eventually(
      'its agent knows',
      async () => {
        const { edge: status } = await admin.describe('fra-1');
        return Object.values(status?.frozen ?? {}).includes(true);
      },
      { within: 10_000 },
    );
    const sinceMs = await world.inflict('fra-1', mtuChanged);
    await leftAlone(why);
    await freeze(false);
    await world.assertMended(fra, sinceMs, 'workflow');
  }
});

scenario('fighting: who undoes every repair is named, and left alone', async () => {
  const { lab } = world.under;
  await under({ budget: { attempts: 50, perMs: 15_000 } }, async () => {
    const address = target(fra).link.addresses[0] ?? '';
    // One `ip` that lives on, so that there is somebody to be named.
    const script = `while sleep 0.4; do echo "address delete ${address} dev eth0"; done | ip -force -batch -`;
    const { argv, env } = lab.command('fra-1', ['ip', 'netns', 'exec', 'edge', 'sh', '-c', script]);
    const [file = '', ...args] = argv;
    const fighter = spawn(file, args, { env, stdio: 'ignore', detached: true });
    try {
      const said = await leftAlone(/came back|fight/i);
      assert.match(said, /ip \(pid \d+\)/);
    } finally {
      if (fighter.pid !== undefined) process.kill(-fighter.pid, 'SIGKILL');
    }
    await world.under.settled(withPolicy({ budget: { attempts: 50, perMs: 15_000 } }), 60_000);
  });
});

scenario(
  'a foreign XDP program is reported, never replaced; when it goes, ours comes back',
  async () => {
    const { lab } = world.under;
    using admin = world.under.admin();
    const ip = (...argv: string[]): Promise<string> => lab.must('fra-1', ['ip', ...argv]);
    await admin.freeze('fra-1', true, 'swap the program by hand');
    await eventually(
      'it is frozen',
      async () => {
        const { edge: status } = await admin.describe('fra-1');
        return status?.frozen.node === true;
      },
      { within: 10_000 },
    );
    for (const argv of faultsOf(fra).filterDetached.commands) await lab.must('fra-1', argv);
    await eventually('ours is off', async () => (await xdpOn(lab, 'fra-1', 'uplink0')) === null, {
      within: 10_000,
    });
    const object = `${ROOT}/bpf/build/xdp_root.bpf.o`;
    await lab.must('fra-1', [
      'bpftool',
      'prog',
      'load',
      object,
      '/sys/fs/bpf/somebody',
      'type',
      'xdp',
    ]);
    await lab.must('fra-1', [
      'bpftool',
      'net',
      'attach',
      'xdp',
      'pinned',
      '/sys/fs/bpf/somebody',
      'dev',
      'uplink0',
    ]);
    const foreign = await xdpOn(lab, 'fra-1', 'uplink0');
    assert.ok(foreign !== null, 'the foreign program is attached');
    await admin.freeze('fra-1', false, 'done');
    const conflict = async (): Promise<boolean> => {
      const { whyNot, difference } = await explain();
      if (
        !/uplink0/.test(difference.join()) ||
        whyNot === null ||
        /frozen|under way/.test(whyNot)
      ) {
        throw new Error(`${whyNot}; ${difference.join()}`);
      }
      return true;
    };
    await eventually('the conflict is told', conflict, { within: 20_000, times: 5 });
    assert.deepEqual(await xdpOn(lab, 'fra-1', 'uplink0'), foreign, 'it is still theirs');
    await ip('link', 'set', 'dev', 'uplink0', 'xdp', 'off');
    await world.under.settled(fra, 30_000);
    const ours = await xdpOn(lab, 'fra-1', 'uplink0');
    assert.notEqual(ours?.id, foreign.id);
  },
);

scenario('deleting a node deletes what is ours, and nothing else', async () => {
  const { lab } = world.under;
  using admin = world.under.admin();
  await admin.delete('fra-1', false);
  await eventually('the node is gone', async () => (await admin.get()).length === 0, {
    within: 30_000,
  });
  assert.doesNotMatch(await lab.must('fra-1', ['ip', 'netns']), /edge/);
  assert.doesNotMatch(await lab.must('fra-1', ['ip', '-br', 'link']), /edge0/);
  assert.equal(await xdpOn(lab, 'fra-1', 'uplink0'), null);
  assert.equal(
    (await lab.must('fra-1', ['find', '/sys/fs/bpf', '-type', 'f'])).includes('aether'),
    false,
  );
  await world.assertForeignIntact('fra-1');
});
