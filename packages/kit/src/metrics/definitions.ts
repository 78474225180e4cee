/** Definitions of a service's metrics, from which the registry is made and the README's table is printed. */

export type MetricDefinition = {
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly labels: readonly string[]
  readonly help: string
}

export type Metrics = Readonly<Record<string, MetricDefinition>>

/** The names of the metrics of one type. */
export type NamesOf<M extends Metrics, Type extends MetricDefinition['type']> = {
  [N in keyof M & string]: M[N]['type'] extends Type ? N : never
}[keyof M & string]

/** Returns the metrics as a Markdown table, for the README. */
export function metricsTable(metrics: Metrics): string {
  const rows = Object.entries(metrics).map(([name, { type, labels, help }]) => {
    return `| \`${name}\` | ${type} | ${labels.map(label => `\`${label}\``).join(', ')} | ${help} |`
  })
  return ['| Metric | Type | Labels | What it is |', '| --- | --- | --- | --- |', ...rows, ''].join('\n')
}
