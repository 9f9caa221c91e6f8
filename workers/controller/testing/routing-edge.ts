/**
 * An edge as its controller hears it: takes what it is told, says how its routing is, and follows the
 * stances that it is commanded. There is no gobgpd and no kernel behind it.
 */
import type { TestContext } from 'node:test';
import type { Command } from '../../../adapters/edge-stream/client';
import type { Down } from '../../../adapters/edge-stream/proto';
import type { EdgeSpec } from '../../../core/model/edge-spec';
import type { EdgeStatus } from '../../../core/model/messages';
import type {
  BfdSessionView,
  NeighborView,
  RoutingEvent,
  RoutingStatus,
} from '../../../core/model/routing';
import { exampleBfdSession } from '../../../core/model/testing';
import { parseEdgeSpec } from '../../../core/model/values';
import { dial, roam } from './bare-edge';
import type { Cluster } from './cluster';

const bytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

export interface RoutingEdge {
  readonly node: string;
  readonly acknowledged: number[];
  /** The spec it goes by. */
  readonly spec: EdgeSpec | null;
  /** Says what happened, with how it stands. */
  say(...events: RoutingEvent[]): void;
  /** The proof of its services is lost, or there again. */
  prove(holds: boolean): void;
  /** Sessions to routers are up, or all down. */
  connect(up: boolean): void;
  /** BFD sessions with edges of other regions. */
  watch(sessions: BfdSessionView[]): void;
  /** False: packets go on to come in however it stands. */
  quiet(is: boolean): void;
  close(): void;
}

type Heard = Down | Command;

export async function routingEdge(
  t: Pick<TestContext, 'after'>,
  cluster: Cluster,
  node: string,
  address: string,
  /** Of controllers that it goes from one to the other; absent: it stays with the cluster's first. */
  ports: readonly number[] | null = null,
): Promise<RoutingEdge> {
  const state = {
    spec: null as EdgeSpec | null,
    proven: true,
    up: true,
    bfdPeers: [] as BfdSessionView[],
    sinceMs: Date.now(),
    quiet: true,
    packets: 0,
  };
  const acknowledged: number[] = [];
  const tls = await cluster.certificate('edge', node);
  const edge =
    ports === null
      ? dial(t, cluster, tls, (down) => heard(down))
      : roam(
          t,
          ports,
          tls,
          (down) => heard(down),
          () => say(),
        );
  const say = (...events: RoutingEvent[]): void => {
    const routing = { statusJson: bytes(statusOf()), eventsJson: events.map(bytes) };
    edge.say({ message: 'routing', routing });
  };
  const changed = (): void => {
    state.sinceMs = Date.now();
    say();
  };

  function heard(down: Heard): void {
    switch (down.message) {
      case 'spec': {
        const parsed = parseEdgeSpec(Buffer.from(down.spec.specJson).toString());
        if (!parsed.ok) throw new Error(parsed.reason);
        state.spec = parsed.value;
        edge.say({
          message: 'applied',
          applied: { revision: down.spec.revision, hash: down.spec.hash },
        });
        return changed();
      }
      case 'statusRequest': {
        const { id } = down.statusRequest;
        edge.say({ message: 'statusReply', statusReply: { id, statusJson: bytes(edgeStatus()) } });
        return;
      }
      case 'filterRequest': {
        const { id } = down.filterRequest;
        state.packets += state.quiet ? 0 : 1;
        const services = (state.spec?.services ?? []).flatMap(({ addresses }) =>
          addresses.map((each) => ({ address: each, packets: state.packets, bytes: 0 })),
        );
        const answerJson = bytes({ kind: 'services', atMs: Date.now(), services });
        edge.say({ message: 'filterReply', filterReply: { id, answerJson, error: '' } });
        return;
      }
      case 'routingAck':
        acknowledged.push(down.routingAck.sequence);
        return;
      default:
    }
  }

  const neighbor = (): NeighborView => ({
    address: '192.0.2.1',
    asn: 64500,
    state: state.up ? 'established' : 'idle',
    localAddress: state.up ? address : null,
    sinceMs: state.sinceMs,
    accepted: 0,
    held: null,
    problem: state.up ? null : 'no answer',
    bfd: null,
  });

  function statusOf(): RoutingStatus {
    const { spec, proven, up, bfdPeers, sinceMs } = state;
    return {
      atMs: Date.now(),
      gobgpd: { problem: null },
      bfd: { problem: null, realtime: true },
      neighbors: [neighbor()],
      bfdPeers,
      services: (spec?.services ?? []).map(({ name, prefixes, commanded, permit }) => {
        const lost = permit ? ('withdraw' as const) : ('deprefer' as const);
        const stance = proven || commanded.stance === 'withdraw' ? commanded.stance : lost;
        return {
          service: name,
          prefixes,
          stance,
          announced: up && stance !== 'withdraw',
          why: [
            ...(commanded.stance === 'announce' ? [] : [commanded.why]),
            ...(proven ? [] : ['the probe fails']),
            ...(up ? [] : ['no session is established']),
          ],
          proven,
          sinceMs,
          permit,
        };
      }),
    };
  }

  function edgeStatus(): EdgeStatus {
    const { spec } = state;
    return {
      node,
      incarnation: 1,
      agentVersion: 'test',
      accepted: spec && { revision: spec.revision, hash: '', phase: spec.phase },
      appliedHash: null,
      findings: [],
      plan: [],
      planHash: '',
      incident: null,
      lastDecision: null,
      lastRepair: null,
      nextTimer: null,
      budget: { attempts: 1, used: 0, perMs: 1 },
      frozen: { local: false, node: false, global: false },
      controller: { connected: true, address: null, sinceMs: null },
      temporal: { connected: false },
      problems: [],
    };
  }

  await edge.welcomed();
  return {
    node,
    acknowledged,
    get spec() {
      return state.spec;
    },
    say,
    prove: (holds) => {
      state.proven = holds;
      changed();
    },
    connect: (up) => {
      state.up = up;
      changed();
    },
    watch: (sessions) => {
      state.bfdPeers = sessions;
      changed();
    },
    quiet: (is) => {
      state.quiet = is;
    },
    close: () => edge.close(),
  };
}

/** A BFD session with an edge of another region, up as if it always had been. */
export const bfdSession = (
  local: string,
  peer: string,
  over: Partial<BfdSessionView> = {},
): BfdSessionView => exampleBfdSession(local, peer, { sinceMs: Date.now() - 60_000, ...over });
