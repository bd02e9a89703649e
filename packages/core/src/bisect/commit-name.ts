/** What is bisected, in words: commits, or kernels, which have the names of their packages. */
export function nounOf(id: string): 'commit' | 'kernel' {
  return id.startsWith('linux-image-') ? 'kernel' : 'commit';
}

/** A name for people: the first digits of a commit, and the whole name of a package. */
export function shortName(id: string): string {
  return nounOf(id) === 'kernel' ? id : id.slice(0, 12);
}
