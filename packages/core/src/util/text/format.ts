/** Formats a duration: `850 ms`, `12.3 s`, `3 s`, `2 min 5 s`, `3 h 48 min`, `2.5 days`. */
export function formatDuration(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${withoutZero(ms / 1000)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return pair(Math.floor(seconds / 60), 'min', seconds % 60, 's');
  const minutes = Math.round(seconds / 60);
  if (minutes < 48 * 60) return pair(Math.floor(minutes / 60), 'h', minutes % 60, 'min');
  return `${withoutZero(minutes / 60 / 24)} days`;
}

/** Formats a share between 0 and 1 with two significant digits: `67 %`, `6.7 %`, `0.67 %`. */
export function formatPercent(share: number): string {
  const value = share * 100;
  if (value === 0 || value === 100) return `${value} %`;
  // Rounded down: 99.96 % must not read as all of them.
  if (value > 99) return `${Math.floor(value * 100) / 100} %`;
  return `${value >= 10 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toPrecision(2)} %`;
}

const BYTE_UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** Formats a number of bytes: `512 bytes`, `1.5 KiB`, `64 MiB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit: string = BYTE_UNITS[0];
  for (const larger of BYTE_UNITS.slice(1)) {
    if (value < 1023.95) break;
    value /= 1024;
    unit = larger;
  }
  return `${withoutZero(value)} ${unit}`;
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

function withoutZero(value: number): string {
  return value.toFixed(1).replace(/\.0$/, '');
}
