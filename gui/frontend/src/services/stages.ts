// Steps that ran at the same time belong together.
import type { DiagnosisStep } from '@/types/api'

/** Groups of steps whose times overlap, in order; steps that have not begun come last, in one group. */
export function stagesOf(steps: readonly DiagnosisStep[], now: number): DiagnosisStep[][] {
  const begun = steps.filter((step) => step.started_at != null).sort((a, b) => a.started_at! - b.started_at!)
  const stages: DiagnosisStep[][] = []
  let end = -Infinity
  for (const step of begun) {
    const stage = stages[stages.length - 1]
    const completed = step.completed_at ?? now
    if (stage && step.started_at! < end) {
      stage.push(step)
      end = Math.max(end, completed)
    } else {
      stages.push([step])
      end = completed
    }
  }
  const rest = steps.filter((step) => step.started_at == null)
  return rest.length > 0 ? [...stages, rest] : stages
}
