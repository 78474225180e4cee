/** Runs every query of a role's dashboard in the Prometheus of its compose file. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { Role } from '../../src/compose-settings.ts'
import { dashboard, queriesOf } from '../../src/dashboard.ts'
import { CHECKOUT, docker } from './images.ts'
import type { RoleProject } from './role-project.ts'

/** Several scrapes, on a busy machine, in milliseconds: a rate needs two. */
const SCRAPED_MS = 240_000
const LOOK_AGAIN_MS = 5_000

/** Starts Prometheus beside the role; every query has an answer, and one with content unless it may be empty. */
export async function checkDashboard(project: RoleProject, role: Role): Promise<void> {
  const file = join(CHECKOUT, 'docker/monitoring/dashboards', `${role}.json`)
  const queries = queriesOf(dashboard.parse(JSON.parse(await readFile(file, 'utf8'))))
  await project.compose('--profile', 'monitoring', 'up', '--detach', 'prometheus')
  const container = await project.container('prometheus')
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
  await expect.poll(unanswered, { timeout: SCRAPED_MS, interval: LOOK_AGAIN_MS }).toEqual([])
}
