/**
 * Everything that crosses the boundary to `native/src`: same names, same order. `null` stands for
 * unset; an optional property never crosses. Values are not validated on the other side beyond
 * their type. Each failure is a NativeError.
 */
import { join } from 'node:path';

/** A failed system call. `code` is glibc's name of the errno. */
export interface NativeError extends Error {
  code: string;
  errno: number;
  syscall: string;
  /** The last lines libbpf said (verifier included). */
  log: string | null;
}

export interface NlSocket {
  readonly portId: number;
  setOpt(level: number, option: number, value: number): void;
  /**
   * Reads on the loop from now on, and keeps the process alive until `close` or `unref`.
   * `onData`: whole messages of one or more datagrams lie in `buffer[0, size)` during the call.
   * `onError`: errno; `seq` names the message that could not be sent, 0 = receiving failed.
   * `buffer`: at least 64 KiB; sockets of one thread may share it.
   */
  start(
    onData: (size: number) => void,
    onError: (errno: number, seq: number) => void,
    buffer: Uint8Array,
  ): void;
  /** Queues one message for the `nl-tx` thread; it is copied. */
  send(message: Uint8Array): void;
  /** Sends the start of a dump at once, from this thread: 0 or errno. */
  sendDump(message: Uint8Array): number;
  ref(): void;
  unref(): void;
  close(): void;
}

export interface BpfProgram {
  /** `mapIds`: of the maps it uses. `runCount`, `runTimeNs`: only while kernel.bpf_stats_enabled. */
  readonly info: {
    id: number;
    tag: string;
    name: string;
    mapIds: number[];
    runCount: number;
    runTimeNs: number;
  };
  /** BPF_PROG_TEST_RUN: the verdict on a packet, and the packet after it. */
  testRun(
    packet: Uint8Array,
    repeat: number,
  ): { verdict: number; packet: Buffer; durationNs: number };
  /**
   * BPF_F_TEST_XDP_LIVE_FRAMES: `repeat` frames run through the program as if received, and go where
   * its verdict sends them; off the loop. `nsFd`: the namespace redirects are looked up in; `cpu` ≥ 0
   * pins the sending thread. Resolves with the wall time in ns.
   */
  sendLive(
    packet: Uint8Array,
    repeat: number,
    batch: number,
    nsFd: number | null,
    cpu: number,
  ): Promise<number>;
  pin(path: string): void;
  close(): void;
}

export interface BpfMap {
  /** `valueSize` of a per-CPU map spans all possible CPUs, each value rounded up to 8 bytes. */
  readonly info: {
    id: number;
    type: number;
    name: string;
    keySize: number;
    valueSize: number;
    maxEntries: number;
    flags: number;
  };
  /** False where the key is absent. */
  lookup(key: Uint8Array, value: Uint8Array): boolean;
  update(key: Uint8Array, value: Uint8Array, flags: number): void;
  delete(key: Uint8Array): boolean;
  /**
   * Puts `inner` at `key` of a map of maps, or takes away what is there (null); off the loop, since it
   * waits for RCU. When it resolves no packet reads the former inner map any more.
   */
  setInner(key: Uint8Array, inner: BpfMap | null): Promise<void>;
  /**
   * Off the loop; `n` keys and values back to back, copied. Resolves with how many were written; an
   * error's `log` says how many were before it.
   */
  updateBatch(keys: Uint8Array, values: Uint8Array, n: number): Promise<number>;
  /**
   * The values of an array map made with BPF_F_MMAPABLE, each rounded up to 8 bytes: the kernel's own
   * memory, always the same array. Valid until `close`, which detaches the buffer; no job of the pool
   * (zlib, fs) may be under way on it then.
   */
  mmap(): Uint8Array;
  /** Keys from `key` on (null: from the first), at most `out.length / keySize`; how many. */
  keys(key: Uint8Array | null, out: Uint8Array): number;
  /** bpf_map's memory as /proc/self/fdinfo tells it, in bytes. */
  memlockBytes(): number;
  pin(path: string): void;
  close(): void;
}

