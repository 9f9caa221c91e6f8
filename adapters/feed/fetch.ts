/** Gets the bytes of a feed: over HTTP, or from a file of this host. Never throws for what it finds. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

export interface FeedRequest {
  url: string;
  /** Of the answer that is known already; null: whatever is there. */
  etag: string | null;
  maxBytes: number;
  timeoutMs: number;
  signal: AbortSignal;
}

export type Fetched =
  | { kind: 'unchanged' }
  /** `etag` null: the server gives none. */
  | { kind: 'bytes'; bytes: Uint8Array<ArrayBuffer>; etag: string | null }
  /** `mayPass`: the same again may well succeed. */
  | { kind: 'failed'; message: string; mayPass: boolean };

const failed = (message: string, mayPass = false): Fetched => ({
  kind: 'failed',
  message,
  mayPass,
});

const tooLong = (maxBytes: number): Fetched => failed(`it has more than ${maxBytes} bytes`);

export async function fetchFeed(request: FeedRequest): Promise<Fetched> {
  try {
    return await (request.url.startsWith('file:') ? fromFile(request) : overHttp(request));
  } catch (error) {
    if (request.signal.aborted) throw error;
    if ((error as Error).name === 'TimeoutError') {
      return failed(`it did not come within ${request.timeoutMs} ms`, true);
    }
    return failed(wordsOf(error), true);
  }
}

/** The reason behind "fetch failed", or the error itself. */
function wordsOf(error: unknown): string {
  const { cause, message } = error as Error;
  if (!(cause instanceof Error)) return message;
  return cause.message || String((cause as NodeJS.ErrnoException).code);
}

async function overHttp({ url, etag, maxBytes, timeoutMs, signal }: FeedRequest): Promise<Fetched> {
  const headers: Record<string, string> = { 'user-agent': 'aether', accept: 'text/*, */*;q=0.5' };
  if (etag !== null) headers['if-none-match'] = etag;
  const limits = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  const response = await fetch(url, { headers, signal: limits });
  if (response.status === 304) return { kind: 'unchanged' };
  if (!response.ok || response.body === null) {
    await response.body?.cancel();
    const { status, statusText } = response;
    const said = `the server answers ${status} ${statusText}`.trimEnd();
    return failed(said, status >= 500 || status === 429);
  }
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  // The promised length may be that of the compressed form; what counts is what comes.
  for await (const piece of response.body as AsyncIterable<Uint8Array>) {
    bytes += piece.length;
    if (bytes > maxBytes) return tooLong(maxBytes);
    pieces.push(piece);
  }
  return { kind: 'bytes', bytes: joined(pieces, bytes), etag: response.headers.get('etag') };
}

function joined(pieces: readonly Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/** Regular files only: a device or a pipe might never end. */
async function fromFile({ url, etag, maxBytes }: FeedRequest): Promise<Fetched> {
  const file = await open(fileURLToPath(url), constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return await readWhole(file, etag, maxBytes);
  } finally {
    await file.close();
  }
}

async function readWhole(
  file: FileHandle,
  etag: string | null,
  maxBytes: number,
): Promise<Fetched> {
  const stat = await file.stat();
  const { size, mtimeMs } = stat;
  if (!stat.isFile()) return failed('it is no regular file');
  const present = `"${mtimeMs}-${size}"`;
  if (present === etag) return { kind: 'unchanged' };
  if (size > maxBytes) return tooLong(maxBytes);
  // One more than it had: a file that grows under us is read anew at the next try.
  const bytes = new Uint8Array(size + 1);
  let read = 0;
  while (read < bytes.length) {
    const { bytesRead } = await file.read(bytes, read, bytes.length - read);
    if (bytesRead === 0) break;
    read += bytesRead;
  }
  if (read !== size) return failed('it changed while it was read', true);
  return { kind: 'bytes', bytes: bytes.slice(0, size), etag: present };
}
