/** A frame of gdb's `where`. All text comes from the guest. */
export interface GdbFrame {
  readonly level: number;
  /** `0x...`; absent for the frame at the beginning of a source line, and for inlined ones. */
  readonly address?: string;
  /** `node::Start(int, char**)`, `uv_run`; `??` where gdb knows no name. */
  readonly function: string;
  /** What gdb prints in the parentheses behind it: `fd=3, timeout=-1`; empty without debugging information. */
  readonly args: string;
  /** Source file and line, with debugging information. */
  readonly file?: string;
  readonly line?: number;
  /** Shared library (`from ...`). */
  readonly library?: string;
}

/** One thread of gdb's `thread apply all bt`. */
export interface GdbThread {
  /** gdb's number of the thread; absent for a backtrace that belongs to no named thread. */
  readonly number?: number;
  /** The kernel's thread id. */
  readonly tid?: number;
  readonly name?: string;
  readonly frames: readonly GdbFrame[];
}

const THREAD = /^Thread (\d{1,9}) \((?:Thread 0x[0-9a-f]+ )?\(?(?:LWP |process )(\d{1,9})\)?(?: "([^"]*)")?.*\):?$/;
const FRAME = /^#(\d{1,6})\s+(?:(0x[0-9a-f]{1,16}) in )?(.*)$/;
const TAIL = /\s(?:from (\S.*)|at (\S.*?):(\d{1,9}))$/;

/**
 * The frames of one backtrace: of the last one in `text`, which may be a whole terminal with prompts and other output. Lines that
 * gdb or the terminal broke are put together again.
 */
export function parseGdbBacktrace(text: string): GdbFrame[] {
  return [...(parseGdbThreads(text).at(-1)?.frames ?? [])];
}

/** Every backtrace in `text`, as `thread apply all bt` prints them. */
export function parseGdbThreads(text: string): GdbThread[] {
  const threads: { number?: number; tid?: number; name?: string; frames: GdbFrame[] }[] = [];
  let heading: { number?: number; tid?: number; name?: string } = {};
  for (const line of wholeLines(text)) {
    const thread = THREAD.exec(line);
    if (thread) {
      heading = {
        number: Number(thread[1]),
        tid: Number(thread[2]),
        ...(thread[3] !== undefined && { name: thread[3] }),
      };
      continue;
    }
    const frame = parseLine(line);
    if (!frame) continue;
    if (frame.level === 0) {
      threads.push({ ...heading, frames: [] });
      heading = {};
    }
    threads.at(-1)?.frames.push(frame);
  }
  return threads;
}

/** Lines as gdb meant them: one that begins with blanks, or continues where a frame cannot end, belongs to the one before. */
function wholeLines(text: string): string[] {
  const whole: string[] = [];
  let inFrame = false;
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('#') || THREAD.test(line)) {
      whole.push(line.trimEnd());
      inFrame = line.startsWith('#');
    } else if (
      line.trim() === '' ||
      /^(?:\(gdb\)|\[|Thread |0x|--Type |\(More stack|Backtrace stopped|warning:|Continuing|Quit|A debugging session)/.test(
        line,
      )
    ) {
      inFrame = false;
    } else if (inFrame) {
      // gdb itself breaks at a blank and indents; a terminal cuts anywhere.
      whole.push(`${whole.pop() ?? ''}${/^\s/.test(line) ? ` ${line.trim()}` : line.trimEnd()}`);
    }
  }
  return whole;
}

function parseLine(line: string): GdbFrame | undefined {
  const match = FRAME.exec(line);
  if (!match) return undefined;
  let rest = (match[3] ?? '').trim();
  const tail = TAIL.exec(rest);
  if (tail) rest = rest.slice(0, tail.index);
  const { name, args } = splitCall(rest);
  if (name === '') return undefined;
  return {
    level: Number(match[1]),
    ...(match[2] !== undefined && { address: match[2] }),
    function: name,
    args,
    ...(tail?.[2] !== undefined && { file: tail[2], line: Number(tail[3]) }),
    ...(tail?.[1] !== undefined && { library: tail[1] }),
  };
}

/** `name (args)`: the last parenthesis that is opened behind a blank, as C++ names have parentheses of their own. */
function splitCall(text: string): { name: string; args: string } {
  if (!text.endsWith(')')) return { name: text, args: '' };
  let depth = 0;
  for (let at = text.length - 1; at >= 0; at -= 1) {
    if (text[at] === ')') depth += 1;
    else if (text[at] === '(') depth -= 1;
    if (depth === 0) {
      return text[at - 1] === ' '
        ? { name: text.slice(0, at).trim(), args: text.slice(at + 1, -1) }
        : { name: text, args: '' };
    }
  }
  return { name: text, args: '' };
}
