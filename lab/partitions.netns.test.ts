import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { AdminClient } from '../adapters/admin/client';
import { cannotSetClocks, setClock } from './clocks';
import { ADMIN_SOCKET } from './declare';
import { impersonate } from './impostor';
import { apart, mend, sever } from './partitions';
import { paths } from './state';
import { TestLab, cannotRunLabs } from './testing';
import { eventually } from './wait';

const skip = cannotRunLabs() || cannotSetClocks();
let under: TestLab;
before(async () => {
  if (skip === false) under = await TestLab.up([], { controllers: 2, clocks: true });
});
after(() => under?.end());

/** Whether a datagram or a connection of `from` reaches `to`, asked with python's sockets alone. */
async function reaches(from: string, to: string, transport: 'udp' | 'tcp'): Promise<boolean> {
  const address = under.lab.record.hosts.find(({ name }) => name === to)?.address ?? '';
  const kind = transport === 'udp' ? 'SOCK_DGRAM' : 'SOCK_STREAM';
  const listen = `import socket
s = socket.socket(socket.AF_INET, socket.${kind}); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('${address}', 7999)); s.settimeout(6)
${transport === 'tcp' ? 's.listen()\nprint("ready", flush=True)\ns.accept()' : 'print("ready", flush=True)\ns.recv(9)'}`;
  // A socket whose connection was refused is good for no other one.
  const send = `import socket, time
for _ in range(80):
  s = socket.socket(socket.AF_INET, socket.${kind}); s.settimeout(4)
  try:
    s.connect(('${address}', 7999)); ${transport === 'udp' ? "s.send(b'x')" : 'break'}
  except ConnectionRefusedError: pass
  except OSError: break
  time.sleep(0.05)`;
  const [heard] = await Promise.all([
    under.lab.exec(to, ['python3', '-c', listen]),
    under.lab.exec(from, ['python3', '-c', send]),
  ]);
  return heard.code === 0;
}

const TRANSPORTS = ['udp', 'tcp'] as const;
const way = async (from: string, to: string): Promise<boolean[]> => [
  await reaches(from, to, 'udp'),
  await reaches(from, to, 'tcp'),
];

test(
  'one transport is cut, or one direction, or all, between these and those alone',
  { skip },
  async () => {
    const { lab } = under;
    for (const [i, traffic] of TRANSPORTS.entries()) {
      await sever(lab, apart(['ctl-1'], ['ctl-2'], traffic));
      assert.deepEqual(await way('ctl-1', 'ctl-2'), [i !== 0, i !== 1], traffic);
      assert.deepEqual(await way('ctl-1', 'etcd-1'), [true, true], traffic);
    }
    await sever(lab, [{ from: ['ctl-1'], to: ['ctl-2', 'etcd-1'], traffic: 'all' }]);
    assert.equal(await reaches('ctl-1', 'ctl-2', 'udp'), false);
    assert.equal(await reaches('ctl-1', 'etcd-1', 'udp'), false);
    assert.equal(await reaches('ctl-2', 'ctl-1', 'udp'), true, 'the other way is open');
    await mend(lab);
    assert.deepEqual(await way('ctl-1', 'ctl-2'), [true, true]);
  },
);

/** How far its clock is ahead of ours, as its last line of JSON says: Node warns in words of its own. */
function aheadMs(controller: string): number {
  const log = readFileSync(paths.log(under.lab.stateDir, controller), 'utf8');
  const lines = log.slice(0, log.lastIndexOf('\n')).split('\n');
  const line = lines.filter((one) => one.startsWith('{')).at(-1) ?? '{}';
  return Date.parse((JSON.parse(line) as { time: string }).time) - Date.now();
}

test('the wall clock of one process is stepped while it runs', { skip }, async () => {
  const { lab } = under;
  const stepMs = 3_600_000;
  using admin = new AdminClient(lab.pathIn('ctl-1', ADMIN_SOCKET), 'test');
  // It was cut off from etcd a moment ago, and then takes no orders.
  const isBack = async (): Promise<boolean> => (await admin.status()).etcd.ok;
  await eventually('ctl-1 reaches etcd', isBack, { within: 60_000 });
  const tells = (what: string, isRight: (aheadMs: number) => boolean): Promise<boolean> =>
    eventually(
      what,
      async () => {
        // Each leaves a line in the log.
        await admin.freeze(null, true, 'a line for the log');
        await admin.freeze(null, false, '');
        const ahead = aheadMs('ctl-1');
        if (isRight(ahead)) return true;
        throw new Error(`${ahead} ms ahead\n${under.logOf('ctl-1')}`);
      },
      { within: 60_000 },
    );
  setClock(lab, 'ctl-1', stepMs);
  await tells('it tells a later time', (ahead) => ahead > stepMs / 2);
  setClock(lab, 'ctl-1', 0);
  await tells('and the right one again', (ahead) => ahead < stepMs / 2);
});

test(
  'a process runs a second time with another environment, until it is ended',
  { skip },
  async () => {
    const { lab } = under;
    const twin = impersonate(lab, 'ctl-1', {
      host: 'ctl-2',
      as: 'twin',
      env: { AETHER_CONTROLLER_ID: 'not a name' },
    });
    await eventually('it was refused', () => twin.exitCode() !== null, { within: 20_000 });
    assert.match(under.logOf('twin'), /not a name/);
    await twin.end();
  },
);
