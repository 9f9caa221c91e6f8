/** Two named network namespaces with one veth between them. */
import { mustRun } from '../../lab/run';

export const DEVICE = 'eth0';

/** Addresses of end 0 and 1, of as many pairs as asked for. */
export const pairAddresses = (index: number): [string, string] => [
  `198.18.${1 + (index >> 7)}.${(index & 127) * 2}`,
  `198.18.${1 + (index >> 7)}.${(index & 127) * 2 + 1}`,
];

export async function makePair(name: string, addresses = 1): Promise<[string, string]> {
  const ends: [string, string] = [`${name}a`, `${name}b`];
  await mustRun(['ip', '-batch', '-'], {
    input: [
      ...ends.map((end) => `netns add ${end}`),
      `link add ${DEVICE} netns ${ends[0]} type veth peer name ${DEVICE} netns ${ends[1]}`,
    ]
      .map((line) => `${line}\n`)
      .join(''),
  });
  for (const [i, end] of ends.entries()) {
    const lines = Array.from(
      { length: addresses },
      (_, k) => `address add ${pairAddresses(k)[i]}/16 dev ${DEVICE}`,
    );
    await mustRun(['ip', '-n', end, '-batch', '-'], {
      input: `link set lo up\n${lines.join('\n')}\nlink set ${DEVICE} up\n`,
    });
  }
  return ends;
}

export async function removePair(ends: readonly string[]): Promise<void> {
  for (const end of ends) await mustRun(['ip', 'netns', 'delete', end]);
}
