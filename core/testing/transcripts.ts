/**
 * Transcripts of the core's machines: text files below `core/<room>/testdata`. A line that begins with `@` is an
 * input, those indented below it are what came of it, all others are prose. REWRITE=1 writes down what comes.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

export interface Story {
  /** Plays one input; what came of it, a line each. */
  play(line: string): string[];
}

/** A test for each transcript of `room`, played by a story of its own. */
export function playTranscripts(room: string, begin: () => Story): void {
  const directory = join(__dirname, '../../../core', room, 'testdata');
  for (const name of readdirSync(directory)) {
    test(name, () => {
      const path = join(directory, name);
      const text = readFileSync(path, 'utf8');
      const played = replay(text, begin());
      if (process.env['REWRITE'] === '1') writeFileSync(path, played);
      else assert.equal(played, text);
    });
  }
}

function replay(text: string, story: Story): string {
  const kept = text.split('\n').filter((line) => !line.startsWith('  '));
  return kept
    .flatMap((line) =>
      line.startsWith('@') ? [line, ...story.play(line).map((effect) => `  ${effect}`)] : [line],
    )
    .join('\n');
}
