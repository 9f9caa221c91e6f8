/** Namespace ids: how one namespace names another (struct rtgenmsg, NETNSA_*). */
import { Attributes } from './attributes';
import { Truncated } from './bytes';
import { AF, NETNSA, RTM } from './consts';
import { request, type Message } from './message';

/** struct rtgenmsg is one byte, padded to 4. */
const RTGENMSG = 4;

/** The id that the socket's namespace has for the namespace of `fd`; −1 where it has none. */
export const encodeGetNsid = (fd: number): Uint8Array =>
  request(RTM.GETNSID, 0, (w) => w.u32(AF.UNSPEC).attrU32(NETNSA.FD, fd));

export function decodeNsid({ bytes, start, end }: Message): number {
  if (end - start < RTGENMSG) throw new Truncated('rtgenmsg');
  const a = new Attributes(bytes, start + RTGENMSG, end);
  while (a.step()) if (a.type === NETNSA.NSID) return a.s32();
  return -1;
}
