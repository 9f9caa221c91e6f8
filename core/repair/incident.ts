/** One id through event, workflow, repair, metric exemplar and log. */

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';

export const INCIDENT_ID = /^inc-[a-z2-7]{16}$/;

/** `inc-` and 16 characters of base32 (RFC 4648 §6, lower case) from ten random bytes: 80 bits. */
export const incidentId = (random: Uint8Array): string => {
  if (random.length < 10) throw new RangeError('an incident id takes ten random bytes');
  let bits = 0n;
  for (const byte of random.subarray(0, 10)) bits = (bits << 8n) | BigInt(byte);
  let text = '';
  for (let shift = 75n; shift >= 0n; shift -= 5n) text += ALPHABET[Number((bits >> shift) & 31n)];
  return `inc-${text}`;
};
