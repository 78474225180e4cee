import { type AxonInfo, subtensorStorage as storage } from '../../pallets/subtensor/storage.ts'
import type { Hex } from '../../scale/bytes.ts'
import type { View } from '../../state/store.ts'
import type { Context } from '../context.ts'
import { SUBTENSOR } from '../events.ts'
import { ensure } from '../failure.ts'
import { uidOf } from './neurons.ts'

export interface Endpoint {
  netuid: number
  version: number
  ip: bigint
  port: number
  ip_type: number
}

export type Axon = Endpoint & Pick<AxonInfo, 'protocol' | 'placeholder1' | 'placeholder2'>

const V4_MAX = 0xffff_ffffn
const V4_LOCALHOST = 0x7f00_0001n
const V6_MAX = (1n << 128n) - 1n
const V6_LOCALHOST = 1n

/** Only these exact addresses are refused. 127.0.0.2 and private ranges are allowed. */
function isValidIp(ipType: number, ip: bigint, zeroAllowed: boolean): boolean {
  if (ip === 0n) return zeroAllowed
  if (ipType === 4) return ip < V4_MAX && ip !== V4_LOCALHOST
  return ip !== V6_MAX && ip !== V6_LOCALHOST
}

function passesServingRateLimit(view: View, netuid: number, last: bigint, block: bigint): boolean {
  const limit = view.get(storage.ServingRateLimit, netuid)
  return limit === 0n || last === 0n || block - last >= limit
}

export type Kind = 'axon' | 'prometheus'

/** The checks of serve_axon and serve_prometheus in their order. The pool makes the same checks. */
export function checkEndpoint(view: View, hotkey: Hex, endpoint: Endpoint, kind: Kind, block: bigint): void {
  const { netuid } = endpoint
  ensure(uidOf(view, netuid, hotkey) !== undefined, 'HotKeyNotRegisteredInNetwork')
  ensure(endpoint.ip_type === 4 || endpoint.ip_type === 6, 'InvalidIpType')
  ensure(isValidIp(endpoint.ip_type, endpoint.ip, kind === 'axon'), 'InvalidIpAddress')
  const entry = kind === 'axon' ? storage.Axons : storage.Prometheus
  const last = view.get<[number, Hex], { block: bigint }, { block: bigint } | undefined>(entry, netuid, hotkey)?.block
  ensure(passesServingRateLimit(view, netuid, last ?? 0n, block), 'ServingRateLimitExceeded')
  ensure(endpoint.port !== 0, 'InvalidPort')
}

export function serveAxon(context: Context, hotkey: Hex, axon: Axon): void {
  const { netuid, ...info } = axon
  ensure(context.store.get(storage.NetworksAdded, netuid), 'SubnetNotExists')
  checkEndpoint(context.store, hotkey, axon, 'axon', context.block)
  context.store.set(storage.Axons, [netuid, hotkey], { ...info, block: context.block })
  context.emit(SUBTENSOR, 'AxonServed', [netuid, hotkey])
}

/** Parses a certificate: one byte for the algorithm and 1 to 64 bytes of key. Ignores any other, as the chain does. */
const CERTIFICATE_BYTES = { least: 2, most: 65 }

export function serveCertificate(context: Context, hotkey: Hex, netuid: number, certificate: Uint8Array): void {
  const [algorithm, ...key] = certificate
  if (certificate.length < CERTIFICATE_BYTES.least || certificate.length > CERTIFICATE_BYTES.most) return
  const value = { public_key: new Uint8Array(key), algorithm: algorithm as number }
  context.store.set(storage.NeuronCertificates, [netuid, hotkey], value)
}

export function servePrometheus(context: Context, hotkey: Hex, endpoint: Endpoint): void {
  const { netuid, ...info } = endpoint
  ensure(context.store.get(storage.NetworksAdded, netuid), 'SubnetNotExists')
  checkEndpoint(context.store, hotkey, endpoint, 'prometheus', context.block)
  context.store.set(storage.Prometheus, [netuid, hotkey], { ...info, block: context.block })
  context.emit(SUBTENSOR, 'PrometheusServed', [netuid, hotkey])
}
