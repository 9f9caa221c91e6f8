/** What is done to etcd itself, by etcdctl with the lab's own certificates. */
import { keys } from '../../core/model/keys';
import type { Lab } from '../../lab/lab';
import { paths } from '../../lab/state';
import { needTool } from '../../lab/tools';
import { eventually } from '../../lab/wait';

/** More than etcd's log and database come to in half an hour of junk; memory is taken only by what is there. */
const DISK = '1g';
const JUNK = '/junk/';
const JUNK_BYTES = 500_000;
/** At most: far more than fits into its log's next part and the pages that former junk has left free in its database. */
const JUNK_WRITES = 400;

/** Asked of the first member, which none of these faults is meant for; again, where it is about to elect. */
function etcdctl(lab: Lab, argv: readonly string[], input = ''): Promise<string> {
  const certificates = paths.certificates(lab.stateDir);
  const first = lab.record.hosts.find(({ role }) => role === 'etcd');
  const [controller] = lab.hosts('controller');
  if (first === undefined || controller === undefined) throw new Error('The lab has no etcd');
  const command = [
    needTool('etcdctl'),
    `--cacert=${certificates}/ca.pem`,
    // etcd lets controllers in alone.
    `--cert=${certificates}/controller/${controller}.pem`,
    `--key=${certificates}/controller/${controller}.key`,
    `--endpoints=https://${first.address}:2379`,
    ...argv,
  ];
  const asked = (): Promise<string> => lab.must(first.name, command, { input });
  return eventually(`etcd has done: ${argv.join(' ')}`, asked, { within: 20_000 });
}

/** What a key holds; null: it is not there. */
export async function read(
  lab: Lab,
  key: string,
): Promise<{ value: string; createRevision: number; modRevision: number } | null> {
  const text = await etcdctl(lab, ['get', key, '--write-out=json']);
  type Kv = { value: string; create_revision: number; mod_revision: number };
  const [found] = (JSON.parse(text) as { kvs?: Kv[] }).kvs ?? [];
  if (found === undefined) return null;
  const value = Buffer.from(found.value, 'base64').toString();
  return { value, createRevision: found.create_revision, modRevision: found.mod_revision };
}

/** Who owns a shard, and since which revision. */
export interface Owner {
  controller: string;
  token: number;
}

export async function ownerOf(lab: Lab, shard: number): Promise<Owner | null> {
  const found = await read(lab, keys.owner(shard));
  if (found === null) return null;
  const { controller } = JSON.parse(found.value) as { controller: string };
  return { controller, token: found.createRevision };
}

/** Forgets all history but the present. */
export async function compact(lab: Lab): Promise<void> {
  const text = await etcdctl(lab, ['get', '/', '--limit=1', '--write-out=json']);
  const { header } = JSON.parse(text) as { header: { revision: number } };
  await etcdctl(lab, ['compact', String(header.revision)]);
}

const dataOf = (lab: Lab, name: string): string => `${paths.host(lab.stateDir, name)}/data`;

/** Gives a member a disk of its own, once, whose size can be changed; its data moves there. */
export async function onOwnDisk(lab: Lab, name: string): Promise<void> {
  const data = dataOf(lab, name);
  await lab.stop(name);
  const script = `set -e; cp -a ${data} /run/data; mount -t tmpfs -o size=${DISK},mode=700 tmpfs ${data}
    cp -a --sparse=never /run/data/. ${data}; rm -r /run/data`;
  await lab.must(name, ['sh', '-c', script]);
  await lab.start(name);
}

/** `size` as tmpfs(5) takes it. */
const resize = (lab: Lab, name: string, size: string): Promise<string> =>
  lab.must(name, ['mount', '-o', `remount,size=${size}`, dataOf(lab, name)]);

/** Leaves no room on its own disk until its member ends; what it returns gives all of the room back. */
export async function fillDisk(lab: Lab, name: string): Promise<() => Promise<void>> {
  const { pid } = await eventually(`${name} runs`, () => lab.process(name), { within: 30_000 });
  const used = await lab.must(name, ['df', '-k', '--output=used', dataOf(lab, name)]);
  await resize(lab, name, `${used.split('\n')[1]?.trim()}k`);
  const value = 'x'.repeat(JUNK_BYTES);
  for (let i = 0; i < JUNK_WRITES && lab.process(name)?.pid === pid; i++) {
    await etcdctl(lab, ['put', `${JUNK}${i % 4}`], value);
  }
  if (lab.process(name)?.pid === pid) throw new Error(`${name} runs on with a full disk`);
  return async () => {
    await resize(lab, name, DISK);
    await etcdctl(lab, ['del', '--prefix', JUNK]);
  };
}
