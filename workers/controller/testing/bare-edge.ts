/** The bare protocol of an edge, for what no agent would say, and to see what one would hear. */
import type { TestContext } from 'node:test';
import { EdgeStreamClient } from '../../../adapters/edge-stream/client';
import type { Down, Up } from '../../../adapters/edge-stream/proto';
import type { EdgeSpec } from '../../../core/model/edge-spec';
import { parseEdgeSpec } from '../../../core/model/values';
import { until } from '../../../workflows/testing/until';
import type { Cluster, Tls } from './cluster';

export function dial(
  t: Pick<TestContext, 'after'>,
  cluster: Pick<Cluster, 'edgePort'>,
  tls: Tls,
  onMessage: (down: Down) => void = () => undefined,
) {
  const heard: Down[] = [];
  const ends: string[] = [];
  let connected = 0;
  const controllers = [`127.0.0.1:${cluster.edgePort}`];
  const client = new EdgeStreamClient(
    { controllers, tls },
    {
      hello: () => ({
        incarnation: 1,
        agentVersion: 'test',
        acceptedRevision: 0,
        acceptedHash: '',
        appliedHash: '',
      }),
      connected: () => connected++,
      message: (_fence, message) => {
        heard.push(message);
        onMessage(message);
      },
      disconnected: (why) => ends.push(why),
    },
  );
  client.start();
  t.after(() => client.close());
  return {
    heard,
    ends,
    close: () => client.close(),
    say: (message: Up) => client.send(message),
    welcomed: () => until('welcome', () => connected > 0),
    refused: () => until('a refusal', () => ends[0]),
    /** The last spec that came and is as asked. */
    spec: (what: string, isRight: (spec: EdgeSpec) => boolean) =>
      until(what, () => heard.flatMap(specIn).filter(isRight).at(-1)),
  };
}

function specIn(down: Down): EdgeSpec[] {
  if (down.message !== 'spec') return [];
  const parsed = parseEdgeSpec(Buffer.from(down.spec.specJson).toString());
  if (!parsed.ok) throw new Error(`a spec that can't be read: ${parsed.reason}`);
  return [parsed.value];
}
