import { join } from 'node:path';
import ts from 'typescript';
import { ROOT, type Block } from './pages.js';

/** What a sample may use without saying where it comes from; beside these, every name of `@qmpilot/core`. */
const PRELUDE = `
import type { Vm } from '@qmpilot/core';
import { readFile as _readFile, writeFile as _writeFile } from 'node:fs/promises';
import { writeFileSync as _writeFileSync, type WriteStream } from 'node:fs';
declare global {
  const vm: Vm;
  const signal: AbortSignal;
  const pid: number;
  const chunk: Uint8Array;
  const bytes: Uint8Array;
  const atMs: number;
  const file: WriteStream;
  const readFile: typeof _readFile;
  const writeFile: typeof _writeFile;
  const writeFileSync: typeof _writeFileSync;
}
`;

const names = (core: Readonly<Record<string, unknown>>) =>
  Object.keys(core)
    .map((name) => `  const ${name}: typeof import('@qmpilot/core').${name};`)
    .join('\n');

/** What TypeScript says of the samples, each a module of its own, all in one program. */
export function checkSamples(blocks: readonly Block[], core: Readonly<Record<string, unknown>>): readonly string[] {
  const samples = new Map(
    blocks.map((block) => [join(ROOT, 'tests', `${block.at.replaceAll(/[^\w.-]/g, '_')}.ts`), block]),
  );
  const texts = new Map([...samples].map(([file, { text }]) => [file, text]));
  texts.set(join(ROOT, 'tests', 'samples-prelude.ts'), `${PRELUDE}declare global {\n${names(core)}\n}\n`);
  return compile(texts).map(({ file, line, message }) => {
    const block = samples.get(file);
    return `${block?.page ?? file}:${(block?.line ?? 1) + line}: ${message}`;
  });
}

interface Diagnostic {
  readonly file: string;
  /** Counted from 0. */
  readonly line: number;
  readonly message: string;
}

/** What TypeScript says of texts that are modules by these names, with the options of tsconfig.json. */
export function compile(texts: ReadonlyMap<string, string>): readonly Diagnostic[] {
  const config = ts.getParsedCommandLineOfConfigFile(
    join(ROOT, 'tsconfig.json'),
    { noUnusedLocals: false, moduleDetection: ts.ModuleDetectionKind.Force },
    { ...ts.sys, onUnRecoverableConfigFileDiagnostic: () => {} },
  );
  if (!config) throw new Error('tsconfig.json cannot be read');
  const host = ts.createCompilerHost(config.options);
  const disk = ts.createCompilerHost(config.options);
  host.fileExists = (file) => texts.has(file) || disk.fileExists(file);
  host.readFile = (file) => texts.get(file) ?? disk.readFile(file);
  host.getSourceFile = (file, ...rest) => {
    const text = texts.get(file);
    return text === undefined ? disk.getSourceFile(file, ...rest) : ts.createSourceFile(file, text, rest[0]);
  };
  const program = ts.createProgram([...texts.keys()], config.options, host);
  return [...texts.keys()].flatMap((file) => {
    const source = program.getSourceFile(file);
    const diagnostics = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
    return diagnostics.map(({ start = 0, messageText }) => ({
      file,
      line: source?.getLineAndCharacterOfPosition(start).line ?? 0,
      message: ts.flattenDiagnosticMessageText(messageText, '\n'),
    }));
  });
}
