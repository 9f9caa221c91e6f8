/** `aether filter`: what the filters of a node hold and do, asked of its edge through a controller. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { AdminClient } from '../../adapters/admin/client';
import { frameOf, hexOf } from '../../core/filter/frame';
import { type AnswerOf, TOP_MAX } from '../../core/filter/questions';
import { type Address, parseAddress } from '../../core/model/prefix';
import { parseTcpFlags } from '../../core/model/tcp-flags';
import { withAdmin } from '../admin';
import { durationOf, examples, wholeNumber, withServer } from '../cli';
import type { Cli, ServerFlags } from '../cli';
import { CliError, EXIT } from '../exit-codes';
import { describeStats, describeTop, reasonText } from '../filter-output';

export function registerFilter(program: Command, cli: Cli): void {
  const filter = program
    .command('filter')
    .description('what the filters of a node hold and do; on its host: aether edge filter');

  withServer(filter.command('stats'))
    .description('packets and bytes by what became of them, prefixes, memory')
    .argument('<node>')
    .addHelpText('after', examples('aether filter stats fra-1'))
    .action(async (node: string, flags: ServerFlags) => {
      const answer = await withAdmin(cli, flags, (client) =>
        client.askFilter(node, { kind: 'stats' }),
      );
      cli.output(flags).result(answer, () => describeStats(answer));
    });

  registerTop(filter, cli);
  registerTrace(filter, cli);
}

// ---- top ---------------------------------------------------------------------------------------

interface TopFlags extends ServerFlags {
  since: string;
  limit: number;
  once?: boolean;
}

const REDRAW_MS = 1_000;
/** Home, and clear what is below: no flicker, as a full clear would. */
const HOME = '\u001b[H\u001b[J';

function registerTop(filter: Command, cli: Cli): void {
  withServer(filter.command('top'))
    .description('who is being dropped, by sampled packets; each second anew on a terminal')
    .argument('<node>')
    .option('--since <duration>', 'look back so far', '1m')
    .option('--limit <n>', 'so many lines', wholeNumber(1, TOP_MAX), 20)
    .option('--once', 'print it once')
    .addHelpText(
      'after',
      examples('aether filter top fra-1', 'aether filter top fra-1 --once --json'),
    )
    .action(async (node: string, flags: TopFlags) => {
      const backMs = durationOf(flags.since);
      const once = flags.once === true || flags.json === true || !process.stdout.isTTY;
      await withAdmin(cli, flags, async (client) => {
        const look = (): Promise<AnswerOf<'top'>> =>
          client.askFilter(node, { kind: 'top', sinceMs: Date.now() - backMs, limit: flags.limit });
        if (!once) return watch(node, look);
        const answer = await look();
        cli.output(flags).result(answer, () => describeTop(answer, Date.now()));
      });
    });
}

