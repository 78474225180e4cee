/** Images with a hostile configuration. */
import { exitsWith, finishes, isRefused, type Trial, timesOut } from '../trial.ts'

/** Prints whether /output is empty, writes to it, and prints the input. */
const PROOF = `
import os
was = sorted(os.listdir("/output"))
open("/output/proof", "w").write("proof")
print(was, open("/volume/input").read())
`

const RUNS = finishes(/^\[\] of the job\n$/)
/** The container cannot be started. */
const NOT_STARTED: Partial<Trial> = {
  expected: { type: 'V0FailedRequest', exitStatus: null, timedOut: false, lastLine: /could not be started: / },
  uploads: [{}],
}
const refused = (why: RegExp): Partial<Trial> => ({ expected: isRefused(why), uploads: [{ 'no zip': '' }] })

/** Paths where no folder can be: a file, a path below a file, a name that is too long, and a circular link. */
const NO_FOLDERS = ['/etc/passwd', '/etc/passwd/below', `/${'x'.repeat(300)}`, '/loop']
const LOOP = { loop: '/loop' }
const NO_FOLDER_THERE = refused(/^The image has a VOLUME or WORKDIR where no folder can be$/)

/** Returns a trial of an image with these instructions, which must run like any other unless `more` says otherwise. */
const imageWith = (name: string, changes: readonly string[], more: Partial<Trial> = {}): Trial => ({
  name: `image with ${name}`,
  parts: { args: ['python', '-c', PROOF], files: { input: 'of the job' } },
  image: { changes },
  uploads: [{ proof: 'proof' }],
  expected: RUNS,
  ...more,
})

/** Returns an instruction with this many volumes. */
const volumes = (count: number) => `VOLUME ${JSON.stringify(Array.from({ length: count }, (_, at) => `/many/${at}`))}`

const link = (path: string, target: string, more: Partial<Trial> = {}) =>
  imageWith(`a link from /${path} to ${target}`, [], { image: { links: { [path]: target } }, ...more })

