import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { check } from '../check';
import { soundEvidence } from '../testing';
import { toHtml } from './html';
import { logScale, short, spreadOut } from './svg';
import { tablesOf, toText } from './tables';

const evidence = soundEvidence('cafe');
const html = toHtml(evidence, check(evidence, 'cafe'));

describe('the report', () => {
  it('is one file: it fetches nothing and runs nothing', () => {
    assert.doesNotMatch(html, /<script|<link|src=|@import|url\(/);
  });

  it('closes what it opens', () => {
    const open: string[] = [];
    for (const [, slash, name = '', rest = ''] of html.matchAll(
      /<(\/?)([a-z][a-z0-9]*)([^>]*)>/gi,
    )) {
      if (slash === '/') assert.equal(open.pop(), name);
      else if (!rest.endsWith('/') && !['meta', 'br'].includes(name)) open.push(name);
    }
    assert.deepEqual(open, []);
  });

  it('draws each filter, and holds no number that is none', () => {
    for (const { filter } of evidence.loads) assert.ok(html.includes(filter), filter);
    assert.equal(html.match(/<svg/g)?.length, 3);
    assert.doesNotMatch(html, /NaN|Infinity|undefined/);
  });

  it('says what is wrong with the evidence', () => {
    assert.match(toHtml(evidence, check(evidence, 'another')), /it is stale/);
  });
});

describe('the tables', () => {
  it('stand in columns on a terminal', () => {
    const [costs] = tablesOf(evidence);
    assert.ok(costs);
    const [, head = '', ...rows] = toText(costs).split('\n');
    const place = head.indexOf('dropped, ns') + 'dropped, ns'.length;
    assert.ok(rows.length > 10);
    for (const row of rows) assert.equal(row.slice(place, place + 2).trim(), '', row);
  });
});

describe('the plots', () => {
  it('put a value where it belongs, and ticks at round values', () => {
    const scale = logScale([1, 1e6], 0, 100);
    assert.ok(Math.abs(scale(1) + scale(1e6) - 100) < 1e-9);
    assert.deepEqual(scale.ticks, [1, 10, 100, 1e3, 1e4, 1e5, 1e6]);
    assert.deepEqual(logScale([90, 2100], 0, 100).ticks, [100, 200, 500, 1000, 2000]);
    assert.ok(Number.isFinite(logScale([7], 0, 100)(7)));
  });

  it('shorten numbers', () => {
    assert.deepEqual([1, 1234, 10_000, 1_000_000, 0.25].map(short), [
      '1',
      '1.23k',
      '10k',
      '1M',
      '0.25',
    ]);
  });

  it('move labels apart that would lie on one another', () => {
    const placed = spreadOut([50, 50, 52, 200], 10);
    const sorted = [...placed].sort((a, b) => a - b);
    for (let i = 1; i < sorted.length; i++) {
      assert.ok((sorted[i] ?? 0) - (sorted[i - 1] ?? 0) > 9.9, placed.join());
    }
    assert.equal(placed[3], 200);
  });
});
