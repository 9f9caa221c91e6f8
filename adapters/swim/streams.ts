/** TCP: exchanges of all that is known, and looks at members whose packets do not come. One question and answer each. */
import { connect, type Socket } from 'node:net';
import type { Address } from '../../core/swim/types';
import type { Refusal } from '../../core/swim/wire';
import { type Said, STREAM_BYTES_MAX } from '../../core/swim/wire-stream';
import { type Secrets, unwrapStream } from './framing';

/** Label and encryption around the longest. */
const BYTES_MAX = STREAM_BYTES_MAX + 1_024;

export type Heard = { ok: true; said: Said } | { ok: false; why: Refusal | 'closed' | 'timeout' };

/** The next thing that the other side says, within `timeoutMs`. The socket is left open. */
export function hear(
  socket: Socket,
  secrets: Secrets,
  from: 'asks' | 'answers',
  timeoutMs: number,
): Promise<Heard> {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0);
    const done = (heard: Heard): void => {
      clearTimeout(timer);
      socket.off('data', data).off('end', ended).off('close', ended);
      resolve(heard);
    };
    const ended = (): void => done({ ok: false, why: 'closed' });
    const data = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes.length > BYTES_MAX) return done({ ok: false, why: 'tooLong' });
      const heard = unwrapStream(secrets, bytes, from);
      if (heard.ok || heard.why !== 'short') done(heard);
    };
    const timer = setTimeout(() => done({ ok: false, why: 'timeout' }), timeoutMs);
    socket.on('data', data).on('end', ended).on('close', ended);
  });
}

/** What became of a connection: `reached` once the other host has taken it. */
export type Asked =
  | { reached: true; heard: Heard }
  /** `refused`: nobody listens there, or who did is gone. */
  | { reached: false; refused: boolean };

const GONE = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE']);

export interface Question {
  to: { host: string; port: number };
  /** Ours: packets and streams shall come from one address. */
  from: string;
  /** Wrapped already. */
  bytes: Uint8Array;
  timeoutMs: number;
  /** As soon as the other host has taken the connection. */
  onReached?: () => void;
  /** Tells a socket that has to be closed with everything else. */
  onOpen(socket: Socket): void;
}

/** Never rejects. */
export function ask(secrets: Secrets, question: Question): Promise<Asked> {
  const { to, from, bytes, timeoutMs, onReached, onOpen } = question;
  const asked = new Promise<Asked>((resolve) => {
    const socket = connect({ ...to, localAddress: from, noDelay: true });
    onOpen(socket);
    const done = (asked: Asked): void => {
      clearTimeout(timer);
      resolve(asked);
      socket.destroy();
    };
    const timer = setTimeout(() => done({ reached: false, refused: false }), timeoutMs);
    socket.on('error', ({ code = '' }: NodeJS.ErrnoException) => {
      done({ reached: false, refused: GONE.has(code) });
    });
    socket.once('close', () => done({ reached: false, refused: false }));
    socket.once('connect', () => {
      clearTimeout(timer);
      onReached?.();
      socket.write(bytes);
      void hear(socket, secrets, 'answers', timeoutMs).then((heard) =>
        // A reset says more than that it is closed, and comes as an error right after.
        setImmediate(() => done({ reached: true, heard })),
      );
    });
  });
  // What is no port is thrown.
  return asked.catch(() => ({ reached: false, refused: false }));
}

export const toHost = ({ ip, port }: Address): { host: string; port: number } => ({
  host: ip,
  port,
});
