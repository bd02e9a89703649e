type State = 'text' | 'escape' | 'escape-rest' | 'csi' | 'string' | 'string-escape';

/** Where the fast path has to stop: every control character, of C0, C1 and DEL, but tab, line feed and CR LF. */
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]|\r(?!\n)/g;

/**
 * Takes terminal bytes and gives text: control sequences (ECMA-48) and controls are left out, `CR LF` is one
 * line feed, a lone carriage return stays. Works on chunks cut anywhere; broken UTF-8 becomes U+FFFD.
 */
export class PlainText {
  readonly #decoder = new TextDecoder('utf-8');
  #state: State = 'text';
  #returns = false;

  push(chunk: Uint8Array): string {
    return this.#strip(this.#decoder.decode(chunk, { stream: true }));
  }

  #strip(input: string): string {
    // Joined once: a string that grows by the piece keeps all its pieces.
    const output: string[] = [];
    let index = 0;
    while (index < input.length) {
      if (this.#state === 'text') {
        CONTROL.lastIndex = index;
        const stop = CONTROL.exec(input)?.index ?? input.length;
        if (stop > index) {
          output.push(this.#settleReturn(input.charCodeAt(index)), input.slice(index, stop).replaceAll('\r\n', '\n'));
          index = stop;
          continue;
        }
      }
      const said = this.#control(input.charCodeAt(index));
      if (said !== '') output.push(said);
      index += 1;
    }
    return output.join('');
  }

  /** A carriage return waits for what follows it: a line feed, or another one, swallows it. */
  #settleReturn(next: number): string {
    if (!this.#returns) return '';
    this.#returns = false;
    return next === 0x0a || next === 0x0d ? '' : '\r';
  }

  #control(code: number): string {
    // CAN and SUB end any sequence; ESC begins a new one, except that it may end a string.
    if (code === 0x18 || code === 0x1a) this.#state = 'text';
    else if (code === 0x1b) this.#state = this.#state === 'string' ? 'string-escape' : 'escape';
    else return this.#inState(code);
    return '';
  }

  #inState(code: number): string {
    switch (this.#state) {
      case 'text':
        if (code === 0x0d) this.#returns = true;
        else if (code === 0x9b) this.#state = 'csi';
        else if (isStringStart(code - 0x40)) this.#state = 'string';
        return '';
      case 'escape':
        if (code === 0x5b) this.#state = 'csi';
        else if (isStringStart(code)) this.#state = 'string';
        else this.#state = code >= 0x20 && code <= 0x2f ? 'escape-rest' : 'text';
        return '';
      case 'escape-rest':
        if (code < 0x20 || code > 0x2f) this.#state = 'text';
        return '';
      case 'csi':
        // A control inside a sequence is carried out by terminals; line ends matter, the rest does not.
        if (code === 0x0a) return this.#settleReturn(code) + '\n';
        if (code === 0x0d) this.#returns = true;
        else if (code >= 0x40) this.#state = 'text';
        return '';
      case 'string':
        // A line feed ends it too: a string that nothing ends must not swallow the rest of the console.
        if (code === 0x07 || code === 0x9c || code === 0x0a) this.#state = 'text';
        return code === 0x0a ? this.#settleReturn(code) + '\n' : '';
      case 'string-escape':
        this.#state = 'text';
        return code === 0x5c ? '' : this.#control(code);
    }
  }
}

/** DCS, SOS, OSC, PM, APC in their seven-bit form (ESC P, X, ], ^, _). */
function isStringStart(code: number): boolean {
  return code === 0x50 || code === 0x58 || code === 0x5d || code === 0x5e || code === 0x5f;
}
