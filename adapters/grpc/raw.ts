/** Unary calls whose messages are bytes: what is passed on, or is no message of ours, is neither read nor written. */
import type * as grpc from '@grpc/grpc-js';

export type Done = (error: grpc.ServiceError | null, answer?: Uint8Array) => void;

/** Serializer and deserializer in one. */
export const asIs = (bytes: Uint8Array): Buffer => Buffer.from(bytes);
