/** The parser by sentences: a packet, its verdict and reason (BPF_PROG_TEST_RUN). */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  laterFragments,
  malformed,
  others,
  SEEN,
  understood,
  type Fixture,
} from './testing/headers';
import { RootProgram } from './testing/program';

let root: RootProgram;
before(async () => {
  root = await RootProgram.load();
  await root.setRules(SEEN);
});
after(() => root.close());

function check({ what, packet, reason }: Fixture): void {
  const { verdict, counted, bytes, packet: out } = root.send(packet);
  assert.deepEqual(counted, { [reason]: 1 }, what);
  assert.deepEqual(bytes, { [reason]: packet.length }, what);
  assert.equal(verdict, reason.startsWith('drop') ? 'drop' : 'pass', what);
  assert.deepEqual(out, packet, `${what} is not changed`);
}

describe('headers that are understood, down to ports, flags and length', () => {
  before(() => root.configure({ stages: ['rules'] }));
  for (const fixture of understood) it(fixture.what, () => check(fixture));
});

describe('what has no sources to look at, or no ports', () => {
  before(() => root.configure({ stages: ['rules'] }));
  for (const fixture of [...others, ...laterFragments]) it(fixture.what, () => check(fixture));
});

describe('malformed', () => {
  for (const fixture of malformed) {
    it(fixture.what, () => {
      root.configure({ stages: ['rules'] });
      check(fixture);
      root.configure({ stages: ['rules'], dropMalformed: false });
      check({ ...fixture, reason: 'passMalformed' });
    });
  }
});

describe('with no stage switched on', () => {
  before(() => root.configure({ stages: [] }));
  for (const { what, packet, reason } of understood.filter((_, i) => i % 4 === 0)) {
    it(what, () => check({ what, packet, reason: reason === 'dropRule' ? 'pass' : reason }));
  }
});
