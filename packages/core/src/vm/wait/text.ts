import * as v from 'valibot';
import type { ScreenPart } from '../../console/screen/screen-part.js';
import { SCREEN_PART } from '../../console/screen/screen-schema.js';
import { isQmpilotError } from '../../errors.js';
import { PATTERN } from '../../util/validation/schemas.js';
import { validate } from '../../util/validation/validate.js';
import type { Wait } from './wait.js';

export interface TextWait extends ScreenPart {
  /**
   * `console` (default): looks at what was printed since the last match of `console.expect`, and leaves that position as it is.
   * `screen`: looks at what is displayed; the default with `row`, `region` or `pane`.
   */
  readonly on?: 'console' | 'screen' | undefined;
}

export const TEXT_WAIT = {
  ...SCREEN_PART,
  on: v.optional(v.picklist(['console', 'screen'])),
} satisfies Record<keyof TextWait, v.GenericSchema>;

/** Limit of one look at the screen, in ms: it is drawn in the background. */
const DRAW_TIMEOUT_MS = 200;

/** Waits until the serial console prints a text, or its screen (or a row, region or pane of it) shows it. The value is what matched. */
export function forText(pattern: string | RegExp, options: TextWait = {}): Wait<string> {
  validate(PATTERN, pattern, 'waitForText: pattern');
  validate(v.strictObject(TEXT_WAIT), options, 'waitForText: options');
  const { on, ...part } = options;
  const onScreen = on === 'screen' || Object.values(part).some((value) => value !== undefined);
  return {
    awaited: `${pattern instanceof RegExp ? pattern : JSON.stringify(pattern)} on the ${onScreen ? 'screen' : 'console'}`,
    async probe({ console }, signal) {
      try {
        const found = onScreen
          ? await console.screen.waitFor(pattern, { ...part, timeout: DRAW_TIMEOUT_MS, signal })
          : await console.expect(pattern, { timeout: 0, signal, consume: false });
        return { met: true, value: found.text };
      } catch (error) {
        if (!isQmpilotError(error, 'TIMEOUT')) throw error;
        const rows = onScreen ? console.screen.rows().filter((row) => row !== '') : console.lastLines(1);
        return { met: false, saw: rows.length === 0 ? 'nothing' : JSON.stringify(rows.slice(-3).join(' / ')) };
      }
    },
  };
}
