/**
 * What every key holds, as its first version wrote it (testdata/values.v1.txt): every later one reads it, and would write
 * it back as it is, so that the former one reads that, too. A version is added there when a release changes a value.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseGovernor } from './governor';
import { canonicalJson } from './hash';
import * as values from './values';

const TEXT = readFileSync(join(__dirname, '../../../core/model/testdata/values.v1.txt'), 'utf8');

type Parser = (text: string) => values.Parsed<unknown>;

/** By the first word of the key. What is wanted is read to the letter, the rest is not (decision 0178). */
const WANTED: Record<string, Parser> = {
  nodes: values.parseNodeValue,
  phases: values.parsePhaseValue,
  overrides: values.parseFreezeValue,
  freeze: values.parseFreezeValue,
  services: values.parseServiceValue,
  blocklists: values.parseBlocklistValue,
  feeds: values.parseFeedValue,
  blocks: values.parseBlockValue,
  unbound: values.parseUnboundValue,
  routing: values.parseNodeRouting,
  traffic: values.parseServiceTraffic,
  permits: values.parsePermits,
  governor: parseGovernor,
};
const TOLD: Record<string, Parser> = {
  cluster: values.parseClusterValue,
  controllers: values.parseControllerValue,
  ring: values.parseRingValue,
  movements: values.parseMovementsValue,
  own: values.parseOwnerValue,
  warm: values.parseWarmValue,
  certificates: values.parseCertificateValue,
  removed: values.parseRemovedValue,
};
const PARSERS = { ...WANTED, ...TOLD };

const formers = TEXT.split('\n').flatMap((line) => {
  const space = line.indexOf(' ');
  return space < 0 ? [] : [{ key: line.slice(0, space), text: line.slice(space + 1) }];
});
const kindOf = (key: string): string => key.split('/')[0] ?? '';

const read = (key: string, text: string): unknown => {
  const parsed = (PARSERS[kindOf(key)] ?? assert.fail(key))(text);
  assert.ok(parsed.ok, parsed.ok ? '' : `${key}: ${parsed.reason}`);
  return parsed.value;
};

test('every key has a former value to be held against', () => {
  const kinds = new Set(formers.map(({ key }) => kindOf(key)));
  assert.deepEqual([...kinds].sort(), Object.keys(PARSERS).sort());
});

test('what a former version has written is read, and is what this one writes', () => {
  for (const { key, text } of formers) assert.equal(canonicalJson(read(key, text)), text, key);
});

/** `value` with a field more in each of its objects. */
const later = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(later);
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value).map(([name, each]) => [name, later(each)]);
  return { ...Object.fromEntries(fields), later: { of: 'a later version' } };
};

test('how the cluster is, a later version may say more of', () => {
  for (const { key, text } of formers.filter(({ key: each }) => kindOf(each) in TOLD)) {
    const more = JSON.stringify(later(JSON.parse(text)));
    const known = { ...(read(key, more) as object), later: undefined };
    assert.equal(canonicalJson(known), text, key);
  }
});

test('what a controller says of itself that is not known here, stays when another one writes its key', () => {
  const { key, text } =
    formers.find((each) => each.key.startsWith('controllers/')) ?? assert.fail();
  const more = canonicalJson({ ...JSON.parse(text), later: [1] });
  assert.equal(canonicalJson(read(key, more)), more);
});

test('what is wanted and not understood is not taken for something else', () => {
  for (const { key, text } of formers.filter(({ key: each }) => kindOf(each) in WANTED)) {
    const parsed = PARSERS[kindOf(key)]?.(JSON.stringify({ ...JSON.parse(text), later: 1 }));
    assert.equal(parsed?.ok, false, key);
  }
});

test('a port that there is not is no address', () => {
  const { text } = formers.find(({ key }) => key.startsWith('controllers/')) ?? assert.fail();
  const value = JSON.parse(text);
  for (const [port, ok] of [
    [7701, true],
    [65535, true],
    [65536, false],
    [99999, false],
  ] as const) {
    const wrong = JSON.stringify({ ...value, gossipAddress: `192.0.2.1:${port}` });
    assert.equal(values.parseControllerValue(wrong).ok, ok, String(port));
  }
});
