/** What the kernel refused, in the words of whoever asked. */
import { constants } from 'node:os';

const NAMES = new Map(Object.entries(constants.errno).map(([name, errno]) => [errno, name]));

/** `ENODEV` for 19. Only errnos that netlink answers with are needed, and libuv knows those. */
export const errnoName = (errno: number): string => NAMES.get(errno) ?? `E${errno}`;

/**
 * A netlink request that did not succeed. `changed: null`: its answer was lost, so it may have taken
 * effect; read the state again. Otherwise nothing has changed.
 */
export class NetlinkError extends Error {
  readonly code: string;

  constructor(
    readonly errno: number,
    /** What was asked: `link set edge0`. */
    readonly op: string,
    /** The kernel's own sentence, or empty. */
    readonly extack: string,
    readonly changed: false | null,
  ) {
    const code = errnoName(errno);
    const why = extack ? `${code}: ${extack}` : code;
    super(`${op}: ${why}${changed === null ? ' (outcome unknown: read the state again)' : ''}`);
    this.name = 'NetlinkError';
    this.code = code;
  }
}

/** The `code` of any error of this folder or of Node; empty where there is none. */
export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}
