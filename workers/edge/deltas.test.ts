/** A list that changes a little travels as what has changed; whatever is wrong with that, in pieces. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { waitFor } from '../../adapters/native/test-support';
import { prefixSet } from '../../core/filter/algebra';
import { chunk, pack } from '../../core/filter/blob';
import { deltaOf } from '../../core/filter/delta';
import type { EdgeSpec } from '../../core/model/edge-spec';
import { converge, spec, stage, type Stage } from './testing/stage';

const prefixes = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => `10.${i >> 8}.${i & 255}.1/32`);

/** Two versions of a list, and what lies between them. */
function versions() {
  const [from, to] = [prefixes(30_000), [...prefixes(30_000), '192.0.2.7/32']].map((texts) =>
    pack(prefixSet(texts)),
  ) as [Uint8Array, Uint8Array];
  const delta = deltaOf({ from, to });
  assert.ok(delta && delta.length < 100);
  return { from: chunk(from), to: chunk(to), delta };
}

const naming = (revision: number, { ref }: ReturnType<typeof chunk>): EdgeSpec => ({
  ...spec(revision),
  blocklists: [{ name: 'feed', mode: 'enforce', blob: ref }],
});

const offer = ({ controller }: Stage, { ref, chunks }: ReturnType<typeof chunk>): void =>
  chunks.forEach((bytes, i) => controller.chunks.set(ref.chunks[i]!.sha256, Buffer.from(bytes)));

const loaded = (here: Stage, { ref }: ReturnType<typeof chunk>): Promise<unknown> =>
  waitFor('the list is loaded', () =>
    here.host.filled.get('uplink0')?.lists.some(({ sha256 }) => sha256 === ref.sha256),
  );

async function holding(t: TestContext) {
  const here = await stage(t);
  await converge(here, spec(5));
  const { from, to, delta } = versions();
  offer(here, from);
  here.controller.push(naming(6, from));
  await loaded(here, from);
  const asked = here.controller.asked().length;
  return { here, from, to, delta, later: () => here.controller.asked().slice(asked) };
}

test('the former version and what has changed make the wanted one', async (t) => {
  const { here, from, to, delta, later } = await holding(t);
  here.controller.deltas.set(`${from.ref.sha256} ${to.ref.sha256}`, delta);
  here.controller.push(naming(7, to));
  await loaded(here, to);
  assert.deepEqual(later(), [], 'no piece was asked for');
});

test('where there is none, the pieces are asked for that the edge lacks', async (t) => {
  const { here, to, later } = await holding(t);
  offer(here, to);
  here.controller.push(naming(7, to));
  await loaded(here, to);
  assert.ok(later().length > 0);
});

test('one that makes something else is not believed', async (t) => {
  const { here, from, to, delta, later } = await holding(t);
  const wrong = Uint8Array.from(delta);
  wrong[wrong.length - 2]! ^= 1;
  here.controller.deltas.set(`${from.ref.sha256} ${to.ref.sha256}`, wrong);
  offer(here, to);
  here.controller.push(naming(7, to));
  await loaded(here, to);
  assert.ok(later().length > 0);
});
