/**
 * Both sides in turns, see README.md. Runs in a sandbox and prints the figures as one line of JSON.
 *
 * usage: sides.js PEER-BINARY full|smoke
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { Figure } from '../common/figures';
import type { Answer } from './job';

const PEER = 'vishvananda/netlink';

const ADDRESSES_SETTLE_MS = 60_000;

const SIZES = {
  full: { pairs: 2500, warmUps: 10, reads: 21, namespaces: 500, churns: 7 },
  smoke: { pairs: 100, warmUps: 3, reads: 5, namespaces: 30, churns: 1 },
};
type Sizes = (typeof SIZES)['full'];

interface Samples {
  ours: number[];
  peer: number[];
}

/** In ms; held against the bar is the ratio to the peer. */
const figure = (claim: string, atMost: number, { ours, peer }: Samples): Figure => ({
  claim,
  unit: 'ms',
  bar: { measure: 'ratio', atMost },
  samples: ours,
  peer: { name: PEER, samples: peer },
});

/** A side that answers each command with one line. */
class Side {
  private readonly answers: AsyncIterator<string>;

  constructor(private readonly child: ChildProcess) {
    if (!child.stdout) throw new Error('no stdout');
    this.answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  async ask(command: string): Promise<Answer> {
    this.child.stdin?.write(`${command}\n`);
    const line = await this.answers.next();
    if (line.done) throw new Error(`${this.child.spawnfile} ended during '${command}'`);
    return JSON.parse(line.value) as Answer;
  }

  end(): void {
    this.child.stdin?.end();
  }
}

/** What asks goes first in every second round, so that neither profits from the other's wake. */
async function inTurns<T>(round: number, ours: () => Promise<T>, peer: () => Promise<T>) {
  if (round % 2 === 0) return { ours: await ours(), peer: await peer() };
  const second = await peer();
  return { ours: await ours(), peer: second };
}

/** Links that came up look for duplicates of their IPv6 addresses, and tear dumps meanwhile. */
async function addressesSettled(): Promise<void> {
  const tentative = (...where: string[]): boolean =>
    execFileSync('ip', [...where, '-6', '-o', 'addr', 'show', 'tentative'], { stdio: 'pipe' })
      .length > 0;
  const end = performance.now() + ADDRESSES_SETTLE_MS;
  while (tentative() || tentative('-n', 'bench')) {
    if (performance.now() > end) throw new Error('addresses are tentative for ever');
    await delay(500);
  }
  await delay(500);
}

async function benchRead(ours: Side, peer: Side, sizes: Sizes): Promise<Figure> {
  await ours.ask(`populate bench ${sizes.pairs}`);
  await addressesSettled();
  const command = `read bench ${sizes.pairs}`;
  const samples: Samples = { ours: [], peer: [] };
  for (let round = 0; round < sizes.warmUps + sizes.reads; round++) {
    const answers = await inTurns(
      round,
      () => ours.ask(command),
      () => peer.ask(command),
    );
    for (const side of ['ours', 'peer'] as const) {
      if (answers[side].count !== 0)
        throw new Error(`${side} found ${answers[side].count} differences`);
      if (round >= sizes.warmUps) samples[side].push(answers[side].cpuMs);
    }
  }
  execFileSync('ip', ['netns', 'delete', 'bench']);
  await settled();
  const what = `Reading a host of ${2 * sizes.pairs} veth links, finding no difference: CPU time`;
  return figure(what, 0.6, samples);
}

const links = (): number => readFileSync('/proc/net/dev', 'utf8').split('\n').length;
/** A namespace may be born with more than lo. */
const LINKS_AT_FIRST = links();

/** No link of the last round is left, and the kernel has had time to take the namespaces down. */
async function settled(): Promise<void> {
  for (let i = 0; i < 200 && links() > LINKS_AT_FIRST; i++) await delay(50);
  await delay(1500);
}

async function benchChurn(ours: Side, peer: Side, sizes: Sizes): Promise<Figure[]> {
  const n = sizes.namespaces;
  const create: Samples = { ours: [], peer: [] };
  const remove: Samples = { ours: [], peer: [] };
  const once = async (side: Side, name: 'ours' | 'peer', round: number): Promise<void> => {
    const prefix = `${name[0]}${round}x`;
    const made = await side.ask(`create ${prefix} ${n}`);
    if (name === 'ours') await side.ask(`look ${prefix} ${n}`);
    const gone = await side.ask(`delete ${prefix} ${n}`);
    await settled();
    if (round === 0) return; // warm-up
    create[name].push(made.wallMs);
    remove[name].push(gone.wallMs);
  };
  for (let round = 0; round <= sizes.churns; round++) {
    await inTurns(
      round,
      () => once(ours, 'ours', round),
      () => once(peer, 'peer', round),
    );
  }
  return [
    figure(`Creating ${n} namespaces with a veth pair each: wall time`, 1, create),
    figure(`Deleting ${n} namespaces with a veth pair each: wall time`, 0.1, remove),
  ];
}

async function main([peerBinary = '', form]: readonly string[]): Promise<void> {
  const sizes = form === 'full' ? SIZES.full : SIZES.smoke;
  const stdio = ['pipe', 'pipe', 'inherit'] as const;
  const ours = new Side(
    spawn(process.execPath, [join(__dirname, 'job.js')], { stdio: [...stdio] }),
  );
  const peer = new Side(spawn(peerBinary, [], { stdio: [...stdio] }));
  const figures = [await benchRead(ours, peer, sizes), ...(await benchChurn(ours, peer, sizes))];
  ours.end();
  peer.end();
  console.log(JSON.stringify(figures));
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
