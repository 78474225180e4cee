/** Runs beside a slow name (`runBesideSlowName`): prints what a job prints whose input has to be fetched from there. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { result, zipBytes } from '@horde/testing/jobs/executor-job'
import { TestMiner } from '@horde/testing/peers/miner-for-executors'
import { SLOW_ADDRESS, SLOW_NAME } from '@horde/testing/slow-name'

const input = await zipBytes({ 'payload.txt': 'fetched' })
const server = createServer((_, response) => response.end(input)).listen(0, SLOW_ADDRESS)
await once(server, 'listening')
const contents = `http://${SLOW_NAME}:${(server.address() as AddressInfo).port}/`
await using miner = await TestMiner.start()
const volume = { volume_type: 'zip_url', contents }
const { docker_process_stdout: stdout } = await result(miner, { volume }, { INPUT_TIMEOUT_SECONDS: '40' })
process.stdout.write(stdout)
server.closeAllConnections()
server.close()
