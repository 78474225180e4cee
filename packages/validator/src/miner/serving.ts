import { BlockList, isIPv4 } from 'node:net'
import { isServing, type Metagraph } from '@horde/chain/metagraph'
import type { MinerToDial } from './link.ts'

/** A miner as a batch knows it. */
export interface ServingMiner extends MinerToDial {
  readonly uid: number
}

/** Addresses of this machine and of networks nobody else reaches: a stranger could make us knock on our own doors. */
const PRIVATE = new BlockList()
for (const [net, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
] as const) {
  PRIVATE.addSubnet(net, bits, 'ipv4')
}
for (const [net, bits] of [
  ['::', 127],
  ['fc00::', 7],
  ['fe80::', 10],
] as const) {
  PRIVATE.addSubnet(net, bits, 'ipv6')
}

/** Whether an IPv4 or IPv6 address is loopback, private, carrier-internal or link-local. */
export function isPrivateAddress(ip: string): boolean {
  return PRIVATE.check(ip, isIPv4(ip) ? 'ipv4' : 'ipv6')
}

/**
 * The miners of a subnet that can be dialled, all but the validator itself, by uid. `left` counts those whose private
 * address keeps them out.
 */
export function servingMiners(
  metagraph: Metagraph,
  ownHotkey: string,
  allowPrivate: boolean,
): { miners: ServingMiner[]; left: number } {
  const serving = metagraph.neurons.filter(isServing).filter(neuron => neuron.hotkey !== ownHotkey)
  const dialled = serving.filter(({ axon }) => allowPrivate || !isPrivateAddress(axon.ip))
  return {
    miners: dialled.map(({ uid, hotkey, axon }) => ({ uid, hotkey, address: addressOf(axon.ip, axon.port) })),
    left: serving.length - dialled.length,
  }
}

/** host:port, an IPv6 host in brackets. */
export function addressOf(ip: string, port: number): string {
  return isIPv4(ip) ? `${ip}:${port}` : `[${ip}]:${port}`
}
