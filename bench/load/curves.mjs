const WIDTH = 720;
const PANEL = 120;
const LEFT = 90;
const CURVES = [
  { field: 'memory', title: 'memory of the controller, MiB', color: '#1f6feb' },
  { field: 'descriptors', title: 'open descriptors', color: '#bf3989' },
  { field: 'disk', title: 'disk and RAM files, MiB', color: '#1a7f37' },
];

/** What was sampled, each from zero on, under each other. */
export function drawCurves(samples) {
  const most = samples.at(-1)?.restores ?? 1;
  const panels = CURVES.map(({ field, title, color }, index) => {
    const top = Math.max(...samples.map((sample) => sample[field]), 1) * 1.2;
    const [y0, y1] = [index * (PANEL + 40) + 30, index * (PANEL + 40) + 30 + PANEL];
    const points = samples
      .map(
        (sample) =>
          `${(LEFT + (sample.restores / most) * (WIDTH - LEFT - 20)).toFixed(1)},${(y1 - (sample[field] / top) * PANEL).toFixed(1)}`,
      )
      .join(' ');
    return (
      `<text x="${LEFT}" y="${y0 - 8}">${title}</text><path d="M${LEFT} ${y0}V${y1}H${WIDTH - 20}" fill="none" stroke="#8c959f"/>` +
      `<text x="${LEFT - 8}" y="${y0 + 10}" text-anchor="end">${top.toFixed(0)}</text><text x="${LEFT - 8}" y="${y1}" text-anchor="end">0</text><polyline points="${points}" fill="none" stroke="${color}" stroke-width="2"/>`
    );
  });
  const height = CURVES.length * (PANEL + 40) + 30;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="13" fill="#57606a"><rect width="100%" height="100%" fill="#fff"/>${panels.join('')}<text x="${WIDTH - 20}" y="${height - 8}" text-anchor="end">${most} restores</text></svg>\n`;
}
