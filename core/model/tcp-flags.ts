/** TCP control bits as users write them: `SYN,!ACK` (RFC 9293 §3.1). */

const BITS = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16, URG: 32, ECE: 64, CWR: 128 } as const;

const isFlag = (name: string): name is keyof typeof BITS => Object.hasOwn(BITS, name);

/** `mask`: flags that are looked at; `value`: those of them that are set. */
export interface TcpFlags {
  mask: number;
  value: number;
}

/** Null where a name is unknown, or named twice. */
export const parseTcpFlags = (text: string): TcpFlags | null => {
  const flags = { mask: 0, value: 0 };
  for (const part of text.split(',').map((word) => word.trim().toUpperCase())) {
    const name = part.startsWith('!') ? part.slice(1) : part;
    if (!isFlag(name) || (flags.mask & BITS[name]) !== 0) return null;
    flags.mask |= BITS[name];
    if (name === part) flags.value |= BITS[name];
  }
  return flags;
};

export const formatTcpFlags = ({ mask, value }: TcpFlags): string =>
  Object.entries(BITS)
    .filter(([, bit]) => (mask & bit) !== 0)
    .map(([name, bit]) => ((value & bit) === 0 ? `!${name}` : name))
    .join(',');
