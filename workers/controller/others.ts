/** What this controller has with the others: tells them of its edges, hears of theirs, over mTLS. */
import type { Logger } from 'pino';
import type { Credentials, Served } from '../../adapters/grpc/mtls';
import { PeerServer } from '../../adapters/peer/server';
import type { NodeName } from '../../core/model/ids';
import type { ControllerValue } from '../../core/model/values';
import type { CertificateView } from '../../core/model/views';
import { shardOf } from '../../core/ring/shard';
import type { DesiredState } from './desired';
import type { Edges } from './edges';
import { askLocal, Fleet, toldFacts } from './fleet';
import { Peers } from './peers';

export interface OthersDependencies {
  self: string;
  registration: ControllerValue;
  tls: Credentials;
  desired: DesiredState;
  edges: () => Edges;
  /** Our own. */
  certificates: () => CertificateView[];
  /** Something is known anew of an edge that is elsewhere, or of a controller. */
  changed: () => void;
  log: Logger;
}

const SYNC_EVERY_MS = 500;

export class Others {
  readonly peers: Peers;
  readonly fleet: Fleet;
  readonly #server: PeerServer;
  readonly #timer: NodeJS.Timeout;

  constructor(dependencies: OthersDependencies) {
    const { self, registration, tls, desired, edges, certificates, changed, log } = dependencies;
    const controllers = () => desired.controllers();
    const isGone = (node: NodeName) => desired.ready && !desired.isDeclared(node);
    this.peers = new Peers({ self, tls, controllers, isGone, changed, log });
    const ownerOf = (node: NodeName) => desired.owner(shardOf(node))?.value.controller ?? null;
    this.fleet = new Fleet({ self, edges, peers: this.peers, ownerOf });
    this.#server = new PeerServer({
      controller: self,
      boot: registration.boot,
      nodes: () => edges().nodes(),
      facts: (node) => {
        const facts = edges().get(node);
        return facts && Buffer.from(JSON.stringify(toldFacts(facts, performance.now())));
      },
      certificates: () => JSON.stringify(certificates()),
      ask: (node, question) => askLocal(edges(), node, question),
    });
    this.#timer = setInterval(() => {
      edges().forget(isGone);
      this.peers.sync();
    }, SYNC_EVERY_MS);
  }

  served(): Served {
    return this.#server.served();
  }

  /** Something is known anew of an edge of ours. */
  tell(node: NodeName): void {
    this.#server.changed(node);
  }

  close(): void {
    clearInterval(this.#timer);
    this.peers.close();
    this.#server.close();
  }
}
