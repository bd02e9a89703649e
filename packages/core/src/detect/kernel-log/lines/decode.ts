const NOT_ASCII = /[\u0080-\u00ff]/;

/** Text of bytes that were read as Latin-1. */
export function decode(raw: string): string {
  return NOT_ASCII.test(raw) ? Buffer.from(raw, 'latin1').toString('utf8') : raw;
}
