// Sets the wall clock of this process back by an hour, once, after $FAULT_CLOCK_MS: as `date --set` would on the host, which is not ours.
const RealDate = Date;
let back = 0;
setTimeout(() => (back = 3_600_000), Number(process.env.FAULT_CLOCK_MS)).unref();
globalThis.Date = class extends RealDate {
  constructor(...given) {
    super(...(given.length === 0 ? [RealDate.now() - back] : given));
  }

  static now() {
    return RealDate.now() - back;
  }
};
