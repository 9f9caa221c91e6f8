/** The agent between two controllers: what it reports reaches its owner, and only its owner commands it. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { waitFor } from '../../adapters/native/test-support';
import { Controller, converge, FENCE, spec, stage, type Stage } from './testing/stage';

const OLD = FENCE.ownerRevision;

/** An agent that c1 owns, and c2 beside it. */
async function owned(t: TestContext) {
  const here = await stage(t);
  // Nobody decides here, and the agent doesn't, either.
  await converge(here, { ...spec(5), repair: { ...spec(5).repair, policy: 'propose' } });
  const second = await Controller.create(t, here.authority, 'c2');
  second.fence = null;
  return { here, first: here.controller, second };
}

const primary = ({ guard }: Stage, id: string): Promise<unknown> =>
  waitFor(`${id} owns it`, () => guard.stream.primary?.id === id);

test('a report that the former owner did not acknowledge goes to the next one', async (t) => {
  const { here, first, second } = await owned(t);
  const changes: (string | undefined)[] = [];
  here.guard.stream.onChange(() => changes.push(here.guard.stream.primary?.id));
  here.host.deleteLink('edge0');
  const { incidentId } = await first.drift(2);
  first.redirect(second);
  await first.nth('moved');
  assert.equal(here.guard.stream.primary?.id, 'c1', 'who owns it does so still');
  assert.deepEqual(
    second.heard.filter(({ message }) => message === 'drift'),
    [],
  );
  second.own(OLD + 1);
  await primary(here, 'c2');
  assert.equal((await second.drift()).incidentId, incidentId);
  assert.deepEqual(
    changes.filter((id) => id !== 'c1'),
    ['c2'],
  );
});

test('a spec of a former owner is refused, and it hears who counts', async (t) => {
  const { here, first, second } = await owned(t);
  second.own(OLD + 1);
  first.redirect(second);
  await primary(here, 'c2');
  second.push(spec(6));
  await waitFor('revision 6 is accepted', async () => {
    const { accepted } = await here.guard.port.status();
    return accepted?.revision === 6;
  });
  const hellos = first.hellos.length;
  second.redirect(first);
  await waitFor('c1 has it as a guest', () => first.hellos.length > hellos);
  await second.nth('moved');
  assert.deepEqual(first.hellos.at(-1)?.fence, { ...FENCE, ownerRevision: OLD + 1 });
  first.push(spec(7));
  const { fenced } = await first.nth('fenced');
  assert.equal(fenced.fence?.ownerRevision, OLD + 1);
  second.push(spec(8));
  const status = await waitFor('revision 8 is accepted', async () => {
    const now = await here.guard.port.status();
    return now.accepted?.revision === 8 ? now : null;
  });
  assert.equal(status.controller.address?.split(' ')[0], 'c2');
  const refused = [...first.heard, ...second.heard].filter(
    ({ message }) => message === 'specRefused',
  );
  assert.deepEqual(refused, [], 'revision 7 was never looked at');
});

test('the highest fence is remembered over a restart', async (t) => {
  const { here, first, second } = await owned(t);
  second.own(OLD + 1);
  first.redirect(second);
  await primary(here, 'c2');
  const again = await here.restart();
  assert.deepEqual(first.hellos.at(-1)?.fence, { ...FENCE, ownerRevision: OLD + 1 });
  first.push(spec(9));
  assert.equal((await first.nth('fenced')).fenced.fence?.ownerRevision, OLD + 1);
  assert.equal(again.guard.stream.primary, null, 'c1 owns nobody any more');
  first.own(OLD + 2);
  await primary(again, 'c1');
});
