/** A connection that is replaced, as a server sees it: by what is connected. */
import assert from 'node:assert/strict';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { DevServer, withoutTemporal } from '../../workflows/testing/dev-server';
import { until } from '../../workflows/testing/until';
import { RenewableLink } from '../../adapters/temporal/connection';

/** Connections to `address` go through it, and can be counted. */
async function counted(t: TestContext, address: string) {
  const open = new Set<Socket>();
  const [host = '', port] = address.split(':');
  const server = createServer((socket) => {
    const onward = connect(Number(port), host);
    open.add(socket);
    socket.on('error', () => undefined).on('close', () => (open.delete(socket), onward.destroy()));
    onward.on('error', () => undefined).on('close', () => socket.destroy());
    socket.pipe(onward).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, open };
}

test(
  'however often it is renewed at once, one connection is left, and none when it is closed',
  { skip: withoutTemporal },
  async (t) => {
    const temporal = await DevServer.start();
    t.after(() => temporal.stop());
    const way = await counted(t, temporal.address);
    const config = { namespace: 'default', connectionOptions: { address: way.address } };
    const link = await RenewableLink.open(config, 'a test', 10);
    await Promise.all([link.renew(config), link.renew(config), link.renew(config)]);
    await until('one is left', () => way.open.size === 1);
    await link.connection.workflowService.getSystemInfo({});
    const late = link.renew(config);
    await link.close();
    await late;
    await until('none is left', () => way.open.size === 0);
    assert.equal(way.open.size, 0);
  },
);
