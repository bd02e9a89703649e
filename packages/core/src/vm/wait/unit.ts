import * as v from 'valibot';
import { QmpilotError } from '../../errors.js';
import { bashWord } from '../../shell/quote.js';
import { validate } from '../../util/validation/validate.js';
import { look } from './look.js';
import type { Wait, WaitTarget } from './wait.js';

/** What `Wait.forUnit` waits for. */
export interface UnitWait {
  /** The awaited state; default `active`. */
  readonly state?: 'active' | 'inactive' | 'failed' | undefined;
}

export const UNIT_WAIT = {
  state: v.optional(v.picklist(['active', 'inactive', 'failed'])),
} satisfies Record<keyof UnitWait, v.GenericSchema>;

const UNIT_NAME = v.pipe(v.string(), v.regex(/^[^\s/\0-]\S*$/, 'expected the name of a unit'));

/**
 * Waits until a systemd unit is active; `name` without a suffix is a service.
 * @throws {UNIT_FAILED} at once when it failed, with the last lines of its log
 * @throws {NOT_FOUND} at once when there is no such unit
 */
export function forUnit(name: string, options: UnitWait = {}): Wait<{ readonly unit: string; readonly sub: string }> {
  validate(UNIT_NAME, name, 'waitForUnit: name');
  validate(v.strictObject(UNIT_WAIT), options, 'waitForUnit: options');
  const { state = 'active' } = options;
  const unit = /\.[a-z]+$/.test(name) ? name : `${name}.service`;
  const properties = 'LoadState,ActiveState,SubState,Result,ExecMainStatus,Job';
  return {
    awaited: `the unit ${unit} to be ${state}`,
    async probe(target, signal) {
      const shown = await look(target, signal, `systemctl show -p ${properties} -- ${bashWord(unit)}`);
      if (typeof shown === 'string') return { met: false, saw: shown };
      const fields = parseProperties(shown.stdout);
      const [load, active, sub = ''] = ['LoadState', 'ActiveState', 'SubState'].map((field) => fields.get(field));
      if (active === undefined) return { met: false, saw: `systemctl: ${shown.stderr.trim() || 'no answer'}` };
      if (load === 'not-found')
        throw new QmpilotError('NOT_FOUND', `unit ${unit} not found in the guest`, {
          hint: '`systemctl list-unit-files` lists the units of the guest',
        });
      if (active === state) return { met: true, value: { unit, sub } };
      if (active === 'failed') {
        const status = `${fields.get('Result')}, status ${fields.get('ExecMainStatus')}`;
        throw await unitFailed(target, signal, unit, status);
      }
      return { met: false, saw: `${active} (${sub}), ${fields.get('Job') ? 'a job is queued' : 'no job is queued'}` };
    },
  };
}

function parseProperties(text: string): Map<string, string> {
  return new Map(text.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

async function unitFailed(
  target: WaitTarget,
  signal: AbortSignal,
  unit: string,
  status: string,
): Promise<QmpilotError> {
  const log = await look(target, signal, `journalctl -q -o cat -n 20 --no-pager -u ${bashWord(unit)}`);
  const lines = typeof log === 'string' ? [] : log.stdout.split('\n').filter((line) => line !== '');
  // The unit's own output, not what systemd says about it.
  const last = lines.findLast(
    (line) => !line.startsWith(`${unit}: `) && !/^(?:Started|Starting|Stopped|Failed to start) /.test(line),
  );
  return new QmpilotError(
    'UNIT_FAILED',
    `the unit ${unit} failed: ${status}${last === undefined ? '' : `; last line of its log: ${last}`}`,
    { evidence: { log: lines }, hint: 'the last lines of its log are in error.evidence.log' },
  );
}
