/** Edges that only keep their stream: they accept what they are sent and say that it is applied. */
import { EdgeStreamClient } from '../../adapters/edge-stream/client';
import type { EdgeStatus } from '../../core/model/messages';
import { DEFAULT_REPAIR } from '../../core/model/node';
import type { Cluster } from '../../workers/controller/testing/cluster';

/** Dialled at once; each costs both ends an mTLS handshake. */
const DIALS_AT_ONCE = 50;

export class QuietEdges {
  readonly #clients = new Map<string, { client: EdgeStreamClient; applied: string }>();

  async connect(cluster: Cluster, names: readonly string[]): Promise<void> {
    for (let i = 0; i < names.length; i += DIALS_AT_ONCE) {
      await Promise.all(
        names.slice(i, i + DIALS_AT_ONCE).map((name) => this.#connect(cluster, name)),
      );
    }
  }

  /** Says that something else is applied than what is wanted: an audit has to see it. */
  lie(name: string): void {
    const edge = this.#clients.get(name);
    edge?.client.send({ message: 'applied', applied: { revision: 1, hash: 'something else' } });
  }

  close(): void {
    for (const { client } of this.#clients.values()) client.close();
  }

  async #connect(cluster: Cluster, name: string): Promise<void> {
    const tls = await cluster.certificate('edge', name);
    await new Promise<void>((connected) => {
      const edge = { client: this.#client(cluster, name, tls, connected), applied: '' };
      this.#clients.set(name, edge);
      edge.client.start();
    });
  }

  #client(
    cluster: Cluster,
    name: string,
    tls: Awaited<ReturnType<Cluster['certificate']>>,
    onConnected: () => void,
  ): EdgeStreamClient {
    let revision = 0;
    let hash = '';
    const client: EdgeStreamClient = new EdgeStreamClient(
      { controllers: [`127.0.0.1:${cluster.edgePort}`], tls },
      {
        hello: () => ({
          incarnation: 1,
          agentVersion: 'simulated',
          acceptedRevision: revision,
          acceptedHash: hash,
          appliedHash: hash,
        }),
        connected: onConnected,
        disconnected: () => undefined,
        message: (_fence, down) => {
          if (down.message === 'spec') {
            ({ revision, hash } = down.spec);
            client.send({ message: 'applied', applied: { revision, hash } });
          } else if (down.message === 'statusRequest') {
            const statusJson = Buffer.from(JSON.stringify(statusOf(name, revision, hash)));
            client.send({
              message: 'statusReply',
              statusReply: { id: down.statusRequest.id, statusJson },
            });
          }
        },
      },
    );
    return client;
  }
}

const statusOf = (node: string, revision: number, hash: string): EdgeStatus => ({
  node,
  incarnation: 1,
  agentVersion: 'simulated',
  accepted: hash === '' ? null : { revision, hash, phase: 'active' },
  appliedHash: hash,
  findings: [],
  plan: [],
  planHash: '',
  incident: null,
  lastDecision: null,
  lastRepair: null,
  nextTimer: null,
  budget: { attempts: DEFAULT_REPAIR.budget.attempts, used: 0, perMs: DEFAULT_REPAIR.budget.perMs },
  frozen: { local: false, node: false, global: false },
  controller: { connected: true, address: null, sinceMs: null },
  temporal: { connected: false },
  problems: [],
});
