/** Whether a host can hold strangers' jobs: facts in, findings out. */
import { bad, type Finding, ok, warn } from '@horde/kit/check/finding'
import {
  type EscapeContext,
  isSandboxOfItsOwn,
  KNOWN_ESCAPES,
  type Likelihood,
  likelihoodOf,
  unknownParts,
} from './known-escapes.ts'
import { compareVersions, parseVersion } from './versions.ts'

/** Older engines ignore that a container's cgroup namespace is to be private, as their API does not know it. */
const LEAST_API = '1.41'
const LEAST_ENGINE = '20.10'

/**
 * From this API on an engine's own seccomp profile forbids vsock, which no namespace holds: by it a virtual machine speaks
 * with its host (moby/moby#44562, #44712).
 */
const NO_VSOCK_API = '1.42'
const NO_VSOCK_ENGINE = '23'

/** What engines call the profile that they come with. */
const OWN_PROFILES = ['default', 'builtin']

export interface JudgeContext extends EscapeContext {
  /** Whether a known escape that surely works is a reason to run nothing. */
  refusesEscapes: boolean
}

/** Everything that was looked at, in the order in which people ask. */
export function judgeHost(context: JudgeContext): Finding[] {
  return [
    engineFinding(context),
    kernelFinding(context),
    runtimeFinding(context),
    limitsFinding(context),
    swapFinding(context),
    seccompFinding(context),
    networkFinding(context),
    usersFinding(context),
    ...gpuFindings(context),
    ...escapeFindings(context),
  ]
}

function engineFinding({ facts }: JudgeContext): Finding {
  const found = `${facts.version}, API ${facts.apiVersion}`
  if (facts.system !== 'linux') {
    return bad('engine', `it runs ${facts.system || 'an unknown system'}`, 'use one that runs Linux containers')
  }
  if (isOlder(facts.apiVersion, LEAST_API)) {
    const advice = `use Docker ${LEAST_ENGINE} or newer: this one ignores private cgroup namespaces`
    return bad('engine', found, advice)
  }
  return parseVersion(facts.apiVersion)
    ? ok('engine', found)
    : warn('engine', 'it does not tell the version of its API')
}

function kernelFinding({ facts }: JudgeContext): Finding {
  return ok('kernel', [`${facts.kernel} ${facts.machine}`, ...facts.kernelBuilds].join(', '))
}

function runtimeFinding({ facts, runtime }: JudgeContext): Finding {
  // Names of shims need not be known to the engine before they are used.
  const isThere =
    Object.keys(facts.runtimes).length === 0 || runtime in facts.runtimes || /^io\.containerd\./.test(runtime)
  if (isThere) return ok('runtime', [runtime, runtime === 'runc' ? facts.runc.version : ''].join(' ').trim())
  const known = Object.keys(facts.runtimes).join(', ')
  return bad(
    'runtime',
    `the engine has none named ${runtime}`,
    `set RUNTIME to one of ${known}, or add it to the engine`,
  )
}

function limitsFinding({ facts }: JudgeContext): Finding {
  if (facts.missingLimits.length === 0) return ok('limits', `the engine enforces them, cgroup v${facts.cgroupVersion}`)
  const advice =
    facts.isRootless && facts.cgroupVersion === '1'
      ? 'a rootless engine needs cgroup v2 for them'
      : 'the kernel or the engine lacks these cgroup controllers'
  return bad('limits', `the engine does not enforce these limits: ${facts.missingLimits.join(', ')}`, advice)
}

/** Without a limit for swap the engine ignores that a job is to have none. */
function swapFinding({ facts }: JudgeContext): Finding {
  if (facts.hasSwapLimit) return ok('swap', 'jobs get none')
  if (facts.swapBytes === 0) return ok('swap', 'the engine cannot limit it, and the host has none')
  const advice = 'turn the swap off, or boot with swapaccount=1'
  const found = 'the engine cannot keep jobs from it'
  return facts.swapBytes === undefined
    ? warn('swap', `${found}; whether its host has any is not known`, advice)
    : bad('swap', `${found}, and the host has ${facts.swapBytes} bytes of it`, advice)
}

