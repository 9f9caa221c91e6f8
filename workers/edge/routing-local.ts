/** `aether edge drain|withdraw|undrain`: stances by hand, with nobody's help. */
import type { StandRequest, StandResponse } from '../../adapters/edge-local/proto';
import { Refused } from '../../adapters/edge-local/server';
import { STANCES, type Stance } from '../../core/model/anycast';
import type { RoutingStatus, ServiceView } from '../../core/model/routing';
import type { AgentFiles } from './files';
import type { Routing } from './routing';
import { endOfSaid } from './said';

/** For the bfd process to have told gobgpd; where it is away, the answer says so. */
const WAIT_MS = 2_000;
const LOOK_EVERY_MS = 10;

export interface StandParts {
  routing: Pick<Routing, 'status' | 'override' | 'overrides'>;
  files: Pick<AgentFiles, 'flushed'>;
}

export async function stand(
  { routing, files }: StandParts,
  request: StandRequest,
): Promise<StandResponse> {
  const beganMs = performance.now();
  const { service: name, stance: word, reason } = request;
  const stance = STANCES.find((known) => known === word);
  if (stance === undefined) throw new Refused(`"${word}" is none of ${STANCES.join(', ')}`);
  const service = name === '' ? null : name;
  const before = routing.status();
  if (before === undefined) throw new Refused('this edge serves nothing: no spec asks for it');
  const isSaid = routing.overrides.some((override) => override.service === service);
  refuseUnknown(before, service, stance === 'announce' && isSaid);
  const untilMs = endOfSaid(request);
  const hadSome = service === null ? routing.overrides.length > 0 : isSaid;
  routing.override({ service, stance, reason, untilMs });
  const status = await settled(routing, before, service, stance);
  const tookMs = performance.now() - beganMs;
  await files.flushed();
  const late = concerned(status, service).filter((each) => !standsSo(each, stance));
  const nothing = stance === 'announce' && !hadSome ? ['nothing was said by hand of it'] : [];
  const notes = [
    ...nothing,
    ...late.map(({ service: of, stance: is, why }) => `${of}: ${is}, ${why.join('; ')}`),
  ];
  return {
    effective: stance === 'announce' || late.length === 0,
    tookMs,
    note: notes.join('\n'),
    routingJson: Buffer.from(JSON.stringify(status)),
  };
}

function refuseUnknown(
  { services }: RoutingStatus,
  service: string | null,
  isKnown: boolean,
): void {
  if (service === null || isKnown || services.some((each) => each.service === service)) return;
  const names = services.map((each) => each.service).join(', ') || 'none';
  throw new Refused(`this edge serves no "${service}"; its services: ${names}`);
}

/** As it is once all stand so, or when no more time is to be waited. */
async function settled(
  routing: Pick<Routing, 'status'>,
  before: RoutingStatus,
  service: string | null,
  stance: Stance,
): Promise<RoutingStatus> {
  const endMs = performance.now() + WAIT_MS;
  for (;;) {
    const status = routing.status() ?? before;
    const isDone = concerned(status, service).every((each) => standsSo(each, stance));
    if (isDone || performance.now() > endMs) return status;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

const concerned = ({ services }: RoutingStatus, service: string | null): ServiceView[] =>
  services.filter((each) => service === null || each.service === service);

const standsSo = ({ stance }: ServiceView, asked: Stance): boolean =>
  asked === 'announce' ? stance === 'announce' : STANCES.indexOf(stance) >= STANCES.indexOf(asked);
