import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { CLAIMS, COLUMNS, type Row, parse, render, rowsOf } from './claims';
import { outOf } from './common/experiment';
import { EXPERIMENTS_DIRECTORY, readResults, resultsPath } from './common/results';
import { EXPERIMENTS, lessOf } from './table';

const rows = parse(readFileSync(CLAIMS, 'utf8'));
const linkOf = (row: Row): { name: string; file: string } => {
  const [, name = '', file = ''] = /^\[(.+)\]\((.+)\)$/.exec(row.Experiment) ?? [];
  return { name, file: join(EXPERIMENTS_DIRECTORY, file) };
};

describe('CLAIMS.md', () => {
  it('names for each claim a folder and a results file that bears it out', () => {
    assert.ok(rows.length > 0);
    for (const row of rows) {
      const { name, file } = linkOf(row);
      assert.ok(existsSync(join(EXPERIMENTS_DIRECTORY, name)), `${name} is no folder`);
      const declared = EXPERIMENTS.find((one) => one.name === name);
      assert.ok(declared, `${name} is not in table.ts`);
      const results = readResults(file);
      assert.ok(results, `${file} is not there: ${declared.command}`);
      const wanted = rowsOf(declared, results).find(({ Claim }) => Claim === row.Claim);
      assert.deepEqual(row, wanted, `the results say otherwise: ${declared.command}`);
    }
  });

  it('leaves out no experiment and no figure', () => {
    for (const { name } of EXPERIMENTS) {
      const [first] = rows.filter((row) => linkOf(row).name === name);
      assert.ok(first, `${name} has no row`);
      const results = readResults(linkOf(first).file);
      const claimed = rows.filter((row) => linkOf(row).name === name).map(({ Claim }) => Claim);
      assert.deepEqual(
        claimed,
        results?.figures.map(({ claim }) => claim),
      );
    }
  });

  it('knows every folder that measures', () => {
    const measuring = readdirSync(EXPERIMENTS_DIRECTORY, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('/measure.ts'))
      .map((path) => dirname(path));
    assert.deepEqual(measuring.sort(), EXPERIMENTS.map(({ name }) => name).sort());
  });

  it('is read back as it is written', () => {
    assert.deepEqual(parse(render(rows)), rows);
    assert.throws(() => parse('| Claim |\n| --- |\n| it is fast |\n'), /other columns/);
    assert.equal(COLUMNS.length, Object.keys(rows[0] ?? {}).length);
  });
});

/** How a run.js takes an option; it measures nothing, since no count is 0. */
function refusal(name: string, option: string): Promise<string> {
  const argv = [join(__dirname, name, 'run.js'), `--${option}`, '0'];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  return new Promise((resolve) => child.once('close', () => resolve(said)));
}

describe('a shorter run', () => {
  it('is asked only of those that have one, and they know it by that option', async () => {
    const shorter = EXPERIMENTS.flatMap(({ name, shorter: option }) =>
      option === undefined ? [] : [{ name, option }],
    );
    assert.ok(shorter.length > 1);
    for (const { name, option } of shorter) {
      assert.match(await refusal(name, option), new RegExp(`--${option} takes a number`), name);
    }
    const less = { smoke: false, runs: '2', minutes: '3' };
    for (const one of EXPERIMENTS) {
      const wanted = one.shorter === undefined ? [] : [`--${one.shorter}`, less[one.shorter]];
      assert.deepEqual(lessOf(one, less), wanted, one.name);
    }
  });

  it('is written nowhere, or where somebody says', () => {
    assert.equal(outOf('soak', undefined, true), resultsPath('soak'));
    assert.equal(outOf('soak', undefined, false), null);
    assert.equal(outOf('soak', '/elsewhere', false), '/elsewhere');
  });
});
