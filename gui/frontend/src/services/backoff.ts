// Waiting between tries to connect: exponential with jitter, 1 s to 120 s.

export const FIRST_MS = 1_000
export const LAST_MS = 120_000

/** How long to wait before try number `attempt` (0 = the first after a loss). */
export function backoffMs(attempt: number, random: () => number = Math.random): number {
  const ceiling = Math.min(LAST_MS, FIRST_MS * 2 ** Math.min(attempt, 20))
  return Math.round(Math.min(LAST_MS, Math.max(FIRST_MS, ceiling * (0.5 + random() * 0.5))))
}
