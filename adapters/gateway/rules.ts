/**
 * What an edge may ask of Temporal, and how its request reads when it is passed on. What decides
 * (namespace, queue, identity, task token) is written anew, fields that are listed here are passed as
 * they came, everything else is left out: a field that we do not know may be one that a newer server
 * obeys.
 *
 * Numbers: temporal/api/workflowservice/v1/request_response.proto and taskqueue/v1/message.proto.
 */
import { edgeQueue } from '../../core/model/ids';
import type { TaskTokens } from './tokens';
import { field, type Field, fieldsOf, MalformedMessage, numberIn, varintField } from './wire';

/** What edges call the namespace; its name in Temporal is none of their business. */
export const EDGE_NAMESPACE = 'aether';

export const POLL = 'PollActivityTaskQueue';

/** Numbers of the fields of a request. */
interface Rule {
  namespace?: number;
  identity?: number;
  token?: number;
  /** A TaskQueue. */
  queue?: number;
  /** A name of one, which may be missing. */
  queueName?: number;
  /** Passed on as they came. */
  passed: readonly number[];
}

/**
 * Left out on purpose, among others: `id` of DescribeNamespace, versions and deployments of a worker
 * (a poll can make a deployment), worker heartbeats (they speak for any worker), and the sticky queue
 * of ShutdownWorker (the server unloads whatever queue is named there).
 */
const RULES: Readonly<Record<string, Rule>> = {
  GetSystemInfo: { passed: [] },
  DescribeNamespace: { namespace: 1, passed: [] },
  [POLL]: { namespace: 1, queue: 2, identity: 3, passed: [8 /* worker_instance_key */] },
  RespondActivityTaskCompleted: { token: 1, identity: 3, namespace: 4, passed: [2 /* result */] },
  RespondActivityTaskFailed: {
    token: 1,
    identity: 3,
    namespace: 4,
    passed: [2 /* failure */, 5 /* last_heartbeat_details */],
  },
  RespondActivityTaskCanceled: { token: 1, identity: 3, namespace: 4, passed: [2 /* details */] },
  RecordActivityTaskHeartbeat: { token: 1, identity: 3, namespace: 4, passed: [2 /* details */] },
  ShutdownWorker: {
    namespace: 1,
    identity: 3,
    queueName: 7,
    passed: [4 /* reason */, 6 /* worker_instance_key */, 8 /* task_queue_types */],
  },
};

export const PASSED_METHODS: readonly string[] = Object.keys(RULES);

export interface Cluster {
  /** As Temporal knows it. */
  namespace: string;
  tokens: TaskTokens;
}

export type Verdict = { ok: true; request: Uint8Array } | { ok: false; why: string };

const TASK_QUEUE = { name: 1, kind: 2, normalName: 3 } as const;
const NORMAL = 1;

/** The request as it goes to Temporal, or why it does not. */
export function judge(
  method: string,
  edge: string,
  request: Uint8Array,
  cluster: Cluster,
): Verdict {
  const rule = RULES[method];
  if (rule === undefined) return { ok: false, why: `an edge may not call ${method}` };
  try {
    return { ok: true, request: Buffer.concat(rewritten(rule, edge, fieldsOf(request), cluster)) };
  } catch (error) {
    if (error instanceof Refused || error instanceof MalformedMessage) {
      return { ok: false, why: error.message };
    }
    throw error;
  }
}

class Refused extends Error {}

function rewritten(rule: Rule, edge: string, fields: Field[], cluster: Cluster): Uint8Array[] {
  const out: Uint8Array[] = [];
  const need = (number: number): Uint8Array =>
    single(fields, number) ?? refuse(`field ${number} is missing`);
  if (rule.namespace !== undefined) {
    const name = text(need(rule.namespace));
    if (name !== EDGE_NAMESPACE) refuse(`the namespace "${name}" is not for edges`);
    out.push(field(rule.namespace, Buffer.from(cluster.namespace)));
  }
  if (rule.identity !== undefined) {
    const identity = need(rule.identity);
    const name = text(identity);
    if (name !== edge && !name.startsWith(`${edge}@`)) refuse(`"${name}" is not ${edge}`);
    out.push(field(rule.identity, identity));
  }
  if (rule.queue !== undefined) {
    out.push(field(rule.queue, ownQueue(edge, need(rule.queue))));
  }
  if (rule.queueName !== undefined) {
    const name = single(fields, rule.queueName);
    if (name !== null && name.length > 0) out.push(field(rule.queueName, ownName(edge, name)));
  }
  if (rule.token !== undefined) {
    const token = cluster.tokens.open(edge, need(rule.token));
    out.push(field(rule.token, token ?? refuse(`the task was not handed to ${edge}`)));
  }
  out.push(...fields.filter(({ number }) => rule.passed.includes(number)).map(bytesOf));
  return out;
}

/** A TaskQueue that is this edge's own, written anew. */
function ownQueue(edge: string, message: Uint8Array): Uint8Array {
  const fields = fieldsOf(message);
  const name = ownName(edge, single(fields, TASK_QUEUE.name) ?? new Uint8Array());
  const kinds = fields.filter(({ number }) => number === TASK_QUEUE.kind);
  if (kinds.some((kind) => numberIn(kind) > NORMAL)) refuse('the queue is not of the normal kind');
  const normalName = single(fields, TASK_QUEUE.normalName);
  if (normalName !== null && normalName.length > 0) ownName(edge, normalName);
  return Buffer.concat([field(TASK_QUEUE.name, name), varintField(TASK_QUEUE.kind, NORMAL)]);
}

function ownName(edge: string, name: Uint8Array): Uint8Array {
  const own = edgeQueue(edge);
  return text(name) === own ? name : refuse(`the queue "${text(name)}" is not ${own}`);
}

/** The value of a length-delimited field; null where it is not there. */
function single(fields: Field[], wanted: number): Uint8Array | null {
  const found = fields.filter(({ number }) => number === wanted);
  const [only] = found;
  if (only === undefined) return null;
  if (found.length > 1) refuse(`field ${wanted} is there ${found.length} times`);
  if (only.type !== 2) refuse(`field ${wanted} has another type`);
  return only.value;
}

const bytesOf = ({ bytes }: Field): Uint8Array => bytes;

const refuse = (why: string): never => {
  throw new Refused(why);
};

/** For comparing and for a log: bytes that are no text read as what they are not. */
const text = (bytes: Uint8Array): string => Buffer.from(bytes.subarray(0, 200)).toString('latin1');

/** PollActivityTaskQueueResponse as the edge sees it: its task token sealed, all else as it came. */
export function sealedTask(edge: string, answer: Uint8Array, tokens: TaskTokens): Uint8Array {
  const TASK_TOKEN = 1;
  const fields = fieldsOf(answer).map(({ number, bytes, value }) =>
    number === TASK_TOKEN && value.length > 0 ? field(number, tokens.seal(edge, value)) : bytes,
  );
  return Buffer.concat(fields);
}
