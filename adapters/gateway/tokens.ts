/**
 * Task tokens as edges see them: what Temporal made, and a MAC over it and the edge that it was handed
 * to. So nobody answers for another one, and no controller has to remember whom it gave what: the edge
 * may come back through any of them.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

const MAC_BYTES = 32;

export class TaskTokens {
  /** `secret`: the cluster's, 32 bytes; no edge ever sees it. */
  constructor(private readonly secret: Uint8Array) {}

  seal(edge: string, token: Uint8Array): Uint8Array {
    return Buffer.concat([token, this.mac(edge, token)]);
  }

  /** The token as Temporal made it; null where it was not handed to this edge. */
  open(edge: string, sealed: Uint8Array): Uint8Array | null {
    if (sealed.length <= MAC_BYTES) return null;
    const token = sealed.subarray(0, sealed.length - MAC_BYTES);
    const mac = sealed.subarray(sealed.length - MAC_BYTES);
    return timingSafeEqual(mac, this.mac(edge, token)) ? token : null;
  }

  /** No name has a NUL in it, so no two pairs of edge and token read the same. */
  private mac(edge: string, token: Uint8Array): Uint8Array {
    return createHmac('sha256', this.secret).update(`task\0${edge}\0`).update(token).digest();
  }
}
