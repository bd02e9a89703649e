import { describe, expect, it } from 'vitest';
import { renderJson } from '../../render/json.js';
import { Completer, type Schema } from './completion.js';
import { parseLine, parsePairs } from './line.js';

const schema: Schema = [
  { 'meta-type': 'command', 'name': 'blockdev-add', 'arg-type': 'options', 'ret-type': 'empty' },
  { 'meta-type': 'command', 'name': 'blockdev-del', 'arg-type': 'empty', 'ret-type': 'empty' },
  {
    'meta-type': 'object',
    'name': 'options',
    'members': [
      { name: 'driver', type: 'driver' },
      { name: 'read-only', type: 'bool', default: null },
    ],
    'tag': 'driver',
    'variants': [
      { case: 'file', type: 'file' },
      { case: 'qcow2', type: 'qcow2' },
    ],
  },
  { 'meta-type': 'object', 'name': 'empty', 'members': [] },
  { 'meta-type': 'object', 'name': 'file', 'members': [{ name: 'filename', type: 'str' }] },
  { 'meta-type': 'object', 'name': 'qcow2', 'members': [{ name: 'file', type: 'ref' }] },
  { 'meta-type': 'alternate', 'name': 'ref', 'members': [{ type: 'str' }, { type: 'options' }] },
  {
    'meta-type': 'enum',
    'name': 'driver',
    'values': ['file', 'qcow2'],
    'members': [{ name: 'file' }, { name: 'qcow2' }],
  },
  { 'meta-type': 'builtin', 'name': 'bool', 'json-type': 'boolean' },
  { 'meta-type': 'builtin', 'name': 'str', 'json-type': 'string' },
];
const complete = (line: string) => new Completer(schema, ['exit']).complete(line)[0];

describe('completion from the schema', () => {
  it('completes commands, arguments and values, and those of the variant that was chosen, at any depth', () => {
    expect(complete('blockdev-')).toEqual(['blockdev-add ', 'blockdev-del ']);
    expect(complete('blockdev-add ')).toEqual(['driver=', 'read-only=']);
    expect(complete('blockdev-add driver=q')).toEqual(['driver=qcow2 ']);
    expect(complete('blockdev-add driver=qcow2 f')).toEqual(['file.']);
    expect(complete('blockdev-add driver=qcow2 file.driver=file file.f')).toEqual(['file.filename=']);
    expect(complete('blockdev-add driver=file read-only=')).toEqual(['read-only=false ', 'read-only=true ']);
  });

  it('completes JSON', () => {
    expect(complete('blockdev-add {"dr')).toEqual(['"driver": ']);
    expect(complete('blockdev-add {"driver": "q')).toEqual(['"qcow2"']);
    expect(complete('blockdev-add {"driver": "file", "f')).toEqual(['"filename": ']);
  });

  it('has nothing to say about what it does not know', () => {
    expect(complete('no-such ')).toEqual([]);
    expect(complete('blockdev-add x.y.z=')).toEqual([]);
  });
});

describe('a typed line', () => {
  it('is JSON or pairs, with dots for objects, and JSON as values', () => {
    expect(parseLine('  query-status ')).toEqual({ command: 'query-status', args: undefined });
    expect(parseLine('x {"a": {"b": 1}}')?.args).toEqual({ a: { b: 1 } });
    expect(parseLine('x a.b=1 a.c=on d="two words" e=[1, 2] f=null')?.args).toEqual({
      a: { b: 1, c: 'on' },
      d: 'two words',
      e: [1, 2],
      f: null,
    });
    expect(parsePairs(['name=a b', '__proto__.x=1'])).toMatchObject({ name: 'a b' });
    expect({}).not.toHaveProperty('x');
    expect(parseLine(' ')).toBeUndefined();
  });

  it('that is neither is refused', () => {
    for (const line of ['x {"a"', 'x [1]', 'x a', 'x a=1 a.b=2', 'x a={"b"'])
      expect(() => parseLine(line)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});

it('escapes control characters in an answer', () => {
  expect(renderJson({ name: '\u001b[2J\u009b1m\u202e' }, false)).toBe('{"name":"\\u001b[2J\\u009b1m\\u202e"}');
});
