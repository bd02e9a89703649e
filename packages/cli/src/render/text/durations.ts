/** `60 ms`: for what takes a moment. */
export function momentMs(ms: number): string {
  return ms < 999.5 ? `${Math.round(ms)} ms` : shortMs(ms);
}

/** `8.2 s`, `1:05 min`: short, for lists. */
export function shortMs(ms: number): string {
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')} min`;
}

/** `8.2 s`, `1:05 min`, `3:48 h`, `2.5 days`: for what takes longer, too. */
export function longMs(ms: number): string {
  const minutes = Math.round(ms / 60_000);
  if (minutes < 60) return shortMs(ms);
  return minutes < 48 * 60
    ? `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, '0')} h`
    : `${(minutes / 60 / 24).toFixed(1)} days`;
}

/** `12 s`, `3 min`, `5 h`, `2 days`: how long ago something was. */
export function ageOf(date: string, now = Date.now()): string {
  const seconds = Math.max(0, Math.floor((now - Date.parse(date)) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  const hours = Math.floor(seconds / 3600);
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} days`;
}
