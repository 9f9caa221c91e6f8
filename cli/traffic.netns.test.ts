import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { RouteProgress, AnycastServiceDescription } from '../core/model/views';
import { TestLab, cannotRunLabs } from '../lab/testing';
import { ROOT } from '../lab/tools';
import { eventually } from '../lab/wait';
import { EXIT } from './exit-codes';
import { loadResources, nodesOf } from './resources';
import { aetherIn, type Ended } from './testing';

const skip = cannotRunLabs();
const EXAMPLES = ['eu-central', 'us-east', 'service'].map((name) =>
  join(ROOT, 'examples/lab', `${name}.yaml`),
);
let under: TestLab;

before(async () => {
  if (skip !== false) return;
  under = await TestLab.up(nodesOf(loadResources(EXAMPLES).loaded));
});
after(() => under?.end());

const aether = (...argv: string[]): Promise<Ended> => aetherIn(under.lab, argv);

async function must(...argv: string[]): Promise<string> {
  const { code, stdout, stderr } = await aether(...argv);
  assert.equal(code, EXIT.ok, `aether ${argv.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

async function echo(): Promise<AnycastServiceDescription> {
  const [found] = JSON.parse(await must('services', 'echo', '--json')) as [
    AnycastServiceDescription,
  ];
  return found;
}

/** Until exactly these (in order) announce it, and the observer has a path of each. */
async function announced(...nodes: string[]): Promise<void> {
  await eventually(
    `echo is announced by ${nodes.join(', ')}`,
    async () => {
      const { view, seen } = await echo();
      const paths = seen.observers.flatMap((observer) => observer.paths);
      // Without those that the routers tell each other: of them the next hop is a router.
      const at = [...new Set(paths.flatMap(({ node }) => node ?? []))].sort();
      const right = [view.announcers, at].every((names) => names.join() === nodes.join());
      if (!right) throw new Error(JSON.stringify({ announcers: view.announcers, at, seen }));
      return true;
    },
    { within: 60_000 },
  );
}

test('a service is announced by every edge, and seen at the routers', { skip }, async () => {
  await must('apply', ...EXAMPLES.flatMap((file) => ['-f', file]), '--wait', '--timeout', '2m');
  await announced('ams-1', 'fra-1', 'iad-1', 'nyc-1');
  const table = await must('services');
  assert.match(table, /\necho +fra-1 +eu-central +announced /);
  assert.match(await must('bgp', 'neighbors', 'fra-1'), /established +\d+ s .* up/);
  assert.match(await must('bfd', 'sessions', 'fra-1'), /up \(peer up\)/);
});

test('a node is drained with the evidence of the routers, and comes back', { skip }, async () => {
  const { code, stdout, stderr } = await aether('drain', 'fra-1', '--wait', '--json');
  assert.equal(code, EXIT.ok, stderr + stdout);
  const { progress } = JSON.parse(stdout) as RouteProgress;
  const outcomes = progress?.steps.map(({ what, outcome }) => [what, outcome]) ?? [];
  assert.deepEqual(
    outcomes.filter(([, outcome]) => outcome !== 'done'),
    [],
    JSON.stringify(progress, null, 1),
  );
  await announced('ams-1', 'iad-1', 'nyc-1');
  await must('undrain', 'fra-1', '--wait', '--timeout', '3m');
  await announced('ams-1', 'fra-1', 'iad-1', 'nyc-1');
});