/** Until Ctrl-C, which is its right end. */
async function watch(node: string, look: () => Promise<AnswerOf<'top'>>): Promise<void> {
  const stop = new AbortController();
  const end = (): void => stop.abort();
  process.once('SIGINT', end);
  try {
    while (!stop.signal.aborted) {
      const answer = await look();
      const head = `${node}, ${new Date(answer.atMs).toISOString()}, Ctrl-C ends`;
      process.stdout.write(`${HOME}${head}\n\n${describeTop(answer, answer.atMs)}\n`);
      await sleep(REDRAW_MS, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  } finally {
    process.off('SIGINT', end);
  }
}

// ---- trace -------------------------------------------------------------------------------------

interface TraceFlags extends ServerFlags {
  interface?: string;
  packet?: string;
  from?: string;
  to?: string;
  udp?: number;
  tcp?: number;
  icmp?: boolean;
  sourcePort: number;
  flags: string;
  length: number;
}

const PORT = wholeNumber(0, 65_535);
/** Of RFC 5737 and RFC 3849: where nobody is. */
const SOMEWHERE = { 4: '203.0.113.1', 6: '2001:db8::1' } as const;
const EPHEMERAL = 40_000;

function registerTrace(filter: Command, cli: Cli): void {
  withServer(filter.command('trace'))
    .description('what would become of this packet; nothing is counted by it')
    .argument('<node>')
    .option('--interface <name>', 'where it comes in (default: the only filter of the node)')
    .option('--from <address>', 'its source')
    .option('--to <address>', 'its destination')
    .option('--udp <port>', 'UDP to this port', PORT)
    .option('--tcp <port>', 'TCP to this port', PORT)
    .option('--icmp', 'an echo request (default)')
    .option('--source-port <port>', 'of UDP and TCP', PORT, EPHEMERAL)
    .option('--flags <flags>', 'of TCP, by commas', 'SYN')
    .option('--length <bytes>', 'of the IP packet', wholeNumber(0, 9_000), 0)
    .option('--packet <hex>', 'the whole of it instead, from the Ethernet header on')
    .addHelpText(
      'after',
      examples(
        'aether filter trace fra-1 --from 192.0.2.7 --udp 53',
        'aether filter trace fra-1 --from 192.0.2.7 --udp 4500 --source-port 123 --length 468',
        'aether filter trace fra-1 --packet 0200000000000200…',
      ),
    )
    .action(async (node: string, flags: TraceFlags) => {
      const packet = flags.packet ?? packetOf(flags);
      const answer = await withAdmin(cli, flags, async (client) => {
        const name = flags.interface ?? (await onlyFilter(client, node));
        return client.askFilter(node, { kind: 'trace', interface: name, packet });
      });
      const { colours } = cli.output(flags);
      const paint = answer.verdict === 'drop' ? colours.red : colours.green;
      cli
        .output(flags)
        .result(
          { ...answer, packet },
          () => `${paint(answer.verdict)}: ${reasonText(answer.reason)} (${answer.because})`,
        );
    });
}

async function onlyFilter(client: AdminClient, node: string): Promise<string> {
  const { resource } = await client.describe(node);
  const [first, ...others] = resource.spec.filters.map((filter) => filter.interface);
  if (first !== undefined && others.length === 0) return first;
  const message = first === undefined ? `${node} has no filter` : `${node} has several filters`;
  throw new CliError(EXIT.usage, message, `Name one: --interface ${first ?? 'uplink0'}`);
}

function addressOf(text: string): Address {
  const address = parseAddress(text);
  if (address !== null) return address;
  throw new CliError(
    EXIT.usage,
    `"${text}" is no address`,
    'Write it as 192.0.2.7 or 2001:db8::7.',
  );
}

function packetOf(flags: TraceFlags): string {
  if (flags.from === undefined) {
    throw new CliError(
      EXIT.usage,
      'No packet is described',
      'Say --from ADDRESS, or --packet HEX.',
    );
  }
  const from = addressOf(flags.from);
  const to = addressOf(flags.to ?? SOMEWHERE[from.family]);
  const asked = [flags.udp, flags.tcp, flags.icmp].filter((each) => each !== undefined);
  if (to.family !== from.family || asked.length > 1) {
    const message = 'A packet is of one family and of one protocol';
    throw new CliError(EXIT.usage, message, 'Say one of --udp, --tcp and --icmp.');
  }
  const tcpFlags = parseTcpFlags(flags.flags)?.value;
  if (tcpFlags === undefined) {
    throw new CliError(EXIT.usage, `"${flags.flags}" are no TCP flags`, 'Write them as SYN,ACK.');
  }
  const icmp = from.family === 4 ? 1 : 58;
  const protocol = flags.udp === undefined ? (flags.tcp === undefined ? icmp : 6) : 17;
  const { sourcePort, length } = flags;
  const destinationPort = flags.udp ?? flags.tcp ?? 0;
  return hexOf(frameOf({ from, to, protocol, sourcePort, destinationPort, tcpFlags, length }));
}
