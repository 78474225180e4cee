/** Honest jobs with known answers, to run after and beside hostile ones. */
import { createHash } from 'node:crypto'
import { finishes, type Trial } from './trial.ts'

/** Returns one honest job of each kind. Their answers depend on this text. */
export function honestTrials(text: string): Trial[] {
  const files = { 'payload.txt': text }
  const digest = createHash('sha256').update(text).digest('hex')
  return [
    { name: 'honest echo', parts: { files }, expected: { ...finishes(text), lastLine: '' } },
    {
      name: 'honest script',
      parts: {
        script: 'import hashlib\nprint(hashlib.sha256(open("/volume/payload.txt", "rb").read()).hexdigest())',
        files,
      },
      expected: finishes(`${digest}\n`),
    },
    {
      name: 'honest failure',
      parts: { script: `import sys\nprint(${JSON.stringify(text)}, file=sys.stderr); sys.exit(9)` },
      expected: { type: 'V0FailedRequest', exitStatus: 9, timedOut: false, lastLine: text },
    },
    {
      name: 'honest upload',
      parts: { script: 'import shutil\nshutil.copy("/volume/payload.txt", "/output/copy.txt")', files },
      uploads: [{ 'copy.txt': text }],
      expected: finishes(''),
    },
  ]
}
