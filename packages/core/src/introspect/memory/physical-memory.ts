/** The memory of a guest by its physical addresses. */
export interface PhysicalMemory {
  /** `length` bytes from `address` on; undefined where there is no memory, or not that much. */
  read(address: number, length: number): Buffer | undefined;
}
