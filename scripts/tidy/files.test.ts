import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { tiers } from '../test/tiers';
import { allFiles, ending, none, read, root } from './sources';

const LINES_LIMIT = 400;
const README_LIMIT = 10;
const DECISION_LIMIT = 60;
/** Files over the limit: their length today, which they may not pass, and why they are one file. */
const longFiles: Readonly<Record<string, { lines: number; why: string }>> = {};

/** What must not stand in a file (but in this one), with the reason. */
const banned: readonly { pattern: RegExp; why: string }[] = [
  {
    pattern: /(?:^|[\s"'`(=:])\/(?:work|root)\/(?=[a-z])/,
    why: 'a path of one machine',
  },
  { pattern: /\b(?:TODO|FIXME|XXX|HACK)\b(?!\()/, why: 'name what it waits for: TODO(reason)' },
  { pattern: /\.only\(/, why: 'a test that silences the others' },
  {
    pattern: /@ts-(?:ignore|nocheck)|eslint-disable|oxlint-disable(?!.* -- )/,
    why: 'say why: -- reason',
  },
  { pattern: /registry\.[a-z]+\.[a-z]|proxy\.golang|artifactory/, why: 'a registry by name' },
  { pattern: /"resolved":\s*"http/, why: 'the lock file names no registry' },
];

const topFolders = readdirSync(root, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !/^\.|^(node_modules|dist)$/.test(entry.name))
  .map((entry) => entry.name);

const lineCount = (text: string): number => text.trimEnd().split('\n').length;
const isText = (path: string): boolean => !/\.(png|svg|ico|gif|o|bin|hex|json\.gz)$/.test(path);

describe('files', () => {
  it('of each top folder begin with a README of at most ten lines', () => {
    const wrong = topFolders.filter((folder) => {
      const readme = `${folder}/README.md`;
      // docs is all prose: its index is the root README.
      if (folder === 'docs') return false;
      return !existsSync(join(root, readme)) || lineCount(read(readme)) > README_LIMIT;
    });
    none(wrong);
  });

  it(`hold at most ${LINES_LIMIT} lines, or a reason`, () => {
    const long = ending('.ts', '.cc', '.h', '.c')
      .map((path) => ({ path, lines: lineCount(read(path)) }))
      .filter(({ path, lines }) => lines > (longFiles[path]?.lines ?? LINES_LIMIT))
      .map(({ path, lines }) => `${path}: ${lines} lines`);
    none(long);
    for (const path of Object.keys(longFiles)) {
      assert.ok(existsSync(join(root, path)), `${path} is gone: strike it from the table`);
    }
  });

  it('hold nothing that is banned', () => {
    const found = allFiles
      .filter(isText)
      .filter((path) => path !== 'scripts/tidy/files.test.ts')
      .flatMap((path) =>
        read(path)
          .split('\n')
          .flatMap((line, index) =>
            banned
              .filter(({ pattern }) => pattern.test(line))
              .map(({ why }) => `${path}:${index + 1}: ${why}: ${line.trim().slice(0, 80)}`),
          ),
      );
    none(found);
  });

  it('of tests belong to a tier', () => {
    none(ending('.test.ts').filter((path) => !tiers.some((tier) => tier.takes(path))));
  });

  it('of examples are used by a test', () => {
    const tests = ending('.test.ts', 'testing.ts').map(read).join('\n');
    const unused = allFiles
      .filter((path) => path.startsWith('examples/') && !path.endsWith('README.md'))
      .filter((path) => !tests.includes(path) && !tests.includes(dirname(path)));
    none(unused);
  });

  it('of decisions have a number each, and fit a page', () => {
    const decisions = readdirSync(join(root, 'docs/decisions')).sort();
    none(decisions.filter((name) => !/^\d{4}-[a-z0-9-]+\.md$/.test(name)));
    const numbers = decisions.map((name) => name.slice(0, 4));
    none(decisions.filter((_, index) => numbers.indexOf(numbers[index] ?? '') !== index));
    const long = decisions.filter(
      (name) => lineCount(read(`docs/decisions/${name}`)) > DECISION_LIMIT,
    );
    none(long, `more than ${DECISION_LIMIT} lines`);
  });
});

describe('links in Markdown', () => {
  it('lead to a file, and to a heading in it', () => {
    const broken = ending('.md').flatMap((path) =>
      linksOf(read(path))
        .filter((link) => !resolves(path, link))
        .map((link) => `${path}: ${link}`),
    );
    none(broken);
  });
});

/** The relative targets of links and images, code left out. */
function linksOf(markdown: string): string[] {
  const prose = markdown.replace(/```[\s\S]*?```|`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map((match) => match[1] ?? '')
    .filter((link) => !/^[a-z]+:/.test(link));
}

function resolves(from: string, link: string): boolean {
  const [file = '', anchor] = link.split('#');
  const target = file === '' ? from : join(dirname(from), file);
  if (!existsSync(join(root, target))) return false;
  return anchor === undefined || headingsOf(read(target)).includes(anchor);
}

/** The anchors that a forge gives to headings: lower case, spaces to dashes, signs dropped. */
function headingsOf(markdown: string): string[] {
  return [...markdown.matchAll(/^#+\s+(.*)$/gm)].map((match) =>
    (match[1] ?? '')
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}
