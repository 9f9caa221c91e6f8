/**
 * Each file of proto/ beside its former version in proto/testdata: fields are added, never changed, renumbered or
 * reused, and what one version writes the other reads. Versions are added there when a release changes a file.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadSync } from '@grpc/proto-loader';

const PROTO = join(__dirname, '../../../proto');
const NOW = join(PROTO, 'edge_stream.proto');
const V1 = join(PROTO, 'testdata/edge_stream.v1.proto');
const FORMER = /^(?<name>\w+)\.v(?<version>\d+)\.proto$/;

/** As protobuf.js reads them; what we look at of FieldDescriptorProto and its like. */
interface Field {
  name: string;
  number: number;
  label: string;
  type: string;
  typeName: string;
  oneofIndex?: number;
}
interface Message {
  name: string;
  field: Field[];
  nestedType: Message[];
  enumType: { name: string; value: { name: string; number: number }[] }[];
  oneofDecl: { name: string }[];
}
interface Method {
  path: string;
  requestStream: boolean;
  responseStream: boolean;
  requestType: { type: Message };
  responseType: { type: Message };
}

/** Lines that a later version has to have, too: one a field, value of an enum, and method. */
function shape(path: string): Map<string, string> {
  const lines = new Map<string, string>();
  const message = (at: string, { field, nestedType, enumType, oneofDecl }: Message): void => {
    for (const each of field) {
      const { name, number, label, type, typeName, oneofIndex } = each;
      const oneof = oneofIndex === undefined ? '' : ` in ${oneofDecl[oneofIndex]?.name}`;
      lines.set(`${at} ${number}`, `${name}: ${label} ${type} ${typeName}${oneof}`);
    }
    for (const each of nestedType) message(`${at}.${each.name}`, each);
    for (const each of enumType) {
      for (const { name, number } of each.value) lines.set(`${at}.${each.name} ${number}`, name);
    }
  };
  for (const [name, found] of Object.entries(loadSync(path))) {
    if ('format' in found) {
      // Enums are looked at where they are declared, if within a message.
      if (found.format === 'Protocol Buffer 3 DescriptorProto') {
        message(name, found.type as Message);
      }
      continue;
    }
    for (const each of Object.values(found) as unknown as Method[]) {
      const { path: at, requestType, responseType, requestStream, responseStream } = each;
      const types = `${requestType.type.name} ${requestStream} ${responseType.type.name} ${responseStream}`;
      lines.set(at, types);
    }
  }
  return lines;
}

type Codec = { serialize(value: object): Buffer; deserialize(bytes: Buffer): object };

function codec(path: string, service: string, method: string, end: 'request' | 'response'): Codec {
  const definition = loadSync(path, { longs: Number, defaults: true, oneofs: true });
  const found = (definition[service] as unknown as Record<string, Record<string, unknown>>)[method];
  return {
    serialize: found?.[`${end}Serialize`] as Codec['serialize'],
    deserialize: found?.[`${end}Deserialize`] as Codec['deserialize'],
  };
}

const formers = readdirSync(join(PROTO, 'testdata')).flatMap((file) => {
  const { name, version } = FORMER.exec(file)?.groups ?? {};
  return name === undefined ? [] : [{ file, name, version: Number(version) }];
});

test('every file of proto/ has a former version to be held against', () => {
  const now = readdirSync(PROTO).filter((file) => file.endsWith('.proto'));
  const held = new Set(formers.map(({ name }) => `${name}.proto`));
  assert.deepEqual(
    now.filter((file) => !held.has(file) && !NEW.has(file)),
    [],
  );
});

/** Not in any release yet. */
const NEW = new Set(['peer.proto']);

/** What of `former` is not so in `path` any more, a line each. */
function changes(former: string, path: string): string[] {
  const now = shape(path);
  const before = shape(former);
  assert.ok(before.size > 0);
  return [...before]
    .filter(([at, is]) => now.get(at) !== is)
    .map(([at, is]) => `${at}: was ${is}, is ${now.get(at) ?? 'gone'}`);
}

