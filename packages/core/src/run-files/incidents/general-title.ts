/** The title of a kind of failure, without the numbers of one attempt's processes: it is about all of them. */
export function generalTitle(title: string, kind: string): string {
  return kind === 'd-state' ? title.replace(/ \(pid \d+(?:, thread \d+)?\)/, '').replace(/-\d+(?= |$)/, '-N') : title;
}
