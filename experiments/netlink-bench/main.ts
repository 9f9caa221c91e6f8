/**
 * Runs both sides in turns and compares them; see README.md. Needs root: it starts itself again in a
 * sandbox of its own namespaces, so that the machine's interfaces neither disturb nor are disturbed.
 */
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Answer } from './job';
import { load, machine, print, row, type Row } from './report';

const ROOT = join(__dirname, '../../..');
const HERE = join(ROOT, 'experiments/netlink-bench');
const LIMITS = { read: 0.6, create: 1, delete: 0.1 };

/** Links that came up look for duplicates of their IPv6 addresses, and tear dumps meanwhile. */
const ADDRESSES_SETTLE_MS = 4000;
const LEFTOVERS_SHOWN = 500;

const SIZES = {
  full: { pairs: 2500, warmUps: 10, reads: 21, namespaces: 500, churns: 7 },
  smoke: { pairs: 100, warmUps: 3, reads: 5, namespaces: 30, churns: 2 },
};
type Sizes = (typeof SIZES)['full'];

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

async function benchRead(ours: Side, peer: Side, sizes: Sizes): Promise<Row> {
  await ours.ask(`populate bench ${sizes.pairs}`);
  await delay(ADDRESSES_SETTLE_MS);
  const command = `read bench ${sizes.pairs}`;
  const samples: Record<'ours' | 'peer', number[]> = { ours: [], peer: [] };
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
  const what = `read a host of ${2 * sizes.pairs} veth links, find no difference (CPU)`;
  return row(what, 'ms', LIMITS.read, samples.ours, samples.peer);
}

/** No link of the last round is left, and the kernel has had time to take the namespaces down. */
async function settled(): Promise<void> {
  const links = (): number => readFileSync('/proc/net/dev', 'utf8').split('\n').length;
  for (let i = 0; i < 200 && links() > 4; i++) await delay(50);
  await delay(1500);
}

async function benchChurn(ours: Side, peer: Side, sizes: Sizes): Promise<Row[]> {
  const n = sizes.namespaces;
  const walls = {
    create: { ours: [] as number[], peer: [] as number[] },
    delete: { ours: [] as number[], peer: [] as number[] },
  };
  const once = async (side: Side, name: 'ours' | 'peer', round: number): Promise<void> => {
    const prefix = `${name[0]}${round}x`;
    const made = await side.ask(`create ${prefix} ${n}`);
    if (name === 'ours') await side.ask(`look ${prefix} ${n}`);
    const gone = await side.ask(`delete ${prefix} ${n}`);
    await settled();
    if (round === 0) return; // warm-up
    walls.create[name].push(made.wallMs);
    walls.delete[name].push(gone.wallMs);
  };
  for (let round = 0; round <= sizes.churns; round++) {
    await inTurns(
      round,
      () => once(ours, 'ours', round),
      () => once(peer, 'peer', round),
    );
  }
  return [
    row(
      `create ${n} namespaces with a veth each (wall)`,
      'ms',
      LIMITS.create,
      walls.create.ours,
      walls.create.peer,
    ),
    row(
      `delete ${n} veths and namespaces (wall)`,
      'ms',
      LIMITS.delete,
      walls.delete.ours,
      walls.delete.peer,
    ),
  ];
}

async function inside(smoke: boolean, peerBinary: string): Promise<void> {
  const sizes = smoke ? SIZES.smoke : SIZES.full;
  const stdio = ['pipe', 'pipe', 'inherit'] as const;
  const ours = new Side(
    spawn(process.execPath, [join(__dirname, 'job.js')], { stdio: [...stdio] }),
  );
  const peer = new Side(spawn(peerBinary, [], { stdio: [...stdio] }));
  const before = load();
  const rows = [await benchRead(ours, peer, sizes), ...(await benchChurn(ours, peer, sizes))];
  ours.end();
  peer.end();
  print(rows);
  const report = { machine: machine(), load: { before, after: load() }, rows };
  if (!smoke) {
    mkdirSync(join(HERE, 'results'), { recursive: true });
    const day = new Date().toISOString().slice(0, 10);
    const path = join(HERE, 'results', `${day}.json`);
    writeFileSync(path, `${JSON.stringify(report, null, 2)}\n`);
    console.log(`written: ${path}`);
    if (rows.some(({ ratio, limit }) => !(ratio.median <= limit))) process.exitCode = 1;
  }
}

function outside(args: readonly string[]): void {
  const scratch = mkdtempSync(join(tmpdir(), 'netlink-bench-'));
  try {
    const peer = join(scratch, 'peer');
    execFileSync('go', ['build', '-C', join(HERE, 'peer'), '-o', peer, '.'], { stdio: 'inherit' });
    const left = join(scratch, 'left');
    const self = [process.execPath, __filename, '--inside', peer, ...args];
    const ended = spawnSync(join(ROOT, 'scripts/test/sandbox'), [left, ...self], {
      stdio: 'inherit',
    });
    process.exitCode = ended.status ?? 1;
    const leftovers = readFileSync(left, 'utf8');
    if (leftovers === '') return;
    console.error(`left behind:\n${leftovers.slice(0, LEFTOVERS_SHOWN)}`);
    process.exitCode = 1;
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

const { values } = parseArgs({
  options: { smoke: { type: 'boolean', default: false }, inside: { type: 'string' } },
});
if (values.inside === undefined) outside(values.smoke ? ['--smoke'] : []);
else
  inside(values.smoke ?? false, values.inside).catch((error: unknown) => {
    console.error(error);
    process.exit(1);
  });
