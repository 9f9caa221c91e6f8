/**
 * Verbs on announcements, run by the controller that owns the shard of the node or of the service's name,
 * on `ctl/shard-NNN`. Commands are keys (docs/notes/routing.md); the edges follow their specs. Waiting is
 * done here and not in workflows: it costs heartbeats, no history.
 */
import { STANCES } from '../core/model/anycast';
import type { Stance } from '../core/model/anycast';
import type { NodeName } from '../core/model/ids';
import { SEEN_AS } from '../core/model/routing-messages';
import type {
  Commanded,
  EdgeRouting,
  NodeCommand,
  Placement,
  Seen,
  SeenAs,
  ServiceCounters,
  TrafficCommand,
  Waited,
  Wish,
} from '../core/model/routing-messages';
import { follows, quietFor, resting, seenAs, sessionsUp } from '../core/routing/evidence';
import type { Judgement, Rest, Way } from '../core/routing/evidence';
import { assertInput, badNode, beforeTimeout, callPort, insist } from './failures';

/** All may be repeated. What is named and is not there is left out of the answer. */
export interface RoutingPort {
  /**
   * Services of a node, each with as many of its nodes as it takes to know the floor; or the one of that name, with all
   * nodes of its selector. From etcd itself or
   * from what is watched at a revision not before the last command this caller saw; on any controller.
   */
  placement(of: { node: NodeName } | { service: string }): Promise<Placement>;
  /** Of these nodes, all of shards that this controller holds: what their edges said last. */
  routingOf(nodes: NodeName[]): Promise<EdgeRouting[]>;
  /**
   * Writes `routing/<node>`, fenced; where it withdraws, `governor` in the same transaction. Refused with FloorReached
   * where `withdraw` would leave a service fewer announcers than its floor (unless `force`): those of the picture,
   * without nodes that are commanded to withdraw, and without this one; with PictureMoved where that rests on nodes of
   * which the picture no longer tells. `deprefer` announces still, so no floor binds it. A command that is there already
   * (same stance) is a success that writes nothing. Without a picture nothing is compared.
   */
  commandNode(command: NodeCommand): Promise<Commanded>;
  /**
   * The same of `traffic/<service>`. A null that comes to another stance by the weight (a backup's comes to
   * withdraw) is judged as that.
   */
  commandTraffic(command: TrafficCommand): Promise<Commanded>;
  /** What the observers have of these prefixes, each asked anew; `nodes`: whose paths it is about. */
  seenAt(prefixes: string[], nodes: NodeName[]): Promise<Seen>;
  /** Asked of the edge; refused with EdgeAbsent. */
  countersOf(node: NodeName, addresses: string[]): Promise<ServiceCounters>;
}

const ASK_EVERY_MS = 100;

/** About a minute: an edge gives its permit back in less than a second, or refuses its spec. */
const PERMIT_ATTEMPTS = 12;

const badName = badNode;
const badStance = (stance: unknown): boolean => !STANCES.includes(stance as Stance);
const badWish = ({ reason, by }: Wish): Record<string, boolean> => ({
  'reason is empty': typeof reason !== 'string' || reason === '',
  'by is empty': typeof by !== 'string' || by === '',
});
const takesAway = (stances: (Stance | null)[]): boolean => stances.includes('withdraw');

/** `configured` false: there is no observer, nothing was verified. */
export interface Sighted extends Waited {
  configured: boolean;
}

/** Asks until the answer will do, or until it is time to say what is missing. */
async function waitFor(ask: () => Promise<Judgement>, cancelled: AbortSignal): Promise<Waited> {
  const began = Date.now();
  const ended = beforeTimeout();
  for (;;) {
    cancelled.throwIfAborted();
    const { reached, evidence, hopeless = false } = await ask();
    if (reached || hopeless || ended.aborted) {
      return { reached, evidence, waitedMs: Date.now() - began };
    }
    await new Promise((asked) => setTimeout(asked, ASK_EVERY_MS));
  }
}

export type RoutingActivities = ReturnType<typeof createRoutingActivities>;

/** The names of these methods are a contract with running workflows: add, never rename. */
export const createRoutingActivities = (port: RoutingPort) => ({
  ...createCommands(port),
  ...createWaits(port),
});

