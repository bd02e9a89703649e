/** Puts values together that have a key in common, directly or by others; the groups are in the order of their first values. */
export function joined<T>(values: readonly T[], keysOf: (value: T) => readonly string[]): T[][] {
  let groups: { readonly first: number; readonly keys: Set<string>; readonly values: T[] }[] = [];
  for (const [place, value] of values.entries()) {
    const keys = keysOf(value);
    const same = groups.filter((group) => keys.some((key) => group.keys.has(key)));
    const merged = {
      first: same[0]?.first ?? place,
      keys: new Set([...same.flatMap((group) => [...group.keys]), ...keys]),
      values: [...same.flatMap((group) => group.values), value],
    };
    groups = [...groups.filter((group) => !same.includes(group)), merged].toSorted(
      (one, other) => one.first - other.first,
    );
  }
  return groups.map((group) => group.values);
}
