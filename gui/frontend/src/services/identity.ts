// Who we are: asks the server for the local session, which sets the cookie and names our MQTT user.
import { ref } from 'vue'
import type { LocalSession } from '@/types/api'
import { onUnauthorised, post, Problem } from './api'

/** The session, or `null` when we are a guest. */
export const identity = ref<LocalSession | null>(null)

/** Asks again; valid while the server runs. A refusal makes us a guest, absence is thrown. */
export async function openLocalSession(): Promise<LocalSession | null> {
  try {
    identity.value = await post<LocalSession>('/session/local', {}, 8_000)
  } catch (error) {
    if (error instanceof Problem && !error.isUnreachable && error.status < 500) identity.value = null
    else throw error
  }
  return identity.value
}

onUnauthorised(openLocalSession)
