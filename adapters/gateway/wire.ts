/**
 * Protobuf on the wire (protobuf.dev/programming-guides/encoding), as far as a gateway has to see it: the
 * fields of a message, each as the bytes that it came in. Stricter than a decoder: what two decoders
 * could read differently is refused, for whoever decodes next is another one than we.
 */

export interface Field {
  number: number;
  /** 0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes; groups are refused. */
  type: number;
  /** Tag included. */
  bytes: Uint8Array;
  /** Without tag and length. */
  value: Uint8Array;
}

/** The bytes are no message, or none that is read in one way only. */
export class MalformedMessage extends Error {
  override readonly name = 'MalformedMessage';
}

const fail = (why: string): never => {
  throw new MalformedMessage(why);
};

/** Requests and answers have a dozen; an object for each of two million in 4 MB is what nobody has memory for. */
export const FIELDS_MAX = 256;

/** @throws {MalformedMessage} */
export function fieldsOf(message: Uint8Array): Field[] {
  const fields: Field[] = [];
  let at = 0;
  while (at < message.length) {
    if (fields.length === FIELDS_MAX) fail(`it has more than ${FIELDS_MAX} fields`);
    const start = at;
    const tag = varint(message, at);
    if (tag.value >= 2 ** 32) fail('a tag is out of range');
    const number = Math.floor(tag.value / 8);
    const type = tag.value % 8;
    if (number === 0) fail('a field has the number 0');
    let valueAt = tag.end;
    let end: number;
    if (type === 0) end = varint(message, valueAt).end;
    else if (type === 1) end = valueAt + 8;
    else if (type === 5) end = valueAt + 4;
    else if (type === 2) {
      const length = varint(message, valueAt);
      valueAt = length.end;
      end = valueAt + length.value;
    } else return fail(`field ${number} has the wire type ${type}`);
    if (end > message.length) fail(`field ${number} is cut off`);
    const [bytes, value] = [message.subarray(start, end), message.subarray(valueAt, end)];
    fields.push({ number, type, bytes, value });
    at = end;
  }
  return fields;
}

/** `value` is exact below 2^53, and too large for every use above. */
function varint(bytes: Uint8Array, start: number): { value: number; end: number } {
  let value = 0;
  for (let i = 0; i < 10; i++) {
    const byte = bytes[start + i];
    if (byte === undefined) return fail('a number is cut off');
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { value, end: start + i + 1 };
  }
  return fail('a number has more than ten bytes');
}

/** Of an enumeration, so below 2^31. */
export function numberIn({ type, number, value }: Field): number {
  if (type !== 0) fail(`field ${number} is no varint`);
  const read = varint(value, 0).value;
  return read < 2 ** 31 ? read : fail(`field ${number} is out of range`);
}

/** A length-delimited field. */
export function field(number: number, value: Uint8Array): Uint8Array {
  return Buffer.concat([encoded(number * 8 + 2), encoded(value.length), value]);
}

export const varintField = (number: number, value: number): Uint8Array =>
  Buffer.concat([encoded(number * 8), encoded(value)]);

function encoded(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  bytes.push(rest);
  return Uint8Array.from(bytes);
}
