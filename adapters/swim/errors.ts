/** Why gossip did not start; nothing is left open. */
export type SwimFailure =
  | { readonly code: 'address'; readonly listen: string; readonly why: string }
  | { readonly code: 'listen'; readonly listen: string; readonly said: string }
  | { readonly code: 'keys'; readonly path: string; readonly why: string }
  | { readonly code: 'options'; readonly why: string };

export class SwimError extends Error {
  override readonly name = 'SwimError';
  constructor(readonly failure: SwimFailure) {
    super(describe(failure));
  }
}

function describe(failure: SwimFailure): string {
  switch (failure.code) {
    case 'address':
      return `gossip: "${failure.listen}" ${failure.why}; name the address and port where the other controllers reach this one, such as 192.0.2.7:7701`;
    case 'listen':
      return `gossip: can't listen on ${failure.listen}, UDP and TCP: ${failure.said}`;
    case 'keys':
      return `gossip: the key file ${failure.path} ${failure.why}; it holds a key of 16, 24 or 32 bytes in base64 a line, the first one to write with`;
    case 'options':
      return `gossip: ${failure.why}`;
  }
}
