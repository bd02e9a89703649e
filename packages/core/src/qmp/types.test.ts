import { describe, expectTypeOf, it } from 'vitest';
import type { QmpClient } from './client.js';
import type { GuestArguments, GuestReturn } from './guest-agent/commands.js';
import type { GuestAgent } from './guest-agent/guest-agent.js';
import type {
  QmpArguments,
  QmpCommandName,
  QmpEvent,
  QmpEventOf,
  QmpJobCommandName,
  QmpOutOfBandCommandName,
  QmpReturn,
} from './protocol/messages.js';

// Nothing here runs: the compiler is the test (`pnpm typecheck`). A line after @ts-expect-error must be an error.
declare const client: QmpClient;
declare const agent: GuestAgent;
const compiled = (_calls: () => unknown) => {};

describe('the types of execute', () => {
  it('know what a command returns', () => {
    compiled(async () => {
      expectTypeOf(await client.execute('query-status')).toExtend<{ running: boolean; status: string }>();
      expectTypeOf((await client.execute('query-status')).status).toExtend<
        'running' | 'paused' | 'inmigrate' | QmpReturn<'query-status'>['status']
      >();
      expectTypeOf(
        await client.execute('human-monitor-command', { 'command-line': 'info status' }),
      ).toEqualTypeOf<string>();
      expectTypeOf((await client.execute('query-jobs'))[0]).toEqualTypeOf<
        QmpReturn<'query-jobs'>[number] | undefined
      >();
      expectTypeOf(await client.execute('qom-get', { path: '/', property: 'type' })).toEqualTypeOf<unknown>();
    });
  });

  it('want arguments exactly where a command does', () => {
    compiled(() => client.execute('cont'));
    compiled(() => client.execute('cont', undefined, { timeout: '5s' }));
    compiled(() => client.execute('query-block', { flat: true }));
    compiled(() => client.execute('query-block'));
    // @ts-expect-error the id is missing
    compiled(() => client.execute('device_del'));
    // @ts-expect-error the id is missing
    compiled(() => client.execute('device_del', {}));
    // @ts-expect-error the id is a string
    compiled(() => client.execute('device_del', { id: 1 }));
    // @ts-expect-error it takes no arguments
    compiled(() => client.execute('cont', { now: true }));
    // @ts-expect-error no argument of this name
    compiled(() => client.execute('device_del', { id: 'x', force: true }));
  });

  it('tell the drivers of blockdev-add apart', () => {
    compiled(() => client.execute('blockdev-add', { 'driver': 'file', 'node-name': 'f', 'filename': '/a' }));
    compiled(() =>
      client.execute('blockdev-add', {
        'driver': 'qcow2',
        'node-name': 'd',
        'file': { driver: 'file', filename: '/a' },
        'backing': null,
      }),
    );
    compiled(() => client.execute('blockdev-add', { driver: 'qcow2', file: 'f', cache: { direct: true } }));
    // @ts-expect-error a file has a filename
    compiled(() => client.execute('blockdev-add', { 'driver': 'file', 'node-name': 'f' }));
    // @ts-expect-error null-co has no filename
    compiled(() => client.execute('blockdev-add', { driver: 'null-co', filename: '/a' }));
    // @ts-expect-error the driver of the inner node is checked as well
    compiled(() => client.execute('blockdev-add', { driver: 'qcow2', file: { driver: 'floppy', filename: '/a' } }));
    // @ts-expect-error there is no such driver
    compiled(() => client.execute('blockdev-add', { driver: 'qcow3', file: 'f' }));
    expectTypeOf<Extract<QmpArguments<'blockdev-add'>, { driver: 'file' }>['filename']>().toEqualTypeOf<string>();
  });

  it('tell unions and alternates apart in what comes back', () => {
    compiled(async () => {
      const [cpu] = await client.execute('query-cpus-fast');
      if (cpu?.target === 's390x') expectTypeOf(cpu['cpu-state']).toExtend<string>();
      const [member] = await client.execute('query-memory-devices');
      if (member?.type === 'dimm') expectTypeOf(member.data.memdev).toEqualTypeOf<string>();
    });
  });

  it('leave unknown commands to the untyped door', () => {
    // @ts-expect-error there is no such command
    compiled(() => client.execute('make-coffee'));
    compiled(async () => {
      expectTypeOf(await client.executeUntyped('make-coffee', { strong: true })).toEqualTypeOf<unknown>();
      expectTypeOf(await client.executeUntyped<{ cups: number }>('make-coffee')).toEqualTypeOf<{ cups: number }>();
    });
    expectTypeOf<'make-coffee'>().not.toExtend<QmpCommandName>();
  });

  it('let device_add take the properties of any device', () => {
    compiled(() => client.execute('device_add', { driver: 'virtio-blk-pci', drive: 'd', bootindex: 1 }));
    // @ts-expect-error but it wants a driver
    compiled(() => client.execute('device_add', { drive: 'd' }));
  });

  it('let out of band only what can run so', () => {
    expectTypeOf<QmpOutOfBandCommandName>().toEqualTypeOf<
      'migrate-pause' | 'migrate-recover' | 'query-yank' | 'yank'
    >();
    compiled(() => client.executeOob('migrate-pause'));
    // @ts-expect-error query-status runs in band only
    compiled(() => client.executeOob('query-status'));
  });

  it('know which commands start jobs', () => {
    expectTypeOf<QmpJobCommandName>().toEqualTypeOf<
      | 'block-commit'
      | 'block-stream'
      | 'blockdev-backup'
      | 'blockdev-create'
      | 'blockdev-mirror'
      | 'drive-backup'
      | 'drive-mirror'
      | 'snapshot-delete'
      | 'snapshot-load'
      | 'snapshot-save'
      | 'x-blockdev-amend'
    >();
    compiled(() => client.runJob('snapshot-save', { tag: 't', vmstate: 'd', devices: ['d'] }));
    // @ts-expect-error the tag is missing
    compiled(() => client.runJob('snapshot-save', { vmstate: 'd', devices: ['d'] }));
    // @ts-expect-error no job
    compiled(() => client.runJob('query-status', {}));
  });
});