function createCommands(port: RoutingPort) {
  return {
    /** Run as a local activity: it belongs to no shard. */
    async placement(of: { node: NodeName } | { service: string }): Promise<Placement> {
      assertInput({ 'no DNS label': badName('node' in of ? of.node : of.service) });
      return callPort(() => port.placement(of));
    },
    async routingOf({ nodes }: { nodes: NodeName[] }): Promise<EdgeRouting[]> {
      assertInput({ 'a node is not a DNS label': nodes.some(badName) });
      return callPort(() => port.routingOf(nodes));
    },
    async commandNode(command: NodeCommand): Promise<Commanded> {
      const { node, stance, picture } = command;
      assertInput({
        'node is not a DNS label': badName(node),
        'unknown stance': badStance(stance),
        'it takes announcers away, without a picture': takesAway([stance]) && picture === null,
        ...badWish(command),
      });
      return insist('PermitsOut', PERMIT_ATTEMPTS, () => callPort(() => port.commandNode(command)));
    },
    async commandTraffic(command: TrafficCommand): Promise<Commanded> {
      const { service, regions, nodes, picture } = command;
      const stances = [...Object.values(regions), ...Object.values(nodes)];
      assertInput({
        'service is not a DNS label': badName(service),
        'a node is not a DNS label': Object.keys(nodes).some(badName),
        'unknown stance': stances.some((stance) => stance !== null && badStance(stance)),
        'it takes announcers away, without a picture': takesAway(stances) && picture === null,
        ...badWish(command),
      });
      return insist('PermitsOut', PERMIT_ATTEMPTS, () =>
        callPort(() => port.commandTraffic(command)),
      );
    },
    /** A look without waiting: what came in so far. */
    async countersOf(p: { node: NodeName; addresses: string[] }): Promise<ServiceCounters> {
      assertInput({ 'node is not a DNS label': badName(p.node) });
      return callPort(() => port.countersOf(p.node, p.addresses));
    },
  };
}

function createWaits(port: RoutingPort) {
  return {
    /**
     * Until the edge has accepted that revision and says that these services stand so, or worse
     * (`atMost`), or better and announced (`atLeast`). `services` null: all that it has.
     */
    async awaitStance(p: {
      node: NodeName;
      services: string[] | null;
      stance: Stance;
      way: Way;
      revision: number;
    }): Promise<Waited> {
      assertInput({
        'node is not a DNS label': badName(p.node),
        'unknown way': p.way !== 'atMost' && p.way !== 'atLeast',
        'unknown stance': badStance(p.stance),
      });
      return callPort((cancelled) =>
        waitFor(async () => follows(await port.routingOf([p.node]), p), cancelled),
      );
    },
    /** Until the edge's sessions to these routers are up, by BGP and BFD. */
    async awaitSessions(p: { node: NodeName; neighbors: string[] }): Promise<Waited> {
      assertInput({ 'node is not a DNS label': badName(p.node) });
      return callPort((cancelled) =>
        waitFor(async () => sessionsUp(await port.routingOf([p.node]), p), cancelled),
      );
    },
    /** Until every observer sees it so; without one at once, and not reached. */
    async awaitSeen(p: { prefixes: string[]; nodes: NodeName[]; as: SeenAs }): Promise<Sighted> {
      assertInput({
        'a node is not a DNS label': p.nodes.some(badName),
        'unknown way to be seen': !SEEN_AS.includes(p.as),
      });
      return callPort(async (cancelled) => {
        let configured = true;
        const waited = await waitFor(async () => {
          const seen = await port.seenAt(p.prefixes, p.nodes);
          ({ configured } = seen);
          return seenAs(seen, p);
        }, cancelled);
        return { ...waited, configured };
      });
    },
    /** Until no packet has come in for these addresses for `restMs`. */
    async awaitQuiet(p: { node: NodeName; addresses: string[]; restMs: number }): Promise<Waited> {
      assertInput({
        'node is not a DNS label': badName(p.node),
        'restMs is no duration': !(p.restMs >= 0),
      });
      let rest: Rest | null = null;
      return callPort((cancelled) =>
        waitFor(async () => {
          rest = resting(rest, await port.countersOf(p.node, p.addresses));
          return quietFor(rest, p.restMs);
        }, cancelled),
      );
    },
  };
}
