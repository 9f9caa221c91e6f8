/** The bare protocol of an edge, for what no agent would say, and to see what one would hear. */
import type { TestContext } from 'node:test';
import { type Command, EdgeStreamClient } from '../../../adapters/edge-stream/client';
import { DialedStream } from '../../../adapters/edge-stream/dial';
import { type Down, type Hello, PROTOCOL, type Up } from '../../../adapters/edge-stream/proto';
import type { EdgeSpec } from '../../../core/model/edge-spec';
import { parseEdgeSpec } from '../../../core/model/values';
import { until } from '../../../workflows/testing/until';
import type { Cluster, Tls } from './cluster';

const REDIAL_MS = 200;
const UNHEARD: ReadonlySet<Down['message']> = new Set(['heartbeat', 'redirect', 'controllers']);

const HELLO: Hello = {
  incarnation: 1,
  agentVersion: 'test',
  acceptedRevision: 0,
  acceptedHash: '',
  appliedHash: '',
  protocol: PROTOCOL,
  fence: null,
};

/** Dials that controller for ever, and says what it is asked to, owner or not. */
export function dial(
  t: Pick<TestContext, 'after'>,
  cluster: Pick<Cluster, 'edgePort'>,
  tls: Tls,
  onMessage: (down: Down) => void = () => undefined,
) {
  const heard: Down[] = [];
  const ends: string[] = [];
  let welcomed = 0;
  let timer: NodeJS.Timeout | undefined;
  const open = (): DialedStream =>
    new DialedStream(
      `127.0.0.1:${cluster.edgePort}`,
      { tls },
      {
        hello: () => HELLO,
        welcomed: () => welcomed++,
        message: (down) => {
          if (down.fence === null || UNHEARD.has(down.message)) return;
          heard.push(down);
          onMessage(down);
        },
        silent: () => undefined,
        drained: () => undefined,
        ended: ({ why }) => {
          ends.push(why);
          timer = setTimeout(() => (stream = open()), REDIAL_MS);
        },
      },
    );
  let stream = open();
  const close = (): void => {
    clearTimeout(timer);
    stream.close();
  };
  t.after(close);
  return {
    heard,
    ends,
    close,
    say: (message: Up) => stream.send(message),
    welcomed: () => until('welcome', () => welcomed > 0),
    refused: () => until('a refusal', () => ends[0]),
    /** The last spec that came and is as asked. */
    spec: (what: string, isRight: (spec: EdgeSpec) => boolean) =>
      until(what, () => heard.flatMap(specIn).filter(isRight).at(-1)),
  };
}

/** As an agent: dials all of these, follows its owner, speaks to it alone. `owned`: an owner has taken it in. */
export function roam(
  t: Pick<TestContext, 'after'>,
  ports: readonly number[],
  tls: Tls,
  onMessage: (down: Command) => void,
  owned: () => void,
) {
  let connected = false;
  const client = new EdgeStreamClient(
    { controllers: ports.map((port) => `127.0.0.1:${port}`), tls },
    {
      hello: () => HELLO,
      connected: () => {
        connected = true;
        owned();
      },
      message: (_fence, message) => onMessage(message),
      disconnected: () => undefined,
    },
  );
  client.start();
  t.after(() => client.close());
  return {
    say: (message: Up) => client.send(message),
    close: () => client.close(),
    welcomed: () => until('an owner', () => connected),
  };
}

export function specIn(down: Down): EdgeSpec[] {
  if (down.message !== 'spec') return [];
  const parsed = parseEdgeSpec(Buffer.from(down.spec.specJson).toString());
  if (!parsed.ok) throw new Error(`a spec that can't be read: ${parsed.reason}`);
  return [parsed.value];
}
