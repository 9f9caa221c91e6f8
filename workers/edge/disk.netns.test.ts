/** The agent whose state directory fills up, or is read-only: on a real disk of 64 KiB. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { exampleSpec, type TestAgent, TestHost } from './testing/test-host';

/** The state directory on a tmpfs of its own inside the host, with an accepted spec on it. */
async function onSmallDisk(t: TestContext): Promise<{ host: TestHost; agent: TestAgent }> {
  const host = await TestHost.create(t);
  await host.accept(exampleSpec(5));
  const at = host.stateDirectory;
  host.exec('sh', '-ec', `cd ${at}; cp spec.json ..; mount -t tmpfs -o size=64k tmpfs ${at}`);
  host.exec('cp', `${at}/../spec.json`, `${at}/spec.json`);
  const agent = host.startAgent(t);
  await agent.converged();
  return { host, agent };
}

const IMPAIRMENTS = [
  {
    what: 'full',
    // Again, for the room that a file leaves which the agent was just replacing.
    impair: (at: string) =>
      `for i in 1 2 3; do dd if=/dev/zero of=${at}/ballast$i bs=4k 2>/dev/null; sleep 0.1; done; true`,
    relieve: (at: string) => `rm ${at}/ballast*`,
    problem: /ENOSPC/,
  },
  {
    what: 'read-only',
    // Busy for as long as the agent is writing there.
    impair: (at: string) =>
      `for i in $(seq 100); do mount -o remount,ro ${at} && exit; sleep 0.1; done; exit 1`,
    relieve: (at: string) => `mount -o remount,rw ${at}`,
    problem: /EROFS/,
  },
];

for (const { what, impair, relieve, problem } of IMPAIRMENTS) {
  test(`${what}: what needs no note is repaired, the rest waits for room and is told`, async (t) => {
    const { host, agent } = await onSmallDisk(t);
    const at = host.stateDirectory;
    host.exec('sh', '-c', impair(at));
    host.exec('ip', 'link', 'set', 'edge0', 'down');
    const mended = await agent.until(
      'the link is up again',
      ({ lastRepair, incident }) =>
        incident === null && (lastRepair?.findings.join().includes('edge0') ?? false),
    );
    assert.equal(mended.lastRepair?.outcome, 'converged');
    await agent.until('the problem is told', ({ problems }) => problem.test(problems.join()));

    // A namespace that is on no record could be orphaned by a crash: it is not made.
    host.exec('ip', 'netns', 'del', 'edge');
    const stuck = await agent.until(
      'the namespace was tried',
      ({ lastRepair }) => lastRepair?.outcome === 'partial',
    );
    assert.match(stuck.lastRepair?.reason ?? '', /ledger/);
    assert.doesNotMatch(host.exec('ls', '/run/netns'), /edge/);

    host.exec('sh', '-c', relieve(at));
    await agent.converged(60_000);
    await agent.until('no problem is left', ({ problems }) => problems.length === 0, 30_000);
    host.exec('ping', '-c1', '-W2', '10.10.1.2');
  });
}

test('a corrupt spec is not used: the agent starts, says so, and leaves the host alone', async (t) => {
  const host = await TestHost.create(t);
  await host.accept(exampleSpec(5));
  const first = host.startAgent(t);
  await first.converged();
  await first.kill();
  host.exec('sh', '-c', `sed -i s/1500/1501/ ${host.stateDirectory}/spec.json`);
  const second = host.startAgent(t);
  const status = await second.until('it runs', () => true);
  assert.equal(status.accepted, null);
  assert.match(status.problems.join(), /spec\.json is not used: its checksum is wrong, kept as/);
  host.exec('ping', '-c1', '-W2', '10.10.1.2');
});
