import { existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isQmpilotError } from '@qmpilot/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GuestAgent } from '../../../packages/core/src/qmp/guest-agent/guest-agent.js';
import { FrameReader } from '../../../packages/core/src/shell/console-shell/frames.js';
import { GuestAgentShell } from '../../../packages/core/src/shell/guest-agent/guest-agent-shell.js';
import { duplexPair } from '../../../packages/core/src/testing/duplex-pair.js';
import { Extraction } from '../../../packages/core/src/vm/copy/extract.js';
import { cuts, pieces } from '../../support/fuzz/guest-text.js';
import { fuzz, LIMIT } from '../../support/fuzz/parameters.js';

/** The entries of an archive that a guest may send, and the names they have. */
const NAMES = [
  '.',
  './',
  'a',
  'a/x',
  'a/',
  'a/b',
  './a/b',
  'A',
  '../x',
  '/etc/x',
  'a/../../x',
  'b',
  'b/c/d',
  'é',
  'e\u0301',
  'n'.repeat(300),
  'a\nb',
  ' ',
  '-rf',
  'd/'.repeat(40),
];
const entry = fc.record({
  name: fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(...NAMES) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 20 }) },
  ),
  type: fc.constantFrom(
    'file',
    'directory',
    'symlink',
    'symlink',
    'symlink',
    'link',
    'fifo',
    'block-device',
    'contiguous-file',
    undefined,
  ),
  linkname: fc.constantFrom('', ...NAMES, '..', '../..', 'b/..', 'b/../..', '../b/../../x'),
  mode: fc.integer({ min: 0, max: 0o7777 }),
  mtime: fc.constantFrom(new Date(0), new Date(NaN), undefined),
});

describe('whatever archive a guest sends', () => {
  it(
    'brings an error of the family, or files, folders and links that lead nowhere but into the folder',
    async () => {
      const root = mkdtempSync(join(tmpdir(), 'qmpilot-fuzz-'));
      let round = 0;
      const empty = async function* (text: string) {
        yield Buffer.from(text);
      };
      try {
        await fuzz(
          fc.asyncProperty(fc.array(entry, { maxLength: 8 }), async (entries) => {
            const folder = join(root, String((round += 1)), 'deep', 'er');
            mkdirSync(folder, { recursive: true });
            const extraction = new Extraction(folder);
            try {
              for (const one of entries) await extraction.add(one as never, empty('x'));
              await extraction.end();
            } catch (error) {
              if (!isQmpilotError(error, 'COPY_FAILED')) throw error;
            }
            // Made by the links: from each, on and on, no way leads out.
            for (const found of readdirSync(folder, { withFileTypes: true, recursive: true })) {
              const path = join(found.parentPath, found.name);
              if (found.isSymbolicLink() && existsSync(path))
                expect(`${realpathSync(path)}/`.startsWith(`${realpathSync(folder)}/`)).toBe(true);
              expect(found.isFile() || found.isDirectory() || found.isSymbolicLink()).toBe(true);
            }
            expect(readdirSync(join(root, String(round), 'deep'))).toEqual(['er']);
            rmSync(join(root, String(round)), { recursive: true, force: true });
          }),
        );
      } finally {
        rmSync(root, { recursive: true, force: true });
      }
    },
    LIMIT,
  );
});

describe('a hostile program in place of the shell of a guest', () => {
  const NONCE = '0123456789abcdef';
  it(
    'is taken apart into the same bytes and marks however it is cut',
    async () => {
      const parts = fc.array(
        fc.oneof(
          fc
            .tuple(fc.constantFrom('B', 'O', 'X', 'e', '\n'), fc.nat(40))
            .map(([letter, length]) => `\x01${letter}${NONCE}${length}:${'p'.repeat(length)}`),
          fc.constantFrom(
            NONCE,
            `\x01X${NONCE}`,
            `\x01X${NONCE}99999:`,
            `\x01X${NONCE}123456:`,
            `\x01X${NONCE}-1:`,
            `${NONCE}${NONCE}`,
            NONCE.slice(0, 9),
            '\x01',
            '\x01\x01',
            '7',
            ':',
          ),
          fc.string({ unit: 'binary', maxLength: 20 }),
        ),
        { maxLength: 20 },
      );
      await fuzz(
        fc.property(parts, cuts, (all, sizes) => {
          const read = (chunks: readonly Uint8Array[]) => {
            const heard: string[] = [];
            const reader = new FrameReader(
              NONCE,
              (bytes) => {
                const text = bytes.toString('latin1');
                if (heard.at(-1)?.startsWith('bytes ')) heard.push(`${heard.pop() ?? ''}${text}`);
                else heard.push(`bytes ${text}`);
              },
              ({ letter, payload }) => heard.push(`mark ${letter} ${payload.toString('latin1')}`),
            );
            for (const chunk of chunks) reader.push(Buffer.from(chunk));
            // So that what is held back comes.
            reader.push(Buffer.from('.'.repeat(40)));
            return heard;
          };
          const bytes = Buffer.from(all.join(''));
          expect(read(pieces(bytes, sizes)).join('|')).toBe(read([bytes]).join('|'));
        }),
      );
    },
    LIMIT,
  );
});

describe('a hostile program in place of the guest agent', () => {
  it(
    'gives a result, or an error of the family',
    async () => {
      const base64 = fc.oneof(
        fc
          .constantFrom('/run\n/bin/sh\n\n', '0\n', '0\nout', '7 spooled\n', '999\n')
          .map((text) => Buffer.from(text).toString('base64')),
        fc.jsonValue(),
      );
      const status = fc.record(
        {
          'exited': fc.oneof({ weight: 6, arbitrary: fc.constant(true) }, fc.jsonValue()),
          'out-data': base64,
          'err-data': base64,
        },
        { requiredKeys: [] },
      );
      const answer = fc.oneof(
        { weight: 3, arbitrary: status },
        fc.record({ pid: fc.oneof(fc.nat(), fc.jsonValue()) }),
        fc.record({ 'buf-b64': base64, 'count': fc.oneof(fc.nat(), fc.jsonValue()) }),
        fc.jsonValue(),
      );
      await fuzz(
        fc.asyncProperty(fc.array(answer, { maxLength: 12 }), async (answers) => {
          const [near, far] = duplexPair();
          let [rest, turn] = ['', 0];
          far.on('data', (chunk: Buffer) => {
            const lines = (rest + chunk.toString('latin1').replaceAll('\xff', '')).split('\n');
            rest = lines.pop() ?? '';
            for (const line of lines.filter((text) => text.trim() !== '')) {
              const { execute, id }: { readonly execute: string; readonly id: number } = JSON.parse(line);
              const usual =
                execute === 'guest-exec'
                  ? { pid: 1 }
                  : { 'exited': true, 'out-data': Buffer.from('/run\n/bin/sh\n\n').toString('base64') };
              if (execute !== 'guest-sync-delimited') turn += 1;
              if (turn > answers.length + 2) far.destroy();
              else
                far.write(
                  `${JSON.stringify({ return: execute === 'guest-sync-delimited' ? id : turn <= 2 ? usual : (answers[turn - 3] ?? null), id })}\n`,
                );
            }
          });
          const shell = new GuestAgentShell(GuestAgent.fromStream(near));
          try {
            const { exitCode } = await shell.exec('true', { timeout: 5000 });
            expect(exitCode >= 0 && exitCode <= 255).toBe(true);
          } catch (error) {
            if (!isQmpilotError(error)) throw error;
          }
          near.destroy();
        }),
        { share: 0.1 },
      );
    },
    LIMIT,
  );
});
