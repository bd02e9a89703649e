/** Compares two versions of Debian packages as dpkg does: negative when the first is the older one. */
export function compareVersions(one: string, other: string): number {
  const [first, second] = [split(one), split(other)];
  return (
    first.epoch - second.epoch ||
    compareParts(first.upstream, second.upstream) ||
    compareParts(first.revision, second.revision)
  );
}

function split(version: string) {
  const colon = version.indexOf(':');
  const rest = version.slice(colon + 1);
  const dash = rest.lastIndexOf('-');
  return {
    epoch: colon === -1 ? 0 : Number(version.slice(0, colon)),
    upstream: dash === -1 ? rest : rest.slice(0, dash),
    revision: dash === -1 ? '' : rest.slice(dash + 1),
  };
}

/** Compares text and numbers alternately, beginning with text. */
function compareParts(one: string, other: string): number {
  const parts = (version: string) => version.split(/(\d+)/);
  const [first, second] = [parts(one), parts(other)];
  for (let index = 0; index < Math.max(first.length, second.length); index += 1) {
    const [a, b] = [first[index] ?? '', second[index] ?? ''];
    const order = index % 2 === 0 ? compareText(a, b) : Number(a) - Number(b);
    if (order !== 0) return order;
  }
  return 0;
}

/** A tilde comes before the end, the end before letters, and letters before all other characters. */
function compareText(one: string, other: string): number {
  const rank = (text: string, index: number) => {
    const code = text.charCodeAt(index);
    if (Number.isNaN(code)) return 0;
    if (text[index] === '~') return -1;
    return /[A-Za-z]/.test(text[index] ?? '') ? code : code + 256;
  };
  for (let index = 0; index < Math.max(one.length, other.length); index += 1) {
    const order = rank(one, index) - rank(other, index);
    if (order !== 0) return order;
  }
  return 0;
}
