/** `67 %`, `6.7 %`, `0.67 %`: two digits that count, and never all or none where it is not. */
export function percent(share: number): string {
  const value = share * 100;
  if (value > 99 && value < 100) return `${Math.floor(value * 100) / 100} %`;
  if (value <= 0 || value >= 10) return `${value.toFixed(0)} %`;
  return `${value >= 1 ? value.toFixed(1) : value.toPrecision(2)} %`;
}
