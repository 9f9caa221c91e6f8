/**
 * One watch stream to one member, with a watchdog: beside the range it watches a heartbeat key, and
 * it is given up when that has not moved for 3 s. Nothing else tells a quiet range from a dead stream:
 * a member that is cut off, a proxy that forwards no more, a connection being made to a black hole.
 *
 * Nobody is appointed to move the heartbeat. Whoever has not seen it move for a second moves it, so a
 * cluster gets about one write a second however many watches it has, and any of them may die.
 */
import type { IEvent, IWatchRequest, IWatchResponse } from 'etcd3';
import { type EtcdClient, heartbeatKey } from './client';
import type { Endpoint } from './endpoint';
import type { WatchEvent, WatchMessage } from './cursor';
import { judge, wordsOf } from './errors';
import type { KeyRange } from './port';
import { boundsOf, keyValueOf, revisionOf } from './wire';

const beatAfterMs = 1000;
const silentAfterMs = 3000;
const checkEveryMs = 250;
/** Events waiting for the consumer at which reading pauses; etcd then holds back the rest. */
const highWater = 1024;

const rangeWatch = '1';
const heartbeatWatch = '2';
/** watch_id of the answer to a progress request, which speaks for all watches of the stream. */
const wholeStream = '-1';

/** `cut`: go on elsewhere from the cursor. `relist`: the cursor is of no use any more. */
export type StreamEnd = { readonly end: 'cut' | 'relist' | 'closed'; readonly why: string };

/** What etcd3 types as a duplex stream is a Node stream; without pausing it there is no bound. */
type Call = Awaited<ReturnType<Endpoint['watch']['watch']>> & {
  pause(): void;
  resume(): void;
};

export class WatchStream {
  readonly #client: EtcdClient;
  readonly #inbox: WatchMessage[] = [];
  #queued = 0;
  #paused = false;
  #heardAtMs: number;
  #beating = false;
  #synced = false;
  #ended: StreamEnd | undefined;
  #wake: (() => void) | undefined;
  #call: Call | undefined;
  readonly #timer: NodeJS.Timeout;

  constructor(client: EtcdClient, member: number, range: KeyRange, fromRevision: number) {
    this.#client = client;
    this.#heardAtMs = client.now();
    this.#timer = setInterval(() => this.#check(), checkEveryMs);
    this.#open(member, range, fromRevision).catch((error: unknown) => {
      this.#end('relist', wordsOf(error));
    });
  }

  /** The next message, or why there are no more; messages that came before the end come first. */
  async read(): Promise<WatchMessage | StreamEnd> {
    for (;;) {
      const message = this.#inbox.shift();
      if (message) {
        this.#queued -= message.events.length;
        this.#resume();
        return message;
      }
      if (this.#ended) return this.#ended;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** What has come but was not read is dropped. */
  close(): void {
    this.#inbox.length = 0;
    this.#end('closed', 'closed by us');
  }

  async #open(member: number, range: KeyRange, fromRevision: number): Promise<void> {
    const call = (await this.#client.endpoint(member).watch.watch()) as Call;
    this.#call = call;
    call.on('error', (error) => this.#end(judge(error)?.retry ? 'cut' : 'relist', wordsOf(error)));
    call.on('end', () => this.#end('cut', 'the member ended the stream'));
    call.on('data', (response) => {
      try {
        this.#receive(response);
      } catch (error) {
        this.#end('relist', wordsOf(error));
      }
    });
    if (this.#ended) return call.cancel();
    const creates: IWatchRequest[] = [
      {
        create_request: {
          ...boundsOf(range),
          watch_id: rangeWatch,
          start_revision: fromRevision,
          progress_notify: true,
          fragment: true,
        },
      },
      { create_request: { ...boundsOf({ key: heartbeatKey }), watch_id: heartbeatWatch } },
    ];
    for (const request of creates) call.write(request);
  }

  #receive(response: IWatchResponse): void {
    if (this.#ended) return;
    if (response.canceled) {
      // Compaction comes with an empty reason.
      const compacted = revisionOf(response.compact_revision) > 0;
      this.#end('relist', compacted ? 'compacted' : response.cancel_reason);
    } else if (response.created) {
      this.#heardAtMs = this.#client.now();
    } else if (response.watch_id === heartbeatWatch) {
      this.#heardAtMs = this.#client.now();
      this.#call?.write({ progress_request: {} });
    } else if (response.watch_id === rangeWatch || response.watch_id === wholeStream) {
      this.#synced ||= response.events.length === 0;
      this.#deliver({
        headerRevision: revisionOf(response.header.revision),
        events: response.events.map(eventOf),
        fragment: response.fragment,
      });
    }
  }

  #deliver(message: WatchMessage): void {
    this.#inbox.push(message);
    this.#queued += message.events.length;
    if (this.#queued >= highWater && !this.#paused) {
      this.#paused = true;
      this.#call?.pause();
    }
    this.#wake?.();
  }

  #resume(): void {
    if (!this.#paused || this.#queued > highWater / 2) return;
    this.#paused = false;
    this.#heardAtMs = this.#client.now(); // heartbeats of the meantime are still in the socket
    this.#call?.resume();
  }

  #check(): void {
    if (this.#paused) return; // the consumer is slow, not the member
    // etcd answers nothing while a watch is catching up, so ask until it does.
    if (!this.#synced) this.#call?.write({ progress_request: {} });
    const silentMs = this.#client.now() - this.#heardAtMs;
    if (silentMs >= silentAfterMs) {
      this.#end('cut', `no heartbeat for ${Math.round(silentMs)} ms`);
    } else if (silentMs >= beatAfterMs && !this.#beating) {
      this.#beating = true;
      this.#client
        .beat(beatAfterMs)
        .catch(() => undefined) // the watchdog says it louder
        .finally(() => (this.#beating = false));
    }
  }

  #end(end: StreamEnd['end'], why: string): void {
    if (this.#ended) return;
    this.#ended = { end, why };
    clearInterval(this.#timer);
    this.#call?.cancel();
    this.#wake?.();
  }
}

function eventOf({ type, kv }: IEvent): WatchEvent {
  if (type === 'Put') return { kind: 'put', entry: keyValueOf(kv) };
  return { kind: 'delete', key: kv.key.toString(), modRevision: revisionOf(kv.mod_revision) };
}
