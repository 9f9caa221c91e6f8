/**
 * A controller's gossip in a process of its own, which speaks to its parent as adapters/swim/testdata/memberlist does:
 * a line of JSON for what happens, a line of words for what to do.
 *
 * usage: member.js NAME PROFILE
 */
import { createInterface } from 'node:readline';
import { startMembership } from '../../adapters/swim/start';
import type { MemberState } from '../../core/swim/types';
import type { Told } from './cluster';

const tell = (line: Told): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
const there = (state: MemberState | undefined): boolean => state === 'alive' || state === 'suspect';

async function main([name = '', profile = '']: readonly string[]): Promise<void> {
  const membership = await startMembership({
    name,
    boot: String(process.pid),
    listen: '127.0.0.1:0',
    profile: profile as 'lan',
    keys: null,
    label: '',
    onNotice: (notice) => console.error(name, notice),
  });
  const known = new Map<string, MemberState>();
  membership.onChange(() => {
    for (const { name: other, state } of membership.members()) {
      const before = known.get(other);
      known.set(other, state);
      if (there(state) && !there(before)) tell({ event: 'join', name: other });
      if (!there(state) && there(before)) tell({ event: 'leave', name: other });
      if (state === 'suspect' && before !== 'suspect') tell({ event: 'suspect', name: other });
    }
  });
  createInterface(process.stdin)
    .on('line', (line) => {
      const [, address = ''] = line.split(' ');
      void membership.join([address]);
    })
    .on('close', () => process.exit());
  tell({ event: 'started', address: membership.address });
}

void main(process.argv.slice(2));
