import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { Command, ExecOptions } from './exec-options.js';
import { execResult } from './exec-result.js';
import { checkCommand, checkVmCommand } from './exec-schema.js';

describe('the arguments of exec', () => {
  it.each([
    [undefined, {}, 'exec: command: expected a command as text'],
    [12, {}, 'exec: command: expected a command as text'],
    [[], {}, 'exec: command: expected a command as text'],
    ['a\0b', {}, 'exec: command: expected'],
    ['true', { timout: '1s' }, 'exec: options.timout: unknown option'],
    ['true', { timeout: null }, 'exec: options.timeout: expected a duration'],
    ['true', { timeout: Infinity }, 'exec: options.timeout: expected a duration'],
    ['true', { signal: {} }, 'exec: options.signal: expected an AbortSignal'],
    ['true', { env: { A: undefined } }, 'exec: options.env.A: expected'],
    ['true', { env: { 'A B': 'x' } }, 'exec: options.env.A B: expected the name'],
    ['true', { cwd: 5 }, 'exec: options.cwd: expected'],
    ['true', { input: {} }, 'exec: options.input: expected text or bytes'],
    ['true', { maxOutput: -1 }, 'exec: options.maxOutput: expected a number of bytes'],
    ['true', null, 'exec: options: expected'],
  ])('%j with %j is USAGE, and says what is wrong', (command, options, message) => {
    expect(() => checkCommand(command as unknown as Command, options as unknown as ExecOptions)).toThrow(
      expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(message) }),
    );
  });

  it('quote the words of a program and its arguments', () => {
    expect(checkCommand(['printf', '%s|', 'a b', "it's", ''], {})).toBe(`printf '%s|' 'a b' 'it'\\''s' ''`);
    expect(checkCommand('echo $HOME', { timeout: '1s', env: { A: '1' } })).toBe('echo $HOME');
  });

  it('are those of the method that was called', () => {
    expect(() => checkCommand([], {}, 'spawn')).toThrow(/^spawn: command: expected a command as text/);
    expect(() => checkVmCommand('true', { timout: 1 } as ExecOptions, 'stream')).toThrow(/^stream: options\.timout/);
  });

  it('of a VM have `via` as well', () => {
    expect(() => checkVmCommand('true', { via: 'agent' } as ExecOptions)).toThrow(/exec: options\.via/);
    expect(checkVmCommand('true', { via: 'console' } as ExecOptions)).toBe('true');
  });
});

it('a result shows its output as text, and not its bytes', () => {
  const result = execResult({
    command: 'ls',
    via: 'console',
    exitCode: 0,
    durationMs: 5,
    stdoutBytes: Buffer.from('a\n'),
  });
  expect(inspect(result)).toContain(`stdout: 'a\\n'`);
  expect(inspect(result)).not.toContain('Bytes');
  expect(JSON.parse(JSON.stringify(result))).toEqual({
    command: 'ls',
    via: 'console',
    exitCode: 0,
    durationMs: 5,
    stdout: 'a\n',
    stderr: '',
  });
});
