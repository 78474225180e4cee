import type { RankedValidator } from '@horde/chain/rank-validators'
import { textTable } from '@horde/operator/command-line/text-table'

/** Returns what the command `validators` prints. @param rule how validators are chosen, without a full stop */
export function validatorsTable(validators: readonly RankedValidator[], rule: string): string {
  const rows = validators.map(({ rank, uid, hotkey, stakeTao, permit, note }) => {
    const stake = stakeTao === null ? '–' : stakeTao.toFixed(0)
    return [String(rank ?? '–'), hotkey, String(uid ?? '–'), stake, permit ? 'yes' : 'no', note ?? '']
  })
  return `Validators: ${rule}.\n${textTable([['rank', 'hotkey', 'uid', 'stake TAO', 'permit', 'note'], ...rows])}`
}