/** BPF_MAP_TYPE_RINGBUF, read when asked. */
export interface RingReader {
  /**
   * Hands over what lies in the ring: records back to back, each as u32 length and its bytes, the whole
   * padded to 8. Ends with the record that reaches `maxBytes`; the rest stays.
   */
  drain(maxBytes: number): Buffer;
  close(): void;
}

export interface MapDefinition {
  type: number;
  name: string;
  keySize: number;
  valueSize: number;
  maxEntries: number;
  flags: number;
}

export interface BpfObject {
  program(name: string): BpfProgram;
  map(name: string): BpfMap;
  close(): void;
}

export interface BpfLink {
  /** `ifindex` 0: its device is gone. */
  readonly info: { id: number; programId: number; ifindex: number };
  /** Swaps the program; packets see no gap. */
  update(program: BpfProgram): Promise<void>;
  /** Takes the program off its interface for good, pinned or not. */
  detach(): Promise<void>;
  pin(path: string): void;
  close(): void;
}

/**
 * One BFD session as the pacer thread sees it: bytes to send, when, and when the silence is too long.
 * `local`, `remote`: addresses as text, with %scope (name or index) where link-local; neither need be
 * there yet. Times in microseconds.
 */
export interface PacerSession {
  /** bfd.LocalDiscr, non-zero: what an arriving packet names, and the name of this session here. */
  discriminator: number;
  remote: string;
  /** null: the kernel's choice. */
  local: string | null;
  multihop: boolean;
  /**
   * RFC 7881: sent to 7784, heard where it was sent from. A packet with the Demand bit, a question, is
   * dropped unheard. Silence counts only once as many were sent as fit into `detectUs`.
   */
  seamless: boolean;
  /** A control packet, 24 bytes; null: nothing is sent by time. The first goes at once. */
  packet: Uint8Array | null;
  /**
   * Each pause is drawn evenly from this range (RFC 5880 §6.8.7), and cut by up to a 16th of it where the
   * thread is awake anyway; never below `pauseMinUs`, nor 1 ms.
   */
  pauseMinUs: number;
  pauseMaxUs: number;
  /**
   * Silence after which it is reported once as expired, counted from the last packet that was given to
   * this session, whatever it said (for a session that had none: from this call); 0 = never. Packets that
   * RFC 5880 §6.8.6 discards and authenticated ones don't count.
   */
  detectUs: number;
  /** A packet with these 24 bytes, P and F among them, is not reported; any other is. null: all are. */
  expect: Uint8Array | null;
}

/** `atNs`: CLOCK_MONOTONIC, taken by the kernel where it can (SO_TIMESTAMPNS converted), else by the thread. */
export type PacerEvent =
  /**
   * `discriminator`: of the session it was given to: by Your Discriminator, if it came from that session's
   * `remote` and to its port; where Your Discriminator is zero by its source (and destination, if `local` is
   * set); 0: none fits. `packet`: as long as its Length says, at most 64 bytes; what RFC 5880 §6.8.6 discards
   * without knowing the session never arrives. `ttl` as received. Packets on 3784 with a TTL below 255 never
   * arrive, nor on 4784 those that come from no `remote` of a session over several hops.
   */
  | {
      kind: 'packet';
      discriminator: number;
      packet: Buffer;
      source: string;
      multihop: boolean;
      ttl: number;
      atNs: bigint;
    }
  /** `lateUs`: how long after its deadline; what lay in the sockets was read before. */
  | { kind: 'expired'; discriminator: number; atNs: bigint; lateUs: number }
  /** The session can't send: errno by glibc's name; told once until it changes. null: it can again. */
  | { kind: 'sendFailed'; discriminator: number; code: string | null };

export interface PacerCounters {
  sent: number;
  received: number;
  /** Dropped for their shape (RFC 5880 §6.8.6); authentication aside. */
  dropped: number;
  /** Packets that could not be reported: the loop did not run, and too many waited. Expiries always are. */
  unreported: number;
  /** Largest since they were last read: how late a pause ended, and the pause between two packets received. */
  lateMaxUs: number;
  gapMaxUs: number;
}

