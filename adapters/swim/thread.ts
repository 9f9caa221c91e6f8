/**
 * The thread that gossips: whatever the controller does with its own, answers to probes don't wait for it (2,000 edges
 * that reconnect block it for seconds).
 */
import { parentPort, workerData } from 'node:worker_threads';
import { utf8Text } from '../../core/swim/fields';
import type { Address, Effect, Member } from '../../core/swim/types';
import { labelBytes } from '../../core/swim/wire-packet';
import { Counters } from './counters';
import { SwimError } from './errors';
import { Gossip } from './gossip';
import type { Secrets } from './framing';
import { fingerprint, readKeys, watchKeys } from './keys';
import type { MemberView } from './membership';
import type { FromThread, Notice, ThreadOptions, ToThread } from './protocol';
import { openSockets } from './sockets';

const tell = (message: FromThread): void => parentPort?.postMessage(message);

type Conflict = Extract<Effect, { kind: 'conflict' }>;

const notify = (notice: Notice): void => tell({ kind: 'notice', notice });

const addressText = ({ ip, port }: Address): string =>
  ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;

/** Of ours alone: a kind of meta that nobody else has. */
const BOOT = 'aether/';

const bootOf = (meta: Uint8Array): string => {
  const text = utf8Text(meta) ?? '';
  return text.startsWith(BOOT) ? text.slice(BOOT.length) : '';
};

function viewOf(member: Member, epochMs: number): MemberView {
  return {
    name: member.name,
    address: addressText(member.address),
    boot: bootOf(member.meta),
    state: member.state,
    incarnation: member.incarnation,
    sinceMs: Math.round(epochMs + member.sinceMs),
    confirmations: member.confirmations,
  };
}

/** Several changes of one turn of the loop are one view. */
class View {
  private pending: { shown: boolean } | null = null;

  changed(gossip: () => Gossip, shown: boolean): void {
    if (this.pending !== null) {
      this.pending.shown ||= shown;
      return;
    }
    this.pending = { shown };
    setImmediate(() => {
      const { shown: news } = this.pending ?? { shown };
      this.pending = null;
      this.tell(gossip(), news);
    });
  }

  tell({ state }: Gossip, shown: boolean): void {
    const epochMs = Date.now() - performance.now();
    const members = [...state.members.values()].map((member) => viewOf(member, epochMs));
    tell({ kind: 'view', members, awareness: state.awareness, shown });
  }
}

async function start(options: ThreadOptions): Promise<void> {
  const keys = options.keys === null ? null : readKeys(options.keys);
  const secrets: Secrets = { label: labelBytes(options.label), keys };
  const sockets = await openSockets(options.listen);
  const view = new View();
  const gossip: Gossip = new Gossip(
    {
      name: options.name,
      meta: Buffer.from(`${BOOT}${options.boot}`),
      profile: options.profile,
      secrets,
      counters: new Counters(options.counters),
      onState: (shown) => view.changed(() => gossip, shown),
      onConflict: conflictTeller(),
    },
    sockets,
  );
  const stopWatching = follow(options.keys, secrets);
  parentPort?.on('message', (message: ToThread) => {
    if (message.kind !== 'join') stopWatching();
    void obey(gossip, message);
  });
  view.tell(gossip, true);
  tell({ kind: 'started', address: addressText(sockets.address) });
}

const TELL_AGAIN_MS = 60_000;

/** The same one is heard of every second, and told of once a minute. */
function conflictTeller(): (conflict: Conflict) => void {
  let told = { what: '', atMs: -Infinity };
  return ({ name, listed, claimed }) => {
    const addresses = { listed: addressText(listed), claimed: addressText(claimed) };
    const what = JSON.stringify({ name, ...addresses });
    const nowMs = performance.now();
    if (what === told.what && nowMs - told.atMs < TELL_AGAIN_MS) return;
    told = { what, atMs: nowMs };
    notify({ kind: 'conflict', name, ...addresses });
  };
}

/** What is wrapped from now on is wrapped by the new keys. */
function follow(path: string | null, secrets: Secrets): () => void {
  if (path === null || secrets.keys === null) return () => undefined;
  return watchKeys(path, secrets.keys, {
    onKeys: (keys) => {
      secrets.keys = keys;
      notify({ kind: 'keys', keys: keys.map(fingerprint) });
    },
    onRefused: (why) => notify({ kind: 'keysRefused', why }),
  });
}

async function obey(gossip: Gossip, message: ToThread): Promise<void> {
  switch (message.kind) {
    case 'join':
      return tell({
        kind: 'joined',
        id: message.id,
        answered: await gossip.join(message.addresses),
      });
    case 'leave':
      await gossip.leave(message.timeoutMs);
      return parentPort?.close();
    case 'close':
      await gossip.close();
      return parentPort?.close();
  }
}

start(workerData as ThreadOptions).catch((error: unknown) => {
  if (!(error instanceof SwimError)) throw error;
  tell({ kind: 'refused', failure: error.failure });
  parentPort?.close();
});
