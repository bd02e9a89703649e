/**
 * The format of QEMU's saved states, as far as one is put together here (migration/savevm.c): sections of RAM, then one for each device. It has been the same since QEMU 2.4.
 */
const MAGIC_AND_VERSION = 8;
const SECTION_FULL = 0x04;
const VM_DESCRIPTION = 0x06;
/** The name of the block that holds the guest's RAM: the id of its backend. */
const BLOCK = 'ram';

/** Blocks that a guest cannot change: ROMs, and tables that QEMU makes again at a reset. */
const CONSTANT_BLOCKS = /^(?:pc\.bios|pc\.rom|\/rom@etc\/(?:acpi\/(?:tables|rsdp)|table-loader))$/;

/** Returns the names of those blocks of HMP's `info ramblock` that the guest can write to, beside its RAM. */
export function writableBlocks(infoRamblock: string): readonly string[] {
  return infoRamblock
    .split('\n')
    .flatMap((line) => /^\s*(\S+)\s+\d+ [KMG]iB\s/.exec(line)?.[1] ?? [])
    .filter((name) => name !== BLOCK && !CONSTANT_BLOCKS.test(name));
}

/**
 * Returns the part of a state before its devices; undefined when it is not found exactly once.
 * @param state one without the guest's RAM, whose bytes would be the guest's choice
 * @param devices what `xen-save-devices-state` wrote on a machine with the same devices
 */
export function headOf(state: Buffer, devices: Buffer): Buffer | undefined {
  const nameLength = devices[MAGIC_AND_VERSION + 5];
  if (!state.subarray(0, MAGIC_AND_VERSION).equals(devices.subarray(0, MAGIC_AND_VERSION))) return undefined;
  if (devices[MAGIC_AND_VERSION] !== SECTION_FULL || nameLength === undefined) return undefined;
  // Name, instance and version of the first device; its number before them may differ.
  const name = devices.subarray(MAGIC_AND_VERSION + 5, MAGIC_AND_VERSION + 5 + 1 + nameLength + 8);
  const at = onlyIndexOf(state, name);
  return at !== undefined && state[at - 5] === SECTION_FULL ? state.subarray(0, at - 5) : undefined;
}

/** The devices without the beginning of their file, and with the description that ends a state, which QEMU would miss. */
export function deviceSections(devices: Buffer): Buffer {
  const description = Buffer.from('{}');
  const header = Buffer.alloc(5);
  header[0] = VM_DESCRIPTION;
  header.writeUInt32BE(description.length, 1);
  return Buffer.concat([devices.subarray(MAGIC_AND_VERSION), header, description]);
}

/** The seconds of the clock (`cmos_data` of mc146818rtc) count on while a guest is paused; all else stays. */
export function sameDevices(one: Buffer, other: Buffer): boolean {
  const name = '\x0bmc146818rtc';
  const at = one.indexOf(name, 0, 'latin1');
  if (at === -1) return one.equals(other);
  const begin = at + name.length + 8;
  const end = begin + 128;
  return (
    one.length === other.length &&
    one.subarray(0, begin).equals(other.subarray(0, begin)) &&
    one.subarray(end).equals(other.subarray(end))
  );
}

function onlyIndexOf(bytes: Buffer, wanted: Buffer): number | undefined {
  const at = bytes.indexOf(wanted);
  return at === -1 || bytes.indexOf(wanted, at + 1) !== -1 ? undefined : at;
}
