/** Formats measured values as a table: minimum, median, maximum, and the ratio of the medians. */

export interface Row {
  name: string
  values: readonly number[]
}

/** Returns the table. The ratio compares each row with the first one. */
export function table(unit: string, rows: readonly Row[]): string {
  const base = median(rows[0]?.values ?? [])
  const lines = rows.map(({ name, values }) => {
    const middle = median(values)
    const numbers = [Math.min(...values), middle, Math.max(...values)].map(value => value.toFixed(0).padStart(6))
    return `${name.padEnd(34)}${numbers.join('')}${(middle / base).toFixed(2).padStart(8)}`
  })
  return [`${unit.padEnd(34)}   min   med   max   ratio`, ...lines].join('\n')
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
