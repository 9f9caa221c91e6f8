/** Messages (struct nlmsghdr), acknowledgements and the end of dumps. */
import { AttributeWriter, Attributes } from './attributes';
import { Truncated, align4, readS32, readU16, readU32 } from './bytes';
import { NLMSG, NLMSGERR_ATTR, NLM_F } from './consts';

/** u32 length, u16 type, u16 flags, u32 seq, u32 port id. */
export const HEADER_SIZE = 16;

/** One message inside a buffer; the bytes are not copied. */
export interface Message {
  type: number;
  flags: number;
  seq: number;
  /** nlmsg_pid: in an event, the port of the socket that asked for the change. */
  portId: number;
  bytes: Uint8Array;
  /** Of the payload. */
  start: number;
  end: number;
}

/** Calls `visit` with each message in `bytes[0, size)`. The object is reused between calls. */
export function forEachMessage(
  bytes: Uint8Array,
  size: number,
  visit: (message: Message) => void,
): void {
  if (size > bytes.length) throw new Truncated('datagram');
  const message: Message = { type: 0, flags: 0, seq: 0, portId: 0, bytes, start: 0, end: 0 };
  let at = 0;
  while (size - at >= HEADER_SIZE) {
    const length = readU32(bytes, at);
    if (length < HEADER_SIZE || length > size - at) throw new Truncated('message');
    message.type = readU16(bytes, at + 4);
    message.flags = readU16(bytes, at + 6);
    message.seq = readU32(bytes, at + 8);
    message.portId = readU32(bytes, at + 12);
    message.start = at + HEADER_SIZE;
    message.end = at + length;
    at += align4(length);
    visit(message);
  }
}

/** What the kernel says at the end of a request or a dump. */
export interface Ack {
  /** Positive; 0 = success. */
  errno: number;
  /** The kernel's sentence (extended ack), or empty. */
  extack: string;
}

/** Payload of NLMSG_ERROR and NLMSG_DONE: s32 −errno, for an error the request's header, attributes. */
export function decodeAck(message: Message): Ack {
  const { bytes, start, end, type, flags } = message;
  if (end - start < 4) {
    // A DONE without a code is an old kernel's success.
    if (type === NLMSG.DONE) return { errno: 0, extack: '' };
    throw new Truncated('ack');
  }
  const ack: Ack = { errno: Math.abs(readS32(bytes, start)), extack: '' };
  if (!(flags & NLM_F.ACK_TLVS)) return ack;
  let at = start + 4;
  if (type === NLMSG.ERROR) {
    if (end - at < HEADER_SIZE) throw new Truncated('ack');
    const requestLength = flags & NLM_F.CAPPED ? HEADER_SIZE : readU32(bytes, at);
    if (requestLength < HEADER_SIZE || requestLength > end - at) throw new Truncated('ack');
    at += align4(requestLength);
  }
  const attributes = new Attributes(bytes, Math.min(at, end), end);
  while (attributes.step()) {
    if (attributes.type === NLMSGERR_ATTR.MSG) ack.extack = attributes.string();
  }
  return ack;
}

/** A request to be: `Exchange` fills in the sequence number. */
export function request(
  type: number,
  flags: number,
  write: (w: AttributeWriter) => void,
): Uint8Array {
  const w = new AttributeWriter();
  w.u32(0)
    .u16(type)
    .u16(flags | NLM_F.REQUEST)
    .u32(0)
    .u32(0);
  write(w);
  w.patchU32(0, w.length);
  return w.finish();
}
