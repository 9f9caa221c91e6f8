/**
 * What stands in front of a Temporal server in production: ends mutual TLS and passes each gRPC call
 * on in plain HTTP/2. The dev server itself speaks no TLS.
 */
import { once } from 'node:events';
import {
  type ClientHttp2Session,
  connect,
  constants,
  createSecureServer,
  type Http2SecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';

export interface DoorCertificates {
  /** Who may come in: PEM of the authority of the clients. */
  ca: Buffer;
  cert: Buffer;
  key: Buffer;
}

/** A gRPC call that came through, and what it had for `authorization`. */
export interface Call {
  method: string;
  authorization: string | undefined;
}

export class TlsDoor {
  readonly calls: Call[] = [];
  /** Why handshakes failed: OpenSSL's codes, oldest first. */
  readonly refused: string[] = [];
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #server: Http2SecureServer;
  readonly #onward: ClientHttp2Session;

  private constructor(target: string, certificates: DoorCertificates) {
    this.#onward = connect(`http://${target}`).on('error', () => undefined);
    this.#server = createSecureServer({
      ...certificates,
      requestCert: true,
      rejectUnauthorized: true,
    });
    this.#server
      .on('tlsClientError', (error: NodeJS.ErrnoException) => this.refused.push(String(error.code)))
      .on('session', (session) => {
        this.#sessions.add(session);
        session.on('close', () => this.#sessions.delete(session)).on('error', () => undefined);
      })
      .on('stream', (stream, headers) => this.#pass(stream, headers));
  }

  /** `target`: host:port of the server behind. */
  static async open(target: string, certificates: DoorCertificates): Promise<TlsDoor> {
    const door = new TlsDoor(target, certificates);
    door.#server.listen(0, '127.0.0.1');
    await once(door.#server, 'listening');
    return door;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const session of this.#sessions) session.destroy();
    this.#onward.destroy();
    await closed;
  }

  #pass(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const method = headers[':path']?.split('/').at(-1) ?? '';
    this.calls.push({ method, authorization: headers.authorization });
    const request = this.#onward.request({ ...headers, ':scheme': 'http' });
    let trailers: IncomingHttpHeaders = {};
    request
      .on('response', (answer, flags) => {
        const endStream = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
        if (!stream.closed) stream.respond(answer, { endStream, waitForTrailers: !endStream });
      })
      .on('trailers', (last) => (trailers = last))
      .on('error', () => stream.close())
      .on('close', () => request.rstCode !== 0 && stream.close(request.rstCode));
    stream
      .on('wantTrailers', () => stream.sendTrailers(trailers))
      .on('error', () => undefined)
      // A call that its client gave up is given up behind the door as well.
      .on('close', () => request.close(stream.rstCode));
    stream.pipe(request).pipe(stream);
  }
}