describe('the types of events', () => {
  it('know the data of each event', () => {
    compiled(() => client.on('SHUTDOWN', ({ data }) => expectTypeOf(data.guest).toEqualTypeOf<boolean>()));
    compiled(() =>
      client.on((event) => {
        if (event.event === 'JOB_STATUS_CHANGE') expectTypeOf(event.data.id).toEqualTypeOf<string>();
      }),
    );
    compiled(async () => {
      const event = await client.waitFor(['STOP', 'SHUTDOWN'], { filter: ({ event: name }) => name === 'STOP' });
      expectTypeOf(event).toEqualTypeOf<QmpEventOf<'STOP' | 'SHUTDOWN'>>();
      if (event.event === 'SHUTDOWN') expectTypeOf<typeof event.event>().toEqualTypeOf<'SHUTDOWN'>();
      for await (const one of client.events()) expectTypeOf(one).toEqualTypeOf<QmpEvent>();
      for await (const one of client.events((candidate) => candidate.event === 'RESET'))
        expectTypeOf(one.timestamp.seconds).toEqualTypeOf<number>();
    });
    // @ts-expect-error there is no such event
    compiled(() => client.waitFor('COFFEE_READY'));
    compiled(() => client.eventsUntyped(({ event }) => event === 'COFFEE_READY'));
  });
});

describe('the types of the guest agent', () => {
  it('know its commands', () => {
    compiled(async () => {
      expectTypeOf(await agent.execute('guest-info')).toEqualTypeOf<GuestReturn<'guest-info'>>();
      expectTypeOf(
        await agent.execute('guest-file-open', { path: '/etc/hostname', mode: 'r' }),
      ).toEqualTypeOf<number>();
    });
    expectTypeOf<GuestArguments<'guest-exec'>['capture-output']>().toExtend<
      boolean | 'none' | 'stdout' | 'stderr' | 'separated' | 'merged' | undefined
    >();
    // @ts-expect-error the path is missing
    compiled(() => agent.execute('guest-exec', {}));
    // @ts-expect-error there is no such command
    compiled(() => agent.execute('guest-brew'));
  });
});
