/** Runs every query of a role's dashboard in the Prometheus that its compose file starts. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { Role } from '../../src/compose-settings.ts'
import { dashboard, queriesOf } from '../../src/dashboard.ts'
import type { ComposeProject } from './compose-project.ts'
import { CHECKOUT, docker } from './images.ts'

/** How long Prometheus may take to scrape the role twice, which a rate needs, on a busy machine. */
const SCRAPED_MS = 240_000
const RETRY_MS = 5_000

/** Starts Prometheus beside the role. Waits until every query succeeds, and returns rows unless it may be empty. */
export async function checkDashboard(project: ComposeProject, role: Role): Promise<void> {
  const file = join(CHECKOUT, 'docker/monitoring/dashboards', `${role}.json`)
  const queries = queriesOf(dashboard.parse(JSON.parse(await readFile(file, 'utf8'))))
  await project.compose('--profile', 'monitoring', 'up', '--detach', 'prometheus')
  const container = await project.containerId('prometheus')
  const ask = (expr: string) =>
    docker('exec', container, 'promtool', 'query', 'instant', 'http://127.0.0.1:9090', expr).catch(
      (error: { stderr?: string }) => `no answer: ${error.stderr}`,
    )
  const unanswered = async () => {
    const answers = await Promise.all(queries.map(async query => ({ ...query, answer: await ask(query.expr) })))
    return answers
      .filter(({ answer, mayBeEmpty }) => answer.startsWith('no answer') || (answer === '' && !mayBeEmpty))
      .map(({ title, answer }) => `${title}: ${answer}`)
  }
  await expect.poll(unanswered, { timeout: SCRAPED_MS, interval: RETRY_MS }).toEqual([])
}
