/** Calls of WorkflowService as messages, for those who do without the SDK's own connection. */
import { WorkflowService } from '@temporalio/client';

/** What the SDK exports as a class is a service of protobufjs, whose methods know their messages. */
interface Message {
  encode(value: object): { finish(): Uint8Array };
  decode(bytes: Uint8Array): unknown;
}
interface Method {
  resolve(): { resolvedRequestType: Message; resolvedResponseType: Message };
}
const service = WorkflowService as unknown as {
  methods: Record<string, Method | undefined>;
};

export interface Codec {
  request(value: object): Buffer;
  answer(bytes: Uint8Array): unknown;
}

export function codecOf(method: string): Codec {
  const found = service.methods[method]?.resolve();
  if (found === undefined) throw new Error(`WorkflowService has no method ${method}`);
  const { resolvedRequestType, resolvedResponseType } = found;
  return {
    request: (value) => Buffer.from(resolvedRequestType.encode(value).finish()),
    answer: (bytes) => resolvedResponseType.decode(bytes),
  };
}
