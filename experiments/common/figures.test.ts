import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Figure, isMet, lineOf, ratios, show, valueOf } from './figures';

const figure = (over: Partial<Figure>): Figure => ({
  claim: 'It is fast',
  unit: 'ms',
  bar: { measure: 'median', atMost: 20 },
  samples: [10, 30, 20],
  peer: null,
  ...over,
});
const peer = { name: 'snail', samples: [20, 60, 80] };
const ratio: Figure['bar'] = { measure: 'ratio', atMost: 0.4 };

describe('a figure', () => {
  it('is held against its bar by the measure that the bar names', () => {
    assert.equal(valueOf(figure({})), 20);
    assert.equal(valueOf(figure({ bar: { measure: 'max', atMost: 20 } })), 30);
    assert.equal(valueOf(figure({ bar: ratio, peer })), 0.5);
    assert.equal(isMet(figure({})), true);
    assert.equal(isMet(figure({ bar: { measure: 'max', atMost: 29.9 } })), false);
    assert.equal(isMet(figure({ bar: ratio, peer })), false);
  });

  it('compares each sample with the one that the peer took beside it', () => {
    assert.deepEqual(ratios(figure({ peer })), [0.5, 0.5, 0.25]);
  });

  it('without evidence is an error, not a pass', () => {
    assert.throws(() => isMet(figure({ samples: [] })), RangeError);
    assert.throws(() => isMet(figure({ bar: ratio })), /3 samples, 0 of a peer/);
    assert.throws(() => ratios(figure({ peer: { name: 'snail', samples: [1] } })), /1 of a peer/);
  });

  it('is shown with its spread, its peer and the verdict', () => {
    assert.deepEqual(show(figure({ bar: ratio, peer })), {
      bar: 'ratio ≤ 0.4 ×',
      measured: '0.5 ×',
      ours: '20 ms (10 … 30), n = 3',
      peer: 'snail: 60 ms (20 … 80)',
      met: 'no',
    });
    assert.match(lineOf(figure({})), /^✔ It is fast\n {4}median ≤ 20 ms: 20 ms; 20 ms \(10 … 30\)/);
  });
});
