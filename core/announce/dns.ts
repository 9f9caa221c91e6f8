/** As much of DNS (RFC 1035 §4) as a probe needs: one question, and what the answer's header says. */

const HEADER_BYTES = 12;
const FLAG_RD = 0x0100;
const FLAG_QR = 0x8000;
const RCODE = 0x000f;
const TYPE_A = 1;
const CLASS_IN = 1;

/** Names of RFC 1035 §4.1.1 and RFC 2136, for people. */
export const rcodeName = (rcode: number): string =>
  ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'][rcode] ?? `rcode ${rcode}`;

/** Throws RangeError where it is no name (labels of 1 … 63 bytes, 255 in all). */
export function dnsQuery(id: number, name: string): Uint8Array {
  const labels = name.replace(/\.$/, '').split('.');
  const encoded = name === '.' ? [] : labels.map(bytesOf);
  const length = encoded.reduce((sum, label) => sum + 1 + label.length, 1);
  if (length > 255 || encoded.some((label) => label.length < 1 || label.length > 63)) {
    throw new RangeError(`"${name}" is no name`);
  }
  const bytes = new Uint8Array(HEADER_BYTES + length + 4);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, id);
  view.setUint16(2, FLAG_RD);
  view.setUint16(4, 1);
  let at = HEADER_BYTES;
  for (const label of encoded) {
    bytes[at] = label.length;
    bytes.set(label, at + 1);
    at += 1 + label.length;
  }
  view.setUint16(at + 1, TYPE_A);
  view.setUint16(at + 3, CLASS_IN);
  return bytes;
}

/** Rcode of an answer to the query with that id; null where it is none: not ours, not an answer. */
export function dnsRcode(bytes: Uint8Array, id: number): number | null {
  if (bytes.length < HEADER_BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const flags = view.getUint16(2);
  return view.getUint16(0) === id && (flags & FLAG_QR) !== 0 ? flags & RCODE : null;
}

/** Other bytes than those of ASCII make an empty label: no name. */
const bytesOf = (label: string): Uint8Array =>
  Uint8Array.from(/^[\x21-\x7e]*$/.test(label) ? label : '', (char) => char.charCodeAt(0));
