/** A keeper over a real gobgpd, with all that it told. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { GobgpClient } from '../../../adapters/gobgp/client';
import { Gobgpd, type RouterHost, temporaryDirectory } from '../../../adapters/gobgp/testing';
import { createLogger } from '../../../adapters/telemetry/logger';
import { until } from '../../../adapters/testing/until';
import type { BgpSpec, NeighborSpec } from '../../../core/model/bgp';
import {
  BgpKeeper,
  type BgpKeeperParts,
  type BgpNeighborView,
  type BgpSessionEvent,
} from '../bgp-keeper';

export const OUR_ASN = 65001;
export const PEER_ASN = 65010;

export const neighbor = (address: string, more: Partial<NeighborSpec> = {}): NeighborSpec => ({
  address,
  asn: PEER_ASN,
  passwordRef: null,
  ttlSecurity: false,
  multihop: null,
  holdTimeMs: 9_000,
  maxPrefixes: 100,
  bfd: null,
  ...more,
});

export const bgpSpec = (neighbors: NeighborSpec[], more: Partial<BgpSpec> = {}): BgpSpec => ({
  asn: OUR_ASN,
  routerId: '10.99.0.1',
  listenPort: null,
  importPrefixes: [],
  installRoutes: false,
  neighbors,
  ...more,
});

export class KeptGobgpd {
  readonly gobgpd: Gobgpd;
  readonly client: GobgpClient;
  readonly keeper: BgpKeeper;
  readonly events: BgpSessionEvent[] = [];
  private readonly secretsDirectory: string;

  constructor(t: TestContext, more: Partial<BgpKeeperParts> = {}) {
    this.gobgpd = new Gobgpd(t).start();
    this.client = new GobgpClient(this.gobgpd.socket);
    this.secretsDirectory = temporaryDirectory(t);
    this.keeper = this.another(more);
    t.after(() => {
      this.keeper.close();
      this.client.close();
    });
  }

  /** Over the same gobgpd, as an agent that was restarted would. */
  another(more: Partial<BgpKeeperParts> = {}): BgpKeeper {
    return new BgpKeeper({
      port: this.client,
      secretsDirectory: this.secretsDirectory,
      log: createLogger(process.env['SHOW'] ? 'debug' : 'error', { node: 'test' }),
      onChange: () => undefined,
      onSession: (event) => void this.events.push(event),
      ...more,
    });
  }

  secret(name: string, value: string): void {
    writeFileSync(join(this.secretsDirectory, name), value);
  }

  view(address: string): BgpNeighborView | undefined {
    return this.keeper.views().find((view) => view.address === address);
  }

  /** Resolves to the view. */
  established(address: string, withinMs = 15_000): Promise<BgpNeighborView> {
    return until(
      `${address} is established`,
      () => {
        const view = this.view(address);
        return view?.state === 'established' && view.localAddress !== null ? view : null;
      },
      withinMs,
    );
  }

  problem(address: string, pattern: RegExp): Promise<string> {
    return until(`${address} has the problem ${pattern}`, () => {
      const problem = this.view(address)?.problem ?? '';
      return pattern.test(problem) ? problem : null;
    });
  }

  event(what: (event: BgpSessionEvent) => boolean, from = 0): Promise<BgpSessionEvent> {
    return until('an event', () => this.events.slice(from).find(what));
  }
}

export const v4 = (host: RouterHost): string => host.link.there.v4;
export const v6 = (host: RouterHost): string => host.link.there.v6;
