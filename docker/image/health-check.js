/**
 * The health check of every image: exits with 0 when the service says at /health that it is ready, else with 1, and
 * prints the service's reasons, which `docker inspect` shows. A service without a port for it counts as healthy.
 */
import { request } from 'node:http'

/** How long the answer may take, in milliseconds; less than the image's own limit, so that the reason is printed. */
const ANSWER_MS = 8_000

const { ADMIN_PORT, HEALTH_ADDRESS } = process.env

function target() {
  if (HEALTH_ADDRESS?.startsWith('unix:')) return { socketPath: HEALTH_ADDRESS.slice('unix:'.length) }
  if (HEALTH_ADDRESS) {
    const { hostname, port } = new URL(`http://${HEALTH_ADDRESS}`)
    return { host: hostname.replace(/^\[|\]$/g, ''), port }
  }
  return ADMIN_PORT ? { host: '127.0.0.1', port: ADMIN_PORT } : undefined
}

function end(text, code) {
  process.stdout.write(`${text}\n`, () => process.exit(code))
}

const address = target()
if (address === undefined) {
  end('no port for /health is set', 0)
} else {
  const asked = request({ ...address, path: '/health', timeout: ANSWER_MS }, response => {
    let text = ''
    response.setEncoding('utf8')
    response.on('data', part => {
      text += part
    })
    response.on('end', () => end(text, response.statusCode === 200 ? 0 : 1))
  })
  asked.on('timeout', () => asked.destroy(new Error(`no answer within ${ANSWER_MS / 1000} s`)))
  asked.on('error', error => end(`/health cannot be asked: ${error.message}`, 1))
  asked.end()
}