export const images: readonly Trial[] = [
  ...[
    '/proc /sys /dev /dev/shm /volume /output /output/home /volume/home /etc / // /tmp /tmp/../etc /a,b /a:ro',
    'home /script.py /no/such/home',
  ]
    .flatMap(homes => homes.split(' '))
    .map(home => imageWith(`HOME=${home}`, [`ENV HOME=${home}`])),
  ...['/output', '/volume', '/tmp', '/tmp/below', '/dev/shm', '/etc', '/script.py'].map(folder =>
    imageWith(`VOLUME ${folder}`, [`VOLUME ${folder}`]),
  ),
  ...[...NO_FOLDERS, '/loop/nowhere'].map(home =>
    imageWith(`HOME=${home.slice(0, 30)}`, [`ENV HOME=${home}`], {
      image: { changes: [`ENV HOME=${home}`], links: LOOP },
    }),
  ),
  ...NO_FOLDERS.flatMap(folder => [
    imageWith(`VOLUME ${folder.slice(0, 30)}`, [], {
      image: { changes: [`VOLUME ${folder}`], links: LOOP },
      ...NO_FOLDER_THERE,
    }),
    imageWith(`WORKDIR ${folder.slice(0, 30)}`, [], {
      image: { changes: [`WORKDIR ${folder}`], links: LOOP },
      ...NO_FOLDER_THERE,
    }),
  ]),
  imageWith('a HOME that is a file, and a VOLUME', ['ENV HOME=/etc/passwd', 'VOLUME /data']),
  imageWith('VOLUME /proc', ['VOLUME /proc'], NOT_STARTED),
  ...['/', '/output/below', '/volume/below'].map(folder =>
    imageWith(
      `VOLUME ${folder}`,
      [`VOLUME ${folder}`],
      refused(/^The image has a VOLUME at \/ or within \/volume or \/output$/),
    ),
  ),
  imageWith(
    'a VOLUME with too much data',
    ['VOLUME /usr/lib'],
    refused(/^The image's VOLUME folders and home hold more than they may here$/),
  ),
  imageWith('as many volumes as allowed', [volumes(16)]),
  imageWith('two hundred volumes', [volumes(200)], refused(/^The image has more than 16 VOLUMEs$/)),
  imageWith('USER nobody:nogroup', ['USER nobody:nogroup']),
  imageWith('USER 0:0', ['USER 0:0']),
  imageWith('USER 4242', ['USER 4242:4242']),
  imageWith('USER no-such-user', ['USER no-such-user'], NOT_STARTED),
  imageWith('USER 4294967296', ['USER 4294967296'], NOT_STARTED),
  imageWith('WORKDIR /no/such/folder', ['WORKDIR /no/such/folder']),
  imageWith('WORKDIR /proc/self/fd/8', ['WORKDIR /proc/self/fd/8'], NOT_STARTED),
  imageWith('WORKDIR /output', ['WORKDIR /output']),
  imageWith('ENTRYPOINT that does not exist', ['ENTRYPOINT ["/no/such/program"]'], {
    expected: exitsWith(127, { lastLine: /^The image has no such command\.$/ }),
    uploads: [{}],
  }),
  imageWith('ENTRYPOINT that is a folder', ['ENTRYPOINT ["/etc"]'], {
    expected: exitsWith(126, { lastLine: /^The command cannot be run\.$/ }),
    uploads: [{}],
  }),
  imageWith(
    'a preloaded library, and all GPUs',
    ['ENV LD_PRELOAD=/no/such.so NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=all'],
    {
      parts: {
        args: [
          'python',
          '-c',
          'import os; print(os.environ["NVIDIA_VISIBLE_DEVICES"]); open("/output/proof", "w").write("proof")',
        ],
      },
      expected: finishes(/^void\n$/),
    },
  ),
  imageWith('a health check', ['HEALTHCHECK --interval=1s --start-period=1s CMD touch /output/healthy'], {
    parts: { args: ['python', '-c', `import time\ntime.sleep(2.5)\n${PROOF}`], files: { input: 'of the job' } },
  }),
  imageWith('STOPSIGNAL SIGCONT', [], {
    image: { config: { StopSignal: 'SIGCONT' } },
    parts: { args: ['python', '-c', 'import time\ntime.sleep(60)'], timeoutSeconds: 1 },
    expected: timesOut,
    uploads: [{}],
  }),
  imageWith('ONBUILD', ['ONBUILD RUN touch /output/built']),
  imageWith('five thousand variables and labels', [], {
    image: {
      config: {
        Env: Array.from({ length: 5_000 }, (_, at) => `A${at}=${'x'.repeat(100)}`),
        Labels: Object.fromEntries(Array.from({ length: 5_000 }, (_, at) => [`a${at}`, 'x'.repeat(100)])),
      },
    },
  }),
  imageWith("labels like the executor's", ['LABEL compute-horde.executor=process/x/x/1/1/1 compute-horde.job=x']),
  ...['/proc', '../../../../..'].map(target => link('output', target, NOT_STARTED)),
  // The link is resolved in the container, so the mount hides the container's /etc, not the host's.
  link('output', '/etc', { expected: finishes(/ of the job\n$/), uploads: [{ hostname: '', proof: 'proof' }] }),
  link('volume', '/etc', NOT_STARTED),
  // Either volume may hide the other: the input is missing, or /output is not writable.
  link('volume', '/output', { expected: exitsWith(1), uploads: [{ proof: 'proof' }, {}] }),
  link('tmp', '/etc'),
  link('tmp', '/proc/1/root', NOT_STARTED),
  link('script.py', '/etc/passwd'),
  imageWith('a setuid root program', [], {
    parts: { args: ['/root-id', '-u'] },
    image: { copies: { '/root-id': { from: '/usr/bin/id', mode: 0o6755 } } },
    expected: finishes(/^10001\n$/),
    uploads: [{}],
  }),
]
