/** Secrets of this host: one file each, in a directory that only root and the agent read. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** TCP_MD5SIG_MAXKEYLEN of include/uapi/linux/tcp.h. */
const MAX_BYTES = 80;

export type Secret = { value: string } | { problem: string };

/** Without the line end that editors leave. Never in a log, a status or an error. */
export async function readSecret(directory: string, name: string): Promise<Secret> {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name))
    return { problem: `no name of a secret: ${name}` };
  const path = join(directory, name);
  try {
    const value = (await readFile(path, 'utf8')).replace(/\r?\n$/, '');
    if (value === '') return { problem: `the secret ${path} is empty` };
    const bytes = Buffer.byteLength(value);
    if (bytes <= MAX_BYTES) return { value };
    return { problem: `the secret ${path} has ${bytes} bytes; TCP MD5 takes ${MAX_BYTES}` };
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    return { problem: `the secret ${path} can't be read: ${code}` };
  }
}
