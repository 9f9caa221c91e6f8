/**
 * gobgpd's policies, kept to what Aether means by them: nothing enters or leaves but what is named.
 *
 * Export: nothing to held neighbours; what we put into the table ourselves, if its prefix is exactly one
 * of those named; else nothing. Import: what lies in a prefix that is named; else nothing. Both end in
 * REJECT by default, which is set before anything else is touched.
 *
 * A policy of gobgpd 4.8.0 holds the very sets that it was made with: one that is *replaced* lives on
 * in it unseen. Members are therefore put in and taken out one by one, in place; each writer has sets of
 * its own and so can't undo the other's. What goes is taken out before what comes is put in.
 */
import type { Policies } from '../../core/bgp/types';
import { BgpError } from '../../core/bgp/types';
import { hostPrefix } from '../../core/model/service-ways';
import { InTurn } from '../state/in-turn';
import type { Calls } from './calls';
import { checkedAddress, familyOf, IPV6 } from './convert';
import type {
  AssignmentMessage,
  DefinedSetMessage,
  PolicyMessage,
  StatementMessage,
} from './proto';

type Direction = 'export' | 'import';

const HELD_SET = 'aether-held';
/**
 * Address of nobody: a neighbour set without members matches *every* neighbour (policy.go,
 * NeighborCondition.Evaluate), so this one stays in it.
 */
const NOBODY = '0.0.0.0/32';

export class PolicyKeeper {
  /** What is to be judged again by the policies; kept until gobgpd has done it. */
  private readonly due = { in: true, out: true, peers: new Set<string>() };
  private heldKnown = false;
  private readonly inTurn = new InTurn();

  constructor(private readonly calls: Calls) {}

  /** One after the other: each reads, compares and writes. */
  set(policies: Policies): Promise<void> {
    return this.inTurn.run(() => this.apply(policies));
  }

  isOurs(): Promise<boolean> {
    return this.isAssigned('export', EXPORT_POLICY.name);
  }

  async refreshOut(address: string): Promise<void> {
    await this.soft(checkedAddress(address), 'DIRECTION_OUT');
  }

  private async apply({ exportPrefixes, importPrefixes, held }: Policies): Promise<void> {
    if (held !== null) await this.setHeld(held.map(checkedAddress));
    if (exportPrefixes !== null) await this.setPrefixes('export', exportPrefixes);
    if (importPrefixes !== null) await this.setPrefixes('import', importPrefixes);
    if (importPrefixes !== null && this.due.in) {
      await this.soft('', 'DIRECTION_IN');
      this.due.in = false;
    }
    if (exportPrefixes !== null && this.due.out) {
      await this.soft('', 'DIRECTION_OUT');
      this.due.out = false;
    }
    for (const peer of this.due.peers) {
      // One that is not there has nothing to be taken back.
      await this.refreshOut(peer).catch(unlessRefused);
      this.due.peers.delete(peer);
    }
  }

  private async setHeld(addresses: string[]): Promise<void> {
    const wanted = new Set([NOBODY, ...addresses.map(hostPrefix)]);
    const sets = await this.definedSets('DEFINED_TYPE_NEIGHBOR');
    const present = new Set(sets.get(HELD_SET)?.list ?? []);
    const gone = [...present].filter((one) => !wanted.has(one));
    const come = [...wanted].filter((one) => !present.has(one));
    const changed = this.heldKnown ? [...come, ...gone] : [...wanted, ...gone];
    for (const cidr of changed) if (cidr !== NOBODY) this.due.peers.add(cidr.split('/')[0] ?? '');
    // To hold one opens nothing: those that come are put in first here.
    if (come.length > 0) await this.add(neighborSet(HELD_SET, come));
    if (gone.length > 0) await this.remove(neighborSet(HELD_SET, gone));
    this.heldKnown = true;
  }