function seccompFinding({ facts: { seccompProfile } }: JudgeContext): Finding {
  if (seccompProfile !== undefined && OWN_PROFILES.includes(seccompProfile)) {
    return ok('seccomp', `the engine's own profile, ${seccompProfile}`)
  }
  if (seccompProfile !== undefined) {
    const advice =
      "look yourself whether it forbids what the engine's own does, or remove it from the engine's settings"
    return warn('seccomp', `the profile ${seccompProfile} is not the engine's own`, advice)
  }
  const advice = 'remove seccomp-profile from the settings of the engine, and use a kernel with CONFIG_SECCOMP_FILTER'
  return bad('seccomp', 'the engine gives containers no profile', advice)
}

function networkFinding(context: JudgeContext): Finding {
  const { apiVersion, seccompProfile = '' } = context.facts
  const allowsVsock = OWN_PROFILES.includes(seccompProfile) && isOlder(apiVersion, NO_VSOCK_API)
  if (!allowsVsock || isSandboxOfItsOwn(context)) return ok('network', 'jobs have none')
  const found = 'jobs have none but vsock, by which a virtual machine speaks with its host'
  return warn('network', found, `use Docker ${NO_VSOCK_ENGINE} or newer, whose seccomp profile forbids it`)
}

/** Of versions that cannot be read nothing is known. */
function isOlder(version: string, than: string): boolean {
  const [has, needs] = [parseVersion(version), parseVersion(than)]
  return has !== undefined && needs !== undefined && compareVersions(has, needs) < 0
}

function usersFinding({ facts }: JudgeContext): Finding {
  const users = facts.hasUserNamespaces ? 'of their own (user namespaces)' : "the host's"
  const confined = facts.mandatoryAccess === undefined ? 'neither AppArmor nor SELinux' : facts.mandatoryAccess
  return ok('users', `${users}${facts.isRootless ? ', the engine is rootless' : ''}; ${confined}`)
}

/**
 * systemd knows nothing of the GPUs that NVIDIA's runtime gives to a container. At its next reload it takes them away, unless
 * runc could tell it of their nodes, which it looks for in /dev/char.
 */
function gpuFindings({ facts, hasGpus }: JudgeContext): Finding[] {
  if (!hasGpus || facts.cgroupDriver !== 'systemd') return []
  if (facts.linksGpuNodes)
    return [ok('gpus', 'jobs keep them when systemd reloads: /dev/char has links to their nodes')]
  const advice =
    'have "nvidia-ctk system create-dev-char-symlinks --create-all" run at every boot, or set "native.cgroupdriver=cgroupfs" among the exec-opts of /etc/docker/daemon.json'
  const unseen =
    facts.linksGpuNodes === undefined ? 'unless that is done already, which cannot be seen from here: ' : ''
  return [
    warn(
      'gpus',
      "the engine's cgroup driver is systemd, whose reload (systemctl daemon-reload) takes them from running jobs",
      `${unseen}${advice}`,
    ),
  ]
}

function escapeFindings(context: JudgeContext): Finding[] {
  const found = KNOWN_ESCAPES.flatMap(flaw => {
    const likelihood = likelihoodOf(flaw, context)
    if (likelihood === 'no') return []
    const mended = `upgrade ${flaw.part} to ${flaw.fixed.join(' or ')}, or what your distribution names for it`
    return [escapeFinding(likelihood, `${flaw.cve}: a job could ${flaw.does}`, mended, context)]
  })
  const unknown = unknownParts(context).map(part =>
    warn(part, 'its version cannot be seen from here', 'look yourself whether its known flaws are mended'),
  )
  const isClean = found.length + unknown.length === 0
  return isClean ? [ok('escapes', 'none of the known ones works here')] : [...found, ...unknown]
}

function escapeFinding(
  likelihood: Likelihood,
  what: string,
  advice: string,
  { refusesEscapes }: JudgeContext,
): Finding {
  if (likelihood === 'surely' && refusesEscapes) return bad('escapes', what, `${advice}; or set KNOWN_ESCAPES=warn`)
  return warn('escapes', likelihood === 'surely' ? what : `perhaps ${what}`, advice)
}
