import { QmpilotError } from '../../errors.js';

/** Names that a hint lists. */
const MAX_LISTED = 8;

/**
 * Finds names by their whole text or an unambiguous beginning.
 * @param kind what the names are, in the singular: `image`
 * @returns each name once
 * @throws {NOT_FOUND} {USAGE} when a beginning matches none, or more than one
 */
export function findByPrefix(known: readonly string[], wanted: readonly string[], kind: string): string[] {
  return [...new Set(wanted.map((prefix) => find(known, prefix, kind)))];
}

function find(known: readonly string[], prefix: string, kind: string): string {
  const matching = known.includes(prefix) ? [prefix] : known.filter((name) => prefix !== '' && name.startsWith(prefix));
  const [name] = matching;
  if (name !== undefined && matching.length === 1) return name;
  const quoted = JSON.stringify(prefix);
  if (matching.length > 1)
    throw new QmpilotError('USAGE', `${quoted} matches more than one ${kind}`, {
      hint: `it matches: ${listed(matching)}`,
    });
  throw new QmpilotError('NOT_FOUND', `${kind} ${quoted} not found`, {
    hint: known.length > 0 ? `there are: ${listed(known)}` : `there is no ${kind} yet`,
  });
}

/** Joins names for a hint, which is no place for all of many: `a, b and 40 more`. */
function listed(names: readonly string[]): string {
  if (names.length <= MAX_LISTED + 1) return names.join(', ');
  return `${names.slice(0, MAX_LISTED).join(', ')} and ${names.length - MAX_LISTED} more`;
}
