/**
 * SIGKILL after every single step of building a host up and of taking it down: the next agent
 * converges, nothing is orphaned, and what is not ours is as it was.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { exampleSpec, TestHost } from './testing/test-host';

const CRASHING = join(__dirname, 'testing/crashing-agent.js');

/** More than either way has. */
const LIVES_MAX = 30;

/** Everything in the host that could be orphaned, and what is foreign. */
function inventory(host: TestHost): Record<string, string> {
  const ours = (text: string): string => (text.includes('aether') ? text : '');
  return {
    namespaces: host.exec('sh', '-c', 'ls /run/netns'),
    links: host.exec('sh', '-c', 'ls /sys/class/net 2>/dev/null; ip -o link | cut -d: -f2'),
    aliases: ours(host.exec('ip', 'link')),
    pins: host.exec('sh', '-c', 'find /sys/fs/bpf -mindepth 1'),
    xdp: host.exec('sh', '-c', 'ip link show uplink0 | grep -c prog/xdp || true'),
    foreign: host.exec('ip', '-o', 'addr', 'show', 'dev', 'veth9', 'scope', 'global'),
    theirs: host.exec('stat', '-c', '%i', '/run/netns/theirs'),
  };
}

/** One short life after another until one of them has nothing left to do; how many were cut. */
async function livesTowards(t: TestContext, host: TestHost, cut: string): Promise<number> {
  for (let lives = 0; lives < LIVES_MAX; lives++) {
    const agent = host.startAgent(t, { script: CRASHING, env: { CUT: cut } });
    const converged = agent.converged(60_000).then(
      () => true,
      () => false,
    );
    const ended = await Promise.race([agent.exited.then(() => 'died'), converged]);
    await agent.kill();
    if (ended === 'died') continue;
    assert.ok(ended, agent.log);
    return lives;
  }
  throw new Error(`not done after ${LIVES_MAX} lives`);
}

for (const cut of ['after', 'before']) {
  test(`killed ${cut} every single step, up and down`, async (t) => {
    const host = await TestHost.create(t);
    host.exec('ip', 'netns', 'add', 'theirs');
    const peer = ['peer', 'name', 'eth0', 'netns', 'theirs'];
    host.exec('ip', 'link', 'add', 'veth9', 'type', 'veth', ...peer);
    host.exec('ip', 'addr', 'add', '10.99.0.1/24', 'dev', 'veth9');
    const empty = inventory(host);

    await host.accept(exampleSpec(1));
    const up = await livesTowards(t, host, cut);
    host.exec('ping', '-c1', '-W2', '10.10.1.2');
    const full = inventory(host);
    assert.equal(full['xdp'], '1\n');
    assert.equal(full['foreign'], empty['foreign']);
    assert.equal(full['theirs'], empty['theirs']);

    await host.accept({ ...exampleSpec(2), namespaces: [], filters: [] });
    const down = await livesTowards(t, host, cut);
    assert.deepEqual(inventory(host), empty);
    t.diagnostic(`${up} cuts on the way up, ${down} on the way down`);
    assert.ok(up >= 8 && down >= 2, `only ${up} + ${down} cuts: steps were not taken one by one`);
  });
}
