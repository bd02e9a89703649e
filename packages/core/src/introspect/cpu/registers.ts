/** The registers of one virtual CPU that introspection reads. */
export interface CpuRegisters {
  readonly index: number;
  readonly rip: bigint;
  readonly rsp: bigint;
  readonly rbp: bigint;
  /** All general registers by their lower-case name, `rip` included. */
  readonly general: Readonly<Record<string, bigint>>;
  readonly cr3: bigint;
  readonly cr4: bigint;
  /** Privilege level: 3 in user space. */
  readonly cpl: number;
}

const MAX_CPUS = 4096;

/** Reads what QEMU's monitor prints for `info registers -a` of an x86-64 machine; CPUs that are not understood are left out. */
export function parseRegisters(text: string): CpuRegisters[] {
  return text
    .split(/^CPU#(?=\d)/m)
    .slice(1, MAX_CPUS + 1)
    .flatMap((part) => {
      const index = Number.parseInt(part, 10);
      const general: Record<string, bigint> = {};
      for (const [, name = '', value] of part.matchAll(/\b(R(?:[A-D]X|[SD]I|[SB]P|IP|8|9|1[0-5])) ?=([0-9a-f]{16})\b/g))
        general[name.toLowerCase()] = BigInt(`0x${value}`);
      const control = (name: string) => new RegExp(`\\b${name}=([0-9a-f]{8,16})\\b`).exec(part)?.[1];
      const [cr3, cr4, cpl] = [control('CR3'), control('CR4'), /\bCPL=([0-3])/.exec(part)?.[1]];
      const { rip, rsp, rbp } = general;
      if (cr3 === undefined || cr4 === undefined || rip === undefined || rsp === undefined || rbp === undefined)
        return [];
      return [
        { index, rip, rsp, rbp, general, cr3: BigInt(`0x${cr3}`), cr4: BigInt(`0x${cr4}`), cpl: Number(cpl ?? 0) },
      ];
    });
}
