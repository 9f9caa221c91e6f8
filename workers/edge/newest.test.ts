import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../../adapters/native/test-support';
import { Newest } from './newest';

const RETRY_MS = 50;

/** A disk that takes what it is given, or is full. */
class Disk {
  readonly written: number[] = [];
  isFull = false;

  async write(value: number): Promise<string | null> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.isFull) return 'ENOSPC';
    this.written.push(value);
    return null;
  }
}

function made(): { disk: Disk; newest: Newest<number> } {
  const disk = new Disk();
  return { disk, newest: new Newest((value) => disk.write(value), RETRY_MS) };
}

/** Timers of that length that were armed before this have fired by then. */
const past = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test('what comes while one is being written is one write, of the newest', async () => {
  const { disk, newest } = made();
  for (const value of [1, 2, 3]) newest.save(value);
  await newest.flushed();
  assert.deepEqual(disk.written, [1, 3]);
});

test('what could not be written is never written over something newer', async () => {
  const { disk, newest } = made();
  disk.isFull = true;
  for (const value of [1, 2]) {
    newest.save(value);
    await newest.flushed();
  }
  disk.isFull = false;
  newest.save(3);
  await newest.flushed();
  await past(2 * RETRY_MS);
  assert.deepEqual(disk.written, [3]);
});

test('what could not be written is written once there is room, the newest alone', async () => {
  const { disk, newest } = made();
  disk.isFull = true;
  for (const value of [1, 2]) {
    newest.save(value);
    await newest.flushed();
  }
  disk.isFull = false;
  await waitFor('it is written', () => disk.written.length > 0);
  await past(2 * RETRY_MS);
  assert.deepEqual(disk.written, [2]);
});