export interface BfdPacer {
  /** Whether the thread has SCHED_FIFO; else why not. */
  readonly realtime: { held: boolean; code: string | null };
  /**
   * Adds a session, or changes it without a gap: the running pause only ever gets shorter by it, and the
   * deadline is the last packet and the new `detectUs`. TypeError: no such addresses or times.
   */
  set(session: PacerSession): void;
  /** One packet at once, besides those by time: Final, a change of state. ENOENT: was never set. */
  send(discriminator: number, packet: Uint8Array): void;
  remove(discriminator: number): void;
  /** 0: of packets that fit no session. ENOENT: was never set. */
  counters(discriminator: number): PacerCounters;
  /** Joins the thread; nothing is reported any more. Until then it keeps the process alive. */
  close(): void;
}

export interface Native {
  /** Makes a namespace at `<directory>/<name>`; the directory is prepared as `ip netns` does. */
  nsCreate(path: string): Promise<void>;
  nsDelete(path: string): Promise<void>;
  /** Keys as paths below /proc/sys; null for a key that does not exist. */
  sysctlRead(nsFd: number | null, keys: string[]): Promise<(string | null)[]>;
  /** Resolves to the value before. */
  sysctlWrite(nsFd: number | null, key: string, value: string): Promise<string | null>;
  /** Mounts the bpf file system on `path` where it is not. */
  bpfFsMount(path: string): void;
  possibleCpus(): number;
  NlSocket: { open(nsFd: number | null, protocol: number): Promise<NlSocket> };
  /**
   * Maps with LIBBPF_PIN_BY_NAME are pinned in, and reused from, `pinRoot`; null: none is.
   * `rodata`: bytes that replace the head of the object's .rodata before it is loaded, null = as
   * compiled.
   */
  BpfObject: {
    load(elf: Uint8Array, pinRoot: string | null, rodata: Uint8Array | null): Promise<BpfObject>;
  };
  BpfProgram: { openById(id: number): BpfProgram; open(pin: string): BpfProgram };
  BpfMap: {
    open(pin: string): BpfMap;
    openById(id: number): BpfMap;
    create(definition: MapDefinition): BpfMap;
  };
  RingReader: { open(map: BpfMap): RingReader };
  /**
   * A thread of its own under SCHED_FIFO with sockets on UDP 3784 and 4784, both families, and on ports of
   * their own for Seamless BFD, in the network namespace of the caller (EADDRINUSE: another BFD has them). `onEvents` gets all that came since the
   * loop last ran, in order; of packets that fit no session at most 64.
   */
  BfdPacer: {
    open(onEvents: (events: PacerEvent[]) => void): BfdPacer;
  };
  BpfLink: {
    /** `flags`: XDP_FLAGS_*; 0 lets the kernel choose the mode. */
    attachXdp(
      program: BpfProgram,
      ifindex: number,
      nsFd: number | null,
      flags: number,
    ): Promise<BpfLink>;
    /** BPF_TCX_INGRESS or BPF_TCX_EGRESS (kernel 6.6); EINVAL where there is none. */
    attachTcx(
      program: BpfProgram,
      ifindex: number,
      nsFd: number | null,
      direction: 'ingress' | 'egress',
    ): Promise<BpfLink>;
    /** tp_btf, fentry …: what the program's section names. */
    attachTracing(program: BpfProgram): Promise<BpfLink>;
    /** cgroup_skb of the directory `cgroup` of a cgroup v2 hierarchy, and all below it. */
    attachCgroup(
      program: BpfProgram,
      cgroup: string,
      direction: 'ingress' | 'egress',
    ): Promise<BpfLink>;
    open(pin: string): BpfLink;
  };
}

const ADDON = join(__dirname, '../../../native/build/Release/aether_native.node');

// oxlint-disable-next-line typescript/no-require-imports -- a .node file has no other loader
export const native = require(ADDON) as Native;
