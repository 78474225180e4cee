/** Both roles as they run on one test server, with what a test reads of them and does to them. */
import type { InstalledRole } from '../install-script.ts'
import type { ProgramResult } from './run-program.ts'
import type { TestServer } from './test-server.ts'

const PORTS = { validator: 8001, miner: 8002 } as const
const STARTS_FILE = '/root/started'

export class InstalledRoles {
  readonly server: TestServer

  constructor(server: TestServer) {
    this.server = server
  }

  /** Adds settings, as NAME=value. They count after the next run of the install script. */
  async addSettings(role: InstalledRole, settings: readonly string[]): Promise<void> {
    await this.server.sh(`printf '${settings.join('\\n')}\\n' >>/opt/compute-horde/${role}/.env`)
  }

  /** Returns the server's own address, under which the validator reaches the miner. */
  address(): Promise<string> {
    return this.server.sh("hostname -I | awk '{ print $1 }'")
  }

  update(role: InstalledRole, version: string): Promise<ProgramResult> {
    return this.server.run(`compute-horde ${role} update ${version}`)
  }

  /** Returns the shell command that runs a command of a role's program in its container. */
  commandOf(role: InstalledRole, command: string): string {
    return `docker exec compute-horde-${role}_${role}_1 node packages/${role}/src/main.ts ${command}`
  }

  /** Runs a query on the validator's database. Returns the rows, with | between the columns. */
  sql(query: string): Promise<string> {
    return this.server.sh(`docker exec compute-horde-validator_postgres_1 psql -U horde -d horde -Atc "${query}"`)
  }

  /** Returns the state of each of the miner's jobs. */
  async minerJobStates(): Promise<string[]> {
    const { jobs } = JSON.parse(await this.server.sh(this.commandOf('miner', 'jobs --json')))
    return (jobs as { state: string }[]).map(({ state }) => state)
  }

  /** Returns the status of a role, which its page shows. */
  async status(role: InstalledRole): Promise<unknown> {
    const read = `fetch('http://127.0.0.1:${PORTS[role]}/status.json').then(r => r.text()).then(console.log)`
    return JSON.parse(await this.server.sh(`docker exec compute-horde-${role}_${role}_1 node -e "${read}"`))
  }

  /** Records the image of each container that starts from now on: the engine keeps few events. */
  async recordStarts(): Promise<void> {
    const events = `docker events --filter type=container --filter event=start --format '{{.From}}'`
    await this.server.sh(`(setsid ${events} >${STARTS_FILE} 2>&1 </dev/null &)`)
  }

  /** Returns how many containers of an image have started since `recordStarts`. */
  async startsOf(image: string): Promise<number> {
    return Number((await this.server.run(`grep -cF '${image}' ${STARTS_FILE}`)).output)
  }
}
