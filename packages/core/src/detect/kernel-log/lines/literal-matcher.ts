const LINE_FEED = 10;

/**
 * Aho-Corasick automaton over bytes: says in one step a byte, whatever the number of literals, whether one of them
 * has just ended. Bytes that no literal holds share one column, so that the table stays in the processor's cache.
 */
export interface LiteralMatcher {
  /** Column of each byte. */
  readonly columns: Uint8Array;
  /** `next[state + columns[byte]]` is the next state, given as the start of its row. */
  readonly next: Uint16Array | Uint32Array;
  readonly start: number;
  /** From this state on, a literal has just ended. */
  readonly firstHit: number;
}

interface Node {
  readonly children: Map<number, Node>;
  /** The longest proper suffix that some literal begins with. */
  fail: Node | undefined;
  hit: boolean;
  row: number;
}

/** Literals are ASCII and hold no line end. */
export function compileLiterals(literals: readonly string[]): LiteralMatcher {
  const columns = new Uint8Array(256);
  let width = 1;
  for (const byte of literals.flatMap(bytesOf)) {
    if (byte > 126 || byte === LINE_FEED) throw new RangeError('literals are ASCII and hold no line end');
    if (columns[byte] === 0) columns[byte] = width++;
  }
  const root = buildTrie(literals);
  const nodes = link(root);
  const plain = nodes.filter(({ hit }) => !hit);
  [...plain, ...nodes.filter(({ hit }) => hit)].forEach((node, index) => (node.row = index * width));
  const size = nodes.length * width;
  // Half the size keeps twice as much of it in the processor's cache.
  const next = size <= 0x10000 ? new Uint16Array(size) : new Uint32Array(size);
  next.fill(root.row);
  for (const node of nodes) {
    if (node.fail !== undefined) next.copyWithin(node.row, node.fail.row, node.fail.row + width);
    for (const [byte, child] of node.children) next[node.row + (columns[byte] ?? 0)] = child.row;
  }
  return { columns, next, start: root.row, firstHit: plain.length * width };
}

function bytesOf(literal: string): number[] {
  return Array.from(literal, (character) => character.charCodeAt(0));
}

function newNode(): Node {
  return { children: new Map(), fail: undefined, hit: false, row: 0 };
}

function buildTrie(literals: readonly string[]): Node {
  const root = newNode();
  for (const literal of literals) {
    let node = root;
    for (const byte of bytesOf(literal)) {
      const child = node.children.get(byte) ?? newNode();
      node.children.set(byte, child);
      node = child;
    }
    node.hit = true;
  }
  return root;
}

/** Sets the suffix links; gives the nodes with every node behind the one its link points to. */
function link(root: Node): Node[] {
  const nodes = [root];
  for (const node of nodes) {
    for (const [byte, child] of node.children) {
      let suffix = node.fail;
      while (suffix !== undefined && !suffix.children.has(byte)) suffix = suffix.fail;
      child.fail = suffix?.children.get(byte) ?? root;
      child.hit ||= child.fail.hit;
      nodes.push(child);
    }
  }
  return nodes;
}
