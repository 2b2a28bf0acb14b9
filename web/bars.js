// The arithmetic of the bars, apart from any drawing.

// Each series on top of the one before: out[i] = values[0] + .. + values[i].
export function stack(rows) {
  const out = [];
  rows.forEach((row, i) => {
    out.push(i === 0 ? [...row] : row.map((value, x) => value + out[i - 1][x]));
  });
  return out;
}

// A round number at or above the highest bar, steady while bars come and go.
export function ceiling(highest) {
  if (highest <= 5) return 5;
  const power = 10 ** Math.floor(Math.log10(highest));
  const steps = [1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12];
  return power * steps.find((step) => highest <= step * power * 0.98);
}

// Figures of the finished buckets (the last one is still filling): last, average, peak.
export function figures(values) {
  const done = values.slice(0, -1);
  if (done.length === 0) return { last: 0, average: 0, peak: 0, sum: values.at(-1) ?? 0 };
  const sum = done.reduce((a, b) => a + b, 0);
  // The history may be longer than what has been counted so far: leading zeros are no data.
  const first = done.findIndex((value) => value > 0);
  const counted = first < 0 ? done.length : done.length - first;
  return {
    last: done.at(-1),
    average: sum / counted,
    peak: Math.max(...done),
    sum: sum + values.at(-1),
  };
}

const channel = (hex, at) => parseInt(hex.slice(at, at + 2), 16);

// A colour between two (#rrggbb), at `share` of the first.
export function mix(one, other, share) {
  const part = (at) =>
    Math.round(share * channel(one, at) + (1 - share) * channel(other, at)).toString(16).padStart(2, "0");
  return `#${part(1)}${part(3)}${part(5)}`;
}
