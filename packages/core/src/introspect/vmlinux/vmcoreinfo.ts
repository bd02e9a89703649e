/** What a kernel says about itself for the readers of its dumps: Documentation/admin-guide/kdump/vmcoreinfo.rst. */
export interface Vmcoreinfo {
  /** `6.1.0-56-cloud-amd64` */
  readonly release: string;
  /** Since Linux 5.9, hexadecimal digits. */
  readonly buildId?: string;
}

/** Finds the VMCOREINFO in the beginning of a dump, in ELF or of kdump; undefined when the guest had not exported it. */
export function findVmcoreinfo(beginning: Buffer): Vmcoreinfo | undefined {
  const at = beginning.indexOf('OSRELEASE=');
  if (at === -1) return undefined;
  const text = beginning.toString('latin1', at, at + 512);
  const release = /^OSRELEASE=(\d[\w.+~-]{0,63})\n/.exec(text)?.[1];
  if (release === undefined) return undefined;
  const buildId = /\nBUILD-ID=([0-9a-f]{8,128})\n/.exec(text)?.[1];
  return { release, ...(buildId !== undefined && { buildId }) };
}
