/** Addresses of our links and of `lo` in our namespaces, by our IFA_PROTO; what others added is left alone. */
import type { ObservedAddress } from '../model/host';
import { MARK } from '../model/ids';
import { contains, parsePrefix, type Prefix } from '../model/prefix';
import { byKey, delta } from './delta';
import { extraLinks } from './links';
import { loopbacksOf } from './loopbacks';
import * as steps from './steps';
import { type Difference, type Located, type Survey } from './survey';
import type { Finding, PlannedStep } from './types';
import { wantsOf } from './wants';

const isOurs = ({ protocol }: ObservedAddress): boolean => protocol === MARK.protocol;

const difference = (finding: Finding, take: PlannedStep[], make: PlannedStep[]): Difference => ({
  stage: 'addresses',
  finding,
  take,
  make,
});

const sameSubnet = (a: Prefix, b: Prefix): boolean => a.length === b.length && contains(a, b);

/** The first IPv4 address of a subnet is its primary one; the kernel deletes the others with it. */
export const fallWith = (
  addresses: readonly ObservedAddress[],
  address: string,
): ObservedAddress[] => {
  const prefix = parsePrefix(address);
  if (prefix?.family !== 4) return [];
  const subnet = addresses.filter((other) => {
    const parsed = parsePrefix(other.address);
    return parsed !== null && sameSubnet(prefix, parsed);
  });
  return subnet[0]?.address === address ? subnet.slice(1) : [];
};

const missing = (end: Located, address: string): Difference => {
  const object = `${steps.inside(end.namespace, end.link.name)}: ${address}`;
  const holder = sameAddressElsewhere(end, address);
  if (holder !== undefined && !isOurs(holder)) {
    const message = `${holder.address} stands in its place and is not ours: delete it`;
    return difference(steps.conflict('addressMissing', object, message), [], []);
  }
  const found = steps.finding('addressMissing', object, 'the link does not have this address');
  return difference(found, [], [steps.addAddress(end, address)]);
};

/** IPv6 has an address once on a link, whatever its prefix length; IPv4 takes each length apart. */
const sameAddressElsewhere = ({ link }: Located, address: string): ObservedAddress | undefined => {
  if (!address.includes(':')) return undefined;
  const bare = address.slice(0, address.indexOf('/') + 1);
  return link.addresses.find((other) => other.address.startsWith(bare));
};

const extra = (survey: Survey, end: Located, address: string): Difference => {
  const object = `${steps.inside(end.namespace, end.link.name)}: ${address}`;
  const strangers = fallWith(end.link.addresses, address).filter((other) => !isOurs(other));
  if (strangers.length > 0) {
    const names = strangers.map((other) => other.address).join(', ');
    const message = `is to go, but the kernel would delete ${names} with it, which is not ours`;
    return difference(steps.conflict('addressExtra', object, message), [], []);
  }
  const take = survey.observed.interrupted ? [] : [steps.deleteAddress(end, address)];
  return difference(steps.finding('addressExtra', object, 'is not in the spec'), take, []);
};

const has = (addresses: readonly ObservedAddress[], wanted: string): boolean => {
  for (const { address } of addresses) if (address === wanted) return true;
  return false;
};

/** All wanted ones and nothing else of ours: nearly always so, and told without building maps. */
const isRight = ({ link: { addresses } }: Located, wanted: readonly string[]): boolean => {
  for (const address of wanted) if (!has(addresses, address)) return false;
  for (const have of addresses) if (isOurs(have) && !wanted.includes(have.address)) return false;
  return true;
};

const ofEnd = (survey: Survey, end: Located, wanted: readonly string[]): Difference[] => {
  if (isRight(end, wanted)) return [];
  const desired = byKey(wanted, (address) => address);
  const observed = byKey(end.link.addresses, ({ address }) => address);
  const difference_ = delta(desired, observed);
  return [
    ...difference_.missing.map(([address]) => missing(end, address)),
    ...difference_.extra
      .filter(([, have]) => isOurs(have))
      .map(([address]) => extra(survey, end, address)),
  ];
};

export const addressDifferences = (survey: Survey): Difference[] => {
  const whole = survey.pairs.flatMap(({ ends, link }) =>
    ends === null
      ? []
      : [
          ...ofEnd(survey, ends.host, link.hostAddresses),
          ...ofEnd(survey, ends.peer, link.addresses),
        ],
  );
  const staying = survey.stages.includes('links') ? [] : extraLinks(survey);
  const { loopbacks } = wantsOf(survey.spec);
  const served = loopbacksOf(survey).flatMap((end) =>
    ofEnd(survey, end, loopbacks.get(end.namespace ?? '') ?? []),
  );
  return [...whole, ...staying.flatMap((end) => ofEnd(survey, end, [])), ...served];
};
