/** The encoding of a log's text. */
export type TextEncoding = 'utf-8' | 'utf-16le' | 'utf-16be' | 'binary';

/** Runs of NUL that a file system or ramoops leaves in a log are padding. */
const MIN_PADDING = 4;
/** Share of control bytes that no console prints; compressed data has a tenth, text none. */
const BINARY_SHARE = 0.05;
const MIN_CONTROL = 16;
/** Share of NUL among the bytes of every second place: text in UTF-16 has nearly nothing else there. */
const UTF16_SHARE = 0.7;

/** Finds the encoding by the first bytes of a log. */
export function findEncoding(sample: Uint8Array): TextEncoding {
  if (sample[0] === 0xff && sample[1] === 0xfe) return 'utf-16le';
  if (sample[0] === 0xfe && sample[1] === 0xff) return 'utf-16be';
  const nul = [0, 0];
  const pairs = Math.floor(sample.length / 2);
  for (let i = 0; i < pairs * 2; i++) if (sample[i] === 0) nul[i % 2] = (nul[i % 2] ?? 0) + 1;
  const [even = 0, odd = 0] = nul;
  if (pairs >= 8 && odd > pairs * UTF16_SHARE && even < pairs * (1 - UTF16_SHARE)) return 'utf-16le';
  if (pairs >= 8 && even > pairs * UTF16_SHARE && odd < pairs * (1 - UTF16_SHARE)) return 'utf-16be';
  return isBinary(sample) ? 'binary' : 'utf-8';
}

function isBinary(sample: Uint8Array): boolean {
  let text = 0;
  let control = 0;
  let run = 0;
  for (const byte of sample) {
    if (byte === 0) {
      run++;
      continue;
    }
    if (run < MIN_PADDING) control += run;
    run = 0;
    text++;
    // Bell, backspace, tab, line feed, form feed, carriage return, shift out and in, escape and the record separator are text's own.
    if (byte < 32 && (byte < 7 || byte > 15) && byte !== 27 && byte !== 30) control++;
  }
  if (text === 0) return sample.length > 0;
  return control > MIN_CONTROL && control > (text + control) * BINARY_SHARE;
}
