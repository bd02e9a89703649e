import { safeLine } from '../../util/text/text-hygiene.js';
import type { FailureGroup } from '../analysis/failure-groups.js';

const MAX_SYMPTOMS = 6;

/** The findings that belong to a failure, a line each. */
export function symptomLines({ symptoms, attempts: all }: FailureGroup): string[] {
  return [
    ...symptoms
      .slice(0, MAX_SYMPTOMS)
      .map(
        ({ title, attempts }) =>
          `- ${safeLine(title)}${attempts.length < all.length ? ` (in ${attempts.length} of ${all.length})` : ''}`,
      ),
    ...(symptoms.length > MAX_SYMPTOMS ? [`- and ${symptoms.length - MAX_SYMPTOMS} more`] : []),
  ];
}
