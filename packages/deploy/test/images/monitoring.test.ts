import { access, readFile } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { parse } from 'yaml'

const folder = new URL('../../../../docker/', import.meta.url)
const yaml = async (path: string) => parse(await readFile(new URL(path, folder), 'utf8'), { merge: true })

it.each(['validator', 'miner'])(
  'Prometheus scrapes the admin port that the compose file of the %s sets',
  async role => {
    const { services } = await yaml(`compose.${role}.yml`)
    const { scrape_configs } = await yaml(`monitoring/prometheus.${role}.yml`)
    const { ADMIN_PORT } = services[role].environment
    expect(scrape_configs[0]).toEqual({ job_name: role, static_configs: [{ targets: [`${role}:${ADMIN_PORT}`] }] })
    expect(services.prometheus.command).toContain(`--config.file=/etc/compute-horde/prometheus.${role}.yml`)
  },
)

it.each(['validator', 'miner'])('Grafana beside a %s finds its Prometheus and its dashboards', async role => {
  const { services } = await yaml(`compose.${role}.yml`)
  const { environment, volumes } = services.grafana
  expect(volumes).toContain('./monitoring:/etc/compute-horde:ro')
  const mounted = (path: string) => new URL(path.replace('/etc/compute-horde/', 'monitoring/'), folder)
  await access(mounted(environment.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH))
  const provisioning = environment.GF_PATHS_PROVISIONING.replace('/etc/compute-horde/', 'monitoring/')
  const { datasources } = await yaml(`${provisioning}/datasources/prometheus.yml`)
  expect(datasources).toMatchObject([{ uid: 'prometheus', type: 'prometheus', url: 'http://prometheus:9090' }])
  const { providers } = await yaml(`${provisioning}/dashboards/compute-horde.yml`)
  await access(mounted(`${providers[0].options.path}/${role}.json`))
})