  private async setPrefixes(direction: Direction, prefixes: string[]): Promise<void> {
    const policy = direction === 'export' ? EXPORT_POLICY : IMPORT_POLICY;
    const assigned = await this.isAssigned(direction, policy.name);
    const fits = await this.isThere(policy);
    // What is open is closed first. Ours at once where it is there: without it no path of ours gets in.
    if (!assigned) await this.assign(direction, fits ? [policy.name] : []);
    const changed = await this.setMembers(direction, prefixes);
    if (!fits) await this.make(direction, policy);
    if (changed || !assigned || !fits) this.due[direction === 'export' ? 'out' : 'in'] = true;
  }

  /** True where a set was not as wanted. */
  private async setMembers(direction: Direction, prefixes: string[]): Promise<boolean> {
    const sets = await this.definedSets('DEFINED_TYPE_PREFIX');
    let changed = false;
    for (const version of ['4', '6'] as const) {
      const name = prefixSetName(direction, version);
      const rows = prefixes
        .filter((prefix) => (familyOf(prefix) === IPV6) === (version === '6'))
        .map((prefix) => prefixRow(prefix, direction));
      const wanted = new Map(rows.map((row) => [rowKey(row), row]));
      const present = new Map((sets.get(name)?.prefixes ?? []).map((row) => [rowKey(row), row]));
      const gone = [...present].filter(([key]) => !wanted.has(key)).map(([, row]) => row);
      const come = [...wanted].filter(([key]) => !present.has(key)).map(([, row]) => row);
      if (gone.length > 0) await this.remove(prefixSet(name, gone));
      if (come.length > 0 || !sets.has(name)) await this.add(prefixSet(name, come));
      changed ||= gone.length > 0 || come.length > 0;
    }
    return changed;
  }

  private async isThere({ name, statements }: PolicyMessage): Promise<boolean> {
    const [answer] = await this.calls.list<{ policy: PolicyMessage }>('ListPolicy', { name });
    return answer !== undefined && policyKey(answer.policy) === policyKey({ name, statements });
  }

  /** In the place of one that has its name and is another. */
  private async make(direction: Direction, policy: PolicyMessage): Promise<void> {
    const { name } = policy;
    await this.assign(direction, []);
    await this.calls.unary('DeletePolicy', { policy: { name }, all: true }).catch(unlessRefused);
    // Its statements may name a set that nobody wrote yet.
    await this.addHeldSet();
    await this.calls.unary('AddPolicy', { policy });
    await this.assign(direction, [name]);
  }

  private async addHeldSet(): Promise<void> {
    const sets = await this.definedSets('DEFINED_TYPE_NEIGHBOR');
    if (!sets.get(HELD_SET)?.list.includes(NOBODY)) await this.add(neighborSet(HELD_SET, [NOBODY]));
  }

  private async isAssigned(direction: Direction, policy: string): Promise<boolean> {
    const [answer] = await this.calls.list<{ assignment: AssignmentMessage }>(
      'ListPolicyAssignment',
      { name: 'global', direction: directionName(direction) },
    );
    if (answer === undefined) return false;
    const { policies, defaultAction } = answer.assignment;
    const names = policies.map(({ name }) => name);
    return defaultAction === 'ROUTE_ACTION_REJECT' && names.length === 1 && names[0] === policy;
  }

  private async assign(direction: Direction, policies: string[]): Promise<void> {
    await this.calls.unary('SetPolicyAssignment', {
      assignment: {
        name: 'global',
        direction: directionName(direction),
        policies: policies.map((name) => ({ name })),
        defaultAction: 'ROUTE_ACTION_REJECT',
      },
    });
  }

  private async definedSets(definedType: string): Promise<Map<string, DefinedSetMessage>> {
    const answers = await this.calls.list<{ definedSet: DefinedSetMessage }>('ListDefinedSet', {
      definedType,
    });
    return new Map(answers.map(({ definedSet }) => [definedSet.name, definedSet]));
  }

  private async add(definedSet: DefinedSetMessage): Promise<void> {
    await this.calls.unary('AddDefinedSet', { definedSet, replace: false });
  }