for (const { file, name } of formers) {
  test(`${name}.proto has all that ${file} has`, () => {
    assert.deepEqual(changes(join(PROTO, 'testdata', file), join(PROTO, `${name}.proto`)), []);
  });
}

test('a field that is renumbered, renamed, of another type or gone is told', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'aether-proto-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const text = readFileSync(V1, 'utf8');
  for (const [was, is] of [
    ['string applied_hash = 5;', 'string applied_hash = 6;'],
    ['string applied_hash = 5;', 'string hash_applied = 5;'],
    ['string applied_hash = 5;', 'bytes applied_hash = 5;'],
    ['string applied_hash = 5;', ''],
    ['    Chunk chunk = 8;\n', ''],
    ['rpc Connect(stream Up)', 'rpc Connect(Up)'],
  ] as const) {
    assert.ok(text.includes(was));
    const path = join(directory, 'changed.proto');
    writeFileSync(path, text.replace(was, is));
    assert.equal(changes(V1, path).length, 1, is);
  }
});

const both = (end: 'request' | 'response') =>
  [V1, NOW].map((path) => codec(path, 'aether.edge.v1.EdgeStream', 'Connect', end)) as [
    Codec,
    Codec,
  ];

test('an older end passes over what only a newer one says, and reads the rest', () => {
  const [oldUp, newUp] = both('request');
  const [oldDown, newDown] = both('response');
  const fence = { clusterIncarnation: 1, shard: 7, ownerRevision: 42 };
  const hello = {
    incarnation: 3,
    agentVersion: '0.2.0',
    acceptedRevision: 9,
    acceptedHash: 'abc',
    appliedHash: 'abd',
  };
  const up = (value: object) => oldUp.deserialize(newUp.serialize(value));
  const down = (value: object) => oldDown.deserialize(newDown.serialize(value));
  assert.deepEqual(up({ hello: { ...hello, protocol: 2, fence } }), { message: 'hello', hello });
  assert.deepEqual(up({ moved: { controller: 'b' } }), {});
  assert.deepEqual(up({ fenced: { fence } }), {});
  const controllers = [{ id: 'c1', address: '192.0.2.1:7700' }];
  const welcome = { controller: 'c1', protocol: 2, controllers, spreadMs: 50 };
  assert.deepEqual(down({ fence, welcome }), {
    fence,
    message: 'welcome',
    welcome: { controller: 'c1' },
  });
  assert.deepEqual(down({ fence, heartbeat: { atMs: 5, spreadMs: 1, lost: true } }), {
    fence,
    message: 'heartbeat',
    heartbeat: { atMs: 5 },
  });
  assert.deepEqual(down({ redirect: { controller: 'b', address: 'x:1' } }), { fence: null });
  assert.deepEqual(down({ controllers: { controllers } }), { fence: null });
});

test('a newer end reads what an older one says, and sees that it is older', () => {
  const [oldUp, newUp] = both('request');
  const [oldDown, newDown] = both('response');
  const hello = {
    incarnation: 3,
    agentVersion: '0.1.0',
    acceptedRevision: 9,
    acceptedHash: '',
    appliedHash: '',
  };
  assert.deepEqual(newUp.deserialize(oldUp.serialize({ hello })), {
    message: 'hello',
    hello: { ...hello, protocol: 0, fence: null },
  });
  assert.deepEqual(newDown.deserialize(oldDown.serialize({ welcome: { controller: 'c1' } })), {
    fence: null,
    message: 'welcome',
    welcome: { controller: 'c1', protocol: 0, controllers: [], spreadMs: 0 },
  });
  assert.deepEqual(newDown.deserialize(oldDown.serialize({ heartbeat: { atMs: 5 } })), {
    fence: null,
    message: 'heartbeat',
    heartbeat: { atMs: 5, spreadMs: 0, lost: false },
  });
});
