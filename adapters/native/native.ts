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
  readonly info: { id: number; tag: string; name: string };
  /** BPF_PROG_TEST_RUN: the verdict on a packet, and the packet after it. */
  testRun(
    packet: Uint8Array,
    repeat: number,
  ): { verdict: number; packet: Buffer; durationNs: number };
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
  };
  /** False where the key is absent. */
  lookup(key: Uint8Array, value: Uint8Array): boolean;
  update(key: Uint8Array, value: Uint8Array, flags: number): void;
  delete(key: Uint8Array): boolean;
  close(): void;
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
  /** Maps with LIBBPF_PIN_BY_NAME are pinned in, and reused from, `pinRoot`. */
  BpfObject: { load(elf: Uint8Array, pinRoot: string | null): Promise<BpfObject> };
  BpfProgram: { openById(id: number): BpfProgram };
  BpfMap: { open(pin: string): BpfMap };
  BpfLink: {
    /** `flags`: XDP_FLAGS_*; 0 lets the kernel choose the mode. */
    attachXdp(
      program: BpfProgram,
      ifindex: number,
      nsFd: number | null,
      flags: number,
    ): Promise<BpfLink>;
    open(pin: string): BpfLink;
  };
}

const ADDON = join(__dirname, '../../../native/build/Release/aether_native.node');

// oxlint-disable-next-line typescript/no-require-imports -- a .node file has no other loader
export const native = require(ADDON) as Native;
