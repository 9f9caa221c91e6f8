import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { drawList, isListed, prefixText, sourcesListed, sourcesOutside, texts } from './prefixes';

const ENTRIES = 20_000;
const mixed = drawList('mixed', ENTRIES, 1);
const hosts = drawList('hosts', ENTRIES, 1);
const share = (length: number): number =>
  mixed.prefixes.lengths.filter((one) => one === length).length / ENTRIES;

describe('a list', () => {
  it('has as many entries as were asked for, 14 lengths of which most are hosts', () => {
    assert.equal(mixed.prefixes.lengths.length, ENTRIES);
    assert.ok(Math.abs(share(32) - 0.9) < 0.02, `/32: ${share(32)}`);
    assert.ok(Math.abs(share(24) - 0.07) < 0.01, `/24: ${share(24)}`);
    assert.equal(new Set(mixed.prefixes.lengths).size, 14);
    assert.deepEqual([...new Set(hosts.prefixes.lengths)], [32]);
  });

  it('is the same each time, and another one for another seed', () => {
    assert.deepEqual(drawList('mixed', 100, 7), drawList('mixed', 100, 7));
    assert.notDeepEqual(drawList('mixed', 100, 7), drawList('mixed', 100, 8));
  });

  it('holds each source that is drawn from it, and none that is drawn outside', () => {
    for (const list of [mixed, hosts]) {
      const sources = sourcesListed(list, 3);
      assert.equal(sources.length, ENTRIES);
      assert.ok(sources.every((source) => isListed(list, source)));
    }
    const outside = sourcesOutside([mixed, hosts], 5_000, 3);
    assert.ok(outside.every((source) => !isListed(mixed, source) && !isListed(hosts, source)));
  });

  it('draws no source that a network would not route', () => {
    const all = [...sourcesListed(mixed, 3), ...sourcesOutside([mixed], 5_000, 3)];
    const odd = all.filter(
      (source) => [0, 10, 127].includes(source >>> 24) || source >>> 24 >= 224,
    );
    assert.deepEqual(odd, []);
  });

  it('is written as tools read it', () => {
    assert.equal(prefixText(0xc0000201, 32), '192.0.2.1');
    assert.equal(prefixText(0xc0000200, 24), '192.0.2.0/24');
    assert.equal(texts(drawList('hosts', 1, 5)).length, 1);
  });
});
