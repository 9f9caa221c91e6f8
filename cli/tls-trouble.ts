/**
 * Why certificates keep us out. gRPC says "unavailable" of each of these; one handshake by hand tells them apart. A
 * server says that it refuses ours only after our own handshake is through (TLS 1.3, RFC 8446 §4.4.2.4), or just hangs up.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { connect, type PeerCertificate, type TLSSocket } from 'node:tls';
import { CONTROLLER_SERVER_NAME, identityOf } from '../adapters/ca/identity';
import { nameOf } from '../adapters/grpc/mtls';
import { certificatesIn, type Pem } from '../adapters/grpc/tls';

export interface Pems extends Pem {
  paths: { ca: string; cert: string; key: string };
}

export interface Trouble {
  what: string;
  todo: string;
}

/** To connect, and once more for what the server says of our certificate. */
const WAIT_MS = 3_000;

/** Null: it is no matter of certificates, as far as can be told from here. */
export async function tlsTrouble(server: string, pems: Pems): Promise<Trouble | null> {
  const own = outOfTime(pems, Date.now());
  if (own !== null) return own;
  const there = await shaken(server, pems);
  if (there === null) return null;
  const { certificate, unauthorized, refusal } = there;
  const { paths } = pems;
  // Its chain is good then; whose it is comes below.
  if (unauthorized !== null && unauthorized !== 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const expired = unauthorized === 'CERT_HAS_EXPIRED';
    return {
      what: expired
        ? `The certificate that ${server} shows has expired (${certificate.valid_to})`
        : `The certificate that ${server} shows is not of an authority in ${paths.ca} (${unauthorized})`,
      todo: expired
        ? 'Issue the controller a new one: docs/runbooks/certificates.md'
        : 'Is --tls-ca the ca.pem of that cluster, also after a rotation?',
    };
  }
  const found = identityOf(certificate);
  if (found?.role !== 'controller') {
    const who = found === null ? 'nobody of Aether' : `${found.role}/${found.id}`;
    const what = `What answers on ${server} is no controller: its certificate is that of ${who}`;
    return { what, todo: 'Is it the port of the admin API (AETHER_ADMIN_LISTEN)?' };
  }
  if (refusal === null) return null;
  return {
    what: `controller/${found.id} on ${server} refuses the certificate of ${nameIn(pems)} (${refusal})`,
    todo: `Is ${paths.cert} of the authority of that cluster, and still good by the controller's clock? A new one: aether ca issue operator NAME`,
  };
}

const ANOTHER = 'Issue another one: aether ca issue operator NAME';

/** Asked once a server has refused us: its clock is the one that counts. */
function outOfTime({ cert, paths }: Pems, nowMs: number): Trouble | null {
  const { validFrom, validTo } = new X509Certificate(cert);
  if (Date.parse(validTo) < nowMs) {
    return { what: `The certificate ${paths.cert} has expired (${validTo})`, todo: ANOTHER };
  }
  if (Date.parse(validFrom) < nowMs) return null;
  const what = `The certificate ${paths.cert} is not good before ${validFrom}`;
  return { what, todo: 'Is the clock of this host right?' };
}

/** Whether a certificate and a key are such, and belong together: nothing can be dialled with others. */
export function pemTrouble({ ca, cert, key, paths }: Pems): Trouble | null {
  try {
    if (certificatesIn(ca).length === 0) {
      return {
        what: `There is no certificate in ${paths.ca}`,
        todo: 'It is the ca.pem of the authority',
      };
    }
    if (new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) return null;
    const what = `The key ${paths.key} is not that of the certificate ${paths.cert}`;
    return { what, todo: ANOTHER };
  } catch (error) {
    const what = `${paths.cert} or ${paths.key} can't be read: ${(error as Error).message}`;
    return { what, todo: 'Both are PEM files, as `aether ca issue` makes them' };
  }
}

function nameIn({ cert }: Pems): string {
  const { subjectAltName } = new X509Certificate(cert);
  return nameOf(identityOf({ subjectaltname: subjectAltName ?? '' }));
}

interface Shaken {
  certificate: PeerCertificate;
  /** Why the server's certificate is not believed; null: it is. */
  unauthorized: string | null;
  /** Why the server does not believe ours; null: it does. */
  refusal: string | null;
}

/** Null: there was no handshake. */
function shaken(server: string, { ca, cert, key }: Pems): Promise<Shaken | null> {
  const { hostname, port } = new URL(`tcp://${server}`);
  return new Promise((resolve) => {
    let certificate: PeerCertificate | null = null;
    let unauthorized: string | null = null;
    const done = (refusal: string | null): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(certificate === null ? null : { certificate, unauthorized, refusal });
    };
    const socket: TLSSocket = connect({
      host: hostname.replace(/^\[(.*)\]$/, '$1'),
      port: Number(port),
      servername: CONTROLLER_SERVER_NAME,
      ca,
      cert,
      key,
      ALPNProtocols: ['h2'],
      rejectUnauthorized: false,
    });
    let timer = setTimeout(() => done(null), WAIT_MS);
    socket.on('secureConnect', () => {
      certificate = socket.getPeerCertificate();
      // Node types it as an Error; it is the code alone.
      unauthorized = socket.authorized ? null : String(socket.authorizationError);
      clearTimeout(timer);
      timer = setTimeout(() => done(null), WAIT_MS);
    });
    // An h2 server that believes us begins with its settings.
    socket.on('data', () => done(null));
    socket.on('error', (error: NodeJS.ErrnoException) => done(alertIn(error)));
    socket.on('close', () => done('it hangs up'));
  });
}

/** `tlsv13 alert certificate required` and its like; other errors by their code. */
const alertIn = ({ message, code }: NodeJS.ErrnoException): string =>
  /alert ([a-z ]+)/.exec(message)?.[1]?.trim() ?? (code === 'ECONNRESET' ? 'it hangs up' : message);
