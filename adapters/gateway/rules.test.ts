/** What an edge may say to Temporal, byte for byte. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { EDGE_NAMESPACE, judge, PASSED_METHODS, POLL, sealedTask } from './rules';
import { TaskTokens } from './tokens';
import { field, fieldsOf, varintField } from './wire';

const tokens = new TaskTokens(randomBytes(32));
const cluster = { namespace: 'production', tokens };

const text = (number: number, value: string): Uint8Array => field(number, Buffer.from(value));
const message = (...fields: Uint8Array[]): Buffer => Buffer.concat(fields);

const NAMESPACE = text(1, EDGE_NAMESPACE);
const IDENTITY = text(3, 'fra-1@42');
const queue = (...fields: Uint8Array[]): Uint8Array => field(2, message(...fields));
const OWN_QUEUE = queue(text(1, 'edge/fra-1'), varintField(2, 1));

const poll = (...fields: Uint8Array[]) => judge(POLL, 'fra-1', message(...fields), cluster);

const refusal = (verdict: ReturnType<typeof judge>): string =>
  verdict.ok ? 'passed' : verdict.why;

const shown = (request: Uint8Array): string[] =>
  fieldsOf(request).map(
    ({ number, value }) => `${number}=${Buffer.from(value).toString('latin1')}`,
  );

describe('a poll', () => {
  test('of its own queue passes, with the namespace as Temporal knows it and nothing that is not listed', () => {
    const instance = text(8, 'instance');
    const deployment = field(6, text(1, 'of-somebody'));
    const verdict = poll(NAMESPACE, deployment, OWN_QUEUE, IDENTITY, instance, text(99, 'news'));
    assert.ok(verdict.ok);
    const fields = shown(verdict.request);
    assert.deepEqual(
      fields.filter((line) => !line.startsWith('2=')),
      ['1=production', '3=fra-1@42', '8=instance'],
    );
    const own = fieldsOf(verdict.request).find(({ number }) => number === 2);
    assert.deepEqual(shown(own?.value ?? new Uint8Array()), ['1=edge/fra-1', '2=\x01']);
  });

  for (const [what, fields, why] of [
    ['of another edge', [queue(text(1, 'edge/fra-2'))], /"edge\/fra-2" is not edge\/fra-1/],
    ['of a queue that begins like its own', [queue(text(1, 'edge/fra-10'))], /is not/],
    ['of a partition of its own', [queue(text(1, '/_sys/edge/fra-1/1'))], /is not/],
    ['of workflows', [queue(text(1, 'aether-wf'))], /is not/],
    ['of a shard', [queue(text(1, 'ctl/shard-001'))], /is not/],
    ['without a queue', [], /field 2 is missing/],
    ['without a name', [queue()], /is not/],
    ['of a sticky queue', [queue(text(1, 'edge/fra-1'), varintField(2, 2))], /normal kind/],
    [
      'that hides a kind behind another',
      [queue(text(1, 'edge/fra-1'), varintField(2, 1), varintField(2, 3))],
      /normal kind/,
    ],
    [
      'with the normal name of another',
      [queue(text(1, 'edge/fra-1'), text(3, 'aether-wf'))],
      /is not/,
    ],
    ['of two queues', [OWN_QUEUE, queue(text(1, 'aether-wf'))], /2 times/],
    ['of a queue with two names', [queue(text(1, 'edge/fra-1'), text(1, 'aether-wf'))], /2 times/],
    ['with a queue that is a number', [varintField(2, 7)], /another type/],
  ] as const) {
    test(`${what} is refused`, () => {
      assert.match(refusal(poll(NAMESPACE, ...fields, IDENTITY)), why);
    });
  }

  test('in another namespace, or as somebody else, is refused', () => {
    assert.match(refusal(poll(text(1, 'default'), OWN_QUEUE, IDENTITY)), /namespace "default"/);
    assert.match(refusal(poll(NAMESPACE, OWN_QUEUE, text(3, 'c1'))), /"c1" is not fra-1/);
    assert.match(refusal(poll(NAMESPACE, OWN_QUEUE, text(3, 'fra-10@1'))), /is not fra-1/);
  });
});

describe('a task', () => {
  const token = Buffer.from('a token of Temporal');
  const RESPOND = 'RespondActivityTaskCompleted';
  const answer = (edge: string, sealed: Uint8Array) =>
    judge(
      RESPOND,
      edge,
      message(field(1, sealed), text(2, 'result'), text(3, edge), text(4, EDGE_NAMESPACE)),
      cluster,
    );

  test('comes with a sealed token and else as it was, and is answered with the token of Temporal', () => {
    const rest = message(text(2, 'production'), varintField(13, 1), text(6, '7'));
    const given = sealedTask('fra-1', message(field(1, token), rest), tokens);
    const [sealed, ...others] = fieldsOf(given);
    assert.deepEqual(message(...others.map(({ bytes }) => bytes)), rest);
    const verdict = answer('fra-1', sealed?.value ?? new Uint8Array());
    assert.ok(verdict.ok);
    assert.deepEqual(shown(verdict.request), [
      '4=production',
      '3=fra-1',
      '1=a token of Temporal',
      '2=result',
    ]);
  });

  test('of another edge, of another cluster, or without a seal is not answered', () => {
    const others = new TaskTokens(randomBytes(32)).seal('fra-1', token);
    const forged = tokens.seal('fra-1', token);
    forged[0] = (forged[0] ?? 0) ^ 1;
    for (const sealed of [tokens.seal('fra-2', token), others, forged, token, Buffer.alloc(32)]) {
      assert.match(refusal(answer('fra-1', sealed)), /was not handed to fra-1/);
    }
  });

  test('a poll that brought nothing stays as it is', () => {
    const empty = message(field(1, new Uint8Array()), varintField(13, 0));
    assert.deepEqual(Buffer.from(sealedTask('fra-1', empty, tokens)), empty);
    assert.equal(sealedTask('fra-1', new Uint8Array(), tokens).length, 0);
  });
});

test('a worker that ends can name no queue but its own, and no sticky one at all', () => {
  const down = (...fields: Uint8Array[]) =>
    judge('ShutdownWorker', 'fra-1', message(NAMESPACE, IDENTITY, ...fields), cluster);
  const verdict = down(text(2, 'aether-wf'), text(7, 'edge/fra-1'), text(5, 'heartbeat'));
  assert.ok(verdict.ok);
  assert.deepEqual(shown(verdict.request), ['1=production', '3=fra-1@42', '7=edge/fra-1']);
  assert.match(refusal(down(text(7, 'aether-wf'))), /is not/);
});

test('whatever bytes come, they are refused or passed on as a message of our own making', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc
      .array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.uint8Array({ maxLength: 40 })), {
        maxLength: 6,
      })
      .map((fields) => message(NAMESPACE, OWN_QUEUE, ...fields.map(([n, v]) => field(n, v)))),
  );
  fc.assert(
    fc.property(bytes, fc.constantFrom(...PASSED_METHODS), (request, method) => {
      const verdict = judge(method, 'fra-1', request, cluster);
      if (!verdict.ok) return;
      for (const { number, value } of fieldsOf(verdict.request)) {
        const is = Buffer.from(value).toString('latin1');
        if (method === POLL && number === 2) assert.ok(is.includes('edge/fra-1'));
        if (number === 1 && method !== 'GetSystemInfo' && !method.startsWith('R')) {
          assert.equal(is, 'production');
        }
      }
    }),
    { numRuns: 2_000 },
  );
});

test('millions of fields are refused before anybody makes an object of each', () => {
  const many = Buffer.alloc(4 << 20, Buffer.from([0x58, 1]));
  assert.match(refusal(judge(POLL, 'fra-1', many, cluster)), /more than 256 fields/);
});

test('what is cut off, grouped or without a number is no message', () => {
  for (const [bytes, why] of [
    [[0x0a], /cut off/],
    [[0x0a, 5, 1], /cut off/],
    [[0x0b], /wire type 3/],
    [[0x00, 1], /number 0/],
    [[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], /ten bytes/],
    [[0xfa, 0xff, 0xff, 0xff, 0x7f, 0], /out of range/],
    [[0x0d, 1, 2], /cut off/],
  ] as const) {
    assert.throws(() => fieldsOf(Uint8Array.from(bytes)), why);
  }
});
