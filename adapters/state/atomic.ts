/** A file that is either as it was or as it shall be, whenever the power goes. */
import { renameSync, writeFileSync } from 'node:fs';
import { open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Writes beside `path`, syncs, renames over it and syncs the directory. Rejects with the errno of
 * what failed (ENOSPC, EROFS, …); `path` then holds what it held before, unless that was the last
 * step (EIO): then it holds the new content, which a lost power may take back. Not for two writers at
 * once: there is one temporary name, so that crashes leave at most one such file behind.
 */
export async function writeAtomically(path: string, content: string | Uint8Array): Promise<void> {
  // The rename itself lies in the directory; it is opened before, so that nothing but the disk fails after.
  const directory = await open(dirname(path), 'r');
  try {
    await replace(path, content);
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function replace(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${path}.new`;
  try {
    await writeSynced(temporary, content);
    await rename(temporary, path);
  } catch (error) {
    // A full disk is not helped by half a file on it; the first error is the one that counts.
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
}

/**
 * As `writeAtomically`, but for this boot alone, and at once: a killed process leaves the file whole, a lost power
 * need not. For a tmpfs: a disk could keep the loop waiting.
 */
export function replaceNow(path: string, content: string | Uint8Array): void {
  const temporary = `${path}.new`;
  writeFileSync(temporary, content, { mode: 0o600 });
  renameSync(temporary, path);
}

async function writeSynced(path: string, content: string | Uint8Array): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}
