/** A member of an initrd: a file, or a folder without data. */
export interface CpioMember {
  readonly name: string;
  /** File type and permissions. */
  readonly mode: number;
  readonly data?: Buffer;
}

/** A cpio archive in the format `newc`: Documentation/driver-api/early-userspace/buffer-format.rst. */
export function cpioArchive(members: readonly CpioMember[]): Buffer {
  return Buffer.concat([...members, { name: 'TRAILER!!!', mode: 0 }].map(encode));
}

function encode({ name, mode, data = Buffer.alloc(0) }: CpioMember, index: number): Buffer {
  const fields = [index + 1, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, Buffer.byteLength(name) + 1, 0];
  const head = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${name}\0`);
  return Buffer.concat([padded(head), padded(data)]);
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
}
