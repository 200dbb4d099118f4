// Splitting of a message that is too large for one publish.
import type { ChatSend } from '@/types/chat'
import { sha256Hex } from './sha256'

/** At most this many bytes of text in one publish, counted as they stand in JSON. */
export const PIECE_BYTES = 16 * 1024

function jsonBytes(character: string): number {
  const code = character.codePointAt(0)!
  if (code === 0x22 || code === 0x5c) return 2
  if (code < 0x20) return 6
  if (code < 0x80) return 1
  if (code < 0x800) return 2
  if (code >= 0xd800 && code <= 0xdfff) return 6
  return code < 0x10000 ? 3 : 4
}

/** Pieces of at most `limit` bytes, cut between characters. Joined they are the text. */
export function pieces(text: string, limit = PIECE_BYTES): string[] {
  const found: string[] = []
  let start = 0
  let at = 0
  let bytes = 0
  for (const character of text) {
    const size = jsonBytes(character)
    if (bytes + size > limit && at > start) {
      found.push(text.slice(start, at))
      start = at
      bytes = 0
    }
    bytes += size
    at += character.length
  }
  found.push(text.slice(start))
  return found
}

/** The publishes that carry a message: itself, or its pieces in order. */
export function publishesOf(message: ChatSend, limit = PIECE_BYTES): ChatSend[] {
  const parts = pieces(message.text, limit)
  if (parts.length === 1) return [message]
  const sha256 = sha256Hex(message.text)
  return parts.map((text, index) => ({ ...message, text, chunk: { index, count: parts.length, sha256 } }))
}
