import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isMet } from '../common/figures';
import { check } from './check';
import type { CostSample, Evidence, FloodSample } from './evidence';
import { CLAIMS } from './figures';
import { soundEvidence } from './testing';

const PROGRAM = 'cafe';
const sound = (): Evidence => soundEvidence(PROGRAM);
const problemsOf = (change: (evidence: Evidence) => void): string[] => {
  const evidence = sound();
  change(evidence);
  return check(evidence, PROGRAM).problems;
};
const firstCost = ({ costs }: Evidence, filter: string): CostSample => {
  const found = costs.find((one) => one.filter === filter);
  assert.ok(found);
  return found;
};
const firstFlood = ({ floods }: Evidence): FloodSample => {
  const found = floods.find((one) => one.kpps > 0);
  assert.ok(found);
  return found;
};

describe('the checker', () => {
  it('makes every claim from sound evidence, and finds it met', () => {
    const { figures, problems } = check(sound(), PROGRAM);
    assert.deepEqual(problems, []);
    assert.equal(figures.length, CLAIMS.length);
    assert.deepEqual(
      figures.filter((figure) => !isMet(figure)).map(({ claim }) => claim),
      [],
    );
  });

  it('says of a claim that is missed that it is, and no more', () => {
    const slow = sound();
    for (const one of slow.costs) if (one.filter === 'Aether') one.cpuNs *= 20;
    const { figures, problems } = check(slow, PROGRAM);
    assert.deepEqual(problems, []);
    assert.equal(figures.filter((figure) => !isMet(figure)).length, 7);
  });

  it('makes no claim whose evidence is missing, whole or one round of it', () => {
    for (const phase of ['costs', 'floods', 'lookups'] as const) {
      const gone = sound();
      gone[phase].length = 0;
      const { figures, problems } = check(gone, PROGRAM);
      assert.ok(problems.length > 0, phase);
      assert.ok(figures.length < CLAIMS.length, phase);
      assert.match(problems.join('\n'), /no evidence of|nothing was flooded/);
    }
    const [problem] = problemsOf((evidence) => {
      const last = evidence.costs.findIndex(
        ({ filter, round, entries }) => filter === 'ipset' && round === 1 && entries === 1_000_000,
      );
      evidence.costs.splice(last, 1);
    });
    assert.equal(problem, 'there is no evidence of ipset with 1000000, drop in round 2');
  });

  it('takes no claim from a skipped competitor', () => {
    const problems = problemsOf((evidence) => {
      evidence.costs = evidence.costs.filter(({ filter }) => filter !== 'xdp-filter');
    });
    assert.match(problems.join(), /no evidence of xdp-filter/);
  });

  it('takes evidence of another program, another version or a smaller plan for stale', () => {
    assert.match(check(sound(), 'another').problems.join(), /stale/);
    assert.match(problemsOf((evidence) => (evidence.version = 0)).join(), /another version/);
    assert.match(problemsOf((evidence) => (evidence.plan.name = 'quick')).join(), /quick audit/);
  });

  it('does not trust a cell that did not measure what it says', () => {
    const wrongs: [(evidence: Evidence) => void, RegExp][] = [
      [(all) => (firstCost(all, 'Aether').passed = 500), /500 of 100000 came through/],
      [(all) => (firstCost(all, 'ipset').checksumErrors = 1), /checksums were wrong/],
      [(all) => (firstCost(all, 'ipset').received = 3), /3 packets came in/],
      [(all) => (firstFlood(all).offeredKpps = 20), /only 20 kpps came/],
      [(all) => (firstFlood(all).udpSent = 0), /no honest packet/],
      [(all) => (firstFlood(all).checksumErrors = 7), /checksums were wrong/],
    ];
    for (const [change, expected] of wrongs) assert.match(problemsOf(change).join('\n'), expected);
  });
});
