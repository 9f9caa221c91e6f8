/**
 * What the parser says of a frame, written again from docs/notes/filter.md and the RFCs, with slices
 * and exceptions: slow, and of another mind than the program it is held against.
 */

export type Parsed = 'notIp' | 'malformed' | 'wellFormed';

const EXTENSIONS = new Set([0, 43, 44, 51, 60]);

class Malformed extends Error {}

function take(bytes: Buffer, size: number): [head: Buffer, rest: Buffer] {
  if (bytes.length < size) throw new Malformed();
  return [bytes.subarray(0, size), bytes.subarray(size)];
}

/** A header behind IP; `first`: of a fragment, so what follows is not all there. */
function transport(protocol: number, icmp: number, payload: Buffer, first: boolean): void {
  if (protocol === 6) {
    const [header] = take(payload, 20);
    const words = header[12]! >> 4;
    if (words < 5) throw new Malformed();
    take(payload, words * 4);
  } else if (protocol === 17) {
    const [header] = take(payload, 8);
    const length = header.readUInt16BE(4);
    if (length < 8 || (!first && length > payload.length)) throw new Malformed();
  } else if (protocol === icmp) {
    take(payload, 8);
  }
}

function laterFragment(protocol: number, offset: number, payload: Buffer): Parsed {
  const overwritesFlags = protocol === 6 && offset === 1;
  if (overwritesFlags || offset * 8 + payload.length > 65535) throw new Malformed();
  return 'wellFormed';
}

function ipv4(frame: Buffer): Parsed {
  const [fixed] = take(frame, 20);
  const words = fixed[0]! & 15;
  if (fixed[0]! >> 4 !== 4 || words < 5) throw new Malformed();
  const [packet] = take(frame, fixed.readUInt16BE(2));
  const [, payload] = take(packet, words * 4);
  const field = fixed.readUInt16BE(6);
  const offset = field & 0x1fff;
  if (offset > 0) return laterFragment(fixed[9]!, offset, payload);
  transport(fixed[9]!, 1, payload, (field & 0x2000) !== 0);
  return 'wellFormed';
}

function ipv6(frame: Buffer): Parsed {
  const [fixed, behind] = take(frame, 40);
  if (fixed[0]! >> 4 !== 6) throw new Malformed();
  let [payload] = take(behind, fixed.readUInt16BE(4));
  let next = fixed[6]!;
  let fragmented = false;
  for (let passed = 0; EXTENSIONS.has(next); passed++) {
    if (passed === 6) throw new Malformed();
    const [head] = take(payload, 8);
    const size = next === 44 ? 8 : next === 51 ? (head[1]! + 2) * 4 : (head[1]! + 1) * 8;
    const field = next === 44 ? head.readUInt16BE(2) : 0;
    [, payload] = take(payload, size);
    next = head[0]!;
    if (field >> 3 > 0) return laterFragment(next, field >> 3, payload);
    fragmented ||= (field & 1) === 1;
  }
  transport(next, 58, payload, fragmented);
  const kind = next === 58 ? payload[0]! : 0;
  const neighbour = kind >= 133 && kind <= 137 && fixed[7] === 255 && !fragmented;
  return neighbour ? 'notIp' : 'wellFormed';
}

export function parse(frame: Buffer): Parsed {
  let at = 12;
  for (let tags = 0; ; tags++) {
    if (frame.length < at + 2) return 'notIp';
    const type = frame.readUInt16BE(at);
    at += 2;
    try {
      if (type === 0x0800) return ipv4(frame.subarray(at));
      if (type === 0x86dd) return ipv6(frame.subarray(at));
    } catch (error) {
      if (error instanceof Malformed) return 'malformed';
      throw error;
    }
    if ((type !== 0x8100 && type !== 0x88a8) || tags === 2) return 'notIp';
    at += 2;
  }
}
