import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { emitTypes } from '../../../tools/qmp-schema/emit.js';
import { introspect } from '../../../tools/qmp-schema/introspect.js';
import type { SchemaEntry } from '../../../tools/qmp-schema/introspection.js';
import { mergeSchemas } from '../../../tools/qmp-schema/merge.js';
import { missingMembers } from '../../../tools/qmp-schema/missing.js';
import { readQapi } from '../../../tools/qmp-schema/qapi.js';
import { otherQemu } from '../../support/other-qemu.js';
import { qemuBinary } from '../../support/qmp-harness.js';

const generated = (name: string) =>
  fileURLToPath(new URL(`../../../packages/core/src/qmp/schema/generated/${name}.ts`, import.meta.url));
const QMP = { commands: 'QmpCommands', events: 'QmpEvents' };

/** 7.2 calls it a string; what it may hold is the enum that newer versions tell their answers apart by. */
const NARROWED = 'query-block-jobs -> [] type: a string';

describe('the committed types of QMP', () => {
  it('lack no command, event, member or value of the installed QEMU', async () => {
    const { entries } = await introspect(qemuBinary());
    expect(missingMembers(entries, generated('qmp'), QMP).filter((path) => path !== NARROWED)).toEqual([]);
  });

  it('lack none of a newer QEMU', async () => {
    const { entries, version } = await introspect(otherQemu().system);
    expect(Number.parseInt(version, 10)).toBeGreaterThanOrEqual(10);
    expect(missingMembers(entries, generated('qmp'), QMP)).toEqual([]);
  });

  it('would be found to lack a new member, a new value, a new variant and a new command', async () => {
    const { entries } = await introspect(qemuBinary());
    const id = (name: string, of: 'arg-type' | 'ret-type') => {
      const entry = entries.find((candidate) => candidate.name === name);
      return entry && of in entry ? (Object(entry)[of] as string) : '';
    };
    const changed = entries.map((entry): SchemaEntry => {
      if (entry.name === id('query-status', 'ret-type') && entry['meta-type'] === 'object') {
        return { ...entry, members: [...entry.members, { name: 'mood', type: 'str' }] };
      }
      if (entry.name === id('blockdev-add', 'arg-type') && entry['meta-type'] === 'object') {
        return { ...entry, members: [...entry.members, { name: 'shade', type: 'str', default: null }] };
      }
      if (entry['meta-type'] === 'enum' && entry.members?.some(({ name }) => name === 'inmigrate'))
        return { ...entry, members: [...entry.members, { name: 'asleep' }] };
      return entry;
    });
    changed.push({ 'meta-type': 'command', 'name': 'make-coffee', 'arg-type': '0', 'ret-type': '0' });
    const missing = missingMembers(changed, generated('qmp'), QMP);
    expect(missing).toEqual(
      expect.arrayContaining([
        'query-status -> mood',
        "query-status -> status: 'asleep'",
        'blockdev-add: shade',
        'command make-coffee',
      ]),
    );
  });

  it('come out of the generator again as they are, for the commands of the installed QEMU', async () => {
    const merged = mergeSchemas([await introspect(qemuBinary())]);
    const text = emitTypes(merged, {
      header: '',
      product: 'QEMU',
      commandsName: 'QmpCommands',
      eventsName: 'QmpEvents',
    });
    const committed = readFileSync(generated('qmp'), 'utf8');
    const keys = (source: string) => [...source.matchAll(/^ {2}('[^']+'|\w+): \{ arguments: /gm)].map(([, key]) => key);
    expect(keys(text).filter((key) => !keys(committed).includes(key))).toEqual([]);
    expect(keys(text).length).toBeGreaterThan(200);
  });

  it("lack nothing of the guest agent's schema either", () => {
    const schema = readFileSync(join(dirname(otherQemu().agent), 'qga-schema.json'), 'utf8');
    const entries = readQapi(schema);
    expect(entries.filter((entry) => entry['meta-type'] === 'command').length).toBeGreaterThan(40);
    expect(missingMembers(entries, generated('guest-agent'), { commands: 'GuestCommands' })).toEqual([]);
  });
});
