import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { type Room, matrix, testsAlso } from './matrix';
import { type Import, allFiles, ending, importsOf, isTest, none, read } from './sources';

const sources = ending('.ts').filter((path) => path.includes('/'));
const roomOf = (path: string): string => path.split('/')[0] ?? '';
/** `@scope/name/deep/path` → `@scope/name` */
const packageOf = (from: string): string => from.split('/', from.startsWith('@') ? 2 : 1).join('/');

/** Why this import is not allowed there, or null. */
function objection(path: string, room: Room, found: Import): string | null {
  const test = isTest(path);
  if (found.from.startsWith('.')) {
    const target = roomOf(join(dirname(path), found.from));
    if (target === roomOf(path) || room.rooms.includes(target)) return null;
    if (test && room.testRooms?.includes(target) === true) return null;
    if (!room.types.includes(target)) return `${roomOf(path)} may not import ${target}`;
    return found.typeOnly ? null : `${roomOf(path)} may import ${target} only as types`;
  }
  if (found.from.startsWith('node:')) {
    return room.node || (test && testsAlso.node) ? null : `${roomOf(path)} may not import Node`;
  }
  const name = packageOf(found.from);
  if (test && testsAlso.packages.includes(name)) return null;
  const where = room.packages[name];
  if (where === undefined) return `${roomOf(path)} may not import the package ${name}`;
  return test || path.startsWith(where) ? null : `only ${where} may import ${name}`;
}

describe('imports', () => {
  it('stay within the matrix', () => {
    const objections = sources.flatMap((path) => {
      const room = matrix[roomOf(path)];
      if (room === undefined) return [`${path}: ${roomOf(path)} is not in scripts/tidy/matrix.ts`];
      return importsOf(read(path)).flatMap((found) => {
        const why = objection(path, room, found);
        return why === null ? [] : [`${path}:${found.line}: '${found.from}': ${why}`];
      });
    });
    none(objections);
  });

  it('are what the project references say', () => {
    for (const [name, room] of Object.entries(matrix)) {
      const config = JSON.parse(read(`${name}/tsconfig.json`)) as {
        references?: { path: string }[];
      };
      const referenced = (config.references ?? []).map(({ path }) => path.split('/')[1] ?? '');
      const allowed = [...room.rooms, ...room.types];
      const beyond = referenced.filter((path) => !allowed.includes(path));
      none(beyond, `${name}/tsconfig.json refers to more than the matrix allows`);
    }
  });

  it('by other means than import are in adapters/native alone, which loads the addon', () => {
    const loads = /\brequire\(|\bcreateRequire\b|\bdlopen\b/;
    const product = sources.filter((path) => !path.startsWith('scripts/') && !isTest(path));
    const loaders = product.filter((path) => loads.test(read(path)));
    none(loaders.filter((path) => !path.startsWith('adapters/native/')));
  });

  it('use every dependency that package.json names, at an exact version', () => {
    const { dependencies, devDependencies } = JSON.parse(read('package.json')) as {
      dependencies: Record<string, string>;
      devDependencies: Record<string, string>;
    };
    const all = { ...dependencies, ...devDependencies };
    const loose = Object.keys(all).filter((name) => !/^\d+\.\d+\.\d+$/.test(all[name] ?? ''));
    none(loose, 'a caret makes two checkouts differ');
    const imported = new Set(
      sources.flatMap((path) => importsOf(read(path)).map(({ from }) => packageOf(from))),
    );
    // Used by name in Makefiles, scripts and configuration instead.
    const tools = ['@types/node', 'node-addon-api', 'node-gyp', 'oxlint', 'oxlint-tsgolint'];
    tools.push('prettier', 'typescript');
    const dead = Object.keys(all).filter((name) => !imported.has(name) && !tools.includes(name));
    none(dead);
  });

  it('are looked for in a tree that is there', () => {
    assert.ok(
      sources.length > 50,
      `only ${sources.length} of ${allFiles.length} files are sources`,
    );
  });
});