  private async remove(definedSet: DefinedSetMessage): Promise<void> {
    await this.calls.unary('DeleteDefinedSet', { definedSet, all: false });
  }

  private async soft(address: string, direction: string): Promise<void> {
    await this.calls.unary('ResetPeer', { address, soft: true, direction });
  }
}

export function unlessRefused(error: unknown): void {
  if (!(error instanceof BgpError) || error.code !== 'refused') throw error;
}

const directionName = (direction: Direction): string =>
  direction === 'export' ? 'POLICY_DIRECTION_EXPORT' : 'POLICY_DIRECTION_IMPORT';

// ---- Sets ------------------------------------------------------------------------------------------

type PrefixRow = DefinedSetMessage['prefixes'][number];

const prefixSetName = (direction: Direction, version: '4' | '6'): string =>
  `aether-${direction}-${version}`;

/** Exported as stated; imported with all that is longer. */
function prefixRow(prefix: string, direction: Direction): PrefixRow {
  const length = Number(prefix.split('/')[1]);
  const longest = familyOf(prefix) === IPV6 ? 128 : 32;
  const maskLengthMax = direction === 'export' ? length : longest;
  return { ipPrefix: prefix, maskLengthMin: length, maskLengthMax };
}

const rowKey = ({ ipPrefix, maskLengthMin, maskLengthMax }: PrefixRow): string =>
  `${ipPrefix} ${maskLengthMin}..${maskLengthMax}`;

const prefixSet = (name: string, prefixes: PrefixRow[]): DefinedSetMessage => ({
  definedType: 'DEFINED_TYPE_PREFIX',
  name,
  list: [],
  prefixes,
});

const neighborSet = (name: string, list: string[]): DefinedSetMessage => ({
  definedType: 'DEFINED_TYPE_NEIGHBOR',
  name,
  list,
  prefixes: [],
});

// ---- Policies --------------------------------------------------------------------------------------

const statement = (
  name: string,
  routeAction: string,
  conditions: { prefixSet?: string; neighborSet?: string; routeType?: string },
): StatementMessage => ({
  name,
  conditions: {
    prefixSet: matchAny(conditions.prefixSet),
    neighborSet: matchAny(conditions.neighborSet),
    routeType: conditions.routeType ?? 'ROUTE_TYPE_UNSPECIFIED',
  },
  actions: { routeAction },
});

const matchAny = (name: string | undefined) =>
  name === undefined ? null : { type: 'TYPE_ANY', name };

const ACCEPT = 'ROUTE_ACTION_ACCEPT';

const EXPORT_POLICY: PolicyMessage = {
  name: 'aether-export',
  statements: [
    statement('aether-export-held', 'ROUTE_ACTION_REJECT', { neighborSet: HELD_SET }),
    ...(['4', '6'] as const).map((version) =>
      statement(`aether-export-${version}`, ACCEPT, {
        prefixSet: prefixSetName('export', version),
        routeType: 'ROUTE_TYPE_LOCAL',
      }),
    ),
  ],
};

const IMPORT_POLICY: PolicyMessage = {
  name: 'aether-import',
  statements: [
    // What the API puts into the table has to pass the import policy, too.
    statement('aether-import-ours', ACCEPT, { routeType: 'ROUTE_TYPE_LOCAL' }),
    ...(['4', '6'] as const).map((version) =>
      statement(`aether-import-${version}`, ACCEPT, {
        prefixSet: prefixSetName('import', version),
      }),
    ),
  ],
};

/** All of a policy that decides, in one line. */
const policyKey = ({ statements }: PolicyMessage): string =>
  JSON.stringify(
    statements.map(({ name, conditions, actions }) => [
      name,
      setKey(conditions?.prefixSet ?? null),
      setKey(conditions?.neighborSet ?? null),
      conditions?.routeType ?? 'ROUTE_TYPE_UNSPECIFIED',
      actions?.routeAction ?? '',
    ]),
  );

const setKey = (set: { type: string; name: string } | null): string =>
  set === null || set.name === '' ? '' : `${set.type} ${set.name}`;
