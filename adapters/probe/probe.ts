/**
 * One question to one address of a service, from where a packet comes: the host's root namespace, so that
 * it takes the host's route, the link and the address inside. A command runs inside the namespace.
 * Never rejects: what goes wrong is why it failed. Bounded in time, whatever the other end does.
 */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { get } from 'node:http';
import { connect } from 'node:net';
import { dnsQuery, dnsRcode, rcodeName } from '../../core/announce/dns';
import type { ProbeResult } from '../../core/announce/probe';
import type { ProbeSpec } from '../../core/model/anycast';
import { runCommand } from './command';

export interface Question {
  service: string;
  namespace: string;
  probe: ProbeSpec;
  /** Null: of the whole service, as a command is asked. */
  address: string | null;
  /** All of the service, for a command. */
  addresses: readonly string[];
  timeoutMs: number;
}

/** Null = healthy; else why not. */
type Ask = (question: Question, signal: AbortSignal) => Promise<string | null>;

export async function askProbe(question: Question, stop?: AbortSignal): Promise<ProbeResult> {
  const { timeoutMs, probe } = question;
  const beganMs = performance.now();
  const took = (why: string | null): ProbeResult => ({ why, tookMs: performance.now() - beganMs });
  const timeout = AbortSignal.timeout(timeoutMs);
  const signal = stop === undefined ? timeout : AbortSignal.any([timeout, stop]);
  try {
    const why = await ASK[probe.kind](question, signal);
    return took(timeout.aborted ? `no answer within ${timeoutMs} ms` : why);
  } catch (error) {
    return took(timeout.aborted ? `no answer within ${timeoutMs} ms` : (error as Error).message);
  }
}

const tcp: Ask = ({ probe, address }, signal) =>
  new Promise((resolve, reject) => {
    if (probe.kind !== 'tcp' || address === null) return reject(new Error('no port to ask'));
    const socket = connect({ host: address, port: probe.port });
    const settle = (end: () => void) => (): void => {
      signal.removeEventListener('abort', aborted);
      socket.destroy();
      end();
    };
    const aborted = settle(() => reject(signal.reason as Error));
    signal.addEventListener('abort', aborted, { once: true });
    if (signal.aborted) return aborted();
    socket.on(
      'connect',
      settle(() => resolve(null)),
    );
    socket.on('error', (error) => settle(() => reject(error))());
  });

const http: Ask = ({ probe, address }, signal) =>
  new Promise((resolve, reject) => {
    if (probe.kind !== 'http' || address === null) return reject(new Error('no page to ask'));
    const { port, path, status } = probe;
    const request = get({ host: address, port, path, signal, agent: false }, (response) => {
      const { statusCode } = response;
      // Only the status counts; a body may have no end.
      request.destroy();
      resolve(statusCode === status ? null : `status ${statusCode}, not ${status}`);
    });
    request.on('error', reject);
  });

const dns: Ask = ({ probe, address }, signal) =>
  new Promise((resolve, reject) => {
    if (probe.kind !== 'dns' || address === null) return reject(new Error('no name to ask'));
    const { port, name, rcode: wanted } = probe;
    // Unguessable, and one socket a question: what others send is not taken for the answer.
    const id = randomInt(0x10000);
    const query = dnsQuery(id, name);
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    const settle = (end: () => void): void => {
      signal.removeEventListener('abort', aborted);
      socket.close();
      end();
    };
    const aborted = (): void => settle(() => reject(signal.reason as Error));
    signal.addEventListener('abort', aborted, { once: true });
    if (signal.aborted) return aborted();
    socket.on('error', (error) => settle(() => reject(error)));
    socket.on('message', (bytes) => {
      const rcode = dnsRcode(bytes, id);
      if (rcode === null) return;
      const why = rcode === wanted ? null : `${rcodeName(rcode)}, not ${rcodeName(wanted)}`;
      settle(() => resolve(why));
    });
    // Connected: a port that nobody serves is told at once (ICMP), not by silence.
    socket.connect(port, address, () => socket.send(query));
  });

const command: Ask = ({ probe, service, namespace, addresses }, signal) => {
  if (probe.kind !== 'command') return Promise.reject(new Error('no command to run'));
  const env = { AETHER_SERVICE: service, AETHER_ADDRESSES: addresses.join(' ') };
  return runCommand(namespace, probe.argv, env, signal);
};

const ASK: Record<ProbeSpec['kind'], Ask> = { tcp, http, dns, command };
