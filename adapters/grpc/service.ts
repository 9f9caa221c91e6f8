/** Reads a `.proto` of this repository. Messages are typed by hand beside each service. */
import { join } from 'node:path';
import { loadPackageDefinition, type ServiceDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const PROTO_DIRECTORY = join(__dirname, '../../../proto');

/**
 * Definition of a service, e.g. `loadService('admin.proto', 'aether.admin.v1.Admin')`.
 *
 * 64-bit integers arrive as numbers; proto-loader rounds what does not fit, so whatever is compared
 * or stored goes through `safe` first.
 */
export function loadService(file: string, name: string): ServiceDefinition {
  const definition = loadSync(join(PROTO_DIRECTORY, file), {
    longs: Number,
    enums: String,
    defaults: true,
    oneofs: true,
  });
  let node: unknown = loadPackageDefinition(definition);
  for (const part of name.split('.')) node = (node as Record<string, unknown>)[part];
  const { service } = node as { service?: ServiceDefinition };
  if (service === undefined) throw new Error(`${file} has no service ${name}`);
  return service;
}

/** An integer off the wire; throws RangeError where it can't be held exactly. */
export function safe(value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`integer off the wire out of range: ${value}`);
  }
  return value;
}

/** The words of an error of grpc-js, without what it wraps around them; of a message or of `details`. */
export const plainWords = (text: string): string =>
  text
    .replace(/^\d+ [A-Z_]+: /, '')
    .replace(/^No connection established\. Last error: (?:Error: )?/, '')
    .replace(/\.? Resolution note: ?$/, '')
    .replace(/^Deadline exceeded after (\d+)(?:\.\d+)?s.*$/s, 'no answer within $1 s');

/** One of several messages, told apart by the name of the field that is set (protobuf `oneof`). */
export type OneOf<M> = { [K in keyof M]: { message: K } & { [P in K]: M[P] } }[keyof M];
