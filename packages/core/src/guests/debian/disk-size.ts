import * as v from 'valibot';

const UNITS: Readonly<Record<string, number>> = { M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };
const SIZE = /^([1-9]\d{0,6})([MGT])$/;

/** The schema of a disk's size: a whole number with a unit. */
export const DISK_SIZE_OPTION = v.custom<string>(
  (value) => typeof value === 'string' && SIZE.test(value),
  "expected a size such as '8G' or '512M'",
);

/** Bytes of a size that `DISK_SIZE_OPTION` has accepted. */
export function diskBytes(size: string): number {
  const [, number = '0', unit = 'M'] = SIZE.exec(size) ?? [];
  return Number(number) * (UNITS[unit] ?? 0);
}
