/** include/uapi/linux/elf.h */
const NT_GNU_BUILD_ID = 3;
const NAME = 'GNU\0';
/** SHA-1; linkers make none that is longer than 64 bytes. */
const MAX_BUILD_ID = 64;

/** The build id among ELF notes, as hexadecimal digits; undefined where there is none. */
export function findBuildId(notes: Buffer): string | undefined {
  for (let at = 0; at + 12 <= notes.length;) {
    const [nameSize, size, type] = [0, 4, 8].map((offset) => notes.readUInt32LE(at + offset));
    if (nameSize === undefined || size === undefined) return undefined;
    const name = at + 12;
    const content = name + aligned(nameSize);
    const end = content + aligned(size);
    if (end > notes.length) return undefined;
    const found = type === NT_GNU_BUILD_ID && notes.toString('latin1', name, name + nameSize) === NAME;
    if (found && size > 0 && size <= MAX_BUILD_ID) return notes.toString('hex', content, content + size);
    at = end;
  }
  return undefined;
}

function aligned(size: number): number {
  return Math.ceil(size / 4) * 4;
}
