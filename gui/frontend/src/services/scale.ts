// The scale of a chart, and where its line is interrupted.

/** About `most` round figures that enclose `low` to `high`. */
export function niceTicks(low: number, high: number, most: number): number[] {
  const flat = high - low < 1e-9
  const [from, to] = flat ? [low - Math.max(1, Math.abs(low) * 0.1), high + Math.max(1, Math.abs(high) * 0.1)] : [low, high]
  const rough = (to - from) / most
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10)
  // A share or a count never has a scale below nothing.
  const first = low >= 0 ? Math.max(0, Math.floor(from / step)) : Math.floor(from / step)
  const last = Math.ceil(to / step)
  return Array.from({ length: last - first + 1 }, (_, index) => Number(((first + index) * step).toPrecision(12)))
}

/** Cuts what was told into runs without a gap: three steps of silence, or three times the usual distance, is one. */
export function runsOf<T extends { ts_ms: number }>(steps: T[], stepMs: number): T[][] {
  const distances = steps.slice(1).map((step, index) => step.ts_ms - steps[index]!.ts_ms).sort((a, b) => a - b)
  const usual = distances[Math.floor(distances.length / 2)] ?? stepMs
  const most = 3 * Math.max(stepMs, usual)
  const runs: T[][] = []
  for (const [index, step] of steps.entries()) {
    if (index === 0 || step.ts_ms - steps[index - 1]!.ts_ms > most) runs.push([step])
    else runs[runs.length - 1]!.push(step)
  }
  return runs
}
