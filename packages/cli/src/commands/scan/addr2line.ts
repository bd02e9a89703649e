import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { QmpilotError } from '@qmpilot/core';

/** A function's place in the source. */
export interface SourceLine {
  readonly function: string;
  readonly file: string;
  readonly line: number;
}

/** No code is at 0: the answer to it ends the one before, whose length is not known. */
const END = '0x0';

/** addr2line(1) of binutils, kept running: it reads a kernel's debug information once. */
export class Addr2line {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;
  readonly #known = new Map<bigint, Promise<readonly SourceLine[]>>();
  #last: Promise<unknown> = Promise.resolve();
  #failure: Error | undefined;

  constructor(path: string, section?: string) {
    const options = section === undefined ? [] : ['-j', section];
    this.#child = spawn('addr2line', ['-afi', ...options, '-e', path], { stdio: ['pipe', 'pipe', 'ignore'] });
    this.#child.on('error', (error) => (this.#failure = error));
    this.#child.stdin.on('error', (error) => (this.#failure ??= error));
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /**
   * Returns the places of an address: functions that the compiler put into their caller first, the function with code of its own last.
   * @throws {TOOL_MISSING}
   */
  locate(address: bigint): Promise<readonly SourceLine[]> {
    let places = this.#known.get(address);
    if (!places) {
      places = this.#last.then(() => this.#ask(address));
      this.#last = places.catch(() => {});
      this.#known.set(address, places);
    }
    return places;
  }

  close(): void {
    this.#child.stdin.end();
    this.#child.kill();
  }

  async #ask(address: bigint): Promise<readonly SourceLine[]> {
    this.#child.stdin.write(`0x${address.toString(16)}\n${END}\n`);
    const places: SourceLine[] = [];
    await this.#next();
    for (let line = await this.#next(); !/^0x0+$/.test(line); line = await this.#next()) {
      const [, file = '', number = ''] = /^(.*):(\d+)(?: \(discriminator \d+\))?$/.exec(await this.#next()) ?? [];
      if (file !== '' && file !== '??' && number !== '0') places.push({ function: line, file, line: Number(number) });
    }
    // The two lines about the address 0.
    await this.#next();
    await this.#next();
    return places;
  }

  async #next(): Promise<string> {
    const { done, value } = await this.#lines.next();
    if (done !== true) return value;
    throw new QmpilotError('TOOL_MISSING', 'addr2line could not be started, or has ended', {
      cause: this.#failure,
      hint: 'on Debian: apt-get install binutils',
    });
  }
}
