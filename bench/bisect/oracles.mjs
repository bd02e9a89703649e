// Simulated histories and failures for bench:bisect. Seeds are fixed: two runs see the same coins.

/** A generator of numbers in [0, 1) (mulberry32). */
export function generator(seed) {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** Commits of a range, parents first; with `merges`, about a third of them are on side branches of 1 to 12 commits. */
export function makeHistory(size, { merges, random }) {
  const commits = [];
  const add = (parents) => commits.push({ id: `c${commits.length}`, parents }) && `c${commits.length - 1}`;
  let tip = add([]);
  while (commits.length < size) {
    const left = size - commits.length;
    if (!merges || left < 4 || random() > 0.08) {
      tip = add([tip]);
      continue;
    }
    let side = tip;
    const length = Math.min(1 + Math.floor(random() * 12), left - 2);
    for (let i = 0; i < length; i++) side = add([side]);
    tip = add([tip]);
    if (commits.length < size) tip = add([tip, side]);
  }
  return commits;
}

/** Which commits contain the culprit: itself and its descendants. */
export function badCommits(commits, culprit) {
  const bad = new Set();
  for (const { id, parents } of commits) if (id === culprit || parents.some((parent) => bad.has(parent))) bad.add(id);
  return bad;
}

/** One bug to find: who fails how often, which commits do not build, and what was spent. */
export class Trial {
  attempts = 0;
  builds = 0;
  /** Attempts and builds of the search alone, without the ends and the confirmation. */
  search = { attempts: 0, builds: 0 };
  isSearching = true;
  #built = new Set();
  constructor({ commits, rate, background, broken, random }) {
    Object.assign(this, { commits, rate, background, random });
    this.culprit = commits[Math.floor(random() * commits.length)].id;
    this.bad = badCommits(commits, this.culprit);
    this.end = commits.at(-1).id;
    this.broken = new Set(commits.filter(({ id }) => id !== this.end && random() < broken).map(({ id }) => id));
  }

  isReady(id) {
    return this.#built.has(id);
  }

  /** False when the commit does not build; `undefined` is the good end. */
  build(id) {
    if (this.#built.has(id)) return true;
    this.builds++;
    if (this.isSearching) this.search.builds++;
    if (this.broken.has(id)) return false;
    this.#built.add(id);
    return true;
  }

  /** Up to `most` attempts, ended by the first failure. */
  attempt(id, most) {
    const rate = this.bad.has(id) ? this.rate : this.background;
    for (let attempts = 1; attempts <= most; attempts++) {
      this.attempts++;
      if (this.isSearching) this.search.attempts++;
      if (this.random() < rate) return { failures: 1, attempts };
    }
    return { failures: 0, attempts: most };
  }
}
